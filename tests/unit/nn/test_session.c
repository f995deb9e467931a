/* Sessions: independence of batch and threads, what stays readable, and how requests are refused. */
#include "onnx_writer.h"

/* A small network with every kind of step: stem, depthwise, residual, dense joint, pools, head of Conv and Gemm. */
static void write_network(struct onnx *o) {
    static float w[40000];
    fill_values(w, 40000, 11);
    for (int i = 0; i < 40000; i++) w[i] *= 0.1f;
    onnx_begin(o, 13, 3, 37, 29);
    onnx_floats(o, "w1", w, 4, 16, 3, 3, 3);
    onnx_floats(o, "b1", w + 7, 1, 16);
    onnx_floats(o, "w2", w + 100, 4, 16, 1, 3, 3);
    onnx_floats(o, "w3", w + 500, 4, 16, 16, 1, 1);
    onnx_floats(o, "w4", w + 900, 4, 160, 32, 3, 2);
    onnx_floats(o, "g", w + 3, 1, 32);
    onnx_floats(o, "fc", w + 40, 2, 160, 13);
    const float var[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    onnx_floats(o, "v", var, 1, 32);
    attr_ints(o, "pads", 4, 1, 1, 1, 1);
    onnx_node(o, "Conv", "x,w1,b1", "c1");
    onnx_node(o, "Relu", "c1", "r1");
    attr_int(o, "group", 16);
    attr_ints(o, "pads", 4, 1, 1, 1, 1);
    onnx_node(o, "Conv", "r1,w2", "c2");
    onnx_node(o, "Conv", "c2,w3", "c3");
    onnx_node(o, "Add", "c3,r1", "sum");
    attr_int(o, "axis", 1);
    onnx_node(o, "Concat", "sum,r1", "cat");
    onnx_node(o, "BatchNormalization", "cat,g,g,g,v", "bn");
    onnx_node(o, "Relu", "bn", "r2");
    attr_ints(o, "kernel_shape", 2, 3, 3);
    attr_ints(o, "strides", 2, 2, 2);
    onnx_node(o, "MaxPool", "r2", "p");
    onnx_node(o, "Dropout", "p", "d");
    onnx_node(o, "Conv", "d,w4", "c4");
    onnx_node(o, "Relu", "c4", "r4");
    onnx_node(o, "GlobalAveragePool", "r4", "gap");
    onnx_node(o, "Flatten", "gap", "flat");
    onnx_node(o, "MatMul", "flat,fc", "scores");
    attr_int(o, "axis", 1);
    onnx_node(o, "Softmax", "scores", "prob");
}

enum { IMAGES = 8, SIZE = 3 * 37 * 29, OUTPUTS = 13 };

struct run {
    float logits[IMAGES * OUTPUTS], gradient[IMAGES * SIZE];
};

/* All images in batches of `batch` on `threads` threads. */
static void run_all(const why_model *m, const float *x, int batch, int threads, struct run *r) {
    const char *const grad[] = {"input"};
    why_pool *pool;
    why_session *s;
    float seed[IMAGES * OUTPUTS];
    fill_values(seed, IMAGES * OUTPUTS, 5);
    OK(why_pool_create(threads, &pool));
    const why_session_options o = {.max_batch = batch, .pool = pool, .grad_to = grad, .n_grad_to = 1};
    OK(why_session_create(m, &o, &s));
    for (int i = 0; i < IMAGES; i += batch) {
        int n = IMAGES - i < batch ? IMAGES - i : batch;
        OK(why_session_forward(s, x + i * SIZE, n));
        memcpy(r->logits + i * OUTPUTS, why_session_logits(s), (size_t)(n * OUTPUTS) * sizeof(float));
        OK(why_session_backward(s, seed + i * OUTPUTS, WHY_RULE_PLAIN));
        memcpy(r->gradient + i * SIZE, why_session_gradient(s, 0).data, (size_t)(n * SIZE) * sizeof(float));
    }
    why_session_destroy(&s);
    why_pool_destroy(&pool);
}

static void batch_and_threads_change_no_bit(void **state) {
    (void)state;
    struct onnx o;
    static float x[IMAGES * SIZE];
    static struct run first, other;
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    fill_values(x, IMAGES * SIZE, 2);
    run_all(m, x, 1, 1, &first);
    for (int threads = 1; threads <= 3; threads++)
        for (int batch = 1; batch <= IMAGES; batch += batch < 3 ? 2 : 5) {
            run_all(m, x, batch, threads, &other);
            assert_memory_equal(first.logits, other.logits, sizeof first.logits);
            assert_memory_equal(first.gradient, other.gradient, sizeof first.gradient);
        }
    for (int i = 1; i < IMAGES; i++) assert_memory_not_equal(first.logits, first.logits + i * OUTPUTS, OUTPUTS * sizeof(float));
    why_model_destroy(&m);
}

/* Keeping everything, or asking for gradients, must change neither logits nor kept values. */
static void keeping_changes_nothing(void **state) {
    (void)state;
    struct onnx o;
    float x[SIZE];
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    fill_values(x, SIZE, 2);
    why_session *lean, *full;
    const char *const keep[] = {"input", "c1", "r1", "c2", "c3", "sum", "cat", "bn", "r2", "p", "d", "c4", "r4", "gap", "flat", "scores"};
    enum { N = sizeof keep / sizeof *keep };
    const why_session_options lo = {.max_batch = 2}, fo = {.max_batch = 2, .keep = keep, .n_keep = N, .grad_to = keep, .n_grad_to = N};
    OK(why_session_create(m, &lo, &lean));
    OK(why_session_create(m, &fo, &full));
    assert_true(why_session_bytes(lean) < why_session_bytes(full));
    OK(why_session_forward(lean, x, 1));
    OK(why_session_forward(full, x, 1));
    assert_memory_equal(why_session_logits(lean), why_session_logits(full), OUTPUTS * sizeof(float));
    for (int i = 0; i < N; i++) { /* each alone, where memory is shared as much as it can be */
        const why_session_options one = {.max_batch = 1, .keep = keep + i, .n_keep = 1};
        why_session *s;
        OK(why_session_create(m, &one, &s));
        OK(why_session_forward(s, x, 1));
        why_tensor_view a = why_session_kept(s, 0), b = why_session_kept(full, i);
        assert_int_equal(a.shape.dim[0], 1);
        assert_memory_equal(a.data, b.data, (size_t)why_shape_count(&a.shape) * sizeof(float));
        assert_memory_equal(why_session_logits(s), why_session_logits(full), OUTPUTS * sizeof(float));
        why_session_destroy(&s);
    }
    assert_memory_equal(why_session_kept(full, 0).data, x, sizeof x);
    why_session_destroy(&lean);
    why_session_destroy(&full);
    why_model_destroy(&m);
}

/* A gradient asked for alone, and repeated, is the gradient asked for among others. */
static void gradients_stop_at_the_deepest_name(void **state) {
    (void)state;
    struct onnx o;
    float x[SIZE], seed[OUTPUTS];
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    fill_values(x, SIZE, 2);
    fill_values(seed, OUTPUTS, 9);
    const char *const names[] = {"r4", "d", "cat", "r1", "input", "scores", "flat"};
    enum { N = sizeof names / sizeof *names };
    const why_session_options all = {.max_batch = 1, .grad_to = names, .n_grad_to = N};
    why_session *full;
    OK(why_session_create(m, &all, &full));
    OK(why_session_forward(full, x, 1));
    OK(why_session_backward(full, seed, WHY_RULE_PLAIN));
    for (int i = 0; i < N; i++) {
        const why_session_options one = {.max_batch = 3, .grad_to = names + i, .n_grad_to = 1};
        why_session *s;
        OK(why_session_create(m, &one, &s));
        OK(why_session_forward(s, x, 1));
        for (int again = 0; again < 2; again++) {
            OK(why_session_backward(s, seed, WHY_RULE_PLAIN));
            why_tensor_view a = why_session_gradient(s, 0), b = why_session_gradient(full, i);
            assert_memory_equal(a.data, b.data, (size_t)why_shape_count(&a.shape) * sizeof(float));
        }
        assert_memory_equal(why_session_logits(s), why_session_logits(full), sizeof seed);
        why_session_destroy(&s);
    }
    assert_memory_equal(why_session_gradient(full, 5).data, seed, sizeof seed);
    why_session_destroy(&full);
    why_model_destroy(&m);
}

/* From a tensor that everything passes through, another picture's values give that picture's logits, to the bit; from one
 * that is bypassed (sum: the concatenation reads r1 too), the bypass stays as it was. */
static void resume_runs_what_depends(void **state) {
    (void)state;
    struct onnx o;
    static float x[2 * SIZE], values[40000];
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    fill_values(x, 2 * SIZE, 2);
    const char *const names[] = {"r1", "sum", "d", "r4", "gap"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        float own[OUTPUTS], others[OUTPUTS];
        why_session *s;
        OK(why_session_create(m, &(why_session_options){.max_batch = 1, .resume = names[k]}, &s));
        OK(why_session_forward(s, x + SIZE, 1));
        memcpy(others, why_session_logits(s), sizeof others);
        why_tensor_view v = why_session_resumed(s);
        assert_true(why_shape_count(&v.shape) <= 40000);
        memcpy(values, v.data, (size_t)why_shape_count(&v.shape) * sizeof *values);
        OK(why_session_forward(s, x, 1));
        memcpy(own, why_session_logits(s), sizeof own);
        OK(why_session_resume(s, why_session_resumed(s).data));
        assert_memory_equal(why_session_logits(s), own, sizeof own);
        for (int again = 0; again < 2; again++) OK(why_session_resume(s, values));
        assert_memory_equal(why_session_resumed(s).data, values, sizeof own);
        assert_memory_not_equal(why_session_logits(s), own, sizeof own);
        if (strcmp(names[k], "sum") != 0) assert_memory_equal(why_session_logits(s), others, sizeof others);
        else assert_memory_not_equal(why_session_logits(s), others, sizeof others);
        why_session_destroy(&s);
    }
    why_model_destroy(&m);
}

/* Guided: what is negative on the way back stops at a Relu, and only there. */
static void guided_rule(void **state) {
    (void)state;
    const float x[4] = {-1, 2, 3, -4}, seed[4] = {1, -1, 2, -2}, relu[4] = {0, 0, 2, 0}, clip[4] = {0, -1, 2, 0};
    const char *const to[] = {"input"};
    for (int i = 0; i < 2; i++) {
        struct onnx o;
        onnx_begin(&o, 13, 1, 2, 2);
        const float zero = 0;
        onnx_floats(&o, "zero", &zero, 0);
        if (i) onnx_node(&o, "Clip", "x,zero", "r");
        else onnx_node(&o, "Relu", "x", "r");
        onnx_node(&o, "Flatten", "r", "y");
        why_model *m = onnx_load(&o, "y");
        why_session *s;
        OK(why_session_create(m, &(why_session_options){.max_batch = 1, .grad_to = to, .n_grad_to = 1}, &s));
        OK(why_session_forward(s, x, 1));
        OK(why_session_backward(s, seed, WHY_RULE_GUIDED));
        assert_memory_equal(why_session_gradient(s, 0).data, i ? clip : relu, sizeof clip);
        OK(why_session_backward(s, seed, WHY_RULE_PLAIN));
        assert_memory_equal(why_session_gradient(s, 0).data, clip, sizeof clip);
        why_session_destroy(&s);
        why_model_destroy(&m);
    }
}

static void requests_are_checked(void **state) {
    (void)state;
    struct onnx o;
    static float x[2 * SIZE], seed[2 * OUTPUTS];
    const char *const wrong[] = {"c44"}, *const right[] = {"c4"};
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    why_session *s;
    assert_int_equal(why_session_create(m, &(why_session_options){.max_batch = 0}, &s), WHY_EARG);
    assert_null(s);
    assert_int_equal(why_session_create(m, &(why_session_options){.max_batch = 1, .keep = wrong, .n_keep = 1}, &s), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "did you mean 'c4'"));
    assert_int_equal(why_session_create(m, &(why_session_options){.max_batch = INT32_MAX}, &s), WHY_ELIMIT);
    OK(why_session_create(m, &(why_session_options){.max_batch = 1, .keep = right, .n_keep = 1}, &s));
    assert_int_equal(why_session_backward(s, seed, WHY_RULE_PLAIN), WHY_EARG);
    assert_int_equal(why_session_forward(s, x, 0), WHY_EARG);
    assert_int_equal(why_session_forward(s, x, 2), WHY_EARG);
    assert_string_equal(why_error_text(), "batch: got 2 images, want 1 to 1");
    OK(why_session_forward(s, x, 1));
    assert_int_equal(why_session_backward(s, seed, WHY_RULE_PLAIN), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "grad_to"));
    why_session_destroy(&s);
    const char *const to[] = {"input"};
    why_session_options o2 = {.max_batch = 1, .grad_to = to, .n_grad_to = 1};
    OK(why_session_create(m, &o2, &s));
    OK(why_session_forward(s, x, 1));
    assert_int_equal(why_session_backward(s, seed, WHY_RULE_COUNT), WHY_EARG);
    assert_int_equal(why_session_resume(s, x), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "without a tensor to resume from"));
    why_session_destroy(&s);
    o2.resume = "c4";
    assert_int_equal(why_session_create(m, &o2, &s), WHY_EARG);
    o2 = (why_session_options){.max_batch = 1, .resume = "c4"};
    OK(why_session_create(m, &o2, &s));
    assert_int_equal(why_session_resume(s, x), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "no forward yet"));
    why_session_destroy(&s);
    why_session_destroy(&s); /* destroying nothing is allowed */
    why_model_destroy(&m);
}

