/* What must be carried from one page to the next lies sealed in the page itself: no row is written
 * for somebody who has proved nothing. What may be used once is noted when it is used. */
#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "platform/throttle.h"

static void own_key(const struct ctx *c, const char *use, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(str_of(c->pf->cookie_secret, sizeof c->pf->cookie_secret), STR("socle/accounts/1"),
                str_from(use), key, SEAL_KEY_LEN);
}

struct str ticket_make(struct ctx *c, const char *use, const json_t *v, int64_t life_ms)
{
    uint8_t key[SEAL_KEY_LEN];
    json_t *copy = json_copy((json_t *)v);
    json_object_set_new(copy, "until", json_integer(clock_now_ms() + life_ms));
    own_key(c, "ticket", key);
    struct str sealed = seal(c->arena, key, str_from(use), json_text(c->arena, copy));
    json_decref(copy);
    mem_wipe(key, sizeof key);
    return codec_to_base64url(c->arena, sealed.p, sealed.n);
}

enum err ticket_open(struct ctx *c, const char *use, struct str ticket, json_t **v)
{
    enum { TICKET_MAX = 8 * 1024 };
    uint8_t key[SEAL_KEY_LEN];
    struct str sealed, plain;
    if (!ticket.n || ticket.n > TICKET_MAX)
        return ERR_INVALID;
    enum err e = codec_base64url(c->arena, ticket, &sealed);
    own_key(c, "ticket", key);
    if (e == ERR_OK)
        e = unseal(c->arena, key, str_from(use), sealed, &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, v, NULL);
    if (e != ERR_OK)
        return ERR_INVALID;
    json_own(&c->pool, *v);
    return json_get_i64(*v, "until", 0) > clock_now_ms() ? ERR_OK : ERR_TIMEOUT;
}

struct str secret_digest(struct ctx *c, const char *use, struct str secret)
{
    uint8_t key[SEAL_KEY_LEN], mac[SHA256_LEN];
    own_key(c, use, key);
    hmac_sha256(str_of(key, sizeof key), secret, mac);
    mem_wipe(key, sizeof key);
    return codec_to_hex(c->arena, mac, sizeof mac);
}

/* ---- once ---------------------------------------------------------------------------------------
 */
struct used {
    struct str id;
    int64_t until_ms;
};

static enum err used_write(struct db_conn *db, void *arg)
{
    struct used *u = arg;
    return db_exec(db, "INSERT INTO own_used(id, until_at) VALUES($1, $2)", "si", u->id,
                   u->until_ms);
}

enum err used_once(struct ctx *c, const char *use, struct str name, int64_t life_ms)
{
    struct used u = {secret_digest(c, use, name), clock_now_ms() + life_ms};
    return db_write(c->pf->db, used_write, &u);
}

/* ---- tries --------------------------------------------------------------------------------------
 */
/* One network address: a whole school may have one, so it slows down late and is soon free. */
static const struct throttle_rule address_rule = {"own-accounts", 100, 20};

enum err tries_address(struct ctx *c)
{
    struct str address = throttle_address(c);
    c->retry_after_s = address.n ? throttle_take(&address_rule, address) : 0;
    return c->retry_after_s ? ctx_fail(c, &accounts_f_tries, ERR_LIMIT, STR_NONE) : ERR_OK;
}

void tries_address_good(struct ctx *c)
{
    struct str address = throttle_address(c);
    if (address.n)
        throttle_give(&address_rule, address);
}

enum err tries_take(struct ctx *c, const char *what, struct str whose)
{
    enum err e = throttle_try(c, what, whose);
    return e == ERR_LIMIT ? ctx_fail(c, &accounts_f_tries, e, STR_NONE) : e;
}

/* ---- secrets that people type -------------------------------------------------------------------
 */
static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's */

struct str secret_words(struct ctx *c, size_t n)
{
    uint8_t random[64];
    char *out = arena_alloc(c->arena, n + n / 4 + 1);
    size_t at = 0;
    rand_bytes(random, sizeof random);
    for (size_t i = 0; i < n && i < sizeof random; i++) {
        if (i && i % 4 == 0)
            out[at++] = '-';
        out[at++] = ALPHABET[random[i] & 31];
    }
    return str_of(out, at);
}

struct str secret_typed(struct ctx *c, struct str s)
{
    enum { TYPED_MAX = 100 };
    char *out = arena_alloc(c->arena, TYPED_MAX + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < TYPED_MAX; i++) {
        char x = s.p[i];
        if (x == ' ' || x == '-' || x == '\t')
            continue;
        if (x >= 'a' && x <= 'z')
            x = (char)(x - 32);
        out[n++] = x;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == 'O' ? '0' : out[i] == 'I' || out[i] == 'L' ? '1' : out[i];
    return str_of(out, n);
}
