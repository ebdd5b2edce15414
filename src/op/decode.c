/* Hop 3 of the straight path: after server/dispatch.c, before the operation's own file. A request's
 * JSON becomes the operation's input struct, driven by its field table (op I1).
 *
 * Members are walked once, as they come; unknown ones are ignored and null is absence, as in
 * DynamoDB. A wrong JSON type is told at once (SerializationException); everything else waits until
 * all members were seen, since DynamoDB's order is types, constraints, values. */
#include "op/op_priv.h"

#include "base/assert.h"

#include <stdio.h>

/* Java's saturating conversions, of which DynamoDB's are. */
#define LONG_LIMIT 9223372036854775807.0
#define TEXT_VALUE_OF_KEY "ExpressionAttributeValues contains invalid value: %s for key %.*s"

static enum err decode_struct(struct decode *decode, const struct field *fields, struct json object,
                              void *base);
static const struct field *find_field(const struct field *fields, struct bytes name);
static enum err decode_field(struct decode *decode, const struct field *field, struct json value,
                             void *base);
static bool is_legacy_given(const struct decode *decode, const struct field *field);
static void add_name(char *list, size_t room, const struct field *field);
static enum err decode_string(struct decode *decode, struct json value, struct bytes *out);
static enum err decode_enum(struct decode *decode, const struct field *field, struct json value,
                            int *out);
static enum err decode_bool(struct decode *decode, struct json value, bool *out);
static enum err decode_number(struct decode *decode, const char *java, struct json value,
                              int64_t *out);
static enum err decode_item(struct decode *decode, const struct field *field, struct json value,
                            void *base, struct bytes *out);
static enum err decode_names(struct decode *decode, struct json value, struct bytes *out);
static enum err decode_list(struct decode *decode, const struct field *field, struct json value,
                            void *base);
static enum err decode_strings(struct decode *decode, const struct field *field, struct json value,
                               void *base);
static enum err decode_items(struct decode *decode, const struct field *field, struct json value,
                             void *base);
static enum err decode_map(struct decode *decode, const struct field *field, struct json value,
                           void *base);
static enum err refuse_map(struct decode *decode, const struct field *field);
static enum err refuse_item(struct decode *decode, const struct field *field, struct json value,
                            const struct item_fault *refused);
static enum err keep_depth(struct decode *decode, const struct field *field, struct json value,
                           const struct item_fault *refused, const struct bytes **out);
static struct bytes refused_key(struct decode *decode, const struct field *field,
                                struct json value);
static enum err refuse_type(struct decode *decode, struct json value, const char *java);
static enum err refuse_shape(struct decode *decode, struct json value, const char *java);

static inline void *at(void *base, size_t offset)
{
    return (char *)base + offset;
}

enum err op_decode(struct op_call *call, struct json root)
{
    struct decode decode;
    decode.call = call;
    decode.strays = NULL;
    decode.violations = NULL;
    decode.violations_end = &decode.violations;
    decode.old_words = false;
    decode.unbuilt = NULL;
    decode.legacy_count = 0;
    decode.old_order = false;
    decode.value_refused = false;
    decode.value_key = BYTES_NONE;
    decode.value.wrong = ITEM_WRONG_OTHER;
    call->old_layer = call->op->old_values;
    call->fault = (struct fault){0};
    call->in = arena_zalloc(call->arena, call->op->in_size);
    if (call->in == NULL) {
        call->fault.code = FAULT_INTERNAL;
        return ERR_NOMEM;
    }
    enum err err = decode_struct(&decode, call->op->in_fields, root, call->in);
    if (err == OK) {
        err = constrain(&decode);
    }
    if (err == OK && call->op->settle != NULL) {
        err = call->op->settle(call, &decode);
    } else if (err == OK) {
        err = decode_tell_violations(&decode, UINT32_MAX);
        err = err != OK ? err : decode_tell_values(&decode);
    }
    if (err == ERR_NOMEM) {
        call->fault = (struct fault){.code = FAULT_INTERNAL};
    }
    return err;
}

