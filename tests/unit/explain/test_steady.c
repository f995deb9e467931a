/* Standard errors, early ends, budget prefixes, balanced and shared draws: what sampled explainers promise about themselves. */
#include "scene.h"

#include "explain/coalitions.h"
#include "explain/masks.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE, TARGET = 1 };
#define GRID "segmenter", "grid(3,4)"

/* Under another stream than scene_explain's. */
static why_explanation explain_as(const scene *s, const char *explainer, const char *const *settings, const char *use, int repeat) {
    const why_explainer *x = why_explainer_find(explainer);
    why_explanation e;
    why_params *p;
    TRY(why_params_create(x->params, &p));
    for (; settings[0]; settings += 2) TRY(why_params_set(p, settings[0], settings[1]));
    TRY(why_explanation_create(SIDE, SIDE, &e));
    TRY(x->explain(&(why_request){s->subject, TARGET, x->output, p, why_subject_stream(s->subject, use), repeat}, &e));
    why_params_destroy(&p);
    return e;
}

/* ---------------------------------------------------------------- balanced masks */
/* Every block of N pairs: columns orthogonal, complements side by side; another length is a prefix. */
static void balanced_masks(void **state) {
    (void)state;
    static const struct { int k, order; } sizes[] = {{1, 1}, {2, 2}, {3, 4}, {12, 12}, {13, 16}, {20, 20}, {35, 40}, {42, 44}, {65, 68}, {130, 132}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        why_masks m, shorter;
        const int k = sizes[s].k, n = 1 + 2 * 2 * sizes[s].order;
        TRY(why_masks_balanced((why_stream){5}, n, k, &m));
        TRY(why_masks_balanced((why_stream){5}, n / 3, k, &shorter));
        assert_memory_equal(m.bits, shorter.bits, (size_t)shorter.n * m.words * sizeof *m.bits);
        assert_int_equal(why_masks_count(&m, 0), k);
        for (int i = 1; i < n; i += 2) assert_int_equal(why_masks_count(&m, i) + why_masks_count(&m, i + 1), k);
        for (int a = 0; a < k; a++)
            for (int b = 0; b < a; b++)
                for (int block = 0; block < 2; block++) {
                    int same = 0;
                    for (int i = 1 + 2 * sizes[s].order * block; i < 1 + 2 * sizes[s].order * (block + 1); i++)
                        same += why_masks_bit(&m, i, a) == why_masks_bit(&m, i, b);
                    assert_int_equal(same, sizes[s].order);
                }
        why_masks_clear(&m);
        why_masks_clear(&shorter);
    }
}

/* Any one mask is a fair coin for each segment: pairs and triples of segments are on together as often as they should. */
static void balanced_masks_are_fair(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    for (int row = 1; row < 30; row += 7) {
        int triple = 0, single = 0;
        for (uint64_t d = 0; d < DRAWS; d++) {
            why_masks m;
            TRY(why_masks_balanced((why_stream){d}, 32, 11, &m));
            single += why_masks_bit(&m, row, 3);
            triple += why_masks_bit(&m, row, 0) && why_masks_bit(&m, row, 4) && why_masks_bit(&m, row, 10);
            why_masks_clear(&m);
        }
        assert_true(fabs(single - DRAWS / 2.0) < 4.5 * sqrt(DRAWS / 4.0));
        assert_true(fabs(triple - DRAWS / 8.0) < 4.5 * sqrt(DRAWS * 7 / 64.0));
    }
}

/* ---------------------------------------------------------------- LIME's target */
enum { PLAYERS = 12, ALL = 1 << PLAYERS };

