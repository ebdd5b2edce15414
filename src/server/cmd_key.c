/* `headwater key create|list|disable|enable|policy|delete`: the managed keys of a server. */
#include "server/remote.h"
#include "server/server.h"
#include "server/show.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>

#define TARGET "Headwater_20261130."

struct key_command {
    struct remote remote;
    const char *words[2]; /* what to do; the key's name */
    const char *policy;   /* a file */
};

static bool build_body(struct key_command *command, const char *status, bool has_policy);
static int list_keys(struct key_command *command);
static int change_key(struct key_command *command, const char *target);

static const struct {
    const char *verb;
    const char *target; /* NULL: the list */
    const char *status; /* what it becomes; NULL: as it is */
    bool takes_policy;
} verbs[] = {{"list", NULL, NULL, false},
             {"create", TARGET "CreateKey", NULL, true},
             {"disable", TARGET "UpdateKey", "Inactive", false},
             {"enable", TARGET "UpdateKey", "Active", false},
             {"policy", TARGET "UpdateKey", NULL, true},
             {"delete", TARGET "DeleteKey", NULL, false}};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

int command_key(int argc, char **argv)
{
    struct key_command command = {.policy = ""};
    const struct word words[] = {{"--policy", &command.policy}};
    int status = EXIT_USAGE;
    size_t verb = 0;
    remote_init(&command.remote);
    bool read = remote_arguments(&command.remote, "key", argc, argv, words, 1, command.words, 2);
    while (read && verb < VERB_COUNT &&
           (command.words[0] == NULL || strcmp(command.words[0], verbs[verb].verb) != 0)) {
        verb++;
    }
    bool wants_name = verb < VERB_COUNT && verbs[verb].target != NULL;
    if (read && verb == VERB_COUNT) {
        fprintf(stderr, "headwater: key can list, create, disable, enable, policy and delete\n");
    } else if (read && wants_name != (command.words[1] != NULL)) {
        fprintf(stderr, "headwater: key %s %s\n", verbs[verb].verb,
                wants_name ? "needs a key's name" : "takes no name");
    } else if (read && verbs[verb].takes_policy != (command.policy[0] != 0)) {
        fprintf(stderr, "headwater: key %s %s\n", verbs[verb].verb,
                verbs[verb].takes_policy ? "needs --policy FILE" : "takes no --policy");
    } else if (read) {
        process_ignore_broken_pipe();
        status = !build_body(&command, verbs[verb].status, verbs[verb].takes_policy) ||
                         !remote_open(&command.remote)
                     ? EXIT_FAILED
                 : wants_name ? change_key(&command, verbs[verb].target)
                              : list_keys(&command);
    }
    if (status == EXIT_USAGE) {
        fprintf(stderr, "Try: headwater key --help\n");
    }
    remote_fini(&command.remote);
    return status;
}

static bool build_body(struct key_command *command, const char *status, bool has_policy)
{
    struct buf *body = &command->remote.body;
    struct bytes text;
    buf_clear(body);
    buf_add_byte(body, '{');
    if (command->words[1] != NULL) {
        buf_add_cstr(body, "\"Name\":");
        json_add_string(body, bytes_cstr(command->words[1]));
    }
    if (status != NULL) {
        buf_printf(body, ",\"Status\":\"%s\"", status);
    }
    if (has_policy) {
        if (file_read_all(command->policy, POLICY_TEXT_MAX, &command->remote.arena, &text) != OK) {
            fprintf(stderr,
                    "headwater: cannot read the policy in %s, or it is longer than %u bytes\n",
                    command->policy, POLICY_TEXT_MAX);
            return false;
        }
        buf_add_cstr(body, ",\"Policy\":");
        json_add_string(body, text);
    }
    buf_add_byte(body, '}');
    return true;
}

static int list_keys(struct key_command *command)
{
    static const char *const first[] = {"Name", "AccessKeyId", "Status"};
    struct remote *remote = &command->remote;
    struct json answer;
    struct json keys;
    if (remote_call(remote, TARGET "ListKeys", &answer) != CALL_ANSWERED ||
        !json_member(answer, BYTES("Keys"), &keys) || json_type(keys) != JSON_ARRAY) {
        return remote_refused(remote, "keys");
    }
    return show_items(&remote->arena, keys, json_count(keys), first, 3) ? EXIT_CLEAN : EXIT_FAILED;
}

static int change_key(struct key_command *command, const char *target)
{
    struct remote *remote = &command->remote;
    struct json answer;
    struct json key;
    if (remote_call(remote, target, &answer) != CALL_ANSWERED) {
        return remote_refused(remote, command->words[1]);
    }
    if (!json_member(answer, BYTES("Key"), &key) || json_type(key) != JSON_OBJECT) {
        return EXIT_CLEAN; /* deleted */
    }
    if (!show_object(key)) {
        return EXIT_FAILED;
    }
    if (strcmp(command->words[0], "create") == 0 && process_terminal_columns() > 0) {
        printf("\nThe secret is shown this once.\n");
    }
    return EXIT_CLEAN;
}
