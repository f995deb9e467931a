/* Job files: what is refused and with which words, and what extends, matrix and variables make of the rest. */
#include "job_files.h"

#include "run/job.h"

static why_job read_job(why_arena **arena, const char *file) {
    why_job job = {0};
    OK(why_arena_create(1 << 16, arena));
    job.arena = *arena;
    OK(why_job_read(&job, file));
    return job;
}

static why_status try_job(const char *file) {
    why_job job = {0};
    why_arena *arena;
    OK(why_arena_create(1 << 16, &arena));
    job.arena = arena;
    why_status st = why_job_read(&job, file);
    why_job_clear(&job);
    why_arena_destroy(&arena);
    return st;
}

static void close_job(why_job *job, why_arena **arena) {
    why_job_clear(job);
    why_arena_destroy(arena);
}

static int setup(void **state) {
    (void)state;
    write_base_job();
    return 0;
}

/* ---------------------------------------------------------------- refused */
static const struct {
    const char *text, *error; /* `text` extends base.yaml from line 2 on */
} bad[] = {
    {"mehods: {}", "job.yaml:2:1: job: key 'mehods' is unknown; did you mean 'methods'?"},
    {"zzz: 1", "job: key 'zzz' is unknown; there are: whypix, name, seed"},
    {"whypix: 2", "job.yaml:2:9: whypix: job format 2; this whypix reads format 1"},
    {"seed: abc", "job.yaml:2:7: seed: got 'abc', want a whole number"},
    {"seed: \"7\"", "seed: got '7', want a whole number"},
    {"seed: [1]", "seed: got a list, want a single value"},
    {"name: {a: 1}", "name: got a mapping, want a single value"},
    {"images: {lits: x}", "job.yaml:2:10: images: key 'lits' is unknown; did you mean 'list'?"},
    {"images: {order: random}", "order: got 'random', want one of listed|shuffled"},
    {"images: {fit: {resize: [1, 2, 3]}}", "resize: got 3 numbers"},
    {"images: {fit: {how: lanczos}}", "how: got 'lanczos', want one of nearest|bilinear|bicubic"},
    {"images: {fit: {crop: 0}}", "crop: got '0', want a whole number from 1"},
    {"images: {list: \"${WHYPIX_NOT_SET}/a.csv\"}",
     "job.yaml:2:16: list: '${WHYPIX_NOT_SET}/a.csv': the environment variable WHYPIX_NOT_SET is not set"},
    {"images: {list: \"${HOME\"}", "'}' is missing"},
    {"models: []", "models: the list is empty"},
    {"models: [{name: a, file: b}]", "models: 'preprocess' is missing"},
    {"models: [{name: a, file: b, preprocess: torchvison}]", "preset 'torchvison' is unknown; did you mean 'torchvision'?"},
    {"models: [{name: a, file: b, preprocess: {scale: 1, divisor: 2}}]", "give divisor or scale, not both"},
    {"models: [{name: a, file: b, preprocess: {std: [1, 2]}}]", "std: got 2 numbers, want 1 or 3"},
    {"models: [{name: a, file: b, preprocess: {std: 0}}]", "std: got 0, want more than 0"},
    {"models: [{name: a, file: b, preprocess: none}, {name: a, file: b, preprocess: none}]", "'a' is named twice"},
    {"targets: label", "targets: got a single value, want a list"},
    {"targets: []", "targets: the list is empty"},
    {"targets: [labels]", "job.yaml:2:11: target 'labels': want label, predicted, second, top:K or class:N"},
    {"targets: [\"top:0\"]", "target 'top:0'"},
    {"targets: [\"top:1000\"]", "at most the best 100 classes"},
    {"targets: [\"label-label\"]", "target 'label-label': a contrast wants two different classes"},
    {"targets: [\"second-top:2\"]", "a contrast wants two different classes"},
    {"targets: [\"class:3-class:003\"]", "a contrast wants two different classes"},
    {"targets: [\"predicted-\"]", "target 'predicted-': want label, predicted, second, top:K or class:N, or a contrast of two, A-B"},
    {"targets: [\"class:1-class:2-class:3\"]", "or a contrast of two, A-B"},
    {"methods: {x: {explainer: limme}}", "job.yaml:2:26: explainer 'limme' is unknown or not built yet; did you mean 'lime'?"},
    {"methods: {x: {}}", "explainer 'x' is unknown"},
    {"methods: {x: {explainer: occlusion, fill: men}}", "fill 'men' is unknown; did you mean 'mean'?"},
    {"methods: {x: {explainer: rise, fill: inpaint_telea}}", "job.yaml:2:38: fill 'inpaint_telea' is painted from the pixels"},
    {"methods: {x: {explainer: integrated_gradients, baseline: inpaint_telea}}", "is painted from the pixels that are shown"},
    {"methods: {x: {explainer: integrated_gradients, baseline: zeros}}", "fill 'zeros' is unknown; did you mean 'zero'?"},
    {"methods: {x: 3}", "a method: got a single value, want a mapping"},
    {"methods: {\"a.b\": {explainer: lime}}", "a name may not hold"},
    {"methods: {lime: {smaples: 3}}", "job.yaml:2:18: method 'lime': parameter 'smaples' is unknown; did you mean 'samples'?"},
    {"methods: {lime: {samples: many}}", "samples: got 'many', want a whole number"},
    {"methods: {lime: {samples: [1]}}", "samples: got a list, want a single value"},
    {"methods: {lime: {segmenter: quickshit}}", "job.yaml:2:29: segmenter 'quickshit' is unknown; did you mean 'quickshift'?"},
    {"methods: {shap: {masker: blurr}}", "job.yaml:2:26: fill 'blurr' is unknown; did you mean 'blur'"},
    {"methods: {lime: {output: prob}}", "job.yaml:2:26"},
    {"methods: {nothing: null}", "'nothing' has no value, and there is nothing that null could remove"},
    {"methods: {lime: {until: .05}}", "until: got a single value, want a mapping"},
    {"methods: {lime: {until: {se: .05}}}", "job.yaml:2:26: until: 'se' is unknown; want se_range"},
    {"methods: {lime: {until: {se_range: -1}}}", "job.yaml:2:26: method 'lime': until_se_range: got '-1', want a number from 0"},
    {"methods: {gradcam: {until: {se_range: .05}}}", "until: method 'gradcam' (gradcam) does not sample"},
    {"controls: [shap_partition]", "controls: 'shap_partition' is an explainer; give it under methods"},
    {"controls: [rnadom]", "control 'rnadom' is unknown or not built yet; did you mean 'random'?"},
    {"controls: [random, random]", "method 'random' is given twice"},
    {"repeats: {lmie: 2}", "repeats: method 'lmie' is unknown; did you mean 'lime'?"},
    {"repeats: {gradcam: 2}", "'gradcam' is deterministic"},
    {"repeats: {lime: 0}", "repeats: got '0', want a whole number from 1"},
    {"budgets: {lime: [40]}", "40 is not below method 'lime' with samples: 40"},
    {"budgets: {lime: [20, 20]}", "20 is given twice"},
    {"budgets: {gradcam: [1]}", "'gradcam' has none"},
    {"matrix: {lime.samples: []}", "'lime.samples' has no values"},
    {"matrix: {lmie.samples: [1]}", "matrix: key 'lmie.samples': want models or METHOD.PARAMETER"},
    {"matrix: {lime.smaples: [30]}", "parameter 'smaples' is unknown"},
    {"matrix: {models: [ent]}", "matrix: model 'ent' is not one of the models"},
    {"matrix: {lime.samples: [30, 40], exclude: [{lime.segmenter: slic}]}", "'lime.segmenter' is not an axis of the matrix"},
    {"matrix: {lime.samples: [30], shap.evaluations: [20], exclude: [{lime.samples: 30, shap.evaluations: 20}]}", "belong to two methods"},
    {"agreement: {metrics: [person]}", "agreement metrics: 'person' is unknown or not built yet; did you mean 'pearson'?"},
    {"agreement: {metrics: [gini]}", "'gini' belongs under scores"},
    {"agreement: {metrics: [pearson, pearson]}", "'pearson' is given twice with the same parameters"},
    {"agreement: {metrics: [{topk_iou: [0.2, 0.2]}]}", "'topk_iou' is given twice"},
    {"agreement: {metrics: [{topk_iou: [2]}]}", "area: got '2', want a number from"},
    {"agreement: {metrics: [{pearson: [1]}]}", "it has no parameter that takes a list"},
    {"agreement: {policies: [positiv]}", "job.yaml:2:24"},
    {"agreement: {grids: [pixels]}", "job.yaml:2:21"},
    {"agreement: {pairs: some}", "pairs: got 'some', want one of methods|all"},
    {"agreement: {pairs: [[lime, shpa]]}", "pairs: method 'shpa' is unknown; did you mean 'shap'?"},
    {"agreement: {pairs: [lime]}", "pairs: want [method, method]"},
    {"scores: [pearson]", "'pearson' belongs under agreement: metrics"},
    {"fills: [mean, mean]", "fills: 'mean' is given twice"},
    {"fills: [mena]", "fill 'mena' is unknown; did you mean 'mean'"},
    {"output: {maps: zip}", "maps: got 'zip'"},
    {"output: {overlays: {palette: viridis}}", "overlays: 'first' is missing"},
    {"output: {overlays: {first: 1, palette: virids}}", "job.yaml:2:40"},
    {"run: {precision: split}", "precision: 'split' is not built yet; use fp32"},
    {"run: {threads: 0}", "threads: got '0', want a whole number from 1"},
    {"run: {on_bad_image: ignore}", "on_bad_image: got 'ignore', want one of record|stop"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) REFUSED(try_job(extend_base(bad[i].text)), bad[i].error);
}

