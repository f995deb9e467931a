/* Arithmetic on constants while the graph is built: shapes that exporters compute at run time, and weights that they
 * reshape or transpose. Both element types go through the same code; only arithmetic tells them apart. */
#include <math.h>
#include <string.h>

#include "nn/ops.h"

typedef why_status fold_fn(const why_builder *b, why_value *out);

static size_t width(const why_value *v) { return v->type == WHY_FLOAT ? sizeof(float) : sizeof(int64_t); }
static const why_value *in(const why_builder *b, int i) { return &b->g->values[b->in[i]]; }

static why_status want_inputs(const why_builder *b, int n) {
    for (int i = 0; i < n; i++)
        if (!why_has_input(b, i)) return why_fail(WHY_EFORMAT, "input %d is missing", i);
    return WHY_OK;
}

static why_status take(const why_builder *b, why_type type, const why_shape *shape, why_value *out, void *data) {
    int64_t count;
    out->type = type;
    out->shape = *shape;
    WHY_TRY(why_shape_check(shape, &count));
    WHY_TRY(why_take(b, (size_t)count, width(out), &out->data));
    memcpy(data, &out->data, sizeof out->data);
    return WHY_OK;
}

static why_shape vector(int64_t n) { return (why_shape){1, {n}}; }

static why_status from_ints(const why_builder *b, const int64_t *v, int64_t n, why_value *out) {
    int64_t *d;
    why_shape s = vector(n);
    WHY_TRY(take(b, WHY_INT, &s, out, &d));
    if (n > 0) memcpy(d, v, (size_t)n * sizeof *v);
    return WHY_OK;
}

/* ---------------------------------------------------------------- sources */
static why_status fold_constant(const why_builder *b, why_value *out) {
    const why_attr *a;
    size_t n;
    if ((a = why_attr_find(b->proto, "value"))) return why_constant_parse(b->g->arena, a->tensor, out);
    if ((a = why_attr_find(b->proto, "value_int")) || (a = why_attr_find(b->proto, "value_ints"))) {
        const int64_t *list;
        if (a->has_i) {
            WHY_TRY(from_ints(b, &a->i, 1, out));
            out->shape = (why_shape){0};
            return WHY_OK;
        }
        WHY_TRY(why_wire_ints(b->g->arena, a->message, 8, &list, &n));
        return from_ints(b, list, (int64_t)n, out);
    }
    if (!(a = why_attr_find(b->proto, "value_float")) && !(a = why_attr_find(b->proto, "value_floats")))
        return why_fail(WHY_EUNSUPPORTED, "a constant that is neither tensor, numbers nor number");
    const float *list = &a->f;
    n = 1;
    if (!a->has_f) WHY_TRY(why_wire_floats(b->g->arena, a->message, 7, &list, &n));
    why_shape s = vector((int64_t)n);
    if (a->has_f) s = (why_shape){0};
    float *d;
    WHY_TRY(take(b, WHY_FLOAT, &s, out, &d));
    if (n) memcpy(d, list, n * sizeof *d);
    return WHY_OK;
}

static why_status fold_shape(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 1));
    const why_shape *s = &in(b, 0)->shape;
    int64_t from = why_attr_int(b, "start", 0), to = why_attr_int(b, "end", s->rank);
    if (from < 0) from += s->rank;
    if (to < 0) to += s->rank;
    from = from < 0 ? 0 : from > s->rank ? s->rank : from;
    to = to < from ? from : to > s->rank ? s->rank : to;
    return from_ints(b, s->dim + from, to - from, out);
}

static why_status fold_constant_of_shape(const why_builder *b, why_value *out) {
    const int64_t *dims;
    size_t rank;
    WHY_TRY(why_input_ints(b, 0, "shape", &dims, &rank));
    if (rank > WHY_MAX_RANK) return why_fail(WHY_EUNSUPPORTED, "%zu dimensions", rank);
    why_shape s = {.rank = (int)rank};
    for (size_t i = 0; i < rank; i++) s.dim[i] = dims[i];
    const why_attr *a = why_attr_find(b->proto, "value");
    float zero = 0;
    why_value fill = {.type = WHY_FLOAT, .data = &zero};
    if (a) WHY_TRY(why_constant_parse(b->g->arena, a->tensor, &fill));
    if (why_shape_count(&fill.shape) != 1) return why_fail(WHY_EFORMAT, "value: want one element");
    char *d;
    WHY_TRY(take(b, fill.type, &s, out, &d));
    for (int64_t i = 0, n = why_shape_count(&s); i < n; i++) memcpy(d + (size_t)i * width(out), fill.data, width(out));
    return WHY_OK;
}

