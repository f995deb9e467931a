#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "golden.h"
#include "metric/metrics.h"

static const why_metric *find(const char *name) {
    const why_metric *m = why_metric_find(name);
    if (!m || m->kind != WHY_PAIR) fail_msg("no pair metric '%s'", name);
    return m;
}

/* With the value of the metric's list parameter ("area"), unless it is NULL or empty. */
static why_value measure(const why_metric *m, const why_field *a, const why_field *b, const char *item) {
    why_params *p;
    why_value v = {.value = NAN, .why = "not set"};
    assert_int_equal(why_params_create(m->params, &p), WHY_OK);
    if (item && *item) assert_int_equal(why_params_set(p, m->list, item), WHY_OK);
    if (m->pair(a, b, p, &v)) fail_msg("%s: %s", m->name, why_error_text());
    why_params_destroy(&p);
    return v;
}

/* ---------------------------------------------------------------- against scipy, scikit-learn and numpy */
struct table {
    const float *maps;
    why_segments segments;
    int checked[64]; /* per line of THE table */
    int undefined;
};

static why_field field_of(const struct table *t, int map, const char *policy, const char *grid) {
    why_policy p;
    why_grid g;
    why_field f;
    const why_segments *own = map == 4 || map == 5 ? &t->segments : NULL; /* "segments" and "segments2" */
    assert_int_equal(why_policy_parse(policy, &p), WHY_OK);
    assert_int_equal(why_grid_parse(grid, &g), WHY_OK);
    const float *v = t->maps + (ptrdiff_t)map * GOLDEN_N;
    if (why_field_make(v, GOLDEN_H, GOLDEN_W, own, p, &g, &t->segments, &f)) fail_msg("%s", why_error_text());
    return f;
}

static void check_row(char *c[GOLDEN_COLUMNS], void *ctx) {
    struct table *t = ctx;
    why_field a = field_of(t, atoi(c[0]), c[2], c[3]), b = field_of(t, atoi(c[1]), c[2], c[3]);
    const why_metric *m = find(c[4]);
    why_value ab = measure(m, &a, &b, c[5]), ba = measure(m, &b, &a, c[5]);
    if (!golden_agrees(c[6], ab.value, ab.why, 1e-6))
        fail_msg("maps %s %s %s %s %s %s: got %.9g (%s), want %s", c[0], c[1], c[2], c[3], c[4], c[5], ab.value,
                 ab.why ? ab.why : "", c[6]);
    assert_true(golden_agrees(c[6], ba.value, ba.why, 1e-6));
    for (int i = 0; why_metrics[i]; i++) t->checked[i] += why_metrics[i] == m;
    t->undefined += ab.why != NULL;
    why_field_clear(&a);
    why_field_clear(&b);
}

static void every_metric_policy_and_grid_as_the_references(void **state) {
    (void)state;
    int count;
    float *maps = golden_load("maps.npy", &count);
    struct table t = {.maps = maps, .segments = golden_segments()};
    assert_true(golden_rows("agreement.csv", check_row, &t) > 4000);
    assert_true(golden_rows("order.csv", check_row, &t) > 3000);
    for (int i = 0; why_metrics[i]; i++)
        if (why_metrics[i]->kind == WHY_PAIR && t.checked[i] < 60) fail_msg("%s: %d rows", why_metrics[i]->name, t.checked[i]);
    assert_true(t.undefined > 100);
    free(maps);
    free(t.segments.label);
}

/* ---------------------------------------------------------------- closed forms and edges */
static why_field plain(const float *v, int h, int w, const why_segments *own) {
    static const why_grid pixel = {.kind = WHY_GRID_PIXEL};
    why_field f;
    if (why_field_make(v, h, w, own, WHY_SIGNED, &pixel, NULL, &f)) fail_msg("%s", why_error_text());
    return f;
}

/* Two maps with 70 % zeros that are independent by design: the one depends on the row, the other on the column. Half of
 * the cells: the expected overlap of two random halves is 1/4, the IoU 1/3. Index order would give .52. */
