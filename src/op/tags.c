/* Tags of tables: see tags.h. */
#include "op/tags.h"

#include <ctype.h>

#define RETENTION_MS_MAX ((uint64_t)36525 * 86400000) /* 100 years */

#define TEXT_TOO_MANY "Number of Tags exceed the current limit for the provided ResourceArn"

static enum err check_tag_key(struct op_call *call, struct bytes key);
static bool is_tag_text(struct bytes text, size_t characters_max);
static bool is_tag_character(uint32_t character);
static uint32_t next_character(struct bytes *text);
static bool parse_period(struct bytes text, uint64_t *ms);

enum err check_resource_arn(struct op_call *call, struct bytes arn)
{
    static const struct bytes mark = BYTES_INIT(":table/");
    const uint8_t *at = memmem(arn.ptr, arn.len, mark.ptr, mark.len);
    size_t from = at == NULL ? arn.len : (size_t)(at - arn.ptr) + mark.len;
    struct bytes name = bytes_of(arn.ptr + from, arn.len - from);
    if (!bytes_start_with(arn, BYTES("arn:"))) {
        return fault(call, FAULT_VALIDATION, INVALID_VALUES "ARNs must start with 'arn:': %.*s",
                     BYTES_FMT(arn));
    }
    if (memmem(arn.ptr, arn.len, "/index/", 7) != NULL) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Invalid resource arn provided, only table or stream is "
                                    "accepted. Provided resource arn: %.*s",
                     BYTES_FMT(arn));
    }
    if (name.len == 0 || memchr(name.ptr, '/', name.len) != NULL) {
        return fault(call, FAULT_VALIDATION,
                     "Invalid TableArn: Invalid ResourceArn provided as input %.*s",
                     BYTES_FMT(arn));
    }
    return OK;
}

enum err lookup_resource(struct op_call *call, struct reader *reader, struct bytes arn,
                         const struct table **table)
{
    *table = reader_table(reader, arn);
    if (*table == NULL) {
        return fault(call, FAULT_NOT_FOUND,
                     "Requested resource not found: ResourcArn: %.*s not found", BYTES_FMT(arn));
    }
    if ((*table)->reserved) {
        return fault(call, FAULT_VALIDATION,
                     "Tables named " RESERVED_PREFIX
                     "* belong to the server and cannot be changed");
    }
    return OK;
}

enum err check_tags(struct op_call *call, const struct table_tag *tags, size_t count)
{
    if (count > TAGS_MAX) {
        return fault(call, FAULT_VALIDATION, TEXT_TOO_MANY);
    }
    for (size_t i = 0; i < count; i++) {
        struct bytes value = tags[i].value;
        TRY(check_tag_key(call, tags[i].key));
        if (value.ptr == NULL || !is_tag_text(value, TAG_VALUE_MAX)) {
            return fault(call, FAULT_VALIDATION, "The Tag Value provided is invalid, Value: %.*s",
                         BYTES_FMT(value.ptr == NULL ? BYTES("null") : value));
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (bytes_equal(tags[i].key, tags[j].key)) {
                return fault(call, FAULT_VALIDATION,
                             "Duplicate Tag Keys provided as input: Duplicate Tag Key found %.*s",
                             BYTES_FMT(tags[i].key));
            }
        }
    }
    return OK;
}

enum err check_tag_keys(struct op_call *call, const struct bytes *keys, size_t count)
{
    if (count > TAGS_MAX) {
        return fault(call, FAULT_VALIDATION, TEXT_TOO_MANY);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(check_tag_key(call, keys[i]));
    }
    return OK;
}

/* "The aws: prefix is reserved for AWS use", Amazon DynamoDB Developer Guide, Tagging. */
static enum err check_tag_key(struct op_call *call, struct bytes key)
{
    if (key.len == 0 || !is_tag_text(key, TAG_KEY_MAX)) {
        return fault(call, FAULT_VALIDATION, "The Tag Key provided is invalid, Key: %.*s",
                     BYTES_FMT(key.ptr == NULL ? BYTES("null") : key));
    }
    if (bytes_start_with(key, BYTES("aws:"))) {
        return fault(call, FAULT_VALIDATION, "Tag Key cannot be prefixed with aws:, Key: %.*s",
                     BYTES_FMT(key));
    }
    return OK;
}

static bool is_tag_text(struct bytes text, size_t characters_max)
{
    size_t count = 0;
    for (; text.len > 0; count++) {
        if (count == characters_max || !is_tag_character(next_character(&text))) {
            return false;
        }
    }
    return true;
}

