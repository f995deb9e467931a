#include "store/census.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/handle.h"

enum { CHUNK = 5000 /* rows under one lock */ };

typedef struct counts {
    double wall;
    uint32_t done, failed;
} counts;

typedef struct count {
    why_store *s;
    why_census *out;
    counts *image; /* by id */
    int64_t last_image;
    int64_t run_image; /* the image of the last explanation that the last run made */
} count;

static why_status one_int(why_store *s, const char *sql, int64_t *out) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(s, sql, &b));
    why_status st = why_db_row(s, &b, "count rows", &row);
    *out = !st && row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_finalize(&b);
    return st;
}

/* A row of a chunk; its id is the first column. */
typedef void row_fn(count *c, const why_bound *b, int64_t id);

/* The next chunk of rows with an id above *after, which moves on; *more: it was full. */
static why_status read_chunk(count *c, why_bound *b, row_fn *fn, int64_t *after, bool *more) {
    int n = 0;
    bool row = true;
    for (;;) {
        WHY_TRY(why_db_row(c->s, b, "count rows", &row));
        if (!row) break;
        *after = sqlite3_column_int64(b->q, 0);
        if (*after >> 16 <= c->last_image) fn(c, b, *after);
        n++;
    }
    *more = n == CHUNK;
    return WHY_OK;
}

/* All rows of a query over ids above ?1, at most ?2 of them, of cell ?3 and status ?4. */
static why_status read_all(count *c, const char *sql, row_fn *fn, int64_t cell, const char *status) {
    int64_t after = 0;
    bool more = true;
    why_bound b;
    WHY_TRY(why_db_prepare(c->s, sql, &b));
    why_status st = WHY_OK;
    while (!st && more) {
        b.at = 0;
        why_bind_int(&b, after);
        why_bind_int(&b, CHUNK);
        if (cell) why_bind_int(&b, cell);
        if (status) why_bind_text(&b, status);
        st = read_chunk(c, &b, fn, &after, &more);
    }
    why_db_finalize(&b);
    return st;
}

static void add_done(count *c, const why_bound *b, int64_t id) {
    (void)b;
    c->image[id >> 16].done++;
}

static void add_failed(count *c, const why_bound *b, int64_t id) {
    (void)b;
    c->image[id >> 16].failed++;
}

static void add_timing(count *c, const why_bound *b, int64_t id) {
    c->image[id >> 16].wall += sqlite3_column_double(b->q, 2);
    if (sqlite3_column_int64(b->q, 1) != c->out->run_id) return;
    c->out->run_done++;
    c->out->run_images += id >> 16 != c->run_image; /* ids come in order: image by image */
    c->run_image = id >> 16;
}

/* By the index, which is small: the rows themselves hold the thumbs. A cell that can never be (the mask of an image without
 * one) is a row with status 'failed', but no failure says so: nothing more is to be done about it. */
static why_status count_rows(count *c) {
#define ROWS_OF_CELL "SELECT id FROM explanation INDEXED BY explanation_cell WHERE cell_id = ?3 AND status = ?4 AND id > ?1"
#define FAILURE_OF_ROW "(SELECT 1 FROM failure f WHERE f.image_id = explanation.id >> 16 AND ifnull(f.cell_id, ?3) = ?3)"
    static const char of_cell[] = ROWS_OF_CELL " ORDER BY id LIMIT ?2";
    static const char broken[] = ROWS_OF_CELL " AND EXISTS" FAILURE_OF_ROW " ORDER BY id LIMIT ?2";
    static const char excused[] = ROWS_OF_CELL " AND NOT EXISTS" FAILURE_OF_ROW " ORDER BY id LIMIT ?2";
    static const char timings[] = "SELECT explanation_id, run_id, wall FROM timing WHERE explanation_id > ?1 ORDER BY 1 LIMIT ?2";
    int64_t last_cell;
    WHY_TRY(one_int(c->s, "SELECT ifnull(max(id), 0) FROM cell", &last_cell));
    for (int64_t cell = 1; cell <= last_cell; cell++) {
        WHY_TRY(read_all(c, of_cell, add_done, cell, "done"));
        WHY_TRY(read_all(c, broken, add_failed, cell, "failed"));
        WHY_TRY(read_all(c, excused, add_done, cell, "failed"));
    }
    return read_all(c, timings, add_timing, 0, NULL);
}

/* ---------------------------------------------------------------- what the counts say */
static void list_slow(why_census *out, int64_t id, double wall) {
    int k = WHY_CENSUS_LIST;
    while (k > 0 && out->slowest[k - 1].wall < wall) k--;
    if (k == WHY_CENSUS_LIST) return;
    memmove(&out->slowest[k + 1], &out->slowest[k], (size_t)(WHY_CENSUS_LIST - 1 - k) * sizeof *out->slowest);
    out->slowest[k].image_id = id;
    out->slowest[k].wall = wall;
}

static void conclude(const count *c) {
    why_census *out = c->out;
    int listed = 0;
    for (int64_t id = 1; id <= c->last_image; id++) {
        const counts *i = &c->image[id];
        const bool complete = out->cells > 0 && i->done + i->failed == (uint64_t)out->cells;
        out->done += i->done;
        out->failed += i->failed;
        out->images_done += complete && i->failed == 0;
        out->images_failed += complete && i->failed > 0;
        if (i->wall > 0) list_slow(out, id, i->wall);
        if (i->failed > 0 && listed < WHY_CENSUS_LIST) out->failures[listed++] = id;
    }
}

why_status why_store_census(why_store *s, why_census *out) {
    count c = {.s = s, .out = out};
    *out = (why_census){0};
    WHY_TRY(one_int(s, "SELECT ifnull(max(id), 0) FROM image", &c.last_image));
    WHY_TRY(one_int(s, "SELECT count(*) FROM image", &out->images));
    WHY_TRY(one_int(s, "SELECT count(*) FROM cell", &out->cells));
    WHY_TRY(one_int(s, "SELECT ifnull(max(id), 0) FROM run", &out->run_id));
    WHY_TRY(why_alloc((size_t)c.last_image + 1, sizeof *c.image, "counts of the images", &c.image));
    const why_status st = count_rows(&c);
    if (!st) conclude(&c);
    free(c.image);
    return st;
}
