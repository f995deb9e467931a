#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "store/census.h"

/* One row; the last run's columns are NULL before the first run. */
static const char run_sql[] =
    "WITH r AS (SELECT *, (julianday(coalesce(ended, 'now')) - julianday(started)) * 86400 seconds FROM run ORDER BY id DESC LIMIT 1)"
    "SELECT (SELECT name FROM job WHERE id = coalesce(r.job_id, (SELECT max(id) FROM job))) job, r.id run,"
    " coalesce(r.state, 'not started') state, r.started, r.ended, r.version, r.ranks, r.threads, r.cpu, round(r.seconds, 1) seconds"
    " FROM (SELECT 1) LEFT JOIN r";

/* The columns of that query. */
#define RUN_FIELDS(X)                                                                                                                  \
    X(JOB, TEXT) X(RUN, NUMBER) X(STATE, TEXT) X(STARTED, TEXT) X(ENDED, TEXT) X(VERSION, TEXT) X(RANKS, NUMBER) X(THREADS, NUMBER)    \
    X(CPU, TEXT) X(SECONDS, NUMBER)
enum {
#define FIELD_INDEX(name, kind) FIELD_##name,
    RUN_FIELDS(FIELD_INDEX)
#undef FIELD_INDEX
        FIELD_COUNT
};
enum { TEXT, NUMBER };
static const int field_kind[FIELD_COUNT] = {
#define FIELD_KIND(name, kind) kind,
    RUN_FIELDS(FIELD_KIND)
#undef FIELD_KIND
};
static const char *const field_name[FIELD_COUNT] = {"job",     "run",   "state",   "started", "ended",
                                                    "version", "ranks", "threads", "cpu",     "seconds"};

/* Lists that are printed as they come: a title for people, a key for programs, and a query over the last run's shards (?, its
 * id) or over images (ids). Each column is one of `text`'s %s and one of `keys`. */
enum { LIST_COLUMNS = 4, RATE_DIGITS = 3 };
typedef struct list {
    const char *title, *key, *text, *keys[LIST_COLUMNS];
    bool number[LIST_COLUMNS];
    const char *sql; /* with one %s: an id, or ids separated by commas */
} list;

static const list shards = {"shards", "shards", "%s %s (%s images)", {"state", "n", "images"}, {false, true, true},
                            "SELECT state, count(*), sum(n) FROM shard WHERE run_id IN (%s) GROUP BY state ORDER BY state"};
static const list retries = {"retried", "retries", "%s shards, at most %s times", {"n", "attempts"}, {true, true},
                             "SELECT count(*), max(attempts) FROM shard WHERE attempts > 1 AND run_id IN (%s) HAVING count(*) > 0"};
static const list lost = {"lost rank", "lost", "%s: process %s on %s, %s shards", {"rank", "pid", "host", "shards"},
                          {true, true, false, true},
                          "SELECT rank, pid, host, count(*) FROM shard WHERE state = 'lost' AND run_id IN (%s)"
                          " GROUP BY rank, pid, host ORDER BY 1, 2"};
static const list slowest = {"slow image", "slowest", "%s s: %s", {"seconds", "image"}, {true, false},
                             "SELECT round(sum(t.wall), 2), i.path FROM image i JOIN timing t ON t.explanation_id BETWEEN i.id << 16"
                             " AND (i.id << 16) + 65535 WHERE i.id IN (%s) GROUP BY i.id ORDER BY 1 DESC, i.id"};
static const list failures = {"failed image", "failures", "%s: %s", {"image", "reason"}, {false, false},
                              "SELECT i.path, (SELECT error FROM explanation WHERE id BETWEEN i.id << 16 AND (i.id << 16) + 65535"
                              " AND status = 'failed' ORDER BY id LIMIT 1) FROM image i WHERE i.id IN (%s) ORDER BY i.id"};

typedef struct status {
    const char *path;
    why_store *store;
    why_census census;
    char *run[FIELD_COUNT]; /* owned; NULL: SQL NULL */
    double rate;            /* images/s; negative: not known */
    double left;            /* seconds; negative: not known */
    double quiet_s;         /* since the file last changed */
    why_buf out;
} status;

