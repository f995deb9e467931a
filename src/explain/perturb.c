#include "explain/perturb.h"

#include <string.h>

#include "base/file.h"

static size_t pixels_of(const why_frame *f) { return (size_t)f->h * (size_t)f->w; }
static size_t words_for(size_t bits) { return (bits + 63) / 64; }
static bool bit(const uint64_t *words, size_t k) { return words[k / 64] >> k % 64 & 1; }

static const why_made_fill *fill_of(const why_perturbation *p) { return (const why_made_fill *)(const void *)p->fill; }

static size_t count_bits(const uint64_t *words, size_t bits) {
    size_t n = 0;
    for (size_t i = 0; i < words_for(bits); i++) n += (size_t)__builtin_popcountll(words[i]);
    return n;
}

static why_status check_boxes(const why_frame *f, const why_perturbation *p) {
    for (int i = 0; i < p->u.boxes.n; i++) {
        const why_box b = p->u.boxes.box[i];
        bool inside = 0 <= b.y0 && b.y0 <= b.y1 && b.y1 <= f->h && 0 <= b.x0 && b.x0 <= b.x1 && b.x1 <= f->w && 0 <= b.c0 && b.c0 <= b.c1 &&
                      b.c1 <= 3;
        if (!inside)
            return why_fail(WHY_EARG, "perturbation: box %d is rows %d:%d, columns %d:%d, channels %d:%d of an image of %d x %d x 3", i,
                            b.y0, b.y1, b.x0, b.x1, b.c0, b.c1, f->h, f->w);
    }
    return WHY_OK;
}

why_status why_frame_check_segments(const why_frame *f, const why_segments *s) {
    if (s->h == f->h && s->w == f->w) return WHY_OK;
    return why_fail(WHY_EARG, "segments: they are %d x %d, the image is %d x %d", s->h, s->w, f->h, f->w);
}

why_status why_perturb_check(const why_frame *f, const why_perturbation *p) {
    if (p->kind != WHY_WHOLE_IMAGE && !p->fill) return why_fail(WHY_EARG, "perturbation: a fill is wanted for what it hides");
    if (p->kind == WHY_SOFT_MAP && !p->fill->local) return why_fill_check_local(p->fill->name);
    if (p->kind == WHY_SHOW_BOXES) return check_boxes(f, p);
    return p->kind == WHY_SHOW_SEGMENTS ? why_frame_check_segments(f, p->u.segments.segments) : WHY_OK;
}

static why_extent extent_of_bits(const uint64_t *words, size_t bits) {
    size_t n = count_bits(words, bits);
    return n == bits ? WHY_ALL_SHOWN : n == 0 ? WHY_ALL_HIDDEN : WHY_MIXED;
}

static why_extent extent_of_boxes(const why_frame *f, const why_box *box, int n) {
    for (int i = 0; i < n; i++)
        if (box[i].y1 - box[i].y0 == f->h && box[i].x1 - box[i].x0 == f->w && box[i].c1 - box[i].c0 == 3) return WHY_ALL_SHOWN;
    return n == 0 ? WHY_ALL_HIDDEN : WHY_MIXED;
}

why_extent why_perturb_extent(const why_frame *f, const why_perturbation *p) {
    switch (p->kind) {
    case WHY_SHOW_SEGMENTS: return extent_of_bits(p->u.segments.on, (size_t)p->u.segments.segments->n);
    case WHY_SHOW_BOXES: return extent_of_boxes(f, p->u.boxes.box, p->u.boxes.n);
    case WHY_SHOW_PIXELS: return extent_of_bits(p->u.pixels, pixels_of(f));
    case WHY_SOFT_MAP:
    case WHY_WHOLE_IMAGE: break;
    }
    return WHY_MIXED;
}

/* ---------------------------------------------------------------- key */
/* Float pictures are megabytes a key; their SHA-256 stands for the bytes (no collision of it is known). */
static void put_digest(why_buf *key, const float *v, size_t n) {
    char hex[65];
    why_sha256(v, n * sizeof *v, hex);
    why_buf_put(key, hex, 64);
}

