/* The tables of `whypix table`: each is one query. */
#ifndef WHYPIX_CLI_VIEWS_H
#define WHYPIX_CLI_VIEWS_H

/* The query goes on behind a WITH that has
 *
 *     control(name)            the control explainers
 *     masked(name)             the metrics that need a mask
 *     shown(statistic)         one row: mean, sd, median, valid or undefined
 *     class_name(class, name)  the lines of --labels; no row without
 *
 * A value that starts with '*' is a best one. Means come from `summary`, so that a table costs the same for ten images as for a
 * million; what must read every row (medians, images, curves) says so.
 *
 * keys = 0: rows as they come, aligned as `align` says. keys = k: the first k columns name a table of their own, the last three
 * are its row, its column and the value there; CSV stays long. */
typedef struct why_view {
    const char *name, *help, *align;
    int keys;
    const char *sql;
} why_view;

extern const why_view why_views[]; /* THE table; ends with a NULL name */

#endif
