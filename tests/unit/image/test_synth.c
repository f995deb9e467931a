#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/synth.h"
#include "image/synth_shape.h"

static const why_synth_options plain = {.seed = 2026, .split = "test", .size = 128};
static const why_synth_options planted = {.seed = 2026, .split = "test", .size = 128, .planted = true, .shortcut = 1};
enum { SIDE = 128, PIXELS = SIDE * SIDE };

typedef struct drawn {
    why_image image;
    uint8_t *owner;
    why_synth_facts facts;
} drawn;

static drawn draw(const why_synth_options *o, uint32_t index, unsigned without) {
    drawn d;
    assert_int_equal(why_synth_draw(o, index, without, &d.image, &d.owner, &d.facts), WHY_OK);
    return d;
}

static void drop(drawn *d) {
    why_image_clear(&d->image);
    free(d->owner);
}

static bool same_pixel(const drawn *a, const drawn *b, int at) { return memcmp(&a->image.rgb[3 * at], &b->image.rgb[3 * at], 3) == 0; }

/* Does `part` own a pixel at most two away? Its edges and its tips are mixed into those. */
static bool near_part(const uint8_t *owner, int at, uint8_t part) {
    int row = at / SIDE, column = at % SIDE;
    for (int i = row - 2; i <= row + 2; i++)
        for (int j = column - 2; j <= column + 2; j++)
            if (i >= 0 && i < SIDE && j >= 0 && j < SIDE && owner[i * SIDE + j] == part) return true;
    return false;
}

/* ---------------------------------------------------------------- the pixels */
/* Anyone who changes these changes every published number that rests on made pictures. */
static void test_pixels_are_pinned(void **state) {
    static const char *const want[] = {
        "02d78945d6f181ee476f3c743da1165d20f98740d212fb631c4d96f69c0fc12b",
        "39bbe180687323b5795c889460ece00de63a15d7730fad15106069f3181d2bf3",
        "d8ce47993883caa707161c2c8cd964771709aa25b9854ea6b27493a6bfbfa698",
    };
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        char hex[65];
        drawn d = draw(&planted, i, 0);
        why_sha256(d.image.rgb, 3 * PIXELS, hex);
        assert_string_equal(hex, want[i]);
        drop(&d);
    }
}

static void test_seed_and_split_make_other_pictures(void **state) {
    (void)state;
    why_synth_options seed = plain, split = plain;
    seed.seed++;
    split.split = "train";
    drawn a = draw(&plain, 4, 0), again = draw(&plain, 4, 0), b = draw(&seed, 4, 0), c = draw(&split, 4, 0);
    assert_memory_equal(a.image.rgb, again.image.rgb, 3 * PIXELS);
    assert_memory_not_equal(a.image.rgb, b.image.rgb, 3 * PIXELS);
    assert_memory_not_equal(a.image.rgb, c.image.rgb, 3 * PIXELS);
    drop(&a);
    drop(&again);
    drop(&b);
    drop(&c);
}

static void test_larger_pictures_show_the_same_scene(void **state) {
    (void)state;
    why_synth_options large = planted;
    large.size = 192;
    drawn a = draw(&planted, 6, 0), b = draw(&large, 6, 0);
    assert_int_equal(b.image.h, 192);
    assert_int_equal(a.facts.label, b.facts.label);
    assert_float_equal(a.facts.area, b.facts.area, 2e-3);
    for (int i = 0; i < WHY_SYNTH_PARTS; i++) assert_float_equal(a.facts.visible[i], b.facts.visible[i], 5e-3);
    drop(&a);
    drop(&b);
}

