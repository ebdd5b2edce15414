/* A call's life between its decoding and its answer: checked, run as a task of the table layer, and
 * handed back with its output or its fault. Also the list of all operations, by X-Amz-Target. */
#include "op/op_priv.h"

#include "base/assert.h"

#define OP(descriptor) extern const struct op descriptor;
#include "op/ops.def"
#undef OP

const struct op *const op_list[] = {
#define OP(descriptor) &(descriptor),
#include "op/ops.def"
#undef OP
};
const size_t op_list_count = sizeof(op_list) / sizeof(op_list[0]);

static const struct bytes api_prefixes[] = {
    [OP_API_DYNAMODB] = BYTES_INIT("DynamoDB_20120810."),
    [OP_API_STREAMS] = BYTES_INIT("DynamoDBStreams_20120810."),
};

static enum err evaluate(struct task *task, struct reader *reader, struct changes *changes);
static void task_done(struct task *task, enum err err);

const struct op *op_find(struct bytes target)
{
    for (size_t api = 0; api < sizeof(api_prefixes) / sizeof(api_prefixes[0]); api++) {
        struct bytes prefix = api_prefixes[api];
        if (!bytes_start_with(target, prefix)) {
            continue;
        }
        struct bytes name = bytes_of(target.ptr + prefix.len, target.len - prefix.len);
        for (size_t i = 0; i < op_list_count; i++) {
            const struct op *op = op_list[i];
            /* Most differ in their first letter, which spares measuring the name. */
            if (op->api == api && name.len > 0 && op->name[0] == (char)name.ptr[0] &&
                bytes_equal(name, bytes_cstr(op->name))) {
                return op;
            }
        }
    }
    return NULL;
}

struct bytes op_absent(struct bytes target, struct arena *arena)
{
    static const struct {
        const char *name;
        const char *before; /* it in the reason */
        const char *after;
    } absent[] = {
#define ABSENT(name, ...) {#name, __VA_ARGS__},
#include "op/absent.def"
#undef ABSENT
    };
    struct bytes prefix = api_prefixes[0];
    if (!bytes_start_with(target, prefix)) {
        return BYTES_NONE;
    }
    struct bytes name = bytes_of(target.ptr + prefix.len, target.len - prefix.len);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (bytes_equal(name, bytes_cstr(absent[i].name)) && op_find(target) == NULL) {
            return arena_printf(arena, "Headwater %s%s%s", absent[i].before, absent[i].name,
                                absent[i].after);
        }
    }
    return BYTES_NONE;
}

size_t op_index(const struct op *op)
{
    size_t index = 0;
    while (op_list[index] != op) {
        index++;
        ASSERT(index < op_list_count);
    }
    return index;
}

void op_start(struct lane *lane, struct op_call *call)
{
    const struct op *op = call->op;
    call->fault = (struct fault){0};
    call->out = arena_zalloc(call->arena, op->out_size);
    if (call->out == NULL) {
        call->fault.code = FAULT_INTERNAL;
        call->done(call);
        return;
    }
    if (op->check != NULL) {
        enum err err = op->check(call);
        if (err != OK) {
            task_done(&call->task, err);
            return;
        }
    }
    call->task.evaluate = evaluate;
    call->task.done = task_done;
    call->task.arena = call->arena;
    call->task.writes = op->writes;
    store_run(lane, &call->task);
}

/* An evaluation may be repeated: what an earlier one left is void. */
static enum err evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct op_call *call = (struct op_call *)task;
    memset(call->out, 0, call->op->out_size);
    call->fault = (struct fault){0};
    return call->op->run(call, reader, changes);
}

static void task_done(struct task *task, enum err err)
{
    struct op_call *call = (struct op_call *)task;
    err = call->arena->failed ? ERR_NOMEM : err; /* whatever is not whole because of it */
    switch (err) {
    case OK:
        if (call->op->commit_offset != 0) {
            memcpy((char *)call->out + call->op->commit_offset, &task->commit,
                   sizeof(task->commit));
        }
        if (call->op->after != NULL) {
            call->op->after(call);
            return;
        }
        break;
    case ERR_FAULT:
        ASSERT(call->fault.code != FAULT_NONE);
        break;
    case ERR_FULL:
        call->fault = (struct fault){.code = task->over_budget ? FAULT_LOG_FULL : FAULT_DISK_FULL};
        break;
    case ERR_RANGE:
        call->fault = (struct fault){.code = FAULT_THROUGHPUT_EXCEEDED};
        break;
    case ERR_NOMEM:
    case ERR_IO:
    case ERR_DAMAGED:
    case ERR_NOT_FOUND:
    case ERR_INCOMPLETE:
    case ERR_INVALID:
    case ERR_BUSY:
    case ERR_CLOSED:
    case ERR_TRIMMED:
        call->fault = (struct fault){.code = FAULT_INTERNAL};
        break;
    }
    call->done(call);
}
