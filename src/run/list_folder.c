/* PATH/CLASS/.../picture: how torchvision.datasets.ImageFolder and many published sets lay pictures out. A kind of data set finds
 * its pictures, says what it knows of each in a why_list_row, and hands that to why_listing_add, which checks it; everything else
 * (numbers of labels, counts, CSV) is the list's. */
#include <string.h>

#include "run/listing.h"

static why_status add_file(why_listing *l, const char *name) {
    const char *slash = strchr(name, '/'), *path = why_listing_path(l, why_listing_opts(l)->path, name);
    if (!path) return WHY_ENOMEM;
    if (!slash) return why_listing_refuse(l, path, "stands in no class folder");
    const char *label = why_listing_text(l, "%.*s", (int)(slash - name), name);
    return label ? why_listing_add(l, &(why_list_row){.image = path, .label = label}) : WHY_ENOMEM;
}

static why_status read_folder(why_listing *l) { return why_listing_each_file(l, NULL, add_file); }

const why_list_kind why_list_folder = {
    .name = "folder",
    .path = "a folder of class folders",
    .help = "PATH/CLASS/.../picture; the class is the folder's name",
    .takes = "",
    .read = read_folder,
};
