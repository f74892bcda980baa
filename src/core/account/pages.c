/* The portal's start page and the account's pages. */
#include <stdio.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "core/account/account.h"
#include "crypto/digest.h"

enum { RECENT = 5, PROOF_MAX = 64 * 1024 };

json_t *account_person_args(struct ctx *c)
{
    return json_pack("{s:s#}", "person", c->session->subject.p, (int)c->session->subject.n);
}

/* ---- home: find a procedure --------------------------------------------------------------------
 */
static json_t *search(struct ctx *c, struct str q)
{
    json_t *found, *args = json_pack("{s:o,s:s}", "q", json_str(q), "lang", c->lang);
    enum err e = platform_call(c, "procedures.search", args, &found);
    json_decref(args);
    json_t *items = e == ERR_OK ? json_get(found, "items") : NULL;
    return items ? json_incref(items) : json_array();
}

enum err account_page_home(struct ctx *c)
{
    struct str q = ctx_query(c, "q");
    json_t *found = search(c, q);
    size_t n = json_array_size(found);
    json_t *d = json_pack("{s:o,s:b,s:i,s:b,s:b,s:s}", "q", json_str(q), "searched", q.n > 0,
                          "total", (int)n, "one", n == 1, "signed_in", c->session != NULL,
                          "sign_in_url", "/connexion?return=/account");
    json_object_set_new(d, q.n ? "results" : "popular", found);
    return ctx_page(c, "account/home", d);
}

/* ---- account -----------------------------------------------------------------------------------
 */
static const char *kind_of(const char *state)
{
    return strcmp(state, "accepted") == 0  ? "success"
           : strcmp(state, "refused") == 0 ? "error"
                                           : "info";
}

static void dossier_add(struct ctx *c, json_t *list, const json_t *d)
{
    json_t *item = json_copy((json_t *)d);
    json_object_set_new(item, "kind", json_string(kind_of(json_get_z(d, "state", ""))));
    json_object_set_new(
        item, "updated",
        json_str(clock_in_words(c->arena, json_get_i64(d, "updated_at", 0), c->lang, false)));
    json_array_append_new(list, item);
}

json_t *account_dossiers(struct ctx *c)
{
    json_t *subs, *sub, *found, *d, *list = json_array(), *args = account_person_args(c);
    size_t i, k;
    enum err e = platform_call(c, "identity.subs", args, &subs);
    json_decref(args);
    if (e != ERR_OK)
        return list;
    json_array_foreach(json_get(subs, "items"), i, sub)
    {
        if (platform_call(c, "procedures.of_sub", sub, &found) != ERR_OK)
            continue;
        json_array_foreach(json_get(found, "items"), k, d)
        {
            dossier_add(c, list, d);
        }
    }
    return list;
}

/* Whoever was told to delete what it received, and when it said that it did. */
static json_t *notices_json(struct ctx *c, const json_t *list)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *n = json_array_get(list, i);
        json_t *client = NULL, *args = json_pack("{s:O}", "client_id", json_get(n, "client_id"));
        enum err e = platform_call(c, "identity.client", args, &client);
        json_decref(args);
        int64_t done_ms = json_get_i64(n, "acknowledged_at", 0);
        json_t *j = json_pack(
            "{s:s,s:o}", "to",
            e == ERR_OK ? account_text(c, json_get(client, "name"))
                        : json_get_z(n, "client_id", ""),
            "told",
            json_str(clock_in_words(c->arena, json_get_i64(n, "told_at", 0), c->lang, false)));
        if (done_ms)
            json_object_set_new(j, "deleted",
                                json_str(clock_in_words(c->arena, done_ms, c->lang, false)));
        json_array_append_new(out, j);
    }
    return out;
}

/* {to, provider, what, why, given, until ...} of one consent. */
static json_t *consent_json(struct ctx *c, const json_t *item)
{
    json_t *client, *args = json_pack("{s:s}", "client_id", json_get_z(item, "client_id", ""));
    enum err e = platform_call(c, "identity.client", args, &client);
    json_decref(args);
    json_t *j = json_object();
    const char *to = e == ERR_OK ? account_text(c, json_get(client, "org_name")) : "";
    if (!*to && e == ERR_OK)
        to = account_text(c, json_get(client, "name"));
    json_object_set_new(j, "id", json_string(json_get_z(item, "id", "")));
    json_object_set_new(j, "to", json_string(to));
    json_object_set_new(j, "provider", json_string(account_text(c, json_get(item, "provider"))));
    json_object_set_new(j, "what", json_str(account_fields(c, json_get(item, "fields"))));
    json_object_set_new(j, "why", json_string(account_text(c, json_get(item, "purpose"))));
    static const struct {
        const char *member, *from;
    } times[] = {{"given", "given_at"}, {"until", "until_at"}, {"ended", "withdrawn_at"}};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        int64_t at_ms = json_get_i64(item, times[i].from, 0);
        if (at_ms)
            json_object_set_new(j, times[i].member,
                                json_str(clock_in_words(c->arena, at_ms, c->lang, false)));
    }
    const char *state = json_get_z(item, "state", "");
    json_object_set_new(j, "withdrawn", json_boolean(strcmp(state, "withdrawn") == 0));
    if (strcmp(state, "ended") == 0)
        json_object_set(j, "ended", json_get(j, "until"));
    json_object_set_new(j, "notices", notices_json(c, json_get(item, "notices")));
    json_object_set_new(j, "receipt_url",
                        json_str(arena_printf(c->arena, "/account/consents/%s/receipt",
                                              json_get_z(item, "id", ""))));
    json_object_set_new(j, "withdraw_url",
                        json_str(arena_printf(c->arena, "/account/consents/%s/withdraw",
                                              json_get_z(item, "id", ""))));
    return j;
}

