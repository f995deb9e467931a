/* Faults of the Python peers that whypix does not have: each test names one, on a small case where the peer goes wrong.
 *
 * Tested elsewhere: completeness of DeepLIFT behind overlapping max-pooling and re-used activations, and layers of expected
 * gradients that the peer multiplies by their values instead of a difference (test_parity_deep.c); pytorch-grad-cam's
 * Ablation-CAM, which sets channels far below zero (ablated_to_zero in test_gradients.c); segmentations known by their address
 * (segments_by_content in test_evaluator.c); ties that make agreement (ties_make_no_agreement in metric/test_agreement.c). */
#include "scene.h"

#include "../nn/onnx_writer.h"
#include "explain/masks.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE, TARGET = 1 };
#define GRID(n) "segmenter", "grid(rows=" n ",columns=" n ")"

static void assert_same_map(const why_explanation *a, const why_explanation *b) {
    assert_memory_equal(a->map, b->map, (size_t)a->h * (size_t)a->w * sizeof *a->map);
}

static int values_other_than_zero(const why_explanation *e, float *value) {
    int n = 0;
    for (int i = 0; i < e->h * e->w; i++) value[e->segments->label[i]] = e->map[i];
    for (int k = 0; k < e->segments->n; k++) n += value[k] != 0;
    return n;
}

/* A picture of one colour per pixel of a small linear model, whose classes are the columns of w (3*rows*columns x 2). */
static void open_linear(scene *s, int rows, int columns, const float *w, int max_batch) {
    struct onnx o;
    memset(s, 0, sizeof *s);
    onnx_begin(&o, 13, 3, rows, columns);
    onnx_floats(&o, "w", w, 2, 3 * rows * columns, 2);
    onnx_node(&o, "Flatten", "x", "f");
    onnx_node(&o, "MatMul", "f,w", "y");
    s->model = onnx_load(&o, "y");
    TRY(why_image_create(rows, columns, &s->image));
    memset(s->image.rgb, 200, 3 * (size_t)rows * (size_t)columns);
    why_evaluator_options e = {.model = s->model, .preprocess = why_preprocess_find("none"), .max_batch = max_batch};
    TRY(why_evaluator_create(&e, &s->ev));
    TRY(why_subject_create(s->ev, &s->image, NULL, 1, 2, &s->subject));
}

/* ---------------------------------------------------------------- shap */
/* shap's image masker knows the blurred picture by the id() of a temporary array. A second picture whose array lands on the same
 * address is explained against the first one's blur: 5 to 15 % of a loop over small uint8 pictures. Here: the same memory. */
static void a_second_picture_in_the_same_memory(void **state) {
    (void)state;
    scene s, fresh;
    const why_fill *fill, *own;
    scene_open(&s, 10, 1);
    scene_open(&fresh, 10, 1);
    const char *const *settings = SETTINGS("masker", "blur(8,8)");
    why_explanation first = scene_explain(&s, "shap_partition", TARGET, settings);
    for (int i = 0; i < 3 * PIXELS; i++) s.image.rgb[i] = fresh.image.rgb[i] = (uint8_t)(255 - s.image.rgb[i]);
    why_subject_destroy(&s.subject);
    why_subject_destroy(&fresh.subject);
    why_evaluator_destroy(&fresh.ev);
    why_evaluator_options o = {.model = fresh.model, .preprocess = why_preprocess_find("torchvision"), .max_batch = 10};
    TRY(why_evaluator_create(&o, &fresh.ev));
    TRY(why_subject_create(s.ev, &s.image, NULL, 2025, 77, &s.subject));
    TRY(why_subject_create(fresh.ev, &fresh.image, NULL, 2025, 77, &fresh.subject));
    why_explanation second = scene_explain(&s, "shap_partition", TARGET, settings);
    why_explanation want = scene_explain(&fresh, "shap_partition", TARGET, settings);
    assert_same_map(&second, &want);
    assert_true(memcmp(second.map, first.map, PIXELS * sizeof *first.map) != 0);
    TRY(why_evaluator_fill(s.ev, "blur(8,8)", NULL, &fill));
    TRY(why_evaluator_fill(fresh.ev, "blur(8,8)", NULL, &own));
    assert_memory_equal(fill->rgb, own->rgb, 3 * PIXELS * sizeof *own->rgb);
    why_explanation_clear(&first);
    why_explanation_clear(&second);
    why_explanation_clear(&want);
    scene_close(&s);
    scene_close(&fresh);
}

