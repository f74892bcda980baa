/* socle provider, socle user */
#include "core/identity/schema.h"

#include <stdio.h>
#include "platform/cli.h"
#include "core/identity/identity.h"
#include "core/identity/presets.h"
#include "platform/change.h"
#include "sys/file.h"

enum { FILE_LIMIT = 64 * 1024 };

static enum err rows_get(struct cli *r, struct db_result *rows, const char *sql)
{
    struct db_conn *db = db_read(r->c->pf->db);
    return db ? db_query(db, &r->arena, rows, sql, "") : ERR_UNAVAILABLE;
}

/* The first line of standard input: secrets do not belong on a command line, where `ps` shows them.
 */
static struct str line_read(struct cli *r)
{
    char line[2048];
    if (!fgets(line, sizeof line, stdin))
        return STR_NONE;
    return arena_dup(&r->arena, str_trim(str_from(line)));
}

/* ---- provider -----------------------------------------------------------------------------------
 */
static const char provider_help[] =
    "usage: socle provider add --id ID --name NAME --issuer URL --client-id ID [options]\n"
    "       socle provider add --preset P --client-id ID --secret-stdin --url URL\n"
    "       socle provider list [--json]\n"
    "       socle provider check ID [--json]   its metadata and keys, judged\n"
    "       socle provider accept ID           one that asked for production; send-back ID\n"
    "       socle provider disable ID\n"
    "\n"
    "  --preset P         franceconnect, franceconnect+ or proconnect, at --url; the other "
    "options\n"
    "                     change what it brings\n"
    "  --id ID            letters, digits and '-': stands in the return address\n"
    "  --name NAME        shown to people; --name-en NAME, --hint TEXT, --hint-en TEXT\n"
    "  --issuer URL       its metadata is read below it\n"
    "  --client-id ID     as which it knows this platform\n"
    "  --secret-stdin     the secret is the first line of standard input; without it,\n"
    "                     private_key_jwt with the keys of /api/v2/client/jwks\n"
    "  --realm R          citizens (default) or agents\n"
    "  --min-acr L        eidas1 (default), eidas2 or eidas3\n"
    "  --conf FILE        JSON: endpoints, scope, acr, algs, what it may be sent\n"
    "  --position N       order on the page of choice\n"
    "  --sandbox          nobody is sent there but by its trials, until it is accepted\n";
static const struct cli_option provider_options[] = {
    {"--id", false},      {"--name", false},    {"--name-en", false},   {"--hint", false},
    {"--hint-en", false}, {"--issuer", false},  {"--client-id", false}, {"--secret-stdin", true},
    {"--realm", false},   {"--min-acr", false}, {"--conf", false},      {"--position", false},
    {"--preset", false},  {"--url", false},     {"--sandbox", true},
};

/* The members of `said` over those of the preset; what is no object is refused further on. */
static const char *conf_over(struct cli *r, const char *preset, const char *said)
{
    json_t *all, *more;
    if (json_read(str_from(said), &more, NULL) != ERR_OK)
        return said;
    if (!json_is_object(more) || json_read(str_from(preset), &all, NULL) != ERR_OK) {
        json_decref(more);
        return said;
    }
    json_object_update(all, more);
    const char *text = json_text(&r->arena, all).p;
    json_decref(more);
    json_decref(all);
    return text;
}

/* What was said wins over what the preset brings. */
static void preset_apply(struct cli *r, const struct preset *p, struct identity_provider *in)
{
    struct str url = str_from(cli_value(r, "--url", ""));
    while (str_ends(url, STR("/")))
        url = str_sub(url, 0, url.n - 1);
    bool whole = str_ends(url, str_from(p->path));
    in->id = in->id ? in->id : p->id;
    in->realm = in->realm ? in->realm : p->realm;
    in->name_fr = in->name_fr ? in->name_fr : p->name_fr;
    in->name_en = in->name_en ? in->name_en : p->name_en;
    in->min_acr = in->min_acr ? in->min_acr : p->min_acr;
    in->conf = in->conf ? conf_over(r, p->conf, in->conf) : p->conf;
    if (!in->issuer && url.n)
        in->issuer = arena_printf(&r->arena, STR_FMT "%s", STR_ARG(url), whole ? "" : p->path).p;
}

