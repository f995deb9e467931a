/* Counting beside a writer: right, and without making its commits wait. */
#include "fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "store/census.h"

enum { IMAGES = 600, COMMITS = 150 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_census_equals_sql(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    why_census c;
    int64_t run;
    temp_path(path, "census");
    OK(why_store_open(path, &s));
    OK(why_store_census(s, &c));
    assert_int_equal(c.images + c.cells + c.done + c.failed + c.images_done + c.run_id, 0);
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    OK(why_store_begin(s));
    OK(why_store_start_run(s, &(why_run_row){.uid = "r", .job_id = 1, .ranks = 1, .threads = 1}, &run));
    OK(why_store_commit(s));
    apply_images(s, 1, IMAGES - 100, CELLS_PER_MODEL);
    OK(why_store_begin(s));
    apply_record(s, make_failure(IMAGES, CELLS_PER_MODEL));
    apply_record(s, make_failure(IMAGES - 3, CELLS_PER_MODEL));
    apply_record(s, make_record(IMAGES - 5, 2)); /* two cells of six, of each model */
    apply_record(s, make_failure(IMAGES - 6, CELLS_PER_MODEL)); /* and below, no failure says so: cells that cannot be */
    OK(why_store_commit(s));
    meddle(path, "UPDATE timing SET wall = 100 WHERE explanation_id >> 16 = 77; UPDATE timing SET run_id = 9 WHERE explanation_id >> 16 > 400");
    char drop[64];
    snprintf(drop, sizeof drop, "DELETE FROM failure WHERE image_id = %d", IMAGES - 6);
    meddle(path, drop);
    OK(why_store_census(s, &c));
    assert_int_equal(c.images, IMAGES);
    assert_int_equal(c.cells, CELLS);
    assert_int_equal(c.done, (IMAGES - 99) * CELLS + 4);
    assert_int_equal(c.failed, 2 * CELLS);
    assert_int_equal(c.images_done, IMAGES - 99);
    assert_int_equal(c.images_failed, 2);
    assert_int_equal(c.run_id, run);
    assert_int_equal(c.run_images, 400);
    assert_int_equal(c.run_done, 400 * CELLS);
    assert_int_equal(c.slowest[0].image_id, 77);
    assert_true(c.slowest[0].wall == 1200 && c.slowest[1].wall == 19.5);
    assert_int_equal(c.failures[0], IMAGES - 3);
    assert_int_equal(c.failures[1], IMAGES);
    assert_int_equal(c.failures[2], 0);
    why_store_close(&s);
    unlink(path);
}

/* ---------------------------------------------------------------- beside a writer */
static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of what COMMITS commits take, one every 10 ms. */
static double commit_time(why_store *s, int first) {
    double took[COMMITS];
    for (int i = 0; i < COMMITS; i++) {
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        OK(why_store_begin(s));
        apply_record(s, make_record(first + i, CELLS_PER_MODEL));
        const double t0 = now();
        OK(why_store_commit(s));
        took[i] = now() - t0;
    }
    qsort(took, COMMITS, sizeof *took, by_size);
    return took[COMMITS / 2];
}

/* Counts without a pause until it is killed; *looks says how often, and -1 that it failed. */
static void look_on(const char *path, volatile int *looks) {
    why_store *r;
    why_census c;
    int64_t last = 0;
    if (why_store_open_readonly(path, &r)) *looks = -1;
    while (*looks >= 0) {
        if (why_store_census(r, &c) || c.done < last) *looks = -1;
        else ++*looks;
        last = c.done;
    }
    _exit(1);
}

static void commits_do_not_wait_for_looks(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    volatile int *looks = mmap(NULL, sizeof *looks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    temp_path(path, "beside");
    OK(why_store_open(path, &s));
    put_plan(s, IMAGES, CELLS_PER_MODEL);
    apply_images(s, 1, IMAGES - 2 * COMMITS, CELLS_PER_MODEL);
    const double alone = commit_time(s, IMAGES - 2 * COMMITS + 1);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) look_on(path, looks);
    while (*looks == 0) nanosleep(&(struct timespec){0, 1000000}, NULL);
    const int before = *looks;
    const double watched = commit_time(s, IMAGES - COMMITS + 1);
    const int during = *looks - before;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    print_message("a commit takes %.1f ms alone, %.1f ms beside %d looks\n", 1e3 * alone, 1e3 * watched, during);
    assert_true(during > 10);
    assert_true(watched < 4 * alone + 0.05); /* a reader that stayed would hold it for the length of a whole look, or for ever */
    OK(why_store_check_summary(s));
    why_store_close(&s);
    munmap((void *)looks, sizeof *looks);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_census_equals_sql),
        cmocka_unit_test(commits_do_not_wait_for_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
