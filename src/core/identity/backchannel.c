#include "core/identity/backchannel.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/person.h"
#include "web/client.h"

enum {
    CLIENTS_MAX = 200,
    TRIES_MAX = 10, /* the last one some 85 minutes after the first */
    FIRST_AGAIN_MS = 5000,
    HELD_MS = 30 * 1000, /* one node at a time */
    TOKEN_LIFE_S = 120,
};

bool backchannel_wants(struct ctx *c, const struct client *k)
{
    return k->logout_uri.n || site_of_client(c->arena, k->id);
}

enum err backchannel_note(struct db_conn *db, struct str sid, struct str client_id,
                          int64_t until_ms)
{
    return db_exec(db,
                   "INSERT INTO session_client(sid, client_id, until_at) VALUES($1, $2, $3) "
                   "ON CONFLICT (sid, client_id) DO NOTHING",
                   "ssi", sid, client_id, until_ms);
}

/* ---- the end of a session
 * --------------------------------------------------------------------------- */
struct notices {
    struct str sid, person, clients[CLIENTS_MAX], ids[CLIENTS_MAX], subs[CLIENTS_MAX];
    size_t n;
    int64_t now_ms;
};

static enum err notices_write(struct db_conn *db, void *arg)
{
    const struct notices *n = arg;
    enum err e = db_exec(db, "DELETE FROM session_client WHERE sid = $1", "s", n->sid);
    for (size_t i = 0; i < n->n && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO logout_notice(id, client_id, person, sid, tries, next_at, "
                    "created_at) VALUES($1, $2, $3, $4, 0, $5, $5)",
                    "ssssi", n->ids[i], n->clients[i], n->subs[i], n->sid, n->now_ms);
    return e;
}

static enum err sub_of(struct ctx *c, const struct client *k, struct str person, struct str *sub)
{
    json_t *claims;
    enum err e = person_claims(c, person, &claims);
    return e == ERR_OK ? person_sub(c, person, claims, k, sub) : e;
}

/* A site of ours needs no message. */
static enum err end_at_site(struct ctx *c, const struct site *site, const struct client *k,
                            struct str person)
{
    struct str sub;
    enum err e = sub_of(c, k, person, &sub);
    return e == ERR_OK ? session_end_all(c, site->host, sub) : e;
}

static enum err add(struct ctx *c, struct notices *n, struct str client_id)
{
    struct client *k;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    enum err e = client_get(c, client_id, &k);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    const struct site *site = site_of_client(c->arena, client_id);
    if (site)
        e = end_at_site(c, site, k, n->person);
    if (e != ERR_OK || !k->logout_uri.n)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    struct str sub;
    e = sub_of(c, k, n->person, &sub);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e; /* erased before */
    /* By her name there, and not as a person: she may be erased before the client answers. */
    n->subs[n->n] = arena_printf(c->arena, "sub:" STR_FMT, STR_ARG(sub));
    id_new(id);
    n->ids[n->n] = str_from(id);
    n->clients[n->n++] = client_id;
    return ERR_OK;
}

enum err backchannel_end(struct ctx *c, struct str sid, struct str person)
{
    struct db_result r;
    struct notices *n = arena_new(c->arena, struct notices);
    *n = (struct notices){.sid = sid, .person = person, .now_ms = clock_now_ms()};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    if (!sid.n)
        return ERR_OK;
    enum err e =
        db_query(db, c->arena, &r, "SELECT client_id FROM session_client WHERE sid = $1 LIMIT 200",
                 "s", sid);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        e = add(c, n, db_str(&r, i, 0));
    return e == ERR_OK && r.n_rows ? db_write(c->pf->db, notices_write, n) : e;
}

/* ---- delivery
 * --------------------------------------------------------------------------------------- */
struct notice {
    struct str id, client_id, person, sid;
    int64_t tries, next_ms, now_ms;
    bool done;
};

/* One node takes it. */
static enum err take(struct db_conn *db, void *arg)
{
    const struct notice *n = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed, "UPDATE logout_notice SET next_at = $3 WHERE id = $1 AND next_at = $2", "sii",
        n->id, n->next_ms, n->now_ms + HELD_MS);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

static enum err settle(struct db_conn *db, void *arg)
{
    const struct notice *n = arg;
    if (n->done)
        return db_exec(db, "DELETE FROM logout_notice WHERE id = $1", "s", n->id);
    return db_exec(db, "UPDATE logout_notice SET tries = $2, next_at = $3 WHERE id = $1", "sii",
                   n->id, n->tries + 1, n->now_ms + ((int64_t)FIRST_AGAIN_MS << n->tries));
}

static enum err logout_token(struct ctx *c, const struct notice *n, const struct client *k,
                             struct str *out)
{
    struct str sub;
    char jti[ID_LEN + 1];
    int64_t now_s = n->now_ms / 1000;
    id_new(jti);
    enum err e = ERR_OK;
    if (str_starts(n->person, STR("sub:")))
        sub = str_after(n->person, 4);
    else /* queued by an older program */
        e = sub_of(c, k, n->person, &sub);
    if (e != ERR_OK)
        return e;
    json_t *v =
        json_pack("{s:s,s:s%,s:s%,s:I,s:I,s:s,s:s%,s:{s:{}}}", "iss", c->pf->settings->base_url,
                  "sub", sub.p, sub.n, "aud", k->id.p, k->id.n, "iat", (json_int_t)now_s, "exp",
                  (json_int_t)(now_s + TOKEN_LIFE_S), "jti", jti, "sid", n->sid.p, n->sid.n,
                  "events", "http://schemas.openid.net/event/backchannel-logout");
    e = keys_sign_jws(c->pf->keys, "issuer", k->id_token_alg, "logout+jwt", json_text(c->arena, v),
                      c->arena, out);
    json_decref(v);
    return e;
}

/* Is it over, told or not to be told any more? */
static bool send(struct ctx *c, const struct notice *n)
{
    struct client *k;
    struct str token;
    struct client_answer answer = {0};
    static const struct http_header form = {STR("Content-Type"),
                                            STR("application/x-www-form-urlencoded")};
    enum err e = client_get(c, n->client_id, &k);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && !k->logout_uri.n))
        return true;
    if (e == ERR_OK)
        e = logout_token(c, n, k, &token);
    if (e == ERR_NOT_FOUND)
        return true; /* the person was erased */
    if (e != ERR_OK)
        return false;
    struct client_call call = {
        .method = "POST",
        .url = k->logout_uri,
        .headers = &form,
        .n_headers = 1,
        .answer_max = 64 * 1024,
        .body = arena_printf(c->arena, "logout_token=" STR_FMT, STR_ARG(token)),
        .allow_inside = c->pf->settings->allow_inside || c->pf->settings->demo};
    e = client_send(c->arena, &call, &answer);
    bool told = e == ERR_OK && answer.status >= 200 && answer.status < 300;
    bool refused = e == ERR_OK && answer.status >= 400 && answer.status < 500;
    bool last = n->tries + 1 >= TRIES_MAX;
    if (!told)
        log_info("logout_not_told", "client", k->id.p, "why",
                 refused ? "refused"
                 : last  ? "given up"
                         : "later");
    return told || refused || last;
}

static void deliver(struct ctx *c, struct notice *n)
{
    if (db_write(c->pf->db, take, n) != ERR_OK)
        return;
    n->done = send(c, n);
    if (db_write(c->pf->db, settle, n) != ERR_OK)
        log_warn("logout_notice_not_settled", "id", n->id.p);
}

void backchannel_deliver(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    int64_t now_ms = clock_now_ms();
    if (!db)
        return;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    if (db_query(db, c->arena, &r,
                 "SELECT id, client_id, person, sid, tries, next_at FROM logout_notice "
                 "WHERE next_at <= $1 ORDER BY next_at LIMIT 20",
                 "i", now_ms) == ERR_OK)
        for (size_t i = 0; i < r.n_rows; i++) {
            struct notice n = {.id = db_str(&r, i, 0),
                               .client_id = db_str(&r, i, 1),
                               .person = db_str(&r, i, 2),
                               .sid = db_str(&r, i, 3),
                               .tries = db_i64(&r, i, 4),
                               .next_ms = db_i64(&r, i, 5),
                               .now_ms = clock_now_ms()};
            deliver(c, &n);
        }
    ctx_free(c);
    arena_free(&a);
}
