/* Class activation maps and gradients against pytorch-grad-cam and captum: the committed net, and the larger fixtures where
 * they are. */
#include "scene.h"

#include "base/mem.h"
#include "explain/pca.h"

/* One folder of references. */
typedef struct folder {
    const char *dir, *model, *relu; /* the CAM layer of the fixtures; the committed cases name theirs */
    bool committed;
    int class_index;
    /* The peer's activations are those after a ReLU in place, its gradients those before it: what reads gradients where the
     * activation is not positive differs from any layer's. */
    bool torn;
} folder;

static const folder tinyvgg = {"fixtures/tinyvgg_pug", "fixtures/tinyvgg_pug/model.onnx", "/features/features.9/Relu", false, 4, false};
static const folder tinyresnet = {"fixtures/tinyresnet_zebra", "fixtures/tinyresnet_zebra/model.onnx", "last_conv", false, 1, false};
static const folder tinydense = {"fixtures/tinydense_espresso", "fixtures/tinydense_espresso/model.onnx", "/Relu", false, 3, true};
static const folder squeezenet = {"fixtures/squeezenet_tabby", "models/squeezenet1_1.onnx", "last_conv", false, 285, false};
static const folder golden = {"tests/golden/explain", "tests/golden/explain/tiny.onnx", "/7/Relu", true, 1, false};

static bool path_in(const folder *f, const char *name, char path[4096]) {
    char relative[512];
    snprintf(relative, sizeof relative, "%s/%s.npy", f->dir, name);
    if (!f->committed) return test_data(relative, path);
    test_source(relative, path);
    return access(path, R_OK) == 0;
}

/* NULL when this folder has no such file. */
static float *load(const folder *f, const char *name, why_shape *shape) {
    char path[4096];
    float *v;
    if (!path_in(f, name, path)) return NULL;
    TRY(why_npy_load_f32(path, shape, &v));
    return v;
}

static void open_folder(const folder *f, scene *s) {
    char model[4096], image[4096];
    if (!f->committed && !test_data(f->dir, image)) skip();
    if (f->committed) test_source(f->model, model);
    else if (!test_data(f->model, model)) skip();
    assert_true(path_in(f, "image_u8", image));
    scene_open_with(s, model, image, 8, 1);
}

static void report(const folder *f, const char *what, closeness c) {
    const char *slash = strrchr(f->dir, '/');
    printf("  %-18s %-26s r %.7f, |difference| %.1e of the range\n", slash + 1, what, c.pearson, c.error);
    if (!(c.pearson >= 0.9999 && c.error <= 1e-3)) fail_msg("%s: %s is not the peer's", f->dir, what);
}

static void min_max(float *v, size_t n) {
    float lo = v[0], hi = v[0];
    for (size_t i = 1; i < n; i++) lo = fminf(lo, v[i]), hi = fmaxf(hi, v[i]);
    for (size_t i = 0; i < n; i++) v[i] = (v[i] - lo) / (hi - lo);
}

/* ---------------------------------------------------------------- class activation maps */
static closeness compare_cam(const scene *s, const char *explainer, int class_index, const char *const *settings, const float *want) {
    size_t n = (size_t)s->image.h * (size_t)s->image.w;
    why_explanation e = scene_explain(s, explainer, class_index, settings);
    min_max(e.map, n); /* the peer's map is normalised, ours keeps its scale */
    closeness c = compare(e.map, want, n);
    why_explanation_clear(&e);
    return c;
}

static void check_cam(const folder *f, const scene *s, const char *file, const char *explainer, int class_index,
                      const char *const *settings) {
    why_shape shape;
    float *want = load(f, file, &shape);
    if (!want) return;
    min_max(want, (size_t)why_shape_count(&shape)); /* averages of copies are not rescaled by the peer */
    report(f, file, compare_cam(s, explainer, class_index, settings, want));
    free(want);
}

/* The peer's principal component has the sign that LAPACK gave: when it is not ours, the negative part of our signed map
 * at the layer's own size, enlarged, is its map. */
