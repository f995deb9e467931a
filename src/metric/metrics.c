#include "metric/metrics.h"

#include <string.h>

/* THE table. Its order is the order of `whypix list metrics`: agreement, faithfulness, localisation, robustness and
 * sanity, complexity. */
const why_metric *const why_metrics[] = {
    &why_metric_pearson,
    &why_metric_spearman,
    &why_metric_kendall_tau_b,
    &why_metric_cosine,
    &why_metric_ssim,
    &why_metric_soft_iou,
    &why_metric_soft_iou_mean,
    &why_metric_mask_iou,
    &why_metric_topk_iou,
    &why_metric_feature_agreement,
    &why_metric_sign_agreement,
    &why_metric_rank_agreement,
    &why_metric_signed_rank_agreement,
    &why_metric_pairwise_rank_agreement,
    &why_metric_rbo,
    &why_metric_emd,
    &why_metric_within_region,
    &why_metric_sign_flip,
    &why_metric_deletion,
    &why_metric_insertion,
    &why_metric_monotonicity,
    &why_metric_aopc,
    &why_metric_aopc_fractions,
    &why_metric_road,
    &why_metric_irof,
    &why_metric_average_drop,
    &why_metric_increase,
    &why_metric_average_gain,
    &why_metric_average_drop_s,
    &why_metric_increase_s,
    &why_metric_faithfulness_correlation,
    &why_metric_mu_fidelity,
    &why_metric_infidelity,
    &why_metric_completeness,
    &why_metric_mask_iou_area,
    &why_metric_mask_iou_75,
    &why_metric_pointing_game,
    &why_metric_relevance_mass,
    &why_metric_relevance_rank,
    &why_metric_mass_outside,
    &why_metric_positive_share,
    &why_metric_max_sensitivity,
    &why_metric_avg_sensitivity,
    &why_metric_rotation_agreement,
    &why_metric_shift_agreement,
    &why_metric_brightness_agreement,
    &why_metric_noise_agreement,
    &why_metric_random_logit,
    &why_metric_sparsity,
    &why_metric_gini,
    &why_metric_entropy,
    &why_metric_effective_complexity,
    NULL,
};

const why_metric *why_metric_find(const char *name) {
    for (const why_metric *const *m = why_metrics; *m; m++)
        if (strcmp((*m)->name, name) == 0) return *m;
    return NULL;
}

/* The one parameter that turns a metric round is the end that a curve begins with. */
int why_metric_better(const why_metric *m, const why_params *p) {
    const bool turned = p && why_params_has(p, "first") && strcmp(why_params_text(p, "first"), "least") == 0;
    if (!turned || m->better == WHY_BETTER_NONE) return m->better;
    return m->better == WHY_BETTER_HIGH ? WHY_BETTER_LOW : WHY_BETTER_HIGH;
}

bool why_metric_suits(const why_metric *m, why_policy policy, const why_grid *grid) {
    if ((m->flags & WHY_METRIC_UNSIGNED) && policy == WHY_SIGNED) return false;
    if ((m->flags & WHY_METRIC_SIGNED) && policy != WHY_SIGNED) return false;
    if ((m->flags & WHY_METRIC_PICTURE) && grid->kind == WHY_GRID_SEGMENTS) return false;
    return !(m->flags & WHY_METRIC_PIXEL_ONLY) || grid->kind == WHY_GRID_PIXEL;
}
