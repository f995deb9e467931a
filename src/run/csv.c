#include "run/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { MAX_BYTES = 1 << 30 };

why_status why_csv_open(why_arena *arena, const char *file, why_csv *out) {
    uint8_t *bytes;
    size_t size;
    WHY_TRY(why_read_file(file, MAX_BYTES, &bytes, &size));
    const bool binary = memchr(bytes, 0, size) != NULL;
    char *text = binary ? NULL : why_arena_strdup(arena, (const char *)bytes);
    free(bytes);
    if (binary) return why_fail(WHY_EJOB, "%s: holds a NUL byte; CSV text is wanted", file);
    if (!text) return WHY_ENOMEM;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* spreadsheets write a byte order mark */
    *out = (why_csv){.file = file, .at = text, .line = 1, .first = 1};
    return WHY_OK;
}

/* "a ""quoted"" field" -> its value; `at` moves behind the closing quote. */
static why_status unquote(why_csv *c) {
    char *to = c->at, *from = c->at + 1;
    for (;; from++) {
        if (*from == '\0') return why_fail(WHY_EJOB, "%s:%d: a quote is opened and never closed", c->file, c->first);
        if (*from == '\n') c->line++;
        if (*from == '"' && *++from != '"') break;
        *to++ = *from;
    }
    if (*from && !strchr(",\r\n", *from))
        return why_fail(WHY_EJOB, "%s:%d: a character follows the closing quote of a field", c->file, c->line);
    c->at = from;
    *to = '\0';
    return WHY_OK;
}

/* People write "image, label". */
static void trim_field(why_csv *c) {
    char *end = c->at += strcspn(c->at, ",\r\n"), *start = c->field[c->n];
    while (end > start && strchr(" \t", end[-1])) end--;
    if (end < c->at) *end = '\0';
}

/* One field; *last when it ends its row. */
static why_status next_field(why_csv *c, bool *last) {
    if (c->n == WHY_CSV_COLUMNS) return why_fail(WHY_EJOB, "%s:%d: more than %d columns", c->file, c->line, WHY_CSV_COLUMNS);
    c->at += strspn(c->at, " \t");
    c->field[c->n] = c->at;
    const bool quoted = *c->at == '"';
    if (quoted) WHY_TRY(unquote(c));
    const char end = quoted ? *c->at : c->at[strcspn(c->at, ",\r\n")];
    if (!quoted) trim_field(c);
    c->n++;
    *last = end != ',';
    if (end == '\0') return WHY_OK;
    *c->at++ = '\0';
    if (end == '\r' && *c->at == '\n') c->at++;
    if (end != ',') c->line++;
    return WHY_OK;
}

static void skip_blank_lines(why_csv *c) {
    for (; *c->at == '\n' || *c->at == '\r'; c->at++)
        if (*c->at == '\n') c->line++;
}

why_status why_csv_next(why_csv *c, bool *more) {
    bool last = false;
    skip_blank_lines(c);
    c->n = 0;
    c->first = c->line;
    *more = *c->at != '\0';
    while (*more && !last) WHY_TRY(next_field(c, &last));
    return WHY_OK;
}

void why_csv_put(why_buf *b, const char *field) {
    const size_t n = strlen(field);
    const bool plain = !strpbrk(field, ",\"\r\n") && (n == 0 || (!strchr(" \t", field[0]) && !strchr(" \t", field[n - 1])));
    if (plain) {
        why_buf_text(b, field);
        return;
    }
    why_buf_text(b, "\"");
    for (; *field; field++) why_buf_put(b, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    why_buf_text(b, "\"");
}
