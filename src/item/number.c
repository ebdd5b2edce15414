/* Numbers, by decimal digits: parsing, printing, adding. The working form is a sign, up to 38
 * digits without zeros at either end, and the exponent e of 0.digits * 10^e. */
#include "item/number.h"

#include <stdio.h>

#define DIGITS_MAX 38u
#define EXPONENT_MIN (-129)
#define EXPONENT_MAX 126
#define EXPONENT_BIAS 129
#define HEAD_ZERO 0x80u
#define HEAD_POSITIVE 0xC0u
#define HEAD_NEGATIVE 0x3Fu
#define NEGATIVE_END 0xFFu
#define EXPONENT_FAR 10000000000 /* further exponents change nothing */
#define EXPONENT_JAVA 2147483647 /* from here on Java's BigDecimal overflows */

struct decimal {
    uint8_t digits[DIGITS_MAX];
    unsigned count; /* 0: zero */
    int exponent;
    bool negative;
};

static enum number_refusal decimal_parse(struct bytes text, struct decimal *out);
static void decimal_encode(const struct decimal *decimal, uint8_t *out, size_t *len);
static void decimal_decode(struct bytes encoded, struct decimal *out);
static enum number_refusal decimal_add(const struct decimal *a, const struct decimal *b,
                                       struct decimal *out);
static int compare_magnitude(const struct decimal *a, const struct decimal *b);

enum number_refusal number_parse(struct bytes text, uint8_t *out, size_t *len)
{
    struct decimal decimal;
    enum number_refusal refusal = decimal_parse(text, &decimal);
    if (refusal == NUMBER_OK) {
        decimal_encode(&decimal, out, len);
    }
    return refusal;
}

void number_refusal_text(enum number_refusal refusal, struct bytes text, char *out, size_t room)
{
    int shown = (int)(text.len < 256 ? text.len : 256);
    switch (refusal) {
    case NUMBER_OK:
        out[0] = 0;
        return;
    case NUMBER_NOT_A_NUMBER:
        snprintf(out, room, "The parameter cannot be converted to a numeric value: %.*s", shown,
                 (const char *)text.ptr);
        return;
    case NUMBER_TOO_PRECISE:
        snprintf(out, room, "Attempting to store more than 38 significant digits in a Number");
        return;
    case NUMBER_OVERFLOW:
    case NUMBER_EXPONENT_OVERFLOW:
        snprintf(out, room,
                 "Number overflow. Attempting to store a number with magnitude larger than "
                 "supported range");
        return;
    case NUMBER_UNDERFLOW:
        snprintf(out, room,
                 "Number underflow. Attempting to store a number with magnitude smaller than "
                 "supported range");
        return;
    }
}

/* The older layer leaves the colon out where nothing follows it, and takes an exponent that its
 * BigDecimal cannot hold for a small one. */
void number_refusal_old_text(enum number_refusal refusal, struct bytes text, char *out, size_t room)
{
    if (refusal == NUMBER_NOT_A_NUMBER && text.len == 0) {
        snprintf(out, room, "The parameter cannot be converted to a numeric value");
        return;
    }
    number_refusal_text(refusal == NUMBER_EXPONENT_OVERFLOW ? NUMBER_UNDERFLOW : refusal, text, out,
                        room);
}

