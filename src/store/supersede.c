/* Re-runs: which explanations are to be computed again, and how a new one takes the place of an old one. The list is a
 * temporary table, so that it rolls back with the rows: an explanation leaves it in the transaction that replaces its row. */
#include "store/handle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

/* ---------------------------------------------------------------- selection */
static why_status run_sql(why_store *s, const char *sql, const char *text, const int64_t *number, int n) {
    why_bound b;
    WHY_TRY(why_db_prepare(s, sql, &b));
    if (text) why_bind_text(&b, text);
    for (int i = 0; i < n; i++) why_bind_int(&b, number[i]);
    const why_status st = why_db_run(s, &b, "choose what to compute again");
    why_db_finalize(&b);
    return st;
}

static why_status wanted(why_store *s, int64_t *n) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(s, "SELECT count(*) FROM temp.wanted", &b));
    const why_status st = why_db_row(s, &b, "choose what to compute again", &row);
    *n = !st && row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_finalize(&b);
    return st;
}

static why_status select_image(why_store *s, const char *path) {
    int64_t n;
    WHY_TRY(run_sql(s, "INSERT INTO temp.wanted SELECT i.id << 16 | c.id FROM image i, cell c WHERE i.path = ?", path, NULL, 0));
    WHY_TRY(wanted(s, &n));
    return n ? WHY_OK : why_fail(WHY_EARG, "%s: no image has the path '%s' (paths are as in the image list)", s->path, path);
}

bool why_next_range(const char **at, int64_t *first, int64_t *last) {
    char *end;
    if (**at < '0' || **at > '9') return false;
    *first = *last = strtoll(*at, &end, 10);
    if (*end == '-') *last = strtoll(end + 1, &end, 10);
    if (*end && *end != ',') return false;
    *at = end + (*end == ',');
    return true;
}

/* "3-7,12" -> the cells of images 3 to 7 and 12. */
static why_status select_ranges(why_store *s, const char *ranges) {
    static const char sql[] =
        "INSERT OR IGNORE INTO temp.wanted SELECT i.id << 16 | c.id FROM image i, cell c WHERE i.id BETWEEN ? AND ?";
    const char *at = ranges;
    int64_t range[2];
    while (why_next_range(&at, &range[0], &range[1])) WHY_TRY(run_sql(s, sql, NULL, range, 2));
    return *at ? why_fail(WHY_ESTORE, "%s: a shard's images are '%s', wanted are ranges like 3-7,12", s->path, ranges) : WHY_OK;
}

static why_status select_shard(why_store *s, int64_t shard) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(s, "SELECT images FROM shard WHERE id = ?", &b));
    why_bind_int(&b, shard);
    why_status st = why_db_row(s, &b, "read a shard", &row);
    if (!st && !row) st = why_fail(WHY_EARG, "%s: no shard has the number %lld", s->path, (long long)shard);
    if (!st) st = select_ranges(s, why_db_text(&b, 0));
    why_db_finalize(&b);
    return st;
}

/* Of a job's matrix, "lime" means every "lime[...]". */
static why_status keep_method(why_store *s, const char *method) {
    static const char of_method[] = "(SELECT c.id FROM cell c JOIN method m ON m.id = c.method_id"
                                    " WHERE m.name = ?1 OR substr(m.name, 1, length(?1) + 1) = ?1 || '[')";
    char sql[512];
    why_bound b;
    bool row;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", of_method);
    WHY_TRY(why_db_prepare(s, sql, &b));
    why_bind_text(&b, method);
    why_status st = why_db_row(s, &b, "read the methods", &row);
    if (!st && sqlite3_column_int64(b.q, 0) == 0) st = why_fail(WHY_EARG, "%s: no method is called '%s'", s->path, method);
    why_db_finalize(&b);
    if (st) return st;
    snprintf(sql, sizeof sql, "DELETE FROM temp.wanted WHERE id & 65535 NOT IN %s", of_method);
    return run_sql(s, sql, method, NULL, 0);
}

static why_status fill_list(why_store *s, const why_selection *which) {
    static const char failed[] = "INSERT INTO temp.wanted SELECT id FROM explanation WHERE status = 'failed'";
    static const char missing[] = "INSERT INTO temp.wanted SELECT image_id << 16 | cell_id FROM todo";
    switch (which->kind) {
    case WHY_SELECT_FAILED: WHY_TRY(run_sql(s, failed, NULL, NULL, 0)); break;
    case WHY_SELECT_MISSING: WHY_TRY(run_sql(s, missing, NULL, NULL, 0)); break;
    case WHY_SELECT_IMAGE: WHY_TRY(select_image(s, which->image)); break;
    case WHY_SELECT_SHARD: WHY_TRY(select_shard(s, which->shard)); break;
    }
    return which->method ? keep_method(s, which->method) : WHY_OK;
}