/* "Letters, white space, and numbers, plus the special characters + - = . _ : /" (the guide) and @.
 * Beyond ASCII these are the blocks that hold symbols and nothing else; all others pass. */
static bool is_tag_character(uint32_t character)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } symbols[] = {{0x80, 0x9f},       {0xa1, 0xa9},       {0xab, 0xb1},       {0xb4, 0xb4},
                   {0xb6, 0xb8},       {0xbb, 0xbb},       {0xbf, 0xbf},       {0xd7, 0xd7},
                   {0xf7, 0xf7},       {0x200b, 0x2027},   {0x202a, 0x202e},   {0x2030, 0x205e},
                   {0x20a0, 0x20ff},   {0x2190, 0x245f},   {0x2500, 0x2775},   {0x2794, 0x2bff},
                   {0x3001, 0x3004},   {0xe000, 0xf8ff},   {0xfe00, 0xfe6f},   {0xfff0, 0xffff},
                   {0x1f000, 0x1f0ff}, {0x1f110, 0x1faff}, {0xe0000, 0x10ffff}};
    if (character < 0x80) {
        return isalnum((int)character) ||
               (character != 0 && strchr(" +-=._:/@", (int)character) != NULL);
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        if (character >= symbols[i].first && character <= symbols[i].last) {
            return false;
        }
    }
    return true;
}

/* Takes a character off text that is UTF-8. */
static uint32_t next_character(struct bytes *text)
{
    uint8_t lead = text->ptr[0];
    size_t more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t character = more == 0 ? lead : lead & (0x3fu >> more);
    size_t at = 1;
    for (; at <= more && at < text->len; at++) {
        character = character << 6 | (text->ptr[at] & 0x3fu);
    }
    *text = bytes_of(text->ptr + at, text->len - at);
    return character;
}

enum err tags_add(struct op_call *call, struct bytes before, const struct table_tag *tags,
                  size_t count, struct bytes *after)
{
    struct item_build build;
    struct cursor cursor = cursor_of(before);
    struct bytes name;
    struct value value;
    item_build_init(&build, call->arena);
    while (item_next(&cursor, &name, &value)) {
        item_build_value(&build, name, value);
    }
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        item_build_s(&build, tags[i].key, tags[i].value);
    }
    TRY(item_build_end(&build, after));
    if (count > LIST_DECODED_MAX || item_count(*after) > TAGS_MAX) {
        return fault(call, FAULT_VALIDATION, TEXT_TOO_MANY);
    }
    return OK;
}

enum err tags_retention(struct op_call *call, struct bytes tags, uint64_t *retention_ms)
{
    struct value value;
    if (!item_get(tags, BYTES(TAG_RETENTION), &value)) {
        *retention_ms = 0;
        return OK;
    }
    if (bytes_equal(value.body, BYTES("forever"))) {
        *retention_ms = RETENTION_FOREVER;
        return OK;
    }
    if (!parse_period(value.body, retention_ms)) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "The tag " TAG_RETENTION " takes minutes, hours or days (90m, "
                                    "12h, 7d), up to 100 years, or forever: %.*s",
                     BYTES_FMT(value.body));
    }
    return OK;
}

static bool parse_period(struct bytes text, uint64_t *ms)
{
    static const struct {
        uint8_t letter;
        uint64_t ms;
    } units[] = {{'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    uint64_t number = 0;
    if (text.len < 2 || text.len > 9) {
        return false;
    }
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text.ptr[text.len - 1] == units[i].letter && number > 0 &&
            number <= RETENTION_MS_MAX / units[i].ms) {
            *ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

enum err tags_change(struct op_call *call, struct reader *reader, struct changes *changes,
                     const struct table *table, struct bytes tags, uint64_t *age_ms)
{
    struct table_settings settings;
    struct table_update update = {0};
    const struct table *made;
    settings_decode(table->settings, &settings);
    if (bytes_equal(settings.tags, tags)) {
        return OK;
    }
    settings.tags = tags;
    TRY(settings_encode(&settings, call->arena, &update.settings));
    TRY(tags_retention(call, tags, &update.retention_ms));
    if (update.retention_ms != table->retention_ms) {
        *age_ms = *age_ms == 0 ? store_hiding_ms(reader->store) : *age_ms;
        update.age_ms = *age_ms;
        update.set_retention = true;
    }
    return change_update_table(reader, changes, table, &update, &made);
}
