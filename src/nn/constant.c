/* TensorProto -> constant. All float types become fp32 and all whole-number types int64. */
#include <stdlib.h>
#include <string.h>

#include "nn/graph.h"

enum { T_FLOAT = 1, T_UINT8 = 2, T_INT8 = 3, T_UINT16 = 4, T_INT16 = 5, T_INT32 = 6, T_INT64 = 7, T_BOOL = 9, T_FLOAT16 = 10, T_DOUBLE = 11,
       T_BFLOAT16 = 16 };
enum { F_DIMS = 1, F_TYPE = 2, F_FLOATS = 4, F_INT32S = 5, F_INT64S = 7, F_NAME = 8, F_RAW = 9, F_DOUBLES = 10, F_EXTERNAL = 13, F_LOCATION = 14 };

/* One element type of the format: how wide it is in raw_data and where its values stand otherwise. */
struct element {
    int code;
    why_type type;
    size_t width;
    uint32_t field;
};
static const struct element elements[] = {
    {T_FLOAT, WHY_FLOAT, 4, F_FLOATS},   {T_DOUBLE, WHY_FLOAT, 8, F_DOUBLES}, {T_FLOAT16, WHY_FLOAT, 2, F_INT32S},
    {T_BFLOAT16, WHY_FLOAT, 2, F_INT32S}, {T_INT64, WHY_INT, 8, F_INT64S},     {T_INT32, WHY_INT, 4, F_INT32S},
    {T_UINT8, WHY_INT, 1, F_INT32S},     {T_INT8, WHY_INT, 1, F_INT32S},      {T_UINT16, WHY_INT, 2, F_INT32S},
    {T_INT16, WHY_INT, 2, F_INT32S},     {T_BOOL, WHY_INT, 1, F_INT32S},
};

struct tensor {
    why_span message, raw;
    bool has_raw, external;
    const struct element *element;
    int64_t count;
};

static const struct element *element_of(uint64_t code) {
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if ((uint64_t)elements[i].code == code) return &elements[i];
    return NULL;
}

/* IEEE 754 binary16 to binary32; subnormals are exact in fp32. */
static float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff, bits;
    if (exponent == 0) {
        float tiny = (float)fraction * 0x1p-24f;
        return sign ? -tiny : tiny;
    }
    bits = sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float float_of(int code, uint64_t bits) {
    float f;
    double d;
    uint32_t word = code == T_BFLOAT16 ? (uint32_t)bits << 16 : (uint32_t)bits;
    if (code == T_FLOAT16) return half_to_float((uint16_t)bits);
    if (code == T_DOUBLE) return memcpy(&d, &bits, sizeof d), (float)d;
    return memcpy(&f, &word, sizeof f), f;
}

static int64_t int_of(int code, uint64_t bits) {
    switch (code) {
    case T_INT8: return (int8_t)bits;
    case T_INT16: return (int16_t)bits;
    case T_INT32: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

static uint64_t raw_bits(const uint8_t *p, size_t width) {
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static why_status external_refusal(why_arena *arena, why_span entries) {
    why_field f;
    why_span key = {0}, value = {0};
    while (entries.size > 0) {
        WHY_TRY(why_wire_next(&entries, &f));
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) value = f.bytes;
    }
    if (key.size != 8 || memcmp(key.data, "location", 8) != 0) return WHY_OK;
    const char *path;
    WHY_TRY(why_wire_text(arena, value, &path));
    if (path[0] == '/' || strstr(path, "..")) return why_fail(WHY_EFORMAT, "external data '%s' leaves the model's folder", path);
    return why_fail(WHY_EUNSUPPORTED, "external data '%s': weights must be inside the model file", path);
}

static why_status read_header(why_arena *arena, struct tensor *t, why_value *out) {
    why_span m = t->message;
    uint64_t code = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) break;
        if (f.number == F_TYPE) code = f.value;
        if (f.number == F_NAME) WHY_TRY(why_wire_text(arena, f.bytes, &out->name));
        if (f.number == F_RAW) t->raw = f.bytes, t->has_raw = true;
        if (f.number == F_LOCATION && f.value == 1) t->external = true;
    }
    t->element = element_of(code);
    if (!t->element) return why_fail(WHY_EUNSUPPORTED, "tensor '%s': element type %llu", out->name, (unsigned long long)code);
    out->type = t->element->type;
    return WHY_OK;
}

