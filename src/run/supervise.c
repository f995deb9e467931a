#include "run/supervise.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/marker.h"

extern char **environ;

static const double LOOK_EVERY = 0.1, ASK_EVERY = 1, GRACE = 3, TERM_TO_KILL = 5, REST = 0.5;

typedef struct supervisor {
    const why_supervise_options *o;
    struct sigaction old[5];
    bool asked;          /* somebody wants the run to end */
    int restarts;
    /* the launch under way */
    pid_t mpirun;
    int status;          /* as waitpid gave it, once mpirun is gone */
    why_marker marker;   /* as last read */
    double began, heard; /* heard: when the marker's beat last changed */
    double ask_again;
    double end_at;       /* when to begin to end mpirun; INFINITY: not yet */
    int blows;           /* struck at it so far: SIGTERM, then SIGKILL */
    char why[128];       /* why it must end, or "" */
} supervisor;

/* ---------------------------------------------------------------- signals */
/* A handler has no other way to say anything (run.c says more). Bit 0: end in peace; above: how often it was urgent. */
static volatile sig_atomic_t launch_signals;

static void on_signal(int signal) {
    launch_signals = (launch_signals | 1) + (signal == SIGTERM || signal == SIGINT ? 2 : 0);
}

static const int caught[] = {SIGUSR1, SIGTERM, SIGINT, SIGHUP};

static void catch_signals(supervisor *s) {
    const struct sigaction action = {.sa_handler = on_signal};
    launch_signals = 0;
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigaction(caught[i], &action, &s->old[i]);
}

static void release_signals(const supervisor *s) {
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigaction(caught[i], &s->old[i], NULL);
}

static bool impatient(void) { return launch_signals >= 4; }

/* ---------------------------------------------------------------- words */
static void say(const supervisor *s, const char *fmt, ...) WHY_PRINTF(2, 3);
static void say(const supervisor *s, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (s->o->report) s->o->report(s->o->ctx, text);
}

static void put_status(int status, char *out, size_t n) {
    if (WIFSIGNALED(status)) snprintf(out, n, "was killed by signal %d", WTERMSIG(status));
    else snprintf(out, n, "ended with code %d", WEXITSTATUS(status));
}

/* ---------------------------------------------------------------- processes */
/* In a group of its own: Ctrl-C is for us, mpirun would kill everybody. Its standard input would go to rank 0, which wants
 * none; and a group in the background may not read from the terminal. */
static why_status start_mpirun(supervisor *s) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int code = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code) code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (!code) code = posix_spawnp(&s->mpirun, s->o->command[0], &files, &attributes, s->o->command, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return code ? why_fail(WHY_EPEER, "cannot start %s: %s", s->o->command[0], strerror(code)) : WHY_OK;
}

/* The parent of a process, from its stat line: "pid (name) state ppid"; a name may hold anything. */
static pid_t parent_of(const char *pid) {
    char path[64], line[512];
    long parent = 0;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    const size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *after = strrchr(line, ')');
    return after && sscanf(after, ") %*c %ld", &parent) == 1 ? (pid_t)parent : 0;
}

static void kill_children(void) {
    DIR *d = opendir("/proc");
    if (!d) return;
    for (const struct dirent *e; (e = readdir(d));)
        if (isdigit((unsigned char)*e->d_name) && parent_of(e->d_name) == getpid()) kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
    closedir(d);
}

/* What mpirun leaves behind becomes our child (PR_SET_CHILD_SUBREAPER), and its children when it dies: kill until there
 * are none. So no rank 0 of an earlier launch can write the database beside the next one's, on this host. */
static void sweep(void) {
    for (const double until = why_clock() + 10; why_clock() < until;) {
        kill_children();
        pid_t gone;
        do gone = waitpid(-1, NULL, WNOHANG);
        while (gone > 0);
        if (gone < 0 && errno == ECHILD) return;
        why_pause(0.01);
    }
}

/* ---------------------------------------------------------------- one launch */
static void must_end(supervisor *s, double in, const char *why) {
    if (isfinite(s->end_at)) return;
    s->end_at = why_clock() + in;
    snprintf(s->why, sizeof s->why, "%s", why);
}

static void read_marker(supervisor *s) {
    why_marker m;
    if (why_marker_read(s->o->marker, &m) || m.token != s->marker.token) return; /* being written, or not there for a moment */
    if (m.beat != s->marker.beat || m.phase != s->marker.phase) s->heard = why_clock();
    s->marker = m;
}

static double patience(const supervisor *s) {
    const why_patience *p = &s->o->patience;
    switch (s->marker.phase) {
    case WHY_MARKER_LAUNCHED:
    case WHY_MARKER_STARTING: return p->start * (1 + s->restarts); /* a machine may be slower than somebody thought */
    case WHY_MARKER_ENDING: return p->goodbye;
    default: return p->rank0;
    }
}