static void put_set(const why_frame *f, const why_perturbation *p, int segmentation, why_buf *key) {
    switch (p->kind) {
    case WHY_SHOW_SEGMENTS:
        why_buf_put(key, &segmentation, sizeof segmentation);
        why_buf_put(key, p->u.segments.on, words_for((size_t)p->u.segments.segments->n) * sizeof(uint64_t));
        break;
    case WHY_SHOW_BOXES: why_buf_put(key, p->u.boxes.box, (size_t)p->u.boxes.n * sizeof *p->u.boxes.box); break;
    case WHY_SHOW_PIXELS: why_buf_put(key, p->u.pixels, words_for(pixels_of(f)) * sizeof(uint64_t)); break;
    case WHY_SOFT_MAP: put_digest(key, p->u.soft, pixels_of(f)); break;
    case WHY_WHOLE_IMAGE: put_digest(key, p->u.rgb, 3 * pixels_of(f)); break;
    }
}

void why_perturb_key(const why_frame *f, const why_perturbation *p, why_extent extent, int segmentation, why_buf *key) {
    key->size = 0;
    uint8_t tag = extent == WHY_MIXED ? (uint8_t)(2 + p->kind) : (uint8_t)extent;
    why_buf_put(key, &tag, 1);
    if (extent == WHY_ALL_SHOWN) return;
    if (p->kind != WHY_WHOLE_IMAGE) why_buf_put(key, &p->fill->id, sizeof p->fill->id);
    if (extent == WHY_MIXED) put_set(f, p, segmentation, key);
}

/* ---------------------------------------------------------------- copy */
static void choose(const why_frame *f, const uint8_t *shown, const float *fill, float *planes) {
    size_t n = pixels_of(f);
    for (int c = 0; c < f->channels; c++) {
        const float *a = f->planes + (size_t)c * n, *b = fill + (size_t)c * n;
        float *out = planes + (size_t)c * n;
        for (size_t i = 0; i < n; i++) out[i] = shown[i] ? a[i] : b[i];
    }
}

static void compose_boxes(const why_frame *f, const why_perturbation *p, const float *fill, float *planes) {
    size_t n = pixels_of(f), w = (size_t)f->w;
    memcpy(planes, fill, (size_t)f->channels * n * sizeof *planes);
    for (int i = 0; i < p->u.boxes.n; i++) {
        const why_box b = p->u.boxes.box[i];
        for (int c = 0; c < f->channels; c++) {
            int rgb = f->pre->bgr ? 2 - c : c; /* boxes name channels of the picture, planes are the model's */
            if (f->channels == 3 && (rgb < b.c0 || rgb >= b.c1)) continue;
            for (int y = b.y0; y < b.y1; y++) {
                size_t at = (size_t)c * n + (size_t)y * w + (size_t)b.x0;
                memcpy(planes + at, f->planes + at, (size_t)(b.x1 - b.x0) * sizeof *planes);
            }
        }
    }
}

/* One input plane is made of all three channels: a box of some of them has to be cut out of the colours. */
static bool needs_colours(const why_frame *f, const why_perturbation *p) {
    for (int i = 0; f->channels == 1 && i < p->u.boxes.n; i++)
        if (p->u.boxes.box[i].c1 - p->u.boxes.box[i].c0 != 3) return true;
    return false;
}

static void colour_boxes(const why_frame *f, const why_perturbation *p, float *rgb) {
    memcpy(rgb, p->fill->rgb, 3 * pixels_of(f) * sizeof *rgb);
    for (int i = 0; i < p->u.boxes.n; i++) {
        const why_box b = p->u.boxes.box[i];
        for (int y = b.y0; y < b.y1; y++)
            for (int x = b.x0; x < b.x1; x++)
                for (int c = b.c0; c < b.c1; c++) {
                    size_t at = 3 * ((size_t)y * (size_t)f->w + (size_t)x) + (size_t)c;
                    rgb[at] = f->image->rgb[at];
                }
    }
}

