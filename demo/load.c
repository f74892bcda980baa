/* The demonstration world, written into an empty platform as an operator would: organisations, the
 * providers people sign in with, clients, APIs, contracts, a site, a register. A stamp of all it
 * was made from makes later starts one query long. */
#include <sys/stat.h>
#include <zlib.h>

#include "base/codec.h"
#include "base/log.h"
#include "commons/registers/registers.h"
#include "core/exchange/exchange.h"
#include "core/identity/identity.h"
#include "crypto/digest.h"
#include "demo/bodies.h"
#include "demo/demo.h"
#include "demo/world.h"
#include "platform/rp.h"
#include "sys/file.h"
#include "web/assets.h"

/* Counts up when what is loaded changes. */
static const char VERSION[] = "2";

/* ---- organisations, providers, clients, sites --------------------------------------------------
 */
static enum err load_orgs(struct ctx *c)
{
    enum err e = ERR_OK;
    const struct demo_org *o;
    for (size_t i = 0; e == ERR_OK && (o = demo_org_at(i)) != NULL; i++)
        e = org_put(c, str_from(o->id), str_from(o->siret), o->kind, o->name_fr, o->name_en);
    return e;
}

static const char *secret_name(struct ctx *c, const char *kind, const char *id)
{
    return arena_printf(c->arena, "%s.%s", kind, id).p;
}

/* Whoever put it wrong reads which member it was. */
static enum err told(enum err e, const char *what, const char *id, const char *why)
{
    if (e != ERR_OK)
        log_error("demo_put_failed", "what", what, "id", id, "why", why ? why : "", "error",
                  err_name(e));
    return e;
}

/* One of the two asks the civil register, so that both ways can be seen. */
static const char *provider_conf(struct ctx *c, const struct demo_provider *p)
{
    if (strcmp(p->id, "sante-demo") != 0)
        return NULL;
    return arena_printf(c->arena, "{\"civil_register\": \"http://127.0.0.1:%d/etat-civil/v1\"}",
                        (int)c->pf->settings->port + DEMO_PORT_FAMILY)
        .p;
}

static enum err load_providers(struct ctx *c)
{
    enum err e = ERR_OK;
    const struct demo_provider *p;
    for (size_t i = 0; e == ERR_OK && (p = demo_provider_at(i)) != NULL; i++) {
        struct str secret;
        const char *why = NULL;
        e = demo_secret(c, secret_name(c, "provider", p->id), &secret);
        if (e != ERR_OK)
            break;
        struct identity_provider put = {.id = p->id,
                                        .realm = p->realm,
                                        .name_fr = p->title_fr,
                                        .name_en = p->title_en,
                                        .hint_fr = p->hint_fr,
                                        .hint_en = p->hint_en,
                                        .client_id = "socle",
                                        .secret = secret.p,
                                        .issuer =
                                            demo_provider_issuer(c->arena, c->pf->settings, p).p,
                                        .conf = provider_conf(c, p),
                                        .position = (int)i};
        e = told(identity_provider_put(c, &put, &why), "provider", p->id, why);
    }
    return e;
}

/* Blank-separated words as a list of texts. */
static const char *const *words_of(struct arena *a, struct str text, size_t *n)
{
    const char **list = arena_array(a, const char *, text.n / 2 + 1);
    struct str part;
    *n = 0;
    while (text.n && str_split(&text, ' ', &part))
        if (part.n)
            list[(*n)++] = arena_dupz(a, part);
    return list;
}

static enum err load_client(struct ctx *c, const struct demo_client *k)
{
    struct str secret, none;
    const char *why = NULL;
    const struct settings *s = c->pf->settings;
    enum err e = demo_secret(c, secret_name(c, "client", k->id), &secret);
    if (e != ERR_OK)
        return e;
    struct identity_client put = {.id = k->id,
                                  .secret = secret.p,
                                  .org_id = k->org_id,
                                  .name_fr = k->name_fr,
                                  .name_en = k->name_en,
                                  .realm = k->realm,
                                  .entity_id = k->org_id,
                                  .scopes = k->scopes};
    if (k->host)
        put.login_uri =
            arena_printf(c->arena, "%s/connexion", demo_site_url(c->arena, s, k->host).p).p;
    put.redirect_uris = words_of(c->arena, demo_client_uris(c->arena, s, k), &put.n_redirect_uris);
    put.post_logout_uris =
        words_of(c->arena, demo_client_logout_uris(c->arena, s, k), &put.n_post_logout_uris);
    e = told(identity_client_put(c, &put, &none, &none, &why), "client", k->id, why);
    if (e == ERR_OK && k->host)
        e = site_put(c, str_from(k->host), str_from(k->org_id), str_from(k->id), secret);
    return e;
}

