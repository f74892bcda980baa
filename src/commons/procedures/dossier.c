/* Dossiers at rest and their moves. What a person typed is sealed under her own key; the table shows
 * only what an agent's list needs to sort. */
#include "commons/procedures/procedures.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"

static const char *const state_names[] = {"draft", "submitted", "accepted", "refused"};

const char *dossier_state_name(enum dossier_state s)
{
    return state_names[s];
}

static enum dossier_state state_of(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(state_names); i++)
        if (str_eq_z(name, state_names[i]))
            return (enum dossier_state)i;
    return DOSSIER_DRAFT;
}

struct str dossier_subject(struct ctx *c, const struct dossier *d)
{
    return arena_printf(c->arena, "sub:" STR_FMT "/" STR_FMT, STR_ARG(c->site->client_id),
                        STR_ARG(d->sub));
}

json_t *dossier_value(const struct dossier *d, const char *name)
{
    return json_get(json_get(d->data, "values"), name);
}

void dossier_set(struct dossier *d, const char *name, json_t *value)
{
    json_object_set_new(json_get(d->data, "values"), name, value);
}

/* ---- reading ----------------------------------------------------------------------------------- */
#define COLUMNS \
    "id, number, host, sub, digest, agent_name, procedure, state, created_at, submitted_at, " \
    "updated_at, data"

static enum err from_row(struct ctx *c, const struct db_result *r, struct dossier *d)
{
    struct str plain;
    *d = (struct dossier){.id = db_str(r, 0, 0), .number = db_str(r, 0, 1),
                          .host = db_str(r, 0, 2), .sub = db_str(r, 0, 3),
                          .digest = db_str(r, 0, 4), .agent_name = db_str(r, 0, 5),
                          .procedure = procedure_find(db_str(r, 0, 6)),
                          .state = state_of(db_str(r, 0, 7)), .created_ms = db_i64(r, 0, 8),
                          .submitted_ms = db_i64(r, 0, 9), .updated_ms = db_i64(r, 0, 10)};
    if (!d->procedure)
        return ERR_NOT_FOUND;
    enum err e = vault_open(c, dossier_subject(c, d), "dossier", db_str(r, 0, 11), &plain);
    if (e == ERR_OK)
        e = json_read(plain, &d->data, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, d->data);
    return e;
}

enum err dossier_get(struct ctx *c, struct str id, bool owner, struct dossier *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT " COLUMNS " FROM dossier WHERE id = $1 AND host = $2", "ss",
                              id, c->site->host);
    if (e == ERR_OK)
        e = from_row(c, &r, out);
    if (e == ERR_OK && owner && !str_eq(out->sub, c->session->subject))
        e = ERR_NOT_FOUND;
    return e;
}

enum err dossier_events(struct ctx *c, const struct dossier *d, struct dossier_event **out,
                        size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT at_ms, kind, who, detail FROM dossier_event WHERE dossier_id = $1 "
                          "ORDER BY at_ms, id",
                          "s", d->id);
    *n = e == ERR_OK ? r.n_rows : 0;
    *out = arena_array(c->arena, struct dossier_event, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        struct str text = STR("");
        if (db_str(&r, i, 3).n &&
            vault_open(c, dossier_subject(c, d), "dossier.event", db_str(&r, i, 3), &text) != ERR_OK)
            text = STR("");
        (*out)[i] = (struct dossier_event){db_i64(&r, i, 0), db_str(&r, i, 1), db_str(&r, i, 2),
                                           text};
    }
    return e;
}

/* ---- drafts ------------------------------------------------------------------------------------ */
struct draft_row {
    struct str id, host, sub, sealed;
    const char *procedure;
    int64_t version, now_ms;
};

static enum err draft_insert(struct db_conn *db, void *arg)
{
    struct draft_row *d = arg;
    return db_exec(db,
                   "INSERT INTO dossier(id, number, host, sub, digest, agent_name, procedure, "
                   "version, state, created_at, submitted_at, updated_at, data) "
                   "VALUES($1, $1, $2, $3, '', '', $4, $5, 'draft', $6, 0, $6, $7)",
                   "sssziib", d->id, d->host, d->sub, d->procedure, d->version, d->now_ms,
                   d->sealed);
}

static enum err draft_find(struct ctx *c, const struct procedure *p, struct str *id)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT id FROM dossier WHERE host = $1 AND sub = $2 AND "
                              "procedure = $3 AND state = 'draft' ORDER BY id DESC",
                              "ssz", c->site->host, c->session->subject, p->id);
    if (e == ERR_OK)
        *id = db_str(&r, 0, 0);
    return e;
}

enum err dossier_draft(struct ctx *c, const struct procedure *p, struct dossier *out)
{
    struct str id;
    enum err e = draft_find(c, p, &id);
    if (e != ERR_NOT_FOUND)
        return e == ERR_OK ? dossier_get(c, id, true, out) : e;
    char *fresh = arena_alloc(c->arena, ID_LEN + 1);
    id_new(fresh);
    *out = (struct dossier){.id = str_from(fresh), .number = str_from(fresh), .host = c->site->host,
                            .sub = c->session->subject, .procedure = p,
                            .created_ms = clock_now_ms()};
    out->data = json_own(&c->pool, json_pack("{s:{},s:{}}", "values", "sources"));
    struct draft_row row = {.id = out->id, .host = out->host, .sub = out->sub,
                            .procedure = p->id, .version = p->version, .now_ms = out->created_ms};
    e = vault_seal(c, dossier_subject(c, out), "dossier", json_text(c->arena, out->data),
                   &row.sealed);
    return e == ERR_OK ? db_write(c->pf->db, draft_insert, &row) : e;
}

