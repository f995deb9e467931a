#include "store/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/handle.h"

static const char *const stratum_names[] = {"all", "correct", "wrong"};
_Static_assert(sizeof stratum_names / sizeof *stratum_names == WHY_STRATUM_COUNT, "one name per stratum");

const char *why_stratum_name(why_stratum s) { return stratum_names[s]; }

/* ---------------------------------------------------------------- the table
 * A key in one word: cell_a and cell_b 16 bits each (cell ids end at 65535), metric 30 bits, stratum 2 bits. */
static uint64_t pack(const why_summary_key *k) {
    return (uint64_t)k->cell_a << 48 | (uint64_t)k->cell_b << 32 | (uint64_t)k->metric_id << 2 | (uint64_t)k->stratum;
}

why_summary_key why_summary_key_of(const why_summary *e) {
    uint64_t p = e->packed;
    return (why_summary_key){(int64_t)(p >> 48), (int64_t)(p >> 32 & 65535), (int64_t)(p >> 2 & (WHY_METRIC_ID_LIMIT - 1)),
                             (why_stratum)(p & 3)};
}

/* Where `packed` is or belongs: linear probing from a Fibonacci hash. */
static uint32_t *slot_of(const why_summaries *t, uint64_t packed) {
    size_t i = (size_t)(packed * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (t->n_slots - 1);
    while (t->slots[i] && t->entries[t->slots[i] - 1].packed != packed) i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

/* At most half full. */
static why_status make_room(why_summaries *t) {
    WHY_TRY(why_grow(&t->entries, &t->capacity, t->n + 1, sizeof *t->entries, "summaries"));
    if (2 * (t->n + 1) <= t->n_slots) return WHY_OK;
    size_t n_slots = t->n_slots ? 2 * t->n_slots : 1024;
    uint32_t *slots;
    WHY_TRY(why_alloc(n_slots, sizeof *slots, "summaries", &slots));
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t i = 0; i < t->n; i++) *slot_of(t, t->entries[i].packed) = (uint32_t)i + 1;
    return WHY_OK;
}

why_status why_summaries_find(why_summaries *t, const why_summary_key *key, size_t *index, bool *fresh) {
    WHY_TRY(make_room(t));
    const uint64_t packed = pack(key);
    uint32_t *slot = slot_of(t, packed);
    *fresh = *slot == 0;
    if (*fresh) {
        t->entries[t->n].packed = packed;
        t->entries[t->n].dirty = t->entries[t->n].unbounded = false;
        why_moments_clear(&t->entries[t->n].m);
        *slot = (uint32_t)++t->n;
    }
    *index = *slot - 1;
    return WHY_OK;
}

why_status why_summaries_mark(why_summaries *t, size_t index) {
    if (t->entries[index].dirty) return WHY_OK;
    WHY_TRY(why_grow(&t->dirty, &t->dirty_capacity, t->n_dirty + 1, sizeof *t->dirty, "summaries"));
    t->dirty[t->n_dirty++] = (uint32_t)index;
    t->entries[index].dirty = true;
    return WHY_OK;
}

void why_summaries_clear(why_summaries *t) {
    free(t->entries);
    free(t->slots);
    free(t->dirty);
    *t = (why_summaries){0};
}

/* ---------------------------------------------------------------- with the database */
static void bind_key(why_bound *b, const why_summary_key *k) {
    why_bind_int(b, k->cell_a);
    why_bind_int(b, k->cell_b);
    why_bind_int(b, k->metric_id);
    why_bind_text(b, why_stratum_name(k->stratum));
}

static why_status read_stored(why_store *s, const why_summary_key *key, why_moments *m) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, WHY_SQL_GET_SUMMARY, &b));
    bind_key(&b, key);
    WHY_TRY(why_db_row(s, &b, "read a summary", &row));
    if (!row) return WHY_OK;
    why_status st = why_moments_read(sqlite3_column_blob(b.q, 0), (size_t)sqlite3_column_bytes(b.q, 0), m);
    why_db_reset(&b);
    if (!st) return WHY_OK;
    why_fail_in(st, "%s: summary of cells %lld and %lld, metric %lld", s->path, (long long)key->cell_a, (long long)key->cell_b,
                (long long)key->metric_id);
    return why_fail(WHY_ESTORE, "%s", why_error_text());
}

