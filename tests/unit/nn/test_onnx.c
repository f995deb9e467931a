/* Reading ONNX: the wire format on hostile bytes, what exporters write, and a stated outcome for every awkward file. */
#include "nn/onnx_wire.h"
#include "onnx_writer.h"

/* ---------------------------------------------------------------- wire format */
static why_status next(const char *bytes, size_t n, why_field *f) {
    why_span s = {(const uint8_t *)bytes, n};
    return why_wire_next(&s, f);
}

static void wire_reads_every_type(void **state) {
    (void)state;
    why_field f;
    OK(next("\x08\xac\x02", 3, &f));
    assert_true(f.number == 1 && f.type == WHY_WIRE_VARINT && f.value == 300);
    OK(next("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &f));
    assert_true(f.value == UINT64_MAX);
    OK(next("\x15\x01\x02\x03\x04", 5, &f));
    assert_true(f.number == 2 && f.value == 0x04030201);
    OK(next("\x19\x01\x00\x00\x00\x00\x00\x00\x80", 9, &f));
    assert_true(f.number == 3 && f.value == 0x8000000000000001u);
    OK(next("\x22\x03" "abc", 5, &f));
    assert_true(f.number == 4 && f.bytes.size == 3 && memcmp(f.bytes.data, "abc", 3) == 0);
    OK(next("", 0, &f));
    assert_int_equal(f.number, 0);
}

static void wire_refuses_hostile_bytes(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *needle;
    } bad[] = {
        {"\x08", 1, "cut short"},
        {"\x88", 1, "cut short"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "64 bits"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "64 bits"},
        {"\x22\x04" "abc", 5, "wants 4 bytes, 3 are left"},
        {"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "cut short"}, /* a length of 2^64 - 1 */
        {"\x15\x01\x02\x03", 4, "cut short"},
        {"\x19\x01\x02\x03\x04\x05\x06\x07", 8, "cut short"},
        {"\x0b", 1, "wire type 3"},
        {"\x0e\x01", 2, "wire type 6"},
        {"\x00\x01", 2, "field number 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why_field f;
        assert_int_equal(next(bad[i].bytes, bad[i].n, &f), WHY_EFORMAT);
        if (!strstr(why_error_text(), bad[i].needle)) fail_msg("case %zu: %s", i, why_error_text());
    }
}

static void wire_collects_packed_and_single_numbers(void **state) {
    (void)state;
    why_arena *arena;
    const int64_t *v;
    const float *f;
    size_t n;
    OK(why_arena_create(4096, &arena));
    why_span m = {(const uint8_t *)"\x08\x01\x0a\x03\x02\xac\x02\x10\x07\x08\x05", 11};
    OK(why_wire_ints(arena, m, 1, &v, &n));
    assert_true(n == 4 && v[0] == 1 && v[1] == 2 && v[2] == 300 && v[3] == 5);
    m = (why_span){(const uint8_t *)"\x0d\x00\x00\x80\x3f\x0a\x04\x00\x00\x00\xc0", 11};
    OK(why_wire_floats(arena, m, 1, &f, &n));
    assert_true(n == 2 && f[0] == 1 && f[1] == -2);
    m = (why_span){(const uint8_t *)"\x0a\x03\x00\x00\x00", 5};
    assert_int_equal(why_wire_floats(arena, m, 1, &f, &n), WHY_EFORMAT);
    m = (why_span){(const uint8_t *)"\x0a\x02\x01\x80", 4};
    assert_int_equal(why_wire_ints(arena, m, 1, &v, &n), WHY_EFORMAT);
    why_arena_destroy(&arena);
}

/* ---------------------------------------------------------------- damaged files */
static why_buf small_model(void) {
    struct onnx o;
    float w[4 * 27];
    fill_values(w, 4 * 27, 3);
    onnx_begin(&o, 13, 3, 8, 8);
    onnx_floats(&o, "w", w, 4, 4, 3, 3, 3);
    attr_ints(&o, "pads", 4, 1, 1, 1, 1);
    onnx_node(&o, "Conv", "x,w", "c");
    onnx_node(&o, "Relu", "c", "r");
    onnx_ints(&o, "s", 2, 0, -1);
    onnx_node(&o, "Reshape", "r,s", "y");
    return onnx_finish(&o, "y");
}

/* Every cut of a file is refused, and never runs past its end (the sanitizers watch). */
static void truncated_models_are_refused(void **state) {
    (void)state;
    why_buf file = small_model();
    for (size_t n = 0; n < file.size; n++) {
        why_model *m;
        why_status st = load_bytes(file.data, n, &m);
        if (st != WHY_EFORMAT) fail_msg("%zu of %zu bytes: %s (%s)", n, file.size, why_status_name(st), why_error_text());
    }
    why_buf_clear(&file);
}

/* Any byte may be wrong: the load succeeds or fails in words; what loads also runs. */
static void damaged_models_do_not_crash(void **state) {
    (void)state;
    why_buf file = small_model();
    int loaded = 0, refused = 0;
    for (size_t at = 0; at < file.size; at++)
        for (int bit = 0; bit < 8; bit += 1 + (at > 100 && at < 400)) {
            why_model *m;
            file.data[at] ^= (uint8_t)(1 << bit);
            why_status st = load_bytes(file.data, file.size, &m);
            file.data[at] ^= (uint8_t)(1 << bit);
            if (st) {
                refused++;
                assert_true(st != WHY_EBUG && why_error_text()[0]);
                continue;
            }
            const why_model_info *i = why_model_get_info(m);
            int64_t size = (int64_t)i->channels * i->height * i->width;
            why_session *s;
            loaded++;
            if (size <= 1 << 20) {
                float *x = calloc((size_t)size, sizeof *x);
                OK(why_session_create(m, &(why_session_options){.max_batch = 1}, &s));
                OK(why_session_forward(s, x, 1));
                why_session_destroy(&s);
                free(x);
            }
            why_model_destroy(&m);
        }
    print_message("%d loaded, %d refused\n", loaded, refused);
    assert_true(loaded > 100 && refused > 100);
    why_buf_clear(&file);
}

/* ---------------------------------------------------------------- what exporters write */
/* PyTorch's `x.view(x.size(0), -1)`, old style: sizes are computed in the graph. */
static void shape_arithmetic_is_folded(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 11, 3, 4, 6);
    onnx_ints(&o, "zero", 0, 0);
    onnx_ints(&o, "two", 0, 2);
    onnx_ints(&o, "three", 0, 3);
    onnx_ints(&o, "one1", 1, 1);
    onnx_ints(&o, "last", 1, 9);
    onnx_ints(&o, "two1", 1, 2);
    onnx_node(&o, "Shape", "x", "shape");
    onnx_node(&o, "Gather", "shape,zero", "n");
    attr_ints(&o, "axes", 1, 0);
    onnx_node(&o, "Unsqueeze", "n", "n1");
    onnx_node(&o, "Slice", "shape,one1,last", "chw"); /* 3 4 6 */
    onnx_node(&o, "Gather", "chw,two", "w");          /* 6 */
    onnx_node(&o, "Mul", "w,two", "w2");              /* 12 */
    onnx_node(&o, "Div", "w2,three", "w4");           /* 4 */
    onnx_node(&o, "Add", "w4,two", "w6");             /* 6 */
    onnx_node(&o, "Sub", "w6,w4", "d2");              /* 2 */
    attr_ints(&o, "axes", 1, 0);
    onnx_node(&o, "Unsqueeze", "d2", "d21");
    onnx_ints(&o, "open", 1, -1);
    attr_int(&o, "axis", 0);
    onnx_node(&o, "Concat", "n1,d21,open", "target");
    attr_int(&o, "to", 7);
    onnx_node(&o, "Cast", "target", "target64");
    onnx_node(&o, "Reshape", "x,target64", "r"); /* 1 x 2 x 36 */
    onnx_node(&o, "ConstantOfShape", "two1", "zeros");
    onnx_node(&o, "Range", "zero,three,two", "range"); /* 0 2 */
    attr_ints(&o, "axes", 1, 2);
    onnx_node(&o, "ReduceSum", "r", "sum"); /* 1 x 2 x 1 */
    onnx_node(&o, "Flatten", "sum", "y");
    why_model *m = onnx_load(&o, "y");
    int n;
    const why_layer *l = why_model_layers(m, &n);
    assert_int_equal(n, 3); /* Reshape, ReduceSum, Flatten */
    assert_int_equal(l[0].shape.rank, 2);
    assert_int_equal(l[0].shape.dim[0], 2);
    assert_int_equal(l[0].shape.dim[1], 36);
    why_model_destroy(&m);
}

/* tf2onnx: the input stays N x H x W x C and a Transpose follows. */
static void channels_last_inputs_become_channels_first(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 4, 5, 3);
    attr_ints(&o, "perm", 4, 0, 3, 1, 2);
    onnx_node(&o, "Transpose", "x", "t");
    onnx_node(&o, "GlobalAveragePool", "t", "p");
    onnx_node(&o, "Flatten", "p", "y");
    why_model *m = onnx_load(&o, "y");
    const why_model_info *i = why_model_get_info(m);
    assert_true(i->channels == 3 && i->height == 4 && i->width == 5 && i->outputs == 3);
    why_session *s;
    float x[60];
    for (int k = 0; k < 60; k++) x[k] = (float)(k / 20);
    OK(why_session_create(m, &(why_session_options){.max_batch = 1}, &s));
    OK(why_session_forward(s, x, 1));
    for (int k = 0; k < 3; k++) assert_true(why_session_logits(s)[k] == (float)k);
    why_session_destroy(&s);
    why_model_destroy(&m);
}

static void open_sizes_come_from_the_options(void **state) {
    (void)state;
    for (int given = 0; given < 2; given++) {
        struct onnx o;
        onnx_begin(&o, 13, 3, 0, 0);
        onnx_node(&o, "GlobalAveragePool", "x", "p");
        onnx_node(&o, "Flatten", "p", "y");
        why_buf file = onnx_finish(&o, "y");
        char path[] = "/tmp/whypix-nn-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0 && write(fd, file.data, file.size) == (ssize_t)file.size);
        close(fd);
        why_model *m;
        OK(why_model_load(path, given ? &(why_model_options){.height = 64, .width = 48} : NULL, &m));
        unlink(path);
        assert_int_equal(why_model_get_info(m)->height, given ? 64 : 224);
        assert_int_equal(why_model_get_info(m)->width, given ? 48 : 224);
        why_model_destroy(&m);
        why_buf_clear(&file);
    }
}

/* Softmax, and what may stand behind it, is cut off. */
static void logits_come_before_softmax(void **state) {
    (void)state;
    static const char *const ends[] = {"Softmax", "LogSoftmax", "Sigmoid"};
    for (int i = 0; i < 3; i++)
        for (int reshaped = 0; reshaped < 2; reshaped++) {
            struct onnx o;
            onnx_begin(&o, 13, 3, 2, 2);
            onnx_ints(&o, "s", 2, 0, -1);
            onnx_node(&o, "GlobalMaxPool", "x", "p");
            attr_int(&o, "axis", 1);
            onnx_node(&o, ends[i], "p", "q");
            if (reshaped) onnx_node(&o, "Reshape", "q,s", "r");
            if (reshaped) onnx_node(&o, "Identity", "r", "y");
            why_model *m = onnx_load(&o, reshaped ? "y" : "q");
            why_session *s;
            float x[12] = {0, 0, 7, 0, -5, -5, -5, -9, 100, 0, 0, 0};
            OK(why_session_create(m, &(why_session_options){.max_batch = 1}, &s));
            OK(why_session_forward(s, x, 1));
            const float *y = why_session_logits(s);
            assert_true(y[0] == 7 && y[1] == -5 && y[2] == 100);
            assert_true(why_model_get_info(m)->ends_in_softmax);
            why_session_destroy(&s);
            why_model_destroy(&m);
        }
}

/* ---------------------------------------------------------------- refusals of whole graphs */
static void every_missing_operator_is_named(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "HardSwish", "x", "a");
    onnx_node(&o, "NotAnOp", "a", "b");
    onnx_node(&o, "HardSwish", "b", "c");
    onnx_node(&o, "Relu", "c", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "operators not supported: HardSwish (node 'HardSwish_0'), NotAnOp (node 'NotAnOp_1')");
    assert_null(strstr(why_error_text(), "Relu"));
}

