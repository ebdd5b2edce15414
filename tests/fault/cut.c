/* hwfault-cut [--model NAME] STATE ROOT SEED
 *
 * Turns ROOT into one of the states that a power cut may leave, out of the journal that
 * libhwfault.so wrote, and removes the journal: what is there now is durable. The same seed and
 * journal give the same state. Prints one line about what it did.
 *
 * What was synced stays. Of the rest, each change is kept, lost, or (a write) kept in part, by
 * sectors of 512 bytes. A sector is what it was at some moment: if a write to it is kept, so are
 * those before it, in that sector. A file's size is one that it had. A name stands for what it
 * stood for at some moment since its directory was synced, whatever became of other names; only
 * the two halves of a rename are never lost together with what they were about. A directory that
 * has lost its name takes everything below with it. A sync of a file does not keep its name. */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u

enum model {
    NOTHING,    /* that was not synced is kept */
    EVERYTHING, /* is kept, as after a kill */
    PREFIX,     /* all changes up to one moment */
    SUBSET,     /* each change by itself, whole or not at all */
    TORN,       /* each write in part, each size and name by itself */
    FILES,      /* each file and directory up to a moment of its own */
    LAST,       /* all but the newest few writes, which are torn */
    NAMES,      /* names and sizes, no bytes */
    BYTES,      /* bytes and sizes, no names */
    MODELS
};
static const char *const model_names[MODELS] = {
    [NOTHING] = "nothing", [EVERYTHING] = "everything", [PREFIX] = "prefix", [SUBSET] = "subset",
    [TORN] = "torn",       [FILES] = "files",           [LAST] = "last",     [NAMES] = "names",
    [BYTES] = "bytes"};
static const unsigned model_weights[MODELS] = {2, 1, 2, 3, 3, 2, 3, 1, 1};

enum part { PART_NONE, PART_ALL, PART_HEAD, PART_TAIL, PART_SCATTERED };

/* A change that has not been synced, or a name's newest that has. */
struct change {
    const struct record *record;
    uint64_t seq;
    uint64_t inode; /* of the file or the directory */
    uint64_t name;  /* of an entry: its number */
    uint64_t target;
    uint64_t count; /* sectors, of a write */
    uint64_t from;  /* which part: how many, or where scattering begins */
    bool is_entry;
    bool is_directory;
    bool is_pair;
    bool keeps_size;
    enum part part;
};

struct name {
    uint64_t directory;
    const char *text;
    size_t len;
    uint64_t target; /* newest while reading, chosen afterwards */
    bool is_directory;
    bool was_seen; /* by the walk under way */
};

/* A map of numbers above 0. */
struct map {
    uint64_t *keys;
    uint64_t *values;
    size_t cap;
};

struct cut {
    const char *state;
    const char *root;
    const struct journal_header *header;
    uint64_t random;
    enum model model;
    struct change *changes;
    size_t change_count;
    size_t change_cap;
    struct name *names;
    size_t name_count;
    size_t name_cap;
    uint64_t *name_table; /* number + 1 by hash */
    size_t name_table_cap;
    struct map synced;  /* by inode: the newest record that is covered */
    struct map moments; /* by inode: its own moment */
    bool first_walk;
    bool in_walk;
    uint64_t strangers;      /* entries that a later walk met and the journal does not hold */
    char stranger[PATH_MAX]; /* the first of them */
    struct {
        unsigned whole, torn, lost, entries, entries_lost, files;
    } done;
};

static _Noreturn void fail(const char *what, const char *detail)
{
    fprintf(stderr, "hwfault-cut: %s: %s%s%s\n", what, detail, errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    exit(2);
}

static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 1024 : *cap * 2;
    array = realloc(array, *cap * size);
    if (array == NULL) {
        fail("out of memory", "");
    }
    return array;
}

/* ---- chance ---- */

