/* The stream over HTTP, as any consumer reads it. */
#include "ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>

#define STREAMS "DynamoDBStreams_20120810."

static enum err find_text(struct ledger *ledger, const char *target, const char *const *path,
                          size_t len, char *out, size_t room);

enum err ledger_call(struct ledger *ledger, const char *target, struct response *response)
{
    enum err err =
        link_call(&ledger->link, &ledger->wire, target, buf_bytes(&ledger->body), response);
    if (err == OK && response->status == 500 && ledger->plan.kill_by == KILL_BY_FAULT) {
        /* The call that failed was one of this answer; it does not fail twice. Whoever judges the
         * death knows whether a fault was allowed. */
        setenv("LOST", "1", 1);
        err = link_call(&ledger->link, &ledger->wire, target, buf_bytes(&ledger->body), response);
    }
    if (err != OK) {
        link_close(&ledger->link);
        return ERR_IO;
    }
    return OK;
}

enum err stream_find(struct ledger *ledger)
{
    static const char *const listed[] = {"Streams", "0", "StreamArn"};
    static const char *const described[] = {"Table", "LatestStreamArn"};
    static const char *const shard[] = {"StreamDescription", "Shards", "0", "ShardId"};
    struct stream_name found = {0};
    char arn[sizeof(found.arn)];
    buf_clear(&ledger->body);
    buf_printf(&ledger->body, "{\"TableName\":\"%s\"}", ledger->table);
    TRY(find_text(ledger, "DynamoDB_20120810.DescribeTable", described, 2, found.arn,
                  sizeof(found.arn)));
    TRY(find_text(ledger, STREAMS "ListStreams", listed, 3, arn, sizeof(arn)));
    buf_clear(&ledger->body);
    buf_printf(&ledger->body, "{\"StreamArn\":\"%s\"}", found.arn);
    TRY(find_text(ledger, STREAMS "DescribeStream", shard, 4, found.shard, sizeof(found.shard)));
    bool first = ledger->stream.arn[0] == 0;
    if (strcmp(arn, found.arn) != 0 ||
        (!first && (strcmp(ledger->stream.arn, found.arn) != 0 ||
                    strcmp(ledger->stream.shard, found.shard) != 0))) {
        checker_violation(&ledger->checker, "the stream was %s %s, now it is %s %s (listed as %s)",
                          ledger->stream.arn, ledger->stream.shard, found.arn, found.shard, arn);
    }
    ledger->stream = found;
    return OK;
}

static enum err find_text(struct ledger *ledger, const char *target, const char *const *path,
                          size_t len, char *out, size_t room)
{
    struct response response;
    TRY(ledger_call(ledger, target, &response));
    struct bytes text = hear_text(&ledger->hear, &response, path, len);
    if (text.len == 0 || text.len >= room) {
        checker_violation(&ledger->checker, "%s does not tell %s: HTTP %u %.*s", target,
                          path[len - 1], response.status,
                          (int)(response.body.len < 500 ? response.body.len : 500),
                          (const char *)response.body.ptr);
        return ERR_INVALID;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = 0;
    return OK;
}

enum err stream_iterator(struct ledger *ledger, const char *type, const char *sequence,
                         char out[ITERATOR_MAX + 1])
{
    static const char *const path[] = {"ShardIterator"};
    buf_clear(&ledger->body);
    buf_printf(&ledger->body,
               "{\"StreamArn\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"%s\"",
               ledger->stream.arn, ledger->stream.shard, type);
    if (sequence != NULL) {
        buf_printf(&ledger->body, ",\"SequenceNumber\":\"%s\"", sequence);
    }
    buf_add_byte(&ledger->body, '}');
    return find_text(ledger, STREAMS "GetShardIterator", path, 1, out, ITERATOR_MAX + 1);
}

void stream_page_body(const char *iterator, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "{\"ShardIterator\":\"%s\"}", iterator);
}

enum err stream_read(struct ledger *ledger, char iterator[ITERATOR_MAX + 1],
                     void (*take)(void *arg, const struct records *page), void *arg)
{
    struct records records = {0};
    enum err err = OK;
    for (bool more = true; more && err == OK;) {
        struct response response;
        struct page page;
        records_clear(&records);
        stream_page_body(iterator, &ledger->body);
        err = ledger_call(ledger, STREAMS "GetRecords", &response);
        if (err != OK) {
            break;
        }
        bool right = hear_page(&ledger->hear, &response, &records, &page);
        if (right) {
            take(arg, &records);
        }
        if (!right || page.next.len == 0 || page.next.len > ITERATOR_MAX) {
            checker_violation(&ledger->checker, "reading the stream: %.*s",
                              BYTES_FMT(right ? BYTES("an open shard gave no next iterator")
                                              : buf_bytes(&ledger->hear.why)));
            err = ERR_INVALID;
            break;
        }
        memcpy(iterator, page.next.ptr, page.next.len);
        iterator[page.next.len] = 0;
        more = page.count > 0;
    }
    records_fini(&records);
    return err;
}
