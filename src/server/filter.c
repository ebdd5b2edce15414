/* Which records of a stream are printed: by the kind of event, and by a condition over the item,
 * with the words and the meaning of a FilterExpression. */
#include "server/filter.h"

#include <stdio.h>

static bool read_events(struct filter *filter, const char *text);
static bool read_condition(struct filter *filter, const struct filter_texts *texts);
static bool read_map(struct filter *filter, const char *text, const char *said, struct bytes *item);

static const char *const event_names[] = {"INSERT", "MODIFY", "REMOVE"};
#define EVENT_COUNT (sizeof(event_names) / sizeof(event_names[0]))

bool filter_open(struct filter *filter, const struct filter_texts *texts)
{
    arena_init(&filter->held, 0);
    arena_init(&filter->record, 0);
    filter->parser = json_parser_new();
    filter->cache = expr_cache_new();
    bool alone = texts->condition[0] == 0 && (texts->names[0] != 0 || texts->values[0] != 0);
    if (alone) {
        fprintf(stderr, "headwater: --names and --values are for --filter, which is not given\n");
    }
    return !alone && read_events(filter, texts->events) &&
           (texts->condition[0] == 0 || read_condition(filter, texts));
}

void filter_fini(struct filter *filter)
{
    arena_fini(&filter->held);
    arena_fini(&filter->record);
    json_parser_free(filter->parser);
    expr_cache_free(filter->cache);
}

static bool read_events(struct filter *filter, const char *text)
{
    struct bytes rest = bytes_cstr(text);
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
        struct bytes name =
            bytes_of(rest.ptr, comma == NULL ? rest.len : (size_t)(comma - rest.ptr));
        size_t event = 0;
        while (event < EVENT_COUNT && !bytes_equal(name, bytes_cstr(event_names[event]))) {
            event++;
        }
        if (event == EVENT_COUNT) {
            fprintf(stderr,
                    "headwater: --events is '%s': it must be INSERT, MODIFY and REMOVE, or some of "
                    "them, with commas between\n",
                    text);
            return false;
        }
        filter->events |= 1u << event;
        rest =
            bytes_of(rest.ptr + name.len + (comma != NULL), rest.len - name.len - (comma != NULL));
    }
    return true;
}

static bool read_condition(struct filter *filter, const struct filter_texts *texts)
{
    struct bytes names = BYTES_NONE;
    struct bytes values = BYTES_NONE;
    struct expr_fault fault = {0};
    if (!read_map(filter, texts->names, "--names", &names) ||
        !read_map(filter, texts->values, "--values", &values)) {
        return false;
    }
    enum err err = expr_compile(filter->cache, EXPR_FILTER, bytes_cstr(texts->condition),
                                &filter->condition, &fault);
    err = err != OK ? err
                    : expr_binding_init(&filter->binding, &filter->held, names,
                                        texts->names[0] != 0, values, texts->values[0] != 0);
    err = err != OK ? err : expr_check(filter->condition, &filter->binding, &filter->held, &fault);
    err = err != OK ? err : expr_check_unused(&filter->binding, &fault);
    if (err != OK) {
        fprintf(stderr, "headwater: --filter: %s\n",
                fault.text[0] != 0 ? fault.text : err_text(err));
    }
    return err == OK;
}

/* Names are plain strings in JSON and items with S values inside; values are DynamoDB's JSON. */
static bool read_map(struct filter *filter, const char *text, const char *said, struct bytes *item)
{
    struct json object;
    struct item_build build;
    struct item_reading reading = {0};
    enum err err = ERR_INVALID;
    if (text[0] == 0) {
        return true;
    }
    item_build_init(&build, &filter->held);
    bool read = json_parse(filter->parser, bytes_cstr(text), &object) == OK &&
                json_type(object) == JSON_OBJECT;
    if (read && strcmp(said, "--values") == 0) {
        err = item_from_json(object, &filter->held, item, &reading);
    } else if (read) {
        struct json_iter iter = json_iter_of(object);
        struct json value;
        struct bytes name;
        while (read && json_next_member(&iter, &name, &value)) {
            read = json_type(value) == JSON_STRING;
            if (read) {
                item_build_s(&build, arena_dup(&filter->held, name),
                             arena_dup(&filter->held, json_string(value)));
            }
        }
        err = read ? item_build_end(&build, item) : err;
    }
    if (err != OK) {
        fprintf(stderr, "headwater: %s is not %s: %s%s%s\n", said,
                strcmp(said, "--values") == 0 ? "a JSON object of values such as {\"S\": \"a\"}"
                                              : "a JSON object of strings",
                text, reading.fault.text[0] != 0 ? ": " : "", reading.fault.text);
    }
    return err == OK;
}

static bool item_of(struct filter *filter, struct json record, struct bytes *item)
{
    static const char *const images[] = {"NewImage", "OldImage", "Keys"};
    struct item_reading reading = {0};
    struct json change;
    struct json image;
    if (!json_member(record, BYTES("dynamodb"), &change) || json_type(change) != JSON_OBJECT) {
        return false;
    }
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (json_member(change, bytes_cstr(images[i]), &image) && json_type(image) == JSON_OBJECT) {
            return item_from_json(image, &filter->record, item, &reading) == OK;
        }
    }
    return false;
}

bool filter_takes(struct filter *filter, struct json record)
{
    struct json name;
    struct bytes item;
    struct expr_fault fault = {0};
    bool taken = filter->events == 0;
    if (json_type(record) != JSON_OBJECT) {
        return false;
    }
    if (json_member(record, BYTES("eventName"), &name) && json_type(name) == JSON_STRING) {
        for (size_t event = 0; event < EVENT_COUNT; event++) {
            taken |= (filter->events & 1u << event) != 0 &&
                     bytes_equal(json_string(name), bytes_cstr(event_names[event]));
        }
    }
    if (!taken || filter->condition == NULL) {
        return taken;
    }
    arena_reset(&filter->record);
    enum err err = item_of(filter, record, &item) ? OK : ERR_INVALID;
    err = err != OK ? err
                    : expr_test(filter->condition, &filter->binding, item, &filter->record, &taken,
                                &fault);
    if (err != OK) {
        filter->failed = true;
        fprintf(stderr, "headwater: --filter: %s\n",
                fault.text[0] != 0 ? fault.text : "a record holds no item that can be read");
    }
    return err == OK && taken;
}
