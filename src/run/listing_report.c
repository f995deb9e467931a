/* A finished list, for programmes and for people. */
#include <stdlib.h>
#include <string.h>

#include "run/csv.h"
#include "run/listing_rows.h"

enum { VALUES_SHOWN = 12, GROUPS_SHOWN = 5, LABEL = 1, GROUP = 4, SPLIT = 5, KNOWN = 6 };

/* ---------------------------------------------------------------- CSV */
static const char *field_of(const why_list_row *row, int column) {
    const char *const known[KNOWN] = {row->image, row->label, row->mask, row->boxes, row->group, row->split};
    return column < KNOWN ? known[column] : row->covar[column - KNOWN];
}

static const char *name_of(const why_listing *l, int column) {
    static const char *const known[KNOWN] = {"image", "label", "mask", "boxes", "group", "split"};
    return column < KNOWN ? known[column] : l->kind->covars[column - KNOWN];
}

static bool is_used(const why_listing *l, int column) {
    for (size_t i = 0; i < l->n; i++)
        if (field_of(&l->row[i], column)) return true;
    return false;
}

void why_listing_csv(const why_listing *l, why_buf *b) {
    int column[KNOWN + WHY_LIST_COVARS], n = 0;
    for (int c = 0; c < KNOWN + WHY_LIST_COVARS; c++)
        if (is_used(l, c)) column[n++] = c;
    for (int c = 0; c < n; c++) why_buf_printf(b, "%s%s", c ? "," : "", name_of(l, column[c]));
    why_buf_text(b, "\n");
    for (size_t i = 0; i < l->n; i++)
        for (int c = 0; c < n; c++) {
            const char *field = field_of(&l->row[i], column[c]);
            why_csv_put(b, field ? field : "");
            why_buf_text(b, c + 1 < n ? "," : "\n");
        }
}

/* ---------------------------------------------------------------- counts */
typedef struct tally {
    const char *name;
    size_t n;
} tally;

/* Numbers by their value, names by their bytes. */
static int by_text(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    char *end_x, *end_y;
    const long i = strtol(x, &end_x, 10), j = strtol(y, &end_y, 10);
    const bool numbers = *x && *y && !*end_x && !*end_y;
    return numbers ? (i > j) - (i < j) : strcmp(x, y);
}

/* How often every value of a column occurs (owned; NULL when memory is out). */
static tally *count(const why_listing *l, int column, size_t *n) {
    const char **value = calloc(l->n + 1, sizeof *value);
    tally *t = calloc(l->n + 1, sizeof *t);
    size_t values = 0;
    *n = 0;
    for (size_t i = 0; value && t && i < l->n; i++)
        if (field_of(&l->row[i], column)) value[values++] = field_of(&l->row[i], column);
    if (value) qsort(value, values, sizeof *value, by_text);
    for (size_t i = 0; value && t && i < values; i++) {
        if (*n == 0 || strcmp(t[*n - 1].name, value[i]) != 0) t[(*n)++].name = value[i];
        t[*n - 1].n++;
    }
    free(value);
    return t;
}

/* "splits: test 378, train 1318", or how many values there are and how often the rarest and the commonest occur. */
static void put_counts(const why_listing *l, int column, const char *what, why_buf *b) {
    size_t n, least = SIZE_MAX, most = 0;
    tally *t = count(l, column, &n);
    for (size_t i = 0; i < n; i++) {
        least = t[i].n < least ? t[i].n : least;
        most = t[i].n > most ? t[i].n : most;
        if (n <= VALUES_SHOWN) why_buf_printf(b, "%s %s %zu", i ? "," : what, t[i].name, t[i].n);
    }
    if (n > VALUES_SHOWN) why_buf_printf(b, "%s %zu, each with %zu to %zu pictures", what, n, least, most);
    if (n > 0) why_buf_text(b, "\n");
    free(t);
}

void why_listing_names(const why_listing *l, why_buf *b) {
    size_t n;
    tally *t = count(l, LABEL, &n);
    for (size_t i = 0; i < n; i++) why_buf_printf(b, "%s\n", t[i].name);
    free(t);
}

/* ---------------------------------------------------------------- groups that stand in several splits */
static int by_group(const void *a, const void *b) {
    const why_list_row *x = *(const why_list_row *const *)a, *y = *(const why_list_row *const *)b;
    const int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->split, y->split);
}

/* Rows with a group and a split, sorted by both (owned; NULL when memory is out). */
static const why_list_row **sort_groups(const why_listing *l, size_t *n) {
    const why_list_row **row = calloc(l->n + 1, sizeof *row);
    *n = 0;
    for (size_t i = 0; row && i < l->n; i++)
        if (l->row[i].group && l->row[i].split) row[(*n)++] = &l->row[i];
    if (row) qsort(row, *n, sizeof *row, by_group);
    return row;
}

/* What a patient's pictures in the training split taught would count again in the test split. */
static void put_spanning(const why_listing *l, why_buf *b) {
    size_t n, spanning = 0;
    const why_list_row **row = sort_groups(l, &n);
    why_buf names = {0};
    for (size_t first = 0, next; first < n; first = next) {
        for (next = first + 1; next < n && strcmp(row[next]->group, row[first]->group) == 0;) next++;
        if (strcmp(row[first]->split, row[next - 1]->split) == 0) continue;
        if (spanning++ < GROUPS_SHOWN) why_buf_printf(&names, "%s%s", spanning > 1 ? ", " : "", row[first]->group);
    }
    if (spanning)
        why_buf_printf(b, "warning: %zu group%s in more than one split: %.*s%s\n", spanning, spanning == 1 ? " stands" : "s stand",
                       (int)names.size, names.data ? (const char *)names.data : "", spanning > GROUPS_SHOWN ? ", ..." : "");
    why_buf_clear(&names);
    free(row);
}

static void put_refused(const why_listing *l, why_buf *b) {
    const size_t shown = l->n_refused < WHY_REFUSALS_SHOWN ? l->n_refused : WHY_REFUSALS_SHOWN;
    if (!l->n_refused) return;
    why_buf_printf(b, "%zu refused:\n", l->n_refused);
    for (size_t i = 0; i < shown; i++) why_buf_printf(b, "  %s: %s\n", l->refused[i].what, l->refused[i].why);
    if (shown < l->n_refused) why_buf_printf(b, "  and %zu more\n", l->n_refused - shown);
}

void why_listing_report(const why_listing *l, why_buf *b) {
    size_t groups;
    tally *t = count(l, GROUP, &groups);
    free(t);
    why_buf_printf(b, "%zu picture%s\n", l->n, l->n == 1 ? "" : "s");
    put_counts(l, LABEL, "classes:", b);
    put_counts(l, SPLIT, "splits:", b);
    if (groups) why_buf_printf(b, "groups: %zu\n", groups);
    if (l->n_left_out) why_buf_printf(b, "%zu of other classes left out\n", l->n_left_out);
    put_refused(l, b);
    put_spanning(l, b);
}
