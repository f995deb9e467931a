/* DeepLIFT, Deep SHAP and expected gradients against captum and shap: the committed net, and the larger fixtures where they
 * are. shap's own Deep SHAP counts one window per place of a maximum; the reference is shap_deep_exact, which counts all. */
#include "scene.h"

typedef struct folder {
    const char *dir, *model;
    bool committed;
    int class_index;
    bool captum; /* captum's DeepLIFT is complete on this net: it says by how much it is not */
} folder;

static const folder tinyvgg = {"fixtures/tinyvgg_pug", "fixtures/tinyvgg_pug/model.onnx", false, 4, false};
static const folder tinyresnet = {"fixtures/tinyresnet_zebra", "fixtures/tinyresnet_zebra/model.onnx", false, 1, true};
static const folder tinydense = {"fixtures/tinydense_espresso", "fixtures/tinydense_espresso/model.onnx", false, 3, true};

static const folder golden = {"tests/golden/explain", "tests/golden/explain/tiny.onnx", true, 1, false};

static void path_in(const folder *f, const char *name, char path[4096]) {
    char relative[512];
    snprintf(relative, sizeof relative, "%s/%s.npy", f->dir, name);
    if (f->committed) test_source(relative, path);
    else if (!test_data(relative, path)) skip();
}

static float *load(const folder *f, const char *name, why_shape *shape) {
    char path[4096];
    float *v;
    path_in(f, name, path);
    TRY(why_npy_load_f32(path, shape, &v));
    return v;
}

static void open_folder(const folder *f, scene *s) {
    char model[4096], image[4096];
    path_in(f, "image_u8", image);
    if (f->committed) test_source(f->model, model);
    else if (!test_data(f->model, model)) skip();
    scene_open_with(s, model, image, 8, 1);
}

static void report(const folder *f, const char *what, closeness c) {
    const char *slash = strrchr(f->dir, '/');
    printf("  %-18s %-26s r %.7f, |difference| %.1e of the range\n", slash + 1, what, c.pearson, c.error);
    if (!(c.pearson >= 0.9999 && c.error <= 1e-3)) fail_msg("%s: %s is not the peer's", f->dir, what);
}

/* ---------------------------------------------------------------- files for explainers */
typedef struct spool {
    char path[32], text[64];
} spool;

static spool spooled(const char *format, const why_shape *shape, const float *v) {
    spool t = {.path = "/tmp/whypix-deep-XXXXXX"};
    int fd = mkstemp(t.path);
    assert_true(fd >= 0);
    close(fd);
    TRY(why_npy_save_f32(t.path, shape, v));
    snprintf(t.text, sizeof t.text, format, t.path);
    return t;
}

/* The fixtures' background as file(...): its pictures are whole numbers before they are normalised. */
static spool background(const folder *f) {
    static const float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
    why_shape shape;
    float *x = load(f, "background_nchw", &shape), *v = malloc((size_t)why_shape_count(&shape) * sizeof *v);
    const int64_t n = shape.dim[2] * shape.dim[3];
    for (int64_t i = 0; i < shape.dim[0] * n; i++)
        for (int c = 0; c < 3; c++) v[3 * i + c] = roundf((x[(i / n * 3 + c) * n + i % n] * std[c] + mean[c]) * 255);
    shape = (why_shape){.rank = 4, .dim = {shape.dim[0], shape.dim[2], shape.dim[3], 3}};
    spool t = spooled("file(%s)", &shape, v);
    free(v);
    free(x);
    return t;
}

static spool draws(const folder *f, int *n) {
    why_shape shape;
    float *reference = load(f, "shap_gradient_rind", &shape), *place = load(f, "shap_gradient_t", &shape);
    *n = (int)shape.dim[0];
    shape = (why_shape){.rank = 2, .dim = {*n, 2}};
    float *v = malloc((size_t)*n * 2 * sizeof *v);
    for (int i = 0; i < *n; i++) v[2 * i] = reference[i], v[2 * i + 1] = place[i];
    spool t = spooled("%s", &shape, v);
    free(reference);
    free(place);
    free(v);
    return t;
}

/* ---------------------------------------------------------------- comparisons */
static float *summed(const folder *f, const char *name, size_t n) {
    why_shape shape;
    float *v = load(f, name, &shape);
    const size_t channels = (size_t)why_shape_count(&shape) / n;
    for (size_t c = 1; c < channels; c++)
        for (size_t i = 0; i < n; i++) v[i] += v[c * n + i];
    return v;
}

/* The map that settings give, against a file: the peer's values summed over channels. */
static why_explanation check(const folder *f, const scene *s, const char *file, const char *explainer, const char *const *settings) {
    const size_t n = (size_t)s->image.h * (size_t)s->image.w;
    float *want = summed(f, file, n);
    why_explanation e = scene_explain(s, explainer, f->class_index, settings);
    report(f, file, compare(e.map, want, n));
    free(want);
    return e;
}

static void check_folder(const folder *f) {
    scene s;
    open_folder(f, &s);
    spool b = background(f);
    why_explanation e = check(f, &s, "shap_deep_exact", "shap_deep", SETTINGS("background", b.text));
    print_message("  completeness residual %.1e\n", fabs(e.residual));
    assert_true(fabs(e.residual) < 2e-5);
    why_explanation_clear(&e);
    if (f->captum) {
        e = check(f, &s, "deeplift", "deeplift", NULL);
        assert_true(fabs(e.residual) < 2e-5);
        why_explanation_clear(&e);
    }
    int n;
    char count[16];
    spool d = draws(f, &n);
    snprintf(count, sizeof count, "%d", n);
    e = check(f, &s, "shap_gradient", "shap_gradient", SETTINGS("background", b.text, "draws", d.path, "samples", count));
    why_explanation_clear(&e);
    unlink(b.path);
    unlink(d.path);
    scene_close(&s);
}