/* ---------------------------------------------------------------- reading */
static why_status keep_run(void *ctx, int n, const char *const *v, const char *const *names) {
    status *s = ctx;
    (void)names;
    if (n != FIELD_COUNT) return why_fail(WHY_EBUG, "status reads %d columns, wants %d", n, FIELD_COUNT);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (v[i]) WHY_TRY(why_strdup(v[i], &s->run[i]));
    return WHY_OK;
}

static int64_t missing(const why_census *c) { return c->images * c->cells - c->done - c->failed; }
static int64_t images_missing(const why_census *c) { return c->images - c->images_done - c->images_failed; }
static bool is_running(const status *s) { return s->run[FIELD_STATE] && strcmp(s->run[FIELD_STATE], "running") == 0; }

/* Over the whole run. */
static void find_rate(status *s) {
    const why_census *c = &s->census;
    const double seconds = s->run[FIELD_SECONDS] ? strtod(s->run[FIELD_SECONDS], NULL) : 0;
    s->rate = seconds > 0 ? (double)c->run_images / seconds : -1;
    s->left = is_running(s) && c->run_done > 0 ? (double)missing(c) * seconds / (double)c->run_done : -1;
}

static why_status read_status(status *s) {
    struct stat sb;
    WHY_TRY(why_store_query(s->store, run_sql, keep_run, s));
    WHY_TRY(why_store_census(s->store, &s->census));
    find_rate(s);
    s->quiet_s = stat(s->path, &sb) == 0 ? difftime(time(NULL), sb.st_mtime) : 0;
    if (s->quiet_s < 0) s->quiet_s = 0; /* the file server's clock is ahead */
    return WHY_OK;
}

static void forget(status *s) {
    for (int i = 0; i < FIELD_COUNT; i++) free(s->run[i]);
    why_buf_clear(&s->out);
    memset(s->run, 0, sizeof s->run);
}

/* ---------------------------------------------------------------- lists */
typedef struct printer {
    status *s;
    const list *list;
    bool json;
    int n;
} printer;

static void put_json_row(printer *p, int n, const char *const *v) {
    why_buf *b = &p->s->out;
    why_buf_text(b, p->n ? ",{" : "{");
    for (int i = 0; i < n; i++) {
        why_buf_printf(b, "%s\"%s\":", i ? "," : "", p->list->keys[i]);
        if (v[i] && p->list->number[i]) why_buf_text(b, v[i]);
        else why_buf_json(b, v[i]);
    }
    why_buf_text(b, "}");
}

static void put_text_row(printer *p, const char *const *v) {
    why_buf *b = &p->s->out;
    int column = 0;
    why_buf_printf(b, "%-13s", p->list->title);
    for (const char *at = p->list->text; *at; at++) {
        if (at[0] == '%' && at[1] == 's') {
            why_buf_text(b, v[column] ? v[column] : "?");
            column++;
            at++;
        } else {
            why_buf_put(b, at, 1);
        }
    }
    why_buf_text(b, "\n");
}

static why_status put_row(void *ctx, int n, const char *const *v, const char *const *names) {
    printer *p = ctx;
    (void)names;
    if (p->json) put_json_row(p, n, v);
    else put_text_row(p, v);
    p->n++;
    return WHY_OK;
}

static why_status put_list(status *s, const list *l, const char *ids, bool json) {
    printer p = {.s = s, .list = l, .json = json};
    why_buf b = {0};
    char *sql;
    why_buf_printf(&b, l->sql, ids);
    WHY_TRY(why_buf_take(&b, &sql));
    if (json) why_buf_printf(&s->out, ",\"%s\":[", l->key);
    const why_status st = why_store_query(s->store, sql, put_row, &p);
    if (json) why_buf_text(&s->out, "]");
    free(sql);
    return st;
}

