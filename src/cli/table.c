#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "cli/views.h"
#include "run/label.h"
#include "store/store.h"
#include "whypix/explain.h"
#include "whypix/metric.h"

enum { MAX_VIEWS = 64 };

/* ---------------------------------------------------------------- rows in memory */
typedef struct sheet {
    const why_args *args; /* --where COLUMN=VALUE */
    why_arena *arena;
    int columns;
    const char **head;
    const char **cell; /* rows x columns, row after row */
    size_t rows, capacity;
} sheet;

static why_status copy_texts(sheet *s, const char *const *from, const char **to) {
    for (int i = 0; i < s->columns; i++) {
        to[i] = why_arena_strdup(s->arena, from[i] ? from[i] : "");
        if (!to[i]) return WHY_ENOMEM;
    }
    return WHY_OK;
}

/* "topk_iou" also means "topk_iou(0.05)" and "topk_iou ↑". */
static bool matches(const char *cell, const char *wanted) {
    size_t n = strlen(wanted);
    return cell && strncmp(cell, wanted, n) == 0 && (cell[n] == '\0' || cell[n] == '(' || cell[n] == ' ');
}

/* Does the row pass one --where? */
static why_status filter(const char *where, int n, const char *const *values, const char *const *names, bool *keep) {
    const char *equals = strchr(where, '=');
    if (!equals) return why_fail(WHY_EARG, "--where: got '%s', want COLUMN=VALUE", where);
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) == (size_t)(equals - where) && strncmp(names[i], where, (size_t)(equals - where)) == 0) {
            *keep &= matches(values[i], equals + 1);
            return WHY_OK;
        }
    why_buf columns = {0};
    for (int i = 0; i < n; i++) why_buf_printf(&columns, "%s%s", i ? ", " : "", names[i]);
    why_status st = why_fail(WHY_EARG, "--where %s: there is no such column; there are: %.*s", where, (int)columns.size,
                             (const char *)columns.data);
    why_buf_clear(&columns);
    return st;
}

static why_status keep_row(void *ctx, int n, const char *const *values, const char *const *names) {
    sheet *s = ctx;
    bool keep = true;
    for (int i = 0; i < why_args_times(s->args, "where"); i++) WHY_TRY(filter(why_args_nth(s->args, "where", i), n, values, names, &keep));
    if (!keep) return WHY_OK;
    s->columns = n;
    if (!s->head) {
        s->head = why_arena_take(s->arena, (size_t)n * sizeof *s->head);
        if (!s->head) return WHY_ENOMEM;
        WHY_TRY(copy_texts(s, names, s->head));
    }
    WHY_TRY(why_grow(&s->cell, &s->capacity, (s->rows + 1) * (size_t)n, sizeof *s->cell, "a table"));
    return copy_texts(s, values, s->cell + s->rows++ * (size_t)n);
}

static const char *at(const sheet *s, size_t row, int column) { return s->cell[row * (size_t)s->columns + (size_t)column]; }

/* ---------------------------------------------------------------- printing */
static why_status print_flat(const sheet *s, const char *title, const char *align, why_format format) {
    why_text_table *t;
    WHY_TRY(why_text_table_create(s->columns, s->head, align, &t));
    why_status st = WHY_OK;
    for (size_t r = 0; !st && r < s->rows; r++) st = why_text_table_add(t, s->cell + r * (size_t)s->columns);
    if (!st) st = why_text_table_print(t, title, format, stdout);
    why_text_table_destroy(&t);
    return st;
}

/* Does row r belong to the same table as row `first`? */
static bool same_keys(const sheet *s, int keys, size_t first, size_t r) {
    for (int k = 0; k < keys; k++)
        if (strcmp(at(s, first, k), at(s, r, k)) != 0) return false;
    return true;
}

/* "pearson, model vgg16, target label, ..., images 500"; empty keys are left out. */
static why_status title_of(const sheet *s, int keys, size_t row, char **out) {
    why_buf b = {0};
    for (int k = 0; k < keys; k++)
        if (*at(s, row, k)) why_buf_printf(&b, "%s%s%s%s", k ? ", " : "", k ? s->head[k] : "", k ? " " : "", at(s, row, k));
    return why_buf_take(&b, out);
}

