/* The reference maps and tables of tests/golden/make_metric.py. */
#ifndef WHYPIX_TESTS_METRIC_GOLDEN_H
#define WHYPIX_TESTS_METRIC_GOLDEN_H

#include <math.h>
#include <string.h>

#include "base/npy.h"
#include "support.h"
#include "whypix/image.h"

enum { GOLDEN_H = 24, GOLDEN_W = 20, GOLDEN_N = GOLDEN_H * GOLDEN_W, GOLDEN_COLUMNS = 8 };

static inline const char *golden_path(const char *name, char path[4096]) {
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/metric/%s", name);
    return test_source(relative, path);
}

/* count x 24 x 20 values (owned). */
static inline float *golden_load(const char *name, int *count) {
    char path[4096];
    why_shape shape;
    float *v;
    if (why_npy_load_f32(golden_path(name, path), &shape, &v)) fail_msg("%s", why_error_text());
    assert_true(shape.rank == 3 && shape.dim[1] == GOLDEN_H && shape.dim[2] == GOLDEN_W);
    *count = (int)shape.dim[0];
    return v;
}

static inline why_segments golden_segments(void) {
    char path[4096];
    why_shape shape;
    why_segments s = {.h = GOLDEN_H, .w = GOLDEN_W};
    if (why_npy_load_i32(golden_path("segments.npy", path), &shape, &s.label)) fail_msg("%s", why_error_text());
    for (int i = 0; i < GOLDEN_N; i++) s.n = s.label[i] >= s.n ? s.label[i] + 1 : s.n;
    return s;
}

/* Split a line at its commas; empty columns stay. */
static inline void golden_split(char *line, char *column[GOLDEN_COLUMNS]) {
    line[strcspn(line, "\r\n")] = '\0';
    for (int i = 0; i < GOLDEN_COLUMNS; i++) {
        column[i] = line;
        line += strcspn(line, ",");
        if (*line) *line++ = '\0';
    }
}

/* Call fn for every row below the heads of a table; returns how many there were. */
static inline int golden_rows(const char *name, void (*fn)(char *column[GOLDEN_COLUMNS], void *ctx), void *ctx) {
    char path[4096], line[512], *column[GOLDEN_COLUMNS];
    FILE *f = fopen(golden_path(name, path), "r");
    int rows = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (rows++ > 0) {
            golden_split(line, column);
            fn(column, ctx);
        }
    fclose(f);
    return rows - 1;
}

static inline bool golden_agrees(const char *want, double got, const char *why, double tolerance) {
    if (strcmp(want, "null") == 0) return why != NULL && isnan(got);
    return why == NULL && fabs(got - strtod(want, NULL)) <= tolerance;
}

#endif
