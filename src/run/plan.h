/* The expanded job: everything that a run will compute, numbered. A pure function of the job file, the image list and
 * the models; every rank builds the same plan, and its hash says so. */
#ifndef WHYPIX_RUN_PLAN_H
#define WHYPIX_RUN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/explain.h"
#include "whypix/metric.h"

typedef struct why_plan_image {
    int64_t id;                       /* 1.. in list order (or shuffled order) */
    const char *uid, *path;           /* path as listed; uid = SHA-256 of it */
    const char *file;                 /* resolved: what to open */
    int64_t label;                    /* -1: none */
    const char *mask, *group, *split; /* NULL: none; as listed */
    const char *mask_file, *boxes;    /* NULL: none; resolved */
    const char *covars;               /* further columns as JSON, NULL: none */
} why_plan_image;

typedef struct why_plan_model {
    int64_t id;
    const char *uid, *name, *file;
    why_preprocess preprocess;
    why_fit fit;
    const char *preprocess_text, *input_text; /* JSON: the preset's numbers; size and fit */
    why_model *model;                         /* loaded and checked when the plan was made; owned by the plan */
} why_plan_model;

typedef struct why_plan_method {
    int64_t id;
    const char *uid, *name;
    const why_explainer *explainer;
    why_params *params;
    why_output output;
    const char *canonical; /* JSON stored in `method.params`: parameters and output */
    const char *draw;      /* the same without the budget: names the random streams */
} why_plan_method;

/* Rules: "label", "predicted", "second", "top:k" (expanded to top:1 .. top:k), "class:N". */
typedef struct why_plan_cell {
    int64_t id; /* 1 .. 65535 */
    const char *uid;
    int model, method; /* indices */
    const char *target;
    int repeat;
    int64_t budget;        /* -1: the method's own */
    int prefix_of;         /* index of the full-budget cell, or -1 */
    const char *transform; /* "" */
    const char *budget_kind; /* of a cell with a budget: see why_explainer; else NULL */
    const char *draw;      /* the `use` text of its random stream: method canonical text without budget, and repeat */
} why_plan_cell;

typedef struct why_plan_metric {
    int64_t id;
    const char *uid;
    const why_metric *metric;
    why_params *params;
    why_policy policy;                   /* pairs only */
    why_grid grid;                       /* pairs only */
    const char *policy_text, *grid_text; /* NULL for scores */
    const char *fill;                    /* canonical, for WHY_METRIC_FILL; NULL else */
    const char *canonical;               /* JSON of params (and fill, and the segments of the grid) */
} why_plan_metric;

typedef struct why_plan_pair {
    int a, b;
} why_plan_pair; /* cell indices, a < b */

typedef struct why_plan {
    const char *name;
    const char *yaml;      /* the job after `extends`, canonical, without `output` and `run`: what is computed */
    const char *expanded;  /* the same with them, for people */
    const char *uid, *sha; /* of the job; of the whole plan (images, models by hash, cells, metrics) */
    uint64_t seed;
    why_plan_image *images;
    int n_images;
    why_plan_model *models;
    int n_models;
    why_plan_method *methods;
    int n_methods;
    why_plan_cell *cells;
    int n_cells;
    why_plan_metric *metrics;
    int n_metrics;
    why_plan_pair *pairs;
    int n_pairs;
    const char *const *labels;
    int n_labels;              /* class names, may be none */
    const char *segments_spec; /* segmentation of the `segments` grid */
    /* output and run settings */
    const char *database;     /* paths of outputs are seen from the current folder */
    const char *maps_dir;     /* NULL: maps: none */
    bool archive;             /* maps go to archives in that folder, one per process: maps_part.sqlar */
    char maps_part[32];       /* of this process: the run and the rank; "": maps.sqlar */
    const char *overlays_dir; /* made when the first overlay is written */
    int overlays_first;
    why_palette palette;
    int threads; /* 0 = auto */
    int shard;   /* images per shard, 0 = auto */
    bool on_bad_image_stop;
    int batch;               /* evaluator batch */
    struct why_arena *arena; /* owns all texts and arrays */
} why_plan;

/* Read JOB (with extends, matrix, ${VARIABLES} in paths), check everything that can be checked without computing, and
 * expand it. Errors: WHY_EJOB with file, line and column; whatever why_model_load says. */
why_status why_plan_create(const char *job_file, why_plan **out) WHY_MUST_USE;
void why_plan_destroy(why_plan **p);
/* Another database, with its maps and overlays beside it (`run --db`). */
why_status why_plan_set_database(why_plan *p, const char *database) WHY_MUST_USE;
/* Where outputs go: "results/a.db" with "-maps" gives "results/a-maps" (owned). */
why_status why_output_beside(const char *file, const char *suffix, char **out) WHY_MUST_USE;
/* Maps and overlays beside another file than the database (`run --beside`). */
why_status why_plan_set_beside(why_plan *p, const char *file) WHY_MUST_USE;
/* Overrides of one cell: the method's parameters with the cell's budget (owned). */
why_status why_plan_cell_params(const why_plan *p, int cell, why_params **out) WHY_MUST_USE;

/* What a run will cost at most, per image: known before any picture is read. */
typedef struct why_plan_cost {
    int64_t explanations, scores, pairs, predictions; /* rows */
    int64_t curve_points;                             /* rows, about */
    int64_t forwards;                                 /* perturbed copies asked for, every cell computed alone */
    int64_t shared_forwards;                          /* of those, what budget prefixes and equal targets re-use at best */
    double macs;                                      /* of the forwards that remain */
    int64_t bytes;                                    /* of the database */
    int64_t fixed_bytes;                              /* of the database, whatever the number of images: the summaries */
} why_plan_cost;
void why_plan_cost_of(const why_plan *p, why_plan_cost *out);
/* Is this score computed for this cell? Metrics that run the model are: for repeat 0 at the method's own budget only. */
bool why_plan_scores(const why_plan *p, int cell, int metric);

/* ---------------------------------------------------------------- with the database (plan_store.c) */
struct why_store;
struct why_buf;
/* Put every dictionary in order inside one transaction. The plan's ids become the database's: a grown job keeps its old
 * ones. *job_id is the job's row. */
why_status why_plan_sync(why_plan *p, struct why_store *s, int64_t *job_id) WHY_MUST_USE;
/* The plan's ids (and maps_part) as bytes, and back, so that rank 0 can tell the others. WHY_EPEER when the bytes are of another plan
 * (a rank that sees other files). */
void why_plan_ids_write(const why_plan *p, struct why_buf *b);
why_status why_plan_ids_read(why_plan *p, const uint8_t *bytes, size_t n) WHY_MUST_USE;

#endif
