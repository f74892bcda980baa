/* PostgreSQL: connections, waiting with a limit, and what its errors mean. libpq's own calls wait
 * for ever on a server that has stopped answering, so results are waited for here; and it would ask
 * the system's resolver, which the sandbox has not, so names are resolved here too. */
#include "data/db_pg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/resolve.h"

enum { SETTINGS_MAX = 64, LIST_BYTES_MAX = 2048, IDLE_IN_TRANSACTION_MS = 120000, GRACE_MS = 5000 };

/* --- where and how ---------------------------------------------------------------------------- */

struct target {
    const char *keys[SETTINGS_MAX + 1], *values[SETTINGS_MAX + 1];
    size_t n;
};

static void setting_put(struct target *t, const char *key, const char *value)
{
    size_t i = 0;
    while (i < t->n && strcmp(t->keys[i], key) != 0)
        i++;
    if (i == SETTINGS_MAX)
        abort();
    t->keys[i] = key;
    t->values[i] = value;
    t->n += i == t->n;
}

static const char *setting(const struct target *t, const char *key)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->keys[i], key) == 0)
            return t->values[i];
    return NULL;
}

static void setting_put_absent(struct target *t, const char *key, const char *value)
{
    if (!setting(t, key))
        setting_put(t, key, value);
}

static void list_add(struct buf *list, struct str item)
{
    buf_add_z(list, list->n ? "," : "");
    buf_add_str(list, item);
}

static bool address_add(struct buf *list, struct str host, bool *outside)
{
    struct resolved r;
    size_t n;
    char text[INET6_ADDRSTRLEN];
    if (resolve_host(host, 0, true, &r, 1, &n) != ERR_OK)
        return false;
    bool v4 = r.addr.ss_family == AF_INET;
    const void *from = v4 ? (const void *)&((struct sockaddr_in *)&r.addr)->sin_addr
                          : (const void *)&((struct sockaddr_in6 *)&r.addr)->sin6_addr;
    if (!inet_ntop(r.addr.ss_family, from, text, sizeof text))
        return false;
    *outside |= strncmp(text, "127.", 4) != 0 && strcmp(text, "::1") != 0;
    list_add(list, str_from(text));
    return true;
}

/* Names to addresses; a host that has none now is left out, one of the others may be up. Ports go
 * with their hosts. False when none has an address. */
static bool hosts_resolve(struct arena *a, struct target *t, bool *outside)
{
    struct str hosts = str_from(setting(t, "host")), ports = str_from(setting(t, "port"));
    struct str host, port;
    struct buf names, addresses, numbers;
    bool many_ports = str_find_char(ports, ',') >= 0;
    buf_init(&names, LIST_BYTES_MAX);
    buf_init(&addresses, LIST_BYTES_MAX);
    buf_init(&numbers, LIST_BYTES_MAX);
    while (str_split(&hosts, ',', &host)) {
        if (many_ports && !str_split(&ports, ',', &port))
            break;
        if (!address_add(&addresses, host, outside))
            continue;
        list_add(&names, host);
        if (many_ports)
            list_add(&numbers, port);
    }
    bool good = addresses.n > 0 && !names.err && !addresses.err && !numbers.err;
    setting_put(t, "host", arena_dupz(a, buf_str(&names)));
    setting_put(t, "hostaddr", arena_dupz(a, buf_str(&addresses)));
    if (many_ports)
        setting_put(t, "port", arena_dupz(a, buf_str(&numbers)));
    buf_free(&names);
    buf_free(&addresses);
    buf_free(&numbers);
    return good;
}

/* The URL's settings, and ours where it says nothing. Outside this machine that means TLS to a
 * server whose name is checked. */
