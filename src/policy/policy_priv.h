/* Inside policy: a compiled policy, and its patterns. */
#ifndef HW_POLICY_POLICY_PRIV_H
#define HW_POLICY_POLICY_PRIV_H

#include "base/arena.h"
#include "policy/policy.h"

/* Bytes that no UTF-8 has: a pattern's wildcards, so that a literal * or ? needs no escape. */
#define WILD_MANY 0xffu /* any bytes, or none */
#define WILD_ONE 0xfeu  /* one character */

struct pattern {
    struct bytes text;
    bool wild;
};

struct patterns {
    struct pattern *list;
    size_t count;
};

/* ---- match.c ---- */
bool pattern_matches(const struct pattern *pattern, struct bytes text);
/* ASCII letters of either case are the same; a pattern of actions is in lower case. */
bool pattern_matches_lower(const struct pattern *pattern, struct bytes text);
/* Part by part: the first five colons of an ARN are crossed by no wildcard, but by one that stands
 * alone. */
bool pattern_matches_arn(const struct pattern *pattern, struct bytes arn);

enum condition_set { SET_NONE, SET_ALL, SET_ANY };
enum condition_kind { CONDITION_STRING, CONDITION_NULL };

struct condition {
    enum policy_key key;
    enum condition_kind kind;
    enum condition_set set;
    bool negated;
    bool if_exists;
    bool any_case;
    bool wild;         /* * and ? are wildcards */
    bool wants_absent; /* of CONDITION_NULL */
    struct patterns patterns;
};

struct statement {
    bool denies;
    bool not_actions;
    bool not_resources;
    struct patterns actions;
    struct patterns resources;
    struct condition *conditions;
    size_t condition_count;
};

struct policy {
    struct arena arena; /* all that is below */
    struct statement *statements;
    size_t count;
    bool asks[POLICY_KEY_COUNT];
};

#endif