enum err decode_tell_values(struct decode *decode)
{
    struct op_call *call = decode->call;
    const struct item_fault *refused = &decode->value;
    TRY(decode_tell_mixing(decode));
    if (decode->unbuilt != NULL) {
        return fault(call, FAULT_VALIDATION, "Headwater does not support %s yet", decode->unbuilt);
    }
    if (!decode->value_refused) {
        return OK;
    }
    bool too_deep = refused->kind == ITEM_REFUSED_DEPTH && refused->depth > DEPTH_ENVELOPED_MAX;
    const char *text =
        call->old_layer && refused->old_text[0] != 0 ? refused->old_text : refused->text;
    if (decode->value_key.ptr != NULL && (call->old_layer || too_deep)) {
        return fault(call, FAULT_VALIDATION, TEXT_VALUE_OF_KEY, text, BYTES_FMT(decode->value_key));
    }
    if (((decode->value_flags & FIELD_START) != 0 && refused->kind == ITEM_REFUSED_BARE) ||
        ((decode->value_flags & FIELD_DEEP_START) != 0 && refused->kind == ITEM_REFUSED_DEPTH)) {
        return fault(call, FAULT_VALIDATION, "%s: %s", TEXT_START_KEY, text);
    }
    bool enveloped = !too_deep && refused->kind != ITEM_REFUSED_BARE;
    return fault_text(call, FAULT_VALIDATION, fault_envelopes(call) && enveloped, bytes_cstr(text));
}

/* Both kinds in the order of the table. */
enum err decode_tell_mixing(struct decode *decode)
{
    struct op_call *call = decode->call;
    char legacy[128] = "";
    char expressions[128] = "";
    for (const struct field *field = call->op->in_fields; field->type != FIELD_END; field++) {
        if (is_legacy_given(decode, field)) {
            add_name(legacy, sizeof(legacy), field);
        } else if ((field->flags & FIELD_EXPRESSION) != 0 &&
                   ((const struct bytes *)at(call->in, field->offset))->ptr != NULL) {
            add_name(expressions, sizeof(expressions), field);
        }
    }
    return legacy[0] == 0 || expressions[0] == 0 ? OK : fault_mixing(call, legacy, expressions);
}

static bool is_legacy_given(const struct decode *decode, const struct field *field)
{
    for (size_t i = 0; i < decode->legacy_count; i++) {
        if (decode->legacy[i] == field) {
            return true;
        }
    }
    return false;
}

static void add_name(char *list, size_t room, const struct field *field)
{
    size_t len = strlen(list);
    (void)snprintf(list + len, room - len, "%s%s", len == 0 ? "" : ", ", field->name.ptr);
}

static enum err decode_struct(struct decode *decode, const struct field *fields, struct json object,
                              void *base)
{
    struct json_iter iter = json_iter_of(object);
    struct bytes name;
    struct json value;
    while (json_next_member(&iter, &name, &value)) {
        const struct field *field = find_field(fields, name);
        if (field == NULL || json_type(value) == JSON_NULL) {
            continue;
        }
        TRY(decode_field(decode, field, value, base));
        if (field->given != 0) {
            *(bool *)at(base, field->given) = true;
        }
    }
    return OK;
}

/* Tables are short and names differ early: two compares tell nearly all of them apart. */
static const struct field *find_field(const struct field *fields, struct bytes name)
{
    if (name.len == 0) {
        return NULL;
    }
    for (const struct field *field = fields; field->type != FIELD_END; field++) {
        if (field->name.len == name.len && field->name.ptr[0] == name.ptr[0] &&
            memcmp(field->name.ptr, name.ptr, name.len) == 0) {
            return field;
        }
    }
    return NULL;
}

