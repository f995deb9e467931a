/* Steps, fusion and memory of a session.
 *
 * Time runs over the forward steps and on over the backward steps. A tensor needs its memory from the step that writes it
 * to the last that reads it; what backward or the user reads later stays to the end, so that backward may be repeated. */
#include "nn/planner.h"

#include <limits.h>
#include <stdlib.h>

enum { FOREVER = INT_MAX - 1 };

static why_slot *slot(const struct planner *k, int value) { return &k->p->slots[value]; }
static int root(const struct planner *k, int value) { return slot(k, value)->root; }

static void *take(struct planner *k, size_t n, size_t size) { return why_arena_take(k->p->arena, (n ? n : 1) * size); }

/* ---------------------------------------------------------------- who is who */
static void find_roots(struct planner *k) {
    for (int v = 0; v < k->n; v++) *slot(k, v) = (why_slot){.root = v, .at = -1, .grad_at = -1, .block_root = v, .block_at = -1};
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

/* Values that must be there in the plain layout when forward is done. */
static void find_read_later(struct planner *k) {
    k->read_later[root(k, k->g->logits)] = true;
    for (int v = 0; v < k->n; v++)
        if (slot(k, v)->kept) k->read_later[root(k, v)] = true;
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        if (!n->live || is_alias(k, n) || !goes_back(k, n)) continue;
        for (int j = 0; reads_inputs(k, n) && j < n->n_in; j++) k->read_later[root(k, n->in[j])] = true;
        if (reads_output(k, n)) k->read_later[root(k, n->out)] = true;
    }
}

/* ---------------------------------------------------------------- fusion */
/* The only reader of a value that nobody else asks for; NULL: there are others. */
static const why_node *sole_reader(const struct planner *k, int value) {
    if (k->g->values[value].uses != 1 || slot(k, value)->kept || value == k->g->logits) return NULL;
    return &k->g->nodes[k->consumer[value]];
}

/* The clamp that may be computed as `value` is written. */
static const why_node *fusable_clamp(const struct planner *k, int value, why_clamp *clamp) {
    const why_node *next = sole_reader(k, value);
    if (!next || !next->op->as_clamp || reads_inputs(k, next) || !next->op->as_clamp(next, clamp)) return NULL;
    return next;
}

/* The Add that may be computed as `value` is written, when its other operand is there by then. */
static const why_node *fusable_add(const struct planner *k, int value, int *other) {
    const why_node *next = sole_reader(k, value);
    if (!next || next->op != &why_op_add || next->n_in != 2 || reads_inputs(k, next)) return NULL;
    *other = next->in[next->in[0] == value];
    if (!k->in_blocks[k->consumer[value]] || (!k->has_blocks[*other] && !k->has_plain[root(k, *other)])) return NULL;
    return next;
}

static void fuse(const struct planner *k, const why_node *n, bool *fused, why_step *s) {
    const why_node *add = NULL, *clamp = NULL;
    if (n->op->flags & WHY_NEEDS_OUTPUT) return;
    if (s->kind == WHY_STEP_BLOCKED && n->op->blocked->adds) add = fusable_add(k, s->out, &s->add);
    if (add) s->out = add->out, fused[add - k->g->nodes] = true;
    else s->add = WHY_ABSENT;
    if (n->op->flags & WHY_FUSES_CLAMP) clamp = fusable_clamp(k, s->out, &s->clamp);
    if (clamp) s->out = clamp->out, fused[clamp - k->g->nodes] = true;
}

/* ---------------------------------------------------------------- forward steps */
static why_status count_pieces(const struct planner *k, const why_node *n, int (*pieces)(const why_node *), int *out) {
    int64_t each = pieces ? pieces(n) : 1;
    if (each * ((n->op->flags & WHY_WHOLE_BATCH) ? 1 : k->p->max_batch) > INT_MAX)
        return why_fail(WHY_ELIMIT, "%s '%s': a batch of %d is too large", n->op->name, n->name, k->p->max_batch);
    *out = (int)each;
    return WHY_OK;
}

