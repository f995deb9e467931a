#include "run/desk.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/protocol.h"

enum { MOST_MESSAGES = 4096 /* handled in one round before the clock is looked at again */ };

/* What is known of a worker's process, for the shard table. */
typedef struct peer {
    why_assembly incoming;
    int64_t pid;
    char host[64];
    bool near;        /* its process is one of this host, where death can be seen */
    bool unreachable; /* a send failed; the coordinator hears of it in the next round */
    bool left;        /* said BYE */
} peer;

typedef struct desk {
    const why_desk_options *o;
    why_desk_result *result;
    why_coordinator *c;
    peer *peers;
    double *begun; size_t begun_capacity; /* when each shard was opened, by its number in this run */
    uint64_t *planned;                    /* bit c: cell c belongs to this job */
    bool in_transaction, unreachable;
    const why_assembly *record;           /* of the RESULT being handled */
    double shown, felt; /* when the user was told, when the near processes were looked at */
} desk;

static double calendar(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---------------------------------------------------------------- to the workers */
static why_transport *way_to(const desk *d, int worker) { return worker == 0 ? d->o->local : d->o->world; }
static int end_of(int worker) { return worker == 0 ? 1 : worker; }
static void mark_unreachable(desk *d, int worker) { d->unreachable = d->peers[worker].unreachable = true; }

static void tell(desk *d, int worker, const why_message *m) {
    if (why_message_send(way_to(d, worker), end_of(worker), m)) mark_unreachable(d, worker);
}

/* Cells of the image that this job wants and the database lacks. */
static why_status wanted_cells(desk *d, int64_t image_id, uint64_t **cells, size_t *n_words) {
    WHY_TRY(why_store_todo(d->o->store, image_id, cells, n_words));
    for (size_t i = 0; i < *n_words; i++) (*cells)[i] &= d->planned[i];
    return WHY_OK;
}

static why_status put_task(desk *d, int image, why_buf *body) {
    size_t n_words;
    why_task task = {.image = image, .index = d->o->todo[image]};
    const int64_t id = d->o->plan->images[task.index].id;
    WHY_TRY(why_store_picture(d->o->store, id, task.sha256));
    WHY_TRY(wanted_cells(d, id, &task.cells, &n_words));
    task.n_words = (uint32_t)n_words;
    why_task_put(body, &task);
    free(task.cells);
    return WHY_OK;
}

static why_status send_shard(desk *d, const why_action *a) {
    why_buf body = {0};
    why_status st = WHY_OK;
    for (int i = 0; !st && i < a->n; i++) st = put_task(d, a->first + i, &body);
    if (!st) st = why_buf_status(&body);
    const why_message head = {.type = WHY_MSG_WORK, .shard = a->shard, .attempt = a->attempt};
    if (!st && why_body_send(way_to(d, a->worker), end_of(a->worker), &head, body.data, body.size)) mark_unreachable(d, a->worker);
    why_buf_clear(&body);
    return st;
}

/* ---------------------------------------------------------------- to the database */
static why_status open_transaction(desk *d) {
    if (d->in_transaction) return WHY_OK;
    WHY_TRY(why_store_begin(d->o->store));
    d->in_transaction = true;
    return WHY_OK;
}

static why_status commit(desk *d) {
    if (!d->in_transaction) return WHY_OK;
    WHY_TRY(why_store_commit(d->o->store));
    d->in_transaction = false;
    return WHY_OK;
}

/* "3-7,12": ids are those of the list's order, so a shard is mostly one range. */
static void put_ranges(const desk *d, const why_action *a, why_buf *b) {
    const why_plan_image *images = d->o->plan->images;
    const int *todo = d->o->todo + a->first;
    for (int i = 0, j; i < a->n; i = j) {
        const int64_t first = images[todo[i]].id;
        for (j = i + 1; j < a->n && images[todo[j]].id == first + (j - i);) j++;
        why_buf_printf(b, "%s%lld", i ? "," : "", (long long)first);
        if (j > i + 1) why_buf_printf(b, "-%lld", (long long)(first + (j - i) - 1));
    }
}

static why_status put_shard(desk *d, const why_action *a, const char *state) {
    const size_t k = (size_t)(a->shard - d->o->rules.first_shard);
    const bool opens = a->type == WHY_ACTION_OPEN_SHARD;
    const double now = calendar();
    why_buf ranges = {0};
    char *images;
    WHY_TRY(why_grow(&d->begun, &d->begun_capacity, k + 1, sizeof *d->begun, "shards"));
    if (opens) d->begun[k] = now;
    const peer *p = &d->peers[a->worker];
    WHY_TRY(open_transaction(d));
    put_ranges(d, a, &ranges);
    WHY_TRY(why_buf_take(&ranges, &images));
    const why_shard_row row = {.id = a->shard,
                               .run_id = d->o->run_id,
                               .first = d->o->plan->images[d->o->todo[a->first]].id,
                               .n = a->n,
                               .state = state,
                               .attempts = a->attempt,
                               .rank = a->worker,
                               .pid = p->pid,
                               .host = p->host,
                               .t0 = d->begun[k],
                               .t1 = opens ? NAN : now,
                               .images = images};
    const why_status st = why_store_put_shard(d->o->store, &row);
    free(images);
    return st;
}

static why_status apply(desk *d, const why_action *a) {
    const why_assembly *r = d->record;
    WHY_TRY(why_totals_add(&d->result->applied, r->bytes, r->head.total));
    WHY_TRY(open_transaction(d));
    return why_store_apply(d->o->store, d->o->run_id, a->shard, r->head.attempt, r->bytes, r->head.total);
}

static void put_failed_cells(why_buf *record, int64_t image_id, const uint64_t *cells, size_t n_words, const char *reason) {
    for (int64_t cell = 0; cell < (int64_t)n_words * 64; cell++) {
        if (!(cells[cell / 64] >> (cell % 64) & 1)) continue;
        why_row row = {.type = WHY_ROW_EXPLANATION};
        row.u.explanation.image_id = image_id;
        row.u.explanation.cell_id = cell;
        row.u.explanation.class_index = -1;
        row.u.explanation.status = "failed";
        row.u.explanation.fit = row.u.explanation.residual = row.u.explanation.se_range = NAN;
        row.u.explanation.vmin = row.u.explanation.vmax = NAN;
        row.u.explanation.map = row.u.explanation.map_sha256 = "";
        row.u.explanation.error = reason;
        why_record_put(record, &row);
    }
}

/* No worker survives this image: its record is written here, so that no later run tries it again unasked. */
static why_status fail_image(desk *d, const why_action *a) {
    uint64_t *cells;
    size_t n_words;
    const int64_t image_id = d->o->plan->images[d->o->todo[a->image]].id;
    WHY_TRY(wanted_cells(d, image_id, &cells, &n_words));
    why_buf record = {0};
    why_row row = {.type = WHY_ROW_FAILURE};
    row.u.failure.image_id = image_id;
    row.u.failure.reason = a->text;
    why_record_put(&record, &row);
    put_failed_cells(&record, image_id, cells, n_words, a->text);
    why_record_finish(&record);
    why_status st = why_buf_status(&record);
    if (!st) st = open_transaction(d);
    if (!st) st = why_store_apply(d->o->store, d->o->run_id, a->shard, a->attempt, record.data, record.size);
    why_buf_clear(&record);
    free(cells);
    return st;
}

static why_status perform(desk *d, const why_action *a) {
    switch (a->type) {
    case WHY_ACTION_STORE: return apply(d, a);
    case WHY_ACTION_FAIL_IMAGE: return fail_image(d, a);
    case WHY_ACTION_OPEN_SHARD: return put_shard(d, a, "running");
    case WHY_ACTION_CLOSE_SHARD: return put_shard(d, a, a->text);
    case WHY_ACTION_COMMIT: return commit(d);
    case WHY_ACTION_SEND_SHARD: return send_shard(d, a);
    case WHY_ACTION_ACK:
        tell(d, a->worker, &(why_message){.type = WHY_MSG_ACK, .shard = a->shard, .image = a->image, .flag = a->flag});
        break;
    case WHY_ACTION_FORGET: tell(d, a->worker, &(why_message){.type = WHY_MSG_FORGET, .shard = a->shard, .flag = a->flag}); break;
    case WHY_ACTION_STOP: tell(d, a->worker, &(why_message){.type = WHY_MSG_STOP}); break;
    case WHY_ACTION_BEAT:
        if (a->worker != 0) tell(d, a->worker, &(why_message){.type = WHY_MSG_BEAT});
        break;
    case WHY_ACTION_FINISH: d->result->exit_code = a->code; break;
    }
    return WHY_OK;
}

static why_status happen(desk *d, why_event e) {
    why_action a;
    e.now = why_clock();
    WHY_TRY(why_coordinator_handle(d->c, &e));
    while (why_coordinator_next(d->c, &a)) WHY_TRY(perform(d, &a));
    return WHY_OK;
}

/* ---------------------------------------------------------------- from the workers */
static why_status on_record(desk *d, int worker, const why_assembly *r) {
    bool failed;
    const why_message *m = &r->head;
    if (why_record_outcome(r->bytes, m->total, &failed))
        return happen(d, (why_event){.type = WHY_EVENT_ERROR, .worker = worker, .image = m->image, .text = why_error_text()});
    d->record = r;
    const why_status st = happen(
        d,
        (why_event){.type = WHY_EVENT_RESULT, .worker = worker, .shard = m->shard, .image = m->image, .wall = m->wall, .failed = failed});
    d->record = NULL;
    return st;
}

static why_status on_result_part(desk *d, int worker, const why_message *m) {
    why_assembly *in = &d->peers[worker].incoming;
    bool complete;
    WHY_TRY(why_assembly_add(in, m, &complete));
    if (!complete) return happen(d, (why_event){.type = WHY_EVENT_BEAT, .worker = worker});
    const why_status st = on_record(d, worker, in);
    why_assembly_clear(in);
    return st;
}

/* Text of a message as a string; a message is shorter than the buffer. */
static const char *text_of(const why_message *m, char out[WHY_MESSAGE_MAX]) {
    memcpy(out, m->data, m->size);
    out[m->size] = '\0';
    return out;
}

static bool is_near(const peer *p) {
    char host[64] = "";
    return gethostname(host, sizeof host - 1) == 0 && strcmp(host, p->host) == 0 && p->pid > 0 && kill((pid_t)p->pid, 0) == 0;
}

static why_status on_message(desk *d, int worker, const why_message *m) {
    char text[WHY_MESSAGE_MAX];
    switch (m->type) {
    case WHY_MSG_HELLO:
        d->peers[worker].pid = m->pid;
        snprintf(d->peers[worker].host, sizeof d->peers[worker].host, "%.63s", text_of(m, text));
        d->peers[worker].near = is_near(&d->peers[worker]);
        return happen(d, (why_event){.type = WHY_EVENT_HELLO, .worker = worker});
    case WHY_MSG_RESULT: return on_result_part(d, worker, m);
    case WHY_MSG_ERROR:
        return happen(d, (why_event){.type = WHY_EVENT_ERROR, .worker = worker, .image = m->image, .text = text_of(m, text)});
    case WHY_MSG_CRASH:
        return happen(d, (why_event){.type = WHY_EVENT_CRASH, .worker = worker, .shard = m->shard, .image = m->image,
                                     .text = text_of(m, text)});
    case WHY_MSG_BYE:
        d->peers[worker].left = true;
        return happen(d, (why_event){.type = WHY_EVENT_BYE, .worker = worker});
    default: return happen(d, (why_event){.type = WHY_EVENT_BEAT, .worker = worker});
    }
}

/* Everything that waits at one side, up to a limit. What does not check is dropped: see protocol.h. */
static why_status listen(desk *d, why_transport *t, bool *heard) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    for (int k = 0; t && k < MOST_MESSAGES; k++) {
        size_t n;
        int from = 0;
        why_message m;
        WHY_TRY(t->receive(t, 0, bytes, &n, &from));
        if (n == 0) return WHY_OK;
        *heard = true;
        const int worker = t == d->o->local ? 0 : from;
        if (why_message_decode(bytes, n, &m) == WHY_OK && worker < d->o->rules.workers) WHY_TRY(on_message(d, worker, &m));
    }
    return WHY_OK;
}

