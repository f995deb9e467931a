/* The evaluator: perturbed copies of one image in, class scores out. Every black-box explainer and metric goes
 * through it; none of them builds an image. That is the seam behind which batching, caching and the re-use of
 * unchanged parts happen. */
#ifndef WHYPIX_EVALUATE_H
#define WHYPIX_EVALUATE_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/image.h"
#include "whypix/model.h"
#include "whypix/status.h"

typedef struct why_evaluator why_evaluator;

/* What replaces hidden pixels. A *local* fill is a picture of its own (h*w*3 floats 0..255): the value of a hidden
 * pixel depends on nothing but its place. A fill that is *remade* paints the hidden pixels from those that are shown: its
 * picture is what is seen when everything is hidden. Owned by the evaluator; valid until its next begin. */
typedef struct why_fill {
    const char *name;  /* canonical text, e.g. "blur(kx=16,ky=16)" */
    const float *rgb;
    uint64_t id;       /* same image and same text: same id; part of cache keys */
    bool local;        /* and not remade */
} why_fill;

/* A kind of fill: one line of THE table in src/explain/fills.c. */
typedef struct why_fill_kind {
    const char *name, *help;
    const why_param *params;
    bool needs_segments;
    /* Write h*w*3 floats. `segments` is NULL unless needs_segments. */
    why_status (*make)(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p, float *rgb);
    /* NULL for local fills. Write h*w*3 floats: the copy of `im` for a set of shown pixels (h*w, 0 or 1; some of each). Called by
     * several threads at once, each with `scratch` of its own: remake_scratch bytes of any contents, aligned for double. Soft maps
     * have no such set and are refused. */
    void (*remake)(const why_image *im, const why_preprocess *pre, const uint8_t *shown, const why_params *p, void *scratch, float *rgb);
    size_t (*remake_scratch)(int h, int w, const why_params *p);
} why_fill_kind;
extern const why_fill_kind *const why_fill_kinds[]; /* NULL-terminated */

/* Half-open box of rows, columns and channels. */
typedef struct why_box {
    int y0, y1, x0, x1, c0, c1;
} why_box;

typedef enum why_perturbation_kind {
    WHY_SHOW_SEGMENTS, /* the segments whose bit is set show the image, the others the fill */
    WHY_SHOW_BOXES,    /* the boxes show the image */
    WHY_SHOW_PIXELS,   /* the pixels whose bit is set show the image */
    WHY_SOFT_MAP,      /* image * m + fill * (1 - m), m per pixel in [0, 1] */
    WHY_WHOLE_IMAGE    /* another picture altogether */
} why_perturbation_kind;

/* All pointers are borrowed for the length of the call. Bit k is bit k % 64 of word k / 64. */
typedef struct why_perturbation {
    why_perturbation_kind kind;
    const why_fill *fill; /* NULL for WHY_WHOLE_IMAGE */
    union {
        struct {
            const why_segments *segments;
            const uint64_t *on; /* ceil(n/64) words, unused bits zero */
        } segments;
        struct {
            const why_box *box;
            int n;
        } boxes;
        const uint64_t *pixels; /* ceil(h*w/64) words, unused bits zero */
        const float *soft;      /* h*w */
        const float *rgb;       /* h*w*3, 0..255 */
    } u;
} why_perturbation;

/* What number is explained. */
typedef enum why_output { WHY_PROBABILITY, WHY_LOGIT, WHY_LOG_ODDS } why_output;
why_status why_output_parse(const char *text, why_output *out) WHY_MUST_USE;
const char *why_output_name(why_output o);

/* Pictures beside the one that is perturbed, in the model's frame: a job's list, for background sets. */
typedef struct why_gallery {
    int n;
    why_status (*load)(const void *ctx, int index, why_image *out); /* `out` owned by the caller */
    const void *ctx;                                                /* borrowed, as all of it */
} why_gallery;

typedef struct why_evaluator_options {
    const why_model *model;           /* borrowed */
    const why_preprocess *preprocess; /* borrowed */
    why_pool *pool;                   /* borrowed, may be NULL */
    int max_batch;                    /* forwards per call of the engine; results do not depend on it */
    why_gallery gallery;              /* may be empty */
} why_evaluator_options;

