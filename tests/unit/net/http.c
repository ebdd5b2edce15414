/* net: requests arrive whole however they are cut, answers keep their order, what is malformed gets
 * one 4xx and the connection closes, signatures are checked, WebSockets carry text both ways. */
#include "net/http.h"

#include "check.h"
#include "net/sigv4.h"
#include "sys/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static uint16_t port;
static struct sigv4_context *signatures;

static bool secret_of(void *arg, struct bytes key_id, struct bytes *secret)
{
    (void)arg;
    *secret = BYTES("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    return bytes_equal(key_id, BYTES("AKIDEXAMPLE"));
}

#define NOW_MS 1440938160000u /* 2015-08-30 12:36:00 */

static void on_request(void *arg, struct http_request *request)
{
    (void)arg;
    static const struct ws_limits limits = {65536, 262144, 25000};
    if (bytes_equal(request->path, BYTES("/ws"))) {
        (void)http_upgrade(request, BYTES("chat.v1"), &limits, NULL);
        return;
    }
    if (bytes_equal(request->path, BYTES("/signed"))) {
        struct sigv4_result result;
        const struct sigv4_policy policy = {secret_of, NULL, BYTES_NONE, BYTES("service"), NOW_MS};
        sigv4_check(signatures, &policy, request, &result);
        http_respond(request, result.refusal == SIGV4_OK ? 200 : 400, BYTES_NONE,
                     bytes_cstr(result.text));
        return;
    }
    struct bytes text =
        arena_printf(request->arena, "%.*s %.*s?%.*s [%.*s]", BYTES_FMT(request->method_text),
                     BYTES_FMT(request->path), BYTES_FMT(request->query), BYTES_FMT(request->body));
    http_respond(request, 200, BYTES("Content-Type: text/plain\r\n"), text);
}

static void on_turn_end(void *arg, struct loop *at)
{
    (void)arg;
    (void)at;
}

static void on_ws_text(void *arg, struct ws *ws, void *user, struct bytes text)
{
    (void)arg;
    (void)user;
    CHECK(ws_send(ws, text) == OK);
}

static void on_ws_closed(void *arg, struct ws *ws, void *user)
{
    (void)arg;
    (void)ws;
    (void)user;
}

static void run(void *arg)
{
    loop_run(arg);
}

static int dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static char answer[1 << 20];
static size_t answer_len;

/* Reads until `marks` answers' heads and bodies have come (found by the mark), the peer closes, or
 * a second passes. */
static void receive(int fd, const char *mark, unsigned marks)
{
    answer_len = 0;
    for (;;) {
        struct pollfd wait = {fd, POLLIN, 0};
        unsigned seen = 0;
        answer[answer_len] = 0;
        for (const char *p = answer; mark != NULL && (p = strstr(p, mark)) != NULL; p++) {
            seen++;
        }
        if ((mark != NULL && seen >= marks) || poll(&wait, 1, 2000) <= 0) {
            return;
        }
        ssize_t got = read(fd, answer + answer_len, sizeof(answer) - 1 - answer_len);
        if (got <= 0) {
            return;
        }
        answer_len += (size_t)got;
    }
}

static void send_all(int fd, const char *text, size_t len)
{
    CHECK(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len || errno == EPIPE ||
          errno == ECONNRESET);
}

static void requests_arrive_whole_however_they_are_cut(void)
{
    static const char text[] =
        "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello"
        "POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3;note=\"x y\"\r\nabc\r\n02\r\nde\r\n0\r\n\r\n"
        "GET /last HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        int fd = dial();
        send_all(fd, text, cut);
        if (cut % 16 == 0) {
            thread_pause_ms(1); /* so that both halves arrive apart, also */
        }
        send_all(fd, text + cut, sizeof(text) - 1 - cut);
        receive(fd, "[]", 1);
        CHECK(strstr(answer, "POST /a?b=c [hello]") != NULL);
        const char *second = strstr(answer, "POST /chunked? [abcde]");
        CHECK(second != NULL && second > strstr(answer, "[hello]"));
        CHECK(strstr(answer, "GET /last? []") > second);
        close(fd);
    }
}

static void a_slow_sender_is_served(void)
{
    static const char text[] = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    int fd = dial();
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        send_all(fd, text + i, 1);
        thread_pause_ms(1);
    }
    receive(fd, "[abc]", 1);
    CHECK(strstr(answer, "[abc]") != NULL);
    close(fd);
}

