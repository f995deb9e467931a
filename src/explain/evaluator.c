#include "whypix/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "base/mem.h"
#include "explain/cache.h"
#include "explain/fills.h"
#include "explain/output.h"
#include "explain/perturb.h"

/* A perturbation whose scores are not known yet. */
struct pending {
    const why_perturbation *p; /* NULL: the image as it is */
    why_extent extent;
    int row; /* of the cache */
};

/* Gradient sessions keep every activation of their pass, so only a few layers' are held at a time. */
enum { GRADIENT_SESSIONS = 4 };
struct gradient_session {
    const char *tensor; /* canonical name, a view into the model; NULL: unused */
    why_session *session;
    bool pairs;         /* for WHY_RULE_RESCALE */
    int max_batch;
    uint64_t used; /* clock of the last use */
};

/* Segmentations seen on this image, by content: a pointer may be re-used for other labels. */
struct segmentation {
    int n;
    int32_t *label;
    size_t capacity;
};

struct why_evaluator {
    const why_model *model;
    const why_preprocess *pre;
    why_pool *pool;
    int max_batch, outputs;
    int places;     /* of x: max_batch, and at least the two of a pair */
    why_gallery gallery;
    why_image *pictures; /* of the gallery; rgb NULL: not loaded yet */
    why_session *forward;
    struct gradient_session ablation; /* of the layer asked for last */
    struct gradient_session gradients[GRADIENT_SESSIONS];
    uint64_t clock;

    why_frame frame;
    float *x;       /* places*channels*h*w: the batch in which perturbed copies are made */
    float *colours; /* threads*h*w*3 */
    uint8_t *shown; /* threads*h*w */
    uint8_t *remake; /* threads*remake_size bytes, for fills that are painted from the shown pixels */
    size_t remake_size;
    float *seeds;   /* places*outputs */

    why_cache *cache;
    why_buf key;
    struct pending *pending;
    size_t pending_capacity;
    int *rows;
    size_t rows_capacity;
    float *original;
    bool has_original;

    why_made_fill **fills; /* the first n_fills belong to this image, the rest is memory to re-use */
    int n_fills, made_fills;
    size_t fills_capacity;
    struct segmentation *segmentations;
    int n_segmentations, made_segmentations;
    size_t segmentations_capacity;
    int64_t asked, forwards;
};

static size_t pixels_of(const why_evaluator *ev) { return (size_t)ev->frame.h * (size_t)ev->frame.w; }
static size_t input_size(const why_evaluator *ev) { return (size_t)ev->frame.channels * pixels_of(ev); }

/* ---------------------------------------------------------------- life */
static why_status allocate(why_evaluator *ev) {
    size_t threads = (size_t)why_pool_threads(ev->pool), places = (size_t)ev->places, outputs = (size_t)ev->outputs;
    WHY_TRY(why_alloc(places * input_size(ev), sizeof *ev->x, "evaluator batch", &ev->x));
    WHY_TRY(why_alloc(threads * 3 * pixels_of(ev), sizeof *ev->colours, "evaluator scratch", &ev->colours));
    WHY_TRY(why_alloc(threads * pixels_of(ev), sizeof *ev->shown, "evaluator scratch", &ev->shown));
    WHY_TRY(why_alloc(places * outputs, sizeof *ev->seeds, "gradient seeds", &ev->seeds));
    WHY_TRY(why_alloc((size_t)ev->gallery.n, sizeof *ev->pictures, "gallery", &ev->pictures));
    WHY_TRY(why_alloc(outputs, sizeof *ev->original, "scores of the image", &ev->original));
    WHY_TRY(why_alloc(input_size(ev), sizeof *ev->frame.planes, "normalised image", &ev->frame.planes));
    WHY_TRY(why_cache_create(ev->outputs, &ev->cache));
    return why_session_create(ev->model, &(why_session_options){.max_batch = ev->max_batch, .pool = ev->pool}, &ev->forward);
}

