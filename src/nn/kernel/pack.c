/* Weights in the order in which the blocked kernels read them. */
#include "nn/kernel/blocked.h"

/* Where output o, input c, tap t lies: pairs of output blocks, an odd last one alone. */
static int64_t place(int o, int c, int t, int outputs, int inputs, int taps, int width, int lanes) {
    const int64_t depth = (int64_t)why_blocks(inputs, lanes) * lanes * taps;
    const int block = o / width, pair = block / 2 * 2, across = pair + 1 < why_blocks(outputs, width) ? 2 * width : width;
    const int64_t row = ((int64_t)(c / lanes) * taps + t) * lanes + c % lanes;
    return pair * width * depth + row * across + (block - pair) * width + o % width;
}

void why_pack_product(const float *w, int outputs, int inputs, int taps, int width, int lanes, float *out) {
    for (int o = 0; o < outputs; o++)
        for (int c = 0; c < inputs; c++)
            for (int t = 0; t < taps; t++) out[place(o, c, t, outputs, inputs, taps, width, lanes)] = *w++;
}

/* G g G^T, in double. Row of point p: (1, p, p^2) over the product of (p - q) for the other finite points q; infinity takes
 * the last coefficient alone (body_winograd.h). */
struct transform {
    double g[6][3];
};

static struct transform winograd_weights(void) {
    static const double points[5] = {0, 0.70710678118654752440, -0.70710678118654752440, 1.41421356237309504880, -1.41421356237309504880};
    struct transform t = {{{0}}};
    for (int i = 0; i < 5; i++) {
        double others = 1;
        for (int j = 0; j < 5; j++)
            if (j != i) others *= points[i] - points[j];
        for (int k = 0; k < 3; k++) t.g[i][k] = (k == 0 ? 1 : k == 1 ? points[i] : points[i] * points[i]) / others;
    }
    t.g[5][2] = 1;
    return t;
}

static void transform_filter(const struct transform *t, const float *g, double u[WHY_POINTS]) {
    double half[6][3];
    for (int i = 0; i < 6; i++)
        for (int x = 0; x < 3; x++) half[i][x] = t->g[i][0] * (double)g[x] + t->g[i][1] * (double)g[3 + x] + t->g[i][2] * (double)g[6 + x];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) u[i * 6 + j] = half[i][0] * t->g[j][0] + half[i][1] * t->g[j][1] + half[i][2] * t->g[j][2];
}

void why_pack_winograd(const float *w, int outputs, int inputs, int width, float *out) {
    const struct transform t = winograd_weights();
    const int64_t matrix = why_packed_product(outputs, inputs, 1, width, width);
    double u[WHY_POINTS];
    for (int o = 0; o < outputs; o++)
        for (int c = 0; c < inputs; c++, w += 9) {
            float *to = out + place(o, c, 0, outputs, inputs, 1, width, width);
            transform_filter(&t, w, u);
            for (int k = 0; k < WHY_POINTS; k++) to[k * matrix] = (float)u[k];
        }
}
