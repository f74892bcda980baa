/* Identity: the issuer that services ask who a person is (OpenID Connect), and the broker that asks
 * the identity providers people already have. Read in this order: authorize.c, choose.c, broker.c,
 * consent.c, issue.c, token.c, userinfo.c, logout.c. */
#include "core/identity/schema.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/identity/backchannel.h"
#include "core/identity/client.h"
#include "core/identity/erase.h"
#include "core/identity/person.h"
#include "core/identity/provider.h"
#include "platform/change.h"
#include "sys/proc.h"

/* ---- calls --------------------------------------------------------------------------------------
 */
enum err identity_call_subs(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT pc.client_id, ps.sub FROM person_client pc "
                          "JOIN client k ON k.id = pc.client_id "
                          "JOIN person_sub ps ON ps.person = pc.person AND "
                          "ps.entity_id = k.entity_id WHERE pc.person = $1 "
                          "ORDER BY pc.last_at DESC LIMIT 200",
                          "s", json_get_str(args, "person"));
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            items, json_pack("{s:s,s:s}", "client_id", db_z(&r, i, 0), "sub", db_z(&r, i, 1)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

enum err identity_call_client(struct ctx *c, const json_t *args, json_t **out)
{
    struct client *k;
    struct str fr = STR(""), en = STR("");
    enum err e = client_get_any(c, json_get_str(args, "client_id"), &k);
    if (e != ERR_OK)
        return e;
    if (k->org_id.n && (org_name(c, k->org_id, "fr", &fr) != ERR_OK ||
                        org_name(c, k->org_id, "en", &en) != ERR_OK))
        fr = en = STR("");
    *out = json_pack("{s:s%,s:o,s:s%,s:{s:s%,s:s%}}", "client_id", k->id.p, k->id.n, "name",
                     client_name(k), "org_id", k->org_id.p, k->org_id.n, "org_name", "fr", fr.p,
                     fr.n, "en", en.p, en.n);
    return ERR_OK;
}

/* Of the request under way. Without client_id: it was refused, and the answer is given. */
enum err identity_call_authenticate(struct ctx *c, const json_t *args, json_t **out)
{
    struct client *k;
    json_t *one;
    (void)args;
    if (!c->rq)
        return ERR_INVALID;
    *out = json_object();
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    json_object_set_new(*out, "client_id", json_stringn(k->id.p, k->id.n));
    e = identity_call_client(c, *out, &one);
    if (e == ERR_OK)
        json_object_update(*out, json_own(&c->pool, one));
    return e;
}

enum err identity_call_person(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct client *k;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = client_get(c, json_get_str(args, "client_id"), &k);
    if (e == ERR_OK)
        e = db_query_one(db, c->arena, &r,
                         "SELECT ps.person FROM person_sub ps JOIN person_client pc ON pc.person = "
                         "ps.person AND pc.client_id = $1 WHERE ps.entity_id = $2 AND ps.sub = $3",
                         "sss", k->id, k->entity_id, json_get_str(args, "sub"));
    if (e == ERR_OK)
        *out = json_pack("{s:s}", "person", db_z(&r, 0, 0));
    return e;
}

/* ---- the clock's work ---------------------------------------------------------------------------
 */
/* Services are still to be told of a session's end when it is over. */
enum { SWEEP_EVERY_S = 60, TOLD_MS = 86400000 };

static enum err sweep(struct db_conn *db, void *arg)
{
    int64_t now_ms = *(int64_t *)arg;
    enum err e = db_exec(db, "DELETE FROM flow WHERE until_at < $1", "i", now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM code WHERE keep_until < $1", "i", now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM pushed_request WHERE until_at < $1", "i", now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM refresh_grant WHERE until_at < $1", "i", now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM session_client WHERE until_at < $1", "i", now_ms - TOLD_MS);
    return e == ERR_OK ? db_exec(db, "DELETE FROM used_proof WHERE until_at < $1", "i", now_ms) : e;
}

static void *logout_run(void *platform)
{
    while (!proc_stopping) {
        backchannel_deliver(platform);
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

/* In threads of their own: a provider or client that hangs must not hold up the outbox. */
static void *health_run(void *platform)
{
    while (!proc_stopping) {
        provider_health(platform);
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

void identity_tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    static int turn;
    pthread_t thread;
    if (!started && pthread_create(&thread, NULL, health_run, pf) == 0) {
        pthread_detach(thread);
        started = true;
        if (pthread_create(&thread, NULL, logout_run, pf) == 0)
            pthread_detach(thread);
    }
    if (turn++ % SWEEP_EVERY_S == 0 && db_write(pf->db, sweep, &now_ms) != ERR_OK)
        log_warn("identity_sweep_failed");
}

/* ---- what other nodes and commands changed ------------------------------------------------------
 */
static void on_changes(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    bool config = false, erased = false;
    (void)pf;
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        config |= str_eq_z(list[i].kind, "config");
        erased |= str_eq_z(list[i].kind, "erase");
    }
    if (config) {
        client_cache_clear();
        provider_cache_clear();
    }
    if (erased)
        person_cache_clear();
}

static enum err start(struct platform *pf)
{
    change_subscribe(pf, on_changes, NULL);
    return ERR_OK;
}

/* ---- tables -------------------------------------------------------------------------------------
 */
static const struct route routes[] = {
    ROUTE("GET", "/.well-known/openid-configuration", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          identity_discovery, "The issuer's metadata."),
    ROUTE("GET", "/.well-known/oauth-authorization-server", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          identity_discovery, "The same metadata (RFC 8414)."),
    ROUTE("GET", "/api/v2/.well-known/openid-configuration", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          identity_discovery, "The same metadata, where FranceConnect has it."),
    ROUTE("GET", "/api/v2/jwks", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_jwks,
          "Public keys of the issuer."),
    ROUTE("GET", "/api/v2/client/jwks", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_client_jwks,
          "Public keys of this platform as a client of identity providers (private_key_jwt)."),
    ROUTE("GET", "/api/v2/authorize", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, identity_authorize,
          "Begins a sign-in for a client (OpenID Connect)."),
    ROUTE("POST", "/api/v2/authorize", SITE_PORTAL, ROLE_PUBLIC, ROUTE_CROSS_SITE | ROUTE_THROTTLED,
          identity_authorize_post, "The same, posted."),
    ROUTE("POST", "/api/v2/token", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_token,
          "Exchanges a code for tokens."),
    ROUTE("POST", "/api/v2/par", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_push,
          "Takes an authorization request before the person comes (RFC 9126)."),
    ROUTE("POST", "/api/v2/checktoken", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_checktoken,
          "Tells a provider of data, signed, whom an access token is about."),
    ROUTE("POST", "/api/v2/token/introspection", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          identity_introspect, "The same as JSON or signed (RFC 7662, RFC 9701)."),
    ROUTE("GET", "/api/v2/userinfo", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_userinfo,
          "Claims about the person of an access token."),
    ROUTE("POST", "/api/v2/userinfo", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_userinfo,
          "The same, posted."),
    ROUTE("POST", "/api/v2/token/revocation", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, identity_revoke,
          "Revokes an access token."),
    ROUTE("GET", "/api/v2/session/end", SITE_PORTAL, ROLE_PUBLIC, 0, identity_session_end,
          "Signs a person out for a client (RP-initiated logout)."),
    ROUTE("POST", "/api/v2/session/end", SITE_PORTAL, ROLE_PUBLIC, ROUTE_CROSS_SITE,
          identity_session_end_post, "The same, posted."),
    ROUTE("GET", "/connexion", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, identity_sign_in,
          "Signs a person in to her account."),
    ROUTE("GET", "/connexion/choix", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, identity_choose,
          "Which account to sign in with."),
    ROUTE("GET", "/connexion/vers/{provider}", SITE_PORTAL, ROLE_PUBLIC,
          ROUTE_CALLS_SELF | ROUTE_THROTTLED, identity_go,
          "Sends the person to the identity provider."),
    ROUTE("GET", "/connexion/retour/{provider}", SITE_PORTAL, ROLE_PUBLIC,
          ROUTE_CALLS_SELF | ROUTE_THROTTLED, identity_back,
          "Where the identity provider sends people back."),
    ROUTE("GET", "/connexion/accord", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, identity_agree,
          "What will be passed on, and whether she agrees."),
    ROUTE_TWIN("POST", "/connexion/accord", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED,
               identity_agree_post, "Her answer.",
               "-: only the person herself agrees, and on this page"),
    ROUTE("GET", "/connexion/annuler", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, identity_cancel,
          "Goes back to the service without signing in."),
    ROUTE("GET", "/connexion/operateur", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED,
          identity_operator, "Operators sign in with a password."),
    ROUTE_TWIN("POST", "/connexion/operateur", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED,
               identity_operator_post, "The same, posted.", "-: programs use the command line"),
    ROUTE_TWIN("POST", "/deconnexion", SITE_PORTAL, ROLE_PUBLIC, 0, identity_sign_out,
               "Ends the session, here and at the identity provider.", "GET /api/v2/session/end"),
    ROUTE_TWIN("GET", "/account/access", SITE_PORTAL, ROLE_USER, 0, identity_grants,
               "Services that may read her data while she is away.", "GET /api/account/access"),
    ROUTE_TWIN("POST", "/account/access/{id}/end", SITE_PORTAL, ROLE_USER, 0,
               identity_grant_end_post, "Ends the access of one of them.",
               "POST /api/account/access/{id}/end"),
    ROUTE_TWIN("POST", "/account/agreements/{id}/withdraw", SITE_PORTAL, ROLE_USER, 0,
               identity_agreement_end_post, "Withdraws the agreement to pass her identity on.",
               "POST /api/account/agreements/{id}/withdraw"),
    ROUTE("POST", "/api/account/agreements/{id}/withdraw", SITE_PORTAL, ROLE_USER, ROUTE_API,
          identity_api_agreement_end, "Withdraws the agreement to pass her identity on."),
    ROUTE("GET", "/api/account/access", SITE_PORTAL, ROLE_USER, ROUTE_API, identity_api_grants,
          "Services that may read her data while she is away."),
    ROUTE("POST", "/api/account/access/{id}/end", SITE_PORTAL, ROLE_USER, ROUTE_API,
          identity_api_grant_end, "Ends the access of one of them."),
    ROUTE("GET", "/deconnexion", SITE_PORTAL, ROLE_PUBLIC, 0, identity_signed_out,
          "Says that nobody is signed in any more."),
    ROUTE("GET", "/deconnexion/retour", SITE_PORTAL, ROLE_PUBLIC, 0, identity_sign_out_back,
          "Back from the identity provider after signing out."),
};

static const struct call calls[] = {
    {"identity.subs", identity_call_subs, "By which names her services know a person."},
    {"identity.grants", identity_call_grants, "Which clients may read while she is away."},
    {"identity.grant_end", identity_call_grant_end, "Ends one of them, within 1 s everywhere."},
    {"identity.spaces", identity_call_spaces, "The spaces of bodies she reaches."},
    {"identity.space", identity_call_space, "One of them."},
    {"identity.space_open", identity_call_space_open, "She opens one, told what it receives."},
    {"identity.client", identity_call_client, "A client's name and organisation."},
    {"identity.authenticate", identity_call_authenticate, "Which client makes this request."},
    {"identity.sessions_ended", identity_call_sessions_ended,
     "Sessions that ended: services and sites they led to are told."},
    {"identity.cut", identity_call_cut, "Refuses every token a person gave until now."},
    {"identity.access_end", identity_call_access_end,
     "Ends the lasting access a person gave in these sessions."},
    {"identity.address", identity_call_address, "A person's address for mails."},
    {"identity.providers", identity_call_providers, "The identity providers of a realm."},
    {"identity.own_flow", identity_call_own_flow, "A sign-in under way, for the own accounts."},
    {"identity.own_person", identity_call_own_person, "Who the holder of an own account is."},
    {"identity.own_signed_in", identity_call_own_signed_in, "She proved it: the sign-in goes on."},
    {"identity.own_pivot", identity_call_own_pivot, "Would these claims do as an identity?"},
    {"identity.own_gone", identity_call_own_gone, "Her own account is no more."},
    {"identity.person", identity_call_person, "Whom a client means by a sub it was given."},
    {"identity.client_put", identity_call_client_put, "Registers a client, or changes it."},
    {"identity.client_get", identity_call_client_get, "All settings of a client."},
    {"identity.client_list", identity_call_client_list, "All settings of some clients, or all."},
    {"identity.client_rotate", identity_call_client_rotate, "Another secret, or other keys."},
    {"identity.client_activate", identity_call_client_activate, "A waiting client begins."},
    {"identity.client_remove", identity_call_client_remove, "Ends a client."},
    {"identity.provider_put", identity_call_provider_put, "Declares an identity provider."},
    {"identity.provider_get", identity_call_provider_get, "Its settings, without its secret."},
    {"identity.provider_state", identity_call_provider_state, "From sandbox to production."},
    {"identity.provider_look", identity_call_provider_look, "Its metadata and keys, judged."},
    {"identity.provider_try", identity_call_provider_try, "Where a trial of it begins."},
    {"identity.provider_tried", identity_call_provider_tried, "What came back, judged."},
};

static const struct command commands[] = {
    {"client", "add, list, show, rotate-secret and remove clients of the issuer",
     identity_cli_client},
    {"provider", "add, list and disable identity providers", identity_cli_provider},
    {"user", "add, list and block operators", identity_cli_user},
    {"person", "list who is known, by identifier; erase somebody", identity_cli_person},
};

const struct service service_identity = {
    .name = "identity",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = identity_migrations,
    .n_migrations = IDENTITY_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .start = start,
    .tick = identity_tick,
    .replay_kinds = {IDENTITY_ERASED},
    .replay = identity_erase_again,
};
