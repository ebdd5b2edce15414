/* Items: one binary encoding serves the log, the view, expressions and the wire. An item is bytes;
 * a value is a view into them. The form is canonical: two items are equal exactly when their bytes
 * are, so "did this write change anything" is one memcmp (item I1, I2).
 *
 *   item    = member*                       the body of a map, sorted by name bytes, names unique
 *   member  = varint name_len, name, value
 *   value   = tag, varint body_len, body    (the three tags without a body have no length)
 *
 *   tag           body
 *   1  S          UTF-8 bytes
 *   2  N          a number, number.h
 *   3  B          bytes
 *   4  FALSE      none, no length
 *   5  TRUE       none, no length
 *   6  NULL       none, no length
 *   7  L          value*
 *   8  M          member*, sorted as in an item
 *   9  SS         (varint len, bytes)*  sorted by bytes, unique
 *   10 NS         (varint len, number)* sorted by number, unique
 *   11 BS         (varint len, bytes)*  sorted by bytes, unique
 *
 * Tags and forms are stored: they never change. Limits are DynamoDB's (limits below). All of this
 * is pure: any thread. Bytes that come from disk are checked once, by item_check; the readers after
 * that never leave their bytes (item I5). */
#ifndef HW_ITEM_ITEM_H
#define HW_ITEM_ITEM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/json.h"

enum value_tag {
    VALUE_S = 1,
    VALUE_N = 2,
    VALUE_B = 3,
    VALUE_FALSE = 4,
    VALUE_TRUE = 5,
    VALUE_NULL = 6,
    VALUE_L = 7,
    VALUE_M = 8,
    VALUE_SS = 9,
    VALUE_NS = 10,
    VALUE_BS = 11
};

#define ITEM_SIZE_MAX (400u << 10)
#define ITEM_DEPTH_MAX 32u
#define ITEM_WRAPS_MAX (ITEM_DEPTH_MAX - 1) /* containers around a scalar that may be stored */
#define ITEM_NAME_MAX 65535u
#define ITEM_NAME_TOO_LARGE "Attribute name is too large, must be less than 65536 bytes"
#define ITEM_PARTITION_KEY_MAX 2048u
#define ITEM_PARTITION_KEY_TOO_LARGE                                                               \
    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size "    \
    "limit of2048 bytes"
#define ITEM_SORT_KEY_MAX 1024u

/* A value inside an item: borrowed, valid as long as the item's bytes. tag 0: no value. */
struct value {
    enum value_tag tag;
    struct bytes body;
    struct bytes whole; /* tag, length and body: what is copied to store it elsewhere */
};

/* ---- reading ---- */

/* Everything the format promises, to any depth up to ITEM_DEPTH_MAX. ERR_DAMAGED. */
MUST_USE enum err item_check(struct bytes item);
/* The attribute of that name; false if there is none. */
bool item_get(struct bytes item, struct bytes name, struct value *out);
/* Members of an item or of an M's body, in order; false at the end. The cursor is cursor_of(item).
 */
bool item_next(struct cursor *cursor, struct bytes *name, struct value *value);
/* Elements of an L's body. */
bool list_next(struct cursor *cursor, struct value *value);
/* Elements of a set's body: raw bytes of each (numbers encoded). */
bool set_next(struct cursor *cursor, struct bytes *element);
size_t item_count(struct bytes item);
/* Elements of an L, members of an M, elements of a set. */
size_t value_count(struct value value);
/* DynamoDB's item size in bytes: names and values, as its capacity rules count them. */
size_t item_size(struct bytes item);
size_t value_size(struct value value);
/* The most containers around one of its values: at most ITEM_WRAPS_MAX in what is stored. */
unsigned item_wraps(struct bytes item);
/* "S", "N", ... "BOOL", "NULL", "L", "M", "SS", "NS", "BS". */
const char *value_type_name(enum value_tag tag);
/* The integer of an N that is whole and fits; false otherwise. */
bool value_i64(struct value value, int64_t *out);

/* ---- building ---- */

/* Collects members in any order, in an arena, and sorts them at the end. After a failure (memory)
 * it keeps failing, and item_build_end says so. */
