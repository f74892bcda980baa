/* Passkeys: what is kept of them, the questions put to the browser and the checks of its answers
 * (webauthn.c). A challenge is bound to its use and to an account, lives ten minutes and is good
 * once; it is not kept until then. */
#include "core/accounts/accounts.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"

enum { CHALLENGE_LIFE_MS = 10 * 60 * 1000, NAME_MAX_BYTES = 80 };

static json_t *b64(struct ctx *c, struct str s)
{
    return json_str(codec_to_base64url(c->arena, s.p, s.n));
}

/* ---- where we are -------------------------------------------------------------------------------
 */
static struct str rp_id(const struct ctx *c)
{
    struct str url = str_from(c->pf->settings->base_url);
    struct str host = str_after(url, (size_t)str_find(url, STR("://")) + 3);
    ptrdiff_t end = str_find_char(host, ':');
    return end < 0 ? host : str_sub(host, 0, (size_t)end);
}

static struct {
    pthread_mutex_t lock;
    bool read;
    X509_STORE *store;
} anchors = {.lock = PTHREAD_MUTEX_INITIALIZER};

static X509_STORE *anchors_of(const struct ctx *c)
{
    pthread_mutex_lock(&anchors.lock);
    if (!anchors.read) {
        anchors.store = wa_anchors(c->pf->settings->passkey_anchors_text);
        anchors.read = true;
    }
    pthread_mutex_unlock(&anchors.lock);
    return anchors.store;
}

/* ---- challenges ---------------------------------------------------------------------------------
 */
static struct str challenge_make(struct ctx *c, const char *use, struct str account)
{
    uint8_t random[16];
    rand_bytes(random, sizeof random);
    json_t *v = json_pack("{s:o,s:o}", "r", b64(c, str_of(random, sizeof random)), "account",
                          json_str(account));
    struct str ticket = ticket_make(c, use, v, CHALLENGE_LIFE_MS);
    json_decref(v);
    return ticket;
}

/* The authenticator signs a digest of the ticket, which comes back beside it. */
static struct str challenge_bytes(struct ctx *c, struct str ticket)
{
    uint8_t hash[SHA256_LEN];
    sha256(ticket.p, ticket.n, hash);
    return arena_dup(c->arena, str_of(hash, sizeof hash));
}

