/* NumPy's .npy files, format 1 and 2, C order. */
#ifndef WHYPIX_BASE_NPY_H
#define WHYPIX_BASE_NPY_H

#include <stddef.h>

#include "whypix/status.h"
#include "whypix/tensor.h"

typedef enum why_npy_type { WHY_NPY_F32, WHY_NPY_F64, WHY_NPY_I32, WHY_NPY_I64, WHY_NPY_U8, WHY_NPY_BOOL } why_npy_type;

typedef struct why_npy {
    why_npy_type type;
    why_shape shape;
    void *data; /* owned, as stored */
} why_npy;

/* Read little-endian f4 f8 i4 i8 u1 b1, C order. WHY_EFORMAT names what else was found; sizes are checked against the
 * file before memory is taken. */
why_status why_npy_load(const char *path, why_npy *out) WHY_MUST_USE;
void why_npy_clear(why_npy *a);
/* The same, converted to float or int32 (values that do not fit an int32 are refused). Owned data. */
why_status why_npy_load_f32(const char *path, why_shape *shape, float **data) WHY_MUST_USE;
/* A file's bytes from elsewhere; `name` is what errors call it. */
why_status why_npy_parse_f32(const void *bytes, size_t size, const char *name, why_shape *shape, float **data) WHY_MUST_USE;
why_status why_npy_load_i32(const char *path, why_shape *shape, int32_t **data) WHY_MUST_USE;
why_status why_npy_save_f32(const char *path, const why_shape *shape, const float *data) WHY_MUST_USE;
why_status why_npy_save_i32(const char *path, const why_shape *shape, const int32_t *data) WHY_MUST_USE;
/* The bytes such a file has, for hashing and archives: *bytes owned. */
why_status why_npy_bytes_f32(const why_shape *shape, const float *data, uint8_t **bytes, size_t *size) WHY_MUST_USE;

#endif