/* Index of `name` among the n names, added when it is new. Rows of one name stand together, so the last ones are looked at first. */
static size_t index_of(const char **names, size_t *n, const char *name) {
    for (size_t i = *n; i-- > 0;)
        if (strcmp(names[i], name) == 0) return i;
    names[*n] = name;
    return (*n)++;
}

/* The grid of one table: names of its rows and columns in order of appearance, and the values. */
typedef struct grid {
    const char **row, **column, **value;
    size_t rows, columns;
} grid;

static void fill_grid(const sheet *s, size_t first, size_t n, grid *g) {
    const int c = s->columns - 3;
    g->rows = 0;
    g->columns = 1; /* the first holds the row names */
    g->column[0] = s->head[c];
    for (size_t r = first; r < first + n; r++) {
        index_of(g->row, &g->rows, at(s, r, c));
        index_of(g->column, &g->columns, at(s, r, c + 1));
    }
    for (size_t r = first; r < first + n; r++) {
        size_t y = index_of(g->row, &g->rows, at(s, r, c)), x = index_of(g->column, &g->columns, at(s, r, c + 1));
        g->value[y * g->columns] = at(s, r, c);
        g->value[y * g->columns + x] = at(s, r, c + 2);
    }
}

static why_status print_grid(const grid *g, const char *title, why_format format) {
    why_text_table *t;
    char *align;
    WHY_TRY(why_alloc(g->columns + 1, 1, "a table", &align));
    memset(align, 'r', g->columns);
    align[0] = 'l';
    why_status st = why_text_table_create((int)g->columns, g->column, align, &t);
    for (size_t y = 0; !st && y < g->rows; y++) st = why_text_table_add(t, g->value + y * g->columns);
    if (!st) st = why_text_table_print(t, title, format, stdout);
    why_text_table_destroy(&t);
    free(align);
    return st;
}

static why_status print_part(const sheet *s, int keys, size_t first, size_t n, why_format format) {
    grid g = {0};
    char *title = NULL;
    why_status st = title_of(s, keys, first, &title);
    if (!st) st = why_alloc(n, sizeof *g.row, "a table", &g.row);
    if (!st) st = why_alloc(n + 1, sizeof *g.column, "a table", &g.column);
    if (!st) st = why_alloc(n * (n + 1), sizeof *g.value, "a table", &g.value);
    if (!st) fill_grid(s, first, n, &g);
    if (!st && first > 0) putchar('\n');
    if (!st) st = print_grid(&g, title, format);
    free(g.row);
    free(g.column);
    free(g.value);
    free(title);
    return st;
}

static why_status print_parts(const sheet *s, int keys, why_format format) {
    for (size_t first = 0, n; first < s->rows; first += n) {
        n = 1;
        while (first + n < s->rows && same_keys(s, keys, first, first + n)) n++;
        WHY_TRY(print_part(s, keys, first, n, format));
    }
    return WHY_OK;
}

/* People read "-", programmes an empty field. */
static void empty_undefined(sheet *s) {
    for (size_t i = 0; i < s->rows * (size_t)s->columns; i++)
        if (strcmp(s->cell[i], "-") == 0) s->cell[i] = "";
}

static why_status print_sheet(const why_view *v, sheet *s, why_format format) {
    if (s->rows == 0) {
        if (format == WHY_FORMAT_TEXT) printf("%s: the database holds nothing for this table\n", v->name);
        return WHY_OK;
    }
    if (format == WHY_FORMAT_CSV) empty_undefined(s);
    if (v->keys == 0) return print_flat(s, v->help, v->align, format);
    if (format != WHY_FORMAT_CSV) return print_parts(s, v->keys, format);
    char align[16];
    memset(align, 'l', sizeof align);
    align[s->columns] = '\0';
    return print_flat(s, NULL, align, format);
}

/* ---------------------------------------------------------------- command */
/* A text constant of SQL. */
static void put_sql_text(why_buf *b, const char *text) {
    why_buf_text(b, "'");
    for (; *text; text++) why_buf_put(b, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    why_buf_text(b, "'");
}

static why_status name_statistic(const why_args *a, why_buf *b) {
    static const char *const names[] = {"mean", "sd", "median", "valid", "undefined"};
    const char *text = why_args_text(a, "statistic");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) != 0) continue;
        why_buf_printf(b, "), shown(statistic) AS (VALUES('%s')", text);
        return WHY_OK;
    }
    return why_fail(WHY_EARG, "--statistic: got '%s', want mean, sd, median, valid or undefined", text);
}

