/* Job files, image lists and their surroundings in a folder of their own. */
#ifndef WHYPIX_TESTS_RUN_JOB_FILES_H
#define WHYPIX_TESTS_RUN_JOB_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/plan.h"
#include "support.h"

#define OK(call)                                                                                                                           \
    do {                                                                                                                                   \
        why_status ok_status_ = (call);                                                                                                    \
        if (ok_status_) fail_msg("%s: %s: %s", #call, why_status_name(ok_status_), why_error_text());                                      \
    } while (0)
#define REFUSED(call, text)                                                                                                                \
    do {                                                                                                                                   \
        if ((call) == WHY_OK) fail_msg("%s: was accepted", #call);                                                                         \
        if (!strstr(why_error_text(), text)) fail_msg("%s: '%s' lacks '%s'", #call, why_error_text(), text);                               \
    } while (0)

/* DIR/NAME, where DIR belongs to this process; four results are valid at a time. */
static inline const char *in_dir(const char *name) {
    static char path[4][4096];
    static int turn;
    const char *tmp = getenv("TMPDIR");
    char *out = path[turn++ % 4];
    snprintf(out, 4096, "%s/whypix-run-%ld/%s", tmp && *tmp ? tmp : "/tmp", (long)getpid(), name);
    return out;
}

static inline const char *write_text(const char *name, const char *text) {
    const char *path = in_dir(name);
    OK(why_make_dirs(in_dir("")));
    OK(why_write_file(path, text, strlen(text)));
    return path;
}

/* For teardown: everything this process wrote. */
static inline int remove_dir(void **state) {
    (void)state;
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", in_dir(""));
    return system(command);
}

static inline void copy_source(const char *source, const char *name) {
    char path[4096];
    uint8_t *data;
    size_t size;
    OK(why_read_file(test_source(source, path), 1 << 24, &data, &size));
    OK(why_make_dirs(in_dir("")));
    OK(why_write_file(in_dir(name), data, size));
    free(data);
}

/* The committed net (5 classes, 48 x 48) as net.onnx, four pictures, a list, and a job that uses all of it. */
static inline void write_base_job(void) {
    copy_source("tests/golden/explain/tiny.onnx", "net.onnx");
    for (int i = 0; i < 4; i++) {
        char from[64], to[16];
        snprintf(from, sizeof from, "tests/golden/image/scene%d.png", i);
        snprintf(to, sizeof to, "%d.png", i);
        copy_source(from, to);
    }
    write_text("list.csv", "image,label,group,site\n0.png,0,a,north\n1.png,1,a,3.5\n2.png,2,b,\n3.png,0,b,x\n");
    write_text("labels.txt", "cat\ndog\nbird\nfish\ncow\n");
    char text[8192];
    snprintf(text, sizeof text,
             "whypix: 1\n"
             "name: base\n"
             "seed: 7\n"
             "images: {list: list.csv, labels: labels.txt}\n"
             "models:\n"
             "  - {name: net, file: net.onnx, preprocess: torchvision}\n"
             "targets: [label, predicted]\n"
             "methods:\n"
             "  lime: {explainer: lime, samples: 40, segmenter: \"slic(20,10)\"}\n"
             "  shap: {explainer: shap_partition, evaluations: 30, masker: \"blur(8,8)\"}\n"
             "  gradcam: {}\n"
             "controls: [random, center]\n"
             "agreement:\n"
             "  policies: [positive, signed]\n"
             "  grids: [pixel, 14x14]\n"
             "  metrics: [pearson, soft_iou, {topk_iou: [0.05, 0.2]}]\n"
             "scores: [deletion, sparsity]\n"
             "output: {database: %s, maps: none}\n",
             in_dir("out/base.db"));
    write_text("base.yaml", text);
}

/* A job that extends base.yaml by `text`. */
static inline const char *extend_base(const char *text) {
    char all[8192];
    snprintf(all, sizeof all, "extends: base.yaml\n%s", text);
    return write_text("job.yaml", all);
}

#endif
