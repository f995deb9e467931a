/* A job file: read, merged, checked, and its settings as C values. What is to be computed, before models and pictures
 * are looked at (that is plan.c). Private to src/run.
 *
 * The YAML tree keeps the place of every key and value, so that each error says file, line and column. */
#ifndef WHYPIX_RUN_JOB_H
#define WHYPIX_RUN_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "whypix/explain.h"
#include "whypix/metric.h"

/* ---------------------------------------------------------------- YAML tree (job_yaml.c) */
typedef enum why_node_kind { WHY_NODE_NULL, WHY_NODE_SCALAR, WHY_NODE_LIST, WHY_NODE_MAP } why_node_kind;

typedef struct why_node {
    why_node_kind kind;
    const char *text; /* SCALAR */
    bool quoted;      /* SCALAR: written with quotes */
    const char *file; /* place of the value, 1-based */
    int line, column;
    int n;                   /* LIST and MAP */
    struct why_entry *entry; /* LIST: keys are NULL */
} why_node;

typedef struct why_entry {
    const char *key;
    const char *file; /* place of the key */
    int line, column;
    why_node *value;
} why_entry;

/* Parse one file; everything lives in the arena. Aliases are resolved; duplicate keys, several documents and trees of
 * more than 100,000 nodes are refused. */
why_status why_yaml_load(why_arena *arena, const char *file, why_node **out) WHY_MUST_USE;
/* Block YAML that reads back as the same tree: keys in tree order, scalars quoted only when they must be. */
void why_yaml_write(why_buf *b, const why_node *node);
/* The value of a key of a MAP, or NULL. */
why_node *why_node_get(const why_node *map, const char *key);
/* Remove entry i of a LIST or MAP. */
void why_node_drop(why_node *node, int i);
/* Set the error text "file:line:column: ..." and return WHY_EJOB. */
why_status why_at(const why_node *node, const char *fmt, ...) WHY_PRINTF(2, 3);
why_status why_at_key(const why_entry *entry, const char *fmt, ...) WHY_PRINTF(2, 3);
/* Put the place before the error text that a lower room has set; WHY_EARG and the like become WHY_EJOB. */
why_status why_wrap_at(why_status st, const why_node *node);

/* ---------------------------------------------------------------- typed values (job_value.c) */
/* One key of a mapping. `into` is whatever the mapping is read into. */
typedef struct why_job why_job;
typedef why_status why_key_fn(why_job *job, void *into, const why_node *value);
typedef struct why_key {
    const char *name;
    why_key_fn *read;
    bool required;
} why_key;

/* Read every key of `map` by the table (which ends with a NULL name). Unknown keys name the nearest one. */
why_status why_read_keys(why_job *job, void *into, const why_node *map, const char *what, const why_key *keys) WHY_MUST_USE;
why_status why_want_kind(const why_node *node, why_node_kind kind, const char *what) WHY_MUST_USE;
why_status why_want_text(const why_node *node, const char *what, const char **out) WHY_MUST_USE;
why_status why_want_int(const why_node *node, const char *what, int64_t lo, int64_t hi, int64_t *out) WHY_MUST_USE;
why_status why_want_real(const why_node *node, const char *what, double *out) WHY_MUST_USE;
/* One of `choices`, separated by '|'; *out is its index. */
why_status why_want_choice(const why_node *node, const char *what, const char *choices, int *out) WHY_MUST_USE;
/* A path with its ${VARIABLES} expanded. Inputs are taken from the folder of the file they are written in. */
why_status why_want_input(why_job *job, const why_node *node, const char *what, const char **out) WHY_MUST_USE;
why_status why_want_path(why_arena *arena, const why_node *node, const char *what, const char **out) WHY_MUST_USE;
/* Copy a heap text into the arena and free it. */
why_status why_arena_adopt(why_arena *arena, char *text, const char **out) WHY_MUST_USE;
why_status why_arena_array(why_arena *arena, size_t count, size_t size, void *out_pointer) WHY_MUST_USE;

