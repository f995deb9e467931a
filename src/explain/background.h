/* Background sets: the references that DeepLIFT, Deep SHAP and expected gradients compare a picture with. A text names them,
 * joined by '+':
 *
 *     zero, mean, blur(16,16), ...    fills of the picture itself (see fills.c)
 *     images(n=16,pick=spread)        pictures of the job's list, evenly spread over it; pick=first: its first ones
 *     file(F.npy)                     pictures x rows x columns x 3, 0..255, in the model's frame */
#ifndef WHYPIX_EXPLAIN_BACKGROUND_H
#define WHYPIX_EXPLAIN_BACKGROUND_H

#include "explain/explainer.h"

#define WHY_BACKGROUND_HELP \
    "references joined by '+': fills of the picture (zero, blur(16,16)), images(n=16,pick=spread|first) of the job's list, file(F.npy)"

typedef enum why_background_kind { WHY_BACKGROUND_FILL, WHY_BACKGROUND_IMAGES, WHY_BACKGROUND_FILE } why_background_kind;

/* One part of such a text. */
typedef struct why_background_part {
    why_background_kind kind;
    char *text; /* owned: of the fill, or the file's path */
    int n;      /* IMAGES: how many */
    bool first; /* IMAGES: the first of the list instead of spread over it */
} why_background_part;

typedef struct why_background_spec {
    why_background_part *part;
    int n_parts;
} why_background_spec;

/* WHY_EARG says what is wrong with the text: an unknown fill, one that needs segments, an empty part. */
why_status why_background_parse(const char *text, why_background_spec *out) WHY_MUST_USE;
void why_background_spec_clear(why_background_spec *s);
/* References that a text names, for plans: a file, which is not opened for that, counts as 16; a text that is wrong as none. */
int64_t why_background_count(const char *text);
/* Place in a list of `listed` pictures of the i-th of a part: floor(i * listed / n), or i. */
int why_background_pick(const why_background_part *part, int listed, int i);
/* Is this text fine as a background, as far as can be told without pictures? For job files. */
why_status why_background_check(const char *text) WHY_MUST_USE;
/* The same as a baseline: one fill of the picture. */
why_status why_baseline_check(const char *text) WHY_MUST_USE;

/* The references of one picture, ready to be looked at. */
typedef struct why_background {
    int n;
    struct why_reference *at;
    float **files; /* owned contents of .npy files */
    int n_files;
} why_background;

why_status why_background_open(const why_request *r, const char *text, why_background *out) WHY_MUST_USE;
void why_background_clear(why_background *b);
/* The i-th reference in the model's frame, 0..255: h*w*3 floats. */
void why_background_write(const why_background *b, int i, size_t pixels, float *rgb);

#endif
