#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "whypix/metric.h"

struct maps {
    float *a, *b;
    int h, w;
};

static why_status load_map(const char *path, float **map, int *h, int *w) {
    why_shape s;
    WHY_TRY(why_npy_load_f32(path, &s, map));
    if (s.rank != 2 || s.dim[0] < 1 || s.dim[1] < 1 || s.dim[0] > 65535 || s.dim[1] > 65535)
        return why_fail(WHY_EARG, "%s: got an array of rank %d, want a map H x W", path, s.rank);
    *h = (int)s.dim[0];
    *w = (int)s.dim[1];
    for (int64_t i = 0; i < s.dim[0] * s.dim[1]; i++)
        if (!isfinite((*map)[i])) return why_fail(WHY_EFORMAT, "%s: value %lld is not finite", path, (long long)i);
    return WHY_OK;
}

static why_status load_maps(const char *path_a, const char *path_b, struct maps *m) {
    int h, w;
    WHY_TRY(load_map(path_a, &m->a, &m->h, &m->w));
    WHY_TRY(load_map(path_b, &m->b, &h, &w));
    if (h != m->h || w != m->w) return why_fail(WHY_EARG, "the maps differ in size: %s is %d x %d, %s is %d x %d", path_a, m->h, m->w, path_b, h, w);
    return WHY_OK;
}

/* The value of the metric under one policy and grid; several when the metric has a list parameter: its default only. */
static why_status compare_one(const why_metric *metric, const struct maps *m, why_policy policy, const why_grid *grid, why_value *out) {
    why_field a = {0}, b = {0};
    why_params *p = NULL;
    why_status st = why_field_make(m->a, m->h, m->w, NULL, policy, grid, NULL, &a);
    if (!st) st = why_field_make(m->b, m->h, m->w, NULL, policy, grid, NULL, &b);
    if (!st) st = why_params_create(metric->params, &p);
    if (!st) st = metric->pair(&a, &b, p, out);
    why_params_destroy(&p);
    why_field_clear(&a);
    why_field_clear(&b);
    return st;
}

struct sink {
    bool json;
    int rows;
    why_text_table *table;
    why_buf text;
};

static why_status put(struct sink *s, const char *metric, const char *policy, const char *grid, why_value v) {
    char number[32] = "";
    if (!v.why) snprintf(number, sizeof number, "%.6f", v.value);
    if (!s->json) return why_text_table_add(s->table, (const char *const[]){metric, policy, grid, v.why ? "undefined" : number, v.why});
    why_buf_printf(&s->text, "%s\n  {\"metric\": \"%s\", \"policy\": \"%s\", \"grid\": \"%s\", \"value\": ", s->rows++ ? "," : "", metric, policy, grid);
    why_buf_number(&s->text, v.why ? NAN : v.value);
    why_buf_text(&s->text, ", \"why\": ");
    why_buf_json(&s->text, v.why);
    why_buf_text(&s->text, "}");
    return WHY_OK;
}

static why_status compare_all(const struct maps *m, struct sink *s) {
    static const char *const grids[] = {"pixel", "14x14", "7x7"};
    for (const why_metric *const *metric = why_metrics; *metric; metric++)
        for (int p = WHY_POSITIVE; (*metric)->kind == WHY_PAIR && p <= WHY_ABSOLUTE; p++)
            for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
                why_grid grid;
                why_value v = {0};
                WHY_TRY(why_grid_parse(grids[g], &grid));
                if (grid.kind == WHY_GRID_CELLS && (grid.rows > m->h || grid.cols > m->w)) continue;
                if (!why_metric_suits(*metric, (why_policy)p, &grid)) continue;
                WHY_TRY(compare_one(*metric, m, (why_policy)p, &grid, &v));
                WHY_TRY(put(s, (*metric)->name, why_policy_name((why_policy)p), grids[g], v));
            }
    return WHY_OK;
}

static why_status print(struct sink *s) {
    if (!s->json) return why_text_table_print(s->table, NULL, WHY_FORMAT_TEXT, stdout);
    char *text;
    why_buf_text(&s->text, "\n]\n");
    WHY_TRY(why_buf_take(&s->text, &text));
    printf("[%s", text);
    free(text);
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    static const char *const heads[] = {"metric", "policy", "grid", "value", "why"};
    struct maps m = {0};
    struct sink s = {.json = why_args_given(a, "json")};
    (void)exit_code;
    why_status st = why_text_table_create(5, heads, "lllrl", &s.table);
    if (!st) st = load_maps(why_args_at(a, 0), why_args_at(a, 1), &m);
    if (!st) st = compare_all(&m, &s);
    if (!st) st = print(&s);
    why_text_table_destroy(&s.table);
    why_buf_clear(&s.text);
    free(m.a);
    free(m.b);
    return st;
}

static const why_option options[] = {
    {"json", NULL, NULL, "print a JSON array instead of a table", false},
    {0},
};

const why_command why_command_compare = {
    .name = "compare",
    .positional = "A.npy B.npy",
    .summary = "every agreement metric of two maps",
    .help = "Compares two maps (float arrays H x W of the same size) under every policy (positive, signed, absolute) and\n"
            "grid (pixel, 14x14, 7x7). Undefined values are said to be so, with the reason.",
    .example = "whypix compare lime.npy gradcam.npy",
    .min_args = 2,
    .max_args = 2,
    .options = options,
    .run = run,
};
