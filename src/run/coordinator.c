#include "run/coordinator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { NONE = -1 };

typedef enum image_state { PENDING, ASSIGNED, STORED, COMMITTED } image_state;

typedef struct image {
    uint8_t state, losses;
    uint8_t guilt; /* two for each loss that must be the image's doing, one for each that may be */
    bool taken_over; /* once from a worker that was only quiet */
    int32_t owner; /* index of the shard that has it; NONE while pending */
    int32_t from;  /* index of the shard whose record was stored, or NONE */
} image;

typedef struct shard {
    int first, n, attempt, worker, left; /* left: images still open and owned by this shard */
    int next;                            /* the worker's next younger shard, or NONE */
} shard;

typedef enum worker_state { ABSENT, LIVE, STOPPING, LOST, GONE } worker_state;

typedef struct worker {
    worker_state state;
    bool hungry;          /* stands in the queue for work */
    bool retired;         /* said that it can compute no more */
    bool dead;            /* seen to be: it never comes back */
    bool stuck;           /* lost because an image never ended: only a result proves the contrary */
    int oldest, youngest; /* its open shards, in the order sent */
    int open;             /* images of them that are open */
    double heard, progress, beaten;
} worker;

typedef struct range { int first, n, attempt; } range;
typedef struct receipt { int worker, image; int64_t shard; } receipt; /* worker NONE: nobody sent it */

struct why_coordinator {
    why_coordinator_options o;
    image *images;
    worker *workers;
    shard *shards;       size_t n_shards, shards_capacity;
    range *retries;      size_t n_retries, next_retry, retries_capacity; /* taken from the front */
    int fresh;           /* first image that was never assigned */
    int *hungry;         int n_hungry;
    receipt *receipts;   size_t n_receipts, receipts_capacity;           /* stored, to be acknowledged at the commit */
    why_action *actions; size_t n_actions, next_action, actions_capacity;
    int pending, running, closed, failed;
    int n_in_state[GONE + 1];
    int measured;
    double wall_sum, wall_max;
    bool dirty, draining, failure_stop, stopping, finished;
    double dirty_since, next_check, last_tick, now;
    char trouble[160];
};

why_coordinator_options why_coordinator_defaults(int workers, int images) {
    return (why_coordinator_options){.workers = workers, .images = images, .first_shard = 1, .max_losses = 2, .commit_every = 1,
                                     .beat_every = 15, .silence = 180, .first_image = 3600, .least = 300, .slack = 20, .goodbye = 60};
}

why_status why_coordinator_create(const why_coordinator_options *options, why_coordinator **out) {
    *out = NULL;
    why_coordinator *c;
    WHY_TRY(why_alloc(1, sizeof *c, "coordinator", &c));
    c->o = *options;
    why_status st = why_alloc((size_t)c->o.images, sizeof *c->images, "images to do", &c->images);
    if (!st) st = why_alloc((size_t)c->o.workers, sizeof *c->workers, "workers", &c->workers);
    if (!st) st = why_alloc((size_t)c->o.workers, sizeof *c->hungry, "workers", &c->hungry);
    if (st) {
        why_coordinator_destroy(&c);
        return st;
    }
    for (int i = 0; i < c->o.images; i++) c->images[i].owner = c->images[i].from = NONE;
    for (int w = 0; w < c->o.workers; w++) c->workers[w].oldest = c->workers[w].youngest = NONE;
    c->pending = c->o.images;
    c->n_in_state[ABSENT] = c->o.workers;
    c->now = -INFINITY;
    *out = c;
    return WHY_OK;
}

void why_coordinator_destroy(why_coordinator **coordinator) {
    why_coordinator *c = *coordinator;
    if (!c) return;
    free(c->images);
    free(c->workers);
    free(c->hungry);
    free(c->shards);
    free(c->retries);
    free(c->receipts);
    free(c->actions);
    free(c);
    *coordinator = NULL;
}

/* ---------------------------------------------------------------- actions */
static why_status act(why_coordinator *c, why_action a) {
    if (c->next_action == c->n_actions) c->next_action = c->n_actions = 0;
    WHY_TRY(why_grow(&c->actions, &c->actions_capacity, c->n_actions + 1, sizeof *c->actions, "actions"));
    c->actions[c->n_actions++] = a;
    return WHY_OK;
}