static void inputs_are_checked(void **state) {
    (void)state;
    struct onnx o = {.opset = 13};
    put_value_info(&o.graph, 11, "x", 2, (const int64_t[]){0, 10});
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "input 'x' has 2 dimensions, want 4");
    onnx_begin(&o, 13, 3, 2, 2);
    put_value_info(&o.graph, 11, "z", 4, (const int64_t[]){0, 3, 2, 2});
    onnx_node(&o, "Add", "x,z", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "several inputs ('x', 'z')");
    onnx_begin(&o, 13, 4, 8, 8);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "want 1 or 3 channels");
    onnx_begin(&o, 13, 3, 100000, 100000);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_ELIMIT, "pixels");
    onnx_begin(&o, 13, 3, 30000, 30000);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_ELIMIT, "2^31");
    onnx_begin(&o, 6, 3, 8, 8);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "opset 6, want 7 to");
    why_model *m;
    assert_int_equal(why_model_load("/nonexistent/model.onnx", NULL, &m), WHY_EFILE);
    assert_non_null(strstr(why_error_text(), "/nonexistent/model.onnx"));
    assert_int_equal(why_model_load("/tmp", NULL, &m), WHY_EFILE);
}

static void graphs_are_checked(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Relu", "late", "y");
    onnx_node(&o, "Relu", "y", "late");
    onnx_refused(&o, "y", WHY_EFORMAT, "Relu 'Relu_0': reads 'late', which is only written later");
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Relu", "ghost", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "reads 'ghost', which nothing writes");
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Relu", "x", "y");
    onnx_node(&o, "Tanh", "x", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "written already");
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "z", WHY_EFORMAT, "no node writes the output 'z'");
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Flatten", "x", "f");
    onnx_node(&o, "Dropout", "f,,", "d,mask");
    onnx_node(&o, "Mul", "d,mask", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "second output");
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_node(&o, "Flatten", "x", "f");
    onnx_node(&o, "Gather", "f,f", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "Gather 'Gather_1': works on constants only");
}

