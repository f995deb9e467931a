/* Parameters of explainers, metrics, segmenters and fills: declared in a table, parsed, checked and printed from it.
 *
 * A table is an array of why_param that ends with a NULL name. Job files, `--set`, `whypix list` and the canonical
 * text in the database all read the same table, so a new parameter is one line. */
#ifndef WHYPIX_PARAM_H
#define WHYPIX_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

typedef enum why_param_type {
    WHY_PARAM_INT,    /* whole number in [lo, hi] */
    WHY_PARAM_REAL,   /* finite number in [lo, hi] */
    WHY_PARAM_BOOL,   /* true | false */
    WHY_PARAM_CHOICE, /* one of `choices`, separated by '|' */
    WHY_PARAM_TEXT    /* free text; "" = unset */
} why_param_type;

typedef struct why_param {
    const char *name;
    why_param_type type;
    const char *initial; /* default, as text, valid under the type's own rule */
    double lo, hi;       /* INT and REAL only */
    const char *choices; /* CHOICE only: "a|b|c" */
    const char *help;    /* one line */
} why_param;

/* The values of one table. */
typedef struct why_params why_params;

/* All defaults. `table` may be NULL (no parameters) and is borrowed for the life of the values. */
why_status why_params_create(const why_param *table, why_params **out) WHY_MUST_USE;
void why_params_destroy(why_params **p);
why_status why_params_copy(const why_params *p, why_params **out) WHY_MUST_USE;

/* Set one value from text. WHY_EARG names the nearest parameter when `name` is unknown, and the range when the value is outside. */
why_status why_params_set(why_params *p, const char *name, const char *text) WHY_MUST_USE;

/* Read one value. Asking for a name that the table lacks, or for the wrong type, is a programmer's error (assert). */
int64_t why_params_int(const why_params *p, const char *name);
double why_params_real(const why_params *p, const char *name);
bool why_params_bool(const why_params *p, const char *name);
const char *why_params_text(const why_params *p, const char *name); /* CHOICE and TEXT; a view */
bool why_params_has(const why_params *p, const char *name);         /* does the table have it? */

/* Canonical JSON object: every parameter in table order, defaults filled in: {"samples":1000,"segmenter":"quickshift"}.
 * The same values give the same bytes on every machine. Returns an owned string (free()). */
why_status why_params_canonical(const why_params *p, char **out) WHY_MUST_USE;

/* The name in `names` (n of them) nearest to `got` by edit distance, or NULL when none is near. A view. */
const char *why_nearest(const char *got, const char *const *names, size_t n);

#endif
