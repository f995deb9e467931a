/* labelme's JSON files, one a picture: shapes, each a label with a polygon, a rectangle or a circle, in coordinates that have 0, 0 at
 * the picture's corner. The first shape's label is the picture's; the shapes of that label become its mask. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "image/polygon.h"
#include "run/listing.h"
#include "whypix/image.h"

enum { MAX_BYTES = 1 << 30, OBJECT = 255, MAX_CORNERS = 1 << 20 };

/* x y x y ... of a shape (owned); WHY_EFORMAT: anything else. */
static why_status read_points(const json_t *shape, double **xy, int *n) {
    const json_t *points = json_object_get(shape, "points");
    const size_t count = json_array_size(points);
    *xy = NULL;
    *n = 0;
    if (count < 1 || count > MAX_CORNERS) return why_fail(WHY_EFORMAT, "a shape has %zu points", count);
    WHY_TRY(why_alloc(2 * count, sizeof **xy, "points of a shape", xy));
    *n = (int)count;
    for (size_t i = 0; i < 2 * count; i++) {
        const json_t *v = json_array_get(json_array_get(points, i / 2), i % 2);
        (*xy)[i] = json_number_value(v);
        if (json_is_number(v)) continue;
        free(*xy);
        *xy = NULL;
        return why_fail(WHY_EFORMAT, "point %zu of a shape is not two numbers", i / 2 + 1);
    }
    return WHY_OK;
}

static why_status fill_rectangle(const double *p, uint8_t *mask, int h, int w) {
    const double corners[] = {p[0], p[1], p[2], p[1], p[2], p[3], p[0], p[3]};
    return why_polygon_fill(mask, h, w, corners, 4, OBJECT);
}

static why_status fill_shape(const json_t *shape, uint8_t *mask, int h, int w) {
    const char *type = json_string_value(json_object_get(shape, "shape_type"));
    double *p;
    int n;
    WHY_TRY(read_points(shape, &p, &n));
    why_status st = WHY_OK;
    if ((!type || strcmp(type, "polygon") == 0) && n >= 3) st = why_polygon_fill(mask, h, w, p, n, OBJECT);
    else if (type && strcmp(type, "rectangle") == 0 && n == 2) st = fill_rectangle(p, mask, h, w);
    else if (type && strcmp(type, "circle") == 0 && n == 2)
        why_circle_fill(mask, h, w, p[0], p[1], hypot(p[2] - p[0], p[3] - p[1]), OBJECT);
    else st = why_fail(WHY_EFORMAT, "a %s of %d points has no inside", type ? type : "polygon", n);
    free(p);
    return st;
}

static const char *label_of(const json_t *shape) { return json_string_value(json_object_get(shape, "label")); }

static why_status fill_mask(const json_t *shapes, const char *label, uint8_t *mask, int h, int w) {
    for (size_t i = 0; i < json_array_size(shapes); i++) {
        const json_t *shape = json_array_get(shapes, i);
        if (label_of(shape) && strcmp(label_of(shape), label) == 0) WHY_TRY(fill_shape(shape, mask, h, w));
    }
    return memchr(mask, OBJECT, (size_t)h * (size_t)w) ? WHY_OK : why_fail(WHY_EFORMAT, "the shapes of '%s' hold no pixel", label);
}

static why_status write_mask(const json_t *shapes, const char *label, const char *image, const char *path) {
    int h, w;
    uint8_t *mask;
    WHY_TRY(why_image_probe(image, &h, &w));
    WHY_TRY(why_alloc((size_t)h * (size_t)w, 1, "a mask", &mask));
    why_status st = fill_mask(shapes, label, mask, h, w);
    if (!st) st = why_make_dirs_for(path);
    if (!st) st = why_grey_save_png(mask, h, w, path);
    free(mask);
    return st;
}

/* ---------------------------------------------------------------- one file */
/* The picture that the JSON file names, seen from its folder; Windows writes backslashes. */
static const char *image_of(why_listing *l, const json_t *root, const char *file) {
    const char *named = json_string_value(json_object_get(root, "imagePath")), *slash = strrchr(file, '/');
    char *name = why_arena_strdup(why_listing_arena(l), named ? named : "");
    if (!name) return NULL;
    for (char *c = name; *c; c++) *c = *c == '\\' ? '/' : *c;
    return slash ? why_listing_text(l, "%.*s/%s", (int)(slash - file), file, name) : name;
}

static why_status add_root(why_listing *l, const json_t *root, const char *file, const char *stem) {
    const json_t *shapes = json_object_get(root, "shapes");
    const char *label = label_of(json_array_get(shapes, 0)), *image = image_of(l, root, file);
    const char *name = why_listing_text(l, "%s.png", stem);
    const char *mask = name ? why_listing_path(l, why_listing_opts(l)->write, name) : NULL;
    if (!image || !mask) return WHY_ENOMEM;
    if (!label) return why_listing_refuse(l, file, "its first shape has no label, or it has no shapes");
    if (why_listing_leaves_out(l, label)) return WHY_OK;
    const why_status st = write_mask(shapes, label, image, mask);
    if (st) return why_listing_failed(l, st, file);
    return why_listing_add(l, &(why_list_row){.image = image, .label = label, .mask = mask});
}

static why_status add_file(why_listing *l, const char *name) {
    const char *file = why_listing_path(l, why_listing_opts(l)->path, name);
    const char *stem = why_listing_text(l, "%.*s", (int)(strlen(name) - 5), name);
    uint8_t *bytes;
    size_t size;
    json_error_t error;
    if (!file || !stem) return WHY_ENOMEM;
    why_status st = why_read_file(file, MAX_BYTES, &bytes, &size);
    if (st) return why_listing_failed(l, st, file);
    json_t *root = json_loadb((const char *)bytes, size, 0, &error);
    free(bytes);
    if (!root) return why_listing_refuse(l, file, "line %d is no JSON: %s", error.line, error.text);
    st = add_root(l, root, file, stem);
    json_decref(root);
    return st;
}

static why_status read_labelme(why_listing *l) {
    if (!why_listing_opts(l)->write) return why_fail(WHY_EARG, "--write is missing: the folder where masks go as PNGs");
    return why_listing_each_file(l, "json", add_file);
}

const why_list_kind why_list_labelme = {
    .name = "labelme",
    .path = "a folder of labelme's JSON files",
    .help = "label: the first shape's; masks of all shapes of that label are written to --write DIR",
    .takes = "write",
    .read = read_labelme,
};
