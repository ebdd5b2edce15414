/* The JSON form, decoded in one pass straight into the item encoding. A container's members are
 * encoded behind each other; then, if they came unordered, they are put in order, and the
 * container's length is slid in before them. Recursion is bounded by ITEM_DEPTH_MAX: deeper values
 * are only measured. */
#include "base/base64.h"
#include "item/item.h"
#include "item/mismatch.h"
#include "item/number.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define OUT_FIRST 1024u
#define SCAN_DEPTH 512u /* how deep refused values are looked into */

/* Encoded bytes under construction, in an arena. */
struct out {
    struct arena *arena;
    uint8_t *ptr;
    size_t len;
    size_t cap;
};

struct decoder {
    struct out out;
    struct item_fault *fault;
    bool *old_form;
    unsigned wraps_max; /* containers around a scalar */
};

/* An encoded part of a container: [start, start + len) of out. */
struct part {
    size_t start;
    size_t name_len; /* of a member: its name's bytes follow its length at start */
    size_t name_at;
    size_t len;
    size_t order;
};

/* Parts of one container; most containers fit in the first ones. */
#define PARTS_FIRST 32u
struct parts {
    struct part first[PARTS_FIRST];
    struct part *all;
    size_t count;
    size_t cap;
    bool ordered; /* strictly rising so far */
};

static struct decoder decoder_of(struct arena *arena, struct item_reading *reading);
static enum err refuse(struct decoder *decoder, enum item_refusal kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err refuse_type(struct decoder *decoder, enum json_expected expected, struct json found,
                            const char *java);
static uint8_t *out_room(struct out *out, size_t n);
static enum err out_add(struct out *out, struct bytes data);
static enum err out_varint(struct out *out, size_t value);
static enum err out_close(struct out *out, size_t body);
static enum err decode_members(struct decoder *decoder, struct json object, unsigned depth);
static enum err decode_value(struct decoder *decoder, struct json object, unsigned depth);
static enum err refuse_many(struct decoder *decoder, struct json object, unsigned depth);
static enum err decode_typed(struct decoder *decoder, enum value_tag tag, struct json content,
                             unsigned depth);
static enum err decode_bool(struct decoder *decoder, struct json content, bool *truth);
static enum err decode_set(struct decoder *decoder, enum value_tag tag, struct json content);
static enum err decode_scalar(struct decoder *decoder, enum value_tag tag, struct json content);
static void parts_init(struct parts *parts);
static enum err parts_add(struct decoder *decoder, struct parts *parts, struct part part);
static enum err parts_order(struct decoder *decoder, struct parts *parts, size_t body,
                            bool keep_last);
static unsigned json_wraps(struct json content, unsigned limit);
static bool has_old_form(struct json container, bool map, unsigned limit);

#define JAVA_VALUE "class com.amazonaws.dynamodb.v20120810.AttributeValue"
#define JAVA_MAP "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"
#define PARAMETERS "One or more parameter values were invalid: "

enum err item_from_json(struct json object, struct arena *arena, struct bytes *item,
                        struct item_reading *reading)
{
    struct decoder decoder = decoder_of(arena, reading);
    if (json_type(object) != JSON_OBJECT) {
        return refuse_type(&decoder, EXPECT_MAP, object, JAVA_MAP);
    }
    enum err err = decode_members(&decoder, object, 0);
    if (err == ERR_FAULT) {
        reading->old_form |= has_old_form(object, true, SCAN_DEPTH); /* also behind the fault */
    }
    TRY(err);
    *item = bytes_of(decoder.out.ptr, decoder.out.len);
    return OK;
}

enum err value_from_json(struct json object, struct arena *arena, struct value *value,
                         struct item_reading *reading)
{
    struct decoder decoder = decoder_of(arena, reading);
    TRY(decode_value(&decoder, object, 0));
    struct cursor cursor = cursor_of(bytes_of(decoder.out.ptr, decoder.out.len));
    return list_next(&cursor, value) ? OK : ERR_NOMEM;
}

static struct decoder decoder_of(struct arena *arena, struct item_reading *reading)
{
    return (struct decoder){.out = {.arena = arena},
                            .fault = &reading->fault,
                            .old_form = &reading->old_form,
                            .wraps_max = reading->deeper ? ITEM_DEPTH_MAX : ITEM_WRAPS_MAX};
}

static void begin_fault(struct decoder *decoder, enum item_refusal kind, enum item_wrong wrong)
{
    decoder->fault->kind = kind;
    decoder->fault->wrong = wrong;
    decoder->fault->depth = 0;
    decoder->fault->text[0] = 0;
    decoder->fault->old_text[0] = 0;
}

static enum err refuse(struct decoder *decoder, enum item_refusal kind, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    begin_fault(decoder, kind, ITEM_WRONG_OTHER);
    vsnprintf(decoder->fault->text, sizeof(decoder->fault->text), format, list);
    va_end(list);
    return ERR_FAULT;
}

static enum err refuse_type(struct decoder *decoder, enum json_expected expected, struct json found,
                            const char *java)
{
    begin_fault(decoder, ITEM_REFUSED_SERIALIZATION, ITEM_WRONG_OTHER);
    json_mismatch_text(expected, found, java, decoder->fault->text, sizeof(decoder->fault->text));
    return ERR_FAULT;
}

/* ---- output ---- */

static uint8_t *out_room(struct out *out, size_t n)
{
    if (out->cap - out->len >= n) {
        return out->ptr + out->len;
    }
    size_t cap = out->cap == 0 ? OUT_FIRST : out->cap * 2;
    while (cap - out->len < n) {
        cap *= 2;
    }
    uint8_t *grown = arena_alloc(out->arena, cap);
    if (grown == NULL) {
        return NULL;
    }
    if (out->len > 0) {
        memcpy(grown, out->ptr, out->len);
    }
    out->ptr = grown;
    out->cap = cap;
    return grown + out->len;
}

static enum err out_add(struct out *out, struct bytes data)
{
    uint8_t *room = out_room(out, data.len);
    if (room == NULL) {
        return ERR_NOMEM;
    }
    if (data.len > 0) {
        memcpy(room, data.ptr, data.len);
    }
    out->len += data.len;
    return OK;
}

static size_t put_varint(uint8_t *at, size_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) {
        at[len++] = (uint8_t)(value | 0x80);
    }
    at[len++] = (uint8_t)value;
    return len;
}

