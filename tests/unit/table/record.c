/* table/record: what is encoded reads back, and no damage gets through a decoder unnoticed or past
 * its bounds. */
#include "world.h"

static struct bytes sample_item(struct arena *arena)
{
    struct bytes body = BYTES_NONE;
    struct item_record record = {
        .origin = ORIGIN_USER,
        .view = STREAM_NEW_AND_OLD,
        .was = true,
        .is = true,
        .has_old = true,
        .table_id = 300,
        .key = BYTES("\0\1a"),
        .new_item = make_item(arena, "a", 2, 200),
        .old_item = make_item(arena, "a", 1, 0),
    };
    CHECK(item_record_encode(&record, arena, &body) == OK);
    return body;
}

static void items_read_back(void)
{
    struct arena arena;
    struct item_record record;
    arena_init(&arena, 0);
    CHECK(item_record_decode(sample_item(&arena), &record) == OK);
    CHECK(record.origin == ORIGIN_USER && record.view == STREAM_NEW_AND_OLD);
    CHECK(record.was && record.is && record.has_old && record.table_id == 300);
    CHECK_BYTES(record.key, BYTES("\0\1a"));
    CHECK(item_number(record.new_item) == 2 && item_number(record.old_item) == 1);
    arena_fini(&arena);
}

/* The bytes of version 1 are for ever. */
static void the_form_of_an_item_record_is_fixed(void)
{
    static const uint8_t expected[] = {1, 2, 2, 0xac, 2, 3, 0, 1, 'a', 5, 1, 'k', 1, 1, 'v', 0};
    struct arena arena;
    struct bytes body = BYTES_NONE;
    struct item_record record = {
        .origin = ORIGIN_USER,
        .view = STREAM_NEW_IMAGE,
        .is = true,
        .table_id = 300,
        .key = BYTES("\0\1a"),
        .new_item = BYTES("\1k\1\1v"),
    };
    arena_init(&arena, 0);
    CHECK(item_record_encode(&record, &arena, &body) == OK);
    CHECK_BYTES(body, bytes_of(expected, sizeof(expected)));
    arena_fini(&arena);
}

static void every_truncation_is_damage(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes body = sample_item(&arena);
    struct item_record record;
    for (size_t len = 0; len < body.len; len++) {
        uint8_t *copy = mem_alloc(len); /* exact, so that the sanitizer sees any step past it */
        memcpy(copy, body.ptr, len);
        CHECK(item_record_decode(bytes_of(copy, len), &record) == ERR_DAMAGED);
        mem_free(copy);
    }
    arena_fini(&arena);
}

/* The one row that goes is one of expiry, whatever the bytes say. */
static void records_of_items_that_expire(void)
{
    struct arena arena;
    struct bytes body = BYTES_NONE;
    struct item_record read;
    struct row_key gone;
    row_of_expiry(&gone, 400, 77, 5, BYTES("\0\1a"));
    struct item_record record = {
        .origin = ORIGIN_USER,
        .was = true,
        .is = true,
        .table_id = 300,
        .key = BYTES("\0\1a"),
        .new_item = BYTES("\1k\1\1v"),
        .expiry_id = 400,
        .expiry_second = 1u << 31,
        .removed = row_bytes(&gone),
        .removed_count = 1,
    };
    arena_init(&arena, 0);
    CHECK(item_record_encode(&record, &arena, &body) == OK);
    CHECK(item_record_decode(body, &read) == OK);
    CHECK(read.expiry_id == 400 && read.expiry_second == 1u << 31 && read.removed_count == 1);
    CHECK_BYTES(bytes_of(read.removed.ptr + 1, read.removed.len - 1), row_bytes(&gone));
    for (size_t len = 0; len < body.len; len++) {
        CHECK(item_record_decode(bytes_of(body.ptr, len), &read) == ERR_DAMAGED);
    }
    for (size_t i = 0; i < 9; i++) { /* the row would be an item's, or one of the store's own */
        gone.ptr[i]++;
        CHECK(item_record_encode(&record, &arena, &body) == OK);
        CHECK(item_record_decode(body, &read) == ERR_DAMAGED);
        gone.ptr[i]--;
    }
    record.expiry_second = 0;
    record.removed = bytes_of(gone.ptr, 33);
    CHECK(item_record_encode(&record, &arena, &body) == OK);
    CHECK(item_record_decode(body, &read) == ERR_DAMAGED);
    arena_fini(&arena);
}

