#include "core/exchange/snapshot.h"
#include "core/exchange/schema.h"
#include "core/exchange/shown.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "data/json.h"

enum { CONNECT_TIMEOUT_MS = 2000 };
static const uint64_t ANSWER_MAX_BYTES = (uint64_t)4 << 30;

struct build {
    struct exchange_snapshot *s;
    struct db_conn *db;
    struct arena work; /* the queries' results */
    exchange_resolve *resolve;
    exchange_credential *credential;
    exchange_book *book;
    void *arg;
    struct map apis; /* "api/version" -> struct api_fields */
};

/* An API's fields in the order of its description, for labels and for a "*" contract's list. */
struct api_fields {
    struct exchange_field *list;
    size_t n, cap;
    int sensitivity; /* the highest */
};

enum err exchange_origin_read(struct str url, bool *tls, struct str *host, unsigned *port)
{
    struct str rest;
    uint64_t number;
    if (str_starts(url, STR("https://"))) {
        *tls = true;
        rest = str_after(url, 8);
    } else if (str_starts(url, STR("http://"))) {
        *tls = false;
        rest = str_after(url, 7);
    } else {
        return ERR_INVALID;
    }
    ptrdiff_t bracket = rest.n && rest.p[0] == '[' ? str_find_char(rest, ']') : 0;
    if (bracket < 0)
        return ERR_INVALID;
    ptrdiff_t colon = str_find_char(str_after(rest, (size_t)bracket), ':');
    *port = *tls ? 443 : 80;
    *host = rest;
    if (colon >= 0) {
        *host = str_sub(rest, 0, (size_t)(bracket + colon));
        if (!str_to_u64(str_after(rest, (size_t)(bracket + colon) + 1), &number) || number == 0 ||
            number > 65535)
            return ERR_INVALID;
        *port = (unsigned)number;
    }
    if (bracket)
        *host = str_sub(*host, 1, (size_t)bracket - 1);
    for (size_t i = 0; i < host->n; i++)
        if (strchr("/?#@ \t\r\n\\%", host->p[i]))
            return ERR_INVALID;
    return host->n && host->n < 256 ? ERR_OK : ERR_INVALID;
}

static struct str dup(struct build *b, const struct db_result *r, size_t row, size_t col)
{
    return arena_dup(&b->s->arena, db_str(r, row, col));
}

static unsigned methods_read(struct str text)
{
    unsigned mask = 0;
    struct str part;
    while (text.n && str_split(&text, ' ', &part))
        for (int m = 0; m < HTTP_METHOD_COUNT; m++)
            if (str_eq_z(part, http_method_name((enum http_method)m)))
                mask |= 1u << m;
    return mask;
}

static void origin_fill(struct build *b, struct exchange_route *r, struct str url)
{
    struct upstream_origin *o = &r->origin;
    struct str host;
    unsigned port;
    if (exchange_origin_read(url, &o->tls, &host, &port) != ERR_OK) {
        log_warn("exchange_origin_invalid", "api", r->key.p);
        return;
    }
    o->host_header = str_after(url, o->tls ? 8 : 7);
    o->tls_name = arena_dup(&b->s->arena, host);
    o->identity = o->tls ? shown_for(r->api) : NULL;
    o->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    o->answer_timeout_ms = r->policy.answer_ms;
    o->body_max = ANSWER_MAX_BYTES;
    enum err e = b->resolve(b->arg, host, port, &o->addr);
    r->ready = e == ERR_OK;
    if (e != ERR_OK && e != ERR_AGAIN)
        log_warn("exchange_origin_unresolved", "api", r->key.p, "error", err_name(e));
}

static struct str http_date(struct arena *a, int64_t at_ms)
{
    char text[30];
    clock_http_date(at_ms, text);
    return arena_dup(a, str_from(text));
}

/* The rest of the row: policy, credential, days. Without what it must show, a provider is not
 * asked. */
