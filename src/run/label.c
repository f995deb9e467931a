#include "run/label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/job.h"

enum { MAX_BYTES = 64 << 20 };

/* Cut at line ends in place; a last line without one counts. */
static int cut_lines(char *text, char **line) {
    int n = 0;
    for (char *at = text; *at; n++) {
        char *end = at + strcspn(at, "\n"), *next = *end ? end + 1 : end;
        *end = '\0';
        if (end > at && end[-1] == '\r') end[-1] = '\0';
        if (line) line[n] = at;
        at = next;
    }
    return n;
}

static int count_lines(const char *text) {
    int n = 0;
    for (; *text; n++) {
        text += strcspn(text, "\n");
        if (*text) text++;
    }
    return n;
}

static why_status fill_names(why_arena *arena, char *text, why_labels *l) {
    int lines = count_lines(text);
    int64_t n = lines + l->offset;
    char **line;
    const char **names;
    if (lines == 0) return why_fail(WHY_EJOB, "%s: the label file is empty", l->file);
    if (n < 1 || n > INT32_MAX)
        return why_fail(WHY_EJOB, "%s: %d labels and label_offset %lld leave no class", l->file, lines, (long long)l->offset);
    WHY_TRY(why_arena_array(arena, (size_t)lines, sizeof *line, &line));
    WHY_TRY(why_arena_array(arena, (size_t)n, sizeof *names, &names));
    cut_lines(text, line);
    for (int64_t c = 0; c < n; c++) names[c] = c < l->offset ? "background" : line[c - l->offset];
    l->names = names;
    l->n = (int)n;
    return WHY_OK;
}

why_status why_labels_load(why_arena *arena, const char *file, int64_t offset, why_labels *out) {
    uint8_t *bytes;
    size_t size;
    *out = (why_labels){.offset = offset, .file = why_arena_strdup(arena, file)};
    if (!out->file) return WHY_ENOMEM;
    WHY_TRY(why_read_file(file, MAX_BYTES, &bytes, &size));
    if (memchr(bytes, 0, size)) {
        free(bytes);
        return why_fail(WHY_EJOB, "%s: holds a NUL byte; a label file is text", file);
    }
    char *text = why_arena_strdup(arena, (const char *)bytes);
    free(bytes);
    return text ? fill_names(arena, text, out) : WHY_ENOMEM;
}

static why_status find_name(const why_labels *l, const char *text, int64_t *out) {
    int first = -1;
    if (!l->names) return why_fail(WHY_EJOB, "label '%s' is not a number, and the job names no label file (images: labels)", text);
    for (int c = 0; c < l->n; c++) {
        if (strcmp(l->names[c], text) != 0) continue;
        if (first >= 0)
            return why_fail(WHY_EJOB, "label '%s' stands twice in %s (classes %d and %d): give the number", text, l->file, first, c);
        first = c;
    }
    if (first >= 0) {
        *out = first;
        return WHY_OK;
    }
    const char *nearest = why_nearest(text, l->names, (size_t)l->n);
    return why_fail(WHY_EJOB, "label '%s' is not in %s%s%s%s", text, l->file, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                    nearest ? "'?" : "");
}

why_status why_labels_find(const why_labels *l, const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end) return find_name(l, text, out);
    *out = number + l->offset;
    if (errno || number > INT32_MAX || *out < 0)
        return why_fail(WHY_EJOB, "label %s: want a class number from %lld", text, (long long)(l->offset < 0 ? -l->offset : 0));
    if (l->names && *out >= l->n)
        return why_fail(WHY_EJOB, "label %s is outside the label file: %s has %lld names", text, l->file, (long long)(l->n - l->offset));
    return WHY_OK;
}
