/* Opening, transactions. */
#include "store/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/schema.inc" /* schema_sql[]: src/store/schema.sql, NUL-terminated */

enum { APPLICATION_ID = 0x77687970 /* 'whyp' */, SCHEMA_VERSION = 1, BUSY_MS = 60000, COMMIT_TRIES = 10 };

/* Can files be locked here? On a Lustre mounted without `flock`, or NFS without a lock daemon, fcntl() fails and SQLite would
 * wait for ever or, worse, corrupt. Asked of a nameless scratch file, because closing any descriptor of the database would drop
 * this process's locks on it. */
static why_status probe_locking(const char *path) {
    char *scratch;
    WHY_TRY(why_alloc(strlen(path) + sizeof "-XXXXXX", 1, "a path", &scratch));
    memcpy(scratch, path, strlen(path));
    memcpy(scratch + strlen(path), "-XXXXXX", sizeof "-XXXXXX");
    int fd = mkstemp(scratch);
    why_status st = fd < 0 ? why_fail(WHY_ESTORE, "%s: cannot write beside it: %s", path, strerror(errno)) : WHY_OK;
    if (!st) {
        unlink(scratch);
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_SETLK, &whole) != 0)
            st = why_fail(WHY_ESTORE,
                          "%s: its file system cannot lock files (%s): put the database on another one, for example node-local scratch, "
                          "and copy it afterwards",
                          path, strerror(errno));
        close(fd);
    }
    free(scratch);
    return st;
}

static why_status exec(why_store *s, const char *sql, const char *what) {
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc ? why_db_fail(s, rc, what) : WHY_OK;
}

static why_status one_int(why_store *s, const char *sql, int64_t *out) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(s, sql, &b));
    why_status st = why_db_row(s, &b, "read the database", &row);
    *out = !st && row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_finalize(&b);
    return st;
}

/* *empty: a new file. Anything but version 1 of our own schema is refused. */
static why_status check_identity(why_store *s, bool *empty) {
    int64_t application = 0, version = 0, tables = 0;
    WHY_TRY(one_int(s, "SELECT count(*) FROM sqlite_schema", &tables));
    WHY_TRY(one_int(s, "PRAGMA application_id", &application));
    WHY_TRY(one_int(s, "PRAGMA user_version", &version));
    *empty = tables == 0 && application == 0 && version == 0;
    if (*empty) return WHY_OK;
    if (application != APPLICATION_ID)
        return why_fail(WHY_ESTORE, "%s: a SQLite database, but not one of whypix (application_id %lld, want %d)", s->path,
                        (long long)application, APPLICATION_ID);
    if (version != SCHEMA_VERSION)
        return why_fail(WHY_ESTORE, "%s: its schema has version %lld, this whypix knows version %d%s", s->path, (long long)version,
                        SCHEMA_VERSION, version > SCHEMA_VERSION ? ": use a newer whypix" : "");
    return WHY_OK;
}

/* Inside an exclusive transaction, so that of two processes one makes the schema and the other finds it. */
static why_status create_or_check(why_store *s) {
    bool empty;
    WHY_TRY(exec(s, "BEGIN EXCLUSIVE", "lock the database"));
    why_status st = check_identity(s, &empty);
    if (!st && empty) st = exec(s, schema_sql, "create the tables");
    if (!st) st = exec(s, "COMMIT", "create the tables");
    if (st) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static why_status open_file(why_store *s, int flags) {
    int rc = sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc) return why_db_fail(s, rc, "open the database");
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    return WHY_OK;
}

static why_status open_writer(why_store *s) {
    WHY_TRY(probe_locking(s->path));
    WHY_TRY(open_file(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    if (sqlite3_db_readonly(s->db, "main") == 1) return why_fail(WHY_ESTORE, "%s: the file is read-only", s->path);
    WHY_TRY(exec(s, "PRAGMA foreign_keys = ON; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;",
                 "open the database"));
    return create_or_check(s);
}

/* Opened for writing when the file allows it, so that the journal of a killed run can be rolled back first; query_only keeps
 * everything else out. */
static why_status open_reader(why_store *s) {
    bool empty = false;
    WHY_TRY(open_file(s, SQLITE_OPEN_READWRITE));
    WHY_TRY(exec(s, "PRAGMA query_only = ON", "open the database"));
    WHY_TRY(check_identity(s, &empty));
    return empty ? why_fail(WHY_ESTORE, "%s: an empty file, a whypix database is wanted", s->path) : WHY_OK;
}

static why_status open_with(const char *path, why_status (*how)(why_store *), why_store **out) {
    why_store *s;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *s, "a store", &s));
    why_status st = why_strdup(path, &s->path);
    if (!st) st = how(s);
    if (st) why_store_close(&s);
    *out = s;
    return st;
}

why_status why_store_open(const char *path, why_store **out) { return open_with(path, open_writer, out); }
why_status why_store_open_readonly(const char *path, why_store **out) { return open_with(path, open_reader, out); }

void why_store_close(why_store **store) {
    why_store *s = *store;
    if (!s) return;
    for (int i = 0; i < WHY_SQL_COUNT; i++) sqlite3_finalize(s->statement[i]);
    sqlite3_close(s->db); /* rolls an open transaction back */
    why_summaries_clear(&s->summaries);
    free(s->model_of_cell);
    free(s->ranges);
    free(s->path);
    free(s);
    *store = NULL;
}

/* What is held in memory is void once another connection has written. */
static why_status check_data_version(why_store *s) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, WHY_SQL_DATA_VERSION, &b));
    WHY_TRY(why_db_row(s, &b, "read the database", &row));
    int64_t version = row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_reset(&b);
    if (version != s->data_version) {
        s->dictionary_known = false;
        why_summaries_clear(&s->summaries);
    }
    s->data_version = version;
    return WHY_OK;
}

why_status why_store_begin(why_store *s) {
    why_bound b;
    if (s->in_transaction) return why_fail(WHY_EBUG, "%s: a transaction is already open", s->path);
    WHY_TRY(why_db_use(s, WHY_SQL_BEGIN, &b));
    WHY_TRY(why_db_run(s, &b, "start a transaction"));
    s->in_transaction = true;
    s->asked.image_id = 0; /* another connection may have written */
    why_status st = check_data_version(s);
    if (st) why_store_rollback(s);
    return st;
}

/* A reader that stays longer than the busy timeout makes COMMIT fail without losing anything: try again. */
static why_status commit_patiently(why_store *s) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_COMMIT, &b));
    int rc = SQLITE_BUSY;
    for (int i = 0; i < COMMIT_TRIES && (rc & 0xff) == SQLITE_BUSY; i++) {
        rc = sqlite3_step(b.q);
        sqlite3_reset(b.q);
    }
    return rc == SQLITE_DONE ? WHY_OK : why_db_fail(s, rc, "commit (what was committed before is intact)");
}

why_status why_store_commit(why_store *s) {
    if (!s->in_transaction) return why_fail(WHY_EBUG, "%s: no transaction is open", s->path);
    if (s->spoilt)
        return why_fail(WHY_ESTORE, "%s: the last record was applied in part only: the transaction must be rolled back", s->path);
    WHY_TRY(why_summary_flush(s));
    WHY_TRY(commit_patiently(s));
    s->in_transaction = false;
    why_summary_written(s);
    return WHY_OK;
}

void why_store_rollback(why_store *s) {
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL); /* fails only when SQLite has rolled back by itself */
    s->in_transaction = s->spoilt = s->dictionary_known = false;
    s->asked.image_id = 0;
    why_summaries_clear(&s->summaries);
}
