/* Metrics of the plan: pair metrics for each policy and grid, scores for each fill; and what all of it costs. */
#include <stdlib.h>
#include <string.h>

#include "run/plan_build.h"

/* JSON of the parameters plus what else tells this row from its siblings. */
static why_status set_canonical(why_arena *arena, why_plan_metric *m, const char *segments) {
    char *json;
    why_buf b = {0};
    WHY_TRY(why_params_canonical(m->params, &json));
    why_buf_put(&b, json, strlen(json) - 1);
    free(json);
    if (m->fill) {
        why_buf_text(&b, b.size > 1 ? ",\"fill\":" : "\"fill\":");
        why_buf_json(&b, m->fill);
    }
    if (segments) {
        why_buf_text(&b, b.size > 1 ? ",\"segments\":" : "\"segments\":");
        why_buf_json(&b, segments);
    }
    why_buf_text(&b, "}");
    return why_plan_text(arena, &b, &m->canonical);
}

static why_status finish_metric(why_plan *p, why_plan_metric *m, const why_params *params, const char *segments) {
    why_buf b = {0};
    WHY_TRY(why_params_copy(params, &m->params));
    p->n_metrics++;
    WHY_TRY(set_canonical(p->arena, m, segments));
    why_buf_printf(&b, "metric\n%s\n%s\n%s\n%s\n", m->metric->name, m->policy_text ? m->policy_text : "", m->grid_text ? m->grid_text : "",
                   m->canonical);
    return why_plan_uid(p->arena, &b, &m->uid);
}

static why_status add_agreement(why_plan_builder *b, const why_job_metric *from) {
    why_plan *p = b->plan;
    for (int i = 0; i < b->job.n_policies; i++)
        for (int g = 0; g < b->job.n_grids; g++) {
            const why_job_grid *grid = &b->job.grids[g];
            if (!why_metric_suits(from->metric, b->job.policies[i], &grid->grid)) continue;
            why_plan_metric *m = &p->metrics[p->n_metrics];
            *m = (why_plan_metric){.id = p->n_metrics + 1,
                                   .metric = from->metric,
                                   .policy = b->job.policies[i],
                                   .grid = grid->grid,
                                   .policy_text = why_policy_name(b->job.policies[i]),
                                   .grid_text = grid->text};
            WHY_TRY(finish_metric(p, m, from->params, grid->grid.kind == WHY_GRID_SEGMENTS ? p->segments_spec : NULL));
        }
    return WHY_OK;
}

static why_status add_score(why_plan *p, const why_job_metric *from, const char *fill) {
    why_plan_metric *m = &p->metrics[p->n_metrics];
    *m = (why_plan_metric){.id = p->n_metrics + 1, .metric = from->metric, .fill = fill};
    return finish_metric(p, m, from->params, NULL);
}

static why_status add_scores(why_plan_builder *b, const why_job_metric *from) {
    const char *fill = NULL;
    if (!(from->metric->flags & WHY_METRIC_FILL)) return add_score(b->plan, from, NULL);
    for (int f = 0; f < b->job.n_fills; f++) WHY_TRY(add_score(b->plan, from, b->job.fills[f]));
    if (b->job.n_fills) return WHY_OK;
    char *canonical;
    WHY_TRY(why_fill_canonical(from->metric->fill, &canonical));
    WHY_TRY(why_arena_adopt(b->plan->arena, canonical, &fill));
    return add_score(b->plan, from, fill);
}

why_status why_plan_add_metrics(why_plan_builder *b) {
    const why_job *job = &b->job;
    size_t fills = job->n_fills ? (size_t)job->n_fills : 1;
    size_t most = (size_t)job->n_agreement * (size_t)job->n_policies * (size_t)job->n_grids + (size_t)job->n_scores * fills;
    WHY_TRY(why_arena_array(b->plan->arena, most, sizeof *b->plan->metrics, &b->plan->metrics));
    for (int i = 0; i < job->n_agreement; i++) WHY_TRY(add_agreement(b, &job->agreement[i]));
    for (int i = 0; i < job->n_scores; i++) WHY_TRY(add_scores(b, &job->scores[i]));
    return WHY_OK;
}

