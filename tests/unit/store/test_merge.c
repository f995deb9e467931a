/* Merging parts: the same tables as one run's, whatever ids the parts had. */
#include "fixture.h"

#include "store/merge.h"

enum { IMAGES = 20, HALF = 10 };

static void fill(const char *path, int first, int last) {
    why_store *s;
    OK(why_store_open(path, &s));
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    apply_images(s, first, last, CELLS_PER_MODEL);
    why_store_close(&s);
}

static why_store *one_run(char path[4096]) {
    why_store *s;
    temp_path(path, "one");
    OK(why_store_open(path, &s));
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    apply_images(s, 1, IMAGES, CELLS_PER_MODEL);
    return s;
}

static void assert_equals_one_run(const char *merged) {
    char path[4096];
    why_store *one = one_run(path), *s;
    OK(why_store_open(merged, &s));
    assert_same_dump(one, s);
    OK(why_store_check_summary(s));
    assert_answer(s, "PRAGMA foreign_key_check", "");
    assert_answer(s, "PRAGMA integrity_check", "ok\n");
    why_store_close(&one);
    why_store_close(&s);
    unlink(path);
}

static why_status merge(const char *out, const char *a, const char *b, why_merge_result *r) {
    return why_store_merge(out, "/nowhere", (why_merge_input[]){{a, "/nowhere"}, {b, "/nowhere"}}, 2, r);
}

static void parts_equal_the_whole(void **state) {
    (void)state;
    char a[4096], b[4096], out[4096];
    why_merge_result r;
    temp_path(a, "part-a");
    temp_path(b, "part-b");
    temp_path(out, "merged");
    fill(a, 1, HALF);
    fill(b, HALF + 1, IMAGES);
    OK(merge(out, b, a, &r));
    assert_int_equal(r.twice, 0);
    /* of each image 4 predictions, 12 explanations and timings, 36 scores, 36 curve points, 24 pairs */
    assert_int_equal(r.rows, IMAGES * (4 + 12 + 12 + 36 + 36 + 24));
    assert_equals_one_run(out);
    REFUSED(merge(out, a, b, &r), WHY_EARG, "is already there");
    unlink(out);
    OK(merge(out, a, a, &r)); /* every row twice: summaries do not add */
    assert_int_equal(r.twice, r.rows / 2);
    why_store *s;
    OK(why_store_open(out, &s));
    OK(why_store_check_summary(s));
    why_store_close(&s);
    unlink(a);
    unlink(b);
    unlink(out);
}

/* ---------------------------------------------------------------- other ids */
static int64_t other_image(int64_t id) { return IMAGES + 1 - id; }
static int64_t other_cell(int64_t id) { return (id + 4) % CELLS + 1; }
static int64_t other_metric(int64_t id) { return METRICS + 1 - id; }
static int64_t other_model(int64_t id) { return MODELS + 1 - id; }
static int64_t other_explanation(int64_t id) { return why_explanation_id(other_image(id >> 16), other_cell(id & 65535)); }

static void rename_ids(why_row *row) {
    switch (row->type) {
    case WHY_ROW_IMAGE: row->u.image.image_id = other_image(row->u.image.image_id); break;
    case WHY_ROW_PREDICTION:
        row->u.prediction.image_id = other_image(row->u.prediction.image_id);
        row->u.prediction.model_id = other_model(row->u.prediction.model_id);
        break;
    case WHY_ROW_EXPLANATION:
        row->u.explanation.image_id = other_image(row->u.explanation.image_id);
        row->u.explanation.cell_id = other_cell(row->u.explanation.cell_id);
        break;
    case WHY_ROW_SCORE:
        row->u.score.explanation_id = other_explanation(row->u.score.explanation_id);
        row->u.score.metric_id = other_metric(row->u.score.metric_id);
        break;
    case WHY_ROW_CURVE:
        row->u.curve.explanation_id = other_explanation(row->u.curve.explanation_id);
        row->u.curve.metric_id = other_metric(row->u.curve.metric_id);
        break;
    case WHY_ROW_PAIR: {
        const int64_t a = other_explanation(row->u.pair.a), b = other_explanation(row->u.pair.b);
        row->u.pair.a = a < b ? a : b;
        row->u.pair.b = a < b ? b : a;
        row->u.pair.metric_id = other_metric(row->u.pair.metric_id);
        break;
    }
    case WHY_ROW_TIMING: row->u.timing.explanation_id = other_explanation(row->u.timing.explanation_id); break;
    case WHY_ROW_FAILURE: row->u.failure.image_id = other_image(row->u.failure.image_id); break;
    case WHY_ROW_END: break;
    }
}

static why_buf other_record(int64_t image) {
    why_buf old = make_record(image, CELLS_PER_MODEL), b = {0};
    size_t at = 0;
    bool more = true;
    for (why_row row;;) {
        OK(why_record_next(old.data, old.size, &at, &row, &more));
        if (!more) break;
        rename_ids(&row);
        why_record_put(&b, &row);
    }
    why_record_finish(&b);
    why_buf_clear(&old);
    return b;
}

