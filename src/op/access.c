/* What a decoded call does, for policies: see op_access. */
#include "op/op_priv.h"
#include "op/shard.h"

bool op_accesses(const struct op_call *call, op_access_visit *visit, void *arg)
{
    static const struct {
        struct bytes name;
        bool stream;
    } members[] = {{BYTES_INIT("TableName"), false},
                   {BYTES_INIT("ResourceArn"), false},
                   {BYTES_INIT("StreamArn"), true},
                   {BYTES_INIT("ShardIterator"), true}};
    const struct op *op = call->op;
    if (op->access != NULL) {
        return op->access(call, visit, arg);
    }
    struct op_access access = {.action = op->name, .streams = op->api == OP_API_STREAMS};
    for (const struct field *field = op->in_fields; field->type != FIELD_END; field++) {
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            if (field->type == FIELD_STRING && bytes_equal(field->name, members[i].name)) {
                struct bytes *to = members[i].stream ? &access.stream : &access.table;
                memcpy(to, (const char *)call->in + field->offset, sizeof(*to));
            }
        }
    }
    struct iterator iterator;
    if (iterator_parse(access.stream, &iterator) == OK) {
        access.stream = iterator.arn;
    }
    return visit(arg, &access);
}
