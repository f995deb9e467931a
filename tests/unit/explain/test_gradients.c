/* Properties of class activation maps and gradients: closed forms where the model gives them, and what users may get wrong.
 * The committed net ends in ReLU (/7/Relu), global average and one linear layer; the linear model is written here. */
#include "scene.h"

#include "../nn/onnx_writer.h"
#include "explain/pca.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE };
#define RELU "layer", "/7/Relu"

static void assert_maps_close(const why_explanation *a, const why_explanation *b, double tolerance) {
    closeness c = compare(a->map, b->map, (size_t)a->h * (size_t)a->w);
    if (!(c.error <= tolerance)) fail_msg("maps differ by %g of their range", c.error);
}

static void assert_refused(const scene *s, const char *explainer, int class_index, const char *const *settings, const char *text) {
    why_explanation e;
    assert_int_equal(scene_try(s, explainer, class_index, settings, &e), WHY_EARG);
    if (!strstr(why_error_text(), text)) fail_msg("'%s' does not say '%s'", why_error_text(), text);
}

/* ---------------------------------------------------------------- class activation maps */
/* Of every feature map of the net: HiResCAM is sum_k A_k dy/dA_k, enlarged, and keeps its scale (the peers' are in [0, 1]). */
static void any_layer_unnormalised(void **state) {
    (void)state;
    scene s;
    int n, seen = 0;
    scene_open(&s, 2, 1);
    const why_layer *layers = why_model_layers(s.model, &n);
    float want[PIXELS];
    for (int l = 0; l < n; l++) {
        why_tensor_view a, g;
        if (!layers[l].cam || layers[l].folded_into) continue;
        TRY(why_evaluator_gradient(s.ev, layers[l].name, NULL, 1, 2, WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
        const int64_t channels = a.shape.dim[1], positions = a.shape.dim[2] * a.shape.dim[3];
        float *low = calloc((size_t)positions, sizeof *low);
        for (int64_t i = 0; i < positions; i++) {
            double sum = 0;
            for (int64_t k = 0; k < channels; k++) sum += (double)a.data[k * positions + i] * g.data[k * positions + i];
            low[i] = (float)sum;
        }
        why_map_resize(low, (int)a.shape.dim[2], (int)a.shape.dim[3], want, SIDE, SIDE);
        why_explanation e = scene_explain(&s, "hirescam", 2, SETTINGS("layer", layers[l].name, "relu", "false"));
        closeness c = compare(e.map, want, PIXELS);
        if (!(c.error <= 1e-5)) fail_msg("layer %s: differs by %g of its range", layers[l].name, c.error);
        assert_int_equal(e.evaluations, 1);
        why_explanation_clear(&e);
        free(low);
        seen++;
    }
    assert_true(seen >= 4);
    scene_close(&s);
}

/* Behind a global average the gradient is the same at every position: HiResCAM and Grad-CAM are one map, and its mean times
 * the positions is the score without the last bias, which the score of a black feature map shows. */
static void before_a_linear_head(void **state) {
    (void)state;
    scene s;
    why_tensor_view a, g;
    const float *logits;
    scene_open(&s, 4, 1);
    for (int c = 0; c < 5; c++) {
        why_explanation grad = scene_explain(&s, "gradcam", c, SETTINGS(RELU, "relu", "false"));
        why_explanation hires = scene_explain(&s, "hirescam", c, SETTINGS(RELU, "relu", "false"));
        assert_maps_close(&grad, &hires, 1e-6);
        why_explanation_clear(&grad);
        why_explanation_clear(&hires);
    }
    double bias[2];
    for (int turn = 0; turn < 2; turn++) { /* the bias, from two pictures */
        const why_fill *fill;
        TRY(why_evaluator_fill(s.ev, "mean", NULL, &fill));
        const why_perturbation p = {.kind = WHY_SHOW_BOXES, .fill = fill};
        float flat[8];
        TRY(why_evaluator_original(s.ev, &logits));
        TRY(why_evaluator_run(s.ev, &p, 1, flat));
        TRY(why_evaluator_gradient(s.ev, "/7/Relu", turn ? &p : NULL, 1, 3, WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
        double sum = 0;
        for (int64_t i = 0; i < why_shape_count(&a.shape); i++) sum += (double)a.data[i] * g.data[i];
        bias[turn] = (turn ? flat[3] : logits[3]) - sum;
    }
    assert_true(fabs(bias[0] - bias[1]) < 1e-4);
    scene_close(&s);
}

/* What a linear head loses without channel k is the sum of g A over its positions. */
static void ablation_before_a_linear_head(void **state) {
    (void)state;
    scene s;
    why_tensor_view a, g;
    scene_open(&s, 3, 1);
    int64_t asked = why_evaluator_asked(s.ev);
    why_explanation e = scene_explain(&s, "ablationcam", 2, SETTINGS(RELU, "relu", "false"));
    assert_int_equal(e.evaluations, 1 + 1 + 16);
    assert_int_equal(why_evaluator_asked(s.ev) - asked, e.evaluations);
    TRY(why_evaluator_gradient(s.ev, "/7/Relu", NULL, 1, 2, WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
    size_t n = (size_t)(a.shape.dim[2] * a.shape.dim[3]);
    float *low = calloc(n, sizeof *low), *map = calloc(PIXELS, sizeof *map);
    for (size_t k = 0; k < 16; k++) {
        double weight = 0;
        for (size_t i = k * n; i < (k + 1) * n; i++) weight += (double)a.data[i] * g.data[i];
        for (size_t i = 0; i < n; i++) low[i] += (float)(weight * a.data[k * n + i]);
    }
    why_map_resize(low, (int)a.shape.dim[2], (int)a.shape.dim[3], map, SIDE, SIDE);
    assert_true(compare(e.map, map, PIXELS).error < 1e-4);
    free(low);
    free(map);
    why_explanation_clear(&e);
    scene_close(&s);
}

/* The second class costs no forward, and neither batch nor threads leave a trace. */
static void forwards_are_shared(void **state) {
    (void)state;
    static const char *const names[] = {"scorecam", "ablationcam"};
    scene s, t;
    scene_open(&s, 1, 1);
    scene_open(&t, 16, 2);
    for (int i = 0; i < 2; i++) {
        why_explanation a = scene_explain(&s, names[i], 1, SETTINGS(RELU));
        int64_t forwards = why_evaluator_forwards(s.ev);
        why_explanation b = scene_explain(&s, names[i], 2, SETTINGS(RELU)), c = scene_explain(&t, names[i], 1, SETTINGS(RELU));
        assert_int_equal(why_evaluator_forwards(s.ev), forwards);
        assert_memory_equal(a.map, c.map, PIXELS * sizeof *a.map);
        assert_memory_not_equal(a.map, b.map, PIXELS * sizeof *a.map);
        why_explanation_clear(&a);
        why_explanation_clear(&b);
        why_explanation_clear(&c);
    }
    scene_close(&s);
    scene_close(&t);
}

/* pytorch-grad-cam ablates a channel before the ReLU to -1e7 and lower; a channel that is zero anyway loses nothing here. */
static void ablated_to_zero(void **state) {
    (void)state;
    scene s;
    float logits[16 * 8];
    why_tensor_view a, g;
    const float *whole;
    scene_open(&s, 5, 1);
    TRY(why_evaluator_original(s.ev, &whole));
    TRY(why_evaluator_ablate(s.ev, "/6/Conv", NULL, logits));
    TRY(why_evaluator_gradient(s.ev, "/6/Conv", NULL, 1, 0, WHY_LOGIT, WHY_RULE_PLAIN, &a, &g));
    size_t n = (size_t)(a.shape.dim[2] * a.shape.dim[3]);
    for (size_t k = 0; k < 16; k++) {
        double loss = 0; /* of the ReLU's output times its gradient, which is g where A > 0 */
        for (size_t i = k * n; i < (k + 1) * n; i++) loss += (double)fmaxf(a.data[i], 0) * g.data[i];
        assert_true(fabs(whole[0] - logits[5 * k] - loss) < 1e-4);
    }
    assert_int_equal(why_evaluator_ablate(s.ev, "/10/Gemm", NULL, logits), WHY_EARG);
    assert_int_equal(why_evaluator_ablate(s.ev, "nothing", NULL, logits), WHY_EARG);
    scene_close(&s);
}

static void eigencam_knows_no_class(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 2, 1);
    why_explanation a = scene_explain(&s, "eigencam", 0, SETTINGS(RELU)), b = scene_explain(&s, "eigencam", 4, SETTINGS(RELU));
    assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    scene_close(&s);
}

/* Rank one: the component is the common profile, whichever way round the matrix is decomposed, and rises with the sum. */
static void first_component(void **state) {
    (void)state;
    static const double profile[6] = {3, -1, 0, 2, -4, 0};
    for (int transposed = 0; transposed < 2; transposed++) {
        size_t channels = transposed ? 9 : 2;
        double x[9 * 6], out[6], norm = 0, sign = 0;
        for (size_t k = 0; k < channels; k++) {
            double factor = k % 2 ? -1.0 : 2.0 + (double)k;
            norm += factor * factor;
            sign += factor;
            for (int i = 0; i < 6; i++) x[k * 6 + (size_t)i] = 5 + factor * profile[i];
        }
        assert_true(sign > 0);
        TRY(why_first_component(x, channels, 6, out));
        for (int i = 0; i < 6; i++) assert_true(fabs(out[i] - profile[i] * sqrt(norm)) < 1e-9);
    }
    double flat[12] = {1, 1, 1, 1, 7, 7, 7, 7, 2, 2, 2, 2}, none[4];
    TRY(why_first_component(flat, 3, 4, none));
    for (int i = 0; i < 4; i++) assert_true(none[i] == 0);
}

/* One layer said twice is that layer on the common scale; two layers are the mean of their scaled maps, scaled. */
static void several_layers(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 2, 1);
    why_explanation one = scene_explain(&s, "gradcam", 1, SETTINGS(RELU));
    why_explanation twice = scene_explain(&s, "gradcam", 1, SETTINGS("layer", "/7/Relu+/7/Relu"));
    float lo = one.map[0], hi = one.map[0];
    for (int i = 0; i < PIXELS; i++) lo = fminf(lo, one.map[i]), hi = fmaxf(hi, one.map[i]);
    for (int i = 0; i < PIXELS; i++) one.map[i] = (one.map[i] - lo) / (hi - lo);
    assert_maps_close(&one, &twice, 1e-5);
    assert_int_equal(twice.evaluations, 2);
    why_explanation_clear(&one);
    why_explanation_clear(&twice);
    why_explanation e = scene_explain(&s, "gradcam", 1, SETTINGS("layer", "/1/Relu+/7/Relu", "aug_smooth", "true", "relu", "false"));
    assert_int_equal(e.evaluations, 12);
    why_explanation_clear(&e);
    assert_refused(&s, "layercam", 0, SETTINGS("layer", "/7/Relu+/7/Rel"), "did you mean '/7/Relu'");
    assert_refused(&s, "layercam", 0, SETTINGS("layer", "/7/Relu+"), "no layer ''");
    assert_refused(&s, "hirescam", 0, SETTINGS("layer", "input"), "it is the image");
    assert_refused(&s, "scorecam", 0, SETTINGS("layer", "/10/Gemm"), "its output is a vector");
    assert_refused(&s, "eigencam", 9, NULL, "class: got 9");
    scene_close(&s);
}

/* A flipped picture has the flipped map: the six copies are the same ones. */
static void copies_are_symmetric(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 2, 1);
    why_explanation a = scene_explain(&s, "layercam", 1, SETTINGS(RELU, "aug_smooth", "true"));
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE / 2; x++)
            for (int c = 0; c < 3; c++) {
                uint8_t *left = &s.image.rgb[3 * (y * SIDE + x) + c], *right = &s.image.rgb[3 * (y * SIDE + SIDE - 1 - x) + c], t = *left;
                *left = *right;
                *right = t;
            }
    TRY(why_evaluator_begin(s.ev, &s.image));
    why_explanation b = scene_explain(&s, "layercam", 1, SETTINGS(RELU, "aug_smooth", "true"));
    for (int i = 0; i < PIXELS; i++) assert_true(fabsf(a.map[i] - b.map[i / SIDE * SIDE + SIDE - 1 - i % SIDE]) < 1e-5f);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    scene_close(&s);
}

/* ---------------------------------------------------------------- gradients of a linear model: y_c = w_c x */
enum { ROWS = 4, COLUMNS = 5, SIZE = 3 * ROWS * COLUMNS };

static void open_linear(scene *s, float w[SIZE][2]) {
    struct onnx o;
    memset(s, 0, sizeof *s);
    fill_values(&w[0][0], SIZE * 2, 21);
    onnx_begin(&o, 13, 3, ROWS, COLUMNS);
    onnx_floats(&o, "w", &w[0][0], 2, SIZE, 2);
    onnx_node(&o, "Flatten", "x", "f");
    onnx_node(&o, "MatMul", "f,w", "y");
    s->model = onnx_load(&o, "y");
    TRY(why_image_create(ROWS, COLUMNS, &s->image));
    for (int i = 0; i < SIZE; i++) s->image.rgb[i] = (uint8_t)(37 * i % 256);
    why_evaluator_options e = {.model = s->model, .preprocess = why_preprocess_find("torchvision"), .max_batch = 3};
    TRY(why_evaluator_create(&e, &s->ev));
    TRY(why_subject_create(s->ev, &s->image, NULL, 1, 2, &s->subject));
}

static void assert_linear(const scene *s, const char *explainer, const char *channels, float w[SIZE][2], const float *times) {
    why_explanation e = scene_explain(s, explainer, 1, SETTINGS("channels", channels));
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        double want = 0;
        for (int c = 0; c < 3; c++) {
            double v = w[c * ROWS * COLUMNS + i][1] * (times ? times[c * ROWS * COLUMNS + i] : 1.0);
            if (*channels == 'm') want = fmax(want, fabs(v));
            else want += *channels == 'a' ? fabs(v) : v;
        }
        if (!(fabs(e.map[i] - want) < 1e-5)) fail_msg("%s, %s: pixel %d is %g, want %g", explainer, channels, i, e.map[i], want);
    }
    if (strcmp(explainer, "integrated_gradients") == 0) assert_true(fabs(e.residual) < 1e-4);
    if (strcmp(explainer, "smoothgrad") == 0 && *channels == 's') assert_true(e.se_range < 1e-6);
    why_explanation_clear(&e);
}

static void gradients_of_a_linear_model(void **state) {
    (void)state;
    static const char *const plain[] = {"saliency", "guided_backprop", "smoothgrad"};
    static const char *const times[] = {"input_x_gradient", "integrated_gradients"};
    static const char *const channels[] = {"sum", "abs_sum", "max_abs"};
    scene s;
    float w[SIZE][2], x[SIZE];
    why_tensor_view input, g;
    open_linear(&s, w);
    TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, 1, WHY_LOGIT, WHY_RULE_PLAIN, &input, &g));
    memcpy(x, input.data, sizeof x);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3; i++) assert_linear(&s, plain[i], channels[k], w, NULL);
        for (int i = 0; i < 2; i++) assert_linear(&s, times[i], channels[k], w, x);
    }
    scene_close(&s);
}

