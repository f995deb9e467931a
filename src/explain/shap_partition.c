/* Owen values on a tree of boxes (shap 0.49.1, _partition.py): the picture is halved along its longer side, pixel after
 * pixel and channel after channel, and the difference f(full) - f(empty) is handed down that tree.
 *
 * An open node is a box under a context (what is shown besides the box), with the scores of the context without and with
 * the box, and a weight. To open it costs two evaluations, context + first half and context + second half; each half then
 * stands under two contexts, the other half hidden or shown, at half the weight (the Owen value of two players). Best
 * first: the node with the largest |with - without| * weight is opened next, several at a time, so that the model gets
 * batches; the batch decides which nodes are still unopened when the budget ends, hence `batch` is part of the method.
 * What an unopened node holds is shared by its pixels. Ties: the node made first (the peer draws unseeded noise). */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/output.h"

static const why_param params[] = {
    {"evaluations", WHY_PARAM_INT, "100", 2, 1000000, NULL, "budget, the empty and the full picture included"},
    {"masker", WHY_PARAM_TEXT, "blur(16,16)", 0, 0, NULL, "what hidden boxes show: blur(kx,ky), inpaint_telea, mean, colour(r,g,b), ..."},
    {"batch", WHY_PARAM_INT, "10", 2, 4096, NULL, "masks at a time; shap's default is 10, and the result depends on it"},
    {"priority", WHY_PARAM_CHOICE, "class", 0, 0, "class|all",
     "whose change says which box is opened next: the explained class's, or the largest of all classes, so that all targets share one "
     "set of evaluations (shap with one output, or with many)"},
    {0},
};

/* A context: a box shown on top of another context. Contexts share their tails; 0 is the empty one. */
struct context {
    int under, depth;
    why_box box;
};

/* What an evaluation gave: the score that is explained, and its row of all classes' scores (priority: all). */
struct worth {
    double score;
    int row;
};

struct node {
    struct worth without, with; /* the context, and the context plus the box */
    double weight, urgency;
    int context;
    why_box box;
};

struct state {
    const why_request *r;
    why_evaluator *ev;
    const why_fill *fill;
    int outputs, channels, h, w;
    int batch, budget, spent;
    struct context *contexts;
    struct node *nodes; /* in the order made, which breaks ties */
    int n_contexts, n_nodes;
    int *heap, n_heap; /* of node numbers, the most urgent first */
    int *opened;       /* nodes of this batch */
    int n_opened;
    why_box *boxes; /* 2*batch masks, MAX_DEPTH each */
    why_perturbation *masks;
    float *logits;
    double *phi; /* h*w */
    bool all;    /* every class has a say in what is urgent */
    double *rows;
    size_t rows_capacity;
    int n_rows, n_evaluated; /* of them in the last batch */
};

/* Halving 2^31 columns, rows and 3 channels down to one value takes 64 steps, and each adds at most one box. */
enum { MAX_DEPTH = 66 };

/* ---------------------------------------------------------------- tree */
static why_box whole(const struct state *s) { return (why_box){0, s->h, 0, s->w, 0, 3}; }

/* The longer side is halved; rows win ties, channels come last. False for a single value. Of an odd width w the first half
 * is the far one with floor(w/2) values: the peer numbers its leaves backwards, so that its tree lies mirrored. */
static bool split(const struct state *s, why_box b, why_box *first, why_box *second) {
    int rows = b.y1 - b.y0, columns = b.x1 - b.x0, depth = b.c1 - b.c0;
    *first = *second = b;
    if (rows >= columns && rows > 1) first->y0 = second->y1 = b.y1 - rows / 2;
    else if (columns > 1) first->x0 = second->x1 = b.x1 - columns / 2;
    else if (depth > 1 && s->channels > 1) first->c0 = second->c1 = b.c1 - depth / 2;
    else return false;
    return true;
}

/* A box's share goes to its pixels evenly, its channels summed. */
static void credit(struct state *s, const struct node *n) {
    const why_box b = n->box;
    double share = (n->with.score - n->without.score) * n->weight / ((double)(b.y1 - b.y0) * (b.x1 - b.x0));
    for (int y = b.y0; y < b.y1; y++)
        for (int x = b.x0; x < b.x1; x++) s->phi[(size_t)y * (size_t)s->w + (size_t)x] += share;
}

static int new_context(struct state *s, int under, why_box box) {
    s->contexts[s->n_contexts] = (struct context){.under = under, .depth = s->contexts[under].depth + 1, .box = box};
    return s->n_contexts++;
}

