#include "run/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/target.h"

/* ---------------------------------------------------------------- top level scalars */
static why_status read_version(why_job *job, void *into, const why_node *v) {
    (void)job, (void)into;
    int64_t version;
    WHY_TRY(why_want_int(v, "whypix", 0, INT32_MAX, &version));
    return version == 1 ? WHY_OK : why_at(v, "whypix: job format %lld; this whypix reads format 1", (long long)version);
}

static why_status read_name(why_job *job, void *into, const why_node *v) {
    (void)into;
    return why_want_text(v, "name", &job->name);
}

static why_status read_seed(why_job *job, void *into, const why_node *v) {
    (void)into;
    int64_t seed;
    WHY_TRY(why_want_int(v, "seed", 0, INT64_MAX, &seed));
    job->seed = (uint64_t)seed;
    return WHY_OK;
}

/* ---------------------------------------------------------------- fit */
static why_status read_resize(why_job *job, void *into, const why_node *v) {
    (void)job;
    why_fit *fit = into;
    int64_t h = 0, w = 0;
    if (v->kind == WHY_NODE_LIST) {
        if (v->n != 2) return why_at(v, "resize: got %d numbers, want one (short side) or [height, width]", v->n);
        WHY_TRY(why_want_int(v->entry[0].value, "resize height", 1, 65535, &h));
        WHY_TRY(why_want_int(v->entry[1].value, "resize width", 1, 65535, &w));
    } else {
        WHY_TRY(why_want_int(v, "resize", 1, 65535, &h));
    }
    fit->resize_h = (int)h;
    fit->resize_w = (int)w;
    return WHY_OK;
}

static why_status read_how(why_job *job, void *into, const why_node *v) {
    (void)job;
    static const why_filter filters[] = {WHY_NEAREST, WHY_BILINEAR, WHY_BICUBIC};
    int i;
    WHY_TRY(why_want_choice(v, "how", "nearest|bilinear|bicubic", &i));
    ((why_fit *)into)->how = filters[i];
    return WHY_OK;
}

static why_status read_crop(why_job *job, void *into, const why_node *v) {
    (void)job;
    int64_t crop;
    WHY_TRY(why_want_int(v, "crop", 1, 65535, &crop));
    ((why_fit *)into)->crop = (int)crop;
    return WHY_OK;
}

static why_status read_fit(why_job *job, why_job_fit *fit, const why_node *v) {
    static const why_key keys[] = {{"resize", read_resize, false}, {"how", read_how, false}, {"crop", read_crop, false}, {0}};
    *fit = (why_job_fit){.kind = WHY_FIT_GIVEN, .fit = {.how = WHY_BILINEAR}};
    if (v->kind == WHY_NODE_SCALAR) {
        int none;
        fit->kind = WHY_FIT_NONE;
        return why_want_choice(v, "fit", "none", &none);
    }
    return why_read_keys(job, &fit->fit, v, "fit", keys);
}

/* ---------------------------------------------------------------- images */
static why_status read_list(why_job *job, void *into, const why_node *v) {
    (void)into;
    job->list_at = v;
    return why_want_input(job, v, "list", &job->list);
}

static why_status read_labels(why_job *job, void *into, const why_node *v) {
    (void)into;
    job->labels_at = v;
    return why_want_input(job, v, "labels", &job->labels);
}

static why_status read_offset(why_job *job, void *into, const why_node *v) {
    (void)into;
    return why_want_int(v, "label_offset", -1000000, 1000000, &job->label_offset);
}

static why_status read_order(why_job *job, void *into, const why_node *v) {
    (void)into;
    int i;
    WHY_TRY(why_want_choice(v, "order", "listed|shuffled", &i));
    job->shuffled = i == 1;
    return WHY_OK;
}

static why_status read_images_fit(why_job *job, void *into, const why_node *v) {
    (void)into;
    return read_fit(job, &job->fit, v);
}

static why_status read_images(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {{"list", read_list, true},    {"labels", read_labels, false},  {"label_offset", read_offset, false},
                                   {"order", read_order, false}, {"fit", read_images_fit, false}, {0}};
    return why_read_keys(job, into, v, "images", keys);
}

/* ---------------------------------------------------------------- models */
static why_status read_model_name(why_job *job, void *into, const why_node *v) {
    (void)job;
    return why_want_text(v, "model name", &((why_job_model *)into)->name);
}

