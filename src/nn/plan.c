/* Steps, fusion and memory of a session.
 *
 * Time runs over the forward steps and on over the backward steps. A tensor needs its memory from the step that writes it
 * to the last that reads it; what backward or the user reads later stays to the end, so that backward may be repeated. */
#include "nn/plan.h"

#include <limits.h>
#include <stdlib.h>

/* A tensor or a gradient in time and memory. */
struct buffer {
    int from, to;      /* steps, inclusive; from = INT_MAX: never written */
    int64_t size, at;  /* floats */
};

struct planner {
    const why_model *m;
    const why_graph *g;
    why_session_plan *p;
    int n;                    /* values */
    int *consumer;            /* per value: a node that reads it */
    struct buffer *value, *grad; /* per root */
    bool *seeded;             /* per root: its gradient has been begun */
};

enum { FOREVER = INT_MAX - 1 };

static why_slot *slot(const struct planner *k, int value) { return &k->p->slots[value]; }
static int root(const struct planner *k, int value) { return slot(k, value)->root; }

static void *take(struct planner *k, size_t n, size_t size) { return why_arena_take(k->p->arena, (n ? n : 1) * size); }

/* ---------------------------------------------------------------- who is who */
static void find_roots(struct planner *k) {
    for (int v = 0; v < k->n; v++) *slot(k, v) = (why_slot){.root = v, .at = -1, .grad_at = -1};
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        if (!n->live) continue;
        for (int j = 0; j < n->n_in; j++) k->consumer[n->in[j]] = (int)i;
        if ((n->op->flags & WHY_IS_VIEW) && k->g->values[n->in[0]].uses == 1) slot(k, n->out)->root = root(k, n->in[0]);
    }
}

static bool is_alias(const struct planner *k, const why_node *n) { return root(k, n->out) != n->out; }

static void find_gradient_path(struct planner *k) {
    for (int v = 0; v < k->n; v++) slot(k, v)->wants_gradient = slot(k, v)->target;
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        for (int j = 0; n->live && j < n->n_in; j++)
            if (slot(k, n->in[j])->wants_gradient) slot(k, n->out)->wants_gradient = true;
    }
}

static bool goes_back(const struct planner *k, const why_node *n) {
    for (int j = 0; j < n->n_in; j++)
        if (slot(k, n->in[j])->wants_gradient) return true;
    return false;
}

/* ---------------------------------------------------------------- what backward reads */
static bool has_rescale_rule(const struct planner *k, const why_node *n) {
    return k->p->rule == WHY_RULE_RESCALE && goes_back(k, n) && n->op->backward[WHY_RULE_RESCALE];
}

static bool reads_inputs(const struct planner *k, const why_node *n) { return has_rescale_rule(k, n) || (n->op->flags & WHY_NEEDS_INPUT); }
static bool reads_output(const struct planner *k, const why_node *n) { return !has_rescale_rule(k, n) && (n->op->flags & WHY_NEEDS_OUTPUT); }

/* ---------------------------------------------------------------- forward steps */
/* The clamp that may be computed as `n` writes its output: its only reader, and nobody asks for the value between. */
static const why_node *fusable_clamp(const struct planner *k, const why_node *n, why_clamp *clamp) {
    const why_value *v = &k->g->values[n->out];
    if (!(n->op->flags & WHY_FUSES_CLAMP) || (n->op->flags & WHY_NEEDS_OUTPUT) || v->uses != 1 || slot(k, n->out)->kept) return NULL;
    if (n->out == k->g->logits) return NULL;
    const why_node *next = &k->g->nodes[k->consumer[n->out]];
    if (!next->op->as_clamp || reads_inputs(k, next) || !next->op->as_clamp(next, clamp)) return NULL;
    return next;
}

static why_status count_pieces(const struct planner *k, const why_node *n, int (*pieces)(const why_node *), int *out) {
    int64_t each = pieces ? pieces(n) : 1;
    if (each * ((n->op->flags & WHY_WHOLE_BATCH) ? 1 : k->p->max_batch) > INT_MAX)
        return why_fail(WHY_ELIMIT, "%s '%s': a batch of %d is too large", n->op->name, n->name, k->p->max_batch);
    *out = (int)each;
    return WHY_OK;
}

