/* methods, controls, repeats, budgets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain/background.h"
#include "run/job.h"

enum { MAX_METHODS = 4096, MAX_REPEATS = 1000 };

/* ---------------------------------------------------------------- one method */
static why_status find_explainer(const why_node *at, const char *name, bool control, const why_explainer **out) {
    const char *names[128] = {0};
    size_t n = 0;
    *out = why_explainer_find(name);
    if (*out && !!((*out)->flags & WHY_CONTROL) == control) return WHY_OK;
    if (*out && control) return why_at(at, "controls: '%s' is an explainer; give it under methods", name);
    if (*out) return WHY_OK; /* a control with settings of its own may stand under methods */
    for (size_t i = 0; why_explainers[i] && n < 128; i++)
        if (!control || (why_explainers[i]->flags & WHY_CONTROL)) names[n++] = why_explainers[i]->name;
    const char *nearest = why_nearest(name, names, n), *what = control ? "control" : "explainer";
    if (nearest) return why_at(at, "%s '%s' is unknown or not built yet; did you mean '%s'?", what, name, nearest);
    return why_at(at, "%s '%s' is unknown or not built yet; see `whypix list explainers`", what, name);
}

static why_status check_segmenter(const char *text) {
    const why_segmenter *segmenter;
    why_params *params;
    WHY_TRY(why_segmenter_parse(text, &segmenter, &params));
    why_params_destroy(&params);
    return WHY_OK;
}

static why_status check_fill(const char *text) {
    char *canonical;
    WHY_TRY(why_fill_canonical(text, &canonical));
    free(canonical);
    return WHY_OK;
}

/* Texts that name a segmenter or a fill are checked now, not at the first picture. */
static why_status check_calls(const why_node *at, const why_explainer *explainer, const why_params *params) {
    why_status (*const check_what_hides)(const char *) = explainer->flags & WHY_BLENDS ? why_fill_check_local : check_fill;
    const struct {
        const char *name;
        why_status (*check)(const char *text);
    } calls[] = {{"segmenter", check_segmenter}, {"masker", check_fill}, {"fill", check_what_hides},
                 {"baseline", why_baseline_check}, {"background", why_background_check}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (!why_params_has(params, calls[i].name) || !*why_params_text(params, calls[i].name)) continue;
        const why_node *value = why_node_get(at, calls[i].name);
        WHY_TRY(why_wrap_at(calls[i].check(why_params_text(params, calls[i].name)), value ? value : at));
    }
    return WHY_OK;
}

static why_status set_named(why_job_method *m, const why_entry *e, const char *name) {
    why_status st = why_params_set(m->params, name, e->value->text);
    if (st == WHY_OK || st == WHY_ENOMEM) return st;
    return why_fail_in(WHY_EJOB, "%s:%d:%d: method '%s'", e->file, e->line, e->column, m->name);
}

/* until: {se_range: .05} is the parameter until_se_range. */
static why_status set_until(why_job_method *m, const why_entry *until) {
    WHY_TRY(why_want_kind(until->value, WHY_NODE_MAP, until->key));
    if (!why_params_has(m->params, "until_se_range"))
        return why_at_key(until, "until: method '%s' (%s) does not sample, or not until it is precise", m->name, m->explainer->name);
    for (int i = 0; i < until->value->n; i++) {
        const why_entry *e = &until->value->entry[i];
        if (strcmp(e->key, "se_range") != 0) return why_at_key(e, "until: '%s' is unknown; want se_range", e->key);
        WHY_TRY(why_want_kind(e->value, WHY_NODE_SCALAR, e->key));
        WHY_TRY(set_named(m, e, "until_se_range"));
    }
    return WHY_OK;
}

static why_status set_parameter(why_job_method *m, const why_entry *e) {
    if (strcmp(e->key, "explainer") == 0) return WHY_OK;
    if (strcmp(e->key, "until") == 0) return set_until(m, e);
    WHY_TRY(why_want_kind(e->value, WHY_NODE_SCALAR, e->key));
    if (strcmp(e->key, "output") == 0) return why_wrap_at(why_output_parse(e->value->text, &m->output), e->value);
    return set_named(m, e, e->key);
}

why_status why_job_method_create(why_job *job, const why_node *at, why_job_method *m) {
    (void)job;
    const why_node *explainer = why_node_get(at, "explainer");
    m->at = at;
    m->repeats = 1;
    if (explainer) {
        const char *name;
        WHY_TRY(why_want_text(explainer, "explainer", &name));
        WHY_TRY(find_explainer(explainer, name, m->control, &m->explainer));
    } else {
        WHY_TRY(find_explainer(at, m->base, m->control, &m->explainer)); /* `gradcam: {}` is short for explainer: gradcam */
    }
    m->output = m->explainer->output;
    WHY_TRY(why_params_create(m->explainer->params, &m->params));
    for (int i = 0; at->kind == WHY_NODE_MAP && i < at->n; i++) WHY_TRY(set_parameter(m, &at->entry[i]));
    return check_calls(at, m->explainer, m->params);
}

/* ---------------------------------------------------------------- all of them */
static why_status check_new_name(const why_job *job, const why_node *at, const char *name) {
    if (strpbrk(name, ".[],= ")) return why_at(at, "method '%s': a name may not hold blanks or any of . , = [ ]", name);
    for (int i = 0; i < job->n_methods; i++)
        if (strcmp(job->methods[i].name, name) == 0) return why_at(at, "method '%s' is given twice", name);
    return WHY_OK;
}

