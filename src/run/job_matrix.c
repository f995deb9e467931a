/* `matrix:` over METHOD.PARAMETER makes one method per point of that method's axes; `models` chooses among the models.
 * Two methods' axes do not multiply: a cell belongs to one method, so the union is the product. `exclude:` leaves out
 * the cells that match every key of one of its entries. */
#include <stdlib.h>
#include <string.h>

#include "run/job.h"

enum { MAX_AXES = 16, MAX_POINTS = 4096 };

struct axes {
    const why_entry *axis[MAX_AXES];
    int n;
};

static bool splits(const char *key, const char *method) {
    size_t n = strlen(method);
    return strncmp(key, method, n) == 0 && key[n] == '.' && key[n + 1];
}

static why_status check_axis(const why_job *job, const why_entry *e) {
    WHY_TRY(why_want_kind(e->value, WHY_NODE_LIST, "matrix"));
    if (e->value->n == 0) return why_at(e->value, "matrix: '%s' has no values", e->key);
    for (int i = 0; i < e->value->n; i++) WHY_TRY(why_want_kind(e->value->entry[i].value, WHY_NODE_SCALAR, "matrix"));
    if (strcmp(e->key, "models") == 0) return WHY_OK;
    for (int i = 0; i < job->n_methods; i++)
        if (!job->methods[i].control && splits(e->key, job->methods[i].base)) return WHY_OK;
    return why_at_key(e, "matrix: key '%s': want models or METHOD.PARAMETER with a method of this job", e->key);
}

/* ---------------------------------------------------------------- models */
static int find_model(const why_job *job, const char *name) {
    for (int i = 0; i < job->n_models; i++)
        if (strcmp(job->models[i].name, name) == 0) return i;
    return -1;
}

static why_status choose_models(why_job *job, const why_node *names) {
    why_job_model *chosen;
    WHY_TRY(why_arena_array(job->arena, (size_t)names->n, sizeof *chosen, &chosen));
    for (int i = 0; i < names->n; i++) {
        const why_node *v = names->entry[i].value;
        int m = find_model(job, v->text);
        if (m < 0) return why_at(v, "matrix: model '%s' is not one of the models", v->text);
        for (int j = 0; j < i; j++)
            if (strcmp(chosen[j].name, v->text) == 0) return why_at(v, "matrix: model '%s' is given twice", v->text);
        chosen[i] = job->models[m];
    }
    job->models = chosen;
    job->n_models = names->n;
    return WHY_OK;
}

/* ---------------------------------------------------------------- methods */
static why_status point_node(why_job *job, const why_job_method *base, const struct axes *axes, const int *at, why_node **out) {
    why_node *node;
    WHY_TRY(why_arena_array(job->arena, 1, sizeof *node, &node));
    *node = *base->at;
    WHY_TRY(why_arena_array(job->arena, (size_t)(node->n + axes->n), sizeof *node->entry, &node->entry));
    memcpy(node->entry, base->at->entry, (size_t)node->n * sizeof *node->entry);
    for (int a = 0; a < axes->n; a++) {
        why_entry e = *axes->axis[a];
        e.key = strchr(e.key, '.') + 1;
        e.value = axes->axis[a]->value->entry[at[a]].value;
        int i = 0;
        while (i < node->n && strcmp(node->entry[i].key, e.key) != 0) i++;
        node->entry[i] = e;
        if (i == node->n) node->n++;
    }
    *out = node;
    return WHY_OK;
}

/* "lime[segmenter=slic,samples=50]" and the texts that `exclude:` compares. */
static why_status name_point(why_job *job, const struct axes *axes, const int *at, why_job_method *m) {
    why_buf b = {0};
    char *name;
    WHY_TRY(why_arena_array(job->arena, (size_t)axes->n, sizeof *m->axis, &m->axis));
    WHY_TRY(why_arena_array(job->arena, (size_t)axes->n, sizeof *m->axis_value, &m->axis_value));
    m->n_axes = axes->n;
    for (int a = 0; a < axes->n; a++) {
        m->axis[a] = axes->axis[a]->key;
        m->axis_value[a] = axes->axis[a]->value->entry[at[a]].value->text;
        why_buf_printf(&b, "%s%s%s=%s", a ? "" : m->base, a ? "," : "[", strchr(m->axis[a], '.') + 1, m->axis_value[a]);
    }
    why_buf_text(&b, "]");
    WHY_TRY(why_buf_take(&b, &name));
    return why_arena_adopt(job->arena, name, &m->name);
}

static why_status add_point(why_job *job, const why_job_method *base, const struct axes *axes, const int *at) {
    why_node *node;
    if (job->n_methods == MAX_POINTS) return why_at(base->at, "matrix: more than %d methods", MAX_POINTS);
    why_job_method *m = &job->methods[job->n_methods++];
    *m = (why_job_method){.base = base->base};
    WHY_TRY(name_point(job, axes, at, m));
    WHY_TRY(point_node(job, base, axes, at, &node));
    return why_job_method_create(job, node, m);
}

