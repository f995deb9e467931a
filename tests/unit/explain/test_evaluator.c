/* Perturbed copies, their cache, fills and gradients, on the committed tiny net. */
#include "scene.h"

#include "base/mem.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE, WORDS = PIXELS / 64 };

/* Quarters of the picture as four segments. */
static why_segments quarters(void) {
    why_segments s = {.h = SIDE, .w = SIDE, .n = 4, .label = calloc(PIXELS, sizeof *s.label)};
    for (int i = 0; i < PIXELS; i++) s.label[i] = 2 * (i / SIDE >= SIDE / 2) + (i % SIDE >= SIDE / 2);
    return s;
}

/* image where shown, fill elsewhere, as colours. */
static float *by_hand(const scene *s, const float *fill, const uint8_t *shown) {
    float *rgb = malloc(3 * PIXELS * sizeof *rgb);
    for (int i = 0; i < 3 * PIXELS; i++) rgb[i] = shown[i] ? (float)s->image.rgb[i] : fill[i];
    return rgb;
}

/* The perturbation's logits equal those of the picture made by hand, to the last bit. */
static void assert_composed(const scene *s, const why_perturbation *p, const uint8_t *shown) {
    float got[8], want[8], *rgb = by_hand(s, p->fill->rgb, shown);
    const why_perturbation whole = {.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb};
    TRY(why_evaluator_run(s->ev, p, 1, got));
    TRY(why_evaluator_run(s->ev, &whole, 1, want));
    assert_memory_equal(got, want, (size_t)scene_outputs(s) * sizeof *got);
    free(rgb);
}

static void every_kind(void **state) {
    (void)state;
    scene s;
    const why_fill *fill;
    static uint8_t shown[3 * PIXELS];
    scene_open(&s, 4, 1);
    TRY(why_evaluator_fill(s.ev, "blur(7,5)", NULL, &fill));

    why_segments q = quarters();
    uint64_t on = 5;
    for (int i = 0; i < 3 * PIXELS; i++) shown[i] = on >> q.label[i / 3] & 1;
    assert_composed(&s, &(why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {&q, &on}}, shown);
    why_segments_clear(&q);

    const why_box boxes[] = {{3, 20, 5, 40, 0, 3}, {10, 47, 30, 31, 1, 2}, {8, 8, 0, SIDE, 0, 3}};
    memset(shown, 0, sizeof shown);
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < 3 * PIXELS; i++) {
            int y = i / 3 / SIDE, x = i / 3 % SIDE, c = i % 3;
            const why_box k = boxes[b];
            if (y >= k.y0 && y < k.y1 && x >= k.x0 && x < k.x1 && c >= k.c0 && c < k.c1) shown[i] = 1;
        }
    assert_composed(&s, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {boxes, 3}}, shown);

    uint64_t pixels[WORDS];
    for (int i = 0; i < WORDS; i++) pixels[i] = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
    for (int i = 0; i < 3 * PIXELS; i++) shown[i] = pixels[i / 3 / 64] >> i / 3 % 64 & 1;
    assert_composed(&s, &(why_perturbation){.kind = WHY_SHOW_PIXELS, .fill = fill, .u.pixels = pixels}, shown);

    static float soft[PIXELS];
    for (int i = 0; i < PIXELS; i++) soft[i] = shown[3 * i];
    assert_composed(&s, &(why_perturbation){.kind = WHY_SOFT_MAP, .fill = fill, .u.soft = soft}, shown);
    scene_close(&s);
}

/* A fill that is painted from what is shown: whatever names the hidden pixels, the copy is the inpainter's. A box of some
 * channels hides its pixels; all hidden is the mean colour, truncated. Threads have scratch of their own. */
