/* Class names: line i of the label file (from 0) is class i + offset of the models. */
#ifndef WHYPIX_RUN_LABEL_H
#define WHYPIX_RUN_LABEL_H

#include <stdint.h>

#include "base/mem.h"

typedef struct why_labels {
    const char *file;         /* NULL: no label file */
    const char *const *names; /* one per class of the models; "background" below the offset */
    int n;
    int64_t offset;
} why_labels;

/* Read a label file: one name per line, UTF-8, LF or CRLF. Names need not be unique. Texts live in the arena. */
why_status why_labels_load(why_arena *arena, const char *file, int64_t offset, why_labels *out) WHY_MUST_USE;

/* The class that `text` names: a number, to which the offset is added, or a name that stands exactly once in the file. */
why_status why_labels_find(const why_labels *labels, const char *text, int64_t *out) WHY_MUST_USE;

#endif