/* ---------------------------------------------------------------- names and numbers of the model */
static void layers_and_names(void **state) {
    (void)state;
    struct onnx o;
    write_network(&o);
    why_model *m = onnx_load(&o, "prob");
    const why_model_info *i = why_model_get_info(m);
    assert_int_equal(i->outputs, 13);
    assert_int_equal(i->classes, 13);
    assert_int_equal(i->channels, 3);
    assert_int_equal(i->height, 37);
    assert_int_equal(i->width, 29);
    assert_int_equal(i->opset, 13);
    assert_true(i->ends_in_softmax);
    assert_int_equal(i->parameters, 16 * 27 + 16 + 16 * 9 + 256 + 160 * 32 * 6 + 32 + 32 + 160 * 13);
    int64_t plane = 37 * 29, small = (18 - 2) * (14 - 1);
    assert_int_equal(i->macs, plane * (16 * 27 + 16 * 9 + 256) + small * 160 * 32 * 6 + 160 * 13);
    const char *tensor;
    static const char *const same[][2] = {{"input", "x"}, {"x", "x"},      {"last_conv", "r4"}, {"Conv_0", "c1"}, {"c1", "c1"},
                                          {"d", "p"},     {"Dropout_9", "p"}, {"scores", "scores"}, {"MatMul_14", "scores"}};
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        OK(why_model_resolve(m, same[k][0], &tensor));
        assert_string_equal(tensor, same[k][1]);
    }
    assert_int_equal(why_model_resolve(m, "prob", &tensor), WHY_EARG); /* behind the logits */
    int n;
    const why_layer *l = why_model_layers(m, &n);
    assert_int_equal(n, 15);
    assert_string_equal(l[9].name, "Dropout_9");
    assert_string_equal(l[9].folded_into, "MaxPool_8");
    assert_true(l[0].cam && l[9].cam && !l[12].cam && !l[14].cam);
    assert_int_equal(l[0].shape.rank, 3);
    assert_int_equal(l[0].shape.dim[0], 16);
    char *text;
    OK(why_model_describe(m, &text));
    assert_non_null(strstr(text, "15 layers"));
    assert_non_null(strstr(text, "last_conv = r4"));
    free(text);
    why_model_destroy(&m);
}

