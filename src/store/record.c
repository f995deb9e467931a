#include "store/record.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include <zlib.h>

/* Wire form of the fields, little-endian: I32 4 bytes, I64 and F64 8 bytes; TEXT is [length u32][bytes][0], so that a
 * reader can point into the message; BLOB is [length u32][bytes]. One table serves writing and reading. */
typedef enum field_kind { FIELD_NONE, FIELD_I32, FIELD_I64, FIELD_F64, FIELD_TEXT, FIELD_BLOB } field_kind;

typedef struct field {
    field_kind kind;
    size_t offset, size_offset; /* in why_row; size_offset for BLOB */
} field;

enum { HEADER_BYTES = 5, MAX_FIELDS = 18, ROW_TYPES = WHY_ROW_END + 1 };

#define AT(kind, member) {FIELD_##kind, offsetof(why_row, u.member), 0}
static const struct {
    const char *name;
    field fields[MAX_FIELDS + 1];
} layouts[ROW_TYPES] = {
    [WHY_ROW_IMAGE] = {"image", {AT(I64, image.image_id), AT(TEXT, image.sha256), AT(I32, image.width), AT(I32, image.height)}},
    [WHY_ROW_PREDICTION] = {"prediction",
                            {AT(I64, prediction.image_id), AT(I64, prediction.model_id), AT(I32, prediction.rank),
                             AT(I32, prediction.class_index), AT(F64, prediction.logit), AT(F64, prediction.prob)}},
    [WHY_ROW_EXPLANATION] = {"explanation",
                             {AT(I64, explanation.image_id), AT(I64, explanation.cell_id), AT(I32, explanation.class_index),
                              AT(TEXT, explanation.status), AT(I64, explanation.evaluations), AT(F64, explanation.fit),
                              AT(F64, explanation.residual), AT(F64, explanation.se_range), AT(F64, explanation.ess),
                              AT(TEXT, explanation.stop), AT(F64, explanation.vmin), AT(F64, explanation.vmax),
                              AT(TEXT, explanation.map), AT(TEXT, explanation.map_sha256), AT(TEXT, explanation.se_map),
                              {FIELD_BLOB, offsetof(why_row, u.explanation.thumb), offsetof(why_row, u.explanation.thumb_size)},
                              AT(TEXT, explanation.error)}},
    [WHY_ROW_SCORE] = {"score",
                       {AT(I64, score.explanation_id), AT(I64, score.metric_id), AT(F64, score.value), AT(TEXT, score.why),
                        AT(I64, score.evaluations)}},
    [WHY_ROW_CURVE] = {"curve",
                       {AT(I64, curve.explanation_id), AT(I64, curve.metric_id), AT(I32, curve.step), AT(F64, curve.x), AT(F64, curve.y),
                        AT(F64, curve.logit)}},
    [WHY_ROW_PAIR] = {"pair", {AT(I64, pair.a), AT(I64, pair.b), AT(I64, pair.metric_id), AT(F64, pair.value), AT(TEXT, pair.why)}},
    [WHY_ROW_TIMING] = {"timing", {AT(I64, timing.explanation_id), AT(F64, timing.wall), AT(F64, timing.cpu)}},
    [WHY_ROW_FAILURE] = {"failure", {AT(I64, failure.image_id), AT(I64, failure.cell_id), AT(TEXT, failure.reason)}},
    [WHY_ROW_END] = {"end", {AT(I32, end.rows), AT(I32, end.crc32)}},
};
#undef AT

static void put_le(uint8_t *out, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *in, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)in[i] << 8 * i;
    return v;
}

static void append_le(why_buf *b, uint64_t v, int bytes) {
    uint8_t raw[8];
    put_le(raw, v, bytes);
    why_buf_put(b, raw, (size_t)bytes);
}

static void append_field(why_buf *b, const why_row *row, const field *f) {
    const char *member = (const char *)row + f->offset;
    uint32_t v32;
    uint64_t v64;
    const char *text;
    switch (f->kind) {
    case FIELD_I32:
        memcpy(&v32, member, sizeof v32);
        append_le(b, v32, 4);
        break;
    case FIELD_I64:
    case FIELD_F64:
        memcpy(&v64, member, sizeof v64);
        append_le(b, v64, 8);
        break;
    case FIELD_TEXT:
        memcpy(&text, member, sizeof text);
        if (!text) text = "";
        append_le(b, strlen(text), 4);
        why_buf_put(b, text, strlen(text) + 1);
        break;
    case FIELD_BLOB:
        memcpy(&text, member, sizeof text);
        memcpy(&v32, (const char *)row + f->size_offset, sizeof v32);
        if (!text) v32 = 0;
        append_le(b, v32, 4);
        why_buf_put(b, text, v32);
        break;
    case FIELD_NONE: break;
    }
}

