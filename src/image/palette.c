/* Colours for maps. Viridis and inferno are matplotlib's (van der Walt and Smith, 2015), sampled at 17 places and
 * joined by Catmull-Rom curves: within 4 levels of the 256-entry tables. */
#include "whypix/image.h"

#include <string.h>

enum { POINTS = 17 };

static const uint8_t points[WHY_PALETTES][POINTS][3] = {
    [WHY_VIRIDIS] = {{68, 1, 84},    {72, 24, 106},  {71, 45, 123},  {66, 64, 134},  {59, 82, 139},   {51, 99, 141},
                     {44, 114, 142}, {38, 129, 142}, {33, 144, 140}, {31, 159, 136}, {40, 174, 128},  {62, 188, 116},
                     {93, 201, 99},  {130, 211, 76}, {171, 220, 50}, {213, 226, 26}, {253, 231, 37}},
    [WHY_INFERNO] = {{0, 0, 4},      {11, 7, 36},    {33, 12, 74},   {60, 9, 101},   {87, 16, 109},   {112, 25, 110},
                     {137, 34, 106}, {163, 43, 97},  {187, 55, 85},  {209, 70, 68},  {227, 89, 50},   {241, 113, 30},
                     {249, 141, 10}, {252, 171, 15}, {249, 202, 50}, {242, 232, 101}, {252, 255, 164}},
    /* Blue, white, red; equally dark at both ends, so that neither sign looks stronger. */
    [WHY_DIVERGING] = {{8, 40, 110},    {18, 66, 146},   {30, 92, 178},   {58, 118, 196},  {94, 146, 210},  {132, 174, 224},
                       {172, 202, 236}, {212, 228, 246}, {247, 247, 247}, {250, 222, 210}, {244, 186, 168}, {232, 148, 126},
                       {216, 108, 90},  {196, 70, 62},   {172, 38, 44},   {142, 18, 34},   {110, 6, 26}},
};

static const char *const names[WHY_PALETTES] = {[WHY_VIRIDIS] = "viridis", [WHY_INFERNO] = "inferno", [WHY_DIVERGING] = "diverging"};

why_status why_palette_parse(const char *name, why_palette *out) {
    for (int i = 0; i < WHY_PALETTES; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (why_palette)i;
            return WHY_OK;
        }
    const char *nearest = why_nearest(name, names, WHY_PALETTES);
    if (nearest) return why_fail(WHY_EARG, "palette '%s' is unknown; did you mean '%s'?", name, nearest);
    return why_fail(WHY_EARG, "palette '%s' is unknown; there are: viridis, inferno, diverging", name);
}

/* Channel c of point i; one point beyond each end the curve goes on straight. */
static double point(why_palette p, int i, int c) {
    if (i < 0) return 2.0 * points[p][0][c] - points[p][1][c];
    if (i >= POINTS) return 2.0 * points[p][POINTS - 1][c] - points[p][POINTS - 2][c];
    return points[p][i][c];
}

void why_palette_colour(why_palette p, double value, uint8_t rgb[3]) {
    const double at = (value > 0 ? value < 1 ? value : 1 : 0) * (POINTS - 1); /* NAN becomes 0 */
    const int i = at < POINTS - 1 ? (int)at : POINTS - 2;
    const double f = at - i;
    for (int k = 0; k < 3; k++) {
        const double a = point(p, i - 1, k), b = point(p, i, k), c = point(p, i + 1, k), d = point(p, i + 2, k);
        const double v = b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)));
        rgb[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
    }
}
