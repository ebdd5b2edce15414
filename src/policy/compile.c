/* Reading a policy. Whatever is not understood to the letter is refused as a whole: a member, an
 * operator or a key that IAM knows and this does not would else be a condition that nobody checks
 * (policy I2). */
#include "base/mem.h"
#include "policy/policy_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct compile {
    struct policy *policy;
    struct bytes user;
    bool variables; /* the Version that has them */
    char *why;
    size_t room;
};

/* The members of one JSON object; each may come once. */
struct members {
    const char *const *names;
    struct json *values;
    bool *given;
    size_t count;
};

enum wild { WILD_NEVER, WILD_STARS };

static enum err refuse(struct compile *compile, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum err read_members(struct compile *compile, struct json object, const char *what,
                             const struct members *members);
static enum err read_document(struct compile *compile, struct json root);
static enum err read_statement(struct compile *compile, struct json value, struct statement *out);
static enum err read_actions(struct compile *compile, struct json value, struct patterns *out);
static enum err read_resources(struct compile *compile, struct json value, struct patterns *out);
static enum err read_conditions(struct compile *compile, struct json value, struct statement *out);
static enum err read_operator(struct compile *compile, struct bytes name, struct condition *out);
static enum err read_key(struct compile *compile, struct bytes name, struct condition *out);
static enum err read_null(struct compile *compile, struct json value, struct condition *out);
static enum err read_patterns(struct compile *compile, struct json value, const char *what,
                              enum wild wild, bool variables, struct patterns *out);
static enum err read_pattern(struct compile *compile, struct bytes text, enum wild wild,
                             bool variables, struct pattern *out);
static void make_lower(struct patterns *patterns);

enum err policy_compile(struct json_parser *parser, struct bytes text, struct bytes user,
                        struct policy **out, char *why, size_t room)
{
    struct json root;
    struct compile compile = {.user = user, .why = why, .room = room};
    if (text.len > POLICY_TEXT_MAX) {
        return refuse(&compile, "it is longer than %u bytes", POLICY_TEXT_MAX);
    }
    enum err err = json_parse(parser, text, &root);
    if (err != OK) {
        return err == ERR_INVALID ? refuse(&compile, "it is not JSON") : err;
    }
    compile.policy = mem_zalloc(1, sizeof(*compile.policy));
    arena_init(&compile.policy->arena, 0);
    err = read_document(&compile, root);
    if (err != OK) {
        policy_free(compile.policy);
        return err;
    }
    *out = compile.policy;
    return OK;
}

void policy_free(struct policy *policy)
{
    if (policy != NULL) {
        arena_fini(&policy->arena);
        mem_free(policy);
    }
}

static enum err refuse(struct compile *compile, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(compile->why, compile->room, format, list);
    va_end(list);
    return ERR_INVALID;
}

static enum err read_members(struct compile *compile, struct json object, const char *what,
                             const struct members *members)
{
    struct bytes name;
    struct json value;
    if (json_type(object) != JSON_OBJECT) {
        return refuse(compile, "%s is no object", what);
    }
    struct json_iter iter = json_iter_of(object);
    while (json_next_member(&iter, &name, &value)) {
        size_t at = 0;
        while (at < members->count && !bytes_equal(name, bytes_cstr(members->names[at]))) {
            at++;
        }
        if (at == members->count || members->given[at]) {
            return refuse(compile, "%s has %s member %.*s", what,
                          at == members->count ? "an unknown" : "twice the",
                          (int)(name.len < 80 ? name.len : 80), (const char *)name.ptr);
        }
        members->given[at] = true;
        members->values[at] = value;
    }
    return OK;
}

static enum err read_document(struct compile *compile, struct json root)
{
    enum { VERSION, ID, STATEMENT, COUNT };
    static const char *const names[] = {"Version", "Id", "Statement"};
    struct json values[COUNT];
    bool given[COUNT] = {false};
    struct policy *policy = compile->policy;
    TRY(read_members(compile, root, "the policy", &(struct members){names, values, given, COUNT}));
    if (given[VERSION]) {
        struct bytes version =
            json_type(values[VERSION]) == JSON_STRING ? json_string(values[VERSION]) : BYTES_NONE;
        compile->variables = bytes_equal(version, BYTES("2012-10-17"));
        if (!compile->variables && !bytes_equal(version, BYTES("2008-10-17"))) {
            return refuse(compile, "Version is neither 2012-10-17 nor 2008-10-17");
        }
    }
    if (given[ID] && json_type(values[ID]) != JSON_STRING) {
        return refuse(compile, "Id is no string");
    }
    if (!given[STATEMENT]) {
        return refuse(compile, "it has no Statement");
    }
    bool many = json_type(values[STATEMENT]) == JSON_ARRAY;
    size_t count = many ? json_count(values[STATEMENT]) : 1;
    policy->statements = arena_zalloc(&policy->arena, (count + 1) * sizeof(*policy->statements));
    if (policy->statements == NULL) {
        return ERR_NOMEM;
    }
    if (!many) {
        policy->count = 1;
        return read_statement(compile, values[STATEMENT], policy->statements);
    }
    if (count == 0) {
        return refuse(compile, "Statement is empty");
    }
    struct json value;
    struct json_iter iter = json_iter_of(values[STATEMENT]);
    while (json_next(&iter, &value)) {
        TRY(read_statement(compile, value, &policy->statements[policy->count++]));
    }
    return OK;
}

static enum err read_statement(struct compile *compile, struct json value, struct statement *out)
{
    enum { SID, EFFECT, ACTION, NOT_ACTION, RESOURCE, NOT_RESOURCE, CONDITION, COUNT };
    static const char *const names[] = {"Sid",      "Effect",      "Action",   "NotAction",
                                        "Resource", "NotResource", "Condition"};
    struct json values[COUNT];
    bool given[COUNT] = {false};
    TRY(read_members(compile, value, "a statement",
                     &(struct members){names, values, given, COUNT}));
    if (given[SID] && json_type(values[SID]) != JSON_STRING) {
        return refuse(compile, "Sid is no string");
    }
    struct bytes effect = given[EFFECT] && json_type(values[EFFECT]) == JSON_STRING
                              ? json_string(values[EFFECT])
                              : BYTES_NONE;
    out->denies = bytes_equal(effect, BYTES("Deny"));
    if (!out->denies && !bytes_equal(effect, BYTES("Allow"))) {
        return refuse(compile, "Effect is neither Allow nor Deny");
    }
    if (given[ACTION] == given[NOT_ACTION]) {
        return refuse(compile, "a statement needs one of Action and NotAction");
    }
    if (given[RESOURCE] == given[NOT_RESOURCE]) {
        return refuse(compile, "a statement needs one of Resource and NotResource");
    }
    out->not_actions = given[NOT_ACTION];
    out->not_resources = given[NOT_RESOURCE];
    TRY(read_actions(compile, values[out->not_actions ? NOT_ACTION : ACTION], &out->actions));
    TRY(read_resources(compile, values[out->not_resources ? NOT_RESOURCE : RESOURCE],
                       &out->resources));
    return given[CONDITION] ? read_conditions(compile, values[CONDITION], out) : OK;
}

static enum err read_actions(struct compile *compile, struct json value, struct patterns *out)
{
    TRY(read_patterns(compile, value, "Action", WILD_STARS, false, out));
    make_lower(out);
    for (size_t i = 0; i < out->count; i++) {
        struct bytes text = out->list[i].text;
        bool all = text.len == 1 && text.ptr[0] == WILD_MANY;
        const uint8_t *colon = text.len == 0 ? NULL : memchr(text.ptr, ':', text.len);
        if (!all && (colon == NULL || colon == text.ptr)) {
            return refuse(compile, "an Action is neither * nor service:name");
        }
    }
    return OK;
}

static enum err read_resources(struct compile *compile, struct json value, struct patterns *out)
{
    TRY(read_patterns(compile, value, "Resource", WILD_STARS, compile->variables, out));
    for (size_t i = 0; i < out->count; i++) {
        struct bytes text = out->list[i].text;
        bool all = text.len == 1 && text.ptr[0] == WILD_MANY;
        size_t colons = 0;
        for (size_t j = 0; j < text.len; j++) {
            colons += text.ptr[j] == ':';
        }
        if (!all && (colons < 5 || !bytes_start_with(text, BYTES("arn:")))) {
            return refuse(compile, "a Resource is neither * nor an ARN");
        }
    }
    return OK;
}

static enum err read_conditions(struct compile *compile, struct json value, struct statement *out)
{
    struct bytes operator;
    struct bytes key;
    struct json keys;
    struct json wanted;
    size_t count = 0;
    if (json_type(value) != JSON_OBJECT) {
        return refuse(compile, "Condition is no object");
    }
    struct json_iter operators = json_iter_of(value);
    while (json_next_member(&operators, &operator, & keys)) {
        if (json_type(keys) != JSON_OBJECT) {
            return refuse(compile, "a condition's operator has no object");
        }
        count += json_count(keys);
    }
    out->conditions = arena_zalloc(&compile->policy->arena, (count + 1) * sizeof(*out->conditions));
    if (out->conditions == NULL) {
        return ERR_NOMEM;
    }
    operators = json_iter_of(value);
    while (json_next_member(&operators, &operator, & keys)) {
        struct json_iter iter = json_iter_of(keys);
        while (json_next_member(&iter, &key, &wanted)) {
            struct condition *condition = &out->conditions[out->condition_count++];
            TRY(read_operator(compile, operator, condition));
            TRY(read_key(compile, key, condition));
            if (condition->kind == CONDITION_NULL) {
                TRY(read_null(compile, wanted, condition));
                continue;
            }
            TRY(read_patterns(compile, wanted, "a condition",
                              condition->wild ? WILD_STARS : WILD_NEVER, compile->variables,
                              &condition->patterns));
            if (condition->any_case) {
                make_lower(&condition->patterns);
            }
        }
    }
    return OK;
}

static bool cut_prefix(struct bytes *text, struct bytes prefix)
{
    bool has = bytes_start_with(*text, prefix);
    size_t len = has ? prefix.len : 0;
    *text = bytes_of(text->ptr + len, text->len - len);
    return has;
}

static bool cut_suffix(struct bytes *text, struct bytes suffix)
{
    bool has = text->len > suffix.len &&
               bytes_equal(bytes_of(text->ptr + text->len - suffix.len, suffix.len), suffix);
    text->len -= has ? suffix.len : 0;
    return has;
}

static enum err read_operator(struct compile *compile, struct bytes name, struct condition *out)
{
    static const struct {
        const char *name;
        bool negated, any_case, wild;
    } operators[] = {
        {"StringEquals", false, false, false},
        {"StringNotEquals", true, false, false},
        {"StringEqualsIgnoreCase", false, true, false},
        {"StringNotEqualsIgnoreCase", true, true, false},
        {"StringLike", false, false, true},
        {"StringNotLike", true, false, true},
    };
    struct bytes rest = name;
    if (bytes_equal(name, BYTES("Null"))) {
        out->kind = CONDITION_NULL;
        return OK;
    }
    out->set = cut_prefix(&rest, BYTES("ForAllValues:"))  ? SET_ALL
               : cut_prefix(&rest, BYTES("ForAnyValue:")) ? SET_ANY
                                                          : SET_NONE;
    out->if_exists = cut_suffix(&rest, BYTES("IfExists"));
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (bytes_equal(rest, bytes_cstr(operators[i].name))) {
            out->negated = operators[i].negated;
            out->any_case = operators[i].any_case;
            out->wild = operators[i].wild;
            return OK;
        }
    }
    return refuse(compile, "the condition operator %.*s is not known",
                  (int)(name.len < 80 ? name.len : 80), (const char *)name.ptr);
}

