/* Add, Sub, Mul, Div of two tensors, or of a tensor and a constant, with broadcasting. Neighbouring dimensions that are
 * broadcast alike are merged when the model is loaded: equal shapes become one long row, a bias per channel C x HW. */
#include <string.h>

#include "nn/ops.h"

enum { LEFT, RIGHT };

struct binary {
    int rank;                            /* merged dimensions, outermost first */
    int64_t dim[WHY_MAX_RANK];
    int64_t stride[2][WHY_MAX_RANK];     /* 0 where that operand is broadcast */
    const float *constant[2];            /* NULL: computed at run time */
    int input[2];                        /* index into node->in, for operands computed at run time */
    int64_t constant_last;               /* the constant is one number per element of the last dimension; 0: it is not */
};

/* ---------------------------------------------------------------- build */
static int64_t size_at(const why_shape *s, int rank, int i) { return i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)]; }

static why_status broadcast(const why_shape *a, const why_shape *b, why_shape *out) {
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        int64_t m = size_at(a, out->rank, i), n = size_at(b, out->rank, i);
        char ta[96], tb[96];
        if (m != n && m != 1 && n != 1)
            return why_fail(WHY_EFORMAT, "shapes %s and %s do not fit", why_shape_text(a, 0, ta), why_shape_text(b, 0, tb));
        out->dim[i] = m == 1 ? n : m;
    }
    return WHY_OK;
}

static void strides_of(const why_shape *s, const why_shape *out, int64_t stride[WHY_MAX_RANK]) {
    int64_t step = 1;
    for (int i = out->rank - 1; i >= 0; i--) {
        int64_t n = size_at(s, out->rank, i);
        stride[i] = n == 1 ? 0 : step;
        step *= n;
    }
}

static void merge(const why_shape *out, int64_t stride[2][WHY_MAX_RANK], struct binary *p) {
    p->rank = 0;
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 1) continue;
        int last = p->rank - 1;
        bool joins = last >= 0;
        for (int k = LEFT; joins && k <= RIGHT; k++) joins = p->stride[k][last] == stride[k][i] * out->dim[i];
        if (!joins) last = p->rank++;
        p->dim[last] = joins ? p->dim[last] * out->dim[i] : out->dim[i];
        for (int k = LEFT; k <= RIGHT; k++) p->stride[k][last] = stride[k][i];
    }
    if (p->rank == 0) {
        p->dim[0] = 1;
        p->rank = 1;
    }
}

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    struct binary *p;
    const why_value *v[2];
    int64_t stride[2][WHY_MAX_RANK] = {{0}};
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    for (int k = LEFT, n = 0; k <= RIGHT; k++) {
        if (!why_has_input(b, k)) return why_fail(WHY_EFORMAT, "input %d is missing", k);
        v[k] = &b->g->values[b->in[k]];
        if (v[k]->type != WHY_FLOAT) return why_fail(WHY_EFORMAT, "input %d ('%s') is not float", k, v[k]->name);
        p->constant[k] = v[k]->data;
        if (!v[k]->data) p->input[k] = n++;
    }
    WHY_TRY(broadcast(&v[LEFT]->shape, &v[RIGHT]->shape, out));
    for (int k = LEFT; k <= RIGHT; k++) strides_of(&v[k]->shape, out, stride[k]);
    merge(out, stride, p);
    for (int k = LEFT; k <= RIGHT; k++) {
        const why_shape *s = &v[k]->shape;
        if (v[k]->data && s->rank > 0 && s->dim[s->rank - 1] == why_shape_count(s)) p->constant_last = s->dim[s->rank - 1];
    }
    node->attr = p;
    return WHY_OK;
}

const float *why_add_constant(const why_node *add, int64_t n) {
    if (add->op != &why_op_add) return NULL;
    const struct binary *p = add->attr;
    if (p->constant_last != n || add->size_out % n) return NULL;
    return p->constant[LEFT] ? p->constant[LEFT] : p->constant[RIGHT];
}

/* ---------------------------------------------------------------- walking */
/* Row `row` of the merged shape (all but its last dimension): offsets of both operands. */
static void locate(const struct binary *p, int64_t row, int64_t at[2]) {
    at[LEFT] = at[RIGHT] = 0;
    for (int i = p->rank - 2; i >= 0; i--) {
        for (int k = LEFT; k <= RIGHT; k++) at[k] += row % p->dim[i] * p->stride[k][i];
        row /= p->dim[i];
    }
}

static int64_t row_length(const struct binary *p) { return p->dim[p->rank - 1]; }

/* One long row is cut into even pieces, many rows into groups. */
static int pieces(const why_node *n) {
    const struct binary *p = n->attr;
    return p->rank == 1 ? why_even_pieces(n->size_out) : why_plane_pieces(n->size_out / row_length(p), row_length(p));
}

static const float *operand(const why_call *r, const struct binary *p, int k, int image) {
    return p->constant[k] ? p->constant[k] : r->in[p->input[k]] + image * r->node->size_in[p->input[k]];
}

static float *gradient(const why_call *r, const struct binary *p, int k, int image) {
    if (p->constant[k] || !r->grad_in[p->input[k]]) return NULL;
    return r->grad_in[p->input[k]] + image * r->node->size_in[p->input[k]];
}

struct segment {
    int64_t row, from, to;
};

/* The pieces as segments of rows. */
static int64_t segments(const why_node *n, int piece, struct segment *first) {
    const struct binary *p = n->attr;
    *first = (struct segment){0, 0, row_length(p)};
    if (p->rank == 1) {
        why_even_piece(n->size_out, piece, &first->from, &first->to);
        return 1;
    }
    int64_t to;
    why_plane_piece(n->size_out / row_length(p), row_length(p), piece, &first->row, &to);
    return to - first->row;
}