static void policy_fill(struct build *b, struct exchange_route *t, const struct db_result *r,
                        size_t row)
{
    struct arena *a = &b->s->arena;
    json_t *v = NULL;
    const char *fault = json_read(db_str(r, row, 12), &v, NULL) == ERR_OK ? NULL : "gateway";
    if (!fault)
        fault = policy_read(v, a, &t->policy);
    json_decref(v);
    if (fault) {
        log_warn("exchange_policy_invalid", "api", t->key.p, "member", fault);
        fault = policy_read(NULL, a, &t->policy);
    }
    if (db_i64(r, row, 13))
        t->deprecation = arena_printf(a, "@%lld", (long long)(db_i64(r, row, 13) / 1000));
    if (db_i64(r, row, 14))
        t->sunset = http_date(a, db_i64(r, row, 14));
}

static void credential_fill(struct build *b, struct exchange_route *t, struct str wrapped)
{
    if (t->policy.credential.kind == CREDENTIAL_NONE)
        return;
    enum err e =
        wrapped.n ? b->credential(b->arg, t, wrapped, &b->s->arena, &t->credential) : ERR_NOT_FOUND;
    t->credential_header = policy_header(&t->policy);
    if (e == ERR_OK && t->credential_header.n &&
        !http_field_ok(t->credential_header, t->credential))
        e = ERR_INVALID;
    t->ready = t->ready && e == ERR_OK;
    if (e != ERR_OK && e != ERR_AGAIN)
        log_warn("exchange_credential_missing", "api", t->key.p, "error", err_name(e));
}

static enum err read_fields(struct build *b)
{
    struct db_result r;
    enum err e =
        db_query(b->db, &b->work, &r,
                 "SELECT api, version, path, label_fr, label_en, sensitivity FROM api_field "
                 "ORDER BY api, version, position",
                 "");
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str key = arena_printf(&b->work, STR_FMT "/" STR_FMT, STR_ARG(db_str(&r, i, 0)),
                                      STR_ARG(db_str(&r, i, 1)));
        struct api_fields *f = map_get(&b->apis, key);
        if (!f) {
            f = arena_new(&b->work, struct api_fields);
            map_set(&b->apis, key, f);
        }
        if (f->n == f->cap) {
            struct exchange_field *old = f->list;
            f->cap = f->cap ? f->cap * 2 : 8;
            f->list = arena_array(&b->s->arena, struct exchange_field, f->cap);
            if (f->n)
                memcpy(f->list, old, f->n * sizeof *old);
        }
        if (db_i64(&r, i, 5) > f->sensitivity)
            f->sensitivity = (int)db_i64(&r, i, 5);
        f->list[f->n++] =
            (struct exchange_field){dup(b, &r, i, 2), dup(b, &r, i, 3), dup(b, &r, i, 4)};
    }
    return e;
}

static enum err read_routes(struct build *b)
{
    struct db_result r;
    enum err e = db_query(
        b->db, &b->work, &r,
        "SELECT a.id, a.version, a.scope, a.title_fr, a.title_en, a.org_id, "
        "COALESCE(o.name_fr, a.org_id), COALESCE(o.name_en, a.org_id), a.prefix, a.methods, "
        "a.state, a.origin, a.policy, a.deprecated_at, a.sunset_at, s.wrapped "
        "FROM api a LEFT JOIN organisation o ON o.id = a.org_id "
        "LEFT JOIN api_secret s ON s.api = a.id AND s.version = a.version",
        "");
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct exchange_route *t = arena_new(&b->s->arena, struct exchange_route);
        t->api = dup(b, &r, i, 0);
        t->version = dup(b, &r, i, 1);
        t->key =
            arena_printf(&b->s->arena, STR_FMT "/" STR_FMT, STR_ARG(t->api), STR_ARG(t->version));
        t->scope = dup(b, &r, i, 2);
        t->title_fr = dup(b, &r, i, 3);
        t->title_en = dup(b, &r, i, 4);
        t->provider_id = dup(b, &r, i, 5);
        t->provider_fr = dup(b, &r, i, 6);
        t->provider_en = dup(b, &r, i, 7);
        t->prefix = dup(b, &r, i, 8);
        t->allow = dup(b, &r, i, 9);
        t->methods = methods_read(t->allow);
        t->active = str_eq_z(db_str(&r, i, 10), "active");
        policy_fill(b, t, &r, i);
        origin_fill(b, t, dup(b, &r, i, 11));
        credential_fill(b, t, db_str(&r, i, 15));
        const struct api_fields *f = map_get(&b->apis, t->key);
        t->personal = !f || f->sensitivity > 0;
        t->book = t->policy.unchecked ? NULL : b->book(t->key);
        map_set(&b->s->routes, t->key, t);
    }
    return e;
}

