/* Erasing a person: her consents are withdrawn first, so that tokens that bear them are refused
 * within a second; then her key is destroyed in the transaction that takes away what finds her.
 * What was sealed for her opens no more, here, in the journal's side rows and in every backup; what
 * the journal proved stays proved. The files that services keep about her under their own duties
 * are theirs: she may come back, as somebody new to us. */
#include "core/identity/erase.h"

#include "base/clock.h"

struct erasure {
    struct str person;
    bool must_exist;
    int64_t now_ms;
};

static enum err erase_write(struct db_conn *db, void *arg)
{
    static const char *const tables[] = {
        "DELETE FROM person_link WHERE person = $1",
        ("DELETE FROM legacy_sub WHERE EXISTS (SELECT 1 FROM person_sub p WHERE p.person = $1 AND "
         "p.entity_id = legacy_sub.entity_id AND p.sub = legacy_sub.sub)"),
        "DELETE FROM person_sub WHERE person = $1",
        "DELETE FROM person_client WHERE person = $1",
        "DELETE FROM session WHERE subject = $1",
    };
    struct erasure *x = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE person SET state = 'erased', identity_blind = NULL, "
                               "claims = $2, updated_at = $3 WHERE id = $1 AND state <> 'erased'",
                               "sbi", x->person, STR(""), x->now_ms);
    if (e == ERR_OK && changed == 0 && x->must_exist)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < COUNT_OF(tables) && e == ERR_OK; i++)
        e = db_exec(db, tables[i], "s", x->person);
    return e == ERR_OK ? vault_erase_in(db, x->person) : e;
}

static enum err withdraw_all(struct ctx *c, struct str person)
{
    json_t *list, *item, *out;
    size_t i;
    json_t *args = json_own(&c->pool, json_pack("{s:s%}", "person", person.p, person.n));
    enum err e = platform_call(c, "consent.list", args, &list);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e; /* a platform without consents */
    json_array_foreach(json_get(list, "items"), i, item)
    {
        if (strcmp(json_get_z(item, "state", ""), "active") != 0)
            continue;
        json_object_set(args, "consent_id", json_get(item, "id"));
        e = platform_call(c, "consent.withdraw", args, &out);
        if (e != ERR_OK && e != ERR_CONFLICT)
            return e;
    }
    return ERR_OK;
}

/* Her sessions, at services too; tokens; lasting access. */
static enum err end_all(struct ctx *c, struct str person)
{
    json_t *out;
    json_t *args = json_own(&c->pool, json_pack("{s:s%}", "person", person.p, person.n));
    enum err e = platform_call(c, "safety.forget", args, &out);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Her account of our own, where she has one: nobody may sign in with it any more. */
static enum err own_account_forget(struct ctx *c, struct str person)
{
    json_t *out;
    json_t *args = json_own(&c->pool, json_pack("{s:s%}", "person", person.p, person.n));
    enum err e = platform_call(c, "accounts.forget", args, &out);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err identity_person_erase(struct ctx *c, struct str person)
{
    struct act act;
    struct erasure x = {person, true, clock_now_ms()};
    struct act_info info = {.kind = IDENTITY_ERASED, .actor = STR("operator"), .object = person};
    enum err e = withdraw_all(c, person);
    if (e == ERR_OK)
        e = end_all(c, person);
    if (e == ERR_OK)
        e = own_account_forget(c, person);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, erase_write, &x, &act, 1) : e;
}

enum err identity_erase_again(struct platform *pf, const json_t *leaf)
{
    struct erasure x = {json_get_str(leaf, "object"), false, json_get_i64(leaf, "at", 0)};
    return x.person.n ? db_write(pf->db, erase_write, &x) : ERR_OK;
}
