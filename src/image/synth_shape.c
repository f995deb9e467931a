#include "image/synth_shape.h"

#include <stddef.h>

/* Corners as literals, not through sin(): libm may differ in the last bit from one machine to the next. */
static const double triangle[][2] = {{0, -1}, {.8660254037844386, .5}, {-.8660254037844386, .5}};
static const double square[][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
static const double pentagon[][2] = {{0, -1},
                                     {.9510565162951535, -.3090169943749474},
                                     {.5877852522924731, .8090169943749474},
                                     {-.5877852522924731, .8090169943749474},
                                     {-.9510565162951535, -.3090169943749474}};
/* Inner corners at .42 of the outer radius. */
static const double star[][2] = {{0, -1},
                                 {.2468698059628387, -.3397871376374779},
                                 {.9510565162951535, -.3090169943749474},
                                 {.3994437368439645, .1297871376374779},
                                 {.5877852522924731, .8090169943749474},
                                 {0, .42},
                                 {-.5877852522924731, .8090169943749474},
                                 {-.3994437368439645, .1297871376374779},
                                 {-.9510565162951535, -.3090169943749474},
                                 {-.2468698059628387, -.3397871376374779}};
static const double cross[][2] = {{-.32, -1}, {.32, -1}, {.32, -.32}, {1, -.32},  {1, .32},  {.32, .32},
                                  {.32, 1},   {-.32, 1}, {-.32, .32}, {-1, .32}, {-1, -.32}, {-.32, -.32}};
static const double heart[][2] = {{0, .95}, {.87113402, -.01494845}, {.5, -.35}, {-.5, -.35}, {-.87113402, -.01494845}};
static const double arrow[][2] = {{-1, -.26}, {.1, -.26}, {.1, -.75}, {1, 0}, {.1, .75}, {.1, .26}, {-1, .26}};

static bool in_disc(double u, double v) { return u * u + v * v <= 1; }

static bool in_ring(double u, double v) {
    double d = u * u + v * v;
    return d <= 1 && d >= .36;
}

static bool in_crescent(double u, double v) { return u * u + v * v <= 1 && (u - .42) * (u - .42) + v * v > .78 * .78; }

/* Two discs and a kite below them, tangent to them. The textbook curve (u^2 + v^2 - 1)^3 = u^2 v^3 has
 * too shallow a notch: at forty pixels it is a disc. */
static bool in_heart(double u, double v) {
    double a = (u < 0 ? -u : u) - .5, b = v + .35;
    if (a * a + b * b <= .5 * .5) return true;
    return why_synth_in_polygon(heart, (int)(sizeof heart / sizeof *heart), u, v);
}

#define POLYGON(corners) .n = (int)(sizeof(corners) / sizeof *(corners)), .corner = (corners)
const synth_shape why_synth_shapes[WHY_SYNTH_CLASSES] = {
    {.name = "disc", .area = 3.141593, .reach = 1, .inside = in_disc},
    {.name = "ring", .area = 2.010619, .reach = 1, .inside = in_ring},
    {.name = "triangle", .area = 1.299038, .reach = 1, POLYGON(triangle)},
    {.name = "square", .area = 4, .reach = 1.4143, POLYGON(square)},
    {.name = "pentagon", .area = 2.377641, .reach = 1, POLYGON(pentagon)},
    {.name = "star", .area = 1.234349, .reach = 1, POLYGON(star)},
    {.name = "cross", .area = 2.1504, .reach = 1.05, POLYGON(cross)},
    {.name = "crescent", .area = 1.463472, .reach = 1, .inside = in_crescent},
    {.name = "heart", .area = 2.268969, .reach = 1.1104, .inside = in_heart},
    {.name = "arrow", .area = 1.247, .reach = 1.034, POLYGON(arrow)},
};

/* Even-odd rule: how many edges does the ray towards +u cross? */
bool why_synth_in_polygon(const double (*corner)[2], int n, double u, double v) {
    bool in = false;
    for (int i = 0, j = n - 1; i < n; j = i++) {
        const double *a = corner[i], *b = corner[j];
        if ((a[1] > v) != (b[1] > v) && u < a[0] + (b[0] - a[0]) * (v - a[1]) / (b[1] - a[1])) in = !in;
    }
    return in;
}

bool why_synth_in_shape(const synth_shape *shape, double u, double v) {
    return shape->inside ? shape->inside(u, v) : why_synth_in_polygon(shape->corner, shape->n, u, v);
}
