/* What went wrong in the world: one enum from one table. A function that can fail returns only its
 * error; results leave through out-parameters, untouched on failure. */
#ifndef HW_BASE_ERR_H
#define HW_BASE_ERR_H

enum err {
#define ERR(name, number, text) name = (number),
#include "base/err.def"
#undef ERR
};

#define MUST_USE __attribute__((warn_unused_result))

/* Passes an error up, from a function that owns nothing. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum err try_err_ = (call);                                                                \
        if (try_err_ != OK) {                                                                      \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)

/* Lets an error go on purpose; a comment beside it says why. */
#define IGNORE(call)                                                                               \
    do {                                                                                           \
        enum err ignored_ = (call);                                                                \
        (void)ignored_;                                                                            \
    } while (0)

/* The text of the table, static. */
const char *err_text(enum err err);

#endif
