/* Maps against the Python peers': committed references for the tiny net, and the larger fixtures where they are. */
#include "scene.h"

#include "explain/masks.h"

typedef struct lime_case {
    const char *tag, *segments, *fill, *seed;
} lime_case;

typedef struct partition_case {
    const char *tag, *masker, *evaluations, *batch;
} partition_case;

typedef struct cam_case {
    const char *file, *layer;
    int which; /* of `top` */
} cam_case;

/* One folder of references. */
typedef struct reference {
    const char *dir, *model;
    bool committed; /* in the repository; else in the optional data */
    int top[5], n_top;
    lime_case lime[4];
    partition_case partition[4];
    cam_case cam[3];
} reference;

static const reference golden = {
    "tests/golden/explain",
    "tests/golden/explain/tiny.onnx",
    true,
    {1, 2, 0},
    3,
    {{"q100", "q100", "segment_mean", "0"}, {"q100_black", "q100_black", "black", "3"}, {"slic100", "slic100", "black", "0"}},
    {{"blur8_100", "blur(8,8)", "100", "10"},
     {"blur8_100_batch4", "blur(8,8)", "100", "4"},
     {"gray_300", "colour(127,127,127)", "300", "10"}},
    {{"gradcam_0", "/6/Conv", 0}, {"gradcam_1", "/6/Conv_output_0", 1}, {"gradcam_2", "/6/Conv", 2}},
};

static void path_in(const reference *r, const char *name, char path[4096]) {
    char relative[512];
    snprintf(relative, sizeof relative, "%s/%s.npy", r->dir, name);
    if (r->committed) test_source(relative, path);
    else if (!test_data(relative, path)) fail_msg("%s is missing", relative);
}

/* A file as floats. */
static float *load(const reference *r, const char *name, why_shape *shape) {
    char path[4096];
    float *v;
    path_in(r, name, path);
    TRY(why_npy_load_f32(path, shape, &v));
    return v;
}

/* Floats of an .npy file as they lie there; numpy stored this one column by column. */
static float *load_raw(const reference *r, const char *name, size_t n) {
    char path[4096];
    unsigned char head[10];
    path_in(r, name, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
    assert_int_equal(fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET), 0);
    float *v = malloc(n * sizeof *v);
    assert_int_equal(fread(v, sizeof *v, n, f), n);
    fclose(f);
    return v;
}

static void open_reference(const reference *r, scene *s) {
    char model[4096], image[4096];
    path_in(r, "image_u8", image);
    if (r->committed) test_source(r->model, model);
    else if (!test_data(r->model, model)) fail_msg("%s is missing", r->model);
    scene_open_with(s, model, image, 10, 1);
}

static bool present(const reference *r) {
    char path[4096];
    return r->committed || test_data(r->dir, path);
}

static void assert_close(const char *what, closeness c) {
    printf("  %-44s r %.7f, |difference| %.1e of the range\n", what, c.pearson, c.error);
    assert_true(c.pearson >= 0.9999);
    assert_true(c.error <= 1e-3);
}

/* ---------------------------------------------------------------- LIME */
static void check_coefficients(const reference *r, const lime_case *l, int k, const why_explanation *e) {
    char name[64], what[128];
    why_shape shape;
    snprintf(name, sizeof name, "lime_%s_coef", l->tag);
    float *coef = load(r, name, &shape), *got = calloc((size_t)e->segments->n, sizeof *got);
    assert_int_equal(shape.dim[1], e->segments->n);
    for (int i = 0; i < e->h * e->w; i++) got[e->segments->label[i]] = e->map[i];
    snprintf(what, sizeof what, "%s, class %d", name, r->top[k]);
    assert_close(what, compare(got, coef + k * shape.dim[1], (size_t)shape.dim[1]));
    free(coef);
    free(got);
}

static void check_fit(const reference *r, const lime_case *l, int k, const why_explanation *e) {
    char name[64];
    why_shape shape;
    snprintf(name, sizeof name, "lime_%s_r2", l->tag);
    float *r2 = load(r, name, &shape);
    assert_true(fabs(r2[k] - e->fit) < 1e-5);
    free(r2);
}

/* The masks drawn from the peer's seed equal the recorded ones, bit for bit. */
static void check_masks(const char *path, const char *seed, int k) {
    why_masks drawn, recorded;
    TRY(why_masks_read(path, 100000, k, &recorded));
    TRY(why_masks_reference((uint32_t)strtoul(seed, NULL, 10), recorded.n, k, &drawn));
    assert_memory_equal(drawn.bits, recorded.bits, (size_t)drawn.n * drawn.words * sizeof *drawn.bits);
    why_masks_clear(&drawn);
    why_masks_clear(&recorded);
}