static why_status read_dims(why_arena *arena, struct tensor *t, why_value *out) {
    const int64_t *dims;
    size_t rank;
    WHY_TRY(why_wire_ints(arena, t->message, F_DIMS, &dims, &rank));
    if (rank > WHY_MAX_RANK) return why_fail(WHY_EUNSUPPORTED, "tensor '%s' has %zu dimensions, at most %d are built", out->name, rank, WHY_MAX_RANK);
    out->shape.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) out->shape.dim[i] = dims[i];
    why_status st = why_shape_check(&out->shape, &t->count);
    return st ? why_fail_in(st, "tensor '%s'", out->name) : WHY_OK;
}

static why_status wrong_size(const why_value *v, size_t got, size_t want, const char *unit) {
    char shape[96];
    return why_fail(WHY_EFORMAT, "tensor '%s': %zu %s, its shape %s wants %zu", v->name, got, unit, why_shape_text(&v->shape, 0, shape), want);
}

static why_status convert(why_arena *arena, const struct tensor *t, const uint64_t *bits, why_value *out) {
    size_t n = (size_t)t->count, width = t->element->width;
    void *data = why_arena_take(arena, (n ? n : 1) * (out->type == WHY_FLOAT ? sizeof(float) : sizeof(int64_t)));
    if (!data) return WHY_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        uint64_t b = bits ? bits[i] : raw_bits(t->raw.data + i * width, width);
        if (out->type == WHY_FLOAT) ((float *)data)[i] = float_of(t->element->code, b);
        else ((int64_t *)data)[i] = int_of(t->element->code, b);
    }
    out->data = data;
    return WHY_OK;
}

/* fp32 in place when the file happens to align it: no copy of the weights, and one set of pages for all ranks of a node. */
static why_status read_raw(why_arena *arena, const struct tensor *t, why_value *out) {
    size_t want = (size_t)t->count * t->element->width;
    if (t->raw.size != want) return wrong_size(out, t->raw.size, want, "bytes");
    if (t->element->code == T_FLOAT && t->count > 0 && (uintptr_t)t->raw.data % sizeof(float) == 0) {
        out->data = t->raw.data;
        return WHY_OK;
    }
    if (t->element->code != T_FLOAT) return convert(arena, t, NULL, out);
    void *copy = why_arena_take(arena, want ? want : 1);
    if (!copy) return WHY_ENOMEM;
    if (want) memcpy(copy, t->raw.data, want);
    out->data = copy;
    return WHY_OK;
}

static why_status read_typed(why_arena *arena, const struct tensor *t, why_value *out) {
    const void *list;
    size_t n, want = (size_t)t->count;
    if (t->element->field == F_FLOATS) WHY_TRY(why_wire_floats(arena, t->message, F_FLOATS, (const float **)&list, &n));
    else if (t->element->field == F_DOUBLES) WHY_TRY(why_wire_doubles(arena, t->message, F_DOUBLES, (const double **)&list, &n));
    else WHY_TRY(why_wire_ints(arena, t->message, t->element->field, (const int64_t **)&list, &n));
    if (n != want) return wrong_size(out, n, want, "values");
    if (t->element->field != F_FLOATS) return convert(arena, t, list, out);
    out->data = list;
    return WHY_OK;
}

why_status why_constant_parse(why_arena *arena, why_span message, why_value *out) {
    struct tensor t = {.message = message};
    *out = (why_value){.name = "", .producer = WHY_ABSENT};
    WHY_TRY(read_header(arena, &t, out));
    if (t.external) {
        for (why_field f;;) {
            WHY_TRY(why_wire_next(&message, &f));
            if (f.number == 0) return why_fail(WHY_EFORMAT, "tensor '%s': external data without a location", out->name);
            if (f.number != F_EXTERNAL) continue;
            why_status st = external_refusal(arena, f.bytes);
            if (st) return why_fail_in(st, "tensor '%s'", out->name);
        }
    }
    WHY_TRY(read_dims(arena, &t, out));
    return t.has_raw ? read_raw(arena, &t, out) : read_typed(arena, &t, out);
}
