/* Does the map stay as the picture changes a little, and change as the class does? Each metric has the cell's method explain another
 * picture, or another class, with the same draws, so that what differs is not the sampling. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/correlation.h"
#include "metric/metrics.h"
#include "metric/probe.h"

static const char changed_class[] = "the prediction changed";

/* ---------------------------------------------------------------- explaining again */
/* What is known of the picture as it is, and room for one more. */
struct again {
    why_score_input *in;
    const why_image *image;
    int outputs, classes, top; /* top: the class predicted for the image */
    double p;                  /* of the explained class */
    why_image picture;
    float *logits;
    why_explanation e;
};

static int top_class(const float *logits, int outputs, int classes) {
    int top = 0;
    for (int c = 1; c < classes; c++)
        if (why_score(logits, outputs, c, WHY_LOGIT) > why_score(logits, outputs, top, WHY_LOGIT)) top = c;
    return top;
}

static why_status again_begin(why_score_input *in, struct again *a) {
    why_evaluator *ev = why_subject_evaluator(in->subject);
    const why_model_info *info = why_model_get_info(why_evaluator_model(ev));
    const float *logits;
    *a = (struct again){.in = in, .image = why_subject_image(in->subject), .outputs = info->outputs, .classes = info->classes};
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_evaluator_original(ev, &logits));
    a->top = top_class(logits, a->outputs, a->classes);
    a->p = why_probe_score(in, logits);
    WHY_TRY(why_image_create(a->image->h, a->image->w, &a->picture));
    return why_alloc((size_t)a->outputs, sizeof *a->logits, "logits", &a->logits);
}

static void again_clear(struct again *a) {
    why_image_clear(&a->picture);
    why_explanation_clear(&a->e);
    free(a->logits);
}

/* The map of a->picture into a->e; class < 0: of the class that is predicted for it. */
static why_status explain(struct again *a, int class_index) {
    why_explanation_clear(&a->e);
    WHY_TRY(a->in->explain(a->in->explain_ctx, &a->picture, class_index, &a->e, a->logits));
    a->in->evaluations += a->e.evaluations;
    return WHY_OK;
}

static bool is_kept(const struct again *a) { return top_class(a->logits, a->outputs, a->classes) == a->top; }

/* One point per picture: x, the change of the class's probability; y, what became of the map. */
static void hand(const struct again *a, int step, double y) {
    const double change = why_probe_score(a->in, a->logits) - a->p;
    const double logit = why_score(a->logits, a->outputs, a->in->class_index, WHY_LOGIT);
    if (a->in->curve && isfinite(change)) a->in->curve(a->in->curve_ctx, step, change, y, logit);
}

/* ---------------------------------------------------------------- sensitivity (Yeh et al. 2019) */
static uint8_t to_byte(double v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5); }

/* Noise, uniform within r of each value of the normalised image, as far as 8 bits show it. */
static void shake(const why_image *im, const why_preprocess *pre, why_rng rng, double r, why_image *out) {
    for (int i = 0; i < 3 * im->h * im->w; i++) {
        const int c = i % 3;
        const double most = r * (double)(pre->std[pre->bgr ? 2 - c : c] * pre->divisor);
        out->rgb[i] = to_byte(im->rgb[i] + most * (2 * why_rng_uniform(&rng) - 1));
    }
}

/* |a - b| / |a| of two maps of n values. */
static double relative_distance(const float *a, const float *b, int n) {
    double difference = 0, size = 0;
    for (int i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)a[i] * (double)a[i];
    }
    return sqrt(difference) / sqrt(size);
}

struct distances {
    double sum, most;
    int n;
};

/* Over the draws that keep the prediction. */
static why_status measure_distances(struct again *a, const why_params *p, struct distances *d) {
    const why_explanation *e = a->in->explanation;
    const why_preprocess *pre = why_evaluator_preprocess(why_subject_evaluator(a->in->subject));
    *d = (struct distances){0};
    for (int draw = 0; draw < (int)why_params_int(p, "draws"); draw++) {
        shake(a->image, pre, why_rng_at(a->in->stream, 1 + (uint64_t)draw), why_params_real(p, "radius"), &a->picture);
        WHY_TRY(explain(a, a->in->class_index));
        if (!is_kept(a)) continue;
        const double far = relative_distance(e->map, a->e.map, e->h * e->w);
        hand(a, draw, far);
        d->sum += far;
        d->most = far > d->most ? far : d->most;
        d->n++;
    }
    return WHY_OK;
}