static void check_lime(const reference *r, const scene *s, const lime_case *l) {
    char segments[4096], masks[4096], name[64];
    snprintf(name, sizeof name, "lime_%s_segments", l->segments);
    path_in(r, name, segments);
    snprintf(name, sizeof name, "lime_%s_masks", l->tag);
    path_in(r, name, masks);
    for (int k = 0; k < r->n_top; k++) {
        why_explanation e =
            scene_explain(s, "lime", r->top[k], SETTINGS("samples", "1000", "segments", segments, "masks", masks, "fill", l->fill));
        check_coefficients(r, l, k, &e);
        if (r->committed) check_fit(r, l, k, &e);
        if (k == 0) check_masks(masks, l->seed, e.segments->n);
        why_explanation_clear(&e);
    }
}

static void lime(const reference *r) {
    scene s;
    if (!present(r)) skip();
    open_reference(r, &s);
    for (int i = 0; i < 4 && r->lime[i].tag; i++) check_lime(r, &s, &r->lime[i]);
    scene_close(&s);
}

/* Probabilities of every mask, and the weights: the stages between masks and coefficients. */
static void lime_stages(const reference *r) {
    char path[4096];
    scene s;
    why_shape shape;
    const why_segments *segments;
    const why_fill *fill;
    why_masks m;
    if (!present(r)) skip();
    open_reference(r, &s);
    path_in(r, "lime_q100_segments", path);
    char text[4200];
    snprintf(text, sizeof text, "file(%s)", path);
    TRY(why_subject_segments(s.subject, text, &segments));
    TRY(why_evaluator_fill(s.ev, "segment_mean", segments, &fill));
    path_in(r, "lime_q100_masks", path);
    TRY(why_masks_read(path, 1000, segments->n, &m));
    float *probs = load_raw(r, "lime_q100_probs", (size_t)(m.n * r->n_top)), *distances = load(r, "lime_q100_distances", &shape);
    float *logits = calloc((size_t)scene_outputs(&s), sizeof *logits);
    for (int i = 0; i < m.n; i++) {
        why_perturbation p = {.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {segments, why_masks_row(&m, i)}};
        TRY(why_evaluator_run(s.ev, &p, 1, logits));
        for (int k = 0; k < r->n_top; k++)
            assert_true(fabs(why_score(logits, scene_outputs(&s), r->top[k], WHY_PROBABILITY) - probs[k * m.n + i]) < 2e-5);
        assert_true(fabs(why_masks_distance(&m, i) - distances[i]) < 1e-6);
    }
    free(logits);
    free(probs);
    free(distances);
    why_masks_clear(&m);
    scene_close(&s);
}

/* ---------------------------------------------------------------- partition SHAP */
static void check_partition(const reference *r, const scene *s, const partition_case *p) {
    char name[64];
    why_shape shape;
    snprintf(name, sizeof name, "shap_part_%s_values", p->tag);
    float *want = load(r, name, &shape);
    why_explanation e =
        scene_explain(s, "shap_partition", r->top[0], SETTINGS("evaluations", p->evaluations, "masker", p->masker, "batch", p->batch));
    size_t n = (size_t)e.h * (size_t)e.w;
    for (size_t i = 0; shape.rank == 3 && i < n; i++) want[i] = want[3 * i] + want[3 * i + 1] + want[3 * i + 2];
    assert_close(name, compare(e.map, want, n));
    int64_t budget = strtoll(p->evaluations, NULL, 10);
    assert_int_equal(e.evaluations, strcmp(p->tag, "all") == 0 ? 7468 : budget);
    why_explanation_clear(&e);
    free(want);
}

/* Many outputs at once: the largest change of any class is opened next. */
static void all_classes(void **state) {
    (void)state;
    scene s;
    open_reference(&golden, &s);
    for (int k = 0; k < 2; k++) {
        char name[64];
        why_shape shape;
        snprintf(name, sizeof name, "shap_part_blur8_100_all_class%d_values", golden.top[k]);
        float *want = load(&golden, name, &shape);
        why_explanation e = scene_explain(&s, "shap_partition", golden.top[k], SETTINGS("masker", "blur(8,8)", "priority", "all"));
        assert_close(name, compare(e.map, want, (size_t)e.h * (size_t)e.w));
        why_explanation_clear(&e);
        free(want);
    }
    scene_close(&s);
}

