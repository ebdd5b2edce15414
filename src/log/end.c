/* How far the log is known to be durable, noted in a file of its own: DATA/log/end. Zeros stand
 * behind the end of any log, so frames that became zeros cannot be told from an end by the segment
 * alone. A commit is noted only after the sync of its frame has returned: a log that ends before it
 * is damaged (log I6, I19). Notes are written when nothing was appended for a while, or long enough
 * since the last one, and at a clean stop: no commit waits for one, and none waits behind one.
 *
 * Nor does a log tell alone where it begins: a first segment that is gone, or that begins with a
 * later frame, looks like one whose older records were trimmed. So what is about to be removed is
 * noted first.
 *
 * There are two places, written in turn, each in a page of its own: the one that a power cut tears
 * is not the one that holds. The file is made whole under another name, and its size never changes
 * again. One that holds no note at all protects nothing, and loses nothing: it is made again. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <stdio.h>

#define PLACES 2u
#define PLACE_BYTES 4096u
#define IDLE_MS 100u
#define LONG_MS 1000u

static const uint8_t magic[8] = "HWlogend";

static void end_path(const struct log *log, char *out, size_t room)
{
    snprintf(out, room, "%.*s/end", (int)(room - sizeof("/end")), log->dir);
}

/* ---- one place ---- */

