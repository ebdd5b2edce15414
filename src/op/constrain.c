/* Constraints of members: presence, length, bounds, patterns and enum sets, told in DynamoDB's
 * envelope. "2 validation errors detected: A; B" joins the faults of one stage; which members share
 * a stage is in each operation's table.
 *
 * DynamoDB has two sets of words. The older names members in camel case with the value they had; in
 * the newer some operations name the wire's member and no value (FIELD_NO_ECHO). */
#include "op/op_priv.h"

#include "base/assert.h"

#include <ctype.h>

#define ECHO_BYTES_MAX 4096u /* of a value: fault.c cuts the whole text there */

/* Where a struct hangs below the request, for paths such as transactItems.1.member.put.tableName.
 */
struct nest {
    const struct nest *parent;
    const struct field *field;
    struct bytes name; /* of an entry of a map; ptr NULL: not in one */
    size_t element;    /* from 1; 0: not in a list */
};

static enum err constrain_fields(struct decode *decode, const struct field *fields, void *base,
                                 const struct nest *nest);
static enum err constrain_field(struct decode *decode, const struct field *field, void *base,
                                const struct nest *nest);
static enum err constrain_stray(struct decode *decode, const struct field *field, struct bytes text,
                                const struct nest *nest);
static enum err constrain_name(struct decode *decode, const struct field *field, struct bytes name,
                               const struct nest *nest);
static enum err constrain_number(struct decode *decode, const struct field *field, int64_t number,
                                 const struct nest *nest);
static enum err constrain_length(struct decode *decode, const struct field *field,
                                 struct bytes text, const struct nest *nest);
static enum err constrain_count(struct decode *decode, const struct field *field, void *base,
                                const struct nest *nest);
static enum err constrain_list(struct decode *decode, const struct field *field, void *base,
                               const struct nest *nest);
static enum err constrain_elements(struct decode *decode, const struct field *field, void *base,
                                   const struct nest *place);
static enum err constrain_map(struct decode *decode, const struct field *field, void *base,
                              const struct nest *nest);
static enum err constrain_entry(struct decode *decode, const struct field *field, void *base,
                                void *entry, const struct nest *place);
static bool fits_table_name(struct bytes name);
static bool has_name_characters(struct bytes name);
static enum err violate(struct decode *decode, const struct field *field, enum violation_kind kind,
                        int64_t bound, struct bytes value, const struct nest *nest);
static enum err violate_as(struct decode *decode, const struct field *field,
                           const struct field *named, enum violation_kind kind, int64_t bound,
                           struct bytes value, const struct nest *nest);
static struct bytes render_path(struct arena *arena, const struct nest *nest,
                                const struct field *field, bool wire);
static void take_old_order(struct decode *decode);
static void render(struct buf *out, const struct violation *violation, bool old);
static void render_map(struct buf *out, const struct violation *violation);

enum err constrain(struct decode *decode)
{
    TRY(constrain_fields(decode, decode->call->op->in_fields, decode->call->in, NULL));
    if (decode->call->op->old_order != NULL) {
        take_old_order(decode);
    }
    return OK;
}

enum err decode_tell_violations(struct decode *decode, unsigned stage)
{
    unsigned lowest = stage;
    size_t count = 0;
    const struct violation *first = NULL;
    struct buf text;
    for (const struct violation *v = decode->violations; v != NULL; v = v->next) {
        if (v->stage < lowest || (v->stage == lowest && first == NULL)) {
            lowest = v->stage;
            first = v;
            count = 0;
        }
        count += v->stage == lowest;
    }
    bool alone = first != NULL && (first->field->flags & FIELD_ALONE) != 0;
    if (first == NULL) {
        return OK;
    }
    buf_init(&text, 64u << 10);
    if (count > 1 && !alone) {
        buf_printf(&text, "%zu validation errors detected: ", count);
    } else if ((first->field->flags & FIELD_BARE) == 0 || decode->old_words) {
        bool bare = first->kind == VIOLATES_CONTROL_PRESENCE || first->kind == VIOLATES_NARROW_SET;
        buf_add_cstr(&text, bare ? "" : ENVELOPE_ONE);
    }
    for (const struct violation *v = first; v != NULL; v = v->next) {
        if (v->stage == lowest && (v == first || !alone)) {
            buf_add_cstr(&text, v == first ? "" : "; ");
            render(&text, v, decode->old_words);
        }
    }
    enum err err = fault_text(decode->call, FAULT_VALIDATION, false, buf_bytes(&text));
    buf_fini(&text);
    return err;
}

