/* Reading pictures: what Pillow makes of the same files, and files that are none. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "golden.h"

#include "base/file.h"
#include "image/decode.h"
#include "whypix/rng.h"

static void read_bytes(const char *path, uint8_t **bytes, size_t *n) { assert_ok(why_read_file(path, 1 << 24, bytes, n)); }

static void check_digest(const char *what, const char *name, int h, int w, const char *want, const uint8_t *px, int got_h, int got_w,
                         size_t n) {
    char hex[65];
    why_sha256(px, n, hex);
    if (h != got_h || w != got_w || strcmp(hex, want) != 0)
        fail_msg("%s %s: not Pillow's %d x %d pixels (ours: %d x %d)", what, name, w, h, got_w, got_h);
}

static void check_rgb(const char *kind, const char *name, int h, int w, const char *want) {
    const why_image_limits limits = {.exif = strcmp(kind, "upright") == 0};
    why_image im;
    assert_ok(why_image_load(golden("%s", name), &limits, &im));
    check_digest(kind, name, h, w, want, im.rgb, im.h, im.w, (size_t)im.h * (size_t)im.w * 3);
    why_image_clear(&im);
}

static void check_grey(const char *name, int h, int w, const char *want) {
    uint8_t *mask;
    int got_h, got_w;
    assert_ok(why_mask_load(golden("%s", name), NULL, &mask, &got_h, &got_w));
    check_digest("grey", name, h, w, want, mask, got_h, got_w, (size_t)got_h * (size_t)got_w);
    free(mask);
}

static void pictures_are_what_pillow_reads(void **state) {
    (void)state;
    FILE *list = fopen(golden("digests.txt"), "r");
    char kind[16], name[64], want[65];
    int h, w, n = 0;
    assert_non_null(list);
    for (; fscanf(list, "%15s %63s %d %d %64s", kind, name, &h, &w, want) == 5; n++) {
        if (strcmp(kind, "grey") == 0) check_grey(name, h, w, want);
        else check_rgb(kind, name, h, w, want);
    }
    fclose(list);
    assert_true(n > 50);
}

static void sizes_are_checked_before_memory_is_taken(void **state) {
    (void)state;
    const why_image_limits small = {.max_pixels = 48 * 40 - 1}, exact = {.max_pixels = 48 * 40};
    why_image im;
    assert_int_equal(why_image_load(golden("bomb.png"), NULL, &im), WHY_ELIMIT);
    assert_says("60000 x 60000");
    assert_null(im.rgb);
    assert_int_equal(why_image_load(golden("hollow.png"), NULL, &im), WHY_EFORMAT);
    assert_says("cannot hold");
    assert_int_equal(why_image_load(golden("rgb.png"), &small, &im), WHY_ELIMIT);
    assert_int_equal(why_image_load(golden("rgb_420.jpg"), &small, &im), WHY_ELIMIT);
    assert_ok(why_image_load(golden("rgb.png"), &exact, &im));
    why_image_clear(&im);
}

/* The frame header of a JPEG: FF C0, length, precision, height, width. */
static void lie_about_size(uint8_t *bytes, size_t n, uint8_t hi, uint8_t lo) {
    size_t at = 2;
    while (at + 9 < n && bytes[at + 1] != 0xc0) at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    assert_int_equal(bytes[at], 0xff);
    for (int i = 5; i <= 7; i += 2) {
        bytes[at + (size_t)i] = hi;
        bytes[at + (size_t)i + 1] = lo;
    }
}

static void a_jpeg_that_lies_about_its_size_is_refused(void **state) {
    (void)state;
    uint8_t *bytes;
    size_t n;
    why_image im;
    read_bytes(golden("rgb_420.jpg"), &bytes, &n);
    lie_about_size(bytes, n, 0xff, 0xff);
    assert_int_equal(why_image_decode(bytes, n, NULL, &im), WHY_ELIMIT);
    assert_says("65535 x 65535");
    lie_about_size(bytes, n, 0xf0, 0x00);
    assert_int_equal(why_image_decode(bytes, n, NULL, &im), WHY_ELIMIT);
    lie_about_size(bytes, n, 0, 0);
    assert_int_equal(why_image_decode(bytes, n, NULL, &im), WHY_EFORMAT);
    free(bytes);
}

