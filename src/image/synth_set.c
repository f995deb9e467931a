#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/synth.h"

/* A set being written: its folder and the text of its lists. */
typedef struct set {
    const why_synth_options *o;
    const char *dir;
    why_buf list, parts;
} set;

static why_status path_in(const set *s, const char *name, char **out) {
    why_buf b = {0};
    why_buf_printf(&b, "%s/%s", s->dir, name);
    return why_buf_take(&b, out);
}

static why_status make_folder(const set *s, const char *name) {
    char *path;
    WHY_TRY(path_in(s, name, &path));
    why_status st = why_make_dirs(path);
    free(path);
    return st;
}

static why_status save_text(const set *s, const char *name, const why_buf *text) {
    char *path;
    WHY_TRY(why_buf_status(text));
    WHY_TRY(path_in(s, name, &path));
    why_status st = why_write_file(path, text->data, text->size);
    free(path);
    return st;
}

static why_status save_picture(const set *s, const char *name, const why_image *im) {
    char *path;
    WHY_TRY(path_in(s, name, &path));
    why_status st = why_image_save_png(im, path);
    free(path);
    return st;
}

/* 255 where `owner` names the part, else 0. */
static why_status save_mask(const set *s, const char *name, const uint8_t *owner, why_synth_part part) {
    const int side = s->o->size, n = side * side;
    uint8_t *mask;
    char *path;
    WHY_TRY(why_alloc((size_t)n, 1, "a mask", &mask));
    for (int i = 0; i < n; i++) mask[i] = owner[i] == part ? 255 : 0;
    why_status st = path_in(s, name, &path);
    if (!st) {
        st = why_grey_save_png(mask, side, side, path);
        free(path);
    }
    free(mask);
    return st;
}

/* The scene once more without `part`, and where the part showed. */
static why_status write_part(set *s, uint32_t index, why_synth_part part, const uint8_t *owner, const why_synth_facts *f) {
    char picture[64], mask[64];
    const char *name = why_synth_part_name(part);
    why_image without;
    snprintf(picture, sizeof picture, "parts/%05u-%s.png", index, name);
    snprintf(mask, sizeof mask, "parts/%05u-%s-mask.png", index, name);
    WHY_TRY(why_synth_draw(s->o, index, 1u << part, &without, NULL, NULL));
    why_status st = save_picture(s, picture, &without);
    why_image_clear(&without);
    WHY_TRY(st);
    why_buf_printf(&s->parts, "%s,%d,%s,%s-%05u,%s,", picture, f->label, mask, s->o->split, index, s->o->split);
    why_buf_printf(&s->parts, "images/%05u.png,%s,%.6f\n", index, name, f->visible[part]);
    return save_mask(s, mask, owner, part);
}

static why_status write_parts(set *s, uint32_t index, const uint8_t *owner, const why_synth_facts *f) {
    for (int part = 0; part < WHY_SYNTH_PARTS; part++)
        if (f->present[part]) WHY_TRY(write_part(s, index, (why_synth_part)part, owner, f));
    return WHY_OK;
}

/* One line of list.csv. The group is the scene, as in parts.csv: what is drawn from one scene is not independent. */
static void list_scene(set *s, uint32_t index, const why_synth_facts *f) {
    why_buf_printf(&s->list, "images/%05u.png,%d,masks/%05u.png,%s-%05u,%s,", index, f->label, index, s->o->split, index, s->o->split);
    why_buf_printf(&s->list, "%.6f,%.6f,%.6f,%s,%s,%s,%d\n", f->area, f->occluded, f->contrast, f->texture, f->fill, f->occluder, f->cue);
}

static why_status write_scene(set *s, uint32_t index, bool parts) {
    char picture[64], mask[64];
    why_image image;
    why_synth_facts facts;
    uint8_t *owner;
    snprintf(picture, sizeof picture, "images/%05u.png", index);
    snprintf(mask, sizeof mask, "masks/%05u.png", index);
    WHY_TRY(why_synth_draw(s->o, index, 0, &image, &owner, &facts));
    why_status st = save_picture(s, picture, &image);
    if (!st) st = save_mask(s, mask, owner, WHY_SYNTH_OBJECT);
    if (!st && parts) st = write_parts(s, index, owner, &facts);
    if (!st) list_scene(s, index, &facts);
    why_image_clear(&image);
    free(owner);
    return st;
}

static why_status write_labels(const set *s) {
    why_buf b = {0};
    for (int i = 0; i < WHY_SYNTH_CLASSES; i++) why_buf_printf(&b, "%s\n", why_synth_class_name(i));
    why_status st = save_text(s, "labels.txt", &b);
    why_buf_clear(&b);
    return st;
}

static why_status write_set(set *s, uint32_t count, bool parts) {
    WHY_TRY(make_folder(s, "images"));
    WHY_TRY(make_folder(s, "masks"));
    if (parts) WHY_TRY(make_folder(s, "parts"));
    why_buf_text(&s->list, "image,label,mask,group,split,area,occluded,contrast,texture,object_texture,occluder,cue\n");
    why_buf_text(&s->parts, "image,label,mask,group,split,whole,part,visible\n");
    for (uint32_t i = 0; i < count; i++) WHY_TRY(write_scene(s, i, parts));
    WHY_TRY(write_labels(s));
    if (parts) WHY_TRY(save_text(s, "parts.csv", &s->parts));
    return save_text(s, "list.csv", &s->list);
}

why_status why_synth_write(const why_synth_options *o, uint32_t count, bool parts, const char *dir) {
    set s = {.o = o, .dir = dir};
    why_status st = write_set(&s, count, parts);
    why_buf_clear(&s.list);
    why_buf_clear(&s.parts);
    return st;
}