static enum err constrain_fields(struct decode *decode, const struct field *fields, void *base,
                                 const struct nest *nest)
{
    for (const struct field *field = fields; field->type != FIELD_END; field++) {
        TRY(constrain_field(decode, field, base, nest));
    }
    return OK;
}

static enum err constrain_field(struct decode *decode, const struct field *field, void *base,
                                const struct nest *nest)
{
    char *place = (char *)base + field->offset;
    bool given = field->given != 0 && *(const bool *)((char *)base + field->given);
    bool required = (field->flags & FIELD_REQUIRED) != 0;
    if ((field->flags & FIELD_OWN_WORDS) != 0) {
        return OK;
    }
    switch (field->type) {
    case FIELD_STRING: {
        struct bytes text = *(const struct bytes *)(const void *)place;
        if (field->form != FORM_ANY) {
            return constrain_name(decode, field, text, nest);
        }
        given = text.ptr != NULL;
        if (given) {
            return constrain_length(decode, field, text, nest);
        }
        break;
    }
    case FIELD_ITEM:
    case FIELD_NAMES:
        given = ((const struct bytes *)(const void *)place)->ptr != NULL;
        break;
    case FIELD_ENUM: {
        int value = *(const int *)(const void *)place;
        given = value != 0;
        if (value == ENUM_STRAY) {
            return constrain_stray(decode, field, decode_stray_text(decode, place), nest);
        }
        break;
    }
    case FIELD_INTEGER:
        if (given) {
            return constrain_number(decode, field, *(const int32_t *)(const void *)place, nest);
        }
        break;
    case FIELD_LONG:
        if (given) {
            return constrain_number(decode, field, *(const int64_t *)(const void *)place, nest);
        }
        break;
    case FIELD_STRUCT:
        given = given || field->given == 0;
        if (field->given != 0 && given) {
            const struct nest below = {.parent = nest, .field = field};
            return constrain_fields(decode, field->shape->fields, place, &below);
        }
        break;
    case FIELD_LIST:
        given = *(void *const *)(const void *)place != NULL;
        if (given) {
            return constrain_list(decode, field, base, nest);
        }
        break;
    case FIELD_ITEMS:
        given = *(void *const *)(const void *)place != NULL;
        if (given) {
            return constrain_count(decode, field, base, nest);
        }
        break;
    case FIELD_MAP:
        given = *(void *const *)(const void *)place != NULL;
        if (given) {
            return constrain_map(decode, field, base, nest);
        }
        break;
    case FIELD_STRINGS:
        given = *(void *const *)(const void *)place != NULL;
        break;
    case FIELD_BOOL:
        break;
    case FIELD_UNBUILT:
        return OK;
    case FIELD_END:
    case FIELD_SIZE:
    case FIELD_DOUBLE:
    case FIELD_TIME:
    case FIELD_SECONDS:
        ASSERT(false); /* a type of answers in a table of requests */
    }
    return required && !given ? violate(decode, field, VIOLATES_PRESENCE, 0, BYTES_NONE, nest) : OK;
}

/* A text that is no value of its enum. */
static enum err constrain_stray(struct decode *decode, const struct field *field, struct bytes text,
                                const struct nest *nest)
{
    const struct enum_set *wider = field->set->wider;
    for (size_t i = 0; wider != NULL && i < wider->count; i++) {
        if (wider->names[i] != NULL && bytes_equal(text, bytes_cstr(wider->names[i]))) {
            return violate(decode, field, VIOLATES_NARROW_SET, 0, text, nest);
        }
    }
    return violate(decode, field, VIOLATES_SET, 0, text, nest);
}

