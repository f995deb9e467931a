/* Properties of DeepLIFT, Deep SHAP and expected gradients: completeness for every output, closed forms of a linear model,
 * background sets and what users may get wrong. Operators' rules are tested in nn/test_rescale.c. */
#include "scene.h"

#include "../nn/onnx_writer.h"
#include "explain/background.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE };

static void assert_refused(const scene *s, const char *explainer, const char *const *settings, const char *text) {
    why_explanation e;
    assert_int_equal(scene_try(s, explainer, 1, settings, &e), WHY_EARG);
    if (!strstr(why_error_text(), text)) fail_msg("'%s' does not say '%s'", why_error_text(), text);
}

/* A network of what peers lose track of: overlapping maxima, a residual sum, a joint, an activation read twice, and
 * BatchNormalization that stays an operator. */
static why_model *make_tangle(void) {
    static float w[4000];
    const float v[8] = {1, 2, 0.5f, 1, 3, 1, 0.7f, 1};
    struct onnx o;
    fill_values(w, 4000, 4);
    for (int i = 0; i < 4000; i++) w[i] *= 0.2f;
    onnx_begin(&o, 13, 3, SIDE, SIDE);
    onnx_floats(&o, "w1", w, 4, 8, 3, 5, 5);
    onnx_floats(&o, "w2", w + 700, 4, 8, 8, 3, 3);
    onnx_floats(&o, "w3", w + 1400, 4, 8, 16, 3, 3);
    onnx_floats(&o, "b", w + 50, 1, 8);
    onnx_floats(&o, "v", v, 1, 8);
    onnx_floats(&o, "fc", w + 3000, 2, 8, 5);
    attr_ints(&o, "strides", 2, 2, 2);
    onnx_node(&o, "Conv", "x,w1,b", "c1");
    onnx_node(&o, "Relu", "c1", "r1");
    attr_ints(&o, "kernel_shape", 2, 3, 3);
    attr_ints(&o, "strides", 2, 2, 2);
    attr_ints(&o, "pads", 4, 1, 1, 1, 1);
    onnx_node(&o, "MaxPool", "r1", "p1");
    onnx_node(&o, "BatchNormalization", "p1,v,b,b,v", "n1");
    onnx_node(&o, "Relu", "n1", "r2");
    attr_ints(&o, "pads", 4, 1, 1, 1, 1);
    onnx_node(&o, "Conv", "r2,w2", "c2");
    onnx_node(&o, "Add", "c2,r2", "sum");
    attr_int(&o, "axis", 1);
    onnx_node(&o, "Concat", "sum,r2", "cat");
    onnx_node(&o, "Conv", "cat,w3", "c3");
    onnx_node(&o, "Sigmoid", "c3", "s3");
    onnx_node(&o, "Mul", "s3,c3", "swish");
    onnx_node(&o, "GlobalAveragePool", "swish", "gap");
    onnx_node(&o, "Flatten", "gap", "flat");
    onnx_node(&o, "MatMul", "flat,fc", "y");
    return onnx_load(&o, "y");
}

/* The committed picture under another model. */
static void open_tangle(scene *s, int max_batch) {
    scene_open(s, 1, 1);
    why_subject_destroy(&s->subject);
    why_evaluator_destroy(&s->ev);
    why_model_destroy(&s->model);
    s->model = make_tangle();
    const why_evaluator_options o = {.model = s->model, .preprocess = why_preprocess_find("torchvision"), .max_batch = max_batch};
    TRY(why_evaluator_create(&o, &s->ev));
    TRY(why_subject_create(s->ev, &s->image, NULL, 2025, 77, &s->subject));
}

static double total(const why_explanation *e) {
    double sum = 0;
    for (int i = 0; i < e->h * e->w; i++) sum += e->map[i];
    return sum;
}

static double score_of_fill(const scene *s, const char *text, int class_index, why_output output) {
    const why_fill *fill;
    float logits[8];
    TRY(why_evaluator_fill(s->ev, text, NULL, &fill));
    TRY(why_evaluator_run(s->ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill}, 1, logits));
    return why_score(logits, 5, class_index, output);
}

