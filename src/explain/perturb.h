/* A perturbation made concrete: its cache key, and its copy of the image as the model's input planes. */
#ifndef WHYPIX_EXPLAIN_PERTURB_H
#define WHYPIX_EXPLAIN_PERTURB_H

#include "base/buf.h"
#include "whypix/evaluate.h"

/* A fill with its normalised planes (channels*h*w). `base` comes first: what users hold points at it. */
typedef struct why_made_fill {
    why_fill base;
    float *rgb, *planes;
    char *text;       /* canonical */
    int segmentation; /* the segmentation it was made for, -1: none */
    const why_fill_kind *kind;
    why_params *params; /* of `kind` */
} why_made_fill;

/* One image in the model's frame. Normalisation is pixel by pixel and channel by channel (or from one pixel's three
 * channels to one plane), so choosing between normalised planes equals normalising the chosen pixels, bit for bit. */
typedef struct why_frame {
    int h, w, channels;
    const why_image *image;
    const why_preprocess *pre;
    float *planes; /* normalised image: channels*h*w */
} why_frame;

/* What a perturbation leaves visible. All-shown needs no fill and all-hidden no set: both share one key over all kinds. */
typedef enum why_extent { WHY_ALL_SHOWN, WHY_ALL_HIDDEN, WHY_MIXED } why_extent;

/* WHY_EARG when segments are of another size. */
why_status why_frame_check_segments(const why_frame *f, const why_segments *s) WHY_MUST_USE;
/* Sizes, boxes and fill of a perturbation: WHY_EARG when they do not suit the frame. */
why_status why_perturb_check(const why_frame *f, const why_perturbation *p) WHY_MUST_USE;
why_extent why_perturb_extent(const why_frame *f, const why_perturbation *p);
/* Replaces the contents of `key`. p may be NULL for WHY_ALL_SHOWN. `segmentation` numbers p's segments by content. */
void why_perturb_key(const why_frame *f, const why_perturbation *p, why_extent extent, int segmentation, why_buf *key);
/* Memory of one thread: shown h*w bytes, rgb h*w*3 floats, remake as much as the fill's kind asks for (may be NULL). */
typedef struct why_scratch {
    uint8_t *shown;
    float *rgb;
    void *remake;
} why_scratch;
/* planes: channels*h*w, every value written. */
void why_perturb_compose(const why_frame *f, const why_perturbation *p, why_extent extent, const why_scratch *scratch, float *planes);

#endif
