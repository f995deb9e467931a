/* Image lists and label files. */
#include "job_files.h"

#include "run/boxes.h"
#include "run/csv.h"
#include "run/manifest.h"

static why_arena *arena;
static why_labels labels;

static int setup(void **state) {
    (void)state;
    OK(why_arena_create(1 << 16, &arena));
    OK(why_labels_load(arena, write_text("labels.txt", "cat\ndog\r\ntwin\ntwin\nlast"), 0, &labels));
    return 0;
}

static int teardown(void **state) {
    why_arena_destroy(&arena);
    return remove_dir(state);
}

static why_manifest list(const char *text) {
    why_manifest m;
    OK(why_manifest_load(arena, write_text("list.csv", text), &labels, &m));
    return m;
}

static void refused(const char *text, const char *error) {
    why_manifest m;
    REFUSED(why_manifest_load(arena, write_text("list.csv", text), &labels, &m), error);
}

static void test_columns(void **state) {
    (void)state;
    why_manifest m = list("image,label,mask,boxes,group,split,site,density\na.png,1,m.png,,g1,train,north,0.50\nsub/b.png,,,,,,,\n/"
                          "abs.png,cat,,3 4 10 20;0 0 1 1,,,1e400,x\n");
    assert_int_equal(m.n, 3);
    assert_int_equal(m.images[0].id, 1);
    assert_string_equal(m.images[0].path, "a.png");
    assert_string_equal(m.images[0].file, in_dir("a.png"));
    assert_int_equal(m.images[0].label, 1);
    assert_string_equal(m.images[0].mask, "m.png");
    assert_string_equal(m.images[0].mask_file, in_dir("m.png"));
    assert_null(m.images[0].boxes);
    assert_string_equal(m.images[0].group, "g1");
    assert_string_equal(m.images[0].split, "train");
    assert_string_equal(m.images[0].covars, "{\"site\":\"north\",\"density\":0.5}");
    assert_int_equal(m.images[1].label, -1);
    assert_null(m.images[1].mask);
    assert_null(m.images[1].covars);
    assert_string_equal(m.images[2].file, "/abs.png");
    assert_int_equal(m.images[2].label, 0);
    assert_string_equal(m.images[2].covars, "{\"site\":\"1e400\",\"density\":\"x\"}"); /* an infinity is no number */
    assert_string_equal(m.images[2].boxes, "3 4 10 20;0 0 1 1");
    assert_string_equal(m.images[2].mask, m.images[2].boxes);
    assert_null(m.images[2].mask_file);
    assert_int_equal(m.line[2], 4);
}

/* The half-open box, cut at the picture's edge, and the union of two. */
static void test_boxes(void **state) {
    (void)state;
    static const uint8_t want[3][5] = {{0, 0, 0, 0, 0}, {0, 1, 1, 0, 1}, {0, 0, 0, 0, 1}};
    uint8_t *mask;
    OK(why_boxes_mask("1 1 3 2 ; 4 1 99 99", 3, 5, &mask));
    assert_memory_equal(mask, want, sizeof want);
    free(mask);
    OK(why_boxes_mask("-5 -5 900 900", 3, 5, &mask));
    for (int i = 0; i < 15; i++) assert_int_equal(mask[i], 1);
    free(mask);
    REFUSED(why_boxes_mask("0 0 1 1;5 0 6 1", 3, 5, &mask), "box '5 0 6 1' lies outside the picture of 5 x 3");
    assert_null(mask);
    refused("image,boxes\na,1 2 3\n", "list.csv:2: boxes '1 2 3': want X0 Y0 X1 Y1");
    refused("image,boxes\na,1 2 3 4 5\n", "want ';' between two boxes");
    refused("image,boxes\na,1 2 3 4;\n", "want X0 Y0 X1 Y1");
    refused("image,boxes\na,1 2.5 3 4\n", "want X0 Y0 X1 Y1");
    refused("image,boxes\na,b.json\n", "want X0 Y0 X1 Y1");
    refused("image,boxes\na,3 2 3 4\n", "'3 2 3 4' holds no pixel");
    refused("image,mask,boxes\na,m.png,1 2 3 4\n", "list.csv:2: has a mask and boxes");
}

/* What is written reads back. */
static void test_csv_put(void **state) {
    (void)state;
    static const char *const fields[] = {"plain", "a,b", "say \"hi\"", "two\nlines", " blanks ", ""};
    why_buf b = {0};
    why_csv c;
    bool more;
    for (int i = 0; i < 6; i++) {
        if (i) why_buf_text(&b, ",");
        why_csv_put(&b, fields[i]);
    }
    why_buf_put(&b, "", 1);
    OK(why_buf_status(&b));
    OK(why_csv_open(arena, write_text("put.csv", (char *)b.data), &c));
    OK(why_csv_next(&c, &more));
    assert_true(more);
    assert_int_equal(c.n, 6);
    for (int i = 0; i < 6; i++) assert_string_equal(c.field[i], fields[i]);
    why_buf_clear(&b);
}

