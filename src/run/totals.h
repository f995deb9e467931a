/* What was counted, exactly: each worker counts the records that the coordinator took from it, the coordinator counts
 * what it applied. At the end both must agree to the last bit. */
#ifndef WHYPIX_RUN_TOTALS_H
#define WHYPIX_RUN_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/moments.h"

/* A metric whose values are summed: its id in the records and the range of its histogram. */
typedef struct why_total_metric { int64_t id; double lo, hi; } why_total_metric;

/* parts[0]: one value per record, its number of rows; parts[1 + k]: the values of metric k, of scores and of pairs. */
typedef struct why_totals {
    const why_total_metric *metrics; /* ascending id; borrowed */
    int n_metrics;
    why_moments *parts;              /* 1 + n_metrics, owned */
} why_totals;

why_status why_totals_create(const why_total_metric *metrics, int n, why_totals *out) WHY_MUST_USE;
void why_totals_clear(why_totals *t);
/* Count a record. WHY_EFORMAT leaves the totals untouched. */
why_status why_totals_add(why_totals *t, const uint8_t *record, size_t n) WHY_MUST_USE;
/* Check a record. *failed: it says that the image, or a cell of it, failed. */
why_status why_record_outcome(const uint8_t *record, size_t n, bool *failed) WHY_MUST_USE;
/* WHY_EBUG naming the first difference between what workers sent and what was applied. */
why_status why_totals_compare(const why_totals *sent, const why_totals *applied) WHY_MUST_USE;

#endif
