/* The writer: results, restarts, growth, conflicts, and a hostile machine underneath. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---------------------------------------------------------------- a machine that can be told to fail */
static bool no_locks, disk_full;

/* Our own fcntl and pwrite64 go in front of the C library's, for SQLite too. */
int fcntl(int fd, int cmd, ...) {
    va_list ap;
    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (no_locks && cmd == F_SETLK) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) {
    if (disk_full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, n, at);
}

/* ---------------------------------------------------------------- opening */
static why_store *create(char path[4096], const char *name) {
    why_store *s;
    temp_path(path, name);
    OK(why_store_open(path, &s));
    return s;
}

static void a_new_file_gets_the_schema(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "new");
    assert_answer(s, "PRAGMA application_id; PRAGMA user_version; PRAGMA synchronous; PRAGMA foreign_keys", "2003335536\n1\n2\n1\n");
    assert_answer(s, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", "17\n");
    assert_answer(s, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%STRICT%'", "");
    why_store_close(&s);
    assert_null(s);
    OK(why_store_open(path, &s)); /* and keeps it */
    why_store_close(&s);
    why_store_close(&s);
    unlink(path);
}

static void view_columns_are_a_contract(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "views");
    assert_answer(s, "SELECT group_concat(name) FROM pragma_table_info('agreement')",
                  "a,b,image_id,path,grp,model,model_b,method_a,method_b,explainer_a,explainer_b,target,target_b,repeat_a,repeat_b,budget_a,budget_b,"
                  "prefix_a,prefix_b,correct,p_top,metric,policy,grid,value,why,role\n");
    assert_answer(s, "SELECT group_concat(name) FROM pragma_table_info('scores')", "explanation_id,metric,policy,grid,better,value,why,metric_id,evaluations\n");
    assert_answer(s, "SELECT group_concat(name) FROM pragma_table_info('explanations')",
                  "id,image_id,cell_id,class,status,evaluations,fit,residual,se_range,ess,stop,vmin,vmax,map,map_sha256,se_map,thumb,error,path,"
                  "label,grp,model,method,explainer,"
                  "params,target,repeat,budget,budget_kind,prefix_of,transform,correct,p_top\n");
    assert_answer(s, "SELECT group_concat(name) FROM pragma_table_info('images')", "id,uid,path,sha256,label,grp,split,mask,width,height,covars\n");
    why_store_close(&s);
    unlink(path);
}

static void write_text(const char *path, const char *text) {
    OK(why_write_file(path, text, strlen(text)));
}

static void strange_files_are_refused(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    temp_path(path, "strange");
    write_text(path, "This is a letter, and a long one, to say that it is not a database at all, whatever its name says it were to be.");
    REFUSED(why_store_open(path, &s), WHY_ESTORE, "not a SQLite database");
    assert_null(s);
    unlink(path);
    meddle(path, "CREATE TABLE t(x)");
    REFUSED(why_store_open(path, &s), WHY_ESTORE, "not one of whypix");
    meddle(path, "PRAGMA application_id = 2003335536; PRAGMA user_version = 2");
    REFUSED(why_store_open(path, &s), WHY_ESTORE, "version 2, this whypix knows version 1: use a newer whypix");
    REFUSED(why_store_open_readonly(path, &s), WHY_ESTORE, "version 2");
    write_text(path, "");
    REFUSED(why_store_open_readonly(path, &s), WHY_ESTORE, "an empty file");
    unlink(path);
    REFUSED(why_store_open_readonly(path, &s), WHY_ESTORE, "unable to open");
    REFUSED(why_store_open("/no/such/folder/x.db", &s), WHY_ESTORE, "/no/such/folder/x.db: cannot write beside it: No such file");
    REFUSED(why_store_open("/proc/x.db", &s), WHY_ESTORE, "cannot write beside it");
}

static void a_read_only_file_is_said(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "readonly"), *r = NULL;
    why_store_close(&s);
    assert_int_equal(chmod(path, 0444), 0);
    if (geteuid() == 0 && seteuid(65534) != 0) { /* the super-user may write to anything */
        print_message("cannot act as somebody who may not write: %s\n", strerror(errno));
        unlink(path);
        skip();
    }
    why_status writer = why_store_open(path, &s), reader = why_store_open_readonly(path, &r);
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
    unlink(path);
    REFUSED(writer, WHY_ESTORE, "the file is read-only");
    OK(reader);
    why_store_close(&r);
}

