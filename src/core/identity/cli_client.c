/* socle client add|list|show|errors|rotate-secret|rotate-keys|remove */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "core/identity/client.h"
#include "core/identity/legacy.h"
#include "core/identity/identity.h"
#include "platform/cli.h"
#include "sys/file.h"
#include "web/pages.h"

enum { JWKS_MAX = 64 * 1024 };

static const char help[] =
    "usage: socle client add --name NAME --redirect-uri URI [options] [--json]\n"
    "       socle client list [--json]\n"
    "       socle client show ID [--json]\n"
    "       socle client rotate-secret ID [--json]   the old secret works 24 hours more\n"
    "       socle client rotate-keys ID --jwks FILE\n"
    "       socle client errors ID [--json]          what was refused it in 30 days, and what to "
    "do\n"
    "       socle client remove ID                   its tokens are refused within 1 s\n"
    "       socle client subs import FILE            names by which services know people from "
    "before\n"
    "\n"
    "  --name NAME               shown to people; --name-en NAME for English\n"
    "  --redirect-uri URI        where codes are sent, to the letter; may be repeated\n"
    "  --post-logout-uri URI     where people come back after signing out; may be repeated\n"
    "  --login-uri URI           where people begin there: the body's space, in their accounts\n"
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
    "  --id-token-alg A          ES256 (default) or RS256; \"ES256 ECDH-ES\" or \"... "
    "RSA-OAEP-256\":\n"
    "                            encrypted too, for its key with \"use\": \"enc\"\n"
    "  --userinfo-alg A          none, or as --id-token-alg\n"
    "  --pkce                    refuse requests without PKCE\n"
    "  --par                     refuse requests that were not pushed (RFC 9126); so with fapi\n"
    "  --bound B                 dpop or mtls: its tokens must be bound so (fapi: one of both)\n"
    "  --backchannel-logout-uri URI   told when a session ends\n"
    "  --data-provider           may ask whom a token is about (checktoken)\n"
    "  --id ID                   instead of a drawn one\n"
    "\n"
    "The secret is printed once: only its digest is kept.\n";

static const struct cli_option options[] = {
    {"--name", false},         {"--name-en", false}, {"--redirect-uri", false},
    {"--login-uri", false},    {"--profile", false}, {"--post-logout-uri", false},
    {"--realm", false},        {"--org", false},     {"--entity", false},
    {"--scopes", false},       {"--consent", false}, {"--providers", false},
    {"--auth", false},         {"--jwks", false},    {"--id-token-alg", false},
    {"--userinfo-alg", false}, {"--pkce", true},     {"--id", false},
    {"--par", true},           {"--bound", false},   {"--backchannel-logout-uri", false},
    {"--data-provider", true},
};

/* ---- add ----------------------------------------------------------------------------------------
 */
static int print_new(struct cli *r, struct str id, struct str secret)
{
    const char *issuer = r->c->pf->settings->base_url;
    if (r->json) {
        cli_print(
            r, json_pack("{s:o,s:o,s:s,s:s}", "client_id", json_str(id), "client_secret",
                         json_str(secret), "issuer", issuer, "discovery",
                         arena_printf(&r->arena, "%s/.well-known/openid-configuration", issuer).p));
        return 0;
    }
    printf("client_id      " STR_FMT "\nclient_secret  " STR_FMT "\nissuer         %s\n",
           STR_ARG(id), STR_ARG(secret), issuer);
    return 0;
}

/* Keys that only encrypt prove nobody. */
static bool jwks_signs(struct str jwks)
{
    struct jwks *keys = NULL;
    bool any = jwks.p && (jwks_read(jwks, &keys) != ERR_OK || keys->n > 0 ||
                          str_find(jwks, STR("x5t#S256")) >= 0);
    jwks_free(keys);
    return any;
}

static int add(struct cli *r)
{
    const char *redirects[CLI_VALUES_MAX], *logouts[CLI_VALUES_MAX], *why = NULL;
    struct str id, secret, jwks = STR_NONE;
    const char *file = cli_value(r, "--jwks", NULL);
    if (file && file_read(&r->arena, file, JWKS_MAX, &jwks) != ERR_OK)
        return cli_failed(r, file, ERR_IO);
    struct identity_client in = {
        .id = cli_value(r, "--id", NULL),
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
        .login_uri = cli_value(r, "--login-uri", NULL),
        .scopes = cli_value(r, "--scopes", NULL),
        .providers = cli_value(r, "--providers", NULL),
        .auth_methods = cli_value(r, "--auth", jwks_signs(jwks) ? "private_key_jwt" : NULL),
        .jwks = jwks.p ? arena_dupz(&r->arena, jwks) : NULL,
        .id_token_alg = cli_value(r, "--id-token-alg", NULL),
        .userinfo_alg = cli_value(r, "--userinfo-alg", NULL),
        .pkce = cli_has(r, "--pkce"),
        .par = cli_has(r, "--par"),
        .bound = cli_value(r, "--bound", NULL),
        .logout_uri = cli_value(r, "--backchannel-logout-uri", NULL),
        .data_provider = cli_has(r, "--data-provider"),
        .consent = cli_value(r, "--consent", NULL),
        .actor = "operator"};
    enum err e = identity_client_put(r->c, &in, &id, &secret, &why);
    if (e != ERR_OK)
        return cli_failed(r, why ? why : "add", e);
    return print_new(r, id, secret);
}

