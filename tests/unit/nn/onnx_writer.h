/* Writes small ONNX files for tests. Attributes are collected first and go to the next node:
 *
 *     struct onnx o = {0};
 *     onnx_begin(&o, 13, 3, 8, 8);              input "x": N x 3 x 8 x 8
 *     onnx_floats(&o, "w", w, 4, 5, 3, 3, 3);   an initializer of rank 4
 *     attr_ints(&o, "pads", 4, 1, 1, 1, 1);
 *     onnx_node(&o, "Conv", "x,w", "y");
 *     why_model *m = onnx_load(&o, "y");        writes, loads and removes a temporary file */
#ifndef NN_TEST_ONNX_WRITER_H
#define NN_TEST_ONNX_WRITER_H

#include "base/buf.h"
#include "data.h"

struct onnx {
    why_buf graph, attrs;
    int opset, nodes;
};

static inline void put_varint(why_buf *b, uint64_t v) {
    for (; v > 127; v >>= 7) why_buf_put(b, &(uint8_t){(uint8_t)(v | 128)}, 1);
    why_buf_put(b, &(uint8_t){(uint8_t)v}, 1);
}

static inline void put_int(why_buf *b, unsigned field, int64_t v) {
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static inline void put_bytes(why_buf *b, unsigned field, const void *data, size_t n) {
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    why_buf_put(b, data, n);
}

static inline void put_text(why_buf *b, unsigned field, const char *text) { put_bytes(b, field, text, strlen(text)); }

/* Append a finished message and free it. */
static inline void put_message(why_buf *b, unsigned field, why_buf *message) {
    put_bytes(b, field, message->data, message->size);
    why_buf_clear(message);
}

/* ValueInfo of a float tensor; a dimension of 0 becomes symbolic. */
static inline void put_value_info(why_buf *graph, unsigned field, const char *name, int rank, const int64_t *dims) {
    why_buf shape = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < rank; i++) {
        why_buf dim = {0};
        if (dims[i]) put_int(&dim, 1, dims[i]);
        else put_text(&dim, 2, "open");
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

static inline void onnx_begin(struct onnx *o, int opset, int64_t c, int64_t h, int64_t w) {
    *o = (struct onnx){.opset = opset};
    put_value_info(&o->graph, 11, "x", 4, (const int64_t[]){0, c, h, w});
}

static inline void put_tensor(struct onnx *o, const char *name, int type, const void *data, size_t element, int rank, const int64_t *dims) {
    why_buf t = {0};
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        put_int(&t, 1, dims[i]);
        n *= dims[i];
    }
    put_int(&t, 2, type);
    put_text(&t, 8, name);
    put_bytes(&t, 9, data, (size_t)n * element);
    put_message(&o->graph, 5, &t);
}

static inline void onnx_floats(struct onnx *o, const char *name, const float *data, int rank, ...) {
    int64_t dims[8];
    va_list ap;
    va_start(ap, rank);
    for (int i = 0; i < rank; i++) dims[i] = va_arg(ap, int);
    va_end(ap);
    put_tensor(o, name, 1, data, sizeof *data, rank, dims);
}

/* A list of n whole numbers; n = 0 makes one number of rank 0 from the single value. */
static inline void onnx_ints(struct onnx *o, const char *name, int n, ...) {
    int64_t v[16], dims[1] = {n};
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < (n ? n : 1); i++) v[i] = va_arg(ap, int);
    va_end(ap);
    put_tensor(o, name, 7, v, sizeof *v, n ? 1 : 0, dims);
}

static inline void attr_int(struct onnx *o, const char *name, int64_t v) {
    why_buf a = {0};
    put_text(&a, 1, name);
    put_int(&a, 3, v);
    put_message(&o->attrs, 5, &a);
}

static inline void attr_float(struct onnx *o, const char *name, float v) {
    why_buf a = {0};
    put_text(&a, 1, name);
    put_varint(&a, 2 << 3 | 5);
    why_buf_put(&a, &v, sizeof v);
    put_message(&o->attrs, 5, &a);
}

static inline void attr_text(struct onnx *o, const char *name, const char *v) {
    why_buf a = {0};
    put_text(&a, 1, name);
    put_text(&a, 4, v);
    put_message(&o->attrs, 5, &a);
}

static inline void attr_list(struct onnx *o, const char *name, int n, const int *v) {
    why_buf a = {0};
    put_text(&a, 1, name);
    for (int i = 0; i < n; i++) put_int(&a, 8, v[i]);
    put_message(&o->attrs, 5, &a);
}
#define attr_ints(o, name, n, ...) attr_list(o, name, n, (const int[]){__VA_ARGS__})

/* `in` and `out` are tensor names separated by commas; an empty one is an input left out. */
static inline void onnx_node(struct onnx *o, const char *op, const char *in, const char *out) {
    why_buf node = {0};
    const char *lists[2] = {in, out};
    char name[32];
    for (unsigned k = 0; k < 2; k++)
        for (const char *p = lists[k]; *p;) {
            size_t n = strcspn(p, ",");
            put_bytes(&node, 1 + k, p, n);
            p += n + (p[n] == ',');
        }
    snprintf(name, sizeof name, "%s_%d", op, o->nodes++);
    put_text(&node, 3, name);
    put_text(&node, 4, op);
    why_buf_put(&node, o->attrs.data, o->attrs.size);
    why_buf_clear(&o->attrs);
    put_message(&o->graph, 1, &node);
}

/* The whole file; `o` is empty afterwards. */
static inline why_buf onnx_finish(struct onnx *o, const char *output) {
    why_buf opset = {0}, model = {0};
    put_value_info(&o->graph, 12, output, 2, (const int64_t[]){0, 0});
    put_int(&model, 1, 8);
    put_int(&opset, 2, o->opset);
    put_message(&model, 8, &opset);
    put_message(&model, 7, &o->graph);
    return model;
}

static inline why_status load_bytes(const void *bytes, size_t n, why_model **m) {
    char path[] = "/tmp/whypix-nn-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    why_status st = why_model_load(path, NULL, m);
    unlink(path);
    return st;
}

static inline why_status onnx_try(struct onnx *o, const char *output, why_model **m) {
    why_buf file = onnx_finish(o, output);
    why_status st = load_bytes(file.data, file.size, m);
    why_buf_clear(&file);
    return st;
}

static inline why_model *onnx_load(struct onnx *o, const char *output) {
    why_model *m;
    OK(onnx_try(o, output, &m));
    return m;
}

/* Loading must fail with this status and this needle in the text. */
static inline void onnx_refused(struct onnx *o, const char *output, why_status want, const char *needle) {
    why_model *m;
    why_status st = onnx_try(o, output, &m);
    assert_null(m);
    if (st != want || !strstr(why_error_text(), needle))
        fail_msg("got %s: %s; want %s with '%s'", why_status_name(st), why_error_text(), why_status_name(want), needle);
}

/* Repeatable values without ties: a shuffled ramp over [-2, 2], so that no finite difference crosses a maximum. */
static inline void fill_values(float *x, int64_t n, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) x[i] = n > 1 ? -2.0f + 4.0f * ((float)i + 0.5f) / (float)n : 0.7f;
    uint32_t s = seed * 2654435761u + 12345;
    for (int64_t i = n - 1; i > 0; i--) {
        s = s * 1664525u + 1013904223u;
        int64_t k = (int64_t)(s >> 8) % (i + 1);
        float t = x[i];
        x[i] = x[k];
        x[k] = t;
    }
}

#endif
