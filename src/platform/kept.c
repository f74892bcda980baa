/* A form that comes after its session has ended: what was typed is kept, for the person whose
 * session it was and for nobody else, until she has signed in again. Shared computers come first:
 * after an explicit sign-out nothing is kept, and another person who signs in is shown nothing. */
#include "platform/ctx.h"

#include "base/clock.h"
#include "base/rand.h"
#include "platform/kept.h"

struct kept_row {
    struct str id, host, subject, path, sealed;
    int64_t now_ms;
};

/* One per page: the last one sent is what she sees. */
static enum err kept_insert(struct db_conn *db, void *arg)
{
    struct kept_row *k = arg;
    enum err e = db_exec(db, "DELETE FROM kept_form WHERE host = $1 AND subject = $2 AND path = $3",
                         "sss", k->host, k->subject, k->path);
    return e == ERR_OK
               ? db_exec(db,
                         "INSERT INTO kept_form(id, host, subject, path, data, created_at) "
                         "VALUES($1, $2, $3, $4, $5, $6)",
                         "ssssbi", k->id, k->host, k->subject, k->path, k->sealed, k->now_ms)
               : e;
}

/* Whose vault: a person on the portal, her pairwise name elsewhere. */
static struct str vault_of(struct ctx *c, struct str subject)
{
    return c->site->kind == SITE_PORTAL
               ? subject
               : arena_printf(c->arena, "sub:" STR_FMT "/" STR_FMT, STR_ARG(c->site->client_id),
                              STR_ARG(subject));
}

static enum err keep(struct ctx *c, const struct session *of, struct str *id)
{
    char *fresh = arena_alloc(c->arena, ID_LEN + 1);
    id_new(fresh);
    struct kept_row k = {.id = str_from(fresh),
                         .host = c->site->host,
                         .subject = of->subject,
                         .path = c->rq->path,
                         .now_ms = clock_now_ms()};
    enum err e = vault_seal(c, vault_of(c, of->subject), "kept_form", c->rq->body, &k.sealed);
    if (e == ERR_OK)
        e = db_write(c->pf->db, kept_insert, &k);
    *id = k.id;
    return e;
}

enum err session_ask_again(struct ctx *c)
{
    const struct session *of = c->session ? c->session : c->ended;
    struct str id = STR(""), back = STR("/");
    bool agent = c->route->role == ROLE_AGENT;
    bool keeps = of && c->form.n > 0 && c->rq->body.n > 0;
    enum err e = keeps ? keep(c, of, &id) : ERR_OK;
    if (e != ERR_OK)
        return e;
    if (keeps)
        back = arena_printf(c->arena, "/reprendre/" STR_FMT, STR_ARG(id));
    struct str url =
        url_with(c->arena, agent ? STR("/agent/connexion") : STR("/connexion"), "return", back);
    c->rs->status = 403;
    return ctx_page(c, "platform/session_ended",
                    json_pack("{s:b,s:s#}", "kept", keeps, "sign_in_url", url.p, (int)url.n));
}

static json_t *hidden_fields(const struct form *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->n; i++)
        if (!str_eq_z(f->fields[i].name, "csrf"))
            json_array_append_new(list, json_pack("{s:s#,s:s#}", "name", f->fields[i].name.p,
                                                  (int)f->fields[i].name.n, "value",
                                                  f->fields[i].value.n ? f->fields[i].value.p : "",
                                                  (int)f->fields[i].value.n));
    return list;
}

enum err kept_page(struct ctx *c)
{
    struct db_result r;
    struct str plain;
    struct form form;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    if (!c->session)
        return ctx_redirect(c, STR("/"));
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT path, data FROM kept_form WHERE id = $1 AND host = $2 AND "
                              "subject = $3",
                              "sss", ctx_path(c, "id"), c->site->host, c->session->subject);
    if (e == ERR_OK)
        e = vault_open(c, vault_of(c, c->session->subject), "kept_form", db_str(&r, 0, 1), &plain);
    if (e == ERR_OK)
        e = form_read(c->arena, plain, &form);
    if (e != ERR_OK)
        return e;
    return ctx_page(
        c, "platform/resume",
        json_pack("{s:s,s:o}", "action", db_z(&r, 0, 0), "hidden", hidden_fields(&form)));
}
