/* Files and .npy arrays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/npy.h"
#include "support.h"

static char folder[] = "/tmp/whypix-test-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[4200];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void assert_message(const char *part) {
    if (!strstr(why_error_text(), part)) fail_msg("'%s' does not say '%s'", why_error_text(), part);
}

static void written_files_are_read_back(void **state) {
    (void)state;
    const char *path = in_folder("a.txt");
    uint8_t *data;
    size_t size;
    why_mapped m;
    assert_int_equal(why_write_file(path, "first version", 13), WHY_OK);
    assert_int_equal(why_write_file(path, "second", 6), WHY_OK);
    assert_int_equal(why_read_file(path, 100, &data, &size), WHY_OK);
    assert_int_equal(size, 6);
    assert_string_equal((char *)data, "second");
    free(data);
    assert_int_equal(why_map_open(path, &m), WHY_OK);
    assert_int_equal(m.size, 6);
    assert_memory_equal(m.data, "second", 6);
    why_map_close(&m);
    assert_null(m.data);
}

static void no_part_file_is_left(void **state) {
    (void)state;
    char command[4200];
    assert_int_equal(why_write_file(in_folder("b.txt"), "x", 1), WHY_OK);
    assert_int_equal(why_make_dirs(in_folder("target")), WHY_OK);
    assert_int_equal(why_write_file(in_folder("target"), "x", 1), WHY_EFILE); /* a folder cannot be replaced */
    assert_message("target");
    snprintf(command, sizeof command, "ls '%s' | grep -q part", folder);
    assert_int_not_equal(system(command), 0);
}

static void unusable_files_say_why(void **state) {
    (void)state;
    uint8_t *data;
    size_t size;
    why_mapped m;
    assert_int_equal(why_map_open(in_folder("missing"), &m), WHY_EFILE);
    assert_message("No such file");
    assert_int_equal(why_map_open(folder, &m), WHY_EFILE);
    assert_message("is a folder");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(why_map_open(in_folder("fifo"), &m), WHY_EFILE); /* and does not hang */
    assert_message("not a regular file");
    assert_int_equal(why_write_file(in_folder("long"), "0123456789", 10), WHY_OK);
    assert_int_equal(why_read_file(in_folder("long"), 9, &data, &size), WHY_ELIMIT);
    assert_message("10 bytes");
    assert_null(data);
    assert_int_equal(why_write_file(in_folder("no/such/file"), "", 0), WHY_EFILE);
}

static void empty_files_are_files(void **state) {
    (void)state;
    why_mapped m;
    uint8_t *data;
    size_t size;
    assert_int_equal(why_write_file(in_folder("empty"), NULL, 0), WHY_OK);
    assert_int_equal(why_map_open(in_folder("empty"), &m), WHY_OK);
    assert_null(m.data);
    assert_int_equal(m.size, 0);
    why_map_close(&m);
    assert_int_equal(why_read_file(in_folder("empty"), 0, &data, &size), WHY_OK);
    assert_int_equal(size, 0);
    assert_int_equal(data[0], 0);
    free(data);
}

static void folders_are_made(void **state) {
    (void)state;
    struct stat st;
    assert_int_equal(why_make_dirs(in_folder("x/y/z")), WHY_OK);
    assert_int_equal(why_make_dirs(in_folder("x/y/z/")), WHY_OK);
    assert_int_equal(stat(in_folder("x/y/z"), &st), 0);
    assert_int_equal(why_write_file(in_folder("x/f"), "", 0), WHY_OK);
    assert_int_equal(why_make_dirs(in_folder("x/f/g")), WHY_EFILE);
    assert_message("cannot make this folder");
}

