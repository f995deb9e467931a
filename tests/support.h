/* Where tests find optional data, and how they say that it is missing. */
#ifndef WHYPIX_TESTS_SUPPORT_H
#define WHYPIX_TESTS_SUPPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* $WHYPIX_DATA/NAME, or NAME in the default place beside the sources; `path` holds the answer. False: not there, and a
 * line "skipped: ..." was printed for the summary. */
static inline bool test_data(const char *name, char path[4096]) {
    const char *data = getenv("WHYPIX_DATA"), *source = getenv("WHYPIX_SOURCE");
    if (data) snprintf(path, 4096, "%s/%s", data, name);
    else snprintf(path, 4096, "%s/../shared/data/%s", source ? source : ".", name);
    if (access(path, R_OK) == 0) return true;
    printf("skipped: no %s in $WHYPIX_DATA\n", name);
    return false;
}

/* A file of the repository. */
static inline const char *test_source(const char *name, char path[4096]) {
    const char *source = getenv("WHYPIX_SOURCE");
    snprintf(path, 4096, "%s/%s", source ? source : ".", name);
    return path;
}

#endif