static enum err out_varint(struct out *out, size_t value)
{
    uint8_t *room = out_room(out, 10);
    if (room == NULL) {
        return ERR_NOMEM;
    }
    out->len += put_varint(room, value);
    return OK;
}

/* Slides the length of [body, end) in before it. What is behind `len` does not move when the output
 * grows, so the room is made first and the length is put in place. */
static enum err out_close(struct out *out, size_t body)
{
    size_t len = out->len - body;
    size_t width = len < 0x80         ? 1
                   : len < 0x4000     ? 2
                   : len < 0x200000   ? 3
                   : len < 0x10000000 ? 4
                                      : 5;
    if (out_room(out, width) == NULL) {
        return ERR_NOMEM;
    }
    memmove(out->ptr + body + width, out->ptr + body, len);
    out->len += put_varint(out->ptr + body, len);
    return OK;
}

static enum err out_value(struct out *out, enum value_tag tag, struct bytes body)
{
    uint8_t byte = (uint8_t)tag;
    TRY(out_add(out, bytes_of(&byte, 1)));
    TRY(out_varint(out, body.len));
    return out_add(out, body);
}

/* ---- decoding ---- */

static struct bytes part_name(const struct out *out, const struct part *part)
{
    return bytes_of(out->ptr + part->name_at, part->name_len);
}

static enum err decode_members(struct decoder *decoder, struct json object, unsigned depth)
{
    struct parts parts;
    parts_init(&parts);
    struct json_iter iter = json_iter_of(object);
    struct out *out = &decoder->out;
    size_t body = out->len;
    struct bytes name;
    struct json content;
    if (out_room(out, 1) == NULL) {
        return ERR_NOMEM;
    }
    while (json_next_member(&iter, &name, &content)) {
        if (json_type(content) == JSON_NULL) {
            continue; /* DynamoDB takes null for absent */
        }
        if (name.len == 0) {
            return refuse(decoder, ITEM_REFUSED_VALIDATION, "Empty attribute name");
        }
        if (name.len > ITEM_NAME_MAX) {
            return refuse(decoder, ITEM_REFUSED_VALIDATION, ITEM_NAME_TOO_LARGE);
        }
        struct part part = {.start = out->len, .name_len = name.len, .order = parts.count};
        TRY(out_varint(out, name.len));
        part.name_at = out->len;
        TRY(out_add(out, name));
        TRY(decode_value(decoder, content, depth));
        part.len = out->len - part.start;
        if (parts.count > 0 &&
            bytes_compare(part_name(out, &parts.all[parts.count - 1]), name) >= 0) {
            parts.ordered = false;
        }
        TRY(parts_add(decoder, &parts, part));
    }
    return parts.ordered ? OK : parts_order(decoder, &parts, body, true);
}