static void remade_fill(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        scene s;
        const why_fill *fill;
        static uint8_t hidden[PIXELS], painted[3 * PIXELS];
        static float rgb[3 * PIXELS];
        float got[4][8], want[8];
        scene_open(&s, 4, threads);
        TRY(why_evaluator_fill(s.ev, "inpaint_telea", NULL, &fill));
        why_segments q = quarters();
        uint64_t on = 6, pixels[WORDS] = {0};
        for (int i = 0; i < PIXELS; i++) {
            hidden[i] = !(on >> q.label[i] & 1);
            pixels[i / 64] |= (uint64_t)!hidden[i] << i % 64;
        }
        const why_box boxes[] = {
            {0, 24, 24, SIDE, 0, 3}, {24, SIDE, 0, 24, 0, 2}, {30, SIDE, 0, 24, 2, 3}, {20, 30, 0, 24, 2, 3}};
        const why_box part = {0, SIDE, 0, SIDE, 0, 2};
        const why_perturbation p[] = {{.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {&q, &on}},
                                      {.kind = WHY_SHOW_PIXELS, .fill = fill, .u.pixels = pixels},
                                      {.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {boxes, 4}},
                                      {.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&part, 1}}};
        void *scratch = malloc(why_inpaint_scratch(SIDE, SIDE, 3));
        why_inpaint_telea(s.image.rgb, hidden, SIDE, SIDE, 3, scratch, painted);
        free(scratch);
        for (int i = 0; i < 3 * PIXELS; i++) rgb[i] = painted[i];
        TRY(why_evaluator_run(s.ev, p, 4, got[0]));
        TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb}, 1, want));
        const size_t row = (size_t)scene_outputs(&s);
        for (size_t i = 0; i < 3; i++) assert_memory_equal(got[0] + i * row, want, row * sizeof *want);
        TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = fill->rgb}, 1, want));
        assert_memory_equal(got[0] + 3 * row, want, row * sizeof *want);
        assert_true(fill->rgb[0] == floorf(fill->rgb[0]));
        why_segments_clear(&q);
        scene_close(&s);
    }
}

/* Half image, half fill is what a map of 1/2 gives, up to the rounding of a mean taken before or after normalisation. */
static void soft_blend(void **state) {
    (void)state;
    scene s;
    const why_fill *fill;
    float got[8], want[8];
    static float half[PIXELS], rgb[3 * PIXELS];
    scene_open(&s, 2, 1);
    TRY(why_evaluator_fill(s.ev, "white", NULL, &fill));
    for (int i = 0; i < PIXELS; i++) half[i] = 0.5f;
    for (int i = 0; i < 3 * PIXELS; i++) rgb[i] = (s.image.rgb[i] + 255.0f) / 2;
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SOFT_MAP, .fill = fill, .u.soft = half}, 1, got));
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb}, 1, want));
    for (int i = 0; i < scene_outputs(&s); i++) assert_true(fabsf(got[i] - want[i]) < 1e-5f);
    scene_close(&s);
}

/* ---------------------------------------------------------------- cache */
static void cache_counts(void **state) {
    (void)state;
    scene s;
    const why_fill *black, *white;
    uint64_t on[] = {1, 2, 1, 1}, all = 15, none = 0, pixels[WORDS];
    float logits[4 * 8], again[4 * 8], one[8];
    scene_open(&s, 3, 1);
    why_segments q = quarters();
    TRY(why_evaluator_fill(s.ev, "black", NULL, &black));
    TRY(why_evaluator_fill(s.ev, "white", NULL, &white));
    why_perturbation p[4];
    for (int i = 0; i < 4; i++)
        p[i] = (why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = i < 3 ? black : white, .u.segments = {&q, &on[i]}};
    size_t width = (size_t)scene_outputs(&s);
    TRY(why_evaluator_run(s.ev, p, 4, logits));
    assert_int_equal(why_evaluator_asked(s.ev), 4);
    assert_int_equal(why_evaluator_forwards(s.ev), 3); /* 0 and 2 are equal; 3 has another fill */
    assert_memory_equal(logits, logits + 2 * width, width * sizeof *logits);
    assert_memory_not_equal(logits, logits + 3 * width, width * sizeof *logits);
    TRY(why_evaluator_run(s.ev, p, 4, again));
    assert_memory_equal(logits, again, 4 * width * sizeof *logits);
    assert_int_equal(why_evaluator_asked(s.ev), 8);
    assert_int_equal(why_evaluator_forwards(s.ev), 3);

    /* everything shown is the image, everything hidden the fill, however it is said */
    const float *original;
    const why_box whole = {0, SIDE, 0, SIDE, 0, 3};
    memset(pixels, 0xff, sizeof pixels);
    TRY(why_evaluator_original(s.ev, &original));
    const why_perturbation full[] = {
        {.kind = WHY_SHOW_SEGMENTS, .fill = black, .u.segments = {&q, &all}},
        {.kind = WHY_SHOW_BOXES, .fill = white, .u.boxes = {&whole, 1}},
        {.kind = WHY_SHOW_PIXELS, .fill = black, .u.pixels = pixels},
    };
    for (int i = 0; i < 3; i++) {
        TRY(why_evaluator_run(s.ev, &full[i], 1, one));
        assert_memory_equal(one, original, width * sizeof *one);
    }
    assert_int_equal(why_evaluator_forwards(s.ev), 4);
    memset(pixels, 0, sizeof pixels);
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = black, .u.segments = {&q, &none}}, 1, one));
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = black, .u.boxes = {&whole, 0}}, 1, one));
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_PIXELS, .fill = black, .u.pixels = pixels}, 1, one));
    assert_int_equal(why_evaluator_forwards(s.ev), 5);
    why_segments_clear(&q);
    scene_close(&s);
}

