/* Outlines as masks, against closed forms and a test of every pixel's centre. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/polygon.h"

enum { H = 37, W = 53 };

static int fill(const double *xy, int n, uint8_t mask[H][W]) {
    int inside = 0;
    memset(mask, 0, H * W);
    assert_int_equal(why_polygon_fill(&mask[0][0], H, W, xy, n, 9), WHY_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            assert_true(mask[y][x] == 0 || mask[y][x] == 9);
            inside += mask[y][x] != 0;
        }
    return inside;
}

static void boxes_hold_their_pixels(void **state) {
    (void)state;
    uint8_t mask[H][W];
    const double box[] = {3, 4, 13, 4, 13, 24, 3, 24}, backwards[] = {3, 24, 13, 24, 13, 4, 3, 4};
    assert_int_equal(fill(box, 4, mask), 200);
    assert_true(mask[4][3] && mask[23][12] && !mask[3][3] && !mask[24][12] && !mask[4][2] && !mask[4][13]);
    assert_int_equal(fill(backwards, 4, mask), 200);
    const double around[] = {-50, -50, 500, -50, 500, 500, -50, 500}, outside[] = {60, 2, 70, 2, 70, 9, 60, 9};
    assert_int_equal(fill(around, 4, mask), H * W);
    assert_int_equal(fill(outside, 4, mask), 0);
    const double thin[] = {3.6, 4, 4.4, 4, 4.4, 24, 3.6, 24}; /* between two columns of centres */
    assert_int_equal(fill(thin, 4, mask), 0);
}

/* Neighbours that share an edge share no pixel and leave none out, wherever the edge runs. */
static void neighbours_meet(void **state) {
    (void)state;
    uint8_t a[H][W], b[H][W];
    for (int i = 0; i < 50; i++) {
        const double top = i * 0.97, bottom = 49 - i * 0.83;
        const double left[] = {0, 0, top, 0, bottom, H, 0, H}, right[] = {top, 0, W, 0, W, H, bottom, H};
        assert_int_equal(fill(left, 4, a) + fill(right, 4, b), H * W);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) assert_int_equal(a[y][x] + b[y][x], 9);
    }
}

/* Is the point inside, by the winding of a ray to the right? */
static int inside(const double *xy, int n, double x, double y) {
    int crossed = 0;
    for (int i = 0, j = n - 1; i < n; j = i++)
        if ((xy[2 * i + 1] > y) != (xy[2 * j + 1] > y) &&
            x < (xy[2 * j] - xy[2 * i]) * (y - xy[2 * i + 1]) / (xy[2 * j + 1] - xy[2 * i + 1]) + xy[2 * i])
            crossed = !crossed;
    return crossed;
}

/* Any corners, so that edges cross as well. */
static void every_pixel_is_where_its_centre_is(void **state) {
    (void)state;
    uint8_t mask[H][W];
    uint32_t s = 1;
    for (int round = 0; round < 40; round++) {
        double xy[14];
        for (int i = 0; i < 14; i++) {
            s = s * 1664525u + 1013904223u;
            xy[i] = (s >> 8) / 16777216.0 * 70 - 10;
        }
        fill(xy, 7, mask);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) assert_int_equal(mask[y][x] != 0, inside(xy, 7, x + 0.5, y + 0.5));
    }
}

static void circles_are_round(void **state) {
    (void)state;
    uint8_t mask[H][W] = {{0}};
    why_circle_fill(&mask[0][0], H, W, 20.25, 17.5, 11.3, 1);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) assert_int_equal(mask[y][x], hypot(x + 0.5 - 20.25, y + 0.5 - 17.5) < 11.3);
    memset(mask, 0, sizeof mask);
    why_circle_fill(&mask[0][0], H, W, 20, 17, 1000, 1); /* cut off on all sides */
    for (int i = 0; i < H * W; i++) assert_int_equal((&mask[0][0])[i], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_hold_their_pixels),
        cmocka_unit_test(neighbours_meet),
        cmocka_unit_test(every_pixel_is_where_its_centre_is),
        cmocka_unit_test(circles_are_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
