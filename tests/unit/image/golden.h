/* Reference outputs of tests/golden/image (made by tests/golden/make_image.py) and how far off we are. */
#ifndef WHYPIX_TESTS_IMAGE_GOLDEN_H
#define WHYPIX_TESTS_IMAGE_GOLDEN_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "support.h"
#include "whypix/image.h"

/* Path of a golden file; the last four are valid at a time. */
static inline const char *golden(const char *fmt, ...) {
    static char path[4][4096];
    static int turn;
    char name[256] = "tests/golden/image/";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + strlen(name), sizeof name - strlen(name), fmt, ap);
    va_end(ap);
    turn = (turn + 1) % 4;
    test_source(name, path[turn]);
    return path[turn];
}

static inline void assert_ok(why_status st) {
    if (st) fail_msg("%s: %s", why_status_name(st), why_error_text());
}

static inline void assert_says(const char *part) {
    if (!strstr(why_error_text(), part)) fail_msg("'%s' does not say '%s'", why_error_text(), part);
}

static inline float *golden_floats(const char *path, size_t *n) {
    why_shape shape;
    float *data;
    assert_ok(why_npy_load_f32(path, &shape, &data));
    *n = (size_t)why_shape_count(&shape);
    return data;
}

static inline why_image golden_image(const char *name) {
    why_image im;
    assert_ok(why_image_load(golden("%s", name), NULL, &im));
    return im;
}

/* Every byte equal. */
static inline void assert_same_bytes(const char *path, const uint8_t *got, size_t n_got) {
    size_t n, wrong = 0;
    float *want = golden_floats(path, &n);
    assert_int_equal(n, n_got);
    for (size_t i = 0; i < n; i++) wrong += want[i] != got[i];
    free(want);
    if (wrong) fail_msg("%s: %zu of %zu bytes differ", path, wrong, n);
}

static inline void assert_near_floats(const char *path, const float *got, size_t n_got, float tolerance) {
    size_t n;
    float *want = golden_floats(path, &n), worst = 0;
    assert_int_equal(n, n_got);
    for (size_t i = 0; i < n; i++) worst = fmaxf(worst, fabsf(want[i] - got[i]));
    free(want);
    if (!(worst <= tolerance)) fail_msg("%s: off by %g, at most %g is allowed", path, (double)worst, (double)tolerance);
}

static inline float *as_floats(const uint8_t *bytes, size_t n) {
    float *f = malloc(n * sizeof *f);
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) f[i] = bytes[i];
    return f;
}

#endif
