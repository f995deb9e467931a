#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text_table.h"
#include "whypix/explain.h"
#include "whypix/metric.h"

static void print_params(const why_param *p) {
    for (; p && p->name; p++) {
        printf("    %-14s %s", p->name, p->help);
        if (p->type == WHY_PARAM_CHOICE) printf(" (%s; default %s)", p->choices, p->initial);
        else if (p->type == WHY_PARAM_INT || p->type == WHY_PARAM_REAL) printf(" (%.15g to %.15g; default %s)", p->lo, p->hi, p->initial);
        else printf(" (default %s)", p->initial[0] ? p->initial : "unset");
        printf("\n");
    }
}

static void print_entry(const char *name, const char *help, const char *source) {
    printf("%s: %s\n", name, help);
    if (source) printf("    source: %s\n", source);
}

/* What a method asks of model and job beside the scores of a class. */
static void print_needs(unsigned flags) {
    static const struct {
        unsigned flag;
        const char *text;
    } needs[] = {{WHY_USES_GRADIENT, "gradients"}, {WHY_USES_SEGMENTS, "segments"}, {WHY_USES_MASK, "the ground-truth mask"}};
    const char *lead = "    needs: ";
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (flags & needs[i].flag) {
            printf("%s%s", lead, needs[i].text);
            lead = ", ";
        }
    if (*lead == ' ') printf("%s%s", lead, flags & WHY_CONTROL ? "nothing" : "scores only");
    printf("; %s\n", flags & WHY_STOCHASTIC ? "draws random samples" : "deterministic");
}

static void list_explainers(void) {
    for (const why_explainer *const *e = why_explainers; *e; e++) {
        print_entry((*e)->name, (*e)->help, (*e)->source);
        if ((*e)->flags & WHY_CONTROL) printf("    explains: no class; a control, to compare explainers with\n");
        else printf("    explains: %s, unless `output` says otherwise (probability|logit|log_odds)\n", why_output_name((*e)->output));
        print_needs((*e)->flags);
        print_params((*e)->params);
    }
}

static void list_metrics(void) {
    static const char *const better[] = {"higher is better", "lower is better", "no better direction"};
    for (const why_metric *const *m = why_metrics; *m; m++) {
        print_entry((*m)->name, (*m)->help, (*m)->source);
        printf("    of %s; %s\n", (*m)->kind == WHY_PAIR ? "a pair of maps" : "one map", better[(*m)->better]);
        print_params((*m)->params);
    }
}

static void list_sets(void) {
    for (const why_metric_set *s = why_metric_sets; s->name; s++) {
        printf("%s: %s\n", s->name, s->help);
        for (const char *const *item = s->items; *item; item++) printf("    %s\n", *item);
    }
}

static void list_segmenters(void) {
    for (const why_segmenter *const *s = why_segmenters; *s; s++) {
        print_entry((*s)->name, (*s)->help, (*s)->source);
        print_params((*s)->params);
    }
}

static void list_maskers(void) {
    for (const why_fill_kind *const *f = why_fill_kinds; *f; f++) {
        print_entry((*f)->name, (*f)->help, NULL);
        print_params((*f)->params);
    }
}

static const struct {
    const char *name, *help;
    void (*print)(void);
} lists[] = {
    {"explainers", "how maps are made", list_explainers},
    {"metrics", "how maps are compared and judged", list_metrics},
    {"sets", "sets of metrics that a job file may name", list_sets},
    {"segmenters", "how a picture is cut into superpixels", list_segmenters},
    {"maskers", "what replaces hidden pixels", list_maskers},
};
enum { N_LISTS = sizeof lists / sizeof *lists };

static why_status run(const why_args *a, int *exit_code) {
    const char *what = why_args_at(a, 0), *names[N_LISTS];
    (void)exit_code;
    for (int i = 0; i < N_LISTS; i++) {
        names[i] = lists[i].name;
        if (!what) printf("  %-11s %s\n", lists[i].name, lists[i].help);
        else if (strcmp(what, lists[i].name) == 0) {
            lists[i].print();
            return WHY_OK;
        }
    }
    if (!what) return WHY_OK;
    const char *near = why_nearest(what, names, N_LISTS);
    return why_fail(WHY_EARG, "there is no list of '%s'%s%s%s; 'whypix list' names them", what, near ? "; did you mean '" : "", near ? near : "",
                    near ? "'?" : "");
}

const why_command why_command_list = {
    .name = "list",
    .positional = "[explainers|metrics|sets|segmenters|maskers]",
    .summary = "what can be computed: explainers, metrics and sets of them, segmenters, maskers",
    .help = "Prints the names that job files and --set take, with every parameter, its range, its default and the source\n"
            "of the method.",
    .example = "whypix list explainers",
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
