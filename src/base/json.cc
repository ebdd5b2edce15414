// simdjson's DOM behind the C interface of json.h. A struct json is simdjson's
// own reference into its tape (document and index), so reading costs what simdjson costs. The text
// is copied once, to give it the padding simdjson wants.
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <simdjson.h>

extern "C" {
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
}

using simdjson::internal::tape_ref;
using simdjson::internal::tape_type;

struct json_parser {
    simdjson::dom::parser parser;
    simdjson::dom::document document;
    uint8_t *text = nullptr;
    size_t room = 0;
};

static const size_t kKeepText = 256u << 10; // a parser at rest keeps no more text than this
static const size_t kFirstCapacity = 4096;
static const size_t kMagnitudeMax = 300; // of an exponent that surely fits a double

static tape_ref tape_of(struct json value)
{
    return tape_ref(static_cast<const simdjson::dom::document *>(value.document), value.place);
}

static struct json json_at(struct json value, size_t place)
{
    return json{value.document, place};
}

static struct bytes string_at(const tape_ref &tape)
{
    std::string_view view = tape.get_string_view();
    return bytes{reinterpret_cast<const uint8_t *>(view.data()), view.size()};
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

// One number at p: writes over it, in its own length, when it is past what simdjson reads. Whole
// numbers become the largest or smallest that fit, exponents shrink. Returns where it ends.
static uint8_t *mend_number(uint8_t *p)
{
    bool minus = *p == '-';
    uint8_t *start = p + (minus ? 1 : 0);
    uint8_t *end = start;
    while (is_digit(*end)) {
        end++;
    }
    size_t digits = static_cast<size_t>(end - start);
    if (*end != '.' && *end != 'e' && *end != 'E') {
        const char *limit = minus ? "9223372036854775808" : "18446744073709551615";
        size_t len = std::strlen(limit);
        if (digits > len || (digits == len && std::memcmp(start, limit, len) > 0)) {
            std::memcpy(start, limit, len);
            std::memset(start + len, ' ', digits - len);
        }
        return end;
    }
    while (is_digit(*end) || *end == '.') {
        end++;
    }
    if (*end != 'e' && *end != 'E') {
        return end;
    }
    end += end[1] == '+' || end[1] == '-' ? 2 : 1;
    uint8_t *exponent = end;
    size_t magnitude = 0;
    while (is_digit(*end)) {
        magnitude = magnitude > kMagnitudeMax ? magnitude : magnitude * 10 + (*end - '0');
        end++;
    }
    if (magnitude > kMagnitudeMax) {
        std::memset(exponent, '0', static_cast<size_t>(end - exponent));
        end[-3] = '3';
    }
    return end;
}

// JSON allows numbers of any size, simdjson refuses those that fit no double or no 64 bits. Nobody
// here tells one huge number from another, so a text that was refused for them is read again with
// all of them brought into range. The text ends in zeros.
static void mend_numbers(uint8_t *p)
{
    while (*p != 0) {
        if (*p == '"') {
            for (p++; *p != 0 && *p != '"'; p++) {
                p += *p == '\\' && p[1] != 0 ? 1 : 0;
            }
            p += *p == 0 ? 0 : 1;
        } else if (is_digit(*p) || *p == '-') {
            p = mend_number(p);
            p += *p == '-' ? 1 : 0;
        } else {
            p++;
        }
    }
}

extern "C" {

struct json_parser *json_parser_new(void)
{
    json_parser *parser = new (std::nothrow) json_parser;
    if (parser != nullptr &&
        parser->parser.allocate(kFirstCapacity, JSON_DEPTH_MAX) != simdjson::SUCCESS) {
        delete parser;
        return nullptr;
    }
    return parser;
}

void json_parser_free(struct json_parser *parser)
{
    if (parser != nullptr) {
        std::free(parser->text);
        delete parser;
    }
}

enum err json_parse(struct json_parser *parser, struct bytes text, struct json *root)
{
    if (parser->room < text.len + simdjson::SIMDJSON_PADDING || parser->room > kKeepText) {
        size_t room = text.len + simdjson::SIMDJSON_PADDING;
        room = room < 4096 ? 4096 : room;
        std::free(parser->text);
        parser->text = static_cast<uint8_t *>(mem_try(room));
        parser->room = parser->text == nullptr ? 0 : room;
        if (parser->text == nullptr) {
            return ERR_NOMEM;
        }
    }
    if (text.len > 0) {
        std::memcpy(parser->text, text.ptr, text.len);
    }
    std::memset(parser->text + text.len, 0, simdjson::SIMDJSON_PADDING);
    auto result =
        parser->parser.parse_into_document(parser->document, parser->text, text.len, false);
    if (result.error() == simdjson::NUMBER_ERROR) {
        mend_numbers(parser->text);
        result =
            parser->parser.parse_into_document(parser->document, parser->text, text.len, false);
    }
    if (result.error() == simdjson::MEMALLOC) {
        return ERR_NOMEM;
    }
    if (result.error() != simdjson::SUCCESS) {
        return ERR_INVALID;
    }
    *root = json{&parser->document, 1};
    return OK;
}

enum json_type json_type(struct json value)
{
    switch (tape_of(value).tape_ref_type()) {
    case tape_type::START_ARRAY:
        return JSON_ARRAY;
    case tape_type::START_OBJECT:
        return JSON_OBJECT;
    case tape_type::STRING:
        return JSON_STRING;
    case tape_type::INT64:
    case tape_type::UINT64:
        return JSON_INTEGER;
    case tape_type::DOUBLE:
        return JSON_NUMBER;
    case tape_type::TRUE_VALUE:
        return JSON_TRUE;
    case tape_type::FALSE_VALUE:
        return JSON_FALSE;
    default:
        return JSON_NULL;
    }
}

struct bytes json_string(struct json value)
{
    return string_at(tape_of(value));
}

int64_t json_integer(struct json value)
{
    tape_ref tape = tape_of(value);
    if (tape.tape_ref_type() == tape_type::INT64) {
        return tape.next_tape_value<int64_t>();
    }
    return INT64_MAX; /* simdjson makes a uint64 only of what is past it */
}

double json_number(struct json value)
{
    tape_ref tape = tape_of(value);
    switch (tape.tape_ref_type()) {
    case tape_type::INT64:
        return static_cast<double>(tape.next_tape_value<int64_t>());
    case tape_type::UINT64:
        return static_cast<double>(tape.next_tape_value<uint64_t>());
    default:
        return tape.next_tape_value<double>();
    }
}

size_t json_count(struct json value)
{
    return tape_of(value).scope_count();
}

struct json_iter json_iter_of(struct json value)
{
    tape_ref tape = tape_of(value);
    return json_iter{json_at(value, value.place + 1),
                     static_cast<size_t>(tape.matching_brace_index()) - 1};
}

bool json_next(struct json_iter *iter, struct json *value)
{
    if (iter->at.place >= iter->end) {
        return false;
    }
    *value = iter->at;
    iter->at.place = tape_of(iter->at).after_element();
    return true;
}

bool json_next_member(struct json_iter *iter, struct bytes *name, struct json *value)
{
    if (iter->at.place >= iter->end) {
        return false;
    }
    *name = string_at(tape_of(iter->at));
    *value = json_at(iter->at, iter->at.place + 1);
    iter->at.place = tape_of(*value).after_element();
    return true;
}

bool json_member(struct json object, struct bytes name, struct json *value)
{
    struct json_iter iter = json_iter_of(object);
    struct bytes found;
    struct json at;
    bool any = false;
    while (json_next_member(&iter, &found, &at)) {
        if (bytes_equal(found, name)) {
            *value = at;
            any = true;
        }
    }
    return any;
}

static bool is_clean(uint8_t c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* How many bytes from the start need no escape: most of an answer is such text. Sixteen at a time
 * where the processor has them; a byte is a control character when the smaller of it and 0x1f is
 * itself. */
static size_t clean_run(struct bytes text)
{
    size_t clean = 0;
#ifdef __SSE2__
    const __m128i control = _mm_set1_epi8(0x1f);
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    for (; text.len - clean >= sizeof(__m128i); clean += sizeof(__m128i)) {
        __m128i run = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text.ptr + clean));
        __m128i dirty =
            _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(run, control), run),
                         _mm_or_si128(_mm_cmpeq_epi8(run, quote), _mm_cmpeq_epi8(run, slash)));
        int mask = _mm_movemask_epi8(dirty);
        if (mask != 0) {
            return clean + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
        }
    }
