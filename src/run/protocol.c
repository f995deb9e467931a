#include "run/protocol.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/mem.h"

enum { MAGIC = 0x59, VERSION = 1, HEAD = 3, TAIL = 4, MAX_WORDS = 1024 /* cell ids are below 65536 */, HASH = 64 /* hexadecimal digits */ };

enum { SHARD = 1, IMAGE = 2, ATTEMPT = 4, WALL = 8, PARTS = 16, PID = 32, FLAG = 64, DATA = 128 };

static const struct {
    const char *name;
    unsigned fields;
} types[] = {
    [0] = {"none", 0},
    [WHY_MSG_HELLO] = {"HELLO", PID | DATA},
    [WHY_MSG_WORK] = {"WORK", SHARD | ATTEMPT | PARTS | DATA},
    [WHY_MSG_RESULT] = {"RESULT", SHARD | IMAGE | ATTEMPT | WALL | PARTS | DATA},
    [WHY_MSG_ACK] = {"ACK", SHARD | IMAGE | FLAG},
    [WHY_MSG_ERROR] = {"ERROR", IMAGE | DATA},
    [WHY_MSG_CRASH] = {"CRASH", SHARD | IMAGE | DATA},
    [WHY_MSG_FORGET] = {"FORGET", SHARD | FLAG},
    [WHY_MSG_BEAT] = {"BEAT", 0},
    [WHY_MSG_STOP] = {"STOP", FLAG},
    [WHY_MSG_BYE] = {"BYE", 0},
    [WHY_MSG_CLOSE] = {"CLOSE", FLAG},
};
_Static_assert(sizeof types / sizeof *types == WHY_MSG_TYPES, "one row per message type");

const char *why_message_name(why_message_type type) { return (unsigned)type < WHY_MSG_TYPES ? types[type].name : "?"; }

/* ---------------------------------------------------------------- fields */
static uint8_t *put(uint8_t *at, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> 8 * i);
    return at + bytes;
}

