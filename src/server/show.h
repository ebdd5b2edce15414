/* Answers for people and for programs: on a terminal a table, in a pipe or a file JSON, one value a
 * line. */
#ifndef HW_SERVER_SHOW_H
#define HW_SERVER_SHOW_H

#include "base/arena.h"
#include "base/json.h"

/* The first count of an array of items, as DynamoDB's JSON has them. keys: attributes that come
 * first on a terminal. Memory of the arena is taken once a call, about 2 KB. False: standard output
 * cannot be written. */
bool show_items(struct arena *arena, struct json items, size_t count, const char *const *keys,
                size_t key_count);
/* One item: on a terminal a line for each attribute. */
bool show_item(struct json item);
/* An object: on a terminal a line for each member. */
bool show_object(struct json object);
/* A text: on a terminal as it is, else as a JSON string. */
bool show_text(struct bytes text);

#endif