static enum err decode_field(struct decode *decode, const struct field *field, struct json value,
                             void *base)
{
    void *place = at(base, field->offset);
    int64_t number = 0;
    switch (field->type) {
    case FIELD_STRING:
        return decode_string(decode, value, place);
    case FIELD_ENUM:
        return decode_enum(decode, field, value, place);
    case FIELD_BOOL:
        return decode_bool(decode, value, place);
    case FIELD_INTEGER:
        TRY(decode_number(decode, "Integer", value, &number));
        *(int32_t *)place = (int32_t)(number > INT32_MAX   ? INT32_MAX
                                      : number < INT32_MIN ? INT32_MIN
                                                           : number);
        decode->old_order |= json_type(value) == JSON_NUMBER || number != *(int32_t *)place;
        return OK;
    case FIELD_LONG:
        return decode_number(decode, "Long", value, place);
    case FIELD_ITEM:
        return decode_item(decode, field, value, base, place);
    case FIELD_NAMES:
        return decode_names(decode, value, place);
    case FIELD_STRUCT:
        if (json_type(value) != JSON_OBJECT) {
            return refuse_shape(decode, value, field->shape->type);
        }
        return decode_struct(decode, field->shape->fields, value, place);
    case FIELD_LIST:
        return decode_list(decode, field, value, base);
    case FIELD_UNBUILT:
        if (decode->unbuilt == NULL) {
            decode->unbuilt = (const char *)field->name.ptr;
        }
        if (decode->legacy_count < LEGACY_MAX) {
            decode->legacy[decode->legacy_count++] = field;
        }
        return OK;
    case FIELD_STRINGS:
        return decode_strings(decode, field, value, base);
    case FIELD_ITEMS:
        return decode_items(decode, field, value, base);
    case FIELD_MAP:
        return decode_map(decode, field, value, base);
    case FIELD_END:
    case FIELD_SIZE:
    case FIELD_DOUBLE:
    case FIELD_TIME:
    case FIELD_SECONDS:
        break;
    }
    ASSERT(false); /* a type of answers in a table of requests */
    return ERR_INVALID;
}

/* Copied, as everything of a request is: the parser's document is the next request's before this
 * one is evaluated on a worker, or again on the committer. */
static enum err decode_string(struct decode *decode, struct json value, struct bytes *out)
{
    if (json_type(value) != JSON_STRING) {
        return refuse_type(decode, value, "String");
    }
    struct bytes text = json_string(value);
    *out = text.len == 0 ? BYTES("") : arena_dup(decode->call->arena, text);
    return out->ptr == NULL ? ERR_NOMEM : OK;
}

static enum err decode_enum(struct decode *decode, const struct field *field, struct json value,
                            int *out)
{
    if (json_type(value) != JSON_STRING) {
        return refuse_type(decode, value, "String");
    }
    struct bytes text = json_string(value);
    for (size_t i = 0; i < field->set->count; i++) {
        const char *name = field->set->names[i];
        if (name != NULL && bytes_equal(text, bytes_cstr(name))) {
            *out = (int)i;
            return OK;
        }
    }
    struct stray *stray = arena_alloc(decode->call->arena, sizeof(*stray));
    if (stray == NULL) {
        return ERR_NOMEM;
    }
    *stray = (struct stray){decode->strays, out, text.ptr != NULL ? text : BYTES("")};
    decode->strays = stray;
    *out = ENUM_STRAY;
    return OK;
}

static enum err decode_bool(struct decode *decode, struct json value, bool *out)
{
    static const char *const words[2][4] = {{"false", "f", "no", "n"}, {"true", "t", "yes", "y"}};
    switch (json_type(value)) {
    case JSON_FALSE:
    case JSON_TRUE:
        *out = json_type(value) == JSON_TRUE;
        return OK;
    case JSON_INTEGER:
        return fault(decode->call, FAULT_SERIALIZATION,
                     "NUMBER_VALUE cannot be converted to Boolean");
    case JSON_NUMBER:
        return fault(decode->call, FAULT_SERIALIZATION,
                     "DECIMAL_VALUE cannot be converted to Boolean");
    case JSON_OBJECT:
        return fault(decode->call, FAULT_SERIALIZATION, TEXT_START_OF_STRUCTURE);
    case JSON_ARRAY:
        return fault(decode->call, FAULT_SERIALIZATION, "%s", "");
    case JSON_STRING:
    case JSON_NULL:
        break;
    }
    struct bytes text = json_string(value);
    if (text.len == 1 && (text.ptr[0] == '0' || text.ptr[0] == '1')) {
        *out = text.ptr[0] == '1';
        return OK;
    }
    for (size_t i = 0; i < 8; i++) {
        const char *word = words[i / 4][i % 4];
        if (text.len == strlen(word) && strncasecmp((const char *)text.ptr, word, text.len) == 0) {
            *out = i / 4 == 1;
            return OK;
        }
    }
    return fault(decode->call, FAULT_SERIALIZATION, "Unexpected token received from parser");
}

