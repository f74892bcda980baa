/* Identity providers: registered ones, their metadata and keys. What was read of them is kept in
 * the database, so that no page waits for them and all processes and nodes share it. */
#include "core/identity/provider.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/identity/identity.h"
#include "core/identity/keyset.h"
#include "platform/cache.h"
#include "platform/change.h"
#include "web/client.h"

enum {
    PROVIDERS_MAX = 100,
    META_MAX = 256 * 1024,
    KEYS_AGAIN_MS = 5000,
    LOOK_MS = 3000,
    AGAIN_MS = 1000
};

static bool inside_allowed(const struct platform *pf)
{
    return pf->settings->allow_inside || pf->settings->demo;
}

/* ---- reading rows -------------------------------------------------------------------------------
 */
#define PROVIDER_COLUMNS                                                                           \
    "p.id, p.realm, p.name_fr, p.name_en, p.hint_fr, p.hint_en, p.issuer, p.client_id, "           \
    "p.secret, p.conf, p.min_acr, COALESCE(s.up, 1), COALESCE(s.meta, ''), "                       \
    "COALESCE(s.jwks, ''), COALESCE(s.checked_at, 0), p.state FROM identity_provider p LEFT JOIN " \
    "provider_state s "                                                                            \
    "ON s.provider = p.id "

static json_t *object_or_none(struct ctx *c, struct str text)
{
    json_t *v = NULL;
    if (text.n == 0 || json_read(text, &v, NULL) != ERR_OK)
        v = json_object();
    return json_own(&c->pool, v);
}

static void provider_fill(struct ctx *c, const struct db_result *r, size_t i, struct provider *p)
{
    *p = (struct provider){.id = db_str(r, i, 0),
                           .realm = db_str(r, i, 1),
                           .name_fr = db_str(r, i, 2),
                           .name_en = db_str(r, i, 3),
                           .hint_fr = db_str(r, i, 4),
                           .hint_en = db_str(r, i, 5),
                           .issuer = db_str(r, i, 6),
                           .client_id = db_str(r, i, 7),
                           .up = db_i64(r, i, 11) != 0,
                           .jwks = db_str(r, i, 13),
                           .checked_ms = db_i64(r, i, 14),
                           .state = db_str(r, i, 15),
                           .min_level = level_from_name(db_str(r, i, 10))};
    p->conf = object_or_none(c, db_str(r, i, 9));
    p->meta = object_or_none(c, db_str(r, i, 12));
}

enum err provider_list(struct ctx *c, struct str realm, struct provider **out, size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *n = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT " PROVIDER_COLUMNS
                          "WHERE p.state = 'active' AND p.realm = $1 ORDER BY p.position, p.id "
                          "LIMIT 100",
                          "s", realm);
    if (e != ERR_OK)
        return e;
    *out = arena_array(c->arena, struct provider, r.n_rows + 1);
    for (; *n < r.n_rows; (*n)++)
        provider_fill(c, &r, *n, &(*out)[*n]);
    return ERR_OK;
}

static enum err provider_read(struct ctx *c, struct str id, bool any, struct provider *p)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r,
                     "SELECT " PROVIDER_COLUMNS "WHERE p.id = $1 AND (p.state = 'active' OR $2 = "
                     "'any')",
                     "sz", id, any ? "any" : "");
    if (e != ERR_OK)
        return e;
    provider_fill(c, &r, 0, p);
    struct str wrapped = db_str(&r, 0, 8);
    struct str context = arena_printf(c->arena, "provider:" STR_FMT, STR_ARG(id));
    return wrapped.n ? keys_unwrap(c->pf->keys, "subject", context, wrapped, c->arena, &p->secret)
                     : ERR_OK;
}

/* ---- kept for a second, in which `jobs` or another node may see it go down or change ------------
 */
enum { KEPT_MAX = 128, KEPT_MS = 1000 };
struct kept_provider {
    struct provider p;
    struct arena a;
};

static void kept_free(void *v)
{
    struct kept_provider *kept = v;
    json_decref(kept->p.conf);
    json_decref(kept->p.meta);
    arena_free(&kept->a);
    free(kept);
}

