#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "run/plan.h"

/* What one core does with convolutions, for a first idea of the time; `bench` and `run` measure. */
static const double ASSUMED_MACS_PER_SECOND = 2e10;

/* ---------------------------------------------------------------- numbers for people */
/* Large numbers get a unit; below `exact` every digit stays. */
static void put_count(char out[32], double n, double exact) {
    static const char *const unit[] = {"", " k", " M", " G", " T", " P"};
    int u = 0;
    if (n >= exact)
        for (; n >= 1000 && u < 5; u++) n /= 1000;
    snprintf(out, 32, u ? "%.1f%s" : "%.0f%s", n, unit[u]);
}

static void put_bytes(char out[32], double n) {
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    int u = 0;
    for (; n >= 1000 && u < 4; u++) n /= 1000;
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", n, unit[u]);
}

static void put_time(char out[32], double seconds) {
    if (seconds < 100) snprintf(out, 32, "%.1f s", seconds);
    else if (seconds < 6000) snprintf(out, 32, "%.0f min", seconds / 60);
    else if (seconds < 48 * 3600.) snprintf(out, 32, "%.1f h", seconds / 3600);
    else snprintf(out, 32, "%.1f days", seconds / 86400);
}

/* ---------------------------------------------------------------- tables */
static why_status print_models(const why_plan *p) {
    static const char *const heads[] = {"model", "input", "classes", "parameters", "MACs", "preprocess", "sha256"};
    why_text_table *t;
    WHY_TRY(why_text_table_create(7, heads, "lrrrrll", &t));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < p->n_models; i++) {
        const why_model_info *info = why_model_get_info(p->models[i].model);
        char input[48], classes[16], parameters[32], macs[32], sha[13];
        snprintf(input, sizeof input, "%dx%dx%d", info->channels, info->height, info->width);
        snprintf(classes, sizeof classes, "%d", info->classes);
        put_count(parameters, (double)info->parameters, 1e3);
        put_count(macs, (double)info->macs, 1e3);
        snprintf(sha, sizeof sha, "%.12s", info->sha256);
        st = why_text_table_add(
            t, (const char *const[]){p->models[i].name, input, classes, parameters, macs, p->models[i].preprocess.name, sha});
    }
    if (!st) st = why_text_table_print(t, "models", WHY_FORMAT_TEXT, stdout);
    why_text_table_destroy(&t);
    return st;
}

static int cells_of(const why_plan *p, int method) {
    int n = 0;
    for (int c = 0; c < p->n_cells; c++) n += p->cells[c].method == method;
    return n;
}

static why_status print_methods(const why_plan *p) {
    static const char *const heads[] = {"method", "explainer", "cells", "parameters"};
    why_text_table *t;
    WHY_TRY(why_text_table_create(4, heads, "llrl", &t));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < p->n_methods; i++) {
        char cells[16];
        snprintf(cells, sizeof cells, "%d", cells_of(p, i));
        st =
            why_text_table_add(t, (const char *const[]){p->methods[i].name, p->methods[i].explainer->name, cells, p->methods[i].canonical});
    }
    if (!st) st = why_text_table_print(t, "methods", WHY_FORMAT_TEXT, stdout);
    why_text_table_destroy(&t);
    return st;
}

static why_status print_metrics(const why_plan *p) {
    static const char *const heads[] = {"metric", "kind", "policy", "grid", "parameters"};
    why_text_table *t;
    if (p->n_metrics == 0) return WHY_OK;
    WHY_TRY(why_text_table_create(5, heads, "lllll", &t));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < p->n_metrics; i++) {
        const why_plan_metric *m = &p->metrics[i];
        st = why_text_table_add(t, (const char *const[]){m->metric->name, m->metric->kind == WHY_PAIR ? "agreement" : "score",
                                                         m->policy_text, m->grid_text, m->canonical});
    }
    if (!st) st = why_text_table_print(t, "metrics", WHY_FORMAT_TEXT, stdout);
    why_text_table_destroy(&t);
    return st;
}

static why_status add_cost(why_text_table *t, const char *what, double per_image, int images) {
    char each[32], all[32];
    put_count(each, per_image, 1e8);
    put_count(all, per_image * images, 1e8);
    return why_text_table_add(t, (const char *const[]){what, each, all});
}

