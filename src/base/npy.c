#include "base/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

static const struct {
    const char *descr;
    size_t size;
} types[] = {[WHY_NPY_F32] = {"<f4", 4}, [WHY_NPY_F64] = {"<f8", 8}, [WHY_NPY_I32] = {"<i4", 4},
             [WHY_NPY_I64] = {"<i8", 8}, [WHY_NPY_U8] = {"|u1", 1},  [WHY_NPY_BOOL] = {"|b1", 1}};
enum { N_TYPES = sizeof types / sizeof *types };

static why_status parse_type(const char *header, const char *path, why_npy_type *type) {
    const char *d = strstr(header, "'descr':");
    d = d ? strchr(d + 8, '\'') : NULL;
    if (!d) return why_fail(WHY_EFORMAT, "%s: the .npy header has no 'descr'", path);
    for (int i = 0; i < N_TYPES; i++)
        if (strncmp(d + 1, types[i].descr, 3) == 0 && d[4] == '\'') {
            *type = (why_npy_type)i;
            return WHY_OK;
        }
    return why_fail(WHY_EUNSUPPORTED, "%s: type '%.8s' is not read; want <f4 <f8 <i4 <i8 |u1 or |b1", path, d + 1);
}

static why_status parse_shape(const char *header, const char *path, why_shape *shape) {
    const char *s = strstr(header, "'shape':");
    s = s ? strchr(s, '(') : NULL;
    if (!s) return why_fail(WHY_EFORMAT, "%s: the .npy header has no 'shape'", path);
    *shape = (why_shape){0};
    for (s++; *s && *s != ')';) {
        char *end;
        long long v = strtoll(s, &end, 10);
        if (end == s || v < 0) return why_fail(WHY_EFORMAT, "%s: the .npy header has a bad shape", path);
        if (shape->rank == WHY_MAX_RANK) return why_fail(WHY_EUNSUPPORTED, "%s: more than %d dimensions", path, WHY_MAX_RANK);
        shape->dim[shape->rank++] = v;
        s = end + strspn(end, ", ");
    }
    return WHY_OK;
}

static why_status parse(const why_mapped *m, const char *path, why_npy *out, const uint8_t **values) {
    if (m->size < 12 || memcmp(m->data, "\x93NUMPY", 6) != 0) return why_fail(WHY_EFORMAT, "%s: not a .npy file", path);
    int major = m->data[6];
    size_t length = (size_t)m->data[8] | (size_t)m->data[9] << 8, start = 10;
    if (major >= 2) {
        length |= (size_t)m->data[10] << 16 | (size_t)m->data[11] << 24;
        start = 12;
    }
    if (length > m->size - start || length > 65536) return why_fail(WHY_EFORMAT, "%s: the .npy header is cut off", path);
    char *header = strndup((const char *)m->data + start, length);
    if (!header) return why_fail(WHY_ENOMEM, "%s: cannot get %zu bytes", path, length);
    why_status st = parse_type(header, path, &out->type);
    if (!st) st = parse_shape(header, path, &out->shape);
    if (!st && strstr(header, "'fortran_order': True")) st = why_fail(WHY_EUNSUPPORTED, "%s: Fortran order is not read; save a C-ordered copy", path);
    free(header);
    if (st) return st;
    size_t have = m->size - start - length, want = types[out->type].size;
    for (int i = 0; i < out->shape.rank; i++)
        if (__builtin_mul_overflow(want, (size_t)out->shape.dim[i], &want)) want = SIZE_MAX;
    if (want != have) return why_fail(WHY_EFORMAT, "%s: the header wants %zu bytes of values, the file has %zu", path, want, have);
    *values = m->data + start + length;
    return WHY_OK;
}

static why_status copy_values(const why_mapped *m, const char *path, why_npy *out) {
    const uint8_t *values = NULL;
    *out = (why_npy){0};
    WHY_TRY(parse(m, path, out, &values));
    const size_t bytes = (size_t)(m->data + m->size - values);
    WHY_TRY(why_alloc(bytes, 1, path, &out->data));
    if (bytes) memcpy(out->data, values, bytes);
    return WHY_OK;
}

why_status why_npy_load(const char *path, why_npy *out) {
    why_mapped m;
    *out = (why_npy){0};
    WHY_TRY(why_map_open(path, &m));
    const why_status st = copy_values(&m, path, out);
    why_map_close(&m);
    return st;
}

