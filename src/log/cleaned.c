/* Cleaned files: what is alive of some neighbouring segments, in one file that stands for all of
 * them. Its frames say for themselves which commit each record is of, since commits have gaps in
 * it. It gets its name when it is whole and synced, so that it is never half there (log I15, I16).
 */
#include "base/assert.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT_FRAME_BYTES 65536u
#define RECORD_COST 64u /* of a record in a file, beside its body */
#define SYNC_BYTES (1u << 20)

/* ---- trim points ---- */

static size_t place_in(const struct dropped *items, size_t count, uint64_t stream)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items[middle].stream < stream) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct dropped *insert(struct dropped **items, size_t *count, size_t *cap, size_t at)
{
    if (*count == *cap) {
        *cap = *cap == 0 ? 16 : *cap * 2;
        *items = mem_realloc(*items, *cap * sizeof(**items));
    }
    memmove(*items + at + 1, *items + at, (*count - at) * sizeof(**items));
    ++*count;
    return *items + at;
}

uint64_t trims_of(struct trims *trims, uint64_t stream)
{
    size_t at = place_in(trims->items, trims->count, stream);
    if (at == trims->count || trims->items[at].stream != stream) {
        struct dropped answer = {stream, trims->ask->trim(trims->ask->arg, stream)};
        *insert(&trims->items, &trims->count, &trims->cap, at) = answer;
    }
    return trims->items[at].commit;
}

void trims_clear(struct trims *trims)
{
    mem_free(trims->items);
    trims->items = NULL;
    trims->count = 0;
    trims->cap = 0;
}

void dropped_add(struct dropped_list *list, uint64_t stream, uint64_t commit)
{
    size_t at = place_in(list->items, list->count, stream);
    if (at == list->count || list->items[at].stream != stream) {
        *insert(&list->items, &list->count, &list->cap, at) = (struct dropped){stream, commit};
    } else if (list->items[at].commit < commit) {
        list->items[at].commit = commit;
    }
}

uint64_t log_dropped(struct log *log, uint64_t stream)
{
    pthread_mutex_lock(&log->mutex);
    const struct dropped_list *list = &log->dropped;
    size_t at = place_in(list->items, list->count, stream);
    bool known = at < list->count && list->items[at].stream == stream;
    uint64_t commit = known ? list->items[at].commit : 0;
    pthread_mutex_unlock(&log->mutex);
    return commit;
}

/* ---- how much is alive ---- */

static int by_bytes(const void *left, const void *right)
{
    const struct live_stream *a = left;
    const struct live_stream *b = right;
    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

struct segment_live *live_of(const struct segment_index *index)
{
    struct live_stream *all = mem_zalloc(index->count + 1, sizeof(*all));
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        all[i] = (struct live_stream){.stream = list->stream,
                                      .first_commit = list->entries[0].commit,
                                      .last_commit = list->entries[list->count - 1].commit};
        for (size_t j = 0; j < list->count; j++) {
            all[i].bytes += list->entries[j].len + RECORD_COST;
        }
    }
    qsort(all, index->count, sizeof(*all), by_bytes);
    size_t count = index->count < LIVE_STREAMS_MAX ? index->count : LIVE_STREAMS_MAX;
    struct segment_live *live = mem_zalloc(1, sizeof(*live) + count * sizeof(*all));
    live->count = count;
    memcpy(live->streams, all, count * sizeof(*all));
    for (size_t i = count; i < index->count; i++) {
        live->others += all[i].bytes;
    }
    mem_free(all);
    return live;
}

/* A trim point in the midst leaves a part that is as large as its part of the commits. */
uint64_t live_bytes(const struct segment_live *live, struct trims *trims)
{
    uint64_t bytes = live->others;
    for (size_t i = 0; i < live->count; i++) {
        const struct live_stream *one = &live->streams[i];
        uint64_t trim = trims_of(trims, one->stream);
        if (trim < one->first_commit) {
            bytes += one->bytes;
        } else if (trim < one->last_commit) {
            bytes += (uint64_t)((double)one->bytes * (double)(one->last_commit - trim) /
                                (double)(one->last_commit - one->first_commit + 1));
        }
    }
    return bytes;
}

