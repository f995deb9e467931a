#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/mem.h"

/* Everything that must survive libjpeg's longjmp lives here, not in locals. */
struct jpeg_job {
    struct jpeg_decompress_struct jpeg; /* its error manager and source are the two below */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf jump;
    const why_decoding *how;
    why_raster *out;
    uint8_t *cmyk; /* one row */
};

static struct jpeg_job *job_of(j_common_ptr jpeg) { return jpeg->client_data; }

static void on_error(j_common_ptr jpeg) { longjmp(job_of(jpeg)->jump, 1); }

/* Warnings (corrupt entropy data, stray bytes) do not stop Pillow, so that one bad block does not lose a picture. */
static void on_message(j_common_ptr jpeg) { (void)jpeg; }

static void on_source(j_decompress_ptr jpeg) { (void)jpeg; }

/* The whole file is in memory: asking for more means that it is truncated. "Suspended" is how libjpeg is told, and
 * unlike the library's own sources we never invent an end-of-image marker: a premature end is an error in Pillow. */
static boolean on_fill(j_decompress_ptr jpeg) {
    (void)jpeg;
    return FALSE;
}

static void on_skip(j_decompress_ptr jpeg, long n) {
    struct jpeg_source_mgr *s = jpeg->src;
    const size_t skip = n < 0 ? 0 : (size_t)n < s->bytes_in_buffer ? (size_t)n : s->bytes_in_buffer;
    s->next_input_byte += skip;
    s->bytes_in_buffer -= skip;
}

static why_status truncated(const struct jpeg_job *j) {
    if (j->out->h == 0) return why_fail(WHY_EFORMAT, "is a truncated JPEG: it ends before its header is complete");
    return why_fail(WHY_EFORMAT, "is a truncated JPEG: %u of %d rows are there", j->jpeg.output_scanline, j->out->h);
}

static why_status library_error(struct jpeg_job *j) {
    char text[JMSG_LENGTH_MAX];
    j->errors.format_message((j_common_ptr)&j->jpeg, text);
    switch (j->errors.msg_code) {
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
        return why_fail(WHY_EUNSUPPORTED, "is a JPEG of a kind that is not read: %s", text);
    case JERR_IMAGE_TOO_BIG:
        return why_fail(WHY_ELIMIT, "its header says %u x %u pixels: %s", j->jpeg.image_width, j->jpeg.image_height, text);
    case JERR_OUT_OF_MEMORY: return why_fail(WHY_ENOMEM, "cannot get memory to decode a JPEG: %s", text);
    default: return why_fail(WHY_EFORMAT, "is a broken JPEG: %s", text);
    }
}

static void read_orientation(struct jpeg_job *j) {
    static const char head[6] = "Exif\0\0";
    for (jpeg_saved_marker_ptr m = j->jpeg.marker_list; m; m = m->next) {
        if (m->data_length <= sizeof head || memcmp(m->data, head, sizeof head) != 0) continue;
        j->out->orientation = why_exif_orientation(m->data + sizeof head, m->data_length - sizeof head);
        return;
    }
}

static why_status read_header(struct jpeg_job *j) {
    jpeg_save_markers(&j->jpeg, JPEG_APP0 + 1, 0xffff);
    if (jpeg_read_header(&j->jpeg, TRUE) != JPEG_HEADER_OK) return truncated(j);
    WHY_TRY(why_check_pixels(j->jpeg.image_width, j->jpeg.image_height, j->how->max_pixels));
    const int components = j->jpeg.num_components;
    if (components != 1 && components != 3 && components != 4)
        return why_fail(WHY_EUNSUPPORTED, "is a JPEG of %d components; 1 (grey), 3 (colour) and 4 (CMYK) are read", components);
    j->jpeg.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    j->out->h = (int)j->jpeg.image_height;
    j->out->w = (int)j->jpeg.image_width;
    j->out->channels = components == 1 ? 1 : 3;
    read_orientation(j);
    return WHY_OK;
}

/* a * b / 255, rounded, without a division. */
static unsigned scaled255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Adobe's inverted CMYK, which Pillow takes every four-component JPEG to be: stored value = 255 - ink, and
 * R = (255 - K)(255 - C)/255 without a colour profile. */
static void cmyk_to_rgb(const uint8_t *cmyk, int w, uint8_t *rgb) {
    for (int x = 0; x < w; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(cmyk[3] - scaled255(255u - cmyk[c], cmyk[3]));
}

static why_status read_rows(struct jpeg_job *j) {
    const size_t row_bytes = (size_t)j->out->w * (size_t)j->out->channels;
    const bool cmyk = j->jpeg.out_color_space == JCS_CMYK;
    WHY_TRY(why_alloc((size_t)j->out->h, row_bytes, "a picture", &j->out->px));
    if (cmyk) WHY_TRY(why_alloc((size_t)j->out->w, 4, "a row of a picture", &j->cmyk));
    if (!jpeg_start_decompress(&j->jpeg)) return truncated(j);
    while (j->jpeg.output_scanline < j->jpeg.output_height) {
        uint8_t *to = j->out->px + j->jpeg.output_scanline * row_bytes;
        JSAMPROW row = cmyk ? j->cmyk : to;
        if (jpeg_read_scanlines(&j->jpeg, &row, 1) != 1) return truncated(j);
        if (cmyk) cmyk_to_rgb(j->cmyk, j->out->w, to);
    }
    return jpeg_finish_decompress(&j->jpeg) ? WHY_OK : truncated(j);
}

static why_status run(struct jpeg_job *j) {
    if (setjmp(j->jump)) return library_error(j);
    jpeg_create_decompress(&j->jpeg);
    j->jpeg.src = &j->source;
    WHY_TRY(read_header(j));
    return j->how->header_only ? WHY_OK : read_rows(j);
}

why_status why_jpeg_decode(const uint8_t *bytes, size_t n, const why_decoding *how, why_raster *out) {
    struct jpeg_job j = {.how = how, .out = out};
    j.jpeg.err = jpeg_std_error(&j.errors);
    j.jpeg.client_data = &j;
    j.errors.error_exit = on_error;
    j.errors.output_message = on_message;
    j.source = (struct jpeg_source_mgr){.next_input_byte = bytes,
                                        .bytes_in_buffer = n,
                                        .init_source = on_source,
                                        .fill_input_buffer = on_fill,
                                        .skip_input_data = on_skip,
                                        .resync_to_restart = jpeg_resync_to_restart,
                                        .term_source = on_source};
    why_status st = run(&j);
    jpeg_destroy_decompress(&j.jpeg);
    free(j.cmyk);
    return st;
}
