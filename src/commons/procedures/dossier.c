/* Dossiers at rest and their moves. What a person typed is sealed under her own key; the table
 * shows only what an agent's list needs to sort. */
#include "commons/procedures/procedures.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "data/fold.h"

enum { APPLICANT_WORDS_MAX = 8 };
static const int64_t DAY_MS = 86400000;
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

/* The values that came from the claims that name people, in the form's order. */
struct str dossier_applicant(struct ctx *c, const struct dossier *d)
{
    static const char *const claims[] = {"given_name", "family_name", "preferred_username"};
    struct str name[COUNT_OF(claims)] = {{NULL, 0}};
    size_t i, k;
    json_t *step, *field;
    json_array_foreach(json_get(d->procedure->form, "steps"), i, step)
    {
        json_array_foreach(json_get(step, "fields"), k, field)
        {
            const char *claim = json_get_z(json_get(field, "from"), "claim", "");
            for (size_t j = 0; j < COUNT_OF(claims); j++)
                if (strcmp(claim, claims[j]) == 0)
                    name[j] = json_get_str(dossier_value(d, json_get_z(field, "name", "")), "v");
        }
    }
    struct str family = name[2].n ? name[2] : name[1];
    return str_trim(arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(name[0]), STR_ARG(family)));
}

/* ---- reading -----------------------------------------------------------------------------------
 */
#define COLUMNS                                                                               \
    "id, number, host, sub, digest, agent_name, procedure, state, created_at, submitted_at, " \
    "updated_at, data, deadline_at, revision, decided_at, version"

static enum err from_row(struct ctx *c, const struct db_result *r, struct dossier *d)
{
    struct str plain;
    *d = (struct dossier){.id = db_str(r, 0, 0),
                          .number = db_str(r, 0, 1),
                          .host = db_str(r, 0, 2),
                          .sub = db_str(r, 0, 3),
                          .digest = db_str(r, 0, 4),
                          .agent_name = db_str(r, 0, 5),
                          .procedure = procedure_find(db_str(r, 0, 6)),
                          .state = state_of(db_str(r, 0, 7)),
                          .created_ms = db_i64(r, 0, 8),
                          .submitted_ms = db_i64(r, 0, 9),
                          .updated_ms = db_i64(r, 0, 10),
                          .deadline_ms = db_i64(r, 0, 12),
                          .revision = db_i64(r, 0, 13),
                          .decided_ms = db_i64(r, 0, 14),
                          .version = (int)db_i64(r, 0, 15)};
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
    if (e == ERR_OK && owner && !str_eq(db_str(&r, 0, 3), c->session->subject))
        return ERR_NOT_FOUND;
    return e == ERR_OK ? from_row(c, &r, out) : e;
}

enum err dossier_events(struct ctx *c, const struct dossier *d, struct dossier_event **out,
                        size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT at_ms, kind, who, detail, id FROM dossier_event "
                          "WHERE dossier_id = $1 ORDER BY at_ms, id",
                          "s", d->id);
    *n = e == ERR_OK ? r.n_rows : 0;
    *out = arena_array(c->arena, struct dossier_event, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        struct str text = STR("");
        if (db_str(&r, i, 3).n && vault_open(c, dossier_subject(c, d), "dossier.event",
                                             db_str(&r, i, 3), &text) != ERR_OK)
            text = STR("");
        (*out)[i] = (struct dossier_event){db_str(&r, i, 4), db_i64(&r, i, 0), db_str(&r, i, 1),
                                           db_str(&r, i, 2), text};
    }
    return e;
}

/* ---- drafts ------------------------------------------------------------------------------------
 */
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
                   "version, state, created_at, submitted_at, updated_at, deadline_at, decided_at, "
                   "revision, data) "
                   "VALUES($1, $1, $2, $3, '', '', $4, $5, 'draft', $6, 0, $6, 0, 0, 1, $7)",
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
                              "procedure = $3 AND state = 'draft'",
                              "ssz", c->site->host, c->session->subject, p->id);
    if (e == ERR_OK)
        *id = db_str(&r, 0, 0);
    return e;
}

