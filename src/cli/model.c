#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "whypix/model.h"

static why_status run(const why_args *a, int *exit_code) {
    int64_t size;
    why_model *m = NULL;
    char *text = NULL;
    (void)exit_code;
    WHY_TRY(why_args_int(a, "size", 0, 65535, &size));
    why_model_options options = {.height = (int)size, .width = (int)size};
    why_status st = why_model_load(why_args_at(a, 0), &options, &m);
    if (!st) st = why_model_describe(m, &text);
    if (!st) fputs(text, stdout);
    free(text);
    why_model_destroy(&m);
    return st;
}

static const why_option options[] = {
    {"size", "N", "0", "input side for models that leave it open; 0: the file's own, else 224", false},
    {0},
};

const why_command why_command_model = {
    .name = "model",
    .positional = "MODEL.onnx",
    .summary = "layers, shapes, parameters and multiply-accumulates of a model",
    .help = "Prints one line per layer: its name as `layer:` takes it, operator, output shape, parameters and MACs, and\n"
            "whether Grad-CAM can explain it; last_conv says which layer is the default.",
    .example = "whypix model resnet18.onnx",
    .min_args = 1,
    .max_args = 1,
    .options = options,
    .run = run,
};
