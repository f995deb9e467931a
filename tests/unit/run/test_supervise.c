/* The supervisor with a shell script in mpirun's place: what it does about each way in which a run can end or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "run/marker.h"
#include "run/supervise.h"

static char folder[64], marker[96];

/* mark PHASE PID STATUS CODE AGAIN: as rank 0 does, with the token that stands in the marker; N counts the launches. */
static const char mark[] =
    "mark() { read -r t token rest <\"$M\"; printf 'whypix-launch %s %d 7 %d %s %d %d %d\\n' \"$token\" $1 $2 "
    "\"$(hostname)\" $3 $4 $5 >\"$M\"; }\n"
    "echo launched >>\"$M.n\"; N=$(wc -l <\"$M.n\")\n";

typedef struct words { int n; char last[512]; } words;

static void listen(void *ctx, const char *text) {
    words *w = ctx;
    w->n++;
    snprintf(w->last, sizeof w->last, "%s", text);
}

static why_status supervise(const char *script, int max_restarts, words *heard, why_run_outcome *outcome) {
    char text[2048];
    snprintf(text, sizeof text, "M=%s\n%s%s", marker, mark, script);
    char *command[] = {"sh", "-c", text, NULL};
    why_supervise_options o = {.marker = marker, .command = command, .max_restarts = max_restarts, .patience = why_patience_defaults(),
                               .report = listen, .ctx = heard};
    o.patience.start = 2;
    o.patience.rank0 = 1;
    *heard = (words){0};
    char log[128];
    snprintf(log, sizeof log, "%s.n", marker);
    unlink(log);
    return why_supervise(&o, outcome);
}

static int launches(void) {
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s.n", marker);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;) n += c == '\n';
    fclose(f);
    return n;
}

static void a_run_that_ends_gives_its_code(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    assert_int_equal(supervise("mark 2 $$ 0 0 0; mark 4 $$ 0 1 0", 3, &w, &outcome), WHY_OK);
    assert_true(outcome.status == WHY_OK && outcome.code == 1 && w.n == 0 && launches() == 1);
    assert_int_equal(supervise("mark 4 $$ 9 0 0; exit 3", 3, &w, &outcome), WHY_OK); /* a full disk is full next time, too */
    assert_true(outcome.status == WHY_ESTORE && launches() == 1);
    assert_int_not_equal(access(marker, F_OK), 0);
}

static void what_hangs_after_the_end_is_ended(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    const double t0 = why_clock();
    char script[256];
    snprintf(script, sizeof script, "sleep 61 & echo $! >%s/sleeper; mark 4 $$ 0 0 0; trap '' TERM; while :; do sleep 1; done", folder);
    assert_int_equal(supervise(script, 3, &w, &outcome), WHY_OK);
    assert_true(outcome.code == 0 && launches() == 1 && why_clock() - t0 < 20);
    char path[128];
    long sleeper = 0;
    snprintf(path, sizeof path, "%s/sleeper", folder);
    FILE *f = fopen(path, "r");
    assert_true(f && fscanf(f, "%ld", &sleeper) == 1 && sleeper > 0);
    fclose(f);
    assert_int_not_equal(kill((pid_t)sleeper, 0), 0); /* an orphan of it, too */
}

static void a_dead_rank_0_is_launched_again(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    const char *script = "if [ $N = 3 ]; then mark 4 $$ 0 0 0; exit; fi; sleep 0 & wait; mark 2 $! 0 0 0; sleep 61";
    assert_int_equal(supervise(script, 3, &w, &outcome), WHY_OK);
    assert_true(outcome.code == 0 && launches() == 3 && w.n == 2);
    assert_non_null(strstr(w.last, "died; launching again (2 of 3)"));
    assert_int_equal(supervise(script, 1, &w, &outcome), WHY_EPEER);
    assert_int_equal(launches(), 2);
    assert_non_null(strstr(why_error_text(), "launched 2 times, the limit"));
}

static void silence_and_missing_workers_are_launched_again(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    assert_int_equal(supervise("[ $N = 1 ] && { mark 2 $$ 0 0 0; sleep 61; }; mark 4 $$ 0 0 0", 3, &w, &outcome), WHY_OK);
    assert_int_equal(launches(), 2);
    assert_non_null(strstr(w.last, "rank 0 was silent for"));
    assert_int_equal(supervise("[ $N = 1 ] && sleep 61; mark 4 $$ 0 0 0", 3, &w, &outcome), WHY_OK);
    assert_non_null(strstr(w.last, "the run did not begin in"));
    assert_int_equal(supervise("mark 4 $$ 0 3 $((N < 3))", 3, &w, &outcome), WHY_OK);
    assert_true(launches() == 3 && outcome.code == 3);
}

static void what_cannot_begin_is_not_tried_again(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    assert_int_equal(supervise("exit 9", 3, &w, &outcome), WHY_EPEER);
    assert_int_equal(launches(), 1);
    assert_string_equal(why_error_text(), "mpirun ended with code 9 before the run began");
}

static void asked_to_end_it_passes_it_on(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    assert_int_equal(supervise("trap 'mark 4 $$ 0 75 0; exit' USR1; mark 2 $$ 0 0 0; kill -TERM $PPID; while :; do sleep 0.1; done", 3, &w,
                               &outcome), WHY_OK);
    assert_true(outcome.code == 75 && launches() == 1);
    assert_int_equal(supervise("mark 2 $$ 0 0 0; kill -INT $PPID; sleep 0.5; kill -INT $PPID; sleep 61", 3, &w, &outcome), WHY_EINTERRUPTED);
}

static void one_launch_at_a_time(void **state) {
    (void)state;
    words w;
    why_run_outcome outcome;
    why_marker m = {.token = 5, .phase = WHY_MARKER_WORKING}, back;
    why_marker_sign(&m);
    assert_int_equal(why_marker_write(marker, false, &m), WHY_EFILE); /* only the supervisor makes one */
    assert_int_equal(why_marker_write(marker, true, &m), WHY_OK);
    assert_int_equal(why_marker_read(marker, &back), WHY_OK);
    assert_true(back.token == 5 && back.phase == WHY_MARKER_WORKING && back.pid == getpid() && !why_marker_dead(&back));
    assert_int_equal(supervise("mark 4 $$ 0 0 0", 3, &w, &outcome), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "is running already"));
    m.pid = 0x7ffffff0; /* more than any system gives */
    assert_int_equal(why_marker_write(marker, true, &m), WHY_OK);
    assert_int_equal(supervise("mark 4 $$ 0 0 0", 3, &w, &outcome), WHY_OK);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/whypix-supervise.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(marker, sizeof marker, "%s/db.launch", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_ends_gives_its_code),
        cmocka_unit_test(what_hangs_after_the_end_is_ended),
        cmocka_unit_test(a_dead_rank_0_is_launched_again),
        cmocka_unit_test(silence_and_missing_workers_are_launched_again),
        cmocka_unit_test(what_cannot_begin_is_not_tried_again),
        cmocka_unit_test(asked_to_end_it_passes_it_on),
        cmocka_unit_test(one_launch_at_a_time),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
