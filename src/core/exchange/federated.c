/* Federated APIs (docs/formats/federated.md): one call, several providers, each asked through the
 * gateway with the caller's own token. So each part has its contract, its filter and its entries;
 * what is added here is only to put them side by side, to say whose each is, and to sign it. */
#include "core/exchange/schema.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/codec.h"
#include "crypto/digest.h"
#include "web/client.h"

enum {
    PARTS_MAX = 8,
    PART_TIMEOUT_MS = 12000,
    PART_MAX = 2 << 20,
    ANSWER_MAX = 20 << 20,
};

static const struct fault f_none = {"EXC-404-FEDERATED", 404, "exchange",
                                    "There is no such federated API"};
static const struct fault f_param = {"EXC-400-FEDERATED", 400, "exchange",
                                     "A parameter is missing or not acceptable"};
static const struct fault f_token = {"EXC-401-FEDERATED", 401, "exchange",
                                     "An access token is needed"};

/* ---- declarations -------------------------------------------------------------------------------
 */
static bool is_name(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr(more, c)))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

static const char *part_fault(const json_t *part)
{
    struct str path = json_get_str(part, "path");
    if (!is_name(json_get_str(part, "name"), "_"))
        return "name";
    if (!is_name(json_get_str(part, "api"), "-_."))
        return "api";
    if (!is_name(json_get_str(part, "version"), "-_."))
        return "version";
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ' || strchr("?#\\", path.p[i]))
            return "path";
    return path.n && path.n < 500 && path.p[0] == '/' ? NULL : "path";
}

static const char *declaration_fault(const json_t *v)
{
    const json_t *parts = json_get(v, "parts"), *one, *other;
    size_t i, k;
    if (json_get_i64(v, "v", 1) != 1)
        return "v";
    if (!is_name(json_get_str(v, "id"), "-_."))
        return "id";
    if (!json_array_size(parts) || json_array_size(parts) > PARTS_MAX)
        return "parts";
    json_array_foreach(parts, i, one)
    {
        const char *fault = part_fault(one);
        if (fault)
            return fault;
        json_array_foreach(parts, k, other)
        {
            if (k < i && json_equal(json_get(one, "name"), json_get(other, "name")))
                return "name";
        }
    }
    return NULL;
}

struct put_job {
    struct str id, text;
    int64_t now_ms;
};

static enum err put_closure(struct db_conn *db, void *arg)
{
    const struct put_job *job = arg;
    return db_exec(db,
                   "INSERT INTO exchange_federated(id, declaration, updated_at) VALUES($1, $2, $3) "
                   "ON CONFLICT (id) DO UPDATE SET declaration = $2, updated_at = $3",
                   "ssi", job->id, job->text, job->now_ms);
}

int exchange_cli_api_federate(struct ctx *c, const char *path)
{
    struct str text;
    struct json_fault where = {0};
    struct act act;
    json_t *v = NULL;
    enum err e = exchange_cli_read(c->arena, path, &text);
    if (e == ERR_OK)
        e = json_read(text, &v, &where);
    const char *fault = e == ERR_OK ? declaration_fault(json_own(&c->pool, v)) : NULL;
    if (e != ERR_OK || fault) {
        fprintf(stderr, "socle api federate: %s: %s\n", path,
                fault        ? fault
                : where.line ? where.text
                             : err_name(e));
        return 1;
    }
    struct put_job job = {json_get_str(v, "id"), json_text(c->arena, v), clock_now_ms()};
    struct act_info info = {
        .kind = "exchange.federated.put", .actor = STR("operator"), .object = job.id};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, put_closure, &job, &act, 1);
    if (e == ERR_OK)
        printf(STR_FMT "\n", STR_ARG(job.id));
    else
        fprintf(stderr, "socle api federate: %s\n", err_name(e));
    return e == ERR_OK ? 0 : 1;
}

static enum err declaration_get(struct ctx *c, struct str id, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r,
                          "SELECT declaration FROM exchange_federated WHERE id = $1", "s", id)
           : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        e = json_read(db_str(&r, 0, 0), out, NULL) == ERR_OK ? ERR_OK : ERR_CORRUPT;
    if (e == ERR_OK)
        json_own(&c->pool, *out);
    return e;
}

/* ---- addresses ----------------------------------------------------------------------------------
 */
