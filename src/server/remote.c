/* A DynamoDB that a command speaks to: see remote.h. */
#include "server/remote.h"

#include "server/server.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>
#include <string.h>

#define BODY_BYTES_MAX (16u << 20)
#define ANSWER_BYTES_MAX (64u << 20)
#define CONTENT_TYPE "application/x-amz-json-1.0"

static void take_refusal(struct remote *remote, struct json answer);

void remote_init(struct remote *remote)
{
    const char *region = process_variable("AWS_REGION");
    region = region != NULL && region[0] != 0 ? region : process_variable("AWS_DEFAULT_REGION");
    *remote = (struct remote){.data = "./data",
                              .endpoint = "",
                              .credentials = "",
                              .region = region != NULL && region[0] != 0 ? region : "us-east-1"};
    arena_init(&remote->arena, 0);
    buf_init(&remote->head, BODY_BYTES_MAX);
    buf_init(&remote->body, BODY_BYTES_MAX);
    buf_init(&remote->answer, ANSWER_BYTES_MAX);
}

void remote_fini(struct remote *remote)
{
    fetch_close(remote->fetch);
    sigv4_context_free(remote->signatures);
    json_parser_free(remote->parser);
    buf_fini(&remote->head);
    buf_fini(&remote->body);
    buf_fini(&remote->answer);
    arena_fini(&remote->arena);
}

/* Takes a word's value, given beside it or after its '='. False: argv[*i] is another word. */
static bool take_value(const struct word *word, int argc, char **argv, int *i)
{
    size_t len = strlen(word->name);
    const char *text = argv[*i];
    if (strcmp(text, word->name) == 0 && *i + 1 < argc) {
        *word->place = argv[++*i];
        return true;
    }
    if (strncmp(text, word->name, len) == 0 && text[len] == '=') {
        *word->place = text + len + 1;
        return true;
    }
    return false;
}

static bool take_word(const struct word *words, size_t count, int argc, char **argv, int *i)
{
    for (size_t j = 0; j < count; j++) {
        if (take_value(&words[j], argc, argv, i)) {
            return true;
        }
    }
    return false;
}

bool remote_arguments(struct remote *remote, const char *command, int argc, char **argv,
                      const struct word *words, size_t word_count, const char **names,
                      size_t names_max)
{
    const struct word own[] = {{"--data", &remote->data},
                               {"--endpoint", &remote->endpoint},
                               {"--credentials", &remote->credentials},
                               {"--region", &remote->region}};
    size_t count = 0;
    for (int i = 0; i < argc; i++) {
        if (take_word(own, sizeof(own) / sizeof(own[0]), argc, argv, &i) ||
            take_word(words, word_count, argc, argv, &i)) {
            continue;
        }
        if ((argv[i][0] == '-' && argv[i][1] != 0) || count == names_max) {
            fprintf(stderr, "headwater: %s does not know '%s'\n", command, argv[i]);
            return false;
        }
        names[count++] = argv[i];
    }
    return true;
}

/* The address and the key: those that were given, or those of the server that runs on DATA. */
bool remote_open(struct remote *remote)
{
    char why[512];
    remote->fetch = fetch_open(process_variable("AWS_CA_BUNDLE"));
    remote->signatures = sigv4_context_new();
    remote->parser = json_parser_new();
    if (remote->fetch == NULL || remote->signatures == NULL || remote->parser == NULL) {
        fprintf(stderr, "headwater: there is no memory left\n");
        return false;
    }
    remote->find_again = remote->endpoint[0] == 0;
    if (remote->find_again && !remote_find_address(remote)) {
        fprintf(stderr,
                "headwater: no server runs on %s (there is no %s/url); name one with --endpoint\n",
                remote->data, remote->data);
        return false;
    }
    struct bytes file = arena_printf(&remote->arena, "%s/credentials", remote->data);
    const char *path = remote->credentials[0] != 0 ? remote->credentials : (const char *)file.ptr;
    if (!file_exists(path)) {
        fprintf(stderr, "headwater: there is no access key in %s; name a file with --credentials\n",
                path);
        return false;
    }
    if (keys_load(remote->data, path, &remote->arena, &remote->keys, why, sizeof(why)) != OK) {
        fprintf(stderr, "headwater: %s\n", why);
        return false;
    }
    return true;
}

