/* explore: every order in which a few workers, images and faults can meet the real coordinator, breadth first, states
 * hashed. No image may be lost, stored twice or acknowledged before its commit, and from every state the end must be
 * within reach. The first violation is printed with the shortest way to it.
 *
 * The coordinator's own source is included, so that its state can be copied and hashed. Times enter the hash only as far
 * as its rules compare them with limits: how long a worker was silent, whether an image has run for too long. */
#include "run/coordinator.c" /* NOLINT(bugprone-suspicious-include) */

#include <stdarg.h>
#include <string.h>
#include <time.h>

enum { MOST_WORKERS = 4, MOST_IMAGES = 8, MOST_SHARDS = 64, CHANNEL = 24, KEPT = 16 };
#define SILENT_FOR 4.0
#define LIMIT      100.0

typedef enum message_kind { HELLO, WORK, RESULT, ACK, ERROR, CRASHED, FORGET, STOP, BYE } message_kind;
typedef struct message { uint8_t kind, image, n, shard; } message; /* shard: counted from 1; images: positions */
typedef struct channel { uint8_t n; message m[CHANNEL]; } channel;
typedef struct job { uint8_t image, shard; } job;

typedef struct actor {
    uint8_t dead, hung, cut, stopping, left, computing; /* computing: jobs[0] is being computed */
    uint8_t n_jobs, n_kept;
    job jobs[KEPT], kept[KEPT];
    channel up, down;
} actor;

typedef enum fate { OPEN, DONE, FAILED } fate;

/* Everything around the coordinator. Plain bytes, zeroed where unused, so that it can be hashed as it is. */
typedef struct around {
    actor actors[MOST_WORKERS];
    uint8_t image[MOST_IMAGES], image_txn[MOST_IMAGES]; /* the database */
    uint8_t todo[MOST_IMAGES], n_todo;
    uint8_t rows, rows_txn;      /* shards */
    uint8_t first_row;           /* of this launch */
    uint8_t faults, disturbed;   /* still allowed; happened in this launch */
    uint8_t drained, finished, code, retired;
} around;

typedef struct state { around a; why_coordinator *c; } state;

#define MOVES(X)                                                                                        \
    X(UP, "rank 0 hears worker") X(DOWN, "worker hears rank 0") X(FINISH, "image done by worker")        \
    X(TICK, "rank 0 looks around") X(WAIT, "a second passes") X(SILENCE, "a long silence passes")        \
    X(LONG, "a very long time passes") X(RESEND, "worker sends again") X(BEAT, "beat of worker")         \
    X(HEAL, "healed: link of worker")                                                                   \
    X(CRASH, "FAULT: crash of worker") X(HANG, "FAULT: hang of worker") X(GIVE_UP, "FAULT: error of worker") \
    X(IMAGE_CRASH, "FAULT: crash of the image at worker")                                                \
    X(CUT, "FAULT: link cut of worker") X(LOSE_UP, "FAULT: message lost from worker") X(LOSE_DOWN, "FAULT: message lost to worker") \
    X(TWICE_UP, "FAULT: message doubled from worker") X(TWICE_DOWN, "FAULT: message doubled to worker") \
    X(SWAP_UP, "FAULT: messages swapped from worker") X(SWAP_DOWN, "FAULT: messages swapped to worker") \
    X(KILL, "FAULT: rank 0 killed, launched again") X(DRAIN, "FAULT: drain")

typedef enum move_kind {
#define MOVE_KIND(kind, text) kind##_MOVE,
    MOVES(MOVE_KIND)
#undef MOVE_KIND
        MOVE_KINDS
} move_kind;
static const char *const move_texts[] = {
#define MOVE_TEXT(kind, text) text,
    MOVES(MOVE_TEXT)
#undef MOVE_TEXT
};
enum { FIRST_FAULT = CRASH_MOVE };

typedef struct move { uint8_t kind, worker; } move;

typedef struct explorer {
    int workers, images, shard, faults;
    uint32_t *parent; move *by;             /* of each state: how it was reached first */
    uint64_t *hashes;
    size_t n, capacity;
    uint32_t *slots; size_t n_slots;        /* open addressing: index + 1 */
    uint32_t *edges; size_t n_edges, edges_capacity; /* pairs from, to */
    uint8_t *final; size_t finals;
    uint32_t here;                          /* the state being expanded, and the move tried */
    move now;
} explorer;

