/* The coalitions of shap 0.49.1 (_kernel.py). The kernel gives all coalitions of size k together (M-1) / (k (M-k)); a size
 * and its complement's are one class. Classes are enumerated from the outermost inwards while a class's share of what is
 * left of the budget covers it; what then is left goes to random subsets of the other sizes, each followed by its
 * complement. A subset drawn again costs nothing and counts once more. */
#include "explain/coalitions.h"

#include <stdlib.h>

#include "base/mem.h"
#include "explain/cache.h"

/* One generator for two sources: numpy's single stream, or ours, re-keyed for every draw. */
struct source {
    bool numpy;
    why_stream stream;
    why_mt19937 mt;
    why_rng g;
};

static void begin_draw(struct source *s, int draw) {
    if (!s->numpy) s->g = why_rng_at(s->stream, (uint64_t)draw);
}
static double uniform(struct source *s) { return s->numpy ? why_mt19937_uniform(&s->mt) : why_rng_uniform(&s->g); }
static int below(struct source *s, int n) {
    return (int)(s->numpy ? why_mt19937_below(&s->mt, (uint32_t)n) : why_rng_below(&s->g, (uint32_t)n));
}

struct plan {
    struct source from;
    int players, budget, n; /* n coalitions so far */
    int classes, paired;    /* sizes 1..classes; the first `paired` have another size as complement */
    int enumerated;
    double *share; /* of the kernel's weight, by class */
    double *cumulative;
    int *member; /* a subset, or a permutation of all players */
    why_cache *seen;
    int *row_of; /* units -> their first row */
    why_coalitions *out;
};

static void plan_clear(struct plan *p) {
    free(p->share);
    free(p->cumulative);
    free(p->member);
    free(p->row_of);
    why_cache_destroy(&p->seen);
}

static why_status plan_create(int players, int budget, struct plan *p) {
    p->players = players;
    p->budget = budget;
    p->classes = players / 2;
    p->paired = (players - 1) / 2;
    WHY_TRY(why_alloc((size_t)p->classes + 1, sizeof *p->share, "sizes of coalitions", &p->share));
    WHY_TRY(why_alloc((size_t)p->classes + 1, sizeof *p->cumulative, "sizes of coalitions", &p->cumulative));
    WHY_TRY(why_alloc((size_t)players, sizeof *p->member, "coalitions", &p->member));
    WHY_TRY(why_alloc((size_t)budget, sizeof *p->row_of, "coalitions", &p->row_of));
    return why_cache_create(1, &p->seen);
}

static void kernel_shares(struct plan *p) {
    double total = 0;
    for (int k = 1; k <= p->classes; k++)
        total += p->share[k - 1] = (p->players - 1.0) / ((double)k * (p->players - k)) * (k <= p->paired ? 2 : 1);
    for (int k = 0; k < p->classes; k++) p->share[k] /= total;
}

static void add_member_row(struct plan *p, int size, double weight) {
    for (int i = 0; i < size; i++) why_masks_set(&p->out->masks, p->n, p->member[i]);
    p->out->weight[p->n++] = weight;
}

static void add_complement(struct plan *p, double weight) {
    why_masks_complement(&p->out->masks, p->n, p->n - 1);
    p->out->weight[p->n++] = weight;
}

/* ---------------------------------------------------------------- enumerated sizes */
static void enumerate_class(struct plan *p, int size) {
    bool paired = size <= p->paired;
    double weight = p->share[size - 1] / why_choose(p->players, size) / (paired ? 2 : 1);
    for (int i = 0; i < size; i++) p->member[i] = i;
    do {
        add_member_row(p, size, weight);
        if (paired) add_complement(p, weight);
    } while (why_next_subset(p->players, size, p->member));
}

static void enumerate_classes(struct plan *p) {
    double left = p->budget, rest = 1; /* rest: share of the classes that are not enumerated yet */
    for (int size = 1; size <= p->classes; size++) {
        double subsets = why_choose(p->players, size) * (size <= p->paired ? 2 : 1);
        if (left * (p->share[size - 1] / rest) / subsets < 1.0 - 1e-8) return;
        left -= subsets;
        rest -= p->share[size - 1];
        enumerate_class(p, size);
        p->enumerated++;
    }
}