static enum err decode_number(struct decode *decode, const char *java, struct json value,
                              int64_t *out)
{
    enum json_type type = json_type(value);
    if (type == JSON_INTEGER) {
        *out = json_integer(value);
        return OK;
    }
    if (type != JSON_NUMBER) {
        return refuse_type(decode, value, java);
    }
    double number = json_number(value);
    *out = number >= LONG_LIMIT ? INT64_MAX : number <= -LONG_LIMIT ? INT64_MIN : (int64_t)number;
    return OK;
}

static enum err decode_item(struct decode *decode, const struct field *field, struct json value,
                            void *base, struct bytes *out)
{
    struct item_reading reading;
    if (json_type(value) == JSON_ARRAY) {
        return fault(decode->call, FAULT_SERIALIZATION,
                     "Unrecognized collection type java.util.Map<java.lang.String, "
                     "com.amazonaws.dynamodb.v20120810.AttributeValue>");
    }
    if (json_type(value) != JSON_OBJECT) {
        return refuse_shape(decode, value, NULL);
    }
    struct bytes item = BYTES_NONE;
    reading.old_form = false;
    reading.deeper = (field->flags & FIELD_DEEPER) != 0;
    enum err err = item_from_json(value, decode->call->arena, &item, &reading);
    decode->call->old_layer |= reading.old_form;
    if (err == ERR_FAULT) {
        *out = BYTES(""); /* it was given */
        return field->too_deep != 0 && reading.fault.kind == ITEM_REFUSED_DEPTH
                   ? keep_depth(decode, field, value, &reading.fault, at(base, field->too_deep))
                   : refuse_item(decode, field, value, &reading.fault);
    }
    if (err == OK) {
        *out = item.ptr != NULL ? item : BYTES("");
    }
    return err;
}

/* The first refused value is the one that is told; in transactions sets go before all others. */
static enum err refuse_item(struct decode *decode, const struct field *field, struct json value,
                            const struct item_fault *refused)
{
    if (refused->kind == ITEM_REFUSED_SERIALIZATION) {
        return fault(decode->call, FAULT_SERIALIZATION, "%s", refused->text);
    }
    bool goes_first = decode->call->op->sets_first && refused->wrong == ITEM_WRONG_SET &&
                      decode->value.wrong != ITEM_WRONG_SET;
    if (decode->value_refused && !goes_first) {
        return OK;
    }
    decode->value_refused = true;
    decode->value = *refused;
    decode->value_key = refused_key(decode, field, value);
    decode->value_flags = field->flags;
    return OK;
}

static enum err keep_depth(struct decode *decode, const struct field *field, struct json value,
                           const struct item_fault *refused, const struct bytes **out)
{
    struct op_call *call = decode->call;
    struct bytes *words = arena_alloc(call->arena, sizeof(*words));
    if (words == NULL) {
        return ERR_NOMEM;
    }
    struct bytes key = refused_key(decode, field, value);
    enum err err = key.ptr == NULL ? fault(call, FAULT_VALIDATION, "%s", refused->text)
                                   : fault(call, FAULT_VALIDATION, TEXT_VALUE_OF_KEY, refused->text,
                                           BYTES_FMT(key));
    if (err != ERR_FAULT) {
        return err;
    }
    *words = call->fault.message;
    *out = words;
    call->fault = (struct fault){0};
    return OK;
}

