#include "explain/background.h"

#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "base/mem.h"
#include "base/npy.h"
#include "explain/fills.h"

/* ---------------------------------------------------------------- the text */
static const why_param images_params[] = {
    {"n", WHY_PARAM_INT, "16", 1, 100000, NULL, "how many"},
    {"pick", WHY_PARAM_CHOICE, "spread", 0, 0, "spread|first", "evenly over the list, or its first ones"},
    {0},
};

static why_status parse_images(const char *text, why_background_part *part) {
    why_params *p;
    WHY_TRY(why_call_params(text, images_params, &p));
    part->kind = WHY_BACKGROUND_IMAGES;
    part->n = (int)why_params_int(p, "n");
    part->first = strcmp(why_params_text(p, "pick"), "first") == 0;
    why_params_destroy(&p);
    return WHY_OK;
}

/* file(...) holds its path raw, as for segments. */
static why_status parse_file(char *text, why_background_part *part) {
    size_t n = strlen(text);
    if (n < 7 || text[n - 1] != ')') return why_fail(WHY_EARG, "'%s': want file(PATH)", text);
    memmove(text, text + 5, n - 6);
    text[n - 6] = 0;
    part->kind = WHY_BACKGROUND_FILE;
    return WHY_OK;
}

static why_status parse_fill(const char *text, why_background_part *part) {
    const why_fill_kind *kind;
    why_params *params;
    part->kind = WHY_BACKGROUND_FILL;
    WHY_TRY(why_fill_parse(text, &kind, &params));
    why_params_destroy(&params);
    WHY_TRY(why_fill_check_local(text));
    if (kind->needs_segments) return why_fail(WHY_EARG, "fill '%s' is made from segments, and a background has none", kind->name);
    return WHY_OK;
}

static why_status parse_part(const char *text, size_t n, why_background_part *part) {
    char *name;
    part->text = strndup(text, n);
    if (!part->text) return why_fail(WHY_ENOMEM, "cannot get memory for a background");
    if (strncmp(part->text, "file(", 5) == 0) return parse_file(part->text, part);
    WHY_TRY(why_call_name(part->text, &name));
    why_status st = *name == 0                     ? why_fail(WHY_EARG, "an empty part")
                    : strcmp(name, "images") == 0 ? parse_images(part->text, part)
                                                  : parse_fill(part->text, part);
    free(name);
    return st;
}

/* Up to the next '+' outside parentheses. */
static size_t length_of_part(const char *s) {
    size_t n = 0;
    for (int depth = 0; s[n] && (s[n] != '+' || depth > 0); n++) depth += (s[n] == '(') - (s[n] == ')');
    return n;
}

why_status why_background_parse(const char *text, why_background_spec *out) {
    size_t capacity = 0;
    why_status st = WHY_OK;
    *out = (why_background_spec){0};
    for (const char *s = text; !st; s++) {
        const size_t n = length_of_part(s);
        st = why_grow(&out->part, &capacity, (size_t)out->n_parts + 1, sizeof *out->part, "background");
        if (st) break;
        out->part[out->n_parts++] = (why_background_part){0};
        st = parse_part(s, n, &out->part[out->n_parts - 1]);
        s += n;
        if (!*s) break;
    }
    if (!st) return WHY_OK;
    why_background_spec_clear(out);
    return why_fail_in(st, "background '%s'", text);
}

void why_background_spec_clear(why_background_spec *s) {
    for (int i = 0; i < s->n_parts; i++) free(s->part[i].text);
    free(s->part);
    *s = (why_background_spec){0};
}

enum { USUAL_FILE = 16 };

int64_t why_background_count(const char *text) {
    why_background_spec s;
    int64_t n = 0;
    if (why_background_parse(text, &s)) return 0;
    for (int i = 0; i < s.n_parts; i++)
        n += s.part[i].kind == WHY_BACKGROUND_FILL ? 1 : s.part[i].kind == WHY_BACKGROUND_IMAGES ? s.part[i].n : USUAL_FILE;
    why_background_spec_clear(&s);
    return n;
}

int why_background_pick(const why_background_part *part, int listed, int i) {
    return part->first ? i : (int)((int64_t)i * listed / part->n);
}

why_status why_background_check(const char *text) {
    why_background_spec s;
    WHY_TRY(why_background_parse(text, &s));
    why_background_spec_clear(&s);
    return WHY_OK;
}

