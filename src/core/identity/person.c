#include "core/identity/person.h"
#include "core/identity/legacy.h"

#include <assert.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/pivot.h"
#include "platform/cache.h"

static bool is_agents(struct str realm)
{
    return str_eq_z(realm, "agents");
}

/* A citizen's own account knows no pivot identity until somebody has seen her papers. */
static bool is_verified(const json_t *claims)
{
    return json_get_str(claims, "birthdate").n > 0;
}

/* ---- what was read a moment ago -----------------------------------------------------------------
 * The steps of one sign-in ask for the same person within a second. Whoever changes her here drops
 * it; another node's change is seen when the second is over. */
enum { KEPT_MAX = 8192, KEPT_MS = 1000 };
static struct cache kept = CACHE(KEPT_MAX, KEPT_MS, cache_free_json);

static struct str kept_key(struct ctx *c, const char *what, struct str person, struct str whose)
{
    return arena_printf(c->arena, "%s " STR_FMT " " STR_FMT, what, STR_ARG(person), STR_ARG(whose));
}

void person_cache_clear(void)
{
    cache_clear(&kept);
}

void person_told_changed(struct ctx *c, struct str person, struct str client_id)
{
    cache_drop(&kept, kept_key(c, "told", person, client_id));
}

/* ---- finding ------------------------------------------------------------------------------------
 */
struct search {
    struct str sub_blind, identity_blind; /* the second is "" for agents */
    struct str by_link, by_identity;      /* person ids; .n 0: none */
};

static enum err blinds(struct ctx *c, const struct sign_in *s, struct search *f)
{
    struct str name =
        arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(s->provider), STR_ARG(s->provider_sub));
    enum err e = vault_blind(c, "identity.provider_sub", name, &f->sub_blind);
    f->identity_blind = STR("");
    if (e == ERR_OK && !is_agents(s->realm) && is_verified(s->claims))
        e = vault_blind(c, "identity.pivot", pivot_hash(c->arena, s->claims), &f->identity_blind);
    return e;
}

static enum err one_text(struct ctx *c, const char *sql, const char *types, struct str a,
                         struct str b, struct str *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = STR("");
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = types[1] ? db_query_one(db, c->arena, &r, sql, types, a, b)
                          : db_query_one(db, c->arena, &r, sql, types, a);
    if (e == ERR_OK)
        *out = db_str(&r, 0, 0);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err search_run(struct ctx *c, const struct sign_in *s, struct search *f)
{
    *f = (struct search){.by_link = STR(""), .by_identity = STR("")};
    enum err e = blinds(c, s, f);
    if (e == ERR_OK)
        e = one_text(c, "SELECT person FROM person_link WHERE provider = $1 AND sub_blind = $2",
                     "ss", s->provider, f->sub_blind, &f->by_link);
    if (e == ERR_OK && f->identity_blind.n)
        e = one_text(c, "SELECT id FROM person WHERE identity_blind = $1", "s", f->identity_blind,
                     STR_NONE, &f->by_identity);
    return e;
}

/* The same account with another pivot: a name that changed, or an account that was given to
 * somebody else? Who was born the same day at the same place is the same person. */
static bool same_birth(struct ctx *c, struct str person, const json_t *claims)
{
    static const char *const facts[] = {"birthdate", "birthplace", "birthcountry"};
    json_t *known;
    if (person_claims(c, person, &known) != ERR_OK)
        return false;
    if (!is_verified(known) || !is_verified(claims))
        return true;
    for (size_t i = 0; i < COUNT_OF(facts); i++)
        if (!str_eq(json_get_str(known, facts[i]), json_get_str(claims, facts[i])))
            return false;
    return true;
}

/* ---- writing ------------------------------------------------------------------------------------
 */
struct person_row {
    struct str id, realm, identity_blind, claims;
    struct str provider, sub_blind;
    bool is_new;
    int64_t now_ms;
};

static enum err person_write(struct db_conn *db, void *arg)
{
    struct person_row *p = arg;
    struct str blind = p->identity_blind.n ? p->identity_blind : STR_NONE;
    enum err e =
        p->is_new
            ? db_exec(db,
                      "INSERT INTO person(id, realm, identity_blind, state, claims, created_at, "
                      "updated_at) VALUES($1, $2, $3, 'active', $4, $5, $5)",
                      "sssbi", p->id, p->realm, blind, p->claims, p->now_ms)
            : db_exec(db,
                      "UPDATE person SET identity_blind = $2, claims = $3, updated_at = $4 "
                      "WHERE id = $1",
                      "ssbi", p->id, blind, p->claims, p->now_ms);
    if (e != ERR_OK)
        return e;
    return db_exec(db,
                   "INSERT INTO person_link(provider, sub_blind, person, first_at, last_at) "
                   "VALUES($1, $2, $3, $4, $4) ON CONFLICT (provider, sub_blind) DO UPDATE SET "
                   "person = $3, last_at = $4",
                   "sssi", p->provider, p->sub_blind, p->id, p->now_ms);
}

static enum err blocked(struct ctx *c, struct str person)
{
    struct str state;
    enum err e =
        one_text(c, "SELECT state FROM person WHERE id = $1", "s", person, STR_NONE, &state);
    return e == ERR_OK && str_eq_z(state, "blocked") ? ERR_DENIED : e;
}

static void choose_person(struct ctx *c, struct sign_in *s, const struct search *f)
{
    s->is_new = false;
    if (f->by_identity.n)
        s->person = f->by_identity;
    else if (f->by_link.n && (is_agents(s->realm) || same_birth(c, f->by_link, s->claims)))
        s->person = f->by_link;
    else {
        char *id = arena_alloc(c->arena, ID_LEN + 1);
        id_new(id);
        s->person = is_agents(s->realm) ? arena_printf(c->arena, "agent:%s", id) : str_from(id);
        s->is_new = true;
    }
    assert(s->person.n);
}

enum err person_signed_in(struct ctx *c, struct sign_in *s)
{
    struct search f;
    enum err e;
    /* Twice: two first sign-ins of one person at once, and one must find the other's row. */
    for (int turn = 0; turn < 2; turn++) {
        e = search_run(c, s, &f);
        if (e != ERR_OK)
            return e;
        choose_person(c, s, &f);
        if (!s->is_new && (e = blocked(c, s->person)) != ERR_OK)
            return e;
        struct person_row p = {.id = s->person,
                               .realm = s->realm,
                               .identity_blind = f.identity_blind,
                               .provider = s->provider,
                               .sub_blind = f.sub_blind,
                               .is_new = s->is_new,
                               .now_ms = clock_now_ms()};
        e = vault_seal(c, s->person, "person.claims", json_text(c->arena, s->claims), &p.claims);
        if (e == ERR_OK)
            e = db_write(c->pf->db, person_write, &p);
        cache_drop(&kept, kept_key(c, "claims", s->person, STR("")));
        if (e != ERR_EXISTS)
            return e;
    }
    return e;
}

static enum err claims_read(struct ctx *c, struct str person, json_t **out)
{
    struct db_result r;
    struct str plain;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r, "SELECT claims FROM person WHERE id = $1", "s", person);
    if (e == ERR_OK)
        e = vault_open(c, person, "person.claims", db_str(&r, 0, 0), &plain);
    return e == ERR_OK ? json_read(plain, out, NULL) : e;
}

