/* Records: every row survives the wire to the bit, and bytes that are not a record are refused, never trusted. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/record.h"

#define ID(image, cell) ((INT64_C(image) << 16) | (cell))

static const uint8_t thumb[] = {0, 1, 2, 255, 0, 7};

static const why_row samples[] = {
    {.type = WHY_ROW_IMAGE, .u.image = {3, "0123abcd", 640, 480}},
    {.type = WHY_ROW_PREDICTION, .u.prediction = {3, 1, -1, 281, -1.25, 0x1.fffffffffffffp-1}},
    {.type = WHY_ROW_EXPLANATION,
     .u.explanation = {3, 65535, -1, "done", INT64_C(1) << 40, 0.5, -0.0, NAN, 12.5, -1e308, 5e-324, "se_range", "a/b.npy", "ff", "a/b-se.npy", thumb,
                       sizeof thumb, ""}},
    {.type = WHY_ROW_SCORE, .u.score = {ID(3, 65535), 9, NAN, "constant map", 225}},
    {.type = WHY_ROW_CURVE, .u.curve = {ID(3, 65535), 9, 4, 0.25, NAN, -2.5}},
    {.type = WHY_ROW_PAIR, .u.pair = {ID(3, 1), ID(3, 65535), 2, 0.1, NULL}},
    {.type = WHY_ROW_TIMING, .u.timing = {ID(3, 1), 1.5, 0.75}},
    {.type = WHY_ROW_FAILURE, .u.failure = {3, 0, "not a picture: \"\xc3\xa9\" 'x'"}},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static why_buf sample_record(void) {
    why_buf b = {0};
    for (int i = 0; i < N_SAMPLES; i++) why_record_put(&b, &samples[i]);
    why_record_finish(&b);
    assert_int_equal(why_buf_status(&b), WHY_OK);
    return b;
}

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }
static bool same_text(const char *a, const char *b) { return strcmp(a ? a : "", b) == 0; }

static void assert_explanation(const why_row *want, const why_row *got) {
    assert_int_equal(got->u.explanation.image_id, want->u.explanation.image_id);
    assert_int_equal(got->u.explanation.cell_id, want->u.explanation.cell_id);
    assert_int_equal(got->u.explanation.class_index, want->u.explanation.class_index);
    assert_int_equal(got->u.explanation.evaluations, want->u.explanation.evaluations);
    assert_string_equal(got->u.explanation.status, want->u.explanation.status);
    assert_true(same_bits(got->u.explanation.fit, want->u.explanation.fit));
    assert_true(same_bits(got->u.explanation.residual, want->u.explanation.residual));
    assert_true(isnan(got->u.explanation.se_range));
    assert_true(same_bits(got->u.explanation.vmin, want->u.explanation.vmin));
    assert_true(same_bits(got->u.explanation.vmax, want->u.explanation.vmax));
    assert_string_equal(got->u.explanation.map, want->u.explanation.map);
    assert_string_equal(got->u.explanation.map_sha256, want->u.explanation.map_sha256);
    assert_string_equal(got->u.explanation.error, want->u.explanation.error);
    assert_int_equal(got->u.explanation.thumb_size, sizeof thumb);
    assert_memory_equal(got->u.explanation.thumb, thumb, sizeof thumb);
}

static void assert_row(const why_row *want, const why_row *got) {
    assert_int_equal(got->type, want->type);
    switch (want->type) {
    case WHY_ROW_IMAGE:
        assert_int_equal(got->u.image.image_id, want->u.image.image_id);
        assert_string_equal(got->u.image.sha256, want->u.image.sha256);
        assert_int_equal(got->u.image.width, want->u.image.width);
        assert_int_equal(got->u.image.height, want->u.image.height);
        break;
    case WHY_ROW_PREDICTION:
        assert_int_equal(got->u.prediction.rank, want->u.prediction.rank);
        assert_int_equal(got->u.prediction.class_index, want->u.prediction.class_index);
        assert_true(same_bits(got->u.prediction.logit, want->u.prediction.logit));
        assert_true(same_bits(got->u.prediction.prob, want->u.prediction.prob));
        break;
    case WHY_ROW_EXPLANATION: assert_explanation(want, got); break;
    case WHY_ROW_SCORE:
        assert_int_equal(got->u.score.explanation_id, want->u.score.explanation_id);
        assert_int_equal(got->u.score.metric_id, want->u.score.metric_id);
        assert_true(isnan(got->u.score.value) && same_text(want->u.score.why, got->u.score.why));
        assert_int_equal(got->u.score.evaluations, want->u.score.evaluations);
        break;
    case WHY_ROW_CURVE:
        assert_int_equal(got->u.curve.step, want->u.curve.step);
        assert_true(same_bits(got->u.curve.x, want->u.curve.x) && isnan(got->u.curve.y));
        assert_true(same_bits(got->u.curve.logit, want->u.curve.logit));
        break;
    case WHY_ROW_PAIR:
        assert_int_equal(got->u.pair.a, want->u.pair.a);
        assert_int_equal(got->u.pair.b, want->u.pair.b);
        assert_true(same_bits(got->u.pair.value, want->u.pair.value) && same_text(want->u.pair.why, got->u.pair.why));
        break;
    case WHY_ROW_TIMING: assert_true(same_bits(got->u.timing.wall, want->u.timing.wall) && same_bits(got->u.timing.cpu, want->u.timing.cpu)); break;
    case WHY_ROW_FAILURE:
        assert_int_equal(got->u.failure.cell_id, want->u.failure.cell_id);
        assert_string_equal(got->u.failure.reason, want->u.failure.reason);
        break;
    case WHY_ROW_END: break;
    }
}

static void rows_survive(void **state) {
    (void)state;
    why_buf b = sample_record();
    size_t at = 0;
    bool more = true;
    why_row row;
    assert_int_equal(why_record_check(b.data, b.size), WHY_OK);
    for (int i = 0; i < N_SAMPLES; i++) {
        assert_int_equal(why_record_next(b.data, b.size, &at, &row, &more), WHY_OK);
        assert_true(more);
        assert_row(&samples[i], &row);
    }
    assert_int_equal(why_record_next(b.data, b.size, &at, &row, &more), WHY_OK);
    assert_false(more);
    assert_int_equal(row.u.end.rows, N_SAMPLES);
    assert_int_equal(at, b.size);
    why_buf_clear(&b);
}

/* The bytes themselves are the contract between ranks of different builds. */
static void bytes_are_as_documented(void **state) {
    (void)state;
    static const uint8_t want[] = {WHY_ROW_TIMING, 24, 0, 0, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0,
                                   WHY_ROW_END,    8,  0, 0, 0, 1, 0, 0, 0, 0x71, 0x86, 0x11, 0x53};
    why_buf b = {0};
    why_record_put(&b, &(why_row){.type = WHY_ROW_TIMING, .u.timing = {ID(2, 5), 1.0, -2.0}});
    why_record_finish(&b);
    assert_int_equal(b.size, sizeof want);
    assert_memory_equal(b.data, want, sizeof want);
    why_buf_clear(&b);
}

