#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "run/protocol.h"
#include "whypix/rng.h"

static why_message full(why_message_type type) {
    return (why_message){.type = type, .shard = 1LL << 40, .image = 123456, .attempt = 3, .wall = 1.25, .part = 0, .parts = 1, .total = 5,
                         .pid = 4242, .threads = 8, .flag = 1, .data = (const uint8_t *)"hello", .size = 5};
}

static void every_type_round_trips(void **state) {
    (void)state;
    for (int t = 1; t < WHY_MSG_TYPES; t++) {
        uint8_t bytes[WHY_MESSAGE_MAX], again[WHY_MESSAGE_MAX];
        const why_message m = full((why_message_type)t);
        const size_t n = why_message_encode(&m, bytes);
        why_message back;
        assert_int_equal(why_message_decode(bytes, n, &back), WHY_OK);
        assert_int_equal(back.type, t);
        assert_int_equal(why_message_encode(&back, again), n);
        assert_memory_equal(bytes, again, n);
    }
}

static void fields_travel(void **state) {
    (void)state;
    uint8_t bytes[WHY_MESSAGE_MAX];
    why_message m = full(WHY_MSG_RESULT), back;
    assert_int_equal(why_message_decode(bytes, why_message_encode(&m, bytes), &back), WHY_OK);
    assert_true(back.shard == 1LL << 40 && back.image == 123456 && back.attempt == 3 && back.wall == 1.25 && back.size == 5);
    assert_memory_equal(back.data, "hello", 5);
    m = full(WHY_MSG_HELLO);
    assert_int_equal(why_message_decode(bytes, why_message_encode(&m, bytes), &back), WHY_OK);
    assert_true(back.pid == 4242 && back.threads == 8);
    m = full(WHY_MSG_ACK);
    assert_int_equal(why_message_decode(bytes, why_message_encode(&m, bytes), &back), WHY_OK);
    assert_true(back.flag == 1 && back.image == 123456);
}

static void long_texts_are_cut(void **state) {
    (void)state;
    static uint8_t text[9000];
    uint8_t bytes[WHY_MESSAGE_MAX];
    memset(text, 'x', sizeof text);
    const why_message m = {.type = WHY_MSG_ERROR, .data = text, .size = sizeof text};
    why_message back;
    assert_int_equal(why_message_encode(&m, bytes), WHY_MESSAGE_MAX);
    assert_int_equal(why_message_decode(bytes, WHY_MESSAGE_MAX, &back), WHY_OK);
    assert_in_range(back.size, 3000, WHY_MESSAGE_MAX);
}

/* Any single changed byte is noticed (CRC-32 finds every error of up to 32 bits in a row), and so is any other length. */
static void damage_is_noticed(void **state) {
    (void)state;
    for (int t = 1; t < WHY_MSG_TYPES; t++) {
        uint8_t bytes[WHY_MESSAGE_MAX];
        const why_message m = full((why_message_type)t);
        const size_t n = why_message_encode(&m, bytes);
        why_message back;
        for (size_t i = 0; i < n; i++) {
            bytes[i] ^= 0x41;
            assert_int_equal(why_message_decode(bytes, n, &back), WHY_EFORMAT);
            bytes[i] ^= 0x41;
            assert_int_equal(why_message_decode(bytes, i, &back), WHY_EFORMAT);
        }
        assert_int_equal(why_message_decode(bytes, WHY_MESSAGE_MAX + 1, &back), WHY_EFORMAT);
    }
}

