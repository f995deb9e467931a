/* Pictures in one array, N x H x W (x 3 or 1) or N x 3 x H x W, of bytes or numbers from 0 to 255 (or all from 0 to 1), with their
 * labels in another file: shap's Imagenet50, for one. They become PNGs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/npy.h"
#include "run/listing.h"
#include "whypix/image.h"

struct array {
    int64_t n, h, w, channels;
    bool planes; /* channels stand before the pixels */
    double scale;
    float *value;
};

static why_status read_shape(const char *path, const why_shape *s, struct array *a) {
    const int64_t *d = s->dim;
    *a = (struct array){.n = d[0], .h = d[1], .w = d[2], .channels = 1, .scale = 1};
    if (s->rank == 3) return WHY_OK;
    if (s->rank == 4 && (d[3] == 3 || d[3] == 1)) a->channels = d[3];
    else if (s->rank == 4 && (d[1] == 3 || d[1] == 1)) *a = (struct array){d[0], d[2], d[3], d[1], true, 1, NULL};
    else return why_fail(WHY_EFORMAT, "%s: an array of rank %d; want N x H x W, N x H x W x 3 or N x 3 x H x W", path, s->rank);
    return WHY_OK;
}

/* Numbers that all lie in 0 .. 1 are fractions of 255. */
static double scale_of(const struct array *a) {
    const int64_t total = a->n * a->h * a->w * a->channels;
    float most = 0;
    for (int64_t i = 0; i < total; i++) most = fmaxf(most, a->value[i]);
    return most > 0 && most <= 1 ? 255 : 1;
}

static why_status load_array(const char *path, struct array *a) {
    why_shape shape;
    float *value;
    WHY_TRY(why_npy_load_f32(path, &shape, &value));
    const why_status st = read_shape(path, &shape, a);
    if (st) {
        free(value);
        return st;
    }
    a->value = value;
    a->scale = scale_of(a);
    return WHY_OK;
}

/* One picture as RGB; false when a value is no colour. */
static bool to_rgb(const struct array *a, int64_t i, uint8_t *rgb) {
    const int64_t pixels = a->h * a->w;
    const float *from = a->value + i * pixels * a->channels;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < 3; c++) {
            const int64_t k = a->channels == 1 ? 0 : c;
            const double v = a->scale * (double)from[a->planes ? k * pixels + p : p * a->channels + k];
            if (!(v >= 0 && v <= 255)) return false;
            rgb[3 * p + c] = (uint8_t)(v + 0.5);
        }
    return true;
}

/* ---------------------------------------------------------------- labels */
static why_status load_text(const char *path, int32_t **out, int64_t *n) {
    uint8_t *bytes;
    size_t size, capacity = 0;
    WHY_TRY(why_read_file(path, 1 << 28, &bytes, &size));
    why_status st = WHY_OK;
    *n = 0;
    *out = NULL;
    for (char *at = (char *)bytes, *end; !st; at = end) {
        const double v = strtod(at, &end); /* NumPy writes 7.0e+00 */
        if (end == at && !at[strspn(at, " \t\r\n")]) break;
        if (end == at || !(v >= 0 && v <= INT32_MAX) || v != floor(v))
            st = why_fail(WHY_EFORMAT, "%s: label %lld is no class number", path, (long long)*n + 1);
        if (!st) st = why_grow(out, &capacity, (size_t)*n + 1, sizeof **out, "labels");
        if (!st) (*out)[(*n)++] = (int32_t)v;
    }
    free(bytes);
    return st;
}

static why_status load_targets(const char *path, int32_t **out, int64_t *n) {
    const char *dot = strrchr(path, '.');
    why_shape s;
    *out = NULL;
    *n = 0;
    if (!dot || strcmp(dot, ".npy") != 0) return load_text(path, out, n);
    WHY_TRY(why_npy_load_i32(path, &s, out));
    for (int i = 0; i < s.rank; i++) *n = (i ? *n : 1) * s.dim[i];
    return WHY_OK;
}

/* ---------------------------------------------------------------- pictures */
static why_status add_picture(why_listing *l, const struct array *a, int64_t i, const int32_t *label, why_image *im) {
    const char *name = why_listing_text(l, "%05lld.png", (long long)i), *number = label ? why_listing_text(l, "%d", label[i]) : NULL;
    const char *path = name ? why_listing_path(l, why_listing_opts(l)->write, name) : NULL;
    if (!path || (label && !number)) return WHY_ENOMEM;
    if (why_listing_leaves_out(l, number)) return WHY_OK;
    if (!to_rgb(a, i, im->rgb)) return why_listing_refuse(l, path, "picture %lld has values outside 0 .. 255", (long long)i);
    WHY_TRY(why_image_save_png(im, path));
    return why_listing_add(l, &(why_list_row){.image = path, .label = number});
}

static why_status add_pictures(why_listing *l, const struct array *a, const int32_t *label) {
    const int64_t limit = why_listing_opts(l)->limit;
    why_image im;
    WHY_TRY(why_make_dirs(why_listing_opts(l)->write));
    WHY_TRY(why_image_create((int)a->h, (int)a->w, &im));
    why_status st = WHY_OK;
    for (int64_t i = 0; !st && i < a->n && (limit < 0 || i < limit); i++) st = add_picture(l, a, i, label, &im);
    why_image_clear(&im);
    return st;
}

static why_status read_npy(why_listing *l) {
    const why_listing_options *o = why_listing_opts(l);
    struct array a;
    int32_t *label = NULL;
    int64_t n = 0;
    if (!o->write) return why_fail(WHY_EARG, "--write is missing: the folder where pictures of an array go as PNGs");
    WHY_TRY(load_array(o->path, &a));
    why_status st = o->targets ? load_targets(o->targets, &label, &n) : WHY_OK;
    if (!st && o->targets && n != a.n)
        st = why_fail(WHY_EARG, "%s: holds %lld labels, %s %lld pictures", o->targets, (long long)n, o->path, (long long)a.n);
    if (!st) st = add_pictures(l, &a, label);
    free(a.value);
    free(label);
    return st;
}

const why_list_kind why_list_npy = {
    .name = "npy",
    .path = "a .npy array of pictures, N x H x W x 3 (Imagenet50)",
    .help = "pictures are written as PNGs to --write DIR; labels: --targets FILE",
    .takes = "write targets limit",
    .read = read_npy,
};
