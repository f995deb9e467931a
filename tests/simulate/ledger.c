#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- invented results */
static double invented(int image, int a, int b) { return sin(image * 12.9898 + a * 78.233 + b * 37.719); }
static bool is_bad(int image) { return image % 11 == 7; }

static void put_explanation(why_buf *b, int image, int cell) {
    uint8_t thumb[2600];
    memset(thumb, image, sizeof thumb);
    why_row row = {.type = WHY_ROW_EXPLANATION};
    row.u.explanation.image_id = image;
    row.u.explanation.cell_id = cell;
    row.u.explanation.status = is_bad(image) ? "failed" : "done";
    row.u.explanation.evaluations = 100;
    row.u.explanation.fit = row.u.explanation.vmin = invented(image, cell, 0);
    row.u.explanation.residual = row.u.explanation.se_range = NAN;
    row.u.explanation.vmax = 1;
    row.u.explanation.map = row.u.explanation.map_sha256 = "";
    row.u.explanation.thumb = thumb;
    row.u.explanation.thumb_size = image % 4 ? 64 : sizeof thumb; /* every fourth record takes several messages */
    row.u.explanation.error = is_bad(image) ? "truncated" : "";
    why_record_put(b, &row);
}

static void put_pair(why_buf *b, int image, int i, int k) {
    why_row row = {.type = WHY_ROW_PAIR};
    row.u.pair.a = why_explanation_id(image, i);
    row.u.pair.b = why_explanation_id(image, k);
    row.u.pair.metric_id = METRIC;
    row.u.pair.value = image % 5 ? invented(image, i, k) : NAN;
    row.u.pair.why = image % 5 ? "" : "constant map";
    why_record_put(b, &row);
}

static void make_record(why_buf *b, int image) {
    if (is_bad(image)) {
        why_row row = {.type = WHY_ROW_FAILURE};
        row.u.failure.image_id = image;
        row.u.failure.reason = "truncated";
        why_record_put(b, &row);
    }
    for (int c = 1; c <= CELLS; c++) put_explanation(b, image, c);
    for (int i = 1; i <= CELLS && !is_bad(image); i++)
        for (int k = i + 1; k <= CELLS; k++) put_pair(b, image, i, k);
    why_record_finish(b);
    if (why_buf_status(b)) abort();
}

void make_records(why_buf records[MAX_IMAGES]) {
    for (int i = 0; i < MAX_IMAGES; i++) make_record(&records[i], i + 1);
}

/* ---------------------------------------------------------------- between launches */
static void roll_back(ledger *db) {
    memset(db->image_txn, 0, sizeof db->image_txn);
    db->shards_txn = db->shards;
    db->in_transaction = db->spoilt = false;
}

void ledger_launch(world *w) {
    ledger *db = &w->db;
    roll_back(db);
    memset(db->sent, 0, sizeof db->sent);
    db->fails_in = db->dies_in = 0;
    w->n_todo = 0;
    for (int i = 0; i < w->n_images; i++)
        if (db->image[i] == OPEN) w->todo[w->n_todo++] = i;
}

bool ledger_complete(const world *w) {
    for (int i = 0; i < w->n_images; i++)
        if (w->db.image[i] == OPEN) return false;
    return true;
}

/* ---------------------------------------------------------------- calls of the product */
why_status __real_why_store_begin(why_store *s);
why_status __real_why_store_commit(why_store *s);
void __real_why_store_rollback(why_store *s);
why_status __real_why_store_apply(why_store *s, int64_t run_id, int64_t shard_id, int attempt, const uint8_t *record, size_t n);
why_status __real_why_store_put_shard(why_store *s, const why_shard_row *row);
why_status __wrap_why_store_begin(why_store *s);
why_status __wrap_why_store_commit(why_store *s);
void __wrap_why_store_rollback(why_store *s);
why_status __wrap_why_store_apply(why_store *s, int64_t run_id, int64_t shard_id, int attempt, const uint8_t *record, size_t n);
why_status __wrap_why_store_put_shard(why_store *s, const why_shard_row *row);
why_status __wrap_why_store_todo(why_store *s, int64_t image_id, uint64_t **cells, size_t *n_words);
why_status __wrap_why_store_picture(why_store *s, int64_t image_id, char sha256[65]);

/* What every call has in common: rank 0 may be dead, may be killed now, or the call may fail. */
static why_status enter(world *w, const char *call) {
    ledger *db = &w->db;
    if (w->ranks[0].p.dead) return why_fail(WHY_ESTORE, "killed");
    if (db->dies_in > 0 && --db->dies_in == 0) {
        kill_process(w, 0, "killed in a call of the database");
        return why_fail(WHY_ESTORE, "killed");
    }
    if (db->fails_in == 0 || --db->fails_in > 0) return WHY_OK;
    tell(w, "database: %s fails", call);
    w->store_failed = db->spoilt = true;
    return why_fail(WHY_ESTORE, "database or disk is full");
}

why_status __wrap_why_store_begin(why_store *s) {
    world *w = the_world;
    WHY_TRY(enter(w, "begin"));
    EXPECT(w, !w->db.in_transaction, "begin within a transaction");
    w->db.in_transaction = true;
    return w->db.real ? __real_why_store_begin(s) : WHY_OK;
}

