#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric/order.h"
#include "whypix/metric.h"
#include "whypix/rng.h"

static const why_grid pixel = {.kind = WHY_GRID_PIXEL};

static void assert_message(const char *part) {
    if (!strstr(why_error_text(), part)) fail_msg("'%s' does not say '%s'", why_error_text(), part);
}

static void names_of_policies_and_grids(void **state) {
    (void)state;
    why_policy p;
    why_grid g;
    for (int i = WHY_POSITIVE; i <= WHY_ABSOLUTE; i++) {
        assert_int_equal(why_policy_parse(why_policy_name((why_policy)i), &p), WHY_OK);
        assert_int_equal(p, i);
    }
    assert_int_equal(why_policy_parse("Positive", &p), WHY_EARG);
    assert_message("'Positive'");
    assert_int_equal(why_grid_parse("pixel", &g), WHY_OK);
    assert_int_equal(g.kind, WHY_GRID_PIXEL);
    assert_int_equal(why_grid_parse("segments", &g), WHY_OK);
    assert_int_equal(g.kind, WHY_GRID_SEGMENTS);
    assert_int_equal(why_grid_parse("14x9", &g), WHY_OK);
    assert_true(g.kind == WHY_GRID_CELLS && g.rows == 14 && g.cols == 9);
    static const char *const bad[] = {"", "x", "14", "14x", "x14", "0x4", "4x-1", "14x14x", "14 x14 ", "5000x2", "99999999999999999999x2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (why_grid_parse(bad[i], &g) != WHY_EARG) fail_msg("'%s' was taken", bad[i]);
}

static void policies_scale_and_clip(void **state) {
    (void)state;
    const float map[4] = {-4, 0, 1, 2}, want[3][4] = {{0, 0, 0.5f, 1}, {-4, 0, 1, 2}, {1, 0, 0.25f, 0.5f}};
    for (int p = 0; p < 3; p++) {
        why_field f;
        assert_int_equal(why_field_make(map, 2, 2, NULL, (why_policy)p, &pixel, NULL, &f), WHY_OK);
        assert_true(f.n == 4 && f.rows == 2 && f.cols == 2);
        assert_memory_equal(f.v, want[p], sizeof want[p]);
        why_field_clear(&f);
        assert_null(f.v);
    }
}

static void constant_maps_become_zero(void **state) {
    (void)state;
    const float map[4] = {3, 3, 3, 3}, zero[4] = {0};
    why_field f;
    assert_int_equal(why_field_make(map, 2, 2, NULL, WHY_POSITIVE, &pixel, NULL, &f), WHY_OK);
    assert_memory_equal(f.v, zero, sizeof zero);
    why_field_clear(&f);
}

static void huge_ranges_do_not_overflow(void **state) {
    (void)state;
    const float map[2] = {-3e38f, 3e38f};
    why_field f;
    assert_int_equal(why_field_make(map, 1, 2, NULL, WHY_ABSOLUTE, &pixel, NULL, &f), WHY_OK);
    assert_true(f.v[0] == 0 && f.v[1] == 0);
    why_field_clear(&f);
}

/* 3 x 3 pixels on 2 x 2 cells: a cell covers 1 + 1/2 + 1/2 + 1/4 pixels. */
static void cells_count_parts_of_pixels(void **state) {
    (void)state;
    const float map[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const why_grid g = {.kind = WHY_GRID_CELLS, .rows = 2, .cols = 2};
    why_field f;
    assert_int_equal(why_field_make(map, 3, 3, NULL, WHY_SIGNED, &g, NULL, &f), WHY_OK);
    assert_true(f.n == 4 && f.rows == 2 && f.cols == 2);
    const double want[4] = {(1 + 2 / 2.0 + 4 / 2.0 + 5 / 4.0) / 2.25, (3 + 2 / 2.0 + 6 / 2.0 + 5 / 4.0) / 2.25,
                            (7 + 4 / 2.0 + 8 / 2.0 + 5 / 4.0) / 2.25, (9 + 6 / 2.0 + 8 / 2.0 + 5 / 4.0) / 2.25};
    for (int i = 0; i < 4; i++) assert_true(fabs((double)f.v[i] - want[i]) < 1e-6);
    why_field_clear(&f);
}

static void a_finer_grid_repeats_pixels(void **state) {
    (void)state;
    const float map[2] = {1, 5};
    const why_grid g = {.kind = WHY_GRID_CELLS, .rows = 2, .cols = 4};
    why_field f;
    assert_int_equal(why_field_make(map, 1, 2, NULL, WHY_SIGNED, &g, NULL, &f), WHY_OK);
    const float want[8] = {1, 1, 5, 5, 1, 1, 5, 5};
    assert_memory_equal(f.v, want, sizeof want);
    why_field_clear(&f);
}

static void ranks_are_averaged(void **state) {
    (void)state;
    const float map[6] = {0.5f, -0.0f, 2, 0, 0.5f, 0};
    const int32_t rank2[6] = {9, 4, 12, 4, 9, 4}, order[6] = {2, 0, 4, 1, 3, 5};
    why_field f;
    assert_int_equal(why_field_make(map, 2, 3, NULL, WHY_SIGNED, &pixel, NULL, &f), WHY_OK);
    assert_memory_equal(f.rank2, rank2, sizeof rank2);
    assert_memory_equal(f.order, order, sizeof order);
    why_field_clear(&f);
}

static void bad_maps_are_refused(void **state) {
    (void)state;
    float map[4] = {0, 1, NAN, 2};
    int32_t label[4] = {0};
    const why_segments other = {.h = 1, .w = 4, .n = 1, .label = label};
    const why_grid segments = {.kind = WHY_GRID_SEGMENTS};
    why_field f;
    assert_int_equal(why_field_make(map, 2, 2, NULL, WHY_SIGNED, &pixel, NULL, &f), WHY_EFORMAT);
    assert_message("value 2 of 4 is nan");
    assert_null(f.v);
    map[2] = -INFINITY;
    assert_int_equal(why_field_make(map, 2, 2, NULL, WHY_POSITIVE, &pixel, NULL, &f), WHY_EFORMAT);
    map[2] = 0;
    assert_int_equal(why_field_make(map, 2, 2, NULL, WHY_SIGNED, &segments, NULL, &f), WHY_EBUG);
    assert_int_equal(why_field_make(map, 2, 2, NULL, WHY_SIGNED, &segments, &other, &f), WHY_EBUG);
    assert_int_equal(why_field_make(map, 2, 2, &other, WHY_SIGNED, &pixel, NULL, &f), WHY_EBUG);
    assert_message("1 segments on 1 x 4");
    assert_int_equal(why_field_make(map, 0, 2, NULL, WHY_SIGNED, &pixel, NULL, &f), WHY_ELIMIT);
    assert_int_equal(why_field_make(map, 65536, 65536, NULL, WHY_SIGNED, &pixel, NULL, &f), WHY_ELIMIT);
}

/* ---------------------------------------------------------------- orders */
static void orders_fall_and_break_ties_by_key(void **state) {
    (void)state;
    enum { N = 3000 };
    static float v[N];
    static uint32_t key[N];
    static int32_t order[N];
    why_rng r = why_rng_at(why_stream_of(1, 1, "order"), 0);
    for (int i = 0; i < N; i++) {
        v[i] = i % 3 ? (float)why_rng_below(&r, 5) - 2 : (float)(why_rng_normal(&r) * pow(10, (int)why_rng_below(&r, 70) - 35));
        key[i] = why_rng_below(&r, 1000) << 22;
    }
    assert_int_equal(why_order_falling(v, N, key, order), WHY_OK);
    int seen = 0;
    for (int i = 0; i + 1 < N; i++) {
        int a = order[i], b = order[i + 1];
        assert_true(v[a] > v[b] || (v[a] == v[b] && (key[a] < key[b] || (key[a] == key[b] && a < b))));
        seen += a;
    }
    assert_int_equal(seen + order[N - 1], N * (N - 1) / 2);
}

static void tied_blocks_share_the_places_left(void **state) {
    (void)state;
    const float v[6] = {5, 1, 1, 1, 0, 1};
    int32_t order[6];
    assert_int_equal(why_order_falling(v, 6, NULL, order), WHY_OK);
    why_top t = why_top_of(v, order, 6, 3); /* the 5, and two places for four ones */
    assert_true(t.threshold == 1 && t.tied == 0.5);
    assert_true(why_top_member(t, 5) == 1 && why_top_member(t, 1) == 0.5 && why_top_member(t, 0) == 0);
    t = why_top_of(v, order, 6, 1);
    assert_true(t.threshold == 5 && t.tied == 1);
    t = why_top_of(v, order, 6, 6);
    assert_true(t.threshold == 0 && t.tied == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_policies_and_grids),
        cmocka_unit_test(policies_scale_and_clip),
        cmocka_unit_test(constant_maps_become_zero),
        cmocka_unit_test(huge_ranges_do_not_overflow),
        cmocka_unit_test(cells_count_parts_of_pixels),
        cmocka_unit_test(a_finer_grid_repeats_pixels),
        cmocka_unit_test(ranks_are_averaged),
        cmocka_unit_test(bad_maps_are_refused),
        cmocka_unit_test(orders_fall_and_break_ties_by_key),
        cmocka_unit_test(tied_blocks_share_the_places_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
