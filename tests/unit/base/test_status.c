#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "whypix/status.h"

static void every_code_has_a_name_and_a_meaning(void **state) {
    (void)state;
    for (int i = 0; i < WHY_STATUS_COUNT; i++) {
        assert_int_equal(strncmp(why_status_name((why_status)i), "WHY_", 4), 0);
        assert_true(strlen(why_status_text((why_status)i)) > 1);
    }
    assert_string_equal(why_status_name(WHY_EFILE), "WHY_EFILE");
    assert_string_equal(why_status_text(WHY_EFILE), "cannot use file");
    assert_string_equal(why_status_text(WHY_STATUS_COUNT), "unknown status");
}

static void context_goes_in_front(void **state) {
    (void)state;
    assert_int_equal(why_fail(WHY_EFORMAT, "Conv '%s': %d channels", "c1", 3), WHY_EFORMAT);
    assert_string_equal(why_error_text(), "Conv 'c1': 3 channels");
    assert_int_equal(why_fail_in(WHY_EFORMAT, "model '%s'", "a.onnx"), WHY_EFORMAT);
    assert_string_equal(why_error_text(), "model 'a.onnx': Conv 'c1': 3 channels");
}

static void old_text_may_be_an_argument(void **state) {
    (void)state;
    why_fail(WHY_EARG, "first");
    why_fail(WHY_EARG, "second after %s", why_error_text());
    assert_string_equal(why_error_text(), "second after first");
}

static void long_texts_are_cut(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    why_fail(WHY_EARG, "%s", text);
    assert_int_equal(strlen(why_error_text()), 2047);
    why_fail_in(WHY_EARG, "%s", text);
    assert_int_equal(strlen(why_error_text()), 2047);
    why_fail(WHY_EARG, "tail");
    why_fail_in(WHY_EARG, "%s", text);
    assert_true(strlen(why_error_text()) <= 2047);
}

static why_status try_twice(int *calls) {
    WHY_TRY((++*calls, WHY_OK));
    WHY_TRY((++*calls, WHY_ELIMIT));
    ++*calls;
    return WHY_OK;
}

static void try_returns_at_the_first_failure(void **state) {
    (void)state;
    int calls = 0;
    assert_int_equal(try_twice(&calls), WHY_ELIMIT);
    assert_int_equal(calls, 2);
}

static void *fail_in_thread(void *arg) {
    (void)arg;
    why_fail(WHY_EARG, "the other thread's");
    return NULL;
}

static void texts_are_per_thread(void **state) {
    (void)state;
    pthread_t id;
    why_fail(WHY_EARG, "mine");
    assert_int_equal(pthread_create(&id, NULL, fail_in_thread, NULL), 0);
    pthread_join(id, NULL);
    assert_string_equal(why_error_text(), "mine");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_meaning),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(old_text_may_be_an_argument),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(try_returns_at_the_first_failure),
        cmocka_unit_test(texts_are_per_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