/* ---------------------------------------------------------------- the awkward files */
static const struct {
    const char *file;
    why_status status;
    const char *needle; /* of the message; for models that load: NULL = good_output, "nan", or "softmax" */
} awkward[] = {
    {"zero.onnx", WHY_EFORMAT, "the file is empty"},
    {"text.onnx", WHY_EFORMAT, "not an ONNX file"},
    {"truncated_half.onnx", WHY_EFORMAT, "truncated or damaged ONNX file"},
    {"truncated_tail.onnx", WHY_EFORMAT, "truncated or damaged ONNX file"},
    {"garbage.onnx", WHY_EFORMAT, "not an ONNX file"},
    {"unknown_op.onnx", WHY_EUNSUPPORTED, "operators not supported: NotAnOp (node '/1/Relu')"},
    {"unsupported_op.onnx", WHY_EUNSUPPORTED, "operators not supported: HardSwish (node '/1/Relu')"},
    {"missing_initializer.onnx", WHY_EFORMAT, "Conv '/0/Conv': reads '0.weight', which nothing writes"},
    {"wrong_channels.onnx", WHY_EFORMAT, "Conv '/0/Conv': input has 1 channels, weight wants 3"},
    {"huge_dims.onnx", WHY_ELIMIT, "more than 2^31 elements"},
    {"negative_dim.onnx", WHY_EFORMAT, "negative size"},
    {"short_raw_data.onnx", WHY_EFORMAT, "tensor '0.weight': 796 bytes"},
    {"cycle.onnx", WHY_EFORMAT, "which is only written later: a cycle"},
    {"undefined_input.onnx", WHY_EFORMAT, "which nothing writes"},
    {"external_traversal.onnx", WHY_EFORMAT, "leaves the model's folder"},
    {"stride_zero.onnx", WHY_EFORMAT, "Conv '/0/Conv': strides is 0x0"},
    {"no_nodes.onnx", WHY_EFORMAT, "the graph has no nodes"},
    {"opset99.onnx", WHY_EUNSUPPORTED, "opset 99, want 7 to"},
    {"nan_weight.onnx", WHY_OK, "nan"},
    {"float_data.onnx", WHY_OK, NULL},
    {"initializers_as_inputs.onnx", WHY_OK, NULL},
    {"weights_as_constants.onnx", WHY_OK, NULL},
    {"weights_via_identity.onnx", WHY_OK, NULL},
    {"with_softmax.onnx", WHY_OK, "softmax"},
    {"fixed_batch1.onnx", WHY_OK, NULL},
    {"reshape_for_flatten.onnx", WHY_OK, NULL},
    {"matmul_add.onnx", WHY_OK, NULL},
    {"auto_pad_same.onnx", WHY_OK, NULL},
    {"fp16_weights.onnx", WHY_OK, "half"}, /* widened: as exact as the weights are */
};

