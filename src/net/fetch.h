/* One HTTP request to another server, blocking: for commands, never on a loop. By libcurl. */
#ifndef HW_NET_FETCH_H
#define HW_NET_FETCH_H

#include "base/buf.h"

struct fetch; /* a connection that is kept between requests */

/* authorities: PEM file of who may sign a server's certificate; NULL or empty: the system's. NULL:
 * memory. */
struct fetch *fetch_open(const char *authorities);
void fetch_close(struct fetch *fetch);
/* POSTs body to url. headers: complete lines, each ended by "\r\n". The answer's body replaces out.
 * ERR_IO: nothing was answered, why says what happened (room bytes). */
MUST_USE enum err fetch_post(struct fetch *fetch, const char *url, struct bytes headers,
                             struct bytes body, unsigned *status, struct buf *out, char *why,
                             size_t room);

#endif
