/* All processes of the run: MPI when mpirun or srun started us, else this process alone. The only file with <mpi.h> is
 * transport_mpi.c. Only the thread that created the world may use it (MPI_THREAD_FUNNELED).
 *
 * The collective calls below are for the beginning, and for the end when every rank is known to be there: Open MPI 4.1
 * never returns from a collective with a dead member. In between everything goes through the transport. */
#ifndef WHYPIX_RUN_TRANSPORT_MPI_H
#define WHYPIX_RUN_TRANSPORT_MPI_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/moments.h"
#include "run/transport.h"

typedef struct why_world why_world;

why_status why_world_create(why_world **out) WHY_MUST_USE;
/* everyone: all ranks come here, so MPI can be finalized; else it is left as it is, and the process should _exit. */
void why_world_destroy(why_world **w, bool everyone);

bool why_world_launched(void);                     /* started by mpirun or srun? */
int why_world_rank(const why_world *w);
int why_world_size(const why_world *w);
int why_world_sharers(const why_world *w);         /* ranks of this node that share this rank's cores; 1 when bound apart */
bool why_world_beside_root(const why_world *w);    /* is rank 0 one of them? */
why_transport *why_world_transport(why_world *w);  /* a view; NULL when alone */

/* Collective: WHY_OK when all ranks come with WHY_OK, else on every rank the error of the lowest rank that has one, its
 * text too. So no rank goes on to data that another cannot give. */
why_status why_world_agree(why_world *w, why_status mine) WHY_MUST_USE;
/* Collective: every rank gets rank 0's bytes. */
why_status why_world_broadcast(why_world *w, why_buf *b) WHY_MUST_USE;
/* Collective: parts[i] of rank 0 becomes the merge of all ranks' parts[i]. */
why_status why_world_merge(why_world *w, why_moments *parts, int n) WHY_MUST_USE;

#endif