/* Boxes may overlap, so what they show is gathered channel by channel: one bit each. */
static void mark_shown_by_boxes(const why_frame *f, const why_perturbation *p, uint8_t *shown) {
    memset(shown, 0, pixels_of(f));
    for (int i = 0; i < p->u.boxes.n; i++) {
        const why_box b = p->u.boxes.box[i];
        const uint8_t channels = (uint8_t)((1 << b.c1) - (1 << b.c0));
        for (int y = b.y0; y < b.y1; y++)
            for (int x = b.x0; x < b.x1; x++) shown[(size_t)y * (size_t)f->w + (size_t)x] |= channels;
    }
    for (size_t i = 0; i < pixels_of(f); i++) shown[i] = shown[i] == 7;
}

/* Normalisation is affine, so the mean of two pictures may be taken behind it, where it is more exact: near the colour that
 * becomes 0 no digits cancel. */
static void blend(const why_frame *f, const float *soft, const float *fill, float *planes) {
    const size_t n = pixels_of(f);
    for (size_t i = 0; i < (size_t)f->channels * n; i++) planes[i] = f->planes[i] * soft[i % n] + fill[i] * (1.0f - soft[i % n]);
}

/* The pixels that a set shows; of boxes, those that they show in all three channels. */
static void mark_shown(const why_frame *f, const why_perturbation *p, uint8_t *shown) {
    if (p->kind == WHY_SHOW_SEGMENTS)
        for (size_t i = 0; i < pixels_of(f); i++) shown[i] = bit(p->u.segments.on, (size_t)p->u.segments.segments->label[i]);
    else if (p->kind == WHY_SHOW_PIXELS)
        for (size_t i = 0; i < pixels_of(f); i++) shown[i] = bit(p->u.pixels, i);
    else
        mark_shown_by_boxes(f, p, shown);
}

/* Copies whose hidden pixels are painted from the shown ones. */
static void compose_remade(const why_frame *f, const why_perturbation *p, const why_scratch *scratch, float *planes) {
    const why_made_fill *fill = fill_of(p);
    const size_t n = pixels_of(f), bytes = (size_t)f->channels * n * sizeof *planes;
    mark_shown(f, p, scratch->shown);
    if (!memchr(scratch->shown, 0, n)) memcpy(planes, f->planes, bytes);
    else if (!memchr(scratch->shown, 1, n)) memcpy(planes, fill->planes, bytes);
    else {
        fill->kind->remake(f->image, f->pre, scratch->shown, fill->params, scratch->remake, scratch->rgb);
        why_normalise(f->pre, scratch->rgb, f->h, f->w, f->channels, planes);
    }
}

static void compose_local(const why_frame *f, const why_perturbation *p, const why_scratch *scratch, float *planes) {
    const float *fill = p->fill ? fill_of(p)->planes : NULL;
    const float *colours = scratch->rgb;
    switch (p->kind) {
    case WHY_SHOW_SEGMENTS:
    case WHY_SHOW_PIXELS:
        mark_shown(f, p, scratch->shown);
        choose(f, scratch->shown, fill, planes);
        return;
    case WHY_SHOW_BOXES:
        if (!needs_colours(f, p)) {
            compose_boxes(f, p, fill, planes);
            return;
        }
        colour_boxes(f, p, scratch->rgb);
        break;
    case WHY_SOFT_MAP: blend(f, p->u.soft, fill, planes); return;
    case WHY_WHOLE_IMAGE: colours = p->u.rgb; break;
    }
    why_normalise(f->pre, colours, f->h, f->w, f->channels, planes);
}

void why_perturb_compose(const why_frame *f, const why_perturbation *p, why_extent extent, const why_scratch *scratch, float *planes) {
    size_t bytes = (size_t)f->channels * pixels_of(f) * sizeof *planes;
    if (extent == WHY_ALL_SHOWN) memcpy(planes, f->planes, bytes);
    else if (extent == WHY_ALL_HIDDEN) memcpy(planes, fill_of(p)->planes, bytes);
    else if (p->fill && !p->fill->local) compose_remade(f, p, scratch, planes);
    else compose_local(f, p, scratch, planes);
}
