/* Drops and gains of the score as the image is multiplied by the positive map, or by what it leaves (Chattopadhyay et al. 2018). */
#include "metric/metrics.h"
#include "metric/probe.h"

/* Which part of the image is hidden: the background, or what the map marks. */
enum part { BACKGROUND, SUBJECT };

/* The score of image * m + fill * (1 - m); m: the positive map, or 1 minus it. */
static why_status soft_score(why_score_input *in, enum part hidden, const why_fill *fill, double *o) {
    static const why_grid pixel = {.kind = WHY_GRID_PIXEL};
    const why_explanation *e = in->explanation;
    why_field soft;
    WHY_TRY(why_field_make(e->map, e->h, e->w, NULL, WHY_POSITIVE, &pixel, NULL, &soft));
    for (int i = 0; hidden == SUBJECT && i < soft.n; i++) soft.v[i] = 1 - soft.v[i];
    const why_status st = why_probe_run(in, &(why_perturbation){.kind = WHY_SOFT_MAP, .fill = fill, .u.soft = soft.v}, 1, o, NULL);
    why_field_clear(&soft);
    return st;
}

static const char *reason_against(double y, double o) {
    if (!isfinite(y) || !isfinite(o)) return why_not_finite;
    return y < WHY_LEAST_SCORE ? why_score_too_small : NULL;
}

/* Y, the score of the whole image, and O, that of the masked one. *why: these are no basis for a comparison. */
static why_status soft_scores(why_score_input *in, const why_metric *metric, enum part hidden, double *y, double *o, const char **why) {
    const why_fill *fill;
    *y = *o = NAN;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_fill(in, metric->fill, &fill));
    if (!fill->local) {
        in->evaluations = 1; /* what plans count */
        *why = "the fill is painted from the pixels that are shown, and a soft map shows all of them in part";
        return WHY_OK;
    }
    WHY_TRY(why_probe_whole(in, y));
    WHY_TRY(soft_score(in, hidden, fill, o));
    *why = reason_against(*y, *o);
    return WHY_OK;
}

static why_status drop(why_score_input *in, const why_metric *metric, enum part hidden, why_value *out) {
    double y, o;
    const char *why;
    WHY_TRY(soft_scores(in, metric, hidden, &y, &o, &why));
    return why ? why_give_reason(out, why) : why_give(out, y > o ? (y - o) / y : 0);
}

static why_status rise(why_score_input *in, const why_metric *metric, enum part hidden, why_value *out) {
    double y, o;
    const char *why;
    WHY_TRY(soft_scores(in, metric, hidden, &y, &o, &why));
    return why ? why_give_reason(out, why) : why_give(out, o > y);
}

static why_status average_drop(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    return drop(in, &why_metric_average_drop, BACKGROUND, out);
}

static why_status increase(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    return rise(in, &why_metric_increase, BACKGROUND, out);
}

static why_status average_drop_s(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    return drop(in, &why_metric_average_drop_s, SUBJECT, out);
}

static why_status increase_s(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    return rise(in, &why_metric_increase_s, SUBJECT, out);
}

/* max(0, O - Y) / (1 - Y): of a probability. */
static why_status average_gain(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    double y, o;
    const char *why;
    WHY_TRY(soft_scores(in, &why_metric_average_gain, BACKGROUND, &y, &o, &why));
    if (why) return why_give_reason(out, why);
    if (1 - y < WHY_LEAST_SCORE) return why_give_reason(out, "score of the whole image within 1e-4 of 1");
    return why_give(out, o > y ? (o - y) / (1 - y) : 0);
}

static int64_t one_evaluation(const why_params *p, int h, int w) {
    (void)p, (void)h, (void)w;
    return 1;
}

/* ---------------------------------------------------------------- table lines */
#define SOFT_METRIC(name_, better_, help_, source_) \
    const why_metric why_metric_##name_ = {         \
        .name = #name_,                             \
        .help = help_,                              \
        .source = source_,                          \
        .kind = WHY_SCORE,                          \
        .better = better_,                          \
        .flags = WHY_METRIC_FILL,                   \
        .lo = 0,                                    \
        .hi = 1,                                    \
        .fill = "zero",                             \
        .score = name_,                             \
        .evaluations = one_evaluation,              \
    }

SOFT_METRIC(average_drop, WHY_BETTER_LOW, "relative loss of the score when the image is multiplied by the positive map",
            "Chattopadhyay et al. 2018 (Grad-CAM++)");
SOFT_METRIC(increase, WHY_BETTER_HIGH, "1 when the score grows as the image is multiplied by the positive map, else 0",
            "Chattopadhyay et al. 2018 (Grad-CAM++)");
SOFT_METRIC(average_gain, WHY_BETTER_HIGH,
            "gain of the score as the image is multiplied by the positive map, as a share of what is possible",
            "Zhang et al. 2023 (Opti-CAM)");
SOFT_METRIC(average_drop_s, WHY_BETTER_HIGH, "relative loss of the score when the image is multiplied by 1 minus the positive map",
            "Chattopadhyay et al. 2018, with the subject hidden in place of the background");
SOFT_METRIC(increase_s, WHY_BETTER_LOW, "1 when the score grows as the image is multiplied by 1 minus the positive map, else 0",
            "Chattopadhyay et al. 2018, with the subject hidden in place of the background");
