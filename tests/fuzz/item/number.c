/* Numbers: parsing by the grammar, the encoded form and its order, printing, adding and
 * subtracting, each against a slow reference that keeps every digit in its own place. */
#include "item/number.h"
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>

/* digits[i] stands for 10^(TOP - i): room for the largest sum and for the 38th digit of the
 * smallest number. */
#define TOP 130
#define PLACES 320

struct slow {
    bool negative;
    int digits[PLACES];
};

/* The places of the first and the last digit that is not zero; false: the number is zero. */
static bool slow_span(const struct slow *slow, int *first, int *last)
{
    *first = 0;
    *last = PLACES - 1;
    while (*first < PLACES && slow->digits[*first] == 0) {
        (*first)++;
    }
    while (*last >= 0 && slow->digits[*last] == 0) {
        (*last)--;
    }
    return *first < PLACES;
}

static enum number_refusal slow_judge(const struct slow *slow)
{
    int first;
    int last;
    if (!slow_span(slow, &first, &last)) {
        return NUMBER_OK;
    }
    return last - first + 1 > 38 ? NUMBER_TOO_PRECISE
           : TOP - first > 125   ? NUMBER_OVERFLOW
           : TOP - first < -130  ? NUMBER_UNDERFLOW
                                 : NUMBER_OK;
}

/* Reads the text again, digit by digit. far: the number lies outside the places. */
static enum number_refusal slow_parse(struct bytes text, struct slow *out)
{
    size_t at = 0;
    size_t digits = 0;
    size_t point = SIZE_MAX; /* digits before it */
    int64_t exponent = 0;
    bool minus = false;
    *out = (struct slow){0};
    if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-')) {
        out->negative = text.ptr[at++] == '-';
    }
    size_t start = at;
    for (; at < text.len; at++) {
        if (text.ptr[at] == '.' && point == SIZE_MAX) {
            point = digits;
        } else if (text.ptr[at] >= '0' && text.ptr[at] <= '9') {
            digits++;
        } else {
            break;
        }
    }
    size_t end = at;
    if (digits == 0) {
        return NUMBER_NOT_A_NUMBER;
    }
    if (at < text.len && (text.ptr[at] | 0x20) == 'e') {
        at++;
        if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-')) {
            minus = text.ptr[at++] == '-';
        }
        size_t before = at;
        for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
            exponent = exponent > 1000000 ? exponent : exponent * 10 + text.ptr[at] - '0';
        }
        if (at == before) {
            return NUMBER_NOT_A_NUMBER;
        }
    }
    if (at != text.len) {
        return NUMBER_NOT_A_NUMBER;
    }
    exponent = minus ? -exponent : exponent;
    point = point == SIZE_MAX ? digits : point;
    /* Every digit that is not zero, and for a zero one at its last place, by its power of ten. */
    int64_t high = INT64_MIN;
    int64_t low = INT64_MAX;
    int64_t power = exponent + (int64_t)point - 1;
    int64_t last_power = exponent + (int64_t)point - (int64_t)digits;
    for (size_t i = start; i < end; i++) {
        if (text.ptr[i] == '.') {
            continue;
        }
        if (text.ptr[i] != '0') {
            high = high == INT64_MIN ? power : high;
            low = power;
            if (power <= TOP && power > TOP - PLACES) {
                out->digits[TOP - power] = text.ptr[i] - '0';
            }
        }
        power--;
    }
    if (high == INT64_MIN) {
        out->negative = false;
        return last_power > 125    ? NUMBER_OVERFLOW
               : last_power < -130 ? NUMBER_UNDERFLOW
                                   : NUMBER_OK;
    }
    return high - low + 1 > 38 ? NUMBER_TOO_PRECISE
           : high > 125        ? NUMBER_OVERFLOW
           : high < -130       ? NUMBER_UNDERFLOW
                               : NUMBER_OK;
}

static int slow_compare_magnitude(const struct slow *a, const struct slow *b)
{
    for (int i = 0; i < PLACES; i++) {
        if (a->digits[i] != b->digits[i]) {
            return a->digits[i] < b->digits[i] ? -1 : 1;
        }
    }
    return 0;
}

static int slow_compare(const struct slow *a, const struct slow *b)
{
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    int order = slow_compare_magnitude(a, b);
    return a->negative ? -order : order;
}

static struct slow slow_add(const struct slow *a, const struct slow *b)
{
    bool swap = slow_compare_magnitude(a, b) < 0;
    const struct slow *big = swap ? b : a;
    const struct slow *small = swap ? a : b;
    int sign = a->negative == b->negative ? 1 : -1;
    int carry = 0;
    struct slow sum = {.negative = big->negative};
    for (int i = PLACES - 1; i >= 0; i--) {
        int digit = big->digits[i] + sign * small->digits[i] + carry;
        carry = digit < 0 ? -1 : digit / 10;
        sum.digits[i] = digit - carry * 10;
    }
    HOLDS(carry == 0);
    int first;
    int last;
    sum.negative = sum.negative && slow_span(&sum, &first, &last);
    return sum;
}

