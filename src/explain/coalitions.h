/* Which coalitions kernel SHAP scores, and with what weights. Empty and full are not among them: the constraint of the
 * regression stands for both. */
#ifndef WHYPIX_EXPLAIN_COALITIONS_H
#define WHYPIX_EXPLAIN_COALITIONS_H

#include "explain/masks.h"
#include "explain/wls.h"

typedef struct why_coalitions {
    why_masks masks; /* n rows */
    double *weight;  /* n */
    /* How they were drawn, for standard errors: `draws` points at these. */
    int *unit, *stratum;
    double *count, *left;
    why_wls_draws draws;
    double ess; /* effective sample size of shared draws, NAN for others */
} why_coalitions;

void why_coalitions_clear(why_coalitions *c);
/* Room for `budget` coalitions; every row a unit of its own that was not drawn. */
why_status why_coalitions_create(int players, int budget, why_coalitions *out) WHY_MUST_USE;

/* Coalitions other than empty and full, at most INT_MAX. */
int why_coalitions_most(int players);
/* C(n, k); exact below 2^53. */
double why_choose(int n, int k);

/* All subsets of one size, in lexicographic order: `member` (size numbers, ascending) becomes the next one. False after
 * the last. */
bool why_next_subset(int players, int size, int *member);

/* shap 0.49.1's: sizes enumerated while the budget allows, then random subsets with their complements. `seed` replays
 * numpy's draws; NULL: our own stream. */
why_status why_coalitions_shap(why_stream stream, const uint32_t *seed, int players, int budget, why_coalitions *out) WHY_MUST_USE;
/* The draws that other explainers share, reweighted to the kernel. */
why_status why_coalitions_shared(why_stream stream, int players, int budget, why_coalitions *out) WHY_MUST_USE;
/* Pairs by leverage score, without replacement: those of a smaller budget are among those of a larger one. */
why_status why_coalitions_tight(why_stream stream, int players, int budget, why_coalitions *out) WHY_MUST_USE;

#endif
