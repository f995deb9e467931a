#include "store/archive.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/handle.h"

enum { FILE_MODE = 0100644, BUSY_MS = 60000 };

struct why_archive {
    why_store base; /* path and db only */
    sqlite3_stmt *put;
    bool in_transaction;
};

static why_status exec(why_archive *a, const char *sql, const char *what) {
    int rc = sqlite3_exec(a->base.db, sql, NULL, NULL, NULL);
    return rc ? why_db_fail(&a->base, rc, what) : WHY_OK;
}

static why_status open_file(why_archive *a, int flags) {
    int rc = sqlite3_open_v2(a->base.path, &a->base.db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc) return why_db_fail(&a->base, rc, "open the archive");
    sqlite3_extended_result_codes(a->base.db, 1);
    sqlite3_busy_timeout(a->base.db, BUSY_MS);
    return WHY_OK;
}

static why_status open_writer(why_archive *a) {
    WHY_TRY(open_file(a, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    WHY_TRY(exec(a, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
                    "CREATE TABLE IF NOT EXISTS sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)",
                 "open the archive"));
    why_bound b;
    WHY_TRY(why_db_prepare(&a->base, "INSERT OR REPLACE INTO sqlar VALUES(?, ?, 0, ?, ?)", &b));
    a->put = b.q;
    return WHY_OK;
}

why_status why_archive_open(const char *path, why_archive **out) {
    why_archive *a;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *a, "an archive", &a));
    why_status st = why_strdup(path, &a->base.path);
    if (!st) st = open_writer(a);
    if (st) why_archive_close(&a);
    *out = a;
    return st;
}

void why_archive_close(why_archive **out) {
    why_archive *a = *out;
    if (!a) return;
    sqlite3_finalize(a->put);
    sqlite3_close(a->base.db); /* rolls an open transaction back */
    free(a->base.path);
    free(a);
    *out = NULL;
}

/* Uncompressed when that is not larger: a reader knows by the sizes. */
static why_status insert(why_archive *a, const char *name, const void *bytes, size_t n, const uint8_t *packed, size_t packed_size) {
    why_bound b = {.q = a->put};
    const bool smaller = packed_size < n;
    why_bind_text(&b, name);
    why_bind_int(&b, FILE_MODE);
    why_bind_int(&b, (int64_t)n);
    why_bind_blob(&b, smaller ? packed : bytes, smaller ? packed_size : n);
    return why_db_run(&a->base, &b, "write a map");
}

why_status why_archive_put(why_archive *a, const char *name, const void *bytes, size_t n) {
    uint8_t *packed;
    if (!a->in_transaction) WHY_TRY(exec(a, "BEGIN IMMEDIATE", "start a transaction"));
    a->in_transaction = true;
    uLongf size = compressBound((uLong)n);
    WHY_TRY(why_alloc(size, 1, "a compressed map", &packed));
    const int rc = compress2(packed, &size, bytes, (uLong)n, Z_BEST_SPEED);
    const why_status st = rc == Z_OK ? insert(a, name, bytes, n, packed, size) : why_fail(WHY_ENOMEM, "map '%s': zlib error %d", name, rc);
    free(packed);
    return st;
}

why_status why_archive_commit(why_archive *a) {
    if (!a->in_transaction) return WHY_OK;
    WHY_TRY(exec(a, "COMMIT", "commit (what was committed before is intact)"));
    a->in_transaction = false;
    return WHY_OK;
}

void why_archive_rollback(why_archive *a) {
    if (a->in_transaction) sqlite3_exec(a->base.db, "ROLLBACK", NULL, NULL, NULL); /* fails only when SQLite has rolled back itself */
    a->in_transaction = false;
}

/* ---------------------------------------------------------------- from another archive */
typedef struct renaming {
    why_entry_rename_fn *fn;
    void *ctx;
} renaming;

/* new_name(name): NULL when the entry is left out. */
static void sql_new_name(sqlite3_context *c, int n, sqlite3_value **v) {
    const renaming *r = sqlite3_user_data(c);
    const char *name = (const char *)sqlite3_value_text(v[0]);
    char out[64];
    (void)n;
    if (name && r->fn(r->ctx, name, out)) sqlite3_result_text(c, out, -1, SQLITE_TRANSIENT);
}

static why_status run_with(why_archive *a, const char *sql, const char *text, const char *what) {
    why_bound b;
    WHY_TRY(why_db_prepare(&a->base, sql, &b));
    if (text) why_bind_text(&b, text);
    const why_status st = why_db_run(&a->base, &b, what);
    why_db_finalize(&b);
    return st;
}

