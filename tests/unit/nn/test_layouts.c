/* A network whose maps are large enough to run in groups of images, with everything the blocked layout does at its borders:
 * joints in place and copied, residual connections, groups that stay on the portable path, odd channels, views. Whatever is
 * kept, however it is batched, and from wherever it is resumed, values agree with the portable path and bits do not change. */
#include "onnx_writer.h"

#include "base/cpu.h"

enum { IMAGES = 7, H = 120, W = 100, SIZE = 3 * H * W, OUTPUTS = 11 };

static const char *const tensors[] = {"x",   "c1",     "r1",  "p1", "c2",   "r2", "cat1", "c3",  "r3",   "cat2",
                                      "bn",  "rb",     "c4",  "t4", "s4",   "g5", "d5",   "c6",  "sum",  "r6",
                                      "odd", "catodd", "avg", "c7", "view", "c8", "max",  "gap", "flat", "scores"};
enum { TENSORS = sizeof tensors / sizeof *tensors };

static void conv(struct onnx *o, const float *w, const char *name, int out, int in, int k, int group, int stride, const char *from,
                 const char *to) {
    char inputs[64];
    const int pad = k / 2;
    onnx_floats(o, name, w, 4, out, in / group, k, k);
    attr_ints(o, "pads", 4, pad, pad, pad, pad);
    attr_ints(o, "strides", 2, stride, stride);
    attr_int(o, "group", group);
    snprintf(inputs, sizeof inputs, "%s,%s", from, name);
    onnx_node(o, "Conv", inputs, to);
}

static void pool(struct onnx *o, const char *op, int k, int stride, int pad, const char *from, const char *to) {
    attr_ints(o, "kernel_shape", 2, k, k);
    attr_ints(o, "strides", 2, stride, stride);
    attr_ints(o, "pads", 4, pad, pad, pad, pad);
    onnx_node(o, op, from, to);
}

static void joint(struct onnx *o, const char *from, const char *to) {
    attr_int(o, "axis", 1);
    onnx_node(o, "Concat", from, to);
}

static why_model *load(const char *cpu) {
    static float w[40000];
    struct onnx o;
    fill_values(w, 40000, 11);
    for (int i = 0; i < 40000; i++) w[i] *= 0.15f;
    onnx_begin(&o, 13, 3, H, W);
    conv(&o, w, "w1", 16, 3, 7, 1, 2, "x", "c1");
    onnx_node(&o, "Relu", "c1", "r1");
    pool(&o, "MaxPool", 3, 1, 1, "r1", "p1");
    conv(&o, w + 50, "w2", 16, 16, 3, 1, 1, "p1", "c2");
    onnx_node(&o, "Relu", "c2", "r2");
    joint(&o, "p1,r2", "cat1"); /* lies in cat2 */
    conv(&o, w + 90, "w3", 16, 32, 3, 1, 1, "cat1", "c3");
    onnx_node(&o, "Relu", "c3", "r3");
    joint(&o, "p1,r2,r3", "cat2");
    onnx_floats(&o, "g", w + 3, 1, 48);
    float var[48];
    for (int i = 0; i < 48; i++) var[i] = 1;
    onnx_floats(&o, "v", var, 1, 48);
    onnx_node(&o, "BatchNormalization", "cat2,g,g,g,v", "bn");
    onnx_node(&o, "Relu", "bn", "rb");
    conv(&o, w + 70, "w4", 32, 48, 1, 1, 1, "rb", "c4");
    onnx_node(&o, "Tanh", "c4", "t4");
    onnx_node(&o, "Mul", "t4,c4", "s4");
    conv(&o, w + 20, "w5", 32, 32, 3, 8, 1, "s4", "g5"); /* groups of 4: portable */
    conv(&o, w + 30, "w5d", 32, 32, 3, 32, 1, "g5", "d5");
    conv(&o, w + 10, "w6", 32, 32, 3, 1, 1, "d5", "c6");
    onnx_node(&o, "Add", "s4,c6", "sum");
    onnx_node(&o, "Relu", "sum", "r6");
    conv(&o, w + 60, "wo", 5, 32, 1, 1, 1, "r6", "odd");
    joint(&o, "odd,r6", "catodd"); /* 5 channels first: no whole block */
    pool(&o, "AveragePool", 2, 2, 0, "catodd", "avg");
    conv(&o, w + 80, "w7", 24, 37, 3, 1, 2, "avg", "c7");
    onnx_ints(&o, "to", 4, 0, 24, -1, 13);
    onnx_node(&o, "Reshape", "c7,to", "view");
    conv(&o, w + 5, "w8", 20, 24, 5, 1, 1, "view", "c8");
    pool(&o, "MaxPool", 2, 2, 0, "c8", "max");
    onnx_node(&o, "GlobalAveragePool", "max", "gap");
    onnx_node(&o, "Flatten", "gap", "flat");
    onnx_floats(&o, "fc", w + 40, 2, 20, OUTPUTS);
    onnx_node(&o, "MatMul", "flat,fc", "scores");
    if (cpu) setenv("WHYPIX_CPU", cpu, 1);
    why_model *m = onnx_load(&o, "scores");
    unsetenv("WHYPIX_CPU");
    return m;
}