/* The same memory with other labels is another segmentation. */
static void segments_by_content(void **state) {
    (void)state;
    scene s;
    const why_fill *fill, *means, *other_means;
    uint64_t on = 1;
    float a[8], b[8];
    scene_open(&s, 3, 1);
    why_segments q = quarters();
    TRY(why_evaluator_fill(s.ev, "black", NULL, &fill));
    TRY(why_evaluator_fill(s.ev, "segment_mean", &q, &means));
    const why_perturbation p = {.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {&q, &on}};
    TRY(why_evaluator_run(s.ev, &p, 1, a));
    for (int i = 0; i < PIXELS; i++) q.label[i] = 3 - q.label[i];
    TRY(why_evaluator_run(s.ev, &p, 1, b));
    TRY(why_evaluator_fill(s.ev, "segment_mean", &q, &other_means));
    assert_int_equal(why_evaluator_forwards(s.ev), 2);
    assert_memory_not_equal(a, b, (size_t)scene_outputs(&s) * sizeof *a);
    assert_true(means->id != other_means->id);
    why_segments_clear(&q);
    scene_close(&s);
}

/* Logits do not depend on the batch or on the threads. */
static void batch_invariance(void **state) {
    (void)state;
    enum { N = 23 };
    static const int batches[] = {1, 3, 10, 32}, threads[] = {1, 2};
    float first[N * 8], logits[N * 8];
    for (int run = 0; run < 8; run++) {
        scene s;
        const why_fill *fill;
        uint64_t on[N];
        why_perturbation p[N];
        scene_open(&s, batches[run / 2], threads[run % 2]);
        why_segments q = quarters();
        TRY(why_evaluator_fill(s.ev, "mean", NULL, &fill));
        for (int i = 0; i < N; i++) {
            on[i] = (uint64_t)i * 7 % 16;
            p[i] = (why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {&q, &on[i]}};
        }
        TRY(why_evaluator_run(s.ev, p, N, logits));
        size_t bytes = (size_t)(N * scene_outputs(&s)) * sizeof *logits;
        if (run == 0) memcpy(first, logits, bytes);
        assert_memory_equal(first, logits, bytes);
        assert_int_equal(why_evaluator_forwards(s.ev), 16);
        why_segments_clear(&q);
        scene_close(&s);
    }
}

