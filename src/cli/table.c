#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "store/store.h"
#include "whypix/explain.h"
#include "whypix/metric.h"

/* Each table is one query. It may use control(name), the control explainers, and masked(name), the metrics that need a mask,
 * both made from the programme's own tables; it goes on behind their WITH. A value that starts with '*' is a best one. Means
 * come from `summary`, so that a table costs the same for ten images as for a million.
 *
 * keys = 0: rows as they come, aligned as `align` says. keys = k: the first k columns name a table of their own, the last three
 * are its row, its column and the value there; CSV stays long. */
typedef struct view {
    const char *name, *help, *align;
    int keys;
    const char *sql;
} view;

/* "topk_iou(0.05)": the name with the values of its parameters. */
#define METRIC_LABEL \
    "me.name || ifnull('(' || (SELECT group_concat(value, ',') FROM json_each(me.params) WHERE value IS NOT NULL) || ')', '')"
/* "lime", "lime #1" for another draw, "lime @50" for another budget. */
#define CELL_LABEL(method, cell) \
    method ".name || CASE WHEN " cell ".repeat > 0 THEN ' #' || " cell ".repeat ELSE '' END || ifnull(' @' || " cell ".budget, '')"
#define PLAIN_CELL(cell) cell ".repeat = 0 AND " cell ".budget IS NULL AND " cell ".prefix_of IS NULL AND " cell ".transform = ''"
/* printf() alone would show an undefined value as 0. */
#define NUMBER(format, x) "iif(" x " IS NULL, '-', printf('" format "', " x "))"
/* A mean, with the mark when it is the best in window w that is no control's. */
#define MARKED_MEAN                                                                                                            \
    "CASE WHEN mean IS NULL THEN '-' ELSE CASE WHEN NOT control AND ((better = 'high' AND mean = max(iif(control, NULL, mean)) OVER w)" \
    " OR (better = 'low' AND mean = min(iif(control, NULL, mean)) OVER w)) THEN '*' ELSE '' END || printf('%.4f', mean) END"

static const char agreement_sql[] =
    ", p AS (SELECT mo.name model, a.target, " METRIC_LABEL " metric, me.policy, me.grid, me.better, a.model_id, me.id metric_id,"
    "  ma.id ia, mb.id ib, ma.name na, mb.name nb, s.n + s.n_null n, s.mean, (ma.explainer IN control OR mb.explainer IN control) control"
    "  FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN cell b ON b.id = s.cell_b"
    "  JOIN model mo ON mo.id = a.model_id JOIN method ma ON ma.id = a.method_id JOIN method mb ON mb.id = b.method_id"
    "  WHERE s.stratum = 'all' AND a.model_id = b.model_id AND a.target = b.target AND ma.id <> mb.id"
    "  AND " PLAIN_CELL("a") " AND " PLAIN_CELL("b") "),"
    " q AS (SELECT *, max(n) OVER w images, " MARKED_MEAN " text FROM p WINDOW w AS (PARTITION BY model_id, target, metric_id)),"
    " m AS (SELECT model_id, metric_id, model, target, metric, policy, grid, images, ia r, ib c, na x, nb y, text FROM q UNION ALL"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, ib, ia, nb, na, text FROM q UNION"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, ia, ia, na, na, '-' FROM q UNION"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, ib, ib, nb, nb, '-' FROM q)"
    "SELECT metric, model, target, policy, grid, images, x method, y \"with\", text mean FROM m ORDER BY model_id, target, metric_id, r, c";

static const char pairs_sql[] =
    ", x AS (SELECT mo.name model, mb.name model_b, a.target, b.target target_b, " METRIC_LABEL " metric, me.policy, me.grid, "
    CELL_LABEL("xa", "a") " method_a, " CELL_LABEL("xb", "b") " method_b, s.*"
    "  FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN cell b ON b.id = s.cell_b"
    "  JOIN model mo ON mo.id = a.model_id JOIN model mb ON mb.id = b.model_id JOIN method xa ON xa.id = a.method_id"
    "  JOIN method xb ON xb.id = b.method_id WHERE s.stratum = 'all')"
    "SELECT metric, policy, grid, iif(model = model_b, model, model || ' / ' || model_b) model,"
    " iif(target = target_b, target, target || ' / ' || target_b) target,"
    " method_a \"method a\", method_b \"method b\", n valid, n_null undefined, " NUMBER("%.4f", "mean") " mean, " NUMBER("%.4f", "sd") " sd"
    " FROM x ORDER BY metric_id, cell_a, cell_b";