/* LIME's answer for infinitely many samples, scaled to n of them: all masks at their probability, and the full one once. */
static void exact_lime(const scene *s, int n, double *coef) {
    const why_segments *segments;
    const why_fill *fill;
    float logits[ALL / 64 * 8];
    double *normal = calloc((PLAYERS + 1) * (PLAYERS + 2), sizeof *normal);
    TRY(why_subject_segments(s->subject, "grid(3,4)", &segments));
    TRY(why_evaluator_fill(s->ev, "segment_mean", segments, &fill));
    for (int at = 0; at < ALL; at += 64) {
        why_perturbation p[64];
        uint64_t on[64];
        for (int i = 0; i < 64; i++) {
            on[i] = (uint64_t)(at + i);
            p[i] = (why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {segments, &on[i]}};
        }
        TRY(why_evaluator_run(s->ev, p, 64, logits));
        for (int i = 0; i < 64; i++) {
            const double d = 1 - sqrt(__builtin_popcountll(on[i]) / (double)PLAYERS), y = why_score(logits + i * scene_outputs(s), scene_outputs(s), TARGET, WHY_PROBABILITY);
            const double w = sqrt(exp(-d * d / 0.0625)) * ((n - 1.0) / ALL + (at + i == ALL - 1));
            double x[PLAYERS + 2] = {1};
            for (int k = 0; k < PLAYERS; k++) x[k + 1] = on[i] >> k & 1;
            x[PLAYERS + 1] = y;
            for (int a = 0; a <= PLAYERS; a++)
                for (int b = 0; b < PLAYERS + 2; b++) normal[a * (PLAYERS + 2) + b] += w * x[a] * x[b];
        }
    }
    for (int a = 1; a <= PLAYERS; a++) normal[a * (PLAYERS + 2) + a] += 1; /* ridge */
    for (int a = 0; a <= PLAYERS; a++)                                      /* Gauss-Jordan */
        for (int r = 0; r <= PLAYERS; r++) {
            const double f = normal[r * (PLAYERS + 2) + a] / normal[a * (PLAYERS + 2) + a];
            for (int b = 0; r != a && b < PLAYERS + 2; b++) normal[r * (PLAYERS + 2) + b] -= f * normal[a * (PLAYERS + 2) + b];
        }
    for (int k = 0; k < PLAYERS; k++) coef[k] = normal[(k + 1) * (PLAYERS + 2) + PLAYERS + 1] / normal[(k + 1) * (PLAYERS + 2) + k + 1];
    free(normal);
}

typedef struct quality {
    double bias, rmse, claimed, seen; /* over the segments: largest |mean - truth| in its own standard errors; root mean squares */
} quality;

static quality quality_of(const scene *s, const char *explainer, const char *const *settings, const double *truth, int repeats) {
    double sum[PLAYERS] = {0}, squares[PLAYERS] = {0}, variance = 0, error = 0;
    quality q = {0};
    for (int i = 0; i < repeats; i++) {
        char use[32];
        double phi[PLAYERS];
        snprintf(use, sizeof use, "draw %d", i);
        why_explanation e = explain_as(s, explainer, settings, use, i);
        double se[PLAYERS];
        assert_int_equal(e.segments->n, PLAYERS);
        for (int k = 0; k < PIXELS; k++) phi[e.segments->label[k]] = e.map[k], se[e.segments->label[k]] = e.se[k];
        for (int k = 0; k < PLAYERS; k++) {
            sum[k] += phi[k];
            squares[k] += phi[k] * phi[k];
            variance += se[k] * se[k] / repeats / PLAYERS;
            error += (phi[k] - truth[k]) * (phi[k] - truth[k]) / repeats / PLAYERS;
        }
        why_explanation_clear(&e);
    }
    for (int k = 0; k < PLAYERS; k++) {
        const double mean = sum[k] / repeats, v = (squares[k] / repeats - mean * mean) * repeats / (repeats - 1);
        q.seen += v / PLAYERS;
        q.bias = fmax(q.bias, fabs(mean - truth[k]) / sqrt(v / repeats));
    }
    q.claimed = sqrt(variance);
    q.seen = sqrt(q.seen);
    q.rmse = sqrt(error);
    return q;
}

/* Standard errors are what repeats spread (root mean squares over segments, within a quarter), every draw of LIME aims at the
 * same values, every draw of Kernel SHAP at the exact ones, and a steadier draw comes nearer. */