static void check_principal(const folder *f, const scene *s, const char *file, const char *explainer, int class_index,
                            const char *const *settings, const char *layer, const char *how) {
    why_shape shape;
    why_tensor_view a, g;
    float *want = load(f, file, &shape);
    if (!want) return;
    closeness same = compare_cam(s, explainer, class_index, settings, want);
    if (same.pearson >= 0.9999) {
        report(f, file, same);
        free(want);
        return;
    }
    TRY(why_evaluator_gradient(s->ev, layer, NULL, 1, class_index, WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
    size_t channels = (size_t)a.shape.dim[1], positions = (size_t)(a.shape.dim[2] * a.shape.dim[3]);
    double *x = calloc(channels * positions, sizeof *x), *p = calloc(positions, sizeof *p);
    float *low = calloc(positions, sizeof *low), *map = calloc((size_t)why_shape_count(&shape), sizeof *map);
    for (size_t k = 0; k < channels; k++) {
        double alpha = 0;
        for (size_t i = 0; i < positions; i++) alpha += g.data[k * positions + i] / (double)positions;
        for (size_t i = k * positions; i < (k + 1) * positions; i++)
            x[i] = a.data[i] * (*how == 'a' ? 1 : *how == 'g' ? g.data[i] : *how == 'l' ? fmax(g.data[i], 0) : alpha);
    }
    TRY(why_first_component(x, channels, positions, p));
    for (size_t i = 0; i < positions; i++) low[i] = (float)fmax(-p[i], 0);
    why_map_resize(low, (int)a.shape.dim[2], (int)a.shape.dim[3], map, s->image.h, s->image.w);
    min_max(map, (size_t)why_shape_count(&shape));
    char what[96];
    snprintf(what, sizeof what, "%s (sign turned)", file);
    report(f, what, compare(map, want, (size_t)why_shape_count(&shape)));
    free(x);
    free(p);
    free(low);
    free(map);
    free(want);
}

static void fixture_cams(const folder *f) {
    scene s;
    open_folder(f, &s);
    const int c = f->class_index;
    const char *const layer = f->relu;
    if (!f->torn) {
        check_cam(f, &s, "gradcampp", "gradcam++", c, SETTINGS("layer", layer));
        check_cam(f, &s, "gradcam_aug", "gradcam", c, SETTINGS("layer", layer, "aug_smooth", "true"));
        check_principal(f, &s, "gradcam_eigen", "gradcam", c, SETTINGS("layer", layer, "eigen_smooth", "true"), layer, "mean gradient");
    }
    check_cam(f, &s, "xgradcam", "xgradcam", c, SETTINGS("layer", layer));
    check_cam(f, &s, "hirescam", "hirescam", c, SETTINGS("layer", layer));
    check_cam(f, &s, "layercam", "layercam", c, SETTINGS("layer", layer));
    check_cam(f, &s, "scorecam", "scorecam", c, SETTINGS("layer", layer));
    check_cam(f, &s, "ablationcam", "ablationcam", c, SETTINGS("layer", layer));
    check_principal(f, &s, "eigencam", "eigencam", c, SETTINGS("layer", layer), layer, "activation");
    check_principal(f, &s, "eigengradcam", "eigengradcam", c, SETTINGS("layer", layer), layer, "gradient");
    scene_close(&s);
}

static void golden_cams(void **state) {
    (void)state;
    static const char *const plain[] = {"gradcam++", "xgradcam", "hirescam", "layercam", "scorecam", "ablationcam"};
    static const char *const two[] = {"gradcam", "gradcam++", "hirescam", "layercam"};
    scene s;
    char file[64];
    open_folder(&golden, &s);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        snprintf(file, sizeof file, "cam_%s", plain[i]);
        check_cam(&golden, &s, file, plain[i], 1, SETTINGS("layer", "/7/Relu"));
        snprintf(file, sizeof file, "cam_%s_signed", plain[i]);
        check_cam(&golden, &s, file, plain[i], 2, SETTINGS("layer", "/6/Conv"));
        snprintf(file, sizeof file, "cam_%s_aug", plain[i]);
        check_cam(&golden, &s, file, plain[i], 2, SETTINGS("layer", "/7/Relu", "aug_smooth", "true"));
    }
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        snprintf(file, sizeof file, "cam_%s_two", two[i]);
        check_cam(&golden, &s, file, two[i], 1, SETTINGS("layer", "/1/Relu+/7/Relu"));
    }
    check_principal(&golden, &s, "cam_eigencam", "eigencam", 1, SETTINGS("layer", "/7/Relu"), "/7/Relu", "activation");
    check_principal(&golden, &s, "cam_eigencam_signed", "eigencam", 2, SETTINGS("layer", "/6/Conv"), "/6/Conv", "activation");
    check_principal(&golden, &s, "cam_eigengradcam", "eigengradcam", 1, SETTINGS("layer", "/7/Relu"), "/7/Relu", "gradient");
    check_principal(&golden, &s, "cam_eigengradcam_signed", "eigengradcam", 2, SETTINGS("layer", "/6/Conv"), "/6/Conv", "gradient");
#define EIGEN "layer", "/7/Relu", "eigen_smooth", "true"
    check_principal(&golden, &s, "cam_gradcam_eigen", "gradcam", 2, SETTINGS(EIGEN), "/7/Relu", "mean gradient");
    check_principal(&golden, &s, "cam_hirescam_eigen", "hirescam", 2, SETTINGS(EIGEN), "/7/Relu", "gradient");
    check_principal(&golden, &s, "cam_layercam_eigen", "layercam", 2, SETTINGS(EIGEN), "/7/Relu", "ladder");
    check_cam(&golden, &s, "cam_scorecam_eigen", "scorecam", 2, SETTINGS(EIGEN));
    check_cam(&golden, &s, "cam_gradcam_aug_eigen", "gradcam", 1, SETTINGS(EIGEN, "aug_smooth", "true"));
    scene_close(&s);
}

