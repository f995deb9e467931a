/* Sets of metrics in job files. */
#include "job_files.h"

#include "run/job.h"
#include "run/plan.h"

static why_job read_job(why_arena **arena, const char *text) {
    why_job job = {0};
    OK(why_arena_create(1 << 16, arena));
    job.arena = *arena;
    OK(why_job_read(&job, extend_base(text)));
    return job;
}

static void close_job(why_job *job, why_arena **arena) {
    why_job_clear(job);
    why_arena_destroy(arena);
}

static int setup(void **state) {
    (void)state;
    write_base_job();
    return 0;
}

static int count(const why_job_metric *m, int n, const char *name) {
    int found = 0;
    for (int i = 0; i < n; i++) found += strcmp(m[i].metric->name, name) == 0;
    return found;
}

/* Each section takes the set's metrics of its kind, with the parameters that the set gives. */
static void a_set_stands_for_its_metrics(void **state) {
    (void)state;
    why_arena *arena;
    why_job job = read_job(&arena, "agreement: {metrics: [seed001]}\nscores: [seed004]\n");
    assert_int_equal(job.n_agreement, 5);
    assert_int_equal(count(job.agreement, job.n_agreement, "topk_iou"), 4);
    assert_float_equal(why_params_real(job.agreement[1].params, "area"), 0.05, 0);
    assert_int_equal(job.n_scores, 9);
    assert_int_equal(count(job.scores, job.n_scores, "road"), 3);
    close_job(&job, &arena);
}

/* Sets may overlap, with each other and with what is named before them. */
static void sets_add_what_is_not_there(void **state) {
    (void)state;
    why_arena *arena;
    why_job job = read_job(&arena, "agreement: {metrics: [{topk_iou: 0.2}, quick, seed000]}\n"
                                   "scores: [gini, {deletion: {first: least}}, all]\n");
    assert_int_equal(count(job.agreement, job.n_agreement, "topk_iou"), 2);
    assert_int_equal(count(job.agreement, job.n_agreement, "pearson"), 1);
    assert_int_equal(count(job.agreement, job.n_agreement, "soft_iou_mean"), 1);
    assert_int_equal(count(job.scores, job.n_scores, "gini"), 1);
    assert_int_equal(count(job.scores, job.n_scores, "deletion"), 2);
    close_job(&job, &arena);
}

static void a_set_then_its_metric_is_twice(void **state) {
    (void)state;
    why_plan *plan;
    assert_int_equal(why_plan_create(extend_base("scores: [quick, gini]\n"), &plan), WHY_EJOB);
    assert_non_null(strstr(why_error_text(), "'gini' is given twice with the same parameters"));
    assert_int_equal(why_plan_create(extend_base("scores: [seed0000]\n"), &plan), WHY_EJOB);
    assert_non_null(strstr(why_error_text(), "did you mean 'seed000'?"));
}

/* Everything that there is, planned: one row per pair metric, policy and grid where it is defined. */
static void all_of_it_can_be_planned(void **state) {
    (void)state;
    why_plan *plan;
    int pairs = 0, scores = 0;
    OK(why_plan_create(extend_base("agreement: {policies: [positive, signed], grids: [pixel, segments], metrics: [all]}\n"
                                   "scores: [all]\nfills: [mean, blur]\n"),
                       &plan));
    for (int i = 0; i < plan->n_metrics; i++) {
        const why_plan_metric *m = &plan->metrics[i];
        if (m->metric->kind == WHY_PAIR) assert_true(why_metric_suits(m->metric, m->policy, &m->grid));
        pairs += m->metric->kind == WHY_PAIR;
        scores += m->metric->kind == WHY_SCORE;
    }
    assert_true(pairs > 60 && scores > 40);
    why_plan_destroy(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_stands_for_its_metrics),
        cmocka_unit_test(sets_add_what_is_not_there),
        cmocka_unit_test(a_set_then_its_metric_is_twice),
        cmocka_unit_test(all_of_it_can_be_planned),
    };
    return cmocka_run_group_tests(tests, setup, remove_dir);
}
