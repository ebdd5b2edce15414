/* `headwater table list|describe|create|delete`: the tables of a server, or of any endpoint. */
#include "server/remote.h"
#include "server/server.h"
#include "server/show.h"
#include "sys/process.h"

#include <stdio.h>

#define NAME_MAX_LEN 255u

struct table_command {
    struct remote remote;
    const char *words[2]; /* what to do; the table's name */
    const char *key;
    const char *stream;
};

static int list_tables(struct table_command *command);
static int one_table(struct table_command *command, const char *operation, const char *member);
static bool create_body(struct table_command *command);

static const struct {
    const char *verb;
    const char *operation; /* NULL: the list */
    const char *member;
} verbs[] = {{"list", NULL, NULL},
             {"describe", "DescribeTable", "Table"},
             {"create", "CreateTable", "TableDescription"},
             {"delete", "DeleteTable", "TableDescription"}};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

int command_table(int argc, char **argv)
{
    struct table_command command = {.key = "", .stream = ""};
    const struct word words[] = {{"--key", &command.key}, {"--stream", &command.stream}};
    int status = EXIT_USAGE;
    size_t verb = 0;
    remote_init(&command.remote);
    bool read = remote_arguments(&command.remote, "table", argc, argv, words, 2, command.words, 2);
    while (read && verb < VERB_COUNT &&
           (command.words[0] == NULL || strcmp(command.words[0], verbs[verb].verb) != 0)) {
        verb++;
    }
    bool wants_name = verb < VERB_COUNT && verbs[verb].operation != NULL;
    if (read && verb == VERB_COUNT) {
        fprintf(stderr, "headwater: table can list, describe, create and delete\n");
    } else if (read && wants_name != (command.words[1] != NULL)) {
        fprintf(stderr, "headwater: table %s %s\n", verbs[verb].verb,
                wants_name ? "needs a table's name" : "takes no name");
    } else if (read) {
        process_ignore_broken_pipe();
        status = !remote_open(&command.remote) ? EXIT_FAILED
                 : !wants_name                 ? list_tables(&command)
                               : one_table(&command, verbs[verb].operation, verbs[verb].member);
    }
    if (status == EXIT_USAGE) {
        fprintf(stderr, "Try: headwater table --help\n");
    }
    remote_fini(&command.remote);
    return status;
}

static int list_tables(struct table_command *command)
{
    struct remote *remote = &command->remote;
    struct json answer;
    struct json names;
    struct json name;
    char last[NAME_MAX_LEN + 1];
    const char *after = last;
    remote_body(remote, "{}", NULL);
    do {
        if (remote_call(remote, REMOTE_DYNAMODB "ListTables", &answer) != CALL_ANSWERED) {
            return remote_refused(remote, "tables");
        }
        if (!json_member(answer, BYTES("TableNames"), &names) || json_type(names) != JSON_ARRAY) {
            return remote_refused(remote, "tables");
        }
        struct json_iter iter = json_iter_of(names);
        while (json_next(&iter, &name)) {
            if (json_type(name) != JSON_STRING || !show_text(json_string(name))) {
                return EXIT_FAILED;
            }
        }
        if (!remote_string(answer, "LastEvaluatedTableName", last, sizeof(last))) {
            return EXIT_CLEAN;
        }
        remote_body(remote, "{\"ExclusiveStartTableName\":?}", &after);
    } while (process_output_is_open());
    return EXIT_CLEAN;
}

static int one_table(struct table_command *command, const char *operation, const char *member)
{
    struct remote *remote = &command->remote;
    char target[64];
    struct json answer;
    struct json table;
    bool creates = strcmp(operation, "CreateTable") == 0;
    if (creates && !create_body(command)) {
        return EXIT_USAGE;
    }
    if (!creates) {
        remote_body(remote, "{\"TableName\":?}", &command->words[1]);
    }
    snprintf(target, sizeof(target), REMOTE_DYNAMODB "%s", operation);
    if (remote_call(remote, target, &answer) != CALL_ANSWERED ||
        !json_member(answer, bytes_cstr(member), &table) || json_type(table) != JSON_OBJECT) {
        return remote_refused(remote, command->words[1]);
    }
    return show_object(table) ? EXIT_CLEAN : EXIT_FAILED;
}

static bool is_type(uint8_t letter)
{
    return letter == 'S' || letter == 'N' || letter == 'B';
}

/* name:T, T one of S, N and B; a name may hold a colon. */
static bool add_key(struct bytes text, struct buf *schema, struct buf *attributes, const char *role)
{
    if (text.len < 3 || text.ptr[text.len - 2] != ':' || !is_type(text.ptr[text.len - 1])) {
        return false;
    }
    struct bytes name = bytes_of(text.ptr, text.len - 2);
    buf_add_cstr(schema, schema->len > 0 ? ",{\"AttributeName\":" : "{\"AttributeName\":");
    json_add_string(schema, name);
    buf_printf(schema, ",\"KeyType\":\"%s\"}", role);
    buf_add_cstr(attributes, attributes->len > 0 ? ",{\"AttributeName\":" : "{\"AttributeName\":");
    json_add_string(attributes, name);
    buf_printf(attributes, ",\"AttributeType\":\"%c\"}", text.ptr[text.len - 1]);
    return true;
}

static bool create_body(struct table_command *command)
{
    struct bytes rest = bytes_cstr(command->key);
    struct bytes partition = bytes_cut(&rest, ',');
    struct buf schema;
    struct buf attributes;
    struct buf *body = &command->remote.body;
    buf_init(&schema, 65536);
    buf_init(&attributes, 65536);
    bool right =
        add_key(partition, &schema, &attributes, "HASH") &&
        (strchr(command->key, ',') == NULL || add_key(rest, &schema, &attributes, "RANGE"));
    if (right) {
        remote_body(&command->remote, "{\"TableName\":?,\"BillingMode\":\"PAY_PER_REQUEST\"",
                    &command->words[1]);
        buf_add_cstr(body, ",\"KeySchema\":[");
        buf_add(body, buf_bytes(&schema));
        buf_add_cstr(body, "],\"AttributeDefinitions\":[");
        buf_add(body, buf_bytes(&attributes));
        buf_add_byte(body, ']');
        if (command->stream[0] != 0) {
            buf_add_cstr(body,
                         ",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":");
            json_add_string(body, bytes_cstr(command->stream));
            buf_add_byte(body, '}');
        }
        buf_add_byte(body, '}');
    } else {
        fprintf(stderr,
                "headwater: --key is '%s': it must be NAME:TYPE or NAME:TYPE,NAME:TYPE, a type "
                "being S, N or B\n",
                command->key);
    }
    buf_fini(&schema);
    buf_fini(&attributes);
    return right;
}