why_status why_evaluator_create(const why_evaluator_options *o, why_evaluator **out) WHY_MUST_USE;
void why_evaluator_destroy(why_evaluator **ev);
const why_model *why_evaluator_model(const why_evaluator *ev);
const why_preprocess *why_evaluator_preprocess(const why_evaluator *ev);

/* Start on an image of the model's size (borrowed until the next begin): forgets scores and fills of the last one. */
why_status why_evaluator_begin(why_evaluator *ev, const why_image *im) WHY_MUST_USE;

/* A fill by its text: "mean", "zero", "black", "blur(16,16)", "gaussian(k=11,sigma=5)", "colour(124,116,104)",
 * "segment_mean", "inpaint_telea", "noisy_linear". Made once per image. `segments` may be NULL when the kind does not need it. */
why_status why_evaluator_fill(why_evaluator *ev, const char *text, const why_segments *segments, const why_fill **out) WHY_MUST_USE;
/* The canonical text of a fill, parameters in table order, defaults filled in (owned); checks it too. */
why_status why_fill_canonical(const char *text, char **out) WHY_MUST_USE;
/* WHY_EARG unless it is a fill, and a local one. */
why_status why_fill_check_local(const char *text) WHY_MUST_USE;

/* Raw logits of n perturbations: n x outputs. Equal perturbations are computed once per image (exact keys). */
why_status why_evaluator_run(why_evaluator *ev, const why_perturbation *p, int n, float *logits) WHY_MUST_USE;
/* The unperturbed image: 1 x outputs; a view until the next begin. */
why_status why_evaluator_original(why_evaluator *ev, const float **logits) WHY_MUST_USE;

/* Score of a class from one row of raw logits; knows one-output models. log_odds = log p/(1-p), computed without cancellation. */
double why_score(const float *logits, int outputs, int class_index, why_output output);

/* "Why a, why not b": wherever a class index is taken, a contrast's number may stand; its score is that of a minus that of b.
 * b is -1 for a plain class. -1: the model has too many classes (over 32767) to number their pairs. */
int why_contrast(int classes, int a, int b);
void why_contrast_parts(int classes, int class_index, int *a, int *b);

/* Gradient of a class score at a layer, for n <= max_batch perturbed copies. `layer` as why_model_resolve; "input" gives
 * the gradient with respect to the normalised input. Views, n x C x H x W, valid until the next call. act may be NULL.
 * p may be NULL: the unperturbed image, n is then 1. */
why_status why_evaluator_gradient(why_evaluator *ev, const char *layer, const why_perturbation *p, int n, int class_index,
                                  why_output output, why_rule rule, why_tensor_view *act, why_tensor_view *grad) WHY_MUST_USE;

/* DeepLIFT's multipliers (WHY_RULE_RESCALE) between the image and n references, which are perturbations, for a class score:
 * sum of mult_i * (act_0 - act_i) = score_0 - score_i. act and mult: (n + 1) x C x H x W, the image at place 0 (where mult is
 * the derivative), reference i at place i = 1..n; scores: n + 1 numbers, or NULL. Views, valid until the next call.
 * Counted as n perturbations. */
why_status why_evaluator_multipliers(why_evaluator *ev, const char *layer, const why_perturbation *references, int n, int class_index,
                                     why_output output, why_tensor_view *act, why_tensor_view *mult, double *scores) WHY_MUST_USE;
/* References that one call takes: at least 1. */
int why_evaluator_max_references(const why_evaluator *ev);

/* The gallery's pictures, loaded on first use and kept as long as the evaluator. */
int why_evaluator_gallery_size(const why_evaluator *ev);
why_status why_evaluator_gallery(why_evaluator *ev, int index, const why_image **out) WHY_MUST_USE;

/* Logits with each channel of a layer's feature map set to zero in turn: C x outputs. p (WHY_WHOLE_IMAGE, or NULL: the image)
 * is what the network sees. Costs the layers behind `layer` once per channel; remembered like why_evaluator_run's. */
why_status why_evaluator_ablate(why_evaluator *ev, const char *layer, const why_perturbation *p, float *logits) WHY_MUST_USE;
int why_evaluator_max_batch(const why_evaluator *ev);

/* Counters since begin: perturbations asked for (deterministic), and forwards really run (depends on the cache). */
int64_t why_evaluator_asked(const why_evaluator *ev);
int64_t why_evaluator_forwards(const why_evaluator *ev);

#endif