static void records_can_share_a_buffer(void **state) {
    (void)state;
    why_buf b = {0};
    why_record_finish(&b); /* a record without rows is one */
    size_t first = b.size;
    assert_int_equal(why_record_check(b.data, first), WHY_OK);
    why_record_put(&b, &samples[0]);
    why_record_finish(&b);
    assert_int_equal(why_record_check(b.data + first, b.size - first), WHY_OK);
    assert_int_equal(why_record_check(b.data, b.size), WHY_EFORMAT);
    assert_non_null(strstr(why_error_text(), "behind its end row"));
    why_buf_clear(&b);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    static const struct {
        why_row row;
        const char *text;
    } bad[] = {
        {{.type = WHY_ROW_IMAGE, .u.image = {0, "", 1, 1}}, "id out of range"},
        {{.type = WHY_ROW_EXPLANATION, .u.explanation = {1, 65536, 0, "done", 0, 0, 0, 0, 0, 0, 0, "", "", "", "", NULL, 0, ""}}, "id out of range"},
        {{.type = WHY_ROW_EXPLANATION, .u.explanation = {1, 1, 0, "maybe", 0, 0, 0, 0, 0, 0, 0, "", "", "", "", NULL, 0, ""}}, "status"},
        {{.type = WHY_ROW_SCORE, .u.score = {ID(1, 1), 1, NAN, ""}}, "without a reason"},
        {{.type = WHY_ROW_SCORE, .u.score = {ID(1, 1), 1, 0.5, "constant map"}}, "a value and a reason"},
        {{.type = WHY_ROW_SCORE, .u.score = {ID(1, 1), 1, INFINITY, ""}}, "infinite"},
        {{.type = WHY_ROW_SCORE, .u.score = {ID(1, 0), 1, 0.5, ""}}, "id out of range"},
        {{.type = WHY_ROW_PAIR, .u.pair = {ID(1, 2), ID(1, 1), 1, 0.5, ""}}, "a is not below b"},
        {{.type = WHY_ROW_PAIR, .u.pair = {ID(1, 1), ID(1, 2), 0, 0.5, ""}}, "id out of range"},
        {{.type = WHY_ROW_CURVE, .u.curve = {ID(1, 1), 1, 0, NAN, 0}}, "not finite"},
        {{.type = WHY_ROW_FAILURE, .u.failure = {-1, 0, "x"}}, "id out of range"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why_buf b = {0};
        why_record_put(&b, &bad[i].row);
        why_record_finish(&b);
        assert_int_equal(why_record_check(b.data, b.size), WHY_EFORMAT);
        assert_non_null(strstr(why_error_text(), bad[i].text));
        why_buf_clear(&b);
    }
}

static void every_cut_is_noticed(void **state) {
    (void)state;
    why_buf b = sample_record();
    for (size_t n = 0; n < b.size; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* its own block, so that the sanitizer sees a read behind it */
        assert_non_null(cut);
        memcpy(cut, b.data, n);
        assert_int_equal(why_record_check(cut, n), WHY_EFORMAT);
        free(cut);
    }
    why_buf_clear(&b);
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    why_buf b = sample_record();
    for (size_t i = 0; i < 8 * b.size; i++) {
        b.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(why_record_check(b.data, b.size), WHY_EFORMAT);
        b.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(why_record_check(b.data, b.size), WHY_OK);
    why_buf_clear(&b);
}

static uint64_t next_random(uint64_t *x) { return *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407), *x >> 33; }

/* Damage that the checksum would catch is fed to the reader itself: it must stop or go on, but never read outside. */
static void hostile_bytes_never_crash(void **state) {
    (void)state;
    why_buf good = sample_record();
    uint8_t *bytes = malloc(good.size);
    assert_non_null(bytes);
    uint64_t seed = 2025;
    for (int trial = 0; trial < 40000; trial++) {
        size_t n = good.size - next_random(&seed) % 8, at = 0;
        memcpy(bytes, good.data, good.size);
        for (uint64_t k = next_random(&seed) % 12; k > 0; k--) bytes[next_random(&seed) % good.size] = (uint8_t)next_random(&seed);
        if (trial % 4 == 0)
            for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(next_random(&seed) % 11);
        bool more = true;
        why_row row;
        while (more && why_record_next(bytes, n, &at, &row, &more) == WHY_OK) assert_true(at <= n);
        assert_true(at <= n);
    }
    free(bytes);
    why_buf_clear(&good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_survive),         cmocka_unit_test(bytes_are_as_documented),      cmocka_unit_test(records_can_share_a_buffer),
        cmocka_unit_test(nonsense_is_refused),  cmocka_unit_test(every_cut_is_noticed),         cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(hostile_bytes_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
