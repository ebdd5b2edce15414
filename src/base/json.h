/* Reading JSON, by simdjson behind this file. A document is parsed whole; values are small views
 * into it, valid until the parser parses again or is freed. UTF-8 is validated. One parser per
 * thread. */
#ifndef HW_BASE_JSON_H
#define HW_BASE_JSON_H

#include "base/bytes.h"
#include "base/err.h"

/* Twice the 2,000 levels of values that DynamoDB is known to read, and what is around them. */
#define JSON_DEPTH_MAX 4200u

struct json_parser;

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_INTEGER, /* whole, of any size */
    JSON_NUMBER,  /* any other number */
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* A value in a parsed document. */
struct json {
    const void *document;
    size_t place;
};

/* Array elements, or object members, in document order. */
struct json_iter {
    struct json at;
    size_t end;
};

/* NULL when memory is out. */
struct json_parser *json_parser_new(void);
void json_parser_free(struct json_parser *parser);
/* ERR_INVALID: not JSON, not UTF-8, or nested deeper than JSON_DEPTH_MAX; ERR_NOMEM. A warm parser
 * allocates nothing for documents no larger than before. text is copied (simdjson wants padding).
 */
MUST_USE enum err json_parse(struct json_parser *parser, struct bytes text, struct json *root);

enum json_type json_type(struct json value);
/* Of a JSON_STRING: unescaped UTF-8. */
struct bytes json_string(struct json value);
/* Of a JSON_INTEGER; what does not fit is the nearest that does. */
int64_t json_integer(struct json value);
/* Of a JSON_INTEGER or JSON_NUMBER. */
double json_number(struct json value);
/* Elements of an array or members of an object, at most 2^24 - 1 counted. */
size_t json_count(struct json value);

struct json_iter json_iter_of(struct json value);
/* The next array element; false at the end. */
bool json_next(struct json_iter *iter, struct json *value);
/* The next object member. Duplicate names are all given, in order. */
bool json_next_member(struct json_iter *iter, struct bytes *name, struct json *value);
/* The last member of that name (the last one wins, as in DynamoDB's parser); false if none. */
bool json_member(struct json object, struct bytes name, struct json *value);

/* Writing: the string with quotes and escapes; text must be UTF-8. */
struct buf;
void json_add_string(struct buf *buf, struct bytes text);
/* A parsed value again as text, compact. */
void json_add_value(struct buf *buf, struct json value);

#endif
