#include "whypix/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct worker {
    why_pool *pool;
    int thread;
    pthread_t id;
};

struct why_pool {
    int threads, started;
    struct worker *workers; /* threads - 1 of them; the caller is thread 0 */
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    unsigned round;         /* grows by one per run; guarded by lock */
    int busy;               /* workers still inside the round; guarded by lock */
    bool stop;
    why_pool_fn *fn;
    void *ctx;
    int n;
    atomic_int next;
};

static void take_pieces(why_pool *p, int thread) {
    for (;;) {
        int i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->n) return;
        p->fn(p->ctx, i, thread);
    }
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    why_pool *p = w->pool;
    unsigned seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && p->round == seen) pthread_cond_wait(&p->work, &p->lock);
        if (p->stop) break;
        seen = p->round;
        pthread_mutex_unlock(&p->lock);
        take_pieces(p, w->thread);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0) pthread_cond_signal(&p->idle);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

why_status why_pool_create(int threads, why_pool **out) {
    *out = NULL;
    if (threads < 1 || threads > 1024) return why_fail(WHY_EARG, "threads: got %d, want 1 to 1024", threads);
    why_pool *p;
    WHY_TRY(why_alloc(1, sizeof *p, "thread pool", &p));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    p->threads = threads;
    why_status st = why_alloc((size_t)threads, sizeof *p->workers, "thread pool", &p->workers);
    for (int i = 1; !st && i < threads; i++) {
        struct worker *w = &p->workers[i - 1];
        *w = (struct worker){.pool = p, .thread = i};
        int err = pthread_create(&w->id, NULL, worker_main, w);
        if (err) st = why_fail(WHY_ENOMEM, "thread %d of %d: %s", i + 1, threads, strerror(err));
        else p->started++;
    }
    if (st) why_pool_destroy(&p);
    *out = p;
    return st;
}

void why_pool_destroy(why_pool **pool) {
    why_pool *p = *pool;
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++) pthread_join(p->workers[i].id, NULL);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
    *pool = NULL;
}

int why_pool_threads(const why_pool *p) { return p ? p->threads : 1; }

void why_pool_run(why_pool *p, int n, why_pool_fn *fn, void *ctx) {
    if (!p || p->threads == 1 || n <= 1) {
        for (int i = 0; i < n; i++) fn(ctx, i, 0);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    atomic_store(&p->next, 0);
    p->busy = p->started;
    p->round++;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    take_pieces(p, 0);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0) pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
