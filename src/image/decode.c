/* Pictures from bytes. Only PNG and JPEG are read, told by their first bytes; what comes out is what Pillow's
 * convert("RGB") and convert("L") give, because that is what the models were trained and measured on. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "whypix/image.h"

enum { LARGEST_FILE = 1 << 30 };
static const int64_t default_max_pixels = 178956970;

/* Formats that people do have, so that the error can name them. */
static const struct magic {
    const char *name;
    size_t offset, n;
    const char *bytes;
} formats[] = {
    {"a BMP", 0, 2, "BM"},          {"a GIF", 0, 4, "GIF8"},         {"a WebP", 8, 4, "WEBP"},
    {"a TIFF", 0, 4, "II*\0"},      {"a TIFF", 0, 4, "MM\0*"},       {"a PBM", 0, 2, "P1"},
    {"a PGM", 0, 2, "P2"},          {"a PPM", 0, 2, "P3"},           {"a PBM", 0, 2, "P4"},
    {"a PGM", 0, 2, "P5"},          {"a PPM", 0, 2, "P6"},           {"a PAM", 0, 2, "P7"},
    {"an AVIF", 4, 8, "ftypavif"},  {"a HEIF", 4, 8, "ftypheic"},    {"a HEIF", 4, 8, "ftypmif1"},
    {"a JPEG 2000", 4, 4, "jP  "},  {"a JPEG 2000", 0, 4, "\xff\x4f\xff\x51"}, {"a JPEG XL", 0, 2, "\xff\x0a"},
    {"an icon (ICO)", 0, 4, "\0\0\1\0"}, {"a Photoshop", 0, 4, "8BPS"}, {"a PDF", 0, 4, "%PDF"},
    {"an SVG or XML", 0, 4, "<svg"}, {"an SVG or XML", 0, 5, "<?xml"}, {"a NumPy", 0, 6, "\x93NUMPY"},
};

static bool begins(const uint8_t *bytes, size_t n, size_t offset, const char *want, size_t count) {
    return n >= offset + count && memcmp(bytes + offset, want, count) == 0;
}

static why_status other_format(const uint8_t *bytes, size_t n) {
    if (n == 0) return why_fail(WHY_EFORMAT, "is empty, a PNG or JPEG file is wanted");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const struct magic *f = &formats[i];
        if (begins(bytes, n, f->offset, f->bytes, f->n)) return why_fail(WHY_EUNSUPPORTED, "is %s file; PNG and JPEG are read", f->name);
    }
    return why_fail(WHY_EFORMAT, "is not a picture that is read here (PNG, JPEG): it begins with byte 0x%02x", bytes[0]);
}

why_status why_check_pixels(int64_t w, int64_t h, int64_t max_pixels) {
    if (w < 1 || h < 1) return why_fail(WHY_EFORMAT, "its header says %lld x %lld pixels", (long long)w, (long long)h);
    if (w > INT32_MAX || h > INT32_MAX || w > max_pixels / h)
        return why_fail(WHY_ELIMIT, "its header says %lld x %lld pixels, at most %lld pixels are read", (long long)w, (long long)h,
                        (long long)max_pixels);
    return WHY_OK;
}

static why_status decode_raster(const uint8_t *bytes, size_t n, const why_decoding *how, why_raster *out) {
    *out = (why_raster){.orientation = 1};
    why_status st;
    if (begins(bytes, n, 0, "\x89PNG\r\n\x1a\n", 8)) st = why_png_decode(bytes, n, how, out);
    else if (begins(bytes, n, 0, "\xff\xd8\xff", 3)) st = why_jpeg_decode(bytes, n, how, out);
    else st = other_format(bytes, n);
    if (st) {
        free(out->px);
        *out = (why_raster){0};
    }
    return st;
}

static int64_t most_pixels(const why_image_limits *limits) {
    return limits && limits->max_pixels > 0 ? limits->max_pixels : default_max_pixels;
}