static void every_truncation_is_an_error(void **state) {
    (void)state;
    static const char *const names[] = {"rgb.png", "palette4.png", "rgb_420.jpg", "rgb_progressive.jpg", "cmyk.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *bytes;
        size_t n;
        read_bytes(golden("%s", names[i]), &bytes, &n);
        const size_t tail = strstr(names[i], ".png") ? 16 : 0; /* IEND and a checksum may be missing: the pixels are there */
        for (size_t cut = 0; cut + tail < n; cut += cut < 400 ? 1 : 37) {
            why_image im;
            const why_status st = why_image_decode(bytes, cut, NULL, &im);
            if (st != WHY_EFORMAT) fail_msg("%s cut at %zu of %zu: %s", names[i], cut, n, why_status_name(st));
            assert_null(im.rgb);
        }
        free(bytes);
    }
}

static void a_jpeg_without_its_end_marker_is_truncated(void **state) {
    (void)state;
    uint8_t *bytes;
    size_t n;
    why_image im;
    read_bytes(golden("rgb_420.jpg"), &bytes, &n);
    assert_int_equal(why_image_decode(bytes, n - 2, NULL, &im), WHY_EFORMAT);
    assert_says("truncated");
    free(bytes);
}

static void corrupt_png_data_is_an_error(void **state) {
    (void)state;
    uint8_t *bytes;
    size_t n;
    why_image im;
    read_bytes(golden("rgb.png"), &bytes, &n);
    bytes[n / 2] ^= 0x40;
    assert_int_equal(why_image_decode(bytes, n, NULL, &im), WHY_EFORMAT);
    assert_says("broken PNG");
    bytes[n / 2] ^= 0x40;
    bytes[n - 14] ^= 1; /* the checksum of the pixels, before the 12 bytes of IEND */
    assert_int_equal(why_image_decode(bytes, n, NULL, &im), WHY_EFORMAT);
    assert_says("CRC");
    free(bytes);
}

static void orientations_are_read_in_both_byte_orders(void **state) {
    (void)state;
    uint8_t little[] = "II*\0\x08\0\0\0\x02\0" "\x0f\x01\x02\0\x01\0\0\0\0\0\0\0" "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    static const uint8_t big[] = "MM\0*\0\0\0\x08\0\x01" "\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
    const size_t n = sizeof little - 1;
    assert_int_equal(why_exif_orientation(little, n), 6);
    assert_int_equal(why_exif_orientation(big, sizeof big - 1), 8);
    for (size_t cut = 0; cut < n; cut++) assert_int_equal(why_exif_orientation(little, cut), 1);
    little[n - 4] = 9;
    assert_int_equal(why_exif_orientation(little, n), 1);
    memset(little + 4, 0xff, 4); /* an offset beyond the block */
    assert_int_equal(why_exif_orientation(little, n), 1);
}

static void other_formats_are_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        why_status status;
        const char *says;
    } files[] = {
        {"", 0, WHY_EFORMAT, "is empty"},
        {"plain text", 10, WHY_EFORMAT, "not a picture"},
        {"B", 1, WHY_EFORMAT, "not a picture"},
        {"BM0000", 6, WHY_EUNSUPPORTED, "a BMP file"},
        {"GIF89a", 6, WHY_EUNSUPPORTED, "a GIF file"},
        {"P6\n4 4", 6, WHY_EUNSUPPORTED, "a PPM file"},
        {"RIFF\0\0\0\0WEBPVP8 ", 16, WHY_EUNSUPPORTED, "is a WebP file; PNG and JPEG are read"},
        {"\0\0\0\x1c" "ftypavif", 12, WHY_EUNSUPPORTED, "an AVIF file"},
        {"II*\0\0\0\0\0", 8, WHY_EUNSUPPORTED, "a TIFF file"},
        {"\x89PNG\r\n\x1a\n", 8, WHY_EFORMAT, "truncated"},
        {"\xff\xd8\xff\xe0", 4, WHY_EFORMAT, "truncated JPEG"},
        {"\xff\xd8\xff\xd9", 4, WHY_EFORMAT, "JPEG"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        why_image im;
        assert_int_equal(why_image_decode((const uint8_t *)files[i].bytes, files[i].n, NULL, &im), files[i].status);
        assert_says(files[i].says);
    }
}