/* A name, or the ARN of a table. */
static enum err constrain_name(struct decode *decode, const struct field *field, struct bytes name,
                               const struct nest *nest)
{
    bool control = field->form == FORM_CONTROL_NAME || field->form == FORM_CONTROL_START;
    bool pattern_first =
        field->form == FORM_TABLE_NAME_PATTERN || field->form == FORM_CONTROL_START;
    if (name.ptr == NULL) {
        if ((field->flags & FIELD_REQUIRED) == 0) {
            return OK;
        }
        return violate(decode, field, control ? VIOLATES_CONTROL_PRESENCE : VIOLATES_PRESENCE, 0,
                       BYTES_NONE, nest);
    }
    if (bytes_start_with(name, BYTES("arn:")) && name.len <= TABLE_ARN_MAX) {
        return OK;
    }
    bool fits = has_name_characters(name) && (name.len > 0 || !control);
    if (pattern_first && !fits) {
        TRY(violate(decode, field, VIOLATES_PATTERN, 0, name, nest));
    }
    if (name.len < TABLE_NAME_MIN || name.len > TABLE_NAME_MAX) {
        bool below = name.len < TABLE_NAME_MIN;
        int64_t least = name.len == 0 && !control ? 1 : TABLE_NAME_MIN;
        TRY(violate(decode, field, below ? VIOLATES_LENGTH_MIN : VIOLATES_LENGTH_MAX,
                    below ? least : TABLE_NAME_MAX, name, nest));
        if (field->form == FORM_TABLE_NAME) {
            return OK;
        }
    }
    if (!pattern_first && !fits) {
        return violate(decode, field, VIOLATES_PATTERN, 0, name, nest);
    }
    return OK;
}

static enum err constrain_number(struct decode *decode, const struct field *field, int64_t number,
                                 const struct nest *nest)
{
    bool bounded = field->min != 0 || (field->flags & FIELD_NATURAL) != 0;
    bool below = bounded && number < field->min;
    bool above = field->max != 0 && number > field->max;
    if (!below && !above) {
        return OK;
    }
    struct bytes shown = arena_printf(decode->call->arena, "%lld", (long long)number);
    return violate(decode, field, below ? VIOLATES_VALUE_MIN : VIOLATES_VALUE_MAX,
                   below ? field->min : field->max, shown, nest);
}

static enum err constrain_length(struct decode *decode, const struct field *field,
                                 struct bytes text, const struct nest *nest)
{
    if ((int64_t)text.len < field->min) {
        return violate(decode, field, VIOLATES_LENGTH_MIN, field->min, text, nest);
    }
    if (field->max != 0 && (int64_t)text.len > field->max) {
        return violate(decode, field, VIOLATES_LENGTH_MAX, field->max, text, nest);
    }
    return OK;
}

/* The length of a list. */
static enum err constrain_count(struct decode *decode, const struct field *field, void *base,
                                const struct nest *nest)
{
    size_t count = *(const size_t *)(const void *)((char *)base + field->count);
    if ((int64_t)count < field->min) {
        return violate(decode, field, VIOLATES_LENGTH_MIN, field->min, BYTES("[]"), nest);
    }
    if (field->max != 0 && (int64_t)count > field->max) {
        return violate(decode, field, VIOLATES_LENGTH_MAX, field->max,
                       echo_list(decode, field, base), nest);
    }
    return OK;
}

static enum err constrain_list(struct decode *decode, const struct field *field, void *base,
                               const struct nest *nest)
{
    struct violation **end = decode->violations_end;
    const struct nest place = {.parent = nest, .field = field};
    TRY(constrain_count(decode, field, base, nest));
    bool fits = end == decode->violations_end;
    return fits ? constrain_elements(decode, field, base, &place) : OK;
}

static enum err constrain_elements(struct decode *decode, const struct field *field, void *base,
                                   const struct nest *place)
{
    char *elements = *(char **)(void *)((char *)base + field->offset);
    size_t count = *(const size_t *)(const void *)((char *)base + field->count);
    struct nest below = *place;
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        below.element = i + 1;
        TRY(constrain_fields(decode, field->shape->fields, elements + i * field->shape->size,
                             &below));
    }
    return OK;
}

static enum err constrain_map(struct decode *decode, const struct field *field, void *base,
                              const struct nest *nest)
{
    char *entries = *(char **)(void *)((char *)base + field->offset);
    size_t count = *(const size_t *)(const void *)((char *)base + field->count);
    bool fits = true;
    if ((int64_t)count < field->min) {
        return violate(decode, field, VIOLATES_LENGTH_MIN, field->min, BYTES(""), nest);
    }
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        char *entry = entries + i * field->shape->size;
        const struct nest place = {
            .parent = nest, .field = field, .name = *(struct bytes *)(void *)entry};
        fits = fits && fits_table_name(place.name);
        TRY(constrain_entry(decode, field, base, entry, &place));
    }
    return fits
               ? OK
               : violate(decode, field, VIOLATES_MAP_NAMES, 0, echo_map(decode, field, base), nest);
}

