/* Prepared statements and error sentences. */
#include "store/handle.h"

#include <math.h>
#include <string.h>

static const char *const statements[] = {
#define WHY_SQL_TEXT(name, text) text,
    WHY_SQL_STATEMENTS(WHY_SQL_TEXT)
#undef WHY_SQL_TEXT
};
_Static_assert(sizeof statements / sizeof *statements == WHY_SQL_COUNT, "one text per statement");

/* The reason in plain words; NULL: SQLite's own sentence is plain enough. */
static const char *plain_reason(int rc) {
    switch (rc & 0xff) {
    case SQLITE_FULL: return "the disk is full";
    case SQLITE_READONLY: return "the file or its folder is read-only";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another process keeps it locked";
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS: return "the file system has no working file locks";
    case SQLITE_NOTADB: return "this is not a SQLite database";
    case SQLITE_CORRUPT: return "the database is damaged";
    case SQLITE_NOMEM: return "out of memory";
    default: return NULL;
    }
}

why_status why_db_fail(why_store *s, int rc, const char *what) {
    const char *reason = plain_reason(rc);
    if (!reason) reason = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    int system = s->db ? sqlite3_system_errno(s->db) : 0;
    bool tell = system && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN);
    return why_fail((rc & 0xff) == SQLITE_NOMEM ? WHY_ENOMEM : WHY_ESTORE, "%s: cannot %s: %s%s%s", s->path, what, reason, tell ? ": " : "",
                    tell ? strerror(system) : "");
}

why_status why_db_prepare(why_store *s, const char *sql, why_bound *b) {
    *b = (why_bound){0};
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &b->q, NULL);
    return rc ? why_db_fail(s, rc, "prepare a statement") : WHY_OK;
}

why_status why_db_use(why_store *s, why_sql which, why_bound *b) {
    *b = (why_bound){.q = s->statement[which]};
    if (b->q) return WHY_OK;
    int rc = sqlite3_prepare_v3(s->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, &s->statement[which], NULL);
    if (rc) return why_db_fail(s, rc, "prepare a statement");
    b->q = s->statement[which];
    return WHY_OK;
}

static void keep(why_bound *b, int rc) {
    if (!b->rc) b->rc = rc;
}

void why_bind_int(why_bound *b, int64_t v) { keep(b, sqlite3_bind_int64(b->q, ++b->at, v)); }

void why_bind_int_or_null(why_bound *b, int64_t v) {
    if (v < 0) keep(b, sqlite3_bind_null(b->q, ++b->at));
    else why_bind_int(b, v);
}

void why_bind_real(why_bound *b, double v) {
    if (isnan(v)) keep(b, sqlite3_bind_null(b->q, ++b->at));
    else keep(b, sqlite3_bind_double(b->q, ++b->at, v));
}

/* Static: every statement is stepped before the caller's text goes away. A NULL pointer binds NULL. */
void why_bind_text(why_bound *b, const char *v) { keep(b, sqlite3_bind_text(b->q, ++b->at, v, -1, SQLITE_STATIC)); }
void why_bind_text_or_null(why_bound *b, const char *v) { why_bind_text(b, v && *v ? v : NULL); }
void why_bind_blob(why_bound *b, const void *v, size_t n) { keep(b, sqlite3_bind_blob64(b->q, ++b->at, v, n, SQLITE_STATIC)); }

why_status why_db_row(why_store *s, why_bound *b, const char *what, bool *row) {
    int rc = b->rc ? b->rc : sqlite3_step(b->q);
    *row = rc == SQLITE_ROW;
    if (*row) return WHY_OK;
    why_status st = rc == SQLITE_DONE ? WHY_OK : why_db_fail(s, rc, what);
    sqlite3_reset(b->q);
    return st;
}

why_status why_db_run(why_store *s, why_bound *b, const char *what) {
    bool row = true;
    while (row) WHY_TRY(why_db_row(s, b, what, &row));
    return WHY_OK;
}

void why_db_reset(why_bound *b) { sqlite3_reset(b->q); }

void why_db_finalize(why_bound *b) {
    sqlite3_finalize(b->q);
    b->q = NULL;
}

const char *why_db_text(const why_bound *b, int column) {
    const char *text = (const char *)sqlite3_column_text(b->q, column);
    return text ? text : "";
}
