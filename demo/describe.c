/* `socle demo describe`, and what `make run` prints: the same facts for programs and for people. */
#include <stdio.h>
#include <unistd.h>

#include "demo/bodies.h"
#include "demo/demo.h"
#include "demo/world.h"
#include "platform/boot.h"

/* ---- for programs ------------------------------------------------------------------------------
 */
static const char *provider_of(const char *realm)
{
    const struct demo_provider *p;
    for (size_t i = 0; (p = demo_provider_at(i)) != NULL; i++)
        if (strcmp(p->realm, realm) == 0)
            return p->id;
    return "";
}

static json_t *accounts_json(void)
{
    json_t *list = json_array(), *account;
    size_t i;
    json_array_foreach(json_get(demo_accounts(), "accounts"), i, account)
    {
        const json_t *claims = json_get(account, "claims");
        const char *family =
            json_get_z(claims, "usual_name", json_get_z(claims, "family_name", ""));
        char name[200];
        snprintf(name, sizeof name, "%s %s", json_get_z(claims, "given_name", ""), family);
        json_array_append_new(list, json_pack("{s:O, s:O, s:s, s:O, s:s, s:O}", "login",
                                              json_get(account, "login"), "password",
                                              json_get(account, "password"), "provider",
                                              provider_of(json_get_z(account, "realm", "")),
                                              "realm", json_get(account, "realm"), "name", name,
                                              "note", json_get(account, "note")));
    }
    return list;
}

static json_t *own_accounts_json(void)
{
    json_t *list = json_array(), *own;
    size_t i;
    json_array_foreach(json_get(demo_accounts(), "own_accounts"), i, own) json_array_append_new(
        list, json_pack("{s:O, s:O, s:b, s:O}", "email", json_get(own, "email"), "password",
                        json_get(own, "password"), "verified", json_get(own, "login") != NULL,
                        "note", json_get(own, "note")));
    return list;
}

static json_t *providers_json(struct ctx *c)
{
    json_t *list = json_array();
    const struct demo_provider *p;
    for (size_t i = 0; (p = demo_provider_at(i)) != NULL; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "id", p->id, "realm",
                                              p->realm, "issuer",
                                              demo_provider_issuer(c->arena, c->pf->settings, p).p,
                                              "title", "fr", p->title_fr, "en", p->title_en));
    return list;
}

static json_t *words(struct str text)
{
    json_t *list = json_array();
    struct str part;
    while (text.n && str_split(&text, ' ', &part))
        if (part.n)
            json_array_append_new(list, json_stringn(part.p, part.n));
    return list;
}

static enum err clients_json(struct ctx *c, json_t *list)
{
    const struct settings *s = c->pf->settings;
    const struct demo_client *k;
    for (size_t i = 0; (k = demo_client_at(i)) != NULL; i++) {
        struct str secret;
        enum err e = demo_secret_get(c, arena_printf(c->arena, "client.%s", k->id).p, &secret);
        if (e != ERR_OK)
            return e;
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:o, s:o, s:o}", "client_id", k->id,
                      "client_secret", secret.p, "org", k->org_id, "name", "fr", k->name_fr, "en",
                      k->name_en, "redirect_uris", words(demo_client_uris(c->arena, s, k)),
                      "post_logout_redirect_uris", words(demo_client_logout_uris(c->arena, s, k)),
                      "scopes", words(str_from(k->scopes))));
    }
    return ERR_OK;
}

static json_t *sites_json(struct ctx *c)
{
    json_t *list = json_array();
    const struct demo_client *k;
    for (size_t i = 0; (k = demo_client_at(i)) != NULL; i++)
        if (k->host)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s}", "url",
                                            demo_site_url(c->arena, c->pf->settings, k->host).p,
                                            "org", k->org_id, "client_id", k->id));
    return list;
}

static enum err apis_json(struct ctx *c, json_t *list)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT id, version, org_id, scope, title_fr, title_en, adapter "
                                "FROM api ORDER BY id, version",
                                "");
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str url = arena_printf(c->arena, "%s/gw/%s/%s", c->pf->settings->base_url,
                                      db_z(&r, i, 0), db_z(&r, i, 1));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s}", "id",
                                              db_z(&r, i, 0), "version", db_z(&r, i, 1), "provider",
                                              db_z(&r, i, 2), "scope", db_z(&r, i, 3), "title",
                                              "fr", db_z(&r, i, 4), "en", db_z(&r, i, 5), "adapter",
                                              db_z(&r, i, 6), "url", url.p));
    }
    return e;
}

