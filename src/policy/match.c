/* Wildcard patterns: * is any bytes, ? one character. The work is bounded by the product of both
 * lengths, since only the newest * is ever taken again. */
#include "policy/policy_priv.h"

#define ARN_COLONS 5u

static bool match(struct bytes pattern, struct bytes text, bool lower);
static size_t character_len(struct bytes text, size_t at);
static uint8_t lower_of(uint8_t byte);

bool pattern_matches(const struct pattern *pattern, struct bytes text)
{
    return pattern->wild ? match(pattern->text, text, false) : bytes_equal(pattern->text, text);
}

bool pattern_matches_lower(const struct pattern *pattern, struct bytes text)
{
    return match(pattern->text, text, true);
}

bool pattern_matches_arn(const struct pattern *pattern, struct bytes arn)
{
    struct bytes rest = pattern->text;
    if (!pattern->wild) {
        return bytes_equal(pattern->text, arn);
    }
    if (rest.len == 1) {
        return rest.ptr[0] == WILD_MANY;
    }
    for (unsigned i = 0; i < ARN_COLONS; i++) {
        struct bytes part = bytes_cut(&rest, ':');
        if (!match(part, bytes_cut(&arn, ':'), false)) {
            return false;
        }
    }
    return match(rest, arn, false);
}

static bool match(struct bytes pattern, struct bytes text, bool lower)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* behind the newest * */
    size_t again = 0;       /* where its text would end, tried one character later each time */
    while (t < text.len) {
        uint8_t byte = lower ? lower_of(text.ptr[t]) : text.ptr[t];
        if (p < pattern.len && pattern.ptr[p] == WILD_MANY) {
            star = ++p;
            again = t;
        } else if (p < pattern.len && pattern.ptr[p] == WILD_ONE) {
            p++;
            t += character_len(text, t);
        } else if (p < pattern.len && pattern.ptr[p] == byte) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = again += character_len(text, again);
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == WILD_MANY) {
        p++;
    }
    return p == pattern.len;
}

static size_t character_len(struct bytes text, size_t at)
{
    size_t end = at + 1;
    while (end < text.len && (text.ptr[end] & 0xc0) == 0x80) {
        end++;
    }
    return end - at;
}

static uint8_t lower_of(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}