bool why_coordinator_next(why_coordinator *c, why_action *out) {
    if (c->next_action == c->n_actions) return false;
    *out = c->actions[c->next_action++];
    return true;
}

static int64_t shard_id(const why_coordinator *c, int s) { return c->o.first_shard + s; }

static why_action of_shard(const why_coordinator *c, why_action_type type, int s, const char *text) {
    const shard *x = &c->shards[s];
    why_action a = {.type = type, .worker = x->worker, .shard = shard_id(c, s), .first = x->first, .n = x->n, .attempt = x->attempt,
                    .image = NONE};
    snprintf(a.text, sizeof a.text, "%s", text);
    return a;
}

static void touch(why_coordinator *c) {
    if (!c->dirty) c->dirty_since = c->now;
    c->dirty = true;
}

static why_status keep_receipt(why_coordinator *c, receipt r) {
    WHY_TRY(why_grow(&c->receipts, &c->receipts_capacity, c->n_receipts + 1, sizeof *c->receipts, "receipts"));
    c->receipts[c->n_receipts++] = r;
    return WHY_OK;
}

/* The flag says: this is the record that was stored, perhaps sent again because an acknowledgement was lost. */
static why_status acknowledge(why_coordinator *c, const receipt *r) {
    const int s = c->images[r->image].from;
    const bool taken = s != NONE && shard_id(c, s) == r->shard && c->shards[s].worker == r->worker;
    return act(c, (why_action){.type = WHY_ACTION_ACK, .worker = r->worker, .shard = r->shard, .image = r->image, .flag = taken});
}

/* Everything stored so far becomes durable; whoever delivered it is told. */
static why_status commit(why_coordinator *c) {
    if (!c->dirty) return WHY_OK;
    c->dirty = false;
    WHY_TRY(act(c, (why_action){.type = WHY_ACTION_COMMIT}));
    for (size_t i = 0; i < c->n_receipts; i++) {
        const receipt *r = &c->receipts[i];
        c->images[r->image].state = COMMITTED;
        if (r->worker != NONE) WHY_TRY(acknowledge(c, r));
    }
    c->n_receipts = 0;
    return WHY_OK;
}

/* ---------------------------------------------------------------- workers and their shards */
static void enter(why_coordinator *c, worker *w, worker_state state) {
    c->n_in_state[w->state]--;
    c->n_in_state[state]++;
    w->state = state;
}

static void stand_in_line(why_coordinator *c, int w) {
    if (c->workers[w].hungry) return;
    c->workers[w].hungry = true;
    c->hungry[c->n_hungry++] = w;
}

static void unlink_shard(why_coordinator *c, int s) {
    worker *w = &c->workers[c->shards[s].worker];
    int *link = &w->oldest, last = NONE;
    while (*link != s) {
        last = *link;
        link = &c->shards[*link].next;
    }
    *link = c->shards[s].next;
    if (w->youngest == s) w->youngest = last;
}

static why_status close_shard(why_coordinator *c, int s, const char *state) {
    unlink_shard(c, s);
    touch(c);
    return act(c, of_shard(c, WHY_ACTION_CLOSE_SHARD, s, state));
}

/* The image needs no one any more. Its shard, if it is in one, gets shorter. */
static why_status close_image(why_coordinator *c, int i) {
    image *im = &c->images[i];
    const int s = im->owner;
    if (im->state == PENDING) c->pending--;
    else c->running--;
    im->state = STORED;
    im->owner = NONE;
    c->closed++;
    touch(c);
    if (s == NONE) return WHY_OK;
    const int w = c->shards[s].worker;
    if (--c->workers[w].open <= 1) stand_in_line(c, w);
    return --c->shards[s].left == 0 ? close_shard(c, s, "done") : WHY_OK;
}

/* Take an assigned image back from its shard. */
static void reclaim(why_coordinator *c, int i) {
    shard *s = &c->shards[c->images[i].owner];
    c->images[i].state = PENDING;
    c->images[i].owner = NONE;
    c->running--;
    c->pending++;
    s->left--;
    c->workers[s->worker].open--;
}