static why_status add_method(why_job *job, const why_node *at, const char *name, bool control) {
    if (job->n_methods == MAX_METHODS) return why_at(at, "more than %d methods", MAX_METHODS);
    WHY_TRY(check_new_name(job, at, name));
    why_job_method *m = &job->methods[job->n_methods++];
    *m = (why_job_method){.name = name, .base = name, .control = control};
    return why_job_method_create(job, at, m);
}

/* "random" or {random_smooth: {cells: 5}}. */
static why_status add_control(why_job *job, const why_node *v) {
    const char *name;
    if (v->kind != WHY_NODE_MAP) {
        WHY_TRY(why_want_text(v, "controls", &name));
        return add_method(job, v, name, true);
    }
    if (v->n != 1) return why_at(v, "controls: want a name or {name: {parameter: value}}");
    WHY_TRY(why_want_kind(v->entry[0].value, WHY_NODE_MAP, "controls"));
    return add_method(job, v->entry[0].value, v->entry[0].key, true);
}

why_status why_job_read_methods(why_job *job) {
    const why_node *methods = why_node_get(job->root, "methods"), *controls = why_node_get(job->root, "controls");
    if (controls) WHY_TRY(why_want_kind(controls, WHY_NODE_LIST, "controls"));
    WHY_TRY(why_arena_array(job->arena, MAX_METHODS, sizeof *job->methods, &job->methods));
    for (int i = 0; i < methods->n; i++) {
        WHY_TRY(why_want_kind(methods->entry[i].value, WHY_NODE_MAP, "a method"));
        WHY_TRY(add_method(job, methods->entry[i].value, methods->entry[i].key, false));
    }
    for (int i = 0; controls && i < controls->n; i++) WHY_TRY(add_control(job, controls->entry[i].value));
    return WHY_OK;
}

/* ---------------------------------------------------------------- repeats, budgets */
static why_status want_method(const why_job *job, const why_entry *e, const char *what) {
    const char *names[256] = {0};
    size_t n = 0;
    for (int i = 0; i < job->n_methods; i++) {
        if (strcmp(job->methods[i].base, e->key) == 0) return WHY_OK;
        if (n < 256) names[n++] = job->methods[i].base;
    }
    const char *nearest = why_nearest(e->key, names, n);
    if (nearest) return why_at_key(e, "%s: method '%s' is unknown; did you mean '%s'?", what, e->key, nearest);
    return why_at_key(e, "%s: method '%s' is unknown", what, e->key);
}

static why_status set_repeats(why_job *job, const why_entry *e) {
    int64_t n;
    WHY_TRY(want_method(job, e, "repeats"));
    WHY_TRY(why_want_int(e->value, "repeats", 1, MAX_REPEATS, &n));
    for (int i = 0; i < job->n_methods; i++) {
        why_job_method *m = &job->methods[i];
        if (strcmp(m->base, e->key) != 0) continue;
        if (n > 1 && !(m->explainer->flags & WHY_STOCHASTIC))
            return why_at_key(e, "repeats: '%s' is deterministic (%s): every repeat would be the same map", e->key, m->explainer->name);
        m->repeats = (int)n;
    }
    return WHY_OK;
}

static why_status check_budget(const why_job_method *m, const why_node *v, int64_t budget) {
    int64_t full = why_params_int(m->params, m->explainer->budget);
    if (budget >= full)
        return why_at(v, "budgets: %lld is not below method '%s' with %s: %lld", (long long)budget, m->name, m->explainer->budget,
                      (long long)full);
    why_params *copy;
    char text[32];
    WHY_TRY(why_params_copy(m->params, &copy));
    snprintf(text, sizeof text, "%lld", (long long)budget);
    why_status st = why_wrap_at(why_params_set(copy, m->explainer->budget, text), v);
    why_params_destroy(&copy);
    return st;
}

static why_status set_method_budgets(why_job *job, why_job_method *m, const why_entry *e) {
    if (!m->explainer->budget) return why_at_key(e, "budgets: '%s' has none (%s)", e->key, m->explainer->name);
    WHY_TRY(why_arena_array(job->arena, (size_t)e->value->n, sizeof *m->budgets, &m->budgets));
    for (int i = 0; i < e->value->n; i++) {
        const why_node *v = e->value->entry[i].value;
        WHY_TRY(why_want_int(v, "budgets", 1, INT32_MAX, &m->budgets[i]));
        for (int j = 0; j < i; j++)
            if (m->budgets[j] == m->budgets[i]) return why_at(v, "budgets: %lld is given twice", (long long)m->budgets[i]);
        WHY_TRY(check_budget(m, v, m->budgets[i]));
    }
    m->n_budgets = e->value->n;
    return WHY_OK;
}

static why_status set_budgets(why_job *job, const why_entry *e) {
    WHY_TRY(want_method(job, e, "budgets"));
    WHY_TRY(why_want_kind(e->value, WHY_NODE_LIST, "budgets"));
    for (int i = 0; i < job->n_methods; i++)
        if (strcmp(job->methods[i].base, e->key) == 0) WHY_TRY(set_method_budgets(job, &job->methods[i], e));
    return WHY_OK;
}

why_status why_job_read_repeats(why_job *job) {
    const why_node *repeats = why_node_get(job->root, "repeats"), *budgets = why_node_get(job->root, "budgets");
    if (repeats) WHY_TRY(why_want_kind(repeats, WHY_NODE_MAP, "repeats"));
    if (budgets) WHY_TRY(why_want_kind(budgets, WHY_NODE_MAP, "budgets"));
    for (int i = 0; repeats && i < repeats->n; i++) WHY_TRY(set_repeats(job, &repeats->entry[i]));
    for (int i = 0; budgets && i < budgets->n; i++) WHY_TRY(set_budgets(job, &budgets->entry[i]));
    return WHY_OK;
}