static void test_not_yaml(void **state) {
    (void)state;
    REFUSED(try_job(write_text("x.yaml", "a: [1\nb: 2\n")), "x.yaml:2:");
    REFUSED(try_job(write_text("x.yaml", "")), "x.yaml: is empty");
    REFUSED(try_job(write_text("x.yaml", "- a\n")), "a job file: got a list, want a mapping");
    REFUSED(try_job(write_text("x.yaml", "name: a\nname: b\n")), "x.yaml:2:1: 'name' is given twice; first in line 1");
    REFUSED(try_job(write_text("x.yaml", "a: 1\n---\nb: 2\n")), "a second document");
    REFUSED(try_job(write_text("x.yaml", "name:\n")), "x.yaml:1:1: 'name' has no value");
    REFUSED(try_job(write_text("x.yaml", "whypix: 1\nname: a\n")), "'images' is missing");
    REFUSED(try_job(write_text("x.yaml", "a: \"\\0\"\n")), "NUL");
    REFUSED(try_job(write_text("x.yaml", "\xff\xfe\x41")), "x.yaml");
    REFUSED(try_job(in_dir("nowhere.yaml")), "nowhere.yaml: No such file");
    REFUSED(try_job(in_dir("")), "is a folder");
}

/* Nine lines of aliases unfold to 10^9 nodes. */
static void test_alias_bomb(void **state) {
    (void)state;
    REFUSED(try_job(write_text(
                "x.yaml",
                "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n")),
            "more than 100000 values");
    REFUSED(try_job(write_text("x.yaml", "a: &a [*a]\n")), "nested more than 64 deep");
}

