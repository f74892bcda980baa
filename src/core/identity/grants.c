/* The services that may read while she is away, and how she ends it: the page and its twin. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/person.h"
#include "core/identity/refresh.h"

static enum err grants_of(struct ctx *c, json_t **out)
{
    json_t *args = json_pack("{s:s%}", "person", c->session->subject.p, c->session->subject.n);
    enum err e = identity_call_grants(c, args, out);
    json_decref(args);
    if (e == ERR_OK)
        json_own(&c->pool, *out);
    return e;
}

static void words_put(struct ctx *c, json_t *item, const char *name, const char *from)
{
    int64_t at_ms = json_get_i64(item, from, 0);
    struct str s = clock_in_words(c->arena, at_ms, c->lang, false);
    json_object_set_new(item, name, json_stringn(s.p, s.n));
}

/* ---- agreements to pass the identity on (clients that ask)
 * ---------------------------------------
 */
static enum err agreements(struct ctx *c, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT k.id, k.name_fr, k.name_en, pc.first_at FROM person_client pc "
                          "JOIN client k ON k.id = pc.client_id WHERE pc.person = $1 AND pc.told "
                          "<> '' AND k.consent = 'ask' ORDER BY pc.last_at DESC LIMIT 200",
                          "s", c->session->subject);
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out, json_pack("{s:s,s:{s:s,s:s},s:I}", "client_id", db_z(&r, i, 0),
                                              "name", "fr", db_z(&r, i, 1), "en", db_z(&r, i, 2),
                                              "created_at", (json_int_t)db_i64(&r, i, 3)));
    return ERR_OK;
}

struct withdrawal {
    struct str person, client_id;
    struct str families[20];
    size_t n;
};

static enum err withdrawal_write(struct db_conn *db, void *arg)
{
    const struct withdrawal *w = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE person_client SET told = '' WHERE person = $1 AND client_id "
                               "= $2 AND told <> ''",
                               "ss", w->person, w->client_id);
    if (e == ERR_OK && changed == 0)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < w->n && e == ERR_OK; i++)
        e = refresh_end(db, w->families[i], clock_now_ms());
    return e;
}

static enum err withdraw(struct ctx *c)
{
    struct db_result r;
    struct act act;
    struct withdrawal *w = arena_new(c->arena, struct withdrawal);
    struct db_conn *db = db_read(c->pf->db);
    *w = (struct withdrawal){.person = c->session->subject, .client_id = ctx_path(c, "id")};
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id FROM refresh_grant WHERE person = $1 AND client_id = $2 AND "
                          "ended_at = 0 LIMIT 20",
                          "ss", w->person, w->client_id);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        w->families[w->n++] = db_str(&r, i, 0);
    struct act_info info = {.kind = "identity.agreement_withdrawn",
                            .actor = STR("self"),
                            .object = w->client_id,
                            .person = w->person,
                            .told = json_pack("{s:{s:s,s:s}}", "title", "fr",
                                              "Accord pour transmettre l’identité retiré", "en",
                                              "Agreement to pass the identity on withdrawn")};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    else
        json_decref(info.told);
    if (e == ERR_OK)
        e = act_write(c, withdrawal_write, w, &act, 1);
    person_told_changed(c, w->person, w->client_id);
    return e;
}

enum err identity_agreement_end_post(struct ctx *c)
{
    enum err e = withdraw(c);
    return e == ERR_OK || e == ERR_NOT_FOUND ? ctx_redirect(c, portal_url(c, "/account/access"))
                                             : e;
}

enum err identity_api_agreement_end(struct ctx *c)
{
    enum err e = withdraw(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}

/* GET /account/access */
enum err identity_grants(struct ctx *c)
{
    json_t *found, *item;
    size_t i;
    enum err e = grants_of(c, &found);
    if (e != ERR_OK)
        return e;
    json_t *items = json_get(found, "items"), *d = json_object();
    json_array_foreach(items, i, item)
    {
        json_object_set(item, "to", json_get(json_get(item, "name"), c->lang));
        words_put(c, item, "given", "created_at");
        words_put(c, item, "used", "used_at");
        words_put(c, item, "until", "until_at");
        json_object_set_new(
            item, "action",
            json_string(
                arena_printf(c->arena, "/account/access/%s/end", json_get_z(item, "id", "")).p));
    }
    if (json_array_size(items))
        json_object_set_new(d, "active", json_pack("{s:O}", "items", items));
    e = agreements(c, &found);
    if (e != ERR_OK) {
        json_decref(d);
        return e;
    }
    json_array_foreach(found, i, item)
    {
        json_object_set(item, "to", json_get(json_get(item, "name"), c->lang));
        words_put(c, item, "given", "created_at");
        json_object_set_new(item, "action",
                            json_string(arena_printf(c->arena, "/account/agreements/%s/withdraw",
                                                     json_get_z(item, "client_id", ""))
                                            .p));
    }
    if (json_array_size(found))
        json_object_set_new(d, "agreed", json_pack("{s:O}", "items", found));
    return ctx_page(c, "identity/grants", d);
}

static enum err end(struct ctx *c)
{
    json_t *done;
    struct str id = ctx_path(c, "id");
    json_t *args = json_pack("{s:s%,s:s%}", "person", c->session->subject.p, c->session->subject.n,
                             "id", id.p, id.n);
    enum err e = identity_call_grant_end(c, args, &done);
    json_decref(args);
    if (e == ERR_OK)
        json_own(&c->pool, done);
    return e;
}

/* POST /account/access/{id}/end. What has ended already, or was never hers, is not on the list. */
enum err identity_grant_end_post(struct ctx *c)
{
    enum err e = end(c);
    return e == ERR_OK || e == ERR_NOT_FOUND ? ctx_redirect(c, portal_url(c, "/account/access"))
                                             : e;
}

enum err identity_api_grants(struct ctx *c)
{
    json_t *found, *agreed;
    enum err e = grants_of(c, &found);
    if (e == ERR_OK)
        e = agreements(c, &agreed);
    if (e == ERR_OK)
        json_object_set(found, "agreements", agreed);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(found)) : e;
}

enum err identity_api_grant_end(struct ctx *c)
{
    enum err e = end(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}
