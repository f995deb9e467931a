/* Segmentations against scikit-image 0.19, its noise injected: on pictures of our own, and on real ones where they are. */
#include "golden.h"

#include "image/segment_kernel.h"
#include "whypix/rng.h"

static double *load_noise(const char *path) {
    why_npy a;
    assert_ok(why_npy_load(path, &a));
    assert_int_equal(a.type, WHY_NPY_F64);
    return a.data;
}

static why_status segment(const why_image *im, const char *text, uint64_t seed, const double *noise, why_segments *out) {
    const why_segmenter *s;
    why_params *p;
    assert_ok(why_segmenter_parse(text, &s, &p));
    const why_status st = s->run(im, p, seed, noise, out);
    why_params_destroy(&p);
    return st;
}

/* Every label from 0 to n-1 is in use. */
static void check_labels(const why_segments *s) {
    uint8_t *used = calloc((size_t)s->n, 1);
    assert_non_null(used);
    for (int i = 0; i < s->h * s->w; i++) {
        assert_in_range(s->label[i], 0, s->n - 1);
        used[s->label[i]] = 1;
    }
    for (int k = 0; k < s->n; k++) assert_true(used[k]);
    free(used);
}

/* Share of pixels in the largest overlap of their a-segment with a b-segment: a segment of ours that straddles two of
 * theirs loses its smaller part. One direction; the other is had by swapping. */
static double overlap(const int32_t *a, int na, const int32_t *b, int nb, int n) {
    int *count = calloc((size_t)na * (size_t)nb, sizeof *count), kept = 0;
    assert_non_null(count);
    for (int i = 0; i < n; i++) count[a[i] * nb + b[i]]++;
    for (int k = 0; k < na; k++) {
        int most = 0;
        for (int j = 0; j < nb; j++) most = count[k * nb + j] > most ? count[k * nb + j] : most;
        kept += most;
    }
    free(count);
    return (double)kept / n;
}

static void assert_agrees(const char *path, const why_image *im, const char *text, const double *noise, double least) {
    why_segments s;
    why_shape shape;
    int32_t *want;
    int n_want = 0;
    assert_ok(segment(im, text, 0, noise, &s));
    check_labels(&s);
    assert_ok(why_npy_load_i32(path, &shape, &want));
    assert_int_equal(why_shape_count(&shape), s.h * s.w);
    for (int i = 0; i < s.h * s.w; i++) n_want = want[i] >= n_want ? want[i] + 1 : n_want;
    const double there = overlap(want, n_want, s.label, s.n, s.h * s.w), back = overlap(s.label, s.n, want, n_want, s.h * s.w);
    if (there < least || back < least)
        fail_msg("%s with %s: %.4f and %.4f agree, %.4f wanted (%d segments, theirs %d)", path, text, there, back, least, s.n, n_want);
    free(want);
    why_segments_clear(&s);
}

static const struct {
    const char *file, *text;
} cases[] = {
    {"quickshift_%d_4.npy", "quickshift"},
    {"quickshift_%d_2.npy", "quickshift(kernel_size=2)"},
    {"quickshift_%d_1.5.npy", "quickshift(kernel_size=1.5,sigma=1)"},
    {"slic_%d_plain.npy", "slic(50)"},
    {"slic_%d_many.npy", "slic(n_segments=90,sigma=0)"},
    {"slic_%d_zero.npy", "slic(n_segments=30,zero=true,sigma=2)"},
    {"felzenszwalb_%d_plain.npy", "felzenszwalb"},
    {"felzenszwalb_%d_coarse.npy", "felzenszwalb(scale=300,sigma=0.5,min_size=50)"},
    {"felzenszwalb_%d_fine.npy", "felzenszwalb(scale=1,sigma=2,min_size=5)"},
};