static why_status fold_range(const why_builder *b, why_value *out) {
    const int64_t *v[3];
    for (int i = 0; i < 3; i++) {
        size_t n;
        WHY_TRY(why_input_ints(b, i, "start, limit or delta", &v[i], &n));
        if (n != 1) return why_fail(WHY_EFORMAT, "input %d: want one number", i);
    }
    int64_t start = *v[0], limit = *v[1], delta = *v[2];
    if (delta == 0) return why_fail(WHY_EFORMAT, "delta is 0");
    double length = ceil(((double)limit - (double)start) / (double)delta);
    if (length > 1e6) return why_fail(WHY_ELIMIT, "%g numbers", length);
    int64_t n = length > 0 ? (int64_t)length : 0, *d;
    why_shape s = vector(n);
    WHY_TRY(take(b, WHY_INT, &s, out, &d));
    for (int64_t i = 0; i < n; i++) d[i] = start + i * delta;
    return WHY_OK;
}

/* ---------------------------------------------------------------- the same elements in another shape */
/* The operators' own build functions know the shape rules; the data stay where they are. */
static why_status fold_view(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 1));
    const why_value *v = in(b, 0);
    why_node scratch = {0};
    out->type = v->type;
    out->data = v->data;
    return why_op_find(b->proto->op_type)->build(b, &scratch, &out->shape);
}

static why_status fold_cast(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 1));
    const why_value *v = in(b, 0);
    int64_t to = why_attr_int(b, "to", 1), n = why_shape_count(&v->shape);
    why_type type = to == 1 || to == 10 || to == 11 || to == 16 ? WHY_FLOAT : WHY_INT;
    *out = *v;
    if (type == v->type) return WHY_OK;
    void *d;
    WHY_TRY(take(b, type, &v->shape, out, &d));
    for (int64_t i = 0; i < n; i++) {
        if (type == WHY_FLOAT) {
            ((float *)d)[i] = (float)((const int64_t *)v->data)[i];
            continue;
        }
        float f = ((const float *)v->data)[i];
        if (!(fabsf(f) < 9e18f)) return why_fail(WHY_EFORMAT, "%g is no whole number of 64 bits", (double)f);
        ((int64_t *)d)[i] = (int64_t)f;
    }
    return WHY_OK;
}

static why_status fold_transpose(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 1));
    const why_value *v = in(b, 0);
    int rank = v->shape.rank;
    const int64_t *perm;
    size_t n;
    unsigned set;
    WHY_TRY(why_attr_ints(b, "perm", &perm, &n));
    if (n && n != (size_t)rank) return why_fail(WHY_EFORMAT, "perm has %zu entries, the tensor %d dimensions", n, rank);
    WHY_TRY(why_axes(perm, n, rank, &set));
    why_shape s = {.rank = rank};
    int64_t stride_in[WHY_MAX_RANK], stride[WHY_MAX_RANK] = {0}, step = 1;
    for (int i = rank - 1; i >= 0; i--) stride_in[i] = step, step *= v->shape.dim[i];
    for (int i = 0; i < rank; i++) {
        int from = n ? (int)(perm[i] < 0 ? perm[i] + rank : perm[i]) : rank - 1 - i;
        s.dim[i] = v->shape.dim[from];
        stride[i] = stride_in[from];
    }
    char *d;
    size_t w = width(v);
    WHY_TRY(take(b, v->type, &s, out, &d));
    for (int64_t k = 0, count = why_shape_count(&s); k < count; k++) {
        int64_t rest = k, at = 0;
        for (int i = rank - 1; i >= 0; i--) at += rest % s.dim[i] * stride[i], rest /= s.dim[i];
        memcpy(d + (size_t)k * w, (const char *)v->data + (size_t)at * w, w);
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- lists of sizes */
static why_status fold_gather(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 2));
    const why_value *v = in(b, 0);
    const int64_t *index;
    size_t n;
    WHY_TRY(why_input_ints(b, 1, "indices", &index, &n));
    if (v->shape.rank != 1 || why_attr_int(b, "axis", 0) > 0 || in(b, 1)->shape.rank > 1)
        return why_fail(WHY_EUNSUPPORTED, "only lists are gathered from");
    char *d;
    why_shape s = in(b, 1)->shape;
    WHY_TRY(take(b, v->type, &s, out, &d));
    for (size_t i = 0; i < n; i++) {
        int64_t k = index[i] < 0 ? index[i] + v->shape.dim[0] : index[i];
        if (k < 0 || k >= v->shape.dim[0])
            return why_fail(WHY_EFORMAT, "index %lld of %lld elements", (long long)index[i], (long long)v->shape.dim[0]);
        memcpy(d + i * width(v), (const char *)v->data + (size_t)k * width(v), width(v));
    }
    return WHY_OK;
}

