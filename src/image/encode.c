#include "whypix/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"

struct png_writer {
    png_structp png;
    png_infop info;
    why_buf bytes;
    char text[128];
};

static void on_error(png_structp png, png_const_charp message) {
    struct png_writer *w = png_get_error_ptr(png);
    snprintf(w->text, sizeof w->text, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t n) {
    struct png_writer *w = png_get_io_ptr(png);
    why_buf_put(&w->bytes, data, n);
}

static void on_flush(png_structp png) { (void)png; }

static why_status write_rows(struct png_writer *pw, const uint8_t *px, int h, int w, int channels) {
    if (setjmp(png_jmpbuf(pw->png))) return why_fail(WHY_EARG, "cannot make a PNG of %d x %d pixels: %s", w, h, pw->text);
    png_set_IHDR(pw->png, pw->info, (png_uint_32)w, (png_uint_32)h, 8, channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(pw->png, pw->info);
    for (int y = 0; y < h; y++) png_write_row(pw->png, px + (size_t)y * (size_t)w * (size_t)channels);
    png_write_end(pw->png, pw->info);
    return why_buf_status(&pw->bytes);
}

static why_status save_png(const uint8_t *px, int h, int w, int channels, const char *path) {
    struct png_writer pw = {0};
    pw.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &pw, on_error, on_warning);
    if (pw.png) pw.info = png_create_info_struct(pw.png);
    if (!pw.info) {
        png_destroy_write_struct(&pw.png, NULL);
        return why_fail(WHY_ENOMEM, "%s: cannot get memory for the PNG writer", path);
    }
    png_set_write_fn(pw.png, &pw, on_write, on_flush);
    why_status st = write_rows(&pw, px, h, w, channels);
    png_destroy_write_struct(&pw.png, &pw.info);
    if (st) st = why_fail_in(st, "%s", path);
    if (!st) st = why_write_file(path, pw.bytes.data, pw.bytes.size);
    why_buf_clear(&pw.bytes);
    return st;
}

why_status why_image_save_png(const why_image *im, const char *path) { return save_png(im->rgb, im->h, im->w, 3, path); }

why_status why_grey_save_png(const uint8_t *grey, int h, int w, const char *path) { return save_png(grey, h, w, 1, path); }
