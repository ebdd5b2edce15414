/* The sockets block when they send: a server that is alive always reads, and one that is dead
 * resets the connection. */
#include "ledger/wire.h"

#include "lib/request.h"

#include "sys/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536u
#define ANSWER_BYTES_MAX (64u * 1024u * 1024u)

void wire_init(struct wire *wire, const char *key_id, const char *secret, const char *region)
{
    signer_init(&wire->signer, bytes_cstr(key_id), bytes_cstr(secret), bytes_cstr(region),
                BYTES("dynamodb"));
    signer_init(&wire->wrong_signer, bytes_cstr(key_id), BYTES("not the secret"),
                bytes_cstr(region), BYTES("dynamodb"));
    buf_init(&wire->request, ANSWER_BYTES_MAX);
}

void wire_fini(struct wire *wire)
{
    buf_fini(&wire->request);
}

void link_init(struct link *link)
{
    *link = (struct link){.fd = -1};
    buf_init(&link->in, ANSWER_BYTES_MAX);
}

enum err link_open(struct link *link, const struct wire *wire)
{
    buf_clear(&link->in);
    link->closes = false;
    return peer_connect(&wire->peer, &link->fd);
}

void link_close(struct link *link)
{
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
    buf_fini(&link->in);
}

enum err link_send(struct link *link, struct wire *wire, const char *target, struct bytes body,
                   bool wrong_signature)
{
    struct signer *signer = wrong_signature ? &wire->wrong_signer : &wire->signer;
    buf_clear(&wire->request);
    buf_clear(&link->in);
    signer_set_time(signer, clock_wall_ms());
    request_write(&wire->request, bytes_cstr(wire->peer.host), bytes_cstr(target), body, signer);
    struct bytes rest = buf_bytes(&wire->request);
    while (rest.len > 0) {
        ssize_t sent = send(link->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return ERR_IO;
        }
        rest = bytes_of(rest.ptr + sent, rest.len - (size_t)sent);
    }
    return OK;
}

static enum link_state receive(struct link *link, struct response *response, int flags)
{
    for (;;) {
        uint8_t *room = buf_room(&link->in, READ_BYTES);
        ssize_t got = room == NULL ? 0 : recv(link->fd, room, READ_BYTES, flags);
        if (got < 0 && errno == EAGAIN && flags != 0) {
            return LINK_PART;
        }
        if (got <= 0) {
            return LINK_LOST;
        }
        link->in.len += (size_t)got;
        enum response_state state = response_read(buf_bytes(&link->in), response);
        if (state == RESPONSE_WHOLE && response->crc != RESPONSE_CRC_WRONG) {
            link->closes = response->closes;
            return LINK_WHOLE;
        }
        if (state != RESPONSE_PART) {
            return LINK_LOST;
        }
    }
}

enum link_state link_receive(struct link *link, struct response *response)
{
    return receive(link, response, MSG_DONTWAIT);
}

enum err link_call(struct link *link, struct wire *wire, const char *target, struct bytes body,
                   struct response *response)
{
    if (link->closes) {
        link_close(link);
    }
    if (link->fd < 0) {
        TRY(link_open(link, wire));
    }
    TRY(link_send(link, wire, target, body, false));
    return receive(link, response, 0) == LINK_WHOLE ? OK : ERR_IO;
}
