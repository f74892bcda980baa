/* The twins of the account's pages. Texts come in both languages; times in milliseconds. */
#include "core/account/account.h"

enum { USES_MAX = 500 };

enum err account_api_search(struct ctx *c)
{
    json_t *found,
        *args = json_pack("{s:o,s:s}", "q", json_str(ctx_query(c, "q")), "lang", c->lang);
    enum err e = platform_call(c, "procedures.search", args, &found);
    json_decref(args);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(found)) : e;
}

enum err account_api_account(struct ctx *c)
{
    return ctx_json(c, 200,
                    json_pack("{s:s,s:o}", "name", json_get_z(c->session->data, "name", ""),
                              "dossiers", account_dossiers(c)));
}

/* What she was told, but for the salt: that is for the proof alone. */
static json_t *use_json(const struct use *u)
{
    json_t *j = json_copy(u->told);
    json_object_del(j, "salt");
    json_object_set_new(j, "entry", json_str(u->entry));
    json_object_set_new(j, "kind", json_str(u->kind));
    json_object_set_new(j, "at", json_integer(u->at_ms));
    return j;
}

/* "log.index" of the last use of the page before. */
static bool cursor_read(struct str text, struct journal_at *out)
{
    struct str rest = text, log_text;
    uint64_t log;
    if (!str_split(&rest, '.', &log_text) || !str_to_u64(log_text, &log) || log > UINT16_MAX)
        return false;
    out->log = (unsigned)log;
    return str_to_u64(rest, &out->index);
}

enum err account_api_uses(struct ctx *c)
{
    struct use_list list;
    struct use *uses;
    struct journal_at before;
    size_t n;
    uint64_t limit = USES_MAX;
    struct str cursor = ctx_query(c, "before"), limit_text = ctx_query(c, "limit");
    if ((cursor.n && !cursor_read(cursor, &before)) ||
        (limit_text.n && (!str_to_u64(limit_text, &limit) || limit < 1 || limit > USES_MAX)))
        return ERR_INVALID;
    enum err e =
        account_use_list_behind(c, NULL, 0, cursor.n ? &before : NULL, (size_t)limit, &list);
    if (e == ERR_OK)
        e = account_uses_open(c, &list, 0, list.n, &uses, &n);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array(), *out = json_pack("{s:o}", "items", items);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, use_json(&uses[i]));
    if (list.n == limit)
        json_object_set_new(out, "next",
                            json_sprintf("%u.%llu", list.keys[list.n - 1].at.log,
                                         (unsigned long long)list.keys[list.n - 1].at.index));
    return ctx_json(c, 200, out);
}

enum err account_api_use(struct ctx *c)
{
    struct use use;
    struct journal_at at;
    struct str proof;
    enum err e = account_use_find(c, &use);
    if (e != ERR_OK)
        return e;
    json_t *j = use_json(&use), *p = json_object();
    e = journal_find(account_reader, use.entry, &at);
    if (e == ERR_OK)
        e = journal_prove(account_reader, at, c->arena, &proof);
    if (e == ERR_OK)
        account_proof_details(c, p, at, proof);
    else
        json_object_set_new(p, "pending", json_true());
    json_object_set_new(j, "proof", p);
    return ctx_json(c, 200, j);
}

enum err account_api_consents(struct ctx *c)
{
    json_t *found, *args = account_person_args(c);
    enum err e = platform_call(c, "consent.list", args, &found);
    json_decref(args);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(found)) : e;
}

enum err account_api_withdraw(struct ctx *c)
{
    json_t *done, *args = account_person_args(c);
    json_object_set_new(args, "consent_id", json_str(ctx_path(c, "id")));
    enum err e = platform_call(c, "consent.withdraw", args, &done);
    json_decref(args);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(done)) : e;
}
