/* A small pool of threads for fixed pieces of work.
 *
 * A piece's result may depend only on its index, never on which thread runs it or on how many there are: that is how
 * whypix keeps results bit-identical for any number of threads. */
#ifndef WHYPIX_POOL_H
#define WHYPIX_POOL_H

#include "whypix/status.h"

typedef struct why_pool why_pool;

/* One piece: `index` in [0, n), `thread` in [0, threads) for scratch memory that threads must not share. */
typedef void why_pool_fn(void *ctx, int index, int thread);

/* `threads` >= 1 counts the calling thread, which works too. */
why_status why_pool_create(int threads, why_pool **out) WHY_MUST_USE;
void why_pool_destroy(why_pool **p);
int why_pool_threads(const why_pool *p); /* NULL: 1 */

/* Run fn for every index in [0, n) and return when all are done. NULL pool: in this thread, in order.
 * One caller at a time; must not be called from inside fn. */
void why_pool_run(why_pool *p, int n, why_pool_fn *fn, void *ctx);

#endif
