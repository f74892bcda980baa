#include "core/exchange/credential.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "web/client.h"

enum {
    GRANTS_MAX = 256,
    SECRET_MAX = 4096,
    TOKEN_MAX = 6000,
    LIFE_S = 300, /* of a token that does not say its own */
    EARLY_MS = 20 * 1000,
    RETRY_MS = 5000,
    TIMEOUT_MS = 5000,
};

/* One provider's token. Under the feed's lock; never freed: bounded by GRANTS_MAX. */
static struct grant {
    struct arena arena; /* wiped */
    char key[140];
    struct exchange_policy policy;
    struct str secret, token;
    int64_t until_ms, retry_ms;
} grants[GRANTS_MAX];
static size_t n_grants;

static struct str context_of(struct arena *a, struct str key)
{
    return arena_printf(a, "provider-credential:" STR_FMT, STR_ARG(key));
}

enum err credential_wrap(struct platform *pf, struct str key, struct str secret, struct arena *a,
                         struct str *wrapped)
{
    if (!secret.n || secret.n > SECRET_MAX)
        return secret.n ? ERR_LIMIT : ERR_INVALID;
    return keys_wrap(pf->keys, "subject", context_of(a, key), secret, a, wrapped);
}

/* The grant of a route, forgotten when its secret or its declaration changed. */
static struct grant *grant_of(const struct exchange_route *r, struct str secret)
{
    struct grant *g = NULL;
    for (size_t i = 0; i < n_grants && !g; i++)
        if (str_eq_z(r->key, grants[i].key))
            g = &grants[i];
    if (!g && (n_grants == GRANTS_MAX || r->key.n >= sizeof g->key))
        return NULL;
    if (!g) {
        g = &grants[n_grants++];
        arena_init_secret(&g->arena);
        memcpy(g->key, r->key.p, r->key.n);
    }
    const struct exchange_policy *p = &r->policy;
    if (str_eq(g->secret, secret) &&
        str_eq(g->policy.credential.token_url, p->credential.token_url) &&
        str_eq(g->policy.credential.client_id, p->credential.client_id) &&
        str_eq(g->policy.credential.scope, p->credential.scope))
        return g;
    arena_reset(&g->arena);
    g->policy.credential.token_url = arena_dup(&g->arena, p->credential.token_url);
    g->policy.credential.client_id = arena_dup(&g->arena, p->credential.client_id);
    g->policy.credential.scope = arena_dup(&g->arena, p->credential.scope);
    g->secret = arena_dup(&g->arena, secret);
    g->token = STR_NONE;
    g->until_ms = g->retry_ms = 0;
    return g;
}

enum err credential_of(struct platform *pf, const struct exchange_route *r, struct str wrapped,
                       struct arena *a, struct str *shown)
{
    struct arena work;
    struct str secret;
    arena_init_secret(&work);
    enum err e =
        keys_unwrap(pf->keys, "subject", context_of(&work, r->key), wrapped, &work, &secret);
    if (e == ERR_OK && r->policy.credential.kind == CREDENTIAL_OAUTH) {
        struct grant *g = grant_of(r, secret);
        e = !g ? ERR_LIMIT : g->token.n && g->until_ms > clock_mono_ms() ? ERR_OK : ERR_AGAIN;
        secret = e == ERR_OK ? g->token : STR_NONE;
    }
    if (e == ERR_OK)
        *shown = policy_shown(&r->policy, secret, a);
    arena_free(&work);
    return e;
}