static enum err challenge_check(struct ctx *c, const char *use, struct str account,
                                struct wa_expect *x, const char **why)
{
    json_t *v;
    struct str ticket = ctx_form(c, "ticket");
    *why = "challenge";
    enum err e = ticket_open(c, use, ticket, &v);
    if (e != ERR_OK || !str_eq(json_get_str(v, "account"), account))
        return ERR_INVALID;
    e = used_once(c, "challenge", ticket, CHALLENGE_LIFE_MS);
    if (e != ERR_OK)
        return e == ERR_EXISTS ? ERR_INVALID : e;
    *x = (struct wa_expect){.rp_id = rp_id(c),
                            .origin = str_from(c->pf->settings->base_url),
                            .challenge = challenge_bytes(c, ticket),
                            .anchors = anchors_of(c)};
    return ERR_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */
static struct str row_id(struct ctx *c, struct str credential_id)
{
    uint8_t hash[SHA256_LEN];
    sha256(credential_id.p, credential_id.n, hash);
    return codec_to_hex(c->arena, hash, sizeof hash);
}

static enum err data_seal(struct ctx *c, struct str person, const struct passkey *k,
                          struct str *out)
{
    json_t *v =
        json_pack("{s:o,s:o,s:o,s:I,s:o,s:b}", "name", json_str(k->name), "id", b64(c, k->cred.id),
                  "key", b64(c, k->cred.key), "alg", (json_int_t)k->cred.alg, "aaguid",
                  b64(c, k->cred.aaguid), "attested", k->cred.attested);
    enum err e = vault_seal(c, person, "accounts.passkey", json_text(c->arena, v), out);
    json_decref(v);
    return e;
}

static enum err data_open(struct ctx *c, struct str person, struct str sealed, struct passkey *k)
{
    struct str plain;
    json_t *v;
    enum err e = vault_open(c, person, "accounts.passkey", sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    k->name = json_get_str(v, "name");
    k->cred.alg = json_get_i64(v, "alg", 0);
    k->cred.attested = json_get_bool(v, "attested", false);
    e = codec_base64url(c->arena, json_get_str(v, "id"), &k->cred.id);
    if (e == ERR_OK)
        e = codec_base64url(c->arena, json_get_str(v, "key"), &k->cred.key);
    return e == ERR_OK ? codec_base64url(c->arena, json_get_str(v, "aaguid"), &k->cred.aaguid) : e;
}

#define COLUMNS \
    "SELECT id, account, data, flags, count, level, created_at, used_at FROM own_passkey "

static enum err row_read(struct ctx *c, struct str person, const struct db_result *r, size_t i,
                         struct passkey *k)
{
    *k = (struct passkey){.id = db_str(r, i, 0),
                          .account = db_str(r, i, 1),
                          .level = db_i64(r, i, 5),
                          .created_ms = db_i64(r, i, 6),
                          .used_ms = db_i64(r, i, 7)};
    k->cred.flags = (unsigned)db_i64(r, i, 3);
    k->cred.count = (uint32_t)db_i64(r, i, 4);
    return data_open(c, person, db_str(r, i, 2), k);
}

enum err passkeys_of(struct ctx *c, const struct account *a, struct passkey **list, size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *n = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r, COLUMNS "WHERE account = $1 ORDER BY created_at, id",
                          "s", a->id);
    *list = arena_array(c->arena, struct passkey, e == ERR_OK ? r.n_rows + 1 : 1);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        e = row_read(c, a->person, &r, i, &(*list)[(*n)++]);
    return e;
}

enum err passkeys_reseal(struct ctx *c, const struct account *a, struct str person,
                         struct passkey **list, struct str **data, size_t *n)
{
    enum err e = passkeys_of(c, a, list, n);
    *data = arena_array(c->arena, struct str, *n + 1);
    for (size_t i = 0; i < *n && e == ERR_OK; i++)
        e = data_seal(c, person, &(*list)[i], &(*data)[i]);
    return e;
}

struct key_row {
    struct str id, account, data;
    int64_t flags, count, level, now_ms, before;
    bool desk_over; /* the desk lets in one factor */
};

static enum err key_insert(struct db_conn *db, void *arg)
{
    struct key_row *k = arg;
    enum err e =
        db_exec(db,
                "INSERT INTO own_passkey(id, account, data, flags, count, level, created_at, "
                "used_at) VALUES($1, $2, $3, $4, $5, $6, $7, 0)",
                "ssbiiii", k->id, k->account, k->data, k->flags, k->count, k->level, k->now_ms);
    if (e == ERR_OK && k->desk_over)
        e = db_exec(db, "UPDATE own_account SET desk_until = 0 WHERE id = $1", "s", k->account);
    return e;
}

/* Two assertions at once with one counter: the second is refused. */
static enum err key_used(struct db_conn *db, void *arg)
{
    struct key_row *k = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE own_passkey SET flags = $2, count = $3, used_at = $4 "
                               "WHERE id = $1 AND count = $5",
                               "siiii", k->id, k->flags, k->count, k->now_ms, k->before);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

static enum err key_delete(struct db_conn *db, void *arg)
{
    struct key_row *k = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed, "DELETE FROM own_passkey WHERE id = $1 AND account = $2", "ss",
                      k->id, k->account);
    return e == ERR_OK && changed != 1 ? ERR_NOT_FOUND : e;
}

/* ---- the questions ------------------------------------------------------------------------------
 */
static json_t *ids_of(struct ctx *c, const struct account *a)
{
    struct passkey *list;
    size_t n;
    json_t *ids = json_array();
    if (a && passkeys_of(c, a, &list, &n) == ERR_OK)
        for (size_t i = 0; i < n; i++)
            json_array_append_new(ids, b64(c, list[i].cred.id));
    return ids;
}

/* Members of PublicKeyCredential{Creation,Request}Options in JSON, binary ones in base64url. */
json_t *passkey_ask_create(struct ctx *c, const struct account *a)
{
    struct str ticket = challenge_make(c, "create", a->id);
    bool high = factor_level(c, a) == LEVEL_HIGH;
    c->script = true;
    json_t *options =
        json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:s}", "challenge", b64(c, challenge_bytes(c, ticket)),
                  "rp_id", json_str(rp_id(c)), "rp_name", c->pf->settings->brand_name, "user_id",
                  b64(c, a->id), "user", json_str(a->email), "exclude", ids_of(c, a), "attestation",
                  high ? "direct" : "none");
    struct str text = json_text(c->arena, options);
    json_decref(options);
    return json_pack("{s:o,s:o}", "ticket", json_str(ticket), "options", json_str(text));
}

json_t *passkey_ask_get(struct ctx *c, const struct account *a)
{
    struct str ticket = challenge_make(c, "get", a ? a->id : STR(""));
    c->script = true;
    json_t *options = json_pack(
        "{s:o,s:o,s:o,s:s}", "challenge", b64(c, challenge_bytes(c, ticket)), "rp_id",
        json_str(rp_id(c)), "allow", ids_of(c, a), "verification", a ? "preferred" : "required");
    struct str text = json_text(c->arena, options);
    json_decref(options);
    return json_pack("{s:o,s:o}", "ticket", json_str(ticket), "options", json_str(text));
}

/* ---- the answers --------------------------------------------------------------------------------
 */
