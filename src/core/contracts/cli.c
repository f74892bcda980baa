/* `socle contract requests|text|key|sign|verify|hook|replay`, and acts of the operator: the
 * exchange's command hands over what is not its own. */
#include <stdio.h>

#include "core/contracts/contracts.h"
#include "platform/hook.h"
#include "sys/file.h"

enum { FILE_MAX = 128 * 1024 };

struct cli {
    struct ctx *c;
    const json_t *args;
    bool json;
};

static struct str arg(const struct cli *x, size_t i)
{
    const json_t *v = json_array_get(x->args, i);
    return v ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

static int failed(const struct cli *x, enum err e)
{
    fprintf(stderr, "socle contract " STR_FMT ": %s%s%s " STR_FMT "\n", STR_ARG(arg(x, 0)),
            err_name(e), x->c->fault.code ? ": " : "", x->c->fault.code ? x->c->fault.code : "",
            STR_ARG(x->c->fault_detail));
    return 1;
}

static int requests(struct cli *x)
{
    struct contract_request *rows;
    size_t n;
    enum err e = request_list(x->c, STR(""), STR(""), &rows, &n);
    if (e != ERR_OK)
        return failed(x, e);
    json_t *list = json_own(&x->c->pool, json_array());
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, request_json(x->c, &rows[i], SIDE_OPERATOR));
        if (!x->json)
            printf("%s  %-17s %-9s %s -> %s/%s  contract %s%s\n", rows[i].id.p,
                   contract_state_name(rows[i].state), rows[i].stage.p, rows[i].consumer.p,
                   rows[i].api.p, rows[i].version.p, rows[i].contract_id.p,
                   rows[i].held_by.n ? " (suspended)" : "");
    }
    if (x->json)
        printf(STR_FMT "\n", STR_ARG(json_text(x->c->arena, list)));
    return 0;
}

static int text(struct cli *x)
{
    struct contract_request r;
    json_t *v = NULL;
    bool verifies = str_eq_z(arg(x, 0), "verify");
    enum err e = request_get(x->c, arg(x, 1), &r);
    if (e == ERR_OK)
        e = agreement_read(x->c, &r, &v);
    if (e != ERR_OK)
        return failed(x, e);
    if (!verifies) { /* the bytes that are signed, and nothing behind them */
        fputs(json_get_z(v, "text", ""), stdout);
        return 0;
    }
    bool good = json_array_size(json_get(v, "missing")) == 0;
    printf("text      sha256 %s, as archived\n", json_get_z(v, "digest", ""));
    for (size_t i = 0; i < json_array_size(json_get(v, "signatures")); i++) {
        const json_t *s = json_array_get(json_get(v, "signatures"), i);
        bool valid = json_get_bool(s, "valid", false);
        good &= valid;
        printf("%s %s, key %s\n", valid ? "valid    " : "NOT VALID", json_get_z(s, "org", ""),
               json_get_z(s, "kid", ""));
    }
    for (size_t i = 0; i < json_array_size(json_get(v, "missing")); i++)
        printf("missing   %s\n", json_string_value(json_array_get(json_get(v, "missing"), i)));
    return good ? 0 : 1;
}

static int key(struct cli *x)
{
    struct str file, kid;
    json_t *jwk;
    enum err e = file_read(x->c->arena, arena_dupz(x->c->arena, arg(x, 2)), FILE_MAX, &file);
    if (e == ERR_OK)
        e = json_read(file, &jwk, NULL);
    if (e == ERR_OK)
        e = org_key_put(x->c, arg(x, 1), STR("operator"), json_own(&x->c->pool, jwk), &kid);
    if (e != ERR_OK)
        return failed(x, e);
    printf(STR_FMT "\n", STR_ARG(kid));
    return 0;
}

static int sign(struct cli *x)
{
    struct str file;
    struct contract_request r;
    struct contract_party p = {.org = arg(x, 2), .who = STR("operator"), .name = STR("operator")};
    enum err e = file_read(x->c->arena, arena_dupz(x->c->arena, arg(x, 3)), FILE_MAX, &file);
    if (e == ERR_OK)
        e = request_get(x->c, arg(x, 1), &r);
    if (e == ERR_OK)
        e = agreement_sign(x->c, &p, &r, file);
    if (e != ERR_OK)
        return failed(x, e);
    printf("signed\n");
    return 0;
}

static int hook(struct cli *x)
{
    struct str secret;
    bool in = str_eq_z(arg(x, 2), "in");
    enum err e = in ? desk_secret_put(x->c, arg(x, 1), &secret)
                 : str_eq_z(arg(x, 2), "out") && arg(x, 3).n
                     ? hook_set(x->c, arg(x, 1), arg(x, 3), STR("operator"), &secret)
                     : ERR_INVALID;
    if (e != ERR_OK)
        return failed(x, e);
    printf(STR_FMT "\n", STR_ARG(secret));
    return 0;
}

static int replay(struct cli *x)
{
    enum err e = hook_replay(x->c, STR_NONE, arg(x, 1));
    if (e != ERR_OK)
        return failed(x, e);
    printf("queued\n");
    return 0;
}

enum err contracts_call_command(struct ctx *c, const json_t *args, json_t **out)
{
    static const struct {
        const char *name;
        size_t least, most;
        int (*fn)(struct cli *x);
    } all[] = {{"requests", 1, 1, requests}, {"text", 2, 2, text}, {"verify", 2, 2, text},
               {"key", 3, 3, key},           {"sign", 4, 4, sign}, {"hook", 3, 4, hook},
               {"replay", 2, 2, replay}};
    struct cli x = {c, json_get(args, "args"), json_get_bool(args, "json", false)};
    size_t n = json_array_size(x.args);
    int code = -1;
    for (size_t i = 0; i < COUNT_OF(all) && code < 0; i++)
        if (str_eq_z(arg(&x, 0), all[i].name) && n >= all[i].least && n <= all[i].most)
            code = all[i].fn(&x);
    *out = json_pack("{s:i}", "code", code);
    return ERR_OK;
}
