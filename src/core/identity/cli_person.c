/* socle person: who is known here, by identifier only, and how somebody is forgotten.
 *
 * Erasing destroys her key: what is sealed for her opens nowhere any more, in backups made from then
 * on neither. Her consents are withdrawn first, so that tokens that bear them are refused within a
 * second. The journal's entries stay, and so do their proofs: they hold commitments. What a service
 * keeps of her files is that service's, under the key of her identifier there. */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "core/identity/cli.h"
#include "platform/change.h"

static const char help[] =
    "usage: socle person list [--json]          identifiers, the latest first; no names\n"
    "       socle person erase ID --yes         destroys her key; cannot be undone\n";
static const struct cli_option options[] = {{"--yes", true}};
enum { LIST_MAX = 1000 };

static int person_list(struct cli *r)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &r->arena, &rows,
                                "SELECT id, realm, state, created_at FROM person "
                                "ORDER BY created_at DESC, id LIMIT $1",
                                "i", (int64_t)LIST_MAX);
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *items = json_array();
    for (size_t i = 0; i < rows.n_rows; i++) {
        struct str at = clock_rfc3339(&r->arena, db_i64(&rows, i, 3), false);
        json_array_append_new(items, json_pack("{s:s,s:s,s:s,s:s}", "id", db_z(&rows, i, 0),
                                               "realm", db_z(&rows, i, 1), "state",
                                               db_z(&rows, i, 2), "created_at", at.p));
        if (!r->json)
            printf("%-32s  %-8s  %-8s  %s\n", db_z(&rows, i, 0), db_z(&rows, i, 1),
                   db_z(&rows, i, 2), at.p);
    }
    if (r->json)
        cli_print(r, json_pack("{s:o}", "items", items));
    else
        json_decref(items);
    return 0;
}

static enum err consents_withdraw(struct cli *r, const char *id)
{
    json_t *list, *item, *out, *args = json_pack("{s:s}", "person", id);
    size_t i;
    enum err e = platform_call(r->c, "consent.list", args, &list);
    json_decref(args);
    if (e == ERR_NOT_FOUND) /* no service keeps consents here */
        return ERR_OK;
    json_array_foreach(e == ERR_OK ? json_get(list, "items") : NULL, i, item)
    {
        if (!str_eq_z(json_get_str(item, "state"), "active"))
            continue;
        args = json_pack("{s:s,s:O}", "person", id, "consent_id", json_get(item, "id"));
        e = platform_call(r->c, "consent.withdraw", args, &out);
        json_decref(args);
        if (e != ERR_OK)
            break;
    }
    return e;
}

struct erasure {
    struct str id;
    int64_t now_ms;
};

static enum err erasure_write(struct db_conn *db, void *arg)
{
    struct erasure *x = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE person SET state = 'erased', identity_blind = NULL, "
                               "claims = $2, updated_at = $3 WHERE id = $1 AND state <> 'erased'",
                               "sbi", x->id, STR(""), x->now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM person_link WHERE person = $1", "s", x->id);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM person_sub WHERE person = $1", "s", x->id);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM person_client WHERE person = $1", "s", x->id);
    return e == ERR_OK ? db_exec(db, "DELETE FROM session WHERE subject = $1", "s", x->id) : e;
}

static int person_erase(struct cli *r)
{
    struct erasure x = {str_from(r->words[1]), clock_now_ms()};
    struct act act;
    if (!cli_has(r, "--yes"))
        return cli_failed(r, "this cannot be undone: say --yes", ERR_INVALID);
    enum err e = consents_withdraw(r, r->words[1]);
    struct act_info info = {.kind = "identity.person.erased", .actor = STR("operator"),
                            .object = x.id};
    if (e == ERR_OK)
        e = act_make(r->c, &info, &act);
    if (e == ERR_OK)
        e = act_write(r->c, erasure_write, &x, &act, 1);
    if (e == ERR_OK)
        e = vault_erase(r->c, x.id);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    if (r->json)
        cli_print(r, json_pack("{s:s,s:s}", "id", r->words[1], "state", "erased"));
    else
        printf("%s is erased\n", r->words[1]);
    return 0;
}

static int run(struct cli *r)
{
    if (cli_is(r, "list", 1))
        return person_list(r);
    if (cli_is(r, "erase", 2))
        return person_erase(r);
    fputs(help, stderr);
    return 2;
}

int identity_cli_person(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
