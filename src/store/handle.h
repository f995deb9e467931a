/* Inside the store: the open database, its prepared statements, and how they are bound, stepped and reported. */
#ifndef WHYPIX_STORE_HANDLE_H
#define WHYPIX_STORE_HANDLE_H

#include <sqlite3.h>

#include "store/store.h"
#include "store/summary.h"

/* The wanted id (?1) when it is free, else the next one. */
#define WHY_FREE_ID(table)                                                        \
    "SELECT CASE WHEN ?1 < 1 OR EXISTS(SELECT 1 FROM " table " WHERE id = ?1)"    \
    " THEN (SELECT ifnull(max(id), 0) + 1 FROM " table ") ELSE ?1 END"

/* Is the top class of model ?3 for e's image its label, or not (?4 = 1, 0)? ?4 NULL: any image. */
#define WHY_IN_STRATUM                                                                                                 \
    "(?4 IS NULL OR (SELECT p.class = i.label FROM image i JOIN prediction p ON p.image_id = i.id AND p.rank = 0"      \
    " WHERE i.id = e.image_id AND p.model_id = ?3) = ?4)"

/* Statements that are used again and again, prepared at first use. Parameters are bound in order. */
#define WHY_SQL_STATEMENTS(X)                                                                                          \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(COMMIT, "COMMIT")                                                                                                \
    X(DATA_VERSION, "PRAGMA data_version")                                                                             \
    X(GET_IMAGE, "SELECT path, sha256 FROM image WHERE id = ?")                                                        \
    X(SET_IMAGE, "UPDATE image SET sha256 = ?, width = ?, height = ? WHERE id = ?")                                    \
    X(PUT_PREDICTION, "INSERT INTO prediction VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")                        \
    X(PUT_EXPLANATION, "INSERT INTO explanation VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING") \
    X(PUT_SCORE, "INSERT INTO score VALUES(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")                                     \
    X(PUT_CURVE, "INSERT INTO curve VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")                                  \
    X(PUT_PAIR, "INSERT INTO pair VALUES(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")                                       \
    X(PUT_TIMING, "INSERT INTO timing VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")                                \
    X(PUT_FAILURE, "INSERT INTO failure VALUES(?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) ON CONFLICT DO NOTHING") \
    X(GET_CORRECT, "SELECT p.class = i.label FROM image i JOIN prediction p ON p.image_id = i.id AND p.rank = 0"       \
                   " WHERE i.id = ? AND p.model_id = ?")                                                               \
    X(GET_SUMMARY, "SELECT exact FROM summary WHERE cell_a = ? AND cell_b = ? AND metric_id = ? AND stratum = ?")      \
    X(PUT_SUMMARY, "INSERT OR REPLACE INTO summary VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                        \
    X(DROP_SUMMARY, "DELETE FROM summary WHERE cell_a = ? AND cell_b = ? AND metric_id = ? AND stratum = ?")           \
    X(SCORE_BOUNDS, "SELECT min(v.value), max(v.value) FROM explanation e CROSS JOIN score v ON v.explanation_id = e.id"    \
                    " AND v.metric_id = ?2 WHERE e.cell_id = ?1 AND " WHY_IN_STRATUM)                                  \
    X(PAIR_BOUNDS, "SELECT min(v.value), max(v.value) FROM explanation e CROSS JOIN pair v ON v.a = e.id"              \
                   " AND v.b = (e.id & ~65535 | ?5) AND v.metric_id = ?2 WHERE e.cell_id = ?1 AND " WHY_IN_STRATUM)    \
    X(RESTED_IMAGE, "SELECT sha256 FROM image WHERE id = ?1 AND EXISTS(SELECT 1 FROM explanation WHERE status = 'done'" \
                    " AND id BETWEEN ?1 << 16 AND (?1 << 16) + 65535 AND id NOT IN (SELECT id FROM temp.wanted))")    \
    X(HASHED_IMAGE, "SELECT sha256 FROM image WHERE id = ?1")                                                          \
    X(WANTED_CELLS, "SELECT id & 65535 FROM temp.wanted WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535")             \
    X(IS_WANTED, "SELECT count(*) FROM temp.wanted JOIN explanation USING(id) WHERE id = ?")                           \
    X(TAKE_WANTED, "DELETE FROM temp.wanted WHERE id = ?")                                                             \
    X(OLD_EXPLANATION, "SELECT * FROM explanation WHERE id = ?1")                                                      \
    X(OLD_TIMINGS, "SELECT * FROM timing WHERE explanation_id = ?1")                                                   \
    X(OLD_SCORES, "SELECT * FROM score WHERE explanation_id = ?1")                                                     \
    X(OLD_CURVES, "SELECT * FROM curve WHERE explanation_id = ?1")                                                     \
    X(OLD_PAIRS, "SELECT * FROM pair WHERE a = ?1 UNION ALL SELECT * FROM pair WHERE b = ?1")                          \
    X(ADD_SUPERSEDED, "INSERT INTO superseded SELECT ?1, 1 + (SELECT count(*) FROM superseded WHERE explanation_id = ?1)," \
                      " ifnull((SELECT run_id FROM timing WHERE explanation_id = ?1), (SELECT max(run_id) FROM failure"  \
                      " WHERE image_id = ?1 >> 16 AND ifnull(cell_id, ?1 & 65535) = ?1 & 65535)), ?2, ?3")             \
    X(DROP_TIMING, "DELETE FROM timing WHERE explanation_id = ?")                                                      \
    X(DROP_EXPLANATION, "DELETE FROM explanation WHERE id = ?")                                                        \
    X(FREE_IMAGE, "UPDATE image SET sha256 = NULL WHERE id = ?1 AND sha256 <> ?2"                                      \
                  " AND NOT EXISTS(SELECT 1 FROM explanation WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535 AND status = 'done')") \
    X(DROP_PREDICTIONS, "DELETE FROM prediction WHERE image_id = ?")                                                   \
    X(TODO_CELLS, "SELECT cell_id FROM todo WHERE image_id = ?")                                                       \
    X(LAST_CELL, "SELECT ifnull(max(id), 0) FROM cell")                                                                \
    X(FIND_IMAGE, "SELECT id, path, label, mask, grp, split, covars FROM image WHERE uid = ?")                         \
    X(ID_IMAGE, WHY_FREE_ID("image"))                                                                                  \
    X(ADD_IMAGE, "INSERT INTO image(id, uid, path, label, grp, split, mask, covars) VALUES(?, ?, ?, ?, ?, ?, ?, ?)")   \
    X(REGROUP_IMAGE, "UPDATE image SET grp = ?, split = ?, covars = ? WHERE id = ?")                                   \
    X(FIND_MODEL, "SELECT id FROM model WHERE uid = ?")                                                                \
    X(OTHER_MODEL, "SELECT sha256 FROM model WHERE name = ? AND sha256 <> ?")                                          \
    X(ID_MODEL, WHY_FREE_ID("model"))                                                                                  \
    X(ADD_MODEL, "INSERT INTO model VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                \
    X(FIND_METHOD, "SELECT id FROM method WHERE uid = ?")                                                              \
    X(ID_METHOD, WHY_FREE_ID("method"))                                                                                \
    X(ADD_METHOD, "INSERT INTO method VALUES(?, ?, ?, ?, ?)")                                                          \
    X(FIND_METRIC, "SELECT id FROM metric WHERE uid = ?")                                                              \
    X(ID_METRIC, WHY_FREE_ID("metric"))                                                                                \
    X(ADD_METRIC, "INSERT INTO metric VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                           \
    X(FIND_CELL, "SELECT id FROM cell WHERE uid = ?")                                                                  \
    X(ID_CELL, WHY_FREE_ID("cell"))                                                                                    \
    X(ADD_CELL, "INSERT INTO cell VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                               \
    X(FIND_JOB, "SELECT id FROM job WHERE uid = ?")                                                                    \
    X(ID_JOB, WHY_FREE_ID("job"))                                                                                      \
    X(ADD_JOB, "INSERT INTO job VALUES(?, ?, ?, ?, ?)")                                                                \
    X(SET_JOB, "UPDATE job SET plan_sha = ? WHERE id = ?")                                                             \
    X(ADD_RUN, "INSERT INTO run(uid, job_id, started, state, version, git, ranks, threads, cpu, kernel, precision, slurm," \
               " job_file) VALUES(?, ?, ifnull(?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')), 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
    X(END_RUN, "UPDATE run SET state = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?")                 \
    X(PUT_SHARD, "INSERT OR REPLACE INTO shard VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")

typedef enum why_sql {
#define WHY_SQL_NAME(name, text) WHY_SQL_##name,
    WHY_SQL_STATEMENTS(WHY_SQL_NAME)
#undef WHY_SQL_NAME
        WHY_SQL_COUNT
} why_sql;

struct why_store {
    sqlite3 *db;
    char *path;
    bool in_transaction;
    bool selecting;        /* temp.wanted lists what a re-run computes (why_store_select) */
    bool spoilt;           /* an apply stopped half-way: only a rollback is possible */
    bool dictionary_known; /* the two arrays below agree with the database */
    int64_t data_version;  /* changes when another connection commits */
    sqlite3_stmt *statement[WHY_SQL_COUNT];
    int64_t *model_of_cell; /* 65536, 0 = no such cell */
    why_metric_range *ranges;
    size_t n_ranges, ranges_capacity;
    why_summaries summaries;
    struct { int64_t image_id, model_id; bool known, correct; } asked; /* why_image_correct's last answer; image_id 0: void */
};

/* A statement being bound: parameters go in order, the first error sticks and is reported by why_db_run or why_db_row. */
typedef struct why_bound {
    sqlite3_stmt *q;
    int at, rc;
} why_bound;

why_status why_db_use(why_store *s, why_sql which, why_bound *b) WHY_MUST_USE;
why_status why_db_prepare(why_store *s, const char *sql, why_bound *b) WHY_MUST_USE; /* for one use: why_db_finalize */
void why_bind_int(why_bound *b, int64_t v);
void why_bind_int_or_null(why_bound *b, int64_t v); /* negative: NULL */
void why_bind_real(why_bound *b, double v);         /* NAN: NULL */
void why_bind_text(why_bound *b, const char *v);    /* NULL: NULL */
void why_bind_text_or_null(why_bound *b, const char *v); /* NULL and "": NULL */
void why_bind_blob(why_bound *b, const void *v, size_t n); /* NULL: NULL */

/* Step to the end and reset; `what` names the object in an error. */
why_status why_db_run(why_store *s, why_bound *b, const char *what) WHY_MUST_USE;
/* Step once; *row says whether there is a row to read. After the last row or an error the statement is reset. */
why_status why_db_row(why_store *s, why_bound *b, const char *what, bool *row) WHY_MUST_USE;
void why_db_reset(why_bound *b);    /* stop before the last row */
void why_db_finalize(why_bound *b);
const char *why_db_text(const why_bound *b, int column); /* "" for NULL; valid until the next step */

/* WHY_ESTORE with a sentence: the path, what was tried, the reason in plain words. */
why_status why_db_fail(why_store *s, int rc, const char *what);

/* The next range of "3-7,12"; false at the end and at what is none (then **at is not 0). */
bool why_next_range(const char **at, int64_t *first, int64_t *last);

/* What reading a picture told; "" and 0: nothing. Another hash than before is WHY_ESTORE with both. */
why_status why_put_picture(why_store *s, int64_t image_id, const char *sha256, int64_t width, int64_t height) WHY_MUST_USE;

/* A re-run's record arrived, none of its rows yet: its explanations come off the list of wanted ones, and those that replace a
 * row keep the old one in `superseded`, out of the tables and the summaries. */
why_status why_supersede(why_store *s, int64_t run_id, const uint8_t *record, size_t n) WHY_MUST_USE;

/* Read cells and metrics again after somebody changed them. */
why_status why_dictionary_load(why_store *s) WHY_MUST_USE;
/* The bins a metric's histogram has; WHY_ESTORE when it is not in the database. */
why_status why_metric_range_of(why_store *s, int64_t metric_id, const why_metric_range **out) WHY_MUST_USE;
/* Was the top class of `model_id` for this image its label? *known is false when either is missing. */
why_status why_image_correct(why_store *s, int64_t image_id, int64_t model_id, bool *known, bool *correct) WHY_MUST_USE;

#endif
