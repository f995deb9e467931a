#include "explain/layers.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void why_layers_clear(why_layers *l) {
    free(l->text);
    free(l->name);
    *l = (why_layers){0};
}

/* Cuts the text at its pluses. */
static why_status cut(const why_model *m, why_layers *l) {
    const char *tensor;
    for (char *part = l->text, *plus; part; part = plus ? plus + 1 : NULL) {
        plus = strchr(part, '+');
        if (plus) *plus = 0;
        WHY_TRY(why_model_resolve(m, part, &tensor));
        l->name[l->n++] = part;
    }
    return WHY_OK;
}

static why_status parse(const why_model *m, const char *text, why_layers *l) {
    const char *tensor;
    size_t parts = 1;
    for (const char *c = text; *c; c++) parts += *c == '+';
    WHY_TRY(why_strdup(text, &l->text));
    WHY_TRY(why_alloc(parts, sizeof *l->name, "names of layers", &l->name));
    if (parts > 1 && why_model_resolve(m, text, &tensor) != WHY_OK) return cut(m, l);
    WHY_TRY(why_model_resolve(m, text, &tensor));
    l->name[l->n++] = l->text;
    return WHY_OK;
}

why_status why_layers_parse(const why_model *m, const char *text, why_layers *out) {
    *out = (why_layers){0};
    why_status st = parse(m, text, out);
    if (st) why_layers_clear(out);
    return st;
}