/* RFC 6749 4.4.2; the client authenticates by HTTP Basic (2.3.1). */
static enum err token_ask(struct platform *pf, struct arena *a, const struct exchange_policy *p,
                          struct str secret, struct str *token, int64_t *life_s)
{
    struct client_answer answer;
    struct exchange_policy basic = {.credential = {.kind = CREDENTIAL_BASIC}};
    json_t *v = NULL;
    basic.credential.user = codec_to_url(a, p->credential.client_id);
    struct http_header h[] = {
        {STR("Content-Type"), STR("application/x-www-form-urlencoded")},
        {STR("Accept"), STR("application/json")},
        {STR("Authorization"), policy_shown(&basic, codec_to_url(a, secret), a)}};
    struct str body = STR("grant_type=client_credentials");
    if (p->credential.scope.n)
        body = arena_printf(a, STR_FMT "&scope=" STR_FMT, STR_ARG(body),
                            STR_ARG(codec_to_url(a, p->credential.scope)));
    struct client_call call = {.method = "POST",
                               .url = p->credential.token_url,
                               .headers = h,
                               .n_headers = COUNT_OF(h),
                               .body = body,
                               .timeout_ms = TIMEOUT_MS,
                               .allow_inside = pf->settings->allow_inside};
    enum err e = client_send(a, &call, &answer);
    if (e == ERR_OK && answer.status != 200)
        e = ERR_DENIED;
    struct json_fault fault;
    if (e == ERR_OK)
        e = json_read(answer.body, &v, &fault);
    struct str t = e == ERR_OK ? json_get_str(v, "access_token") : STR_NONE;
    if (e == ERR_OK && (!t.n || t.n > TOKEN_MAX))
        e = ERR_INVALID;
    if (e == ERR_OK) {
        *token = arena_dup(a, t);
        *life_s = json_get_i64(v, "expires_in", LIFE_S);
    }
    json_decref(v);
    return e;
}

/* Without the lock while it waits: what it needs is copied, what it got is put where it still
 * belongs. */
static bool grant_renew(struct platform *pf, pthread_mutex_t *lock, struct grant *g)
{
    struct arena a;
    struct str token;
    int64_t life_s = 0;
    struct exchange_policy p = {0};
    arena_init_secret(&a);
    struct str secret = arena_dup(&a, g->secret);
    p.credential.token_url = arena_dup(&a, g->policy.credential.token_url);
    p.credential.client_id = arena_dup(&a, g->policy.credential.client_id);
    p.credential.scope = arena_dup(&a, g->policy.credential.scope);
    pthread_mutex_unlock(lock);
    enum err e = token_ask(pf, &a, &p, secret, &token, &life_s);
    pthread_mutex_lock(lock);
    int64_t now_ms = clock_mono_ms();
    bool same = str_eq(g->secret, secret);
    if (e == ERR_OK && same) {
        g->token = arena_dup(&g->arena, token);
        g->until_ms = now_ms + (life_s < 1 ? 1 : life_s > 86400 ? 86400 : life_s) * 1000;
    } else if (e != ERR_OK) {
        log_warn("provider_token_failed", "api", g->key, "error", err_name(e));
    }
    g->retry_ms = e == ERR_OK ? 0 : now_ms + RETRY_MS;
    arena_free(&a);
    return e == ERR_OK && same;
}

static int64_t due_in_ms(const struct grant *g, int64_t now_ms)
{
    int64_t life_ms = g->until_ms - now_ms;
    int64_t early_ms = life_ms / 4 < EARLY_MS ? life_ms / 4 : EARLY_MS;
    int64_t at_ms = g->token.n && life_ms > 0 ? life_ms - early_ms : 0;
    if (g->token.n && life_ms > 0 && life_ms < 2000)
        at_ms = 0;
    return g->retry_ms > now_ms + at_ms ? g->retry_ms - now_ms : at_ms;
}

bool credential_renew(struct platform *pf, pthread_mutex_t *lock, int64_t *next_ms)
{
    bool changed = false;
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < n_grants; i++) {
        if (due_in_ms(&grants[i], clock_mono_ms()) <= 0)
            changed |= grant_renew(pf, lock, &grants[i]);
        int64_t in_ms = due_in_ms(&grants[i], clock_mono_ms());
        if (in_ms < *next_ms)
            *next_ms = in_ms > 500 ? in_ms : 500;
    }
    pthread_mutex_unlock(lock);
    return changed;
}
