/* One record into the tables. Rows are keyed, and a row that is there already wins: a record applied twice, by a rank that came
 * back from the dead or after a restart, changes nothing, and only new values reach the summaries. */
#include "store/handle.h"

#include <math.h>
#include <string.h>

typedef struct origin {
    int64_t run_id, shard_id;
    int attempt;
} origin;

/* A picture that changes between two runs would silently mix two experiments in one row. */
why_status why_put_picture(why_store *s, int64_t image_id, const char *sha, int64_t width, int64_t height) {
    why_bound b;
    bool found;
    WHY_TRY(why_db_use(s, WHY_SQL_GET_IMAGE, &b));
    why_bind_int(&b, image_id);
    WHY_TRY(why_db_row(s, &b, "read an image", &found));
    if (!found) return why_fail(WHY_ESTORE, "%s: no image has id %lld", s->path, (long long)image_id);
    const char *old = why_db_text(&b, 1);
    const bool fill = !*old && *sha, same = strcmp(old, sha) == 0;
    why_status st = fill || same || !*sha
                        ? WHY_OK
                        : why_fail(WHY_ESTORE, "image '%s' changed since the run: sha256 was %s, is %s", why_db_text(&b, 0), old, sha);
    why_db_reset(&b);
    if (st || !fill) return st;
    WHY_TRY(why_db_use(s, WHY_SQL_SET_IMAGE, &b));
    why_bind_text(&b, sha);
    why_bind_int_or_null(&b, width > 0 ? width : -1);
    why_bind_int_or_null(&b, height > 0 ? height : -1);
    why_bind_int(&b, image_id);
    return why_db_run(s, &b, "write an image");
}

static why_status put_image(why_store *s, const why_row *row) {
    return why_put_picture(s, row->u.image.image_id, row->u.image.sha256, row->u.image.width, row->u.image.height);
}

static why_status put_prediction(why_store *s, const why_row *row) {
    why_bound b;
    s->asked.image_id = 0;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_PREDICTION, &b));
    why_bind_int(&b, row->u.prediction.image_id);
    why_bind_int(&b, row->u.prediction.model_id);
    why_bind_int(&b, row->u.prediction.rank);
    why_bind_int(&b, row->u.prediction.class_index);
    why_bind_real(&b, row->u.prediction.logit);
    why_bind_real(&b, row->u.prediction.prob);
    return why_db_run(s, &b, "write a prediction");
}

static why_status put_explanation(why_store *s, const why_row *row) {
    const int64_t image_id = row->u.explanation.image_id, cell_id = row->u.explanation.cell_id;
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_EXPLANATION, &b));
    why_bind_int(&b, why_explanation_id(image_id, cell_id));
    why_bind_int(&b, image_id);
    why_bind_int(&b, cell_id);
    why_bind_int_or_null(&b, row->u.explanation.class_index);
    why_bind_text(&b, row->u.explanation.status);
    why_bind_int(&b, row->u.explanation.evaluations);
    why_bind_real(&b, row->u.explanation.fit);
    why_bind_real(&b, row->u.explanation.residual);
    why_bind_real(&b, row->u.explanation.se_range);
    why_bind_real(&b, row->u.explanation.ess > 0 ? row->u.explanation.ess : NAN);
    why_bind_text_or_null(&b, row->u.explanation.stop);
    why_bind_real(&b, row->u.explanation.vmin);
    why_bind_real(&b, row->u.explanation.vmax);
    why_bind_text_or_null(&b, row->u.explanation.map);
    why_bind_text_or_null(&b, row->u.explanation.map_sha256);
    why_bind_text_or_null(&b, row->u.explanation.se_map);
    why_bind_blob(&b, row->u.explanation.thumb, row->u.explanation.thumb_size);
    why_bind_text_or_null(&b, row->u.explanation.error);
    return why_db_run(s, &b, "write an explanation");
}

static why_status put_score(why_store *s, const why_row *row) {
    const int64_t id = row->u.score.explanation_id, metric_id = row->u.score.metric_id;
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_SCORE, &b));
    why_bind_int(&b, id);
    why_bind_int(&b, metric_id);
    why_bind_real(&b, row->u.score.value);
    why_bind_text_or_null(&b, row->u.score.why);
    why_bind_int_or_null(&b, row->u.score.evaluations > 0 ? row->u.score.evaluations : -1);
    WHY_TRY(why_db_run(s, &b, "write a score"));
    return sqlite3_changes(s->db) ? why_summary_add(s, id >> 16, id & 65535, 0, metric_id, row->u.score.value) : WHY_OK;
}

static why_status put_pair(why_store *s, const why_row *row) {
    const int64_t a = row->u.pair.a, b_id = row->u.pair.b, metric_id = row->u.pair.metric_id;
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_PAIR, &b));
    why_bind_int(&b, a);
    why_bind_int(&b, b_id);
    why_bind_int(&b, metric_id);
    why_bind_real(&b, row->u.pair.value);
    why_bind_text_or_null(&b, row->u.pair.why);
    WHY_TRY(why_db_run(s, &b, "write a pair"));
    return sqlite3_changes(s->db) ? why_summary_add(s, a >> 16, a & 65535, b_id & 65535, metric_id, row->u.pair.value) : WHY_OK;
}