#endif
    while (clean < text.len && is_clean(text.ptr[clean])) {
        clean++;
    }
    return clean;
}

void json_add_string(struct buf *buf, struct bytes text)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *out = buf_room(buf, text.len + 2); /* the common case: nothing to escape */
    if (out == nullptr) {
        return;
    }
    size_t clean = clean_run(text);
    *out++ = '"';
    if (clean > 0) {
        std::memcpy(out, text.ptr, clean);
    }
    buf->len += clean + 1;
    if (clean == text.len) {
        out[clean] = '"';
        buf->len++;
        return;
    }
    for (size_t i = clean; i < text.len;) {
        uint8_t c = text.ptr[i];
        if (is_clean(c)) {
            size_t end = i + clean_run(bytes{text.ptr + i, text.len - i});
            buf_add(buf, bytes{text.ptr + i, end - i});
            i = end;
            continue;
        }
        uint8_t escape[6] = {'\\', c, 0, 0, 0, 0};
        size_t len = 2;
        switch (c) {
        case '\b':
            escape[1] = 'b';
            break;
        case '\f':
            escape[1] = 'f';
            break;
        case '\n':
            escape[1] = 'n';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        case '\t':
            escape[1] = 't';
            break;
        case '"':
        case '\\':
            break;
        default:
            escape[1] = 'u';
            escape[2] = '0';
            escape[3] = '0';
            escape[4] = static_cast<uint8_t>(digits[c >> 4]);
            escape[5] = static_cast<uint8_t>(digits[c & 15]);
            len = 6;
        }
        buf_add(buf, bytes{escape, len});
        i++;
    }
    buf_add_byte(buf, '"');
}

