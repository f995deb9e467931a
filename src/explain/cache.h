/* Scores of one image's perturbations, by the exact bytes of their keys: open addressing, whole keys compared, so that
 * a hash collision costs time and never a wrong score. Memory only grows; clear keeps it for the next image. */
#ifndef WHYPIX_EXPLAIN_CACHE_H
#define WHYPIX_EXPLAIN_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "whypix/status.h"

typedef struct why_cache why_cache;

/* Rows of `width` floats. */
why_status why_cache_create(int width, why_cache **out) WHY_MUST_USE;
void why_cache_destroy(why_cache **c);
void why_cache_clear(why_cache *c);

/* The row of `key`, made when there is none; *fresh says that it still has to be written. */
why_status why_cache_row_of(why_cache *c, const void *key, size_t size, int *row, bool *fresh) WHY_MUST_USE;
/* Valid until the next why_cache_row_of. */
float *why_cache_row(why_cache *c, int row);

#endif
