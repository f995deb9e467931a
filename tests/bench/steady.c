/* How near a sampled explanation comes to the truth, and two of them to each other, at one budget.
 *
 *     steady kernel MODEL PREPROCESS BUDGET SEGMENTER SEEDS IMAGE...
 *     steady lime   MODEL PREPROCESS BUDGET SEGMENTER SEEDS IMAGE...
 *
 * `kernel` prints, per picture, the root mean square error of Kernel SHAP with shap's draws, LeverageSHAP's (Musco and Witter
 * 2025, Algorithm 1: of each size a binomial number of pairs, without replacement) and `sampling: tight`, to the exact values
 * (at most 14 segments) or else to 100 times the budget of shap's draws. `lime` prints the agreement of two maps under
 * different seeds, with lime 0.2's own masks and with `sampling: balanced`, and their errors to a hundredfold budget.
 * Pictures are cropped as torchvision does, the class is the predicted one, the output its probability. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/cache.h"
#include "explain/coalitions.h"
#include "explain/game.h"
#include "whypix/explain.h"

typedef struct bench {
    why_model *model;
    why_pool *pool;
    why_evaluator *ev;
    why_subject *subject;
    why_image image;
    const char *segmenter;
    int budget, seeds, class_index, players;
} bench;

enum { MOST_EXACT = 14, MANY = 100 };

static why_status open_picture(bench *b, const char *path) {
    const why_model_info *info = why_model_get_info(b->model);
    const why_fit fit = {.resize_h = (info->height * 256 + 112) / 224, .crop = info->height, .how = WHY_BILINEAR};
    const why_segments *segments;
    const float *logits;
    why_image original;
    why_subject_destroy(&b->subject);
    why_image_clear(&b->image);
    WHY_TRY(why_image_load(path, NULL, &original));
    why_status st = info->height >= 128 ? why_image_fit(&original, &fit, &b->image) : WHY_OK;
    if (info->height >= 128) why_image_clear(&original);
    else b->image = original; /* made in the model's size */
    if (!st) st = why_subject_create(b->ev, &b->image, NULL, 1, 1, &b->subject);
    if (!st) st = why_subject_segments(b->subject, b->segmenter, &segments);
    if (!st) st = why_evaluator_original(b->ev, &logits);
    if (st) return st;
    b->players = segments->n;
    b->class_index = 0;
    for (int c = 1; c < info->outputs; c++)
        if (logits[c] > logits[b->class_index]) b->class_index = c;
    return WHY_OK;
}

static why_status make_params(const bench *b, const char *explainer, const char *const *settings, why_params **out) {
    WHY_TRY(why_params_create(why_explainer_find(explainer)->params, out));
    why_status st = why_params_set(*out, "segmenter", b->segmenter);
    for (; !st && settings[0]; settings += 2) st = why_params_set(*out, settings[0], settings[1]);
    if (st) why_params_destroy(out);
    return st;
}

/* Values of the segments under seed `seed`. */
static why_status explain(const bench *b, const char *explainer, const char *const *settings, int seed, double *phi) {
    const why_explainer *x = why_explainer_find(explainer);
    why_params *p;
    why_explanation e;
    WHY_TRY(make_params(b, explainer, settings, &p));
    why_status st = why_explanation_create(b->image.h, b->image.w, &e);
    const why_request r = {b->subject, b->class_index, WHY_PROBABILITY, p, {(uint64_t)seed * 7919 + 1}, seed};
    if (!st) st = x->explain(&r, &e);
    for (int i = 0; !st && i < e.h * e.w; i++) phi[e.segments->label[i]] = e.map[i];
    why_explanation_clear(&e);
    why_params_destroy(&p);
    return st;
}