static enum err target_read(struct arena *a, const char *url, struct target *t)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    if (!options) {
        log_error("db_url_invalid"); /* it may hold a password */
        return ERR_INVALID;
    }
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (o->val)
            setting_put(t, arena_dupz(a, str_from(o->keyword)), arena_dupz(a, str_from(o->val)));
    PQconninfoFree(options);
    const char *host = setting(t, "host");
    bool outside = setting(t, "hostaddr") != NULL;
    if (host && host[0] != '/' && !outside && !hosts_resolve(a, t, &outside))
        return ERR_UNAVAILABLE;
    if (outside && !setting(t, "sslmode")) {
        setting_put(t, "sslmode", "verify-full");
        setting_put_absent(t, "sslrootcert", "/etc/ssl/certs/ca-certificates.crt");
    }
    setting_put(t, "client_encoding", "UTF8");
    setting_put_absent(t, "gssencmode", "disable");
    setting_put_absent(t, "connect_timeout", "4");
    setting_put_absent(t, "tcp_user_timeout", "10000");
    setting_put_absent(t, "target_session_attrs", "read-write");
    setting_put_absent(t, "fallback_application_name", "socle");
    return ERR_OK;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void say_nothing(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* What the server must hold to: times, and that an acknowledged commit is on its disk. */
static enum err session_start(struct pg_conn *c)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SET statement_timeout = %d; SET lock_timeout = %d;"
             "SET idle_in_transaction_session_timeout = %d; SET default_transaction_read_only = %s;"
             "SET bytea_output = hex;"
             "SELECT set_config('synchronous_commit', 'on', false) "
             "WHERE current_setting('synchronous_commit') = 'off'",
             PG_STATEMENT_MS, DB_LOCK_WAIT_MS, IDLE_IN_TRANSACTION_MS, c->writes ? "off" : "on");
    return pg_conn_simple(c, sql, PG_STATEMENT_MS, NULL);
}

enum err pg_conn_open(struct db *db, struct pg_conn *c)
{
    struct target t = {0};
    struct arena a;
    pg_conn_close(c);
    arena_init(&a);
    enum err e = target_read(&a, db->url, &t);
    if (e == ERR_OK) {
        c->pg = PQconnectdbParams(t.keys, t.values, 0);
        if (PQstatus(c->pg) != CONNECTION_OK) {
            log_warn("db_connect_failed", "why", PQerrorMessage(c->pg));
            e = ERR_UNAVAILABLE;
        }
    }
    if (e == ERR_OK) {
        const char *encoding = PQparameterStatus(c->pg, "server_encoding");
        PQsetNoticeProcessor(c->pg, say_nothing, NULL);
        PQsetnonblocking(c->pg, 1);
        if (!encoding || strcmp(encoding, "UTF8") != 0) {
            log_error("db_encoding_is_not_utf8", "encoding", encoding);
            e = ERR_INVALID;
        } else {
            e = session_start(c);
        }
    }
    arena_free(&a);
    if (e != ERR_OK)
        pg_conn_close(c);
    return e == ERR_OK ? ERR_OK : ERR_UNAVAILABLE;
}

void pg_conn_close(struct pg_conn *c)
{
    struct str key;
    void *prepared;
    size_t at = 0;
    while (map_next(&c->prepared, &at, &key, &prepared))
        free(prepared);
    map_free(&c->prepared);
    map_init(&c->prepared);
    if (c->pg)
        PQfinish(c->pg);
    c->pg = NULL;
    c->silent = false;
    c->cursors = 0;
}

