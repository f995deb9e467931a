/* Names to small numbers: which value or layer a text of the file means. */
#ifndef WHYPIX_NN_NAMES_H
#define WHYPIX_NN_NAMES_H

#include <stddef.h>

#include "whypix/status.h"

/* Starts as {0}. Keys are borrowed. */
typedef struct why_names {
    struct why_name *slots;
    size_t capacity, n; /* capacity is a power of two, at most half full */
} why_names;

void why_names_clear(why_names *t);
/* Later puts of the same key replace the number. */
why_status why_names_put(why_names *t, const char *key, int number) WHY_MUST_USE;
/* -1 when absent. */
int why_names_get(const why_names *t, const char *key);

#endif
