/* Where a broken promise ends the process. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr,
            "headwater: bug: %s does not hold at %s:%d. Start again: what was acknowledged is "
            "there; and report it with the lines above.\n",
            what, file, line);
    abort();
}