/* Another image forgets the first one's scores and fills. */
static void begin_forgets(void **state) {
    (void)state;
    scene s;
    why_image other;
    const float *original;
    const why_fill *fill;
    float a[8], b[8];
    scene_open(&s, 2, 1);
    const why_box none = {0, 0, 0, 0, 0, 0};
    for (int turn = 0; turn < 2; turn++) {
        TRY(why_evaluator_fill(s.ev, "mean", NULL, &fill));
        TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&none, 0}}, 1, turn ? b : a));
        TRY(why_evaluator_original(s.ev, &original));
        assert_int_equal(why_evaluator_forwards(s.ev), 2);
        if (turn) break;
        TRY(why_image_create(SIDE, SIDE, &other));
        for (int i = 0; i < 3 * PIXELS; i++) other.rgb[i] = (uint8_t)(255 - s.image.rgb[i]);
        TRY(why_evaluator_begin(s.ev, &other));
        assert_int_equal(why_evaluator_asked(s.ev), 0);
    }
    assert_memory_not_equal(a, b, (size_t)scene_outputs(&s) * sizeof *a);
    why_image_clear(&other);
    TRY(why_image_create(SIDE, SIDE + 1, &other));
    assert_int_equal(why_evaluator_begin(s.ev, &other), WHY_EARG);
    assert_string_equal(why_error_text(), "image: got 48 x 49 pixels, the model wants 48 x 48");
    why_image_clear(&other);
    scene_close(&s);
}

/* ---------------------------------------------------------------- fills */
static const float *fill_of(const scene *s, const char *text, const why_segments *segments) {
    const why_fill *f;
    TRY(why_evaluator_fill(s->ev, text, segments, &f));
    return f->rgb;
}

static void colours(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 1, 1);
    double sum[3] = {0};
    for (int i = 0; i < 3 * PIXELS; i++) sum[i % 3] += s.image.rgb[i];
    for (int i = 0; i < 3 * PIXELS; i++) {
        assert_true(fabs(fill_of(&s, "mean", NULL)[i] - sum[i % 3] / PIXELS) < 1e-4);
        assert_true(fill_of(&s, "black", NULL)[i] == 0);
        assert_true(fill_of(&s, "white", NULL)[i] == 255);
        assert_true(fill_of(&s, "colour(1,2.5,b=3)", NULL)[i] == (i % 3 == 1 ? 2.5f : (float)(i % 3 + 1)));
        if (i > 300) i += 97; /* a sample of the pixels */
    }
    why_preprocess pre = *why_preprocess_find("torchvision");
    static float planes[3 * PIXELS];
    for (int bgr = 0; bgr < 2; bgr++) {
        pre.bgr = bgr;
        why_evaluator *ev;
        const why_fill *zero;
        TRY(why_evaluator_create(&(why_evaluator_options){.model = s.model, .preprocess = &pre, .max_batch = 1}, &ev));
        TRY(why_evaluator_begin(ev, &s.image));
        TRY(why_evaluator_fill(ev, "zero", NULL, &zero));
        why_normalise(&pre, zero->rgb, SIDE, SIDE, 3, planes);
        for (int i = 0; i < 3 * PIXELS; i++) assert_true(fabsf(planes[i]) < 1e-6f);
        why_evaluator_destroy(&ev);
    }
    scene_close(&s);
}

static void segment_means(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 1, 1);
    why_segments q = quarters();
    const float *fill = fill_of(&s, "segment_mean", &q);
    for (int segment = 0; segment < 4; segment++)
        for (int c = 0; c < 3; c++) {
            int sum = 0, n = 0, at = 0;
            for (int i = 0; i < PIXELS; i++)
                if (q.label[i] == segment) sum += s.image.rgb[3 * i + c], n++, at = i;
            assert_true(fill[3 * at + c] == (float)(sum / n));
        }
    why_segments_clear(&q);
    scene_close(&s);
}

static void blurs(void **state) {
    (void)state;
    scene s;
    static uint8_t boxed[3 * PIXELS];
    static float interleaved[3 * PIXELS], blurred[3 * PIXELS], planes[3 * PIXELS];
    scene_open(&s, 1, 1);
    TRY(why_box_blur(s.image.rgb, SIDE, SIDE, 6, 3, boxed));
    const float *fill = fill_of(&s, "blur(kx=6,ky=3)", NULL);
    for (int i = 0; i < 3 * PIXELS; i++) assert_true(fill[i] == boxed[i]);

    /* RISE: the normalised tensor, convolved with zero padding */
    const why_preprocess *pre = why_preprocess_find("torchvision");
    for (int i = 0; i < 3 * PIXELS; i++) interleaved[i] = (s.image.rgb[i] / pre->divisor - pre->mean[i % 3]) / pre->std[i % 3];
    TRY(why_gaussian_blur(interleaved, SIDE, SIDE, 11, 5, true, blurred));
    why_normalise(pre, fill_of(&s, "gaussian", NULL), SIDE, SIDE, 3, planes);
    for (int i = 0; i < 3 * PIXELS; i++) assert_true(fabsf(planes[i % 3 * PIXELS + i / 3] - blurred[i]) < 1e-4f);
    scene_close(&s);
}

