#include "explain/gradients.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

int why_gradient_batch(const why_evaluator *ev) {
    int most = why_evaluator_max_batch(ev);
    return most < WHY_GRADIENT_BATCH ? most : WHY_GRADIENT_BATCH;
}

static double fold(const double *v, int channels, size_t n, char how) {
    double sum = 0, magnitudes = 0, largest = 0;
    for (int c = 0; c < channels; c++, v += n) {
        sum += *v;
        magnitudes += fabs(*v);
        largest = fmax(largest, fabs(*v));
    }
    return how == 's' ? sum : how == 'a' ? magnitudes : largest;
}

void why_fold_channels(const why_params *p, const double *v, int channels, why_explanation *out) {
    const char how = why_params_text(p, "channels")[0]; /* sum, abs_sum, max_abs */
    size_t n = (size_t)out->h * (size_t)out->w;
    for (size_t i = 0; i < n; i++) out->map[i] = (float)fold(v + i, channels, n, how);
    out->note = why_explanation_zero_note(out);
}

why_status why_input_gradient(const why_request *r, why_rule rule, const float **x, const float **g, int *channels) {
    why_tensor_view input, gradient;
    WHY_TRY(why_request_check_class(r));
    why_evaluator *ev = why_subject_evaluator(r->subject);
    WHY_TRY(why_evaluator_gradient(ev, "input", NULL, 1, r->class_index, r->output, rule, &input, &gradient));
    if (x) *x = input.data;
    *g = gradient.data;
    *channels = (int)gradient.shape.dim[1];
    return WHY_OK;
}

why_status why_gradient_explain(const why_request *r, why_rule rule, bool times_input, why_explanation *out) {
    const float *x, *g;
    int channels;
    double *v;
    WHY_TRY(why_input_gradient(r, rule, &x, &g, &channels));
    const size_t n = (size_t)channels * (size_t)out->h * (size_t)out->w;
    WHY_TRY(why_alloc(n, sizeof *v, "gradient", &v));
    for (size_t i = 0; i < n; i++) v[i] = times_input ? (double)x[i] * g[i] : g[i];
    why_fold_channels(r->params, v, channels, out);
    out->evaluations = 1;
    free(v);
    return WHY_OK;
}

int64_t why_one_evaluation(const why_params *p, int h, int w, int segments) {
    (void)p, (void)h, (void)w, (void)segments;
    return 1;
}