static void check_good(why_model *m, const char *file, const char *kind) {
    why_shape xs, ys;
    float *x = load_floats("awkward-onnx/good_input.npy", &xs), *want = load_floats("awkward-onnx/good_output.npy", &ys);
    why_session *s;
    OK(why_session_create(m, &(why_session_options){.max_batch = 2}, &s));
    OK(why_session_forward(s, x, 2));
    double e = error_in_sd(why_session_logits(s), want, why_shape_count(&ys));
    if (kind && strcmp(kind, "nan") == 0) assert_true(isnan(why_session_logits(s)[0]));
    else if (!(e < (kind && strcmp(kind, "half") == 0 ? 1e-2 : 1e-5))) fail_msg("%s: off by %g standard deviations", file, e);
    assert_int_equal(why_model_get_info(m)->ends_in_softmax, kind && strcmp(kind, "softmax") == 0);
    why_session_destroy(&s);
    free(x);
    free(want);
}

static void awkward_files_have_stated_outcomes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof awkward / sizeof *awkward; i++) {
        char path[128];
        why_model *m;
        snprintf(path, sizeof path, "awkward-onnx/%s", awkward[i].file);
        why_status st = why_model_load(data_file(path), NULL, &m);
        if (st != awkward[i].status || (st && !strstr(why_error_text(), awkward[i].needle)))
            fail_msg("%s: got %s (%s), want %s with '%s'", awkward[i].file, why_status_name(st), st ? why_error_text() : "", why_status_name(awkward[i].status),
                     awkward[i].needle ? awkward[i].needle : "");
        if (st) print_message("%s\n", why_error_text());
        if (!st) check_good(m, awkward[i].file, awkward[i].needle);
        why_model_destroy(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wire_reads_every_type),
        cmocka_unit_test(wire_refuses_hostile_bytes),
        cmocka_unit_test(wire_collects_packed_and_single_numbers),
        cmocka_unit_test(truncated_models_are_refused),
        cmocka_unit_test(damaged_models_do_not_crash),
        cmocka_unit_test(shape_arithmetic_is_folded),
        cmocka_unit_test(channels_last_inputs_become_channels_first),
        cmocka_unit_test(open_sizes_come_from_the_options),
        cmocka_unit_test(logits_come_before_softmax),
        cmocka_unit_test(every_missing_operator_is_named),
        cmocka_unit_test(inputs_are_checked),
        cmocka_unit_test(graphs_are_checked),
        cmocka_unit_test(awkward_files_have_stated_outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
