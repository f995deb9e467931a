/* Running a plan: forward, backward, and the views of what was kept. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/kernel/kernel.h"
#include "nn/plan.h"

struct why_session {
    const why_model *model;
    why_pool *pool;
    why_session_plan *plan;
    const why_kernels *kernels;
    int *keep, n_keep, *grad, n_grad; /* values */
    int resume;                       /* value that may be replaced; WHY_ABSENT: none */
    float *memory, *scratch;
    const float **in;                 /* of the step that runs */
    int64_t *in_image;
    float **grad_in;
    int n;                            /* images of the last forward */
    double *seconds;                  /* per step; NULL: not timed */
};

/* Below this much work a step is done before another thread has woken up. */
enum { SMALL_STEP = 1 << 15 };

/* ---------------------------------------------------------------- create */
static why_status resolve_all(const why_model *m, const char *const *names, int n, int **out) {
    WHY_TRY(why_alloc((size_t)n, sizeof **out, "names of a session", out));
    for (int i = 0; i < n; i++) WHY_TRY(why_model_value(m, names[i], &(*out)[i]));
    return WHY_OK;
}

static why_status fill(why_session *s, const why_session_options *o) {
    if (o->max_batch < 1) return why_fail(WHY_EARG, "max_batch: got %d, want 1 or more", o->max_batch);
    if ((int)o->rule < 0 || o->rule >= WHY_RULE_COUNT) return why_fail(WHY_EARG, "rule: got %d, want 0 to %d", (int)o->rule, WHY_RULE_COUNT - 1);
    if (o->resume && o->n_grad_to) return why_fail(WHY_EARG, "a session either resumes or runs backward");
    WHY_TRY(resolve_all(s->model, o->keep, o->n_keep, &s->keep));
    WHY_TRY(resolve_all(s->model, o->grad_to, o->n_grad_to, &s->grad));
    if (o->resume) WHY_TRY(why_model_value(s->model, o->resume, &s->resume));
    const why_session_wish wish = {.max_batch = o->max_batch, .keep = s->keep, .n_keep = s->n_keep, .grad = s->grad, .n_grad = s->n_grad,
                                   .resume = s->resume, .rule = o->rule};
    WHY_TRY(why_session_plan_create(s->model, &wish, &s->plan));
    const why_session_plan *p = s->plan;
    WHY_TRY(why_alloc((size_t)p->floats, sizeof *s->memory, "activations", &s->memory));
    WHY_TRY(why_alloc(p->scratch * (size_t)why_pool_threads(s->pool), sizeof *s->scratch, "scratch of convolutions", &s->scratch));
    if (o->timed) WHY_TRY(why_alloc((size_t)p->n_steps, sizeof *s->seconds, "times of steps", &s->seconds));
    WHY_TRY(why_alloc((size_t)p->max_inputs, sizeof *s->in, "session", &s->in));
    WHY_TRY(why_alloc((size_t)p->max_inputs, sizeof *s->in_image, "session", &s->in_image));
    return why_alloc((size_t)p->max_inputs, sizeof *s->grad_in, "session", &s->grad_in);
}

why_status why_session_create(const why_model *m, const why_session_options *o, why_session **out) {
    why_session *s;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *s, "session", &s));
    *s = (why_session){.model = m, .pool = o->pool, .kernels = why_kernels_of_cpu(), .n_keep = o->n_keep, .n_grad = o->n_grad_to,
                       .resume = WHY_ABSENT};
    why_status st = fill(s, o);
    if (st) why_session_destroy(&s);
    *out = s;
    return st;
}

void why_session_destroy(why_session **session) {
    why_session *s = *session;
    if (!s) return;
    why_session_plan_destroy(&s->plan);
    free(s->keep);
    free(s->grad);
    free(s->memory);
    free(s->scratch);
    free(s->in);
    free(s->in_image);
    free(s->seconds);
    free(s->grad_in);
    free(s);
    *session = NULL;
}

int64_t why_session_bytes(const why_session *s) {
    return (s->plan->floats + (int64_t)s->plan->scratch * why_pool_threads(s->pool)) * (int64_t)sizeof(float);
}