/* An entry of the map that is in base. */
static enum err constrain_entry(struct decode *decode, const struct field *field, void *base,
                                void *entry, const struct nest *place)
{
    const struct field *value = field->shape->fields;
    if (value->type == FIELD_STRUCT) {
        return constrain_fields(decode, value->shape->fields, (char *)entry + value->offset, place);
    }
    ASSERT(value->type == FIELD_LIST);
    size_t count = *(const size_t *)(const void *)((char *)entry + value->count);
    bool given = *(void *const *)(const void *)((char *)entry + value->offset) != NULL;
    if ((int64_t)count > value->max || (given && (int64_t)count < value->min)) {
        return violate_as(decode, value, field, VIOLATES_MAP_VALUES, 0,
                          echo_map(decode, field, base), place->parent);
    }
    return constrain_elements(decode, value, entry, place);
}

/* A name of 3 to 255 characters, or the ARN of a table. */
static bool fits_table_name(struct bytes name)
{
    if (bytes_start_with(name, BYTES("arn:")) && name.len <= TABLE_ARN_MAX) {
        return true;
    }
    return name.len >= TABLE_NAME_MIN && name.len <= TABLE_NAME_MAX && has_name_characters(name);
}

static bool has_name_characters(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!isalnum(c) && c != '_' && c != '.' && c != '-') {
            return false;
        }
    }
    return true;
}

static enum err violate(struct decode *decode, const struct field *field, enum violation_kind kind,
                        int64_t bound, struct bytes value, const struct nest *nest)
{
    return violate_as(decode, field, field, kind, bound, value, nest);
}

/* A fault of one member told as of another. */
static enum err violate_as(struct decode *decode, const struct field *field,
                           const struct field *named, enum violation_kind kind, int64_t bound,
                           struct bytes value, const struct nest *nest)
{
    struct arena *arena = decode->call->arena;
    struct violation *violation = arena_alloc(arena, sizeof(*violation));
    struct bytes path = render_path(arena, nest, named, false);
    struct bytes wire_path = render_path(arena, nest, named, true);
    if (violation == NULL || path.ptr == NULL || wire_path.ptr == NULL) {
        return ERR_NOMEM;
    }
    /* An empty name is told before everything else, and alone; not in the control plane. */
    bool named_first = field->form != FORM_ANY || field->type == FIELD_MAP;
    bool control = field->form == FORM_CONTROL_NAME || field->form == FORM_CONTROL_START;
    bool empty_name =
        nest == NULL && kind == VIOLATES_LENGTH_MIN && value.len == 0 && named_first && !control;
    bool first = empty_name || kind == VIOLATES_CONTROL_PRESENCE;
    *violation = (struct violation){.field = field,
                                    .kind = kind,
                                    .stage = first ? 0 : field->stage,
                                    .bound = bound,
                                    .value = value,
                                    .path = path,
                                    .wire_path = wire_path,
                                    .unechoed = empty_name};
    *decode->violations_end = violation;
    decode->violations_end = &violation->next;
    return OK;
}

struct bytes decode_stray_text(const struct decode *decode, const void *place)
{
    const struct stray *stray = decode->strays;
    while (stray != NULL && stray->place != place) {
        stray = stray->next;
    }
    ASSERT(stray != NULL);
    return stray->text;
}

static struct bytes render_path(struct arena *arena, const struct nest *nest,
                                const struct field *field, bool wire)
{
    struct bytes above = BYTES("");
    if (nest != NULL) {
        above = render_path(arena, nest->parent, nest->field, wire);
        if (above.ptr != NULL && nest->name.ptr != NULL) {
            above =
                arena_printf(arena, "%.*s.%.*s.member", BYTES_FMT(above), BYTES_FMT(nest->name));
        }
        if (above.ptr != NULL && nest->element > 0) {
            above = arena_printf(arena, "%.*s.%zu.member", BYTES_FMT(above), nest->element);
        }
        if (above.ptr != NULL) {
            above = arena_printf(arena, "%.*s.", BYTES_FMT(above));
        }
    }
    return above.ptr == NULL ? above
                             : arena_printf(arena, "%.*s%c%s", BYTES_FMT(above),
                                            wire ? field->name.ptr[0] : tolower(field->name.ptr[0]),
                                            field->name.ptr + 1);
}

/* A required member is absent, or a number was brought into range: the whole request is told of in
 * the older order and words. A name that does not fit is not told beside what is absent. */