/* Conv + BatchNormalization become one layer; both names mean its output. */
static void folded_names_resolve(void **state) {
    (void)state;
    struct onnx o;
    const float w[27] = {0}, g[3] = {1, 2, 3};
    const char *tensor;
    onnx_begin(&o, 13, 3, 4, 4);
    onnx_floats(&o, "w", w, 4, 3, 3, 1, 1);
    onnx_floats(&o, "g", g, 1, 3);
    onnx_node(&o, "Conv", "x,w", "c");
    onnx_node(&o, "Identity", "c", "i");
    onnx_node(&o, "BatchNormalization", "i,g,g,g,g", "b");
    onnx_node(&o, "Relu", "b", "r");
    onnx_node(&o, "GlobalAveragePool", "r", "y");
    why_model *m = onnx_load(&o, "y");
    static const char *const names[] = {"c", "i", "b", "Conv_0", "Identity_1", "BatchNormalization_2"};
    for (int k = 0; k < 6; k++) {
        OK(why_model_resolve(m, names[k], &tensor));
        assert_string_equal(tensor, "b");
    }
    int n;
    const why_layer *l = why_model_layers(m, &n);
    assert_string_equal(l[1].folded_into, "Conv_0");
    assert_string_equal(l[2].folded_into, "Conv_0");
    assert_null(l[0].folded_into);
    assert_int_equal(why_model_get_info(m)->parameters, 9 + 3); /* g stands for four things but is one tensor */
    why_model_destroy(&m);
}