static uint64_t random_next(struct cut *cut)
{
    uint64_t z = cut->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t random_below(struct cut *cut, uint64_t end)
{
    return end == 0 ? 0 : random_next(cut) % end;
}

static enum model choose_model(struct cut *cut)
{
    unsigned total = 0;
    for (unsigned i = 0; i < MODELS; i++) {
        total += model_weights[i];
    }
    unsigned at = (unsigned)random_below(cut, total);
    unsigned model = 0;
    while (at >= model_weights[model]) {
        at -= model_weights[model++];
    }
    return (enum model)model;
}

/* ---- maps ---- */

static uint64_t *map_at(struct map *map, uint64_t key)
{
    size_t slot = (size_t)(key * 0x9e3779b97f4a7c15ull >> 20) % map->cap;
    while (map->keys[slot] != 0 && map->keys[slot] != key) {
        slot = (slot + 1) % map->cap;
    }
    map->keys[slot] = key;
    return &map->values[slot];
}

static void map_init(struct map *map)
{
    map->cap = 1u << 17; /* twice what the library can watch */
    map->keys = calloc(map->cap, sizeof(uint64_t));
    map->values = calloc(map->cap, sizeof(uint64_t));
    if (map->keys == NULL || map->values == NULL) {
        fail("out of memory", "");
    }
}

static uint64_t name_hash(uint64_t directory, const char *text, size_t len)
{
    uint64_t hash = directory * 0x9e3779b97f4a7c15ull;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3ull;
    }
    return hash ^ hash >> 29;
}

/* The name's number; made when it is new. */
static uint64_t name_number(struct cut *cut, uint64_t directory, const char *text, size_t len)
{
    size_t slot = (size_t)(name_hash(directory, text, len) % cut->name_table_cap);
    for (; cut->name_table[slot] != 0; slot = (slot + 1) % cut->name_table_cap) {
        const struct name *name = &cut->names[cut->name_table[slot] - 1];
        if (name->directory == directory && name->len == len &&
            memcmp(name->text, text, len) == 0) {
            return cut->name_table[slot] - 1;
        }
    }
    if (cut->name_count > cut->name_table_cap / 2) {
        fail("too many names", cut->root);
    }
    cut->names = grow(cut->names, cut->name_count, &cut->name_cap, sizeof(struct name));
    cut->names[cut->name_count] = (struct name){.directory = directory, .text = text, .len = len};
    cut->name_table[slot] = ++cut->name_count;
    return cut->name_count - 1;
}

/* ---- reading the journal ---- */

static struct change *add_change(struct cut *cut, const struct record *record, uint64_t inode,
                                 uint64_t seq)
{
    cut->changes = grow(cut->changes, cut->change_count, &cut->change_cap, sizeof(struct change));
    struct change *change = &cut->changes[cut->change_count++];
    *change = (struct change){.record = record, .inode = inode, .seq = seq};
    return change;
}

static void change_entry(struct cut *cut, uint64_t number, const struct record *record,
                         uint64_t target, uint64_t seq)
{
    struct name *name = &cut->names[number];
    struct change *change = add_change(cut, record, name->directory, seq);
    change->is_entry = true;
    change->name = number;
    change->target = target;
    change->is_directory = target != 0 && (record->flags & RECORD_DIRECTORY) != 0;
    change->is_pair = (record->flags & RECORD_PAIR) != 0;
    name->target = target;
}

/* A later walk only tells what differs: what its predecessor did last. */
static void read_entry(struct cut *cut, const struct record *record)
{
    uint64_t number = name_number(cut, record->inode, (const char *)(record + 1), record->name_len);
    struct name *name = &cut->names[number];
    bool known = cut->in_walk && !cut->first_walk && name->target == record->target;
    name->was_seen = true;
    if (!known) {
        cut->strangers += cut->in_walk && !cut->first_walk;
        change_entry(cut, number, record, record->target, record->seq);
    }
    if (cut->first_walk) {
        *map_at(&cut->synced, record->inode) = record->seq;
    }
}

static void walk_begin(struct cut *cut)
{
    cut->in_walk = true;
    cut->strangers = 0;
    for (size_t i = 0; i < cut->name_count; i++) {
        cut->names[i].was_seen = false;
    }
}

static void walk_end(struct cut *cut, const struct record *record)
{
    for (size_t i = 0; i < cut->name_count; i++) {
        if (cut->names[i].target != 0 && !cut->names[i].was_seen) {
            cut->strangers++;
            change_entry(cut, i, record, 0, record->seq);
        }
    }
    /* A process is killed within one change at most: a name, or the two of a rename. */
    if (cut->strangers > 2) {
        fail("changes went past the library", cut->root);
    }
    cut->in_walk = false;
    cut->first_walk = false;
}

