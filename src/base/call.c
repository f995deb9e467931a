#include "base/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const char *skip_space(const char *s) { return s + strspn(s, " \t"); }

/* [begin, end) without surrounding blanks, owned. */
static why_status cut(const char *begin, const char *end, char **out) {
    begin = skip_space(begin);
    while (end > begin && strchr(" \t", end[-1])) end--;
    *out = strndup(begin, end > begin ? (size_t)(end - begin) : 0);
    return *out ? WHY_OK : why_fail(WHY_ENOMEM, "cannot get memory for a text");
}

why_status why_call_name(const char *text, char **name) {
    const char *open = strchr(text, '(');
    return cut(text, open ? open : text + strlen(text), name);
}

static why_status set_argument(why_params *p, const why_param *table, int position, char *argument) {
    char *equals = strchr(argument, '='), *name = NULL, *value = NULL;
    why_status st;
    if (equals) {
        st = cut(argument, equals, &name);
        if (!st) st = cut(equals + 1, argument + strlen(argument), &value);
        if (!st) st = why_params_set(p, name, value);
    } else {
        int n = 0;
        while (table && table[n].name) n++;
        st = position < n ? why_params_set(p, table[position].name, argument)
                          : why_fail(WHY_EARG, "argument %d '%s' is one too many: there are %d parameters", position + 1, argument, n);
    }
    free(name);
    free(value);
    return st;
}

static why_status set_arguments(const char *text, const char *open, const why_param *table, why_params *p) {
    const char *close = strrchr(open, ')');
    if (!close || *skip_space(close + 1)) return why_fail(WHY_EARG, "'%s': the closing ')' is missing", text);
    int position = 0;
    for (const char *at = open + 1; at < close; position++) {
        const char *comma = memchr(at, ',', (size_t)(close - at));
        const char *end = comma ? comma : close;
        char *argument;
        WHY_TRY(cut(at, end, &argument));
        why_status st = set_argument(p, table, position, argument);
        free(argument);
        if (st) return why_fail_in(st, "'%s'", text);
        at = end + 1;
    }
    return WHY_OK;
}

why_status why_call_params(const char *text, const why_param *table, why_params **out) {
    WHY_TRY(why_params_create(table, out));
    const char *open = strchr(text, '(');
    why_status st = open ? set_arguments(text, open, table, *out) : WHY_OK;
    if (st) why_params_destroy(out);
    return st;
}

why_status why_call_canonical(const char *name, const why_params *p, char **out) {
    char *json;
    WHY_TRY(why_params_canonical(p, &json));
    why_buf b = {0};
    why_buf_text(&b, name);
    if (strlen(json) > 2) { /* {"a":1,"b":"x"} -> (a=1,b=x): values hold no quotes of their own */
        why_buf_text(&b, "(");
        for (const char *c = json + 1; c[1]; c++) {
            if (*c == '"') continue;
            why_buf_put(&b, *c == ':' ? "=" : c, 1);
        }
        why_buf_text(&b, ")");
    }
    free(json);
    return why_buf_take(&b, out);
}
