/* Tables for people and for papers: aligned text, CSV, Markdown, LaTeX (booktabs). */
#ifndef WHYPIX_CLI_TEXT_TABLE_H
#define WHYPIX_CLI_TEXT_TABLE_H

#include <stdio.h>

#include "whypix/status.h"

typedef enum why_format { WHY_FORMAT_TEXT, WHY_FORMAT_CSV, WHY_FORMAT_MD, WHY_FORMAT_LATEX } why_format;
why_status why_format_parse(const char *text, why_format *out) WHY_MUST_USE;

typedef struct why_text_table why_text_table;

/* `align`: one of l, r, c per column. Heads are copied. */
why_status why_text_table_create(int columns, const char *const *heads, const char *align, why_text_table **out) WHY_MUST_USE;
void why_text_table_destroy(why_text_table **t);
/* `columns` cells, copied; NULL prints as an empty cell. A cell that starts with '*' is a best value: bold in Markdown
 * and LaTeX, followed by '*' in text; the mark is dropped in CSV. */
why_status why_text_table_add(why_text_table *t, const char *const *cells) WHY_MUST_USE;
/* A thin line before the next row (text and LaTeX). */
void why_text_table_rule(why_text_table *t);
why_status why_text_table_print(const why_text_table *t, const char *title, why_format format, FILE *to) WHY_MUST_USE;

#endif
