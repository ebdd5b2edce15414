/* `headwater item get|put|delete|query|scan`: the items of a table, on a server of this machine or
 * any endpoint. Items are DynamoDB's JSON, as the AWS CLI has them. */
#include "server/remote.h"
#include "server/server.h"
#include "server/show.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX (16u << 20)

struct item_command {
    struct remote remote;
    const char *words[3]; /* what to do; the table; a key or an item, or where it is read */
    struct buf input;     /* what was read there */
    const char *condition;
    const char *key; /* of a query */
    const char *filter;
    const char *names;
    const char *values;
    const char *limit;
    const char *from; /* "end": backwards */
    uint64_t most;    /* items to print; 0: all */
    uint64_t printed;
    const char *keys[2];
    char key_texts[2][256];
    size_t key_count;
};

enum verb { VERB_GET, VERB_PUT, VERB_DELETE, VERB_QUERY, VERB_SCAN, VERB_COUNT };

static const struct {
    const char *name;
    const char *target;
    const char *third; /* what the third word is; NULL: there is none */
    const char *takes; /* its own options */
} verbs[VERB_COUNT] = {
    [VERB_GET] = {"get", REMOTE_DYNAMODB "GetItem", "Key", ""},
    [VERB_PUT] = {"put", REMOTE_DYNAMODB "PutItem", "Item", "--if --names --values"},
    [VERB_DELETE] = {"delete", REMOTE_DYNAMODB "DeleteItem", "Key", "--if --names --values"},
    [VERB_QUERY] = {"query", REMOTE_DYNAMODB "Query", NULL,
                    "--key --filter --names --values --limit --from"},
    [VERB_SCAN] = {"scan", REMOTE_DYNAMODB "Scan", NULL, "--filter --names --values --limit"},
};

static bool read_arguments(struct item_command *command, int argc, char **argv, enum verb *verb);
static bool build_body(struct item_command *command, enum verb verb, struct json *start);
static int run_once(struct item_command *command, enum verb verb);
static int run_pages(struct item_command *command, enum verb verb);
static void find_keys(struct item_command *command);

int command_item(int argc, char **argv)
{
    struct item_command command = {.condition = "",
                                   .key = "",
                                   .filter = "",
                                   .names = "",
                                   .values = "",
                                   .limit = "0",
                                   .from = "start"};
    enum verb verb = VERB_COUNT;
    int status = EXIT_USAGE;
    remote_init(&command.remote);
    buf_init(&command.input, INPUT_BYTES_MAX);
    if (read_arguments(&command, argc, argv, &verb)) {
        process_ignore_broken_pipe();
        status = EXIT_FAILED;
        if (remote_open(&command.remote)) {
            status =
                verbs[verb].third != NULL ? run_once(&command, verb) : run_pages(&command, verb);
        }
    }
    if (status == EXIT_USAGE) {
        fprintf(stderr, "Try: headwater item --help\n");
    }
    buf_fini(&command.input);
    remote_fini(&command.remote);
    return status;
}

static bool read_arguments(struct item_command *command, int argc, char **argv, enum verb *verb)
{
    const struct word words[] = {{"--if", &command->condition},  {"--key", &command->key},
                                 {"--filter", &command->filter}, {"--names", &command->names},
                                 {"--values", &command->values}, {"--limit", &command->limit},
                                 {"--from", &command->from}};
    const char *defaults[sizeof(words) / sizeof(words[0])];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        defaults[i] = *words[i].place;
    }
    if (!remote_arguments(&command->remote, "item", argc, argv, words,
                          sizeof(words) / sizeof(words[0]), command->words, 3)) {
        return false;
    }
    *verb = 0;
    while (*verb < VERB_COUNT &&
           (command->words[0] == NULL || strcmp(command->words[0], verbs[*verb].name) != 0)) {
        *verb = (enum verb)(*verb + 1);
    }
    if (*verb == VERB_COUNT) {
        fprintf(stderr, "headwater: item can get, put, delete, query and scan\n");
        return false;
    }
    const char *third = verbs[*verb].third;
    if (command->words[1] == NULL || (third != NULL) != (command->words[2] != NULL)) {
        fprintf(stderr, "headwater: item %s needs a table's name%s%s\n", verbs[*verb].name,
                third == NULL               ? " alone"
                : strcmp(third, "Key") == 0 ? " and a key"
                                            : " and an item",
                third == NULL ? "" : ", as JSON");
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (*words[i].place != defaults[i] && strstr(verbs[*verb].takes, words[i].name) == NULL) {
            fprintf(stderr, "headwater: item %s takes no %s\n", verbs[*verb].name, words[i].name);
            return false;
        }
    }
    char *end = NULL;
    command->most = strtoull(command->limit, &end, 10);
    if (command->limit[0] < '0' || command->limit[0] > '9' || *end != 0) {
        fprintf(stderr, "headwater: --limit is '%s': it must be a number\n", command->limit);
        return false;
    }
    if (strcmp(command->from, "start") != 0 && strcmp(command->from, "end") != 0) {
        fprintf(stderr, "headwater: --from is '%s': it must be start or end\n", command->from);
        return false;
    }
    return true;
}

/* A member whose text is JSON already; false: it is not, and that was said. word: what was given.
 */
static bool add_json(struct item_command *command, const char *name, struct bytes text,
                     const char *said, const char *word)
{
    struct json value;
    if (json_parse(command->remote.parser, text, &value) != OK || json_type(value) != JSON_OBJECT) {
        fprintf(stderr, "headwater: %s is not a JSON object: %s\n", said, word);
        return false;
    }
    buf_printf(&command->remote.body, ",\"%s\":", name);
    buf_add(&command->remote.body, text);
    return true;
}

