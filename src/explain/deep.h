/* DeepLIFT against one or several references: what deeplift and shap_deep share. */
#ifndef WHYPIX_EXPLAIN_DEEP_H
#define WHYPIX_EXPLAIN_DEEP_H

#include "explain/background.h"
#include "explain/gradients.h"

/* The map: mean over the references of multiplier * (x - reference), folded over channels. The residual is what it lacks of
 * score(x) - mean score(reference). */
why_status why_deep_explain(const why_request *r, const why_background *b, why_explanation *out) WHY_MUST_USE;

#endif