static enum err contracts_json(struct ctx *c, json_t *list)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT id, client_id, api, version, fields, consent_needed, state,"
                                " purpose_fr, purpose_en FROM contract ORDER BY id",
                                "");
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:s, s:{s:s, s:s}}", "id",
                            db_z(&r, i, 0), "client_id", db_z(&r, i, 1), "api", db_z(&r, i, 2),
                            "version", db_z(&r, i, 3), "fields", words(db_str(&r, i, 4)),
                            "consent_needed", db_i64(&r, i, 5) != 0, "state", db_z(&r, i, 6),
                            "purpose", "fr", db_z(&r, i, 7), "en", db_z(&r, i, 8)));
    return e;
}

static enum err describe(struct ctx *c, json_t *d)
{
    const struct settings *s = c->pf->settings;
    json_t *clients = json_array(), *apis = json_array(), *contracts = json_array();
    json_object_set_new(d, "issuer", json_string(s->base_url));
    json_object_set_new(d, "gateway", json_string(arena_printf(c->arena, "%s/gw", s->base_url).p));
    json_object_set_new(d, "sites", sites_json(c));
    json_object_set_new(d, "providers", providers_json(c));
    json_object_set_new(d, "accounts", accounts_json());
    json_object_set_new(d, "own_accounts", own_accounts_json());
    json_object_set_new(d, "clients", clients);
    json_object_set_new(d, "apis", apis);
    json_object_set_new(d, "contracts", contracts);
    enum err e = clients_json(c, clients);
    if (e == ERR_OK)
        e = apis_json(c, apis);
    return e == ERR_OK ? contracts_json(c, contracts) : e;
}

/* ---- for people --------------------------------------------------------------------------------
 */
static void print_accounts(const json_t *accounts, const char *realm, const char *title)
{
    size_t i;
    json_t *a;
    printf("%s\n", title);
    json_array_foreach((json_t *)accounts, i, a)
    {
        if (strcmp(json_get_z(a, "realm", ""), realm) == 0)
            printf("  %-17s %-18s %s\n", json_get_z(a, "login", ""), json_get_z(a, "password", ""),
                   json_get_z(json_get(a, "note"), "fr", ""));
    }
}

static void print_world(struct ctx *c, const json_t *d)
{
    size_t i;
    json_t *v;
    printf("issuer   %s\ngateway  %s\n", json_get_z(d, "issuer", ""), json_get_z(d, "gateway", ""));
    json_array_foreach(json_get(d, "sites"), i, v)
    {
        printf("site     %s\n", json_get_z(v, "url", ""));
    }
    printf("\n");
    print_accounts(json_get(d, "accounts"), "citizens", "Citoyens (identifiant, mot de passe)");
    print_accounts(json_get(d, "accounts"), "agents", "\nAgents");
    printf("\nComptes de la plateforme (adresse, mot de passe)\n");
    json_array_foreach(json_get(d, "own_accounts"), i, v)
    {
        printf("  %-26s %-18s %s\n", json_get_z(v, "email", ""), json_get_z(v, "password", ""),
               json_get_z(json_get(v, "note"), "fr", ""));
    }
    printf("\nClients\n");
    json_array_foreach(json_get(d, "clients"), i, v)
    {
        printf("  %-20s %s\n", json_get_z(v, "client_id", ""), json_get_z(v, "client_secret", ""));
        struct str uris = json_text(c->arena, json_get(v, "redirect_uris"));
        printf("  %-20s " STR_FMT "\n", "", STR_ARG(uris));
    }
    printf("\nAPI\n");
    json_array_foreach(json_get(d, "apis"), i, v)
    {
        printf("  %s  scope %s\n", json_get_z(v, "url", ""), json_get_z(v, "scope", ""));
    }
    printf("\nContrats\n");
    json_array_foreach(json_get(d, "contracts"), i, v)
    {
        printf("  %-16s %s -> %s/%s\n", json_get_z(v, "id", ""), json_get_z(v, "client_id", ""),
               json_get_z(v, "api", ""), json_get_z(v, "version", ""));
    }
}

