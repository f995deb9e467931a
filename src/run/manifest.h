/* The image list: CSV (RFC 4180) with a header. Columns: image (wanted), label, mask, boxes, group, split; any other
 * column becomes a covariate. Paths are relative to the list; boxes are "x0 y0 x1 y1" (run/boxes.h) and stand for a mask. */
#ifndef WHYPIX_RUN_MANIFEST_H
#define WHYPIX_RUN_MANIFEST_H

#include "run/label.h"
#include "run/plan.h"

typedef struct why_manifest {
    why_plan_image *images; /* in list order, ids 1.., in the arena */
    int *line;              /* of each image in the list, for later errors */
    int n;
} why_manifest;

/* Errors are WHY_EJOB and name file and line: no rows, no `image` column, a row of another length, an open quote, the
 * same image twice, a label that the label file does not have. The pictures themselves are not opened. */
why_status why_manifest_load(struct why_arena *arena, const char *file, const why_labels *labels, why_manifest *out) WHY_MUST_USE;

#endif