/* What carries a good checksum but nonsense. */
static void nonsense_is_refused(void **state) {
    (void)state;
    const why_message bad[] = {
        {.type = WHY_MSG_WORK, .parts = 2, .total = 5, .data = (const uint8_t *)"hello", .size = 5},
        {.type = WHY_MSG_WORK, .part = 1, .parts = 1, .total = 5, .data = (const uint8_t *)"hello", .size = 5},
        {.type = WHY_MSG_WORK, .parts = 1, .total = 4, .data = (const uint8_t *)"hello", .size = 5},
        {.type = WHY_MSG_WORK, .parts = 1263227, .total = UINT32_MAX, .data = (const uint8_t *)"hello", .size = 5},
        {.type = WHY_MSG_RESULT, .image = -1, .parts = 1, .total = 5, .data = (const uint8_t *)"hello", .size = 5},
        {.type = WHY_MSG_ACK, .shard = -5},
        {.type = WHY_MSG_STOP, .flag = 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[WHY_MESSAGE_MAX];
        why_message back;
        assert_int_equal(why_message_decode(bytes, why_message_encode(&bad[i], bytes), &back), WHY_EFORMAT);
    }
}

/* ---------------------------------------------------------------- bodies */
enum { PARTS = 5, BODY = (PARTS - 1) * WHY_PART_MAX + 77 };

/* A transport that keeps what is sent. */
typedef struct drawer { why_transport base; uint8_t bytes[PARTS][WHY_MESSAGE_MAX]; size_t n[PARTS]; int count; } drawer;

static why_status keep(why_transport *t, int to, const uint8_t *bytes, size_t n) {
    drawer *d = (drawer *)(void *)t;
    assert_int_equal(to, 0);
    assert_in_range(d->count, 0, PARTS - 1);
    memcpy(d->bytes[d->count], bytes, n);
    d->n[d->count++] = n;
    return WHY_OK;
}

static void add(drawer *d, why_assembly *a, int k, bool *complete) {
    why_message m;
    assert_int_equal(why_message_decode(d->bytes[k], d->n[k], &m), WHY_OK);
    assert_int_equal(why_assembly_add(a, &m, complete), WHY_OK);
}

static void bodies_come_together_in_any_order(void **state) {
    (void)state;
    static uint8_t body[BODY];
    for (int i = 0; i < BODY; i++) body[i] = (uint8_t)(i * 7 + i / 256);
    drawer d = {.base = {.send = keep}};
    const why_message head = {.type = WHY_MSG_RESULT, .shard = 9, .image = 4, .attempt = 1, .wall = 0.5};
    assert_int_equal(why_body_send(&d.base, 0, &head, body, BODY), WHY_OK);
    assert_int_equal(d.count, PARTS);
    static const int orders[][PARTS + 2] = {{0, 1, 2, 3, 4, -1}, {4, 3, 2, 1, 0, -1}, {2, 2, 0, 4, 0, 1, 3}};
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        why_assembly a = {0};
        bool complete = false;
        for (int k = 0; k < PARTS + 2 && orders[o][k] >= 0; k++) {
            assert_false(complete);
            add(&d, &a, orders[o][k], &complete);
        }
        assert_true(complete);
        assert_int_equal(a.head.total, BODY);
        assert_int_equal(a.head.image, 4);
        assert_memory_equal(a.bytes, body, BODY);
        why_assembly_clear(&a);
    }
}

static void a_torn_body_gives_way_to_the_next(void **state) {
    (void)state;
    static uint8_t body[BODY];
    drawer first = {.base = {.send = keep}}, second = {.base = {.send = keep}};
    why_message head = {.type = WHY_MSG_RESULT, .shard = 9, .image = 4};
    assert_int_equal(why_body_send(&first.base, 0, &head, body, BODY), WHY_OK);
    head.image = 5;
    memset(body, 1, sizeof body);
    assert_int_equal(why_body_send(&second.base, 0, &head, body, BODY), WHY_OK);
    why_assembly a = {0};
    bool complete;
    for (int k = 0; k < PARTS - 1; k++) add(&first, &a, k, &complete);
    for (int k = 0; k < PARTS; k++) add(&second, &a, k, &complete);
    assert_true(complete);
    assert_int_equal(a.head.image, 5);
    assert_memory_equal(a.bytes, body, BODY);
    why_assembly_clear(&a);
}

