/* The head is walked line by line; only the headers that matter here are looked at. */
#include "lib/response.h"

#include "base/hash.h"

#include <strings.h>

#define BODY_MAX (64u << 20)

struct head {
    size_t len;
    size_t body_len;
    uint32_t crc;
    bool has_len;
    bool has_crc;
    bool crc_known; /* the header holds a number */
    bool chunked;
};

static bool read_head(struct bytes head, struct head *out, struct response *response);
static void read_header(struct bytes line, struct head *out, struct response *response);
static bool read_number(struct bytes text, uint64_t max, uint64_t *number);

enum response_state response_read(struct bytes input, struct response *response)
{
    struct head head = {0};
    const uint8_t *end = memmem(input.ptr, input.len, "\r\n\r\n", 4);
    if (end == NULL) {
        return input.len > 65536 ? RESPONSE_BAD : RESPONSE_PART;
    }
    head.len = (size_t)(end - input.ptr) + 4;
    *response = (struct response){0};
    if (!read_head(bytes_of(input.ptr, head.len - 2), &head, response)) {
        return RESPONSE_BAD;
    }
    if (input.len - head.len < head.body_len) {
        return RESPONSE_PART;
    }
    response->body = bytes_of(input.ptr + head.len, head.body_len);
    response->len = head.len + head.body_len;
    if (!head.has_crc) {
        response->crc = RESPONSE_CRC_ABSENT;
    } else if (head.crc_known && hash_crc32(response->body) == head.crc) {
        response->crc = RESPONSE_CRC_RIGHT;
    } else {
        response->crc = RESPONSE_CRC_WRONG;
    }
    return RESPONSE_WHOLE;
}

struct bytes response_error(struct bytes body)
{
    static const char name[] = "\"__type\"";
    const uint8_t *at = memmem(body.ptr, body.len, name, sizeof(name) - 1);
    if (at == NULL) {
        return BYTES_NONE;
    }
    const uint8_t *end = body.ptr + body.len;
    at += sizeof(name) - 1;
    while (at < end && (*at == ':' || *at == ' ')) {
        at++;
    }
    if (at == end || *at != '"') {
        return BYTES_NONE;
    }
    const uint8_t *from = ++at;
    for (; at < end && *at != '"'; at++) {
        if (*at == '#') {
            from = at + 1;
        }
    }
    return bytes_of(from, (size_t)(at - from));
}

/* head ends in the \r\n of its last line. */
static bool read_head(struct bytes head, struct head *out, struct response *response)
{
    uint64_t status;
    if (head.len < 14 || !bytes_start_with(head, BYTES("HTTP/1.1 ")) ||
        !read_number(bytes_of(head.ptr + 9, 3), 999, &status)) {
        return false;
    }
    response->status = (unsigned)status;
    const uint8_t *end = head.ptr + head.len;
    const uint8_t *line = memchr(head.ptr, '\n', head.len);
    for (line++; line < end;) {
        const uint8_t *next = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)(next - line);
        read_header(bytes_of(line, len > 0 && next[-1] == '\r' ? len - 1 : len), out, response);
        line = next + 1;
    }
    return out->has_len && !out->chunked;
}

static void read_header(struct bytes line, struct head *out, struct response *response)
{
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL) {
        return;
    }
    size_t name_len = (size_t)(colon - line.ptr);
    const char *name = (const char *)line.ptr;
    struct bytes value = bytes_of(colon + 1, line.len - name_len - 1);
    while (value.len > 0 && *value.ptr == ' ') {
        value = bytes_of(value.ptr + 1, value.len - 1);
    }
    uint64_t number;
    if (name_len == 14 && strncasecmp(name, "content-length", 14) == 0) {
        out->has_len = read_number(value, BODY_MAX, &number);
        out->body_len = out->has_len ? (size_t)number : 0;
    } else if (name_len == 11 && strncasecmp(name, "x-amz-crc32", 11) == 0) {
        out->has_crc = true;
        out->crc_known = read_number(value, UINT32_MAX, &number);
        out->crc = out->crc_known ? (uint32_t)number : 0;
    } else if (name_len == 17 && strncasecmp(name, "transfer-encoding", 17) == 0) {
        out->chunked = true;
    } else if (name_len == 10 && strncasecmp(name, "connection", 10) == 0) {
        response->closes = value.len == 5 && strncasecmp((const char *)value.ptr, "close", 5) == 0;
    }
}

static bool read_number(struct bytes text, uint64_t max, uint64_t *number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || sum > max) {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *number = sum;
    return text.len > 0 && sum <= max;
}