/* ---- the summary ---- */

static void encode_summary(const struct summary *summary, struct buf *out)
{
    buf_add_u64(out, summary->last_commit);
    buf_add_u64(out, summary->last_time_ms);
    buf_add_u64(out, summary->used);
    buf_add_u64(out, summary->records);
    buf_add_u32(out, summary->crc_before);
    buf_add_u32(out, summary->crc_after);
    buf_add_u32(out, summary->kept_crc);
    buf_add_u32(out, (uint32_t)summary->dropped.count);
    for (size_t i = 0; i < summary->dropped.count; i++) {
        buf_add_u64(out, summary->dropped.items[i].stream);
        buf_add_u64(out, summary->dropped.items[i].commit);
    }
}

static enum err decode_summary(struct bytes payload, struct summary *summary)
{
    struct cursor cursor = cursor_of(payload);
    uint32_t count;
    TRY(cursor_u64(&cursor, &summary->last_commit));
    TRY(cursor_u64(&cursor, &summary->last_time_ms));
    TRY(cursor_u64(&cursor, &summary->used));
    TRY(cursor_u64(&cursor, &summary->records));
    TRY(cursor_u32(&cursor, &summary->crc_before));
    TRY(cursor_u32(&cursor, &summary->crc_after));
    TRY(cursor_u32(&cursor, &summary->kept_crc));
    TRY(cursor_u32(&cursor, &count));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t stream;
        uint64_t commit;
        TRY(cursor_u64(&cursor, &stream));
        TRY(cursor_u64(&cursor, &commit));
        dropped_add(&summary->dropped, stream, commit);
    }
    return cursor_left(&cursor) == 0 && summary->dropped.count == count ? OK : ERR_DAMAGED;
}

enum err summary_read(struct frame_reader *reader, struct summary *out)
{
    struct frame_header header;
    struct bytes payload;
    *out = (struct summary){0};
    enum err err = frame_reader_at(reader, 0, &header, &payload);
    err = err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
    TRY(err);
    if (header.kind != FRAME_SUMMARY) {
        return ERR_DAMAGED;
    }
    out->first_commit = header.first_commit;
    out->first_time_ms = header.time_ms;
    out->kept_at = sectors_of(HEADER + (uint64_t)header.payload_len);
    err = decode_summary(payload, out);
    bool right = err == OK && out->used % SECTOR == 0 && out->used >= out->kept_at &&
                 out->used < reader->size && out->last_commit + 1 >= out->first_commit;
    if (!right) {
        summary_free(out);
        return ERR_DAMAGED;
    }
    return OK;
}

void summary_free(struct summary *summary)
{
    mem_free(summary->dropped.items);
    summary->dropped = (struct dropped_list){0};
}

/* ---- writing ---- */

struct writer {
    const struct cleaning *cleaning;
    struct segment_id id;
    int fd;
    uint64_t at; /* of the next frame */
    uint64_t unsynced;
    struct buf frame; /* room for a header, and its payload so far */
    struct frame_header header;
    uint32_t crc; /* of the frame before */
    struct segment_index *index;
    struct summary summary;
};

static enum err put(struct writer *writer, struct buf *frame, struct frame_header *header,
                    uint64_t at)
{
    const struct cleaning *cleaning = writer->cleaning;
    static const uint8_t zeros[SECTOR];
    size_t len = frame->len;
    buf_add(frame, bytes_of(zeros, (size_t)sectors_of(len) - len));
    if (frame->failed) {
        return ERR_NOMEM;
    }
    header->segment = writer->id.number;
    header->last_segment = writer->id.last_number;
    header->generation = writer->id.generation;
    header->log_id = cleaning->log->id;
    header->payload_len = (uint32_t)(len - HEADER);
    frame_seal(frame->ptr, header, &header->header_crc);
    TRY(file_write(writer->fd, frame->ptr, frame->len, at));
    writer->unsynced += frame->len;
    if (writer->unsynced >= SYNC_BYTES) { /* little at a time: others sync on this volume */
        writer->unsynced = 0;
        TRY(file_sync(writer->fd));
    }
    return cleaning->pace(cleaning->arg, frame->len);
}

