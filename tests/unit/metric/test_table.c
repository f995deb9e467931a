/* The table as job files, plans and the database read it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "whypix/metric.h"

static void every_line_is_complete(void **state) {
    (void)state;
    for (const why_metric *const *i = why_metrics; *i; i++) {
        const why_metric *m = *i;
        assert_true(m->name[0] && m->help[0] && m->source[0]);
        assert_ptr_equal(why_metric_find(m->name), m); /* so names are unique */
        assert_true((m->kind == WHY_PAIR) == (m->pair != NULL));
        assert_true((m->kind == WHY_SCORE) == (m->score != NULL));
        assert_true(m->lo <= m->hi);
        assert_true(((m->flags & WHY_METRIC_FILL) != 0) == (m->fill != NULL));
        assert_true(!(m->flags & WHY_METRIC_CURVE) || m->evaluations);
        assert_true(m->kind == WHY_SCORE || m->better == WHY_BETTER_NONE); /* to agree is not to be right */
    }
}

static void parameters_and_fills_are_valid(void **state) {
    (void)state;
    for (const why_metric *const *i = why_metrics; *i; i++) {
        why_params *p;
        char *fill;
        if (why_params_create((*i)->params, &p)) fail_msg("%s: %s", (*i)->name, why_error_text());
        assert_true(!(*i)->list || why_params_has(p, (*i)->list));
        why_params_destroy(&p);
        if (!(*i)->fill) continue;
        if (why_fill_canonical((*i)->fill, &fill)) fail_msg("%s: %s", (*i)->name, why_error_text());
        assert_string_equal(fill, (*i)->fill); /* the default is canonical already */
        free(fill);
    }
}

static void the_names_that_jobs_use(void **state) {
    (void)state;
    static const char *const names[] = {
        "pearson", "spearman", "soft_iou", "soft_iou_mean", "mask_iou", "topk_iou", "kendall_tau_b", "cosine", "ssim",
        "feature_agreement", "sign_agreement", "rank_agreement", "signed_rank_agreement", "pairwise_rank_agreement", "rbo", "emd",
        "within_region", "sign_flip", "deletion", "insertion", "average_drop", "increase", "sparsity", "gini", "mask_iou_area",
        "mask_iou_75", "pointing_game", "relevance_mass", "relevance_rank", "mass_outside", "positive_share", "entropy",
        "effective_complexity", "monotonicity", "aopc", "aopc_fractions", "road", "irof", "average_gain", "average_drop_s",
        "increase_s", "faithfulness_correlation", "mu_fidelity", "infidelity", "completeness", "max_sensitivity",
        "avg_sensitivity", "rotation_agreement", "shift_agreement", "brightness_agreement", "noise_agreement", "random_logit"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!why_metric_find(names[i])) fail_msg("no metric '%s'", names[i]);
    assert_null(why_metric_find("pears"));
    assert_null(why_metric_find(""));
}

static void curves_say_what_they_cost(void **state) {
    (void)state;
    why_params *p;
    assert_int_equal(why_params_create(why_metric_find("deletion")->params, &p), WHY_OK);
    assert_int_equal(why_metric_find("deletion")->evaluations(p, 224, 224), 225);
    assert_int_equal(why_params_set(p, "step", "1000"), WHY_OK);
    assert_int_equal(why_metric_find("insertion")->evaluations(p, 224, 224), 52); /* 51 steps, the last one shorter */
    why_params_destroy(&p);
}

static void pair_metrics_know_their_policies_and_grids(void **state) {
    (void)state;
    const why_grid pixel = {.kind = WHY_GRID_PIXEL}, cells = {.kind = WHY_GRID_CELLS, .rows = 7, .cols = 7};
    const why_grid segments = {.kind = WHY_GRID_SEGMENTS};
    assert_true(why_metric_suits(why_metric_find("pearson"), WHY_SIGNED, &segments));
    assert_true(why_metric_suits(why_metric_find("soft_iou"), WHY_POSITIVE, &cells));
    assert_false(why_metric_suits(why_metric_find("soft_iou"), WHY_SIGNED, &cells));
    assert_true(why_metric_suits(why_metric_find("sign_flip"), WHY_SIGNED, &segments));
    assert_false(why_metric_suits(why_metric_find("sign_flip"), WHY_ABSOLUTE, &pixel));
    assert_true(why_metric_suits(why_metric_find("ssim"), WHY_SIGNED, &cells));
    assert_false(why_metric_suits(why_metric_find("ssim"), WHY_SIGNED, &segments));
    assert_false(why_metric_suits(why_metric_find("emd"), WHY_POSITIVE, &cells));
}

static void the_better_end_follows_the_first(void **state) {
    (void)state;
    const why_metric *m = why_metric_find("deletion");
    why_params *p;
    assert_int_equal(why_params_create(m->params, &p), WHY_OK);
    assert_int_equal(why_metric_better(m, p), WHY_BETTER_LOW);
    assert_int_equal(why_params_set(p, "first", "least"), WHY_OK);
    assert_int_equal(why_metric_better(m, p), WHY_BETTER_HIGH);
    assert_int_equal(why_metric_better(why_metric_find("gini"), NULL), WHY_BETTER_HIGH);
    why_params_destroy(&p);
}

/* Every item names a metric and parameters it has; the set `all` has every metric. */
static void sets_name_metrics(void **state) {
    (void)state;
    for (const why_metric_set *s = why_metric_sets; s->name; s++) {
        assert_ptr_equal(why_metric_set_find(s->name), s);
        assert_null(why_metric_find(s->name)); /* else a job could not say which is meant */
        for (const char *const *item = s->items; *item; item++) {
            char *name;
            why_params *p;
            assert_int_equal(why_call_name(*item, &name), WHY_OK);
            if (!why_metric_find(name)) fail_msg("set '%s': no metric '%s'", s->name, name);
            if (why_call_params(*item, why_metric_find(name)->params, &p)) fail_msg("%s: %s", *item, why_error_text());
            why_params_destroy(&p);
            free(name);
        }
    }
    assert_null(why_metric_set_find("seed005"));
}

static void the_set_of_all_is_complete(void **state) {
    (void)state;
    for (const why_metric *const *m = why_metrics; *m; m++) {
        const size_t n = strlen((*m)->name);
        bool there = false;
        for (const char *const *item = why_metric_set_find("all")->items; *item; item++)
            there |= strncmp(*item, (*m)->name, n) == 0 && ((*item)[n] == 0 || (*item)[n] == '(');
        if (!there) fail_msg("set 'all' lacks '%s'", (*m)->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_complete),
        cmocka_unit_test(parameters_and_fills_are_valid),
        cmocka_unit_test(the_names_that_jobs_use),
        cmocka_unit_test(pair_metrics_know_their_policies_and_grids),
        cmocka_unit_test(the_better_end_follows_the_first),
        cmocka_unit_test(sets_name_metrics),
        cmocka_unit_test(the_set_of_all_is_complete),
        cmocka_unit_test(curves_say_what_they_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
