#include "run/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "run/plan_build.h"

enum { FIRST_BLOCK = 1 << 20, DEFAULT_BATCH = 8 };

why_status why_plan_text(why_arena *arena, why_buf *text, const char **out) {
    char *heap;
    WHY_TRY(why_buf_take(text, &heap));
    return why_arena_adopt(arena, heap, out);
}

why_status why_plan_uid(why_arena *arena, why_buf *text, const char **out) {
    char hex[65];
    why_status st = why_buf_status(text);
    if (!st) why_sha256(text->data, text->size, hex);
    why_buf_clear(text);
    if (st) return st;
    *out = why_arena_strdup(arena, hex);
    return *out ? WHY_OK : WHY_ENOMEM;
}

/* ---------------------------------------------------------------- outputs */
why_status why_output_beside(const char *file, const char *suffix, char **out) {
    const char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
    size_t stem = dot && dot > (slash ? slash + 1 : file) ? (size_t)(dot - file) : strlen(file);
    why_buf b = {0};
    why_buf_put(&b, file, stem);
    why_buf_text(&b, suffix);
    return why_buf_take(&b, out);
}

static why_status beside(why_plan *p, const char *file, const char *suffix, const char **out) {
    char *heap;
    WHY_TRY(why_output_beside(file, suffix, &heap));
    return why_arena_adopt(p->arena, heap, out);
}

why_status why_plan_set_beside(why_plan *p, const char *file) {
    WHY_TRY(beside(p, file, "-overlays", &p->overlays_dir));
    return p->maps_dir ? beside(p, file, "-maps", &p->maps_dir) : WHY_OK;
}

why_status why_plan_set_database(why_plan *p, const char *database) {
    p->database = why_arena_strdup(p->arena, database);
    return p->database ? why_plan_set_beside(p, database) : WHY_ENOMEM;
}

static why_status set_outputs(why_plan *p, const why_job *job) {
    p->overlays_first = job->overlays_first;
    p->palette = job->palette;
    p->threads = job->threads;
    p->shard = job->shard;
    p->batch = job->batch ? job->batch : DEFAULT_BATCH;
    p->on_bad_image_stop = job->on_bad_image_stop;
    p->maps_dir = job->maps ? "" : NULL;
    p->archive = job->archive;
    return why_plan_set_database(p, job->database);
}

/* ---------------------------------------------------------------- the job's text */
/* What is computed, without where it goes and how it is run: those must not change a single result. */
static why_status set_texts(why_plan *p, const why_job *job) {
    why_buf b = {0};
    why_node what = *job->root;
    WHY_TRY(why_arena_array(p->arena, (size_t)what.n, sizeof *what.entry, &what.entry));
    what.n = 0;
    for (int i = 0; i < job->root->n; i++) {
        const why_entry *e = &job->root->entry[i];
        if (strcmp(e->key, "output") != 0 && strcmp(e->key, "run") != 0) what.entry[what.n++] = *e;
    }
    why_yaml_write(&b, &what);
    WHY_TRY(why_plan_text(p->arena, &b, &p->yaml));
    why_yaml_write(&b, job->root);
    WHY_TRY(why_plan_text(p->arena, &b, &p->expanded));
    why_buf_text(&b, p->yaml);
    return why_plan_uid(p->arena, &b, &p->uid);
}

/* ---------------------------------------------------------------- images */
/* Fisher-Yates with the job's seed: the same order on every rank. */
static void shuffle(why_plan *p, int *line) {
    why_rng r = why_rng_at(why_stream_of(p->seed, 0, "image order"), 0);
    for (int i = p->n_images - 1; i > 0; i--) {
        int j = (int)why_rng_below(&r, (uint32_t)i + 1), old_line = line[i];
        why_plan_image old = p->images[i];
        p->images[i] = p->images[j];
        line[i] = line[j];
        p->images[j] = old;
        line[j] = old_line;
    }
    for (int i = 0; i < p->n_images; i++) p->images[i].id = i + 1;
}

static why_status add_images(why_plan_builder *b) {
    why_plan *p = b->plan;
    why_job *job = &b->job;
    b->labels = (why_labels){.offset = job->label_offset};
    if (job->labels) WHY_TRY(why_wrap_at(why_labels_load(p->arena, job->labels, job->label_offset, &b->labels), job->labels_at));
    p->labels = b->labels.names;
    p->n_labels = b->labels.n;
    why_status st = why_manifest_load(p->arena, job->list, &b->labels, &b->manifest);
    if (st == WHY_EFILE) st = why_wrap_at(st, job->list_at);
    if (st) return st;
    p->images = b->manifest.images;
    p->n_images = b->manifest.n;
    if (job->shuffled) shuffle(p, b->manifest.line);
    return WHY_OK;
}

/* ---------------------------------------------------------------- the hash of it all */
static void put_text(why_buf *b, const char *text) {
    why_buf_json(b, text);
    why_buf_text(b, "\n");
}

static why_status set_sha(why_plan *p) {
    why_buf b = {0};
    put_text(&b, p->uid);
    for (int i = 0; i < p->n_images; i++) {
        const why_plan_image *im = &p->images[i];
        const char *const texts[] = {im->path, im->mask, im->group, im->split, im->covars};
        why_buf_printf(&b, "%lld\n", (long long)im->label);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) put_text(&b, texts[k]);
    }
    for (int i = 0; i < p->n_cells; i++) put_text(&b, p->cells[i].uid);
    for (int i = 0; i < p->n_metrics; i++) put_text(&b, p->metrics[i].uid);
    for (int i = 0; i < p->n_pairs; i++) why_buf_printf(&b, "%d %d\n", p->pairs[i].a, p->pairs[i].b);
    return why_plan_uid(p->arena, &b, &p->sha);
}

/* ---------------------------------------------------------------- create, destroy */
static why_status build(why_plan_builder *b, const char *job_file) {
    why_plan *p = b->plan;
    WHY_TRY(why_job_read(&b->job, job_file));
    p->name = b->job.name;
    p->seed = b->job.seed;
    p->segments_spec = b->job.segments;
    WHY_TRY(set_outputs(p, &b->job));
    WHY_TRY(set_texts(p, &b->job));
    WHY_TRY(add_images(b));
    WHY_TRY(why_plan_add_models(b));
    WHY_TRY(why_plan_add_methods(b));
    WHY_TRY(why_plan_add_cells(b));
    WHY_TRY(why_plan_add_metrics(b));
    WHY_TRY(why_plan_add_pairs(b));
    return set_sha(p);
}

why_status why_plan_create(const char *job_file, why_plan **out) {
    why_plan_builder b = {0};
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *b.plan, "plan", &b.plan));
    why_status st = why_arena_create(FIRST_BLOCK, &b.plan->arena);
    b.job.arena = b.plan->arena;
    if (!st) st = build(&b, job_file);
    why_job_clear(&b.job);
    if (st) why_plan_destroy(&b.plan);
    *out = b.plan;
    return st;
}

void why_plan_destroy(why_plan **p) {
    why_plan *plan = *p;
    if (!plan) return;
    for (int i = 0; i < plan->n_models; i++) why_model_destroy(&plan->models[i].model);
    for (int i = 0; i < plan->n_methods; i++) why_params_destroy(&plan->methods[i].params);
    for (int i = 0; i < plan->n_metrics; i++) why_params_destroy(&plan->metrics[i].params);
    why_arena_destroy(&plan->arena);
    free(plan);
    *p = NULL;
}
