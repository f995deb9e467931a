/* What the two decoders hand to decode.c: pixels as stored, before they become RGB or grey. */
#ifndef WHYPIX_IMAGE_DECODE_H
#define WHYPIX_IMAGE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

typedef struct why_raster {
    int h, w, channels;  /* channels: 1 (grey) or 3 (RGB) */
    int orientation;     /* EXIF, 1..8; 1 = as stored */
    uint8_t *px;         /* h*w*channels, owned */
} why_raster;

typedef struct why_decoding {
    int64_t max_pixels;
    bool header_only; /* size and kind, no pixels */
    bool clip16; /* 16-bit grey: min(v, 255), so that small labels of a mask survive; otherwise v >> 8 */
} why_decoding;

/* `out` starts zeroed; on failure the caller frees out->px. */
why_status why_png_decode(const uint8_t *bytes, size_t n, const why_decoding *how, why_raster *out) WHY_MUST_USE;
why_status why_jpeg_decode(const uint8_t *bytes, size_t n, const why_decoding *how, why_raster *out) WHY_MUST_USE;

/* Refuse empty and oversized pictures before memory is taken. */
why_status why_check_pixels(int64_t w, int64_t h, int64_t max_pixels) WHY_MUST_USE;
/* Orientation 1..8 from a TIFF block (what follows "Exif\0\0" in a JPEG, all of eXIf in a PNG); 1 when absent or broken. */
int why_exif_orientation(const uint8_t *tiff, size_t n);

#endif