/* KernelExplainer's default l1_reg, num_features(10), sets all but ten segments to zero, and hands their share to those ten. */
static void kernel_shap_values_every_segment(void **state) {
    (void)state;
    scene s;
    float value[25];
    scene_open(&s, 16, 1);
    why_explanation e = scene_explain(&s, "shap_kernel", TARGET, SETTINGS(GRID("5"), "evaluations", "400"));
    assert_int_equal(values_other_than_zero(&e, value), 25);
    assert_true(fabs(e.residual) < 1e-6);
    why_explanation_clear(&e);
    scene_close(&s);
}

/* PartitionExplainer breaks ties by unseeded noise. Four quadrants of equal worth, each with all of it in one pixel, and a budget
 * that opens one of them after the halves: which one is anybody's guess there, and the first here. */
static void ties_of_partition_shap_are_broken_in_order(void **state) {
    (void)state;
    float w[3 * 64 * 2] = {0};
    why_explanation first = {0};
    const int corner[4] = {0, 7, 56, 63};
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 4; k++) w[2 * (64 * c + corner[k])] = 1.0f / 1024;
    for (int turn = 0; turn < 6; turn++) {
        scene s;
        open_linear(&s, 8, 8, w, 1 + turn);
        why_explanation e = scene_explain(&s, "shap_partition", 0, SETTINGS("masker", "black", "evaluations", "16", "batch", "2"));
        if (turn) assert_same_map(&e, &first);
        else first = e;
        if (turn) why_explanation_clear(&e);
        scene_close(&s);
    }
    float lo = first.map[0], hi = first.map[0];
    for (int k = 1; k < 4; k++) lo = fminf(lo, first.map[corner[k]]), hi = fmaxf(hi, first.map[corner[k]]);
    assert_true(hi > lo); /* the quadrants were not treated alike: the tie did matter */
    why_explanation_clear(&first);
}

/* Its map also depends on how many masks the model is given at a time, which is the machine's business. Here `batch` belongs to the
 * method, and how the network computes it changes nothing. */
static void partition_shap_does_not_depend_on_the_engine(void **state) {
    (void)state;
    static const int runs[][2] = {{10, 1}, {1, 1}, {3, 2}, {64, 2}}; /* forwards per call, threads */
    why_explanation first = {0};
    for (int i = 0; i < 4; i++) {
        scene s;
        scene_open(&s, runs[i][0], runs[i][1]);
        why_explanation e = scene_explain(&s, "shap_partition", TARGET, SETTINGS("masker", "blur(8,8)"));
        why_explanation other = scene_explain(&s, "shap_partition", TARGET, SETTINGS("masker", "blur(8,8)", "batch", "64"));
        if (i) assert_same_map(&e, &first);
        assert_true(memcmp(e.map, other.map, PIXELS * sizeof *e.map) != 0);
        if (i) why_explanation_clear(&e);
        else first = e;
        why_explanation_clear(&other);
        scene_close(&s);
    }
    why_explanation_clear(&first);
}

/* ---------------------------------------------------------------- lime */
/* explain_instance's random_seed drives the segmentation alone: equal seeds give other masks and another map. Here a stream is
 * the whole of the chance in a map, and another repeat keeps the segments. */
static void a_seed_is_the_whole_of_the_chance(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    const char *const *settings = SETTINGS("segmenter", "quickshift(kernel_size=2)", "samples", "100");
    why_explanation a = scene_explain(&s, "lime", TARGET, settings), b = scene_explain(&s, "lime", TARGET, settings), c;
    assert_same_map(&a, &b);
    const why_explainer *lime = why_explainer_find("lime");
    why_params *p;
    TRY(why_params_create(lime->params, &p));
    for (int i = 0; settings[i]; i += 2) TRY(why_params_set(p, settings[i], settings[i + 1]));
    TRY(why_explanation_create(SIDE, SIDE, &c));
    const why_request other = {
        .subject = s.subject, .class_index = TARGET, .output = lime->output, .params = p, .stream = why_subject_stream(s.subject, "two")};
    TRY(lime->explain(&other, &c));
    assert_ptr_equal(a.segments, c.segments);
    assert_true(memcmp(a.map, c.map, PIXELS * sizeof *a.map) != 0);
    why_params_destroy(&p);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    why_explanation_clear(&c);
    scene_close(&s);
}

