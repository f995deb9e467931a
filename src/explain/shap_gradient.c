/* Expected gradients (Erion 2021, Eq. 3; shap's GradientExplainer): the mean over draws of a reference r from a background set
 * and a place t on the straight way to the image of (x - r) * dy/dx at r + t (x - r). Its expectation adds up to y(x) minus
 * the mean of y over the background; the residual is what the draws missed.
 *
 * At a layer A the gradient is taken there and multiplied by A(x) - A(r), as captum's LayerGradientShap does it: shap 0.49
 * multiplies by A(x), which credits what the background has, too. The draws stand at pictures, not on the way between A(r) and
 * A(x), so the sum is only near the difference of scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/npy.h"
#include "explain/background.h"
#include "explain/gradients.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "200", 1, 100000, NULL, "draws of a reference and a place on the way to the image"},
    {"background", WHY_PARAM_TEXT, "zero+mean+blur(16,16)", 0, 0, NULL, WHY_BACKGROUND_HELP},
    {"layer", WHY_PARAM_TEXT, "input", 0, 0, NULL, "where gradients are taken: input, or a feature map by node or tensor name"},
    {"draws", WHY_PARAM_TEXT, "", 0, 0, NULL,
     ".npy of the draws themselves, samples x 2 (number of the reference, place in [0, 1]): replays another program's"},
    WHY_CHANNELS_PARAM("sum"),
    {0},
};

struct draw {
    int reference;
    double place; /* 0: at the reference, 1: at the image */
};

struct state {
    const why_request *r;
    why_evaluator *ev;
    const char *layer;
    why_background b;
    int samples, batch;
    size_t n;                          /* pixels of the image */
    struct draw *draw;                 /* samples */
    float *rgb, *from;                 /* batch*3*n: points on the way; 3*n: a reference */
    int channels, h, w;                /* of the layer */
    size_t positions;                  /* h*w */
    float *at_image, *at_reference;    /* channels*positions: the layer */
    double *sum, *map, *squares, *low; /* channels*positions: of credits; positions: of each draw's map, of its square; scratch */
};

static size_t layer_size(const struct state *s) { return (size_t)s->channels * s->positions; }

/* ---------------------------------------------------------------- draws */
static why_status read_draws(struct state *s, const char *path) {
    why_shape shape;
    float *v;
    WHY_TRY(why_npy_load_f32(path, &shape, &v));
    why_status st = WHY_OK;
    if (shape.rank != 2 || shape.dim[0] < s->samples || shape.dim[1] != 2)
        st = why_fail(WHY_EARG, "draws '%s': want at least %d x 2 values", path, s->samples);
    for (int i = 0; !st && i < s->samples; i++) {
        const float reference = v[2 * i], place = v[2 * i + 1];
        if (!(reference >= 0 && reference < (float)s->b.n && place >= 0 && place <= 1))
            st = why_fail(WHY_EARG, "draws '%s': row %d is %g, %g; want a reference of 0 to %d and a place of 0 to 1", path, i,
                          (double)reference, (double)place, s->b.n - 1);
        else s->draw[i] = (struct draw){(int)reference, (double)place};
    }
    free(v);
    return st;
}