static void partition(const reference *r) {
    scene s;
    if (!present(r)) skip();
    open_reference(r, &s);
    for (int i = 0; i < 4 && r->partition[i].tag; i++) check_partition(r, &s, &r->partition[i]);
    scene_close(&s);
}

/* ---------------------------------------------------------------- Grad-CAM */
static void min_max(float *v, size_t n) {
    float lo = v[0], hi = v[0];
    for (size_t i = 1; i < n; i++) lo = fminf(lo, v[i]), hi = fmaxf(hi, v[i]);
    for (size_t i = 0; i < n; i++) v[i] = (v[i] - lo) / (hi - lo);
}

static void check_cam(const reference *r, const scene *s, const cam_case *c) {
    why_shape shape;
    float *want = load(r, c->file, &shape);
    why_explanation e = scene_explain(s, "gradcam", r->top[c->which], SETTINGS("layer", c->layer));
    min_max(e.map, (size_t)e.h * (size_t)e.w); /* the peer's map is normalised, ours keeps its scale */
    assert_close(c->file, compare(e.map, want, (size_t)e.h * (size_t)e.w));
    why_explanation_clear(&e);
    free(want);
}

static void cam(const reference *r) {
    scene s;
    if (!present(r)) skip();
    open_reference(r, &s);
    for (int i = 0; i < 3 && r->cam[i].file; i++) check_cam(r, &s, &r->cam[i]);
    scene_close(&s);
}

/* Channel weights and the map before it is enlarged. `clamp`: the peer kept a view of the layer's output that a following
 * in-place ReLU had overwritten (DenseNet's norm5), so its activations are clamped while its gradients are not. */