static void missing_locks_are_said(void **state) {
    (void)state;
    char path[4096];
    why_store *s;
    temp_path(path, "locks");
    no_locks = true;
    why_status st = why_store_open(path, &s);
    no_locks = false;
    REFUSED(st, WHY_ESTORE, "its file system cannot lock files");
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_reader_cannot_write(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "reader"), *r;
    REFUSED(why_store_query(s, "DELETE FROM cell", keep_text, NULL), WHY_EARG, "would write");
    REFUSED(why_store_query(s, "SELECT nowhere", keep_text, NULL), WHY_EARG, "no such column");
    OK(why_store_open_readonly(path, &r));
    why_dict_method row = {1, "u", "lime", "lime", "{}"};
    REFUSED(why_store_put_method(r, &row), WHY_ESTORE, "read-only");
    why_store_close(&r);
    why_store_close(&s);
    unlink(path);
}

/* ---------------------------------------------------------------- dictionaries */
static void a_grown_plan_keeps_its_ids(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "grown");
    put_plan(s, 3, 3);
    char *before = dump(s), *after;
    put_plan(s, 3, 3);
    after = dump(s);
    assert_string_equal(before, after);
    free(before);
    free(after);
    OK(why_store_begin(s));
    why_dict_image between = {2, uid('i', 100), "pictures/between.png", 1, NULL, NULL, NULL, NULL}; /* id 2 belongs to another uid */
    OK(why_store_put_image(s, &between));
    assert_int_equal(between.id, 4);
    why_dict_image moved = {3, uid('i', 2), "pictures/002.png", 2, "new group", "test", "mask.png", "{\"age\":3}"};
    OK(why_store_put_image(s, &moved));
    assert_int_equal(moved.id, 2);
    why_dict_cell cell = {1, uid('c', 50), 1, 4, "predicted", 0, -1, -1, "", NULL};
    OK(why_store_put_cell(s, &cell));
    assert_int_equal(cell.id, 10);
    why_dict_cell full = {65535, uid('c', 51), 1, 4, "second", 0, -1, -1, "", NULL}, more = {65535, uid('c', 52), 1, 4, "top:1", 0, -1, -1, "", NULL};
    OK(why_store_put_cell(s, &full));
    REFUSED(why_store_put_cell(s, &more), WHY_ELIMIT, "65535 cells");
    OK(why_store_commit(s));
    assert_answer(s, "SELECT grp, covars FROM image WHERE id = 2", "new group|{\"age\":3}\n");
    why_store_close(&s);
    unlink(path);
}

static void conflicts_name_both_values(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "conflict");
    put_plan(s, 3, 3);
    OK(why_store_begin(s));
    why_dict_image row = {1, uid('i', 1), "pictures/001.png", 2, "left", "test", "mask.png", NULL};
    REFUSED(why_store_put_image(s, &row), WHY_ESTORE, "image 'pictures/001.png': its label was 1, is 2");
    row.label = -1;
    REFUSED(why_store_put_image(s, &row), WHY_ESTORE, "its label was 1, is -1");
    row.label = 1;
    row.mask = NULL;
    REFUSED(why_store_put_image(s, &row), WHY_ESTORE, "its mask was mask.png, is none");
    why_dict_model model = {1, uid('m', 9), "vgg", "feed", "torchvision", NULL, 10, 0, 0};
    REFUSED(why_store_put_model(s, &model), WHY_ESTORE, "is feed");
    assert_non_null(strstr(why_error_text(), uid('h', 0)));
    why_store_rollback(s);
    why_store_close(&s);
    unlink(path);
}

