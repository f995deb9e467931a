#include "whypix/param.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct value {
    int64_t i;
    double d;
    char *s; /* CHOICE and TEXT */
};

struct why_params {
    const why_param *table;
    int n;
    struct value v[];
};

static int count(const why_param *table) {
    int n = 0;
    while (table && table[n].name) n++;
    return n;
}

static int find(const why_params *p, const char *name) {
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->table[i].name, name) == 0) return i;
    return -1;
}

static int smallest(int a, int b, int c) {
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance of texts up to 63 bytes; longer ones are compared by their heads. */
static int distance(const char *a, const char *b) {
    int row[64], la = (int)strnlen(a, 63), lb = (int)strnlen(b, 63);
    for (int j = 0; j <= lb; j++) row[j] = j;
    for (int i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            int above = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}

const char *why_nearest(const char *got, const char *const *names, size_t n) {
    const char *best = NULL;
    int best_distance = 1 + (int)strlen(got) / 2;
    for (size_t i = 0; i < n; i++) {
        int d = distance(got, names[i]);
        if (d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

why_status why_params_create(const why_param *table, why_params **out) {
    int n = count(table);
    *out = NULL;
    why_params *p;
    WHY_TRY(why_alloc(1, sizeof *p + (size_t)n * sizeof(struct value), "parameters", &p));
    p->table = table;
    p->n = n;
    for (int i = 0; i < n; i++) {
        why_status st = why_params_set(p, table[i].name, table[i].initial);
        if (st) {
            why_params_destroy(&p);
            return st;
        }
    }
    *out = p;
    return WHY_OK;
}

void why_params_destroy(why_params **p) {
    if (!*p) return;
    for (int i = 0; i < (*p)->n; i++) free((*p)->v[i].s);
    free(*p);
    *p = NULL;
}

why_status why_params_copy(const why_params *p, why_params **out) {
    WHY_TRY(why_params_create(p->table, out));
    for (int i = 0; i < p->n; i++) {
        struct value *v = &(*out)->v[i];
        v->i = p->v[i].i;
        v->d = p->v[i].d;
        free(v->s);
        v->s = NULL;
        why_status st = p->v[i].s ? why_strdup(p->v[i].s, &v->s) : WHY_OK;
        if (st) {
            why_params_destroy(out);
            return st;
        }
    }
    return WHY_OK;
}

static why_status unknown(const why_params *p, const char *name) {
    const char *names[64], *nearest = NULL;
    size_t n = 0;
    for (; n < (size_t)p->n && n < 64; n++) names[n] = p->table[n].name;
    if (n == 0) return why_fail(WHY_EARG, "parameter '%s' is unknown: there are none", name);
    nearest = why_nearest(name, names, n);
    if (nearest) return why_fail(WHY_EARG, "parameter '%s' is unknown; did you mean '%s'?", name, nearest);
    why_buf all = {0};
    for (size_t i = 0; i < n; i++) why_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    char *text = NULL;
    WHY_TRY(why_buf_take(&all, &text));
    why_status st = why_fail(WHY_EARG, "parameter '%s' is unknown; there are: %s", name, text);
    free(text);
    return st;
}

static why_status set_int(const why_param *t, const char *text, struct value *v) {
    char *end;
    errno = 0;
    long long i = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)i < t->lo || (double)i > t->hi)
        return why_fail(WHY_EARG, "%s: got '%s', want a whole number from %.15g to %.15g", t->name, text, t->lo, t->hi);
    v->i = i;
    return WHY_OK;
}

static why_status set_real(const why_param *t, const char *text, struct value *v) {
    char *end;
    double d = strtod(text, &end);
    if (end == text || *end || !isfinite(d) || d < t->lo || d > t->hi)
        return why_fail(WHY_EARG, "%s: got '%s', want a number from %.15g to %.15g", t->name, text, t->lo, t->hi);
    v->d = d;
    return WHY_OK;
}

static why_status set_bool(const why_param *t, const char *text, struct value *v) {
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0;
    bool no = strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0;
    if (!yes && !no) return why_fail(WHY_EARG, "%s: got '%s', want true or false", t->name, text);
    v->i = yes;
    return WHY_OK;
}

static bool is_choice(const char *choices, const char *text) {
    size_t n = strchr(text, '|') ? 0 : strlen(text); /* "a|b" is none of "a|b|c" */
    for (const char *c = choices; c && n; c = strchr(c, '|'), c += c ? 1 : 0)
        if (strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == '\0')) return true;
    return false;
}

why_status why_params_set(why_params *p, const char *name, const char *text) {
    int i = find(p, name);
    if (i < 0) return unknown(p, name);
    const why_param *t = &p->table[i];
    struct value *v = &p->v[i];
    switch (t->type) {
    case WHY_PARAM_INT: return set_int(t, text, v);
    case WHY_PARAM_REAL: return set_real(t, text, v);
    case WHY_PARAM_BOOL: return set_bool(t, text, v);
    case WHY_PARAM_CHOICE:
        if (!is_choice(t->choices, text)) return why_fail(WHY_EARG, "%s: got '%s', want one of %s", name, text, t->choices);
        break;
    case WHY_PARAM_TEXT: break;
    }
    char *copy;
    WHY_TRY(why_strdup(text, &copy));
    free(v->s);
    v->s = copy;
    return WHY_OK;
}

static const struct value *get(const why_params *p, const char *name, why_param_type type, why_param_type or_type) {
    int i = find(p, name);
    assert(i >= 0 && (p->table[i].type == type || p->table[i].type == or_type));
    (void)type, (void)or_type;
    return &p->v[i];
}

int64_t why_params_int(const why_params *p, const char *name) { return get(p, name, WHY_PARAM_INT, WHY_PARAM_INT)->i; }
double why_params_real(const why_params *p, const char *name) { return get(p, name, WHY_PARAM_REAL, WHY_PARAM_REAL)->d; }
bool why_params_bool(const why_params *p, const char *name) { return get(p, name, WHY_PARAM_BOOL, WHY_PARAM_BOOL)->i != 0; }
const char *why_params_text(const why_params *p, const char *name) { return get(p, name, WHY_PARAM_CHOICE, WHY_PARAM_TEXT)->s; }
bool why_params_has(const why_params *p, const char *name) { return find(p, name) >= 0; }

static void put_value(why_buf *b, const why_param *t, const struct value *v) {
    switch (t->type) {
    case WHY_PARAM_INT: why_buf_printf(b, "%lld", (long long)v->i); break;
    case WHY_PARAM_REAL: why_buf_number(b, v->d); break;
    case WHY_PARAM_BOOL: why_buf_text(b, v->i ? "true" : "false"); break;
    case WHY_PARAM_CHOICE: why_buf_json(b, v->s); break;
    case WHY_PARAM_TEXT: why_buf_json(b, v->s[0] ? v->s : NULL); break;
    }
}

why_status why_params_canonical(const why_params *p, char **out) {
    why_buf b = {0};
    why_buf_text(&b, "{");
    for (int i = 0; i < p->n; i++) {
        if (i) why_buf_text(&b, ",");
        why_buf_json(&b, p->table[i].name);
        why_buf_text(&b, ":");
        put_value(&b, &p->table[i], &p->v[i]);
    }
    why_buf_text(&b, "}");
    return why_buf_take(&b, out);
}
