#include "image/synth.h"

#include <stdlib.h>

#include "base/mem.h"
#include "image/synth_scene.h"

enum { SUB = 4 }; /* sub-samples per pixel side */

const char *why_synth_class_name(int label) { return why_synth_shapes[label].name; }

const char *why_synth_part_name(why_synth_part part) {
    static const char *const names[WHY_SYNTH_PARTS] = {"texture", "clutter", "object", "occluder", "cue"};
    return names[part];
}

static why_status check(const why_synth_options *o) {
    if (o->size < WHY_SYNTH_MIN_SIZE || o->size > WHY_SYNTH_MAX_SIZE)
        return why_fail(WHY_EARG, "synth: size is %d pixels, want %d to %d", o->size, WHY_SYNTH_MIN_SIZE, WHY_SYNTH_MAX_SIZE);
    if (o->planted && !(o->shortcut >= 0 && o->shortcut <= 1))
        return why_fail(WHY_EARG, "synth: shortcut is %g, want a probability from 0 to 1", o->shortcut);
    if (!o->split || !o->split[0]) return why_fail(WHY_EARG, "synth: the split has no name, want one such as 'train'");
    return WHY_OK;
}

/* ---------------------------------------------------------------- pixels */
typedef struct tally {
    int64_t object, hidden;            /* sub-samples on the object; of those, not showing it */
    int64_t pixels[WHY_SYNTH_PARTS];   /* pixels that each part owns */
} tally;

/* The part with most sub-samples; the front one when two have as many. */
static uint8_t most(const int count[WHY_SYNTH_PARTS]) {
    int best = 0;
    for (int i = 1; i < WHY_SYNTH_PARTS; i++)
        if (count[i] >= count[best] && count[i] > 0) best = i;
    return (uint8_t)best;
}

/* One pixel: the mean of SUB x SUB samples, each rounded to 8 bits first so that the sum is a whole number. */
static uint8_t draw_pixel(const synth_scene *s, unsigned shown, int size, int row, int column, uint8_t rgb[3], tally *t) {
    int count[WHY_SYNTH_PARTS] = {0}, sum[3] = {0};
    uint32_t near = why_synth_scene_near(s, (column + .5) / size, (row + .5) / size, 1.0 / size);
    for (int i = 0; i < SUB * SUB; i++) {
        double x = (column + (i % SUB + .5) / SUB) / size, y = (row + (i / SUB + .5) / SUB) / size, colour[3];
        why_synth_part part = why_synth_scene_at(s, shown, near, x, y, colour);
        bool object = part == WHY_SYNTH_OBJECT, covered = part > WHY_SYNTH_OBJECT && shown >> WHY_SYNTH_OBJECT & 1;
        bool behind = covered && why_synth_on_object(s, x, y);
        count[part]++;
        t->object += object || behind;
        t->hidden += behind;
        for (int k = 0; k < 3; k++) sum[k] += (int)(colour[k] * 255 + .5);
    }
    for (int k = 0; k < 3; k++) rgb[k] = (uint8_t)((sum[k] + SUB * SUB / 2) / (SUB * SUB));
    return most(count);
}

static void draw_pixels(const synth_scene *s, unsigned shown, why_image *image, uint8_t *owner, tally *t) {
    for (int i = 0; i < image->h; i++)
        for (int j = 0; j < image->w; j++) {
            int at = i * image->w + j;
            uint8_t part = draw_pixel(s, shown, image->w, i, j, &image->rgb[3 * at], t);
            t->pixels[part]++;
            if (owner) owner[at] = part;
        }
}

static void fill_facts(const synth_scene *s, int size, const tally *t, why_synth_facts *f) {
    double pixels = (double)size * size;
    *f = (why_synth_facts){.label = s->label,
                           .cue = s->cue,
                           .area = (double)t->object / (pixels * SUB * SUB),
                           .occluded = t->object ? (double)t->hidden / (double)t->object : 0,
                           .contrast = why_synth_texture_distance(&s->fill, &s->ground),
                           .texture = s->ground.pattern->name,
                           .fill = s->fill.pattern->name,
                           .occluder = s->occluded ? why_synth_form_name(s->occluder.form) : "none"};
    for (int i = 0; i < WHY_SYNTH_PARTS; i++) {
        f->present[i] = why_synth_scene_has(s, (why_synth_part)i);
        f->visible[i] = (double)t->pixels[i] / pixels;
    }
}

why_status why_synth_draw(const why_synth_options *o, uint32_t index, unsigned without, why_image *image, uint8_t **owner,
                          why_synth_facts *facts) {
    synth_scene scene;
    tally t = {0};
    WHY_TRY(check(o));
    WHY_TRY(why_image_create(o->size, o->size, image));
    why_status st = owner ? why_alloc((size_t)o->size * (size_t)o->size, 1, "the owners of pixels", owner) : WHY_OK;
    if (st) {
        why_image_clear(image);
        return st;
    }
    why_synth_scene_draw(o, index, &scene);
    draw_pixels(&scene, ~without, image, owner ? *owner : NULL, &t);
    if (facts) fill_facts(&scene, o->size, &t, facts);
    return WHY_OK;
}