/* Should this launch be ended? */
static void judge(supervisor *s) {
    const double since = s->marker.phase <= WHY_MARKER_STARTING ? s->began : s->heard, now = why_clock();
    char text[128];
    if (s->marker.phase == WHY_MARKER_ENDED) {
        must_end(s, GRACE, "");
        return;
    }
    if (s->marker.phase > WHY_MARKER_LAUNCHED && why_marker_dead(&s->marker)) {
        read_marker(s); /* it may have ended in good order just now */
        if (s->marker.phase == WHY_MARKER_ENDED) return;
        snprintf(text, sizeof text, "rank 0 (process %lld) died", (long long)s->marker.pid);
        must_end(s, 0, text);
    } else if (now - since > patience(s)) {
        const char *what = s->marker.phase <= WHY_MARKER_STARTING ? "the run did not begin in" : "rank 0 was silent for";
        snprintf(text, sizeof text, "%s %.0f s", what, now - since);
        must_end(s, 0, text);
    }
}

/* SIGUSR1, which mpirun hands on to every rank. Again and again: it may come too early for someone to hear it. */
static void pass_on(supervisor *s) {
    const double now = why_clock();
    if (!launch_signals) return;
    if (!s->asked) say(s, "asked to end: running images are being finished");
    s->asked = true;
    if (impatient()) must_end(s, 0, "asked twice to end");
    if (now < s->ask_again || s->marker.phase < WHY_MARKER_STARTING) return;
    s->ask_again = now + ASK_EVERY;
    kill(s->mpirun, SIGUSR1);
}

/* mpirun ends its ranks on SIGTERM, also on other hosts; after SIGKILL they notice by themselves. */
static void strike(supervisor *s) {
    if (why_clock() < s->end_at) return;
    kill(s->mpirun, s->blows++ == 0 ? SIGTERM : SIGKILL);
    kill(s->mpirun, SIGCONT);
    s->end_at = why_clock() + TERM_TO_KILL;
}

static bool gone(supervisor *s) {
    const pid_t pid = waitpid(s->mpirun, &s->status, WNOHANG);
    return pid == s->mpirun || (pid < 0 && errno == ECHILD);
}

static why_status launch(supervisor *s) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    s->marker = (why_marker){.token = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000};
    why_marker_sign(&s->marker);
    WHY_TRY(why_marker_write(s->o->marker, true, &s->marker));
    s->began = s->heard = why_clock();
    s->end_at = INFINITY;
    s->ask_again = 0;
    s->blows = 0;
    s->why[0] = '\0';
    WHY_TRY(start_mpirun(s));
    while (!gone(s)) {
        why_pause(LOOK_EVERY);
        read_marker(s);
        pass_on(s);
        judge(s);
        strike(s);
    }
    sweep();
    read_marker(s);
    return WHY_OK;
}

/* ---------------------------------------------------------------- launch after launch */
/* What became of the launch: WHY_OK and *again, or how it all ends. */
static why_status consider(supervisor *s, why_run_outcome *outcome, bool *again) {
    const bool ended = s->marker.phase == WHY_MARKER_ENDED, may = s->restarts < s->o->max_restarts && !s->asked;
    char text[64];
    *again = false;
    *outcome = (why_run_outcome){s->marker.status, s->marker.code};
    if (ended && !(s->marker.again && may)) return WHY_OK;
    if (ended) snprintf(s->why, sizeof s->why, "too many workers are gone");
    put_status(s->status, text, sizeof text);
    if (!*s->why) snprintf(s->why, sizeof s->why, "mpirun %s", text);
    if (s->asked)
        return why_fail(WHY_EINTERRUPTED, "interrupted (%s); what was committed is safe, run the same command again to go on", s->why);
    if (s->marker.phase == WHY_MARKER_LAUNCHED && s->restarts == 0 && WIFEXITED(s->status) && s->blows == 0)
        return why_fail(WHY_EPEER, "mpirun %s before the run began", text);
    if (!may)
        return why_fail(WHY_EPEER, "%s; launched %d time%s, the limit; what was committed is safe, run the same command again to go on",
                        s->why, s->restarts + 1, s->restarts ? "s" : "");
    *again = true;
    s->restarts++;
    say(s, "%s; launching again (%d of %d)", s->why, s->restarts, s->o->max_restarts);
    return WHY_OK;
}

static why_status launch_all(supervisor *s, why_run_outcome *outcome) {
    for (bool again = true; again;) {
        WHY_TRY(launch(s));
        WHY_TRY(consider(s, outcome, &again));
        if (again) why_pause(REST);
    }
    return WHY_OK;
}

/* Two rank 0s would do everything twice. */
static why_status check_alone(const char *marker) {
    why_marker m, us = {0};
    why_marker_sign(&us);
    if (why_marker_read(marker, &m) || m.phase == WHY_MARKER_ENDED || strcmp(m.host, us.host) != 0 || why_marker_dead(&m)) return WHY_OK;
    return why_fail(WHY_EARG, "%s: a launch is running already (process %lld)", marker, (long long)m.pid);
}

why_status why_supervise(const why_supervise_options *options, why_run_outcome *outcome) {
    supervisor s = {.o = options};
    *outcome = (why_run_outcome){0};
    WHY_TRY(check_alone(options->marker));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    catch_signals(&s);
    const why_status st = launch_all(&s, outcome);
    release_signals(&s);
    unlink(options->marker);
    return st;
}
