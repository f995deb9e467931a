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
    char *argv[8] = {(char *)(uintptr_t)"whypix"};
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
    GOLDEN("pairs", 0, "table", "DB", "pairs");
    GOLDEN("scores", 0, "table", "DB", "scores");
    GOLDEN("localisation", 0, "table", "DB", "localisation", "--format", "md");
    GOLDEN("predictions", 0, "table", "DB", "predictions");
    GOLDEN("failures", 0, "table", "DB", "failures");
    GOLDEN("timing", 0, "table", "DB", "timing");
}

static void status_is_as_kept(void **state) {
    (void)state;
    GOLDEN("status", 75, "status", "DB");
    GOLDEN("status-json", 75, "status", "DB", "--json");
}

static void status_names_losses(void **state) {
    (void)state;
    char *printed;
    meddle(database, "INSERT INTO shard(id, run_id, first, n, state, attempts, rank, pid, host) VALUES (1, 1, 1, 8, 'done', 1, 0, 100, 'n1'),"
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
    meddle(database, "UPDATE explanation SET status = 'done'; UPDATE run SET ended = NULL, state = 'running', started = datetime('now', '-10 seconds')");
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
        cmocka_unit_test(status_is_as_kept),
        cmocka_unit_test(status_names_losses),
        cmocka_unit_test(status_follows_the_rows),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(an_empty_database_is_no_error),
    };
    return cmocka_run_group_tests(tests, make_database, drop_database);
}