why_status why_evaluator_create(const why_evaluator_options *o, why_evaluator **out) {
    *out = NULL;
    const why_model_info *info = why_model_get_info(o->model);
    if (o->max_batch < 1) return why_fail(WHY_EARG, "evaluator: a batch of %d, want at least 1", o->max_batch);
    if (info->channels != 1 && info->channels != 3)
        return why_fail(WHY_EUNSUPPORTED, "model '%s': its input has %d channels, pictures make 1 or 3", info->path, info->channels);
    why_evaluator *ev;
    WHY_TRY(why_alloc(1, sizeof *ev, "evaluator", &ev));
    ev->model = o->model;
    ev->pre = o->preprocess;
    ev->pool = o->pool;
    ev->max_batch = o->max_batch;
    ev->places = o->max_batch < 2 ? 2 : o->max_batch;
    ev->gallery = o->gallery;
    ev->outputs = info->outputs;
    ev->frame = (why_frame){.h = info->height, .w = info->width, .channels = info->channels, .pre = o->preprocess};
    why_status st = allocate(ev);
    if (st) why_evaluator_destroy(&ev);
    *out = ev;
    return st;
}

static void destroy_fills(why_evaluator *ev) {
    for (int i = 0; i < ev->made_fills; i++) {
        free(ev->fills[i]->rgb);
        free(ev->fills[i]->planes);
        free(ev->fills[i]->text);
        why_params_destroy(&ev->fills[i]->params);
        free(ev->fills[i]);
    }
    free(ev->fills);
}

void why_evaluator_destroy(why_evaluator **out) {
    why_evaluator *ev = *out;
    if (!ev) return;
    why_session_destroy(&ev->forward);
    why_session_destroy(&ev->ablation.session);
    for (int i = 0; i < GRADIENT_SESSIONS; i++) why_session_destroy(&ev->gradients[i].session);
    destroy_fills(ev);
    for (int i = 0; i < ev->made_segmentations; i++) free(ev->segmentations[i].label);
    free(ev->segmentations);
    why_cache_destroy(&ev->cache);
    why_buf_clear(&ev->key);
    for (int i = 0; ev->pictures && i < ev->gallery.n; i++) why_image_clear(&ev->pictures[i]);
    free(ev->pictures);
    free(ev->frame.planes);
    free(ev->x);
    free(ev->colours);
    free(ev->shown);
    free(ev->remake);
    free(ev->seeds);
    free(ev->original);
    free(ev->pending);
    free(ev->rows);
    free(ev);
    *out = NULL;
}

const why_model *why_evaluator_model(const why_evaluator *ev) { return ev->model; }
const why_preprocess *why_evaluator_preprocess(const why_evaluator *ev) { return ev->pre; }
int why_evaluator_max_batch(const why_evaluator *ev) { return ev->max_batch; }
int64_t why_evaluator_asked(const why_evaluator *ev) { return ev->asked; }
int64_t why_evaluator_forwards(const why_evaluator *ev) { return ev->forwards; }

why_status why_evaluator_begin(why_evaluator *ev, const why_image *im) {
    if (im->h != ev->frame.h || im->w != ev->frame.w)
        return why_fail(WHY_EARG, "image: got %d x %d pixels, the model wants %d x %d", im->h, im->w, ev->frame.h, ev->frame.w);
    ev->frame.image = im;
    for (size_t i = 0; i < 3 * pixels_of(ev); i++) ev->colours[i] = im->rgb[i];
    why_normalise(ev->pre, ev->colours, im->h, im->w, ev->frame.channels, ev->frame.planes);
    why_cache_clear(ev->cache);
    ev->n_fills = ev->n_segmentations = 0;
    ev->has_original = false;
    ev->asked = ev->forwards = 0;
    return WHY_OK;
}

/* ---------------------------------------------------------------- segmentations and fills */
static why_status remember_segmentation(why_evaluator *ev, const why_segments *s) {
    size_t want = (size_t)ev->n_segmentations + 1;
    WHY_TRY(why_grow(&ev->segmentations, &ev->segmentations_capacity, want, sizeof *ev->segmentations, "segmentations"));
    if (ev->n_segmentations == ev->made_segmentations) ev->segmentations[ev->made_segmentations++] = (struct segmentation){0};
    struct segmentation *kept = &ev->segmentations[ev->n_segmentations];
    WHY_TRY(why_grow(&kept->label, &kept->capacity, pixels_of(ev), sizeof *kept->label, "segmentations"));
    memcpy(kept->label, s->label, pixels_of(ev) * sizeof *kept->label);
    kept->n = s->n;
    ev->n_segmentations++;
    return WHY_OK;
}

