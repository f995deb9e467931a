/* THE table of fills: what hidden pixels show. A new one is a `make` function and a line of the table. */
#include "explain/fills.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "base/mem.h"
#include "explain/laplace.h"
#include "whypix/rng.h"

static size_t pixels_of(const why_image *im) { return (size_t)im->h * (size_t)im->w; }

static void paint(const why_image *im, const float colour[3], float *rgb) {
    for (size_t i = 0; i < pixels_of(im); i++) memcpy(rgb + 3 * i, colour, 3 * sizeof *rgb);
}

static why_status make_mean(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p, float *rgb) {
    (void)pre, (void)segments, (void)p;
    int64_t sum[3] = {0};
    for (size_t i = 0; i < 3 * pixels_of(im); i++) sum[i % 3] += im->rgb[i];
    float colour[3];
    for (int c = 0; c < 3; c++) colour[c] = (float)((double)sum[c] / (double)pixels_of(im));
    paint(im, colour, rgb);
    return WHY_OK;
}

/* The colour that normalisation maps to 0: v / divisor = mean. */
static void zero_colour(const why_preprocess *pre, float colour[3]) {
    for (int c = 0; c < 3; c++) colour[c] = pre->mean[pre->bgr ? 2 - c : c] * pre->divisor;
}

static why_status make_zero(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p, float *rgb) {
    (void)segments, (void)p;
    float colour[3];
    zero_colour(pre, colour);
    paint(im, colour, rgb);
    return WHY_OK;
}

static why_status make_black(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                             float *rgb) {
    (void)pre, (void)segments, (void)p;
    paint(im, (const float[3]){0, 0, 0}, rgb);
    return WHY_OK;
}

static why_status make_white(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                             float *rgb) {
    (void)pre, (void)segments, (void)p;
    paint(im, (const float[3]){255, 255, 255}, rgb);
    return WHY_OK;
}

static const why_param colour_params[] = {
    {"r", WHY_PARAM_REAL, "128", 0, 255, NULL, "red"},
    {"g", WHY_PARAM_REAL, "128", 0, 255, NULL, "green"},
    {"b", WHY_PARAM_REAL, "128", 0, 255, NULL, "blue"},
    {0},
};

static why_status make_colour(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                              float *rgb) {
    (void)pre, (void)segments;
    const float colour[3] = {(float)why_params_real(p, "r"), (float)why_params_real(p, "g"), (float)why_params_real(p, "b")};
    paint(im, colour, rgb);
    return WHY_OK;
}

/* lime 0.2 writes the means into an 8-bit picture, which truncates them. Sums of bytes are exact integers, so is this. */
static why_status make_segment_mean(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                                    float *rgb) {
    (void)pre, (void)p;
    int64_t(*sum)[4]; /* r, g, b, pixels */
    WHY_TRY(why_alloc((size_t)segments->n, sizeof *sum, "segment means", &sum));
    for (size_t i = 0; i < pixels_of(im); i++) {
        int64_t *s = sum[segments->label[i]];
        for (size_t c = 0; c < 3; c++) s[c] += im->rgb[3 * i + c];
        s[3]++;
    }
    for (size_t i = 0; i < pixels_of(im); i++) {
        const int64_t *s = sum[segments->label[i]];
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = (float)(s[c] / s[3]);
    }
    free(sum);
    return WHY_OK;
}

static const why_param blur_params[] = {
    {"kx", WHY_PARAM_INT, "16", 1, 1024, NULL, "width of the box in pixels"},
    {"ky", WHY_PARAM_INT, "16", 1, 1024, NULL, "height of the box in pixels"},
    {0},
};

static why_status make_blur(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p, float *rgb) {
    (void)pre, (void)segments;
    uint8_t *blurred;
    WHY_TRY(why_alloc(3 * pixels_of(im), 1, "blurred image", &blurred));
    why_status st = why_box_blur(im->rgb, im->h, im->w, (int)why_params_int(p, "kx"), (int)why_params_int(p, "ky"), blurred);
    for (size_t i = 0; !st && i < 3 * pixels_of(im); i++) rgb[i] = blurred[i];
    free(blurred);
    return st;
}

