#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "store/store.h"

/* Everything in one short read, because a reader that stays makes the writer wait. Only the index over explanation is read: its
 * rowids are image_id << 16 | cell_id. */
static const char status_sql[] =
    "WITH r AS (SELECT *, (julianday(coalesce(ended, 'now')) - julianday(started)) * 86400 seconds FROM run ORDER BY id DESC LIMIT 1),"
    " c AS (SELECT (SELECT count(*) FROM image) images, (SELECT count(*) FROM cell) cells),"
    " e AS (SELECT count(*) n, sum(status = 'failed') failed FROM explanation INDEXED BY explanation_cell GROUP BY id >> 16),"
    " d AS (SELECT ifnull(sum(n), 0) rows, ifnull(sum(failed), 0) failed, ifnull(sum(n = cells AND failed = 0), 0) images_done,"
    "   ifnull(sum(n = cells AND failed > 0), 0) images_failed FROM e, c),"
    " t AS (SELECT count(*) n, count(DISTINCT explanation_id >> 16) images FROM timing WHERE run_id = (SELECT id FROM r))"
    "SELECT (SELECT name FROM job WHERE id = coalesce(r.job_id, (SELECT max(id) FROM job))) job, r.id run,"
    " coalesce(r.state, 'not started') state, r.started, r.ended, r.version, r.ranks, r.threads, r.cpu, c.images,"
    " d.images_done, d.images_failed,"
    " c.images - d.images_done - d.images_failed images_missing, c.cells,"
    " d.rows - d.failed explanations_done, d.failed explanations_failed,"
    " c.images * c.cells - d.rows explanations_missing, round(r.seconds, 1) seconds,"
    " CASE WHEN r.seconds > 0 THEN round(t.images / r.seconds, 3) END images_per_s,"
    " CASE WHEN r.state = 'running' AND t.n > 0 THEN round((c.images * c.cells - d.rows) * r.seconds / t.n) END eta_s"
    " FROM c, d, t LEFT JOIN r";

/* The columns of that query. */
#define STATUS_FIELDS(X)                                                                                                              \
    X(JOB, TEXT) X(RUN, NUMBER) X(STATE, TEXT) X(STARTED, TEXT) X(ENDED, TEXT) X(VERSION, TEXT) X(RANKS, NUMBER) X(THREADS, NUMBER)   \
    X(CPU, TEXT) X(IMAGES, NUMBER) X(IMAGES_DONE, NUMBER) X(IMAGES_FAILED, NUMBER) X(IMAGES_MISSING, NUMBER) X(CELLS, NUMBER)         \
    X(DONE, NUMBER) X(FAILED, NUMBER) X(MISSING, NUMBER) X(SECONDS, NUMBER) X(RATE, NUMBER) X(ETA, NUMBER)
enum {
#define FIELD_INDEX(name, kind) FIELD_##name,
    STATUS_FIELDS(FIELD_INDEX)
#undef FIELD_INDEX
        FIELD_COUNT
};
enum { TEXT, NUMBER };
static const int field_kind[FIELD_COUNT] = {
#define FIELD_KIND(name, kind) kind,
    STATUS_FIELDS(FIELD_KIND)
#undef FIELD_KIND
};

typedef struct printer {
    const char *path;
    bool json;
    double quiet_s; /* since the file last changed; < 0: unknown */
    int exit_code;
} printer;

static void print_json(const printer *p, const char *const *v, const char *const *names) {
    why_buf b = {0};
    why_buf_text(&b, "{\"database\":");
    why_buf_json(&b, p->path);
    for (int i = 0; i < FIELD_COUNT; i++) {
        why_buf_printf(&b, ",\"%s\":", names[i]);
        if (field_kind[i] == NUMBER) why_buf_text(&b, v[i] ? v[i] : "null");
        else why_buf_json(&b, v[i]);
    }
    printf("%.*s}\n", (int)b.size, (const char *)b.data);
    why_buf_clear(&b);
}

static const char *or_unknown(const char *text) { return text ? text : "?"; }