static enum err load_clients(struct ctx *c)
{
    enum err e = ERR_OK;
    const struct demo_client *k;
    for (size_t i = 0; e == ERR_OK && (k = demo_client_at(i)) != NULL; i++)
        e = load_client(c, k);
    return e;
}

/* What the town's sign-in asks for: what its procedure's declaration says. */
static enum err load_site_scopes(struct ctx *c)
{
    json_t *def;
    enum err e = json_read(asset_get("services/address-change/service.json"), &def, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, def);
    const struct demo_client *k;
    for (size_t i = 0; e == ERR_OK && (k = demo_client_at(i)) != NULL; i++)
        if (k->host)
            e = demo_setting_put(c, arena_printf(c->arena, "site.scope.%s", k->host),
                                 json_get_str(def, "scope"));
    return e;
}

/* ---- APIs --------------------------------------------------------------------------------------
 */
static const struct {
    const char *description, *org_id;
    int port;
} apis[] = {{"demo/data/famille.yaml", "caisse-familles-demo", DEMO_PORT_FAMILY},
            {"demo/data/adresse.yaml", "impots-demo", DEMO_PORT_TAX}};

/* Published as any body publishes its own: from their descriptions. */
static enum err load_apis(struct ctx *c)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(apis) && e == ERR_OK; i++) {
        json_t *out;
        struct str text = asset_get(apis[i].description);
        json_t *args = json_pack(
            "{s:s%, s:s, s:o}", "text", text.p, text.n, "org_id", apis[i].org_id, "origin",
            json_sprintf("http://127.0.0.1:%d", (int)c->pf->settings->port + apis[i].port));
        e = platform_call(c, "catalogue.import", args, &out);
        json_decref(args);
        if (e == ERR_OK && !json_get_bool(out, "published", false)) {
            log_error("demo_api_refused", "api", apis[i].description, "why",
                      json_text(c->arena, out).p);
            e = ERR_INVALID;
        }
    }
    return e;
}

/* The application map that the rate of APIs is computed from. */
static enum err load_systems(struct ctx *c)
{
    static const char *const systems[][3] = {
        {"caisse-familles-demo", "Gestion des allocations", "famille"},
        {"caisse-familles-demo", "Accueil et rendez-vous", ""},
        {"impots-demo", "Adresses des contribuables", "adresse"},
        {"impots-demo", "Recouvrement", ""},
        {"impots-demo", "Cadastre", ""},
        {"ville-de-nantes-demo", "État civil", ""},
        {"ville-de-nantes-demo", "Inscriptions scolaires", ""}};
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(systems) && e == ERR_OK; i++) {
        json_t *out, *args = json_pack("{s:s, s:s, s:s}", "org_id", systems[i][0], "name",
                                       systems[i][1], "api", systems[i][2]);
        e = platform_call(c, "catalogue.system_put", args, &out);
        json_decref(args);
    }
    return e;
}

/* ---- accounts of the platform's own -------------------------------------------------------------
 */
/* One whose holder showed her papers, one whose holder did not. */
static enum err load_own_accounts(struct ctx *c)
{
    enum err e = ERR_OK;
    json_t *own, *account, *out;
    size_t i, k;
    json_array_foreach(json_get(demo_accounts(), "own_accounts"), i, own)
    {
        json_t *args = json_own(&c->pool, json_pack("{s:O, s:O}", "email", json_get(own, "email"),
                                                    "password_hash", json_get(own, "argon2id")));
        json_array_foreach(json_get(demo_accounts(), "accounts"), k, account)
        {
            if (str_eq(json_get_str(account, "login"), json_get_str(own, "login")))
                json_object_set(args, "pivot", json_get(account, "claims"));
        }
        if (e == ERR_OK)
            e = platform_call(c, "accounts.put", args, &out);
    }
    return e;
}

/* ---- contracts ---------------------------------------------------------------------------------
 */
#define LAW_FR "Article L. 114-8 du code des relations entre le public et l’administration"
#define LAW_EN "Article L. 114-8 of the code of relations between the public and the administration"

