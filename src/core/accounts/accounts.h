/* Citizens' own accounts: a source of identity of this platform's own. What lies where is in
 * docs/formats/account-rows.md; how identity is met, in docs/CALLS.md (identity.own_*). Read in
 * this order: signin.c, register.c, manage.c, passkey.c, desk.c. */
#ifndef ACCOUNTS_ACCOUNTS_H
#define ACCOUNTS_ACCOUNTS_H

#include "core/accounts/webauthn.h"
#include "platform/ctx.h"

enum { ACCOUNTS_MIGRATIONS = 2 };
extern const struct db_migration accounts_migrations[ACCOUNTS_MIGRATIONS];

enum { PASSWORD_MIN = 12, EMAIL_MAX = 254, PASSKEYS_MAX = 20, RECOVERY_N = 10 };
enum { LEVEL_LOW = 1, LEVEL_SUBSTANTIAL, LEVEL_HIGH }; /* eidas1, eidas2, eidas3 */

/* ---- an account ---------------------------------------------------------------------------------
 */
struct account {
    struct str id, person, password; /* the last is a PHC string */
    struct str email;
    bool confirmed;      /* the address was written to, and its holder answered */
    struct str verified; /* "": nobody saw her papers; "desk"; "link": a substantial sign-in */
    struct str totp;     /* the secret's bytes; .n 0: none */
    int64_t totp_level, totp_step; /* the last step that was used */
    int64_t desk_until_ms;         /* until then, one factor may be enrolled as at the desk */
    int64_t created_ms, seen_ms, n_passkeys, n_recovery;
};
enum err account_by_email(struct ctx *c, struct str email, struct account **out) MUST_CHECK;
enum err account_by_id(struct ctx *c, struct str id, struct account **out) MUST_CHECK;
enum err account_by_person(struct ctx *c, struct str person, struct account **out) MUST_CHECK;

/* Lower case, one '@', no blank; ERR_INVALID. */
enum err email_read(struct ctx *c, struct str text, struct str *out) MUST_CHECK;
/* Why a password will not do: the key of a text; NULL: it will. */
const char *password_fault(struct str password, struct str email);

/* A row of the table, ready for a closure. */
struct account_row {
    struct str id, person, email_blind, password, data, totp, verified;
    int64_t totp_level, totp_step, desk_until_ms, now_ms;
};
enum err account_seal(struct ctx *c, const struct account *a, struct account_row *row) MUST_CHECK;
db_closure account_insert, account_update; /* arg: struct account_row; ERR_EXISTS: the address */
/* Writes the account as it is now, with the act `kind`; `fr` and `en` are what she reads of it. */
enum err account_write(struct ctx *c, struct account *a, const char *kind, const char *fr,
                       const char *en) MUST_CHECK;
enum err account_act(struct ctx *c, const struct account *a, const char *kind, const char *actor,
                     const char *fr, const char *en, struct act *out) MUST_CHECK;
/* The account of the person who is signed in; ERR_NOT_FOUND: she has none. */
enum err account_mine(struct ctx *c, struct account **out) MUST_CHECK;
/* Makes it, with its person where there is none yet; pivot NULL: not verified. *why: a claim that
 * breaks its rule. ERR_EXISTS: the address has an account. */
enum err account_create(struct ctx *c, struct account *a, const json_t *pivot,
                        const char **why) MUST_CHECK;
/* Somebody saw her papers, or another provider vouches for her. The person may become another. */
enum err account_verify(struct ctx *c, struct account *a, const char *how, const json_t *pivot,
                        const char *actor, db_closure *more, void *arg,
                        const char **why) MUST_CHECK;

/* ---- small things that prove ourselves to ourselves (ticket.c) ----------------------------------
 */
/* A sealed JSON object that only this platform opens, for `use`, until it expires. */
struct str ticket_make(struct ctx *c, const char *use, const json_t *v, int64_t life_ms);
enum err ticket_open(struct ctx *c, const char *use, struct str ticket, json_t **v) MUST_CHECK;
/* Marks a name as used until then; ERR_EXISTS: it was. */
enum err used_once(struct ctx *c, const char *use, struct str name, int64_t life_ms) MUST_CHECK;
/* Before a secret is tried, by network address and by whose it is; ERR_LIMIT: answered. What was
 * right gives the address its try back, and throttle_right forgets those at the secret. */
enum err tries_address(struct ctx *c) MUST_CHECK;
void tries_address_good(struct ctx *c);
enum err tries_take(struct ctx *c, const char *what, struct str whose) MUST_CHECK;
struct str secret_digest(struct ctx *c, const char *use, struct str secret); /* keyed; hex */
/* `n` characters that can be read out and typed, in groups of four. */
struct str secret_words(struct ctx *c, size_t n);
/* As it was typed: upper case, without blanks and dashes, O as 0, I and L as 1. */
struct str secret_typed(struct ctx *c, struct str s);