static why_status report_unreachable(desk *d) {
    const bool any = d->unreachable;
    d->unreachable = false;
    for (int w = 0; any && w < d->o->rules.workers; w++) {
        if (!d->peers[w].unreachable) continue;
        d->peers[w].unreachable = false;
        WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_LOST, .worker = w, .text = "cannot be reached"}));
    }
    return WHY_OK;
}

static bool is_dead(const peer *p) { return p->near && kill((pid_t)p->pid, 0) != 0 && errno == ESRCH; }

/* No call of Open MPI reports a death, and silence takes minutes to mean one; on this host the system knows at once. */
static why_status feel_pulses(desk *d) {
    const double now = why_clock();
    if (now - d->felt < 0.5) return WHY_OK;
    d->felt = now;
    for (int w = 1; w < d->o->rules.workers; w++) {
        const peer *p = &d->peers[w];
        if (!is_dead(p)) continue;
        char text[48];
        snprintf(text, sizeof text, "died (process %lld)", (long long)p->pid);
        WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_DEATH, .worker = w, .text = text}));
    }
    return WHY_OK;
}

static void show(desk *d) {
    const double now = why_clock();
    if (!d->o->progress || now - d->shown < 0.2) return;
    d->shown = now;
    const why_coordinator_view v = why_coordinator_look(d->c);
    d->o->progress(d->o->ctx, &v);
}