/* ---------------------------------------------------------------- LeverageSHAP */
/* Expected number of pairs when every pair of size k is taken with probability min(1, c / C(M,k)). */
static double expected_pairs(int players, double c) {
    double n = 0;
    for (int k = 1; 2 * k <= players; k++) {
        const double pairs = why_choose(players, k) / (2 * k == players ? 2 : 1);
        n += pairs * fmin(1, c / why_choose(players, k));
    }
    return n;
}

static double solve_rate(int players, double pairs) {
    double lo = 0, hi = 1e18;
    for (int i = 0; i < 200; i++) {
        const double c = (lo + hi) / 2;
        if (expected_pairs(players, c) < pairs) lo = c;
        else hi = c;
    }
    return lo;
}

static void draw_member(why_rng *g, int size, int players, int *member) {
    for (int i = 0; i < players; i++) member[i] = i;
    for (int i = 0; i < size; i++) {
        const int j = i + (int)why_rng_below(g, (uint32_t)(players - i)), t = member[i];
        member[i] = member[j];
        member[j] = t;
    }
}

/* A binomial number by inversion of a normal beyond 1e4 trials, by coins below. */
static int binomial(why_rng *g, double trials, double p) {
    int n = 0;
    if (p >= 1) return (int)trials;
    if (trials > 1e4) return (int)fmax(0, round(trials * p + sqrt(trials * p * (1 - p)) * why_rng_normal(g)));
    for (int i = 0; i < (int)trials; i++) n += why_rng_uniform(g) < p;
    return n;
}

static why_status leverage_size(why_rng *g, why_cache *seen, int players, int size, double c, int *member, why_coalitions *out) {
    const double all = why_choose(players, size), p = fmin(1, c / all), pairs = all / (2 * size == players ? 2 : 1);
    const int wanted = binomial(g, pairs, p);
    for (int got = 0; got < wanted;) {
        const int n = out->masks.n;
        int row;
        bool fresh;
        why_masks_clear_row(&out->masks, n);
        draw_member(g, size, players, member);
        for (int i = 0; i < size; i++) why_masks_set(&out->masks, n, member[i]);
        if (2 * size == players && !why_masks_bit(&out->masks, n, 0)) why_masks_complement(&out->masks, n, n);
        WHY_TRY(why_cache_row_of(seen, why_masks_row(&out->masks, n), out->masks.words * sizeof(uint64_t), &row, &fresh));
        if (!fresh) continue;
        why_masks_complement(&out->masks, n + 1, n);
        out->weight[n] = out->weight[n + 1] = (players - 1) / (all * size * (players - size)) / p;
        out->masks.n += 2;
        got++;
    }
    return WHY_OK;
}

/* Room for half as many pairs again: their number is random. */
static why_status leverage_coalitions(int players, int budget, int seed, why_coalitions *out) {
    why_rng g = why_rng_at((why_stream){(uint64_t)seed * 104729 + 5}, 0);
    why_cache *seen;
    int *member;
    WHY_TRY(why_coalitions_create(players, budget * 3 / 2 + 64, out));
    out->masks.n = 0;
    WHY_TRY(why_cache_create(1, &seen));
    WHY_TRY(why_alloc((size_t)players, sizeof *member, "coalitions", &member));
    const double c = solve_rate(players, budget / 2.0);
    why_status st = WHY_OK;
    for (int k = 1; !st && 2 * k <= players; k++) st = leverage_size(&g, seen, players, k, c, member, out);
    free(member);
    why_cache_destroy(&seen);
    return st;
}