/* The number of these segments, by content. Their size has been checked. */
static why_status number_segmentation(why_evaluator *ev, const why_segments *s, int *number) {
    for (*number = 0; *number < ev->n_segmentations; ++*number) {
        const struct segmentation *k = &ev->segmentations[*number];
        if (k->n == s->n && memcmp(k->label, s->label, pixels_of(ev) * sizeof *s->label) == 0) return WHY_OK;
    }
    return remember_segmentation(ev, s);
}

static why_status fill_slot(why_evaluator *ev, why_made_fill **out) {
    if (ev->n_fills == ev->made_fills) {
        WHY_TRY(why_grow(&ev->fills, &ev->fills_capacity, (size_t)ev->made_fills + 1, sizeof *ev->fills, "fills"));
        WHY_TRY(why_alloc(1, sizeof **ev->fills, "fill", &ev->fills[ev->made_fills]));
        ev->made_fills++;
    }
    why_made_fill *f = ev->fills[ev->n_fills];
    if (!f->rgb) WHY_TRY(why_alloc(3 * pixels_of(ev), sizeof *f->rgb, "fill", &f->rgb));
    if (!f->planes) WHY_TRY(why_alloc(input_size(ev), sizeof *f->planes, "fill", &f->planes));
    *out = f;
    return WHY_OK;
}

static const why_made_fill *find_fill(const why_evaluator *ev, const char *text, int segmentation) {
    for (int i = 0; i < ev->n_fills; i++)
        if (ev->fills[i]->segmentation == segmentation && strcmp(ev->fills[i]->text, text) == 0) return ev->fills[i];
    return NULL;
}

/* Every thread's memory for a fill that is remade. */
static why_status reserve_remake(why_evaluator *ev, const why_fill_kind *kind, const why_params *params) {
    const size_t asked = kind->remake ? kind->remake_scratch(ev->frame.h, ev->frame.w, params) : 0;
    const size_t size = (asked + 63) / 64 * 64; /* so that the next thread's is aligned, too */
    if (size <= ev->remake_size) return WHY_OK;
    free(ev->remake);
    ev->remake = NULL;
    ev->remake_size = 0;
    WHY_TRY(why_alloc((size_t)why_pool_threads(ev->pool), size, "fill scratch", &ev->remake));
    ev->remake_size = size;
    return WHY_OK;
}

/* Takes `text` over. */
static why_status make_fill(why_evaluator *ev, const why_fill_kind *kind, const why_params *params, const why_segments *segments,
                            int segmentation, char *text, const why_fill **out) {
    why_made_fill *f = NULL;
    why_params *kept = NULL;
    why_status st = fill_slot(ev, &f);
    if (!st) st = kind->make(ev->frame.image, ev->pre, segments, params, f->rgb);
    if (!st) st = reserve_remake(ev, kind, params);
    if (!st) st = why_params_copy(params, &kept);
    if (st) {
        free(text);
        return st;
    }
    why_normalise(ev->pre, f->rgb, ev->frame.h, ev->frame.w, ev->frame.channels, f->planes);
    free(f->text);
    f->text = text;
    f->segmentation = segmentation;
    f->kind = kind;
    why_params_destroy(&f->params);
    f->params = kept;
    f->base = (why_fill){.name = text, .rgb = f->rgb, .id = (uint64_t)ev->n_fills++, .local = !kind->remake};
    *out = &f->base;
    return WHY_OK;
}

static why_status find_or_make_fill(why_evaluator *ev, const why_fill_kind *kind, const why_params *params, const why_segments *segments,
                                    const why_fill **out) {
    int segmentation = -1;
    if (!kind->needs_segments) segments = NULL;
    else if (!segments) return why_fail(WHY_EARG, "fill '%s' is made from segments, and there are none here", kind->name);
    if (segments) {
        WHY_TRY(why_frame_check_segments(&ev->frame, segments));
        WHY_TRY(number_segmentation(ev, segments, &segmentation));
    }
    char *text;
    WHY_TRY(why_call_canonical(kind->name, params, &text));
    const why_made_fill *known = find_fill(ev, text, segmentation);
    if (!known) return make_fill(ev, kind, params, segments, segmentation, text, out);
    free(text);
    *out = &known->base;
    return WHY_OK;
}

why_status why_evaluator_fill(why_evaluator *ev, const char *text, const why_segments *segments, const why_fill **out) {
    *out = NULL;
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: fill before begin");
    const why_fill_kind *kind;
    why_params *params;
    WHY_TRY(why_fill_parse(text, &kind, &params));
    why_status st = find_or_make_fill(ev, kind, params, segments, out);
    why_params_destroy(&params);
    return st;
}

