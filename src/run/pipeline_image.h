/* One image on its way through the pipeline; private to src/run/pipeline*.c. */
#ifndef WHYPIX_RUN_PIPELINE_IMAGE_H
#define WHYPIX_RUN_PIPELINE_IMAGE_H

#include "run/gallery.h"
#include "run/pipeline.h"
#include "store/archive.h"
#include "store/record.h"

typedef struct why_curve_point {
    int metric, step;
    double x, y, logit;
} why_curve_point;

typedef struct why_cell_score {
    int metric;
    why_value value;
    int64_t evaluations;
} why_cell_score;

/* What is known of one cell for the present image. */
typedef struct why_cell_state {
    bool wanted; /* its rows go into the record */
    bool needed; /* its map is computed: wanted, or partner of a wanted one */
    bool done;   /* there is a map */
    int class_index;   /* or a contrast's number; -1: none */
    char no_class[128]; /* why there is none */
    int twin;          /* the earlier cell that has the very same map (equal method, draws and class), or the cell itself */
    why_explanation e; /* owned when twin is the cell itself */
    double wall, cpu;
    why_cell_score *score;
    size_t n_scores, score_capacity;
    why_curve_point *curve;
    size_t n_curve, curve_capacity;
} why_cell_state;

struct why_pipeline {
    const why_plan *plan;
    why_pool *pool;
    why_evaluator **evaluator; /* per model */
    why_listed *listed;        /* per model: the list of images as its evaluator's gallery */
    why_params **params;       /* per cell, with its budget */
    int *first;                /* cells of model m: first[m] .. first[m+1]-1 */
    why_cell_state *cell;
    why_archive *archive; /* NULL until the first map goes there */
};

/* The picture as it was read. */
typedef struct why_picture {
    const why_plan_image *listed;
    int index;
    char sha256[65]; /* "" until the file was read */
    why_image rgb;
    uint8_t *mask; /* of rgb's size, 0 or 1; NULL: none */
} why_picture;

/* The picture in one model's frame. */
typedef struct why_frame {
    int model;
    why_image rgb;
    uint8_t *mask;
    why_subject *subject;
} why_frame;

/* pipeline_read.c. Errors are of the picture (WHY_ENOMEM apart). */
why_status why_picture_read(const why_plan_image *listed, why_picture *out) WHY_MUST_USE;
void why_picture_clear(why_picture *p);
why_status why_frame_create(const why_pipeline *p, const why_picture *picture, int model, why_frame *out) WHY_MUST_USE;
void why_frame_clear(why_frame *f);

/* pipeline_explain.c: predictions, then explanations with their timings, into the record. */
why_status why_frame_predict(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) WHY_MUST_USE;
why_status why_frame_explain(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) WHY_MUST_USE;
/* A failed explanation. */
void why_put_failed(const why_pipeline *p, const why_picture *picture, int cell, const char *error, why_buf *out);
void why_put_failure(int64_t image_id, int64_t cell_id, const char *reason, why_buf *out);
/* What no later image could survive. */
bool why_is_fatal(why_status st);

/* pipeline_again.c: a cell's method on other pictures, for metrics that explain. Begins zeroed but for its first four members. */
typedef struct why_again_map why_again_map;
typedef struct why_again {
    why_pipeline *p;
    const why_picture *picture;
    const why_frame *f;
    int cell;
    why_again_map *known; /* what was explained already; owned */
    size_t n, capacity;
} why_again;
/* Set the evaluator on the frame's picture, where the last metric may have left another. */
why_status why_again_start(why_again *a) WHY_MUST_USE;
/* A why_explain_fn; ctx is a why_again. */
why_status why_again_explain(void *ctx, const why_image *picture, int class_index, why_explanation *out, float *logits) WHY_MUST_USE;
void why_again_clear(why_again *a);

/* pipeline_measure.c: scores, curves and pairs. */
why_status why_frame_score(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) WHY_MUST_USE;
why_status why_frame_compare(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) WHY_MUST_USE;

/* pipeline_draw.c: a row of panels per target, beside the database. */
why_status why_frame_draw(const why_pipeline *p, const why_picture *picture, const why_frame *f) WHY_MUST_USE;

/* The map of a cell, its twin's when it has one. */
static inline const why_explanation *why_map_of(const why_pipeline *p, int cell) { return &p->cell[p->cell[cell].twin].e; }

#endif