struct save_row {
    struct str id, sealed;
    int64_t now_ms;
};

static enum err draft_update(struct db_conn *db, void *arg)
{
    struct save_row *s = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE dossier SET data = $2, updated_at = $3 WHERE id = $1 AND "
                               "state = 'draft'",
                               "sbi", s->id, s->sealed, s->now_ms);
    return e == ERR_OK && changed == 0 ? ERR_CONFLICT : e;
}

enum err dossier_save(struct ctx *c, struct dossier *d)
{
    struct save_row s = {.id = d->id, .now_ms = clock_now_ms()};
    enum err e = vault_seal(c, dossier_subject(c, d), "dossier", json_text(c->arena, d->data),
                            &s.sealed);
    return e == ERR_OK ? db_write(c->pf->db, draft_update, &s) : e;
}

/* ---- moves ------------------------------------------------------------------------------------- */
struct move {
    struct str id, number, digest, sealed, event_id, who, event_text;
    const char *from, *to, *kind;
    int64_t now_ms, submitted_ms;
};

static enum err move_write(struct db_conn *db, void *arg)
{
    struct move *m = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE dossier SET state = $2, number = $3, digest = $4, data = $5, "
                               "updated_at = $6, submitted_at = $7, agent_name = $8 "
                               "WHERE id = $1 AND state = $9",
                               "szssbiisz", m->id, m->to, m->number, m->digest, m->sealed,
                               m->now_ms, m->submitted_ms, m->who, m->from);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    if (e != ERR_OK)
        return e;
    return db_exec(db,
                   "INSERT INTO dossier_event(id, dossier_id, at_ms, kind, who, detail) "
                   "VALUES($1, $2, $3, $4, $5, $6)",
                   "ssizsb", m->event_id, m->id, m->now_ms, m->kind, m->who, m->event_text);
}

/* Year and eight digits of the random part: short enough to be read over the telephone. */
static struct str number_new(struct ctx *c, int64_t now_ms)
{
    char id[ID_LEN + 1];
    id_new(id);
    struct str year = clock_rfc3339(c->arena, now_ms, false);
    return arena_printf(c->arena, "%.4s-%.4s-%.4s", year.p, id + 18, id + 22);
}

static json_t *two(const char *fr, const char *en)
{
    return json_pack("{s:s,s:s}", "fr", fr, "en", en);
}

static enum err move(struct ctx *c, struct dossier *d, struct move *m, json_t *told,
                     struct str actor)
{
    struct act act;
    struct str subject = dossier_subject(c, d);
    char *event_id = arena_alloc(c->arena, ID_LEN + 1);
    id_new(event_id);
    m->event_id = str_from(event_id);
    m->id = d->id;
    json_object_set_new(told, "number", json_stringn(m->number.p, m->number.n));
    json_object_set_new(told, "procedure", json_incref(json_get(d->procedure->def, "title")));
    json_object_set_new(told, "org", json_pack("{s:s#,s:s#}", "fr", c->site->name_fr.p,
                                               (int)c->site->name_fr.n, "en", c->site->name_en.p,
                                               (int)c->site->name_en.n));
    struct act_info info = {.kind = m->kind, .actor = actor, .object = d->id, .person = subject,
                            .told = told};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = vault_seal(c, subject, "dossier", json_text(c->arena, d->data), &m->sealed);
    if (e == ERR_OK && m->event_text.n)
        e = vault_seal(c, subject, "dossier.event", m->event_text, &m->event_text);
    if (e == ERR_OK)
        e = act_write(c, move_write, m, &act, 1);
    return e;
}

enum err dossier_submit(struct ctx *c, struct dossier *d)
{
    uint8_t hash[SHA256_LEN];
    struct move m = {.from = "draft", .to = "submitted", .kind = "procedure.submitted",
                     .now_ms = clock_now_ms(), .event_text = STR(""), .who = STR("")};
    struct str text = json_text(c->arena, d->data);
    sha256(text.p, text.n, hash);
    m.digest = codec_to_hex(c->arena, hash, sizeof hash);
    m.number = number_new(c, m.now_ms);
    m.submitted_ms = m.now_ms;
    json_t *told = json_pack("{s:o,s:s#}", "title",
                             two("Vous avez envoyé votre demande", "You sent your application"),
                             "digest", m.digest.p, (int)m.digest.n);
    enum err e = move(c, d, &m, told, STR("self"));
    if (e == ERR_OK) {
        d->number = m.number;
        d->digest = m.digest;
        d->submitted_ms = d->updated_ms = m.now_ms;
        d->state = DOSSIER_SUBMITTED;
    }
    return e;
}

enum err dossier_decide(struct ctx *c, struct dossier *d, bool accept, struct str reason)
{
    struct move m = {.from = "submitted", .to = accept ? "accepted" : "refused",
                     .kind = accept ? "procedure.accepted" : "procedure.refused",
                     .number = d->number, .digest = d->digest, .submitted_ms = d->submitted_ms,
                     .now_ms = clock_now_ms(), .event_text = reason,
                     .who = json_get_str(c->session->data, "name")};
    json_object_set_new(d->data, "reason", json_stringn(reason.p ? reason.p : "", reason.n));
    json_t *told = json_pack("{s:o}", "title",
                             accept ? two("Votre demande est acceptée", "Your application is accepted")
                                    : two("Votre demande est refusée", "Your application is refused"));
    enum err e = move(c, d, &m, told, c->session->subject);
    if (e == ERR_OK) {
        d->state = accept ? DOSSIER_ACCEPTED : DOSSIER_REFUSED;
        d->updated_ms = m.now_ms;
        d->agent_name = m.who;
    }
    return e;
}
