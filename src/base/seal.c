/* Sealed bytes: see seal.h. */
#include "base/seal.h"

#include <openssl/evp.h>

#define PLAIN_MAX (1u << 30) /* OpenSSL counts in int */

enum err seal(const uint8_t key[SEAL_KEY_LEN], const uint8_t nonce[SEAL_NONCE_LEN],
              struct bytes label, struct bytes plain, struct buf *out)
{
    if (plain.len > PLAIN_MAX || label.len > PLAIN_MAX) {
        return ERR_RANGE;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    buf_add(out, bytes_of(nonce, SEAL_NONCE_LEN));
    uint8_t *room = buf_room(out, plain.len + SEAL_TAG_LEN);
    int len = 0;
    int end = 0;
    bool sealed =
        context != NULL && room != NULL &&
        EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(context, NULL, &len, label.ptr, (int)label.len) == 1 &&
        EVP_EncryptUpdate(context, room, &len, plain.ptr, (int)plain.len) == 1 &&
        EVP_EncryptFinal_ex(context, room + len, &end) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_LEN, room + plain.len) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!sealed) {
        return room == NULL ? ERR_RANGE : ERR_NOMEM;
    }
    out->len += plain.len + SEAL_TAG_LEN;
    return OK;
}

enum err seal_open(const uint8_t key[SEAL_KEY_LEN], struct bytes label, struct bytes sealed,
                   struct arena *arena, struct bytes *plain)
{
    uint8_t tag[SEAL_TAG_LEN];
    if (sealed.len < SEAL_NONCE_LEN + SEAL_TAG_LEN || sealed.len > PLAIN_MAX ||
        label.len > PLAIN_MAX) {
        return ERR_DAMAGED;
    }
    size_t plain_len = sealed.len - SEAL_NONCE_LEN - SEAL_TAG_LEN;
    uint8_t *room = arena_alloc(arena, plain_len + 1);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (room == NULL || context == NULL) {
        EVP_CIPHER_CTX_free(context);
        return ERR_NOMEM;
    }
    memcpy(tag, sealed.ptr + sealed.len - SEAL_TAG_LEN, SEAL_TAG_LEN);
    int len = 0;
    int end = 0;
    bool opened =
        EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, sealed.ptr) == 1 &&
        EVP_DecryptUpdate(context, NULL, &len, label.ptr, (int)label.len) == 1 &&
        EVP_DecryptUpdate(context, room, &len, sealed.ptr + SEAL_NONCE_LEN, (int)plain_len) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_LEN, tag) == 1 &&
        EVP_DecryptFinal_ex(context, room + len, &end) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!opened) {
        return ERR_DAMAGED;
    }
    *plain = bytes_of(room, plain_len);
    return OK;
}
