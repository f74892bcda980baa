#include "core/identity/code.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "core/identity/refresh.h"
#include "crypto/seal.h"
#include "platform/change.h"

static struct str id_of(struct ctx *c, struct str code)
{
    uint8_t hash[SHA256_LEN];
    sha256(code.p, code.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

static void data_key(struct str code, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(code, STR("socle/code/1"), STR("data"), key, SEAL_KEY_LEN);
}

static void set(json_t *v, const char *name, struct str s)
{
    json_object_set_new(v, name, json_stringn(s.p ? s.p : "", s.n));
}

static json_t *data_json(const struct code_data *d)
{
    static const char *const of_session[] = {"acr", "amr", "auth_time_ms", "sid", "provider"};
    json_t *v = json_object();
    set(v, "client_id", d->client_id);
    set(v, "redirect_uri", d->redirect_uri);
    set(v, "person", d->person);
    set(v, "scope", d->scope);
    set(v, "claims", d->claims);
    set(v, "challenge", d->challenge);
    if (d->id_claims.n)
        set(v, "id_claims", d->id_claims);
    if (d->dpop_jkt.p)
        set(v, "jkt", d->dpop_jkt);
    if (d->nonce.p)
        set(v, "nonce", d->nonce);
    for (size_t i = 0; i < COUNT_OF(of_session); i++)
        if (json_get(d->session, of_session[i]))
            json_object_set(v, of_session[i], json_get(d->session, of_session[i]));
    return v;
}

enum err code_make(struct ctx *c, const struct client *k, const struct code_data *d,
                   struct str *code, struct code_row *row)
{
    uint8_t key[SEAL_KEY_LEN];
    char *text = arena_alloc(c->arena, SECRET_LEN + 1);
    secret_new(text);
    *code = str_from(text);
    int64_t now_ms = clock_now_ms();
    *row = (struct code_row){.id = id_of(c, *code),
                             .client_id = k->id,
                             .until_ms = now_ms + k->code_life_ms,
                             .keep_until_ms = now_ms + k->code_life_ms + k->access_life_s * 1000};
    json_t *v = data_json(d);
    json_object_set_new(v, "at", json_integer(now_ms));
    data_key(*code, key);
    row->data = seal(c->arena, key, row->id, json_text(c->arena, v));
    mem_wipe(key, sizeof key);
    json_decref(v);
    return ERR_OK;
}

enum err code_insert(struct db_conn *db, const struct code_row *row)
{
    return db_exec(db,
                   "INSERT INTO code(id, client_id, data, until_at, used_at, jti, keep_until) "
                   "VALUES($1, $2, $3, $4, 0, '', $5)",
                   "ssbii", row->id, row->client_id, row->data, row->until_ms, row->keep_until_ms);
}

/* A code that she was given for before she cut all off gives no token afterwards. */
static enum err not_cut(struct ctx *c, struct db_conn *db, const json_t *data)
{
    struct db_result r;
    enum err e = db_query_one(
        db, c->arena, &r,
        "SELECT 1 FROM change WHERE kind = 'deny' AND until_ms > $1 AND item = $2 AND "
        "at_ms >= $3",
        "isi", clock_now_ms(), arena_printf(c->arena, "person:%s", json_get_z(data, "person", "")),
        json_get_i64(data, "at", 0));
    return e == ERR_NOT_FOUND ? ERR_OK : e == ERR_OK ? ERR_NOT_FOUND : e;
}

enum err code_find(struct ctx *c, struct str code, struct code_found *out)
{
    struct db_result r;
    struct str plain;
    uint8_t key[SEAL_KEY_LEN];
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    if (code.n != SECRET_LEN)
        return ERR_NOT_FOUND;
    *out = (struct code_found){.id = id_of(c, code)};
    enum err e =
        db_query_one(db, c->arena, &r,
                     "SELECT client_id, data, until_at, used_at, jti, keep_until FROM code "
                     "WHERE id = $1",
                     "s", out->id);
    if (e != ERR_OK)
        return e;
    out->client_id = db_str(&r, 0, 0);
    out->until_ms = db_i64(&r, 0, 2);
    out->used_at_ms = db_i64(&r, 0, 3);
    out->jti = db_str(&r, 0, 4);
    out->keep_until_ms = db_i64(&r, 0, 5);
    data_key(code, key);
    e = unseal(c->arena, key, out->id, db_str(&r, 0, 1), &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, &out->data, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, out->data);
    return not_cut(c, db, out->data);
}

struct use {
    struct str id, jti;
    int64_t now_ms;
};

static enum err use_write(struct db_conn *db, void *arg)
{
    struct use *u = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed, "UPDATE code SET used_at = $2, jti = $3 WHERE id = $1 AND used_at = 0", "sis",
        u->id, u->now_ms, u->jti);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

enum err code_use(struct ctx *c, struct str id, struct str jti)
{
    struct use u = {id, jti, clock_now_ms()};
    return db_write(c->pf->db, use_write, &u);
}

struct revocation {
    struct str id, jti, key;
    int64_t until_ms;
};

/* Once: a client that sends it a thousand times writes one entry. */
static enum err revoke_write(struct db_conn *db, void *arg)
{
    struct revocation *r = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed, "UPDATE code SET jti = '' WHERE id = $1 AND jti = $2",
                               "ss", r->id, r->jti);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    if (e == ERR_OK)
        e = change_add(db, "deny", r->key, r->until_ms);
    if (e == ERR_OK)
        e = refresh_end(db, r->jti, clock_now_ms());
    return e == ERR_CONFLICT ? ERR_OK : e; /* there was no refresh token */
}

enum err code_replayed(struct ctx *c, const struct code_found *f)
{
    struct act act;
    struct revocation r = {.id = f->id,
                           .jti = f->jti,
                           .key = arena_printf(c->arena, "token:" STR_FMT, STR_ARG(f->jti)),
                           .until_ms = f->keep_until_ms + 60 * 1000};
    struct act_info info = {
        .kind = "identity.code_replayed", .actor = f->client_id, .object = f->jti};
    log_warn("code_replayed", "trace", c->trace_id, "client", f->client_id.p);
    if (!f->jti.n)
        return ERR_OK;
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, revoke_write, &r, &act, 1);
    return e == ERR_CONFLICT ? ERR_OK : e;
}
