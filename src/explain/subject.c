#include "whypix/explain.h"

#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "base/mem.h"
#include "base/npy.h"

struct shared_segments {
    char *text; /* canonical */
    why_segments segments;
    struct shared_segments *next;
};

struct why_subject {
    why_evaluator *ev;
    const why_image *image;
    const uint8_t *mask;
    uint64_t job_seed, image_key;
    struct shared_segments *segments;
};

why_status why_subject_create(why_evaluator *ev, const why_image *image, const uint8_t *mask, uint64_t job_seed, uint64_t image_key,
                              why_subject **out) {
    *out = NULL;
    WHY_TRY(why_evaluator_begin(ev, image));
    WHY_TRY(why_alloc(1, sizeof **out, "subject", out));
    **out = (why_subject){.ev = ev, .image = image, .mask = mask, .job_seed = job_seed, .image_key = image_key};
    return WHY_OK;
}

static void destroy_shared(struct shared_segments *s) {
    free(s->text);
    why_segments_clear(&s->segments);
    free(s);
}

void why_subject_destroy(why_subject **s) {
    if (!*s) return;
    for (struct shared_segments *i = (*s)->segments, *next; i; i = next) {
        next = i->next;
        destroy_shared(i);
    }
    free(*s);
    *s = NULL;
}

why_evaluator *why_subject_evaluator(const why_subject *s) { return s->ev; }
const why_image *why_subject_image(const why_subject *s) { return s->image; }
const uint8_t *why_subject_mask(const why_subject *s) { return s->mask; }
why_stream why_subject_stream(const why_subject *s, const char *use) { return why_stream_of(s->job_seed, s->image_key, use); }

/* ---------------------------------------------------------------- segments */
/* Labels must be 0..n-1 with every one used: a hole would be a player without pixels. */
static why_status check_labels(const int32_t *label, size_t pixels, int *n) {
    int32_t top = 0;
    for (size_t i = 0; i < pixels; i++) {
        if (label[i] < 0) return why_fail(WHY_EFORMAT, "label %d: labels start at 0", label[i]);
        if (label[i] > top) top = label[i];
    }
    if ((size_t)top >= pixels) return why_fail(WHY_EFORMAT, "label %d: there are only %zu pixels", top, pixels);
    uint8_t *used;
    WHY_TRY(why_alloc((size_t)top + 1, 1, "labels", &used));
    for (size_t i = 0; i < pixels; i++) used[label[i]] = 1;
    int32_t hole = 0;
    while (hole <= top && used[hole]) hole++;
    free(used);
    *n = top + 1;
    return hole > top ? WHY_OK : why_fail(WHY_EFORMAT, "label %d has no pixel, though label %d has", hole, top);
}

static why_status read_segments(const char *path, const why_image *im, why_segments *out) {
    why_shape shape;
    int32_t *label;
    WHY_TRY(why_npy_load_i32(path, &shape, &label));
    why_status st = WHY_OK;
    if (shape.rank != 2) st = why_fail(WHY_EFORMAT, "%d dimensions, want 2: rows x columns", shape.rank);
    else if (shape.dim[0] != im->h || shape.dim[1] != im->w)
        st = why_fail(WHY_EARG, "%lld x %lld labels, the image is %d x %d", (long long)shape.dim[0], (long long)shape.dim[1], im->h, im->w);
    if (!st) st = check_labels(label, (size_t)im->h * (size_t)im->w, &out->n);
    if (st) {
        free(label);
        return why_fail_in(st, "segments '%s'", path);
    }
    out->h = im->h;
    out->w = im->w;
    out->label = label;
    return WHY_OK;
}

/* Where segments come from, told by a text. */
struct source {
    char *canonical, *path;         /* path NULL: a segmenter */
    const why_segmenter *segmenter; /* and its */
    why_params *params;
};

static void source_close(struct source *from) {
    free(from->canonical);
    free(from->path);
    why_params_destroy(&from->params);
}

/* file(...) holds its path raw: it may have commas, which separate arguments elsewhere. */
static why_status source_open(const char *text, struct source *from) {
    size_t n = strlen(text);
    *from = (struct source){0};
    if (strncmp(text, "file(", 5) == 0 && text[n - 1] == ')') {
        WHY_TRY(why_strdup(text, &from->canonical));
        from->path = strndup(text + 5, n - 6);
        return from->path ? WHY_OK : why_fail(WHY_ENOMEM, "cannot get memory for the path in '%s'", text);
    }
    WHY_TRY(why_segmenter_parse(text, &from->segmenter, &from->params));
    return why_call_canonical(from->segmenter->name, from->params, &from->canonical);
}

/* The seed comes from the canonical text, so that every method and model of a job sees one segmentation of a picture. */
static why_status make_segments(const why_subject *s, const struct source *from, why_segments *out) {
    if (from->path) return read_segments(from->path, s->image, out);
    why_status st = from->segmenter->run(s->image, from->params, why_subject_stream(s, from->canonical).key, NULL, out);
    return st ? why_fail_in(st, "segmenter '%s'", from->canonical) : WHY_OK;
}

static struct shared_segments *find_shared(const why_subject *s, const char *text) {
    struct shared_segments *i = s->segments;
    while (i && strcmp(i->text, text) != 0) i = i->next;
    return i;
}

/* Moves the canonical text out of `from`. */
static why_status add_shared(why_subject *s, struct source *from, struct shared_segments **out) {
    struct shared_segments *made;
    WHY_TRY(why_alloc(1, sizeof *made, "segments", &made));
    why_status st = make_segments(s, from, &made->segments);
    if (st) {
        destroy_shared(made);
        return st;
    }
    made->text = from->canonical;
    from->canonical = NULL;
    made->next = s->segments;
    s->segments = *out = made;
    return WHY_OK;
}

why_status why_subject_segments(why_subject *s, const char *text, const why_segments **out) {
    struct source from;
    struct shared_segments *shared = NULL;
    *out = NULL;
    why_status st = source_open(text, &from);
    if (!st && !(shared = find_shared(s, from.canonical))) st = add_shared(s, &from, &shared);
    if (!st) *out = &shared->segments;
    source_close(&from);
    return st;
}
