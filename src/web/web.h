/* The built-in pages: static files, compiled in from src/web/static by cmake/web.cmake. */
#ifndef HW_WEB_WEB_H
#define HW_WEB_WEB_H

#include "base/bytes.h"

struct web_file {
    const char *path; /* "/index.html" */
    const char *type; /* Content-Type */
    struct bytes body;
};

/* NULL: there is no such file. */
const struct web_file *web_find(struct bytes path);

/* Complete header lines that go with every page: a strict content security policy and its
 * companions. */
extern const char web_security_headers[];

#endif
