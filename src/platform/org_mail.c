#include "platform/org_mail.h"

#include "base/clock.h"

static struct str owner_of(struct arena *a, struct str org)
{
    return arena_printf(a, "org:" STR_FMT, STR_ARG(org));
}

struct set_job {
    struct str org, sealed;
    int64_t now_ms;
};

static enum err set_closure(struct db_conn *db, void *arg)
{
    const struct set_job *j = arg;
    if (!j->sealed.n)
        return db_exec(db, "DELETE FROM org_mail WHERE org = $1", "s", j->org);
    return db_exec(db,
                   "INSERT INTO org_mail(org, address, at_ms) VALUES($1, $2, $3) ON CONFLICT (org) "
                   "DO UPDATE SET address = $2, at_ms = $3",
                   "sbi", j->org, j->sealed, j->now_ms);
}

enum err org_mail_set(struct ctx *c, struct str org, struct str address, struct str actor)
{
    struct act act;
    struct set_job job = {org, STR(""), clock_now_ms()};
    enum err e = ERR_OK;
    if (!org.n || (address.n && !mail_address_ok(address)))
        return ERR_INVALID;
    if (address.n)
        e = vault_seal(c, owner_of(c->arena, org), "org.mail", address, &job.sealed);
    struct act_info info = {
        .kind = address.n ? "org.mail.set" : "org.mail.removed", .actor = actor, .object = org};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, set_closure, &job, &act, 1) : e;
}

enum err org_mail_get(struct ctx *c, struct str org, struct str *address)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r, "SELECT address FROM org_mail WHERE org = $1", "s", org)
           : ERR_UNAVAILABLE;
    *address = STR("");
    if (e == ERR_OK)
        e = vault_open(c, owner_of(c->arena, org), "org.mail", db_str(&r, 0, 0), address);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err org_mail_seal(struct ctx *c, struct str org, const char *kind, struct str subject,
                       struct str text, struct mail_sealed *out)
{
    struct str address;
    struct mail m = {
        .owner = owner_of(c->arena, org).p, .subject = subject, .text = text, .kind = kind};
    *out = (struct mail_sealed){.kind = kind};
    enum err e = org_mail_get(c, org, &address);
    m.to = address;
    return e == ERR_OK && address.n ? mail_seal(c, &m, out) : e;
}
