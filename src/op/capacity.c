/* Consumed capacity by DynamoDB's formulas. It limits nothing here; clients ask for it and count.
 */
#include "op/op_priv.h"

#define READ_UNIT_BYTES 4096u
#define WRITE_UNIT_BYTES 1024u

static struct consumed_capacity *entry_of(struct consumed_capacity *list, size_t *count,
                                          struct bytes name);
static void add_units(struct capacity_units *sum, struct capacity_units more);
static double units_of(size_t bytes, size_t unit);

double capacity_read(size_t bytes, bool consistent)
{
    double units = units_of(bytes, READ_UNIT_BYTES);
    return consistent ? units : units / 2;
}

/* The larger of both images: a write is charged for what it replaces, too. */
double capacity_write(size_t old_bytes, size_t new_bytes)
{
    return units_of(old_bytes > new_bytes ? old_bytes : new_bytes, WRITE_UNIT_BYTES);
}

enum err capacity_set(struct op_call *call, struct consumed_capacity *capacity,
                      enum return_capacity asked, const struct table *table, double units)
{
    capacity->given = true;
    capacity->table_name = arena_dup(call->arena, table->name);
    capacity->detailed = asked == CAPACITY_INDEXES;
    capacity->total.units = units;
    capacity->table.units = units;
    return capacity->table_name.ptr == NULL ? ERR_NOMEM : OK;
}

enum err capacity_add(struct op_call *call, struct consumed_capacity *list, size_t *count,
                      enum return_capacity asked, const struct table *table,
                      struct capacity_units units)
{
    struct consumed_capacity *entry = entry_of(list, count, table->name);
    TRY(capacity_set(call, entry, asked, table, entry->total.units));
    add_units(&entry->total, units);
    add_units(&entry->table, units);
    return OK;
}

enum err capacity_merge(struct op_call *call, struct consumed_capacity *list, size_t *count,
                        const struct consumed_capacity *one)
{
    struct consumed_capacity *entry = entry_of(list, count, one->table_name);
    if (!entry->given) {
        *entry = *one;
        entry->table_name = arena_dup(call->arena, one->table_name);
        return entry->table_name.ptr == NULL ? ERR_NOMEM : OK;
    }
    add_units(&entry->total, one->total);
    add_units(&entry->table, one->table);
    return OK;
}

/* The table's entry, or the next one. */
static struct consumed_capacity *entry_of(struct consumed_capacity *list, size_t *count,
                                          struct bytes name)
{
    size_t place = 0;
    while (place < *count && !bytes_equal(list[place].table_name, name)) {
        place++;
    }
    *count += place == *count;
    return &list[place];
}

static void add_units(struct capacity_units *sum, struct capacity_units more)
{
    sum->units += more.units;
    sum->read += more.read;
    sum->write += more.write;
}

/* Nothing still costs one. */
static double units_of(size_t bytes, size_t unit)
{
    size_t units = (bytes + unit - 1) / unit;
    return units == 0 ? 1.0 : (double)units;
}
