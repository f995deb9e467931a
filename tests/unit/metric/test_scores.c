/* Complexity and localisation: scores of one map that need no forward. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "golden.h"
#include "metric/metrics.h"

/* Localisation asks the subject only for its mask; this stands in for the subject of the explain room. */
static const uint8_t *the_mask;
const uint8_t *why_subject_mask(const why_subject *s) {
    (void)s;
    return the_mask;
}

/* The whole table would bring the real subject in. */
static const why_metric *find(const char *name) {
    static const why_metric *const metrics[] = {
        &why_metric_mask_iou_area,  &why_metric_mask_iou_75,    &why_metric_pointing_game,      &why_metric_relevance_mass,
        &why_metric_relevance_rank, &why_metric_mass_outside,   &why_metric_positive_share,     &why_metric_sparsity,
        &why_metric_gini,           &why_metric_entropy,        &why_metric_effective_complexity};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (strcmp(metrics[i]->name, name) == 0) return metrics[i];
    fail_msg("no metric '%s'", name);
    return NULL;
}

static why_value score(const why_metric *m, float *map, int h, int w, const char *name, const char *text) {
    why_params *p;
    why_value v = {0};
    why_explanation e = {.h = h, .w = w, .map = map};
    why_score_input in = {.explanation = &e};
    assert_int_equal(why_params_create(m->params, &p), WHY_OK);
    if (name) assert_int_equal(why_params_set(p, name, text), WHY_OK);
    assert_int_equal(m->score(&in, p, &v), WHY_OK);
    why_params_destroy(&p);
    return v;
}

struct table {
    float *maps, *masks;
    int undefined;
};

static void check(struct table *t, const char *map, const char *metric, const char *want, why_value got) {
    if (!golden_agrees(want, got.value, got.why, 1e-6))
        fail_msg("map %s %s: got %.9g (%s), want %s", map, metric, got.value, got.why ? got.why : "", want);
    t->undefined += got.why != NULL;
}

static void check_complexity(char *c[GOLDEN_COLUMNS], void *ctx) {
    struct table *t = ctx;
    const why_metric *m = find(c[1]);
    check(t, c[0], c[1], c[2], score(m, t->maps + atoi(c[0]) * GOLDEN_N, GOLDEN_H, GOLDEN_W, NULL, NULL));
}

static void check_localisation(char *c[GOLDEN_COLUMNS], void *ctx) {
    struct table *t = ctx;
    uint8_t mask[GOLDEN_N];
    const why_metric *m = find(c[2]);
    for (int i = 0; i < GOLDEN_N; i++) mask[i] = t->masks[atoi(c[1]) * GOLDEN_N + i] != 0;
    the_mask = mask;
    check(t, c[0], c[2], c[4], score(m, t->maps + atoi(c[0]) * GOLDEN_N, GOLDEN_H, GOLDEN_W, c[3][0] ? "tolerance" : NULL, c[3]));
    the_mask = NULL;
}

static void complexity_as_numpy(void **state) {
    (void)state;
    int count;
    struct table t = {.maps = golden_load("maps.npy", &count)};
    assert_int_equal(golden_rows("complexity.csv", check_complexity, &t), 4 * count);
    assert_int_equal(t.undefined, 4); /* the all-zero map */
    free(t.maps);
}

static void localisation_as_numpy_and_scipy(void **state) {
    (void)state;
    int maps, masks;
    struct table t = {.maps = golden_load("maps.npy", &maps), .masks = golden_load("masks.npy", &masks)};
    assert_int_equal(golden_rows("localisation.csv", check_localisation, &t), maps * masks * 9);
    /* the empty mask; the map without a positive value, the one without any */
    assert_int_equal(t.undefined, maps * 9 + (masks - 1) * (1 + 3));
    free(t.maps);
    free(t.masks);
}

static void gini_of_known_distributions(void **state) {
    (void)state;
    float even[4] = {2, -2, 2, -2}, one[4] = {0, 0, -7, 0}, ramp[4] = {4, 1, 3, 2}, zero[4] = {0};
    assert_true(fabs(score(&why_metric_gini, even, 2, 2, NULL, NULL).value) < 1e-15);
    assert_true(fabs(score(&why_metric_gini, one, 2, 2, NULL, NULL).value - 0.75) < 1e-15);
    assert_true(fabs(score(&why_metric_gini, ramp, 2, 2, NULL, NULL).value - 0.25) < 1e-15);
    assert_string_equal(score(&why_metric_gini, zero, 2, 2, NULL, NULL).why, "all-zero map");
}

