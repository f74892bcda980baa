/* socle person: who is known here, by identifier only, and how somebody is forgotten (erase.c). */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "platform/cli.h"
#include "core/identity/erase.h"

static const char help[] =
    "usage: socle person list [--json]          identifiers, the latest first; no names\n"
    "       socle person erase ID --yes         destroys her key; cannot be undone\n"
    "       socle person block ID [PROVIDER]    nobody signs in as her (by that provider)\n"
    "       socle person unblock ID [PROVIDER]  lifts it\n"
    "       socle person reports [--json]       what people report as fraud\n"
    "       socle person answer REPORT TEXT     answers one, and closes it\n";
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

static int person_erase(struct cli *r)
{
    if (!cli_has(r, "--yes"))
        return cli_failed(r, "this cannot be undone: say --yes", ERR_INVALID);
    enum err e = identity_person_erase(r->c, str_from(r->words[1]));
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    if (r->json)
        cli_print(r, json_pack("{s:s,s:s}", "id", r->words[1], "state", "erased"));
    else
        printf("%s is erased\n", r->words[1]);
    return 0;
}

static bool is_word(const struct cli *r, const char *word)
{
    return strcmp(r->words[0], word) == 0;
}

static int person_safety(struct cli *r)
{
    json_t *out, *words = json_array();
    for (size_t i = 0; i < r->n_words; i++)
        json_array_append_new(words, json_string(r->words[i]));
    json_t *args =
        json_own(&r->c->pool, json_pack("{s:o,s:b}", "words", words, "json", (int)r->json));
    enum err e = platform_call(r->c, "safety.command", args, &out);
    return e == ERR_OK ? (int)json_get_i64(out, "code", 1) : cli_failed(r, r->words[0], e);
}

static int run(struct cli *r)
{
    if (cli_is(r, "list", 1))
        return person_list(r);
    if (cli_is(r, "erase", 2))
        return person_erase(r);
    if (r->n_words && (is_word(r, "reports") || is_word(r, "answer") || is_word(r, "block") ||
                       is_word(r, "unblock")))
        return person_safety(r);
    fputs(help, stderr);
    return 2;
}

int identity_cli_person(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