/* ---- letters ------------------------------------------------------------------------------------
 */
/* Writes to an address. In the demonstration the letter is also shown: *shown (or NULL). */
enum err letter_write(struct ctx *c, const char *owner, struct str to, const char *kind,
                      const json_t *data, json_t **shown) MUST_CHECK;
bool letters_go(const struct ctx *c); /* a relay is set, or they are shown */

/* ---- factors ------------------------------------------------------------------------------------
 */
/* At which level a factor that is enrolled now will count. */
int64_t factor_level(const struct ctx *c, const struct account *a);

struct str totp_uri(struct ctx *c, const struct account *a, struct str secret);
struct str totp_base32(struct ctx *c, struct str secret);
json_t *totp_qr(struct str uri); /* {"size", "path"} for an SVG */
/* The step of a code that is right and newer than `after`; ERR_DENIED. */
enum err totp_check(struct str secret, struct str code, int64_t now_ms, int64_t after,
                    int64_t *step) MUST_CHECK;
/* A code of the authenticator application or a recovery code; used up. *level: what it counts. */
enum err factor_use(struct ctx *c, struct account *a, struct str code, int64_t *level,
                    const char **amr) MUST_CHECK;
enum err recovery_use(struct ctx *c, const struct account *a, struct str code,
                      int64_t *level) MUST_CHECK;
enum err recovery_new(struct ctx *c, struct account *a, json_t **codes) MUST_CHECK;

struct passkey {
    struct str id, account, name; /* id: digest of the credential's, names the row */
    struct wa_credential cred;
    int64_t level, created_ms, used_ms;
};
enum err passkeys_of(struct ctx *c, const struct account *a, struct passkey **list,
                     size_t *n) MUST_CHECK;
/* Data of a page's form that the script fills: "create" or "get". */
json_t *passkey_ask_create(struct ctx *c, const struct account *a);
json_t *passkey_ask_get(struct ctx *c, const struct account *a);
/* Reads the form that came back and verifies it. */
enum err passkey_register(struct ctx *c, struct account *a, const char **why) MUST_CHECK;
enum err passkey_assert(struct ctx *c, struct account **a, struct passkey *out,
                        const char **why) MUST_CHECK;
enum err passkey_remove(struct ctx *c, const struct account *a, struct str id) MUST_CHECK;
enum err passkeys_reseal(struct ctx *c, const struct account *a, struct str person,
                         struct passkey **list, struct str **data, size_t *n) MUST_CHECK;

/* What a desk wrote under this code. ERR_NOT_FOUND: no such code, used, or too old. */
enum err desk_open(struct ctx *c, struct str code, struct str *id, struct str *agent,
                   json_t **pivot) MUST_CHECK;

/* ---- pages --------------------------------------------------------------------------------------
 */
/* Where there is a mistake: answers with the page again and the text `key`. */
enum err accounts_refused(struct ctx *c, const struct fault *f);
extern const struct fault accounts_f_tries, accounts_f_form, accounts_f_password, accounts_f_factor,
    accounts_f_none, accounts_f_desk, accounts_f_passkey, accounts_f_limit, accounts_f_level;

/* The sign-in under way, by parameter or `id`. *answered: a page was given. */
struct own_flow {
    struct str id, choose_url;
    int64_t level;
    bool again;
    const json_t *client_name;
};
enum err own_flow_get(struct ctx *c, struct str id, struct own_flow *f, bool *answered) MUST_CHECK;
/* She proved `level` by `amr` (blank-separated): goes on, asks for more, or refuses. */
enum err own_finish(struct ctx *c, const struct own_flow *f, struct account *a, int64_t level,
                    const char *amr) MUST_CHECK;

route_handler accounts_signin, accounts_signin_post, accounts_factor, accounts_factor_post,
    accounts_key_post, accounts_register, accounts_register_post, accounts_confirm_post,
    accounts_forgot, accounts_forgot_post, accounts_reset_post, accounts_page, accounts_password,
    accounts_email, accounts_email_confirm, accounts_totp, accounts_totp_on, accounts_totp_off,
    accounts_codes, accounts_key, accounts_key_add, accounts_key_remove, accounts_delete,
    accounts_delete_page, accounts_link, accounts_desk_use, accounts_desk, accounts_desk_issue,
    accounts_api;
/* Has this site a desk where papers are seen? */
bool accounts_desk_where(const struct platform *pf, const struct site *site);
call_handler accounts_call_forget, accounts_call_put;
enum err accounts_erase_again(struct platform *pf, const json_t *leaf);
void accounts_tick(struct platform *pf, int64_t now_ms);

#endif
