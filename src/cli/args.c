#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "whypix/param.h"
#include "whypix/version.h"

struct given {
    const why_option *option;
    const char *value;
};

struct why_args {
    const why_command *command;
    const char **positional;
    int n_positional;
    struct given *given;
    int n_given;
};

int why_args_count(const why_args *a) { return a->n_positional; }
const char *why_args_at(const why_args *a, int i) { return i < a->n_positional ? a->positional[i] : NULL; }
bool why_args_given(const why_args *a, const char *option) { return why_args_times(a, option) > 0; }

int why_args_times(const why_args *a, const char *option) {
    int n = 0;
    for (int i = 0; i < a->n_given; i++) n += strcmp(a->given[i].option->name, option) == 0;
    return n;
}

const char *why_args_nth(const why_args *a, const char *option, int index) {
    for (int i = 0; i < a->n_given; i++)
        if (strcmp(a->given[i].option->name, option) == 0 && index-- == 0) return a->given[i].value;
    return NULL;
}

const char *why_args_text(const why_args *a, const char *option) {
    int n = why_args_times(a, option);
    if (n > 0) return why_args_nth(a, option, n - 1);
    for (const why_option *o = a->command->options; o && o->name; o++)
        if (strcmp(o->name, option) == 0) return o->initial;
    return NULL;
}

why_status why_args_int(const why_args *a, const char *option, int64_t lo, int64_t hi, int64_t *out) {
    const char *text = why_args_text(a, option);
    char *end = NULL;
    errno = 0;
    long long v = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || v < lo || v > hi)
        return why_fail(WHY_EARG, "--%s: got '%s', want a whole number from %lld to %lld", option, text ? text : "", (long long)lo, (long long)hi);
    *out = v;
    return WHY_OK;
}

why_status why_args_real(const why_args *a, const char *option, double lo, double hi, double *out) {
    const char *text = why_args_text(a, option);
    char *end = NULL;
    double v = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !isfinite(v) || v < lo || v > hi)
        return why_fail(WHY_EARG, "--%s: got '%s', want a number from %g to %g", option, text ? text : "", lo, hi);
    *out = v;
    return WHY_OK;
}

/* ---------------------------------------------------------------- parsing */
static const why_option *find_option(const why_command *c, const char *name, size_t n) {
    for (const why_option *o = c->options; o && o->name; o++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
    return NULL;
}

static why_status unknown_option(const why_command *c, const char *arg) {
    const char *names[32];
    size_t n = 0;
    for (const why_option *o = c->options; o && o->name && n < 32; o++) names[n++] = o->name;
    const char *near = why_nearest(arg + 2, names, n);
    if (near) return why_fail(WHY_EARG, "option '%s' is unknown; did you mean '--%s'?", arg, near);
    return why_fail(WHY_EARG, "option '%s' is unknown; see 'whypix %s --help'", arg, c->name);
}

static why_status take_option(why_args *a, const char *const *argv, int argc, int *i) {
    const char *arg = argv[*i], *equals = strchr(arg, '=');
    size_t n = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
    const why_option *o = find_option(a->command, arg + 2, n);
    if (!o) return unknown_option(a->command, arg);
    const char *value = equals ? equals + 1 : NULL;
    if (!o->value && value) return why_fail(WHY_EARG, "--%s takes no value, got '%s'", o->name, value);
    if (o->value && !value) {
        if (*i + 1 >= argc) return why_fail(WHY_EARG, "--%s wants a value: --%s %s", o->name, o->name, o->value);
        value = argv[++*i];
    }
    if (!o->repeat && why_args_given(a, o->name)) return why_fail(WHY_EARG, "--%s is given twice", o->name);
    a->given[a->n_given++] = (struct given){o, value};
    return WHY_OK;
}

static why_status parse(why_args *a, const char *const *argv, int argc) {
    const why_command *c = a->command;
    bool only_positional = c->raw;
    for (int i = 0; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) only_positional = true;
        else if (!only_positional && strncmp(argv[i], "--", 2) == 0) WHY_TRY(take_option(a, argv, argc, &i));
        else a->positional[a->n_positional++] = argv[i];
    }
    if (a->n_positional < c->min_args || (c->max_args >= 0 && a->n_positional > c->max_args))
        return why_fail(WHY_EARG, "got %d argument%s, want '%s'; see 'whypix %s --help'", a->n_positional, a->n_positional == 1 ? "" : "s",
                        c->positional, c->name);
    return WHY_OK;
}

why_status why_args_create(const why_command *c, int argc, const char *const *argv, why_args **out) {
    why_args *a;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *a, "arguments", &a));
    a->command = c;
    why_status st = why_alloc((size_t)argc + 1, sizeof *a->positional, "arguments", &a->positional);
    if (!st) st = why_alloc((size_t)argc + 1, sizeof *a->given, "arguments", &a->given);
    if (!st) st = parse(a, argv, argc);
    if (st) why_args_destroy(&a);
    *out = a;
    return st;
}

