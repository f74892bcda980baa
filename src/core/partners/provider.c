/* Identity providers of a team: declared in the sandbox, tried, then asked for. The trials and the
 * provider are identity's (provider_try.c): no person comes of them. */
#include "core/partners/partners.h"

#include "base/clock.h"
#include "base/rand.h"
#include "web/pages.h"

enum { PROVIDERS_MAX = 5, SLUG_MAX = 20, CHECKS_MAX = 16 * 1024 };
static const int64_t CHECKS_LIFE_MS = (int64_t)7 * 86400 * 1000;

static json_t *list_read(struct ctx *c, struct str text)
{
    json_t *v;
    if (!text.n || json_read(text, &v, NULL) != ERR_OK)
        v = json_array();
    return json_own(&c->pool, v);
}

enum err tried_get(struct ctx *c, struct str id, struct tried *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT team, looked, trial, looked_at, tried_at FROM "
                              "partner_provider WHERE id = $1",
                              "s", id);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &partners_f_none, e, STR_NONE);
    if (e == ERR_OK)
        e = team_get(c, db_str(&r, 0, 0), &out->team);
    if (e != ERR_OK)
        return e;
    out->id = str_from(arena_dupz(c->arena, id)); /* names a member of the session's data */
    out->looked = list_read(c, db_str(&r, 0, 1));
    out->trial = list_read(c, db_str(&r, 0, 2));
    out->looked_ms = db_i64(&r, 0, 3);
    out->tried_ms = db_i64(&r, 0, 4);
    return partners_call(c, "identity.provider_get", json_pack("{s:o}", "id", json_str(id)),
                         &out->settings);
}

struct row {
    struct str id, team, looked, trial;
    int64_t now_ms, looked_ms, tried_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    struct row *r = arg;
    return db_exec(db,
                   "INSERT INTO partner_provider(id, team, looked, trial, looked_at, tried_at, "
                   "created_at) VALUES($1, $2, '', '', 0, 0, $3)",
                   "ssi", r->id, r->team, r->now_ms);
}

static enum err row_update(struct db_conn *db, void *arg)
{
    struct row *r = arg;
    return db_exec(db,
                   "UPDATE partner_provider SET looked = $2, trial = $3, looked_at = $4, tried_at "
                   "= $5 WHERE id = $1",
                   "sssii", r->id, r->looked, r->trial, r->looked_ms, r->tried_ms);
}

static enum err tried_keep(struct ctx *c, const struct tried *p)
{
    struct row r = {.id = p->id,
                    .looked = json_text(c->arena, p->looked),
                    .trial = json_text(c->arena, p->trial),
                    .looked_ms = p->looked_ms,
                    .tried_ms = p->tried_ms};
    return r.looked.n + r.trial.n < CHECKS_MAX ? db_write(c->pf->db, row_update, &r) : ERR_LIMIT;
}

/* ---- declaring ----------------------------------------------------------------------------------
 */
/* Small letters and digits of the name, and enough chance that no other has it. */
static struct str id_draw(struct ctx *c, struct str name)
{
    char slug[SLUG_MAX + 1], id[ID_LEN + 1];
    size_t n = 0;
    id_new(id);
    for (size_t i = 0; i < name.n && n < SLUG_MAX; i++) {
        char ch = name.p[i];
        if (ch >= 'A' && ch <= 'Z')
            ch = (char)(ch + 32);
        if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'))
            slug[n++] = ch;
        else if (n && slug[n - 1] != '-')
            slug[n++] = '-';
    }
    slug[n] = '\0';
    char *tail = id + ID_LEN - 8;
    for (char *p = tail; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return arena_printf(c->arena, "%s%s%s", slug, n && slug[n - 1] != '-' ? "-" : "", tail);
}

static enum err conf_read(struct ctx *c, json_t **conf)
{
    struct str text = str_trim(ctx_form(c, "conf")), auth = str_trim(ctx_form(c, "provider_auth"));
    *conf = NULL;
    if (text.n && (json_read(text, conf, NULL) != ERR_OK || !json_is_object(*conf))) {
        json_decref(*conf);
        return partners_refuse(c, "conf");
    }
    if (!*conf)
        *conf = json_object();
    if (auth.n)
        json_object_set_new(*conf, "auth", json_str(auth));
    return ERR_OK;
}

static enum err put(struct ctx *c, struct str id)
{
    static const struct {
        const char *setting, *field;
    } names[] = {{"name", "provider_name"}, {"issuer", "issuer"}, {"client_id", "client_id"},
                 {"min_acr", "min_acr"},    {"realm", "realm"},   {"conf", "conf"}};
    static const char *const typed[][2] = {{"issuer", "issuer"},
                                           {"client_id", "client_id"},
                                           {"secret", "secret"},
                                           {"min_acr", "min_acr"},
                                           {"realm", "realm"}};
    json_t *conf, *out;
    enum err e = conf_read(c, &conf);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o,s:o,s:o,s:{s:o}}", "id", json_str(id), "conf", conf, "actor",
                             json_str(partners_actor(c)), "name", "fr",
                             json_str(str_trim(ctx_form(c, "provider_name"))));
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        struct str v = str_trim(ctx_form(c, typed[i][1]));
        if (v.n)
            json_object_set_new(args, typed[i][0], json_str(v));
    }
    e = partners_call(c, "identity.provider_put", args, &out);
    if (e == ERR_CONFLICT)
        return ctx_fail(c, &partners_f_state, e, STR_NONE);
    const char *refused = e == ERR_OK ? json_get_z(out, "refused", NULL) : NULL;
    for (size_t i = 0; refused && i < COUNT_OF(names); i++)
        if (strcmp(refused, names[i].setting) == 0)
            return partners_refuse(c, names[i].field);
    return refused ? partners_refuse(c, "provider_name") : e;
}

