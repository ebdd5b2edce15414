/* The files, found by path. web_files.inc is made from src/web/static by the build. */
#include "web/web.h"

#include "web_files.inc"

const char web_security_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src "
    "'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n";

const struct web_file *web_find(struct bytes path)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (bytes_equal(path, bytes_cstr(files[i].path))) {
            return &files[i];
        }
    }
    return NULL;
}
