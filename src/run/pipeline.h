/* One image through everything: read, fit, predict, explain, measure, record. What a worker does, without messages. */
#ifndef WHYPIX_RUN_PIPELINE_H
#define WHYPIX_RUN_PIPELINE_H

#include "base/buf.h"
#include "run/plan.h"

typedef struct why_pipeline why_pipeline;

/* Sessions and scratch for `plan` on `threads` threads. The plan must outlive it. */
why_status why_pipeline_create(const why_plan *plan, int threads, why_pipeline **out) WHY_MUST_USE;
void why_pipeline_destroy(why_pipeline **p);

/* Compute the cells whose bit is set (bit c = cell id c) for plan->images[index] and append one finished record to `out`.
 * Cells not asked for may be recomputed when a pair needs their map. A picture that cannot be used becomes FAILURE and
 * failed EXPLANATION rows in the record and WHY_OK; only what no later image could survive is an error. */
why_status why_pipeline_image(why_pipeline *p, int index, const uint64_t *cells, size_t n_words, why_buf *out) WHY_MUST_USE;

#endif
