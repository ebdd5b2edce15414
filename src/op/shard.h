/* What the stream operations share: finding streams by ARN, and shard iterators. Private to op. */
#ifndef HW_OP_SHARD_H
#define HW_OP_SHARD_H

#include "op/op_priv.h"

#define TEXT_TRIMMED "The operation attempted to read past the oldest stream record in a shard"
#define ITERATOR_TEXT_MAX 2048
#define ITERATOR_KEPT_MS 900000u /* 15 minutes */

/* A place in a shard at a time. Iterators are texts that hold all of it, so they survive a restart:
 *
 *   <stream ARN> "|1|" base 64 of: u64 commit, u32 index, u64 created ms (little-endian), and the
 *   first 8 bytes of SHA-256 over the ARN and these 20 bytes
 *
 * The check keeps damaged texts out; it is no secret, since whoever may read a stream may read any
 * place of it. */
struct iterator {
    struct bytes arn;
    struct log_place after;
    uint64_t created_ms;
};

/* The text, in the arena; ptr NULL: memory. */
struct bytes iterator_text(const struct iterator *iterator, struct arena *arena);
/* ERR_INVALID: not one of ours. */
MUST_USE enum err iterator_parse(struct bytes text, struct iterator *iterator);

/* -1, 0, 1. */
int place_compare(struct log_place a, struct log_place b);
/* A sequence number in the arena; ptr NULL: memory. */
struct bytes sequence_text(struct reader *reader, struct arena *arena, uint64_t commit,
                           uint32_t index);

/* ValidationException for what is no stream's ARN, of whatever region and account. */
MUST_USE enum err check_stream_arn(struct op_call *call, struct bytes arn);
/* The stream of that ARN; ValidationException for what is no stream's ARN, else
 * ResourceNotFoundException. */
MUST_USE enum err lookup_stream(struct op_call *call, struct reader *reader, struct bytes arn,
                                const struct stream **stream);

#endif