/* Keyed by the draw, so that fewer samples are a prefix of more. */
static why_status make_draws(struct state *s) {
    const char *path = why_params_text(s->r->params, "draws");
    if (*path) return read_draws(s, path);
    for (int i = 0; i < s->samples; i++) {
        why_rng g = why_rng_at(s->r->stream, (uint64_t)i);
        s->draw[i].reference = (int)why_rng_below(&g, (uint32_t)s->b.n);
        s->draw[i].place = why_rng_uniform(&g);
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- the layer at the two ends */
static bool at_input(const char *layer) { return strcmp(layer, "input") == 0; }

/* The input, which needs no network. */
static void normalise(const struct state *s, const float *rgb, float *layer) {
    why_normalise(why_evaluator_preprocess(s->ev), rgb, s->h, s->w, s->channels, layer);
}

static why_status look(const struct state *s, const why_perturbation *p, why_tensor_view *act) {
    why_tensor_view g;
    WHY_TRY(why_evaluator_gradient(s->ev, s->layer, p, 1, s->r->class_index, s->r->output, WHY_RULE_PLAIN, act, &g));
    return act->shape.rank == 4 ? WHY_OK : why_fail(WHY_EARG, "layer '%s': its output is a vector, want a feature map", s->layer);
}

static why_status allocate_layer(struct state *s, int channels, int h, int w) {
    s->channels = channels;
    s->h = h;
    s->w = w;
    s->positions = (size_t)h * (size_t)w;
    WHY_TRY(why_alloc(layer_size(s), sizeof *s->at_image, "layer", &s->at_image));
    WHY_TRY(why_alloc(layer_size(s), sizeof *s->at_reference, "layer", &s->at_reference));
    WHY_TRY(why_alloc(layer_size(s), sizeof *s->sum, "expected gradients", &s->sum));
    WHY_TRY(why_alloc(s->positions, sizeof *s->map, "map", &s->map));
    WHY_TRY(why_alloc(s->positions, sizeof *s->squares, "map", &s->squares));
    return why_alloc(s->positions, sizeof *s->low, "map", &s->low);
}

static why_status look_at_image(struct state *s) {
    const why_image *im = why_subject_image(s->r->subject);
    why_tensor_view act;
    if (at_input(s->layer)) {
        WHY_TRY(allocate_layer(s, why_model_get_info(why_evaluator_model(s->ev))->channels, im->h, im->w));
        for (size_t k = 0; k < 3 * s->n; k++) s->from[k] = im->rgb[k];
        normalise(s, s->from, s->at_image);
        return WHY_OK;
    }
    WHY_TRY(look(s, NULL, &act));
    WHY_TRY(allocate_layer(s, (int)act.shape.dim[1], (int)act.shape.dim[2], (int)act.shape.dim[3]));
    memcpy(s->at_image, act.data, layer_size(s) * sizeof *s->at_image);
    return WHY_OK;
}

static why_status look_at_reference(struct state *s, int reference) {
    const why_perturbation p = {.kind = WHY_WHOLE_IMAGE, .u.rgb = s->from};
    why_tensor_view act;
    why_background_write(&s->b, reference, s->n, s->from);
    if (at_input(s->layer)) {
        normalise(s, s->from, s->at_reference);
        return WHY_OK;
    }
    WHY_TRY(look(s, &p, &act));
    memcpy(s->at_reference, act.data, layer_size(s) * sizeof *s->at_reference);
    return WHY_OK;
}

/* ---------------------------------------------------------------- sums */
static void add_sample(struct state *s, const float *g) {
    memset(s->low, 0, s->positions * sizeof *s->low);
    for (size_t c = 0; c < (size_t)s->channels; c++)
        for (size_t i = 0, k = c * s->positions; i < s->positions; i++, k++) {
            const double credit = (double)g[k] * ((double)s->at_image[k] - s->at_reference[k]);
            s->sum[k] += credit;
            s->low[i] += credit;
        }
    for (size_t i = 0; i < s->positions; i++) {
        s->map[i] += s->low[i];
        s->squares[i] += s->low[i] * s->low[i];
    }
}

static why_status add_points(struct state *s, const double *place, int now) {
    why_perturbation p[WHY_GRADIENT_BATCH];
    why_tensor_view g;
    const uint8_t *image = why_subject_image(s->r->subject)->rgb;
    for (int i = 0; i < now; i++) {
        float *rgb = s->rgb + (size_t)i * 3 * s->n;
        for (size_t k = 0; k < 3 * s->n; k++) rgb[k] = (float)(place[i] * image[k] + (1 - place[i]) * (double)s->from[k]);
        p[i] = (why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb};
    }
    WHY_TRY(why_evaluator_gradient(s->ev, s->layer, p, now, s->r->class_index, s->r->output, WHY_RULE_PLAIN, NULL, &g));
    for (int i = 0; i < now; i++) add_sample(s, g.data + (size_t)i * layer_size(s));
    return WHY_OK;
}

/* One reference after the other, with all draws that have it: the layer is kept for one at a time. */
static why_status add_reference(struct state *s, int reference) {
    double place[WHY_GRADIENT_BATCH];
    int waiting = 0;
    WHY_TRY(look_at_reference(s, reference));
    for (int i = 0; i < s->samples; i++) {
        if (s->draw[i].reference != reference) continue;
        place[waiting++] = s->draw[i].place;
        if (waiting == s->batch) WHY_TRY(add_points(s, place, waiting));
        if (waiting == s->batch) waiting = 0;
    }
    return waiting ? add_points(s, place, waiting) : WHY_OK;
}

/* ---------------------------------------------------------------- results */
/* score(x) - mean score of the background. */
static why_status find_gap(struct state *s, double *gap) {
    const int outputs = why_model_get_info(why_evaluator_model(s->ev))->outputs;
    const why_perturbation p = {.kind = WHY_WHOLE_IMAGE, .u.rgb = s->from};
    const float *own;
    float *row;
    double mean = 0;
    WHY_TRY(why_evaluator_original(s->ev, &own));
    WHY_TRY(why_alloc((size_t)outputs, sizeof *row, "scores", &row));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < s->b.n; i++) {
        why_background_write(&s->b, i, s->n, s->from);
        st = why_evaluator_run(s->ev, &p, 1, row);
        if (!st) mean += why_score(row, outputs, s->r->class_index, s->r->output) / s->b.n;
    }
    free(row);
    *gap = why_score(own, outputs, s->r->class_index, s->r->output) - mean;
    return st;
}

/* Of every position's mean into `error`; the largest over the range of the map. */
static double find_errors(const struct state *s, float *error) {
    double worst = 0, lo = INFINITY, hi = -INFINITY, count = s->samples;
    for (size_t i = 0; i < s->positions; i++) {
        double mean = s->map[i] / count, variance = fmax(0, s->squares[i] / count - mean * mean) * count / (count - 1);
        error[i] = (float)sqrt(variance / count);
        worst = fmax(worst, error[i]);
        lo = fmin(lo, mean);
        hi = fmax(hi, mean);
    }
    return hi > lo ? worst / (hi - lo) : NAN;
}

/* A layer's map is enlarged as class activation maps are. */
static void enlarge(const struct state *s, const float *low, const why_explanation *out, float *map) {
    if (s->h == out->h && s->w == out->w) memcpy(map, low, s->positions * sizeof *map);
    else why_map_resize(low, s->h, s->w, map, out->h, out->w);
}

static why_status write_map(struct state *s, why_explanation *out) {
    why_explanation low;
    WHY_TRY(why_explanation_create(s->h, s->w, &low));
    why_fold_channels(s->r->params, s->sum, s->channels, &low);
    enlarge(s, low.map, out, out->map);
    out->note = low.note;
    why_explanation_clear(&low);
    return WHY_OK;
}

/* Standard errors, of signed sums only: see smoothgrad.c. Those of a layer are enlarged with its map, which makes them upper
 * bounds: a mean of positions is no less certain than they are. */
static why_status write_errors(struct state *s, why_explanation *out) {
    float *low;
    if (s->samples < 2 || strcmp(why_params_text(s->r->params, "channels"), "sum") != 0) return WHY_OK;
    WHY_TRY(why_alloc(s->positions, sizeof *low, "standard errors", &low));
    why_status st = why_alloc((size_t)out->h * (size_t)out->w, sizeof *out->se, "standard errors", &out->se);
    if (!st) {
        out->se_range = find_errors(s, low);
        enlarge(s, low, out, out->se);
    }
    free(low);
    return st;
}

/* The draws, the references' scores, and the layer at both ends when it is not the input. */
static int64_t asked(int64_t samples, int64_t references, const char *layer) {
    return samples + references + (at_input(layer) ? 0 : references + 1);
}

static why_status finish(struct state *s, why_explanation *out) {
    double gap, sum = 0;
    WHY_TRY(find_gap(s, &gap));
    for (size_t k = 0; k < layer_size(s); k++) sum += s->sum[k] /= s->samples;
    out->residual = gap - sum;
    out->evaluations = asked(s->samples, s->b.n, s->layer);
    WHY_TRY(write_map(s, out));
    return write_errors(s, out);
}

static why_status run(struct state *s, why_explanation *out) {
    WHY_TRY(why_alloc((size_t)s->samples, sizeof *s->draw, "draws", &s->draw));
    WHY_TRY(why_alloc((size_t)s->batch * 3 * s->n, sizeof *s->rgb, "points on the way", &s->rgb));
    WHY_TRY(why_alloc(3 * s->n, sizeof *s->from, "reference", &s->from));
    WHY_TRY(make_draws(s));
    WHY_TRY(look_at_image(s));
    for (int i = 0; i < s->b.n; i++) WHY_TRY(add_reference(s, i));
    return finish(s, out);
}

static void clear(struct state *s) {
    why_background_clear(&s->b);
    free(s->draw);
    free(s->rgb);
    free(s->from);
    free(s->at_image);
    free(s->at_reference);
    free(s->sum);
    free(s->map);
    free(s->squares);
    free(s->low);
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_evaluator *ev = why_subject_evaluator(r->subject);
    struct state s = {.r = r, .ev = ev, .layer = why_params_text(r->params, "layer"), .n = (size_t)out->h * (size_t)out->w};
    WHY_TRY(why_request_check_class(r));
    s.samples = (int)why_params_int(r->params, "samples");
    s.batch = why_gradient_batch(ev);
    why_status st = why_background_open(r, why_params_text(r->params, "background"), &s.b);
    if (!st) st = run(&s, out);
    clear(&s);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return asked(why_params_int(p, "samples"), why_background_count(why_params_text(p, "background")), why_params_text(p, "layer"));
}

const why_explainer why_explainer_shap_gradient = {
    .name = "shap_gradient",
    .help = "expected gradients over a background set",
    .source = "Erion 2021, Eq. 3; shap GradientExplainer; captum GradientShap, LayerGradientShap",
    .flags = WHY_USES_GRADIENT | WHY_STOCHASTIC,
    .output = WHY_LOGIT,
    .budget = "samples",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