/* RFC 4180: quotes, doubled quotes, commas and line ends inside; CRLF; a byte order mark; no last line end. */
static void test_csv(void **state) {
    (void)state;
    why_manifest m = list(
        "\xef\xbb\xbf\"image\", label\r\n\"a,b.png\",1\r\n\"say \"\"hi\"\".png\",dog\r\n\r\n\"two\nlines.png\", 2 \r\nwith space.png,0");
    assert_int_equal(m.n, 4);
    assert_string_equal(m.images[0].path, "a,b.png");
    assert_string_equal(m.images[1].path, "say \"hi\".png");
    assert_int_equal(m.images[1].label, 1);
    assert_string_equal(m.images[2].path, "two\nlines.png");
    assert_int_equal(m.images[2].label, 2);
    assert_int_equal(m.line[2], 5);
    assert_string_equal(m.images[3].path, "with space.png");
    assert_int_equal(m.line[3], 7);
}

static void test_refused(void **state) {
    (void)state;
    refused("", "list.csv: the image list is empty");
    refused("\n\n", "list.csv: the image list is empty");
    refused("image,label\n", "has a header and no images");
    refused("file,label\na,1\n", "list.csv:1: the header has no column 'image'; it starts with 'file'");
    refused("image,label,label\na,1,1\n", "column 'label' stands twice");
    refused("image,,x\na,1,1\n", "column 2 has no name");
    refused("image,label\na,1\nb\n", "list.csv:3: 1 fields, the header has 2");
    refused("image,label\na,1\nb,1,2\n", "list.csv:3: 3 fields, the header has 2");
    refused("image,label\n,1\n", "list.csv:2: the image column is empty");
    refused("image,label\na,1\nb,2\na,1\n", "list.csv:4: image 'a' stands already in line 2");
    refused("image,label\n\"a,1\nb,2\n", "list.csv:2: a quote is opened and never closed");
    refused("image,label\n\"a\"x,1\n", "list.csv:2: a character follows the closing quote");
    refused("image,label\na,1\nb,5\n", "list.csv:3: label 5 is outside the label file");
    refused("image,label\na,-1\n", "list.csv:2: label -1: want a class number from 0");
    refused("image,label\na,dgo\n", "list.csv:2: label 'dgo' is not in");
    refused("image,label\na,dogg\n", "did you mean 'dog'?");
    refused("image,label\na,twin\n", "list.csv:2: label 'twin' stands twice in");
    refused("image,label\na,99999999999999999999\n", "list.csv:2: label 99999999999999999999");
    why_manifest m;
    REFUSED(why_manifest_load(arena, in_dir("gone.csv"), &labels, &m), "gone.csv: No such file");
    OK(why_write_file(in_dir("nul.csv"), "image\na\0b\n", 10));
    REFUSED(why_manifest_load(arena, in_dir("nul.csv"), &labels, &m), "holds a NUL byte");
}

/* Models with a background class: class = label + 1. */
static void test_offset(void **state) {
    (void)state;
    why_labels shifted;
    int64_t c;
    OK(why_labels_load(arena, write_text("names.txt", "cat\ndog\n"), 1, &shifted));
    assert_int_equal(shifted.n, 3);
    assert_string_equal(shifted.names[0], "background");
    OK(why_labels_find(&shifted, "0", &c));
    assert_int_equal(c, 1);
    OK(why_labels_find(&shifted, "dog", &c));
    assert_int_equal(c, 2);
    REFUSED(why_labels_find(&shifted, "2", &c), "label 2 is outside the label file");
}

static void test_labels(void **state) {
    (void)state;
    why_labels none = {0}, bad;
    int64_t c;
    assert_int_equal(labels.n, 5);
    assert_string_equal(labels.names[1], "dog"); /* CRLF */
    assert_string_equal(labels.names[4], "last");
    OK(why_labels_find(&none, "900", &c)); /* without a file any number will do; the models check it */
    assert_int_equal(c, 900);
    REFUSED(why_labels_find(&none, "cat", &c), "names no label file");
    REFUSED(why_labels_load(arena, write_text("empty.txt", ""), 0, &bad), "the label file is empty");
    REFUSED(why_labels_load(arena, in_dir("none.txt"), 0, &bad), "none.txt: No such file");
    REFUSED(why_labels_load(arena, write_text("one.txt", "a\n"), -1, &bad), "leave no class");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns), cmocka_unit_test(test_boxes),   cmocka_unit_test(test_csv),    cmocka_unit_test(test_csv_put),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_offset), cmocka_unit_test(test_labels),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