/* ---- list, show ---------------------------------------------------------------------------------
 */
static int list(struct cli *r)
{
    json_t *all, *k;
    size_t i;
    enum err e = client_json_list(r->c, &all);
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    if (!r->json)
        json_array_foreach(all, i, k)
        {
            printf("%-26s  %-6s  %-8s  %s\n", json_get_z(k, "client_id", ""),
                   json_get_z(k, "profile", ""), json_get_z(k, "realm", ""),
                   json_get_z(json_get(k, "name"), "fr", ""));
        }
    if (!r->json && json_array_size(all) == 0)
        puts("no client yet: `socle client add` makes one");
    if (r->json)
        cli_print(r, all);
    else
        json_decref(all);
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
    const char *name;
    json_t *v, *value;
    enum err e = client_json(r->c, str_from(r->words[1]), &v);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
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

/* ---- errors -------------------------------------------------------------------------------------
 */
/* What the issuer refused it, in plain words; the console's page shows the same. */
static int errors(struct cli *r)
{
    json_t *v, *item, *found, *args = json_pack("{s:s}", "client_id", r->words[1]);
    size_t i;
    enum err e = pages_load(); /* the words are texts of the console's pages */
    if (e == ERR_OK)
        e = client_json(r->c, str_from(r->words[1]), &found);
    if (e == ERR_OK) {
        json_decref(found);
        e = platform_call(r->c, "partners.refusals", args, &v);
    }
    json_decref(args);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    if (r->json) {
        cli_print(r, json_incref(v));
        return 0;
    }
    json_array_foreach(json_get(v, "items"), i, item)
    {
        const json_t *meaning = json_get(item, "meaning"), *action = json_get(item, "action");
        struct str when = clock_rfc3339(&r->arena, json_get_i64(item, "at", 0), false);
        printf(STR_FMT "  %s  (%s)  id %s\n  %s\n  %s\n", STR_ARG(when),
               json_get_z(item, "code", ""), json_get_z(item, "why", ""),
               json_get_z(item, "id", ""), json_get_z(meaning, "en", ""),
               json_get_z(action, "en", ""));
    }
    if (json_array_size(json_get(v, "items")) == 0)
        puts("nothing was refused in the last 30 days");
    return 0;
}

/* ---- rotate, remove -----------------------------------------------------------------------------
 */
static int rotate(struct cli *r)
{
    struct str secret, id = str_from(r->words[1]);
    enum err e = client_secret_rotate(r->c, id, STR("operator"),
                                      CLIENT_OVERLAP_HOURS * 3600 * 1000LL, &secret);
    return e == ERR_OK ? print_new(r, id, secret) : cli_failed(r, r->words[1], e);
}

static int keys(struct cli *r)
{
    struct str jwks;
    const char *file = cli_value(r, "--jwks", "");
    if (file_read(&r->arena, file, JWKS_MAX, &jwks) != ERR_OK)
        return cli_failed(r, file, ERR_IO);
    enum err e = client_keys_set(r->c, str_from(r->words[1]), STR("operator"), jwks);
    if (e != ERR_OK)
        return cli_failed(r, e == ERR_INVALID ? "jwks" : r->words[1], e);
    printf("%s: keys replaced\n", r->words[1]);
    return 0;
}

static int remove_client(struct cli *r)
{
    enum err e = client_remove(r->c, str_from(r->words[1]), STR("operator"));
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    printf("%s removed\n", r->words[1]);
    return 0;
}

static int subs(struct cli *r)
{
    struct str text;
    size_t line;
    const char *file = r->words[2];
    if (strcmp(r->words[1], "import") != 0)
        return 2;
    if (file_read(&r->arena, file, LEGACY_TEXT_MAX, &text) != ERR_OK)
        return cli_failed(r, file, ERR_IO);
    enum err e = legacy_subs_import(r->c, text, &line);
    if (e != ERR_OK)
        return cli_failed(r, arena_printf(&r->arena, "%s:%zu", file, line).p, e);
    if (r->json)
        cli_print(r, json_pack("{s:I}", "imported", (json_int_t)line));
    else
        printf("%zu imported\n", line);
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
    if (cli_is(r, "rotate-keys", 2) && cli_has(r, "--jwks"))
        return keys(r);
    if (cli_is(r, "errors", 2))
        return errors(r);
    if (cli_is(r, "subs", 3))
        return subs(r);
    if (cli_is(r, "remove", 2))
        return remove_client(r);
    return 2;
}

int identity_cli_client(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
