/* Rows of results and their wire form. A record is what a worker sends for one image: a sequence of rows, each
 * [type u8][length u32][fields], little-endian, floats as their bits. Rank 0 hands the bytes to the store unread. */
#ifndef WHYPIX_STORE_RECORD_H
#define WHYPIX_STORE_RECORD_H

#include <stdint.h>

#include "base/buf.h"

typedef enum why_row_type {
    WHY_ROW_IMAGE = 1,   /* what reading the picture told */
    WHY_ROW_PREDICTION,
    WHY_ROW_EXPLANATION,
    WHY_ROW_SCORE,
    WHY_ROW_CURVE,
    WHY_ROW_PAIR,
    WHY_ROW_TIMING,
    WHY_ROW_FAILURE,
    WHY_ROW_END          /* closes a record: number of rows and CRC-32 of everything before */
} why_row_type;

/* An explanation's id: image_id << 16 | cell_id. */
static inline int64_t why_explanation_id(int64_t image_id, int64_t cell_id) { return image_id << 16 | cell_id; }

typedef struct why_row {
    why_row_type type;
    union {
        struct { int64_t image_id; const char *sha256; int32_t width, height; } image;
        struct { int64_t image_id, model_id; int32_t rank, class_index; double logit, prob; } prediction;
        struct {
            int64_t image_id, cell_id;
            int32_t class_index; /* -1: NULL */
            const char *status;  /* done, failed */
            int64_t evaluations;
            double fit, residual, se_range, ess, vmin, vmax; /* NAN, and an ess of 0: NULL */
            const char *stop;                                /* NULL or "": NULL */
            const char *map, *map_sha256, *se_map;           /* NULL or "": NULL */
            const uint8_t *thumb;                            /* 14*14 floats, little-endian; NULL: none */
            uint32_t thumb_size;
            const char *error;                               /* "": NULL */
        } explanation;
        /* value NAN: NULL with why; evaluations 0: NULL */
        struct { int64_t explanation_id, metric_id; double value; const char *why; int64_t evaluations; } score;
        struct { int64_t explanation_id, metric_id; int32_t step; double x, y, logit; } curve; /* y, logit NAN: NULL */
        struct { int64_t a, b, metric_id; double value; const char *why; } pair;             /* a < b */
        struct { int64_t explanation_id; double wall, cpu; } timing;
        struct { int64_t image_id, cell_id; const char *reason; } failure;                   /* cell_id 0: the whole image */
        struct { uint32_t rows, crc32; } end;
    } u;
} why_row;

/* Append a row (strings and blobs are copied). */
void why_record_put(why_buf *b, const why_row *row);
/* Append the END row. */
void why_record_finish(why_buf *b);

/* Read rows one after the other: *at starts at 0. Strings and blobs are views into `bytes`. WHY_EFORMAT on anything
 * inconsistent; *more becomes false at the END row. */
why_status why_record_next(const uint8_t *bytes, size_t n, size_t *at, why_row *row, bool *more) WHY_MUST_USE;
/* Whole record: structure, END row and checksum. */
why_status why_record_check(const uint8_t *bytes, size_t n) WHY_MUST_USE;

#endif
