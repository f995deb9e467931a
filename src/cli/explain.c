#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/call.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "cli/text_table.h"
#include "run/gallery.h"
#include "run/plan.h"
#include "run/target.h"
#include "whypix/explain.h"

/* ---------------------------------------------------------------- how the picture is fitted */
static const why_param resize_crop_params[] = {
    {"resize", WHY_PARAM_INT, "0", 0, 65535, NULL, "short side after resizing; 0: 256/224 of the model's side"},
    {"crop", WHY_PARAM_INT, "0", 0, 65535, NULL, "centre crop; 0: the model's side"},
    {"how", WHY_PARAM_CHOICE, "bilinear", 0, 0, "nearest|bilinear|bicubic", "filter"},
    {0},
};

static why_filter filter_of(const char *name) { return name[0] == 'n' ? WHY_NEAREST : strcmp(name, "bicubic") == 0 ? WHY_BICUBIC : WHY_BILINEAR; }

/* "resize-crop", "resize-crop(256,224,bicubic)", "resize" (to the model's size, whatever the shape) or "none". */
static why_status parse_fit(const char *text, const why_model_info *info, why_fit *fit) {
    char *name;
    WHY_TRY(why_call_name(text, &name));
    why_params *p = NULL;
    why_status st = WHY_OK;
    *fit = (why_fit){.how = WHY_BILINEAR};
    if (strcmp(name, "resize") == 0) {
        fit->resize_h = info->height;
        fit->resize_w = info->width;
    } else if (strcmp(name, "resize-crop") == 0) {
        st = why_call_params(text, resize_crop_params, &p);
        if (!st) {
            int crop = (int)why_params_int(p, "crop"), resize = (int)why_params_int(p, "resize");
            fit->crop = crop ? crop : info->height;
            fit->resize_h = resize ? resize : (info->height * 256 + 112) / 224;
            fit->how = filter_of(why_params_text(p, "how"));
        }
    } else if (strcmp(name, "none") != 0)
        st = why_fail(WHY_EARG, "--fit: got '%s', want resize-crop, resize-crop(SHORT_SIDE,CROP,FILTER), resize or none", text);
    why_params_destroy(&p);
    free(name);
    return st;
}

/* ---------------------------------------------------------------- state of one call */
struct explain {
    const why_args *args;
    why_model *model;
    const why_model_info *info;
    why_plan *plan; /* when --preprocess names a job */
    why_listed listed; /* its images, for background sets */
    why_preprocess preprocess;
    why_fit fit;
    why_image image; /* in the model's frame */
    uint8_t *mask;
    uint64_t image_key;
    why_pool *pool;
    why_evaluator *evaluator;
    why_subject *subject;
    const float *logits;
    int *order;
    why_palette palette;
    why_text_table *table;
};

static void clear(struct explain *e) {
    why_subject_destroy(&e->subject);
    why_evaluator_destroy(&e->evaluator);
    why_pool_destroy(&e->pool);
    why_image_clear(&e->image);
    why_plan_destroy(&e->plan);
    why_model_destroy(&e->model);
    why_text_table_destroy(&e->table);
    free(e->mask);
    free(e->order);
}