static enum err draft_new(struct ctx *c, const struct procedure *p, struct dossier *out)
{
    char *fresh = arena_alloc(c->arena, ID_LEN + 1);
    id_new(fresh);
    *out = (struct dossier){.id = str_from(fresh),
                            .number = str_from(fresh),
                            .host = c->site->host,
                            .sub = c->session->subject,
                            .procedure = p,
                            .revision = 1,
                            .version = p->version,
                            .created_ms = clock_now_ms()};
    out->updated_ms = out->created_ms;
    out->data = json_own(&c->pool, json_pack("{s:{},s:{}}", "values", "sources"));
    struct draft_row row = {.id = out->id,
                            .host = out->host,
                            .sub = out->sub,
                            .procedure = p->id,
                            .version = p->version,
                            .now_ms = out->created_ms};
    enum err e = vault_seal(c, dossier_subject(c, out), "dossier", json_text(c->arena, out->data),
                            &row.sealed);
    return e == ERR_OK ? db_write(c->pf->db, draft_insert, &row) : e;
}

enum err dossier_draft(struct ctx *c, const struct procedure *p, struct dossier *out)
{
    struct str id;
    enum err e = draft_find(c, p, &id);
    if (e == ERR_NOT_FOUND) {
        e = draft_new(c, p, out);
        if (e != ERR_EXISTS) /* two tabs at once: the index lets one draft be */
            return e;
        e = draft_find(c, p, &id);
    }
    return e == ERR_OK ? dossier_get(c, id, true, out) : e;
}

struct save_row {
    struct str id, sealed;
    int64_t now_ms, revision;
};

static enum err draft_update(struct db_conn *db, void *arg)
{
    struct save_row *s = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE dossier SET data = $2, updated_at = $3, "
                               "revision = revision + 1 WHERE id = $1 AND state = 'draft' AND "
                               "revision = $4",
                               "sbii", s->id, s->sealed, s->now_ms, s->revision);
    return e == ERR_OK && changed == 0 ? ERR_CONFLICT : e;
}

enum err dossier_save(struct ctx *c, struct dossier *d)
{
    struct save_row s = {.id = d->id, .now_ms = clock_now_ms(), .revision = d->revision};
    enum err e =
        vault_seal(c, dossier_subject(c, d), "dossier", json_text(c->arena, d->data), &s.sealed);
    if (e == ERR_OK)
        e = db_write(c->pf->db, draft_update, &s);
    if (e == ERR_OK) {
        d->revision++;
        d->updated_ms = s.now_ms;
    }
    return e;
}

/* ---- moves -------------------------------------------------------------------------------------
 */
struct move {
    struct str id, number, digest, sealed, event_id, who, event_text;
    const char *from, *to, *kind;
    int64_t now_ms, submitted_ms, deadline_ms, decided_ms, revision, version;
    struct str host, words[APPLICANT_WORDS_MAX]; /* blind indexes, at submission */
    size_t n_words;
};

static enum err move_write(struct db_conn *db, void *arg)
{
    struct move *m = arg;
    int64_t changed;
    enum err e = db_exec_count(
        db, &changed,
        "UPDATE dossier SET state = $2, number = $3, digest = $4, data = $5, "
        "updated_at = $6, submitted_at = $7, agent_name = $8, "
        "deadline_at = $11, decided_at = $12, version = $13, revision = revision + 1 "
        "WHERE id = $1 AND state = $9 AND revision = $10",
        "szssbiisziiii", m->id, m->to, m->number, m->digest, m->sealed, m->now_ms, m->submitted_ms,
        m->who, m->from, m->revision, m->deadline_ms, m->decided_ms, m->version);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO dossier_event(id, dossier_id, at_ms, kind, who, detail) "
                    "VALUES($1, $2, $3, $4, $5, $6)",
                    "ssizsb", m->event_id, m->id, m->now_ms, m->kind, m->who, m->event_text);
    for (size_t i = 0; i < m->n_words && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO dossier_word(host, word, dossier_id) VALUES($1, $2, $3) "
                    "ON CONFLICT DO NOTHING",
                    "sss", m->host, m->words[i], m->id);
    return e;
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

