/* Real photographs and odd files, where they are ($WHYPIX_DATA): each has its outcome in the one table here. */
#include <dirent.h>

#include "golden.h"

static const struct outcome {
    const char *file;
    double mean[3];     /* of RGB, as Pillow gives it */
    why_status status;  /* or this error ... */
    const char *says;   /* ... with these words */
} outcomes[] = {
    {"00_base.png", {88.84, 92.42, 51.69}, 0, NULL},
    {"gray_real.jpg", {111.93, 111.93, 111.93}, 0, NULL},
    {"gray.jpg", {86.72, 86.72, 86.72}, 0, NULL},
    {"cmyk.jpg", {88.85, 92.44, 51.70}, 0, NULL},
    {"rgba.png", {88.84, 92.42, 51.69}, 0, NULL},
    {"gray_alpha.png", {86.71, 86.71, 86.71}, 0, NULL},
    {"gray8.png", {86.71, 86.71, 86.71}, 0, NULL},
    {"bilevel1.png", {85.96, 85.96, 85.96}, 0, NULL},
    {"rgb16.png", {88.84, 92.42, 51.69}, 0, NULL},
    {"gray16.png", {86.71, 86.71, 86.71}, 0, NULL}, /* Pillow clips to white; the high byte is what one wants */
    {"palette.png", {88.42, 92.48, 50.47}, 0, NULL},
    {"palette4bit.png", {87.69, 92.22, 49.92}, 0, NULL},
    {"palette_trns.png", {88.42, 92.48, 50.47}, 0, NULL},
    {"interlaced.png", {88.84, 92.42, 51.69}, 0, NULL},
    {"progressive.jpg", {88.86, 92.45, 51.78}, 0, NULL},
    {"baseline_444.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"baseline_422.jpg", {88.84, 92.45, 51.75}, 0, NULL},
    {"restart.jpg", {88.86, 92.45, 51.78}, 0, NULL},
    {"exif_orient_3.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"exif_orient_6.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"exif_orient_8.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"exif_orient_2.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"exif_orient_5.jpg", {88.84, 92.45, 51.71}, 0, NULL},
    {"corrupt_body.jpg", {74.21, 76.68, 35.46}, 0, NULL}, /* Pillow decodes it too: libjpeg only warns */
    {"png_named.jpg", {88.84, 92.42, 51.69}, 0, NULL},
    {"jpg_named.png", {88.84, 92.45, 51.71}, 0, NULL},
    {"no_extension", {88.84, 92.42, 51.69}, 0, NULL},
    {"with space \xc3\xa9\xe4\xb8\xad.png", {88.84, 92.42, 51.69}, 0, NULL},
    {"one_pixel.png", {200, 30, 60}, 0, NULL},
    {"one_pixel.jpg", {200, 29, 61}, 0, NULL},
    {"wide.png", {89.00, 92.56, 51.46}, 0, NULL},
    {"tall.jpg", {90.43, 92.74, 52.81}, 0, NULL},
    {"constant_mean.png", {124, 116, 104}, 0, NULL},
    {"black.png", {0, 0, 0}, 0, NULL},
    {"noise.png", {126.69, 127.34, 127.88}, 0, NULL},
    {"icc_like_large_app.jpg", {88.86, 92.45, 51.78}, 0, NULL},
    {"truncated.jpg", {0}, WHY_EFORMAT, "truncated JPEG: 128 of 240 rows"},
    {"truncated_header.jpg", {0}, WHY_EFORMAT, "before its header is complete"},
    {"truncated.png", {0}, WHY_EFORMAT, "the file is truncated"},
    {"bad_crc.png", {0}, WHY_EFORMAT, "CRC error"},
    {"zero.jpg", {0}, WHY_EFORMAT, "is empty"},
    {"text.jpg", {0}, WHY_EFORMAT, "not a picture"},
    {"README.md", {0}, WHY_EFORMAT, "not a picture"},
    {"bomb_30000x30000_1bit.png", {0}, WHY_ELIMIT, "30000 x 30000"},
    {"header_lies_2e31.png", {0}, WHY_ELIMIT, "2147483647 x 2147483647"},
    {"zero_width.png", {0}, WHY_EFORMAT, "IHDR"},
    {"sof_lies_65535.jpg", {0}, WHY_ELIMIT, "65535 x 65535"},
    {"base.bmp", {0}, WHY_EUNSUPPORTED, "BMP"},
    {"base.ppm", {0}, WHY_EUNSUPPORTED, "PPM"},
    {"gray.pgm", {0}, WHY_EUNSUPPORTED, "PGM"},
    {"base.gif", {0}, WHY_EUNSUPPORTED, "GIF"},
    {"base.webp", {0}, WHY_EUNSUPPORTED, "is a WebP file; PNG and JPEG are read"},
    {"directory.jpg", {0}, WHY_EFILE, "folder"},
    {"dangling.png", {0}, WHY_EFILE, "dangling.png"},
};

static const struct outcome *outcome_of(const char *file) {
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (strcmp(outcomes[i].file, file) == 0) return &outcomes[i];
    return NULL;
}

static void check_mean(const struct outcome *o, const why_image *im) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    for (size_t c = 0; c < 3; c++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += im->rgb[3 * i + c];
        const double mean = sum / (double)n;
        if (fabs(mean - o->mean[c]) > 0.01) fail_msg("%s: mean of channel %zu is %.3f, not %.2f", o->file, c, mean, o->mean[c]);
    }
}

