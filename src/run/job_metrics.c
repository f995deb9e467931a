/* agreement, scores, fills. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "run/job.h"

/* ---------------------------------------------------------------- metrics */
struct metric_list {
    why_job_metric **items;
    int *n;
    int kind; /* WHY_PAIR or WHY_SCORE */
    size_t capacity;
};

static const char *kind_name(int kind) { return kind == WHY_PAIR ? "agreement metrics" : "scores"; }

/* Room for the names of metrics and sets that a misspelt one may mean. */
enum { MOST_NAMES = 256 };

static why_status find_metric(const why_node *at, const char *name, int kind, const why_metric **out) {
    const char *names[MOST_NAMES] = {0};
    size_t n = 0;
    *out = why_metric_find(name);
    if (*out && (int)(*out)->kind == kind) return WHY_OK;
    if (*out) return why_at(at, "%s: '%s' belongs under %s", kind_name(kind), name, kind == WHY_PAIR ? "scores" : "agreement: metrics");
    for (size_t i = 0; why_metrics[i] && n < MOST_NAMES; i++)
        if ((int)why_metrics[i]->kind == kind) names[n++] = why_metrics[i]->name;
    for (size_t i = 0; why_metric_sets[i].name && n < MOST_NAMES; i++) names[n++] = why_metric_sets[i].name;
    const char *nearest = why_nearest(name, names, n);
    if (nearest) return why_at(at, "%s: '%s' is unknown or not built yet; did you mean '%s'?", kind_name(kind), name, nearest);
    return why_at(at, "%s: '%s' is unknown or not built yet; see `whypix list metrics`", kind_name(kind), name);
}

static why_status set_from(why_params *p, const char *name, const why_node *v) {
    WHY_TRY(why_want_kind(v, WHY_NODE_SCALAR, name));
    return why_wrap_at(why_params_set(p, name, v->text), v);
}

/* One metric with the settings of `settings` (may be NULL), and the list parameter set from `item` (may be NULL). */
static why_status add_metric(why_job *job, const struct metric_list *list, const why_node *at, const why_metric *metric,
                             const why_node *settings, const why_node *item) {
    (void)job;
    if ((size_t)*list->n == list->capacity) return why_at(at, "%s: more than %zu", kind_name(list->kind), list->capacity);
    why_job_metric *m = &(*list->items)[*list->n];
    *m = (why_job_metric){.at = at, .metric = metric};
    WHY_TRY(why_params_create(metric->params, &m->params));
    ++*list->n;
    for (int i = 0; settings && i < settings->n; i++) {
        const why_entry *e = &settings->entry[i];
        if (item && strcmp(e->key, metric->list) == 0) continue;
        WHY_TRY(set_from(m->params, e->key, e->value));
    }
    return item ? set_from(m->params, metric->list, item) : WHY_OK;
}

static why_status add_listed(why_job *job, const struct metric_list *list, const why_metric *metric, const why_node *settings,
                             const why_node *values) {
    if (values->n == 0) return why_at(values, "%s: the list is empty", metric->name);
    for (int i = 0; i < values->n; i++) WHY_TRY(add_metric(job, list, values, metric, settings, values->entry[i].value));
    return WHY_OK;
}

/* {name: {param: value}}, {name: [values]} or {name: value}; lists and single values are for the metric's list parameter. */
static why_status read_settings(why_job *job, const struct metric_list *list, const why_node *v) {
    const why_metric *metric;
    if (v->n != 1) return why_at(v, "%s: want a name, {name: {parameter: value}} or {name: [values]}", kind_name(list->kind));
    const why_node *settings = v->entry[0].value;
    WHY_TRY(find_metric(v, v->entry[0].key, list->kind, &metric));
    if (settings->kind == WHY_NODE_MAP) {
        const why_node *values = metric->list ? why_node_get(settings, metric->list) : NULL;
        if (values && values->kind == WHY_NODE_LIST) return add_listed(job, list, metric, settings, values);
        return add_metric(job, list, v, metric, settings, NULL);
    }
    if (!metric->list) return why_at(settings, "%s: want {parameter: value}; it has no parameter that takes a list", metric->name);
    if (settings->kind == WHY_NODE_LIST) return add_listed(job, list, metric, NULL, settings);
    return add_metric(job, list, v, metric, NULL, settings);
}

/* Is the last metric of the list there already, with the same parameters? */
static why_status is_double(const struct metric_list *list, bool *yes) {
    const why_job_metric *last = &(*list->items)[*list->n - 1];
    char *mine, *other;
    *yes = false;
    WHY_TRY(why_params_canonical(last->params, &mine));
    why_status st = WHY_OK;
    for (int i = 0; !st && !*yes && i < *list->n - 1; i++) {
        const why_job_metric *m = &(*list->items)[i];
        if (m->metric != last->metric) continue;
        st = why_params_canonical(m->params, &other);
        if (st) break;
        *yes = strcmp(mine, other) == 0;
        free(other);
    }
    free(mine);
    return st;
}