/* Worker 0 shares this process: while this loop turns, it is alive. */
static why_status round_of(desk *d, bool *heard) {
    if (d->o->local) WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_BEAT, .worker = 0}));
    WHY_TRY(listen(d, d->o->local, heard));
    WHY_TRY(listen(d, d->o->world, heard));
    WHY_TRY(feel_pulses(d));
    WHY_TRY(report_unreachable(d));
    if (d->o->drain && d->o->drain(d->o->ctx)) WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_DRAIN}));
    WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_TICK}));
    show(d);
    return WHY_OK;
}

static why_status serve(desk *d) {
    d->peers[0].left = !d->o->local;
    if (!d->o->local) WHY_TRY(happen(d, (why_event){.type = WHY_EVENT_BYE, .worker = 0}));
    for (int idle = 0; !why_coordinator_look(d->c).finished;) {
        bool heard = false;
        WHY_TRY(round_of(d, &heard));
        if (heard) idle = 0;
        else why_pause(why_backoff(&idle));
    }
    return commit(d);
}

/* ---------------------------------------------------------------- beginning and end */
static why_status plan_bits(const why_plan *plan, uint64_t **out) {
    enum { WORDS = 65536 / 64 };
    WHY_TRY(why_alloc(WORDS, sizeof **out, "cells of the job", out));
    for (int i = 0; i < plan->n_cells; i++) (*out)[plan->cells[i].id / 64] |= UINT64_C(1) << (plan->cells[i].id % 64);
    return WHY_OK;
}