/* ---------------------------------------------------------------- results */
static void a_record_becomes_rows(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "rows");
    put_plan(s, 2, 3);
    apply_images(s, 2, 2, 3);
    assert_answer(s, "SELECT width, height, sha256 IS NULL FROM image ORDER BY id", "NULL|NULL|1\n640|480|0\n");
    assert_answer(s, "SELECT id, image_id, cell_id, class, status, evaluations, fit, residual, map, length(thumb), error FROM explanation LIMIT 1",
                  "131073|2|1|1|done|100|0.5|NULL|NULL|784|NULL\n");
    assert_answer(s, "SELECT (SELECT count(*) FROM score), (SELECT count(*) FROM curve), (SELECT count(*) FROM pair), (SELECT count(*) FROM prediction)", "18|18|12|4\n");
    assert_answer(s, "SELECT run_id, shard_id, attempt, wall FROM timing LIMIT 1", "1|1|1|0.25\n");
    assert_answer(s, "SELECT DISTINCT model, correct, p_top FROM explanations ORDER BY 1", "resnet|1|0.95\nvgg|1|0.95\n");
    assert_answer(s, "SELECT DISTINCT method_a, method_b, role FROM agreement ORDER BY 1, 2", "lime|gradcam|methods\nlime|shap|methods\nshap|gradcam|methods\n");
    why_store_close(&s);
    unlink(path);
}

static void summaries_equal_sql(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "sql");
    put_plan(s, 20, CELLS_PER_MODEL);
    apply_images(s, 1, 20, CELLS_PER_MODEL);
    OK(why_store_check_summary(s));
    /* 24 pairs and 36 scores of 20 images; Pearson is undefined on 3 of them, for one pair on all; a mask is empty on 5 */
    assert_answer(s, "SELECT count(*), count(DISTINCT cell_b), sum(n), sum(n_null) FROM summary WHERE stratum = 'all'", "60|11|1087|113\n");
    /* 20 images, 16 labelled; the first model is right on the 8 even ones of these, the second on all 16 */
    assert_answer(s, "SELECT cell_a, stratum, n FROM summary WHERE metric_id = 3 AND cell_a IN(1, 7) ORDER BY 1, 2",
                  "1|all|20\n1|correct|8\n1|wrong|8\n7|all|20\n7|correct|16\n");
    assert_answer(s,
                  "SELECT count(*) FROM summary y JOIN (SELECT a & 65535 x, b & 65535 z, metric_id m, avg(value) u, min(value) v, max(value) w FROM pair GROUP BY 1, 2, 3)"
                  " ON x = cell_a AND z = cell_b AND m = metric_id WHERE stratum = 'all' AND abs(mean - u) < 1e-9 AND abs(lo - v) < 1e-9 AND abs(hi - w) < 1e-9",
                  "23\n");
    assert_answer(s, "SELECT n, n_null, mean, sd, lo, hi FROM summary WHERE cell_a = 7 AND cell_b = 12 AND metric_id = 1 AND stratum = 'all'", "0|20|NULL|NULL|NULL|NULL\n");
    assert_answer(s, "SELECT count(*) FROM summary WHERE length(histogram) <> 512 OR substr(exact, -512) <> histogram OR length(exact) <> 592", "0\n");
    why_store_close(&s);
    unlink(path);
}

static void any_way_leaves_the_same_tables(void **state) {
    (void)state;
    char path_a[4096], path_b[4096];
    why_store *a = create(path_a, "order-a"), *b = create(path_b, "order-b");
    put_plan(a, 24, CELLS_PER_MODEL);
    apply_images(a, 1, 24, CELLS_PER_MODEL);
    put_plan(b, 24, CELLS_PER_MODEL);
    for (int i = 24; i >= 1; i -= 3) { /* backwards, in small transactions, with repeats, rollbacks and re-opening */
        apply_images(b, i - 2, i, CELLS_PER_MODEL);
        if (i % 2) apply_images(b, i - 1, i, CELLS_PER_MODEL);
        OK(why_store_begin(b));
        if (i > 3) apply_record(b, make_record(i - 3, CELLS_PER_MODEL));
        why_store_rollback(b);
        if (i % 4 == 0) {
            why_store_close(&b);
            OK(why_store_open(path_b, &b));
        }
    }
    assert_same_dump(a, b);
    OK(why_store_check_summary(b));
    why_store_close(&a);
    why_store_close(&b);
    unlink(path_a);
    unlink(path_b);
}