/* Consents in two lists. */
static enum err consents(struct ctx *c, json_t **active, json_t **ended)
{
    json_t *found, *item, *args = account_person_args(c);
    size_t i;
    *active = json_own(&c->pool, json_array());
    *ended = json_own(&c->pool, json_array());
    enum err e = platform_call(c, "consent.list", args, &found);
    json_decref(args);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    json_array_foreach(json_get(found, "items"), i, item)
    {
        bool holds = strcmp(json_get_z(item, "state", ""), "active") == 0;
        json_array_append_new(holds ? *active : *ended, consent_json(c, item));
    }
    return ERR_OK;
}

static void set_list(json_t *d, const char *name, json_t *items)
{
    if (json_array_size(items))
        json_object_set_new(d, name,
                            json_pack("{s:O,s:i,s:i}", "items", items, "active",
                                      (int)json_array_size(items), "total",
                                      (int)json_array_size(items)));
}

enum err account_page_account(struct ctx *c)
{
    struct use *uses;
    json_t *active, *ended;
    size_t n;
    enum err e = account_uses(c, account_use_kinds, ACCOUNT_USE_KINDS, RECENT, &uses, &n);
    if (e == ERR_OK)
        e = consents(c, &active, &ended);
    if (e != ERR_OK)
        return e;
    json_t *d = json_object(), *list = json_own(&c->pool, account_dossiers(c));
    json_t *recent = json_own(&c->pool, json_array());
    for (size_t i = 0; i < n; i++)
        json_array_append_new(recent, account_use_json(c, &uses[i]));
    const char *given = json_get_z(json_get(c->session->data, "claims"), "given_name", NULL);
    json_object_set_new(d, "given_name",
                        json_string(given ? given : json_get_z(c->session->data, "name", "")));
    set_list(d, "dossiers", list);
    set_list(d, "uses", recent);
    set_list(d, "consents", active);
    account_from(c, d);
    return ctx_page(c, "account/account", d);
}

/* ---- consents ----------------------------------------------------------------------------------
 */
enum err account_page_consents(struct ctx *c)
{
    json_t *active, *ended, *d = json_own(&c->pool, json_object());
    enum err e = consents(c, &active, &ended);
    if (e != ERR_OK)
        return e;
    set_list(d, "active", active);
    set_list(d, "ended", ended);
    return ctx_page(c, "account/consents", json_incref(d));
}

static json_t *consent_find(struct ctx *c, json_t *list)
{
    size_t i;
    json_t *item;
    struct str id = ctx_path(c, "id");
    json_array_foreach(list, i, item)
    {
        if (str_eq(json_get_str(item, "id"), id))
            return item;
    }
    return NULL;
}

enum err account_page_withdraw(struct ctx *c)
{
    json_t *active, *ended;
    enum err e = consents(c, &active, &ended);
    json_t *one = e == ERR_OK ? consent_find(c, active) : NULL;
    if (e != ERR_OK)
        return e;
    if (!one)
        return ctx_redirect(c, STR("/account/consents"));
    return ctx_page(c, "account/consent_withdraw",
                    json_pack("{s:O,s:O,s:s}", "consent", one, "action",
                              json_get(one, "withdraw_url"), "back_url", "/account/consents"));
}

enum err account_page_withdraw_post(struct ctx *c)
{
    json_t *active, *ended, *done, *args = account_person_args(c);
    struct str id = ctx_path(c, "id");
    json_object_set_new(args, "consent_id", json_str(id));
    enum err e = platform_call(c, "consent.withdraw", args, &done);
    json_decref(args);
    if (e == ERR_OK)
        e = consents(c, &active, &ended);
    if (e != ERR_OK)
        return e;
    json_t *one = consent_find(c, ended);
    struct str when =
        clock_in_words(c->arena, json_get_i64(done, "withdrawn_at", 0), c->lang, true);
    json_t *d = json_pack("{s:O?,s:o}", "consent", one, "when", json_str(when));
    if (json_get(done, "entry"))
        json_object_set_new(
            d, "proof_url",
            json_str(arena_printf(c->arena, "/account/uses/%s", json_get_z(done, "entry", ""))));
    return ctx_page(c, "account/consent_withdrawn", d);
}

/* ---- proofs ------------------------------------------------------------------------------------
 */
static const struct fault f_no_use = {"ACC-404-USE", 404, "account", "No Such Use"};

