/* analysis/queries.sql: every query runs on a small experiment and has something to say; the headline ones say the right thing. */
#include "fixture.h"

static char *queries; /* the file */

static int read_queries(void **state) {
    char path[4096];
    const char *source = getenv("WHYPIX_SOURCE");
    size_t size;
    uint8_t *data;
    (void)state;
    snprintf(path, sizeof path, "%s/analysis/queries.sql", source ? source : ".");
    if (why_read_file(path, 1 << 20, &data, &size)) {
        print_error("%s\n", why_error_text());
        return -1;
    }
    queries = (char *)data;
    return 0;
}

static int forget_queries(void **state) {
    (void)state;
    free(queries);
    return 0;
}

/* 21 pictures, one of which cannot be read and one is still to do. */
static why_store *experiment(char path[4096]) {
    why_store *s;
    int64_t run;
    temp_path(path, "queries");
    OK(why_store_open(path, &s));
    put_plan(s, 21, CELLS_PER_MODEL);
    apply_images(s, 1, 19, CELLS_PER_MODEL);
    OK(why_store_begin(s));
    apply_record(s, make_failure(20, CELLS_PER_MODEL));
    why_run_row row = {.uid = "r", .version = "0.1.0", .job_id = 1, .ranks = 2, .threads = 1};
    OK(why_store_start_run(s, &row, &run));
    OK(why_store_commit(s));
    return s;
}

/* The statement under a title line; owned. */
static char *query_titled(const char *title) {
    const char *at = strstr(queries, title);
    if (!at) fail_msg("no query is titled '%s'", title);
    at = strchr(at, '\n') + 1;
    size_t n = strcspn(at, ";");
    char *sql = malloc(n + 1);
    assert_non_null(sql);
    memcpy(sql, at, n);
    sql[n] = '\0';
    return sql;
}

static void every_query_answers(void **state) {
    (void)state;
    char path[4096];
    int n = 0;
    why_store *s = experiment(path);
    for (char *at = queries; (at = strstr(at, "\n\n-- ")) != NULL; n++) {
        char title[256];
        at += 5;
        snprintf(title, sizeof title, "%.*s", (int)strcspn(at, "\n"), at);
        char *sql = query_titled(title), *answer = ask(s, sql);
        if (!*answer) fail_msg("'%s' finds nothing", title);
        if (strstr(answer, "nan")) fail_msg("'%s' says nan", title);
        free(sql);
        free(answer);
    }
    assert_true(n >= 19);
    why_store_close(&s);
    unlink(path);
}

static void assert_query(why_store *s, const char *title, const char *want) {
    char *sql = query_titled(title);
    assert_answer(s, sql, want);
    free(sql);
}

static void counts_are_right(void **state) {
    (void)state;
    char path[4096];
    why_store *s = experiment(path);
    assert_query(s, "What is done, what failed", "done|228\nfailed|12\nmissing|12\n");
    assert_query(s, "Predictions: accuracy", "vgg|16|0.5|0.375\nresnet|16|1.0|0.375\n");
    char *failures = query_titled("Failures, with the picture"), sql[1024];
    snprintf(sql, sizeof sql, "SELECT path, cell_id, reason FROM (%s)", failures);
    assert_answer(s, sql, "pictures/020.png|NULL|not a picture\n");
    free(failures);
    why_store_close(&s);
    unlink(path);
}

/* The matrix is the table, mirrored; the reductions give the table's means without the rows. */
static void ways_to_the_same_mean_agree(void **state) {
    (void)state;
    char path[4096], sql[8192];
    why_store *s = experiment(path);
    char *table = query_titled("Agreement: mean per pair"), *matrix = query_titled("Agreement matrix"), *sums = query_titled("Agreement from the reductions");
    snprintf(sql, sizeof sql, "WITH t AS (%s), m AS (%s) SELECT count(*), (SELECT count(*) FROM m) FROM t JOIN m ON m.model = t.model AND m.metric = t.metric"
             " AND m.mean IS t.mean AND (row, col) IN(VALUES(method_a, method_b), (method_b, method_a))", table, matrix);
    assert_answer(s, sql, "32|32\n");
    snprintf(sql, sizeof sql, "WITH t AS (%s), m AS (%s) SELECT count(*), (SELECT count(*) FROM t) FROM t JOIN m USING(model, method_a, method_b, metric)"
             " WHERE stratum = 'all' AND (abs(t.mean - m.mean) < 1.5e-4 OR (t.mean IS NULL AND m.mean IS NULL)) AND m.n = t.valid AND m.n + m.n_null = t.n", table, sums);
    assert_answer(s, sql, "16|16\n");
    free(table);
    free(matrix);
    free(sums);
    why_store_close(&s);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_query_answers),
        cmocka_unit_test(counts_are_right),
        cmocka_unit_test(ways_to_the_same_mean_agree),
    };
    return cmocka_run_group_tests(tests, read_queries, forget_queries);
}
