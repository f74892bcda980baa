#include "core/identity/keyset.h"

#include "crypto/digest.h"
#include "platform/cache.h"

enum { SETS_MAX = 256, LIFE_MS = 3600 * 1000 };

static void set_free(void *v)
{
    jwks_free(v);
}

static void set_take(void *v, void *arg)
{
    *(struct jwks **)arg = jwks_share(v);
}

/* Named by what it was read from: another text is another set, so none is ever out of date. */
static struct cache sets = CACHE(SETS_MAX, LIFE_MS, set_free);

enum err keyset_read(struct str json, struct jwks **out)
{
    uint8_t hash[SHA256_LEN];
    struct str name = str_of(hash, sizeof hash);
    sha256(json.p, json.n, hash);
    if (cache_get(&sets, name, set_take, out))
        return ERR_OK;
    uint64_t mark = cache_mark(&sets);
    enum err e = jwks_read(json, out);
    if (e == ERR_OK)
        cache_put(&sets, name, mark, jwks_share(*out));
    return e;
}