static int larger_first(const void *a, const void *b) {
    const float x = fabsf(*(const float *)a), y = fabsf(*(const float *)b);
    return (x < y) - (x > y);
}

/* lime's feature selection `auto` turns from the largest coefficients to forward selection, unasked, at six features. Here five
 * largest are the five largest. */
static void selection_does_what_its_name_says(void **state) {
    (void)state;
    scene s;
    float all[16], kept[16], order[16];
    scene_open(&s, 16, 1);
    why_explanation full = scene_explain(&s, "lime", TARGET, SETTINGS(GRID("4"), "samples", "80", "alpha", "0.01"));
    why_explanation five =
        scene_explain(&s, "lime", TARGET, SETTINGS(GRID("4"), "samples", "80", "selection", "highest_weights", "features", "5"));
    assert_int_equal(values_other_than_zero(&full, all), 16);
    assert_int_equal(values_other_than_zero(&five, kept), 5);
    memcpy(order, all, sizeof order);
    qsort(order, 16, sizeof *order, larger_first);
    for (int k = 0; k < 16; k++) assert_int_equal(kept[k] != 0, fabsf(all[k]) >= fabsf(order[4]));
    why_explanation_clear(&full);
    why_explanation_clear(&five);
    scene_close(&s);
}

/* A picture of one colour is one segment; half of lime's masks are then empty, and cosine distances of nothing are 0/0 by their
 * formula. The map is finite, and says that it is no explanation. */
static void one_segment_is_told(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    why_explanation e = scene_explain(&s, "lime", TARGET, SETTINGS(GRID("1"), "samples", "50", "fill", "black"));
    assert_true(isfinite(e.map[0]));
    assert_string_equal(e.note, "fewer than 5 segments");
    why_explanation_clear(&e);
    scene_close(&s);
}

/* ---------------------------------------------------------------- class activation maps */
/* Channels that all speak against the class: nothing is left behind the ReLU, and min-max scaling of it is 0/0. Score-CAM's scaling
 * of a dead channel is another. Here the map is zero, and says so. */
static void an_all_zero_map_is_zero_and_told(void **state) {
    (void)state;
    static const char *const methods[] = {"gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "scorecam", "ablationcam"};
    const float kernel[2 * 3] = {1, 1, 1, -1, -1, -1}, head[2 * 2] = {-1, 1, -1, 1}; /* the second channel is dead */
    struct onnx o;
    scene s = {0};
    onnx_begin(&o, 13, 3, 8, 8);
    onnx_floats(&o, "k", kernel, 4, 2, 3, 1, 1);
    onnx_floats(&o, "w", head, 2, 2, 2);
    onnx_node(&o, "Conv", "x,k", "c");
    onnx_node(&o, "Relu", "c", "r");
    onnx_node(&o, "GlobalAveragePool", "r", "g");
    onnx_node(&o, "Flatten", "g", "f");
    onnx_node(&o, "MatMul", "f,w", "y");
    s.model = onnx_load(&o, "y");
    TRY(why_image_create(8, 8, &s.image));
    for (int i = 0; i < 3 * 64; i++) s.image.rgb[i] = (uint8_t)(i + 1);
    why_evaluator_options e = {.model = s.model, .preprocess = why_preprocess_find("none"), .max_batch = 2};
    TRY(why_evaluator_create(&e, &s.ev));
    TRY(why_subject_create(s.ev, &s.image, NULL, 1, 2, &s.subject));
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        for (int aug = 0; aug < 2; aug++) {
            const char *const *settings = SETTINGS("layer", "r", "aug_smooth", aug ? "true" : "false");
            why_explanation against = scene_explain(&s, methods[m], 0, settings), with = scene_explain(&s, methods[m], 1, settings);
            const bool scored = strcmp(methods[m], "scorecam") == 0; /* its weights are a softmax, never negative */
            for (int i = 0; i < 64; i++) assert_true(isfinite(against.map[i]) && isfinite(with.map[i]) && (scored || against.map[i] == 0));
            if (!scored) assert_string_equal(against.note, "all-zero map");
            assert_null(with.note);
            why_explanation_clear(&against);
            why_explanation_clear(&with);
        }
    scene_close(&s);
}

/* The sign of a singular vector is the library's whim, and min-max scaling of -m is another map. Here a component points where the
 * sum of its channels does. */
static void eigen_maps_have_a_sign(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 4, 1);
    const char *const *settings = SETTINGS("relu", "false");
    why_explanation eigen = scene_explain(&s, "eigengradcam", TARGET, settings), sum = scene_explain(&s, "hirescam", TARGET, settings);
    assert_true(compare(eigen.map, sum.map, PIXELS).pearson > 0.1);
    why_explanation_clear(&eigen);
    why_explanation_clear(&sum);
    eigen = scene_explain(&s, "gradcam", TARGET, SETTINGS("relu", "false", "eigen_smooth", "true"));
    sum = scene_explain(&s, "gradcam", TARGET, settings);
    assert_true(compare(eigen.map, sum.map, PIXELS).pearson > 0.1);
    why_explanation_clear(&eigen);
    why_explanation_clear(&sum);
    scene_close(&s);
}

