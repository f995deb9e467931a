/* The real coordinator against an invented world: workers that crash, hang, stop answering and come back; messages that
 * are late, lost, doubled or out of order; a coordinator that is killed and begun again from what was committed. Time is
 * virtual and every schedule follows from its seed, so a failure is repeated with WHYPIX_SIM_SEED=<seed>; the number of
 * schedules is WHYPIX_SIM_RUNS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "run/coordinator.h"
#include "whypix/rng.h"

enum { MAX_IMAGES = 60, MAX_WORKERS = 6, MAX_NOTES = 4096, MAX_SHARDS = 4096, COORDINATOR = -1 };

typedef enum kind {
    HELLO,
    WORK,
    RESULT,
    ACK,
    ERROR,
    FORGET,
    BEAT,
    STOP,
    BYE,
    /* a worker's own: */ DONE,
    RESEND,
    BEAT_DUE,
    CONT,
    /* the run's: */ TICK
} kind;

/* A message under way, or an alarm. */
typedef struct note {
    double at;
    uint64_t order; /* among equal times */
    kind kind;
    int from, to, life, image, n;
    int64_t shard;
    double patience;
} note;

typedef enum health { WELL, DEAD, STUCK /* in an image; beats go on */, FROZEN /* like SIGSTOP */ } health;

typedef struct actor {
    health health;
    int life;                   /* alarms of a former life are void */
    int jobs[MAX_IMAGES * 4], n_jobs;
    int64_t job_shard[MAX_IMAGES * 4];
    int computing;              /* image or -1 */
    int64_t computing_shard;
    int kept[MAX_IMAGES * 4], n_kept;
    bool stopping, left;
    double last_out, last_in;   /* arrival of the last message each way, to keep their order */
} actor;

typedef enum fate { OPEN, STORED_DONE, STORED_FAILED } fate;

typedef struct world {
    why_rng rng;
    int n_images, n_workers;
    double loss, twice, crash, freeze, stick, latency;
    bool reorder;
    int faults_left, poison, deadly_error;
    note notes[MAX_NOTES];
    int n_notes;
    uint64_t order;
    double now;
    actor actors[MAX_WORKERS];
    /* the database: survives the coordinator */
    fate committed[MAX_IMAGES], open_txn[MAX_IMAGES];
    int64_t next_shard;
    bool shard_row[MAX_SHARDS], shard_row_txn[MAX_SHARDS];
    /* this launch */
    int todo[MAX_IMAGES], n_todo;
    why_coordinator *c;
    bool finished;
    int code;
    uint64_t seed;
    double drain_at;
    int launches;
} world;

static void check(const world *w, bool ok, const char *what, int image) {
    if (ok) return;
    fail_msg("seed %llu, launch %d, t = %.3f, image %d: %s", (unsigned long long)w->seed, w->launches, w->now, image, what);
}

static bool chance(world *w, double p) { return why_rng_uniform(&w->rng) < p; }
static int below(world *w, int n) { return (int)why_rng_below(&w->rng, (uint32_t)n); }

/* ---------------------------------------------------------------- time and messages */
static void post(world *w, note n) {
    check(w, w->n_notes < MAX_NOTES, "more messages than the simulator holds", n.image);
    n.order = w->order++;
    w->notes[w->n_notes++] = n;
}

static note take_earliest(world *w) {
    int best = 0;
    for (int i = 1; i < w->n_notes; i++) {
        const note *a = &w->notes[i], *b = &w->notes[best];
        if (a->at < b->at || (a->at == b->at && a->order < b->order)) best = i;
    }
    const note n = w->notes[best];
    w->notes[best] = w->notes[--w->n_notes];
    return n;
}

