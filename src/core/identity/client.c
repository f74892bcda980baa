/* Clients as they are stored; registering one. */
#include "core/identity/client.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "core/identity/identity.h"
#include "platform/cache.h"
#include "platform/change.h"

enum { URIS_MAX = 100 };

/* Lifetimes by profile: a strict client's are FranceConnect's. */
static const struct {
    int64_t code_ms, id_token_s, access_s;
} lives[] = {
    [PROFILE_STRICT] = {30 * 1000, 60, 60},
    [PROFILE_MODERN] = {60 * 1000, 300, 1800},
    [PROFILE_FAPI] = {60 * 1000, 300, 600},
};

unsigned client_algs(const struct client *k)
{
    unsigned algs = 1u << JOSE_ES256 | 1u << JOSE_PS256;
    return k->profile == PROFILE_FAPI ? algs : algs | 1u << JOSE_RS256;
}

static void client_fill(const struct db_result *r, struct client *k)
{
    *k = (struct client){.id = db_str(r, 0, 0),
                         .org_id = db_str(r, 0, 1),
                         .name_fr = db_str(r, 0, 2),
                         .name_en = db_str(r, 0, 3),
                         .realm = db_str(r, 0, 5),
                         .entity_id = db_str(r, 0, 6),
                         .state = db_str(r, 0, 7),
                         .secret_mac = db_str(r, 0, 8),
                         .old_secret_mac = db_str(r, 0, 9),
                         .old_secret_until_ms = db_i64(r, 0, 10),
                         .auth_methods = db_str(r, 0, 11),
                         .jwks = db_str(r, 0, 12),
                         .scopes = db_str(r, 0, 15),
                         .providers = db_str(r, 0, 16),
                         .pkce = db_i64(r, 0, 17) != 0,
                         .par = db_i64(r, 0, 18) != 0,
                         .logout_uri = db_str(r, 0, 20),
                         .data_provider = db_i64(r, 0, 21) != 0,
                         .asks = str_eq_z(db_str(r, 0, 22), "ask")};
    struct str bound = db_str(r, 0, 19);
    k->bound = str_eq_z(bound, "dpop")   ? BOUND_DPOP
               : str_eq_z(bound, "mtls") ? BOUND_MTLS
                                         : BOUND_NO;
}

static enum err uris_read(struct ctx *c, struct db_conn *db, struct client *k)
{
    struct db_result r;
    enum err e =
        db_query(db, c->arena, &r,
                 "SELECT kind, uri FROM client_uri WHERE client_id = $1 ORDER BY uri", "s", k->id);
    k->redirect_uris = k->post_logout_uris = STR("");
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str kind = db_str(&r, i, 0);
        if (str_eq_z(kind, "login")) /* spaces.c's */
            continue;
        struct str *list = str_eq_z(kind, "redirect") ? &k->redirect_uris : &k->post_logout_uris;
        *list =
            arena_printf(c->arena, STR_FMT STR_FMT "\n", STR_ARG(*list), STR_ARG(db_str(&r, i, 1)));
    }
    return e;
}

/* "ES256", or "ES256 ECDH-ES": signed, then encrypted. */
static enum err algs_read(struct str text, enum jose_alg *sig, enum jwe_alg *enc)
{
    struct str first;
    *enc = JWE_NONE;
    if (!str_split(&text, ' ', &first) || jose_alg_from_name(first, sig) != ERR_OK)
        return ERR_INVALID;
    return text.n ? jwe_alg_from_name(text, enc) : ERR_OK;
}

enum err client_encrypt(struct ctx *c, const struct client *k, enum jwe_alg enc,
                        struct str *compact)
{
    if (enc == JWE_NONE)
        return ERR_OK;
    enum err e = jwe_encrypt(c->arena, k->jwks, enc, "JWT", *compact, compact);
    return e == ERR_NOT_FOUND ? ERR_CORRUPT : e; /* its key was there when it was registered */
}