static why_status put_lists(status *s, bool json) {
    const why_census *c = &s->census;
    char run[24], slow[WHY_CENSUS_LIST * 24] = "", failed[WHY_CENSUS_LIST * 24] = "";
    snprintf(run, sizeof run, "%" PRId64, c->run_id);
    for (int i = 0; i < WHY_CENSUS_LIST; i++) {
        size_t at = strlen(slow), bt = strlen(failed);
        if (c->slowest[i].wall > 0) snprintf(slow + at, sizeof slow - at, "%s%" PRId64, at ? "," : "", c->slowest[i].image_id);
        if (c->failures[i]) snprintf(failed + bt, sizeof failed - bt, "%s%" PRId64, bt ? "," : "", c->failures[i]);
    }
    WHY_TRY(put_list(s, &shards, run, json));
    WHY_TRY(put_list(s, &retries, run, json));
    WHY_TRY(put_list(s, &lost, run, json));
    WHY_TRY(put_list(s, &slowest, slow, json));
    return put_list(s, &failures, failed, json);
}

/* ---------------------------------------------------------------- JSON */
static void put_number(why_buf *b, const char *key, int64_t v) { why_buf_printf(b, ",\"%s\":%" PRId64, key, v); }

static void put_real(why_buf *b, const char *key, double v, int digits) {
    why_buf_printf(b, ",\"%s\":", key);
    if (v < 0) why_buf_text(b, "null");
    else why_buf_printf(b, "%.*f", digits, v);
}

static why_status put_json(status *s) {
    const why_census *c = &s->census;
    why_buf *b = &s->out;
    why_buf_text(b, "{\"database\":");
    why_buf_json(b, s->path);
    for (int i = 0; i < FIELD_COUNT; i++) {
        why_buf_printf(b, ",\"%s\":", field_name[i]);
        if (field_kind[i] == NUMBER && s->run[i]) why_buf_text(b, s->run[i]);
        else why_buf_json(b, s->run[i]);
    }
    put_number(b, "images", c->images);
    put_number(b, "images_done", c->images_done);
    put_number(b, "images_failed", c->images_failed);
    put_number(b, "images_missing", images_missing(c));
    put_number(b, "cells", c->cells);
    put_number(b, "explanations_done", c->done);
    put_number(b, "explanations_failed", c->failed);
    put_number(b, "explanations_missing", missing(c));
    put_real(b, "images_per_s", s->rate, RATE_DIGITS);
    put_real(b, "eta_s", s->left, 0);
    WHY_TRY(put_lists(s, true));
    why_buf_text(b, "}\n");
    return WHY_OK;
}

/* ---------------------------------------------------------------- text */
static const char *or_unknown(const char *text) { return text ? text : "?"; }

/* 3725 -> "1:02:05" */
static void put_duration(why_buf *b, const char *label, double seconds, const char *tail) {
    long s = (long)(seconds + 0.5);
    why_buf_printf(b, "%-13s", label);
    if (s >= 3600) why_buf_printf(b, "%ld:%02ld:%02ld%s\n", s / 3600, s / 60 % 60, s % 60, tail);
    else why_buf_printf(b, "%ld:%02ld%s\n", s / 60, s % 60, tail);
}

static void put_run(status *s) {
    char *const *v = s->run;
    why_buf *b = &s->out;
    if (!v[FIELD_RUN]) {
        why_buf_text(b, "run          none yet\n");
        return;
    }
    why_buf_printf(b, "run          %s, %s, started %s", v[FIELD_RUN], or_unknown(v[FIELD_STATE]), or_unknown(v[FIELD_STARTED]));
    if (v[FIELD_ENDED]) why_buf_printf(b, ", ended %s", v[FIELD_ENDED]);
    const char *ranks = or_unknown(v[FIELD_RANKS]), *threads = or_unknown(v[FIELD_THREADS]);
    why_buf_printf(b, "\nwhere        %s rank%s of %s thread%s, %s, whypix %s\n", ranks, strcmp(ranks, "1") ? "s" : "", threads,
                   strcmp(threads, "1") ? "s" : "", or_unknown(v[FIELD_CPU]), or_unknown(v[FIELD_VERSION]));
    if (is_running(s)) put_duration(b, "last commit", s->quiet_s, s->quiet_s > 120 ? " ago (a killed run also says 'running')" : " ago");
}