enum err person_claims(struct ctx *c, struct str person, json_t **out)
{
    struct str key = kept_key(c, "claims", person, STR(""));
    uint64_t mark = cache_mark(&kept);
    *out = cache_get_json(&kept, key);
    if (!*out) {
        enum err e = claims_read(c, person, out);
        if (e != ERR_OK)
            return e;
        cache_put_json(&kept, key, mark, *out);
    }
    json_own(&c->pool, *out);
    return ERR_OK;
}

/* ---- subs ---------------------------------------------------------------------------------------
 */
struct sub_row {
    struct str person, entity_id, sub;
};

static enum err sub_write(struct db_conn *db, void *arg)
{
    struct sub_row *s = arg;
    return db_exec(db,
                   "INSERT INTO person_sub(person, entity_id, sub) VALUES($1, $2, $3) "
                   "ON CONFLICT (person, entity_id) DO NOTHING",
                   "sss", s->person, s->entity_id, s->sub);
}

/* A text of the cache, else of the database. */
static enum err kept_text(struct ctx *c, const char *what, const char *sql, struct str person,
                          struct str whose, struct str *out)
{
    struct str key = kept_key(c, what, person, whose);
    uint64_t mark = cache_mark(&kept);
    json_t *v = cache_get_json(&kept, key);
    if (v) {
        json_own(&c->pool, v);
        *out = str_of(json_string_value(v), json_string_length(v));
        return ERR_OK;
    }
    enum err e = one_text(c, sql, "ss", person, whose, out);
    if (e == ERR_OK && out->n)
        cache_put_json(&kept, key, mark, json_own(&c->pool, json_stringn(out->p, out->n)));
    return e;
}

static enum err sub_stored(struct ctx *c, struct str person, struct str entity, struct str *sub)
{
    return kept_text(c, "sub", "SELECT sub FROM person_sub WHERE person = $1 AND entity_id = $2",
                     person, entity, sub);
}

enum err person_sub(struct ctx *c, struct str person, const json_t *claims, const struct client *k,
                    struct str *sub)
{
    if (str_starts(person, STR("agent:"))) {
        *sub = person;
        return ERR_OK;
    }
    enum err e = sub_stored(c, person, k->entity_id, sub);
    if (e != ERR_OK || sub->n)
        return e;
    struct sub_row row = {.person = person, .entity_id = k->entity_id};
    bool verified = is_verified(claims);
    struct str hash = verified ? pivot_hash(c->arena, claims) : person;
    row.sub = STR("");
    if (verified)
        e = legacy_sub_find(c, k->entity_id, hash, &row.sub);
    if (e == ERR_OK && !row.sub.n)
        e = keys_pairwise_v1(
            c->pf->keys,
            arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(k->entity_id), STR_ARG(hash)), c->arena,
            &row.sub);
    if (e == ERR_OK)
        e = db_write(c->pf->db, sub_write, &row);
    if (e == ERR_EXISTS) {
        /* Somebody else holds it: he had this pivot before his own was corrected. */
        log_warn("sub_taken", "trace", c->trace_id, "entity", k->entity_id.p);
        return ERR_CONFLICT;
    }
    return e == ERR_OK ? sub_stored(c, person, k->entity_id, sub) : e;
}

/* ---- what she was told --------------------------------------------------------------------------
 */
enum err person_told(struct ctx *c, struct str person, struct str client_id, struct str *claims)
{
    return kept_text(c, "told",
                     "SELECT told FROM person_client WHERE person = $1 AND client_id = $2", person,
                     client_id, claims);
}

enum err person_tell(struct db_conn *db, struct str person, struct str client_id, struct str claims,
                     int64_t now_ms)
{
    return db_exec(db,
                   "INSERT INTO person_client(person, client_id, told, first_at, last_at) "
                   "VALUES($1, $2, $3, $4, $4) ON CONFLICT (person, client_id) DO UPDATE SET "
                   "told = $3, last_at = $4",
                   "sssi", person, client_id, claims, now_ms);
}
