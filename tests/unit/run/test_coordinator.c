/* The coordinator's rules one by one; what they add up to is in test_coordinator_sim.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "run/coordinator.h"

enum { LOG = 512 };
typedef struct bench { why_coordinator *c; double now; why_action log[LOG]; int n; } bench;

static bench bench_of(why_coordinator_options o) {
    bench b = {0};
    assert_int_equal(why_coordinator_create(&o, &b.c), WHY_OK);
    return b;
}

/* Handle an event; b->log then holds its actions. */
static void event(bench *b, why_event e) {
    e.now = b->now;
    b->n = 0;
    assert_int_equal(why_coordinator_handle(b->c, &e), WHY_OK);
    for (why_action a; why_coordinator_next(b->c, &a);) {
        assert_in_range(b->n, 0, LOG - 1);
        b->log[b->n++] = a;
    }
}

static void tick(bench *b) { event(b, (why_event){.type = WHY_EVENT_TICK}); }
static void hello(bench *b, int w) { event(b, (why_event){.type = WHY_EVENT_HELLO, .worker = w}); }
static void bye(bench *b, int w) { event(b, (why_event){.type = WHY_EVENT_BYE, .worker = w}); }
static void result(bench *b, int w, int64_t shard, int image) {
    event(b, (why_event){.type = WHY_EVENT_RESULT, .worker = w, .shard = shard, .image = image, .wall = 0.1});
}

static const why_action *find(const bench *b, why_action_type type) {
    for (int i = 0; i < b->n; i++)
        if (b->log[i].type == type) return &b->log[i];
    return NULL;
}

static int count(const bench *b, why_action_type type) {
    int n = 0;
    for (int i = 0; i < b->n; i++) n += b->log[i].type == type;
    return n;
}

static void the_row_is_committed_before_the_shard_is_sent(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(1, 3);
    o.shard = 3;
    o.first_shard = 41;
    bench b = bench_of(o);
    hello(&b, 0);
    assert_int_equal(b.n, 0);
    tick(&b);
    assert_int_equal(b.n, 3);
    assert_int_equal(b.log[0].type, WHY_ACTION_OPEN_SHARD);
    assert_int_equal(b.log[1].type, WHY_ACTION_COMMIT);
    assert_int_equal(b.log[2].type, WHY_ACTION_SEND_SHARD);
    assert_true(b.log[2].shard == 41 && b.log[2].first == 0 && b.log[2].n == 3 && b.log[2].attempt == 1);
    why_coordinator_destroy(&b.c);
}

static void acknowledgements_follow_the_commit(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(1, 4);
    o.shard = 4;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    result(&b, 0, 1, 0);
    assert_int_equal(b.n, 1);
    assert_int_equal(b.log[0].type, WHY_ACTION_STORE);
    b.now = 0.5;
    tick(&b);
    assert_null(find(&b, WHY_ACTION_COMMIT)); /* a second has not passed */
    b.now = 1.1;
    tick(&b);
    const why_action *ack = find(&b, WHY_ACTION_ACK);
    assert_true(ack && ack > find(&b, WHY_ACTION_COMMIT) && ack->image == 0 && ack->flag);
    result(&b, 0, 1, 0); /* the same again: acknowledged at once, not stored */
    assert_int_equal(b.n, 1);
    assert_true(b.log[0].type == WHY_ACTION_ACK && b.log[0].flag); /* the first may have been lost: it is still this record that was taken */
    result(&b, 0, 1, 77); /* no such image */
    assert_int_equal(b.n, 0);
    why_coordinator_destroy(&b.c);
}

/* Two workers computed the image: only one of them may count it, however often they ask. */
static void one_record_is_taken(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 4);
    o.shard = 2;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    hello(&b, 1);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 0, .text = "is cut off"});
    tick(&b);
    result(&b, 1, 2, 2);
    result(&b, 1, 2, 3);
    tick(&b);
    const why_action *again = find(&b, WHY_ACTION_SEND_SHARD);
    assert_true(again && again->worker == 1 && again->first == 1); /* image 0 is the suspect and goes alone, behind it */
    result(&b, 0, 1, 1);
    result(&b, 1, again->shard, 1);
    b.now += 2;
    tick(&b);
    int acks = 0;
    for (int i = 0; i < b.n; i++)
        if (b.log[i].type == WHY_ACTION_ACK && b.log[i].image == 1) {
            acks++;
            assert_int_equal(b.log[i].flag, b.log[i].worker == 0);
        }
    assert_int_equal(acks, 2);
    result(&b, 0, 1, 1);
    assert_true(b.n == 1 && b.log[0].flag);
    why_coordinator_destroy(&b.c);
}

