/* The account: one place where people find services, follow what they started, see who used their
 * data, and take back what they agreed to. */
#include "core/account/account.h"


struct journal_reader *account_reader;

static enum err start(struct platform *pf)
{
    return journal_reader_open(arena_printf(&pf->arena, "%s/journal", pf->settings->data).p,
                               &account_reader);
}

static const struct route routes[] = {
    ROUTE("GET", "/", SITE_PORTAL, ROLE_PUBLIC, 0, page_home, "Find a procedure in plain words."),
    ROUTE("GET", "/account", SITE_PORTAL, ROLE_USER, 0, page_account,
          "My procedures, recent uses of my data, my consents."),
    ROUTE("GET", "/account/uses", SITE_PORTAL, ROLE_USER, 0, page_uses,
          "Who used my data; ?q= searches, ?format=csv exports."),
    ROUTE("GET", "/account/uses/{id}", SITE_PORTAL, ROLE_USER, 0, page_proof,
          "The proof that one use is in the journal."),
    ROUTE("GET", "/account/uses/{id}/preuve", SITE_PORTAL, ROLE_USER, 0, page_proof_file,
          "The same proof as a file to check elsewhere."),
    ROUTE("GET", "/account/consents", SITE_PORTAL, ROLE_USER, 0, page_consents,
          "What I agreed to."),
    ROUTE("GET", "/account/consents/{id}/withdraw", SITE_PORTAL, ROLE_USER, 0, page_withdraw,
          "Asks before a consent is withdrawn."),
    ROUTE("POST", "/account/consents/{id}/withdraw", SITE_PORTAL, ROLE_USER, 0, page_withdraw_post,
          "Withdraws a consent."),
};

static const struct nav_item nav[] = {
    {SITE_PORTAL, ROLE_USER, "/", "account/nav.home"},
    {SITE_PORTAL, ROLE_USER, "/account", "account/nav.account"},
    {SITE_PORTAL, ROLE_USER, "/account/uses", "account/nav.uses"},
    {SITE_PORTAL, ROLE_USER, "/account/consents", "account/nav.consents"},
};

const struct service service_account = {
    .name = "account",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .start = start,
};
