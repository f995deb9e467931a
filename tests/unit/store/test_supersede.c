/* Re-runs: precisely the selected rows are replaced, the old ones are kept, the summaries stay exact. */
#include "fixture.h"

enum { IMAGES = 20 };

static why_store *filled(char path[4096], const char *name) {
    why_store *s;
    temp_path(path, name);
    OK(why_store_open(path, &s));
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    apply_images(s, 1, IMAGES, CELLS_PER_MODEL);
    return s;
}

static int64_t choose(why_store *s, why_selection which) {
    int64_t n;
    OK(why_store_select(s, &which, &n));
    return n;
}

/* The record of an image as run 2 would send it. */
static void apply_again(why_store *s, why_buf b) {
    OK(why_store_apply(s, 2, 2, 1, b.data, b.size));
    why_buf_clear(&b);
}

static void again(why_store *s, why_buf b) {
    OK(why_store_begin(s));
    apply_again(s, b);
    OK(why_store_commit(s));
    OK(why_store_check_summary(s));
}

/* `shift` makes every score of the record another one, so that each summary must move. */
static why_buf other_record(int64_t image, double shift) {
    why_buf old = make_record(image, CELLS_PER_MODEL), b = {0};
    size_t at = 0;
    bool more = true;
    for (why_row row;;) {
        OK(why_record_next(old.data, old.size, &at, &row, &more));
        if (!more) break;
        if (row.type == WHY_ROW_SCORE && !isnan(row.u.score.value)) row.u.score.value += shift;
        why_record_put(&b, &row);
    }
    why_record_finish(&b);
    why_buf_clear(&old);
    return b;
}

static void equal_results_leave_equal_tables(void **state) {
    (void)state;
    char path[4096];
    why_store *s = filled(path, "equal");
    char *before = dump(s), *after;
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_IMAGE, .image = "pictures/007.png"}), CELLS);
    again(s, make_record(7, CELLS_PER_MODEL));
    after = dump(s);
    assert_string_equal(before, after);
    assert_answer(s, "SELECT count(*), min(explanation_id >> 16), max(explanation_id >> 16), max(attempt), min(run_id), max(run_id), max(replaced_by) FROM superseded",
                  "12|7|7|1|1|1|2\n");
    /* LIME of the first model is in five pairs with two metrics; the old rows read back to the last digit */
    assert_answer(s, "SELECT row->>'status', json_array_length(row->'scores'), json_array_length(row->'curves'), json_array_length(row->'pairs'),"
                     " row->>'timings[0].wall', length(row->>'thumb') FROM superseded WHERE explanation_id & 65535 = 1", "done|3|3|10|0.25|1568\n");
    assert_answer(s, "SELECT count(*) FROM superseded o, json_each(o.row->'scores') j JOIN score n ON n.explanation_id = o.explanation_id"
                     " AND n.metric_id = j.value->>'metric_id' AND n.value IS j.value->>'value' AND n.why IS j.value->>'why'", "36\n");
    assert_answer(s, "SELECT count(*) FROM timing WHERE run_id = 2", "12\n");
    free(before);
    free(after);
    why_store_close(&s);
    unlink(path);
}

static void summaries_follow_the_new_values(void **state) {
    (void)state;
    char path[4096];
    why_store *s = filled(path, "follow");
    for (int64_t image = 1; image <= IMAGES; image++) { /* among them every smallest and every largest value */
        char picture[32];
        snprintf(picture, sizeof picture, "pictures/%03d.png", (int)image);
        choose(s, (why_selection){.kind = WHY_SELECT_IMAGE, .image = picture});
        again(s, other_record(image, image % 2 ? -0.01 * (double)image : 0.02));
    }
    assert_answer(s, "SELECT count(*), count(DISTINCT explanation_id) FROM superseded", "240|240\n");
    why_store_close(&s);
    unlink(path);
}