static why_status read_model_file(why_job *job, void *into, const why_node *v) {
    return why_want_input(job, v, "model file", &((why_job_model *)into)->file);
}

static why_status read_model_fit(why_job *job, void *into, const why_node *v) { return read_fit(job, &((why_job_model *)into)->fit, v); }

static why_status read_divisor(why_job *job, void *into, const why_node *v) {
    (void)job;
    double d;
    WHY_TRY(why_want_real(v, "divisor", &d));
    if (d <= 0) return why_at(v, "divisor: got %g, want more than 0", d);
    ((why_preprocess *)into)->divisor = (float)d;
    return WHY_OK;
}

static why_status read_scale(why_job *job, void *into, const why_node *v) {
    (void)job;
    double s;
    WHY_TRY(why_want_real(v, "scale", &s));
    if (s <= 0) return why_at(v, "scale: got %g, want more than 0", s);
    ((why_preprocess *)into)->divisor = (float)(1 / s);
    return WHY_OK;
}

/* One number for all channels, or three. */
static why_status read_channels3(const why_node *v, const char *what, bool positive, float out[3]) {
    if (v->kind == WHY_NODE_LIST && v->n != 3) return why_at(v, "%s: got %d numbers, want 1 or 3", what, v->n);
    for (int c = 0; c < 3; c++) {
        double d;
        WHY_TRY(why_want_real(v->kind == WHY_NODE_LIST ? v->entry[c].value : v, what, &d));
        if (positive && d <= 0) return why_at(v, "%s: got %g, want more than 0", what, d);
        out[c] = (float)d;
    }
    return WHY_OK;
}

static why_status read_mean(why_job *job, void *into, const why_node *v) {
    (void)job;
    return read_channels3(v, "mean", false, ((why_preprocess *)into)->mean);
}

static why_status read_std(why_job *job, void *into, const why_node *v) {
    (void)job;
    return read_channels3(v, "std", true, ((why_preprocess *)into)->std);
}

static why_status read_channel_order(why_job *job, void *into, const why_node *v) {
    (void)job;
    int i;
    WHY_TRY(why_want_choice(v, "channels", "rgb|bgr", &i));
    ((why_preprocess *)into)->bgr = i == 1;
    return WHY_OK;
}

static why_status unknown_preset(const why_node *v) {
    const char *const *names = why_preprocess_names();
    size_t n = 0;
    while (names[n]) n++;
    const char *nearest = why_nearest(v->text, names, n);
    if (nearest) return why_at(v, "preprocess: preset '%s' is unknown; did you mean '%s'?", v->text, nearest);
    return why_at(
        v, "preprocess: preset '%s' is unknown; there are torchvision, caffe, tf, half, none, or a mapping {divisor, mean, std, channels}",
        v->text);
}

static why_status read_preprocess(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {{"divisor", read_divisor, false},
                                   {"scale", read_scale, false},
                                   {"mean", read_mean, false},
                                   {"std", read_std, false},
                                   {"channels", read_channel_order, false},
                                   {0}};
    why_preprocess *p = &((why_job_model *)into)->preprocess;
    if (v->kind == WHY_NODE_SCALAR) {
        const why_preprocess *preset = why_preprocess_find(v->text);
        if (!preset) return unknown_preset(v);
        *p = *preset;
        return WHY_OK;
    }
    if (why_node_get(v, "divisor") && why_node_get(v, "scale")) return why_at(v, "preprocess: give divisor or scale, not both");
    *p = (why_preprocess){.name = "custom", .divisor = 255, .std = {1, 1, 1}};
    return why_read_keys(job, p, v, "preprocess", keys);
}

static why_status read_model(why_job *job, const why_node *v, int index) {
    static const why_key keys[] = {{"name", read_model_name, true},
                                   {"file", read_model_file, true},
                                   {"preprocess", read_preprocess, true},
                                   {"fit", read_model_fit, false},
                                   {0}};
    why_job_model *m = &job->models[index];
    *m = (why_job_model){.at = v, .fit = job->fit};
    WHY_TRY(why_read_keys(job, m, v, "models", keys));
    for (int i = 0; i < index; i++)
        if (strcmp(job->models[i].name, m->name) == 0) return why_at(v, "models: '%s' is named twice", m->name);
    return WHY_OK;
}

