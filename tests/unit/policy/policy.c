/* Policies: what is refused as a whole (policy I2), and how patterns match. */
#include "policy/policy.h"
#include "check.h"

#include <stdlib.h>

static struct json_parser *parser;

#define ALLOW(more) "{\"Statement\":{\"Effect\":\"Allow\"," more "}}"
#define V2012(more) "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\"," more "}}"
#define ANY "\"Action\":\"*\",\"Resource\":\"*\""
#define TABLE "arn:aws:dynamodb:eu-west-1:000000000000:table/"

static const char *refusal(const char *text)
{
    static char why[300];
    struct policy *policy = NULL;
    why[0] = 0;
    enum err err =
        policy_compile(parser, bytes_cstr(text), BYTES("ann"), &policy, why, sizeof(why));
    CHECK(err == OK || (err == ERR_INVALID && why[0] != 0 && policy == NULL));
    policy_free(policy);
    return why;
}

static enum policy_decision decide(const char *text, const char *action, const char *resource)
{
    char why[300];
    struct policy *policy = NULL;
    const struct policy_request request = {.action = bytes_cstr(action),
                                           .resource = bytes_cstr(resource)};
    enum err err =
        policy_compile(parser, bytes_cstr(text), BYTES("ann"), &policy, why, sizeof(why));
    CHECK(err == OK);
    if (err != OK) {
        printf("%s: %s\n", text, why);
        return POLICY_DENIED;
    }
    enum policy_decision decision = policy_decide(policy, &request);
    policy_free(policy);
    return decision;
}

static void what_is_not_understood_is_refused(void)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", "it is not JSON"},
        {"[]", "the policy is no object"},
        {"{}", "it has no Statement"},
        {"{\"Statement\":[]}", "Statement is empty"},
        {"{\"Statement\":[1]}", "a statement is no object"},
        {"{\"Version\":\"2020-01-01\",\"Statement\":[]}",
         "Version is neither 2012-10-17 nor 2008-10-17"},
        {"{\"Id\":1,\"Statement\":[]}", "Id is no string"},
        {"{\"statement\":[]}", "the policy has an unknown member statement"},
        {"{\"Statement\":{\"Effect\":\"allow\"," ANY "}}", "Effect is neither Allow nor Deny"},
        {"{\"Statement\":{" ANY "}}", "Effect is neither Allow nor Deny"},
        {ALLOW(ANY ",\"Effect\":\"Deny\""), "a statement has twice the member Effect"},
        {ALLOW(ANY ",\"Principal\":\"*\""), "a statement has an unknown member Principal"},
        {ALLOW(ANY ",\"Sid\":1"), "Sid is no string"},
        {ALLOW("\"Resource\":\"*\""), "a statement needs one of Action and NotAction"},
        {ALLOW(ANY ",\"NotAction\":\"*\""), "a statement needs one of Action and NotAction"},
        {ALLOW("\"Action\":\"*\""), "a statement needs one of Resource and NotResource"},
        {ALLOW(ANY ",\"NotResource\":\"*\""), "a statement needs one of Resource and NotResource"},
        {ALLOW("\"Action\":[],\"Resource\":\"*\""), "Action is empty"},
        {ALLOW("\"Action\":[\"*\",1],\"Resource\":\"*\""), "Action holds what is no string"},
        {ALLOW("\"Action\":\"GetItem\",\"Resource\":\"*\""),
         "an Action is neither * nor service:name"},
        {ALLOW("\"Action\":\":GetItem\",\"Resource\":\"*\""),
         "an Action is neither * nor service:name"},
        {ALLOW("\"Action\":\"*\",\"Resource\":\"table/t\""), "a Resource is neither * nor an ARN"},
        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:dynamodb:*\""),
         "a Resource is neither * nor an ARN"},
        {ALLOW(ANY ",\"Condition\":[]"), "Condition is no object"},
        {ALLOW(ANY ",\"Condition\":{\"StringEquals\":1}"), "a condition's operator has no object"},
        {ALLOW(ANY ",\"Condition\":{\"StringIs\":{\"dynamodb:Select\":\"x\"}}"),
         "the condition operator StringIs is not known"},
        {ALLOW(ANY ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}"),
         "the condition operator IpAddress is not known"},
        {ALLOW(ANY ",\"Condition\":{\"ForAllValues:Null\":{\"dynamodb:Select\":\"true\"}}"),
         "the condition operator ForAllValues:Null is not known"},
        {ALLOW(ANY ",\"Condition\":{\"StringEquals\":{\"aws:SourceIp\":\"x\"}}"),
         "the condition key aws:SourceIp is not known"},
        {ALLOW(ANY ",\"Condition\":{\"StringEquals\":{\"dynamodb:Select\":[]}}"),
         "a condition is empty"},
        {ALLOW(ANY ",\"Condition\":{\"StringEquals\":{\"dynamodb:Select\":true}}"),
         "a condition holds what is no string"},
        {ALLOW(ANY ",\"Condition\":{\"Null\":{\"dynamodb:Select\":\"yes\"}}"),
         "Null wants true or false"},
        {V2012("\"Action\":\"*\",\"Resource\":\"" TABLE "${aws:userid}\""),
         "the policy variable ${aws:userid is not known"},
        {V2012("\"Action\":\"*\",\"Resource\":\"" TABLE "${*\""),
         "the policy variable ${* is not known"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_BYTES(bytes_cstr(refusal(rows[i].text)), bytes_cstr(rows[i].why));
    }
    static char long_text[POLICY_TEXT_MAX + 2];
    memset(long_text, ' ', POLICY_TEXT_MAX + 1);
    CHECK_BYTES(bytes_cstr(refusal(long_text)), BYTES("it is longer than 10240 bytes"));
}

