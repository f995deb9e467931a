#include "nn/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct why_name {
    const char *key; /* NULL: free */
    int number;
};

static uint64_t hash(const char *key) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (; *key; key++) h = (h ^ (uint8_t)*key) * 0x100000001b3u;
    return h;
}

static struct why_name *slot(const why_names *t, const char *key) {
    size_t mask = t->capacity - 1;
    for (size_t i = hash(key) & mask;; i = (i + 1) & mask)
        if (!t->slots[i].key || strcmp(t->slots[i].key, key) == 0) return &t->slots[i];
}

static why_status make_room(why_names *t) {
    if (2 * (t->n + 1) <= t->capacity) return WHY_OK;
    why_names bigger = {.capacity = t->capacity ? 2 * t->capacity : 64, .n = t->n};
    WHY_TRY(why_alloc(bigger.capacity, sizeof *bigger.slots, "table of names", &bigger.slots));
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].key) *slot(&bigger, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = bigger;
    return WHY_OK;
}

void why_names_clear(why_names *t) {
    free(t->slots);
    *t = (why_names){0};
}

why_status why_names_put(why_names *t, const char *key, int number) {
    WHY_TRY(make_room(t));
    struct why_name *s = slot(t, key);
    if (!s->key) t->n++;
    *s = (struct why_name){key, number};
    return WHY_OK;
}

int why_names_get(const why_names *t, const char *key) {
    if (t->capacity == 0) return -1;
    const struct why_name *s = slot(t, key);
    return s->key ? s->number : -1;
}
