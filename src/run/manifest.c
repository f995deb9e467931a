#include "run/manifest.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "run/boxes.h"
#include "run/csv.h"
#include "run/job.h"

/* ---------------------------------------------------------------- columns */
enum column { IMAGE, LABEL, MASK, BOXES, GROUP, SPLIT, KNOWN, COVARIATE };
static const char *const known[KNOWN] = {"image", "label", "mask", "boxes", "group", "split"};

struct list {
    why_csv csv;
    why_arena *arena;
    const why_labels *labels;
    int columns;
    enum column column[WHY_CSV_COLUMNS];
    const char *name[WHY_CSV_COLUMNS];
};

static enum column column_of(const char *name) {
    for (int k = 0; k < KNOWN; k++)
        if (strcmp(name, known[k]) == 0) return (enum column)k;
    return COVARIATE;
}

static why_status read_header(struct list *l) {
    bool more, has_image = false;
    why_csv *c = &l->csv;
    WHY_TRY(why_csv_next(c, &more));
    if (!more) return why_fail(WHY_EJOB, "%s: the image list is empty", c->file);
    l->columns = c->n;
    for (int i = 0; i < c->n; i++) {
        l->name[i] = c->field[i];
        l->column[i] = column_of(c->field[i]);
        if (!*c->field[i]) return why_fail(WHY_EJOB, "%s:%d: column %d has no name", c->file, c->first, i + 1);
        if (l->column[i] == IMAGE) has_image = true;
        for (int j = 0; j < i; j++)
            if (strcmp(l->name[j], l->name[i]) == 0)
                return why_fail(WHY_EJOB, "%s:%d: column '%s' stands twice", c->file, c->first, l->name[i]);
    }
    if (!has_image)
        return why_fail(WHY_EJOB, "%s:%d: the header has no column 'image'; it starts with '%s'", c->file, c->first, c->field[0]);
    return WHY_OK;
}

/* ---------------------------------------------------------------- rows */
static why_status beside(struct list *l, const char *path, const char **out) {
    char *text;
    WHY_TRY(why_path_beside(l->csv.file, path, &text));
    return why_arena_adopt(l->arena, text, out);
}

/* {"edge_density":0.31,"site":"north"}: numbers stay numbers, empty cells are left out. NULL when there are none. */
static why_status read_covariates(struct list *l, const char **out) {
    why_buf b = {0};
    for (int i = 0; i < l->columns; i++) {
        const char *text = l->csv.field[i];
        char *end;
        if (l->column[i] != COVARIATE || !*text) continue;
        why_buf_text(&b, b.size ? "," : "{");
        why_buf_json(&b, l->name[i]);
        why_buf_text(&b, ":");
        double v = strtod(text, &end);
        if (*end == '\0' && isfinite(v) && !isspace((unsigned char)*text)) why_buf_number(&b, v);
        else why_buf_json(&b, text);
    }
    if (!b.size) return why_buf_status(&b);
    why_buf_text(&b, "}");
    char *json;
    WHY_TRY(why_buf_take(&b, &json));
    return why_arena_adopt(l->arena, json, out);
}

static why_status set_column(struct list *l, why_plan_image *im, enum column column, const char *text) {
    switch (column) {
    case IMAGE: im->path = text; return beside(l, text, &im->file);
    case LABEL: return why_labels_find(l->labels, text, &im->label);
    case MASK: im->mask = text; return beside(l, text, &im->mask_file);
    case BOXES: im->boxes = text; return why_boxes_check(text, INT_MAX, INT_MAX);
    case GROUP: im->group = text; return WHY_OK;
    case SPLIT: im->split = text; return WHY_OK;
    default: return WHY_OK;
    }
}

