/* Tags of tables: see tags.h. */
#include "op/tags.h"

#define RETENTION_MS_MAX ((uint64_t)36525 * 86400000) /* 100 years */

static bool parse_period(struct bytes text, uint64_t *ms);

enum err check_resource_arn(struct op_call *call, struct bytes arn)
{
    static const struct bytes mark = BYTES_INIT(":table/");
    const uint8_t *at = memmem(arn.ptr, arn.len, mark.ptr, mark.len);
    size_t from = at == NULL ? arn.len : (size_t)(at - arn.ptr) + mark.len;
    struct bytes name = bytes_of(arn.ptr + from, arn.len - from);
    if (!bytes_start_with(arn, BYTES("arn:")) || name.len == 0 ||
        memchr(name.ptr, '/', name.len) != NULL) {
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

/* "The aws: prefix is reserved for AWS use", Amazon DynamoDB Developer Guide, Tagging. */
enum err check_tags(struct op_call *call, const struct table_tag *tags, size_t count)
{
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        if (bytes_start_with(tags[i].key, BYTES("aws:"))) {
            return fault(call, FAULT_VALIDATION,
                         INVALID_VALUES "Tag keys that begin with aws: are reserved: %.*s",
                         BYTES_FMT(tags[i].key));
        }
    }
    return OK;
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
        return fault(call, FAULT_VALIDATION,
                     "Number of Tags exceed the current limit for the provided ResourceArn");
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
        *age_ms = *age_ms == 0 ? store_age_ms(reader->store) : *age_ms;
        update.age_ms = *age_ms;
        update.set_retention = true;
    }
    return change_update_table(reader, changes, table, &update, &made);
}