static void skip_without_fast_path(void) {
    if (why_cpu_isa() >= WHY_ISA_AVX2) return;
    print_message("skipped: this CPU has only the portable path\n");
    skip();
}

static const float *images(void) {
    static float x[IMAGES * SIZE];
    fill_values(x, IMAGES * SIZE, 4);
    return x;
}

static void every_tensor_agrees_with_the_portable_path(void **state) {
    (void)state;
    skip_without_fast_path();
    why_model *m[2] = {load("generic"), load(NULL)};
    why_session *s[2];
    const why_session_options o = {.max_batch = IMAGES, .keep = tensors, .n_keep = TENSORS};
    for (int k = 0; k < 2; k++) {
        OK(why_session_create(m[k], &o, &s[k]));
        OK(why_session_forward(s[k], images(), IMAGES));
    }
    for (int i = 0; i < TENSORS; i++) {
        why_tensor_view a = why_session_kept(s[0], i), b = why_session_kept(s[1], i);
        const double e = error_in_sd(b.data, a.data, why_shape_count(&a.shape));
        if (!(e < 1e-4)) fail_msg("%s: off by %g standard deviations", tensors[i], e);
    }
    for (int k = 0; k < 2; k++) why_session_destroy(&s[k]), why_model_destroy(&m[k]);
}

struct outputs {
    float logits[IMAGES * OUTPUTS];
};

static void run(const why_model *m, int batch, int threads, const char *keep, struct outputs *out, float *kept) {
    why_pool *pool;
    why_session *s;
    OK(why_pool_create(threads, &pool));
    const why_session_options o = {.max_batch = batch, .pool = pool, .keep = &keep, .n_keep = keep ? 1 : 0};
    OK(why_session_create(m, &o, &s));
    for (int i = 0; i < IMAGES; i += batch) {
        const int n = IMAGES - i < batch ? IMAGES - i : batch;
        OK(why_session_forward(s, images() + i * SIZE, n));
        memcpy(out->logits + i * OUTPUTS, why_session_logits(s), (size_t)(n * OUTPUTS) * sizeof(float));
        if (!keep) continue;
        const why_tensor_view t = why_session_kept(s, 0);
        const int64_t each = why_shape_count(&t.shape) / n;
        memcpy(kept + i * each, t.data, (size_t)(n * each) * sizeof *kept);
    }
    why_session_destroy(&s);
    why_pool_destroy(&pool);
}

static void no_bit_depends_on_batch_threads_or_what_is_kept(void **state) {
    (void)state;
    enum { LARGEST = IMAGES * 48 * 60 * 50 };
    static struct outputs first, other;
    float *kept = malloc(LARGEST * sizeof *kept), *again = malloc(LARGEST * sizeof *again);
    why_model *m = load(NULL);
    assert_true(kept && again);
    run(m, 1, 1, NULL, &first, NULL);
    for (int batch = 1; batch <= IMAGES; batch += 2)
        for (int threads = 1; threads <= 3; threads += 2) {
            run(m, batch, threads, NULL, &other, NULL);
            assert_memory_equal(&first, &other, sizeof first);
        }
    for (int i = 1; i < TENSORS; i++) {
        memset(kept, 0, LARGEST * sizeof *kept);
        memset(again, 0, LARGEST * sizeof *again);
        run(m, IMAGES, 2, tensors[i], &other, kept);
        assert_memory_equal(&first, &other, sizeof first);
        run(m, 2, 1, tensors[i], &other, again);
        assert_memory_equal(kept, again, LARGEST * sizeof *kept);
    }
    free(kept), free(again);
    why_model_destroy(&m);
}

/* What every path to the scores goes through. */
static const char *const through[] = {"x",  "c1",     "r1",  "p1", "cat2", "bn", "rb",  "c4",  "sum",
                                      "r6", "catodd", "avg", "c7", "view", "c8", "max", "gap", "flat"};

