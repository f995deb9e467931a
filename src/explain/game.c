#include "explain/game.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

/* What the segments are made by. */
static why_status source_of_segments(const why_request *r, char **text) {
    const char *file = why_params_text(r->params, "segments");
    why_buf b = {0};
    if (file[0]) why_buf_printf(&b, "file(%s)", file);
    else why_buf_text(&b, why_params_text(r->params, "segmenter"));
    return why_buf_take(&b, text);
}

static why_status find_segments(const why_request *r, const why_segments **out) {
    char *text;
    WHY_TRY(source_of_segments(r, &text));
    const why_status st = why_subject_segments(r->subject, text, out);
    free(text);
    return st;
}

/* Of the labels themselves: two texts that make the same segments share their draws. */
why_stream why_game_shared_stream(const why_game *g) {
    const why_segments *s = g->segments;
    const size_t pixels = (size_t)s->h * (size_t)s->w;
    char sha[65], use[128];
    why_sha256(s->label, pixels * sizeof *s->label, sha);
    snprintf(use, sizeof use, "coalitions of %s#%d", sha, g->r->repeat);
    return why_subject_stream(g->r->subject, use);
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

why_status why_game_values_of(const why_game *g, const why_masks *m, int first, int end, double *value) {
    int outputs = why_model_get_info(why_evaluator_model(why_subject_evaluator(g->r->subject)))->outputs;
    size_t block = end - first < BLOCK ? (size_t)(end - first) : BLOCK;
    why_perturbation *p = NULL;
    float *logits = NULL;
    why_status st = why_alloc(block, sizeof *p, "perturbations", &p);
    if (!st) st = why_alloc(block * (size_t)outputs, sizeof *logits, "scores of the masks", &logits);
    for (int i = first; !st && i < end; i += BLOCK) st = values_of_block(g, m, i, end - i < BLOCK ? end - i : BLOCK, p, logits, value);
    free(p);
    free(logits);
    return st;
}

why_status why_game_values(const why_game *g, const why_masks *m, double *value) { return why_game_values_of(g, m, 0, m->n, value); }

double why_game_se_range(const double *phi, const double *se, int n) {
    double lo = phi[0], hi = phi[0], worst = se[0];
    for (int i = 1; i < n; i++) {
        lo = fmin(lo, phi[i]);
        hi = fmax(hi, phi[i]);
        worst = fmax(worst, se[i]);
    }
    return hi > lo ? worst / (hi - lo) : NAN;
}

static void paint(const why_game *g, const double *value, size_t pixels, float *map) {
    for (size_t i = 0; i < pixels; i++) map[i] = (float)value[g->segments->label[i]];
}

why_status why_game_finish(const why_game *g, const double *phi, const double *se, why_explanation *out) {
    const size_t pixels = (size_t)out->h * (size_t)out->w;
    paint(g, phi, pixels, out->map);
    if (se && isfinite(se[0])) {
        WHY_TRY(why_alloc(pixels, sizeof *out->se, "standard errors", &out->se));
        paint(g, se, pixels, out->se);
        out->se_range = why_game_se_range(phi, se, g->players);
    }
    out->segments = g->segments;
    out->note = g->players < 5 ? "fewer than 5 segments" : why_explanation_zero_note(out);
    return WHY_OK;
}
