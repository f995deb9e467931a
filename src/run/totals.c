#include "run/totals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/record.h"

why_status why_totals_create(const why_total_metric *metrics, int n, why_totals *out) {
    *out = (why_totals){.metrics = metrics, .n_metrics = n};
    WHY_TRY(why_alloc((size_t)n + 1, sizeof *out->parts, "totals", &out->parts));
    for (int i = 0; i <= n; i++) why_moments_clear(&out->parts[i]);
    return WHY_OK;
}

void why_totals_clear(why_totals *t) {
    free(t->parts);
    *t = (why_totals){0};
}

static int by_id(const void *key, const void *item) {
    const int64_t a = *(const int64_t *)key, b = ((const why_total_metric *)item)->id;
    return (a > b) - (a < b);
}

static void count_value(why_totals *t, int64_t metric_id, double value) {
    const why_total_metric *m = bsearch(&metric_id, t->metrics, (size_t)t->n_metrics, sizeof *m, by_id);
    if (!m) return;
    why_moments *part = &t->parts[1 + (m - t->metrics)];
    if (isnan(value)) why_moments_add_null(part);
    else why_moments_add(part, value, m->lo, m->hi);
}

static void count_row(why_totals *t, const why_row *row) {
    if (row->type == WHY_ROW_SCORE) count_value(t, row->u.score.metric_id, row->u.score.value);
    if (row->type == WHY_ROW_PAIR) count_value(t, row->u.pair.metric_id, row->u.pair.value);
}

why_status why_totals_add(why_totals *t, const uint8_t *record, size_t n) {
    WHY_TRY(why_record_check(record, n));
    int rows = 0;
    why_row row;
    bool more = true;
    for (size_t at = 0; more; rows++) {
        WHY_TRY(why_record_next(record, n, &at, &row, &more));
        count_row(t, &row);
    }
    why_moments_add(&t->parts[0], rows, 0, 65536);
    return WHY_OK;
}

static bool says_failed(const why_row *row) {
    return row->type == WHY_ROW_FAILURE || (row->type == WHY_ROW_EXPLANATION && strcmp(row->u.explanation.status, "failed") == 0);
}

why_status why_record_outcome(const uint8_t *record, size_t n, bool *failed) {
    *failed = false;
    WHY_TRY(why_record_check(record, n));
    why_row row;
    bool more = true;
    for (size_t at = 0; more;) {
        WHY_TRY(why_record_next(record, n, &at, &row, &more));
        *failed = *failed || says_failed(&row);
    }
    return WHY_OK;
}

why_status why_totals_compare(const why_totals *sent, const why_totals *applied) {
    for (int i = 0; i <= sent->n_metrics; i++) {
        uint8_t a[WHY_MOMENTS_BYTES], b[WHY_MOMENTS_BYTES];
        why_moments_write(&sent->parts[i], a);
        why_moments_write(&applied->parts[i], b);
        if (memcmp(a, b, sizeof a) == 0) continue;
        const long long id = i > 0 ? (long long)sent->metrics[i - 1].id : 0;
        return why_fail(WHY_EBUG, "the workers' sum of %s %lld (n = %lld) is not what was stored (n = %lld)", i > 0 ? "metric" : "records",
                        id, (long long)sent->parts[i].n, (long long)applied->parts[i].n);
    }
    return WHY_OK;
}
