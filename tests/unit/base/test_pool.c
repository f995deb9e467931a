#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "whypix/pool.h"

enum { PIECES = 1000 };

struct work {
    int threads;
    atomic_int calls[PIECES];
    atomic_int bad_thread;
    double result[PIECES];
};

static void piece(void *ctx, int index, int thread) {
    struct work *w = ctx;
    double v = index;
    for (int i = 0; i < 50; i++) v = v * 1.0000001 + 1.0 / (i + index + 1);
    w->result[index] = v;
    atomic_fetch_add(&w->calls[index], 1);
    if (thread < 0 || thread >= w->threads) atomic_fetch_add(&w->bad_thread, 1);
}

static void every_piece_runs_once_whatever_the_threads(void **state) {
    (void)state;
    static struct work one, many;
    one.threads = 1;
    why_pool_run(NULL, PIECES, piece, &one);
    for (int threads = 1; threads <= 5; threads += 2) {
        why_pool *p;
        assert_int_equal(why_pool_create(threads, &p), WHY_OK);
        assert_int_equal(why_pool_threads(p), threads);
        many = (struct work){.threads = threads};
        why_pool_run(p, PIECES, piece, &many);
        for (int i = 0; i < PIECES; i++) assert_int_equal(many.calls[i], 1);
        assert_memory_equal(many.result, one.result, sizeof one.result);
        assert_int_equal(many.bad_thread, 0);
        why_pool_destroy(&p);
        assert_null(p);
    }
}

static void a_pool_is_used_again_and_again(void **state) {
    (void)state;
    static struct work w;
    why_pool *p;
    assert_int_equal(why_pool_create(3, &p), WHY_OK);
    w = (struct work){.threads = 3};
    for (int round = 0; round < 500; round++) why_pool_run(p, round % 7, piece, &w);
    /* Index 0 runs in every round but those of length 0, index 5 only in those of length 6. */
    assert_int_equal(w.calls[0], 500 - 72);
    assert_int_equal(w.calls[5], 71);
    assert_int_equal(w.calls[6], 0);
    why_pool_destroy(&p);
}

static void in_order_without_a_pool(void **state) {
    (void)state;
    assert_int_equal(why_pool_threads(NULL), 1);
    why_pool *none = NULL;
    why_pool_destroy(&none);
}

static void bad_numbers_of_threads(void **state) {
    (void)state;
    why_pool *p = (why_pool *)state;
    assert_int_equal(why_pool_create(0, &p), WHY_EARG);
    assert_null(p);
    assert_int_equal(why_pool_create(100000, &p), WHY_EARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_runs_once_whatever_the_threads),
        cmocka_unit_test(a_pool_is_used_again_and_again),
        cmocka_unit_test(in_order_without_a_pool),
        cmocka_unit_test(bad_numbers_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