static void ties_make_no_agreement(void **state) {
    (void)state;
    float a[100], b[100];
    for (int i = 0; i < 100; i++) {
        a[i] = (float)(i / 10 < 3 ? i / 10 + 1 : 0);
        b[i] = (float)(i % 10 < 3 ? i % 10 + 1 : 0);
    }
    why_field fa = plain(a, 10, 10, NULL), fb = plain(b, 10, 10, NULL);
    assert_true(fabs(measure(&why_metric_topk_iou, &fa, &fb, "0.5").value - 1.0 / 3) < 1e-12);
    assert_true(fabs(measure(&why_metric_pearson, &fa, &fb, NULL).value) < 1e-12);
    assert_true(fabs(measure(&why_metric_spearman, &fa, &fb, NULL).value) < 1e-12);
    why_field_clear(&fa);
    why_field_clear(&fb);
}

/* 0.07 * 100 is 7.000000000000001 in floating point; k is 7 all the same. */
static void the_number_of_cells_is_not_off_by_one(void **state) {
    (void)state;
    float a[100], b[100];
    for (int i = 0; i < 100; i++) {
        a[i] = (float)-i;
        b[i] = (float)(i < 6 ? -i : i == 99 ? 5 : -200 - i); /* seven best: 99 0 1 2 3 4 5 */
    }
    why_field fa = plain(a, 10, 10, NULL), fb = plain(b, 10, 10, NULL);
    assert_true(fabs(measure(&why_metric_topk_iou, &fa, &fb, "0.07").value - 6.0 / 8) < 1e-12); /* {0 .. 6} and {99 0 .. 5} */
    assert_true(measure(&why_metric_topk_iou, &fa, &fa, "1e-6").value == 1); /* at least one cell */
    assert_true(measure(&why_metric_topk_iou, &fa, &fb, "1").value == 1);
    why_field_clear(&fa);
    why_field_clear(&fb);
}

static void undefined_values_have_reasons(void **state) {
    (void)state;
    const float zero[4] = {0}, some[4] = {0, 1, 2, 3}, mixed[4] = {-1, 0, 1, 0};
    why_field z = plain(zero, 2, 2, NULL), s = plain(some, 2, 2, NULL), m = plain(mixed, 2, 2, NULL);
    assert_string_equal(measure(&why_metric_pearson, &z, &s, NULL).why, "constant map");
    assert_string_equal(measure(&why_metric_spearman, &s, &z, NULL).why, "constant map");
    assert_string_equal(measure(&why_metric_soft_iou, &z, &z, NULL).why, "empty union");
    assert_string_equal(measure(&why_metric_soft_iou_mean, &z, &z, NULL).why, "empty union");
    assert_string_equal(measure(&why_metric_soft_iou, &m, &s, NULL).why, "negative values");
    assert_string_equal(measure(&why_metric_mask_iou, &s, &m, NULL).why, "no map of segments in the pair");
    assert_string_equal(measure(&why_metric_kendall_tau_b, &z, &s, NULL).why, "constant map");
    assert_string_equal(measure(&why_metric_cosine, &z, &s, NULL).why, "all-zero map");
    assert_string_equal(measure(&why_metric_sign_flip, &m, &z, NULL).why, "all-zero map");
    assert_string_equal(measure(&why_metric_ssim, &m, &s, NULL).why, "map smaller than the 11 x 11 window");
    assert_string_equal(measure(&why_metric_emd, &m, &s, NULL).why, "needs a picture of 8 x 8 cells or more");
    assert_string_equal(measure(&why_metric_within_region, &z, &z, NULL).why, "constant map in the region");
    assert_true(measure(&why_metric_soft_iou, &z, &s, NULL).value == 0);
    assert_true(measure(&why_metric_pearson, &m, &m, NULL).value <= 1);
    why_field_clear(&z);
    why_field_clear(&s);
    why_field_clear(&m);
}

/* Segments 4 (one pixel) and 5 (two pixels) are tied at the fifth place: each is half a member, the mask has 5.5 pixels,
 * and a map without segments keeps six. */
