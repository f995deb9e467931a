#include "run/manifest.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "run/job.h"

enum { MAX_BYTES = 1 << 30, MAX_COLUMNS = 256 };

/* ---------------------------------------------------------------- CSV */
struct csv {
    const char *file;
    char *at;        /* next character; fields are unquoted in place */
    int line, first; /* line of `at`, and of the row just read */
    char *field[MAX_COLUMNS];
    int n;
};

/* "a ""quoted"" field" -> its value; `at` moves behind the closing quote. */
static why_status unquote(struct csv *c) {
    char *to = c->at, *from = c->at + 1;
    for (;; from++) {
        if (*from == '\0') return why_fail(WHY_EJOB, "%s:%d: a quote is opened and never closed", c->file, c->first);
        if (*from == '\n') c->line++;
        if (*from == '"' && *++from != '"') break;
        *to++ = *from;
    }
    if (*from && !strchr(",\r\n", *from))
        return why_fail(WHY_EJOB, "%s:%d: a character follows the closing quote of a field", c->file, c->line);
    c->at = from;
    *to = '\0';
    return WHY_OK;
}

/* Fields without quotes lose the blanks around them: people write "image, label". */
static void trim_field(struct csv *c) {
    char *end = c->at += strcspn(c->at, ",\r\n"), *start = c->field[c->n];
    while (end > start && strchr(" \t", end[-1])) end--;
    if (end < c->at) *end = '\0';
}

/* One field; *last when it ends its row. */
static why_status next_field(struct csv *c, bool *last) {
    if (c->n == MAX_COLUMNS) return why_fail(WHY_EJOB, "%s:%d: more than %d columns", c->file, c->line, MAX_COLUMNS);
    c->at += strspn(c->at, " \t");
    c->field[c->n] = c->at;
    bool quoted = *c->at == '"';
    if (quoted) WHY_TRY(unquote(c));
    char end = quoted ? *c->at : c->at[strcspn(c->at, ",\r\n")];
    if (!quoted) trim_field(c);
    c->n++;
    *last = end != ',';
    if (end == '\0') return WHY_OK;
    *c->at++ = '\0';
    if (end == '\r' && *c->at == '\n') c->at++;
    if (end != ',') c->line++;
    return WHY_OK;
}

static void skip_blank_lines(struct csv *c) {
    for (; *c->at == '\n' || *c->at == '\r'; c->at++)
        if (*c->at == '\n') c->line++;
}

/* The next row's fields; false at the end of the file. */
static why_status next_row(struct csv *c, bool *more) {
    bool last = false;
    skip_blank_lines(c);
    c->n = 0;
    c->first = c->line;
    *more = *c->at != '\0';
    while (*more && !last) WHY_TRY(next_field(c, &last));
    return WHY_OK;
}

/* ---------------------------------------------------------------- columns */
enum column { IMAGE, LABEL, MASK, BOXES, GROUP, SPLIT, KNOWN, COVARIATE };
static const char *const known[KNOWN] = {"image", "label", "mask", "boxes", "group", "split"};

struct list {
    struct csv csv;
    why_arena *arena;
    const why_labels *labels;
    int columns;
    enum column column[MAX_COLUMNS];
    const char *name[MAX_COLUMNS];
};

static enum column column_of(const char *name) {
    for (int k = 0; k < KNOWN; k++)
        if (strcmp(name, known[k]) == 0) return (enum column)k;
    return COVARIATE;
}

static why_status read_header(struct list *l) {
    bool more, has_image = false;
    struct csv *c = &l->csv;
    WHY_TRY(next_row(c, &more));
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
    case BOXES: return beside(l, text, &im->boxes);
    case GROUP: im->group = text; return WHY_OK;
    case SPLIT: im->split = text; return WHY_OK;
    default: return WHY_OK;
    }
}

static why_status read_row(struct list *l, why_plan_image *im) {
    const struct csv *c = &l->csv;
    if (c->n != l->columns) return why_fail(WHY_EJOB, "%s:%d: %d fields, the header has %d", c->file, c->first, c->n, l->columns);
    *im = (why_plan_image){.label = -1};
    for (int i = 0; i < c->n; i++) {
        if (!*c->field[i]) continue;
        why_status st = set_column(l, im, l->column[i], c->field[i]);
        if (st) return why_fail_in(st, "%s:%d", c->file, c->first);
    }
    if (!im->path) return why_fail(WHY_EJOB, "%s:%d: the image column is empty", c->file, c->first);
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
        WHY_TRY(next_row(&l->csv, &more));
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

static why_status read_text(why_arena *arena, const char *file, char **out) {
    uint8_t *bytes;
    size_t size;
    WHY_TRY(why_read_file(file, MAX_BYTES, &bytes, &size));
    bool binary = memchr(bytes, 0, size) != NULL;
    *out = binary ? NULL : why_arena_strdup(arena, (const char *)bytes);
    free(bytes);
    if (binary) return why_fail(WHY_EJOB, "%s: holds a NUL byte; an image list is CSV text", file);
    return *out ? WHY_OK : WHY_ENOMEM;
}

why_status why_manifest_load(why_arena *arena, const char *file, const why_labels *labels, why_manifest *out) {
    char *text;
    struct list *l;
    *out = (why_manifest){0};
    WHY_TRY(read_text(arena, file, &text));
    WHY_TRY(why_arena_array(arena, 1, sizeof *l, &l));
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* spreadsheets write a byte order mark */
    *l = (struct list){.csv = {.file = file, .at = text, .line = 1}, .arena = arena, .labels = labels};
    struct rows r = {0};
    why_status st = read_header(l);
    if (!st) st = read_rows(l, &r);
    if (!st) st = check_duplicates(file, &r);
    if (!st) st = keep(arena, &r, out);
    free(r.image);
    free(r.line);
    return st;
}
