/* How much of a database is done, counted while a run writes it. A reader's lock makes the writer's commit wait, so nothing is
 * counted in one query: rows are read a few thousand at a time, a few milliseconds each, and put together here. What is
 * committed meanwhile is counted or not; nothing is counted twice. */
#ifndef WHYPIX_STORE_CENSUS_H
#define WHYPIX_STORE_CENSUS_H

#include "store/store.h"

enum { WHY_CENSUS_LIST = 5 };

typedef struct why_census {
    int64_t images, cells;
    int64_t done, failed;               /* explanations; those that cannot be (no mask, no label) are done with */
    int64_t images_done, images_failed; /* images that miss nothing: all cells done, some failed */
    int64_t run_id;                     /* the last run; 0: none yet */
    int64_t run_images, run_done;       /* images and explanations that it made */
    struct { int64_t image_id; double wall; } slowest[WHY_CENSUS_LIST]; /* sum over the cells, most seconds first; wall 0: no more */
    int64_t failures[WHY_CENSUS_LIST];  /* the first images with a failed explanation; 0: no more */
} why_census;

/* Memory: 16 bytes for each image. */
why_status why_store_census(why_store *s, why_census *out) WHY_MUST_USE;

#endif