void demo_print_story(const struct settings *s)
{
    struct arena a;
    arena_init(&a);
    json_t *accounts = accounts_json();
    const char *town = demo_site_url(&a, s, "mairie.localhost").p;
    print_accounts(accounts, "citizens", "\nCitoyens / Citizens (identifiant, mot de passe)");
    print_accounts(accounts, "agents", "\nAgents");
    printf("\nL’histoire / The story\n"
           "  1. %s  Cherchez « j’ai déménagé », ouvrez la démarche, identifiez-vous.\n"
           "     Search for “I moved”, open the procedure, sign in as camille.martin.\n"
           "  2. Le formulaire est rempli par la caisse des familles et les impôts. Envoyez-le.\n"
           "     The form comes filled in by two other bodies. Send it.\n"
           "  3. %s/agent  sophie.leroy lit le dossier et décide.\n"
           "     sophie.leroy reads the file and decides.\n"
           "  4. %s/account  Qui a utilisé vos données, pourquoi, avec la preuve.\n"
           "     Who used your data, why, with the proof.\n"
           "  5. %s/account/consents  Retirez un accord : l’appel suivant est refusé.\n"
           "     Withdraw a consent: the next call is refused.\n\n",
           s->base_url, town, s->base_url, s->base_url);
    json_decref(accounts);
    arena_free(&a);
}

/* ---- the command -------------------------------------------------------------------------------
 */
static int usage(FILE *to)
{
    fputs(
        "usage: socle demo describe [--json]\n"
        "       socle demo load\n\n"
        "describe: accounts, clients with their secrets, APIs and contracts of the demonstration\n"
        "in --data; it works while the platform runs and when it is stopped.\n"
        "load: writes the demonstration world into --data, as `socle serve --demo=yes` does.\n",
        to);
    return to == stdout ? 0 : 2;
}

/* The addresses it was loaded for, whatever this command's own settings say. */
static enum err settings_of_world(struct ctx *c, struct settings *s)
{
    struct str base_url, text;
    uint64_t port;
    enum err e = demo_setting_get(c, STR("demo.base_url"), &base_url);
    if (e == ERR_OK)
        e = demo_setting_get(c, STR("demo.port"), &text);
    if (e != ERR_OK || !str_to_u64(text, &port))
        return e == ERR_OK ? ERR_CORRUPT : e;
    s->base_url = base_url.p;
    s->port = (int64_t)port;
    return ERR_OK;
}

static int run_describe(struct platform *pf, bool as_json)
{
    struct arena a;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct settings s = *pf->settings;
    json_t *d = json_own(&c->pool, json_object());
    enum err e = settings_of_world(c, &s);
    pf->settings = &s;
    if (e == ERR_OK)
        e = describe(c, d);
    if (e == ERR_OK && as_json)
        printf(STR_FMT "\n", STR_ARG(json_text(&a, d)));
    else if (e == ERR_OK)
        print_world(c, d);
    else
        fprintf(stderr,
                "socle: %s holds no demonstration world (%s); `socle serve --demo=yes` "
                "loads it\n",
                pf->settings->data, err_name(e));
    ctx_free(c);
    arena_free(&a);
    return e == ERR_OK ? 0 : 1;
}

static int run_load(struct platform *pf)
{
    enum err e = platform_migrate(pf);
    if (e == ERR_OK)
        e = demo_load(pf);
    if (e != ERR_OK)
        fprintf(stderr, "socle: the demonstration world was not loaded (%s)\n", err_name(e));
    else
        printf("socle: the demonstration world is in %s\n", pf->settings->data);
    return e == ERR_OK ? 0 : 1;
}

int demo_cli(const struct settings *s, int argc, char **argv)
{
    struct platform pf;
    bool load = argc == 2 && strcmp(argv[1], "load") == 0;
    bool as_json = argc == 3 && strcmp(argv[2], "--json") == 0;
    bool tell = argc >= 2 && strcmp(argv[1], "describe") == 0 && (argc == 2 || as_json);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (argc == 3 && strcmp(argv[1], "--json") == 0 && strcmp(argv[2], "describe") == 0)
        tell = as_json = true;
    if (!load && !tell)
        return usage(stderr);
    if (!load && access(s->data, F_OK) != 0) {
        fprintf(stderr, "socle: there is no folder %s\n", s->data);
        return 1;
    }
    enum err e = boot_open_local(s, &pf);
    if (e != ERR_OK)
        fprintf(stderr, "socle: %s cannot be opened (%s)\n", s->data, err_name(e));
    int code = e != ERR_OK ? 1 : load ? run_load(&pf) : run_describe(&pf, as_json);
    boot_close(&pf);
    return code;
}
