/* Image lists made from data sets as they are published: one kind of data set, one file (list_KIND.c), one line of the table in
 * listing_kinds.c. list_folder.c is the shortest; start there for another.
 *
 * A kind hands in a row for each picture. A row that cannot be used is refused with its reason and the rest goes on; only what
 * leaves no list at all (a folder or table that is not there, a full disk) is an error. */
#ifndef WHYPIX_RUN_LISTING_H
#define WHYPIX_RUN_LISTING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"

typedef struct why_listing why_listing;

enum { WHY_LIST_COVARS = 8 };

/* One picture; NULL: none. Paths are to be opened as they are; boxes as run/boxes.h has them. */
typedef struct why_list_row {
    const char *image, *label, *mask, *boxes, *group, *split;
    const char *covar[WHY_LIST_COVARS]; /* in the order of the kind's covars */
} why_list_row;

/* What the user says. A kind's `takes` names the options behind `path`, `labels` and `classes` that mean something to it. */
typedef struct why_listing_options {
    const char *path;                            /* the data set */
    const char *labels;                          /* file of class names: labels become their numbers; NULL: none */
    const char *const *classes; int n_classes;   /* only rows with these labels; 0: all */
    const char *images;                          /* folder of the pictures; NULL: where the data set has it */
    const char *write;                           /* folder for pictures and masks that must be written; NULL: none */
    const char *targets;                         /* file of the labels of an array's pictures */
    const char *column;                          /* the column of a table to use in place of the usual one; NULL: that */
    int64_t limit;                               /* pictures to take from each file of many, or -1 */
} why_listing_options;

typedef struct why_list_kind {
    const char *name, *path, *help; /* path: what PATH is, in a few words */
    const char *takes;              /* "images write": options that it reads, between blanks; "": none */
    const char *covars[WHY_LIST_COVARS + 1];
    why_status (*read)(why_listing *l);
} why_list_kind;

extern const why_list_kind *const why_list_kinds[]; /* THE table, NULL-terminated */
/* WHY_EARG names the nearest one. */
why_status why_list_kind_find(const char *name, const why_list_kind **out) WHY_MUST_USE;

/* The whole list. *out is there after a failure of the kind's reader, too, as long as it is not NULL, so that what was refused can
 * be told. A list without a picture is WHY_EARG. */
why_status why_listing_create(const why_list_kind *kind, const why_listing_options *o, why_listing **out) WHY_MUST_USE;
void why_listing_destroy(why_listing **l);
/* The list as CSV; columns that no row fills are left out. */
void why_listing_csv(const why_listing *l, why_buf *b);
/* For people: pictures per class and split, what was refused and why, groups that stand in several splits. */
void why_listing_report(const why_listing *l, why_buf *b);
/* The names of the classes, sorted, one a line: their numbers are torchvision's for a folder of class folders. */
void why_listing_names(const why_listing *l, why_buf *b);

/* ---------------------------------------------------------------- for the kinds */
why_arena *why_listing_arena(const why_listing *l);
const why_listing_options *why_listing_opts(const why_listing *l);
/* Text that lives as long as the list; NULL when memory is out (error text set). */
const char *why_listing_text(const why_listing *l, const char *fmt, ...) WHY_PRINTF(2, 3);
/* FOLDER/NAME, or NAME alone in folder ".". */
const char *why_listing_path(const why_listing *l, const char *folder, const char *name);

/* Add a row, or refuse it: the picture cannot be read, its label has no number, its mask has another size, ... */
why_status why_listing_add(why_listing *l, const why_list_row *row) WHY_MUST_USE;
/* Refuse `what` (a file, "styles.csv:12"). */
why_status why_listing_refuse(why_listing *l, const char *what, const char *fmt, ...) WHY_PRINTF(3, 4) WHY_MUST_USE;
/* What follows from a call that failed over `what`: the row is refused with the error's text, and WHY_OK returned; but memory that
 * is out and the like stay errors. */
why_status why_listing_failed(why_listing *l, why_status st, const char *what) WHY_MUST_USE;
/* True once: is the label not among the wanted classes? Counted as left out. For kinds that would write pictures in vain. */
bool why_listing_leaves_out(why_listing *l, const char *label);

/* Every file below `folder` whose name ends on .ext (NULL: all), as paths from there, sorted by their bytes. Hidden files and
 * folders, and what macOS packs beside them, are passed over. */
typedef struct why_files {
    const char **path;
    size_t n, capacity;
} why_files;
why_status why_files_below(why_arena *arena, const char *folder, const char *ext, why_files *out) WHY_MUST_USE;
void why_files_clear(why_files *f);
/* fn for each such file below the list's own folder. */
why_status why_listing_each_file(why_listing *l, const char *ext, why_status (*fn)(why_listing *l, const char *name)) WHY_MUST_USE;
bool why_path_exists(const char *path);
/* FOLDER/STEM with the first of .png .jpg .jpeg .JPEG .JPG .PNG that is there; *out NULL: none is. */
why_status why_find_picture(const why_listing *l, const char *folder, const char *stem, const char **out) WHY_MUST_USE;

/* A CSV table of a data set, read row by row with its columns by name. Blanks and underscores in names are the same. */
typedef struct why_table why_table;
why_status why_table_open(why_listing *l, const char *file, why_table **out) WHY_MUST_USE; /* lives in the list's arena */
/* The number of a column; WHY_EJOB names the columns that there are. */
why_status why_table_column(const why_table *t, const char *name, int *out) WHY_MUST_USE;
/* The next row that has all the columns of the header (more of them when `loose`: commas in a last column of free text); others are
 * refused. */
why_status why_table_next(why_table *t, bool loose, bool *more) WHY_MUST_USE;
/* A field of the row without blanks and line ends around it; NULL when that leaves nothing, or there is no such column (-1). */
const char *why_table_field(const why_table *t, int column);
/* "FILE:LINE" of the row. */
const char *why_table_place(const why_table *t);

/* Append a box whose corners are pixels inside it, counted from 1, as PASCAL VOC has them. ImageNet has zeros as well; they mean
 * the first pixel. */
void why_put_voc_box(why_buf *b, double xmin, double ymin, double xmax, double ymax);

#endif
