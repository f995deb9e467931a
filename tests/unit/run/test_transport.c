#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "run/transport.h"

enum { SENDERS = 3, EACH = 5000 };

static void messages_keep_their_order_and_sender(void **state) {
    (void)state;
    why_queue *q;
    uint8_t bytes[WHY_MESSAGE_MAX] = {0}, got[WHY_MESSAGE_MAX];
    assert_int_equal(why_queue_create(3, &q), WHY_OK);
    for (int i = 0; i < 100; i++) {
        why_transport *from = why_queue_end(q, i % 2);
        bytes[0] = (uint8_t)i;
        assert_int_equal(from->send(from, 2, bytes, (size_t)i + 1), WHY_OK);
    }
    why_transport *to = why_queue_end(q, 2);
    assert_true(to->rank == 2 && to->size == 3);
    size_t n;
    int from = -1;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(to->receive(to, 0, got, &n, &from), WHY_OK);
        assert_true(n == (size_t)i + 1 && from == i % 2 && got[0] == i);
    }
    assert_int_equal(to->receive(to, 0, got, &n, &from), WHY_OK);
    assert_int_equal(n, 0);
    why_queue_destroy(&q);
    assert_null(q);
}

static void bad_addresses_and_sizes_are_refused(void **state) {
    (void)state;
    why_queue *q;
    static uint8_t big[WHY_MESSAGE_MAX + 1];
    uint8_t got[WHY_MESSAGE_MAX];
    size_t n;
    int from;
    assert_int_equal(why_queue_create(2, &q), WHY_OK);
    why_transport *a = why_queue_end(q, 0), *b = why_queue_end(q, 1);
    assert_int_equal(a->send(a, 2, big, 1), WHY_EPEER);
    assert_int_equal(a->send(a, -1, big, 1), WHY_EPEER);
    assert_int_equal(a->send(a, 1, big, sizeof big), WHY_OK);
    assert_int_equal(b->receive(b, 0, got, &n, &from), WHY_EFORMAT);
    assert_int_equal(a->send(a, 1, big, 3), WHY_OK); /* left unread: destroy frees it */
    why_queue_destroy(&q);
}

static void waiting_ends_in_time_without_burning_a_core(void **state) {
    (void)state;
    why_queue *q;
    uint8_t got[WHY_MESSAGE_MAX];
    size_t n;
    int from;
    assert_int_equal(why_queue_create(2, &q), WHY_OK);
    why_transport *a = why_queue_end(q, 0);
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    const double t0 = why_clock();
    assert_int_equal(a->receive(a, 0.2, got, &n, &from), WHY_OK);
    const double waited = why_clock() - t0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    const double cpu = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    assert_int_equal(n, 0);
    assert_true(waited >= 0.19 && waited < 5);
    assert_true(cpu < 0.02);
    why_queue_destroy(&q);
}

static void the_pause_grows_to_five_milliseconds(void **state) {
    (void)state;
    int idle = 0;
    double last = 0;
    for (int i = 0; i < 20; i++) {
        const double rest = why_backoff(&idle);
        assert_true(rest >= last && rest >= 49e-6 && rest <= 5e-3);
        last = rest;
    }
    assert_true(last == 5e-3);
    idle = 0;
    assert_true(why_backoff(&idle) < 51e-6);
}

static void *send_many(void *arg) {
    why_transport *t = arg;
    for (uint32_t i = 0; i < EACH; i++)
        if (t->send(t, SENDERS, (const uint8_t *)&i, sizeof i)) return NULL;
    return arg;
}

static void many_threads_may_send_to_one_end(void **state) {
    (void)state;
    why_queue *q;
    pthread_t threads[SENDERS];
    assert_int_equal(why_queue_create(SENDERS + 1, &q), WHY_OK);
    for (int i = 0; i < SENDERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, send_many, why_queue_end(q, i)), 0);
    why_transport *to = why_queue_end(q, SENDERS);
    uint32_t next[SENDERS] = {0};
    for (int k = 0; k < SENDERS * EACH; k++) {
        uint8_t got[WHY_MESSAGE_MAX];
        uint32_t v;
        size_t n;
        int from = -1;
        assert_int_equal(to->receive(to, 10, got, &n, &from), WHY_OK);
        assert_int_equal(n, sizeof v);
        memcpy(&v, got, sizeof v);
        assert_int_equal(v, next[from]);
        next[from]++;
    }
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    why_queue_destroy(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_order_and_sender),
        cmocka_unit_test(bad_addresses_and_sizes_are_refused),
        cmocka_unit_test(waiting_ends_in_time_without_burning_a_core),
        cmocka_unit_test(the_pause_grows_to_five_milliseconds),
        cmocka_unit_test(many_threads_may_send_to_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