/* An item of a set, when it is of the list's kind and not there yet. */
static why_status add_item(const struct metric_list *list, const why_node *at, const char *item) {
    char *name;
    bool twice;
    WHY_TRY(why_call_name(item, &name));
    const why_metric *metric = why_metric_find(name);
    free(name);
    if (!metric) return why_fail(WHY_EBUG, "a set of metrics names '%s'", item);
    if ((int)metric->kind != list->kind) return WHY_OK;
    if ((size_t)*list->n == list->capacity) return why_at(at, "%s: more than %zu", kind_name(list->kind), list->capacity);
    why_job_metric *m = &(*list->items)[*list->n];
    *m = (why_job_metric){.at = at, .metric = metric};
    WHY_TRY(why_call_params(item, metric->params, &m->params));
    ++*list->n;
    WHY_TRY(is_double(list, &twice));
    if (!twice) return WHY_OK;
    --*list->n;
    why_params_destroy(&m->params);
    return WHY_OK;
}

static why_status add_set(const struct metric_list *list, const why_node *at, const why_metric_set *set) {
    for (const char *const *item = set->items; *item; item++) WHY_TRY(add_item(list, at, *item));
    return WHY_OK;
}

static why_status read_metric(why_job *job, const struct metric_list *list, const why_node *v) {
    const why_metric *metric;
    if (v->kind == WHY_NODE_MAP) return read_settings(job, list, v);
    WHY_TRY(why_want_kind(v, WHY_NODE_SCALAR, kind_name(list->kind)));
    const why_metric_set *set = why_metric_set_find(v->text);
    if (set) return add_set(list, v, set);
    WHY_TRY(find_metric(v, v->text, list->kind, &metric));
    return add_metric(job, list, v, metric, NULL, NULL);
}

/* The same metric with the same parameters twice would be one row with two numbers. */
static why_status check_twice(const struct metric_list *list) {
    bool twice;
    WHY_TRY(is_double(list, &twice));
    const why_job_metric *last = &(*list->items)[*list->n - 1];
    if (!twice) return WHY_OK;
    return why_at(last->at, "%s: '%s' is given twice with the same parameters", kind_name(list->kind), last->metric->name);
}

static why_status read_metrics(why_job *job, const struct metric_list *list, const why_node *v) {
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, kind_name(list->kind)));
    for (int i = 0; i < v->n; i++) {
        int before = *list->n;
        WHY_TRY(read_metric(job, list, v->entry[i].value));
        int after = *list->n;
        for (*list->n = before + 1; *list->n <= after; ++*list->n) {
            why_status st = check_twice(list);
            if (st) *list->n = after;
            if (st) return st;
        }
        *list->n = after;
    }
    return WHY_OK;
}

/* Room for every value of every list in the section, and for the items of its sets. */
static size_t count_values(const why_node *v) {
    size_t n = 1;
    const why_metric_set *set = v->kind == WHY_NODE_SCALAR ? why_metric_set_find(v->text) : NULL;
    for (const char *const *item = set ? set->items : NULL; item && *item; item++) n++;
    for (int i = 0; i < v->n; i++) n += count_values(v->entry[i].value);
    return n;
}

static why_status read_agreement_metrics(why_job *job, void *into, const why_node *v) {
    (void)into;
    struct metric_list list = {&job->agreement, &job->n_agreement, WHY_PAIR, count_values(v)};
    WHY_TRY(why_arena_array(job->arena, list.capacity, sizeof *job->agreement, &job->agreement));
    return read_metrics(job, &list, v);
}

why_status why_job_read_scores(why_job *job, void *into, const why_node *v) {
    (void)into;
    struct metric_list list = {&job->scores, &job->n_scores, WHY_SCORE, count_values(v)};
    WHY_TRY(why_arena_array(job->arena, list.capacity, sizeof *job->scores, &job->scores));
    return read_metrics(job, &list, v);
}

