/* How members of requests and answers are named, typed, bounded and placed. One table per struct;
 * decode.c, constrain.c, encode.c and describe.c read the same tables, so a member is stated once.
 *
 * Texts and their order differ between operations in DynamoDB, and it changes them one operation at
 * a time: whatever can differ is in the operation's own table. Private to op. */
#ifndef HW_OP_FIELD_H
#define HW_OP_FIELD_H

#include "op/op.h"

enum field_type {
    FIELD_END, /* closes every table */
    FIELD_STRING,
    FIELD_ENUM,    /* an enum of the set; 0 when not given */
    FIELD_BOOL,    /* DynamoDB takes some strings too */
    FIELD_INTEGER, /* int32_t, saturating, fractions cut */
    FIELD_LONG,    /* int64_t, the same */
    FIELD_ITEM,    /* a map of attribute values, as item bytes */
    FIELD_NAMES,   /* a map of strings, as an item of S values */
    FIELD_STRUCT,  /* embedded */
    FIELD_LIST,    /* of structs: pointer, and size_t at `count` */
    FIELD_UNBUILT, /* known to DynamoDB, refused here */
    FIELD_STRINGS, /* a list of struct bytes: pointer, and size_t at `count` */
    FIELD_ITEMS,   /* the same, each an item */
    FIELD_MAP,     /* of entries, in the order of the wire: as FIELD_LIST. An entry is a struct that
                      begins with its name (struct bytes); the only field of its shape is its value */
    /* In answers only. */
    FIELD_SIZE, /* size_t */
    FIELD_DOUBLE,
    FIELD_TIME,    /* uint64_t milliseconds, shown in seconds */
    FIELD_SECONDS, /* the same, shown in whole seconds */
};

enum field_form {
    FORM_ANY,
    FORM_TABLE_NAME,         /* one fault: length, else pattern */
    FORM_TABLE_NAME_LENGTH,  /* both faults, length first */
    FORM_TABLE_NAME_PATTERN, /* both faults, pattern first */
    FORM_CONTROL_NAME,       /* both, length first; the control plane's own text for absence */
    FORM_CONTROL_START,      /* the same, pattern first */
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_BARE = 2,         /* its constraint text stands without an envelope */
    FIELD_NO_ECHO = 4,      /* its constraint text gives the wire name and no value */
    FIELD_NO_VALUE = 32,    /* its constraint text gives no value */
    FIELD_VALUES = 8,       /* FIELD_ITEM: ExpressionAttributeValues, keyed by :name */
    FIELD_START = 64,       /* FIELD_ITEM: ExclusiveStartKey */
    FIELD_DEEPER = 8192,    /* FIELD_ITEM: one container more than may be stored is read */
    FIELD_DEEP_START = 128, /* the same, where too deep a value is told as of a start key */
    FIELD_NATURAL = 256,    /* FIELD_INTEGER: 0 is its least value */
    FIELD_ALONE = 512,      /* its fault is told alone, not joined with those after it */
    FIELD_OWN_WORDS = 1024, /* its bounds are told by the operation, in words of its own */
    FIELD_HASHED = 4096, /* in answers: an item, or items, whose number sets are in Java's order */
    FIELD_EXPRESSION = 2048, /* FIELD_STRING: does not go with legacy parameters */
    FIELD_KEEP_ZERO = 16     /* in answers: shown also when it is 0 */
};

struct enum_set {
    const char *const *names; /* by value; NULL: none has this value */
    size_t count;
    const char *text; /* DynamoDB's list, in its order */
    const char *bare; /* the whole constraint text where it names no value; NULL: the usual */
    const struct enum_set *wider; /* DynamoDB knows these, but not here: */
    const char *narrow;           /* its words for one of them */
};

/* Of an array of names, by value. */
#define ENUM_SET(of_names, of_text)                                                                \
    {                                                                                              \
        .names = (of_names), .count = sizeof(of_names) / sizeof((of_names)[0]), .text = (of_text)  \
    }

