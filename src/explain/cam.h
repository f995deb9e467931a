/* The frame of class activation maps. A method says what each channel of a feature map adds at each position; the frame
 * gets the activations and gradients, makes one map of the channels, drops what is negative, enlarges, and does the
 * averages over layers and over flipped and brightened copies that the whole family offers. See gradcam.c for a method. */
#ifndef WHYPIX_EXPLAIN_CAM_H
#define WHYPIX_EXPLAIN_CAM_H

#include "explain/explainer.h"

/* One layer under one picture. */
typedef struct why_cam_view {
    const why_request *request;
    const char *layer;
    const why_perturbation *picture; /* NULL: the image itself */
    const float *rgb, *zero;         /* the picture, and the one that is 0 after normalisation: h*w*3, 0..255 */
    size_t channels, positions;
    int h, w;                        /* of the feature map; positions = h*w */
    const float *act, *grad;         /* channels x positions: A, and d output / dA */
} why_cam_view;

/* Write x (channels x positions): what each channel adds at each position. */
typedef why_status why_cam_fn(const why_cam_view *v, double *x);

/* principal: the map is the first principal component of x instead of its sum over channels. */
why_status why_cam_explain(const why_request *r, why_cam_fn *fn, bool principal, why_explanation *out) WHY_MUST_USE;

/* The weight of one channel, from its activations and gradients at n positions. */
typedef double why_cam_weight_fn(const float *act, const float *grad, size_t n);

/* x = weight[k] * A_k: for methods with one weight per channel. */
void why_cam_weigh(const why_cam_view *v, const double *weight, double *x);

/* The same, by a weight that depends on its own channel only. */
why_status why_cam_weigh_by(const why_cam_view *v, why_cam_weight_fn *weight, double *x) WHY_MUST_USE;

/* Feature maps looked at: layers, times six with aug_smooth. For methods that need no more than one gradient each. */
int64_t why_cam_evaluations(const why_params *p, int h, int w, int segments);
int64_t why_cam_views(const why_params *p);

/* What a plan takes for the channels of a layer: it does not know them, and the last layers of VGG-16, SqueezeNet and the
 * smaller ResNets have 512. */
enum { WHY_CAM_USUAL_CHANNELS = 512 };

#define WHY_CAM_LAYER                                                                                                    \
    {"layer", WHY_PARAM_TEXT, "last_conv", 0, 0, NULL,                                                                   \
     "a feature map by node or tensor name, or several as 'a+b', averaged; last_conv: the last one before the classifier head"}
#define WHY_CAM_RELU {"relu", WHY_PARAM_BOOL, "true", 0, 0, NULL, "keep only what speaks for the class"}
#define WHY_CAM_AUG                                                                                                      \
    {"aug_smooth", WHY_PARAM_BOOL, "false", 0, 0, NULL,                                                                  \
     "average the normalised maps of six copies: flipped or not, times 0.9, 1 and 1.1"}
#define WHY_CAM_EIGEN                                                                                                    \
    {"eigen_smooth", WHY_PARAM_BOOL, "false", 0, 0, NULL,                                                                \
     "the first principal component of the weighted channels instead of their sum"}

/* For methods whose sum over channels is a choice; the others have no eigen_smooth. */
#define WHY_CAM_PARAMS WHY_CAM_LAYER, WHY_CAM_RELU, WHY_CAM_AUG, WHY_CAM_EIGEN

#endif