/* ---------------------------------------------------------------- one step over the threads */
struct work {
    const why_call *call;
    why_piece_fn *fn;
    int pieces;
};

static void run_piece(void *ctx, int index, int thread) {
    const struct work *w = ctx;
    w->fn(w->call, index / w->pieces, index % w->pieces, thread);
}

static void run_pieces(why_session *s, const why_call *c, why_piece_fn *fn, int pieces, int n, int64_t work) {
    struct work w = {c, fn, pieces};
    why_pool_run(work < SMALL_STEP ? NULL : s->pool, n, run_piece, &w);
}

static void run(why_session *s, const why_call *c, why_piece_fn *fn, int pieces) {
    const int n = c->node->op->flags & WHY_WHOLE_BATCH ? pieces : pieces * c->n;
    run_pieces(s, c, fn, pieces, n, (c->node->macs + c->node->size_out) * c->n);
}

static float *value(const why_session *s, int v) { return s->memory + s->plan->slots[v].at; }
static float *gradient(const why_session *s, int v) { return s->memory + s->plan->slots[v].grad_at; }
static int64_t count(const why_session *s, int v) { return why_shape_count(&s->model->graph.values[v].shape); }

/* A value that no step leaves in memory (behind a fused clamp) is never read: its pointer is then meaningless. */
static why_call call_of(why_session *s, const why_node *node, int out) {
    for (int i = 0; i < node->n_in; i++) s->in[i] = s->plan->slots[node->in[i]].at < 0 ? NULL : value(s, node->in[i]);
    return (why_call){.node = node,
                      .n = s->n,
                      .in = s->in,
                      .out = s->plan->slots[out].at < 0 ? NULL : value(s, out),
                      .kernels = s->kernels,
                      .scratch = s->scratch,
                      .scratch_stride = s->plan->scratch,
                      .blocked = s->model->blocked};
}

/* ---------------------------------------------------------------- forward on the blocked layout */
static float *blocks(const why_session *s, int v) {
    const why_slot *slot = &s->plan->slots[v];
    return s->memory + slot->block_at + slot->block_shift;
}

/* The value in one layout, from `image` on. */
struct place {
    float *at;
    int64_t image;
};

static struct place place_of(const why_session *s, int v, bool in_blocks, int image) {
    const why_slot *slot = &s->plan->slots[v];
    const int64_t each = in_blocks ? slot->block_image : count(s, v);
    if (in_blocks ? slot->block_local : slot->local) image = 0;
    return (struct place){(in_blocks ? blocks(s, v) : value(s, v)) + image * each, each};
}

/* An input of Concat that was written where the output has it is not copied. */
static bool is_in_place(const why_session *s, const why_node *n, int j) {
    const why_slot *in = &s->plan->slots[n->in[j]], *out = &s->plan->slots[n->out];
    int64_t at = out->block_shift;
    for (int i = 0; i < j; i++) at += why_blocked_size(&s->model->graph.values[n->in[i]].shape, s->model->blocked->width);
    return in->block_root == out->block_root && in->block_shift == at;
}

static void blocked_step(why_session *s, const why_step *step, int image, int n) {
    const why_node *node = &s->model->graph.nodes[step->node];
    const why_blocked_op *op = node->op->blocked;
    const bool from_blocks = !(op->reads_plain && op->reads_plain(node));
    for (int i = 0; i < node->n_in; i++) {
        const struct place p = place_of(s, node->in[i], from_blocks, image);
        s->in[i] = node->op == &why_op_concat && is_in_place(s, node, i) ? NULL : p.at;
        s->in_image[i] = p.image;
    }
    const struct place out = place_of(s, step->out, !op->writes_plain, image);
    why_call c = {.node = node, .n = n, .in = s->in, .out = out.at, .clamp = step->clamp, .kernels = s->kernels, .scratch = s->scratch,
                  .scratch_stride = s->plan->scratch, .blocked = s->model->blocked, .in_image = s->in_image, .out_image = out.image,
                  .threads = why_pool_threads(s->pool)};
    if (step->add != WHY_ABSENT) {
        const struct place add = place_of(s, step->add, true, image);
        c.add = add.at;
        c.add_image = add.image;
    }
    const int pieces = op->pieces(&c);
    run_pieces(s, &c, op->forward, pieces, pieces, (node->macs + node->size_out) * n);
}

