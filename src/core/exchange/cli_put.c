/* socle api put, socle contract put: an API or a contract out of a JSON file
 * (docs/formats/exchange-declaration.md). What `show --json` prints can be put back. */
#include <stdio.h>
#include <unistd.h>

#include "core/exchange/exchange.h"
#include "core/exchange/schema.h"
#include "core/exchange/snapshot.h"
#include "sys/file.h"

enum { DECLARATION_MAX = 256 * 1024 };

struct members {
    const char *const *known;
    const char *what; /* "api put" */
};

static enum err stdin_read(struct arena *a, struct str *out)
{
    struct buf b;
    char block[8192];
    ssize_t n;
    buf_init(&b, DECLARATION_MAX);
    while ((n = read(STDIN_FILENO, block, sizeof block)) > 0)
        buf_add(&b, block, (size_t)n);
    enum err e = n < 0 ? ERR_IO : b.err;
    if (e == ERR_OK)
        *out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return e;
}

enum err exchange_cli_read(struct arena *a, const char *path, struct str *out)
{
    return strcmp(path, "-") == 0 ? stdin_read(a, out) : file_read(a, path, DECLARATION_MAX, out);
}

/* A member that is not known is a slip of the hand: refused, or it would be silently left out. */
static bool members_are_known(const struct members *m, const json_t *v)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        size_t i = 0;
        while (m->known[i] && strcmp(m->known[i], key) != 0)
            i++;
        if (!m->known[i]) {
            fprintf(stderr, "socle %s: there is no member \"%s\"\n", m->what, key);
            return false;
        }
    }
    return true;
}

static json_t *declaration_read(struct ctx *c, const struct members *m, const char *path)
{
    struct str text;
    struct json_fault fault;
    json_t *v;
    enum err e = exchange_cli_read(c->arena, path, &text);
    if (e != ERR_OK) {
        fprintf(stderr, "socle %s: %s cannot be read (%s)\n", m->what, path, err_name(e));
        return NULL;
    }
    if (json_read(text, &v, &fault) != ERR_OK) {
        fprintf(stderr, "socle %s: %s:%d:%d: %s\n", m->what, path, fault.line, fault.column,
                fault.text);
        return NULL;
    }
    json_own(&c->pool, v);
    if (!json_is_object(v) || json_get_i64(v, "v", 1) != 1) {
        fprintf(stderr, "socle %s: %s is not a declaration of version 1\n", m->what, path);
        return NULL;
    }
    return members_are_known(m, v) ? v : NULL;
}

static int done(const struct members *m, enum err e, const char *name)
{
    if (e == ERR_OK)
        printf("%s\n", name);
    else
        fprintf(stderr, "socle %s: %s was not put (%s)%s\n", m->what, name, err_name(e),
                e == ERR_NOT_FOUND ? ": there is no such API" : "");
    return e == ERR_OK ? 0 : 1;
}

static const char *two(const json_t *v, const char *key, const char *lang)
{
    return json_get_z(json_get(v, key), lang, NULL);
}

int exchange_cli_api_put(struct ctx *c, const char *path)
{
    static const char *const known[] = {
        "v",      "id",      "version",       "org_id",    "title",   "summary",
        "scope",  "origin",  "prefix",        "adapter",   "methods", "circle",
        "fields", "gateway", "deprecated_at", "sunset_at", NULL};
    static const struct members m = {known, "api put"};
    const json_t *v = declaration_read(c, &m, path);
    if (!v)
        return 1;
    if (json_array_size(json_get(v, "fields")) > EXCHANGE_FIELDS_MAX) {
        fprintf(stderr, "socle api put: over %d fields\n", EXCHANGE_FIELDS_MAX);
        return 1;
    }
    if (json_get_i64(v, "circle", 3) != 3) {
        fputs("socle api put: a bare declaration shows no evidence, so its circle is 3 (socle api "
              "import, socle api circle)\n",
              stderr);
        return 1;
    }
    return done(
        &m, exchange_api_put_json(c, v),
        arena_printf(c->arena, "%s/%s", json_get_z(v, "id", ""), json_get_z(v, "version", "")).p);
}

int exchange_cli_contract_put(struct ctx *c, const char *path)
{
    static const char *const known[] = {"v",
                                        "id",
                                        "client_id",
                                        "org_id",
                                        "api",
                                        "version",
                                        "fields",
                                        "purpose",
                                        "legal_basis",
                                        "recipients",
                                        "consent_needed",
                                        "purpose_needed",
                                        "duration_days",
                                        "quota_per_minute",
                                        "signatures",
                                        "state",
                                        "starts_at",
                                        "ends_at",
                                        NULL};
    static const struct members m = {known, "contract put"};
    const json_t *v = declaration_read(c, &m, path);
    struct str id = STR_NONE;
    if (!v)
        return 1;
    const char *recipients = json_get_z(v, "recipients", "");
    struct exchange_contract_terms t = {.id = json_get_z(v, "id", NULL),
                                        .client_id = json_get_z(v, "client_id", ""),
                                        .org_id = json_get_z(v, "org_id", ""),
                                        .api = json_get_z(v, "api", ""),
                                        .version = json_get_z(v, "version", ""),
                                        .fields = json_get_z(v, "fields", ""),
                                        .purpose_fr = two(v, "purpose", "fr"),
                                        .purpose_en = two(v, "purpose", "en"),
                                        .basis_fr = two(v, "legal_basis", "fr"),
                                        .basis_en = two(v, "legal_basis", "en"),
                                        .recipients = *recipients ? recipients : NULL,
                                        .consent_needed = json_get_bool(v, "consent_needed", false),
                                        .purpose_needed = json_get_bool(v, "purpose_needed", false),
                                        .duration_days = (int)json_get_i64(v, "duration_days", 0),
                                        .quota_per_minute =
                                            (int)json_get_i64(v, "quota_per_minute", 0),
                                        .signatures = json_get_z(v, "signatures", NULL),
                                        .starts_ms = json_get_i64(v, "starts_at", 0),
                                        .ends_ms = json_get_i64(v, "ends_at", 0)};
    enum err e = exchange_contract_put(c, &t, &id);
    return done(&m, e, e == ERR_OK ? id.p : t.id ? t.id : "the contract");
}