/* 3725 -> "1:02:05" */
static void print_duration(const char *label, double seconds, const char *tail) {
    long s = (long)(seconds + 0.5);
    printf("%-13s", label);
    if (s >= 3600) printf("%ld:%02ld:%02ld%s\n", s / 3600, s / 60 % 60, s % 60, tail);
    else printf("%ld:%02ld%s\n", s / 60, s % 60, tail);
}

static void print_run(const printer *p, const char *const *v) {
    if (!v[FIELD_RUN]) {
        printf("run          none yet\n");
        return;
    }
    printf("run          %s, %s, started %s", v[FIELD_RUN], or_unknown(v[FIELD_STATE]), or_unknown(v[FIELD_STARTED]));
    if (v[FIELD_ENDED]) printf(", ended %s", v[FIELD_ENDED]);
    const char *ranks = or_unknown(v[FIELD_RANKS]), *threads = or_unknown(v[FIELD_THREADS]);
    printf("\nwhere        %s rank%s of %s thread%s, %s, whypix %s\n", ranks, strcmp(ranks, "1") ? "s" : "", threads,
           strcmp(threads, "1") ? "s" : "", or_unknown(v[FIELD_CPU]), or_unknown(v[FIELD_VERSION]));
    if (v[FIELD_STATE] && strcmp(v[FIELD_STATE], "running") == 0 && p->quiet_s >= 0)
        print_duration("last commit", p->quiet_s, p->quiet_s > 120 ? " ago (a killed run also says 'running')" : " ago");
}

static void print_text(const printer *p, const char *const *v) {
    printf("database     %s\njob          %s\n", p->path, or_unknown(v[FIELD_JOB]));
    print_run(p, v);
    printf("images       %s: %s done, %s failed, %s missing\n", v[FIELD_IMAGES], v[FIELD_IMAGES_DONE], v[FIELD_IMAGES_FAILED],
           v[FIELD_IMAGES_MISSING]);
    printf("explanations %s cells an image: %s done, %s failed, %s missing\n", v[FIELD_CELLS], v[FIELD_DONE], v[FIELD_FAILED],
           v[FIELD_MISSING]);
    if (v[FIELD_SECONDS]) print_duration("elapsed", atof(v[FIELD_SECONDS]), "");
    if (v[FIELD_RATE]) printf("rate         %s images/s\n", v[FIELD_RATE]);
    if (v[FIELD_ETA]) print_duration("remaining", atof(v[FIELD_ETA]), " at this rate");
}

static why_status print_status(void *ctx, int n, const char *const *v, const char *const *names) {
    printer *p = ctx;
    if (n != FIELD_COUNT) return why_fail(WHY_EBUG, "status reads %d columns, wants %d", n, FIELD_COUNT);
    if (p->json) print_json(p, v, names);
    else print_text(p, v);
    bool missing = strcmp(v[FIELD_IMAGES_MISSING], "0") != 0, failed = strcmp(v[FIELD_FAILED], "0") != 0;
    p->exit_code = missing ? WHY_EXIT_INTERRUPTED : failed ? WHY_EXIT_SOME_FAILED : WHY_EXIT_DONE;
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    struct stat sb;
    why_store *s = NULL;
    printer p = {.path = why_args_at(a, 0), .json = why_args_given(a, "json"), .quiet_s = -1};
    WHY_TRY(why_store_open_readonly(p.path, &s));
    if (stat(p.path, &sb) == 0) p.quiet_s = difftime(time(NULL), sb.st_mtime);
    if (p.quiet_s < 0) p.quiet_s = 0; /* the file server's clock is ahead */
    why_status st = why_store_query(s, status_sql, print_status, &p);
    why_store_close(&s);
    *exit_code = p.exit_code;
    return st;
}

static const why_option options[] = {
    {"json", NULL, NULL, "one JSON object on one line", false},
    {0},
};

const why_command why_command_status = {
    .name = "status",
    .positional = "DB",
    .summary = "how far a run is: done, failed, missing, rate, time left",
    .help = "Reads the database of a run that is going on, was interrupted or is over. Exit code: 0 everything is done,\n"
            "1 some images failed, 75 something is still missing ('whypix run' continues), 2 or 3 it cannot be read.",
    .example = "whypix status results/demo.db\nwhypix status results/demo.db --json",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
