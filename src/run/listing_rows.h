/* What an image list is while it is being made; private to listing*.c. */
#ifndef WHYPIX_RUN_LISTING_ROWS_H
#define WHYPIX_RUN_LISTING_ROWS_H

#include "run/listing.h"

enum { WHY_REFUSALS_SHOWN = 20 };

struct why_listing {
    const why_list_kind *kind;
    const why_listing_options *options; /* borrowed from the caller */
    why_arena *arena;
    why_list_row *row;
    size_t n, capacity;
    struct class_name {
        const char *name;
        int class_index;
        bool whole; /* the line, not its first word */
    } *names;       /* sorted by name, whole lines first; NULL: no label file */
    size_t n_names;
    int n_classes;
    struct refusal {
        const char *what, *why;
    } refused[WHY_REFUSALS_SHOWN]; /* the first ones */
    size_t n_refused, n_left_out;
};

#endif
