#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "run/listing.h"

static const char *const kind_options[] = {"images", "write", "targets", "column", "limit"};
enum { N_KIND_OPTIONS = sizeof kind_options / sizeof *kind_options };

/* No option's name is part of another's. */
static bool takes(const why_list_kind *kind, const char *option) { return strstr(kind->takes, option) != NULL; }

/* An option that the kind does not read would be lost in silence. */
static why_status check_options(const why_args *a, const why_list_kind *kind) {
    for (int i = 0; i < N_KIND_OPTIONS; i++)
        if (why_args_given(a, kind_options[i]) && !takes(kind, kind_options[i]))
            return why_fail(WHY_EARG, "--%s means nothing to '%s'; it takes: %s", kind_options[i], kind->name,
                            *kind->takes ? kind->takes : "none of these");
    return WHY_OK;
}

static why_status read_options(const why_args *a, why_listing_options *o) {
    *o = (why_listing_options){.path = why_args_at(a, 1),
                               .labels = why_args_text(a, "labels"),
                               .images = why_args_text(a, "images"),
                               .write = why_args_text(a, "write"),
                               .targets = why_args_text(a, "targets"),
                               .column = why_args_text(a, "column"),
                               .n_classes = why_args_times(a, "class"),
                               .limit = -1};
    const char **classes;
    if (why_args_given(a, "limit")) WHY_TRY(why_args_int(a, "limit", 1, INT32_MAX, &o->limit));
    WHY_TRY(why_alloc((size_t)o->n_classes + 1, sizeof *classes, "classes", &classes));
    for (int i = 0; i < o->n_classes; i++) classes[i] = why_args_nth(a, "class", i);
    o->classes = classes;
    return WHY_OK;
}

/* Text of the list to where it goes: fn(l, buffer) makes it. */
static why_status send(const why_listing *l, void (*fn)(const why_listing *, why_buf *), FILE *to) {
    why_buf b = {0};
    fn(l, &b);
    const why_status st = why_buf_status(&b);
    if (!st && b.size) fwrite(b.data, 1, b.size, to);
    why_buf_clear(&b);
    return st;
}

static why_status save_names(const why_listing *l, const char *path) {
    why_buf b = {0};
    why_listing_names(l, &b);
    why_status st = why_buf_status(&b);
    if (!st) st = why_write_file(path, b.data, b.size);
    why_buf_clear(&b);
    return st;
}

static why_status make_list(const why_args *a, const why_list_kind *kind) {
    why_listing_options o;
    why_listing *l = NULL;
    const char *names = why_args_text(a, "write-labels");
    WHY_TRY(check_options(a, kind));
    if (names && why_args_given(a, "labels")) return why_fail(WHY_EARG, "--labels and --write-labels: got both, want one of the two");
    WHY_TRY(read_options(a, &o));
    why_status st = why_listing_create(kind, &o, &l);
    if (l) {
        char text[2048]; /* the report must not lose the error's text */
        snprintf(text, sizeof text, "%s", why_error_text());
        const why_status told = send(l, why_listing_report, stderr);
        st = st ? why_fail(st, "%s", text) : told;
    }
    if (!st) st = send(l, why_listing_csv, stdout);
    if (!st && names) st = save_names(l, names);
    why_listing_destroy(&l);
    free((void *)(uintptr_t)o.classes);
    return st;
}

static why_status run(const why_args *a, int *exit_code) {
    const why_list_kind *kind;
    (void)exit_code;
    if (why_args_count(a) == 0) {
        for (const why_list_kind *const *k = why_list_kinds; *k; k++)
            printf("  %-9s PATH is %s\n            %s\n%s%s%s", (*k)->name, (*k)->path, (*k)->help,
                   *(*k)->takes ? "            options: " : "", (*k)->takes, *(*k)->takes ? "\n" : "");
        return WHY_OK;
    }
    WHY_TRY(why_list_kind_find(why_args_at(a, 0), &kind));
    if (why_args_count(a) != 2) return why_fail(WHY_EARG, "PATH is missing: for '%s' it is %s", kind->name, kind->path);
    return make_list(a, kind);
}

static const why_option options[] = {
    {"labels", "FILE", NULL, "class names, line i = class i: labels become numbers, by the whole line or its first word", false},
    {"write-labels", "FILE", NULL, "write the names of the classes found, sorted: the job's labels", false},
    {"class", "NAME", NULL, "only pictures of this class; may be repeated", true},
    {"images", "DIR", NULL, "where the pictures are, when it is not where the data set has them", false},
    {"write", "DIR", NULL, "where pictures and masks go that must be written", false},
    {"targets", "FILE", NULL, "labels of an array's pictures: .npy, or text with a number a line", false},
    {"column", "NAME", NULL, "the table's column to use: label (fashion) or picture (cbis)", false},
    {"limit", "N", NULL, "only the first N pictures of each file of many", false},
    {0},
};

const why_command why_command_manifest = {
    .name = "manifest",
    .positional = "KIND PATH",
    .summary = "make an image list from a data set as it is published",
    .help = "Prints the image list (CSV) that a job file names; without arguments, the kinds of data sets. Counts go to stderr, with\n"
            "every row that was refused and why; refused rows end nothing. Paths in the list begin with PATH (or DIR) as it is\n"
            "written, and a job reads them from the list's folder: write the list to the current folder, or give an absolute PATH.",
    .example = "whypix manifest folder pictures --write-labels labels.txt > list.csv\n"
               "whypix manifest imagenet /data/ILSVRC/LOC_val_solution.csv --labels /data/ILSVRC/LOC_synset_mapping.txt > val.csv",
    .min_args = 0,
    .max_args = 2,
    .options = options,
    .run = run,
};