static why_status name_classes(const why_args *a, why_arena *arena, why_buf *b) {
    const char *file = why_args_text(a, "labels");
    why_labels labels = {0};
    if (file) WHY_TRY(why_labels_load(arena, file, 0, &labels));
    why_buf_text(b, "), class_name(class, name) AS (VALUES(-1, '')");
    for (int i = 0; i < labels.n; i++) {
        why_buf_printf(b, ",(%d,", i);
        put_sql_text(b, labels.names[i]);
        why_buf_text(b, ")");
    }
    return WHY_OK;
}

/* What cli/views.h promises to the queries. */
static why_status name_tables(const why_args *a, why_arena *arena, why_buf *b) {
    why_buf_text(b, "WITH control(name) AS (VALUES('')");
    for (const why_explainer *const *e = why_explainers; *e; e++)
        if ((*e)->flags & WHY_CONTROL) why_buf_printf(b, ",('%s')", (*e)->name);
    why_buf_text(b, "), masked(name) AS (VALUES('')");
    for (const why_metric *const *m = why_metrics; *m; m++)
        if ((*m)->flags & WHY_METRIC_MASK) why_buf_printf(b, ",('%s')", (*m)->name);
    WHY_TRY(name_statistic(a, b));
    WHY_TRY(name_classes(a, arena, b));
    why_buf_text(b, ")");
    return WHY_OK;
}

static why_status print_view(const why_view *v, const why_args *args, why_format format) {
    why_buf b = {0};
    why_store *store = NULL;
    sheet s = {.args = args};
    char *sql = NULL;
    why_status st = why_arena_create(1 << 16, &s.arena);
    if (!st) st = name_tables(args, s.arena, &b);
    why_buf_text(&b, v->sql);
    if (!st) st = why_buf_take(&b, &sql);
    if (!st) st = why_store_open_readonly(why_args_at(args, 0), &store);
    if (!st) st = why_store_query(store, sql, keep_row, &s);
    why_store_close(&store); /* before printing: a slow terminal must not hold the writer up */
    if (!st) st = print_sheet(v, &s, format);
    why_arena_destroy(&s.arena);
    why_buf_clear(&b);
    free(s.cell);
    free(sql);
    return st;
}

static why_status run(const why_args *a, int *exit_code) {
    const char *what = why_args_at(a, 1), *names[MAX_VIEWS];
    size_t n = 0;
    why_format format;
    (void)exit_code;
    WHY_TRY(why_format_parse(why_args_text(a, "format"), &format));
    for (const why_view *v = why_views; v->name; v++) {
        names[n++] = v->name;
        if (!what) printf("  %-13s %s\n", v->name, v->help);
        else if (strcmp(what, v->name) == 0) return print_view(v, a, format);
    }
    if (!what) return WHY_OK;
    const char *near = why_nearest(what, names, n);
    return why_fail(WHY_EARG, "there is no table '%s'%s%s%s; 'whypix table DB' names them", what, near ? ", did you mean '" : "",
                    near ? near : "", near ? "'" : "");
}

static const why_option options[] = {
    {"format", "FORMAT", "text", "text, csv, md or latex", false},
    {"where", "COLUMN=VALUE", NULL, "only rows with this value, e.g. metric=pearson or grid=pixel; may be repeated", true},
    {"statistic", "S", "mean", "of agreement: mean, sd, median (reads every pair), valid or undefined (how many)", false},
    {"labels", "FILE", NULL, "class names, line i = class i", false},
    {0},
};

const why_command why_command_table = {
    .name = "table",
    .positional = "DB [NAME]",
    .summary = "results as a table: agreement, scores, localisation, ...",
    .help = "Without NAME: lists the tables. In text, '*' marks the best value that is not a control's, '-' stands for no value;\n"
            "CSV is long (one value per row) and marks nothing. More questions are answered by analysis/queries.sql.",
    .example = "whypix table results/demo.db agreement --where metric=pearson --where grid=pixel\n"
               "whypix table results/demo.db agreement --statistic median\n"
               "whypix table results/demo.db classes --labels labels.txt\n"
               "whypix table results/demo.db scores --format latex > scores.tex",
    .min_args = 1,
    .max_args = 2,
    .options = options,
    .run = run,
};
