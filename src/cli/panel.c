/* `whypix panel`: stored maps as a sheet of pictures, for papers and talks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "run/job.h"
#include "run/map_file.h"
#include "run/plan.h"
#include "store/store.h"
#include "whypix/explain.h"
#include "whypix/image.h"

enum { THUMB = 14, MAX_CELLS = 10000 };

/* What a cell of the sheet is told by. Two of them are the axes, the others stay at one value. */
enum dimension { IMAGES, MODELS, TARGETS, METHODS, DIMENSIONS };
static const struct {
    const char *axis, *option;
    const char *table, *name, *order; /* where its values are */
} dimensions[DIMENSIONS] = {
    [IMAGES] = {"images", "image", "image", "path", "id"},
    [MODELS] = {"models", "model", "model", "name", "id"},
    [TARGETS] = {"targets", "target", "(SELECT min(id) id, target FROM cell WHERE transform = '' GROUP BY target)", "target", "id"},
    [METHODS] = {"methods", "method", "method", "name", "id"},
};

typedef struct value {
    int64_t id;
    const char *name;
} value;

struct panel {
    const why_args *args;
    why_arena *arena;
    why_store *store;
    const char *folder; /* of the image list */
    char *maps_dir;
    value *chosen[DIMENSIONS];
    size_t n[DIMENSIONS], capacity[DIMENSIONS];
    enum dimension across, down;
    why_palette palette;
    double alpha;
    int gap, thumbs, missing; /* cells drawn from thumbs, cells left white */
};

static void clear(struct panel *p) {
    for (int d = 0; d < DIMENSIONS; d++) free(p->chosen[d]);
    free(p->maps_dir);
    why_store_close(&p->store);
    why_arena_destroy(&p->arena);
}

/* ---------------------------------------------------------------- what is drawn */
struct choosing {
    struct panel *panel;
    enum dimension d;
};

static why_status keep_value(void *ctx, int n, const char *const *values, const char *const *names) {
    struct choosing *c = ctx;
    struct panel *p = c->panel;
    (void)n;
    (void)names;
    WHY_TRY(why_grow(&p->chosen[c->d], &p->capacity[c->d], p->n[c->d] + 1, sizeof *p->chosen[c->d], "a panel"));
    value *v = &p->chosen[c->d][p->n[c->d]++];
    *v = (value){strtoll(values[0], NULL, 10), why_arena_strdup(p->arena, values[1])};
    return v->name ? WHY_OK : WHY_ENOMEM;
}

static why_status choose(struct panel *p, enum dimension d, const char *condition, const char *text, int64_t limit) {
    char *quoted = NULL, *sql;
    why_buf b = {0}, q = {0};
    for (; text && *text; text++) why_buf_printf(&q, *text == '\'' ? "''" : "%c", *text);
    WHY_TRY(why_buf_take(&q, &quoted));
    why_buf_printf(&b, "SELECT id, %s FROM %s x WHERE %s", dimensions[d].name, dimensions[d].table, condition);
    if (text) why_buf_printf(&b, " AND %s = '%s'", dimensions[d].name, quoted);
    why_buf_printf(&b, " ORDER BY %s LIMIT %lld", dimensions[d].order, (long long)limit);
    why_status st = why_buf_take(&b, &sql);
    free(quoted);
    if (!st) st = why_store_query(p->store, sql, keep_value, &(struct choosing){p, d});
    free(sql);
    return st;
}

/* Controls are shown when they are asked for. */
static why_status no_controls(const struct panel *p, const char **out) {
    why_buf b = {0};
    char *text;
    why_buf_text(&b, "x.explainer NOT IN (''");
    for (const why_explainer *const *e = why_explainers; *e; e++)
        if ((*e)->flags & WHY_CONTROL) why_buf_printf(&b, ",'%s'", (*e)->name);
    why_buf_text(&b, ")");
    WHY_TRY(why_buf_take(&b, &text));
    return why_arena_adopt(p->arena, text, out);
}

/* Named ones in the order they are named; else all of an axis (as many images as --rows says), and the first of what is no axis. */
static why_status choose_dimension(struct panel *p, enum dimension d) {
    const char *option = dimensions[d].option, *condition = d == IMAGES ? "x.sha256 <> ''" : "true";
    const int named = why_args_times(p->args, option);
    const bool axis = d == p->across || d == p->down;
    int64_t limit = 1;
    if (axis && d == IMAGES) WHY_TRY(why_args_int(p->args, "rows", 1, 1000, &limit));
    else if (axis) limit = MAX_CELLS;
    if (!axis && named > 1)
        return why_fail(WHY_EARG, "--%s: got %d, want one: %s are neither across nor down", option, named, dimensions[d].axis);
    if (d == METHODS) WHY_TRY(no_controls(p, &condition));
    if (!named) WHY_TRY(choose(p, d, condition, NULL, limit));
    for (int i = 0; i < named; i++) {
        const char *name = why_args_nth(p->args, option, i);
        WHY_TRY(choose(p, d, "true", name, 1));
        if (p->n[d] != (size_t)i + 1) return why_fail(WHY_EARG, "--%s %s: the database has none of this name", option, name);
    }
    return p->n[d] ? WHY_OK : why_fail(WHY_EARG, "%s: holds no %s to draw", why_args_at(p->args, 0), dimensions[d].axis);
}

