#include "explain/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct entry {
    size_t at, size; /* of the key in `keys` */
    uint64_t hash;
};

struct why_cache {
    int width, n;
    why_buf keys;
    struct entry *entries;
    size_t entries_capacity;
    float *rows;
    size_t rows_capacity;
    int32_t *slots; /* row + 1, or 0: free */
    size_t n_slots; /* a power of two, at least twice the number of rows */
};

enum { FIRST_SLOTS = 1024 };

why_status why_cache_create(int width, why_cache **out) {
    *out = NULL;
    why_cache *c;
    WHY_TRY(why_alloc(1, sizeof *c, "score cache", &c));
    c->width = width;
    c->n_slots = FIRST_SLOTS;
    why_status st = why_alloc(c->n_slots, sizeof *c->slots, "score cache", &c->slots);
    if (st) why_cache_destroy(&c);
    *out = c;
    return st;
}

void why_cache_destroy(why_cache **c) {
    if (!*c) return;
    why_buf_clear(&(*c)->keys);
    free((*c)->entries);
    free((*c)->rows);
    free((*c)->slots);
    free(*c);
    *c = NULL;
}

void why_cache_clear(why_cache *c) {
    c->n = 0;
    c->keys.size = 0;
    c->keys.failed = false;
    memset(c->slots, 0, c->n_slots * sizeof *c->slots);
}

/* Eight bytes at a time: keys of pixel sets have thousands. Multiply and fold as in splitmix64. */
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 29;
}

static uint64_t hash_of(const uint8_t *key, size_t size) {
    uint64_t h = 0x9e3779b97f4a7c15u ^ size, v;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&v, key + i, 8);
        h = mix(h, v);
    }
    v = 0;
    if (size > i) memcpy(&v, key + i, size - i);
    return mix(mix(h, v), h >> 32);
}

static bool same(const why_cache *c, int row, const void *key, size_t size, uint64_t hash) {
    const struct entry *e = &c->entries[row];
    return e->hash == hash && e->size == size && memcmp(c->keys.data + e->at, key, size) == 0;
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t probe(const why_cache *c, const void *key, size_t size, uint64_t hash) {
    size_t at = hash & (c->n_slots - 1);
    while (c->slots[at] && !same(c, c->slots[at] - 1, key, size, hash)) at = (at + 1) & (c->n_slots - 1);
    return at;
}

static why_status grow_slots(why_cache *c) {
    int32_t *slots;
    size_t n = 2 * c->n_slots;
    WHY_TRY(why_alloc(n, sizeof *slots, "score cache", &slots));
    for (int row = 0; row < c->n; row++) {
        size_t at = c->entries[row].hash & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = row + 1;
    }
    free(c->slots);
    c->slots = slots;
    c->n_slots = n;
    return WHY_OK;
}

static why_status append(why_cache *c, const void *key, size_t size, uint64_t hash) {
    size_t n = (size_t)c->n + 1, at = c->keys.size;
    WHY_TRY(why_grow(&c->entries, &c->entries_capacity, n, sizeof *c->entries, "score cache"));
    WHY_TRY(why_grow(&c->rows, &c->rows_capacity, n, (size_t)c->width * sizeof *c->rows, "score cache"));
    why_buf_put(&c->keys, key, size);
    WHY_TRY(why_buf_status(&c->keys));
    c->entries[c->n] = (struct entry){.at = at, .size = size, .hash = hash};
    return WHY_OK;
}

why_status why_cache_row_of(why_cache *c, const void *key, size_t size, int *row, bool *fresh) {
    if (2 * ((size_t)c->n + 1) > c->n_slots) WHY_TRY(grow_slots(c));
    uint64_t hash = hash_of(key, size);
    size_t at = probe(c, key, size, hash);
    *fresh = c->slots[at] == 0;
    if (*fresh) {
        WHY_TRY(append(c, key, size, hash));
        c->slots[at] = ++c->n;
    }
    *row = c->slots[at] - 1;
    return WHY_OK;
}

float *why_cache_row(why_cache *c, int row) { return c->rows + (size_t)row * (size_t)c->width; }
