/* Checksums and hashes, each by its published definition, since all of them reach disk or wire
 * (base I7). */
#ifndef HW_BASE_HASH_H
#define HW_BASE_HASH_H

#include "base/bytes.h"

/* CRC-32C (Castagnoli), as iSCSI defines it; chain by passing the previous result as seed, 0 first.
 */
uint32_t hash_crc32c(uint32_t seed, struct bytes data);
/* CRC-32 of zlib and of x-amz-crc32. */
uint32_t hash_crc32(struct bytes data);
/* XXH3 64 bits, seed 0. Stored: the hash of a partition key never changes its definition. */
uint64_t hash_key(struct bytes data);
/* Java's String.hashCode of UTF-8 text, spread as HashMap does: where DynamoDB lists a set of
 * names, their order is that of such a map's buckets. */
uint32_t hash_java(struct bytes text);

#endif
