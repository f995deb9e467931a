/* What explainers share among themselves: their table entries and a few checks. */
#ifndef WHYPIX_EXPLAIN_EXPLAINER_H
#define WHYPIX_EXPLAIN_EXPLAINER_H

#include "whypix/explain.h"

extern const why_explainer why_explainer_lime, why_explainer_shap_partition, why_explainer_gradcam;
extern const why_explainer why_explainer_shap_kernel, why_explainer_shap_permutation, why_explainer_shap_exact;
extern const why_explainer why_explainer_occlusion, why_explainer_rise;
extern const why_explainer why_explainer_gradcam_pp, why_explainer_xgradcam, why_explainer_hirescam, why_explainer_layercam;
extern const why_explainer why_explainer_eigencam, why_explainer_eigengradcam, why_explainer_scorecam, why_explainer_ablationcam;
extern const why_explainer why_explainer_saliency, why_explainer_input_x_gradient, why_explainer_integrated_gradients;
extern const why_explainer why_explainer_smoothgrad, why_explainer_guided_backprop;
extern const why_explainer why_explainer_deeplift, why_explainer_shap_deep, why_explainer_shap_gradient;
extern const why_explainer why_explainer_random, why_explainer_random_smooth, why_explainer_center, why_explainer_edges, why_explainer_mask;

/* WHY_EARG when the class that the request asks for is not one of the model's. */
why_status why_request_check_class(const why_request *r) WHY_MUST_USE;
/* "all-zero map" when it is, else NULL: such a map ranks no pixel above another. */
const char *why_explanation_zero_note(const why_explanation *e);
/* For explainers that ask for no evaluations. */
int64_t why_no_evaluations(const why_params *p, int h, int w, int segments);

#endif