static const why_param gaussian_params[] = {
    {"k", WHY_PARAM_INT, "11", 1, 255, NULL, "side of the window, odd"},
    {"sigma", WHY_PARAM_REAL, "5", 1e-3, 1e3, NULL, "standard deviation in pixels"},
    {0},
};

/* RISE (Petsiuk 2018) convolves the *normalised* tensor with zero padding: in colours, the padding is the colour that
 * normalises to 0. */
static why_status make_gaussian(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                                float *rgb) {
    (void)segments;
    int64_t k = why_params_int(p, "k");
    if (k % 2 == 0) return why_fail(WHY_EARG, "gaussian: k is %d, want an odd number", (int)k);
    float colour[3], *shifted;
    zero_colour(pre, colour);
    WHY_TRY(why_alloc(3 * pixels_of(im), sizeof *shifted, "blurred image", &shifted));
    for (size_t i = 0; i < 3 * pixels_of(im); i++) shifted[i] = (float)im->rgb[i] - colour[i % 3];
    why_status st = why_gaussian_blur(shifted, im->h, im->w, (int)k, why_params_real(p, "sigma"), true, rgb);
    for (size_t i = 0; !st && i < 3 * pixels_of(im); i++) rgb[i] += colour[i % 3];
    free(shifted);
    return st;
}

static const why_param telea_params[] = {
    {"radius", WHY_PARAM_INT, "3", 1, 32, NULL, "how far around a hidden pixel known ones are looked for"},
    {0},
};

/* With nothing to paint from, shap takes the mean colour, truncated to 8 bits. */
static why_status make_telea(const why_image *im, const why_preprocess *pre, const why_segments *segments, const why_params *p,
                             float *rgb) {
    float colour[3];
    if (im->h < 2 || im->w < 2) return why_fail(WHY_EARG, "inpaint_telea: the image is %d x %d pixels, want at least 2 x 2", im->h, im->w);
    WHY_TRY(make_mean(im, pre, segments, p, rgb));
    for (int c = 0; c < 3; c++) colour[c] = floorf(rgb[c]);
    paint(im, colour, rgb);
    return WHY_OK;
}

/* The painted bytes and the hidden pixels come first, then the inpainter's own scratch. */
static size_t telea_scratch(int h, int w, const why_params *p) {
    return 4 * (size_t)h * (size_t)w + why_inpaint_scratch(h, w, (int)why_params_int(p, "radius"));
}

static void remake_telea(const why_image *im, const why_preprocess *pre, const uint8_t *shown, const why_params *p, void *scratch,
                         float *rgb) {
    (void)pre;
    const size_t n = pixels_of(im);
    uint8_t *painted = scratch, *hidden = painted + 3 * n;
    for (size_t i = 0; i < n; i++) hidden[i] = !shown[i];
    why_inpaint_telea(im->rgb, hidden, im->h, im->w, (int)why_params_int(p, "radius"), hidden + n, painted);
    for (size_t i = 0; i < 3 * n; i++) rgb[i] = painted[i];
}

static const why_param linear_params[] = {
    {"sigma", WHY_PARAM_REAL, "0.01", 0, 10, NULL, "standard deviation of the noise, in units of the normalised image"},
    {0},
};

static size_t linear_scratch(int h, int w, const why_params *p) {
    (void)p;
    return why_laplace_scratch(h, w);
}

/* The noise belongs to the place, so that one set of hidden pixels is always painted alike. */
static void add_noise(const why_preprocess *pre, const uint8_t *shown, size_t n, double sigma, float *rgb) {
    const why_stream stream = why_stream_of(0, 0, "noisy_linear");
    for (size_t i = 0; i < n; i++) {
        if (shown[i]) continue;
        why_rng r = why_rng_at(stream, i);
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] += (float)(sigma * why_rng_normal(&r)) * pre->std[pre->bgr ? 2 - c : c] * pre->divisor;
    }
}

static void remake_linear(const why_image *im, const why_preprocess *pre, const uint8_t *shown, const why_params *p, void *scratch,
                          float *rgb) {
    for (size_t i = 0; i < 3 * pixels_of(im); i++) rgb[i] = im->rgb[i];
    why_laplace(shown, im->h, im->w, scratch, rgb);
    if (why_params_real(p, "sigma") > 0) add_noise(pre, shown, pixels_of(im), why_params_real(p, "sigma"), rgb);
}

