/* The index of a segment: which records of which stream it holds, and where. Built while the
 * segment is open, written behind its end frame by the worker, loaded by readers; derived, so a
 * missing or damaged one is made again from the frames (log I11). */
#include "base/cursor.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdlib.h>

#define ENTRY_BYTES 37u

struct segment_index *index_new(void)
{
    return mem_zalloc(1, sizeof(struct segment_index));
}

void index_free(struct segment_index *index)
{
    if (index == NULL) {
        return;
    }
    for (size_t i = 0; i < index->count; i++) {
        mem_free(index->streams[i].entries);
    }
    mem_free(index->streams);
    mem_free(index);
}

/* Streams are kept in order of id: few, and found by bisection. */
static size_t place_of(const struct segment_index *index, uint64_t stream)
{
    size_t low = 0;
    size_t high = index->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (index->streams[middle].stream < stream) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct stream_index *index_find(const struct segment_index *index, uint64_t stream)
{
    size_t at = place_of(index, stream);
    return at < index->count && index->streams[at].stream == stream ? &index->streams[at] : NULL;
}

void index_add(struct segment_index *index, uint64_t stream, const struct index_entry *entry)
{
    size_t at = index->last < index->count && index->streams[index->last].stream == stream
                    ? index->last
                    : place_of(index, stream);
    if (at == index->count || index->streams[at].stream != stream) {
        if (index->count == index->cap) {
            index->cap = index->cap == 0 ? 8 : index->cap * 2;
            index->streams = mem_realloc(index->streams, index->cap * sizeof(index->streams[0]));
        }
        memmove(&index->streams[at + 1], &index->streams[at],
                (index->count - at) * sizeof(index->streams[0]));
        index->streams[at] = (struct stream_index){.stream = stream};
        index->count++;
        index->bytes += 12;
    }
    struct stream_index *list = &index->streams[at];
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 64 : list->cap * 2;
        list->entries = mem_realloc(list->entries, list->cap * sizeof(list->entries[0]));
    }
    list->entries[list->count++] = *entry;
    index->last = at;
    index->bytes += ENTRY_BYTES;
}

/* ---- on disk ---- */

void index_encode(const struct segment_index *index, struct buf *out)
{
    buf_add_u32(out, (uint32_t)index->count);
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        buf_add_u64(out, list->stream);
        buf_add_u32(out, (uint32_t)list->count);
        for (size_t j = 0; j < list->count; j++) {
            const struct index_entry *entry = &list->entries[j];
            buf_add_u64(out, entry->key_hash);
            buf_add_u64(out, entry->commit);
            buf_add_u32(out, entry->index);
            buf_add_u32(out, entry->count);
            buf_add_u32(out, entry->frame_sector);
            buf_add_u32(out, entry->offset);
            buf_add_u32(out, entry->len);
            buf_add_byte(out, entry->kind);
        }
    }
}

enum err index_decode(struct bytes payload, struct segment_index *index)
{
    struct cursor cursor = cursor_of(payload);
    uint32_t streams;
    TRY(cursor_u32(&cursor, &streams));
    for (uint32_t i = 0; i < streams; i++) {
        uint64_t stream;
        uint32_t entries;
        TRY(cursor_u64(&cursor, &stream));
        TRY(cursor_u32(&cursor, &entries));
        for (uint32_t j = 0; j < entries; j++) {
            struct index_entry entry = {0};
            TRY(cursor_u64(&cursor, &entry.key_hash));
            TRY(cursor_u64(&cursor, &entry.commit));
            TRY(cursor_u32(&cursor, &entry.index));
            TRY(cursor_u32(&cursor, &entry.count));
            TRY(cursor_u32(&cursor, &entry.frame_sector));
            TRY(cursor_u32(&cursor, &entry.offset));
            TRY(cursor_u32(&cursor, &entry.len));
            TRY(cursor_u8(&cursor, &entry.kind));
            index_add(index, stream, &entry);
        }
    }
    return cursor_left(&cursor) == 0 ? OK : ERR_DAMAGED;
}

enum err index_write(struct log *log, struct segment *segment, const struct segment_index *index)
{
    struct buf out;
    char path[4200];
    int fd = -1;
    uint32_t crc;
    static const uint8_t header_room[HEADER];
    buf_init(&out, 0xffffffffu);
    buf_add(&out, bytes_of(header_room, sizeof(header_room)));
    index_encode(index, &out);
    if (out.failed) {
        buf_fini(&out);
        return ERR_RANGE;
    }
    const struct frame_header header = {.segment = segment->number,
                                        .last_segment = segment->last_number,
                                        .generation = segment->generation,
                                        .first_commit = segment->last_commit + 1,
                                        .time_ms = segment->last_time_ms,
                                        .log_id = log->id,
                                        .payload_len = (uint32_t)(out.len - HEADER),
                                        .kind = FRAME_INDEX};
    frame_seal(out.ptr, &header, &crc);
    segment_file(log, segment, path, sizeof(path));
    enum err err = file_open(path, FILE_UPDATE, &fd);
    if (err == OK) {
        err = file_write(fd, out.ptr, out.len, segment->used);
        err = err != OK ? err : file_truncate(fd, segment->used + sectors_of(out.len));
        err = err != OK ? err : file_sync(fd);
        enum err closed = file_close(fd);
        err = err != OK ? err : closed;
    }
    if (err == OK) {
        segment->index_at = segment->used;
        segment->size = segment->used + sectors_of(out.len);
    }
    buf_fini(&out);
    return err;
}