static why_explanation explain_output(const scene *s, const char *explainer, int class_index, why_output output,
                                      const char *const *settings) {
    const why_explainer *x = why_explainer_find(explainer);
    why_params *p;
    why_explanation e;
    TRY(why_params_create(x->params, &p));
    for (; settings && settings[0]; settings += 2) TRY(why_params_set(p, settings[0], settings[1]));
    TRY(why_explanation_create(s->image.h, s->image.w, &e));
    const why_request r = {.subject = s->subject, .class_index = class_index, .output = output, .params = p,
                           .stream = why_subject_stream(s->subject, "test")};
    TRY(x->explain(&r, &e));
    why_params_destroy(&p);
    return e;
}

/* ---------------------------------------------------------------- completeness */
static void shares_add_up(void **state) {
    (void)state;
    static const char *const baselines[] = {"zero", "mean", "white", "blur(9,9)"};
    for (int net = 0; net < 2; net++) {
        scene s;
        const float *own;
        double worst = 0;
        if (net) open_tangle(&s, 8);
        else scene_open(&s, 8, 1);
        TRY(why_evaluator_original(s.ev, &own));
        for (int i = 0; i < 4; i++)
            for (int output = WHY_PROBABILITY; output <= WHY_LOG_ODDS; output++)
                for (int c = 0; c < 5; c += 2) {
                    why_explanation e = explain_output(&s, "deeplift", c, (why_output)output, SETTINGS("baseline", baselines[i]));
                    const double gap = why_score(own, 5, c, (why_output)output) - score_of_fill(&s, baselines[i], c, (why_output)output);
                    worst = fmax(worst, fabs(total(&e) - gap));
                    worst = fmax(worst, fabs(e.residual));
                    assert_null(e.note);
                    why_explanation_clear(&e);
                }
        printf("  completeness of deeplift: largest difference %.1e\n", worst);
        assert_true(worst < 2e-5);
        scene_close(&s);
    }
}

/* Deep SHAP is the mean of DeepLIFT over its references, and adds up to the mean difference. */
static void deep_shap_is_a_mean(void **state) {
    (void)state;
    static const char *const parts[] = {"zero", "blur(16,16)", "colour(10,200,30)"};
    scene s;
    double mean[PIXELS] = {0};
    open_tangle(&s, 8);
    for (int i = 0; i < 3; i++) {
        why_explanation e = scene_explain(&s, "deeplift", 3, SETTINGS("baseline", parts[i]));
        for (int k = 0; k < PIXELS; k++) mean[k] += e.map[k] / 3;
        why_explanation_clear(&e);
    }
    why_explanation e = scene_explain(&s, "shap_deep", 3, SETTINGS("background", "zero+blur(16,16)+colour(10,200,30)"));
    for (int k = 0; k < PIXELS; k++) assert_true(fabs(e.map[k] - mean[k]) < 1e-6);
    assert_int_equal(e.evaluations, 3);
    assert_true(fabs(e.residual) < 1e-5);
    why_explanation_clear(&e);
    scene_close(&s);
}

/* References are looked at in groups: neither their size nor threads leave a trace. */
static void batches_leave_no_trace(void **state) {
    (void)state;
    static const int batches[] = {1, 2, 3, 16};
    static const char *const explainers[] = {"shap_deep", "shap_gradient"};
    for (int x = 0; x < 2; x++) {
        float first[PIXELS];
        for (int i = 0; i < 4; i++) {
            scene s;
            scene_open(&s, batches[i], 1 + i % 2);
            why_explanation e = scene_explain(&s, explainers[x], 2, SETTINGS("background", "zero+white+mean+black+blur(3,3)"));
            if (i == 0) memcpy(first, e.map, sizeof first);
            assert_memory_equal(e.map, first, sizeof first);
            why_explanation_clear(&e);
            scene_close(&s);
        }
    }
}