static enum err client_read(struct ctx *c, struct str id, bool pending_too, struct client *k)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r,
                     "SELECT id, org_id, name_fr, name_en, profile, realm, entity_id, "
                     "state, secret_mac, old_secret_mac, old_secret_until, auth_methods, "
                     "jwks, id_token_alg, userinfo_alg, scopes, providers, pkce, par, bound, "
                     "logout_uri, data_provider, consent "
                     "FROM client WHERE id = $1 AND (state = 'active' OR state = $2)",
                     "sz", id, pending_too ? "pending" : "active");
    if (e != ERR_OK)
        return e;
    client_fill(&r, k);
    struct str userinfo = db_str(&r, 0, 14);
    k->userinfo_signed = userinfo.n > 0 && !str_eq_z(userinfo, "none");
    if (profile_from_name(db_str(&r, 0, 4), &k->profile) != ERR_OK ||
        algs_read(db_str(&r, 0, 13), &k->id_token_alg, &k->id_token_enc) != ERR_OK ||
        (k->userinfo_signed && algs_read(userinfo, &k->userinfo_alg, &k->userinfo_enc) != ERR_OK))
        return ERR_CORRUPT;
    k->par |= k->profile == PROFILE_FAPI;
    k->code_life_ms = lives[k->profile].code_ms;
    k->id_token_life_s = lives[k->profile].id_token_s;
    k->access_life_s = lives[k->profile].access_s;
    return uris_read(c, db, k);
}

enum err client_get_any(struct ctx *c, struct str id, struct client **out)
{
    *out = arena_new(c->arena, struct client);
    return client_read(c, id, true, *out);
}

/* ---- kept between requests ----------------------------------------------------------------------
 */
enum { KEPT_MAX = 1024, KEPT_MS = 60 * 1000, FEED_OLD_MS = 1000 };
struct kept_client {
    struct client k;
    struct arena a;
};

static void kept_free(void *v)
{
    struct kept_client *kept = v;
    arena_free(&kept->a);
    free(kept);
}

static struct cache clients = CACHE(KEPT_MAX, KEPT_MS, kept_free);

static void client_copy(struct arena *a, const struct client *from, struct client *to)
{
    *to = *from;
    struct str *const texts[] = {&to->id,
                                 &to->org_id,
                                 &to->name_fr,
                                 &to->name_en,
                                 &to->entity_id,
                                 &to->state,
                                 &to->realm,
                                 &to->secret_mac,
                                 &to->old_secret_mac,
                                 &to->jwks,
                                 &to->auth_methods,
                                 &to->scopes,
                                 &to->providers,
                                 &to->logout_uri,
                                 &to->redirect_uris,
                                 &to->post_logout_uris};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = arena_dup(a, *texts[i]);
}

struct taken {
    struct ctx *c;
    struct client *k;
};

static void client_take(void *value, void *arg)
{
    struct taken *t = arg;
    client_copy(t->c->arena, &((struct kept_client *)value)->k, t->k);
}

static void client_keep(uint64_t mark, const struct client *k)
{
    struct kept_client *kept = calloc(1, sizeof *kept);
    if (!kept)
        abort();
    arena_init(&kept->a);
    client_copy(&kept->a, k, &kept->k);
    cache_put(&clients, k->id, mark, kept);
}

void client_cache_clear(void)
{
    cache_clear(&clients);
}

/* Without a feed that was heard within a second (a command, a database that is away), none is kept:
 * a client that was removed is refused within that second everywhere. */
enum err client_get(struct ctx *c, struct str id, struct client **out)
{
    struct client *k = arena_new(c->arena, struct client);
    struct taken t = {c, k};
    bool fresh = clock_mono_ms() - change_confirmed_ms() < FEED_OLD_MS;
    *out = k;
    if (fresh && cache_get(&clients, id, client_take, &t))
        return ERR_OK;
    uint64_t mark = cache_mark(&clients);
    enum err e = client_read(c, id, false, k);
    if (e == ERR_OK && fresh)
        client_keep(mark, k);
    return e;
}

bool client_uri_is(struct str uris, struct str uri)
{
    struct str one;
    while (uris.n && str_split(&uris, '\n', &one))
        if (one.n && str_eq(one, uri))
            return true;
    return false;
}

json_t *client_name(const struct client *k)
{
    return json_pack("{s:s%,s:s%}", "fr", k->name_fr.p, k->name_fr.n, "en", k->name_en.p,
                     k->name_en.n);
}

struct str client_name_in(const struct client *k, const char *lang)
{
    return strcmp(lang, "en") == 0 ? k->name_en : k->name_fr;
}

enum err client_secret_mac(struct ctx *c, struct str client_id, struct str secret, struct str *hex)
{
    uint8_t mac[32];
    struct str data =
        arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(client_id), STR_ARG(secret));
    enum err e = keys_mac(c->pf->keys, "client_secret", data, mac);
    if (e == ERR_OK)
        *hex = codec_to_hex(c->arena, mac, sizeof mac);
    return e;
}

/* ---- registering --------------------------------------------------------------------------------
 */
struct put {
    const struct identity_client *in;
    struct str id, secret_mac;
    const char *profile, *realm, *entity_id, *org_id, *name_en, *scopes, *providers, *methods,
        *jwks, *id_token_alg, *userinfo_alg;
    int64_t now_ms;
};