static void segments_are_scikit_images(void **state) {
    (void)state;
    double *noise = load_noise(golden("noise.npy"));
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "scene%d.png", i);
        why_image im = golden_image(name);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            char file[64] = "", number[2] = {(char)('0' + i), '\0'};
            const char *hole = strstr(cases[k].file, "%d");
            snprintf(file, sizeof file, "%.*s%s%s", (int)(hole - cases[k].file), cases[k].file, number, hole + 2);
            assert_agrees(golden("%s", file), &im, cases[k].text, noise, 0.995);
        }
        why_image_clear(&im);
    }
    free(noise);
}

/* Flat areas are all ties: of distances in quickshift, of pieces in SLIC. */
static void flat_pictures_are_scikit_images_too(void **state) {
    (void)state;
    double *noise = load_noise(golden("noise.npy"));
    why_image im;
    assert_ok(why_image_create(72, 96, &im));
    memset(im.rgb, 77, 72 * 96 * 3);
    assert_agrees(golden("quickshift_flat.npy"), &im, "quickshift(kernel_size=2)", noise, 1);
    assert_agrees(golden("slic_flat.npy"), &im, "slic(n_segments=50,sigma=1)", noise, 1);
    assert_agrees(golden("felzenszwalb_flat.npy"), &im, "felzenszwalb", noise, 1);
    why_image_clear(&im);
    free(noise);
}

static void real_pictures_are_scikit_images(void **state) {
    (void)state;
    static const char *const names[] = {"squeezenet_tabby", "tinydense_espresso", "tinyresnet_zebra", "tinyvgg_pug"};
    char folder[4096], path[4200];
    if (!test_data("fixtures", folder)) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        why_npy a;
        snprintf(path, sizeof path, "%s/%s/image_u8.npy", folder, names[i]);
        assert_ok(why_npy_load(path, &a));
        const why_image im = {.h = (int)a.shape.dim[0], .w = (int)a.shape.dim[1], .rgb = a.data};
        snprintf(path, sizeof path, "%s/%s/quickshift_noise.npy", folder, names[i]);
        double *noise = load_noise(path);
        snprintf(path, sizeof path, "%s/%s/quickshift_segments.npy", folder, names[i]);
        assert_agrees(path, &im, "quickshift", noise, 0.995);
        snprintf(path, sizeof path, "%s/%s/lime_slic100_segments.npy", folder, names[i]);
        assert_agrees(path, &im, "slic", NULL, 0.995);
        free(noise);
        why_npy_clear(&a);
    }
}

/* Every CPU's path gives the bits of the generic one, and those are libm's to 4 units in the last place. */
static void kernel_variants_agree(void **state) {
    (void)state;
    enum { N = 203 };
    static const double scales[] = {-0.5, -1.0 / 32, -1e-9, -1e4};
    double colours[6 * N], want[N], got[N];
    why_rng r = why_rng_at(why_stream_of(3, 4, "kernel"), 0);
    for (int i = 0; i < 6 * N; i++) colours[i] = i % 5 == 0 ? 1 : 20 * why_rng_uniform(&r);
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++)
        for (int n = 1; n <= N; n += 101) {
            why_kernel_row_for(WHY_ISA_GENERIC)(colours, colours + 3 * N, N, n, 2, scales[k], want);
            why_kernel_row_for(why_cpu_isa())(colours, colours + 3 * N, N, n, 2, scales[k], got);
            assert_memory_equal(want, got, (size_t)n * sizeof *want);
            for (int i = 0; i < n; i++) {
                double d2 = 2;
                for (int c = 0; c < 3; c++) d2 += pow(colours[c * N + i] - colours[(3 + c) * N + i], 2);
                const double x = scales[k] * d2, exact = exp(x < -700 ? -700 : x);
                /* x itself is rounded: half a unit of x is |x| units of the result */
                assert_true(fabs(got[i] - exact) <= exact * (4 + 2 * fabs(x < -700 ? -700 : x)) * 0x1p-52);
            }
        }
}

