/* Receipts of consents (the members of ISO/IEC TS 27560): what was agreed, by when, and that it was
 * withdrawn, signed by the issuer. The person and the service each download theirs; anybody checks
 * it with the issuer's published keys, without this platform. */
#include "core/consent/consent.h"

#include "base/clock.h"

static void copy(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++)
        if (json_get(from, *names))
            json_object_set(to, *names, json_get(from, *names));
}

enum err consent_receipt(struct ctx *c, const json_t *item, const char *client_id,
                         const char *event, struct str *jws)
{
    static const char *const said[] = {"fields",   "purpose",  "legal_basis", "recipients",
                                       "provider", "given_at", "until_at",    "withdrawn_at",
                                       "api",      "scope",    NULL};
    json_t *v =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "iss", c->pf->settings->base_url, "aud", client_id,
                  "schema", "ISO/IEC TS 27560", "consent", json_get_z(item, "id", ""), "event",
                  event, "iat", (json_int_t)(clock_now_ms() / 1000));
    copy(v, item, said);
    enum err e = keys_sign_jws(c->pf->keys, "issuer", JOSE_ES256, "consent-receipt+jwt",
                               json_text(c->arena, v), c->arena, jws);
    json_decref(v);
    return e;
}

static enum err item_find(struct ctx *c, struct str person, struct str id, const json_t **out)
{
    json_t *list, *item;
    size_t i;
    json_t *args = json_pack("{s:s#}", "person", person.p ? person.p : "", (int)person.n);
    enum err e = platform_call(c, "consent.list", json_own(&c->pool, args), &list);
    json_array_foreach(e == ERR_OK ? json_get(list, "items") : NULL, i, item)
    {
        if (str_eq(json_get_str(item, "id"), id)) {
            *out = item;
            return ERR_OK;
        }
    }
    return e == ERR_OK ? ERR_NOT_FOUND : e;
}

/* The last thing that was done to it. */
static const char *event_of(const json_t *item)
{
    return json_get_i64(item, "withdrawn_at", 0) ? "withdrawn" : "given";
}

static enum err person_receipt(struct ctx *c, struct str *jws)
{
    const json_t *item;
    enum err e = item_find(c, c->session->subject, ctx_path(c, "id"), &item);
    return e == ERR_OK
               ? consent_receipt(c, item, json_get_z(item, "client_id", ""), event_of(item), jws)
               : e;
}

/* The person's own, as a file. */
enum err consent_page_receipt(struct ctx *c)
{
    struct str jws, id = ctx_path(c, "id");
    enum err e = person_receipt(c, &jws);
    if (e != ERR_OK)
        return e;
    web_header(
        c->rs, "Content-Disposition",
        arena_printf(c->arena, "attachment; filename=\"accord-" STR_FMT ".jwt\"", STR_ARG(id)));
    return ctx_text(c, 200, "application/jwt", jws);
}

enum err consent_api_receipt(struct ctx *c)
{
    struct str jws;
    enum err e = person_receipt(c, &jws);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:s#}", "receipt", jws.p, (int)jws.n)) : e;
}
