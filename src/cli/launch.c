#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/watch.h"
#include "run/job.h"
#include "run/supervise.h"

/* The command line, in its three parts: launch's own options, mpirun's, and JOB with the options of `run`. */
typedef struct words {
    int workers, max_restarts;        /* -1: not given */
    const char **mpirun; int n_mpirun;
    const char **run; int n_run;
    why_args *run_args;               /* the same, understood */
} words;

extern const why_command why_command_run;

/* ---------------------------------------------------------------- reading */
static why_status read_count(const char *option, const char *text, int lo, int *out) {
    char *end;
    const long v = text ? strtol(text, &end, 10) : -1;
    if (!text || end == text || *end || v < lo || v > 1000000)
        return why_fail(WHY_EARG, "%s: got '%s', want a whole number from %d to 1000000", option, text ? text : "", lo);
    *out = (int)v;
    return WHY_OK;
}

static int find_dashes(const why_args *a) {
    for (int i = 0; i < why_args_count(a); i++)
        if (strcmp(why_args_at(a, i), "--") == 0) return i;
    return -1;
}

/* One of launch's own options at *i, or the option is mpirun's. */
static why_status take_option(const why_args *a, int *i, words *w, bool *ours) {
    const char *word = why_args_at(a, *i);
    const bool n = strcmp(word, "-n") == 0 || strcmp(word, "-np") == 0, restarts = strcmp(word, "--max-restarts") == 0;
    *ours = n || restarts;
    if (!*ours) return WHY_OK;
    ++*i;
    return n ? read_count(word, why_args_at(a, *i), 1, &w->workers) : read_count(word, why_args_at(a, *i), 0, &w->max_restarts);
}

static why_status split(const why_args *a, words *w) {
    const int count = why_args_count(a), dashes = find_dashes(a);
    int i = 0;
    for (; i < count && i != dashes; i++) {
        bool ours;
        WHY_TRY(take_option(a, &i, w, &ours));
        if (ours) continue;
        if (dashes >= 0) w->mpirun[w->n_mpirun++] = why_args_at(a, i);
        else if (*why_args_at(a, i) != '-') break;
        else return why_fail(WHY_EARG, "option '%s' is unknown; options of mpirun end with '--', those of run come after JOB",
                             why_args_at(a, i));
    }
    for (i += i == dashes; i < count; i++) w->run[w->n_run++] = why_args_at(a, i);
    return why_args_create(&why_command_run, w->n_run, w->run, &w->run_args);
}

/* Slurm says how many it would start. */
static why_status default_workers(words *w) {
    const char *tasks = getenv("SLURM_NTASKS");
    if (w->workers > 0) return WHY_OK;
    if (!tasks) return why_fail(WHY_EARG, "how many workers? Say -n N (within a Slurm job its --ntasks would do)");
    return read_count("SLURM_NTASKS", tasks, 1, &w->workers);
}

/* What the supervisor must know of the job; *marker is owned. A bad job ends here, before anything is started. */
static why_status ask_job(words *w, char **marker) {
    why_job job = {0};
    why_buf b = {0};
    WHY_TRY(why_arena_create(1 << 16, &job.arena));
    why_arena *arena = job.arena;
    why_status st = why_job_read(&job, why_args_at(w->run_args, 0));
    if (!st) {
        const char *database = why_args_text(w->run_args, "db");
        why_buf_printf(&b, "%s.launch", database ? database : job.database);
        if (w->max_restarts < 0) w->max_restarts = job.max_restarts;
        st = why_buf_take(&b, marker);
    }
    why_job_clear(&job);
    why_arena_destroy(&arena);
    return st;
}

/* ---------------------------------------------------------------- mpirun */
/* Recovery: the death of a rank is not the end of the others, under Slurm neither that of a node. The coordinator is one
 * rank more than there are workers and needs no core, hence the oversubscription, and binding would be to wrong cores. */
static const char *const recovery[] = {"mpirun", "--enable-recovery", "--mca", "plm_slurm_args", "--no-kill --kill-on-bad-exit=0",
                                       "--mca", "mpi_yield_when_idle", "1", "--oversubscribe", "--bind-to", "none"};
