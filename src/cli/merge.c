#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "run/plan.h"
#include "store/merge.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tell(const char *out, const char *maps, int n, const why_merge_result *r, double seconds) {
    printf("%s: %lld rows of %d database%s in %.1f s", out, (long long)(r->rows - r->twice), n, n == 1 ? "" : "s", seconds);
    if (r->twice) printf(", %lld of theirs were there already", (long long)r->twice);
    if (r->maps) printf("; %lld maps in %s/maps.sqlar", (long long)r->maps, maps);
    printf("\n");
}

static why_status merge(const why_args *a, why_merge_input *in, char **maps) {
    const int n = why_args_count(a) - 1;
    const char *out = why_args_at(a, 0);
    why_merge_result r;
    const double t0 = now();
    WHY_TRY(why_output_beside(out, "-maps", &maps[0]));
    for (int i = 0; i < n; i++) {
        WHY_TRY(why_output_beside(why_args_at(a, i + 1), "-maps", &maps[i + 1]));
        in[i] = (why_merge_input){why_args_at(a, i + 1), maps[i + 1]};
    }
    WHY_TRY(why_store_merge(out, maps[0], in, n, &r));
    tell(out, maps[0], n, &r, now() - t0);
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    (void)exit_code;
    const size_t n = (size_t)why_args_count(a);
    why_merge_input *in = NULL;
    char **maps = NULL;
    why_status st = why_alloc(n, sizeof *in, "databases to merge", &in);
    if (!st) st = why_alloc(n, sizeof *maps, "databases to merge", &maps);
    if (!st) st = merge(a, in, maps);
    for (size_t i = 0; maps && i < n; i++) free(maps[i]);
    free(maps);
    free(in);
    return st;
}

const why_command why_command_merge = {
    .name = "merge",
    .positional = "OUT IN...",
    .summary = "make one database of several, and one archive of their maps",
    .help = "Rows are matched by what they are, whatever ids the parts gave them: the parts of one job give the database that one run\n"
            "would have left. Of results that are there twice the first stays, but a done one replaces a failed one. The same image\n"
            "with another hash, label or mask, or the same model with another hash, is refused. OUT must not exist; it appears when\n"
            "it is complete. Maps, from folders or archives beside the parts, go to one archive beside OUT ('sqlite3 -A' reads it).",
    .example = "whypix merge all.db part-1.db part-2.db part-3.db\nsqlite3 all-maps/maps.sqlar -A --list",
    .min_args = 2,
    .max_args = -1,
    .run = run,
};
