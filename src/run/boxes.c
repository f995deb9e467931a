#include "run/boxes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct box {
    long x0, y0, x1, y1;
};

/* Reads the box at *at and moves there where the next one begins; *more is false when it was the last. */
static why_status next_box(const char **at, struct box *b, bool *more) {
    long *const number[] = {&b->x0, &b->y0, &b->x1, &b->y1};
    const char *text = *at;
    char *end = (char *)(uintptr_t)text;
    for (int i = 0; i < 4; i++) {
        const char *from = end;
        *number[i] = strtol(from, &end, 10);
        const bool ends = *end == ' ' || (i == 3 && strchr(";", *end)); /* strchr finds the closing NUL, too */
        if (end == from || !ends) return why_fail(WHY_EJOB, "boxes '%s': want X0 Y0 X1 Y1 in whole pixels, more behind ';'", text);
    }
    end += strspn(end, " ");
    if (b->x0 >= b->x1 || b->y0 >= b->y1)
        return why_fail(WHY_EJOB, "boxes: '%ld %ld %ld %ld' holds no pixel; want X0 < X1 and Y0 < Y1", b->x0, b->y0, b->x1, b->y1);
    if (*end && *end != ';') return why_fail(WHY_EJOB, "boxes '%s': want ';' between two boxes", text);
    *more = *end == ';';
    *at = end + *more;
    return WHY_OK;
}

static long clamp(long v, int n) { return v < 0 ? 0 : v > n ? n : v; }

static why_status fill(const char *text, int h, int w, uint8_t *mask) {
    struct box b;
    for (bool more = true; more;) {
        WHY_TRY(next_box(&text, &b, &more));
        const long x0 = clamp(b.x0, w), x1 = clamp(b.x1, w), y0 = clamp(b.y0, h), y1 = clamp(b.y1, h);
        if (x0 == x1 || y0 == y1)
            return why_fail(WHY_EFORMAT, "box '%ld %ld %ld %ld' lies outside the picture of %d x %d", b.x0, b.y0, b.x1, b.y1, w, h);
        for (long y = y0; mask && y < y1; y++) memset(mask + (size_t)y * (size_t)w + (size_t)x0, 1, (size_t)(x1 - x0));
    }
    return WHY_OK;
}

why_status why_boxes_check(const char *text, int h, int w) { return fill(text, h, w, NULL); }

why_status why_boxes_mask(const char *text, int h, int w, uint8_t **mask) {
    WHY_TRY(why_alloc((size_t)h * (size_t)w, 1, "the mask of a picture's boxes", mask));
    const why_status st = fill(text, h, w, *mask);
    if (st) {
        free(*mask);
        *mask = NULL;
    }
    return st;
}