/* ---------------------------------------------------------------- scores */
struct batch {
    const why_evaluator *ev;
    const struct pending *pending;
};

static void compose(void *ctx, int index, int thread) {
    const struct batch *b = ctx;
    const why_evaluator *ev = b->ev;
    const struct pending *q = &b->pending[index];
    size_t n = pixels_of(ev), t = (size_t)thread;
    const why_scratch scratch = {ev->shown + t * n, ev->colours + t * 3 * n, ev->remake ? ev->remake + t * ev->remake_size : NULL};
    why_perturb_compose(&ev->frame, q->p, q->extent, &scratch, ev->x + (size_t)index * input_size(ev));
}

static why_status forward(why_evaluator *ev, const struct pending *pending, int n) {
    struct batch b = {.ev = ev, .pending = pending};
    why_pool_run(ev->pool, n, compose, &b);
    WHY_TRY(why_session_forward(ev->forward, ev->x, n));
    const float *logits = why_session_logits(ev->forward);
    for (int i = 0; i < n; i++)
        memcpy(why_cache_row(ev->cache, pending[i].row), logits + (size_t)i * (size_t)ev->outputs, (size_t)ev->outputs * sizeof *logits);
    ev->forwards += n;
    return WHY_OK;
}

static why_status look_up(why_evaluator *ev, const why_perturbation *p, int segmentation, int *row, int *n_pending) {
    bool fresh;
    why_extent extent = p ? why_perturb_extent(&ev->frame, p) : WHY_ALL_SHOWN;
    why_perturb_key(&ev->frame, p, extent, segmentation, &ev->key);
    WHY_TRY(why_buf_status(&ev->key));
    WHY_TRY(why_cache_row_of(ev->cache, ev->key.data, ev->key.size, row, &fresh));
    if (fresh) ev->pending[(*n_pending)++] = (struct pending){.p = p, .extent = extent, .row = *row};
    return WHY_OK;
}

static why_status look_up_all(why_evaluator *ev, const why_perturbation *p, int n, int *n_pending) {
    const why_segments *last = NULL; /* borrowed for the whole call, so here a pointer does stand for its contents */
    int segmentation = -1;
    for (int i = 0; i < n; i++) {
        WHY_TRY(why_perturb_check(&ev->frame, &p[i]));
        if (p[i].kind == WHY_SHOW_SEGMENTS && p[i].u.segments.segments != last) {
            last = p[i].u.segments.segments;
            WHY_TRY(number_segmentation(ev, last, &segmentation));
        }
        WHY_TRY(look_up(ev, &p[i], segmentation, &ev->rows[i], n_pending));
    }
    return WHY_OK;
}

/* Cache rows of n perturbations (p == NULL: of the image) into ev->rows, computing those that are missing. */
static why_status score_rows(why_evaluator *ev, const why_perturbation *p, int n) {
    int n_pending = 0;
    WHY_TRY(why_grow(&ev->pending, &ev->pending_capacity, (size_t)n, sizeof *ev->pending, "evaluator queue"));
    WHY_TRY(why_grow(&ev->rows, &ev->rows_capacity, (size_t)n, sizeof *ev->rows, "evaluator queue"));
    why_status st = p ? look_up_all(ev, p, n, &n_pending) : look_up(ev, NULL, -1, ev->rows, &n_pending);
    for (int at = 0; !st && at < n_pending; at += ev->max_batch)
        st = forward(ev, ev->pending + at, n_pending - at < ev->max_batch ? n_pending - at : ev->max_batch);
    if (st) why_cache_clear(ev->cache); /* rows that were promised and not written */
    return st;
}

why_status why_evaluator_run(why_evaluator *ev, const why_perturbation *p, int n, float *logits) {
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: run before begin");
    if (n <= 0) return WHY_OK;
    WHY_TRY(score_rows(ev, p, n));
    size_t width = (size_t)ev->outputs;
    for (int i = 0; i < n; i++) memcpy(logits + (size_t)i * width, why_cache_row(ev->cache, ev->rows[i]), width * sizeof *logits);
    ev->asked += n;
    return WHY_OK;
}