/* Of ExpressionAttributeValues, the :name whose value is refused. */
static struct bytes refused_key(struct decode *decode, const struct field *field, struct json value)
{
    struct json_iter iter = json_iter_of(value);
    struct bytes name;
    struct json member;
    while ((field->flags & FIELD_VALUES) != 0 && json_next_member(&iter, &name, &member)) {
        struct value ignored;
        struct item_reading again = {.deeper = (field->flags & FIELD_DEEPER) != 0};
        if (json_type(member) != JSON_NULL &&
            value_from_json(member, decode->call->arena, &ignored, &again) == ERR_FAULT) {
            return name;
        }
    }
    return BYTES_NONE;
}

static enum err decode_names(struct decode *decode, struct json value, struct bytes *out)
{
    if (json_type(value) == JSON_ARRAY) {
        return fault(decode->call, FAULT_SERIALIZATION,
                     "Unrecognized collection type java.util.Map<java.lang.String, "
                     "java.lang.String>");
    }
    if (json_type(value) != JSON_OBJECT) {
        return refuse_shape(decode, value, NULL);
    }
    struct item_build build;
    struct json_iter iter = json_iter_of(value);
    struct bytes name;
    struct json member;
    item_build_init(&build, decode->call->arena);
    while (json_next_member(&iter, &name, &member)) {
        if (json_type(member) == JSON_NULL) {
            continue;
        }
        if (json_type(member) != JSON_STRING) {
            return refuse_type(decode, member, "String");
        }
        item_build_s(&build, name, json_string(member));
    }
    TRY(item_build_end(&build, out));
    if (out->ptr == NULL) {
        *out = BYTES("");
    }
    return OK;
}

/* Makes the member's elements, all zero. room: how many of them are to be decoded; what comes
 * behind is looked at and counted. */
static enum err decode_elements(struct decode *decode, const struct field *field, struct json value,
                                size_t size, void *base, size_t *room)
{
    if (json_type(value) == JSON_OBJECT) {
        return fault(decode->call, FAULT_SERIALIZATION, TEXT_START_OF_STRUCTURE);
    }
    if (json_type(value) != JSON_ARRAY) {
        return refuse_shape(decode, value, NULL);
    }
    size_t count = json_count(value);
    *room = count > LIST_DECODED_MAX ? LIST_DECODED_MAX : count;
    void *elements = arena_zalloc(decode->call->arena, (*room + 1) * size);
    if (elements == NULL) {
        return ERR_NOMEM;
    }
    *(void **)at(base, field->offset) = elements;
    *(size_t *)at(base, field->count) = count;
    return OK;
}

static enum err decode_list(struct decode *decode, const struct field *field, struct json value,
                            void *base)
{
    const struct shape *shape = field->shape;
    size_t room = 0;
    TRY(decode_elements(decode, field, value, shape->size, base, &room));
    char *elements = *(char **)at(base, field->offset);
    struct json_iter iter = json_iter_of(value);
    struct json element;
    for (size_t i = 0; json_next(&iter, &element); i++) {
        if (json_type(element) == JSON_ARRAY) {
            return refuse_shape(decode, element, shape->type);
        }
        if (json_type(element) != JSON_OBJECT) {
            return fault(decode->call, FAULT_SERIALIZATION, "Unexpected value type in payload");
        }
        if (i < room) {
            TRY(decode_struct(decode, shape->fields, element, elements + i * shape->size));
        }
    }
    return OK;
}

static enum err decode_strings(struct decode *decode, const struct field *field, struct json value,
                               void *base)
{
    size_t room = 0;
    TRY(decode_elements(decode, field, value, sizeof(struct bytes), base, &room));
    struct bytes *elements = *(struct bytes **)at(base, field->offset);
    struct json_iter iter = json_iter_of(value);
    struct json element;
    struct bytes over;
    for (size_t i = 0; json_next(&iter, &element); i++) {
        TRY(decode_string(decode, element, i < room ? &elements[i] : &over));
    }
    return OK;
}

