/* A compiled policy and a request: an explicit deny wins, then an allow, else nothing is allowed
 * (policy I1). */
#include "policy/policy_priv.h"

static bool applies(const struct statement *statement, const struct policy_request *request);
static bool holds(const struct condition *condition, const struct policy_values *values,
                  bool denies);
static bool holds_of(const struct condition *condition, struct bytes value);

bool policy_asks(const struct policy *policy, enum policy_key key)
{
    return policy != NULL && policy->asks[key];
}

enum policy_decision policy_decide(const struct policy *policy,
                                   const struct policy_request *request)
{
    enum policy_decision decision = POLICY_NOT_ALLOWED;
    for (size_t i = 0; policy != NULL && i < policy->count; i++) {
        const struct statement *statement = &policy->statements[i];
        if (decision == POLICY_ALLOWED && !statement->denies) {
            continue;
        }
        if (applies(statement, request)) {
            if (statement->denies) {
                return POLICY_DENIED;
            }
            decision = POLICY_ALLOWED;
        }
    }
    return decision;
}

static bool applies(const struct statement *statement, const struct policy_request *request)
{
    bool action = false;
    bool resource = false;
    for (size_t i = 0; !action && i < statement->actions.count; i++) {
        action = pattern_matches_lower(&statement->actions.list[i], request->action);
    }
    if (action == statement->not_actions) {
        return false;
    }
    for (size_t i = 0; !resource && i < statement->resources.count; i++) {
        resource = pattern_matches_arn(&statement->resources.list[i], request->resource);
    }
    if (resource == statement->not_resources) {
        return false;
    }
    for (size_t i = 0; i < statement->condition_count; i++) {
        const struct condition *condition = &statement->conditions[i];
        if (!holds(condition, &request->context[condition->key], statement->denies)) {
            return false;
        }
    }
    return true;
}

/* What is unknown never helps a request (policy I3): it denies, and does not allow. The same goes
 * for several values under an operator that does not say whether all or any of them are meant,
 * which IAM leaves open. */
static bool holds(const struct condition *condition, const struct policy_values *values,
                  bool denies)
{
    if (values->unknown) {
        return denies;
    }
    if (condition->kind == CONDITION_NULL) {
        return (values->count == 0) == condition->wants_absent;
    }
    if (values->count == 0) {
        return condition->if_exists || condition->set == SET_ALL ||
               (condition->set == SET_NONE && condition->negated);
    }
    bool all = condition->set == SET_ALL || (condition->set == SET_NONE && !denies);
    for (size_t i = 0; i < values->count; i++) {
        if (holds_of(condition, values->values[i]) != all) {
            return !all;
        }
    }
    return all;
}

static bool holds_of(const struct condition *condition, struct bytes value)
{
    for (size_t i = 0; i < condition->patterns.count; i++) {
        const struct pattern *pattern = &condition->patterns.list[i];
        if (condition->any_case ? pattern_matches_lower(pattern, value)
                                : pattern_matches(pattern, value)) {
            return !condition->negated;
        }
    }
    return condition->negated;
}
