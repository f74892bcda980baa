#include "core/identity/refresh.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/schema.h"
#include "crypto/seal.h"
#include "platform/change.h"

const int64_t refresh_life_ms = 183LL * 86400 * 1000;
/* A denial outlives the longest access token. */
static const int64_t DENY_MS = 3660LL * 1000;

/* ---- the token: sealed for this platform, it names its family and its turn
 * ------------------------- */
static struct str token_make(struct ctx *c, struct str family, int64_t turn)
{
    struct str plain = arena_printf(c->arena, STR_FMT " %lld", STR_ARG(family), (long long)turn);
    struct str sealed = seal(c->arena, c->pf->token_seal, STR("token.refresh"), plain);
    return codec_to_base64url(c->arena, sealed.p, sealed.n);
}

static enum err token_open(struct ctx *c, struct str token, struct str *family, int64_t *turn)
{
    struct str sealed, plain;
    if (!token.n || token.n > 256 || codec_base64url(c->arena, token, &sealed) != ERR_OK ||
        unseal(c->arena, c->pf->token_seal, STR("token.refresh"), sealed, &plain) != ERR_OK)
        return ERR_NOT_FOUND;
    *family = str_sub(plain, 0, ID_LEN);
    return str_to_i64(str_after(plain, ID_LEN + 1), turn) ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- the row
 * ------------------------------------------------------------------------------------- */
struct grant_row {
    struct str id, person, client_id, data;
    int64_t turn, now_ms, until_ms, ended_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    struct grant_row *r = arg;
    return db_exec(
        db,
        "INSERT INTO refresh_grant(id, person, client_id, turn, data, created_at, used_at, "
        "until_at, ended_at) VALUES($1, $2, $3, 1, $4, $5, $5, $6, 0)",
        "sssbii", r->id, r->person, r->client_id, r->data, r->now_ms, r->until_ms);
}

static enum err row_read(struct ctx *c, struct str id, struct grant_row *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT person, client_id, turn, data, until_at, ended_at "
                              "FROM refresh_grant WHERE id = $1",
                              "s", id);
    if (e == ERR_OK)
        *out = (struct grant_row){.id = id,
                                  .person = db_str(&r, 0, 0),
                                  .client_id = db_str(&r, 0, 1),
                                  .turn = db_i64(&r, 0, 2),
                                  .data = db_str(&r, 0, 3),
                                  .until_ms = db_i64(&r, 0, 4),
                                  .ended_ms = db_i64(&r, 0, 5),
                                  .now_ms = clock_now_ms()};
    return e;
}

enum err refresh_holds(struct ctx *c, struct str person, struct str client_id, bool *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = false;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT 1 FROM refresh_grant WHERE person = $1 AND client_id = $2 AND "
                          "ended_at = 0 AND until_at > $3 LIMIT 1",
                          "ssi", person, client_id, clock_now_ms());
    *out = e == ERR_OK && r.n_rows > 0;
    return e;
}

enum err refresh_begin(struct ctx *c, struct minting *m, struct str *token)
{
    static const char *const kept[] = {"scope", "claims",       "person", "acr",
                                       "amr",   "auth_time_ms", "sid",    "provider"};
    json_t *v = json_object();
    int64_t now_ms = clock_now_ms();
    struct grant_row row = {.id = m->jti,
                            .person = m->person,
                            .client_id = m->k->id,
                            .now_ms = now_ms,
                            .until_ms = now_ms + refresh_life_ms};
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (json_get(m->data, kept[i]))
            json_object_set(v, kept[i], json_get(m->data, kept[i]));
    json_object_set_new(v, "jkt", json_str(m->binding.jkt));
    json_object_set_new(v, "x5t", json_str(m->binding.x5t));
    enum err e = vault_seal(c, m->person, "refresh.data", json_text(c->arena, v), &row.data);
    json_decref(v);
    if (e == ERR_OK)
        e = db_write(c->pf->db, row_insert, &row);
    m->family = m->jti;
    *token = token_make(c, m->family, 1);
    return e;
}

/* ---- its end
 * ------------------------------------------------------------------------------------- */
enum err refresh_end(struct db_conn *db, struct str family, int64_t now_ms)
{
    int64_t changed = 0;
    char key[8 + ID_LEN];
    struct str name = str_sub(family, 0, ID_LEN);
    memcpy(key, "family:", 7);
    memcpy(key + 7, name.p, name.n);
    enum err e = db_exec_count(
        db, &changed, "UPDATE refresh_grant SET ended_at = $2 WHERE id = $1 AND ended_at = 0", "si",
        name, now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    return e == ERR_OK ? change_add(db, "deny", str_of(key, 7 + name.n), now_ms + DENY_MS) : e;
}

static enum err end_write(struct db_conn *db, void *arg)
{
    const struct grant_row *r = arg;
    return refresh_end(db, r->id, r->now_ms);
}

/* Journalled, once: who asks a thousand times writes one entry. */
static enum err end_with(struct ctx *c, struct grant_row *row, const char *kind, struct str actor)
{
    struct act act;
    struct act_info info = {.kind = kind, .actor = actor, .object = row->id, .person = row->person};
    struct client *k;
    if (client_get(c, row->client_id, &k) == ERR_OK)
        info.told = json_pack("{s:{s:s,s:s},s:o}", "title", "fr", "Fin d’un accès durable", "en",
                              "End of a lasting access", "consumer", client_name(k));
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, end_write, row, &act, 1);
    return e == ERR_CONFLICT ? ERR_OK : e;
}

