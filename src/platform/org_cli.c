/* socle org list|show|put. */
#include "platform/org_cli.h"

#include <stdio.h>
#include "platform/rp.h"

static const char help[] =
    "usage: socle org list [--json]\n"
    "       socle org show ID [--json]\n"
    "       socle org put ID SIRET KIND NAME_FR [NAME_EN]   makes or replaces one\n"
    "       socle org site HOST ORG_ID CLIENT_ID            gives an organisation a site of its\n"
    "                                                       own; the client's secret is read from\n"
    "                                                       standard input\n";

static json_t *row_json(const struct db_result *r, size_t i)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "id", db_z(r, i, 0), "siret", db_z(r, i, 1),
                     "kind", db_z(r, i, 2), "name", "fr", db_z(r, i, 3), "en", db_z(r, i, 4));
}

static int failed(const char *what, enum err e)
{
    fprintf(stderr, "socle org %s: %s\n", what, err_name(e));
    return 1;
}

static int list(struct ctx *c, const char *id, bool as_json)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT id, siret, kind, name_fr, name_en FROM organisation "
                                "WHERE $1 = '' OR id = $1 ORDER BY id",
                                "z", id);
    if (e == ERR_OK && *id && r.n_rows == 0)
        e = ERR_NOT_FOUND;
    if (e != ERR_OK)
        return failed(*id ? "show" : "list", e);
    json_t *all = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++) {
        json_array_append_new(all, row_json(&r, i));
        if (!as_json)
            printf("%-24s %s  %-8s %s\n", db_z(&r, i, 0), db_z(&r, i, 1), db_z(&r, i, 2),
                   db_z(&r, i, 3));
    }
    if (as_json)
        printf("%s\n", json_text(c->arena, *id ? json_array_get(all, 0) : all).p);
    return 0;
}

/* 14 digits whose Luhn sum is a multiple of ten (INSEE). */
static bool is_siret(const char *text)
{
    int sum = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        int d = text[n - 1 - i] - '0';
        if (d < 0 || d > 9)
            return false;
        d = i % 2 ? d * 2 : d;
        sum += d > 9 ? d - 9 : d;
    }
    return n == 14 && sum % 10 == 0;
}

static int put(struct ctx *c, int argc, char **argv)
{
    if (!is_siret(argv[3])) {
        fprintf(stderr, "socle org put: \"%s\" is not a SIRET (14 digits, with their check)\n",
                argv[3]);
        return 2;
    }
    enum err e = org_put(c, str_from(argv[2]), str_from(argv[3]), argv[4], argv[5],
                         argc > 6 ? argv[6] : argv[5]);
    if (e == ERR_OK)
        printf("%s\n", argv[2]);
    return e == ERR_OK ? 0 : failed("put", e);
}

static int site(struct ctx *c, char **argv)
{
    char secret[512] = "";
    if (!fgets(secret, sizeof secret, stdin) || !str_trim(str_from(secret)).n) {
        fprintf(stderr, "socle org site: the client's secret is expected on standard input\n");
        return 2;
    }
    enum err e = site_put(c, str_from(argv[2]), str_from(argv[3]), str_from(argv[4]),
                          str_trim(str_from(secret)));
    mem_wipe(secret, sizeof secret);
    if (e == ERR_OK)
        printf("%s\n", argv[2]);
    return e == ERR_OK ? 0 : failed("site", e);
}

static bool take_json(int *argc, char **argv)
{
    bool found = *argc > 1 && strcmp(argv[*argc - 1], "--json") == 0;
    *argc -= found;
    return found;
}

static int run(struct ctx *c, int argc, char **argv)
{
    bool as_json = take_json(&argc, argv);
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "list") == 0 && argc == 2)
        return list(c, "", as_json);
    if (strcmp(what, "show") == 0 && argc == 3)
        return list(c, argv[2], as_json);
    if (strcmp(what, "put") == 0 && (argc == 6 || argc == 7))
        return put(c, argc, argv);
    if (strcmp(what, "site") == 0 && argc == 5)
        return site(c, argv);
    fputs(help, stderr);
    return 2;
}

int org_cli(struct platform *pf, int argc, char **argv)
{
    struct arena a;
    if (!pf) {
        fputs(help, stdout);
        return 0;
    }
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    int code = run(c, argc, argv);
    ctx_free(c);
    arena_free(&a);
    return code;
}
