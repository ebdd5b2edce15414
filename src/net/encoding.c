/* Which encoding an answer may have, by the request's Accept-Encoding, with the choices that
 * DynamoDB was seen to make: of gzip and deflate the one with the greater quality, of equals the
 * one named first; "*" stands for those not named and comes after them, gzip first; identity counts
 * for nothing. A quality that is no number is 1, as is one above 1. Of several such headers the
 * last one counts. */
#include "net/http.h"

#define QUALITY_ONE 1000000u /* in millionths; digits behind those are not read */

struct choice {
    enum http_encoding encoding;
    unsigned quality;
};

static unsigned quality_of(struct bytes text)
{
    uint64_t quality = 0;
    unsigned unit = QUALITY_ONE; /* what a digit counts for */
    bool point = false;
    bool negative = text.len > 1 && text.ptr[0] == '-';
    for (size_t i = negative ? 1 : 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.ptr[i] - '0';
        if (text.ptr[i] == '.' && !point) {
            point = true;
        } else if (digit > 9) {
            return QUALITY_ONE;
        } else if (point) {
            unit /= 10;
            quality += (uint64_t)digit * unit;
        } else if (quality <= QUALITY_ONE) {
            quality = quality * 10 + (uint64_t)digit * unit;
        }
    }
    return text.len == 0 || quality > QUALITY_ONE ? QUALITY_ONE : negative ? 0 : (unsigned)quality;
}

/* The first q among the parameters. */
static unsigned quality_among(struct bytes parameters)
{
    while (parameters.len > 0) {
        struct bytes value = bytes_cut(&parameters, ';');
        struct bytes name = bytes_trim(bytes_cut(&value, '='), BYTES_BLANK);
        if (bytes_equal_nocase(name, BYTES("q"))) {
            return quality_of(bytes_trim(value, BYTES_BLANK));
        }
    }
    return QUALITY_ONE;
}

static void prefer(struct choice *best, enum http_encoding encoding, unsigned quality)
{
    if (quality > best->quality) {
        *best = (struct choice){encoding, quality};
    }
}

static struct bytes last_header(const struct http_request *request, struct bytes name)
{
    for (size_t i = request->header_count; i > 0; i--) {
        if (bytes_equal_nocase(request->headers[i - 1].name, name)) {
            return request->headers[i - 1].value;
        }
    }
    return BYTES_NONE;
}

enum http_encoding http_accepted_encoding(const struct http_request *request)
{
    struct choice best = {HTTP_ENCODING_IDENTITY, 0};
    struct bytes rest = last_header(request, BYTES("accept-encoding"));
    bool gzip = false;
    bool deflate = false;
    unsigned any = 0;
    while (rest.len > 0) {
        struct bytes parameters = bytes_cut(&rest, ',');
        struct bytes name = bytes_trim(bytes_cut(&parameters, ';'), BYTES_BLANK);
        unsigned quality = quality_among(parameters);
        if (bytes_equal_nocase(name, BYTES("gzip"))) {
            gzip = true;
            prefer(&best, HTTP_ENCODING_GZIP, quality);
        } else if (bytes_equal_nocase(name, BYTES("deflate"))) {
            deflate = true;
            prefer(&best, HTTP_ENCODING_DEFLATE, quality);
        } else if (bytes_equal_nocase(name, BYTES("*"))) {
            any = quality;
        }
    }
    if (!gzip) {
        prefer(&best, HTTP_ENCODING_GZIP, any);
    }
    if (!deflate) {
        prefer(&best, HTTP_ENCODING_DEFLATE, any);
    }
    return best.encoding;
}