static void take_old_order(struct decode *decode)
{
    bool absent = false;
    for (const struct violation *v = decode->violations; v != NULL; v = v->next) {
        absent = absent || v->kind == VIOLATES_PRESENCE;
    }
    if (!absent && !decode->old_order) {
        return;
    }
    struct violation *all = decode->violations;
    decode->violations = NULL;
    decode->violations_end = &decode->violations;
    decode->old_words = true;
    for (const char *const *name = decode->call->op->old_order; *name != NULL; name++) {
        for (struct violation **link = &all; *link != NULL;) {
            struct violation *v = *link;
            bool untold = absent && v->field->form != FORM_ANY && v->kind != VIOLATES_PRESENCE;
            if (untold || !bytes_equal(v->field->name, bytes_cstr(*name))) {
                link = &v->next;
                continue;
            }
            *link = v->next;
            v->next = NULL;
            v->stage = 0;
            *decode->violations_end = v;
            decode->violations_end = &v->next;
        }
    }
}

static void render(struct buf *out, const struct violation *violation, bool old)
{
    const struct field *field = violation->field;
    bool unechoed = violation->unechoed || (!old && (field->flags & FIELD_NO_ECHO) != 0);
    if (violation->kind == VIOLATES_CONTROL_PRESENCE) {
        buf_printf(out, "The parameter '%s' is required but was not present in the request",
                   field->name.ptr);
        return;
    }
    if (violation->kind == VIOLATES_NARROW_SET) {
        buf_add_cstr(out, field->set->narrow);
        return;
    }
    if (violation->kind == VIOLATES_SET && field->set->bare != NULL && !old) {
        buf_add_cstr(out, field->set->bare);
        return;
    }
    if (violation->kind == VIOLATES_MAP_NAMES || violation->kind == VIOLATES_MAP_VALUES) {
        render_map(out, violation);
        return;
    }
    if (unechoed) {
        buf_printf(out, "Value at '%.*s'", BYTES_FMT(violation->wire_path));
    } else if ((field->flags & FIELD_NO_VALUE) != 0) {
        buf_printf(out, "Value at '%.*s'", BYTES_FMT(violation->path));
    } else if (violation->value.ptr == NULL) {
        buf_printf(out, "Value null at '%.*s'", BYTES_FMT(violation->path));
    } else {
        size_t len = violation->value.len;
        struct bytes echo =
            bytes_of(violation->value.ptr, len < ECHO_BYTES_MAX ? len : ECHO_BYTES_MAX);
        buf_printf(out, "Value '%.*s' at '%.*s'", BYTES_FMT(echo), BYTES_FMT(violation->path));
    }
    buf_add_cstr(out, " failed to satisfy constraint: Member must ");
    switch (violation->kind) {
    case VIOLATES_PRESENCE:
        buf_add_cstr(out, "not be null");
        break;
    case VIOLATES_LENGTH_MIN:
        buf_printf(out, "have length greater than or equal to %lld", (long long)violation->bound);
        break;
    case VIOLATES_LENGTH_MAX:
        buf_printf(out, "have length less than or equal to %lld", (long long)violation->bound);
        break;
    case VIOLATES_VALUE_MIN:
        buf_printf(out, "have value greater than or equal to %lld", (long long)violation->bound);
        break;
    case VIOLATES_VALUE_MAX:
        buf_printf(out, "have value less than or equal to %lld", (long long)violation->bound);
        break;
    case VIOLATES_PATTERN:
        buf_add_cstr(out, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
        break;
    case VIOLATES_SET:
        buf_printf(out, "satisfy enum value set: %s", field->set->text);
        break;
    case VIOLATES_NARROW_SET:
    case VIOLATES_CONTROL_PRESENCE:
    case VIOLATES_MAP_NAMES:
    case VIOLATES_MAP_VALUES:
        break;
    }
}

/* Of a map by the names of tables, as a whole. */
static void render_map(struct buf *out, const struct violation *violation)
{
    bool names = violation->kind == VIOLATES_MAP_NAMES;
    long long most = names ? TABLE_NAME_MAX : (long long)violation->field->max;
    long long least = names ? TABLE_NAME_MIN : (long long)violation->field->min;
    buf_printf(out,
               "Value '%.*s' at '%.*s' failed to satisfy constraint: Map %s must satisfy "
               "constraint: [Member must have length less than or equal to %lld, Member must have "
               "length greater than or equal to %lld%s]",
               BYTES_FMT(violation->value), BYTES_FMT(violation->path), names ? "keys" : "value",
               most, least,
               names ? ", Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+" : "");
}