static void draws_aim_right(void **state) {
    (void)state;
    static const struct {
        const char *name, *explainer, *settings[12];
        int worse; /* the case before which this one must come nearer, by index; -1: none */
    } cases[] = {
        {"lime, independent", "lime", {GRID, "samples", "200", "sampling", "independent"}, -1},
        {"lime, balanced", "lime", {GRID, "samples", "200"}, 0},
        {"lime, shared", "lime", {GRID, "samples", "600", "coalitions", "shared"}, -1},
        {"shap_kernel, shap", "shap_kernel", {GRID, "evaluations", "400"}, -1},
        {"shap_kernel, tight", "shap_kernel", {GRID, "evaluations", "400", "sampling", "tight"}, 3},
        {"shap_kernel, shared", "shap_kernel", {GRID, "evaluations", "400", "coalitions", "shared"}, -1},
        {"shap_permutation", "shap_permutation", {GRID, "evaluations", "400"}, -1},
    };
    enum { REPEATS = 120, CASES = sizeof cases / sizeof *cases };
    scene s;
    double lime[2][PLAYERS], shap[PLAYERS];
    quality q[CASES];
    scene_open(&s, 16, 1);
    exact_lime(&s, 200, lime[0]);
    exact_lime(&s, 600, lime[1]);
    why_explanation e = scene_explain(&s, "shap_exact", TARGET, NULL);
    for (int k = 0; k < PIXELS; k++) shap[e.segments->label[k]] = e.map[k];
    why_explanation_clear(&e);
    for (int i = 0; i < CASES; i++) {
        const double *truth = i < 2 ? lime[0] : i == 2 ? lime[1] : shap;
        q[i] = quality_of(&s, cases[i].explainer, cases[i].settings, truth, REPEATS);
        printf("  %-22s RMSE %.5f, standard error claimed %.5f, seen %.5f, bias %.1f of its own errors\n", cases[i].name, q[i].rmse,
               q[i].claimed, q[i].seen, q[i].bias);
    }
    for (int i = 0; i < CASES; i++) {
        assert_true(q[i].claimed > q[i].seen / 1.25 && q[i].claimed < q[i].seen * 1.25);
        assert_true(q[i].bias < 4);
        if (cases[i].worse >= 0) assert_true(1.05 * q[i].rmse < q[cases[i].worse].rmse);
    }
    scene_close(&s);
}

/* ---------------------------------------------------------------- budgets */
/* A smaller budget over the scores of a larger one is what it would be alone, and scores nothing new. */
static void smaller_budgets(void **state) {
    (void)state;
    static const struct {
        const char *explainer, *budget, *full, *less, *settings[6];
        bool subset;
    } cases[] = {
        {"lime", "samples", "300", "97", {GRID}, true},
        {"lime", "samples", "300", "98", {GRID, "coalitions", "shared"}, true},
        {"shap_permutation", "evaluations", "500", "175", {GRID}, true},
        {"shap_kernel", "evaluations", "800", "250", {GRID, "sampling", "tight"}, true},
        {"shap_kernel", "evaluations", "800", "252", {GRID, "coalitions", "shared"}, true},
        {"shap_kernel", "evaluations", "800", "250", {GRID}, false},
        {"shap_partition", "evaluations", "200", "85", {NULL}, true},
        {"rise", "samples", "150", "70", {NULL}, true},
    };
    scene s, alone;
    scene_open(&alone, 16, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *full[10] = {cases[i].budget, cases[i].full}, *less[10] = {cases[i].budget, cases[i].less};
        for (int k = 0; k < 6; k++) full[2 + k] = less[2 + k] = cases[i].settings[k];
        scene_open(&s, 16, 1);
        why_explanation a = scene_explain(&s, cases[i].explainer, TARGET, full);
        const int64_t forwards = why_evaluator_forwards(s.ev);
        why_explanation b = scene_explain(&s, cases[i].explainer, TARGET, less), c = scene_explain(&alone, cases[i].explainer, TARGET, less);
        assert_memory_equal(b.map, c.map, PIXELS * sizeof *b.map);
        assert_memory_not_equal(a.map, b.map, PIXELS * sizeof *b.map);
        assert_true(b.evaluations == c.evaluations && b.evaluations < a.evaluations);
        assert_int_equal(why_evaluator_forwards(s.ev) == forwards, cases[i].subset);
        why_explanation_clear(&a);
        why_explanation_clear(&b);
        why_explanation_clear(&c);
        scene_close(&s);
    }
    scene_close(&alone);
}