struct field;

struct shape {
    const char *type; /* DynamoDB's name of the struct, in one of its texts */
    const struct field *fields;
    size_t size;
};

struct field {
    struct bytes name; /* the wire's, ended by zero */
    enum field_type type;
    unsigned flags;
    unsigned stage; /* faults of the lowest stage are joined in table order; later ones unsaid */
    enum field_form form;
    size_t offset;
    size_t given;    /* place of a bool: the member is there; 0: none */
    size_t count;    /* place of a list's size_t */
    size_t too_deep; /* of FIELD_ITEM: place of a pointer to struct bytes, what is said of a value
                        nested too deep: the operation tells it; 0: told with other values */
    int64_t min;     /* of length, count or value; 0: no bound */
    int64_t max;
    const struct enum_set *set;
    const struct shape *shape;
};

/* A member whose place is that of a struct member. */
#define AT(structure, member) .offset = offsetof(struct structure, member)
#define GIVEN(structure, member) .given = offsetof(struct structure, member)
#define COUNTED(structure, member) .count = offsetof(struct structure, member)
#define TOO_DEEP(structure, member) .too_deep = offsetof(struct structure, member)

/* ---- decoding ---- */

enum violation_kind {
    VIOLATES_PRESENCE,
    VIOLATES_LENGTH_MIN,
    VIOLATES_LENGTH_MAX,
    VIOLATES_VALUE_MIN,
    VIOLATES_VALUE_MAX,
    VIOLATES_PATTERN,
    VIOLATES_SET,
    VIOLATES_NARROW_SET,
    VIOLATES_CONTROL_PRESENCE,
    VIOLATES_MAP_NAMES,
    VIOLATES_MAP_VALUES
};

struct violation {
    struct violation *next;
    const struct field *field;
    enum violation_kind kind;
    unsigned stage;
    int64_t bound;
    struct bytes value; /* as echoed; ptr NULL: null */
    struct bytes path;  /* as in old texts */
    struct bytes wire_path;
    bool unechoed; /* told as with FIELD_NO_ECHO */
};

/* A text that is in no enum set, until constraints are told. */
struct stray {
    struct stray *next;
    const void *place;
    struct bytes text;
};

#define LEGACY_MAX 8

/* One request being decoded. What is found wrong waits here until all members were seen, because
 * DynamoDB tells wrong types first, constraints second and values third. */
struct decode {
    struct op_call *call;
    struct stray *strays;
    struct violation *violations; /* in the order of the tables */
    struct violation **violations_end;
    bool old_words;      /* constraints are told as by op.old_order */
    bool old_order;      /* a number was brought into range, which the older layer does */
    const char *unbuilt; /* the first member that is refused as such */
    const struct field *legacy[LEGACY_MAX]; /* members beside which no expression may stand */
    size_t legacy_count;
    bool value_refused;     /* value says why */
    struct bytes value_key; /* of ExpressionAttributeValues, where the text names it */
    unsigned value_flags;   /* of the member that it is in */
    struct item_fault value;
};

/* Walks the tables over the decoded struct and collects violations. */
MUST_USE enum err constrain(struct decode *decode);
/* The text that an enum at that place was given. */
struct bytes decode_stray_text(const struct decode *decode, const void *place);
/* A list of base, or a map, as constraint texts show it; in the arena. */
struct bytes echo_list(struct decode *decode, const struct field *field, const void *base);
struct bytes echo_map(struct decode *decode, const struct field *field, const void *base);
/* Tells the violations of the lowest stage up to `stage`; OK if there are none. */
MUST_USE enum err decode_tell_violations(struct decode *decode, unsigned stage);
/* Tells expressions beside legacy parameters. */
MUST_USE enum err decode_tell_mixing(struct decode *decode);
/* Tells that, a parameter that is not built, then a refused value. */
MUST_USE enum err decode_tell_values(struct decode *decode);

/* ---- encoding ---- */

void encode_fields(struct buf *out, const struct field *fields, const void *base);

#endif
