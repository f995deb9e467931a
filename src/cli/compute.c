#include <stdlib.h>

#include "cli/cli.h"
#include "run/compute.h"

static why_status run(const why_args *a, int *exit_code) {
    (void)exit_code;
    return why_compute_serve(strtoll(why_args_at(a, 0), NULL, 10));
}

/* Not for people: without a summary it is not listed. */
const why_command why_command_compute = {
    .name = "compute",
    .positional = "PARENT",
    .help = "The process in which a worker of 'whypix launch' computes, so that a crash costs one image. PARENT is the worker's\n"
            "process; it gives its orders over a socket.",
    .example = "whypix launch -n 4 jobs/demo/demo.yaml",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
