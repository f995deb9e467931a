#include "run/gallery.h"

#include "base/buf.h"
#include "base/file.h"
#include "explain/background.h"

static why_status load(const void *ctx, int index, why_image *out) {
    const why_listed *l = ctx;
    const why_plan_image *listed = &l->plan->images[index];
    why_image original;
    WHY_TRY(why_image_load(listed->file, NULL, &original));
    why_status st = why_image_fit(&original, &l->plan->models[l->model].fit, out);
    why_image_clear(&original);
    return st;
}

why_gallery why_gallery_of(const why_listed *listed) {
    return (why_gallery){.n = listed->plan->n_images, .load = load, .ctx = listed};
}

static why_status put_part(const why_plan *p, const why_background_part *part, why_buf *b) {
    char hex[65];
    if (part->kind == WHY_BACKGROUND_FILL) return WHY_OK;
    if (part->kind == WHY_BACKGROUND_FILE) {
        WHY_TRY(why_sha256_file(part->text, hex));
        why_buf_printf(b, "%s\n", hex);
        return WHY_OK;
    }
    if (part->n > p->n_images) return why_fail(WHY_EARG, "background: images(n=%d), but the list has %d", part->n, p->n_images);
    for (int i = 0; i < part->n; i++) why_buf_printf(b, "%s\n", p->images[why_background_pick(part, p->n_images, i)].path);
    return WHY_OK;
}

static why_status put_parts(const why_plan *p, const char *text, why_buf *b) {
    why_background_spec spec;
    WHY_TRY(why_background_parse(text, &spec));
    why_status st = WHY_OK;
    for (int i = 0; !st && i < spec.n_parts; i++) st = put_part(p, &spec.part[i], b);
    why_background_spec_clear(&spec);
    return st ? st : why_buf_status(b);
}

why_status why_background_sha256(const why_plan *p, const why_job_method *m, char hex[65]) {
    why_buf b = {0};
    hex[0] = 0;
    if (!why_params_has(m->params, "background")) return WHY_OK;
    const why_node *at = why_node_get(m->at, "background");
    why_status st = put_parts(p, why_params_text(m->params, "background"), &b);
    if (!st && b.size) why_sha256(b.data, b.size, hex);
    why_buf_clear(&b);
    return st ? why_wrap_at(st, at ? at : m->at) : WHY_OK;
}