static why_status fold_concat(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, b->proto->n_in));
    if (b->proto->n_in == 0) return why_fail(WHY_EFORMAT, "no inputs");
    int64_t n = 0;
    for (int i = 0; i < b->proto->n_in; i++) {
        const why_value *v = in(b, i);
        if (v->shape.rank != 1 || v->type != in(b, 0)->type) return why_fail(WHY_EUNSUPPORTED, "only constant lists of one type are joined");
        n += v->shape.dim[0];
    }
    char *d;
    why_shape s = vector(n);
    WHY_TRY(take(b, in(b, 0)->type, &s, out, &d));
    for (int i = 0; i < b->proto->n_in; i++) {
        size_t bytes = (size_t)in(b, i)->shape.dim[0] * width(out);
        if (bytes) memcpy(d, in(b, i)->data, bytes);
        d += bytes;
    }
    return WHY_OK;
}

static int64_t clipped(int64_t k, int64_t n, int64_t lo, int64_t hi) {
    if (k < 0) k = k < -n ? lo - 1 : k + n;
    return k < lo ? lo : k > hi ? hi : k;
}

static why_status fold_slice(const why_builder *b, why_value *out) {
    WHY_TRY(want_inputs(b, 1));
    const why_value *v = in(b, 0);
    const int64_t *start, *end, *axes, *step;
    size_t n_start, n_end, n_axes, n_step;
    WHY_TRY(why_ints_of(b, "starts", 1, &start, &n_start));
    WHY_TRY(why_ints_of(b, "ends", 2, &end, &n_end));
    WHY_TRY(why_ints_of(b, "axes", 3, &axes, &n_axes));
    WHY_TRY(why_ints_of(b, "steps", 4, &step, &n_step));
    if (v->shape.rank != 1 || n_start != 1 || n_end != 1 || n_axes > 1 || n_step > 1 || (n_axes && axes[0] != 0 && axes[0] != -1))
        return why_fail(WHY_EUNSUPPORTED, "only constant lists are sliced");
    int64_t n = v->shape.dim[0], by = n_step ? step[0] : 1;
    if (by == 0) return why_fail(WHY_EFORMAT, "step is 0");
    if (by > n + 1) by = n + 1;
    if (by < -n - 1) by = -n - 1;
    int64_t from = by > 0 ? clipped(start[0], n, 0, n) : clipped(start[0], n, -1, n - 1);
    int64_t to = by > 0 ? clipped(end[0], n, 0, n) : clipped(end[0], n, -1, n - 1);
    int64_t count = by > 0 ? (to - from + by - 1) / by : (from - to - by - 1) / -by;
    char *d;
    why_shape s = vector(count > 0 ? count : 0);
    WHY_TRY(take(b, v->type, &s, out, &d));
    for (int64_t i = 0; i < s.dim[0]; i++) memcpy(d + (size_t)i * width(v), (const char *)v->data + (size_t)(from + i * by) * width(v), width(v));
    return WHY_OK;
}

