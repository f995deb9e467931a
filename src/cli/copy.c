#include "cli/cli.h"
#include "store/store.h"

static why_status run(const why_args *a, int *exit_code) {
    (void)exit_code;
    return why_store_copy(why_args_at(a, 0), why_args_at(a, 1));
}

const why_command why_command_copy = {
    .name = "copy",
    .positional = "FROM TO",
    .summary = "copy a database, even while a run writes it",
    .help = "TO is replaced at once and only by a whole copy. For databases on a node's own disk, which must be brought home.",
    .example = "whypix copy \"$TMPDIR/demo.db\" results/demo.db",
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