/* The multipliers of a pair of one image twice are the gradient; those of a layer that all paths cross add up too. */
static void multipliers_of_layers(void **state) {
    (void)state;
    scene s;
    why_tensor_view act, mult, grad;
    float keep[3 * PIXELS];
    double scores[3];
    const why_fill *zero, *white;
    scene_open(&s, 4, 1);
    TRY(why_evaluator_fill(s.ev, "zero", NULL, &zero));
    TRY(why_evaluator_fill(s.ev, "white", NULL, &white));
    const why_perturbation refs[2] = {{.kind = WHY_SHOW_BOXES, .fill = zero}, {.kind = WHY_SHOW_BOXES, .fill = white}};
    TRY(why_evaluator_multipliers(s.ev, "input", refs, 2, 1, WHY_PROBABILITY, &act, &mult, scores));
    memcpy(keep, mult.data, sizeof keep);
    TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, 1, WHY_PROBABILITY, WHY_RULE_PLAIN, NULL, &grad));
    float same[3 * PIXELS];
    memcpy(same, grad.data, sizeof same);
    closeness c = compare(keep, same, 3 * PIXELS);
    assert_true(c.error < 1e-5);
    TRY(why_evaluator_multipliers(s.ev, "/4/Relu", refs, 2, 1, WHY_PROBABILITY, &act, &mult, scores));
    const int64_t n = why_shape_count(&act.shape) / 3;
    for (int i = 1; i < 3; i++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++) sum += (double)mult.data[i * n + k] * ((double)act.data[k] - act.data[i * n + k]);
        assert_true(fabs(sum - (scores[0] - scores[i])) < 1e-6);
    }
    assert_int_equal(why_evaluator_multipliers(s.ev, "input", refs, 4, 1, WHY_LOGIT, &act, &mult, NULL), WHY_EARG);
    assert_int_equal(why_evaluator_max_references(s.ev), 3);
    scene_close(&s);
}

/* ---------------------------------------------------------------- a linear model: y_c = w_c x */
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

/* Everybody credits a pixel with w (x - x0); with one reference no draw of the way matters. */
static void a_linear_model(void **state) {
    (void)state;
    static const char *const explainers[][2] = {{"deeplift", "baseline"}, {"shap_deep", "background"}, {"shap_gradient", "background"}};
    scene s;
    float w[SIZE][2], x[SIZE], x0[SIZE], rgb[SIZE], white[SIZE];
    open_linear(&s, w);
    const why_preprocess *pre = why_preprocess_find("torchvision");
    for (int i = 0; i < SIZE; i++) rgb[i] = s.image.rgb[i], white[i] = 255;
    why_normalise(pre, rgb, ROWS, COLUMNS, 3, x);
    why_normalise(pre, white, ROWS, COLUMNS, 3, x0);
    for (int k = 0; k < 3; k++) {
        why_explanation e = scene_explain(&s, explainers[k][0], 1, SETTINGS(explainers[k][1], "white"));
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            double want = 0;
            for (int c = 0; c < 3; c++) {
                const int at = c * ROWS * COLUMNS + i;
                want += (double)w[at][1] * ((double)x[at] - x0[at]);
            }
            if (!(fabs(e.map[i] - want) < 1e-5)) fail_msg("%s: pixel %d is %g, want %g", explainers[k][0], i, (double)e.map[i], want);
        }
        assert_true(fabs(e.residual) < 1e-4);
        if (k == 2) assert_true(e.se_range < 1e-6);
        why_explanation_clear(&e);
    }
    scene_close(&s);
}