/* ---------------------------------------------------------------- violations */
static void print_way(const explorer *x, uint32_t index) {
    if (index == 0) return;
    print_way(x, x->parent[index]);
    printf("  %s %d\n", move_texts[x->by[index].kind], x->by[index].worker);
}

_Noreturn static void violated(const explorer *x, const char *fmt, ...) {
    va_list args;
    print_way(x, x->here);
    printf("  %s %d\nviolated: ", move_texts[x->now.kind], x->now.worker);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    exit(1);
}

static void require(const explorer *x, bool ok, const char *what, int of) {
    if (!ok) violated(x, "%s (%d)", what, of);
}

/* ---------------------------------------------------------------- copies and hashes of the coordinator */
static void *clone(const void *from, size_t count, size_t capacity, size_t size) {
    void *to = calloc(capacity ? capacity : 1, size);
    if (!to) abort();
    if (count > 0) memcpy(to, from, count * size);
    return to;
}

static why_coordinator *copy_of(const why_coordinator *c) {
    why_coordinator *d = clone(c, 1, 1, sizeof *c);
    d->images = clone(c->images, (size_t)c->o.images, (size_t)c->o.images, sizeof *c->images);
    d->workers = clone(c->workers, (size_t)c->o.workers, (size_t)c->o.workers, sizeof *c->workers);
    d->hungry = clone(c->hungry, (size_t)c->n_hungry, (size_t)c->o.workers, sizeof *c->hungry);
    d->shards = clone(c->shards, c->n_shards, c->shards_capacity, sizeof *c->shards);
    d->retries = clone(c->retries, c->n_retries, c->retries_capacity, sizeof *c->retries);
    d->receipts = clone(c->receipts, c->n_receipts, c->receipts_capacity, sizeof *c->receipts);
    d->actions = NULL;
    d->n_actions = d->next_action = d->actions_capacity = 0;
    return d;
}

typedef struct hash { uint64_t a; } hash;