static int provider_add(struct cli *r)
{
    const char *why = NULL, *file = cli_value(r, "--conf", NULL);
    const struct preset *preset = NULL;
    if (cli_has(r, "--preset") && !(preset = preset_find(cli_value(r, "--preset", ""))))
        return cli_failed(r, "--preset", ERR_INVALID);
    struct str conf = STR_NONE, secret = STR_NONE;
    uint64_t position = 0;
    if (file && file_read(&r->arena, file, FILE_LIMIT, &conf) != ERR_OK)
        return cli_failed(r, file, ERR_IO);
    if (cli_has(r, "--secret-stdin") && !(secret = line_read(r)).n)
        return cli_failed(r, "standard input", ERR_INVALID);
    if (!str_to_u64(str_from(cli_value(r, "--position", "0")), &position) || position > 10000)
        return cli_failed(r, "--position", ERR_INVALID);
    struct identity_provider in = {.id = cli_value(r, "--id", NULL),
                                   .realm = cli_value(r, "--realm", NULL),
                                   .name_fr = cli_value(r, "--name", NULL),
                                   .name_en = cli_value(r, "--name-en", NULL),
                                   .hint_fr = cli_value(r, "--hint", NULL),
                                   .hint_en = cli_value(r, "--hint-en", NULL),
                                   .issuer = cli_value(r, "--issuer", NULL),
                                   .client_id = cli_value(r, "--client-id", NULL),
                                   .secret = secret.p ? arena_dupz(&r->arena, secret) : NULL,
                                   .conf = conf.p ? arena_dupz(&r->arena, conf) : NULL,
                                   .min_acr = cli_value(r, "--min-acr", NULL),
                                   .position = (int)position,
                                   .state = cli_has(r, "--sandbox") ? "sandbox" : NULL,
                                   .actor = "operator"};
    if (preset)
        preset_apply(r, preset, &in);
    enum err e = identity_provider_put(r->c, &in, &why);
    if (e != ERR_OK)
        return cli_failed(r, why ? why : "add", e);
    if (r->json)
        cli_print(
            r, json_pack(
                   "{s:s,s:s}", "id", in.id, "redirect_uri",
                   portal_url(r->c, arena_printf(&r->arena, "/connexion/retour/%s", in.id).p).p));
    else
        printf("%s: register %s/connexion/retour/%s there\n", in.id, r->c->pf->settings->base_url,
               in.id);
    return 0;
}

static int provider_list_print(struct cli *r)
{
    struct db_result rows;
    enum err e = rows_get(r, &rows,
                          "SELECT p.id, p.realm, p.name_fr, p.issuer, p.state, p.min_acr, "
                          "COALESCE(s.up, -1), COALESCE(s.checked_at, 0) FROM identity_provider p "
                          "LEFT JOIN provider_state s ON s.provider = p.id "
                          "ORDER BY p.realm, p.position, p.id");
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *all = json_array();
    for (size_t i = 0; i < rows.n_rows; i++) {
        int64_t up = db_i64(&rows, i, 6);
        const char *health = up < 0 ? "unknown" : up ? "up" : "down";
        if (r->json)
            json_array_append_new(all, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "id",
                                                 db_z(&rows, i, 0), "realm", db_z(&rows, i, 1),
                                                 "name", db_z(&rows, i, 2), "issuer",
                                                 db_z(&rows, i, 3), "state", db_z(&rows, i, 4),
                                                 "min_acr", db_z(&rows, i, 5), "health", health,
                                                 "checked_at", (json_int_t)db_i64(&rows, i, 7)));
        else
            printf("%-20s  %-8s  %-8s  %-7s  %s\n", db_z(&rows, i, 0), db_z(&rows, i, 1),
                   db_z(&rows, i, 4), health, db_z(&rows, i, 2));
    }
    if (r->json)
        cli_print(r, all);
    else
        json_decref(all);
    if (!r->json && rows.n_rows == 0)
        puts("no identity provider yet: `socle provider add` registers one");
    return 0;
}