/* +1 adds the value, -1 takes it back. */
static why_status count_one(why_store *s, const why_summary_key *key, const why_metric_range *range, double value, int sign) {
    size_t i;
    bool fresh;
    WHY_TRY(why_summaries_find(&s->summaries, key, &i, &fresh));
    why_summary *e = &s->summaries.entries[i];
    if (fresh) WHY_TRY(read_stored(s, key, &e->m));
    if (sign > 0) why_moments_add(&e->m, value, range->lo, range->hi);
    else if (why_moments_remove(&e->m, value, range->lo, range->hi)) e->unbounded = true;
    return why_summaries_mark(&s->summaries, i);
}

static why_status count(why_store *s, int64_t image_id, why_summary_key key, double value, int sign) {
    const why_metric_range *range;
    bool known, correct;
    WHY_TRY(why_metric_range_of(s, key.metric_id, &range));
    WHY_TRY(why_image_correct(s, image_id, s->model_of_cell[key.cell_a], &known, &correct));
    WHY_TRY(count_one(s, &key, range, value, sign));
    if (!known) return WHY_OK;
    key.stratum = correct ? WHY_STRATUM_CORRECT : WHY_STRATUM_WRONG;
    return count_one(s, &key, range, value, sign);
}

why_status why_summary_add(why_store *s, int64_t image_id, int64_t cell_a, int64_t cell_b, int64_t metric_id, double value) {
    return count(s, image_id, (why_summary_key){cell_a, cell_b, metric_id, WHY_STRATUM_ALL}, value, +1);
}

why_status why_summary_remove(why_store *s, int64_t image_id, int64_t cell_a, int64_t cell_b, int64_t metric_id, double value) {
    return count(s, image_id, (why_summary_key){cell_a, cell_b, metric_id, WHY_STRATUM_ALL}, value, -1);
}

/* The smallest and largest value that the rows have now: by the keys, image by image. */
static why_status find_bounds(why_store *s, why_summary *e) {
    const why_summary_key key = why_summary_key_of(e);
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, key.cell_b ? WHY_SQL_PAIR_BOUNDS : WHY_SQL_SCORE_BOUNDS, &b));
    why_bind_int(&b, key.cell_a);
    why_bind_int(&b, key.metric_id);
    why_bind_int(&b, s->model_of_cell[key.cell_a]);
    why_bind_int_or_null(&b, key.stratum == WHY_STRATUM_ALL ? -1 : key.stratum == WHY_STRATUM_CORRECT);
    if (key.cell_b) why_bind_int(&b, key.cell_b);
    WHY_TRY(why_db_row(s, &b, "read the values of a summary", &row));
    if (row) why_moments_bound(&e->m, sqlite3_column_double(b.q, 0), sqlite3_column_double(b.q, 1));
    why_db_reset(&b);
    e->unbounded = false;
    return WHY_OK;
}

static why_status drop_one(why_store *s, const why_summary *e) {
    const why_summary_key key = why_summary_key_of(e);
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_DROP_SUMMARY, &b));
    bind_key(&b, &key);
    return why_db_run(s, &b, "delete a summary");
}

static why_status write_one(why_store *s, const why_summary *e) {
    uint8_t exact[WHY_MOMENTS_BYTES];
    const size_t bins = 8 * WHY_MOMENTS_BINS;
    const why_moments *m = &e->m;
    const why_summary_key key = why_summary_key_of(e);
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_SUMMARY, &b));
    why_moments_write(m, exact);
    bind_key(&b, &key);
    why_bind_int(&b, m->n);
    why_bind_int(&b, m->n_null);
    why_bind_real(&b, why_moments_mean(m));
    why_bind_real(&b, why_moments_sd(m));
    why_bind_real(&b, why_moments_lo(m));
    why_bind_real(&b, why_moments_hi(m));
    why_bind_blob(&b, exact + sizeof exact - bins, bins); /* the bins close the exact form */
    why_bind_blob(&b, exact, sizeof exact);
    return why_db_run(s, &b, "write a summary");
}

why_status why_summary_flush(why_store *s) {
    const why_summaries *t = &s->summaries;
    for (size_t i = 0; i < t->n_dirty; i++) {
        why_summary *e = &t->entries[t->dirty[i]];
        if (e->unbounded && e->m.n > 0) WHY_TRY(find_bounds(s, e));
        WHY_TRY(e->m.n + e->m.n_null > 0 ? write_one(s, e) : drop_one(s, e));
    }
    return WHY_OK;
}

