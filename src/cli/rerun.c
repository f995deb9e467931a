#include "cli/cli.h"
#include "cli/watch.h"

/* Exactly one of the four. */
static why_status read_selection(const why_args *a, why_selection *which) {
    static const char *const kinds[] = {
        [WHY_SELECT_FAILED] = "failed", [WHY_SELECT_MISSING] = "missing", [WHY_SELECT_IMAGE] = "image", [WHY_SELECT_SHARD] = "shard"};
    int n = 0;
    for (int k = WHY_SELECT_FAILED; k <= WHY_SELECT_SHARD; k++) {
        if (!why_args_given(a, kinds[k])) continue;
        which->kind = k;
        n++;
    }
    if (n != 1) return why_fail(WHY_EARG, "got %d of --failed, --missing, --image and --shard, want one", n);
    which->image = why_args_text(a, "image");
    which->method = why_args_text(a, "method");
    return which->kind == WHY_SELECT_SHARD ? why_args_int(a, "shard", 1, INT64_MAX, &which->shard) : WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    why_selection which = {0};
    WHY_TRY(read_selection(a, &which));
    why_run_options o = {.job_file = why_args_text(a, "job"),
                         .database = why_args_at(a, 0),
                         .beside = why_args_text(a, "beside"),
                         .limit = -1,
                         .rerun = &which};
    return why_run_watched(a, &o, exit_code);
}

static const why_option options[] = {
    {"failed", NULL, NULL, "explanations that failed", false},
    {"missing", NULL, NULL, "explanations that are not there yet", false},
    {"image", "PATH", NULL, "all of one image, by its path as listed", false},
    {"shard", "K", NULL, "all images of one shard (table shard, or 'whypix status')", false},
    {"method", "M", NULL, "of these, only explanations by method M", false},
    {"job", "FILE", NULL, "the job file, when it is not where the last run found it", false},
    {"beside", "FILE", NULL, "maps and overlays go beside FILE (the database may be on a node's own disk)", false},
    {"threads", "N", NULL, "threads of each rank", false},
    {0},
};

const why_command why_command_rerun = {
    .name = "rerun",
    .positional = "DB",
    .summary = "compute again what failed, is missing, or is named",
    .help = "Computes precisely what is selected, alone or under mpirun or srun. A new result replaces the old one in one transaction;\n"
            "the old one is kept in the table 'superseded' as JSON, and the summaries stay exact. A picture that could not be read\n"
            "may have been repaired since; one that has results may not have changed. Models and lists are found through the job\n"
            "file, whose place the database notes. Exit codes are those of 'whypix run'.",
    .example = "whypix rerun results/demo.db --failed\nwhypix rerun results/demo.db --image images/00003.png --method lime\n"
               "mpirun -n 4 whypix rerun results/demo.db --shard 7",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