/* The tight coalitions of every budget are among those of every larger one. */
static void tight_is_nested(void **state) {
    (void)state;
    for (int players = 2; players <= 13; players++) {
        why_coalitions c, last = {0};
        const int most = why_coalitions_most(players) < 900 ? why_coalitions_most(players) : 900;
        for (int budget = 2; budget <= most; budget += 2) {
            TRY(why_coalitions_tight((why_stream){9}, players, budget, &c));
            assert_int_equal(c.masks.n, budget);
            for (int i = 0; i < last.masks.n; i++) {
                int k = 0;
                while (k < budget && memcmp(why_masks_row(&last.masks, i), why_masks_row(&c.masks, k), c.masks.words * sizeof(uint64_t)) != 0) k++;
                assert_true(k < budget);
            }
            why_coalitions_clear(&last);
            last = c;
        }
        why_coalitions_clear(&last);
    }
}

static void kinds_of_budgets(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"coalitions", "own", "replanned"}, {"sampling", "tight", "nested"}, {"coalitions", "shared", "prefix"}};
    const why_explainer *x = why_explainer_find("shap_kernel");
    for (int i = 0; i < 3; i++) {
        why_params *p;
        TRY(why_params_create(x->params, &p));
        TRY(why_params_set(p, cases[i][0], cases[i][1]));
        assert_string_equal(x->budget_kind(p), cases[i][2]);
        why_params_destroy(&p);
    }
    assert_null(why_explainer_find("lime")->budget_kind); /* a prefix */
}

/* ---------------------------------------------------------------- until */
/* Ends below its bound, with the map of a budget that is what it used; the same on another machine; says why. */
static void until_precise(void **state) {
    (void)state;
    static const struct {
        const char *explainer, *budget, *most, *bound, *settings[6];
    } cases[] = {
        {"lime", "samples", "4000", ".08", {GRID}},
        {"lime", "samples", "4000", ".1", {GRID, "coalitions", "shared"}},
        {"shap_permutation", "evaluations", "4000", ".1", {GRID}},
        {"shap_kernel", "evaluations", "4000", ".05", {GRID, "sampling", "tight"}},
        {"shap_kernel", "evaluations", "2000", ".1", {GRID, "coalitions", "shared"}},
        {"shap_kernel", "evaluations", "2000", ".1", {GRID}},
        {"rise", "samples", "900", "1", {NULL}},
    };
    scene s, t;
    scene_open(&s, 1, 1);
    scene_open(&t, 16, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char used[32];
        const char *until[12] = {cases[i].budget, cases[i].most, "until_se_range", cases[i].bound}, *fixed[10] = {cases[i].budget, used};
        for (int k = 0; k < 6; k++) until[4 + k] = fixed[2 + k] = cases[i].settings[k];
        why_explanation a = scene_explain(&s, cases[i].explainer, TARGET, until), b = scene_explain(&t, cases[i].explainer, TARGET, until);
        printf("  %-18s %s: %lld of %s, se_range %.3f\n", cases[i].explainer, cases[i].bound, (long long)a.evaluations, cases[i].most, a.se_range);
        assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
        assert_memory_equal(a.se, b.se, PIXELS * sizeof *a.se);
        assert_true(a.evaluations == b.evaluations && a.se_range == b.se_range);
        assert_string_equal(a.stop, "se_range");
        assert_true(a.se_range <= strtod(cases[i].bound, NULL) && a.evaluations < atoi(cases[i].most));
        snprintf(used, sizeof used, "%lld", (long long)a.evaluations);
        why_explanation c = scene_explain(&s, cases[i].explainer, TARGET, fixed);
        assert_null(c.stop);
        if (i != 5) assert_memory_equal(a.map, c.map, PIXELS * sizeof *a.map); /* shap's plans of other budgets cost extra */
        why_explanation_clear(&a);
        why_explanation_clear(&b);
        why_explanation_clear(&c);
    }
    scene_close(&s);
    scene_close(&t);
}

