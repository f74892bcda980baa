#include "platform/node.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "data/json.h"
#include "platform/change.h"

enum { SEEN_EVERY_MS = 20 * 1000, KEYS_MAX = 24 };
static const char *const purposes[] = {"issuer", "client", "message"};
static const char SECRETS_SETTING[] = "platform.secrets";

enum err node_id(struct platform *pf, char out[NODE_ID_LEN + 1])
{
    uint8_t raw[32], hash[SHA256_LEN];
    enum err e = keys_public_raw(pf->keys, "journal", raw);
    if (e != ERR_OK)
        return e;
    sha256(raw, sizeof raw, hash);
    for (size_t i = 0; i < NODE_ID_LEN / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return ERR_OK;
}

/* ---- secrets: the same on all nodes
 * -------------------------------------------------------------------------------------- */
/* Says whether two folders have the same secrets, and nothing of what they are. */
static enum err secrets_mark(struct platform *pf, struct arena *a, struct str *out)
{
    static const char *const names[] = {"pairwise", "blind", "client_secret"};
    uint8_t macs[COUNT_OF(names)][SHA256_LEN], hash[SHA256_LEN];
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(names) && e == ERR_OK; i++)
        e = keys_mac(pf->keys, names[i], STR("socle/node/1"), macs[i]);
    sha256(macs, sizeof macs, hash);
    *out = codec_to_base64url(a, hash, sizeof hash);
    return e;
}

struct mark {
    struct str text;
    bool replace;
};

static enum err mark_write(struct db_conn *db, void *arg)
{
    const struct mark *m = arg;
    return m->replace ? db_exec(db,
                                "INSERT INTO setting(name, value) VALUES($1, $2) "
                                "ON CONFLICT (name) DO UPDATE SET value = $2",
                                "zs", SECRETS_SETTING, m->text)
                      : db_exec(db,
                                "INSERT INTO setting(name, value) VALUES($1, $2) "
                                "ON CONFLICT (name) DO NOTHING",
                                "zs", SECRETS_SETTING, m->text);
}

static enum err mark_read(struct platform *pf, struct arena *a, struct str *out)
{
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query_one(db, a, &r, "SELECT value FROM setting WHERE name = $1", "z",
                                    SECRETS_SETTING);
    if (e == ERR_OK)
        *out = db_str(&r, 0, 0);
    return e;
}

static enum err secrets_check(struct platform *pf, struct arena *a)
{
    struct mark m = {0};
    struct str known;
    enum err e = secrets_mark(pf, a, &m.text);
    if (e != ERR_OK)
        return e;
    e = mark_read(pf, a, &known);
    if (e == ERR_NOT_FOUND) {
        e = db_write(pf->db, mark_write, &m);
        if (e == ERR_OK)
            e = mark_read(pf, a, &known); /* another node may have been first */
    }
    if (e != ERR_OK || str_eq(known, m.text))
        return e;
    fprintf(stderr,
            "socle: the secrets in %s/keys are not those of the platform in this database.\n"
            "A new node joins with `socle node join` before its first start; bring a lost secret\n"
            "back from the backup (docs/formats/keys.md).\n",
            pf->settings->data);
    return ERR_DENIED;
}

static enum err removed_check(struct platform *pf, struct arena *a)
{
    struct db_result r;
    char id[NODE_ID_LEN + 1];
    struct db_conn *db = db_read(pf->db);
    enum err e = node_id(pf, id);
    if (e == ERR_OK)
        e = !db ? ERR_UNAVAILABLE
                : db_query_one(db, a, &r, "SELECT removed_at FROM node WHERE id = $1", "z", id);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (db_i64(&r, 0, 0) == 0)
        return ERR_OK;
    fprintf(stderr, "socle: this node (%s) was removed from its platform.\n", id);
    return ERR_DENIED;
}

enum err node_check(struct platform *pf)
{
    struct arena a;
    arena_init(&a);
    enum err e = secrets_check(pf, &a);
    if (e == ERR_OK)
        e = removed_check(pf, &a);
    arena_free(&a);
    return e;
}

