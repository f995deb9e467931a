/* CSV files (RFC 4180) with a header: image lists, and the tables that data sets come with. */
#ifndef WHYPIX_RUN_CSV_H
#define WHYPIX_RUN_CSV_H

#include "base/buf.h"
#include "base/mem.h"

enum { WHY_CSV_COLUMNS = 256 };

typedef struct why_csv {
    const char *file;
    char *at;        /* next character; fields are unquoted in place */
    int line, first; /* line of `at`, and of the row just read */
    int n;           /* fields of that row */
    char *field[WHY_CSV_COLUMNS];
} why_csv;

/* The file's text lives in the arena, and so do the fields. */
why_status why_csv_open(why_arena *arena, const char *file, why_csv *out) WHY_MUST_USE;
/* The next row; *more is false at the end of the file. Blank lines are no rows; fields without quotes lose the blanks around
 * them. WHY_EJOB, with file and line: a quote that is never closed, text behind one, more columns than fit. */
why_status why_csv_next(why_csv *c, bool *more) WHY_MUST_USE;
/* One field, quoted when it must be. */
void why_csv_put(why_buf *b, const char *field);

#endif
