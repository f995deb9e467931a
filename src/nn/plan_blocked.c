/* Layouts: which steps run on blocks, what is joined in place, and how many images go through a range of steps at once. */
#include "nn/planner.h"

/* ---------------------------------------------------------------- which nodes */
void why_plan_layouts(struct planner *k) {
    bool *in_blocks = k->has_blocks; /* per value, as its node writes it; cleared again below */
    for (size_t i = 0; k->blocked && i < k->g->n_nodes; i++) {
        const why_node *n = &k->g->nodes[i];
        const why_blocked_op *op = n->op->blocked;
        if (!n->live || !op || !op->fits(k->g, n, k->blocked)) continue;
        bool near = !op->follows;
        for (int j = 0; j < n->n_in; j++) near = near || in_blocks[n->in[j]];
        k->in_blocks[i] = near;
        in_blocks[n->out] = near && !op->writes_plain;
    }
    for (int v = 0; v < k->n; v++) in_blocks[v] = false;
}

/* ---------------------------------------------------------------- joints */
static int64_t blocked_size(const struct planner *k, int v) { return why_blocked_size(&k->g->values[v].shape, k->blocked->width); }

/* Every input that lies nowhere else yet gets its place inside the output. */
static void place_inputs(struct planner *k, const why_node *n) {
    const why_slot *out = why_slot_of(k, n->out);
    int64_t at = out->block_shift;
    for (int j = 0; j < n->n_in; at += blocked_size(k, n->in[j++])) {
        why_slot *in = why_slot_of(k, n->in[j]);
        if (in->block_root != n->in[j]) continue;
        in->block_root = out->block_root;
        in->block_shift = at;
    }
}

/* DenseNet joins ever longer lists: once the longest has its place, the shorter ones lie in it already, side by side. */
static bool lies_joined(const struct planner *k, const why_node *n) {
    const why_slot *first = why_slot_of(k, n->in[0]);
    int64_t at = first->block_shift;
    if (first->block_root == n->in[0]) return false;
    for (int j = 0; j < n->n_in; at += blocked_size(k, n->in[j++])) {
        const why_slot *in = why_slot_of(k, n->in[j]);
        if (in->block_root != first->block_root || in->block_shift != at) return false;
    }
    return true;
}

void why_plan_joints(struct planner *k) {
    for (size_t i = k->g->n_nodes; i-- > 0;) {
        const why_node *n = &k->g->nodes[i];
        if (!k->in_blocks[i] || n->op != &why_op_concat) continue;
        why_slot *out = why_slot_of(k, n->out);
        if (out->block_root == n->out && lies_joined(k, n)) {
            out->block_root = why_slot_of(k, n->in[0])->block_root;
            out->block_shift = why_slot_of(k, n->in[0])->block_shift;
            continue;
        }
        place_inputs(k, n);
    }
}

/* ---------------------------------------------------------------- groups of images */
/* What a step reads and writes per image should stay, for the images of a group, within a core's share of the last cache. */
enum { GROUP_FLOATS = 1 << 20 };

static int64_t floats_of(const struct planner *k, int v) { return why_shape_count(&k->g->values[v].shape); }

static int64_t touched_floats(const struct planner *k, const why_step *s) {
    int64_t floats = floats_of(k, s->out);
    if (s->node == WHY_ABSENT) return 2 * floats;
    const why_node *n = &k->g->nodes[s->node];
    for (int j = 0; j < n->n_in; j++) floats += floats_of(k, n->in[j]);
    return floats;
}

static int wanted_group(const struct planner *k, const why_step *s) {
    const int all = k->p->max_batch;
    int group = 1;
    if (s->node != WHY_ABSENT && (k->g->nodes[s->node].op->flags & WHY_WHOLE_BATCH)) return all; /* weights are all that counts */
    while (group < all && 2 * group * touched_floats(k, s) <= GROUP_FLOATS) group *= 2;
    return group < all ? group : all;
}

why_status why_plan_groups(struct planner *k) {
    why_session_plan *p = k->p;
    p->ranges = why_arena_take(p->arena, ((size_t)p->n_steps + 1) * sizeof *p->ranges);
    if (!p->ranges) return WHY_ENOMEM;
    int group = k->blocked ? 1 : p->max_batch;
    for (int i = 0; i < p->n_steps; i++) {
        const int want = wanted_group(k, &p->steps[i]);
        if (want > group) group = want;
        if (p->n_ranges == 0 || p->ranges[p->n_ranges - 1].group != group) p->ranges[p->n_ranges++] = (why_range){i, i, group};
        p->ranges[p->n_ranges - 1].to = i + 1;
    }
    return WHY_OK;
}