/* ---------------------------------------------------------------- expected gradients */
/* More draws: the shares come nearer to the difference, and the error is what the standard error says. */
static void draws_converge(void **state) {
    (void)state;
    scene s;
    double gap[2], se[2];
    scene_open(&s, 8, 1);
    for (int i = 0; i < 2; i++) {
        why_explanation e = scene_explain(&s, "shap_gradient", 1, SETTINGS("background", "zero+blur(9,9)", "samples", i ? "3200" : "200"));
        gap[i] = fabs(e.residual);
        se[i] = e.se_range;
        float largest = 0, lo = e.map[0], hi = e.map[0];
        for (int k = 0; k < PIXELS; k++) {
            largest = fmaxf(largest, e.se[k]);
            lo = fminf(lo, e.map[k]);
            hi = fmaxf(hi, e.map[k]);
        }
        assert_true(fabs(largest / (hi - lo) - e.se_range) < 1e-4);
        why_explanation_clear(&e);
    }
    const float *own;
    TRY(why_evaluator_original(s.ev, &own));
    assert_true(gap[1] < 0.05 * fabs(own[1] - score_of_fill(&s, "blur(9,9)", 1, WHY_LOGIT)) + 0.3);
    assert_true(se[1] / se[0] > 0.2 && se[1] / se[0] < 0.3); /* a quarter */
    scene_close(&s);
}

/* Standard errors of single positions are what maps of other draws scatter by: 24 streams, at the input and at a layer. */
static void standard_errors_are_calibrated(void **state) {
    (void)state;
    enum { STREAMS = 24 };
    const why_explainer *x = why_explainer_find("shap_gradient");
    for (int layer = 0; layer < 2; layer++) {
        scene s;
        why_params *p;
        char use[32];
        double sum[PIXELS] = {0}, squares[PIXELS] = {0}, claimed = 0, seen = 0;
        scene_open(&s, 8, 1);
        TRY(why_params_create(x->params, &p));
        TRY(why_params_set(p, "samples", "40"));
        if (layer) TRY(why_params_set(p, "layer", "/7/Relu"));
        for (int k = 0; k < STREAMS; k++) {
            why_explanation e;
            snprintf(use, sizeof use, "stream %d", k);
            TRY(why_explanation_create(SIDE, SIDE, &e));
            const why_request r = {.subject = s.subject, .class_index = 1, .output = WHY_LOGIT, .params = p,
                                   .stream = why_subject_stream(s.subject, use)};
            TRY(x->explain(&r, &e));
            for (int i = 0; i < PIXELS; i++) {
                sum[i] += e.map[i];
                squares[i] += (double)e.map[i] * e.map[i];
                claimed += (double)e.se[i] * e.se[i] / STREAMS;
            }
            why_explanation_clear(&e);
        }
        for (int i = 0; i < PIXELS; i++) seen += (squares[i] - sum[i] * sum[i] / STREAMS) / (STREAMS - 1);
        const double ratio = sqrt(claimed / seen);
        printf("  shap_gradient at %s: claimed standard error is %.3f of the scatter\n", layer ? "a layer" : "the input", ratio);
        assert_true(ratio > 0.8 && ratio < 1.25);
        why_params_destroy(&p);
        scene_close(&s);
    }
}

/* The first draws of a larger budget are the smaller one's, and a file of draws replays them. */
static void draws_are_a_prefix(void **state) {
    (void)state;
    scene s;
    char path[] = "/tmp/whypix-deep-XXXXXX";
    float rows[2 * 30];
    scene_open(&s, 8, 1);
    for (int i = 0; i < 30; i++) {
        why_rng g = why_rng_at(why_subject_stream(s.subject, "test"), (uint64_t)i);
        rows[2 * i] = (float)why_rng_below(&g, 3);
        rows[2 * i + 1] = (float)why_rng_uniform(&g);
    }
    close(mkstemp(path));
    TRY(why_npy_save_f32(path, &(why_shape){.rank = 2, .dim = {30, 2}}, rows));
    for (int n = 10; n <= 30; n += 20) {
        char count[16];
        snprintf(count, sizeof count, "%d", n);
        why_explanation a = scene_explain(&s, "shap_gradient", 1, SETTINGS("samples", count));
        why_explanation b = scene_explain(&s, "shap_gradient", 1, SETTINGS("samples", count, "draws", path));
        assert_true(compare(a.map, b.map, PIXELS).error < 1e-5); /* the file's places are floats */
        assert_int_equal(a.evaluations, n + 3);
        why_explanation_clear(&a);
        why_explanation_clear(&b);
    }
    assert_refused(&s, "shap_gradient", SETTINGS("samples", "31", "draws", path), "want at least 31 x 2");
    assert_refused(&s, "shap_gradient", SETTINGS("samples", "30", "draws", path, "background", "zero"), "want a reference of 0 to 0");
    unlink(path);
    scene_close(&s);
}

