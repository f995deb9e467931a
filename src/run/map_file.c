#include "run/map_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/npy.h"
#include "store/archive.h"

static why_status load_archived(const char *maps_dir, const char *name, why_shape *shape, float **map) {
    uint8_t *bytes;
    size_t n;
    WHY_TRY(why_archive_find(maps_dir, name, &bytes, &n));
    const why_status st = bytes ? why_npy_parse_f32(bytes, n, name, shape, map) : WHY_OK;
    free(bytes);
    return st;
}

why_status why_map_file_load(const char *maps_dir, const char *name, float **map, int *h, int *w) {
    why_shape shape = {0};
    why_buf b = {0};
    char *path;
    *map = NULL;
    why_buf_printf(&b, "%s/%s", maps_dir, name);
    WHY_TRY(why_buf_take(&b, &path));
    why_status st = access(path, F_OK) == 0 ? why_npy_load_f32(path, &shape, map) : load_archived(maps_dir, name, &shape, map);
    if (!st && *map && (shape.rank != 2 || shape.dim[0] < 1 || shape.dim[1] < 1 || shape.dim[0] > UINT16_MAX || shape.dim[1] > UINT16_MAX))
        st = why_fail(WHY_EFORMAT, "%s: is no map: its rank is %d", path, shape.rank);
    if (st) {
        free(*map);
        *map = NULL;
    }
    *h = (int)shape.dim[0];
    *w = (int)shape.dim[1];
    free(path);
    return st;
}