static void mix(hash *h, uint64_t v) {
    h->a = (h->a ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    h->a ^= h->a >> 29;
}

static int age_class(const why_coordinator *c, double since, double limit) { return c->now - since > limit ? 2 : c->now - since > 0; }

static void mix_bytes(hash *h, const void *from, size_t n) {
    const uint8_t *bytes = from;
    uint64_t v = 0;
    for (; n > 0; bytes += 8, n = n > 8 ? n - 8 : 0) {
        memcpy(&v, bytes, n < 8 ? n : 8);
        mix(h, v);
    }
}

/* A worker as such and as the coordinator sees it, whatever its number. */
static uint64_t hash_worker(const state *s, int index) {
    const actor *x = &s->a.actors[index];
    const worker *w = &s->c->workers[index];
    hash h = {UINT64_C(0xcbf29ce484222325)};
    mix_bytes(&h, x, offsetof(actor, up));
    mix_bytes(&h, x->up.m, x->up.n * sizeof *x->up.m);
    mix_bytes(&h, x->down.m, x->down.n * sizeof *x->down.m);
    mix(&h, (uint64_t)x->up.n << 40 | (uint64_t)x->down.n << 32 | (uint64_t)w->state << 8 | (uint64_t)w->hungry << 2 | (uint64_t)w->retired << 1 | w->stuck | (uint64_t)w->dead << 3);
    mix(&h, (uint64_t)(uint32_t)w->oldest << 32 | (uint32_t)w->youngest);
    mix(&h, (uint64_t)(uint32_t)w->open << 8 | (uint64_t)age_class(s->c, w->heard, SILENT_FOR) << 4 | (s->c->now - w->progress > LIMIT));
    return h.a;
}

/* Workers differ by number only, and what differs only in their numbers is one state: they are put in an order that
 * depends on what they are. name[w]: w's place in it. */
static void name_workers(hash *h, const state *s, uint64_t name[MOST_WORKERS]) {
    uint64_t digests[MOST_WORKERS];
    const int n = s->c->o.workers;
    for (int w = 0; w < n; w++) digests[w] = hash_worker(s, w);
    for (int w = 0; w < n; w++) {
        name[w] = 0;
        for (int v = 0; v < n; v++) name[w] += digests[v] < digests[w] || (digests[v] == digests[w] && v < w);
    }
    for (uint64_t k = 0; k < (uint64_t)n; k++)
        for (int w = 0; w < n; w++)
            if (name[w] == k) mix(h, digests[w]);
}

/* A shard that is closed matters as the origin of a record only. */
static bool is_origin(const why_coordinator *c, size_t s) {
    for (int i = 0; i < c->o.images; i++)
        if (c->images[i].from == (int)s) return true;
    return false;
}

static void hash_shards(hash *h, const why_coordinator *c, const uint64_t name[MOST_WORKERS]) {
    for (size_t s = 0; s < c->n_shards; s++) {
        const shard *x = &c->shards[s];
        if (x->left > 0 || is_origin(c, s)) mix(h, name[x->worker]);
        if (x->left > 0) mix(h, (uint64_t)x->first << 48 | (uint64_t)x->n << 32 | (uint64_t)x->attempt << 8 | (uint64_t)x->left);
        if (x->left > 0) mix(h, (uint32_t)x->next);
    }
    mix(h, c->n_shards);
}

static void hash_coordinator(hash *h, const why_coordinator *c, const uint64_t name[MOST_WORKERS]) {
    for (int i = 0; i < c->o.images; i++) {
        const image *im = &c->images[i];
        mix(h, (uint64_t)(uint32_t)im->owner << 40 | (uint64_t)(im->from & 0xffff) << 16 | (uint64_t)im->state << 8 | (uint64_t)im->taken_over << 7 | im->losses);
    }
    hash_shards(h, c, name);
    for (size_t i = c->next_retry; i < c->n_retries; i++)
        mix(h, (uint64_t)c->retries[i].first << 32 | (uint64_t)c->retries[i].n << 16 | (uint64_t)c->retries[i].attempt);
    for (int i = 0; i < c->n_hungry; i++) mix(h, 1000 + name[c->hungry[i]]);
    for (size_t i = 0; i < c->n_receipts; i++) {
        const receipt *r = &c->receipts[i];
        mix(h, (r->worker == NONE ? 99 : name[r->worker]) << 32 | (uint64_t)r->image << 16 | (uint64_t)r->shard);
    }
    mix(h, (uint64_t)c->fresh << 16 | (uint64_t)c->dirty << 5 | (uint64_t)(c->dirty && c->now - c->dirty_since >= 1) << 4 | (uint64_t)c->draining << 3 |
               (uint64_t)c->stopping << 2 | (uint64_t)c->finished << 1 | c->failure_stop);
    mix(h, (uint64_t)c->failed);
}

static uint64_t hash_of(const state *s) {
    hash h = {UINT64_C(0x84222325cbf29ce4)};
    uint64_t name[MOST_WORKERS];
    mix_bytes(&h, (const uint8_t *)&s->a + sizeof s->a.actors, sizeof s->a - sizeof s->a.actors);
    if (s->a.finished) return h.a;
    name_workers(&h, s, name);
    hash_coordinator(&h, s->c, name);
    return h.a;
}

/* ---------------------------------------------------------------- messages */
static void push(const explorer *x, channel *ch, message m) {
    require(x, ch->n < CHANNEL, "more messages than the explorer holds", ch->n);
    ch->m[ch->n++] = m;
}

static message pop(channel *ch) {
    const message m = ch->m[0];
    memmove(ch->m, ch->m + 1, (size_t)(--ch->n) * sizeof *ch->m);
    ch->m[ch->n] = (message){0};
    return m;
}

/* ---------------------------------------------------------------- around the coordinator: the database */
static void put(const explorer *x, around *a, int position, fate f) {
    const int i = a->todo[position];
    require(x, a->image[i] == OPEN && a->image_txn[i] == OPEN, "an image is stored twice", i);
    if (f == FAILED) require(x, a->disturbed >= 2, "an image is given up without two faults", i);
    a->image_txn[i] = (uint8_t)f;
}

static void commit_around(around *a) {
    for (int i = 0; i < MOST_IMAGES; i++)
        if (a->image_txn[i] != OPEN) a->image[i] = a->image_txn[i];
    memset(a->image_txn, 0, sizeof a->image_txn);
    a->rows = a->rows_txn;
}

static void finish(const explorer *x, around *a, int code) {
    int open = 0, failed = 0;
    require(x, !a->finished, "finished twice", 0);
    for (int k = 0; k < a->n_todo; k++) {
        require(x, a->image_txn[a->todo[k]] == OPEN, "finished without a commit", a->todo[k]);
        open += a->image[a->todo[k]] == OPEN;
        failed += a->image[a->todo[k]] == FAILED;
    }
    const int want = !open ? failed > 0 : a->drained ? 75 : 3;
    require(x, code == want, "a wrong exit code", code);
    if (code == 3) require(x, a->retired + a->disturbed > 0, "ended early without a reason", open);
    a->finished = 1;
    a->code = (uint8_t)code;
    memset(a->actors, 0, sizeof a->actors); /* it does not matter any more who was where */
}

static void perform(const explorer *x, around *a, const why_action *act_) {
    channel *down = &a->actors[act_->worker].down;
    const uint8_t s = (uint8_t)act_->shard;
    switch (act_->type) {
    case WHY_ACTION_STORE: put(x, a, act_->image, DONE); break;
    case WHY_ACTION_FAIL_IMAGE: put(x, a, act_->image, FAILED); break;
    case WHY_ACTION_OPEN_SHARD:
        require(x, act_->shard == a->rows_txn + 1 && act_->shard < MOST_SHARDS, "a shard out of order", s);
        a->rows_txn++;
        break;
    case WHY_ACTION_CLOSE_SHARD: require(x, s >= a->first_row && s <= a->rows_txn, "a shard closed that is not there", s); break;
    case WHY_ACTION_COMMIT: commit_around(a); break;
    case WHY_ACTION_SEND_SHARD:
        require(x, s <= a->rows, "sent before its row was committed", s);
        for (int i = 0; i < act_->n; i++) require(x, a->image[a->todo[act_->first + i]] == OPEN, "sent, but done", act_->first + i);
        push(x, down, (message){WORK, (uint8_t)act_->first, (uint8_t)act_->n, s});
        break;
    case WHY_ACTION_ACK:
        require(x, a->image[a->todo[act_->image]] != OPEN, "acknowledged before the commit", act_->image);
        push(x, down, (message){ACK, (uint8_t)act_->image, 0, s});
        break;
    case WHY_ACTION_FORGET: push(x, down, (message){FORGET, 0, 0, s}); break;
    case WHY_ACTION_STOP: push(x, down, (message){STOP, 0, 0, 0}); break;
    case WHY_ACTION_BEAT: break;
    case WHY_ACTION_FINISH: finish(x, a, act_->code); break;
    }
    if (act_->type >= WHY_ACTION_SEND_SHARD && act_->type <= WHY_ACTION_STOP && a->actors[act_->worker].dead) *down = (channel){0};
}

static void happen(const explorer *x, state *s, why_event e, double dt) {
    e.now = (isinf(s->c->now) ? 0 : s->c->now) + dt;
    require(x, why_coordinator_handle(s->c, &e) == WHY_OK, why_error_text(), e.worker);
    for (why_action a; why_coordinator_next(s->c, &a);) perform(x, &s->a, &a);
}

/* ---------------------------------------------------------------- a worker */
static void leave_if_done(const explorer *x, actor *w) {
    if (!w->stopping || w->n_jobs > 0 || w->n_kept > 0 || w->left || w->dead) return;
    w->left = 1;
    push(x, &w->up, (message){BYE, 0, 0, 0});
}

static void drop_job_at(actor *w, int k) {
    memmove(w->jobs + k, w->jobs + k + 1, (size_t)(w->n_jobs - k - 1) * sizeof *w->jobs);
    w->jobs[--w->n_jobs] = (job){0};
    if (k == 0) w->computing = 0;
    if (w->n_jobs > 0) w->computing = 1;
}

static void on_down(const explorer *x, actor *w, const message *m) {
    if (w->left) return;
    if (m->kind == WORK && !w->stopping) {
        for (int i = 0; i < m->n; i++) {
            require(x, w->n_jobs < KEPT, "more work than the explorer holds", m->shard);
            w->jobs[w->n_jobs++] = (job){(uint8_t)(m->image + i), m->shard};
        }
        w->computing = 1;
    }
    if (m->kind == FORGET || m->kind == STOP)
        for (int k = w->n_jobs; --k > 0;)
            if (m->kind == STOP || w->jobs[k].shard == m->shard) drop_job_at(w, k);
    if (m->kind == STOP) w->stopping = 1;
    if (m->kind == ACK)
        for (int k = 0; k < w->n_kept; k++)
            if (w->kept[k].image == m->image && w->kept[k].shard == m->shard) {
                memmove(w->kept + k, w->kept + k + 1, (size_t)(w->n_kept - k - 1) * sizeof *w->kept);
                w->kept[--w->n_kept] = (job){0};
                break;
            }
    leave_if_done(x, w);
}

static void finish_image(const explorer *x, actor *w) {
    const job j = w->jobs[0];
    drop_job_at(w, 0);
    require(x, w->n_kept < KEPT, "more records than the explorer holds", j.image);
    w->kept[w->n_kept++] = j;
    push(x, &w->up, (message){RESULT, j.image, 0, j.shard});
    leave_if_done(x, w);
}

static void give_up(const explorer *x, around *a, actor *w) {
    push(x, &w->up, (message){ERROR, w->jobs[0].image, 0, 0});
    while (w->n_jobs > 0) drop_job_at(w, 0);
    a->retired++;
    leave_if_done(x, w);
}

static void on_up(const explorer *x, state *s, int w, const message *m) {
    static const why_event_type types[] = {[HELLO] = WHY_EVENT_HELLO, [RESULT] = WHY_EVENT_RESULT, [ERROR] = WHY_EVENT_ERROR, [CRASHED] = WHY_EVENT_CRASH, [BYE] = WHY_EVENT_BYE};
    happen(x, s, (why_event){.type = types[m->kind], .worker = w, .shard = m->shard, .image = m->image, .text = "said so"}, 0);
}

/* ---------------------------------------------------------------- moves */
static bool reachable(const actor *w) { return !w->dead && !w->cut; }
static bool can_compute(const actor *w) { return w->computing && !w->dead && !w->hung; }

/* Seconds pass, with beats of everyone who can be heard, until the coordinator does something. */
static void let_pass(const explorer *x, state *s, int seconds) {
    const uint64_t before = s->a.rows;
    for (int t = 0; t < seconds && !s->a.finished; t++) {
        const int lost = s->c->n_in_state[LOST];
        for (int w = 0; w < x->workers; w++)
            if (reachable(&s->a.actors[w]) && s->c->workers[w].state != LOST) happen(x, s, (why_event){.type = WHY_EVENT_BEAT, .worker = w}, w == 0);
        happen(x, s, (why_event){.type = WHY_EVENT_TICK}, reachable(&s->a.actors[0]) && s->c->workers[0].state != LOST ? 0 : 1);
        if (s->a.rows != before || s->c->n_in_state[LOST] != lost) return;
    }
}

static void start_launch(const explorer *x, state *s) {
    around *a = &s->a;
    why_coordinator_destroy(&s->c);
    memset(a->actors, 0, sizeof a->actors);
    memset(a->image_txn, 0, sizeof a->image_txn);
    memset(a->todo, 0, sizeof a->todo);
    a->n_todo = a->disturbed = a->retired = 0;
    a->rows_txn = a->rows;
    a->first_row = (uint8_t)(a->rows + 1);
    for (int i = 0; i < x->images; i++)
        if (a->image[i] == OPEN) a->todo[a->n_todo++] = (uint8_t)i;
    why_coordinator_options o = why_coordinator_defaults(x->workers, a->n_todo);
    o.shard = x->shard;
    o.first_shard = a->first_row;
    o.silence = SILENT_FOR;
    o.first_image = o.least = o.goodbye = LIMIT;
    o.beat_every = 1;
    if (why_coordinator_create(&o, &s->c)) abort();
    for (int w = 0; w < x->workers; w++) push(x, &a->actors[w].up, (message){HELLO, 0, 0, 0});
    happen(x, s, (why_event){.type = WHY_EVENT_TICK}, 0);
}

/* What it has sent may still arrive, unless its link is cut. */
static void crash(actor *w) {
    const channel up = w->cut ? (channel){0} : w->up;
    *w = (actor){.dead = 1, .up = up};
}

static void swap_heads(channel *ch) {
    const message m = ch->m[0];
    ch->m[0] = ch->m[1];
    ch->m[1] = m;
}

static void make(const explorer *x, state *s, move mv) {
    around *a = &s->a;
    actor *w = &a->actors[mv.worker];
    message m;
    if (mv.kind >= FIRST_FAULT) {
        a->faults--;
        a->disturbed++;
    }
    switch ((move_kind)mv.kind) {
    case UP_MOVE: m = pop(&w->up); on_up(x, s, mv.worker, &m); break;
    case DOWN_MOVE: m = pop(&w->down); on_down(x, w, &m); break;
    case FINISH_MOVE: finish_image(x, w); break;
    case TICK_MOVE: happen(x, s, (why_event){.type = WHY_EVENT_TICK}, 0); break;
    case WAIT_MOVE: let_pass(x, s, 1); break;
    case SILENCE_MOVE: let_pass(x, s, (int)SILENT_FOR + 2); break;
    case LONG_MOVE: let_pass(x, s, (int)LIMIT + 2); break;
    case RESEND_MOVE:
        for (int k = 0; k < w->n_kept; k++) push(x, &w->up, (message){RESULT, w->kept[k].image, 0, w->kept[k].shard});
        break;
    case BEAT_MOVE: happen(x, s, (why_event){.type = WHY_EVENT_BEAT, .worker = mv.worker}, 0); break;
    case HEAL_MOVE: w->cut = 0; break;
    case CRASH_MOVE: crash(w); break;
    case HANG_MOVE: w->hung = 1; break;
    case GIVE_UP_MOVE: give_up(x, a, w); break;
    case IMAGE_CRASH_MOVE:
        push(x, &w->up, (message){CRASHED, w->jobs[0].image, 0, w->jobs[0].shard});
        drop_job_at(w, 0);
        leave_if_done(x, w);
        break;
    case CUT_MOVE: w->cut = 1; break;
    case LOSE_UP_MOVE: pop(&w->up); break;
    case LOSE_DOWN_MOVE: pop(&w->down); break;
    case TWICE_UP_MOVE: push(x, &w->up, w->up.m[0]); break;
    case TWICE_DOWN_MOVE: push(x, &w->down, w->down.m[0]); break;
    case SWAP_UP_MOVE: swap_heads(&w->up); break;
    case SWAP_DOWN_MOVE: swap_heads(&w->down); break;
    case KILL_MOVE: start_launch(x, s); break;
    case DRAIN_MOVE:
        a->drained = 1;
        happen(x, s, (why_event){.type = WHY_EVENT_DRAIN}, 0);
        break;
    case MOVE_KINDS: break;
    }
}

static bool believed(const state *s, int w) {
    const worker_state b = s->c->workers[w].state;
    return b != LOST && b != GONE;
}

/* Messages of the dead are still under way; none takes as long as the silence after which a worker is lost. */
static bool haunted(const explorer *x, const state *s) {
    for (int w = 0; w < x->workers; w++)
        if (s->a.actors[w].dead && s->a.actors[w].up.n > 0) return true;
    return false;
}

/* Nothing happens any more unless time passes. */
static bool quiet(const explorer *x, const state *s) {
    for (int w = 0; w < x->workers; w++) {
        const actor *a = &s->a.actors[w];
        if ((a->up.n > 0 && !a->cut) || (a->down.n > 0 && reachable(a)) || can_compute(a)) return false;
    }
    return true;
}

static bool may_fault(const state *s, move mv) {
    const actor *w = &s->a.actors[mv.worker];
    const bool well = !w->dead && !w->left;
    switch ((move_kind)mv.kind) {
    case CRASH_MOVE: return !w->dead;
    case HANG_MOVE:
    case IMAGE_CRASH_MOVE:
    case GIVE_UP_MOVE: return well && can_compute(w);
    case CUT_MOVE: return well && !w->cut;
    case LOSE_UP_MOVE: return w->up.n > 0;
    case LOSE_DOWN_MOVE: return w->down.n > 0;
    case TWICE_UP_MOVE: return w->up.n > 0;
    case TWICE_DOWN_MOVE: return w->down.n > 0;
    case SWAP_UP_MOVE: return w->up.n > 1;
    case SWAP_DOWN_MOVE: return w->down.n > 1;
    case KILL_MOVE: return mv.worker == 0;
    case DRAIN_MOVE: return mv.worker == 0 && !s->a.drained;
    default: return false;
    }
}

static bool may(const explorer *x, const state *s, move mv) {
    const actor *w = &s->a.actors[mv.worker];
    if (mv.kind >= FIRST_FAULT) return s->a.faults > 0 && may_fault(s, mv);
    switch ((move_kind)mv.kind) {
    case UP_MOVE: return w->up.n > 0 && !w->cut;
    case DOWN_MOVE: return w->down.n > 0 && reachable(w);
    case FINISH_MOVE: return can_compute(w);
    case TICK_MOVE: return mv.worker == 0;
    case WAIT_MOVE: return mv.worker == 0 && s->c->dirty;
    case SILENCE_MOVE: return (w->dead || w->cut) && believed(s, mv.worker) && !haunted(x, s);
    case LONG_MOVE: return mv.worker == 0 && quiet(x, s);
    case RESEND_MOVE: return !s->c->dirty && w->n_kept > 0 && w->up.n == 0 && w->down.n == 0 && !w->dead && !w->cut;
    case BEAT_MOVE: return reachable(w) && !w->left && w->up.n == 0 && (s->c->workers[mv.worker].state == ABSENT || s->c->workers[mv.worker].state == LOST);
    case HEAL_MOVE: return w->cut && !w->dead;
    default: return false;
    }
}

/* ---------------------------------------------------------------- the search */
static void *grown(void *p, size_t count, size_t size) {
    void *q = realloc(p, count * size);
    if (!q) abort();
    return q;
}

static void rehash(explorer *x) {
    x->n_slots = x->n_slots ? 2 * x->n_slots : 1 << 16;
    free(x->slots);
    x->slots = calloc(x->n_slots, sizeof *x->slots);
    if (!x->slots) abort();
    for (size_t i = 0; i < x->n; i++) {
        size_t k = x->hashes[i] & (x->n_slots - 1);
        while (x->slots[k]) k = (k + 1) & (x->n_slots - 1);
        x->slots[k] = (uint32_t)i + 1;
    }
}

/* The state's number; a new one is noted. */
static uint32_t number_of(explorer *x, const state *s) {
    if (2 * x->n >= x->n_slots) rehash(x);
    const uint64_t h = hash_of(s);
    size_t k = h & (x->n_slots - 1);
    for (; x->slots[k]; k = (k + 1) & (x->n_slots - 1))
        if (x->hashes[x->slots[k] - 1] == h) return x->slots[k] - 1;
    if (x->n == x->capacity) {
        x->capacity = x->capacity ? 2 * x->capacity : 1 << 16;
        x->parent = grown(x->parent, x->capacity, sizeof *x->parent);
        x->by = grown(x->by, x->capacity, sizeof *x->by);
        x->hashes = grown(x->hashes, x->capacity, sizeof *x->hashes);
        x->final = grown(x->final, x->capacity, sizeof *x->final);
    }
    x->slots[k] = (uint32_t)x->n + 1;
    x->parent[x->n] = x->here;
    x->by[x->n] = x->now;
    x->hashes[x->n] = h;
    x->final[x->n] = s->a.finished;
    x->finals += s->a.finished;
    return (uint32_t)x->n++;
}

static state first_state(const explorer *x) {
    state s = {0};
    s.a.faults = (uint8_t)x->faults;
    start_launch(x, &s);
    return s;
}

/* A state is its way from the first one: cheaper to walk again than to keep. */
static state state_at(const explorer *x, uint32_t index) {
    enum { LONGEST = 4096 };
    move way[LONGEST];
    int n = 0;
    for (uint32_t i = index; i != 0; i = x->parent[i]) {
        if (n == LONGEST) abort();
        way[n++] = x->by[i];
    }
    state s = first_state(x);
    while (n-- > 0) make(x, &s, way[n]);
    return s;
}

static void note_edge(explorer *x, uint32_t to) {
    if (x->n_edges + 2 > x->edges_capacity) {
        x->edges_capacity = x->edges_capacity ? 2 * x->edges_capacity : 1 << 20;
        x->edges = grown(x->edges, x->edges_capacity, sizeof *x->edges);
    }
    x->edges[x->n_edges++] = x->here;
    x->edges[x->n_edges++] = to;
}

static void try_move(explorer *x, const state *s, move mv) {
    x->now = mv;
    if (!may(x, s, mv)) return;
    state next = {s->a, copy_of(s->c)};
    make(x, &next, mv);
    const uint32_t to = number_of(x, &next);
    /* A fault does not count as a way to the end: the end must be reached without any more. */
    if (to != x->here && mv.kind < FIRST_FAULT) note_edge(x, to);
    why_coordinator_destroy(&next.c);
}

/* When no fault is left, it does not matter when work or an acknowledgement reaches a worker that is alive and believed to
 * be: whatever else may happen gives the same before and after. So it may happen first. (Partial-order reduction; what
 * makes a worker drop work, FORGET and STOP, must wait its turn, for it matters what the worker is at then.) */
static bool can_come_first(const explorer *x, const state *s, int index) {
    const actor *w = &s->a.actors[index];
    const worker_state b = s->c->workers[index].state;
    return may(x, s, (move){DOWN_MOVE, (uint8_t)index}) && (b == LIVE || b == STOPPING) && (w->down.m[0].kind == WORK || w->down.m[0].kind == ACK);
}

static bool hurry(explorer *x, const state *s) {
    for (int w = 0; w < x->workers && s->a.faults == 0; w++)
        if (can_come_first(x, s, w)) {
            try_move(x, s, (move){DOWN_MOVE, (uint8_t)w});
            return true;
        }
    return false;
}

static void expand(explorer *x, uint32_t index) {
    x->here = index;
    if (x->final[index]) return;
    state s = state_at(x, index);
    for (int kind = hurry(x, &s) ? MOVE_KINDS : 0; kind < MOVE_KINDS; kind++)
        for (int w = 0; w < x->workers; w++) try_move(x, &s, (move){(uint8_t)kind, (uint8_t)w});
    why_coordinator_destroy(&s.c);
}

/* From which states can the end be reached? Backwards along the edges, until nothing changes. */
static void check_end_is_reachable(explorer *x) {
    uint8_t *ends = clone(x->final, x->n, x->n, 1);
    for (bool more = true; more;) {
        more = false;
        for (size_t e = x->n_edges; e > 0; e -= 2)
            if (!ends[x->edges[e - 2]] && ends[x->edges[e - 1]]) {
                ends[x->edges[e - 2]] = 1;
                more = true;
            }
    }
    for (size_t i = 0; i < x->n; i++) {
        if (ends[i]) continue;
        x->here = x->parent[i];
        x->now = x->by[i];
        violated(x, "the end cannot be reached from here");
    }
    free(ends);
}

static void explore(explorer *x) {
    state s = first_state(x);
    number_of(x, &s);
    why_coordinator_destroy(&s.c);
    for (uint32_t i = 0; i < x->n; i++) expand(x, i);
    check_end_is_reachable(x);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: explore WORKERS IMAGES SHARD FAULTS\n"), 2;
    explorer x = {.workers = atoi(argv[1]), .images = atoi(argv[2]), .shard = atoi(argv[3]), .faults = atoi(argv[4])};
    if (x.workers < 1 || x.workers > MOST_WORKERS || x.images < 1 || x.images > MOST_IMAGES || x.shard < 1) return 2;
    const double t0 = seconds();
    explore(&x);
    printf("%d workers, %d images in shards of %d, %d faults: %zu states (%zu ends), %zu ways between them, %.1f s\n", x.workers, x.images, x.shard, x.faults,
           x.n, x.finals, x.n_edges / 2, seconds() - t0);
    free(x.parent);
    free(x.by);
    free(x.hashes);
    free(x.slots);
    free(x.edges);
    free(x.final);
    return 0;
}
