#include "demo/world.h"

#include "base/codec.h"
#include "base/rand.h"
#include "demo/bodies.h"
#include "web/assets.h"

static const struct demo_org orgs[] = {
    {"ville-de-nantes-demo", "99900000300015", "town", "Ville de Nantes (démonstration)",
     "City of Nantes (demonstration)"},
    {"caisse-familles-demo", "99900100100018", "social", "Caisse des familles (démonstration)",
     "Family fund (demonstration)"},
    {"impots-demo", "99900200900010", "state", "Administration fiscale (démonstration)",
     "Tax office (demonstration)"},
    {"sante-demo", "99900500200012", "social", "Assurance santé (démonstration)",
     "Health insurance (demonstration)"},
    {"agents-demo", "99900400500016", "state", "Annuaire des agents publics (démonstration)",
     "Directory of public agents (demonstration)"},
    {"essai-demo", "99900600000015", "partner", "Partenaire d’essai (démonstration)",
     "Test partner (demonstration)"},
};

static const struct demo_provider providers[] = {
    {"impots-demo", "/impots", "citizens", "Compte Impôts (démonstration)",
     "Tax account (demonstration)", "Le compte de vos déclarations de revenus.",
     "The account of your income tax returns."},
    {"sante-demo", "/sante", "citizens", "Compte Santé (démonstration)",
     "Health account (demonstration)", "Le compte de vos remboursements de soins.",
     "The account of your medical refunds."},
    {"agents-demo", "/agents", "agents", "Compte agent (démonstration)",
     "Agent’s account (demonstration)", "Le compte des agents publics.",
     "The account of public agents."},
};

static const struct demo_client clients[] = {
    {.id = "mairie-nantes-demo",
     .org_id = "ville-de-nantes-demo",
     .name_fr = "Ville de Nantes (démonstration)",
     .name_en = "City of Nantes (demonstration)",
     .scopes = "openid profile birth email famille_foyer adresse_fiscale given_name usual_name uid "
               "siret belonging_population",
     .realm = "any",
     .host = "mairie.localhost"},
    {.id = "socle-essai",
     .org_id = "essai-demo",
     .name_fr = "Service d’essai",
     .name_en = "Test service",
     .scopes = "openid profile birth identite_pivot email preferred_username family_name gender "
               "birthdate birthplace birthcountry amr famille_foyer adresse_fiscale given_name "
               "usual_name uid siret belonging_population",
     .realm = "any",
     .redirect_uris = "http://localhost:3000/callback http://127.0.0.1:3000/callback",
     .post_logout_uris = "http://localhost:3000/ http://127.0.0.1:3000/"},
};

const struct demo_org *demo_org_at(size_t i)
{
    return i < COUNT_OF(orgs) ? &orgs[i] : NULL;
}

const struct demo_provider *demo_provider_at(size_t i)
{
    return i < COUNT_OF(providers) ? &providers[i] : NULL;
}

const struct demo_client *demo_client_at(size_t i)
{
    return i < COUNT_OF(clients) ? &clients[i] : NULL;
}

/* The address and not a name: another site than localhost for browsers, so that the provider's
 * cookies are its own, and known to every resolver, as names under localhost are not. */
struct str demo_provider_issuer(struct arena *a, const struct settings *s,
                                const struct demo_provider *p)
{
    return arena_printf(a, "http://127.0.0.1:%d%s", (int)s->port + DEMO_PORT_IDP, p->path);
}

struct str demo_site_url(struct arena *a, const struct settings *s, const char *host)
{
    struct str base = str_from(s->base_url);
    ptrdiff_t at = str_find(base, STR("://"));
    struct str rest = str_after(base, (size_t)at + 3);
    ptrdiff_t colon = str_find_char(rest, ':');
    return arena_printf(a, STR_FMT "://%s" STR_FMT, STR_ARG(str_sub(base, 0, (size_t)at)), host,
                        STR_ARG(colon < 0 ? STR("") : str_after(rest, (size_t)colon)));
}

static struct str uris(struct arena *a, const struct settings *s, const struct demo_client *k,
                       const char *given, const char *path)
{
    if (given)
        return str_from(given);
    return arena_printf(a, "%s%s", demo_site_url(a, s, k->host).p, path);
}

struct str demo_client_uris(struct arena *a, const struct settings *s, const struct demo_client *k)
{
    return uris(a, s, k, k->redirect_uris, "/oidc/retour");
}

struct str demo_client_logout_uris(struct arena *a, const struct settings *s,
                                   const struct demo_client *k)
{
    return uris(a, s, k, k->post_logout_uris, "/");
}

/* ---- settings and secrets ----------------------------------------------------------------------
 */
struct setting_row {
    struct str name, value;
};

static enum err setting_write(struct db_conn *db, void *arg)
{
    struct setting_row *r = arg;
    return db_exec(db,
                   "INSERT INTO setting(name, value) VALUES($1, $2) "
                   "ON CONFLICT (name) DO UPDATE SET value = $2",
                   "ss", r->name, r->value);
}

enum err demo_setting_put(struct ctx *c, struct str name, struct str value)
{
    struct setting_row r = {name, value};
    return db_write(c->pf->db, setting_write, &r);
}

enum err demo_setting_get(struct ctx *c, struct str name, struct str *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r, "SELECT value FROM setting WHERE name = $1", "s", name);
    if (e == ERR_OK)
        *out = db_str(&r, 0, 0);
    return e;
}

enum err demo_secret_get(struct ctx *c, const char *name, struct str *out)
{
    struct str text, wrapped, key = arena_printf(c->arena, "demo.secret.%s", name);
    enum err e = demo_setting_get(c, key, &text);
    if (e == ERR_OK)
        e = codec_base64url(c->arena, text, &wrapped);
    if (e == ERR_OK)
        e = keys_unwrap(c->pf->keys, "subject", key, wrapped, c->arena, &text);
    if (e == ERR_OK)
        *out = arena_dup(c->arena, text); /* ends with a NUL */
    return e;
}

enum err demo_secret(struct ctx *c, const char *name, struct str *out)
{
    char fresh[SECRET_LEN + 1];
    struct str wrapped, key = arena_printf(c->arena, "demo.secret.%s", name);
    enum err e = demo_secret_get(c, name, out);
    if (e != ERR_NOT_FOUND)
        return e;
    secret_new(fresh);
    e = keys_wrap(c->pf->keys, "subject", key, str_from(fresh), c->arena, &wrapped);
    mem_wipe(fresh, sizeof fresh);
    if (e == ERR_OK)
        e = demo_setting_put(c, key, codec_to_base64url(c->arena, wrapped.p, wrapped.n));
    return e == ERR_OK ? demo_secret_get(c, name, out) : e;
}

/* ---- accounts ----------------------------------------------------------------------------------
 */
const json_t *demo_accounts(void)
{
    static json_t *accounts;
    if (!accounts && json_read(asset_get("demo/data/accounts.json"), &accounts, NULL) != ERR_OK)
        accounts = NULL; /* the unit test reads the same file: this does not ship */
    return accounts;
}

const json_t *demo_identities(void)
{
    static json_t *identities;
    if (!identities &&
        json_read(asset_get("demo/data/identities.json"), &identities, NULL) != ERR_OK)
        identities = NULL;
    return identities;
}

struct str demo_registrations_path(struct arena *a, const struct settings *s)
{
    return arena_printf(a, "%s/demo/registrations.json", s->data);
}
