#include "core/exchange/shown.h"

#include <pthread.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/map.h"
#include "web/wire.h"

/* One a process, as the feed that asks. An identity that was replaced is kept: certificates change
 * once a year. */
static struct {
    pthread_mutex_t lock;
    struct platform *pf;
    struct arena arena;
    struct map by_api;
} shown = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct one {
    struct timespec mtime;
    struct wire_identity *identity;
};

void shown_start(struct platform *pf)
{
    shown.pf = pf;
    arena_init(&shown.arena);
    map_init(&shown.by_api);
}

static struct one *one_of(struct str api)
{
    struct one *o = map_get(&shown.by_api, api);
    if (!o) {
        o = arena_new(&shown.arena, struct one);
        map_set(&shown.by_api, arena_dup(&shown.arena, api), o);
    }
    return o;
}

static const struct wire_identity *look(struct str api)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/client-" STR_FMT ".pem", shown.pf->settings->tls_certificates,
             STR_ARG(api));
    if (stat(path, &st) != 0)
        return NULL;
    struct one *o = one_of(api);
    bool same = o->mtime.tv_sec == st.st_mtim.tv_sec && o->mtime.tv_nsec == st.st_mtim.tv_nsec;
    if (same)
        return o->identity;
    struct wire_identity *fresh;
    enum err e = wire_identity_open(shown.pf->tls_keys, path, &fresh);
    if (e != ERR_OK) {
        log_error("certificate_refused", "file", path, "why", err_name(e));
        return o->identity;
    }
    o->identity = fresh;
    o->mtime = st.st_mtim;
    return fresh;
}

const struct wire_identity *shown_for(struct str api)
{
    if (!shown.pf || !shown.pf->tls_keys)
        return NULL;
    pthread_mutex_lock(&shown.lock);
    const struct wire_identity *found = look(api);
    pthread_mutex_unlock(&shown.lock);
    return found;
}