/* "/entreprises/{siren}": the parameter is one segment of its own, whatever it holds. */
static enum err path_fill(struct ctx *c, struct str path, struct buf *out)
{
    while (path.n) {
        ptrdiff_t open = str_find_char(path, '{'), close = str_find_char(path, '}');
        if (open < 0 || close < open) {
            buf_add_str(out, path);
            break;
        }
        struct str name = str_sub(path, (size_t)open + 1, (size_t)(close - open) - 1);
        struct str value = ctx_query(c, arena_dupz(c->arena, name));
        if (!value.n || value.p[0] == '.')
            return ctx_fail(c, &f_param, ERR_INVALID, name);
        buf_add(out, path.p, (size_t)open);
        buf_add_str(out, codec_to_url(c->arena, value));
        path = str_after(path, (size_t)close + 1);
    }
    return ERR_OK;
}

static bool taken_by(const json_t *parts, struct str name)
{
    const json_t *one;
    size_t i;
    json_array_foreach(parts, i, one)
    {
        struct str path = json_get_str(one, "path");
        for (ptrdiff_t at; (at = str_find_char(path, '{')) >= 0;) {
            path = str_after(path, (size_t)at + 1);
            ptrdiff_t close = str_find_char(path, '}');
            if (close >= 0 && str_eq(str_sub(path, 0, (size_t)close), name))
                return true;
        }
    }
    return false;
}

static enum err url_make(struct ctx *c, const json_t *parts, const json_t *part, struct str *out)
{
    struct buf b;
    bool first = true;
    buf_init(&b, 16 * 1024);
    buf_add_str(&b, portal_url(c, "/gw/"));
    buf_add_str(&b, json_get_str(part, "api"));
    buf_add_char(&b, '/');
    buf_add_str(&b, json_get_str(part, "version"));
    enum err e = path_fill(c, json_get_str(part, "path"), &b);
    for (size_t i = 0; e == ERR_OK && i < c->query.n; i++) {
        if (taken_by(parts, c->query.fields[i].name) || str_eq_z(c->query.fields[i].name, "lang"))
            continue;
        buf_add_char(&b, first ? '?' : '&');
        buf_add_str(&b, codec_to_url(c->arena, c->query.fields[i].name));
        buf_add_char(&b, '=');
        buf_add_str(&b, codec_to_url(c->arena, c->query.fields[i].value));
        first = false;
    }
    if (e == ERR_OK)
        e = b.err;
    *out = arena_dup(c->arena, buf_str(&b));
    buf_free(&b);
    return e;
}

/* ---- the call -----------------------------------------------------------------------------------
 */
struct had {
    struct str body; /* .p NULL: not had */
    int status;
    struct str entry, retry_after;
    struct str code, detail;
};

static enum err part_ask(struct ctx *c, const json_t *parts, const json_t *part, struct had *out)
{
    static const char *const passed[] = {"Socle-Context", "Socle-Object", "Socle-Recipient"};
    struct client_answer answer;
    struct http_header h[6] = {
        {STR("Authorization"), ctx_header(c, "Authorization")},
        {STR("Accept"), STR("application/json")},
        {STR("traceparent"), arena_printf(c->arena, "00-%s-%.16s-01", c->trace_id, c->trace_id)}};
    size_t n = 3;
    for (size_t i = 0; i < COUNT_OF(passed); i++)
        if (ctx_header(c, passed[i]).n)
            h[n++] = (struct http_header){str_from(passed[i]), ctx_header(c, passed[i])};
    struct client_call call = {.headers = h,
                               .n_headers = n,
                               .timeout_ms = PART_TIMEOUT_MS,
                               .answer_max = PART_MAX,
                               .allow_inside = true};
    json_t *v = NULL;
    *out = (struct had){.detail = STR("")};
    enum err e = url_make(c, parts, part, &call.url);
    if (e != ERR_OK)
        return e;
    if (client_send(c->arena, &call, &answer) != ERR_OK)
        return ERR_OK; /* said as status 0 */
    out->status = answer.status;
    out->entry = client_header(&answer, "Socle-Entry");
    out->retry_after = client_header(&answer, "Retry-After");
    if (json_read(answer.body, &v, NULL) != ERR_OK)
        return ERR_OK;
    json_own(&c->pool, v);
    if (answer.status == 200) {
        out->body = answer.body;
    } else {
        const json_t *other = json_array_get(json_get(v, "errors"), 0);
        out->code = json_get_str(other ? other : v, "code");
        out->detail = json_get_str(other ? other : v, "detail");
    }
    return ERR_OK;
}

