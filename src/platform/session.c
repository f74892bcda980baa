/* Sessions. The cookie is a secret of 256 bits; the table keeps its hash, and the data sealed under
 * a key derived from the cookie: a copy of the table opens nothing. */
#include "platform/ctx.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "platform/session.h"

static const char COOKIE[] = "socle";
static const int64_t DAY_MS = 86400000;
enum { TOUCH_MS = 60 * 1000 }; /* how stale `seen_at` may be: saves a write per request */

/* The names of cookies are per site, so that two sites on one host never share one. */
static const char *cookie_of(const struct ctx *c)
{
    return c->site && c->site->kind == SITE_ORG ? "socle_org" : COOKIE;
}

static void derive(struct str secret, const char *use, uint8_t key[32])
{
    hkdf_sha256(secret, STR("socle/session/1"), str_from(use), key, 32);
}

static struct str id_of(struct ctx *c, struct str secret)
{
    uint8_t hash[32];
    sha256(secret.p, secret.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

static struct str seal_data(struct ctx *c, struct str secret, struct str id, const json_t *data)
{
    uint8_t key[32];
    derive(secret, "data", key);
    struct str sealed = seal(c->arena, key, id, json_text(c->arena, data));
    mem_wipe(key, sizeof key);
    return sealed;
}

static enum err open_data(struct ctx *c, struct str secret, struct str id, struct str sealed,
                          json_t **data)
{
    uint8_t key[32];
    struct str plain;
    derive(secret, "data", key);
    enum err e = unseal(c->arena, key, id, sealed, &plain);
    mem_wipe(key, sizeof key);
    return e == ERR_OK ? json_read(plain, data, NULL) : e;
}

static void set_csrf(struct ctx *c, struct session *s, struct str secret)
{
    uint8_t key[32];
    derive(secret, "csrf", key);
    s->csrf = codec_to_base64url(c->arena, key, 24);
}

/* What ran out still tells whose it was, so that what its page sends is not lost. */
static void set_ended(struct ctx *c, struct str secret, struct str subject, enum role role)
{
    c->ended = arena_new(c->arena, struct session);
    *c->ended = (struct session){.subject = subject, .role = role};
    set_csrf(c, c->ended, secret);
}

struct touch {
    struct str id;
    int64_t now_ms;
};

static enum err touch_row(struct db_conn *db, void *arg)
{
    struct touch *t = arg;
    return db_exec(db, "UPDATE session SET seen_at = $2 WHERE id = $1", "si", t->id, t->now_ms);
}

enum err session_load(struct ctx *c)
{
    struct db_result r;
    struct str secret = ctx_cookie_get(c, cookie_of(c));
    if (!secret.p || secret.n != SECRET_LEN)
        return ERR_OK;
    struct str id = id_of(c, secret);
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT host, subject, role, data, created_at, seen_at FROM session "
                              "WHERE id = $1",
                              "s", id);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    int64_t now_ms = clock_now_ms(), seen_ms = db_i64(&r, 0, 5);
    const struct settings *s = c->pf->settings;
    if (!str_eq(db_str(&r, 0, 0), c->site->host))
        return ERR_OK;
    if (seen_ms + s->session_idle_s * 1000 < now_ms ||
        db_i64(&r, 0, 4) + s->session_max_s * 1000 < now_ms) {
        set_ended(c, secret, db_str(&r, 0, 1), (enum role)db_i64(&r, 0, 2));
        return ERR_OK;
    }
    json_t *data;
    if (open_data(c, secret, id, db_str(&r, 0, 3), &data) != ERR_OK)
        return ERR_OK;
    c->session = arena_new(c->arena, struct session);
    *c->session = (struct session){.id = id,
                                   .subject = db_str(&r, 0, 1),
                                   .role = (enum role)db_i64(&r, 0, 2),
                                   .data = data,
                                   .created_ms = db_i64(&r, 0, 4)};
    c->session->expires_ms = c->session->created_ms + s->session_max_s * 1000;
    set_csrf(c, c->session, secret);
    if (now_ms - seen_ms > TOUCH_MS) {
        struct touch t = {id, now_ms};
        return db_write(c->pf->db, touch_row, &t);
    }
    return ERR_OK;
}

struct row {
    struct str id, host, subject, data, old_id;
    int64_t role, now_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    struct row *r = arg;
    enum err e = db_exec(db, "DELETE FROM session WHERE id = $1", "s", r->old_id);
    if (e != ERR_OK)
        return e;
    return db_exec(db,
                   "INSERT INTO session(id, host, subject, role, data, created_at, seen_at) "
                   "VALUES($1, $2, $3, $4, $5, $6, $6)",
                   "sssibi", r->id, r->host, r->subject, r->role, r->data, r->now_ms);
}

enum err session_start(struct ctx *c, struct str subject, enum role role, json_t *data)
{
    char *secret_text = arena_alloc(c->arena, SECRET_LEN + 1);
    secret_new(secret_text);
    struct str secret = str_from(secret_text);
    struct row row = {.id = id_of(c, secret),
                      .host = c->site->host,
                      .subject = subject,
                      .role = role,
                      .now_ms = clock_now_ms(),
                      .old_id = c->session ? c->session->id : STR("")};
    row.data = seal_data(c, secret, row.id, data);
    enum err e = db_write(c->pf->db, row_insert, &row);
    if (e != ERR_OK) {
        json_decref(data);
        return e;
    }
    if (c->session)
        json_decref(c->session->data);
    c->session = arena_new(c->arena, struct session);
    *c->session = (struct session){.id = row.id,
                                   .subject = arena_dup(c->arena, subject),
                                   .role = role,
                                   .data = data,
                                   .created_ms = row.now_ms};
    c->session->expires_ms = row.now_ms + c->pf->settings->session_max_s * 1000;
    set_csrf(c, c->session, secret);
    ctx_cookie(c, cookie_of(c), secret, -1);
    return ERR_OK;
}

static enum err row_update(struct db_conn *db, void *arg)
{
    struct row *r = arg;
    return db_exec(db, "UPDATE session SET data = $2, seen_at = $3 WHERE id = $1", "sbi", r->id,
                   r->data, r->now_ms);
}

enum err session_save(struct ctx *c)
{
    struct str secret = ctx_cookie_get(c, cookie_of(c));
    if (!c->session || !secret.p || !str_eq(id_of(c, secret), c->session->id))
        return ERR_NOT_FOUND;
    struct row row = {.id = c->session->id, .now_ms = clock_now_ms()};
    row.data = seal_data(c, secret, row.id, c->session->data);
    return db_write(c->pf->db, row_update, &row);
}

static enum err row_delete(struct db_conn *db, void *arg)
{
    return db_exec(db, "DELETE FROM session WHERE id = $1", "s", ((struct row *)arg)->id);
}

enum err session_end(struct ctx *c)
{
    if (!c->session)
        return ERR_OK;
    struct row row = {.id = c->session->id};
    enum err e = db_write(c->pf->db, row_delete, &row);
    json_decref(c->session->data);
    c->session = NULL;
    ctx_cookie(c, cookie_of(c), STR(""), 0);
    return e;
}

static enum err rows_delete(struct db_conn *db, void *arg)
{
    struct row *r = arg;
    return db_exec(db, "DELETE FROM session WHERE host = $1 AND subject = $2", "ss", r->host,
                   r->subject);
}

enum err session_end_all(struct ctx *c, struct str host, struct str subject)
{
    struct row row = {.host = host, .subject = subject};
    return db_write(c->pf->db, rows_delete, &row);
}

struct sweep {
    int64_t idle_before_ms, made_before_ms, kept_before_ms;
};

static enum err rows_sweep(struct db_conn *db, void *arg)
{
    struct sweep *s = arg;
    enum err e = db_exec(db, "DELETE FROM session WHERE seen_at < $1 OR created_at < $2", "ii",
                         s->idle_before_ms, s->made_before_ms);
    return e == ERR_OK
               ? db_exec(db, "DELETE FROM kept_form WHERE created_at < $1", "i", s->kept_before_ms)
               : e;
}

enum err session_sweep(struct platform *pf)
{
    /* Sessions that ran out stay for a day, to know whose a late form is; they open nothing. */
    int64_t day_ago_ms = clock_now_ms() - DAY_MS;
    struct sweep s = {day_ago_ms - pf->settings->session_idle_s * 1000,
                      day_ago_ms - pf->settings->session_max_s * 1000, day_ago_ms};
    return db_write(pf->db, rows_sweep, &s);
}
