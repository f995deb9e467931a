/* The command line: one file and one table line per command. A command reads its arguments, calls the rooms below and
 * prints; it returns a status whose text main() prints as "whypix COMMAND: text". */
#ifndef WHYPIX_CLI_CLI_H
#define WHYPIX_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

/* Exit codes. */
enum { WHY_EXIT_DONE = 0, WHY_EXIT_SOME_FAILED = 1, WHY_EXIT_USAGE = 2, WHY_EXIT_INFRASTRUCTURE = 3, WHY_EXIT_INTERRUPTED = 75 };

typedef struct why_option {
    const char *name;    /* without the dashes: "db" */
    const char *value;   /* what the value is called in the help ("FILE"); NULL: a flag */
    const char *initial; /* default; NULL: none */
    const char *help;    /* one line */
    bool repeat;         /* may be given several times */
} why_option;

typedef struct why_args why_args;

typedef struct why_command {
    const char *name, *positional; /* "run", "JOB" */
    const char *summary;           /* one line for `whypix --help`; NULL: not listed there */
    const char *help;              /* a paragraph or two for `whypix COMMAND --help` */
    const char *example;           /* command lines that work, one per line */
    int min_args, max_args;        /* positional ones; max -1: any number */
    const why_option *options;     /* ends with a NULL name; may be NULL */
    bool raw;                      /* every word is positional: the command reads its options itself */
    why_status (*run)(const why_args *args, int *exit_code); /* *exit_code is 0 on entry; used when the status is WHY_OK */
} why_command;

extern const why_command *const why_commands[]; /* THE table, NULL-terminated */

/* ---- arguments of the running command; views that live as long as the call */
int why_args_count(const why_args *a);
const char *why_args_at(const why_args *a, int i);
bool why_args_given(const why_args *a, const char *option);             /* on the command line? */
const char *why_args_text(const why_args *a, const char *option);       /* last value, else the default, else NULL */
int why_args_times(const why_args *a, const char *option);              /* how often given */
const char *why_args_nth(const why_args *a, const char *option, int i); /* i-th value of a repeated option */
why_status why_args_int(const why_args *a, const char *option, int64_t lo, int64_t hi, int64_t *out) WHY_MUST_USE;
why_status why_args_real(const why_args *a, const char *option, double lo, double hi, double *out) WHY_MUST_USE;

/* The words behind a command's name, checked against its table: by why_cli_main, and by commands that start another. The
 * words are views. */
why_status why_args_create(const why_command *c, int argc, const char *const *argv, why_args **out) WHY_MUST_USE;
void why_args_destroy(why_args **a);

/* Run argv[1..] as a command; returns the exit code. Help goes to stdout, errors to stderr. */
int why_cli_main(int argc, char **argv);

/* The exit code of a failed call. */
int why_exit_code(why_status st);

/* Threads to use: --threads when given, else `job` when > 0, else WHYPIX_THREADS, SLURM_CPUS_PER_TASK, OMP_NUM_THREADS,
 * else the cores of this process divided by `local_ranks`. *from says which ("SLURM_CPUS_PER_TASK"). */
why_status why_choose_threads(const why_args *a, int job, int local_ranks, int *threads, const char **from) WHY_MUST_USE;

#endif
