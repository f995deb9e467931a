/* CBIS-DDSM (Lee et al., Scientific Data 4, 2017): {mass,calc}_case_description_{train,test}_set.csv, a row for each abnormality, with
 * the paths of the mammogram, of a crop and of the region's mask as they were in the TCIA's tree of DICOM files:
 *
 *     Mass-Training_P_00001_LEFT_CC/STUDY/SERIES/000000.dcm
 *
 * Pictures are looked for in that tree, converted to PNG or JPEG in place, and in SERIES/, where Kaggle's copy has them. File names
 * cannot tell the mask from the crop, which lies beside it (the published table swaps some): the mask is the one of the
 * mammogram's size. A mammogram with several abnormalities is one picture: malignant if one of them is, its mask their union. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/listing.h"
#include "whypix/image.h"

static const char *const covar_columns[] = {"breast_density", "left or right breast", "image view", "abnormality type", "subtlety"};
enum { N_COVARS = sizeof covar_columns / sizeof *covar_columns, MAX_REGIONS = 16 };

/* A mammogram (or crop) with the masks of its regions, as the table names them. */
struct study {
    const char *place, *listed, *region[MAX_REGIONS];
    int regions;
    bool malignant;
    why_list_row row;
};

struct reader {
    why_listing *list;
    const char *root; /* folder of the pictures */
    struct study *study;
    size_t n, capacity;
};

/* ---------------------------------------------------------------- the tables */
struct columns {
    int patient, image, mask, pathology, covar[N_COVARS];
};

static why_status find_columns(const why_listing *l, const why_table *t, struct columns *c) {
    const char *image = why_listing_opts(l)->column;
    WHY_TRY(why_table_column(t, "patient_id", &c->patient));
    WHY_TRY(why_table_column(t, image ? image : "image file path", &c->image));
    WHY_TRY(why_table_column(t, "pathology", &c->pathology));
    c->mask = -1; /* a crop has no mask of its own size */
    if (!image) WHY_TRY(why_table_column(t, "ROI mask file path", &c->mask));
    for (int i = 0; i < N_COVARS; i++)
        if (why_table_column(t, covar_columns[i], &c->covar[i])) c->covar[i] = -1;
    return WHY_OK;
}

static struct study *find_study(const struct reader *r, const char *listed) {
    for (size_t i = r->n; i-- > 0;) /* a mammogram's rows stand close together */
        if (strcmp(r->study[i].listed, listed) == 0) return &r->study[i];
    return NULL;
}

static why_status new_study(struct reader *r, const why_table *t, const struct columns *c, const char *split, struct study **out) {
    WHY_TRY(why_grow(&r->study, &r->capacity, r->n + 1, sizeof *r->study, "mammograms"));
    struct study *s = &r->study[r->n];
    *s = (struct study){.listed = why_table_field(t, c->image), .row = {.group = why_table_field(t, c->patient), .split = split}};
    s->place = why_arena_strdup(why_listing_arena(r->list), why_table_place(t));
    if (!s->place) return WHY_ENOMEM;
    for (int i = 0; i < N_COVARS; i++) s->row.covar[i] = why_table_field(t, c->covar[i]);
    r->n++;
    *out = s;
    return WHY_OK;
}

/* MALIGNANT; BENIGN and BENIGN_WITHOUT_CALLBACK are one class. */
static why_status read_row(struct reader *r, const why_table *t, const struct columns *c, const char *split) {
    const char *image = why_table_field(t, c->image), *pathology = why_table_field(t, c->pathology), *mask = why_table_field(t, c->mask);
    if (!image || !pathology) return why_listing_refuse(r->list, why_table_place(t), "a field is empty");
    if (strncmp(pathology, "BENIGN", 6) != 0 && strcmp(pathology, "MALIGNANT") != 0)
        return why_listing_refuse(r->list, why_table_place(t), "pathology '%s' is neither BENIGN... nor MALIGNANT", pathology);
    struct study *s = find_study(r, image);
    if (!s) WHY_TRY(new_study(r, t, c, split, &s));
    s->malignant |= pathology[0] == 'M';
    if (mask && s->regions == MAX_REGIONS) return why_listing_refuse(r->list, why_table_place(t), "more than %d regions", MAX_REGIONS);
    if (mask) s->region[s->regions++] = mask;
    return WHY_OK;
}

static why_status read_table(struct reader *r, const char *file) {
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    const char *split = strstr(name, "train") ? "train" : strstr(name, "test") ? "test" : NULL;
    struct columns c;
    why_table *t;
    bool more;
    WHY_TRY(why_table_open(r->list, file, &t));
    WHY_TRY(find_columns(r->list, t, &c));
    for (;;) {
        WHY_TRY(why_table_next(t, false, &more));
        if (!more) return WHY_OK;
        WHY_TRY(read_row(r, t, &c, split));
    }
}

/* ---------------------------------------------------------------- the files */
/* A picture of h x w (0: of any size) in a folder, `stem` before others. */
static why_status pick(const why_listing *l, const char *folder, const char *stem, int h, int w, const char **out) {
    why_files files;
    const char *best = NULL;
    *out = NULL;
    if (!why_path_exists(folder)) return WHY_OK;
    WHY_TRY(why_files_below(why_listing_arena(l), folder, NULL, &files));
    for (size_t i = 0; i < files.n; i++) {
        int ih, iw;
        const size_t n = strlen(stem);
        const char *path = why_listing_path(l, folder, files.path[i]);
        if (!path || why_image_probe(path, &ih, &iw) || (h && (ih != h || iw != w))) continue;
        if (strncmp(files.path[i], stem, n) == 0 && files.path[i][n] == '.') *out = path;
        else if (!best) best = path;
    }
    why_files_clear(&files);
    if (!*out) *out = best;
    return WHY_OK;
}

