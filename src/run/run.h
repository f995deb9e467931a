/* `whypix run`: a job from its file to its database, on every rank. */
#ifndef WHYPIX_RUN_RUN_H
#define WHYPIX_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "run/worker.h"
#include "store/store.h"

/* What is going on, on rank 0. */
typedef struct why_run_report {
    enum { WHY_RUN_BEGINS, WHY_RUN_GOES_ON, WHY_RUN_ENDS } phase;
    const char *job, *database, *threads_from;
    const char *maps_dir, *overlays_dir;  /* NULL: none */
    int ranks, threads;                   /* threads: of each rank */
    int images, cells;                    /* of the job (images: after --limit) */
    int todo, closed, failed;             /* images: to do in this run; done of them, failed ones included */
    int all_failed;                       /* images with a failed explanation in the database (WHY_RUN_ENDS) */
    int workers, lost;
    double seconds, rate, left;           /* since the first shard; images/s; seconds to go (negative: not known) */
    bool stopping;
    const char *trouble;                  /* the last thing that went wrong with a worker, or "" */
    int exit_code;                        /* WHY_RUN_ENDS */
} why_run_report;

/* How long to wait before somebody is taken for lost, in seconds. */
typedef struct why_patience {
    double beat;                          /* between two signs of life */
    double silence;                       /* of a worker */
    double image;                         /* one image may always take so long (or twenty times the slowest so far, if more) */
    double goodbye;                       /* of a worker that was told to leave, and of mpirun */
    double rank0;                         /* silence of rank 0: longer than a commit that is held up by readers */
    double start;                         /* until rank 0 hands out the first image */
} why_patience;
why_patience why_patience_defaults(void);

typedef struct why_run_options {
    const char *job_file;                 /* NULL in a re-run: that of the database's last run */
    const char *database;                 /* NULL: as the job says */
    int64_t limit;                        /* first so many images of the list; < 0: all */
    int64_t slice, slices;                /* of those, every slices-th one from the slice-th (from 0) on; slices 0: all */
    const why_selection *rerun;           /* compute these again (in `database`, which must be there); NULL: what is missing */
    const char *beside;                   /* maps and overlays go beside this file; NULL: beside the database */
    /* Threads for each rank, given the job file's number (0: auto) and how many ranks share this rank's cores. */
    why_status (*choose_threads)(void *ctx, int job, int sharers, int *threads, const char **from);
    void (*report)(void *ctx, const why_run_report *r); /* rank 0 only; several times a second while it goes on */
    void *ctx;
    why_work_fn *work;                    /* NULL: the pipeline; a test's stand-in gets the plan as its ctx */
    const why_patience *patience;         /* NULL: the defaults */
    /* Under `whypix launch`: its marker. Rank 0 only coordinates then, the others compute in processes of their own, and
     * the run ends early with exit code 3 when more than half of the workers are gone: a new launch has all of them. */
    const char *marker;                   /* NULL: not supervised */
} why_run_options;

typedef struct why_run_result {
    int rank, exit_code;                  /* exit code: of the design on rank 0, 0 on all others */
    bool must_exit;                       /* somebody is lost: end with _exit, for exit handlers of MPI would wait for it */
} why_run_result;

/* SIGUSR1 ends the run early and in peace (exit code 75), as do SIGTERM and SIGINT when the process is not under mpirun.
 * After the first SIGTERM or SIGINT the next one has its usual effect. One run at a time in a process.
 * An error on one rank is an error on all; its text is rank 0's to print (result->rank). */
why_status why_run(const why_run_options *options, why_run_result *result) WHY_MUST_USE;

#endif