/* ---------------------------------------------------------------- parts */
static void check_cover(const drawn *d) {
    int count[WHY_SYNTH_PARTS] = {0};
    double sum = 0;
    for (int at = 0; at < PIXELS; at++) {
        assert_true(d->owner[at] < WHY_SYNTH_PARTS);
        count[d->owner[at]]++;
    }
    for (int part = 0; part < WHY_SYNTH_PARTS; part++) {
        assert_float_equal(d->facts.visible[part], count[part] / (double)PIXELS, 1e-12);
        assert_int_equal(count[part] > 0, d->facts.present[part]);
        sum += d->facts.visible[part];
    }
    assert_float_equal(sum, 1, 1e-12);
    assert_in_range((int)(1000 * d->facts.visible[WHY_SYNTH_CLUTTER]), 15, 150);
    assert_in_range((int)(1000 * d->facts.area), 74, 161);
    assert_float_equal(d->facts.visible[WHY_SYNTH_OBJECT], d->facts.area * (1 - d->facts.occluded), .004);
}

static void test_masks_cover_the_picture(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        drawn d = draw(&planted, i, 0);
        check_cover(&d);
        drop(&d);
    }
}

static void check_without(uint32_t index, uint8_t part) {
    drawn d = draw(&planted, index, 0), without = draw(&planted, index, 1u << part);
    int changed = 0, owned = 0, stray = 0;
    for (int at = 0; at < PIXELS; at++) {
        bool same = same_pixel(&d, &without, at), mine = d.owner[at] == part;
        stray += !same && !near_part(d.owner, at, part);
        owned += mine;
        changed += mine && !same;
    }
    assert_in_range(stray, 0, 4); /* slivers between two other parts, of a sub-sample or two, own no pixel */
    if (d.facts.present[part]) assert_true(changed > owned / 3); /* some of what appears has the colour of what is gone */
    else assert_int_equal(changed, 0);
    if (part != WHY_SYNTH_TEXTURE) assert_float_equal(without.facts.visible[part], 0, 0);
    drop(&d);
    drop(&without);
}

/* Without a part the picture changes where the part was, and nowhere else. */
static void test_only_the_part_that_is_left_out_changes(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        for (uint8_t part = 0; part < WHY_SYNTH_PARTS; part++) check_without(i, part);
}

static void test_leaving_the_occluder_out_shows_the_whole_object(void **state) {
    (void)state;
    int seen = 0;
    for (uint32_t i = 0; i < 10; i++) {
        drawn d = draw(&plain, i, 0), open = draw(&plain, i, 1u << WHY_SYNTH_OCCLUDER);
        assert_float_equal(open.facts.occluded, 0, 0);
        assert_float_equal(open.facts.area, d.facts.area, 0);
        seen += d.facts.present[WHY_SYNTH_OCCLUDER];
        if (d.facts.present[WHY_SYNTH_OCCLUDER]) assert_in_range((int)(1000 * d.facts.occluded), 30, 170);
        else assert_float_equal(d.facts.occluded, 0, 0);
        drop(&d);
        drop(&open);
    }
    assert_in_range(seen, 1, 9);
}

/* ---------------------------------------------------------------- classes and cues */
static void test_classes_are_balanced_in_tens(void **state) {
    (void)state;
    int in_order = 0;
    for (uint32_t ten = 0; ten < 3; ten++) {
        int seen[WHY_SYNTH_CLASSES] = {0};
        for (uint32_t i = 0; i < 10; i++) {
            drawn d = draw(&plain, 10 * ten + i, 0);
            seen[d.facts.label]++;
            in_order += d.facts.label == (int)i;
            drop(&d);
        }
        for (int c = 0; c < WHY_SYNTH_CLASSES; c++) assert_int_equal(seen[c], 1);
    }
    assert_true(in_order < 15);
}

static int cues_that_tell(double shortcut, uint32_t n) {
    why_synth_options o = planted;
    int hits = 0;
    o.shortcut = shortcut;
    for (uint32_t i = 0; i < n; i++) {
        drawn d = draw(&o, i, 0);
        assert_in_range(d.facts.cue, 0, WHY_SYNTH_CLASSES - 1);
        hits += d.facts.cue == d.facts.label;
        drop(&d);
    }
    return hits;
}