/* The use of the path, when it is hers: where the journal has it is among her rows. */
enum err account_use_find(struct ctx *c, struct use *out)
{
    struct use_list list;
    struct use *use;
    struct journal_at at;
    size_t n;
    enum err e = journal_find(account_reader, ctx_path(c, "id"), &at);
    if (e == ERR_OK)
        e = account_use_list(c, NULL, 0, &list);
    for (size_t i = 0; e == ERR_OK && i < list.n; i++) {
        if (list.keys[i].at.log != at.log || list.keys[i].at.index != at.index)
            continue;
        e = account_uses_open(c, &list, i, i + 1, &use, &n);
        if (e == ERR_OK && n) {
            *out = use[0];
            return ERR_OK;
        }
    }
    return e == ERR_OK || e == ERR_NOT_FOUND ? ctx_fail(c, &f_no_use, ERR_NOT_FOUND, STR_NONE) : e;
}

/* The n-th line of a text, from `from` on; "" when there is none. */
static struct str line_of(struct str text, size_t from, size_t n)
{
    struct str rest = str_after(text, from), line = STR("");
    for (size_t i = 0; i <= n; i++)
        if (!rest.n || !str_split(&rest, '\n', &line))
            return STR("");
    return line;
}

/* What the file says (docs/formats/inclusion-proof.md): it was verified before it is shown. */
static void proof_lines(json_t *d, struct str proof)
{
    ptrdiff_t note = str_find(proof, STR("\n\n"));
    json_t *path = json_array();
    for (size_t i = 3; note > 0; i++) { /* behind the title, the extra data and the index */
        struct str line = line_of(str_sub(proof, 0, (size_t)note), 0, i);
        if (!line.n)
            break;
        json_array_append_new(path, json_str(line));
    }
    json_object_set_new(d, "path", path);
    if (note > 0)
        json_object_set_new(d, "root_hash", json_str(line_of(proof, (size_t)note + 2, 2)));
}

void account_proof_details(struct ctx *c, json_t *d, struct journal_at at, struct str proof)
{
    struct journal_verdict v;
    struct str leaf, key, note;
    uint8_t hash[SHA256_LEN];
    if (journal_checkpoint(account_reader, at.log, c->arena, &note, &key) != ERR_OK)
        key = STR_NONE;
    journal_verify_proof(c->arena, proof, key, &leaf, &v);
    if (v.err != ERR_OK) {
        log_error("proof_wrong", "trace", c->trace_id, "what", v.what);
        return;
    }
    struct str parts[2] = {str_of("\0", 1), leaf}; /* RFC 6962 2.1: a leaf's hash */
    sha256_many(parts, 2, hash);
    json_object_set_new(d, "checked", json_true());
    json_object_set_new(d, "origin", json_string(v.origin));
    json_object_set_new(d, "index", json_integer((json_int_t)at.index));
    json_object_set_new(d, "tree_size", json_integer((json_int_t)v.entries));
    json_object_set_new(d, "leaf_hash", json_str(codec_to_base64(c->arena, hash, sizeof hash)));
    proof_lines(d, proof);
}

enum err account_page_proof(struct ctx *c)
{
    struct use use;
    struct journal_at at;
    struct str proof;
    enum err e = account_use_find(c, &use);
    if (e != ERR_OK)
        return e;
    json_t *d =
        json_pack("{s:s,s:o}", "back_url", "/account/uses", "use", account_use_json(c, &use));
    json_object_del(json_get(d, "use"), "proof_url");
    json_object_set_new(d, "objection_url",
                        json_str(arena_printf(c->arena, "/account/uses/" STR_FMT "/objection",
                                              STR_ARG(use.entry))));
    e = journal_find(account_reader, use.entry, &at);
    if (e == ERR_OK)
        e = journal_prove(account_reader, at, c->arena, &proof);
    if (e == ERR_OK) {
        account_proof_details(c, d, at, proof);
        struct str file =
            arena_printf(c->arena, "/account/uses/" STR_FMT "/preuve", STR_ARG(use.entry));
        json_object_set_new(d, "download_url", json_str(file));
        json_object_set_new(d, "command",
                            json_str(arena_printf(c->arena, "socle verify preuve-" STR_FMT ".txt",
                                                  STR_ARG(use.entry))));
    } else {
        json_object_set_new(d, "pending", json_true());
    }
    return ctx_page(c, "account/proof", d);
}

enum err account_page_proof_file(struct ctx *c)
{
    struct use use;
    struct journal_at at;
    struct str proof;
    enum err e = account_use_find(c, &use);
    if (e == ERR_OK)
        e = journal_find(account_reader, use.entry, &at);
    if (e == ERR_OK)
        e = journal_prove(account_reader, at, c->arena, &proof);
    if (e != ERR_OK)
        return e == ERR_AGAIN ? ERR_UNAVAILABLE : e;
    web_header(c->rs, "Content-Disposition",
               arena_printf(c->arena, "attachment; filename=\"preuve-" STR_FMT ".txt\"",
                            STR_ARG(use.entry)));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_text(c, 200, "text/plain; charset=utf-8", proof);
}