/* First four cells, then two more: the rows that are there win, and the result is that of doing all at once. */
static void growing_equals_doing_all_at_once(void **state) {
    (void)state;
    char path_a[4096], path_b[4096];
    why_store *a = create(path_a, "grow-a"), *b = create(path_b, "grow-b");
    put_plan(a, 6, 4);
    apply_images(a, 1, 4, 4);
    put_plan(a, 6, CELLS_PER_MODEL);
    apply_images(a, 1, 6, CELLS_PER_MODEL);
    put_plan(b, 6, CELLS_PER_MODEL);
    apply_images(b, 1, 6, CELLS_PER_MODEL);
    assert_same_dump(a, b);
    why_store_close(&a);
    why_store_close(&b);
    unlink(path_a);
    unlink(path_b);
}

static void failures_are_rows_too(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "failures");
    put_plan(s, 2, 3);
    for (int twice = 0; twice < 2; twice++) {
        OK(why_store_begin(s));
        apply_record(s, make_failure(1, 3));
        OK(why_store_commit(s));
    }
    assert_answer(s, "SELECT image_id, cell_id, attempt, run_id, reason, at IS NOT NULL FROM failure", "1|NULL|1|1|not a picture|1\n");
    assert_answer(s, "SELECT status, class, error, count(*) FROM explanation GROUP BY 1", "failed|NULL|not a picture|6\n");
    assert_answer(s, "SELECT count(*) FROM todo WHERE image_id = 1", "0\n");
    why_store_close(&s);
    unlink(path);
}

static void a_changed_picture_is_an_error(void **state) {
    (void)state;
    char path[4096], want[256];
    why_store *s = create(path, "changed");
    put_plan(s, 2, 3);
    apply_images(s, 1, 1, 3);
    why_buf b = {0};
    why_record_put(&b, &(why_row){.type = WHY_ROW_IMAGE, .u.image = {1, "feed", 640, 480}});
    why_record_finish(&b);
    OK(why_store_begin(s));
    snprintf(want, sizeof want, "image 'pictures/001.png' changed since the run: sha256 was %s, is feed", uid('s', 1));
    REFUSED(why_store_apply(s, 1, 1, 1, b.data, b.size), WHY_ESTORE, want);
    why_store_rollback(s);
    why_buf_clear(&b);
    why_store_close(&s);
    unlink(path);
}

static void half_a_record_is_never_committed(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "half");
    put_plan(s, 2, 3);
    apply_images(s, 1, 1, 3);
    char *before = dump(s), *after;
    why_buf b = make_record(2, 4); /* its fourth cell is not in the plan */
    REFUSED(why_store_apply(s, 1, 1, 1, b.data, b.size), WHY_EBUG, "outside a transaction");
    OK(why_store_begin(s));
    REFUSED(why_store_begin(s), WHY_EBUG, "already open");
    REFUSED(why_store_apply(s, 1, 1, 1, b.data, b.size), WHY_ESTORE, "record of image 2: ");
    REFUSED(why_store_apply(s, 1, 1, 1, b.data, b.size), WHY_ESTORE, "must be rolled back");
    REFUSED(why_store_commit(s), WHY_ESTORE, "must be rolled back");
    why_store_rollback(s);
    REFUSED(why_store_commit(s), WHY_EBUG, "no transaction");
    OK(why_store_begin(s));
    b.data[b.size - 1] ^= 1;
    REFUSED(why_store_apply(s, 1, 1, 1, b.data, b.size), WHY_EFORMAT, "checksum"); /* nothing was touched: go on */
    OK(why_store_commit(s));
    after = dump(s);
    assert_string_equal(before, after);
    free(before);
    free(after);
    why_buf_clear(&b);
    apply_images(s, 2, 2, 3);
    OK(why_store_check_summary(s));
    why_store_close(&s);
    unlink(path);
}

static void a_wrong_summary_is_found(void **state) {
    (void)state;
    static const char *const harm[] = {"DELETE FROM pair WHERE metric_id = 2 AND a = 65537",
                                       "DELETE FROM summary WHERE cell_b = 0 AND cell_a = 2", "UPDATE score SET value = value + 1e-6 WHERE metric_id = 5",
                                       "UPDATE summary SET exact = x'00'", "INSERT INTO summary(cell_a, metric_id, stratum) VALUES(1, 1, 'wrong')"};
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        char path[4096];
        why_store *s = create(path, "wrong");
        put_plan(s, 2, 3);
        apply_images(s, 1, 2, 3);
        OK(why_store_check_summary(s));
        meddle(path, harm[i]);
        REFUSED(why_store_check_summary(s), WHY_ESTORE, i == 4 ? "the rows make" : "summary of cell");
        why_store_close(&s);
        unlink(path);
    }
}

