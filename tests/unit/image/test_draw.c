/* Palettes, overlays and panels. */
#include "golden.h"

static void palettes_are_close_to_matplotlibs(void **state) {
    (void)state;
    static const char *const names[] = {"viridis", "inferno"};
    for (int p = 0; p < 2; p++) {
        size_t n;
        float *want = golden_floats(golden("%s.npy", names[p]), &n);
        why_palette parsed;
        assert_ok(why_palette_parse(names[p], &parsed));
        for (int i = 0; i < 256; i += 5) {
            uint8_t rgb[3];
            why_palette_colour(parsed, i / 255.0, rgb);
            for (int c = 0; c < 3; c++) assert_true(fabsf(want[i / 5 * 3 + c] - rgb[c]) <= 4);
        }
        free(want);
    }
}

static void colours_are_defined_for_every_value(void **state) {
    (void)state;
    uint8_t below[3], low[3], nan[3], high[3], above[3], zero[3];
    for (int p = 0; p < WHY_PALETTES; p++) {
        why_palette_colour((why_palette)p, -INFINITY, below);
        why_palette_colour((why_palette)p, 0, low);
        why_palette_colour((why_palette)p, NAN, nan);
        why_palette_colour((why_palette)p, 1, high);
        why_palette_colour((why_palette)p, INFINITY, above);
        assert_memory_equal(below, low, 3);
        assert_memory_equal(nan, low, 3);
        assert_memory_equal(above, high, 3);
    }
    why_palette_colour(WHY_DIVERGING, 0, low);
    why_palette_colour(WHY_DIVERGING, 0.5, zero);
    why_palette_colour(WHY_DIVERGING, 1, high);
    assert_true(low[2] > low[0] && high[0] > high[2]); /* blue, red */
    assert_true(zero[0] > 240 && zero[1] > 240 && zero[2] > 240);
    why_palette p;
    assert_int_equal(why_palette_parse("virdis", &p), WHY_EARG);
    assert_says("viridis");
}

static void assert_pixel(const why_image *im, int i, why_palette p, double value) {
    uint8_t rgb[3];
    why_palette_colour(p, value, rgb);
    assert_memory_equal(im->rgb + 3 * i, rgb, 3);
}

static void overlays_scale_the_map(void **state) {
    (void)state;
    const float map[6] = {-4, 0, 1, 2, NAN, INFINITY};
    why_image im, out;
    assert_ok(why_image_create(2, 3, &im));
    assert_ok(why_overlay(&im, map, WHY_VIRIDIS, 1, &out));
    static const double unsigned_[6] = {0, 0, 0.5, 1, 0, 0}, signed_[6] = {0, 0.5, 0.625, 0.75, 0.5, 0.5};
    for (int i = 0; i < 6; i++) assert_pixel(&out, i, WHY_VIRIDIS, unsigned_[i]);
    why_image_clear(&out);
    assert_ok(why_overlay(&im, map, WHY_DIVERGING, 1, &out));
    for (int i = 0; i < 6; i++) assert_pixel(&out, i, WHY_DIVERGING, signed_[i]);
    why_image_clear(&out);
    why_image_clear(&im);
}

static void overlays_mix_with_the_greyed_picture(void **state) {
    (void)state;
    const float map[2] = {0, 1};
    why_image im, out;
    assert_ok(why_image_create(1, 2, &im));
    memcpy(im.rgb, (const uint8_t[6]){255, 0, 0, 0, 0, 255}, 6);
    assert_ok(why_overlay(&im, map, WHY_INFERNO, 0, &out));
    assert_memory_equal(out.rgb, ((const uint8_t[6]){76, 76, 76, 29, 29, 29}), 6);
    why_image_clear(&out);
    assert_int_equal(why_overlay(&im, map, WHY_INFERNO, 1.5, &out), WHY_EARG);
    assert_int_equal(why_overlay(&im, map, WHY_INFERNO, NAN, &out), WHY_EARG);
    why_image_clear(&im);
}

static void constant_maps_get_the_lowest_colour(void **state) {
    (void)state;
    static const float constants[] = {0, -1, 3};
    why_image im, out;
    assert_ok(why_image_create(2, 2, &im));
    for (size_t k = 0; k < 3; k++) {
        const float map[4] = {constants[k], constants[k], constants[k], constants[k]};
        assert_ok(why_overlay(&im, map, WHY_VIRIDIS, 1, &out));
        for (int i = 0; i < 4; i++) assert_pixel(&out, i, WHY_VIRIDIS, 0);
        why_image_clear(&out);
    }
    assert_ok(why_overlay(&im, (const float[4]){0, 0, 0, 0}, WHY_DIVERGING, 1, &out));
    assert_pixel(&out, 0, WHY_DIVERGING, 0.5);
    why_image_clear(&out);
    why_image_clear(&im);
}

static void panels_stand_side_by_side(void **state) {
    (void)state;
    why_image a, b, out;
    assert_ok(why_image_create(2, 1, &a));
    assert_ok(why_image_create(2, 2, &b));
    memset(b.rgb, 9, 12);
    const why_image *parts[] = {&a, &b};
    assert_ok(why_panel(parts, 2, 1, &out));
    assert_int_equal(out.w, 4);
    static const uint8_t row[4] = {0, 255, 9, 9};
    for (int i = 0; i < 8; i++) assert_int_equal(out.rgb[3 * i], row[i % 4]);
    why_image_clear(&out);
    assert_int_equal(why_panel(parts, 0, 1, &out), WHY_EARG);
    a.h = 1;
    assert_int_equal(why_panel(parts, 2, 1, &out), WHY_EARG);
    why_image_clear(&a);
    why_image_clear(&b);
}

/* Two rows of two, one of them white; the cell is as large as the largest picture. */
static void sheets_stand_in_rows(void **state) {
    (void)state;
    why_image a, b, out;
    assert_ok(why_image_create(1, 2, &a));
    assert_ok(why_image_create(2, 1, &b));
    memset(b.rgb, 9, 6);
    const why_image *parts[] = {&a, &b, NULL, &a};
    assert_ok(why_sheet(parts, 2, 2, 1, &out));
    assert_int_equal(out.h, 5);
    assert_int_equal(out.w, 5);
    static const uint8_t want[5][5] = {
        {0, 0, 255, 9, 255}, {255, 255, 255, 9, 255}, {255, 255, 255, 255, 255}, {255, 255, 255, 0, 0}, {255, 255, 255, 255, 255}};
    for (int i = 0; i < 25; i++) assert_int_equal(out.rgb[3 * i], (&want[0][0])[i]);
    why_image_clear(&out);
    assert_int_equal(why_sheet(parts, 0, 2, 1, &out), WHY_EARG);
    assert_int_equal(why_sheet(parts + 2, 1, 1, 1, &out), WHY_EARG); /* nothing but white */
    assert_int_equal(why_sheet(parts, 2, 2, 2000000000, &out), WHY_ELIMIT);
    why_image_clear(&a);
    why_image_clear(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(palettes_are_close_to_matplotlibs),
        cmocka_unit_test(colours_are_defined_for_every_value),
        cmocka_unit_test(overlays_scale_the_map),
        cmocka_unit_test(overlays_mix_with_the_greyed_picture),
        cmocka_unit_test(constant_maps_get_the_lowest_colour),
        cmocka_unit_test(panels_stand_side_by_side),
        cmocka_unit_test(sheets_stand_in_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
