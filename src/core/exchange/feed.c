#include "core/exchange/feed.h"
#include "core/exchange/books.h"
#include "core/exchange/credential.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/change.h"
#include "platform/node.h"
#include "sys/proc.h"

enum {
    HOSTS_MAX = 1024,
    RENEW_MS = 60000,
    RETRY_MS = 1000,
    ERASED_KNOWN_MS = 24 * 3600 * 1000 /* a token's life */
};

struct host {
    struct resolved addr;
    unsigned port;
    bool known, wanted; /* wanted: a route of the last snapshot leads there */
    struct str name;
};

/* One feed a process: it serves the loops of `web`, of which there is one. */
static struct feed {
    pthread_mutex_t lock; /* builders only: never a loop, once it runs */
    pthread_cond_t work;
    struct platform *pf;
    struct feed_listener *listeners;
    struct exchange_snapshot *snapshot;
    struct feed_denial *denials;
    size_t n_denials, cap_denials;
    struct arena arena; /* hosts' names: bounded by HOSTS_MAX */
    struct host hosts[HOSTS_MAX];
    size_t n_hosts;
    char *jwks;
    bool build_failed, names_missing, keys_stale;
} feed = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

/* ---- to the loops -------------------------------------------------------------------------------
 */
struct post {
    struct loop_job job;
    struct feed_listener *to;
    struct exchange_snapshot *snapshot;
    size_t n;
    struct feed_denial list[];
};

static void post_arrive(struct loop_job *job)
{
    struct post *p = (struct post *)job;
    if (p->snapshot)
        p->to->on_snapshot(p->to, p->snapshot);
    if (p->n)
        p->to->on_denials(p->to, p->list, p->n);
    free(p);
}

/* A message of one allocation: the rows, then the bytes of their keys. */
static void post_send(struct feed_listener *to, struct exchange_snapshot *s,
                      const struct feed_denial *list, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += list[i].key.n;
    struct post *p = calloc(1, sizeof *p + n * sizeof *list + bytes + 1);
    if (!p)
        abort();
    char *at = (char *)(p->list + n);
    p->job.fn = post_arrive;
    p->to = to;
    p->snapshot = s ? exchange_snapshot_ref(s) : NULL;
    p->n = n;
    for (size_t i = 0; i < n; i++) {
        p->list[i] = list[i];
        memcpy(at, list[i].key.p, list[i].key.n);
        p->list[i].key.p = at;
        at += list[i].key.n;
    }
    loop_post(to->loop, &p->job);
}

void feed_listen(struct feed_listener *l)
{
    pthread_mutex_lock(&feed.lock);
    l->next = feed.listeners;
    feed.listeners = l;
    if (feed.snapshot)
        l->on_snapshot(l, exchange_snapshot_ref(feed.snapshot));
    if (feed.n_denials)
        l->on_denials(l, feed.denials, feed.n_denials);
    pthread_mutex_unlock(&feed.lock);
}

/* ---- names --------------------------------------------------------------------------------------
 */
static bool needs_no_asking(struct str name)
{
    if (str_eq_nocase(name, STR("localhost")) || str_ends(name, STR(".localhost")))
        return true;
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("0123456789abcdefABCDEF.:", name.p[i]))
            return false;
    return str_find_char(name, ':') >= 0 ||
           (name.n && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9');
}

static struct host *host_get(struct str name, unsigned port)
{
    for (size_t i = 0; i < feed.n_hosts; i++)
        if (feed.hosts[i].port == port && str_eq(feed.hosts[i].name, name))
            return &feed.hosts[i];
    if (feed.n_hosts == HOSTS_MAX)
        return NULL;
    struct host *h = &feed.hosts[feed.n_hosts++];
    *h = (struct host){.port = port, .name = arena_dup(&feed.arena, name)};
    return h;
}

static enum err resolve_now(struct str name, unsigned port, struct resolved *out)
{
    size_t n = 0;
    enum err e = resolve_host(name, port, feed.pf->settings->allow_inside, out, 1, &n);
    return e == ERR_OK && n == 0 ? ERR_NOT_FOUND : e;
}

