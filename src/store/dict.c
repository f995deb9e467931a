/* Dictionaries: what the expanded plan names, numbered. A row is found by its uid and keeps its id for ever, so that a job that
 * grew finds its old results; a new row gets the plan's id when it is free, else the next one. Both depend on the database and
 * the plan only, never on ranks. */
#include "store/handle.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* *id = the row's id, 0 when there is none. The statement stays open on the row: reset or read on. */
static why_status find(why_store *s, why_sql which, const char *uid, why_bound *b, int64_t *id) {
    bool row;
    *id = 0;
    WHY_TRY(why_db_use(s, which, b));
    why_bind_text(b, uid);
    WHY_TRY(why_db_row(s, b, "read a dictionary", &row));
    if (row) *id = sqlite3_column_int64(b->q, 0);
    return WHY_OK;
}

static why_status free_id(why_store *s, why_sql which, int64_t *id) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_use(s, which, &b));
    why_bind_int(&b, *id);
    WHY_TRY(why_db_row(s, &b, "read a dictionary", &row));
    if (row) *id = sqlite3_column_int64(b.q, 0);
    why_db_reset(&b);
    s->dictionary_known = false;
    return WHY_OK;
}

/* *id becomes the old row's and *old is true, or a free one. */
static why_status find_or_number(why_store *s, why_sql find_sql, why_sql id_sql, const char *uid, int64_t *id, bool *old) {
    why_bound b;
    int64_t known;
    WHY_TRY(find(s, find_sql, uid, &b, &known));
    why_db_reset(&b);
    *old = known != 0;
    if (!*old) return free_id(s, id_sql, id);
    *id = known;
    return WHY_OK;
}

why_status why_store_put_job(why_store *s, const char *uid, const char *name, const char *yaml, const char *plan_sha, int64_t *id) {
    why_bound b;
    bool old;
    *id = 0; /* plans do not number jobs: the next free id */
    WHY_TRY(find_or_number(s, WHY_SQL_FIND_JOB, WHY_SQL_ID_JOB, uid, id, &old));
    if (old) { /* the same job over a longer list, say */
        WHY_TRY(why_db_use(s, WHY_SQL_SET_JOB, &b));
        why_bind_text(&b, plan_sha);
        why_bind_int(&b, *id);
        return why_db_run(s, &b, "write the job");
    }
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_JOB, &b));
    why_bind_int(&b, *id);
    why_bind_text(&b, uid);
    why_bind_text(&b, name);
    why_bind_text(&b, yaml);
    why_bind_text(&b, plan_sha);
    return why_db_run(s, &b, "write the job");
}

why_status why_store_find_job(why_store *s, const char *uid, int64_t *id) {
    why_bound b;
    WHY_TRY(find(s, WHY_SQL_FIND_JOB, uid, &b, id));
    why_db_reset(&b);
    return WHY_OK;
}

/* ---------------------------------------------------------------- images */
static const char *or_none(const char *text) { return text ? text : "none"; }
static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }
static const char *column(const why_bound *b, int i) { return (const char *)sqlite3_column_text(b->q, i); }

/* FIND_IMAGE's row against what the list says now. */
static why_status check_image(const why_bound *b, const why_dict_image *row) {
    if (!same_text(column(b, 1), row->path))
        return why_fail(WHY_ESTORE, "image '%s': the database calls it '%s'", row->path, or_none(column(b, 1)));
    const int64_t label = sqlite3_column_type(b->q, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(b->q, 2);
    if (label != (row->label < 0 ? -1 : row->label))
        return why_fail(WHY_ESTORE, "image '%s': its label was %lld, is %lld (-1: none); another database is wanted", row->path,
                        (long long)label, (long long)row->label);
    if (!same_text(column(b, 3), row->mask))
        return why_fail(WHY_ESTORE, "image '%s': its mask was %s, is %s; another database is wanted", row->path, or_none(column(b, 3)),
                        or_none(row->mask));
    return WHY_OK;
}

static bool same_group(const why_bound *b, const why_dict_image *row) {
    return same_text(column(b, 4), row->grp) && same_text(column(b, 5), row->split) && same_text(column(b, 6), row->covars);
}

static why_status regroup_image(why_store *s, const why_dict_image *row) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_REGROUP_IMAGE, &b));
    why_bind_text(&b, row->grp);
    why_bind_text(&b, row->split);
    why_bind_text(&b, row->covars);
    why_bind_int(&b, row->id);
    return why_db_run(s, &b, "write an image");
}

static why_status add_image(why_store *s, const why_dict_image *row) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_IMAGE, &b));
    why_bind_int(&b, row->id);
    why_bind_text(&b, row->uid);
    why_bind_text(&b, row->path);
    why_bind_int_or_null(&b, row->label);
    why_bind_text(&b, row->grp);
    why_bind_text(&b, row->split);
    why_bind_text(&b, row->mask);
    why_bind_text(&b, row->covars);
    return why_db_run(s, &b, "write an image");
}