/* ---------------------------------------------------------------- the job */
typedef struct why_job_fit {
    enum { WHY_FIT_AUTO, WHY_FIT_NONE, WHY_FIT_GIVEN } kind; /* AUTO: short side to the model's size, centre crop */
    why_fit fit;
} why_job_fit;

typedef struct why_job_model {
    const why_node *at;
    const char *name, *file;
    why_preprocess preprocess;
    why_job_fit fit;
} why_job_model;

typedef struct why_job_method {
    const why_node *at;
    const char *name, *base; /* base: the key under `methods:`; name adds the matrix point: "lime[segmenter=slic]" */
    const why_explainer *explainer;
    why_params *params; /* owned by the job until the plan takes it */
    why_output output;
    bool control;
    const char **axis, **axis_value; /* the matrix point: "lime.segmenter" and its value */
    int n_axes;
    int repeats; /* >= 1 */
    int64_t *budgets;
    int n_budgets;
} why_job_method;

typedef struct why_job_target {
    const why_node *at;
    const char *text; /* label, predicted, second, top:K, class:N, or a contrast A-B of two */
} why_job_target;

typedef struct why_job_metric {
    const why_node *at;
    const why_metric *metric;
    why_params *params; /* owned by the job until the plan takes it */
} why_job_metric;

typedef struct why_job_grid {
    why_grid grid;
    const char *text;
} why_job_grid;

enum { WHY_PAIRS_METHODS, WHY_PAIRS_ALL, WHY_PAIRS_LISTED };

typedef struct why_job_name_pair {
    const char *a, *b;
} why_job_name_pair;

struct why_job {
    why_arena *arena; /* borrowed: owns every text and array of the job */
    const char *file;
    why_node *root; /* after extends, in canonical key order, without `extends` */
    const char *name;
    uint64_t seed;

    const why_node *list_at, *labels_at;
    const char *list, *labels; /* labels NULL: none */
    int64_t label_offset;
    bool shuffled;
    why_job_fit fit;

    why_job_model *models;
    int n_models;
    why_job_target *targets;
    int n_targets;
    why_job_method *methods; /* explainers, then controls */
    int n_methods;
    const why_node *exclude; /* checked list of mappings, or NULL */

    int pairs;
    why_job_name_pair *listed;
    int n_listed;
    why_policy *policies;
    int n_policies;
    why_job_grid *grids;
    int n_grids;
    why_job_metric *agreement, *scores;
    int n_agreement, n_scores;
    const char **fills; /* canonical; none: each metric's own */
    int n_fills;
    const char *segments; /* segmentation of the `segments` grid, canonical */

    const char *database;
    bool maps, archive; /* archive: maps in SQLite Archives */
    int overlays_first;
    why_palette palette;
    int threads, shard, batch; /* 0 = auto */
    bool on_bad_image_stop;
    int max_restarts; /* of `whypix launch` */
};

/* Read `file` and everything it extends into *job (zeroed by the caller but for `arena`). After a failure, too,
 * why_job_clear must be called: it destroys the parameters that the plan has not taken. */
why_status why_job_read(why_job *job, const char *file) WHY_MUST_USE;
void why_job_clear(why_job *job);
/* Is this combination excluded by `matrix: exclude:`? */
bool why_job_excludes(const why_job *job, const char *model, const why_job_method *method, const char *target);

/* Parts of why_job_read. */
why_status why_job_merge(why_arena *arena, const char *file, why_node **root) WHY_MUST_USE;         /* job_merge.c */
why_status why_job_read_methods(why_job *job) WHY_MUST_USE;                                         /* job_methods.c */
why_status why_job_read_matrix(why_job *job) WHY_MUST_USE;                                          /* job_matrix.c */
why_status why_job_read_repeats(why_job *job) WHY_MUST_USE;                                         /* job_methods.c */
why_status why_job_method_create(why_job *job, const why_node *at, why_job_method *m) WHY_MUST_USE; /* job_methods.c */
why_key_fn why_job_read_agreement, why_job_read_scores, why_job_read_fills;                         /* job_metrics.c */

#endif