static void until_the_budget(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    why_explanation a = scene_explain(&s, "lime", TARGET, SETTINGS(GRID, "samples", "90", "until_se_range", ".0001"));
    why_explanation b = scene_explain(&s, "lime", TARGET, SETTINGS(GRID, "samples", "90"));
    assert_string_equal(a.stop, "budget");
    assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
    assert_int_equal(a.evaluations, 90);
    assert_true(a.se_range > .0001);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    scene_close(&s);
}

/* ---------------------------------------------------------------- shared coalitions */
/* LIME and Kernel SHAP over one set of evaluations: the second costs none, or what its budget is larger. */
static void shared_evaluations(void **state) {
    (void)state;
    static const char *const lime[] = {GRID, "fill", "mean", "coalitions", "shared", "samples", "300", NULL};
    static const char *const kernel[] = {GRID, "fill", "mean", "coalitions", "shared", "evaluations", "300", NULL};
    static const char *const more[] = {GRID, "fill", "mean", "coalitions", "shared", "evaluations", "350", NULL};
    scene s;
    scene_open(&s, 16, 1);
    why_explanation a = scene_explain(&s, "lime", TARGET, lime);
    const int64_t first = why_evaluator_forwards(s.ev);
    why_explanation b = explain_as(&s, "shap_kernel", kernel, "another stream", 0);
    assert_int_equal(why_evaluator_forwards(s.ev), first);
    why_explanation c = explain_as(&s, "shap_kernel", more, "another stream", 0);
    assert_in_range(why_evaluator_forwards(s.ev) - first, 20, 50);
    why_explanation d = explain_as(&s, "shap_kernel", kernel, "another stream", 1); /* a repeat draws anew */
    assert_memory_not_equal(b.map, d.map, PIXELS * sizeof *b.map);
    printf("  of 300 shared evaluations LIME has %.0f effective ones, Kernel SHAP %.0f\n", a.ess, b.ess);
    assert_true(a.ess > 60 && a.ess < 298 && b.ess > 200 && b.ess < 298);
    assert_true(fabs(b.residual) < 1e-9);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    why_explanation_clear(&c);
    why_explanation_clear(&d);
    scene_close(&s);
}

/* Sizes are uniform, and so is a segment's share; every set is followed by its complement. */
static void shared_draws(void **state) {
    (void)state;
    enum { K = 9, N = 8000 };
    int sizes[K] = {0}, shown[K] = {0};
    why_masks m;
    TRY(why_masks_create(N, K, &m));
    TRY(why_masks_by_size((why_stream){3}, 0, &m));
    for (int i = 0; i < N; i++) {
        sizes[why_masks_count(&m, i)]++;
        for (int k = 0; k < K; k++) shown[k] += why_masks_bit(&m, i, k);
        if (i % 2) assert_int_equal(m.bits[i] ^ m.bits[i - 1], (1 << K) - 1);
    }
    for (int k = 0; k < K; k++) assert_int_equal(shown[k], N / 2);
    assert_int_equal(sizes[0], 0);
    for (int k = 1; k < K; k++) assert_int_equal(sizes[k], N / (K - 1));
    why_masks_clear(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balanced_masks),    cmocka_unit_test(balanced_masks_are_fair), cmocka_unit_test(draws_aim_right),
        cmocka_unit_test(smaller_budgets),   cmocka_unit_test(tight_is_nested),         cmocka_unit_test(kinds_of_budgets),
        cmocka_unit_test(until_precise),     cmocka_unit_test(until_the_budget),        cmocka_unit_test(shared_evaluations),
        cmocka_unit_test(shared_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
