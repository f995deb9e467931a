#include "fiber.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 512 << 10 /* SQLite runs on it, too */ };

typedef struct fiber {
    ucontext_t context;
    process *home;
    fiber_fn *body;
    void *arg;
    double wake;
    bool wakeable, ended;
} fiber;

struct fibers {
    fiber all[MAX_FIBERS];
    int n, current; /* current: -1 outside */
    ucontext_t outside;
    double now;
    char *stacks;
};

fibers *fibers_create(void) {
    fibers *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->stacks = mmap(NULL, (size_t)MAX_FIBERS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    f->current = -1;
    if (f->stacks != MAP_FAILED) return f;
    free(f);
    return NULL;
}

void fibers_destroy(fibers *f) {
    munmap(f->stacks, (size_t)MAX_FIBERS * STACK);
    free(f);
}

void fibers_reset(fibers *f) {
    f->n = 0;
    f->now = 0;
}

/* makecontext passes ints only: the pointer goes in two halves. */
static void enter(unsigned high, unsigned low) {
    fibers *f = (fibers *)(uintptr_t)((uint64_t)high << 32 | low);
    fiber *me = &f->all[f->current];
    me->body(me->arg);
    me->ended = true;
    swapcontext(&me->context, &f->outside);
}

int fiber_start(fibers *f, process *home, double at, fiber_fn *body, void *arg) {
    if (f->n == MAX_FIBERS) abort();
    fiber *x = &f->all[f->n];
    *x = (fiber){.home = home, .body = body, .arg = arg, .wake = at};
    getcontext(&x->context);
    x->context.uc_stack.ss_sp = f->stacks + (size_t)f->n * STACK;
    x->context.uc_stack.ss_size = STACK;
    const uint64_t self = (uintptr_t)f;
    makecontext(&x->context, (void (*)(void))enter, 2, (unsigned)(self >> 32), (unsigned)self);
    return f->n++;
}

double fibers_now(const fibers *f) { return f->now; }
void fibers_set_clock(fibers *f, double now) { f->now = now > f->now ? now : f->now; }
bool fiber_ended(const fibers *f, int which) { return f->all[which].ended; }
int fiber_current(const fibers *f) { return f->current; }

double fibers_next(const fibers *f, int *which) {
    double best = INFINITY;
    for (int i = 0; i < f->n; i++) {
        const fiber *x = &f->all[i];
        if (x->ended) continue;
        const double at = fmax(x->wake, x->home->frozen_until);
        if (at < best) {
            best = at;
            *which = i;
        }
    }
    return best;
}

void fiber_resume(fibers *f, int which, double now) {
    fibers_set_clock(f, now);
    f->current = which;
    swapcontext(&f->outside, &f->all[which].context);
    f->current = -1;
}

void fiber_rest(fibers *f, double until, bool wakeable) {
    fiber *me = &f->all[f->current];
    if (me->home->dead) return;
    me->wake = until;
    me->wakeable = wakeable;
    swapcontext(&me->context, &f->outside);
}

void fiber_wake(fibers *f, int which) {
    fiber *x = &f->all[which];
    if (x->wakeable && x->wake > f->now) x->wake = f->now;
}

void fiber_interrupt(fibers *f, int which) {
    if (f->all[which].wake > f->now) f->all[which].wake = f->now;
}

void fibers_unwind(fibers *f, const process *home) {
    for (int i = 0; i < f->n; i++)
        if (f->all[i].home == home && i != f->current)
            while (!f->all[i].ended) fiber_resume(f, i, f->now);
}