static void a_result_that_is_lost_leaves_the_summaries(void **state) {
    (void)state;
    char path_a[4096], path_b[4096];
    why_store *a, *b;
    temp_path(path_a, "lost-a");
    temp_path(path_b, "lost-b");
    OK(why_store_open(path_a, &a));
    OK(why_store_open(path_b, &b));
    put_plan(a, 2, CELLS_PER_MODEL);
    put_plan(b, 2, CELLS_PER_MODEL);
    apply_images(a, 1, 1, CELLS_PER_MODEL);
    choose(a, (why_selection){.kind = WHY_SELECT_IMAGE, .image = "pictures/001.png"});
    again(a, make_failure(1, CELLS_PER_MODEL)); /* the only values of every summary are gone */
    assert_answer(a, "SELECT count(*) FROM summary", "0\n");
    assert_answer(a, "SELECT count(*) FROM score UNION ALL SELECT count(*) FROM pair UNION ALL SELECT count(*) FROM curve UNION ALL SELECT count(*) FROM timing", "0\n0\n0\n0\n");
    assert_int_equal(choose(a, (why_selection){.kind = WHY_SELECT_FAILED}), CELLS);
    again(a, make_record(1, CELLS_PER_MODEL));
    apply_images(b, 1, 1, CELLS_PER_MODEL);
    assert_same_dump(a, b);
    assert_answer(a, "SELECT attempt, run_id, row->>'status', row->>'error' FROM superseded WHERE explanation_id = 65537 ORDER BY 1",
                  "1|1|done|NULL\n2|2|failed|not a picture\n");
    why_store_close(&a);
    why_store_close(&b);
    unlink(path_a);
    unlink(path_b);
}

static void a_record_replaces_once(void **state) {
    (void)state;
    char path[4096];
    why_store *s = filled(path, "once");
    choose(s, (why_selection){.kind = WHY_SELECT_IMAGE, .image = "pictures/003.png"});
    OK(why_store_begin(s));
    apply_again(s, other_record(3, 0.5));
    apply_again(s, other_record(3, 0.25)); /* late: what is there wins */
    apply_again(s, other_record(4, 0.25)); /* was not asked for */
    OK(why_store_commit(s));
    OK(why_store_check_summary(s));
    assert_answer(s, "SELECT count(*) FROM superseded", "12\n");
    why_buf b = make_record(3, CELLS_PER_MODEL);
    again(s, b);
    assert_answer(s, "SELECT count(*) FROM superseded", "12\n");
    why_store_close(&s);
    unlink(path);
}

static void a_rollback_keeps_the_old_row_and_the_wish(void **state) {
    (void)state;
    char path[4096];
    why_store *s = filled(path, "rollback");
    char *before = dump(s), *after;
    uint64_t *cells;
    size_t n;
    choose(s, (why_selection){.kind = WHY_SELECT_IMAGE, .image = "pictures/003.png", .method = "lime"});
    OK(why_store_begin(s));
    apply_again(s, other_record(3, 0.5));
    OK(why_store_todo(s, 3, &cells, &n));
    assert_int_equal(cells[0], 0);
    free(cells);
    why_store_rollback(s);
    after = dump(s);
    assert_string_equal(before, after);
    OK(why_store_todo(s, 3, &cells, &n));
    assert_int_equal(cells[0], 1 << LIME | 1 << LIME_AGAIN | 1 << LIME_50 | 1 << (6 + LIME) | 1 << (6 + LIME_AGAIN) | 1 << (6 + LIME_50));
    free(cells);
    OK(why_store_todo(s, 4, &cells, &n));
    assert_int_equal(cells[0], 0);
    free(cells);
    free(before);
    free(after);
    why_store_close(&s);
    unlink(path);
}

