/* socle client add|list|show|rotate-secret|remove */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/rand.h"
#include "platform/cli.h"
#include "core/identity/client.h"
#include "core/identity/identity.h"
#include "platform/change.h"
#include "sys/file.h"

enum { JWKS_MAX = 64 * 1024, OVERLAP_HOURS = 24 };

static const char help[] =
    "usage: socle client add --name NAME --redirect-uri URI [options] [--json]\n"
    "       socle client list [--json]\n"
    "       socle client show ID [--json]\n"
    "       socle client rotate-secret ID [--json]   the old secret works 24 hours more\n"
    "       socle client remove ID                   its tokens are refused within 1 s\n"
    "\n"
    "  --name NAME               shown to people; --name-en NAME for English\n"
    "  --redirect-uri URI        where codes are sent, to the letter; may be repeated\n"
    "  --post-logout-uri URI     where people come back after signing out; may be repeated\n"
    "  --profile P               strict (as FranceConnect answers), modern (default) or fapi\n"
    "  --realm R                 citizens (default), agents or any\n"
    "  --org ID                  the organisation it belongs to\n"
    "  --entity ID               clients of one entity know a person by the same sub\n"
    "  --scopes \"A B\"            what it may ask for; default: any\n"
    "  --providers \"A B\"         identity providers it accepts; default: all\n"
    "  --auth \"M N\"              client_secret_basic, client_secret_post, private_key_jwt,\n"
    "                            self_signed_tls_client_auth (certificate in its keys as "
    "x5t#S256)\n"
    "  --jwks FILE               its public keys, for private_key_jwt\n"
    "  --id-token-alg A          ES256 (default) or RS256\n"
    "  --userinfo-alg A          none, ES256 or RS256\n"
    "  --pkce                    refuse requests without PKCE\n"
    "  --par                     refuse requests that were not pushed (RFC 9126); so with fapi\n"
    "  --bound B                 dpop or mtls: its tokens must be bound so (fapi: one of both)\n"
    "  --backchannel-logout-uri URI   told when a session ends\n"
    "  --data-provider           may ask whom a token is about (checktoken)\n"
    "  --id ID                   instead of a drawn one\n"
    "\n"
    "The secret is printed once: only its digest is kept.\n";

static const struct cli_option options[] = {
    {"--name", false},
    {"--name-en", false},
    {"--redirect-uri", false},
    {"--profile", false},
    {"--post-logout-uri", false},
    {"--realm", false},
    {"--org", false},
    {"--entity", false},
    {"--scopes", false},
    {"--consent", false},
    {"--providers", false},
    {"--auth", false},
    {"--jwks", false},
    {"--id-token-alg", false},
    {"--userinfo-alg", false},
    {"--pkce", true},
    {"--id", false},
    {"--par", true},
    {"--bound", false},
    {"--backchannel-logout-uri", false},
    {"--data-provider", true},
};

