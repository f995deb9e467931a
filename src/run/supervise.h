/* `whypix launch`: mpirun in Open MPI's recovery mode, watched from outside.
 *
 * Open MPI 4.1 ends a job when one of its processes dies; in recovery mode it lets the others go on, but then no call ever
 * reports a death, and mpirun often never returns. So the run itself finds out whom it lost (coordinator.h), and tells by a
 * marker (marker.h) how it ended; the supervisor ends what is left of mpirun then. It also sees that rank 0 is dead, ends
 * everything, and launches again: a run computes only what its database lacks. */
#ifndef WHYPIX_RUN_SUPERVISE_H
#define WHYPIX_RUN_SUPERVISE_H

#include "run/run.h"

typedef struct why_supervise_options {
    const char *marker;            /* file to make beside the database */
    char *const *command;          /* mpirun and everything behind it, NULL-terminated */
    int max_restarts;
    why_patience patience;
    void (*report)(void *ctx, const char *text); /* something happened: one line, for people */
    void *ctx;
} why_supervise_options;

typedef struct why_run_outcome {
    why_status status;             /* of the run; it has printed its reason itself */
    int code;                      /* its exit code, when status is WHY_OK */
} why_run_outcome;

/* Until the run has ended. SIGUSR1, SIGTERM, SIGINT and SIGHUP end it early and in peace: rank 0 drains. A second SIGTERM
 * or SIGINT does not wait for that. Nothing that descends from this process is left running. One supervision at a time in
 * a process. Errors: mpirun cannot be started, or the run was lost too often (WHY_EPEER); it was interrupted before it
 * could say how it ended (WHY_EINTERRUPTED); a launch is at this database already (WHY_EARG). */
why_status why_supervise(const why_supervise_options *options, why_run_outcome *outcome) WHY_MUST_USE;

#endif
