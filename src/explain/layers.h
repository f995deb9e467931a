/* Several layers in one text. */
#ifndef WHYPIX_EXPLAIN_LAYERS_H
#define WHYPIX_EXPLAIN_LAYERS_H

#include "whypix/model.h"

typedef struct why_layers {
    char *text;        /* owned, as are the names' places in it */
    const char **name; /* as the user wrote them */
    int n;
} why_layers;

/* "a+b" -> a and b, each of which why_model_resolve knows; a name that has a '+' of its own is found first. */
why_status why_layers_parse(const why_model *m, const char *text, why_layers *out) WHY_MUST_USE;
void why_layers_clear(why_layers *l);

#endif
