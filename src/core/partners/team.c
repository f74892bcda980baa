/* Who may touch what: on the portal the teams a person made or joined, on an organisation's site
 * the organisation's own, of which all its agents are. */
#include "core/partners/partners.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"

enum { TEAMS_MAX = 10, MEMBERS_MAX = 50, NAME_MAX_BYTES = 120 };
static const int64_t INVITE_LIFE_MS = (int64_t)7 * 86400 * 1000;

static enum err own_team(struct ctx *c, struct team *out)
{
    struct str name;
    enum err e = org_name(c, c->site->org_id, c->lang, &name);
    *out = (struct team){.id = arena_printf(c->arena, "org:" STR_FMT, STR_ARG(c->site->org_id)),
                         .name = e == ERR_OK ? name : c->site->org_id,
                         .org_id = c->site->org_id};
    return ERR_OK;
}

static bool is_org(const struct ctx *c)
{
    return c->site->kind == SITE_ORG;
}

enum err team_list(struct ctx *c, struct team **out, size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = arena_array(c->arena, struct team, TEAMS_MAX + MEMBERS_MAX);
    *n = 1;
    if (is_org(c))
        return own_team(c, *out);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT t.id, t.name, t.org_id FROM partner_team t JOIN partner_member m "
                          "ON m.team = t.id WHERE m.person = $1 ORDER BY t.created_at LIMIT 50",
                          "s", c->session->subject);
    for (*n = 0; e == ERR_OK && *n < r.n_rows; (*n)++)
        (*out)[*n] = (struct team){db_str(&r, *n, 0), db_str(&r, *n, 1), db_str(&r, *n, 2)};
    return e;
}

enum err team_get(struct ctx *c, struct str id, struct team *out)
{
    struct team *all;
    size_t n;
    enum err e = team_list(c, &all, &n);
    for (size_t i = 0; e == ERR_OK && i < n; i++)
        if (str_eq(all[i].id, id)) {
            *out = all[i];
            return ERR_OK;
        }
    return e == ERR_OK ? ctx_fail(c, &partners_f_none, ERR_NOT_FOUND, STR_NONE) : e;
}

/* ---- making, joining ----------------------------------------------------------------------------
 */
struct team_job {
    const struct team *t;
    struct str person, sealed, hash;
    int64_t now_ms, until_ms;
};

static enum err member_insert(struct db_conn *db, const struct team_job *j)
{
    return db_exec(db,
                   "INSERT INTO partner_member(team, person, name, joined_at) "
                   "VALUES($1, $2, $3, $4) ON CONFLICT (team, person) DO NOTHING",
                   "ssbi", j->t->id, j->person, j->sealed, j->now_ms);
}

static enum err team_insert(struct db_conn *db, void *arg)
{
    struct team_job *j = arg;
    enum err e = db_exec(db,
                         "INSERT INTO partner_team(id, name, org_id, created_at) "
                         "VALUES($1, $2, '', $3)",
                         "ssi", j->t->id, j->t->name, j->now_ms);
    return e == ERR_OK ? member_insert(db, j) : e;
}

static enum err job_make(struct ctx *c, const struct team *t, struct team_job *j)
{
    struct str name = json_get_str(c->session->data, "name");
    *j = (struct team_job){.t = t, .person = c->session->subject, .now_ms = clock_now_ms()};
    return vault_seal(c, j->person, "partners.member", name.n ? name : STR("?"), &j->sealed);
}

enum err team_create(struct ctx *c, struct str name, struct team *out)
{
    struct team *all;
    struct team_job j;
    size_t n;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    enum err e = team_list(c, &all, &n);
    name = str_trim(name);
    if (e != ERR_OK)
        return e;
    if (is_org(c))
        return ctx_fail(c, &partners_f_limit, ERR_CONFLICT, STR_NONE);
    if (!name.n || name.n > NAME_MAX_BYTES)
        return partners_refuse(c, "team_name");
    if (n >= TEAMS_MAX)
        return ctx_fail(c, &partners_f_limit, ERR_CONFLICT, STR_NONE);
    id_new(id);
    *out = (struct team){.id = str_from(id), .name = name, .org_id = STR("")};
    e = job_make(c, out, &j);
    return e == ERR_OK ? partners_act(c, "partners.team_created", out->id, team_insert, &j) : e;
}

