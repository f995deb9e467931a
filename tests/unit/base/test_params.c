#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/call.h"
#include "whypix/param.h"

static const why_param table[] = {
    {"samples", WHY_PARAM_INT, "1000", 1, 1e6, NULL, "how many"},
    {"ratio", WHY_PARAM_REAL, "0.2", 0, 1, NULL, "how much"},
    {"signed", WHY_PARAM_BOOL, "false", 0, 0, NULL, "whether"},
    {"mode", WHY_PARAM_CHOICE, "fast", 0, 0, "fast|slow|slower", "which"},
    {"file", WHY_PARAM_TEXT, "", 0, 0, NULL, "where"},
    {0},
};

static int setup(void **state) { return why_params_create(table, (why_params **)state); }
static int teardown(void **state) {
    why_params_destroy((why_params **)state);
    assert_null(*state);
    return 0;
}

static void assert_canonical(const why_params *p, const char *want) {
    char *text;
    assert_int_equal(why_params_canonical(p, &text), WHY_OK);
    assert_string_equal(text, want);
    free(text);
}

static void defaults_come_from_the_table(void **state) {
    const why_params *p = *state;
    assert_int_equal(why_params_int(p, "samples"), 1000);
    assert_true(why_params_real(p, "ratio") == 0.2);
    assert_false(why_params_bool(p, "signed"));
    assert_string_equal(why_params_text(p, "mode"), "fast");
    assert_string_equal(why_params_text(p, "file"), "");
    assert_true(why_params_has(p, "file") && !why_params_has(p, "fil"));
    assert_canonical(p, "{\"samples\":1000,\"ratio\":0.2,\"signed\":false,\"mode\":\"fast\",\"file\":null}");
}

static void values_are_set_and_printed(void **state) {
    why_params *p = *state;
    assert_int_equal(why_params_set(p, "samples", "7"), WHY_OK);
    assert_int_equal(why_params_set(p, "ratio", "0.30000000000000004"), WHY_OK);
    assert_int_equal(why_params_set(p, "signed", "yes"), WHY_OK);
    assert_int_equal(why_params_set(p, "mode", "slow"), WHY_OK);
    assert_int_equal(why_params_set(p, "file", "a \"b\"\n.npy"), WHY_OK);
    assert_canonical(p, "{\"samples\":7,\"ratio\":0.30000000000000004,\"signed\":true,\"mode\":\"slow\",\"file\":\"a \\\"b\\\"\\n.npy\"}");
}

static void refused(why_params *p, const char *name, const char *text, const char *in_message) {
    assert_int_equal(why_params_set(p, name, text), WHY_EARG);
    if (!strstr(why_error_text(), in_message)) fail_msg("'%s' does not say '%s'", why_error_text(), in_message);
}

static void bad_values_are_refused(void **state) {
    why_params *p = *state;
    refused(p, "samples", "0", "from 1 to 1000000");
    refused(p, "samples", "1000001", "from 1 to 1000000");
    refused(p, "samples", "12x", "'12x'");
    refused(p, "samples", "1.5", "whole number");
    refused(p, "samples", "", "whole number");
    refused(p, "samples", "99999999999999999999", "whole number");
    refused(p, "ratio", "nan", "number from 0 to 1");
    refused(p, "ratio", "-0.1", "number from 0 to 1");
    refused(p, "ratio", "1e999", "number from 0 to 1");
    refused(p, "signed", "maybe", "true or false");
    refused(p, "mode", "slo", "fast|slow|slower");
    refused(p, "mode", "", "fast|slow|slower");
    refused(p, "mode", "fast|slow", "fast|slow|slower");
    refused(p, "sample", "5", "did you mean 'samples'");
    refused(p, "zzzzzzzzzz", "5", "there are: samples, ratio, signed, mode, file");
    defaults_come_from_the_table(state);
}

static void copies_are_independent(void **state) {
    why_params *p = *state, *copy;
    assert_int_equal(why_params_set(p, "mode", "slower"), WHY_OK);
    assert_int_equal(why_params_copy(p, &copy), WHY_OK);
    assert_int_equal(why_params_set(p, "mode", "slow"), WHY_OK);
    assert_string_equal(why_params_text(copy, "mode"), "slower");
    why_params_destroy(&copy);
}

static void no_table_is_an_empty_object(void **state) {
    (void)state;
    why_params *p;
    assert_int_equal(why_params_create(NULL, &p), WHY_OK);
    assert_canonical(p, "{}");
    refused(p, "a", "1", "there are none");
    why_params_destroy(&p);
}

static void nearest_name(void **state) {
    (void)state;
    const char *const names[] = {"gradcam", "lime", "shap_kernel"};
    assert_string_equal(why_nearest("grad-cam", names, 3), "gradcam");
    assert_string_equal(why_nearest("shap_kernal", names, 3), "shap_kernel");
    assert_null(why_nearest("occlusion", names, 3));
    assert_null(why_nearest("lime", names, 0));
}

/* ---------------------------------------------------------------- calls */
static void assert_call(const char *text, const char *want_name, const char *want) {
    char *name, *canonical;
    why_params *p;
    assert_int_equal(why_call_name(text, &name), WHY_OK);
    assert_string_equal(name, want_name);
    if (why_call_params(text, table, &p)) fail_msg("%s: %s", text, why_error_text());
    assert_int_equal(why_call_canonical(name, p, &canonical), WHY_OK);
    assert_string_equal(canonical, want);
    why_params_destroy(&p);
    free(canonical);
    free(name);
}

static void calls_are_read_in_either_form(void **state) {
    (void)state;
    assert_call("slic", "slic", "slic(samples=1000,ratio=0.2,signed=false,mode=fast,file=null)");
    assert_call("slic()", "slic", "slic(samples=1000,ratio=0.2,signed=false,mode=fast,file=null)");
    assert_call(" slic ( 5 , 0.5 ) ", "slic", "slic(samples=5,ratio=0.5,signed=false,mode=fast,file=null)");
    assert_call("slic(5,mode=slow)", "slic", "slic(samples=5,ratio=0.2,signed=false,mode=slow,file=null)");
    assert_call("f(ratio = 1)", "f", "f(samples=1000,ratio=1,signed=false,mode=fast,file=null)");
}

static void call_refused(const char *text, const char *in_message) {
    why_params *p;
    assert_int_equal(why_call_params(text, table, &p), WHY_EARG);
    assert_null(p);
    if (!strstr(why_error_text(), in_message)) fail_msg("'%s' does not say '%s'", why_error_text(), in_message);
}

static void bad_calls_are_refused(void **state) {
    (void)state;
    call_refused("f(1", "closing ')'");
    call_refused("f(1) x", "closing ')'");
    call_refused("f(1,1,true,slow,a,b)", "one too many");
    call_refused("f(sampels=2)", "did you mean 'samples'");
    call_refused("f(x)", "whole number");
}

static void call_without_parameters(void **state) {
    (void)state;
    why_params *p;
    char *text;
    assert_int_equal(why_call_params("mean", NULL, &p), WHY_OK);
    assert_int_equal(why_call_canonical("mean", p, &text), WHY_OK);
    assert_string_equal(text, "mean");
    free(text);
    why_params_destroy(&p);
    assert_int_equal(why_call_params("mean(3)", NULL, &p), WHY_EARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_come_from_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(values_are_set_and_printed, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_values_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_are_independent, setup, teardown),
        cmocka_unit_test(no_table_is_an_empty_object),
        cmocka_unit_test(nearest_name),
        cmocka_unit_test(calls_are_read_in_either_form),
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(call_without_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
