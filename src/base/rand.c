#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include "base/buf.h"
#include "base/clock.h"

static void from_kernel(unsigned char *p, size_t n)
{
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

/* Short ones come out of a store of this thread, filled by one call to the kernel for dozens of
 * them; what was given is wiped there. A child process empties the store: two must never draw the
 * same. */
enum { STORE = 1024, SHORT = 64 };
static _Thread_local struct {
    unsigned char bytes[STORE];
    size_t left;
    unsigned generation;
} store;
static atomic_uint generation;

static void on_fork(void)
{
    atomic_fetch_add(&generation, 1);
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, on_fork) != 0)
        abort();
}

void rand_bytes(void *out, size_t n)
{
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    if (n == 0)
        return;
    if (n > SHORT) {
        from_kernel(out, n);
        return;
    }
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (store.left < n || store.generation != now) {
        pthread_once(&watched, watch_forks);
        from_kernel(store.bytes, STORE);
        store.left = STORE;
        store.generation = now;
    }
    store.left -= n;
    memcpy(out, store.bytes + store.left, n);
    mem_wipe(store.bytes + store.left, n);
}

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void id_new(char out[ID_LEN + 1])
{
    unsigned char b[16];
    uint64_t now_ms = (uint64_t)clock_now_ms();
    rand_bytes(b, sizeof b);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(now_ms >> (40 - 8 * i));
    /* 26 digits of 5 bits hold 130 bits: the first digit carries the top 3. */
    unsigned __int128 v = 0;
    for (size_t i = 0; i < sizeof b; i++)
        v = v << 8 | b[i];
    for (int i = ID_LEN - 1; i >= 0; i--) {
        out[i] = crockford[(unsigned)(v & 31)];
        v >>= 5;
    }
    out[ID_LEN] = '\0';
}

bool id_is_valid(struct str s)
{
    if (s.n != ID_LEN || s.p[0] > '7')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(crockford, s.p[i]))
            return false;
    return true;
}

int64_t id_time_ms(struct str s)
{
    int64_t ms = 0;
    if (!id_is_valid(s))
        return -1;
    for (size_t i = 0; i < 10; i++)
        ms = ms << 5 | (strchr(crockford, s.p[i]) - crockford);
    return ms;
}

void secret_new(char out[SECRET_LEN + 1])
{
    unsigned char raw[32];
    struct buf b;
    rand_bytes(raw, sizeof raw);
    buf_init(&b, 64);
    buf_add_base64url(&b, raw, sizeof raw);
    memcpy(out, b.p, SECRET_LEN);
    out[SECRET_LEN] = '\0';
    buf_wipe(&b);
    mem_wipe(raw, sizeof raw);
}
