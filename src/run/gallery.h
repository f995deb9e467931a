/* The job's list of images as a gallery for background sets, and what of it a method's identity depends on. */
#ifndef WHYPIX_RUN_GALLERY_H
#define WHYPIX_RUN_GALLERY_H

#include "run/job.h"
#include "run/plan.h"

/* The list in the frame of one model. */
typedef struct why_listed {
    const why_plan *plan;
    int model;
} why_listed;

/* `listed` is borrowed by the gallery. */
why_gallery why_gallery_of(const why_listed *listed);

/* SHA-256 of what the method's background text leaves open: a line for every picture it takes from the list (its path) and for
 * every file (its SHA-256). hex: "" when the text says it all. Errors tell the place in the job file. */
why_status why_background_sha256(const why_plan *p, const why_job_method *m, char hex[65]) WHY_MUST_USE;

#endif
