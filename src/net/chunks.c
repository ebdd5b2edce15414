/* Chunked bodies (RFC 9112, 7.1), byte by byte and strictly: CR LF where they belong and nowhere
 * else, no blanks beside a size, no trailers. The packaged http_parser takes any byte for some of
 * these, and a server behind or before this one may not: then the two disagree where the next
 * request begins, and that is how requests are smuggled. */
#include "net/net_priv.h"

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A byte of a size's line. False: it may not stand there. */
static bool read_size(struct chunk_reader *reader, uint8_t c)
{
    int digit = hex_value(c);
    if (reader->state == CHUNK_SIZE && digit >= 0) {
        reader->left = reader->left << 4 | (unsigned)digit;
        return ++reader->line_len <= CHUNK_DIGITS_MAX;
    }
    if (c == '\r') {
        reader->state = CHUNK_SIZE_END;
        return reader->line_len > 0;
    }
    bool begins = reader->state == CHUNK_SIZE && c == ';' && reader->line_len > 0;
    bool goes_on = reader->state == CHUNK_EXTENSION && (c == '\t' || (c >= ' ' && c != 0x7f));
    reader->state = CHUNK_EXTENSION;
    return (begins || goes_on) && ++reader->line_len <= CHUNK_LINE_MAX;
}

/* A byte outside the data. False: it may not stand there. */
static bool read_frame(struct chunk_reader *reader, uint8_t c)
{
    switch (reader->state) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        return read_size(reader, c);
    case CHUNK_SIZE_END:
        reader->state = reader->left > 0 ? CHUNK_DATA : CHUNK_LAST;
        return c == '\n';
    case CHUNK_DATA:
        reader->state = CHUNK_DATA_END; /* only when nothing of it is left */
        return c == '\r';
    case CHUNK_DATA_END:
        reader->state = CHUNK_SIZE;
        reader->line_len = 0;
        return c == '\n';
    case CHUNK_LAST:
        reader->state = CHUNK_LAST_END;
        return c == '\r';
    case CHUNK_LAST_END:
        reader->state = CHUNK_DONE;
        return c == '\n';
    case CHUNK_DONE:
        return false;
    }
    return false;
}

enum err chunks_read(struct chunk_reader *reader, struct bytes data, struct buf *out, size_t *taken)
{
    size_t at = 0;
    while (at < data.len && reader->state != CHUNK_DONE) {
        if (reader->state == CHUNK_DATA && reader->left > 0) {
            size_t run = data.len - at < reader->left ? data.len - at : (size_t)reader->left;
            buf_add(out, bytes_of(data.ptr + at, run));
            if (out->failed) {
                return ERR_RANGE;
            }
            reader->left -= run;
            at += run;
        } else if (!read_frame(reader, data.ptr[at++])) {
            return ERR_INVALID;
        }
    }
    *taken = at;
    return OK;
}