static void sparsity_of_known_distributions(void **state) {
    (void)state;
    float even[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, one[10] = {0, 5}, zero[10] = {0};
    assert_true(score(&why_metric_sparsity, even, 2, 5, "mass", "0.5").value == 0.5);
    assert_true(score(&why_metric_sparsity, one, 2, 5, NULL, NULL).value == 0.1);
    assert_true(score(&why_metric_sparsity, even, 2, 5, "mass", "1").value == 1);
    assert_string_equal(score(&why_metric_sparsity, zero, 2, 5, NULL, NULL).why, "all-zero map");
}

/* A model that looks at one known region, explained truly: all that is asked of a map is there. The other way round, nothing. */
static void a_true_map_has_every_point(void **state) {
    (void)state;
    static const char *const full[] = {"mask_iou_area", "pointing_game", "relevance_mass", "relevance_rank", "positive_share"};
    float map[400] = {0}, wrong[400];
    uint8_t mask[400] = {0};
    for (int i = 0; i < 400; i++) {
        mask[i] = i / 20 >= 5 && i / 20 < 10 && i % 20 < 5;
        if (mask[i]) map[i] = 1 + (float)(i % 7);
        wrong[i] = mask[i] ? -1.0f : (float)(i % 5);
    }
    the_mask = mask;
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        const bool pointing = strcmp(full[i], "pointing_game") == 0;
        const why_metric *m = find(full[i]);
        const char *name = pointing ? "tolerance" : NULL;
        if (score(m, map, 20, 20, name, "0").value != 1) fail_msg("%s of the true map", full[i]);
        if (score(m, wrong, 20, 20, name, "0").value != 0) fail_msg("%s of the wrong map", full[i]);
    }
    assert_true(score(&why_metric_mass_outside, map, 20, 20, NULL, NULL).value == 0);
    /* 100 places: the 25 of the object, and 75 shared among the 375 zeros beside it */
    assert_true(fabs(score(&why_metric_mask_iou_75, map, 20, 20, NULL, NULL).value - 25.0 / 100) < 1e-12);
    the_mask = NULL;
}

static void entropy_of_known_distributions(void **state) {
    (void)state;
    float even[4] = {2, -2, 2, -2}, one[4] = {0, 0, -7, 0}, faint[4] = {1, 1e-6f, 2e-5f, 0}, zero[4] = {0};
    assert_true(fabs(score(&why_metric_entropy, even, 2, 2, NULL, NULL).value - log(4)) < 1e-15);
    assert_true(score(&why_metric_entropy, one, 2, 2, NULL, NULL).value == 0);
    assert_string_equal(score(&why_metric_entropy, zero, 2, 2, NULL, NULL).why, "all-zero map");
    assert_true(score(&why_metric_effective_complexity, faint, 2, 2, NULL, NULL).value == 0.5);
    assert_true(score(&why_metric_effective_complexity, faint, 2, 2, "least", "0").value == 0.75);
    assert_string_equal(score(&why_metric_effective_complexity, zero, 2, 2, NULL, NULL).why, "all-zero map");
}

static void masks_may_be_missing(void **state) {
    (void)state;
    float map[4] = {0, 1, 2, 3};
    assert_string_equal(score(&why_metric_pointing_game, map, 2, 2, NULL, NULL).why, "no mask");
    assert_string_equal(score(&why_metric_mask_iou_area, map, 2, 2, NULL, NULL).why, "no mask");
}

/* A 3-4-5 triangle: the object pixel lies exactly 5 away. */
static void the_tolerance_is_a_disc(void **state) {
    (void)state;
    float map[100] = {[0] = 1};
    uint8_t mask[100] = {[3 * 10 + 4] = 255}; /* any value but 0 is object */
    the_mask = mask;
    assert_true(score(&why_metric_pointing_game, map, 10, 10, "tolerance", "5").value == 1);
    assert_true(score(&why_metric_pointing_game, map, 10, 10, "tolerance", "4").value == 0);
    map[3 * 10 + 4] = 1; /* two tied maxima, one hits */
    assert_true(score(&why_metric_pointing_game, map, 10, 10, "tolerance", "4").value == 0.5);
    the_mask = NULL;
}

static void a_constant_map_is_as_good_as_chance(void **state) {
    (void)state;
    float map[100] = {0};
    uint8_t mask[100] = {0};
    for (int i = 0; i < 20; i++) mask[i] = 1;
    the_mask = mask;
    assert_true(score(&why_metric_pointing_game, map, 10, 10, "tolerance", "0").value == 0.2);
    assert_true(fabs(score(&why_metric_mask_iou_area, map, 10, 10, NULL, NULL).value - 4.0 / 36) < 1e-15);
    the_mask = NULL;
}

/* By numpy, from the two maps whose published value (1/N) came from a cumulative sum that was not divided by its total. */
static void sparsity_of_published_maps(void **state) {
    (void)state;
    static const char *const names[] = {"seed003/map_gradcam.npy", "seed003/map_shap.npy"};
    static const double want[] = {0.6749, 0.8726};
    for (int i = 0; i < 2; i++) {
        char path[4096];
        why_shape shape;
        float *v;
        if (!test_data(names[i], path)) skip();
        assert_int_equal(why_npy_load_f32(path, &shape, &v), WHY_OK);
        assert_true(fabs(score(&why_metric_sparsity, v, (int)shape.dim[0], (int)shape.dim[1], NULL, NULL).value - want[i]) < 5e-5);
        free(v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complexity_as_numpy),
        cmocka_unit_test(localisation_as_numpy_and_scipy),
        cmocka_unit_test(gini_of_known_distributions),
        cmocka_unit_test(sparsity_of_known_distributions),
        cmocka_unit_test(a_true_map_has_every_point),
        cmocka_unit_test(entropy_of_known_distributions),
        cmocka_unit_test(masks_may_be_missing),
        cmocka_unit_test(the_tolerance_is_a_disc),
        cmocka_unit_test(a_constant_map_is_as_good_as_chance),
        cmocka_unit_test(sparsity_of_published_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
