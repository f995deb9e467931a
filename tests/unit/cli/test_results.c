/* `whypix status` and `whypix table` on a small made-up database: what they print is a contract, kept in tests/golden/store.
 * WHYPIX_GOLDEN_WRITE=1 writes the files anew. */
#include "unit/store/fixture.h"

#include <fcntl.h>

#include "cli/cli.h"

static char database[4096], printed_path[4096];

static int make_database(void **state) {
    (void)state;
    why_store *s;
    temp_path(database, "results");
    temp_path(printed_path, "printed");
    OK(why_store_open(database, &s));
    put_plan(s, 21, CELLS_PER_MODEL);
    apply_images(s, 1, 19, CELLS_PER_MODEL);
    OK(why_store_begin(s));
    apply_record(s, make_failure(20, CELLS_PER_MODEL));
    OK(why_store_commit(s));
    why_store_close(&s);
    meddle(database, "UPDATE failure SET at = '2026-01-01T00:00:00Z';"
                     "INSERT INTO run(uid, job_id, started, ended, state, version, ranks, threads, cpu)"
                     " VALUES('r', 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:38Z', 'interrupted', '0.1.0', 2, 1, 'a processor')");
    return 0;
}

static int drop_database(void **state) {
    (void)state;
    unlink(database);
    unlink(printed_path);
    return 0;
}

/* Run a command line with "DB" for the database; returns its exit code and what went to stdout (owned). */
static int run_command(const char *const *words, char **printed) {
    char *argv[12] = {(char *)(uintptr_t)"whypix"};
    int argc = 1;
    size_t size;
    uint8_t *data;
    for (; *words; words++) argv[argc++] = strcmp(*words, "DB") == 0 ? database : (char *)(uintptr_t)*words;
    fflush(stdout);
    int saved = dup(1), file = open(printed_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && file >= 0);
    dup2(file, 1);
    int code = why_cli_main(argc, argv);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    close(file);
    OK(why_read_file(printed_path, 1 << 20, &data, &size));
    *printed = (char *)data;
    return code;
}

/* The temporary path in the output becomes DB. */
static void hide_path(char *text) {
    for (char *at; (at = strstr(text, database)) != NULL;) {
        memcpy(at, "DB", 2);
        memmove(at + 2, at + strlen(database), strlen(at + strlen(database)) + 1);
    }
}

static void assert_golden(const char *name, const char *const *words, int want_code) {
    char path[4096], *printed;
    const char *source = getenv("WHYPIX_SOURCE");
    uint8_t *golden;
    size_t size;
    int code = run_command(words, &printed);
    hide_path(printed);
    snprintf(path, sizeof path, "%s/tests/golden/store/%s.txt", source ? source : ".", name);
    if (getenv("WHYPIX_GOLDEN_WRITE")) OK(why_write_file(path, printed, strlen(printed)));
    OK(why_read_file(path, 1 << 20, &golden, &size));
    if (strcmp((char *)golden, printed) != 0) fail_msg("%s\n---- wanted\n%s---- printed\n%s", path, (char *)golden, printed);
    assert_int_equal(code, want_code);
    free(golden);
    free(printed);
}

#define GOLDEN(name, code, ...) assert_golden(name, (const char *const[]){__VA_ARGS__, NULL}, code)

static void tables_are_as_kept(void **state) {
    (void)state;
    GOLDEN("tables", 0, "table", "DB");
    GOLDEN("agreement", 0, "table", "DB", "agreement");
    GOLDEN("agreement-csv", 0, "table", "DB", "agreement", "--format", "csv");
    GOLDEN("agreement-latex", 0, "table", "DB", "agreement", "--format", "latex");
    GOLDEN("agreement-sd", 0, "table", "DB", "agreement", "--statistic", "sd", "--where", "metric=pearson");
    GOLDEN("agreement-undefined", 0, "table", "DB", "agreement", "--statistic", "undefined", "--where", "model=resnet");
    GOLDEN("pairs", 0, "table", "DB", "pairs");
    GOLDEN("models", 0, "table", "DB", "models", "--format", "latex");
    GOLDEN("images", 0, "table", "DB", "images", "--where", "metric=pearson", "--where", "model=vgg");
    GOLDEN("curves", 0, "table", "DB", "curves");
    GOLDEN("classes", 0, "table", "DB", "classes");
    GOLDEN("networks", 0, "table", "DB", "networks");
    GOLDEN("scores", 0, "table", "DB", "scores");
    GOLDEN("localisation", 0, "table", "DB", "localisation", "--format", "md");
    GOLDEN("predictions", 0, "table", "DB", "predictions");
    GOLDEN("failures", 0, "table", "DB", "failures");
    GOLDEN("timing", 0, "table", "DB", "timing");
}