/* A 1x1 Conv to the classes, activation and pooling are the head; the same Conv before a Gemm is not. */
static void class_maps_are_the_head(void **state) {
    (void)state;
    float w[5 * 3] = {0}, fc[25] = {0};
    for (int gemm = 0; gemm < 2; gemm++) {
        struct onnx o;
        const char *tensor;
        onnx_begin(&o, 13, 3, 4, 4);
        onnx_floats(&o, "w", w, 4, 5, 3, 1, 1);
        onnx_floats(&o, "fc", fc, 2, 5, 5);
        onnx_node(&o, "Tanh", "x", "t");
        onnx_node(&o, "Conv", "t,w", "c");
        onnx_node(&o, "Relu", "c", "r");
        onnx_node(&o, "GlobalAveragePool", "r", "p");
        onnx_node(&o, "Flatten", "p", "f");
        if (gemm) onnx_node(&o, "Gemm", "f,fc", "y");
        why_model *m = onnx_load(&o, gemm ? "y" : "f");
        OK(why_model_resolve(m, "last_conv", &tensor));
        assert_string_equal(tensor, gemm ? "r" : "t");
        why_model_destroy(&m);
    }
}

static void a_network_without_feature_maps(void **state) {
    (void)state;
    struct onnx o;
    const float w[48] = {0};
    const char *tensor;
    onnx_begin(&o, 13, 3, 4, 4);
    onnx_floats(&o, "w", w, 2, 1, 48);
    onnx_node(&o, "Flatten", "x", "f");
    attr_int(&o, "transB", 1);
    onnx_node(&o, "Gemm", "f,w", "s");
    onnx_node(&o, "Sigmoid", "s", "y");
    why_model *m = onnx_load(&o, "y");
    assert_int_equal(why_model_resolve(m, "last_conv", &tensor), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "no feature map"));
    assert_int_equal(why_model_get_info(m)->outputs, 1);
    assert_int_equal(why_model_get_info(m)->classes, 2);
    assert_true(why_model_get_info(m)->ends_in_softmax);
    why_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_and_threads_change_no_bit),
        cmocka_unit_test(keeping_changes_nothing),
        cmocka_unit_test(gradients_stop_at_the_deepest_name),
        cmocka_unit_test(resume_runs_what_depends),
        cmocka_unit_test(guided_rule),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(layers_and_names),
        cmocka_unit_test(folded_names_resolve),
        cmocka_unit_test(class_maps_are_the_head),
        cmocka_unit_test(a_network_without_feature_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
