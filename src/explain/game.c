#include "explain/game.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

static why_status find_segments(const why_request *r, const why_segments **out) {
    const char *file = why_params_text(r->params, "segments");
    if (!file[0]) return why_subject_segments(r->subject, why_params_text(r->params, "segmenter"), out);
    why_buf b = {0};
    char *text;
    why_buf_printf(&b, "file(%s)", file);
    WHY_TRY(why_buf_take(&b, &text));
    why_status st = why_subject_segments(r->subject, text, out);
    free(text);
    return st;
}

why_status why_game_open(const why_request *r, why_game *g) {
    *g = (why_game){.r = r};
    WHY_TRY(why_request_check_class(r));
    WHY_TRY(find_segments(r, &g->segments));
    g->players = g->segments->n;
    return why_evaluator_fill(why_subject_evaluator(r->subject), why_params_text(r->params, "fill"), g->segments, &g->fill);
}

/* Coalitions handed to the evaluator at a time: it keeps what it computes, so a second copy of all logits is not needed. */
enum { BLOCK = 512 };

static why_status values_of_block(const why_game *g, const why_masks *m, int first, int n, why_perturbation *p, float *logits,
                                  double *value) {
    why_evaluator *ev = why_subject_evaluator(g->r->subject);
    int outputs = why_model_get_info(why_evaluator_model(ev))->outputs;
    for (int i = 0; i < n; i++)
        p[i] = (why_perturbation){
            .kind = WHY_SHOW_SEGMENTS, .fill = g->fill, .u.segments = {.segments = g->segments, .on = why_masks_row(m, first + i)}};
    WHY_TRY(why_evaluator_run(ev, p, n, logits));
    for (int i = 0; i < n; i++)
        value[first + i] = why_score(logits + (size_t)i * (size_t)outputs, outputs, g->r->class_index, g->r->output);
    return WHY_OK;
}

why_status why_game_values(const why_game *g, const why_masks *m, double *value) {
    int outputs = why_model_get_info(why_evaluator_model(why_subject_evaluator(g->r->subject)))->outputs;
    size_t block = m->n < BLOCK ? (size_t)m->n : BLOCK;
    why_perturbation *p = NULL;
    float *logits = NULL;
    why_status st = why_alloc(block, sizeof *p, "perturbations", &p);
    if (!st) st = why_alloc(block * (size_t)outputs, sizeof *logits, "scores of the masks", &logits);
    for (int i = 0; !st && i < m->n; i += BLOCK) st = values_of_block(g, m, i, m->n - i < BLOCK ? m->n - i : BLOCK, p, logits, value);
    free(p);
    free(logits);
    return st;
}

/* Largest standard error over the range of the values; a constant map has no range to compare with. */
static double relative_error(const double *phi, const double *se, int n) {
    double lo = phi[0], hi = phi[0], worst = se[0];
    for (int i = 1; i < n; i++) {
        lo = fmin(lo, phi[i]);
        hi = fmax(hi, phi[i]);
        worst = fmax(worst, se[i]);
    }
    return hi > lo ? worst / (hi - lo) : NAN;
}

void why_game_finish(const why_game *g, const double *phi, const double *se, why_explanation *out) {
    for (size_t i = 0; i < (size_t)out->h * (size_t)out->w; i++) out->map[i] = (float)phi[g->segments->label[i]];
    if (se) out->se_range = relative_error(phi, se, g->players);
    out->segments = g->segments;
    out->note = g->players < 5 ? "fewer than 5 segments" : why_explanation_zero_note(out);
}
