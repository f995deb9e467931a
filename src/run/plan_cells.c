/* Methods, cells and pairs: what is explained, and what is compared with what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/gallery.h"
#include "run/plan_build.h"

enum { MAX_CELLS = 65535 };

/* ---------------------------------------------------------------- methods */
/* {"samples":100,"segmenter":"quickshift","output":"probability"} */
static why_status method_json(const why_params *params, why_output output, why_buf *b) {
    char *json;
    WHY_TRY(why_params_canonical(params, &json));
    size_t n = strlen(json);
    why_buf_put(b, json, n - 1);
    why_buf_printf(b, "%s\"output\":\"%s\"}", n > 2 ? "," : "", why_output_name(output));
    free(json);
    return why_buf_status(b);
}

/* The lowest value that a budget can have, and no earlier end. */
static why_status lowest_budget(const why_explainer *e, why_params *params) {
    char text[32];
    const why_param *t = e->params;
    while (strcmp(t->name, e->budget) != 0) t++;
    snprintf(text, sizeof text, "%.0f", t->lo);
    WHY_TRY(why_params_set(params, e->budget, text));
    return why_params_has(params, "until_se_range") ? why_params_set(params, "until_se_range", "0") : WHY_OK;
}

/* The method with its budget at the lowest: the same text for a cell and its budget prefixes, so that they share draws. */
static why_status draw_text(why_arena *arena, const why_job_method *m, const char **out) {
    why_params *fixed;
    why_buf b = {0};
    WHY_TRY(why_params_copy(m->params, &fixed));
    why_status st = m->explainer->budget ? lowest_budget(m->explainer, fixed) : WHY_OK;
    why_buf_text(&b, m->explainer->name);
    if (!st) st = method_json(fixed, m->output, &b);
    why_params_destroy(&fixed);
    if (!st) return why_plan_text(arena, &b, out);
    why_buf_clear(&b);
    return st;
}

/* Another list or file is another background set, and so another method. */
static why_status put_background(const why_plan *p, const why_job_method *m, why_buf *json) {
    char hex[65];
    WHY_TRY(why_background_sha256(p, m, hex));
    if (!*hex) return WHY_OK;
    json->size--;
    why_buf_printf(json, ",\"background_sha256\":\"%s\"}", hex);
    return why_buf_status(json);
}

static why_status add_method(why_plan *p, why_job_method *from, int index) {
    why_plan_method *m = &p->methods[index];
    why_buf b = {0};
    *m = (why_plan_method){.id = index + 1, .name = from->name, .explainer = from->explainer, .output = from->output};
    WHY_TRY(method_json(from->params, from->output, &b));
    WHY_TRY(put_background(p, from, &b));
    WHY_TRY(why_plan_text(p->arena, &b, &m->canonical));
    WHY_TRY(draw_text(p->arena, from, &m->draw));
    why_buf_text(&b, "method\n");
    why_buf_json(&b, m->name);
    why_buf_printf(&b, "\n%s\n%s\n", m->explainer->name, m->canonical);
    WHY_TRY(why_plan_uid(p->arena, &b, &m->uid));
    m->params = from->params;
    from->params = NULL;
    return WHY_OK;
}