/* ---------------------------------------------------------------- priority queue */
static double urgency(const struct state *s, const struct node *n) {
    double most = fabs(n->with.score - n->without.score);
    if (s->all) {
        const size_t width = (size_t)s->outputs;
        const double *with = s->rows + (size_t)n->with.row * width, *without = s->rows + (size_t)n->without.row * width;
        most = 0;
        for (int c = 0; c < s->outputs; c++) most = fmax(most, fabs(with[c] - without[c]));
    }
    return most * n->weight;
}

static bool before(const struct state *s, int a, int b) {
    double ua = s->nodes[a].urgency, ub = s->nodes[b].urgency;
    return ua > ub || (ua == ub && a < b);
}

static void swap(int *a, int *b) {
    int t = *a;
    *a = *b;
    *b = t;
}

static void push(struct state *s, struct node n) {
    int i = s->n_heap++;
    n.urgency = urgency(s, &n);
    s->nodes[s->n_nodes] = n;
    s->heap[i] = s->n_nodes++;
    for (; i > 0 && before(s, s->heap[i], s->heap[(i - 1) / 2]); i = (i - 1) / 2) swap(&s->heap[i], &s->heap[(i - 1) / 2]);
}

static int pop(struct state *s) {
    int top = s->heap[0], i = 0;
    s->heap[0] = s->heap[--s->n_heap];
    for (;;) {
        int child = 2 * i + 1;
        if (child + 1 < s->n_heap && before(s, s->heap[child + 1], s->heap[child])) child++;
        if (child >= s->n_heap || !before(s, s->heap[child], s->heap[i])) return top;
        swap(&s->heap[i], &s->heap[child]);
        i = child;
    }
}

/* ---------------------------------------------------------------- evaluations */
/* Context plus one box as the slot-th mask of the batch. */
static void describe(struct state *s, int slot, int context, const why_box *box) {
    why_box *boxes = s->boxes + (size_t)slot * MAX_DEPTH;
    int n = s->contexts[context].depth;
    for (int i = n, c = context; i > 0; c = s->contexts[c].under) boxes[--i] = s->contexts[c].box;
    if (box) boxes[n++] = *box;
    s->masks[slot] = (why_perturbation){.kind = WHY_SHOW_BOXES, .fill = s->fill, .u.boxes = {.box = boxes, .n = n}};
}

static struct worth worth_of(const struct state *s, int slot) {
    const float *logits = s->logits + (size_t)slot * (size_t)s->outputs;
    return (struct worth){why_score(logits, s->outputs, s->r->class_index, s->r->output), s->n_rows - s->n_evaluated + slot};
}

/* The scores of all classes, one row per evaluation. */
static why_status keep_rows(struct state *s) {
    const size_t width = (size_t)s->outputs;
    WHY_TRY(why_grow(&s->rows, &s->rows_capacity, (size_t)(s->n_rows + s->n_evaluated) * width, sizeof *s->rows, "scores of all classes"));
    for (int i = 0; i < s->n_evaluated; i++)
        why_scores(s->logits + (size_t)i * width, s->outputs, s->r->output, s->rows + (size_t)(s->n_rows + i) * width);
    return WHY_OK;
}

static why_status evaluate(struct state *s, int n) {
    s->spent += n;
    s->n_evaluated = n;
    WHY_TRY(why_evaluator_run(s->ev, s->masks, n, s->logits));
    if (s->all) WHY_TRY(keep_rows(s));
    s->n_rows += n;
    return WHY_OK;
}

/* Take the most urgent nodes, as many as fit into the batch and the budget. Single values end here. */
static void choose(struct state *s) {
    why_box first, second;
    s->n_opened = 0;
    while (s->n_heap > 0 && 2 * s->n_opened < s->batch && s->spent + 2 * s->n_opened < s->budget) {
        int node = pop(s);
        const struct node *n = &s->nodes[node];
        if (!split(s, n->box, &first, &second)) {
            credit(s, n);
            continue;
        }
        describe(s, 2 * s->n_opened, n->context, &first);
        describe(s, 2 * s->n_opened + 1, n->context, &second);
        s->opened[s->n_opened++] = node;
    }
}

static void add_halves(struct state *s, int i) {
    const struct node n = s->nodes[s->opened[i]];
    why_box first, second;
    const struct worth with_first = worth_of(s, 2 * i), with_second = worth_of(s, 2 * i + 1);
    const double weight = n.weight / 2;
    (void)split(s, n.box, &first, &second);
    int shown_first = new_context(s, n.context, first), shown_second = new_context(s, n.context, second);
    push(s, (struct node){n.without, with_first, weight, 0, n.context, first});
    push(s, (struct node){n.without, with_second, weight, 0, n.context, second});
    push(s, (struct node){with_second, n.with, weight, 0, shown_second, first});
    push(s, (struct node){with_first, n.with, weight, 0, shown_first, second});
}

