/* The table of bodies, and how one becomes a text with places to patch. */
#include "lib/request.h"

#include "base/assert.h"

#define CONTENT_TYPE BYTES("application/x-amz-json-1.0")
#define TARGET_PREFIX "DynamoDB_20120810."

/* In a body: \1 a key, \2 a value, \3 the table's name. */
struct shape {
    const char *name;
    const char *operation;
    const char *body;
};

static const struct shape shapes[REQUEST_KIND_COUNT] = {
    [REQUEST_PUT] =
        {"put", "PutItem",
         "{\"TableName\":\"\3\",\"Item\":{\"pk\":{\"S\":\"\1\"},\"v\":{\"S\":\"\2\"}}}"},
    [REQUEST_GET] = {"get", "GetItem",
                     "{\"TableName\":\"\3\",\"Key\":{\"pk\":{\"S\":\"\1\"}},"
                     "\"ConsistentRead\":true}"},
    [REQUEST_UPDATE] = {"update", "UpdateItem",
                        "{\"TableName\":\"\3\",\"Key\":{\"pk\":{\"S\":\"\1\"}},"
                        "\"UpdateExpression\":\"SET v = :v ADD n :one\","
                        "\"ExpressionAttributeValues\":{\":v\":{\"S\":\"\2\"},"
                        "\":one\":{\"N\":\"1\"}}}"},
    [REQUEST_DELETE] = {"delete", "DeleteItem",
                        "{\"TableName\":\"\3\",\"Key\":{\"pk\":{\"S\":\"\1\"}}}"},
    [REQUEST_TRANSACT] =
        {"transact", "TransactWriteItems",
         "{\"TransactItems\":["
         "{\"Put\":{\"TableName\":\"\3\",\"Item\":{\"pk\":{\"S\":\"\1\"},\"v\":{\"S\":\"\2\"}}}},"
         "{\"Put\":{\"TableName\":\"\3\",\"Item\":{\"pk\":{\"S\":\"\1\"},\"v\":{\"S\":\"\2\"}}}}"
         "]}"},
};

static void build_body(struct request *request, const struct request_target *target,
                       struct buf *body);
static void write_key(char *out, uint64_t key);

const char *request_kind_name(enum request_kind kind)
{
    return kind < REQUEST_KIND_COUNT ? shapes[kind].name : NULL;
}

enum request_kind request_kind_of(struct bytes name)
{
    for (size_t i = 0; i < REQUEST_KIND_COUNT; i++) {
        if (bytes_equal(name, bytes_cstr(shapes[i].name))) {
            return (enum request_kind)i;
        }
    }
    return REQUEST_KIND_COUNT;
}

/* Puts the head before body; *signature_at and *body_at are places in out. */
static void write_request(struct buf *out, struct bytes host, struct bytes target,
                          struct bytes body, const struct signer *signer, size_t *signature_at,
                          size_t *body_at)
{
    buf_printf(out,
               "POST / HTTP/1.1\r\nHost: %.*s\r\nContent-Type: %.*s\r\nX-Amz-Target: %.*s\r\n"
               "X-Amz-Date: %s\r\nAuthorization: AWS4-HMAC-SHA256 Credential=%.*s/%s, "
               "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=",
               BYTES_FMT(host), BYTES_FMT(CONTENT_TYPE), BYTES_FMT(target), signer->time,
               BYTES_FMT(signer->key_id), signer->scope);
    *signature_at = out->len;
    buf_printf(out, "%0*d\r\nContent-Length: %zu\r\n\r\n", (int)SIGN_HEX_LEN, 0, body.len);
    *body_at = out->len;
    buf_add(out, body);
    ASSERT(buf_check(out) == OK);
}

void request_build(struct request *request, enum request_kind kind,
                   const struct request_target *target, const struct signer *signer)
{
    struct buf body;
    struct buf name;
    buf_init(&body, SIZE_MAX / 2);
    buf_init(&name, 256);
    request_fini(request);
    *request = (struct request){.kind = kind};
    buf_init(&request->text, SIZE_MAX / 2);
    build_body(request, target, &body);
    buf_printf(&name, TARGET_PREFIX "%s", shapes[kind].operation);
    signer_prefix(signer, target->host, CONTENT_TYPE, buf_bytes(&name), &request->prefix);
    write_request(&request->text, target->host, buf_bytes(&name), buf_bytes(&body), signer,
                  &request->signature_at, &request->body_at);
    for (size_t i = 0; i < request->slot_count; i++) {
        request->slots[i].at += request->body_at;
    }
    buf_fini(&name);
    buf_fini(&body);
}

void request_fini(struct request *request)
{
    buf_fini(&request->text);
}

struct bytes request_fill(struct request *request, const struct request_target *target,
                          const struct signer *signer, struct prng *prng, uint64_t key)
{
    char *text = (char *)request->text.ptr;
    for (size_t i = 0; i < request->slot_count; i++) {
        const struct request_slot *slot = &request->slots[i];
        if (slot->is_key) {
            write_key(text + slot->at, key);
            key = (key + 1 + prng_below(prng, target->item_count - 1)) % target->item_count;
        } else {
            prng_text(prng, text + slot->at, target->value_len);
        }
    }
    struct bytes whole = buf_bytes(&request->text);
    signer_sign(signer, &request->prefix,
                bytes_of(whole.ptr + request->body_at, whole.len - request->body_at),
                text + request->signature_at);
    return whole;
}

void request_write(struct buf *out, struct bytes host, struct bytes target, struct bytes body,
                   const struct signer *signer)
{
    struct sign_prefix prefix;
    size_t signature_at;
    size_t body_at;
    signer_prefix(signer, host, CONTENT_TYPE, target, &prefix);
    write_request(out, host, target, body, signer, &signature_at, &body_at);
    signer_sign(signer, &prefix, body, (char *)out->ptr + signature_at);
}

static void build_body(struct request *request, const struct request_target *target,
                       struct buf *body)
{
    for (const char *at = shapes[request->kind].body; *at != 0; at++) {
        if (*at == '\3') {
            buf_add(body, target->table);
            continue;
        }
        if (*at != '\1' && *at != '\2') {
            buf_add_byte(body, (uint8_t)*at);
            continue;
        }
        bool is_key = *at == '\1';
        size_t len = is_key ? REQUEST_KEY_LEN : target->value_len;
        ASSERT(request->slot_count < REQUEST_SLOTS_MAX);
        request->slots[request->slot_count++] = (struct request_slot){body->len, is_key};
        uint8_t *room = buf_room(body, len);
        ASSERT(room != NULL);
        memset(room, '0', len);
        body->len += len;
    }
}

static void write_key(char *out, uint64_t key)
{
    for (size_t i = REQUEST_KEY_LEN; i > 0; i--) {
        out[i - 1] = (char)('0' + key % 10);
        key /= 10;
    }
}