static why_status put_text(status *s) {
    const why_census *c = &s->census;
    why_buf *b = &s->out;
    why_buf_printf(b, "database     %s\njob          %s\n", s->path, or_unknown(s->run[FIELD_JOB]));
    put_run(s);
    why_buf_printf(b, "images       %" PRId64 ": %" PRId64 " done, %" PRId64 " failed, %" PRId64 " missing\n", c->images, c->images_done,
                   c->images_failed, images_missing(c));
    why_buf_printf(b, "explanations %" PRId64 " cells an image: %" PRId64 " done, %" PRId64 " failed, %" PRId64 " missing\n", c->cells,
                   c->done, c->failed, missing(c));
    if (s->run[FIELD_SECONDS]) put_duration(b, "elapsed", strtod(s->run[FIELD_SECONDS], NULL), "");
    if (s->rate >= 0) why_buf_printf(b, "rate         %.3g images/s\n", s->rate);
    if (s->left >= 0) put_duration(b, "remaining", s->left, " at this rate");
    return put_lists(s, false);
}

/* ---------------------------------------------------------------- once, or again and again */
static int exit_code_of(const why_census *c) {
    return images_missing(c) > 0 ? WHY_EXIT_INTERRUPTED : c->failed > 0 ? WHY_EXIT_SOME_FAILED : WHY_EXIT_DONE;
}

/* On a terminal in place, elsewhere one report below the other. */
static why_status show(status *s, bool json, bool clear) {
    WHY_TRY(json ? put_json(s) : put_text(s));
    WHY_TRY(why_buf_status(&s->out));
    if (clear) printf("\033[H\033[J");
    printf("%.*s", (int)s->out.size, (const char *)s->out.data);
    fflush(stdout);
    return WHY_OK;
}

/* The pause grows with what a look costs, so that looking takes a tenth of the time at most. */
static void wait_for_more(double every, double cost) {
    const double s = cost * 9 > every ? cost * 9 : every;
    nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static why_status watch(status *s, bool json, bool watching, double every) {
    for (;;) {
        const double t0 = now();
        why_status st = read_status(s);
        if (!st) st = show(s, json, watching && !json && isatty(STDOUT_FILENO));
        const bool over = st || !watching || !is_running(s);
        forget(s);
        if (over) return st;
        wait_for_more(every, now() - t0);
    }
}

static why_status run(const why_args *a, int *exit_code) {
    double every;
    status s = {.path = why_args_at(a, 0)};
    WHY_TRY(why_args_real(a, "every", 0.01, 86400, &every));
    WHY_TRY(why_store_open_readonly(s.path, &s.store));
    const why_status st = watch(&s, why_args_given(a, "json"), why_args_given(a, "watch"), every);
    why_store_close(&s.store);
    *exit_code = exit_code_of(&s.census);
    return st;
}

static const why_option options[] = {
    {"watch", NULL, NULL, "again and again until the run is over", false},
    {"every", "S", "2", "seconds between two looks", false},
    {"json", NULL, NULL, "one JSON object on one line (with --watch: a line for each look)", false},
    {0},
};

const why_command why_command_status = {
    .name = "status",
    .positional = "DB",
    .summary = "how far a run is: done, failed, missing, rate, time left, losses",
    .help = "Reads the database of a run that is going on, was interrupted or is over: a few milliseconds at a time, so that the run\n"
            "does not wait. Lost ranks are those of the last run, with their processes. Exit code: 0 everything is done, 1 some images\n"
            "failed, 75 something is still missing ('whypix run' continues), 2 or 3 it cannot be read.",
    .example = "whypix status results/demo.db\nwhypix status results/demo.db --watch\nwhypix status results/demo.db --json",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