static enum err read_key(struct compile *compile, struct bytes name, struct condition *out)
{
    static const char *const names[POLICY_KEY_COUNT] = {
        [POLICY_LEADING_KEYS] = "dynamodb:LeadingKeys",
        [POLICY_ATTRIBUTES] = "dynamodb:Attributes",
        [POLICY_SELECT] = "dynamodb:Select",
        [POLICY_RETURN_VALUES] = "dynamodb:ReturnValues",
        [POLICY_RETURN_CAPACITY] = "dynamodb:ReturnConsumedCapacity",
        [POLICY_ENCLOSING] = "dynamodb:EnclosingOperation",
        [POLICY_USERNAME] = "aws:username",
    };
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
        if (name.len == strlen(names[i]) &&
            strncasecmp((const char *)name.ptr, names[i], name.len) == 0) {
            out->key = (enum policy_key)i;
            compile->policy->asks[i] = true;
            return OK;
        }
    }
    return refuse(compile, "the condition key %.*s is not known",
                  (int)(name.len < 80 ? name.len : 80), (const char *)name.ptr);
}

static enum err read_null(struct compile *compile, struct json value, struct condition *out)
{
    enum json_type type = json_type(value);
    struct bytes text = type == JSON_STRING ? json_string(value) : BYTES_NONE;
    out->wants_absent = type == JSON_TRUE || bytes_equal(text, BYTES("true"));
    if (!out->wants_absent && type != JSON_FALSE && !bytes_equal(text, BYTES("false"))) {
        return refuse(compile, "Null wants true or false");
    }
    return OK;
}

