/* Policies: text of any kind compiles or is refused with a reason; a policy that was taken is
 * asked, and a request of which nothing is known is never allowed what any other is refused. */
#include "policy/policy.h"
#include "fuzz.h"

#include <string.h>

static struct json_parser *parser;

static enum policy_decision ask(const struct policy *policy, struct bytes action,
                                struct bytes resource, struct policy_values values)
{
    struct policy_request request = {.action = action, .resource = resource};
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
        request.context[i] = values;
    }
    return policy_decide(policy, &request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    struct policy *policy = NULL;
    char why[120] = "";
    arena_init(&arena, 0);
    parser = parser == NULL ? json_parser_new() : parser;
    struct bytes value = fuzz_name(&input, &arena);
    struct bytes text = fuzz_copy(&arena, fuzz_rest(&input));
    struct bytes action = fuzz_copy(&arena, BYTES("dynamodb:GetItem"));
    struct bytes resource =
        fuzz_copy(&arena, BYTES("arn:aws:dynamodb:us-east-1:000000000000:table/T"));
    enum err err = policy_compile(parser, text, BYTES("ann"), &policy, why, sizeof(why));
    HOLDS(err == OK || err == ERR_INVALID);
    HOLDS((err == OK) == (policy != NULL));
    if (err != OK) {
        HOLDS(why[0] != 0 && strlen(why) < sizeof(why));
        arena_fini(&arena);
        return 0;
    }
    const struct policy_values values = {.values = &value, .count = 1};
    enum policy_decision absent = ask(policy, action, resource, (struct policy_values){0});
    enum policy_decision given = ask(policy, action, resource, values);
    enum policy_decision unknown =
        ask(policy, action, resource, (struct policy_values){.unknown = true});
    HOLDS(unknown != POLICY_ALLOWED || (absent == POLICY_ALLOWED && given == POLICY_ALLOWED));
    HOLDS(unknown == POLICY_DENIED || (absent != POLICY_DENIED && given != POLICY_DENIED));
    policy_free(policy);
    arena_fini(&arena);
    return 0;
}
