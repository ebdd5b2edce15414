/* What fuzz targets share: properties, choices taken from the input, and values made of them.
 *
 * A target reads its input from two ends: text and bytes from the front, so that a real request is
 * a good seed as it is, choices from the back. What is used up gives zeros, so every input means
 * something and a longer one never means less. Values are made in an arena: under AddressSanitizer
 * an overrun of one is found. */
#ifndef HW_FUZZ_FUZZ_H
#define HW_FUZZ_FUZZ_H

#include "base/arena.h"
#include "base/json.h"
#include "item/item.h"

/* libFuzzer calls this for each input; a target defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property: where it does not hold the process ends and libFuzzer keeps the input. */
#define HOLDS(condition)                                                                           \
    (__builtin_expect(!!(condition), 1) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

struct fuzz_input {
    const uint8_t *front;
    const uint8_t *back;
};

struct fuzz_input fuzz_input_of(const uint8_t *data, size_t size);
size_t fuzz_left(const struct fuzz_input *input);

/* ---- choices, from the back ---- */

uint8_t fuzz_byte(struct fuzz_input *input);
bool fuzz_bool(struct fuzz_input *input);
/* 0 .. n - 1; n at least 1. */
size_t fuzz_below(struct fuzz_input *input, size_t n);
/* Any, with small numbers and those near powers of two often. */
uint64_t fuzz_u64(struct fuzz_input *input);

/* ---- bytes, from the front ---- */

/* Of a chosen length up to most. */
struct bytes fuzz_bytes(struct fuzz_input *input, size_t most);
/* Everything that is left. */
struct bytes fuzz_rest(struct fuzz_input *input);
/* A copy that ends where its memory ends, and has memory also when it is empty. */
struct bytes fuzz_copy(struct arena *arena, struct bytes source);

/* ---- values ---- */

/* UTF-8 of at most `most` bytes. */
struct bytes fuzz_text(struct fuzz_input *input, struct arena *arena, size_t most);
/* Often one of a few, so that names in an expression meet those in an item. Never empty. */
struct bytes fuzz_name(struct fuzz_input *input, struct arena *arena);
/* A number's text by DynamoDB's grammar, mostly within its range. */
struct bytes fuzz_number_text(struct fuzz_input *input, struct arena *arena);
/* An encoded number, always within range. */
struct bytes fuzz_number(struct fuzz_input *input, struct arena *arena);
/* A value of that tag, or of any (0), whole; containers have at most depth levels. */
struct value fuzz_value(struct fuzz_input *input, struct arena *arena, enum value_tag tag,
                        unsigned depth);
/* An item of a few members, canonical. */
struct bytes fuzz_item(struct fuzz_input *input, struct arena *arena, unsigned depth);

bool fuzz_is_utf8(struct bytes text);
/* A parser of the process; the document is valid until the next call. Ends the process when text is
 * not JSON. */
struct json fuzz_parse_json(struct bytes text);

#endif