enum err node_take_over(struct platform *pf)
{
    struct arena a;
    struct mark m = {.replace = true};
    arena_init(&a);
    enum err e = secrets_mark(pf, &a, &m.text);
    if (e == ERR_OK)
        e = db_write(pf->db, mark_write, &m);
    arena_free(&a);
    return e;
}

/* ---- publishing
 * -------------------------------------------------------------------------------------- */
struct own_key {
    const char *purpose, *kid;
    struct str jwk;
};
struct own {
    char id[NODE_ID_LEN + 1], name[65];
    struct own_key keys[KEYS_MAX];
    size_t n;
    int64_t now_ms;
};

static enum err own_read_purpose(struct platform *pf, struct arena *a, const char *purpose,
                                 struct own *o)
{
    struct str json;
    json_t *doc, *jwk;
    size_t i;
    enum err e = keys_jwks(pf->keys, purpose, a, &json);
    if (e != ERR_OK || (e = json_read(json, &doc, NULL)) != ERR_OK)
        return e;
    json_array_foreach(json_get(doc, "keys"), i, jwk)
    {
        if (o->n == KEYS_MAX) {
            e = ERR_LIMIT;
            break;
        }
        o->keys[o->n++] =
            (struct own_key){purpose, arena_dupz(a, json_get_str(jwk, "kid")), json_text(a, jwk)};
    }
    json_decref(doc);
    return e;
}

/* A node that was removed publishes nothing again. */
static enum err not_removed(struct db_conn *db, const char *id)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    enum err e =
        db_query(db, &a, &r, "SELECT 1 FROM node WHERE id = $1 AND removed_at > 0", "z", id);
    bool removed = e == ERR_OK && r.n_rows > 0;
    arena_free(&a);
    return removed ? ERR_DENIED : e;
}

/* One that is there already keeps the time since when others may know it. */
static enum err own_write(struct db_conn *db, void *arg)
{
    struct own *o = arg;
    int64_t before = 0;
    enum err e = not_removed(db, o->id);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO node(id, name, joined_at, seen_at, removed_at) "
                    "VALUES($1, $2, $3, $3, 0) ON CONFLICT (id) DO UPDATE SET seen_at = $3, "
                    "name = CASE WHEN $2 = '' THEN node.name ELSE $2 END",
                    "zzi", o->id, o->name, o->now_ms);
    if (e == ERR_OK)
        e = db_exec_count(db, &before, "UPDATE node_key SET mark = 0 WHERE node = $1", "z", o->id);
    for (size_t i = 0; i < o->n && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO node_key(node, purpose, kid, jwk, since, mark) "
                    "VALUES($1, $2, $3, $4, $5, 1) ON CONFLICT (purpose, kid) DO UPDATE SET "
                    "mark = 1",
                    "zzzsi", o->id, o->keys[i].purpose, o->keys[i].kid, o->keys[i].jwk, o->now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM node_key WHERE node = $1 AND mark = 0", "z", o->id);
    return e == ERR_OK ? change_add(db, "keys", str_from(o->id), 0) : e;
}

static enum err is_published(struct platform *pf, struct arena *a, const struct own *o, bool *yes)
{
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    *yes = false;
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, a, &r, "SELECT kid FROM node_key WHERE node = $1", "z", o->id);
    if (e != ERR_OK || r.n_rows != o->n)
        return e;
    size_t found = 0;
    for (size_t i = 0; i < r.n_rows; i++)
        for (size_t k = 0; k < o->n; k++)
            found += str_eq_z(db_str(&r, i, 0), o->keys[k].kid);
    *yes = found == o->n;
    return ERR_OK;
}

enum err node_publish(struct platform *pf)
{
    struct arena a;
    struct own o = {.now_ms = clock_now_ms()};
    bool there = false;
    arena_init(&a);
    enum err e = node_id(pf, o.id);
    bool local = pf->journal == NULL; /* a confined process keeps the name that was given */
    if (!local || gethostname(o.name, sizeof o.name - 1) != 0 || !str_is_utf8(str_from(o.name)))
        o.name[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(purposes) && e == ERR_OK; i++)
        e = own_read_purpose(pf, &a, purposes[i], &o);
    if (e == ERR_OK)
        e = is_published(pf, &a, &o, &there);
    if (e == ERR_OK && !there)
        e = db_write(pf->db, own_write, &o);
    arena_free(&a);
    return e;
}

