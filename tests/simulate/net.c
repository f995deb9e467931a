#include "world.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/protocol.h"

typedef struct letter {
    struct letter *next;
    int from;
    size_t n;
    uint8_t bytes[];
} letter;

typedef struct note {
    double at;
    uint64_t order;
    int to;
    letter *letter;
} note;

/* ---------------------------------------------------------------- messages under way */
static bool earlier(const note *a, const note *b) { return a->at < b->at || (a->at == b->at && a->order < b->order); }

static void heap_put(world *w, note n) {
    if (w->n_notes == w->notes_capacity) {
        w->notes_capacity = w->notes_capacity ? 2 * w->notes_capacity : 256;
        w->notes = realloc(w->notes, w->notes_capacity * sizeof *w->notes);
        if (!w->notes) abort();
    }
    size_t i = w->n_notes++;
    for (; i > 0 && earlier(&n, &w->notes[(i - 1) / 2]); i = (i - 1) / 2) w->notes[i] = w->notes[(i - 1) / 2];
    w->notes[i] = n;
}

static note heap_take(world *w) {
    const note top = w->notes[0], last = w->notes[--w->n_notes];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->n_notes; i = child) {
        if (child + 1 < w->n_notes && earlier(&w->notes[child + 1], &w->notes[child])) child++;
        if (!earlier(&w->notes[child], &last)) break;
        w->notes[i] = w->notes[child];
    }
    w->notes[i] = last;
    return top;
}

double net_next(const world *w) { return w->n_notes ? w->notes[0].at : INFINITY; }

static void drop_into(world *w, mailbox *box, letter *l) {
    l->next = NULL;
    if (box->last) box->last->next = l;
    else box->first = l;
    box->last = l;
    fiber_wake(w->fibers, box->owner);
}

void net_deliver(world *w) {
    const note n = heap_take(w);
    fibers_set_clock(w->fibers, n.at);
    if (w->ranks[n.to].p.dead) free(n.letter);
    else drop_into(w, w->ranks[n.to].outer.in, n.letter);
}

static letter *letter_of(int from, const uint8_t *bytes, size_t n) {
    letter *l = malloc(sizeof *l + n);
    if (!l) abort();
    l->from = from;
    l->n = n;
    memcpy(l->bytes, bytes, n);
    return l;
}

/* ---------------------------------------------------------------- what rank 0 may say */
static void check_promises(world *w, int to, const why_message *m) {
    if (m->type == WHY_MSG_WORK)
        EXPECT(w, m->shard <= w->db.shards, "shard %lld goes to worker %d, %lld rows are committed", (long long)m->shard, to, (long long)w->db.shards);
    if (m->type == WHY_MSG_ACK)
        EXPECT(w, w->db.image[w->todo[m->image]] != OPEN, "image %d is acknowledged to worker %d, but not committed", w->todo[m->image] + 1, to);
}

static void tell_message(world *w, int from, int to, const uint8_t *bytes, size_t n, const char *what) {
    why_message m;
    if (why_message_decode(bytes, n, &m)) tell(w, "%d -> %d damaged%s", from, to, what);
    else tell(w, "%d -> %d %s shard %lld image %d part %u/%u flag %d%s", from, to, why_message_name(m.type), (long long)m.shard, m.image, m.part + 1, m.parts, m.flag, what);
}

/* ---------------------------------------------------------------- between ranks */
static bool spend(bool *armed) {
    const bool was = *armed;
    *armed = false;
    return was;
}

/* One copy of a message. The link's faults are kept at the rank that is not 0. */
static void post(world *w, int from, int to, const uint8_t *bytes, size_t n) {
    rank *r = &w->ranks[from ? from : to];
    double *last = &r->arrived[to == 0], now = fibers_now(w->fibers), at = now + within(w, 1e-4, w->latency);
    const bool cut = now < r->cut_until, lost = spend(&r->lose_next) || (cut && r->cut_drops);
    if (w->trace) tell_message(w, from, to, bytes, n, lost ? " (lost)" : cut ? " (held)" : "");
    w->lossy = w->lossy || lost;
    if (lost) return;
    if (spend(&r->spike_next)) at += within(w, 0.5, 3 * SILENCE);
    if (cut) at += r->cut_until - now;
    if (!w->reorder && at < *last) at = *last;
    *last = fmax(at, *last);
    if (isinf(at)) return;
    heap_put(w, (note){.at = at, .order = w->order++, .to = to, .letter = letter_of(from, bytes, n)});
}

/* False: the sender died before this message left. */
static bool survives(world *w, rank *r) {
    if (r->p.dead) return false;
    if (r->dies_in == 0 || --r->dies_in > 0) return true;
    kill_process(w, r->index, "killed between two messages");
    return false;
}