static void a_seed_decides_ties_and_nothing_else_does(void **state) {
    (void)state;
    why_image im;
    why_segments a, b, c;
    assert_ok(why_image_create(40, 50, &im));
    assert_ok(segment(&im, "quickshift", 1, NULL, &a));
    assert_ok(segment(&im, "quickshift", 1, NULL, &b));
    assert_ok(segment(&im, "quickshift(kernel_size=1)", 1, NULL, &c));
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.label, b.label, 40 * 50 * sizeof *a.label);
    assert_true(c.n > a.n);
    why_segments_clear(&b);
    assert_ok(segment(&im, "quickshift(kernel_size=1)", 2, NULL, &b));
    assert_memory_not_equal(c.label, b.label, 40 * 50 * sizeof *b.label);
    why_segments_clear(&a);
    why_segments_clear(&b);
    why_segments_clear(&c);
    why_image_clear(&im);
}

static void small_and_thin_pictures_are_segmented(void **state) {
    (void)state;
    static const int size[][2] = {{1, 1}, {1, 40}, {40, 1}, {2, 3}, {5, 200}};
    static const char *const texts[] = {"quickshift",            "quickshift(max_dist=0)", "slic", "slic(n_segments=100000)",
                                        "slic(connected=false)", "grid(1,1)",             "felzenszwalb"};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        why_image im;
        assert_ok(why_image_create(size[i][0], size[i][1], &im));
        for (int k = 0; k < im.h * im.w * 3; k++) im.rgb[k] = (uint8_t)(k * 37);
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            why_segments s;
            assert_ok(segment(&im, texts[t], 0, NULL, &s));
            check_labels(&s);
            if (t == 1) assert_int_equal(s.n, im.h * im.w);
            why_segments_clear(&s);
        }
        why_image_clear(&im);
    }
}

static void grids_are_even(void **state) {
    (void)state;
    why_image im;
    why_segments s;
    assert_ok(why_image_create(6, 10, &im));
    assert_ok(segment(&im, "grid(rows=2,columns=3)", 0, NULL, &s));
    check_labels(&s);
    assert_int_equal(s.n, 6);
    assert_int_equal(s.label[0], 0);
    assert_int_equal(s.label[2 * 10 + 3], 0);
    assert_int_equal(s.label[2 * 10 + 4], 1);
    assert_int_equal(s.label[3 * 10 + 9], 5);
    why_segments_clear(&s);
    assert_int_equal(segment(&im, "grid(7,7)", 0, NULL, &s), WHY_EARG);
    assert_says("do not fit");
    why_image_clear(&im);
}

static void segmenters_are_found_by_their_text(void **state) {
    (void)state;
    const why_segmenter *s;
    why_params *p;
    assert_ok(why_segmenter_parse("slic(compactness=3)", &s, &p));
    assert_string_equal(s->name, "slic");
    assert_true(why_params_real(p, "compactness") == 3);
    assert_int_equal(why_params_int(p, "n_segments"), 50);
    why_params_destroy(&p);
    assert_int_equal(why_segmenter_parse("quikshift", &s, &p), WHY_EARG);
    assert_says("did you mean 'quickshift'");
    assert_int_equal(why_segmenter_parse("watershed-of-vincent", &s, &p), WHY_EARG);
    assert_int_equal(why_segmenter_parse("slic(kernel=3)", &s, &p), WHY_EARG);
    assert_null(p);
    assert_int_equal(why_segmenter_parse("quickshift(kernel_size=0.5)", &s, &p), WHY_EARG);
    for (int i = 0; why_segmenters[i]; i++) assert_ptr_equal(why_segmenter_find(why_segmenters[i]->name), why_segmenters[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_scikit_images),
        cmocka_unit_test(flat_pictures_are_scikit_images_too),
        cmocka_unit_test(real_pictures_are_scikit_images),
        cmocka_unit_test(kernel_variants_agree),
        cmocka_unit_test(a_seed_decides_ties_and_nothing_else_does),
        cmocka_unit_test(small_and_thin_pictures_are_segmented),
        cmocka_unit_test(grids_are_even),
        cmocka_unit_test(segmenters_are_found_by_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