static void an_empty_body_is_a_body(void **state) {
    (void)state;
    drawer d = {.base = {.send = keep}};
    assert_int_equal(why_body_send(&d.base, 0, &(why_message){.type = WHY_MSG_WORK}, NULL, 0), WHY_OK);
    why_assembly a = {0};
    bool complete;
    add(&d, &a, 0, &complete);
    assert_true(complete);
    why_assembly_clear(&a);
}

static void tasks_round_trip(void **state) {
    (void)state;
    uint64_t all[1024];
    for (int i = 0; i < 1024; i++) all[i] = (uint64_t)i * 0x9e3779b97f4a7c15u;
    const why_task tasks[] = {{.image = 0, .index = 7, .n_words = 1, .cells = all + 1},
                              {.image = 8, .index = 2000000, .sha256 = "feed", .n_words = 1024, .cells = all},
                              {.image = 9, .index = 3}};
    why_buf b = {0};
    for (int i = 0; i < 3; i++) why_task_put(&b, &tasks[i]);
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        why_task t;
        bool more;
        assert_int_equal(why_task_next(b.data, b.size, &at, &t, &more), WHY_OK);
        assert_true(more && t.image == tasks[i].image && t.index == tasks[i].index && t.n_words == tasks[i].n_words);
        assert_string_equal(t.sha256, tasks[i].sha256);
        if (t.n_words) assert_memory_equal(t.cells, tasks[i].cells, t.n_words * sizeof *t.cells);
        free(t.cells);
    }
    why_task t;
    bool more = true;
    assert_int_equal(why_task_next(b.data, b.size, &at, &t, &more), WHY_OK);
    assert_false(more);
    for (size_t cut = 1; cut < 84; cut++) { /* the first task has 84 bytes */
        at = 0;
        assert_int_equal(why_task_next(b.data, cut, &at, &t, &more), WHY_EFORMAT);
    }
    why_buf_clear(&b);
}

/* Random bytes with a good checksum reach every decoder; nothing may crash (the sanitizers watch). */
static void hostile_bytes_do_no_harm(void **state) {
    (void)state;
    why_rng rng = why_rng_at((why_stream){.key = 1}, 1);
    why_assembly a = {0};
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[WHY_MESSAGE_MAX];
        const why_message seed = full((why_message_type)(1 + why_rng_below(&rng, WHY_MSG_TYPES - 1)));
        why_message m = seed;
        m.total = why_rng_below(&rng, 9000);
        m.parts = 1 + why_rng_below(&rng, 4);
        m.part = why_rng_below(&rng, 4);
        m.image = (int32_t)why_rng_below(&rng, 4) - 1;
        uint8_t data[WHY_PART_MAX];
        m.data = data;
        m.size = why_rng_below(&rng, 3) ? m.total - m.part * WHY_PART_MAX : why_rng_below(&rng, WHY_PART_MAX);
        if (m.size > WHY_PART_MAX) m.size = WHY_PART_MAX;
        for (uint32_t i = 0; i < m.size; i++) data[i] = (uint8_t)(why_rng_below(&rng, 8) ? 0 : why_rng_u32(&rng));
        const size_t n = why_message_encode(&m, bytes);
        why_message back;
        if (why_message_decode(bytes, n, &back) != WHY_OK) continue;
        bool complete = false, more = true;
        if (back.type == WHY_MSG_WORK || back.type == WHY_MSG_RESULT) assert_int_equal(why_assembly_add(&a, &back, &complete), WHY_OK);
        if (!complete) continue;
        for (size_t at = 0; more;) {
            why_task t;
            if (why_task_next(a.bytes, a.head.total, &at, &t, &more) != WHY_OK) break;
            free(t.cells);
        }
        why_assembly_clear(&a);
    }
    why_assembly_clear(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_round_trips),
        cmocka_unit_test(fields_travel),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(bodies_come_together_in_any_order),
        cmocka_unit_test(a_torn_body_gives_way_to_the_next),
        cmocka_unit_test(an_empty_body_is_a_body),
        cmocka_unit_test(tasks_round_trip),
        cmocka_unit_test(hostile_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
