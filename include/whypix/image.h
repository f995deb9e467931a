/* Pictures: reading, fitting to a model, segmenting, drawing.
 *
 * A why_image is 8-bit RGB, row-major H x W x 3. What a model sees is the *fitted* image (resized, cropped): "the
 * model's frame". Maps, masks and segments live in that frame. */
#ifndef WHYPIX_IMAGE_H
#define WHYPIX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/param.h"
#include "whypix/status.h"

typedef struct why_image {
    int h, w;
    uint8_t *rgb; /* h*w*3, owned by this struct */
} why_image;

typedef struct why_image_limits {
    int64_t max_pixels; /* refused before memory is taken; 0 = 178,956,970 (twice Pillow's warning size, where it errors) */
    bool exif;          /* apply EXIF orientation; off by default, as torchvision's loaders do */
} why_image_limits;

/* Read a PNG or JPEG, told by content, to the RGB that Pillow's convert("RGB") gives (alpha dropped, palettes expanded,
 * 16-bit >> 8, CMYK naively). WHY_EFILE, WHY_EFORMAT (corrupt or truncated), WHY_EUNSUPPORTED (another format, named),
 * WHY_ELIMIT. `limits` may be NULL. `out` needs no initialisation and is empty on failure. */
why_status why_image_load(const char *path, const why_image_limits *limits, why_image *out) WHY_MUST_USE;
why_status why_image_decode(const uint8_t *bytes, size_t n, const why_image_limits *limits, why_image *out) WHY_MUST_USE;
/* The size that a PNG's or JPEG's header says, as it is stored; pixels are not read. Errors as above. */
why_status why_image_probe(const char *path, int *h, int *w) WHY_MUST_USE;
why_status why_image_create(int h, int w, why_image *out) WHY_MUST_USE; /* zeroed */
void why_image_clear(why_image *im);

/* PNG writers: RGB and 8-bit grey. Written beside the target and renamed. */
why_status why_image_save_png(const why_image *im, const char *path) WHY_MUST_USE;
why_status why_grey_save_png(const uint8_t *grey, int h, int w, const char *path) WHY_MUST_USE;
/* Grey 8-bit (PNG or JPEG as Pillow's convert("L")), for masks: nonzero = object. Owned buffer h*w. */
why_status why_mask_load(const char *path, const why_image_limits *limits, uint8_t **mask, int *h, int *w) WHY_MUST_USE;

typedef enum why_filter { WHY_NEAREST, WHY_BILINEAR, WHY_BICUBIC } why_filter;

/* Pillow's resize: antialiased bilinear and bicubic (a = -0.5), 8-bit intermediate, bit for bit; nearest as Pillow. */
why_status why_image_resize(const why_image *in, int h, int w, why_filter how, why_image *out) WHY_MUST_USE;
/* cv2.resize INTER_LINEAR on floats: half-pixel centres, clamped borders, no antialiasing (CAM up-sampling). */
void why_map_resize(const float *in, int h, int w, float *out, int oh, int ow);

/* How a picture is brought to the model's frame. */
typedef struct why_fit {
    int resize_h, resize_w; /* both > 0: to exactly this size; resize_w = 0: the short side becomes resize_h (torchvision's Resize(int)); both 0: not resized */
    why_filter how;
    int crop;               /* > 0: centre crop to crop x crop (padded with zeros when smaller, as torchvision); 0: none */
} why_fit;

/* "resize-crop" style text for people and for the database: {"resize":256,"how":"bilinear","crop":224} (owned). */
why_status why_fit_canonical(const why_fit *fit, char **out) WHY_MUST_USE;
why_status why_image_fit(const why_image *in, const why_fit *fit, why_image *out) WHY_MUST_USE;
/* The same geometry, nearest neighbour, for masks of the size of the original picture. Owned buffer. */
why_status why_mask_fit(const uint8_t *mask, int h, int w, const why_fit *fit, uint8_t **out, int *oh, int *ow) WHY_MUST_USE;

/* From RGB 0..255 (float: fills need not be whole numbers) to the model's input planes.
 * x[c] = (v[c] / divisor - mean[c]) / std[c], channels in `bgr` order when set; one channel: luma as Pillow's "L". */
