/* How near the kernels of the fast path come to the peak of this core:  kernels [SECONDS]
 *
 * Peak is what WHY_CHAINS independent chains of fused multiply-adds reach in registers. Times are this thread's own, so that others on
 * the machine disturb less; peak and kernels take turns. "effective" counts the multiplications of the plain convolution. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "nn/kernel/blocked.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GFLOP/s. The chains' sums are added up, so that they are computed. */
static double peak(const why_blocked *k, float *sink) {
    enum { STEPS = 2000000 };
    double t = now();
    *sink += k->chains(STEPS);
    return 2e-9 * STEPS * WHY_CHAINS * k->width / (now() - t);
}

struct layer {
    int in, out, side; /* channels, height = width */
};

static float *floats(int64_t n) {
    float *x;
    if (why_alloc((size_t)n, sizeof *x, "bench", &x)) exit(1);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
    return x;
}

/* Seconds of one pass: pixels in tiles of `tile`. */
static double pointwise(const why_blocked *k, const struct layer *l, int tile) {
    const int pixels = l->side * l->side, in = why_blocks(l->in, k->width), out = why_blocks(l->out, k->width);
    float *x = floats((int64_t)in * pixels * k->width), *y = floats((int64_t)out * pixels * k->width);
    float *w = floats(why_packed_product(l->out, l->in, 1, k->width, k->width));
    const why_finish finish = {.clamp = {true, 0, 1e30f}};
    double t = now();
    for (int at = 0; at < pixels; at += tile) {
        const why_product p = {.x = x + at * k->width,
                               .x_block = (ptrdiff_t)pixels * k->width,
                               .blocks = in,
                               .w = w,
                               .to = out,
                               .pixels = pixels - at < tile ? pixels - at : tile,
                               .y = y + at * k->width,
                               .y_block = (ptrdiff_t)pixels * k->width,
                               .finish = &finish};
        k->multiply(&p);
    }
    t = now() - t;
    free(x), free(y), free(w);
    return t;
}

static double three(const why_blocked *k, const struct layer *l, int tile) {
    const int in = why_blocks(l->in, k->width), out = why_blocks(l->out, k->width), across = (l->side + 3) / 4;
    const int64_t plane = (int64_t)l->side * l->side * k->width;
    float *x = floats(in * plane), *y = floats(out * plane),
          *u = floats(WHY_POINTS * why_packed_product(l->out, l->in, 1, k->width, k->width));
    float *scratch = floats(why_winograd_scratch(in, out, tile, k->width));
    const why_winograd w = {.win = {l->in, l->side, l->side, l->side, l->side, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                            .in_blocks = in,
                            .out_blocks = out,
                            .tiles_x = across,
                            .tiles_y = across,
                            .x = x,
                            .u = u,
                            .y = y,
                            .finish = {.clamp = {true, 0, 1e30f}}};
    double t = now();
    for (int at = 0; at < across * across; at += tile)
        k->winograd(&w, at, at + tile < across * across ? at + tile : across * across, 0, out, scratch);
    t = now() - t;
    free(x), free(y), free(u), free(scratch);
    return t;
}

static void report(const char *name, const struct layer *l, int tile, double gflop, double seconds, double top) {
    printf("%-9s %4d -> %4d %3dx%-3d tile %4d  %8.3f ms  %7.1f GF/s effective  %5.1f %% of peak\n", name, l->in, l->out, l->side, l->side,
           tile, 1e3 * seconds, gflop / seconds, 100 * gflop / seconds / top);
}

static void best_of(const char *name, const why_blocked *k, const struct layer *l, int tile, int taps,
                    double (*run)(const why_blocked *, const struct layer *, int), double seconds) {
    const double gflop = 2e-9 * l->in * l->out * taps * l->side * l->side;
    double best = 1e9, top = 0, spent = 0;
    float sink = 0;
    while (spent < seconds) {
        const double p = peak(k, &sink), t = run(k, l, tile);
        top = p > top ? p : top;
        best = t < best ? t : best;
        spent += t + 0.01;
    }
    report(name, l, tile, gflop, best, sink != 0 ? top : 0);
}

int main(int argc, char **argv) {
    static const struct layer ones[] = {{64, 256, 56}, {256, 64, 56}, {512, 128, 28}, {1024, 256, 14}, {512, 2048, 7}, {24, 144, 56}};
    static const struct layer threes[] = {{64, 64, 224},  {64, 64, 56},   {128, 128, 28}, {256, 256, 14},
                                          {512, 512, 28}, {512, 512, 14}, {128, 32, 28}};
    static const int tiles[] = {24, 48, 96};
    const double seconds = argc > 1 ? atof(argv[1]) : 0.3;
    const why_blocked *k;
    if (why_blocked_of_cpu(&k) || !k) {
        puts("this CPU has only the portable path");
        return 0;
    }
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) best_of("1x1", k, &ones[i], 192, 1, pointwise, seconds);
    for (size_t i = 0; i < sizeof threes / sizeof *threes; i++)
        for (int t = 0; t < 3; t++) best_of("winograd", k, &threes[i], tiles[t], 9, three, seconds);
    return 0;
}