static void begin_frame(struct buf *frame)
{
    static const uint8_t header_room[HEADER];
    buf_clear(frame);
    buf_add(frame, bytes_of(header_room, sizeof(header_room)));
}

static enum err end_kept(struct writer *writer)
{
    if (writer->header.commit_count == 0) {
        return OK;
    }
    writer->header.previous_crc = writer->crc;
    TRY(put(writer, &writer->frame, &writer->header, writer->at));
    writer->at += writer->frame.len;
    writer->crc = writer->header.header_crc;
    writer->header = (struct frame_header){0};
    begin_frame(&writer->frame);
    return OK;
}

static bool is_alive(struct trims *trims, uint64_t stream, uint64_t commit)
{
    return stream != 0 && commit > trims_of(trims, stream);
}

static enum err keep(void *arg, const struct log_record *record, uint32_t offset)
{
    struct writer *writer = arg;
    (void)offset;
    if (!is_alive(writer->cleaning->trims, record->stream, record->commit)) {
        return OK;
    }
    if (writer->frame.len - HEADER + record->body.len > KEPT_FRAME_BYTES) {
        TRY(end_kept(writer));
    }
    if (writer->header.commit_count == 0) {
        writer->header.kind = FRAME_KEPT;
        writer->header.first_commit = record->commit;
        writer->header.time_ms = record->time_ms;
    }
    frame_keep(&writer->header, record, &writer->frame);
    if (writer->frame.failed) {
        return ERR_NOMEM;
    }
    writer->header.commit_count++;
    writer->summary.records++;
    const struct index_entry entry = {.key_hash = record->key_hash,
                                      .commit = record->commit,
                                      .index = record->index,
                                      .count = record->count,
                                      .frame_sector = (uint32_t)(writer->at / SECTOR),
                                      .offset =
                                          (uint32_t)(writer->frame.len - record->body.len - HEADER),
                                      .len = (uint32_t)record->body.len,
                                      .kind = record->kind};
    index_add(writer->index, record->stream, &entry);
    return OK;
}

/* Of a source, by its index. */
struct count {
    uint64_t records;
    uint64_t bytes;
};

/* How the first and the last source are tied to what is before and after them. */
struct ties {
    uint64_t from;    /* where its records begin */
    uint64_t time_ms; /* of its first frame */
    uint32_t before;
    uint32_t after;
    uint32_t newest; /* header CRC of its last frame */
};

static enum err count_alive(struct writer *writer, const struct segment *segment,
                            struct count *alive)
{
    const struct cleaning *cleaning = writer->cleaning;
    struct segment_index *index = NULL;
    TRY(index_load(cleaning->log, segment, &index));
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        uint64_t trim = trims_of(cleaning->trims, list->stream);
        size_t j = 0;
        while (j < list->count && list->entries[j].commit <= trim) {
            j++;
        }
        if (j > 0 && trim != UINT64_MAX) {
            dropped_add(&writer->summary.dropped, list->stream, list->entries[j - 1].commit);
        }
        alive->records += list->count - j;
        for (; j < list->count; j++) {
            alive->bytes += list->entries[j].len + RECORD_COST;
        }
    }
    index_free(index);
    return cleaning->pace(cleaning->arg, segment->size - segment->used);
}

/* All frames of a source, each in its place; what is alive is kept, and must be what the index
 * said. */
static enum err copy_alive(struct writer *writer, const struct segment *segment,
                           const struct ties *ties, struct frame_reader *reader, uint64_t expected)
{
    struct frame_header header;
    struct bytes payload;
    struct frame_chain chain = {.next_commit = segment->first_commit};
    uint64_t before = writer->summary.records;
    for (uint64_t at = ties->from; at < segment->used;
         at += sectors_of(HEADER + (uint64_t)header.payload_len)) {
        enum err err = frame_reader_at(reader, at, &header, &payload);
        TRY(err == ERR_NOT_FOUND ? ERR_DAMAGED : err);
        TRY(frame_follows(&chain, &header) ? OK : ERR_DAMAGED);
        if (header.kind == FRAME_DATA || header.kind == FRAME_KEPT) {
            TRY(frame_walk(&header, payload, keep, writer));
        }
        TRY(writer->cleaning->pace(writer->cleaning->arg, HEADER + (uint64_t)header.payload_len));
    }
    return writer->summary.records - before == expected && chain.crc == ties->newest ? OK
                                                                                     : ERR_DAMAGED;
}

