/* Inpainting by fast marching (Telea 2004, "An image inpainting technique based on the fast marching method"), with the
 * arithmetic of OpenCV 4.6, bit for bit.
 *
 * The hidden area is entered from its border inwards, in the order of the distance T from it (|grad T| = 1, solved pixel by
 * pixel from two neighbours). A reached pixel p becomes the weighted mean of what the known pixels q within the radius
 * extrapolate, I(q) + grad I(q).(p - q), with the weights of Eq. 4: direction |(p - q).grad T(p)|, distance 1/|p - q|^2 (here
 * 1/|p - q|^3) and level 1/(1 + |T(p) - T(q)|). For the known side, T is minus the distance, within the radius.
 *
 * What is fast here: a known pixel's gradient changes only when one of its neighbours is reached, so it is kept with the
 * pixel (one cache line) and not formed again for each of the ~28 pixels that look at it; a pixel's weights serve its three
 * channels; and the front is a heap, which the order of arrival keeps in the order of OpenCV's sorted list. */
#include "whypix/image.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef float four __attribute__((vector_size(16))); /* red, green, blue, nothing */

/* RING waits for the march on the known side, HIDDEN for the one inwards. */
enum { KNOWN, HIDDEN, RING };

typedef struct cell {
    four colour, across, down; /* what pixels that look here see; gradients are doubled, as there */
    float t, usable;           /* usable: 1 for a known pixel, 0 for a hidden one and outside the picture */
    int32_t state;
} cell;
static_assert(sizeof(cell) == 64, "a cell is a cache line");

/* The picture with a border of one known pixel and a margin of unusable ones, so that no look-up needs a check. */
typedef struct march {
    int h, w, radius; /* of the picture */
    ptrdiff_t stride;
    cell *cell;
    uint8_t *picture; /* h*w*3, painted in place */
    uint64_t *heap;   /* distance << 32 | number of the arrival: distances are >= 0, so their bits are in order */
    uint32_t *cell_of, n_heap, arrivals;
    int n_sources; /* pixels within the radius, row by row */
    int32_t *step;
    float *dy, *dx, *nearness, *gap, *usable, *weight;
} march;

/* ---------------------------------------------------------------- memory */
static size_t round_up(size_t n) { return (n + 63) / 64 * 64; }
static size_t cells_of(int h, int w, int radius) { return ((size_t)h + 2 * (size_t)radius) * ((size_t)w + 2 * (size_t)radius); }
static size_t window_of(int radius) { return (2 * (size_t)radius + 1) * (2 * (size_t)radius + 1); }

enum { SOURCE_ARRAYS = 7 };

size_t why_inpaint_scratch(int h, int w, int radius) {
    const size_t pixels = (size_t)h * (size_t)w;
    return 63 + cells_of(h, w, radius) * sizeof(cell) + round_up(pixels * sizeof(uint64_t)) + round_up(pixels * sizeof(uint32_t)) +
           SOURCE_ARRAYS * round_up(window_of(radius) * sizeof(float));
}

static void *take(uint8_t **at, size_t n) {
    void *p = *at;
    *at += round_up(n);
    return p;
}

static void lay_out(march *m, void *scratch) {
    const size_t pixels = (size_t)m->h * (size_t)m->w, window = window_of(m->radius) * sizeof(float);
    uint8_t *at = (uint8_t *)scratch + (64 - (uintptr_t)scratch % 64) % 64;
    m->cell = take(&at, cells_of(m->h, m->w, m->radius) * sizeof(cell));
    m->heap = take(&at, pixels * sizeof *m->heap);
    m->cell_of = take(&at, pixels * sizeof *m->cell_of);
    m->step = take(&at, window);
    m->dy = take(&at, window);
    m->dx = take(&at, window);
    m->nearness = take(&at, window);
    m->gap = take(&at, window);
    m->usable = take(&at, window);
    m->weight = take(&at, window);
}

/* Cell of the picture's pixel; -1 and h, w are the border. */
static uint32_t place(const march *m, int y, int x) { return (uint32_t)((y + m->radius) * m->stride + x + m->radius); }
static void place_back(const march *m, uint32_t at, int *y, int *x) {
    *y = (int)(at / m->stride) - m->radius;
    *x = (int)(at % m->stride) - m->radius;
}

static void list_sources(march *m) {
    const int r = m->radius;
    m->n_sources = 0;
    for (int y = -r; y <= r; y++)
        for (int x = -r; x <= r; x++) {
            const int square = y * y + x * x, i = m->n_sources;
            if (square == 0 || square > r * r) continue;
            m->step[i] = (int32_t)(y * m->stride + x);
            m->dy[i] = (float)-y;
            m->dx[i] = (float)-x;
            m->nearness[i] = (float)(1 / (square * sqrt(square)));
            m->n_sources++;
        }
}

