#include "explain/coalitions.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

void why_coalitions_clear(why_coalitions *c) {
    why_masks_clear(&c->masks);
    free(c->weight);
    free(c->unit);
    free(c->stratum);
    free(c->count);
    free(c->left);
    *c = (why_coalitions){0};
}

why_status why_coalitions_create(int players, int budget, why_coalitions *out) {
    size_t n = (size_t)budget;
    *out = (why_coalitions){.ess = NAN};
    why_status st = why_masks_create(budget, players, &out->masks);
    if (!st) st = why_alloc(n, sizeof *out->weight, "weights of coalitions", &out->weight);
    if (!st) st = why_alloc(n, sizeof *out->unit, "coalitions", &out->unit);
    if (!st) st = why_alloc(n, sizeof *out->stratum, "coalitions", &out->stratum);
    if (!st) st = why_alloc(n, sizeof *out->count, "coalitions", &out->count);
    if (!st) st = why_alloc((size_t)players + 1, sizeof *out->left, "coalitions", &out->left);
    if (st) {
        why_coalitions_clear(out);
        return st;
    }
    for (size_t i = 0; i < n; i++) out->unit[i] = -1;
    for (int s = 0; s <= players; s++) out->left[s] = 1;
    out->draws = (why_wls_draws){.unit = out->unit, .strata = 1, .count = out->count, .stratum = out->stratum, .left = out->left};
    return WHY_OK;
}

int why_coalitions_most(int players) { return players < 31 ? (int)((1u << players) - 2) : INT_MAX; }

double why_choose(int n, int k) {
    double c = 1;
    for (int i = 1; i <= k; i++) c = c * (n - k + i) / i;
    return c;
}

bool why_next_subset(int players, int size, int *member) {
    int i = size - 1;
    while (i >= 0 && member[i] == players - size + i) i--;
    if (i < 0) return false;
    member[i]++;
    for (int k = i + 1; k < size; k++) member[k] = member[k - 1] + 1;
    return true;
}

/* q gives a set of size k 1 / ((M-1) C(M,k)), the kernel (M-1) / (C(M,k) k (M-k)): what is left is 1 / (k (M-k)). */
why_status why_coalitions_shared(why_stream stream, int players, int budget, why_coalitions *out) {
    double sum = 0, squares = 0;
    WHY_TRY(why_coalitions_create(players, budget, out));
    why_status st = why_masks_by_size(stream, 0, &out->masks);
    for (int i = 0; !st && i < budget; i++) {
        const double size = why_masks_count(&out->masks, i), weight = 1 / (size * (players - size));
        out->weight[i] = weight;
        out->unit[i] = i / 2;
        out->count[i / 2] = 1;
        sum += weight;
        squares += weight * weight;
    }
    out->draws.units = (budget + 1) / 2;
    out->ess = sum * sum / squares;
    if (st) why_coalitions_clear(out);
    return st;
}