/* Resumed with what the forward pass had, nothing changes; with the values of other images, theirs come out. */
static void resuming_is_running_on(void **state) {
    (void)state;
    enum { N = 3 };
    why_model *m = load(NULL);
    const float *x = images();
    for (int i = 0; i < TENSORS; i++) {
        why_session *s;
        float want[2][N * OUTPUTS];
        const why_session_options o = {.max_batch = N, .resume = tensors[i]};
        OK(why_session_create(m, &o, &s));
        float *values = NULL;
        for (int k = 0; k < 2; k++) {
            OK(why_session_forward(s, x + (k ? 0 : N * SIZE), N));
            memcpy(want[k], why_session_logits(s), sizeof want[k]);
            const why_tensor_view t = why_session_resumed(s);
            const size_t bytes = (size_t)why_shape_count(&t.shape) * sizeof(float);
            if (k == 0) assert_non_null(values = malloc(bytes)), memcpy(values, t.data, bytes);
        }
        OK(why_session_resume(s, why_session_resumed(s).data));
        assert_memory_equal(why_session_logits(s), want[1], sizeof want[1]);
        OK(why_session_resume(s, values));
        for (size_t t = 0; t < sizeof through / sizeof *through; t++)
            if (strcmp(through[t], tensors[i]) == 0) assert_memory_equal(why_session_logits(s), want[0], sizeof want[0]);
        why_session_destroy(&s);
        free(values);
    }
    why_model_destroy(&m);
}

static void gradients_agree_with_the_portable_path(void **state) {
    (void)state;
    skip_without_fast_path();
    enum { N = 3 };
    const char *const to[] = {"x", "r2", "cat2", "r6", "avg", "max"};
    enum { TO = sizeof to / sizeof *to };
    why_model *m[2] = {load("generic"), load(NULL)};
    why_session *s[2];
    float seed[N * OUTPUTS];
    fill_values(seed, N * OUTPUTS, 9);
    const why_session_options o = {.max_batch = N, .grad_to = to, .n_grad_to = TO};
    for (int k = 0; k < 2; k++) {
        OK(why_session_create(m[k], &o, &s[k]));
        OK(why_session_forward(s[k], images(), N));
        OK(why_session_backward(s[k], seed, WHY_RULE_PLAIN));
    }
    for (int i = TO - 1; i >= 0; i--) {
        const why_tensor_view a = why_session_gradient(s[0], i), b = why_session_gradient(s[1], i);
        int64_t n = why_shape_count(&a.shape), far = 0;
        double sd = 0;
        for (int64_t k = 0; k < n; k++) sd += (double)a.data[k] * (double)a.data[k] / (double)n;
        for (int64_t k = 0; k < n; k++) far += !(fabs((double)a.data[k] - (double)b.data[k]) < 1e-4 * sqrt(sd));
        /* A rounding that moves a maximum or the sign before a Relu moves some gradients by all their size. */
        if (!(far < n / 500)) fail_msg("gradient of %s: %lld of %lld differ", to[i], (long long)far, (long long)n);
    }
    for (int k = 0; k < 2; k++) why_session_destroy(&s[k]), why_model_destroy(&m[k]);
}

static void the_cpu_class_is_checked(void **state) {
    (void)state;
    struct onnx o;
    const float w[3] = {0};
    for (int k = 0; k < 2; k++) {
        onnx_begin(&o, 13, 3, 4, 4);
        onnx_floats(&o, "w", w, 4, 1, 3, 1, 1);
        onnx_node(&o, "Conv", "x,w", "y");
        onnx_node(&o, "GlobalAveragePool", "y", "z");
        setenv("WHYPIX_CPU", k ? "amx" : "fastest", 1);
        why_model *m = NULL;
        if (k == 0) onnx_refused(&o, "z", WHY_EARG, "'fastest' is unknown");
        else if (why_cpu_isa() < WHY_ISA_AMX) onnx_refused(&o, "z", WHY_EARG, "'amx' is not to be had on this machine");
        else OK(onnx_try(&o, "z", &m));
        why_model_destroy(&m);
    }
    unsetenv("WHYPIX_CPU");
}

/* The steps account for every multiplication of the model and, when asked to, for time. */
static void steps_tell_what_runs(void **state) {
    (void)state;
    why_model *m = load(NULL);
    for (int timed = 0; timed < 2; timed++) {
        why_session *s;
        int64_t macs = 0;
        double seconds = 0;
        bool portable = false;
        OK(why_session_create(m, &(why_session_options){.max_batch = 2, .timed = timed}, &s));
        OK(why_session_forward(s, images(), 2));
        for (int i = 0; i < why_session_steps(s); i++) {
            const why_step_info step = why_session_step(s, i);
            assert_true(step.layer && step.op && step.algorithm[0] && step.group >= 1 && step.group <= 2);
            if (strcmp(step.algorithm, "portable") == 0 && step.shape.dim[0] == 32) portable = true; /* the groups of 4 channels */
            macs += step.macs;
            seconds += step.seconds;
        }
        assert_true(portable);
        assert_int_equal(macs, why_model_get_info(m)->macs);
        assert_true(timed ? seconds > 0 : seconds == 0);
        why_session_destroy(&s);
    }
    why_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_agrees_with_the_portable_path),
        cmocka_unit_test(no_bit_depends_on_batch_threads_or_what_is_kept),
        cmocka_unit_test(resuming_is_running_on),
        cmocka_unit_test(gradients_agree_with_the_portable_path),
        cmocka_unit_test(the_cpu_class_is_checked),
        cmocka_unit_test(steps_tell_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