/* ---------------------------------------------------------------- the front */
static void push(march *m, uint32_t at, float t) {
    uint32_t bits, i = m->n_heap++;
    memcpy(&bits, &t, sizeof bits);
    const uint64_t key = (uint64_t)bits << 32 | m->arrivals;
    m->cell_of[m->arrivals++] = at;
    for (; i > 0 && m->heap[(i - 1) / 2] > key; i = (i - 1) / 2) m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = key;
}

static uint32_t pop(march *m) {
    const uint64_t top = m->heap[0], last = m->heap[--m->n_heap];
    uint32_t i = 0;
    for (uint32_t child = 1; child < m->n_heap; child = 2 * i + 1) {
        child += child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child];
        if (m->heap[child] >= last) break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return m->cell_of[(uint32_t)top];
}

/* Distance from one vertical and one horizontal neighbour, either of which may still be unreached. */
static float solve(const cell *a, const cell *b, int unreached) {
    const double ta = a->t, tb = b->t, least = ta < tb ? ta : tb, gap = ta - tb;
    if (a->state != unreached && b->state != unreached) return (float)(fabs(gap) >= 1 ? 1 + least : (ta + tb + sqrt(2 - gap * gap)) * 0.5);
    if (a->state != unreached) return (float)(1 + ta);
    return (float)(b->state != unreached ? 1 + tb : 1 + least);
}

static float distance(const march *m, const cell *c, int unreached) {
    const cell *up = c - m->stride, *down = c + m->stride, *left = c - 1, *right = c + 1;
    return fminf(fminf(solve(up, left, unreached), solve(down, left, unreached)),
                 fminf(solve(up, right, unreached), solve(down, right, unreached)));
}

/* The known pixels beside hidden ones, row by row: where both marches begin. */
static void start(march *m) {
    m->n_heap = m->arrivals = 0;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++) {
            const uint32_t at = place(m, y, x);
            cell *c = &m->cell[at];
            if (c->state == HIDDEN) continue;
            if (c[-1].state != HIDDEN && c[1].state != HIDDEN && c[-m->stride].state != HIDDEN && c[m->stride].state != HIDDEN) continue;
            c->state = KNOWN; /* and no longer RING */
            c->t = 0;
            push(m, at, 0);
        }
}

/* ---------------------------------------------------------------- distances on the known side */
/* Known pixels within the radius (a square) of a hidden one wait for the first march. */
static void mark_ring(march *m, int y, int x) {
    const int r = m->radius;
    for (int v = y - r < 0 ? 0 : y - r; v <= y + r && v < m->h; v++)
        for (int u = x - r < 0 ? 0 : x - r; u <= x + r && u < m->w; u++) {
            cell *c = &m->cell[place(m, v, u)];
            if (c->state == KNOWN) c->state = RING;
        }
}

static bool on_edge_of_hidden(const march *m, const cell *c) {
    if (c->state != HIDDEN) return false;
    return c[-1].state != HIDDEN || c[1].state != HIDDEN || c[-m->stride].state != HIDDEN || c[m->stride].state != HIDDEN;
}

static void mark_rings(march *m) {
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++)
            if (on_edge_of_hidden(m, &m->cell[place(m, y, x)])) mark_ring(m, y, x);
}

static void march_outwards(march *m) {
    const ptrdiff_t to[4] = {-m->stride, -1, m->stride, 1};
    start(m);
    while (m->n_heap > 0) {
        const uint32_t at = pop(m);
        for (int i = 0; i < 4; i++) {
            const uint32_t next = (uint32_t)(at + to[i]);
            cell *c = &m->cell[next];
            if (c->state != RING) continue;
            c->t = distance(m, c, RING);
            c->state = KNOWN;
            push(m, next, c->t);
        }
    }
    for (uint32_t i = 0; i < m->arrivals; i++) m->cell[m->cell_of[i]].t *= -1;
}

/* ---------------------------------------------------------------- painting */
static four colour_at(const march *m, int y, int x) {
    const uint8_t *p = m->picture + 3 * ((ptrdiff_t)y * m->w + x);
    return (four){p[0], p[1], p[2], 0};
}

/* What a known pixel shows to those that look at it. OpenCV's guards against its own edges read the second row and column
 * for the first ones (y, x), and for differences that end at the last ones the ones before (yp, xp). */
static void look(march *m, int y0, int x0) {
    cell *c = &m->cell[place(m, y0, x0)];
    const int y = y0 + (y0 == 0), x = x0 + (x0 == 0), yp = y0 - (y0 == m->h - 1), xp = x0 - (x0 == m->w - 1);
    const bool right = c[1].state != HIDDEN, left = c[-1].state != HIDDEN;
    const bool below = c[m->stride].state != HIDDEN, above = c[-m->stride].state != HIDDEN;
    c->colour = colour_at(m, y, x);
    c->across = c->down = (four){0};
    if (right && left) c->across = (colour_at(m, y, xp + 1) - colour_at(m, y, x - 1)) * 2;
    else if (right) c->across = colour_at(m, y, xp + 1) - c->colour;
    else if (left) c->across = colour_at(m, y, xp) - colour_at(m, y, x - 1);
    if (below && above) c->down = (colour_at(m, yp + 1, x) - colour_at(m, y - 1, x)) * 2;
    else if (below) c->down = colour_at(m, yp + 1, x) - c->colour;
    else if (above) c->down = colour_at(m, yp, x) - colour_at(m, y - 1, x);
}

