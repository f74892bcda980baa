#include "core/exchange/decide.h"
#include "core/exchange/stages.h"

#include <stdlib.h>

struct deny_row {
    int64_t at_ms, until_ms;
    size_t n;
    char key[];
};

void deny_init(struct deny_list *d)
{
    *d = (struct deny_list){.version = 1, .sweep_at = 1024};
    map_init(&d->rows);
}

void deny_free(struct deny_list *d)
{
    size_t at = 0;
    struct str key;
    void *row;
    while (map_next(&d->rows, &at, &key, &row))
        free(row);
    map_free(&d->rows);
}

/* Rows outlive their use only until the list has doubled: no timer, no growth without end. */
static void sweep(struct deny_list *d, int64_t now_ms)
{
    struct map kept;
    size_t at = 0;
    struct str key;
    void *row;
    map_init(&kept);
    while (map_next(&d->rows, &at, &key, &row)) {
        if (((struct deny_row *)row)->until_ms > now_ms)
            map_set(&kept, key, row);
        else
            free(row);
    }
    map_free(&d->rows);
    d->rows = kept;
    d->sweep_at = kept.n * 2 < 1024 ? 1024 : kept.n * 2;
}

void deny_add(struct deny_list *d, struct str key, int64_t at_ms, int64_t until_ms, int64_t now_ms)
{
    struct deny_row *row = malloc(sizeof *row + key.n + 1);
    if (!row)
        abort();
    *row = (struct deny_row){.at_ms = at_ms, .until_ms = until_ms, .n = key.n};
    memcpy(row->key, key.p, key.n);
    row->key[key.n] = '\0';
    if (d->rows.n >= d->sweep_at)
        sweep(d, now_ms);
    free(map_set(&d->rows, str_of(row->key, row->n), row));
    d->version++;
}

bool deny_has(const struct deny_list *d, const char *kind, struct str id, int64_t *at_ms)
{
    char key[160];
    size_t n = strlen(kind);
    *at_ms = 0;
    if (n + 1 + id.n > sizeof key)
        return true; /* no identifier of ours is that long: refuse rather than look */
    memcpy(key, kind, n);
    key[n] = ':';
    memcpy(key + n + 1, id.p, id.n);
    const struct deny_row *row = map_get(&d->rows, str_of(key, n + 1 + id.n));
    if (!row)
        return false;
    *at_ms = row->at_ms;
    return true;
}

static enum gw_code judge(const struct decide_in *in, const struct token *t, struct token_grant *g)
{
    int64_t at_ms;
    g->denied_at_ms = 0;
    g->k = map_get(&in->snapshot->contracts, g->contract);
    if (!g->k || !g->k->active || !str_eq(g->k->client_id, t->client_id) ||
        deny_has(in->deny, "contract", g->contract, &at_ms))
        return GW_CONTRACT;
    if (g->consent.n && deny_has(in->deny, "consent", g->consent, &g->denied_at_ms))
        return GW_CONSENT;
    if (g->k->consent_needed && g->consent.n == 0)
        return GW_CONSENT;
    g->quota = in->quota(in->quota_arg, g->contract);
    return GW_OK;
}

static void judge_all(const struct decide_in *in, struct token *t)
{
    int64_t at_ms;
    t->revoked =
        deny_has(in->deny, "token", t->jti, &at_ms) ||
        deny_has(in->deny, "client", t->client_id, &at_ms) ||
        (t->family.n && deny_has(in->deny, "family", t->family, &at_ms)) ||
        (t->person.n && deny_has(in->deny, "person", t->person, &at_ms) && t->issued_ms <= at_ms);
    for (size_t i = 0; i < t->n_grants; i++)
        t->grants[i].verdict = judge(in, t, &t->grants[i]);
    t->snapshot_seen = in->snapshot_version;
    t->deny_seen = in->deny->version;
}

STAGE_AT(decide);
enum gw_code decide(const struct decide_in *in, struct token *t, const struct exchange_route *route,
                    struct token_grant **grant, int64_t *denied_at_ms)
{
    enum gw_code why = GW_SCOPE;
    *denied_at_ms = 0;
    *grant = NULL;
    if (t->expires_ms <= in->now_ms)
        return GW_TOKEN_EXPIRED;
    if (t->snapshot_seen != in->snapshot_version || t->deny_seen != in->deny->version)
        judge_all(in, t);
    if (t->revoked)
        return GW_TOKEN_REVOKED;
    for (size_t i = 0; i < t->n_grants; i++) {
        struct token_grant *g = &t->grants[i];
        if (g->k ? g->k->route != route : !str_eq(g->api, route->api))
            continue;
        enum gw_code verdict = g->verdict;
        if (verdict == GW_OK &&
            (g->k->starts_ms > in->now_ms || (g->k->ends_ms && g->k->ends_ms <= in->now_ms)))
            verdict = GW_CONTRACT;
        if (verdict == GW_OK) {
            *grant = g;
            return GW_OK;
        }
        /* Another grant may still allow it; else the last reason is the one to tell. */
        why = verdict;
        *grant = g;
        *denied_at_ms = g->denied_at_ms;
    }
    return why;
}