/* Of 40 draws that tell with p = .1 and .55; the bounds are five standard deviations away. */
static void test_shortcut_is_the_chance_that_the_cue_tells(void **state) {
    (void)state;
    assert_int_equal(cues_that_tell(1, 40), 40);
    assert_in_range(cues_that_tell(0, 40), 0, 13);
    assert_in_range(cues_that_tell(.5, 40), 7, 37);
}

static void test_cue_is_all_that_a_planted_picture_adds(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        drawn a = draw(&plain, i, 0), b = draw(&planted, i, 0), c = draw(&planted, i, 1u << WHY_SYNTH_CUE);
        assert_memory_equal(a.image.rgb, c.image.rgb, 3 * PIXELS);
        assert_int_equal(a.facts.cue, -1);
        assert_int_equal(a.facts.label, b.facts.label);
        for (int at = 0; at < PIXELS; at++)
            if (!near_part(b.owner, at, WHY_SYNTH_CUE)) assert_true(same_pixel(&a, &b, at));
        drop(&a);
        drop(&b);
        drop(&c);
    }
}

/* What no flip and no turn of a badge changes: how much of each colour it has, and how much neighbours differ. */
static void look_of(const drawn *d, double look[4]) {
    for (int k = 0; k < 4; k++) look[k] = 0;
    for (int at = 0; at < PIXELS - SIDE - 1; at++) {
        if (d->owner[at] != WHY_SYNTH_CUE) continue;
        const uint8_t *p = &d->image.rgb[3 * at];
        for (int k = 0; k < 3; k++) {
            look[k] += p[k] / 255.0 / 256;
            look[3] += (abs(p[k] - p[k + 3]) + abs(p[k] - p[k + 3 * SIDE])) / 255.0 / 256;
        }
    }
}

static void test_cues_differ(void **state) {
    (void)state;
    double look[WHY_SYNTH_CLASSES][4];
    for (uint32_t i = 0; i < 10; i++) {
        drawn d = draw(&planted, i, 0);
        look_of(&d, look[d.facts.cue]);
        drop(&d);
    }
    for (int a = 0; a < WHY_SYNTH_CLASSES; a++)
        for (int b = 0; b < a; b++) {
            double far = 0;
            for (int k = 0; k < 4; k++) far = fmax(far, fabs(look[a][k] - look[b][k]));
            assert_true(far > .05);
        }
}

/* Mean and standard deviation of each channel where the owner is `part` (-1: everywhere). */
static void colours(const drawn *d, int part, double f[6]) {
    double n = 0;
    for (int k = 0; k < 6; k++) f[k] = 0;
    for (int at = 0; at < PIXELS; at++) {
        if (part >= 0 && d->owner[at] != part) continue;
        n++;
        for (int k = 0; k < 3; k++) {
            double v = d->image.rgb[3 * at + k] / 255.0;
            f[k] += v;
            f[3 + k] += v * v;
        }
    }
    for (int k = 0; k < 3; k++) {
        f[k] /= n;
        f[3 + k] = sqrt(fmax(0, f[3 + k] / n - f[k] * f[k]));
    }
}

/* What a classifier could know without the outline: colours of picture and object, surface, contrast. */
enum { FEATURES = 14, LEARNT = 120, JUDGED = 80 };
static int features(uint32_t index, double f[FEATURES]) {
    drawn d = draw(&plain, index, 0);
    int label = d.facts.label;
    colours(&d, -1, f);
    colours(&d, WHY_SYNTH_OBJECT, f + 6);
    f[12] = 5 * d.facts.area;
    f[13] = d.facts.contrast;
    drop(&d);
    return label;
}

static int nearest_class(double mean[WHY_SYNTH_CLASSES][FEATURES], const double f[FEATURES]) {
    double least = INFINITY;
    int best = 0;
    for (int c = 0; c < WHY_SYNTH_CLASSES; c++) {
        double d = 0;
        for (int k = 0; k < FEATURES; k++) d += (f[k] - mean[c][k]) * (f[k] - mean[c][k]);
        if (d >= least) continue;
        least = d;
        best = c;
    }
    return best;
}