static enum err disable_write(struct db_conn *db, void *arg)
{
    struct str *id = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed, "UPDATE identity_provider SET state = 'disabled' WHERE id = $1", "s", *id);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    return e == ERR_OK ? change_add(db, "config", *id, 0) : e;
}

static int provider_disable(struct cli *r)
{
    struct str id = str_from(r->words[1]);
    enum err e = db_write(r->c->pf->db, disable_write, &id);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    printf("%s disabled\n", r->words[1]);
    return 0;
}

/* The same judgement as the console's checklist; 1 when something fails. */
static int provider_check(struct cli *r)
{
    json_t *v, *one, *args = json_pack("{s:s}", "id", r->words[1]);
    size_t i;
    int failed = 0;
    enum err e = identity_call_provider_look(r->c, args, &v);
    json_decref(args);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    json_array_foreach(json_get(v, "items"), i, one)
    {
        failed |= strcmp(json_get_z(one, "verdict", ""), "fail") == 0;
        if (!r->json)
            printf("%-5s %-12s %s\n", json_get_z(one, "verdict", ""), json_get_z(one, "check", ""),
                   json_get_z(one, "why", ""));
    }
    if (r->json)
        cli_print(r, v);
    else
        json_decref(v);
    return failed;
}

static int provider_move(struct cli *r, const char *to)
{
    json_t *v, *args = json_pack("{s:s,s:s,s:s}", "id", r->words[1], "to", to, "actor", "operator");
    enum err e = identity_call_provider_state(r->c, args, &v);
    json_decref(args);
    if (e != ERR_OK)
        return cli_failed(r, e == ERR_CONFLICT ? "it did not ask for production" : r->words[1], e);
    json_decref(v);
    printf("%s %s\n", r->words[1], to);
    return 0;
}

static int provider_run(struct cli *r)
{
    if (cli_is(r, "check", 2))
        return provider_check(r);
    if (cli_is(r, "accept", 2))
        return provider_move(r, "active");
    if (cli_is(r, "send-back", 2))
        return provider_move(r, "sandbox");
    if (cli_is(r, "add", 1) && ((cli_has(r, "--id") && cli_has(r, "--issuer")) ||
                                (cli_has(r, "--preset") && cli_has(r, "--url"))))
        return provider_add(r);
    if (cli_is(r, "list", 1))
        return provider_list_print(r);
    if (cli_is(r, "disable", 2))
        return provider_disable(r);
    return 2;
}

int identity_cli_provider(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, provider_help, provider_options, COUNT_OF(provider_options),
                   provider_run);
}

/* ---- user ---------------------------------------------------------------------------------------
 */
static const char user_help[] =
    "usage: socle user add --login LOGIN [--name NAME] [--role admin|auditor] [--password-stdin] "
    "[--json]\n"
    "       socle user list [--json]\n"
    "       socle user block ID     her sessions end; unblock ID\n"
    "\n"
    "Users are the operators of this platform, and its auditors, who read the journal and operate\n"
    "nothing; each reading is an entry. They sign in at /connexion/operateur. Without\n"
    "--password-stdin a password is drawn and printed once.\n";
static const struct cli_option user_options[] = {
    {"--login", false}, {"--name", false}, {"--password-stdin", true}, {"--role", false}};