/* Its room is not cleared: that would cost more than reading a small item. */
static void parts_init(struct parts *parts)
{
    parts->all = parts->first;
    parts->count = 0;
    parts->cap = PARTS_FIRST;
    parts->ordered = true;
}

static enum err parts_add(struct decoder *decoder, struct parts *parts, struct part part)
{
    if (parts->count == parts->cap) {
        struct part *grown = arena_alloc(decoder->out.arena, parts->cap * 2 * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        memcpy(grown, parts->all, parts->count * sizeof(*grown));
        parts->all = grown;
        parts->cap *= 2;
    }
    parts->all[parts->count++] = part;
    return OK;
}

static int part_order(const void *left, const void *right, void *arg)
{
    const struct part *a = left;
    const struct part *b = right;
    const struct out *out = arg;
    int order = bytes_compare(part_name(out, a), part_name(out, b));
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Rewrites [body, end) with its parts in order. Of equal names the last stays (members), for sets
 * there are none. */
static enum err parts_order(struct decoder *decoder, struct parts *parts, size_t body,
                            bool keep_last)
{
    struct out *out = &decoder->out;
    size_t len = out->len - body;
    uint8_t *sorted = arena_alloc(out->arena, len);
    size_t at = 0;
    if (sorted == NULL) {
        return ERR_NOMEM;
    }
    qsort_r(parts->all, parts->count, sizeof(parts->all[0]), part_order, out);
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->all[i];
        if (keep_last && i + 1 < parts->count &&
            bytes_equal(part_name(out, part), part_name(out, part + 1))) {
            continue;
        }
        memcpy(sorted + at, out->ptr + part->start, part->len);
        at += part->len;
    }
    memcpy(out->ptr + body, sorted, at);
    out->len = body + at;
    return OK;
}

static enum value_tag tag_of(struct bytes name)
{
    if (name.len == 1) {
        switch (name.ptr[0]) {
        case 'S':
            return VALUE_S;
        case 'N':
            return VALUE_N;
        case 'B':
            return VALUE_B;
        case 'L':
            return VALUE_L;
        case 'M':
            return VALUE_M;
        default:
            return (enum value_tag)0;
        }
    }
    if (name.len == 2 && name.ptr[1] == 'S') {
        return name.ptr[0] == 'S'   ? VALUE_SS
               : name.ptr[0] == 'N' ? VALUE_NS
               : name.ptr[0] == 'B' ? VALUE_BS
                                    : (enum value_tag)0;
    }
    return bytes_equal(name, BYTES("BOOL"))   ? VALUE_TRUE
           : bytes_equal(name, BYTES("NULL")) ? VALUE_NULL
                                              : (enum value_tag)0;
}

static enum err decode_value(struct decoder *decoder, struct json object, unsigned depth)
{
    struct json_iter iter;
    struct bytes name;
    struct json content;
    struct json given = object;
    enum value_tag tag = (enum value_tag)0;
    unsigned count = 0;
    if (json_type(object) != JSON_OBJECT) {
        return refuse_type(decoder, EXPECT_STRUCT, object, JAVA_VALUE);
    }
    iter = json_iter_of(object);
    while (json_next_member(&iter, &name, &content)) {
        if (tag_of(name) != 0 && json_type(content) != JSON_NULL) {
            tag = tag_of(name);
            given = content;
            count++;
        }
    }
    if (count == 0) {
        return refuse(decoder, ITEM_REFUSED_BARE,
                      "Supplied AttributeValue is empty, must contain exactly one of the supported "
                      "datatypes");
    }
    return count == 1 ? decode_typed(decoder, tag, given, depth)
                      : refuse_many(decoder, object, depth);
}

/* A value of several types: each is checked before their number is. What cannot be read is told at
 * once, the rest in DynamoDB's order. */
static enum err refuse_many(struct decoder *decoder, struct json object, unsigned depth)
{
    struct json_iter iter = json_iter_of(object);
    struct item_fault first = {.wrong = ITEM_WRONG_OTHER};
    size_t start = decoder->out.len;
    bool refused = false;
    struct bytes name;
    struct json content;
    *decoder->old_form = true;
    while (json_next_member(&iter, &name, &content)) {
        enum value_tag tag = tag_of(name);
        if (tag == 0 || json_type(content) == JSON_NULL) {
            continue;
        }
        decoder->out.len = start;
        enum err err = decode_typed(decoder, tag, content, depth);
        if (err == ERR_FAULT && decoder->fault->kind != ITEM_REFUSED_SERIALIZATION) {
            if (!refused || decoder->fault->wrong < first.wrong) {
                first = *decoder->fault;
            }
            refused = true;
        } else if (err != OK) {
            return err;
        }
    }
    if (refused) {
        *decoder->fault = first;
        return ERR_FAULT;
    }
    return refuse(decoder, ITEM_REFUSED_BARE,
                  "Supplied AttributeValue has more than one datatypes set, must contain exactly "
                  "one of the supported datatypes");
}

static enum err decode_typed(struct decoder *decoder, enum value_tag tag, struct json content,
                             unsigned depth)
{
    struct out *out = &decoder->out;
    uint8_t byte = (uint8_t)tag;
    bool truth = false;
    struct json_iter iter;
    struct json element;
    if (tag <= VALUE_B) {
        return decode_scalar(decoder, tag, content);
    }
    if (tag >= VALUE_SS) {
        return decode_set(decoder, tag, content);
    }
    if (tag == VALUE_TRUE || tag == VALUE_NULL) {
        TRY(decode_bool(decoder, content, &truth));
        if (tag == VALUE_NULL && !truth) {
            (void)refuse(decoder, ITEM_REFUSED_VALIDATION,
                         PARAMETERS "Null attribute value types must have the value of true");
            decoder->fault->wrong = ITEM_WRONG_NULL;
            return ERR_FAULT;
        }
        byte = (uint8_t)(tag == VALUE_NULL ? VALUE_NULL : truth ? VALUE_TRUE : VALUE_FALSE);
        return out_add(out, bytes_of(&byte, 1));
    }
    if (tag == VALUE_L && json_type(content) != JSON_ARRAY) {
        return refuse_type(decoder, EXPECT_LIST, content, "");
    }
    if (tag == VALUE_M && json_type(content) != JSON_OBJECT) {
        return refuse_type(decoder, EXPECT_MAP, content, JAVA_MAP);
    }
    if (depth >= decoder->wraps_max) {
        begin_fault(decoder, ITEM_REFUSED_DEPTH, ITEM_WRONG_OTHER);
        decoder->fault->depth = depth + 1 + json_wraps(content, SCAN_DEPTH);
        snprintf(decoder->fault->text, sizeof(decoder->fault->text),
                 "Nesting Levels have exceeded supported limits: Attributes in the item have "
                 "nested levels beyond "
                 "supported limit");
        return ERR_FAULT;
    }
    TRY(out_add(out, bytes_of(&byte, 1)));
    size_t body = out->len;
    if (tag == VALUE_M) {
        TRY(decode_members(decoder, content, depth + 1));
        return out_close(out, body);
    }
    iter = json_iter_of(content);
    while (json_next(&iter, &element)) {
        if (json_type(element) != JSON_OBJECT) {
            return refuse(decoder, ITEM_REFUSED_SERIALIZATION, "Unexpected value type in payload");
        }
        TRY(decode_value(decoder, element, depth + 1));
    }
    return out_close(out, body);
}

/* How many containers are inside, at most limit: for the depth a refusal reports. */
static unsigned json_wraps(struct json content, unsigned limit)
{
    struct json_iter iter = json_iter_of(content);
    bool list = json_type(content) == JSON_ARRAY;
    unsigned most = 0;
    struct bytes name;
    struct json value;
    while (limit > 0 &&
           (list ? json_next(&iter, &value) : json_next_member(&iter, &name, &value))) {
        struct json inner;
        if (json_type(value) != JSON_OBJECT) {
            continue;
        }
        bool wraps = (json_member(value, BYTES("L"), &inner) && json_type(inner) == JSON_ARRAY) ||
                     (json_member(value, BYTES("M"), &inner) && json_type(inner) == JSON_OBJECT);
        unsigned depth = wraps ? 1 + json_wraps(inner, limit - 1) : 0;
        most = depth > most ? depth : most;
    }
    return most;
}

/* Is there a BOOL or NULL written as text, or a value of two types, anywhere in a map or list? */
static bool has_old_form(struct json container, bool map, unsigned limit)
{
    struct json_iter iter = json_iter_of(container);
    struct bytes name;
    struct json value;
    while (limit > 0 && (map ? json_next_member(&iter, &name, &value) : json_next(&iter, &value))) {
        unsigned types = 0;
        if (json_type(value) != JSON_OBJECT) {
            continue;
        }
        struct json_iter inner = json_iter_of(value);
        struct json content;
        while (json_next_member(&inner, &name, &content)) {
            enum value_tag tag = tag_of(name);
            enum json_type type = json_type(content);
            types += tag != 0 && type != JSON_NULL ? 1 : 0;
            bool word = (tag == VALUE_TRUE || tag == VALUE_NULL) && type == JSON_STRING;
            bool below =
                (tag == VALUE_M && type == JSON_OBJECT) || (tag == VALUE_L && type == JSON_ARRAY);
            if (word || (below && has_old_form(content, tag == VALUE_M, limit - 1))) {
                return true;
            }
        }
        if (types > 1) {
            return true;
        }
    }
    return false;
}

static enum err refuse_number(struct decoder *decoder, enum number_refusal refusal,
                              struct bytes text)
{
    struct item_fault *fault = decoder->fault;
    begin_fault(decoder, ITEM_REFUSED_VALIDATION, ITEM_WRONG_NUMBER);
    number_refusal_text(refusal, text, fault->text, sizeof(fault->text));
    number_refusal_old_text(refusal, text, fault->old_text, sizeof(fault->old_text));
    return ERR_FAULT;
}

static enum err decode_scalar(struct decoder *decoder, enum value_tag tag, struct json content)
{
    if (json_type(content) != JSON_STRING) {
        return refuse_type(decoder, EXPECT_STRING, content, "");
    }
    struct bytes text = json_string(content);
    if (tag == VALUE_S) {
        return out_value(&decoder->out, VALUE_S, text);
    }
    if (tag == VALUE_N) {
        uint8_t encoded[NUMBER_ENCODED_MAX];
        size_t len;
        enum number_refusal refusal = number_parse(text, encoded, &len);
        if (refusal != NUMBER_OK) {
            return refuse_number(decoder, refusal, text);
        }
        return out_value(&decoder->out, VALUE_N, bytes_of(encoded, len));
    }
    uint8_t *data = arena_alloc(decoder->out.arena, text.len / 4 * 3 + 3);
    size_t len;
    if (data == NULL) {
        return ERR_NOMEM;
    }
    if (base64_decode(text, data, &len) != OK) {
        return refuse(decoder, ITEM_REFUSED_SERIALIZATION, "Invalid Base64 data");
    }
    return out_value(&decoder->out, VALUE_B, bytes_of(data, len));
}

static bool same_word(struct bytes text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < len && text.len == len; i++) {
        if (tolower(text.ptr[i]) != word[i]) {
            return false;
        }
    }
    return text.len == len;
}