static enum err form_bytes(struct ctx *c, const char *name, struct str *out, const char **why)
{
    *why = name;
    struct str s = ctx_form(c, name);
    return s.n && s.n <= 2 * WA_OBJECT_MAX ? codec_base64url(c->arena, s, out) : ERR_INVALID;
}

static struct str name_read(struct ctx *c)
{
    struct str name = str_trim(ctx_form(c, "name"));
    while (name.n > NAME_MAX_BYTES || (name.n && !str_is_utf8(name)))
        name.n--;
    return name;
}

enum err passkey_register(struct ctx *c, struct account *a, const char **why)
{
    struct wa_expect x;
    struct str client_data, object;
    struct act act;
    struct passkey k = {.account = a->id, .name = name_read(c)};
    enum err e = challenge_check(c, "create", a->id, &x, why);
    if (e == ERR_OK)
        e = form_bytes(c, "client_data", &client_data, why);
    if (e == ERR_OK)
        e = form_bytes(c, "attestation", &object, why);
    if (e == ERR_OK)
        e = wa_register(c->arena, &x, client_data, object, &k.cred, why);
    if (e != ERR_OK)
        return e;
    *why = "too many";
    if (a->n_passkeys >= PASSKEYS_MAX)
        return ERR_LIMIT;
    /* The high level: of a maker that is known, never copied elsewhere, with its own check. */
    k.level = factor_level(c, a);
    if (k.level == LEVEL_HIGH &&
        !(k.cred.attested && !(k.cred.flags & WA_BE) && k.cred.flags & WA_UV))
        k.level = LEVEL_SUBSTANTIAL;
    struct key_row row = {.id = row_id(c, k.cred.id),
                          .account = a->id,
                          .flags = k.cred.flags,
                          .count = k.cred.count,
                          .level = k.level,
                          .now_ms = clock_now_ms(),
                          .desk_over = a->desk_until_ms > clock_now_ms()};
    e = data_seal(c, a->person, &k, &row.data);
    if (e == ERR_OK)
        e = account_act(c, a, "accounts.passkey_added", "self",
                        "Vous avez ajouté une clé d’accès à votre compte",
                        "You added a passkey to your account", &act);
    if (e == ERR_OK)
        e = act_write(c, key_insert, &row, &act, 1);
    *why = "known already";
    return e == ERR_EXISTS ? ERR_INVALID : e;
}

static enum err passkey_find(struct ctx *c, struct account **a, struct passkey *k, const char **why)
{
    struct db_result r;
    struct str id;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = form_bytes(c, "credential", &id, why);
    if (e != ERR_OK)
        return e;
    *why = "unknown credential";
    e = db_query_one(db, c->arena, &r, COLUMNS "WHERE id = $1", "s", row_id(c, id));
    if (e == ERR_OK && !*a)
        e = account_by_id(c, db_str(&r, 0, 1), a);
    if (e == ERR_OK && !str_eq((*a)->id, db_str(&r, 0, 1)))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = row_read(c, (*a)->person, &r, 0, k);
    return e == ERR_NOT_FOUND ? ERR_INVALID : e;
}

/* *a NULL: whose it is, the credential says, and then the device must have checked the person. */
enum err passkey_assert(struct ctx *c, struct account **a, struct passkey *k, const char **why)
{
    struct wa_expect x;
    struct str client_data, auth_data, signature;
    bool named = *a != NULL;
    enum err e = challenge_check(c, "get", named ? (*a)->id : STR(""), &x, why);
    if (e == ERR_OK)
        e = passkey_find(c, a, k, why);
    if (e == ERR_OK)
        e = form_bytes(c, "client_data", &client_data, why);
    if (e == ERR_OK)
        e = form_bytes(c, "authenticator_data", &auth_data, why);
    if (e == ERR_OK)
        e = form_bytes(c, "signature", &signature, why);
    if (e != ERR_OK)
        return e;
    struct key_row row = {.id = k->id, .before = k->cred.count, .now_ms = clock_now_ms()};
    x.user_verified = !named;
    e = wa_assert(c->arena, &x, &k->cred, client_data, auth_data, signature, why);
    row.flags = k->cred.flags;
    row.count = k->cred.count;
    if (e == ERR_OK)
        e = db_write(c->pf->db, key_used, &row);
    return e == ERR_CONFLICT ? ERR_INVALID : e;
}

enum err passkey_remove(struct ctx *c, const struct account *a, struct str id)
{
    struct act act;
    struct key_row row = {.id = id, .account = a->id};
    enum err e = account_act(c, a, "accounts.passkey_removed", "self",
                             "Vous avez retiré une clé d’accès de votre compte",
                             "You removed a passkey from your account", &act);
    return e == ERR_OK ? act_write(c, key_delete, &row, &act, 1) : e;
}