static int user_add(struct cli *r)
{
    struct str id, password, given = STR_NONE;
    const char *login = cli_value(r, "--login", NULL), *role = cli_value(r, "--role", "admin");
    if (strcmp(role, "admin") != 0 && strcmp(role, "auditor") != 0)
        return cli_failed(r, "--role", ERR_INVALID);
    if (cli_has(r, "--password-stdin") && !(given = line_read(r)).n)
        return cli_failed(r, "standard input", ERR_INVALID);
    enum err e =
        identity_operator_add(r->c, role, login, cli_value(r, "--name", NULL),
                              given.p ? arena_dupz(&r->arena, given) : NULL, &id, &password);
    if (e != ERR_OK)
        return cli_failed(r, e == ERR_EXISTS ? "this login is taken" : "add", e);
    json_t *v = json_pack("{s:o,s:s}", "id", json_str(id), "login", login);
    if (!given.p)
        json_object_set_new(v, "password", json_str(password));
    if (r->json) {
        cli_print(r, v);
        return 0;
    }
    json_decref(v);
    printf("id        " STR_FMT "\nlogin     %s\n", STR_ARG(id), login);
    if (!given.p)
        printf("password  " STR_FMT "\n", STR_ARG(password));
    return 0;
}

static json_t *user_json(struct cli *r, const struct db_result *rows, size_t i)
{
    struct str plain;
    json_t *v = NULL;
    if (vault_open(r->c, db_str(rows, i, 0), "account.data", db_str(rows, i, 1), &plain) !=
            ERR_OK ||
        json_read(plain, &v, NULL) != ERR_OK)
        v = json_object();
    json_object_set_new(v, "id", json_string(db_z(rows, i, 0)));
    json_object_set_new(v, "state", json_string(db_z(rows, i, 2)));
    json_object_set_new(v, "seen_at", json_integer(db_i64(rows, i, 3)));
    json_object_set_new(v, "role", json_string(db_z(rows, i, 4)));
    return v;
}

static int user_list(struct cli *r)
{
    struct db_result rows;
    enum err e = rows_get(
        r, &rows, "SELECT id, data, state, seen_at, role FROM local_account ORDER BY created_at");
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *all = json_array(), *v;
    for (size_t i = 0; i < rows.n_rows; i++) {
        v = user_json(r, &rows, i);
        json_array_append_new(all, v);
        if (!r->json)
            printf("%-35s  %-8s  %-20s  %s\n", db_z(&rows, i, 0), db_z(&rows, i, 2),
                   json_get_z(v, "login", "?"), json_get_z(v, "name", "?"));
    }
    if (r->json)
        cli_print(r, all);
    else
        json_decref(all);
    if (!r->json && rows.n_rows == 0)
        puts("no operator yet: `socle user add` makes one");
    return 0;
}

struct blocking {
    struct str id;
    const char *state;
};

static enum err blocking_write(struct db_conn *db, void *arg)
{
    struct blocking *b = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed, "UPDATE local_account SET state = $2 WHERE id = $1",
                               "sz", b->id, b->state);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    return e == ERR_OK ? db_exec(db, "DELETE FROM session WHERE subject = $1", "s", b->id) : e;
}

static int user_block(struct cli *r, const char *state)
{
    struct act act;
    struct blocking b = {str_from(r->words[1]), state};
    struct act_info info = {.kind = strcmp(state, "active") == 0 ? "identity.operator_unblocked"
                                                                 : "identity.operator_blocked",
                            .actor = STR("operator"),
                            .object = b.id};
    enum err e = act_make(r->c, &info, &act);
    if (e == ERR_OK)
        e = act_write(r->c, blocking_write, &b, &act, 1);
    if (e != ERR_OK)
        return cli_failed(r, r->words[1], e);
    printf("%s %s\n", r->words[1], state);
    return 0;
}

static int user_run(struct cli *r)
{
    if (cli_is(r, "add", 1) && cli_has(r, "--login"))
        return user_add(r);
    if (cli_is(r, "list", 1))
        return user_list(r);
    if (cli_is(r, "block", 2))
        return user_block(r, "blocked");
    if (cli_is(r, "unblock", 2))
        return user_block(r, "active");
    return 2;
}

int identity_cli_user(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, user_help, user_options, COUNT_OF(user_options), user_run);
}
