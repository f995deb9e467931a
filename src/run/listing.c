#include "run/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/boxes.h"
#include "run/label.h"
#include "run/listing_rows.h"
#include "whypix/image.h"
#include "whypix/param.h"

why_arena *why_listing_arena(const why_listing *l) { return l->arena; }
const why_listing_options *why_listing_opts(const why_listing *l) { return l->options; }

const char *why_listing_text(const why_listing *l, const char *fmt, ...) {
    char text[4096];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) {
        why_fail(WHY_ENOMEM, "a text of %d characters is too long", n);
        return NULL;
    }
    return why_arena_strdup(l->arena, text);
}

const char *why_listing_path(const why_listing *l, const char *folder, const char *name) {
    const size_t n = strlen(folder);
    if (strcmp(folder, ".") == 0) return why_listing_text(l, "%s", name);
    return why_listing_text(l, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

/* ---------------------------------------------------------------- refusing */
static why_status refuse(why_listing *l, const char *what, const char *why) {
    l->n_refused++;
    if (l->n_refused > WHY_REFUSALS_SHOWN) return WHY_OK;
    const char *text = why_arena_strdup(l->arena, why), *name = why_arena_strdup(l->arena, what);
    if (!text || !name) return WHY_ENOMEM;
    l->refused[l->n_refused - 1] = (struct refusal){name, text};
    return WHY_OK;
}

why_status why_listing_refuse(why_listing *l, const char *what, const char *fmt, ...) {
    char why[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return refuse(l, what, why);
}

/* Errors of lower rooms begin with the file's name, which stands in front already. */
why_status why_listing_failed(why_listing *l, why_status st, const char *what) {
    if (st != WHY_EFILE && st != WHY_EFORMAT && st != WHY_EUNSUPPORTED && st != WHY_ELIMIT && st != WHY_EJOB) return st;
    char text[2048];
    snprintf(text, sizeof text, "%s", why_error_text());
    const size_t n = strlen(what);
    const bool repeats = strncmp(text, what, n) == 0 && strncmp(text + n, ": ", 2) == 0;
    return refuse(l, what, repeats ? text + n + 2 : text);
}

bool why_listing_leaves_out(why_listing *l, const char *label) {
    const why_listing_options *o = l->options;
    for (int i = 0; i < o->n_classes; i++)
        if (label && strcmp(o->classes[i], label) == 0) return false;
    l->n_left_out += o->n_classes > 0;
    return o->n_classes > 0;
}

/* ---------------------------------------------------------------- labels as numbers */
/* A class is called by its whole line, or by the first word of it: "n01440764 tench, Tinca tinca". */
static int by_name(const void *a, const void *b) {
    const struct class_name *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (y->whole - x->whole) ? y->whole - x->whole : x->class_index - y->class_index;
}

static why_status load_labels(why_listing *l) {
    why_labels labels;
    if (!l->options->labels) return WHY_OK;
    WHY_TRY(why_labels_load(l->arena, l->options->labels, 0, &labels));
    WHY_TRY(why_alloc(2 * (size_t)labels.n, sizeof *l->names, "class names", &l->names));
    l->n_classes = labels.n;
    for (int i = 0; i < labels.n; i++) {
        const char *line = labels.names[i];
        const char *word = why_listing_text(l, "%.*s", (int)strcspn(line, " \t,"), line);
        if (!word) return WHY_ENOMEM;
        l->names[2 * i] = (struct class_name){line, i, true};
        l->names[2 * i + 1] = (struct class_name){word, i, false};
    }
    l->n_names = 2 * (size_t)labels.n;
    qsort(l->names, l->n_names, sizeof *l->names, by_name);
    return WHY_OK;
}

/* The first entry of this name, and how many classes share it at that rank (whole line or first word). */
static const struct class_name *find_name(const why_listing *l, const char *name, size_t *n) {
    size_t lo = 0, hi = l->n_names;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (strcmp(l->names[mid].name, name) < 0) lo = mid + 1;
        else hi = mid;
    }
    *n = 0;
    for (size_t i = lo; i < l->n_names && strcmp(l->names[i].name, name) == 0; i++) *n += l->names[i].whole == l->names[lo].whole;
    return l->names + lo;
}

/* *text becomes the number of the class when there is a label file. */
static why_status number_label(const why_listing *l, const char **text) {
    size_t n;
    char *end;
    if (!*text || !l->names) return WHY_OK;
    const long number = strtol(*text, &end, 10);
    if (end != *text && *end == '\0')
        return number >= 0 && number < l->n_classes
                   ? WHY_OK
                   : why_fail(WHY_EJOB, "label %s is not among the %d classes of %s", *text, l->n_classes, l->options->labels);
    const struct class_name *found = find_name(l, *text, &n);
    if (n == 0) return why_fail(WHY_EJOB, "label '%s' is not in %s", *text, l->options->labels);
    if (n > 1) return why_fail(WHY_EJOB, "label '%s' begins %zu lines of %s", *text, n, l->options->labels);
    *text = why_listing_text(l, "%d", found->class_index);
    return *text ? WHY_OK : WHY_ENOMEM;
}

/* ---------------------------------------------------------------- adding */
static why_status check_truth(const why_list_row *row) {
    int h, w, mask_h, mask_w;
    WHY_TRY(why_image_probe(row->image, &h, &w));
    if (row->boxes) return why_boxes_check(row->boxes, h, w);
    if (!row->mask) return WHY_OK;
    const why_status st = why_image_probe(row->mask, &mask_h, &mask_w);
    if (st) return why_fail_in(st, "mask");
    if (mask_h == h && mask_w == w) return WHY_OK;
    return why_fail(WHY_EFORMAT, "mask %s: is %d x %d, the picture is %d x %d", row->mask, mask_w, mask_h, w, h);
}

static why_status keep(why_listing *l, const why_list_row *row) {
    const char **const texts[] = {&l->row[l->n].image, &l->row[l->n].label, &l->row[l->n].mask,
                                  &l->row[l->n].boxes, &l->row[l->n].group, &l->row[l->n].split};
    l->row[l->n] = *row;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i] && !(*texts[i] = why_arena_strdup(l->arena, *texts[i]))) return WHY_ENOMEM;
    for (int i = 0; i < WHY_LIST_COVARS; i++)
        if (row->covar[i] && !(l->row[l->n].covar[i] = why_arena_strdup(l->arena, row->covar[i]))) return WHY_ENOMEM;
    l->n++;
    return WHY_OK;
}

