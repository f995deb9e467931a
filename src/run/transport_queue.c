#include "run/transport.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct letter {
    struct letter *next;
    int from;
    size_t n;
    uint8_t bytes[];
};

/* One end with its mailbox: senders append under the lock, the owner takes from the front. */
struct end {
    why_transport base; /* first: a why_transport * is an end * */
    why_queue *queue;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct letter *first, *last;
};

struct why_queue {
    int n;
    struct end *ends;
};

double why_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct timespec timespec_of(double seconds) {
    const time_t whole = (time_t)seconds;
    return (struct timespec){.tv_sec = whole, .tv_nsec = (long)(1e9 * (seconds - (double)whole))};
}

void why_pause(double seconds) {
    const struct timespec t = timespec_of(seconds);
    nanosleep(&t, NULL);
}

double why_backoff(int *idle) {
    enum { DOUBLINGS = 7 };
    const double rest = 50e-6 * (double)(1 << (*idle < DOUBLINGS ? *idle : DOUBLINGS));
    if (*idle < DOUBLINGS) ++*idle;
    return rest < 5e-3 ? rest : 5e-3;
}

static why_status queue_send(why_transport *t, int to, const uint8_t *bytes, size_t n) {
    why_queue *q = ((struct end *)(void *)t)->queue;
    if (to < 0 || to >= q->n) return why_fail(WHY_EPEER, "queue: no end %d among %d", to, q->n);
    struct letter *letter = malloc(sizeof *letter + n);
    if (!letter) return why_fail(WHY_ENOMEM, "queue: cannot get %zu bytes for a message", n);
    letter->next = NULL;
    letter->from = t->rank;
    letter->n = n;
    memcpy(letter->bytes, bytes, n);
    struct end *e = &q->ends[to];
    pthread_mutex_lock(&e->lock);
    if (e->last) e->last->next = letter;
    else e->first = letter;
    e->last = letter;
    pthread_cond_signal(&e->filled);
    pthread_mutex_unlock(&e->lock);
    return WHY_OK;
}

/* The first letter of the mailbox, or NULL when none came before `until`. */
static struct letter *take(struct end *e, double wait_s) {
    const struct timespec until = timespec_of(why_clock() + wait_s);
    pthread_mutex_lock(&e->lock);
    while (!e->first && wait_s > 0 && pthread_cond_timedwait(&e->filled, &e->lock, &until) == 0) {}
    struct letter *letter = e->first;
    if (letter) {
        e->first = letter->next;
        if (!e->first) e->last = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    return letter;
}

static why_status queue_receive(why_transport *t, double wait_s, uint8_t *bytes, size_t *n, int *from) {
    struct letter *letter = take((struct end *)(void *)t, wait_s);
    *n = 0;
    if (!letter) return WHY_OK;
    const bool fits = letter->n <= WHY_MESSAGE_MAX;
    if (fits) {
        memcpy(bytes, letter->bytes, letter->n);
        *n = letter->n;
        *from = letter->from;
    }
    why_status st = fits ? WHY_OK : why_fail(WHY_EFORMAT, "queue: a message of %zu bytes, at most %d", letter->n, WHY_MESSAGE_MAX);
    free(letter);
    return st;
}

static void end_open(why_queue *q, int i) {
    struct end *e = &q->ends[i];
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&e->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&e->lock, NULL);
    e->queue = q;
    e->base = (why_transport){.rank = i, .size = q->n, .send = queue_send, .receive = queue_receive};
}

why_status why_queue_create(int n, why_queue **out) {
    *out = NULL;
    why_queue *q;
    WHY_TRY(why_alloc(1, sizeof *q, "queue", &q));
    q->n = n;
    const why_status st = why_alloc((size_t)n, sizeof *q->ends, "queue", &q->ends);
    if (st) {
        free(q);
        return st;
    }
    for (int i = 0; i < n; i++) end_open(q, i);
    *out = q;
    return WHY_OK;
}

void why_queue_destroy(why_queue **queue) {
    why_queue *q = *queue;
    if (!q) return;
    for (int i = 0; i < q->n; i++) {
        struct end *e = &q->ends[i];
        for (struct letter *l; (l = e->first);) {
            e->first = l->next;
            free(l);
        }
        pthread_cond_destroy(&e->filled);
        pthread_mutex_destroy(&e->lock);
    }
    free(q->ends);
    free(q);
    *queue = NULL;
}

why_transport *why_queue_end(why_queue *q, int i) { return &q->ends[i].base; }