why_status __wrap_why_store_commit(why_store *s) {
    world *w = the_world;
    ledger *db = &w->db;
    WHY_TRY(enter(w, "commit"));
    EXPECT(w, db->in_transaction && !db->spoilt, "commit without a sound transaction");
    if (db->real) WHY_TRY(__real_why_store_commit(s));
    for (int i = 0; i < w->n_images; i++)
        if (db->image_txn[i] != OPEN) db->image[i] = db->image_txn[i];
    db->shards = db->shards_txn;
    roll_back(db);
    tell(w, "commit");
    return WHY_OK;
}

void __wrap_why_store_rollback(why_store *s) {
    if (the_world->ranks[0].p.dead) return;
    tell(the_world, "rollback");
    roll_back(&the_world->db);
    if (the_world->db.real) __real_why_store_rollback(s);
}

static bool is_reason(const char *text) { return strncmp(text, "cost ", 5) == 0 || strncmp(text, "killed its worker ", 18) == 0; }

/* Whatever reached the database must be the one right record of its image, or the failure that the desk writes. */
static fate judge_record(world *w, const uint8_t *record, size_t n, int *image) {
    size_t at = 0;
    bool more;
    why_row row;
    EXPECT(w, why_record_check(record, n) == WHY_OK && why_record_next(record, n, &at, &row, &more) == WHY_OK, "a damaged record is stored");
    *image = (int)(row.type == WHY_ROW_FAILURE ? row.u.failure.image_id : row.u.explanation.image_id) - 1;
    EXPECT(w, *image >= 0 && *image < w->n_images, "a record of image %d is stored", *image + 1);
    const why_buf *want = &w->records[*image];
    if (want->size == n && memcmp(want->data, record, n) == 0) return DONE;
    EXPECT(w, row.type == WHY_ROW_FAILURE && is_reason(row.u.failure.reason), "image %d: a wrong record is stored", *image + 1);
    return GIVEN_UP;
}

/* An image may be given up only for good reason. */
static void check_giving_up(world *w, int image) {
    const bool poisonous = image == w->poison;
    EXPECT(w, poisonous || w->disturbed >= 2, "image %d is given up after %d faults", image + 1, w->disturbed);
    EXPECT(w, w->db.sent[image] >= 2, "image %d is given up after %d attempts", image + 1, w->db.sent[image]);
}

why_status __wrap_why_store_apply(why_store *s, int64_t run_id, int64_t shard_id, int attempt, const uint8_t *record, size_t n) {
    world *w = the_world;
    ledger *db = &w->db;
    int image;
    WHY_TRY(enter(w, "apply"));
    EXPECT(w, db->in_transaction && !db->spoilt, "a record outside a sound transaction");
    const fate f = judge_record(w, record, n, &image);
    EXPECT(w, db->image[image] == OPEN && db->image_txn[image] == OPEN, "image %d is stored twice", image + 1);
    if (f == GIVEN_UP) check_giving_up(w, image);
    db->image_txn[image] = f;
    tell(w, "apply image %d%s", image + 1, f == GIVEN_UP ? " (given up)" : "");
    return db->real ? __real_why_store_apply(s, run_id, shard_id, attempt, record, n) : WHY_OK;
}

/* A shard's images follow each other in the list of this launch. */
static void count_sent(world *w, const why_shard_row *row) {
    int k = 0;
    while (k < w->n_todo && w->todo[k] + 1 != row->first) k++;
    EXPECT(w, row->n > 0 && k + row->n <= w->n_todo, "shard %lld: %lld images from image %lld", (long long)row->id, (long long)row->n, (long long)row->first);
    for (int i = k; i < k + (int)row->n; i++) w->db.sent[w->todo[i]]++;
}

why_status __wrap_why_store_put_shard(why_store *s, const why_shard_row *row) {
    world *w = the_world;
    ledger *db = &w->db;
    WHY_TRY(enter(w, "put_shard"));
    EXPECT(w, db->in_transaction && !db->spoilt, "a shard outside a sound transaction");
    const bool opens = strcmp(row->state, "running") == 0;
    EXPECT(w, row->id == db->shards_txn + 1 ? opens : !opens && row->id <= db->shards_txn, "shard %lld becomes %s, there are %lld", (long long)row->id, row->state,
           (long long)db->shards_txn);
    if (opens) {
        count_sent(w, row);
        db->shards_txn++;
    }
    tell(w, "shard %lld: %lld images from %lld, worker %d, attempt %d: %s", (long long)row->id, (long long)row->n, (long long)row->first, row->rank, row->attempts, row->state);
    return db->real ? __real_why_store_put_shard(s, row) : WHY_OK;
}

why_status __wrap_why_store_picture(why_store *s, int64_t image_id, char sha256[65]) {
    (void)s;
    (void)image_id;
    *sha256 = '\0';
    return WHY_OK;
}

why_status __wrap_why_store_todo(why_store *s, int64_t image_id, uint64_t **cells, size_t *n_words) {
    world *w = the_world;
    (void)s;
    *cells = NULL;
    *n_words = 0;
    WHY_TRY(enter(w, "todo"));
    const int i = (int)image_id - 1;
    const bool open = w->db.image[i] == OPEN && w->db.image_txn[i] == OPEN;
    *cells = calloc(1, sizeof **cells);
    if (!*cells) abort();
    **cells = open ? 14 : 0; /* bits 1, 2 and 3 */
    *n_words = 1;
    return WHY_OK;
}