static struct cache providers = CACHE(KEPT_MAX, KEPT_MS, kept_free);

static void provider_copy(struct arena *a, const struct provider *from, struct provider *to)
{
    *to = *from;
    struct str *const texts[] = {&to->id,      &to->realm,   &to->name_fr, &to->name_en,
                                 &to->hint_fr, &to->hint_en, &to->issuer,  &to->client_id,
                                 &to->jwks,    &to->state};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = arena_dup(a, *texts[i]);
    if (from->secret.p)
        to->secret = arena_dup(a, from->secret);
    json_incref(to->conf);
    json_incref(to->meta);
}

struct taken {
    struct ctx *c;
    struct provider *p;
};

static void provider_take(void *value, void *arg)
{
    struct taken *t = arg;
    provider_copy(t->c->arena, &((struct kept_provider *)value)->p, t->p);
    json_own(&t->c->pool, t->p->conf);
    json_own(&t->c->pool, t->p->meta);
}

static void provider_keep(uint64_t mark, const struct provider *p)
{
    struct kept_provider *kept = calloc(1, sizeof *kept);
    if (!kept)
        abort();
    arena_init_secret(&kept->a);
    provider_copy(&kept->a, p, &kept->p);
    cache_put(&providers, p->id, mark, kept);
}

void provider_cache_clear(void)
{
    cache_clear(&providers);
}

enum err provider_get(struct ctx *c, struct str id, struct provider **out)
{
    *out = arena_new(c->arena, struct provider);
    struct taken t = {c, *out};
    if (cache_get(&providers, id, provider_take, &t))
        return ERR_OK;
    uint64_t mark = cache_mark(&providers);
    enum err e = provider_read(c, id, false, *out);
    if (e == ERR_OK)
        provider_keep(mark, *out);
    return e;
}

enum err provider_get_any(struct ctx *c, struct str id, struct provider **out)
{
    *out = arena_new(c->arena, struct provider);
    return provider_read(c, id, true, *out);
}

/* ---- settings of one ----------------------------------------------------------------------------
 */
bool provider_flag(const struct provider *p, const char *name, bool absent)
{
    return json_get_bool(p->conf, name, absent);
}

struct str provider_acr(const struct provider *p, enum level l)
{
    struct str theirs = json_get_str(json_get(p->conf, "acr"), level_name(l));
    return theirs.n ? theirs : str_from(level_name(l));
}

static enum level level_named(const struct provider *p, struct str acr)
{
    for (int l = LEVEL_EIDAS3; l >= LEVEL_EIDAS1; l--)
        if (str_eq(provider_acr(p, (enum level)l), acr))
            return (enum level)l;
    return LEVEL_NONE;
}

enum level provider_level(const struct provider *p, const json_t *id_claims, struct str *acr)
{
    *acr = json_get_str(id_claims, "acr");
    if (!acr->n)
        *acr = json_get_str(p->conf, "acr_assumed");
    enum level l = level_named(p, *acr);
    /* ProConnect's "eidas1-mfa" is eidas1, reached with two factors. */
    if (l == LEVEL_NONE && str_ends(*acr, STR("-mfa")))
        l = level_named(p, str_sub(*acr, 0, acr->n - 4));
    return l;
}

unsigned provider_algs(const struct provider *p)
{
    const json_t *list = json_get(p->conf, "algs");
    unsigned mask = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum jose_alg alg;
        if (jose_alg_from_name(str_from(json_string_value(json_array_get(list, i))), &alg) ==
            ERR_OK)
            mask |= 1u << alg;
    }
    return mask ? mask : 1u << JOSE_ES256 | 1u << JOSE_RS256 | 1u << JOSE_PS256;
}

json_t *provider_name(const struct provider *p)
{
    return json_pack("{s:s%,s:s%}", "fr", p->name_fr.p, p->name_fr.n, "en", p->name_en.p,
                     p->name_en.n);
}

/* ---- asking them --------------------------------------------------------------------------------
 */
