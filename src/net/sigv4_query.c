/* Presigned requests: the signature and all that belongs to it stand in the query string, so that a
 * link made by who has the key can be used by who has not. sigv4.c checks what is read here as it
 * checks a header's, but for the time: a link lives as long as its maker said, at most a week.
 *
 * The parameters other than the signature are in the canonical query, hence signed. */
#include "net/sigv4_priv.h"

#define EXPIRES_MAX_S 604800u /* a week */

static bool check_given(const struct authorization *authorization, struct sigv4_result *result);
static bool read_lifetime(struct bytes expires, struct authorization *out,
                          struct sigv4_result *result);

bool sigv4_is_presigned(const struct http_request *request)
{
    struct bytes rest = request->query;
    while (rest.len > 0) {
        struct bytes pair = bytes_cut(&rest, '&');
        if (bytes_equal(bytes_cut(&pair, '='), BYTES("X-Amz-Algorithm"))) {
            return true;
        }
    }
    return false;
}

bool sigv4_read_query(const struct http_request *request, struct authorization *out,
                      struct sigv4_result *result)
{
    struct bytes expires = BYTES_NONE;
    const struct {
        struct bytes name;
        struct bytes *place;
    } parameters[] = {
        {BYTES("X-Amz-Algorithm"), &out->algorithm},
        {BYTES("X-Amz-Credential"), &out->credential},
        {BYTES("X-Amz-Signature"), &out->signature},
        {BYTES("X-Amz-SignedHeaders"), &out->signed_list},
        {BYTES("X-Amz-Date"), &out->date},
        {BYTES("X-Amz-Expires"), &expires},
    };
    out->in_query = true;
    for (struct bytes rest = request->query; rest.len > 0;) {
        struct bytes value = bytes_cut(&rest, '&');
        struct bytes name = query_decode(request->arena, bytes_cut(&value, '='));
        for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
            if (!bytes_equal(name, parameters[i].name)) {
                continue;
            }
            if (parameters[i].place->ptr != NULL) {
                sigv4_refuse(result, SIGV4_INCOMPLETE,
                             "AWS query-string parameters must include '%.*s' only once. "
                             "Re-examine the query-string parameters.",
                             BYTES_FMT(name));
                return false;
            }
            *parameters[i].place = query_decode(request->arena, value);
        }
    }
    return check_given(out, result) && read_lifetime(expires, out, result);
}

/* All that is missing is told together. */
static bool check_given(const struct authorization *authorization, struct sigv4_result *result)
{
#define ASKED(member, name)                                                                        \
    authorization->member.len > 0 ? "" : "AWS query-string parameters must include '" name "'. "
    const char *asked[] = {ASKED(algorithm, "X-Amz-Algorithm"),
                           ASKED(credential, "X-Amz-Credential"),
                           ASKED(signature, "X-Amz-Signature"),
                           ASKED(signed_list, "X-Amz-SignedHeaders"), ASKED(date, "X-Amz-Date")};
#undef ASKED
    bool all = true;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        all = all && asked[i][0] == 0;
    }
    if (!all) {
        sigv4_refuse(result, SIGV4_INCOMPLETE, "%s%s%s%s%sRe-examine the query-string parameters.",
                     asked[0], asked[1], asked[2], asked[3], asked[4]);
    }
    return all;
}

/* Without X-Amz-Expires a link lives as long as a header. The words are S3's, the one service whose
 * answers to a wrong one are known. */
static bool read_lifetime(struct bytes expires, struct authorization *out,
                          struct sigv4_result *result)
{
    uint64_t seconds = 0;
    bool negative = expires.len > 1 && expires.ptr[0] == '-';
    bool number = expires.len > 0;
    if (expires.ptr == NULL) {
        out->lifetime_ms = SKEW_MS;
        return true;
    }
    for (size_t i = negative ? 1 : 0; i < expires.len; i++) {
        unsigned digit = (unsigned)expires.ptr[i] - '0';
        number = number && digit <= 9;
        seconds = seconds > EXPIRES_MAX_S ? seconds : seconds * 10 + digit;
    }
    const char *wrong = !number                   ? "X-Amz-Expires should be a number"
                        : negative                ? "X-Amz-Expires must be non-negative"
                        : seconds == 0            ? "X-Amz-Expires must be greater than 0"
                        : seconds > EXPIRES_MAX_S ? "X-Amz-Expires must be less than a week (in "
                                                    "seconds); that is, the given X-Amz-Expires "
                                                    "must be less than 604800 seconds"
                                                  : NULL;
    if (wrong != NULL) {
        sigv4_refuse(result, SIGV4_INCOMPLETE, "%s", wrong);
        return false;
    }
    out->lifetime_ms = seconds * 1000;
    return true;
}
