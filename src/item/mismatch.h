/* What DynamoDB says when a JSON value has the wrong type for its member: SerializationException,
 * in the words of its decoder (AWS-DETAILS section 1). */
#ifndef HW_ITEM_MISMATCH_H
#define HW_ITEM_MISMATCH_H

#include "base/json.h"

enum json_expected {
    EXPECT_STRING,
    EXPECT_BOOLEAN,
    EXPECT_INTEGER,
    EXPECT_LONG,
    EXPECT_LIST,
    EXPECT_MAP,
    EXPECT_STRUCT
};

/* java: for lists and maps found in a place of another kind, the Java type that the text names.
 * Empty out: the exception comes without a message. */
void json_mismatch_text(enum json_expected expected, struct json found, const char *java, char *out,
                        size_t room);

#endif
