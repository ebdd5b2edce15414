/* AWS Signature Version 4: checking requests, signed in the Authorization header or in the query
 * string (presigned), and signing our own in the header.
 * Pure but for the per-thread context, which caches signing keys (per key id, day, region, service)
 * and the OpenSSL objects. */
#ifndef HW_NET_SIGV4_H
#define HW_NET_SIGV4_H

#include "net/http.h"

enum sigv4_refusal {
    SIGV4_OK,
    SIGV4_MISSING,    /* MissingAuthenticationTokenException */
    SIGV4_INCOMPLETE, /* IncompleteSignatureException */
    SIGV4_INVALID,    /* InvalidSignatureException */
    SIGV4_UNKNOWN_KEY /* UnrecognizedClientException */
};

/* Wire name of the exception and AWS's text, AWS.md section 5.2. */
struct sigv4_result {
    enum sigv4_refusal refusal;
    char text[4096];
    struct bytes key_id; /* who signed; borrowed from the request or its arena */
    struct bytes region; /* as named in the scope */
};

/* Gives the secret of an access key id, or false. The secret is borrowed until the check returns.
 */
typedef bool sigv4_lookup(void *arg, struct bytes key_id, struct bytes *secret);

struct sigv4_context;
/* One per thread. NULL: memory. */
struct sigv4_context *sigv4_context_new(void);
void sigv4_context_free(struct sigv4_context *context);

struct sigv4_policy {
    sigv4_lookup *lookup;
    void *lookup_arg;
    struct bytes region; /* empty: any region may be named */
    struct bytes service;
    uint64_t now_ms;
};

/* Checks the request over its body as sent. Order and texts of refusals as AWS gives them;
 * comparison in constant time; an unknown key costs the same HMACs as a known one. */
void sigv4_check(struct sigv4_context *context, const struct sigv4_policy *policy,
                 const struct http_request *request, struct sigv4_result *result);

struct sigv4_sign_input {
    struct bytes method, host, path, query, target, content_type, body; /* target: X-Amz-Target */
    struct bytes key_id, secret, region, service;
    uint64_t now_ms;
};
/* Appends "X-Amz-Date: ...\r\nAuthorization: ...\r\n"; signs host, content-type, x-amz-date and
 * x-amz-target. */
MUST_USE enum err sigv4_sign(struct sigv4_context *context, const struct sigv4_sign_input *input,
                             struct buf *headers);

#endif