static why_status read_models(why_job *job, void *into, const why_node *v) {
    (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, "models"));
    if (v->n == 0) return why_at(v, "models: the list is empty");
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n, sizeof *job->models, &job->models));
    job->n_models = v->n;
    for (int i = 0; i < v->n; i++) WHY_TRY(read_model(job, v->entry[i].value, i));
    return WHY_OK;
}

/* ---------------------------------------------------------------- targets */
static why_status add_target(why_job *job, const why_node *at, const char *text) {
    for (int i = 0; i < job->n_targets; i++)
        if (strcmp(job->targets[i].text, text) == 0) return WHY_OK; /* top:2 and top:3 share two */
    const char *copy = why_arena_strdup(job->arena, text);
    if (!copy) return WHY_ENOMEM;
    job->targets[job->n_targets++] = (why_job_target){at, copy};
    return WHY_OK;
}

enum { MAX_TOP = 100 };

static why_status read_target(why_job *job, const why_node *v) {
    char text[WHY_TARGET_TEXT];
    WHY_TRY(why_want_kind(v, WHY_NODE_SCALAR, "targets"));
    WHY_TRY(why_wrap_at(why_target_canonical(v->text, text), v));
    if (strncmp(text, "top:", 4) != 0 || strchr(text, '-')) return add_target(job, v, text);
    long number = strtol(text + 4, NULL, 10); /* the K best classes, each for itself */
    if (number > MAX_TOP) return why_at(v, "targets: '%s': at most the best %d classes are explained", v->text, MAX_TOP);
    for (long k = 1; k <= number; k++) {
        snprintf(text, sizeof text, "top:%ld", k);
        WHY_TRY(add_target(job, v, text));
    }
    return WHY_OK;
}

static why_status read_targets(why_job *job, void *into, const why_node *v) {
    (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_LIST, "targets"));
    if (v->n == 0) return why_at(v, "targets: the list is empty");
    WHY_TRY(why_arena_array(job->arena, (size_t)v->n * MAX_TOP, sizeof *job->targets, &job->targets));
    for (int i = 0; i < v->n; i++) WHY_TRY(read_target(job, v->entry[i].value));
    return WHY_OK;
}

/* ---------------------------------------------------------------- output and run */
static why_status read_database(why_job *job, void *into, const why_node *v) {
    (void)into;
    return why_want_path(job->arena, v, "database", &job->database);
}

static why_status read_maps(why_job *job, void *into, const why_node *v) {
    (void)into;
    int i;
    WHY_TRY(why_want_choice(v, "maps", "none|directory|archive", &i));
    job->maps = i != 0;
    job->archive = i == 2;
    return WHY_OK;
}

static why_status read_overlays_first(why_job *job, void *into, const why_node *v) {
    (void)into;
    int64_t first;
    WHY_TRY(why_want_int(v, "first", 0, INT32_MAX, &first));
    job->overlays_first = (int)first;
    return WHY_OK;
}

static why_status read_palette(why_job *job, void *into, const why_node *v) {
    (void)into;
    const char *text;
    WHY_TRY(why_want_text(v, "palette", &text));
    return why_wrap_at(why_palette_parse(text, &job->palette), v);
}

static why_status read_overlays(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {{"first", read_overlays_first, true}, {"palette", read_palette, false}, {0}};
    return why_read_keys(job, into, v, "overlays", keys);
}

static why_status read_output(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {{"database", read_database, true}, {"maps", read_maps, false}, {"overlays", read_overlays, false}, {0}};
    return why_read_keys(job, into, v, "output", keys);
}

static why_status want_auto_or(const why_node *v, const char *what, int hi, int *out) {
    int64_t n = 0;
    if (v->kind != WHY_NODE_SCALAR || strcmp(v->text, "auto") != 0) WHY_TRY(why_want_int(v, what, 1, hi, &n));
    *out = (int)n;
    return WHY_OK;
}

static why_status read_threads(why_job *job, void *into, const why_node *v) {
    (void)into;
    return want_auto_or(v, "threads", 1024, &job->threads);
}

static why_status read_shard(why_job *job, void *into, const why_node *v) {
    (void)into;
    return want_auto_or(v, "shard", 1000000, &job->shard);
}