/* ---------------------------------------------------------------- paths and noise */
/* The shares and the residual add up to y(x) - y(x0), and the residual shrinks with the steps. */
static void completeness(void **state) {
    (void)state;
    static const char *const baselines[] = {"zero", "white", "blur(9,9)"};
    scene s;
    const float *full;
    scene_open(&s, 16, 1);
    TRY(why_evaluator_original(s.ev, &full));
    for (int i = 0; i < 3; i++) {
        const why_fill *fill;
        float empty[8];
        TRY(why_evaluator_fill(s.ev, baselines[i], NULL, &fill));
        TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill}, 1, empty));
        why_explanation e = scene_explain(&s, "integrated_gradients", 1, SETTINGS("baseline", baselines[i], "steps", "200"));
        double sum = 0, gap = (double)full[1] - empty[1];
        for (int k = 0; k < PIXELS; k++) sum += e.map[k];
        assert_true(fabs(sum + e.residual - gap) < 1e-3);
        assert_true(fabs(e.residual) < 0.02 * fabs(gap) + 1e-3);
        assert_int_equal(e.evaluations, 202);
        why_explanation_clear(&e);
    }
    assert_refused(&s, "integrated_gradients", 0, SETTINGS("baseline", "segment_mean"), "made from segments");
    assert_refused(&s, "saliency", 5, NULL, "class: got 5");
    scene_close(&s);
}

