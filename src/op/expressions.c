/* The expressions of a request: compiled (or found in the thread's cache), bound to the request's
 * names and values, and checked, all before the table is looked at, as DynamoDB does. */
#include "op/op_priv.h"

#include <ctype.h>

#define TOKEN_BYTES_MAX 255u /* of a #name or :value, its mark included */
/* "The maximum length of all substitution variables in an expression is 2 MB." */
#define TOKENS_BYTES_MAX (2u << 20)

static bool has_text(const struct expression_texts *texts);
static enum err check_keys(struct op_call *call, struct bytes map, uint8_t mark,
                           const char *member);
static enum err check_sizes(struct op_call *call, const struct expression_tokens *tokens);
static enum err compile(struct op_call *call, struct reader *reader, enum expr_kind kind,
                        struct bytes text, const struct expr **out);
static enum err check(struct op_call *call, struct reader *reader, struct expressions *expressions,
                      const struct expr *expr);
static enum err check_form(struct op_call *call, struct reader *reader,
                           struct expressions *expressions, const struct expr *expr);
static enum err check_schema(struct op_call *call, struct expressions *expressions,
                             const struct expr *expr, const struct key_schema *schema);

enum err expressions_open(struct op_call *call, struct reader *reader,
                          const struct expression_texts *texts,
                          const struct expression_tokens *tokens, struct expressions *out)
{
    memset(out, 0, sizeof(*out));
    if (!has_text(texts)) {
        if (tokens->has_names || tokens->has_values) {
            return fault_value(call, "%s can only be specified when using expressions",
                               tokens->has_names ? "ExpressionAttributeNames"
                                                 : "ExpressionAttributeValues");
        }
        return OK;
    }
    if ((tokens->has_names && tokens->names.len == 0) ||
        (tokens->has_values && tokens->values.len == 0)) {
        return fault_value(call, "%s must not be empty",
                           tokens->has_names && tokens->names.len == 0
                               ? "ExpressionAttributeNames"
                               : "ExpressionAttributeValues");
    }
    TRY(check_sizes(call, tokens));
    TRY(check_keys(call, tokens->names, '#', "ExpressionAttributeNames"));
    TRY(check_keys(call, tokens->values, ':', "ExpressionAttributeValues"));
    TRY(compile(call, reader, EXPR_CONDITION, texts->condition, &out->condition));
    TRY(compile(call, reader, EXPR_FILTER, texts->filter, &out->filter));
    TRY(compile(call, reader, EXPR_UPDATE, texts->update, &out->update));
    TRY(compile(call, reader, EXPR_PROJECTION, texts->projection, &out->projection));
    TRY(compile(call, reader, EXPR_KEY_CONDITION, texts->key_condition, &out->key_condition));
    TRY(expr_binding_init(&out->binding, reader->arena, tokens->names, tokens->has_names,
                          tokens->values, tokens->has_values));
    TRY(check(call, reader, out, out->condition));
    TRY(check(call, reader, out, out->filter));
    TRY(check(call, reader, out, out->update));
    TRY(check(call, reader, out, out->projection));
    TRY(check(call, reader, out, out->key_condition));
    struct expr_fault refused;
    enum err err = expr_check_unused(&out->binding, &refused);
    if (err != OK) {
        return err == ERR_FAULT ? fault_expr(call, &refused) : err;
    }
    TRY(check_form(call, reader, out, out->update));
    TRY(check_form(call, reader, out, out->projection));
    return check_form(call, reader, out, out->key_condition);
}

enum err expressions_check_schema(struct op_call *call, struct expressions *expressions,
                                  const struct key_schema *schema)
{
    TRY(check_schema(call, expressions, expressions->update, schema));
    return check_schema(call, expressions, expressions->filter, schema);
}

enum err expressions_require(struct op_call *call, struct reader *reader,
                             const struct expressions *expressions, struct bytes old_item,
                             enum return_values on_failure)
{
    struct expr_fault refused;
    bool met = true;
    if (expressions->condition == NULL) {
        return OK;
    }
    enum err err = expr_test(expressions->condition, &expressions->binding, old_item, reader->arena,
                             &met, &refused);
    if (err == ERR_FAULT) {
        return fault_expr(call, &refused);
    }
    if (err != OK || met) {
        return err;
    }
    call->fault = (struct fault){.code = FAULT_CONDITION_FAILED};
    if (on_failure == RETURN_ALL_OLD && old_item.len > 0) {
        call->fault.item = old_item;
    }
    return ERR_FAULT;
}

enum err expressions_project(struct op_call *call, struct reader *reader,
                             const struct expressions *expressions, struct bytes item,
                             struct bytes *projected)
{
    struct expr_fault refused;
    enum err err = expr_project(expressions->projection, &expressions->binding, item, reader->arena,
                                projected, &refused);
    return err == ERR_FAULT ? fault_expr(call, &refused) : err;
}

