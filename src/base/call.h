/* "name(a,b,key=c)": how segmenters, maskers and fills are written in job files. */
#ifndef WHYPIX_BASE_CALL_H
#define WHYPIX_BASE_CALL_H

#include "whypix/param.h"

/* Split the name off: *name owned. */
why_status why_call_name(const char *text, char **name) WHY_MUST_USE;
/* Apply the arguments, positional in table order or by key, to values of `table` (owned result). */
why_status why_call_params(const char *text, const why_param *table, why_params **out) WHY_MUST_USE;
/* "name(key=value,...)" with every parameter in table order; "name" when the table is empty (owned). */
why_status why_call_canonical(const char *name, const why_params *p, char **out) WHY_MUST_USE;

#endif
