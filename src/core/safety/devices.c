/* Arriving: is she let in, is the device one she uses, and the mail when it is not. */
#include "core/safety/safety.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "platform/device.h"
#include "platform/mail.h"
#include "platform/throttle.h"
#include "web/pages.h"

static const char COOKIE[] = "socle_device";
static const int64_t DAY_MS = 86400 * 1000LL;
enum { REMEMBERED_DAYS = 90, TRUSTED_DAYS = 390 /* 13 months */, DEVICES_MAX = 50 };

/* Sign-ins that fail are counted by where they come from (identity does it). */
static const struct throttle_rule failures = {"signin-failures", 5, 1};

json_t *safety_open(struct ctx *c, struct str person, struct str sealed)
{
    struct str plain;
    json_t *v;
    if (vault_open(c, person, "safety", sealed, &plain) != ERR_OK ||
        json_read(plain, &v, NULL) != ERR_OK)
        return NULL;
    return json_own(&c->pool, v);
}

enum err safety_seal(struct ctx *c, struct str person, json_t *v, struct str *out)
{
    enum err e = vault_seal(c, person, "safety", json_text(c->arena, v), out);
    json_decref(v);
    return e;
}

static struct str hash_of(struct ctx *c, struct str cookie)
{
    uint8_t hash[SHA256_LEN];
    sha256(cookie.p, cookie.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

/* The id of this browser; .n 0: it has none. */
static struct str device_here(struct ctx *c)
{
    struct str cookie = c->rq ? ctx_cookie_get(c, COOKIE) : STR_NONE;
    return cookie.p && cookie.n == SECRET_LEN ? hash_of(c, cookie) : STR("");
}

/* ---- what is known ------------------------------------------------------------------------------
 */
struct known {
    bool device, trusted, any, network; /* network: one she came from before */
};

static int64_t remembered_since(int64_t now_ms, bool trusted)
{
    return now_ms - (trusted ? TRUSTED_DAYS : REMEMBERED_DAYS) * DAY_MS;
}

static enum err known_read(struct ctx *c, struct str person, struct str here, struct str network,
                           struct known *k)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    int64_t now_ms = clock_now_ms();
    *k = (struct known){0};
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, data, trusted, last_at FROM device WHERE person = $1 "
                          "ORDER BY last_at DESC LIMIT 50",
                          "s", person);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        bool trusted = db_i64(&r, i, 2) != 0;
        json_t *d = safety_open(c, person, db_str(&r, i, 1));
        k->any = true;
        k->network |= d && str_eq(json_get_str(d, "network"), network);
        if (str_eq(db_str(&r, i, 0), here) &&
            db_i64(&r, i, 3) > remembered_since(now_ms, trusted)) {
            k->device = true;
            k->trusted = trusted;
        }
    }
    return e;
}

/* ---- judging ------------------------------------------------------------------------------------
 */
static struct str network_here(struct ctx *c)
{
    return c->rq ? device_network(c->arena, c->rq->remote) : STR("");
}

/* May she come in by this provider? And does this sign-in look like somebody else's: a device and a
 * network that are new to her, from where many sign-ins failed. */
enum err safety_call_judge(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct known k;
    struct str person = json_get_str(args, "person"), provider = json_get_str(args, "provider");
    struct str network = network_here(c);
    struct db_conn *db = db_read(c->pf->db);
    const char *state = "open";
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT provider FROM block WHERE person = $1 AND (provider = '' OR "
                          "provider = $2) ORDER BY provider",
                          "ss", person, provider);
    if (e == ERR_OK)
        e = known_read(c, person, device_here(c), network, &k);
    if (e != ERR_OK)
        return e;
    if (r.n_rows)
        state = db_str(&r, 0, 0).n ? "provider" : "account";
    bool strange = !k.device && k.any && !k.network && throttle_wait(&failures, network) > 0;
    *out = json_pack("{s:s,s:b,s:b}", "state", state, "new_device", !k.device && k.any,
                     "suspicious", strange);
    return ERR_OK;
}

/* ---- arriving -----------------------------------------------------------------------------------
 */