/* ---------------------------------------------------------------- what is missing */
typedef struct missing {
    int64_t image[8];
    int cells[8], n;
} missing;

static why_status keep_missing(void *ctx, int64_t image_id, int cells) {
    missing *m = ctx;
    if (m->n == 8) return why_fail(WHY_EBUG, "too many");
    m->image[m->n] = image_id;
    m->cells[m->n++] = cells;
    return WHY_OK;
}

static void missing_rows_are_the_state(void **state) {
    (void)state;
    char path[4096];
    uint64_t *cells;
    size_t n_words;
    missing m = {0};
    why_store *s = create(path, "todo");
    put_plan(s, 4, 3);
    apply_images(s, 1, 2, 3);
    OK(why_store_todo(s, 2, &cells, &n_words));
    assert_int_equal(n_words, 1);
    assert_int_equal(cells[0], 0);
    free(cells);
    put_plan(s, 5, 4); /* one method and one image more */
    OK(why_store_todo(s, 2, &cells, &n_words));
    assert_int_equal(cells[0], 1 << 4 | 1 << 10);
    free(cells);
    OK(why_store_each_todo(s, keep_missing, &m));
    assert_int_equal(m.n, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(m.image[i], i + 1);
        assert_int_equal(m.cells[i], i < 2 ? 2 : 8);
    }
    m.n = 4;
    REFUSED(why_store_each_todo(s, keep_missing, &m), WHY_EBUG, "too many"); /* the callback's error comes back */
    OK(why_store_begin(s));
    why_dict_cell far_cell = {129, uid('c', 60), 1, 4, "label", 0, -1, -1, "", NULL};
    OK(why_store_put_cell(s, &far_cell));
    OK(why_store_commit(s));
    OK(why_store_todo(s, 1, &cells, &n_words));
    assert_int_equal(n_words, 3);
    assert_int_equal(cells[2], 2);
    free(cells);
    why_store_close(&s);
    unlink(path);
}

/* ---------------------------------------------------------------- volatile tables */
static void runs_and_shards(void **state) {
    (void)state;
    char path[4096];
    int64_t run;
    why_store *s = create(path, "runs");
    put_plan(s, 1, 1);
    why_run_row row = {.uid = "r1", .version = "0.1.0", .job_id = 1, .ranks = 4, .threads = 2};
    OK(why_store_start_run(s, &row, &run));
    why_shard_row shard = {7, run, 1, 10, "sent", 1, 3, 4711, "n1", 1.5, NAN, NULL, "1-10"};
    OK(why_store_put_shard(s, &shard));
    shard.state = "done";
    shard.t1 = 9.5;
    OK(why_store_put_shard(s, &shard));
    assert_answer(s, "SELECT state, started IS NOT NULL, ended FROM run", "running|1|NULL\n");
    assert_answer(s, "SELECT id, state, t0, t1, error FROM shard", "7|done|1.5|9.5|NULL\n");
    OK(why_store_end_run(s, run, "interrupted"));
    assert_answer(s, "SELECT state, ended IS NOT NULL FROM run", "interrupted|1\n");
    REFUSED(why_store_end_run(s, 99, "done"), WHY_ESTORE, "no run has id 99");
    why_store_close(&s);
    unlink(path);
}

/* ---------------------------------------------------------------- trouble */
static void a_full_disk_keeps_what_was_committed(void **state) {
    (void)state;
    char path[4096];
    why_store *s = create(path, "full");
    put_plan(s, 40, CELLS_PER_MODEL);
    apply_images(s, 1, 10, CELLS_PER_MODEL);
    char *before = dump(s), *after;
    OK(why_store_begin(s));
    for (int i = 11; i <= 40; i++) apply_record(s, make_record(i, CELLS_PER_MODEL));
    disk_full = true;
    why_status st = why_store_commit(s);
    disk_full = false;
    REFUSED(st, WHY_ESTORE, "the disk is full");
    assert_non_null(strstr(why_error_text(), path));
    why_store_rollback(s);
    after = dump(s);
    assert_string_equal(before, after);
    free(before);
    free(after);
    apply_images(s, 11, 40, CELLS_PER_MODEL); /* space was made: it goes on */
    OK(why_store_check_summary(s));
    why_store_close(&s);
    unlink(path);
}

