/* What the issuer refused a client, kept for its team: a code, the issuer's own words, the address
 * it was sent without its query, and the id that support asks for. Never a personal value. */
#include "core/partners/partners.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "web/pages.h"

enum { SLOTS = 1024, AGAIN_MS = 1000, SWEEP_EVERY_S = 600 };
static const int64_t LIFE_MS = (int64_t)30 * 86400 * 1000;

/* ---- in plain words -----------------------------------------------------------------------------
 */
/* The first row whose code is the refusal's and whose words are in it; texts "refusal.<key>.*". */
static const struct {
    const char *code, *why, *key;
} table[] = {
    {"IDT-400-REDIRECT", "", "redirect"},
    {"IDT-400-REQUEST", "", "request_used"},
    {"IDT-400-LOGOUT", "", "logout"},
    {"IDT-403-LEVEL", "", "level"},
    {"IDT-404-PROVIDER", "", "provider"},
    {"invalid_client", "not authenticated", "auth_missing"},
    {"invalid_client", "assertion", "auth_key"},
    {"invalid_client", "certificate", "auth_certificate"},
    {"invalid_client", "", "auth_secret"},
    {"temporarily_unavailable", "", "too_many"},
    {"invalid_grant", "refresh", "refresh"},
    {"invalid_grant", "access has ended", "refresh"},
    {"invalid_grant", "used", "code_used"},
    {"invalid_grant", "verifier", "verifier"},
    {"invalid_grant", "redirect", "code_redirect"},
    {"invalid_grant", "", "code"},
    {"invalid_scope", "openid", "scope_openid"},
    {"invalid_scope", "", "scope"},
    {"login_required", "", "login_required"},
    {"unsupported_grant_type", "", "grant_type"},
    {"unsupported_response_type", "", "response_type"},
    {"invalid_request", "nonce", "nonce"},
    {"invalid_request", "state", "state"},
    {"invalid_request", "acr_values", "acr"},
    {"invalid_request", "code_challenge", "pkce"},
    {"invalid_request", "twice", "twice"},
    {"invalid_request", "not known here", "parameter"},
    {"invalid_request", "push", "par"},
    {"invalid_request", "missing", "missing"},
    {"invalid_dpop_proof", "", "dpop"},
    {"invalid_token", "", "token"},
    {"invalid_request_object", "", "request_object"},
    {"invalid_request_uri", "", "request_used"},
    {"", "", "other"},
};

static const char *key_of(const char *code, const char *why)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if ((!*table[i].code || strcmp(table[i].code, code) == 0) && strstr(why, table[i].why))
            return table[i].key;
    return "other";
}

static json_t *both(struct ctx *c, const char *key, const char *part)
{
    const char *name = arena_printf(c->arena, "refusal.%s.%s", key, part).p;
    return json_pack("{s:o,s:o}", "fr",
                     json_str(pages_text(c->arena, "partners", name, "fr", NULL)), "en",
                     json_str(pages_text(c->arena, "partners", name, "en", NULL)));
}

/* ---- noting -------------------------------------------------------------------------------------
 */
struct refusal {
    struct str id, client_id, code, why, sent;
    int64_t now_ms;
};

static enum err refusal_write(struct db_conn *db, void *arg)
{
    struct refusal *r = arg;
    enum err e = db_exec(db,
                         "INSERT INTO partner_refusal(id, client_id, at, code, why, sent) "
                         "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (client_id, id) DO NOTHING",
                         "ssisss", r->id, r->client_id, r->now_ms, r->code, r->why, r->sent);
    if (e != ERR_OK)
        return e;
    return db_exec(db,
                   "DELETE FROM partner_refusal WHERE client_id = $1 AND at < COALESCE((SELECT at "
                   "FROM partner_refusal WHERE client_id = $1 ORDER BY at DESC LIMIT 1 OFFSET "
                   "200), 0)",
                   "s", r->client_id);
}

/* The same refusal of the same client once a second at most: a loop gone wild, or a stranger who
 * guesses, must not become a writer. A collision leaves one out. */
static bool is_repeat(struct str client_id, struct str code)
{
    static struct {
        uint64_t what;
        int64_t at_ms;
    } last[SLOTS];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint64_t what = map_hash(client_id) ^ (map_hash(code) << 1);
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&lock);
    size_t i = what % SLOTS;
    bool repeat = last[i].what == what && now_ms - last[i].at_ms < AGAIN_MS;
    if (!repeat) {
        last[i].what = what;
        last[i].at_ms = now_ms;
    }
    pthread_mutex_unlock(&lock);
    return repeat;
}

enum err partners_call_refusal(struct ctx *c, const json_t *args, json_t **out)
{
    struct refusal r = {.id = json_get_str(args, "trace"),
                        .client_id = json_get_str(args, "client_id"),
                        .code = json_get_str(args, "code"),
                        .why = json_get_str(args, "why"),
                        .sent = json_get_str(args, "sent"),
                        .now_ms = clock_now_ms()};
    *out = json_object();
    return is_repeat(r.client_id, r.code) ? ERR_OK : db_write(c->pf->db, refusal_write, &r);
}

/* ---- reading ------------------------------------------------------------------------------------
 */
enum err refusal_list(struct ctx *c, struct str client_id, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = json_own(&c->pool, json_array());
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT id, at, code, why, sent FROM partner_refusal WHERE "
                               "client_id = $1 AND at > $2 ORDER BY at DESC, id LIMIT 200",
                               "si", client_id, clock_now_ms() - LIFE_MS)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        const char *key = key_of(db_z(&r, i, 2), db_z(&r, i, 3));
        json_array_append_new(*out,
                              json_pack("{s:s,s:I,s:s,s:s,s:s,s:o,s:o}", "id", db_z(&r, i, 0), "at",
                                        (json_int_t)db_i64(&r, i, 1), "code", db_z(&r, i, 2), "why",
                                        db_z(&r, i, 3), "sent", db_z(&r, i, 4), "meaning",
                                        both(c, key, "meaning"), "action", both(c, key, "action")));
    }
    return e;
}

enum err partners_call_refusals(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *items;
    enum err e = refusal_list(c, json_get_str(args, "client_id"), &items);
    if (e == ERR_OK)
        *out = json_pack("{s:O}", "items", items);
    return e;
}

/* ---- the clock's work ---------------------------------------------------------------------------
 */
static enum err sweep(struct db_conn *db, void *arg)
{
    int64_t now_ms = *(int64_t *)arg;
    enum err e = db_exec(db, "DELETE FROM partner_refusal WHERE at < $1", "i", now_ms - LIFE_MS);
    return e == ERR_OK ? db_exec(db, "DELETE FROM partner_invite WHERE until_at < $1", "i", now_ms)
                       : e;
}

void refusal_tick(struct platform *pf, int64_t now_ms)
{
    static int turn;
    if (turn++ % SWEEP_EVERY_S == 0 && db_write(pf->db, sweep, &now_ms) != ERR_OK)
        log_warn("partners_sweep_failed");
}