static const struct exchange_contract_terms contracts[] = {
    {.id = "mairie-famille",
     .client_id = "mairie-nantes-demo",
     .org_id = "ville-de-nantes-demo",
     .api = "famille",
     .version = "v1",
     .fields = "foyer.enfants.prenoms foyer.enfants.date_naissance date_mise_a_jour",
     .purpose_fr = "Remplir votre déclaration de changement d’adresse avec les enfants du foyer",
     .purpose_en = "Fill in your declaration of a change of address with the children of the "
                   "household",
     .basis_fr = LAW_FR ", avec votre accord",
     .basis_en = LAW_EN ", with your consent",
     .consent_needed = true,
     .duration_days = 90,
     .quota_per_minute = 600},
    {.id = "mairie-adresse",
     .client_id = "mairie-nantes-demo",
     .org_id = "ville-de-nantes-demo",
     .api = "adresse",
     .version = "v1",
     .fields = "adresse.numero adresse.voie adresse.code_postal adresse.code_commune "
               "adresse.commune date_mise_a_jour",
     .purpose_fr = "Remplir votre déclaration de changement d’adresse avec votre ancienne adresse",
     .purpose_en = "Fill in your declaration of a change of address with your former address",
     .basis_fr = LAW_FR ", avec votre accord",
     .basis_en = LAW_EN ", with your consent",
     .consent_needed = true,
     .duration_days = 90,
     .quota_per_minute = 600},
    {.id = "essai-famille",
     .client_id = "socle-essai",
     .org_id = "essai-demo",
     .api = "famille",
     .version = "v1",
     .fields = "foyer.enfants.prenoms quotient_familial date_mise_a_jour",
     .purpose_fr = "Essayer la plateforme",
     .purpose_en = "Try the platform",
     .basis_fr = LAW_FR ", avec votre accord",
     .basis_en = LAW_EN ", with your consent",
     .consent_needed = true,
     .duration_days = 90,
     .quota_per_minute = 600},
    {.id = "essai-adresse",
     .client_id = "socle-essai",
     .org_id = "essai-demo",
     .api = "adresse",
     .version = "v1",
     .fields = "adresse.code_commune adresse.commune",
     .purpose_fr = "Essayer la plateforme",
     .purpose_en = "Try the platform",
     .basis_fr = LAW_FR,
     .basis_en = LAW_EN,
     .duration_days = 90,
     .quota_per_minute = 600},
};

static enum err load_contracts(struct ctx *c)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(contracts) && e == ERR_OK; i++)
        e = exchange_contract_put(c, &contracts[i], NULL);
    return e;
}

/* ---- communes ----------------------------------------------------------------------------------
 */
/* Lines of the compressed file, one after the other. */
struct lines {
    z_stream z;
    char block[64 * 1024];
    size_t from, to;
    bool failed;
};

static bool lines_refill(struct lines *l)
{
    memmove(l->block, l->block + l->from, l->to - l->from);
    l->to -= l->from;
    l->from = 0;
    l->z.next_out = (Bytef *)l->block + l->to;
    l->z.avail_out = (uInt)(sizeof l->block - l->to);
    size_t room = l->z.avail_out;
    int code = room ? inflate(&l->z, Z_NO_FLUSH) : Z_BUF_ERROR;
    l->to += room - l->z.avail_out;
    l->failed = code != Z_OK && code != Z_STREAM_END;
    return room > l->z.avail_out;
}

static bool lines_next(struct lines *l, struct str *line)
{
    for (;;) {
        struct str have = str_of(l->block + l->from, l->to - l->from);
        ptrdiff_t end = str_find_char(have, '\n');
        if (end >= 0) {
            *line = str_sub(have, 0, (size_t)end);
            l->from += (size_t)end + 1;
            return true;
        }
        if (!lines_refill(l)) {
            *line = str_of(l->block + l->from, l->to - l->from); /* the last, without an end */
            l->from = l->to;
            return line->n > 0;
        }
    }
}

/* {"code","nom","departement","codes_postaux":[..],"population"}: the row's data is the line. */
static bool commune_next(void *arg, struct arena *a, struct register_row *row)
{
    struct str line;
    json_t *v, *code;
    size_t i;
    if (!lines_next(arg, &line) || json_read(line, &v, NULL) != ERR_OK)
        return false;
    struct str words = STR("");
    json_array_foreach(json_get(v, "codes_postaux"), i, code)
    {
        words = arena_printf(a, STR_FMT " %s", STR_ARG(words), json_string_value(code));
    }
    *row = (struct register_row){.key = arena_dup(a, json_get_str(v, "code")),
                                 .words = words,
                                 .label = arena_printf(a, "%s (%s)", json_get_z(v, "nom", ""),
                                                       json_get_z(v, "departement", "")),
                                 .weight = json_get_i64(v, "population", 0),
                                 .data = arena_dup(a, line)};
    json_decref(v);
    return true;
}

