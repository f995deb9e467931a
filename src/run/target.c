#include "run/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "whypix/evaluate.h"

/* "prefix:N" with N in [lo, hi]. */
static bool numbered(const char *rule, const char *prefix, long lo, long hi, long *out) {
    size_t n = strlen(prefix);
    char *end;
    if (strncmp(rule, prefix, n) != 0 || rule[n] < '0' || rule[n] > '9') return false;
    *out = strtol(rule + n, &end, 10);
    return *end == '\0' && *out >= lo && *out <= hi;
}

why_status why_target_check(const char *rule, int classes) {
    long n, most = classes > 0 ? classes : 1 << 24;
    if (strcmp(rule, "label") == 0 || strcmp(rule, "predicted") == 0) return WHY_OK;
    if (strcmp(rule, "second") == 0 && most > 1) return WHY_OK;
    if (numbered(rule, "top:", 1, most, &n) || numbered(rule, "class:", 0, most - 1, &n)) return WHY_OK;
    if (classes > 0)
        return why_fail(WHY_EARG, "target '%s': want label, predicted, second, top:K (1 to %d) or class:N (0 to %d)", rule, classes, classes - 1);
    return why_fail(WHY_EARG, "target '%s': want label, predicted, second, top:K or class:N", rule);
}

void why_class_order(const float *logits, int outputs, int classes, int *order) {
    for (int c = 0; c < classes; c++) { /* insertion keeps ties in index order; a thousand classes take under a millisecond */
        double score = why_score(logits, outputs, c, WHY_LOGIT);
        int at = c;
        for (; at > 0 && why_score(logits, outputs, order[at - 1], WHY_LOGIT) < score; at--) order[at] = order[at - 1];
        order[at] = c;
    }
}

why_status why_target_class(const char *rule, const int *order, int classes, int64_t label, int *out) {
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
