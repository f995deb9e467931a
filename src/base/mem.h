/* Allocation with a reason: every failure says how much was wanted and for what. */
#ifndef WHYPIX_BASE_MEM_H
#define WHYPIX_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

/* Zeroed count * size bytes, 64-byte aligned, freed with free(). Overflow and exhaustion give WHY_ENOMEM. */
why_status why_alloc(size_t count, size_t size, const char *what, void *out_pointer) WHY_MUST_USE;
/* Grow an array of `size`-byte items to hold at least `want` of them (doubling). *items and *capacity are updated. */
why_status why_grow(void *items_pointer, size_t *capacity, size_t want, size_t size, const char *what) WHY_MUST_USE;
why_status why_strdup(const char *text, char **out) WHY_MUST_USE;

/* Grow-only arena: blocks are handed out in order and forgotten all at once. */
typedef struct why_arena why_arena;
why_status why_arena_create(size_t first_block, why_arena **out) WHY_MUST_USE;
void why_arena_destroy(why_arena **a);
void why_arena_reset(why_arena *a); /* keeps the memory */
/* n zeroed bytes, 64-byte aligned; NULL when memory is out (error text set). */
void *why_arena_take(why_arena *a, size_t n);
char *why_arena_strdup(why_arena *a, const char *text);

#endif