static void rows_that_are_made_later_read_back(void)
{
    struct arena arena;
    struct bytes body = BYTES_NONE;
    struct buf out;
    uint64_t seconds[3] = {1, 0, 1u << 31};
    struct key keys[3] = {{.bytes = BYTES("a"), .hash = 1},
                          {.bytes = BYTES("b"), .hash = 2},
                          {.bytes = BYTES("cc"), .hash = UINT64_MAX}};
    struct expiry_fill fill = {.expiry_id = 400,
                               .place = BYTES("12345678cc"),
                               .keys = keys,
                               .seconds = seconds,
                               .count = 3};
    arena_init(&arena, 0);
    buf_init(&out, 4096);
    CHECK(expiry_fill_encode(&fill, &arena, &body) == OK);
    struct log_record record = {
        .commit = 9, .count = 1, .kind = KIND_RECORD_EXPIRY_FILL, .body = body};
    CHECK(table_record_to_json(&record, &out) == OK);
    static const char text[] = "\"expiry\":400,\"rows\":2,\"done\":false}\n";
    size_t len = sizeof(text) - 1;
    CHECK_BYTES(bytes_of(out.ptr + out.len - len, len), bytes_cstr(text));
    for (size_t cut = 0; cut < body.len; cut++) {
        record.body = bytes_of(body.ptr, cut);
        CHECK(table_record_to_json(&record, &out) == ERR_DAMAGED);
    }
    buf_fini(&out);
    arena_fini(&arena);
}

