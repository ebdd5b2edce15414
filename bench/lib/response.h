/* One HTTP/1.1 response out of a byte stream, as far as a DynamoDB client looks at it. */
#ifndef HW_BENCH_RESPONSE_H
#define HW_BENCH_RESPONSE_H

#include "base/bytes.h"

enum response_state {
    RESPONSE_PART, /* more bytes are needed */
    RESPONSE_WHOLE,
    RESPONSE_BAD /* not HTTP/1.1, or framed in a way this reader does not know (chunked) */
};

enum response_crc { RESPONSE_CRC_RIGHT, RESPONSE_CRC_WRONG, RESPONSE_CRC_ABSENT };

struct response {
    unsigned status;
    enum response_crc crc; /* of x-amz-crc32 against the body */
    bool closes;           /* the server will close this connection */
    struct bytes body;     /* borrowed from the input */
    size_t len;            /* bytes of the input that it took */
};

/* response is whole only when RESPONSE_WHOLE is returned. */
enum response_state response_read(struct bytes input, struct response *response);
/* The error's name out of a body like {"__type":"com.amazon...#ValidationException",...}; empty if
 * there is none. */
struct bytes response_error(struct bytes body);

#endif
