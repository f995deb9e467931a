/* Running a plan: forward, backward, and the views of what was kept. */
#include <stdlib.h>
#include <string.h>

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
    float **grad_in;
    int n;                            /* images of the last forward */
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
    WHY_TRY(why_alloc((size_t)p->max_inputs, sizeof *s->in, "session", &s->in));
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

static void run(why_session *s, const why_call *c, why_piece_fn *fn, int pieces) {
    struct work w = {c, fn, pieces};
    bool small = (c->node->macs + c->node->size_out) * c->n < SMALL_STEP;
    int n = c->node->op->flags & WHY_WHOLE_BATCH ? pieces : pieces * c->n;
    why_pool_run(small ? NULL : s->pool, n, run_piece, &w);
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
                      .scratch_stride = s->plan->scratch};
}

/* ---------------------------------------------------------------- forward */
static void forward_step(why_session *s, const why_step *step) {
    why_call c = call_of(s, &s->model->graph.nodes[step->node], step->out);
    c.clamp = step->clamp;
    run(s, &c, c.node->op->forward, step->pieces);
}

why_status why_session_forward(why_session *s, const float *x, int n) {
    const why_graph *g = &s->model->graph;
    if (n < 1 || n > s->plan->max_batch) return why_fail(WHY_EARG, "batch: got %d images, want 1 to %d", n, s->plan->max_batch);
    s->n = n;
    memcpy(value(s, g->input), x, (size_t)(n * count(s, g->input)) * sizeof *x);
    for (int i = 0; i < s->plan->n_steps; i++) forward_step(s, &s->plan->steps[i]);
    return WHY_OK;
}

why_status why_session_resume(why_session *s, const float *values) {
    if (s->resume == WHY_ABSENT) return why_fail(WHY_EARG, "resume: the session was made without a tensor to resume from");
    if (s->n == 0) return why_fail(WHY_EARG, "resume: there was no forward yet");
    memcpy(value(s, s->resume), values, (size_t)(s->n * count(s, s->resume)) * sizeof *values);
    for (int i = 0; i < s->plan->n_steps; i++)
        if (s->plan->steps[i].resumes) forward_step(s, &s->plan->steps[i]);
    return WHY_OK;
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