why_status why_store_put_image(why_store *s, why_dict_image *row) {
    why_bound b;
    int64_t known;
    WHY_TRY(find(s, WHY_SQL_FIND_IMAGE, row->uid, &b, &known));
    if (!known) {
        WHY_TRY(free_id(s, WHY_SQL_ID_IMAGE, &row->id));
        return add_image(s, row);
    }
    why_status st = check_image(&b, row);
    const bool same = same_group(&b, row); /* groups, splits and covariates may be added to a list later */
    why_db_reset(&b);
    if (!st) row->id = known;
    return st || same ? st : regroup_image(s, row);
}

/* ---------------------------------------------------------------- models, methods, metrics, cells */
static why_status check_model(why_store *s, const why_dict_model *row) {
    why_bound b;
    bool other;
    WHY_TRY(why_db_use(s, WHY_SQL_OTHER_MODEL, &b));
    why_bind_text(&b, row->name);
    why_bind_text(&b, row->sha256);
    WHY_TRY(why_db_row(s, &b, "read a model", &other));
    if (!other) return WHY_OK;
    why_status st =
        why_fail(WHY_ESTORE, "model '%s' changed since the run: sha256 was %s, is %s", row->name, why_db_text(&b, 0), row->sha256);
    why_db_reset(&b);
    return st;
}

why_status why_store_put_model(why_store *s, why_dict_model *row) {
    why_bound b;
    bool old;
    WHY_TRY(check_model(s, row));
    WHY_TRY(find_or_number(s, WHY_SQL_FIND_MODEL, WHY_SQL_ID_MODEL, row->uid, &row->id, &old));
    if (old) return WHY_OK;
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_MODEL, &b));
    why_bind_int(&b, row->id);
    why_bind_text(&b, row->uid);
    why_bind_text(&b, row->name);
    why_bind_text(&b, row->sha256);
    why_bind_text(&b, row->preprocess);
    why_bind_int(&b, row->classes);
    why_bind_int(&b, row->params);
    why_bind_int(&b, row->macs);
    why_bind_text(&b, row->input);
    return why_db_run(s, &b, "write a model");
}

why_status why_store_put_method(why_store *s, why_dict_method *row) {
    why_bound b;
    bool old;
    WHY_TRY(find_or_number(s, WHY_SQL_FIND_METHOD, WHY_SQL_ID_METHOD, row->uid, &row->id, &old));
    if (old) return WHY_OK;
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_METHOD, &b));
    why_bind_int(&b, row->id);
    why_bind_text(&b, row->uid);
    why_bind_text(&b, row->name);
    why_bind_text(&b, row->explainer);
    why_bind_text(&b, row->params);
    return why_db_run(s, &b, "write a method");
}

why_status why_store_put_metric(why_store *s, why_dict_metric *row) {
    why_bound b;
    bool old;
    WHY_TRY(find_or_number(s, WHY_SQL_FIND_METRIC, WHY_SQL_ID_METRIC, row->uid, &row->id, &old));
    if (old) return WHY_OK;
    if (row->id >= WHY_METRIC_ID_LIMIT)
        return why_fail(WHY_ELIMIT, "%s: metric '%s' would get id %lld, ids end below %d", s->path, row->name, (long long)row->id,
                        WHY_METRIC_ID_LIMIT);
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_METRIC, &b));
    why_bind_int(&b, row->id);
    why_bind_text(&b, row->uid);
    why_bind_text(&b, row->name);
    why_bind_text(&b, row->kind);
    why_bind_text(&b, row->policy);
    why_bind_text(&b, row->grid);
    why_bind_text(&b, row->params);
    why_bind_text(&b, row->better);
    why_bind_real(&b, row->lo);
    why_bind_real(&b, row->hi);
    return why_db_run(s, &b, "write a metric");
}

why_status why_store_put_cell(why_store *s, why_dict_cell *row) {
    why_bound b;
    bool old;
    WHY_TRY(find_or_number(s, WHY_SQL_FIND_CELL, WHY_SQL_ID_CELL, row->uid, &row->id, &old));
    if (old) return WHY_OK;
    if (row->id > 65535)
        return why_fail(WHY_ELIMIT, "%s: a cell would get id %lld; a database holds 65535 cells", s->path, (long long)row->id);
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_CELL, &b));
    why_bind_int(&b, row->id);
    why_bind_text(&b, row->uid);
    why_bind_int(&b, row->model_id);
    why_bind_int(&b, row->method_id);
    why_bind_text(&b, row->target);
    why_bind_int(&b, row->repeat);
    why_bind_int_or_null(&b, row->budget);
    why_bind_int_or_null(&b, row->prefix_of);
    why_bind_text(&b, row->transform ? row->transform : "");
    why_bind_text_or_null(&b, row->budget_kind);
    return why_db_run(s, &b, "write a cell");
}