enum err node_keys_make(struct platform *pf)
{
    static const enum jose_alg algs[] = {JOSE_RS256, JOSE_PS256};
    struct arena a;
    struct str sig;
    enum err e = ERR_OK;
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(algs) && e == ERR_OK; i++)
        e = keys_sign(pf->keys, "issuer", algs[i], STR("socle/node/1"), &a, &sig, NULL);
    if (e == ERR_OK)
        e = keys_jwks(pf->keys, "decrypt", &a, &sig);
    arena_free(&a);
    return e;
}

/* ---- the union
 * -------------------------------------------------------------------------------------- */
static bool has_kid(const json_t *keys, struct str kid)
{
    size_t i;
    json_t *k;
    json_array_foreach((json_t *)keys, i, k) if (str_eq(json_get_str(k, "kid"), kid)) return true;
    return false;
}

static void row_add(const struct db_result *r, size_t i, json_t *keys)
{
    json_t *jwk;
    if (!has_kid(keys, db_str(r, i, 0)) && json_read(db_str(r, i, 1), &jwk, NULL) == ERR_OK)
        json_array_append_new(keys, jwk);
}

enum err node_jwks(struct platform *pf, const char *purpose, struct arena *a, struct str *json)
{
    struct db_result r;
    struct str own;
    json_t *doc;
    struct db_conn *db = db_read(pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query(db, a, &r, "SELECT kid, jwk FROM node_key WHERE purpose = $1 ORDER BY node, kid",
                 "z", purpose);
    if (e == ERR_OK)
        e = keys_jwks(pf->keys, purpose, a, &own);
    if (e == ERR_OK)
        e = json_read(own, &doc, NULL);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < r.n_rows; i++)
        row_add(&r, i, json_get(doc, "keys"));
    *json = json_text(a, doc);
    json_decref(doc);
    return ERR_OK;
}

static atomic_uint turn;
static atomic_bool several;

unsigned node_keys_turn(void)
{
    return atomic_load(&turn);
}

bool node_several(void)
{
    return atomic_load_explicit(&several, memory_order_relaxed);
}

/* When it cannot be known, there may be others. */
static void nodes_count(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    arena_init(&a);
    bool alone =
        db &&
        db_query_one(db, &a, &r, "SELECT COUNT(*) FROM node WHERE removed_at = 0", "") == ERR_OK &&
        db_i64(&r, 0, 0) <= 1;
    atomic_store(&several, !alone);
    arena_free(&a);
}

static void on_changes(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    bool keys = n == 0;
    (void)arg;
    for (size_t i = 0; i < n; i++)
        keys |= str_eq_z(list[i].kind, "keys");
    if (!keys)
        return;
    nodes_count(pf);
    atomic_fetch_add(&turn, 1);
}

enum err node_start(struct platform *pf)
{
    change_subscribe(pf, on_changes, NULL);
    return ERR_OK;
}

/* ---- from `jobs`
 * -------------------------------------------------------------------------------------- */
static enum err seen_write(struct db_conn *db, void *arg)
{
    const struct own *o = arg;
    enum err e = db_exec(db, "DELETE FROM node_invite WHERE until_at < $1", "i", o->now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM node_proof WHERE until_at < $1", "i", o->now_ms);
    return e == ERR_OK
               ? db_exec(db, "UPDATE node SET seen_at = $2 WHERE id = $1 AND removed_at = 0", "zi",
                         o->id, o->now_ms)
               : e;
}

/* Keys that were made meanwhile are published, whoever made them. */
void node_tick(struct platform *pf, int64_t now_ms)
{
    static int64_t next_ms;
    struct own o = {.now_ms = now_ms};
    int64_t mono_ms = clock_mono_ms();
    if (mono_ms < next_ms)
        return;
    next_ms = mono_ms + SEEN_EVERY_MS;
    enum err e = node_publish(pf);
    if (e == ERR_OK)
        e = node_id(pf, o.id);
    if (e == ERR_OK)
        e = db_write(pf->db, seen_write, &o);
    if (e == ERR_DENIED)
        log_error("node_removed", "node", o.id);
    else if (e != ERR_OK)
        log_warn("node_not_seen", "error", err_name(e));
}