static void send_note(world *w, note n) {
    const int peer = n.to == COORDINATOR ? n.from : n.to;
    actor *a = &w->actors[peer];
    double *last = n.to == COORDINATOR ? &a->last_out : &a->last_in;
    n.life = a->life;
    for (int copies = chance(w, w->twice) ? 2 : 1; copies > 0; copies--) {
        if (w->faults_left > 0 && chance(w, w->loss)) {
            w->faults_left--;
            continue;
        }
        n.at = w->now + w->latency * why_rng_uniform(&w->rng);
        if (!w->reorder && n.at < *last) n.at = *last;
        *last = n.at > *last ? n.at : *last;
        post(w, n);
    }
}

static void alarm_in(world *w, int actor_index, kind k, double delay, note n) {
    n.kind = k;
    n.to = actor_index;
    n.life = w->actors[actor_index].life;
    n.at = w->now + delay;
    post(w, n);
}

/* ---------------------------------------------------------------- a worker */
static void say(world *w, int me, kind k, int image, int64_t shard) {
    send_note(w, (note){.kind = k, .from = me, .to = COORDINATOR, .image = image, .shard = shard});
}

static bool fault(world *w, double p) {
    if (w->faults_left <= 0 || !chance(w, p)) return false;
    w->faults_left--;
    return true;
}

static void leave_if_done(world *w, int me) {
    actor *a = &w->actors[me];
    if (!a->stopping || a->computing >= 0 || a->n_kept > 0 || a->left) return;
    a->left = true;
    say(w, me, BYE, 0, 0);
}

static void drop_job(actor *a, int k) {
    memmove(a->jobs + k, a->jobs + k + 1, (size_t)(a->n_jobs - k - 1) * sizeof *a->jobs);
    memmove(a->job_shard + k, a->job_shard + k + 1, (size_t)(a->n_jobs - k - 1) * sizeof *a->job_shard);
    a->n_jobs--;
}

static void begin(world *w, int me) {
    actor *a = &w->actors[me];
    if (a->computing >= 0 || a->n_jobs == 0 || a->health != WELL) return;
    a->computing = a->jobs[0];
    a->computing_shard = a->job_shard[0];
    drop_job(a, 0);
    const int image = w->todo[a->computing];
    if (image == w->poison || fault(w, w->crash)) {
        a->health = DEAD;
        return;
    }
    if (image == w->deadly_error) {
        say(w, me, ERROR, a->computing, 0);
        a->computing = -1;
        a->n_jobs = 0;
        leave_if_done(w, me);
        return;
    }
    if (fault(w, w->stick)) {
        a->health = STUCK;
        if (chance(w, 0.5)) alarm_in(w, me, CONT, 50 + 800 * why_rng_uniform(&w->rng), (note){0});
        return;
    }
    alarm_in(w, me, DONE, 0.1 + 3 * why_rng_uniform(&w->rng), (note){.image = a->computing, .shard = a->computing_shard});
}

static void deliver_done(world *w, int me, const note *n) {
    actor *a = &w->actors[me];
    a->computing = -1;
    a->kept[a->n_kept++] = n->image;
    say(w, me, RESULT, n->image, n->shard);
    alarm_in(w, me, RESEND, 20, (note){.image = n->image, .shard = n->shard, .patience = 20});
    begin(w, me);
}

static int kept_at(const actor *a, int image) {
    for (int k = 0; k < a->n_kept; k++)
        if (a->kept[k] == image) return k;
    return -1;
}

static void on_ack(world *w, int me, const note *n) {
    actor *a = &w->actors[me];
    const int k = kept_at(a, n->image);
    check(w, w->committed[w->todo[n->image]] != OPEN, "acknowledged, but not committed", n->image);
    if (k < 0) return;
    a->kept[k] = a->kept[--a->n_kept];
    leave_if_done(w, me);
}

static void on_work(world *w, int me, const note *n) {
    actor *a = &w->actors[me];
    if (a->stopping) return;
    check(w, a->n_jobs + n->n <= MAX_IMAGES * 4, "a worker holds more work than there is", n->image);
    for (int i = 0; i < n->n; i++) {
        a->jobs[a->n_jobs] = n->image + i;
        a->job_shard[a->n_jobs++] = n->shard;
    }
    begin(w, me);
}