static void fill_texts(void **state) {
    (void)state;
    char *text;
    scene s;
    const why_fill *a, *b;
    TRY(why_fill_canonical(" blur ( 16 , ky = 8 )", &text));
    assert_string_equal(text, "blur(kx=16,ky=8)");
    free(text);
    TRY(why_fill_canonical("gaussian", &text));
    assert_string_equal(text, "gaussian(k=11,sigma=5)");
    free(text);
    assert_int_equal(why_fill_canonical("blurr(3)", &text), WHY_EARG);
    assert_string_equal(why_error_text(), "fill 'blurr' is unknown; did you mean 'blur'?");
    assert_int_equal(why_fill_canonical("blur(0)", &text), WHY_EARG);
    assert_int_equal(why_fill_canonical("mean(3)", &text), WHY_EARG);
    scene_open(&s, 1, 1);
    TRY(why_evaluator_fill(s.ev, "blur", NULL, &a));
    TRY(why_evaluator_fill(s.ev, "blur(16)", NULL, &b));
    assert_ptr_equal(a, b);
    assert_string_equal(a->name, "blur(kx=16,ky=16)");
    assert_int_equal(why_evaluator_fill(s.ev, "segment_mean", NULL, &a), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "made from segments"));
    assert_int_equal(why_evaluator_fill(s.ev, "gaussian(4)", NULL, &a), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "want an odd number"));
    TRY(why_evaluator_fill(s.ev, "black", NULL, &a)); /* a refused fill leaves nothing behind */
    assert_true(a->rgb[0] == 0);
    scene_close(&s);
}

/* ---------------------------------------------------------------- gradients */
/* The slope of the score along one value of one pixel, by central differences. */
static double slope(const scene *s, int at, int class_index, why_output output, float step) {
    static float rgb[3 * PIXELS];
    float logits[8];
    double f[2];
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 3 * PIXELS; i++) rgb[i] = s->image.rgb[i];
        rgb[at] += side ? step : -step;
        TRY(why_evaluator_run(s->ev, &(why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb}, 1, logits));
        f[side] = why_score(logits, scene_outputs(s), class_index, output);
    }
    return (f[1] - f[0]) / (2 * (double)step);
}

/* A step may cross a kink (ReLU, max-pooling) of this piecewise linear net: a few slopes are then not derivatives. */
static void input_gradient(void **state) {
    (void)state;
    enum { SAMPLES = 103 };
    scene s;
    why_tensor_view act, grad;
    scene_open(&s, 2, 1);
    const why_preprocess *pre = why_preprocess_find("torchvision");
    for (int output = WHY_PROBABILITY; output <= WHY_LOG_ODDS; output++) {
        double error[SAMPLES], scale = 0;
        int crossed = 0;
        TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, 2, (why_output)output, WHY_RULE_PLAIN, &act, &grad));
        assert_int_equal(grad.shape.rank, 4);
        assert_int_equal(why_shape_count(&grad.shape), 3 * PIXELS);
        assert_true(fabsf(act.data[0] - (s.image.rgb[0] / 255.0f - pre->mean[0]) / pre->std[0]) < 1e-5f);
        for (int i = 0; i < SAMPLES; i++) {
            int at = 67 * i;
            double want = slope(&s, at, 2, (why_output)output, 0.125f);
            error[i] = fabs(want - (double)grad.data[at % 3 * PIXELS + at / 3] / ((double)pre->divisor * (double)pre->std[at % 3]));
            scale = fmax(scale, fabs(want));
        }
        for (int i = 0; i < SAMPLES; i++) crossed += error[i] > 0.02 * scale;
        printf("  %s: largest slope %.1e, %d of %d samples off\n", why_output_name((why_output)output), scale, crossed, SAMPLES);
        assert_true(scale > 0);
        assert_true(crossed <= SAMPLES / 10);
    }
    scene_close(&s);
}