typedef struct why_preprocess {
    const char *name;
    float divisor;
    float mean[3], std[3];
    bool bgr;
} why_preprocess;

/* Presets: torchvision, caffe, tf, half, none. NULL when unknown; why_preprocess_names lists them (NULL-terminated). */
const why_preprocess *why_preprocess_find(const char *name);
const char *const *why_preprocess_names(void);
why_status why_preprocess_canonical(const why_preprocess *p, char **out) WHY_MUST_USE; /* JSON, owned */
/* rgb: h*w*3 floats 0..255; x: channels*h*w. channels is 1 or 3. */
void why_normalise(const why_preprocess *p, const float *rgb, int h, int w, int channels, float *x);

/* ------------------------------------------------------------------ segments */
typedef struct why_segments {
    int h, w, n;    /* labels 0..n-1, every one used */
    int32_t *label; /* h*w, owned */
} why_segments;
void why_segments_clear(why_segments *s);

/* A segmenter: image -> labels. `seed` keys its tie-breaking noise (quickshift); `noise` (h*w, may be NULL) replaces it. */
typedef struct why_segmenter {
    const char *name, *help, *source;
    const why_param *params;
    why_status (*run)(const why_image *im, const why_params *p, uint64_t seed, const double *noise, why_segments *out);
} why_segmenter;

extern const why_segmenter *const why_segmenters[]; /* THE table, NULL-terminated */
const why_segmenter *why_segmenter_find(const char *name);
/* "quickshift" or "slic(n_segments=50,compactness=10)": the segmenter and its parameters (owned). Errors name the nearest. */
why_status why_segmenter_parse(const char *text, const why_segmenter **segmenter, why_params **params) WHY_MUST_USE;

/* ------------------------------------------------------------------ filters */
/* cv2.blur(kx, ky) on 8-bit, anchored at k/2, BORDER_REFLECT_101, with OpenCV's rounding. in/out h*w*3, may not alias. */
why_status why_box_blur(const uint8_t *in, int h, int w, int kx, int ky, uint8_t *out) WHY_MUST_USE;
/* Gaussian blur of h*w*3 floats, k x k window (odd, up to 1023), sigma in pixels. zero_pad: RISE's convolution, whose
 * kernel is scipy's Gaussian with its tails mirrored into the window; otherwise OpenCV's cut-off kernel, BORDER_REFLECT_101. */
why_status why_gaussian_blur(const float *in, int h, int w, int k, double sigma, bool zero_pad, float *out) WHY_MUST_USE;
/* cv2.inpaint(..., radius, INPAINT_TELEA) on 8-bit colours: pixels where hidden[i] != 0 are painted from around them, the
 * others kept. in/out h*w*3, h and w at least 2; radius 1 to 100; `scratch`: why_inpaint_scratch bytes, any contents, aligned anyhow. */
void why_inpaint_telea(const uint8_t *rgb, const uint8_t *hidden, int h, int w, int radius, void *scratch, uint8_t *out);
size_t why_inpaint_scratch(int h, int w, int radius);

/* ------------------------------------------------------------------ pictures for people */
typedef enum why_palette { WHY_VIRIDIS, WHY_INFERNO, WHY_DIVERGING, WHY_PALETTES } why_palette;
why_status why_palette_parse(const char *name, why_palette *out) WHY_MUST_USE;
/* value in [0, 1] -> RGB. Diverging: 0 = most negative, .5 = zero, 1 = most positive. */
void why_palette_colour(why_palette p, double value, uint8_t rgb[3]);
/* Heat-map over the (greyed) image, `alpha` in [0, 1]. Unsigned palettes: min-max of the positive part; diverging:
 * symmetric around zero. A constant map is drawn as its lowest colour, never NaN. */
why_status why_overlay(const why_image *im, const float *map, why_palette p, double alpha, why_image *out) WHY_MUST_USE;
/* Put rows * columns pictures on a white sheet, row after row, `gap` pixels apart; all cells have the size of the largest picture,
 * and NULL leaves one white. */
why_status why_sheet(const why_image *const *parts, int rows, int columns, int gap, why_image *out) WHY_MUST_USE;
/* Put pictures of equal height side by side with a white gap. */
why_status why_panel(const why_image *const *parts, int n, int gap, why_image *out) WHY_MUST_USE;

#endif