static why_status retry(why_coordinator *c, int first, int n, int attempt) {
    if (n == 0) return WHY_OK;
    WHY_TRY(why_grow(&c->retries, &c->retries_capacity, c->n_retries + 1, sizeof *c->retries, "ranges to try again"));
    c->retries[c->n_retries++] = (range){first, n, attempt};
    return WHY_OK;
}

/* Open images of a shard go back to be sent to others, in runs that leave out the closed ones and the suspect. */
static why_status reclaim_shard(why_coordinator *c, int s, int suspect, const char *state) {
    const shard x = c->shards[s];
    int first = x.first;
    for (int i = x.first; i < x.first + x.n; i++) {
        if (c->images[i].owner == s) {
            reclaim(c, i);
            if (i != suspect) continue;
        }
        WHY_TRY(retry(c, first, i - first, x.attempt + 1));
        first = i + 1;
    }
    WHY_TRY(retry(c, first, x.first + x.n - first, x.attempt + 1));
    return close_shard(c, s, state);
}

/* An image took its worker down: it is tried again alone, or given up and written as failed. how: it killed a process of
 * the worker's, which stays; NULL: the worker is lost. */
static why_status blame(why_coordinator *c, int i, int s, const char *how) {
    image *im = &c->images[i];
    const int attempt = c->shards[s].attempt;
    /* Where workers compute in processes of their own, an image hardly brings down a worker but by hanging. */
    const bool certain = how || !c->o.supervised || c->workers[c->shards[s].worker].stuck;
    im->losses++;
    im->guilt += certain ? 2 : 1;
    if (im->guilt < 2 * c->o.max_losses) return retry(c, i, 1, attempt + 1);
    WHY_TRY(close_image(c, i));
    c->failed++;
    WHY_TRY(keep_receipt(c, (receipt){NONE, i, shard_id(c, s)}));
    why_action a = of_shard(c, WHY_ACTION_FAIL_IMAGE, s, "");
    a.image = i;
    if (!how) snprintf(a.text, sizeof a.text, "cost %d workers, the last: %s", im->losses, c->trouble);
    else if (im->losses == 2) snprintf(a.text, sizeof a.text, "killed its worker twice: %s", how);
    else snprintf(a.text, sizeof a.text, "killed its worker %d times: %s", im->losses, how);
    return act(c, a);
}

static int first_open(const why_coordinator *c, int s) {
    for (int i = c->shards[s].first; i < c->shards[s].first + c->shards[s].n; i++)
        if (c->images[i].owner == s) return i;
    return NONE;
}

/* A worker computes its images in order, so what it was at is the first open one of its oldest shard, unless it said. */
static int suspect_of(const why_coordinator *c, const worker *w, int said) {
    if (said >= 0 && said < c->o.images && c->images[said].owner != NONE && &c->workers[c->shards[c->images[said].owner].worker] == w)
        return said;
    return w->oldest == NONE ? NONE : first_open(c, w->oldest);
}

/* Take everything back from a worker. suspect: the image to blame, or NONE. */
static why_status release(why_coordinator *c, worker *w, int suspect, const char *state) {
    const int culprit = suspect == NONE ? NONE : c->images[suspect].owner;
    while (w->oldest != NONE) WHY_TRY(reclaim_shard(c, w->oldest, suspect, state));
    return suspect == NONE ? WHY_OK : blame(c, suspect, culprit, NULL);
}

/* The worker need not begin what it has; the image that is running is of its oldest shard. */
static why_status tell_to_forget(why_coordinator *c, int index, bool break_off) {
    const int oldest = c->workers[index].oldest;
    for (int s = oldest; s != NONE; s = c->shards[s].next)
        WHY_TRY(act(c, (why_action){.type = WHY_ACTION_FORGET,
                                    .worker = index,
                                    .shard = shard_id(c, s),
                                    .flag = break_off && s == oldest}));
    return WHY_OK;
}

static why_status lose(why_coordinator *c, int index, const char *text) {
    worker *w = &c->workers[index];
    snprintf(c->trouble, sizeof c->trouble, "worker %d %s", index, text);
    WHY_TRY(tell_to_forget(c, index, w->stuck));
    enter(c, w, LOST);
    return release(c, w, suspect_of(c, w, NONE), "lost");
}

