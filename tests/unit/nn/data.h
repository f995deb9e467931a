/* Optional test data: $WHYPIX_DATA, else ../shared/data beside the repository. Tests that need it skip without it. */
#ifndef NN_TEST_DATA_H
#define NN_TEST_DATA_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/npy.h"
#include "whypix/model.h"

/* Path of a data file in a static buffer; skips the test when it is not there. */
static inline const char *data_file(const char *name) {
    static char path[4][1024];
    static int next;
    const char *root = getenv("WHYPIX_DATA"), *source = getenv("WHYPIX_SOURCE");
    char *p = path[next++ % 4];
    if (root) snprintf(p, 1024, "%s/%s", root, name);
    else snprintf(p, 1024, "%s/../shared/data/%s", source ? source : ".", name);
    if (access(p, R_OK) != 0) {
        print_message("skipped: test data %s is not there (set WHYPIX_DATA)\n", p);
        skip();
    }
    return p;
}

static inline void check_ok(why_status st, const char *call) {
    if (st) fail_msg("%s: %s: %s", call, why_status_name(st), why_error_text());
}
#define OK(call) check_ok((call), #call)

static inline float *load_floats(const char *name, why_shape *shape) {
    float *x;
    OK(why_npy_load_f32(data_file(name), shape, &x));
    return x;
}

/* Largest |got - want| in units of the standard deviation of `want`. */
static inline double error_in_sd(const float *got, const float *want, int64_t n) {
    double mean = 0, var = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)want[i] / (double)n;
    for (int64_t i = 0; i < n; i++) var += ((double)want[i] - mean) * ((double)want[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - (double)want[i]);
        if (!(e <= worst)) worst = e;
    }
    return worst / sqrt(var);
}

#endif
