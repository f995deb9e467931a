#include "cli/cli.h"

/* One line per command, in the order of `whypix --help`. */
#define WHY_COMMANDS(X) \
    X(plan)             \
    X(run)              \
    X(launch)           \
    X(compute)          \
    X(rerun)            \
    X(merge)            \
    X(status)           \
    X(table)            \
    X(panel)            \
    X(copy)             \
    X(explain)          \
    X(compare)          \
    X(infer)            \
    X(model)            \
    X(bench)            \
    X(synth)            \
    X(manifest)         \
    X(list)

#define WHY_DECLARE(name) extern const why_command why_command_##name;
WHY_COMMANDS(WHY_DECLARE)

#define WHY_REFER(name) &why_command_##name,
const why_command *const why_commands[] = {WHY_COMMANDS(WHY_REFER) NULL};
