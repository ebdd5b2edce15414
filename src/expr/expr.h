/* Expressions: condition, filter, update, projection and key condition. Text is compiled once to an
 * immutable program and cached by kind and text; names (#n) and values (:v) are bound at each
 * request. Evaluation is pure: a function of program, binding and item.
 *
 * A cache and its programs belong to one thread (each loop and each worker has its own); a program
 * is valid until the next expr_compile on that cache by the same thread has returned EXPR_CACHE_MAX
 * times since, so a request keeps no program past its own evaluation: the raw text stays in the
 * request and is looked up again when evaluation is repeated. */
#ifndef HW_EXPR_EXPR_H
#define HW_EXPR_EXPR_H

#include "item/item.h"
#include "item/key.h"

#define EXPR_TEXT_MAX 4096u
#define EXPR_OPERATORS_MAX 300u
#define EXPR_IN_MAX 100u
#define EXPR_DEPTH_MAX 300u /* parser recursion; nesting past it is refused in linear time */
#define EXPR_CACHE_MAX 1024u

enum expr_kind { EXPR_CONDITION, EXPR_FILTER, EXPR_UPDATE, EXPR_PROJECTION, EXPR_KEY_CONDITION };

/* DynamoDB's words, complete, e.g. "Invalid ConditionExpression: Syntax error; token: \"x\", near:
 * ...". enveloped: AWS-DETAILS 2 puts "1 validation error detected: " before it on W, nothing
 * elsewhere. */
struct expr_fault {
    bool enveloped;
    char text[1024];
};

struct expr;       /* an immutable program */
struct expr_cache; /* of one thread */

/* NULL: memory. */
struct expr_cache *expr_cache_new(void);
void expr_cache_free(struct expr_cache *cache);
/* The calling thread is done with it: it is the next one's that compiles with it. */
void expr_cache_leave(struct expr_cache *cache);
/* ERR_FAULT (fault set), ERR_NOMEM. Faults are cached too. */
MUST_USE enum err expr_compile(struct expr_cache *cache, enum expr_kind kind, struct bytes text,
                               const struct expr **out, struct expr_fault *fault);

/* ExpressionAttributeNames and ExpressionAttributeValues of a request: maps in the item encoding
 * (names hold S values), keyed with their # and : included; empty when absent. The used marks serve
 * the "unused" check over all expressions of one request. */
struct expr_binding {
    struct bytes names;
    struct bytes values;
    bool has_names; /* given, even if empty */
    bool has_values;
    uint64_t *names_used; /* bit per member, in order; made by expr_binding_init */
    uint64_t *values_used;
};

MUST_USE enum err expr_binding_init(struct expr_binding *binding, struct arena *arena,
                                    struct bytes names, bool has_names, struct bytes values,
                                    bool has_values);
/* Undefined names and values, operands by number and type, ...: all that needs neither an item nor
 * a schema. Marks what is used. Call once per expression, in DynamoDB's order. */
MUST_USE enum err expr_check(const struct expr *expr, struct expr_binding *binding,
                             struct arena *arena, struct expr_fault *fault);
/* After all: keys of names or values that no expression used. */
MUST_USE enum err expr_check_unused(const struct expr_binding *binding, struct expr_fault *fault);
/* After that: paths of an update or a projection that overlap, the form of a key condition. */
MUST_USE enum err expr_check_form(const struct expr *expr, struct expr_binding *binding,
                                  struct arena *arena, struct expr_fault *fault);
/* When the table is known: key attributes in an update or in a filter. */
MUST_USE enum err expr_check_schema(const struct expr *expr, struct expr_binding *binding,
                                    const struct key_schema *schema, struct expr_fault *fault);

/* Condition or filter over item (empty bytes: no item). */
MUST_USE enum err expr_test(const struct expr *expr, const struct expr_binding *binding,
                            struct bytes item, struct arena *arena, bool *result,
                            struct expr_fault *fault);

/* What an update did; fragments hold only what the update touched, as UPDATED_OLD and UPDATED_NEW
 * want it. */
struct expr_update_result {
    struct bytes item;        /* the whole new item, in the arena */
    struct bytes updated_old; /* items of touched paths, before and after; empty if none */
    struct bytes updated_new;
};

/* old: the item before; for an absent one the item of just its key attributes, and existed = false.
 */
MUST_USE enum err expr_update(const struct expr *expr, const struct expr_binding *binding,
                              struct bytes old, bool existed, struct arena *arena,
                              struct expr_update_result *result, struct expr_fault *fault);
/* Has it a SET or ADD? One without makes no item that is not there. */
bool expr_update_adds(const struct expr *expr);
/* The charge of AWS-DETAILS section 4, which may not pass 400 KB. */
size_t expr_update_charge(const struct expr *expr, const struct expr_binding *binding);

MUST_USE enum err expr_project(const struct expr *expr, const struct expr_binding *binding,
                               struct bytes item, struct arena *arena, struct bytes *projected,
                               struct expr_fault *fault);

/* A key condition against a schema: one partition, and a range of sort keys. */
struct key_range {
    struct bytes partition; /* raw bytes as in key.h */
    uint64_t hash;
    bool has_low, has_high; /* of the sort key's raw bytes */
    bool low_inclusive, high_inclusive;
    struct bytes low, high;
    struct bytes prefix; /* begins_with; empty if none */
};

MUST_USE enum err expr_key_range(const struct expr *expr, const struct expr_binding *binding,
                                 const struct key_schema *schema, struct arena *arena,
                                 struct key_range *range, struct expr_fault *fault);

/* Visits the top-level name of every path; one that comes twice is visited twice. False: a name is
 * not defined, or visit said so. */
typedef bool expr_visit_name(void *arg, struct bytes name);
bool expr_attributes(const struct expr *expr, const struct expr_binding *binding,
                     expr_visit_name *visit, void *arg);

#endif
