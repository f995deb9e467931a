/* Cooperative threads on a virtual clock, so that the product's own blocking loops (desk, relay, worker) run in one
 * thread, in an order that follows from a seed. A process holds up to two fibers and can be frozen or killed. */
#ifndef WHYPIX_SIMULATE_FIBER_H
#define WHYPIX_SIMULATE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_RANKS = 6, MAX_FIBERS = 2 * MAX_RANKS };

typedef struct process {
    bool dead;            /* killed: every call of its fibers fails until they have unwound, and has no effect */
    double frozen_until;  /* SIGSTOP until then; INFINITY: for ever */
} process;

typedef struct fibers fibers;
typedef void fiber_fn(void *arg);

fibers *fibers_create(void);
void fibers_destroy(fibers *f);
/* Forget all fibers (they must have ended) and set the clock to 0. */
void fibers_reset(fibers *f);
int fiber_start(fibers *f, process *home, double at, fiber_fn *body, void *arg);

double fibers_now(const fibers *f);
/* When the next fiber wants to run (INFINITY: none), which it is, and let it run. */
double fibers_next(const fibers *f, int *which);
void fiber_resume(fibers *f, int which, double now);
void fibers_set_clock(fibers *f, double now);
bool fiber_ended(const fibers *f, int which);
int fiber_current(const fibers *f);

/* From within a fiber: rest until `until`, or until fiber_wake when `wakeable`. */
void fiber_rest(fibers *f, double until, bool wakeable);
void fiber_wake(fibers *f, int which);
void fiber_interrupt(fibers *f, int which); /* ends any rest */
/* Let all fibers of a killed process unwind: their calls fail from now on. */
void fibers_unwind(fibers *f, const process *home);

#endif