static const char not_explained[] = "a control explains no picture";

static why_status sensitivity(why_score_input *in, const why_params *p, bool mean, why_value *out) {
    struct again a;
    struct distances d;
    if (!in->explain) return why_give_reason(out, not_explained);
    why_status st = again_begin(in, &a);
    if (!st) st = measure_distances(&a, p, &d);
    again_clear(&a);
    if (st) return st;
    if (d.n == 0) return why_give_reason(out, changed_class);
    if (!isfinite(d.sum)) return why_give_reason(out, "all-zero map");
    return why_give(out, mean ? d.sum / d.n : d.most);
}

static why_status max_sensitivity(why_score_input *in, const why_params *p, why_value *out) { return sensitivity(in, p, false, out); }
static why_status avg_sensitivity(why_score_input *in, const why_params *p, why_value *out) { return sensitivity(in, p, true, out); }

/* ---------------------------------------------------------------- pictures that move or change their light */
/* Where a pixel goes: a turn about the centre, then a shift. */
struct motion {
    double cos, sin, dy, dx;
};

static void move(const struct motion *m, const why_image *im, double y, double x, double *to_y, double *to_x) {
    const double cy = (im->h - 1) / 2.0, cx = (im->w - 1) / 2.0;
    *to_y = cy + m->cos * (y - cy) - m->sin * (x - cx) + m->dy;
    *to_x = cx + m->sin * (y - cy) + m->cos * (x - cx) + m->dx;
}

/* The motion that undoes a turn or a shift. */
static struct motion back(const struct motion *m) { return (struct motion){m->cos, -m->sin, -m->dy, -m->dx}; }

static double clamp(double v, double hi) { return v < 0 ? 0 : v > hi ? hi : v; }

/* Bilinear; beyond the edge stands what is on it. */
static void picture_after(const why_image *im, const struct motion *m, why_image *out) {
    const struct motion undo = back(m);
    for (int i = 0; i < im->h * im->w; i++) {
        double y, x;
        move(&undo, im, i / im->w, i % im->w, &y, &x);
        y = clamp(y, im->h - 1);
        x = clamp(x, im->w - 1);
        const int y0 = (int)y, x0 = (int)x, y1 = y0 + (y0 + 1 < im->h), x1 = x0 + (x0 + 1 < im->w);
        const double fy = y - y0, fx = x - x0;
        for (int c = 0; c < 3; c++) {
            const double top = im->rgb[3 * (y0 * im->w + x0) + c] * (1 - fx) + im->rgb[3 * (y0 * im->w + x1) + c] * fx;
            const double low = im->rgb[3 * (y1 * im->w + x0) + c] * (1 - fx) + im->rgb[3 * (y1 * im->w + x1) + c] * fx;
            out->rgb[3 * i + c] = to_byte(top * (1 - fy) + low * fy);
        }
    }
}

/* Is a place inside, and the map there? Rounding may leave a corner of the picture by a hair. */
static bool value_at(const why_explanation *e, double y, double x, float *v) {
    const double hair = 1e-9;
    if (y < -hair || x < -hair || y > e->h - 1 + hair || x > e->w - 1 + hair) return false;
    y = clamp(y, e->h - 1);
    x = clamp(x, e->w - 1);
    const int y0 = (int)y, x0 = (int)x, y1 = y0 + (y0 + 1 < e->h), x1 = x0 + (x0 + 1 < e->w);
    const double fy = y - y0, fx = x - x0;
    const double top = (double)e->map[y0 * e->w + x0] * (1 - fx) + (double)e->map[y0 * e->w + x1] * fx;
    const double low = (double)e->map[y1 * e->w + x0] * (1 - fx) + (double)e->map[y1 * e->w + x1] * fx;
    *v = (float)(top * (1 - fy) + low * fy);
    return true;
}

