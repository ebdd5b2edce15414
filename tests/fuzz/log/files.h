/* What targets of the log share: a directory in memory, its files, and records compared. */
#ifndef HW_FUZZ_LOG_FILES_H
#define HW_FUZZ_LOG_FILES_H

#include "fuzz.h"
#include "log/log_priv.h"

#include "base/note.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_ID 0x1234567890abcdefu

static char dir[64];

static inline void write_file(const char *path, struct bytes data)
{
    FILE *file = fopen(path, "wb");
    HOLDS(file != NULL && (data.len == 0 || fwrite(data.ptr, data.len, 1, file) == 1));
    HOLDS(fclose(file) == 0);
}

static inline void remove_name(void *arg, const char *name)
{
    char path[320];
    (void)arg;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
}

static inline void remove_dir(void)
{
    HOLDS(directory_list(dir, remove_name, NULL) == OK);
    rmdir(dir);
}

/* Empty but for the log's id; the directory goes with the process. */
static inline void fresh_dir(void)
{
    char path[100];
    char id[24];
    if (dir[0] == 0) {
        snprintf(dir, sizeof(dir), "/dev/shm/fuzz-log-XXXXXX");
        HOLDS(mkdtemp(dir) != NULL);
        atexit(remove_dir);
        note_threshold = NOTE_ERROR + 1;
    }
    HOLDS(directory_list(dir, remove_name, NULL) == OK);
    snprintf(path, sizeof(path), "%s/id", dir);
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)LOG_ID);
    write_file(path, bytes_of(id, 16));
}

static inline bool same_record(const struct log_record *a, const struct log_record *b)
{
    return a->commit == b->commit && a->index == b->index && a->count == b->count &&
           a->time_ms == b->time_ms && a->stream == b->stream && a->key_hash == b->key_hash &&
           a->kind == b->kind && bytes_equal(a->body, b->body);
}

/* One of `streams` streams, the rest of it at chance. */
static inline struct log_record any_record(struct fuzz_input *input, struct log_place place,
                                           uint32_t count, uint64_t time_ms, size_t streams)
{
    const struct log_record record = {.commit = place.commit,
                                      .index = place.index,
                                      .count = count,
                                      .time_ms = time_ms,
                                      .stream = fuzz_below(input, streams),
                                      .key_hash = fuzz_byte(input),
                                      .kind = (uint8_t)(1 + fuzz_below(input, 6)),
                                      .body = fuzz_bytes(input, 24)};
    return record;
}

/* What stands in a data frame before the records of a commit, and for each of them. */
static inline void put_record(struct buf *payload, const struct log_record *record)
{
    if (record->index == 0) {
        buf_add_varint(payload, record->count);
    }
    buf_add_byte(payload, record->kind);
    buf_add_u64(payload, record->key_hash);
    buf_add_varint(payload, record->stream);
    buf_add_varint(payload, record->body.len);
    buf_add(payload, record->body);
}

static inline enum err open_log_at(uint64_t flushed, struct log **log, struct log_report *report)
{
    const struct log_options options = {.dir = dir,
                                        .segment_bytes = SEGMENT_LEAST,
                                        .tail_bytes = 65536,
                                        .flushed = flushed,
                                        .buffered = true};
    *log = NULL;
    enum err err = log_open(&options, log, report);
    HOLDS(err == OK || err == ERR_DAMAGED);
    HOLDS(err == OK || (report->reason[0] != 0 && report->file[0] != 0));
    return err;
}

#endif
