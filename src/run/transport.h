/* Messages between the coordinator and its workers, whatever carries them: MPI between processes, a queue within one.
 * Order between two ends is kept; nothing else is promised (the protocol on top survives loss and duplicates). */
#ifndef WHYPIX_RUN_TRANSPORT_H
#define WHYPIX_RUN_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

/* Bytes of the longest message. Open MPI sends up to about 4 kB (shared memory) without waiting for the receiver; above
 * that limit a dying peer leaves the other side hanging in its receive. */
enum { WHY_MESSAGE_MAX = 3500 };

typedef struct why_transport why_transport;

struct why_transport {
    int rank, size; /* of this end; ends are numbered 0 .. size - 1 */
    /* Never waits for the receiver; the bytes are copied. WHY_EPEER when the message cannot leave. */
    why_status (*send)(why_transport *t, int to, const uint8_t *bytes, size_t n);
    /* Next message into `bytes` (WHY_MESSAGE_MAX of them); *n = 0 when none came within `wait_s` seconds (0: only look). */
    why_status (*receive)(why_transport *t, double wait_s, uint8_t *bytes, size_t *n, int *from);
};

/* n ends within this process, ends[i].rank = i; each end may be used by one thread. why_queue_destroy ends them all and
 * may be called once no thread uses any of them. */
typedef struct why_queue why_queue;
why_status why_queue_create(int n, why_queue **out) WHY_MUST_USE;
void why_queue_destroy(why_queue **q);
why_transport *why_queue_end(why_queue *q, int i); /* a view */

/* Seconds of the monotonic clock, and a pause. */
double why_clock(void);
void why_pause(double seconds);

/* How long a poller that finds nothing should rest: 50 us, doubled with every empty look up to 5 ms, so that a waiting
 * rank costs next to nothing (1 ms costs 2 % of a core) and a busy one answers at once. *idle counts empty looks; set it to 0 when something came. */
double why_backoff(int *idle);

#endif