static const char *either(const char *given, const char *absent)
{
    return given ? given : absent;
}

static enum err uris_put(struct db_conn *db, const struct put *p, const char *kind,
                         const char *const *uris, size_t n)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO client_uri(client_id, kind, uri) VALUES($1, $2, $3) "
                    "ON CONFLICT (client_id, kind, uri) DO NOTHING",
                    "szz", p->id, kind, uris[i]);
    return e;
}

static enum err client_write(struct db_conn *db, void *arg)
{
    struct put *p = arg;
    const struct identity_client *in = p->in;
    enum err e = db_exec(
        db,
        "INSERT INTO client(id, org_id, name_fr, name_en, profile, realm, entity_id, state, "
        "secret_mac, old_secret_mac, old_secret_until, auth_methods, jwks, id_token_alg, "
        "userinfo_alg, scopes, providers, pkce, created_at, updated_at, par, bound, logout_uri, "
        "data_provider, consent) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, $10, $11, $12, $13, $14, $15, $16, $17, "
        "$17, $18, $19, $20, $21, $22) ON CONFLICT (id) DO UPDATE SET org_id = $2, name_fr = $3, "
        "name_en = $4, "
        "profile = $5, realm = $6, entity_id = $7, state = $8, secret_mac = CASE WHEN $9 = '' THEN "
        "client.secret_mac ELSE $9 END, auth_methods = $10, jwks = $11, id_token_alg = $12, "
        "userinfo_alg = $13, scopes = $14, providers = $15, pkce = $16, updated_at = $17, "
        "par = $18, bound = $19, logout_uri = $20, data_provider = $21, "
        "consent = $22",
        "szzzzzzzszzzzzziiizziz", p->id, p->org_id, in->name_fr, p->name_en, p->profile, p->realm,
        p->entity_id, either(in->state, "active"), p->secret_mac, p->methods, p->jwks,
        p->id_token_alg, p->userinfo_alg, p->scopes, p->providers, (int64_t)in->pkce, p->now_ms,
        (int64_t)in->par, either(in->bound, ""), either(in->logout_uri, ""),
        (int64_t)in->data_provider, either(in->consent, "inform"));
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM client_uri WHERE client_id = $1", "s", p->id);
    if (e == ERR_OK)
        e = uris_put(db, p, "redirect", in->redirect_uris, in->n_redirect_uris);
    if (e == ERR_OK)
        e = uris_put(db, p, "post_logout", in->post_logout_uris, in->n_post_logout_uris);
    if (e == ERR_OK && in->login_uri && *in->login_uri)
        e = uris_put(db, p, "login", &in->login_uri, 1);
    return e == ERR_OK ? change_add(db, "config", p->id, 0) : e;
}

static bool one_of(const char *value, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, list[i]) == 0)
            return true;
    return false;
}

static bool uris_ok(const struct ctx *c, const char *const *uris, size_t n)
{
    bool any_http = c->pf->settings->demo || c->pf->settings->allow_inside;
    for (size_t i = 0; i < n; i++)
        if (!redirect_is_registrable(str_from(uris[i]), any_http))
            return false;
    return n <= URIS_MAX;
}

static bool methods_ok(struct str list)
{
    static const char known[] = "client_secret_basic client_secret_post private_key_jwt "
                                "self_signed_tls_client_auth";
    struct str part;
    while (list.n && str_split(&list, ' ', &part))
        if (part.n && !list_has(str_from(known), part))
            return false;
    return true;
}

/* FAPI 2.0 5.3.2.1: a key or a certificate, no shared secret. */
static bool has_secret_method(const char *methods)
{
    return strstr(methods, "client_secret_") != NULL;
}

static bool algs_ok(const struct put *p, const char *text)
{
    enum jose_alg sig;
    enum jwe_alg enc;
    return algs_read(str_from(text), &sig, &enc) == ERR_OK &&
           (sig == JOSE_ES256 || sig == JOSE_RS256) &&
           (enc == JWE_NONE || jwe_key_is_in(str_from(p->jwks), enc));
}

