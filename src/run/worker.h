/* A worker: takes images, computes them one after the other, sends their records and keeps each until it is
 * acknowledged. It runs on a thread of its own behind a queue, on rank 0 as on any other rank: the process's main thread
 * carries the messages on (relay), so that beats are answered while an image is being computed. */
#ifndef WHYPIX_RUN_WORKER_H
#define WHYPIX_RUN_WORKER_H

#include "base/buf.h"
#include "run/protocol.h"
#include "run/totals.h"
#include "run/transport.h"

/* Compute one image (why_pipeline_image, why_compute_image, or a test's stand-in). After WHY_ECRASH the worker goes on with
 * the next image; every other error is the end of it. */
typedef why_status why_work_fn(void *ctx, const why_task *task, why_buf *record);

typedef struct why_worker_options {
    why_transport *link;      /* to the coordinator, which is its end `coordinator` */
    int coordinator;
    int threads;              /* told in HELLO */
    why_work_fn *work;
    void *ctx;
    int window;               /* records that may wait for their acknowledgement before the worker pauses; 0: 64 */
    double resend;            /* seconds after which an unacknowledged record is sent again, doubled each time; 0: 20 */
} why_worker_options;

/* Until the coordinator says STOP, or the work fails for good (WHY_OK too: the coordinator was told, and decides). The
 * totals count what the coordinator acknowledged as taken from here. Errors: the link's, WHY_ENOMEM. */
why_status why_worker_run(const why_worker_options *options, why_totals *totals) WHY_MUST_USE;

typedef struct why_relay_options {
    double beat_every;        /* seconds between two beats to rank 0 */
    double silence;           /* seconds without any message after which rank 0 is lost */
    void (*break_off)(void *ctx); /* rank 0 wants the running image no more; may be NULL */
    void *ctx;
} why_relay_options;

/* The main thread of a rank without coordinator: carry messages between `queue` (the worker is its end 1) and rank 0,
 * and beat, until the worker said BYE and rank 0 CLOSE. *everyone: rank 0 says that all ranks are there, so that
 * collective calls are safe. WHY_EPEER when rank 0 was silent for too long; the worker has then been told to stop. */
why_status why_relay_run(why_transport *queue, why_transport *world, const why_relay_options *options, bool *everyone) WHY_MUST_USE;

#endif
