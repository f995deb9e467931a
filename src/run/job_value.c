#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/job.h"

static const char *kind_name(why_node_kind kind) {
    static const char *const names[] = {"nothing", "a single value", "a list", "a mapping"};
    return names[kind];
}

why_status why_arena_array(why_arena *arena, size_t count, size_t size, void *out_pointer) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return why_fail(WHY_ENOMEM, "%zu x %zu bytes are more than a machine has", count, size);
    void *p = why_arena_take(arena, bytes ? bytes : 1);
    memcpy(out_pointer, &p, sizeof p);
    return p ? WHY_OK : WHY_ENOMEM;
}

why_status why_arena_adopt(why_arena *arena, char *text, const char **out) {
    *out = why_arena_strdup(arena, text);
    free(text);
    return *out ? WHY_OK : WHY_ENOMEM;
}

why_status why_want_kind(const why_node *node, why_node_kind kind, const char *what) {
    if (node->kind == kind) return WHY_OK;
    return why_at(node, "%s: got %s, want %s", what, kind_name(node->kind), kind_name(kind));
}

why_status why_want_text(const why_node *node, const char *what, const char **out) {
    WHY_TRY(why_want_kind(node, WHY_NODE_SCALAR, what));
    if (!*node->text) return why_at(node, "%s: is empty", what);
    *out = node->text;
    return WHY_OK;
}

why_status why_want_int(const why_node *node, const char *what, int64_t lo, int64_t hi, int64_t *out) {
    char *end;
    WHY_TRY(why_want_kind(node, WHY_NODE_SCALAR, what));
    errno = 0;
    long long v = strtoll(node->text, &end, 10);
    if (node->quoted || end == node->text || *end || errno || v < lo || v > hi)
        return why_at(node, "%s: got '%s', want a whole number from %lld to %lld", what, node->text, (long long)lo, (long long)hi);
    *out = v;
    return WHY_OK;
}

why_status why_want_real(const why_node *node, const char *what, double *out) {
    char *end;
    WHY_TRY(why_want_kind(node, WHY_NODE_SCALAR, what));
    *out = strtod(node->text, &end);
    if (node->quoted || end == node->text || *end || !isfinite(*out)) return why_at(node, "%s: got '%s', want a number", what, node->text);
    return WHY_OK;
}

why_status why_want_choice(const why_node *node, const char *what, const char *choices, int *out) {
    WHY_TRY(why_want_kind(node, WHY_NODE_SCALAR, what));
    int i = 0;
    for (const char *c = choices; c; i++) {
        const char *bar = strchr(c, '|');
        size_t n = bar ? (size_t)(bar - c) : strlen(c);
        if (strlen(node->text) == n && strncmp(node->text, c, n) == 0) {
            *out = i;
            return WHY_OK;
        }
        c = bar ? bar + 1 : NULL;
    }
    return why_at(node, "%s: got '%s', want one of %s", what, node->text, choices);
}

/* ---------------------------------------------------------------- paths */
static why_status expand_one(const why_node *node, const char *what, const char *open, const char **next, why_buf *b) {
    const char *close = strchr(open, '}');
    if (!close) return why_at(node, "%s: '%s': '}' is missing", what, node->text);
    char name[128];
    size_t n = (size_t)(close - open - 2);
    if (n == 0 || n >= sizeof name) return why_at(node, "%s: '%s': want a variable's name in ${}", what, node->text);
    memcpy(name, open + 2, n);
    name[n] = '\0';
    const char *value = getenv(name);
    if (!value || !*value) return why_at(node, "%s: '%s': the environment variable %s is not set", what, node->text, name);
    why_buf_text(b, value);
    *next = close + 1;
    return WHY_OK;
}

why_status why_want_path(why_arena *arena, const why_node *node, const char *what, const char **out) {
    const char *text = NULL;
    WHY_TRY(why_want_text(node, what, &text));
    why_buf b = {0};
    for (const char *at = text; *at;) {
        const char *open = strstr(at, "${");
        why_buf_put(&b, at, open ? (size_t)(open - at) : strlen(at));
        if (!open) break;
        why_status st = expand_one(node, what, open, &at, &b);
        if (st) {
            why_buf_clear(&b);
            return st;
        }
    }
    char *path;
    WHY_TRY(why_buf_take(&b, &path));
    return why_arena_adopt(arena, path, out);
}

why_status why_want_input(why_job *job, const why_node *node, const char *what, const char **out) {
    const char *path;
    char *beside;
    WHY_TRY(why_want_path(job->arena, node, what, &path));
    WHY_TRY(why_path_beside(node->file, path, &beside));
    return why_arena_adopt(job->arena, beside, out);
}

/* ---------------------------------------------------------------- mappings */
static why_status unknown_key(const why_entry *entry, const char *what, const why_key *keys) {
    const char *names[32] = {0};
    size_t n = 0;
    for (; keys[n].name && n < 32; n++) names[n] = keys[n].name;
    const char *nearest = why_nearest(entry->key, names, n);
    if (nearest) return why_at_key(entry, "%s: key '%s' is unknown; did you mean '%s'?", what, entry->key, nearest);
    char all[512] = "";
    for (size_t i = 0, at = 0; i < n && at < sizeof all; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", names[i]);
    return why_at_key(entry, "%s: key '%s' is unknown; there are: %s", what, entry->key, all);
}

why_status why_read_keys(why_job *job, void *into, const why_node *map, const char *what, const why_key *keys) {
    WHY_TRY(why_want_kind(map, WHY_NODE_MAP, what));
    for (int i = 0; i < map->n; i++) {
        const why_key *k = keys;
        while (k->name && strcmp(k->name, map->entry[i].key) != 0) k++;
        if (!k->name) return unknown_key(&map->entry[i], what, keys);
    }
    for (const why_key *k = keys; k->name; k++) { /* in table order, so that later keys may use earlier ones */
        const why_node *v = why_node_get(map, k->name);
        if (!v && k->required) return why_at(map, "%s: '%s' is missing", what, k->name);
        if (v && k->read) WHY_TRY(k->read(job, into, v));
    }
    return WHY_OK;
}
