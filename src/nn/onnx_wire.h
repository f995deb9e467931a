/* Protocol-buffer wire format, read only and in place: no byte of the mapped file is copied. */
#ifndef WHYPIX_NN_ONNX_WIRE_H
#define WHYPIX_NN_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "whypix/status.h"

/* Borrowed bytes: a message, a string or packed numbers. */
typedef struct why_span {
    const uint8_t *data;
    size_t size;
} why_span;

typedef enum why_wire_type { WHY_WIRE_VARINT = 0, WHY_WIRE_FIXED64 = 1, WHY_WIRE_BYTES = 2, WHY_WIRE_FIXED32 = 5 } why_wire_type;

typedef struct why_field {
    uint32_t number;    /* 0 = the message is over */
    why_wire_type type;
    uint64_t value;     /* VARINT, FIXED64, FIXED32 */
    why_span bytes;     /* BYTES */
} why_field;

/* Take the next field off the front of `message`. WHY_EFORMAT when the bytes are cut short or are no wire format. */
why_status why_wire_next(why_span *message, why_field *field) WHY_MUST_USE;

/* All values of a repeated number field of `message`, packed or not, in order. Arrays live in the arena. */
why_status why_wire_ints(why_arena *arena, why_span message, uint32_t number, const int64_t **out, size_t *n) WHY_MUST_USE;
why_status why_wire_floats(why_arena *arena, why_span message, uint32_t number, const float **out, size_t *n) WHY_MUST_USE;
why_status why_wire_doubles(why_arena *arena, why_span message, uint32_t number, const double **out, size_t *n) WHY_MUST_USE;

/* A NUL-terminated copy in the arena; control bytes become '?', so that error texts stay one line. */
why_status why_wire_text(why_arena *arena, why_span bytes, const char **out) WHY_MUST_USE;

#endif