static json_t *jstr(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

/* ---- add ----------------------------------------------------------------------------------------
 */
static int print_new(struct cli *r, struct str id, struct str secret)
{
    const char *issuer = r->c->pf->settings->base_url;
    if (r->json) {
        cli_print(
            r, json_pack("{s:o,s:o,s:s,s:s}", "client_id", jstr(id), "client_secret", jstr(secret),
                         "issuer", issuer, "discovery",
                         arena_printf(&r->arena, "%s/.well-known/openid-configuration", issuer).p));
        return 0;
    }
    printf("client_id      " STR_FMT "\nclient_secret  " STR_FMT "\nissuer         %s\n",
           STR_ARG(id), STR_ARG(secret), issuer);
    return 0;
}

static int add(struct cli *r)
{
    const char *redirects[CLI_VALUES_MAX], *logouts[CLI_VALUES_MAX], *why = NULL;
    struct str id, secret, jwks = STR_NONE;
    const char *file = cli_value(r, "--jwks", NULL);
    if (file && file_read(&r->arena, file, JWKS_MAX, &jwks) != ERR_OK)
        return cli_failed(r, file, ERR_IO);
    struct identity_client in = {.id = cli_value(r, "--id", NULL),
                                 .org_id = cli_value(r, "--org", NULL),
                                 .name_fr = cli_value(r, "--name", NULL),
                                 .name_en = cli_value(r, "--name-en", NULL),
                                 .profile = cli_value(r, "--profile", NULL),
                                 .realm = cli_value(r, "--realm", NULL),
                                 .entity_id = cli_value(r, "--entity", NULL),
                                 .redirect_uris = redirects,
                                 .n_redirect_uris = cli_values(r, "--redirect-uri", redirects),
                                 .post_logout_uris = logouts,
                                 .n_post_logout_uris = cli_values(r, "--post-logout-uri", logouts),
                                 .scopes = cli_value(r, "--scopes", NULL),
                                 .providers = cli_value(r, "--providers", NULL),
                                 .auth_methods =
                                     cli_value(r, "--auth", jwks.p ? "private_key_jwt" : NULL),
                                 .jwks = jwks.p ? arena_dupz(&r->arena, jwks) : NULL,
                                 .id_token_alg = cli_value(r, "--id-token-alg", NULL),
                                 .userinfo_alg = cli_value(r, "--userinfo-alg", NULL),
                                 .pkce = cli_has(r, "--pkce"),
                                 .par = cli_has(r, "--par"),
                                 .bound = cli_value(r, "--bound", NULL),
                                 .logout_uri = cli_value(r, "--backchannel-logout-uri", NULL),
                                 .data_provider = cli_has(r, "--data-provider"),
                                 .consent = cli_value(r, "--consent", NULL)};
    enum err e = identity_client_put(r->c, &in, &id, &secret, &why);
    if (e != ERR_OK)
        return cli_failed(r, why ? why : "add", e);
    return print_new(r, id, secret);
}

/* ---- list, show ---------------------------------------------------------------------------------
 */
#define CLIENT_SQL                                                                         \
    "SELECT id, name_fr, name_en, profile, realm, org_id, entity_id, auth_methods, "       \
    "id_token_alg, userinfo_alg, scopes, providers, pkce, state, created_at, par, bound, " \
    "logout_uri, data_provider, consent FROM client "

static json_t *uris(struct cli *r, const char *id, const char *kind)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    json_t *list = json_array();
    if (db && db_query(db, &r->arena, &rows,
                       "SELECT uri FROM client_uri WHERE client_id = $1 AND kind = $2 ORDER BY uri",
                       "zz", id, kind) == ERR_OK)
        for (size_t i = 0; i < rows.n_rows; i++)
            json_array_append_new(list, jstr(db_str(&rows, i, 0)));
    return list;
}

static json_t *client_json(struct cli *r, const struct db_result *rows, size_t i)
{
    const char *id = db_z(rows, i, 0);
    return json_pack(
        "{s:s,s:{s:s,s:s},s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:I,s:o,s:o,"
        "s:b,s:s,s:s,s:b,s:s}",
        "client_id", id, "name", "fr", db_z(rows, i, 1), "en", db_z(rows, i, 2), "profile",
        db_z(rows, i, 3), "realm", db_z(rows, i, 4), "org", db_z(rows, i, 5), "entity",
        db_z(rows, i, 6), "auth_methods", db_z(rows, i, 7), "id_token_alg", db_z(rows, i, 8),
        "userinfo_alg", db_z(rows, i, 9), "scopes", db_z(rows, i, 10), "providers",
        db_z(rows, i, 11), "pkce", db_i64(rows, i, 12) != 0, "state", db_z(rows, i, 13),
        "created_at", (json_int_t)db_i64(rows, i, 14), "redirect_uris", uris(r, id, "redirect"),
        "post_logout_redirect_uris", uris(r, id, "post_logout"), "par", db_i64(rows, i, 15) != 0,
        "bound", db_z(rows, i, 16), "backchannel_logout_uri", db_z(rows, i, 17), "data_provider",
        db_i64(rows, i, 18) != 0, "consent", db_z(rows, i, 19));
}

static int list(struct cli *r)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &r->arena, &rows,
                                CLIENT_SQL "WHERE state <> 'removed' ORDER BY created_at, id", "");
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *all = json_array();
    for (size_t i = 0; i < rows.n_rows; i++) {
        if (r->json)
            json_array_append_new(all, client_json(r, &rows, i));
        else
            printf("%-26s  %-6s  %-8s  %s\n", db_z(&rows, i, 0), db_z(&rows, i, 3),
                   db_z(&rows, i, 4), db_z(&rows, i, 1));
    }
    if (r->json)
        cli_print(r, all);
    else
        json_decref(all);
    if (!r->json && rows.n_rows == 0)
        puts("no client yet: `socle client add` makes one");
    return 0;
}

