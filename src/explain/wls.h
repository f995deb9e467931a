/* Weighted least squares: ridge regression with an intercept that is not penalised (LIME), and regression through the
 * origin whose coefficients have a given sum (kernel SHAP), and generalised least squares (kriging.c). */
#ifndef WHYPIX_EXPLAIN_WLS_H
#define WHYPIX_EXPLAIN_WLS_H

#include "whypix/status.h"

typedef struct why_wls_fit {
    double intercept;
    double r2; /* weighted; NAN when y does not vary */
} why_wls_fit;

/* How the rows were drawn, from which standard errors follow: what would other draws have given? Rows that were drawn
 * together (a coalition and its complement) are one unit. Units are drawn independently within their stratum. */
typedef struct why_wls_draws {
    const int *unit; /* n: a row's unit, -1: not drawn, always there */
    int units, strata;
    const double *count; /* units: how often it was drawn; NULL: once */
    const int *stratum;  /* units: 0..strata-1; NULL: all in 0 */
    const double *left;  /* strata: share of the population that was not drawn, for draws without replacement; NULL: 1 */
} why_wls_draws;

/* Minimise sum of w (y - b - x.coef)^2 + alpha |coef|^2. x: n x k (overwritten: centred and weighted), y and w: n, w >= 0
 * with a positive sum; coef: k, written; se: k standard errors, written unless `draws` is NULL (NAN where too few units
 * tell). WHY_EUNDEFINED when the normal equations are singular (only at alpha 0). */
why_status why_wls_ridge(double *x, const double *y, const double *w, int n, int k, double alpha, const why_wls_draws *draws, double *coef,
                         double *se, why_wls_fit *fit) WHY_MUST_USE;

/* Minimise sum of w (y - x.coef)^2 among the coefficients that add up to `sum`; the rest as above. k >= 1. */
why_status why_wls_with_sum(double *x, const double *y, const double *w, int n, int k, double sum, const why_wls_draws *draws, double *coef,
                            double *se) WHY_MUST_USE;

/* Generalised least squares of y = x.coef + e, e of covariance `cov` (n x n, positive definite), for any y at once:
 * coef = gain' y (gain: n x k, written) and cov^-1 (y - x.coef) = P y, where P overwrites cov. *log_det is
 * log |cov| + log |x' cov^-1 x|, of which the likelihood of cov is made. WHY_EUNDEFINED when x's columns are dependent. */
why_status why_gls(double *cov, const double *x, int n, int k, double *gain, double *log_det) WHY_MUST_USE;

#endif
