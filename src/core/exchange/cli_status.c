/* socle api status, socle api secret. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/exchange/credential.h"
#include "core/exchange/exchange.h"
#include "core/exchange/schema.h"
#include "platform/change.h"

enum { SECRET_IN = 8192 };

static int failed(const char *what, enum err e)
{
    fprintf(stderr, "socle api %s: %s\n", what, err_name(e));
    return 1;
}

static void print_one(const json_t *v)
{
    const json_t *day = json_get(v, "today"), *month = json_get(v, "days_30"), *k;
    size_t i;
    static const char *const names[] = {"calls",  "errors",  "slow",      "refused",
                                        "opened", "sampled", "departures"};
    printf("%s/%s  breaker %s\n", json_get_z(v, "api", ""), json_get_z(v, "version", ""),
           json_get_z(json_get(v, "breaker"), "state", ""));
    for (size_t n = 0; n < COUNT_OF(names); n++)
        printf("  %-11s today %lld, in 30 days %lld\n", names[n],
               (long long)json_get_i64(day, names[n], 0),
               (long long)json_get_i64(month, names[n], 0));
    json_array_foreach(json_get(v, "consumers"), i, k)
    {
        printf("  %s  %s  delivered %lld, refused %lld in 30 days  (%s)\n",
               json_get_z(k, "contract", ""), json_get_z(json_get(k, "name"), "en", ""),
               (long long)json_get_i64(k, "delivered", 0), (long long)json_get_i64(k, "refused", 0),
               json_get_z(k, "state", ""));
    }
}

int exchange_cli_api_status(struct ctx *c, int argc, char **argv, bool as_json)
{
    json_t *out, *v, *args = json_own(&c->pool, json_object());
    size_t i;
    if (argc > 0)
        json_object_set_new(args, "api", json_string(argv[0]));
    if (argc > 1)
        json_object_set_new(args, "version", json_string(argv[1]));
    enum err e = platform_call(c, "exchange.status", args, &out);
    if (e == ERR_OK && argc > 0 && json_array_size(json_get(out, "items")) == 0)
        e = ERR_NOT_FOUND;
    if (e != ERR_OK)
        return failed("status", e);
    if (as_json) {
        struct str text = json_text(c->arena, json_get(out, "items"));
        printf(STR_FMT "\n", STR_ARG(text));
        return 0;
    }
    json_array_foreach(json_get(out, "items"), i, v)
    {
        print_one(v);
    }
    return 0;
}

/* ---- secrets ------------------------------------------------------------------------------------
 */
struct secret_job {
    const char *api, *version;
    struct str wrapped;
    int64_t now_ms;
};

static enum err secret_closure(struct db_conn *db, void *arg)
{
    const struct secret_job *job = arg;
    enum err e = db_exec(db,
                         "INSERT INTO api_secret(api, version, wrapped, updated_at) "
                         "VALUES($1, $2, $3, $4) ON CONFLICT (api, version) DO UPDATE SET "
                         "wrapped = $3, updated_at = $4",
                         "zzbi", job->api, job->version, job->wrapped, job->now_ms);
    return e == ERR_OK ? change_add(db, "config", str_from(job->api), 0) : e;
}

static enum err secret_read(char *room, size_t size, struct str *out)
{
    size_t n = 0;
    ssize_t got;
    while (n < size && (got = read(STDIN_FILENO, room + n, size - n)) > 0)
        n += (size_t)got;
    *out = str_trim(str_of(room, n));
    return n == size ? ERR_LIMIT : out->n ? ERR_OK : ERR_INVALID;
}

/* On standard input: an argument would be in the shell's history and in every list of processes. */
int exchange_cli_api_secret(struct ctx *c, const char *api, const char *version)
{
    static char room[SECRET_IN];
    struct secret_job job = {.api = api, .version = version, .now_ms = clock_now_ms()};
    struct db_result r;
    struct str secret;
    struct act act;
    struct str key = arena_printf(c->arena, "%s/%s", api, version);
    struct db_conn *db = db_read(c->pf->db);
    struct act_info info = {.kind = "exchange.api.secret", .actor = STR("operator"), .object = key};
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query_one(db, c->arena, &r, "SELECT 1 FROM api WHERE id = $1 AND version = $2",
                           "zz", api, version);
    if (e == ERR_OK)
        e = secret_read(room, sizeof room, &secret);
    if (e == ERR_OK)
        e = credential_wrap(c->pf, key, secret, c->arena, &job.wrapped);
    mem_wipe(room, sizeof room);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, secret_closure, &job, &act, 1);
    if (e != ERR_OK)
        return failed("secret", e);
    printf("%s/%s\n", api, version);
    return 0;
}