/* One block of one image from one layout to the other. */
struct conversion {
    const why_session *s;
    int value, image, blocks; /* the first image */
    bool to_blocks;
};

static void convert_block(void *ctx, int index, int thread) {
    const struct conversion *c = ctx;
    const why_blocked *k = c->s->model->blocked;
    const why_shape *shape = &c->s->model->graph.values[c->value].shape;
    const int image = index / c->blocks;
    const int64_t plane = why_map_plane(shape), first = (int64_t)(index % c->blocks) * k->width, left = shape->dim[1] - first;
    const int channels = left < k->width ? (int)left : k->width;
    const struct place flat = place_of(c->s, c->value, false, c->image), deep = place_of(c->s, c->value, true, c->image);
    float *plain = flat.at + image * flat.image + first * plane, *block = deep.at + image * deep.image + first * plane;
    (void)thread;
    if (c->to_blocks) k->to_block(plain, plane, channels, 0, plane, block);
    else k->to_planes(block, plane, channels, 0, plane, plain);
}

static void convert(why_session *s, const why_step *step, int image, int n) {
    const why_shape *shape = &s->model->graph.values[step->out].shape;
    struct conversion c = {.s = s, .value = step->out, .image = image, .blocks = why_blocks(shape->dim[1], s->model->blocked->width),
                           .to_blocks = step->kind == WHY_STEP_TO_BLOCKS};
    why_pool_run(n * why_shape_count(shape) < SMALL_STEP ? NULL : s->pool, n * c.blocks, convert_block, &c);
}