static enum err load_communes(struct ctx *c)
{
    struct str file = asset_get("demo/data/communes.ndjson.gz");
    struct lines *l = arena_new(c->arena, struct lines);
    enum { WINDOW_GZIP = 15 + 16 };
    if (inflateInit2(&l->z, WINDOW_GZIP) != Z_OK)
        return ERR_INTERNAL;
    l->z.next_in = (Bytef *)(uintptr_t)file.p;
    l->z.avail_in = (uInt)file.n;
    uint8_t hash[SHA256_LEN];
    sha256(file.p, file.n, hash);
    enum err e =
        register_load(c->pf, "communes", codec_to_hex(c->arena, hash, 16).p, commune_next, l);
    inflateEnd(&l->z);
    return l->failed ? ERR_CORRUPT : e;
}

/* ---- what the identity provider knows of its client --------------------------------------------
 */
/* It keeps the digest of each secret: enough to check it, useless to whoever reads the file. */
static enum err write_registrations(struct ctx *c)
{
    json_t *doc = json_own(&c->pool, json_pack("{s:i}", "v", 1));
    const struct demo_provider *p;
    struct str out = portal_url(c, "/deconnexion/retour");
    for (size_t i = 0; (p = demo_provider_at(i)) != NULL; i++) {
        uint8_t hash[SHA256_LEN];
        struct str secret, path = arena_printf(c->arena, "/connexion/retour/%s", p->id);
        struct str uri = portal_url(c, path.p);
        enum err e = demo_secret(c, secret_name(c, "provider", p->id), &secret);
        if (e != ERR_OK)
            return e;
        sha256(secret.p, secret.n, hash);
        json_object_set_new(doc, p->path,
                            json_pack("{s:s, s:s, s:[s], s:[s]}", "client_id", "socle",
                                      "secret_sha256", codec_to_hex(c->arena, hash, 32).p,
                                      "redirect_uris", uri.p, "after_logout", out.p));
    }
    struct str path = demo_registrations_path(c->arena, c->pf->settings);
    enum err e = file_make_dirs(arena_printf(c->arena, "%s/demo", c->pf->settings->data).p, 0700);
    return e == ERR_OK ? file_write_atomic(path.p, json_text(c->arena, doc), 0600) : e;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */
static struct str stamp_of(struct ctx *c)
{
    const struct settings *s = c->pf->settings;
    return arena_printf(c->arena, "%s %s %s %d", VERSION, SOCLE_VERSION, s->base_url, (int)s->port);
}

static bool is_loaded(struct ctx *c)
{
    struct stat st;
    struct str stamp;
    return demo_setting_get(c, STR("demo.stamp"), &stamp) == ERR_OK && str_eq(stamp, stamp_of(c)) &&
           stat(demo_registrations_path(c->arena, c->pf->settings).p, &st) == 0;
}

static enum err load_all(struct ctx *c)
{
    static enum err (*const steps[])(struct ctx * c) = {
        load_orgs,      load_providers,    load_clients, load_site_scopes, load_apis,
        load_contracts, load_own_accounts, load_systems, load_communes,    write_registrations};
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(steps) && e == ERR_OK; i++) {
        e = steps[i](c);
        if (e != ERR_OK)
            log_error("demo_load_failed", "step", LOG_NUM(i), "error", err_name(e));
    }
    /* Where it is served: `demo describe` tells of the world as it was loaded. */
    const struct settings *s = c->pf->settings;
    if (e == ERR_OK)
        e = demo_setting_put(c, STR("demo.base_url"), str_from(s->base_url));
    if (e == ERR_OK)
        e = demo_setting_put(c, STR("demo.port"), arena_printf(c->arena, "%d", (int)s->port));
    return e == ERR_OK ? demo_setting_put(c, STR("demo.stamp"), stamp_of(c)) : e;
}

enum err demo_load(struct platform *pf)
{
    struct arena a;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = is_loaded(c) ? ERR_OK : load_all(c);
    ctx_free(c);
    arena_free(&a);
    return e;
}