why_status why_store_select(why_store *s, const why_selection *which, int64_t *n) {
    *n = 0;
    WHY_TRY(run_sql(s, "CREATE TEMP TABLE IF NOT EXISTS wanted(id INTEGER PRIMARY KEY) STRICT", NULL, NULL, 0));
    WHY_TRY(run_sql(s, "DELETE FROM temp.wanted", NULL, NULL, 0));
    s->selecting = true;
    WHY_TRY(fill_list(s, which));
    return wanted(s, n);
}

/* ---------------------------------------------------------------- the old row as JSON */
static void put_value(why_buf *b, sqlite3_stmt *q, int column) {
    const uint8_t *blob;
    switch (sqlite3_column_type(q, column)) {
    case SQLITE_INTEGER: why_buf_printf(b, "%lld", (long long)sqlite3_column_int64(q, column)); break;
    case SQLITE_FLOAT: why_buf_number(b, sqlite3_column_double(q, column)); break;
    case SQLITE_TEXT: why_buf_json(b, (const char *)sqlite3_column_text(q, column)); break;
    case SQLITE_BLOB:
        blob = sqlite3_column_blob(q, column);
        why_buf_text(b, "\"");
        for (int i = 0; i < sqlite3_column_bytes(q, column); i++) why_buf_printf(b, "%02x", blob[i]);
        why_buf_text(b, "\"");
        break;
    default: why_buf_text(b, "null");
    }
}

/* The columns of the present row, without braces. */
static void put_columns(why_buf *b, sqlite3_stmt *q) {
    for (int i = 0; i < sqlite3_column_count(q); i++) {
        if (i) why_buf_text(b, ",");
        why_buf_json(b, sqlite3_column_name(q, i));
        why_buf_text(b, ":");
        put_value(b, q, i);
    }
}

/* ,"name":[{...},...] */
static why_status put_list(why_store *s, why_buf *b, const char *name, why_sql which, int64_t id) {
    why_bound q;
    bool row = true;
    WHY_TRY(why_db_use(s, which, &q));
    why_bind_int(&q, id);
    why_buf_printf(b, ",\"%s\":[", name);
    for (int n = 0;; n++) {
        WHY_TRY(why_db_row(s, &q, "read an old result", &row));
        if (!row) break;
        why_buf_text(b, n ? ",{" : "{");
        put_columns(b, q.q);
        why_buf_text(b, "}");
    }
    why_buf_text(b, "]");
    return WHY_OK;
}

static why_status put_old(why_store *s, why_buf *b, int64_t id) {
    why_bound q;
    bool row;
    WHY_TRY(why_db_use(s, WHY_SQL_OLD_EXPLANATION, &q));
    why_bind_int(&q, id);
    WHY_TRY(why_db_row(s, &q, "read an old result", &row));
    why_buf_text(b, "{");
    if (row) put_columns(b, q.q);
    why_db_reset(&q);
    WHY_TRY(put_list(s, b, "timings", WHY_SQL_OLD_TIMINGS, id));
    WHY_TRY(put_list(s, b, "scores", WHY_SQL_OLD_SCORES, id));
    WHY_TRY(put_list(s, b, "curves", WHY_SQL_OLD_CURVES, id));
    WHY_TRY(put_list(s, b, "pairs", WHY_SQL_OLD_PAIRS, id));
    why_buf_text(b, "}");
    return WHY_OK;
}

static why_status keep_old(why_store *s, int64_t run_id, int64_t id) {
    char *text = NULL;
    why_buf json = {0};
    why_bound b;
    why_status st = put_old(s, &json, id);
    if (!st) st = why_buf_take(&json, &text);
    if (!st) st = why_db_use(s, WHY_SQL_ADD_SUPERSEDED, &b);
    if (!st) {
        why_bind_int(&b, id);
        why_bind_int(&b, run_id);
        why_bind_text(&b, text);
        st = why_db_run(s, &b, "keep an old result");
    }
    why_buf_clear(&json);
    free(text);
    return st;
}