/* ---------------------------------------------------------------- forward */
static void plain_step(why_session *s, const why_step *step, int image, int n) {
    const why_node *node = &s->model->graph.nodes[step->node];
    why_call c = call_of(s, node, step->out);
    for (int i = 0; i < node->n_in; i++) s->in[i] = place_of(s, node->in[i], false, image).at;
    c.n = n;
    c.out = place_of(s, step->out, false, image).at;
    c.clamp = step->clamp;
    run(s, &c, node->op->forward, step->pieces);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void forward_step(why_session *s, const why_step *step, int image, int n) {
    const double begin = s->seconds ? now() : 0;
    if (step->kind == WHY_STEP_PLAIN) plain_step(s, step, image, n);
    else if (step->kind == WHY_STEP_BLOCKED) blocked_step(s, step, image, n);
    else convert(s, step, image, n);
    if (s->seconds) s->seconds[step - s->plan->steps] += now() - begin;
}

/* All steps, or those that resume; in each range a group of images goes through all steps before the next begins. */
static void run_steps(why_session *s, bool only_resumed) {
    for (int r = 0; r < s->plan->n_ranges; r++) {
        const why_range *range = &s->plan->ranges[r];
        for (int image = 0; image < s->n; image += range->group) {
            const int n = s->n - image < range->group ? s->n - image : range->group;
            for (int i = range->from; i < range->to; i++)
                if (!only_resumed || s->plan->steps[i].resumes) forward_step(s, &s->plan->steps[i], image, n);
        }
    }
}

why_status why_session_forward(why_session *s, const float *x, int n) {
    const why_graph *g = &s->model->graph;
    if (n < 1 || n > s->plan->max_batch) return why_fail(WHY_EARG, "batch: got %d images, want 1 to %d", n, s->plan->max_batch);
    s->n = n;
    memcpy(value(s, g->input), x, (size_t)(n * count(s, g->input)) * sizeof *x);
    run_steps(s, false);
    return WHY_OK;
}

why_status why_session_resume(why_session *s, const float *values) {
    if (s->resume == WHY_ABSENT) return why_fail(WHY_EARG, "resume: the session was made without a tensor to resume from");
    if (s->n == 0) return why_fail(WHY_EARG, "resume: there was no forward yet");
    memcpy(value(s, s->resume), values, (size_t)(s->n * count(s, s->resume)) * sizeof *values);
    run_steps(s, true);
    return WHY_OK;
}

/* ---------------------------------------------------------------- what the steps are */
int why_session_steps(const why_session *s) { return s->plan->n_steps; }

static const char *algorithm_of(const why_session *s, const why_step *step) {
    const why_node *node = &s->model->graph.nodes[step->node];
    const why_blocked_op *op = node->op->blocked;
    if (step->kind == WHY_STEP_PLAIN) return "portable";
    return op->algorithm ? op->algorithm(node, s->model->blocked) : "blocked";
}

why_step_info why_session_step(const why_session *s, int i) {
    const why_step *step = &s->plan->steps[i];
    const why_value *value = &s->model->graph.values[step->out];
    why_step_info info = {.layer = value->name, .op = "layout", .shape = why_public_shape(&value->shape), .seconds = s->seconds ? s->seconds[i] : 0};
    for (int r = 0; r < s->plan->n_ranges; r++)
        if (i >= s->plan->ranges[r].from) info.group = s->plan->ranges[r].group;
    info.algorithm = step->kind == WHY_STEP_TO_BLOCKS ? "to blocks" : "to planes";
    if (step->node == WHY_ABSENT) return info;
    const why_node *node = &s->model->graph.nodes[step->node];
    info.layer = node->name;
    info.op = node->op->name;
    info.algorithm = algorithm_of(s, step);
    info.macs = node->macs;
    return info;
}

double why_model_peak(const why_model *m) {
    enum { STEPS = 1 << 20, RUNS = 5 };
    double best = 0;
    float sum = 0;
    for (int i = 0; m->blocked && i < RUNS; i++) {
        const double begin = now();
        sum += m->blocked->chains(STEPS);
        const double rate = (double)WHY_CHAINS * STEPS * m->blocked->width / (now() - begin);
        if (rate > best) best = rate;
    }
    return sum > 0 ? best : 0;
}

const float *why_session_logits(const why_session *s) { return value(s, s->model->graph.logits); }

static why_tensor_view view(const why_session *s, int v, const float *data) {
    const why_shape *shape = &s->model->graph.values[v].shape;
    why_tensor_view t = {data, *shape};
    t.shape.dim[0] = s->n;
    return t;
}

why_tensor_view why_session_resumed(const why_session *s) { return view(s, s->resume, value(s, s->resume)); }
why_tensor_view why_session_kept(const why_session *s, int i) { return view(s, s->keep[i], value(s, s->keep[i])); }

/* ---------------------------------------------------------------- backward */
static void back_step(why_session *s, const why_back_step *step, why_rule rule) {
    const why_node *n = &s->model->graph.nodes[step->node];
    why_call c = call_of(s, n, n->out);
    for (int i = 0; i < n->n_in; i++) {
        s->grad_in[i] = s->plan->slots[n->in[i]].wants_gradient ? gradient(s, n->in[i]) : NULL;
        if (step->first[i]) memset(s->grad_in[i], 0, (size_t)(s->n * n->size_in[i]) * sizeof(float));
    }
    c.grad_in = s->grad_in;
    c.grad_out = gradient(s, n->out);
    run(s, &c, why_op_backward(n->op, rule), step->pieces);
}

why_status why_session_backward(why_session *s, const float *seed, why_rule rule) {
    int logits = s->model->graph.logits;
    if (s->n == 0) return why_fail(WHY_EARG, "backward: there was no forward yet");
    if (s->n_grad == 0) return why_fail(WHY_EARG, "backward: the session was made without grad_to");
    if ((int)rule < 0 || rule >= WHY_RULE_COUNT) return why_fail(WHY_EARG, "backward: rule %d, want 0 to %d", (int)rule, WHY_RULE_COUNT - 1);
    if ((rule == WHY_RULE_RESCALE) != (s->plan->rule == WHY_RULE_RESCALE))
        return why_fail(WHY_EARG, "backward: rule %d in a session that was made for rule %d", (int)rule, (int)s->plan->rule);
    memcpy(gradient(s, logits), seed, (size_t)(s->n * count(s, logits)) * sizeof *seed);
    for (int i = 0; i < s->plan->n_back; i++) back_step(s, &s->plan->back[i], rule);
    return WHY_OK;
}

why_tensor_view why_session_gradient(const why_session *s, int i) { return view(s, s->grad[i], gradient(s, s->grad[i])); }
