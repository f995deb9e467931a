/* Files: mapped reads, whole reads, atomic writes, hashes. Errors name the path and the system's reason. */
#ifndef WHYPIX_BASE_FILE_H
#define WHYPIX_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

typedef struct why_mapped {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
} why_mapped;
/* Map a regular file read-only. Directories, pipes and missing files are WHY_EFILE. */
why_status why_map_open(const char *path, why_mapped *out) WHY_MUST_USE;
void why_map_close(why_mapped *m);

/* Whole file with a NUL behind it (owned). Larger than `limit` bytes: WHY_ELIMIT. */
why_status why_read_file(const char *path, size_t limit, uint8_t **data, size_t *size) WHY_MUST_USE;
/* Write beside the target, fsync, rename: a reader sees the old or the new file, never a part. */
why_status why_write_file(const char *path, const void *data, size_t size) WHY_MUST_USE;
/* mkdir -p */
why_status why_make_dirs(const char *path) WHY_MUST_USE;
/* The folder that a file is to be written into. */
why_status why_make_dirs_for(const char *file) WHY_MUST_USE;

/* SHA-256 as 64 lower-case hex digits and a NUL. */
void why_sha256(const void *data, size_t size, char hex[65]);
why_status why_sha256_file(const char *path, char hex[65]) WHY_MUST_USE;
/* The first 16 hex digits of a digest as a number: keys of random streams. */
uint64_t why_sha256_key(const char hex[65]);

/* `path` seen from `base_file`'s folder unless it is absolute (owned). */
why_status why_path_beside(const char *base_file, const char *path, char **out) WHY_MUST_USE;

#endif
