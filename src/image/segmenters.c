#include "image/segment.h"

#include <stdlib.h>
#include <string.h>

#include "base/call.h"

const why_segmenter *const why_segmenters[] = {
    &why_segment_quickshift,
    &why_segment_slic,
    &why_segment_felzenszwalb,
    &why_segment_grid,
    NULL,
};

enum { N = sizeof why_segmenters / sizeof *why_segmenters - 1 };

const why_segmenter *why_segmenter_find(const char *name) {
    for (int i = 0; i < N; i++)
        if (strcmp(why_segmenters[i]->name, name) == 0) return why_segmenters[i];
    return NULL;
}

static why_status unknown(const char *name) {
    const char *names[N];
    for (int i = 0; i < N; i++) names[i] = why_segmenters[i]->name;
    const char *nearest = why_nearest(name, names, N);
    if (nearest) return why_fail(WHY_EARG, "segmenter '%s' is unknown; did you mean '%s'?", name, nearest);
    return why_fail(WHY_EARG, "segmenter '%s' is unknown; there are: quickshift, slic, felzenszwalb, grid", name);
}

why_status why_segmenter_parse(const char *text, const why_segmenter **segmenter, why_params **params) {
    char *name;
    *segmenter = NULL;
    *params = NULL;
    WHY_TRY(why_call_name(text, &name));
    const why_segmenter *found = why_segmenter_find(name);
    why_status st = found ? why_call_params(text, found->params, params) : unknown(name);
    free(name);
    if (!st) *segmenter = found;
    return st;
}