void why_npy_clear(why_npy *a) {
    free(a->data);
    *a = (why_npy){0};
}

static double value_at(const why_npy *a, int64_t i) {
    switch (a->type) {
    case WHY_NPY_F32: return ((const float *)a->data)[i];
    case WHY_NPY_F64: return ((const double *)a->data)[i];
    case WHY_NPY_I32: return ((const int32_t *)a->data)[i];
    case WHY_NPY_I64: return (double)((const int64_t *)a->data)[i];
    case WHY_NPY_U8:
    case WHY_NPY_BOOL: return ((const uint8_t *)a->data)[i];
    }
    return 0;
}

/* Takes the values of `a` over. */
static why_status to_f32(why_npy *a, const char *path, why_shape *shape, float **data) {
    const int64_t n = why_shape_count(&a->shape);
    const why_status st = why_alloc((size_t)n, sizeof **data, path, data);
    for (int64_t i = 0; !st && i < n; i++) (*data)[i] = (float)value_at(a, i);
    *shape = a->shape;
    why_npy_clear(a);
    return st;
}

why_status why_npy_load_f32(const char *path, why_shape *shape, float **data) {
    why_npy a;
    *data = NULL;
    WHY_TRY(why_npy_load(path, &a));
    return to_f32(&a, path, shape, data);
}

why_status why_npy_parse_f32(const void *bytes, size_t size, const char *name, why_shape *shape, float **data) {
    why_npy a;
    *data = NULL;
    WHY_TRY(copy_values(&(why_mapped){.data = bytes, .size = size}, name, &a));
    return to_f32(&a, name, shape, data);
}

why_status why_npy_load_i32(const char *path, why_shape *shape, int32_t **data) {
    why_npy a;
    *data = NULL;
    WHY_TRY(why_npy_load(path, &a));
    int64_t n = why_shape_count(&a.shape);
    why_status st = why_alloc((size_t)n, sizeof **data, path, data);
    for (int64_t i = 0; !st && i < n; i++) {
        double v = value_at(&a, i);
        if (!(v >= INT32_MIN && v <= INT32_MAX) || v != (double)(int32_t)v)
            st = why_fail(WHY_EFORMAT, "%s: value %.9g at index %lld is not a whole 32-bit number", path, v, (long long)i);
        else (*data)[i] = (int32_t)v;
    }
    *shape = a.shape;
    why_npy_clear(&a);
    if (st) {
        free(*data);
        *data = NULL;
    }
    return st;
}

static why_status bytes_of(why_npy_type type, const why_shape *shape, const void *data, uint8_t **bytes, size_t *size) {
    why_buf dims = {0}, b = {0};
    char *text;
    for (int i = 0; i < shape->rank; i++) why_buf_printf(&dims, "%s%lld", i ? ", " : "", (long long)shape->dim[i]);
    if (shape->rank == 1) why_buf_text(&dims, ",");
    WHY_TRY(why_buf_take(&dims, &text));
    char header[512];
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", types[type].descr, text);
    free(text);
    int padded = (10 + n + 1 + 63) / 64 * 64 - 10; /* values start on a multiple of 64 */
    uint8_t lead[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)(padded & 255), (uint8_t)(padded >> 8)};
    why_buf_put(&b, lead, sizeof lead);
    why_buf_printf(&b, "%s%*s\n", header, padded - n - 1, "");
    why_buf_put(&b, data, (size_t)why_shape_count(shape) * types[type].size);
    why_status st = why_buf_status(&b);
    if (st) why_buf_clear(&b);
    *bytes = b.data;
    *size = b.size;
    return st;
}

static why_status save(const char *path, why_npy_type type, const why_shape *shape, const void *data) {
    uint8_t *bytes;
    size_t size;
    WHY_TRY(bytes_of(type, shape, data, &bytes, &size));
    why_status st = why_write_file(path, bytes, size);
    free(bytes);
    return st;
}

why_status why_npy_save_f32(const char *path, const why_shape *shape, const float *data) { return save(path, WHY_NPY_F32, shape, data); }
why_status why_npy_save_i32(const char *path, const why_shape *shape, const int32_t *data) { return save(path, WHY_NPY_I32, shape, data); }
why_status why_npy_bytes_f32(const why_shape *shape, const float *data, uint8_t **bytes, size_t *size) {
    return bytes_of(WHY_NPY_F32, shape, data, bytes, size);
}