/* ---------------------------------------------------------------- random subsets */
/* The peer halves the share of paired classes, since each draw brings its complement. */
static void cumulate(struct plan *p) {
    double sum = 0;
    for (int k = p->enumerated; k < p->classes; k++) p->cumulative[k] = sum += p->share[k] / (k < p->paired ? 2 : 1);
    for (int k = p->enumerated; k < p->classes; k++) p->cumulative[k] /= sum;
}

static int draw_size(struct plan *p) {
    double u = uniform(&p->from);
    int k = p->enumerated;
    while (k < p->classes - 1 && p->cumulative[k] <= u) k++;
    return k + 1;
}

/* The first `size` of a shuffled 0..M-1, shuffled from the end as numpy does. */
static void draw_subset(struct plan *p) {
    for (int i = 0; i < p->players; i++) p->member[i] = i;
    for (int i = p->players - 1; i > 0; i--) {
        int j = below(&p->from, i + 1), t = p->member[i];
        p->member[i] = p->member[j];
        p->member[j] = t;
    }
}

/* Writes the subset into row n and keeps it there only if it is new; one that was drawn before counts once more. */
static why_status add_draw(struct plan *p, int size) {
    why_coalitions *c = p->out;
    int unit;
    bool fresh;
    add_member_row(p, size, 1);
    const uint64_t *row = why_masks_row(&c->masks, --p->n);
    WHY_TRY(why_cache_row_of(p->seen, row, c->masks.words * sizeof *row, &unit, &fresh));
    if (fresh) {
        p->row_of[unit] = p->n;
        c->unit[p->n++] = unit;
        c->draws.units = unit + 1;
        if (p->n < p->budget && size <= p->paired) {
            add_complement(p, 1);
            c->unit[p->n - 1] = unit;
        }
    } else {
        why_masks_clear_row(&c->masks, p->n);
        for (int i = p->row_of[unit]; i < p->n && c->unit[i] == unit; i++) c->weight[i]++;
    }
    c->count[unit]++;
    return WHY_OK;
}

/* Sizes are drawn beforehand, four for every coalition wanted: the peer's order of draws, and its limit. */
static why_status draw_coalitions(struct plan *p) {
    int64_t draws = 4 * (int64_t)(p->budget - p->n);
    int *size;
    WHY_TRY(why_alloc((size_t)draws + 1, sizeof *size, "sizes of coalitions", &size));
    cumulate(p);
    for (int i = 0; p->from.numpy && i < draws; i++) size[i] = draw_size(p);
    why_status st = WHY_OK;
    for (int i = 0; !st && i < draws && p->n < p->budget; i++) {
        begin_draw(&p->from, i);
        if (!p->from.numpy) size[i] = draw_size(p);
        draw_subset(p);
        st = add_draw(p, size[i]);
    }
    free(size);
    return st;
}

/* Drawn coalitions share the weight of the classes that were not enumerated. */
static void weigh_draws(struct plan *p, int first) {
    double share = 0, sum = 0;
    for (int k = p->enumerated; k < p->classes; k++) share += p->share[k];
    for (int i = first; i < p->n; i++) sum += p->out->weight[i];
    for (int i = first; i < p->n; i++) p->out->weight[i] *= share / sum;
}

why_status why_coalitions_shap(why_stream stream, const uint32_t *seed, int players, int budget, why_coalitions *out) {
    struct plan p = {.from = {.numpy = seed != NULL, .stream = stream}, .out = out};
    WHY_TRY(why_coalitions_create(players, budget, out));
    if (seed) why_mt19937_seed(&p.from.mt, *seed);
    why_status st = plan_create(players, budget, &p);
    if (!st) {
        kernel_shares(&p);
        enumerate_classes(&p);
        int first = p.n;
        if (p.enumerated < p.classes) st = draw_coalitions(&p);
        weigh_draws(&p, first);
        out->masks.n = p.n;
    }
    plan_clear(&p);
    if (st) why_coalitions_clear(out);
    return st;
}