why_status why_listing_add(why_listing *l, const why_list_row *row) {
    why_list_row numbered = *row;
    if (why_listing_leaves_out(l, row->label)) return WHY_OK;
    why_status st = number_label(l, &numbered.label);
    if (!st) st = check_truth(row);
    if (st) return why_listing_failed(l, st, row->image);
    WHY_TRY(why_grow(&l->row, &l->capacity, l->n + 1, sizeof *l->row, "image list"));
    return keep(l, &numbered);
}

/* ---------------------------------------------------------------- the list */
struct place {
    const char *image;
    size_t row;
};

static int by_image(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    const int order = strcmp(x->image, y->image);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* Rows of a list are known by their pictures: the first of several with the same one stays. */
static why_status drop_repeated(why_listing *l) {
    struct place *place;
    size_t kept = 0;
    WHY_TRY(why_alloc(l->n + 1, sizeof *place, "image list", &place));
    for (size_t i = 0; i < l->n; i++) place[i] = (struct place){l->row[i].image, i};
    qsort(place, l->n, sizeof *place, by_image);
    why_status st = WHY_OK;
    for (size_t i = 1; !st && i < l->n; i++) {
        if (strcmp(place[i - 1].image, place[i].image) != 0) continue;
        st = refuse(l, place[i].image, "stands in the list already");
        l->row[place[i].row].image = NULL;
    }
    free(place);
    for (size_t i = 0; i < l->n; i++)
        if (l->row[i].image) l->row[kept++] = l->row[i];
    l->n = kept;
    return st;
}

static why_status fill(why_listing *l) {
    WHY_TRY(load_labels(l));
    WHY_TRY(l->kind->read(l));
    WHY_TRY(drop_repeated(l));
    if (l->n == 0)
        return why_fail(WHY_EARG, "%s: no picture is left for the list; %zu rows were refused, %zu are of other classes", l->options->path,
                        l->n_refused, l->n_left_out);
    return WHY_OK;
}

why_status why_listing_create(const why_list_kind *kind, const why_listing_options *o, why_listing **out) {
    why_listing *l;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *l, "image list", &l));
    l->kind = kind;
    l->options = o;
    const why_status st = why_arena_create(1 << 20, &l->arena);
    if (st) {
        free(l);
        return st;
    }
    *out = l;
    return fill(l);
}

void why_listing_destroy(why_listing **list) {
    why_listing *l = *list;
    if (!l) return;
    why_arena_destroy(&l->arena);
    free(l->names);
    free(l->row);
    free(l);
    *list = NULL;
}