static why_status print_cost(const why_plan *p) {
    static const char *const heads[] = {"at most", "per image", "in all"};
    why_plan_cost c;
    why_text_table *t;
    char each[32], all[32];
    why_plan_cost_of(p, &c);
    WHY_TRY(why_text_table_create(3, heads, "lrr", &t));
    why_status st = add_cost(t, "explanations (cells)", (double)c.explanations, p->n_images);
    if (!st) st = add_cost(t, "agreement rows", (double)c.pairs, p->n_images);
    if (!st) st = add_cost(t, "score rows", (double)c.scores, p->n_images);
    if (!st) st = add_cost(t, "curve points", (double)c.curve_points, p->n_images);
    if (!st) st = add_cost(t, "forwards", (double)c.forwards, p->n_images);
    if (!st) st = add_cost(t, "forwards if targets coincide", (double)(c.forwards - c.shared_forwards), p->n_images);
    put_bytes(each, (double)c.bytes);
    put_bytes(all, (double)c.bytes * p->n_images + (double)c.fixed_bytes);
    if (!st) st = why_text_table_add(t, (const char *const[]){"database", each, all});
    put_time(each, c.macs / ASSUMED_MACS_PER_SECOND);
    put_time(all, c.macs / ASSUMED_MACS_PER_SECOND * p->n_images);
    if (!st) st = why_text_table_add(t, (const char *const[]){"core time at 20 GMAC/s", each, all});
    if (!st) st = why_text_table_print(t, "cost", WHY_FORMAT_TEXT, stdout);
    why_text_table_destroy(&t);
    return st;
}

/* ---------------------------------------------------------------- the three outputs */
static int count_masks(const why_plan *p) {
    int n = 0;
    for (int i = 0; i < p->n_images; i++) n += p->images[i].mask != NULL;
    return n;
}

static int count_labels(const why_plan *p) {
    int n = 0;
    for (int i = 0; i < p->n_images; i++) n += p->images[i].label >= 0;
    return n;
}

static why_status print_text(const why_plan *p) {
    printf("job       %s\n", p->name);
    printf("plan      %.12s\n", p->sha);
    printf("images    %d, %d with a label, %d with a mask\n", p->n_images, count_labels(p), count_masks(p));
    printf("cells     %d = model x method x target x repeat x budget, %d pairs of them\n", p->n_cells, p->n_pairs);
    printf("database  %s\n", p->database);
    if (p->maps_dir) printf("maps      %s\n", p->maps_dir);
    if (p->overlays_first) printf("overlays  %s, the first %d images\n", p->overlays_dir, p->overlays_first);
    printf("\n");
    WHY_TRY(print_models(p));
    printf("\n");
    WHY_TRY(print_methods(p));
    printf("\n");
    WHY_TRY(print_metrics(p));
    if (p->n_metrics) printf("\n");
    return print_cost(p);
}

static why_status print_json(const why_plan *p) {
    why_plan_cost c;
    why_buf b = {0};
    char *text;
    why_plan_cost_of(p, &c);
    why_buf_text(&b, "{\"name\":");
    why_buf_json(&b, p->name);
    why_buf_printf(&b,
                   ",\"uid\":\"%s\",\"plan\":\"%s\",\"images\":%d,\"models\":%d,\"methods\":%d,\"cells\":%d,\"pairs\":%d,\"metrics\":%d",
                   p->uid, p->sha, p->n_images, p->n_models, p->n_methods, p->n_cells, p->n_pairs, p->n_metrics);
    why_buf_printf(&b, ",\"per_image\":{\"explanations\":%lld,\"agreement_rows\":%lld,\"score_rows\":%lld,\"curve_points\":%lld",
                   (long long)c.explanations, (long long)c.pairs, (long long)c.scores, (long long)c.curve_points);
    why_buf_printf(&b, ",\"forwards\":%lld,\"forwards_shared\":%lld,\"bytes\":%lld,\"macs\":", (long long)c.forwards,
                   (long long)c.shared_forwards, (long long)c.bytes);
    why_buf_number(&b, c.macs);
    why_buf_printf(&b, "},\"fixed_bytes\":%lld,\"database\":", (long long)c.fixed_bytes);
    why_buf_json(&b, p->database);
    why_buf_text(&b, "}\n");
    WHY_TRY(why_buf_take(&b, &text));
    fputs(text, stdout);
    free(text);
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    why_plan *p;
    (void)exit_code;
    if (why_args_given(a, "yaml") && why_args_given(a, "json")) return why_fail(WHY_EARG, "give --yaml or --json, not both");
    WHY_TRY(why_plan_create(why_args_at(a, 0), &p));
    why_status st = WHY_OK;
    if (why_args_given(a, "yaml")) fputs(p->expanded, stdout);
    else st = why_args_given(a, "json") ? print_json(p) : print_text(p);
    why_plan_destroy(&p);
    return st;
}

static const why_option options[] = {
    {"yaml", NULL, NULL, "print the job as it stands after `extends`", false},
    {"json", NULL, NULL, "print the counts as one line of JSON", false},
    {0},
};

const why_command why_command_plan = {
    .name = "plan",
    .positional = "JOB.yaml",
    .summary = "check a job and say what it will compute, and what that costs",
    .help = "Reads the job file with everything it extends, the image list, the label file and the models, and prints\n"
            "the expanded job: models, methods, metrics, rows, forwards, database size and a first idea of the time.\n"
            "Computes nothing and writes nothing. Inputs are seen from the folder of the job file, outputs from here.",
    .example = "whypix plan jobs/demo/demo.yaml\nwhypix plan --yaml jobs/seed000-vgg16.yaml",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