/* Spearman of the map and the other picture's map, brought back, over the pixels that both show. */
static why_status agree_after(const struct again *a, const struct motion *m, why_value *out) {
    const why_explanation *e = a->in->explanation;
    const int n = e->h * e->w;
    float *before = NULL, *after = NULL;
    int common = 0;
    why_status st = why_alloc((size_t)n, sizeof *before, "map", &before);
    if (!st) st = why_alloc((size_t)n, sizeof *after, "map", &after);
    for (int i = 0; !st && i < n; i++) {
        double y, x;
        move(m, a->image, i / e->w, i % e->w, &y, &x);
        if (!value_at(&a->e, y, x, &after[common])) continue;
        before[common++] = e->map[i];
    }
    if (!st && common == 0) *out = why_undefined("nothing of the picture is left");
    else if (!st) st = why_spearman_of(before, after, common, out);
    free(before);
    free(after);
    return st;
}

/* a->picture is made; explain it, and compare where its pixels come from. */
static why_status compare_picture(struct again *a, const struct motion *m, const why_params *p, why_value *out) {
    const bool follow = strcmp(why_params_text(p, "class"), "new") == 0;
    WHY_TRY(explain(a, follow ? -1 : a->in->class_index));
    WHY_TRY(agree_after(a, m, out));
    hand(a, 0, out->why ? NAN : out->value);
    if (!follow && why_params_bool(p, "kept") && !is_kept(a)) *out = why_undefined(changed_class);
    return WHY_OK;
}

typedef void change_fn(const struct again *a, const why_params *p, const struct motion *m, why_image *out);

static why_status agreement_after(why_score_input *in, const why_params *p, const struct motion *m, change_fn *change, why_value *out) {
    struct again a;
    if (!in->explain) return why_give_reason(out, not_explained);
    why_status st = again_begin(in, &a);
    if (!st) change(&a, p, m, &a.picture);
    if (!st) st = compare_picture(&a, m, p, out);
    again_clear(&a);
    return st;
}

static const struct motion still = {.cos = 1};

static void moved(const struct again *a, const why_params *p, const struct motion *m, why_image *out) {
    (void)p;
    picture_after(a->image, m, out);
}

static why_status rotation_agreement(why_score_input *in, const why_params *p, why_value *out) {
    const double angle = why_params_real(p, "degrees") * 3.14159265358979323846 / 180;
    return agreement_after(in, p, &(struct motion){.cos = cos(angle), .sin = sin(angle)}, moved, out);
}

static why_status shift_agreement(why_score_input *in, const why_params *p, why_value *out) {
    const double pixels = (double)why_params_int(p, "pixels");
    return agreement_after(in, p, &(struct motion){.cos = 1, .dy = pixels, .dx = pixels}, moved, out);
}

static void brightened(const struct again *a, const why_params *p, const struct motion *m, why_image *out) {
    (void)m;
    for (int i = 0; i < 3 * out->h * out->w; i++) out->rgb[i] = to_byte(a->image->rgb[i] * why_params_real(p, "factor"));
}

static why_status brightness_agreement(why_score_input *in, const why_params *p, why_value *out) {
    return agreement_after(in, p, &still, brightened, out);
}

static void noisy(const struct again *a, const why_params *p, const struct motion *m, why_image *out) {
    (void)m;
    why_rng rng = why_rng_at(a->in->stream, 1);
    const double sigma = 255 * why_params_real(p, "sigma");
    for (int i = 0; i < 3 * out->h * out->w; i++) out->rgb[i] = to_byte(a->image->rgb[i] + sigma * why_rng_normal(&rng));
}

static why_status noise_agreement(why_score_input *in, const why_params *p, why_value *out) {
    return agreement_after(in, p, &still, noisy, out);
}

/* ---------------------------------------------------------------- another class (Sixt et al. 2020) */
static why_status compare_class(struct again *a, why_value *out) {
    why_rng rng = why_rng_at(a->in->stream, 1);
    const int step = 1 + (int)why_rng_below(&rng, (uint32_t)(a->classes - 1));
    memcpy(a->picture.rgb, a->image->rgb, 3 * (size_t)a->image->h * (size_t)a->image->w);
    WHY_TRY(explain(a, (a->in->class_index + step) % a->classes));
    return agree_after(a, &still, out);
}

static why_status random_logit(why_score_input *in, const why_params *p, why_value *out) {
    struct again a;
    (void)p;
    if (!in->explain) return why_give_reason(out, not_explained);
    why_status st = again_begin(in, &a);
    const bool single = !st && in->class_index < a.classes && a.classes > 1;
    if (!st && !single) *out = why_undefined("a contrast of classes");
    if (single) st = compare_class(&a, out);
    again_clear(&a);
    return st;
}