static why_status leverage(const bench *b, int seed, double *phi) {
    why_params *p;
    why_game g;
    why_coalitions c;
    double ends[2], *x, *y;
    WHY_TRY(make_params(b, "shap_kernel", (const char *const[]){NULL}, &p));
    const why_request r = {b->subject, b->class_index, WHY_PROBABILITY, p, {0}, 0};
    why_masks end;
    WHY_TRY(why_game_open(&r, &g));
    WHY_TRY(why_masks_create(2, g.players, &end));
    why_masks_complement(&end, 1, 0);
    WHY_TRY(why_game_values(&g, &end, ends));
    WHY_TRY(leverage_coalitions(g.players, b->budget - 2, seed, &c));
    const size_t n = (size_t)c.masks.n, k = (size_t)g.players;
    WHY_TRY(why_alloc(n * k, sizeof *x, "rows", &x));
    WHY_TRY(why_alloc(n, sizeof *y, "scores", &y));
    WHY_TRY(why_game_values(&g, &c.masks, y));
    for (size_t i = 0; i < n; i++) {
        y[i] -= ends[0];
        for (size_t j = 0; j < k; j++) x[i * k + j] = why_masks_bit(&c.masks, (int)i, (int)j);
    }
    const why_status st = why_wls_with_sum(x, y, c.weight, (int)n, (int)k, ends[1] - ends[0], NULL, phi, NULL);
    free(x);
    free(y);
    why_masks_clear(&end);
    why_coalitions_clear(&c);
    why_params_destroy(&p);
    return st;
}

/* ---------------------------------------------------------------- figures */
static double squares(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum / n;
}

static double pearson(const double *a, const double *b, int n) {
    double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < n; i++) ma += a[i] / n, mb += b[i] / n;
    for (int i = 0; i < n; i++) aa += (a[i] - ma) * (a[i] - ma), bb += (b[i] - mb) * (b[i] - mb), ab += (a[i] - ma) * (b[i] - mb);
    return ab / sqrt(aa * bb);
}

static void ranks(const double *a, int n, double *rank) {
    for (int i = 0; i < n; i++) {
        rank[i] = 0;
        for (int j = 0; j < n; j++) rank[i] += a[j] < a[i] ? 1 : a[j] == a[i] ? 0.5 : 0;
    }
}

static double spearman(const double *a, const double *b, int n) {
    double ra[1024], rb[1024];
    ranks(a, n, ra);
    ranks(b, n, rb);
    return pearson(ra, rb, n);
}

/* ---------------------------------------------------------------- Kernel SHAP */
static why_status kernel_truth(const bench *b, double *truth) {
    char budget[32];
    if (b->players <= MOST_EXACT) {
        const char *const exact[] = {"fill", "mean", NULL};
        return explain(b, "shap_exact", exact, 0, truth);
    }
    snprintf(budget, sizeof budget, "%d", MANY * b->budget);
    return explain(b, "shap_kernel", (const char *const[]){"evaluations", budget, NULL}, 999, truth);
}

static why_status kernel_picture(bench *b, const char *name) {
    double truth[1024], phi[1024], error[3] = {0};
    char budget[32];
    WHY_TRY(kernel_truth(b, truth));
    snprintf(budget, sizeof budget, "%d", b->budget);
    for (int seed = 0; seed < b->seeds; seed++) {
        WHY_TRY(explain(b, "shap_kernel", (const char *const[]){"evaluations", budget, NULL}, seed, phi));
        error[0] += squares(phi, truth, b->players) / b->seeds;
        WHY_TRY(leverage(b, seed, phi));
        error[1] += squares(phi, truth, b->players) / b->seeds;
        WHY_TRY(explain(b, "shap_kernel", (const char *const[]){"evaluations", budget, "sampling", "tight", NULL}, seed, phi));
        error[2] += squares(phi, truth, b->players) / b->seeds;
    }
    for (int i = 0; i < 3; i++) error[i] = sqrt(error[i]);
    printf("| %s | %d | %d | %.2e | %.2e | %.2e | %.2f | %.2f |\n", name, b->players, b->budget, error[0], error[1], error[2],
           error[0] / error[1], error[0] / error[2]);
    return WHY_OK;
}

/* ---------------------------------------------------------------- LIME */
enum { LIME_WAYS = 2, MOST_SEEDS = 64 };

