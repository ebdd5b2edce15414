/* One parser, one text: what hostile peers choose so that reading it costs more than its length.
 * Run under callgrind, which counts the instructions inside measured().
 *
 *   parse-cost            names the kinds, and for each the sizes that are compared
 *   parse-cost KIND SIZE  parses about so many bytes once; prints how many */
#include "base/json.h"
#include "base/mem.h"
#include "expr/expr.h"
#include "item/number.h"
#include "net/net_priv.h"

#include <stdio.h>
#include <stdlib.h>

struct kind {
    const char *name;
    const char *begin;
    const char *again;
    const char *end;
    void (*parse)(struct bytes text);
    size_t small; /* and twice as much */
    int opens;    /* end is repeated as often as again */
    int refused;  /* 1: it must be, 0: it must not, EITHER: a limit lies between the sizes */
};

static struct json_parser *parser;
static struct expr_cache *cache;
static struct connection *connection;
static bool was_refused;

static void parse_json(struct bytes text)
{
    struct json root;
    was_refused = json_parse(parser, text, &root) != OK;
}

static void parse_number(struct bytes text)
{
    uint8_t out[64];
    size_t len;
    was_refused = number_parse(text, out, &len) != NUMBER_OK;
}

static void parse_condition(struct bytes text)
{
    struct expr_fault fault = {.text = {0}};
    const struct expr *expr;
    was_refused = expr_compile(cache, EXPR_CONDITION, text, &expr, &fault) != OK;
}

/* As the flush of a turn does, without a socket. */
static void settle(void)
{
    while (http_is_answered(connection)) {
        http_continue(connection);
        buf_clear(&connection->out);
    }
    connection->dirty = false;
    connection->loop->dirty = NULL;
}

/* In single bytes, so that whatever begins again at each read shows. */
static void read_bytewise(struct bytes text)
{
    for (size_t i = 0; i < text.len && connection->state != CONNECTION_CLOSING; i++) {
        http_data(connection, bytes_of(text.ptr + i, 1));
        settle();
    }
    was_refused = connection->state == CONNECTION_CLOSING;
}

