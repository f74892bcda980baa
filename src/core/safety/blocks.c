/* "Never by this provider", or nothing at all: obeyed at the next sign-in and, for what is open, at
 * once. A block is set with one click from a mail, so that haste costs nothing; it is lifted only
 * by a strong sign-in through another provider than the one in question, or by an operator. */
#include "core/safety/safety.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/seal.h"

enum { LINK_MAX = 2000 };
static const int64_t LINK_LIFE_MS = 30 * 86400 * 1000LL;
static const char LINK_CONTEXT[] = "safety.link";

static enum err block_write(struct db_conn *db, void *arg)
{
    const struct block *b = arg;
    return db_exec(db,
                   "INSERT INTO block(person, provider, through, by_whom, at) VALUES($1, $2, $3, "
                   "$4, $5) ON CONFLICT (person, provider) DO NOTHING",
                   "ssssi", b->person, b->provider, b->through, b->by, b->at_ms);
}

static json_t *told(const char *fr, const char *en)
{
    return json_pack("{s:{s:s,s:s}}", "title", "fr", fr, "en", en);
}

static struct str object_of(struct ctx *c, struct str person, struct str provider,
                            struct str through)
{
    return arena_printf(c->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(person),
                        STR_ARG(provider), STR_ARG(through));
}

enum err safety_block(struct ctx *c, const struct block *asked)
{
    struct act act;
    struct block block = *asked, *b = &block;
    bool all = b->provider.n == 0;
    b->at_ms = clock_now_ms();
    struct act_info info = {
        .kind = all ? SAFETY_ACCOUNT_BLOCKED : SAFETY_PROVIDER_BLOCKED,
        .actor = b->by,
        .object = object_of(c, b->person, b->provider, b->through),
        .person = b->person,
        .told = all ? told("Compte bloqué", "Account blocked")
                    : told("Moyen d’identification bloqué", "Means of sign-in blocked")};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, block_write, b, &act, 1);
    return e == ERR_OK ? safety_cut(c, b->person, b->provider) : e;
}

struct lifting {
    struct str person, provider;
};

static enum err lift_write(struct db_conn *db, void *arg)
{
    const struct lifting *l = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed, "DELETE FROM block WHERE person = $1 AND provider = $2", "ss",
                      l->person, l->provider);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

static bool is_strong(struct str acr)
{
    return str_eq_z(acr, "eidas2") || str_eq_z(acr, "eidas3");
}

enum err safety_unblock(struct ctx *c, struct str person, struct str provider, struct str by,
                        struct str by_provider, struct str acr)
{
    struct db_result r;
    struct act act;
    struct lifting l = {person, provider};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT through FROM block WHERE person = $1 AND provider = $2", "ss",
                              person, provider);
    if (e != ERR_OK)
        return e;
    bool in_question = str_eq(by_provider, provider) || str_eq(by_provider, db_str(&r, 0, 0));
    if (!str_eq_z(by, "operator") && (in_question || !is_strong(acr)))
        return ERR_DENIED;
    struct act_info info = {.kind =
                                provider.n ? SAFETY_PROVIDER_UNBLOCKED : SAFETY_ACCOUNT_UNBLOCKED,
                            .actor = by,
                            .object = object_of(c, person, provider, STR("")),
                            .person = person,
                            .told = told("Déblocage", "Unblocked")};
    e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, lift_write, &l, &act, 1) : e;
}

/* Identity: somebody whose account is blocked came by a strong means and asked for it. */
enum err safety_call_unblock(struct ctx *c, const json_t *args, json_t **out)
{
    *out = json_object();
    return safety_unblock(c, json_get_str(args, "person"), STR(""), STR("self"),
                          json_get_str(args, "provider"), json_get_str(args, "acr"));
}

enum err safety_blocks(struct ctx *c, struct str person, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT provider, through, by_whom, at FROM block WHERE person = $1 "
                          "ORDER BY at DESC LIMIT 100",
                          "s", person);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, json_pack("{s:s,s:s,s:s,s:I}", "provider", db_z(&r, i, 0),
                                               "through", db_z(&r, i, 1), "by", db_z(&r, i, 2),
                                               "at", (json_int_t)db_i64(&r, i, 3)));
    *out = json_own(&c->pool, json_pack("{s:o}", "items", items));
    return ERR_OK;
}

