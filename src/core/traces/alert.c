/* Alerts: a rule that was passed, told once and then prolonged while it goes on. Each is an act in
 * the journal: nobody can say later that nobody was told. */
#include "core/traces/traces.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/seal.h"
#include "platform/hook.h"
#include "platform/mail.h"
#include "web/pages.h"

enum { ALERTS_MAX = 200 };

static enum err group_name(struct ctx *c, struct db_conn *db, struct str grp, struct str *name)
{
    struct db_result r;
    struct trace_keys k;
    *name = STR("?");
    enum err e = trace_keys_get(c, &k);
    if (e == ERR_OK)
        e = db_query_one(db, c->arena, &r, "SELECT name FROM trace_group WHERE grp = $1", "s", grp);
    if (e == ERR_OK)
        e = unseal(c->arena, k.seal, STR("traces.group"), db_str(&r, 0, 0), name);
    mem_wipe(&k, sizeof k);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- raising
 * ----------------------------------------------------------------------------------------
 */
struct raise_job {
    char id[ID_LEN + 1];
    const struct trace_rule *rule;
    struct str grp;
    int64_t n, usual, now_ms;
    struct mail_sealed mail; /* data.n 0: nobody is mailed */
    const char *org;         /* whose webhook is told; "" none */
    struct str told;
};

static enum err prolong_closure(struct db_conn *db, void *arg)
{
    struct raise_job *j = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE trace_alert SET last_ms = $1, n = $2 WHERE rule = $3 AND "
                               "grp = $4 AND state = 'open'",
                               "iizs", j->now_ms, j->n, j->rule->id, j->grp);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

static enum err raise_closure(struct db_conn *db, void *arg)
{
    struct raise_job *j = arg;
    enum err e = ERR_OK;
    if (j->mail.data.n)
        e = mail_queue(db, &j->mail, j->now_ms);
    if (e == ERR_OK && *j->org)
        e = hook_queue(db, str_from(j->org), "traces.alert", j->told, j->now_ms);
    if (e != ERR_OK)
        return e;
    return db_exec(db,
                   "INSERT INTO trace_alert(id, rule, grp, state, closed_by, first_ms, last_ms, n, "
                   "usual) VALUES($1, $2, $3, 'open', '', $4, $4, $5, $6)",
                   "zzsiii", j->id, j->rule->id, j->grp, j->now_ms, j->n, j->usual);
}

/* Mail in the platform's first language, and the same for programs. */
static enum err tell(struct ctx *c, struct db_conn *db, struct raise_job *j)
{
    struct str name, key = arena_printf(c->arena, "rule.%s", j->rule->id);
    const struct settings *s = c->pf->settings;
    j->org = s->alert_org;
    enum err e = group_name(c, db, j->grp, &name);
    if (e != ERR_OK)
        return e;
    struct str url = portal_url(c, "/operateur/alertes");
    struct str title = pages_text(c->arena, "traces", key.p, "fr", NULL);
    json_t *d = json_own(&c->pool, json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o}", "alert", j->id,
                                             "rule", j->rule->id, "title", json_str(title), "about",
                                             json_str(name), "n", (json_int_t)j->n, "usual",
                                             (json_int_t)j->usual, "url", json_str(url)));
    j->told = json_text(c->arena, d);
    if (!*s->alert_mail)
        return ERR_OK;
    struct mail m = {.owner = "operator",
                     .to = str_from(s->alert_mail),
                     .subject = pages_text(c->arena, "traces", "mail.subject", "fr", d),
                     .text = pages_text(c->arena, "traces", "mail.text", "fr", d),
                     .kind = "traces.alert"};
    return mail_seal(c, &m, &j->mail);
}

/* What was closed today is not told again: who closed it knows. */
static enum err is_told(struct db_conn *db, struct arena *a, const struct raise_job *j, bool *told)
{
    struct db_result r;
    enum err e = db_query(db, a, &r,
                          "SELECT state FROM trace_alert WHERE rule = $1 AND grp = $2 AND (state = "
                          "'open' OR last_ms > $3) LIMIT 1",
                          "zsi", j->rule->id, j->grp, j->now_ms - 86400000);
    *told = e == ERR_OK && r.n_rows > 0;
    return e;
}

enum err trace_alert_raise(struct ctx *c, const struct trace_rule *rule, struct str grp, int64_t n,
                           int64_t usual, int64_t now_ms)
{
    struct act act;
    bool told;
    struct raise_job j = {.rule = rule, .grp = grp, .n = n, .usual = usual, .now_ms = now_ms};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = is_told(db, c->arena, &j, &told);
    if (e == ERR_OK && told) {
        e = db_write(c->pf->db, prolong_closure, &j);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    id_new(j.id);
    struct act_info info = {
        .kind = "traces.alert", .actor = str_from(rule->id), .object = str_from(j.id)};
    if (e == ERR_OK)
        e = tell(c, db, &j);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, raise_closure, &j, &act, 1);
    if (e == ERR_OK)
        log_warn("trace_alert", "rule", rule->id, "alert", j.id, "n", LOG_NUM(n));
    return e;
}

/* ---- reading and closing
 * -----------------------------------------------------------------------------
 */
enum err trace_alerts(struct ctx *c, bool all, struct trace_alert **out, size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *n = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query(db, c->arena, &r,
                 "SELECT id, rule, grp, state, closed_by, first_ms, last_ms, n, usual FROM "
                 "trace_alert WHERE state = 'open' OR $1 = 1 ORDER BY CASE WHEN state = "
                 "'open' THEN 0 ELSE 1 END, last_ms DESC LIMIT $2",
                 "ii", (int64_t)all, (int64_t)ALERTS_MAX);
    if (e != ERR_OK)
        return e;
    *out = arena_array(c->arena, struct trace_alert, r.n_rows + 1);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct trace_alert *x = &(*out)[i];
        *x = (struct trace_alert){.id = db_str(&r, i, 0),
                                  .rule = db_str(&r, i, 1),
                                  .state = db_str(&r, i, 3),
                                  .closed_by = db_str(&r, i, 4),
                                  .first_ms = db_i64(&r, i, 5),
                                  .last_ms = db_i64(&r, i, 6),
                                  .n = db_i64(&r, i, 7),
                                  .usual = db_i64(&r, i, 8)};
        e = group_name(c, db, db_str(&r, i, 2), &x->group);
    }
    *n = r.n_rows;
    return e;
}

json_t *trace_alert_json(struct ctx *c, const struct trace_alert *x)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I}", "id", json_str(x->id), "rule",
                     json_str(x->rule), "about", json_str(x->group), "state", json_str(x->state),
                     "closed_by", json_str(x->closed_by), "first_at",
                     json_str(clock_rfc3339(c->arena, x->first_ms, false)), "last_at",
                     json_str(clock_rfc3339(c->arena, x->last_ms, false)), "n", (json_int_t)x->n,
                     "usual", (json_int_t)x->usual);
}

struct close_job {
    struct str id, by;
};

static enum err close_closure(struct db_conn *db, void *arg)
{
    struct close_job *j = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE trace_alert SET state = 'closed', closed_by = $1 WHERE id = "
                               "$2 AND state = 'open'",
                               "ss", j->by, j->id);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err trace_alert_close(struct ctx *c, struct str id, struct str by)
{
    struct act act;
    struct close_job j = {id, by};
    struct act_info info = {.kind = "traces.alert_closed", .actor = by, .object = id};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, close_closure, &j, &act, 1) : e;
}