static void read_record(struct cut *cut, const struct record *record)
{
    switch ((enum record_kind)record->kind) {
    case RECORD_ENTRY:
        read_entry(cut, record);
        return;
    case RECORD_WRITE:
    case RECORD_SIZE:
        add_change(cut, record, record->inode, record->seq);
        return;
    case RECORD_SYNC: {
        uint64_t *covered = map_at(&cut->synced, record->inode);
        *covered = record->length > *covered ? record->length : *covered;
        return;
    }
    case RECORD_WALK:
        walk_begin(cut);
        return;
    case RECORD_WALKED:
        walk_end(cut, record);
        return;
    }
    fail("the journal is damaged", cut->state);
}

static void read_journal(struct cut *cut)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/journal", cut->state);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const uint8_t *journal =
        fd < 0 ? MAP_FAILED : mmap(NULL, JOURNAL_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (journal == MAP_FAILED) {
        fail("cannot read the journal", path);
    }
    close(fd);
    cut->header = (const struct journal_header *)journal;
    if (cut->header->magic != JOURNAL_MAGIC) {
        fail("there is no journal", path);
    }
    uint64_t end = atomic_load((_Atomic uint64_t *)(uintptr_t)&cut->header->end);
    cut->first_walk = true;
    for (uint64_t at = JOURNAL_ROOM; at < end;) {
        const struct record *record = (const struct record *)(journal + at);
        if (record->bytes < sizeof(*record) || record->bytes > end - at) {
            fail("the journal is damaged", path);
        }
        read_record(cut, record);
        at += record->bytes;
    }
}

/* ---- is the directory what the journal says? ---- */

static void note_stranger(struct cut *cut, bool is_one, const char *path)
{
    if (is_one && cut->strangers++ == 0) {
        snprintf(cut->stranger, sizeof(cut->stranger), "%s", path);
    }
}