static why_status read_batch(why_job *job, void *into, const why_node *v) {
    (void)into;
    return want_auto_or(v, "batch", 4096, &job->batch);
}

static why_status read_precision(why_job *job, void *into, const why_node *v) {
    (void)job, (void)into;
    int i;
    WHY_TRY(why_want_choice(v, "precision", "fp32|split|bf16|auto", &i));
    return i == 0 ? WHY_OK : why_at(v, "precision: '%s' is not built yet; use fp32", v->text);
}

static why_status read_on_bad_image(why_job *job, void *into, const why_node *v) {
    (void)into;
    int i;
    WHY_TRY(why_want_choice(v, "on_bad_image", "record|stop", &i));
    job->on_bad_image_stop = i == 1;
    return WHY_OK;
}

static why_status read_max_restarts(why_job *job, void *into, const why_node *v) {
    (void)into;
    int64_t n;
    WHY_TRY(why_want_int(v, "max_restarts", 0, 1000000, &n));
    job->max_restarts = (int)n;
    return WHY_OK;
}

static why_status read_run(why_job *job, void *into, const why_node *v) {
    static const why_key keys[] = {
        {"threads", read_threads, false}, {"precision", read_precision, false},       {"shard", read_shard, false},
        {"batch", read_batch, false},     {"on_bad_image", read_on_bad_image, false}, {"max_restarts", read_max_restarts, false},
        {0}};
    return why_read_keys(job, into, v, "run", keys);
}

/* ---------------------------------------------------------------- the whole file */
static why_status want_some(why_job *job, void *into, const why_node *v) {
    (void)job, (void)into;
    WHY_TRY(why_want_kind(v, WHY_NODE_MAP, "methods"));
    return v->n ? WHY_OK : why_at(v, "methods: there are none");
}

/* The order of this table is the order of the canonical text. Keys without a reader are read by name further down. */
static const why_key top_keys[] = {{"whypix", read_version, true},
                                   {"name", read_name, true},
                                   {"seed", read_seed, false},
                                   {"images", read_images, true},
                                   {"models", read_models, true},
                                   {"targets", read_targets, true},
                                   {"methods", want_some, true},
                                   {"controls", NULL, false},
                                   {"repeats", NULL, false},
                                   {"budgets", NULL, false},
                                   {"matrix", NULL, false},
                                   {"agreement", NULL, false},
                                   {"scores", NULL, false},
                                   {"fills", NULL, false},
                                   {"output", read_output, true},
                                   {"run", read_run, false},
                                   {0}};

static void sort_root(why_node *root) {
    int at = 0;
    for (const why_key *k = top_keys; k->name; k++)
        for (int i = at; i < root->n; i++) {
            if (strcmp(root->entry[i].key, k->name) != 0) continue;
            why_entry found = root->entry[i];
            memmove(&root->entry[at + 1], &root->entry[at], (size_t)(i - at) * sizeof found);
            root->entry[at++] = found;
        }
}

static why_status read_section(why_job *job, const char *key, why_key_fn *read) {
    const why_node *v = why_node_get(job->root, key);
    return v ? read(job, NULL, v) : WHY_OK;
}

why_status why_job_read(why_job *job, const char *file) {
    job->max_restarts = 3;
    job->file = why_arena_strdup(job->arena, file);
    if (!job->file) return WHY_ENOMEM;
    WHY_TRY(why_job_merge(job->arena, file, &job->root));
    WHY_TRY(why_read_keys(job, NULL, job->root, "job", top_keys));
    sort_root(job->root);
    WHY_TRY(why_job_read_methods(job));
    WHY_TRY(why_job_read_matrix(job));
    WHY_TRY(why_job_read_repeats(job));
    WHY_TRY(read_section(job, "fills", why_job_read_fills));
    WHY_TRY(read_section(job, "agreement", why_job_read_agreement));
    return read_section(job, "scores", why_job_read_scores);
}

void why_job_clear(why_job *job) {
    for (int i = 0; i < job->n_methods; i++) why_params_destroy(&job->methods[i].params);
    for (int i = 0; i < job->n_agreement; i++) why_params_destroy(&job->agreement[i].params);
    for (int i = 0; i < job->n_scores; i++) why_params_destroy(&job->scores[i].params);
    *job = (why_job){0};
}
