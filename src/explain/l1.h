/* Which columns an l1 penalty leaves in a regression. */
#ifndef WHYPIX_EXPLAIN_L1_H
#define WHYPIX_EXPLAIN_L1_H

#include "whypix/status.h"

/* Least angle regression (Efron 2004) of y (n) on x (n x k), no intercept: the columns that enter in the first `steps` steps,
 * in that order. active: k, of which *n_active are written. Ends where scikit-learn's lars_path does, when the correlations
 * that are left are below 1.2e-7 n. */
why_status why_lars(const double *x, const double *y, int n, int k, int steps, int *active, int *n_active) WHY_MUST_USE;

/* The lasso: coef (k) minimises |y - b - x.coef|^2 / 2n + alpha |coef|_1. */
why_status why_lasso(const double *x, const double *y, int n, int k, double alpha, double *coef) WHY_MUST_USE;

#endif
