/* One image through everything: read, fit, predict, explain, measure, record. What a worker does, without messages. */
#ifndef WHYPIX_RUN_PIPELINE_H
#define WHYPIX_RUN_PIPELINE_H

#include "base/buf.h"
#include "run/plan.h"
#include "run/protocol.h"

typedef struct why_pipeline why_pipeline;

/* Sessions and scratch for `plan` on `threads` threads. The plan must outlive it. */
why_status why_pipeline_create(const why_plan *plan, int threads, why_pipeline **out) WHY_MUST_USE;
void why_pipeline_destroy(why_pipeline **p);

/* Compute the task's cells for plan->images[task->index] and append one finished record to `out`. Cells not asked for may be
 * recomputed when a pair needs their map. A picture that cannot be used, or is not the one that earlier results rest on,
 * becomes FAILURE and failed EXPLANATION rows in the record and WHY_OK; only what no later image could survive is an error. */
why_status why_pipeline_image(why_pipeline *p, const why_task *task, why_buf *out) WHY_MUST_USE;

#endif
