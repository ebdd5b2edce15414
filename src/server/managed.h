/* Managed access keys: each with a policy, made and ended while the server runs. They are kept in
 * DATA/keys, one sealed file that is replaced whole; the key that opens it is never in the data
 * directory.
 *
 *   DATA/keys = "headwater keys 1\n", then sealed (base/seal.h; its label is the first line):
 *   {"keys":[{"id":..,"name":..,"secret":..,"active":..,"created_ms":..,"policy":TEXT}, ...]}
 *
 * A set is immutable. A change makes another one that shares the keys which did not change. */
#ifndef HW_SERVER_MANAGED_H
#define HW_SERVER_MANAGED_H

#include "base/seal.h"
#include "policy/policy.h"

#define MANAGED_KEYS_MAX 1000u
#define MANAGED_NAME_MAX 64u
#define MANAGED_PATH_MAX 4096u

/* Immutable; all texts are its own. */
struct managed_key {
    struct bytes id;
    struct bytes name; /* letters, digits and +=,.@_- ; of one key alone, and no id */
    struct bytes secret;
    struct bytes policy_text;
    struct policy *policy;
    uint64_t created_ms;
    bool active;
    size_t size;
};

struct managed_set {
    size_t count;
    struct managed_key *by_id[]; /* in order of their ids */
};

/* Where the file is, and what opens it. Written before threads start and by managed_save. */
struct managed_file {
    char path[MANAGED_PATH_MAX];
    char master_path[MANAGED_PATH_MAX];
    uint8_t master[SEAL_KEY_LEN];
    bool has_master;
};

enum key_change_kind { KEY_CREATE, KEY_UPDATE, KEY_DELETE };
struct key_change {
    enum key_change_kind kind;
    struct bytes name;   /* of the new key; else a key's name or id */
    struct bytes policy; /* its text; of an update, ptr NULL: as it is */
    bool set_active;     /* of an update: */
    bool active;
    uint64_t now_ms;
};

/* master: the option; empty: systemd's credential headwater-master-key, else DATA.key, which is
 * made by the first managed_save. Reads the file if there is one. why says what is wrong. */
MUST_USE enum err managed_open(struct managed_file *file, const char *data, const char *master,
                               struct managed_set **set, char *why, size_t room);
/* Writes the set and the master key, if that is not there yet. Blocks; one thread at a time. */
MUST_USE enum err managed_save(struct managed_file *file, const struct managed_set *set, char *why,
                               size_t room);
/* *touched: the key that is new in *fresh, or gone from it. *replaced: the key of the old set that
 * is not in it any more, or NULL. ERR_NOT_FOUND, ERR_BUSY: there is a key of that name, ERR_FULL:
 * there are too many, ERR_INVALID: why says what is wrong with name or policy. */
MUST_USE enum err managed_apply(const struct managed_set *old, const struct key_change *change,
                                struct managed_set **fresh, struct managed_key **touched,
                                struct managed_key **replaced, char *why, size_t room);
const struct managed_key *managed_find(const struct managed_set *set, struct bytes id);
void managed_key_free(struct managed_key *key);
/* The set alone, and with all of its keys. */
void managed_set_free(struct managed_set *set);
void managed_set_free_all(struct managed_set *set);

/* An id as AWS's look (AKIA and 16 of base 32), a secret of 40 characters: 240 random bits. Both
 * are ended by zero. */
#define KEY_ID_LEN 20u
#define KEY_SECRET_LEN 40u
void managed_make_key(char id[KEY_ID_LEN + 1], char secret[KEY_SECRET_LEN + 1]);

#endif