static void no_policy_allows_nothing(void)
{
    const struct policy_request request = {.action = BYTES("dynamodb:GetItem"),
                                           .resource = BYTES(TABLE "t")};
    CHECK(policy_decide(NULL, &request) == POLICY_NOT_ALLOWED);
    CHECK(!policy_asks(NULL, POLICY_ATTRIBUTES));
}

static void patterns_match_as_they_say(void)
{
    static const struct {
        const char *pattern;
        const char *resource;
        bool matches;
    } rows[] = {
        {"*", TABLE "t", true},
        {TABLE "t", TABLE "t", true},
        {TABLE "t", TABLE "tt", false},
        {TABLE "T", TABLE "t", false},
        {TABLE "*", TABLE "t/index/i", true},
        {TABLE "*/index/*", TABLE "t/index/i", true},
        {TABLE "*/index/*", TABLE "t", false},
        {TABLE "?", TABLE "t", true},
        {TABLE "?", TABLE "tt", false},
        {TABLE "?", TABLE "\xc3\xa9", true},
        {TABLE "a*b*c", TABLE "aXbbXbc", true},
        {TABLE "a*b*c", TABLE "aXbbXb", false},
        {"arn:aws:dynamodb:*:*:table/t", TABLE "t", true},
        {"arn:*:*:*:*:*", TABLE "t", true},
        {"arn:aws:dynamodb:*:table/t:*", TABLE "t", false},
        {"arn:aws:dynamodb:eu*0:table/t:*:*", TABLE "t", false},
        {"arn:aws:s3:*:*:*", TABLE "t", false},
        {TABLE "${aws:username}-*", TABLE "ann-1", true},
        {TABLE "${aws:username}-*", TABLE "bob-1", false},
        {TABLE "${AWS:UserName}", TABLE "ann", true},
        {TABLE "${*}", TABLE "t", false},
        {TABLE "${*}", TABLE "*", true},
        {TABLE "${?}*", TABLE "?x", true},
        {TABLE "${$}{x}", TABLE "${x}", true},
    };
    char text[400];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), V2012("\"Action\":\"*\",\"Resource\":\"%s\""),
                 rows[i].pattern);
        bool matches = decide(text, "dynamodb:GetItem", rows[i].resource) == POLICY_ALLOWED;
        if (matches != rows[i].matches) {
            printf("%s against %s\n", rows[i].pattern, rows[i].resource);
        }
        CHECK(matches == rows[i].matches);
    }
    CHECK(decide(ALLOW("\"Action\":\"DYNAMODB:get*\",\"Resource\":\"*\""), "dynamodb:GetItem",
                 TABLE "t") == POLICY_ALLOWED);
    CHECK(decide(ALLOW("\"Action\":\"*\",\"Resource\":\"" TABLE "${aws:username}\""),
                 "dynamodb:GetItem", TABLE "ann") == POLICY_NOT_ALLOWED);
}

int main(void)
{
    parser = json_parser_new();
    RUN(what_is_not_understood_is_refused);
    RUN(no_policy_allows_nothing);
    RUN(patterns_match_as_they_say);
    json_parser_free(parser);
    return CHECK_RESULT();
}