why_status why_evaluator_original(why_evaluator *ev, const float **logits) {
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: original before begin");
    if (!ev->has_original) {
        WHY_TRY(score_rows(ev, NULL, 1));
        memcpy(ev->original, why_cache_row(ev->cache, ev->rows[0]), (size_t)ev->outputs * sizeof *ev->original);
        ev->has_original = true;
    }
    *logits = ev->original;
    return WHY_OK;
}

/* ---------------------------------------------------------------- gradients */
static bool is_input(const why_evaluator *ev, const char *tensor) {
    const char *input;
    return why_model_resolve(ev->model, "input", &input) == WHY_OK && strcmp(input, tensor) == 0;
}

static why_status open_gradient(why_evaluator *ev, struct gradient_session *g, const char *tensor, bool pairs, int n) {
    why_session_destroy(&g->session);
    g->tensor = NULL;
    int n_keep = is_input(ev, tensor) ? 0 : 1; /* the input is our own batch */
    const why_session_options o = {.max_batch = n, .pool = ev->pool, .keep = &tensor, .n_keep = n_keep, .grad_to = &tensor, .n_grad_to = 1,
                                   .rule = pairs ? WHY_RULE_RESCALE : WHY_RULE_PLAIN};
    WHY_TRY(why_session_create(ev->model, &o, &g->session));
    g->tensor = tensor;
    g->pairs = pairs;
    g->max_batch = n;
    return WHY_OK;
}

static bool is_session_of(const struct gradient_session *g, const char *tensor, bool pairs) {
    return g->tensor && g->pairs == pairs && strcmp(g->tensor, tensor) == 0;
}

/* The session of a layer, made on first use in the place that was idle longest. */
static why_status gradient_session(why_evaluator *ev, const char *tensor, bool pairs, int n, why_session **out) {
    struct gradient_session *g = &ev->gradients[0];
    for (int i = 0; i < GRADIENT_SESSIONS; i++) {
        struct gradient_session *other = &ev->gradients[i];
        if (is_session_of(other, tensor, pairs)) {
            g = other;
            break;
        }
        if (other->used < g->used) g = other;
    }
    if (!is_session_of(g, tensor, pairs) || g->max_batch < n) WHY_TRY(open_gradient(ev, g, tensor, pairs, n));
    g->used = ++ev->clock;
    *out = g->session;
    return WHY_OK;
}

static why_tensor_view input_view(const why_evaluator *ev, int n) {
    return (why_tensor_view){ev->x, {4, {n, ev->frame.channels, ev->frame.h, ev->frame.w}}};
}

static why_status compose_batch(why_evaluator *ev, const why_perturbation *p, int n) {
    WHY_TRY(why_grow(&ev->pending, &ev->pending_capacity, (size_t)n, sizeof *ev->pending, "evaluator queue"));
    for (int i = 0; i < n; i++) {
        if (p) WHY_TRY(why_perturb_check(&ev->frame, &p[i]));
        ev->pending[i] = (struct pending){.p = p ? &p[i] : NULL, .extent = p ? why_perturb_extent(&ev->frame, &p[i]) : WHY_ALL_SHOWN};
    }
    struct batch b = {.ev = ev, .pending = ev->pending};
    why_pool_run(ev->pool, n, compose, &b);
    return WHY_OK;
}

why_status why_evaluator_gradient(why_evaluator *ev, const char *layer, const why_perturbation *p, int n, int class_index,
                                  why_output output, why_rule rule, why_tensor_view *act, why_tensor_view *grad) {
    const char *tensor;
    why_session *s;
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: gradient before begin");
    if (!p) n = 1;
    if (n < 1 || n > ev->max_batch) return why_fail(WHY_EARG, "gradient: %d images at once, want 1 to %d", n, ev->max_batch);
    WHY_TRY(why_model_resolve(ev->model, layer, &tensor));
    WHY_TRY(gradient_session(ev, tensor, false, n, &s));
    WHY_TRY(compose_batch(ev, p, n));
    WHY_TRY(why_session_forward(s, ev->x, n));
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * (size_t)ev->outputs;
        why_score_seed(why_session_logits(s) + at, ev->outputs, class_index, output, ev->seeds + at);
    }
    WHY_TRY(why_session_backward(s, ev->seeds, rule));
    if (act) *act = is_input(ev, tensor) ? input_view(ev, n) : why_session_kept(s, 0);
    *grad = why_session_gradient(s, 0);
    ev->asked += n;
    return WHY_OK;
}