/* A record of an image that has just been given up waits for the commit of the failure. */
static void nothing_is_acknowledged_before_the_commit(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 1);
    o.max_losses = 1;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 0, .text = "is cut off"});
    assert_non_null(find(&b, WHY_ACTION_FAIL_IMAGE));
    result(&b, 0, 1, 0);
    assert_null(find(&b, WHY_ACTION_ACK));
    assert_null(find(&b, WHY_ACTION_STORE));
    tick(&b);
    const why_action *ack = find(&b, WHY_ACTION_ACK);
    assert_true(ack && ack > find(&b, WHY_ACTION_COMMIT) && !ack->flag && ack->worker == 0);
    assert_int_equal(count(&b, WHY_ACTION_ACK), 1);
    why_coordinator_destroy(&b.c);
}

static void the_end_waits_for_everyone(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 2);
    bench b = bench_of(o);
    hello(&b, 0);
    hello(&b, 1);
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_SEND_SHARD), 2);
    result(&b, 0, 1, 0);
    result(&b, 1, 2, 1);
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_ACK), 2);
    assert_int_equal(count(&b, WHY_ACTION_STOP), 2);
    assert_true(find(&b, WHY_ACTION_STOP) > find(&b, WHY_ACTION_COMMIT));
    bye(&b, 0);
    tick(&b);
    assert_null(find(&b, WHY_ACTION_FINISH));
    bye(&b, 1);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 0);
    assert_true(why_coordinator_look(b.c).finished);
    why_coordinator_destroy(&b.c);
}

static void guided_shards_shrink_to_single_images(void **state) {
    (void)state;
    enum { N = 200 };
    why_coordinator_options o = why_coordinator_defaults(2, N);
    bench b = bench_of(o);
    int sizes[N], n = 0, computed = 0;
    hello(&b, 0);
    hello(&b, 1);
    tick(&b);
    why_action queue[N];
    int tail = 0;
    for (int head = 0; computed < N;) {
        for (int i = 0; i < b.n; i++)
            if (b.log[i].type == WHY_ACTION_SEND_SHARD) {
                queue[tail++] = b.log[i];
                sizes[n++] = b.log[i].n;
            }
        const why_action a = queue[head++];
        for (int i = 0; i < a.n; i++, computed++) {
            b.now += 0.1;
            result(&b, a.worker, a.shard, a.first + i);
        }
        tick(&b);
    }
    assert_int_equal(sizes[0], 4); /* nothing measured yet */
    assert_in_range(sizes[2], 30, 50);
    assert_int_equal(sizes[n - 1], 1);
    assert_in_range(n, 10, 40);
    why_coordinator_destroy(&b.c);
}

static void a_silent_worker_loses_its_images_to_others(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 4);
    o.shard = 2;
    o.beat_every = 1000; /* no help before the end of its patience */
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    hello(&b, 1);
    tick(&b);
    result(&b, 1, 2, 2);
    result(&b, 1, 2, 3);
    for (; b.now < 200; b.now += 0.5) {
        event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 1});
        tick(&b);
        if (find(&b, WHY_ACTION_FORGET)) break;
    }
    assert_in_range((uintmax_t)b.now, 180, 182);
    assert_int_equal(find(&b, WHY_ACTION_FORGET)->worker, 0);
    assert_string_equal(find(&b, WHY_ACTION_CLOSE_SHARD)->text, "lost");
    const why_action *again = find(&b, WHY_ACTION_SEND_SHARD);
    assert_true(again && again->worker == 1 && again->attempt == 2 && again->n == 1);
    assert_non_null(strstr(why_coordinator_look(b.c).trouble, "worker 0 was silent for 18"));
    result(&b, 0, 1, 0); /* it was only late: taken, and it may work again */
    assert_int_equal(b.log[0].type, WHY_ACTION_STORE);
    assert_int_equal(why_coordinator_look(b.c).lost, 0);
    why_coordinator_destroy(&b.c);
}

static void seconds_pass(bench *b, double until, int beating) {
    for (; b->now < until; b->now += 0.5) {
        event(b, (why_event){.type = WHY_EVENT_BEAT, .worker = beating});
        tick(b);
        if (find(b, WHY_ACTION_FORGET)) return;
    }
}