/* Under the lock, from a build. */
static enum err resolve_for_route(void *arg, struct str name, unsigned port, struct resolved *out)
{
    (void)arg;
    if (needs_no_asking(name))
        return resolve_now(name, port, out);
    struct host *h = host_get(name, port);
    if (!h)
        return ERR_LIMIT;
    h->wanted = true;
    if (!h->known) {
        feed.names_missing = true;
        return ERR_AGAIN;
    }
    *out = h->addr;
    return ERR_OK;
}

/* Under the lock, from a build. */
static enum err credential_for_route(void *arg, const struct exchange_route *r, struct str wrapped,
                                     struct arena *a, struct str *shown)
{
    (void)arg;
    enum err e = credential_of(feed.pf, r, wrapped, a, shown);
    feed.names_missing |= e == ERR_AGAIN;
    return e;
}

/* Asks for every wanted name without holding the lock while it waits; true when an address is new.
 */
static bool names_renew(void)
{
    bool changed = false;
    pthread_mutex_lock(&feed.lock);
    feed.names_missing = false;
    for (size_t i = 0; i < feed.n_hosts; i++) {
        struct host *h = &feed.hosts[i];
        struct resolved found = {0};
        if (!h->wanted)
            continue;
        pthread_mutex_unlock(&feed.lock);
        enum err e = resolve_now(h->name, h->port, &found); /* name and port never change */
        pthread_mutex_lock(&feed.lock);
        if (e == ERR_OK && (!h->known || found.len != h->addr.len ||
                            memcmp(&found.addr, &h->addr.addr, found.len) != 0)) {
            h->addr = found;
            h->known = changed = true;
        }
    }
    pthread_mutex_unlock(&feed.lock);
    return changed;
}

/* ---- keys ---------------------------------------------------------------------------------------
 */
static bool keys_renew(void)
{
    struct arena a;
    struct str json;
    bool changed = false;
    arena_init(&a);
    if (node_jwks(feed.pf, "issuer", &a, &json) == ERR_OK) {
        pthread_mutex_lock(&feed.lock);
        changed = !feed.jwks || !str_eq_z(json, feed.jwks);
        if (changed) {
            free(feed.jwks);
            feed.jwks = strndup(json.p, json.n);
        }
        pthread_mutex_unlock(&feed.lock);
    }
    arena_free(&a);
    return changed;
}

/* ---- building -----------------------------------------------------------------------------------
 */
/* Reads inside the lock: whoever publishes later has read later. */
static void rebuild(void)
{
    struct exchange_snapshot *s = NULL;
    struct db_conn *db = db_read(feed.pf->db);
    pthread_mutex_lock(&feed.lock);
    for (size_t i = 0; i < feed.n_hosts; i++)
        feed.hosts[i].wanted = false;
    enum err e =
        !db ? ERR_UNAVAILABLE
            : exchange_snapshot_build(db, str_from(feed.jwks ? feed.jwks : ""), resolve_for_route,
                                      credential_for_route, books_get, NULL, &s);
    feed.build_failed = e != ERR_OK;
    if (e == ERR_OK) {
        exchange_snapshot_unref(feed.snapshot);
        feed.snapshot = s;
        log_debug("exchange_snapshot", "routes", LOG_NUM(s->routes.n), "contracts",
                  LOG_NUM(s->contracts.n));
    } else {
        log_error("exchange_snapshot_failed", "error", err_name(e));
        /* What a loop has might hold a contract that was just suspended: it gets none instead. */
        exchange_snapshot_unref(feed.snapshot);
        feed.snapshot = calloc(1, sizeof *s);
        if (!feed.snapshot)
            abort();
        atomic_init(&feed.snapshot->refs, 1);
        arena_init(&feed.snapshot->arena);
    }
    for (struct feed_listener *l = feed.listeners; l; l = l->next)
        post_send(l, feed.snapshot, NULL, 0);
    if (feed.build_failed || feed.names_missing)
        pthread_cond_signal(&feed.work);
    pthread_mutex_unlock(&feed.lock);
}

