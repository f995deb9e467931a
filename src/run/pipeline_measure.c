/* Scores of each map, and agreement of each pair of maps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/pipeline_image.h"

/* ---------------------------------------------------------------- scores */
struct curve_sink {
    why_cell_state *cell;
    int metric;
    why_status st;
};

static double finite_or_nan(double v) { return isfinite(v) ? v : NAN; }

static void take_point(void *ctx, int step, double x, double y, double logit) {
    struct curve_sink *sink = ctx;
    why_cell_state *c = sink->cell;
    if (!sink->st) sink->st = why_grow(&c->curve, &c->curve_capacity, c->n_curve + 1, sizeof *c->curve, "curve");
    if (!sink->st) c->curve[c->n_curve++] = (why_curve_point){sink->metric, step, x, finite_or_nan(y), finite_or_nan(logit)};
}

/* Ties and draws of scores belong to the cell's draws. Not to the target: equal maps get equal scores. Not to the metric: curves
 * that hide the same pixels ask for the same pictures, which are computed once. */
static why_status score_stream(const why_pipeline *p, const why_frame *f, int cell, why_stream *out) {
    char *use;
    why_buf b = {0};
    why_buf_printf(&b, "scores of %s", p->plan->cells[cell].draw);
    WHY_TRY(why_buf_take(&b, &use));
    *out = why_subject_stream(f->subject, use);
    free(use);
    return WHY_OK;
}

/* again: for metrics that explain. */
static why_status score_once(why_pipeline *p, const why_frame *f, int cell, int metric, why_again *again, why_value *value,
                             int64_t *evaluations) {
    const why_plan_metric *m = &p->plan->metrics[metric];
    const why_plan_method *method = &p->plan->methods[p->plan->cells[cell].method];
    why_cell_state *s = &p->cell[cell];
    struct curve_sink sink = {s, metric, WHY_OK};
    why_score_input in = {.subject = f->subject,
                          .class_index = s->class_index,
                          .output = m->metric->flags & WHY_METRIC_OWN_OUTPUT ? method->output : WHY_PROBABILITY,
                          .explanation = why_map_of(p, cell),
                          .fill = m->fill,
                          .curve = take_point,
                          .curve_ctx = &sink,
                          .explain = method->explainer->flags & WHY_CONTROL ? NULL : why_again_explain,
                          .explain_ctx = again};
    WHY_TRY(score_stream(p, f, cell, &in.stream));
    WHY_TRY(m->metric->score(&in, m->params, value));
    *evaluations = in.evaluations;
    return sink.st;
}

/* Which metrics: those that look at the picture as it is come first, then those that have others explained. */
enum pass { AS_IT_IS, AGAIN, PASSES };

static bool is_due(const why_pipeline *p, int cell, int metric, enum pass pass) {
    const bool explains = p->plan->metrics[metric].metric->flags & WHY_METRIC_EXPLAINS;
    return why_plan_scores(p->plan, cell, metric) && explains == (pass == AGAIN);
}

/* A metric that fails has no value for this map; the failure is told, and the other metrics go on. */
static why_status score_metric(const why_picture *picture, const why_frame *f, int metric, why_again *again, why_buf *out) {
    why_pipeline *p = again->p;
    why_cell_state *s = &p->cell[again->cell];
    why_value value = {.value = NAN};
    int64_t evaluations = 0;
    const size_t points = s->n_curve;
    const why_status st = score_once(p, f, again->cell, metric, again, &value, &evaluations);
    if (why_is_fatal(st)) return st;
    if (st) {
        why_put_failure(picture->listed->id, p->plan->cells[again->cell].id, why_error_text(), out);
        value = (why_value){.value = NAN, .why = "the metric failed"};
        s->n_curve = points;
    }
    if (!value.why && !isfinite(value.value)) value = (why_value){.value = NAN, .why = "not finite"};
    WHY_TRY(why_grow(&s->score, &s->score_capacity, s->n_scores + 1, sizeof *s->score, "scores"));
    s->score[s->n_scores++] = (why_cell_score){metric, value, evaluations};
    return WHY_OK;
}