static why_status put_curve(why_store *s, const why_row *row) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_CURVE, &b));
    why_bind_int(&b, row->u.curve.explanation_id);
    why_bind_int(&b, row->u.curve.metric_id);
    why_bind_int(&b, row->u.curve.step);
    why_bind_real(&b, row->u.curve.x);
    why_bind_real(&b, row->u.curve.y);
    why_bind_real(&b, row->u.curve.logit);
    return why_db_run(s, &b, "write a curve");
}

static why_status put_timing(why_store *s, const why_row *row, const origin *from) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_TIMING, &b));
    why_bind_int(&b, row->u.timing.explanation_id);
    why_bind_int(&b, from->run_id);
    why_bind_int(&b, from->shard_id);
    why_bind_int(&b, from->attempt);
    why_bind_real(&b, row->u.timing.wall);
    why_bind_real(&b, row->u.timing.cpu);
    return why_db_run(s, &b, "write a timing");
}

static why_status put_failure(why_store *s, const why_row *row, const origin *from) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_FAILURE, &b));
    why_bind_int(&b, row->u.failure.image_id);
    why_bind_int_or_null(&b, row->u.failure.cell_id ? row->u.failure.cell_id : -1);
    why_bind_int(&b, from->attempt);
    why_bind_int(&b, from->run_id);
    why_bind_text(&b, row->u.failure.reason);
    return why_db_run(s, &b, "write a failure");
}

/* What other rows refer to, and what decides a stratum, goes first: a record may hold its rows in any order. */
static bool goes_first(why_row_type type) { return type == WHY_ROW_IMAGE || type == WHY_ROW_PREDICTION || type == WHY_ROW_EXPLANATION; }

static why_status put_one(why_store *s, const why_row *row, const origin *from) {
    switch (row->type) {
    case WHY_ROW_IMAGE: return put_image(s, row);
    case WHY_ROW_PREDICTION: return put_prediction(s, row);
    case WHY_ROW_EXPLANATION: return put_explanation(s, row);
    case WHY_ROW_SCORE: return put_score(s, row);
    case WHY_ROW_CURVE: return put_curve(s, row);
    case WHY_ROW_PAIR: return put_pair(s, row);
    case WHY_ROW_TIMING: return put_timing(s, row, from);
    case WHY_ROW_FAILURE: return put_failure(s, row, from);
    case WHY_ROW_END: break;
    }
    return WHY_OK;
}

static int64_t image_of(const why_row *row) {
    switch (row->type) {
    case WHY_ROW_PREDICTION: return row->u.prediction.image_id;
    case WHY_ROW_EXPLANATION: return row->u.explanation.image_id;
    case WHY_ROW_SCORE: return row->u.score.explanation_id >> 16;
    case WHY_ROW_CURVE: return row->u.curve.explanation_id >> 16;
    case WHY_ROW_PAIR: return row->u.pair.a >> 16;
    case WHY_ROW_TIMING: return row->u.timing.explanation_id >> 16;
    case WHY_ROW_FAILURE: return row->u.failure.image_id;
    case WHY_ROW_IMAGE:
    case WHY_ROW_END: break;
    }
    return 0;
}

/* SQLite's "FOREIGN KEY constraint failed" alone would not say whose. */
static why_status put_row(why_store *s, const why_row *row, const origin *from) {
    why_status st = put_one(s, row, from);
    return st && image_of(row) ? why_fail_in(st, "record of image %lld", (long long)image_of(row)) : st;
}

static why_status put_rows(why_store *s, const uint8_t *record, size_t n, bool first, const origin *from) {
    size_t at = 0;
    bool more = true;
    why_row row;
    while (more) {
        WHY_TRY(why_record_next(record, n, &at, &row, &more));
        if (goes_first(row.type) == first) WHY_TRY(put_row(s, &row, from));
    }
    return WHY_OK;
}

why_status why_store_apply(why_store *s, int64_t run_id, int64_t shard_id, int attempt, const uint8_t *record, size_t n) {
    const origin from = {run_id, shard_id, attempt};
    if (!s->in_transaction) return why_fail(WHY_EBUG, "%s: a record outside a transaction", s->path);
    if (s->spoilt)
        return why_fail(WHY_ESTORE, "%s: the last record was applied in part only: the transaction must be rolled back", s->path);
    WHY_TRY(why_record_check(record, n));
    WHY_TRY(why_dictionary_load(s));
    why_status st = s->selecting ? why_supersede(s, run_id, record, n) : WHY_OK;
    if (!st) st = put_rows(s, record, n, true, &from);
    if (!st) st = put_rows(s, record, n, false, &from);
    s->spoilt = st != WHY_OK;
    return st;
}
