#include "core/partners/partners.h"

/* partner_team      who builds services; an organisation's team has the id "org:<organisation>"
 * partner_member    people of a team that is of no organisation; the name sealed under each one's
 * key partner_invite    a link that makes somebody a member, once partner_client    whose a client
 * is; of a production one: its contract's request and its trial partner_provider  whose an identity
 * provider is, and what its trials gave partner_refusal   what the issuer refused a client: no
 * personal value, 30 days, 200 a client */
const struct db_migration partners_migrations[PARTNERS_MIGRATIONS] = {
    {"partners", 1,
     "CREATE TABLE partner_team("
     " id TEXT PRIMARY KEY, name TEXT NOT NULL, org_id TEXT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE TABLE partner_member("
     " team TEXT NOT NULL, person TEXT NOT NULL, name BLOB NOT NULL, joined_at BIGINT NOT NULL,"
     " PRIMARY KEY(team, person));"
     "CREATE INDEX partner_member_person ON partner_member(person);"
     "CREATE TABLE partner_invite("
     " hash TEXT PRIMARY KEY, team TEXT NOT NULL, until_at BIGINT NOT NULL);"
     "CREATE TABLE partner_client("
     " client_id TEXT PRIMARY KEY, team TEXT NOT NULL, stage TEXT NOT NULL, request TEXT NOT NULL,"
     " sandbox TEXT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE INDEX partner_client_team ON partner_client(team);"
     "CREATE TABLE partner_provider("
     " id TEXT PRIMARY KEY, team TEXT NOT NULL, looked TEXT NOT NULL, trial TEXT NOT NULL,"
     " looked_at BIGINT NOT NULL, tried_at BIGINT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE INDEX partner_provider_team ON partner_provider(team);"
     "CREATE TABLE partner_refusal("
     " id TEXT NOT NULL, client_id TEXT NOT NULL, at BIGINT NOT NULL, code TEXT NOT NULL,"
     " why TEXT NOT NULL, sent TEXT NOT NULL, PRIMARY KEY(client_id, id));"
     "CREATE INDEX partner_refusal_at ON partner_refusal(client_id, at);"
     "CREATE INDEX partner_refusal_old ON partner_refusal(at);"},
};
