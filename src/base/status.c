#include "whypix/status.h"

#include <stdio.h>
#include <string.h>

static _Thread_local char error_text[2048];

why_status why_fail(why_status code, const char *fmt, ...) {
    char text[sizeof error_text]; /* an argument may be the old error text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(error_text, text, sizeof text);
    return code;
}

why_status why_fail_in(why_status code, const char *fmt, ...) {
    char text[sizeof error_text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    if ((size_t)n > sizeof text - 3) n = (int)sizeof text - 3;
    snprintf(text + n, sizeof text - (size_t)n, ": %.*s", (int)(sizeof text - 3 - (size_t)n), error_text);
    memcpy(error_text, text, sizeof text);
    return code;
}

const char *why_error_text(void) { return error_text; }

static const struct {
    const char *name, *text;
} statuses[] = {
#define WHY_STATUS_ROW(code, text) {#code, text},
    WHY_STATUSES(WHY_STATUS_ROW)
#undef WHY_STATUS_ROW
};
_Static_assert(sizeof statuses / sizeof *statuses == WHY_STATUS_COUNT, "one row per status");

const char *why_status_name(why_status code) { return (unsigned)code < WHY_STATUS_COUNT ? statuses[code].name : "WHY_?"; }
const char *why_status_text(why_status code) { return (unsigned)code < WHY_STATUS_COUNT ? statuses[code].text : "unknown status"; }
