/* The table of all routes, and the sites a host can name. */
#include "platform/boot.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/map.h"
#include "platform/change.h"
#include "platform/ctx.h"
#include "platform/mail_inner.h"
#include "platform/throttle.h"

const struct service *boot_service(size_t i)
{
    static const struct service *const own[] = {&service_platform, &service_mail,
                                                &service_throttle};
    if (i < COUNT_OF(own))
        return own[i];
    return i - COUNT_OF(own) < services_n ? services[i - COUNT_OF(own)] : NULL;
}

/* Routes by their first segment; those that start with a name in braces under "{". */
struct bucket {
    const struct route **list;
    size_t n;
};
static struct map by_first;

static struct str first_segment(struct str path)
{
    struct str rest = str_after(path, 1), part;
    if (rest.n == 0 || !str_split(&rest, '/', &part))
        return STR("/");
    return part.n && part.p[0] == '{' ? STR("{") : part;
}

static void bucket_add(struct arena *a, const struct route *r)
{
    struct str key = first_segment(str_from(r->path));
    struct bucket *b = map_get(&by_first, key);
    if (!b) {
        b = arena_new(a, struct bucket);
        map_set(&by_first, key, b);
    }
    const struct route **list = arena_array(a, const struct route *, b->n + 1);
    for (size_t i = 0; i < b->n; i++)
        list[i] = b->list[i];
    list[b->n++] = r;
    b->list = list;
}

enum err route_table_start(struct arena *a)
{
    const struct service *s;
    map_free(&by_first); /* a command may have opened a platform before */
    map_init(&by_first);
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++)
        for (size_t k = 0; k < s->n_routes; k++)
            bucket_add(a, &s->routes[k]);
    return ERR_OK;
}

static bool path_matches(struct str pattern, struct str path, struct str values[8])
{
    size_t n = 0;
    struct str want, have;
    bool open = str_ends(pattern, STR("*}"));
    if (!open && pattern.n && path.n && pattern.p[pattern.n - 1] != '/' &&
        path.p[path.n - 1] == '/')
        return false;
    while (str_split(&pattern, '/', &want)) {
        bool is_rest = want.n > 3 && want.p[0] == '{' && want.p[want.n - 2] == '*';
        if (is_rest && n < 8) {
            values[n] = path.p ? path : STR("");
            return true;
        }
        if (!str_split(&path, '/', &have))
            return false;
        bool is_name = want.n > 2 && want.p[0] == '{';
        if (is_name ? have.n == 0 : !str_eq(want, have))
            return false;
        if (is_name && n < 8)
            values[n++] = have;
    }
    return path.p == NULL;
}

static const struct route *bucket_find(struct str key, enum site_kind kind, struct str method,
                                       struct str path, struct str values[8], bool *other_method)
{
    struct bucket *b = map_get(&by_first, key);
    bool head = str_eq_z(method, "HEAD");
    for (size_t i = 0; b && i < b->n; i++) {
        const struct route *r = b->list[i];
        if ((r->site != SITE_ANY && r->site != kind) ||
            !path_matches(str_from(r->path), path, values))
            continue;
        if (str_eq_z(method, r->method) || (head && strcmp(r->method, "GET") == 0))
            return r;
        *other_method = true;
    }
    return NULL;
}

const struct route *route_find(enum site_kind kind, struct str method, struct str path,
                               struct str values[8], bool *other_method)
{
    *other_method = false;
    const struct route *r =
        bucket_find(first_segment(path), kind, method, path, values, other_method);
    return r ? r : bucket_find(STR("{"), kind, method, path, values, other_method);
}

/* ---- sites -------------------------------------------------------------------------------------
 */
struct site_list {
    struct arena arena;
    struct site *list;
    size_t n;
};
static struct site_list *sites;
static pthread_rwlock_t sites_lock = PTHREAD_RWLOCK_INITIALIZER;

/* Scheme and port of the portal's address, around another host. */
static struct str base_url_for(struct arena *a, const struct settings *s, struct str host)
{
    struct str base = str_from(s->base_url);
    ptrdiff_t at = str_find(base, STR("://"));
    struct str rest = str_after(base, (size_t)at + 3);
    ptrdiff_t colon = str_find_char(rest, ':');
    struct str port = colon < 0 ? STR("") : str_after(rest, (size_t)colon);
    return arena_printf(a, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(str_sub(base, 0, (size_t)at)),
                        STR_ARG(host), STR_ARG(port));
}