/* sign? digits, one point at most, exponent? A zero is judged as if its last digit were 1. */
static enum number_refusal decimal_parse(struct bytes text, struct decimal *out)
{
    *out = (struct decimal){0};
    const uint8_t *p = text.ptr;
    const uint8_t *end = text.ptr + text.len;
    bool any = false;
    bool point = false;
    bool too_precise = false;
    unsigned zeros = 0; /* not yet known to be inside the number */
    long long places =
        0; /* digits before the point, from the first that is not zero; or minus zeros after it */
    long long after = 0; /* digits after the point */
    if (text.len == 0) {
        return NUMBER_NOT_A_NUMBER;
    }
    if (*p == '+' || *p == '-') {
        out->negative = *p == '-';
        p++;
    }
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        uint8_t digit = (uint8_t)(*p - '0');
        bool leading = out->count == 0 && digit == 0;
        any = true;
        after += point ? 1 : 0;
        if (leading) {
            places -= point ? 1 : 0;
            continue;
        }
        places += point ? 0 : 1;
        if (digit == 0) {
            zeros++;
            continue;
        }
        if (out->count + zeros + 1 > DIGITS_MAX) {
            too_precise = true;
            zeros = 0;
            continue;
        }
        for (; zeros > 0; zeros--) {
            out->digits[out->count++] = 0;
        }
        out->digits[out->count++] = digit;
    }
    long long exponent = 0;
    if (any && p < end && (*p == 'e' || *p == 'E')) {
        bool minus = false;
        bool digits = false;
        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            minus = *p == '-';
            p++;
        }
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
            digits = true;
            exponent = exponent < EXPONENT_FAR ? exponent * 10 + (*p - '0') : EXPONENT_FAR;
        }
        any = digits;
        exponent = minus ? -exponent : exponent;
    }
    if (!any || p != end) {
        return NUMBER_NOT_A_NUMBER;
    }
    if (too_precise) {
        return NUMBER_TOO_PRECISE;
    }
    bool zero = out->count == 0;
    long long full = zero ? 1 - after + exponent : places + exponent;
    if (full > EXPONENT_MAX) {
        return exponent >= EXPONENT_JAVA ? NUMBER_EXPONENT_OVERFLOW : NUMBER_OVERFLOW;
    }
    if (full < EXPONENT_MIN) {
        return NUMBER_UNDERFLOW;
    }
    out->exponent = zero ? 0 : (int)full;
    out->negative = out->negative && !zero;
    return NUMBER_OK;
}

static void decimal_encode(const struct decimal *decimal, uint8_t *out, size_t *len)
{
    size_t at = 0;
    if (decimal->count == 0) {
        out[0] = HEAD_ZERO;
        *len = 1;
        return;
    }
    uint8_t flip = decimal->negative ? 0xFF : 0;
    out[at++] = decimal->negative ? HEAD_NEGATIVE : HEAD_POSITIVE;
    out[at++] = (uint8_t)(decimal->exponent + EXPONENT_BIAS) ^ flip;
    for (unsigned i = 0; i < decimal->count; i += 2) {
        unsigned pair =
            decimal->digits[i] * 10u + (i + 1 < decimal->count ? decimal->digits[i + 1] : 0u);
        out[at++] = (uint8_t)(pair + 1) ^ flip;
    }
    if (decimal->negative) {
        out[at++] = NEGATIVE_END;
    }
    *len = at;
}

/* Of well-formed bytes. */
static void decimal_decode(struct bytes encoded, struct decimal *out)
{
    *out = (struct decimal){0};
    if (encoded.len < 3) {
        return;
    }
    out->negative = encoded.ptr[0] == HEAD_NEGATIVE;
    uint8_t flip = out->negative ? 0xFF : 0;
    size_t end = encoded.len - (out->negative ? 1 : 0);
    out->exponent = (uint8_t)(encoded.ptr[1] ^ flip) - EXPONENT_BIAS;
    for (size_t i = 2; i < end && out->count + 2 <= DIGITS_MAX; i++) {
        unsigned pair = (unsigned)(uint8_t)(encoded.ptr[i] ^ flip) - 1u;
        out->digits[out->count++] = (uint8_t)(pair / 10);
        out->digits[out->count++] = (uint8_t)(pair % 10);
    }
    if (out->count > 0 && out->digits[out->count - 1] == 0) {
        out->count--;
    }
}

/* 31 times the hash of the digits as a BigInteger (its words of 32 bits, each 31 times the one
 * before and itself), and the scale. */
