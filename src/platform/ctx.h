/* One request as a handler sees it; also made for commands and jobs (ctx_make), without a request.
 * The path of a request is dispatch.c: LIMIT ROUTE SESSION CSRF POLICY CONTRACT HANDLER JOURNAL
 * RENDER. */
#ifndef PLATFORM_CTX_H
#define PLATFORM_CTX_H

#include "platform/platform.h"
#include "web/form.h"

struct site {
    enum site_kind kind;
    struct str host;     /* "mairie.localhost" */
    struct str base_url; /* "http://mairie.localhost:8080" */
    struct str org_id;   /* "" for the portal */
    struct str name_fr, name_en;
    struct str client_id; /* the organisation's client of the issuer */
};

struct session {
    struct str id;      /* hash of the cookie, hex: names it in tables and logs */
    struct str subject; /* person id on the portal; pairwise sub or agent id on an org's site */
    enum role role;     /* ROLE_USER or ROLE_AGENT or ROLE_ADMIN */
    json_t *data;       /* what the sign-in left: names, tokens ...; sealed in the table */
    int64_t created_ms, expires_ms;
    struct str csrf;
};

/* A fault as people and programs meet it. Codes and texts: each module's table; published in
 * docs/ERRORS.md. Texts `<module>/error.<code>.{title,meaning,action}`, else the common ones of the
 * status. */
struct fault {
    const char *code; /* "EXC-403-CONSENT": stable */
    int status;
    const char *module; /* whose texts */
    const char *title;  /* problem+json title, English */
};

struct ctx {
    struct platform *pf;
    struct arena *arena;
    struct json_pool pool;
    const struct web_request *rq; /* NULL for commands and jobs */
    struct web_response *rs;
    const struct route *route;
    struct site *site;
    struct session *session; /* NULL: nobody signed in */
    struct session *ended; /* the cookie's session that has run out: subject, role and csrf only */
    struct form query, form; /* decoded; form only for urlencoded POST */
    const char *lang;        /* "fr" | "en" : ?lang=, then cookie, then Accept-Language, else fr */
    char trace_id[33];
    struct fault fault;
    struct str fault_detail;
    json_t *fault_extra;    /* more members for the problem+json; the context lets go of it */
    unsigned retry_after_s; /* 0: the status' own */
    struct str path_value[8];
    const char *page; /* set by ctx_page, drawn by the RENDER stage */
    json_t *page_data;
    bool script;                             /* the page has a script of ours: passkeys only */
    struct buf form_action;                  /* more origins for the CSP's form-action */
    void (*await)(struct ctx *c, void *arg); /* set by ctx_await */
    void *await_arg;
    int64_t started_us;
};

struct ctx *ctx_make(struct platform *pf, struct arena *a); /* for commands and jobs */
void ctx_free(struct ctx *c);

/* ---- reading the request -----------------------------------------------------------------------
 */
struct str ctx_path(const struct ctx *c, const char *name);  /* {name} of the route */
struct str ctx_query(const struct ctx *c, const char *name); /* .p NULL when absent */
struct str ctx_form(const struct ctx *c, const char *name);
struct str ctx_header(const struct ctx *c, const char *name);

/* ---- answering
 * ----------------------------------------------------------------------------------*/
/* Renders page "<module>/<name>" with data (stolen) plus the common variables (lang, user, brand,
 * csrf, site ...). Status 200 unless rs->status was set. */
enum err ctx_page(struct ctx *c, const char *page, json_t *data) MUST_CHECK;
enum err ctx_json(struct ctx *c, int status, json_t *body /* stolen */) MUST_CHECK;
enum err ctx_text(struct ctx *c, int status, const char *content_type, struct str body) MUST_CHECK;
/* A path of this site and nothing else: an open redirection would lend our name to others. */
bool path_is_ours(struct str to);
/* 303 See Other. Only to a path of this site, or to an address the caller validated. */
enum err ctx_redirect(struct ctx *c, struct str location) MUST_CHECK;
/* The answer waits for something that is not worth a thread. `begin` is called last of all, when
 * the request is over but for that, and asks for it; whoever brings it calls ctx_answered, once,
 * from any thread: with an error, the fault is the answer. All that is needed until then lives in
 * the arena. */
void ctx_await(struct ctx *c, void (*begin)(struct ctx *c, void *arg), void *arg);
void ctx_answered(struct ctx *c, enum err e);
/* There is no room for this request now: true when it waits its turn and comes again (then return
 * ERR_AGAIN, with nothing written), false when it has waited long enough. Only where others that
 * are under way hold the room. */