/* ---------------------------------------------------------------- events */
static why_status come_alive(why_coordinator *c, int index) {
    worker *w = &c->workers[index];
    if (w->dead) return WHY_OK;
    if (c->stopping || w->retired) {
        enter(c, w, STOPPING);
        w->progress = c->now;
        return act(c, (why_action){.type = WHY_ACTION_STOP, .worker = index});
    }
    enter(c, w, LIVE);
    w->stuck = false;
    stand_in_line(c, index);
    return WHY_OK;
}

static why_status on_hello(why_coordinator *c, const why_event *e) {
    const worker_state state = c->workers[e->worker].state;
    return state == ABSENT || state == LOST ? come_alive(c, e->worker) : WHY_OK;
}

/* The HELLO of a worker that beats was lost, or it was silent and goes on. */
static why_status on_beat(why_coordinator *c, const why_event *e) {
    const worker *w = &c->workers[e->worker];
    return w->state == ABSENT || (w->state == LOST && !w->stuck) ? come_alive(c, e->worker) : WHY_OK;
}

static void measure(why_coordinator *c, double wall) {
    if (!(wall >= 0 && wall < 1e7)) return;
    c->measured++;
    c->wall_sum += wall;
    if (wall > c->wall_max) c->wall_max = wall;
}

static why_status accept(why_coordinator *c, const why_event *e) {
    WHY_TRY(act(c, (why_action){.type = WHY_ACTION_STORE, .worker = e->worker, .shard = e->shard, .image = e->image}));
    measure(c, e->wall);
    const int64_t s = e->shard - c->o.first_shard;
    c->images[e->image].from = s >= 0 && s < (int64_t)c->n_shards ? (int32_t)s : NONE;
    if (e->failed) {
        c->failed++;
        c->failure_stop = c->failure_stop || c->o.stop_on_failure;
    }
    return close_image(c, e->image);
}

static why_status on_result(why_coordinator *c, const why_event *e) {
    worker *w = &c->workers[e->worker];
    w->progress = c->now;
    if (w->state == ABSENT || w->state == LOST) WHY_TRY(come_alive(c, e->worker));
    if (e->image < 0 || e->image >= c->o.images) return WHY_OK;
    const image_state state = (image_state)c->images[e->image].state;
    const receipt r = {e->worker, e->image, e->shard};
    if (state == COMMITTED) return acknowledge(c, &r);
    if (state < STORED) WHY_TRY(accept(c, e));
    return keep_receipt(c, r);
}

static why_status on_error(why_coordinator *c, const why_event *e) {
    worker *w = &c->workers[e->worker];
    if (w->state == GONE || w->retired) return WHY_OK;
    snprintf(c->trouble, sizeof c->trouble, "worker %d: %s", e->worker, e->text ? e->text : "no reason given");
    w->retired = true;
    WHY_TRY(release(c, w, suspect_of(c, w, e->image), "lost"));
    return come_alive(c, e->worker); /* to be told to leave */
}

/* Only the image is taken away from the worker: its other images are as good as before. */
static why_status on_crash(why_coordinator *c, const why_event *e) {
    worker *w = &c->workers[e->worker];
    const char *how = e->text ? e->text : "no reason given";
    w->progress = c->now;
    if (w->state == ABSENT || w->state == LOST) WHY_TRY(come_alive(c, e->worker));
    const int i = e->image >= 0 && e->image < c->o.images ? e->image : NONE, s = i == NONE ? NONE : c->images[i].owner;
    if (s == NONE || c->shards[s].worker != e->worker || shard_id(c, s) != e->shard) return WHY_OK; /* an old one, or told twice */
    snprintf(c->trouble, sizeof c->trouble, "worker %d: an image killed its process: %s", e->worker, how);
    reclaim(c, i);
    touch(c);
    if (c->shards[s].left == 0) WHY_TRY(close_shard(c, s, "lost"));
    if (w->open <= 1) stand_in_line(c, e->worker);
    return blame(c, i, s, how);
}