/* ---------------------------------------------------------------- runs, shards */
why_status why_store_start_run(why_store *s, const why_run_row *row, int64_t *run_id) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_ADD_RUN, &b));
    why_bind_text(&b, row->uid);
    why_bind_int(&b, row->job_id);
    why_bind_text(&b, row->started);
    why_bind_text(&b, row->version);
    why_bind_text(&b, row->git);
    why_bind_int(&b, row->ranks);
    why_bind_int(&b, row->threads);
    why_bind_text(&b, row->cpu);
    why_bind_text(&b, row->kernel);
    why_bind_text(&b, row->precision);
    why_bind_text(&b, row->slurm);
    why_bind_text(&b, row->job_file);
    WHY_TRY(why_db_run(s, &b, "write a run"));
    *run_id = sqlite3_last_insert_rowid(s->db);
    return WHY_OK;
}

why_status why_store_end_run(why_store *s, int64_t run_id, const char *state) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_END_RUN, &b));
    why_bind_text(&b, state);
    why_bind_int(&b, run_id);
    WHY_TRY(why_db_run(s, &b, "end a run"));
    return sqlite3_changes(s->db) ? WHY_OK : why_fail(WHY_ESTORE, "%s: no run has id %lld", s->path, (long long)run_id);
}

why_status why_store_put_shard(why_store *s, const why_shard_row *row) {
    why_bound b;
    WHY_TRY(why_db_use(s, WHY_SQL_PUT_SHARD, &b));
    why_bind_int(&b, row->id);
    why_bind_int(&b, row->run_id);
    why_bind_int(&b, row->first);
    why_bind_int(&b, row->n);
    why_bind_text(&b, row->state);
    why_bind_int(&b, row->attempts);
    why_bind_int(&b, row->rank);
    why_bind_int(&b, row->pid);
    why_bind_text(&b, row->host);
    why_bind_real(&b, row->t0);
    why_bind_real(&b, row->t1);
    why_bind_text(&b, row->error);
    why_bind_text(&b, row->images);
    return why_db_run(s, &b, "write a shard");
}

/* ---------------------------------------------------------------- what the inner loops ask */
static why_status load_cells(why_store *s) {
    why_bound b;
    bool row = true;
    if (!s->model_of_cell) WHY_TRY(why_alloc(65536, sizeof *s->model_of_cell, "cells", &s->model_of_cell));
    memset(s->model_of_cell, 0, 65536 * sizeof *s->model_of_cell);
    WHY_TRY(why_db_prepare(s, "SELECT id, model_id FROM cell WHERE id BETWEEN 1 AND 65535", &b));
    why_status st = WHY_OK;
    while (!st && row) {
        st = why_db_row(s, &b, "read the cells", &row);
        if (!st && row) s->model_of_cell[sqlite3_column_int64(b.q, 0)] = sqlite3_column_int64(b.q, 1);
    }
    why_db_finalize(&b);
    return st;
}

static why_status load_ranges(why_store *s) {
    why_bound b;
    bool row = true;
    s->n_ranges = 0;
    WHY_TRY(why_db_prepare(s, "SELECT id, lo, hi FROM metric ORDER BY id", &b));
    why_status st = WHY_OK;
    while (!st && row) {
        st = why_db_row(s, &b, "read the metrics", &row);
        if (!st && row) st = why_grow(&s->ranges, &s->ranges_capacity, s->n_ranges + 1, sizeof *s->ranges, "metrics");
        if (!st && row)
            s->ranges[s->n_ranges++] =
                (why_metric_range){sqlite3_column_int64(b.q, 0), sqlite3_column_double(b.q, 1), sqlite3_column_double(b.q, 2)};
    }
    why_db_finalize(&b);
    return st;
}

why_status why_dictionary_load(why_store *s) {
    if (s->dictionary_known) return WHY_OK;
    WHY_TRY(load_cells(s));
    WHY_TRY(load_ranges(s));
    s->dictionary_known = true;
    return WHY_OK;
}

static int by_metric(const void *key, const void *item) {
    const int64_t a = *(const int64_t *)key, b = ((const why_metric_range *)item)->metric_id;
    return (a > b) - (a < b);
}

why_status why_metric_range_of(why_store *s, int64_t metric_id, const why_metric_range **out) {
    *out = s->n_ranges ? bsearch(&metric_id, s->ranges, s->n_ranges, sizeof *s->ranges, by_metric) : NULL;
    return *out ? WHY_OK : why_fail(WHY_ESTORE, "%s: no metric has id %lld", s->path, (long long)metric_id);
}

/* Every score and pair of an image asks the same: it is looked up once. */
why_status why_image_correct(why_store *s, int64_t image_id, int64_t model_id, bool *known, bool *correct) {
    why_bound b;
    bool row;
    if (s->asked.image_id != image_id || s->asked.model_id != model_id) {
        s->asked.image_id = 0;
        WHY_TRY(why_db_use(s, WHY_SQL_GET_CORRECT, &b));
        why_bind_int(&b, image_id);
        why_bind_int(&b, model_id);
        WHY_TRY(why_db_row(s, &b, "read a prediction", &row));
        s->asked.known = row && sqlite3_column_type(b.q, 0) != SQLITE_NULL;
        s->asked.correct = s->asked.known && sqlite3_column_int(b.q, 0) != 0;
        why_db_reset(&b);
        s->asked.image_id = image_id;
        s->asked.model_id = model_id;
    }
    *known = s->asked.known;
    *correct = s->asked.correct;
    return WHY_OK;
}