/* A string or an array of them, not empty. */
static enum err read_patterns(struct compile *compile, struct json value, const char *what,
                              enum wild wild, bool variables, struct patterns *out)
{
    bool many = json_type(value) == JSON_ARRAY;
    size_t count = many ? json_count(value) : 1;
    *out = (struct patterns){0};
    out->list = arena_zalloc(&compile->policy->arena, (count + 1) * sizeof(*out->list));
    if (out->list == NULL) {
        return ERR_NOMEM;
    }
    struct json one = value;
    struct json_iter iter = many ? json_iter_of(value) : (struct json_iter){0};
    while (many ? json_next(&iter, &one) : out->count == 0) {
        if (json_type(one) != JSON_STRING) {
            return refuse(compile, "%s holds what is no string", what);
        }
        TRY(read_pattern(compile, json_string(one), wild, variables, &out->list[out->count++]));
    }
    return out->count > 0 ? OK : refuse(compile, "%s is empty", what);
}

/* Takes one ${...} off the text. */
static enum err read_variable(struct compile *compile, struct bytes *text, struct bytes *value)
{
    struct bytes rest = bytes_of(text->ptr + 2, text->len - 2);
    size_t all = rest.len;
    struct bytes name = bytes_cut(&rest, '}');
    bool mark = name.len == 1 && (name.ptr[0] == '*' || name.ptr[0] == '?' || name.ptr[0] == '$');
    bool user = name.len == 12 && strncasecmp((const char *)name.ptr, "aws:username", 12) == 0;
    if (name.len == all || (!mark && !user)) {
        return refuse(compile, "the policy variable ${%.*s is not known",
                      (int)(name.len < 80 ? name.len : 80), (const char *)name.ptr);
    }
    *value = mark ? name : compile->user;
    *text = rest;
    return OK;
}