bool why_plan_scores(const why_plan *p, int cell, int metric) {
    const why_metric *m = p->metrics[metric].metric;
    if (m->kind != WHY_SCORE) return false;
    return !m->evaluations || (p->cells[cell].repeat == 0 && p->cells[cell].budget < 0);
}

/* ---------------------------------------------------------------- cost */
static int64_t explain_forwards(const why_plan *p, int cell) {
    const why_plan_cell *c = &p->cells[cell];
    const why_plan_method *m = &p->methods[c->method];
    const why_model_info *info = why_model_get_info(p->models[c->model].model);
    why_params *params;
    if (why_plan_cell_params(p, cell, &params)) return 0;
    int64_t n = m->explainer->evaluations ? m->explainer->evaluations(params, info->height, info->width, 0) : 0;
    why_params_destroy(&params);
    return n;
}

/* Is there a cell before this one that differs in the target only? Where both name one class, all of it is shared. */
static bool has_twin(const why_plan *p, int cell) {
    const why_plan_cell *c = &p->cells[cell];
    for (int i = 0; i < cell; i++)
        if (p->cells[i].model == c->model && p->cells[i].method == c->method && p->cells[i].repeat == c->repeat &&
            p->cells[i].budget == c->budget)
            return true;
    return false;
}

static int64_t score_forwards(const why_plan *p, int cell, const why_plan_metric *m) {
    const why_model_info *info = why_model_get_info(p->models[p->cells[cell].model].model);
    return m->metric->evaluations ? m->metric->evaluations(m->params, info->height, info->width) : 0;
}

static void cost_of_cell(const why_plan *p, int cell, why_plan_cost *c) {
    const int64_t explained = explain_forwards(p, cell);
    int64_t n = explained, kept = 0;
    const bool twin = has_twin(p, cell);
    if (!twin && p->cells[cell].prefix_of < 0) kept = n; /* a prefix finds its samples in the cache */
    c->explanations++;
    for (int m = 0; m < p->n_metrics; m++) {
        if (!why_plan_scores(p, cell, m)) continue;
        int64_t more = score_forwards(p, cell, &p->metrics[m]);
        c->scores++;
        if (p->metrics[m].metric->flags & WHY_METRIC_CURVE) c->curve_points += more;
        if (p->metrics[m].metric->flags & WHY_METRIC_EXPLAINS) more *= explained + 1; /* and the picture as it is */
        n += more;
        if (!twin) kept += more;
    }
    c->forwards += n;
    c->shared_forwards += n - kept;
    c->macs += (double)kept * (double)why_model_get_info(p->models[p->cells[cell].model].model)->macs;
}

/* Bytes per row as measured on databases of this schema, indices included. A summary has its histogram and its exact
 * sums, for all images, the rightly and the wrongly classified ones. */
enum {
    EXPLANATION_BYTES = 1100,
    PAIR_BYTES = 43,
    SCORE_BYTES = 29,
    CURVE_BYTES = 45,
    PREDICTION_BYTES = 30,
    IMAGE_BYTES = 260,
    SUMMARY_BYTES = 4700,
    STRATA = 3
};

void why_plan_cost_of(const why_plan *p, why_plan_cost *out) {
    int64_t pair_metrics = 0;
    *out = (why_plan_cost){0};
    for (int i = 0; i < p->n_cells; i++) cost_of_cell(p, i, out);
    for (int m = 0; m < p->n_metrics; m++) pair_metrics += p->metrics[m].metric->kind == WHY_PAIR;
    out->pairs = (int64_t)p->n_pairs * pair_metrics;
    for (int i = 0; i < p->n_models; i++) {
        int classes = why_model_get_info(p->models[i].model)->classes;
        out->predictions += (classes < 5 ? classes : 5) + 1;
    }
    out->bytes = IMAGE_BYTES + EXPLANATION_BYTES * out->explanations + PAIR_BYTES * out->pairs + SCORE_BYTES * out->scores +
                 CURVE_BYTES * out->curve_points + PREDICTION_BYTES * out->predictions;
    out->fixed_bytes = (out->pairs + out->scores) * STRATA * SUMMARY_BYTES;
}
