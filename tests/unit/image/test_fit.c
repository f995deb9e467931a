/* Resizing, cropping, normalising and blurring, against Pillow, torchvision, OpenCV and SciPy. */
#include "golden.h"

#include "whypix/rng.h"

static why_image noise_image(int h, int w) {
    why_image im;
    assert_ok(why_image_create(h, w, &im));
    why_rng r = why_rng_at(why_stream_of(1, (uint64_t)h, "noise"), (uint64_t)w);
    for (size_t i = 0; i < (size_t)h * (size_t)w * 3; i++) im.rgb[i] = (uint8_t)why_rng_u32(&r);
    return im;
}

static void resizing_is_pillows(void **state) {
    (void)state;
    static const char *const names[] = {"nearest", "bilinear", "bicubic"};
    static const int size[][2] = {{17, 21}, {55, 31}, {40, 11}, {1, 1}};
    why_image in = golden_image("rgb.png"), out;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int how = WHY_NEAREST; how <= WHY_BICUBIC; how++) {
            assert_ok(why_image_resize(&in, size[i][0], size[i][1], (why_filter)how, &out));
            const char *want = golden("resize_%dx%d_%s.npy", size[i][0], size[i][1], names[how]);
            assert_same_bytes(want, out.rgb, (size_t)out.h * (size_t)out.w * 3);
            why_image_clear(&out);
        }
    why_image_clear(&in);
}

static void resizing_to_the_same_size_changes_nothing(void **state) {
    (void)state;
    static const int size[][2] = {{1, 1}, {1, 9}, {13, 7}, {64, 65}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int how = WHY_NEAREST; how <= WHY_BICUBIC; how++) {
            why_image in = noise_image(size[i][0], size[i][1]), out;
            assert_ok(why_image_resize(&in, in.h, in.w, (why_filter)how, &out));
            assert_memory_equal(in.rgb, out.rgb, (size_t)in.h * (size_t)in.w * 3);
            why_image_clear(&in);
            why_image_clear(&out);
        }
}

static void constant_pictures_stay_constant(void **state) {
    (void)state;
    why_image in, out;
    assert_ok(why_image_create(19, 23, &in));
    memset(in.rgb, 201, 19 * 23 * 3);
    for (int how = WHY_NEAREST; how <= WHY_BICUBIC; how++) {
        assert_ok(why_image_resize(&in, 7, 50, (why_filter)how, &out));
        for (int i = 0; i < 7 * 50 * 3; i++) assert_int_equal(out.rgb[i], 201);
        why_image_clear(&out);
    }
    assert_int_equal(why_image_resize(&in, 0, 5, WHY_BILINEAR, &out), WHY_EARG);
    why_image_clear(&in);
}

static void fitting_is_torchvisions(void **state) {
    (void)state;
    static const int cases[][2] = {{32, 24}, {33, 28}, {20, 31}, {16, 0}};
    why_image in = golden_image("rgb.png"), out;
    uint8_t mask[40 * 48], *fitted;
    int h, w;
    for (size_t i = 0; i < sizeof mask; i++) mask[i] = in.rgb[3 * i] > 100;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const why_fit fit = {.resize_h = cases[i][0], .how = WHY_BILINEAR, .crop = cases[i][1]};
        assert_ok(why_image_fit(&in, &fit, &out));
        assert_same_bytes(golden("fit_%d_%d.npy", fit.resize_h, fit.crop), out.rgb, (size_t)out.h * (size_t)out.w * 3);
        assert_ok(why_mask_fit(mask, 40, 48, &fit, &fitted, &h, &w));
        assert_int_equal(h, out.h);
        assert_int_equal(w, out.w);
        assert_same_bytes(golden("fit_mask_%d_%d.npy", fit.resize_h, fit.crop), fitted, (size_t)h * (size_t)w);
        free(fitted);
        why_image_clear(&out);
    }
    why_image_clear(&in);
}

/* Cropping a window out of the resizing gives what resizing everything and then cropping gives. */
static void a_window_is_a_part_of_the_whole(void **state) {
    (void)state;
    for (int how = WHY_NEAREST; how <= WHY_BICUBIC; how++) {
        why_image in = noise_image(33, 90), whole, part;
        const why_fit fit = {.resize_h = 21, .resize_w = 40, .how = (why_filter)how, .crop = 15};
        assert_ok(why_image_resize(&in, 21, 40, fit.how, &whole));
        assert_ok(why_image_fit(&in, &fit, &part));
        for (int y = 0; y < 15; y++) assert_memory_equal(part.rgb + y * 45, whole.rgb + ((y + 3) * 40 + 12) * 3, 45);
        why_image_clear(&in);
        why_image_clear(&whole);
        why_image_clear(&part);
    }
}