/* A preset, or a job file: then the job's preparation of the same model (by hash), else of its first. */
static why_status choose_preprocess(struct explain *e) {
    const char *text = why_args_text(e->args, "preprocess");
    const why_preprocess *preset = why_preprocess_find(text);
    if (preset) {
        e->preprocess = *preset;
        return parse_fit(why_args_text(e->args, "fit"), e->info, &e->fit);
    }
    size_t n = strlen(text);
    if (n < 5 || (strcmp(text + n - 5, ".yaml") != 0 && strcmp(text + n - 4, ".yml") != 0)) {
        why_buf names = {0};
        for (const char *const *p = why_preprocess_names(); *p; p++) why_buf_printf(&names, "%s, ", *p);
        why_status st = why_fail(WHY_EARG, "--preprocess: got '%s', want %.*sor a job file (.yaml)", text, (int)names.size, names.data ? (const char *)names.data : "");
        why_buf_clear(&names);
        return st;
    }
    WHY_TRY(why_plan_create(text, &e->plan));
    const why_plan_model *chosen = &e->plan->models[0];
    for (int i = 0; i < e->plan->n_models; i++)
        if (strcmp(why_model_get_info(e->plan->models[i].model)->sha256, e->info->sha256) == 0) chosen = &e->plan->models[i];
    e->listed = (why_listed){e->plan, (int)(chosen - e->plan->models)};
    e->preprocess = chosen->preprocess;
    e->fit = chosen->fit;
    return why_args_given(e->args, "fit") ? parse_fit(why_args_text(e->args, "fit"), e->info, &e->fit) : WHY_OK;
}

static why_status load_mask(struct explain *e, const why_image *original) {
    const char *path = why_args_text(e->args, "mask");
    uint8_t *mask;
    int h, w;
    if (!path) return WHY_OK;
    WHY_TRY(why_mask_load(path, NULL, &mask, &h, &w));
    why_status st = h == original->h && w == original->w
                        ? why_mask_fit(mask, h, w, &e->fit, &e->mask, &h, &w)
                        : why_fail(WHY_EARG, "%s: the mask is %d x %d, the picture %d x %d", path, w, h, original->w, original->h);
    free(mask);
    return st;
}

static why_status load_picture(struct explain *e) {
    const char *path = why_args_text(e->args, "image");
    why_image original;
    char sha[65];
    WHY_TRY(why_sha256_file(path, sha));
    e->image_key = why_sha256_key(sha);
    WHY_TRY(why_image_load(path, NULL, &original));
    why_status st = why_image_fit(&original, &e->fit, &e->image);
    if (!st) st = load_mask(e, &original);
    why_image_clear(&original);
    if (!st && (e->image.h != e->info->height || e->image.w != e->info->width))
        st = why_fail(WHY_EARG, "%s: after --fit the picture is %d x %d, the model wants %d x %d", path, e->image.w, e->image.h, e->info->width, e->info->height);
    return st;
}

static why_status open_all(struct explain *e) {
    int threads;
    int64_t batch, seed;
    const char *from;
    WHY_TRY(why_args_int(e->args, "batch", 1, 4096, &batch));
    WHY_TRY(why_args_int(e->args, "seed", 0, INT64_MAX, &seed));
    WHY_TRY(why_palette_parse(why_args_text(e->args, "palette"), &e->palette));
    WHY_TRY(why_choose_threads(e->args, 0, 1, &threads, &from));
    WHY_TRY(why_model_load(why_args_text(e->args, "model"), NULL, &e->model));
    e->info = why_model_get_info(e->model);
    WHY_TRY(choose_preprocess(e));
    WHY_TRY(load_picture(e));
    WHY_TRY(why_pool_create(threads, &e->pool));
    why_evaluator_options options = {.model = e->model, .preprocess = &e->preprocess, .pool = e->pool, .max_batch = (int)batch};
    if (e->plan) options.gallery = why_gallery_of(&e->listed);
    WHY_TRY(why_evaluator_create(&options, &e->evaluator));
    WHY_TRY(why_subject_create(e->evaluator, &e->image, e->mask, (uint64_t)seed, e->image_key, &e->subject));
    WHY_TRY(why_evaluator_original(e->evaluator, &e->logits));
    WHY_TRY(why_alloc((size_t)e->info->classes, sizeof *e->order, "class order", &e->order));
    why_class_order(e->logits, e->info->outputs, e->info->classes, e->order);
    return why_make_dirs(why_args_text(e->args, "out"));
}

