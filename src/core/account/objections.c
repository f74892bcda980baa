/* Objections to a use of one's data (docs/formats/objection.md): opened by the person, answered by
 * the data officer of the body, both sealed in the journal. */
#include "core/account/objections.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/rand.h"
#include "platform/org_mail.h"

const struct db_migration account_migrations[ACCOUNT_MIGRATIONS] = {
    {"account", 60,
     "CREATE TABLE objection("
     " id TEXT PRIMARY KEY, person TEXT NOT NULL, entry TEXT NOT NULL, org TEXT NOT NULL,"
     " state TEXT NOT NULL, reason BLOB NOT NULL, use BLOB NOT NULL, answer BLOB NOT NULL,"
     " at BIGINT NOT NULL, answered_at BIGINT NOT NULL, UNIQUE(person, entry));"
     "CREATE INDEX objection_org ON objection(org, state, id);"
     "CREATE TABLE data_officer("
     " org TEXT NOT NULL, agent TEXT NOT NULL, PRIMARY KEY(org, agent));"},
};

static json_t *two(const char *fr, const char *en)
{
    return json_pack("{s:s,s:s}", "fr", fr, "en", en);
}

bool objection_words_ok(struct str words)
{
    return words.n > 0 && words.n <= OBJECTION_WORDS_MAX * 4 && str_is_utf8(words);
}

/* ---- opening ------------------------------------------------------------------------------------
 */
struct opening {
    struct str id, person, entry, org, reason, use;
    int64_t now_ms;
    struct mail_sealed mail;
};

static enum err opening_write(struct db_conn *db, void *arg)
{
    const struct opening *o = arg;
    enum err e = db_exec(
        db,
        "INSERT INTO objection(id, person, entry, org, state, reason, use, answer, "
        "at, answered_at) VALUES($1, $2, $3, $4, 'open', $5, $6, $7, $8, 0)",
        "ssssbbbi", o->id, o->person, o->entry, o->org, o->reason, o->use, STR(""), o->now_ms);
    return e == ERR_OK && o->mail.data.n ? mail_queue(db, &o->mail, o->now_ms) : e;
}

/* Whose client it was; "" when nobody here is behind it. */
static struct str body_of(struct ctx *c, const struct use *use)
{
    json_t *found, *args;
    const char *client = json_get_z(json_get(use->told, "consumer"), "id", "");
    if (!*client)
        client = json_get_z(json_get(use->told, "org"), "client_id", "");
    args = json_pack("{s:s}", "client_id", client);
    enum err e = platform_call(c, "identity.client", args, &found);
    json_decref(args);
    return e == ERR_OK ? arena_dup(c->arena, json_get_str(found, "org_id")) : STR("");
}

static enum err mail_make(struct ctx *c, struct opening *o)
{
    struct str text = arena_printf(
        c->arena,
        "Bonjour,\n\nUne personne s’oppose à une utilisation de ses données par votre organisme.\n"
        "Dossier : " STR_FMT "\nUtilisation : " STR_FMT "\n\nLisez-le et répondez depuis votre "
        "espace, à la page « Oppositions ».\n",
        STR_ARG(o->id), STR_ARG(o->entry));
    return o->org.n ? org_mail_seal(c, o->org, "account.objection",
                                    STR("Une opposition attend votre réponse"), text, &o->mail)
                    : ERR_OK;
}

enum err objection_open(struct ctx *c, const struct use *use, struct str reason, struct str *id)
{
    char *fresh = arena_alloc(c->arena, ID_LEN + 1);
    struct act act;
    struct opening o = {.person = c->session->subject,
                        .entry = use->entry,
                        .org = body_of(c, use),
                        .now_ms = clock_now_ms()};
    json_t *seen = json_own(&c->pool, account_use_json(c, use));
    json_t *told =
        json_pack("{s:o, s:s#, s:s#}", "title",
                  two("Vous vous êtes opposé à une utilisation de vos données",
                      "You objected to a use of your data"),
                  "use", use->entry.p, (int)use->entry.n, "reason", reason.p, (int)reason.n);
    id_new(fresh);
    o.id = *id = str_from(fresh);
    enum err e = vault_seal(c, o.person, "objection", reason, &o.reason);
    if (e == ERR_OK)
        e = vault_seal(c, o.person, "objection", json_text(c->arena, seen), &o.use);
    if (e == ERR_OK)
        e = mail_make(c, &o);
    if (e != ERR_OK) {
        json_decref(told);
        return e;
    }
    struct act_info info = {.kind = "objection.opened",
                            .actor = STR("self"),
                            .object = o.id,
                            .person = o.person,
                            .told = told};
    e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, opening_write, &o, &act, 1) : e;
}

/* ---- reading ------------------------------------------------------------------------------------
 */
static struct str opened(struct ctx *c, struct str person, struct str sealed)
{
    struct str plain;
    return sealed.n && vault_open(c, person, "objection", sealed, &plain) == ERR_OK ? plain
                                                                                    : STR("");
}