uint32_t number_hash_java(struct bytes encoded)
{
    struct decimal decimal;
    uint32_t words[4] = {0}; /* of 38 digits; the lowest first */
    uint32_t hash = 0;
    decimal_decode(encoded, &decimal);
    for (unsigned i = 0; i < decimal.count; i++) {
        uint64_t carry = decimal.digits[i];
        for (unsigned j = 0; j < 4; j++) {
            carry += (uint64_t)words[j] * 10;
            words[j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    for (unsigned j = 4; j > 0; j--) {
        hash = hash * 31 + words[j - 1];
    }
    hash = decimal.negative ? 0u - hash : hash;
    hash = hash * 31 + (uint32_t)((int)decimal.count - decimal.exponent);
    return hash ^ hash >> 16;
}

bool number_check(struct bytes encoded)
{
    struct decimal decimal;
    uint8_t again[NUMBER_ENCODED_MAX];
    size_t len;
    if (encoded.len == 1) {
        return encoded.ptr[0] == HEAD_ZERO;
    }
    if (encoded.len < 3 || encoded.len > 22 ||
        (encoded.ptr[0] != HEAD_POSITIVE && encoded.ptr[0] != HEAD_NEGATIVE)) {
        return false;
    }
    bool negative = encoded.ptr[0] == HEAD_NEGATIVE;
    size_t end = encoded.len - (negative ? 1 : 0);
    for (size_t i = 2; i < end; i++) {
        uint8_t pair = negative ? (uint8_t)~encoded.ptr[i] : encoded.ptr[i];
        if (pair < 1 || pair > 100) {
            return false;
        }
    }
    decimal_decode(encoded, &decimal);
    if (decimal.count == 0 || decimal.digits[0] == 0 || decimal.digits[decimal.count - 1] == 0) {
        return false; /* not 0.d1d2..., or a last pair of zeros */
    }
    decimal_encode(&decimal, again, &len);
    return bytes_equal(encoded, bytes_of(again, len));
}

void number_add_text(struct buf *buf, struct bytes encoded)
{
    struct decimal decimal;
    char text[NUMBER_TEXT_MAX + 8];
    size_t at = 0;
    decimal_decode(encoded, &decimal);
    int count = (int)decimal.count;
    int exponent = decimal.exponent;
    if (count == 0) {
        buf_add(buf, BYTES("0"));
        return;
    }
    if (decimal.negative) {
        text[at++] = '-';
    }
    if (exponent > 0 && exponent <= (int)DIGITS_MAX) {
        for (int i = 0; i < exponent || i < count; i++) {
            if (i == exponent) {
                text[at++] = '.';
            }
            text[at++] = (char)('0' + (i < count ? decimal.digits[i] : 0));
        }
    } else if (exponent <= 0 && count - exponent <= (int)DIGITS_MAX) {
        text[at++] = '0';
        text[at++] = '.';
        for (int i = exponent; i < count; i++) {
            text[at++] = (char)('0' + (i < 0 ? 0 : decimal.digits[i]));
        }
    } else {
        text[at++] = (char)('0' + decimal.digits[0]);
        for (int i = 1; i < count; i++) {
            if (i == 1) {
                text[at++] = '.';
            }
            text[at++] = (char)('0' + decimal.digits[i]);
        }
        at += (size_t)snprintf(text + at, sizeof(text) - at, "E%+d", exponent - 1);
    }
    buf_add(buf, bytes_of(text, at));
}

enum number_refusal number_add(struct bytes a, struct bytes b, uint8_t *out, size_t *len)
{
    struct decimal left;
    struct decimal right;
    struct decimal sum;
    decimal_decode(a, &left);
    decimal_decode(b, &right);
    enum number_refusal refusal = decimal_add(&left, &right, &sum);
    if (refusal == NUMBER_OK) {
        decimal_encode(&sum, out, len);
    }
    return refusal;
}

enum number_refusal number_subtract(struct bytes a, struct bytes b, uint8_t *out, size_t *len)
{
    struct decimal left;
    struct decimal right;
    struct decimal sum;
    decimal_decode(a, &left);
    decimal_decode(b, &right);
    right.negative = right.count > 0 && !right.negative;
    enum number_refusal refusal = decimal_add(&left, &right, &sum);
    if (refusal == NUMBER_OK) {
        decimal_encode(&sum, out, len);
    }
    return refusal;
}

/* Digits are laid out over a common scale: the larger exponent is place 0. */
#define PLACES 128

static enum number_refusal decimal_add(const struct decimal *a, const struct decimal *b,
                                       struct decimal *out)
{
    if (a->count == 0 || b->count == 0) {
        *out = a->count == 0 ? *b : *a;
        return NUMBER_OK;
    }
    int top = a->exponent > b->exponent ? a->exponent : b->exponent;
    int low = a->exponent < b->exponent ? a->exponent : b->exponent;
    if (top - low > PLACES - 2 - (int)DIGITS_MAX) {
        return NUMBER_TOO_PRECISE;
    }
    bool bigger_a = compare_magnitude(a, b) >= 0;
    const struct decimal *big = bigger_a ? a : b;
    const struct decimal *small = bigger_a ? b : a;
    bool subtract = a->negative != b->negative;
    int places[PLACES] = {0}; /* places[0] is for a carry */
    for (unsigned i = 0; i < big->count; i++) {
        places[1 + (top - big->exponent) + (int)i] += big->digits[i];
    }
    for (unsigned i = 0; i < small->count; i++) {
        places[1 + (top - small->exponent) + (int)i] +=
            subtract ? -(int)small->digits[i] : (int)small->digits[i];
    }
    for (int i = PLACES - 1; i > 0; i--) {
        int carry = places[i] < 0 ? -1 : places[i] / 10;
        places[i] -= carry * 10;
        places[i - 1] += carry;
    }
    int first = 0;
    int last = PLACES - 1;
    while (first < PLACES && places[first] == 0) {
        first++;
    }
    *out = (struct decimal){0};
    if (first == PLACES) {
        return NUMBER_OK;
    }
    while (places[last] == 0) {
        last--;
    }
    if (last - first + 1 > (int)DIGITS_MAX) {
        return NUMBER_TOO_PRECISE;
    }
    out->negative = big->negative;
    out->exponent = top + 1 - first;
    for (int i = first; i <= last; i++) {
        out->digits[out->count++] = (uint8_t)places[i];
    }
    return out->exponent > EXPONENT_MAX   ? NUMBER_OVERFLOW
           : out->exponent < EXPONENT_MIN ? NUMBER_UNDERFLOW
                                          : NUMBER_OK;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    if (a->exponent != b->exponent) {
        return a->exponent < b->exponent ? -1 : 1;
    }
    return bytes_compare(bytes_of(a->digits, a->count), bytes_of(b->digits, b->count));
}

void number_from_i64(int64_t value, uint8_t *out, size_t *len)
{
    struct decimal decimal = {.negative = value < 0};
    uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    uint8_t reversed[20];
    unsigned count = 0;
    for (; magnitude > 0; magnitude /= 10) {
        reversed[count++] = (uint8_t)(magnitude % 10);
    }
    unsigned zeros = 0;
    while (zeros < count && reversed[zeros] == 0) {
        zeros++;
    }
    decimal.exponent = (int)count;
    for (unsigned i = count; i > zeros; i--) {
        decimal.digits[decimal.count++] = reversed[i - 1];
    }
    decimal_encode(&decimal, out, len);
}

bool number_to_i64(struct bytes encoded, int64_t *out)
{
    struct decimal decimal;
    uint64_t magnitude = 0;
    decimal_decode(encoded, &decimal);
    if (decimal.count > 0 && (decimal.exponent > 19 || decimal.exponent < (int)decimal.count)) {
        return false;
    }
    for (int i = 0; i < decimal.exponent; i++) {
        uint64_t digit = i < (int)decimal.count ? decimal.digits[i] : 0;
        if (__builtin_mul_overflow(magnitude, (uint64_t)10, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude)) {
            return false;
        }
    }
    uint64_t limit = (uint64_t)INT64_MAX + (decimal.negative ? 1 : 0);
    if (magnitude > limit) {
        return false;
    }
    *out = decimal.negative ? (int64_t)((uint64_t)0 - magnitude) : (int64_t)magnitude;
    return true;
}

size_t number_size(struct bytes encoded)
{
    struct decimal decimal;
    decimal_decode(encoded, &decimal);
    if (decimal.count == 0) {
        return 1;
    }
    unsigned whole = decimal.exponent <= 0                   ? 0
                     : decimal.exponent < (int)decimal.count ? (unsigned)decimal.exponent
                                                             : decimal.count;
    unsigned fraction = decimal.count - whole;
    return 1 + (whole + 1) / 2 + (fraction + 1) / 2 + (decimal.negative ? 1 : 0);
}
