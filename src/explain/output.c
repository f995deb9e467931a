#include "explain/output.h"

#include <math.h>
#include <string.h>

#include "nn/secant.h"

static const char *const output_names[] = {[WHY_PROBABILITY] = "probability", [WHY_LOGIT] = "logit", [WHY_LOG_ODDS] = "log_odds"};
enum { N_OUTPUTS = sizeof output_names / sizeof *output_names };

why_status why_output_parse(const char *text, why_output *out) {
    for (int i = 0; i < N_OUTPUTS; i++)
        if (strcmp(text, output_names[i]) == 0) {
            *out = (why_output)i;
            return WHY_OK;
        }
    return why_fail(WHY_EARG, "output: got '%s', want probability, logit or log_odds", text);
}

const char *why_output_name(why_output o) { return output_names[o]; }

/* log(sum of exp) over all logits but `left_out` (-1: none). Shifted by the largest, so that nothing overflows. */
static double log_sum_exp(const float *logits, int n, int left_out) {
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        if (i != left_out && logits[i] > top) top = logits[i];
    for (int i = 0; i < n; i++)
        if (i != left_out) sum += exp(logits[i] - top);
    return top + log(sum);
}

static double sigmoid(double s) { return s >= 0 ? 1 / (1 + exp(-s)) : exp(s) / (1 + exp(s)); }

/* Far from any class, so that a class index that is too large by mistake is not a contrast; c * c stays below 2^30. */
enum { FIRST_CONTRAST = 1 << 30, MOST_CLASSES = 32767 };

int why_contrast(int classes, int a, int b) { return classes <= MOST_CLASSES ? FIRST_CONTRAST + a * classes + b : -1; }

void why_contrast_parts(int classes, int class_index, int *a, int *b) {
    bool pair = class_index >= FIRST_CONTRAST;
    *a = pair ? (class_index - FIRST_CONTRAST) / classes : class_index;
    *b = pair ? (class_index - FIRST_CONTRAST) % classes : -1;
}

static int classes_of(int outputs) { return outputs == 1 ? 2 : outputs; }

static double score_of_class(const float *logits, int outputs, int class_index, why_output output) {
    if (outputs == 1) { /* classes 0 and 1 with scores -s and +s; log odds of a sigmoid are its argument */
        double s = class_index ? logits[0] : -(double)logits[0];
        return output == WHY_PROBABILITY ? sigmoid(s) : s;
    }
    double own = logits[class_index];
    switch (output) {
    case WHY_PROBABILITY: return exp(own - log_sum_exp(logits, outputs, -1));
    case WHY_LOG_ODDS: return own - log_sum_exp(logits, outputs, class_index); /* log p - log(1 - p), without forming 1 - p */
    case WHY_LOGIT: break;
    }
    return own;
}

double why_score(const float *logits, int outputs, int class_index, why_output output) {
    int a, b;
    why_contrast_parts(classes_of(outputs), class_index, &a, &b);
    double score = score_of_class(logits, outputs, a, output);
    return b < 0 ? score : score - score_of_class(logits, outputs, b, output);
}

/* Leaving one class out of a sum of all cancels only for a class above one half, and only one can be that: it is summed anew. */
static double log_odds_of(const float *logits, int outputs, int c, double all) {
    double p = exp(logits[c] - all);
    return p > 0.5 ? score_of_class(logits, outputs, c, WHY_LOG_ODDS) : logits[c] - all - log1p(-p);
}

void why_scores(const float *logits, int outputs, why_output output, double *scores) {
    if (outputs == 1) {
        scores[0] = score_of_class(logits, outputs, 1, output);
        return;
    }
    double all = log_sum_exp(logits, outputs, -1);
    for (int c = 0; c < outputs; c++) {
        if (output == WHY_LOGIT) scores[c] = logits[c];
        else scores[c] = output == WHY_PROBABILITY ? exp(logits[c] - all) : log_odds_of(logits, outputs, c, all);
    }
}

/* Adds `sign` times d score / d logits to `seed`. */
static void add_seed(const float *logits, int outputs, int class_index, why_output output, float sign, float *seed) {
    double p = score_of_class(logits, outputs, class_index, WHY_PROBABILITY);
    if (outputs == 1) {
        double slope = output == WHY_PROBABILITY ? p * (1 - p) : 1;
        seed[0] += sign * (float)(class_index ? slope : -slope);
        return;
    }
    double rest = log_sum_exp(logits, outputs, output == WHY_LOG_ODDS ? class_index : -1);
    for (int i = 0; i < outputs; i++) {
        bool own = i == class_index;
        if (output == WHY_LOGIT) seed[i] += sign * own;
        else if (output == WHY_LOG_ODDS) seed[i] += sign * (own ? 1.0f : (float)-exp(logits[i] - rest));
        else seed[i] += sign * (float)(p * (own - exp(logits[i] - rest)));
    }
}

void why_score_seed(const float *logits, int outputs, int class_index, why_output output, float *seed) {
    int a, b;
    why_contrast_parts(classes_of(outputs), class_index, &a, &b);
    memset(seed, 0, (size_t)outputs * sizeof *seed);
    add_seed(logits, outputs, a, output, 1, seed);
    if (b >= 0) add_seed(logits, outputs, b, output, -1, seed);
}

/* Adds `sign` times the multipliers of one class to `seed`. */
static void add_multipliers(const float *a, const float *b, int outputs, int class_index, why_output output, float sign, float *seed) {
    if (outputs == 1) {
        double slope = output == WHY_PROBABILITY ? why_secant_sigmoid((double)a[0], (double)b[0]) : 1;
        seed[0] += sign * (float)(class_index ? slope : -slope);
        return;
    }
    const why_log_sum s = why_log_sum_of(a, b, outputs, 1, output == WHY_LOG_ODDS ? class_index : -1);
    const double slope = output == WHY_PROBABILITY ? why_secant_exp((double)a[class_index] - s.a, (double)b[class_index] - s.b) : 1;
    for (int i = 0; i < outputs; i++) {
        bool own = i == class_index, summed = output == WHY_PROBABILITY || (output == WHY_LOG_ODDS && !own);
        seed[i] += sign * (float)(slope * (own - (summed ? why_log_sum_share(&s, a[i], b[i]) : 0)));
    }
}

void why_score_multipliers(const float *a, const float *b, int outputs, int class_index, why_output output, float *seed) {
    int with, against;
    why_contrast_parts(classes_of(outputs), class_index, &with, &against);
    memset(seed, 0, (size_t)outputs * sizeof *seed);
    add_multipliers(a, b, outputs, with, output, 1, seed);
    if (against >= 0) add_multipliers(a, b, outputs, against, output, -1, seed);
}
