/* TLS between a connection's socket and its bytes: 1.2 and 1.3 with AEAD suites only, no
 * renegotiation, no compression, HTTP/1.1 by ALPN, sessions resumed by tickets alone.
 *
 * OpenSSL never sees the socket. What was read is lent to it while it is unsealed, what it wants
 * sent gathers in the stream's own buffer and leaves in the turn's flush like everything else, so a
 * loop still makes one read and one write a turn and connection. A certificate is immutable and
 * counted: connections keep the one that they began with (net I9). */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/mem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <time.h>

#define SUITES_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define RECORD_TYPE_HANDSHAKE 22u /* what a client's first record is */
/* Records add up to 22 bytes to 16 KiB. */
#define SEALED_BYTES_MAX (OUT_BYTES_MAX + OUT_BYTES_MAX / 512 + READ_BYTES)

static int bio_read(BIO *bio, char *out, int len);
static int bio_write(BIO *bio, const char *data, int len);
static long bio_control(BIO *bio, int command, long number, void *pointer);
static bool begins_as_tls(struct connection *connection, struct bytes data);
static void end_stream(struct connection *connection);

/* ---- certificates ---- */

struct tls {
    SSL_CTX *context; /* its own count is the count of this */
};

static int no_password(char *buffer, int size, int writing, void *arg)
{
    (void)buffer, (void)size, (void)writing, (void)arg;
    return 0;
}

/* A client that offers protocols and not ours speaks something else. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *context)
{
    static const unsigned char name[] = "headwater";
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, SUITES_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(context, SUITES_1_3) == 1 &&
           SSL_CTX_set_session_id_context(context, name, sizeof(name) - 1) == 1;
}

static const char *first_reason(void)
{
    unsigned long code = ERR_peek_error(); /* the first: those behind it say where it was met */
    const char *reason = ERR_SYSTEM_ERROR(code)
                             ? uv_strerror(uv_translate_sys_error(ERR_GET_REASON(code)))
                             : ERR_reason_error_string(code);
    return reason == NULL ? "unknown" : reason;
}

static enum err refuse(SSL_CTX *context, char *why, size_t room, const char *what, const char *file)
{
    snprintf(why, room, "%s %s: %s", what, file, first_reason());
    ERR_clear_error();
    SSL_CTX_free(context);
    return ERR_INVALID;
}

enum err tls_open(const char *certificate, const char *key, struct tls **out, char *why,
                  size_t room)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || !set_up(context)) {
        return refuse(context, why, room, "cannot prepare TLS for", certificate);
    }
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
        return refuse(context, why, room, "cannot read the certificate", certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        return refuse(context, why, room, "cannot read the key", key);
    }
    struct tls *tls = mem_zalloc(1, sizeof(*tls));
    tls->context = context;
    *out = tls;
    return OK;
}

struct tls *tls_share(struct tls *tls)
{
    struct tls *copy = mem_zalloc(1, sizeof(*copy));
    SSL_CTX_up_ref(tls->context);
    copy->context = tls->context;
    return copy;
}

void tls_close(struct tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        mem_free(tls);
    }
}

uint64_t tls_ends_s(const struct tls *tls)
{
    struct tm parts;
    const X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
        return 0;
    }
    time_t seconds = timegm(&parts);
    return seconds < 0 ? 0 : (uint64_t)seconds;
}

/* ---- streams ---- */

struct tls_stream {
    SSL *ssl;
    struct bytes in; /* lent while it is unsealed */
    struct buf out;  /* sealed, to be sent */
    bool begun;      /* the first byte was looked at */
    bool failed;     /* only the alert is still sent */
};

static BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method; /* made before threads, by the first tls_prepare */
    if (method == NULL) {
        method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "connection");
        ASSERT(method != NULL);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

void tls_prepare(void)
{
    (void)bio_method();
}

bool tls_begin(struct connection *connection)
{
    BIO *bio = BIO_new(bio_method());
    SSL *ssl = SSL_new(connection->loop->tls->context);
    if (bio == NULL || ssl == NULL) {
        BIO_free(bio);
        SSL_free(ssl);
        return false;
    }
    struct tls_stream *stream = mem_zalloc(1, sizeof(*stream));
    stream->ssl = ssl;
    buf_init(&stream->out, SEALED_BYTES_MAX);
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* takes both */
    SSL_set_accept_state(ssl);
    connection->tls = stream;
    connection->state = CONNECTION_HANDSHAKE;
    return true;
}