static uint64_t get(const uint8_t **at, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)(*at)[i] << 8 * i;
    *at += bytes;
    return v;
}

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double double_of(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static size_t fixed_size(unsigned fields) {
    size_t n = 0;
    if (fields & SHARD) n += 8;
    if (fields & IMAGE) n += 4;
    if (fields & ATTEMPT) n += 4;
    if (fields & WALL) n += 8;
    if (fields & PARTS) n += 12;
    if (fields & PID) n += 12;
    if (fields & FLAG) n += 1;
    return n;
}
_Static_assert(WHY_PART_MAX + HEAD + TAIL + 8 + 4 + 4 + 8 + 12 <= WHY_MESSAGE_MAX, "a full part fits into a message");

static uint8_t *put_fields(uint8_t *at, unsigned fields, const why_message *m) {
    if (fields & SHARD) at = put(at, (uint64_t)m->shard, 8);
    if (fields & IMAGE) at = put(at, (uint32_t)m->image, 4);
    if (fields & ATTEMPT) at = put(at, (uint32_t)m->attempt, 4);
    if (fields & WALL) at = put(at, bits_of(m->wall), 8);
    if (fields & PARTS) {
        at = put(at, m->part, 4);
        at = put(at, m->parts, 4);
        at = put(at, m->total, 4);
    }
    if (fields & PID) {
        at = put(at, (uint64_t)m->pid, 8);
        at = put(at, (uint32_t)m->threads, 4);
    }
    if (fields & FLAG) at = put(at, m->flag, 1);
    return at;
}

static const uint8_t *get_fields(const uint8_t *at, unsigned fields, why_message *m) {
    if (fields & SHARD) m->shard = (int64_t)get(&at, 8);
    if (fields & IMAGE) m->image = (int32_t)(uint32_t)get(&at, 4);
    if (fields & ATTEMPT) m->attempt = (int32_t)(uint32_t)get(&at, 4);
    if (fields & WALL) m->wall = double_of(get(&at, 8));
    if (fields & PARTS) {
        m->part = (uint32_t)get(&at, 4);
        m->parts = (uint32_t)get(&at, 4);
        m->total = (uint32_t)get(&at, 4);
    }
    if (fields & PID) {
        m->pid = (int64_t)get(&at, 8);
        m->threads = (int32_t)(uint32_t)get(&at, 4);
    }
    if (fields & FLAG) m->flag = (uint8_t)get(&at, 1);
    return at;
}

/* ---------------------------------------------------------------- messages */
size_t why_message_encode(const why_message *m, uint8_t out[WHY_MESSAGE_MAX]) {
    const unsigned fields = types[m->type].fields;
    uint8_t *at = put(out, MAGIC, 1);
    at = put(at, VERSION, 1);
    at = put(at, (uint64_t)m->type, 1);
    at = put_fields(at, fields, m);
    if (fields & DATA) {
        const size_t room = WHY_MESSAGE_MAX - TAIL - (size_t)(at - out), n = m->size < room ? m->size : room;
        if (n > 0) memcpy(at, m->data, n);
        at += n;
    }
    const size_t n = (size_t)(at - out);
    return (size_t)(put(at, crc32(0, out, (uInt)n), 4) - out);
}

static uint32_t parts_of(uint32_t total) { return total == 0 ? 1 : (total + WHY_PART_MAX - 1) / WHY_PART_MAX; }

static uint32_t part_size(uint32_t total, uint32_t part) {
    const uint32_t from = part * WHY_PART_MAX;
    return total - from < WHY_PART_MAX ? total - from : WHY_PART_MAX;
}

static bool consistent(const why_message *m, unsigned fields) {
    if ((fields & PARTS) && (m->total > WHY_BODY_MAX || m->parts != parts_of(m->total) || m->part >= m->parts ||
                             m->size != part_size(m->total, m->part)))
        return false;
    return m->image >= 0 && m->attempt >= 0 && m->shard >= 0 && m->flag <= 1;
}

why_status why_message_decode(const uint8_t *bytes, size_t n, why_message *m) {
    *m = (why_message){0};
    if (n < HEAD + TAIL || n > WHY_MESSAGE_MAX)
        return why_fail(WHY_EFORMAT, "message of %zu bytes, %d to %d wanted", n, HEAD + TAIL, WHY_MESSAGE_MAX);
    const uint8_t *tail = bytes + n - TAIL, *at = bytes + HEAD;
    const uint32_t crc = (uint32_t)get(&tail, 4), want = (uint32_t)crc32(0, bytes, (uInt)(n - TAIL));
    if (crc != want) return why_fail(WHY_EFORMAT, "message of %zu bytes: checksum %08x, computed %08x", n, crc, want);
    if (bytes[0] != MAGIC || bytes[1] != VERSION)
        return why_fail(WHY_EFORMAT, "message begins %02x %02x, want %02x %02x", bytes[0], bytes[1], MAGIC, VERSION);
    if (bytes[2] == 0 || bytes[2] >= WHY_MSG_TYPES)
        return why_fail(WHY_EFORMAT, "message type %d, 1 to %d are known", bytes[2], WHY_MSG_TYPES - 1);
    m->type = (why_message_type)bytes[2];
    const unsigned fields = types[m->type].fields;
    const size_t fixed = HEAD + fixed_size(fields) + TAIL;
    if (n < fixed || (n > fixed && !(fields & DATA)))
        return why_fail(WHY_EFORMAT, "%s message of %zu bytes, want %zu", types[m->type].name, n, fixed);
    at = get_fields(at, fields, m);
    if (fields & DATA) {
        m->data = at;
        m->size = (uint32_t)(n - fixed);
    }
    return consistent(m, fields) ? WHY_OK : why_fail(WHY_EFORMAT, "%s message with a field out of range", types[m->type].name);
}

why_status why_message_send(why_transport *t, int to, const why_message *m) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    return t->send(t, to, bytes, why_message_encode(m, bytes));
}

