/* Rows of on/off bits: prefixes, fairness, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/npy.h"
#include "explain/masks.h"

/* 70 bits: more than a word and more than two draws of 32. */
enum { K = 70 };

static void shorter_is_a_prefix(void **state) {
    (void)state;
    why_masks a, b, other;
    const why_stream s = {99};
    assert_int_equal(why_masks_draw(s, 500, K, &a), WHY_OK);
    assert_int_equal(why_masks_draw(s, 50, K, &b), WHY_OK);
    assert_int_equal(why_masks_draw((why_stream){100}, 50, K, &other), WHY_OK);
    assert_memory_equal(a.bits, b.bits, 50 * b.words * sizeof *b.bits);
    assert_memory_not_equal(a.bits + 2, other.bits + 2, 48 * b.words * sizeof *b.bits);
    int on[K] = {0}, total = 0;
    for (int i = 0; i < a.n; i++)
        for (int k = 0; k < K; k++) on[k] += why_masks_bit(&a, i, k);
    for (int k = 0; k < K; k++) {
        assert_true(why_masks_bit(&a, 0, k));
        assert_true(abs(on[k] - 250) < 56); /* five standard deviations of 500 fair draws */
        total += on[k];
    }
    assert_true(abs(total - K - 499 * K / 2) < 5 * (int)(sqrt(499.0 * K) / 2));
    for (int i = 0; i < a.n; i++) assert_int_equal(why_masks_row(&a, i)[1] >> (K - 64), 0);
    why_masks_clear(&a);
    why_masks_clear(&b);
    why_masks_clear(&other);
}

static void distances(void **state) {
    (void)state;
    uint64_t bits[] = {7, 1, 0};
    const why_masks m = {.n = 3, .k = 3, .words = 1, .bits = bits};
    assert_true(why_masks_distance(&m, 0) == 0);
    assert_true(fabs(why_masks_distance(&m, 1) - (1 - sqrt(1.0 / 3))) < 1e-15);
    assert_true(why_masks_distance(&m, 2) == 1);
}

static why_status read_back(const int32_t *v, int64_t rows, int64_t columns, int n, int k, why_masks *out) {
    char path[] = "/tmp/whypix-masks-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(why_npy_save_i32(path, &(why_shape){2, {rows, columns}}, v), WHY_OK);
    why_status st = why_masks_read(path, n, k, out);
    unlink(path);
    return st;
}

static void files(void **state) {
    (void)state;
    const int32_t good[] = {1, 1, 1, 0, 1, 0, 0, 0, 1}, hides[] = {1, 0, 1, 1}, two[] = {1, 1, 0, 2};
    why_masks m;
    assert_int_equal(read_back(good, 3, 3, 100, 3, &m), WHY_OK);
    assert_int_equal(m.n, 3);
    assert_int_equal(m.bits[1], 2);
    assert_int_equal(m.bits[2], 4);
    why_masks_clear(&m);
    assert_int_equal(read_back(good, 3, 3, 2, 3, &m), WHY_OK);
    assert_int_equal(m.n, 2);
    why_masks_clear(&m);
    assert_int_equal(read_back(good, 3, 3, 100, 4, &m), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "3 columns, there are 4 segments"));
    assert_null(m.bits);
    assert_int_equal(read_back(good, 1, 3, 100, 3, &m), WHY_EARG);
    assert_int_equal(read_back(hides, 2, 2, 100, 2, &m), WHY_EFORMAT);
    assert_non_null(strstr(why_error_text(), "row 0 hides segment 1"));
    assert_int_equal(read_back(two, 2, 2, 100, 2, &m), WHY_EFORMAT);
    assert_non_null(strstr(why_error_text(), "row 1, column 1: got 2, want 0 or 1"));
    assert_int_equal(why_masks_read("/nonexistent/m.npy", 1, 1, &m), WHY_EFILE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shorter_is_a_prefix), cmocka_unit_test(distances), cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
