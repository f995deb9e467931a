/* The segments of a picture as players of a game: a coalition shows its segments, the fill hides the others, and the
 * score of the class is what the coalition is worth. LIME and the Shapley explainers over segments play it. */
#ifndef WHYPIX_EXPLAIN_GAME_H
#define WHYPIX_EXPLAIN_GAME_H

#include "explain/explainer.h"
#include "explain/masks.h"

typedef struct why_game {
    const why_request *r;
    const why_segments *segments; /* the players; a view into the subject */
    const why_fill *fill;
    int players;
} why_game;

/* Parameters that why_game_open reads, with an explainer's own defaults. */
/* clang-format off */
#define WHY_GAME_PARAMS(segmenter_text, fill_text) \
    {"segmenter", WHY_PARAM_TEXT, segmenter_text, 0, 0, NULL, "how the picture is cut, e.g. slic(n_segments=50)"}, \
    {"fill", WHY_PARAM_TEXT, fill_text, 0, 0, NULL, "what hidden segments show, e.g. blur(16,16) or black"}, \
    {"segments", WHY_PARAM_TEXT, "", 0, 0, NULL, "H x W labels from an .npy file instead of the segmenter"}
#define WHY_SHARED_PARAM \
    {"coalitions", WHY_PARAM_CHOICE, "own", 0, 0, "own|shared", \
     "shared: the draws, and so the evaluations, of all explainers that say so and have the same segments and fill, reweighted"}
/* clang-format on */

/* The stream of the draws that explainers share: of (job seed, image, segments, repeat). */
why_stream why_game_shared_stream(const why_game *g);
/* Checks the class and reads the parameters "segmenter", "segments" and "fill". Nothing is owned. */
why_status why_game_open(const why_request *r, why_game *g) WHY_MUST_USE;
/* value[i]: score of the class under coalition i. */
why_status why_game_values(const why_game *g, const why_masks *coalitions, double *value) WHY_MUST_USE;
/* The same for coalitions `first` to `end` - 1 only. */
why_status why_game_values_of(const why_game *g, const why_masks *coalitions, int first, int end, double *value) WHY_MUST_USE;
/* Largest of n standard errors over the range of the values; NAN for a constant map, which has no range to compare with. */
double why_game_se_range(const double *phi, const double *se, int n);
/* The map is phi[segment] (one per player); segments, notes and, where se (may be NULL) has standard errors, these as a map
 * and se_range. */
why_status why_game_finish(const why_game *g, const double *phi, const double *se, why_explanation *out) WHY_MUST_USE;

#endif
