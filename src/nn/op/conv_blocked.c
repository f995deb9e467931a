/* Conv on the blocked layout. Which algorithm a layer takes is a function of its shape and of the width of a vector:
 *
 *     STEM       at most 4 input channels: read plain, vectors over the outputs
 *     DEPTHWISE  a filter per channel
 *     WINOGRAD   3x3 of stride 1: F(4x4, 3x3)
 *     PRODUCT    all others whose groups are whole blocks: 1x1 in place, windows gathered tile by tile
 *     NONE       groups that are no whole blocks: the portable path
 *
 * How a layer is cut into pieces does depend on the batch and on the threads. Every output is summed in one fixed order,
 * whatever piece it is in, so its bits do not. */
#include <string.h>

#include "nn/op/conv.h"

enum way { NONE, STEM, DEPTHWISE_PLANES, WINOGRAD, PRODUCT };

/* The columns of a tile, and the inputs of a 1x1 tile, stay in the second-level cache beside a pair of blocks of weights. */
enum { TILE_FLOATS = 48 * 1024, STEM_CHANNELS = 4, STEM_PIXELS = 4096, MIN_WINOGRAD_CHANNELS = 16 };

static bool is_unit(const why_window *w) {
    return w->kh == 1 && w->kw == 1 && w->sh == 1 && w->sw == 1 && !w->pt && !w->pl && w->oh == w->ih && w->ow == w->iw;
}

static bool suits_winograd(const struct conv *c) {
    const why_window *w = &c->win;
    return c->group == 1 && w->kh == 3 && w->kw == 3 && w->sh == 1 && w->sw == 1 && w->dh == 1 && w->dw == 1 &&
           c->cin >= MIN_WINOGRAD_CHANNELS && w->oh >= WHY_TILE && w->ow >= WHY_TILE;
}

static enum way way_of(const struct conv *c, int width) {
    const why_window *w = &c->win;
    if (c->group > 1 && c->cin == 1 && c->cout == 1) return DEPTHWISE_PLANES;
    if (c->group > 1 && (c->cin % width || c->cout % width)) return NONE;
    if (c->group == 1 && c->cin <= STEM_CHANNELS && w->dh == 1 && w->dw == 1) return STEM;
    return suits_winograd(c) ? WINOGRAD : PRODUCT;
}

static bool fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    return why_is_map(&g->values[n->out].shape) && way_of(n->attr, k->width) != NONE;
}

/* A stem's way does not depend on the width. */
static bool reads_plain(const why_node *n) { return way_of(n->attr, 1) == STEM; }

static const char *algorithm(const why_node *n, const why_blocked *k) {
    static const char *const names[] = {
        [NONE] = "", [STEM] = "stem", [DEPTHWISE_PLANES] = "depthwise", [WINOGRAD] = "winograd", [PRODUCT] = "product"};
    return names[way_of(n->attr, k->width)];
}

/* ---------------------------------------------------------------- weights */
static why_status pack_bias(const why_builder *b, struct conv *c, int width) {
    const int outputs = c->group * c->cout;
    float *bias;
    if (!c->b) return WHY_OK;
    WHY_TRY(why_take(b, (size_t)why_blocks(outputs, width) * (size_t)width, sizeof *bias, &bias));
    memcpy(bias, c->b, (size_t)outputs * sizeof *bias);
    c->packed.bias = bias;
    return WHY_OK;
}

static void pack_depthwise(const struct conv *c, int width, float *out) {
    const int taps = c->win.kh * c->win.kw;
    for (int g = 0; g < c->group; g++)
        for (int t = 0; t < taps; t++) out[((ptrdiff_t)(g / width) * taps + t) * width + g % width] = c->w[(ptrdiff_t)g * taps + t];
}

static int64_t group_size(const struct conv *c, enum way way, int width) {
    const int taps = c->win.kh * c->win.kw;
    switch (way) {
    case STEM: return why_packed_product(c->cout, c->cin * taps, 1, width, 1);
    case DEPTHWISE_PLANES: return (int64_t)why_blocks(c->group, width) * taps * width;
    case WINOGRAD: return WHY_POINTS * why_packed_product(c->cout, c->cin, 1, width, width);
    default: return why_packed_product(c->cout, c->cin, taps, width, width);
    }
}

static why_status pack(const why_builder *b, why_node *n, const why_blocked *k) {
    struct conv *c = n->attr;
    const enum way way = way_of(c, k->width);
    const int taps = c->win.kh * c->win.kw, groups = way == DEPTHWISE_PLANES ? 1 : c->group;
    const int64_t size = group_size(c, way, k->width);
    float *w;
    WHY_TRY(pack_bias(b, c, k->width));
    WHY_TRY(why_take(b, (size_t)(groups * size), sizeof *w, &w));
    for (int g = 0; g < groups; g++) {
        const float *from = c->w + (ptrdiff_t)g * c->cout * c->k;
        if (way == DEPTHWISE_PLANES) pack_depthwise(c, k->width, w);
        else if (way == STEM) why_pack_product(from, c->cout, c->cin * taps, 1, k->width, 1, w);
        else if (way == WINOGRAD) why_pack_winograd(from, c->cout, c->cin, k->width, w + g * size);
        else why_pack_product(from, c->cout, c->cin, taps, k->width, k->width, w + g * size);
    }
    c->packed.w = w;
    c->packed.group_size = size;
    return WHY_OK;
}