/* Whoever is idle helps a quiet worker at the end; nobody is lost, and the next to fall silent at that image is counted. */
static void the_idle_help_a_quiet_worker(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 2);
    o.shard = 1;
    o.max_losses = 1;
    bench b = bench_of(o);
    hello(&b, 0);
    hello(&b, 1);
    tick(&b);
    result(&b, 1, 2, 1);
    seconds_pass(&b, 100, 1);
    assert_in_range((uintmax_t)b.now, 45, 47);
    assert_string_equal(find(&b, WHY_ACTION_CLOSE_SHARD)->text, "left");
    const why_action *help = find(&b, WHY_ACTION_SEND_SHARD);
    assert_true(help && help->worker == 1 && help->first == 0 && help->attempt == 2);
    assert_int_equal(why_coordinator_look(b.c).lost, 0);
    event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 0}); /* it was only quiet, and is idle now */
    const double then = b.now;
    seconds_pass(&b, 1000, 0);
    assert_in_range((uintmax_t)(b.now - then), 179, 182); /* no second help: worker 1 is lost to this image */
    assert_non_null(find(&b, WHY_ACTION_FAIL_IMAGE));
    why_coordinator_destroy(&b.c);
}

/* Its images were taken over, but then it is heard again: it stands in line like anybody else. */
static void a_quiet_worker_gets_work_again(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 5);
    o.shard = 2;
    bench b = bench_of(o);
    hello(&b, 0);
    hello(&b, 1);
    tick(&b);
    result(&b, 1, 2, 2);
    result(&b, 1, 2, 3);
    tick(&b);
    result(&b, 1, 3, 4);
    seconds_pass(&b, 100, 1);
    assert_int_equal(find(&b, WHY_ACTION_SEND_SHARD)->worker, 1);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 1, .text = "is cut off"});
    event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 0});
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_SEND_SHARD)->worker, 0);
    why_coordinator_destroy(&b.c);
}

/* What a dead worker had sent is taken when it comes, but it gets no more work for it. */
static void the_dead_do_not_come_back(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 2);
    o.shard = 1;
    bench b = bench_of(o);
    hello(&b, 0);
    hello(&b, 1);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_DEATH, .worker = 1, .text = "died"});
    assert_int_equal(find(&b, WHY_ACTION_FORGET)->worker, 1);
    event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 1});
    result(&b, 1, 2, 1);
    assert_non_null(find(&b, WHY_ACTION_STORE));
    hello(&b, 1);
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_SEND_SHARD), 0);
    assert_int_equal(why_coordinator_look(b.c).lost, 1);
    result(&b, 0, 1, 0);
    bye(&b, 0);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 0);
    why_coordinator_destroy(&b.c);
}

/* The process that computes for a worker dies at an image; the worker and its other images stay. */
static void an_image_that_kills_processes_is_given_up(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(1, 3);
    o.shard = 3;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_CRASH, .worker = 0, .shard = 1, .image = 1, .text = "SIGSEGV"});
    assert_null(find(&b, WHY_ACTION_FORGET));
    assert_int_equal(why_coordinator_look(b.c).live, 1);
    event(&b, (why_event){.type = WHY_EVENT_CRASH, .worker = 0, .shard = 1, .image = 1, .text = "SIGSEGV"}); /* told twice */
    assert_int_equal(b.n, 0);
    result(&b, 0, 1, 0);
    result(&b, 0, 1, 2);
    tick(&b);
    const why_action *alone = find(&b, WHY_ACTION_SEND_SHARD);
    assert_true(alone && alone->first == 1 && alone->n == 1 && alone->attempt == 2);
    const int64_t second = alone->shard;
    event(&b, (why_event){.type = WHY_EVENT_CRASH, .worker = 0, .shard = 1, .image = 1, .text = "SIGSEGV"}); /* still of the first attempt */
    assert_int_equal(b.n, 0);
    event(&b, (why_event){.type = WHY_EVENT_CRASH, .worker = 0, .shard = second, .image = 1, .text = "SIGBUS"});
    const why_action *fail = find(&b, WHY_ACTION_FAIL_IMAGE);
    assert_true(fail && fail->image == 1 && fail->attempt == 2);
    assert_string_equal(fail->text, "killed its worker twice: SIGBUS");
    assert_string_equal(find(&b, WHY_ACTION_CLOSE_SHARD)->text, "lost");
    tick(&b);
    bye(&b, 0);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 1);
    why_coordinator_destroy(&b.c);
}

