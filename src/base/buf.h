/* A growing byte buffer, also used to build text. Starts as {0}; why_buf_clear frees it. After a failed allocation it
 * stays failed, every further put is ignored, and why_buf_status reports WHY_ENOMEM: check once, at the end. */
#ifndef WHYPIX_BASE_BUF_H
#define WHYPIX_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

typedef struct why_buf {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} why_buf;

void why_buf_clear(why_buf *b);
void why_buf_put(why_buf *b, const void *bytes, size_t n);
void why_buf_text(why_buf *b, const char *text);
void why_buf_printf(why_buf *b, const char *fmt, ...) WHY_PRINTF(2, 3);
/* A JSON string with its quotes, escaped; NULL becomes null. */
void why_buf_json(why_buf *b, const char *text);
/* The shortest decimal text that reads back as the same double; NAN and infinities become null. */
void why_buf_number(why_buf *b, double v);
why_status why_buf_status(const why_buf *b) WHY_MUST_USE;
/* Hand over as an owned, NUL-terminated string; the buffer is empty afterwards. */
why_status why_buf_take(why_buf *b, char **out) WHY_MUST_USE;

#endif
