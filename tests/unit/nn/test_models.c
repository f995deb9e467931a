/* Whole networks against PyTorch: logits, gradients, and the layers that Grad-CAM takes. */
#include "data.h"

static why_model *load_model(const char *name) {
    why_model *m;
    OK(why_model_load(data_file(name), NULL, &m));
    return m;
}

/* `limit` in standard deviations of the logits `want`. */
static void check_values(const char *model, const char *input, const float *want, const why_shape *ys, double limit) {
    why_shape xs;
    why_model *m = load_model(model);
    why_session *s;
    float *x = load_floats(input, &xs);
    const why_session_options o = {.max_batch = (int)xs.dim[0]};
    OK(why_session_create(m, &o, &s));
    OK(why_session_forward(s, x, (int)xs.dim[0]));
    assert_int_equal(why_model_get_info(m)->outputs, ys->dim[1]);
    double e = error_in_sd(why_session_logits(s), want, why_shape_count(ys));
    print_message("%s: %.2g of the logits' standard deviation\n", model, e);
    if (!(e < limit)) fail_msg("%s: logits are off by %g of their standard deviation, want < %g", model, e, limit);
    why_session_destroy(&s);
    why_model_destroy(&m);
    free(x);
}

static void check_logits(const char *model, const char *input, const char *logits, double limit) {
    why_shape ys;
    float *want = load_floats(logits, &ys);
    check_values(model, input, want, &ys, limit);
    free(want);
}

static void slim_networks_give_pytorchs_logits(void **state) {
    (void)state;
    static const char *const names[] = {"vgg16", "resnet18", "resnet50", "densenet121"};
    for (int i = 0; i < 4; i++)
        for (int bn = 0; bn < 2; bn++) {
            char model[128], logits[128];
            if (i == 0 && bn) continue; /* VGG-16 has none */
            snprintf(model, sizeof model, "models/slim/%s_slim%s.onnx", names[i], bn ? "_bn" : "");
            snprintf(logits, sizeof logits, "models/slim/%s_logits4.npy", names[i]);
            if (i != 2) check_logits(model, "models/slim/input4.npy", logits, 1e-4);
        }
}

/* The random ResNet-50 amplifies rounding: from an fp64 run of the file PyTorch is off by 1.4e-4, ONNX Runtime by 8.7e-5. So that run is
 * the reference, and the fast path may be off by three times as much as ONNX Runtime. */
static void a_sensitive_network_is_near_its_logits_in_double(void **state) {
    (void)state;
    why_shape shape;
    float *logits;
    char golden[1024];
    const char *source = getenv("WHYPIX_SOURCE");
    snprintf(golden, sizeof golden, "%s/tests/golden/nn/resnet50_slim_fp64.npy", source ? source : ".");
    OK(why_npy_load_f32(golden, &shape, &logits));
    for (int bn = 0; bn < 2; bn++) check_values(bn ? "models/slim/resnet50_slim_bn.onnx" : "models/slim/resnet50_slim.onnx", "models/slim/input4.npy", logits, &shape, 2.6e-4);
    free(logits);
}

static void tiny_networks_give_pytorchs_logits(void **state) {
    (void)state;
    static const char *const names[] = {"tinyvgg_pug", "tinyresnet_zebra", "tinydense_espresso"};
    for (int i = 0; i < 3; i++)
        for (int bn = 0; bn < 2; bn++) {
            char model[128], input[128], logits[128];
            if (i == 0 && bn) continue;
            snprintf(model, sizeof model, "fixtures/%s/model%s.onnx", names[i], bn ? "_bn" : "");
            snprintf(input, sizeof input, "fixtures/%s/input_nchw.npy", names[i]);
            snprintf(logits, sizeof logits, "fixtures/%s/logits.npy", names[i]);
            check_logits(model, input, logits, 1e-4);
        }
}

static void digits_give_pytorchs_logits(void **state) {
    (void)state;
    check_logits("models/digits_cnn.onnx", "awkward-onnx/good_input.npy", "awkward-onnx/good_output.npy", 1e-4);
}