struct arrival {
    struct str device, person, session, sid, provider, device_data, session_data;
    struct mail_sealed mail;
    int64_t now_ms;
};

static enum err arrival_write(struct db_conn *db, void *arg)
{
    const struct arrival *a = arg;
    enum err e = db_exec(db,
                         "INSERT INTO device(id, person, data, trusted, first_at, last_at) "
                         "VALUES($1, $2, $3, 0, $4, $4) ON CONFLICT (id, person) DO UPDATE SET "
                         "data = $3, last_at = $4",
                         "ssbi", a->device, a->person, a->device_data, a->now_ms);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO signed_in(session, person, sid, provider, device, data, at) "
                    "VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (session) DO NOTHING",
                    "sssssbi", a->session, a->person, a->sid, a->provider, a->device,
                    a->session_data, a->now_ms);
    return e == ERR_OK ? mail_queue(db, &a->mail, a->now_ms) : e;
}

enum err safety_address(struct ctx *c, struct str person, struct str *address)
{
    json_t *found, *args = json_pack("{s:s%}", "person", person.p, person.n);
    enum err e = platform_call(c, "identity.address", args, &found);
    json_decref(args);
    *address = e == ERR_OK ? json_get_str(found, "email") : STR("");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

struct str safety_text(struct ctx *c, const char *key, const json_t *data)
{
    return pages_text(c->arena, "safety", key, c->lang, data);
}

static const char *in_lang(struct ctx *c, const json_t *v)
{
    return json_get_z(v, c->lang, json_get_z(v, "fr", ""));
}

static enum err alert(struct ctx *c, const json_t *args, const json_t *kind, struct str network,
                      struct arrival *a)
{
    struct str to = json_get_str(args, "email");
    if (!mail_address_ok(to)) {
        log_info("no_address_for_alert", "trace", c->trace_id);
        return ERR_OK;
    }
    json_t *d = json_object();
    bool local = str_eq_z(network, "local") || !network.n;
    json_object_set_new(d, "when", json_str(clock_in_words(c->arena, a->now_ms, c->lang, true)));
    json_object_set_new(d, "service", json_string(in_lang(c, json_get(args, "service"))));
    json_object_set_new(d, "provider", json_string(in_lang(c, json_get(args, "provider_name"))));
    json_object_set_new(d, "device", json_string(in_lang(c, kind)));
    json_object_set_new(d, "network",
                        json_str(local ? safety_text(c, "network.local", NULL) : network));
    json_object_set_new(d, "brand", json_string(c->pf->settings->brand_name));
    json_object_set_new(d, "link", json_str(safety_link(c, a->person, a->provider, a->session)));
    json_object_set_new(d, "account", json_str(portal_url(c, "/account/security")));
    struct mail m = {.owner = arena_dupz(c->arena, a->person),
                     .to = to,
                     .subject = safety_text(c, "mail.new_device.subject", d),
                     .text = safety_text(c, "mail.new_device.text", d),
                     .kind = "identity.new_device"};
    enum err e = mail_seal(c, &m, &a->mail);
    json_decref(d);
    if (e == ERR_INVALID) { /* what cannot be sent keeps nobody out */
        log_warn("alert_not_written", "trace", c->trace_id);
        e = ERR_OK;
    }
    return e;
}

static struct str device_give(struct ctx *c)
{
    struct str cookie = ctx_cookie_get(c, COOKIE);
    if (!cookie.p || cookie.n != SECRET_LEN) {
        char *fresh = arena_alloc(c->arena, SECRET_LEN + 1);
        secret_new(fresh);
        cookie = str_from(fresh);
    }
    ctx_cookie(c, COOKIE, cookie, TRUSTED_DAYS * 86400);
    return hash_of(c, cookie);
}

enum err safety_call_arrived(struct ctx *c, const json_t *args, json_t **out)
{
    struct known k;
    struct arrival a = {.person = json_get_str(args, "person"),
                        .session = json_get_str(args, "session"),
                        .sid = json_get_str(args, "sid"),
                        .provider = json_get_str(args, "provider"),
                        .now_ms = clock_now_ms()};
    struct str network = network_here(c);
    enum err e = known_read(c, a.person, device_here(c), network, &k);
    if (e != ERR_OK)
        return e;
    a.device = device_give(c);
    json_t *kind = json_own(&c->pool, device_kind(c->arena, ctx_header(c, "User-Agent")));
    e = safety_seal(
        c, a.person,
        json_pack("{s:O,s:s%}", "label", kind, "network", network.p ? network.p : "", network.n),
        &a.device_data);
    if (e == ERR_OK)
        e = safety_seal(c, a.person,
                        json_pack("{s:O,s:s%,s:O?,s:O?}", "label", kind, "network",
                                  network.p ? network.p : "", network.n, "provider_name",
                                  json_get(args, "provider_name"), "acr", json_get(args, "acr")),
                        &a.session_data);
    bool is_new = !k.device && k.any;
    if (e == ERR_OK && is_new)
        e = alert(c, args, kind, network, &a);
    if (e == ERR_OK)
        e = db_write(c->pf->db, arrival_write, &a);
    *out = json_pack("{s:b}", "new_device", is_new);
    return e;
}

/* ---- forgetting those that nobody came with for long --------------------------------------------
 */
static enum err stale_write(struct db_conn *db, void *arg)
{
    return db_exec(db, "DELETE FROM device WHERE last_at < $1", "i", *(int64_t *)arg);
}

void safety_devices_sweep(struct platform *pf, int64_t now_ms)
{
    int64_t since_ms = remembered_since(now_ms, true);
    if (db_write(pf->db, stale_write, &since_ms) != ERR_OK)
        log_warn("devices_sweep_failed");
}

/* ---- the list -----------------------------------------------------------------------------------
 */
enum err safety_devices(struct ctx *c, json_t **out)
{
    struct db_result r;
    struct str person = c->session->subject, here = device_here(c);
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, data, trusted, first_at, last_at FROM device WHERE person = "
                          "$1 ORDER BY last_at DESC LIMIT 50",
                          "s", person);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++) {
        json_t *d = safety_open(c, person, db_str(&r, i, 1));
        if (!d)
            continue;
        json_array_append_new(
            items,
            json_pack("{s:s,s:O,s:O,s:b,s:I,s:I,s:b}", "id", db_z(&r, i, 0), "label",
                      json_get(d, "label"), "network", json_get(d, "network"), "trusted",
                      db_i64(&r, i, 2) != 0, "first_at", (json_int_t)db_i64(&r, i, 3), "last_at",
                      (json_int_t)db_i64(&r, i, 4), "here", str_eq(db_str(&r, i, 0), here)));
    }
    *out = json_own(&c->pool, json_pack("{s:o}", "items", items));
    return ERR_OK;
}

