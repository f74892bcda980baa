/* socle person list|erase. Erasing: her consents and sessions end, the rows that name her go, her key
 * is destroyed, so that what backups hold of her never opens again. The journal keeps its entries:
 * commitments that nobody can test guesses against once their salts are gone. */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/identity/cli.h"
#include "platform/change.h"

enum { AT_ONCE = 20, JOURNAL_MS = 5000 };

static const char help[] =
    "usage: socle person list [--json]     the newest 1,000\n"
    "       socle person erase ID --yes    cannot be undone\n"
    "\n"
    "Persons are known by their id alone: what is known of them is sealed. Erasing ends a person's\n"
    "consents and sessions and destroys her key: nothing the platform or its backups hold of her\n"
    "opens again. What bodies hold of her on their own account, dossiers for example, stays theirs.\n";

static const struct cli_option options[] = {{"--yes", true}};

/* ---- erasing ------------------------------------------------------------------------------------ */
struct erasure {
    struct str id;
    int64_t now_ms;
};

static enum err rows_erase(struct db_conn *db, void *arg)
{
    static const char *const tables[] = {"DELETE FROM person_link WHERE person = $1",
                                         "DELETE FROM person_sub WHERE person = $1",
                                         "DELETE FROM person_client WHERE person = $1"};
    const struct erasure *x = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE person SET state = 'erasing', identity_blind = NULL, "
                               "claims = $2, updated_at = $3 WHERE id = $1 AND state NOT IN "
                               "('erasing', 'erased')",
                               "sbi", x->id, STR(""), x->now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < COUNT_OF(tables) && e == ERR_OK; i++)
        e = db_exec(db, tables[i], "s", x->id);
    return e;
}

static enum err consents_end(struct ctx *c, struct str id)
{
    json_t *found, *one, *done;
    size_t i;
    json_t *args = json_own(&c->pool, json_pack("{s:s%}", "person", id.p, id.n));
    enum err e = platform_call(c, "consent.list", args, &found);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    json_array_foreach(json_get(found, "items"), i, one)
    {
        if (strcmp(json_get_z(one, "state", ""), "active") != 0)
            continue;
        json_object_set(args, "consent_id", json_get(one, "id"));
        e = platform_call(c, "consent.withdraw", args, &done);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err sessions_end(struct ctx *c, struct str id)
{
    struct str host = str_from(c->pf->settings->base_url);
    ptrdiff_t at = str_find(host, STR("://"));
    host = str_after(host, at < 0 ? 0 : (size_t)at + 3);
    at = str_find_char(host, ':');
    return session_end_all(c, at < 0 ? host : str_sub(host, 0, (size_t)at), id);
}

static enum err person_erase(struct ctx *c, struct str id)
{
    struct erasure x = {id, clock_now_ms()};
    struct act_info info = {.kind = "identity.person.erased", .actor = STR("operator"),
                            .object = id};
    struct act act;
    enum err e = consents_end(c, id);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, rows_erase, &x, &act, 1);
    if (e == ERR_OK)
        e = vault_erase(c, id);
    return e == ERR_OK ? sessions_end(c, id) : e;
}

/* ---- the copies she could read: in jobs, which has time to wait for the journal -------------------- */
static enum err mark_erased(struct db_conn *db, void *id)
{
    return db_exec(db, "UPDATE person SET state = 'erased' WHERE id = $1", "s", *(struct str *)id);
}

void identity_erase_tick(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &a, &r, "SELECT id FROM person WHERE state = 'erasing' LIMIT $1",
                                "i", (int64_t)AT_ONCE);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str id = db_str(&r, i, 0);
        uint64_t n;
        e = vault_erase(c, id); /* again: the command may have been cut short */
        if (e == ERR_OK)
            e = journal_erase_subject(pf->journal, id, JOURNAL_MS, &n);
        if (e == ERR_OK)
            e = db_write(pf->db, mark_erased, &id);
        if (e == ERR_OK)
            log_info("person_erased", "person", id.p, "rows", LOG_NUM(n));
    }
    if (e != ERR_OK)
        log_warn("person_erasure_waits", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}

/* ---- the command -------------------------------------------------------------------------------- */
static int list(struct cli *r)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &r->arena, &rows,
                                "SELECT id, realm, state, created_at FROM person ORDER BY id "
                                "DESC LIMIT 1000", "");
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *items = json_array();
    for (size_t i = 0; i < rows.n_rows; i++) {
        json_array_append_new(items, json_pack("{s:s,s:s,s:s,s:I}", "id", db_z(&rows, i, 0),
                                               "realm", db_z(&rows, i, 1), "state",
                                               db_z(&rows, i, 2), "created_at",
                                               (json_int_t)db_i64(&rows, i, 3)));
        if (!r->json)
            printf("%-32s  %-8s  %s\n", db_z(&rows, i, 0), db_z(&rows, i, 1), db_z(&rows, i, 2));
    }
    if (r->json)
        cli_print(r, items);
    else
        json_decref(items);
    return 0;
}

static int run(struct cli *r)
{
    if (cli_is(r, "list", 1))
        return list(r);
    if (!cli_is(r, "erase", 2)) {
        fputs(help, stderr);
        return 2;
    }
    if (!cli_has(r, "--yes")) {
        fprintf(stderr, "socle person erase: this cannot be undone; add --yes\n");
        return 2;
    }
    enum err e = person_erase(r->c, str_from(r->words[1]));
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    printf("%s erased\n", r->words[1]);
    return 0;
}

int identity_cli_person(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
