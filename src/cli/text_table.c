#include "cli/text_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct row {
    bool rule; /* a line before this row */
    char **cell;
};

struct why_text_table {
    int columns;
    char *align;
    struct row head, *rows;
    size_t n, capacity;
    bool rule_next;
};

why_status why_format_parse(const char *text, why_format *out) {
    static const char *const names[] = {"text", "csv", "md", "latex"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (why_format)i;
            return WHY_OK;
        }
    return why_fail(WHY_EARG, "format '%s' is unknown: want text, csv, md or latex", text);
}

static void row_clear(struct row *r, int columns) {
    for (int i = 0; r->cell && i < columns; i++) free(r->cell[i]);
    free(r->cell);
    r->cell = NULL;
}

static why_status row_copy(const char *const *cells, int columns, struct row *out) {
    WHY_TRY(why_alloc((size_t)columns, sizeof *out->cell, "table row", &out->cell));
    for (int i = 0; i < columns; i++) {
        why_status st = why_strdup(cells[i] ? cells[i] : "", &out->cell[i]);
        if (st) {
            row_clear(out, columns);
            return st;
        }
    }
    return WHY_OK;
}

why_status why_text_table_create(int columns, const char *const *heads, const char *align, why_text_table **out) {
    *out = NULL;
    why_text_table *t;
    WHY_TRY(why_alloc(1, sizeof *t, "table", &t));
    t->columns = columns;
    why_status st = why_strdup(align, &t->align);
    if (!st) st = row_copy(heads, columns, &t->head);
    if (st) why_text_table_destroy(&t);
    *out = t;
    return st;
}

void why_text_table_destroy(why_text_table **table) {
    why_text_table *t = *table;
    if (!t) return;
    row_clear(&t->head, t->columns);
    for (size_t i = 0; i < t->n; i++) row_clear(&t->rows[i], t->columns);
    free(t->rows);
    free(t->align);
    free(t);
    *table = NULL;
}

why_status why_text_table_add(why_text_table *t, const char *const *cells) {
    WHY_TRY(why_grow(&t->rows, &t->capacity, t->n + 1, sizeof *t->rows, "table"));
    struct row *r = &t->rows[t->n];
    *r = (struct row){.rule = t->rule_next};
    WHY_TRY(row_copy(cells, t->columns, r));
    t->rule_next = false;
    t->n++;
    return WHY_OK;
}

void why_text_table_rule(why_text_table *t) { t->rule_next = t->n > 0; }

/* ---------------------------------------------------------------- text */
/* Columns that a UTF-8 text takes: its code points (arrows and accents are one wide). */
static int width_of(const char *s) {
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* How a column is laid out: its widest body, and one place more when a value in it is marked as best. */
struct layout {
    int body;
    bool star;
};

static void fit(struct layout *l, const char *cell) {
    bool best = cell[0] == '*';
    int n = width_of(cell + best);
    if (n > l->body) l->body = n;
    l->star |= best;
}

/* The cell as a plain text shows it: "*0.93" becomes "0.93*", and numbers above and below stay in line with it. */
static void show_text(const char *cell, char align, const struct layout *l, bool last, FILE *to) {
    bool best = cell[0] == '*';
    int pad = l->body - width_of(cell + best), left = align == 'r' ? pad : align == 'c' ? pad / 2 : 0;
    fprintf(to, "%*s%s%s", left, "", cell + best, best ? "*" : "");
    if (!last) fprintf(to, "%*s  ", pad - left + (l->star && !best), "");
}

static void text_row(const why_text_table *t, const struct row *r, const struct layout *l, FILE *to) {
    for (int c = 0; c < t->columns; c++) show_text(r->cell[c], t->align[c], &l[c], c + 1 == t->columns, to);
    fputc('\n', to);
}

static void text_rule(int total, FILE *to) {
    for (int i = 0; i < total; i++) fputc('-', to);
    fputc('\n', to);
}

static why_status print_text(const why_text_table *t, const char *title, FILE *to) {
    struct layout *l;
    int total = 2 * (t->columns - 1);
    WHY_TRY(why_alloc((size_t)t->columns, sizeof *l, "table widths", &l));
    for (int c = 0; c < t->columns; c++) {
        fit(&l[c], t->head.cell[c]);
        for (size_t i = 0; i < t->n; i++) fit(&l[c], t->rows[i].cell[c]);
        total += l[c].body + l[c].star;
    }
    if (title) fprintf(to, "%s\n", title);
    text_row(t, &t->head, l, to);
    text_rule(total, to);
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].rule) text_rule(total, to);
        text_row(t, &t->rows[i], l, to);
    }
    free(l);
    return WHY_OK;
}

