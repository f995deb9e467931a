#include "image/decode.h"

#include <string.h>

static uint32_t read_uint(const uint8_t *p, int bytes, bool big) {
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint32_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

int why_exif_orientation(const uint8_t *tiff, size_t n) {
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };
    if (n < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0)) return 1;
    const bool big = tiff[0] == 'M';
    const size_t ifd = read_uint(tiff + 4, 4, big);
    if (ifd > n - 2) return 1;
    const size_t entries = read_uint(tiff + ifd, 2, big);
    for (size_t i = 0; i < entries && ifd + 2 + (i + 1) * ENTRY <= n; i++) {
        const uint8_t *entry = tiff + ifd + 2 + i * ENTRY;
        if (read_uint(entry, 2, big) != TAG_ORIENTATION || read_uint(entry + 2, 2, big) != TYPE_SHORT) continue;
        const uint32_t v = read_uint(entry + 8, 2, big);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}
