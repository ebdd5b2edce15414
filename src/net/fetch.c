/* libcurl's easy interface. */
#include "net/fetch.h"

#include "base/mem.h"

#include <curl/curl.h>
#include <stdio.h>

#define TIMEOUT_MS 30000L

struct fetch {
    CURL *curl;
};

struct fetch *fetch_open(const char *authorities)
{
    struct fetch *fetch = mem_zalloc(1, sizeof(*fetch));
    fetch->curl = curl_easy_init();
    if (fetch->curl == NULL) {
        mem_free(fetch);
        return NULL;
    }
    if (authorities != NULL && authorities[0] != 0) {
        curl_easy_setopt(fetch->curl, CURLOPT_CAINFO, authorities);
    }
    return fetch;
}

void fetch_close(struct fetch *fetch)
{
    if (fetch != NULL) {
        curl_easy_cleanup(fetch->curl);
        mem_free(fetch);
    }
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct buf *out = arg;
    buf_add(out, bytes_of(data, size * count));
    return out->failed ? 0 : size * count;
}

enum err fetch_post(struct fetch *fetch, const char *url, struct bytes headers, struct bytes body,
                    unsigned *status, struct buf *out, char *why, size_t room)
{
    struct curl_slist *list = NULL;
    long code = 0;
    buf_clear(out);
    while (headers.len > 0) {
        char line[2048];
        const uint8_t *end = memchr(headers.ptr, '\r', headers.len);
        size_t len = end == NULL ? headers.len : (size_t)(end - headers.ptr);
        snprintf(line, sizeof(line), "%.*s", (int)len, (const char *)headers.ptr);
        list = curl_slist_append(list, line);
        size_t taken = len + 2 > headers.len ? headers.len : len + 2;
        headers = bytes_of(headers.ptr + taken, headers.len - taken);
    }
    list = curl_slist_append(list, "Expect:");
    curl_easy_setopt(fetch->curl, CURLOPT_URL, url);
    curl_easy_setopt(fetch->curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(fetch->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(fetch->curl, CURLOPT_POSTFIELDS, body.ptr);
    curl_easy_setopt(fetch->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(fetch->curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(fetch->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(fetch->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(fetch->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    CURLcode done = curl_easy_perform(fetch->curl);
    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(list);
    if (done != CURLE_OK) {
        snprintf(why, room, "%s", curl_easy_strerror(done));
        return ERR_IO;
    }
    *status = (unsigned)code;
    return OK;
}