static void five_best_segments_share_ties(void **state) {
    (void)state;
    int32_t label[9] = {0, 1, 2, 3, 4, 5, 5, 6, 7};
    why_segments own = {.h = 3, .w = 3, .n = 8, .label = label};
    const float a[9] = {9, 8, 7, 6, 5, 5, 5, -1, -2}, none[9] = {-1, -2, -3, -4, -5, -6, -6, -7, 0}, b[9] = {8, 7, 6, 5, 4, 3, 2, 1, 0};
    why_field fa = plain(a, 3, 3, &own), fn = plain(none, 3, 3, &own), fb = plain(b, 3, 3, NULL);
    assert_true(fabs(measure(&why_metric_mask_iou, &fa, &fb, NULL).value - 5.0 / (5.5 + 6 - 5)) < 1e-12);
    assert_string_equal(measure(&why_metric_mask_iou, &fn, &fn, NULL).why, "empty union");
    assert_string_equal(measure(&why_metric_mask_iou, &fn, &fb, NULL).why, "empty union");
    assert_true(measure(&why_metric_mask_iou, &fa, &fn, NULL).value == 0);
    why_field_clear(&fa);
    why_field_clear(&fn);
    why_field_clear(&fb);
}

static void masks_of_segments_need_pixels(void **state) {
    (void)state;
    int32_t label[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    why_segments own = {.h = 2, .w = 4, .n = 8, .label = label};
    const why_grid coarse = {.kind = WHY_GRID_CELLS, .rows = 2, .cols = 2};
    const float v[8] = {9, 8, 7, 6, 5, 5, -1, -2};
    why_field f;
    assert_int_equal(why_field_make(v, 2, 4, &own, WHY_SIGNED, &coarse, NULL, &f), WHY_OK);
    assert_string_equal(measure(&why_metric_mask_iou, &f, &f, NULL).why, "needs the pixel grid");
    why_field_clear(&f);
}

/* Values from few levels, so that ties abound. */
static void draw(float *v, int n, const char *use, uint32_t levels) {
    why_rng r = why_rng_at(why_stream_of(3, 4, use), 0);
    for (int i = 0; i < n; i++) v[i] = (float)why_rng_below(&r, levels) - (float)(levels / 2);
}

/* tau_b by looking at every pair. */
static double tau_of_all_pairs(const float *a, const float *b, int n) {
    double net = 0, in_a = 0, in_b = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            int x = (a[i] > a[j]) - (a[i] < a[j]), y = (b[i] > b[j]) - (b[i] < b[j]);
            net += x * y;
            in_a += x * x;
            in_b += y * y;
        }
    return net / sqrt(in_a * in_b);
}

static void kendall_counts_every_pair(void **state) {
    (void)state;
    enum { LINES = 30, MOST = 41 * LINES };
    float a[MOST], b[MOST];
    for (int w = 1; w <= 41; w += 8) {
        draw(a, w * LINES, "a", 7);
        draw(b, w * LINES, "b", 200);
        for (int i = 0; i < w * LINES; i++) b[i] += 30 * a[i];
        why_field fa = plain(a, LINES, w, NULL), fb = plain(b, LINES, w, NULL);
        assert_true(fabs(measure(&why_metric_kendall_tau_b, &fa, &fb, NULL).value - tau_of_all_pairs(a, b, w * LINES)) < 1e-12);
        assert_true(fabs(measure(&why_metric_kendall_tau_b, &fa, &fa, NULL).value - 1) < 1e-12);
        why_field_clear(&fa);
        why_field_clear(&fb);
    }
}

