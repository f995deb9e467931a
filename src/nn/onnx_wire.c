#include "nn/onnx_wire.h"

#include <string.h>

static why_status take_varint(why_span *s, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (s->size == 0) return why_fail(WHY_EFORMAT, "cut short inside a number");
        uint8_t byte = *s->data++;
        s->size--;
        if (shift == 63 && byte > 1) break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = v;
            return WHY_OK;
        }
    }
    return why_fail(WHY_EFORMAT, "a number has more than 64 bits");
}

static why_status take_bytes(why_span *s, uint64_t n, why_span *out) {
    if (n > s->size) return why_fail(WHY_EFORMAT, "cut short: a field wants %llu bytes, %zu are left", (unsigned long long)n, s->size);
    *out = (why_span){s->data, (size_t)n};
    s->data += n;
    s->size -= (size_t)n;
    return WHY_OK;
}

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static why_status take_fixed(why_span *s, size_t n, uint64_t *out) {
    why_span bytes = {0};
    WHY_TRY(take_bytes(s, n, &bytes));
    *out = little_endian(bytes.data, n);
    return WHY_OK;
}

why_status why_wire_next(why_span *message, why_field *field) {
    *field = (why_field){0};
    if (message->size == 0) return WHY_OK;
    uint64_t tag = 0, n = 0;
    WHY_TRY(take_varint(message, &tag));
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return why_fail(WHY_EFORMAT, "field number %llu", (unsigned long long)(tag >> 3));
    field->number = (uint32_t)(tag >> 3);
    field->type = (why_wire_type)(tag & 7);
    switch (tag & 7) {
    case WHY_WIRE_VARINT: return take_varint(message, &field->value);
    case WHY_WIRE_FIXED64: return take_fixed(message, 8, &field->value);
    case WHY_WIRE_FIXED32: return take_fixed(message, 4, &field->value);
    case WHY_WIRE_BYTES:
        WHY_TRY(take_varint(message, &n));
        return take_bytes(message, n, &field->bytes);
    default: return why_fail(WHY_EFORMAT, "field %u has wire type %d", field->number, (int)(tag & 7));
    }
}

/* Repeated numbers: `element` is how one is written when it stands alone; a BYTES field holds a packed run. One pass
 * with out = NULL counts, a second one fills. */
static why_status each_number(why_span message, uint32_t number, why_wire_type element, uint64_t *out, size_t *n) {
    size_t count = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&message, &f));
        if (f.number == 0) break;
        if (f.number != number) continue;
        if (f.type == element) {
            if (out) out[count] = f.value;
            count++;
            continue;
        }
        if (f.type != WHY_WIRE_BYTES) return why_fail(WHY_EFORMAT, "field %u has wire type %d", f.number, (int)f.type);
        while (f.bytes.size > 0) {
            uint64_t v = 0;
            if (element == WHY_WIRE_VARINT) WHY_TRY(take_varint(&f.bytes, &v));
            else WHY_TRY(take_fixed(&f.bytes, element == WHY_WIRE_FIXED64 ? 8 : 4, &v));
            if (out) out[count] = v;
            count++;
        }
    }
    *n = count;
    return WHY_OK;
}

static why_status collect(why_arena *arena, why_span message, uint32_t number, why_wire_type element, uint64_t **out, size_t *n) {
    WHY_TRY(each_number(message, number, element, NULL, n));
    *out = why_arena_take(arena, *n * sizeof **out);
    if (!*out) return WHY_ENOMEM;
    return each_number(message, number, element, *out, n);
}

why_status why_wire_ints(why_arena *arena, why_span message, uint32_t number, const int64_t **out, size_t *n) {
    uint64_t *bits;
    WHY_TRY(collect(arena, message, number, WHY_WIRE_VARINT, &bits, n));
    *out = (const int64_t *)bits;
    return WHY_OK;
}

why_status why_wire_floats(why_arena *arena, why_span message, uint32_t number, const float **out, size_t *n) {
    uint64_t *bits;
    WHY_TRY(collect(arena, message, number, WHY_WIRE_FIXED32, &bits, n));
    float *f = why_arena_take(arena, *n * sizeof *f);
    if (!f) return WHY_ENOMEM;
    for (size_t i = 0; i < *n; i++) {
        uint32_t word = (uint32_t)bits[i];
        memcpy(&f[i], &word, sizeof word);
    }
    *out = f;
    return WHY_OK;
}

why_status why_wire_doubles(why_arena *arena, why_span message, uint32_t number, const double **out, size_t *n) {
    uint64_t *bits;
    WHY_TRY(collect(arena, message, number, WHY_WIRE_FIXED64, &bits, n));
    double *d = why_arena_take(arena, *n * sizeof *d);
    if (!d) return WHY_ENOMEM;
    memcpy(d, bits, *n * sizeof *d);
    *out = d;
    return WHY_OK;
}

why_status why_wire_text(why_arena *arena, why_span bytes, const char **out) {
    char *t = why_arena_take(arena, bytes.size + 1);
    if (!t) return WHY_ENOMEM;
    for (size_t i = 0; i < bytes.size; i++) t[i] = bytes.data[i] < 32 || bytes.data[i] == 127 ? '?' : (char)bytes.data[i];
    *out = t;
    return WHY_OK;
}