static enum err read_ties(struct writer *writer, const struct segment *segment,
                          struct frame_reader *reader, struct ties *ties)
{
    struct frame_header first;
    struct frame_header last;
    struct bytes payload;
    if (segment->generation != 0) {
        struct summary summary;
        TRY(summary_read(reader, &summary));
        *ties = (struct ties){summary.kept_at, summary.first_time_ms, summary.crc_before,
                              summary.crc_after, summary.kept_crc};
        for (size_t i = 0; i < summary.dropped.count; i++) {
            struct dropped *one = &summary.dropped.items[i];
            if (trims_of(writer->cleaning->trims, one->stream) != UINT64_MAX) {
                dropped_add(&writer->summary.dropped, one->stream, one->commit);
            }
        }
        summary_free(&summary);
        return OK;
    }
    enum err err = frame_reader_at(reader, 0, &first, &payload);
    err = err != OK ? err : frame_reader_at(reader, segment->used - SECTOR, &last, &payload);
    TRY(err == ERR_NOT_FOUND ? ERR_DAMAGED : err);
    *ties = (struct ties){0, first.time_ms, first.previous_crc, last.header_crc, last.header_crc};
    return last.kind == FRAME_END ? OK : ERR_DAMAGED;
}

/* What the sources have in common is known before anything is written: the summary has its place at
 * the start. */
static enum err look_at_sources(struct writer *writer, struct count *alive, struct ties *ties)
{
    const struct cleaning *cleaning = writer->cleaning;
    uint64_t size = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < cleaning->count; i++) {
        struct frame_reader reader;
        char path[4200];
        TRY(count_alive(writer, &cleaning->segments[i], &alive[i]));
        enum err err =
            segment_reader(cleaning->log, &cleaning->segments[i], &reader, path, sizeof(path));
        err = err != OK ? err : read_ties(writer, &cleaning->segments[i], &reader, &ties[i]);
        frame_reader_close(&reader);
        if (err == ERR_DAMAGED) {
            NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", path));
        }
        TRY(err);
        size += cleaning->segments[i].size;
        bytes += alive[i].bytes;
    }
    /* The estimate was of another time, or only an estimate. */
    return bytes > size / 4 * 3 ? ERR_RANGE : OK;
}

/* Past the page cache: it holds what readers want, and these files are about to go. */
static enum err copy_sources(struct writer *writer, const struct count *alive,
                             const struct ties *ties)
{
    const struct cleaning *cleaning = writer->cleaning;
    for (size_t i = 0; i < cleaning->count; i++) {
        struct frame_reader reader;
        char path[4200];
        if (alive[i].records == 0) {
            continue;
        }
        enum err err = segment_reader_aside(cleaning->log, &cleaning->segments[i], &reader, path,
                                            sizeof(path));
        err = err != OK
                  ? err
                  : copy_alive(writer, &cleaning->segments[i], &ties[i], &reader, alive[i].records);
        frame_reader_close(&reader);
        if (err == ERR_DAMAGED) {
            NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", path));
        }
        TRY(err);
    }
    return end_kept(writer);
}

static enum err put_index(struct writer *writer, struct segment *out)
{
    struct buf frame;
    struct frame_header header = {
        .kind = FRAME_INDEX, .first_commit = out->last_commit + 1, .time_ms = out->last_time_ms};
    buf_init(&frame, 0xffffffffu);
    begin_frame(&frame);
    index_encode(writer->index, &frame);
    enum err err = frame.failed ? ERR_NOMEM : put(writer, &frame, &header, writer->at);
    out->used = writer->at;
    out->index_at = writer->at;
    out->size = writer->at + frame.len;
    buf_fini(&frame);
    return err;
}