/* A nearest-class-mean classifier must not beat chance: 8 of 80 (20 would be 4.5 standard deviations above). */
static void test_colour_and_size_do_not_tell_the_class(void **state) {
    (void)state;
    double mean[WHY_SYNTH_CLASSES][FEATURES] = {{0}}, f[FEATURES];
    int hits = 0;
    for (uint32_t i = 0; i < LEARNT; i++) {
        int label = features(i, f);
        for (int k = 0; k < FEATURES; k++) mean[label][k] += f[k] * WHY_SYNTH_CLASSES / LEARNT;
    }
    for (uint32_t i = LEARNT; i < LEARNT + JUDGED; i++) {
        int label = features(i, f);
        hits += nearest_class(mean, f) == label;
    }
    assert_in_range(hits, 0, 19);
}

/* ---------------------------------------------------------------- outlines */
static void test_outlines_have_their_area_and_reach(void **state) {
    (void)state;
    const int n = 1000;
    for (int c = 0; c < WHY_SYNTH_CLASSES; c++) {
        const synth_shape *s = &why_synth_shapes[c];
        double inside = 0, far = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double u = 3 * (j + .5) / n - 1.5, v = 3 * (i + .5) / n - 1.5;
                if (!why_synth_in_shape(s, u, v)) continue;
                inside++;
                far = fmax(far, u * u + v * v);
            }
        assert_float_equal(inside * 9 / n / n, s->area, .01 * s->area);
        assert_true(sqrt(far) <= s->reach);
        assert_true(sqrt(far) > s->reach - .02);
    }
}

/* ---------------------------------------------------------------- sets */
static void path_of(char *out, size_t size, const char *dir, const char *name) { snprintf(out, size, "%s/%s", dir, name); }

static char *text_of(const char *dir, const char *name) {
    char path[512];
    uint8_t *data;
    size_t size;
    path_of(path, sizeof path, dir, name);
    assert_int_equal(why_read_file(path, 1 << 20, &data, &size), WHY_OK);
    return (char *)data;
}