/* The file of a path in the table. */
static why_status find_file(const struct reader *r, const char *listed, int h, int w, const char **out) {
    const why_listing *l = r->list;
    const char *file = strrchr(listed, '/');
    *out = NULL;
    if (!file) return WHY_OK;
    const char *stem = why_listing_text(l, "%.*s", (int)strcspn(file + 1, "."), file + 1);
    const char *folder = why_listing_text(l, "%s/%.*s", r->root, (int)(file - listed), listed);
    if (!stem || !folder) return WHY_ENOMEM;
    WHY_TRY(pick(l, folder, stem, h, w, out));
    const char *series = strrchr(folder, '/') + 1, *kaggle = why_listing_text(l, "%s/%s", r->root, series);
    if (!kaggle) return WHY_ENOMEM;
    return *out ? WHY_OK : pick(l, kaggle, stem, h, w, out);
}

/* ---------------------------------------------------------------- masks */
static why_status unite(uint8_t *all, int h, int w, const char *path) {
    uint8_t *mask;
    int mh, mw;
    WHY_TRY(why_mask_load(path, NULL, &mask, &mh, &mw));
    if (mh != h || mw != w) {
        free(mask);
        return why_fail(WHY_EFORMAT, "%s: is %d x %d, the picture %d x %d", path, mw, mh, w, h);
    }
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++) all[i] |= mask[i] ? 255 : 0;
    free(mask);
    return WHY_OK;
}

static why_status write_union(const char *const *masks, int n, int h, int w, const char *path) {
    uint8_t *all;
    WHY_TRY(why_alloc((size_t)h * (size_t)w, 1, "a mask", &all));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < n; i++) st = unite(all, h, w, masks[i]);
    if (!st) st = why_make_dirs_for(path);
    if (!st) st = why_grey_save_png(all, h, w, path);
    free(all);
    return st;
}

/* s->row.mask; WHY_EFORMAT: the picture cannot be listed. */
static why_status set_mask(const struct reader *r, struct study *s) {
    const char *mask[MAX_REGIONS], *write = why_listing_opts(r->list)->write;
    int h, w;
    WHY_TRY(why_image_probe(s->row.image, &h, &w));
    for (int i = 0; i < s->regions; i++) {
        WHY_TRY(find_file(r, s->region[i], h, w, &mask[i]));
        if (!mask[i]) return why_fail(WHY_EFORMAT, "there is no mask of %d x %d pixels for %s", w, h, s->region[i]);
    }
    if (s->regions == 1) s->row.mask = mask[0];
    if (s->regions < 2) return WHY_OK;
    if (!write) return why_fail(WHY_EFORMAT, "has %d regions; --write DIR says where the union of their masks goes", s->regions);
    const char *name = why_listing_text(r->list, "%.*s.png", (int)strcspn(s->listed, "/"), s->listed);
    s->row.mask = name ? why_listing_path(r->list, write, name) : NULL;
    return s->row.mask ? write_union(mask, s->regions, h, w, s->row.mask) : WHY_ENOMEM;
}

static why_status add_study(struct reader *r, struct study *s) {
    s->row.label = s->malignant ? "malignant" : "benign";
    if (why_listing_leaves_out(r->list, s->row.label)) return WHY_OK;
    WHY_TRY(find_file(r, s->listed, 0, 0, &s->row.image));
    if (!s->row.image) return why_listing_refuse(r->list, s->place, "there is no picture for %s in %s", s->listed, r->root);
    const why_status st = set_mask(r, s);
    return st ? why_listing_failed(r->list, st, s->place) : why_listing_add(r->list, &s->row);
}

/* ---------------------------------------------------------------- all of it */
static bool is_case_table(const char *name) { return strstr(name, "_case_description_") != NULL; }

static why_status read_tables(struct reader *r, const char *path) {
    why_files files;
    if (is_case_table(path)) return read_table(r, path);
    WHY_TRY(why_files_below(why_listing_arena(r->list), path, "csv", &files));
    why_status st = WHY_OK;
    for (size_t i = 0; !st && i < files.n; i++) {
        const char *file = why_listing_path(r->list, path, files.path[i]);
        st = !file ? WHY_ENOMEM : is_case_table(file) ? read_table(r, file) : WHY_OK;
    }
    why_files_clear(&files);
    return st;
}

static why_status read_cbis(why_listing *l) {
    const why_listing_options *o = why_listing_opts(l);
    const char *slash = strrchr(o->path, '/'),
               *home = slash && is_case_table(o->path) ? why_listing_text(l, "%.*s", (int)(slash - o->path), o->path) : ".";
    if (!home) return WHY_ENOMEM;
    struct reader r = {.list = l, .root = o->images ? o->images : is_case_table(o->path) ? home : o->path};
    why_status st = read_tables(&r, o->path);
    for (size_t i = 0; !st && i < r.n; i++) st = add_study(&r, &r.study[i]);
    free(r.study);
    return st;
}

const why_list_kind why_list_cbis = {
    .name = "cbis",
    .path = "a ..._case_description_..._set.csv of CBIS-DDSM, or a folder of them",
    .help = "label: benign or malignant; mask: the regions; group: the patient; --images: TCIA's tree, or Kaggle's jpeg/",
    .takes = "images write column",
    .covars = {"density", "side", "view", "abnormality", "subtlety"},
    .read = read_cbis,
};