struct seen {
    struct str provider, meta, jwks;
    int64_t up, now_ms;
};

/* Empty texts keep what there was. */
static enum err seen_write(struct db_conn *db, void *arg)
{
    struct seen *s = arg;
    return db_exec(db,
                   "INSERT INTO provider_state(provider, up, checked_at, meta, jwks, read_at) "
                   "VALUES($1, $2, $3, $4, $5, $3) ON CONFLICT (provider) DO UPDATE SET up = $2, "
                   "checked_at = $3, "
                   "meta = CASE WHEN $4 = '' THEN provider_state.meta ELSE $4 END, "
                   "read_at = CASE WHEN $5 = '' THEN provider_state.read_at ELSE $3 END, "
                   "jwks = CASE WHEN $5 = '' THEN provider_state.jwks ELSE $5 END",
                   "siiss", s->provider, s->up, s->now_ms, s->meta, s->jwks);
}

static void seen_keep(struct ctx *c, struct seen *s)
{
    if (db_write(c->pf->db, seen_write, s) != ERR_OK)
        log_warn("provider_state_not_kept", "provider", s->provider.p);
    cache_drop(&providers, s->provider);
}

static enum err fetch(const struct platform *pf, struct arena *a, struct str url, int timeout_ms,
                      struct str *body)
{
    struct http_header h[] = {{STR("Accept"), STR("application/json")}};
    struct client_call call = {.url = url,
                               .headers = h,
                               .n_headers = 1,
                               .timeout_ms = timeout_ms,
                               .answer_max = META_MAX,
                               .allow_inside = inside_allowed(pf)};
    struct client_answer answer;
    enum err e = client_send(a, &call, &answer);
    if (e == ERR_OK && answer.status != 200)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        *body = answer.body;
    return e;
}

static struct str discovery_url(struct arena *a, const struct provider *p)
{
    struct str issuer = p->issuer;
    while (issuer.n && issuer.p[issuer.n - 1] == '/')
        issuer.n--;
    return arena_printf(a, STR_FMT "/.well-known/openid-configuration", STR_ARG(issuer));
}

/* OpenID Connect Discovery 4.3: the document must name the issuer it was read for. */
static enum err meta_read(struct ctx *c, struct provider *p, int timeout_ms, struct str *text)
{
    json_t *v;
    enum err e = fetch(c->pf, c->arena, discovery_url(c->arena, p), timeout_ms, text);
    if (e != ERR_OK)
        return e;
    if (json_read(*text, &v, NULL) != ERR_OK)
        return ERR_INVALID;
    json_own(&c->pool, v);
    if (!str_eq(json_get_str(v, "issuer"), p->issuer)) {
        log_warn("provider_metadata_refused", "provider", p->id.p, "why", "issuer");
        return ERR_INVALID;
    }
    p->meta = v;
    return ERR_OK;
}

enum err provider_fetch(struct ctx *c, struct str url, struct str *body)
{
    return fetch(c->pf, c->arena, url, LOOK_MS, body);
}

enum err provider_meta_now(struct ctx *c, const struct provider *p, json_t **out,
                           const char **problem)
{
    struct str text;
    json_t *v;
    *problem = "unreachable";
    enum err e = fetch(c->pf, c->arena, discovery_url(c->arena, p), LOOK_MS, &text);
    if (e != ERR_OK)
        return e;
    *problem = "not JSON";
    if (json_read(text, &v, NULL) != ERR_OK)
        return ERR_INVALID;
    *out = json_own(&c->pool, v);
    *problem = "another issuer";
    return str_eq(json_get_str(v, "issuer"), p->issuer) ? ERR_OK : ERR_INVALID;
}

struct str provider_endpoint(struct ctx *c, struct provider *p, const char *name)
{
    struct str set = json_get_str(p->conf, name);
    if (set.n)
        return set;
    bool needs_discovery = !json_get_str(p->conf, "authorization_endpoint").n;
    if (needs_discovery && json_object_size(p->meta) == 0) {
        struct seen s = {
            .provider = p->id, .jwks = STR(""), .meta = STR(""), .now_ms = clock_now_ms()};
        s.up = meta_read(c, p, LOOK_MS, &s.meta) == ERR_OK;
        seen_keep(c, &s);
    }
    struct str found = json_get_str(p->meta, name);
    return found.n ? found : STR_NONE;
}

