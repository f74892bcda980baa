/* socle contract list|show|suspend|resume|put, socle api list|put (and cli_import.c). */
#include <stdio.h>

#include "base/clock.h"
#include "core/exchange/exchange.h"
#include "core/exchange/schema.h"

static const char contract_help[] =
    "usage: socle contract list [--json]\n"
    "       socle contract show ID [--json]\n"
    "       socle contract suspend ID   every call under it is refused within 1 s\n"
    "       socle contract resume ID\n"
    "       socle contract put FILE     makes or replaces one; - reads standard input\n"
    "  requests and agreements (docs/formats/contract.md):\n"
    "       socle contract requests [--json]            all of them, with their state\n"
    "       socle contract text ID                      the text that both sides sign\n"
    "       socle contract key ORG FILE                 registers a body's public key (JWK)\n"
    "       socle contract sign ID ORG FILE             a compact JWS over the text\n"
    "       socle contract verify ID                    checks the archived text and signatures\n"
    "       socle contract hook ORG in|out [URL]        a webhook; prints its secret\n"
    "       socle contract replay DELIVERY              sends a delivery again\n";
static const char api_help[] =
    "usage: socle api list [--json]\n"
    "       socle api check FILE [--json]   an OpenAPI description against the rules\n"
    "       socle api import FILE --org ORG [--origin URL] [--circle 1|2|3] [--json]\n"
    "                                   publishes it: page, data, sandbox, gateway\n"
    "       socle api circle API 1|2|3 --reason TEXT [--refuse] [--json]\n"
    "                                   decides in which circle an API stands\n"
    "       socle api system ORG NAME [API]\n"
    "                                   notes a body's system, with or without an API\n"
    "       socle api component FILE [--json]\n"
    "                                   checks licence, documentation, sandbox, version, tests\n"
    "       socle api once-only FILE [--json]\n"
    "                                   what a procedure's form asks that a body already holds\n"
    "       socle api status [API [VERSION]] [--json]\n"
    "                                   how providers fare: breaker, load, errors, consumers\n"
    "       socle api federate FILE     one call to several APIs; - reads standard input\n"
    "       socle api secret API VERSION  what the provider is shown; on standard input\n"
    "       socle api concept FILE          defines concepts of the vocabulary (JSON)\n"
    "       socle api put FILE          publishes a bare declaration; - reads standard input\n";

struct run {
    struct arena arena;
    struct ctx *c;
    bool json;
};

static bool take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            continue;
        for (int k = i; k + 1 < *argc; k++)
            argv[k] = argv[k + 1];
        (*argc)--;
        return true;
    }
    return false;
}

static void print_json(struct run *r, const json_t *v)
{
    struct str text = json_text(&r->arena, v);
    printf(STR_FMT "\n", STR_ARG(text));
}

static int failed(const char *what, enum err e)
{
    fprintf(stderr, "socle %s: %s\n", what, err_name(e));
    return 1;
}

static const char contract_sql[] =
    "SELECT id, client_id, org_id, api, version, fields, purpose_fr, purpose_en, basis_fr, "
    "basis_en, recipients, consent_needed, purpose_needed, duration_days, quota_per_minute, state, "
    "starts_at, ends_at, (SELECT asks FROM message_signing WHERE contract = contract.id) "
    "FROM contract ORDER BY id";
static const char contract_one_sql[] =
    "SELECT id, client_id, org_id, api, version, fields, purpose_fr, purpose_en, basis_fr, "
    "basis_en, recipients, consent_needed, purpose_needed, duration_days, quota_per_minute, state, "
    "starts_at, ends_at, (SELECT asks FROM message_signing WHERE contract = contract.id) "
    "FROM contract WHERE id = $1";

static json_t *contract_json(const struct db_result *r, size_t i)
{
    json_t *v = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:s, s:b, s:b, s:I, s:I, s:s, "
        "s:I, s:I, s:s}",
        "id", db_z(r, i, 0), "client_id", db_z(r, i, 1), "org_id", db_z(r, i, 2), "api",
        db_z(r, i, 3), "version", db_z(r, i, 4), "fields", db_z(r, i, 5), "purpose", "fr",
        db_z(r, i, 6), "en", db_z(r, i, 7), "legal_basis", "fr", db_z(r, i, 8), "en", db_z(r, i, 9),
        "recipients", db_z(r, i, 10), "consent_needed", db_i64(r, i, 11) != 0, "purpose_needed",
        db_i64(r, i, 12) != 0, "duration_days", (json_int_t)db_i64(r, i, 13), "quota_per_minute",
        (json_int_t)db_i64(r, i, 14), "state", db_z(r, i, 15), "starts_at",
        (json_int_t)db_i64(r, i, 16), "ends_at", (json_int_t)db_i64(r, i, 17), "signatures",
        exchange_signatures_word(db_i64(r, i, 18)));
    return v;
}

static int contract_list(struct run *r)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e = db ? db_query(db, &r->arena, &rows, contract_sql, "") : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return failed("contract list", e);
    if (r->json) {
        json_t *list = json_own(&r->c->pool, json_array());
        for (size_t i = 0; i < rows.n_rows; i++)
            json_array_append_new(list, contract_json(&rows, i));
        print_json(r, list);
        return 0;
    }
    for (size_t i = 0; i < rows.n_rows; i++)
        printf("%-26s  %-9s  %s -> %s/%s  (%s)\n", db_z(&rows, i, 0), db_z(&rows, i, 15),
               db_z(&rows, i, 1), db_z(&rows, i, 3), db_z(&rows, i, 4), db_z(&rows, i, 5));
    return 0;
}