static bool next_point(const struct axes *axes, int *at) {
    for (int a = axes->n - 1; a >= 0; a--) {
        if (++at[a] < axes->axis[a]->value->n) return true;
        at[a] = 0;
    }
    return false;
}

static why_status find_axes(const why_node *matrix, const why_job_method *m, struct axes *axes) {
    axes->n = 0;
    for (int i = 0; i < matrix->n && !m->control; i++) {
        if (!splits(matrix->entry[i].key, m->base)) continue;
        if (axes->n == MAX_AXES) return why_at_key(&matrix->entry[i], "matrix: more than %d axes for one method", MAX_AXES);
        axes->axis[axes->n++] = &matrix->entry[i];
    }
    return WHY_OK;
}

static why_status expand_methods(why_job *job, const why_node *matrix) {
    why_job_method *old = job->methods;
    int n_old = job->n_methods;
    why_status st = why_arena_array(job->arena, MAX_POINTS, sizeof *job->methods, &job->methods);
    if (st) job->methods = old;
    if (st) return st;
    job->n_methods = 0;
    for (int i = 0; i < n_old; i++) {
        struct axes axes = {0};
        int at[MAX_AXES] = {0};
        if (!st) st = find_axes(matrix, &old[i], &axes);
        if (!st && axes.n == 0) {
            job->methods[job->n_methods++] = old[i];
            continue;
        }
        do {
            if (!st) st = add_point(job, &old[i], &axes, at);
        } while (!st && next_point(&axes, at));
        why_params_destroy(&old[i].params);
    }
    return st;
}

/* ---------------------------------------------------------------- exclude */
static bool is_axis_of_job(const why_job *job, const char *key) {
    for (int i = 0; i < job->n_methods; i++)
        for (int a = 0; a < job->methods[i].n_axes; a++)
            if (strcmp(job->methods[i].axis[a], key) == 0) return true;
    return strcmp(key, "models") == 0 || strcmp(key, "methods") == 0 || strcmp(key, "targets") == 0;
}

static why_status check_exclude(const why_job *job, const why_node *entry) {
    WHY_TRY(why_want_kind(entry, WHY_NODE_MAP, "exclude"));
    if (entry->n == 0) return why_at(entry, "exclude: an empty entry would leave out everything");
    const char *owner = NULL;
    for (int i = 0; i < entry->n; i++) {
        const why_entry *e = &entry->entry[i];
        const char *dot = strchr(e->key, '.');
        WHY_TRY(why_want_kind(e->value, WHY_NODE_SCALAR, e->key));
        if (!is_axis_of_job(job, e->key))
            return why_at_key(e, "exclude: '%s' is not an axis of the matrix, nor models, methods or targets", e->key);
        if (dot && owner && (strchr(owner, '.') - owner != dot - e->key || strncmp(owner, e->key, (size_t)(dot - e->key)) != 0))
            return why_at_key(e, "exclude: '%s' and '%s' belong to two methods: no cell is both", owner, e->key);
        if (dot) owner = e->key;
    }
    return WHY_OK;
}

static bool key_matches(const char *key, const char *value, const char *model, const why_job_method *m, const char *target) {
    if (strcmp(key, "models") == 0) return strcmp(value, model) == 0;
    if (strcmp(key, "targets") == 0) return strcmp(value, target) == 0;
    if (strcmp(key, "methods") == 0) return strcmp(value, m->name) == 0 || strcmp(value, m->base) == 0;
    for (int a = 0; a < m->n_axes; a++)
        if (strcmp(m->axis[a], key) == 0) return strcmp(m->axis_value[a], value) == 0;
    return false;
}

bool why_job_excludes(const why_job *job, const char *model, const why_job_method *method, const char *target) {
    for (int i = 0; job->exclude && i < job->exclude->n; i++) {
        const why_node *entry = job->exclude->entry[i].value;
        bool all = true;
        for (int k = 0; k < entry->n && all; k++)
            all = key_matches(entry->entry[k].key, entry->entry[k].value->text, model, method, target);
        if (all) return true;
    }
    return false;
}

/* ---------------------------------------------------------------- the section */
why_status why_job_read_matrix(why_job *job) {
    const why_node *matrix = why_node_get(job->root, "matrix");
    if (!matrix) return WHY_OK;
    WHY_TRY(why_want_kind(matrix, WHY_NODE_MAP, "matrix"));
    for (int i = 0; i < matrix->n; i++)
        if (strcmp(matrix->entry[i].key, "exclude") != 0) WHY_TRY(check_axis(job, &matrix->entry[i]));
    const why_node *models = why_node_get(matrix, "models");
    if (models) WHY_TRY(choose_models(job, models));
    WHY_TRY(expand_methods(job, matrix));
    job->exclude = why_node_get(matrix, "exclude");
    if (!job->exclude) return WHY_OK;
    WHY_TRY(why_want_kind(job->exclude, WHY_NODE_LIST, "exclude"));
    for (int i = 0; i < job->exclude->n; i++) WHY_TRY(check_exclude(job, job->exclude->entry[i].value));
    return WHY_OK;
}