/* ---------------------------------------------------------------- fills */
why_status why_job_read_fills(why_job *job, void *into, const why_node *v) {
    (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, "fills"));
    if (v->n == 0) return why_at(v, "fills: the list is empty");
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n, sizeof *job->fills, &job->fills));
    for (int i = 0; i < v->n; i++) {
        const why_node *item = v->entry[i].value;
        const char *text;
        char *canonical;
        WHY_TRY(why_want_text(item, "fills", &text));
        WHY_TRY(why_wrap_at(why_fill_canonical(text, &canonical), item));
        WHY_TRY(why_arena_adopt(job->arena, canonical, &job->fills[i]));
        for (int j = 0; j < i; j++)
            if (strcmp(job->fills[j], job->fills[i]) == 0) return why_at(item, "fills: '%s' is given twice", text);
        job->n_fills++;
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- agreement */
static why_status check_pair_name(const why_job *job, const why_node *v) {
    const char *names[256] = {0};
    size_t n = 0;
    WHY_TRY(why_want_kind(v, WHY_NODE_SCALAR, "pairs"));
    for (int i = 0; i < job->n_methods; i++) {
        if (strcmp(job->methods[i].name, v->text) == 0 || strcmp(job->methods[i].base, v->text) == 0) return WHY_OK;
        if (n < 256) names[n++] = job->methods[i].name;
    }
    const char *nearest = why_nearest(v->text, names, n);
    if (nearest) return why_at(v, "pairs: method '%s' is unknown; did you mean '%s'?", v->text, nearest);
    return why_at(v, "pairs: method '%s' is unknown", v->text);
}

static why_status read_pairs(why_job *job, void *into, const why_node *v) {
    (void)into;
    if (v->kind != WHY_NODE_LIST) return why_want_choice(v, "pairs", "methods|all", &job->pairs);
    job->pairs = WHY_PAIRS_LISTED;
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n, sizeof *job->listed, &job->listed));
    for (int i = 0; i < v->n; i++) {
        const why_node *p = v->entry[i].value;
        if (p->kind != WHY_NODE_LIST || p->n != 2) return why_at(p, "pairs: want [method, method]");
        for (int k = 0; k < 2; k++) WHY_TRY(check_pair_name(job, p->entry[k].value));
        job->listed[job->n_listed++] = (why_job_name_pair){p->entry[0].value->text, p->entry[1].value->text};
    }
    return WHY_OK;
}

static why_status read_policies(why_job *job, void *into, const why_node *v) {
    (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, "policies"));
    job->n_policies = 0;
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n, sizeof *job->policies, &job->policies));
    for (int i = 0; i < v->n; i++) {
        const char *text;
        why_policy *p = &job->policies[job->n_policies];
        WHY_TRY(why_want_text(v->entry[i].value, "policies", &text));
        WHY_TRY(why_wrap_at(why_policy_parse(text, p), v->entry[i].value));
        for (int j = 0; j < i; j++)
            if (job->policies[j] == *p) return why_at(v->entry[i].value, "policies: '%s' is given twice", text);
        job->n_policies++;
    }
    return WHY_OK;
}

static why_status read_grids(why_job *job, void *into, const why_node *v) {
    (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, "grids"));
    job->n_grids = 0;
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n, sizeof *job->grids, &job->grids));
    for (int i = 0; i < v->n; i++) {
        why_job_grid *g = &job->grids[job->n_grids];
        WHY_TRY(why_want_text(v->entry[i].value, "grids", &g->text));
        WHY_TRY(why_wrap_at(why_grid_parse(g->text, &g->grid), v->entry[i].value));
        for (int j = 0; j < i; j++)
            if (strcmp(job->grids[j].text, g->text) == 0) return why_at(v->entry[i].value, "grids: '%s' is given twice", g->text);
        job->n_grids++;
    }
    return WHY_OK;
}

/* The segments of the `segments` grid are those of the first method that has any. */
static why_status choose_segments(why_job *job) {
    const char *text = "quickshift";
    for (int i = job->n_methods - 1; i >= 0; i--)
        if (job->methods[i].explainer->flags & WHY_USES_SEGMENTS) text = why_params_text(job->methods[i].params, "segmenter");
    const why_segmenter *segmenter;
    why_params *params;
    char *canonical = NULL;
    WHY_TRY(why_segmenter_parse(text, &segmenter, &params));
    why_status st = why_call_canonical(segmenter->name, params, &canonical);
    why_params_destroy(&params);
    return st ? st : why_arena_adopt(job->arena, canonical, &job->segments);
}

why_status why_job_read_agreement(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {{"pairs", read_pairs, false},
                                   {"policies", read_policies, false},
                                   {"grids", read_grids, false},
                                   {"metrics", read_agreement_metrics, true},
                                   {0}};
    static const why_policy positive = WHY_POSITIVE;
    static const why_job_grid pixel = {{WHY_GRID_PIXEL, 0, 0}, "pixel"};
    WHY_TRY(why_arena_array(job->arena, 1, sizeof positive, &job->policies));
    WHY_TRY(why_arena_array(job->arena, 1, sizeof pixel, &job->grids));
    job->policies[0] = positive;
    job->grids[0] = pixel;
    job->n_policies = job->n_grids = 1;
    WHY_TRY(choose_segments(job));
    return why_read_keys(job, into, v, "agreement", keys);
}