/* What image and reference have in common is nobody's doing: a background of the image itself leaves nothing. shap 0.49
 * multiplies gradients at a layer by its values, and would show them. */
static void nothing_changed(void **state) {
    (void)state;
    scene s;
    float rgb[3 * PIXELS];
    char path[] = "/tmp/whypix-deep-XXXXXX", text[64];
    scene_open(&s, 8, 1);
    for (int i = 0; i < 3 * PIXELS; i++) rgb[i] = s.image.rgb[i];
    close(mkstemp(path));
    TRY(why_npy_save_f32(path, &(why_shape){.rank = 4, .dim = {1, SIDE, SIDE, 3}}, rgb));
    snprintf(text, sizeof text, "file(%s)", path);
    const char *const cases[][2] = {{"shap_deep", "sum"}, {"shap_gradient", "input"}, {"shap_gradient", "/4/Relu"}};
    for (int k = 0; k < 3; k++) {
        why_explanation e = scene_explain(&s, cases[k][0], 1, SETTINGS("background", text, k ? "layer" : "channels", cases[k][1]));
        for (int i = 0; i < PIXELS; i++) assert_true(e.map[i] == 0);
        assert_string_equal(e.note, "all-zero map");
        assert_true(fabs(e.residual) < 1e-6);
        why_explanation_clear(&e);
    }
    unlink(path);
    scene_close(&s);
}

/* ---------------------------------------------------------------- background sets */
static void texts_of_backgrounds(void **state) {
    (void)state;
    why_background_spec b;
    TRY(why_background_parse("zero+images(n=5,pick=first)+file(/a+b(1).npy)+blur(3,3)+images(8)", &b));
    assert_int_equal(b.n_parts, 5);
    assert_int_equal(b.part[0].kind, WHY_BACKGROUND_FILL);
    assert_true(b.part[1].kind == WHY_BACKGROUND_IMAGES && b.part[1].n == 5 && b.part[1].first);
    assert_true(b.part[2].kind == WHY_BACKGROUND_FILE);
    assert_string_equal(b.part[2].text, "/a+b(1).npy");
    assert_string_equal(b.part[3].text, "blur(3,3)");
    assert_true(b.part[4].n == 8 && !b.part[4].first);
    for (int i = 0; i < 5; i++) assert_int_equal(why_background_pick(&b.part[1], 100, i), i);
    for (int i = 0; i < 8; i++) assert_int_equal(why_background_pick(&b.part[4], 100, i), i * 100 / 8);
    for (int i = 0; i < 8; i++) assert_int_equal(why_background_pick(&b.part[4], 8, i), i);
    why_background_spec_clear(&b);
    assert_int_equal(why_background_count("zero+images(20)+file(x.npy)"), 37);
    static const char *const bad[] = {"", "+zero", "zero++mean", "zeros", "images(0)", "images(n=3,pick=best)", "file()", "file(x",
                                      "segment_mean", "zero("};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(why_background_check(bad[i]), WHY_EARG);
        assert_int_equal(why_background_count(bad[i]), 0);
    }
    TRY(why_baseline_check("blur(3,3)"));
    assert_int_equal(why_baseline_check("zero+mean"), WHY_EARG);
    assert_int_equal(why_baseline_check("images(1)"), WHY_EARG);
}

