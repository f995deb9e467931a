/* PASCAL VOC's XML, one file a picture, which ImageNet's boxes come in as well: annotation/object/name and bndbox/{xmin, ymin, xmax,
 * ymax}. The first object's name is the label; the boxes of that name are the truth. An object's parts have names and boxes of
 * their own, so elements are told by their whole path. */
#include <expat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/listing.h"

enum { MAX_BYTES = 16 << 20, CORNERS = 4 };

static const char *const corner_names[CORNERS] = {"xmin", "ymin", "xmax", "ymax"};

struct annotation {
    why_buf path, text, boxes;
    why_buf label, name; /* of the first object, of the present one; with a NUL when there */
    double corner[CORNERS];
};

static void clear(struct annotation *a) {
    why_buf_clear(&a->path);
    why_buf_clear(&a->text);
    why_buf_clear(&a->boxes);
    why_buf_clear(&a->label);
    why_buf_clear(&a->name);
}

static void XMLCALL on_start(void *ctx, const XML_Char *element, const XML_Char **attributes) {
    struct annotation *a = ctx;
    (void)attributes;
    why_buf_printf(&a->path, "%s%s", a->path.size ? "/" : "", element);
    a->text.size = 0;
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int n) {
    struct annotation *a = ctx;
    why_buf_put(&a->text, text, (size_t)n);
}

static bool is_at(const struct annotation *a, const char *path) {
    return a->path.size == strlen(path) && memcmp(a->path.data, path, a->path.size) == 0;
}

/* The text without blanks around it, as a string. */
static const char *trimmed(why_buf *text) {
    why_buf_put(text, "", 1);
    if (text->failed) return "";
    char *start = (char *)text->data, *end = start + strlen(start);
    while (end > start && strchr(" \t\r\n", end[-1])) *--end = '\0';
    return start + strspn(start, " \t\r\n");
}

static void end_object(struct annotation *a) {
    bool whole = a->name.size > 1;
    for (int i = 0; i < CORNERS; i++) whole &= isfinite(a->corner[i]) != 0;
    if (whole && a->label.size == 0) why_buf_put(&a->label, a->name.data, a->name.size);
    const bool same = whole && a->label.size == a->name.size && memcmp(a->label.data, a->name.data, a->name.size) == 0;
    if (same) why_put_voc_box(&a->boxes, a->corner[0], a->corner[1], a->corner[2], a->corner[3]);
}

static void begin_object(struct annotation *a) {
    a->name.size = 0;
    for (int i = 0; i < CORNERS; i++) a->corner[i] = NAN;
}

static double number_of(const char *text) {
    char *end;
    const double v = strtod(text, &end);
    return end == text || *end ? NAN : v;
}

static void XMLCALL on_end(void *ctx, const XML_Char *element) {
    static const char box[] = "annotation/object/bndbox/";
    struct annotation *a = ctx;
    const char *text = trimmed(&a->text);
    const size_t n = sizeof box - 1, under = a->path.size - strlen(element);
    if (is_at(a, "annotation/object/name")) {
        a->name.size = 0;
        why_buf_put(&a->name, text, strlen(text) + 1);
    }
    for (int i = 0; i < CORNERS; i++)
        if (under == n && memcmp(a->path.data, box, n) == 0 && strcmp(element, corner_names[i]) == 0) a->corner[i] = number_of(text);
    if (is_at(a, "annotation/object")) {
        end_object(a);
        begin_object(a);
    }
    if (!a->path.failed) a->path.size = under ? under - 1 : 0;
    a->text.size = 0;
}

static why_status parse(const char *file, struct annotation *a) {
    uint8_t *bytes;
    size_t size;
    WHY_TRY(why_read_file(file, MAX_BYTES, &bytes, &size));
    XML_Parser parser = XML_ParserCreate(NULL);
    why_status st = parser ? WHY_OK : why_fail(WHY_ENOMEM, "%s: cannot get memory to read it", file);
    if (!st) {
        begin_object(a);
        XML_SetUserData(parser, a);
        XML_SetElementHandler(parser, on_start, on_end);
        XML_SetCharacterDataHandler(parser, on_text);
        if (XML_Parse(parser, (const char *)bytes, (int)size, 1) == XML_STATUS_ERROR)
            st = why_fail(WHY_EFORMAT, "%s: line %lu is no XML: %s", file, (unsigned long)XML_GetCurrentLineNumber(parser),
                          XML_ErrorString(XML_GetErrorCode(parser)));
        XML_ParserFree(parser);
    }
    free(bytes);
    if (!st && (a->path.failed || a->text.failed || a->boxes.failed || a->label.failed || a->name.failed)) return WHY_ENOMEM;
    return st;
}

static why_status add_annotation(why_listing *l, const char *file, const char *image, struct annotation *a) {
    const why_status st = parse(file, a);
    if (st) return why_listing_failed(l, st, file);
    if (a->label.size == 0) return why_listing_refuse(l, file, "names no object with a box");
    why_buf_put(&a->boxes, "", 1);
    WHY_TRY(why_buf_status(&a->boxes));
    return why_listing_add(l, &(why_list_row){.image = image, .label = (const char *)a->label.data, .boxes = (const char *)a->boxes.data});
}

static why_status add_file(why_listing *l, const char *xml, const char *pictures, const char *name) {
    const char *file = why_listing_path(l, xml, name), *image;
    const char *stem = why_listing_text(l, "%.*s", (int)(strlen(name) - 4), name);
    if (!file || !stem) return WHY_ENOMEM;
    WHY_TRY(why_find_picture(l, pictures, stem, &image));
    if (!image) return why_listing_refuse(l, file, "there is no picture %s in %s", stem, pictures);
    struct annotation a = {0};
    const why_status st = add_annotation(l, file, image, &a);
    clear(&a);
    return st;
}

/* VOC's own folders, or XML files beside their pictures. */
static why_status read_voc(why_listing *l) {
    const why_listing_options *o = why_listing_opts(l);
    const char *xml = why_listing_path(l, o->path, "Annotations"), *pictures = why_listing_path(l, o->path, "JPEGImages");
    why_files files;
    if (!xml || !pictures) return WHY_ENOMEM;
    if (!why_path_exists(xml)) xml = pictures = o->path;
    if (o->images) pictures = o->images;
    WHY_TRY(why_files_below(why_listing_arena(l), xml, "xml", &files));
    why_status st = WHY_OK;
    for (size_t i = 0; !st && i < files.n; i++) st = add_file(l, xml, pictures, files.path[i]);
    why_files_clear(&files);
    return st;
}

const why_list_kind why_list_voc = {
    .name = "voc",
    .path = "a folder of PASCAL VOC XML files (VOC2012, ILSVRC/Annotations/CLS-LOC/val)",
    .help = "label: the first object's name; boxes: all objects of that name",
    .takes = "images",
    .read = read_voc,
};