/* Two perturbations at once give what each gives alone; layers that were pushed out come back the same. */
static void gradient_batches(void **state) {
    (void)state;
    scene s;
    why_tensor_view g;
    const why_fill *fill;
    scene_open(&s, 2, 1);
    TRY(why_evaluator_fill(s.ev, "mean", NULL, &fill));
    const why_box box = {0, 24, 0, SIDE, 0, 3}, all = {0, SIDE, 0, SIDE, 0, 3};
    const why_perturbation p[] = {{.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&box, 1}},
                                  {.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&all, 1}}};
    int n;
    const why_layer *layers = why_model_layers(s.model, &n);
    const char *names[8] = {"input"};
    int n_names = 1;
    for (int i = 0; i < n && n_names < 8; i++)
        if (layers[i].cam) names[n_names++] = layers[i].name;
    assert_true(n_names > 5); /* more than sessions are kept */
    float *kept[8];
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < n_names; i++) {
            TRY(why_evaluator_gradient(s.ev, names[i], turn ? p : NULL, turn ? 2 : 1, 1, WHY_LOGIT, WHY_RULE_PLAIN, NULL, &g));
            size_t half = (size_t)why_shape_count(&g.shape) / (turn ? 2 : 1);
            if (turn == 0) {
                kept[i] = malloc(half * sizeof **kept);
                memcpy(kept[i], g.data, half * sizeof **kept);
                continue;
            }
            for (size_t k = 0; k < half; k++) assert_true(kept[i][k] == g.data[half + k]);
            free(kept[i]);
        }
    scene_close(&s);
}

/* ---------------------------------------------------------------- errors */
static void refusals(void **state) {
    (void)state;
    scene s;
    const why_fill *fill;
    why_tensor_view g;
    float logits[8];
    why_evaluator *ev;
    scene_open(&s, 2, 1);
    TRY(why_evaluator_fill(s.ev, "mean", NULL, &fill));
    const why_box outside = {0, 3, 0, SIDE + 1, 0, 3};
    assert_int_equal(
        why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&outside, 1}}, 1, logits), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "columns 0:49"));
    assert_int_equal(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .u.boxes = {&outside, 0}}, 1, logits), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "a fill is wanted"));
    int32_t label[6] = {0};
    uint64_t on = 1;
    const why_segments small = {2, 3, 1, label};
    assert_int_equal(
        why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {&small, &on}}, 1, logits),
        WHY_EARG);
    assert_non_null(strstr(why_error_text(), "2 x 3"));
    TRY(why_evaluator_fill(s.ev, "inpaint_telea", NULL, &fill));
    static const float half[PIXELS];
    assert_int_equal(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SOFT_MAP, .fill = fill, .u.soft = half}, 1, logits), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "fill 'inpaint_telea(radius=3)' is painted from"));
    assert_int_equal(why_evaluator_fill(s.ev, "segment_mean", &small, &fill), WHY_EARG);
    assert_int_equal(why_evaluator_gradient(s.ev, "no such layer", NULL, 1, 0, WHY_LOGIT, WHY_RULE_PLAIN, NULL, &g), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "no such layer"));
    assert_int_equal(why_evaluator_create(&(why_evaluator_options){.model = s.model, .preprocess = why_preprocess_find("none")}, &ev),
                     WHY_EARG);
    assert_null(ev);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(remade_fill),
        cmocka_unit_test(soft_blend),
        cmocka_unit_test(cache_counts),
        cmocka_unit_test(segments_by_content),
        cmocka_unit_test(batch_invariance),
        cmocka_unit_test(begin_forgets),
        cmocka_unit_test(colours),
        cmocka_unit_test(segment_means),
        cmocka_unit_test(blurs),
        cmocka_unit_test(fill_texts),
        cmocka_unit_test(input_gradient),
        cmocka_unit_test(gradient_batches),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
