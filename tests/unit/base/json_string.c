/* base/json: a string is escaped the same way wherever in it the character stands. */
#include "base/buf.h"
#include "base/json.h"

#include "check.h"

/* One character at a time, as RFC 8259 section 7 says. */
static void add_plainly(struct buf *buf, struct bytes text)
{
    buf_add_byte(buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        static const char short_for[] = "b\bf\fn\nr\rt\t\"\"\\\\";
        const char *named = NULL;
        for (size_t j = 1; j < sizeof(short_for); j += 2) {
            named = (uint8_t)short_for[j] == text.ptr[i] ? &short_for[j - 1] : named;
        }
        if (named != NULL) {
            buf_add_byte(buf, '\\');
            buf_add_byte(buf, (uint8_t)*named);
        } else if (text.ptr[i] < 0x20) {
            buf_printf(buf, "\\u%04x", text.ptr[i]);
        } else {
            buf_add_byte(buf, text.ptr[i]);
        }
    }
    buf_add_byte(buf, '"');
}

static void check_text(struct bytes text)
{
    struct buf fast;
    struct buf plain;
    buf_init(&fast, 65536);
    buf_init(&plain, 65536);
    json_add_string(&fast, text);
    add_plainly(&plain, text);
    CHECK_BYTES(buf_bytes(&fast), buf_bytes(&plain));
    buf_fini(&fast);
    buf_fini(&plain);
}

static void every_character_at_every_place(void)
{
    uint8_t text[40];
    for (unsigned c = 0; c < 0x80; c++) {
        for (size_t len = 1; len <= sizeof(text); len += 3) {
            for (size_t at = 0; at < len; at++) {
                memset(text, 'a', sizeof(text));
                text[at] = (uint8_t)c;
                check_text(bytes_of(text, len));
                text[len - 1] = '"';
                check_text(bytes_of(text, len));
            }
        }
    }
}

static void text_beyond_ascii_is_left_alone(void)
{
    check_text(
        BYTES("gr\303\274n \342\202\254 \360\237\214\212 \177\302\200 and so on, to the end"));
    check_text(BYTES(""));
}

int main(void)
{
    RUN(every_character_at_every_place);
    RUN(text_beyond_ascii_is_left_alone);
    return CHECK_RESULT();
}