why_status why_body_send(why_transport *t, int to, const why_message *head, const uint8_t *body, size_t n) {
    if (n > WHY_BODY_MAX) return why_fail(WHY_ELIMIT, "%s body of %zu bytes, at most %d", why_message_name(head->type), n, WHY_BODY_MAX);
    why_message m = *head;
    m.total = (uint32_t)n;
    m.parts = parts_of(m.total);
    for (m.part = 0; m.part < m.parts; m.part++) {
        m.data = n > 0 ? body + (size_t)m.part * WHY_PART_MAX : NULL;
        m.size = part_size(m.total, m.part);
        WHY_TRY(why_message_send(t, to, &m));
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- bodies */
void why_assembly_clear(why_assembly *a) {
    free(a->bytes);
    free(a->seen);
    *a = (why_assembly){0};
}

static bool same_body(const why_message *a, const why_message *b) {
    return a->type == b->type && a->shard == b->shard && a->image == b->image && a->attempt == b->attempt && a->total == b->total;
}

static why_status assembly_begin(why_assembly *a, const why_message *part) {
    why_assembly_clear(a);
    why_status st = why_alloc(part->total, 1, "message body", &a->bytes);
    if (!st) st = why_alloc(part->parts, 1, "message body", &a->seen);
    if (st) {
        why_assembly_clear(a);
        return st;
    }
    a->head = *part;
    a->head.data = NULL;
    a->left = part->parts;
    return WHY_OK;
}

why_status why_assembly_add(why_assembly *a, const why_message *part, bool *complete) {
    *complete = false;
    if (a->head.parts == 0 || !same_body(&a->head, part)) WHY_TRY(assembly_begin(a, part));
    if (!a->seen[part->part]) {
        if (part->size > 0) memcpy(a->bytes + (size_t)part->part * WHY_PART_MAX, part->data, part->size);
        a->seen[part->part] = 1;
        a->left--;
    }
    *complete = a->left == 0;
    return WHY_OK;
}

void why_task_put(why_buf *b, const why_task *task) {
    uint8_t bytes[12], *at = bytes;
    char hash[HASH] = {0};
    at = put(at, (uint32_t)task->image, 4);
    at = put(at, (uint32_t)task->index, 4);
    at = put(at, task->n_words, 4);
    why_buf_put(b, bytes, (size_t)(at - bytes));
    memcpy(hash, task->sha256, strnlen(task->sha256, HASH));
    why_buf_put(b, hash, HASH);
    for (uint32_t i = 0; i < task->n_words; i++) {
        put(bytes, task->cells[i], 8);
        why_buf_put(b, bytes, 8);
    }
}

why_status why_task_next(const uint8_t *body, size_t n, size_t *at, why_task *task, bool *more) {
    *task = (why_task){0};
    *more = *at < n;
    if (!*more) return WHY_OK;
    const size_t head = 12 + HASH;
    if (n - *at < head) return why_fail(WHY_EFORMAT, "WORK body ends inside a task at byte %zu of %zu", *at, n);
    const uint8_t *p = body + *at;
    task->image = (int32_t)(uint32_t)get(&p, 4);
    task->index = (int32_t)(uint32_t)get(&p, 4);
    task->n_words = (uint32_t)get(&p, 4);
    if (task->image < 0 || task->index < 0 || task->n_words > MAX_WORDS || n - *at - head < (size_t)task->n_words * 8)
        return why_fail(WHY_EFORMAT, "WORK body: task at byte %zu of %zu is malformed", *at, n);
    memcpy(task->sha256, p, HASH);
    p += HASH;
    WHY_TRY(why_alloc(task->n_words, sizeof *task->cells, "cells of an image", &task->cells));
    for (uint32_t i = 0; i < task->n_words; i++) task->cells[i] = get(&p, 8);
    *at += head + (size_t)task->n_words * 8;
    return WHY_OK;
}