/* The value in row and column of a matrix table in CSV, whose rows end on "ROW,COLUMN,VALUE". */
static double value_at(const char *printed, const char *keys, const char *row, const char *column) {
    for (const char *line = printed; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        char want[256];
        const size_t n = (size_t)snprintf(want, sizeof want, "%s,%s,", row, column);
        const char *end = strchr(line, '\n'), *comma = end;
        if (!end || strncmp(line, keys, strlen(keys)) != 0) continue;
        while (*comma != ',') comma--;
        if ((size_t)(comma + 1 - line) >= n && strncmp(comma + 1 - n, want, n) == 0) return strtod(comma + 1, NULL);
    }
    fail_msg("%s, %s of %s is not in\n%s", row, column, keys, printed);
    return NAN;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 16 defined values (an even number), and 19 (an odd one). */
static void medians_are_those_of_the_rows(void **state) {
    (void)state;
    char *printed;
    assert_int_equal(
        run_command((const char *const[]){"table", "DB", "agreement", "--statistic", "median", "--format", "csv", NULL}, &printed), 0);
    for (int metric = PEARSON; metric <= SOFT_IOU_MEAN; metric++) {
        double v[19];
        size_t n = 0;
        for (int image = 1; image <= 19; image++)
            if (metric != PEARSON || image % 7 != 3)
                v[n++] = made_up(why_explanation_id(image, LIME), why_explanation_id(image, SHAP), metric);
        qsort(v, n, sizeof *v, by_value);
        const double want = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
        const double got = value_at(printed, metric == PEARSON ? "pearson,vgg" : "soft_iou_mean,vgg", "shap", "lime");
        if (fabs(got - want) > 6e-5) fail_msg("metric %d: median %g, want %g", metric, got, want);
    }
    free(printed);
}

/* Counted here from what the fixture predicts: the first model is wrong by one on odd images. */
static void classes_are_counted(void **state) {
    (void)state;
    char *printed;
    const char *const command[] = {"table", "DB", "classes", "--format", "csv", NULL};
    int tp[4] = {0}, guessed[4] = {0}, support[4] = {0}, n = 0, right = 0;
    double mean_f1 = 0;
    for (int image = 1; image <= 19; image++) {
        const int truth = image % 3, guess = truth + image % 2;
        if (image % 5 == 0) continue; /* no label */
        n++;
        support[truth]++;
        guessed[guess]++;
        tp[truth] += guess == truth;
        right += guess == truth;
    }
    char keys[64];
    snprintf(keys, sizeof keys, "vgg,%d,%.4f,", n, (double)right / n);
    assert_int_equal(run_command(command, &printed), 0);
    for (int c = 0; c < 4; c++) {
        const char name[] = {(char)('0' + c), '\0'};
        const double f1 = 2.0 * tp[c] / (guessed[c] + support[c]);
        mean_f1 += f1 / 4;
        assert_true(fabs(value_at(printed, keys, name, "precision") - (guessed[c] ? (double)tp[c] / guessed[c] : 0)) < 6e-5);
        assert_true(fabs(value_at(printed, keys, name, "recall") - (support[c] ? (double)tp[c] / support[c] : 0)) < 6e-5);
        assert_true(fabs(value_at(printed, keys, name, "F1") - f1) < 6e-5);
        assert_true(value_at(printed, keys, name, "support") == support[c]);
    }
    assert_true(fabs(value_at(printed, keys, "mean", "F1") - mean_f1) < 6e-5);
    free(printed);
}

static void classes_get_names(void **state) {
    (void)state;
    char file[4096], *printed;
    temp_path(file, "labels");
    OK(why_write_file(file, "cat\nd'oh\nbird\nfish\n", 19));
    assert_int_equal(run_command((const char *const[]){"table", "DB", "classes", "--labels", file, NULL}, &printed), 0);
    assert_non_null(strstr(printed, "\ncat "));
    assert_non_null(strstr(printed, "\nd'oh "));
    free(printed);
    unlink(file);
    assert_int_equal(run_command((const char *const[]){"table", "DB", "classes", "--labels", file, NULL}, &printed), 2);
    free(printed);
}

static void status_is_as_kept(void **state) {
    (void)state;
    GOLDEN("status", 75, "status", "DB");
    GOLDEN("status-json", 75, "status", "DB", "--json");
}

static void status_names_losses(void **state) {
    (void)state;
    char *printed;
    meddle(database,
           "INSERT INTO shard(id, run_id, first, n, state, attempts, rank, pid, host) VALUES (1, 1, 1, 8, 'done', 1, 0, 100, 'n1'),"
           " (2, 1, 9, 6, 'lost', 1, 1, 4711, 'n2'), (3, 1, 9, 6, 'done', 2, 0, 100, 'n1'), (4, 1, 15, 7, 'running', 3, 2, 4712, 'n2')");
    assert_int_equal(run_command((const char *const[]){"status", "DB", NULL}, &printed), 75);
    assert_non_null(strstr(printed, "shards       done 2 (14 images)\nshards       lost 1 (6 images)\nshards       running 1 (7 images)\n"
                                    "retried      2 shards, at most 3 times\nlost rank    1: process 4711 on n2, 1 shards\n"));
    free(printed);
    assert_int_equal(run_command((const char *const[]){"status", "DB", "--json", NULL}, &printed), 75);
    assert_non_null(strstr(printed, "\"lost\":[{\"rank\":1,\"pid\":4711,\"host\":\"n2\",\"shards\":1}]"));
    free(printed);
    meddle(database, "DELETE FROM shard");
}

/* Exit codes follow the rows: something missing, all there but some failed, all done. */
static void status_follows_the_rows(void **state) {
    (void)state;
    char *printed;
    const char *const words[] = {"status", "DB", NULL};
    why_store *s;
    OK(why_store_open(database, &s));
    apply_images(s, 21, 21, CELLS_PER_MODEL);
    why_store_close(&s);
    assert_int_equal(run_command(words, &printed), 1);
    assert_non_null(strstr(printed, "21: 20 done, 1 failed, 0 missing"));
    free(printed);
    meddle(
        database,
        "UPDATE explanation SET status = 'done'; UPDATE run SET ended = NULL, state = 'running', started = datetime('now', '-10 seconds')");
    assert_int_equal(run_command(words, &printed), 0);
    assert_non_null(strstr(printed, "last commit  0:0"));
    free(printed);
}

static void wrong_requests_are_refused(void **state) {
    (void)state;
    char *printed;
    assert_int_equal(run_command((const char *const[]){"table", "DB", "agreemnt", NULL}, &printed), 2);
    free(printed);
    assert_int_equal(run_command((const char *const[]){"table", "DB", "pairs", "--format", "word", NULL}, &printed), 2);
    free(printed);
    assert_int_equal(run_command((const char *const[]){"table", "DB", "agreement", "--statistic", "mode", NULL}, &printed), 2);
    free(printed);
    assert_int_equal(run_command((const char *const[]){"status", "/no/such.db", NULL}, &printed), 3);
    free(printed);
}

static void an_empty_database_is_no_error(void **state) {
    (void)state;
    char path[4096], *printed;
    why_store *s;
    temp_path(path, "empty");
    OK(why_store_open(path, &s));
    why_store_close(&s);
    assert_int_equal(run_command((const char *const[]){"status", path, NULL}, &printed), 0);
    assert_non_null(strstr(printed, "run          none yet"));
    free(printed);
    assert_int_equal(run_command((const char *const[]){"table", path, "agreement", NULL}, &printed), 0);
    assert_string_equal(printed, "agreement: the database holds nothing for this table\n");
    free(printed);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_as_kept),
        cmocka_unit_test(medians_are_those_of_the_rows),
        cmocka_unit_test(classes_are_counted),
        cmocka_unit_test(classes_get_names),
        cmocka_unit_test(status_is_as_kept),
        cmocka_unit_test(status_names_losses),
        cmocka_unit_test(status_follows_the_rows),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(an_empty_database_is_no_error),
    };
    return cmocka_run_group_tests(tests, make_database, drop_database);
}
