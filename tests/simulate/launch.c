#include "world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/worker.h"

#define LAST_MOMENT 1000.0 /* no launch takes so long unless it has come to a standstill */

static const why_total_metric metrics[] = {{METRIC, -1, 1}};

static const char *const fault_texts[] = {
#define FAULT_TEXT(kind, text) text,
    FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

/* ---------------------------------------------------------------- faults */
static void strike(world *w, rank *r) {
    r->faulty = true;
    w->disturbed++;
}

static void fire(world *w, const fault *f) {
    rank *r = &w->ranks[f->rank];
    const double now = fibers_now(w->fibers), while_long = within(w, 0.2, 4 * SILENCE);
    tell(w, "FAULT at rank %d: %s", f->rank, fault_texts[f->kind]);
    w->happened[f->kind]++;
    strike(w, r);
    switch (f->kind) {
    case FAULT_CRASH: kill_process(w, f->rank, "killed"); break;
    case FAULT_CRASH_AT_SEND: r->dies_in = 1 + below(w, 8); break;
    case FAULT_FREEZE: r->p.frozen_until = INFINITY; break;
    case FAULT_PAUSE: r->p.frozen_until = now + while_long; break;
    case FAULT_HANG: r->hang_next = true; break;
    case FAULT_SLOW: r->slow_next = true; break;
    case FAULT_GIVE_UP: r->give_up_next = true; break;
    case FAULT_CUT: r->cut_until = INFINITY; break;
    case FAULT_PARTITION:
    case FAULT_BLACKOUT:
        r->cut_until = now + while_long;
        r->cut_drops = f->kind == FAULT_BLACKOUT;
        break;
    case FAULT_COMPUTE_DIES: r->compute_dies_next = true; break;
    case FAULT_LOSE: r->lose_next = true; break;
    case FAULT_CORRUPT: r->corrupt_next = true; break;
    case FAULT_SPIKE: r->spike_next = true; break;
    case FAULT_UNREACHABLE: r->unreachable_next = true; break;
    case FAULT_STORE_FAILS: w->db.fails_in = 1 + below(w, 10); break;
    case FAULT_KILL_RUN: kill_process(w, 0, "killed"); break;
    case FAULT_KILL_AT_STORE: w->db.dies_in = 1 + below(w, 10); break;
    case FAULT_DRAIN: w->drain_now = true; break;
    case FAULT_KINDS: break;
    }
}

static bool is_of_rank_0(fault_kind k) { return k == FAULT_STORE_FAILS || k == FAULT_KILL_RUN || k == FAULT_KILL_AT_STORE || k == FAULT_DRAIN; }

/* What may befall rank 0 like any other: its worker is a thread beside the desk, and the whole of it may be held up. */
static bool may_hit_rank_0(fault_kind k) { return k == FAULT_HANG || k == FAULT_SLOW || k == FAULT_GIVE_UP || k == FAULT_COMPUTE_DIES || k == FAULT_PAUSE; }

static int by_time(const void *a, const void *b) {
    const fault *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void plan_faults(world *w) {
    const double end = 0.5 + w->n_todo * IMAGE_TIME / w->n_ranks * within(w, 0.2, 2);
    w->n_faults = below(w, MAX_FAULTS + 1);
    for (int i = 0; i < w->n_faults; i++) {
        fault *f = &w->faults[i];
        f->at = i > 0 && chance(w, 0.3) ? f[-1].at : within(w, 0, end);
        do f->kind = (fault_kind)below(w, FAULT_KINDS);
        while (is_of_rank_0(f->kind) && chance(w, 0.6)); /* they end the launch, so that less is seen */
        f->rank = is_of_rank_0(f->kind) ? 0 : may_hit_rank_0(f->kind) || w->n_ranks == 1 ? below(w, w->n_ranks) : 1 + below(w, w->n_ranks - 1);
        if (f->rank == 0 && !is_of_rank_0(f->kind) && !may_hit_rank_0(f->kind)) f->kind = FAULT_SLOW;
    }
    qsort(w->faults, (size_t)w->n_faults, sizeof *w->faults, by_time);
}

/* ---------------------------------------------------------------- processes */
static bool spend(bool *armed) {
    const bool was = *armed;
    *armed = false;
    return was;
}

static void swallow_poison(world *w, rank *r) {
    w->poison_left--;
    strike(w, r);
    if (w->venom == FAULT_CRASH) kill_process(w, r->index, "killed by the poison image");
    if (w->venom == FAULT_GIVE_UP) r->give_up_next = true;
    if (w->venom == FAULT_COMPUTE_DIES) r->compute_dies_next = true;
}

/* Rank 0 wants the running image no more: its process is killed, where there is one. */
static void break_off(void *ctx) {
    rank *r = ctx;
    if (!r->w->separate || !r->computing) return;
    tell(r->w, "rank %d breaks off", r->index);
    r->broken_off = true;
    fiber_interrupt(r->w->fibers, r->fibers[1]);
}

/* Let the time go by that an image takes, and be hit by what was aimed at it. */
static why_status suffer(world *w, rank *r, int index) {
    double until = fibers_now(w->fibers) + within(w, 0.01, IMAGE_TIME);
    if (spend(&r->hang_next)) until = INFINITY;
    if (spend(&r->slow_next)) until += within(w, IMAGE_TIME, 3 * IMAGE_LIMIT);
    r->computing = true;
    fiber_rest(w->fibers, until, false);
    r->computing = false;
    if (!r->p.dead && index == w->poison && w->poison_left > 0) swallow_poison(w, r);
    if (spend(&r->broken_off) || spend(&r->compute_dies_next)) return why_fail(WHY_ECRASH, "SIGKILL");
    return r->p.dead || spend(&r->give_up_next) ? why_fail(WHY_ENOMEM, "no memory for image %d", index + 1) : WHY_OK;
}

static why_status work(void *ctx, const why_task *task, why_buf *record) {
    rank *r = ctx;
    const int index = task->index;
    world *w = r->w;
    EXPECT(w, index >= 0 && index < w->n_images, "rank %d is to explain image %d", r->index, index + 1);
    EXPECT(w, task->n_words == 1 && (task->cells[0] == 14 || task->cells[0] == 0), "rank %d gets wrong cells for image %d", r->index, index + 1);
    tell(w, "rank %d begins image %d", r->index, index + 1);
    WHY_TRY(suffer(w, r, index));
    why_buf_put(record, w->records[index].data, w->records[index].size);
    return WHY_OK;
}

static void run_worker(void *arg) {
    rank *r = arg;
    const why_worker_options o = {.link = &r->queue[1].base, .threads = 1, .work = work, .ctx = r, .window = 1 + below(r->w, 8), .resend = 0.7};
    r->worked = why_worker_run(&o, &r->sent);
}

static void run_relay(void *arg) {
    rank *r = arg;
    const why_relay_options o = {.beat_every = BEAT_EVERY, .silence = PATIENCE, .break_off = break_off, .ctx = r};
    r->relayed = why_relay_run(&r->queue[0].base, &r->outer.base, &o, &r->everyone);
}

static bool drain(void *ctx) {
    world *w = ctx;
    w->drained = w->drained || w->drain_now;
    return w->drain_now;
}

static void run_desk(void *arg) {
    world *w = arg;
    why_desk_options o = {.plan = &w->plan, .store = w->db.real ? w->db.real : (why_store *)(void *)&w->db, .run_id = 1, .todo = w->todo,
                          .local = w->apart ? NULL : &w->ranks[0].queue[0].base, .world = w->n_ranks > 1 ? &w->ranks[0].outer.base : NULL,
                          .rules = why_coordinator_defaults(w->n_ranks, w->n_todo), .metrics = metrics, .n_metrics = 1, .drain = drain, .ctx = w};
    o.rules.first_shard = w->db.shards + 1;
    o.rules.shard = chance(w, 0.3) ? 1 + below(w, 7) : 0;
    o.rules.commit_every = 0.2;
    o.rules.beat_every = BEAT_EVERY;
    o.rules.silence = SILENCE;
    o.rules.first_image = o.rules.least = IMAGE_LIMIT;
    o.rules.slack = 10;
    o.rules.goodbye = GOODBYE;
    o.rules.supervised = w->quorum;
    w->desk_status = why_desk_run(&o, &w->result);
    if (w->ranks[0].p.dead) return;
    w->desk_ended = true;
    tell(w, "desk ends: %s, code %d, %s", why_status_name(w->desk_status), w->result.exit_code, w->result.everyone ? "everyone is there" : "somebody is lost");
    if (!w->result.local_left) kill_process(w, 0, "exits, its worker hangs");
}

static void begin(world *w) {
    memset(w->ranks, 0, sizeof w->ranks);
    memset(&w->result, 0, sizeof w->result);
    w->disturbed = w->n_faults = w->next_fault = 0;
    w->drain_now = w->drained = w->store_failed = w->desk_ended = false;
    w->lossy = false;
    fibers_reset(w->fibers);
    ledger_launch(w);
    net_open(w);
    for (int i = 0; i < w->n_ranks; i++) {
        rank *r = &w->ranks[i];
        r->index = i;
        r->w = w;
        if (why_totals_create(metrics, 1, &r->sent)) abort();
        r->fibers[0] = fiber_start(w->fibers, &r->p, within(w, 0, 0.3), i == 0 ? run_desk : run_relay, i == 0 ? (void *)w : (void *)r);
        r->fibers[1] = i == 0 && w->apart ? r->fibers[0] : fiber_start(w->fibers, &r->p, within(w, 0, 0.5), run_worker, r);
        r->boxes[0].owner = r->boxes[1].owner = r->fibers[0];
        r->boxes[2].owner = r->fibers[1];
    }
}

/* ---------------------------------------------------------------- time goes by */
static void bury(world *w) {
    for (int i = 0; i < w->n_ranks; i++)
        if (w->ranks[i].p.dead) fibers_unwind(w->fibers, &w->ranks[i].p);
}

/* False: nothing will ever happen any more. */
static bool step(world *w) {
    int which = -1;
    const double message = net_next(w), turn = fibers_next(w->fibers, &which);
    const double misfortune = w->next_fault < w->n_faults ? w->faults[w->next_fault].at : INFINITY, next = fmin(message, turn);
    if (isinf(next)) return false;
    EXPECT(w, next < LAST_MOMENT, "a standstill: %d of %d images closed", w->result.view.closed, w->n_todo);
    if (misfortune <= next) {
        fibers_set_clock(w->fibers, misfortune);
        fire(w, &w->faults[w->next_fault++]);
    } else if (message <= turn) {
        net_deliver(w);
    } else {
        fiber_resume(w->fibers, which, turn);
    }
    bury(w);
    return true;
}

/* ---------------------------------------------------------------- what must be true afterwards */
static bool is_bad(const world *w, int image) { return w->db.image[image] == GIVEN_UP || (image + 1) % 11 == 7; }

static void check_code(const world *w) {
    bool failed = false, open = false;
    int faulty = 0;
    const int workers = w->n_ranks - w->apart;
    const int code = w->result.exit_code;
    for (int k = 0; k < w->n_todo; k++) {
        open = open || w->db.image[w->todo[k]] == OPEN;
        failed = failed || (w->db.image[w->todo[k]] != OPEN && is_bad(w, w->todo[k]));
    }
    for (int i = w->apart; i < w->n_ranks; i++) faulty += w->ranks[i].faulty;
    /* A transport keeps the order of messages. If it does not, nothing may go wrong, but a body in parts may never arrive. */
    const bool may_end = faulty == workers || (w->quorum && 2 * faulty > workers) || w->reorder;
    if (!open) EXPECT(w, code == failed, "all is done, %s, exit code %d", failed ? "with failures" : "without failures", code);
    else if (w->drained) EXPECT(w, code == 75, "drained, exit code %d", code);
    else EXPECT(w, code == 3 && may_end, "images are left, though %d of %d workers were well; exit code %d", workers - faulty, workers, code);
}

static void check_desk(const world *w) {
    EXPECT(w, w->desk_ended || w->ranks[0].p.dead, "rank 0 is alive, but its desk has not ended");
    if (!w->desk_ended) return;
    EXPECT(w, w->desk_status == WHY_OK || (w->store_failed && w->desk_status == WHY_ESTORE), "desk: %s: %s", why_status_name(w->desk_status), why_error_text());
    EXPECT(w, !w->db.in_transaction, "a transaction is left open");
    if (w->desk_status == WHY_OK) check_code(w);
}

/* Whoever was well has ended by itself, and knows whether the last reduction is safe. */
static void check_rank(const world *w, const rank *r) {
    if (r->faulty) return;
    const bool well = w->desk_ended && !w->lossy;
    EXPECT(w, fiber_ended(w->fibers, r->fibers[0]) && fiber_ended(w->fibers, r->fibers[1]), "rank %d was well, but has not ended", r->index);
    EXPECT(w, r->worked == WHY_OK, "worker %d: %s", r->index, why_status_name(r->worked));
    if (r->index == 0 || !well) return;
    EXPECT(w, r->relayed == WHY_OK, "relay %d: %s", r->index, why_status_name(r->relayed));
    EXPECT(w, r->everyone == w->result.everyone, "rank %d and rank 0 do not agree who is there", r->index);
}

/* What the workers know to be taken is what was stored. */
static void check_totals(world *w) {
    if (!w->desk_ended || w->desk_status != WHY_OK || !w->result.everyone) return;
    why_totals *all = &w->ranks[0].sent;
    for (int i = 0; i < w->n_ranks; i++) {
        EXPECT(w, fiber_ended(w->fibers, w->ranks[i].fibers[1]), "everyone is said to be there, but worker %d is not done", i);
        for (int k = 0; i > 0 && k < 2; k++) why_moments_merge(&all->parts[k], &w->ranks[i].sent.parts[k]);
    }
    EXPECT(w, why_totals_compare(all, &w->result.applied) == WHY_OK, "totals: %s", why_error_text());
}

static void check(world *w) {
    check_desk(w);
    for (int i = 0; i < w->n_ranks; i++) {
        check_rank(w, &w->ranks[i]);
        if (w->ranks[i].everyone) EXPECT(w, w->result.everyone, "rank %d takes it that everyone is there", i);
    }
    check_totals(w);
}

/* The launcher ends what is left. */
static void end(world *w) {
    for (int i = 0; i < w->n_ranks; i++) {
        rank *r = &w->ranks[i];
        if (!r->p.dead && !(fiber_ended(w->fibers, r->fibers[0]) && fiber_ended(w->fibers, r->fibers[1]))) kill_process(w, i, "ended by the launcher");
    }
    bury(w);
    for (int i = 0; i < w->n_ranks; i++) why_totals_clear(&w->ranks[i].sent);
    why_totals_clear(&w->result.applied);
    net_close(w);
}

void launch(world *w, bool faulty) {
    begin(w);
    if (faulty) plan_faults(w);
    tell(w, "launch %d: %d ranks, %d images", w->launch, w->n_ranks, w->n_todo);
    while (step(w)) {}
    check(w);
    end(w);
}