void why_summary_written(why_store *s) {
    why_summaries *t = &s->summaries;
    for (size_t i = 0; i < t->n_dirty; i++) t->entries[t->dirty[i]].dirty = false;
    t->n_dirty = 0;
}

/* ---------------------------------------------------------------- recount */
static why_status recount_value(why_store *s, why_summaries *t, sqlite3_stmt *q) {
    why_summary_key key = {sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2), WHY_STRATUM_ALL};
    const bool null = sqlite3_column_type(q, 3) == SQLITE_NULL;
    const why_metric_range *range;
    WHY_TRY(why_metric_range_of(s, key.metric_id, &range));
    for (int part = 0; part < 2; part++) {
        size_t i;
        bool fresh;
        WHY_TRY(why_summaries_find(t, &key, &i, &fresh));
        if (null) why_moments_add_null(&t->entries[i].m);
        else why_moments_add(&t->entries[i].m, sqlite3_column_double(q, 3), range->lo, range->hi);
        if (sqlite3_column_type(q, 4) == SQLITE_NULL) break;
        key.stratum = sqlite3_column_int(q, 4) ? WHY_STRATUM_CORRECT : WHY_STRATUM_WRONG;
    }
    return WHY_OK;
}

static why_status recount(why_store *s, why_summaries *t) {
    static const char sql[] =
        "SELECT v.cell_a, v.cell_b, v.metric_id, v.value, p.class = i.label FROM "
        "(SELECT explanation_id & 65535 cell_a, 0 cell_b, explanation_id >> 16 image_id, metric_id, value FROM score UNION ALL"
        " SELECT a & 65535, b & 65535, a >> 16, metric_id, value FROM pair) v"
        " JOIN cell c ON c.id = v.cell_a JOIN image i ON i.id = v.image_id"
        " LEFT JOIN prediction p ON p.image_id = v.image_id AND p.model_id = c.model_id AND p.rank = 0";
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_prepare(s, sql, &b));
    why_status st = WHY_OK;
    while (!st && row) {
        st = why_db_row(s, &b, "count the values", &row);
        if (!st && row) st = recount_value(s, t, b.q);
    }
    why_db_finalize(&b);
    return st;
}

why_status why_summary_recount(why_store *s) {
    why_summaries_clear(&s->summaries);
    WHY_TRY(why_dictionary_load(s));
    WHY_TRY(recount(s, &s->summaries));
    for (size_t i = 0; i < s->summaries.n; i++) WHY_TRY(why_summaries_mark(&s->summaries, i));
    return WHY_OK;
}

static why_status summary_differs(why_store *s, const why_summary_key *k, int64_t stored, int64_t counted) {
    return why_fail(
        WHY_ESTORE,
        "%s: the summary of cell %lld, cell %lld, metric %lld, stratum %s disagrees with the rows: it holds %lld values, the rows %lld%s",
        s->path, (long long)k->cell_a, (long long)k->cell_b, (long long)k->metric_id, why_stratum_name(k->stratum), (long long)stored,
        (long long)counted, stored == counted ? " (others)" : "");
}

static why_status compare_one(why_store *s, const why_summary *e) {
    const why_summary_key key = why_summary_key_of(e);
    why_moments stored = {0};
    WHY_TRY(read_stored(s, &key, &stored));
    if (memcmp(&stored, &e->m, sizeof stored) == 0) return WHY_OK;
    return summary_differs(s, &key, stored.n + stored.n_null, e->m.n + e->m.n_null);
}

static why_status compare_all(why_store *s, const why_summaries *t) {
    why_bound b;
    bool row;
    for (size_t i = 0; i < t->n; i++) WHY_TRY(compare_one(s, &t->entries[i]));
    WHY_TRY(why_db_prepare(s, "SELECT count(*) FROM summary", &b));
    why_status st = why_db_row(s, &b, "count the summaries", &row);
    int64_t n = !st && row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_finalize(&b);
    if (!st && n != (int64_t)t->n) st = why_fail(WHY_ESTORE, "%s: %lld summaries, the rows make %zu", s->path, (long long)n, t->n);
    return st;
}

why_status why_store_check_summary(why_store *s) {
    why_summaries counted = {0};
    if (s->in_transaction) WHY_TRY(why_summary_flush(s));
    why_status st = why_dictionary_load(s);
    if (!st) st = recount(s, &counted);
    if (!st) st = compare_all(s, &counted);
    why_summaries_clear(&counted);
    return st;
}
