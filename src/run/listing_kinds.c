#include <string.h>

#include "run/listing.h"
#include "whypix/param.h"

/* One line per kind of data set, in the order of `whypix manifest`. */
#define WHY_LIST_KINDS(X) \
    X(folder)             \
    X(imagenet)           \
    X(voc)                \
    X(cbis)               \
    X(xray)               \
    X(idx)                \
    X(fashion)            \
    X(npy)                \
    X(labelme)

#define WHY_DECLARE(name) extern const why_list_kind why_list_##name;
WHY_LIST_KINDS(WHY_DECLARE)

#define WHY_REFER(name) &why_list_##name,
const why_list_kind *const why_list_kinds[] = {WHY_LIST_KINDS(WHY_REFER) NULL};
enum { N_KINDS = sizeof why_list_kinds / sizeof *why_list_kinds - 1 };

why_status why_list_kind_find(const char *name, const why_list_kind **out) {
    const char *names[N_KINDS];
    for (int i = 0; i < N_KINDS; i++) {
        names[i] = why_list_kinds[i]->name;
        *out = why_list_kinds[i];
        if (strcmp(name, names[i]) == 0) return WHY_OK;
    }
    const char *near = why_nearest(name, names, N_KINDS);
    return why_fail(WHY_EARG, "there is no kind of data set '%s'%s%s%s; 'whypix manifest' names them", name, near ? ", did you mean '" : "",
                    near ? near : "", near ? "'" : "");
}