void tls_end(struct tls_stream *stream)
{
    if (stream != NULL) {
        SSL_free(stream->ssl);
        buf_fini(&stream->out);
        mem_free(stream);
    }
}

static int bio_read(BIO *bio, char *out, int len)
{
    struct tls_stream *stream = BIO_get_data(bio);
    size_t taken = stream->in.len < (size_t)len ? stream->in.len : (size_t)len;
    BIO_clear_retry_flags(bio);
    if (taken == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, stream->in.ptr, taken);
    stream->in = bytes_of(stream->in.ptr + taken, stream->in.len - taken);
    return (int)taken;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_add(&stream->out, bytes_of(data, (size_t)len));
    return stream->out.failed ? -1 : len;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

void tls_data(struct connection *connection, struct bytes data)
{
    struct tls_stream *stream = connection->tls;
    struct loop *loop = connection->loop;
    if (!stream->begun && !begins_as_tls(connection, data)) {
        return;
    }
    stream->begun = true;
    stream->in = data;
    while (!connection->closed && connection->state != CONNECTION_CLOSING) {
        ERR_clear_error();
        int len = SSL_read(stream->ssl, loop->plain_buffer, sizeof(loop->plain_buffer));
        int error = len > 0 ? SSL_ERROR_NONE : SSL_get_error(stream->ssl, len);
        if (connection->state == CONNECTION_HANDSHAKE && SSL_is_init_finished(stream->ssl)) {
            connection->state = CONNECTION_IDLE;
            connection->since_ms = uv_now(&loop->uv);
            figure_add(&loop->tls_handshakes, 1);
        }
        if (len > 0) {
            connection_data(connection, bytes_of(loop->plain_buffer, (size_t)len));
        } else if (error == SSL_ERROR_ZERO_RETURN) {
            connection_peer_end(connection);
            break;
        } else if (error != SSL_ERROR_WANT_READ) {
            end_stream(connection);
            break;
        } else {
            break;
        }
    }
    stream->in = BYTES_NONE;
    if (stream->out.len > 0) {
        connection_dirty(connection);
    }
}

/* Whoever speaks plain HTTP to us is told so, in plain HTTP. */
static bool begins_as_tls(struct connection *connection, struct bytes data)
{
    if (data.ptr[0] == RECORD_TYPE_HANDSHAKE) {
        return true;
    }
    tls_end(connection->tls);
    connection->tls = NULL;
    figure_add(&connection->loop->tls_failed, 1);
    if (data.ptr[0] >= 'A' && data.ptr[0] <= 'Z') {
        http_refuse_with(connection, 400, BYTES("This port speaks HTTPS: call it by https://\n"));
    } else {
        connection_close(connection);
    }
    return false;
}

/* The peer broke the rules. It gets the alert that OpenSSL has written, if nobody else waits. */
static void end_stream(struct connection *connection)
{
    ERR_clear_error();
    connection->tls->failed = true;
    figure_add(&connection->loop->tls_failed, 1);
    if (connection->state == CONNECTION_BUSY || connection->state == CONNECTION_WS) {
        connection_close(connection);
    } else {
        buf_clear(&connection->out);
        connection_finish(connection);
    }
}

struct buf *tls_seal(struct connection *connection)
{
    struct tls_stream *stream = connection->tls;
    struct buf *out = &connection->out;
    for (size_t at = 0; at < out->len && !stream->failed;) {
        size_t len = out->len - at > INT_MAX ? INT_MAX : out->len - at;
        ERR_clear_error();
        int sealed = SSL_write(stream->ssl, out->ptr + at, (int)len);
        if (sealed <= 0) {
            stream->failed = true; /* it has no room, or was told to end */
            return NULL;
        }
        at += (size_t)sealed;
    }
    if (out->cap > KEEP_BYTES) {
        buf_fini(out);
    }
    buf_clear(out);
    return &stream->out;
}

struct buf *tls_farewell(struct connection *connection)
{
    struct tls_stream *stream = connection->tls;
    if (!stream->failed && SSL_is_init_finished(stream->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
    return &stream->out;
}

void tls_slim(struct tls_stream *stream)
{
    if (stream != NULL && stream->out.len == 0) {
        buf_fini(&stream->out);
    }
}

bool tls_is_quiet(const struct tls_stream *stream)
{
    return stream->out.len == 0;
}
