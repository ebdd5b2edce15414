/* expr: conditions, updates, projections and key ranges say what DynamoDB says, and refuse in its
 * words (expr I3, I5, I6, I7). */
#include "expr/expr.h"

#include "check.h"

#include <stdlib.h>

static struct json_parser *parser;
static struct arena arena;
static struct expr_cache *cache;

static struct bytes item_of(const char *text)
{
    struct json root;
    struct bytes item = BYTES_NONE;
    struct item_reading reading = {0};
    CHECK(json_parse(parser, bytes_cstr(text), &root) == OK);
    CHECK(item_from_json(root, &arena, &item, &reading) == OK);
    return item;
}

static struct bytes names_of(const char *text)
{
    return text == NULL ? BYTES_NONE : item_of(text);
}

static const char ITEM[] =
    "{\"pk\":{\"S\":\"k\"},\"a\":{\"N\":\"5\"},\"s\":{\"S\":\"hello\"},\"l\":{\"L\":[{\"N\":\"1\"},"
    "{\"S\":\"x\"},{\"M\":{\"q\":{\"N\":\"7\"}}}]},"
    "\"m\":{\"M\":{\"b\":{\"M\":{\"c\":{\"S\":\"deep\"}}}}},\"ss\":{\"SS\":[\"a\",\"b\"]},\"ns\":{"
    "\"NS\":[\"1\",\"2\"]},"
    "\"t\":{\"BOOL\":true},\"z\":{\"NULL\":true},\"bin\":{\"B\":\"AAEC\"}}";
static const char VALUES[] = "{\":5\":{\"N\":\"5\"},\":1\":{\"N\":\"1\"},\":9\":{\"N\":\"9\"},\":"
                             "he\":{\"S\":\"he\"},\":a\":{\"S\":\"a\"},\":S\":{\"S\":\"S\"},"
                             "\":ll\":{\"S\":\"ll\"},\":x\":{\"S\":\"x\"},\":L\":{\"L\":[{\"S\":"
                             "\"new\"}]},\":ab\":{\"SS\":[\"b\",\"c\"]},\":t\":{\"BOOL\":true},"
                             "\":k\":{\"S\":\"k\"},\":e\":{\"S\":\"\"}}";
static const char NAMES[] =
    "{\"#d\":{\"S\":\"data\"},\"#m\":{\"S\":\"m\"},\"#dot\":{\"S\":\"a.b\"}}";

/* "" when it holds, "false" when not, or the fault. */
static const char *test(const char *text, struct bytes item)
{
    static struct expr_fault fault;
    const struct expr *expr;
    struct expr_binding binding;
    bool result = false;
    fault.text[0] = 0;
    CHECK(expr_binding_init(&binding, &arena, names_of(NAMES), true, names_of(VALUES), true) == OK);
    if (expr_compile(cache, EXPR_CONDITION, bytes_cstr(text), &expr, &fault) != OK ||
        expr_check(expr, &binding, &arena, &fault) != OK ||
        expr_test(expr, &binding, item, &arena, &result, &fault) != OK) {
        return fault.text;
    }
    return result ? "" : "false";
}

