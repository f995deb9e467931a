/* The steps of why_plan_create; private to src/run/plan*.c. */
#ifndef WHYPIX_RUN_PLAN_BUILD_H
#define WHYPIX_RUN_PLAN_BUILD_H

#include "run/job.h"
#include "run/manifest.h"
#include "run/plan.h"

typedef struct why_plan_builder {
    why_plan *plan;
    why_job job;
    why_labels labels;
    why_manifest manifest;
} why_plan_builder;

why_status why_plan_add_models(why_plan_builder *b) WHY_MUST_USE;  /* plan_models.c: load, fit, check labels and classes */
why_status why_plan_add_methods(why_plan_builder *b) WHY_MUST_USE; /* plan_cells.c */
why_status why_plan_add_cells(why_plan_builder *b) WHY_MUST_USE;   /* plan_cells.c */
why_status why_plan_add_pairs(why_plan_builder *b) WHY_MUST_USE;   /* plan_cells.c */
why_status why_plan_add_metrics(why_plan_builder *b) WHY_MUST_USE; /* plan_metrics.c */

/* SHA-256 of a canonical text, into the arena; clears the buffer. */
why_status why_plan_uid(why_arena *arena, why_buf *text, const char **out) WHY_MUST_USE;
/* The buffer's text, moved into the arena. */
why_status why_plan_text(why_arena *arena, why_buf *text, const char **out) WHY_MUST_USE;

#endif
