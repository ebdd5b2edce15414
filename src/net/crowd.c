/* What all connections may hold together: places, in all and by peer; bodies that nobody has
 * vouched for yet; answers that nobody takes. Each has a bound, and past it the slowest peer
 * pays, not the newest: else a few that hold on would shut everyone else out (net I4). */
#include "net/net_priv.h"

#include "base/hash.h"
#include "sys/random.h"

#define PEER_SLOTS 16384u /* a row of counters */
#define GRACE_MS 1000u    /* nobody is slow before */
#define GOOD_RATE 16u     /* bytes a ms: nobody is slow who takes that */
#define TAKEN_SHARE 4u    /* of all that was given, one part: it takes answers */

static _Atomic uint64_t connections_open; /* of all loops, as everything here */
static _Atomic uint64_t body_bytes;

/* Connections by peer, without a lock or a list: an address counts in one slot of each row, and the
 * smaller of the two is never less than its own count. More only where both are shared, which
 * strangers cannot arrange, as the hash has a secret. */
static _Atomic uint32_t peer_counts[2][PEER_SLOTS];
static _Atomic uint64_t peer_secret;

static uint64_t count_peer(struct connection *connection, const struct sockaddr *address);
static struct connection *slowest_body(const struct connection *but);
static struct connection *slowest_reader(const struct loop *loop);

/* ---- places ---- */

enum crowd_place crowd_enter(struct connection *connection, const struct sockaddr *address)
{
    const struct http_limits *limits = &connection->loop->limits;
    uint64_t open = atomic_fetch_add_explicit(&connections_open, 1, memory_order_relaxed);
    uint64_t same = address == NULL ? 0 : count_peer(connection, address);
    uint64_t most = limits->connections_max;
    uint64_t peer_most = limits->peer_connections_max;
    if (open < most && same < peer_most) {
        return CROWD_SERVED;
    }
    figure_add(&connection->loop->connections_refused, 1);
    uint64_t lingerers = most < HTTP_LINGERERS_MAX ? most : HTTP_LINGERERS_MAX;
    return open < most + lingerers && same < peer_most + lingerers ? CROWD_REFUSED : CROWD_DROPPED;
}

void crowd_leave(struct connection *connection)
{
    atomic_fetch_sub_explicit(&connections_open, 1, memory_order_relaxed);
    for (unsigned row = 0; connection->peer_is_counted && row < 2; row++) {
        atomic_fetch_sub_explicit(&peer_counts[row][connection->peer_slots[row]], 1,
                                  memory_order_relaxed);
    }
}

/* The part of an address that one peer has: of IPv6 the network, since a host has all of it. */
static struct bytes peer_part(const struct sockaddr *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (address->sa_family != AF_INET6) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return bytes_of(&v4->sin_addr, 4);
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    bool is_v4 = memcmp(&v6->sin6_addr, mapped, sizeof(mapped)) == 0;
    return is_v4 ? bytes_of((const uint8_t *)&v6->sin6_addr + sizeof(mapped), 4)
                 : bytes_of(&v6->sin6_addr, 8);
}

static uint64_t secret(void)
{
    uint64_t known = atomic_load_explicit(&peer_secret, memory_order_relaxed);
    if (known != 0) {
        return known;
    }
    uint64_t fresh = random_u64() | 1;
    return atomic_compare_exchange_strong(&peer_secret, &known, fresh) ? fresh : known;
}

/* Returns how many connections of this peer there were before. */
static uint64_t count_peer(struct connection *connection, const struct sockaddr *address)
{
    uint8_t key[16];
    struct bytes part = peer_part(address);
    uint64_t salt = secret();
    memcpy(key, &salt, sizeof(salt));
    memcpy(key + sizeof(salt), part.ptr, part.len);
    uint64_t hash = hash_key(bytes_of(key, sizeof(salt) + part.len));
    uint64_t least = UINT64_MAX;
    for (unsigned row = 0; row < 2; row++) {
        connection->peer_slots[row] = (uint16_t)((hash >> 32 * row) % PEER_SLOTS);
        uint64_t count = atomic_fetch_add_explicit(&peer_counts[row][connection->peer_slots[row]],
                                                   1, memory_order_relaxed);
        least = count < least ? count : least;
    }
    connection->peer_is_counted = true;
    return least;
}

/* ---- bodies ---- */

