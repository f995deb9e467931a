/* Predictions and explanations of one image under one model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/npy.h"
#include "run/pipeline_image.h"
#include "run/target.h"

enum { TOP = 5, THUMB = 14 };

/* ---------------------------------------------------------------- predictions */
static void put_prediction(const why_pipeline *p, const why_picture *picture, int model, const float *logits, int rank, int class_index,
                           why_buf *out) {
    int outputs = why_model_get_info(p->plan->models[model].model)->outputs;
    const why_row row = {.type = WHY_ROW_PREDICTION,
                         .u.prediction = {picture->listed->id, p->plan->models[model].id, rank, class_index,
                                          why_score(logits, outputs, class_index, WHY_LOGIT),
                                          why_score(logits, outputs, class_index, WHY_PROBABILITY)}};
    why_record_put(out, &row);
}

/* A target that this image does not have leaves -1 and the reason: the cell fails, the image does not. */
static void choose_classes(why_pipeline *p, const why_picture *picture, int model, const int *order, int classes) {
    for (int c = p->first[model]; c < p->first[model + 1]; c++) {
        why_cell_state *s = &p->cell[c];
        if (why_target_class(p->plan->cells[c].target, order, classes, picture->listed->label, &s->class_index)) {
            s->class_index = -1;
            snprintf(s->no_class, sizeof s->no_class, "%s", why_error_text());
        }
    }
}

static why_status predict(why_pipeline *p, const why_picture *picture, int model, const float *logits, int *order, why_buf *out) {
    const why_model_info *info = why_model_get_info(p->plan->models[model].model);
    for (int i = 0; i < info->outputs; i++)
        if (!isfinite(logits[i])) return why_fail(WHY_EUNDEFINED, "logit %d of the picture is not finite", i);
    why_class_order(logits, info->outputs, info->classes, order);
    if (picture->listed->label >= 0) put_prediction(p, picture, model, logits, -1, (int)picture->listed->label, out);
    for (int r = 0; r < TOP && r < info->classes; r++) put_prediction(p, picture, model, logits, r, order[r], out);
    choose_classes(p, picture, model, order, info->classes);
    return WHY_OK;
}

why_status why_frame_predict(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) {
    const float *logits;
    int *order;
    WHY_TRY(why_evaluator_original(p->evaluator[f->model], &logits));
    WHY_TRY(why_alloc((size_t)why_model_get_info(p->plan->models[f->model].model)->classes, sizeof *order, "class order", &order));
    why_status st = predict(p, picture, f->model, logits, order, out);
    free(order);
    return st;
}

/* ---------------------------------------------------------------- one explanation */
static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Equal targets of one image need no second explanation: its draws are named by method and repeat, not by target. */
static int find_twin(const why_pipeline *p, int model, int cell) {
    const why_plan_cell *c = &p->plan->cells[cell];
    for (int i = p->first[model]; i < cell; i++) {
        const why_plan_cell *o = &p->plan->cells[i];
        if (o->method == c->method && o->repeat == c->repeat && o->budget == c->budget && p->cell[i].done && p->cell[i].twin == i &&
            p->cell[i].class_index == p->cell[cell].class_index)
            return i;
    }
    return cell;
}

static why_status check_map(const why_explanation *e) {
    for (size_t i = 0; i < (size_t)e->h * (size_t)e->w; i++)
        if (!isfinite(e->map[i])) return why_fail(WHY_EUNDEFINED, "the map is not finite at pixel %zu", i);
    return WHY_OK;
}

static why_status explain(why_pipeline *p, const why_frame *f, int cell) {
    const why_plan_cell *c = &p->plan->cells[cell];
    const why_plan_method *m = &p->plan->methods[c->method];
    why_cell_state *s = &p->cell[cell];
    const why_request request = {.subject = f->subject,
                                 .class_index = s->class_index,
                                 .output = m->output,
                                 .params = p->params[cell],
                                 .repeat = c->repeat,
                                 .stream = why_subject_stream(f->subject, c->draw)};
    WHY_TRY(why_explanation_create(f->rgb.h, f->rgb.w, &s->e));
    WHY_TRY(m->explainer->explain(&request, &s->e));
    return check_map(&s->e);
}

