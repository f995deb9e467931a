/* `extends: FILE` merges deeply: mappings key by key, everything else is replaced. null removes a key with everything
 * that hangs on it: a method takes its repeats, budgets, matrix axes and pairs along. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/job.h"

enum { MAX_EXTENDS = 8 };

static why_status put_entry(why_arena *arena, why_node *map, const why_entry *entry) {
    why_entry *grown;
    WHY_TRY(why_arena_array(arena, (size_t)map->n + 1, sizeof *grown, &grown));
    if (map->n) memcpy(grown, map->entry, (size_t)map->n * sizeof *grown);
    grown[map->n++] = *entry;
    map->entry = grown;
    return WHY_OK;
}

static int find_key(const why_node *map, const char *key) {
    for (int i = 0; map && map->kind == WHY_NODE_MAP && i < map->n; i++)
        if (strcmp(map->entry[i].key, key) == 0) return i;
    return -1;
}

/* ---------------------------------------------------------------- what hangs on a method */
static bool is_axis_of(const char *axis, const char *method) {
    size_t n = strlen(method);
    return strncmp(axis, method, n) == 0 && axis[n] == '.';
}

static bool names_method(const why_node *node, const char *method) {
    if (node->kind == WHY_NODE_SCALAR) return strcmp(node->text, method) == 0;
    for (int i = 0; i < node->n; i++) {
        const char *key = node->entry[i].key;
        if (key && (is_axis_of(key, method) || (strcmp(key, "methods") == 0 && names_method(node->entry[i].value, method)))) return true;
        if (!key && names_method(node->entry[i].value, method)) return true;
    }
    return false;
}

static void drop_naming(why_node *list, const char *method) {
    if (!list || list->kind != WHY_NODE_LIST) return;
    for (int i = list->n - 1; i >= 0; i--)
        if (names_method(list->entry[i].value, method)) why_node_drop(list, i);
}

static void forget_method(why_node *root, const char *method) {
    static const char *const keyed[] = {"repeats", "budgets"};
    for (int k = 0; k < 2; k++) {
        why_node *map = why_node_get(root, keyed[k]);
        int i = find_key(map, method);
        if (i >= 0) why_node_drop(map, i);
    }
    why_node *matrix = why_node_get(root, "matrix");
    for (int i = matrix && matrix->kind == WHY_NODE_MAP ? matrix->n - 1 : -1; i >= 0; i--)
        if (is_axis_of(matrix->entry[i].key, method)) why_node_drop(matrix, i);
    drop_naming(why_node_get(matrix, "exclude"), method);
    drop_naming(why_node_get(why_node_get(root, "agreement"), "pairs"), method);
}

/* ---------------------------------------------------------------- merging */
/* null only removes what another file has set; elsewhere it is a value that was forgotten. */
static why_status want_values(const why_entry *entry) {
    if (entry->value->kind == WHY_NODE_NULL)
        return why_at_key(entry, "'%s' has no value, and there is nothing that null could remove", entry->key);
    for (int i = 0; entry->value->kind == WHY_NODE_MAP && i < entry->value->n; i++) WHY_TRY(want_values(&entry->value->entry[i]));
    return WHY_OK;
}

static why_status merge(why_arena *arena, why_node *base, const why_node *over) {
    for (int i = 0; i < over->n; i++) {
        const why_entry *e = &over->entry[i];
        int j = find_key(base, e->key);
        if (j < 0) {
            WHY_TRY(want_values(e));
            WHY_TRY(put_entry(arena, base, e));
        } else if (base->entry[j].value->kind == WHY_NODE_MAP && e->value->kind == WHY_NODE_MAP) {
            WHY_TRY(merge(arena, base->entry[j].value, e->value));
        } else {
            base->entry[j] = *e;
        }
    }
    return WHY_OK;
}

/* Nulls stay in the tree until every file has been merged; then they take their keys away. */
static void drop_nulls(why_node *node) {
    if (node->kind != WHY_NODE_MAP) return;
    for (int i = node->n - 1; i >= 0; i--) {
        if (node->entry[i].value->kind == WHY_NODE_NULL) why_node_drop(node, i);
        else drop_nulls(node->entry[i].value);
    }
}

static void drop_removed(why_node *root) {
    const why_node *methods = why_node_get(root, "methods");
    for (int i = 0; methods && methods->kind == WHY_NODE_MAP && i < methods->n; i++)
        if (methods->entry[i].value->kind == WHY_NODE_NULL) forget_method(root, methods->entry[i].key);
    drop_nulls(root);
}

static why_status load(why_arena *arena, const char *file, int depth, why_node **root);

static why_status extend(why_arena *arena, why_node *over, int depth, why_node **root) {
    int i = find_key(over, "extends");
    const why_node *at = over->entry[i].value;
    const char *path;
    char *base_file;
    if (depth >= MAX_EXTENDS) return why_at(at, "extends: more than %d files deep; does a file extend itself?", MAX_EXTENDS);
    WHY_TRY(why_want_path(arena, at, "extends", &path));
    WHY_TRY(why_path_beside(at->file, path, &base_file));
    why_status st = load(arena, base_file, depth + 1, root);
    if (st == WHY_EFILE) st = why_wrap_at(st, at);
    free(base_file);
    why_node_drop(over, i);
    return st ? st : merge(arena, *root, over);
}

static why_status load(why_arena *arena, const char *file, int depth, why_node **root) {
    why_node *node;
    WHY_TRY(why_yaml_load(arena, file, &node));
    WHY_TRY(why_want_kind(node, WHY_NODE_MAP, "a job file"));
    if (find_key(node, "extends") >= 0) return extend(arena, node, depth, root);
    for (int i = 0; i < node->n; i++) WHY_TRY(want_values(&node->entry[i]));
    *root = node;
    return WHY_OK;
}

why_status why_job_merge(why_arena *arena, const char *file, why_node **root) {
    WHY_TRY(load(arena, file, 0, root));
    drop_removed(*root);
    return WHY_OK;
}
