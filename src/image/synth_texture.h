/* Procedural textures: a pattern in [0, 1] that mixes two colours. */
#ifndef WHYPIX_IMAGE_SYNTH_TEXTURE_H
#define WHYPIX_IMAGE_SYNTH_TEXTURE_H

#include <stdint.h>

#include "whypix/rng.h"

enum { SYNTH_LATTICE = 32 };

typedef struct synth_texture synth_texture;

typedef struct synth_pattern {
    const char *name;
    double slowest, fastest; /* range of frequencies: periods or grains per side of the picture */
    double (*at)(const synth_texture *t, double u, double v);
} synth_pattern;

struct synth_texture {
    const synth_pattern *pattern;
    double c, s, frequency, shift_u, shift_v;
    double a[3], b[3];                             /* the two colours, RGB in [0, 1] */
    uint8_t lattice[SYNTH_LATTICE][SYNTH_LATTICE]; /* what its noise is made of */
};

/* A direction (c, s) on the unit circle, uniform: a point of the disc by rejection, normalised (no sine needed). */
void why_synth_direction(why_rng *r, double *c, double *s);
double why_synth_between(why_rng *r, double lo, double hi);

/* Draw pattern, frequency, direction and lattice, and two colours at a distance in [lo, hi] of each other. */
void why_synth_texture_draw(synth_texture *t, double lo, double hi, why_rng *r);
/* Draw other colours, same pattern. */
void why_synth_texture_recolour(synth_texture *t, double lo, double hi, why_rng *r);
/* Distance of the mean colours of two textures, RGB in [0, 1]. */
double why_synth_texture_distance(const synth_texture *p, const synth_texture *q);
/* The colour at (x, y) of the picture's plane. */
void why_synth_texture_at(const synth_texture *t, double x, double y, double rgb[3]);

#endif