/* Worker k's BYE, whatever else comes meanwhile; false when it did not come in time. */
static bool await_goodbye(desk *d, int worker, double until) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    why_transport *t = way_to(d, worker);
    while (!d->peers[worker].left && why_clock() < until) {
        size_t n;
        int from;
        why_message m;
        if (t->receive(t, 0.1, bytes, &n, &from)) return false;
        if (n > 0 && why_message_decode(bytes, n, &m) == WHY_OK && m.type == WHY_MSG_BYE) d->peers[worker == 0 ? 0 : from].left = true;
    }
    return d->peers[worker].left;
}

/* The run is lost to the store: whoever still computes finishes its image, and need not wait for acknowledgements. True
 * when all have left. */
static bool abandon(desk *d) {
    bool all = true;
    if (d->in_transaction) why_store_rollback(d->o->store);
    d->in_transaction = false;
    for (int w = d->o->local ? 0 : 1; w < d->o->rules.workers; w++) tell(d, w, &(why_message){.type = WHY_MSG_STOP, .flag = 1});
    const double until = why_clock() + d->o->rules.goodbye;
    for (int w = 0; w < d->o->rules.workers; w++) all = await_goodbye(d, w, until) && all;
    return all;
}

/* Tell the relays whether the last, collective steps are safe. */
static void close_all(desk *d) {
    const uint8_t everyone = d->result->everyone;
    for (int w = 1; w < d->o->rules.workers; w++) tell(d, w, &(why_message){.type = WHY_MSG_CLOSE, .flag = everyone});
}

static void conclude(desk *d, why_status st) {
    why_desk_result *r = d->result;
    char kept[1024]; /* the error's text, which the last messages may not replace */
    snprintf(kept, sizeof kept, "%s", why_error_text());
    r->view = why_coordinator_look(d->c);
    snprintf(r->trouble, sizeof r->trouble, "%s", r->view.trouble);
    r->view.trouble = "";
    const bool all_left = !st || abandon(d);
    r->everyone = all_left && r->view.lost == 0;
    for (int w = 1; w < d->o->rules.workers; w++) r->everyone = r->everyone && !is_dead(&d->peers[w]);
    r->local_left = d->peers[0].left;
    close_all(d);
    if (st) (void)why_fail(st, "%s", kept);
}

why_status why_desk_run(const why_desk_options *options, why_desk_result *result) {
    desk d = {.o = options, .result = result};
    *result = (why_desk_result){0};
    why_status st = why_totals_create(options->metrics, options->n_metrics, &result->applied);
    if (!st) st = why_alloc((size_t)options->rules.workers, sizeof *d.peers, "workers", &d.peers);
    if (!st) st = plan_bits(options->plan, &d.planned);
    if (!st) st = why_coordinator_create(&options->rules, &d.c);
    if (!st) {
        st = serve(&d);
        conclude(&d, st);
    }
    for (int w = 0; d.peers && w < options->rules.workers; w++) why_assembly_clear(&d.peers[w].incoming);
    why_coordinator_destroy(&d.c);
    free(d.peers);
    free(d.begun);
    free(d.planned);
    return st;
}
