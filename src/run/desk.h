/* What rank 0's main thread does during a run: it carries messages between the workers and the coordinator, and performs
 * the coordinator's actions on the database. Everything that touches the outside is here; everything that decides is in
 * coordinator.c. */
#ifndef WHYPIX_RUN_DESK_H
#define WHYPIX_RUN_DESK_H

#include "run/coordinator.h"
#include "run/plan.h"
#include "run/totals.h"
#include "run/transport.h"
#include "store/store.h"

typedef struct why_desk_options {
    const why_plan *plan;             /* ids are those of the database */
    why_store *store;                 /* no transaction open */
    int64_t run_id;
    const int *todo;                  /* indices into plan->images: what is to be done */
    why_transport *local, *world;     /* worker 0 is end 1 of `local` (NULL: there is none); world (or NULL) has the others, by rank */
    why_coordinator_options rules;    /* workers = ranks, images = length of todo */
    const why_total_metric *metrics;  /* for the totals */
    int n_metrics;
    bool (*drain)(void *ctx);         /* asked in every round: has somebody asked to end early? */
    void (*progress)(void *ctx, const why_coordinator_view *view); /* a few times a second */
    void *ctx;
} why_desk_options;

typedef struct why_desk_result {
    int exit_code;
    bool everyone;                    /* no worker is lost: collective calls are safe */
    bool local_left;                  /* worker 0 has ended; else it hangs in an image and cannot be joined */
    why_totals applied;               /* of the records applied; owned by the caller */
    why_coordinator_view view;        /* at the end; no trouble text */
    char trouble[256];                /* the last thing that went wrong with a worker, or "" */
} why_desk_result;

/* Until the coordinator finishes. Errors: the store's (everything committed before is intact; the workers were told to
 * stop), WHY_ENOMEM. `result` is filled in either case, and result->applied must be cleared. */
why_status why_desk_run(const why_desk_options *options, why_desk_result *result) WHY_MUST_USE;

#endif
