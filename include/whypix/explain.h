/* Explainers: one file and one table line each. src/explain/random.c is the smallest; start there for your own. */
#ifndef WHYPIX_EXPLAIN_H
#define WHYPIX_EXPLAIN_H

#include "whypix/evaluate.h"
#include "whypix/param.h"
#include "whypix/rng.h"

/* One image under one model, with what several explainers share. */
typedef struct why_subject why_subject;

/* `image` (in the model's frame), `mask` (h*w, 0/1; may be NULL) and `ev` are borrowed; calls why_evaluator_begin.
 * image_key: first 8 bytes of the picture file's SHA-256. */
why_status why_subject_create(why_evaluator *ev, const why_image *image, const uint8_t *mask, uint64_t job_seed, uint64_t image_key, why_subject **out) WHY_MUST_USE;
void why_subject_destroy(why_subject **s);
why_evaluator *why_subject_evaluator(const why_subject *s);
const why_image *why_subject_image(const why_subject *s);
const uint8_t *why_subject_mask(const why_subject *s);
/* Segmentation by text ("quickshift", "slic(n_segments=50)", or "file(F.npy)"), made once per subject and shared. A view. */
why_status why_subject_segments(why_subject *s, const char *text, const why_segments **out) WHY_MUST_USE;
/* The stream for a use of this subject (see rng.h). */
why_stream why_subject_stream(const why_subject *s, const char *use);

typedef struct why_request {
    why_subject *subject;
    int class_index;   /* or a contrast's number: see why_contrast */
    why_output output;
    const why_params *params;
    why_stream stream; /* of (job seed, image, method text, repeat) */
    int repeat;        /* 0, 1, ...: of the same method; names draws that are not the method's own */
} why_request;

/* A map and what is known of it. Undefined numbers are NAN. Positive = speaks for the class. */
typedef struct why_explanation {
    int h, w;
    float *map;                   /* h*w, unnormalised, owned */
    const why_segments *segments; /* the segments the map is constant on, or NULL; a view into the subject */
    int64_t evaluations;          /* perturbations asked for: deterministic, whatever the cache saved */
    double fit;                   /* R^2 of the surrogate (lime) */
    double residual;              /* additivity or completeness residual, in units of the output */
    double se_range;              /* largest standard error over segments / range of the map */
    double ess;                   /* effective sample size of draws that were reweighted for this explainer */
    float *se;                    /* h*w standard errors of the map, owned; NULL: none are known */
    const char *stop;             /* why an explanation with `until` ended: "se_range" or "budget" (static); NULL: none was asked */
    const char *note;             /* static text ("all-zero map", "fewer than 5 segments"), or NULL */
} why_explanation;
why_status why_explanation_create(int h, int w, why_explanation *out) WHY_MUST_USE; /* zero map, NANs */
void why_explanation_clear(why_explanation *e);

enum {
    WHY_USES_SEGMENTS = 1,  /* has a `segmenter` parameter; maps constant on segments */
    WHY_USES_GRADIENT = 2,  /* runs backward; has a `layer` parameter when it explains a layer */
    WHY_USES_MASK = 4,      /* needs the ground-truth mask */
    WHY_STOCHASTIC = 8,     /* another repeat gives another map */
    WHY_CONTROL = 16,       /* not an explanation: floor or ceiling for comparison */
    WHY_BLENDS = 32         /* mixes the picture with its `fill` or `baseline`, which must be local: see why_fill */
};

typedef struct why_explainer {
    const char *name, *help, *source;
    unsigned flags;
    why_output output;         /* default of the method's `output:` */
    const char *budget;        /* the parameter that `budgets:` varies ("samples"), or NULL */
    /* What a smaller budget shares with a larger one: "prefix" (its first evaluations), "nested" (a subset of them) or
     * "replanned" (chosen anew). NULL: "prefix". */
    const char *(*budget_kind)(const why_params *p);
    const why_param *params;
    /* Evaluations expected for an h x w image (for plans and ETAs); segments <= 0: unknown. */
    int64_t (*evaluations)(const why_params *p, int h, int w, int segments);
    why_status (*explain)(const why_request *r, why_explanation *out); /* `out` is created by the caller with why_explanation_create */
} why_explainer;

extern const why_explainer *const why_explainers[]; /* THE table, NULL-terminated */
const why_explainer *why_explainer_find(const char *name);

#endif