static void check_directory(struct cut *cut, const char *path, uint64_t inode)
{
    char below[PATH_MAX];
    struct stat status;
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (directory == NULL) {
        fail("cannot read", path);
    }
    while ((entry = readdir(directory)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char *text = malloc(len + 1);
        memcpy(text, entry->d_name, len + 1);
        uint64_t number = name_number(cut, inode, text, len);
        struct name *name = &cut->names[number];
        snprintf(below, sizeof(below), "%s/%s", path, text);
        if (lstat(below, &status) != 0) {
            fail("cannot read", below);
        }
        name->was_seen = true;
        note_stranger(cut, name->target != status.st_ino, below);
        if (S_ISDIR(status.st_mode)) {
            check_directory(cut, below, status.st_ino);
        }
    }
    closedir(directory);
}

/* A kill may fall between a change and its record: then the name is taken from the journal. */
static void check_root(struct cut *cut)
{
    walk_begin(cut);
    check_directory(cut, cut->root, cut->header->root);
    for (size_t i = 0; i < cut->name_count; i++) {
        const struct name *name = &cut->names[i];
        note_stranger(cut, name->target != 0 && !name->was_seen, name->text);
    }
    if (cut->strangers > (cut->header->was_cut != 0 ? 0u : 2u)) {
        errno = 0;
        fail("changes went past the library", cut->stranger);
    }
}

/* ---- what is kept ---- */

static bool is_synced(struct cut *cut, const struct change *change)
{
    return change->seq <= *map_at(&cut->synced, change->inode);
}

static uint64_t size_after(const struct change *change)
{
    const struct record *record = change->record;
    uint64_t end = record->offset + record->length;
    if (record->kind == RECORD_SIZE) {
        return record->length;
    }
    return end > record->old_size ? end : record->old_size;
}

/* The bytes that a change touches; of a truncation, those that become zeros. */
static void touched(const struct change *change, uint64_t *from, uint64_t *to)
{
    const struct record *record = change->record;
    bool is_size = record->kind == RECORD_SIZE;
    *from = is_size ? record->length : record->offset;
    *to = is_size ? record->old_size : record->offset + record->length;
    *to = *to < *from ? *from : *to;
}

static void tear(struct cut *cut, struct change *change)
{
    uint64_t from;
    uint64_t to;
    touched(change, &from, &to);
    change->count = (to + SECTOR - 1) / SECTOR - from / SECTOR;
    change->part = (enum part)random_below(cut, PART_SCATTERED + 1);
    change->from =
        change->part == PART_SCATTERED ? random_next(cut) : random_below(cut, change->count + 1);
}

/* The moment after which an inode's changes are lost, in the model of files. */
static uint64_t moment_of(struct cut *cut, uint64_t inode, uint64_t oldest, uint64_t newest)
{
    uint64_t *moment = map_at(&cut->moments, inode);
    if (*moment == 0) {
        *moment = oldest + random_below(cut, newest - oldest + 2);
    }
    return *moment;
}

struct choice {
    uint64_t oldest; /* sequence numbers of what was not synced */
    uint64_t newest;
    uint64_t moment;
    uint64_t percent;
};

static bool keep_whole(struct cut *cut, const struct change *change, const struct choice *choice)
{
    switch (cut->model) {
    case NOTHING:
        return false;
    case EVERYTHING:
        return true;
    case PREFIX:
    case LAST:
        return change->seq < choice->moment;
    case SUBSET:
    case TORN:
        return random_below(cut, 100) < choice->percent;
    case FILES:
        return change->seq < moment_of(cut, change->inode, choice->oldest, choice->newest);
    case NAMES:
        return change->is_entry;
    case BYTES:
        return !change->is_entry;
    case MODELS:
        break;
    }
    return false;
}

static void choose_change(struct cut *cut, struct change *change, const struct choice *choice)
{
    bool whole = keep_whole(cut, change, choice);
    change->part = whole ? PART_ALL : PART_NONE;
    change->keeps_size = whole || (cut->model == NAMES && !change->is_entry);
    if (cut->model == LAST && !whole && change->is_entry) {
        change->part = random_below(cut, 2) == 0 ? PART_ALL : PART_NONE;
    } else if ((cut->model == LAST && !whole) || (cut->model == TORN && !change->is_entry)) {
        tear(cut, change);
        change->keeps_size = random_below(cut, 2) == 0;
    }
}

/* The moment of LAST lies a few writes before the end. */
static uint64_t moment_of_last(struct cut *cut, const struct choice *choice)
{
    uint64_t left = 1 + random_below(cut, 3);
    uint64_t moment = choice->newest + 1;
    for (size_t i = cut->change_count; i > 0 && left > 0; i--) {
        const struct change *change = &cut->changes[i - 1];
        if (!is_synced(cut, change) && !change->is_entry) {
            moment = change->seq;
            left--;
        }
    }
    return moment;
}

static void choose(struct cut *cut)
{
    static const uint64_t percents[] = {10, 50, 90};
    struct choice choice = {.percent = percents[random_below(cut, 3)]};
    for (size_t i = 0; i < cut->change_count; i++) {
        if (!is_synced(cut, &cut->changes[i])) {
            choice.oldest = choice.oldest == 0 ? cut->changes[i].seq : choice.oldest;
            choice.newest = cut->changes[i].seq;
        }
    }
    choice.moment = cut->model == LAST
                        ? moment_of_last(cut, &choice)
                        : choice.oldest + random_below(cut, choice.newest - choice.oldest + 2);
    for (size_t i = 0; i < cut->change_count; i++) {
        struct change *change = &cut->changes[i];
        if (is_synced(cut, change)) {
            change->part = PART_ALL;
            continue;
        }
        choose_change(cut, change, &choice);
        if (change->is_pair && change->part == PART_ALL) {
            change->part = cut->changes[i - 1].part; /* no new name, so the old one stays */
        }
    }
}

static void name_changes(struct cut *cut)
{
    for (size_t i = 0; i < cut->name_count; i++) {
        cut->names[i].target = 0;
    }
    for (size_t i = 0; i < cut->change_count; i++) {
        const struct change *change = &cut->changes[i];
        if (change->is_entry && change->part != PART_NONE) {
            cut->names[change->name].target = change->target;
            cut->names[change->name].is_directory = change->is_directory;
        }
        if (change->is_entry && !is_synced(cut, change)) {
            cut->done.entries++;
            cut->done.entries_lost += change->part == PART_NONE;
        }
    }
}

/* ---- bytes ---- */

static void put(int fd, uint64_t offset, const uint8_t *bytes, size_t len, uint64_t from,
                uint64_t to)
{
    static const uint8_t zeros[1u << 16];
    while (from < to) { /* bytes first, then the zeros that were not kept */
        bool inside = from - offset < len;
        uint64_t left = inside ? offset + len - from : sizeof(zeros);
        size_t part = (size_t)(to - from < left ? to - from : left);
        const uint8_t *source = inside ? bytes + (from - offset) : zeros;
        ssize_t written = pwrite(fd, source, part, (off_t)from);
        if (written <= 0) {
            fail("cannot write", "an inode");
        }
        from += (uint64_t)written;
    }
}

static void set_size(int fd, uint64_t size)
{
    if (ftruncate(fd, (off_t)size) != 0) {
        fail("cannot truncate", "an inode");
    }
}

static void undo(int fd, const struct change *change)
{
    const struct record *record = change->record;
    const uint8_t *old = (const uint8_t *)(record + 1) + record->name_len + record->new_len;
    uint64_t from;
    uint64_t to;
    touched(change, &from, &to);
    to = to < record->old_size ? to : record->old_size;
    set_size(fd, record->old_size);
    put(fd, from, old, record->old_len, from, to);
}

static bool holds_sector(const struct change *change, uint64_t sector, uint64_t first)
{
    uint64_t at = sector - first;
    switch (change->part) {
    case PART_NONE:
        return false;
    case PART_ALL:
        return true;
    case PART_HEAD:
        return at < change->from;
    case PART_TAIL:
        return at >= change->from;
    case PART_SCATTERED:
        return ((change->from ^ at) * 0x9e3779b97f4a7c15ull >> 63) != 0;
    }
    return false;
}

/* bounds[sector]: the newest change of the file that is kept in it, counted from 1. */
static void note_bounds(const struct change *change, uint32_t number, uint32_t *bounds)
{
    uint64_t from;
    uint64_t to;
    touched(change, &from, &to);
    for (uint64_t sector = from / SECTOR; sector * SECTOR < to; sector++) {
        if (holds_sector(change, sector, from / SECTOR)) {
            bounds[sector] = number;
        }
    }
}

static uint64_t redo(int fd, const struct change *change, uint32_t number, const uint32_t *bounds)
{
    const struct record *record = change->record;
    const uint8_t *new = (const uint8_t *)(record + 1) + record->name_len;
    uint64_t from;
    uint64_t to;
    uint64_t sectors = 0;
    touched(change, &from, &to);
    for (uint64_t at = from; at < to;) {
        uint64_t end = at;
        while (end < to && bounds[end / SECTOR] >= number) {
            end = (end / SECTOR + 1) * SECTOR;
            sectors++;
        }
        end = end < to ? end : to;
        put(fd, from, new, record->new_len, at, end);
        at = end > at ? end : (at / SECTOR + 1) * SECTOR;
    }
    return sectors;
}

static void count_change(struct cut *cut, const struct change *change, uint64_t sectors)
{
    uint64_t from;
    uint64_t to;
    touched(change, &from, &to);
    uint64_t all = from == to ? 0 : (to + SECTOR - 1) / SECTOR - from / SECTOR;
    if (all == 0 ? change->keeps_size : sectors == all) {
        cut->done.whole++;
    } else if (sectors == 0) {
        cut->done.lost++;
    } else {
        cut->done.torn++;
    }
}

static void inode_path(const struct cut *cut, uint64_t inode, char *out, size_t room)
{
    snprintf(out, room, "%s/inodes/%llu", cut->state, (unsigned long long)inode);
}

static void rebuild(struct cut *cut, struct change **changes, size_t count)
{
    char path[PATH_MAX];
    uint64_t size = changes[0]->record->old_size;
    uint64_t most = size;
    inode_path(cut, changes[0]->inode, path, sizeof(path));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        fail("cannot open", path);
    }
    for (size_t i = count; i > 0; i--) {
        undo(fd, changes[i - 1]);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t after = size_after(changes[i]);
        most = after > most ? after : most;
        size = changes[i]->keeps_size ? after : size;
    }
    uint32_t *bounds = calloc((size_t)(most / SECTOR) + 1, sizeof(*bounds));
    if (bounds == NULL) {
        fail("out of memory", path);
    }
    for (size_t i = 0; i < count; i++) {
        note_bounds(changes[i], (uint32_t)(i + 1), bounds);
    }
    for (size_t i = 0; i < count; i++) {
        count_change(cut, changes[i], redo(fd, changes[i], (uint32_t)(i + 1), bounds));
    }
    set_size(fd, size);
    free(bounds);
    close(fd);
    cut->done.files++;
}