static const why_fill_kind mean_fill = {.name = "mean", .help = "the image's mean colour", .make = make_mean};
static const why_fill_kind zero_fill = {.name = "zero", .help = "the colour that the model's normalisation maps to 0", .make = make_zero};
static const why_fill_kind black_fill = {.name = "black", .help = "0, 0, 0", .make = make_black};
static const why_fill_kind white_fill = {.name = "white", .help = "255, 255, 255", .make = make_white};
static const why_fill_kind colour_fill = {.name = "colour", .help = "one given colour", .params = colour_params, .make = make_colour};
static const why_fill_kind segment_mean_fill = {.name = "segment_mean",
                                                .help = "each segment's mean colour, truncated to 8 bits as lime does",
                                                .needs_segments = true,
                                                .make = make_segment_mean};
static const why_fill_kind blur_fill = {
    .name = "blur", .help = "box blur, as cv2.blur on 8 bits", .params = blur_params, .make = make_blur};
static const why_fill_kind gaussian_fill = {.name = "gaussian",
                                            .help = "Gaussian blur of the normalised image with zero padding, as RISE",
                                            .params = gaussian_params,
                                            .make = make_gaussian};
static const why_fill_kind telea_fill = {.name = "inpaint_telea",
                                         .help = "painted from the shown pixels by fast marching, as cv2.inpaint on 8 bits",
                                         .params = telea_params,
                                         .make = make_telea,
                                         .remake = remake_telea,
                                         .remake_scratch = telea_scratch};
static const why_fill_kind linear_fill = {
    .name = "noisy_linear",
    .help = "each hidden pixel the weighted mean of its eight neighbours, plus noise (ROAD); the mean colour when all are hidden",
    .params = linear_params,
    .make = make_mean,
    .remake = remake_linear,
    .remake_scratch = linear_scratch};

const why_fill_kind *const why_fill_kinds[] = {
    &mean_fill, &zero_fill, &black_fill, &white_fill, &colour_fill, &segment_mean_fill, &blur_fill, &gaussian_fill, &telea_fill,
    &linear_fill,
    NULL,
};

static why_status unknown(const char *name) {
    const char *names[sizeof why_fill_kinds / sizeof *why_fill_kinds];
    size_t n = 0;
    for (; why_fill_kinds[n]; n++) names[n] = why_fill_kinds[n]->name;
    const char *nearest = why_nearest(name, names, n);
    if (nearest) return why_fail(WHY_EARG, "fill '%s' is unknown; did you mean '%s'?", name, nearest);
    return why_fail(WHY_EARG, "fill '%s' is unknown; see `whypix list maskers`", name);
}

static const why_fill_kind *find(const char *name) {
    for (size_t i = 0; why_fill_kinds[i]; i++)
        if (strcmp(why_fill_kinds[i]->name, name) == 0) return why_fill_kinds[i];
    return NULL;
}

why_status why_fill_parse(const char *text, const why_fill_kind **kind, why_params **params) {
    *params = NULL;
    char *name;
    WHY_TRY(why_call_name(text, &name));
    *kind = find(name);
    why_status st = *kind ? why_call_params(text, (*kind)->params, params) : unknown(name);
    free(name);
    return st;
}

why_status why_fill_canonical(const char *text, char **out) {
    const why_fill_kind *kind;
    why_params *params;
    *out = NULL;
    WHY_TRY(why_fill_parse(text, &kind, &params));
    why_status st = why_call_canonical(kind->name, params, out);
    why_params_destroy(&params);
    return st;
}

why_status why_fill_check_local(const char *text) {
    const why_fill_kind *kind;
    why_params *params;
    WHY_TRY(why_fill_parse(text, &kind, &params));
    why_params_destroy(&params);
    if (!kind->remake) return WHY_OK;
    return why_fail(WHY_EARG, "fill '%s' is painted from the pixels that are shown, and here all are shown in part; want a picture, e.g. blur",
                    text);
}
