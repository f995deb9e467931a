/* DeepLIFT, Deep SHAP and expected gradients against captum and shap: the committed net, and the larger fixtures where they
 * are. shap's own Deep SHAP counts one window per place of a maximum; the reference is shap_deep_exact, which counts all. */
#include "scene.h"

typedef struct folder {
    const char *dir, *model;
    int class_index;
    bool captum; /* captum's DeepLIFT is complete on this net: it says by how much it is not */
} folder;

static const folder tinyvgg = {"fixtures/tinyvgg_pug", "fixtures/tinyvgg_pug/model.onnx", 4, false};
static const folder tinyresnet = {"fixtures/tinyresnet_zebra", "fixtures/tinyresnet_zebra/model.onnx", 1, true};
static const folder tinydense = {"fixtures/tinydense_espresso", "fixtures/tinydense_espresso/model.onnx", 3, true};

static float *load(const folder *f, const char *name, why_shape *shape) {
    char relative[512], path[4096];
    float *v;
    snprintf(relative, sizeof relative, "%s/%s.npy", f->dir, name);
    if (!test_data(relative, path)) skip();
    TRY(why_npy_load_f32(path, shape, &v));
    return v;
}

static void open_folder(const folder *f, scene *s) {
    char model[4096], image[4096], relative[512];
    snprintf(relative, sizeof relative, "%s/image_u8.npy", f->dir);
    if (!test_data(relative, image) || !test_data(f->model, model)) skip();
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

#define FIXTURE(name) static void name##_fixture(void **state) { (void)state, check_folder(&name); }
FIXTURE(tinyvgg)
FIXTURE(tinyresnet)
FIXTURE(tinydense)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tinyvgg_fixture),
        cmocka_unit_test(tinyresnet_fixture),
        cmocka_unit_test(tinydense_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