static void look_if_known(march *m, int y, int x) {
    if (y >= 0 && x >= 0 && y < m->h && x < m->w && m->cell[place(m, y, x)].state != HIDDEN) look(m, y, x);
}

/* After pixel (y, x) was painted: those beside it, and near the edges, where they read at an angle, those around it. */
static void look_around(march *m, int y, int x) {
    const bool angles = y <= 1 || x <= 1;
    for (int v = -1; v <= 1; v++)
        for (int u = -1; u <= 1; u++)
            if (angles || v == 0 || u == 0) look_if_known(m, y + v, x + u);
}

/* Slope of T along one axis from the neighbours that have been reached. */
static float slope(const cell *before, const cell *c, const cell *behind) {
    if (behind->state != HIDDEN) return before->state != HIDDEN ? (behind->t - before->t) * 0.5f : behind->t - c->t;
    return before->state != HIDDEN ? c->t - before->t : 0;
}

static void weigh(const march *m, const cell *c) {
    const float across = slope(c - 1, c, c + 1), down = slope(c - m->stride, c, c + m->stride);
    const int n = m->n_sources;
    float *restrict weight = m->weight, *restrict gap = m->gap, *restrict usable = m->usable;
    const float *restrict dx = m->dx, *restrict dy = m->dy, *restrict nearness = m->nearness;
    for (int i = 0; i < n; i++) {
        const cell *q = c + m->step[i];
        gap[i] = q->t - c->t;
        usable[i] = q->usable;
    }
    for (int i = 0; i < n; i++) {
        const float along = dx[i] * across + dy[i] * down, level = 1 / (1 + fabsf(gap[i]));
        weight[i] = usable[i] * fabsf(nearness[i] * level * (fabsf(along) <= 0.01f ? 0.000001f : along));
    }
}

static uint8_t to_byte(float v) { return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : lrintf(v)); }

static void paint(march *m, const cell *c, int y, int x) {
    four colour = {0}, across = {0}, down = {0};
    float sum = 1e-20f;
    weigh(m, c);
    for (int i = 0; i < m->n_sources; i++) {
        const cell *q = c + m->step[i];
        const float w = m->weight[i];
        if (w == 0) continue;
        colour += w * q->colour;
        across -= w * (q->across * m->dx[i]);
        down -= w * (q->down * m->dy[i]);
        sum += w;
    }
    uint8_t *out = m->picture + 3 * ((ptrdiff_t)y * m->w + x);
    for (int k = 0; k < 3; k++) {
        const float length = sqrtf(across[k] * across[k] + down[k] * down[k]) + 1e-20f;
        out[k] = to_byte(colour[k] / sum + (across[k] + down[k]) / length + 0.5f);
    }
}

static void reach(march *m, uint32_t at) {
    cell *c = &m->cell[at];
    int y, x;
    place_back(m, at, &y, &x);
    c->t = distance(m, c, HIDDEN);
    paint(m, c, y, x);
    c->state = KNOWN;
    c->usable = 1;
    look_around(m, y, x);
    push(m, at, c->t);
}

static void march_inwards(march *m) {
    const ptrdiff_t to[4] = {-m->stride, -1, m->stride, 1};
    for (uint32_t i = 0; i < m->arrivals; i++) { /* all that the first march reached, and only they, are looked at */
        int y, x;
        place_back(m, m->cell_of[i], &y, &x);
        look(m, y, x);
    }
    start(m);
    while (m->n_heap > 0) {
        const uint32_t at = pop(m);
        for (int i = 0; i < 4; i++)
            if (m->cell[at + to[i]].state == HIDDEN) reach(m, (uint32_t)(at + to[i]));
    }
}

/* ---------------------------------------------------------------- entry */
static void read_cells(march *m, const uint8_t *hidden) {
    const size_t n = cells_of(m->h, m->w, m->radius);
    for (size_t i = 0; i < n; i++) m->cell[i] = (cell){.t = 1e6f, .state = KNOWN};
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++) {
            cell *c = &m->cell[place(m, y, x)];
            c->state = hidden[(ptrdiff_t)y * m->w + x] ? HIDDEN : KNOWN;
            c->usable = c->state == KNOWN;
        }
}

void why_inpaint_telea(const uint8_t *rgb, const uint8_t *hidden, int h, int w, int radius, void *scratch, uint8_t *out) {
    march m = {.h = h, .w = w, .radius = radius, .stride = w + 2 * (ptrdiff_t)radius, .picture = out};
    memcpy(out, rgb, 3 * (size_t)h * (size_t)w);
    lay_out(&m, scratch);
    read_cells(&m, hidden);
    list_sources(&m);
    mark_rings(&m);
    march_outwards(&m);
    march_inwards(&m);
}
