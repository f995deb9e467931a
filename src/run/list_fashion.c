/* Fashion Product Images (Kaggle): styles.csv with images/ID.jpg beside it. Names of products stand last, unquoted, and some hold
 * commas. */
#include <string.h>

#include "run/listing.h"

/* In the order of the kind's covars. */
static const char *const covars[WHY_LIST_COVARS] = {"gender",     "masterCategory", "subCategory", "articleType",
                                                    "baseColour", "season",         "year",        "usage"};

struct columns {
    int id, label, covar[WHY_LIST_COVARS];
};

static why_status find_columns(const why_listing *l, const why_table *t, struct columns *c) {
    const char *label = why_listing_opts(l)->column;
    WHY_TRY(why_table_column(t, "id", &c->id));
    WHY_TRY(why_table_column(t, label ? label : "articleType", &c->label));
    for (int i = 0; i < WHY_LIST_COVARS; i++)
        if (why_table_column(t, covars[i], &c->covar[i])) c->covar[i] = -1;
    return WHY_OK;
}

static why_status add_row(why_listing *l, const why_table *t, const struct columns *c, const char *folder) {
    const char *id = why_table_field(t, c->id), *image;
    why_list_row row = {.label = why_table_field(t, c->label)};
    if (!id || !row.label) return why_listing_refuse(l, why_table_place(t), "a field is empty");
    WHY_TRY(why_find_picture(l, folder, id, &image));
    if (!image) return why_listing_refuse(l, why_table_place(t), "there is no picture %s in %s", id, folder);
    row.image = image;
    for (int i = 0; i < WHY_LIST_COVARS; i++) row.covar[i] = why_table_field(t, c->covar[i]);
    return why_listing_add(l, &row);
}

static why_status read_fashion(why_listing *l) {
    const why_listing_options *o = why_listing_opts(l);
    const char *slash = strrchr(o->path, '/'), *home = slash ? why_listing_text(l, "%.*s", (int)(slash - o->path), o->path) : ".";
    const char *folder = o->images || !home ? o->images : why_listing_path(l, home, "images");
    struct columns c;
    why_table *t;
    bool more;
    if (!folder) return WHY_ENOMEM;
    WHY_TRY(why_table_open(l, o->path, &t));
    WHY_TRY(find_columns(l, t, &c));
    for (;;) {
        WHY_TRY(why_table_next(t, true, &more));
        if (!more) return WHY_OK;
        WHY_TRY(add_row(l, t, &c, folder));
    }
}

const why_list_kind why_list_fashion = {
    .name = "fashion",
    .path = "styles.csv of Fashion Product Images",
    .help = "label: articleType, or another --column; pictures: images/ID.jpg beside the table",
    .takes = "images column",
    .covars = {"gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage"},
    .read = read_fashion,
};
