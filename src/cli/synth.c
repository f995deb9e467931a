#include "image/synth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* The split goes into the lists and into every group's name: plain letters keep the CSV plain. */
static why_status split_of(const why_args *a, const char **out) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *split = why_args_text(a, "split");
    size_t n = strlen(split);
    if (n < 1 || n > 32 || strspn(split, plain) != n)
        return why_fail(WHY_EARG, "--split: got '%s', want a name of 1 to 32 letters, digits, '_' or '-'", split);
    *out = split;
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    why_synth_options o = {.planted = why_args_given(a, "shortcut")};
    int64_t count, size, seed;
    const char *dir = why_args_at(a, 0);
    (void)exit_code;
    WHY_TRY(why_args_int(a, "count", 1, 10000000, &count));
    WHY_TRY(why_args_int(a, "size", WHY_SYNTH_MIN_SIZE, WHY_SYNTH_MAX_SIZE, &size));
    WHY_TRY(why_args_int(a, "seed", 0, INT64_MAX, &seed));
    WHY_TRY(split_of(a, &o.split));
    if (o.planted) WHY_TRY(why_args_real(a, "shortcut", 0, 1, &o.shortcut));
    o.seed = (uint64_t)seed;
    o.size = (int)size;
    WHY_TRY(why_synth_write(&o, (uint32_t)count, why_args_given(a, "parts"), dir));
    printf("%" PRId64 " pictures of %" PRId64 " x %" PRId64 " pixels with masks: %s/list.csv\n", count, size, size, dir);
    if (why_args_given(a, "parts")) printf("every scene without each of its parts: %s/parts.csv\n", dir);
    return WHY_OK;
}

static const why_option options[] = {
    {.name = "count", .value = "N", .initial = "40", .help = "pictures to draw"},
    {.name = "size", .value = "PIXELS", .initial = "128", .help = "side of a picture, 128 to 2048"},
    {.name = "seed", .value = "S", .initial = "2026", .help = "other seed, other pictures"},
    {.name = "split", .value = "NAME", .initial = "test", .help = "train and test of one seed share no picture"},
    {.name = "parts", .help = "draw every scene again without each of its parts"},
    {.name = "shortcut", .value = "P", .help = "plant a badge that names the class with probability P, else a random one"},
    {.name = NULL},
};

const why_command why_command_synth = {
    .name = "synth",
    .positional = "DIR",
    .summary = "draw labelled pictures with exact ground-truth masks",
    .help = "Draws textured shapes of ten classes on textured, cluttered grounds, some behind an occluder, into DIR:\n"
            "images/, masks/ (255 where the object shows), list.csv (a list for job files) and labels.txt. Picture i depends\n"
            "on the seed, the split and i only, and has the same pixels on every machine. Colours, textures and surfaces do\n"
            "not tell the class; the outline does, and with --shortcut a badge in a corner. With --parts, parts/ has every\n"
            "scene without its object, occluder, clutter, ground texture and badge, each with the mask of what is gone.",
    .example = "whypix synth pictures --count 40 --seed 2026\n"
               "whypix synth planted --count 40 --seed 2026 --shortcut 1 --parts",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
