/* The texts of the error table. */
#include "base/err.h"

const char *err_text(enum err err)
{
    switch (err) {
#define ERR(name, number, text)                                                                    \
    case name:                                                                                     \
        return text;
#include "base/err.def"
#undef ERR
    }
    return "unknown error";
}
