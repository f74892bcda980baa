/* Trust: the journal is open to whoever wants to check it, and watched by others. */
#include "core/trust/trust.h"

struct journal_reader *trust_reader;

static const struct db_migration migrations[] = {
    {"trust", 1,
     "CREATE TABLE trust_watched("
     " origin TEXT PRIMARY KEY, size BIGINT NOT NULL, root BLOB NOT NULL, seen_at BIGINT NOT NULL);"
     "CREATE TABLE trust_refused("
     " origin TEXT NOT NULL, digest TEXT NOT NULL, reason TEXT NOT NULL, size BIGINT NOT NULL,"
     " at BIGINT NOT NULL, note TEXT NOT NULL, PRIMARY KEY(origin, digest));"
     "CREATE TABLE trust_cosigned("
     " origin TEXT PRIMARY KEY, size BIGINT NOT NULL, note TEXT NOT NULL, at BIGINT NOT NULL);"},
};

static enum err start(struct platform *pf)
{
    return journal_reader_open(arena_printf(&pf->arena, "%s/journal", pf->settings->data).p,
                               &trust_reader);
}

/* jobs starts no services: it opens its reader at its first look. */
static void tick(struct platform *pf, int64_t now_ms)
{
    if (!trust_reader && start(pf) != ERR_OK)
        return;
    trust_tick(pf, now_ms);
}

#define TILE(path)                                                                               \
    ROUTE("GET", "/journal/tile/{level}/" path, SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_tile, \
          "A tile of the public log (C2SP tlog-tiles).")

static const struct route routes[] = {
    ROUTE("GET", "/journal/checkpoint", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_checkpoint,
          "The journal's signed checkpoint, with its witnesses' signatures."),
    ROUTE("GET", "/journal/key", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_key,
          "The journal's verifier key."),
    ROUTE("GET", "/journal/receipts/{entry}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_receipt,
          "The proof that a signed checkpoint covers an entry."),
    TILE("{a}"),
    TILE("{a}/{b}"),
    TILE("{a}/{b}/{c}"),
    TILE("{a}/{b}/{c}/{d}"),
    TILE("{a}/{b}/{c}/{d}/{e}"),
    ROUTE("POST", "/witness/add-checkpoint", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          trust_add_checkpoint, "Cosigns a checkpoint of a watched log (C2SP tlog-witness)."),
    ROUTE("GET", "/witness/key", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_witness_key,
          "This platform's verifier key as a witness."),
};

const struct service service_trust = {
    .name = "trust",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .start = start,
    .tick = tick,
};