/* A map without ties agrees with itself in full, and its negative in nothing that looks at order or sign. */
static void the_ends_of_the_scales(void **state) {
    (void)state;
    static const char *const with_itself[] = {"kendall_tau_b", "cosine", "ssim", "feature_agreement", "sign_agreement", "rank_agreement",
                                              "signed_rank_agreement", "pairwise_rank_agreement", "rbo", "within_region"};
    float a[400], b[400];
    for (int i = 0; i < 400; i++) {
        a[i] = (float)((i * 37) % 400) - 199.25f; /* no two magnitudes are equal */
        b[i] = -a[i];
    }
    why_field fa = plain(a, 20, 20, NULL), fb = plain(b, 20, 20, NULL);
    for (size_t i = 0; i < sizeof with_itself / sizeof *with_itself; i++)
        if (fabs(measure(find(with_itself[i]), &fa, &fa, NULL).value - 1) > 1e-12) fail_msg("%s of a map and itself", with_itself[i]);
    assert_true(measure(&why_metric_sign_flip, &fa, &fa, NULL).value == 0);
    assert_true(measure(&why_metric_sign_flip, &fa, &fb, NULL).value == 1);
    assert_true(measure(&why_metric_sign_agreement, &fa, &fb, NULL).value == 0);
    assert_true(fabs(measure(&why_metric_feature_agreement, &fa, &fb, NULL).value - 1) < 1e-12); /* the same magnitudes */
    assert_true(fabs(measure(&why_metric_kendall_tau_b, &fa, &fb, NULL).value + 1) < 1e-12);
    assert_true(fabs(measure(&why_metric_cosine, &fa, &fb, NULL).value + 1) < 1e-12);
    why_field_clear(&fa);
    why_field_clear(&fb);
}

/* Four cells, all tied in one map: each stands at each place with chance 1/4. */
static void ranks_of_ties_are_chances(void **state) {
    (void)state;
    const float a[4] = {1, 1, 1, 1}, b[4] = {4, 3, 2, 1};
    why_field fa = plain(a, 2, 2, NULL), fb = plain(b, 2, 2, NULL);
    assert_true(fabs(measure(&why_metric_rank_agreement, &fa, &fb, "0.5").value - 0.25) < 1e-12);
    assert_true(fabs(measure(&why_metric_feature_agreement, &fa, &fb, "0.5").value - 0.5) < 1e-12);
    assert_true(fabs(measure(&why_metric_pairwise_rank_agreement, &fa, &fb, "0.5").value - 0.5) < 1e-12);
    why_field_clear(&fa);
    why_field_clear(&fb);
}

/* All mass in one cell against all mass in another: the distance of the two. Half of it moved: half the distance. */
static void earth_is_moved_the_shortest_way(void **state) {
    (void)state;
    float a[256] = {0}, b[256] = {0};
    a[0] = 1;
    b[255] = 7; /* 16 x 16 pixels: corner cells of 8 x 8 */
    why_field fa = plain(a, 16, 16, NULL), fb = plain(b, 16, 16, NULL);
    assert_true(fabs(measure(&why_metric_emd, &fa, &fb, NULL).value - 1) < 1e-9);
    assert_true(measure(&why_metric_emd, &fa, &fa, NULL).value == 0);
    why_field_clear(&fb);
    b[255] = 3;
    b[0] = 3;
    fb = plain(b, 16, 16, NULL);
    assert_true(fabs(measure(&why_metric_emd, &fa, &fb, NULL).value - 0.5) < 1e-9);
    why_field_clear(&fa);
    why_field_clear(&fb);
}

/* Where three quarters are zero, the top 20 % of a map is what is above zero, not the whole map; with nothing above the tie,
 * it is the tie. */
static void regions_do_not_swallow_ties(void **state) {
    (void)state;
    float a[100] = {0}, b[100] = {0}, flat[100] = {0};
    for (int i = 0; i < 12; i++) {
        a[i] = (float)(i + 1);
        b[i] = (float)(12 - i);
    }
    flat[0] = -1;
    why_field fa = plain(a, 10, 10, NULL), fb = plain(b, 10, 10, NULL), ff = plain(flat, 10, 10, NULL);
    assert_true(fabs(measure(&why_metric_within_region, &fa, &fb, NULL).value + 1) < 1e-12);
    assert_null(measure(&why_metric_within_region, &fa, &ff, NULL).why);
    why_field_clear(&fa);
    why_field_clear(&fb);
    why_field_clear(&ff);
}

