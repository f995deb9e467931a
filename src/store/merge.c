/* Merging: the dictionaries row by row through the same functions as a run's, so that the same conflicts are found; the bulk
 * tables in one INSERT ... SELECT each, their ids translated by functions of ours over plain arrays (an SQL join would look up
 * four ids for every pair). The new file needs no journal: until it gets its name nobody knows it. */
#include "store/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/archive.h"
#include "store/handle.h"

/* New ids by old ones; 0: no such row. */
typedef struct id_map {
    int64_t *id;
    int64_t n;
} id_map;

typedef enum map_kind { MAP_JOB, MAP_IMAGE, MAP_MODEL, MAP_METHOD, MAP_METRIC, MAP_CELL, MAP_RUN, MAP_COUNT } map_kind;

typedef struct merger {
    why_store *s;
    id_map map[MAP_COUNT];
    int64_t shards_before; /* in the new file: the next input's shards are numbered behind them */
    bool recount;          /* the inputs' summaries do not simply add */
    why_archive *maps;     /* NULL until there is one to write ... */
    const char *out_maps;
    char *maps_part;       /* ... here */
    why_merge_result *result;
} merger;

static int64_t translate(const id_map *m, int64_t old) { return old > 0 && old < m->n ? m->id[old] : 0; }

static why_status exec(why_store *s, const char *sql, const char *what) {
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc ? why_db_fail(s, rc, what) : WHY_OK;
}

static why_status one_int(why_store *s, const char *sql, int64_t *out) {
    why_bound b;
    bool row;
    WHY_TRY(why_db_prepare(s, sql, &b));
    why_status st = why_db_row(s, &b, "read an input", &row);
    *out = !st && row ? sqlite3_column_int64(b.q, 0) : 0;
    why_db_finalize(&b);
    return st;
}

/* ---------------------------------------------------------------- ids inside SQL */
/* new_image(old), new_cell(old), ...: NULL stays NULL. */
static void sql_new_id(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (sqlite3_value_type(v[0]) != SQLITE_NULL) sqlite3_result_int64(c, translate(sqlite3_user_data(c), sqlite3_value_int64(v[0])));
}

static void sql_new_explanation(sqlite3_context *c, int n, sqlite3_value **v) {
    const merger *m = sqlite3_user_data(c);
    const int64_t old = sqlite3_value_int64(v[0]);
    (void)n;
    sqlite3_result_int64(c, why_explanation_id(translate(&m->map[MAP_IMAGE], old >> 16), translate(&m->map[MAP_CELL], old & 65535)));
}

/* A shard's ranges of images. */
static void sql_new_ranges(sqlite3_context *c, int n, sqlite3_value **v) {
    const merger *m = sqlite3_user_data(c);
    const char *at = (const char *)sqlite3_value_text(v[0]);
    why_buf b = {0};
    int64_t first, last, from = 0, to = -1;
    (void)n;
    while (at && why_next_range(&at, &first, &last))
        for (; first <= last; first++) {
            const int64_t id = translate(&m->map[MAP_IMAGE], first);
            if (id == to + 1) {
                to = id;
                continue;
            }
            if (to >= from) why_buf_printf(&b, from < to ? "%lld-%lld," : "%lld,", (long long)from, (long long)to);
            from = to = id;
        }
    if (to >= from) why_buf_printf(&b, from < to ? "%lld-%lld" : "%lld", (long long)from, (long long)to);
    if (b.failed) sqlite3_result_error_nomem(c);
    else if (b.size) sqlite3_result_text(c, (const char *)b.data, (int)b.size, SQLITE_TRANSIENT);
    why_buf_clear(&b);
}