/* ---------------------------------------------------------------- gradients */
static void sum_channels(float *v, size_t n, bool magnitudes) {
    for (size_t i = 0; i < n; i++) v[i] = magnitudes ? fabsf(v[i]) + fabsf(v[n + i]) + fabsf(v[2 * n + i]) : v[i] + v[n + i] + v[2 * n + i];
}

static void check_gradient(const folder *f, const scene *s, const char *file, const char *explainer, int class_index,
                           const char *const *settings, bool magnitudes) {
    why_shape shape;
    float *want = load(f, file, &shape);
    if (!want) return;
    size_t n = (size_t)s->image.h * (size_t)s->image.w;
    assert_int_equal(why_shape_count(&shape), 3 * n);
    sum_channels(want, n, magnitudes);
    why_explanation e = scene_explain(s, explainer, class_index, settings);
    report(f, file, compare(e.map, want, n));
    why_explanation_clear(&e);
    free(want);
}

static void fixture_gradients(const folder *f) {
    scene s;
    open_folder(f, &s);
    check_gradient(f, &s, "saliency", "saliency", f->class_index, NULL, true);
    check_gradient(f, &s, "saliency", "saliency", f->class_index, SETTINGS("channels", "sum"), false);
    check_gradient(f, &s, "integrated_gradients", "integrated_gradients", f->class_index, NULL, false);
    scene_close(&s);
}

static void golden_gradients(void **state) {
    (void)state;
    scene s;
    char noise[4096];
    open_folder(&golden, &s);
    check_gradient(&golden, &s, "grad_saliency", "saliency", 1, NULL, true);
    check_gradient(&golden, &s, "grad_input_x_gradient", "input_x_gradient", 1, NULL, false);
    check_gradient(&golden, &s, "grad_integrated_gradients", "integrated_gradients", 1, NULL, false);
    check_gradient(&golden, &s, "grad_guided_backprop", "guided_backprop", 2, NULL, false);
    assert_true(path_in(&golden, "grad_smoothgrad_noise", noise));
    check_gradient(&golden, &s, "grad_smoothgrad", "smoothgrad", 1, SETTINGS("samples", "4", "noise", noise), false);
    scene_close(&s);
}

#define FIXTURE(name)                                                                                                                      \
    static void name##_cams(void **state) { (void)state, fixture_cams(&name); }                                                            \
    static void name##_gradients(void **state) { (void)state, fixture_gradients(&name); }
FIXTURE(tinyvgg)
FIXTURE(tinyresnet)
FIXTURE(tinydense)
FIXTURE(squeezenet)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cams),      cmocka_unit_test(golden_gradients),  cmocka_unit_test(tinyvgg_cams),
        cmocka_unit_test(tinyvgg_gradients), cmocka_unit_test(tinyresnet_cams),   cmocka_unit_test(tinyresnet_gradients),
        cmocka_unit_test(tinydense_cams),   cmocka_unit_test(tinydense_gradients), cmocka_unit_test(squeezenet_cams),
        cmocka_unit_test(squeezenet_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