// The fewest digits that read back as the same.
static void add_number(struct buf *buf, double number)
{
    char text[32];
    const char *end = std::to_chars(text, text + sizeof(text), number).ptr;
    buf_add(buf, bytes_of(text, static_cast<size_t>(end - text)));
}

void json_add_value(struct buf *buf, struct json value)
{
    struct json_iter iter;
    struct json inner;
    struct bytes name;
    bool first = true;
    switch (json_type(value)) {
    case JSON_NULL:
        buf_add_cstr(buf, "null");
        return;
    case JSON_FALSE:
        buf_add_cstr(buf, "false");
        return;
    case JSON_TRUE:
        buf_add_cstr(buf, "true");
        return;
    case JSON_INTEGER:
        buf_printf(buf, "%lld", static_cast<long long>(json_integer(value)));
        return;
    case JSON_NUMBER:
        add_number(buf, json_number(value));
        return;
    case JSON_STRING:
        json_add_string(buf, json_string(value));
        return;
    case JSON_ARRAY:
        buf_add_byte(buf, '[');
        for (iter = json_iter_of(value); json_next(&iter, &inner); first = false) {
            buf_add_cstr(buf, first ? "" : ",");
            json_add_value(buf, inner);
        }
        buf_add_byte(buf, ']');
        return;
    case JSON_OBJECT:
        buf_add_byte(buf, '{');
        for (iter = json_iter_of(value); json_next_member(&iter, &name, &inner); first = false) {
            buf_add_cstr(buf, first ? "" : ",");
            json_add_string(buf, name);
            buf_add_byte(buf, ':');
            json_add_value(buf, inner);
        }
        buf_add_byte(buf, '}');
        return;
    }
}

} // extern "C"
