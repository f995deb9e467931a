/* Draws that explainers share (`coalitions: shared`): the number of segments that are on is uniform over 1..k-1, and so is the
 * set given its size; every set comes with its complement. Each explainer reweights them to its own distribution. Sizes come
 * in blocks of k - 1 pairs in which every size stands once, so that none is missed by chance. */
#include "explain/masks.h"

#include <stdlib.h>

#include "base/mem.h"

static void swap(int *a, int *b) {
    const int t = *a;
    *a = *b;
    *b = t;
}

static void draw_sizes(why_stream stream, int block, int k, int *size) {
    why_rng g = why_rng_at(stream, (uint64_t)block << 32);
    for (int i = 0; i < k - 1; i++) size[i] = i + 1;
    for (int i = k - 2; i > 0; i--) swap(&size[i], &size[why_rng_below(&g, (uint32_t)i + 1)]);
}

/* The first `size` steps of a Fisher-Yates shuffle. */
static void draw_set(why_stream stream, int pair, int size, int *member, why_masks *m, int to) {
    why_rng g = why_rng_at(stream, (uint64_t)pair + 1);
    for (int i = 0; i < m->k; i++) member[i] = i;
    for (int i = 0; i < size; i++) {
        swap(&member[i], &member[i + (int)why_rng_below(&g, (uint32_t)(m->k - i))]);
        why_masks_set(m, to, member[i]);
    }
}

why_status why_masks_by_size(why_stream stream, int first, why_masks *m) {
    const int each = m->k - 1; /* pairs of a block */
    int *size = NULL, *member = NULL;
    if (each < 1) return WHY_OK;
    why_status st = why_alloc((size_t)each, sizeof *size, "sizes of coalitions", &size);
    if (!st) st = why_alloc((size_t)m->k, sizeof *member, "coalitions", &member);
    for (int to = first, pair = 0; !st && to < m->n; to += 2, pair++) {
        if (pair % each == 0) draw_sizes(stream, pair / each, m->k, size);
        draw_set(stream, pair, size[pair % each], member, m, to);
        if (to + 1 < m->n) why_masks_complement(m, to + 1, to);
    }
    free(size);
    free(member);
    return st;
}
