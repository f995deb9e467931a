#include "base/buf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void why_buf_clear(why_buf *b) {
    free(b->data);
    *b = (why_buf){0};
}

static bool reserve(why_buf *b, size_t more) {
    if (b->failed) return false;
    if (more > SIZE_MAX - b->size || why_grow(&b->data, &b->capacity, b->size + more, 1, "buffer")) b->failed = true;
    return !b->failed;
}

void why_buf_put(why_buf *b, const void *bytes, size_t n) {
    if (n == 0 || !reserve(b, n)) return;
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
}

void why_buf_text(why_buf *b, const char *text) { why_buf_put(b, text, strlen(text)); }

void why_buf_printf(why_buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0 && reserve(b, (size_t)n + 1)) {
        vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void why_buf_json(why_buf *b, const char *text) {
    if (!text) {
        why_buf_text(b, "null");
        return;
    }
    why_buf_text(b, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') why_buf_printf(b, "\\%c", c);
        else if (c == '\n') why_buf_text(b, "\\n");
        else if (c < 0x20) why_buf_printf(b, "\\u%04x", c);
        else why_buf_put(b, &c, 1);
    }
    why_buf_text(b, "\"");
}

void why_buf_number(why_buf *b, double v) {
    if (!isfinite(v)) {
        why_buf_text(b, "null");
        return;
    }
    char text[32];
    if (v == floor(v) && fabs(v) < 1e15) { /* 200, not 2e+02 */
        snprintf(text, sizeof text, "%.0f", v == 0 ? 0.0 : v);
        why_buf_text(b, text);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    why_buf_text(b, text);
}

why_status why_buf_status(const why_buf *b) {
    return b->failed ? why_fail(WHY_ENOMEM, "a buffer of more than %zu bytes does not fit into memory", b->size) : WHY_OK;
}

why_status why_buf_take(why_buf *b, char **out) {
    *out = NULL;
    why_buf_put(b, "", 1);
    if (b->failed) {
        why_status st = why_buf_status(b);
        why_buf_clear(b);
        return st;
    }
    *out = (char *)b->data;
    *b = (why_buf){0};
    return WHY_OK;
}
