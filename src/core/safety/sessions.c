/* Open sessions and their end, wherever it is asked from: the services she went on to are told
 * (back channel) and sessions at our own sites end too, which identity does. */
#include "core/safety/safety.h"

#include "base/clock.h"
#include "base/log.h"

enum { SESSIONS_MAX = 200 };

struct ending {
    struct str person;
    struct str sessions[SESSIONS_MAX], sids[SESSIONS_MAX];
    size_t n;
    bool ran_out; /* the platform keeps their rows for a day, to know whose a late form is */
};

enum err safety_sessions(struct ctx *c, json_t **out)
{
    struct db_result r;
    struct str person = c->session->subject;
    struct db_conn *db = db_read(c->pf->db);
    const struct settings *s = c->pf->settings;
    int64_t now_ms = clock_now_ms();
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT i.session, i.data, i.at, s.seen_at FROM signed_in i JOIN session "
                          "s ON s.id = i.session WHERE i.person = $1 AND s.seen_at > $2 AND "
                          "s.created_at > $3 ORDER BY s.seen_at DESC LIMIT 200",
                          "sii", person, now_ms - s->session_idle_s * 1000,
                          now_ms - s->session_max_s * 1000);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++) {
        json_t *d = safety_open(c, person, db_str(&r, i, 1));
        if (!d)
            continue;
        json_t *v = json_copy(d);
        json_object_set_new(v, "id", json_string(db_z(&r, i, 0)));
        json_object_set_new(v, "at", json_integer(db_i64(&r, i, 2)));
        json_object_set_new(v, "seen_at", json_integer(db_i64(&r, i, 3)));
        json_object_set_new(v, "here", json_boolean(str_eq(db_str(&r, i, 0), c->session->id)));
        json_array_append_new(items, v);
    }
    *out = json_own(&c->pool, json_pack("{s:o}", "items", items));
    return ERR_OK;
}

/* ---- ending -------------------------------------------------------------------------------------
 */
static enum err rows_end(struct db_conn *db, void *arg)
{
    const struct ending *x = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < x->n && e == ERR_OK; i++) {
        if (!x->ran_out)
            e = db_exec(db, "DELETE FROM session WHERE id = $1", "s", x->sessions[i]);
        if (e == ERR_OK)
            e = db_exec(db, "DELETE FROM signed_in WHERE session = $1", "s", x->sessions[i]);
    }
    return e;
}

static void ending_read(const struct db_result *r, struct ending *x)
{
    x->n = 0;
    for (size_t i = 0; i < r->n_rows && i < SESSIONS_MAX; i++) {
        x->sessions[x->n] = db_str(r, i, 0);
        x->sids[x->n++] = db_str(r, i, 1);
    }
}

static json_t *sids(const struct ending *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < x->n; i++)
        json_array_append_new(list, json_str(x->sids[i]));
    return list;
}

/* Where the sessions led: services, and sites of ours. */
static enum err tell(struct ctx *c, const struct ending *x)
{
    json_t *out, *args = json_pack("{s:o,s:o}", "person", json_str(x->person), "sids", sids(x));
    enum err e = platform_call(c, "identity.sessions_ended", args, &out);
    json_decref(args);
    return e;
}

/* Services are told first: a crash between the two tells them twice, never not at all. */
static enum err end(struct ctx *c, struct ending *x)
{
    if (x->n == 0)
        return ERR_OK;
    enum err e = tell(c, x);
    return e == ERR_OK ? db_write(c->pf->db, rows_end, x) : e;
}

/* Lasting access outlives its session: it ends where she asks for that. */
static enum err access_end(struct ctx *c, const struct ending *x)
{
    json_t *out, *args = json_pack("{s:o,s:o}", "person", json_str(x->person), "sids", sids(x));
    enum err e = platform_call(c, "identity.access_end", args, &out);
    json_decref(args);
    return e;
}

enum err safety_session_end(struct ctx *c, struct str id, bool access, size_t *n)
{
    struct db_result r;
    struct act act;
    struct ending *x = arena_new(c->arena, struct ending);
    struct str person = c->session->subject;
    struct db_conn *db = db_read(c->pf->db);
    *n = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = id.n ? db_query(db, c->arena, &r,
                                 "SELECT session, sid FROM signed_in WHERE person = $1 AND session "
                                 "= $2",
                                 "ss", person, id)
                      : db_query(db, c->arena, &r,
                                 "SELECT session, sid FROM signed_in WHERE person = $1 AND session "
                                 "<> $2 LIMIT 200",
                                 "ss", person, c->session->id);
    if (e != ERR_OK)
        return e;
    if (id.n && r.n_rows == 0)
        return ERR_NOT_FOUND;
    x->person = person;
    ending_read(&r, x);
    *n = x->n;
    struct act_info info = {.kind = "identity.signed_out_remotely",
                            .actor = STR("self"),
                            .object = id.n ? id : STR("others"),
                            .person = person,
                            .told = json_pack("{s:{s:s,s:s}}", "title", "fr",
                                              "Déconnexion à distance", "en", "Remote sign-out")};
    if (access)
        e = access_end(c, x);
    if (e == ERR_OK)
        e = end(c, x);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, NULL, NULL, &act, 1) : e;
}

enum err safety_cut(struct ctx *c, struct str person, struct str provider)
{
    struct db_result r;
    json_t *out;
    struct ending *x = arena_new(c->arena, struct ending);
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT session, sid FROM signed_in WHERE person = $1 AND ($2 = '' OR "
                          "provider = $2) LIMIT 200",
                          "ss", person, provider);
    if (e != ERR_OK)
        return e;
    x->person = person;
    ending_read(&r, x);
    json_t *args = json_pack("{s:o,s:o,s:b}", "person", json_str(person), "provider",
                             json_str(provider), "all", provider.n == 0);
    e = platform_call(c, "identity.cut", args, &out);
    json_decref(args);
    return e == ERR_OK ? end(c, x) : e;
}

/* ---- those that end by themselves, or with their person -----------------------------------------
 */
enum err safety_call_forget(struct ctx *c, const json_t *args, json_t **out)
{
    struct str person = json_get_str(args, "person");
    *out = json_object();
    return safety_cut(c, person, STR(""));
}

/* Services are told of the end of its whole life, not of idleness: who was idle here may be writing
 * there, and did not sign out. */
void safety_expired(struct platform *pf, int64_t now_ms)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    const struct settings *s = pf->settings;
    if (!db)
        return;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e =
        db_query(db, &a, &r,
                 "SELECT i.session, i.sid, i.person, s.id FROM signed_in i LEFT JOIN session s ON "
                 "s.id = i.session WHERE s.id IS NULL OR s.created_at < $1 LIMIT 100",
                 "i", now_ms - s->session_max_s * 1000);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct ending *x = arena_new(&a, struct ending);
        *x = (struct ending){.person = db_str(&r, i, 2), .n = 1, .ran_out = true};
        x->sessions[0] = db_str(&r, i, 0);
        x->sids[0] = db_str(&r, i, 1);
        e = db_null(&r, i, 3) ? db_write(pf->db, rows_end, x) : end(c, x);
    }
    if (e != ERR_OK)
        log_warn("expired_sessions", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}
