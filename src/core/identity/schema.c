#include "core/identity/schema.h"

/* client             who may ask us who a person is
 * client_uri         addresses of a client, by kind: redirect, post_logout
 * identity_provider  whom we ask
 * provider_state     what was last seen of them: their metadata, their keys, whether they answer
 * person             somebody; what is known of her is sealed under her key
 * person_link        a provider's identifier (blind) and the person it names
 * person_sub         her identifier at an entity; what is stored wins over what is computed
 * person_client      which clients she signed in to, and what she was told they receive
 * flow               a sign-in under way; the row's name is a hash, its data opens with the id only
 * code               an authorization code; kept past its use, so that a second use is noticed
 * used_proof         identifiers of client assertions and DPoP proofs that were used
 * pushed_request     authorization requests that clients pushed (RFC 9126); open with their address
 * refresh_grant      a client's lasting access: one row for all the refresh tokens of one agreement
 * session_client     which clients a session was passed on to, for those that are told of its end
 * logout_notice      back-channel logouts still to be delivered
 * wallet_request     what a wallet was asked and answered; the row's name is a hash of the
 *                    request's, which alone opens its data; minutes long
 * local_account      accounts of our own store: operators
 *
 * Names of people, their addresses and identifiers elsewhere stand nowhere in clear. */
const struct db_migration identity_migrations[IDENTITY_MIGRATIONS] = {
    {"identity", 1,
     "CREATE TABLE client("
     " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name_fr TEXT NOT NULL, name_en TEXT NOT NULL,"
     " profile TEXT NOT NULL, realm TEXT NOT NULL, entity_id TEXT NOT NULL, state TEXT NOT NULL,"
     " secret_mac TEXT NOT NULL, old_secret_mac TEXT NOT NULL, old_secret_until BIGINT NOT NULL,"
     " auth_methods TEXT NOT NULL, jwks TEXT NOT NULL, id_token_alg TEXT NOT NULL,"
     " userinfo_alg TEXT NOT NULL, scopes TEXT NOT NULL, providers TEXT NOT NULL,"
     " pkce BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);"
     "CREATE TABLE client_uri("
     " client_id TEXT NOT NULL, kind TEXT NOT NULL, uri TEXT NOT NULL,"
     " PRIMARY KEY(client_id, kind, uri));"
     "CREATE TABLE identity_provider("
     " id TEXT PRIMARY KEY, realm TEXT NOT NULL, name_fr TEXT NOT NULL, name_en TEXT NOT NULL,"
     " hint_fr TEXT NOT NULL, hint_en TEXT NOT NULL, issuer TEXT NOT NULL, client_id TEXT NOT NULL,"
     " secret BLOB NOT NULL, conf TEXT NOT NULL, min_acr TEXT NOT NULL, position BIGINT NOT NULL,"
     " state TEXT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE TABLE provider_state("
     " provider TEXT PRIMARY KEY, up BIGINT NOT NULL, checked_at BIGINT NOT NULL,"
     " meta TEXT NOT NULL, jwks TEXT NOT NULL, read_at BIGINT NOT NULL);"
     "CREATE TABLE person("
     " id TEXT PRIMARY KEY, realm TEXT NOT NULL, identity_blind TEXT UNIQUE, state TEXT NOT NULL,"
     " claims BLOB NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);"
     "CREATE TABLE person_link("
     " provider TEXT NOT NULL, sub_blind TEXT NOT NULL, person TEXT NOT NULL,"
     " first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, PRIMARY KEY(provider, sub_blind));"
     "CREATE INDEX person_link_person ON person_link(person);"
     "CREATE TABLE person_sub("
     " person TEXT NOT NULL, entity_id TEXT NOT NULL, sub TEXT NOT NULL,"
     " PRIMARY KEY(person, entity_id));"
     "CREATE UNIQUE INDEX person_sub_sub ON person_sub(entity_id, sub);"
     "CREATE TABLE person_client("
     " person TEXT NOT NULL, client_id TEXT NOT NULL, told TEXT NOT NULL,"
     " first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, PRIMARY KEY(person, client_id));"
     "CREATE TABLE flow("
     " id TEXT PRIMARY KEY, stage BIGINT NOT NULL, data BLOB NOT NULL, until_at BIGINT NOT NULL);"
     "CREATE INDEX flow_until ON flow(until_at);"
     "CREATE TABLE code("
     " id TEXT PRIMARY KEY, client_id TEXT NOT NULL, data BLOB NOT NULL, until_at BIGINT NOT NULL,"
     " used_at BIGINT NOT NULL, jti TEXT NOT NULL, keep_until BIGINT NOT NULL);"
     "CREATE INDEX code_keep ON code(keep_until);"
     "CREATE TABLE used_proof(id TEXT PRIMARY KEY, until_at BIGINT NOT NULL);"
     "CREATE INDEX used_proof_until ON used_proof(until_at);"
     "CREATE TABLE local_account("
     " id TEXT PRIMARY KEY, login_blind TEXT NOT NULL UNIQUE, role TEXT NOT NULL,"
     " password TEXT NOT NULL, data BLOB NOT NULL, state TEXT NOT NULL, failures BIGINT NOT NULL,"
     " locked_until BIGINT NOT NULL, created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL);"},
    {"identity", 2,
     "ALTER TABLE client ADD COLUMN par BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE client ADD COLUMN bound TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE client ADD COLUMN logout_uri TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE client ADD COLUMN data_provider BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE pushed_request("
     " id TEXT PRIMARY KEY, client_id TEXT NOT NULL, data BLOB NOT NULL, until_at BIGINT NOT NULL);"
     "CREATE INDEX pushed_request_until ON pushed_request(until_at);"
     "CREATE TABLE refresh_grant("
     " id TEXT PRIMARY KEY, person TEXT NOT NULL, client_id TEXT NOT NULL, turn BIGINT NOT NULL,"
     " data BLOB NOT NULL, created_at BIGINT NOT NULL, used_at BIGINT NOT NULL,"
     " until_at BIGINT NOT NULL, ended_at BIGINT NOT NULL);"
     "CREATE INDEX refresh_grant_person ON refresh_grant(person);"
     "CREATE INDEX refresh_grant_until ON refresh_grant(until_at);"
     "CREATE TABLE session_client("
     " sid TEXT NOT NULL, client_id TEXT NOT NULL, until_at BIGINT NOT NULL,"
     " PRIMARY KEY(sid, client_id));"
     "CREATE INDEX session_client_until ON session_client(until_at);"
     "CREATE TABLE logout_notice("
     " id TEXT PRIMARY KEY, client_id TEXT NOT NULL, person TEXT NOT NULL, sid TEXT NOT NULL,"
     " tries BIGINT NOT NULL, next_at BIGINT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE INDEX logout_notice_next ON logout_notice(next_at);"},
    {"identity", 3, "ALTER TABLE client ADD COLUMN consent TEXT NOT NULL DEFAULT 'inform';"},
    {"identity", 4,
     "CREATE TABLE legacy_sub("
     " entity_id TEXT NOT NULL, identity_blind TEXT NOT NULL, sub TEXT NOT NULL,"
     " PRIMARY KEY(entity_id, identity_blind));"
     "CREATE UNIQUE INDEX legacy_sub_sub ON legacy_sub(entity_id, sub);"},
    {"identity", 5,
     "CREATE TABLE wallet_request("
     " id TEXT PRIMARY KEY, stage BIGINT NOT NULL, data BLOB NOT NULL, until_at BIGINT NOT NULL);"
     "CREATE INDEX wallet_request_until ON wallet_request(until_at);"},
};