static const struct exchange_field *field_of(const struct api_fields *f, struct str path)
{
    for (size_t i = 0; f && i < f->n; i++)
        if (str_eq(f->list[i].path, path))
            return &f->list[i];
    return NULL;
}

/* "*" alone passes bodies through; otherwise paths, blank-separated. A contract whose list does not
 * compile allows nothing: it is left inactive. */
static void fields_fill(struct build *b, struct exchange_contract *k, struct str text)
{
    const struct api_fields *known = k->route ? map_get(&b->apis, k->route->key) : NULL;
    struct str paths[EXCHANGE_FIELDS_MAX], part;
    if (str_eq_z(text, "*")) {
        k->passthrough = true;
        k->fields = known ? known->list : NULL;
        k->n_fields = known ? known->n : 0;
        return;
    }
    k->fields = arena_array(&b->s->arena, struct exchange_field, EXCHANGE_FIELDS_MAX);
    while (text.n && str_split(&text, ' ', &part)) {
        if (part.n == 0)
            continue;
        if (k->n_fields == EXCHANGE_FIELDS_MAX) {
            k->active = false;
            return;
        }
        struct str path;
        struct json_filter_ask ask;
        enum err asked = json_filter_ask_read(part, &path, &ask);
        const struct exchange_field *f = field_of(known, asked == ERR_OK ? path : part);
        struct exchange_field *mine = &k->fields[k->n_fields];
        mine->path = arena_dup(&b->s->arena, part);
        mine->label_fr = f ? f->label_fr : mine->path;
        mine->label_en = f ? f->label_en : mine->path;
        if (f) {
            exchange_field_label(&b->s->arena, mine->path, "fr", &mine->label_fr);
            exchange_field_label(&b->s->arena, mine->path, "en", &mine->label_en);
        }
        paths[k->n_fields++] = mine->path;
    }
    if (json_filter_new(paths, k->n_fields, &k->filter) != ERR_OK) {
        log_warn("exchange_contract_fields_invalid", "contract", k->id.p);
        k->active = false;
    }
}

static void two(struct jw *w, const char *key, struct str fr, struct str en)
{
    jw_key(w, key);
    jw_obj(w);
    jw_kstr(w, "fr", fr);
    jw_kstr(w, "en", en);
    jw_end(w);
}

/* The members without their object: the call's own follow (or come before, for `comma`). */
static struct str keep_inside(struct build *b, struct buf *text, bool comma)
{
    struct str s = arena_printf(&b->s->arena, "%s" STR_FMT, comma ? "," : "",
                                STR_ARG(str_sub(buf_str(text), 1, text->n - 2)));
    buf_reset(text);
    return s;
}

static void write_entry_common(struct jw *w, const struct exchange_contract *k)
{
    jw_obj(w);
    jw_kstr(w, "contract", k->id);
    jw_kstr(w, "client", k->client_id);
    jw_kstr(w, "consumer", k->org_id);
    jw_kstr(w, "provider", k->route->provider_id);
    jw_kstr(w, "api", k->route->key);
    jw_key(w, "allowed");
    jw_arr(w);
    if (k->passthrough)
        jw_z(w, "*");
    for (size_t i = 0; !k->passthrough && i < k->n_fields; i++)
        jw_str(w, k->fields[i].path);
    jw_end(w);
    jw_kstr(w, "purpose", k->purpose_fr);
    jw_kstr(w, "legal_basis", k->basis_fr);
    jw_end(w);
}