static void on_resend(world *w, int me, const note *n) {
    if (kept_at(&w->actors[me], n->image) < 0) return;
    say(w, me, RESULT, n->image, n->shard);
    note again = *n;
    again.patience *= 2;
    alarm_in(w, me, RESEND, again.patience, again);
}

static void thaw(world *w, int me) {
    actor *a = &w->actors[me];
    const bool stuck = a->health == STUCK;
    a->health = WELL;
    if (stuck) alarm_in(w, me, DONE, 0.1, (note){.image = a->computing, .shard = a->computing_shard});
    begin(w, me);
}

static void on_beat_due(world *w, int me) {
    actor *a = &w->actors[me];
    if (a->left) return;
    say(w, me, BEAT, 0, 0);
    alarm_in(w, me, BEAT_DUE, 5, (note){0});
    if (a->health == WELL && fault(w, w->freeze)) {
        a->health = FROZEN;
        if (chance(w, 0.6)) alarm_in(w, me, CONT, 10 + 100 * why_rng_uniform(&w->rng), (note){0});
    }
}

static void on_stop(world *w, int me) {
    actor *a = &w->actors[me];
    a->stopping = true;
    a->n_jobs = 0;
    leave_if_done(w, me);
}

static void worker_gets(world *w, const note *n) {
    const int me = n->to;
    actor *a = &w->actors[me];
    if (n->life != a->life || a->health == DEAD || a->left) return;
    if (a->health == FROZEN && n->kind != CONT) { /* it all waits until the process goes on */
        note later = *n;
        later.at = w->now + 5;
        if (later.at < 4000) post(w, later);
        return;
    }
    switch (n->kind) {
    case WORK: on_work(w, me, n); break;
    case ACK: on_ack(w, me, n); break;
    case FORGET:
        for (int k = a->n_jobs; k-- > 0;)
            if (a->job_shard[k] == n->shard) drop_job(a, k);
        break;
    case STOP: on_stop(w, me); break;
    case DONE: deliver_done(w, me, n); leave_if_done(w, me); break;
    case RESEND: on_resend(w, me, n); break;
    case BEAT_DUE: on_beat_due(w, me); break;
    case CONT: thaw(w, me); break;
    default: break;
    }
}

/* ---------------------------------------------------------------- the run around the coordinator */
static void store(world *w, int position, fate f) {
    const int image = w->todo[position];
    check(w, w->committed[image] == OPEN && w->open_txn[image] == OPEN, "stored twice", image);
    w->open_txn[image] = f;
}

static void commit(world *w) {
    for (int i = 0; i < w->n_images; i++)
        if (w->open_txn[i] != OPEN) {
            w->committed[i] = w->open_txn[i];
            w->open_txn[i] = OPEN;
        }
    memcpy(w->shard_row, w->shard_row_txn, sizeof w->shard_row);
}

static void perform(world *w, const why_action *a) {
    note n = {.from = COORDINATOR, .to = a->worker, .shard = a->shard, .image = a->image};
    switch (a->type) {
    case WHY_ACTION_STORE: store(w, a->image, STORED_DONE); break;
    case WHY_ACTION_FAIL_IMAGE: store(w, a->image, STORED_FAILED); break;
    case WHY_ACTION_OPEN_SHARD:
        check(w, a->shard < MAX_SHARDS && a->n > 0, "a shard that cannot be", a->first);
        w->shard_row_txn[a->shard] = true;
        if (a->shard >= w->next_shard) w->next_shard = a->shard + 1;
        break;
    case WHY_ACTION_CLOSE_SHARD: check(w, w->shard_row_txn[a->shard], "a shard closed that was not opened", a->first); break;
    case WHY_ACTION_COMMIT: commit(w); break;
    case WHY_ACTION_SEND_SHARD:
        check(w, w->shard_row[a->shard], "sent before its row was committed", a->first);
        n.kind = WORK;
        n.image = a->first;
        n.n = a->n;
        for (int i = 0; i < a->n; i++) check(w, w->committed[w->todo[a->first + i]] == OPEN, "sent, but already there", a->first + i);
        send_note(w, n);
        break;
    case WHY_ACTION_ACK: n.kind = ACK; send_note(w, n); break;
    case WHY_ACTION_FORGET: n.kind = FORGET; send_note(w, n); break;
    case WHY_ACTION_BEAT: n.kind = BEAT; send_note(w, n); break;
    case WHY_ACTION_STOP: n.kind = STOP; send_note(w, n); break;
    case WHY_ACTION_FINISH:
        check(w, !w->finished, "finished twice", 0);
        w->finished = true;
        w->code = a->code;
        break;
    }
}