/* Workers that compute elsewhere are not brought down by an image, but for one that hangs. */
static void a_death_counts_half_under_supervision(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(9, 1);
    o.supervised = true;
    bench b = bench_of(o);
    bye(&b, 0);
    for (int w = 1; w < 9; w++) hello(&b, w);
    for (int w = 1; w < 4; w++) {
        tick(&b);
        assert_int_equal(find(&b, WHY_ACTION_SEND_SHARD)->worker, w);
        event(&b, (why_event){.type = WHY_EVENT_DEATH, .worker = w, .text = "died"});
        assert_null(find(&b, WHY_ACTION_FAIL_IMAGE));
    }
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_DEATH, .worker = 4, .text = "died"});
    assert_string_equal(find(&b, WHY_ACTION_FAIL_IMAGE)->text, "cost 4 workers, the last: worker 4 died");
    why_coordinator_destroy(&b.c);
}

static void with_few_workers_left_the_run_ends_early(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(4, 40); /* worker 0 is no worker, as under supervision */
    o.shard = 1;
    o.supervised = true;
    bench b = bench_of(o);
    bye(&b, 0);
    for (int w = 1; w < 4; w++) hello(&b, w);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 1, .text = "died"});
    tick(&b);
    assert_false(why_coordinator_look(b.c).stopping);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 2, .text = "died"});
    tick(&b);
    assert_true(why_coordinator_look(b.c).stopping);
    result(&b, 3, 3, 2); /* what it was at is still taken */
    assert_non_null(find(&b, WHY_ACTION_STORE));
    bye(&b, 3);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 3);
    why_coordinator_destroy(&b.c);
}

static void a_hanging_image_is_found_though_beats_go_on(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(1, 2);
    o.shard = 2;
    o.first_image = 50;
    bench b = bench_of(o);
    hello(&b, 0);
    for (; b.now < 60; b.now += 0.5) {
        event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 0});
        tick(&b);
        if (find(&b, WHY_ACTION_FORGET)) break;
    }
    assert_in_range((uintmax_t)b.now, 50, 52);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 3); /* nobody is left */
    why_coordinator_destroy(&b.c);
}

/* At the end the lost are told, too, for they may be alive; but nobody waits for them. */
static void the_lost_are_told_to_stop_and_not_waited_for(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(2, 1);
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = 1, .text = "is gone"});
    result(&b, 0, 1, 0);
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_STOP), 2);
    bye(&b, 0);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 0);
    assert_int_equal(why_coordinator_look(b.c).lost, 1);
    why_coordinator_destroy(&b.c);
}

/* A commit that waited minutes for a reader must not cost the workers whose messages lie unread. */
static void the_coordinators_own_absence_is_nobodys_fault(void **state) {
    (void)state;
    bench b = bench_of(why_coordinator_defaults(1, 1));
    hello(&b, 0);
    tick(&b);
    b.now = 1000;
    tick(&b);
    assert_null(find(&b, WHY_ACTION_FORGET));
    event(&b, (why_event){.type = WHY_EVENT_BEAT, .worker = 0});
    b.now = 1002;
    tick(&b);
    assert_null(find(&b, WHY_ACTION_FORGET));
    why_coordinator_destroy(&b.c);
}

static void an_image_that_costs_two_workers_is_given_up(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(3, 3);
    o.shard = 3;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    result(&b, 0, 1, 0);
    event(&b, (why_event){.type = WHY_EVENT_ERROR, .worker = 0, .image = 1, .text = "out of memory"});
    assert_int_equal(find(&b, WHY_ACTION_STOP)->worker, 0);
    assert_null(find(&b, WHY_ACTION_FAIL_IMAGE));
    hello(&b, 1);
    hello(&b, 2);
    tick(&b);
    int by[3] = {-1, -1, -1}; /* image 1 goes alone */
    for (int i = 0; i < b.n; i++)
        if (b.log[i].type == WHY_ACTION_SEND_SHARD) {
            assert_int_equal(b.log[i].n, 1);
            by[b.log[i].first] = b.log[i].worker;
        }
    event(&b, (why_event){.type = WHY_EVENT_LOST, .worker = by[1], .text = "was killed"});
    const why_action *fail = find(&b, WHY_ACTION_FAIL_IMAGE);
    assert_true(fail && fail->image == 1);
    assert_non_null(strstr(fail->text, "cost 2 workers"));
    assert_non_null(strstr(fail->text, "was killed"));
    why_coordinator_destroy(&b.c);
}

