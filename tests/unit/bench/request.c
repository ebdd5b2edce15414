/* lib/request and lib/sign: every request is signed as AWS's own Python client signs it, and only
 * what should change from one to the next does. */
#include "lib/request.h"

#include "check.h"

#define NOON_MS 1440938160000u /* 2015-08-30T12:36:00Z */

static const struct request_target target = {BYTES_INIT("127.0.0.1:8000"), BYTES_INIT("bench"), 100,
                                             50};

static bool holds(struct bytes text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void signatures_are_those_of_botocore(void)
{
    struct signer signer;
    struct prng prng;
    struct request request = {0};
    prng_init(&prng, 1);
    signer_init(&signer, BYTES("AKIDEXAMPLE"), BYTES("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                BYTES("us-east-1"), BYTES("dynamodb"));
    CHECK(signer_set_time(&signer, NOON_MS));
    CHECK(!signer_set_time(&signer, NOON_MS + 999));
    request_build(&request, REQUEST_GET, &target, &signer);
    struct bytes text = request_fill(&request, &target, &signer, &prng, 7);
    CHECK(holds(text, "X-Amz-Date: 20150830T123600Z\r\n"));
    CHECK(holds(text, "Credential=AKIDEXAMPLE/20150830/us-east-1/dynamodb/aws4_request, "));
    CHECK(holds(text, "Signature=d3c8a4c39b4f1674f8e4492c54d9af3a"
                      "c99b817dc6802ca893788cd8a502e041\r\n"));
    request_fini(&request);
}

static void a_key_longer_than_a_block_is_hashed_first(void)
{
    struct signer signer;
    struct prng prng;
    struct request request = {0};
    prng_init(&prng, 1);
    signer_init(
        &signer, BYTES("AKIDEXAMPLE"),
        BYTES("ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"
              "ssssssssss"),
        BYTES("eu-central-1"), BYTES("dynamodb"));
    CHECK(signer_set_time(&signer, NOON_MS));
    request_build(&request, REQUEST_GET, &target, &signer);
    struct bytes text = request_fill(&request, &target, &signer, &prng, 7);
    CHECK(holds(text, "Signature=04c4a7ae3fa7d678d3aed75556eb3b57"
                      "97b867443060b88833b0d91dc686ab1b\r\n"));
    request_fini(&request);
}

static void each_second_and_each_day_sign_anew(void)
{
    struct signer signer;
    struct prng prng;
    struct request request = {0};
    prng_init(&prng, 1);
    signer_init(&signer, BYTES("AKIDEXAMPLE"), BYTES("secret"), BYTES("us-east-1"),
                BYTES("dynamodb"));
    CHECK(signer_set_time(&signer, NOON_MS));
    request_build(&request, REQUEST_GET, &target, &signer);
    char first[SIGN_HEX_LEN];
    memcpy(first, request_fill(&request, &target, &signer, &prng, 7).ptr + request.signature_at,
           SIGN_HEX_LEN);
    CHECK(signer_set_time(&signer, NOON_MS + 86400000u));
    request_build(&request, REQUEST_GET, &target, &signer);
    struct bytes text = request_fill(&request, &target, &signer, &prng, 7);
    CHECK(holds(text, "X-Amz-Date: 20150831T123600Z\r\n"));
    CHECK(memcmp(first, text.ptr + request.signature_at, SIGN_HEX_LEN) != 0);
    request_fini(&request);
}

static void values_are_fresh_and_lengths_do_not_move(void)
{
    struct signer signer;
    struct prng prng;
    prng_init(&prng, 1);
    signer_init(&signer, BYTES("AKIDEXAMPLE"), BYTES("secret"), BYTES("us-east-1"),
                BYTES("dynamodb"));
    CHECK(signer_set_time(&signer, NOON_MS));
    for (size_t kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        struct request request = {0};
        request_build(&request, (enum request_kind)kind, &target, &signer);
        struct bytes text = request_fill(&request, &target, &signer, &prng, 42);
        struct buf before;
        buf_init(&before, 65536);
        buf_add(&before, text);
        char length[64];
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n{",
                 text.len - request.body_at);
        CHECK(holds(text, length));
        CHECK(holds(text, "0000000042"));
        text = request_fill(&request, &target, &signer, &prng, 42);
        CHECK(text.len == before.len);
        bool has_value = kind != REQUEST_GET && kind != REQUEST_DELETE;
        CHECK(bytes_equal(text, buf_bytes(&before)) == !has_value);
        buf_fini(&before);
        request_fini(&request);
    }
}

/* TransactWriteItems refuses two actions on one item. */
static void a_transaction_names_two_items(void)
{
    struct signer signer;
    struct prng prng;
    struct request request = {0};
    const struct request_target small = {target.host, target.table, 10, 2};
    prng_init(&prng, 9);
    signer_init(&signer, BYTES("AKIDEXAMPLE"), BYTES("secret"), BYTES("us-east-1"),
                BYTES("dynamodb"));
    CHECK(signer_set_time(&signer, NOON_MS));
    request_build(&request, REQUEST_TRANSACT, &small, &signer);
    for (uint64_t i = 0; i < 20; i++) {
        struct bytes text = request_fill(&request, &small, &signer, &prng, i % 2);
        CHECK(holds(text, "\"0000000000\"") && holds(text, "\"0000000001\""));
    }
    request_fini(&request);
}

static void text_needs_no_escapes_and_fills_its_room(void)
{
    struct prng prng;
    char text[1001] = {0};
    unsigned seen[8] = {0}; /* at each place of the words it is made of */
    prng_init(&prng, 3);
    prng_text(&prng, text, 999);
    for (size_t i = 0; i < 999; i++) {
        CHECK(text[i] >= '_' && text[i] <= '~');
        seen[i % 8] |= 1u << (text[i] - '_');
    }
    for (size_t i = 0; i < 8; i++) {
        CHECK(__builtin_popcount(seen[i]) >= 25);
    }
    CHECK(text[999] == 0);
}

int main(void)
{
    RUN(signatures_are_those_of_botocore);
    RUN(a_key_longer_than_a_block_is_hashed_first);
    RUN(each_second_and_each_day_sign_anew);
    RUN(values_are_fresh_and_lengths_do_not_move);
    RUN(a_transaction_names_two_items);
    RUN(text_needs_no_escapes_and_fills_its_room);
    return CHECK_RESULT();
}