static void read_at_once(struct bytes text)
{
    for (size_t at = 0; at < text.len && connection->state != CONNECTION_CLOSING;) {
        size_t len = text.len - at < READ_BYTES ? text.len - at : READ_BYTES;
        http_data(connection, bytes_of(text.ptr + at, len));
        settle();
        at += len;
    }
    was_refused = connection->state == CONNECTION_CLOSING;
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
#define MB 1048576u
#define EITHER 2
static const struct kind kinds[] = {
    {"json-elements", "{\"a\":[1", ",1", "]}", parse_json, MB, 0, 0},
    {"json-members", "{\"a\":1", ",\"a\":1", "}", parse_json, MB, 0, 0},
    {"json-text", "{\"a\":\"", "a", "\"}", parse_json, MB, 0, 0},
    {"json-escapes", "{\"a\":\"", "\\u00e9", "\"}", parse_json, MB, 0, 0},
    {"json-quotes", "{\"a\":\"", "\\\"", "\"}", parse_json, MB, 0, 0},
    {"json-digits", "{\"a\":1", "1", "}", parse_json, MB, 0, 0},
    {"json-fractions", "{\"a\":0.1", "1", "}", parse_json, MB, 0, 0},
    {"json-large-numbers", "{\"a\":[1", ",1e999", "]}", parse_json, MB, 0, 0},
    {"json-long-numbers", "{\"a\":[1", ",111111111111111111111111111111", "]}", parse_json, MB, 0,
     0},
    {"json-open", "", "[", "", parse_json, MB, 0, 1},
    {"json-deep", "", "{\"a\":", "}", parse_json, MB, 1, 1},
    {"number-zeros", "", "0", "", parse_number, MB, 0, 0},
    {"number-digits", "1", "1", "", parse_number, MB, 0, 1},
    {"number-exponent", "1e", "1", "", parse_number, MB, 0, 1},
    {"expr-brackets", "", "(", "", parse_condition, 2000, 0, 1},
    {"expr-brackets-closed", "", "(", ")", parse_condition, 2000, 1, 1},
    {"expr-not", "", "NOT ", "a=b", parse_condition, 2000, 0, 1},
    {"expr-and", "a=b", " AND a=b", "", parse_condition, 2000, 0, EITHER},
    {"expr-path", "a", ".a", "=b", parse_condition, 2000, 0, EITHER},
    {"expr-names", "#a", ".#a", "=b", parse_condition, 2000, 0, EITHER},
    {"expr-text", "a", "a", "=b", parse_condition, 2000, 0, 0},
    {"head-lines", "GET / HTTP/1.1\r\nHost: a\r\n",
     "a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
     "bbbbbbbbbbbbbbbbbbb"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
     "\r\n", read_bytewise, 7000, 0, 0},
    {"head-value", "GET / HTTP/1.1\r\nHost: a\r\na: ", "b", "\r\n\r\n", read_bytewise, 7000, 0, 0},
    {"head-path", "GET /", "b", " HTTP/1.1\r\nHost: a\r\n\r\n", read_bytewise, 7000, 0, 0},
    {"body-bytewise", HEAD "Content-Length: 9000000\r\n\r\n", "b", "", read_bytewise, MB, 0, 0},
    {"chunks-bytewise", HEAD "Transfer-Encoding: chunked\r\n\r\n", "1\r\nb\r\n", "0\r\n\r\n",
     read_bytewise, MB, 0, 0},
    {"chunks-at-once", HEAD "Transfer-Encoding: chunked\r\n\r\n", "1;a\r\nb\r\n", "0\r\n\r\n",
     read_at_once, MB, 0, 0},
    {"requests-at-once", "", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", "", read_at_once, READ_BYTES, 0,
     0},
};

__attribute__((noinline)) void measured(const struct kind *kind, struct bytes text);

void measured(const struct kind *kind, struct bytes text)
{
    kind->parse(text);
}

static void on_request(void *arg, struct http_request *request)
{
    (void)arg;
    http_respond(request, 200, BYTES_NONE, BYTES_NONE);
}

static void on_turn_end(void *arg, struct loop *loop)
{
    (void)arg;
    (void)loop;
}

static struct buf text_of(const struct kind *kind, size_t size)
{
    struct buf text;
    size_t count = size / (strlen(kind->again) + (kind->opens ? strlen(kind->end) : 0));
    buf_init(&text, 2 * size + 1000);
    buf_add_cstr(&text, kind->begin);
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(&text, kind->again);
    }
    for (size_t i = 0; i < (kind->opens ? count : 1); i++) {
        buf_add_cstr(&text, kind->end);
    }
    return text;
}

static int run(const struct kind *kind, size_t size)
{
    static const struct http_service service = {.request = on_request, .turn_end = on_turn_end};
    static const struct http_limits limits = {
        .body_max = 16 * MB, .unauthenticated_bytes_max = 64 * MB, .unsent_bytes_max = 64 * MB};
    struct loop *loop;
    parser = json_parser_new();
    cache = expr_cache_new();
    connection = mem_zalloc(1, sizeof(*connection));
    if (parser == NULL || cache == NULL || loop_open(&service, &limits, &loop) != OK) {
        return 1;
    }
    connection->loop = loop;
    buf_init(&connection->out, OUT_BYTES_MAX);
    struct buf text = text_of(kind, size);
    measured(kind, buf_bytes(&text));
    printf("%zu\n", text.len);
    return kind->refused == EITHER || was_refused == (kind->refused != 0) ? 0 : 1;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (argc < 3) {
            printf("%s %zu %zu\n", kinds[i].name, kinds[i].small, 2 * kinds[i].small);
        } else if (strcmp(kinds[i].name, argv[1]) == 0) {
            return run(&kinds[i], strtoul(argv[2], NULL, 10));
        }
    }
    return argc < 3 ? 0 : 2;
}