why_status why_baseline_check(const char *text) {
    why_background_spec s;
    WHY_TRY(why_background_parse(text, &s));
    const bool one = s.n_parts == 1 && s.part[0].kind == WHY_BACKGROUND_FILL;
    why_background_spec_clear(&s);
    return one ? WHY_OK : why_fail(WHY_EARG, "baseline '%s': want one fill of the picture; shap_deep takes a background of others", text);
}

/* ---------------------------------------------------------------- the pictures */
/* One of the two is set. */
struct why_reference {
    const float *rgb;       /* h*w*3: a fill's, or out of a file */
    const why_image *image; /* of the job's list */
};

struct opening {
    why_evaluator *ev;
    const why_image *explained;
    why_background *b;
    size_t capacity, file_capacity;
};

static why_status add(struct opening *o, const float *rgb, const why_image *image) {
    WHY_TRY(why_grow(&o->b->at, &o->capacity, (size_t)o->b->n + 1, sizeof *o->b->at, "background"));
    o->b->at[o->b->n++] = (struct why_reference){rgb, image};
    return WHY_OK;
}

static why_status add_fill(struct opening *o, const char *text) {
    const why_fill *fill;
    WHY_TRY(why_evaluator_fill(o->ev, text, NULL, &fill));
    return add(o, fill->rgb, NULL);
}

static why_status add_images(struct opening *o, const why_background_part *part) {
    const int listed = why_evaluator_gallery_size(o->ev);
    if (listed == 0) return why_fail(WHY_EARG, "images(n=%d): there is no list of images here; name fills or file(F.npy)", part->n);
    if (part->n > listed) return why_fail(WHY_EARG, "images(n=%d): the job's list has %d", part->n, listed);
    for (int i = 0; i < part->n; i++) {
        const why_image *image;
        WHY_TRY(why_evaluator_gallery(o->ev, why_background_pick(part, listed, i), &image));
        WHY_TRY(add(o, NULL, image));
    }
    return WHY_OK;
}

static why_status add_file(struct opening *o, const char *path) {
    why_shape shape;
    float *v;
    const int h = o->explained->h, w = o->explained->w;
    WHY_TRY(why_grow(&o->b->files, &o->file_capacity, (size_t)o->b->n_files + 1, sizeof *o->b->files, "background"));
    WHY_TRY(why_npy_load_f32(path, &shape, &v));
    o->b->files[o->b->n_files++] = v;
    const int64_t *d = shape.dim;
    if (shape.rank != 4 || d[0] < 1 || d[0] > 100000 || d[1] != h || d[2] != w || d[3] != 3)
        return why_fail(WHY_EARG, "'%s': want pictures x %d x %d x 3 values", path, h, w);
    for (int64_t i = 0; i < why_shape_count(&shape); i++)
        if (!(v[i] >= 0 && v[i] <= 255)) return why_fail(WHY_EARG, "'%s': value %g, want colours of 0 to 255", path, (double)v[i]);
    for (int64_t i = 0; i < d[0]; i++) WHY_TRY(add(o, v + i * h * w * 3, NULL));
    return WHY_OK;
}

static why_status add_part(struct opening *o, const why_background_part *part) {
    switch (part->kind) {
    case WHY_BACKGROUND_IMAGES: return add_images(o, part);
    case WHY_BACKGROUND_FILE: return add_file(o, part->text);
    case WHY_BACKGROUND_FILL: break;
    }
    return add_fill(o, part->text);
}

why_status why_background_open(const why_request *r, const char *text, why_background *out) {
    struct opening o = {.ev = why_subject_evaluator(r->subject), .explained = why_subject_image(r->subject), .b = out};
    why_background_spec spec;
    *out = (why_background){0};
    WHY_TRY(why_background_parse(text, &spec));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < spec.n_parts; i++) st = add_part(&o, &spec.part[i]);
    why_background_spec_clear(&spec);
    if (!st) return WHY_OK;
    why_background_clear(out);
    return why_fail_in(st, "background '%s'", text);
}

void why_background_clear(why_background *b) {
    for (int i = 0; i < b->n_files; i++) free(b->files[i]);
    free(b->files);
    free(b->at);
    *b = (why_background){0};
}

void why_background_write(const why_background *b, int i, size_t pixels, float *rgb) {
    const struct why_reference *ref = &b->at[i];
    if (ref->rgb) memcpy(rgb, ref->rgb, 3 * pixels * sizeof *rgb);
    for (size_t k = 0; ref->image && k < 3 * pixels; k++) rgb[k] = ref->image->rgb[k];
}