/* ---------------------------------------------------------------- optional: the maps behind a published table */
static void maps_of_a_published_comparison(void **state) {
    (void)state;
    char path[2][4096];
    float *v[2];
    why_shape shape;
    if (!test_data("seed003/map_gradcam.npy", path[0]) || !test_data("seed003/map_shap.npy", path[1])) skip();
    for (int i = 0; i < 2; i++) assert_int_equal(why_npy_load_f32(path[i], &shape, &v[i]), WHY_OK);
    int h = (int)shape.dim[0], w = (int)shape.dim[1];
    why_field a = plain(v[0], h, w, NULL), b = plain(v[1], h, w, NULL);
    /* numpy's corrcoef and sum(min) / sum(max) in double */
    assert_true(fabs(measure(&why_metric_pearson, &a, &b, NULL).value - 0.208525373) < 1e-6);
    assert_true(fabs(measure(&why_metric_spearman, &a, &b, NULL).value - 0.349424716) < 1e-6);
    assert_true(fabs(measure(&why_metric_soft_iou, &a, &b, NULL).value - 0.459230451) < 1e-6);
    why_field_clear(&a);
    why_field_clear(&b);
    free(v[0]);
    free(v[1]);
}

/* Five real maps (Grad-CAM, LIME, SHAP, gradient SHAP, IG) of a small VGG; numpy and scipy on Grad-CAM's pairs. */
static void maps_of_real_methods(void **state) {
    (void)state;
    static const double want[4][5] = {
        {0.0714917, -0.1329757, 0.2299828, 0.1866374, 0.1581921},
        {0.0166901, 0.3861803, 0.1092583, 0.1147956, 0.2106672},
        {0.0178290, 0.0331169, 0.0900341, 0.1047581, 0.1420613},
        {0.0719075, 0.0181030, 0.0754359, 0.0876904, 0.1388889},
    };
    static const why_metric *const column[4] = {&why_metric_pearson, &why_metric_spearman, &why_metric_soft_iou, &why_metric_soft_iou_mean};
    static const why_grid pixel = {.kind = WHY_GRID_PIXEL};
    char path[4096];
    why_shape s;
    why_field f[5];
    float *v;
    if (!test_data("fixtures/tinyvgg_pug/cmp_maps.npy", path)) skip();
    assert_int_equal(why_npy_load_f32(path, &s, &v), WHY_OK);
    int h = (int)s.dim[1], w = (int)s.dim[2];
    for (int i = 0; i < 5; i++)
        assert_int_equal(why_field_make(v + (ptrdiff_t)i * h * w, h, w, NULL, WHY_POSITIVE, &pixel, NULL, &f[i]), WHY_OK);
    for (int i = 0; i < 4; i++) {
        for (int m = 0; m < 4; m++) assert_true(fabs(measure(column[m], &f[0], &f[i + 1], NULL).value - want[i][m]) < 1e-5);
        assert_true(fabs(measure(&why_metric_topk_iou, &f[0], &f[i + 1], "0.2").value - want[i][4]) < 1e-5);
    }
    for (int i = 0; i < 5; i++) why_field_clear(&f[i]);
    free(v);
}

