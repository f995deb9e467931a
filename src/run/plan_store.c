/* The plan's dictionaries in the database, and the ids that they have there. */
#include <string.h>

#include "run/plan.h"
#include "store/store.h"

static why_status put_images(why_plan *p, why_store *s) {
    for (int i = 0; i < p->n_images; i++) {
        why_plan_image *im = &p->images[i];
        why_dict_image row = {im->id, im->uid, im->path, im->label, im->group, im->split, im->mask, im->covars};
        WHY_TRY(why_store_put_image(s, &row));
        im->id = row.id;
    }
    return WHY_OK;
}

static why_status put_models(why_plan *p, why_store *s) {
    for (int i = 0; i < p->n_models; i++) {
        why_plan_model *m = &p->models[i];
        const why_model_info *info = why_model_get_info(m->model);
        why_dict_model row = {m->id,         m->uid,        m->name,          info->sha256, m->preprocess_text,
                              m->input_text, info->classes, info->parameters, info->macs};
        WHY_TRY(why_store_put_model(s, &row));
        m->id = row.id;
    }
    return WHY_OK;
}

static why_status put_methods(why_plan *p, why_store *s) {
    for (int i = 0; i < p->n_methods; i++) {
        why_plan_method *m = &p->methods[i];
        why_dict_method row = {m->id, m->uid, m->name, m->explainer->name, m->canonical};
        WHY_TRY(why_store_put_method(s, &row));
        m->id = row.id;
    }
    return WHY_OK;
}

static why_status put_metrics(why_plan *p, why_store *s) {
    static const char *const better[] = {[WHY_BETTER_HIGH] = "high", [WHY_BETTER_LOW] = "low", [WHY_BETTER_NONE] = "none"};
    for (int i = 0; i < p->n_metrics; i++) {
        why_plan_metric *m = &p->metrics[i];
        const why_metric *t = m->metric;
        why_dict_metric row = {m->id,          m->uid,       t->name,      t->kind == WHY_PAIR ? "pair" : "score",
                               m->policy_text, m->grid_text, m->canonical, better[why_metric_better(t, m->params)],
                               t->lo,          t->hi};
        WHY_TRY(why_store_put_metric(s, &row));
        m->id = row.id;
    }
    return WHY_OK;
}

/* A full cell stands before its prefixes, so its real id is known when theirs is written. */
static why_status put_cells(why_plan *p, why_store *s) {
    for (int i = 0; i < p->n_cells; i++) {
        why_plan_cell *c = &p->cells[i];
        why_dict_cell row = {.id = c->id,
                             .uid = c->uid,
                             .model_id = p->models[c->model].id,
                             .method_id = p->methods[c->method].id,
                             .target = c->target,
                             .repeat = c->repeat,
                             .budget = c->budget,
                             .prefix_of = c->prefix_of >= 0 ? p->cells[c->prefix_of].id : -1,
                             .transform = c->transform,
                             .budget_kind = c->budget_kind};
        WHY_TRY(why_store_put_cell(s, &row));
        c->id = row.id;
    }
    return WHY_OK;
}

static why_status put_all(why_plan *p, why_store *s, int64_t *job_id) {
    *job_id = 1;
    WHY_TRY(why_store_put_job(s, p->uid, p->name, p->yaml, p->sha, job_id));
    WHY_TRY(put_images(p, s));
    WHY_TRY(put_models(p, s));
    WHY_TRY(put_methods(p, s));
    WHY_TRY(put_metrics(p, s));
    return put_cells(p, s);
}

why_status why_plan_sync(why_plan *p, why_store *s, int64_t *job_id) {
    WHY_TRY(why_store_begin(s));
    why_status st = put_all(p, s, job_id);
    if (st) {
        why_store_rollback(s);
        return st;
    }
    return why_store_commit(s);
}

/* ---------------------------------------------------------------- ids as bytes */
/* Calls fn for every id of the plan, in one fixed order. */
typedef void id_fn(void *ctx, int64_t *id);

static void each_id(why_plan *p, id_fn *fn, void *ctx) {
    for (int i = 0; i < p->n_images; i++) fn(ctx, &p->images[i].id);
    for (int i = 0; i < p->n_models; i++) fn(ctx, &p->models[i].id);
    for (int i = 0; i < p->n_methods; i++) fn(ctx, &p->methods[i].id);
    for (int i = 0; i < p->n_metrics; i++) fn(ctx, &p->metrics[i].id);
    for (int i = 0; i < p->n_cells; i++) fn(ctx, &p->cells[i].id);
}

static size_t count_ids(const why_plan *p) {
    return (size_t)p->n_images + (size_t)p->n_models + (size_t)p->n_methods + (size_t)p->n_metrics + (size_t)p->n_cells;
}

static void write_id(void *ctx, int64_t *id) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)*id >> 8 * i);
    why_buf_put(ctx, bytes, sizeof bytes);
}

static void read_id(void *ctx, int64_t *id) {
    const uint8_t **at = ctx;
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)(*at)[i] << 8 * i;
    *id = (int64_t)v;
    *at += 8;
}

void why_plan_ids_write(const why_plan *p, why_buf *b) {
    why_plan copy = *p; /* write_id changes nothing */
    why_buf_put(b, p->sha, 64);
    why_buf_put(b, p->maps_part, sizeof p->maps_part);
    each_id(&copy, write_id, b);
}

why_status why_plan_ids_read(why_plan *p, const uint8_t *bytes, size_t n) {
    if (n < 64 || memcmp(bytes, p->sha, 64) != 0)
        return why_fail(WHY_EPEER, "rank 0 has another plan: its hash is %.12s, ours is %.12s; do all ranks see the same files?",
                        n < 64 ? "cut off" : (const char *)bytes, p->sha);
    const size_t head = 64 + sizeof p->maps_part, want = head + 8 * count_ids(p);
    if (n != want) return why_fail(WHY_EPEER, "ids of the plan: got %zu bytes, want %zu", n, want);
    memcpy(p->maps_part, bytes + 64, sizeof p->maps_part);
    p->maps_part[sizeof p->maps_part - 1] = '\0';
    const uint8_t *at = bytes + head;
    each_id(p, read_id, &at);
    return WHY_OK;
}
