#include "explain/cam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/layers.h"
#include "explain/pca.h"

/* ---------------------------------------------------------------- one layer of one picture: a small map */
static void sum_channels(const double *x, size_t channels, size_t positions, double *sum) {
    for (size_t k = 0; k < channels; k++)
        for (size_t i = 0; i < positions; i++) sum[i] += x[k * positions + i];
}

void why_cam_weigh(const why_cam_view *v, const double *weight, double *x) {
    for (size_t k = 0; k < v->channels; k++)
        for (size_t i = 0; i < v->positions; i++) x[k * v->positions + i] = weight[k] * v->act[k * v->positions + i];
}

why_status why_cam_weigh_by(const why_cam_view *v, why_cam_weight_fn *weight, double *x) {
    double *weights;
    WHY_TRY(why_alloc(v->channels, sizeof *weights, "weights of channels", &weights));
    for (size_t k = 0; k < v->channels; k++) weights[k] = weight(v->act + k * v->positions, v->grad + k * v->positions, v->positions);
    why_cam_weigh(v, weights, x);
    free(weights);
    return WHY_OK;
}

/* low: h*w of the feature map. Sums run in double over a fixed order. */
static why_status small_map(const why_cam_view *v, why_cam_fn *fn, bool principal, bool relu, float *low) {
    double *x, *map = NULL;
    WHY_TRY(why_alloc(v->channels * v->positions, sizeof *x, "weighted feature maps", &x));
    why_status st = why_alloc(v->positions, sizeof *map, "class activation map", &map);
    if (!st) st = fn(v, x);
    if (!st && principal) st = why_first_component(x, v->channels, v->positions, map);
    else if (!st) sum_channels(x, v->channels, v->positions, map);
    for (size_t i = 0; !st && i < v->positions; i++) low[i] = (float)(relu && map[i] < 0 ? 0 : map[i]);
    free(x);
    free(map);
    return st;
}

/* Maps of several layers or pictures have no scale in common. Without negative values: to [0, 1] as pytorch-grad-cam does it,
 * 1e-7 included; a signed map is divided by its largest magnitude, so that 0 stays 0. */
static void to_common_scale(float *map, size_t n, bool relu) {
    float lo = map[0], hi = map[0];
    for (size_t i = 1; i < n; i++) lo = fminf(lo, map[i]), hi = fmaxf(hi, map[i]);
    float shift = relu ? lo : 0, size = relu ? hi - lo : fmaxf(hi, -lo);
    for (size_t i = 0; i < n; i++) map[i] = (map[i] - shift) / (1e-7f + size);
}

/* ---------------------------------------------------------------- all layers of one picture */
struct frame {
    const why_request *r;
    why_cam_fn *fn;
    bool principal, relu, scaled; /* scaled: several maps will be averaged */
    const why_layers *layers;
    int h, w;
    float *large;                 /* h*w: one layer's map enlarged */
};

/* Its values would be the evaluator's own batch, which the next evaluation overwrites; and it is no layer. */
static why_status refuse_input(const why_model *m, const char *layer) {
    const char *tensor, *input;
    WHY_TRY(why_model_resolve(m, layer, &tensor));
    WHY_TRY(why_model_resolve(m, "input", &input));
    if (strcmp(tensor, input) != 0) return WHY_OK;
    return why_fail(WHY_EARG, "layer '%s': it is the image, class activation maps want a feature map", layer);
}

static why_status look(const struct frame *f, why_cam_view *v) {
    why_tensor_view act, grad;
    WHY_TRY(refuse_input(why_evaluator_model(why_subject_evaluator(f->r->subject)), v->layer));
    WHY_TRY(why_evaluator_gradient(why_subject_evaluator(f->r->subject), v->layer, v->picture, 1, f->r->class_index, f->r->output,
                                   WHY_RULE_PLAIN, &act, &grad));
    if (act.shape.rank != 4)
        return why_fail(WHY_EARG, "layer '%s': its output is a vector, class activation maps want a feature map", v->layer);
    v->act = act.data;
    v->grad = grad.data;
    v->channels = (size_t)act.shape.dim[1];
    v->h = (int)act.shape.dim[2];
    v->w = (int)act.shape.dim[3];
    v->positions = (size_t)v->h * (size_t)v->w;
    return WHY_OK;
}

static why_status layer_map(const struct frame *f, why_cam_view *v) {
    float *low;
    WHY_TRY(look(f, v));
    WHY_TRY(why_alloc(v->positions, sizeof *low, "class activation map", &low));
    why_status st = small_map(v, f->fn, f->principal, f->relu, low);
    if (!st && f->scaled) to_common_scale(low, v->positions, f->relu);
    if (!st) why_map_resize(low, v->h, v->w, f->large, f->h, f->w);
    free(low);
    return st;
}