static void happen(world *w, why_event e) {
    e.now = w->now;
    check(w, why_coordinator_handle(w->c, &e) == WHY_OK, why_error_text(), e.image);
    for (why_action a; why_coordinator_next(w->c, &a);) perform(w, &a);
}

static void coordinator_gets(world *w, const note *n) {
    static const why_event_type events[] = {[HELLO] = WHY_EVENT_HELLO, [RESULT] = WHY_EVENT_RESULT, [ERROR] = WHY_EVENT_ERROR,
                                            [BEAT] = WHY_EVENT_BEAT, [BYE] = WHY_EVENT_BYE};
    happen(w, (why_event){.type = events[n->kind], .worker = n->from, .image = n->image, .shard = n->shard, .wall = 2, .text = "said so"});
}

/* ---------------------------------------------------------------- launches */
static void launch_workers(world *w) {
    w->n_notes = 0;
    for (int i = 0; i < w->n_workers; i++) {
        const int life = w->actors[i].life + 1;
        w->actors[i] = (actor){.life = life, .computing = -1};
        say(w, i, HELLO, 0, 0);
        alarm_in(w, i, BEAT_DUE, 1 + i, (note){0});
    }
    post(w, (note){.kind = TICK, .to = COORDINATOR, .at = w->now});
}

static void launch(world *w) {
    w->n_todo = 0;
    for (int i = 0; i < w->n_images; i++)
        if (w->committed[i] == OPEN) w->todo[w->n_todo++] = i;
    why_coordinator_options o = why_coordinator_defaults(w->n_workers, w->n_todo);
    o.shard = below(w, 3) == 0 ? 1 + below(w, 7) : 0;
    o.first_shard = w->next_shard;
    o.silence = 30;
    o.least = o.first_image = 100;
    assert_int_equal(why_coordinator_create(&o, &w->c), WHY_OK);
    memset(w->open_txn, 0, sizeof w->open_txn);
    memcpy(w->shard_row_txn, w->shard_row, sizeof w->shard_row);
    w->finished = false;
    w->now = 0;
    w->launches++;
    launch_workers(w);
}

/* Until FINISH, or until the coordinator's process is killed at kill_at. */
static void run_launch(world *w, double kill_at) {
    launch(w);
    for (bool told = false; !w->finished && w->now < kill_at;) {
        const note n = take_earliest(w);
        w->now = n.at > w->now ? n.at : w->now;
        check(w, w->now < 20000, "does not come to an end", 0);
        if (w->now >= w->drain_at && !told) {
            told = true;
            happen(w, (why_event){.type = WHY_EVENT_DRAIN});
        }
        if (n.kind == TICK) post(w, (note){.kind = TICK, .to = COORDINATOR, .at = w->now + 0.5});
        else if (n.to == COORDINATOR) coordinator_gets(w, &n);
        else worker_gets(w, &n);
        if (n.kind == TICK || n.to == COORDINATOR) happen(w, (why_event){.type = WHY_EVENT_TICK});
    }
    if (w->finished) {
        int open = 0;
        for (int i = 0; i < w->n_images; i++) {
            check(w, w->open_txn[i] == OPEN, "finished with rows that are not committed", i);
            open += w->committed[i] == OPEN;
        }
        check(w, (open == 0) == (w->code == 0 || w->code == 1), "the exit code does not say what is missing", open);
    }
    why_coordinator_destroy(&w->c);
}

