#include "run/target.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "whypix/evaluate.h"

enum { SIDE = WHY_TARGET_TEXT / 2 };

/* "prefix:N" with N in [lo, hi]. */
static bool numbered(const char *rule, const char *prefix, long lo, long hi, long *out) {
    size_t n = strlen(prefix);
    char *end;
    if (strncmp(rule, prefix, n) != 0 || rule[n] < '0' || rule[n] > '9') return false;
    *out = strtol(rule + n, &end, 10);
    return *end == '\0' && *out >= lo && *out <= hi;
}

/* The first rule of a contrast; returns its second one. NULL: this is no contrast. */
static const char *split(const char *rule, char first[SIDE]) {
    const char *dash = strchr(rule, '-');
    if (!dash || dash - rule >= SIDE) return NULL;
    memcpy(first, rule, (size_t)(dash - rule));
    first[dash - rule] = '\0';
    return dash + 1;
}

/* Its place in the order of classes, when that is what a rule says; else 0. */
static long rank_of(const char *rule) {
    long n;
    if (strcmp(rule, "predicted") == 0) return 1;
    if (strcmp(rule, "second") == 0) return 2;
    return numbered(rule, "top:", 1, LONG_MAX, &n) ? n : 0;
}

static bool is_rule(const char *rule, int classes) {
    long n, most = classes > 0 ? classes : 1 << 24;
    if (strcmp(rule, "label") == 0 || strcmp(rule, "predicted") == 0) return true;
    if (strcmp(rule, "second") == 0) return most > 1;
    return numbered(rule, "top:", 1, most, &n) || numbered(rule, "class:", 0, most - 1, &n);
}

/* class:007 is class:7. */
static void write_rule(const char *rule, char out[SIDE]) {
    const char *colon = strchr(rule, ':');
    if (colon) snprintf(out, SIDE, "%.*s:%ld", (int)(colon - rule), rule, strtol(colon + 1, NULL, 10));
    else snprintf(out, SIDE, "%s", rule);
}

static bool is_same(const char *a, const char *b) {
    char first[SIDE], second[SIDE];
    write_rule(a, first);
    write_rule(b, second);
    return strcmp(first, second) == 0 || (rank_of(a) && rank_of(a) == rank_of(b));
}

why_status why_target_check(const char *rule, int classes) {
    char first[SIDE];
    const char *second = split(rule, first);
    if (!second && is_rule(rule, classes)) return WHY_OK;
    if (second && is_rule(first, classes) && is_rule(second, classes)) {
        if (is_same(first, second)) return why_fail(WHY_EARG, "target '%s': a contrast wants two different classes", rule);
        if (why_contrast(classes, 0, 1) >= 0) return WHY_OK;
        return why_fail(WHY_EUNSUPPORTED, "target '%s': contrasts are not built for as many as %d classes", rule, classes);
    }
    if (classes > 0)
        return why_fail(WHY_EARG, "target '%s': want label, predicted, second, top:K (1 to %d) or class:N (0 to %d), or a contrast of "
                        "two, A-B", rule, classes, classes - 1);
    return why_fail(WHY_EARG, "target '%s': want label, predicted, second, top:K or class:N, or a contrast of two, A-B", rule);
}

why_status why_target_canonical(const char *rule, char out[WHY_TARGET_TEXT]) {
    char first[SIDE], a[SIDE], b[SIDE];
    const char *second = split(rule, first);
    WHY_TRY(why_target_check(rule, 0));
    write_rule(second ? first : rule, a);
    if (second) write_rule(second, b);
    snprintf(out, WHY_TARGET_TEXT, "%s%s%s", a, second ? "-" : "", second ? b : "");
    return WHY_OK;
}

void why_class_order(const float *logits, int outputs, int classes, int *order) {
    for (int c = 0; c < classes; c++) { /* insertion keeps ties in index order; a thousand classes take under a millisecond */
        double score = why_score(logits, outputs, c, WHY_LOGIT);
        int at = c;
        for (; at > 0 && why_score(logits, outputs, order[at - 1], WHY_LOGIT) < score; at--) order[at] = order[at - 1];
        order[at] = c;
    }
}

static why_status class_of(const char *rule, const int *order, int classes, int64_t label, int *out) {
    long n = 0;
    if (strcmp(rule, "label") == 0) {
        if (label < 0) return why_fail(WHY_EARG, "target 'label': the image list gives no label for this image");
        if (label >= classes) return why_fail(WHY_EARG, "target 'label': the label is %lld, the model has %d classes", (long long)label, classes);
        *out = (int)label;
    } else if (strcmp(rule, "predicted") == 0) *out = order[0];
    else if (strcmp(rule, "second") == 0 && classes > 1) *out = order[1];
    else if (numbered(rule, "top:", 1, classes, &n)) *out = order[n - 1];
    else if (numbered(rule, "class:", 0, classes - 1, &n)) *out = (int)n;
    else return why_target_check(rule, classes);
    return WHY_OK;
}

why_status why_target_class(const char *rule, const int *order, int classes, int64_t label, int *out) {
    char first[SIDE];
    const char *second = split(rule, first);
    int a = 0, b = 0;
    if (!second) return class_of(rule, order, classes, label, out);
    WHY_TRY(class_of(first, order, classes, label, &a));
    WHY_TRY(class_of(second, order, classes, label, &b));
    if (a == b) return why_fail(WHY_EARG, "target '%s': both are class %d for this image", rule, a);
    *out = why_contrast(classes, a, b);
    return WHY_OK;
}