/* ---------------------------------------------------------------- arithmetic */
static why_status of_ints(char op, int64_t x, int64_t y, int64_t *z) {
    bool over = op == '+' ? __builtin_add_overflow(x, y, z) : op == '-' ? __builtin_sub_overflow(x, y, z) : op == '*' ? __builtin_mul_overflow(x, y, z) : false;
    if (over) return why_fail(WHY_EFORMAT, "%lld %c %lld does not fit 64 bits", (long long)x, op, (long long)y);
    if (op != '/') return WHY_OK;
    if (y == 0 || (x == INT64_MIN && y == -1)) return why_fail(WHY_EFORMAT, "%lld / %lld", (long long)x, (long long)y);
    *z = x / y;
    return WHY_OK;
}

static float of_floats(char op, float x, float y) { return op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y; }

static why_status fold_arithmetic(const why_builder *b, char op, why_value *out) {
    WHY_TRY(want_inputs(b, 2));
    const why_value *x = in(b, 0), *y = in(b, 1);
    int64_t nx = why_shape_count(&x->shape), ny = why_shape_count(&y->shape);
    if (x->type != y->type) return why_fail(WHY_EFORMAT, "two constants of different types");
    if (nx != ny && nx != 1 && ny != 1) return why_fail(WHY_EUNSUPPORTED, "constants of %lld and %lld elements", (long long)nx, (long long)ny);
    bool like_x = nx > ny || (nx == ny && x->shape.rank >= y->shape.rank);
    void *d;
    WHY_TRY(take(b, x->type, like_x ? &x->shape : &y->shape, out, &d));
    for (int64_t i = 0, n = nx > ny ? nx : ny; i < n; i++) {
        int64_t ix = nx == 1 ? 0 : i, iy = ny == 1 ? 0 : i;
        if (x->type == WHY_FLOAT) ((float *)d)[i] = of_floats(op, ((const float *)x->data)[ix], ((const float *)y->data)[iy]);
        else WHY_TRY(of_ints(op, ((const int64_t *)x->data)[ix], ((const int64_t *)y->data)[iy], &((int64_t *)d)[i]));
    }
    return WHY_OK;
}

static why_status fold_add(const why_builder *b, why_value *out) { return fold_arithmetic(b, '+', out); }
static why_status fold_sub(const why_builder *b, why_value *out) { return fold_arithmetic(b, '-', out); }
static why_status fold_mul(const why_builder *b, why_value *out) { return fold_arithmetic(b, '*', out); }
static why_status fold_div(const why_builder *b, why_value *out) { return fold_arithmetic(b, '/', out); }

static why_status fold_reduce_prod(const why_builder *b, why_value *out) {
    const int64_t *v;
    size_t n;
    WHY_TRY(why_input_ints(b, 0, "data", &v, &n));
    int64_t product = 1;
    for (size_t i = 0; i < n; i++) WHY_TRY(of_ints('*', product, v[i], &product));
    WHY_TRY(from_ints(b, &product, 1, out));
    if (why_attr_int(b, "keepdims", 1) == 0) out->shape = (why_shape){0};
    return WHY_OK;
}

static const struct {
    const char *name;
    fold_fn *fold;
} folds[] = {
    {"Constant", fold_constant}, {"Shape", fold_shape},         {"ConstantOfShape", fold_constant_of_shape},
    {"Range", fold_range},       {"Reshape", fold_view},        {"Flatten", fold_view},
    {"Squeeze", fold_view},      {"Unsqueeze", fold_view},      {"Cast", fold_cast},
    {"Gather", fold_gather},     {"Transpose", fold_transpose}, {"Concat", fold_concat},
    {"Slice", fold_slice},       {"Add", fold_add},             {"Sub", fold_sub},
    {"Mul", fold_mul},           {"Div", fold_div},             {"ReduceProd", fold_reduce_prod},
};

static fold_fn *find(const char *op_type) {
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
        if (strcmp(folds[i].name, op_type) == 0) return folds[i].fold;
    return NULL;
}

/* Identity and Dropout never compute anything: build.c drops them. */
bool why_fold_knows(const char *op_type) { return find(op_type) || strcmp(op_type, "Identity") == 0 || strcmp(op_type, "Dropout") == 0; }

why_status why_fold(const why_builder *b, why_value *out) {
    fold_fn *fold = find(b->proto->op_type);
    return fold ? fold(b, out) : why_fail(WHY_EFORMAT, "has no input");
}
