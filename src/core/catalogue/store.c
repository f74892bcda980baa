/* What is kept of descriptions, and the few that are held in memory as read. */
#include "core/catalogue/catalogue.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"

const struct db_migration catalogue_migrations[CATALOGUE_MIGRATIONS] = {
    {"catalogue", 1,
     "CREATE TABLE catalogue_api("
     " api TEXT NOT NULL, version TEXT NOT NULL, org_id TEXT NOT NULL, format TEXT NOT NULL,"
     " body BLOB NOT NULL, digest TEXT NOT NULL, about TEXT NOT NULL,"
     " imported_at BIGINT NOT NULL, deprecated_at BIGINT NOT NULL, sunset_at BIGINT NOT NULL,"
     " errors BIGINT NOT NULL, warnings BIGINT NOT NULL, PRIMARY KEY(api, version));"
     "CREATE TABLE catalogue_field("
     " api TEXT NOT NULL, version TEXT NOT NULL, position BIGINT NOT NULL, path TEXT NOT NULL,"
     " type TEXT NOT NULL, format TEXT NOT NULL, label_fr TEXT NOT NULL, label_en TEXT NOT NULL,"
     " concept TEXT NOT NULL, sensitivity BIGINT NOT NULL, leaf BIGINT NOT NULL,"
     " readable BIGINT NOT NULL, writable BIGINT NOT NULL, PRIMARY KEY(api, version, path));"
     "CREATE INDEX catalogue_field_concept ON catalogue_field(concept);"
     "CREATE TABLE catalogue_circle("
     " id TEXT PRIMARY KEY, api TEXT NOT NULL, kind TEXT NOT NULL, from_circle BIGINT NOT NULL,"
     " to_circle BIGINT NOT NULL, subscribers BIGINT NOT NULL, reason TEXT NOT NULL,"
     " actor TEXT NOT NULL, at_ms BIGINT NOT NULL);"
     "CREATE INDEX catalogue_circle_api ON catalogue_circle(api, at_ms);"
     "CREATE TABLE catalogue_follower("
     " org_id TEXT NOT NULL, topic TEXT NOT NULL, since_ms BIGINT NOT NULL,"
     " PRIMARY KEY(org_id, topic));"
     "CREATE TABLE catalogue_news("
     " org_id TEXT NOT NULL, api TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL,"
     " topic TEXT NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY(org_id, api, version, kind));"
     "CREATE TABLE catalogue_system("
     " org_id TEXT NOT NULL, name TEXT NOT NULL, api TEXT NOT NULL,"
     " PRIMARY KEY(org_id, name));"},
    {"catalogue", 10,
     "CREATE TABLE catalogue_ping("
     " api TEXT NOT NULL, version TEXT NOT NULL, day BIGINT NOT NULL, ok BIGINT NOT NULL,"
     " failed BIGINT NOT NULL, took_ms BIGINT NOT NULL, PRIMARY KEY(api, version, day));"
     "CREATE TABLE catalogue_state("
     " api TEXT NOT NULL, version TEXT NOT NULL, up BIGINT NOT NULL, failures BIGINT NOT NULL,"
     " at_ms BIGINT NOT NULL, took_ms BIGINT NOT NULL, modified_ms BIGINT NOT NULL,"
     " status BIGINT NOT NULL, PRIMARY KEY(api, version));"
     "CREATE TABLE catalogue_incident("
     " id TEXT PRIMARY KEY, api TEXT NOT NULL, version TEXT NOT NULL, began_ms BIGINT NOT NULL,"
     " ended_ms BIGINT NOT NULL, status BIGINT NOT NULL);"
     "CREATE INDEX catalogue_incident_api ON catalogue_incident(api, version, began_ms);"},
    {"catalogue", 11,
     "CREATE TABLE catalogue_concept("
     " id TEXT PRIMARY KEY, label_fr TEXT NOT NULL, label_en TEXT NOT NULL,"
     " meaning_fr TEXT NOT NULL, meaning_en TEXT NOT NULL, same_as TEXT NOT NULL);"},
    {"catalogue", 12,
     "CREATE TABLE catalogue_terms("
     " api TEXT NOT NULL, version TEXT NOT NULL, number BIGINT NOT NULL, digest TEXT NOT NULL,"
     " body_fr TEXT NOT NULL, body_en TEXT NOT NULL, at_ms BIGINT NOT NULL,"
     " PRIMARY KEY(api, version, number));"},
};