static why_status score_cell(why_pipeline *p, const why_picture *picture, const why_frame *f, int cell, enum pass pass, why_buf *out) {
    why_again again = {.p = p, .picture = picture, .f = f, .cell = cell};
    why_status st = WHY_OK;
    for (int m = 0; !st && m < p->plan->n_metrics; m++) {
        if (!is_due(p, cell, m, pass)) continue;
        if (pass == AGAIN) st = why_again_start(&again);
        if (!st) st = score_metric(picture, f, m, &again, out);
    }
    why_again_clear(&again);
    return st;
}

static void put_scores(const why_pipeline *p, const why_picture *picture, int cell, const why_cell_state *from, why_buf *out) {
    int64_t id = why_explanation_id(picture->listed->id, p->plan->cells[cell].id);
    for (size_t i = 0; i < from->n_scores; i++) {
        const why_cell_score *s = &from->score[i];
        const double value = s->value.why ? NAN : s->value.value;
        const why_row row = {.type = WHY_ROW_SCORE,
                             .u.score = {id, p->plan->metrics[s->metric].id, value, s->value.why, s->evaluations}};
        why_record_put(out, &row);
    }
    for (size_t i = 0; i < from->n_curve; i++) {
        const why_curve_point *c = &from->curve[i];
        const why_row row = {.type = WHY_ROW_CURVE, .u.curve = {id, p->plan->metrics[c->metric].id, c->step, c->x, c->y, c->logit}};
        why_record_put(out, &row);
    }
}

/* The cell whose scores are these, too: the twin, when it is scored. */
static int scorer_of(const why_pipeline *p, int cell) { return p->cell[p->cell[cell].twin].wanted ? p->cell[cell].twin : cell; }

static bool has_rows(const why_pipeline *p, int cell) { return p->cell[cell].wanted && p->cell[cell].done; }

static bool explains_again(const why_plan *plan) {
    for (int m = 0; m < plan->n_metrics; m++)
        if (plan->metrics[m].metric->flags & WHY_METRIC_EXPLAINS) return true;
    return false;
}

why_status why_frame_score(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) {
    const int first = p->first[f->model], end = p->first[f->model + 1];
    for (enum pass pass = AS_IT_IS; pass < PASSES; pass++)
        for (int c = first; c < end; c++)
            if (has_rows(p, c) && scorer_of(p, c) == c) WHY_TRY(score_cell(p, picture, f, c, pass, out));
    for (int c = first; c < end; c++)
        if (has_rows(p, c)) put_scores(p, picture, c, &p->cell[scorer_of(p, c)], out);
    return explains_again(p->plan) ? why_evaluator_begin(p->evaluator[f->model], &f->rgb) : WHY_OK;
}

/* ---------------------------------------------------------------- pairs */
/* The pairs of one model under one policy and grid. */
struct comparison {
    why_pipeline *p;
    const why_frame *f;
    int first, end;   /* pairs of this model */
    why_field *field; /* per cell of the model, made for twins' firsts only */
    int base;         /* first cell of the model */
    const why_plan_metric *metric;
    why_value *value;   /* per pair, first .. end-1 */
    why_status *status; /* the same */
};

static bool is_active(const why_pipeline *p, int pair) {
    const why_cell_state *a = &p->cell[p->plan->pairs[pair].a], *b = &p->cell[p->plan->pairs[pair].b];
    return (a->wanted || b->wanted) && a->done && b->done;
}

static const why_field *field_of(const struct comparison *c, int cell) { return &c->field[c->p->cell[cell].twin - c->base]; }

/* Both fields are read only, so pairs may be measured side by side. */
static void measure_pair(void *ctx, int index, int thread) {
    (void)thread;
    struct comparison *c = ctx;
    int pair = c->first + index;
    if (!is_active(c->p, pair)) return;
    const why_plan_pair *ab = &c->p->plan->pairs[pair];
    why_value v = {.value = NAN};
    c->status[index] = c->metric->metric->pair(field_of(c, ab->a), field_of(c, ab->b), c->metric->params, &v);
    if (!v.why && !isfinite(v.value)) v = (why_value){.value = NAN, .why = "not finite"};
    c->value[index] = v;
}

/* The texts of failures stay in the threads where they arose. */
static why_status measure_pairs(struct comparison *c) {
    const int n = c->end - c->first;
    memset(c->status, 0, (size_t)n * sizeof *c->status);
    why_pool_run(c->p->pool, n, measure_pair, c);
    for (int i = 0; i < n; i++)
        if (c->status[i]) return why_fail(c->status[i], "metric '%s': %s", c->metric->metric->name, why_status_text(c->status[i]));
    return WHY_OK;
}

