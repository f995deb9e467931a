#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "whypix/model.h"

struct infer {
    why_model *model;
    why_pool *pool;
    why_session *session;
    float *x, *y;
    why_shape shape; /* of x */
    int batch;
};

static why_status load_input(struct infer *f, const char *path) {
    const why_model_info *info = why_model_get_info(f->model);
    WHY_TRY(why_npy_load_f32(path, &f->shape, &f->x));
    const why_shape *s = &f->shape;
    if (s->rank != 4 || s->dim[0] < 1 || s->dim[1] != info->channels || s->dim[2] != info->height || s->dim[3] != info->width) {
        long long d[4] = {0};
        for (int i = 0; i < 4 && i < s->rank; i++) d[i] = s->dim[i];
        return why_fail(WHY_EARG, "%s: got an array of rank %d (%lld x %lld x %lld x %lld), the model wants N x %d x %d x %d", path, s->rank,
                        d[0], d[1], d[2], d[3], info->channels, info->height, info->width);
    }
    return WHY_OK;
}

static why_status forward_all(struct infer *f) {
    int64_t outputs = why_model_get_info(f->model)->outputs, n = f->shape.dim[0];
    int64_t sample = f->shape.dim[1] * f->shape.dim[2] * f->shape.dim[3];
    WHY_TRY(why_alloc((size_t)(n * outputs), sizeof *f->y, "logits", &f->y));
    for (int64_t i = 0; i < n; i += f->batch) {
        int take = (int)(n - i < f->batch ? n - i : f->batch);
        WHY_TRY(why_session_forward(f->session, f->x + i * sample, take));
        memcpy(f->y + i * outputs, why_session_logits(f->session), (size_t)(take * outputs) * sizeof *f->y);
    }
    return WHY_OK;
}

static why_status infer(struct infer *f, const why_args *a) {
    int64_t batch;
    int threads;
    const char *from;
    WHY_TRY(why_args_int(a, "batch", 1, 4096, &batch));
    WHY_TRY(why_choose_threads(a, 0, 1, &threads, &from));
    f->batch = (int)batch;
    WHY_TRY(why_model_load(why_args_text(a, "model"), NULL, &f->model));
    WHY_TRY(load_input(f, why_args_text(a, "input")));
    WHY_TRY(why_pool_create(threads, &f->pool));
    why_session_options options = {.max_batch = f->batch, .pool = f->pool};
    WHY_TRY(why_session_create(f->model, &options, &f->session));
    WHY_TRY(forward_all(f));
    why_shape out = {.rank = 2, .dim = {f->shape.dim[0], why_model_get_info(f->model)->outputs}};
    return why_npy_save_f32(why_args_text(a, "output"), &out, f->y);
}

static why_status run(const why_args *a, int *exit_code) {
    static const char *const needed[] = {"model", "input", "output"};
    (void)exit_code;
    for (int i = 0; i < 3; i++)
        if (!why_args_given(a, needed[i])) return why_fail(WHY_EARG, "--%s is missing; see 'whypix infer --help'", needed[i]);
    struct infer f = {0};
    why_status st = infer(&f, a);
    why_session_destroy(&f.session);
    why_pool_destroy(&f.pool);
    why_model_destroy(&f.model);
    free(f.x);
    free(f.y);
    return st;
}

static const why_option options[] = {
    {"model", "M.onnx", NULL, "the network", false},
    {"input", "X.npy", NULL, "float32 array N x C x H x W, already normalised", false},
    {"output", "Y.npy", NULL, "float32 array N x classes: logits, before any final Softmax", false},
    {"batch", "B", "8", "images per forward pass; the logits do not depend on it", false},
    {"threads", "T", NULL, "threads; the logits do not depend on it", false},
    {0},
};

const why_command why_command_infer = {
    .name = "infer",
    .positional = "",
    .summary = "logits of a batch of prepared inputs, .npy in, .npy out",
    .help = "Runs the network on prepared inputs and writes its logits, for checking whypix's engine against another one.",
    .example = "whypix infer --model squeezenet1_1.onnx --input x.npy --output logits.npy",
    .min_args = 0,
    .max_args = 0,
    .options = options,
    .run = run,
};
