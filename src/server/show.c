/* Answers for people and for programs: see show.h. */
#include "server/show.h"

#include "base/assert.h"
#include "base/buf.h"
#include "sys/process.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 64u /* further attributes are told in one column */
#define WIDTH_MIN 8u    /* a column is not made narrower than that */
#define NAME_WIDTH_MAX 40u
#define GAP 2u

struct column {
    struct bytes name;
    size_t width; /* in code points */
};

struct grid {
    struct column columns[COLUMNS_MAX];
    size_t count;
    bool more; /* attributes without a column */
    struct buf cell;
    struct buf line;
};

static void grid_measure(struct grid *grid, struct json item);
static void grid_fit(struct grid *grid, size_t room);
static void add_cell(struct grid *grid, struct bytes text, size_t width, bool last);
static void add_plain(struct buf *line, struct bytes text);
static void cell_of(struct buf *cell, struct json value);
static bool put_line(struct buf *line);

/* Code points: what does not go on another one. */
static size_t width_of(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++) {
        /* Bytes that are some are somewhere. */
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        width += (text.ptr[i] & 0xc0) != 0x80;
    }
    return width;
}

static bool show_lines(struct json items, size_t count)
{
    struct json item;
    struct json_iter iter = json_iter_of(items);
    struct buf line;
    bool whole = true;
    buf_init(&line, SIZE_MAX / 2);
    while (whole && count-- > 0 && json_next(&iter, &item)) {
        json_add_value(&line, item);
        whole = put_line(&line);
    }
    buf_fini(&line);
    return whole;
}

bool show_items(struct arena *arena, struct json items, size_t count, const char *const *keys,
                size_t key_count)
{
    size_t room = process_terminal_columns();
    struct json item;
    struct json value;
    if (room == 0) {
        return show_lines(items, count);
    }
    struct grid *grid = arena_zalloc(arena, sizeof(*grid));
    if (grid == NULL || count == 0) {
        return grid != NULL;
    }
    buf_init(&grid->cell, SIZE_MAX / 2);
    buf_init(&grid->line, SIZE_MAX / 2);
    for (size_t i = 0; i < key_count; i++) {
        grid->columns[grid->count++].name = bytes_cstr(keys[i]);
    }
    struct json_iter iter = json_iter_of(items);
    for (size_t i = 0; i < count && json_next(&iter, &item); i++) {
        grid_measure(grid, item);
    }
    grid_fit(grid, room);
    for (size_t i = 0; i < grid->count; i++) {
        add_cell(grid, grid->columns[i].name, grid->columns[i].width, i + 1 == grid->count);
    }
    bool whole = put_line(&grid->line);
    iter = json_iter_of(items);
    for (size_t row = 0; whole && row < count && json_next(&iter, &item); row++) {
        for (size_t i = 0; i < grid->count; i++) {
            buf_clear(&grid->cell);
            if (json_member(item, grid->columns[i].name, &value)) {
                cell_of(&grid->cell, value);
            }
            add_cell(grid, buf_bytes(&grid->cell), grid->columns[i].width, i + 1 == grid->count);
        }
        whole = put_line(&grid->line);
    }
    if (grid->more) {
        fprintf(stderr, "headwater: more than %u attributes; in a pipe all are printed\n",
                COLUMNS_MAX);
    }
    buf_fini(&grid->cell);
    buf_fini(&grid->line);
    return whole;
}

static struct column *column_find(struct grid *grid, struct bytes name)
{
    for (size_t i = 0; i < grid->count; i++) {
        if (bytes_equal(grid->columns[i].name, name)) {
            return &grid->columns[i];
        }
    }
    if (grid->count == COLUMNS_MAX) {
        grid->more = true;
        return NULL;
    }
    grid->columns[grid->count] = (struct column){name, width_of(name)};
    return &grid->columns[grid->count++];
}

static void grid_measure(struct grid *grid, struct json item)
{
    struct bytes name;
    struct json value;
    struct json_iter iter = json_iter_of(item);
    while (json_next_member(&iter, &name, &value)) {
        struct column *column = column_find(grid, name);
        buf_clear(&grid->cell);
        cell_of(&grid->cell, value);
        size_t width = width_of(buf_bytes(&grid->cell));
        if (column != NULL && width > column->width) {
            column->width = width;
        }
    }
}

/* Takes from the widest column until the line fits, or none can give. */
static void grid_fit(struct grid *grid, size_t room)
{
    size_t total = 0;
    for (size_t i = 0; i < grid->count; i++) {
        size_t least = width_of(grid->columns[i].name);
        grid->columns[i].width = grid->columns[i].width > least ? grid->columns[i].width : least;
        total += grid->columns[i].width + (i > 0 ? GAP : 0);
    }
    while (total > room) {
        struct column *widest = &grid->columns[0];
        for (size_t i = 1; i < grid->count; i++) {
            widest = grid->columns[i].width > widest->width ? &grid->columns[i] : widest;
        }
        size_t over = total - room;
        size_t give = widest->width > WIDTH_MIN ? widest->width - WIDTH_MIN : 0;
        if (give == 0) {
            return;
        }
        /* By halves, so that several wide ones share what is to be given. */
        give = give / 2 + 1 < over ? give / 2 + 1 : over < give ? over : give;
        widest->width -= give;
        total -= give;
    }
}

