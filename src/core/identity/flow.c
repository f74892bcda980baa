#include "core/identity/flow.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

enum { FLOW_LIFE_MS = 30 * 60 * 1000, TAG_LEN = 22 };
static const char BROWSER_COOKIE[] = "socle_flow";

static struct str key_of(struct ctx *c, struct str id)
{
    uint8_t hash[SHA256_LEN];
    sha256(id.p, id.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

static void data_key(struct str id, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(id, STR("socle/flow/1"), STR("data"), key, SEAL_KEY_LEN);
}

static struct str browser_hash(struct ctx *c, struct str cookie)
{
    uint8_t hash[SHA256_LEN];
    sha256(cookie.p, cookie.n, hash);
    return codec_to_base64url(c->arena, hash, sizeof hash);
}

/* ---- beginning ----------------------------------------------------------------------------------
 */
struct flow_row {
    struct str key, data;
    int64_t stage, until_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    struct flow_row *r = arg;
    return db_exec(db, "INSERT INTO flow(id, stage, data, until_at) VALUES($1, $2, $3, $4)", "sibi",
                   r->key, r->stage, r->data, r->until_ms);
}

/* One cookie serves all the tabs of a browser: each flow keeps its hash. */
static struct str browser_cookie(struct ctx *c)
{
    struct str cookie = ctx_cookie_get(c, BROWSER_COOKIE);
    if (cookie.p && cookie.n == SECRET_LEN)
        return cookie;
    char *fresh = arena_alloc(c->arena, SECRET_LEN + 1);
    secret_new(fresh);
    ctx_cookie(c, BROWSER_COOKIE, str_from(fresh), FLOW_LIFE_MS / 1000 * 2);
    return str_from(fresh);
}

static struct str data_seal(struct ctx *c, const struct flow *f)
{
    uint8_t key[SEAL_KEY_LEN];
    json_t *v = json_object();
    json_object_set_new(v, "kind", json_integer(f->kind));
    json_object_set_new(v, "begun", json_integer(f->begun_ms));
    json_object_set_new(v, "browser", json_str(f->browser));
    json_object_set_new(v, "to", json_str(f->to));
    json_object_set_new(v, "state", json_str(f->state));
    json_object_set_new(v, "realm", json_str(f->realm));
    if (f->wallet.n)
        json_object_set_new(v, "wallet", json_str(f->wallet));
    json_object_set_new(v, "name_fr", json_str(f->client_name_fr));
    json_object_set_new(v, "name_en", json_str(f->client_name_en));
    if (f->kind == FLOW_CLIENT)
        json_object_set_new(v, "request", request_to_json(&f->request));
    else
        json_object_set_new(v, "level", json_integer(f->request.level));
    data_key(f->id, key);
    struct str sealed = seal(c->arena, key, f->key, json_text(c->arena, v));
    mem_wipe(key, sizeof key);
    json_decref(v);
    return sealed;
}

enum err flow_begin(struct ctx *c, struct flow *f)
{
    char *id = arena_alloc(c->arena, SECRET_LEN + 1);
    secret_new(id);
    f->id = str_from(id);
    f->key = key_of(c, f->id);
    f->begun_ms = clock_now_ms();
    f->browser_known = true;
    f->browser = browser_hash(c, browser_cookie(c));
    struct flow_row row = {.key = f->key,
                           .stage = f->stage,
                           .data = data_seal(c, f),
                           .until_ms = f->begun_ms + FLOW_LIFE_MS};
    return db_write(c->pf->db, row_insert, &row);
}

static enum err row_update(struct db_conn *db, void *arg)
{
    struct flow_row *r = arg;
    return db_exec(db, "UPDATE flow SET data = $2 WHERE id = $1", "sb", r->key, r->data);
}

enum err flow_save(struct ctx *c, const struct flow *f)
{
    struct flow_row row = {.key = f->key, .data = data_seal(c, f)};
    return db_write(c->pf->db, row_update, &row);
}

/* ---- going on -----------------------------------------------------------------------------------
 */
static void from_json(struct ctx *c, const json_t *v, struct flow *f)
{
    f->kind = (enum flow_kind)json_get_i64(v, "kind", FLOW_PORTAL);
    f->begun_ms = json_get_i64(v, "begun", 0);
    f->to = arena_dup(c->arena, json_get_str(v, "to"));
    f->state = arena_dup(c->arena, json_get_str(v, "state"));
    f->realm = arena_dup(c->arena, json_get_str(v, "realm"));
    f->wallet = arena_dup(c->arena, json_get_str(v, "wallet"));
    f->client_name_fr = arena_dup(c->arena, json_get_str(v, "name_fr"));
    f->client_name_en = arena_dup(c->arena, json_get_str(v, "name_en"));
    if (f->kind == FLOW_CLIENT)
        request_from_json(c->arena, json_get(v, "request"), &f->request);
    else
        f->request.level = (enum level)json_get_i64(v, "level", LEVEL_NONE);
    f->browser = arena_dup(c->arena, json_get_str(v, "browser"));
    struct str cookie = ctx_cookie_get(c, BROWSER_COOKIE);
    f->browser_known =
        cookie.p && str_eq_secret(browser_hash(c, cookie), json_get_str(v, "browser"));
}

enum err flow_load(struct ctx *c, struct str id, struct flow **out)
{
    struct db_result r;
    uint8_t key[SEAL_KEY_LEN];
    struct str plain;
    json_t *v;
    if (id.n != SECRET_LEN)
        return ERR_NOT_FOUND;
    struct flow *f = arena_new(c->arena, struct flow);
    f->id = arena_dup(c->arena, id);
    f->key = key_of(c, id);
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT stage, data FROM flow WHERE id = $1 AND until_at > $2", "si",
                              f->key, clock_now_ms());
    if (e != ERR_OK)
        return e;
    f->stage = (enum flow_stage)db_i64(&r, 0, 0);
    data_key(id, key);
    e = unseal(c->arena, key, f->key, db_str(&r, 0, 1), &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    from_json(c, v, f);
    json_decref(v);
    *out = f;
    return f->browser_known ? ERR_OK : ERR_DENIED;
}

static enum err one_changed(enum err e, int64_t changed)
{
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

enum err flow_mark_signed_in(struct db_conn *db, struct str key)
{
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE flow SET stage = 1 WHERE id = $1 AND stage = 0", "s", key);
    return one_changed(e, changed);
}

enum err flow_end(struct db_conn *db, struct str key)
{
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed, "DELETE FROM flow WHERE id = $1", "s", key);
    return one_changed(e, changed);
}

struct str flow_url(struct ctx *c, const struct flow *f, const char *path)
{
    return url_with(c->arena, portal_url(c, path), "flow", f->id);
}

/* ---- values for the trip upstream ---------------------------------------------------------------
 */
static struct str derived(struct ctx *c, const char *use, struct str flow_id, struct str provider)
{
    uint8_t mac[SHA256_LEN];
    struct str data = arena_printf(c->arena, "socle/upstream/1 %s " STR_FMT " " STR_FMT, use,
                                   STR_ARG(flow_id), STR_ARG(provider));
    hmac_sha256(str_of(c->pf->cookie_secret, sizeof c->pf->cookie_secret), data, mac);
    return codec_to_base64url(c->arena, mac, sizeof mac);
}

void flow_secrets(struct ctx *c, struct str flow_id, struct str provider, struct flow_secrets *out)
{
    struct str tag = str_sub(derived(c, "state", flow_id, provider), 0, TAG_LEN);
    out->state = arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(flow_id), STR_ARG(tag));
    out->nonce = derived(c, "nonce", flow_id, provider);
    out->verifier = derived(c, "verifier", flow_id, provider);
}

struct str flow_id_of_state(struct str state)
{
    return state.n == SECRET_LEN + TAG_LEN ? str_sub(state, 0, SECRET_LEN) : STR_NONE;
}