static why_status on_lost(why_coordinator *c, const why_event *e) {
    const worker_state state = c->workers[e->worker].state;
    return state == GONE || state == LOST ? WHY_OK : lose(c, e->worker, e->text ? e->text : "is lost");
}

static why_status on_bye(why_coordinator *c, const why_event *e) {
    worker *w = &c->workers[e->worker];
    if (w->state == GONE) return WHY_OK;
    enter(c, w, GONE);
    return release(c, w, NONE, "left");
}

/* ---------------------------------------------------------------- tick: time limits */
/* A worker that has missed three beats is doubtful: it is not yet lost, but nothing new is left to it. */
static bool is_doubtful(const why_coordinator *c, const worker *w) { return c->now - w->heard > fmin(c->o.silence, 3 * c->o.beat_every); }

static double image_limit(const why_coordinator *c) {
    return c->measured == 0 ? c->o.first_image : fmax(c->o.least, c->o.slack * c->wall_max);
}

static why_status judge(why_coordinator *c, int index) {
    worker *w = &c->workers[index];
    char text[96];
    const double quiet = c->now - w->heard, stuck = c->now - w->progress;
    const double limit = w->open > 0 ? image_limit(c) : w->state == STOPPING ? fmax(c->o.goodbye, 2 * c->wall_max) : INFINITY;
    const bool idle = w->open == 0 && w->state == STOPPING;
    if (quiet > c->o.silence || (idle && is_doubtful(c, w))) snprintf(text, sizeof text, "was silent for %.0f s", quiet);
    else if (stuck > limit) snprintf(text, sizeof text, "made no progress for %.0f s", stuck);
    else return WHY_OK;
    w->stuck = stuck > limit && quiet <= c->o.silence;
    return lose(c, index, text);
}

static bool somebody_is_idle(const why_coordinator *c) {
    for (int k = 0; k < c->n_hungry; k++) {
        const worker *w = &c->workers[c->hungry[k]];
        if (w->state == LIVE && w->open == 0 && !is_doubtful(c, w)) return true;
    }
    return false;
}

/* At the end the others would wait for a worker until its silence is long enough to mean death. Rather let one of them
 * compute its images too once it is doubtful; nobody is blamed, and whose record comes first is taken. An image is taken
 * over once only: if it is the image that silences workers, they must be counted. */
static why_status take_over(why_coordinator *c, int index) {
    worker *w = &c->workers[index];
    const int suspect = suspect_of(c, w, NONE);
    if (w->open == 0 || !is_doubtful(c, w) || c->images[suspect].taken_over) return WHY_OK;
    c->images[suspect].taken_over = true;
    WHY_TRY(tell_to_forget(c, index, false));
    stand_in_line(c, index); /* it may be heard again */
    return release(c, w, NONE, "left");
}

static why_status check_worker(why_coordinator *c, int index, bool spare) {
    worker *w = &c->workers[index];
    if (w->state != LOST && w->state != GONE) WHY_TRY(judge(c, index));
    if (spare && w->state == LIVE) WHY_TRY(take_over(c, index));
    if (c->now - w->beaten < c->o.beat_every) return WHY_OK;
    w->beaten = c->now; /* the lost ones too, they may come back; and those that left, they wait for the others */
    return act(c, (why_action){.type = WHY_ACTION_BEAT, .worker = index});
}

/* Once a second is often enough for limits of minutes, and cheap for ten thousand workers. When this process itself was
 * held up (a commit that waited for a reader), what the workers sent meanwhile must be heard before they are judged. */
static why_status check_workers(why_coordinator *c) {
    const double period = fmin(1, c->o.silence / 4);
    if (c->now - c->last_tick > period) c->next_check = c->now + period;
    c->last_tick = c->now;
    if (c->now < c->next_check) return WHY_OK;
    c->next_check = c->now + period;
    const bool spare = c->pending == 0 && !c->stopping && !c->draining && !c->failure_stop && somebody_is_idle(c);
    for (int w = 0; w < c->o.workers; w++) WHY_TRY(check_worker(c, w, spare));
    return WHY_OK;
}