why_status why_image_probe(const char *path, int *h, int *w) {
    const why_decoding how = {.max_pixels = most_pixels(NULL), .header_only = true};
    why_mapped file;
    why_raster r;
    WHY_TRY(why_map_open(path, &file)); /* so that a header costs a page or two, whatever the picture */
    const why_status st = decode_raster(file.data, file.size, &how, &r);
    why_map_close(&file);
    if (st) return why_fail_in(st, "%s", path);
    *h = r.h;
    *w = r.w;
    return WHY_OK;
}

/* Where pixel (y, x) of the upright picture is in the stored one, of h x w (EXIF 2.3, table "Orientation"). */
static size_t stored_place(int orientation, int h, int w, int y, int x) {
    int sy = orientation >= 5 ? x : y, sx = orientation >= 5 ? y : x;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) sy = h - 1 - sy;
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) sx = w - 1 - sx;
    return (size_t)sy * (size_t)w + (size_t)sx;
}

static why_status make_upright(why_raster *r) {
    if (r->orientation == 1) return WHY_OK;
    const int h = r->orientation >= 5 ? r->w : r->h, w = r->orientation >= 5 ? r->h : r->w;
    const size_t c = (size_t)r->channels;
    uint8_t *px, *at;
    WHY_TRY(why_alloc((size_t)h * (size_t)w, c, "the turned picture", &px));
    at = px;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, at += c) memcpy(at, r->px + c * stored_place(r->orientation, r->h, r->w, y, x), c);
    free(r->px);
    *r = (why_raster){.h = h, .w = w, .channels = r->channels, .orientation = 1, .px = px};
    return WHY_OK;
}

static why_status raster_to_rgb(why_raster *r) {
    if (r->channels == 3) return WHY_OK;
    const size_t n = (size_t)r->h * (size_t)r->w;
    uint8_t *rgb;
    WHY_TRY(why_alloc(n, 3, "a picture", &rgb));
    for (size_t i = 0; i < n; i++) memset(rgb + 3 * i, r->px[i], 3);
    free(r->px);
    r->px = rgb;
    r->channels = 3;
    return WHY_OK;
}

/* ITU-R 601 luma in Pillow's 16-bit fixed point; in place, the grey picture is the front of the buffer. */
static void raster_to_grey(why_raster *r) {
    if (r->channels == 1) return;
    const size_t n = (size_t)r->h * (size_t)r->w;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = r->px + 3 * i;
        r->px[i] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    }
    r->channels = 1;
}

why_status why_image_decode(const uint8_t *bytes, size_t n, const why_image_limits *limits, why_image *out) {
    why_raster r;
    *out = (why_image){0};
    WHY_TRY(decode_raster(bytes, n, &(why_decoding){.max_pixels = most_pixels(limits)}, &r));
    why_status st = raster_to_rgb(&r);
    if (!st && limits && limits->exif) st = make_upright(&r);
    if (st) free(r.px);
    else *out = (why_image){.h = r.h, .w = r.w, .rgb = r.px};
    return st;
}

why_status why_image_load(const char *path, const why_image_limits *limits, why_image *out) {
    uint8_t *bytes;
    size_t n;
    *out = (why_image){0};
    WHY_TRY(why_read_file(path, LARGEST_FILE, &bytes, &n));
    why_status st = why_image_decode(bytes, n, limits, out);
    free(bytes);
    return st ? why_fail_in(st, "%s", path) : WHY_OK;
}

why_status why_mask_load(const char *path, const why_image_limits *limits, uint8_t **mask, int *h, int *w) {
    uint8_t *bytes;
    size_t n;
    why_raster r;
    *mask = NULL;
    WHY_TRY(why_read_file(path, LARGEST_FILE, &bytes, &n));
    why_status st = decode_raster(bytes, n, &(why_decoding){.max_pixels = most_pixels(limits), .clip16 = true}, &r);
    free(bytes);
    if (!st) {
        raster_to_grey(&r);
        if (limits && limits->exif) st = make_upright(&r);
        if (st) free(r.px);
    }
    if (st) return why_fail_in(st, "%s", path);
    *mask = r.px;
    *h = r.h;
    *w = r.w;
    return WHY_OK;
}