enum err expressions_update(struct reader *reader, const struct expressions *expressions,
                            const struct table *table, struct bytes old_item, const struct key *key,
                            struct expr_update_result *result, struct expr_fault *refused)
{
    bool existed = old_item.len > 0;
    struct bytes base = existed ? old_item : key_to_item(&table->schema, key->bytes, reader->arena);
    if (base.ptr == NULL) {
        return ERR_NOMEM;
    }
    if (expressions->update == NULL) {
        result->item = base;
        return OK;
    }
    if (!existed && !expr_update_adds(expressions->update)) {
        return OK; /* whatever its paths are: there is nothing they could lead through */
    }
    TRY(expr_update(expressions->update, &expressions->binding, base, existed, reader->arena,
                    result, refused));
    if (item_size(result->item) > ITEM_SIZE_MAX) {
        refused->enveloped = false;
        memcpy(refused->text, TEXT_UPDATE_TOO_BIG, sizeof(TEXT_UPDATE_TOO_BIG));
        return ERR_FAULT;
    }
    return OK;
}

static bool has_text(const struct expression_texts *texts)
{
    return texts->condition.ptr != NULL || texts->filter.ptr != NULL || texts->update.ptr != NULL ||
           texts->projection.ptr != NULL || texts->key_condition.ptr != NULL;
}

static enum err check_sizes(struct op_call *call, const struct expression_tokens *tokens)
{
    size_t names = item_size(tokens->names);
    size_t values = item_size(tokens->values);
    if (names + values <= TOKENS_BYTES_MAX) {
        return OK;
    }
    return fault_value(call, "%s exceeds max size",
                       names > TOKENS_BYTES_MAX    ? "ExpressionAttributeNames"
                       : values > TOKENS_BYTES_MAX ? "ExpressionAttributeValues"
                                                   : "Combined size of ExpressionAttributeNames "
                                                     "and ExpressionAttributeValues");
}

/* Keys are a mark and then letters, digits and underscores; a name that stands for nothing is told
 * with its key. */
static enum err check_keys(struct op_call *call, struct bytes map, uint8_t mark, const char *member)
{
    struct cursor cursor = cursor_of(map);
    struct bytes key;
    struct value value;
    while (item_next(&cursor, &key, &value)) {
        if (key.len > TOKEN_BYTES_MAX) {
            return fault_value(call,
                               "%s contains invalid key: The expression attribute map contains a "
                               "key that is too long; size of key: %zu",
                               member, key.len);
        }
        bool fits = key.len > 1 && key.ptr[0] == mark;
        for (size_t i = 1; i < key.len && fits; i++) {
            fits = isalnum(key.ptr[i]) || key.ptr[i] == '_';
        }
        if (!fits) {
            return fault_value(call, "%s contains invalid key: Syntax error; key: \"%.*s\"", member,
                               BYTES_FMT(key));
        }
        if (mark == '#' && value.body.len == 0) {
            return fault_value(call, "%s contains invalid value: Empty attribute name for key %.*s",
                               member, BYTES_FMT(key));
        }
        if (mark == '#' && value.body.len > ITEM_NAME_MAX) {
            return fault_value(call,
                               "%s contains invalid value: " ITEM_NAME_TOO_LARGE " for key %.*s",
                               member, BYTES_FMT(key));
        }
    }
    return OK;
}

static enum err compile(struct op_call *call, struct reader *reader, enum expr_kind kind,
                        struct bytes text, const struct expr **out)
{
    struct expr_fault refused;
    if (text.ptr == NULL) {
        return OK;
    }
    enum err err = expr_compile(reader->exprs, kind, text, out, &refused);
    return err == ERR_FAULT ? fault_expr(call, &refused) : err;
}

static enum err check(struct op_call *call, struct reader *reader, struct expressions *expressions,
                      const struct expr *expr)
{
    struct expr_fault refused;
    if (expr == NULL) {
        return OK;
    }
    enum err err = expr_check(expr, &expressions->binding, reader->arena, &refused);
    return err == ERR_FAULT ? fault_expr(call, &refused) : err;
}

static enum err check_form(struct op_call *call, struct reader *reader,
                           struct expressions *expressions, const struct expr *expr)
{
    struct expr_fault refused;
    if (expr == NULL) {
        return OK;
    }
    enum err err = expr_check_form(expr, &expressions->binding, reader->arena, &refused);
    return err == ERR_FAULT ? fault_expr(call, &refused) : err;
}

static enum err check_schema(struct op_call *call, struct expressions *expressions,
                             const struct expr *expr, const struct key_schema *schema)
{
    struct expr_fault refused;
    if (expr == NULL) {
        return OK;
    }
    enum err err = expr_check_schema(expr, &expressions->binding, schema, &refused);
    return err == ERR_FAULT ? fault_expr(call, &refused) : err;
}