/* Kept to seed a loop that starts later. Under the lock. */
static void denial_keep(const struct feed_denial *d)
{
    if (feed.n_denials == feed.cap_denials) {
        int64_t now_ms = clock_now_ms();
        size_t kept = 0;
        for (size_t i = 0; i < feed.n_denials; i++) {
            if (feed.denials[i].until_ms > now_ms)
                feed.denials[kept++] = feed.denials[i];
            else
                free((char *)feed.denials[i].key.p);
        }
        feed.n_denials = kept;
        if (kept * 2 >= feed.cap_denials) {
            feed.cap_denials = feed.cap_denials ? feed.cap_denials * 2 : 64;
            feed.denials = realloc(feed.denials, feed.cap_denials * sizeof *feed.denials);
            if (!feed.denials)
                abort();
        }
    }
    struct feed_denial *mine = &feed.denials[feed.n_denials++];
    *mine = *d;
    mine->key.p = strndup(d->key.p, d->key.n);
    if (!mine->key.p)
        abort();
}

/* Of a person who was erased, nothing is known here any more, whoever asks. */
static bool denial_of(const struct change *c, struct arena *a, struct feed_denial *out)
{
    *out = (struct feed_denial){c->at_ms, c->until_ms, c->key};
    if (str_eq_z(c->kind, "deny"))
        return true;
    out->key = arena_printf(a, "person:" STR_FMT, STR_ARG(c->key));
    out->until_ms = c->at_ms + ERASED_KNOWN_MS;
    return str_eq_z(c->kind, "erase");
}

static void denials_tell(const struct change *list, size_t n)
{
    struct feed_denial *deny = calloc(n, sizeof *deny);
    size_t n_deny = 0;
    struct arena a;
    if (!deny)
        abort();
    arena_init(&a);
    for (size_t i = 0; i < n; i++)
        if (denial_of(&list[i], &a, &deny[n_deny]))
            n_deny++;
    pthread_mutex_lock(&feed.lock);
    for (size_t i = 0; i < n_deny; i++)
        denial_keep(&deny[i]);
    for (struct feed_listener *l = feed.listeners; l && n_deny; l = l->next)
        post_send(l, NULL, deny, n_deny);
    pthread_mutex_unlock(&feed.lock);
    free(deny);
    arena_free(&a);
}

static void on_changes(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    bool config = n == 0, keys = false;
    (void)pf;
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        config |= str_eq_z(list[i].kind, "config");
        keys |= str_eq_z(list[i].kind, "keys");
    }
    if (keys) {
        pthread_mutex_lock(&feed.lock);
        feed.keys_stale = true;
        pthread_cond_signal(&feed.work);
        pthread_mutex_unlock(&feed.lock);
    }
    if (n)
        denials_tell(list, n);
    if (config) {
        rebuild();
        books_look();
    }
}

/* ---- the thread that waits for others -----------------------------------------------------------
 */
static void *renew_run(void *arg)
{
    (void)arg;
    while (!proc_stopping) {
        struct timespec until;
        int64_t next_ms = RENEW_MS;
        pthread_mutex_lock(&feed.lock);
        feed.keys_stale = false;
        pthread_mutex_unlock(&feed.lock);
        bool again = keys_renew();
        again |= names_renew();
        again |= credential_renew(feed.pf, &feed.lock, &next_ms);
        pthread_mutex_lock(&feed.lock);
        again |= feed.build_failed && feed.snapshot != NULL;
        bool hurry = !feed.jwks || feed.build_failed;
        pthread_mutex_unlock(&feed.lock);
        if (again)
            rebuild();
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += (hurry || next_ms < RETRY_MS ? RETRY_MS : next_ms) / 1000;
        pthread_mutex_lock(&feed.lock);
        if (!feed.names_missing && !feed.keys_stale)
            pthread_cond_timedwait(&feed.work, &feed.lock, &until);
        pthread_mutex_unlock(&feed.lock);
    }
    return NULL;
}

enum err feed_start(struct platform *pf)
{
    pthread_t thread;
    pthread_attr_t attr;
    feed.pf = pf;
    arena_init(&feed.arena);
    keys_renew();
    enum err e = books_start(pf, rebuild);
    if (e != ERR_OK)
        return e;
    change_subscribe(pf, on_changes, NULL);
    if (pthread_attr_init(&attr) != 0)
        return ERR_INTERNAL;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, renew_run, NULL);
    pthread_attr_destroy(&attr);
    return failed ? ERR_INTERNAL : ERR_OK;
}