/* ---------------------------------------------------------------- pairs with references */
int why_evaluator_max_references(const why_evaluator *ev) { return ev->places - 1; }

/* The image, then the references. */
static why_status compose_pairs(why_evaluator *ev, const why_perturbation *references, int n) {
    WHY_TRY(compose_batch(ev, references, n));
    memmove(ev->x + input_size(ev), ev->x, (size_t)n * input_size(ev) * sizeof *ev->x);
    memcpy(ev->x, ev->frame.planes, input_size(ev) * sizeof *ev->x);
    return WHY_OK;
}

why_status why_evaluator_multipliers(why_evaluator *ev, const char *layer, const why_perturbation *references, int n, int class_index,
                                     why_output output, why_tensor_view *act, why_tensor_view *mult, double *scores) {
    const char *tensor;
    why_session *s;
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: multipliers before begin");
    if (n < 1 || n >= ev->places) return why_fail(WHY_EARG, "multipliers: %d references at once, want 1 to %d", n, ev->places - 1);
    WHY_TRY(why_model_resolve(ev->model, layer, &tensor));
    WHY_TRY(gradient_session(ev, tensor, true, n + 1, &s));
    WHY_TRY(compose_pairs(ev, references, n));
    WHY_TRY(why_session_forward(s, ev->x, n + 1));
    const float *logits = why_session_logits(s);
    for (int i = 0; i <= n; i++) {
        const float *row = logits + (size_t)i * (size_t)ev->outputs;
        why_score_multipliers(logits, row, ev->outputs, class_index, output, ev->seeds + (row - logits));
        if (scores) scores[i] = why_score(row, ev->outputs, class_index, output);
    }
    WHY_TRY(why_session_backward(s, ev->seeds, WHY_RULE_RESCALE));
    *act = is_input(ev, tensor) ? input_view(ev, n + 1) : why_session_kept(s, 0);
    *mult = why_session_gradient(s, 0);
    ev->asked += n;
    return WHY_OK;
}

int why_evaluator_gallery_size(const why_evaluator *ev) { return ev->gallery.n; }

why_status why_evaluator_gallery(why_evaluator *ev, int index, const why_image **out) {
    *out = NULL;
    if (index < 0 || index >= ev->gallery.n) return why_fail(WHY_EARG, "gallery: picture %d of %d", index, ev->gallery.n);
    why_image *im = &ev->pictures[index];
    if (!im->rgb) WHY_TRY(ev->gallery.load(ev->gallery.ctx, index, im));
    if (im->h != ev->frame.h || im->w != ev->frame.w)
        return why_fail(WHY_EARG, "gallery: picture %d is %d x %d, the model wants %d x %d", index, im->h, im->w, ev->frame.h, ev->frame.w);
    *out = im;
    return WHY_OK;
}

/* ---------------------------------------------------------------- ablation */
/* Copies that go forward whole, once, before the channels share what lies in front of the layer: a few are enough. */
enum { ABLATION_BATCH = 8 };

static why_status open_ablation(why_evaluator *ev, const char *tensor) {
    struct gradient_session *a = &ev->ablation;
    if (a->session && strcmp(a->tensor, tensor) == 0) return WHY_OK;
    why_session_destroy(&a->session);
    a->max_batch = ev->max_batch < ABLATION_BATCH ? ev->max_batch : ABLATION_BATCH;
    a->tensor = tensor;
    const why_session_options o = {.max_batch = a->max_batch, .pool = ev->pool, .resume = tensor};
    return why_session_create(ev->model, &o, &a->session);
}

/* Rows of all channels into ev->rows, and the channels whose row has to be written. The key is the picture's with the layer
 * and the channel behind it; keys of whole pictures have one length, so no other key looks like this one. */
static why_status look_up_channels(why_evaluator *ev, const why_perturbation *p, int channels, int *missing, int *n) {
    for (int k = 0; k < channels; k++) {
        bool fresh;
        why_perturb_key(&ev->frame, p, p ? WHY_MIXED : WHY_ALL_SHOWN, -1, &ev->key);
        why_buf_put(&ev->key, ev->ablation.tensor, strlen(ev->ablation.tensor) + 1);
        why_buf_put(&ev->key, &k, sizeof k);
        WHY_TRY(why_buf_status(&ev->key));
        WHY_TRY(why_cache_row_of(ev->cache, ev->key.data, ev->key.size, &ev->rows[k], &fresh));
        if (fresh) missing[(*n)++] = k;
    }
    return WHY_OK;
}

