/* op: every member of every request, from the field tables: a wrong JSON type is told as such, each
 * bound holds on both sides, and nothing of it is an error of ours. */
#include "harness.h"

#include "op/field.h"

struct path {
    const struct path *parent;
    const struct field *field;
};

static const struct op *op_at; /* the operation under test */
static size_t tried;

/* Members without which a later stage of faults is not reached. */
static const struct {
    const char *op;
    const char *member;
    const char *json;
} beside[] = {
    {"CreateTable", "TableName", ",\"TableName\":\"abc\"}"},
    {"UpdateTable", "TableName", ",\"TableName\":\"abc\"}"},
    {"UpdateTimeToLive", "TableName", ",\"TableName\":\"abc\"}"},
    {"TransactWriteItems", "TransactItems",
     ",\"TransactItems\":[{\"Delete\":{\"TableName\":\"abc\",\"Key\":{}}}]}"},
};

/* Is it the value of an entry of a map, whose name is any table's? */
static bool in_map(const struct path *path)
{
    return path->parent != NULL && path->parent->field->type == FIELD_MAP;
}

/* The value under its path, as a request: {"A":[{"B":value}]}. */
static void wrap(const struct path *path, const char *value, char *out, size_t room)
{
    char *inner = malloc(room);
    snprintf(inner, room, "%s", value);
    for (const struct path *at = path; at != NULL; at = at->parent) {
        bool list = at != path && at->field->type == FIELD_LIST;
        const char *name = in_map(at) ? "abc" : (const char *)at->field->name.ptr;
        snprintf(out, room, "{\"%s\":%s%s%s}", name, list ? "[" : "", inner, list ? "]" : "");
        snprintf(inner, room, "%s", out);
        for (size_t i = 0; at->parent == NULL && i < sizeof(beside) / sizeof(beside[0]); i++) {
            if (strcmp(beside[i].op, op_at->name) == 0 &&
                !bytes_equal(at->field->name, bytes_cstr(beside[i].member))) {
                snprintf(out + strlen(out) - 1, room - strlen(out), "%s", beside[i].json);
            }
        }
    }
    free(inner);
}

static const char *try(const struct path *path, const char *value)
{
    static char json[16 * 1024];
    wrap(path, value, json, sizeof(json));
    const char *text = refusal(op_at->name, json);
    tried++;
    CHECK(harness.status < 500);
    return text;
}

static void expect(const struct path *path, const char *value, bool refused, const char *how)
{
    const char *text = try(path, value);
    if ((strstr(text, how) != NULL) != refused) {
        check_failures++;
        printf("%s %s = %.80s: %s\n", op_at->name, path->field->name.ptr, value, text);
    }
}

static void wrong_types(const struct path *path)
{
    enum { NUMBER = 1, TRUTH = 2, TEXT = 4, LIST = 8, MAP = 16 };
    static const unsigned taken[] = {
        [FIELD_STRING] = TEXT,    [FIELD_ENUM] = TEXT,   [FIELD_BOOL] = TRUTH,
        [FIELD_INTEGER] = NUMBER, [FIELD_LONG] = NUMBER, [FIELD_ITEM] = MAP,
        [FIELD_NAMES] = MAP,      [FIELD_STRUCT] = MAP,  [FIELD_LIST] = LIST,
        [FIELD_STRINGS] = LIST,   [FIELD_ITEMS] = LIST,  [FIELD_MAP] = MAP,
    };
    static const struct {
        const char *json;
        unsigned kind;
    } values[] = {{"7", NUMBER},          {"-0.5", NUMBER},   {"true", TRUTH}, {"false", TRUTH},
                  {"\"\\u0000x\"", TEXT}, {"\"word\"", TEXT}, {"[]", LIST},    {"{}", MAP}};
    const struct field *field = path->field;
    if (field->type == FIELD_UNBUILT) {
        expect(path, "[1]", true, "");
        return;
    }
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        bool fits = (taken[field->type] & values[i].kind) != 0;
        bool words = field->type == FIELD_BOOL && values[i].kind == TEXT;
        expect(path, values[i].json, !fits || words, "SerializationException");
    }
    if (field->type == FIELD_ITEM || field->type == FIELD_NAMES || field->type == FIELD_MAP) {
        expect(path, "{\"a\":1}", true, "Exception");
    }
    if (field->type == FIELD_LIST || field->type == FIELD_STRINGS || field->type == FIELD_ITEMS) {
        expect(path, "[1]", true, "SerializationException");
        expect(path, "[[]]", true, "SerializationException");
    }
}

static void text_of_length(char *out, int64_t len)
{
    out[0] = '"';
    memset(out + 1, 'x', (size_t)len);
    memcpy(out + 1 + len, "\"", 2);
}

static void bounds(const struct path *path)
{
    static char value[4096];
    const struct field *field = path->field;
    bool text = field->type == FIELD_STRING;
    char least[96];
    char most[96];
    bool own_words = (field->flags & FIELD_OWN_WORDS) != 0; /* told after all others */
    if (own_words || (!text && field->type != FIELD_INTEGER && field->type != FIELD_LONG)) {
        return;
    }
    const char *noun = text ? "length" : "value";
    snprintf(least, sizeof(least), "Member must have %s greater than or equal to %lld", noun,
             (long long)field->min);
    snprintf(most, sizeof(most), "Member must have %s less than or equal to %lld", noun,
             (long long)field->max);
    for (int64_t by = -1; by <= 1; by++) {
        if (field->min > 0) {
            text ? text_of_length(value, field->min + by)
                 : (void)snprintf(value, sizeof(value), "%lld", (long long)(field->min + by));
            expect(path, value, by < 0, least);
        }
        if (field->max > 0) {
            text ? text_of_length(value, field->max + by)
                 : (void)snprintf(value, sizeof(value), "%lld", (long long)(field->max + by));
            expect(path, value, by > 0, most);
        }
    }
}

static void walk(const struct field *fields, const struct path *parent)
{
    for (const struct field *field = fields; field->type != FIELD_END; field++) {
        const struct path path = {parent, field};
        wrong_types(&path);
        bounds(&path);
        if (field->shape != NULL) {
            walk(field->shape->fields, &path);
        }
    }
}

static void each_member_refuses_what_is_wrong(void)
{
    for (size_t i = 0; i < op_list_count; i++) {
        op_at = op_list[i];
        walk(op_at->in_fields, NULL);
    }
    printf("     %zu requests\n", tried);
    CHECK(tried > 1000);
    CHECK_CALL("ListTables", "{}", "{'TableNames':[]}");
}

int main(void)
{
    harness_init();
    RUN(each_member_refuses_what_is_wrong);
    harness_fini();
    return CHECK_RESULT();
}
