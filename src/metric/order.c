#include "metric/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A key that rises as the float falls. Adding 0 turns -0 into 0. */
static uint32_t falling_key(float v) {
    uint32_t u;
    v += 0.0f;
    memcpy(&u, &v, sizeof u);
    return (u & 0x80000000u) ? u : ~(u | 0x80000000u);
}

/* One stable counting pass over eight bits of the key. */
static void pass(const uint32_t *key, int shift, const int32_t *from, int32_t *to, int n) {
    int start[256] = {0}, sum = 0;
    for (int i = 0; i < n; i++) start[key[i] >> shift & 255]++;
    for (int b = 0; b < 256; b++) {
        int count = start[b];
        start[b] = sum;
        sum += count;
    }
    for (int i = 0; i < n; i++) to[start[key[from[i]] >> shift & 255]++] = from[i];
}

/* Least significant digit first; four passes end in `order` again. */
static void radix_sort(const uint32_t *key, int32_t *order, int32_t *scratch, int n) {
    for (int shift = 0; shift < 32; shift += 16) {
        pass(key, shift, order, scratch, n);
        pass(key, shift + 8, scratch, order, n);
    }
}

why_status why_order_falling(const float *v, int n, const uint32_t *key, int32_t *order) {
    uint32_t *value_key = NULL;
    int32_t *scratch = NULL;
    why_status st = why_alloc((size_t)n, sizeof *value_key, "sort keys", &value_key);
    if (!st) st = why_alloc((size_t)n, sizeof *scratch, "sort scratch", &scratch);
    if (!st) {
        for (int i = 0; i < n; i++) {
            order[i] = i;
            value_key[i] = falling_key(v[i]);
        }
        if (key) radix_sort(key, order, scratch, n);
        radix_sort(value_key, order, scratch, n);
    }
    free(value_key);
    free(scratch);
    return st;
}

why_status why_order_falling_both(const float *a, const float *b, int n, int32_t *order) {
    uint32_t *key;
    WHY_TRY(why_alloc((size_t)n, sizeof *key, "sort keys", &key));
    for (int i = 0; i < n; i++) key[i] = falling_key(b[i]);
    why_status st = why_order_falling(a, n, key, order);
    free(key);
    return st;
}

/* Places from..to-1 (0 = largest) share one value: their average rank from below is n - (from + to - 1) / 2. */
void why_ranks_of_order(const float *v, const int32_t *order, int n, int32_t *rank2) {
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && v[order[to]] == v[order[from]];) to++;
        for (int i = from; i < to; i++) rank2[order[i]] = 2 * n - (from + to - 1);
    }
}

int why_count_of_share(double share, int n) {
    int k = (int)ceil(share * n - 1e-9);
    return k < 1 ? 1 : k > n ? n : k;
}

/* How many leading values of the falling order are above `t`, or equal to it as well. */
static int count_leading(const float *v, const int32_t *order, int n, float t, int or_equal) {
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        float x = v[order[mid]];
        if (x > t || (or_equal && x == t)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

why_top why_top_of(const float *v, const int32_t *order, int n, int k) {
    float t = v[order[k - 1]];
    int above = count_leading(v, order, n, t, 0), up_to = count_leading(v, order, n, t, 1);
    return (why_top){.threshold = t, .tied = (double)(k - above) / (up_to - above)};
}