static bool add_word(struct item_command *command, const char *name, const char *word,
                     const char *said)
{
    return add_json(command, name, bytes_cstr(word), said, word);
}

/* The key or the item: itself, @ and a file, or - for standard input. */
static bool add_third(struct item_command *command, enum verb verb)
{
    const char *word = command->words[2];
    const char *said = verb == VERB_PUT ? "the item" : "the key";
    bool input = strcmp(word, "-") == 0;
    if (!input && word[0] != '@') {
        return add_word(command, verbs[verb].third, word, said);
    }
    if (file_read_stream(input ? word : word + 1, &command->input) != OK) {
        fprintf(stderr, "headwater: cannot read %s from %s, or it is longer than %u MB\n", said,
                input ? "standard input" : word + 1, INPUT_BYTES_MAX >> 20);
        return false;
    }
    return add_json(command, verbs[verb].third, buf_bytes(&command->input), said, word);
}

static void add_text(struct item_command *command, const char *name, const char *text)
{
    if (text[0] != 0) {
        buf_printf(&command->remote.body, ",\"%s\":", name);
        json_add_string(&command->remote.body, bytes_cstr(text));
    }
}

/* start: where a page begins; NULL at the first. */
static bool build_body(struct item_command *command, enum verb verb, struct json *start)
{
    struct buf *body = &command->remote.body;
    struct buf place;
    buf_init(&place, 65536);
    if (start != NULL) { /* it lies in the answer, and the parser is needed for what follows */
        json_add_value(&place, *start);
    }
    remote_body(&command->remote, "{\"TableName\":?", &command->words[1]);
    if (place.len > 0) {
        buf_add_cstr(body, ",\"ExclusiveStartKey\":");
        buf_add(body, buf_bytes(&place));
    }
    buf_fini(&place);
    if (verbs[verb].third != NULL && !add_third(command, verb)) {
        return false;
    }
    if ((command->names[0] != 0 &&
         !add_word(command, "ExpressionAttributeNames", command->names, "--names")) ||
        (command->values[0] != 0 &&
         !add_word(command, "ExpressionAttributeValues", command->values, "--values"))) {
        return false;
    }
    add_text(command, "ConditionExpression", command->condition);
    add_text(command, "KeyConditionExpression", command->key);
    add_text(command, "FilterExpression", command->filter);
    if (verb == VERB_QUERY && strcmp(command->from, "end") == 0) {
        buf_add_cstr(body, ",\"ScanIndexForward\":false");
    }
    if (command->most > 0 && command->filter[0] == 0 && verbs[verb].third == NULL) {
        uint64_t left = command->most - command->printed;
        buf_printf(body, ",\"Limit\":%llu", (unsigned long long)(left < 1000 ? left : 1000));
    }
    buf_add_byte(body, '}');
    return true;
}

static int run_once(struct item_command *command, enum verb verb)
{
    struct remote *remote = &command->remote;
    struct json answer;
    struct json item;
    if (!build_body(command, verb, NULL)) {
        return EXIT_USAGE;
    }
    if (remote_call(remote, verbs[verb].target, &answer) != CALL_ANSWERED) {
        return remote_refused(remote, command->words[1]);
    }
    if (verb != VERB_GET) {
        return EXIT_CLEAN;
    }
    if (!json_member(answer, BYTES("Item"), &item) || json_type(item) != JSON_OBJECT) {
        fprintf(stderr, "headwater: the table %s has no item of that key\n", command->words[1]);
        return EXIT_FAILED;
    }
    return show_item(item) ? EXIT_CLEAN : EXIT_FAILED;
}

static int run_pages(struct item_command *command, enum verb verb)
{
    struct remote *remote = &command->remote;
    struct json answer;
    struct json items;
    struct json start;
    bool more = false;
    if (process_terminal_columns() > 0) {
        find_keys(command);
    }
    do {
        if (!build_body(command, verb, more ? &start : NULL)) {
            return EXIT_USAGE;
        }
        if (remote_call(remote, verbs[verb].target, &answer) != CALL_ANSWERED ||
            !json_member(answer, BYTES("Items"), &items) || json_type(items) != JSON_ARRAY) {
            return remote_refused(remote, command->words[1]);
        }
        uint64_t left = command->most > 0 ? command->most - command->printed : UINT64_MAX;
        uint64_t count = json_count(items);
        if (!show_items(&remote->arena, items, (size_t)(left < count ? left : count), command->keys,
                        command->key_count)) {
            return EXIT_FAILED;
        }
        command->printed += left < count ? left : count;
        more = json_member(answer, BYTES("LastEvaluatedKey"), &start);
    } while (more && process_output_is_open() &&
             (command->most == 0 || command->printed < command->most));
    return EXIT_CLEAN;
}

/* The key's attributes come first on a terminal. Without them the order is that of the items. */
static void find_keys(struct item_command *command)
{
    struct json answer;
    struct json part;
    struct json key;
    remote_body(&command->remote, "{\"TableName\":?}", &command->words[1]);
    if (remote_call(&command->remote, REMOTE_DYNAMODB "DescribeTable", &answer) != CALL_ANSWERED ||
        !json_member(answer, BYTES("Table"), &part) || json_type(part) != JSON_OBJECT ||
        !json_member(part, BYTES("KeySchema"), &part) || json_type(part) != JSON_ARRAY) {
        return;
    }
    struct json_iter iter = json_iter_of(part);
    while (command->key_count < 2 && json_next(&iter, &key)) {
        char *text = command->key_texts[command->key_count];
        if (remote_string(key, "AttributeName", text, sizeof(command->key_texts[0]))) {
            command->keys[command->key_count++] = text;
        }
    }
}