static void large_bodies_and_their_limit(void)
{
    size_t len = 1 << 20;
    char *body = malloc(len + 200);
    int head = snprintf(body, 200, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                        len - 300000);
    memset(body + head, 'x', len - 300000);
    int fd = dial();
    send_all(fd, body, (size_t)head + len - 300000);
    receive(fd, "x]", 1);
    CHECK(answer_len > len - 300000);
    close(fd);
    fd = dial();
    static const char over[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n";
    send_all(fd, over, sizeof(over) - 1);
    receive(fd, NULL, 0);
    CHECK(strncmp(answer, "HTTP/1.1 413 ", 13) == 0);
    close(fd);
    free(body);
}

static void large_bodies_come_to_the_root_only(void)
{
    static const struct {
        const char *target;
        unsigned len;
        const char *status;
    } cases[] = {
        {"/other", 1 << 16, "200"},           {"/other", (1 << 16) + 1, "413"},
        {"/other?x=/", (1 << 16) + 1, "413"}, {"http://x/other", (1 << 16) + 1, "413"},
        {"//", (1 << 16) + 1, "413"},         {"/?x=/other", (1 << 16) + 1, "200"},
        {"http://x", (1 << 16) + 1, "200"},   {"http://x?y", (1 << 16) + 1, "200"},
    };
    char *body = malloc((1 << 16) + 200);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned chunked = 0; chunked < 2; chunked++) {
            int head =
                snprintf(body, 200,
                         chunked ? "POST %s HTTP/1.1\r\nHost: x\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n%x\r\n"
                                 : "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n",
                         cases[i].target, cases[i].len);
            memset(body + head, 'x', cases[i].len);
            memcpy(body + head + cases[i].len, "\r\n0\r\n\r\n", 7);
            int fd = dial();
            send_all(fd, body, (size_t)head + cases[i].len + (chunked ? 7 : 0));
            receive(fd, strcmp(cases[i].status, "200") == 0 ? "x]" : NULL, 1);
            CHECK(strncmp(answer + 9, cases[i].status, 3) == 0);
            close(fd);
        }
    }
    free(body);
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void malformed_requests_get_one_4xx_and_the_end(void)
{
    static const struct {
        const char *text;
        const char *status;
    } cases[] = {
        {"GARBAGE\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        {"GET / HTTP/1.1\nHost: a\n\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX y: 1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n",
         "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nX:\r!Host: a\r\n\r\n", "400"},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "501"},
        {CHUNKED "3\r\nabc\r(0\r\n\r\n", "400"},
        {CHUNKED "3\r\nabcde0\r\n\r\n", "400"},
        {CHUNKED "3\r(abc\r\n0\r\n\r\n", "400"},
        {CHUNKED "3 \r\nabc\r\n0\r\n\r\n", "400"},
        {CHUNKED "3;\nabc\r\nabc\r\n0\r\n\r\n", "400"},
        {CHUNKED "000000003\r\nabc\r\n0\r\n\r\n", "400"},
        {CHUNKED "0\r\nX: trailer\r\n\r\n", "400"},
        {CHUNKED "0\r\n\rX", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", "417"},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = dial();
        send_all(fd, cases[i].text, strlen(cases[i].text));
        receive(fd, NULL, 0);
        bool right =
            strncmp(answer, "HTTP/1.1 ", 9) == 0 && strncmp(answer + 9, cases[i].status, 3) == 0;
        if (!right) {
            printf("case %zu: %.60s\n", i, answer);
        }
        CHECK(right);
        CHECK(strstr(answer + 1, "HTTP/1.1 ") == NULL);
        close(fd);
    }
}

static void heads_have_limits(void)
{
    static char text[40000];
    int fd = dial();
    size_t at = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + at, 'y', 20000);
    send_all(fd, text, at + 20000);
    receive(fd, NULL, 0);
    CHECK(strncmp(answer, "HTTP/1.1 431 ", 13) == 0);
    close(fd);
    at = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 70; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "X-%d: 1\r\n", i);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "\r\n");
    fd = dial();
    send_all(fd, text, at);
    receive(fd, NULL, 0);
    CHECK(strncmp(answer, "HTTP/1.1 431 ", 13) == 0);
    close(fd);
}