static void source_write(struct ctx *c, struct jw *w, const json_t *part, const struct had *had)
{
    json_t *api, *args = json_pack("{s:O, s:O}", "api", json_get(part, "api"), "version",
                                   json_get(part, "version"));
    jw_obj(w);
    jw_kstr(w, "name", json_get_str(part, "name"));
    jw_kstr(w, "api", json_get_str(part, "api"));
    jw_kstr(w, "version", json_get_str(part, "version"));
    if (platform_call(c, "exchange.api", args, &api) == ERR_OK) {
        jw_key(w, "provider");
        jw_obj(w);
        jw_kstr(w, "id", json_get_str(api, "org_id"));
        jw_key(w, "name");
        jw_raw(w, json_text(c->arena, json_get(api, "provider")));
        jw_end(w);
    }
    json_decref(args);
    jw_ki64(w, "status", had->status);
    if (had->entry.n)
        jw_kstr(w, "entry", had->entry);
    if (!had->body.p) {
        jw_kstr(w, "code", had->code.n ? had->code : STR("EXC-502-PROVIDER"));
        jw_kstr(w, "detail", had->detail);
        if (had->retry_after.n)
            jw_kstr(w, "retry_after", had->retry_after);
    }
    jw_end(w);
}

static void body_write(struct ctx *c, struct buf *out, const json_t *v, const struct had *had)
{
    const json_t *parts = json_get(v, "parts"), *part;
    size_t i, n_had = 0, n = json_array_size(parts);
    struct jw w;
    for (i = 0; i < n; i++)
        n_had += had[i].body.p != NULL;
    jw_start(&w, out);
    jw_obj(&w);
    jw_ki64(&w, "v", 1);
    jw_kstr(&w, "id", json_get_str(v, "id"));
    jw_ki64(&w, "at", clock_now_ms());
    jw_kbool(&w, "complete", n_had == n);
    jw_key(&w, "data");
    jw_obj(&w);
    json_array_foreach(parts, i, part)
    {
        jw_key(&w, json_get_z(part, "name", ""));
        if (had[i].body.p)
            jw_raw(&w, had[i].body);
        else
            jw_null(&w);
    }
    jw_end(&w);
    jw_key(&w, "sources");
    jw_arr(&w);
    json_array_foreach(parts, i, part)
    {
        source_write(c, &w, part, &had[i]);
    }
    jw_end(&w);
    jw_end(&w);
}

/* 200 when one was had; the refusal that all share, where it is the caller's to mend; else 502. */
static int status_of(const struct had *had, size_t n)
{
    int all = had[0].status;
    for (size_t i = 0; i < n; i++) {
        if (had[i].body.p)
            return 200;
        if (had[i].status != all)
            all = 0;
    }
    return all == 401 || all == 403 ? all : 502;
}

/* Over the digest of the body: a body may be larger than what keys takes. */
static enum err sign(struct ctx *c, struct str id, struct str body)
{
    uint8_t digest[SHA256_LEN];
    struct str compact;
    struct buf b;
    struct jw w;
    sha256(body.p, body.n, digest);
    buf_init(&b, 1024);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_kstr(&w, "id", id);
    jw_kstr(&w, "sha-256", codec_to_hex(c->arena, digest, sizeof digest));
    jw_ki64(&w, "iat", clock_now_ms() / 1000);
    jw_end(&w);
    enum err e = b.err == ERR_OK ? keys_sign_jws(c->pf->keys, "message", JOSE_ES256,
                                                 "socle-federated", buf_str(&b), c->arena, &compact)
                                 : b.err;
    buf_free(&b);
    if (e == ERR_OK)
        web_header(c->rs, "Socle-Signature", compact);
    return e;
}

enum err exchange_api_federated(struct ctx *c)
{
    json_t *v;
    struct had had[PARTS_MAX];
    struct buf body;
    enum err e = declaration_get(c, ctx_path(c, "id"), &v);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &f_none, e, ctx_path(c, "id"));
    if (e == ERR_OK && !ctx_header(c, "Authorization").n)
        return ctx_fail(c, &f_token, ERR_DENIED, STR("send Authorization: Bearer <access token>"));
    const json_t *parts = json_get(v, "parts");
    size_t n = json_array_size(parts);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = part_ask(c, parts, json_array_get(parts, i), &had[i]);
    if (e != ERR_OK)
        return e;
    buf_init(&body, ANSWER_MAX);
    body_write(c, &body, v, had);
    struct str text = arena_dup(c->arena, buf_str(&body));
    e = body.err;
    buf_free(&body);
    if (e == ERR_OK)
        e = sign(c, json_get_str(v, "id"), text);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return e == ERR_OK ? ctx_text(c, status_of(had, n), "application/json", text) : e;
}
