/* Policies over a pipe, for policies.py: a line {"policy": TEXT, "user": TEXT, "action": TEXT,
 * "resource": TEXT, "context": [LIST OF TEXTS, or null: unknown, ...]} in, its decision out. */
#include "base/arena.h"
#include "base/mem.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>

static struct bytes text_of(struct json object, struct bytes name)
{
    struct json value;
    if (!json_member(object, name, &value) || json_type(value) != JSON_STRING) {
        fprintf(stderr, "decider: a line lacks %.*s\n", BYTES_FMT(name));
        exit(2);
    }
    return json_string(value);
}

static void read_context(struct json line, struct arena *arena, struct policy_request *request)
{
    struct json context;
    struct json values;
    struct json value;
    size_t key = 0;
    if (!json_member(line, BYTES("context"), &context)) {
        exit(2);
    }
    struct json_iter iter = json_iter_of(context);
    while (key < POLICY_KEY_COUNT && json_next(&iter, &values)) {
        struct policy_values *out = &request->context[key++];
        out->unknown = json_type(values) == JSON_NULL;
        if (out->unknown) {
            continue;
        }
        struct bytes *list = arena_alloc(arena, (json_count(values) + 1) * sizeof(*list));
        struct json_iter each = json_iter_of(values);
        while (list != NULL && json_next(&each, &value)) {
            list[out->count++] = json_string(value);
        }
        out->values = list;
    }
}

static const char *decide(struct json_parser *parser, struct json line, struct arena *arena)
{
    static const char *const words[] = {[POLICY_NOT_ALLOWED] = "not allowed",
                                        [POLICY_ALLOWED] = "allowed",
                                        [POLICY_DENIED] = "denied"};
    struct policy_request request = {.action = text_of(line, BYTES("action")),
                                     .resource = text_of(line, BYTES("resource"))};
    struct policy *policy = NULL;
    char why[200];
    if (policy_compile(parser, text_of(line, BYTES("policy")), text_of(line, BYTES("user")),
                       &policy, why, sizeof(why)) != OK) {
        return "refused";
    }
    read_context(line, arena, &request);
    enum policy_decision decision = policy_decide(policy, &request);
    policy_free(policy);
    return words[decision];
}

int main(void)
{
    struct json_parser *lines = json_parser_new();
    struct json_parser *policies = json_parser_new();
    struct arena arena = {0};
    char *text = NULL;
    size_t room = 0;
    ssize_t len;
    arena_init(&arena, 0);
    while ((len = getline(&text, &room, stdin)) > 0) {
        struct json line;
        if (json_parse(lines, bytes_of(text, (size_t)len), &line) != OK) {
            fprintf(stderr, "decider: no JSON: %s", text);
            return 2;
        }
        puts(decide(policies, line, &arena));
        arena_reset(&arena);
    }
    free(text);
    arena_fini(&arena);
    json_parser_free(policies);
    json_parser_free(lines);
    return 0;
}