static bool keys_are_fresh(struct ctx *c, const struct provider *p)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return db &&
           db_query_one(db, c->arena, &r, "SELECT read_at FROM provider_state WHERE provider = $1",
                        "s", p->id) == ERR_OK &&
           db_i64(&r, 0, 0) + KEYS_AGAIN_MS > clock_now_ms();
}

enum err provider_keys(struct ctx *c, struct provider *p, bool again, struct jwks **out)
{
    *out = NULL;
    /* A token with a made-up kid must not turn us into a hammer: once per 5 s. */
    if (again && keys_are_fresh(c, p))
        return ERR_NOT_FOUND;
    if (!again && p->jwks.n)
        return keyset_read(p->jwks, out);
    struct str url = provider_endpoint(c, p, "jwks_uri");
    if (!url.p)
        return ERR_UNAVAILABLE;
    struct seen s = {.provider = p->id, .up = 1, .meta = STR(""), .now_ms = clock_now_ms()};
    enum err e = fetch(c->pf, c->arena, url, LOOK_MS, &s.jwks);
    if (e == ERR_OK)
        e = keyset_read(s.jwks, out);
    if (e == ERR_OK) {
        p->jwks = s.jwks;
        seen_keep(c, &s);
    }
    return e;
}

/* ---- health -------------------------------------------------------------------------------------
 */
enum { LOOK_EVERY_MS = 30 * 1000, LOOK_AGAIN_MS = 3000 };

/* One that was down is looked at more often: people wait for it. */
static bool look_is_due(const struct provider *p)
{
    int64_t age_ms = clock_now_ms() - p->checked_ms;
    return age_ms < 0 || age_ms > (p->up ? LOOK_EVERY_MS : LOOK_AGAIN_MS);
}

static enum err look_once(struct ctx *c, struct provider *p, struct seen *s)
{
    struct str jwks;
    bool discovered = !json_get_str(p->conf, "authorization_endpoint").n;
    enum err e = discovered ? meta_read(c, p, LOOK_MS, &s->meta) : ERR_OK;
    struct str url = json_get_str(p->conf, "jwks_uri");
    if (!url.n)
        url = json_get_str(p->meta, "jwks_uri");
    if (e != ERR_OK || !url.n)
        return e;
    e = fetch(c->pf, c->arena, url, LOOK_MS, &jwks);
    struct jwks *keys = NULL;
    if (e == ERR_OK && jwks_read(jwks, &keys) == ERR_OK)
        s->jwks = jwks;
    jwks_free(keys);
    return e;
}

/* Once is not down: a provider that restarts, or starts beside us, is back a second later. */
static void look(struct ctx *c, struct provider *p)
{
    struct seen s = {.provider = p->id, .meta = STR(""), .jwks = STR("")};
    enum err e = look_once(c, p, &s);
    if (e != ERR_OK && p->up) {
        usleep(AGAIN_MS * 1000);
        e = look_once(c, p, &s);
    }
    s.up = e == ERR_OK;
    s.now_ms = clock_now_ms();
    if (p->up != (s.up != 0))
        log_info("provider_health", "provider", p->id.p, "up", s.up ? "yes" : "no");
    if (db_write(c->pf->db, seen_write, &s) != ERR_OK)
        log_warn("provider_state_not_kept", "provider", p->id.p);
}

void provider_health(struct platform *pf)
{
    static const struct str realms[] = {{"citizens", 8}, {"agents", 6}};
    struct arena a;
    arena_init(&a);
    for (size_t r = 0; r < COUNT_OF(realms); r++) {
        struct provider *list;
        size_t n;
        struct ctx *c = ctx_make(pf, &a);
        if (provider_list(c, realms[r], &list, &n) == ERR_OK)
            for (size_t i = 0; i < n; i++)
                if (look_is_due(&list[i]))
                    look(c, &list[i]);
        ctx_free(c);
    }
    arena_free(&a);
}