/* Why this cell cannot have a map for this image, which is nobody's fault; or NULL. */
static const char *excuse(const why_pipeline *p, const why_frame *f, int cell) {
    const why_explainer *e = p->plan->methods[p->plan->cells[cell].method].explainer;
    if (p->cell[cell].class_index < 0) return p->cell[cell].no_class;
    if ((e->flags & WHY_USES_MASK) && !f->mask) return "the image list gives no mask for this image";
    return NULL;
}

/* ---------------------------------------------------------------- rows */
/* Of a contrast, the class that is explained; what it is set against is in the cell's target. */
static int explained_class(const why_pipeline *p, int cell) {
    const why_plan_model *m = &p->plan->models[p->plan->cells[cell].model];
    int a, b;
    why_contrast_parts(why_model_get_info(m->model)->classes, p->cell[cell].class_index, &a, &b);
    return a;
}

void why_put_failed(const why_pipeline *p, const why_picture *picture, int cell, const char *error, why_buf *out) {
    const why_row row = {.type = WHY_ROW_EXPLANATION,
                         .u.explanation = {.image_id = picture->listed->id,
                                           .cell_id = p->plan->cells[cell].id,
                                           .class_index = explained_class(p, cell),
                                           .status = "failed",
                                           .fit = NAN,
                                           .residual = NAN,
                                           .se_range = NAN,
                                           .vmin = NAN,
                                           .vmax = NAN,
                                           .map = "",
                                           .map_sha256 = "",
                                           .error = error}};
    why_record_put(out, &row);
}

/* 14 x 14 area means of the unnormalised map, little-endian floats. */
static why_status make_thumb(const why_explanation *e, uint8_t thumb[THUMB * THUMB * 4]) {
    static const why_grid grid = {WHY_GRID_CELLS, THUMB, THUMB};
    why_field field;
    WHY_TRY(why_field_make(e->map, e->h, e->w, NULL, WHY_SIGNED, &grid, NULL, &field));
    for (int i = 0; i < THUMB * THUMB; i++) {
        uint32_t bits;
        memcpy(&bits, &field.v[i], sizeof bits);
        for (int k = 0; k < 4; k++) thumb[4 * i + k] = (uint8_t)(bits >> 8 * k);
    }
    why_field_clear(&field);
    return WHY_OK;
}

static why_status write_map_file(const why_pipeline *p, const char *name, const uint8_t *bytes, size_t size) {
    why_buf b = {0};
    char *path;
    why_buf_printf(&b, "%s/%s", p->plan->maps_dir, name);
    WHY_TRY(why_buf_take(&b, &path));
    why_status st = why_make_dirs_for(path);
    if (!st) st = why_write_file(path, bytes, size);
    free(path);
    return st;
}

static why_status open_archive(why_pipeline *p) {
    const char *part = *p->plan->maps_part ? p->plan->maps_part : "maps";
    why_buf b = {0};
    char *path;
    why_buf_printf(&b, "%s/%s.sqlar", p->plan->maps_dir, part);
    WHY_TRY(why_buf_take(&b, &path));
    why_status st = why_make_dirs_for(path);
    if (!st) st = why_archive_open(path, &p->archive);
    free(path);
    return st;
}

static why_status keep_map(why_pipeline *p, const char *name, const uint8_t *bytes, size_t size) {
    if (!p->plan->maps_dir) return WHY_OK;
    if (!p->plan->archive) return write_map_file(p, name, bytes, size);
    if (!p->archive) WHY_TRY(open_archive(p));
    return why_archive_put(p->archive, name, bytes, size);
}

/* Hash the .npy bytes, and keep them when the job asks for maps: <image>/<cell>.npy, a file or an archive's entry. */
static why_status save_map(why_pipeline *p, const why_explanation *e, const float *map, const char *name, char sha256[65]) {
    const why_shape shape = {.rank = 2, .dim = {e->h, e->w}};
    uint8_t *bytes;
    size_t size;
    WHY_TRY(why_npy_bytes_f32(&shape, map, &bytes, &size));
    why_sha256(bytes, size, sha256);
    const why_status st = keep_map(p, name, bytes, size);
    free(bytes);
    return st;
}