bool remote_find_address(struct remote *remote)
{
    char path[4096];
    struct arena arena;
    struct bytes text = BYTES_NONE;
    snprintf(path, sizeof(path), "%s/url", remote->data);
    arena_init(&arena, 0);
    bool found = file_read_all(path, sizeof(remote->url) - 1, &arena, &text) == OK && text.len > 0;
    if (found) {
        snprintf(remote->url, sizeof(remote->url), "%.*s",
                 (int)strcspn((const char *)text.ptr, "\r\n"), (const char *)text.ptr);
        remote->endpoint = remote->url;
    }
    arena_fini(&arena);
    return found;
}

/* ---- one call ---- */

void remote_body(struct remote *remote, const char *format, const char *const *texts)
{
    buf_clear(&remote->body);
    for (const char *p = format; *p != 0; p++) {
        if (*p == '?') {
            json_add_string(&remote->body, bytes_cstr(*texts++));
        } else {
            buf_add_byte(&remote->body, (uint8_t)*p);
        }
    }
}

enum called remote_call(struct remote *remote, const char *target, struct json *answer)
{
    unsigned status = 0;
    const char *host = strstr(remote->endpoint, "://");
    host = host == NULL ? remote->endpoint : host + 3;
    const struct sigv4_sign_input input = {
        .method = BYTES("POST"),
        .host = bytes_of(host, strcspn(host, "/")),
        .path = BYTES("/"),
        .target = bytes_cstr(target),
        .content_type = BYTES(CONTENT_TYPE),
        .body = buf_bytes(&remote->body),
        .key_id = remote->keys.entries[0].id,
        .secret = remote->keys.entries[0].secret,
        .region = bytes_cstr(remote->region),
        .service = BYTES("dynamodb"),
        .now_ms = clock_wall_ms(),
    };
    buf_clear(&remote->head);
    buf_printf(&remote->head, "Content-Type: " CONTENT_TYPE "\r\nX-Amz-Target: %s\r\n", target);
    if (sigv4_sign(remote->signatures, &input, &remote->head) != OK) {
        snprintf(remote->why, sizeof(remote->why), "the request cannot be signed");
        return CALL_REFUSED;
    }
    if (fetch_post(remote->fetch, remote->endpoint, buf_bytes(&remote->head),
                   buf_bytes(&remote->body), &status, &remote->answer, remote->why,
                   sizeof(remote->why)) != OK) {
        return CALL_AWAY;
    }
    remote->type[0] = 0;
    snprintf(remote->why, sizeof(remote->why), "it does not answer as DynamoDB does");
    bool decoded = json_parse(remote->parser, buf_bytes(&remote->answer), answer) == OK &&
                   json_type(*answer) == JSON_OBJECT;
    if (decoded && status == 200) {
        return CALL_ANSWERED;
    }
    if (decoded) {
        take_refusal(remote, *answer);
    }
    bool later = status >= 500 || strstr(remote->type, "Throttling") != NULL ||
                 strstr(remote->type, "LimitExceeded") != NULL ||
                 strstr(remote->type, "ThroughputExceeded") != NULL;
    return later ? CALL_AWAY : CALL_REFUSED;
}

static void take_refusal(struct remote *remote, struct json answer)
{
    char type[256];
    if (remote_string(answer, "__type", type, sizeof(type))) {
        const char *hash = strchr(type, '#');
        snprintf(remote->type, sizeof(remote->type), "%.127s", hash == NULL ? type : hash + 1);
    }
    struct json message;
    bool told = json_member(answer, BYTES("message"), &message) ||
                json_member(answer, BYTES("Message"), &message);
    snprintf(remote->why, sizeof(remote->why), "%s", remote->type);
    if (told && json_type(message) == JSON_STRING) {
        snprintf(remote->why, sizeof(remote->why), "%.*s", BYTES_FMT(json_string(message)));
        remote->why[strcspn(remote->why, "\n")] = 0; /* what follows is the signed text */
    }
}

bool remote_string(struct json object, const char *name, char *out, size_t room)
{
    struct json value;
    if (json_type(object) != JSON_OBJECT || !json_member(object, bytes_cstr(name), &value) ||
        json_type(value) != JSON_STRING || json_string(value).len >= room) {
        return false;
    }
    snprintf(out, room, "%.*s", BYTES_FMT(json_string(value)));
    return true;
}

int remote_refused(const struct remote *remote, const char *about)
{
    fprintf(stderr, "headwater: %s at %s: %s%s%s\n", about, remote->endpoint, remote->type,
            remote->type[0] != 0 ? ": " : "", remote->why);
    return EXIT_FAILED;
}