static enum err decode_items(struct decode *decode, const struct field *field, struct json value,
                             void *base)
{
    size_t room = 0;
    TRY(decode_elements(decode, field, value, sizeof(struct bytes), base, &room));
    struct bytes *elements = *(struct bytes **)at(base, field->offset);
    struct json_iter iter = json_iter_of(value);
    struct json element;
    for (size_t i = 0; i < room && json_next(&iter, &element); i++) {
        if (json_type(element) != JSON_OBJECT && json_type(element) != JSON_ARRAY) {
            return fault(decode->call, FAULT_SERIALIZATION, "Unexpected value type in payload");
        }
        TRY(decode_item(decode, field, element, base, &elements[i]));
    }
    return OK;
}

/* A name that comes again takes the place of the first, as in DynamoDB's parser. */
static enum err decode_map(struct decode *decode, const struct field *field, struct json value,
                           void *base)
{
    const struct shape *shape = field->shape;
    if (json_type(value) == JSON_ARRAY) {
        return refuse_map(decode, field);
    }
    if (json_type(value) != JSON_OBJECT) {
        return refuse_shape(decode, value, NULL);
    }
    size_t room = json_count(value);
    room = room > LIST_DECODED_MAX ? LIST_DECODED_MAX : room;
    char *entries = arena_zalloc(decode->call->arena, (room + 1) * shape->size);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    struct json_iter iter = json_iter_of(value);
    struct bytes name;
    struct json member;
    size_t count = 0;
    while (json_next_member(&iter, &name, &member)) {
        size_t place = 0;
        while (place < count && place < room &&
               !bytes_equal(*(struct bytes *)at(entries, place * shape->size), name)) {
            place++;
        }
        count += place == count || place == room;
        if (place == room) {
            continue;
        }
        char *entry = entries + place * shape->size;
        memset(entry, 0, shape->size);
        struct bytes *kept = (struct bytes *)(void *)entry;
        *kept = name.len == 0 ? BYTES("") : arena_dup(decode->call->arena, name);
        if (kept->ptr == NULL) {
            return ERR_NOMEM;
        }
        if (json_type(member) != JSON_NULL) {
            TRY(decode_field(decode, shape->fields, member, entry));
        }
    }
    *(void **)at(base, field->offset) = entries;
    *(size_t *)at(base, field->count) = count;
    return OK;
}

static enum err refuse_map(struct decode *decode, const struct field *field)
{
    const struct field *value = field->shape->fields;
    bool list = value->type == FIELD_LIST;
    return fault(decode->call, FAULT_SERIALIZATION,
                 "Unrecognized collection type java.util.Map<java.lang.String, "
                 "%scom.amazonaws.dynamodb.v20120810.%s%s>",
                 list ? "java.util.List<" : "", value->shape->type, list ? ">" : "");
}

/* A value that is not of a scalar's type. */
static enum err refuse_type(struct decode *decode, struct json value, const char *java)
{
    static const char *const tokens[] = {
        [JSON_NULL] = "NULL_VALUE",      [JSON_FALSE] = "FALSE_VALUE",
        [JSON_TRUE] = "TRUE_VALUE",      [JSON_INTEGER] = "NUMBER_VALUE",
        [JSON_NUMBER] = "DECIMAL_VALUE", [JSON_STRING] = "STRING_VALUE",
    };
    enum json_type type = json_type(value);
    if (type == JSON_OBJECT) {
        return fault(decode->call, FAULT_SERIALIZATION, TEXT_START_OF_STRUCTURE);
    }
    if (type == JSON_ARRAY) {
        return fault(decode->call, FAULT_SERIALIZATION,
                     "Unrecognized collection type class java.lang.%s", java);
    }
    return fault(decode->call, FAULT_SERIALIZATION, "%s cannot be converted to %s", tokens[type],
                 java);
}

/* A value that is not the struct, list or map it should be. */
static enum err refuse_shape(struct decode *decode, struct json value, const char *java)
{
    if (json_type(value) == JSON_ARRAY && java != NULL) {
        return fault(decode->call, FAULT_SERIALIZATION,
                     "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.%s",
                     java);
    }
    return fault(decode->call, FAULT_SERIALIZATION, "Unexpected field type");
}