/* Scores and localisation differ in one condition. */
#define SCORES_SQL(condition)                                                                                                    \
    ", p AS (SELECT mo.name model, a.target, a.model_id, " METRIC_LABEL " metric, me.better, me.id metric_id, ma.id method_id,"     \
    "  ma.name method, s.n, s.n + s.n_null all_n, s.mean, ma.explainer IN control control"                                                       \
    "  FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN model mo ON mo.id = a.model_id"  \
    "  JOIN method ma ON ma.id = a.method_id WHERE s.stratum = 'all' AND s.cell_b = 0 AND " PLAIN_CELL("a") " AND " condition "),"\
    " q AS (SELECT *, metric || CASE better WHEN 'high' THEN ' \u2191' WHEN 'low' THEN ' \u2193' ELSE '' END label,"                 \
    "  max(all_n) OVER v images, iif(min(n) OVER w = max(n) OVER w, '', min(n) OVER w || '-') || max(n) OVER w valid, " MARKED_MEAN " text"                \
    "  FROM p WINDOW w AS (PARTITION BY model_id, target, metric_id), v AS (PARTITION BY model_id, target)),"                    \
    " m AS (SELECT model_id, metric_id, model, target, images, label, method_id c, method, text FROM q UNION"                    \
    "  SELECT model_id, metric_id, model, target, images, label, 1 << 62, 'valid', valid FROM q)"                                \
    "SELECT model, target, images, label metric, method, text mean FROM m ORDER BY model_id, target, metric_id, c"

static const char scores_sql[] = SCORES_SQL("me.name NOT IN masked");
static const char localisation_sql[] = SCORES_SQL("me.name IN masked");

static const char predictions_sql[] =
    ", k AS (SELECT p.model_id, i.label, count(*) n, sum(p.class = i.label) hits, avg(p.prob) prob"
    "  FROM prediction p JOIN image i ON i.id = p.image_id WHERE p.rank = 0 AND i.label IS NOT NULL GROUP BY 1, 2)"
    "SELECT mo.name model, (SELECT count(*) FROM prediction p WHERE p.model_id = mo.id AND p.rank = 0) images, sum(n) labelled,"
    " " NUMBER("%.4f", "1.0 * sum(hits) / sum(n)") " accuracy, " NUMBER("%.4f", "1.0 * max(n) / sum(n)") " \"majority baseline\","
    " " NUMBER("%.4f", "sum(n * prob) / sum(n)") " \"mean top probability\" FROM model mo LEFT JOIN k ON k.model_id = mo.id GROUP BY mo.id";

static const char failures_sql[] =
    " SELECT i.path image, iif(f.cell_id IS NULL, 'all', mo.name || ' ' || " CELL_LABEL("me", "c") ") cell, f.reason, f.attempt, f.at"
    " FROM failure f LEFT JOIN image i ON i.id = f.image_id LEFT JOIN cell c ON c.id = f.cell_id LEFT JOIN model mo ON mo.id = c.model_id"
    " LEFT JOIN method me ON me.id = c.method_id ORDER BY f.image_id, f.cell_id, f.attempt";

static const char timing_sql[] =
    ", x AS (SELECT e.cell_id, count(*) n, avg(e.evaluations) evaluations, avg(t.wall) wall, max(t.wall) worst, sum(t.wall) total,"
    "  sum(t.cpu) cpu FROM explanation e LEFT JOIN timing t ON t.explanation_id = e.id WHERE e.status = 'done' GROUP BY 1)"
    "SELECT mo.name model, c.target, " CELL_LABEL("me", "c") " method, x.n, " NUMBER("%.0f", "evaluations") " evaluations,"
    " " NUMBER("%.4f", "wall") " \"s each\","
    " " NUMBER("%.4f", "worst") " \"s worst\", " NUMBER("%.1f", "total") " \"s total\", " NUMBER("%.1f", "cpu") " \"cpu s\""
    " FROM x JOIN cell c ON c.id = x.cell_id JOIN model mo ON mo.id = c.model_id JOIN method me ON me.id = c.method_id"
    " ORDER BY c.model_id, c.target, c.id";

