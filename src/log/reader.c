/* Frames out of a file: through a window that is read ahead, by headers alone, or past the page
 * cache. A read that failed is told apart from a frame that is not there. */
#include "base/mem.h"
#include "log/log_priv.h"
#include "sys/file.h"

#define WINDOW (1u << 20)
#define WINDOW_ASIDE (256u << 10) /* a multiple of FILE_ASIDE_STEP */

enum err frame_reader_open(struct frame_reader *reader, const char *path, uint64_t segment,
                           uint64_t log_id)
{
    *reader = (struct frame_reader){.fd = -1, .segment = segment, .log_id = log_id};
    TRY(file_open(path, FILE_READ, &reader->fd));
    return file_size(reader->fd, &reader->size);
}

enum err frame_reader_open_aside(struct frame_reader *reader, const char *path, uint64_t segment,
                                 uint64_t log_id)
{
    *reader = (struct frame_reader){.fd = -1, .segment = segment, .log_id = log_id, .aside = true};
    TRY(file_open_aside(path, &reader->fd, &reader->direct));
    return file_size(reader->fd, &reader->size);
}

void frame_reader_close(struct frame_reader *reader)
{
    IGNORE(file_close(reader->fd)); /* it was only read */
    mem_free(reader->window);
    reader->fd = -1;
    reader->window = NULL;
}

static enum err read_window(struct frame_reader *reader, uint64_t offset, size_t len)
{
    size_t ahead = reader->headers_only ? HEADER : WINDOW;
    size_t want = len > ahead ? len : ahead;
    want = want > reader->size - offset ? (size_t)(reader->size - offset) : want;
    if (want > reader->window_cap) {
        mem_free(reader->window);
        reader->window = mem_alloc(want);
        reader->window_cap = want;
    }
    size_t got;
    reader->window_len = 0;
    reader->failed = file_read(reader->fd, reader->window, want, offset, &got);
    TRY(reader->failed);
    reader->window_at = offset;
    reader->window_len = got;
    return OK;
}

/* In whole steps, and a piece at a time, so that who counts the bytes can wait between them. */
static enum err read_aside(struct frame_reader *reader, uint64_t offset, size_t len)
{
    uint64_t from = offset / FILE_ASIDE_STEP * FILE_ASIDE_STEP;
    uint64_t end = offset + len > from + WINDOW_ASIDE ? offset + len : from + WINDOW_ASIDE;
    size_t want = (size_t)((end - from + FILE_ASIDE_STEP - 1) / FILE_ASIDE_STEP * FILE_ASIDE_STEP);
    if (want > reader->window_cap) {
        mem_free(reader->window);
        reader->window = mem_alloc_pages(want);
        reader->window_cap = want;
    }
    reader->window_at = from;
    reader->window_len = 0;
    while (reader->window_len < want) {
        size_t left = want - reader->window_len;
        size_t piece = left < WINDOW_ASIDE ? left : WINDOW_ASIDE;
        size_t got;
        reader->failed =
            file_read_aside(reader->fd, &reader->direct, reader->window + reader->window_len, piece,
                            from + reader->window_len, &got);
        TRY(reader->failed);
        reader->window_len += got;
        TRY(reader->read == NULL ? OK : reader->read(reader->read_arg, got));
        if (got < piece) {
            break;
        }
    }
    return OK;
}

enum err frame_reader_bytes(struct frame_reader *reader, uint64_t offset, size_t len,
                            struct bytes *out)
{
    if (offset > reader->size || len > reader->size - offset) {
        return ERR_NOT_FOUND;
    }
    bool inside = reader->window != NULL && offset >= reader->window_at &&
                  offset + len <= reader->window_at + reader->window_len;
    if (!inside) {
        TRY(reader->aside ? read_aside(reader, offset, len) : read_window(reader, offset, len));
        if (reader->window_at + reader->window_len < offset + len) {
            return ERR_NOT_FOUND;
        }
    }
    *out = bytes_of(reader->window + (offset - reader->window_at), len);
    return OK;
}

enum err frame_reader_at(struct frame_reader *reader, uint64_t offset, struct frame_header *header,
                         struct bytes *payload)
{
    struct bytes sector;
    struct bytes whole;
    TRY(frame_reader_bytes(reader, offset, HEADER, &sector));
    const struct segment_id id = {reader->segment, reader->last_segment, reader->generation};
    if (!frame_header_in(sector, reader->log_id, id, header)) {
        return ERR_NOT_FOUND;
    }
    enum err err = frame_reader_bytes(reader, offset, HEADER + (size_t)header->payload_len, &whole);
    if (err != OK) {
        return err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
    }
    *payload = bytes_of(whole.ptr + HEADER, header->payload_len);
    return frame_payload_ok(header, *payload) ? OK : ERR_DAMAGED;
}