static why_status parse_axis(const struct panel *p, const char *option, enum dimension *out) {
    const char *text = why_args_text(p->args, option);
    for (int d = 0; d < DIMENSIONS; d++)
        if (strcmp(text, dimensions[d].axis) == 0) {
            *out = (enum dimension)d;
            return WHY_OK;
        }
    return why_fail(WHY_EARG, "--%s: got '%s', want images, models, targets or methods", option, text);
}

static why_status choose_all(struct panel *p) {
    WHY_TRY(parse_axis(p, "across", &p->across));
    WHY_TRY(parse_axis(p, "down", &p->down));
    if (p->across == p->down) return why_fail(WHY_EARG, "--across and --down: got %s for both", dimensions[p->down].axis);
    for (int d = 0; d < DIMENSIONS; d++) WHY_TRY(choose_dimension(p, (enum dimension)d));
    if (p->n[p->across] * p->n[p->down] > MAX_CELLS)
        return why_fail(WHY_ELIMIT, "%zu x %zu maps are more than %d", p->n[p->across], p->n[p->down], MAX_CELLS);
    return WHY_OK;
}

/* ---------------------------------------------------------------- where pictures are */
static why_status keep_text(void *ctx, int n, const char *const *values, const char *const *names) {
    (void)n;
    (void)names;
    why_buf_text(ctx, values[0] ? values[0] : "");
    return WHY_OK;
}

/* The first value of the first column of a query (owned). */
static why_status ask(const struct panel *p, const char *sql, char **out) {
    why_buf b = {0};
    const why_status st = why_store_query(p->store, sql, keep_text, &b);
    if (st) {
        why_buf_clear(&b);
        return st;
    }
    return why_buf_take(&b, out);
}

/* The list's folder, through the job file that the last run noted. */
static why_status find_folder(struct panel *p) {
    const char *given = why_args_text(p->args, "images");
    why_job job = {.arena = p->arena};
    char *file;
    p->folder = given;
    if (given) return WHY_OK;
    WHY_TRY(ask(p, "SELECT job_file FROM run ORDER BY id DESC LIMIT 1", &file));
    why_status st = why_job_read(&job, file);
    const char *list = job.list; /* in the arena: it outlives the job */
    why_job_clear(&job);
    free(file);
    if (st) return why_fail_in(st, "the image list is found through the job file (else give --images DIR)");
    const char *slash = strrchr(list, '/');
    char *folder = slash ? strndup(list, (size_t)(slash - list)) : strdup(".");
    return folder ? why_arena_adopt(p->arena, folder, &p->folder) : why_fail(WHY_ENOMEM, "out of memory");
}

static why_status parse_fit(void *ctx, int n, const char *const *values, const char *const *names) {
    why_fit *fit = ctx;
    (void)n;
    (void)names;
    fit->resize_h = values[0] ? atoi(values[0]) : 0;
    fit->resize_w = values[1] ? atoi(values[1]) : 0;
    fit->crop = values[3] ? atoi(values[3]) : 0;
    fit->how = !values[2] || strcmp(values[2], "bilinear") == 0 ? WHY_BILINEAR
               : strcmp(values[2], "bicubic") == 0              ? WHY_BICUBIC
                                                                : WHY_NEAREST;
    return WHY_OK;
}

/* The picture in the model's frame, as the run saw it. */
static why_status load_picture(const struct panel *p, const value *image, const value *model, why_image *out) {
    char sql[512], *path;
    why_fit fit = {0};
    why_image original;
    why_buf b = {0};
    *out = (why_image){0};
    snprintf(sql, sizeof sql,
             "SELECT ifnull(json_extract(input, '$.fit.resize[0]'), json_extract(input, '$.fit.resize')), json_extract(input,"
             " '$.fit.resize[1]'), json_extract(input, '$.fit.how'), json_extract(input, '$.fit.crop') FROM model WHERE id = %lld",
             (long long)model->id);
    WHY_TRY(why_store_query(p->store, sql, parse_fit, &fit));
    if (image->name[0] == '/') why_buf_text(&b, image->name);
    else why_buf_printf(&b, "%s/%s", p->folder, image->name);
    WHY_TRY(why_buf_take(&b, &path));
    why_status st = why_image_load(path, NULL, &original);
    free(path);
    if (st) return st;
    st = why_image_fit(&original, &fit, out);
    why_image_clear(&original);
    return st;
}

