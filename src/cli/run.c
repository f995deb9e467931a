#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/watch.h"
#include "run/progress.h"

enum { LOG_EVERY = 10 /* seconds between two lines where no one watches */ };

typedef struct screen {
    const why_args *args;
    bool terminal;
    int width;    /* of the line that stands there */
    double shown; /* seconds into the run */
} screen;

static why_status choose_threads(void *ctx, int job, int sharers, int *threads, const char **from) {
    return why_choose_threads(((const screen *)ctx)->args, job, sharers, threads, from);
}

/* On a terminal one line that changes in place; in a log file a line now and then. */
static void show_line(screen *s, const why_run_report *r, const char *text) {
    if (!s->terminal && r->seconds - s->shown < LOG_EVERY) return;
    s->shown = r->seconds;
    if (!s->terminal) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    fprintf(stderr, "\r%-*s", s->width, text);
    s->width = (int)strlen(text);
    fflush(stderr);
}

static void clear_line(screen *s) {
    if (s->width > 0) fprintf(stderr, "\r%*s\r", s->width, "");
    s->width = 0;
}

static void report(void *ctx, const why_run_report *r) {
    screen *s = ctx;
    why_buf b = {0};
    char *text;
    if (r->phase == WHY_RUN_BEGINS) why_progress_begin(&b, r);
    else if (r->phase == WHY_RUN_GOES_ON) why_progress_line(&b, r);
    else why_progress_end(&b, r);
    if (why_buf_take(&b, &text)) return; /* a line that does not fit into memory is not worth a run */
    if (r->phase == WHY_RUN_GOES_ON) show_line(s, r, text);
    else {
        clear_line(s);
        printf("%s\n", text);
        fflush(stdout);
    }
    free(text);
}

/* "2/8": the second of eight slices. */
static why_status read_slice(const char *text, why_run_options *o) {
    long long slice = 0, slices = 0;
    int end = 0;
    if (!text) return WHY_OK;
    if (sscanf(text, "%10lld/%10lld%n", &slice, &slices, &end) != 2 || text[end] || slice < 1 || slice > slices)
        return why_fail(WHY_EARG, "--slice: got '%s', want K/N with K from 1 to N, for example 2/8", text);
    o->slice = slice - 1;
    o->slices = slices;
    return WHY_OK;
}

why_status why_run_watched(const why_args *a, why_run_options *o, int *exit_code) {
    why_run_result result;
    screen s = {.args = a, .terminal = isatty(STDERR_FILENO)};
    o->choose_threads = choose_threads;
    o->report = report;
    o->ctx = &s;
    why_status st = why_run(o, &result);
    clear_line(&s);
    const bool silent = st && result.rank != 0 && !result.must_exit; /* an agreed error is rank 0's to print */
    *exit_code = result.exit_code;
    if (silent) return WHY_OK;
    if (!result.must_exit) return st;
    if (st) fprintf(stderr, "whypix: %s\n", why_error_text());
    fflush(stdout);
    _exit(st ? why_exit_code(st) : *exit_code);
}

static why_status set_patience(const char *item, size_t name, why_patience *p) {
    const struct { const char *name; double *seconds; } known[] = {{"beat", &p->beat},       {"silence", &p->silence}, {"image", &p->image},
                                                                   {"goodbye", &p->goodbye}, {"rank0", &p->rank0},     {"start", &p->start}};
    char *end;
    const double v = strtod(item + name + 1, &end);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != name || memcmp(known[i].name, item, name) != 0) continue;
        if (end == item + name + 1 || (*end && *end != ',') || !(v >= 0.1 && v <= 1e6)) break;
        *known[i].seconds = v;
        return WHY_OK;
    }
    return why_fail(WHY_EARG, "--patience: got '%.60s', want beat, silence, image, goodbye, rank0 or start, each =SECONDS from 0.1 to 1e6",
                    item);
}

why_status why_read_patience(const char *text, why_patience *out) {
    *out = why_patience_defaults();
    for (const char *item = text; item && *item;) {
        const size_t name = strcspn(item, "=,"), n = strcspn(item, ",");
        if (item[name] != '=') return why_fail(WHY_EARG, "--patience: got '%.60s', want NAME=SECONDS,...", item);
        WHY_TRY(set_patience(item, name, out));
        item += n + (item[n] == ',');
    }
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    why_patience patience;
    WHY_TRY(why_read_patience(why_args_text(a, "patience"), &patience));
    why_run_options o = {.job_file = why_args_at(a, 0), .database = why_args_text(a, "db"), .beside = why_args_text(a, "beside"), .limit = -1,
                         .patience = &patience, .marker = why_args_text(a, "marker")};
    if (why_args_given(a, "limit")) WHY_TRY(why_args_int(a, "limit", 0, INT64_MAX, &o.limit));
    WHY_TRY(read_slice(why_args_text(a, "slice"), &o));
    return why_run_watched(a, &o, exit_code);
}

static const why_option options[] = {
    {"db", "FILE", NULL, "write to this database instead of the job's", false},
    {"beside", "FILE", NULL, "maps and overlays go beside FILE (the database may be on a node's own disk)", false},
    {"limit", "N", NULL, "only the first N images of the list", false},
    {"slice", "K/N", NULL, "of those, the K-th of N equal parts: for N jobs whose databases are merged", false},
    {"threads", "N", NULL, "threads of each rank", false},
    {"patience", "NAME=S,...", NULL, "seconds until somebody is taken for lost: silence, image, rank0, start, goodbye; beat", false},
    {"marker", "FILE", NULL, "given by 'whypix launch', which watches FILE", false},
    {0},
};

const why_command why_command_run = {
    .name = "run",
    .positional = "JOB",
    .summary = "explain every image of a job, compare, and fill its database",
    .help = "Computes what the database of JOB does not hold yet: a run that was interrupted, killed, or whose job has grown goes on\n"
            "where it ended. Alone or under mpirun or srun; results do not depend on the numbers of ranks and threads.\n\n"
            "SIGUSR1 (alone also SIGTERM and Ctrl-C) ends it early and in peace: running images are finished and stored.\n"
            "Exit codes: 0 all done, 1 some images failed, 2 bad usage or job, 3 infrastructure, 75 interrupted.\n\n"
            "Threads of each rank: --threads, else the job file, else WHYPIX_THREADS, SLURM_CPUS_PER_TASK, OMP_NUM_THREADS, else\n"
            "the cores of the node shared among its ranks.",
    .example = "whypix run jobs/demo/demo.yaml\nmpirun -n 4 whypix run jobs/demo/demo.yaml --limit 10",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