static void published_signatures_are_accepted_and_changed_ones_are_not(void)
{
    /* Signed by our own signer, which the published derivation below checks against AWS's figures.
     */
    struct buf headers;
    buf_init(&headers, 4096);
    const struct sigv4_sign_input input = {.method = BYTES("GET"),
                                           .host = BYTES("example.amazonaws.com"),
                                           .path = BYTES("/"),
                                           .key_id = BYTES("AKIDEXAMPLE"),
                                           .secret =
                                               BYTES("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                                           .region = BYTES("us-east-1"),
                                           .service = BYTES("service"),
                                           .now_ms = NOW_MS};
    struct sigv4_context *own = sigv4_context_new();
    CHECK(sigv4_sign(own, &input, &headers) == OK);
    buf_add_byte(&headers, 0);
    /* get-vanilla of AWS's signature test suite. */
    CHECK(strstr((char *)headers.ptr,
                 "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") !=
          NULL);
    buf_clear(&headers);
    struct sigv4_sign_input other = input;
    other.path = BYTES("/signed");
    CHECK(sigv4_sign(own, &other, &headers) == OK);
    char text[2048];
    int len = snprintf(text, sizeof(text),
                       "GET /signed HTTP/1.1\r\nHost: example.amazonaws.com\r\n%.*s\r\n",
                       BYTES_FMT(buf_bytes(&headers)));
    int fd = dial();
    send_all(fd, text, (size_t)len);
    receive(fd, "\r\n\r\n", 1);
    CHECK(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
    close(fd);
    unsigned accepted = 0;
    for (int i = 0; i < len; i += 3) {
        char changed[2048];
        memcpy(changed, text, (size_t)len + 1); /* with its end */
        changed[i] = changed[i] == 'Q' ? 'R' : 'Q';
        fd = dial();
        send_all(fd, changed, (size_t)len);
        shutdown(fd, SHUT_WR);
        receive(fd, "\r\n\r\n", 1);
        bool harmless =
            strncasecmp(changed, text, (size_t)len) == 0 || strstr(changed, "/signed") == NULL;
        accepted += strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && !harmless ? 1 : 0;
        close(fd);
    }
    CHECK(accepted == 0);
    sigv4_context_free(own);
    buf_fini(&headers);
}

static const char handshake[] =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: chat.v1\r\n\r\n";

static void a_websocket_carries_text(void)
{
    static const char hello[] = "\x81\x85\x01\x02\x03\x04ig\x6fhn";
    int fd = dial();
    send_all(fd, handshake, sizeof(handshake) - 1);
    receive(fd, "\r\n\r\n", 1);
    CHECK(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != NULL);
    CHECK(strstr(answer, "Sec-WebSocket-Protocol: chat.v1") != NULL);
    send_all(fd, hello, sizeof(hello) - 1);
    receive(fd, "hello", 1);
    CHECK(answer_len == 7 && memcmp(answer, "\x81\x05hello", 7) == 0);
    send_all(fd, "\x81\x05hello", 7); /* not masked: the end */
    receive(fd, NULL, 0);
    CHECK(answer_len >= 4 && (uint8_t)answer[0] == 0x88);
    close(fd);
    fd = dial();
    send_all(fd, "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 29);
    receive(fd, "\r\n\r\n", 1);
    CHECK(strncmp(answer, "HTTP/1.1 426 ", 13) == 0);
    close(fd);
}

/* Whatever comes behind it: here a frame that is malformed. */
static void a_binary_frame_is_told_why_it_ends_the_socket(void)
{
    static const char frames[] = "\x82\x82\x01\x02\x03\x04xy\x82\x82\x01\x02\x03\x04xy\x2d\x07";
    int fd = dial();
    send_all(fd, handshake, sizeof(handshake) - 1);
    receive(fd, "\r\n\r\n", 1);
    send_all(fd, frames, sizeof(frames) - 1);
    receive(fd, NULL, 0);
    CHECK(answer_len == 20 && memcmp(answer, "\x88\x12\x03\xebtext frames only", 20) == 0);
    close(fd);
}

int main(void)
{
    struct thread thread;
    char why[200] = "";
    const struct http_service service = {NULL, on_request, on_turn_end, on_ws_text, on_ws_closed};
    const struct http_limits limits = {.body_max = 1 << 20,
                                       .other_body_max = 1 << 16,
                                       .connections_max = 100,
                                       .peer_connections_max = 100,
                                       .head_timeout_ms = 10000,
                                       .body_timeout_ms = 10000,
                                       .idle_timeout_ms = 60000,
                                       .unauthenticated_bytes_max = 64 << 20,
                                       .unsent_bytes_max = 256u << 20};
    signatures = sigv4_context_new();
    CHECK(loop_open(&service, &limits, &loop) == OK);
    CHECK(loop_listen(loop, "127.0.0.1", 0, &port, why, sizeof(why)) == OK);
    thread_start(&thread, ROLE_LOOP, "loop", run, loop);
    RUN(requests_arrive_whole_however_they_are_cut);
    RUN(a_slow_sender_is_served);
    RUN(large_bodies_and_their_limit);
    RUN(large_bodies_come_to_the_root_only);
    RUN(malformed_requests_get_one_4xx_and_the_end);
    RUN(heads_have_limits);
    RUN(published_signatures_are_accepted_and_changed_ones_are_not);
    RUN(a_websocket_carries_text);
    RUN(a_binary_frame_is_told_why_it_ends_the_socket);
    loop_stop(loop, 1000);
    thread_join(&thread);
    loop_close(loop);
    sigv4_context_free(signatures);
    return CHECK_RESULT();
}
