#include "core/exchange/policy.h"

#include "base/buf.h"
#include "base/codec.h"
#include "web/http.h"

enum { TEXT_MAX = 500 };

static const struct number {
    const char *name;
    int64_t least, most, absent;
} answer_ms = {"answer_ms", 100, 60000, 10000}, retries = {"retries", 0, 3, 1},
  sample = {"sample", 0, 1000000, 100}, calls = {"calls", 0, 100000, 20},
  percent = {"percent", 1, 100, 50}, slow_ms = {"slow_ms", 1, 60000, 3000},
  open_s = {"open_s", 1, 3600, 10}, cache_s = {"cache_seconds", 0, 86400, 0};

static bool number_read(const json_t *v, const struct number *n, unsigned *out)
{
    const json_t *m = json_get(v, n->name);
    int64_t value = m ? json_get_i64(v, n->name, -1) : n->absent;
    *out = (unsigned)value;
    return value >= n->least && value <= n->most;
}

static bool members_known(const json_t *v, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return false;
    }
    return !v || json_is_object(v);
}

static bool text_read(const json_t *v, const char *name, struct arena *a, struct str *out)
{
    struct str s = json_get_str(v, name);
    *out = arena_dup(a, s.p ? s : STR(""));
    return !json_get(v, name) || (s.p && s.n > 0 && s.n <= TEXT_MAX && str_is_utf8(s));
}

/* Kinds, and which members each must have. */
static const struct kind {
    const char *name;
    enum credential_kind kind;
    bool named, user, oauth;
} kinds[] = {
    {"none", CREDENTIAL_NONE, false, false, false},
    {"header", CREDENTIAL_HEADER, true, false, false},
    {"query", CREDENTIAL_QUERY, true, false, false},
    {"basic", CREDENTIAL_BASIC, false, true, false},
    {"bearer", CREDENTIAL_BEARER, false, false, false},
    {"oauth", CREDENTIAL_OAUTH, false, false, true},
};

/* What frames a message or is the gateway's own to say cannot be a provider's key. */
static bool header_is_free(struct str name)
{
    static const char *const taken[] = {"Host",    "Content-Length", "Transfer-Encoding",
                                        "Expect",  "Connection",     "Content-Type",
                                        "Upgrade", "Accept",         "traceparent"};
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        if (str_eq_nocase(name, str_from(taken[i])))
            return false;
    return http_field_ok(name, STR("x")) && !str_starts(name, STR("Socle-"));
}

static bool credential_read(const json_t *v, struct arena *a, struct exchange_policy *out)
{
    static const char *const known[] = {"kind",      "name",  "user",    "token_url",
                                        "client_id", "scope", "purpose", NULL};
    struct str name = json_get_str(v, "kind");
    const struct kind *k = NULL;
    if (!v)
        return true;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_eq_z(name, kinds[i].name))
            k = &kinds[i];
    if (!k || !members_known(v, known) || !text_read(v, "name", a, &out->credential.name) ||
        !text_read(v, "user", a, &out->credential.user) ||
        !text_read(v, "token_url", a, &out->credential.token_url) ||
        !text_read(v, "client_id", a, &out->credential.client_id) ||
        !text_read(v, "scope", a, &out->credential.scope))
        return false;
    out->credential.kind = k->kind;
    out->credential.purpose = json_get_bool(v, "purpose", false);
    if (k->kind == CREDENTIAL_HEADER && !header_is_free(out->credential.name))
        return false;
    return (!k->named || out->credential.name.n) && (!k->user || out->credential.user.n) &&
           (!k->oauth || (out->credential.token_url.n && out->credential.client_id.n));
}

static bool breaker_read(const json_t *v, struct exchange_policy *out)
{
    static const char *const known[] = {"calls", "percent", "slow_ms", "open_s", NULL};
    return members_known(v, known) && number_read(v, &calls, &out->breaker.calls) &&
           number_read(v, &percent, &out->breaker.percent) &&
           number_read(v, &slow_ms, &out->breaker.slow_ms) &&
           number_read(v, &open_s, &out->breaker.open_s);
}

const char *policy_read(const json_t *v, struct arena *a, struct exchange_policy *out)
{
    static const char *const known[] = {"answer_ms",     "retries",        "breaker", "errors",
                                        "sample",        "credentials",    "answers", "requests",
                                        "cache_seconds", "cache_personal", NULL};
    unsigned ms;
    struct str errors = json_get_str(v, "errors");
    *out = (struct exchange_policy){0};
    if (!members_known(v, known))
        return "gateway";
    if (!number_read(v, &answer_ms, &ms))
        return "gateway.answer_ms";
    out->answer_ms = (int)ms;
    if (!number_read(v, &retries, &out->retries))
        return "gateway.retries";
    if (!number_read(v, &sample, &out->sample))
        return "gateway.sample";
    if (!breaker_read(json_get(v, "breaker"), out))
        return "gateway.breaker";
    if (!credential_read(json_get(v, "credentials"), a, out))
        return "gateway.credentials";
    if (!number_read(v, &cache_s, &out->cache_s))
        return "gateway.cache_seconds";
    if (json_get(v, "cache_personal") && !json_is_boolean(json_get(v, "cache_personal")))
        return "gateway.cache_personal";
    out->cache_personal = json_get_bool(v, "cache_personal", false);
    struct str requests = json_get_str(v, "requests");
    out->unchecked = str_eq_z(requests, "unchecked");
    if (json_get(v, "requests") && !out->unchecked && !str_eq_z(requests, "checked"))
        return "gateway.requests";
    struct str answers = json_get_str(v, "answers");
    out->xml = str_eq_z(answers, "xml");
    if (json_get(v, "answers") && !out->xml && !str_eq_z(answers, "json"))
        return "gateway.answers";
    out->entreprise_errors = str_eq(errors, STR("api-entreprise"));
    if (json_get(v, "errors") && !out->entreprise_errors && !str_eq(errors, STR("problem")))
        return "gateway.errors";
    return NULL;
}

struct str policy_header(const struct exchange_policy *p)
{
    switch (p->credential.kind) {
    case CREDENTIAL_HEADER:
        return p->credential.name;
    case CREDENTIAL_BASIC:
    case CREDENTIAL_BEARER:
    case CREDENTIAL_OAUTH:
        return STR("Authorization");
    default:
        return STR("");
    }
}

struct str policy_shown(const struct exchange_policy *p, struct str secret, struct arena *a)
{
    switch (p->credential.kind) {
    case CREDENTIAL_HEADER:
        return arena_dup(a, secret);
    case CREDENTIAL_QUERY:
        return arena_printf(a, STR_FMT "=" STR_FMT, STR_ARG(codec_to_url(a, p->credential.name)),
                            STR_ARG(codec_to_url(a, secret)));
    case CREDENTIAL_BASIC: {
        struct str pair =
            arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(p->credential.user), STR_ARG(secret));
        struct buf b;
        buf_init(&b, 16 * 1024);
        buf_add_z(&b, "Basic ");
        buf_add_base64(&b, pair.p, pair.n);
        struct str shown = arena_dup(a, buf_str(&b));
        buf_wipe(&b);
        return shown;
    }
    case CREDENTIAL_BEARER:
    case CREDENTIAL_OAUTH:
        return arena_printf(a, "Bearer " STR_FMT, STR_ARG(secret));
    default:
        return STR("");
    }
}
