/* Faults: what a refused request is told, from the table in fault.def. SDKs read the name after the
 * '#' of __type; the words are DynamoDB's, and so is which of several is told (op I2). */
#include "op/op_priv.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_MAX 4096u /* an echoed value is cut there */

struct fault_row {
    const char *wire;
    unsigned status;
    const char *prefix;
    const char *text;
};

static const struct fault_row fault_rows[] = {
#define FAULT(name, wire, status, prefix, text) [name] = {wire, status, prefix, text},
#include "op/fault.def"
#undef FAULT
};

static enum err fault_format(struct op_call *call, enum fault_code code, bool enveloped,
                             const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static void mend_text(uint8_t *text, size_t len);
static bool has_capital_message(enum fault_code code);
static void add_reasons(const struct fault *fault, struct buf *out);

const char *fault_wire_name(enum fault_code code)
{
    return fault_rows[code].wire;
}

unsigned fault_status(enum fault_code code)
{
    return fault_rows[code].status;
}

enum err fault(struct op_call *call, enum fault_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum err err = fault_format(call, code, false, format, args);
    va_end(args);
    return err;
}

bool fault_envelopes(const struct op_call *call)
{
    return call->op->envelopes && !call->old_layer;
}

enum err fault_value(struct op_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum err err = fault_format(call, FAULT_VALIDATION, fault_envelopes(call), format, args);
    va_end(args);
    return err;
}

enum err fault_text(struct op_call *call, enum fault_code code, bool enveloped, struct bytes text)
{
    return fault(call, code, "%s%.*s", enveloped ? ENVELOPE_ONE : "", BYTES_FMT(text));
}

enum err fault_expr(struct op_call *call, const struct expr_fault *refused)
{
    return fault_text(call, FAULT_VALIDATION, fault_envelopes(call) && refused->enveloped,
                      bytes_cstr(refused->text));
}

enum err fault_mixing(struct op_call *call, const char *legacy, const char *expressions)
{
    return fault_value(call,
                       "Can not use both expression and non-expression parameters in the same "
                       "request: Non-expression parameters: {%s} Expression parameters: {%s}",
                       legacy, expressions);
}

unsigned fault_encode(const struct fault *fault, struct buf *out)
{
    const struct fault_row *row = &fault_rows[fault->code];
    struct bytes message = fault->message.len > 0 ? fault->message : bytes_cstr(row->text);
    buf_add_cstr(out, "{\"__type\":\"");
    buf_add_cstr(out, row->prefix);
    buf_add_cstr(out, row->wire);
    buf_add_byte(out, '"');
    if (message.len > 0) {
        buf_add_cstr(out, has_capital_message(fault->code) ? ",\"Message\":" : ",\"message\":");
        json_add_string(out, message);
    }
    if (fault->item.ptr != NULL) {
        buf_add_cstr(out, ",\"Item\":");
        item_to_json(out, fault->item);
    }
    if (fault->reasons != NULL) {
        add_reasons(fault, out);
    }
    buf_add_byte(out, '}');
    return row->status;
}

static enum err fault_format(struct op_call *call, enum fault_code code, bool enveloped,
                             const char *format, va_list args)
{
    char text[MESSAGE_MAX];
    size_t len = enveloped ? sizeof(ENVELOPE_ONE) - 1 : 0;
    memcpy(text, ENVELOPE_ONE, len);
    int printed = vsnprintf(text + len, sizeof(text) - len, format, args);
    len += printed < 0 ? 0 : (size_t)printed;
    if (len >= sizeof(text)) {
        len = sizeof(text) - 1;
    }
    mend_text((uint8_t *)text, len);
    call->fault = (struct fault){.code = code};
    call->fault.message = arena_dup(call->arena, bytes_of(text, len));
    return ERR_FAULT;
}

/* Echoed values may have been cut within a character, here or where the text was made; answers are
 * UTF-8 all the same. */
static void mend_text(uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint8_t lead = text[i];
        size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        bool whole = (lead < 0x80 || lead >= 0xc0) && more < len - i;
        for (size_t j = 1; whole && j <= more; j++) {
            whole = (text[i + j] & 0xc0) == 0x80;
        }
        if (!whole) {
            text[i] = '?';
        }
        i += whole ? more + 1 : 1;
    }
}

/* DynamoDB's models spell the member of these with a capital. */
static bool has_capital_message(enum fault_code code)
{
    return code == FAULT_SERIALIZATION || code == FAULT_ACCESS_DENIED ||
           code == FAULT_TRANSACTION_CANCELED || code == FAULT_IN_PROGRESS ||
           code == FAULT_IDEMPOTENT_MISMATCH;
}

static void add_reasons(const struct fault *fault, struct buf *out)
{
    buf_add_cstr(out, ",\"CancellationReasons\":[");
    for (size_t i = 0; i < fault->reason_count; i++) {
        const struct cancellation *reason = &fault->reasons[i];
        buf_add_cstr(out, i == 0 ? "{\"Code\":\"" : ",{\"Code\":\"");
        buf_add_cstr(out, reason->code);
        buf_add_byte(out, '"');
        if (reason->message.len > 0) {
            buf_add_cstr(out, ",\"Message\":");
            json_add_string(out, reason->message);
        }
        if (reason->item.ptr != NULL) {
            buf_add_cstr(out, ",\"Item\":");
            item_to_json_hashed(out, reason->item);
        }
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}