static why_status lime_once(const bench *b, int way, int seed, int samples, double *phi) {
    char count[32], number[32];
    snprintf(count, sizeof count, "%d", samples);
    snprintf(number, sizeof number, "%d", seed);
    const char *const limes[] = {"samples", count, "reference", "true", "reference_seed", number, NULL};
    const char *const ours[] = {"samples", count, NULL};
    return explain(b, "lime", way == 0 ? limes : ours, seed, phi);
}

static why_status lime_picture(bench *b, const char *name) {
    static double phi[LIME_WAYS][MOST_SEEDS][1024], truth[1024];
    double r[LIME_WAYS] = {0}, rho[LIME_WAYS] = {0}, error[LIME_WAYS] = {0};
    WHY_TRY(lime_once(b, 1, 12345, MANY * b->budget < 20000 ? MANY * b->budget : 20000, truth));
    for (int way = 0; way < LIME_WAYS; way++) {
        for (int s = 0; s < b->seeds; s++) WHY_TRY(lime_once(b, way, s, b->budget, phi[way][s]));
        for (int s = 0; s < b->seeds; s++) {
            error[way] += squares(phi[way][s], truth, b->players) / b->seeds;
            for (int t = 0; t < s; t++) {
                const double pairs = b->seeds * (b->seeds - 1) / 2.0;
                r[way] += pearson(phi[way][s], phi[way][t], b->players) / pairs;
                rho[way] += spearman(phi[way][s], phi[way][t], b->players) / pairs;
            }
        }
    }
    printf("| %s | %d | %d | %.3f | %.3f | %.3f | %.3f | %.2f |\n", name, b->players, b->budget, r[0], r[1], rho[0], rho[1],
           sqrt(error[0] / error[1]));
    return WHY_OK;
}

/* ---------------------------------------------------------------- main */
static why_status open_model(bench *b, const char *model, const char *preprocess) {
    const why_preprocess *pre = why_preprocess_find(preprocess);
    if (!pre) return why_fail(WHY_EARG, "preprocess '%s' is unknown", preprocess);
    WHY_TRY(why_model_load(model, NULL, &b->model));
    WHY_TRY(why_pool_create(2, &b->pool));
    const why_evaluator_options o = {.model = b->model, .preprocess = pre, .pool = b->pool, .max_batch = 16};
    return why_evaluator_create(&o, &b->ev);
}

static why_status run(bench *b, bool kernel, char **images, int n) {
    if (kernel) puts("| picture | segments | evaluations | RMSE shap | RMSE leverage | RMSE tight | shap / leverage | shap / tight |");
    else
        puts("| picture | segments | samples | Pearson lime | Pearson balanced | Spearman lime | Spearman balanced |"
             " RMSE lime / balanced |");
    puts("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(images[i], '/'), *name = slash ? slash + 1 : images[i];
        WHY_TRY(open_picture(b, images[i]));
        WHY_TRY(kernel ? kernel_picture(b, name) : lime_picture(b, name));
        fflush(stdout);
    }
    return WHY_OK;
}

int main(int argc, char **argv) {
    bench b = {0};
    if (argc < 8) {
        fprintf(stderr, "usage: steady kernel|lime MODEL PREPROCESS BUDGET SEGMENTER SEEDS IMAGE...\n");
        return 2;
    }
    b.budget = atoi(argv[4]);
    b.segmenter = argv[5];
    b.seeds = atoi(argv[6]) < MOST_SEEDS ? atoi(argv[6]) : MOST_SEEDS;
    why_status st = open_model(&b, argv[2], argv[3]);
    if (!st) st = run(&b, strcmp(argv[1], "kernel") == 0, argv + 7, argc - 7);
    if (st) fprintf(stderr, "%s\n", why_error_text());
    why_subject_destroy(&b.subject);
    why_image_clear(&b.image);
    why_evaluator_destroy(&b.ev);
    why_pool_destroy(&b.pool);
    why_model_destroy(&b.model);
    return st ? 1 : 0;
}