#define FORWARD(name, formula)                                                                               \
    static void name(const why_call *r, int image, int piece, int thread) {                                   \
        (void)thread;                                                                                         \
        const struct binary *p = r->node->attr;                                                               \
        const float *x = operand(r, p, LEFT, image), *y = operand(r, p, RIGHT, image);                        \
        const int64_t dx = p->stride[LEFT][p->rank - 1], dy = p->stride[RIGHT][p->rank - 1];                  \
        struct segment s;                                                                                     \
        for (int64_t n = segments(r->node, piece, &s); n > 0; n--, s.row++) {                                 \
            int64_t at[2];                                                                                    \
            locate(p, s.row, at);                                                                             \
            float *out = r->out + image * r->node->size_out + s.row * row_length(p);                          \
            for (int64_t i = s.from; i < s.to; i++) {                                                         \
                const float a = x[at[LEFT] + i * dx], b = y[at[RIGHT] + i * dy];                              \
                out[i] = formula;                                                                             \
            }                                                                                                 \
        }                                                                                                     \
    }

FORWARD(add_forward, a + b)
FORWARD(sub_forward, a - b)
FORWARD(mul_forward, a *b)
FORWARD(div_forward, a / b)

/* What a backward formula reads: nothing, the operands a and b of the image, or those of image 0 (a0, b0) as well. */
enum { NO_VALUES, OWN, PAIR };

/* A broadcast operand gathers the gradients of all places it went to: one piece per image, in order. */
#define BACKWARD(name, reads, da_formula, db_formula)                                                         \
    static void name(const why_call *r, int image, int piece, int thread) {                                   \
        (void)piece, (void)thread;                                                                            \
        const struct binary *p = r->node->attr;                                                               \
        float *ga = gradient(r, p, LEFT, image), *gb = gradient(r, p, RIGHT, image);                          \
        const float *x = reads ? operand(r, p, LEFT, image) : NULL, *y = reads ? operand(r, p, RIGHT, image) : NULL; \
        const float *x0 = reads == PAIR ? operand(r, p, LEFT, 0) : x, *y0 = reads == PAIR ? operand(r, p, RIGHT, 0) : y; \
        const int64_t dx = p->stride[LEFT][p->rank - 1], dy = p->stride[RIGHT][p->rank - 1];                  \
        const int64_t length = row_length(p), rows = r->node->size_out / length;                              \
        for (int64_t row = 0; row < rows; row++) {                                                            \
            int64_t at[2];                                                                                    \
            locate(p, row, at);                                                                               \
            const float *grad = r->grad_out + image * r->node->size_out + row * length;                       \
            for (int64_t i = 0; i < length; i++) {                                                            \
                const float g = grad[i];                                                                      \
                const float a = x ? x[at[LEFT] + i * dx] : 0, b = y ? y[at[RIGHT] + i * dy] : 0;              \
                const float a0 = x0 ? x0[at[LEFT] + i * dx] : 0, b0 = y0 ? y0[at[RIGHT] + i * dy] : 0;        \
                if (ga) ga[at[LEFT] + i * dx] += da_formula;                                                  \
                if (gb) gb[at[RIGHT] + i * dy] += db_formula;                                                 \
                (void)a, (void)b, (void)a0, (void)b0;                                                         \
            }                                                                                                 \
        }                                                                                                     \
    }

BACKWARD(add_backward, NO_VALUES, g, g)
BACKWARD(sub_backward, NO_VALUES, g, -g)
BACKWARD(mul_backward, OWN, g *b, g *a)
BACKWARD(div_backward, OWN, g / b, -g * a / (b * b))

/* DeepLIFT between image 0 (a0, b0) and this one. A product has two arguments and so no secant; each gets the mean of what
 * its change does before and after the other's, which adds up to the whole (the Shapley value of two players) and is the
 * plain rule for a constant. A quotient is a product with 1/b, whose secant is -1/(b b0). */
BACKWARD(mul_rescale, PAIR, g * 0.5f * (b + b0), g * 0.5f * (a + a0))
BACKWARD(div_rescale, PAIR, g * 0.5f * (1 / b + 1 / b0), -g * 0.5f * (a + a0) / (b * b0))

/* On the blocked layout two maps of one shape, as in residual connections. */
static bool blocked_fits(const why_graph *g, const why_node *n, const why_blocked *k) { return n->n_in == 2 && why_blocked_elementwise.fits(g, n, k); }

static const why_blocked_op blocked = {.fits = blocked_fits, .follows = true, .pieces = why_elementwise_pieces, .forward = why_elementwise_forward};

#define SHARED(f, g, ...) .build = build, .pieces = pieces, .forward = f, .backward = {g, __VA_ARGS__}, .blocked = &blocked

const why_op why_op_add = {.name = "Add", .flags = WHY_LINEAR, SHARED(add_forward, add_backward, NULL)};
const why_op why_op_sub = {.name = "Sub", .flags = WHY_LINEAR, SHARED(sub_forward, sub_backward, NULL)};
const why_op why_op_mul = {.name = "Mul", .flags = WHY_NEEDS_INPUT, SHARED(mul_forward, mul_backward, [WHY_RULE_RESCALE] = mul_rescale)};
const why_op why_op_div = {.name = "Div", .flags = WHY_NEEDS_INPUT, SHARED(div_forward, div_backward, [WHY_RULE_RESCALE] = div_rescale)};
