#include "whypix/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* How the model zoos feed their models. Means and deviations are per *output* channel: caffe's are in BGR order. */
static const why_preprocess presets[] = {
    {"torchvision", 255.0f, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, false},
    {"caffe", 1.0f, {103.939f, 116.779f, 123.68f}, {1, 1, 1}, true},
    {"tf", 127.5f, {1, 1, 1}, {1, 1, 1}, false},
    {"half", 255.0f, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, false},
    {"none", 255.0f, {0, 0, 0}, {1, 1, 1}, false},
};
static const char *const names[] = {"torchvision", "caffe", "tf", "half", "none", NULL};
_Static_assert(sizeof names / sizeof *names == sizeof presets / sizeof *presets + 1, "one name per preset");

const why_preprocess *why_preprocess_find(const char *name) {
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

const char *const *why_preprocess_names(void) { return names; }

/* The shortest text that reads back as the same float: .485, not .48500001430511475. */
static void put_float(why_buf *b, float v) {
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    why_buf_text(b, text);
}

static void put_three(why_buf *b, const char *key, const float v[3]) {
    why_buf_printf(b, ",\"%s\":", key);
    for (int c = 0; c < 3; c++) {
        why_buf_text(b, c ? "," : "[");
        put_float(b, v[c]);
    }
    why_buf_text(b, "]");
}

why_status why_preprocess_canonical(const why_preprocess *p, char **out) {
    why_buf b = {0};
    why_buf_text(&b, "{\"name\":");
    why_buf_json(&b, p->name);
    why_buf_text(&b, ",\"divisor\":");
    put_float(&b, p->divisor);
    put_three(&b, "mean", p->mean);
    put_three(&b, "std", p->std);
    why_buf_printf(&b, ",\"bgr\":%s}", p->bgr ? "true" : "false");
    return why_buf_take(&b, out);
}

/* Pillow's "L" rounds; a fill that is not in whole numbers is left unrounded, as its colours are. */
static float luma(const float *rgb) {
    const double l = (rgb[0] * 19595.0 + rgb[1] * 38470.0 + rgb[2] * 7471.0) / 65536.0;
    const bool whole = rgb[0] == floorf(rgb[0]) && rgb[1] == floorf(rgb[1]) && rgb[2] == floorf(rgb[2]);
    return (float)(whole ? floor(l + 0.5) : l);
}

void why_normalise(const why_preprocess *p, const float *rgb, int h, int w, int channels, float *x) {
    const size_t n = (size_t)h * (size_t)w;
    for (int c = 0; c < channels; c++) {
        const float *from = rgb + (p->bgr ? 2 - c : c);
        const float divisor = p->divisor, mean = p->mean[c], deviation = p->std[c];
        for (size_t i = 0; i < n; i++) {
            const float v = channels == 1 ? luma(rgb + 3 * i) : from[3 * i];
            *x++ = (v / divisor - mean) / deviation;
        }
    }
}
