#include "core/exchange/kept.h"

#include <stdlib.h>
#include "base/clock.h"
#include "core/exchange/call.h"
#include "core/exchange/stages.h"

enum {
    BYTES_MAX = 16 << 20,
    ENTRIES_MAX = 4096,
    ONE_MAX = 256 * 1024,
    KEY_MAX = 16 * 1024,
    SWEEP_MS = 1000
};

struct kept_entry {
    struct kept_entry *newer, *older;
    int64_t kept_ms, until_ms; /* of the loop's clock */
    int status;
    bool xml;
    struct str key, contract, client, consent, person, type, content;
    size_t n;
    char bytes[];
};

/* ---- the list -----------------------------------------------------------------------------------
 */
static void unlink_entry(struct kept *c, struct kept_entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(struct kept *c, struct kept_entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(struct kept *c, struct kept_entry *e)
{
    map_del(&c->entries, e->key);
    unlink_entry(c, e);
    c->n--;
    c->bytes -= e->n;
    mem_wipe(e->bytes, e->n);
    free(e);
}

void kept_clear(struct kept *c)
{
    while (c->oldest)
        drop(c, c->oldest);
}

static void sweep(struct loop_timer *t)
{
    struct kept *c = (struct kept *)((char *)t - offsetof(struct kept, sweep));
    int64_t now_ms = loop_now_ms(c->loop);
    for (struct kept_entry *e = c->oldest, *next; e; e = next) {
        next = e->newer;
        if (e->until_ms <= now_ms)
            drop(c, e);
    }
    if (c->n)
        loop_timer_set(c->loop, &c->sweep, SWEEP_MS);
}

void kept_init(struct kept *c, struct loop *l)
{
    *c = (struct kept){.loop = l, .sweep.fn = sweep};
    map_init(&c->entries);
}

static bool concerns(const struct kept_entry *e, struct str kind, struct str id)
{
    return (str_eq_z(kind, "contract") && str_eq(id, e->contract)) ||
           (str_eq_z(kind, "client") && str_eq(id, e->client)) ||
           (str_eq_z(kind, "consent") && str_eq(id, e->consent)) ||
           (str_eq_z(kind, "person") && str_eq(id, e->person));
}

void kept_deny(struct kept *c, struct str key)
{
    ptrdiff_t colon = str_find_char(key, ':');
    for (struct kept_entry *e = c->oldest, *next; e && colon > 0; e = next) {
        next = e->newer;
        if (concerns(e, str_sub(key, 0, (size_t)colon), str_after(key, (size_t)colon + 1)))
            drop(c, e);
    }
}

/* ---- whose, and what ----------------------------------------------------------------------------
 */
/* The list of the header's words holds this one: "no-store", or "max-age=" with its number. */
static bool says(const struct http_head *h, const char *word, uint64_t *value)
{
    struct str part, want = str_from(word);
    for (size_t i = 0; i < h->n_headers; i++) {
        struct str rest = h->headers[i].value;
        if (!str_eq_nocase(h->headers[i].name, STR("Cache-Control")))
            continue;
        while (rest.n && str_split(&rest, ',', &part)) {
            part = str_trim(part);
            if (!str_eq_nocase(str_sub(part, 0, want.n), want))
                continue;
            struct str tail = str_after(part, want.n);
            if (value ? str_to_u64(tail, value) : tail.n == 0 || tail.p[0] == '=')
                return true;
        }
    }
    return false;
}

/* Data about a person, or that may be: only where the declaration says so in so many words. */
static bool may_be_kept(const struct gw_call *c)
{
    const struct exchange_policy *p = &c->route->policy;
    const struct http_head *h = fast_head(c->x);
    return p->cache_s && h->method == HTTP_GET && h->content_length <= 0 && !h->chunked &&
           (p->cache_personal || (!c->route->personal && !c->token->has_subject));
}

static void part(struct buf *b, struct str s)
{
    buf_add_u64(b, s.n);
    buf_add_char(b, ':');
    buf_add_str(b, s);
}

/* Each part behind its length: no two calls have one key. */
static struct str key_of(struct gw_call *c, struct buf *b)
{
    const struct http_head *h = fast_head(c->x);
    buf_reset(b);
    part(b, c->k->id);
    part(b, c->consent);
    part(b, c->token->has_subject ? c->token->person : STR(""));
    part(b, c->token->identity);
    part(b, c->purpose.context);
    part(b, c->purpose.object);
    part(b, c->purpose.recipient);
    part(b, c->k->passthrough ? STR("*") : STR(""));
    for (size_t i = 0; !c->k->passthrough && i < c->k->n_fields; i++)
        part(b, c->k->fields[i].path);
    part(b, str_from(http_method_name(h->method)));
    part(b, h->target);
    part(b, http_header_get(h, "Accept"));
    return b->err == ERR_OK ? buf_str(b) : STR_NONE;
}

STAGE_AT(cache);
bool kept_find(struct gw_call *c)
{
    struct kept *kept = &c->g->kept;
    const struct http_head *h = fast_head(c->x);
    int64_t now_ms = loop_now_ms(c->g->loop);
    if (!kept->n || !may_be_kept(c) || says(h, "no-cache", NULL) || says(h, "no-store", NULL))
        return false;
    struct str key = key_of(c, &c->content); /* it is empty yet */
    struct kept_entry *e = key.n ? map_get(&kept->entries, key) : NULL;
    buf_reset(&c->content);
    if (!e)
        return false;
    uint64_t most_s, age_s = (uint64_t)(now_ms - e->kept_ms) / 1000;
    if (e->until_ms <= now_ms || (says(h, "max-age=", &most_s) && age_s >= most_s))
        return false;
    unlink_entry(kept, e);
    link_newest(kept, e);
    buf_add_str(&c->content, e->content);
    c->cached = true;
    c->age_s = age_s;
    c->xml = e->xml;
    c->status = e->status;
    c->length = (int64_t)e->content.n;
    c->content_type_n = e->type.n;
    if (e->type.n)
        memcpy(c->content_type, e->type.p, e->type.n);
    c->answer = ANSWER_WHOLE;
    c->up_ended = true;
    return c->content.err == ERR_OK;
}

/* What the provider is asked differs by what is in the key: its answer may differ by no more. */
static bool vary_is_ours(const struct http_head *h)
{
    struct str rest = http_header_get(h, "Vary"), part;
    while (rest.n && str_split(&rest, ',', &part))
        if (!str_eq_nocase(str_trim(part), STR("Accept")) &&
            !str_eq_nocase(str_trim(part), STR("Accept-Encoding")))
            return false;
    return true;
}

void kept_judge(struct gw_call *c, const struct http_head *h)
{
    uint64_t most_s = c->route->policy.cache_s, said_s, old_s = 0;
    struct str expires = http_header_get(h, "Expires");
    c->keep_ms = 0;
    if (h->status != 200 || !may_be_kept(c) || says(fast_head(c->x), "no-store", NULL) ||
        says(h, "no-store", NULL) || says(h, "no-cache", NULL) || says(h, "private", NULL) ||
        !vary_is_ours(h) || http_header_get(h, "Set-Cookie").p)
        return;
    if (says(h, "s-maxage=", &said_s) || says(h, "max-age=", &said_s)) {
        most_s = said_s < most_s ? said_s : most_s;
    } else if (expires.p) {
        int64_t left_ms = clock_http_date_read(expires) - clock_now_ms();
        said_s = left_ms > 0 ? (uint64_t)left_ms / 1000 : 0;
        most_s = said_s < most_s ? said_s : most_s;
    }
    struct str age = http_header_get(h, "Age");
    if (age.p && !str_to_u64(age, &old_s))
        return;
    if (old_s < most_s)
        c->keep_ms = (int64_t)(most_s - old_s) * 1000;
    c->age_s = old_s;
}

static struct str put(char **at, struct str s)
{
    struct str mine = str_of(*at, s.n);
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return mine;
}

static struct kept_entry *entry_new(struct gw_call *c, struct str key)
{
    struct str person = c->token->has_subject ? c->token->person : STR("");
    size_t n = key.n + c->k->id.n + c->k->client_id.n + c->consent.n + person.n +
               c->content_type_n + c->content.n;
    struct kept_entry *e = malloc(sizeof *e + n);
    if (!e)
        abort();
    int64_t now_ms = loop_now_ms(c->g->loop);
    *e = (struct kept_entry){.kept_ms = now_ms - (int64_t)c->age_s * 1000,
                             .until_ms = now_ms + c->keep_ms,
                             .status = c->status,
                             .xml = c->xml,
                             .n = n};
    char *at = e->bytes;
    e->key = put(&at, key);
    e->contract = put(&at, c->k->id);
    e->client = put(&at, c->k->client_id);
    e->consent = put(&at, c->consent);
    e->person = put(&at, person);
    e->type = put(&at, str_of(c->content_type, c->content_type_n));
    e->content = put(&at, buf_str(&c->content));
    return e;
}

/* What was asked under an older configuration is not kept under a newer one. */
void kept_put(struct gw_call *c)
{
    struct kept *kept = &c->g->kept;
    struct buf key;
    if (c->cached || !c->keep_ms || c->content.n > ONE_MAX || c->view != c->g->view)
        return;
    buf_init(&key, KEY_MAX);
    struct str k = key_of(c, &key);
    if (k.n) {
        struct kept_entry *e = entry_new(c, k), *old = map_get(&kept->entries, k);
        if (old)
            drop(kept, old);
        while (kept->oldest && (kept->n >= ENTRIES_MAX || kept->bytes + e->n > BYTES_MAX))
            drop(kept, kept->oldest);
        map_set(&kept->entries, e->key, e);
        link_newest(kept, e);
        if (!kept->n++)
            loop_timer_set(kept->loop, &kept->sweep, SWEEP_MS);
        kept->bytes += e->n;
    }
    buf_free(&key);
}
