/* The ImageNet localisation task as Kaggle ships it: LOC_val_solution.csv, whose rows are a picture's name and its boxes, "synset xmin
 * ymin xmax ymax" for each, beside ILSVRC/Data/CLS-LOC/val/NAME.JPEG (training pictures: train/SYNSET/NAME.JPEG). The first box's
 * synset is the label; the boxes of that synset are the truth. */
#include <stdlib.h>
#include <string.h>

#include "run/listing.h"

struct source {
    const char *folder, *split;
    why_table *table;
    int image, boxes;
};

/* The next word of a text, cut off in place; NULL at its end. */
static char *word(char **at) {
    char *start = *at + strspn(*at, " ");
    if (!*start) return NULL;
    *at = start + strcspn(start, " ");
    if (**at) *(*at)++ = '\0';
    return start;
}

/* All boxes of the first one's synset; false when the text is something else. */
static bool read_boxes(char *text, const char **synset, why_buf *b) {
    *synset = NULL;
    for (char *name; (name = word(&text)) != NULL;) {
        double corner[4];
        for (int i = 0; i < 4; i++) {
            char *number = word(&text), *end;
            if (!number) return false;
            corner[i] = strtod(number, &end);
            if (*end) return false;
        }
        if (!*synset) *synset = name;
        if (strcmp(*synset, name) == 0) why_put_voc_box(b, corner[0], corner[1], corner[2], corner[3]);
    }
    return *synset != NULL;
}

static why_status find_image(why_listing *l, const struct source *s, const char *name, const char *synset, const char **out) {
    WHY_TRY(why_find_picture(l, s->folder, name, out));
    const char *below = why_listing_text(l, "%s/%s", synset, name);
    if (!below) return WHY_ENOMEM;
    return *out ? WHY_OK : why_find_picture(l, s->folder, below, out);
}

static why_status add_row(why_listing *l, const struct source *s, const char *name, const char *prediction) {
    const char *synset, *path;
    why_buf b = {0};
    char *boxes, *text = why_arena_strdup(why_listing_arena(l), prediction);
    if (!text) return WHY_ENOMEM;
    if (!read_boxes(text, &synset, &b)) {
        why_buf_clear(&b);
        return why_listing_refuse(l, why_table_place(s->table), "'%s' is not SYNSET XMIN YMIN XMAX YMAX, again and again", prediction);
    }
    WHY_TRY(why_buf_take(&b, &boxes));
    why_status st = find_image(l, s, name, synset, &path);
    if (!st && !path) st = why_listing_refuse(l, why_table_place(s->table), "there is no picture %s in %s", name, s->folder);
    else if (!st) st = why_listing_add(l, &(why_list_row){.image = path, .label = synset, .boxes = boxes, .split = s->split});
    free(boxes);
    return st;
}

/* Split and folder by the table's name, "LOC_val_solution.csv". */
static why_status open_source(why_listing *l, struct source *s) {
    const why_listing_options *o = why_listing_opts(l);
    const char *slash = strrchr(o->path, '/'), *file = slash ? slash + 1 : o->path;
    const char *home = slash ? why_listing_text(l, "%.*s", (int)(slash - o->path), o->path) : ".";
    s->split = strstr(file, "train") ? "train" : strstr(file, "val") ? "val" : NULL;
    const char *usual = why_listing_text(l, "ILSVRC/Data/CLS-LOC/%s", s->split ? s->split : "");
    s->folder = o->images || !home || !usual ? o->images : why_listing_path(l, home, usual);
    if (!home || !usual || !s->folder) return WHY_ENOMEM;
    WHY_TRY(why_table_open(l, o->path, &s->table));
    WHY_TRY(why_table_column(s->table, "ImageId", &s->image));
    return why_table_column(s->table, "PredictionString", &s->boxes);
}

static why_status read_imagenet(why_listing *l) {
    struct source s;
    bool more;
    WHY_TRY(open_source(l, &s));
    for (;;) {
        WHY_TRY(why_table_next(s.table, false, &more));
        if (!more) return WHY_OK;
        const char *name = why_table_field(s.table, s.image), *boxes = why_table_field(s.table, s.boxes);
        if (!name || !boxes) WHY_TRY(why_listing_refuse(l, why_table_place(s.table), "a field is empty"));
        else WHY_TRY(add_row(l, &s, name, boxes));
    }
}

const why_list_kind why_list_imagenet = {
    .name = "imagenet",
    .path = "LOC_val_solution.csv or LOC_train_solution.csv of Kaggle's ImageNet",
    .help = "label: synset of the first box (give LOC_synset_mapping.txt as --labels); boxes: all of that synset",
    .takes = "images",
    .read = read_imagenet,
};
