/* A scene: all parameters of one picture, drawn before any pixel. */
#ifndef WHYPIX_IMAGE_SYNTH_SCENE_H
#define WHYPIX_IMAGE_SYNTH_SCENE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/synth.h"
#include "image/synth_shape.h"
#include "image/synth_texture.h"

/* Clutter and occluders: a bar, an ellipse or an irregular polygon. */
typedef enum synth_form { SYNTH_BAR, SYNTH_ELLIPSE, SYNTH_SHARD } synth_form;
enum { SYNTH_SHARD_CORNERS = 7, SYNTH_MIN_CLUTTER = 12, SYNTH_MAX_CLUTTER = 26 };

static_assert(SYNTH_MAX_CLUTTER <= 32, "why_synth_scene_near gives one bit per piece");

typedef struct synth_piece {
    synth_form form;
    synth_place place;
    double corner[SYNTH_SHARD_CORNERS][2];
    double rgb[3];
} synth_piece;

typedef struct synth_scene {
    int label;
    const synth_shape *shape;
    synth_place object;
    synth_texture ground, fill, cover; /* `cover` of the occluder */
    synth_piece clutter[SYNTH_MAX_CLUTTER];
    int n_clutter;
    bool occluded;
    synth_piece occluder;
    int cue; /* class it names; -1: none */
    double cue_x, cue_y;
} synth_scene;

void why_synth_scene_draw(const why_synth_options *o, uint32_t index, synth_scene *s);
bool why_synth_scene_has(const synth_scene *s, why_synth_part part);

/* One bit per piece of clutter: can it reach into the circle around (x, y)? Asked once per pixel, not per sub-sample. */
uint32_t why_synth_scene_near(const synth_scene *s, double x, double y, double radius);
/* The frontmost part at (x, y) among those whose bit is set in `shown`, and its colour. `near` has the clutter to look at. */
why_synth_part why_synth_scene_at(const synth_scene *s, unsigned shown, uint32_t near, double x, double y, double rgb[3]);
bool why_synth_on_object(const synth_scene *s, double x, double y);
const char *why_synth_form_name(synth_form form);

#endif