/* ---------------------------------------------------------------- out of the tables */
static double value_or_nan(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL ? NAN : sqlite3_column_double(q, column);
}

static why_status uncount_scores(why_store *s, int64_t id) {
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_use(s, WHY_SQL_OLD_SCORES, &b));
    why_bind_int(&b, id);
    for (;;) {
        WHY_TRY(why_db_row(s, &b, "read an old result", &row));
        if (!row) return WHY_OK;
        WHY_TRY(why_summary_remove(s, id >> 16, id & 65535, 0, sqlite3_column_int64(b.q, 1), value_or_nan(b.q, 2)));
    }
}

static why_status uncount_pairs(why_store *s, int64_t id) {
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_use(s, WHY_SQL_OLD_PAIRS, &b));
    why_bind_int(&b, id);
    for (;;) {
        WHY_TRY(why_db_row(s, &b, "read an old result", &row));
        if (!row) return WHY_OK;
        WHY_TRY(why_summary_remove(s, id >> 16, sqlite3_column_int64(b.q, 0) & 65535, sqlite3_column_int64(b.q, 1) & 65535,
                                   sqlite3_column_int64(b.q, 2), value_or_nan(b.q, 3)));
    }
}

static why_status run_for(why_store *s, why_sql which, int64_t id) {
    why_bound b;
    WHY_TRY(why_db_use(s, which, &b));
    why_bind_int(&b, id);
    return why_db_run(s, &b, "delete an old result");
}

static why_status drop_old(why_store *s, int64_t id) {
    WHY_TRY(uncount_scores(s, id));
    WHY_TRY(uncount_pairs(s, id));
    WHY_TRY(run_for(s, WHY_SQL_DROP_TIMING, id));
    return run_for(s, WHY_SQL_DROP_EXPLANATION, id); /* with its scores, curves and pairs */
}

static why_status replaces(why_store *s, int64_t id, bool *yes) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, WHY_SQL_IS_WANTED, &b));
    why_bind_int(&b, id);
    WHY_TRY(why_db_row(s, &b, "read what is wanted", &row));
    *yes = row && sqlite3_column_int(b.q, 0) > 0;
    why_db_reset(&b);
    return WHY_OK;
}

/* Two explanations of one record may share a pair, which both keep: so all are kept before any is dropped. */
static why_status keep_row(why_store *s, int64_t run_id, int64_t id) {
    bool yes;
    WHY_TRY(replaces(s, id, &yes));
    return yes ? keep_old(s, run_id, id) : WHY_OK;
}

static why_status drop_row(why_store *s, int64_t id) {
    bool yes;
    WHY_TRY(replaces(s, id, &yes));
    if (yes) WHY_TRY(drop_old(s, id));
    return run_for(s, WHY_SQL_TAKE_WANTED, id);
}

/* A picture that was repaired has another hash: that is no conflict once nothing rests on the old one. */
static why_status free_image(why_store *s, const why_row *row) {
    why_bound b;
    if (!*row->u.image.sha256) return WHY_OK;
    WHY_TRY(why_db_use(s, WHY_SQL_FREE_IMAGE, &b));
    why_bind_int(&b, row->u.image.image_id);
    why_bind_text(&b, row->u.image.sha256);
    WHY_TRY(why_db_run(s, &b, "write an image"));
    s->asked.image_id = 0;
    return sqlite3_changes(s->db) ? run_for(s, WHY_SQL_DROP_PREDICTIONS, row->u.image.image_id) : WHY_OK;
}

typedef enum step { KEEP, DROP, FREE } step;

static why_status take_step(why_store *s, step what, int64_t run_id, const why_row *row) {
    if (what == FREE) return row->type == WHY_ROW_IMAGE ? free_image(s, row) : WHY_OK;
    if (row->type != WHY_ROW_EXPLANATION) return WHY_OK;
    const int64_t id = why_explanation_id(row->u.explanation.image_id, row->u.explanation.cell_id);
    return what == KEEP ? keep_row(s, run_id, id) : drop_row(s, id);
}

why_status why_supersede(why_store *s, int64_t run_id, const uint8_t *record, size_t n) {
    for (step what = KEEP; what <= FREE; what++) {
        size_t at = 0;
        bool more = true;
        why_row row;
        while (more) {
            WHY_TRY(why_record_next(record, n, &at, &row, &more));
            WHY_TRY(take_step(s, what, run_id, &row));
        }
    }
    return WHY_OK;
}