/* ---------------------------------------------------------------- gradients */
struct fixture {
    const char *folder, *layer, *gradient; /* default layer; the tensor whose gradient was hooked */
    int target;
};
static const struct fixture fixtures[] = {
    {"fixtures/tinyvgg_pug", "/features/features.9/Relu_output_0", "last_conv", 4},
    {"fixtures/tinyresnet_zebra", "/layer4/layer4.0/relu_2/Relu_output_0", "last_conv", 1},
    /* The hook sat on norm5, whose output an in-place ReLU then overwrote: activations behind it, gradients before it. */
    {"fixtures/tinydense_espresso", "/Relu_output_0", "/features/norm5/BatchNormalization_output_0", 3},
};

static float *fixture_floats(const struct fixture *f, const char *name, why_shape *shape) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return load_floats(path, shape);
}

static void compare(const struct fixture *f, const char *file, const float *got, int64_t n) {
    why_shape s;
    float *want = fixture_floats(f, file, &s);
    assert_int_equal(why_shape_count(&s), n);
    double e = error_in_sd(got, want, n);
    print_message("%s/%s: %.2g\n", f->folder, file, e);
    if (!(e < 1e-4)) fail_msg("%s/%s: off by %g standard deviations", f->folder, file, e);
    free(want);
}

static void gradients_are_pytorchs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        const struct fixture *f = &fixtures[i];
        char path[256];
        why_shape xs;
        snprintf(path, sizeof path, "%s/model_bn.onnx", f->folder);
        if (i == 0) snprintf(path, sizeof path, "%s/model.onnx", f->folder);
        why_model *m = load_model(path);
        why_session *s;
        float *x = fixture_floats(f, "input_nchw.npy", &xs), seed[10] = {0};
        const char *const keep[] = {"last_conv"}, *const grad[] = {f->gradient, "input"};
        const why_session_options o = {.max_batch = 1, .keep = keep, .n_keep = 1, .grad_to = grad, .n_grad_to = 2};
        OK(why_session_create(m, &o, &s));
        const char *tensor;
        OK(why_model_resolve(m, "last_conv", &tensor));
        assert_string_equal(tensor, f->layer);
        seed[f->target] = 1;
        for (int twice = 0; twice < 2; twice++) { /* a second backward starts afresh */
            if (twice == 0) OK(why_session_forward(s, x, 1));
            OK(why_session_backward(s, seed, WHY_RULE_PLAIN));
        }
        why_tensor_view act = why_session_kept(s, 0), g = why_session_gradient(s, 0), gx = why_session_gradient(s, 1);
        compare(f, "cam_activations.npy", act.data, why_shape_count(&act.shape));
        compare(f, "cam_gradients.npy", g.data, why_shape_count(&g.shape));
        compare(f, "saliency.npy", gx.data, why_shape_count(&gx.shape));
        why_session_destroy(&s);
        why_model_destroy(&m);
        free(x);
    }
}

/* ---------------------------------------------------------------- layers */
static void default_layers(void **state) {
    (void)state;
    static const struct {
        const char *model, *layer;
    } want[] = {
        {"models/squeezenet1_1.onnx", "/features/features.12/Concat_output_0"},
        {"models/mobilenet_v1_0.25_128.onnx", "n26"},
        {"models/mobilenet_v2_1.0_224.onnx", "n61"},
        {"models/cifar_smallresnet.onnx", "/layers/layers.2/Relu_1_output_0"},
        {"models/cifar_smallresnet_bn.onnx", "/layers/layers.2/Relu_1_output_0"},
        {"models/cifar_resnet20_ft.onnx", "/layer3/layer3.2/Relu_1_output_0"},
        {"models/digits_cnn.onnx", "/4/Relu_output_0"},
        {"models/slim/vgg16_slim.onnx", "/features/features.29/Relu_output_0"},
        {"models/slim/densenet121_slim_bn.onnx", "/Relu_output_0"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *tensor;
        why_model *m = load_model(want[i].model);
        OK(why_model_resolve(m, "last_conv", &tensor));
        assert_string_equal(tensor, want[i].layer);
        why_model_destroy(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_give_pytorchs_logits), cmocka_unit_test(tiny_networks_give_pytorchs_logits),
        cmocka_unit_test(slim_networks_give_pytorchs_logits), cmocka_unit_test(a_sensitive_network_is_near_its_logits_in_double), cmocka_unit_test(gradients_are_pytorchs),
        cmocka_unit_test(default_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
