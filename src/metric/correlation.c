#include "metric/correlation.h"

#include <stdlib.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"

bool why_is_constant(const float *v, int n) {
    for (int i = 1; i < n; i++)
        if (v[i] != v[0]) return false;
    return true;
}

static double mean_of(const float *v, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)v[i];
    return sum / n;
}

static why_value from_sums(double aa, double bb, double ab) {
    double r = ab / (sqrt(aa) * sqrt(bb));
    return why_defined(r > 1 ? 1 : r < -1 ? -1 : r);
}

why_value why_pearson_of(const float *a, const float *b, int n) {
    if (why_is_constant(a, n) || why_is_constant(b, n)) return why_undefined("constant map");
    double mean_a = mean_of(a, n), mean_b = mean_of(b, n), aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < n; i++) {
        double x = (double)a[i] - mean_a, y = (double)b[i] - mean_b;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    return from_sums(aa, bb, ab);
}

/* The mean of the ranks is (n + 1) / 2 whatever the ties; ranks here are twice as large. */
why_value why_pearson_of_ranks(const int32_t *a, const int32_t *b, int n) {
    double aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < n; i++) {
        double x = a[i] - (n + 1.0), y = b[i] - (n + 1.0);
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    return aa > 0 && bb > 0 ? from_sums(aa, bb, ab) : why_undefined("constant map");
}

static why_status ranks_of(const float *v, int n, int32_t **rank2) {
    int32_t *order = NULL;
    why_status st = why_alloc((size_t)n, sizeof *order, "order", &order);
    if (!st) st = why_alloc((size_t)n, sizeof **rank2, "ranks", rank2);
    if (!st) st = why_order_falling(v, n, NULL, order);
    if (!st) why_ranks_of_order(v, order, n, *rank2);
    free(order);
    return st;
}

why_status why_spearman_of(const float *a, const float *b, int n, why_value *out) {
    int32_t *ra = NULL, *rb = NULL;
    why_status st = ranks_of(a, n, &ra);
    if (!st) st = ranks_of(b, n, &rb);
    if (!st) *out = why_pearson_of_ranks(ra, rb, n);
    free(ra);
    free(rb);
    return st;
}

/* ---------------------------------------------------------------- concordance */
/* Merge two falling runs; the pairs that rise from the first to the second. */
static int64_t merge(const float *from, float *to, int lo, int mid, int hi) {
    int64_t rising = 0;
    int i = lo, j = mid;
    for (int k = lo; k < hi; k++) {
        if (i < mid && (j >= hi || from[i] >= from[j])) to[k] = from[i++];
        else {
            rising += mid - i;
            to[k] = from[j++];
        }
    }
    return rising;
}

/* Pairs i < j with (*v)[i] < (*v)[j]; (*v) ends sorted. Swaps the two buffers as it goes. */
static int64_t count_rising(float **v, float **scratch, int n) {
    int64_t rising = 0;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            int64_t mid = lo + width < n ? lo + width : n, hi = lo + 2 * width < n ? lo + 2 * width : n;
            rising += merge(*v, *scratch, (int)lo, (int)mid, (int)hi);
        }
        float *merged = *scratch;
        *scratch = *v;
        *v = merged;
    }
    return rising;
}

static int64_t pairs_of(int64_t n) { return n * (n - 1) / 2; }

/* Pairs of equal values of `a` (and of `b`, when it is given) among neighbours in `order`. */
static int64_t count_tied(const float *a, const float *b, const int32_t *order, int n) {
    int64_t tied = 0;
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && a[order[to]] == a[order[from]] && (!b || b[order[to]] == b[order[from]]);) to++;
        tied += pairs_of(to - from);
    }
    return tied;
}

static int64_t count_tied_sorted(const float *v, int n) {
    int64_t tied = 0;
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && v[to] == v[from];) to++;
        tied += pairs_of(to - from);
    }
    return tied;
}

why_status why_concordance_of(const float *a, const float *b, int n, why_concordance *out) {
    int32_t *order = NULL;
    float *seq = NULL, *scratch = NULL;
    why_status st = why_alloc((size_t)n, sizeof *order, "order of two maps", &order);
    if (!st) st = why_alloc((size_t)n, sizeof *seq, "order of two maps", &seq);
    if (!st) st = why_alloc((size_t)n, sizeof *scratch, "order of two maps", &scratch);
    if (!st) st = why_order_falling_both(a, b, n, order);
    if (!st) {
        *out = (why_concordance){.pairs = pairs_of(n), .tied_a = count_tied(a, NULL, order, n), .tied_both = count_tied(a, b, order, n)};
        for (int i = 0; i < n; i++) seq[i] = b[order[i]];
        out->discordant = count_rising(&seq, &scratch, n); /* inside a tie of a, b falls: nothing is counted there */
        out->tied_b = count_tied_sorted(seq, n);
    }
    free(order);
    free(seq);
    free(scratch);
    return st;
}