static void selections_are_precise(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    int64_t n, run;
    temp_path(path, "select");
    OK(why_store_open(path, &s));
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    apply_images(s, 1, 9, CELLS_PER_MODEL);
    again(s, make_failure(10, CELLS_PER_MODEL));
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_FAILED}), CELLS);
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_FAILED, .method = "shap"}), MODELS);
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_MISSING}), 10 * CELLS);
    OK(why_store_begin(s));
    OK(why_store_start_run(s, &(why_run_row){.uid = "r", .job_id = 1, .ranks = 1, .threads = 1}, &run));
    OK(why_store_put_shard(s, &(why_shard_row){.id = 4, .run_id = run, .first = 2, .n = 4, .state = "done", .images = "2-3,9,11"}));
    OK(why_store_commit(s));
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_SHARD, .shard = 4}), 4 * CELLS);
    assert_int_equal(choose(s, (why_selection){.kind = WHY_SELECT_SHARD, .shard = 4, .method = "random"}), 4 * MODELS);
    REFUSED(why_store_select(s, &(why_selection){.kind = WHY_SELECT_SHARD, .shard = 5}, &n), WHY_EARG, "no shard has the number 5");
    REFUSED(why_store_select(s, &(why_selection){.kind = WHY_SELECT_IMAGE, .image = "x.png"}, &n), WHY_EARG, "no image has the path 'x.png'");
    REFUSED(why_store_select(s, &(why_selection){.kind = WHY_SELECT_FAILED, .method = "lim"}, &n), WHY_EARG, "no method is called 'lim'");
    meddle(path, "UPDATE shard SET images = '2..3'");
    REFUSED(why_store_select(s, &(why_selection){.kind = WHY_SELECT_SHARD, .shard = 4}, &n), WHY_ESTORE, "images are '2..3'");
    why_store_close(&s);
    unlink(path);
}

/* A failure of one model, or with the old picture's hash: see put_image in apply.c. */
static why_buf failure_with_hash(int64_t image) {
    why_buf b = {0}, plain = make_failure(image, CELLS_PER_MODEL);
    size_t at = 0;
    bool more = true;
    why_record_put(&b, &(why_row){.type = WHY_ROW_IMAGE, .u.image = {image, uid('x', image), 0, 0}});
    for (why_row row;;) {
        OK(why_record_next(plain.data, plain.size, &at, &row, &more));
        if (!more) break;
        why_record_put(&b, &row);
    }
    why_record_finish(&b);
    why_buf_clear(&plain);
    return b;
}

static void a_repaired_picture_may_differ(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    temp_path(path, "repaired");
    OK(why_store_open(path, &s));
    put_plan(s, 2, CELLS_PER_MODEL);
    again(s, failure_with_hash(1));
    why_buf b = make_record(1, CELLS_PER_MODEL);
    OK(why_store_begin(s)); /* not asked for: another picture is another experiment */
    REFUSED(why_store_apply(s, 2, 2, 1, b.data, b.size), WHY_ESTORE, "changed since the run");
    why_store_rollback(s);
    choose(s, (why_selection){.kind = WHY_SELECT_FAILED, .method = "lime"});
    again(s, b);
    char want[80];
    snprintf(want, sizeof want, "%s|640\n", uid('s', 1));
    assert_answer(s, "SELECT sha256, width FROM image WHERE id = 1", want);
    choose(s, (why_selection){.kind = WHY_SELECT_IMAGE, .image = "pictures/001.png", .method = "shap"});
    OK(why_store_begin(s)); /* LIME's results rest on the new picture */
    b = failure_with_hash(1);
    REFUSED(why_store_apply(s, 3, 3, 1, b.data, b.size), WHY_ESTORE, "changed since the run");
    why_store_rollback(s);
    why_buf_clear(&b);
    OK(why_store_check_summary(s));
    why_store_close(&s);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_results_leave_equal_tables), cmocka_unit_test(summaries_follow_the_new_values),
        cmocka_unit_test(a_result_that_is_lost_leaves_the_summaries), cmocka_unit_test(a_record_replaces_once),
        cmocka_unit_test(a_rollback_keeps_the_old_row_and_the_wish), cmocka_unit_test(selections_are_precise),
        cmocka_unit_test(a_repaired_picture_may_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