/* Neither batch nor threads leave a trace; no noise is the gradient itself; the standard error falls as 1/sqrt(n). */
static void smoothgrad(void **state) {
    (void)state;
    scene s, t;
    scene_open(&s, 1, 1);
    scene_open(&t, 16, 2);
    why_explanation a = scene_explain(&s, "smoothgrad", 1, SETTINGS("samples", "20"));
    why_explanation b = scene_explain(&t, "smoothgrad", 1, SETTINGS("samples", "20"));
    why_explanation ig = scene_explain(&s, "integrated_gradients", 1, SETTINGS("steps", "9"));
    why_explanation ig2 = scene_explain(&t, "integrated_gradients", 1, SETTINGS("steps", "9"));
    assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
    assert_memory_equal(ig.map, ig2.map, PIXELS * sizeof *a.map);
    why_explanation many = scene_explain(&t, "smoothgrad", 1, SETTINGS("samples", "320"));
    assert_true(many.se_range < a.se_range / 2 && many.se_range > a.se_range / 8);
    why_explanation still = scene_explain(&s, "smoothgrad", 1, SETTINGS("samples", "2", "sigma", "0"));
    why_explanation plain = scene_explain(&s, "saliency", 1, SETTINGS("channels", "sum"));
    assert_maps_close(&still, &plain, 1e-6);
    why_explanation *const all[] = {&a, &b, &ig, &ig2, &many, &still, &plain};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) why_explanation_clear(all[i]);
    char noise[4096];
    test_source("tests/golden/explain/grad_smoothgrad_noise.npy", noise);
    assert_refused(&s, "smoothgrad", 1, SETTINGS("samples", "5", "noise", noise), "want at least 5 x 3 x 48 x 48 values");
    scene_close(&s);
    scene_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_linear_head),
        cmocka_unit_test(ablation_before_a_linear_head),
        cmocka_unit_test(forwards_are_shared),
        cmocka_unit_test(ablated_to_zero),
        cmocka_unit_test(eigencam_knows_no_class),
        cmocka_unit_test(first_component),
        cmocka_unit_test(any_layer_unnormalised),
        cmocka_unit_test(several_layers),
        cmocka_unit_test(copies_are_symmetric),
        cmocka_unit_test(gradients_of_a_linear_model),
        cmocka_unit_test(completeness),
        cmocka_unit_test(smoothgrad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
