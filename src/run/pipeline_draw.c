/* Overlays for people: the picture, then one heat-map per method, one file per target. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "run/pipeline_image.h"

enum { GAP = 4 };
static const double ALPHA = 0.6;

static bool is_drawn(const why_pipeline *p, int cell, const char *target) {
    const why_plan_cell *c = &p->plan->cells[cell];
    bool control = p->plan->methods[c->method].explainer->flags & WHY_CONTROL;
    return !control && c->repeat == 0 && c->budget < 0 && p->cell[cell].done && strcmp(c->target, target) == 0;
}

/* Names of models and targets are free text; files get letters, digits, '.', '_' and '-'. */
static void put_safe(why_buf *b, const char *text) {
    for (; *text; text++) {
        char c = isalnum((unsigned char)*text) || *text == '.' || *text == '_' ? *text : '-';
        why_buf_put(b, &c, 1);
    }
}

static why_status save_panels(const why_pipeline *p, const why_picture *picture, const why_frame *f, const char *target,
                              const why_image *panels) {
    why_buf b = {0};
    char *path;
    why_buf_printf(&b, "%s/%06lld-", p->plan->overlays_dir, (long long)picture->listed->id);
    put_safe(&b, p->plan->models[f->model].name);
    why_buf_text(&b, "-");
    put_safe(&b, target);
    why_buf_text(&b, ".png");
    WHY_TRY(why_buf_take(&b, &path));
    why_status st = why_make_dirs(p->plan->overlays_dir);
    if (!st) st = why_image_save_png(panels, path);
    free(path);
    return st;
}

static why_status draw_target(const why_pipeline *p, const why_picture *picture, const why_frame *f, const char *target) {
    int first = p->first[f->model], end = p->first[f->model + 1], n = 1;
    why_image *drawn;
    const why_image **part = NULL;
    WHY_TRY(why_alloc((size_t)(end - first) + 1, sizeof *drawn, "overlays", &drawn));
    why_status st = why_alloc((size_t)(end - first) + 1, sizeof *part, "overlays", &part);
    if (!st) part[0] = &f->rgb;
    for (int c = first; !st && c < end; c++) {
        if (!is_drawn(p, c, target)) continue;
        st = why_overlay(&f->rgb, why_map_of(p, c)->map, p->plan->palette, ALPHA, &drawn[n]);
        if (!st) part[n] = &drawn[n];
        if (!st) n++;
    }
    why_image panels = {0};
    if (!st && n > 1) st = why_panel(part, n, GAP, &panels);
    if (!st && n > 1) st = save_panels(p, picture, f, target, &panels);
    why_image_clear(&panels);
    for (int i = 1; i < n; i++) why_image_clear(&drawn[i]);
    free(part);
    free(drawn);
    return st;
}

why_status why_frame_draw(const why_pipeline *p, const why_picture *picture, const why_frame *f) {
    const char *last = "";
    for (int c = p->first[f->model]; c < p->first[f->model + 1]; c++) { /* cells stand target by target */
        if (strcmp(p->plan->cells[c].target, last) == 0) continue;
        last = p->plan->cells[c].target;
        WHY_TRY(draw_target(p, picture, f, last));
    }
    return WHY_OK;
}
