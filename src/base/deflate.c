/* gzip and zlib by libdeflate, which works on whole buffers and tells when the room it was given is
 * too small: so what is unpacked is bounded while it is being written, not after. */
#include "base/deflate.h"

#include "base/mem.h"
#include "base/owner.h"

#include <libdeflate.h>

#define LEVEL 1
#define FIRST_ROOM ((size_t)16384)
#define FIRST_RATIO ((size_t)4)

struct deflate {
    struct owner owner;
    struct libdeflate_compressor *packer;     /* made when first needed */
    struct libdeflate_decompressor *unpacker; /* the same */
};

static enum err unpack_member(struct deflate *deflate, enum deflate_form form, struct bytes data,
                              size_t *taken, struct buf *out);

struct deflate *deflate_new(void)
{
    return mem_zalloc(1, sizeof(struct deflate));
}

void deflate_free(struct deflate *deflate)
{
    if (deflate != NULL) {
        libdeflate_free_compressor(deflate->packer);
        libdeflate_free_decompressor(deflate->unpacker);
        mem_free(deflate);
    }
}

enum err deflate_pack(struct deflate *deflate, enum deflate_form form, struct bytes data,
                      struct buf *out)
{
    ASSERT_OWNER(&deflate->owner);
    if (deflate->packer == NULL) {
        deflate->packer = libdeflate_alloc_compressor(LEVEL);
    }
    if (deflate->packer == NULL) {
        return ERR_NOMEM;
    }
    bool gzip = form == DEFLATE_GZIP;
    size_t most = gzip ? libdeflate_gzip_compress_bound(deflate->packer, data.len)
                       : libdeflate_zlib_compress_bound(deflate->packer, data.len);
    uint8_t *room = buf_room(out, most);
    if (room == NULL) {
        return ERR_RANGE;
    }
    out->len += gzip ? libdeflate_gzip_compress(deflate->packer, data.ptr, data.len, room, most)
                     : libdeflate_zlib_compress(deflate->packer, data.ptr, data.len, room, most);
    return OK;
}

enum err deflate_unpack(struct deflate *deflate, enum deflate_form form, struct bytes data,
                        struct buf *out)
{
    ASSERT_OWNER(&deflate->owner);
    if (deflate->unpacker == NULL) {
        deflate->unpacker = libdeflate_alloc_decompressor();
    }
    if (deflate->unpacker == NULL) {
        return ERR_NOMEM;
    }
    do {
        size_t taken = 0;
        TRY(unpack_member(deflate, form, data, &taken, out));
        data = bytes_of(data.ptr + taken, data.len - taken);
    } while (data.len > 0 && form == DEFLATE_GZIP);
    return data.len == 0 ? OK : ERR_INVALID;
}

/* The length is not known before: it is tried with more room until it fits or there is no more. */
static enum err unpack_member(struct deflate *deflate, enum deflate_form form, struct bytes data,
                              size_t *taken, struct buf *out)
{
    size_t left = out->max - out->len;
    size_t room = data.len > left / FIRST_RATIO ? left : data.len * FIRST_RATIO + FIRST_ROOM;
    for (;;) {
        room = room > left ? left : room;
        size_t written = 0;
        uint8_t *place = buf_room(out, room);
        if (place == NULL) {
            return room == 0 ? ERR_RANGE : ERR_NOMEM;
        }
        enum libdeflate_result result =
            form == DEFLATE_GZIP
                ? libdeflate_gzip_decompress_ex(deflate->unpacker, data.ptr, data.len, place, room,
                                                taken, &written)
                : libdeflate_zlib_decompress_ex(deflate->unpacker, data.ptr, data.len, place, room,
                                                taken, &written);
        if (result == LIBDEFLATE_SUCCESS) {
            out->len += written;
            return OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
            return ERR_INVALID;
        }
        if (room == left) {
            return ERR_RANGE;
        }
        room *= 4;
    }
}