static enum err put_summary(struct writer *writer, const struct segment *out)
{
    struct buf frame;
    struct frame_header header = {.kind = FRAME_SUMMARY,
                                  .first_commit = out->first_commit,
                                  .time_ms = writer->summary.first_time_ms};
    writer->summary.last_commit = out->last_commit;
    writer->summary.last_time_ms = out->last_time_ms;
    writer->summary.used = out->used;
    writer->summary.kept_crc = writer->crc;
    buf_init(&frame, 0xffffffffu);
    begin_frame(&frame);
    encode_summary(&writer->summary, &frame);
    ASSERT(frame.len == HEADER + SUMMARY_BYTES + writer->summary.dropped.count * 16);
    enum err err = frame.failed ? ERR_NOMEM : put(writer, &frame, &header, 0);
    buf_fini(&frame);
    return err;
}

static enum err write_file(struct writer *writer, const char *path, const struct count *alive,
                           const struct ties *ties, struct segment *out)
{
    TRY(file_open(path, FILE_CREATE, &writer->fd));
    writer->at = sectors_of(HEADER + SUMMARY_BYTES + writer->summary.dropped.count * 16);
    begin_frame(&writer->frame);
    enum err err = copy_sources(writer, alive, ties);
    err = err != OK ? err : put_index(writer, out);
    err = err != OK ? err : put_summary(writer, out);
    err = err != OK ? err : file_sync(writer->fd);
    enum err closed = file_close(writer->fd);
    return err != OK ? err : closed;
}

static struct segment shape_of(const struct cleaning *cleaning)
{
    const struct segment *first = &cleaning->segments[0];
    const struct segment *last = &cleaning->segments[cleaning->count - 1];
    struct segment out = {.number = first->number,
                          .last_number = last->last_number,
                          .first_commit = first->first_commit,
                          .last_commit = last->last_commit,
                          .last_time_ms = last->last_time_ms,
                          .state = SEGMENT_SEALED,
                          .indexed = true};
    for (size_t i = 0; i < cleaning->count; i++) {
        uint32_t after = cleaning->segments[i].generation + 1;
        out.generation = out.generation > after ? out.generation : after;
    }
    return out;
}

/* The name stands for the whole file from now on; a kill leaves old and new, and recovery takes the
 * new one (log I16). */
static enum err give_name(struct log *log, const char *beside, const struct segment *made)
{
    char path[4200];
    segment_file(log, made, path, sizeof(path));
    TRY(file_rename(beside, path));
    if (directory_sync(log->dir) == OK) {
        return OK;
    }
    IGNORE(file_remove(path)); /* it may come back after a power cut: the caller is told */
    return ERR_BUSY;
}

enum err cleaned_write(const struct cleaning *cleaning, struct segment *out,
                       struct dropped_list *dropped)
{
    struct log *log = cleaning->log;
    struct segment made = shape_of(cleaning);
    struct writer writer = {.cleaning = cleaning,
                            .fd = -1,
                            .id = {made.number, made.last_number, made.generation},
                            .index = index_new()};
    struct count *alive = mem_zalloc(cleaning->count, sizeof(*alive));
    struct ties *ties = mem_zalloc(cleaning->count, sizeof(*ties));
    char beside[4200];
    snprintf(beside, sizeof(beside), "%s/clean.tmp", log->dir);
    buf_init(&writer.frame, LOG_COMMIT_BYTES_MAX + (1u << 20));
    enum err err = look_at_sources(&writer, alive, ties);
    writer.summary.first_time_ms = ties[0].time_ms;
    writer.summary.crc_before = ties[0].before;
    writer.summary.crc_after = ties[cleaning->count - 1].after;
    err = err != OK ? err : write_file(&writer, beside, alive, ties, &made);
    if (err == OK) {
        err = give_name(log, beside, &made);
    } else {
        IGNORE(file_remove(beside)); /* the first error is the one to tell */
    }
    for (size_t i = 0; err == OK && i < writer.summary.dropped.count; i++) {
        dropped_add(dropped, writer.summary.dropped.items[i].stream,
                    writer.summary.dropped.items[i].commit);
    }
    if (err == OK) {
        *out = made;
    }
    summary_free(&writer.summary);
    index_free(writer.index);
    buf_fini(&writer.frame);
    mem_free(alive);
    mem_free(ties);
    return err;
}