static enum err sites_read(struct platform *pf)
{
    struct site_list *fresh = calloc(1, sizeof *fresh);
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    if (!fresh || !db) {
        free(fresh);
        return ERR_UNAVAILABLE;
    }
    arena_init(&fresh->arena);
    struct arena *a = &fresh->arena;
    enum err e = db_query(db, a, &r,
                          "SELECT s.host, s.org_id, s.client_id, o.name_fr, o.name_en FROM site s "
                          "JOIN organisation o ON o.id = s.org_id ORDER BY s.host",
                          "");
    if (e != ERR_OK) {
        arena_free(a);
        free(fresh);
        return e;
    }
    fresh->list = arena_array(a, struct site, r.n_rows + 1);
    for (fresh->n = 0; fresh->n < r.n_rows; fresh->n++) {
        size_t i = fresh->n;
        fresh->list[i] =
            (struct site){SITE_ORG,         db_str(&r, i, 0), STR_NONE,        db_str(&r, i, 1),
                          db_str(&r, i, 3), db_str(&r, i, 4), db_str(&r, i, 2)};
        fresh->list[i].base_url = base_url_for(a, pf->settings, fresh->list[i].host);
    }
    pthread_rwlock_wrlock(&sites_lock);
    struct site_list *old = sites;
    sites = fresh;
    pthread_rwlock_unlock(&sites_lock);
    if (old) {
        arena_free(&old->arena);
        free(old);
    }
    return ERR_OK;
}

static void on_change(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    (void)arg;
    bool mine = n == 0;
    for (size_t i = 0; i < n; i++)
        mine = mine || str_eq_z(list[i].kind, "config");
    if (mine && sites_read(pf) != ERR_OK)
        log_warn("sites_read_failed");
}

enum err site_table_start(struct platform *pf)
{
    change_subscribe(pf, on_change, NULL);
    return sites_read(pf);
}

enum err site_table_read(struct platform *pf)
{
    return sites_read(pf);
}

static struct str host_of(struct str url)
{
    ptrdiff_t at = str_find(url, STR("://"));
    struct str host = str_after(url, at < 0 ? 0 : (size_t)at + 3);
    size_t n = 0;
    while (n < host.n && host.p[n] != ':' && host.p[n] != '/')
        n++;
    return str_sub(host, 0, n);
}

/* A copy in the arena, so that a change of the table meanwhile does no harm. NULL: no such site. */
static struct site *site_copy(struct arena *a, bool (*is)(const struct site *s, struct str what),
                              struct str what)
{
    struct site *out = NULL;
    pthread_rwlock_rdlock(&sites_lock);
    for (size_t i = 0; sites && !out && i < sites->n; i++) {
        const struct site *s = &sites->list[i];
        if (!is(s, what))
            continue;
        out = arena_new(a, struct site);
        *out = (struct site){s->kind,
                             arena_dup(a, s->host),
                             arena_dup(a, s->base_url),
                             arena_dup(a, s->org_id),
                             arena_dup(a, s->name_fr),
                             arena_dup(a, s->name_en),
                             arena_dup(a, s->client_id)};
    }
    pthread_rwlock_unlock(&sites_lock);
    return out;
}

static bool is_host(const struct site *s, struct str host)
{
    return str_eq(s->host, host);
}

static bool is_org(const struct site *s, struct str org_id)
{
    return str_eq(s->org_id, org_id);
}

static bool is_client(const struct site *s, struct str client_id)
{
    return str_eq(s->client_id, client_id);
}

struct site *site_find(struct platform *pf, struct arena *a, struct str host)
{
    struct str base = str_from(pf->settings->base_url);
    if (!str_eq(host, host_of(base)) && !str_eq_z(host, "127.0.0.1") && !str_eq_z(host, "[::1]"))
        return site_copy(a, is_host, host);
    struct site *portal = arena_new(a, struct site);
    *portal = (struct site){SITE_PORTAL,
                            host_of(base),
                            base,
                            STR(""),
                            str_from(pf->settings->brand_name),
                            str_from(pf->settings->brand_name),
                            STR("")};
    return portal;
}

struct site *site_of_org(struct arena *a, struct str org_id)
{
    return site_copy(a, is_org, org_id);
}

struct site *site_of_client(struct arena *a, struct str client_id)
{
    return site_copy(a, is_client, client_id);
}