/* ---------------------------------------------------------------- extends */
static const why_job_method *method(const why_job *job, const char *name) {
    for (int i = 0; i < job->n_methods; i++)
        if (strcmp(job->methods[i].name, name) == 0) return &job->methods[i];
    return NULL;
}

static void test_extends_merges(void **state) {
    (void)state;
    why_arena *arena;
    why_job job = read_job(&arena, extend_base("seed: 8\nmethods: {lime: {samples: 50}}\noutput: {maps: directory}\n"));
    assert_int_equal(job.seed, 8);
    assert_string_equal(job.name, "base");
    assert_int_equal(why_params_int(method(&job, "lime")->params, "samples"), 50);
    assert_string_equal(why_params_text(method(&job, "lime")->params, "segmenter"), "slic(20,10)");
    assert_true(job.maps);
    assert_string_equal(job.database, in_dir("out/base.db"));
    close_job(&job, &arena);
}

/* A removed method takes along what hangs on it. */
static void test_null_removes(void **state) {
    (void)state;
    why_arena *arena;
    write_text("mid.yaml", "extends: base.yaml\nrepeats: {lime: 3}\nbudgets: {lime: [10], shap: [20]}\n"
                           "matrix: {lime.samples: [30, 40], exclude: [{lime.samples: 30}, {methods: gradcam, targets: label}]}\n"
                           "agreement: {pairs: [[lime, shap], [shap, gradcam]]}\n");
    why_job job = read_job(&arena, write_text("top.yaml", "extends: mid.yaml\nmethods: {lime: null}\ncontrols: null\n"));
    assert_int_equal(job.n_methods, 2);
    assert_null(method(&job, "lime"));
    assert_int_equal(method(&job, "shap")->n_budgets, 1);
    assert_int_equal(job.n_listed, 1);
    assert_int_equal(job.exclude->n, 1);
    close_job(&job, &arena);
}