/* ---------------------------------------------------------------- maps */
static unsigned nibble(char c) { return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10); }

/* 14 x 14 little-endian floats in hexadecimal, as SQLite's hex() writes them. */
static why_status read_thumb(const char *hex, int h, int w, float **map) {
    float thumb[THUMB * THUMB];
    if (strlen(hex) != sizeof thumb * 2) return WHY_OK;
    for (size_t i = 0; i < THUMB * THUMB; i++) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) bits |= (nibble(hex[8 * i + 2 * k]) << 4 | nibble(hex[8 * i + 2 * k + 1])) << 8 * k;
        memcpy(&thumb[i], &bits, sizeof bits);
    }
    WHY_TRY(why_alloc((size_t)h * (size_t)w, sizeof **map, "a map", map));
    why_map_resize(thumb, THUMB, THUMB, *map, h, w);
    return WHY_OK;
}

struct found {
    char *map, *thumb; /* owned; NULL: no such explanation */
};

static why_status keep_found(void *ctx, int n, const char *const *values, const char *const *names) {
    struct found *f = ctx;
    (void)n;
    (void)names;
    if (f->map) return WHY_OK;
    WHY_TRY(why_strdup(values[0] ? values[0] : "", &f->map));
    return why_strdup(values[1] ? values[1] : "", &f->thumb);
}

static why_status find_map(const struct panel *p, const value *const at[DIMENSIONS], struct found *out) {
    char sql[768];
    snprintf(sql, sizeof sql,
             "SELECT e.map, hex(e.thumb) FROM explanation e JOIN cell c ON c.id = e.cell_id WHERE e.id BETWEEN %lld AND %lld"
             " AND e.status = 'done' AND c.model_id = %lld AND c.method_id = %lld AND c.target = (SELECT target FROM cell WHERE id = %lld)"
             " AND c.repeat = 0 AND c.budget IS NULL AND c.prefix_of IS NULL AND c.transform = ''",
             (long long)at[IMAGES]->id << 16, (long long)(at[IMAGES]->id << 16 | 65535), (long long)at[MODELS]->id,
             (long long)at[METHODS]->id, (long long)at[TARGETS]->id);
    *out = (struct found){0};
    return why_store_query(p->store, sql, keep_found, out);
}

/* The stored map, else the thumb that is always in the database; *map NULL: there is none. */
static why_status load_map(struct panel *p, const value *const at[DIMENSIONS], int h, int w, float **map) {
    struct found f;
    int mh = h, mw = w;
    *map = NULL;
    why_status st = find_map(p, at, &f);
    if (!st && f.map && *f.map) st = why_map_file_load(p->maps_dir, f.map, map, &mh, &mw);
    if (!st && (mh != h || mw != w) && *map)
        st = why_fail(WHY_EFORMAT, "%s/%s: is %d x %d, its picture %d x %d", p->maps_dir, f.map, mw, mh, w, h);
    if (!st && !*map && f.thumb) {
        st = read_thumb(f.thumb, h, w, map);
        p->thumbs += *map != NULL;
    }
    free(f.map);
    free(f.thumb);
    return st;
}

static why_status draw_cell(struct panel *p, const value *const at[DIMENSIONS], why_image *out) {
    why_image picture;
    float *map = NULL;
    WHY_TRY(load_picture(p, at[IMAGES], at[MODELS], &picture));
    why_status st = load_map(p, at, picture.h, picture.w, &map);
    if (!st && map) st = why_overlay(&picture, map, p->palette, p->alpha, out);
    if (!st && !map) p->missing++;
    why_image_clear(&picture);
    free(map);
    return st;
}

/* ---------------------------------------------------------------- the sheet */
/* Row r, column c of the maps; each row begins with the picture itself. */
static why_status draw_row(struct panel *p, size_t r, why_image *row) {
    const value *at[DIMENSIONS];
    for (int d = 0; d < DIMENSIONS; d++) at[d] = p->chosen[d];
    at[p->down] += r;
    WHY_TRY(load_picture(p, at[IMAGES], at[MODELS], &row[0]));
    for (size_t c = 0; c < p->n[p->across]; c++) {
        at[p->across] = &p->chosen[p->across][c];
        WHY_TRY(draw_cell(p, at, &row[1 + c]));
    }
    return WHY_OK;
}