static void put(uint8_t *out, uint64_t value)
{
    for (size_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get(const uint8_t *in)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static void encode(const struct log *log, const struct end_note *note, uint8_t sector[SECTOR])
{
    memset(sector, 0, SECTOR);
    memcpy(sector, magic, sizeof(magic));
    put(sector + 16, log->id);
    put(sector + 24, note->turn);
    put(sector + 32, note->commit);
    put(sector + 40, note->segment);
    put(sector + 48, note->offset);
    put(sector + 56, note->begin.segment);
    put(sector + 64, note->begin.commit);
    put(sector + 8, hash_crc32c(0, bytes_of(sector + 16, SECTOR - 16)));
}

static bool decode(const struct log *log, const uint8_t sector[SECTOR], struct end_note *note)
{
    uint8_t expected[SECTOR];
    const struct end_note found = {.turn = get(sector + 24),
                                   .commit = get(sector + 32),
                                   .segment = get(sector + 40),
                                   .offset = get(sector + 48),
                                   .begin = {get(sector + 56), get(sector + 64)}};
    encode(log, &found, expected);
    if (memcmp(sector, expected, SECTOR) != 0) {
        return false;
    }
    *note = found;
    return true;
}

enum err end_read(const struct log *log, struct end_note *out)
{
    char path[4200];
    uint8_t sector[SECTOR];
    int fd = -1;
    bool any = false;
    struct end_note newest = {0};
    end_path(log, path, sizeof(path));
    TRY(file_open(path, FILE_READ, &fd));
    enum err err = OK;
    for (unsigned i = 0; err == OK && i < PLACES; i++) {
        struct end_note note;
        size_t got = 0;
        err = file_read(fd, sector, SECTOR, (uint64_t)i * PLACE_BYTES, &got);
        if (err == OK && got == SECTOR && decode(log, sector, &note) && note.turn >= newest.turn) {
            newest = note;
            any = true;
        }
    }
    IGNORE(file_close(fd)); /* it was only read */
    TRY(err);
    if (!any) {
        return ERR_DAMAGED;
    }
    *out = newest;
    return OK;
}

enum err end_damaged(const struct log *log, struct log_report *report)
{
    end_path(log, report->file, sizeof(report->file));
    report->offset = 0;
    snprintf(report->reason, sizeof(report->reason),
             "It should say how far the log was synced. No record is lost: the server makes it "
             "again when it starts.");
    return ERR_DAMAGED;
}

/* ---- while the log is open ---- */

/* The note is one thread's at a time: the keeper's, or the worker's before a removal. */
static void take_note_up(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    while (log->noting) {
        pthread_cond_wait(&log->noted, &log->mutex);
    }
    log->noting = true;
    pthread_mutex_unlock(&log->mutex);
}

static void put_note_down(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    log->noting = false;
    pthread_cond_signal(&log->noted);
    pthread_mutex_unlock(&log->mutex);
}

static struct end_note note_now(struct log *log, struct log_begin begin)
{
    pthread_mutex_lock(&log->mutex);
    const struct end_note note = {.turn = log->end.turn + 1,
                                  .commit = log_visible(log),
                                  .segment = log->open->number,
                                  .offset = log->open->used,
                                  .begin = begin};
    pthread_mutex_unlock(&log->mutex);
    return note;
}

static enum err make_file(struct log *log, struct log_begin begin)
{
    uint8_t *whole = mem_zalloc(PLACES, PLACE_BYTES);
    char path[4200];
    const struct end_note note = note_now(log, begin);
    end_path(log, path, sizeof(path));
    for (unsigned i = 0; i < PLACES; i++) {
        encode(log, &note, whole + (size_t)i * PLACE_BYTES);
    }
    enum err err = file_write_all(path, bytes_of(whole, (size_t)PLACES * PLACE_BYTES), 0600);
    mem_free(whole);
    log->end = err == OK ? note : log->end;
    return err;
}

static enum err write_note(struct log *log, struct log_begin begin)
{
    uint8_t sector[SECTOR];
    const struct end_note note = note_now(log, begin);
    encode(log, &note, sector);
    TRY(file_write(log->end_fd, sector, SECTOR, note.turn % PLACES * PLACE_BYTES));
    TRY(file_sync(log->end_fd));
    log->end = note;
    log->end_noted_ms = clock_mono_ns() / 1000000;
    return OK;
}

/* What no note says is as it was found. One of a version that did not say it is made again in both
 * places: that version would take no other for a note. */
enum err end_open(struct log *log)
{
    char path[4200];
    struct end_note note = {0};
    enum err err = end_read(log, &note);
    if (err == ERR_DAMAGED) {
        NOTE(NOTE_WARN, "log.end_made_again", NOTE_S("dir", log->dir));
    }
    bool known = err == OK && note.begin.segment != 0;
    const struct log_begin found = {log->first->number, log_first(log)};
    TRY(err == OK || err == ERR_NOT_FOUND || err == ERR_DAMAGED ? OK : err);
    TRY(known ? OK : make_file(log, found));
    end_path(log, path, sizeof(path));
    TRY(file_open(path, FILE_UPDATE, &log->end_fd));
    return log->end.commit == log_visible(log) ? OK : write_note(log, log->end.begin);
}

enum err end_check(struct log *log)
{
    struct end_note note;
    take_note_up(log);
    enum err err = end_read(log, &note);
    put_note_down(log);
    return err;
}

/* In both places: where one is damaged later, the other must not miss what was removed. */
enum err end_begin_later(struct log *log, struct log_begin begin)
{
    take_note_up(log);
    enum err err = OK;
    for (unsigned i = 0; err == OK && i < PLACES && log->end_begin < begin.segment; i++) {
        err = write_note(log, begin);
    }
    log->end_begin = err == OK ? begin.segment : log->end_begin;
    put_note_down(log);
    return err;
}

enum err end_close(struct log *log, bool clean)
{
    bool behind = clean && log->end_fd >= 0 && log->end.commit < log_visible(log);
    enum err err = behind ? write_note(log, log->end.begin) : OK;
    enum err closed = file_close(log->end_fd);
    log->end_fd = -1;
    return err != OK ? err : closed;
}

/* One that failed is not tried again: what the file holds then is one note at least. */
static void note_end(struct log *log)
{
    uint64_t visible = log_visible(log);
    uint64_t now_ms = clock_mono_ns() / 1000000;
    if (visible == log->end.commit || log->end_failed) {
        return;
    }
    if (visible != log->end_seen) {
        log->end_seen = visible;
        log->end_seen_ms = now_ms;
    }
    if (now_ms - log->end_seen_ms < IDLE_MS && now_ms - log->end_noted_ms < LONG_MS) {
        return;
    }
    enum err err = write_note(log, log->end.begin);
    if (err != OK) {
        log->end_failed = true;
        NOTE(NOTE_WARN, "log.end_not_noted", NOTE_S("error", err_text(err)));
    }
}

void log_note_end(struct log *log)
{
    take_note_up(log);
    note_end(log);
    put_note_down(log);
}
