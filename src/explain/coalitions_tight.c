/* Coalitions in complementary pairs, by leverage score and without replacement (Musco and Witter 2025, "Provably accurate
 * Shapley value estimation via leverage score sampling"). In kernel SHAP's regression a coalition of size k has leverage
 * 1 / C(M, k): every size deserves as many draws as any other, where the kernel's own weights would send most of them to
 * the outermost sizes. Here the sizes' numbers are fixed instead of drawn, and what the small sizes leave when they are
 * exhausted goes to the others. A size's coalitions share its kernel weight evenly. */
#include "explain/coalitions.h"

#include <stdlib.h>

#include "base/mem.h"
#include "explain/cache.h"

/* The coalitions of `size` players and their complements. In the middle of an even M both have the same size. */
struct class {
    int size, taken;   /* pairs that are taken */
    double pairs;      /* that exist */
    double coalitions; /* in units of C(M, size): 2, or 1 in the middle */
};

struct plan {
    why_stream stream;
    int players, n_classes, n; /* n rows so far */
    struct class *classes;
    int *member;
    why_cache *seen;
    why_coalitions *out;
};

static void plan_clear(struct plan *p) {
    free(p->classes);
    free(p->member);
    why_cache_destroy(&p->seen);
}

static why_status plan_create(int players, struct plan *p) {
    p->players = players;
    p->n_classes = players / 2;
    WHY_TRY(why_alloc((size_t)p->n_classes + 1, sizeof *p->classes, "sizes of coalitions", &p->classes));
    WHY_TRY(why_alloc((size_t)players, sizeof *p->member, "coalitions", &p->member));
    WHY_TRY(why_cache_create(1, &p->seen));
    for (int k = 1; k <= p->n_classes; k++) {
        double coalitions = 2 * k == players ? 1 : 2;
        p->classes[k - 1] = (struct class){.size = k, .pairs = why_choose(players, k) * coalitions / 2, .coalitions = coalitions};
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- how many of each size */
/* Classes whose equal share of what is left covers them are taken whole; that leaves more for the others. */
static void take_whole(struct plan *p, int *left, double *open) {
    for (bool again = true; again;) {
        again = false;
        for (int k = 0; k < p->n_classes; k++) {
            struct class *c = &p->classes[k];
            if (c->taken > 0 || *left * c->coalitions / *open < c->pairs) continue;
            c->taken = (int)c->pairs;
            *left -= c->taken;
            *open -= c->coalitions;
            again = true;
        }
    }
}

/* The others take their shares, rounded down; what remains goes to the outermost, which weigh most. No number falls when the
 * budget grows: a larger one has all of a smaller one's pairs. */
static void allot(struct plan *p, int pairs) {
    int left = pairs;
    double open = 0;
    for (int k = 0; k < p->n_classes; k++) open += p->classes[k].coalitions;
    take_whole(p, &left, &open);
    int rest = left;
    for (int k = 0; k < p->n_classes; k++) {
        struct class *c = &p->classes[k];
        if (c->taken > 0) continue;
        c->taken = -(int)(left * c->coalitions / open); /* negative: drawn, not whole */
        rest += c->taken;
    }
    for (int k = 0; k < p->n_classes && rest > 0; k++) {
        struct class *c = &p->classes[k];
        if (c->taken > 0) continue;
        c->taken--;
        rest--;
        if (-c->taken >= c->pairs) c->taken = (int)c->pairs;
    }
}

/* ---------------------------------------------------------------- rows */
static double weight_of(const struct plan *p, const struct class *c, int taken) {
    return c->coalitions * (p->players - 1.0) / ((double)c->size * (p->players - c->size)) / (2.0 * taken);
}

static void add_pair(struct plan *p, int unit, double weight) {
    why_coalitions *c = p->out;
    why_masks_complement(&c->masks, p->n + 1, p->n);
    for (int i = 0; i < 2; i++, p->n++) {
        c->weight[p->n] = weight;
        c->unit[p->n] = unit;
    }
}

static void write_members(struct plan *p, int size) {
    why_masks_clear_row(&p->out->masks, p->n);
    for (int i = 0; i < size; i++) why_masks_set(&p->out->masks, p->n, p->member[i]);
}

/* Halves of the picture come in pairs of one size: those that contain player 0 stand for both. */
static void enumerate_class(struct plan *p, const struct class *c) {
    for (int i = 0; i < c->size; i++) p->member[i] = i;
    for (int i = 0; i < c->taken; i++) {
        write_members(p, c->size);
        add_pair(p, -1, weight_of(p, c, c->taken));
        (void)why_next_subset(p->players, c->size, p->member);
    }
}

/* The first `size` steps of a Fisher-Yates shuffle. */
static void draw_subset(struct plan *p, why_rng *g, int size) {
    for (int i = 0; i < p->players; i++) p->member[i] = i;
    for (int i = 0; i < size; i++) {
        int j = i + (int)why_rng_below(g, (uint32_t)(p->players - i)), t = p->member[i];
        p->member[i] = p->member[j];
        p->member[j] = t;
    }
}

/* Draw i of a size is a function of (stream, size, i); what was drawn before is passed over. */
static why_status draw_class(struct plan *p, const struct class *c, int stratum) {
    why_coalitions *out = p->out;
    const int wanted = -c->taken;
    int row;
    bool fresh;
    for (int i = 0, got = 0; got < wanted; i++) {
        why_rng g = why_rng_at(p->stream, (uint64_t)c->size << 32 | (uint64_t)i);
        draw_subset(p, &g, c->size);
        write_members(p, c->size);
        if (c->coalitions == 1 && !why_masks_bit(&out->masks, p->n, 0)) why_masks_complement(&out->masks, p->n, p->n);
        WHY_TRY(why_cache_row_of(p->seen, why_masks_row(&out->masks, p->n), out->masks.words * sizeof(uint64_t), &row, &fresh));
        if (!fresh) continue;
        out->count[out->draws.units] = 1;
        out->stratum[out->draws.units] = stratum;
        add_pair(p, out->draws.units++, weight_of(p, c, wanted));
        got++;
    }
    out->left[stratum] = 1 - wanted / c->pairs;
    return WHY_OK;
}

static why_status add_classes(struct plan *p) {
    int strata = 0;
    for (int k = 0; k < p->n_classes; k++) {
        const struct class *c = &p->classes[k];
        if (c->taken > 0) enumerate_class(p, c);
        else if (c->taken < 0) WHY_TRY(draw_class(p, c, strata++));
    }
    p->out->draws.strata = strata;
    p->out->masks.n = p->n;
    return WHY_OK;
}

why_status why_coalitions_tight(why_stream stream, int players, int budget, why_coalitions *out) {
    struct plan p = {.stream = stream, .out = out};
    WHY_TRY(why_coalitions_create(players, budget, out));
    why_status st = plan_create(players, &p);
    if (!st) {
        allot(&p, budget / 2);
        st = add_classes(&p);
    }
    plan_clear(&p);
    if (st) why_coalitions_clear(out);
    return st;
}
