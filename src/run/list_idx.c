/* MNIST and its successors: IDX files (big-endian: two zero bytes, the type, the number of dimensions, the dimensions, the values),
 * as they are or gzipped. "train-images-idx3-ubyte" and "train-labels-idx1-ubyte" belong together. Pictures become PNGs. */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/file.h"
#include "run/listing.h"
#include "whypix/image.h"

enum { UBYTE = 8, MAX_SIDE = 65535 };

struct idx {
    gzFile file;
    const char *path;
    uint32_t n, h, w; /* h and w: 1 in a file of labels */
};

static why_status read_bytes(struct idx *f, void *to, size_t n) {
    if (gzread(f->file, to, (unsigned)n) == (int)n) return WHY_OK;
    return why_fail(WHY_EFORMAT, "%s: ends too early, or is a broken gzip file", f->path);
}

static why_status read_size(struct idx *f, uint32_t *out) {
    uint8_t b[4];
    WHY_TRY(read_bytes(f, b, sizeof b));
    *out = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return WHY_OK;
}

static why_status read_head(struct idx *f, int dims) {
    uint8_t head[4];
    WHY_TRY(read_bytes(f, head, sizeof head));
    if (head[0] || head[1] || head[2] != UBYTE || head[3] != dims)
        return why_fail(WHY_EFORMAT, "%s: is no IDX file of bytes with %d dimension%s: it begins %02x %02x %02x %02x", f->path, dims,
                        dims == 1 ? "" : "s", head[0], head[1], head[2], head[3]);
    WHY_TRY(read_size(f, &f->n));
    f->h = f->w = 1;
    if (dims == 1) return WHY_OK;
    WHY_TRY(read_size(f, &f->h));
    WHY_TRY(read_size(f, &f->w));
    if (f->h < 1 || f->w < 1 || f->h > MAX_SIDE || f->w > MAX_SIDE || (uint64_t)f->h * f->w > INT32_MAX)
        return why_fail(WHY_EFORMAT, "%s: says %u x %u pixels", f->path, f->w, f->h);
    return WHY_OK;
}

static why_status open_idx(const char *path, int dims, struct idx *out) {
    *out = (struct idx){.path = path, .file = gzopen(path, "rb")};
    if (!out->file) return why_fail(WHY_EFILE, "%s: cannot be opened", path);
    return read_head(out, dims);
}

static void close_idx(struct idx *f) {
    if (f->file) gzclose_r(f->file);
    f->file = NULL;
}

/* ---------------------------------------------------------------- pictures */
static why_status add_picture(why_listing *l, const struct idx *f, const char *set, uint32_t i, const uint8_t *px, uint8_t label) {
    const char *name = why_listing_text(l, "%s/%05u.png", set, i), *number = why_listing_text(l, "%u", label);
    const char *path = name ? why_listing_path(l, why_listing_opts(l)->write, name) : NULL;
    if (!path || !number) return WHY_ENOMEM;
    if (why_listing_leaves_out(l, number)) return WHY_OK;
    WHY_TRY(why_grey_save_png(px, (int)f->h, (int)f->w, path));
    return why_listing_add(l, &(why_list_row){.image = path, .label = number, .split = strcmp(set, "t10k") == 0 ? "test" : set});
}

static why_status add_pictures(why_listing *l, struct idx *images, struct idx *labels, const char *set) {
    const int64_t limit = why_listing_opts(l)->limit;
    const size_t size = (size_t)images->h * images->w;
    uint8_t *px, label;
    if (images->n != labels->n)
        return why_fail(WHY_EFORMAT, "%s: holds %u pictures, %s %u labels", images->path, images->n, labels->path, labels->n);
    WHY_TRY(why_alloc(size, 1, "a picture", &px));
    why_status st = WHY_OK;
    for (uint32_t i = 0; !st && i < images->n && (limit < 0 || i < limit); i++) {
        st = read_bytes(images, px, size);
        if (!st) st = read_bytes(labels, &label, 1);
        if (!st) st = add_picture(l, images, set, i, px, label);
    }
    free(px);
    return st;
}

static why_status add_pair(why_listing *l, const char *images, const char *labels, const char *set) {
    const char *folder = why_listing_path(l, why_listing_opts(l)->write, set);
    struct idx a, b = {0};
    if (!folder) return WHY_ENOMEM;
    WHY_TRY(why_make_dirs(folder));
    why_status st = open_idx(images, 3, &a);
    if (!st) st = open_idx(labels, 1, &b);
    if (!st) st = add_pictures(l, &a, &b, set);
    close_idx(&a);
    close_idx(&b);
    return st ? why_listing_failed(l, st, images) : WHY_OK;
}

/* ".../train-images-idx3-ubyte.gz" -> its labels and "train". Some archives write a dot before idx. */
static why_status add_file(why_listing *l, const char *path) {
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path, *middle = strstr(file, "-images");
    if (!middle || !strstr(middle, "idx3")) return WHY_OK;
    const char *set = why_listing_text(l, "%.*s", (int)(middle - file), file);
    char *labels = why_arena_strdup(why_listing_arena(l), path);
    if (!set || !labels) return WHY_ENOMEM;
    char *at = labels + (middle - path);
    memcpy(at, "-labels", 7);
    strstr(at, "idx3")[3] = '1';
    return add_pair(l, path, labels, set);
}

static why_status read_idx(why_listing *l) {
    const why_listing_options *o = why_listing_opts(l);
    why_files files;
    if (!o->write) return why_fail(WHY_EARG, "--write is missing: the folder where pictures of IDX files go as PNGs");
    WHY_TRY(why_files_below(why_listing_arena(l), o->path, NULL, &files));
    why_status st = WHY_OK;
    for (size_t i = 0; !st && i < files.n; i++) {
        const char *path = why_listing_path(l, o->path, files.path[i]);
        st = path ? add_file(l, path) : WHY_ENOMEM;
    }
    why_files_clear(&files);
    return st;
}

const why_list_kind why_list_idx = {
    .name = "idx",
    .path = "a folder with MNIST's files, e.g. train-images-idx3-ubyte.gz and its labels",
    .help = "pictures are written as PNGs to --write DIR; split: train, or test for t10k",
    .takes = "write limit",
    .read = read_idx,
};