void why_args_destroy(why_args **args) {
    why_args *a = *args;
    if (!a) return;
    free(a->positional);
    free(a->given);
    free(a);
    *args = NULL;
}

/* ---------------------------------------------------------------- help */
static void print_overview(FILE *to) {
    fprintf(to, "whypix %s: do explanations of an image classifier agree, and which is right?\n\n"
                "usage: whypix COMMAND [arguments]\n\n", WHYPIX_VERSION);
    for (const why_command *const *c = why_commands; *c; c++)
        if ((*c)->summary) fprintf(to, "  %-9s %s\n", (*c)->name, (*c)->summary);
    fprintf(to, "\n'whypix COMMAND --help' explains one command, with an example.\n");
}

static void print_help(const why_command *c, FILE *to) {
    fprintf(to, "usage: whypix %s %s%s\n\n%s\n", c->name, c->positional, c->options ? " [options]" : "", c->help);
    if (c->options) fprintf(to, "\noptions:\n");
    for (const why_option *o = c->options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(to, "  %-24s %s", left, o->help);
        fprintf(to, o->initial ? " (default: %s)\n" : "%.0s\n", o->initial ? o->initial : "");
    }
    fprintf(to, "\nexample:\n");
    for (const char *line = c->example; *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(to, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static const why_command *find_command(const char *name) {
    for (const why_command *const *c = why_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0) return *c;
    return NULL;
}

static int unknown_command(const char *name) {
    const char *names[64];
    size_t n = 0;
    for (const why_command *const *c = why_commands; *c && n < 64; c++) names[n++] = (*c)->name;
    const char *near = why_nearest(name, names, n);
    fprintf(stderr, "whypix: command '%s' is unknown%s%s%s; see 'whypix --help'\n", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return WHY_EXIT_USAGE;
}

/* ---------------------------------------------------------------- running */
static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

int why_exit_code(why_status st) {
    switch (st) {
    case WHY_OK: return WHY_EXIT_DONE;
    case WHY_ENOMEM:
    case WHY_ESTORE:
    case WHY_EPEER:
    case WHY_EBUG: return WHY_EXIT_INFRASTRUCTURE;
    case WHY_EINTERRUPTED: return WHY_EXIT_INTERRUPTED;
    default: return WHY_EXIT_USAGE;
    }
}

static int run_command(const why_command *c, int argc, char **argv) {
    why_args *a;
    int code = WHY_EXIT_DONE;
    why_status st = why_args_create(c, argc, (const char *const *)argv, &a);
    if (!st) st = c->run(a, &code);
    if (st) {
        fflush(stdout);
        fprintf(stderr, "whypix %s: %s\n", c->name, why_error_text());
        code = why_exit_code(st);
    }
    why_args_destroy(&a);
    if (!st && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "whypix %s: cannot write to standard output: %s\n", c->name, strerror(errno));
        code = WHY_EXIT_INFRASTRUCTURE;
    }
    return code;
}

int why_cli_main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
        print_overview(name ? stdout : stderr);
        return name ? WHY_EXIT_DONE : WHY_EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("whypix %s\n", WHYPIX_VERSION);
        return WHY_EXIT_DONE;
    }
    bool help = strcmp(name, "help") == 0;
    const why_command *c = find_command(help ? argv[2] : name);
    if (!c) return unknown_command(help ? argv[2] : name);
    if (help || wants_help(argc - 2, argv + 2)) {
        print_help(c, stdout);
        return WHY_EXIT_DONE;
    }
    return run_command(c, argc - 2, argv + 2);
}

why_status why_choose_threads(const why_args *a, int job, int local_ranks, int *threads, const char **from) {
    static const char *const variables[] = {"WHYPIX_THREADS", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"};
    if (a && why_args_given(a, "threads")) {
        int64_t v;
        WHY_TRY(why_args_int(a, "threads", 1, 1024, &v));
        *threads = (int)v;
        *from = "--threads";
        return WHY_OK;
    }
    if (job > 0) {
        *threads = job;
        *from = "job file";
        return WHY_OK;
    }
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *text = getenv(variables[i]);
        if (!text || !*text) continue;
        char *end;
        long v = strtol(text, &end, 10);
        if (*end || v < 1 || v > 1024) return why_fail(WHY_EARG, "%s: got '%s', want a whole number from 1 to 1024", variables[i], text);
        *threads = (int)v;
        *from = variables[i];
        return WHY_OK;
    }
    int n = why_cpu_count() / (local_ranks > 0 ? local_ranks : 1);
    *threads = n > 0 ? n : 1;
    *from = "cores of this node";
    return WHY_OK;
}