static void cam_stages(const reference *r, const char *layer, bool clamp) {
    scene s;
    why_shape shape;
    why_tensor_view a, g;
    if (!present(r)) skip();
    open_reference(r, &s);
    float *weights = load(r, "gradcam_weights", &shape), *raw = load(r, "gradcam_raw", &shape);
    TRY(why_evaluator_gradient(s.ev, layer, NULL, 1, r->top[0], WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
    int64_t channels = a.shape.dim[1], positions = a.shape.dim[2] * a.shape.dim[3];
    assert_int_equal(positions, shape.dim[1] * shape.dim[2]);
    float *alpha = calloc((size_t)channels, sizeof *alpha), *map = calloc((size_t)positions, sizeof *map);
    for (int64_t k = 0; k < channels; k++) {
        for (int64_t i = 0; i < positions; i++) alpha[k] += g.data[k * positions + i] / (float)positions;
        for (int64_t i = 0; i < positions; i++)
            map[i] += alpha[k] * (clamp ? fmaxf(a.data[k * positions + i], 0) : a.data[k * positions + i]);
    }
    for (int64_t i = 0; i < positions; i++) map[i] = fmaxf(map[i], 0);
    assert_close("channel weights", compare(alpha, weights, (size_t)channels));
    assert_close("map of the layer", compare(map, raw, (size_t)positions));
    free(alpha);
    free(map);
    free(weights);
    free(raw);
    scene_close(&s);
}

static const reference tinyvgg = {
    "fixtures/tinyvgg_pug",
    "fixtures/tinyvgg_pug/model.onnx",
    false,
    {4, 7, 0, 1, 5},
    5,
    {{"q100", "q100", "segment_mean", "0"},
     {"q100_black", "q100", "black", "0"},
     {"q1000", "q100", "segment_mean", "0"},
     {"slic100", "slic100", "black", "0"}},
    {{"blur4_100", "blur(4,4)", "100", "10"}, {"gray_100", "colour(127,127,127)", "100", "10"}, {"blur4_500", "blur(4,4)", "500", "10"},
     {"telea_100", "inpaint_telea", "100", "10"}},
    {{"gradcam", "/features/features.9/Relu", 0}, {"gradcam_conv", "/features/features.8/Conv", 0}},
};
static const reference tinyresnet = {
    "fixtures/tinyresnet_zebra",
    "fixtures/tinyresnet_zebra/model.onnx",
    false,
    {1, 4, 9, 7, 6},
    5,
    {{"q100", "q100", "segment_mean", "0"},
     {"q100_black", "q100", "black", "0"},
     {"q1000", "q100", "segment_mean", "0"},
     {"slic100", "slic100", "black", "0"}},
    {{"blur16_100", "blur(16,16)", "100", "10"},
     {"gray_100", "colour(127,127,127)", "100", "10"},
     {"blur16_500", "blur(16,16)", "500", "10"},
     {"telea_100", "inpaint_telea", "100", "10"}},
    {{"gradcam", "last_conv", 0}, {"gradcam_conv", "/layer4/layer4.0/relu_2/Relu", 0}},
};
static const reference tinydense = {
    "fixtures/tinydense_espresso",
    "fixtures/tinydense_espresso/model.onnx",
    false,
    {3, 5, 7, 4, 8},
    5,
    {{"q100", "q100", "segment_mean", "0"},
     {"q100_black", "q100", "black", "0"},
     {"q1000", "q100", "segment_mean", "0"},
     {"slic100", "slic100", "black", "0"}},
    {{"blur16_100", "blur(16,16)", "100", "10"},
     {"gray_100", "colour(127,127,127)", "100", "10"},
     {"blur16_500", "blur(16,16)", "500", "10"},
     {"telea_100", "inpaint_telea", "100", "10"}},
    {{0}},
};
static const reference squeezenet = {
    "fixtures/squeezenet_tabby",
    "models/squeezenet1_1.onnx",
    false,
    {285, 281, 284, 359, 283},
    5,
    {{"q100", "q100", "segment_mean", "0"}, {"q100_black", "q100", "black", "0"}, {"slic100", "slic100", "black", "0"}},
    {{"blur16_100", "blur(16,16)", "100", "10"},
     {"gray_100", "colour(127,127,127)", "100", "10"},
     {"telea_100", "inpaint_telea", "100", "10"}},
    {{"gradcam", "last_conv", 0}, {"gradcam_conv", "/features/features.12/Concat", 0}},
};

/* 6 x 5 pixels: the tree is exhausted down to single channels, after 7468 evaluations of a budget of a million. */
static const reference small = {
    .dir = "tests/golden/explain/small",
    .model = "tests/golden/explain/small/small.onnx",
    .committed = true,
    .top = {0},
    .n_top = 1,
    .partition = {{"600", "black", "600", "10"}, {"all", "black", "1000000", "10"}},
};

static void small_partition(void **state) { (void)state, partition(&small); }

#define PARITY(name)                                                                                                                       \
    static void name##_lime(void **state) { (void)state, lime(&name); }                                                                    \
    static void name##_partition(void **state) { (void)state, partition(&name); }
PARITY(golden)
PARITY(tinyvgg)
PARITY(tinyresnet)
PARITY(tinydense)
PARITY(squeezenet)

static void golden_cam(void **state) { (void)state, cam(&golden); }
static void tinyvgg_cam(void **state) { (void)state, cam(&tinyvgg); }
static void tinyresnet_cam(void **state) { (void)state, cam(&tinyresnet); }
static void squeezenet_cam(void **state) { (void)state, cam(&squeezenet); }

static void tinyvgg_stages(void **state) { (void)state, lime_stages(&tinyvgg), cam_stages(&tinyvgg, "/features/features.9/Relu", false); }
static void tinyresnet_stages(void **state) { (void)state, lime_stages(&tinyresnet), cam_stages(&tinyresnet, "last_conv", false); }
static void tinydense_stages(void **state) {
    (void)state;
    lime_stages(&tinydense);
    cam_stages(&tinydense, "/features/norm5/BatchNormalization", true);
}
static void squeezenet_stages(void **state) { (void)state, lime_stages(&squeezenet), cam_stages(&squeezenet, "last_conv", false); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_lime),          cmocka_unit_test(golden_partition),     cmocka_unit_test(golden_cam),
        cmocka_unit_test(small_partition),      cmocka_unit_test(tinyvgg_lime),         cmocka_unit_test(tinyvgg_partition),
        cmocka_unit_test(tinyvgg_cam),          cmocka_unit_test(tinyvgg_stages),       cmocka_unit_test(tinyresnet_lime),
        cmocka_unit_test(tinyresnet_partition), cmocka_unit_test(tinyresnet_cam),       cmocka_unit_test(tinyresnet_stages),
        cmocka_unit_test(tinydense_lime),       cmocka_unit_test(tinydense_partition),  cmocka_unit_test(tinydense_stages),
        cmocka_unit_test(squeezenet_lime),      cmocka_unit_test(squeezenet_partition), cmocka_unit_test(squeezenet_cam),
        cmocka_unit_test(squeezenet_stages),    cmocka_unit_test(all_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
