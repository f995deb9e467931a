/* A model, a picture and an evaluator for tests, and comparison of maps. */
#ifndef WHYPIX_TESTS_EXPLAIN_SCENE_H
#define WHYPIX_TESTS_EXPLAIN_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/npy.h"
#include "support.h"
#include "whypix/explain.h"

typedef struct scene {
    why_model *model;
    why_image image;
    why_pool *pool;
    why_evaluator *ev;
    why_subject *subject;
} scene;

#define TRY(call)                                                                                                                          \
    do {                                                                                                                                   \
        if ((call) != WHY_OK) fail_msg("%s", why_error_text());                                                                            \
    } while (0)

static inline void scene_open_with(scene *s, const char *model, const char *image, int max_batch, int threads) {
    why_shape shape;
    int32_t *v;
    memset(s, 0, sizeof *s);
    TRY(why_model_load(model, NULL, &s->model));
    TRY(why_npy_load_i32(image, &shape, &v));
    TRY(why_image_create((int)shape.dim[0], (int)shape.dim[1], &s->image));
    for (int64_t i = 0; i < why_shape_count(&shape); i++) s->image.rgb[i] = (uint8_t)v[i];
    free(v);
    if (threads > 1) TRY(why_pool_create(threads, &s->pool));
    why_evaluator_options o = {
        .model = s->model, .preprocess = why_preprocess_find("torchvision"), .pool = s->pool, .max_batch = max_batch};
    TRY(why_evaluator_create(&o, &s->ev));
    TRY(why_subject_create(s->ev, &s->image, NULL, 2025, 77, &s->subject));
}

/* The committed net and picture. */
static inline void scene_open(scene *s, int max_batch, int threads) {
    char model[4096], image[4096];
    scene_open_with(s, test_source("tests/golden/explain/tiny.onnx", model), test_source("tests/golden/explain/image_u8.npy", image),
                    max_batch, threads);
}

static inline void scene_close(scene *s) {
    why_subject_destroy(&s->subject);
    why_evaluator_destroy(&s->ev);
    why_pool_destroy(&s->pool);
    why_image_clear(&s->image);
    why_model_destroy(&s->model);
}

static inline int scene_outputs(const scene *s) { return why_model_get_info(s->model)->outputs; }

/* Run an explainer with "name", "value", ..., NULL. */
static inline why_status scene_try(const scene *s, const char *explainer, int class_index, const char *const *settings,
                                   why_explanation *out) {
    const why_explainer *e = why_explainer_find(explainer);
    why_params *p;
    assert_non_null(e);
    TRY(why_params_create(e->params, &p));
    for (; settings && settings[0]; settings += 2) TRY(why_params_set(p, settings[0], settings[1]));
    TRY(why_explanation_create(s->image.h, s->image.w, out));
    why_request r = {.subject = s->subject,
                     .class_index = class_index,
                     .output = e->output,
                     .params = p,
                     .stream = why_subject_stream(s->subject, "test")};
    why_status st = e->explain(&r, out);
    why_params_destroy(&p);
    if (st) why_explanation_clear(out);
    return st;
}

static inline why_explanation scene_explain(const scene *s, const char *explainer, int class_index, const char *const *settings) {
    why_explanation out;
    if (scene_try(s, explainer, class_index, settings, &out)) fail_msg("%s: %s", explainer, why_error_text());
    return out;
}
#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct closeness {
    double pearson, error; /* largest |difference| over the range of the reference */
} closeness;

static inline closeness compare(const float *got, const float *want, size_t n) {
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0, worst = 0, lo = want[0], hi = want[0];
    for (size_t i = 0; i < n; i++) {
        double a = got[i], b = want[i];
        sa += a, sb += b, saa += a * a, sbb += b * b, sab += a * b;
        worst = fmax(worst, fabs(a - b));
        lo = fmin(lo, b), hi = fmax(hi, b);
    }
    double c = (double)n, va = saa - sa * sa / c, vb = sbb - sb * sb / c;
    return (closeness){(sab - sa * sb / c) / sqrt(va * vb), worst / (hi - lo)};
}

#endif