/* ---------------------------------------------------------------- pieces */
/* `n` things in pieces of at most `most`, made even and a multiple of `step`. */
struct cut {
    int64_t n, each;
    int pieces;
};

static struct cut cut(int64_t n, int64_t most, int step) {
    const int64_t parts = (n + most - 1) / most, each = ((n + parts - 1) / parts + step - 1) / step * step;
    return (struct cut){n, each, (int)((n + each - 1) / each)};
}

static int64_t cut_end(const struct cut *c, int64_t piece) { return (piece + 1) * c->each < c->n ? (piece + 1) * c->each : c->n; }

/* Where tiles are fewer than threads, outputs are shared out as well, in pairs of blocks. */
static struct cut cut_outputs(int blocks, int64_t tiles, int threads) {
    const int64_t parts = tiles >= 2 * threads || threads == 1 ? 1 : (2 * threads + tiles - 1) / tiles;
    return cut(blocks, (blocks + parts - 1) / parts, 2);
}

static int64_t columns_of(const struct conv *c, int width) {
    return (int64_t)why_blocks(c->cin, width) * width * (is_unit(&c->win) ? 1 : c->win.kh * c->win.kw);
}

static struct cut product_tiles(const struct conv *c, const why_blocked *k) {
    int64_t most = TILE_FLOATS / columns_of(c, k->width) / k->pixels * k->pixels;
    if (most < 4 * k->pixels) most = 4 * k->pixels;
    return cut((int64_t)c->win.oh * c->win.ow, most, k->pixels);
}

static struct cut stem_tiles(const struct conv *c) { return cut(c->win.oh, (STEM_PIXELS + c->win.ow - 1) / c->win.ow, 1); }

/* Many tiles read the weights less often, few stay in a nearer cache. */
static int64_t winograd_most(const struct conv *c, const why_blocked *k) {
    const int64_t want = (int64_t)c->cin * c->cout >= 128 * 128 ? 96 : 48;
    return want / k->pixels * k->pixels;
}

static int winograd_across(int n) { return (n + WHY_TILE - 1) / WHY_TILE; }

static struct cut winograd_tiles(const struct conv *c, const why_call *r) {
    const int64_t tiles = (int64_t)r->n * winograd_across(c->win.oh) * winograd_across(c->win.ow);
    int64_t most = winograd_most(c, r->blocked), share = (tiles + r->threads - 1) / r->threads;
    if (share < most && share >= 2 * r->blocked->pixels) most = share;
    return cut(tiles, most, r->blocked->pixels);
}

static struct cut conv_outputs(const struct conv *c, const why_call *r, int64_t tiles) {
    return cut_outputs(why_blocks(c->cout, r->blocked->width), tiles, r->threads);
}

static int pieces(const why_call *r) {
    const struct conv *c = r->node->attr;
    struct cut tiles;
    switch (way_of(c, r->blocked->width)) {
    case STEM: return r->n * stem_tiles(c).pieces;
    case DEPTHWISE_PLANES: return r->n * why_blocks(c->group, r->blocked->width);
    case WINOGRAD: tiles = winograd_tiles(c, r); return tiles.pieces * conv_outputs(c, r, tiles.pieces).pieces;
    default:
        tiles = product_tiles(c, r->blocked);
        return r->n * c->group * tiles.pieces * conv_outputs(c, r, (int64_t)r->n * c->group * tiles.pieces).pieces;
    }
}

static size_t scratch(const why_node *n, const why_blocked *k) {
    const struct conv *c = n->attr;
    switch (way_of(c, k->width)) {
    case STEM: return (size_t)why_stem_scratch(&c->win, (int)stem_tiles(c).each);
    case WINOGRAD:
        return (size_t)why_winograd_scratch(why_blocks(c->cin, k->width), why_blocks(c->cout, k->width), winograd_most(c, k), k->width);
    case PRODUCT: return is_unit(&c->win) ? 0 : (size_t)(columns_of(c, k->width) * product_tiles(c, k).each);
    default: return 0;
    }
}

/* ---------------------------------------------------------------- forward */
static int64_t out_plane(const struct conv *c, int width) { return (int64_t)c->win.oh * c->win.ow * width; }

/* Sums of `image` from element `at` of the output on. */
static why_finish finish_at(const why_call *r, const struct conv *c, int image, int64_t at, int block) {
    const int width = r->blocked->width;
    return (why_finish){.bias = c->packed.bias ? c->packed.bias + (ptrdiff_t)block * width : NULL,
                        .add = r->add ? r->add + image * r->add_image + at : NULL,
                        .add_block = out_plane(c, width),
                        .clamp = r->clamp};
}

