/* Metrics: of a pair of maps (agreement), or of one map (faithfulness, localisation, complexity). One function and one
 * table line each; src/metric/<family>.c. An undefined value has a reason and becomes SQL NULL: never 0, never NaN. */
#ifndef WHYPIX_METRIC_H
#define WHYPIX_METRIC_H

#include "whypix/explain.h"

typedef struct why_value {
    double value;     /* finite when why == NULL */
    const char *why;  /* static reason when undefined, e.g. "constant map" */
} why_value;

/* How maps are made comparable before a pair metric sees them: clip at 0 and min-max; as is; |map| and min-max. A map
 * that min-max cannot scale (constant) becomes zero. */
typedef enum why_policy { WHY_POSITIVE, WHY_SIGNED, WHY_ABSOLUTE } why_policy;
why_status why_policy_parse(const char *text, why_policy *out) WHY_MUST_USE;
const char *why_policy_name(why_policy p);

/* "pixel", "14x14", "7x7" (any RxC, area means), or "segments" (mean per segment of a given segmentation). */
typedef struct why_grid {
    enum { WHY_GRID_PIXEL, WHY_GRID_CELLS, WHY_GRID_SEGMENTS } kind;
    int rows, cols;
} why_grid;
why_status why_grid_parse(const char *text, why_grid *out) WHY_MUST_USE;

/* A map ready for comparison: n values, rows x cols of them when it is a picture (0 x 0 for segments). What every pair
 * needs is worked out once: make a map's field once and use it in all its pairs. All arrays are owned. */
typedef struct why_field {
    int n, rows, cols;
    float *v;
    int32_t *order;               /* indices by falling value; equal values stand in index order */
    int32_t *rank2;               /* twice the average rank of each value, from 2 (smallest) to 2n */
    const why_segments *segments; /* of the method that made the map (pixel frame), or NULL; borrowed */
    float *segment_mean;          /* per segment of `segments`, after the policy; NULL without segments */
} why_field;
/* Policy, then grid. map: h*w; grid_segments only for WHY_GRID_SEGMENTS; own_segments may be NULL. WHY_EFORMAT when a
 * value is not finite, WHY_EBUG when a segmentation has another size. `out` needs no initialisation and is empty on
 * failure. */
why_status why_field_make(const float *map, int h, int w, const why_segments *own_segments, why_policy policy, const why_grid *grid,
                          const why_segments *grid_segments, why_field *out) WHY_MUST_USE;
void why_field_clear(why_field *f);

/* One point of a curve; metrics that have one hand it over point by point, steps 0, 1, ... with x rising from 0 to 1
 * (share of the pixels that have changed sides) and y the score, beside it the class's logit (NAN or infinite when the model's output
 * is). Metrics that explain hand over one point per picture, of those that count: x the change of the class's probability, y what
 * became of the map. */
typedef void why_curve_fn(void *ctx, int step, double x, double y, double logit);

/* Explain a picture of the image's size by the method that made the map, with the same draws. class_index < 0: the class that is
 * predicted for it. `out` is empty and becomes the caller's, without segments; logits: of the picture. May leave the subject's
 * evaluator on the other picture: metrics that explain read what they need of the image first. */
typedef why_status why_explain_fn(void *ctx, const why_image *picture, int class_index, why_explanation *out, float *logits);

typedef struct why_score_input {
    why_subject *subject;
    int class_index;
    why_output output;            /* the probability; with WHY_METRIC_OWN_OUTPUT what the method explains */
    const why_explanation *explanation;
    const char *fill;             /* for metrics with WHY_METRIC_FILL; NULL: the metric's default */
    why_stream stream;            /* ties and draws */
    why_curve_fn *curve;          /* may be NULL */
    void *curve_ctx;
    why_explain_fn *explain;      /* for WHY_METRIC_EXPLAINS; NULL: the map explains no picture (controls) */
    void *explain_ctx;
    int64_t evaluations;          /* out: perturbations asked for */
} why_score_input;

enum {
    WHY_METRIC_FILL = 1,            /* takes a fill */
    WHY_METRIC_MASK = 2,            /* needs the ground-truth mask */
    WHY_METRIC_CURVE = 4,           /* hands over a curve */
    WHY_METRIC_PIXEL_ONLY = 8,      /* defined on the pixel grid only */
    WHY_METRIC_REFERENCE_ONLY = 16, /* a peer's reading, kept for comparison */
    WHY_METRIC_UNSIGNED = 32,       /* not defined under the signed policy */
    WHY_METRIC_SIGNED = 64,         /* defined under the signed policy only */
    WHY_METRIC_PICTURE = 128,       /* not defined on the segments grid */
    WHY_METRIC_OWN_OUTPUT = 256,    /* looks at the output that the method explains, not at the probability */
    WHY_METRIC_EXPLAINS = 512       /* has the method explain other pictures or classes; `evaluations` counts explanations */
};

typedef struct why_metric {
    const char *name, *help, *source;
    enum { WHY_PAIR, WHY_SCORE } kind;
    enum { WHY_BETTER_HIGH, WHY_BETTER_LOW, WHY_BETTER_NONE } better;
    unsigned flags;
    double lo, hi;              /* range for the histogram; lo == hi: unbounded (x / (1 + |x|) is binned) */
    const char *list;           /* the parameter that a job may give as a list ("area"), or NULL */
    const why_param *params;
    const char *fill;           /* default fill of a metric with WHY_METRIC_FILL, as text; else NULL */
    /* kind WHY_PAIR; fields of one size, read only: pairs may be measured side by side. Here and below: a status only for
     * failures, not for undefined values. */
    why_status (*pair)(const why_field *a, const why_field *b, const why_params *p, why_value *out);
    /* kind WHY_SCORE */
    why_status (*score)(why_score_input *in, const why_params *p, why_value *out);
    int64_t (*evaluations)(const why_params *p, int h, int w); /* NULL: none */
} why_metric;

extern const why_metric *const why_metrics[]; /* THE table, NULL-terminated */
const why_metric *why_metric_find(const char *name);

/* A name that stands for several metrics in a job file. */
typedef struct why_metric_set {
    const char *name, *help;
    const char *const *items; /* "topk_iou(area=0.05)", ..., NULL */
} why_metric_set;
extern const why_metric_set why_metric_sets[]; /* ends with a NULL name */
const why_metric_set *why_metric_set_find(const char *name);

/* WHY_BETTER_...: `better`, or its opposite for a curve that begins with the least relevant. `p` may be NULL. */
int why_metric_better(const why_metric *m, const why_params *p);
/* Is a pair metric defined under this policy and on this grid? Where it is not, plans have no row of it. */
bool why_metric_suits(const why_metric *m, why_policy policy, const why_grid *grid);

#endif
