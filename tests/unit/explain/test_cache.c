/* The score cache: whole keys decide, whatever their hashes; rows survive growth; clear forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "explain/cache.h"

static void rows_survive_growth(void **state) {
    (void)state;
    enum { N = 5000, WIDTH = 3 };
    why_cache *c;
    int row;
    bool fresh;
    assert_int_equal(why_cache_create(WIDTH, &c), WHY_OK);
    for (int i = 0; i < N; i++) {
        int key[2] = {i, i % 7};
        assert_int_equal(why_cache_row_of(c, key, i % 2 ? sizeof key : sizeof key[0], &row, &fresh), WHY_OK);
        assert_true(fresh);
        assert_int_equal(row, i);
        for (int k = 0; k < WIDTH; k++) why_cache_row(c, row)[k] = (float)(i * WIDTH + k);
    }
    for (int i = N - 1; i >= 0; i--) {
        int key[2] = {i, i % 7};
        assert_int_equal(why_cache_row_of(c, key, i % 2 ? sizeof key : sizeof key[0], &row, &fresh), WHY_OK);
        assert_false(fresh);
        for (int k = 0; k < WIDTH; k++) assert_true(why_cache_row(c, row)[k] == (float)(i * WIDTH + k));
    }
    why_cache_clear(c);
    assert_int_equal(why_cache_row_of(c, &(int){3}, sizeof(int), &row, &fresh), WHY_OK);
    assert_true(fresh);
    assert_int_equal(row, 0);
    why_cache_destroy(&c);
    assert_null(c);
    why_cache_destroy(&c);
}

/* Keys that agree in all but their last byte, or of which one is the beginning of another. */
static void near_keys(void **state) {
    (void)state;
    why_cache *c;
    int row;
    bool fresh;
    uint8_t key[33] = {0};
    assert_int_equal(why_cache_create(1, &c), WHY_OK);
    for (size_t size = 0; size <= sizeof key; size++) {
        assert_int_equal(why_cache_row_of(c, key, size, &row, &fresh), WHY_OK);
        assert_true(fresh);
    }
    for (int last = 1; last < 256; last++) {
        key[32] = (uint8_t)last;
        assert_int_equal(why_cache_row_of(c, key, sizeof key, &row, &fresh), WHY_OK);
        assert_true(fresh);
    }
    why_cache_destroy(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_survive_growth), cmocka_unit_test(near_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
