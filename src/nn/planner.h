/* What plan.c and plan_blocked.c share while a session is planned. */
#ifndef WHYPIX_NN_PLANNER_H
#define WHYPIX_NN_PLANNER_H

#include "nn/plan.h"

/* A tensor or a gradient in time and memory. */
struct buffer {
    int from, to;      /* steps, inclusive; from = INT_MAX: never written */
    int64_t image;     /* floats of one image */
    int64_t size, at;  /* floats */
    bool local;        /* lives within a range of steps: it holds one group of images at a time */
    bool fixed;        /* resume leaves it as forward did */
};

struct planner {
    const why_graph *g;
    const why_blocked *blocked;  /* NULL: everything stays plain */
    why_session_plan *p;
    int n;                       /* values */
    int resume;                  /* value, or WHY_ABSENT */
    int *consumer;               /* per value: a node that reads it */
    struct buffer *value, *grad; /* per root */
    struct buffer *blocks;       /* per block root */
    bool *seeded;                /* per root: its gradient has been begun */
    bool *in_blocks;             /* per node: it runs on the blocked layout */
    bool *read_later;            /* per root: the user or backward reads it, plain */
    bool *has_plain, *has_blocks; /* per root and per value: written by a step so far */
    bool *depends;               /* per value: it changes with the one resumed from */
};

static inline why_slot *why_slot_of(const struct planner *k, int value) { return &k->p->slots[value]; }

/* Which nodes run on the blocked layout: those whose operator can, where that costs no conversion of its own. */
void why_plan_layouts(struct planner *k);
/* Which values are written straight into a place inside another: the inputs of Concat. */
void why_plan_joints(struct planner *k);
/* Steps of a session in ranges that run a few images at a time, so that what they hand on is still in a cache. */
why_status why_plan_groups(struct planner *k) WHY_MUST_USE;

#endif