static world *world_of(uint64_t seed) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->seed = seed;
    w->rng = why_rng_at((why_stream){.key = 0x51a7e}, seed);
    w->n_images = 1 + below(w, MAX_IMAGES);
    w->n_workers = 1 + below(w, MAX_WORKERS);
    w->next_shard = 1;
    w->latency = chance(w, 0.3) ? 5 : 0.05;
    w->reorder = chance(w, 0.3);
    w->loss = chance(w, 0.4) ? 0.05 : 0;
    w->twice = chance(w, 0.4) ? 0.2 : 0;
    w->crash = chance(w, 0.5) ? 0.05 : 0;
    w->freeze = chance(w, 0.4) ? 0.05 : 0;
    w->stick = chance(w, 0.4) ? 0.04 : 0;
    w->poison = chance(w, 0.2) ? below(w, w->n_images) : -1;
    w->deadly_error = chance(w, 0.2) ? below(w, w->n_images) : -1;
    w->faults_left = below(w, 12);
    w->drain_at = 1e9;
    return w;
}

/* One job from beginning to end, however many launches that takes. */
static void simulate(uint64_t seed) {
    world *w = world_of(seed);
    for (bool complete = false; !complete;) {
        check(w, w->launches < 60, "60 launches were not enough", 0);
        const bool killed = w->launches < 3 && chance(w, 0.3), drained = !killed && w->launches < 3 && chance(w, 0.2);
        w->drain_at = drained ? 40 * why_rng_uniform(&w->rng) : 1e9;
        run_launch(w, killed ? 60 * why_rng_uniform(&w->rng) : 1e9);
        complete = true;
        for (int i = 0; i < w->n_images; i++) complete = complete && w->committed[i] != OPEN;
        if (w->launches > 10) w->poison = w->deadly_error = -1; /* a lone worker never gets past a poison image */
        if (w->finished && !killed && !drained) check(w, w->code != 75, "says interrupted, but was not", 0);
    }
    free(w);
}

static void every_image_ends_exactly_once(void **state) {
    (void)state;
    const char *one = getenv("WHYPIX_SIM_SEED"), *runs = getenv("WHYPIX_SIM_RUNS");
    if (one) {
        simulate(strtoull(one, NULL, 10));
        return;
    }
    const uint64_t n = runs ? strtoull(runs, NULL, 10) : 3000;
    for (uint64_t seed = 1; seed <= n; seed++) simulate(seed);
    print_message("%llu schedules\n", (unsigned long long)n);
}

/* Without faults nothing may be tried twice, nothing may fail, and the messages are few. */
static void a_quiet_world_needs_one_launch(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        world *w = world_of(seed);
        w->loss = w->twice = w->crash = w->freeze = w->stick = 0;
        w->poison = w->deadly_error = -1;
        run_launch(w, 1e9);
        assert_int_equal(w->code, 0);
        for (int i = 0; i < w->n_images; i++) assert_int_equal(w->committed[i], STORED_DONE);
        free(w);
    }
}

/* A poison image is given up after two workers, and only that one. */
static void a_poison_image_is_given_up(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        world *w = world_of(seed);
        w->loss = w->twice = w->crash = w->freeze = w->stick = 0;
        w->reorder = false;
        w->deadly_error = seed % 2 ? -1 : w->n_images / 2;
        w->poison = seed % 2 ? w->n_images / 2 : -1;
        w->n_workers = 3 + (int)(seed % 4);
        run_launch(w, 1e9);
        assert_int_equal(w->code, 1);
        for (int i = 0; i < w->n_images; i++) assert_int_equal(w->committed[i], i == w->n_images / 2 ? STORED_FAILED : STORED_DONE);
        free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_world_needs_one_launch),
        cmocka_unit_test(a_poison_image_is_given_up),
        cmocka_unit_test(every_image_ends_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
