/* Databases into one: rows are matched by what they are (uid), ids are made anew, summaries add up. */
#ifndef WHYPIX_STORE_MERGE_H
#define WHYPIX_STORE_MERGE_H

#include <stdint.h>

#include "whypix/status.h"

typedef struct why_merge_input {
    const char *database;
    const char *maps; /* the folder of its maps; it need not be there */
} why_merge_input;

typedef struct why_merge_result {
    int64_t rows;  /* read from the inputs, dictionaries and summaries apart */
    int64_t twice; /* of those, already there from an earlier input */
    int64_t maps;
} why_merge_result;

/* Make `out`, which must not exist: it appears when it is complete. Of two rows with the same key the first stays, but a done
 * explanation replaces a failed one. Merging the parts of one job gives the tables (the volatile ones apart) that one run
 * would have left. WHY_EARG: `out` is there; WHY_ESTORE: an input cannot be read, or two disagree about an image's hash, label or
 * mask or a model's hash (the text names both values). After an error nothing is left. */
why_status why_store_merge(const char *out, const char *out_maps, const why_merge_input *in, int n, why_merge_result *result) WHY_MUST_USE;

#endif
