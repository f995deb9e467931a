/* THE table of explainers. A new one: a file with a why_explainer, its declaration in explainer.h, and a line here. */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* clang-format off */
const why_explainer *const why_explainers[] = {
    &why_explainer_lime,
    &why_explainer_shap_partition,
    &why_explainer_shap_kernel,
    &why_explainer_shap_permutation,
    &why_explainer_shap_exact,
    &why_explainer_occlusion,
    &why_explainer_rise,
    &why_explainer_gradcam,
    &why_explainer_gradcam_pp,
    &why_explainer_xgradcam,
    &why_explainer_hirescam,
    &why_explainer_layercam,
    &why_explainer_eigencam,
    &why_explainer_eigengradcam,
    &why_explainer_scorecam,
    &why_explainer_ablationcam,
    &why_explainer_saliency,
    &why_explainer_input_x_gradient,
    &why_explainer_integrated_gradients,
    &why_explainer_smoothgrad,
    &why_explainer_guided_backprop,
    &why_explainer_deeplift,
    &why_explainer_shap_deep,
    &why_explainer_shap_gradient,
    &why_explainer_random,
    &why_explainer_random_smooth,
    &why_explainer_center,
    &why_explainer_edges,
    &why_explainer_mask,
    NULL,
};
/* clang-format on */

const why_explainer *why_explainer_find(const char *name) {
    for (size_t i = 0; why_explainers[i]; i++)
        if (strcmp(why_explainers[i]->name, name) == 0) return why_explainers[i];
    return NULL;
}

why_status why_explanation_create(int h, int w, why_explanation *out) {
    *out = (why_explanation){.h = h, .w = w, .fit = NAN, .residual = NAN, .se_range = NAN, .ess = NAN};
    return why_alloc((size_t)h * (size_t)w, sizeof *out->map, "map", &out->map);
}

void why_explanation_clear(why_explanation *e) {
    free(e->map);
    free(e->se);
    *e = (why_explanation){0};
}

why_status why_request_check_class(const why_request *r) {
    const why_model_info *info = why_model_get_info(why_evaluator_model(why_subject_evaluator(r->subject)));
    int a, b;
    why_contrast_parts(info->classes, r->class_index, &a, &b);
    if (a >= 0 && a < info->classes && a != b) return WHY_OK;
    if (b >= 0) return why_fail(WHY_EARG, "class: got a contrast of %d with %d, want two of the classes 0 to %d", a, b, info->classes - 1);
    return why_fail(WHY_EARG, "class: got %d, the model has classes 0 to %d", r->class_index, info->classes - 1);
}

const char *why_explanation_zero_note(const why_explanation *e) {
    for (size_t i = 0; i < (size_t)e->h * (size_t)e->w; i++)
        if (e->map[i] != 0.0f) return NULL;
    return "all-zero map";
}

int64_t why_no_evaluations(const why_params *p, int h, int w, int segments) {
    (void)p, (void)h, (void)w, (void)segments;
    return 0;
}