void why_record_put(why_buf *b, const why_row *row) {
    size_t start = b->size;
    append_le(b, (uint64_t)row->type, 1);
    append_le(b, 0, 4);
    for (const field *f = layouts[row->type].fields; f->kind != FIELD_NONE; f++) append_field(b, row, f);
    if (!b->failed) put_le(b->data + start + 1, b->size - start - HEADER_BYTES, 4);
}

void why_record_finish(why_buf *b) {
    size_t start = 0;
    uint32_t rows = 0;
    for (size_t at = 0; at < b->size; at += HEADER_BYTES + get_le(b->data + at + 1, 4)) {
        if (b->data[at] == WHY_ROW_END) { /* an earlier record in the same buffer */
            start = at + HEADER_BYTES + get_le(b->data + at + 1, 4);
            rows = 0;
        } else {
            rows++;
        }
    }
    uint32_t sum = b->size > start ? (uint32_t)crc32_z(0, b->data + start, b->size - start) : 0;
    why_record_put(b, &(why_row){.type = WHY_ROW_END, .u.end = {rows, sum}});
}

/* Take `want` bytes of a row's fields; NULL when they are not there. */
static const uint8_t *take(const uint8_t **p, const uint8_t *end, size_t want) {
    if ((size_t)(end - *p) < want) return NULL;
    const uint8_t *here = *p;
    *p += want;
    return here;
}

static bool read_bytes(const uint8_t **p, const uint8_t *end, size_t behind, const uint8_t **bytes, uint32_t *n) {
    const uint8_t *head = take(p, end, 4);
    if (!head) return false;
    *n = (uint32_t)get_le(head, 4);
    *bytes = take(p, end, *n + behind);
    return *bytes != NULL;
}

static bool read_field(const uint8_t **p, const uint8_t *end, why_row *row, const field *f) {
    char *member = (char *)row + f->offset;
    const int width = f->kind == FIELD_I32 ? 4 : 8;
    const uint8_t *bytes;
    uint32_t n;
    if (f->kind == FIELD_TEXT) {
        if (!read_bytes(p, end, 1, &bytes, &n) || memchr(bytes, 0, (size_t)n + 1) != bytes + n) return false;
        memcpy(member, &bytes, sizeof bytes);
        return true;
    }
    if (f->kind == FIELD_BLOB) {
        if (!read_bytes(p, end, 0, &bytes, &n)) return false;
        if (n == 0) bytes = NULL;
        memcpy(member, &bytes, sizeof bytes);
        memcpy((char *)row + f->size_offset, &n, sizeof n);
        return true;
    }
    bytes = take(p, end, (size_t)width);
    if (!bytes) return false;
    uint64_t v = get_le(bytes, width);
    uint32_t v32 = (uint32_t)v;
    memcpy(member, width == 4 ? (void *)&v32 : (void *)&v, (size_t)width);
    return true;
}

/* What is wrong with a value and its reason, or NULL: defined and finite, or NAN with a reason. */
static const char *bad_value(double value, const char *why) {
    if (isinf(value)) return "an infinite value";
    if (isnan(value) && !*why) return "an undefined value without a reason";
    return !isnan(value) && *why ? "a value and a reason why it is undefined" : NULL;
}

static bool is_image(int64_t id) { return id > 0 && id < INT64_C(1) << 47; }
static bool is_cell(int64_t id) { return id > 0 && id < 65536; }
static bool is_explanation(int64_t id) { return id > 0 && is_image(id >> 16) && is_cell(id & 65535); }

static const char *bad_explanation(const why_row *row) {
    if (!is_image(row->u.explanation.image_id) || !is_cell(row->u.explanation.cell_id)) return "an id out of range";
    const char *status = row->u.explanation.status;
    return strcmp(status, "done") != 0 && strcmp(status, "failed") != 0 ? "a status other than done and failed" : NULL;
}

