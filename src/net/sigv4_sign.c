/* Signing requests of our own, as a client of a DynamoDB elsewhere and in tests. */
#include "net/sigv4_priv.h"

#include "base/digest.h"

#include <stdio.h>

static void canonical_request(struct text *text, const struct sigv4_sign_input *input,
                              struct bytes stamp, struct bytes names);

enum err sigv4_sign(struct sigv4_context *context, const struct sigv4_sign_input *input,
                    struct buf *headers)
{
    char stamp_text[STAMP_LEN + 1];
    char names_text[80];
    uint8_t credential_text[CREDENTIAL_MAX];
    stamp_format(input->now_ms, stamp_text);
    const struct bytes stamp = bytes_of(stamp_text, STAMP_LEN);
    int names_len = snprintf(names_text, sizeof(names_text), "%shost;x-amz-date%s",
                             input->content_type.len > 0 ? "content-type;" : "",
                             input->target.len > 0 ? ";x-amz-target" : "");
    const struct bytes names = bytes_of(names_text, (size_t)names_len);
    int credential_len = snprintf((char *)credential_text, sizeof(credential_text),
                                  "%.*s/%.8s/%.*s/%.*s/aws4_request", BYTES_FMT(input->key_id),
                                  stamp_text, BYTES_FMT(input->region), BYTES_FMT(input->service));
    if (credential_len < 0 || (size_t)credential_len >= sizeof(credential_text) ||
        input->secret.len > SECRET_MAX) {
        return ERR_RANGE;
    }
    const struct bytes credential = bytes_of(credential_text, (size_t)credential_len);

    struct buf canonical;
    buf_init(&canonical, 1u << 20);
    size_t room = canonical_room(input->path, input->query) + input->method.len + input->host.len +
                  input->content_type.len + input->target.len + 256;
    uint8_t *start = buf_room(&canonical, room);
    if (start == NULL) {
        return ERR_RANGE;
    }
    struct text text = {start, start + room};
    canonical_request(&text, input, stamp, names);
    uint8_t to_sign[TO_SIGN_MAX];
    const struct bytes scope =
        bytes_of(credential.ptr + input->key_id.len + 1, credential.len - input->key_id.len - 1);
    size_t len = string_to_sign(stamp, scope, bytes_of(start, (size_t)(text.at - start)), to_sign);
    buf_fini(&canonical);

    const struct bytes parts[] = {bytes_of(stamp.ptr, 8), input->region, input->service,
                                  BYTES("aws4_request")};
    struct hmac_key scratch;
    bool found;
    const struct hmac_key *key =
        signing_key(context, credential, input->secret, parts, &scratch, &found);
    uint8_t digest[SHA256_LEN];
    char signature[SHA256_HEX_LEN];
    hmac(key, bytes_of(to_sign, len), digest);
    digest_hex(bytes_of(digest, sizeof(digest)), signature);
    if (!found) {
        signing_key_keep(context, credential, input->secret, key);
    }
    buf_printf(headers,
               "X-Amz-Date: %s\r\nAuthorization: AWS4-HMAC-SHA256 Credential=%.*s, "
               "SignedHeaders=%s, Signature=%.64s\r\n",
               stamp_text, BYTES_FMT(credential), names_text, signature);
    return buf_check(headers);
}

static void add_header(struct text *text, struct bytes name, struct bytes value)
{
    text_add(text, name);
    text_add_byte(text, ':');
    canonical_value(text, value);
    text_add_byte(text, '\n');
}

static void canonical_request(struct text *text, const struct sigv4_sign_input *input,
                              struct bytes stamp, struct bytes names)
{
    uint8_t digest[SHA256_LEN];
    char body_hash[SHA256_HEX_LEN];
    digest_sha256(input->body, digest);
    digest_hex(bytes_of(digest, sizeof(digest)), body_hash);
    text_add(text, input->method);
    text_add_byte(text, '\n');
    canonical_path(text, input->path);
    text_add_byte(text, '\n');
    /* Too many pairs: the other side refuses it. */
    (void)canonical_query(text, input->query, BYTES_NONE);
    text_add_byte(text, '\n');
    if (input->content_type.len > 0) {
        add_header(text, BYTES("content-type"), input->content_type);
    }
    add_header(text, BYTES("host"), input->host);
    add_header(text, BYTES("x-amz-date"), stamp);
    if (input->target.len > 0) {
        add_header(text, BYTES("x-amz-target"), input->target);
    }
    text_add_byte(text, '\n');
    text_add(text, names);
    text_add_byte(text, '\n');
    text_add(text, bytes_of(body_hash, sizeof(body_hash)));
}