static why_status add_functions(merger *m) {
    const struct {
        const char *name;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
        void *of;
    } functions[] = {{"new_job", sql_new_id, &m->map[MAP_JOB]},       {"new_image", sql_new_id, &m->map[MAP_IMAGE]},
                     {"new_model", sql_new_id, &m->map[MAP_MODEL]},   {"new_metric", sql_new_id, &m->map[MAP_METRIC]},
                     {"new_cell", sql_new_id, &m->map[MAP_CELL]},     {"new_run", sql_new_id, &m->map[MAP_RUN]},
                     {"new_explanation", sql_new_explanation, m},     {"new_ranges", sql_new_ranges, m}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        int rc = sqlite3_create_function_v2(m->s->db, functions[i].name, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, functions[i].of,
                                            functions[i].call, NULL, NULL, NULL);
        if (rc) return why_db_fail(m->s, rc, "prepare a merge");
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- dictionaries */
static int64_t number_or(const why_bound *b, int column, int64_t null) {
    return sqlite3_column_type(b->q, column) == SQLITE_NULL ? null : sqlite3_column_int64(b->q, column);
}

static const char *text(const why_bound *b, int column) { return (const char *)sqlite3_column_text(b->q, column); }

typedef why_status put_fn(merger *m, const why_bound *b, int64_t *id);

static why_status put_job(merger *m, const why_bound *b, int64_t *id) {
    return why_store_put_job(m->s, text(b, 1), text(b, 2), text(b, 3), text(b, 4), id);
}

static why_status put_image(merger *m, const why_bound *b, int64_t *id) {
    why_dict_image row = {*id, text(b, 1), text(b, 2), number_or(b, 3, -1), text(b, 4), text(b, 5), text(b, 6), text(b, 7)};
    WHY_TRY(why_store_put_image(m->s, &row));
    *id = row.id;
    return why_put_picture(m->s, row.id, why_db_text(b, 8), number_or(b, 9, 0), number_or(b, 10, 0));
}

static why_status put_model(merger *m, const why_bound *b, int64_t *id) {
    why_dict_model row = {*id,        text(b, 1),         text(b, 2),         text(b, 3),        text(b, 4),
                          text(b, 5), number_or(b, 6, 0), number_or(b, 7, 0), number_or(b, 8, 0)};
    WHY_TRY(why_store_put_model(m->s, &row));
    *id = row.id;
    return WHY_OK;
}

static why_status put_method(merger *m, const why_bound *b, int64_t *id) {
    why_dict_method row = {*id, text(b, 1), text(b, 2), text(b, 3), text(b, 4)};
    WHY_TRY(why_store_put_method(m->s, &row));
    *id = row.id;
    return WHY_OK;
}

static why_status put_metric(merger *m, const why_bound *b, int64_t *id) {
    why_dict_metric row = {*id,        text(b, 1), text(b, 2), text(b, 3),
                           text(b, 4), text(b, 5), text(b, 6), text(b, 7),
                           sqlite3_column_double(b->q, 8), sqlite3_column_double(b->q, 9)};
    WHY_TRY(why_store_put_metric(m->s, &row));
    *id = row.id;
    return WHY_OK;
}

static why_status put_cell(merger *m, const why_bound *b, int64_t *id) {
    const int64_t prefix = number_or(b, 7, 0);
    why_dict_cell row = {.id = *id,
                         .uid = text(b, 1),
                         .model_id = translate(&m->map[MAP_MODEL], number_or(b, 2, 0)),
                         .method_id = translate(&m->map[MAP_METHOD], number_or(b, 3, 0)),
                         .target = text(b, 4),
                         .repeat = number_or(b, 5, 0),
                         .budget = number_or(b, 6, -1),
                         .prefix_of = prefix ? translate(&m->map[MAP_CELL], prefix) : -1,
                         .transform = text(b, 8),
                         .budget_kind = text(b, 9)};
    WHY_TRY(why_store_put_cell(m->s, &row));
    *id = row.id;
    return WHY_OK;
}

static why_status put_run(merger *m, const why_bound *b, int64_t *id) {
    (void)m;
    *id = sqlite3_column_int64(b->q, 1);
    return WHY_OK;
}

/* Cells that are prefixes of others come behind all others. Runs were copied before: here they are only found. */
static const struct {
    map_kind kind;
    const char *table, *rows;
    put_fn *put;
} dictionaries[] = {
    {MAP_JOB, "job", "SELECT id, uid, name, yaml, plan_sha FROM src.job ORDER BY id", put_job},
    {MAP_IMAGE, "image",
     "SELECT id, uid, path, label, grp, split, mask, covars, sha256, width, height FROM src.image ORDER BY id",
     put_image},
    {MAP_MODEL, "model",
     "SELECT id, uid, name, sha256, preprocess, input, classes, params, macs FROM src.model ORDER BY id", put_model},
    {MAP_METHOD, "method", "SELECT id, uid, name, explainer, params FROM src.method ORDER BY id", put_method},
    {MAP_METRIC, "metric",
     "SELECT id, uid, name, kind, policy, grid, params, better, lo, hi FROM src.metric ORDER BY id", put_metric},
    {MAP_CELL, "cell",
     "SELECT id, uid, model_id, method_id, target, repeat, budget, prefix_of, transform, budget_kind FROM src.cell"
     " ORDER BY prefix_of IS NOT NULL, id",
     put_cell},
    {MAP_RUN, "run", "SELECT o.id, n.id FROM src.run o JOIN main.run n USING(uid)", put_run},
};

static why_status size_map(merger *m, id_map *map, const char *table) {
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT max(id) + 1 FROM src.%s", table);
    free(map->id);
    *map = (id_map){0};
    WHY_TRY(one_int(m->s, sql, &map->n));
    return map->n > 0 ? why_alloc((size_t)map->n, sizeof *map->id, "ids", &map->id) : WHY_OK;
}

static why_status merge_dictionary(merger *m, size_t k) {
    id_map *map = &m->map[dictionaries[k].kind];
    why_bound b;
    bool row = true;
    WHY_TRY(size_map(m, map, dictionaries[k].table));
    WHY_TRY(why_db_prepare(m->s, dictionaries[k].rows, &b));
    why_status st = WHY_OK;
    while (!st) {
        st = why_db_row(m->s, &b, "read an input", &row);
        if (st || !row) break;
        const int64_t old = sqlite3_column_int64(b.q, 0);
        int64_t id = old;
        if (old <= 0 || old >= map->n) st = why_fail(WHY_ESTORE, "a %s has id %lld", dictionaries[k].table, (long long)old);
        if (!st) st = dictionaries[k].put(m, &b, &id);
        if (!st) map->id[old] = id;
    }
    why_db_finalize(&b);
    return st;
}

/* Where the order of two cells changes, a and b of a pair change places, and with them whose model decides its stratum. */
static bool keeps_order(const id_map *cells) {
    int64_t last = 0;
    for (int64_t i = 1; i < cells->n; i++) {
        if (!cells->id[i]) continue;
        if (cells->id[i] < last) return false;
        last = cells->id[i];
    }
    return true;
}

static why_status merge_dictionaries(merger *m) {
    static const char runs[] =
        "INSERT INTO main.run(uid, job_id, started, ended, state, version, git, ranks, threads, cpu, kernel,"
        " precision, slurm, job_file) SELECT uid, new_job(job_id), started, ended, state, version, git, ranks, threads, cpu, kernel,"
        " precision, slurm, job_file"
        " FROM src.run WHERE true ORDER BY id ON CONFLICT DO NOTHING";
    for (size_t k = 0; k < sizeof dictionaries / sizeof *dictionaries; k++) {
        if (dictionaries[k].kind == MAP_RUN) WHY_TRY(exec(m->s, runs, "write the runs"));
        WHY_TRY(merge_dictionary(m, k));
    }
    m->recount = m->recount || !keeps_order(&m->map[MAP_CELL]);
    return WHY_OK;
}

/* ---------------------------------------------------------------- bulk */
/* ?1: shards that are there before. A run that is there already keeps its shards. */
static const struct bulk {
    const char *table, *sql;
    bool counted; /* a row that is there already makes the summaries' sums wrong */
} bulks[] = {
    {"shard",
     "INSERT INTO main.shard SELECT id + ?1, new_run(run_id), new_image(first), n, state, attempts, rank, pid, host, t0, t1,"
     " error, new_ranges(images)"
     " FROM src.shard WHERE NOT EXISTS(SELECT 1 FROM main.shard o WHERE o.id <= ?1 AND o.run_id = new_run(src.shard.run_id))"
     " ORDER BY id",
     false},
    {"prediction",
     "INSERT INTO main.prediction SELECT new_image(image_id), new_model(model_id), rank, class, logit, prob"
     " FROM src.prediction WHERE true ON CONFLICT DO NOTHING",
     true},
    {"explanation",
     "INSERT INTO main.explanation SELECT new_explanation(id), new_image(image_id), new_cell(cell_id), class, status, evaluations,"
     " fit, residual, se_range, ess, stop, vmin, vmax, new_image(image_id) || '/' || new_cell(cell_id) || substr(map, -4), map_sha256,"
     " new_image(image_id) || '/' || new_cell(cell_id) || substr(se_map, -7), thumb, error"
     " FROM src.explanation WHERE true"
     " ON CONFLICT(id) DO UPDATE SET class = excluded.class, status = excluded.status, evaluations = excluded.evaluations,"
     " fit = excluded.fit, residual = excluded.residual, se_range = excluded.se_range, ess = excluded.ess, stop = excluded.stop,"
     " vmin = excluded.vmin, vmax = excluded.vmax, map = excluded.map,"
     " map_sha256 = excluded.map_sha256, se_map = excluded.se_map, thumb = excluded.thumb, error = excluded.error"
     " WHERE status = 'failed' AND excluded.status = 'done'",
     true},
    {"timing",
     "INSERT INTO main.timing SELECT new_explanation(explanation_id), new_run(run_id), shard_id + ?1, attempt, wall, cpu"
     " FROM src.timing WHERE true ON CONFLICT DO NOTHING",
     false},
    {"score",
     "INSERT INTO main.score SELECT new_explanation(explanation_id), new_metric(metric_id), value, why, evaluations"
     " FROM src.score WHERE true ON CONFLICT DO NOTHING",
     true},
    {"curve",
     "INSERT INTO main.curve SELECT new_explanation(explanation_id), new_metric(metric_id), step, x, y, logit"
     " FROM src.curve WHERE true ON CONFLICT DO NOTHING",
     false},
    {"pair",
     "INSERT INTO main.pair SELECT min(x, y), max(x, y), m, value, why FROM"
     " (SELECT new_explanation(a) x, new_explanation(b) y, new_metric(metric_id) m, value, why FROM src.pair)"
     " WHERE true ON CONFLICT DO NOTHING",
     true},
    {"failure",
     "INSERT INTO main.failure SELECT new_image(image_id), new_cell(cell_id), attempt, new_run(run_id), reason, at"
     " FROM src.failure WHERE true ON CONFLICT DO NOTHING",
     false},
    {"superseded",
     "INSERT INTO main.superseded SELECT new_explanation(explanation_id), attempt, new_run(run_id), new_run(replaced_by), row"
     " FROM src.superseded WHERE true ON CONFLICT DO NOTHING",
     false},
};

static why_status merge_bulk(merger *m, const struct bulk *k) {
    char sql[64];
    int64_t rows;
    why_bound b;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM src.%s", k->table);
    WHY_TRY(one_int(m->s, sql, &rows));
    WHY_TRY(why_db_prepare(m->s, k->sql, &b));
    if (sqlite3_bind_parameter_count(b.q)) why_bind_int(&b, m->shards_before);
    const why_status st = why_db_run(m->s, &b, "copy rows");
    const int64_t taken = sqlite3_changes64(m->s->db);
    why_db_finalize(&b);
    m->result->rows += rows;
    m->result->twice += rows - taken;
    m->recount = m->recount || (k->counted && taken < rows);
    return st ? why_fail_in(st, "table %s", k->table) : WHY_OK;
}

static why_status merge_bulks(merger *m) {
    WHY_TRY(one_int(m->s, "SELECT ifnull(max(id), 0) FROM main.shard", &m->shards_before));
    for (size_t k = 0; k < sizeof bulks / sizeof *bulks; k++) WHY_TRY(merge_bulk(m, &bulks[k]));
    return WHY_OK;
}

/* ---------------------------------------------------------------- summaries */
static why_status find_stratum(const char *name, why_stratum *out) {
    for (*out = 0; *out < WHY_STRATUM_COUNT; ++*out)
        if (strcmp(name, why_stratum_name(*out)) == 0) return WHY_OK;
    return why_fail(WHY_ESTORE, "a summary has the stratum '%s'", name);
}

static why_status add_summary(merger *m, const why_bound *b) {
    why_summary_key key = {.cell_a = translate(&m->map[MAP_CELL], sqlite3_column_int64(b->q, 0)),
                           .cell_b = translate(&m->map[MAP_CELL], sqlite3_column_int64(b->q, 1)),
                           .metric_id = translate(&m->map[MAP_METRIC], sqlite3_column_int64(b->q, 2))};
    size_t i;
    bool fresh;
    why_moments moments;
    WHY_TRY(find_stratum(why_db_text(b, 3), &key.stratum));
    WHY_TRY(why_moments_read(sqlite3_column_blob(b->q, 4), (size_t)sqlite3_column_bytes(b->q, 4), &moments));
    WHY_TRY(why_summaries_find(&m->s->summaries, &key, &i, &fresh));
    why_moments_merge(&m->s->summaries.entries[i].m, &moments);
    return why_summaries_mark(&m->s->summaries, i);
}

static why_status merge_summaries(merger *m) {
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_prepare(m->s, "SELECT cell_a, cell_b, metric_id, stratum, exact FROM src.summary", &b));
    why_status st = WHY_OK;
    while (!st) {
        st = why_db_row(m->s, &b, "read the summaries", &row);
        if (st || !row) break;
        st = add_summary(m, &b);
    }
    why_db_finalize(&b);
    return st;
}

/* ---------------------------------------------------------------- maps */
static why_status open_maps(merger *m) {
    if (m->maps) return WHY_OK;
    WHY_TRY(why_make_dirs(m->out_maps));
    unlink(m->maps_part); /* of a merge that was killed */
    return why_archive_open(m->maps_part, &m->maps);
}

static bool new_name(const merger *m, const char *name, char out[64]) {
    long long image, cell;
    int end = 0;
    if (sscanf(name, "%18lld/%18lld%n", &image, &cell, &end) != 2 || !end) return false;
    const char *rest = name + end; /* a map's, or its standard errors' */
    if (strcmp(rest, ".npy") != 0 && strcmp(rest, "-se.npy") != 0) return false;
    const int64_t new_image = translate(&m->map[MAP_IMAGE], image), new_cell = translate(&m->map[MAP_CELL], cell);
    snprintf(out, 64, "%lld/%lld%s", (long long)new_image, (long long)new_cell, rest);
    return new_image && new_cell;
}

static bool rename_entry(void *ctx, const char *name, char out[64]) { return new_name(ctx, name, out); }

static why_status take_archive(void *ctx, const char *path) {
    merger *m = ctx;
    WHY_TRY(open_maps(m));
    return why_archive_take(m->maps, path, rename_entry, m, &m->result->maps);
}

enum { MAX_MAP_FILE = 1 << 28 };

/* A map that is a file of its own; in an archive or lost otherwise. */
static why_status take_file(merger *m, const char *maps_dir, const char *name) {
    char renamed[64];
    why_buf b = {0};
    char *path;
    uint8_t *bytes;
    size_t n;
    if (!new_name(m, name, renamed)) return WHY_OK;
    why_buf_printf(&b, "%s/%s", maps_dir, name);
    WHY_TRY(why_buf_take(&b, &path));
    const bool there = access(path, F_OK) == 0;
    why_status st = there ? why_read_file(path, MAX_MAP_FILE, &bytes, &n) : WHY_OK;
    free(path);
    if (st || !there) return st;
    st = open_maps(m);
    if (!st) st = why_archive_put(m->maps, renamed, bytes, n);
    m->result->maps += !st;
    free(bytes);
    return st;
}

static why_status take_files(merger *m, const char *maps_dir) {
    why_bound b;
    bool row = true;
    WHY_TRY(why_db_prepare(m->s, "SELECT map FROM src.explanation WHERE map IS NOT NULL UNION ALL SELECT se_map FROM src.explanation WHERE se_map IS NOT NULL", &b));
    why_status st = WHY_OK;
    while (!st) {
        st = why_db_row(m->s, &b, "read an input", &row);
        if (st || !row) break;
        st = take_file(m, maps_dir, why_db_text(&b, 0));
    }
    why_db_finalize(&b);
    return st;
}

static why_status merge_maps(merger *m, const char *maps_dir) {
    if (access(maps_dir, F_OK) != 0) return WHY_OK;
    WHY_TRY(take_files(m, maps_dir));
    return why_each_archive(maps_dir, take_archive, m);
}

/* ---------------------------------------------------------------- one input */
static why_status merge_tables(merger *m) {
    WHY_TRY(exec(m->s, "BEGIN", "start a transaction"));
    WHY_TRY(merge_dictionaries(m));
    WHY_TRY(merge_bulks(m));
    if (!m->recount) WHY_TRY(merge_summaries(m));
    return exec(m->s, "COMMIT", "commit");
}

static why_status attach(why_store *s, const char *path) {
    why_bound b;
    WHY_TRY(why_db_prepare(s, "ATTACH ? AS src", &b));
    why_bind_text(&b, path);
    const why_status st = why_db_run(s, &b, "open an input");
    why_db_finalize(&b);
    return st;
}

/* Opened as a reader first: that checks whose file it is and rolls back what a killed run left. */
static why_status merge_input(merger *m, const why_merge_input *in) {
    why_store *reader;
    WHY_TRY(why_store_open_readonly(in->database, &reader));
    why_store_close(&reader);
    WHY_TRY(attach(m->s, in->database));
    why_status st = merge_tables(m);
    if (!st) st = merge_maps(m, in->maps);
    if (st) why_fail_in(st, "%s", in->database);
    if (st) sqlite3_exec(m->s->db, "ROLLBACK", NULL, NULL, NULL);
    return st ? st : exec(m->s, "DETACH src", "close an input");
}

/* ---------------------------------------------------------------- the new file */
static why_status merge_all(merger *m, const why_merge_input *in, int n) {
    why_store *s = m->s;
    WHY_TRY(exec(s, "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", "prepare a merge"));
    WHY_TRY(add_functions(m));
    for (int i = 0; i < n; i++) WHY_TRY(merge_input(m, &in[i]));
    WHY_TRY(exec(s, "BEGIN", "start a transaction"));
    if (m->recount) WHY_TRY(why_summary_recount(s));
    WHY_TRY(why_summary_flush(s));
    return exec(s, "COMMIT", "commit");
}

/* Only now must it be on the disk. */
static why_status give_name(const char *part, const char *out) {
    const int fd = open(part, O_RDWR);
    if (fd < 0 || fsync(fd) != 0 || rename(part, out) != 0) {
        const int reason = errno;
        if (fd >= 0) close(fd);
        return why_fail(WHY_ESTORE, "%s: cannot write it: %s", out, strerror(reason));
    }
    close(fd);
    return WHY_OK;
}

static why_status merge_into(merger *m, const char *part, const why_merge_input *in, int n) {
    unlink(part); /* of a merge that was killed */
    WHY_TRY(why_store_open(part, &m->s));
    why_status st = merge_all(m, in, n);
    if (!st && m->maps) st = why_archive_commit(m->maps);
    for (int k = 0; k < MAP_COUNT; k++) free(m->map[k].id);
    why_store_close(&m->s);
    return st;
}

static why_status join(const char *a, const char *b, char **out) {
    why_buf text = {0};
    why_buf_printf(&text, "%s%s", a, b);
    return why_buf_take(&text, out);
}

/* The maps first: once the database is there, everything is. */
static why_status merge_as(merger *m, const char *out, const char *part, const char *maps, const why_merge_input *in, int n) {
    why_status st = merge_into(m, part, in, n);
    const bool any = m->maps;
    why_archive_close(&m->maps);
    if (!st && any) st = give_name(m->maps_part, maps);
    if (!st) st = give_name(part, out);
    if (!st) return WHY_OK;
    unlink(part);
    if (any) unlink(m->maps_part);
    if (any) rmdir(m->out_maps); /* unless there is something in it */
    return st;
}

why_status why_store_merge(const char *out, const char *out_maps, const why_merge_input *in, int n, why_merge_result *result) {
    char *part = NULL, *maps = NULL;
    merger m = {.result = result, .out_maps = out_maps};
    *result = (why_merge_result){0};
    if (access(out, F_OK) == 0) return why_fail(WHY_EARG, "%s: is already there; merge makes a new file", out);
    why_status st = join(out, ".part", &part);
    if (!st) st = join(out_maps, "/maps.sqlar", &maps);
    if (!st) st = join(maps, ".part", &m.maps_part);
    if (!st) st = merge_as(&m, out, part, maps, in, n);
    free(part);
    free(maps);
    free(m.maps_part);
    return st;
}