enum err refresh_revoke(struct ctx *c, const struct client *k, struct str token)
{
    struct grant_row row;
    struct str family;
    int64_t turn;
    enum err e = token_open(c, token, &family, &turn);
    if (e == ERR_OK)
        e = row_read(c, family, &row);
    if (e == ERR_OK && !str_eq(row.client_id, k->id))
        e = ERR_NOT_FOUND;
    return e == ERR_OK ? end_with(c, &row, "identity.grant_ended", k->id) : e;
}

/* ---- use
 * ----------------------------------------------------------------------------------------- */
static enum err turn_write(struct db_conn *db, void *arg)
{
    const struct grant_row *r = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE refresh_grant SET turn = turn + 1, used_at = $3 WHERE id = $1 "
                      "AND turn = $2 AND ended_at = 0",
                      "sii", r->id, r->turn, r->now_ms);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

static bool is_subset(struct str of, struct str scopes)
{
    struct str part;
    while (scopes.n && str_split(&scopes, ' ', &part))
        if (part.n && !list_has(of, part))
            return false;
    return true;
}

static enum err stale(struct ctx *c, struct grant_row *row)
{
    log_warn("refresh_replayed", "trace", c->trace_id, "client", row->client_id.p);
    enum err e = end_with(c, row, "identity.refresh_replayed", row->client_id);
    if (e != ERR_OK && e != ERR_UNAVAILABLE)
        return e;
    return oauth_fail(c, 400, "invalid_grant",
                      "the refresh token was used before: access has ended");
}

/* What the row keeps, checked against what this request brings. */
static enum err data_of(struct ctx *c, struct grant_row *row, const struct binding *b,
                        struct minting *m, const char **why)
{
    struct str plain, scope = ctx_form(c, "scope");
    json_t *v;
    *why = NULL;
    enum err e = vault_open(c, row->person, "refresh.data", row->data, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    m->data = json_own(&c->pool, v);
    struct str jkt = json_get_str(v, "jkt"), x5t = json_get_str(v, "x5t");
    if ((jkt.n && !str_eq(jkt, b->jkt)) || (x5t.n && !str_eq(x5t, b->x5t)))
        *why = "the refresh token is bound to another key";
    else if (scope.n && !is_subset(json_get_str(v, "scope"), scope))
        *why = "scope";
    e = *why ? ERR_OK : minting_fill(c, m);
    if (e == ERR_OK && scope.n)
        m->scope = scope;
    return e;
}

enum err refresh_use(struct ctx *c, const struct client *k, const struct binding *b)
{
    struct grant_row row;
    struct str family;
    int64_t turn;
    char jti[ID_LEN + 1];
    const char *why;
    struct minting m = {.k = k, .binding = *b};
    struct str token = ctx_form(c, "refresh_token");
    if (!token.p)
        return oauth_fail(c, 400, "invalid_request", "refresh_token is missing");
    enum err e = token_open(c, token, &family, &turn);
    if (e == ERR_OK)
        e = row_read(c, family, &row);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && !str_eq(row.client_id, k->id)))
        return oauth_fail(c, 400, "invalid_grant", "the refresh token is not known");
    if (e != ERR_OK)
        return e;
    if (row.ended_ms || row.until_ms < row.now_ms)
        return oauth_fail(c, 400, "invalid_grant", "the access has ended");
    e = data_of(c, &row, b, &m, &why);
    if (e == ERR_NOT_FOUND)
        return oauth_fail(c, 400, "invalid_grant", "the account is closed");
    if (e != ERR_OK)
        return e;
    if (why)
        return strcmp(why, "scope") == 0
                   ? oauth_fail(c, 400, "invalid_scope", "scope goes beyond what was granted")
                   : oauth_fail(c, 400, "invalid_grant", why);
    if (turn != row.turn)
        return stale(c, &row);
    e = db_write(c->pf->db, turn_write, &row);
    if (e == ERR_CONFLICT) /* another request with the same token was faster */
        return stale(c, &row);
    if (e != ERR_OK)
        return e;
    id_new(jti);
    m.jti = arena_dup(c->arena, str_from(jti));
    m.family = family;
    return mint_answer(c, &m, token_make(c, family, row.turn + 1));
}

/* ---- for the person: who holds one
 * ------------------------------------------------------------------ */
enum err identity_call_grants(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query(db, c->arena, &r,
                 "SELECT g.id, g.client_id, k.name_fr, k.name_en, g.created_at, g.used_at, "
                 "g.until_at FROM refresh_grant g JOIN client k ON k.id = g.client_id "
                 "WHERE g.person = $1 AND g.ended_at = 0 AND g.until_at > $2 "
                 "ORDER BY g.created_at DESC LIMIT 200",
                 "si", json_get_str(args, "person"), clock_now_ms());
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, json_pack("{s:s,s:s,s:{s:s,s:s},s:I,s:I,s:I}", "id",
                                               db_z(&r, i, 0), "client_id", db_z(&r, i, 1), "name",
                                               "fr", db_z(&r, i, 2), "en", db_z(&r, i, 3),
                                               "created_at", (json_int_t)db_i64(&r, i, 4),
                                               "used_at", (json_int_t)db_i64(&r, i, 5), "until_at",
                                               (json_int_t)db_i64(&r, i, 6)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

enum err identity_call_grant_end(struct ctx *c, const json_t *args, json_t **out)
{
    struct grant_row row;
    enum err e = row_read(c, json_get_str(args, "id"), &row);
    if (e == ERR_OK && !str_eq(row.person, json_get_str(args, "person")))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = end_with(c, &row, "identity.grant_ended", STR("self"));
    *out = e == ERR_OK ? json_object() : NULL;
    return e;
}