/* ---------------------------------------------------------------- parameters: --set lime.samples=200, --layer */
static why_status apply_set(const char *text, const why_explainer *x, why_params *p) {
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || equals < dot) return why_fail(WHY_EARG, "--set: got '%s', want EXPLAINER.PARAMETER=VALUE", text);
    if (strlen(x->name) != (size_t)(dot - text) || strncmp(text, x->name, (size_t)(dot - text)) != 0) return WHY_OK;
    char *name = strndup(dot + 1, (size_t)(equals - dot - 1));
    if (!name) return why_fail(WHY_ENOMEM, "--set: out of memory");
    why_status st = why_params_set(p, name, equals + 1);
    free(name);
    return st ? why_fail_in(st, "--set %s", text) : WHY_OK;
}

static why_status make_params(const struct explain *e, const why_explainer *x, why_params **out) {
    WHY_TRY(why_params_create(x->params, out));
    why_status st = WHY_OK;
    const char *layer = why_args_text(e->args, "layer");
    if (layer && why_params_has(*out, "layer")) st = why_params_set(*out, "layer", layer);
    for (int i = 0; !st && i < why_args_times(e->args, "set"); i++) st = apply_set(why_args_nth(e->args, "set", i), x, *out);
    return st;
}

/* Every --set must name an explainer that is run, or its value would be lost in silence. */
static why_status check_sets(const why_args *a, const char *methods) {
    for (int i = 0; i < why_args_times(a, "set"); i++) {
        const char *text = why_args_nth(a, "set", i);
        size_t n = strcspn(text, ".=");
        bool found = false;
        for (const char *m = methods; m && !found; m = strchr(m, ','), m += m ? 1 : 0) found = strcspn(m, ",") == n && strncmp(m, text, n) == 0;
        if (!found) return why_fail(WHY_EARG, "--set %s: '%.*s' is not among the methods '%s'", text, (int)n, text, methods);
    }
    return WHY_OK;
}

/* ---------------------------------------------------------------- one map */
static void range_of(const why_explanation *x, float *lo, float *hi) {
    *lo = *hi = x->map[0];
    for (int64_t i = 1; i < (int64_t)x->h * x->w; i++) {
        *lo = fminf(*lo, x->map[i]);
        *hi = fmaxf(*hi, x->map[i]);
    }
}

/* "4", or of a contrast "4-9". */
static void class_text(const struct explain *e, int class_index, char out[32]) {
    int a, b;
    why_contrast_parts(e->info->classes, class_index, &a, &b);
    if (b < 0) snprintf(out, 32, "%d", a);
    else snprintf(out, 32, "%d-%d", a, b);
}

static why_status write_map(const struct explain *e, const why_explainer *x, const why_explanation *map, int class_index, bool several) {
    why_buf stem = {0};
    char *base = NULL;
    char path[4096], name[32];
    class_text(e, class_index, name);
    why_buf_printf(&stem, "%s/%s", why_args_text(e->args, "out"), x->name);
    if (several) why_buf_printf(&stem, "-class%s", name);
    WHY_TRY(why_buf_take(&stem, &base));
    why_shape shape = {.rank = 2, .dim = {map->h, map->w}};
    why_image overlay = {0};
    snprintf(path, sizeof path, "%s.npy", base);
    why_status st = why_npy_save_f32(path, &shape, map->map);
    if (!st) st = why_overlay(&e->image, map->map, e->palette, 0.6, &overlay);
    snprintf(path, sizeof path, "%s.png", base);
    if (!st) st = why_image_save_png(&overlay, path);
    why_image_clear(&overlay);
    free(base);
    return st;
}

static why_status add_row(const struct explain *e, const why_explainer *x, const why_explanation *map, int class_index, why_output output) {
    char number[7][40];
    float lo, hi;
    range_of(map, &lo, &hi);
    class_text(e, class_index, number[0]);
    snprintf(number[1], sizeof number[1], "%.4g", why_score(e->logits, e->info->outputs, class_index, output));
    snprintf(number[2], sizeof number[2], "%lld", (long long)map->evaluations);
    snprintf(number[3], sizeof number[3], "%.4g", (double)lo);
    snprintf(number[4], sizeof number[4], "%.4g", (double)hi);
    snprintf(number[5], sizeof number[5], "%.3f", map->fit);
    snprintf(number[6], sizeof number[6], "%.2g", map->residual);
    return why_text_table_add(e->table, (const char *const[]){x->name, number[0], why_output_name(output), number[1], number[2], number[3], number[4],
                                                              isfinite(map->fit) ? number[5] : "", isfinite(map->residual) ? number[6] : "", map->note});
}