/* The same experiment with every dictionary numbered otherwise: prefixes before what they are prefixes of, too. */
static void number_otherwise(const char *path) {
    meddle(path, "PRAGMA foreign_keys = OFF;"
                 "UPDATE image SET id = -id; UPDATE image SET id = 21 + id;"
                 "UPDATE model SET id = -id; UPDATE model SET id = 3 + id;"
                 "UPDATE metric SET id = -id; UPDATE metric SET id = 6 + id;"
                 "CREATE TEMP TABLE t AS SELECT * FROM cell; DELETE FROM cell;"
                 "UPDATE t SET id = (id + 4) % 12 + 1, model_id = 3 - model_id, prefix_of = (prefix_of + 4) % 12 + 1; INSERT INTO cell SELECT * FROM t");
}

static void parts_with_other_ids(void **state) {
    (void)state;
    char a[4096], b[4096], out[4096];
    why_store *s;
    int64_t run;
    why_merge_result r;
    temp_path(a, "ids-a");
    temp_path(b, "ids-b");
    temp_path(out, "ids");
    fill(a, 1, HALF);
    fill(b, 1, 0);
    number_otherwise(b);
    OK(why_store_open(b, &s));
    assert_answer(s, "PRAGMA foreign_key_check", "");
    assert_answer(s, "SELECT count(*) FROM cell WHERE prefix_of > id", "1\n");
    OK(why_store_begin(s));
    for (int i = HALF + 1; i <= IMAGES; i++) apply_record(s, other_record(i));
    OK(why_store_start_run(s, &(why_run_row){.uid = "r", .job_id = 1, .ranks = 1, .threads = 1}, &run));
    OK(why_store_put_shard(s, &(why_shard_row){.id = 4, .run_id = run, .first = 1, .n = 4, .state = "done", .images = "1-3,10"}));
    OK(why_store_commit(s));
    OK(why_store_check_summary(s));
    why_store_close(&s);
    OK(merge(out, a, b, &r));
    assert_int_equal(r.twice, 0);
    assert_equals_one_run(out);
    OK(why_store_open(out, &s));
    assert_answer(s, "SELECT first, images FROM shard", "20|20,19,18,11\n");
    why_store_close(&s);
    unlink(a);
    unlink(b);
    unlink(out);
}

/* ---------------------------------------------------------------- overlaps and conflicts */
static void done_replaces_failed(void **state) {
    (void)state;
    char a[4096], b[4096], out[4096];
    why_store *s;
    why_merge_result r;
    temp_path(a, "done-a");
    temp_path(b, "done-b");
    temp_path(out, "done");
    fill(a, 1, HALF);
    fill(b, HALF, IMAGES); /* image 10 in both */
    OK(why_store_open(a, &s));
    OK(why_store_begin(s));
    apply_record(s, make_failure(HALF + 5, CELLS_PER_MODEL));
    OK(why_store_commit(s));
    why_store_close(&s);
    for (int turn = 0; turn < 2; turn++) {
        OK(turn ? merge(out, b, a, &r) : merge(out, a, b, &r));
        assert_int_equal(r.twice, 4 + 12 + 12 + 36 + 36 + 24 + turn * 12);
        assert_equals_one_run(out);
        unlink(out);
    }
    unlink(a);
    unlink(b);
}

static void conflicts_name_file_and_values(void **state) {
    (void)state;
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"UPDATE image SET label = 7 WHERE id = 1", "image 'pictures/001.png': its label was 1, is 7"},
        {"UPDATE image SET mask = 'other.png' WHERE id = 2", "its mask was mask.png, is other.png"},
        {"UPDATE image SET sha256 = 'feed' WHERE id = 10", "is feed"},
        {"UPDATE model SET uid = 'x', sha256 = 'beef' WHERE id = 1", "is beef"},
        {"PRAGMA user_version = 2", "its schema has version 2"},
        {"UPDATE summary SET stratum = 'some' WHERE stratum = 'wrong' AND cell_a = 1 AND metric_id = 3", "a summary has the stratum 'some'"},
    };
    char a[4096], b[4096], out[4096], part[4104];
    why_merge_result r;
    temp_path(a, "conflict-a");
    temp_path(b, "conflict-b");
    temp_path(out, "conflict");
    snprintf(part, sizeof part, "%s.part", out);
    fill(a, 1, HALF);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(b);
        fill(b, i == 2 ? HALF : HALF + 1, IMAGES);
        meddle(b, cases[i].sql);
        REFUSED(merge(out, a, b, &r), WHY_ESTORE, cases[i].text);
        assert_non_null(strstr(why_error_text(), b));
        assert_int_not_equal(access(out, F_OK), 0);
        assert_int_not_equal(access(part, F_OK), 0);
    }
    REFUSED(merge(out, a, "/no/such.db", &r), WHY_ESTORE, "/no/such.db");
    unlink(a);
    unlink(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_equal_the_whole),
        cmocka_unit_test(parts_with_other_ids),
        cmocka_unit_test(done_replaces_failed),
        cmocka_unit_test(conflicts_name_file_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