json_t *jstr(struct str s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    return v ? v : json_string("");
}

json_t *type_key(const char *type)
{
    static const char *const known[] = {"string",  "integer", "number",
                                        "boolean", "object",  "array"};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(type, known[i]) == 0)
            return json_sprintf("type.%s", type);
    return json_string("type.any");
}

enum err catalogue_entry_get(struct ctx *c, struct str api, struct str version, bool with_text,
                             struct catalogue_entry *out)
{
    static const char with[] = "SELECT org_id, format, digest, about, imported_at, deprecated_at, "
                               "sunset_at, errors, warnings, body FROM catalogue_api "
                               "WHERE api = $1 AND version = $2";
    static const char without[] = "SELECT org_id, format, digest, about, imported_at, "
                                  "deprecated_at, sunset_at, errors, warnings FROM catalogue_api "
                                  "WHERE api = $1 AND version = $2";
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query_one(db, c->arena, &r, with_text ? with : without, "ss", api, version);
    if (e != ERR_OK)
        return e;
    *out = (struct catalogue_entry){.api = api,
                                    .version = version,
                                    .org_id = db_str(&r, 0, 0),
                                    .format = db_str(&r, 0, 1),
                                    .digest = db_str(&r, 0, 2),
                                    .text = with_text ? db_str(&r, 0, 9) : STR_NONE,
                                    .imported_ms = db_i64(&r, 0, 4),
                                    .deprecated_ms = db_i64(&r, 0, 5),
                                    .sunset_ms = db_i64(&r, 0, 6),
                                    .errors = (int)db_i64(&r, 0, 7),
                                    .warnings = (int)db_i64(&r, 0, 8)};
    e = json_read(db_str(&r, 0, 3), &out->about, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, out->about);
    return e == ERR_OK ? e : ERR_CORRUPT;
}

/* ---- descriptions in memory ---------------------------------------------------------------------
 */
enum { HELD_MAX = 16 };
static struct {
    pthread_mutex_t lock;
    struct held *list[HELD_MAX];
    uint64_t clock;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void held_free(struct held *h)
{
    desc_free(&h->d);
    arena_free(&h->arena);
    free(h);
}

static struct held *held_find(struct str digest)
{
    struct held *h = NULL;
    pthread_mutex_lock(&kept.lock);
    for (size_t i = 0; i < HELD_MAX && !h; i++)
        if (kept.list[i] && str_eq(kept.list[i]->digest, digest))
            h = kept.list[i];
    if (h) {
        h->users++;
        h->used_at = ++kept.clock;
    }
    pthread_mutex_unlock(&kept.lock);
    return h;
}

/* In the place of the one that nobody has asked for longest; where all are in use it is not kept.
 */
static void held_keep(struct held *h)
{
    struct held *old = NULL;
    size_t at = HELD_MAX;
    pthread_mutex_lock(&kept.lock);
    h->used_at = ++kept.clock;
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (!kept.list[i]) {
            at = i;
            break;
        }
        if (kept.list[i]->users == 1 &&
            (at == HELD_MAX || kept.list[i]->used_at < kept.list[at]->used_at))
            at = i;
    }
    if (at < HELD_MAX) {
        old = kept.list[at];
        kept.list[at] = h;
        h->users++; /* the table's */
    }
    pthread_mutex_unlock(&kept.lock);
    if (old)
        held_give(old);
}