static void write_side_common(struct jw *w, const struct exchange_contract *k)
{
    const struct exchange_route *t = k->route;
    jw_obj(w);
    jw_ki64(w, "v", 1);
    jw_kstr(w, "api", t->key);
    two(w, "api_title", t->title_fr, t->title_en);
    jw_key(w, "provider");
    jw_obj(w);
    jw_kstr(w, "id", t->provider_id);
    two(w, "name", t->provider_fr, t->provider_en);
    jw_end(w);
    jw_key(w, "consumer");
    jw_obj(w);
    jw_kstr(w, "id", k->client_id);
    two(w, "name", k->consumer_fr, k->consumer_en);
    jw_end(w);
    jw_kstr(w, "contract", k->id);
    jw_key(w, "fields");
    jw_arr(w);
    for (size_t i = 0; i < k->n_fields; i++) {
        jw_obj(w);
        jw_kstr(w, "name", k->fields[i].path);
        two(w, "label", k->fields[i].label_fr, k->fields[i].label_en);
        jw_end(w);
    }
    jw_end(w);
    two(w, "purpose", k->purpose_fr, k->purpose_en);
    two(w, "legal_basis", k->basis_fr, k->basis_en);
    jw_end(w);
}

static void commons_fill(struct build *b, struct exchange_contract *k)
{
    struct buf text;
    struct jw w;
    buf_init(&text, 32 * 1024);
    jw_start(&w, &text);
    write_entry_common(&w, k);
    k->entry_common = keep_inside(b, &text, true);
    jw_start(&w, &text);
    write_side_common(&w, k);
    if (text.err != ERR_OK)
        k->active = false; /* cannot be journalled, so cannot be used */
    k->side_common = keep_inside(b, &text, false);
    buf_free(&text);
}

static int contract_row(void *arg, const struct db_value *v, size_t n_cols)
{
    struct build *b = arg;
    struct arena *a = &b->s->arena;
    (void)n_cols;
    struct exchange_contract *k = arena_new(a, struct exchange_contract);
    k->id = arena_dup(a, v[0].s);
    k->client_id = arena_dup(a, v[1].s);
    k->org_id = arena_dup(a, v[2].s);
    k->route = map_get(&b->s->routes, v[3].s);
    k->purpose_fr = arena_dup(a, v[5].s);
    k->purpose_header = codec_to_url(a, k->purpose_fr);
    k->purpose_en = arena_dup(a, v[6].s);
    k->basis_fr = arena_dup(a, v[7].s);
    k->basis_en = arena_dup(a, v[8].s);
    k->recipients = arena_dup(a, v[9].s);
    k->consent_needed = v[10].i != 0;
    k->purpose_needed = v[11].i != 0;
    k->quota_per_minute = v[12].i > 0 ? (unsigned)v[12].i : 0;
    k->active = str_eq_z(v[13].s, "active");
    k->starts_ms = v[14].i;
    k->ends_ms = v[15].i;
    k->consumer_fr = arena_dup(a, v[16].s);
    k->consumer_en = arena_dup(a, v[17].s);
    k->delegated = v[18].i != 0;
    if (!k->route)
        return 0; /* its API is gone: as if it were not there */
    k->signatures = v[19].i > 0 ? (unsigned)v[19].i : 0;
    if ((k->signatures & EXCHANGE_SIGNED_REQUESTS) && v[20].s.n &&
        jwks_read(v[20].s, &k->signer_keys) != ERR_OK)
        log_warn("exchange_client_keys_invalid", "client", k->client_id.p);
    fields_fill(b, k, v[4].s);
    commons_fill(b, k);
    map_set(&b->s->contracts, k->id, k);
    return b->s->contracts.n >= EXCHANGE_CONTRACTS_MAX;
}

