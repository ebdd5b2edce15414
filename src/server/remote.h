/* A DynamoDB that a command speaks to, over HTTP: the server that runs on a data directory of this
 * machine, or any endpoint. Blocking; one thread. */
#ifndef HW_SERVER_REMOTE_H
#define HW_SERVER_REMOTE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "net/fetch.h"
#include "net/sigv4.h"
#include "server/keys.h"

#define REMOTE_DYNAMODB "DynamoDB_20120810."
#define REMOTE_STREAMS "DynamoDBStreams_20120810."

enum called {
    CALL_ANSWERED,
    CALL_REFUSED, /* remote->type and remote->why say how */
    CALL_AWAY     /* nobody answers, or not now: remote->why */
};

struct remote {
    struct arena arena;
    struct keys keys;
    struct fetch *fetch;
    struct sigv4_context *signatures;
    struct json_parser *parser;
    struct buf head;
    struct buf body; /* of the next call: the caller's to fill */
    struct buf answer;
    /* Where it is, as options say; remote_init has the defaults. */
    const char *data;
    const char *endpoint;
    const char *credentials;
    const char *region;
    bool find_again; /* the address is the one in DATA/url */
    char url[256];
    char type[128]; /* of the newest refusal, without what is before its '#' */
    char why[512];  /* one line */
};

/* A word of a command line that takes a value: --name VALUE or --name=VALUE. */
struct word {
    const char *name;
    const char **place;
};

void remote_init(struct remote *remote);
/* In any state after remote_init. */
void remote_fini(struct remote *remote);

/* Reads what follows a command: its own words, --data, --endpoint, --credentials and --region, and
 * up to names_max other words in order. False: what is wrong was said on standard error. */
bool remote_arguments(struct remote *remote, const char *command, int argc, char **argv,
                      const struct word *words, size_t word_count, const char **names,
                      size_t names_max);
/* Finds address and key. False: it was said why not. */
bool remote_open(struct remote *remote);
/* Looks for the address in DATA/url again: a server that was started again may have another. */
bool remote_find_address(struct remote *remote);

/* Fills body: each ? of format is the next of the texts, as a JSON string. */
void remote_body(struct remote *remote, const char *format, const char *const *texts);
/* Sends body to the operation of that target. The answer is an object, valid until the next call.
 */
enum called remote_call(struct remote *remote, const char *target, struct json *answer);

/* Says on standard error what came of the newest call that was not answered; about: what it was
 * for. Returns EXIT_FAILED. */
int remote_refused(const struct remote *remote, const char *about);

/* A member that is a string of less than room bytes; else false. */
bool remote_string(struct json object, const char *name, char *out, size_t room);

#endif