static why_step *new_step(struct planner *k, why_step_kind kind, int node, int out) {
    why_step *s = &k->p->steps[k->p->n_steps++];
    *s = (why_step){.kind = kind, .node = node, .out = out, .add = WHY_ABSENT};
    return s;
}

static void need_plain(struct planner *k, int value) {
    const int r = root(k, value);
    if (k->has_plain[r]) return;
    new_step(k, WHY_STEP_TO_PLAIN, WHY_ABSENT, r);
    k->has_plain[r] = true;
}

static void need_blocks(struct planner *k, int value) {
    if (k->has_blocks[value]) return;
    need_plain(k, value); /* a view has no blocks of its own */
    new_step(k, WHY_STEP_TO_BLOCKS, WHY_ABSENT, value);
    k->has_blocks[value] = true;
}

static bool reads_blocks(const struct planner *k, const why_node *n) {
    const why_blocked_op *op = k->in_blocks[n - k->g->nodes] ? n->op->blocked : NULL;
    return op && !(op->reads_plain && op->reads_plain(n));
}

/* Every input of a joint lies where it belongs already. */
static bool is_joined(const struct planner *k, const why_node *n) {
    int64_t at = slot(k, n->out)->block_shift;
    for (int j = 0; j < n->n_in; at += why_blocked_size(&k->g->values[n->in[j++]].shape, k->blocked->width))
        if (slot(k, n->in[j])->block_root != slot(k, n->out)->block_root || slot(k, n->in[j])->block_shift != at) return false;
    return true;
}

static void mark_written(struct planner *k, const why_node *n, int out) {
    const bool blocks = k->in_blocks[n - k->g->nodes] && !n->op->blocked->writes_plain;
    if (blocks) k->has_blocks[out] = true;
    else k->has_plain[root(k, out)] = true;
    if (k->read_later[root(k, out)]) need_plain(k, out);
    if (out == k->resume) k->has_blocks[out] = false; /* made again, from what takes its place */
}

static void need_scratch(why_session_plan *p, size_t floats) {
    floats = (floats + 15) / 16 * 16; /* threads' parts lie behind each other, and vectors want whole cache lines */
    if (floats > p->scratch) p->scratch = floats;
}

static why_status list_step(struct planner *k, size_t i, bool *fused) {
    why_session_plan *p = k->p;
    const why_node *n = &k->g->nodes[i];
    const bool blocked = k->in_blocks[i];
    for (int j = 0; j < n->n_in; j++) {
        if (reads_blocks(k, n)) need_blocks(k, n->in[j]);
        else need_plain(k, n->in[j]);
    }
    if (n->n_in > p->max_inputs) p->max_inputs = n->n_in;
    if (blocked && n->op == &why_op_concat && is_joined(k, n)) {
        mark_written(k, n, n->out);
        return WHY_OK;
    }
    why_step wanted = {.kind = blocked ? WHY_STEP_BLOCKED : WHY_STEP_PLAIN, .node = (int)i, .out = n->out, .add = WHY_ABSENT};
    fuse(k, n, fused, &wanted);
    if (wanted.add != WHY_ABSENT) need_blocks(k, wanted.add);
    why_step *s = new_step(k, wanted.kind, (int)i, wanted.out);
    *s = wanted;
    WHY_TRY(count_pieces(k, n, n->op->pieces, &s->pieces));
    if (!blocked || goes_back(k, n)) need_scratch(p, n->op->scratch ? n->op->scratch(n) : 0);
    if (blocked) need_scratch(p, n->op->blocked->scratch ? n->op->blocked->scratch(n, k->blocked) : 0);
    mark_written(k, n, s->out);
    return WHY_OK;
}

