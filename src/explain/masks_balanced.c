/* Random masks that are balanced: every pair of segments is on and off together equally often, and every mask comes with its
 * complement. Each mask by itself is still a fair coin per segment, so a fit to them estimates what a fit to independent masks
 * does, with less noise: coefficients do not borrow from each other (orthogonal columns), and what two segments do together
 * cancels within a pair (the foldover of a Plackett-Burman design; Box and Wilson 1951).
 *
 * Masks come in blocks of N pairs, the rows of a Hadamard matrix of order N >= k; each block takes other columns of it, with
 * random signs, and its rows in another order. */
#include "explain/masks.h"

#include <stdlib.h>

#include "base/mem.h"

/* A Hadamard matrix of order 2^a (q + 1), q a prime with q % 4 == 3 (Paley 1933) or 0, by doubling (Sylvester 1867). */
struct hadamard {
    int order, core, q; /* core: q + 1 */
    uint8_t *square;    /* q: is it a square modulo q? */
};

static bool is_prime(int q) {
    for (int d = 3; d * d <= q; d += 2)
        if (q % d == 0) return false;
    return q > 2 && q % 2 == 1;
}

/* The smallest order from k on, and the core that doubles to it. */
static void choose_order(int k, struct hadamard *h) {
    for (h->order = k;; h->order++)
        for (h->core = h->order; h->core >= 1; h->core /= 2) {
            h->q = h->core - 1;
            if (h->core == 1 || (h->q % 4 == 3 && is_prime(h->q))) return;
            if (h->core % 2) break;
        }
}

static why_status hadamard_create(int k, struct hadamard *h) {
    choose_order(k, h);
    WHY_TRY(why_alloc((size_t)h->core, 1, "squares", &h->square));
    for (int64_t i = 1; i < h->q; i++) h->square[i * i % h->q] = 1;
    return WHY_OK;
}

/* Paley's core: rows and columns 0 are borders, and a diagonal of ones. */
static bool core_sign(const struct hadamard *h, int row, int column) {
    if (row == 0 || row == column) return true;
    if (column == 0) return false;
    return h->square[(column - row + h->q) % h->q];
}

/* Is the entry +1? */
static bool sign(const struct hadamard *h, int row, int column) {
    const int both = (row / h->core) & (column / h->core);
    return core_sign(h, row % h->core, column % h->core) == !(__builtin_popcount((unsigned)both) & 1);
}

/* ---------------------------------------------------------------- blocks */
struct block {
    int *row, *column; /* permutations of 0..order-1 */
    uint8_t *flip;     /* of each segment */
};

static void shuffle(why_rng *g, int n, int *order) {
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)why_rng_below(g, (uint32_t)i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static void draw_block(why_stream stream, int number, int order, int k, struct block *b) {
    why_rng g = why_rng_at(stream, (uint64_t)number);
    for (int j = 0; j < k; j++) b->flip[j] = why_rng_u32(&g) & 1;
    shuffle(&g, order, b->column);
    shuffle(&g, order, b->row);
}

static void write_row(const struct hadamard *h, const struct block *b, int row, why_masks *m, int to) {
    for (int j = 0; j < m->k; j++)
        if (sign(h, b->row[row], b->column[j]) != b->flip[j]) why_masks_set(m, to, j);
}

static void write_masks(why_stream stream, const struct hadamard *h, struct block *b, why_masks *m) {
    for (int j = 0; j < m->k; j++) why_masks_set(m, 0, j);
    for (int pair = 0; 2 * pair + 1 < m->n; pair++) {
        const int to = 2 * pair + 1;
        if (pair % h->order == 0) draw_block(stream, pair / h->order, h->order, m->k, b);
        write_row(h, b, pair % h->order, m, to);
        if (to + 1 < m->n) why_masks_complement(m, to + 1, to);
    }
}

why_status why_masks_balanced(why_stream stream, int n, int k, why_masks *out) {
    struct hadamard h = {0};
    struct block b = {0};
    WHY_TRY(why_masks_create(n, k, out));
    why_status st = hadamard_create(k, &h);
    if (!st) st = why_alloc((size_t)h.order, sizeof *b.row, "order of masks", &b.row);
    if (!st) st = why_alloc((size_t)h.order, sizeof *b.column, "order of segments", &b.column);
    if (!st) st = why_alloc((size_t)k, sizeof *b.flip, "signs of segments", &b.flip);
    if (!st) write_masks(stream, &h, &b, out);
    free(h.square);
    free(b.row);
    free(b.column);
    free(b.flip);
    if (st) why_masks_clear(out);
    return st;
}
