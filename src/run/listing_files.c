/* Files and tables of data sets. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run/csv.h"
#include "run/listing.h"

enum { MAX_DEPTH = 32 };

/* ---------------------------------------------------------------- files */
bool why_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool ends_on(const char *name, const char *ext) {
    const size_t n = strlen(name), m = ext ? strlen(ext) : 0;
    return !ext || (n > m + 1 && name[n - m - 1] == '.' && strcmp(name + n - m, ext) == 0);
}

static int is_wanted(const struct dirent *e) { return e->d_name[0] != '.' && strcmp(e->d_name, "__MACOSX") != 0; }

struct walk {
    why_arena *arena;
    const char *ext;
    why_files *out;
};

static why_status walk_into(struct walk *w, const char *folder, const char *below, int depth);

/* One entry of a folder; `below`: that folder as the results call it, "" for the first. */
static why_status walk_entry(struct walk *w, const char *folder, const char *below, const char *name, int depth) {
    why_buf full = {0}, rel = {0};
    char *path = NULL, *called = NULL;
    why_buf_printf(&full, "%s/%s", folder, name);
    why_buf_printf(&rel, "%s%s%s", below, *below ? "/" : "", name);
    why_status st = why_buf_take(&full, &path);
    if (!st) st = why_buf_take(&rel, &called);
    if (!st && is_folder(path)) st = walk_into(w, path, called, depth + 1);
    else if (!st && ends_on(name, w->ext)) {
        st = why_grow(&w->out->path, &w->out->capacity, w->out->n + 1, sizeof *w->out->path, "a list of files");
        if (!st) st = (w->out->path[w->out->n] = why_arena_strdup(w->arena, called)) ? WHY_OK : WHY_ENOMEM;
        w->out->n += !st;
    }
    free(called);
    free(path);
    return st;
}

static why_status walk_into(struct walk *w, const char *folder, const char *below, int depth) {
    struct dirent **entries;
    if (depth > MAX_DEPTH) return why_fail(WHY_ELIMIT, "%s: more than %d folders deep", folder, MAX_DEPTH);
    const int n = scandir(folder, &entries, is_wanted, NULL);
    if (n < 0) return why_fail(WHY_EFILE, "%s: %s", folder, strerror(errno));
    why_status st = WHY_OK;
    for (int i = 0; i < n; i++) {
        if (!st) st = walk_entry(w, folder, below, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    return st;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

why_status why_files_below(why_arena *arena, const char *folder, const char *ext, why_files *out) {
    *out = (why_files){0};
    struct walk w = {arena, ext, out};
    const why_status st = walk_into(&w, folder, "", 0);
    if (st) why_files_clear(out);
    else if (out->n) qsort(out->path, out->n, sizeof *out->path, by_bytes);
    return st;
}

void why_files_clear(why_files *f) {
    free(f->path);
    *f = (why_files){0};
}

why_status why_listing_each_file(why_listing *l, const char *ext, why_status (*fn)(why_listing *l, const char *name)) {
    why_files files;
    WHY_TRY(why_files_below(why_listing_arena(l), why_listing_opts(l)->path, ext, &files));
    why_status st = WHY_OK;
    for (size_t i = 0; !st && i < files.n; i++) st = fn(l, files.path[i]);
    why_files_clear(&files);
    return st;
}

why_status why_find_picture(const why_listing *l, const char *folder, const char *stem, const char **out) {
    static const char *const ext[] = {"png", "jpg", "jpeg", "JPEG", "JPG", "PNG"};
    *out = NULL;
    for (size_t i = 0; i < sizeof ext / sizeof *ext; i++) {
        const char *name = why_listing_text(l, "%s.%s", stem, ext[i]);
        const char *path = name ? why_listing_path(l, folder, name) : NULL;
        if (!path) return WHY_ENOMEM;
        if (!why_path_exists(path)) continue;
        *out = path;
        break;
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- tables */
struct why_table {
    why_csv csv;
    why_listing *list;
    const char **name;
    int columns;
    char place[512];
};

why_status why_table_open(why_listing *l, const char *file, why_table **out) {
    bool more;
    why_table *t = why_arena_take(why_listing_arena(l), sizeof *t);
    *out = t;
    if (!t) return WHY_ENOMEM;
    WHY_TRY(why_csv_open(why_listing_arena(l), file, &t->csv));
    WHY_TRY(why_csv_next(&t->csv, &more));
    t->list = l;
    t->columns = t->csv.n;
    t->name = why_arena_take(why_listing_arena(l), (size_t)(t->columns + 1) * sizeof *t->name);
    if (!t->name) return WHY_ENOMEM;
    memcpy(t->name, t->csv.field, (size_t)t->columns * sizeof *t->name);
    return WHY_OK;
}

/* The same published table writes "breast_density" in one file and "breast density" in the next. */
static bool same_name(const char *a, const char *b) {
    while (*a && (*a == *b || (strchr(" _", *a) && *b && strchr(" _", *b)))) a++, b++;
    return *a == *b;
}

why_status why_table_column(const why_table *t, const char *name, int *out) {
    for (*out = 0; *out < t->columns; ++*out)
        if (same_name(t->name[*out], name)) return WHY_OK;
    why_buf names = {0};
    for (int c = 0; c < t->columns; c++) why_buf_printf(&names, "%s%s", c ? ", " : "", t->name[c]);
    const why_status st = why_fail(WHY_EJOB, "%s: has no column '%s'; there are: %.*s", t->csv.file, name, (int)names.size,
                                   names.data ? (const char *)names.data : "");
    why_buf_clear(&names);
    return st;
}

why_status why_table_next(why_table *t, bool loose, bool *more) {
    for (;;) {
        WHY_TRY(why_csv_next(&t->csv, more));
        snprintf(t->place, sizeof t->place, "%s:%d", t->csv.file, t->csv.first);
        if (!*more || t->csv.n == t->columns || (loose && t->csv.n > t->columns)) return WHY_OK;
        WHY_TRY(why_listing_refuse(t->list, t->place, "%d fields, the header has %d", t->csv.n, t->columns));
    }
}

const char *why_table_field(const why_table *t, int column) {
    if (column < 0 || column >= t->csv.n) return NULL;
    char *text = t->csv.field[column], *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) *--end = '\0';
    while (isspace((unsigned char)*text)) text++;
    return *text ? text : NULL;
}

const char *why_table_place(const why_table *t) { return t->place; }

void why_put_voc_box(why_buf *b, double xmin, double ymin, double xmax, double ymax) {
    why_buf_printf(b, "%s%.0f %.0f %.0f %.0f", b->size ? ";" : "", fmax(floor(xmin) - 1, 0), fmax(floor(ymin) - 1, 0), ceil(xmax),
                   ceil(ymax));
}