static int contract_show(struct run *r, const char *id)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e =
        db ? db_query_one(db, &r->arena, &rows, contract_one_sql, "z", id) : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return failed("contract show", e);
    if (r->json) {
        print_json(r, json_own(&r->c->pool, contract_json(&rows, 0)));
        return 0;
    }
    static const char *const names[] = {"id",
                                        "client",
                                        "consumer",
                                        "api",
                                        "version",
                                        "fields",
                                        "purpose (fr)",
                                        "purpose (en)",
                                        "legal basis (fr)",
                                        "legal basis (en)",
                                        "recipients",
                                        "consent needed",
                                        "purpose needed",
                                        "duration (days)",
                                        "calls per minute",
                                        "state"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        printf("%-18s %s\n", names[i], db_z(&rows, 0, i));
    printf("%-18s %s\n", "signatures", exchange_signatures_word(db_i64(&rows, 0, 18)));
    int64_t starts_ms = db_i64(&rows, 0, 16), ends_ms = db_i64(&rows, 0, 17);
    printf("%-18s %s\n", "starts",
           starts_ms ? clock_rfc3339(&r->arena, starts_ms, false).p : "begun");
    printf("%-18s %s\n", "ends", ends_ms ? clock_rfc3339(&r->arena, ends_ms, false).p : "open");
    return 0;
}

static int contract_set(struct run *r, const char *id, const char *state)
{
    enum err e = exchange_contract_state(r->c, str_from(id), state);
    if (e != ERR_OK)
        return failed("contract", e);
    printf("%s %s\n", id, state);
    return 0;
}

/* Requests and agreements are another service's: it takes what is not for us. -1: it does not
 * either. */
static int contract_elsewhere(struct run *r, int argc, char **argv)
{
    json_t *out, *list = json_array(), *args = json_pack("{s:b}", "json", r->json);
    for (int i = 1; i < argc; i++)
        json_array_append_new(list, json_string(argv[i]));
    json_object_set_new(args, "args", list);
    enum err e = platform_call(r->c, "contracts.command", json_own(&r->c->pool, args), &out);
    return e == ERR_OK ? (int)json_get_i64(out, "code", -1) : -1;
}

static int contract_run(struct run *r, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return contract_list(r);
    if (argc == 3 && strcmp(argv[1], "show") == 0)
        return contract_show(r, argv[2]);
    if (argc == 3 && strcmp(argv[1], "suspend") == 0)
        return contract_set(r, argv[2], "suspended");
    if (argc == 3 && strcmp(argv[1], "resume") == 0)
        return contract_set(r, argv[2], "active");
    if (argc == 3 && strcmp(argv[1], "put") == 0)
        return exchange_cli_contract_put(r->c, argv[2]);
    int code = contract_elsewhere(r, argc, argv);
    if (code >= 0)
        return code;
    fputs(contract_help, stderr);
    return 2;
}

static int api_run(struct run *r, int argc, char **argv)
{
    json_t *out;
    if (argc == 3 && strcmp(argv[1], "put") == 0)
        return exchange_cli_api_put(r->c, argv[2]);
    if (argc >= 2 && argc <= 4 && strcmp(argv[1], "status") == 0)
        return exchange_cli_api_status(r->c, argc - 2, argv + 2, r->json);
    if (argc == 3 && strcmp(argv[1], "federate") == 0)
        return exchange_cli_api_federate(r->c, argv[2]);
    if (argc == 4 && strcmp(argv[1], "secret") == 0)
        return exchange_cli_api_secret(r->c, argv[2], argv[3]);
    int code = argc > 1 ? exchange_cli_api_import(r->c, argc - 1, argv + 1, r->json) : -1;
    if (code >= 0)
        return code;
    if (argc != 2 || strcmp(argv[1], "list") != 0) {
        fputs(api_help, stderr);
        return 2;
    }
    enum err e = platform_call(r->c, "catalogue.apis", NULL, &out);
    if (e == ERR_NOT_FOUND) /* no catalogue in this program */
        e = platform_call(r->c, "exchange.apis", NULL, &out);
    if (e != ERR_OK)
        return failed("api list", e);
    json_t *items = json_get(out, "items"), *v;
    size_t i;
    if (r->json) {
        print_json(r, items);
        return 0;
    }
    json_array_foreach(items, i, v)
    {
        printf("%s/%s  scope %s  %s%s\n", json_get_z(v, "id", ""), json_get_z(v, "version", ""),
               json_get_z(v, "scope", ""), json_get_z(json_get(v, "title"), "fr", ""),
               json_get_bool(v, "documented", true) ? "" : "  (not documented: not public)");
    }
    return 0;
}

static int with_ctx(struct platform *pf, int argc, char **argv, const char *help,
                    int (*fn)(struct run *r, int argc, char **argv))
{
    struct run r = {.json = take_flag(&argc, argv, "--json")};
    if (take_flag(&argc, argv, "--help")) {
        fputs(help, stdout);
        return 0;
    }
    arena_init(&r.arena);
    r.c = ctx_make(pf, &r.arena);
    int code = fn(&r, argc, argv);
    ctx_free(r.c);
    arena_free(&r.arena);
    return code;
}

int exchange_cli_contract(struct platform *pf, int argc, char **argv)
{
    return with_ctx(pf, argc, argv, contract_help, contract_run);
}

int exchange_cli_api(struct platform *pf, int argc, char **argv)
{
    return with_ctx(pf, argc, argv, api_help, api_run);
}