static json_t *org_json(const struct ctx *c)
{
    return json_pack("{s:s#,s:s#}", "fr", c->site->name_fr.p, (int)c->site->name_fr.n, "en",
                     c->site->name_en.p, (int)c->site->name_en.n);
}

/* The event bears the id of the journal's entry: from one, the proof of the other is found. */
static enum err move(struct ctx *c, struct dossier *d, struct move *m, json_t *told,
                     struct str actor)
{
    struct act act;
    struct str subject = dossier_subject(c, d);
    m->id = d->id;
    m->host = d->host;
    m->revision = d->revision;
    m->version = d->version;
    json_object_set_new(told, "number", json_stringn(m->number.p, m->number.n));
    json_object_set(told, "procedure", json_get(d->procedure->def, "title"));
    json_object_set_new(told, "org", org_json(c));
    struct act_info info = {
        .kind = m->kind, .actor = actor, .object = d->id, .person = subject, .told = told};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = vault_seal(c, subject, "dossier", json_text(c->arena, d->data), &m->sealed);
    if (e == ERR_OK && m->event_text.n)
        e = vault_seal(c, subject, "dossier.event", m->event_text, &m->event_text);
    if (e != ERR_OK)
        return e;
    m->event_id = act.record.id;
    return act_write(c, move_write, m, &act, 1);
}

/* The names that let an agent find the dossier, as blind indexes. */
static enum err applicant_words(struct ctx *c, const struct dossier *d, struct move *m)
{
    struct str rest = text_fold(c->arena, dossier_applicant(c, d)), word;
    enum err e = ERR_OK;
    while (e == ERR_OK && rest.n && m->n_words < APPLICANT_WORDS_MAX &&
           str_split(&rest, ' ', &word))
        if (word.n > 1)
            e = vault_blind(c, "dossier.applicant", word, &m->words[m->n_words++]);
    return e;
}

struct str dossier_deposit(struct ctx *c, const struct dossier *d)
{
    json_t *values = json_object(), *value;
    const char *name;
    json_object_foreach(json_get(d->data, "values"), name, value)
    {
        json_t *one = json_pack("{s:O?}", "value", json_get(value, "v"));
        static const char *const members[] = {"source", "date", "corrected"};
        for (size_t i = 0; i < COUNT_OF(members); i++)
            if (json_get(value, members[i]))
                json_object_set(one, members[i], json_get(value, members[i]));
        json_object_set_new(values, name, one);
    }
    json_t *doc =
        json_pack("{s:i,s:s,s:i,s:s#,s:s#,s:I,s:o}", "v", 1, "procedure", d->procedure->id,
                  "version", d->version, "dossier", d->id.p, (int)d->id.n, "number", d->number.p,
                  (int)d->number.n, "submitted_at", (json_int_t)d->submitted_ms, "values", values);
    struct str text = json_text(c->arena, doc);
    json_decref(doc);
    return text;
}

enum err dossier_submit(struct ctx *c, struct dossier *d)
{
    uint8_t hash[SHA256_LEN];
    struct move m = {.from = "draft",
                     .to = "submitted",
                     .kind = "procedure.submitted",
                     .now_ms = clock_now_ms(),
                     .event_text = STR(""),
                     .who = STR("")};
    struct dossier sent = *d;
    sent.version = d->procedure->version; /* whose questions she answered */
    sent.number = m.number = number_new(c, m.now_ms);
    sent.submitted_ms = m.submitted_ms = m.now_ms;
    sent.deadline_ms = m.deadline_ms = procedure_deadline_ms(d->procedure, m.now_ms);
    struct str deposit = dossier_deposit(c, &sent);
    sha256(deposit.p, deposit.n, hash);
    sent.digest = m.digest = codec_to_hex(c->arena, hash, sizeof hash);
    enum err e = applicant_words(c, d, &m);
    if (e != ERR_OK)
        return e;
    json_t *told = json_pack("{s:o,s:s#}", "title",
                             two("Vous avez envoyé votre demande", "You sent your request"),
                             "digest", m.digest.p, (int)m.digest.n);
    e = move(c, &sent, &m, told, STR("self"));
    if (e == ERR_OK) {
        *d = sent;
        d->updated_ms = m.now_ms;
        d->state = DOSSIER_SUBMITTED;
        d->revision++;
    }
    return e;
}