why_status why_plan_add_methods(why_plan_builder *b) {
    why_plan *p = b->plan;
    WHY_TRY(why_arena_array(p->arena, (size_t)b->job.n_methods, sizeof *p->methods, &p->methods));
    for (int i = 0; i < b->job.n_methods; i++) {
        p->n_methods = i + 1;
        WHY_TRY(add_method(p, &b->job.methods[i], i));
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- cells */
static const char *budget_kind(const why_explainer *e, const why_params *p) { return e->budget_kind ? e->budget_kind(p) : "prefix"; }

static why_status add_cell(why_plan *p, int model, int method, const char *target, int repeat, int64_t budget, int prefix_of) {
    if (p->n_cells == MAX_CELLS)
        return why_fail(WHY_ELIMIT, "the job has more than %d cells (model x method x target x repeat x budget)", MAX_CELLS);
    why_plan_cell *c = &p->cells[p->n_cells++];
    why_buf b = {0};
    *c = (why_plan_cell){.id = p->n_cells,
                         .model = model,
                         .method = method,
                         .target = target,
                         .repeat = repeat,
                         .budget = budget,
                         .prefix_of = prefix_of,
                         .transform = "",
                         .budget_kind = budget < 0 ? NULL : budget_kind(p->methods[method].explainer, p->methods[method].params)};
    why_buf_printf(&b, "cell\n%s\n%s\n%s\n%d\n%lld\n%s\n", p->models[model].uid, p->methods[method].uid, target, repeat, (long long)budget,
                   c->transform);
    WHY_TRY(why_plan_uid(p->arena, &b, &c->uid));
    why_buf_printf(&b, "%s#%d", p->methods[method].draw, repeat);
    return why_plan_text(p->arena, &b, &c->draw);
}

static why_status add_cells_of(why_plan_builder *b, int model, int method, const char *target) {
    why_plan *p = b->plan;
    const why_job_method *m = &b->job.methods[method];
    if (why_job_excludes(&b->job, p->models[model].name, m, target)) return WHY_OK;
    for (int r = 0; r < m->repeats; r++) {
        int full = p->n_cells;
        WHY_TRY(add_cell(p, model, method, target, r, -1, -1));
        for (int k = 0; k < m->n_budgets; k++) WHY_TRY(add_cell(p, model, method, target, r, m->budgets[k], full));
    }
    return WHY_OK;
}

why_status why_plan_add_cells(why_plan_builder *b) {
    why_plan *p = b->plan;
    const why_job *job = &b->job;
    int64_t each = 0, most;
    for (int i = 0; i < job->n_methods; i++) each += (int64_t)job->methods[i].repeats * (1 + job->methods[i].n_budgets);
    if (__builtin_mul_overflow(each, (int64_t)p->n_models * job->n_targets, &most) || most > MAX_CELLS) most = MAX_CELLS;
    WHY_TRY(why_arena_array(p->arena, (size_t)most, sizeof *p->cells, &p->cells));
    for (int m = 0; m < p->n_models; m++)
        for (int t = 0; t < job->n_targets; t++)
            for (int k = 0; k < p->n_methods; k++) WHY_TRY(add_cells_of(b, m, k, job->targets[t].text));
    return p->n_cells ? WHY_OK : why_at(job->exclude ? job->exclude : job->root, "nothing is left to compute: every cell is excluded");
}

/* ---------------------------------------------------------------- pairs */
static bool is_plain(const why_plan_cell *c) { return c->repeat == 0 && c->budget < 0; }

static bool is_named(const why_job_method *m, const char *name) { return strcmp(m->name, name) == 0 || strcmp(m->base, name) == 0; }

static bool is_listed(const why_job *job, int a, int b) {
    for (int i = 0; i < job->n_listed; i++) {
        const why_job_name_pair *p = &job->listed[i];
        if (is_named(&job->methods[a], p->a) && is_named(&job->methods[b], p->b)) return true;
        if (is_named(&job->methods[a], p->b) && is_named(&job->methods[b], p->a)) return true;
    }
    return false;
}

/* Two samples of one method at one budget (reliability), or a budget prefix against its own full cell. */
static bool same_method_pair(const why_plan *p, int a, int b) {
    const why_plan_cell *x = &p->cells[a], *y = &p->cells[b];
    if (x->budget == y->budget) return x->repeat != y->repeat;
    return y->prefix_of == a || x->prefix_of == b;
}

static bool wanted(const why_plan *p, const why_job *job, int a, int b) {
    const why_plan_cell *x = &p->cells[a], *y = &p->cells[b];
    if (x->model != y->model || strcmp(x->target, y->target) != 0) return false;
    bool listed = job->pairs != WHY_PAIRS_LISTED || is_listed(job, x->method, y->method);
    if (x->method == y->method) return job->pairs != WHY_PAIRS_METHODS && listed && same_method_pair(p, a, b);
    return listed && is_plain(x) && is_plain(y);
}

why_status why_plan_add_pairs(why_plan_builder *b) {
    why_plan *p = b->plan;
    why_plan_pair *pairs = NULL;
    size_t n = 0, capacity = 0;
    why_status st = WHY_OK;
    for (int a = 0; !st && b->job.n_agreement && a < p->n_cells; a++)
        for (int c = a + 1; !st && c < p->n_cells && p->cells[c].model == p->cells[a].model; c++) {
            if (!wanted(p, &b->job, a, c)) continue;
            st = why_grow(&pairs, &capacity, n + 1, sizeof *pairs, "pairs");
            if (!st) pairs[n++] = (why_plan_pair){a, c};
        }
    if (!st && n > INT32_MAX) st = why_fail(WHY_ELIMIT, "the job compares %zu pairs of cells; that is too many", n);
    if (!st) st = why_arena_array(p->arena, n, sizeof *pairs, &p->pairs);
    if (!st && n) memcpy(p->pairs, pairs, n * sizeof *pairs);
    p->n_pairs = st ? 0 : (int)n;
    free(pairs);
    return st;
}

/* ---------------------------------------------------------------- parameters of a cell */
why_status why_plan_cell_params(const why_plan *p, int cell, why_params **out) {
    const why_plan_cell *c = &p->cells[cell];
    const why_plan_method *m = &p->methods[c->method];
    char text[32];
    WHY_TRY(why_params_copy(m->params, out));
    if (c->budget < 0) return WHY_OK;
    snprintf(text, sizeof text, "%lld", (long long)c->budget);
    why_status st = why_params_set(*out, m->explainer->budget, text);
    if (st) why_params_destroy(out);
    return st;
}