/* ---- members ------------------------------------------------------------------------------------
 */
enum err team_members(struct ctx *c, const struct team *t, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = json_own(&c->pool, json_array());
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT person, name, joined_at FROM partner_member WHERE team = $1 "
                               "ORDER BY joined_at LIMIT 50",
                               "s", t->id)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str name;
        if (vault_open(c, db_str(&r, i, 0), "partners.member", db_str(&r, i, 1), &name) != ERR_OK)
            name = STR("?"); /* erased */
        json_array_append_new(*out, json_pack("{s:o,s:I,s:o,s:b}", "name", json_str(name), "at",
                                              (json_int_t)db_i64(&r, i, 2), "joined",
                                              partners_when(c, db_i64(&r, i, 2)), "you",
                                              str_eq(db_str(&r, i, 0), c->session->subject)));
    }
    return e;
}

static struct str hash_of(struct ctx *c, struct str code)
{
    uint8_t hash[SHA256_LEN];
    sha256(code.p, code.n, hash);
    return codec_to_hex(c->arena, hash, sizeof hash);
}

static enum err invite_insert(struct db_conn *db, void *arg)
{
    struct team_job *j = arg;
    return db_exec(db, "INSERT INTO partner_invite(hash, team, until_at) VALUES($1, $2, $3)", "ssi",
                   j->hash, j->t->id, j->until_ms);
}

enum err team_invite(struct ctx *c, const struct team *t, struct str *code)
{
    char *drawn = arena_alloc(c->arena, SECRET_LEN + 1);
    json_t *members;
    enum err e = team_members(c, t, &members);
    if (e != ERR_OK)
        return e;
    if (is_org(c) || json_array_size(members) >= MEMBERS_MAX)
        return ctx_fail(c, &partners_f_limit, ERR_CONFLICT, STR_NONE);
    secret_new(drawn);
    *code = str_from(drawn);
    struct team_job j = {
        .t = t, .hash = hash_of(c, *code), .until_ms = clock_now_ms() + INVITE_LIFE_MS};
    return partners_act(c, "partners.member_invited", t->id, invite_insert, &j);
}

enum err team_of_invite(struct ctx *c, struct str code, struct team *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT t.id, t.name, t.org_id FROM partner_invite i JOIN "
                                   "partner_team t ON t.id = i.team WHERE i.hash = $1 AND "
                                   "i.until_at > $2",
                                   "si", hash_of(c, code), clock_now_ms())
                    : ERR_UNAVAILABLE;
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &partners_f_invite, e, STR_NONE);
    if (e == ERR_OK)
        *out = (struct team){db_str(&r, 0, 0), db_str(&r, 0, 1), db_str(&r, 0, 2)};
    return e;
}

/* The link serves once. */
static enum err join_write(struct db_conn *db, void *arg)
{
    struct team_job *j = arg;
    int64_t gone = 0;
    enum err e =
        db_exec_count(db, &gone, "DELETE FROM partner_invite WHERE hash = $1", "s", j->hash);
    if (e == ERR_OK && gone == 0)
        e = ERR_CONFLICT;
    return e == ERR_OK ? member_insert(db, j) : e;
}

enum err team_join(struct ctx *c, struct str code, struct team *out)
{
    struct team_job j;
    enum err e = team_of_invite(c, code, out);
    if (e == ERR_OK)
        e = job_make(c, out, &j);
    if (e != ERR_OK)
        return e;
    j.hash = hash_of(c, code);
    e = partners_act(c, "partners.member_joined", out->id, join_write, &j);
    return e == ERR_CONFLICT ? ctx_fail(c, &partners_f_invite, ERR_NOT_FOUND, STR_NONE) : e;
}