/* A flipped bit is damage, or another record whose parts lie inside the body. */
static void flipped_bits_stay_in_bounds(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes body = sample_item(&arena);
    uint8_t *copy = mem_alloc(body.len);
    for (size_t bit = 0; bit < body.len * 8; bit++) {
        struct item_record record;
        memcpy(copy, body.ptr, body.len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (item_record_decode(bytes_of(copy, body.len), &record) == OK) {
            CHECK(record.new_item.len < body.len && record.old_item.len < body.len);
            CHECK(record.was || record.is);
        }
    }
    mem_free(copy);
    arena_fini(&arena);
}

static void tokens_read_back(void)
{
    struct arena arena;
    struct bytes body = BYTES_NONE;
    struct token_record read;
    uint8_t hash[32] = {9, 8, 7};
    struct token_record record = {BYTES("token-1"), 1234567, bytes_of(hash, 32)};
    arena_init(&arena, 0);
    CHECK(token_record_encode(&record, &arena, &body) == OK);
    CHECK(token_record_decode(body, &read) == OK);
    CHECK_BYTES(read.token, record.token);
    CHECK(read.time_ms == 1234567);
    CHECK_BYTES(read.request_hash, record.request_hash);
    for (size_t len = 0; len < body.len; len++) {
        CHECK(token_record_decode(bytes_of(body.ptr, len), &read) == ERR_DAMAGED);
    }
    arena_fini(&arena);
}

static void descriptions_read_back_and_refuse_damage(void)
{
    struct arena arena;
    struct bytes item = BYTES_NONE;
    struct bytes stream_item;
    struct table read;
    uint64_t stream_id = 0;
    struct stream stream = {.id = 7,
                            .table_id = 6,
                            .table_name = BYTES("t"),
                            .label = BYTES("l"),
                            .arn = BYTES("a/l"),
                            .shard_id = BYTES("s"),
                            .view = STREAM_OLD_IMAGE,
                            .schema = {{BYTES("p"), VALUE_N}, {BYTES("s"), VALUE_B}},
                            .created_ms = 5};
    struct table table = {.id = 6,
                          .name = BYTES("t"),
                          .arn = BYTES("a"),
                          .schema = stream.schema,
                          .stream = &stream,
                          .latest_stream_label = stream.label,
                          .latest_stream_arn = stream.arn,
                          .created_ms = 5};
    arena_init(&arena, 0);
    CHECK(describe_table(&table, &arena, &item) == OK);
    CHECK(read_described_table(item, &read, &stream_id, &stream_item) == OK);
    CHECK(read.id == 6 && stream_id == 7 && read.schema.partition.tag == VALUE_N);
    CHECK(read.schema.sort.tag == VALUE_B && !read.reserved);
    CHECK_BYTES(read.latest_stream_label, BYTES("l"));
    /* Cut between attributes it is an item still, of which some attributes may be absent. */
    for (size_t len = 0; len < item.len; len++) {
        struct bytes cut = bytes_of(item.ptr, len);
        CHECK(read_described_table(cut, &read, &stream_id, &stream_item) == ERR_DAMAGED ||
              item_check(cut) == OK);
    }
    arena_fini(&arena);
}

static void a_dump_is_one_line_of_json(void)
{
    struct arena arena;
    struct buf out;
    arena_init(&arena, 0);
    buf_init(&out, 1u << 20);
    struct log_record record = {
        .commit = 5, .count = 1, .time_ms = 9, .stream = 301, .kind = RECORD_ITEM};
    record.body = sample_item(&arena);
    CHECK(table_record_to_json(&record, &out) == OK);
    struct bytes text = buf_bytes(&out);
    CHECK(bytes_start_with(text, BYTES("{\"commit\":5,\"index\":0,\"count\":1,\"time\":9,"
                                       "\"stream\":301,\"key_hash\":\"0000000000000000\","
                                       "\"kind\":\"item\",\"table\":300,")));
    CHECK(text.ptr[text.len - 1] == '\n' && memchr(text.ptr, '\n', text.len - 1) == NULL);
    struct json_parser *parser = json_parser_new();
    struct json root;
    struct json member;
    CHECK(json_parse(parser, text, &root) == OK);
    CHECK(json_member(root, BYTES("old"), &member) && json_type(member) == JSON_OBJECT);
    record.kind = 99;
    CHECK(table_record_to_json(&record, &out) == ERR_DAMAGED);
    json_parser_free(parser);
    buf_fini(&out);
    arena_fini(&arena);
}

/* The order of a catalogue knows one table of a name and of an id, and one stream of an ARN. */
static void a_second_table_of_a_name_is_damage(void)
{
    static const struct {
        const char *name;
        uint64_t id;
        const char *arn;
        uint64_t stream_id;
        enum err expected;
    } cases[] = {
        {"one", 300, "arn-one", 301, OK},          {"one", 302, "arn-two", 303, ERR_DAMAGED},
        {"two", 300, "arn-two", 303, ERR_DAMAGED}, {"two", 302, "arn-one", 303, ERR_DAMAGED},
        {"two", 302, "arn-two", 301, ERR_DAMAGED}, {"", 302, "arn-two", 303, ERR_DAMAGED},
        {"two", 302, "arn-two", 303, OK},
    };
    struct catalogue *catalogue = catalogue_new(TABLE_ID_FIRST);
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct key_schema schema = {.partition = {BYTES("pk"), VALUE_S}};
        const struct stream stream = {.id = cases[i].stream_id,
                                      .table_id = cases[i].id,
                                      .table_name = bytes_cstr(cases[i].name),
                                      .arn = bytes_cstr(cases[i].arn),
                                      .view = STREAM_KEYS_ONLY,
                                      .schema = schema};
        const struct table table = {.id = cases[i].id,
                                    .name = bytes_cstr(cases[i].name),
                                    .schema = schema,
                                    .stream = &stream};
        struct log_record record = {.commit = 5 + i, .count = 1, .kind = KIND_RECORD_TABLE};
        struct catalogue *after = NULL;
        CHECK(describe_table(&table, &arena, &record.body) == OK);
        CHECK(record_catalogue(catalogue, &record, &after) == cases[i].expected);
        CHECK((after != NULL) == (cases[i].expected == OK));
        if (after != NULL) {
            catalogue_unpin(catalogue);
            catalogue = after;
        }
    }
    CHECK(catalogue->table_count == 2 && catalogue->stream_count == 2);
    catalogue_unpin(catalogue);
    arena_fini(&arena);
}