/* The mean over layers, added to nothing: map (h*w) is zero. */
static why_status picture_map(const struct frame *f, why_cam_view *v, float *map) {
    size_t n = (size_t)f->h * (size_t)f->w;
    for (int l = 0; l < f->layers->n; l++) {
        v->layer = f->layers->name[l];
        WHY_TRY(layer_map(f, v));
        for (size_t i = 0; i < n; i++) map[i] += f->large[i] / (float)f->layers->n;
    }
    if (f->scaled) to_common_scale(map, n, f->relu);
    return WHY_OK;
}

/* ---------------------------------------------------------------- copies of the image */
struct copies {
    float *rgb, *map; /* h*w*3 and h*w */
    const why_fill *zero;
};

/* Brightness is that of the normalised tensor, as the peer has it: away from the colour that becomes 0. */
static void make_copy(const why_image *im, const float *zero, bool flip, float factor, float *rgb) {
    for (int y = 0; y < im->h; y++)
        for (int x = 0; x < im->w; x++) {
            size_t row = (size_t)y * (size_t)im->w, to = 3 * (row + (size_t)x), from = 3 * (row + (size_t)(flip ? im->w - 1 - x : x));
            for (size_t c = 0; c < 3; c++) {
                float value = im->rgb[from + c];
                rgb[to + c] = factor == 1.0f ? value : zero[from + c] + factor * (value - zero[from + c]); /* a plain copy is exact */
            }
        }
}

static void add_copy(const float *map, int h, int w, bool flip, float share, float *sum) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) sum[y * w + x] += share * map[y * w + (flip ? w - 1 - x : x)];
}

enum { COPIES = 6 };

/* pytorch-grad-cam's test-time augmentation: the mean over {as it is, flipped} x {0.9, 1, 1.1}. */
static why_status average_copies(const struct frame *f, const struct copies *c, why_explanation *out) {
    static const float factors[COPIES / 2] = {0.9f, 1.0f, 1.1f};
    const why_perturbation picture = {.kind = WHY_WHOLE_IMAGE, .u.rgb = c->rgb};
    for (int i = 0; i < COPIES; i++) {
        bool flip = i >= COPIES / 2;
        why_cam_view v = {.request = f->r, .picture = &picture, .rgb = c->rgb, .zero = c->zero->rgb};
        make_copy(why_subject_image(f->r->subject), c->zero->rgb, flip, factors[i % (COPIES / 2)], c->rgb);
        memset(c->map, 0, (size_t)f->h * (size_t)f->w * sizeof *c->map);
        WHY_TRY(picture_map(f, &v, c->map));
        add_copy(c->map, f->h, f->w, flip, 1.0f / COPIES, out->map);
    }
    return WHY_OK;
}

static why_status run(struct frame *f, bool augment, why_explanation *out) {
    size_t n = (size_t)f->h * (size_t)f->w;
    struct copies c = {0};
    WHY_TRY(why_evaluator_fill(why_subject_evaluator(f->r->subject), "zero", NULL, &c.zero));
    why_status st = why_alloc(n, sizeof *f->large, "class activation map", &f->large);
    if (!st) st = why_alloc(n, sizeof *c.map, "class activation map", &c.map);
    if (!st) st = why_alloc(3 * n, sizeof *c.rgb, "copy of the image", &c.rgb);
    if (!st && augment) st = average_copies(f, &c, out);
    else if (!st) {
        why_cam_view v = {.request = f->r, .rgb = c.rgb, .zero = c.zero->rgb};
        make_copy(why_subject_image(f->r->subject), c.zero->rgb, false, 1, c.rgb);
        st = picture_map(f, &v, out->map);
    }
    free(f->large);
    free(c.map);
    free(c.rgb);
    return st;
}

why_status why_cam_explain(const why_request *r, why_cam_fn *fn, bool principal, why_explanation *out) {
    why_evaluator *ev = why_subject_evaluator(r->subject);
    why_layers layers;
    WHY_TRY(why_request_check_class(r));
    WHY_TRY(why_layers_parse(why_evaluator_model(ev), why_params_text(r->params, "layer"), &layers));
    bool augment = why_params_bool(r->params, "aug_smooth"), relu = why_params_bool(r->params, "relu");
    if (why_params_has(r->params, "eigen_smooth")) principal = why_params_bool(r->params, "eigen_smooth");
    struct frame f = {.r = r, .fn = fn, .principal = principal, .relu = relu, .scaled = augment || layers.n > 1};
    f.layers = &layers;
    f.h = out->h;
    f.w = out->w;
    int64_t before = why_evaluator_asked(ev);
    why_status st = run(&f, augment, out);
    why_layers_clear(&layers);
    out->evaluations = why_evaluator_asked(ev) - before;
    out->note = why_explanation_zero_note(out);
    return st;
}

int64_t why_cam_views(const why_params *p) {
    int64_t layers = 1;
    for (const char *c = why_params_text(p, "layer"); *c; c++) layers += *c == '+';
    return why_params_bool(p, "aug_smooth") ? COPIES * layers : layers;
}

int64_t why_cam_evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_cam_views(p);
}