static why_status list_steps(struct planner *k) {
    why_session_plan *p = k->p;
    bool *fused = take(k, k->g->n_nodes, sizeof *fused);
    p->steps = take(k, k->g->n_nodes, sizeof *p->steps);
    if (!fused || !p->steps) return WHY_ENOMEM;
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        if (!n->live || fused[i] || is_alias(k, n)) continue;
        why_step *s = &p->steps[p->n_steps++];
        *s = (why_step){.node = (int)i, .out = n->out};
        const why_node *clamp = fusable_clamp(k, n, &s->clamp);
        if (clamp) fused[clamp - k->g->nodes] = true, s->out = clamp->out;
        WHY_TRY(count_pieces(k, n, n->op->pieces, &s->pieces));
        size_t scratch = n->op->scratch ? n->op->scratch(n) : 0;
        if (scratch > p->scratch) p->scratch = scratch;
        if (n->n_in > p->max_inputs) p->max_inputs = n->n_in;
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- backward steps */
static why_status check_rule(why_rule rule, const why_node *n) {
    if (why_op_backward(n->op, rule)) return WHY_OK;
    if (!n->op->backward[WHY_RULE_PLAIN]) return why_fail(WHY_EUNSUPPORTED, "%s '%s' has no gradient", n->op->name, n->name);
    return why_fail(WHY_EUNSUPPORTED, "%s '%s' has no DeepLIFT rule, and its derivative would not be one", n->op->name, n->name);
}

static why_status list_back_steps(struct planner *k) {
    why_session_plan *p = k->p;
    p->back = take(k, k->g->n_nodes, sizeof *p->back);
    if (!p->back) return WHY_ENOMEM;
    k->seeded[root(k, k->g->logits)] = true;
    for (size_t i = k->g->n_nodes; i-- > 0;) {
        const why_node *n = &k->g->nodes[i];
        if (!n->live || is_alias(k, n) || !goes_back(k, n)) continue;
        WHY_TRY(check_rule(p->rule, n));
        why_back_step *s = &p->back[p->n_back++];
        *s = (why_back_step){.node = (int)i, .first = take(k, (size_t)n->n_in, sizeof *s->first)};
        if (!s->first) return WHY_ENOMEM;
        WHY_TRY(count_pieces(k, n, n->op->back_pieces, &s->pieces));
        for (int j = 0; j < n->n_in; j++) {
            int r = root(k, n->in[j]);
            s->first[j] = slot(k, n->in[j])->wants_gradient && !k->seeded[r];
            if (s->first[j]) k->seeded[r] = true;
        }
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- lifetimes */
static void touch(struct buffer *b, int step) {
    if (step < b->from) b->from = step;
    if (step > b->to) b->to = step;
}

static why_status set_sizes(struct planner *k) {
    for (int v = 0; v < k->n; v++) {
        const why_value *value = &k->g->values[v];
        int64_t count = value->data ? 0 : why_shape_count(&value->shape), size;
        if (__builtin_mul_overflow(count, (int64_t)k->p->max_batch, &size) || size > INT64_MAX / 64)
            return why_fail(WHY_ELIMIT, "tensor '%s': a batch of %d is too large", value->name, k->p->max_batch);
        size = (size + 15) / 16 * 16; /* cache lines of 64 bytes */
        k->value[v] = k->grad[v] = (struct buffer){.from = INT_MAX, .to = -1, .size = size};
    }
    return WHY_OK;
}

static void live_forward(struct planner *k) {
    touch(&k->value[k->g->input], 0);
    for (int i = 0; i < k->p->n_steps; i++) {
        const why_node *n = &k->g->nodes[k->p->steps[i].node];
        for (int j = 0; j < n->n_in; j++) touch(&k->value[root(k, n->in[j])], i + 1);
        touch(&k->value[root(k, k->p->steps[i].out)], i + 1);
    }
    touch(&k->value[root(k, k->g->logits)], FOREVER);
    for (int v = 0; v < k->n; v++)
        if (slot(k, v)->kept) touch(&k->value[root(k, v)], FOREVER);
}

/* A resumed session runs the steps behind one value again, from that value and from what they read besides. */
static why_status live_resumed(struct planner *k, int from) {
    bool *depends = take(k, (size_t)k->n, sizeof *depends);
    if (!depends) return WHY_ENOMEM;
    depends[from] = true;
    touch(&k->value[root(k, from)], FOREVER);
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        for (int j = 0; n->live && j < n->n_in; j++) depends[n->out] = depends[n->out] || depends[n->in[j]];
    }
    for (int i = 0; i < k->p->n_steps; i++) {
        why_step *s = &k->p->steps[i];
        const why_node *n = &k->g->nodes[s->node];
        s->resumes = depends[n->out] && n->out != from;
        for (int j = 0; s->resumes && j < n->n_in; j++)
            if (!depends[n->in[j]]) touch(&k->value[root(k, n->in[j])], FOREVER);
    }
    return WHY_OK;
}

static void live_backward(struct planner *k) {
    int begin = k->p->n_steps + 1;
    if (slot(k, k->g->logits)->wants_gradient) touch(&k->grad[root(k, k->g->logits)], begin);
    for (int i = 0; i < k->p->n_back; i++) {
        const why_node *n = &k->g->nodes[k->p->back[i].node];
        for (int j = 0; j < n->n_in; j++) {
            if (reads_inputs(k, n)) touch(&k->value[root(k, n->in[j])], FOREVER);
            if (slot(k, n->in[j])->wants_gradient) touch(&k->grad[root(k, n->in[j])], begin + 1 + i);
        }
        if (reads_output(k, n)) touch(&k->value[root(k, n->out)], FOREVER);
        touch(&k->grad[root(k, n->out)], begin + 1 + i);
    }
    for (int v = 0; v < k->n; v++)
        if (slot(k, v)->target) touch(&k->grad[root(k, v)], FOREVER);
}

/* ---------------------------------------------------------------- placing */
static int larger_first(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x > y) - (x < y);
}

/* The lowest gap among the placed buffers (sorted by address) that are alive at the same time. */
static int64_t lowest_gap(struct buffer *const *placed, int n, const struct buffer *b) {
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        const struct buffer *o = placed[i];
        if (o->from > b->to || b->from > o->to) continue;
        if (o->at >= at + b->size) break;
        if (o->at + o->size > at) at = o->at + o->size;
    }
    return at;
}

