#include "image/synth_scene.h"

#include <math.h>
#include <stddef.h>

#include "whypix/rng.h"

/* What the streams of one picture are for: each part has its own, so that none moves another's draws. */
enum { USE_LABEL, USE_OBJECT, USE_GROUND, USE_CLUTTER, USE_OCCLUDER, USE_CUE };

/* Contrast within a texture, between object and ground, between object and occluder: every object can be told from what
 * is around it, none by its colour alone. */
static const double texture_lo = .12, texture_hi = .38, contrast_lo = .5, cover_lo = .3;
/* Areas: the object's share of the picture; the share of it that an occluder hides. */
static const double area_lo = .075, area_hi = .16, hidden_lo = .04, hidden_hi = .15, occluder_share = .5;
static const double cue_side = .14, cue_frame = .014;

/* ---------------------------------------------------------------- parameters */
/* Classes come in shuffled tens: balanced however many pictures are drawn. */
static int label_of(why_stream stream, uint32_t index) {
    int order[WHY_SYNTH_CLASSES];
    why_rng r = why_rng_at(stream, index / WHY_SYNTH_CLASSES);
    for (int i = 0; i < WHY_SYNTH_CLASSES; i++) {
        int j = (int)why_rng_below(&r, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order[index % WHY_SYNTH_CLASSES];
}

/* Scaled so that the surface, not the diameter, has the same distribution in every class. */
static void place_object(synth_scene *s, why_rng *r) {
    synth_place *p = &s->object;
    double aspect = sqrt(why_synth_between(r, .8, 1.25)), half = sqrt(why_synth_between(r, area_lo, area_hi) / s->shape->area);
    why_synth_direction(r, &p->c, &p->s);
    p->half_u = half * aspect;
    p->half_v = half / aspect;
    p->reach = s->shape->reach * fmax(p->half_u, p->half_v);
    double margin = fmin(p->reach + .02, .5);
    p->x = why_synth_between(r, margin, 1 - margin);
    p->y = why_synth_between(r, margin, 1 - margin);
}

static void draw_piece(synth_piece *p, double half_u, double half_v, why_rng *r) {
    p->place.half_u = half_u;
    p->place.half_v = half_v;
    why_synth_direction(r, &p->place.c, &p->place.s);
    p->place.reach = p->form == SYNTH_BAR ? sqrt(half_u * half_u + half_v * half_v) : fmax(half_u, half_v);
    /* Corners on a regular heptagon's rays (cos and sin of 2 pi k / 7), at .45 to 1 of the radius. */
    static const double ray[SYNTH_SHARD_CORNERS][2] = {{1, 0},
                                                       {.6234898018587336, .7818314824680298},
                                                       {-.2225209339563144, .9749279121818236},
                                                       {-.9009688679024191, .4338837391175581},
                                                       {-.9009688679024191, -.4338837391175581},
                                                       {-.2225209339563144, -.9749279121818236},
                                                       {.6234898018587336, -.7818314824680298}};
    for (int i = 0; i < SYNTH_SHARD_CORNERS; i++) {
        double radius = why_synth_between(r, .45, 1);
        p->corner[i][0] = radius * ray[i][0];
        p->corner[i][1] = radius * ray[i][1];
    }
}

static void draw_clutter(synth_scene *s, why_rng *r) {
    s->n_clutter = SYNTH_MIN_CLUTTER + (int)why_rng_below(r, SYNTH_MAX_CLUTTER - SYNTH_MIN_CLUTTER + 1);
    for (int i = 0; i < s->n_clutter; i++) {
        synth_piece *p = &s->clutter[i];
        p->form = (synth_form)why_rng_below(r, 3);
        bool bar = p->form == SYNTH_BAR;
        double length = bar ? why_synth_between(r, .04, .16) : why_synth_between(r, .015, .05);
        double width = bar ? why_synth_between(r, .005, .014) : length * why_synth_between(r, .5, 1);
        draw_piece(p, length, width, r);
        p->place.x = why_rng_uniform(r);
        p->place.y = why_rng_uniform(r);
        for (int k = 0; k < 3; k++) p->rgb[k] = why_rng_uniform(r);
    }
}

static bool in_piece(const synth_piece *p, double x, double y) {
    double u, v;
    if (!synth_local(&p->place, x, y, &u, &v)) return false;
    switch (p->form) {
    case SYNTH_BAR: return fabs(u) <= 1 && fabs(v) <= 1;
    case SYNTH_ELLIPSE: return u * u + v * v <= 1;
    default: return why_synth_in_polygon((const double (*)[2])p->corner, SYNTH_SHARD_CORNERS, u, v);
    }
}

bool why_synth_on_object(const synth_scene *s, double x, double y) {
    double u, v;
    return synth_local(&s->object, x, y, &u, &v) && why_synth_in_shape(s->shape, u, v);
}

/* The share of the object behind the occluder, on a grid fine enough to choose by. */
static double hidden_share(const synth_scene *s) {
    const int n = 40;
    int all = 0, hidden = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double x = s->object.x + s->object.reach * (2 * (j + .5) / n - 1), y = s->object.y + s->object.reach * (2 * (i + .5) / n - 1);
            if (!why_synth_on_object(s, x, y)) continue;
            all++;
            hidden += in_piece(&s->occluder, x, y);
        }
    return all ? (double)hidden / all : 0;
}

/* Tried until it hides enough to matter and leaves enough to see the class by. Whether there is one is settled first, by
 * a coin that does not look at the class. */
static void draw_occluder(synth_scene *s, why_rng *r) {
    if (why_rng_uniform(r) >= occluder_share) return;
    why_synth_texture_draw(&s->cover, texture_lo, texture_hi, r);
    while (why_synth_texture_distance(&s->cover, &s->fill) < cover_lo) why_synth_texture_recolour(&s->cover, texture_lo, texture_hi, r);
    double hidden = 0;
    for (int i = 0; i < 200 && (hidden < hidden_lo || hidden > hidden_hi); i++) {
        synth_piece *p = &s->occluder;
        double c, d;
        p->form = (synth_form)why_rng_below(r, 3);
        bool bar = p->form == SYNTH_BAR;
        double length = bar ? why_synth_between(r, .18, .4) : why_synth_between(r, .07, .15);
        draw_piece(p, length, bar ? why_synth_between(r, .02, .05) : length * why_synth_between(r, .6, 1), r);
        why_synth_direction(r, &c, &d);
        double far = s->object.reach * why_synth_between(r, 0, 1.2);
        p->place.x = s->object.x + far * c;
        p->place.y = s->object.y + far * d;
        hidden = hidden_share(s);
    }
    s->occluded = hidden >= hidden_lo && hidden <= hidden_hi;
}

static void draw_cue(synth_scene *s, double shortcut, why_rng *r) {
    uint32_t corner = why_rng_below(r, 4);
    double dx = why_synth_between(r, .02, .05), dy = why_synth_between(r, .02, .05);
    s->cue_x = corner & 1 ? 1 - cue_side - dx : dx;
    s->cue_y = corner & 2 ? 1 - cue_side - dy : dy;
    int other = (int)why_rng_below(r, WHY_SYNTH_CLASSES);
    s->cue = why_rng_uniform(r) < shortcut ? s->label : other;
}

static why_rng rng_for(const why_synth_options *o, uint32_t index, uint64_t use) {
    return why_rng_at(why_stream_of(o->seed, index, o->split), use);
}

void why_synth_scene_draw(const why_synth_options *o, uint32_t index, synth_scene *s) {
    why_rng object = rng_for(o, index, USE_OBJECT), ground = rng_for(o, index, USE_GROUND), clutter = rng_for(o, index, USE_CLUTTER),
            occluder = rng_for(o, index, USE_OCCLUDER), cue = rng_for(o, index, USE_CUE);
    *s = (synth_scene){.label = label_of(why_stream_of(o->seed, UINT64_MAX, o->split), index), .cue = -1};
    s->shape = &why_synth_shapes[s->label];
    place_object(s, &object);
    why_synth_texture_draw(&s->ground, texture_lo, texture_hi, &ground);
    why_synth_texture_draw(&s->fill, texture_lo, texture_hi, &object);
    while (why_synth_texture_distance(&s->fill, &s->ground) < contrast_lo)
        why_synth_texture_recolour(&s->fill, texture_lo, texture_hi, &object);
    draw_clutter(s, &clutter);
    draw_occluder(s, &occluder);
    if (o->planted) draw_cue(s, o->shortcut, &cue);
}

/* ---------------------------------------------------------------- colours */
/* Five inks, stripes or checks on white: what no flip and no quarter-turn confuses. */
static void cue_colour(int class, double u, double v, double rgb[3]) {
    static const double ink[5][3] = {{.85, .1, .1}, {.1, .65, .15}, {.1, .2, .85}, {.95, .75, .05}, {.75, .1, .75}};
    double frame = cue_frame / cue_side;
    bool edge = u < frame || v < frame || u > 1 - frame || v > 1 - frame;
    int row = (int)(4 * v), column = (int)(4 * u);
    bool inked = class < 5 ? row % 2 == 0 : (row + column) % 2 == 0;
    for (int k = 0; k < 3; k++) rgb[k] = edge ? 0 : inked ? ink[class % 5][k] : 1;
}

bool why_synth_scene_has(const synth_scene *s, why_synth_part part) {
    if (part == WHY_SYNTH_OCCLUDER) return s->occluded;
    if (part == WHY_SYNTH_CUE) return s->cue >= 0;
    return true;
}

uint32_t why_synth_scene_near(const synth_scene *s, double x, double y, double radius) {
    uint32_t near = 0;
    for (int i = 0; i < s->n_clutter; i++) {
        const synth_place *p = &s->clutter[i].place;
        double dx = x - p->x, dy = y - p->y, far = p->reach + radius;
        if (dx * dx + dy * dy <= far * far) near |= 1u << i;
    }
    return near;
}

static const synth_piece *clutter_at(const synth_scene *s, uint32_t near, double x, double y) {
    for (int i = s->n_clutter - 1; i >= 0; i--)
        if (near >> i & 1 && in_piece(&s->clutter[i], x, y)) return &s->clutter[i];
    return NULL;
}

why_synth_part why_synth_scene_at(const synth_scene *s, unsigned shown, uint32_t near, double x, double y, double rgb[3]) {
    double u = (x - s->cue_x) / cue_side, v = (y - s->cue_y) / cue_side;
    if (shown >> WHY_SYNTH_CUE & 1 && s->cue >= 0 && u >= 0 && u < 1 && v >= 0 && v < 1) {
        cue_colour(s->cue, u, v, rgb);
        return WHY_SYNTH_CUE;
    }
    if (shown >> WHY_SYNTH_OCCLUDER & 1 && s->occluded && in_piece(&s->occluder, x, y)) {
        why_synth_texture_at(&s->cover, x, y, rgb);
        return WHY_SYNTH_OCCLUDER;
    }
    if (shown >> WHY_SYNTH_OBJECT & 1 && why_synth_on_object(s, x, y)) {
        why_synth_texture_at(&s->fill, x, y, rgb);
        return WHY_SYNTH_OBJECT;
    }
    const synth_piece *clutter = shown >> WHY_SYNTH_CLUTTER & 1 ? clutter_at(s, near, x, y) : NULL;
    if (clutter) {
        for (int k = 0; k < 3; k++) rgb[k] = clutter->rgb[k];
        return WHY_SYNTH_CLUTTER;
    }
    if (shown >> WHY_SYNTH_TEXTURE & 1) why_synth_texture_at(&s->ground, x, y, rgb);
    else
        for (int k = 0; k < 3; k++) rgb[k] = .5 * (s->ground.a[k] + s->ground.b[k]);
    return WHY_SYNTH_TEXTURE;
}

const char *why_synth_form_name(synth_form form) {
    static const char *const names[] = {"bar", "ellipse", "shard"};
    return names[form];
}