/* Compressed as they are. */
static why_status take_attached(why_archive *a, renaming *r, int64_t *n) {
    int rc = sqlite3_create_function_v2(a->base.db, "new_name", 1, SQLITE_UTF8, r, sql_new_name, NULL, NULL, NULL);
    if (rc) return why_db_fail(&a->base, rc, "prepare a merge");
    WHY_TRY(run_with(a,
                     "INSERT INTO main.sqlar SELECT t, mode, mtime, sz, data FROM (SELECT new_name(name) t, * FROM src.sqlar)"
                     " WHERE t IS NOT NULL ON CONFLICT DO NOTHING",
                     NULL, "copy maps"));
    *n += sqlite3_changes64(a->base.db);
    return WHY_OK;
}

why_status why_archive_take(why_archive *a, const char *path, why_entry_rename_fn *rename, void *ctx, int64_t *n) {
    renaming r = {rename, ctx};
    WHY_TRY(why_archive_commit(a)); /* nothing is attached inside a transaction */
    WHY_TRY(run_with(a, "ATTACH ? AS src", path, "open an archive of maps"));
    const why_status st = take_attached(a, &r, n);
    if (st) why_fail_in(st, "%s", path);
    sqlite3_exec(a->base.db, "DETACH src", NULL, NULL, NULL); /* only read: nothing to lose */
    return st;
}

/* ---------------------------------------------------------------- the archives of a folder */
static int is_archive(const struct dirent *e) {
    const size_t n = strlen(e->d_name);
    return n > 6 && strcmp(e->d_name + n - 6, ".sqlar") == 0;
}

static why_status call_with(const char *dir, const char *name, why_each_archive_fn *fn, void *ctx) {
    why_buf b = {0};
    char *path;
    why_buf_printf(&b, "%s/%s", dir, name);
    WHY_TRY(why_buf_take(&b, &path));
    const why_status st = fn(ctx, path);
    free(path);
    return st;
}

why_status why_each_archive(const char *maps_dir, why_each_archive_fn *fn, void *ctx) {
    struct dirent **entries;
    const int n = scandir(maps_dir, &entries, is_archive, alphasort);
    if (n < 0) return errno == ENOENT ? WHY_OK : why_fail(WHY_EFILE, "%s: cannot list its maps: %s", maps_dir, strerror(errno));
    why_status st = WHY_OK;
    for (int i = 0; i < n; i++) {
        if (!st) st = call_with(maps_dir, entries[i]->d_name, fn, ctx);
        free(entries[i]);
    }
    free(entries);
    return st;
}

/* ---------------------------------------------------------------- reading one entry */
struct entry {
    const char *name;
    uint8_t *bytes;
    size_t n;
};

static why_status unpack(struct entry *e, size_t size, const uint8_t *packed, size_t packed_size) {
    uLongf n = (uLongf)size;
    WHY_TRY(why_alloc(size + 1, 1, "a map", &e->bytes));
    e->n = size;
    if (packed_size == size) {
        memcpy(e->bytes, packed, size);
        return WHY_OK;
    }
    const int rc = uncompress(e->bytes, &n, packed, (uLong)packed_size);
    return rc == Z_OK && n == size ? WHY_OK : why_fail(WHY_EFORMAT, "map '%s' is damaged: zlib error %d", e->name, rc);
}

static why_status read_entry(why_archive *a, struct entry *e) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(&a->base, "SELECT sz, data FROM sqlar WHERE name = ?", &b));
    why_bind_text(&b, e->name);
    why_status st = why_db_row(&a->base, &b, "read a map", &row);
    if (!st && row) {
        const void *data = sqlite3_column_blob(b.q, 1);
        st = unpack(e, (size_t)sqlite3_column_int64(b.q, 0), data, (size_t)sqlite3_column_bytes(b.q, 1));
    }
    why_db_finalize(&b);
    return st;
}

static why_status look_into(void *ctx, const char *path) {
    struct entry *e = ctx;
    why_archive a = {0};
    if (e->bytes) return WHY_OK;
    WHY_TRY(why_strdup(path, &a.base.path));
    why_status st = open_file(&a, SQLITE_OPEN_READONLY);
    if (!st) st = read_entry(&a, e);
    if (st) why_fail_in(st, "%s", path);
    sqlite3_close(a.base.db);
    free(a.base.path);
    return st;
}

why_status why_archive_find(const char *maps_dir, const char *name, uint8_t **bytes, size_t *n) {
    struct entry e = {.name = name};
    const why_status st = why_each_archive(maps_dir, look_into, &e);
    if (st) free(e.bytes);
    *bytes = st ? NULL : e.bytes;
    *n = e.n;
    return st;
}
