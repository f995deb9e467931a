/* Made pictures with exact ground truth: one of ten shapes, textured, on a textured and cluttered ground.
 *
 * A scene is a list of parts, drawn from back to front: texture, clutter, object, occluder, cue. Its parameters are
 * drawn first, its pixels second, so a scene can be drawn again without one of its parts: what the model's answer
 * changes by is then that part's effect, with no masking artefact and no picture outside the training distribution.
 *
 * Colours, textures, places and sizes (as *areas*) are drawn without looking at the class, so that only the outline
 * tells it. The cue, when asked for, is the exception: a badge in a corner whose ink and pattern name a class.
 *
 * A picture is a function of (seed, split, index, size, shortcut): not of how many are drawn, nor in which order.
 * Parameters and pixels use only + - * / sqrt and floor, which IEEE 754 rounds alike everywhere: the same pixels come
 * out on every machine. */
#ifndef WHYPIX_IMAGE_SYNTH_H
#define WHYPIX_IMAGE_SYNTH_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/image.h"
#include "whypix/status.h"

enum { WHY_SYNTH_CLASSES = 10, WHY_SYNTH_MIN_SIZE = 128, WHY_SYNTH_MAX_SIZE = 2048 };

/* From back to front. Without WHY_SYNTH_TEXTURE the ground is its mean colour. */
typedef enum why_synth_part {
    WHY_SYNTH_TEXTURE,
    WHY_SYNTH_CLUTTER,
    WHY_SYNTH_OBJECT,
    WHY_SYNTH_OCCLUDER,
    WHY_SYNTH_CUE,
    WHY_SYNTH_PARTS
} why_synth_part;

typedef struct why_synth_options {
    uint64_t seed;
    const char *split; /* names the random streams: "train" and "test" of one seed share no picture */
    int size;          /* side in pixels, WHY_SYNTH_MIN_SIZE..WHY_SYNTH_MAX_SIZE */
    bool planted;      /* put a cue into every picture */
    double shortcut;   /* with `planted`: probability in [0, 1] that the cue names the true class; else a class drawn uniformly */
} why_synth_options;

/* What is known of a picture: its label and its covariates. Shares are of the whole picture unless said otherwise, and
 * of the picture as drawn: a part that is left out hides nothing and owns nothing. */
typedef struct why_synth_facts {
    int label;
    int cue;                                     /* the class that the cue names; -1: no cue */
    double area;                                 /* share the object covers, hidden or not */
    double occluded;                             /* share of the object that is hidden */
    double contrast;                             /* distance of the mean colours of object and ground, RGB in [0, 1] */
    const char *texture, *fill, *occluder;       /* names of the ground's and the object's texture and of the occluder's form (static) */
    bool present[WHY_SYNTH_PARTS];               /* is the part in this scene at all? */
    double visible[WHY_SYNTH_PARTS];             /* share of the pixels that each part owns; they sum to 1 */
} why_synth_facts;

/* Draw picture `index`, leaving out the parts whose bit (1 << part) is set in `without`.
 * `image` needs no initialisation and is owned by the caller (why_image_clear). `owner` gets size*size bytes, owned by
 * the caller (free): the why_synth_part that each pixel shows, the one with most of its sub-samples, so that the masks
 * of the parts are disjoint and cover the picture. `owner` and `facts` may be NULL.
 * WHY_EARG: size or shortcut outside its range, the split empty. On failure nothing is owned. */
why_status why_synth_draw(const why_synth_options *o, uint32_t index, unsigned without, why_image *image, uint8_t **owner,
                          why_synth_facts *facts) WHY_MUST_USE;

/* Static names: "disc" for class 0, "object" for WHY_SYNTH_OBJECT. */
const char *why_synth_class_name(int label);
const char *why_synth_part_name(why_synth_part part);

/* Write pictures 0..count-1 into `dir` (made when missing): images/NNNNN.png, masks/NNNNN.png (255 where the object shows,
 * else 0), list.csv (a manifest for job files, paths relative to it) and labels.txt. With `parts` also parts/NNNNN-PART.png,
 * the scene without that part, parts/NNNNN-PART-mask.png, where the part showed, and parts.csv that lists them.
 * The lists are written last: a set that has them is whole. */
why_status why_synth_write(const why_synth_options *o, uint32_t count, bool parts, const char *dir) WHY_MUST_USE;

#endif