static why_status explain_class(struct explain *e, const why_explainer *x, const why_params *p, int class_index, bool several) {
    why_output output = x->output;
    const char *wanted = why_args_text(e->args, "output");
    if (wanted) WHY_TRY(why_output_parse(wanted, &output));
    why_explanation map;
    WHY_TRY(why_explanation_create(e->image.h, e->image.w, &map));
    why_request r = {.subject = e->subject, .class_index = class_index, .output = output, .params = p, .stream = why_subject_stream(e->subject, x->name)};
    why_status st = x->explain(&r, &map);
    if (!st) st = write_map(e, x, &map, class_index, several);
    if (!st) st = add_row(e, x, &map, class_index, output);
    why_explanation_clear(&map);
    return st;
}

/* --class as a target: "9" is class:9 and "4-9" class:4-class:9. */
static why_status read_class(const struct explain *e, const char *text, char rule[WHY_TARGET_TEXT]) {
    const char *dash = strchr(text, '-');
    bool digit = isdigit((unsigned char)text[0]), second = dash && isdigit((unsigned char)dash[1]);
    char full[2 * WHY_TARGET_TEXT];
    if (dash) snprintf(full, sizeof full, "%s%.*s-%s%s", digit ? "class:" : "", (int)(dash - text), text, second ? "class:" : "", dash + 1);
    else snprintf(full, sizeof full, "%s%s", digit ? "class:" : "", text);
    WHY_TRY(why_target_check(full, e->info->classes));
    return why_target_canonical(full, rule);
}

/* The classes that --class asks for; "top:K" means the K best, each once. */
static why_status choose_classes(const struct explain *e, int **classes, int *n) {
    const why_args *a = e->args;
    int times = why_args_times(a, "class");
    WHY_TRY(why_alloc((size_t)(times + 1) * (size_t)e->info->classes, sizeof **classes, "classes", classes));
    *n = 0;
    for (int i = 0; i < (times ? times : 1); i++) {
        char rule[WHY_TARGET_TEXT];
        int k = 1;
        WHY_TRY(read_class(e, times ? why_args_nth(a, "class", i) : "predicted", rule));
        if (strncmp(rule, "top:", 4) == 0 && !strchr(rule, '-')) k = atoi(rule + 4);
        for (int j = 0; j < k; j++) {
            int c = e->order[j];
            if (k == 1) WHY_TRY(why_target_class(rule, e->order, e->info->classes, -1, &c));
            bool seen = false;
            for (int s = 0; s < *n; s++) seen |= (*classes)[s] == c;
            if (!seen) (*classes)[(*n)++] = c;
        }
    }
    return WHY_OK;
}

