#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/file.h"
#include "run/job.h"

enum { MAX_BYTES = 4 << 20, MAX_NODES = 100000, MAX_DEPTH = 64 };

static why_status fail_at(const char *file, int line, int column, const char *fmt, va_list ap) {
    char text[1024];
    vsnprintf(text, sizeof text, fmt, ap);
    return why_fail(WHY_EJOB, "%s:%d:%d: %s", file, line, column, text);
}

why_status why_at(const why_node *node, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    why_status st = fail_at(node->file, node->line, node->column, fmt, ap);
    va_end(ap);
    return st;
}

why_status why_at_key(const why_entry *entry, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    why_status st = fail_at(entry->file, entry->line, entry->column, fmt, ap);
    va_end(ap);
    return st;
}

why_status why_wrap_at(why_status st, const why_node *node) {
    if (!st || st == WHY_ENOMEM) return st;
    return why_fail_in(WHY_EJOB, "%s:%d:%d", node->file, node->line, node->column);
}

/* ---------------------------------------------------------------- reading */
struct loader {
    why_arena *arena;
    const char *file;
    yaml_document_t *document;
    int nodes;
};

static why_status convert(struct loader *l, int index, int depth, why_node **out);

static bool is_null(const why_node *node) {
    return !node->quoted && (!*node->text || !strcmp(node->text, "null") || !strcmp(node->text, "~") || !strcmp(node->text, "Null") ||
                             !strcmp(node->text, "NULL"));
}

static why_status convert_scalar(struct loader *l, const yaml_node_t *from, why_node *node) {
    const char *text = (const char *)from->data.scalar.value;
    if (strlen(text) != from->data.scalar.length) return why_at(node, "a text holds a NUL byte");
    node->kind = WHY_NODE_SCALAR;
    node->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = why_arena_strdup(l->arena, text);
    if (!node->text) return WHY_ENOMEM;
    if (is_null(node)) node->kind = WHY_NODE_NULL;
    return WHY_OK;
}

static why_status convert_list(struct loader *l, const yaml_node_t *from, int depth, why_node *node) {
    const yaml_node_item_t *start = from->data.sequence.items.start;
    node->kind = WHY_NODE_LIST;
    node->n = (int)(from->data.sequence.items.top - start);
    WHY_TRY(why_arena_array(l->arena, (size_t)node->n, sizeof *node->entry, &node->entry));
    for (int i = 0; i < node->n; i++) WHY_TRY(convert(l, start[i], depth + 1, &node->entry[i].value));
    return WHY_OK;
}

static why_status convert_key(struct loader *l, int index, int depth, const why_node *map, int i, why_entry *entry) {
    why_node *key;
    WHY_TRY(convert(l, index, depth + 1, &key));
    if (key->kind != WHY_NODE_SCALAR) return why_at(key, "a key must be a plain text");
    *entry = (why_entry){.key = key->text, .file = key->file, .line = key->line, .column = key->column};
    for (int j = 0; j < i; j++)
        if (strcmp(map->entry[j].key, key->text) == 0)
            return why_at(key, "'%s' is given twice; first in line %d", key->text, map->entry[j].line);
    return WHY_OK;
}

static why_status convert_map(struct loader *l, const yaml_node_t *from, int depth, why_node *node) {
    const yaml_node_pair_t *start = from->data.mapping.pairs.start;
    node->kind = WHY_NODE_MAP;
    node->n = (int)(from->data.mapping.pairs.top - start);
    WHY_TRY(why_arena_array(l->arena, (size_t)node->n, sizeof *node->entry, &node->entry));
    for (int i = 0; i < node->n; i++) {
        WHY_TRY(convert_key(l, start[i].key, depth, node, i, &node->entry[i]));
        WHY_TRY(convert(l, start[i].value, depth + 1, &node->entry[i].value));
    }
    return WHY_OK;
}

/* Aliases are copied out, so a few lines can unfold without end: nodes and depth are bounded. */
static why_status convert(struct loader *l, int index, int depth, why_node **out) {
    const yaml_node_t *from = yaml_document_get_node(l->document, index);
    why_node *node;
    WHY_TRY(why_arena_array(l->arena, 1, sizeof *node, &node));
    node->file = l->file;
    node->line = (int)from->start_mark.line + 1;
    node->column = (int)from->start_mark.column + 1;
    *out = node;
    if (++l->nodes > MAX_NODES) return why_at(node, "more than %d values", MAX_NODES);
    if (depth > MAX_DEPTH) return why_at(node, "nested more than %d deep", MAX_DEPTH);
    switch (from->type) {
    case YAML_SCALAR_NODE: return convert_scalar(l, from, node);
    case YAML_SEQUENCE_NODE: return convert_list(l, from, depth, node);
    case YAML_MAPPING_NODE: return convert_map(l, from, depth, node);
    default: return why_at(node, "cannot read this value");
    }
}

static why_status syntax_error(const char *file, const yaml_parser_t *p) {
    if (p->error == YAML_MEMORY_ERROR) return why_fail(WHY_ENOMEM, "%s: cannot get memory to read it", file);
    if (p->error == YAML_READER_ERROR) return why_fail(WHY_EJOB, "%s: byte %zu: not YAML: %s", file, p->problem_offset, p->problem);
    return why_fail(WHY_EJOB, "%s:%zu:%zu: not YAML: %s%s%s", file, p->problem_mark.line + 1, p->problem_mark.column + 1,
                    p->context ? p->context : "", p->context ? ", " : "", p->problem ? p->problem : "cannot be read");
}

