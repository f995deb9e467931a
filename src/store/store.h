/* The SQLite database: one writer, rollback journal, natural keys. The only place that includes <sqlite3.h>. */
#ifndef WHYPIX_STORE_STORE_H
#define WHYPIX_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/moments.h"
#include "store/record.h"

typedef struct why_store why_store;

/* Open for writing; creates the file and its schema, or checks user_version (older: migrated; newer: refused).
 * Probes locking and says plainly when the file system has none. One store is used by one thread at a time. Errors of this
 * file are WHY_ESTORE with the path and the reason; what was committed stays intact. */
why_status why_store_open(const char *path, why_store **out) WHY_MUST_USE;
/* Only a killed writer's journal is rolled back. A file that is missing, empty or not whypix's is WHY_ESTORE. */
why_status why_store_open_readonly(const char *path, why_store **out) WHY_MUST_USE;
void why_store_close(why_store **s);

/* A copy of `from` as of one moment between two commits, while it may be being written: made beside `to`, which it then
 * replaces. What a killed run left half-written in `from` is rolled back first. WHY_ESTORE: `to` is as it was. */
why_status why_store_copy(const char *from, const char *to) WHY_MUST_USE;

/* ---------------------------------------------------------------- dictionaries
 * Written once from the expanded plan, in plan order, with ids from the plan. Putting the same row again is a no-op; an
 * id with another uid, a picture or model whose hash changed, is WHY_ESTORE with both values named. Text NULL: SQL NULL. */
typedef struct why_dict_image { int64_t id; const char *uid, *path; int64_t label; /* <0: NULL */ const char *grp, *split, *mask, *covars; } why_dict_image;
typedef struct why_dict_model { int64_t id; const char *uid, *name, *sha256, *preprocess, *input; int64_t classes, params, macs; } why_dict_model;
typedef struct why_dict_method { int64_t id; const char *uid, *name, *explainer, *params; } why_dict_method;
typedef struct why_dict_metric { int64_t id; const char *uid, *name, *kind, *policy, *grid, *params, *better; double lo, hi; /* histogram range */ } why_dict_metric;
typedef struct why_dict_cell { int64_t id; const char *uid; int64_t model_id, method_id; const char *target; int64_t repeat, budget /* <0: NULL */, prefix_of /* <0: NULL */; const char *transform, *budget_kind /* NULL: NULL */; } why_dict_cell;

why_status why_store_begin(why_store *s) WHY_MUST_USE;
why_status why_store_commit(why_store *s) WHY_MUST_USE;   /* retried while readers hold the lock */
void why_store_rollback(why_store *s);

/* A job has no id in the plan: *id is only written. Otherwise: dictionaries of a grown job keep their old ids: rows are matched by uid first, and *id is set to the row's real id. */
why_status why_store_put_job(why_store *s, const char *uid, const char *name, const char *yaml, const char *plan_sha, int64_t *id) WHY_MUST_USE;
why_status why_store_put_image(why_store *s, why_dict_image *row) WHY_MUST_USE;
why_status why_store_put_model(why_store *s, why_dict_model *row) WHY_MUST_USE;
why_status why_store_put_method(why_store *s, why_dict_method *row) WHY_MUST_USE;
why_status why_store_put_metric(why_store *s, why_dict_metric *row) WHY_MUST_USE;
why_status why_store_put_cell(why_store *s, why_dict_cell *row) WHY_MUST_USE;

/* ---------------------------------------------------------------- runs, shards (volatile tables) */
typedef struct why_run_row { const char *uid, *started, *version, *git, *cpu, *kernel, *precision, *slurm, *job_file; int64_t job_id; int ranks, threads; } why_run_row;
why_status why_store_start_run(why_store *s, const why_run_row *row, int64_t *run_id) WHY_MUST_USE;
why_status why_store_end_run(why_store *s, int64_t run_id, const char *state) WHY_MUST_USE; /* done, failed, interrupted */
/* first: id of the first image; images: all of them, as ranges of ids ("3-7,12"). */
typedef struct why_shard_row { int64_t id, run_id, first, n; const char *state; int attempts, rank; int64_t pid; const char *host; double t0, t1; const char *error, *images; } why_shard_row;
why_status why_store_put_shard(why_store *s, const why_shard_row *row) WHY_MUST_USE; /* insert or replace */

/* ---------------------------------------------------------------- results
 * Check one record and apply it inside the current transaction: a row whose key is there already wins and the new one is
 * dropped; each *new* score and pair row is added to the summaries (stratum all, and correct or wrong by the prediction of a's
 * model, where image.label is known). Rows may come in any order; applying a record twice changes nothing. WHY_EFORMAT: refused,
 * nothing touched. Any other error: applied in part, so that only a rollback is possible now (commit refuses). */
why_status why_store_apply(why_store *s, int64_t run_id, int64_t shard_id, int attempt, const uint8_t *record, size_t n) WHY_MUST_USE;

/* ---------------------------------------------------------------- state = missing rows */
/* Cells of one image that have no explanation row yet (a failed one is a row); bit c of `cells` = cell id c. *n_words words, owned. */
why_status why_store_todo(why_store *s, int64_t image_id, uint64_t **cells, size_t *n_words) WHY_MUST_USE;
/* The hash that the picture of new results must have, because results that stay rest on it; "" when nothing does. */
why_status why_store_picture(why_store *s, int64_t image_id, char sha256[65]) WHY_MUST_USE;
/* Call fn for every image that misses something, by id. */
typedef why_status why_todo_fn(void *ctx, int64_t image_id, int missing_cells);
why_status why_store_each_todo(why_store *s, why_todo_fn *fn, void *ctx) WHY_MUST_USE;

/* ---------------------------------------------------------------- re-runs
 * After a selection, why_store_todo and why_store_each_todo tell of the selected explanations only, whether they are missing or
 * not; and when a record brings one of them, its old row is kept as JSON in `superseded` (with timings, scores, curves and pairs)
 * and leaves the tables and the summaries in the same transaction. All other rows win as before. A repaired picture may then
 * have another hash, unless something done still rests on the old one. */
typedef struct why_selection {
    enum { WHY_SELECT_FAILED, WHY_SELECT_MISSING, WHY_SELECT_IMAGE, WHY_SELECT_SHARD } kind;
    const char *image;  /* SELECT_IMAGE: its path, as listed */
    int64_t shard;      /* SELECT_SHARD */
    const char *method; /* only explanations by this method; NULL: by all */
} why_selection;
/* Outside a transaction. *n: how many explanations were selected. WHY_EARG: no such image, shard or method. */
why_status why_store_select(why_store *s, const why_selection *which, int64_t *n) WHY_MUST_USE;
/* The job's row; *id is 0 when the database does not hold it. */
why_status why_store_find_job(why_store *s, const char *uid, int64_t *id) WHY_MUST_USE;

/* Check the summaries against an SQL recount over score and pair rows; the text names the first difference. */
why_status why_store_check_summary(why_store *s) WHY_MUST_USE;

/* ---------------------------------------------------------------- for `status`, `table`: any read-only query */
typedef why_status why_query_row_fn(void *ctx, int n, const char *const *values /* NULL = SQL NULL */, const char *const *names);
/* Every statement of `sql` in turn; values and names are valid during the call. A statement that would write is WHY_EARG; an
 * error of fn stops the query and is returned. */
why_status why_store_query(why_store *s, const char *sql, why_query_row_fn *fn, void *ctx) WHY_MUST_USE;

#endif
