/* Named sets of metrics for job files. An item is written as a call; parameters that are not given have their defaults. A set is
 * given where agreement metrics or scores are wanted and stands for its metrics of that kind. */
#include <string.h>

#include "whypix/metric.h"

static const char *const quick[] = {"pearson", "spearman", "soft_iou", "topk_iou(area=0.05)", "topk_iou(area=0.2)", "sparsity", "gini",
                                    "aopc_fractions", NULL};

static const char *const seed000[] = {"pearson", "soft_iou", "soft_iou_mean", "spearman", "topk_iou(area=0.2)", "sparsity", "gini",
                                      "mask_iou_area", "mask_iou_75", NULL};

static const char *const seed001[] = {"mask_iou", "topk_iou(area=0.05)", "topk_iou(area=0.1)", "topk_iou(area=0.2)", "topk_iou(area=0.5)",
                                      "sparsity", NULL};

static const char *const seed002[] = {"pearson", "spearman", "cosine", "sign_agreement(area=0.1)", "sign_flip", "gini", "entropy",
                                      "mass_outside", "positive_share", "rotation_agreement(degrees=15)",
                                      "rotation_agreement(degrees=15,class=new)", NULL};

static const char *const seed003[] = {"pearson", "spearman", "soft_iou", "within_region(area=0.2)", "sparsity", "aopc_fractions", "aopc",
                                      "monotonicity", NULL};

static const char *const seed004[] = {"pearson", "soft_iou", "topk_iou(area=0.2)", "average_drop", "increase", "average_drop_s",
                                      "increase_s", "road(removed=both)", "road(removed=most)", "road(removed=least)", "mask_iou_75",
                                      "mask_iou_area", NULL};

static const char *const all[] = {
    "pearson", "spearman", "kendall_tau_b", "cosine", "ssim", "soft_iou", "soft_iou_mean", "mask_iou", "topk_iou(area=0.05)",
    "topk_iou(area=0.1)", "topk_iou(area=0.2)", "topk_iou(area=0.5)", "feature_agreement", "sign_agreement", "rank_agreement",
    "signed_rank_agreement", "pairwise_rank_agreement", "rbo", "emd", "within_region", "sign_flip",
    "deletion", "deletion(first=least)", "insertion", "monotonicity", "aopc", "aopc(first=least)", "aopc_fractions", "road(removed=both)",
    "road(removed=most)", "road(removed=least)", "irof", "average_drop", "increase", "average_gain", "average_drop_s", "increase_s",
    "faithfulness_correlation", "mu_fidelity", "infidelity", "completeness",
    "mask_iou_area", "mask_iou_75", "pointing_game(tolerance=15)", "pointing_game(tolerance=0)", "relevance_mass", "relevance_rank",
    "mass_outside", "positive_share", "max_sensitivity", "avg_sensitivity", "rotation_agreement(degrees=15)",
    "rotation_agreement(degrees=15,class=new)", "shift_agreement", "brightness_agreement", "noise_agreement", "random_logit", "sparsity",
    "gini", "entropy", "effective_complexity", NULL};

const why_metric_set why_metric_sets[] = {
    {"quick", "a first look: no more than five evaluations a map", quick},
    {"seed000", "agreement of SHAP, LIME and Grad-CAM: correlation and soft IoU", seed000},
    {"seed001", "agreement of masks, over the area that is kept", seed001},
    {"seed002", "signs between classes, concentration, mass beside the object, rotation", seed002},
    {"seed003", "sparsity and the drop of the score at a few shares of the pixels", seed003},
    {"seed004", "occlusion of background and subject, ROAD, IoU with the ground truth", seed004},
    {"all", "every metric, list parameters at their usual values", all},
    {0},
};

const why_metric_set *why_metric_set_find(const char *name) {
    for (const why_metric_set *s = why_metric_sets; s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}