void held_give(struct held *h)
{
    pthread_mutex_lock(&kept.lock);
    bool last = --h->users == 0;
    pthread_mutex_unlock(&kept.lock);
    if (last)
        held_free(h);
}

enum err held_get(struct ctx *c, struct str api, struct str version, struct held **out)
{
    struct catalogue_entry entry;
    enum err e = catalogue_entry_get(c, api, version, false, &entry);
    if (e != ERR_OK)
        return e;
    *out = held_find(entry.digest);
    if (*out)
        return ERR_OK;
    e = catalogue_entry_get(c, api, version, true, &entry);
    struct held *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    if (e == ERR_OK)
        e = desc_read(entry.text, &h->d, NULL);
    if (e != ERR_OK) {
        free(h);
        return e == ERR_INVALID ? ERR_CORRUPT : e;
    }
    arena_init(&h->arena);
    h->digest = arena_dup(&h->arena, entry.digest);
    h->users = 1;
    held_keep(h);
    *out = h;
    return ERR_OK;
}

/* ---- the list -----------------------------------------------------------------------------------
 */
static void entry_add(struct ctx *c, json_t *v)
{
    struct catalogue_entry entry;
    struct str id = json_get_str(v, "id"), version = json_get_str(v, "version");
    bool there = catalogue_entry_get(c, id, version, false, &entry) == ERR_OK;
    json_object_set_new(v, "documented", json_boolean(there));
    json_object_set_new(v, "url",
                        jstr(arena_printf(c->arena, "/catalogue/" STR_FMT "/" STR_FMT, STR_ARG(id),
                                          STR_ARG(version))));
    json_object_set_new(v, "circle_key",
                        json_sprintf("circle.%d", (int)json_get_i64(v, "circle", 3)));
    json_object_set_new(v, "several", json_boolean(json_get_i64(v, "n_fields", 0) != 1));
    bool old = strcmp(json_get_z(v, "adapter", "json"), "json") != 0;
    json_object_set_new(v, "kind_key", json_string(old ? "system.adapted" : "system.native"));
    if (!there)
        return;
    json_object_set(v, "about", entry.about);
    json_object_set_new(v, "imported_at", json_integer(entry.imported_ms));
    json_object_set_new(v, "warnings", json_integer(entry.warnings));
    json_object_set_new(v, "deprecated", json_boolean(entry.deprecated_ms != 0));
    if (entry.sunset_ms)
        json_object_set_new(v, "sunset_at", json_integer(entry.sunset_ms));
}

enum err catalogue_apis(struct ctx *c, json_t **items)
{
    json_t *out, *v;
    size_t i;
    enum err e = platform_call(c, "exchange.apis", NULL, &out);
    if (e != ERR_OK)
        return e;
    *items = json_own(&c->pool, json_deep_copy(json_get(out, "items")));
    json_array_foreach(*items, i, v)
    {
        entry_add(c, v);
    }
    return ERR_OK;
}

static enum err apis_that_are(struct ctx *c, bool documented, json_t **items)
{
    json_t *all, *v;
    size_t i;
    enum err e = catalogue_apis(c, &all);
    if (e != ERR_OK)
        return e;
    *items = json_own(&c->pool, json_array());
    json_array_foreach(all, i, v)
    {
        if (json_get_bool(v, "documented", false) == documented)
            json_array_append(*items, v);
    }
    return ERR_OK;
}

enum err catalogue_public(struct ctx *c, json_t **items)
{
    return apis_that_are(c, true, items);
}

enum err catalogue_undocumented(struct ctx *c, json_t **items)
{
    return apis_that_are(c, false, items);
}

enum err catalogue_call_apis(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *items;
    (void)args;
    enum err e = catalogue_apis(c, &items);
    if (e == ERR_OK)
        *out = json_pack("{s:O}", "items", items);
    return e;
}