static void test_extends_itself(void **state) {
    (void)state;
    REFUSED(try_job(write_text("loop.yaml", "extends: loop.yaml\n")), "does a file extend itself?");
    REFUSED(try_job(write_text("gone.yaml", "name: a\nextends: missing.yaml\n")), "gone.yaml:2:10: ");
}

/* ---------------------------------------------------------------- variables and paths */
static void test_paths(void **state) {
    (void)state;
    why_arena *arena;
    setenv("WHYPIX_TEST_DIR", "/some/where", 1);
    why_job job = read_job(&arena, extend_base("name: \"${WHYPIX_TEST_DIR}\"\nimages: {list: \"${WHYPIX_TEST_DIR}/l.csv\"}\n"
                                               "output: {database: \"${WHYPIX_TEST_DIR}/a.db\"}\n"));
    assert_string_equal(job.list, "/some/where/l.csv");
    assert_string_equal(job.database, "/some/where/a.db");
    assert_string_equal(job.name, "${WHYPIX_TEST_DIR}");   /* paths only */
    assert_string_equal(job.labels, in_dir("labels.txt")); /* beside the file that names it */
    close_job(&job, &arena);
}

/* ---------------------------------------------------------------- matrix */
static void test_matrix(void **state) {
    (void)state;
    why_arena *arena;
    why_job job = read_job(
        &arena,
        extend_base(
            "matrix:\n  lime.samples: [30, 40]\n  lime.segmenter: [quickshift, \"slic(9)\"]\n  shap.output: [logit, probability]\n"
            "  exclude: [{lime.samples: 30, lime.segmenter: quickshift}, {methods: gradcam, targets: label}]\nrepeats: {lime: 2}\n"));
    assert_int_equal(job.n_methods, 4 + 2 + 1 + 2);
    const why_job_method *m = method(&job, "lime[samples=30,segmenter=quickshift]"), *logit = method(&job, "shap[output=logit]");
    assert_non_null(m);
    assert_non_null(logit);
    assert_int_equal(why_params_int(m->params, "samples"), 30);
    assert_int_equal(m->repeats, 2);
    assert_int_equal(logit->output, WHY_LOGIT);
    assert_true(why_job_excludes(&job, "net", m, "label"));
    assert_false(why_job_excludes(&job, "net", method(&job, "lime[samples=40,segmenter=quickshift]"), "label"));
    assert_true(why_job_excludes(&job, "net", method(&job, "gradcam"), "label"));
    assert_false(why_job_excludes(&job, "net", method(&job, "gradcam"), "predicted"));
    close_job(&job, &arena);
}