static enum err apply_update(struct catalogue **catalogue, struct log_record record)
{
    struct catalogue *after = NULL;
    enum err err = record_catalogue(*catalogue, &record, &after);
    CHECK((after != NULL) == (err == OK));
    if (after != NULL) {
        catalogue_unpin(*catalogue);
        *catalogue = after;
    }
    return err;
}

static void updates_and_closes_fit_what_is_there(void)
{
    const struct key_schema schema = {.partition = {BYTES("pk"), VALUE_S}};
    struct stream one = {.id = 301,
                         .table_id = 300,
                         .table_name = BYTES("one"),
                         .arn = BYTES("arn-one"),
                         .view = STREAM_KEYS_ONLY,
                         .schema = schema};
    struct table table = {.id = 300, .name = BYTES("one"), .schema = schema};
    struct catalogue *catalogue = catalogue_new(TABLE_ID_FIRST);
    struct arena arena;
    struct log_record record = {.commit = 5, .count = 1, .kind = KIND_RECORD_TABLE_UPDATE};
    arena_init(&arena, 0);
    CHECK(describe_table(&table, &arena, &record.body) == OK);
    CHECK(apply_update(&catalogue, record) == ERR_DAMAGED); /* there is no such table */
    record.kind = KIND_RECORD_TABLE;
    CHECK(apply_update(&catalogue, record) == OK);

    record.kind = KIND_RECORD_TABLE_UPDATE;
    table.stream = &one;
    CHECK(describe_table(&table, &arena, &record.body) == OK);
    record.commit = 6;
    CHECK(apply_update(&catalogue, record) == OK); /* opens it */
    CHECK(catalogue_table(catalogue, BYTES("one"))->stream->first_commit == 6);
    one.first_commit = 6;
    table.settings = BYTES_NONE;
    CHECK(describe_table(&table, &arena, &record.body) == OK);
    record.commit = 7;
    CHECK(apply_update(&catalogue, record) == OK); /* leaves it as it is */
    CHECK(catalogue_table(catalogue, BYTES("one"))->stream->first_commit == 6);
    CHECK(catalogue->next_id == 302 && catalogue->commit == 7);

    table.name = BYTES("two");
    CHECK(describe_table(&table, &arena, &record.body) == OK);
    CHECK(apply_update(&catalogue, record) == ERR_DAMAGED); /* names do not change */
    table.name = BYTES("one");

    record.kind = KIND_RECORD_STREAM_CLOSE;
    one.id = 305;
    CHECK(describe_stream(&one, &arena, &record.body) == OK);
    CHECK(apply_update(&catalogue, record) == ERR_DAMAGED); /* there is no such stream */
    one.id = 301;
    CHECK(describe_stream(&one, &arena, &record.body) == OK);
    record.commit = 8;
    CHECK(apply_update(&catalogue, record) == OK);
    CHECK(catalogue_stream(catalogue, BYTES("arn-one"))->last_commit == 8);
    CHECK(apply_update(&catalogue, record) == ERR_DAMAGED); /* it is closed */
    record.kind = KIND_RECORD_TABLE_UPDATE;
    CHECK(describe_table(&table, &arena, &record.body) == OK);
    CHECK(apply_update(&catalogue, record) == ERR_DAMAGED); /* so it is no table's open one */
    catalogue_unpin(catalogue);
    arena_fini(&arena);
}

int main(void)
{
    RUN(items_read_back);
    RUN(the_form_of_an_item_record_is_fixed);
    RUN(every_truncation_is_damage);
    RUN(records_of_items_that_expire);
    RUN(rows_that_are_made_later_read_back);
    RUN(flipped_bits_stay_in_bounds);
    RUN(tokens_read_back);
    RUN(descriptions_read_back_and_refuse_damage);
    RUN(a_dump_is_one_line_of_json);
    RUN(a_second_table_of_a_name_is_damage);
    RUN(updates_and_closes_fit_what_is_there);
    return CHECK_RESULT();
}