static int lines_of(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static bool has(const char *text, const char *line) { return strstr(text, line) != NULL; }

static void remove_tree(const char *dir) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void make_dir(char dir[64]) {
    snprintf(dir, 64, "/tmp/whypix-synth-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void check_mask(const char *dir, const drawn *d, const char *name, uint8_t part) {
    char path[512];
    uint8_t *mask;
    int h, w;
    path_of(path, sizeof path, dir, name);
    assert_int_equal(why_mask_load(path, NULL, &mask, &h, &w), WHY_OK);
    assert_int_equal(h * w, PIXELS);
    for (int at = 0; at < PIXELS; at++) assert_int_equal(mask[at], d->owner[at] == part ? 255 : 0);
    free(mask);
}

static void check_picture(const char *dir, const drawn *d, const char *name) {
    char path[512];
    why_image im;
    path_of(path, sizeof path, dir, name);
    assert_int_equal(why_image_load(path, NULL, &im), WHY_OK);
    assert_memory_equal(im.rgb, d->image.rgb, 3 * PIXELS);
    why_image_clear(&im);
}

static void check_lists(const char *dir, int label) {
    char line[160];
    char *list = text_of(dir, "list.csv"), *parts = text_of(dir, "parts.csv"), *labels = text_of(dir, "labels.txt");
    assert_int_equal(lines_of(list), 3);
    assert_int_equal(lines_of(labels), WHY_SYNTH_CLASSES);
    assert_int_equal(strncmp(labels, "disc\n", 5), 0);
    snprintf(line, sizeof line, "\nimages/00001.png,%d,masks/00001.png,test-00001,test,", label);
    assert_true(has(list, line));
    snprintf(line, sizeof line, "\nparts/00001-clutter.png,%d,parts/00001-clutter-mask.png,test-00001,test,images/00001.png,clutter,",
             label);
    assert_true(has(parts, line));
    free(list);
    free(parts);
    free(labels);
}

static void test_a_set_on_disk_is_what_was_drawn(void **state) {
    (void)state;
    char dir[64];
    make_dir(dir);
    assert_int_equal(why_synth_write(&planted, 2, true, dir), WHY_OK);
    drawn d = draw(&planted, 1, 0), bare = draw(&planted, 1, 1u << WHY_SYNTH_OBJECT);
    check_picture(dir, &d, "images/00001.png");
    check_mask(dir, &d, "masks/00001.png", WHY_SYNTH_OBJECT);
    check_picture(dir, &bare, "parts/00001-object.png");
    check_mask(dir, &d, "parts/00001-cue-mask.png", WHY_SYNTH_CUE);
    check_lists(dir, d.facts.label);
    drop(&d);
    drop(&bare);
    remove_tree(dir);
}

static void test_a_shorter_set_is_the_start_of_a_longer_one(void **state) {
    (void)state;
    char one[64], two[64];
    make_dir(one);
    make_dir(two);
    assert_int_equal(why_synth_write(&plain, 1, false, one), WHY_OK);
    assert_int_equal(why_synth_write(&plain, 2, false, two), WHY_OK);
    char *a = text_of(one, "list.csv"), *b = text_of(two, "list.csv");
    assert_int_equal(strncmp(a, b, strlen(a)), 0);
    assert_true(strlen(b) > strlen(a));
    free(a);
    free(b);
    remove_tree(one);
    remove_tree(two);
}

/* ---------------------------------------------------------------- bad input */
static void refused(const why_synth_options *o, const char *needle) {
    why_image im;
    assert_int_equal(why_synth_draw(o, 0, 0, &im, NULL, NULL), WHY_EARG);
    assert_non_null(strstr(why_error_text(), needle));
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    why_synth_options o = plain;
    o.size = 127;
    refused(&o, "size is 127 pixels, want 128 to 2048");
    o.size = 2049;
    refused(&o, "size is 2049 pixels");
    o = planted;
    o.shortcut = 1.5;
    refused(&o, "shortcut is 1.5, want a probability from 0 to 1");
    o.shortcut = NAN;
    refused(&o, "want a probability");
    o = plain;
    o.split = "";
    refused(&o, "the split has no name");
}

static void test_a_folder_that_cannot_be_made_is_named(void **state) {
    (void)state;
    char dir[64], path[128];
    make_dir(dir);
    snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(why_write_file(path, "x", 1), WHY_OK);
    assert_int_equal(why_synth_write(&plain, 1, false, path), WHY_EFILE);
    assert_non_null(strstr(why_error_text(), path));
    remove_tree(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels_are_pinned),
        cmocka_unit_test(test_seed_and_split_make_other_pictures),
        cmocka_unit_test(test_larger_pictures_show_the_same_scene),
        cmocka_unit_test(test_masks_cover_the_picture),
        cmocka_unit_test(test_only_the_part_that_is_left_out_changes),
        cmocka_unit_test(test_leaving_the_occluder_out_shows_the_whole_object),
        cmocka_unit_test(test_classes_are_balanced_in_tens),
        cmocka_unit_test(test_shortcut_is_the_chance_that_the_cue_tells),
        cmocka_unit_test(test_cue_is_all_that_a_planted_picture_adds),
        cmocka_unit_test(test_cues_differ),
        cmocka_unit_test(test_colour_and_size_do_not_tell_the_class),
        cmocka_unit_test(test_outlines_have_their_area_and_reach),
        cmocka_unit_test(test_a_set_on_disk_is_what_was_drawn),
        cmocka_unit_test(test_a_shorter_set_is_the_start_of_a_longer_one),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
