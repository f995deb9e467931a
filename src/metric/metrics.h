/* The lines of the metric table, and what the families share. To add a metric: write its function and its why_metric
 * in the family's file (agreement.c is the plainest), declare it here, and add it to the table in metrics.c. */
#ifndef WHYPIX_METRIC_METRICS_H
#define WHYPIX_METRIC_METRICS_H

#include <math.h>

#include "whypix/metric.h"

/* agreement.c */
extern const why_metric why_metric_pearson, why_metric_spearman, why_metric_kendall_tau_b, why_metric_cosine, why_metric_soft_iou,
    why_metric_soft_iou_mean, why_metric_mask_iou, why_metric_topk_iou;
/* ssim.c, rbo.c, emd.c */
extern const why_metric why_metric_ssim, why_metric_rbo, why_metric_emd;
/* topset.c */
extern const why_metric why_metric_feature_agreement, why_metric_sign_agreement, why_metric_rank_agreement,
    why_metric_signed_rank_agreement, why_metric_pairwise_rank_agreement, why_metric_within_region, why_metric_sign_flip;
/* faithfulness.c */
extern const why_metric why_metric_deletion, why_metric_insertion, why_metric_monotonicity, why_metric_aopc, why_metric_aopc_fractions,
    why_metric_road, why_metric_irof;
/* soft.c */
extern const why_metric why_metric_average_drop, why_metric_increase, why_metric_average_gain, why_metric_average_drop_s,
    why_metric_increase_s;
/* draws.c */
extern const why_metric why_metric_faithfulness_correlation, why_metric_mu_fidelity, why_metric_infidelity, why_metric_completeness;
/* robustness.c */
extern const why_metric why_metric_max_sensitivity, why_metric_avg_sensitivity, why_metric_rotation_agreement,
    why_metric_shift_agreement, why_metric_brightness_agreement, why_metric_noise_agreement, why_metric_random_logit;
/* complexity.c */
extern const why_metric why_metric_sparsity, why_metric_gini, why_metric_entropy, why_metric_effective_complexity;
/* localisation.c */
extern const why_metric why_metric_mask_iou_area, why_metric_mask_iou_75, why_metric_pointing_game, why_metric_relevance_mass,
    why_metric_relevance_rank, why_metric_mass_outside, why_metric_positive_share;

static inline why_value why_defined(double value) { return (why_value){.value = value}; }
static inline why_value why_undefined(const char *why) { return (why_value){.value = NAN, .why = why}; }

static inline why_status why_give(why_value *out, double value) {
    *out = why_defined(value);
    return WHY_OK;
}

static inline why_status why_give_reason(why_value *out, const char *why) {
    *out = why_undefined(why);
    return WHY_OK;
}

/* Area means of an h x w map on rows x cols cells; a pixel on a border counts by the part inside (field.c). */
void why_cell_means(const float *v, int h, int w, int rows, int cols, float *out);

#endif