static void add_cell(struct grid *grid, struct bytes text, size_t width, bool last)
{
    size_t shown = width_of(text);
    size_t kept = shown > width ? width - 1 : shown;
    size_t at = 0;
    for (size_t points = 0; at < text.len; at++) {
        points += (text.ptr[at] & 0xc0) != 0x80;
        if (points > kept) {
            break;
        }
    }
    add_plain(&grid->line, bytes_of(text.ptr, at));
    if (shown > width) {
        buf_add_cstr(&grid->line, "…");
    }
    for (size_t i = shown > width ? width : shown; i < width + GAP && !last; i++) {
        buf_add_byte(&grid->line, ' ');
    }
}

/* What moves the cursor, colours the screen or names the window is not for a terminal: a blank for
 * each control character, those of two bytes too. */
static void add_plain(struct buf *line, struct bytes text)
{
    ASSERT(text.len == 0 || text.ptr != NULL);
    for (size_t i = 0; i < text.len; i++) {
        bool long_control = text.ptr[i] == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        bool control = text.ptr[i] < 0x20 || text.ptr[i] == 0x7f || long_control;
        buf_add_byte(line, control ? ' ' : text.ptr[i]);
        i += long_control;
    }
}

/* {"S":"a"} shows as a; what has an inside, as JSON. */
static void cell_of(struct buf *cell, struct json value)
{
    struct bytes type;
    struct json inner;
    struct json_iter iter;
    if (json_type(value) == JSON_STRING) {
        buf_add(cell, json_string(value));
    } else if (json_type(value) != JSON_OBJECT ||
               (iter = json_iter_of(value), !json_next_member(&iter, &type, &inner))) {
        json_add_value(cell, value);
    } else if (bytes_equal(type, BYTES("NULL"))) {
        buf_add_cstr(cell, "null");
    } else if (json_type(inner) == JSON_STRING) {
        buf_add(cell, json_string(inner));
    } else {
        json_add_value(cell, inner);
    }
}

static size_t longest_name(struct json object)
{
    struct bytes name;
    struct json value;
    struct json_iter iter = json_iter_of(object);
    size_t longest = 0;
    while (json_next_member(&iter, &name, &value)) {
        longest = width_of(name) > longest ? width_of(name) : longest;
    }
    return longest < NAME_WIDTH_MAX ? longest : NAME_WIDTH_MAX;
}

static bool show_members(struct json object, void (*add)(struct buf *cell, struct json value))
{
    struct bytes name;
    struct json value;
    struct buf line;
    struct buf cell;
    bool terminal = process_terminal_columns() > 0;
    size_t width = longest_name(object);
    bool whole = true;
    buf_init(&line, SIZE_MAX / 2);
    buf_init(&cell, SIZE_MAX / 2);
    if (!terminal) {
        json_add_value(&line, object);
        whole = put_line(&line);
    }
    struct json_iter iter = json_iter_of(object);
    while (terminal && whole && json_next_member(&iter, &name, &value)) {
        add_plain(&line, name);
        for (size_t i = width_of(name); i < width + GAP; i++) {
            buf_add_byte(&line, ' ');
        }
        buf_clear(&cell);
        add(&cell, value);
        add_plain(&line, buf_bytes(&cell));
        whole = put_line(&line) && !cell.failed;
    }
    buf_fini(&cell);
    buf_fini(&line);
    return whole;
}

bool show_item(struct json item)
{
    return show_members(item, cell_of);
}

static void add_member(struct buf *cell, struct json value)
{
    if (json_type(value) == JSON_STRING) {
        buf_add(cell, json_string(value));
    } else {
        json_add_value(cell, value);
    }
}

bool show_object(struct json object)
{
    return show_members(object, add_member);
}

bool show_text(struct bytes text)
{
    struct buf line;
    buf_init(&line, SIZE_MAX / 2);
    if (process_terminal_columns() > 0) {
        buf_add(&line, text);
    } else {
        json_add_string(&line, text);
    }
    bool whole = put_line(&line);
    buf_fini(&line);
    return whole;
}

/* Prints it with its end, and empties it. */
static bool put_line(struct buf *line)
{
    buf_add_byte(line, '\n');
    bool whole = !line->failed && fwrite(line->ptr, 1, line->len, stdout) == line->len;
    buf_clear(line);
    return whole;
}