static int by_inode(const void *left, const void *right)
{
    const struct change *a = *(struct change *const *)left;
    const struct change *b = *(struct change *const *)right;
    int order = (a->inode > b->inode) - (a->inode < b->inode);
    return order != 0 ? order : (a->seq > b->seq) - (a->seq < b->seq);
}

static void rebuild_files(struct cut *cut)
{
    struct change **open_changes = calloc(cut->change_count + 1, sizeof(*open_changes));
    size_t count = 0;
    for (size_t i = 0; i < cut->change_count; i++) {
        if (!cut->changes[i].is_entry && !is_synced(cut, &cut->changes[i])) {
            open_changes[count++] = &cut->changes[i];
        }
    }
    qsort(open_changes, count, sizeof(*open_changes), by_inode);
    for (size_t from = 0, to = 0; from < count; from = to) {
        while (to < count && open_changes[to]->inode == open_changes[from]->inode) {
            to++;
        }
        rebuild(cut, open_changes + from, to - from);
    }
    free(open_changes);
}

/* ---- names ---- */

static void remove_below(const char *path)
{
    char below[PATH_MAX];
    struct stat status;
    struct dirent *entry;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        fail("cannot read", path);
    }
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (lstat(below, &status) == 0 && S_ISDIR(status.st_mode)) {
            remove_below(below);
        }
        if (remove(below) != 0) {
            fail("cannot remove", below);
        }
    }
    closedir(directory);
}

