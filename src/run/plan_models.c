/* Models of the plan: loaded, checked against the fit, the targets and the labels. */
#include <stdlib.h>
#include <string.h>

#include "explain/layers.h"
#include "run/plan_build.h"
#include "run/target.h"

/* The size that a fit gives to every picture; 0 x 0 when it depends on the picture. */
static void fitted_size(const why_fit *f, int *h, int *w) {
    bool exact = f->resize_h > 0 && f->resize_w > 0;
    *h = f->crop ? f->crop : exact ? f->resize_h : 0;
    *w = f->crop ? f->crop : exact ? f->resize_w : 0;
}

static void auto_fit(const why_model_info *info, why_fit *fit) {
    bool square = info->height == info->width;
    *fit =
        (why_fit){.resize_h = info->height, .resize_w = square ? 0 : info->width, .how = WHY_BILINEAR, .crop = square ? info->height : 0};
}

static why_status check_fit(const why_job_model *from, const why_fit *fit, const why_model_info *info) {
    int h, w;
    fitted_size(fit, &h, &w);
    if (h == 0 && (fit->resize_h > 0))
        return why_at(from->at, "model '%s': fit gives pictures of varying size; add crop, or resize: [%d, %d]", from->name, info->height,
                      info->width);
    if (h > 0 && (h != info->height || w != info->width))
        return why_at(from->at, "model '%s': fit gives %d x %d pictures, the model wants %d x %d", from->name, h, w, info->height,
                      info->width);
    return WHY_OK;
}

static why_status load(const why_job_model *from, why_plan_model *m) {
    why_model_options options = {0};
    m->fit = from->fit.fit;
    fitted_size(&m->fit, &options.height, &options.width);
    why_status st = why_model_load(from->file, &options, &m->model);
    if (st) return why_fail_in(st, "model '%s'", from->name);
    const why_model_info *info = why_model_get_info(m->model);
    if (info->channels != 1 && info->channels != 3)
        return why_at(from->at, "model '%s': its input has %d channels; pictures have 1 or 3", from->name, info->channels);
    if (from->fit.kind == WHY_FIT_AUTO) auto_fit(info, &m->fit);
    return check_fit(from, &m->fit, info);
}

static why_status set_texts(why_arena *arena, why_plan_model *m) {
    const why_model_info *info = why_model_get_info(m->model);
    char *preprocess = NULL, *fit = NULL;
    why_buf b = {0};
    why_status st = why_preprocess_canonical(&m->preprocess, &preprocess);
    if (!st) st = why_fit_canonical(&m->fit, &fit);
    if (!st) {
        why_buf_printf(&b, "{\"channels\":%d,\"height\":%d,\"width\":%d,\"fit\":%s}", info->channels, info->height, info->width, fit);
        st = why_plan_text(arena, &b, &m->input_text);
    }
    free(fit);
    if (st) {
        free(preprocess);
        return st;
    }
    WHY_TRY(why_arena_adopt(arena, preprocess, &m->preprocess_text));
    why_buf_text(&b, "model\n");
    why_buf_json(&b, m->name);
    why_buf_printf(&b, "\n%s\n%s\n%s\n", info->sha256, m->preprocess_text, m->input_text);
    return why_plan_uid(arena, &b, &m->uid);
}

static why_status check_targets(const why_job *job, const why_plan_model *m) {
    for (int t = 0; t < job->n_targets; t++) {
        why_status st = why_target_check(job->targets[t].text, why_model_get_info(m->model)->classes);
        if (st) {
            why_fail_in(st, "model '%s'", m->name);
            return why_wrap_at(st, job->targets[t].at);
        }
    }
    return WHY_OK;
}

static why_status check_labels(const why_plan_builder *b, const why_plan_model *m) {
    int classes = why_model_get_info(m->model)->classes;
    for (int i = 0; i < b->plan->n_images; i++)
        if (b->plan->images[i].label >= classes)
            return why_fail(WHY_EJOB, "%s:%d: image '%s' has class %lld, model '%s' has %d classes (0 to %d)", b->job.list,
                            b->manifest.line[i], b->plan->images[i].path, (long long)b->plan->images[i].label, m->name, classes,
                            classes - 1);
    return WHY_OK;
}

static why_status check_layers(const why_job *job, const why_plan_model *m) {
    for (int i = 0; i < job->n_methods; i++) {
        const why_job_method *method = &job->methods[i];
        const char *layer = why_params_has(method->params, "layer") ? why_params_text(method->params, "layer") : "";
        why_layers layers = {0};
        why_status st = *layer ? why_layers_parse(m->model, layer, &layers) : WHY_OK;
        why_layers_clear(&layers);
        if (st) {
            why_fail_in(st, "method '%s', model '%s'", method->name, m->name);
            return why_wrap_at(st, method->at);
        }
    }
    return WHY_OK;
}

why_status why_plan_add_models(why_plan_builder *b) {
    why_plan *p = b->plan;
    WHY_TRY(why_arena_array(p->arena, (size_t)b->job.n_models, sizeof *p->models, &p->models));
    for (int i = 0; i < b->job.n_models; i++) {
        const why_job_model *from = &b->job.models[i];
        why_plan_model *m = &p->models[i];
        *m = (why_plan_model){.id = i + 1, .name = from->name, .file = from->file, .preprocess = from->preprocess};
        p->n_models++;
        WHY_TRY(load(from, m));
        WHY_TRY(set_texts(p->arena, m));
        WHY_TRY(check_targets(&b->job, m));
        WHY_TRY(check_labels(b, m));
        WHY_TRY(check_layers(&b->job, m));
    }
    return WHY_OK;
}