static why_status no_second_document(const char *file, yaml_parser_t *parser) {
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more)) return syntax_error(file, parser);
    const yaml_node_t *root = yaml_document_get_root_node(&more);
    why_status st = WHY_OK;
    if (root)
        st = why_fail(WHY_EJOB, "%s:%zu:%zu: a second document: a job file is one", file, root->start_mark.line + 1,
                      root->start_mark.column + 1);
    yaml_document_delete(&more);
    return st;
}

static why_status parse(why_arena *arena, const char *file, yaml_parser_t *parser, why_node **out) {
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) return syntax_error(file, parser);
    struct loader l = {.arena = arena, .file = why_arena_strdup(arena, file), .document = &document};
    why_status st = l.file ? WHY_OK : WHY_ENOMEM;
    if (!st && !yaml_document_get_root_node(&document)) st = why_fail(WHY_EJOB, "%s: is empty", file);
    if (!st) st = convert(&l, 1, 0, out);
    yaml_document_delete(&document);
    return st ? st : no_second_document(file, parser);
}

why_status why_yaml_load(why_arena *arena, const char *file, why_node **out) {
    uint8_t *bytes;
    size_t size;
    yaml_parser_t parser;
    WHY_TRY(why_read_file(file, MAX_BYTES, &bytes, &size));
    why_status st = yaml_parser_initialize(&parser) ? WHY_OK : why_fail(WHY_ENOMEM, "%s: cannot get memory to read it", file);
    if (!st) {
        yaml_parser_set_input_string(&parser, bytes, size);
        st = parse(arena, file, &parser, out);
        yaml_parser_delete(&parser);
    }
    free(bytes);
    return st;
}

/* ---------------------------------------------------------------- the tree */
why_node *why_node_get(const why_node *map, const char *key) {
    if (!map || map->kind != WHY_NODE_MAP) return NULL;
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->entry[i].key, key) == 0) return map->entry[i].value;
    return NULL;
}

void why_node_drop(why_node *node, int i) {
    memmove(&node->entry[i], &node->entry[i + 1], (size_t)(node->n - i - 1) * sizeof *node->entry);
    node->n--;
}

/* ---------------------------------------------------------------- writing */
static bool is_plain(const char *text) {
    if (!isalnum((unsigned char)*text) && !strchr("-./$+_", *text)) return false;
    if (!*text || text[strlen(text) - 1] == ' ' || text[strlen(text) - 1] == ':') return false;
    if (!strcmp(text, "null") || !strcmp(text, "Null") || !strcmp(text, "NULL") || *text == '-')
        return strspn(text, "-") == 1 && isdigit((unsigned char)text[1]);
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(" -./$+_:()=", *c)) return false;
    return !strstr(text, ": ") && !strstr(text, " #");
}

static void write_scalar(why_buf *b, const why_node *node) {
    if (node->kind == WHY_NODE_NULL) why_buf_text(b, "null");
    else if (is_plain(node->text)) why_buf_text(b, node->text);
    else why_buf_json(b, node->text); /* JSON strings are YAML */
}

static void write_key(why_buf *b, const char *key) {
    if (is_plain(key)) why_buf_text(b, key);
    else why_buf_json(b, key);
    why_buf_text(b, ":");
}

static void write_flow(why_buf *b, const why_node *node) {
    if (node->kind != WHY_NODE_LIST && node->kind != WHY_NODE_MAP) {
        write_scalar(b, node);
        return;
    }
    why_buf_text(b, node->kind == WHY_NODE_MAP ? "{" : "[");
    for (int i = 0; i < node->n; i++) {
        if (i) why_buf_text(b, ", ");
        if (node->kind == WHY_NODE_MAP) {
            write_key(b, node->entry[i].key);
            why_buf_text(b, " ");
        }
        write_flow(b, node->entry[i].value);
    }
    why_buf_text(b, node->kind == WHY_NODE_MAP ? "}" : "]");
}

static bool has_block(const why_node *node) {
    for (int i = 0; i < node->n; i++)
        if (node->entry[i].value->kind == WHY_NODE_MAP || node->entry[i].value->n > 8) return true;
    return false;
}

/* Maps of maps go one key a line, as people write job files; everything deeper stays on its line. */
static void write_block(why_buf *b, const why_node *node, int indent) {
    for (int i = 0; i < node->n; i++) {
        const why_node *v = node->entry[i].value;
        why_buf_printf(b, "%*s", indent, "");
        if (node->kind == WHY_NODE_LIST) why_buf_text(b, "-");
        else write_key(b, node->entry[i].key);
        if (node->kind == WHY_NODE_MAP && v->n > 0 && (indent == 0 || has_block(v)) && (v->kind == WHY_NODE_MAP || has_block(v))) {
            why_buf_text(b, "\n");
            write_block(b, v, indent + 2);
        } else {
            why_buf_text(b, " ");
            write_flow(b, v);
            why_buf_text(b, "\n");
        }
    }
}

void why_yaml_write(why_buf *b, const why_node *node) {
    if ((node->kind == WHY_NODE_MAP || node->kind == WHY_NODE_LIST) && node->n > 0) {
        write_block(b, node, 0);
    } else {
        write_flow(b, node);
        why_buf_text(b, "\n");
    }
}