struct item_build {
    struct arena *arena;
    struct item_build_member *members; /* by name and encoded value */
    size_t count;
    size_t cap;
    bool failed;
};

void item_build_init(struct item_build *build, struct arena *arena);
/* Name, text and value are borrowed until item_build_end. A name given twice: the last wins. */
void item_build_s(struct item_build *build, struct bytes name, struct bytes text);
void item_build_b(struct item_build *build, struct bytes name, struct bytes data);
void item_build_i64(struct item_build *build, struct bytes name, int64_t number);
void item_build_bool(struct item_build *build, struct bytes name, bool truth);
void item_build_null(struct item_build *build, struct bytes name);
void item_build_m(struct item_build *build, struct bytes name, struct bytes item);
/* elements: encoded values one after another, each value.whole. */
void item_build_l(struct item_build *build, struct bytes name, struct bytes elements);
void item_build_value(struct item_build *build, struct bytes name, struct value value);
/* The item, in the arena. ERR_NOMEM. */
MUST_USE enum err item_build_end(struct item_build *build, struct bytes *item);
/* One value on its own, in the arena (ptr NULL when memory is out): for list elements and
 * comparisons. */
struct value value_of_s(struct arena *arena, struct bytes text);
struct value value_of_i64(struct arena *arena, int64_t number);
struct value value_of_m(struct arena *arena, struct bytes item);

/* ---- the JSON form ---- */

/* Why a value was refused, in DynamoDB's words without any envelope; the caller adds what its
 * operation puts around it (AWS-DETAILS sections 1, 2 and 4). */
enum item_refusal {
    ITEM_REFUSED_VALIDATION,    /* ValidationException, enveloped where the operation envelops */
    ITEM_REFUSED_BARE,          /* ValidationException, never enveloped */
    ITEM_REFUSED_SERIALIZATION, /* SerializationException */
    ITEM_REFUSED_DEPTH          /* nesting: enveloped up to 62 levels, bare above */
};

/* What is wrong; DynamoDB tells a value with several faults in this order. */
enum item_wrong { ITEM_WRONG_SET, ITEM_WRONG_NUMBER, ITEM_WRONG_NULL, ITEM_WRONG_OTHER };

struct item_fault {
    enum item_refusal kind;
    enum item_wrong wrong;
    unsigned depth;     /* for ITEM_REFUSED_DEPTH: the depth found */
    char text[512];     /* in the newer words */
    char old_text[512]; /* in DynamoDB's older ones; empty: the same */
};

/* How an item is to be read, and was. DynamoDB reads some forms by its older layer, and then tells
 * the whole request in that layer's words. */
struct item_reading {
    struct item_fault fault; /* with ERR_FAULT */
    bool old_form; /* a BOOL or NULL came as text, or a value with two types; never reset */
    bool deeper;   /* set by the caller: ITEM_DEPTH_MAX containers are read, though never stored */
};

/* {"name": {"S": ...}, ...} to item bytes in the arena. ERR_FAULT with the fault set, or ERR_NOMEM.
 * Does not check the 400 KB limit: that is the operation's to say. */
MUST_USE enum err item_from_json(struct json object, struct arena *arena, struct bytes *item,
                                 struct item_reading *reading);
/* {"S": ...} to a value in the arena. */
MUST_USE enum err value_from_json(struct json object, struct arena *arena, struct value *value,
                                  struct item_reading *reading);
/* Appends {"name":{"S":...},...}: members by name; SS and BS by bytes, NS ascending. */
void item_to_json(struct buf *buf, struct bytes item);
/* The same with NS in the order of Java's HashSet, as DynamoDB shows them in some answers. */
void item_to_json_hashed(struct buf *buf, struct bytes item);
/* Visits the numbers of a set in that order. */
void hash_set_each(struct bytes set, void (*visit)(void *arg, struct bytes number), void *arg);
void value_to_json(struct buf *buf, struct value value);

/* ---- comparing ---- */

static inline bool value_equal(struct value a, struct value b)
{
    return bytes_equal(a.whole, b.whole);
}

/* Order of two values of one of S, N, B, by DynamoDB's rules; both tags must be equal and ordered
 * types. */
int value_compare(struct value a, struct value b);

#endif