static enum err room_left(struct ctx *c, const struct team *t)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r, "SELECT count(*) FROM partner_provider WHERE team = $1",
                          "s", t->id)
           : ERR_UNAVAILABLE;
    if (e == ERR_OK && db_i64(&r, 0, 0) >= PROVIDERS_MAX)
        return ctx_fail(c, &partners_f_limit, ERR_CONFLICT, STR_NONE);
    return e;
}

enum err provider_declare(struct ctx *c, const struct team *t, json_t **out)
{
    struct str id = id_draw(c, ctx_form(c, "provider_name"));
    enum err e = room_left(c, t);
    if (e == ERR_OK)
        e = put(c, id);
    if (e != ERR_OK)
        return e;
    struct row r = {.id = id, .team = t->id, .now_ms = clock_now_ms()};
    e = partners_act(c, "partners.provider_declared", id, row_insert, &r);
    if (e == ERR_OK)
        *out = json_own(&c->pool, json_pack("{s:o}", "id", json_str(id)));
    return e;
}

enum err provider_change(struct ctx *c, const struct tried *p)
{
    enum err e = put(c, p->id);
    struct tried fresh = *p; /* what was seen of the former settings counts no more */
    fresh.looked = fresh.trial = json_own(&c->pool, json_array());
    fresh.looked_ms = fresh.tried_ms = 0;
    return e == ERR_OK ? tried_keep(c, &fresh) : e;
}

/* ---- trying -------------------------------------------------------------------------------------
 */
enum err provider_check(struct ctx *c, struct tried *p)
{
    json_t *found;
    enum err e = partners_call(c, "identity.provider_look",
                               json_pack("{s:o}", "id", json_str(p->id)), &found);
    if (e != ERR_OK)
        return e;
    p->looked = json_get(found, "items");
    p->looked_ms = clock_now_ms();
    return tried_keep(c, p);
}

struct str provider_trial_url(struct ctx *c, const struct tried *p, const char *end)
{
    return arena_printf(c->arena, STR_FMT "/partenaires/fournisseurs/" STR_FMT "%s",
                        STR_ARG(c->site->base_url), STR_ARG(p->id), end);
}

/* The way back from the provider: the trial's name waits in the session. */
enum err provider_trial_end(struct ctx *c, struct tried *p, json_t **out)
{
    static const char *const params[] = {"code", "state", "error"};
    struct str test = json_get_str(json_get(c->session->data, "partners_trial"), p->id.p);
    json_t *args = json_pack("{s:o,s:o,s:o,s:o}", "id", json_str(p->id), "test", json_str(test),
                             "redirect", json_str(provider_trial_url(c, p, "/retour")),
                             "redirect_out", json_str(provider_trial_url(c, p, "/fin")));
    for (size_t i = 0; i < COUNT_OF(params); i++)
        json_object_set_new(args, params[i], json_str(ctx_query(c, params[i])));
    enum err e = partners_call(c, "identity.provider_tried", args, out);
    if (e != ERR_OK)
        return e;
    p->trial = json_get(*out, "items");
    p->tried_ms = clock_now_ms();
    return tried_keep(c, p);
}

