/* A run with its progress on the terminal: what `run` and `rerun` share. */
#ifndef WHYPIX_CLI_WATCH_H
#define WHYPIX_CLI_WATCH_H

#include "cli/cli.h"
#include "run/run.h"

/* why_run with threads as `a` says (--threads) and reports on standard output and error; fills those fields of *o. Ends the
 * process when a rank is lost, because MPI's exit handlers would wait for it. */
why_status why_run_watched(const why_args *a, why_run_options *o, int *exit_code) WHY_MUST_USE;

/* "silence=20,beat=2" (--patience) over the defaults; NULL: the defaults. */
why_status why_read_patience(const char *text, why_patience *out) WHY_MUST_USE;

#endif
