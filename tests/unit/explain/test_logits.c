/* From the picture file to the logits: decoding, fitting, normalising and the engine together equal PyTorch on Pillow's
 * pictures, within 1e-4 of the logits' standard deviation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/npy.h"
#include "support.h"
#include "whypix/evaluate.h"

struct net {
    why_model *model;
    why_session *session;
    float *rgb, *x;
};

static void net_open(struct net *n, const char *path) {
    why_session_options options = {.max_batch = 1};
    assert_int_equal(why_model_load(path, NULL, &n->model), WHY_OK);
    assert_int_equal(why_session_create(n->model, &options, &n->session), WHY_OK);
    const why_model_info *i = why_model_get_info(n->model);
    n->rgb = malloc(sizeof(float) * 3 * (size_t)i->height * (size_t)i->width);
    n->x = malloc(sizeof(float) * 3 * (size_t)i->height * (size_t)i->width);
}

static void net_close(struct net *n) {
    why_session_destroy(&n->session);
    why_model_destroy(&n->model);
    free(n->rgb);
    free(n->x);
}

/* Logits of one picture file; a view. */
static const float *net_run(struct net *n, const char *path, const why_preprocess *pre, const why_fit *fit) {
    const why_model_info *info = why_model_get_info(n->model);
    why_image original, fitted;
    if (why_image_load(path, NULL, &original) != WHY_OK) fail_msg("%s", why_error_text());
    assert_int_equal(why_image_fit(&original, fit, &fitted), WHY_OK);
    assert_int_equal(fitted.h, info->height);
    assert_int_equal(fitted.w, info->width);
    for (int i = 0; i < fitted.h * fitted.w * 3; i++) n->rgb[i] = fitted.rgb[i];
    why_normalise(pre, n->rgb, fitted.h, fitted.w, info->channels, n->x);
    assert_int_equal(why_session_forward(n->session, n->x, 1), WHY_OK);
    why_image_clear(&original);
    why_image_clear(&fitted);
    return why_session_logits(n->session);
}

static double sd_of(const float *v, int64_t n) {
    double sum = 0, sum2 = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i], sum2 += (double)v[i] * v[i];
    return sqrt(sum2 / (double)n - sum / (double)n * sum / (double)n);
}

/* Column `column` of a line of a simple CSV file, into out. */
static void csv_field(const char *line, int column, char out[256]) {
    while (column-- > 0) line += strcspn(line, ",") + 1;
    snprintf(out, 256, "%.*s", (int)strcspn(line, ",\r\n"), line);
}

static void imagenet(const char *model, const char *expected, const char *preset, why_fit fit) {
    char path[4096], list[4096], line[1024], name[256];
    struct net n;
    float *want;
    why_shape shape;
    double worst = 0;
    if (!test_data(expected, path)) skip();
    assert_int_equal(why_npy_load_f32(path, &shape, &want), WHY_OK);
    assert_true(test_data("images/manifest.csv", list));
    assert_true(test_data(model, path));
    net_open(&n, path);
    int outputs = why_model_get_info(n.model)->outputs;
    assert_int_equal(outputs, shape.dim[1]);
    double sd = sd_of(want, why_shape_count(&shape));
    FILE *f = fopen(list, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    for (int i = 0; fgets(line, sizeof line, f); i++) {
        assert_true(i < shape.dim[0]);
        char relative[300];
        csv_field(line, 0, name);
        snprintf(relative, sizeof relative, "images/%s", name);
        assert_true(test_data(relative, path));
        const float *got = net_run(&n, path, why_preprocess_find(preset), &fit);
        for (int k = 0; k < outputs; k++) worst = fmax(worst, fabs((double)got[k] - want[i * outputs + k]) / sd);
    }
    fclose(f);
    printf("%s: worst |difference| is %.2g of the logits' standard deviation\n", model, worst);
    assert_true(worst <= 1e-4);
    free(want);
    net_close(&n);
}

static void squeezenet(void **state) {
    (void)state;
    imagenet("models/squeezenet1_1.onnx", "expected/dev_squeezenet1_1.npy", "torchvision", (why_fit){256, 0, WHY_BILINEAR, 224});
}

static void mobilenet_v1(void **state) {
    (void)state;
    imagenet("models/mobilenet_v1_0.25_128.onnx", "expected/dev_mobilenet_v1_0.25_128.npy", "half", (why_fit){146, 0, WHY_BILINEAR, 128});
}

static void mobilenet_v2(void **state) {
    (void)state;
    imagenet("models/mobilenet_v2_1.0_224.onnx", "expected/dev_mobilenet_v2_1.0_224.npy", "half", (why_fit){256, 0, WHY_BILINEAR, 224});
}

/* Small sets that come with the predicted class and its probability. */
static void predictions(const char *model, const char *folder, int column, const why_preprocess *pre) {
    char path[4096], list[4096], line[1024], field[256], relative[512];
    struct net n;
    why_fit fit = {0};
    double worst = 0;
    snprintf(relative, sizeof relative, "%s/expected.csv", folder);
    if (!test_data(relative, list)) skip();
    assert_true(test_data(model, path));
    net_open(&n, path);
    FILE *f = fopen(list, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    while (fgets(line, sizeof line, f)) {
        csv_field(line, 0, field);
        snprintf(relative, sizeof relative, "%s/%s", folder, field);
        assert_true(test_data(relative, path));
        const float *got = net_run(&n, path, pre, &fit);
        int outputs = why_model_get_info(n.model)->outputs, best = 0;
        for (int k = 1; k < outputs; k++)
            if (got[k] > got[best]) best = k;
        csv_field(line, column, field);
        assert_int_equal(best, atoi(field));
        csv_field(line, column + 1, field);
        worst = fmax(worst, fabs(why_score(got, outputs, best, WHY_PROBABILITY) - atof(field)));
    }
    fclose(f);
    printf("%s: worst |p difference| %.2g\n", model, worst);
    assert_true(worst < 1e-5); /* six digits in the list, and at most p(1-p) of the 1e-4 sd that logits may differ */
    net_close(&n);
}

static void cifar(void **state) {
    static const why_preprocess own = {"cifar", 255, {.4914f, .4822f, .4465f}, {.2470f, .2435f, .2616f}, false};
    (void)state;
    predictions("models/cifar_smallresnet.onnx", "cifar-test200", 2, &own);
    predictions("models/cifar_smallresnet_bn.onnx", "cifar-test200", 2, &own);
    predictions("models/cifar_resnet20_ft.onnx", "cifar-test200", 4, why_preprocess_find("torchvision"));
}

static void digits(void **state) {
    (void)state;
    predictions("models/digits_cnn.onnx", "digits-test", 2, why_preprocess_find("none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(squeezenet), cmocka_unit_test(mobilenet_v1), cmocka_unit_test(mobilenet_v2),
                                       cmocka_unit_test(cifar), cmocka_unit_test(digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