/* The picture, as often as a batch has places. */
static why_status forward_copies(why_evaluator *ev, const why_perturbation *p) {
    size_t size = input_size(ev);
    WHY_TRY(compose_batch(ev, p, 1));
    for (int i = 1; i < ev->ablation.max_batch; i++) memcpy(ev->x + (size_t)i * size, ev->x, size * sizeof *ev->x);
    return why_session_forward(ev->ablation.session, ev->x, ev->ablation.max_batch);
}

/* n channels of planes of `plane` floats, one per place of the batch. values: as the layer is, for the whole batch. */
static why_status ablate_batch(why_evaluator *ev, const int *channel, int n, size_t map, size_t plane, float *values) {
    size_t width = (size_t)ev->outputs;
    for (int i = 0; i < n; i++) memset(values + (size_t)i * map + (size_t)channel[i] * plane, 0, plane * sizeof *values);
    WHY_TRY(why_session_resume(ev->ablation.session, values));
    const float *logits = why_session_logits(ev->ablation.session);
    for (int i = 0; i < n; i++) memcpy(why_cache_row(ev->cache, ev->rows[channel[i]]), logits + (size_t)i * width, width * sizeof *logits);
    return WHY_OK;
}

/* clean: one image's feature map, and room for a batch of them behind it. */
static why_status ablate_missing(why_evaluator *ev, const why_perturbation *p, const int *missing, int n, float *clean) {
    const int batch = ev->ablation.max_batch;
    WHY_TRY(forward_copies(ev, p));
    const why_tensor_view layer = why_session_resumed(ev->ablation.session);
    size_t plane = (size_t)(layer.shape.dim[2] * layer.shape.dim[3]), map = plane * (size_t)layer.shape.dim[1];
    memcpy(clean, layer.data, map * sizeof *clean);
    for (int at = 0; at < n; at += batch) {
        for (int i = 0; i < batch; i++) memcpy(clean + (size_t)(1 + i) * map, clean, map * sizeof *clean);
        WHY_TRY(ablate_batch(ev, missing + at, n - at < batch ? n - at : batch, map, plane, clean + map));
    }
    ev->forwards += n;
    return WHY_OK;
}

static why_status ablate(why_evaluator *ev, const why_perturbation *p, const why_shape *layer) {
    const int channels = (int)layer->dim[1];
    size_t map = (size_t)(layer->dim[1] * layer->dim[2] * layer->dim[3]);
    int *missing, n = 0;
    float *clean = NULL;
    WHY_TRY(why_alloc((size_t)channels, sizeof *missing, "channels", &missing));
    why_status st = why_grow(&ev->rows, &ev->rows_capacity, (size_t)channels, sizeof *ev->rows, "evaluator queue");
    if (!st) st = look_up_channels(ev, p, channels, missing, &n);
    if (!st && n > 0) st = why_alloc(map * (size_t)(ev->ablation.max_batch + 1), sizeof *clean, "feature maps", &clean);
    if (!st && n > 0) st = ablate_missing(ev, p, missing, n, clean);
    if (st) why_cache_clear(ev->cache); /* rows that were promised and not written */
    free(missing);
    free(clean);
    return st;
}

why_status why_evaluator_ablate(why_evaluator *ev, const char *layer, const why_perturbation *p, float *logits) {
    const char *tensor;
    if (!ev->frame.image) return why_fail(WHY_EBUG, "evaluator: ablation before begin");
    if (p && p->kind != WHY_WHOLE_IMAGE) return why_fail(WHY_EARG, "ablation: of whole images only");
    WHY_TRY(why_model_resolve(ev->model, layer, &tensor));
    WHY_TRY(open_ablation(ev, tensor));
    const why_shape shape = why_session_resumed(ev->ablation.session).shape;
    if (shape.rank != 4) return why_fail(WHY_EARG, "layer '%s': its output is a vector, ablation wants a feature map", layer);
    WHY_TRY(ablate(ev, p, &shape));
    size_t width = (size_t)ev->outputs;
    for (int64_t k = 0; k < shape.dim[1]; k++)
        memcpy(logits + (size_t)k * width, why_cache_row(ev->cache, ev->rows[k]), width * sizeof *logits);
    ev->asked += shape.dim[1];
    return WHY_OK;
}