static void a_drain_ends_with_75_and_drops_nothing_that_runs(void **state) {
    (void)state;
    why_coordinator_options o = why_coordinator_defaults(1, 5);
    o.shard = 2;
    bench b = bench_of(o);
    hello(&b, 0);
    tick(&b);
    event(&b, (why_event){.type = WHY_EVENT_DRAIN});
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_STOP), 1);
    result(&b, 0, 1, 0); /* was running */
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_ACK), 1);
    assert_int_equal(count(&b, WHY_ACTION_SEND_SHARD), 0);
    bye(&b, 0);
    assert_string_equal(find(&b, WHY_ACTION_CLOSE_SHARD)->text, "left");
    tick(&b);
    assert_int_equal(b.log[0].type, WHY_ACTION_COMMIT);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 75);
    why_coordinator_destroy(&b.c);
}

static void a_failed_image_gives_1_and_may_stop_the_run(void **state) {
    (void)state;
    for (int stop = 0; stop < 2; stop++) {
        why_coordinator_options o = why_coordinator_defaults(1, 2);
        o.shard = 1;
        o.stop_on_failure = stop;
        bench b = bench_of(o);
        hello(&b, 0);
        tick(&b);
        event(&b, (why_event){.type = WHY_EVENT_RESULT, .worker = 0, .shard = 1, .image = 0, .failed = true});
        tick(&b);
        assert_int_equal(count(&b, WHY_ACTION_SEND_SHARD), stop ? 0 : 1);
        assert_int_equal(count(&b, WHY_ACTION_STOP), stop);
        if (!stop) {
            result(&b, 0, 2, 1);
            tick(&b);
        }
        bye(&b, 0);
        tick(&b);
        assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 1);
        why_coordinator_destroy(&b.c);
    }
}

static void nothing_to_do_ends_at_once(void **state) {
    (void)state;
    bench b = bench_of(why_coordinator_defaults(1, 0));
    tick(&b);
    assert_int_equal(count(&b, WHY_ACTION_STOP), 1);
    bye(&b, 0);
    tick(&b);
    assert_int_equal(find(&b, WHY_ACTION_FINISH)->code, 0);
    why_coordinator_destroy(&b.c);
}

static void an_unknown_worker_is_a_bug(void **state) {
    (void)state;
    bench b = bench_of(why_coordinator_defaults(2, 1));
    const why_event e = {.type = WHY_EVENT_HELLO, .worker = 2};
    assert_int_equal(why_coordinator_handle(b.c, &e), WHY_EBUG);
    assert_string_equal(why_error_text(), "coordinator: worker 2 of 2");
    why_coordinator_destroy(&b.c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_is_committed_before_the_shard_is_sent),
        cmocka_unit_test(acknowledgements_follow_the_commit),
        cmocka_unit_test(one_record_is_taken),
        cmocka_unit_test(nothing_is_acknowledged_before_the_commit),
        cmocka_unit_test(the_end_waits_for_everyone),
        cmocka_unit_test(guided_shards_shrink_to_single_images),
        cmocka_unit_test(a_silent_worker_loses_its_images_to_others),
        cmocka_unit_test(the_idle_help_a_quiet_worker),
        cmocka_unit_test(a_quiet_worker_gets_work_again),
        cmocka_unit_test(the_dead_do_not_come_back),
        cmocka_unit_test(an_image_that_kills_processes_is_given_up),
        cmocka_unit_test(a_death_counts_half_under_supervision),
        cmocka_unit_test(with_few_workers_left_the_run_ends_early),
        cmocka_unit_test(a_hanging_image_is_found_though_beats_go_on),
        cmocka_unit_test(the_lost_are_told_to_stop_and_not_waited_for),
        cmocka_unit_test(the_coordinators_own_absence_is_nobodys_fault),
        cmocka_unit_test(an_image_that_costs_two_workers_is_given_up),
        cmocka_unit_test(a_drain_ends_with_75_and_drops_nothing_that_runs),
        cmocka_unit_test(a_failed_image_gives_1_and_may_stop_the_run),
        cmocka_unit_test(nothing_to_do_ends_at_once),
        cmocka_unit_test(an_unknown_worker_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