static const char *bad_row(const why_row *row) {
    static const char id[] = "an id out of range";
    switch (row->type) {
    case WHY_ROW_IMAGE: return is_image(row->u.image.image_id) ? NULL : id;
    case WHY_ROW_PREDICTION: return is_image(row->u.prediction.image_id) && row->u.prediction.model_id > 0 ? NULL : id;
    case WHY_ROW_EXPLANATION: return bad_explanation(row);
    case WHY_ROW_SCORE:
        if (!is_explanation(row->u.score.explanation_id) || row->u.score.metric_id <= 0) return id;
        return bad_value(row->u.score.value, row->u.score.why);
    case WHY_ROW_CURVE:
        if (!is_explanation(row->u.curve.explanation_id) || row->u.curve.metric_id <= 0) return id;
        return isfinite(row->u.curve.x) && !isinf(row->u.curve.y) && !isinf(row->u.curve.logit) ? NULL : "a point that is not finite";
    case WHY_ROW_PAIR:
        if (!is_explanation(row->u.pair.a) || !is_explanation(row->u.pair.b) || row->u.pair.metric_id <= 0) return id;
        return row->u.pair.a < row->u.pair.b ? bad_value(row->u.pair.value, row->u.pair.why) : "a pair whose a is not below b";
    case WHY_ROW_TIMING: return is_explanation(row->u.timing.explanation_id) ? NULL : id;
    case WHY_ROW_FAILURE:
        if (row->u.failure.cell_id != 0 && !is_cell(row->u.failure.cell_id)) return id;
        return is_image(row->u.failure.image_id) ? NULL : id;
    case WHY_ROW_END: break;
    }
    return NULL;
}

why_status why_record_next(const uint8_t *bytes, size_t n, size_t *at, why_row *row, bool *more) {
    *more = false;
    if (*at > n || n - *at < HEADER_BYTES) return why_fail(WHY_EFORMAT, "record: cut off at byte %zu of %zu, an end row is wanted", *at, n);
    const uint8_t type = bytes[*at];
    const uint64_t length = get_le(bytes + *at + 1, 4);
    if (type < WHY_ROW_IMAGE || type > WHY_ROW_END) return why_fail(WHY_EFORMAT, "record: byte %zu: unknown row type %d", *at, type);
    const char *name = layouts[type].name;
    const size_t here = n - *at - HEADER_BYTES;
    if (length > here)
        return why_fail(WHY_EFORMAT, "record: %s row at byte %zu wants %llu bytes, %zu are left", name, *at, (unsigned long long)length,
                        here);
    *row = (why_row){.type = (why_row_type)type};
    const uint8_t *p = bytes + *at + HEADER_BYTES, *end = p + length;
    for (const field *f = layouts[type].fields; f->kind != FIELD_NONE; f++)
        if (!read_field(&p, end, row, f))
            return why_fail(WHY_EFORMAT, "record: %s row at byte %zu: field %d is cut off or malformed", name, *at,
                            (int)(f - layouts[type].fields) + 1);
    if (p != end) return why_fail(WHY_EFORMAT, "record: %s row at byte %zu has %zu bytes too many", name, *at, (size_t)(end - p));
    const char *bad = bad_row(row);
    if (bad) return why_fail(WHY_EFORMAT, "record: %s row at byte %zu has %s", name, *at, bad);
    *at += HEADER_BYTES + (size_t)length;
    *more = type != WHY_ROW_END;
    return WHY_OK;
}

why_status why_record_check(const uint8_t *bytes, size_t n) {
    why_row row = {.type = WHY_ROW_END};
    bool more = true;
    uint32_t rows = 0;
    size_t at = 0, last = 0;
    while (more) {
        last = at;
        WHY_TRY(why_record_next(bytes, n, &at, &row, &more));
        if (more) rows++;
    }
    if (at != n) return why_fail(WHY_EFORMAT, "record: %zu bytes behind its end row", n - at);
    if (row.u.end.rows != rows) return why_fail(WHY_EFORMAT, "record: %u rows, its end row says %u", rows, row.u.end.rows);
    uint32_t sum = last > 0 ? (uint32_t)crc32_z(0, bytes, last) : 0;
    if (row.u.end.crc32 != sum) return why_fail(WHY_EFORMAT, "record: checksum %08x, its end row says %08x", sum, row.u.end.crc32);
    return WHY_OK;
}
