#include "image/decode.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Everything that must survive libpng's longjmp lives here, not in locals. */
struct png_job {
    png_structp png;
    png_infop info;
    const uint8_t *at;
    size_t left, size;
    const why_decoding *how;
    why_raster *out;
    int type, depth;
    size_t row_bytes;
    uint8_t *rows; /* h * row_bytes, as libpng gives them */
    char text[128];
};

static void on_error(png_structp png, png_const_charp message) {
    struct png_job *j = png_get_error_ptr(png);
    snprintf(j->text, sizeof j->text, "%s", message);
    png_longjmp(png, 1);
}

/* Warnings are about what does not touch the pixels (colour profiles, text); Pillow passes over them too. */
static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep to, size_t n) {
    struct png_job *j = png_get_io_ptr(png);
    if (n > j->left) png_error(png, "the file is truncated");
    memcpy(to, j->at, n);
    j->at += n;
    j->left -= n;
}

/* Deflate packs at most 1032 to 1: a header that promises more than the file can hold takes no memory. */
static why_status check_plausible(const struct png_job *j) {
    const double raw = (double)png_get_rowbytes(j->png, j->info) * j->out->h;
    if (raw <= 1032.0 * (double)j->size + 1024) return WHY_OK;
    return why_fail(WHY_EFORMAT, "its header says %d x %d pixels, which %zu bytes cannot hold", j->out->w, j->out->h, j->size);
}

/* Alpha is dropped, not blended, and 16-bit samples keep their high byte: Pillow's unpackers do that. */
static void set_transforms(const struct png_job *j) {
    if (j->depth < 8 && j->type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(j->png);
    if (j->depth < 8 && j->type == PNG_COLOR_TYPE_PALETTE) png_set_packing(j->png);
    if (j->depth == 16 && j->type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(j->png);
    if (j->type & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(j->png);
}

static why_status read_header(struct png_job *j) {
    png_set_user_limits(j->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* our own limit has the better message */
    png_read_info(j->png, j->info);
    const uint32_t w = png_get_image_width(j->png, j->info), h = png_get_image_height(j->png, j->info);
    WHY_TRY(why_check_pixels(w, h, j->how->max_pixels));
    j->out->w = (int)w;
    j->out->h = (int)h;
    j->type = png_get_color_type(j->png, j->info);
    j->depth = png_get_bit_depth(j->png, j->info);
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 n;
    png_bytep exif;
    if (png_get_eXIf_1(j->png, j->info, &n, &exif)) j->out->orientation = why_exif_orientation(exif, n);
#endif
    return check_plausible(j);
}

static why_status read_rows(struct png_job *j) {
    set_transforms(j);
    const int passes = png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
    j->row_bytes = png_get_rowbytes(j->png, j->info);
    WHY_TRY(why_alloc((size_t)j->out->h, j->row_bytes, "a picture", &j->rows));
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < j->out->h; y++) png_read_row(j->png, j->rows + (size_t)y * j->row_bytes, NULL);
    return WHY_OK;
}

/* Indices beyond PLTE get the grey of their number, as in Pillow, whose palettes start as a grey ramp. */
static why_status expand_palette(struct png_job *j) {
    const size_t n = (size_t)j->out->h * (size_t)j->out->w;
    uint8_t table[256][3];
    png_colorp palette;
    int colours = 0;
    png_get_PLTE(j->png, j->info, &palette, &colours);
    for (int i = 0; i < 256; i++) memset(table[i], i, 3);
    for (int i = 0; i < colours && i < 256; i++) {
        table[i][0] = palette[i].red;
        table[i][1] = palette[i].green;
        table[i][2] = palette[i].blue;
    }
    WHY_TRY(why_alloc(n, 3, "a picture", &j->out->px));
    for (size_t i = 0; i < n; i++) memcpy(j->out->px + 3 * i, table[j->rows[i]], 3);
    j->out->channels = 3;
    return WHY_OK;
}

static void narrow_grey16(const struct png_job *j) {
    const size_t n = (size_t)j->out->h * (size_t)j->out->w;
    for (size_t i = 0; i < n; i++) {
        const uint8_t high = j->rows[2 * i], low = j->rows[2 * i + 1];
        j->rows[i] = !j->how->clip16 ? high : high ? 255 : low;
    }
}

static why_status finish(struct png_job *j) {
    if (j->type == PNG_COLOR_TYPE_PALETTE) return expand_palette(j);
    if (j->type == PNG_COLOR_TYPE_GRAY && j->depth == 16) narrow_grey16(j);
    j->out->channels = j->type & PNG_COLOR_MASK_COLOR ? 3 : 1;
    j->out->px = j->rows;
    j->rows = NULL;
    return WHY_OK;
}

static why_status run(struct png_job *j) {
    if (setjmp(png_jmpbuf(j->png))) return why_fail(WHY_EFORMAT, "is a broken PNG: %s", j->text);
    /* Pillow refuses wrong checksums of the chunks before the pixels; those of the pixels are checked here as well. */
    png_set_crc_action(j->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    WHY_TRY(read_header(j));
    if (j->how->header_only) return WHY_OK;
    WHY_TRY(read_rows(j));
    return finish(j);
}

why_status why_png_decode(const uint8_t *bytes, size_t n, const why_decoding *how, why_raster *out) {
    struct png_job j = {.at = bytes, .left = n, .size = n, .how = how, .out = out};
    j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
    if (j.png) j.info = png_create_info_struct(j.png);
    if (!j.info) {
        png_destroy_read_struct(&j.png, NULL, NULL);
        return why_fail(WHY_ENOMEM, "cannot get memory for the PNG reader");
    }
    png_set_read_fn(j.png, &j, on_read);
    why_status st = run(&j);
    png_destroy_read_struct(&j.png, &j.info, NULL);
    free(j.rows);
    return st;
}
