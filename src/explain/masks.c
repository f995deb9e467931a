#include "explain/masks.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/npy.h"

why_status why_masks_create(int n, int k, why_masks *m) {
    *m = (why_masks){.n = n, .k = k, .words = ((size_t)k + 63) / 64};
    return why_alloc((size_t)n * m->words, sizeof *m->bits, "masks", &m->bits);
}

void why_masks_clear(why_masks *m) {
    free(m->bits);
    *m = (why_masks){0};
}

void why_masks_complement(why_masks *m, int to, int from) {
    uint64_t *row = m->bits + (size_t)to * m->words;
    for (size_t w = 0; w < m->words; w++) row[w] = ~why_masks_row(m, from)[w];
    if (m->k % 64) row[m->words - 1] &= ((uint64_t)1 << m->k % 64) - 1;
}

why_status why_masks_draw(why_stream stream, int n, int k, why_masks *out) {
    WHY_TRY(why_masks_create(n, k, out));
    for (int j = 0; j < k; j++) why_masks_set(out, 0, j);
    for (int i = 1; i < n; i++) {
        why_rng g = why_rng_at(stream, (uint64_t)i);
        uint32_t bits = 0;
        for (int j = 0; j < k; j++, bits >>= 1) {
            if (j % 32 == 0) bits = why_rng_u32(&g);
            if (bits & 1) why_masks_set(out, i, j);
        }
    }
    return WHY_OK;
}

/* lime draws the segmenter's seed first, then one number per bit, row by row, and overwrites row 0. numpy's randint(0, 2)
 * keeps the lowest bit of each 32-bit output. */
why_status why_masks_reference(uint32_t seed, int n, int k, why_masks *out) {
    WHY_TRY(why_masks_create(n, k, out));
    why_mt19937 g;
    why_mt19937_seed(&g, seed);
    (void)why_mt19937_below(&g, 1000);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++)
            if ((why_mt19937_u32(&g) & 1) || i == 0) why_masks_set(out, i, j);
    return WHY_OK;
}

static why_status check_shape(const why_shape *shape, int k) {
    if (shape->rank != 2) return why_fail(WHY_EFORMAT, "%d dimensions, want 2: masks x segments", shape->rank);
    if (shape->dim[1] != k) return why_fail(WHY_EARG, "%lld columns, there are %d segments", (long long)shape->dim[1], k);
    if (shape->dim[0] < 2) return why_fail(WHY_EARG, "%lld masks, want at least 2", (long long)shape->dim[0]);
    return WHY_OK;
}

static why_status take_values(const int32_t *v, why_masks *m) {
    for (int i = 0; i < m->n; i++)
        for (int j = 0; j < m->k; j++, v++) {
            if (*v != 0 && *v != 1) return why_fail(WHY_EFORMAT, "row %d, column %d: got %d, want 0 or 1", i, j, *v);
            if (i == 0 && *v == 0) return why_fail(WHY_EFORMAT, "row 0 hides segment %d: the first mask shows everything", j);
            if (*v) why_masks_set(m, i, j);
        }
    return WHY_OK;
}

why_status why_masks_read(const char *path, int n, int k, why_masks *out) {
    why_shape shape;
    int32_t *v;
    *out = (why_masks){0};
    WHY_TRY(why_npy_load_i32(path, &shape, &v));
    why_status st = check_shape(&shape, k);
    if (!st) st = why_masks_create(shape.dim[0] < n ? (int)shape.dim[0] : n, k, out);
    if (!st) st = take_values(v, out);
    free(v);
    if (!st) return WHY_OK;
    why_masks_clear(out);
    return why_fail_in(st, "masks '%s'", path);
}

int why_masks_count(const why_masks *m, int i) {
    int on = 0;
    for (size_t w = 0; w < m->words; w++) on += __builtin_popcountll(why_masks_row(m, i)[w]);
    return on;
}

double why_masks_distance(const why_masks *m, int i) { return 1 - sqrt((double)why_masks_count(m, i) / m->k); }