/* The same maps by the functions of tests/golden/make_metric.py: scipy, scikit-image and a linear programme. */
static void order_of_maps_of_real_methods(void **state) {
    (void)state;
    static const char *const column[] = {"kendall_tau_b", "cosine", "ssim", "feature_agreement", "rank_agreement",
                                         "pairwise_rank_agreement", "rbo", "within_region", "emd"};
    enum { COLUMNS = sizeof column / sizeof *column };
    static const double want[4][COLUMNS] = {
        {-0.1014392, 0.4904044, 0.0111727, 0.1871921, 0.0018174, 0.3641484, 0.1487878, -0.4883071, 0.2363068},
        {0.2753590, 0.4393753, -0.0056578, 0.0665959, 0.0007585, 0.2574115, 0.1172898, -0.6303550, 0.1186940},
        {0.0234107, 0.4567464, 0.0064072, 0.1165049, 0.0000000, 0.2786977, 0.1126463, -0.5403482, 0.0618726},
        {0.0129097, 0.4748948, 0.0081635, 0.1165049, 0.0000000, 0.2631003, 0.1168941, -0.5222140, 0.0508846}};
    static const why_grid pixel = {.kind = WHY_GRID_PIXEL};
    char path[4096];
    why_shape s;
    why_field f[5];
    float *v;
    if (!test_data("fixtures/tinyvgg_pug/cmp_maps.npy", path)) skip();
    assert_int_equal(why_npy_load_f32(path, &s, &v), WHY_OK);
    int h = (int)s.dim[1], w = (int)s.dim[2];
    for (int i = 0; i < 5; i++)
        assert_int_equal(why_field_make(v + (ptrdiff_t)i * h * w, h, w, NULL, WHY_POSITIVE, &pixel, NULL, &f[i]), WHY_OK);
    for (int i = 0; i < 4; i++)
        for (int m = 0; m < COLUMNS; m++) {
            const double got = measure(find(column[m]), &f[0], &f[i + 1], NULL).value;
            if (!(fabs(got - want[i][m]) < 1e-6)) fail_msg("%s of map %d: got %.9g, want %.9g", column[m], i + 1, got, want[i][m]);
        }
    for (int i = 0; i < 5; i++) why_field_clear(&f[i]);
    free(v);
}

/* Independent random maps: what each metric gives to chance. */
static void random_maps_are_at_the_floor(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double floor;
    } cases[] = {{"pearson", 0}, {"spearman", 0}, {"kendall_tau_b", 0}, {"cosine", 0}, {"ssim", 0}, {"feature_agreement", 0.1},
                 {"sign_agreement", 0.05}, {"rank_agreement", 0.0025}, {"signed_rank_agreement", 0.00125}, {"sign_flip", 0.5},
                 {"topk_iou", 1.0 / 9}};
    enum { SIDE = 20, CELLS = SIDE * SIDE, PAIRS = 60, CASES = sizeof cases / sizeof *cases };
    double sum[CASES] = {0};
    float v[2][CELLS];
    why_rng r = why_rng_at(why_stream_of(8, 8, "floor"), 0);
    for (int pair = 0; pair < PAIRS; pair++) {
        for (int i = 0; i < 2 * CELLS; i++) v[i / CELLS][i % CELLS] = (float)why_rng_normal(&r);
        why_field a = plain(v[0], SIDE, SIDE, NULL), b = plain(v[1], SIDE, SIDE, NULL);
        for (int m = 0; m < CASES; m++) sum[m] += measure(find(cases[m].name), &a, &b, NULL).value / PAIRS;
        why_field_clear(&a);
        why_field_clear(&b);
    }
    for (int m = 0; m < CASES; m++) /* five standard errors of the least steady one */
        if (fabs(sum[m] - cases[m].floor) > 0.035) fail_msg("%s: %.4f by chance, want %.4f", cases[m].name, sum[m], cases[m].floor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_policy_and_grid_as_the_references),
        cmocka_unit_test(ties_make_no_agreement),
        cmocka_unit_test(the_number_of_cells_is_not_off_by_one),
        cmocka_unit_test(undefined_values_have_reasons),
        cmocka_unit_test(five_best_segments_share_ties),
        cmocka_unit_test(masks_of_segments_need_pixels),
        cmocka_unit_test(kendall_counts_every_pair),
        cmocka_unit_test(the_ends_of_the_scales),
        cmocka_unit_test(ranks_of_ties_are_chances),
        cmocka_unit_test(earth_is_moved_the_shortest_way),
        cmocka_unit_test(regions_do_not_swallow_ties),
        cmocka_unit_test(random_maps_are_at_the_floor),
        cmocka_unit_test(order_of_maps_of_real_methods),
        cmocka_unit_test(maps_of_a_published_comparison),
        cmocka_unit_test(maps_of_real_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
