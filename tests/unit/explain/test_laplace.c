/* The fill noisy_linear against a sparse direct solver (tests/golden/make_metric.py), and its noise. */
#include "scene.h"

#include "base/mem.h"
#include "base/npy.h"
#include "explain/laplace.h"

enum { H = 22, W = 19, N = H * W };

static void load(const char *name, why_npy *a) {
    char path[4096], relative[128];
    snprintf(relative, sizeof relative, "tests/golden/metric/%s", name);
    TRY(why_npy_load(test_source(relative, path), a));
}

static void as_a_direct_solver(void **state) {
    (void)state;
    why_npy image, shown, solved;
    void *scratch;
    float rgb[3 * N];
    load("road_image.npy", &image);
    load("road_shown.npy", &shown);
    load("road_solved.npy", &solved);
    TRY(why_alloc(why_laplace_scratch(H, W), 1, "scratch", &scratch));
    assert_true(shown.shape.rank == 3 && shown.shape.dim[1] == H && shown.shape.dim[2] == W && shown.shape.dim[0] >= 5);
    for (int k = 0; k < (int)shown.shape.dim[0]; k++) {
        const uint8_t *set = (const uint8_t *)shown.data + (size_t)k * N;
        const float *want = (const float *)solved.data + (size_t)k * 3 * N;
        for (int i = 0; i < 3 * N; i++) rgb[i] = set[i / 3] ? ((const uint8_t *)image.data)[i] : -1e9f;
        why_laplace(set, H, W, scratch, rgb);
        for (int i = 0; i < 3 * N; i++)
            if (!(fabsf(rgb[i] - want[i]) <= 1e-4f))
                fail_msg("set %d, value %d: got %.7g, want %.7g", k, i, (double)rgb[i], (double)want[i]);
    }
    free(scratch);
    why_npy_clear(&image);
    why_npy_clear(&shown);
    why_npy_clear(&solved);
}

static const why_fill_kind *kind_of(const char *name) {
    for (int i = 0; why_fill_kinds[i]; i++)
        if (strcmp(why_fill_kinds[i]->name, name) == 0) return why_fill_kinds[i];
    fail_msg("no fill '%s'", name);
    return NULL;
}

static void remake(const why_image *im, const why_preprocess *pre, const uint8_t *shown, const char *sigma, float *rgb) {
    const why_fill_kind *kind = kind_of("noisy_linear");
    why_params *p;
    void *scratch;
    TRY(why_params_create(kind->params, &p));
    TRY(why_params_set(p, "sigma", sigma));
    TRY(why_alloc(kind->remake_scratch(im->h, im->w, p), 1, "scratch", &scratch));
    kind->remake(im, pre, shown, p, scratch, rgb);
    free(scratch);
    why_params_destroy(&p);
}

/* In units of the normalised image: mean 0, standard deviation sigma, and nothing on what is shown. */
static void noise_is_on_the_hidden_pixels(void **state) {
    (void)state;
    enum { SIDE = 64, ALL = SIDE * SIDE };
    const why_preprocess *pre = why_preprocess_find("torchvision");
    why_image im;
    static uint8_t shown[ALL];
    static float plain[3 * ALL], noisy[3 * ALL], again[3 * ALL];
    double sum = 0, squares = 0;
    int n = 0;
    TRY(why_image_create(SIDE, SIDE, &im));
    for (int i = 0; i < 3 * ALL; i++) im.rgb[i] = (uint8_t)(i * 7 % 251);
    for (int i = 0; i < ALL; i++) shown[i] = i % 3 == 0;
    remake(&im, pre, shown, "0", plain);
    remake(&im, pre, shown, "0.01", noisy);
    remake(&im, pre, shown, "0.01", again);
    assert_memory_equal(noisy, again, sizeof noisy);
    for (int i = 0; i < 3 * ALL; i++) {
        const double d = ((double)noisy[i] - (double)plain[i]) / 255 / (double)pre->std[i % 3];
        if (shown[i / 3]) assert_true(noisy[i] == (float)im.rgb[i]);
        else sum += d, squares += d * d, n++;
    }
    assert_true(fabs(sum / n) < 4 * 0.01 / sqrt(n));
    assert_true(fabs(sqrt(squares / n) / 0.01 - 1) < 4 / sqrt(2.0 * n));
    why_image_clear(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_direct_solver),
        cmocka_unit_test(noise_is_on_the_hidden_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