/* The empty and the full picture, one by one as the peer has it; then batches until the budget is spent. */
static why_status run(struct state *s, struct worth *empty, struct worth *full) {
    const why_box all = whole(s);
    describe(s, 0, 0, NULL);
    WHY_TRY(evaluate(s, 1));
    *empty = worth_of(s, 0);
    describe(s, 0, 0, &all);
    WHY_TRY(evaluate(s, 1));
    *full = worth_of(s, 0);
    push(s, (struct node){*empty, *full, 1, 0, 0, all});
    while (s->n_heap > 0 && s->spent < s->budget) {
        choose(s);
        if (s->n_opened > 0) WHY_TRY(evaluate(s, 2 * s->n_opened));
        for (int i = 0; i < s->n_opened; i++) add_halves(s, i);
    }
    while (s->n_heap > 0) credit(s, &s->nodes[pop(s)]);
    return WHY_OK;
}

/* ---------------------------------------------------------------- memory */
static void state_clear(struct state *s) {
    free(s->contexts);
    free(s->nodes);
    free(s->heap);
    free(s->opened);
    free(s->boxes);
    free(s->masks);
    free(s->logits);
    free(s->phi);
    free(s->rows);
}

/* Opening a node takes 2 evaluations and makes 4 nodes and 2 contexts; an odd budget is overdrawn by one. */
static why_status state_create(struct state *s) {
    size_t openings = (size_t)s->budget / 2 + 1, slots = (size_t)s->batch + 2;
    WHY_TRY(why_alloc(2 * openings + 1, sizeof *s->contexts, "contexts", &s->contexts));
    WHY_TRY(why_alloc(4 * openings + 1, sizeof *s->nodes, "partition nodes", &s->nodes));
    WHY_TRY(why_alloc(4 * openings + 1, sizeof *s->heap, "partition queue", &s->heap));
    WHY_TRY(why_alloc(slots, sizeof *s->opened, "partition batch", &s->opened));
    WHY_TRY(why_alloc(slots * MAX_DEPTH, sizeof *s->boxes, "partition batch", &s->boxes));
    WHY_TRY(why_alloc(slots, sizeof *s->masks, "partition batch", &s->masks));
    WHY_TRY(why_alloc(slots * (size_t)s->outputs, sizeof *s->logits, "scores of the masks", &s->logits));
    s->n_contexts = 1;
    return why_alloc((size_t)s->h * (size_t)s->w, sizeof *s->phi, "map", &s->phi);
}

static void finish(const struct state *s, double empty, double full, why_explanation *out) {
    double sum = 0;
    for (size_t i = 0; i < (size_t)s->h * (size_t)s->w; i++) {
        out->map[i] = (float)s->phi[i];
        sum += out->map[i]; /* of the map as it is delivered, rounding included */
    }
    out->residual = full - empty - sum;
    out->evaluations = s->spent;
    out->note = why_explanation_zero_note(out);
}

static why_status explain(const why_request *r, why_explanation *out) {
    WHY_TRY(why_request_check_class(r));
    why_evaluator *ev = why_subject_evaluator(r->subject);
    const why_model_info *info = why_model_get_info(why_evaluator_model(ev));
    struct state s = {.r = r, .ev = ev, .outputs = info->outputs, .channels = info->channels, .h = out->h, .w = out->w};
    s.budget = (int)why_params_int(r->params, "evaluations");
    s.batch = (int)why_params_int(r->params, "batch");
    s.all = strcmp(why_params_text(r->params, "priority"), "all") == 0;
    WHY_TRY(why_evaluator_fill(ev, why_params_text(r->params, "masker"), NULL, &s.fill));
    struct worth empty, full;
    why_status st = state_create(&s);
    if (!st) st = run(&s, &empty, &full);
    if (!st) finish(&s, empty.score, full.score, out);
    state_clear(&s);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    int64_t budget = why_params_int(p, "evaluations");
    return budget + budget % 2; /* nodes cost two */
}

const why_explainer why_explainer_shap_partition = {
    .name = "shap_partition",
    .help = "Owen values on a tree of boxes halved along the longer side, best first",
    .source = "Lundberg 2017; shap 0.49.1 PartitionExplainer",
    .output = WHY_PROBABILITY,
    .budget = "evaluations",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