bool ctx_later(struct ctx *c);
/* Lets the page's form be redirected there by its POST: adds the origin to form-action of the CSP.
 */
void ctx_form_action(struct ctx *c, struct str url);
void ctx_cookie(struct ctx *c, const char *name, struct str value, int64_t max_age_s);
struct str ctx_cookie_get(const struct ctx *c, const char *name);
/* Notes why the request fails; returns the error to return. detail may be STR_NONE. */
enum err ctx_fail(struct ctx *c, const struct fault *f, enum err e, struct str detail);

/* ---- sessions ----------------------------------------------------------------------------------
 */
/* Starts one (ends the one there was: no fixation) and sets its cookie; data is stolen. */
enum err session_start(struct ctx *c, struct str subject, enum role role, json_t *data) MUST_CHECK;
enum err session_save(struct ctx *c) MUST_CHECK; /* after data changed */
enum err session_end(struct ctx *c) MUST_CHECK;
/* Answers a POST that needs a new sign-in with a page that leads there. What was typed is kept for
 * the person whose session it was (sealed, one day), and offered again when she is back. */
enum err session_ask_again(struct ctx *c) MUST_CHECK;
/* Ends all sessions of a subject on a site's host (back-channel logout, remote sign-out). */
enum err session_end_all(struct ctx *c, struct str host, struct str subject) MUST_CHECK;

/* ---- acts: a change and its proof --------------------------------------------------------------
 */
/* Runs `fn` (may be NULL) and the outbox rows of the entries in one transaction, then waits until
 * the journal has them durable. The entries' ids are set by the caller (id_new). ERR_UNAVAILABLE
 * after the commit means: done, and the journal will have it as soon as it is back. */
struct act {
    struct journal_record record; /* see journal/journal.h */
    struct str object, text;      /* .n 0: nothing is put in force */
};

/* What is common to acts: makes the record (entry of version 1, docs/formats/journal-entry.md) for
 * one. `person` is whose act it is to see: a person id, or "sub:<client_id>/<sub>" on a service's
 * side; .p NULL for acts about nobody. `told` is what that person will read of it (stolen; sealed
 * under the person's key in the side store, {"title":{fr,en}, ...}); NULL when there is nobody. */
struct act_info {
    const char *kind;  /* "procedure.submitted" */
    struct str actor;  /* who did it: a client id, an agent id, "self" */
    struct str object; /* id of the thing: a dossier, a consent, a contract */
    struct str person;
    json_t *told;
    /* What the act puts in force under `object`: a contract's or a consent's terms, JSON without a
     * personal value. The leaf holds its digest, table act_text keeps it as it stood, evidence
     * carries it. */
    struct str text;
};
enum err act_make(struct ctx *c, const struct act_info *info, struct act *out) MUST_CHECK;

enum err act_write(struct ctx *c, db_closure *fn, void *arg, const struct act *acts,
                   size_t n) MUST_CHECK;

/* ---- personal values at rest --------------------------------------------------------------------
 */
/* Sealed under the subject's own key (made at first use, wrapped by keys); context names the place,
 * "dossier.fields". vault_erase destroys the key: nothing sealed for the subject opens again. */
enum err vault_seal(struct ctx *c, struct str subject, const char *context, struct str plain,
                    struct str *sealed) MUST_CHECK;
enum err vault_open(struct ctx *c, struct str subject, const char *context, struct str sealed,
                    struct str *plain) MUST_CHECK; /* ERR_NOT_FOUND: erased */
enum err vault_key(struct ctx *c, struct str subject, uint8_t key[32]) MUST_CHECK;
enum err vault_erase(struct ctx *c, struct str subject) MUST_CHECK;
/* Inside a closure; caches hear of it by the change feed. */
enum err vault_erase_in(struct db_conn *db, struct str subject) MUST_CHECK;
/* Blind index for exact search: HMAC under a key that never leaves keys; hex. */
enum err vault_blind(struct ctx *c, const char *context, struct str value,
                     struct str *hex) MUST_CHECK;

/* ---- organisations ------------------------------------------------------------------------------
 */
/* Table organisation(id, siret, name_fr, name_en, kind, created_at); table site. */
enum err org_name(struct ctx *c, struct str org_id, const char *lang, struct str *name) MUST_CHECK;

/* The site of an organisation, or of a client of the issuer; NULL: none. A copy in the arena. */
struct site *site_of_org(struct arena *a, struct str org_id);
struct site *site_of_client(struct arena *a, struct str client_id);

/* A url of the portal or of the current site. */
struct str ctx_url(struct ctx *c, const char *path);
struct str portal_url(struct ctx *c, const char *path);

#endif