static why_status explain_method(struct explain *e, const char *name, const int *classes, int n) {
    const why_explainer *x = why_explainer_find(name);
    if (!x) {
        const char *names[128], *near;
        size_t count = 0;
        for (const why_explainer *const *t = why_explainers; *t && count < 128; t++) names[count++] = (*t)->name;
        near = why_nearest(name, names, count);
        return why_fail(WHY_EARG, "explainer '%s' is unknown%s%s%s; see 'whypix list explainers'", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (x->flags & WHY_USES_MASK && !e->mask) return why_fail(WHY_EARG, "explainer '%s' needs a ground-truth mask: give --mask FILE", name);
    why_params *p = NULL;
    why_status st = make_params(e, x, &p);
    for (int i = 0; !st && i < n; i++) st = explain_class(e, x, p, classes[i], n > 1);
    why_params_destroy(&p);
    return st;
}

static why_status explain_all(struct explain *e) {
    static const char *const heads[] = {"method", "class", "output", "score", "evaluations", "min", "max", "fit R2", "residual", "note"};
    const char *methods = why_args_text(e->args, "method");
    int *classes = NULL, n = 0;
    char *names = NULL;
    WHY_TRY(check_sets(e->args, methods));
    WHY_TRY(open_all(e));
    why_status st = why_text_table_create(10, heads, "lrlrrrrrrl", &e->table);
    if (!st) st = choose_classes(e, &classes, &n);
    if (!st) st = why_strdup(methods, &names);
    char *rest = names;
    for (char *name; !st && (name = strsep(&rest, ","));) st = explain_method(e, name, classes, n);
    if (!st) {
        printf("%s: predicted class %d with p = %.4f\n", why_args_text(e->args, "image"), e->order[0],
               why_score(e->logits, e->info->outputs, e->order[0], WHY_PROBABILITY));
        st = why_text_table_print(e->table, NULL, WHY_FORMAT_TEXT, stdout);
    }
    if (!st) printf("maps (.npy, unnormalised) and overlays (.png) are in %s\n", why_args_text(e->args, "out"));
    free(names);
    free(classes);
    return st;
}

static why_status run(const why_args *a, int *exit_code) {
    static const char *const needed[] = {"model", "image", "method", "out"};
    (void)exit_code;
    for (int i = 0; i < 4; i++)
        if (!why_args_given(a, needed[i])) return why_fail(WHY_EARG, "--%s is missing; see 'whypix explain --help'", needed[i]);
    struct explain e = {.args = a};
    why_status st = explain_all(&e);
    clear(&e);
    return st;
}

static const why_option options[] = {
    {"model", "M.onnx", NULL, "the network", false},
    {"image", "FILE", NULL, "a PNG or JPEG", false},
    {"method", "A,B", NULL, "explainers, as 'whypix list explainers' names them", false},
    {"out", "DIR", NULL, "where maps and overlays go; made when missing", false},
    {"class", "RULE", NULL, "predicted (default), second, top:K, class:N or N, or a contrast (4-9: why 4, why not 9); may be repeated", true},
    {"preprocess", "PRESET|JOB", "torchvision", "torchvision, caffe, tf, half, none, or a job file's own", false},
    {"fit", "HOW", "resize-crop", "resize-crop, resize-crop(SHORT_SIDE,CROP,FILTER), resize or none", false},
    {"layer", "NAME", NULL, "layer for CAMs; see 'whypix model' (default: last_conv)", false},
    {"set", "X.PARAM=VALUE", NULL, "a parameter of one explainer; may be repeated", true},
    {"output", "WHAT", NULL, "probability, logit or log_odds (default: the explainer's own)", false},
    {"mask", "FILE", NULL, "ground-truth mask (nonzero = object), same size as the picture", false},
    {"palette", "NAME", "viridis", "viridis, inferno or diverging", false},
    {"seed", "N", "0", "seed of every random draw", false},
    {"batch", "B", "16", "masked copies per forward pass; results do not depend on it", false},
    {"threads", "T", NULL, "threads; results do not depend on it", false},
    {0},
};

const why_command why_command_explain = {
    .name = "explain",
    .positional = "",
    .summary = "explain one picture now: maps as .npy and overlays as .png",
    .help = "Writes DIR/EXPLAINER.npy (float32 H x W in the model's frame, unnormalised; for segment methods the coefficient\n"
            "of each pixel's segment) and an overlay beside it; -classN is added to the names when several classes are asked for.",
    .example = "whypix explain --model squeezenet1_1.onnx --image tabby.jpg --method lime,shap_partition,gradcam --set lime.samples=200 --out maps",
    .min_args = 0,
    .max_args = 0,
    .options = options,
    .run = run,
};
