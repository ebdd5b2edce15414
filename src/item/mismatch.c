/* One table of texts by what was expected and what was found. */
#include "item/mismatch.h"

#include <stdio.h>

static const char *scalar_token(struct json found)
{
    switch (json_type(found)) {
    case JSON_INTEGER:
        return "NUMBER_VALUE";
    case JSON_NUMBER:
        return "DECIMAL_VALUE";
    case JSON_TRUE:
        return "TRUE_VALUE";
    case JSON_FALSE:
        return "FALSE_VALUE";
    case JSON_STRING:
        return "STRING_VALUE";
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return "NULL_VALUE";
}

void json_mismatch_text(enum json_expected expected, struct json found, const char *java, char *out,
                        size_t room)
{
    static const char *const names[] = {"String", "Boolean", "Integer", "Long"};
    enum json_type type = json_type(found);
    out[0] = 0;
    switch (expected) {
    case EXPECT_STRING:
    case EXPECT_INTEGER:
    case EXPECT_LONG:
    case EXPECT_BOOLEAN:
        if (type == JSON_OBJECT) {
            snprintf(out, room, "Start of structure or map found where not expected");
        } else if (type == JSON_ARRAY && expected == EXPECT_BOOLEAN) {
            return;
        } else if (type == JSON_ARRAY) {
            snprintf(out, room, "Unrecognized collection type class java.lang.%s", names[expected]);
        } else if (type == JSON_STRING && expected == EXPECT_BOOLEAN) {
            snprintf(out, room, "Unexpected token received from parser");
        } else {
            snprintf(out, room, "%s cannot be converted to %s", scalar_token(found),
                     names[expected]);
        }
        return;
    case EXPECT_LIST:
        snprintf(out, room,
                 type == JSON_OBJECT ? "Start of structure or map found where not expected"
                                     : "Unexpected field type");
        return;
    case EXPECT_MAP:
    case EXPECT_STRUCT:
        if (type == JSON_ARRAY) {
            snprintf(out, room, "Unrecognized collection type %s", java);
        } else {
            snprintf(out, room, "Unexpected field type");
        }
        return;
    }
}
