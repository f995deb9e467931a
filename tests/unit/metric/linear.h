/* A linear model (tests/golden/metric/linear.onnx), where the score of any perturbed image is a weighted sum that the test works
 * out from the weights, the image and the fill. */
#ifndef WHYPIX_TESTS_METRIC_LINEAR_H
#define WHYPIX_TESTS_METRIC_LINEAR_H

#include "base/mem.h"
#include "golden.h"
#include "metric/metrics.h"
#include "metric/order.h"

enum { H = 18, W = 20, N = H * W, CLASSES = 3, CLASS = 1, MOST_POINTS = N + 1 };

struct bench {
    why_model *model;
    why_evaluator *ev;
    why_subject *subject;
    why_image image;
    why_explanation e;
    float *weight, *bias; /* CLASSES x (3 N), CLASSES */
    float *x;             /* the normalised image, 3 N */
};

static struct bench b;

/* Different values everywhere, so that the order of the pixels is known. */
static inline void draw(void) {
    why_rng r = why_rng_at(why_stream_of(5, 5, "picture"), 0);
    for (int i = 0; i < 3 * N; i++) b.image.rgb[i] = (uint8_t)why_rng_below(&r, 256);
    for (int i = 0; i < N; i++) b.e.map[i] = (float)why_rng_normal(&r);
}

static inline void normalise(const float *rgb, float *x) { why_normalise(why_evaluator_preprocess(b.ev), rgb, H, W, 3, x); }

static inline int setup(void **state) {
    (void)state;
    char path[4096];
    float rgb[3 * N];
    why_shape shape;
    why_status st = why_model_load(golden_path("linear.onnx", path), NULL, &b.model);
    if (!st) st = why_npy_load_f32(golden_path("linear_weight.npy", path), &shape, &b.weight);
    if (!st) st = why_npy_load_f32(golden_path("linear_bias.npy", path), &shape, &b.bias);
    const why_evaluator_options options = {.model = b.model, .preprocess = why_preprocess_find("half"), .max_batch = 7};
    if (!st) st = why_evaluator_create(&options, &b.ev);
    if (!st) st = why_image_create(H, W, &b.image);
    if (!st) st = why_explanation_create(H, W, &b.e);
    if (!st) draw();
    if (!st) st = why_subject_create(b.ev, &b.image, NULL, 1, 2, &b.subject);
    if (!st) st = why_alloc(3 * N, sizeof *b.x, "input", &b.x);
    if (st) {
        print_error("%s\n", why_error_text());
        return -1;
    }
    for (int i = 0; i < 3 * N; i++) rgb[i] = b.image.rgb[i];
    normalise(rgb, b.x);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    why_subject_destroy(&b.subject);
    why_evaluator_destroy(&b.ev);
    why_model_destroy(&b.model);
    why_image_clear(&b.image);
    why_explanation_clear(&b.e);
    free(b.weight);
    free(b.bias);
    free(b.x);
    return 0;
}

/* ---------------------------------------------------------------- what the linear model says */
/* Probability or logit of CLASS when each pixel shows share[i] of the image and the rest of the fill. */
static inline double expected_score(const double *share, const float *fill, why_output output) {
    double logit[CLASSES], sum = 0;
    for (int c = 0; c < CLASSES; c++) {
        logit[c] = (double)b.bias[c];
        for (int k = 0; k < 3 * N; k++) {
            double s = share[k % N], v = s * (double)b.x[k] + (1 - s) * (double)fill[k];
            logit[c] += (double)b.weight[c * 3 * N + k] * v;
        }
    }
    for (int c = 0; c < CLASSES; c++) sum += exp(logit[c] - logit[CLASS]);
    return output == WHY_LOGIT ? logit[CLASS] : 1 / sum;
}

static inline void fill_of(const char *text, float x[3 * N]) {
    const why_fill *f;
    if (why_evaluator_fill(b.ev, text, NULL, &f)) fail_msg("%s", why_error_text());
    normalise(f->rgb, x);
}

/* Place of pixel i in the order of the map, by counting. */
static inline int place(const float *map, int i) {
    int above = 0;
    for (int j = 0; j < N; j++) above += map[j] > map[i];
    return above;
}

/* ---------------------------------------------------------------- running a metric */
struct points {
    int n;
    double x[MOST_POINTS], y[MOST_POINTS], logit[MOST_POINTS];
};

static inline void keep_point(void *ctx, int step, double x, double y, double logit) {
    struct points *p = ctx;
    assert_int_equal(step, p->n);
    assert_true(step < MOST_POINTS);
    p->x[p->n] = x;
    p->logit[p->n] = logit;
    p->y[p->n++] = y;
}

struct job {
    const why_metric *metric;
    const char *fill, *step, *use;
    const char *set; /* "name=value name=value" */
    why_output output;
};

static inline void set_all(why_params *p, const char *text) {
    char name[32], value[32];
    for (int n; text && sscanf(text, " %31[^=]=%31s%n", name, value, &n) == 2; text += n)
        if (why_params_set(p, name, value)) fail_msg("%s", why_error_text());
}

static inline why_value run(const struct job *j, struct points *points, int64_t *evaluations) {
    why_params *p;
    why_value v = {.value = NAN, .why = "not set"};
    why_score_input in = {.subject = b.subject, .class_index = CLASS, .output = j->output, .explanation = &b.e, .fill = j->fill,
                          .stream = why_subject_stream(b.subject, j->use ? j->use : "ties"),
                          .curve = points ? keep_point : NULL, .curve_ctx = points};
    assert_int_equal(why_params_create(j->metric->params, &p), WHY_OK);
    if (j->step) assert_int_equal(why_params_set(p, "step", j->step), WHY_OK);
    set_all(p, j->set);
    if (points) points->n = 0;
    if (j->metric->score(&in, p, &v)) fail_msg("%s", why_error_text());
    if (j->metric != &why_metric_irof) assert_true(in.evaluations == j->metric->evaluations(p, H, W)); /* slic makes about so many */
    if (evaluations) *evaluations = in.evaluations;
    why_params_destroy(&p);
    return v;
}

#endif