/* A layer's output that a following in-place ReLU overwrites (DenseNet's last norm): the peer's activations are clamped while its
 * gradients are not. Here the layer is as it was. */
static void a_layer_is_what_it_was_before_its_relu(void **state) {
    (void)state;
    scene s;
    why_tensor_view before, after, g;
    scene_open(&s, 2, 1);
    TRY(why_evaluator_gradient(s.ev, "/6/Conv", NULL, 1, TARGET, WHY_LOGIT, WHY_RULE_PLAIN, &before, &g));
    const int64_t n = why_shape_count(&before.shape);
    float *copy = malloc((size_t)n * sizeof *copy), least = 0;
    memcpy(copy, before.data, (size_t)n * sizeof *copy);
    TRY(why_evaluator_gradient(s.ev, "/7/Relu", NULL, 1, TARGET, WHY_LOGIT, WHY_RULE_PLAIN, &after, &g));
    for (int64_t i = 0; i < n; i++) {
        least = fminf(least, copy[i]);
        assert_true(after.data[i] == fmaxf(copy[i], 0));
    }
    assert_true(least < 0);
    free(copy);
    scene_close(&s);
}

/* ---------------------------------------------------------------- captum */
/* A call that fails leaves requires_grad set on the caller's tensor. Here a refused call leaves nothing behind. */
static void a_refused_call_leaves_no_trace(void **state) {
    (void)state;
    scene s;
    why_explanation e;
    scene_open(&s, 4, 1);
    uint8_t *picture = malloc(3 * PIXELS);
    memcpy(picture, s.image.rgb, 3 * PIXELS);
    why_explanation before = scene_explain(&s, "saliency", TARGET, NULL);
    assert_int_not_equal(scene_try(&s, "saliency", 99, NULL, &e), WHY_OK);
    assert_int_not_equal(scene_try(&s, "gradcam", TARGET, SETTINGS("layer", "none such"), &e), WHY_OK);
    assert_int_not_equal(scene_try(&s, "integrated_gradients", TARGET, SETTINGS("baseline", "inpaint_telea"), &e), WHY_OK);
    assert_int_not_equal(scene_try(&s, "lime", TARGET, SETTINGS("fill", "none_such"), &e), WHY_OK);
    why_explanation after = scene_explain(&s, "saliency", TARGET, NULL);
    assert_same_map(&before, &after);
    assert_memory_equal(picture, s.image.rgb, 3 * PIXELS);
    free(picture);
    why_explanation_clear(&before);
    why_explanation_clear(&after);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_picture_in_the_same_memory),
        cmocka_unit_test(kernel_shap_values_every_segment),
        cmocka_unit_test(ties_of_partition_shap_are_broken_in_order),
        cmocka_unit_test(partition_shap_does_not_depend_on_the_engine),
        cmocka_unit_test(a_seed_is_the_whole_of_the_chance),
        cmocka_unit_test(selection_does_what_its_name_says),
        cmocka_unit_test(one_segment_is_told),
        cmocka_unit_test(an_all_zero_map_is_zero_and_told),
        cmocka_unit_test(eigen_maps_have_a_sign),
        cmocka_unit_test(a_layer_is_what_it_was_before_its_relu),
        cmocka_unit_test(a_refused_call_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