/* A step for every node, and two conversions at most for every value. */
static why_status list_steps(struct planner *k) {
    bool *fused = take(k, k->g->n_nodes, sizeof *fused);
    k->p->steps = take(k, k->g->n_nodes + 3 * (size_t)k->n, sizeof *k->p->steps);
    if (!fused || !k->p->steps) return WHY_ENOMEM;
    k->has_plain[root(k, k->g->input)] = true;
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        if (n->live && !fused[i] && !is_alias(k, n)) WHY_TRY(list_step(k, i, fused));
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
        k->value[v] = k->grad[v] = k->blocks[v] = (struct buffer){.from = INT_MAX, .to = -1, .image = count};
        if (k->blocked && why_is_map(&value->shape)) k->blocks[v].image = why_blocked_size(&value->shape, k->blocked->width);
    }
    return WHY_OK;
}

/* The buffer that a step writes. */
static struct buffer *written_by(const struct planner *k, const why_step *s) {
    bool blocks = s->kind == WHY_STEP_TO_BLOCKS;
    if (s->kind == WHY_STEP_BLOCKED) blocks = !k->g->nodes[s->node].op->blocked->writes_plain;
    return blocks ? &k->blocks[slot(k, s->out)->block_root] : &k->value[root(k, s->out)];
}

/* The j-th buffer that it reads; NULL: there are no more. */
static struct buffer *read_by(const struct planner *k, const why_step *s, int j) {
    if (s->kind == WHY_STEP_TO_BLOCKS) return j == 0 ? &k->value[root(k, s->out)] : NULL;
    if (s->kind == WHY_STEP_TO_PLAIN) return j == 0 ? &k->blocks[slot(k, s->out)->block_root] : NULL;
    const why_node *n = &k->g->nodes[s->node];
    if (j == n->n_in) return s->add == WHY_ABSENT ? NULL : &k->blocks[slot(k, s->add)->block_root];
    if (j > n->n_in) return NULL;
    return reads_blocks(k, n) ? &k->blocks[slot(k, n->in[j])->block_root] : &k->value[root(k, n->in[j])];
}

static void live_forward(struct planner *k) {
    struct buffer *b;
    touch(&k->value[root(k, k->g->input)], 0);
    for (int i = 0; i < k->p->n_steps; i++) {
        const why_step *s = &k->p->steps[i];
        touch(written_by(k, s), i + 1);
        for (int j = 0; (b = read_by(k, s, j)); j++) touch(b, i + 1);
    }
    for (int v = 0; v < k->n; v++)
        if (k->read_later[v]) touch(&k->value[v], FOREVER);
}