static void conditions_hold_or_not(void)
{
    static const struct {
        const char *text;
        const char *result;
    } cases[] = {
        {"a = :5", ""},
        {"a <> :5", "false"},
        {":5 = a", ""},
        {"a < :9 AND a > :1", ""},
        {"a BETWEEN :1 AND :9", ""},
        {"a IN (:1, :5)", ""},
        {"a IN (:1, :9)", "false"},
        {"NOT a = :1", ""},
        {"nope = :1", "false"},
        {"nope <> :1", ""},
        {"attribute_exists(m.b.c)", ""},
        {"attribute_exists(m.b.d)", "false"},
        {"attribute_not_exists(l[3])", ""},
        {"attribute_exists(l[2].q)", ""},
        {"attribute_type(s, :S)", ""},
        {"begins_with(s, :he)", ""},
        {"contains(s, :ll)", ""},
        {"contains(ss, :a)", ""},
        {"contains(ns, :1)", ""},
        {"contains(l, :x)", ""},
        {"contains(l, :a)", "false"},
        {"size(s) = :5", ""},
        {"size(l) < :5", ""},
        {"size(a) = :1", "false"},
        {"s < :5", "false"},
        {"t = :t", ""},
        {"(a = :1 OR a = :5) AND #m.b.c <> :a", ""},
        {"a = :1 OR a = :5 AND a = :9", "false"},
        {"a=:5 and s<>:a", ""},
        {"attribute_not_exists(#d) or #dot = :1", ""},
        {"contains(s, :e)", ""},
        {"contains(:5, a)", "false"},
        {"(a) = :5", ""},
        {"(a) = (:5)", ""},
        {"((a) = :5) AND (size((s)) = (:5))", ""},
        {"a[2147483647] = :5", "false"},
        {"NOT NOT a = :5", ""},
        {"a In (:1, :5) And Not b beTween :1 aNd :9", ""},
    };
    struct bytes item = item_of(ITEM);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_BYTES(bytes_cstr(test(cases[i].text, item)), bytes_cstr(cases[i].result));
    }
    CHECK_BYTES(bytes_cstr(test("attribute_not_exists(pk)", BYTES_NONE)), BYTES(""));
}

#define MISUSED "The function is not allowed to be used this way in an expression; function: "
#define DISTINCT                                                                                   \
    "The first operand must be distinct from the remaining operands for this operator or "         \
    "function; operator: "

