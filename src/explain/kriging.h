/* Shapley values from a few coalitions, by interpolating the others. */
#ifndef WHYPIX_EXPLAIN_KRIGING_H
#define WHYPIX_EXPLAIN_KRIGING_H

#include "explain/coalitions.h"

enum { WHY_KRIGING_MOST = 4096 }; /* coalitions: matrices are of half that side */

/* `c` holds pairs, a coalition and its complement in rows 2i and 2i + 1; value: a score for every row; gap = v(all) - v(0).
 * phi and se: one per player. WHY_EUNDEFINED when the coalitions do not tell the players apart. */
why_status why_kriging(const why_coalitions *c, const double *value, double gap, double *phi, double *se) WHY_MUST_USE;

#endif
