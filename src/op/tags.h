/* Tags of a table: what TagResource, UntagResource, ListTagsOfResource and CreateTable share. They
 * are an item of S values in the table's settings. Private to op. */
#ifndef HW_OP_TAGS_H
#define HW_OP_TAGS_H

#include "op/description.h"

#define TAGS_MAX 50
/* A tag of ours: how long stream records of the table are kept: minutes, hours or days ("90m",
 * "12h", "7d"), up to 100 years, or "forever". */
#define TAG_RETENTION "headwater:stream-retention"
#define RESOURCE_ARN_MAX 1283

#define MEMBER_RESOURCE(structure)                                                                 \
    {                                                                                              \
        NAME("ResourceArn"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,  \
                             .max = RESOURCE_ARN_MAX, AT(structure, arn)                           \
    }

/* ValidationException for what is no table's ARN, of whatever region and account. */
MUST_USE enum err check_resource_arn(struct op_call *call, struct bytes arn);
/* The table of an ARN, or ResourceNotFoundException in the words of tags. */
MUST_USE enum err lookup_resource(struct op_call *call, struct reader *reader, struct bytes arn,
                                  const struct table **table);
/* ValidationException for more tags than a table may have, for keys or values that are none, and
 * for a key that comes twice. */
MUST_USE enum err check_tags(struct op_call *call, const struct table_tag *tags, size_t count);
/* The same for the keys of tags to be taken away; `count` of them in the request. */
MUST_USE enum err check_tag_keys(struct op_call *call, const struct bytes *keys, size_t count);
/* The tags before and then these, of which the last of a key counts; an item in the arena. More
 * than TAGS_MAX are refused. */
MUST_USE enum err tags_add(struct op_call *call, struct bytes before, const struct table_tag *tags,
                           size_t count, struct bytes *after);
/* The period that these tags ask for, as a table has it: 0: none. ValidationException for a value
 * that is no period. */
MUST_USE enum err tags_retention(struct op_call *call, struct bytes tags, uint64_t *retention_ms);
/* The change of a table to these tags; none when they are what they were. *age_ms: 0, or what an
 * earlier evaluation of the call has put there. */
MUST_USE enum err tags_change(struct op_call *call, struct reader *reader, struct changes *changes,
                              const struct table *table, struct bytes tags, uint64_t *age_ms);

#endif
