/* Allocation, arenas, buffers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    for (size_t n = 0; n < 200; n += 33) {
        uint8_t *p;
        assert_int_equal(why_alloc(n, 3, "test", &p), WHY_OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < 3 * n; i++) assert_int_equal(p[i], 0);
        free(p);
    }
}

static void impossible_sizes_say_what_they_were_for(void **state) {
    (void)state;
    void *p = state;
    assert_int_equal(why_alloc(SIZE_MAX / 2, 3, "weights of 'c1'", &p), WHY_ENOMEM);
    assert_null(p);
    assert_non_null(strstr(why_error_text(), "weights of 'c1'"));
    assert_int_equal(why_alloc(SIZE_MAX - 10, 1, "a", &p), WHY_ENOMEM);
    size_t capacity = 0;
    p = NULL;
    assert_int_equal(why_grow(&p, &capacity, SIZE_MAX / 4, 16, "rows"), WHY_ENOMEM);
    assert_int_equal(why_grow(&p, &capacity, SIZE_MAX, 1, "rows"), WHY_ENOMEM);
    assert_null(p);
    assert_int_equal(capacity, 0);
}

static void arrays_grow_and_keep_their_items(void **state) {
    (void)state;
    int *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(why_grow(&items, &capacity, i + 1, sizeof *items, "items"), WHY_OK);
        assert_true(capacity > i);
        items[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(items[i], i);
    free(items);
}

static void arena_blocks_do_not_overlap(void **state) {
    (void)state;
    why_arena *a;
    uint8_t *block[50];
    assert_int_equal(why_arena_create(100, &a), WHY_OK);
    for (int round = 0; round < 3; round++) { /* memory of earlier rounds must come back zeroed */
        for (int i = 0; i < 50; i++) {
            size_t n = (size_t)(i * 331 % 9000);
            assert_non_null(block[i] = why_arena_take(a, n));
            assert_int_equal((uintptr_t)block[i] % 64, 0);
            for (size_t k = 0; k < n; k++) assert_int_equal(block[i][k], 0);
            memset(block[i], i + 1, n);
        }
        for (int i = 0; i < 50; i++)
            for (size_t k = 0; k < (size_t)(i * 331 % 9000); k++) assert_int_equal(block[i][k], i + 1);
        why_arena_reset(a);
    }
    char *text = why_arena_strdup(a, "kept");
    assert_string_equal(text, "kept");
    why_arena_destroy(&a);
    assert_null(a);
    why_arena_destroy(&a);
}

static void arena_reset_keeps_the_memory(void **state) {
    (void)state;
    why_arena *a;
    assert_int_equal(why_arena_create(4096, &a), WHY_OK);
    void *first = why_arena_take(a, 4000), *second = why_arena_take(a, 4000);
    why_arena_reset(a);
    assert_ptr_equal(why_arena_take(a, 4000), first);
    assert_ptr_equal(why_arena_take(a, 4000), second);
    why_arena_destroy(&a);
}

/* ---------------------------------------------------------------- buffers */
static void assert_taken(why_buf *b, const char *want) {
    char *text;
    assert_int_equal(why_buf_take(b, &text), WHY_OK);
    assert_string_equal(text, want);
    assert_null(b->data);
    free(text);
}

static void buffers_build_text(void **state) {
    (void)state;
    why_buf b = {0};
    assert_taken(&b, "");
    why_buf_text(&b, "a");
    why_buf_put(&b, "bcd", 2);
    why_buf_printf(&b, "%d-%s", 12, "x");
    why_buf_printf(&b, "%s", "");
    assert_int_equal(b.size, 7);
    assert_taken(&b, "abc12-x");
    for (int i = 0; i < 1000; i++) why_buf_printf(&b, "%04d", i);
    assert_int_equal(b.size, 4000);
    assert_memory_equal(b.data + 4 * 567, "0567", 4);
    assert_int_equal(why_buf_status(&b), WHY_OK);
    why_buf_clear(&b);
}

static void json_strings_are_escaped(void **state) {
    (void)state;
    why_buf b = {0};
    why_buf_json(&b, "a\"b\\c\n\t\x01 \xc3\xa9");
    assert_taken(&b, "\"a\\\"b\\\\c\\n\\u0009\\u0001 \xc3\xa9\"");
    why_buf_json(&b, NULL);
    assert_taken(&b, "null");
}

static void numbers_are_short_and_exact(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"}, {0.1 + 0.2, "0.30000000000000004"}, {1e300, "1e+300"}, {-2, "-2"}, {1.0 / 3, "0.3333333333333333"},
                 {NAN, "null"}, {INFINITY, "null"}, {5e-324, "5e-324"}, {123456789, "123456789"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        why_buf b = {0};
        why_buf_number(&b, cases[i].v);
        assert_taken(&b, cases[i].text);
    }
}

static void a_failed_buffer_stays_failed(void **state) {
    (void)state;
    why_buf b = {0};
    char *text = (char *)&b;
    why_buf_text(&b, "head");
    why_buf_put(&b, "x", SIZE_MAX - 2); /* cannot fit: refused before a byte is read */
    assert_true(b.failed);
    why_buf_text(&b, "tail");
    assert_int_equal(b.size, 4);
    assert_int_equal(why_buf_status(&b), WHY_ENOMEM);
    assert_int_equal(why_buf_take(&b, &text), WHY_ENOMEM);
    assert_null(text);
    assert_null(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(impossible_sizes_say_what_they_were_for),
        cmocka_unit_test(arrays_grow_and_keep_their_items),
        cmocka_unit_test(arena_blocks_do_not_overlap),
        cmocka_unit_test(arena_reset_keeps_the_memory),
        cmocka_unit_test(buffers_build_text),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(a_failed_buffer_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