static void print_value(const char *name, const json_t *v)
{
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++)
            print_value(name, json_array_get(v, i));
    } else if (json_is_object(v)) {
        printf("%-26s %s / %s\n", name, json_get_z(v, "fr", ""), json_get_z(v, "en", ""));
    } else if (json_is_integer(v)) {
        printf("%-26s %lld\n", name, (long long)json_integer_value(v));
    } else if (json_is_boolean(v)) {
        printf("%-26s %s\n", name, json_is_true(v) ? "yes" : "no");
    } else {
        printf("%-26s %s\n", name, json_string_value(v));
    }
}

static int show(struct cli *r)
{
    struct db_result rows;
    const char *name;
    json_t *v, *value;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query_one(db, &r->arena, &rows, CLIENT_SQL "WHERE id = $1 AND state <> 'removed'",
                           "z", r->words[1]);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    v = client_json(r, &rows, 0);
    if (r->json) {
        cli_print(r, v);
        return 0;
    }
    json_object_foreach(v, name, value)
    {
        print_value(name, value);
    }
    json_decref(v);
    return 0;
}

/* ---- rotate, remove -----------------------------------------------------------------------------
 */
struct rotation {
    struct str id, mac;
    int64_t now_ms;
};

static enum err rotation_write(struct db_conn *db, void *arg)
{
    struct rotation *n = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE client SET old_secret_mac = secret_mac, "
                      "old_secret_until = $2, secret_mac = $3, updated_at = $4 "
                      "WHERE id = $1 AND state <> 'removed'",
                      "sisi", n->id, n->now_ms + OVERLAP_HOURS * 3600 * 1000LL, n->mac, n->now_ms);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    return e == ERR_OK ? change_add(db, "config", n->id, 0) : e;
}

static int rotate(struct cli *r)
{
    struct act act;
    char secret[SECRET_LEN + 1];
    struct rotation n = {.id = str_from(r->words[1]), .now_ms = clock_now_ms()};
    struct act_info info = {
        .kind = "identity.client_secret_rotated", .actor = STR("operator"), .object = n.id};
    secret_new(secret);
    enum err e = client_secret_mac(r->c, n.id, str_from(secret), &n.mac);
    if (e == ERR_OK)
        e = act_make(r->c, &info, &act);
    if (e == ERR_OK)
        e = act_write(r->c, rotation_write, &n, &act, 1);
    return e == ERR_OK ? print_new(r, n.id, str_from(secret)) : cli_failed(r, r->words[1], e);
}

static enum err removal_write(struct db_conn *db, void *arg)
{
    struct rotation *n = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE client SET state = 'removed', updated_at = $2 "
                               "WHERE id = $1 AND state <> 'removed'",
                               "si", n->id, n->now_ms);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = change_add(db, "deny", n->mac, n->now_ms + 3600 * 1000);
    return e == ERR_OK ? change_add(db, "config", n->id, 0) : e;
}

static int remove_client(struct cli *r)
{
    struct act act;
    struct rotation n = {.id = str_from(r->words[1]), .now_ms = clock_now_ms()};
    struct act_info info = {
        .kind = "identity.client_removed", .actor = STR("operator"), .object = n.id};
    n.mac = arena_printf(&r->arena, "client:%s", r->words[1]);
    enum err e = act_make(r->c, &info, &act);
    if (e == ERR_OK)
        e = act_write(r->c, removal_write, &n, &act, 1);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    printf("%s removed\n", r->words[1]);
    return 0;
}

static int run(struct cli *r)
{
    if (cli_is(r, "add", 1) && cli_has(r, "--name") && cli_has(r, "--redirect-uri"))
        return add(r);
    if (cli_is(r, "list", 1))
        return list(r);
    if (cli_is(r, "show", 2))
        return show(r);
    if (cli_is(r, "rotate-secret", 2))
        return rotate(r);
    if (cli_is(r, "remove", 2))
        return remove_client(r);
    return 2;
}

int identity_cli_client(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