static json_t *row_json(struct ctx *c, const struct db_result *r, size_t i)
{
    struct str person = db_str(r, i, 1);
    struct str reason = opened(c, person, db_str(r, i, 4));
    struct str answer = opened(c, person, db_str(r, i, 6));
    json_t *use = NULL;
    if (json_read(opened(c, person, db_str(r, i, 5)), &use, NULL) != ERR_OK)
        use = json_object(); /* she was erased since */
    json_object_del(use, "proof_url");
    return json_pack("{s:s, s:s, s:s, s:s%, s:s%, s:o, s:I, s:I}", "id", db_z(r, i, 0), "entry",
                     db_z(r, i, 2), "state", db_z(r, i, 3), "reason", reason.p, reason.n, "answer",
                     answer.p, answer.n, "use", use, "at", (json_int_t)db_i64(r, i, 7),
                     "answered_at", (json_int_t)db_i64(r, i, 8));
}

#define COLUMNS \
    "SELECT id, person, entry, state, reason, use, answer, at, answered_at FROM objection "

static enum err list(struct ctx *c, const char *sql, struct str of, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r, sql, "s", of) : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out, row_json(c, &r, i));
    return ERR_OK;
}

enum err objections_of_person(struct ctx *c, json_t **out)
{
    return list(c, COLUMNS "WHERE person = $1 ORDER BY id DESC LIMIT 200", c->session->subject,
                out);
}

enum err objections_of_org(struct ctx *c, json_t **out)
{
    return list(c, COLUMNS "WHERE org = $1 ORDER BY state DESC, id LIMIT 200", c->site->org_id,
                out);
}

/* Until a body has named one, each of its agents is. */
enum err objection_officer(struct ctx *c, bool *is)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r, "SELECT agent FROM data_officer WHERE org = $1",
                               "s", c->site->org_id)
                    : ERR_UNAVAILABLE;
    *is = e == ERR_OK && r.n_rows == 0;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        *is = *is || str_eq(db_str(&r, i, 0), c->session->subject);
    return e;
}

/* ---- answering ----------------------------------------------------------------------------------
 */
struct answering {
    struct str id, org, answer;
    int64_t now_ms;
};

static enum err answering_write(struct db_conn *db, void *arg)
{
    const struct answering *a = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE objection SET state = 'answered', answer = $1, "
                               "answered_at = $2 WHERE id = $3 AND org = $4 AND state = 'open'",
                               "biss", a->answer, a->now_ms, a->id, a->org);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

enum err objection_answer(struct ctx *c, struct str id, struct str words)
{
    struct db_result r;
    struct act act;
    struct answering a = {.id = id, .org = c->site->org_id, .now_ms = clock_now_ms()};
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT person, entry FROM objection WHERE id = $1 AND org = $2",
                                   "ss", id, a.org)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    struct str person = db_str(&r, 0, 0);
    e = vault_seal(c, person, "objection", words, &a.answer);
    if (e != ERR_OK)
        return e;
    struct act_info info = {.kind = "objection.answered",
                            .actor = c->session->subject,
                            .object = id,
                            .person = person,
                            .told =
                                json_pack("{s:o, s:s, s:s#}", "title",
                                          two("L’organisme a répondu à votre opposition",
                                              "The body answered your objection"),
                                          "use", db_z(&r, 0, 1), "answer", words.p, (int)words.n)};
    e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, answering_write, &a, &act, 1) : e;
}

/* ---- officers -----------------------------------------------------------------------------------
 */
struct naming {
    const char *verb, *org, *agent;
};

static enum err naming_write(struct db_conn *db, void *arg)
{
    const struct naming *n = arg;
    return strcmp(n->verb, "add") == 0
               ? db_exec(db,
                         "INSERT INTO data_officer(org, agent) VALUES($1, $2) "
                         "ON CONFLICT(org, agent) DO NOTHING",
                         "zz", n->org, n->agent)
               : db_exec(db, "DELETE FROM data_officer WHERE org = $1 AND agent = $2", "zz", n->org,
                         n->agent);
}

int objections_cli(struct platform *pf, int argc, char **argv)
{
    bool good = argc == 4 && (strcmp(argv[1], "add") == 0 || strcmp(argv[1], "remove") == 0);
    if (!pf || !good) {
        fputs("usage: socle officer add ORG AGENT\n       socle officer remove ORG AGENT\n\n"
              "AGENT is as the journal names her: agent:<id>. Until a body has named a data "
              "officer,\n"
              "each of its agents sees the objections to its uses.\n",
              pf ? stderr : stdout);
        return pf ? 2 : 0;
    }
    struct arena a;
    struct act act;
    struct naming n = {argv[1], argv[2], argv[3]};
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct act_info info = {.kind =
                                strcmp(n.verb, "add") == 0 ? "officer.named" : "officer.removed",
                            .actor = STR("operator"),
                            .object = arena_printf(&a, "%s/%s", n.org, n.agent)};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, naming_write, &n, &act, 1);
    ctx_free(c);
    arena_free(&a);
    if (e != ERR_OK)
        fprintf(stderr, "socle officer: it could not be written (%s)\n", err_name(e));
    return e == ERR_OK ? 0 : 1;
}