typedef struct reader {
    sqlite3 *db;
    int ms;
} reader;

static void *hold_open(void *ctx) {
    reader *r = ctx;
    usleep((unsigned)r->ms * 1000);
    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    return NULL;
}

static void commit_waits_for_readers(void **state) {
    (void)state;
    char path[4096];
    reader r = {NULL, 400};
    pthread_t thread;
    why_store *s = create(path, "wait");
    put_plan(s, 2, 3);
    assert_int_equal(sqlite3_open(path, &r.db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(r.db, "BEGIN; SELECT count(*) FROM cell", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, hold_open, &r), 0);
    apply_images(s, 1, 2, 3);
    pthread_join(thread, NULL);
    sqlite3_close(r.db);
    OK(why_store_check_summary(s));
    why_store_close(&s);
    unlink(path);
}

/* A writer killed in the middle leaves a journal: the next one to open it, reader or writer, sees the last commit. */
static void a_killed_writer_is_rolled_back(void **state) {
    (void)state;
    char path[4096], journal[4200];
    why_store *s = create(path, "killed");
    put_plan(s, 4, 3);
    apply_images(s, 1, 2, 3);
    char *before = dump(s), *after;
    why_store_close(&s);
    pid_t child = fork();
    if (child == 0) { /* a cache of one page makes SQLite write into the file before any commit */
        sqlite3 *db;
        sqlite3_open(path, &db);
        sqlite3_exec(db, "PRAGMA cache_size = 1; BEGIN; UPDATE score SET value = 0.5, why = NULL; DELETE FROM pair; UPDATE explanation SET thumb = zeroblob(9000)",
                     NULL, NULL, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(journal, sizeof journal, "%s-journal", path);
    assert_int_equal(access(journal, F_OK), 0);
    OK(why_store_open_readonly(path, &s));
    after = dump(s);
    assert_string_equal(before, after);
    OK(why_store_check_summary(s));
    why_store_close(&s);
    free(before);
    free(after);
    unlink(path);
    unlink(journal);
}

/* Two writers are not meant to be, but must not spoil the sums. */
static void another_writer_is_noticed(void **state) {
    (void)state;
    char path[4096];
    why_store *a = create(path, "two"), *b;
    put_plan(a, 6, 3);
    OK(why_store_open(path, &b));
    apply_images(a, 1, 1, 3);
    apply_images(b, 2, 3, 3);
    apply_images(a, 4, 4, 3);
    apply_images(b, 3, 5, 3);
    OK(why_store_check_summary(a));
    assert_answer(b, "SELECT n FROM summary WHERE cell_a = 1 AND cell_b = 0 AND metric_id = 3 AND stratum = 'all'", "5\n");
    why_store_close(&a);
    why_store_close(&b);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_gets_the_schema),
        cmocka_unit_test(view_columns_are_a_contract),
        cmocka_unit_test(strange_files_are_refused),
        cmocka_unit_test(a_read_only_file_is_said),
        cmocka_unit_test(missing_locks_are_said),
        cmocka_unit_test(a_reader_cannot_write),
        cmocka_unit_test(a_grown_plan_keeps_its_ids),
        cmocka_unit_test(conflicts_name_both_values),
        cmocka_unit_test(a_record_becomes_rows),
        cmocka_unit_test(summaries_equal_sql),
        cmocka_unit_test(any_way_leaves_the_same_tables),
        cmocka_unit_test(growing_equals_doing_all_at_once),
        cmocka_unit_test(failures_are_rows_too),
        cmocka_unit_test(a_changed_picture_is_an_error),
        cmocka_unit_test(half_a_record_is_never_committed),
        cmocka_unit_test(a_wrong_summary_is_found),
        cmocka_unit_test(missing_rows_are_the_state),
        cmocka_unit_test(runs_and_shards),
        cmocka_unit_test(a_full_disk_keeps_what_was_committed),
        cmocka_unit_test(commit_waits_for_readers),
        cmocka_unit_test(a_killed_writer_is_rolled_back),
        cmocka_unit_test(another_writer_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