/* ---------------------------------------------------------------- values */
static void test_values(void **state) {
    (void)state;
    why_arena *arena;
    why_job job = read_job(
        &arena,
        extend_base("images: {order: shuffled, label_offset: 1, fit: {resize: [10, 20], how: bicubic}}\n"
                    "models: [{name: n, file: net.onnx, preprocess: {scale: 0.5, mean: 3, std: [1, 2, 4], channels: bgr}, fit: none}]\n"
                    "targets: [label, \"top:2\", \"top:3\", \"class:007\", predicted-second, \"class:04-top:03\", \"class:4-top:3\"]\n"
                    "fills: [blur, mean]\n"
                    "scores: [{pointing_game: {tolerance: 3}}, {pointing_game: {tolerance: 0}}]\n"
                    "run: {threads: 3, shard: 5, batch: 16, on_bad_image: stop}\n"));
    assert_true(job.shuffled);
    assert_int_equal(job.label_offset, 1);
    assert_int_equal(job.fit.fit.resize_w, 20);
    assert_int_equal(job.fit.fit.how, WHY_BICUBIC);
    assert_int_equal(job.models[0].fit.kind, WHY_FIT_NONE);
    assert_true(job.models[0].preprocess.bgr);
    assert_float_equal(job.models[0].preprocess.divisor, 2, 0);
    assert_float_equal(job.models[0].preprocess.mean[2], 3, 0);
    assert_float_equal(job.models[0].preprocess.std[2], 4, 0);
    assert_int_equal(job.n_targets, 7); /* label, top:1..3, class:7, and the contrasts */
    assert_string_equal(job.targets[4].text, "class:7");
    assert_string_equal(job.targets[5].text, "predicted-second");
    assert_string_equal(job.targets[6].text, "class:4-top:3");
    assert_string_equal(job.fills[0], "blur(kx=16,ky=16)");
    assert_int_equal(job.n_scores, 2);
    assert_int_equal(job.threads, 3);
    assert_int_equal(job.shard, 5);
    assert_int_equal(job.batch, 16);
    assert_true(job.on_bad_image_stop);
    close_job(&job, &arena);
}

/* What is written reads back as the same text. */
static void test_round_trip(void **state) {
    (void)state;
    why_arena *arena;
    why_node *node;
    why_buf once = {0}, twice = {0};
    OK(why_arena_create(1 << 16, &arena));
    write_text("odd.yaml", "a: 'null'\nb: \"x: y\"\nc: [-3, '-', \"tab\\t\", 'it''s', 1e-4, {d: {e: [f]}}]\ng: ''\n\"h #\": '#'\ni: "
                           "yes\nj:\n - k: 1\n   l: [2]\n - m\n");
    OK(why_yaml_load(arena, in_dir("odd.yaml"), &node));
    why_yaml_write(&once, node);
    why_buf_put(&once, "", 1);
    OK(why_buf_status(&once));
    OK(why_yaml_load(arena, write_text("odd2.yaml", (char *)once.data), &node));
    assert_string_equal(why_node_get(node, "a")->text, "null");
    assert_true(why_node_get(node, "a")->quoted);
    assert_string_equal(why_node_get(node, "b")->text, "x: y");
    assert_string_equal(why_node_get(node, "c")->entry[2].value->text, "tab\t");
    assert_string_equal(why_node_get(node, "g")->text, "");
    assert_string_equal(why_node_get(node, "h #")->text, "#");
    why_yaml_write(&twice, node);
    why_buf_put(&twice, "", 1);
    assert_string_equal((char *)twice.data, (char *)once.data);
    why_buf_clear(&once);
    why_buf_clear(&twice);
    why_arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_not_yaml),     cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_extends_merges), cmocka_unit_test(test_null_removes), cmocka_unit_test(test_extends_itself),
        cmocka_unit_test(test_paths),          cmocka_unit_test(test_matrix),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, setup, remove_dir);
}
