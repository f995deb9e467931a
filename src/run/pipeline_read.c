/* From the file on disk to the picture in a model's frame. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "run/boxes.h"
#include "run/pipeline_image.h"

enum { MAX_FILE = 1 << 30 };

static why_status read_mask(const why_plan_image *listed, why_picture *out) {
    int h, w;
    why_status st = why_mask_load(listed->mask_file, NULL, &out->mask, &h, &w);
    if (st) return why_fail_in(st, "mask");
    if (h != out->rgb.h || w != out->rgb.w)
        return why_fail(WHY_EFORMAT, "mask %s: is %d x %d, the picture is %d x %d", listed->mask, h, w, out->rgb.h, out->rgb.w);
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++) out->mask[i] = out->mask[i] != 0;
    return WHY_OK;
}

why_status why_picture_read(const why_plan_image *listed, why_picture *out) {
    uint8_t *bytes;
    size_t size;
    WHY_TRY(why_read_file(listed->file, MAX_FILE, &bytes, &size));
    why_sha256(bytes, size, out->sha256);
    why_status st = why_image_decode(bytes, size, NULL, &out->rgb);
    free(bytes);
    if (st) return why_fail_in(st, "%s", listed->path);
    if (listed->boxes) return why_boxes_mask(listed->boxes, out->rgb.h, out->rgb.w, &out->mask);
    return listed->mask_file ? read_mask(listed, out) : WHY_OK;
}

void why_picture_clear(why_picture *p) {
    why_image_clear(&p->rgb);
    free(p->mask);
    p->mask = NULL;
}

static why_status fit(const why_picture *picture, const why_plan_model *m, why_frame *out) {
    const why_model_info *info = why_model_get_info(m->model);
    int h, w;
    WHY_TRY(why_image_fit(&picture->rgb, &m->fit, &out->rgb));
    if (out->rgb.h != info->height || out->rgb.w != info->width)
        return why_fail(WHY_EARG, "the fitted picture is %d x %d, the model wants %d x %d", out->rgb.h, out->rgb.w, info->height,
                        info->width);
    return picture->mask ? why_mask_fit(picture->mask, picture->rgb.h, picture->rgb.w, &m->fit, &out->mask, &h, &w) : WHY_OK;
}

why_status why_frame_create(const why_pipeline *p, const why_picture *picture, int model, why_frame *out) {
    *out = (why_frame){.model = model};
    why_status st = fit(picture, &p->plan->models[model], out);
    if (!st)
        st = why_subject_create(p->evaluator[model], &out->rgb, out->mask, p->plan->seed, why_sha256_key(picture->sha256), &out->subject);
    if (st) why_frame_clear(out);
    return st;
}

void why_frame_clear(why_frame *f) {
    why_subject_destroy(&f->subject);
    why_image_clear(&f->rgb);
    free(f->mask);
    f->mask = NULL;
}
