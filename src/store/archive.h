/* Maps in few files: a SQLite Archive (table sqlar, zlib; `sqlite3 -A` lists and extracts it) per writing process, because
 * parallel file systems hate a million small files. A folder of maps holds single files, archives, or both; an entry is called as
 * the file would be, "IMAGE/CELL.npy", which is what explanation.map says. */
#ifndef WHYPIX_STORE_ARCHIVE_H
#define WHYPIX_STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

typedef struct why_archive why_archive;

/* For writing, by this process alone; made when missing. What a killed process left half-written is undone. */
why_status why_archive_open(const char *path, why_archive **out) WHY_MUST_USE;
void why_archive_close(why_archive **a); /* drops what is not committed */
/* Put an entry, in place of one of the same name. It is there for good after the next commit. */
why_status why_archive_put(why_archive *a, const char *name, const void *bytes, size_t n) WHY_MUST_USE;
why_status why_archive_commit(why_archive *a) WHY_MUST_USE;
void why_archive_rollback(why_archive *a);

/* Put every entry of the archive at `path` under its new name, unless that is taken; false from `rename`: leave it out. Adds how
 * many were taken to *n. */
typedef bool why_entry_rename_fn(void *ctx, const char *name, char out[64]);
why_status why_archive_take(why_archive *a, const char *path, why_entry_rename_fn *rename, void *ctx, int64_t *n) WHY_MUST_USE;

/* An entry of whatever archive of a folder has it (owned); *bytes NULL: none has. */
why_status why_archive_find(const char *maps_dir, const char *name, uint8_t **bytes, size_t *n) WHY_MUST_USE;

/* Call fn for every archive of a folder, in order of their names; a folder that is not there has none. An error of fn stops. */
typedef why_status why_each_archive_fn(void *ctx, const char *path);
why_status why_each_archive(const char *maps_dir, why_each_archive_fn *fn, void *ctx) WHY_MUST_USE;

#endif