struct building {
    struct segment_index *index;
    uint32_t sector;
};

static enum err build_record(void *arg, const struct log_record *record, uint32_t offset)
{
    struct building *building = arg;
    if (record->stream != 0) {
        const struct index_entry entry = {.key_hash = record->key_hash,
                                          .commit = record->commit,
                                          .index = record->index,
                                          .count = record->count,
                                          .frame_sector = building->sector,
                                          .offset = offset,
                                          .len = (uint32_t)record->body.len,
                                          .kind = record->kind};
        index_add(building->index, record->stream, &entry);
    }
    return OK;
}

/* Of a file's frames, which must be all of them, each in its place. ERR_NOT_FOUND: one is not. */
static enum err index_build(const struct segment *segment, struct frame_reader *reader,
                            struct segment_index *index)
{
    struct building building = {.index = index};
    struct frame_chain chain = {.next_commit = segment->first_commit};
    struct summary summary = {0};
    struct frame_header header;
    struct bytes payload;
    if (segment->generation != 0) {
        TRY(summary_read(reader, &summary));
        summary_free(&summary);
    }
    for (uint64_t at = 0; at < segment->used;
         at += sectors_of(HEADER + (uint64_t)header.payload_len)) {
        TRY(frame_reader_at(reader, at, &header, &payload));
        TRY(frame_follows(&chain, &header) ? OK : ERR_DAMAGED);
        if (header.kind == FRAME_DATA || header.kind == FRAME_KEPT) {
            building.sector = (uint32_t)(at / SECTOR);
            TRY(frame_walk(&header, payload, build_record, &building));
        }
    }
    bool all = segment->generation != 0 ? chain.crc == summary.kept_crc
                                        : chain.next_commit == segment->last_commit + 1;
    return all ? OK : ERR_DAMAGED;
}

/* The worker is to look at it once more; anew: what is on the disk does not do. */
static void ask_worker(struct log *log, const struct segment *copy, bool anew)
{
    pthread_mutex_lock(&log->mutex);
    struct segment *segment = scan_find(log, copy->number);
    if (segment != NULL && segment->generation == copy->generation) {
        segment->indexed &= !anew;
        segment->index_refused = false;
        segment_unsettle(log, segment);
        pthread_cond_signal(&log->worker_wake);
    }
    pthread_mutex_unlock(&log->mutex);
}

void index_write_again(struct log *log, const struct segment *copy)
{
    ask_worker(log, copy, true);
}

/* ERR_DAMAGED also where there is none. */
static enum err index_read(const struct segment *segment, struct frame_reader *reader,
                           struct segment_index *index)
{
    struct frame_header header;
    struct bytes payload;
    enum err err = frame_reader_at(reader, segment->index_at, &header, &payload);
    if (err == OK) {
        return header.kind == FRAME_INDEX ? index_decode(payload, index) : ERR_DAMAGED;
    }
    return err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
}

/* A read that fails says nothing of the bytes that it was for: it is told, and the next one may
 * succeed. */
enum err index_load(struct log *log, const struct segment *wanted, struct segment_index **out)
{
    struct segment copy = *wanted;
    const struct segment *segment = &copy;
    struct frame_reader reader;
    char path[4200];
    TRY(segment_measure(log, &copy));
    TRY(segment_reader(log, segment, &reader, path, sizeof(path)));
    struct segment_index *index = index_new();
    enum err err = segment->indexed ? index_read(segment, &reader, index) : ERR_NOT_FOUND;
    if (err == ERR_DAMAGED) {
        NOTE(NOTE_WARN, "log.index_made_again", NOTE_S("file", path));
        index_write_again(log, segment);
        index_free(index);
        index = index_new();
    }
    if (err == ERR_DAMAGED || err == ERR_NOT_FOUND) {
        err = index_build(segment, &reader, index);
        err = err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
    }
    frame_reader_close(&reader);
    if (err == ERR_DAMAGED) {
        NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", path));
    }
    if (err != OK) {
        index_free(index);
        return err;
    }
    if (segment->index_refused) {
        ask_worker(log, segment, false);
    }
    *out = index;
    return OK;
}