static why_status outer_send(line *l, int to, const uint8_t *bytes, size_t n) {
    world *w = l->w;
    rank *r = &w->ranks[l->rank ? l->rank : to];
    uint8_t copy[WHY_MESSAGE_MAX];
    why_message m;
    EXPECT(w, n <= WHY_MESSAGE_MAX && why_message_decode(bytes, n, &m) == WHY_OK, "rank %d sends nonsense", l->rank);
    EXPECT(w, to < w->n_ranks && (l->rank == 0) != (to == 0), "rank %d sends to rank %d", l->rank, to);
    if (!survives(w, &w->ranks[l->rank])) return why_fail(WHY_EPEER, "killed");
    if (l->rank == 0) check_promises(w, to, &m);
    w->messages++;
    if (l->rank == 0 && spend(&r->unreachable_next)) {
        w->lossy = true;
        return why_fail(WHY_EPEER, "rank %d cannot be reached", to);
    }
    memcpy(copy, bytes, n);
    if (spend(&r->corrupt_next)) {
        copy[below(w, (int)n)] ^= (uint8_t)(1 << below(w, 8));
        w->lossy = true;
    }
    post(w, l->rank, to, copy, n);
    if (!chance(w, w->twice)) return WHY_OK;
    w->lossy = true;
    post(w, l->rank, to, copy, n);
    return WHY_OK;
}

static why_status line_send(why_transport *t, int to, const uint8_t *bytes, size_t n) {
    line *l = (line *)(void *)t;
    if (!l->other) return outer_send(l, to, bytes, n);
    if (l->w->ranks[l->rank].p.dead) return why_fail(WHY_EPEER, "killed");
    EXPECT(l->w, to == l->other->base.rank, "end %d of a queue sends to %d", t->rank, to);
    if (l->w->trace && l->rank == 0) tell_message(l->w, 0, 0, bytes, n, t->rank == 0 ? " (to its worker)" : " (from its worker)");
    why_message m;
    if (l->rank == 0 && t->rank == 0 && why_message_decode(bytes, n, &m) == WHY_OK) check_promises(l->w, 0, &m);
    drop_into(l->w, l->other->in, letter_of(t->rank, bytes, n));
    return WHY_OK;
}

static why_status line_receive(why_transport *t, double wait_s, uint8_t *bytes, size_t *n, int *from) {
    line *l = (line *)(void *)t;
    world *w = l->w;
    const process *p = &w->ranks[l->rank].p;
    *n = 0;
    if (!l->in->first && wait_s > 0) fiber_rest(w->fibers, fibers_now(w->fibers) + wait_s, true);
    if (p->dead) return why_fail(WHY_EPEER, "killed");
    letter *first = l->in->first;
    if (!first) return WHY_OK;
    l->in->first = first->next;
    if (!first->next) l->in->last = NULL;
    memcpy(bytes, first->bytes, first->n);
    *n = first->n;
    *from = first->from;
    free(first);
    return WHY_OK;
}

static void line_open(world *w, line *l, int process_rank, int end, int size, mailbox *in, line *other) {
    *l = (line){.base = {.rank = end, .size = size, .send = line_send, .receive = line_receive}, .w = w, .rank = process_rank, .in = in, .other = other};
}

void net_open(world *w) {
    for (int i = 0; i < w->n_ranks; i++) {
        rank *r = &w->ranks[i];
        line_open(w, &r->outer, i, i, w->n_ranks, &r->boxes[0], NULL);
        line_open(w, &r->queue[0], i, 0, 2, &r->boxes[1], &r->queue[1]);
        line_open(w, &r->queue[1], i, 1, 2, &r->boxes[2], &r->queue[0]);
    }
}

void net_close(world *w) {
    while (w->n_notes > 0) free(heap_take(w).letter);
    for (int i = 0; i < w->n_ranks; i++)
        for (int k = 0; k < 3; k++)
            for (letter *l; (l = w->ranks[i].boxes[k].first);) {
                w->ranks[i].boxes[k].first = l->next;
                free(l);
            }
}

void kill_process(world *w, int index, const char *how) {
    tell(w, "rank %d %s", index, how);
    w->ranks[index].p.dead = true;
    w->ranks[index].p.frozen_until = 0; /* so that its fibers can unwind */
}

/* ---------------------------------------------------------------- the product's system calls */
int __wrap_getpid(void);
int __wrap_kill(int pid, int signal);

enum { FIRST_PID = 1000 };

int __wrap_getpid(void) {
    for (int i = 0; i < the_world->n_ranks; i++)
        if (the_world->ranks[i].fibers[1] == fiber_current(the_world->fibers)) return FIRST_PID + i;
    return FIRST_PID;
}

/* Is the process there? On other hosts there are other processes. */
int __wrap_kill(int pid, int signal) {
    EXPECT(the_world, signal == 0 && pid >= FIRST_PID && pid < FIRST_PID + the_world->n_ranks, "signal %d to process %d", signal, pid);
    errno = ESRCH;
    return the_world->one_host && !the_world->ranks[pid - FIRST_PID].p.dead ? 0 : -1;
}

double __wrap_why_clock(void);
void __wrap_why_pause(double seconds);

double __wrap_why_clock(void) { return 1000 + fibers_now(the_world->fibers); }

/* A poller's nap. It may last longer than asked, as on a busy machine, but a message ends it. */
void __wrap_why_pause(double seconds) {
    fiber_rest(the_world->fibers, fibers_now(the_world->fibers) + seconds + within(the_world, 0.05, 0.3), true);
}
