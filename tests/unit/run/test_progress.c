#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "run/progress.h"

static void check(why_buf *b, const char *want) {
    char *text;
    assert_int_equal(why_buf_take(b, &text), WHY_OK);
    assert_string_equal(text, want);
    free(text);
}

static void durations_read_well(void **state) {
    (void)state;
    static const struct { double seconds; const char *text; } cases[] = {
        {0, "0 s"}, {-3, "0 s"}, {7.6, "8 s"}, {59.6, "1 min 00 s"}, {125, "2 min 05 s"}, {12000, "3 h 20 min"}, {187200, "2 d 4 h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        why_buf b = {0};
        why_progress_duration(&b, cases[i].seconds);
        check(&b, cases[i].text);
    }
}

static why_run_report half_way(void) {
    return (why_run_report){.job = "demo",
                            .database = "demo.db",
                            .threads_from = "OMP_NUM_THREADS",
                            .maps_dir = "demo-maps",
                            .ranks = 4,
                            .threads = 2,
                            .images = 500,
                            .cells = 12,
                            .todo = 320,
                            .closed = 160,
                            .seconds = 80,
                            .rate = 2,
                            .left = 80,
                            .trouble = ""};
}

static void the_beginning_says_what_and_with_what(void **state) {
    (void)state;
    why_run_report r = half_way();
    why_buf b = {0};
    why_progress_begin(&b, &r);
    check(&b, "demo: 500 images x 12 cells, 320 images to do\n4 ranks x 2 threads (OMP_NUM_THREADS), database demo.db");
    r.ranks = r.threads = r.images = r.todo = r.cells = 1;
    why_progress_begin(&b, &r);
    check(&b, "demo: 1 image x 1 cell, 1 image to do\n1 rank x 1 thread (OMP_NUM_THREADS), database demo.db");
}

static void a_line_says_rate_and_time_left(void **state) {
    (void)state;
    why_run_report r = half_way();
    why_buf b = {0};
    why_progress_line(&b, &r);
    check(&b, "160 of 320 images, 2.0 images/s, 1 min 20 s left");
    r.failed = 3;
    r.lost = 1;
    r.rate = 0.1;
    r.stopping = true;
    why_progress_line(&b, &r);
    check(&b, "160 of 320 images, 10.0 s/image, stopping, 3 failed, 1 of 4 workers lost");
    r = half_way();
    r.closed = 0;
    r.rate = 0;
    r.left = -1;
    why_progress_line(&b, &r);
    check(&b, "0 of 320 images");
}

static void the_end_says_where_the_results_are(void **state) {
    (void)state;
    why_run_report r = half_way();
    why_buf b = {0};
    r.closed = 320;
    r.all_failed = 1;
    why_progress_end(&b, &r);
    check(&b, "done: 320 of 320 images in 1 min 20 s, 2.0 images/s\n1 image failed, in whole or in part: whypix table demo.db failures\n"
              "results: demo.db, maps in demo-maps\ntables: whypix table demo.db");
    r = half_way();
    r.exit_code = 75;
    r.maps_dir = NULL;
    why_progress_end(&b, &r);
    check(&b, "interrupted: 160 of 320 images in 1 min 20 s, 2.0 images/s; run the same command again to go on\n"
              "results: demo.db\ntables: whypix table demo.db");
    r.exit_code = 3;
    r.trouble = "worker 2 was silent for 180 s";
    r.overlays_dir = "demo-overlays";
    why_progress_end(&b, &r);
    check(&b, "stopped: 160 of 320 images in 1 min 20 s, 2.0 images/s; run the same command again to go on\ntrouble: worker 2 was silent "
              "for 180 s\n"
              "results: demo.db, overlays in demo-overlays\ntables: whypix table demo.db");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_well),
        cmocka_unit_test(the_beginning_says_what_and_with_what),
        cmocka_unit_test(a_line_says_rate_and_time_left),
        cmocka_unit_test(the_end_says_where_the_results_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
