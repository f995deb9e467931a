#include "run/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/pipeline_image.h"

/* ---------------------------------------------------------------- create, destroy */
static why_status create_evaluators(why_pipeline *p) {
    for (int m = 0; m < p->plan->n_models; m++) {
        const why_plan_model *model = &p->plan->models[m];
        p->listed[m] = (why_listed){p->plan, m};
        const why_evaluator_options options = {.model = model->model,
                                               .preprocess = &model->preprocess,
                                               .pool = p->pool,
                                               .max_batch = p->plan->batch,
                                               .gallery = why_gallery_of(&p->listed[m])};
        WHY_TRY(why_evaluator_create(&options, &p->evaluator[m]));
    }
    return WHY_OK;
}

static void find_first_cells(why_pipeline *p) {
    for (int m = 0, c = 0; m <= p->plan->n_models; m++) {
        while (c < p->plan->n_cells && p->plan->cells[c].model < m) c++;
        p->first[m] = c;
    }
}

static why_status fill_pipeline(why_pipeline *p, int threads) {
    const why_plan *plan = p->plan;
    WHY_TRY(why_alloc((size_t)plan->n_models, sizeof *p->evaluator, "pipeline", &p->evaluator));
    WHY_TRY(why_alloc((size_t)plan->n_models + 1, sizeof *p->first, "pipeline", &p->first));
    WHY_TRY(why_alloc((size_t)plan->n_models, sizeof *p->listed, "pipeline", &p->listed));
    WHY_TRY(why_alloc((size_t)plan->n_cells, sizeof *p->params, "pipeline", &p->params));
    WHY_TRY(why_alloc((size_t)plan->n_cells, sizeof *p->cell, "pipeline", &p->cell));
    find_first_cells(p);
    for (int c = 0; c < plan->n_cells; c++) WHY_TRY(why_plan_cell_params(plan, c, &p->params[c]));
    WHY_TRY(why_pool_create(threads, &p->pool));
    return create_evaluators(p);
}

why_status why_pipeline_create(const why_plan *plan, int threads, why_pipeline **out) {
    why_pipeline *p;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *p, "pipeline", &p));
    p->plan = plan;
    why_status st = fill_pipeline(p, threads);
    if (st) why_pipeline_destroy(&p);
    *out = p;
    return st;
}

static void clear_cell(why_cell_state *c) {
    free(c->score);
    free(c->curve);
    why_explanation_clear(&c->e);
    *c = (why_cell_state){0};
}

void why_pipeline_destroy(why_pipeline **out) {
    why_pipeline *p = *out;
    if (!p) return;
    for (int c = 0; p->cell && c < p->plan->n_cells; c++) clear_cell(&p->cell[c]);
    for (int c = 0; p->params && c < p->plan->n_cells; c++) why_params_destroy(&p->params[c]);
    for (int m = 0; p->evaluator && m < p->plan->n_models; m++) why_evaluator_destroy(&p->evaluator[m]);
    why_pool_destroy(&p->pool);
    why_archive_close(&p->archive);
    free(p->cell);
    free(p->params);
    free(p->first);
    free(p->listed);
    free(p->evaluator);
    free(p);
    *out = NULL;
}

/* ---------------------------------------------------------------- what is to do */
static bool bit(const uint64_t *words, size_t n_words, int64_t i) { return (uint64_t)i / 64 < n_words && words[i / 64] >> (i % 64) & 1; }

/* Wanted cells by the database's ids, and the partners that their pairs need. */
static void choose_cells(why_pipeline *p, const why_task *task) {
    const why_plan *plan = p->plan;
    for (int c = 0; c < plan->n_cells; c++) {
        clear_cell(&p->cell[c]);
        p->cell[c].wanted = p->cell[c].needed = bit(task->cells, task->n_words, plan->cells[c].id);
        p->cell[c].twin = c;
        p->cell[c].class_index = -1;
    }
    for (int i = 0; i < plan->n_pairs; i++) {
        why_cell_state *a = &p->cell[plan->pairs[i].a], *b = &p->cell[plan->pairs[i].b];
        if (a->wanted || b->wanted) a->needed = b->needed = true;
    }
}

static bool any_wanted(const why_pipeline *p, int model) {
    for (int c = p->first[model]; c < p->first[model + 1]; c++)
        if (p->cell[c].wanted) return true;
    return false;
}