static void check_outcome(const struct outcome *o, const char *path) {
    why_image im;
    const why_status st = why_image_load(path, NULL, &im);
    if (!o->says) {
        assert_ok(st);
        check_mean(o, &im);
        why_image_clear(&im);
        return;
    }
    if (strcmp(o->file, "dangling.png") == 0 && st == WHY_EFORMAT) return; /* a copy without links has a text file there */
    if (st != o->status) fail_msg("%s: %s, not %s", o->file, why_status_name(st), why_status_name(o->status));
    assert_says(o->says);
    assert_says(o->file);
}

static void every_awkward_file_has_its_outcome(void **state) {
    (void)state;
    char folder[4096], path[8192];
    if (!test_data("awkward", folder)) skip();
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        const struct outcome *o = outcome_of(e->d_name);
        if (!o) fail_msg("%s has no outcome in this table", e->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        check_outcome(o, path);
    }
    closedir(d);
}

static int check_crop(const char *photographs, const char *crops, const char *name) {
    const why_fit fit = {.resize_h = 256, .how = WHY_BILINEAR, .crop = 224};
    char path[8192];
    why_image photograph, got, want;
    snprintf(path, sizeof path, "%s/%s.JPEG", photographs, name);
    assert_ok(why_image_load(path, NULL, &photograph));
    assert_ok(why_image_fit(&photograph, &fit, &got));
    snprintf(path, sizeof path, "%s/%s.png", crops, name);
    assert_ok(why_image_load(path, NULL, &want));
    assert_int_equal(want.h, got.h);
    assert_int_equal(want.w, got.w);
    const int same = memcmp(want.rgb, got.rgb, 224 * 224 * 3) == 0;
    why_image_clear(&photograph);
    why_image_clear(&got);
    why_image_clear(&want);
    if (!same) print_message("%s: our crop differs from torchvision's\n", name);
    return !same;
}

static void crops_are_torchvisions_to_the_bit(void **state) {
    (void)state;
    char photographs[4096], crops[4096];
    if (!test_data("images", photographs) || !test_data("images-crops224", crops)) skip();
    DIR *d = opendir(photographs);
    assert_non_null(d);
    int n = 0, wrong = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        char name[256];
        if (sscanf(e->d_name, "%250[^.].JPEG", name) != 1 || !strstr(e->d_name, ".JPEG")) continue;
        wrong += check_crop(photographs, crops, name);
        n++;
    }
    closedir(d);
    assert_true(n > 0);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_awkward_file_has_its_outcome),
        cmocka_unit_test(crops_are_torchvisions_to_the_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
