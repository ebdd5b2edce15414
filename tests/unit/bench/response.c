/* lib/response: an answer is whole only when its last byte is there, and its checksum is believed
 * only when it matches. */
#include "lib/response.h"

#include "check.h"

/* CRC-32 of "{}" is 2745614147, as DynamoDB sends it with every empty answer. */
#define EMPTY "HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}"

static void every_prefix_is_only_a_part(void)
{
    struct bytes whole = BYTES(EMPTY);
    struct response response;
    for (size_t len = 0; len < whole.len; len++) {
        CHECK(response_read(bytes_of(whole.ptr, len), &response) == RESPONSE_PART);
    }
    CHECK(response_read(whole, &response) == RESPONSE_WHOLE);
    CHECK(response.status == 200 && response.len == whole.len && !response.closes);
    CHECK(response.crc == RESPONSE_CRC_RIGHT);
    CHECK_BYTES(response.body, BYTES("{}"));
}

static enum response_crc crc_of(struct bytes input)
{
    struct response response = {0};
    CHECK(response_read(input, &response) == RESPONSE_WHOLE);
    return response.crc;
}

static void a_checksum_is_right_wrong_or_absent(void)
{
    CHECK(
        crc_of(BYTES("HTTP/1.1 200 OK\r\nX-Amz-Crc32: 2745614147\r\ncontent-length:2\r\n\r\n{}")) ==
        RESPONSE_CRC_RIGHT);
    CHECK(
        crc_of(BYTES("HTTP/1.1 200 OK\r\nX-Amz-Crc32: 2745614148\r\ncontent-length:2\r\n\r\n{}")) ==
        RESPONSE_CRC_WRONG);
    CHECK(
        crc_of(BYTES("HTTP/1.1 200 OK\r\nX-Amz-Crc32: 2745614147\r\ncontent-length:2\r\n\r\n[]")) ==
        RESPONSE_CRC_WRONG);
    CHECK(crc_of(BYTES("HTTP/1.1 200 OK\r\nX-Amz-Crc32: many\r\ncontent-length:2\r\n\r\n{}")) ==
          RESPONSE_CRC_WRONG);
    CHECK(crc_of(BYTES("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}")) == RESPONSE_CRC_ABSENT);
}

static void what_it_cannot_frame_is_bad(void)
{
    static const char *const texts[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
    };
    struct response response;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK(response_read(bytes_cstr(texts[i]), &response) == RESPONSE_BAD);
    }
}

static void a_closing_connection_is_seen(void)
{
    struct response response;
    CHECK(response_read(BYTES("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
                        &response) == RESPONSE_WHOLE);
    CHECK(response.closes && response.status == 503);
}

static void an_error_is_named_without_its_namespace(void)
{
    CHECK_BYTES(response_error(BYTES("{\"__type\":\"com.amazonaws.dynamodb.v20120810#"
                                     "ValidationException\",\"message\":\"no\"}")),
                BYTES("ValidationException"));
    CHECK_BYTES(response_error(BYTES("{\"__type\" : \"Short\"}")), BYTES("Short"));
    CHECK_BYTES(response_error(BYTES("{\"message\":\"no\"}")), BYTES(""));
    CHECK_BYTES(response_error(BYTES("{\"__type\":\"cut")), BYTES("cut"));
    CHECK_BYTES(response_error(BYTES("{\"__type\":")), BYTES(""));
}

int main(void)
{
    RUN(every_prefix_is_only_a_part);
    RUN(a_checksum_is_right_wrong_or_absent);
    RUN(what_it_cannot_frame_is_bad);
    RUN(a_closing_connection_is_seen);
    RUN(an_error_is_named_without_its_namespace);
    return CHECK_RESULT();
}