/* The standard errors beside the map: <image>/<cell>-se.npy. Leaves "" in `name` when there are none or no maps are kept. */
static why_status save_errors(why_pipeline *p, const why_explanation *e, int64_t image_id, int64_t cell_id, char name[64]) {
    char sha256[65];
    name[0] = 0;
    if (!e->se || !p->plan->maps_dir) return WHY_OK;
    snprintf(name, 64, "%lld/%lld-se.npy", (long long)image_id, (long long)cell_id);
    return save_map(p, e, e->se, name, sha256);
}

static why_status put_done(why_pipeline *p, const why_picture *picture, int cell, why_buf *out) {
    const why_explanation *e = why_map_of(p, cell);
    const why_cell_state *s = &p->cell[cell];
    int64_t image_id = picture->listed->id, cell_id = p->plan->cells[cell].id;
    char name[64], errors[64], sha256[65];
    uint8_t thumb[THUMB * THUMB * 4];
    float lo = e->map[0], hi = e->map[0];
    for (size_t i = 1; i < (size_t)e->h * (size_t)e->w; i++) {
        if (e->map[i] < lo) lo = e->map[i];
        if (e->map[i] > hi) hi = e->map[i];
    }
    snprintf(name, sizeof name, "%lld/%lld.npy", (long long)image_id, (long long)cell_id);
    WHY_TRY(save_map(p, e, e->map, name, sha256));
    WHY_TRY(save_errors(p, e, image_id, cell_id, errors));
    WHY_TRY(make_thumb(e, thumb));
    const why_row row = {.type = WHY_ROW_EXPLANATION,
                         .u.explanation = {.image_id = image_id,
                                           .cell_id = cell_id,
                                           .class_index = explained_class(p, cell),
                                           .status = "done",
                                           .evaluations = e->evaluations,
                                           .fit = e->fit,
                                           .residual = e->residual,
                                           .se_range = e->se_range,
                                           .ess = e->ess,
                                           .stop = e->stop,
                                           .vmin = lo,
                                           .vmax = hi,
                                           .map = p->plan->maps_dir ? name : "",
                                           .map_sha256 = sha256,
                                           .se_map = errors,
                                           .thumb = thumb,
                                           .thumb_size = sizeof thumb,
                                           .error = e->note ? e->note : ""}};
    why_record_put(out, &row);
    const why_row timing = {.type = WHY_ROW_TIMING, .u.timing = {why_explanation_id(image_id, cell_id), s->wall, s->cpu}};
    why_record_put(out, &timing);
    return WHY_OK;
}

/* ---------------------------------------------------------------- all cells of the model */
static why_status explain_timed(why_pipeline *p, const why_frame *f, int cell) {
    why_cell_state *s = &p->cell[cell];
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    s->twin = find_twin(p, f->model, cell);
    why_status st = s->twin == cell ? explain(p, f, cell) : WHY_OK;
    s->wall = seconds(CLOCK_MONOTONIC) - wall;
    s->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    s->done = st == WHY_OK;
    return st;
}

static why_status run_cell(why_pipeline *p, const why_picture *picture, const why_frame *f, int cell, why_buf *out) {
    const char *reason = excuse(p, f, cell);
    bool wanted = p->cell[cell].wanted;
    if (reason) {
        if (wanted) why_put_failed(p, picture, cell, reason, out);
        return WHY_OK;
    }
    why_status st = explain_timed(p, f, cell);
    if (why_is_fatal(st)) return st;
    if (!wanted) return WHY_OK;
    if (!st) return put_done(p, picture, cell, out);
    why_put_failed(p, picture, cell, why_error_text(), out);
    why_put_failure(picture->listed->id, p->plan->cells[cell].id, why_error_text(), out);
    return WHY_OK;
}

/* A full cell stands before its budget prefixes, so that these find their scores in the evaluator's cache. */
why_status why_frame_explain(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) {
    for (int c = p->first[f->model]; c < p->first[f->model + 1]; c++)
        if (p->cell[c].needed) WHY_TRY(run_cell(p, picture, f, c, out));
    return WHY_OK;
}