/* ---------------------------------------------------------------- tick: dispatch */
/* Guided self-scheduling (Polychronopoulos and Kuck 1987), half a fair share at a time, so that the last shards are
 * single images. No shard holds more than about a minute of work. */
static int shard_size(const why_coordinator *c) {
    if (c->o.shard > 0) return c->o.shard;
    const double mean = c->measured ? c->wall_sum / c->measured : 15;
    const double minute = mean > 0 ? 60 / mean : 256;
    const int most = minute < 1 ? 1 : minute > 256 ? 256 : (int)minute;
    const int share = c->pending / (2 * c->n_in_state[LIVE]);
    return share < 1 ? 1 : share > most ? most : share;
}

/* The first run of at most `size` pending images in [first, first + n). */
static range trim(const why_coordinator *c, range r, int size) {
    const int end = r.first + r.n;
    while (r.first < end && c->images[r.first].state != PENDING) r.first++;
    int stop = r.first;
    while (stop < end && stop - r.first < size && c->images[stop].state == PENDING) stop++;
    r.n = stop - r.first;
    return r;
}

/* Up to `size` images: what must be tried again first, then fresh ones. n = 0: nothing is left. */
static range take(why_coordinator *c, int size) {
    while (c->next_retry < c->n_retries) {
        range *from = &c->retries[c->next_retry];
        const range whole = *from;
        const range r = trim(c, whole, size);
        from->first = r.first + r.n;
        from->n = whole.first + whole.n - from->first;
        if (from->n == 0 || r.n == 0) c->next_retry++;
        if (r.n > 0) return r;
    }
    c->next_retry = c->n_retries = 0;
    const range r = trim(c, (range){c->fresh, c->o.images - c->fresh, 1}, size);
    c->fresh = r.first + r.n;
    return r;
}

static why_status assign(why_coordinator *c, int index, range r) {
    worker *w = &c->workers[index];
    WHY_TRY(why_grow(&c->shards, &c->shards_capacity, c->n_shards + 1, sizeof *c->shards, "shards"));
    const int s = (int)c->n_shards++;
    c->shards[s] = (shard){.first = r.first, .n = r.n, .attempt = r.attempt, .worker = index, .left = r.n, .next = NONE};
    for (int i = r.first; i < r.first + r.n; i++) {
        c->images[i].state = ASSIGNED;
        c->images[i].owner = s;
    }
    if (w->youngest == NONE) w->oldest = s;
    else c->shards[w->youngest].next = s;
    w->youngest = s;
    if (w->open == 0) w->progress = c->now;
    w->open += r.n;
    c->pending -= r.n;
    c->running += r.n;
    touch(c);
    return act(c, of_shard(c, WHY_ACTION_OPEN_SHARD, s, "running"));
}

/* A worker at its last image gets the next shard ahead, so that it never waits for a message; not near the end, where
 * an image that waits behind another would be better off with somebody else. */
static bool may_have_more(const why_coordinator *c, const worker *w) {
    return w->state == LIVE && !is_doubtful(c, w) && (w->open == 0 || (w->open == 1 && c->pending > c->n_in_state[LIVE]));
}

static why_status assign_all(why_coordinator *c) {
    int kept = 0, k = 0;
    for (; k < c->n_hungry && c->pending > 0; k++) {
        const int index = c->hungry[k];
        worker *w = &c->workers[index];
        const bool may = may_have_more(c, w);
        if (may) WHY_TRY(assign(c, index, take(c, shard_size(c))));
        w->hungry = w->state == LIVE && w->open <= 1;
        if (w->hungry) c->hungry[kept++] = index;
    }
    while (k < c->n_hungry) c->hungry[kept++] = c->hungry[k++];
    c->n_hungry = kept;
    return WHY_OK;
}

static why_status dispatch(why_coordinator *c) {
    const size_t before = c->n_shards;
    if (c->stopping || c->pending == 0 || c->n_hungry == 0) return WHY_OK;
    WHY_TRY(assign_all(c));
    if (c->n_shards == before) return WHY_OK;
    WHY_TRY(commit(c));
    for (size_t s = before; s < c->n_shards; s++) WHY_TRY(act(c, of_shard(c, WHY_ACTION_SEND_SHARD, (int)s, "")));
    return WHY_OK;
}

