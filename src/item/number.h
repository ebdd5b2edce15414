/* Numbers of up to 38 significant digits over 1E-130 to 9.99...E+125, both signs, and zero. The
 * encoded form is canonical and memcmp-ordered, for values and keys alike:
 *
 *   zero       80
 *   positive   C0, e + 129, pair + 1, pair + 1, ...
 *   negative   the same bytes complemented (40 is written 3F), then FF
 *
 * where the number is 0.d1d2d3... * 10^e with d1 not zero (e from -129 to 126), and the pairs are
 * d1d2, d3d4, ..., the last filled up with a zero, none of them 00 at the end.
 *
 * Equal numbers have equal bytes; byte order is numeric order, also where one form is a prefix of
 * another. */
#ifndef HW_ITEM_NUMBER_H
#define HW_ITEM_NUMBER_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define NUMBER_ENCODED_MAX 24u /* bytes of the longest form */
#define NUMBER_TEXT_MAX 48u    /* bytes of the longest number_add_text */

enum number_refusal {
    NUMBER_OK,
    NUMBER_NOT_A_NUMBER,
    NUMBER_TOO_PRECISE,
    NUMBER_OVERFLOW,
    NUMBER_UNDERFLOW,
    NUMBER_EXPONENT_OVERFLOW /* too large by an exponent past Java's range */
};

/* Decimal text by DynamoDB's grammar (AWS-DETAILS 4). out: NUMBER_ENCODED_MAX bytes; *len is set.
 */
enum number_refusal number_parse(struct bytes text, uint8_t *out, size_t *len);
/* DynamoDB's sentence for a refusal, with the text where it belongs. */
void number_refusal_text(enum number_refusal refusal, struct bytes text, char *out, size_t room);
/* The same in its older words. */
void number_refusal_old_text(enum number_refusal refusal, struct bytes text, char *out,
                             size_t room);
/* Plain digits where short, exponent form where not (boto3 cannot read 126 digits written out). */
void number_add_text(struct buf *buf, struct bytes encoded);
/* a + b and a - b, exact or refused (more than 38 digits, out of range), as UpdateItem needs them.
 */
enum number_refusal number_add(struct bytes a, struct bytes b, uint8_t *out, size_t *len);
enum number_refusal number_subtract(struct bytes a, struct bytes b, uint8_t *out, size_t *len);
void number_from_i64(int64_t value, uint8_t *out, size_t *len);
/* False when it is not whole or does not fit. */
bool number_to_i64(struct bytes encoded, int64_t *out);
/* BigDecimal.stripTrailingZeros().hashCode(), spread as HashMap does. */
uint32_t number_hash_java(struct bytes encoded);
/* Canonical and in range? For bytes from disk. */
bool number_check(struct bytes encoded);
/* DynamoDB's size: 1 + ceil(integer digits / 2) + ceil(fraction digits / 2), + 1 if negative; 0
 * is 1. */
size_t number_size(struct bytes encoded);

#endif
