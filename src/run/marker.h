/* The file between a supervised run and its supervisor: where rank 0 is, that it is alive, and how the run ended. It lies
 * beside the database. The supervisor writes it before each launch, with a new token; rank 0 writes it again now and then.
 * A rank 0 that finds another token in it, or no file, has been given up: another may be writing the database already. */
#ifndef WHYPIX_RUN_MARKER_H
#define WHYPIX_RUN_MARKER_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/status.h"

typedef enum why_marker_phase {
    WHY_MARKER_LAUNCHED, /* by the supervisor; host and pid are its own */
    WHY_MARKER_STARTING, /* rank 0 is there */
    WHY_MARKER_WORKING,  /* images are being handed out */
    WHY_MARKER_ENDING,   /* all is stored; the last steps with the other ranks */
    WHY_MARKER_ENDED     /* rank 0 needs nobody any more */
} why_marker_phase;

typedef struct why_marker {
    int64_t token;
    why_marker_phase phase;
    int64_t beat;        /* grows while rank 0 is alive */
    int64_t pid;
    char host[64];
    why_status status;   /* ENDED: of the run */
    int code;            /* ENDED: exit code when status is WHY_OK */
    bool again;          /* ENDED: images are left, for want of workers: a new launch would go on */
} why_marker;

/* In place, always the same number of bytes: it works on a full disk. create: else a missing file is WHY_EFILE. */
why_status why_marker_write(const char *path, bool create, const why_marker *m) WHY_MUST_USE;
/* WHY_EFILE or WHY_EFORMAT when there is none. */
why_status why_marker_read(const char *path, why_marker *m) WHY_MUST_USE;
/* Put this process's host and pid into m. */
void why_marker_sign(why_marker *m);
/* On this host, and no such process: it is dead for certain. */
bool why_marker_dead(const why_marker *m);

#endif
