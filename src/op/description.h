/* TableDescription: how CreateTable, DescribeTable, UpdateTable and DeleteTable show a table, what
 * their requests share, and the settings item in which op keeps what the store does not need to
 * know of it. Private to op. */
#ifndef HW_OP_DESCRIPTION_H
#define HW_OP_DESCRIPTION_H

#include "op/op_priv.h"

enum billing_mode { BILLING_NONE = 0, BILLING_PROVISIONED, BILLING_PER_REQUEST };
enum table_class { CLASS_NONE = 0, CLASS_STANDARD, CLASS_INFREQUENT };
enum key_type { KEY_TYPE_NONE = 0, KEY_TYPE_HASH, KEY_TYPE_RANGE };
enum table_status {
    STATUS_NONE = 0,
    STATUS_CREATING,
    STATUS_ACTIVE,
    STATUS_UPDATING,
    STATUS_DELETING
};
enum encryption_type { ENCRYPTION_NONE = 0, ENCRYPTION_AES256, ENCRYPTION_KMS };

#define ON_DEMAND_UNBOUND (-1) /* takes a bound of OnDemandThroughput away */

extern const struct enum_set set_billing_mode, set_table_class, set_key_type, set_attribute_type,
    set_stream_view;
extern const struct shape shape_key_element, shape_table_description;
/* Of requests: table_members.c. */
extern const struct shape shape_definition_in, shape_throughput_in, shape_on_demand_in,
    shape_stream_in, shape_encryption_in, shape_tag_in;

struct throughput {
    int64_t read;
    int64_t write;
    bool has_read;
    bool has_write;
};

struct key_element {
    struct bytes name;
    enum key_type type;
};

struct attribute_definition {
    struct bytes name;
    enum value_tag type;
};

struct stream_specification {
    bool enabled;
    bool has_enabled;
    enum stream_view view;
};

#define CAPACITY_UNITS_MAX 1000000000000
#define TAG_KEY_MAX 128   /* characters */
#define TAG_VALUE_MAX 256 /* characters */

/* ptr NULL: not given. */
struct table_tag {
    struct bytes key;
    struct bytes value;
};

struct encryption {
    bool enabled;
    bool has_enabled;
    enum encryption_type type;
    struct bytes key;
};

/* What op keeps of a table and echoes. */
struct table_settings {
    enum billing_mode billing;
    struct throughput throughput;
    struct throughput on_demand; /* largest units; absent: no bound */
    uint64_t on_demand_since_ms; /* 0: it never was on demand, or it was from the beginning */
    enum table_class class;
    uint64_t class_since_ms; /* 0: it has the class it was made with */
    bool protected;
    struct bytes id;   /* a UUID */
    struct bytes tags; /* an item of S values */
};

struct provisioned {
    int64_t read;
    int64_t write;
    int64_t decreases;
};

struct table_description {
    struct attribute_definition *definitions;
    size_t definition_count;
    struct bytes name;
    struct key_element *keys;
    size_t key_count;
    enum table_status status;
    uint64_t created_ms;
    struct provisioned provisioned;
    size_t size_bytes;
    size_t item_count;
    struct bytes arn;
    struct bytes id;
    struct {
        enum billing_mode mode;
        uint64_t since_ms;
    } billing;
    bool has_billing;
    struct throughput on_demand;
    bool has_on_demand;
    struct stream_specification stream;
    bool has_stream;
    struct bytes stream_label;
    struct bytes stream_arn;
    struct {
        enum table_class class;
        uint64_t since_ms;
    } class;
    bool has_class;
    bool protected;
};

/* The answer of all four: a table under "Table" or "TableDescription". */
struct table_out {
    struct table_description table;
};

/* ValidationException for more units than any table may have. */
MUST_USE enum err check_units(struct op_call *call, const char *member, int64_t units);
/* Only the store's own key is there, so asking for none is all that is granted. */
MUST_USE enum err check_encryption(struct op_call *call, const struct encryption *asked);
/* Settings as an item in the arena. */
MUST_USE enum err settings_encode(const struct table_settings *settings, struct arena *arena,
                                  struct bytes *item);
/* Of any table: what is missing (the server's own tables have none) reads as on demand. What it
 * holds is borrowed from the item. */
void settings_decode(struct bytes item, struct table_settings *settings);
/* Key elements of a schema, one or two, in the arena; NULL: memory. */
struct key_element *key_elements(const struct key_schema *schema, struct arena *arena,
                                 size_t *count);
/* Copies what it shows: the catalogue may go before the answer leaves. */
MUST_USE enum err description_fill(const struct table *table, enum table_status status,
                                   struct arena *arena, struct table_description *out);
/* "Requested resource not found: Table: T not found", the control plane's words. */
MUST_USE enum err lookup_control(struct op_call *call, struct reader *reader, struct bytes name,
                                 const struct table **table);

#endif