static enum err decode_bool(struct decoder *decoder, struct json content, bool *truth)
{
    static const char *const yes[] = {"true", "t", "yes", "y", "1"};
    static const char *const no[] = {"false", "f", "no", "n", "0"};
    enum json_type type = json_type(content);
    if (type == JSON_TRUE || type == JSON_FALSE) {
        *truth = type == JSON_TRUE;
        return OK;
    }
    for (size_t i = 0; type == JSON_STRING && i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (same_word(json_string(content), yes[i]) || same_word(json_string(content), no[i])) {
            *truth = same_word(json_string(content), yes[i]);
            *decoder->old_form = true;
            return OK;
        }
    }
    return refuse_type(decoder, EXPECT_BOOLEAN, content, "");
}

/* Elements of a set as sent. */
struct listed {
    struct bytes *texts;
    size_t count;
};

static int text_order(const void *left, const void *right)
{
    return bytes_compare(*(const struct bytes *)left, *(const struct bytes *)right);
}

static enum err list_texts(struct decoder *decoder, struct json content, struct listed *out)
{
    struct json_iter iter = json_iter_of(content);
    struct json element;
    *out = (struct listed){.count = 0};
    out->texts = arena_alloc(decoder->out.arena, (json_count(content) + 1) * sizeof(*out->texts));
    if (out->texts == NULL) {
        return ERR_NOMEM;
    }
    while (json_next(&iter, &element)) {
        out->texts[out->count++] = json_string(element);
    }
    return OK;
}