static void what_is_not_a_file_is_said(void **state) {
    (void)state;
    why_image im;
    uint8_t *mask;
    int h, w;
    assert_int_equal(why_image_load("/nonexistent/a.png", NULL, &im), WHY_EFILE);
    assert_says("/nonexistent/a.png");
    assert_int_equal(why_image_load(golden("%s", ""), NULL, &im), WHY_EFILE);
    assert_says("folder");
    assert_int_equal(why_mask_load("/nonexistent/a.png", NULL, &mask, &h, &w), WHY_EFILE);
    assert_int_equal(why_mask_load(golden("digests.txt"), NULL, &mask, &h, &w), WHY_EFORMAT);
    assert_null(mask);
}

static void hostile_bytes_never_crash(void **state) {
    (void)state;
    static const char *const names[] = {"turned6.jpg", "rgb_progressive.jpg", "cmyk.jpg", "palette2.png", "turned.png", "rgb16.png"};
    const why_stream stream = why_stream_of(1, 2, "flip");
    const why_image_limits limits = {.max_pixels = 1 << 16, .exif = true};
    const time_t end = time(NULL) + 20;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *bytes, *copy;
        size_t n;
        read_bytes(golden("%s", names[i]), &bytes, &n);
        copy = malloc(n);
        assert_non_null(copy);
        for (uint32_t round = 0; round < 1500 && time(NULL) < end; round++) {
            why_rng r = why_rng_at(stream, round);
            why_image im;
            memcpy(copy, bytes, n);
            for (uint32_t k = 1 + why_rng_below(&r, 6); k > 0; k--) copy[why_rng_below(&r, (uint32_t)n)] = (uint8_t)why_rng_u32(&r);
            const size_t length = why_rng_below(&r, 4) ? n : why_rng_below(&r, (uint32_t)n);
            if (why_image_decode(copy, length, &limits, &im) == WHY_OK) why_image_clear(&im);
            else assert_null(im.rgb);
        }
        free(copy);
        free(bytes);
    }
}

static void saved_pictures_are_read_back(void **state) {
    (void)state;
    char path[] = "/tmp/whypix-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    why_image im = golden_image("rgb.png"), back;
    uint8_t *mask;
    int h, w;
    const size_t n = (size_t)im.h * (size_t)im.w;
    assert_ok(why_image_save_png(&im, path));
    assert_ok(why_image_load(path, NULL, &back));
    assert_memory_equal(im.rgb, back.rgb, 3 * n);
    assert_ok(why_grey_save_png(im.rgb, im.h, im.w, path));
    assert_ok(why_mask_load(path, NULL, &mask, &h, &w));
    assert_memory_equal(im.rgb, mask, n);
    free(mask);
    why_image_clear(&back);
    assert_int_equal(why_image_save_png(&im, "/nonexistent/a.png"), WHY_EFILE);
    why_image_clear(&im);
    unlink(path);
}

static void pictures_of_no_size_are_refused(void **state) {
    (void)state;
    why_image im;
    assert_int_equal(why_image_create(0, 5, &im), WHY_EARG);
    assert_int_equal(why_image_create(5, -1, &im), WHY_EARG);
    assert_ok(why_image_create(2, 3, &im));
    for (int i = 0; i < 18; i++) assert_int_equal(im.rgb[i], 0);
    why_image_clear(&im);
    assert_null(im.rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_what_pillow_reads),
        cmocka_unit_test(sizes_are_checked_before_memory_is_taken),
        cmocka_unit_test(a_jpeg_that_lies_about_its_size_is_refused),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(a_jpeg_without_its_end_marker_is_truncated),
        cmocka_unit_test(corrupt_png_data_is_an_error),
        cmocka_unit_test(orientations_are_read_in_both_byte_orders),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(what_is_not_a_file_is_said),
        cmocka_unit_test(hostile_bytes_never_crash),
        cmocka_unit_test(saved_pictures_are_read_back),
        cmocka_unit_test(pictures_of_no_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