/* ---- registering --------------------------------------------------------------------------------
 */
struct put {
    const struct identity_provider *in;
    const char *realm, *hint_fr, *hint_en, *conf, *min_acr;
    struct str wrapped;
    int64_t now_ms;
};

static enum err provider_write(struct db_conn *db, void *arg)
{
    struct put *p = arg;
    const struct identity_provider *in = p->in;
    enum err e = db_exec(
        db,
        "INSERT INTO identity_provider(id, realm, name_fr, name_en, hint_fr, hint_en, issuer, "
        "client_id, secret, conf, min_acr, position, state, created_at) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, $13) "
        "ON CONFLICT (id) DO UPDATE SET realm = $2, name_fr = $3, name_en = $4, hint_fr = $5, "
        "hint_en = $6, issuer = $7, client_id = $8, secret = $9, conf = $10, min_acr = $11, "
        "position = $12, state = $14",
        "zzzzzzzzbzziiz", in->id, p->realm, in->name_fr, in->name_en ? in->name_en : in->name_fr,
        p->hint_fr, p->hint_en, in->issuer, in->client_id, p->wrapped, p->conf, p->min_acr,
        (int64_t)in->position, p->now_ms, in->state ? in->state : "active");
    if (e == ERR_OK) /* what was read of the former settings counts no more */
        e = db_exec(db, "DELETE FROM provider_state WHERE provider = $1", "z", in->id);
    return e == ERR_OK ? change_add(db, "config", str_from(in->id), 0) : e;
}

static bool id_ok(const char *id)
{
    for (const char *p = id; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-'))
            return false;
    return *id && strlen(id) <= 40;
}

static const char *first_fault(struct ctx *c, const struct put *p)
{
    const struct identity_provider *in = p->in;
    json_t *conf;
    if (!in->id || !id_ok(in->id))
        return "id";
    if (!in->name_fr || !*in->name_fr)
        return "name";
    if (!in->issuer || !redirect_is_registrable(str_from(in->issuer), inside_allowed(c->pf)))
        return "issuer";
    if (!in->client_id || !*in->client_id)
        return "client_id";
    if (strcmp(p->realm, "citizens") != 0 && strcmp(p->realm, "agents") != 0)
        return "realm";
    if (level_from_name(str_from(p->min_acr)) == LEVEL_NONE)
        return "min_acr";
    if (json_read(str_from(p->conf), &conf, NULL) != ERR_OK)
        return "conf";
    json_own(&c->pool, conf);
    return json_is_object(conf) ? NULL : "conf";
}

static const char *either(const char *given, const char *absent)
{
    return given ? given : absent;
}

static enum err put_journalled(struct ctx *c, struct put *p)
{
    struct act act;
    struct act_info info = {.kind = "identity.provider_registered",
                            .actor = str_from(p->in->actor),
                            .object = str_from(p->in->id)};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, provider_write, p, &act, 1) : e;
}

enum err identity_provider_put(struct ctx *c, const struct identity_provider *in, const char **why)
{
    struct put p = {.in = in,
                    .realm = either(in->realm, "citizens"),
                    .hint_fr = either(in->hint_fr, ""),
                    .hint_en = either(in->hint_en, ""),
                    .conf = either(in->conf, "{}"),
                    .min_acr = either(in->min_acr, "eidas1"),
                    .wrapped = STR(""),
                    .now_ms = clock_now_ms()};
    const char *fault = first_fault(c, &p);
    enum err e = ERR_OK;
    if (why)
        *why = fault;
    if (fault)
        return ERR_INVALID;
    if (in->secret)
        e = keys_wrap(c->pf->keys, "subject", arena_printf(c->arena, "provider:%s", in->id),
                      str_from(in->secret), c->arena, &p.wrapped);
    if (e == ERR_OK)
        e = in->actor ? put_journalled(c, &p) : db_write(c->pf->db, provider_write, &p);
    provider_cache_clear();
    return e;
}