static void stem(const why_call *r, const struct conv *c, int piece) {
    const struct cut rows = stem_tiles(c);
    const int image = piece / rows.pieces, at = piece % rows.pieces, width = r->blocked->width;
    const why_stem s = {.win = c->win,
                        .out_blocks = why_blocks(c->cout, width),
                        .x = r->in[0] + image * r->in_image[0],
                        .w = c->packed.w,
                        .y = r->out + image * r->out_image,
                        .y_block = out_plane(c, width),
                        .finish = finish_at(r, c, image, 0, 0)};
    r->blocked->stem(&s, (int)(at * rows.each), (int)cut_end(&rows, at), r->scratch);
}

static void depthwise(const why_call *r, const struct conv *c, int piece) {
    const int width = r->blocked->width, blocks = why_blocks(c->group, width), image = piece / blocks, block = piece % blocks;
    const int64_t at = block * out_plane(c, width);
    const why_planes p = {.win = c->win,
                          .x = r->in[0] + image * r->in_image[0] + (int64_t)block * c->win.ih * c->win.iw * width,
                          .w = c->packed.w + (ptrdiff_t)block * c->win.kh * c->win.kw * width,
                          .y = r->out + image * r->out_image + at,
                          .finish = finish_at(r, c, image, at, block)};
    r->blocked->depthwise(&p, 0, c->win.oh);
}

static void winograd(const why_call *r, const struct conv *c, int piece) {
    const int width = r->blocked->width;
    const struct cut tiles = winograd_tiles(c, r), outputs = conv_outputs(c, r, tiles.pieces);
    const int64_t tile = piece / outputs.pieces, o = piece % outputs.pieces;
    const why_winograd w = {.win = c->win,
                            .in_blocks = why_blocks(c->cin, width),
                            .out_blocks = why_blocks(c->cout, width),
                            .tiles_x = winograd_across(c->win.ow),
                            .tiles_y = winograd_across(c->win.oh),
                            .x = r->in[0],
                            .u = c->packed.w,
                            .y = r->out,
                            .x_image = r->in_image[0],
                            .y_image = r->out_image,
                            .add_image = r->add_image,
                            .finish = finish_at(r, c, 0, 0, 0)};
    r->blocked->winograd(&w, tile * tiles.each, cut_end(&tiles, tile), (int)(o * outputs.each), (int)cut_end(&outputs, o), r->scratch);
}

static void product(const why_call *r, const struct conv *c, int piece) {
    const int width = r->blocked->width, in_blocks = why_blocks(c->cin, width), out_blocks = why_blocks(c->cout, width);
    const struct cut tiles = product_tiles(c, r->blocked), outputs = conv_outputs(c, r, (int64_t)r->n * c->group * tiles.pieces);
    const int o = piece % outputs.pieces, tile = piece / outputs.pieces % tiles.pieces, rest = piece / outputs.pieces / tiles.pieces;
    const int group = rest % c->group, image = rest / c->group, from = (int)(tile * tiles.each), to = (int)cut_end(&tiles, tile);
    const int64_t in_plane = (int64_t)c->win.ih * c->win.iw * width, at = group * out_blocks * out_plane(c, width) + (int64_t)from * width;
    const float *x = r->in[0] + image * r->in_image[0] + group * in_blocks * in_plane;
    const why_finish finish = finish_at(r, c, image, at, group * out_blocks);
    why_product p = {.x = x + (int64_t)from * width,
                     .x_block = in_plane,
                     .blocks = in_blocks,
                     .w = c->packed.w + group * c->packed.group_size,
                     .from = (int)(o * outputs.each),
                     .to = (int)cut_end(&outputs, o),
                     .pixels = to - from,
                     .y = r->out + image * r->out_image + at,
                     .y_block = out_plane(c, width),
                     .finish = &finish};
    if (!is_unit(&c->win)) {
        r->blocked->gather(&c->win, x, in_blocks, from, to, r->scratch);
        p.x = r->scratch;
        p.x_block = (ptrdiff_t)(to - from) * width;
        p.blocks = in_blocks * c->win.kh * c->win.kw; /* [block][tap] */
    }
    r->blocked->multiply(&p);
}

static void forward(const why_call *r, int image, int piece, int thread) {
    const struct conv *c = r->node->attr;
    why_call own = *r;
    (void)image;
    own.scratch = r->scratch + (size_t)thread * r->scratch_stride;
    switch (way_of(c, r->blocked->width)) {
    case STEM: stem(&own, c, piece); break;
    case DEPTHWISE_PLANES: depthwise(&own, c, piece); break;
    case WINOGRAD: winograd(&own, c, piece); break;
    default: product(&own, c, piece);
    }
}

const why_blocked_op why_conv_blocked = {.fits = fits,
                                         .adds = true,
                                         .reads_plain = reads_plain,
                                         .pack = pack,
                                         .pieces = pieces,
                                         .forward = forward,
                                         .scratch = scratch,
                                         .algorithm = algorithm};