/* ---------------------------------------------------------------- CSV, Markdown, LaTeX */
static void csv_row(const why_text_table *t, const struct row *r, FILE *to) {
    for (int c = 0; c < t->columns; c++) {
        const char *s = r->cell[c] + (r->cell[c][0] == '*');
        bool quote = strpbrk(s, ",\"\r\n") != NULL;
        if (c) fputc(',', to);
        if (quote) fputc('"', to);
        for (; *s; s++) {
            if (*s == '"') fputc('"', to);
            fputc(*s, to);
        }
        if (quote) fputc('"', to);
    }
    fputs("\r\n", to);
}

static void md_row(const why_text_table *t, const struct row *r, FILE *to) {
    for (int c = 0; c < t->columns; c++) {
        bool best = r->cell[c][0] == '*';
        fprintf(to, "%s%s", c ? " | " : "| ", best ? "**" : "");
        for (const char *s = r->cell[c] + best; *s; s++) fprintf(to, *s == '|' ? "\\%c" : "%c", *s);
        fputs(best ? "**" : "", to);
    }
    fputs(" |\n", to);
}

static void print_md(const why_text_table *t, const char *title, FILE *to) {
    if (title) fprintf(to, "**%s**\n\n", title);
    md_row(t, &t->head, to);
    for (int c = 0; c < t->columns; c++) fputs(t->align[c] == 'l' ? "| --- " : t->align[c] == 'r' ? "| ---: " : "| :---: ", to);
    fputs("|\n", to);
    for (size_t i = 0; i < t->n; i++) md_row(t, &t->rows[i], to);
}

static void latex_text(const char *s, FILE *to) {
    for (; *s; s++) {
        if (strncmp(s, "\u2191", 3) == 0 || strncmp(s, "\u2193", 3) == 0) {
            fputs(s[2] == "\u2191"[2] ? "$\\uparrow$" : "$\\downarrow$", to);
            s += 2;
        } else if (strchr("&%$#_{}", *s)) fprintf(to, "\\%c", *s);
        else if (*s == '~') fputs("\\textasciitilde{}", to);
        else if (*s == '^') fputs("\\textasciicircum{}", to);
        else if (*s == '\\') fputs("\\textbackslash{}", to);
        else fputc(*s, to);
    }
}

static void latex_row(const why_text_table *t, const struct row *r, FILE *to) {
    for (int c = 0; c < t->columns; c++) {
        bool best = r->cell[c][0] == '*';
        fputs(c ? " & " : "  ", to);
        fputs(best ? "\\textbf{" : "", to);
        latex_text(r->cell[c] + best, to);
        fputs(best ? "}" : "", to);
    }
    fputs(" \\\\\n", to);
}

static void print_latex(const why_text_table *t, const char *title, FILE *to) {
    fprintf(to, "\\begin{table}\n\\centering\n");
    if (title) {
        fputs("\\caption{", to);
        latex_text(title, to);
        fputs("}\n", to);
    }
    fprintf(to, "\\begin{tabular}{%s}\n\\toprule\n", t->align);
    latex_row(t, &t->head, to);
    fputs("\\midrule\n", to);
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].rule) fputs("\\midrule\n", to);
        latex_row(t, &t->rows[i], to);
    }
    fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", to);
}

why_status why_text_table_print(const why_text_table *t, const char *title, why_format format, FILE *to) {
    if (format == WHY_FORMAT_TEXT) return print_text(t, title, to);
    if (format == WHY_FORMAT_MD) print_md(t, title, to);
    if (format == WHY_FORMAT_LATEX) print_latex(t, title, to);
    if (format == WHY_FORMAT_CSV) {
        csv_row(t, &t->head, to);
        for (size_t i = 0; i < t->n; i++) csv_row(t, &t->rows[i], to);
    }
    return WHY_OK;
}