/* ---------------------------------------------------------------- tick: the end */
static why_status stop_all(why_coordinator *c) {
    c->stopping = true;
    WHY_TRY(commit(c));
    for (int i = 0; i < c->o.workers; i++) {
        worker *w = &c->workers[i];
        if (w->state == STOPPING || w->state == GONE) continue;
        if (w->state != LOST) enter(c, w, STOPPING); /* the lost are told, but not waited for */
        if (w->open == 0) w->progress = c->now;
        WHY_TRY(act(c, (why_action){.type = WHY_ACTION_STOP, .worker = i}));
    }
    return WHY_OK;
}

static int exit_code(const why_coordinator *c) {
    if (c->closed == c->o.images) return c->failed > 0 ? 1 : 0;
    if (c->failure_stop) return 1;
    return c->draining ? 75 : 3;
}

/* With few of many workers left it is better to end at a shard's border and to be launched again with all of them. */
static bool thinned(const why_coordinator *c) {
    return c->o.supervised && 2 * c->n_in_state[LOST] > c->o.workers - c->n_in_state[GONE];
}

static why_status advance_end(why_coordinator *c) {
    const bool nobody = c->n_in_state[ABSENT] + c->n_in_state[LIVE] == 0 || thinned(c);
    if (!c->stopping && (c->closed == c->o.images || c->draining || c->failure_stop || nobody)) WHY_TRY(stop_all(c));
    if (c->dirty && (c->stopping || c->now - c->dirty_since >= c->o.commit_every)) WHY_TRY(commit(c));
    if (!c->stopping || c->n_in_state[STOPPING] > 0) return WHY_OK;
    c->finished = true;
    return act(c, (why_action){.type = WHY_ACTION_FINISH, .code = exit_code(c)});
}

static why_status on_tick(why_coordinator *c) {
    WHY_TRY(check_workers(c));
    if (!c->draining && !c->failure_stop) WHY_TRY(dispatch(c));
    return advance_end(c);
}

static void first_event(why_coordinator *c, double now) {
    c->next_check = c->last_tick = now;
    for (int w = 0; w < c->o.workers; w++) c->workers[w].heard = c->workers[w].progress = c->workers[w].beaten = now;
}

why_status why_coordinator_handle(why_coordinator *c, const why_event *e) {
    if (c->finished) return WHY_OK;
    if (isinf(c->now)) first_event(c, e->now);
    if (e->now > c->now) c->now = e->now;
    if (e->type == WHY_EVENT_TICK) return on_tick(c);
    if (e->type == WHY_EVENT_DRAIN) {
        c->draining = true;
        return WHY_OK;
    }
    if (e->worker < 0 || e->worker >= c->o.workers) return why_fail(WHY_EBUG, "coordinator: worker %d of %d", e->worker, c->o.workers);
    c->workers[e->worker].heard = c->now;
    switch (e->type) {
    case WHY_EVENT_HELLO: return on_hello(c, e);
    case WHY_EVENT_BEAT: return on_beat(c, e);
    case WHY_EVENT_RESULT: return on_result(c, e);
    case WHY_EVENT_ERROR: return on_error(c, e);
    case WHY_EVENT_CRASH: return on_crash(c, e);
    case WHY_EVENT_LOST: return on_lost(c, e);
    case WHY_EVENT_DEATH: c->workers[e->worker].dead = true; return on_lost(c, e);
    case WHY_EVENT_BYE: return on_bye(c, e);
    default: return WHY_OK;
    }
}

why_coordinator_view why_coordinator_look(const why_coordinator *c) {
    return (why_coordinator_view){.images = c->o.images,
                                  .closed = c->closed,
                                  .failed = c->failed,
                                  .running = c->running,
                                  .pending = c->pending,
                                  .workers = c->o.workers,
                                  .live = c->n_in_state[LIVE] + c->n_in_state[STOPPING],
                                  .lost = c->n_in_state[LOST],
                                  .mean_wall = c->measured ? c->wall_sum / c->measured : 0,
                                  .stopping = c->stopping,
                                  .finished = c->finished,
                                  .trouble = c->trouble};
}