static void insert_by_address(struct buffer **placed, int n, struct buffer *b) {
    int i = n;
    for (; i > 0 && placed[i - 1]->at > b->at; i--) placed[i] = placed[i - 1];
    placed[i] = b;
}

/* Greedy by size, each at the lowest address that is free for its whole life. */
static why_status place(struct planner *k) {
    struct buffer **all = take(k, 2 * (size_t)k->n, sizeof *all), **placed = take(k, 2 * (size_t)k->n, sizeof *placed);
    int n = 0;
    if (!all || !placed) return WHY_ENOMEM;
    for (int v = 0; v < k->n; v++) {
        if (k->value[v].from != INT_MAX) all[n++] = &k->value[v];
        if (k->grad[v].from != INT_MAX) all[n++] = &k->grad[v];
    }
    qsort(all, (size_t)n, sizeof *all, larger_first);
    for (int i = 0; i < n; i++) {
        all[i]->at = lowest_gap(placed, i, all[i]);
        insert_by_address(placed, i, all[i]);
        if (all[i]->at + all[i]->size > k->p->floats) k->p->floats = all[i]->at + all[i]->size;
        if (k->p->floats > INT64_MAX / 128) return why_fail(WHY_ELIMIT, "a batch of %d needs more memory than a machine has", k->p->max_batch);
    }
    for (int v = 0; v < k->n; v++) {
        const int r = root(k, v);
        if (k->value[r].from != INT_MAX) slot(k, v)->at = k->value[r].at;
        if (k->grad[r].from != INT_MAX) slot(k, v)->grad_at = k->grad[r].at;
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- all of it */
static why_status plan(struct planner *k, const why_session_wish *w) {
    why_session_plan *p = k->p;
    size_t n = (size_t)k->n;
    p->slots = take(k, n, sizeof *p->slots);
    k->consumer = take(k, n, sizeof *k->consumer);
    k->value = take(k, n, sizeof *k->value);
    k->grad = take(k, n, sizeof *k->grad);
    k->seeded = take(k, n, sizeof *k->seeded);
    if (!p->slots || !k->consumer || !k->value || !k->grad || !k->seeded) return WHY_ENOMEM;
    find_roots(k);
    for (int i = 0; i < w->n_keep; i++) slot(k, w->keep[i])->kept = true;
    for (int i = 0; i < w->n_grad; i++) slot(k, w->grad[i])->target = true;
    if (w->resume != WHY_ABSENT) slot(k, w->resume)->kept = true;
    find_gradient_path(k);
    WHY_TRY(list_steps(k));
    WHY_TRY(list_back_steps(k));
    WHY_TRY(set_sizes(k));
    live_forward(k);
    live_backward(k);
    if (w->resume != WHY_ABSENT) WHY_TRY(live_resumed(k, w->resume));
    return place(k);
}

why_status why_session_plan_create(const why_model *m, const why_session_wish *wish, why_session_plan **out) {
    *out = NULL;
    struct planner k = {.m = m, .g = &m->graph, .n = (int)m->graph.n_values};
    WHY_TRY(why_alloc(1, sizeof *k.p, "plan of a session", &k.p));
    k.p->max_batch = wish->max_batch;
    k.p->rule = wish->rule;
    why_status st = why_arena_create(1 << 16, &k.p->arena);
    if (!st) st = plan(&k, wish);
    if (st) why_session_plan_destroy(&k.p);
    *out = k.p;
    return st;
}

void why_session_plan_destroy(why_session_plan **p) {
    if (!*p) return;
    why_arena_destroy(&(*p)->arena);
    free(*p);
    *p = NULL;
}