/* ---------------------------------------------------------------- own draws */
/* A mean of `n` draws of ours against the peer's of its own: within three standard errors of the difference nearly
 * everywhere. Errors of single positions come from the spread of `n` maps of one draw each. */
static void check_own_draws(const folder *f) {
    enum { N = 50 };
    scene s;
    char seed[32];
    open_folder(f, &s);
    spool b = background(f);
    const size_t n = (size_t)s.image.h * (size_t)s.image.w;
    float *want = summed(f, "shap_gradient", n);
    double *sum = calloc(n, sizeof *sum), *squares = calloc(n, sizeof *squares), worst = 0;
    size_t far = 0;
    for (int k = 0; k < N; k++) {
        snprintf(seed, sizeof seed, "draw %d", k);
        why_params *p;
        why_explanation e;
        TRY(why_params_create(why_explainer_find("shap_gradient")->params, &p));
        TRY(why_params_set(p, "samples", "1"));
        TRY(why_params_set(p, "background", b.text));
        TRY(why_explanation_create(s.image.h, s.image.w, &e));
        const why_request r = {.subject = s.subject, .class_index = f->class_index, .output = WHY_LOGIT, .params = p,
                               .stream = why_subject_stream(s.subject, seed)};
        TRY(why_explainer_find("shap_gradient")->explain(&r, &e));
        for (size_t i = 0; i < n; i++) sum[i] += e.map[i], squares[i] += (double)e.map[i] * e.map[i];
        why_explanation_clear(&e);
        why_params_destroy(&p);
    }
    for (size_t i = 0; i < n; i++) {
        const double mean = sum[i] / N, variance = (squares[i] / N - mean * mean) * N / (N - 1);
        const double z = fabs(mean - want[i]) / sqrt(2 * variance / N);
        worst = fmax(worst, z);
        far += z > 3;
    }
    const char *slash = strrchr(f->dir, '/');
    printf("  %-18s %-26s %.2f %% beyond 3 standard errors, worst %.1f\n", slash + 1, "shap_gradient, own draws",
           100.0 * (double)far / (double)n, worst);
    assert_true((double)far <= 0.01 * (double)n);
    free(want);
    free(sum);
    free(squares);
    unlink(b.path);
    scene_close(&s);
}

/* ---------------------------------------------------------------- the committed net */
static void golden_maps(void **state) {
    (void)state;
    scene s;
    char path[4096], text[4200], draws[4096];
    open_folder(&golden, &s);
    path_in(&golden, "shap_background", path);
    snprintf(text, sizeof text, "file(%s)", path);
    why_explanation e = check(&golden, &s, "shap_deep_three", "shap_deep", SETTINGS("background", text));
    assert_true(fabs(e.residual) < 2e-5);
    why_explanation_clear(&e);
    e = check(&golden, &s, "shap_deep_blurred", "deeplift", SETTINGS("baseline", "blur(9,9)"));
    assert_true(fabs(e.residual) < 2e-5);
    why_explanation_clear(&e);
    path_in(&golden, "shap_gradient_draws", draws);
    e = check(&golden, &s, "shap_gradient", "shap_gradient", SETTINGS("background", text, "draws", draws, "samples", "12"));
    why_explanation_clear(&e);
    scene_close(&s);
}

/* captum's map of a layer is that layer's size: enlarged here as ours is. */
static void golden_layer(void **state) {
    (void)state;
    scene s;
    char path[4096], text[4200], draws[4096];
    why_shape shape;
    open_folder(&golden, &s);
    path_in(&golden, "shap_background", path);
    path_in(&golden, "shap_gradient_layer_draws", draws);
    snprintf(text, sizeof text, "file(%s)", path);
    float *v = load(&golden, "shap_gradient_layer", &shape), *want = malloc((size_t)(s.image.h * s.image.w) * sizeof *want);
    const int64_t n = shape.dim[1] * shape.dim[2];
    for (int64_t k = n; k < shape.dim[0] * n; k++) v[k % n] += v[k];
    why_map_resize(v, (int)shape.dim[1], (int)shape.dim[2], want, s.image.h, s.image.w);
    why_explanation e = scene_explain(&s, "shap_gradient", golden.class_index,
                                      SETTINGS("background", text, "draws", draws, "samples", "12", "layer", "/4/Relu"));
    report(&golden, "shap_gradient_layer", compare(e.map, want, (size_t)(s.image.h * s.image.w)));
    why_explanation_clear(&e);
    free(v);
    free(want);
    scene_close(&s);
}

#define FIXTURE(name)                                                                                                                      \
    static void name##_fixture(void **state) { (void)state, check_folder(&name); }                                                         \
    static void name##_draws(void **state) { (void)state, check_own_draws(&name); }
FIXTURE(tinyvgg)
FIXTURE(tinyresnet)
FIXTURE(tinydense)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_maps),        cmocka_unit_test(golden_layer),      cmocka_unit_test(tinyvgg_fixture),
        cmocka_unit_test(tinyresnet_fixture), cmocka_unit_test(tinydense_fixture), cmocka_unit_test(tinyvgg_draws),
        cmocka_unit_test(tinyresnet_draws),   cmocka_unit_test(tinydense_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