static void add_texts(struct buf *out, const struct listed *list, bool quoted, const char *between)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_add_cstr(out, i > 0 ? between : "");
        if (quoted) {
            json_add_string(out, list->texts[i]);
        } else {
            buf_add(out, list->texts[i]);
        }
    }
}

/* The newer words list strings in an order of their own: those before the first repeat sorted, the
 * repeat, the rest as sent. */
static enum err refuse_duplicates(struct decoder *decoder, enum value_tag tag, struct json content,
                                  size_t first_repeat)
{
    struct item_fault *fault = decoder->fault;
    struct listed list;
    struct buf shown;
    begin_fault(decoder, ITEM_REFUSED_VALIDATION, ITEM_WRONG_SET);
    if (tag == VALUE_NS) {
        snprintf(fault->text, sizeof(fault->text),
                 PARAMETERS "Input collection contains duplicates.");
        snprintf(fault->old_text, sizeof(fault->old_text), "Input collection contains duplicates");
        return ERR_FAULT;
    }
    TRY(list_texts(decoder, content, &list));
    buf_init(&shown, 1u << 20);
    if (tag == VALUE_BS) {
        add_texts(&shown, &list, true, ",");
        snprintf(fault->text, sizeof(fault->text),
                 PARAMETERS "Input collection [%.*s]of type BS contains duplicates.",
                 BYTES_FMT(buf_bytes(&shown)));
    } else {
        add_texts(&shown, &list, false, ", ");
        snprintf(fault->old_text, sizeof(fault->old_text),
                 PARAMETERS "Input collection [%.*s] contains duplicates.",
                 BYTES_FMT(buf_bytes(&shown)));
        buf_clear(&shown);
        qsort(list.texts, first_repeat, sizeof(list.texts[0]), text_order);
        add_texts(&shown, &list, true, ", ");
        snprintf(fault->text, sizeof(fault->text),
                 PARAMETERS "Input collection [%.*s] contains duplicates.",
                 BYTES_FMT(buf_bytes(&shown)));
    }
    buf_fini(&shown);
    return ERR_FAULT;
}