/* A resumed session runs the steps behind one value again, from that value and from what they read besides: that stays. */
static void live_resumed(struct planner *k) {
    const int from = k->resume;
    struct buffer *b;
    k->depends[from] = true;
    for (size_t i = 0; i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        for (int j = 0; n->live && j < n->n_in; j++) k->depends[n->out] = k->depends[n->out] || k->depends[n->in[j]];
    }
    k->value[root(k, k->g->input)].fixed = true;
    for (int i = 0; i < k->p->n_steps; i++) {
        why_step *s = &k->p->steps[i];
        s->resumes = k->depends[s->out] && (s->out != from || s->kind == WHY_STEP_TO_BLOCKS);
        if (!s->resumes) written_by(k, s)->fixed = true;
    }
    for (int i = 0; i < k->p->n_steps; i++)
        for (int j = 0; k->p->steps[i].resumes && (b = read_by(k, &k->p->steps[i], j)); j++)
            if (b->fixed) touch(b, FOREVER);
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

/* ---------------------------------------------------------------- ranges */
static const why_range *range_at(const struct planner *k, int time) {
    for (int r = 0; r < k->p->n_ranges; r++)
        if (time > k->p->ranges[r].from && time <= k->p->ranges[r].to) return &k->p->ranges[r]; /* step i is time i + 1 */
    return NULL;
}

/* Steps of a range are repeated for every group of images: what comes in or goes out lives through all of it, what stays
 * inside holds one group. */
static void fit_to_ranges(const struct planner *k, struct buffer *b) {
    const why_range *first = range_at(k, b->from), *last = range_at(k, b->to);
    b->local = first && first == last;
    b->size = (b->image * (b->local ? first->group : k->p->max_batch) + 15) / 16 * 16; /* cache lines of 64 bytes */
    if (b->local) return;
    if (first) b->from = first->from + 1;
    if (last) b->to = last->to;
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
    struct buffer **all = take(k, 3 * (size_t)k->n, sizeof *all), **placed = take(k, 3 * (size_t)k->n, sizeof *placed);
    int n = 0;
    if (!all || !placed) return WHY_ENOMEM;
    for (int v = 0; v < k->n; v++) {
        if (k->value[v].from != INT_MAX) all[n++] = &k->value[v];
        if (k->grad[v].from != INT_MAX) all[n++] = &k->grad[v];
        if (k->blocks[v].from != INT_MAX) all[n++] = &k->blocks[v];
    }
    for (int i = 0; i < n; i++) fit_to_ranges(k, all[i]);
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
        slot(k, v)->local = k->value[r].local;
        if (k->grad[r].from != INT_MAX) slot(k, v)->grad_at = k->grad[r].at;
        const int b = slot(k, v)->block_root;
        if (k->blocks[b].from == INT_MAX) continue;
        slot(k, v)->block_at = k->blocks[b].at;
        slot(k, v)->block_image = k->blocks[b].image;
        slot(k, v)->block_local = k->blocks[b].local;
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- all of it */
static why_status take_tables(struct planner *k) {
    const size_t n = (size_t)k->n;
    k->p->slots = take(k, n, sizeof *k->p->slots);
    k->consumer = take(k, n, sizeof *k->consumer);
    k->value = take(k, n, sizeof *k->value);
    k->grad = take(k, n, sizeof *k->grad);
    k->blocks = take(k, n, sizeof *k->blocks);
    k->seeded = take(k, n, sizeof *k->seeded);
    k->in_blocks = take(k, k->g->n_nodes, sizeof *k->in_blocks);
    k->read_later = take(k, n, sizeof *k->read_later);
    k->has_plain = take(k, n, sizeof *k->has_plain);
    k->has_blocks = take(k, n, sizeof *k->has_blocks);
    k->depends = take(k, n, sizeof *k->depends);
    const bool ok = k->p->slots && k->consumer && k->value && k->grad && k->blocks && k->seeded && k->in_blocks && k->read_later && k->has_plain &&
                    k->has_blocks && k->depends;
    return ok ? WHY_OK : WHY_ENOMEM;
}

static why_status plan(struct planner *k, const why_session_wish *w) {
    WHY_TRY(take_tables(k));
    find_roots(k);
    for (int i = 0; i < w->n_keep; i++) slot(k, w->keep[i])->kept = true;
    for (int i = 0; i < w->n_grad; i++) slot(k, w->grad[i])->target = true;
    if (k->resume != WHY_ABSENT) slot(k, k->resume)->kept = true;
    find_gradient_path(k);
    find_read_later(k);
    why_plan_layouts(k);
    why_plan_joints(k);
    WHY_TRY(list_steps(k));
    WHY_TRY(why_plan_groups(k));
    WHY_TRY(list_back_steps(k));
    WHY_TRY(set_sizes(k));
    live_forward(k);
    live_backward(k);
    if (k->resume != WHY_ABSENT) live_resumed(k);
    return place(k);
}

why_status why_session_plan_create(const why_model *m, const why_session_wish *wish, why_session_plan **out) {
    *out = NULL;
    struct planner k = {.g = &m->graph, .n = (int)m->graph.n_values, .blocked = m->blocked, .resume = wish->resume};
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
