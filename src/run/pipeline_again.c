/* Explaining again: another picture or class, by a cell's method and with its draws, for the metrics that ask how steady it is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "run/pipeline_image.h"

/* Two metrics that shake the picture alike share its explanation. */
struct why_again_map {
    char sha256[65];
    int class_index;
    float *map, *logits;
    int64_t evaluations;
};

static int outputs_of(const why_again *a) { return why_model_get_info(a->p->plan->models[a->f->model].model)->outputs; }

static size_t pixels_of(const why_again *a) { return (size_t)a->f->rgb.h * (size_t)a->f->rgb.w; }

static const why_again_map *find(const why_again *a, const char *sha256, int class_index) {
    for (size_t i = 0; i < a->n; i++)
        if (a->known[i].class_index == class_index && strcmp(a->known[i].sha256, sha256) == 0) return &a->known[i];
    return NULL;
}

static why_status remember(why_again *a, const char *sha256, int class_index, const why_explanation *e, const float *logits) {
    WHY_TRY(why_grow(&a->known, &a->capacity, a->n + 1, sizeof *a->known, "maps of other pictures"));
    why_again_map *k = &a->known[a->n++];
    *k = (why_again_map){.class_index = class_index, .evaluations = e->evaluations};
    memcpy(k->sha256, sha256, sizeof k->sha256);
    WHY_TRY(why_alloc(pixels_of(a), sizeof *k->map, "map of another picture", &k->map));
    WHY_TRY(why_alloc((size_t)outputs_of(a), sizeof *k->logits, "logits of another picture", &k->logits));
    memcpy(k->map, e->map, pixels_of(a) * sizeof *k->map);
    memcpy(k->logits, logits, (size_t)outputs_of(a) * sizeof *k->logits);
    return WHY_OK;
}

static int predicted(const float *logits, int outputs, int classes) {
    int top = 0;
    for (int c = 1; c < classes; c++)
        if (why_score(logits, outputs, c, WHY_LOGIT) > why_score(logits, outputs, top, WHY_LOGIT)) top = c;
    return top;
}

static why_status explain_subject(const why_again *a, why_subject *s, int class_index, why_explanation *out, float *logits) {
    const why_plan_cell *c = &a->p->plan->cells[a->cell];
    const why_plan_method *m = &a->p->plan->methods[c->method];
    const why_model_info *info = why_model_get_info(a->p->plan->models[a->f->model].model);
    const float *seen;
    WHY_TRY(why_evaluator_original(why_subject_evaluator(s), &seen));
    memcpy(logits, seen, (size_t)info->outputs * sizeof *logits);
    const why_request request = {.subject = s,
                                 .class_index = class_index < 0 ? predicted(logits, info->outputs, info->classes) : class_index,
                                 .output = m->output,
                                 .params = a->p->params[a->cell],
                                 .repeat = c->repeat,
                                 .stream = why_subject_stream(s, c->draw)};
    WHY_TRY(why_explanation_create(a->f->rgb.h, a->f->rgb.w, out));
    WHY_TRY(m->explainer->explain(&request, out));
    out->segments = NULL; /* they end with the subject */
    for (size_t i = 0; i < pixels_of(a); i++)
        if (!isfinite(out->map[i])) return why_fail(WHY_EUNDEFINED, "the map of another picture is not finite at pixel %zu", i);
    return WHY_OK;
}

static why_status explain_picture(const why_again *a, const why_image *picture, int class_index, why_explanation *out, float *logits) {
    why_subject *s;
    const uint64_t key = why_sha256_key(a->picture->sha256); /* of the image: its draws */
    WHY_TRY(why_subject_create(a->p->evaluator[a->f->model], picture, NULL, a->p->plan->seed, key, &s));
    const why_status st = explain_subject(a, s, class_index, out, logits);
    why_subject_destroy(&s);
    return st;
}

static why_status recall(const why_again *a, const why_again_map *known, why_explanation *out, float *logits) {
    WHY_TRY(why_explanation_create(a->f->rgb.h, a->f->rgb.w, out));
    memcpy(out->map, known->map, pixels_of(a) * sizeof *out->map);
    memcpy(logits, known->logits, (size_t)outputs_of(a) * sizeof *logits);
    out->evaluations = known->evaluations;
    return WHY_OK;
}

why_status why_again_explain(void *ctx, const why_image *picture, int class_index, why_explanation *out, float *logits) {
    why_again *a = ctx;
    char sha256[65];
    why_sha256(picture->rgb, 3 * pixels_of(a), sha256);
    const why_again_map *known = find(a, sha256, class_index);
    if (known) return recall(a, known, out, logits);
    why_status st = explain_picture(a, picture, class_index, out, logits);
    if (!st) st = remember(a, sha256, class_index, out, logits);
    if (st) why_explanation_clear(out);
    return st;
}

why_status why_again_start(why_again *a) { return why_evaluator_begin(a->p->evaluator[a->f->model], &a->f->rgb); }

void why_again_clear(why_again *a) {
    for (size_t i = 0; i < a->n; i++) {
        free(a->known[i].map);
        free(a->known[i].logits);
    }
    free(a->known);
    a->known = NULL;
    a->n = a->capacity = 0;
}