static void put_pairs(const struct comparison *c, const why_picture *picture, why_buf *out) {
    const why_plan *plan = c->p->plan;
    for (int pair = c->first; pair < c->end; pair++) {
        if (!is_active(c->p, pair)) continue;
        int64_t a = why_explanation_id(picture->listed->id, plan->cells[plan->pairs[pair].a].id);
        int64_t b = why_explanation_id(picture->listed->id, plan->cells[plan->pairs[pair].b].id);
        const why_value *v = &c->value[pair - c->first];
        const why_row row = {.type = WHY_ROW_PAIR,
                             .u.pair = {a < b ? a : b, a < b ? b : a, c->metric->id, v->why ? NAN : v->value, v->why}};
        why_record_put(out, &row);
    }
}

static why_status make_fields(const struct comparison *c, const why_plan_metric *m) {
    const why_segments *grid_segments = NULL;
    if (m->grid.kind == WHY_GRID_SEGMENTS) WHY_TRY(why_subject_segments(c->f->subject, c->p->plan->segments_spec, &grid_segments));
    for (int pair = c->first; pair < c->end; pair++) {
        if (!is_active(c->p, pair)) continue;
        const int cells[2] = {c->p->plan->pairs[pair].a, c->p->plan->pairs[pair].b};
        for (int k = 0; k < 2; k++) {
            const why_explanation *e = why_map_of(c->p, cells[k]);
            why_field *field = &c->field[c->p->cell[cells[k]].twin - c->base];
            if (!field->v) WHY_TRY(why_field_make(e->map, e->h, e->w, e->segments, m->policy, &m->grid, grid_segments, field));
        }
    }
    return WHY_OK;
}

static bool same_frame(const why_plan_metric *a, const why_plan_metric *b) {
    return a->metric->kind == WHY_PAIR && b->metric->kind == WHY_PAIR && a->policy == b->policy && strcmp(a->grid_text, b->grid_text) == 0;
}

static bool seen_before(const why_plan *plan, int metric) {
    for (int m = 0; m < metric; m++)
        if (same_frame(&plan->metrics[m], &plan->metrics[metric])) return true;
    return false;
}

/* Every metric that shares the policy and grid of `lead`. */
static why_status compare_under(struct comparison *c, int lead, const why_picture *picture, why_buf *out) {
    const why_plan *plan = c->p->plan;
    int cells = c->p->first[c->f->model + 1] - c->base;
    why_status st = make_fields(c, &plan->metrics[lead]);
    for (int m = lead; !st && m < plan->n_metrics; m++) {
        if (!same_frame(&plan->metrics[lead], &plan->metrics[m])) continue;
        c->metric = &plan->metrics[m];
        st = measure_pairs(c);
        if (!st) put_pairs(c, picture, out);
    }
    for (int i = 0; i < cells; i++) why_field_clear(&c->field[i]);
    return st;
}

static void find_pairs(struct comparison *c) {
    const why_plan *plan = c->p->plan;
    while (c->first < plan->n_pairs && plan->cells[plan->pairs[c->first].a].model < c->f->model) c->first++;
    c->end = c->first;
    while (c->end < plan->n_pairs && plan->cells[plan->pairs[c->end].a].model == c->f->model) c->end++;
}

why_status why_frame_compare(why_pipeline *p, const why_picture *picture, const why_frame *f, why_buf *out) {
    struct comparison c = {.p = p, .f = f, .base = p->first[f->model]};
    find_pairs(&c);
    if (c.first == c.end) return WHY_OK;
    why_status st = why_alloc((size_t)(p->first[f->model + 1] - c.base), sizeof *c.field, "maps to compare", &c.field);
    if (!st) st = why_alloc((size_t)(c.end - c.first), sizeof *c.value, "pairs", &c.value);
    if (!st) st = why_alloc((size_t)(c.end - c.first), sizeof *c.status, "pairs", &c.status);
    for (int m = 0; !st && m < p->plan->n_metrics; m++)
        if (p->plan->metrics[m].metric->kind == WHY_PAIR && !seen_before(p->plan, m)) st = compare_under(&c, m, picture, out);
    free(c.field);
    free(c.value);
    free(c.status);
    return st;
}
