/* Scores of a class and their derivatives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "explain/output.h"

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.17g, want %.17g", got, want);
}

static void many_classes(void **state) {
    (void)state;
    const float l[] = {1, 2, -.5f};
    double sum = exp(1) + exp(2) + exp(-.5);
    near(why_score(l, 3, 1, WHY_LOGIT), 2, 0);
    near(why_score(l, 3, 1, WHY_PROBABILITY), exp(2) / sum, 1e-15);
    double p = exp(2) / sum;
    near(why_score(l, 3, 1, WHY_LOG_ODDS), log(p / (1 - p)), 1e-14);
    double total = 0;
    for (int c = 0; c < 3; c++) total += why_score(l, 3, c, WHY_PROBABILITY);
    near(total, 1, 1e-15);
}

/* At p = 1 - 1e-30 the quotient p/(1-p) has lost everything; the log odds are still the difference of logits. */
static void no_cancellation(void **state) {
    (void)state;
    const float l[] = {70, 0, -20}, huge[] = {3e38f, -3e38f};
    near(why_score(l, 3, 0, WHY_LOG_ODDS), 70 - log(1 + exp(-20.0)), 1e-13);
    near(why_score(l, 3, 1, WHY_LOG_ODDS), -70, 1e-13);
    near(why_score(huge, 2, 0, WHY_PROBABILITY), 1, 0);
    near(why_score(huge, 2, 1, WHY_PROBABILITY), 0, 0);
}

static void one_output(void **state) {
    (void)state;
    const float s = 1.5f, far = -800;
    near(why_score(&s, 1, 1, WHY_LOGIT), 1.5, 0);
    near(why_score(&s, 1, 0, WHY_LOGIT), -1.5, 0);
    near(why_score(&s, 1, 1, WHY_PROBABILITY), 1 / (1 + exp(-1.5)), 1e-16);
    near(why_score(&s, 1, 0, WHY_PROBABILITY) + why_score(&s, 1, 1, WHY_PROBABILITY), 1, 1e-16);
    near(why_score(&s, 1, 0, WHY_LOG_ODDS), -1.5, 0);
    near(why_score(&far, 1, 1, WHY_PROBABILITY), 0, 0);
    near(why_score(&far, 1, 0, WHY_PROBABILITY), 1, 0);
}

/* Central differences; steps of 1/64 keep float logits exact. */
static void derivatives_of(const float *logits, int outputs, int class_index, why_output output) {
    float seed[8], moved[8];
    const float h = 1.0f / 64;
    why_score_seed(logits, outputs, class_index, output, seed);
    for (int i = 0; i < outputs; i++) {
        double d[2];
        for (int side = 0; side < 2; side++) {
            memcpy(moved, logits, (size_t)outputs * sizeof *moved);
            moved[i] += side ? h : -h;
            d[side] = why_score(moved, outputs, class_index, output);
        }
        near(seed[i], (d[1] - d[0]) / (2 * (double)h), 2e-4);
    }
}

static void derivatives(void **state) {
    (void)state;
    const float many[] = {.5f, 2, -1, .25f}, one = .75f;
    for (int output = WHY_PROBABILITY; output <= WHY_LOG_ODDS; output++) {
        for (int c = 0; c < 4; c++) derivatives_of(many, 4, c, (why_output)output);
        for (int c = 0; c < 2; c++) derivatives_of(&one, 1, c, (why_output)output);
        for (int c = 0; c < 12; c++)
            if (c / 4 != c % 4) derivatives_of(many, 4, why_contrast(4, c / 4, c % 4), (why_output)output);
        derivatives_of(&one, 1, why_contrast(2, 1, 0), (why_output)output);
    }
}

static void contrasts(void **state) {
    (void)state;
    const float many[] = {.5f, 2, -1, .25f}, one = .75f;
    int a, b;
    for (int i = 0; i < 16; i++) {
        int pair = why_contrast(4, i / 4, i % 4);
        why_contrast_parts(4, pair, &a, &b);
        assert_int_equal(a, i / 4);
        assert_int_equal(b, i % 4);
        for (int o = WHY_PROBABILITY; o <= WHY_LOG_ODDS; o++)
            near(why_score(many, 4, pair, (why_output)o), why_score(many, 4, a, (why_output)o) - why_score(many, 4, b, (why_output)o), 0);
    }
    near(why_score(&one, 1, why_contrast(2, 1, 0), WHY_LOGIT), 1.5, 0);
    why_contrast_parts(4, 3, &a, &b);
    assert_int_equal(a, 3);
    assert_int_equal(b, -1);
    assert_true(why_contrast(21841, 21840, 21839) > 0); /* ImageNet-21k */
    assert_int_equal(why_contrast(50000, 0, 1), -1);
}

static void all_at_once(void **state) {
    (void)state;
    const float sets[][4] = {{.5f, 2, -1, .25f}, {70, 0, -20, 1}, {-70, -70, -70, -70}}, one = .75f;
    double got[4];
    for (int o = WHY_PROBABILITY; o <= WHY_LOG_ODDS; o++) {
        for (int i = 0; i < 3; i++) {
            why_scores(sets[i], 4, (why_output)o, got);
            for (int c = 0; c < 4; c++) near(got[c], why_score(sets[i], 4, c, (why_output)o), 1e-13 * fmax(1, fabs(got[c])));
        }
        why_scores(&one, 1, (why_output)o, got);
        near(got[0], why_score(&one, 1, 1, (why_output)o), 0);
    }
}

static void names(void **state) {
    (void)state;
    why_output o;
    for (int i = WHY_PROBABILITY; i <= WHY_LOG_ODDS; i++) {
        assert_int_equal(why_output_parse(why_output_name((why_output)i), &o), WHY_OK);
        assert_int_equal(o, i);
    }
    assert_int_equal(why_output_parse("prob", &o), WHY_EARG);
    assert_string_equal(why_error_text(), "output: got 'prob', want probability, logit or log_odds");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_classes), cmocka_unit_test(no_cancellation), cmocka_unit_test(one_output),
        cmocka_unit_test(derivatives),  cmocka_unit_test(contrasts),       cmocka_unit_test(all_at_once),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