static why_status draw_sheet(struct panel *p, why_image *cell, const why_image **part, why_image *sheet) {
    const size_t rows = p->n[p->down], columns = p->n[p->across] + 1;
    for (size_t r = 0; r < rows; r++) WHY_TRY(draw_row(p, r, cell + r * columns));
    for (size_t i = 0; i < rows * columns; i++) part[i] = cell[i].rgb ? &cell[i] : NULL;
    return why_sheet(part, (int)rows, (int)columns, p->gap, sheet);
}

static why_status save_sheet(struct panel *p, const char *path) {
    const size_t n = p->n[p->down] * (p->n[p->across] + 1);
    why_image *cell, sheet = {0};
    const why_image **part = NULL;
    WHY_TRY(why_alloc(n, sizeof *cell, "a panel", &cell));
    why_status st = why_alloc(n, sizeof *part, "a panel", &part);
    if (!st) st = draw_sheet(p, cell, part, &sheet);
    if (!st && p->missing == (int)(n - p->n[p->down]))
        st = why_fail(WHY_EARG, "%s: holds none of these explanations", why_args_at(p->args, 0));
    if (!st) st = why_make_dirs_for(path);
    if (!st) st = why_image_save_png(&sheet, path);
    if (!st) printf("%s: %d x %d pixels\n", path, sheet.w, sheet.h);
    for (size_t i = 0; i < n; i++) why_image_clear(&cell[i]);
    why_image_clear(&sheet);
    free(part);
    free(cell);
    return st;
}

/* What stands where: the picture has no letters. */
static void print_legend(const struct panel *p) {
    printf("across    the picture");
    for (size_t c = 0; c < p->n[p->across]; c++) printf(", %s", p->chosen[p->across][c].name);
    printf("\ndown      ");
    for (size_t r = 0; r < p->n[p->down]; r++) printf("%s%s", r ? ", " : "", p->chosen[p->down][r].name);
    printf("\n");
    for (int d = 0; d < DIMENSIONS; d++)
        if (d != (int)p->across && d != (int)p->down) printf("%-9s %s\n", dimensions[d].option, p->chosen[d]->name);
    if (p->thumbs) printf("%d of the maps are drawn from 14 x 14 thumbs: the run kept no others\n", p->thumbs);
    if (p->missing) printf("%d explanations are not there and left white\n", p->missing);
}

static why_status make_panel(struct panel *p) {
    int64_t gap;
    WHY_TRY(why_args_int(p->args, "gap", 0, 1000, &gap));
    WHY_TRY(why_args_real(p->args, "alpha", 0, 1, &p->alpha));
    WHY_TRY(why_palette_parse(why_args_text(p->args, "palette"), &p->palette));
    p->gap = (int)gap;
    WHY_TRY(why_arena_create(1 << 16, &p->arena));
    WHY_TRY(why_store_open_readonly(why_args_at(p->args, 0), &p->store));
    WHY_TRY(why_output_beside(why_args_at(p->args, 0), "-maps", &p->maps_dir));
    WHY_TRY(choose_all(p));
    WHY_TRY(find_folder(p));
    WHY_TRY(save_sheet(p, why_args_at(p->args, 1)));
    print_legend(p);
    return WHY_OK;
}

static why_status run(const why_args *a, int *exit_code) {
    struct panel p = {.args = a};
    (void)exit_code;
    const why_status st = make_panel(&p);
    clear(&p);
    return st;
}

static const why_option options[] = {
    {"across", "WHAT", "methods", "columns: images, models, targets or methods", false},
    {"down", "WHAT", "images", "rows: the same", false},
    {"rows", "N", "4", "images, when none is named", false},
    {"image", "PATH", NULL, "an image, as listed; may be repeated", true},
    {"model", "M", NULL, "a model; may be repeated", true},
    {"target", "T", NULL, "a target, such as label, top:1 or class:3; may be repeated", true},
    {"method", "M", NULL, "a method, or a control; may be repeated", true},
    {"palette", "P", "viridis", "viridis, inferno or diverging", false},
    {"alpha", "A", "0.6", "how much of the picture the map covers", false},
    {"gap", "PIXELS", "4", "white between the pictures", false},
    {"images", "DIR", NULL, "the image list's folder, when the job file is not where the last run found it", false},
    {0},
};

const why_command why_command_panel = {
    .name = "panel",
    .positional = "DB OUT.png",
    .summary = "a figure from stored maps: images x methods, classes, models",
    .help = "Draws stored maps over their pictures on one sheet; each row begins with the picture. Rows and columns are any two of\n"
            "images, models, targets and methods; the other two stay at the first value, or at the one that is named. Where the\n"
            "run kept no map, the 14 x 14 thumb of the database is drawn.",
    .example = "whypix panel results/demo.db figure.png --method lime --method shap --method gradcam --rows 2\n"
               "whypix panel results/digits.db classes.png --across targets --method shap",
    .min_args = 2,
    .max_args = 2,
    .options = options,
    .run = run,
};
