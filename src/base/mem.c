#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

why_status why_alloc(size_t count, size_t size, const char *what, void *out_pointer) {
    void *p = NULL;
    size_t bytes;
    memcpy(out_pointer, &p, sizeof p);
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 64)
        return why_fail(WHY_ENOMEM, "%s: %zu x %zu bytes are more than a machine has", what, count, size);
    bytes = (bytes + 63) / 64 * 64;
    if (bytes == 0) bytes = 64;
    p = aligned_alloc(64, bytes);
    if (!p) return why_fail(WHY_ENOMEM, "%s: cannot get %zu bytes of memory", what, bytes);
    memset(p, 0, bytes);
    memcpy(out_pointer, &p, sizeof p);
    return WHY_OK;
}

why_status why_grow(void *items_pointer, size_t *capacity, size_t want, size_t size, const char *what) {
    if (want <= *capacity) return WHY_OK;
    size_t next = *capacity ? *capacity : 8, bytes;
    while (next < want)
        if (__builtin_mul_overflow(next, (size_t)2, &next)) return why_fail(WHY_ENOMEM, "%s: %zu items are too many", what, want);
    if (__builtin_mul_overflow(next, size, &bytes)) return why_fail(WHY_ENOMEM, "%s: %zu items are too many", what, want);
    void *old, *p;
    memcpy(&old, items_pointer, sizeof old);
    p = realloc(old, bytes);
    if (!p) return why_fail(WHY_ENOMEM, "%s: cannot get %zu bytes of memory", what, bytes);
    memcpy(items_pointer, &p, sizeof p);
    *capacity = next;
    return WHY_OK;
}

why_status why_strdup(const char *text, char **out) {
    *out = strdup(text);
    return *out ? WHY_OK : why_fail(WHY_ENOMEM, "cannot get %zu bytes for a text", strlen(text) + 1);
}

/* ---------------------------------------------------------------- arena */
struct block {
    struct block *next;
    size_t size, used;
    char *data;
};

struct why_arena {
    struct block *first, *last;
    size_t block_size;
};

static struct block *block_create(size_t size) {
    struct block *b = NULL;
    if (why_alloc(1, sizeof *b, "arena block", &b)) return NULL;
    if (why_alloc(1, size, "arena block", &b->data)) {
        free(b);
        return NULL;
    }
    b->size = size;
    return b;
}

why_status why_arena_create(size_t first_block, why_arena **out) {
    *out = NULL;
    why_arena *a;
    WHY_TRY(why_alloc(1, sizeof *a, "arena", &a));
    a->block_size = first_block < 4096 ? 4096 : first_block;
    a->first = a->last = block_create(a->block_size);
    if (!a->first) {
        free(a);
        return WHY_ENOMEM;
    }
    *out = a;
    return WHY_OK;
}

void why_arena_destroy(why_arena **a) {
    if (!*a) return;
    for (struct block *b = (*a)->first, *next; b; b = next) {
        next = b->next;
        free(b->data);
        free(b);
    }
    free(*a);
    *a = NULL;
}

void why_arena_reset(why_arena *a) {
    for (struct block *b = a->first; b; b = b->next) b->used = 0;
    a->last = a->first;
}

void *why_arena_take(why_arena *a, size_t n) {
    n = (n + 63) / 64 * 64;
    for (;; a->last = a->last->next) {
        struct block *b = a->last;
        if (b->size - b->used >= n) {
            void *p = b->data + b->used;
            b->used += n;
            return memset(p, 0, n);
        }
        if (!b->next && !(b->next = block_create(n > a->block_size ? n : a->block_size))) return NULL;
    }
}

char *why_arena_strdup(why_arena *a, const char *text) {
    size_t n = strlen(text) + 1;
    char *p = why_arena_take(a, n);
    return p ? memcpy(p, text, n) : NULL;
}
