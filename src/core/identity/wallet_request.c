/* The rows behind wallet.h. Their names are hashes, and their data open only with the request's own
 * id, as with flows: a copy of the database says nothing of who answered what. */
#include "core/identity/wallet.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

enum { LIFE_MS = 10 * 60 * 1000 };
static const char *const kind_names[WALLET_KINDS] = {"same", "cross"};

/* ---- names --------------------------------------------------------------------------------------
 */
static struct str mac_of(struct ctx *c, struct str key, const char *use, struct str data)
{
    uint8_t mac[SHA256_LEN];
    hmac_sha256(key, arena_printf(c->arena, "socle/wallet/1 %s " STR_FMT, use, STR_ARG(data)), mac);
    return codec_to_base64url(c->arena, mac, sizeof mac);
}

static struct str id_of(struct ctx *c, const struct flow *f, enum wallet_kind kind)
{
    return mac_of(c, f->wallet, kind_names[kind], STR(""));
}

struct str wallet_nonce(struct ctx *c, struct str id)
{
    return mac_of(c, str_of(c->pf->cookie_secret, sizeof c->pf->cookie_secret), "nonce", id);
}

struct str wallet_code_hash(struct ctx *c, struct str code)
{
    uint8_t hash[SHA256_LEN];
    sha256(code.p, code.n, hash);
    return codec_to_base64url(c->arena, hash, sizeof hash);
}

static struct str key_of(struct ctx *c, struct str id)
{
    uint8_t hash[SHA256_LEN];
    sha256(id.p, id.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

static void data_key(struct str id, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(id, STR("socle/wallet/1"), STR("data"), key, SEAL_KEY_LEN);
}

/* ---- rows ---------------------------------------------------------------------------------------
 */
struct rows {
    struct {
        struct str key, data;
    } row[WALLET_KINDS];
    int64_t stage, until_ms;
};

static struct str data_seal(struct ctx *c, const struct wallet_request *r)
{
    uint8_t key[SEAL_KEY_LEN];
    json_t *v = json_pack("{s:i,s:I,s:o,s:o}", "kind", r->kind, "begun", (json_int_t)r->begun_ms,
                          "flow", json_str(r->flow), "client_id", json_str(r->client_id));
    if (r->claims) {
        json_object_set(v, "claims", r->claims);
        json_object_set_new(v, "subject", json_str(r->subject));
    }
    if (r->code_hash.n)
        json_object_set_new(v, "code", json_str(r->code_hash));
    if (r->why.n)
        json_object_set_new(v, "why", json_str(r->why));
    data_key(r->id, key);
    struct str sealed = seal(c->arena, key, r->key, json_text(c->arena, v));
    mem_wipe(key, sizeof key);
    json_decref(v);
    return sealed;
}

static enum err rows_insert(struct db_conn *db, void *arg)
{
    struct rows *r = arg;
    enum err e = ERR_OK;
    for (int i = 0; i < WALLET_KINDS && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO wallet_request(id, stage, data, until_at) VALUES($1, $2, $3, $4)",
                    "sibi", r->row[i].key, r->stage, r->row[i].data, r->until_ms);
    return e;
}

static enum err rows_delete(struct db_conn *db, void *arg)
{
    struct rows *r = arg;
    enum err e = ERR_OK;
    for (int i = 0; i < WALLET_KINDS && e == ERR_OK; i++)
        e = db_exec(db, "DELETE FROM wallet_request WHERE id = $1", "s", r->row[i].key);
    return e;
}

static enum err row_close(struct db_conn *db, void *arg)
{
    struct rows *r = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE wallet_request SET stage = $2, data = $3 "
                               "WHERE id = $1 AND stage = 0",
                               "sib", r->row[0].key, r->stage, r->row[0].data);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

enum err wallet_begin(struct ctx *c, struct flow *f, struct str client_id)
{
    char *secret = arena_alloc(c->arena, SECRET_LEN + 1);
    struct rows rows = {.stage = WALLET_OPEN, .until_ms = clock_now_ms() + LIFE_MS};
    enum err e = f->wallet.n ? wallet_forget(c, f) : ERR_OK;
    if (e != ERR_OK)
        return e;
    secret_new(secret);
    f->wallet = str_from(secret);
    for (int i = 0; i < WALLET_KINDS; i++) {
        struct wallet_request r = {.id = id_of(c, f, (enum wallet_kind)i),
                                   .kind = (enum wallet_kind)i,
                                   .begun_ms = clock_now_ms(),
                                   .flow = f->id,
                                   .client_id = client_id};
        r.key = rows.row[i].key = key_of(c, r.id);
        rows.row[i].data = data_seal(c, &r);
    }
    e = db_write(c->pf->db, rows_insert, &rows);
    return e == ERR_OK ? flow_save(c, f) : e;
}

enum err wallet_forget(struct ctx *c, const struct flow *f)
{
    struct rows rows = {0};
    for (int i = 0; i < WALLET_KINDS; i++)
        rows.row[i].key = key_of(c, id_of(c, f, (enum wallet_kind)i));
    return db_write(c->pf->db, rows_delete, &rows);
}

enum err wallet_close(struct ctx *c, const struct wallet_request *r)
{
    struct rows rows = {.stage = r->stage};
    rows.row[0].key = r->key;
    rows.row[0].data = data_seal(c, r);
    return db_write(c->pf->db, row_close, &rows);
}

enum err wallet_load(struct ctx *c, struct str id, struct wallet_request *out)
{
    struct db_result r;
    uint8_t key[SEAL_KEY_LEN];
    struct str plain;
    json_t *v;
    *out = (struct wallet_request){.id = id};
    if (id.n != SECRET_LEN)
        return ERR_NOT_FOUND;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    out->key = key_of(c, id);
    enum err e = db_query_one(
        db, c->arena, &r, "SELECT stage, data FROM wallet_request WHERE id = $1 AND until_at > $2",
        "si", out->key, clock_now_ms());
    if (e != ERR_OK)
        return e;
    out->stage = (enum wallet_stage)db_i64(&r, 0, 0);
    data_key(id, key);
    e = unseal(c->arena, key, out->key, db_str(&r, 0, 1), &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    out->kind = (enum wallet_kind)json_get_i64(v, "kind", WALLET_SAME);
    out->begun_ms = json_get_i64(v, "begun", 0);
    out->flow = json_get_str(v, "flow");
    out->client_id = json_get_str(v, "client_id");
    out->claims = json_get(v, "claims");
    out->subject = json_get_str(v, "subject");
    out->code_hash = json_get_str(v, "code");
    out->why = json_get_str(v, "why");
    return ERR_OK;
}

enum err wallet_of_flow(struct ctx *c, const struct flow *f, enum wallet_kind kind,
                        struct wallet_request *out)
{
    return f->wallet.n ? wallet_load(c, id_of(c, f, kind), out) : ERR_NOT_FOUND;
}