static enum err read_pattern(struct compile *compile, struct bytes text, enum wild wild,
                             bool variables, struct pattern *out)
{
    /* A variable is longer than two bytes, and there is at most one for every three. */
    size_t room = text.len + (text.len / 3 + 1) * compile->user.len;
    uint8_t *to = arena_alloc(&compile->policy->arena, room + 1);
    if (to == NULL) {
        return ERR_NOMEM;
    }
    out->text.ptr = to;
    while (text.len > 0) {
        uint8_t byte = text.ptr[0];
        if (variables && text.len > 1 && byte == '$' && text.ptr[1] == '{') {
            struct bytes value = BYTES_NONE;
            TRY(read_variable(compile, &text, &value));
            if (value.len > 0) {
                memcpy(to, value.ptr, value.len);
            }
            to += value.len;
            continue;
        }
        bool many = wild == WILD_STARS && byte == '*';
        bool one = wild == WILD_STARS && byte == '?';
        out->wild |= many || one;
        *to++ = many ? (uint8_t)WILD_MANY : one ? (uint8_t)WILD_ONE : byte;
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    out->text.len = (size_t)(to - out->text.ptr);
    return OK;
}

static void make_lower(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        /* Our own copy, made by read_pattern. */
        uint8_t *text = (uint8_t *)(uintptr_t)patterns->list[i].text.ptr;
        for (size_t j = 0; j < patterns->list[i].text.len; j++) {
            text[j] = text[j] >= 'A' && text[j] <= 'Z' ? (uint8_t)(text[j] + 32) : text[j];
        }
    }
}
