/* What metrics that ask the model share: the score of a class, the fill, and walks along an order of the pixels. */
#ifndef WHYPIX_METRIC_PROBE_H
#define WHYPIX_METRIC_PROBE_H

#include "whypix/metric.h"

/* Reasons for undefined values. */
extern const char why_not_finite[], why_score_too_small[];
#define WHY_LEAST_SCORE 1e-4 /* below it a relative change of the score says nothing */

/* Every score function begins with it: no evaluations yet; WHY_EBUG when the map has another size than the image. */
why_status why_probe_begin(why_score_input *in) WHY_MUST_USE;
/* The fill that the job names, else `initial`. */
why_status why_probe_fill(const why_score_input *in, const char *initial, const why_fill **fill) WHY_MUST_USE;
int why_probe_outputs(const why_score_input *in);
double why_probe_score(const why_score_input *in, const float *logits);
/* The score of the image as it is. */
why_status why_probe_whole(const why_score_input *in, double *y) WHY_MUST_USE;
/* Scores of n perturbations, and the class's logits (logit may be NULL). */
why_status why_probe_run(why_score_input *in, const why_perturbation *p, int n, double *y, double *logit) WHY_MUST_USE;

/* A walk: pixels change sides, from shown to hidden or back, in an order; the score is read at some points. Arrays are owned. */
typedef struct why_walk {
    int n;          /* pixels */
    int32_t *order; /* who changes sides first */
    int points;
    int32_t *count; /* of each point: how many have changed sides; not falling */
    double *y;      /* of each point: the score */
    double *logit;  /* and the class's logit */
} why_walk;

/* Parameters of walks, for a metric's table: the value that orders, and which end comes first. */
#define WHY_WALK_PARAMS                                                                                                      \
    {"order", WHY_PARAM_CHOICE, "signed", 0, 0, "signed|absolute", "order by the value, or by its magnitude"},               \
    {"first", WHY_PARAM_CHOICE, "most", 0, 0, "most|least", "begin with the most relevant pixels, or with the least relevant"}

/* Pixel by pixel. Ties are broken by the stream, so that index order manufactures nothing; first: least is exactly the way back.
 * Parameters that the table lacks are at their defaults. `w` needs no initialisation and may be cleared after a failure. */
why_status why_walk_pixels(const why_score_input *in, const why_params *p, why_walk *w) WHY_MUST_USE;
/* Region by region, by the mean of their values; makes regions + 1 points, at the end of each. label: 0 .. regions - 1. */
why_status why_walk_regions(const why_score_input *in, const why_params *p, const int32_t *label, int regions, why_walk *w) WHY_MUST_USE;
/* The points: every `step` pixels from 0 to all of them; or at shares of the pixels, 0 not included. */
why_status why_walk_steps(why_walk *w, int step) WHY_MUST_USE;
why_status why_walk_shares(why_walk *w, const double *share, int n) WHY_MUST_USE;
int why_walk_steps_of(int n, int step); /* how many points that makes */
/* The same order backwards; before it has points. */
void why_walk_turn(why_walk *w);
/* Read the scores: of pixels hidden from the whole image, or shown on the fill. */
why_status why_walk_hide(why_score_input *in, const why_fill *fill, why_walk *w) WHY_MUST_USE;
why_status why_walk_show(why_score_input *in, const why_fill *fill, why_walk *w) WHY_MUST_USE;
/* Hand the points over as a curve. */
void why_walk_hand(const why_score_input *in, const why_walk *w);
bool why_walk_is_finite(const why_walk *w);
void why_walk_clear(why_walk *w);

#endif