static void extreme_shapes_are_fitted_or_refused(void **state) {
    (void)state;
    why_image in = noise_image(3, 6000), out;
    const why_fit usual = {.resize_h = 256, .how = WHY_BILINEAR, .crop = 224}, whole = {.resize_h = 1000, .how = WHY_BILINEAR};
    const why_fit negative = {.resize_h = -1}, huge = {.resize_h = 2000000, .crop = 8}, nothing = {0};
    assert_ok(why_image_fit(&in, &usual, &out)); /* a window of 512000 x 256 pixels */
    assert_int_equal(out.h, 224);
    why_image_clear(&out);
    assert_int_equal(why_image_fit(&in, &whole, &out), WHY_ELIMIT);
    assert_int_equal(why_image_fit(&in, &huge, &out), WHY_ELIMIT);
    assert_int_equal(why_image_fit(&in, &negative, &out), WHY_EARG);
    assert_ok(why_image_fit(&in, &nothing, &out));
    assert_memory_equal(in.rgb, out.rgb, 3 * 6000 * 3);
    why_image_clear(&out);
    why_image_clear(&in);
}

static void fits_are_written_canonically(void **state) {
    (void)state;
    static const struct {
        why_fit fit;
        const char *text;
    } cases[] = {{{256, 0, WHY_BILINEAR, 224}, "{\"resize\":256,\"how\":\"bilinear\",\"crop\":224}"},
                 {{64, 48, WHY_BICUBIC, 0}, "{\"resize\":[64,48],\"how\":\"bicubic\"}"},
                 {{0, 0, WHY_NEAREST, 32}, "{\"crop\":32}"},
                 {{0, 0, WHY_NEAREST, 0}, "{}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        assert_ok(why_fit_canonical(&cases[i].fit, &text));
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void normalising_is_torchvisions(void **state) {
    (void)state;
    why_image im = golden_image("rgb.png");
    const size_t n = (size_t)im.h * (size_t)im.w;
    float *rgb = as_floats(im.rgb, 3 * n), *x = malloc(3 * n * sizeof *x);
    assert_non_null(x);
    why_normalise(why_preprocess_find("torchvision"), rgb, im.h, im.w, 3, x);
    assert_near_floats(golden("normalised.npy"), x, 3 * n, 0);
    why_preprocess plain = *why_preprocess_find("none");
    plain.divisor = 1;
    why_normalise(&plain, rgb, im.h, im.w, 1, x);
    assert_near_floats(golden("luma.npy"), x, n, 0);
    free(x);
    free(rgb);
    why_image_clear(&im);
}

static void presets_do_what_their_zoos_do(void **state) {
    (void)state;
    static const float rgb[3] = {10, 200, 255.0f / 2};
    static const struct {
        const char *name;
        float want[3];
    } cases[] = {{"caffe", {127.5f - 103.939f, 200 - 116.779f, 10 - 123.68f}},
                 {"tf", {10 / 127.5f - 1, 200 / 127.5f - 1, 0}},
                 {"half", {10 / 127.5f - 1, 200 / 127.5f - 1, 0}},
                 {"none", {10 / 255.0f, 200 / 255.0f, 0.5f}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x[3];
        why_normalise(why_preprocess_find(cases[i].name), rgb, 1, 1, 3, x);
        for (int c = 0; c < 3; c++) assert_float_equal(x[c], cases[i].want[c], 1e-5f);
    }
    assert_null(why_preprocess_find("pytorch"));
    int n = 0;
    for (const char *const *name = why_preprocess_names(); *name; name++, n++) assert_string_equal(why_preprocess_find(*name)->name, *name);
    assert_int_equal(n, 5);
}

static void presets_are_written_canonically(void **state) {
    (void)state;
    char *text;
    assert_ok(why_preprocess_canonical(why_preprocess_find("torchvision"), &text));
    assert_string_equal(text, "{\"name\":\"torchvision\",\"divisor\":255,"
                              "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225],\"bgr\":false}");
    free(text);
}

static void maps_are_resized_as_opencv_does(void **state) {
    (void)state;
    static const int size[][2] = {{23, 31}, {3, 4}, {5, 7}};
    size_t n;
    float *coarse = golden_floats(golden("map.npy"), &n), fine[23 * 31];
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        why_map_resize(coarse, 5, 7, fine, size[i][0], size[i][1]);
        assert_near_floats(golden("map_%dx%d.npy", size[i][0], size[i][1]), fine, (size_t)size[i][0] * (size_t)size[i][1], 1e-6f);
    }
    free(coarse);
}

static void box_blur_rounds_as_opencv_does(void **state) {
    (void)state;
    static const int window[][2] = {{16, 16}, {4, 4}, {10, 10}, {32, 32}, {7, 3}, {1, 1}, {90, 2}};
    why_image im = golden_image("rgb.png");
    const size_t n = (size_t)im.h * (size_t)im.w * 3;
    uint8_t *out = malloc(n);
    assert_non_null(out);
    for (size_t i = 0; i < sizeof window / sizeof *window; i++) {
        assert_ok(why_box_blur(im.rgb, im.h, im.w, window[i][0], window[i][1], out));
        assert_same_bytes(golden("blur_%dx%d.npy", window[i][0], window[i][1]), out, n);
    }
    assert_int_equal(why_box_blur(im.rgb, im.h, im.w, 0, 3, out), WHY_EARG);
    free(out);
    why_image_clear(&im);
}

static void gaussian_blur_is_rises_or_opencvs(void **state) {
    (void)state;
    why_image im = golden_image("rgb.png");
    float in[20 * 24 * 3], out[20 * 24 * 3];
    for (int y = 0; y < 20; y++)
        for (int i = 0; i < 72; i++) in[y * 72 + i] = im.rgb[y * im.w * 3 + i];
    assert_ok(why_gaussian_blur(in, 20, 24, 11, 5, true, out));
    assert_near_floats(golden("gauss_rise.npy"), out, 20 * 24 * 3, 1e-3f);
    assert_ok(why_gaussian_blur(in, 20, 24, 11, 5, false, out));
    assert_near_floats(golden("gauss_mirrored.npy"), out, 20 * 24 * 3, 1e-3f);
    assert_int_equal(why_gaussian_blur(in, 20, 24, 10, 5, false, out), WHY_EARG);
    assert_int_equal(why_gaussian_blur(in, 20, 24, 11, 0, false, out), WHY_EARG);
    why_image_clear(&im);
}

enum { TELEA_MASKS = 8 };

static void inpaint(const why_image *im, const uint8_t *hidden, int radius, uint8_t *out) {
    void *scratch = malloc(why_inpaint_scratch(im->h, im->w, radius));
    assert_non_null(scratch);
    why_inpaint_telea(im->rgb, hidden, im->h, im->w, radius, scratch, out);
    free(scratch);
}

static void inpainting_is_opencvs(void **state) {
    (void)state;
    static const int radii[] = {3, 5};
    why_image im = golden_image("telea.png");
    const size_t pixels = (size_t)im.h * (size_t)im.w;
    why_shape shape;
    int32_t *masks;
    assert_ok(why_npy_load_i32(golden("telea_masks.npy"), &shape, &masks));
    assert_int_equal(shape.dim[0], TELEA_MASKS);
    uint8_t *out = malloc(TELEA_MASKS * 3 * pixels), *hidden = malloc(pixels);
    assert_true(out && hidden);
    for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
        for (size_t m = 0; m < TELEA_MASKS; m++) {
            for (size_t i = 0; i < pixels; i++) hidden[i] = (uint8_t)masks[m * pixels + i];
            inpaint(&im, hidden, radii[r], out + m * 3 * pixels);
        }
        assert_same_bytes(golden("telea_%d.npy", radii[r]), out, TELEA_MASKS * 3 * pixels);
    }
    free(masks);
    free(hidden);
    free(out);
    why_image_clear(&im);
}

/* The shown pixels stay as they are, and what was in the scratch, or where it lies, changes nothing. */
static void inpainting_keeps_what_is_shown(void **state) {
    (void)state;
    uint8_t hidden[30 * 27], out[30 * 27 * 3], again[30 * 27 * 3];
    why_rng r = why_rng_at(why_stream_of(1, 2, "hidden"), 0);
    for (int size = 2; size <= 30; size += 4) {
        why_image noise = noise_image(size, 27);
        const size_t n = (size_t)size * 27, room = why_inpaint_scratch(size, 27, 3);
        for (size_t i = 0; i < n; i++) hidden[i] = why_rng_u32(&r) % 3 > 0;
        hidden[5] = 0;
        inpaint(&noise, hidden, 3, out);
        for (size_t i = 0; i < 3 * n; i++)
            if (!hidden[i / 3]) assert_int_equal(out[i], noise.rgb[i]);
        uint8_t *scratch = malloc(room + 1);
        assert_non_null(scratch);
        memset(scratch, 0xee, room + 1);
        why_inpaint_telea(noise.rgb, hidden, size, 27, 3, scratch + 1, again);
        assert_memory_equal(again, out, 3 * n);
        free(scratch);
        why_image_clear(&noise);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizing_is_pillows),
        cmocka_unit_test(resizing_to_the_same_size_changes_nothing),
        cmocka_unit_test(constant_pictures_stay_constant),
        cmocka_unit_test(fitting_is_torchvisions),
        cmocka_unit_test(a_window_is_a_part_of_the_whole),
        cmocka_unit_test(extreme_shapes_are_fitted_or_refused),
        cmocka_unit_test(fits_are_written_canonically),
        cmocka_unit_test(normalising_is_torchvisions),
        cmocka_unit_test(presets_do_what_their_zoos_do),
        cmocka_unit_test(presets_are_written_canonically),
        cmocka_unit_test(maps_are_resized_as_opencv_does),
        cmocka_unit_test(box_blur_rounds_as_opencv_does),
        cmocka_unit_test(gaussian_blur_is_rises_or_opencvs),
        cmocka_unit_test(inpainting_is_opencvs),
        cmocka_unit_test(inpainting_keeps_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
