#include "explain/until.h"

#include <stddef.h>

int why_until_next(const why_params *p, int n, int least, int cap) {
    if (why_params_real(p, "until_se_range") <= 0) return cap;
    const int next = n == 0 ? least : n + 2 * ((n + 7) / 8); /* even: pairs stay whole */
    return next < cap ? next : cap;
}

bool why_until_reached(const why_params *p, int n, int cap, double se_range, why_explanation *out) {
    const double bound = why_params_real(p, "until_se_range");
    const bool small = bound > 0 && se_range <= bound;
    out->stop = bound <= 0 ? NULL : small ? "se_range" : "budget";
    return small || n >= cap;
}