enum err dossier_decide(struct ctx *c, struct dossier *d, bool accept, struct str reason)
{
    struct move m = {.from = "submitted",
                     .to = accept ? "accepted" : "refused",
                     .kind = accept ? "procedure.accepted" : "procedure.refused",
                     .number = d->number,
                     .digest = d->digest,
                     .submitted_ms = d->submitted_ms,
                     .deadline_ms = d->deadline_ms,
                     .now_ms = clock_now_ms(),
                     .event_text = reason,
                     .who = json_get_str(c->session->data, "name")};
    m.decided_ms = m.now_ms;
    json_object_set_new(d->data, "reason", json_stringn(reason.p ? reason.p : "", reason.n));
    json_t *told = json_pack("{s:o}", "title",
                             accept ? two("Votre demande est acceptée", "Your request is accepted")
                                    : two("Votre demande est refusée", "Your request is refused"));
    enum err e = move(c, d, &m, told, c->session->subject);
    if (e == ERR_OK) {
        d->state = accept ? DOSSIER_ACCEPTED : DOSSIER_REFUSED;
        d->updated_ms = d->decided_ms = m.now_ms;
        d->agent_name = m.who;
        d->revision++;
    }
    return e;
}

/* ---- reading by agents -------------------------------------------------------------------------
 */
struct read_row {
    struct str dossier_id, agent;
    int64_t now_ms;
};

static enum err read_upsert(struct db_conn *db, void *arg)
{
    struct read_row *r = arg;
    return db_exec(db,
                   "INSERT INTO dossier_read(dossier_id, agent, at_ms) VALUES($1, $2, $3) "
                   "ON CONFLICT (dossier_id, agent) DO UPDATE SET at_ms = $3",
                   "ssi", r->dossier_id, r->agent, r->now_ms);
}

/* In the members of an exchange's side row, so that the account shows both alike. */
static json_t *read_told(struct ctx *c, const struct dossier *d)
{
    const json_t *basis = json_get(d->procedure->def, "legal_basis");
    struct str fr = arena_printf(c->arena, "Votre dossier " STR_FMT, STR_ARG(d->number));
    struct str en = arena_printf(c->arena, "Your case " STR_FMT, STR_ARG(d->number));
    json_t *told =
        json_pack("{s:o,s:{s:o},s:{s:o},s:{s:s,s:s},s:o,s:O}", "title",
                  two("Un agent a lu votre dossier", "An agent read your case"), "consumer", "name",
                  org_json(c), "provider", "name", org_json(c), "api_title", "fr", fr.p, "en", en.p,
                  "purpose", two("Examiner votre demande", "To examine your request"), "procedure",
                  json_get(d->procedure->def, "title"));
    json_object_set_new(told, "legal_basis",
                        basis ? json_incref((json_t *)basis)
                              : two("Mission de service public (RGPD, article 6, 1, e)",
                                    "Public task (GDPR, Article 6(1)(e))"));
    return told;
}

enum err dossier_note_read(struct ctx *c, const struct dossier *d)
{
    struct db_result r;
    struct act act;
    struct read_row row = {d->id, c->session->subject, clock_now_ms()};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT at_ms FROM dossier_read WHERE dossier_id = $1 AND agent = $2",
                              "ss", d->id, row.agent);
    if (e == ERR_OK && db_i64(&r, 0, 0) > row.now_ms - DAY_MS)
        return ERR_OK;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    struct act_info info = {.kind = "dossier.read",
                            .actor = row.agent,
                            .object = d->id,
                            .person = dossier_subject(c, d),
                            .told = read_told(c, d)};
    e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, read_upsert, &row, &act, 1) : e;
}