/* The number that encoded bytes print as. */
static struct slow slow_of(struct bytes encoded)
{
    struct buf text;
    struct slow slow;
    buf_init(&text, NUMBER_TEXT_MAX);
    number_add_text(&text, encoded);
    HOLDS(!text.failed && text.len > 0);
    HOLDS(slow_parse(buf_bytes(&text), &slow) == NUMBER_OK);
    uint8_t again[NUMBER_ENCODED_MAX];
    size_t len;
    HOLDS(number_parse(buf_bytes(&text), again, &len) == NUMBER_OK);
    HOLDS(bytes_equal(bytes_of(again, len), encoded));
    buf_fini(&text);
    return slow;
}

static size_t slow_size(const struct slow *slow)
{
    int first;
    int last;
    if (!slow_span(slow, &first, &last)) {
        return 1;
    }
    int whole = first > TOP ? 0 : (last < TOP ? last : TOP) - first + 1;
    int fraction = last - first + 1 - whole;
    return 1 + (size_t)(whole + 1) / 2 + (size_t)(fraction + 1) / 2 + (slow->negative ? 1 : 0);
}

static void check_text(struct bytes text)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len = 0;
    char words[400];
    struct slow expected;
    enum number_refusal refusal = number_parse(text, encoded, &len);
    bool far = refusal == NUMBER_EXPONENT_OVERFLOW; /* only its older words differ */
    HOLDS((far ? NUMBER_OVERFLOW : refusal) == slow_parse(text, &expected));
    number_refusal_text(refusal, text, words, sizeof(words));
    HOLDS((refusal == NUMBER_OK) == (words[0] == 0));
    number_refusal_old_text(refusal, text, words, sizeof(words));
    HOLDS((refusal == NUMBER_OK) == (words[0] == 0));
    if (refusal != NUMBER_OK) {
        return;
    }
    HOLDS(len <= NUMBER_ENCODED_MAX && number_check(bytes_of(encoded, len)));
    struct slow slow = slow_of(bytes_of(encoded, len));
    HOLDS(slow_compare(&slow, &expected) == 0);
}

static void check_sum(struct bytes a, struct bytes b, bool minus)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len = 0;
    struct slow left = slow_of(a);
    struct slow right = slow_of(b);
    enum number_refusal refusal =
        minus ? number_subtract(a, b, encoded, &len) : number_add(a, b, encoded, &len);
    if (minus) {
        int first;
        int last;
        right.negative = !right.negative && slow_span(&right, &first, &last);
    }
    struct slow sum = slow_add(&left, &right);
    HOLDS(refusal == slow_judge(&sum));
    if (refusal == NUMBER_OK) {
        HOLDS(number_check(bytes_of(encoded, len)));
        struct slow got = slow_of(bytes_of(encoded, len));
        HOLDS(slow_compare(&got, &sum) == 0);
    }
}

static void check_pair(struct bytes a, struct bytes b)
{
    struct slow left = slow_of(a);
    struct slow right = slow_of(b);
    int order = bytes_compare(a, b);
    HOLDS(slow_compare(&left, &right) == (order > 0) - (order < 0));
    HOLDS(number_size(a) == slow_size(&left));
    check_sum(a, b, false);
    check_sum(a, b, true);
}

static void check_integer(struct bytes a, int64_t integer)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len;
    char text[32];
    int64_t back;
    number_from_i64(integer, encoded, &len);
    struct slow slow = slow_of(bytes_of(encoded, len));
    struct slow expected;
    snprintf(text, sizeof(text), "%" PRId64, integer);
    HOLDS(slow_parse(bytes_cstr(text), &expected) == NUMBER_OK);
    HOLDS(slow_compare(&slow, &expected) == 0);
    HOLDS(number_to_i64(bytes_of(encoded, len), &back) && back == integer);
    if (number_to_i64(a, &back)) {
        number_from_i64(back, encoded, &len);
        HOLDS(bytes_equal(a, bytes_of(encoded, len)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    switch (fuzz_below(&input, 3)) {
    case 0:
        check_text(fuzz_copy(&arena, fuzz_rest(&input)));
        break;
    case 1: {
        /* What stands on a disk: refused, or a number like any other. */
        struct bytes raw = fuzz_copy(&arena, fuzz_bytes(&input, 30));
        if (number_check(raw)) {
            check_pair(raw, fuzz_number(&input, &arena));
        }
        break;
    }
    default: {
        struct bytes a = fuzz_number(&input, &arena);
        check_text(fuzz_number_text(&input, &arena));
        check_pair(a, fuzz_number(&input, &arena));
        check_integer(a, (int64_t)fuzz_u64(&input));
    }
    }
    arena_fini(&arena);
    return 0;
}
