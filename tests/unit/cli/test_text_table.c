/* Tables must align, mark best values, and quote what their format needs quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/text_table.h"

static char *printed(why_format format, const char *title) {
    why_text_table *t;
    char *text = NULL;
    size_t size;
    assert_int_equal(why_text_table_create(2, (const char *const[]){"method", "n & x"}, "lr", &t), WHY_OK);
    assert_int_equal(why_text_table_add(t, (const char *const[]){"a,b|\"c\"", "*0.5"}), WHY_OK);
    why_text_table_rule(t);
    assert_int_equal(why_text_table_add(t, (const char *const[]){"\u00e9\u2191", NULL}), WHY_OK);
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_int_equal(why_text_table_print(t, title, format, f), WHY_OK);
    fclose(f);
    why_text_table_destroy(&t);
    return text;
}

static void expect(why_format format, const char *title, const char *want) {
    char *got = printed(format, title);
    assert_string_equal(got, want);
    free(got);
}

static void text(void **state) {
    (void)state;
    expect(WHY_FORMAT_TEXT, "T", "T\nmethod   n & x\n---------------\na,b|\"c\"    0.5*\n---------------\n\u00e9\u2191            \n");
}

static void csv(void **state) {
    (void)state;
    expect(WHY_FORMAT_CSV, "T", "method,n & x\r\n\"a,b|\"\"c\"\"\",0.5\r\n\u00e9\u2191,\r\n");
}

static void markdown(void **state) {
    (void)state;
    expect(WHY_FORMAT_MD, NULL, "| method | n & x |\n| --- | ---: |\n| a,b\\|\"c\" | **0.5** |\n| \u00e9\u2191 |  |\n");
}

static void latex(void **state) {
    (void)state;
    char *got = printed(WHY_FORMAT_LATEX, "50 %");
    assert_non_null(strstr(got, "\\caption{50 \\%}"));
    assert_non_null(strstr(got, "n \\& x"));
    assert_non_null(strstr(got, "\\textbf{0.5}"));
    assert_non_null(strstr(got, "$\\uparrow$ & "));
    assert_non_null(strstr(got, "\\bottomrule"));
    free(got);
}

static void unknown_format(void **state) {
    why_format f;
    (void)state;
    assert_int_equal(why_format_parse("html", &f), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "html"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(text), cmocka_unit_test(csv), cmocka_unit_test(markdown), cmocka_unit_test(latex),
                                       cmocka_unit_test(unknown_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
