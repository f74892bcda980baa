#include "core/accounts/accounts.h"

#define PEOPLE(method, path, fn, help, api) \
    ROUTE_TWIN(method, path, SITE_PORTAL, ROLE_PUBLIC, 0, fn, help, api)
#define HERS(method, path, fn, help, api) \
    ROUTE_TWIN(method, path, SITE_PORTAL, ROLE_USER, 0, fn, help, api)
#define API(method, path, fn, help) ROUTE(method, path, SITE_PORTAL, ROLE_USER, ROUTE_API, fn, help)
#define HERSELF                     "-: only the person herself signs in, and on this page"
#define BROWSER                     "-: a ceremony between a browser and an authenticator"

static const struct route routes[] = {
    PEOPLE("GET", "/compte/connexion", accounts_signin,
           "Signs in with an account of this platform's own.", NULL),
    PEOPLE("POST", "/compte/connexion", accounts_signin_post, "The same, posted.", HERSELF),
    PEOPLE("GET", "/compte/connexion/code", accounts_factor, "Asks for the second factor.", NULL),
    PEOPLE("POST", "/compte/connexion/code", accounts_factor_post,
           "A code of an application, or a recovery code.", HERSELF),
    PEOPLE("POST", "/compte/connexion/cle", accounts_key_post,
           "A passkey, alone or as second factor.", HERSELF),
    PEOPLE("GET", "/compte/inscription", accounts_register, "Opens an account.", NULL),
    PEOPLE("POST", "/compte/inscription", accounts_register_post,
           "Writes to the address that was given.", HERSELF),
    PEOPLE("POST", "/compte/inscription/confirmer", accounts_confirm_post,
           "The code of the letter: the account is open.", HERSELF),
    PEOPLE("GET", "/compte/oubli", accounts_forgot, "The password is forgotten.", NULL),
    PEOPLE("POST", "/compte/oubli", accounts_forgot_post, "Writes to the address that was given.",
           HERSELF),
    PEOPLE("POST", "/compte/oubli/nouveau", accounts_reset_post,
           "The code of the letter or a recovery code, and a new password.", HERSELF),

    HERS("GET", "/compte", accounts_page, "Her account and how she signs in.", "GET /api/compte"),
    HERS("POST", "/compte/mot-de-passe", accounts_password, "Changes the password.",
         "POST /api/compte/mot-de-passe"),
    HERS("POST", "/compte/adresse", accounts_email, "Asks for another address.",
         "POST /api/compte/adresse"),
    HERS("POST", "/compte/adresse/confirmer", accounts_email_confirm,
         "The code of the letter: the address is changed.", "POST /api/compte/adresse/confirmer"),
    HERS("POST", "/compte/application", accounts_totp,
         "Shows the secret of an authenticator application.", "POST /api/compte/application"),
    HERS("POST", "/compte/application/activer", accounts_totp_on, "Its first code: it is linked.",
         "POST /api/compte/application/activer"),
    HERS("POST", "/compte/application/retirer", accounts_totp_off, "Unlinks it.",
         "POST /api/compte/application/retirer"),
    HERS("POST", "/compte/codes", accounts_codes, "New recovery codes, shown once.",
         "POST /api/compte/codes"),
    HERS("POST", "/compte/cle", accounts_key, "Begins to add a passkey.", BROWSER),
    HERS("POST", "/compte/cle/ajouter", accounts_key_add, "Adds it.", BROWSER),
    HERS("POST", "/compte/cles/{id}/retirer", accounts_key_remove, "Removes a passkey.",
         "POST /api/compte/cles/{id}/retirer"),
    HERS("POST", "/compte/lier", accounts_link,
         "Says that an account here is hers, who is signed in by another provider.", HERSELF),
    HERS("POST", "/compte/guichet", accounts_desk_use, "The code of a desk.",
         "POST /api/compte/guichet"),
    HERS("GET", "/compte/supprimer", accounts_delete_page, "Asks before the account is deleted.",
         "GET /api/compte"),
    HERS("POST", "/compte/supprimer", accounts_delete, "Deletes the account.",
         "POST /api/compte/supprimer"),

    API("GET", "/api/compte", accounts_api, "Her account and how she signs in."),
    API("POST", "/api/compte/mot-de-passe", accounts_password, "Changes the password."),
    API("POST", "/api/compte/adresse", accounts_email, "Asks for another address."),
    API("POST", "/api/compte/adresse/confirmer", accounts_email_confirm,
        "The code of the letter: the address is changed."),
    API("POST", "/api/compte/application", accounts_totp,
        "A secret for an authenticator application."),
    API("POST", "/api/compte/application/activer", accounts_totp_on,
        "Its first code: it is linked."),
    API("POST", "/api/compte/application/retirer", accounts_totp_off, "Unlinks it."),
    API("POST", "/api/compte/codes", accounts_codes, "New recovery codes."),
    API("POST", "/api/compte/cles/{id}/retirer", accounts_key_remove, "Removes a passkey."),
    API("POST", "/api/compte/guichet", accounts_desk_use, "The code of a desk."),
    API("POST", "/api/compte/supprimer", accounts_delete, "Deletes the account."),

    ROUTE_TWIN("GET", "/agent/comptes", SITE_ORG, ROLE_AGENT, 0, accounts_desk,
               "At a desk: checks the papers of the holder of an account.",
               "POST /api/agent/comptes"),
    ROUTE_TWIN("POST", "/agent/comptes", SITE_ORG, ROLE_AGENT, 0, accounts_desk_issue,
               "Gives her a code, good once.", "POST /api/agent/comptes"),
    ROUTE("POST", "/api/agent/comptes", SITE_ORG, ROLE_AGENT, ROUTE_API, accounts_desk_issue,
          "Gives a code, good once, to somebody whose papers an agent has seen."),
};

static const struct call calls[] = {
    {"accounts.forget", accounts_call_forget, "Takes away the account of a person."},
    {"accounts.put", accounts_call_put, "Makes an account; for the demonstration's loader."},
};

static const struct nav_item nav[] = {
    NAV_WHERE(SITE_ORG, ROLE_AGENT, "/agent/comptes", "accounts/nav.desk", accounts_desk_where),
};

const struct service service_accounts = {
    .name = "accounts",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = accounts_migrations,
    .n_migrations = ACCOUNTS_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .tick = accounts_tick,
    .replay_kinds = {"identity.erased"},
    .replay = accounts_erase_again,
};