enum { N_RECOVERY = sizeof recovery / sizeof *recovery, N_OTHER = 8 };

static why_status build_command(const words *w, const char *whypix, const char *marker, const char *ranks, const char ***out) {
    const char **c;
    WHY_TRY(why_alloc((size_t)(N_RECOVERY + N_OTHER + w->n_mpirun + w->n_run), sizeof *c, "command of mpirun", &c));
    int n = 0;
    for (int i = 0; i < N_RECOVERY; i++) c[n++] = recovery[i];
    for (int i = 0; i < w->n_mpirun; i++) c[n++] = w->mpirun[i];
    c[n++] = "-n";
    c[n++] = ranks;
    c[n++] = whypix;
    c[n++] = "run";
    c[n++] = "--marker";
    c[n++] = marker;
    for (int i = 0; i < w->n_run; i++) c[n++] = w->run[i];
    *out = c;
    return WHY_OK;
}

static void say(void *ctx, const char *text) {
    (void)ctx;
    fprintf(stderr, "whypix launch: %s\n", text);
}

static why_status supervise(const words *w, const char *marker, int *exit_code) {
    char whypix[4096], ranks[16];
    const char **command;
    why_run_outcome outcome;
    why_supervise_options o = {.marker = marker, .max_restarts = w->max_restarts, .report = say};
    WHY_TRY(why_read_patience(why_args_text(w->run_args, "patience"), &o.patience));
    const ssize_t n = readlink("/proc/self/exe", whypix, sizeof whypix - 1);
    if (n <= 0) return why_fail(WHY_EFILE, "cannot find the path of this program");
    whypix[n] = '\0';
    snprintf(ranks, sizeof ranks, "%d", w->workers + 1);
    WHY_TRY(why_make_dirs_for(marker));
    WHY_TRY(build_command(w, whypix, marker, ranks, &command));
    o.command = (char *const *)(const void *)command;
    const why_status st = why_supervise(&o, &outcome);
    free(command);
    *exit_code = outcome.status ? why_exit_code(outcome.status) : outcome.code;
    return st;
}

static why_status run(const why_args *a, int *exit_code) {
    words w = {.max_restarts = -1};
    char *marker = NULL;
    why_status st = why_alloc((size_t)why_args_count(a) + 1, sizeof *w.mpirun, "arguments", &w.mpirun);
    if (!st) st = why_alloc((size_t)why_args_count(a) + 1, sizeof *w.run, "arguments", &w.run);
    if (!st) st = split(a, &w);
    if (!st) st = default_workers(&w);
    if (!st) st = ask_job(&w, &marker);
    if (!st) st = supervise(&w, marker, exit_code);
    free(marker);
    why_args_destroy(&w.run_args);
    free(w.mpirun);
    free(w.run);
    return st;
}

const why_command why_command_launch = {
    .name = "launch",
    .positional = "-n N [--max-restarts R] [MPIRUN OPTIONS --] JOB [options of run]",
    .summary = "run a job under mpirun so that nothing that dies takes it along",
    .help = "Starts mpirun in Open MPI's recovery mode with N workers and, on a rank of its own, the coordinator, which needs no core.\n"
            "Each worker computes in a process of its own: an image that crashes it is tried once more, then recorded as failed.\n"
            "Images of a dead or silent worker go to others. When rank 0 or mpirun dies, or more than half of the workers, the run\n"
            "is launched again for what is missing, up to R times (default: run.max_restarts of the job, else 3).\n\n"
            "SIGUSR1, SIGTERM and Ctrl-C end it early and in peace (exit code 75); a second SIGTERM or Ctrl-C ends it at once.\n"
            "Exit codes are those of 'whypix run'. Within a Slurm job N is its number of tasks unless given.",
    .example = "whypix launch -n 4 jobs/demo/demo.yaml --limit 10\n"
               "whypix launch -n 8 --hostfile hosts -- jobs/demo/demo.yaml",
    .min_args = 1,
    .max_args = -1,
    .raw = true,
    .run = run,
};
