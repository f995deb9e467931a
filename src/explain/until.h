/* Stopping early: `until: {se_range: .05}` ends a sampled explanation when its largest standard error is at most that share
 * of the map's range, and at its budget at the latest. Looked at only after numbers of samples that depend on nothing but the
 * players, so that ranks, threads, batches and a larger budget end at the same place; an explanation that ended after n
 * samples is the one with a budget of n. */
#ifndef WHYPIX_EXPLAIN_UNTIL_H
#define WHYPIX_EXPLAIN_UNTIL_H

#include <stdbool.h>

#include "whypix/explain.h"

/* clang-format off */
#define WHY_UNTIL_PARAM \
    {"until_se_range", WHY_PARAM_REAL, "0", 0, 10, NULL, \
     "end when the largest standard error is at most this share of the map's range; 0: spend the budget"}
/* clang-format on */

/* The number of samples after which to look next: `least` first, then a quarter more each time, `cap` at the end. Without
 * a bound: `cap` at once. `n`: the last one, 0 at the beginning. */
int why_until_next(const why_params *p, int n, int least, int cap);
/* Is this the end? Says so in out->stop. NAN for se_range: nothing is known yet. */
bool why_until_reached(const why_params *p, int n, int cap, double se_range, why_explanation *out);

#endif
