/* The compute process of a supervised worker: a picture (or a bug) that crashes the computation costs neither a rank nor
 * the MPI job. The rank keeps the messages, the records that wait for their acknowledgement and the sums; its compute
 * process is this program once more, gets an image at a time and gives a record. It dies with its rank. */
#ifndef WHYPIX_RUN_COMPUTE_H
#define WHYPIX_RUN_COMPUTE_H

#include <stdint.h>

#include "base/buf.h"
#include "run/protocol.h"

typedef struct why_compute why_compute;

typedef struct why_compute_order {
    const char *job_file;
    const char *database, *beside; /* as in why_run_options; NULL: the job's */
    int threads;
    const why_buf *ids;            /* why_plan_ids_write of the caller's plan: the process must come to the same one */
} why_compute_order;

/* Start the process and wait until it is ready; its own error, if it cannot. The order is copied. */
why_status why_compute_start(const why_compute_order *order, why_compute **out) WHY_MUST_USE;
/* Kill the process. No other thread may be in why_compute_image. */
void why_compute_stop(why_compute **c);

/* A why_work_fn, for the one thread that computes; ctx is the why_compute. A process that died since the last image is
 * replaced first. WHY_ECRASH when it dies at this one; the error text is only how: "SIGSEGV", "exit code 7". SIGKILL is
 * mostly somebody else's doing (a person, memory that another process used up), so then the image is tried once more. */
why_status why_compute_image(void *ctx, const why_task *task, why_buf *record) WHY_MUST_USE;

/* Kill the process from another thread; who waits for its record gets WHY_ECRASH ("SIGKILL"). */
void why_compute_break_off(why_compute *c);

/* The process itself: serve orders that come on WHY_COMPUTE_FD until `parent` closes it or dies. WHY_EARG when it was not
 * started by why_compute_start. */
enum { WHY_COMPUTE_FD = 3 };
why_status why_compute_serve(int64_t parent) WHY_MUST_USE;

#endif