/* ---- after a restore ----------------------------------------------------------------------------
 */
static bool leaf_read(const json_t *leaf, struct block *b)
{
    struct str rest = json_get_str(leaf, "object"),
               *parts[] = {&b->person, &b->provider, &b->through};
    *b = (struct block){.by = json_get_str(leaf, "actor"), .at_ms = json_get_i64(leaf, "at", 0)};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        *parts[i] = STR("");
        if (rest.n && !str_split(&rest, '/', parts[i]))
            return false;
    }
    return id_is_valid(b->person);
}

/* What was open when she blocked it; their services hear of it once the platform runs. */
static enum err again_write(struct db_conn *db, void *arg)
{
    const struct block *b = arg;
    enum err e = block_write(db, arg);
    return e == ERR_OK ? db_exec(db,
                                 "DELETE FROM session WHERE id IN (SELECT session FROM signed_in "
                                 "WHERE person = $1 AND ($2 = '' OR provider = $2) AND at <= $3)",
                                 "ssi", b->person, b->provider, b->at_ms)
                       : e;
}

static enum err cut_again(struct ctx *c, const struct block *b)
{
    json_t *out;
    json_t *args =
        json_pack("{s:o,s:o,s:b,s:I}", "person", json_str(b->person), "provider",
                  json_str(b->provider), "all", b->provider.n == 0, "until", (json_int_t)b->at_ms);
    enum err e = platform_call(c, "identity.cut", args, &out);
    json_decref(args);
    return e;
}

/* A restored database is older than the journal, and obeys it. */
enum err safety_block_again(struct platform *pf, const json_t *leaf)
{
    struct arena a;
    struct block b;
    const char *kind = json_get_z(leaf, "kind", "");
    if (!leaf_read(leaf, &b))
        return ERR_OK; /* of before blocks could be told again */
    if (strcmp(kind, SAFETY_ACCOUNT_BLOCKED) != 0 && strcmp(kind, SAFETY_PROVIDER_BLOCKED) != 0) {
        struct lifting l = {b.person, b.provider};
        enum err lifted = db_write(pf->db, lift_write, &l);
        return lifted == ERR_NOT_FOUND ? ERR_OK : lifted;
    }
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = db_write(pf->db, again_write, &b);
    if (e == ERR_OK)
        e = cut_again(c, &b);
    ctx_free(c);
    arena_free(&a);
    return e;
}

/* ---- the link of a mail -------------------------------------------------------------------------
 */
struct str safety_link(struct ctx *c, struct str person, struct str provider, struct str session)
{
    json_t *v = json_pack("{s:o,s:o,s:o,s:I}", "person", json_str(person), "provider",
                          json_str(provider), "session", json_str(session), "until",
                          (json_int_t)(clock_now_ms() + LINK_LIFE_MS));
    struct str sealed =
        seal(c->arena, c->pf->cookie_secret, str_from(LINK_CONTEXT), json_text(c->arena, v));
    json_decref(v);
    return arena_printf(c->arena, "%s/securite/alerte?j=" STR_FMT, c->pf->settings->base_url,
                        STR_ARG(codec_to_base64url(c->arena, sealed.p, sealed.n)));
}

enum err safety_link_read(struct ctx *c, struct str link, json_t **out)
{
    struct str sealed, plain;
    json_t *v;
    enum err e =
        link.n && link.n <= LINK_MAX ? codec_base64url(c->arena, link, &sealed) : ERR_INVALID;
    if (e == ERR_OK)
        e = unseal(c->arena, c->pf->cookie_secret, str_from(LINK_CONTEXT), sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return ERR_NOT_FOUND;
    *out = json_own(&c->pool, v);
    return json_get_i64(v, "until", 0) > clock_now_ms() ? ERR_OK : ERR_NOT_FOUND;
}
