#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "whypix/model.h"
#include "whypix/rng.h"

struct bench {
    why_model *model;
    why_pool *pool;
    why_session *session;
    float *x;
    double *seconds; /* one per run */
    int batch, threads, runs;
    bool layers;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t sample_size(const why_model_info *i) { return (int64_t)i->channels * i->height * i->width; }

/* The input given, repeated or cut to the batch; else normal noise, which keeps activations at realistic scales. */
static why_status fill_input(struct bench *b, const char *path) {
    int64_t n = b->batch * sample_size(why_model_get_info(b->model));
    WHY_TRY(why_alloc((size_t)n, sizeof *b->x, "input", &b->x));
    if (!path) {
        why_rng r = why_rng_at(why_stream_of(1, 1, "bench"), 0);
        for (int64_t i = 0; i < n; i++) b->x[i] = (float)why_rng_normal(&r);
        return WHY_OK;
    }
    why_shape shape;
    float *given;
    WHY_TRY(why_npy_load_f32(path, &shape, &given));
    int64_t have = why_shape_count(&shape), sample = sample_size(why_model_get_info(b->model));
    why_status st = have > 0 && have % sample == 0 ? WHY_OK : why_fail(WHY_EARG, "%s: %lld values are no whole number of inputs of %lld", path, (long long)have, (long long)sample);
    for (int64_t i = 0; !st && i < n; i++) b->x[i] = given[i % have];
    free(given);
    return st;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static why_status measure(struct bench *b) {
    WHY_TRY(why_session_forward(b->session, b->x, b->batch)); /* warm up */
    for (int i = 0; i < b->runs; i++) {
        double t = now();
        WHY_TRY(why_session_forward(b->session, b->x, b->batch));
        b->seconds[i] = now() - t;
    }
    qsort(b->seconds, (size_t)b->runs, sizeof *b->seconds, by_value);
    return WHY_OK;
}

/* One line per step of the forward pass. Peak is that of all threads together, measured beside. */
static void report_layers(const struct bench *b) {
    const double peak = why_model_peak(b->model) * b->threads, passes = b->runs + 1;
    int width = 5;
    for (int i = 0; i < why_session_steps(b->session); i++) {
        const int n = (int)strlen(why_session_step(b->session, i).layer);
        width = n > width ? n : width;
    }
    printf("%-*s  %-18s  %-9s  %14s  %5s  %9s  %7s  %6s\n", width, "layer", "op", "algorithm", "output", "group", "ms", "GF/s", "peak");
    for (int i = 0; i < why_session_steps(b->session); i++) {
        const why_step_info s = why_session_step(b->session, i);
        const double seconds = s.seconds / passes, rate = seconds > 0 ? (double)s.macs * b->batch / seconds : 0;
        char shape[64] = "", *p = shape;
        for (int d = 0; d < s.shape.rank && p < shape + 40; d++) p += sprintf(p, "%s%lld", d ? "x" : "", (long long)s.shape.dim[d]);
        printf("%-*s  %-18s  %-9s  %14s  %5d  %9.3f", width, s.layer, s.op, s.algorithm, shape, s.group, 1e3 * seconds);
        if (s.macs && peak > 0) printf("  %7.1f  %5.0f%%", 2e-9 * rate, 100 * rate / peak);
        putchar('\n');
    }
    printf("peak: %.1f GF/s; above 100%% where an algorithm needs fewer multiplications than the plain sum\n", 2e-9 * peak);
}

static void report(const struct bench *b, const char *path) {
    const why_model_info *info = why_model_get_info(b->model);
    double median = b->seconds[b->runs / 2], rate = b->batch / median, gf = 2e-9 * (double)info->macs * rate;
    char cpu[64];
    why_cpu_model(cpu);
    printf("%s on %s (%s): batch %d, threads %d, %d runs\n", path, cpu, why_isa_name(why_cpu_isa()), b->batch, b->threads, b->runs);
    printf("  median %.2f ms a batch (%.2f to %.2f), %.1f images/s, %.1f GFLOP/s, %.1f MB beside the weights\n", 1e3 * median, 1e3 * b->seconds[0],
           1e3 * b->seconds[b->runs - 1], rate, gf, 1e-6 * (double)why_session_bytes(b->session));
    printf("{\"images_per_s\": %.6g, \"batch\": %d, \"threads\": %d, \"runs\": %d, \"median_s\": %.6g, \"gflops\": %.6g, \"bytes\": %lld}\n", rate,
           b->batch, b->threads, b->runs, median, gf, (long long)why_session_bytes(b->session));
}

static why_status bench(struct bench *b, const why_args *a) {
    int64_t batch, runs;
    const char *from, *path = why_args_at(a, 0), *output = why_args_text(a, "output");
    WHY_TRY(why_args_int(a, "batch", 1, 4096, &batch));
    WHY_TRY(why_args_int(a, "runs", 1, 100000, &runs));
    WHY_TRY(why_choose_threads(a, 0, 1, &b->threads, &from));
    b->batch = (int)batch;
    b->runs = (int)runs;
    WHY_TRY(why_model_load(path, NULL, &b->model));
    WHY_TRY(fill_input(b, why_args_text(a, "input")));
    WHY_TRY(why_alloc((size_t)runs, sizeof *b->seconds, "times", &b->seconds));
    WHY_TRY(why_pool_create(b->threads, &b->pool));
    b->layers = why_args_given(a, "layers");
    why_session_options options = {.max_batch = b->batch, .pool = b->pool, .timed = b->layers};
    WHY_TRY(why_session_create(b->model, &options, &b->session));
    WHY_TRY(measure(b));
    why_shape shape = {.rank = 2, .dim = {b->batch, why_model_get_info(b->model)->outputs}};
    if (output) WHY_TRY(why_npy_save_f32(output, &shape, why_session_logits(b->session)));
    if (b->layers) report_layers(b);
    report(b, path);
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    struct bench b = {0};
    (void)exit_code;
    why_status st = bench(&b, a);
    why_session_destroy(&b.session);
    why_pool_destroy(&b.pool);
    why_model_destroy(&b.model);
    free(b.x);
    free(b.seconds);
    return st;
}

static const why_option options[] = {
    {"batch", "B", "8", "images per forward pass", false},
    {"threads", "T", NULL, "threads", false},
    {"runs", "R", "10", "timed passes after one that warms up; the median is reported", false},
    {"layers", NULL, NULL, "time every step: its algorithm, effective GF/s and share of the core's peak", false},
    {"input", "X.npy", NULL, "float32 N x C x H x W, repeated to fill the batch (default: normal noise)", false},
    {"output", "Y.npy", NULL, "write the last pass's logits, for comparing outputs beside times", false},
    {0},
};

const why_command why_command_bench = {
    .name = "bench",
    .positional = "MODEL.onnx",
    .summary = "images per second of the forward pass",
    .help = "Times forward passes. The last line is JSON. Machines are noisy: compare by the ratio of interleaved runs.",
    .example = "whypix bench resnet18.onnx --batch 8 --threads 2",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
