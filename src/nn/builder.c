/* What build functions of operators share: reading attributes and inputs, and cutting work into pieces. */
#include <string.h>

#include "nn/ops.h"

const why_attr *why_attr_find(const why_proto_node *p, const char *name) {
    for (int i = 0; i < p->n_attr; i++)
        if (strcmp(p->attr[i].name, name) == 0) return &p->attr[i];
    return NULL;
}

int64_t why_attr_int(const why_builder *b, const char *name, int64_t otherwise) {
    const why_attr *a = why_attr_find(b->proto, name);
    return a && a->has_i ? a->i : otherwise;
}

float why_attr_float(const why_builder *b, const char *name, float otherwise) {
    const why_attr *a = why_attr_find(b->proto, name);
    return a && a->has_f ? a->f : otherwise;
}

why_status why_attr_text(const why_builder *b, const char *name, const char **out) {
    const why_attr *a = why_attr_find(b->proto, name);
    *out = "";
    return a ? why_wire_text(b->g->arena, a->s, out) : WHY_OK;
}

why_status why_attr_ints(const why_builder *b, const char *name, const int64_t **out, size_t *n) {
    const why_attr *a = why_attr_find(b->proto, name);
    *out = NULL;
    *n = 0;
    return a ? why_wire_ints(b->g->arena, a->message, 8, out, n) : WHY_OK;
}

bool why_has_input(const why_builder *b, int i) { return i < b->proto->n_in && b->in[i] != WHY_ABSENT; }

static why_status any_input(const why_builder *b, int i, const why_value **out) {
    *out = NULL;
    if (!why_has_input(b, i)) return why_fail(WHY_EFORMAT, "input %d is missing", i);
    *out = &b->g->values[b->in[i]];
    return WHY_OK;
}

why_status why_input(const why_builder *b, int i, const why_value **out) {
    WHY_TRY(any_input(b, i, out));
    return (*out)->data ? why_fail(WHY_EUNSUPPORTED, "input %d ('%s') is a constant, want a feature map", i, (*out)->name) : WHY_OK;
}

static why_status constant_input(const why_builder *b, int i, const char *what, why_type type, const why_value **out) {
    WHY_TRY(any_input(b, i, out));
    if (!(*out)->data) return why_fail(WHY_EUNSUPPORTED, "%s ('%s') depends on the picture, want a constant", what, (*out)->name);
    if ((*out)->type != type) return why_fail(WHY_EFORMAT, "%s ('%s'): want %s", what, (*out)->name, type == WHY_FLOAT ? "floats" : "whole numbers");
    return WHY_OK;
}

why_status why_input_floats(const why_builder *b, int i, const char *what, const why_value **out) {
    return constant_input(b, i, what, WHY_FLOAT, out);
}

why_status why_input_ints(const why_builder *b, int i, const char *what, const int64_t **out, size_t *n) {
    const why_value *v;
    WHY_TRY(constant_input(b, i, what, WHY_INT, &v));
    *out = v->data;
    *n = (size_t)why_shape_count(&v->shape);
    return WHY_OK;
}

why_status why_ints_of(const why_builder *b, const char *attr, int input, const int64_t **out, size_t *n) {
    if (why_has_input(b, input)) return why_input_ints(b, input, attr, out, n);
    return why_attr_ints(b, attr, out, n);
}

why_status why_axis(int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank) return why_fail(WHY_EFORMAT, "axis %lld of a tensor with %d dimensions", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return WHY_OK;
}

why_status why_axes(const int64_t *axes, size_t n, int rank, unsigned *set) {
    *set = 0;
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        WHY_TRY(why_axis(axes[i], rank, &axis));
        if (*set >> axis & 1) return why_fail(WHY_EFORMAT, "axis %d is named twice", axis);
        *set |= 1u << axis;
    }
    return WHY_OK;
}

why_status why_take(const why_builder *b, size_t count, size_t size, void *out_pointer) {
    size_t bytes;
    void *p = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes)) p = why_arena_take(b->g->arena, bytes ? bytes : 1);
    memcpy(out_pointer, &p, sizeof p);
    return p ? WHY_OK : why_fail(WHY_ENOMEM, "cannot get %zu x %zu bytes of memory", count, size);
}

int why_even_pieces(int64_t count) { return (int)((count + WHY_PIECE - 1) / WHY_PIECE); }

void why_even_piece(int64_t count, int piece, int64_t *from, int64_t *to) {
    *from = (int64_t)piece * WHY_PIECE;
    *to = *from + WHY_PIECE < count ? *from + WHY_PIECE : count;
}

static int64_t planes_per_piece(int64_t plane_size) { return plane_size >= WHY_PIECE || plane_size <= 0 ? 1 : WHY_PIECE / plane_size; }

int why_plane_pieces(int64_t planes, int64_t plane_size) {
    int64_t k = planes_per_piece(plane_size);
    return (int)((planes + k - 1) / k);
}

void why_plane_piece(int64_t planes, int64_t plane_size, int piece, int64_t *from, int64_t *to) {
    int64_t k = planes_per_piece(plane_size);
    *from = piece * k;
    *to = *from + k < planes ? *from + k : planes;
}

void why_clamp_row(why_clamp c, float *x, int64_t n) {
    if (!c.on) return;
    for (int64_t i = 0; i < n; i++) x[i] = why_clamped(x[i], c);
}
