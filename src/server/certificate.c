/* The certificate that the address is served with: read before anything listens, read again on
 * SIGHUP. A loop is handed the new one as a message and takes it for the connections that come
 * then, so none is dropped; what cannot be read leaves the old one in place. */
#include "base/mem.h"
#include "base/note.h"
#include "server/server.h"

#include <stdio.h>

struct renewal {
    struct message message; /* first */
    struct loop *loop;
    struct tls *tls;
};

static void note_certificate(struct server *server, const char *event)
{
    uint64_t ends_s = tls_ends_s(server->tls);
    atomic_store_explicit(&server->tls_ends_s, ends_s, memory_order_relaxed);
    NOTE(NOTE_INFO, event, NOTE_S("certificate", server->config.tls_cert),
         NOTE_U("ends_s", ends_s));
}

bool certificate_open(struct server *server, char *why, size_t room)
{
    const struct config *config = &server->config;
    bool certificate = config->tls_cert[0] != 0;
    bool key = config->tls_key[0] != 0;
    if (certificate != key) {
        snprintf(why, room, "option tls-%s is given without tls-%s: TLS needs both",
                 certificate ? "cert" : "key", certificate ? "key" : "cert");
        return false;
    }
    if (!certificate) {
        return true;
    }
    if (tls_open(config->tls_cert, config->tls_key, &server->tls, why, room) != OK) {
        return false;
    }
    note_certificate(server, "tls.certificate");
    return true;
}

void certificate_use(struct server *server, struct loop *loop)
{
    if (server->tls != NULL) {
        loop_use_tls(loop, tls_share(server->tls));
    }
}

static void on_renewal(struct message *message)
{
    struct renewal *renewal = (struct renewal *)message;
    loop_use_tls(renewal->loop, renewal->tls);
    mem_free(renewal);
}

void certificate_renew(struct server *server)
{
    char why[512];
    struct tls *fresh = NULL;
    if (tls_open(server->config.tls_cert, server->config.tls_key, &fresh, why, sizeof(why)) != OK) {
        NOTE(NOTE_ERROR, "tls.certificate_kept", NOTE_S("reason", why),
             NOTE_U("ends_s", tls_ends_s(server->tls)));
        return;
    }
    tls_close(server->tls);
    server->tls = fresh;
    note_certificate(server, "tls.certificate_renewed");
    for (unsigned i = 0; i < server->loop_count; i++) {
        struct renewal *renewal = mem_zalloc(1, sizeof(*renewal));
        *renewal = (struct renewal){
            .message = {.run = on_renewal}, .loop = server->loops[i].loop, .tls = tls_share(fresh)};
        mailbox_post(loop_mailbox(renewal->loop), &renewal->message);
    }
}
