/* Finding and parsing fills; the kinds themselves are in fills.c. */
#ifndef WHYPIX_EXPLAIN_FILLS_H
#define WHYPIX_EXPLAIN_FILLS_H

#include "whypix/evaluate.h"

/* "blur(16,16)" -> its kind and parameters (owned). WHY_EARG names the nearest kind. */
why_status why_fill_parse(const char *text, const why_fill_kind **kind, why_params **params) WHY_MUST_USE;

#endif
