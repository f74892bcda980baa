/* Codes of an authenticator application (RFC 6238, SHA-1, 6 digits, 30 s: what every application
 * knows), by liboath; and recovery codes. A code is good once: the step it belongs to is kept. */
#include "core/accounts/accounts.h"

#include <liboath/oath.h>
#include <pthread.h>
#include "base/clock.h"

enum { DIGITS = 6, STEP_S = 30, WINDOW = 1, RECOVERY_LEN = 16 };

struct str totp_base32(struct ctx *c, struct str secret)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char *out = arena_alloc(c->arena, secret.n * 8 / 5 + 2);
    size_t n = 0;
    unsigned bits = 0, n_bits = 0;
    for (size_t i = 0; i < secret.n; i++) {
        bits = bits << 8 | (uint8_t)secret.p[i];
        for (n_bits += 8; n_bits >= 5; n_bits -= 5)
            out[n++] = alphabet[bits >> (n_bits - 5) & 31];
    }
    if (n_bits)
        out[n++] = alphabet[bits << (5 - n_bits) & 31];
    return str_of(out, n);
}

struct str totp_uri(struct ctx *c, const struct account *a, struct str secret)
{
    struct buf b;
    struct str issuer = str_from(c->pf->settings->brand_name);
    buf_init(&b, 2048);
    buf_add_z(&b, "otpauth://totp/");
    buf_add_url(&b, issuer);
    buf_add_char(&b, ':');
    buf_add_url(&b, a->email);
    buf_add_z(&b, "?secret=");
    buf_add_str(&b, totp_base32(c, secret));
    buf_add_z(&b, "&issuer=");
    buf_add_url(&b, issuer);
    struct str out = arena_dup(c->arena, buf_str(&b));
    buf_free(&b);
    return out;
}

static void oath_begin(void)
{
    (void)oath_init();
}

enum err totp_check(struct str secret, struct str code, int64_t now_ms, int64_t after,
                    int64_t *step)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint64_t counter = 0;
    char otp[DIGITS + 1] = {0};
    size_t n = 0;
    int pos = 0;
    for (size_t i = 0; i < code.n; i++) {
        if (code.p[i] == ' ')
            continue;
        if (n == DIGITS || code.p[i] < '0' || code.p[i] > '9')
            return ERR_DENIED;
        otp[n++] = code.p[i];
    }
    if (n != DIGITS || pthread_once(&once, oath_begin) != 0)
        return ERR_DENIED;
    int rc = oath_totp_validate3(secret.p, secret.n, (time_t)(now_ms / 1000), STEP_S, 0, WINDOW,
                                 &pos, &counter, otp);
    if (rc < 0)
        return ERR_DENIED;
    *step = (int64_t)counter;
    return *step > after ? ERR_OK : ERR_DENIED;
}

/* ---- using --------------------------------------------------------------------------------------
 */
struct use {
    struct str account, digest;
    int64_t step, level, now_ms;
};

/* Two requests with one code: the second changes nothing. */
static enum err step_write(struct db_conn *db, void *arg)
{
    struct use *u = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed,
        "UPDATE own_account SET totp_step = $2, seen_at = $3 WHERE id = $1 AND totp_step < $2",
        "sii", u->account, u->step, u->now_ms);
    return e == ERR_OK && changed != 1 ? ERR_DENIED : e;
}

static enum err recovery_write(struct db_conn *db, void *arg)
{
    struct use *u = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed, "DELETE FROM own_recovery WHERE account = $1 AND digest = $2",
                      "ss", u->account, u->digest);
    return e == ERR_OK && changed != 1 ? ERR_DENIED : e;
}

static struct str recovery_digest(struct ctx *c, const struct account *a, struct str code)
{
    return secret_digest(
        c, "recovery", arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(a->id), STR_ARG(code)));
}

enum err recovery_use(struct ctx *c, const struct account *a, struct str code, int64_t *level)
{
    struct db_result r;
    struct act act;
    struct str typed = secret_typed(c, code);
    struct use u = {.account = a->id, .digest = recovery_digest(c, a, typed)};
    struct db_conn *db = db_read(c->pf->db);
    if (typed.n != RECOVERY_LEN)
        return ERR_DENIED;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT level FROM own_recovery WHERE account = $1 AND digest = $2",
                              "ss", a->id, u.digest);
    if (e == ERR_OK) {
        *level = db_i64(&r, 0, 0);
        e = account_act(c, a, "accounts.recovery_used", "self",
                        "Un code de secours de votre compte a été utilisé",
                        "A recovery code of your account was used", &act);
    }
    if (e == ERR_OK)
        e = act_write(c, recovery_write, &u, &act, 1);
    return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}

enum err factor_use(struct ctx *c, struct account *a, struct str code, int64_t *level,
                    const char **amr)
{
    struct use u = {.account = a->id, .now_ms = clock_now_ms()};
    enum err e = ERR_DENIED;
    *amr = "pwd otp mfa";
    if (a->totp.n)
        e = totp_check(a->totp, code, u.now_ms, a->totp_step, &u.step);
    if (e == ERR_OK) {
        *level = a->totp_level;
        a->totp_step = u.step;
        return db_write(c->pf->db, step_write, &u);
    }
    return recovery_use(c, a, code, level);
}

/* ---- new recovery codes -------------------------------------------------------------------------
 */
struct fresh {
    struct str account, digest[RECOVERY_N];
    int64_t level;
};

static enum err fresh_write(struct db_conn *db, void *arg)
{
    struct fresh *f = arg;
    enum err e = db_exec(db, "DELETE FROM own_recovery WHERE account = $1", "s", f->account);
    for (size_t i = 0; i < RECOVERY_N && e == ERR_OK; i++)
        e = db_exec(db, "INSERT INTO own_recovery(account, digest, level) VALUES($1, $2, $3)",
                    "ssi", f->account, f->digest[i], f->level);
    return e;
}

enum err recovery_new(struct ctx *c, struct account *a, json_t **codes)
{
    struct act act;
    struct fresh f = {.account = a->id, .level = factor_level(c, a)};
    *codes = json_array();
    json_own(&c->pool, *codes);
    if (f.level > LEVEL_SUBSTANTIAL)
        f.level = LEVEL_SUBSTANTIAL;
    for (size_t i = 0; i < RECOVERY_N; i++) {
        struct str code = secret_words(c, RECOVERY_LEN);
        f.digest[i] = recovery_digest(c, a, secret_typed(c, code));
        json_array_append_new(*codes, json_stringn(code.p, code.n));
    }
    enum err e = account_act(c, a, "accounts.recovery_made", "self",
                             "Vous avez demandé de nouveaux codes de secours",
                             "You asked for new recovery codes", &act);
    return e == ERR_OK ? act_write(c, fresh_write, &f, &act, 1) : e;
}

/* A factor is worth what the sign-in was worth that let it in: somebody who stole a password must
 * not be able to add a key that makes her sign-in substantial. At the desk, the agent let it in. */
int64_t factor_level(const struct ctx *c, const struct account *a)
{
    if (a->desk_until_ms > clock_now_ms())
        return LEVEL_HIGH;
    struct str acr = c->session ? json_get_str(c->session->data, "acr") : STR("");
    return str_eq_z(acr, "eidas3")   ? LEVEL_HIGH
           : str_eq_z(acr, "eidas2") ? LEVEL_SUBSTANTIAL
                                     : LEVEL_LOW;
}