static int64_t draws(const why_params *p, int h, int w) {
    (void)h, (void)w;
    return why_params_int(p, "draws");
}

static int64_t one_picture(const why_params *p, int h, int w) {
    (void)p, (void)h, (void)w;
    return 1;
}

/* ---------------------------------------------------------------- table lines */
static const why_param sensitivity_params[] = {
    {"radius", WHY_PARAM_REAL, "0.02", 1e-6, 100, NULL, "largest change of a value of the normalised image; pictures have 8 bits"},
    {"draws", WHY_PARAM_INT, "10", 1, 1000000, NULL, "noisy pictures; those that change the prediction are left out"},
    {0},
};

#define CHANGE_PARAMS                                                                                                               \
    {"class", WHY_PARAM_CHOICE, "same", 0, 0, "same|new", "explain the same class, or the one predicted for the changed picture"}, \
    {"kept", WHY_PARAM_BOOL, "true", 0, 0, NULL, "undefined where the changed picture has another top class"}

static const why_param rotation_params[] = {
    {"degrees", WHY_PARAM_REAL, "15", -180, 180, NULL, "angle, about the centre"},
    CHANGE_PARAMS,
    {0},
};

static const why_param shift_params[] = {
    {"pixels", WHY_PARAM_INT, "8", -4096, 4096, NULL, "down and to the right"},
    CHANGE_PARAMS,
    {0},
};

static const why_param brightness_params[] = {
    {"factor", WHY_PARAM_REAL, "1.2", 0, 100, NULL, "of every colour value"},
    CHANGE_PARAMS,
    {0},
};

static const why_param noise_params[] = {
    {"sigma", WHY_PARAM_REAL, "0.05", 0, 10, NULL, "standard deviation of the noise, as a share of the colour range"},
    CHANGE_PARAMS,
    {0},
};

#define AGAIN_METRIC(name_, better_, lo_, hi_, list_, params_, evaluations_, help_, source_) \
    const why_metric why_metric_##name_ = {                                                  \
        .name = #name_,                                                                      \
        .help = help_,                                                                       \
        .source = source_,                                                                   \
        .kind = WHY_SCORE,                                                                   \
        .better = better_,                                                                   \
        .flags = WHY_METRIC_EXPLAINS | WHY_METRIC_CURVE,                                     \
        .lo = lo_,                                                                           \
        .hi = hi_,                                                                           \
        .list = list_,                                                                       \
        .params = params_,                                                                   \
        .score = name_,                                                                      \
        .evaluations = evaluations_,                                                         \
    }

AGAIN_METRIC(max_sensitivity, WHY_BETTER_LOW, 0, 0, NULL, sensitivity_params, draws,
             "largest relative change of the map under small noise on the picture", "Yeh et al. 2019");
AGAIN_METRIC(avg_sensitivity, WHY_BETTER_LOW, 0, 0, NULL, sensitivity_params, draws,
             "mean relative change of the map under small noise on the picture", "Yeh et al. 2019");
AGAIN_METRIC(rotation_agreement, WHY_BETTER_HIGH, -1, 1, "degrees", rotation_params, one_picture,
             "Spearman of the map and that of the rotated picture, rotated back", "equivariance by rank correlation");
AGAIN_METRIC(shift_agreement, WHY_BETTER_HIGH, -1, 1, "pixels", shift_params, one_picture,
             "Spearman of the map and that of the shifted picture, shifted back", "equivariance by rank correlation");
AGAIN_METRIC(brightness_agreement, WHY_BETTER_HIGH, -1, 1, "factor", brightness_params, one_picture,
             "Spearman of the map and that of the brighter picture", "invariance by rank correlation");
AGAIN_METRIC(noise_agreement, WHY_BETTER_HIGH, -1, 1, "sigma", noise_params, one_picture,
             "Spearman of the map and that of the picture with Gaussian noise", "invariance by rank correlation");

const why_metric why_metric_random_logit = {
    .name = "random_logit",
    .help = "Spearman of the map and that of another class, drawn at random: a map that explains the class is not the same",
    .source = "Sixt et al. 2020",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .flags = WHY_METRIC_EXPLAINS,
    .lo = -1,
    .hi = 1,
    .score = random_logit,
    .evaluations = one_picture,
};