/* ---------------------------------------------------------------- failures */
bool why_is_fatal(why_status st) { return st == WHY_ENOMEM || st == WHY_EBUG; }

void why_put_failure(int64_t image_id, int64_t cell_id, const char *reason, why_buf *out) {
    const why_row row = {.type = WHY_ROW_FAILURE, .u.failure = {image_id, cell_id, reason}};
    why_record_put(out, &row);
}

static void fail_cells(const why_pipeline *p, const why_picture *picture, int first, int end, const char *error, why_buf *out) {
    for (int c = first; c < end; c++)
        if (p->cell[c].wanted) why_put_failed(p, picture, c, error, out);
}

static void put_image(const why_picture *picture, why_buf *out) {
    const why_row row = {.type = WHY_ROW_IMAGE, .u.image = {picture->listed->id, picture->sha256, picture->rgb.w, picture->rgb.h}};
    if (*picture->sha256) why_record_put(out, &row);
}

/* ---------------------------------------------------------------- one image */
static why_status measure_frame(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) {
    WHY_TRY(why_frame_score(p, picture, f, out));
    WHY_TRY(why_frame_compare(p, picture, f, out));
    return picture->index < p->plan->overlays_first ? why_frame_draw(p, picture, f) : WHY_OK;
}

/* Under one model. What goes wrong before the first explanation fails all of the model's cells. */
static why_status run_model(why_pipeline *p, const why_picture *picture, int model, why_buf *out) {
    why_frame f;
    why_buf name = {0};
    why_status st = why_frame_create(p, picture, model, &f);
    if (!st) {
        st = why_frame_predict(p, picture, &f, out);
        if (!st) {
            st = why_frame_explain(p, picture, &f, out);
            if (!st) st = measure_frame(p, picture, &f, out);
            why_frame_clear(&f);
            return st;
        }
        why_frame_clear(&f);
    }
    if (why_is_fatal(st)) return st;
    char *reason;
    why_buf_printf(&name, "model '%s': %s", p->plan->models[model].name, why_error_text());
    WHY_TRY(why_buf_take(&name, &reason));
    why_put_failure(picture->listed->id, 0, reason, out);
    fail_cells(p, picture, p->first[model], p->first[model + 1], reason, out);
    free(reason);
    return WHY_OK;
}

/* Maps and segments belong to the frame that is gone after each model. */
static void forget_maps(why_pipeline *p, int model) {
    for (int c = p->first[model]; c < p->first[model + 1]; c++) clear_cell(&p->cell[c]);
}

static why_status run_models(why_pipeline *p, const why_picture *picture, why_buf *out) {
    why_status st = WHY_OK;
    for (int m = 0; !st && m < p->plan->n_models; m++) {
        if (any_wanted(p, m)) st = run_model(p, picture, m, out);
        forget_maps(p, m);
    }
    return st;
}

/* A record that says where a map is must not exist before the map does. */
static why_status close_maps(why_pipeline *p, why_status st) {
    if (!p->archive) return st;
    if (!st) return why_archive_commit(p->archive);
    why_archive_rollback(p->archive);
    return st;
}

/* A picture that changes between two runs would mix two experiments in one row. Its hash is then left out of the record. */
static why_status read_picture(const why_task *task, why_picture *out) {
    WHY_TRY(why_picture_read(out->listed, out));
    if (!*task->sha256 || strcmp(task->sha256, out->sha256) == 0) return WHY_OK;
    const why_status st = why_fail(WHY_EFILE, "%s: changed since its first results: sha256 was %s, is %s; 'whypix rerun --image' takes the new one",
                                   out->listed->path, task->sha256, out->sha256);
    *out->sha256 = '\0';
    return st;
}

why_status why_pipeline_image(why_pipeline *p, const why_task *task, why_buf *out) {
    why_picture picture = {.listed = &p->plan->images[task->index], .index = task->index};
    choose_cells(p, task);
    why_status st = read_picture(task, &picture);
    if (st && !why_is_fatal(st)) {
        put_image(&picture, out);
        why_put_failure(picture.listed->id, 0, why_error_text(), out);
        fail_cells(p, &picture, 0, p->plan->n_cells, why_error_text(), out);
        st = WHY_OK;
    } else if (!st) {
        put_image(&picture, out);
        st = run_models(p, &picture, out);
    }
    why_picture_clear(&picture);
    why_record_finish(out);
    return close_maps(p, st ? st : why_buf_status(out));
}
