/* Fills a database with people who signed in before, straight into its tables, and prints a session
 * cookie of as many of them as asked, spread over all.
 *
 *   people KEYS_FOLDER DATABASE CLIENT PROVIDER HOST PEOPLE SESSIONS
 *
 * Their rows are what a first sign-in leaves: the person and her key, the provider's link, her sub
 * at the client, and what she was told. The platform is not running. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "bench/people.h"
#include "crypto/digest.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "data/db.h"
#include "data/json.h"
#include "platform/platform.h"

enum { BATCH = 2000 };
static const char TOLD[] = "openid profile birth";

static struct {
    struct keys *keys;
    struct db *db;
    const char *client, *provider, *host;
    uint64_t people, sessions;
} opt;

struct row {
    struct str id, claims, wrapped, sub, link_blind, identity_blind;
    struct str session, session_data;
};
struct batch {
    struct row rows[BATCH];
    size_t n;
    struct str told;
    int64_t now_ms;
};

static void must(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "people: %s: %s\n", what, err_name(e));
    exit(1);
}

static struct str blind(struct arena *a, const char *context, struct str value)
{
    uint8_t mac[32];
    struct str data = arena_printf(a, "%s%c" STR_FMT, context, '\0', STR_ARG(value));
    must(keys_mac(opt.keys, "blind", data, mac), "blind");
    return codec_to_hex(a, mac, sizeof mac);
}

/* As src/platform/session.c seals them. */
static void session_make(struct arena *a, struct row *r, const json_t *claims)
{
    char secret[SECRET_LEN + 1], sid[SECRET_LEN + 1];
    uint8_t hash[32], key[32];
    secret_new(secret);
    secret_new(sid);
    sha256(secret, SECRET_LEN, hash);
    r->session = codec_to_hex(a, hash, 16);
    json_t *d =
        json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:[s],s:I,s:s%,s:s,s:O,s:s}", "realm", "citizens",
                  "provider", opt.provider, "provider_name", "fr", "Banc", "en", "Bench", "acr",
                  "eidas1", "amr", "pwd", "auth_time_ms", (json_int_t)clock_now_ms(), "sid", sid,
                  (size_t)22, "name", "Camille MARTIN", "claims", claims, "id_token", "");
    hkdf_sha256(str_from(secret), STR("socle/session/1"), STR("data"), key, sizeof key);
    r->session_data = seal(a, key, r->session, json_text(a, d));
    json_decref(d);
    printf("socle=%s\n", secret);
}

static void row_make(struct arena *a, uint64_t i, struct row *r)
{
    uint8_t key[SEAL_KEY_LEN];
    char *id = arena_alloc(a, ID_LEN + 1);
    json_t *claims = people_claims(a, i);
    struct str hash = pivot_hash(a, claims);
    id_new(id);
    *r = (struct row){.id = str_from(id)};
    rand_bytes(key, sizeof key);
    r->claims = seal(a, key, STR("person.claims"), json_text(a, claims));
    must(keys_wrap(opt.keys, "subject", r->id, str_of(key, sizeof key), a, &r->wrapped), "wrap");
    must(keys_pairwise_v1(opt.keys, arena_printf(a, "%s" STR_FMT, opt.client, STR_ARG(hash)), a,
                          &r->sub),
         "sub");
    r->link_blind = blind(a, "identity.provider_sub",
                          arena_printf(a, "%s " STR_FMT, opt.provider, STR_ARG(people_sub(a, i))));
    r->identity_blind = blind(a, "identity.pivot", hash);
    uint64_t each = opt.sessions ? opt.people / opt.sessions : 0;
    if (each && i % each == 0 && i / each < opt.sessions)
        session_make(a, r, claims);
    json_decref(claims);
}

static enum err row_write(struct db_conn *db, const struct row *r, const struct batch *b)
{
    enum err e = db_exec(db,
                         "INSERT INTO subject_key(subject, wrapped, created_at) "
                         "VALUES($1, $2, $3)",
                         "sbi", r->id, r->wrapped, b->now_ms);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO person(id, realm, identity_blind, state, claims, created_at, "
                    "updated_at) VALUES($1, 'citizens', $2, 'active', $3, $4, $4)",
                    "ssbi", r->id, r->identity_blind, r->claims, b->now_ms);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO person_link(provider, sub_blind, person, first_at, last_at) "
                    "VALUES($1, $2, $3, $4, $4)",
                    "zssi", opt.provider, r->link_blind, r->id, b->now_ms);
    if (e == ERR_OK)
        e = db_exec(db, "INSERT INTO person_sub(person, entity_id, sub) VALUES($1, $2, $3)", "szs",
                    r->id, opt.client, r->sub);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO person_client(person, client_id, told, first_at, last_at) "
                    "VALUES($1, $2, $3, $4, $4)",
                    "szsi", r->id, opt.client, b->told, b->now_ms);
    if (e == ERR_OK && r->session.n)
        e = db_exec(db,
                    "INSERT INTO session(id, host, subject, role, data, created_at, seen_at) "
                    "VALUES($1, $2, $3, $4, $5, $6, $6)",
                    "szsibi", r->session, opt.host, r->id, (int64_t)ROLE_USER, r->session_data,
                    b->now_ms);
    return e;
}

static enum err batch_write(struct db_conn *db, void *arg)
{
    struct batch *b = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < b->n && e == ERR_OK; i++)
        e = row_write(db, &b->rows[i], b);
    return e;
}

int main(int argc, char **argv)
{
    static struct batch b;
    struct arena a;
    if (argc != 8) {
        fputs("usage: people KEYS_FOLDER DATABASE CLIENT PROVIDER HOST PEOPLE SESSIONS\n", stderr);
        return 2;
    }
    arena_init(&a);
    must(keys_open_local(argv[1], &opt.keys), "keys");
    must(db_open(argv[2], &opt.db), "database");
    opt.client = argv[3], opt.provider = argv[4], opt.host = argv[5];
    opt.people = strtoull(argv[6], NULL, 10);
    opt.sessions = strtoull(argv[7], NULL, 10);
    for (uint64_t i = 0; i < opt.people; b.n = 0) {
        b.now_ms = clock_now_ms();
        b.told = claims_of_scopes(&a, str_from(TOLD), STR(""));
        for (; b.n < BATCH && i < opt.people; i++)
            row_make(&a, i, &b.rows[b.n++]);
        must(db_write(opt.db, batch_write, &b), "write");
        arena_reset(&a);
    }
    db_close(opt.db);
    keys_close(opt.keys);
    arena_free(&a);
    return 0;
}
