/* The ground-truth mask itself: what a perfect localiser would answer, so the upper bound of the localisation metrics (not
 * of faithfulness: a model may rightly use the background). */
#include "explain/explainer.h"

static why_status explain(const why_request *r, why_explanation *out) {
    const uint8_t *mask = why_subject_mask(r->subject);
    if (!mask) return why_fail(WHY_EUNDEFINED, "mask: the image has no ground-truth mask");
    for (size_t i = 0; i < (size_t)out->h * (size_t)out->w; i++) out->map[i] = mask[i] != 0;
    out->note = why_explanation_zero_note(out);
    return WHY_OK;
}

const why_explainer why_explainer_mask = {
    .name = "mask",
    .help = "the ground-truth mask: the ceiling of localisation",
    .source = "control",
    .flags = WHY_USES_MASK | WHY_CONTROL,
    .output = WHY_PROBABILITY,
    .evaluations = why_no_evaluations,
    .explain = explain,
};