static const view views[] = {
    {"agreement", "mean agreement of every two methods, a matrix per metric, model and class", NULL, 6, agreement_sql},
    {"pairs", "every compared pair of cells: mean, SD, defined and undefined values", "lllllllrrrr", 0, pairs_sql},
    {"scores", "metrics of one map, per method; the arrow says which direction is better", NULL, 3, scores_sql},
    {"localisation", "does the map lie on the object? metrics against the ground-truth mask", NULL, 3, localisation_sql},
    {"predictions", "accuracy of each model beside always saying the commonest label", "lrrrrr", 0, predictions_sql},
    {"failures", "what could not be computed, and why", "lllrl", 0, failures_sql},
    {"timing", "evaluations and seconds of each method", "lllrrrrrr", 0, timing_sql},
};
enum { N_VIEWS = sizeof views / sizeof *views };

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

/* Index of `name` among the n names, added when it is new. */
static size_t index_of(const char **names, size_t *n, const char *name) {
    for (size_t i = 0; i < *n; i++)
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

static why_status print_sheet(const view *v, sheet *s, why_format format) {
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
/* WITH control(name) AS (...), masked(name) AS (...) */
static void name_tables(why_buf *b) {
    why_buf_text(b, "WITH control(name) AS (VALUES('')");
    for (const why_explainer *const *e = why_explainers; *e; e++)
        if ((*e)->flags & WHY_CONTROL) why_buf_printf(b, ",('%s')", (*e)->name);
    why_buf_text(b, "), masked(name) AS (VALUES('')");
    for (const why_metric *const *m = why_metrics; *m; m++)
        if ((*m)->flags & WHY_METRIC_MASK) why_buf_printf(b, ",('%s')", (*m)->name);
    why_buf_text(b, ")");
}

static why_status print_view(const view *v, const why_args *args, why_format format) {
    why_buf b = {0};
    why_store *store = NULL;
    sheet s = {.args = args};
    char *sql = NULL;
    name_tables(&b);
    why_buf_text(&b, v->sql);
    why_status st = why_buf_take(&b, &sql);
    if (!st) st = why_arena_create(1 << 16, &s.arena);
    if (!st) st = why_store_open_readonly(why_args_at(args, 0), &store);
    if (!st) st = why_store_query(store, sql, keep_row, &s);
    why_store_close(&store); /* before printing: a slow terminal must not hold the writer up */
    if (!st) st = print_sheet(v, &s, format);
    why_arena_destroy(&s.arena);
    free(s.cell);
    free(sql);
    return st;
}

static why_status run(const why_args *a, int *exit_code) {
    const char *what = why_args_at(a, 1), *names[N_VIEWS];
    why_format format;
    (void)exit_code;
    WHY_TRY(why_format_parse(why_args_text(a, "format"), &format));
    for (int i = 0; i < N_VIEWS; i++) {
        names[i] = views[i].name;
        if (!what) printf("  %-13s %s\n", views[i].name, views[i].help);
        else if (strcmp(what, views[i].name) == 0) return print_view(&views[i], a, format);
    }
    if (!what) return WHY_OK;
    const char *near = why_nearest(what, names, N_VIEWS);
    return why_fail(WHY_EARG, "there is no table '%s'%s%s%s; 'whypix table DB' names them", what, near ? ", did you mean '" : "",
                    near ? near : "", near ? "'" : "");
}

static const why_option options[] = {
    {"format", "FORMAT", "text", "text, csv, md or latex", false},
    {"where", "COLUMN=VALUE", NULL, "only rows with this value, e.g. metric=pearson or grid=pixel; may be repeated", true},
    {0},
};

const why_command why_command_table = {
    .name = "table",
    .positional = "DB [NAME]",
    .summary = "results as a table: agreement, scores, localisation, ...",
    .help = "Without NAME: lists the tables. In text, '*' marks the best value that is not a control's, '-' stands for no value;\n"
            "CSV is long (one value per row) and marks nothing. More questions are answered by analysis/queries.sql.",
    .example = "whypix table results/demo.db agreement --where metric=pearson --where grid=pixel\nwhypix table results/demo.db scores --format latex > scores.tex",
    .min_args = 1,
    .max_args = 2,
    .options = options,
    .run = run,
};
