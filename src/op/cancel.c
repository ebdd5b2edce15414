/* Why a transaction was cancelled: a reason for each of its actions (op I7), told in one fault
 * whose words repeat the reasons' codes. Old items are told as long as the answer has room. */
#include "op/op_priv.h"

enum err cancel_action(struct op_call *call, struct cancellations *cancellations, size_t index,
                       struct cancellation reason)
{
    if (cancellations->reasons == NULL) {
        size_t size = cancellations->count * sizeof(*cancellations->reasons);
        cancellations->reasons = arena_zalloc(call->arena, size);
        if (cancellations->reasons == NULL) {
            return ERR_NOMEM;
        }
        for (size_t i = 0; i < cancellations->count; i++) {
            cancellations->reasons[i].code = "None";
        }
    }
    cancellations->reasons[index] = reason;
    return OK;
}

enum err cancel_fault(struct op_call *call, const struct cancellations *cancellations)
{
    struct buf text;
    size_t json = 0;
    buf_init(&text, 64u << 10);
    buf_add_cstr(&text, "Transaction cancelled, please refer cancellation reasons for specific "
                        "reasons [");
    for (size_t i = 0; i < cancellations->count; i++) {
        buf_add_cstr(&text, i == 0 ? "" : ", ");
        buf_add_cstr(&text, cancellations->reasons[i].code);
        json += answer_item_bytes(cancellations->reasons[i].item);
        if (json > ANSWER_JSON_BYTES_MAX) {
            cancellations->reasons[i].item = BYTES_NONE;
        }
    }
    buf_add_byte(&text, ']');
    enum err err = fault_text(call, FAULT_TRANSACTION_CANCELED, false, buf_bytes(&text));
    buf_fini(&text);
    call->fault.reasons = cancellations->reasons;
    call->fault.reason_count = cancellations->count;
    return err;
}
