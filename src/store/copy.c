/* A consistent copy of a database, even while a run writes it. */
#include "store/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

/* All pages in one step: readers do not block each other, and a writer's commit waits for as long as a copy may take. Page by
 * page, every commit would begin the copy anew. */
static why_status copy_pages(why_store *from, why_store *to) {
    sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!b) return why_db_fail(to, sqlite3_errcode(to->db), "copy into the database");
    const int stepped = sqlite3_backup_step(b, -1);
    const int finished = sqlite3_backup_finish(b);
    if (stepped == SQLITE_DONE && finished == SQLITE_OK) return WHY_OK;
    return why_db_fail(to, finished ? finished : stepped, "copy into the database");
}

/* Nobody else knows the file, so it needs no locks (it may lie where there are none) and no journal. */
static why_status fill(why_store *from, const char *path) {
    why_store to = {.path = (char *)path};
    int rc = sqlite3_open_v2(path, &to.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, "unix-none");
    if (!rc) rc = sqlite3_exec(to.db, "PRAGMA journal_mode = MEMORY", NULL, NULL, NULL);
    why_status st = rc ? why_db_fail(&to, rc, "create the database") : copy_pages(from, &to);
    rc = sqlite3_close(to.db);
    return st || !rc ? st : why_db_fail(&to, rc, "close the database");
}

/* A journal that a killed run left beside the old file would be rolled back into the new one. */
static why_status settle(const char *path) {
    why_store *old;
    char *journal;
    why_buf b = {0};
    why_buf_printf(&b, "%s-journal", path);
    WHY_TRY(why_buf_take(&b, &journal));
    const bool left = access(journal, F_OK) == 0;
    free(journal);
    if (!left) return WHY_OK;
    WHY_TRY(why_store_open_readonly(path, &old));
    why_store_close(&old);
    return WHY_OK;
}

static why_status replace(why_store *from, const char *to, const char *part) {
    unlink(part); /* a killed copy's, whose process id came round again */
    why_status st = fill(from, part);
    if (!st) st = settle(to);
    if (!st && rename(part, to) != 0) st = why_fail(WHY_ESTORE, "%s: cannot rename into place: %s", to, strerror(errno));
    if (st) unlink(part);
    return st;
}

why_status why_store_copy(const char *from, const char *to) {
    why_store *source;
    char *part;
    why_buf name = {0};
    WHY_TRY(why_store_open_readonly(from, &source));
    why_buf_printf(&name, "%s.part-%ld", to, (long)getpid());
    why_status st = why_buf_take(&name, &part);
    if (!st) {
        st = replace(source, to, part);
        free(part);
    }
    why_store_close(&source);
    return st;
}
