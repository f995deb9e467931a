/* Rows of on/off bits over segments, and where they come from. */
#ifndef WHYPIX_EXPLAIN_MASKS_H
#define WHYPIX_EXPLAIN_MASKS_H

#include <stdbool.h>
#include <stddef.h>

#include "whypix/rng.h"
#include "whypix/status.h"

/* n masks of k bits, `words` words each. Unused bits are zero. */
typedef struct why_masks {
    int n, k;
    size_t words;
    uint64_t *bits; /* owned */
} why_masks;

why_status why_masks_create(int n, int k, why_masks *out) WHY_MUST_USE; /* all bits off */
void why_masks_clear(why_masks *m);
static inline const uint64_t *why_masks_row(const why_masks *m, int i) { return m->bits + (size_t)i * m->words; }
static inline bool why_masks_bit(const why_masks *m, int i, int k) { return why_masks_row(m, i)[k / 64] >> k % 64 & 1; }
static inline void why_masks_set(why_masks *m, int i, int k) { m->bits[(size_t)i * m->words + (size_t)k / 64] |= (uint64_t)1 << k % 64; }
static inline void why_masks_copy(why_masks *m, int to, int from) {
    for (size_t w = 0; w < m->words; w++) m->bits[(size_t)to * m->words + w] = m->bits[(size_t)from * m->words + w];
}
static inline void why_masks_clear_row(why_masks *m, int i) {
    for (size_t w = 0; w < m->words; w++) m->bits[(size_t)i * m->words + w] = 0;
}
/* Row `to` becomes what row `from` is not. */
void why_masks_complement(why_masks *m, int to, int from);

/* Row 0 shows everything; every other bit is on with probability 1/2. Mask i is a function of (stream, i) alone: a shorter run is a prefix.
 */
why_status why_masks_draw(why_stream stream, int n, int k, why_masks *out) WHY_MUST_USE;
/* The same, balanced: rows 2i + 1 and 2i + 2 are complements, and any two segments are independent over blocks of rows, not
 * only on average (masks_balanced.c). A shorter run is a prefix. */
why_status why_masks_balanced(why_stream stream, int n, int k, why_masks *out) WHY_MUST_USE;
/* Write rows `first` to n - 1: pairs of complements, sizes uniform over 1..k-1, sets uniform given their size
 * (masks_by_size.c). Which explainer asks, and for how many, does not matter. All bits of these rows are off before. */
why_status why_masks_by_size(why_stream stream, int first, why_masks *m) WHY_MUST_USE;
/* The masks of lime 0.2 with random_state = seed. */
why_status why_masks_reference(uint32_t seed, int n, int k, why_masks *out) WHY_MUST_USE;
/* The first n masks of an .npy file of 0 and 1, masks x k, or all of them when it has fewer. WHY_EFILE, WHY_EFORMAT, and
 * WHY_EARG for another number of columns. */
why_status why_masks_read(const char *path, int n, int k, why_masks *out) WHY_MUST_USE;

/* Segments that mask i shows. */
int why_masks_count(const why_masks *m, int i);
/* Cosine distance of mask i to the full one: 1 - sqrt(on/k), 1 for the empty mask. */
double why_masks_distance(const why_masks *m, int i);

#endif
