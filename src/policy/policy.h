/* Policies in IAM's JSON: compiled once, then asked for each request. A compiled policy is
 * immutable and may be asked by any thread; it knows strings only, not what tables or items are.
 *
 * AWS Identity and Access Management User Guide, "IAM JSON policy reference". */
#ifndef HW_POLICY_POLICY_H
#define HW_POLICY_POLICY_H

#include "base/json.h"

#define POLICY_TEXT_MAX 10240u /* bytes, as an inline policy of IAM */

/* What a Condition may ask for. */
enum policy_key {
    POLICY_LEADING_KEYS,  /* partition key values, numbers as text, binary as base64 */
    POLICY_ATTRIBUTES,    /* top-level attributes that the request names */
    POLICY_SELECT,        /* what a read gives: ALL_ATTRIBUTES, SPECIFIC_ATTRIBUTES, ... */
    POLICY_RETURN_VALUES, /* of a write */
    POLICY_RETURN_CAPACITY,
    POLICY_ENCLOSING, /* dynamodb:EnclosingOperation: the transaction that an action is of */
    POLICY_USERNAME,  /* aws:username */
    POLICY_KEY_COUNT
};

/* The values that one request has for a key. */
struct policy_values {
    const struct bytes *values;
    size_t count; /* 0: the request has no such key */
    bool
        unknown; /* it has, but they could not be found out: the condition fails on the safe side */
};

struct policy_request {
    struct bytes action;   /* dynamodb:GetItem */
    struct bytes resource; /* an ARN */
    struct policy_values context[POLICY_KEY_COUNT];
};

enum policy_decision { POLICY_NOT_ALLOWED, POLICY_ALLOWED, POLICY_DENIED };

struct policy;

/* user: the value of ${aws:username}. ERR_INVALID: why says what cannot be taken, since what is not
 * understood must not allow anything. ERR_NOMEM. The parser parses text; the policy keeps nothing
 * of either. */
MUST_USE enum err policy_compile(struct json_parser *parser, struct bytes text, struct bytes user,
                                 struct policy **out, char *why, size_t room);
void policy_free(struct policy *policy);
/* Does a condition ask for this key? The values of others need not be found. */
bool policy_asks(const struct policy *policy, enum policy_key key);
/* No policy (NULL) allows nothing. */
enum policy_decision policy_decide(const struct policy *policy,
                                   const struct policy_request *request);

#endif