static enum err read_contracts(struct build *b)
{
    return db_each(b->db, contract_row, b,
                   "SELECT c.id, c.client_id, c.org_id, c.api || '/' || c.version, c.fields, "
                   "c.purpose_fr, c.purpose_en, c.basis_fr, c.basis_en, c.recipients, "
                   "c.consent_needed, c.purpose_needed, c.quota_per_minute, c.state, c.starts_at, "
                   "c.ends_at, COALESCE(o.name_fr, c.org_id), COALESCE(o.name_en, c.org_id), "
                   "c.delegated, COALESCE(s.asks, 0), COALESCE(k.jwks, '') "
                   "FROM contract c LEFT JOIN organisation o ON o.id = c.org_id "
                   "LEFT JOIN message_signing s ON s.contract = c.id "
                   "LEFT JOIN client k ON k.id = c.client_id "
                   "WHERE c.state = 'active'",
                   "");
}

static int delegate_row(void *arg, const struct db_value *v, size_t n_cols)
{
    struct build *b = arg;
    struct arena *a = &b->s->arena;
    int64_t *until_ms = arena_new(a, int64_t);
    (void)n_cols;
    *until_ms = v[3].i;
    map_set(&b->s->delegates,
            arena_printf(a, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(v[0].s), STR_ARG(v[1].s),
                         STR_ARG(v[2].s)),
            until_ms);
    return 0;
}

static enum err read_delegates(struct build *b)
{
    return db_each(b->db, delegate_row, b,
                   "SELECT vendor, api, recipient, until_ms FROM exchange_delegate", "");
}

static bool is_delegate(const struct exchange_snapshot *s, struct str vendor, struct str api,
                        struct str recipient, int64_t now_ms)
{
    char key[256];
    int n = snprintf(key, sizeof key, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(vendor),
                     STR_ARG(api), STR_ARG(recipient));
    const int64_t *until_ms =
        n > 0 && n < (int)sizeof key ? map_get(&s->delegates, str_of(key, (size_t)n)) : NULL;
    return until_ms && (*until_ms == 0 || *until_ms > now_ms);
}

bool exchange_is_delegate(const struct exchange_snapshot *s, const struct exchange_contract *k,
                          struct str recipient, int64_t now_ms)
{
    return str_find_char(recipient, ' ') < 0 &&
           (is_delegate(s, k->org_id, k->route->api, recipient, now_ms) ||
            is_delegate(s, k->org_id, STR("*"), recipient, now_ms));
}

enum err exchange_snapshot_build(struct db_conn *db, struct str issuer_jwks,
                                 exchange_resolve *resolve, exchange_credential *credential,
                                 exchange_book *book, void *arg, struct exchange_snapshot **out)
{
    struct build b = {
        .db = db, .resolve = resolve, .credential = credential, .book = book, .arg = arg};
    b.s = calloc(1, sizeof *b.s);
    if (!b.s)
        abort();
    atomic_init(&b.s->refs, 1);
    arena_init_secret(&b.s->arena);
    arena_init(&b.work);
    enum err e = issuer_jwks.n ? jwks_read(issuer_jwks, &b.s->issuer_keys) : ERR_OK;
    if (e == ERR_OK)
        e = read_fields(&b);
    if (e == ERR_OK)
        e = read_routes(&b);
    if (e == ERR_OK)
        e = read_contracts(&b);
    if (e == ERR_OK)
        e = read_delegates(&b);
    map_free(&b.apis);
    arena_free(&b.work);
    if (e != ERR_OK) {
        exchange_snapshot_unref(b.s);
        return e;
    }
    *out = b.s;
    return ERR_OK;
}

struct exchange_snapshot *exchange_snapshot_ref(struct exchange_snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void exchange_snapshot_unref(struct exchange_snapshot *s)
{
    size_t at = 0;
    void *value;
    struct str key;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (map_next(&s->contracts, &at, &key, &value)) {
        struct exchange_contract *k = value;
        json_filter_free(k->filter);
        jwks_free(k->signer_keys);
    }
    at = 0;
    while (map_next(&s->routes, &at, &key, &value))
        request_book_unref(((struct exchange_route *)value)->book);
    map_free(&s->contracts);
    map_free(&s->delegates);
    map_free(&s->routes);
    if (s->issuer_keys)
        jwks_free(s->issuer_keys);
    arena_free(&s->arena);
    free(s);
}
