#include "explain/deep.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

struct deep {
    const why_request *r;
    why_evaluator *ev;
    const why_background *b;
    int batch, channels;
    size_t n;        /* pixels */
    float *rgb;      /* batch*3*n: references that are looked at together */
    double *credit;  /* channels*n: sum of their shares */
    double gap;      /* sum of score(x) - score(reference) */
};

static void add_credit(struct deep *d, const float *x, const float *reference, const float *m) {
    for (size_t k = 0; k < (size_t)d->channels * d->n; k++) d->credit[k] += (double)m[k] * ((double)x[k] - reference[k]);
}

static why_status add_references(struct deep *d, int at, int now) {
    why_perturbation p[WHY_GRADIENT_BATCH];
    double scores[WHY_GRADIENT_BATCH + 1];
    why_tensor_view x, m;
    for (int i = 0; i < now; i++) {
        float *rgb = d->rgb + (size_t)i * 3 * d->n;
        why_background_write(d->b, at + i, d->n, rgb);
        p[i] = (why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb};
    }
    WHY_TRY(why_evaluator_multipliers(d->ev, "input", p, now, d->r->class_index, d->r->output, &x, &m, scores));
    const size_t size = (size_t)d->channels * d->n;
    for (int i = 1; i <= now; i++) {
        add_credit(d, x.data, x.data + (size_t)i * size, m.data + (size_t)i * size);
        d->gap += scores[0] - scores[i];
    }
    return WHY_OK;
}

static why_status run(struct deep *d) {
    for (int at = 0; at < d->b->n; at += d->batch)
        WHY_TRY(add_references(d, at, d->b->n - at < d->batch ? d->b->n - at : d->batch));
    return WHY_OK;
}

/* Rounding leaves about 1e-6 of the credits' size; a thousand times that is no rounding. */
enum { INCOMPLETE = 1000 };

static void finish(struct deep *d, why_explanation *out) {
    double sum = 0, size = 0;
    for (size_t k = 0; k < (size_t)d->channels * d->n; k++) {
        d->credit[k] /= d->b->n;
        sum += d->credit[k];
        size += fabs(d->credit[k]);
    }
    why_fold_channels(d->r->params, d->credit, d->channels, out);
    out->residual = d->gap / d->b->n - sum;
    out->evaluations = d->b->n;
    if (fabs(out->residual) * INCOMPLETE > size && !out->note) out->note = "the shares do not add up to the score's difference";
}

why_status why_deep_explain(const why_request *r, const why_background *b, why_explanation *out) {
    struct deep d = {.r = r, .ev = why_subject_evaluator(r->subject), .b = b, .n = (size_t)out->h * (size_t)out->w};
    WHY_TRY(why_request_check_class(r));
    d.batch = why_evaluator_max_references(d.ev);
    if (d.batch > WHY_GRADIENT_BATCH - 1) d.batch = WHY_GRADIENT_BATCH - 1;
    if (d.batch > b->n) d.batch = b->n;
    d.channels = why_model_get_info(why_evaluator_model(d.ev))->channels;
    why_status st = why_alloc((size_t)d.batch * 3 * d.n, sizeof *d.rgb, "references", &d.rgb);
    if (!st) st = why_alloc((size_t)d.channels * d.n, sizeof *d.credit, "DeepLIFT's shares", &d.credit);
    if (!st) st = run(&d);
    if (!st) finish(&d, out);
    free(d.rgb);
    free(d.credit);
    return st;
}
