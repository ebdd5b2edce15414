/* Items as trees of nodes, for a slow reference of updates and projections: marked, changed in
 * place and written out again. */
#ifndef HW_FUZZ_EXPR_TREE_H
#define HW_FUZZ_EXPR_TREE_H

#include "grammar.h"

struct tree {
    enum value_tag tag;
    struct bytes body; /* of what is no container */
    struct bytes name; /* in a map */
    uint32_t index;    /* in a list: the original one, or the one set past the end */
    bool removed;
    bool marked;        /* with everything inside */
    struct tree *first; /* children in order of name or index */
    struct tree *next;
};

static inline struct tree *tree_new(struct arena *arena)
{
    struct tree *tree = arena_zalloc(arena, sizeof(*tree));
    HOLDS(tree != NULL);
    return tree;
}

static inline struct tree *tree_of(struct value value, struct arena *arena)
{
    struct tree *tree = tree_new(arena);
    struct tree **link = &tree->first;
    struct cursor cursor = cursor_of(value.body);
    struct bytes name = BYTES_NONE;
    struct value inner;
    tree->tag = value.tag;
    if (value.tag != VALUE_M && value.tag != VALUE_L) {
        tree->body = value.body;
        return tree;
    }
    for (uint32_t i = 0;
         value.tag == VALUE_M ? item_next(&cursor, &name, &inner) : list_next(&cursor, &inner);
         i++) {
        *link = tree_of(inner, arena);
        (*link)->name = name;
        (*link)->index = i;
        link = &(*link)->next;
    }
    return tree;
}

static inline int tree_order(const struct tree *tree, const struct grammar_step *step)
{
    return step->is_index ? (tree->index > step->index) - (tree->index < step->index)
                          : bytes_compare(tree->name, step->name);
}

static inline bool tree_fits(const struct tree *tree, const struct grammar_step *step)
{
    return tree->tag == (step->is_index ? VALUE_L : VALUE_M);
}

/* Where the child of that step is, or would go; NULL: the tree is of another kind. */
static inline struct tree **tree_place(struct tree *tree, const struct grammar_step *step)
{
    struct tree **link = &tree->first;
    if (!tree_fits(tree, step)) {
        return NULL;
    }
    while (*link != NULL && tree_order(*link, step) < 0) {
        link = &(*link)->next;
    }
    return link;
}

static inline bool tree_is_there(struct tree **place, const struct grammar_step *step)
{
    return place != NULL && *place != NULL && tree_order(*place, step) == 0;
}

/* The node that holds the path's last step; NULL: there is none of the right kind. */
static inline struct tree *tree_parent(struct tree *root, const struct grammar_path *path)
{
    struct tree *at = root;
    for (size_t i = 0; i + 1 < path->count; i++) {
        struct tree **place = tree_place(at, &path->steps[i]);
        if (!tree_is_there(place, &path->steps[i])) {
            return NULL;
        }
        at = *place;
    }
    return tree_fits(at, &path->steps[path->count - 1]) ? at : NULL;
}

static inline void tree_mark(struct tree *root, const struct grammar_path *path)
{
    const struct grammar_step *last = &path->steps[path->count - 1];
    struct tree *parent = tree_parent(root, path);
    struct tree **place = parent == NULL ? NULL : tree_place(parent, last);
    if (tree_is_there(place, last)) {
        (*place)->marked = true;
    }
}

static inline bool tree_has_marks(const struct tree *tree)
{
    bool any = tree->marked;
    for (const struct tree *child = tree->first; child != NULL; child = child->next) {
        any = any || tree_has_marks(child);
    }
    return any;
}

static inline unsigned tree_depth(const struct tree *tree)
{
    unsigned most = 0;
    for (const struct tree *child = tree->first; child != NULL; child = child->next) {
        unsigned depth = tree_depth(child);
        most = !child->removed && depth > most ? depth : most;
    }
    return tree->tag == VALUE_M || tree->tag == VALUE_L ? most + 1 : 0;
}

/* The body of a container; only what is marked, unless everything is wanted. */
static inline void tree_write(const struct tree *tree, bool everything, struct buf *out)
{
    for (const struct tree *child = tree->first; child != NULL; child = child->next) {
        bool whole = everything || child->marked;
        struct buf inner;
        if (child->removed || (!whole && !tree_has_marks(child))) {
            continue;
        }
        if (tree->tag == VALUE_M) {
            buf_add_varint(out, child->name.len);
            buf_add(out, child->name);
        }
        buf_add_byte(out, (uint8_t)child->tag);
        if (child->tag >= VALUE_FALSE && child->tag <= VALUE_NULL) {
            continue;
        }
        buf_init(&inner, 1u << 20);
        buf_add(&inner, child->body);
        tree_write(child, whole, &inner);
        buf_add_varint(out, inner.len);
        buf_add(out, buf_bytes(&inner));
        buf_fini(&inner);
    }
}

static inline struct bytes tree_bytes(const struct tree *root, bool everything, struct arena *arena)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    tree_write(root, everything, &out);
    HOLDS(!out.failed);
    struct bytes bytes = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    return bytes;
}

static inline struct tree *tree_of_item(struct bytes item, struct arena *arena)
{
    return tree_of((struct value){.tag = VALUE_M, .body = item}, arena);
}

#endif