/* FIPS 180-2: "abc" and the empty message. */
static void sha256_known_answers(void **state) {
    (void)state;
    char hex[65];
    why_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(why_sha256_key(hex) == UINT64_C(0xba7816bf8f01cfea));
    why_sha256(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(why_write_file(in_folder("abc"), "abc", 3), WHY_OK);
    assert_int_equal(why_sha256_file(in_folder("abc"), hex), WHY_OK);
    assert_int_equal(strncmp(hex, "ba7816bf", 8), 0);
}

static void paths_beside(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"jobs/a.yaml", "m.onnx", "jobs/m.onnx"},
        {"a.yaml", "m.onnx", "m.onnx"},
        {"jobs/a.yaml", "/m.onnx", "/m.onnx"},
        {"/a", "b/c", "/b/c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path;
        assert_int_equal(why_path_beside(cases[i][0], cases[i][1], &path), WHY_OK);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

/* ---------------------------------------------------------------- .npy */
static const char *golden(const char *name) {
    static char path[4096];
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/base/%s", name);
    return test_source(relative, path);
}

static void numpy_files_are_read(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double scale, shift;
    } cases[] = {{"f4.npy", 0.25, 0}, {"f8.npy", 0.25, 0}, {"i4.npy", 1, -3},
                 {"i8.npy", 1, -3},   {"u1.npy", 40, 0},   {"version2.npy", 0.25, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        why_shape shape;
        float *v;
        if (why_npy_load_f32(golden(cases[i].name), &shape, &v)) fail_msg("%s", why_error_text());
        assert_true(shape.rank == 2 && shape.dim[0] == 2 && shape.dim[1] == 3);
        for (int k = 0; k < 6; k++) assert_true((double)v[k] == k * cases[i].scale + cases[i].shift);
        free(v);
    }
}

static void numpy_shapes_are_read(void **state) {
    (void)state;
    why_npy a;
    assert_int_equal(why_npy_load(golden("scalar.npy"), &a), WHY_OK);
    assert_true(a.shape.rank == 0 && *(float *)a.data == 2.5f);
    why_npy_clear(&a);
    assert_int_equal(why_npy_load(golden("vector.npy"), &a), WHY_OK);
    assert_true(a.shape.rank == 1 && a.shape.dim[0] == 3 && ((float *)a.data)[2] == 3);
    why_npy_clear(&a);
    assert_int_equal(why_npy_load(golden("empty.npy"), &a), WHY_OK);
    assert_true(a.shape.rank == 2 && a.shape.dim[0] == 0 && a.shape.dim[1] == 4);
    why_npy_clear(&a);
    assert_int_equal(why_npy_load(golden("b1.npy"), &a), WHY_OK);
    assert_memory_equal(a.data, "\1\0\1\0\1\0", 6);
    why_npy_clear(&a);
}

static void whole_numbers_only(void **state) {
    (void)state;
    why_shape shape;
    int32_t *v;
    assert_int_equal(why_npy_load_i32(golden("i8.npy"), &shape, &v), WHY_OK);
    for (int k = 0; k < 6; k++) assert_int_equal(v[k], k - 3);
    free(v);
    assert_int_equal(why_npy_load_i32(golden("i8_large.npy"), &shape, &v), WHY_EFORMAT);
    assert_message("2.14748365e+09");
    assert_null(v);
    assert_int_equal(why_npy_load_i32(golden("f4.npy"), &shape, &v), WHY_EFORMAT);
    assert_message("0.25");
}

static void other_layouts_are_refused(void **state) {
    (void)state;
    why_npy a;
    assert_int_equal(why_npy_load(golden("fortran.npy"), &a), WHY_EUNSUPPORTED);
    assert_message("Fortran");
    assert_int_equal(why_npy_load(golden("big_endian.npy"), &a), WHY_EUNSUPPORTED);
    assert_message(">f4");
    assert_int_equal(why_npy_load(golden("complex.npy"), &a), WHY_EUNSUPPORTED);
    assert_null(a.data);
}

/* Every cut of a good file, and a header that promises more than memory. */
static void broken_files_are_refused(void **state) {
    (void)state;
    uint8_t *data;
    size_t size;
    why_npy a;
    assert_int_equal(why_read_file(golden("f4.npy"), 4096, &data, &size), WHY_OK);
    for (size_t n = 0; n < size; n += n < 20 ? 1 : 17) {
        assert_int_equal(why_write_file(in_folder("cut.npy"), data, n), WHY_OK);
        assert_int_equal(why_npy_load(in_folder("cut.npy"), &a), WHY_EFORMAT);
        assert_null(a.data);
    }
    char *shape = strstr((char *)data + 10, "(2, 3)");
    assert_non_null(shape);
    static const char *const bad[] = {"(9, 9)", "(-2,3)", "(2, a)", "(2e, )"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(shape, bad[i], 6);
        assert_int_equal(why_write_file(in_folder("bad.npy"), data, size), WHY_OK);
        assert_int_equal(why_npy_load(in_folder("bad.npy"), &a), WHY_EFORMAT);
    }
    memcpy(shape, "(4294967296, 4294967296, 4)", 27);
    assert_int_equal(why_write_file(in_folder("bad.npy"), data, size), WHY_OK);
    assert_int_equal(why_npy_load(in_folder("bad.npy"), &a), WHY_EFORMAT);
    free(data);
}

/* Our bytes are those that numpy writes for the same array. */
static void arrays_are_written_as_numpy_writes_them(void **state) {
    (void)state;
    static const char *const names[] = {"f4.npy", "scalar.npy", "vector.npy", "empty.npy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *want, *got;
        size_t want_size, got_size;
        why_npy a;
        assert_int_equal(why_read_file(golden(names[i]), 4096, &want, &want_size), WHY_OK);
        assert_int_equal(why_npy_load(golden(names[i]), &a), WHY_OK);
        assert_int_equal(why_npy_bytes_f32(&a.shape, a.data, &got, &got_size), WHY_OK);
        assert_int_equal(got_size, want_size);
        assert_memory_equal(got, want, want_size);
        why_npy_clear(&a);
        free(got);
        free(want);
    }
}

static void arrays_round_trip(void **state) {
    (void)state;
    const why_shape shape = {.rank = 3, .dim = {2, 1, 3}};
    const float f[6] = {-0.0f, 1e-40f, 3.5f, -1e38f, 0.1f, 7};
    const int32_t k[6] = {INT32_MIN, -1, 0, 1, 2, INT32_MAX};
    why_shape got;
    float *g;
    int32_t *l;
    assert_int_equal(why_npy_save_f32(in_folder("f.npy"), &shape, f), WHY_OK);
    assert_int_equal(why_npy_load_f32(in_folder("f.npy"), &got, &g), WHY_OK);
    assert_memory_equal(&got, &shape, sizeof shape);
    assert_memory_equal(g, f, sizeof f);
    assert_int_equal(why_npy_save_i32(in_folder("k.npy"), &shape, k), WHY_OK);
    assert_int_equal(why_npy_load_i32(in_folder("k.npy"), &got, &l), WHY_OK);
    assert_memory_equal(l, k, sizeof k);
    free(g);
    free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_are_read_back),
        cmocka_unit_test(no_part_file_is_left),
        cmocka_unit_test(unusable_files_say_why),
        cmocka_unit_test(empty_files_are_files),
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(sha256_known_answers),
        cmocka_unit_test(paths_beside),
        cmocka_unit_test(numpy_files_are_read),
        cmocka_unit_test(numpy_shapes_are_read),
        cmocka_unit_test(whole_numbers_only),
        cmocka_unit_test(other_layouts_are_refused),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(arrays_are_written_as_numpy_writes_them),
        cmocka_unit_test(arrays_round_trip),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
