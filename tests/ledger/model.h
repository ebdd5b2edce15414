/* What a store should do, in the small: one table of known keys, whose items are told apart by two
 * numbers, and the few actions and conditions that the workload uses. Every write has an id of its
 * own, which is found again in what it wrote:
 *
 *   hot key   {"n": ADD's sum, "pk","sk", "v": made from w alone, "w": id of the last write}
 *   counter   {"n": sum of the ids that were added, "pk","sk"}
 *
 * So an image is right or wrong to the byte, but for the order of a number set, and names the write
 * it came from. All of this is pure.
 */
#ifndef HW_LEDGER_MODEL_H
#define HW_LEDGER_MODEL_H

#include "base/buf.h"
#include "base/json.h"

#define MODEL_PARTITIONS 20u
#define MODEL_SORTS 10u
#define MODEL_HOT_KEYS (MODEL_PARTITIONS * MODEL_SORTS)
#define MODEL_COUNTERS 8u
#define MODEL_KEYS (MODEL_HOT_KEYS + MODEL_COUNTERS) /* counters come last */

/* An item; zeroed where there is none. */
struct state {
    bool present;
    bool has_n;
    uint64_t w;
    int64_t n;
};

enum action_kind {
    ACTION_PUT,    /* the whole item, without n */
    ACTION_SET,    /* SET w, v ADD n */
    ACTION_DROP,   /* SET w, v REMOVE n */
    ACTION_KEEP,   /* SET w and v where there are none: changes nothing on an item */
    ACTION_DELETE, /* changes nothing where there is no item */
    ACTION_ADD,    /* ADD n id, on counters */
    ACTION_CHECK   /* in transactions: only its condition */
};

enum condition_kind {
    CONDITION_NONE,
    CONDITION_ABSENT,
    CONDITION_PRESENT,
    CONDITION_W_IS,   /* w = operand */
    CONDITION_N_BELOW /* n < operand; false where there is no n */
};

struct action {
    enum action_kind kind;
    enum condition_kind condition;
    unsigned key;
    uint64_t operand;
};

bool state_equal(const struct state *a, const struct state *b);
bool model_holds(const struct action *action, const struct state *old);
/* The item after write id did it; the same as before where nothing changes. */
struct state model_apply(const struct action *action, uint64_t id, const struct state *old);
/* What an update adds to n. */
int64_t model_step(uint64_t id);

void model_key_json(struct buf *out, unsigned key);
/* {"S":...} of the partition of a key. */
void model_partition_json(struct buf *out, unsigned key);
/* MODEL_KEYS if it is none of ours. */
unsigned model_key_of(struct json item);
/* The item as the wire shows it, members in order of their names; only of present states. */
void model_item_json(struct buf *out, unsigned key, const struct state *state);
/* {"S":...} or whatever type write id gives its value. */
void model_value_json(struct buf *out, uint64_t id);
/* The state that an item of the wire shows. False: no write makes such an item of this key; scratch
 * then tells both texts. */
bool model_recognise(struct json item, unsigned key, struct state *state, struct buf *scratch);
/* "w=12 n=3", "absent", ... for messages. */
const char *model_state_text(const struct state *state, char out[64]);
/* "Put p03/k7 if absent", ... */
const char *model_action_text(const struct action *action, char out[128]);

#endif
