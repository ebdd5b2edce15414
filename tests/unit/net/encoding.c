/* The encoding of an answer is the one that DynamoDB was seen to choose. */
#include "net/http.h"

#include "check.h"

static enum http_encoding chosen(const char *first, const char *second)
{
    struct http_request request = {0};
    request.headers[request.header_count++] =
        (struct http_header){BYTES("Host"), BYTES("localhost")};
    if (first != NULL) {
        request.headers[request.header_count++] =
            (struct http_header){BYTES("AcCePt-EnCoDiNg"), bytes_cstr(first)};
    }
    if (second != NULL) {
        request.headers[request.header_count++] =
            (struct http_header){BYTES("accept-encoding"), bytes_cstr(second)};
    }
    return http_accepted_encoding(&request);
}

static void choices_are_dynamodbs(void)
{
    enum { NONE = HTTP_ENCODING_IDENTITY, GZIP = HTTP_ENCODING_GZIP, DEFL = HTTP_ENCODING_DEFLATE };
    static const struct {
        const char *accepted;
        unsigned encoding;
    } cases[] = {
        {"", NONE},
        {"identity", NONE},
        {"br", NONE},
        {"zstd", NONE},
        {"compress", NONE},
        {"x-gzip", NONE},
        {"gzip", GZIP},
        {"deflate", DEFL},
        {"gzip, deflate", GZIP},
        {"br, identity, deflate, gzip", DEFL},
        {"GZIP, identity", GZIP},
        {"dog, gzip ,, cat", GZIP},
        {"gzip;q=0.8, deflate;q=0.5", GZIP},
        {"br, gzip;q=0, deflate; q = 0.5 , identity;q=0", DEFL},
        {"*", GZIP},
        {"*, deflate;q=0.5", GZIP},
        {"*, deflate", DEFL},
        {"*, identity", GZIP},
        {"*, gzip;q=0.5", DEFL},
        {"gzip ;q=0", NONE},
        {"identity;q=0", NONE},
        {"*;q=0", NONE},
        {"*;q=0.5,identity", GZIP},
        {"gzip;q=0.5,identity;q=0.8", GZIP},
        {"br;q=0.8,identity;q=0.5,*;q=0", NONE},
        {"\"gzip\"", NONE},
        {"gzip br", NONE},
        {"gzip:q=1", NONE},
        {"deflate;q=0.5, gzip;q=31", GZIP},
        {"gzip;q=31,deflate;q=51", GZIP},
        {"deflate;q=0.5, gzip;q=0.2", DEFL},
        {"deflate;q=0.5, gzip;q=1;q=0.2", GZIP},
        {"deflate;q=0.5,gzip;q=0.", DEFL},
        {"deflate;q=0.5,gzip;q=0.x", GZIP},
        {"deflate;q=0.5,gzip;q=0.   x", GZIP},
        {"deflate;q=-0.5,gzip;q=0.2", GZIP},
        {"gzip;nq=1;q=0 ", NONE},
        {"gzip;q=0, gzip;q=1, gzip;q=0", GZIP},
        {"br,identity;q=0.5,gzip;q=0.0001", GZIP},
        /* Not observed: bounds of our own reading. */
        {"gzip;q=99999999999999999999", GZIP},
        {"deflate;q=0.000001,gzip;q=0.000001999", DEFL},
        {"gzip;q=0.0000009", NONE},
        {"gzip;q=", GZIP},
        {"gzip;q", GZIP},
        {";", NONE},
        {",,;q=1,=", NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (chosen(cases[i].accepted, NULL) != cases[i].encoding) {
            printf("'%s' gives %u\n", cases[i].accepted, chosen(cases[i].accepted, NULL));
            CHECK(false);
        }
    }
    CHECK(chosen(NULL, NULL) == HTTP_ENCODING_IDENTITY);
    CHECK(chosen("identity", "gzip") == HTTP_ENCODING_GZIP);
    CHECK(chosen("gzip", "identity") == HTTP_ENCODING_IDENTITY);
}

int main(void)
{
    RUN(choices_are_dynamodbs);
    return CHECK_RESULT();
}