struct device_set {
    struct str id, person;
    int trusted;
};

static enum err device_write(struct db_conn *db, void *arg)
{
    const struct device_set *s = arg;
    int64_t changed = 0;
    enum err e =
        s->trusted < 0
            ? db_exec_count(db, &changed, "DELETE FROM device WHERE id = $1 AND person = $2", "ss",
                            s->id, s->person)
            : db_exec_count(db, &changed,
                            "UPDATE device SET trusted = $3 WHERE id = $1 AND person = $2", "ssi",
                            s->id, s->person, (int64_t)s->trusted);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err safety_device_set(struct ctx *c, struct str id, int trusted)
{
    struct act act;
    struct device_set s = {id, c->session->subject, trusted};
    static const char *const kinds[] = {"identity.device_forgotten", "identity.device_untrusted",
                                        "identity.device_trusted"};
    static const char *const fr[] = {"Appareil oublié", "Appareil qui n’est plus de confiance",
                                     "Appareil de confiance"};
    static const char *const en[] = {"Device forgotten", "Device no longer trusted",
                                     "Trusted device"};
    struct act_info info = {
        .kind = kinds[trusted + 1],
        .actor = STR("self"),
        .object = id,
        .person = s.person,
        .told = json_pack("{s:{s:s,s:s}}", "title", "fr", fr[trusted + 1], "en", en[trusted + 1])};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, device_write, &s, &act, 1) : e;
}