static const char *first_fault(const struct ctx *c, const struct put *p)
{
    static const char *const profiles[] = {"strict", "modern", "fapi"};
    static const char *const realms[] = {"citizens", "agents", "any"};
    static const char *const bounds[] = {"", "dpop", "mtls"};
    bool fapi = strcmp(p->profile, "fapi") == 0;
    struct jwks *keys = NULL;
    if (!p->in->name_fr || !*p->in->name_fr)
        return "name";
    if (!one_of(p->profile, profiles, COUNT_OF(profiles)))
        return "profile";
    if (!one_of(p->realm, realms, COUNT_OF(realms)))
        return "realm";
    if (!algs_ok(p, p->id_token_alg))
        return "id_token_alg";
    if (strcmp(p->userinfo_alg, "none") != 0 && !algs_ok(p, p->userinfo_alg))
        return "userinfo_alg";
    if (!p->in->n_redirect_uris || !uris_ok(c, p->in->redirect_uris, p->in->n_redirect_uris))
        return "redirect_uri";
    if (!uris_ok(c, p->in->post_logout_uris, p->in->n_post_logout_uris))
        return "post_logout_redirect_uri";
    if (!methods_ok(str_from(p->methods)) || (fapi && has_secret_method(p->methods)))
        return "auth_methods";
    if (fapi &&
        (strncmp(p->id_token_alg, "RS256", 5) == 0 || strncmp(p->userinfo_alg, "RS256", 5) == 0))
        return "id_token_alg";
    if (p->in->bound && !one_of(p->in->bound, bounds, COUNT_OF(bounds)))
        return "bound";
    if (p->in->logout_uri && *p->in->logout_uri && !uris_ok(c, &p->in->logout_uri, 1))
        return "backchannel_logout_uri";
    if (p->in->login_uri && *p->in->login_uri && !uris_ok(c, &p->in->login_uri, 1))
        return "initiate_login_uri";
    if (p->in->login_uri && *p->in->login_uri && !*p->org_id) /* only a body has a space */
        return "org";
    if (*p->jwks && jwks_read(str_from(p->jwks), &keys) != ERR_OK)
        return "jwks";
    jwks_free(keys);
    return NULL;
}

static bool client_exists(struct ctx *c, struct str id)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return db &&
           db_query_one(db, c->arena, &r, "SELECT 1 FROM client WHERE id = $1", "s", id) == ERR_OK;
}

static enum err secret_choose(struct ctx *c, struct put *p, bool is_new, struct str *secret)
{
    *secret = STR_NONE;
    p->secret_mac = STR("");
    if (p->in->secret)
        *secret = str_from(p->in->secret);
    if (is_new && !p->in->secret) {
        char *drawn = arena_alloc(c->arena, SECRET_LEN + 1);
        secret_new(drawn);
        *secret = str_from(drawn);
    }
    return secret->p ? client_secret_mac(c, p->id, *secret, &p->secret_mac) : ERR_OK;
}

static const char *default_methods(const struct identity_client *in)
{
    return in->profile && strcmp(in->profile, "fapi") == 0
               ? "private_key_jwt"
               : "client_secret_basic client_secret_post";
}

static enum err put_journalled(struct ctx *c, struct put *p, bool is_new)
{
    struct act act;
    struct act_info info = {.kind =
                                is_new ? "identity.client_registered" : "identity.client_changed",
                            .actor = str_from(p->in->actor),
                            .object = p->id};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, client_write, p, &act, 1) : e;
}

enum err identity_client_put(struct ctx *c, const struct identity_client *in, struct str *id,
                             struct str *secret, const char **why)
{
    char *drawn = arena_alloc(c->arena, ID_LEN + 1);
    struct str kept;
    const char *fault;
    id_new(drawn);
    struct put p = {.in = in,
                    .id = str_from(either(in->id, drawn)),
                    .profile = either(in->profile, "modern"),
                    .realm = either(in->realm, "citizens"),
                    .org_id = either(in->org_id, ""),
                    .name_en = either(in->name_en, in->name_fr),
                    .scopes = either(in->scopes, "*"),
                    .providers = either(in->providers, "*"),
                    .methods = either(in->auth_methods, default_methods(in)),
                    .jwks = either(in->jwks, ""),
                    .id_token_alg = either(in->id_token_alg, "ES256"),
                    .now_ms = clock_now_ms()};
    p.entity_id = either(in->entity_id, p.id.p);
    p.userinfo_alg = either(in->userinfo_alg, strcmp(p.profile, "strict") == 0 ? "ES256" : "none");
    fault = first_fault(c, &p);
    if (why)
        *why = fault;
    if (fault)
        return ERR_INVALID;
    bool is_new = !client_exists(c, p.id);
    enum err e = secret_choose(c, &p, is_new, &kept);
    if (e == ERR_OK)
        e = in->actor ? put_journalled(c, &p, is_new) : db_write(c->pf->db, client_write, &p);
    cache_drop(&clients, p.id);
    if (e == ERR_OK && id)
        *id = arena_dup(c->arena, p.id);
    if (e == ERR_OK && secret)
        *secret = kept;
    return e;
}