bool pg_conn_is_good(const struct pg_conn *c)
{
    return c->pg && PQstatus(c->pg) == CONNECTION_OK;
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* False when the time is over. */
static bool wait_once(struct pg_conn *c, bool unsent, int64_t until_ms)
{
    struct pollfd fd = {.fd = PQsocket(c->pg), .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
    int64_t left_ms = until_ms - clock_mono_ms();
    if (until_ms >= 0 && left_ms <= 0)
        return false;
    int n = poll(&fd, 1, until_ms < 0 ? -1 : (int)left_ms);
    return n != 0 || until_ms < 0;
}

enum err pg_conn_wait(struct pg_conn *c, int timeout_ms, PGresult **out)
{
    int64_t until_ms = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms + GRACE_MS;
    *out = NULL;
    for (;;) {
        int unsent = PQflush(c->pg);
        if (unsent < 0 || (unsent == 0 && !PQisBusy(c->pg)))
            break;
        if (!wait_once(c, unsent > 0, until_ms)) {
            log_warn("db_does_not_answer");
            pg_conn_close(c);
            c->silent = true;
            return ERR_UNAVAILABLE;
        }
        if (!PQconsumeInput(c->pg))
            break; /* the connection is lost: the next result says so */
    }
    *out = PQgetResult(c->pg);
    return ERR_OK;
}

enum err pg_conn_finish(struct pg_conn *c, const char *sql, int timeout_ms, char tag[16])
{
    enum err e = ERR_OK;
    for (;;) {
        PGresult *r;
        if (pg_conn_wait(c, timeout_ms, &r) != ERR_OK)
            return pg_conn_fault(c, NULL, sql);
        if (!r)
            return e;
        ExecStatusType status = PQresultStatus(r);
        if (tag)
            snprintf(tag, 16, "%s", PQcmdStatus(r));
        if (e == ERR_OK && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            e = pg_conn_fault(c, r, sql);
        PQclear(r);
    }
}

enum err pg_conn_simple(struct pg_conn *c, const char *sql, int timeout_ms, char tag[16])
{
    if (!c->pg || !PQsendQuery(c->pg, sql))
        return pg_conn_fault(c, NULL, sql);
    return pg_conn_finish(c, sql, timeout_ms, tag);
}

/* --- what errors mean ------------------------------------------------------------------------- */

/* By the beginning of the SQLSTATE; the first that fits. */
static const struct meaning {
    const char *state;
    enum err e;
    bool again;
} meanings[] = {
    {"23505", ERR_EXISTS, false},    {"23", ERR_INVALID, false}, /* other constraints */
    {"22", ERR_INVALID, false},                                  /* data */
    {"40001", ERR_CONFLICT, true},                               /* not in order with the others */
    {"40P01", ERR_CONFLICT, true},                               /* a deadlock */
    {"40", ERR_CONFLICT, false},     {"55P03", ERR_UNAVAILABLE, false}, /* locked too long */
    {"57P0", ERR_UNAVAILABLE, true}, /* the server, or this connection, is ended */
    {"57", ERR_UNAVAILABLE, false},  /* the statement took too long */
    {"08P01", ERR_INTERNAL, false},  /* not as many values as parameters */
    {"08", ERR_UNAVAILABLE, false},  {"25P03", ERR_UNAVAILABLE, false},
    {"53100", ERR_FULL, false},      {"53", ERR_UNAVAILABLE, false},
    {"58", ERR_IO, false},           {"XX001", ERR_CORRUPT, false},
    {"XX002", ERR_CORRUPT, false},   {"25006", ERR_IO, false}, /* as SQLite's read-only */
    {"26000", ERR_INTERNAL, true},                             /* the prepared statement is gone */
    {"0A000", ERR_INTERNAL, true}, /* its plan no longer fits the table */
};

enum err pg_conn_fault(struct pg_conn *c, const PGresult *r, const char *sql)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    bool lost = !pg_conn_is_good(c);
    c->again = lost && !c->silent;
    if (lost)
        return ERR_UNAVAILABLE;
    state = state ? state : "";
    for (size_t i = 0; i < COUNT_OF(meanings); i++)
        if (strncmp(state, meanings[i].state, strlen(meanings[i].state)) == 0) {
            c->again |= meanings[i].again;
            if (meanings[i].e != ERR_INTERNAL)
                return meanings[i].e;
            break;
        }
    /* Only class 42, errors of the statement itself, speaks of nothing but the statement. */
    const char *why =
        strncmp(state, "42", 2) == 0 ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : "";
    log_error("sql_failed", "state", state, "why", why, "sql", sql);
    return ERR_INTERNAL;
}
