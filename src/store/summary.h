/* The reductions of a run, as exact moments in memory: one entry per (cell_a, cell_b or 0, metric, stratum). They are
 * read from the database at first use, added to row by row, and written with the rows in the same transaction. */
#ifndef WHYPIX_STORE_SUMMARY_H
#define WHYPIX_STORE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/moments.h"

typedef enum why_stratum { WHY_STRATUM_ALL, WHY_STRATUM_CORRECT, WHY_STRATUM_WRONG, WHY_STRATUM_COUNT } why_stratum;

typedef struct why_metric_range {
    int64_t metric_id;
    double lo, hi;
} why_metric_range;

typedef struct why_summary_key {
    int64_t cell_a, cell_b, metric_id; /* cell_b 0: a score */
    why_stratum stratum;
} why_summary_key;

typedef struct why_summary {
    uint64_t packed; /* key */
    bool dirty;      /* differs from the database */
    bool unbounded;  /* m.lo and m.hi may belong to a value that was taken back */
    why_moments m;
} why_summary;

/* Open-addressing table over an array of entries; starts as {0}. */
typedef struct why_summaries {
    why_summary *entries;
    size_t n, capacity;
    uint32_t *slots; /* 0 = free, else index + 1 */
    size_t n_slots;  /* power of two */
    uint32_t *dirty; /* indices */
    size_t n_dirty, dirty_capacity;
} why_summaries;

enum { WHY_METRIC_ID_LIMIT = 1 << 30 }; /* ids that a packed key can hold stay below */

/* The entry's index, made empty when it is new (*fresh). */
why_status why_summaries_find(why_summaries *t, const why_summary_key *key, size_t *index, bool *fresh) WHY_MUST_USE;
why_summary_key why_summary_key_of(const why_summary *e);
const char *why_stratum_name(why_stratum s);
why_status why_summaries_mark(why_summaries *t, size_t index) WHY_MUST_USE; /* dirty */
void why_summaries_clear(why_summaries *t);

/* Add one new score (cell_b 0) or pair value, NAN = undefined, to stratum all and to correct or wrong. */
struct why_store;
why_status why_summary_add(struct why_store *s, int64_t image_id, int64_t cell_a, int64_t cell_b, int64_t metric_id,
                           double value) WHY_MUST_USE;
/* Take back one that is about to be deleted. */
why_status why_summary_remove(struct why_store *s, int64_t image_id, int64_t cell_a, int64_t cell_b, int64_t metric_id,
                              double value) WHY_MUST_USE;
/* All of them anew from the rows, to be written. */
why_status why_summary_recount(struct why_store *s) WHY_MUST_USE;
/* Write what is dirty. It stays marked until why_summary_written(), after the commit. */
why_status why_summary_flush(struct why_store *s) WHY_MUST_USE;
void why_summary_written(struct why_store *s);

#endif
