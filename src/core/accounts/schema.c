#include "core/accounts/accounts.h"

#include "base/log.h"

/* own_account   an account; its address is found by a blind index, all else of her is sealed
 * own_passkey   a credential; the row's name is a digest of the credential's id
 * own_recovery  what is left of her recovery codes, as keyed digests
 * own_desk      enrolment codes that a desk gave out; the identity opens with the code alone
 * own_used      challenges and confirmation codes that were used
 *
 * docs/formats/account-rows.md */
const struct db_migration accounts_migrations[ACCOUNTS_MIGRATIONS] = {
    {"accounts", 1,
     "CREATE TABLE own_account("
     " id TEXT PRIMARY KEY, person TEXT NOT NULL, email_blind TEXT NOT NULL UNIQUE,"
     " password TEXT NOT NULL, data BLOB NOT NULL, totp BLOB NOT NULL, verified TEXT NOT NULL,"
     " totp_level BIGINT NOT NULL, totp_step BIGINT NOT NULL, desk_until BIGINT NOT NULL,"
     " created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL);"
     "CREATE INDEX own_account_person ON own_account(person);"
     "CREATE TABLE own_passkey("
     " id TEXT PRIMARY KEY, account TEXT NOT NULL, data BLOB NOT NULL, flags BIGINT NOT NULL,"
     " count BIGINT NOT NULL, level BIGINT NOT NULL, created_at BIGINT NOT NULL,"
     " used_at BIGINT NOT NULL);"
     "CREATE INDEX own_passkey_account ON own_passkey(account);"
     "CREATE TABLE own_recovery("
     " account TEXT NOT NULL, digest TEXT NOT NULL, level BIGINT NOT NULL,"
     " PRIMARY KEY(account, digest));"
     "CREATE TABLE own_desk("
     " id TEXT PRIMARY KEY, data BLOB NOT NULL, agent TEXT NOT NULL, org_id TEXT NOT NULL,"
     " until_at BIGINT NOT NULL);"
     "CREATE TABLE own_try("
     " id TEXT PRIMARY KEY, n BIGINT NOT NULL, last_at BIGINT NOT NULL);"
     "CREATE INDEX own_try_last ON own_try(last_at);"
     "CREATE TABLE own_used(id TEXT PRIMARY KEY, until_at BIGINT NOT NULL);"
     "CREATE INDEX own_used_until ON own_used(until_at);"},
    {"accounts", 2, "DROP TABLE own_try;"}, /* platform/throttle.h counts tries */
};

static enum err sweep(struct db_conn *db, void *arg)
{
    int64_t now_ms = *(int64_t *)arg;
    enum err e = db_exec(db, "DELETE FROM own_used WHERE until_at < $1", "i", now_ms);
    return e == ERR_OK ? db_exec(db, "DELETE FROM own_desk WHERE until_at < $1", "i", now_ms) : e;
}

void accounts_tick(struct platform *pf, int64_t now_ms)
{
    static int turn;
    enum { SWEEP_EVERY_S = 60 };
    if (turn++ % SWEEP_EVERY_S == 30 && db_write(pf->db, sweep, &now_ms) != ERR_OK)
        log_warn("accounts_sweep_failed");
}
