/* Weighted ridge regression with an intercept that is not penalised. */
#ifndef WHYPIX_EXPLAIN_WLS_H
#define WHYPIX_EXPLAIN_WLS_H

#include "whypix/status.h"

typedef struct why_wls_fit {
    double intercept;
    double r2; /* weighted; NAN when y does not vary */
} why_wls_fit;

/* Minimise sum of w (y - b - x.coef)^2 + alpha |coef|^2. x: n x k (overwritten: centred and weighted), y and w: n, w >= 0
 * with a positive sum; coef: k, written. WHY_EUNDEFINED when the normal equations are singular (only at alpha 0). */
why_status why_wls_ridge(double *x, const double *y, const double *w, int n, int k, double alpha, double *coef,
                         why_wls_fit *fit) WHY_MUST_USE;

#endif
