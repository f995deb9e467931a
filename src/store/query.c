/* What is missing, and reading for people. */
#include "store/handle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static why_status count_words(why_store *s, size_t *n_words) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, WHY_SQL_LAST_CELL, &b));
    WHY_TRY(why_db_row(s, &b, "read the cells", &row));
    *n_words = row ? (size_t)sqlite3_column_int64(b.q, 0) / 64 + 1 : 0;
    why_db_reset(&b);
    return WHY_OK;
}

why_status why_store_todo(why_store *s, int64_t image_id, uint64_t **cells, size_t *n_words) {
    why_bound b;
    bool row = true;
    *cells = NULL;
    WHY_TRY(count_words(s, n_words));
    WHY_TRY(why_alloc(*n_words, sizeof **cells, "missing cells", cells));
    why_status st = why_db_use(s, s->selecting ? WHY_SQL_WANTED_CELLS : WHY_SQL_TODO_CELLS, &b);
    if (!st) why_bind_int(&b, image_id);
    while (!st && row) {
        st = why_db_row(s, &b, "read what is missing", &row);
        if (st || !row) break;
        int64_t cell = sqlite3_column_int64(b.q, 0);
        (*cells)[cell / 64] |= UINT64_C(1) << (cell % 64);
    }
    if (st) {
        free(*cells);
        *cells = NULL;
        *n_words = 0;
    }
    return st;
}

why_status why_store_picture(why_store *s, int64_t image_id, char sha256[65]) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, s->selecting ? WHY_SQL_RESTED_IMAGE : WHY_SQL_HASHED_IMAGE, &b));
    why_bind_int(&b, image_id);
    WHY_TRY(why_db_row(s, &b, "read an image", &row));
    snprintf(sha256, 65, "%s", row ? why_db_text(&b, 0) : "");
    why_db_reset(&b);
    return WHY_OK;
}

why_status why_store_each_todo(why_store *s, why_todo_fn *fn, void *ctx) {
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_prepare(s,
                           s->selecting ? "SELECT id >> 16, count(*) FROM temp.wanted GROUP BY id >> 16 ORDER BY 1"
                                        : "SELECT image_id, count(*) FROM todo GROUP BY image_id ORDER BY image_id",
                           &b));
    why_status st = WHY_OK;
    while (!st && row) {
        st = why_db_row(s, &b, "read what is missing", &row);
        if (!st && row) st = fn(ctx, sqlite3_column_int64(b.q, 0), sqlite3_column_int(b.q, 1));
    }
    why_db_finalize(&b);
    return st;
}

/* ---------------------------------------------------------------- any query */
static why_status hand_rows(why_store *s, sqlite3_stmt *q, why_query_row_fn *fn, void *ctx) {
    why_bound b = {.q = q};
    const int n = sqlite3_column_count(q);
    const char **values, **names;
    bool row = true;
    WHY_TRY(why_alloc(2 * (size_t)n + 1, sizeof *values, "a row", &values));
    names = values + n;
    for (int i = 0; i < n; i++) names[i] = sqlite3_column_name(q, i);
    why_status st = WHY_OK;
    while (!st && row) {
        st = why_db_row(s, &b, "run a query", &row);
        if (st || !row) break;
        for (int i = 0; i < n; i++) values[i] = (const char *)sqlite3_column_text(q, i);
        if (fn) st = fn(ctx, n, values, names);
    }
    free(values);
    return st;
}

why_status why_store_query(why_store *s, const char *sql, why_query_row_fn *fn, void *ctx) {
    why_status st = WHY_OK;
    while (!st && *sql) {
        sqlite3_stmt *q = NULL;
        int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, &sql);
        if (rc) st = why_fail(WHY_EARG, "%s: cannot read a query: %s", s->path, sqlite3_errmsg(s->db));
        if (!st && q && !sqlite3_stmt_readonly(q)) st = why_fail(WHY_EARG, "%s: a query that would write: %s", s->path, sqlite3_sql(q));
        if (!st && q) st = hand_rows(s, q, fn, ctx);
        sqlite3_finalize(q);
    }
    return st;
}