/* Where, as sent, the first element stands that was there before; the count: nowhere. Parts are in
 * order. */
static size_t first_repeat(const struct out *out, const struct parts *parts)
{
    size_t first = parts->count;
    for (size_t i = 1; i < parts->count; i++) {
        if (parts->all[i].order < first &&
            bytes_equal(part_name(out, &parts->all[i - 1]), part_name(out, &parts->all[i]))) {
            first = parts->all[i].order;
        }
    }
    return first;
}

static enum err decode_set(struct decoder *decoder, enum value_tag tag, struct json content)
{
    static const char *const empty[] = {"An string set  may not be empty",
                                        "An number set  may not be empty",
                                        "Binary sets should not be empty"};
    struct parts parts;
    parts_init(&parts);
    struct out *out = &decoder->out;
    struct json element;
    uint8_t byte = (uint8_t)tag;
    enum value_tag scalar = tag == VALUE_SS ? VALUE_S : tag == VALUE_NS ? VALUE_N : VALUE_B;
    if (json_type(content) != JSON_ARRAY) {
        return refuse_type(decoder, EXPECT_LIST, content, "");
    }
    struct json_iter iter = json_iter_of(content);
    TRY(out_add(out, bytes_of(&byte, 1)));
    size_t body = out->len;
    while (json_next(&iter, &element)) {
        struct part part = {.start = out->len, .order = parts.count};
        TRY(decode_scalar(decoder, scalar, element));
        /* A set's element has no tag: the scalar's is taken out again. */
        memmove(out->ptr + part.start, out->ptr + part.start + 1, out->len - part.start - 1);
        out->len--;
        struct cursor cursor = cursor_of(bytes_of(out->ptr + part.start, out->len - part.start));
        struct bytes data;
        if (!set_next(&cursor, &data)) {
            return ERR_NOMEM;
        }
        part.len = out->len - part.start;
        part.name_at = (size_t)(data.ptr - out->ptr);
        part.name_len = data.len;
        if (parts.count > 0 &&
            bytes_compare(part_name(out, &parts.all[parts.count - 1]), data) >= 0) {
            parts.ordered = false;
        }
        TRY(parts_add(decoder, &parts, part));
    }
    if (parts.count == 0) {
        (void)refuse(decoder, ITEM_REFUSED_VALIDATION, PARAMETERS "%s", empty[tag - VALUE_SS]);
        decoder->fault->wrong = ITEM_WRONG_SET;
        return ERR_FAULT;
    }
    if (!parts.ordered) {
        qsort_r(parts.all, parts.count, sizeof(parts.all[0]), part_order, out);
        size_t repeat = first_repeat(out, &parts);
        if (repeat < parts.count) {
            return refuse_duplicates(decoder, tag, content, repeat);
        }
        TRY(parts_order(decoder, &parts, body, false));
    }
    return out_close(out, body);
}
