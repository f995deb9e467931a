/* The view naopc: aopc between the image's worst and best curve. */
#include "fixture.h"

/* Two images, of which the first has three curves under one fill and one under another; the second has one. */
static const char rows[] =
    "INSERT INTO metric VALUES(101, 'a', 'aopc', 'score', NULL, NULL, '{\"first\":\"most\",\"fill\":\"mean\"}', 'high', -1, 1),"
    " (102, 'b', 'aopc', 'score', NULL, NULL, '{\"first\":\"least\",\"fill\":\"mean\"}', 'low', -1, 1),"
    " (103, 'c', 'aopc', 'score', NULL, NULL, '{\"first\":\"most\",\"fill\":\"blur\"}', 'high', -1, 1);"
    "INSERT INTO explanation(id, image_id, cell_id, class, status)"
    " VALUES(65537, 1, 1, 3, 'done'), (65538, 1, 2, 3, 'done'), (131073, 2, 1, 0, 'done');"
    "INSERT INTO score(explanation_id, metric_id, value, why)"
    " VALUES(65537, 101, 0.5, NULL), (65537, 102, 0.1, NULL), (65538, 101, 0.2, NULL),"
    " (65538, 102, NULL, 'not finite'), (65537, 103, 0.9, NULL), (131073, 101, 0.4, NULL);";

static void between_the_worst_and_the_best(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    temp_path(path, "naopc");
    OK(why_store_open(path, &s));
    put_plan(s, 2, CELLS_PER_MODEL);
    why_store_close(&s);
    meddle(path, rows);
    OK(why_store_open_readonly(path, &s));
    assert_answer(s,
                  "SELECT explanation_id, metric_id, aopc, iif(value IS NULL, 'none', printf('%.4g', value)), curves"
                  " FROM naopc ORDER BY 1, 2",
                  "65537|101|0.5|1|3\n65537|102|0.1|0|3\n65537|103|0.9|none|1\n65538|101|0.2|0.25|3\n131073|101|0.4|none|1\n");
    why_store_close(&s);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(between_the_worst_and_the_best)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