/* Back from signing out there: what was only announced is known to work. */
enum err provider_logout_end(struct ctx *c, struct tried *p)
{
    json_t *v;
    size_t i;
    struct str test = json_get_str(json_get(c->session->data, "partners_trial"), p->id.p);
    bool fits = test.n && str_eq(ctx_query(c, "state"), test);
    json_array_foreach(p->looked, i, v)
    {
        if (!str_eq_z(json_get_str(v, "check"), "logout"))
            continue;
        json_object_set_new(v, "verdict", json_string(fits ? "pass" : "fail"));
        json_object_set_new(v, "why", json_string(fits ? "back with its state" : "state lost"));
    }
    return tried_keep(c, p);
}

/* ---- the checklist ------------------------------------------------------------------------------
 */
static struct str slug_of(struct ctx *c, struct str why)
{
    char *z = arena_dupz(c->arena, str_sub(why, 0, 60));
    for (char *p = z; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')))
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : '_';
    return str_from(z);
}

static json_t *words(struct ctx *c, struct str slug, const char *check, const char *verdict)
{
    json_t *both = json_object();
    static const char *const langs[] = {"fr", "en"};
    for (size_t i = 0; i < COUNT_OF(langs); i++) {
        const char *key = arena_printf(c->arena, "why." STR_FMT, STR_ARG(slug)).p;
        struct str t = slug.n ? pages_text(c->arena, "partners", key, langs[i], NULL) : STR("");
        if (!t.n && strcmp(verdict, "pass") != 0 && strcmp(verdict, "wait") != 0) {
            key = arena_printf(c->arena, "check.%s.wrong", check).p;
            t = pages_text(c->arena, "partners", key, langs[i], NULL);
        }
        json_object_set_new(both, langs[i], json_str(t));
    }
    return both;
}

static void checks_add(struct ctx *c, json_t *out, const json_t *list, bool *all)
{
    json_t *v;
    size_t i;
    json_array_foreach((json_t *)list, i, v)
    {
        const char *check = json_get_z(v, "check", ""), *verdict = json_get_z(v, "verdict", "");
        struct str why = json_get_str(v, "why");
        *all &= strcmp(verdict, "pass") == 0 || strcmp(verdict, "warn") == 0;
        json_array_append_new(out, json_pack("{s:s,s:s,s:o,s:o}", "check", check, "verdict",
                                             verdict, "why", json_str(why), "words",
                                             words(c, slug_of(c, why), check, verdict)));
    }
}

json_t *provider_checklist(struct ctx *c, const struct tried *p, bool *ready)
{
    json_t *out = json_array();
    int64_t now_ms = clock_now_ms();
    *ready = json_array_size(p->looked) && json_array_size(p->trial) &&
             now_ms - p->tried_ms < CHECKS_LIFE_MS && now_ms - p->looked_ms < CHECKS_LIFE_MS;
    checks_add(c, out, p->looked, ready);
    checks_add(c, out, p->trial, ready);
    return out;
}

/* ---- asking -------------------------------------------------------------------------------------
 */
enum err provider_ask(struct ctx *c, struct tried *p)
{
    json_t *done;
    bool ready;
    json_decref(provider_checklist(c, p, &ready));
    if (!ready)
        return ctx_fail(c, &partners_f_checks, ERR_CONFLICT, STR_NONE);
    json_t *args = json_pack("{s:o,s:s,s:o}", "id", json_str(p->id), "to", "asked", "actor",
                             json_str(partners_actor(c)));
    enum err e = partners_call(c, "identity.provider_state", args, &done);
    return e == ERR_CONFLICT ? ctx_fail(c, &partners_f_state, e, STR_NONE) : e;
}

enum err provider_all(struct ctx *c, const struct team *t, json_t **out)
{
    struct db_result r;
    json_t *one;
    struct db_conn *db = db_read(c->pf->db);
    *out = json_own(&c->pool, json_array());
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT id FROM partner_provider WHERE team = $1 ORDER BY "
                               "created_at LIMIT 20",
                               "s", t->id)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        json_t *args = json_pack("{s:o}", "id", json_str(db_str(&r, i, 0)));
        if (partners_call(c, "identity.provider_get", args, &one) == ERR_OK)
            json_array_append(*out, one);
    }
    return e;
}