static void conditions_are_refused_in_dynamodbs_words(void)
{
    static const struct {
        const char *text;
        const char *fault;
    } cases[] = {
        {"", "The expression can not be empty;"},
        {" ", "Syntax error; token: \"<EOF>\", near: \" \""},
        {"a =", "Syntax error; token: \"<EOF>\", near: \"=\""},
        {" a = \n", "Syntax error; token: \"<EOF>\", near: \"= \n\""},
        {"  ) a", "Syntax error; token: \")\", near: \"  ) a\""},
        {"a IN ()", "Syntax error; token: \")\", near: \"()\""},
        {"attribute_exists(pk,)", "Syntax error; token: \")\", near: \",)\""},
        {"l[00] = :1", "Syntax error; token: \"0\", near: \"00]\""},
        {"foo(a)", "Invalid function name; function: foo"},
        {"((a = :1))", "The expression has redundant parentheses;"},
        {"data = :1", "Attribute name is a reserved keyword; reserved keyword: data"},
        {"a = :nope",
         "An expression attribute value used in expression is not defined; attribute value: :nope"},
        {"#nope = :1", "An expression attribute name used in the document path is not defined; "
                       "attribute name: #nope"},
        {"begins_with(a, :1)", "Incorrect operand type for operator or function; operator or "
                               "function: begins_with, operand type: N"},
        {"contains(a, a)", "The first operand must be distinct from the remaining operands for "
                           "this operator or function; operator: contains, first operand: [a]"},
        {"a BETWEEN :9 AND :1",
         "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
         "lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}"},
        {"a BETWEEN :a AND :1",
         "The BETWEEN operator requires same data type for lower and upper bounds; lower bound "
         "operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}"},
        {"size(a)", MISUSED "size"},
        {"attribute_exists(a) = :1", MISUSED "attribute_exists"},
        {"a = contains(s, :a)", MISUSED "contains"},
        {"begins_with(s, contains(s, :a))", MISUSED "contains"},
        {"size(size(a)) = :1", "Incorrect operand type for operator or function; operator or "
                               "function: size, operand type: N"},
        {"begins_with(s, size(a))", "Incorrect operand type for operator or function; operator or "
                                    "function: begins_with, operand type: N"},
        {"attribute_type(a, s)",
         "Incorrect operand type for operator or function; operator or function: attribute_type, "
         "operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"},
        {"attribute_type(a, :a)", "Invalid attribute type name found; type: a, valid types: "
                                  "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
        {"attribute_exists(:a)", "Operator or function requires a document path; operator or "
                                 "function: attribute_exists"},
        {"a IN :1", "Syntax error; token: \":1\", near: \"IN :1\""},
        {"a = :1 OR OR", "Syntax error; token: \"OR\", near: \"OR OR\""},
        {"set = :1", "Syntax error; token: \"set\", near: \"set =\""},
        {"_a = :1", "Syntax error; token: \"_\", near: \"_a\""},
        {"a = b = c", "Syntax error; token: \"=\", near: \"b = c\""},
        {"(a", "Syntax error; token: \"<EOF>\", near: \"a\""},
        {"(a) AND b = :1", "Syntax error; token: \"AND\", near: \") AND b\""},
        {"((a)) = :1", "The expression has redundant parentheses;"},
        {"foo(a) AND = :1", "Syntax error; token: \"=\", near: \"AND = :1\""},
        {"a = :1 AND foo(data)", "Invalid function name; function: foo"},
        {"data = foo(a)", "Attribute name is a reserved keyword; reserved keyword: data"},
        {"a[2147483648] = :1", "List index is not within the allowable range; index: [2147483648]"},
        {"a BETWEEN :1 AND a", DISTINCT "BETWEEN, first operand: [a]"},
        {"a IN (:1, a)", DISTINCT "IN, first operand: [a]"},
        {"m.b.c = #m.b.c", DISTINCT "=, first operand: [m, b, c]"},
        {"contains(a)", "Incorrect number of operands for operator or function; operator or "
                        "function: contains, number of operands: 1"},
        {"if_not_exists(a, :1) = :1",
         "The function is not allowed in a condition expression; function: if_not_exists"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[600];
        snprintf(expected, sizeof(expected), "Invalid ConditionExpression: %s", cases[i].fault);
        CHECK_BYTES(bytes_cstr(test(cases[i].text, BYTES_NONE)), bytes_cstr(expected));
    }
}

static void deep_nesting_is_refused_at_once(void)
{
    char text[EXPR_TEXT_MAX + 1];
    size_t len = 0;
    while (len < 4000) {
        text[len++] = '(';
    }
    text[len] = 0;
    CHECK(strstr(test(text, BYTES_NONE), "redundant") != NULL);
    for (len = 0; len + 4 < 4000; len += 4) {
        memcpy(text + len, "NOT ", 4);
    }
    memcpy(text + len, "a=:1", 5);
    CHECK(strstr(test(text, BYTES_NONE), "too many operators") != NULL);
    for (len = 0; len + 9 < 9 * 301; len += 9) {
        memcpy(text + len, "a=:1 AND ", 9);
    }
    memcpy(text + len, "a=:1", 5);
    CHECK(strstr(test(text, BYTES_NONE), "too many operators; operator count: 301") != NULL);
}

static const char *update(const char *text, const char *item, char *out, size_t room)
{
    static struct expr_fault fault;
    static const struct key_schema schema = {{BYTES_INIT("pk"), VALUE_S},
                                             {BYTES_INIT(""), VALUE_S}};
    const struct expr *expr;
    struct expr_binding binding;
    struct expr_update_result result;
    struct buf json;
    fault.text[0] = 0;
    out[0] = 0;
    CHECK(expr_binding_init(&binding, &arena, names_of(NAMES), true, names_of(VALUES), true) == OK);
    if (expr_compile(cache, EXPR_UPDATE, bytes_cstr(text), &expr, &fault) != OK ||
        expr_check(expr, &binding, &arena, &fault) != OK ||
        expr_check_form(expr, &binding, &arena, &fault) != OK ||
        expr_check_schema(expr, &binding, &schema, &fault) != OK ||
        expr_update(expr, &binding, item_of(item), true, &arena, &result, &fault) != OK) {
        return fault.text;
    }
    CHECK(item_check(result.item) == OK);
    buf_init(&json, 1 << 20);
    item_to_json(&json, result.item);
    buf_add_cstr(&json, " ");
    item_to_json(&json, result.updated_old);
    buf_add_cstr(&json, " ");
    item_to_json(&json, result.updated_new);
    snprintf(out, room, "%.*s", BYTES_FMT(buf_bytes(&json)));
    buf_fini(&json);
    return "";
}

static void updates_change_what_they_say(void)
{
    static const struct {
        const char *text;
        const char *item;
        const char *result; /* item, old fragments, new fragments; or the fault */
    } cases[] = {
        {"SET a = a + :1", "{\"pk\":{\"S\":\"k\"},\"a\":{\"N\":\"5\"}}",
         "{\"a\":{\"N\":\"6\"},\"pk\":{\"S\":\"k\"}} {\"a\":{\"N\":\"5\"}} {\"a\":{\"N\":\"6\"}}"},
        {"SET b = if_not_exists(b, :9) - :1 REMOVE a", "{\"a\":{\"N\":\"5\"}}",
         "{\"b\":{\"N\":\"8\"}} {\"a\":{\"N\":\"5\"}} {\"b\":{\"N\":\"8\"}}"},
        {"ADD a :5, n :1", "{\"a\":{\"N\":\"-5\"}}",
         "{\"a\":{\"N\":\"0\"},\"n\":{\"N\":\"1\"}} {\"a\":{\"N\":\"-5\"}} "
         "{\"a\":{\"N\":\"0\"},\"n\":{\"N\":\"1\"}}"},
        {"ADD s :ab", "{\"s\":{\"SS\":[\"a\",\"b\"]}}",
         "{\"s\":{\"SS\":[\"a\",\"b\",\"c\"]}} {\"s\":{\"SS\":[\"a\",\"b\"]}} "
         "{\"s\":{\"SS\":[\"a\",\"b\",\"c\"]}}"},
        {"DELETE s :ab", "{\"s\":{\"SS\":[\"b\",\"c\"]}}", "{} {\"s\":{\"SS\":[\"b\",\"c\"]}} {}"},
        {"SET l[1] = :1, l[9] = :9, l[7] = :5 REMOVE l[0]",
         "{\"l\":{\"L\":[{\"S\":\"x\"},{\"S\":\"y\"},{\"S\":\"z\"}]}}",
         "{\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"z\"},{\"N\":\"5\"},{\"N\":\"9\"}]}} "
         "{\"l\":{\"L\":[{\"S\":\"x\"},{\"S\":\"y\"}]}} "
         "{\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"z\"}]}}"},
        {"SET m.b.c = :1",
         "{\"m\":{\"M\":{\"b\":{\"M\":{\"a\":{\"N\":\"1\"}}},\"x\":{\"N\":\"2\"}}}}",
         "{\"m\":{\"M\":{\"b\":{\"M\":{\"a\":{\"N\":\"1\"},\"c\":{\"N\":\"1\"}}},\"x\":{\"N\":"
         "\"2\"}}}} {} {\"m\":{\"M\":{\"b\":{\"M\":{\"c\":{\"N\":\"1\"}}}}}}"},
        {"SET l = list_append(l, :L)", "{\"l\":{\"L\":[{\"N\":\"1\"}]}}",
         "{\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"new\"}]}} {\"l\":{\"L\":[{\"N\":\"1\"}]}} "
         "{\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"new\"}]}}"},
        {"SET a = b, b = a", "{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"2\"}}",
         "{\"a\":{\"N\":\"2\"},\"b\":{\"N\":\"1\"}} {\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"2\"}} "
         "{\"a\":{\"N\":\"2\"},\"b\":{\"N\":\"1\"}}"},
        {"SET m.b = :1", "{}",
         "The document path provided in the update expression is invalid for update"},
        {"SET a = nope", "{}",
         "The provided expression refers to an attribute that does not exist in the item"},
        {"SET a = s + :1", "{\"s\":{\"S\":\"x\"}}",
         "An operand in the update expression has an incorrect data type"},
        {"ADD s :1", "{\"s\":{\"S\":\"x\"}}",
         "An operand in the update expression has an incorrect data type"},
        {"SET pk = :1", "{}",
         "One or more parameter values were invalid: Cannot update attribute pk. This attribute is "
         "part of the key"},
        {"SET a.b = :1, a = :1", "{}",
         "Invalid UpdateExpression: Two document paths overlap with each other; must remove or "
         "rewrite one of these paths; path one: [a, b], path two: [a]"},
        {"ADD a :a", "{}",
         "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: "
         "ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
        {"SET a = :1 SET b = :1", "{}",
         "Invalid UpdateExpression: The \"SET\" section can only be used once in an update "
         "expression;"},
        {"DELETE a :1", "{}",
         "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: "
         "DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND"},
        {"SET a = if_not_exists(a, a)", "{}",
         "Invalid UpdateExpression: " DISTINCT "if_not_exists, first operand: [a]"},
        {"SET a = a + list_append(b, :L)", "{}",
         "Invalid UpdateExpression: The function is not allowed to be used this way in an "
         "expression; function: list_append"},
        {"SET a = ((a + :1))", "{}",
         "Invalid UpdateExpression: The expression has redundant parentheses;"},
        {"SET a = (a + :1) + :1", "{}",
         "Invalid UpdateExpression: Syntax error; token: \"+\", near: \") + :1\""},
        {"SET a = :1 + ", "{}",
         "Invalid UpdateExpression: Syntax error; token: \"<EOF>\", near: \"+ \""},
        {"SET a = (a + (:1))", "{\"a\":{\"N\":\"5\"}}",
         "{\"a\":{\"N\":\"6\"}} {\"a\":{\"N\":\"5\"}} {\"a\":{\"N\":\"6\"}}"},
        {"SET a = size(a)", "{}",
         "Invalid UpdateExpression: The function is not allowed in an update expression; function: "
         "size"},
        {"SET a = :a + :1", "{}",
         "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or "
         "function: +, operand type: S"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[2000];
        const char *fault = update(cases[i].text, cases[i].item, out, sizeof(out));
        CHECK_BYTES(bytes_cstr(fault[0] != 0 ? fault : out), bytes_cstr(cases[i].result));
    }
}

static void projections_cut_and_compact(void)
{
    const struct expr *expr;
    struct expr_fault fault;
    struct expr_binding binding;
    struct bytes cut = BYTES_NONE;
    struct buf json;
    buf_init(&json, 10000);
    CHECK(expr_compile(cache, EXPR_PROJECTION, BYTES("l[2].q, l[0], #m.b.c, nope, ss"), &expr,
                       &fault) == OK);
    CHECK(expr_binding_init(&binding, &arena, names_of("{\"#m\":{\"S\":\"m\"}}"), true, BYTES_NONE,
                            false) == OK);
    CHECK(expr_check(expr, &binding, &arena, &fault) == OK);
    CHECK(expr_check_unused(&binding, &fault) == OK);
    CHECK(expr_project(expr, &binding, item_of(ITEM), &arena, &cut, &fault) == OK);
    item_to_json(&json, cut);
    CHECK_BYTES(buf_bytes(&json),
                BYTES("{\"l\":{\"L\":[{\"N\":\"1\"},{\"M\":{\"q\":{\"N\":\"7\"}}}]},\"m\":{\"M\":{"
                      "\"b\":{\"M\":{\"c\":{\"S\":\"deep\"}}}}},\"ss\":{\"SS\":[\"a\",\"b\"]}}"));
    CHECK(expr_binding_init(&binding, &arena, names_of(NAMES), true, BYTES_NONE, false) == OK);
    CHECK(expr_check(expr, &binding, &arena, &fault) == OK);
    CHECK(expr_check_unused(&binding, &fault) == ERR_FAULT);
    CHECK_BYTES(
        bytes_cstr(fault.text),
        BYTES(
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#d, #dot}"));
    buf_fini(&json);
}

static const char *key_range(const char *text, struct key_range *range)
{
    static struct expr_fault fault;
    static const struct key_schema schema = {{BYTES_INIT("pk"), VALUE_S},
                                             {BYTES_INIT("a"), VALUE_N}};
    const struct expr *expr;
    struct expr_binding binding;
    fault.text[0] = 0;
    CHECK(expr_binding_init(&binding, &arena, names_of(NAMES), true, names_of(VALUES), true) == OK);
    if (expr_compile(cache, EXPR_KEY_CONDITION, bytes_cstr(text), &expr, &fault) == OK &&
        expr_check(expr, &binding, &arena, &fault) == OK &&
        expr_check_form(expr, &binding, &arena, &fault) == OK) {
        CHECK(expr_key_range(expr, &binding, &schema, &arena, range, &fault) ==
              (fault.text[0] == 0 ? OK : ERR_FAULT));
    }
    return fault.text;
}

static void key_conditions_name_a_range(void)
{
    struct key_range range = {0};
    CHECK_BYTES(bytes_cstr(key_range("pk = :k AND a BETWEEN :1 AND :9", &range)), BYTES(""));
    CHECK_BYTES(range.partition, BYTES("k"));
    CHECK(range.has_low && range.low_inclusive && range.has_high && range.high_inclusive);
    CHECK_BYTES(bytes_cstr(key_range(":5 < a AND :k = pk", &range)), BYTES(""));
    CHECK(range.has_low && !range.low_inclusive && !range.has_high);
    CHECK_BYTES(bytes_cstr(key_range("pk = :k AND (a = :5)", &range)), BYTES(""));
    CHECK(range.has_low && range.has_high && bytes_equal(range.low, range.high));
    CHECK_BYTES(bytes_cstr(key_range("a = :5", &range)),
                BYTES("Query condition missed key schema element: pk"));
    CHECK_BYTES(bytes_cstr(key_range("pk > :k", &range)),
                BYTES("Query key condition not supported"));
    CHECK_BYTES(bytes_cstr(key_range("pk = :5", &range)),
                BYTES("One or more parameter values were invalid: Condition parameter type does "
                      "not match schema type"));
    CHECK_BYTES(bytes_cstr(key_range("pk = :k AND a = :5 AND s = :1", &range)),
                BYTES("The number of query conditions (3) exceeds the number of key attributes "
                      "defined in the schema (2)"));
    CHECK_BYTES(bytes_cstr(key_range("pk = :k AND pk = :k", &range)),
                BYTES("KeyConditionExpressions must only contain "
                      "one condition per key"));
    CHECK_BYTES(bytes_cstr(key_range("pk = :k AND m.b = :5", &range)),
                BYTES("KeyConditionExpressions cannot have "
                      "conditions on nested attributes"));
}

/* Told without a table. */
static void key_conditions_have_a_form(void)
{
#define IN_KEY " in KeyConditionExpression: "
    static const struct {
        const char *text;
        const char *fault;
    } cases[] = {
        {"pk = :k OR a = :5", "Invalid operator used" IN_KEY "OR"},
        {"NOT pk = :k", "Invalid operator used" IN_KEY "NOT"},
        {"pk <> :k", "Invalid operator used" IN_KEY "<>"},
        {"pk IN (:k)", "Invalid operator used" IN_KEY "IN"},
        {"pk = :k AND attribute_exists(a)", "Invalid operator used" IN_KEY "attribute_exists"},
        {"pk = :k AND contains(s, :a)", "Invalid operator used" IN_KEY "contains"},
        {"pk = :k AND size(a) = :5", "KeyConditionExpressions cannot contain nested operations"},
        {"pk = :k AND a = s",
         "Invalid condition" IN_KEY "Multiple attribute names used in one condition"},
        {":k = :k", "Invalid condition" IN_KEY "No key attribute specified"},
        {"pk = :k AND :1 BETWEEN a AND :5",
         "Invalid condition" IN_KEY
         "BETWEEN operator must have the key attribute as its first operand"},
        {"begins_with(:k, pk)",
         "Invalid condition" IN_KEY
         "begins_with operator must have the key attribute as its first operand"},
    };
    struct key_range range;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_BYTES(bytes_cstr(key_range(cases[i].text, &range)), bytes_cstr(cases[i].fault));
    }
}

static void the_cache_forgets_the_oldest(void)
{
    const struct expr *expr;
    struct expr_fault fault;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < EXPR_CACHE_MAX + 500; i++) {
            char text[40];
            snprintf(text, sizeof(text), "a%u = :1", i);
            CHECK(expr_compile(cache, EXPR_CONDITION, bytes_cstr(text), &expr, &fault) == OK);
        }
    }
}

int main(void)
{
    parser = json_parser_new();
    cache = expr_cache_new();
    arena_init(&arena, 0);
    RUN(conditions_hold_or_not);
    RUN(conditions_are_refused_in_dynamodbs_words);
    RUN(deep_nesting_is_refused_at_once);
    RUN(updates_change_what_they_say);
    RUN(projections_cut_and_compact);
    RUN(key_conditions_name_a_range);
    RUN(key_conditions_have_a_form);
    RUN(the_cache_forgets_the_oldest);
    arena_fini(&arena);
    expr_cache_free(cache);
    json_parser_free(parser);
    return CHECK_RESULT();
}