static why_status load_flat(const void *ctx, int index, why_image *out) {
    if (index == 5) return why_fail(WHY_EFILE, "picture 5 is torn");
    ++*(int *)(uintptr_t)ctx;
    WHY_TRY(why_image_create(SIDE, SIDE, out));
    memset(out->rgb, 20 * index, 3 * PIXELS);
    return WHY_OK;
}

/* Pictures of a list are what they are as fills, and are loaded once. */
static void pictures_of_a_list(void **state) {
    (void)state;
    scene s;
    int loads = 0;
    scene_open(&s, 4, 1);
    assert_refused(&s, "shap_deep", SETTINGS("background", "images(2)"), "there is no list of images here");
    why_explanation want = scene_explain(&s, "shap_deep", 1, SETTINGS("background", "colour(0,0,0)+colour(60,60,60)"));
    why_subject_destroy(&s.subject);
    why_evaluator_destroy(&s.ev);
    const why_evaluator_options o = {.model = s.model, .preprocess = why_preprocess_find("torchvision"), .max_batch = 4,
                                     .gallery = {.n = 6, .load = load_flat, .ctx = &loads}};
    TRY(why_evaluator_create(&o, &s.ev));
    TRY(why_subject_create(s.ev, &s.image, NULL, 2025, 77, &s.subject));
    for (int turn = 0; turn < 2; turn++) {
        why_explanation e = scene_explain(&s, "shap_deep", 1, SETTINGS("background", "images(2)"));
        assert_memory_equal(e.map, want.map, PIXELS * sizeof *e.map);
        why_explanation_clear(&e);
    }
    assert_int_equal(loads, 2);
    assert_refused(&s, "shap_deep", SETTINGS("background", "images(7)"), "the job's list has 6");
    why_explanation e;
    assert_int_equal(scene_try(&s, "shap_deep", 1, SETTINGS("background", "images(6)"), &e), WHY_EFILE);
    assert_non_null(strstr(why_error_text(), "picture 5 is torn"));
    why_explanation_clear(&want);
    scene_close(&s);
}

static void bad_requests(void **state) {
    (void)state;
    scene s;
    float one[3] = {1, 2, 300};
    char path[] = "/tmp/whypix-deep-XXXXXX", text[64];
    scene_open(&s, 4, 1);
    close(mkstemp(path));
    snprintf(text, sizeof text, "file(%s)", path);
    TRY(why_npy_save_f32(path, &(why_shape){.rank = 4, .dim = {1, 1, 1, 3}}, one));
    assert_refused(&s, "shap_deep", SETTINGS("background", text), "want pictures x 48 x 48 x 3 values");
    float *large = calloc(3 * PIXELS, sizeof *large);
    large[7] = 256;
    TRY(why_npy_save_f32(path, &(why_shape){.rank = 4, .dim = {1, SIDE, SIDE, 3}}, large));
    assert_refused(&s, "shap_deep", SETTINGS("background", text), "value 256, want colours of 0 to 255");
    free(large);
    unlink(path);
    assert_refused(&s, "deeplift", SETTINGS("baseline", "zero+mean"), "want one fill of the picture");
    assert_refused(&s, "deeplift", SETTINGS("baseline", "zeros"), "did you mean 'zero'");
    assert_refused(&s, "shap_gradient", SETTINGS("layer", "/10/Gemm"), "its output is a vector");
    assert_refused(&s, "shap_gradient", SETTINGS("layer", "/4/Rel"), "did you mean '/4/Relu'");
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_add_up),
        cmocka_unit_test(deep_shap_is_a_mean),
        cmocka_unit_test(batches_leave_no_trace),
        cmocka_unit_test(multipliers_of_layers),
        cmocka_unit_test(a_linear_model),
        cmocka_unit_test(draws_converge),
        cmocka_unit_test(standard_errors_are_calibrated),
        cmocka_unit_test(draws_are_a_prefix),
        cmocka_unit_test(nothing_changed),
        cmocka_unit_test(texts_of_backgrounds),
        cmocka_unit_test(pictures_of_a_list),
        cmocka_unit_test(bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
