/* Chest X-rays as Kermany et al. (Cell 172, 2018) publish them: {train,val,test}/{NORMAL,PNEUMONIA}/picture. Names of PNEUMONIA begin
 * with the patient ("person12_bacteria_47"), those of NORMAL with the study ("IM-0115-0001", "NORMAL2-IM-0027-0001-0002"). */
#include <ctype.h>
#include <string.h>

#include "run/listing.h"

/* Length of the part of a file's name that tells the patient, 0: none. */
static size_t patient_of(const char *name) {
    static const char *const before[] = {"person", "IM-", "NORMAL2-IM-"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        size_t n = strlen(before[i]);
        if (strncmp(name, before[i], n) != 0 || !isdigit((unsigned char)name[n])) continue;
        while (isdigit((unsigned char)name[n])) n++;
        return n;
    }
    return 0;
}

static const char *agent_of(const char *name) {
    return strstr(name, "_virus_") ? "virus" : strstr(name, "_bacteria_") ? "bacteria" : NULL;
}

static why_status add_file(why_listing *l, const char *name) {
    const char *path = why_listing_path(l, why_listing_opts(l)->path, name), *slash = strchr(name, '/');
    const char *second = slash ? strchr(slash + 1, '/') : NULL;
    if (!path) return WHY_ENOMEM;
    if (!second || strchr(second + 1, '/')) return why_listing_refuse(l, path, "does not stand in SPLIT/CLASS");
    const char *split = why_listing_text(l, "%.*s", (int)(slash - name), name);
    const char *label = why_listing_text(l, "%.*s", (int)(second - slash - 1), slash + 1);
    const size_t n = patient_of(second + 1);
    const char *group = n ? why_listing_text(l, "%.*s", (int)n, second + 1) : NULL;
    if (!split || !label || (n && !group)) return WHY_ENOMEM;
    return why_listing_add(l,
                           &(why_list_row){.image = path, .label = label, .group = group, .split = split, .covar = {agent_of(second + 1)}});
}

static why_status read_xray(why_listing *l) { return why_listing_each_file(l, NULL, add_file); }

const why_list_kind why_list_xray = {
    .name = "xray",
    .path = "the folder chest_xray",
    .help = "PATH/{train,val,test}/{NORMAL,PNEUMONIA}/picture; group: the patient, where the name tells",
    .takes = "",
    .covars = {"agent"},
    .read = read_xray,
};