static why_status read_row(struct list *l, why_plan_image *im) {
    const why_csv *c = &l->csv;
    if (c->n != l->columns) return why_fail(WHY_EJOB, "%s:%d: %d fields, the header has %d", c->file, c->first, c->n, l->columns);
    *im = (why_plan_image){.label = -1};
    for (int i = 0; i < c->n; i++) {
        if (!*c->field[i]) continue;
        why_status st = set_column(l, im, l->column[i], c->field[i]);
        if (st) return why_fail_in(st, "%s:%d", c->file, c->first);
    }
    if (!im->path) return why_fail(WHY_EJOB, "%s:%d: the image column is empty", c->file, c->first);
    if (im->mask && im->boxes) return why_fail(WHY_EJOB, "%s:%d: has a mask and boxes, want one of the two", c->file, c->first);
    if (im->boxes) im->mask = im->boxes; /* what the database and the plan's hash know of the truth */
    return read_covariates(l, &im->covars);
}

/* ---------------------------------------------------------------- the list */
struct rows {
    why_plan_image *image;
    int *line;
    size_t n, image_capacity, line_capacity;
};

static why_status read_rows(struct list *l, struct rows *r) {
    bool more;
    for (;;) {
        WHY_TRY(why_csv_next(&l->csv, &more));
        if (!more) break;
        if (r->n == INT32_MAX) return why_fail(WHY_EJOB, "%s: too many rows", l->csv.file);
        WHY_TRY(why_grow(&r->image, &r->image_capacity, r->n + 1, sizeof *r->image, "image list"));
        WHY_TRY(why_grow(&r->line, &r->line_capacity, r->n + 1, sizeof *r->line, "image list"));
        WHY_TRY(read_row(l, &r->image[r->n]));
        r->line[r->n++] = l->csv.first;
    }
    return r->n ? WHY_OK : why_fail(WHY_EJOB, "%s: the image list has a header and no images", l->csv.file);
}

struct place {
    const char *path;
    int line;
};

static int by_path(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Rows are keyed by path, so the same path twice would be one image with two labels. */
static why_status check_duplicates(const char *file, const struct rows *r) {
    struct place *place;
    WHY_TRY(why_alloc(r->n, sizeof *place, "image list", &place));
    for (size_t i = 0; i < r->n; i++) place[i] = (struct place){r->image[i].path, r->line[i]};
    qsort(place, r->n, sizeof *place, by_path);
    why_status st = WHY_OK;
    for (size_t i = 1; !st && i < r->n; i++)
        if (strcmp(place[i - 1].path, place[i].path) == 0)
            st = why_fail(WHY_EJOB, "%s:%d: image '%s' stands already in line %d", file, place[i].line, place[i].path, place[i - 1].line);
    free(place);
    return st;
}

/* Ids, uids, and everything moved into the arena. */
static why_status keep(why_arena *arena, const struct rows *r, why_manifest *out) {
    WHY_TRY(why_arena_array(arena, r->n, sizeof *out->images, &out->images));
    WHY_TRY(why_arena_array(arena, r->n, sizeof *out->line, &out->line));
    memcpy(out->images, r->image, r->n * sizeof *r->image);
    memcpy(out->line, r->line, r->n * sizeof *r->line);
    out->n = (int)r->n;
    for (int i = 0; i < out->n; i++) {
        char hex[65];
        why_sha256(out->images[i].path, strlen(out->images[i].path), hex);
        out->images[i].id = i + 1;
        if (!(out->images[i].uid = why_arena_strdup(arena, hex))) return WHY_ENOMEM;
    }
    return WHY_OK;
}

why_status why_manifest_load(why_arena *arena, const char *file, const why_labels *labels, why_manifest *out) {
    struct list *l;
    *out = (why_manifest){0};
    WHY_TRY(why_arena_array(arena, 1, sizeof *l, &l));
    *l = (struct list){.arena = arena, .labels = labels};
    WHY_TRY(why_csv_open(arena, file, &l->csv));
    struct rows r = {0};
    why_status st = read_header(l);
    if (!st) st = read_rows(l, &r);
    if (!st) st = check_duplicates(file, &r);
    if (!st) st = keep(arena, &r, out);
    free(r.image);
    free(r.line);
    return st;
}