static void make_below(const struct cut *cut, const char *path, uint64_t directory)
{
    char below[PATH_MAX];
    char inode[PATH_MAX];
    for (size_t i = 0; i < cut->name_count; i++) {
        const struct name *name = &cut->names[i];
        if (name->directory != directory || name->target == 0) {
            continue;
        }
        snprintf(below, sizeof(below), "%s/%.*s", path, (int)name->len, name->text);
        inode_path(cut, name->target, inode, sizeof(inode));
        if ((name->is_directory ? mkdir(below, 0700) : link(inode, below)) != 0) {
            fail("cannot make", below);
        }
        if (name->is_directory) {
            make_below(cut, below, name->target);
        }
    }
}

static void remove_state(const struct cut *cut)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/inodes", cut->state);
    remove_below(path);
    snprintf(path, sizeof(path), "%s/journal", cut->state);
    if (remove(path) != 0) {
        fail("cannot remove", path);
    }
}

/* ---- the command ---- */

static enum model parse_model(const char *text)
{
    unsigned model = 0;
    while (model < MODELS && strcmp(model_names[model], text) != 0) {
        model++;
    }
    if (model == MODELS) {
        fail("no such model", text);
    }
    return (enum model)model;
}

int main(int argc, char **argv)
{
    static struct cut cut;
    const char *model = NULL;
    if (argc == 6 && strcmp(argv[1], "--model") == 0) {
        model = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc != 4) {
        fprintf(stderr, "usage: hwfault-cut [--model NAME] STATE ROOT SEED\n");
        return 1;
    }
    cut.state = argv[1];
    cut.root = argv[2];
    cut.random = strtoull(argv[3], NULL, 10);
    cut.name_table_cap = 1u << 18;
    cut.name_table = calloc(cut.name_table_cap, sizeof(*cut.name_table));
    map_init(&cut.synced);
    map_init(&cut.moments);
    enum model chosen = choose_model(&cut);
    cut.model = model == NULL ? chosen : parse_model(model);
    read_journal(&cut);
    check_root(&cut);
    choose(&cut);
    name_changes(&cut);
    rebuild_files(&cut);
    remove_below(cut.root);
    make_below(&cut, cut.root, cut.header->root);
    remove_state(&cut);
    printf("cut seed=%s model=%s operations=%llu writes: %u kept, %u torn, %u lost in %u files; "
           "names: %u kept, %u lost\n",
           argv[3], model_names[cut.model], (unsigned long long)cut.header->operations,
           cut.done.whole, cut.done.torn, cut.done.lost, cut.done.files,
           cut.done.entries - cut.done.entries_lost, cut.done.entries_lost);
    return 0;
}