bool crowd_body_reserve(struct connection *connection, size_t len)
{
    uint64_t sum = atomic_fetch_add_explicit(&body_bytes, len, memory_order_relaxed) + len;
    connection->counted += len;
    while (sum > connection->loop->limits.unauthenticated_bytes_max) {
        struct connection *slow = slowest_body(connection);
        if (slow == NULL) {
            return false;
        }
        http_refuse(slow, 408);
        sum = atomic_load_explicit(&body_bytes, memory_order_relaxed);
    }
    return true;
}

void crowd_body_release(struct connection *connection)
{
    if (connection->counted > 0) {
        atomic_fetch_sub_explicit(&body_bytes, connection->counted, memory_order_relaxed);
        connection->counted = 0;
    }
}

bool crowd_bodies_are_many(const struct loop *loop)
{
    return atomic_load_explicit(&body_bytes, memory_order_relaxed) >
           loop->limits.unauthenticated_bytes_max / 2;
}

/* Of this loop, the one that has been at it longest. */
static struct connection *slowest_body(const struct connection *but)
{
    uint64_t now_ms = uv_now(&but->loop->uv);
    struct connection *found = NULL;
    for (struct connection *at = but->loop->connections; at != NULL; at = at->next) {
        if (at != but && at->state == CONNECTION_BODY && at->counted > 0 &&
            now_ms - at->since_ms >= GRACE_MS &&
            (found == NULL || at->since_ms < found->since_ms)) {
            found = at;
        }
    }
    return found;
}

/* ---- answers ---- */

void crowd_count_unsent(struct connection *connection)
{
    size_t unsent = connection->closed ? 0 : connection->out.len + connection->writing_len;
    if (unsent != connection->unsent) {
        figure_add(&connection->loop->unsent, (uint64_t)unsent - connection->unsent);
        connection->unsent = unsent;
    }
}

bool crowd_has_room(const struct loop *loop, unsigned times)
{
    return atomic_load_explicit(&loop->unsent, memory_order_relaxed) <=
           times * loop->limits.unsent_bytes_max;
}

void crowd_relieve(struct loop *loop, unsigned times)
{
    while (!crowd_has_room(loop, times)) {
        struct connection *slowest = slowest_reader(loop);
        if (!connection_offer(slowest)) { /* it may be one who takes it all */
            figure_add(&loop->slow_closed, 1);
            connection_close(slowest); /* which counts it out */
        }
    }
}

/* Has it more of its answers left than another that is as new? Who takes answers comes last. */
static bool has_more_to_take(const struct connection *left, const struct connection *right)
{
    return right == NULL ||
           (left->takes_answers == right->takes_answers ? left->unsent > right->unsent
                                                        : right->takes_answers);
}

/* Bytes a ms of the write under way; UINT64_MAX: nobody can say yet. */
static uint64_t rate_of(const struct connection *connection)
{
    uint64_t age_ms = uv_now(&connection->loop->uv) - connection->writing_since_ms;
    bool known = connection->writing != NULL && age_ms >= GRACE_MS;
    return known ? (connection->taken - connection->taken_before) / age_ms : UINT64_MAX;
}

/* Whose answer has gone out slowest; the one that has most to take when all are new, or when the
 * slowest is not slow and others have taken nothing. There is one, since somebody has answers
 * unsent. */
static struct connection *find_slowest(const struct loop *loop)
{
    struct connection *slowest = NULL;
    struct connection *largest = NULL;
    uint64_t slowest_rate = UINT64_MAX;
    for (struct connection *at = loop->connections; at != NULL; at = at->next) {
        if (at->unsent == 0) {
            continue;
        }
        if (has_more_to_take(at, largest)) {
            largest = at;
        }
        uint64_t rate = rate_of(at);
        if (rate < slowest_rate) {
            slowest_rate = rate;
            slowest = at;
        }
    }
    bool spared = slowest_rate >= GOOD_RATE && largest != NULL && !largest->takes_answers;
    return slowest != NULL && !spared ? slowest : largest;
}

/* Learns what the peer has taken by now. Was it more than when it was last looked at? */
static bool look_again(struct connection *connection)
{
    size_t taken = connection_taken(connection);
    bool more = taken > connection->taken;
    connection->taken = taken;
    connection->takes_answers = taken * TAKEN_SHARE >= connection->given + connection->out.len;
    return more;
}

/* What a peer has taken is known from the last sweep: the one that was found is looked at again,
 * and the next one is found when it has taken more since. */
static struct connection *slowest_reader(const struct loop *loop)
{
    struct connection *found = find_slowest(loop);
    while (look_again(found)) {
        found = find_slowest(loop);
    }
    return found;
}
