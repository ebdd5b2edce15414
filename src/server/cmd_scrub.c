/* `headwater log verify --online`: has a running server read its log and view, shows how far it is,
 * and says what came of it. */
#include "server/remote.h"
#include "server/server.h"
#include "sys/process.h"
#include "sys/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET "Headwater_20261130."
#define LOOK_MS 200u

struct scrub_command {
    struct remote remote;
    const char *rate; /* of bytes a second; "": the server's */
    const char *words[1];
    bool progress; /* standard error is read by a person */
    bool shown;
};

static bool take_rate(struct scrub_command *command);
static int follow(struct scrub_command *command);
static bool call(struct scrub_command *command, const char *target, struct json *scrub);
static uint64_t number(struct json scrub, const char *name);
static void show_progress(struct scrub_command *command, struct json scrub);
static int tell(struct json scrub);
static void tell_damages(struct json scrub);

int command_scrub(int argc, char **argv)
{
    struct scrub_command command = {.rate = "", .progress = process_terminal_columns() > 0};
    const struct word words[] = {{"--bytes-per-second", &command.rate}};
    int status = EXIT_USAGE;
    remote_init(&command.remote);
    bool read = remote_arguments(&command.remote, "log verify --online", argc, argv, words, 1,
                                 command.words, 0);
    if (read && !take_rate(&command)) {
        fprintf(stderr, "headwater: --bytes-per-second must be a whole number from 65536 on\n");
    } else if (read) {
        process_ignore_broken_pipe();
        status = remote_open(&command.remote) ? follow(&command) : EXIT_FAILED;
    }
    if (status == EXIT_USAGE) {
        fprintf(stderr, "Try: headwater log --help\n");
    }
    remote_fini(&command.remote);
    return status;
}

/* Into the body of the call that starts it. */
static bool take_rate(struct scrub_command *command)
{
    char *end = NULL;
    unsigned long long rate = strtoull(command->rate, &end, 10);
    bool given = command->rate[0] != 0;
    buf_clear(&command->remote.body);
    if (given) {
        buf_printf(&command->remote.body, "{\"BytesPerSecond\":%llu}", rate);
    } else {
        buf_add_cstr(&command->remote.body, "{}");
    }
    return !given || (*end == 0 && command->rate[0] != '-' && rate >= 65536);
}

/* One that is under way already is waited for: it may have read a place before it was damaged. */
static int follow(struct scrub_command *command)
{
    struct json scrub;
    const char *target = TARGET "StartScrub";
    bool answered = call(command, target, &scrub);
    buf_clear(&command->remote.body);
    buf_add_cstr(&command->remote.body, "{}");
    char status[16] = "";
    while (answered && remote_string(scrub, "Status", status, sizeof(status)) &&
           strcmp(status, "RUNNING") == 0) {
        show_progress(command, scrub);
        thread_pause_ms(LOOK_MS);
        answered = call(command, TARGET "DescribeScrub", &scrub);
    }
    if (command->shown) {
        fprintf(stderr, "\r%*s\r", 79, "");
    }
    return answered ? tell(scrub) : remote_refused(&command->remote, "the scrub");
}

static bool call(struct scrub_command *command, const char *target, struct json *scrub)
{
    struct json answer;
    return remote_call(&command->remote, target, &answer) == CALL_ANSWERED &&
           json_member(answer, BYTES("Scrub"), scrub) && json_type(*scrub) == JSON_OBJECT;
}

static uint64_t number(struct json scrub, const char *name)
{
    struct json value;
    bool is_there =
        json_member(scrub, bytes_cstr(name), &value) && json_type(value) == JSON_INTEGER;
    int64_t found = is_there ? json_integer(value) : 0;
    return found > 0 ? (uint64_t)found : 0;
}

static void show_progress(struct scrub_command *command, struct json scrub)
{
    uint64_t bytes = number(scrub, "Bytes");
    uint64_t all = number(scrub, "BytesAll");
    if (command->progress) {
        fprintf(stderr, "\r%3llu %% of %llu MB, %llu records, %llu rows, %llu damages ",
                (unsigned long long)(all == 0 ? 0 : bytes * 100 / all),
                (unsigned long long)(all >> 20), (unsigned long long)number(scrub, "Records"),
                (unsigned long long)number(scrub, "Rows"),
                (unsigned long long)number(scrub, "Damages"));
        command->shown = true;
    }
}

static int tell(struct json scrub)
{
    uint64_t damages = number(scrub, "Damages");
    if (damages > 0) {
        tell_damages(scrub);
    }
    printf(
        "%s: %llu bytes read, %llu records, %llu tables of the view, %llu rows compared with the "
        "log\n",
        damages == 0 ? "whole" : "read", (unsigned long long)number(scrub, "Bytes"),
        (unsigned long long)number(scrub, "Records"), (unsigned long long)number(scrub, "Tables"),
        (unsigned long long)number(scrub, "Rows"));
    return damages == 0 ? EXIT_CLEAN : EXIT_DAMAGED;
}

static void tell_damages(struct json scrub)
{
    char file[512];
    char reason[1024];
    struct json list;
    struct json damage;
    if (!json_member(scrub, BYTES("Damaged"), &list) || json_type(list) != JSON_ARRAY) {
        return;
    }
    struct json_iter each = json_iter_of(list);
    while (json_next(&each, &damage)) {
        bool told = remote_string(damage, "File", file, sizeof(file)) &&
                    remote_string(damage, "Reason", reason, sizeof(reason));
        if (told) {
            printf("DAMAGED %s at offset %llu: %s\n", file,
                   (unsigned long long)number(damage, "Offset"), reason);
        }
    }
    uint64_t more = number(scrub, "Damages") - json_count(list);
    if (more > 0) {
        printf("and %llu more, in the server's log\n", (unsigned long long)more);
    }
}
