/* Outgoing mail. What is queued lies sealed under its owner's key, address and text both: whoever
 * reads the table learns that a mail waits, not for whom, and erasing a person erases what was
 * still to be sent. The row goes with its delivery; figures alone are kept. */
#include "platform/mail.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "platform/cli.h"
#include "platform/mail_inner.h"
#include "sys/proc.h"
#include "web/letter.h"

enum {
    ADDRESS_MAX = 254, /* RFC 5321 4.5.3.1.3, less the angle brackets */
    SUBJECT_MAX = 300,
    TEXT_MAX = 16 * 1024,
    TRIES_MAX = 12,
    BATCH = 20,
    MINUTE_MS = 60 * 1000,
    HELD_MS = 2 * MINUTE_MS, /* one node at a time */
};
static const char CONTEXT[] = "mail";

const struct db_migration mail_migrations[MAIL_MIGRATIONS] = {
    {"mail", 1,
     "CREATE TABLE mail("
     " id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL,"
     " tries BIGINT NOT NULL, next_at BIGINT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE INDEX mail_next ON mail(next_at);"
     "CREATE TABLE mail_count("
     " kind TEXT NOT NULL, result TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY(kind, result));"},
};

/* ---- queueing -----------------------------------------------------------------------------------
 */
static bool is_line(struct str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
            return false;
    return s.n && s.n <= max && str_is_utf8(s);
}

static bool is_word(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr(more, c))
            return false;
    }
    return s.n > 0;
}

/* RFC 5321 4.1.2, without quoted local parts and address literals. */
bool mail_address_ok(struct str to)
{
    ptrdiff_t at = str_find_char(to, '@');
    if (at < 1 || at > 64 || to.n > ADDRESS_MAX)
        return false;
    struct str part, rest = str_sub(to, 0, (size_t)at), domain = str_after(to, (size_t)at + 1);
    if (rest.p[rest.n - 1] == '.' || !domain.n || domain.p[domain.n - 1] == '.')
        return false;
    while (str_split(&rest, '.', &part))
        if (!is_word(part, "!#$%&'*+-/=?^_`{|}~"))
            return false;
    while (str_split(&domain, '.', &part))
        if (!is_word(part, "-") || part.n > 63 || part.p[0] == '-')
            return false;
    return true;
}

enum err mail_seal(struct ctx *c, const struct mail *m, struct mail_sealed *out)
{
    *out = (struct mail_sealed){.owner = m->owner, .kind = m->kind, .data = STR_NONE};
    if (!mail_address_ok(m->to) || !is_line(m->subject, SUBJECT_MAX) || !m->text.n ||
        m->text.n > TEXT_MAX || !str_is_utf8(m->text))
        return ERR_INVALID;
    if (!*c->pf->settings->mail_relay)
        return ERR_OK;
    id_new(out->id);
    json_t *v = json_pack("{s:i,s:s%,s:s%,s:s%}", "v", 1, "to", m->to.p, m->to.n, "subject",
                          m->subject.p, m->subject.n, "text", m->text.p, m->text.n);
    if (!v)
        return ERR_INVALID; /* a NUL in it */
    enum err e = vault_seal(c, str_from(m->owner), CONTEXT, json_text(c->arena, v), &out->data);
    json_decref(v);
    return e;
}

enum err mail_queue(struct db_conn *db, const struct mail_sealed *m, int64_t now_ms)
{
    if (!m->data.n)
        return ERR_OK;
    return db_exec(db,
                   "INSERT INTO mail(id, owner, kind, data, tries, next_at, created_at) "
                   "VALUES($1, $2, $3, $4, 0, $5, $5)",
                   "zzzbi", m->id, m->owner, m->kind, m->data, now_ms);
}

/* ---- the message (RFC 5322) ---------------------------------------------------------------------
 */
/* RFC 2047: words of at most 75 characters, never cut inside a character. */
static void subject_add(struct buf *b, struct str s)
{
    bool plain = true;
    for (size_t i = 0; i < s.n; i++)
        plain = plain && (unsigned char)s.p[i] < 127;
    if (plain && s.n < 70) {
        buf_add_str(b, s);
        return;
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = 0, step;
        while (at + n < s.n && (step = str_utf8_len(s.p + at + n, s.n - at - n)) > 0 &&
               n + step <= 42)
            n += step;
        buf_add_z(b, at ? "\r\n =?utf-8?B?" : "=?utf-8?B?");
        buf_add_base64(b, s.p + at, n);
        buf_add_z(b, "?=");
        at += n;
    }
}

static void text_add(struct buf *b, struct str text)
{
    enum { LINE = 57 }; /* bytes, 76 characters */
    for (size_t at = 0; at < text.n; at += LINE) {
        struct str part = str_sub(text, at, LINE);
        buf_add_base64(b, part.p, part.n);
        buf_add_z(b, "\r\n");
    }
}

struct str mail_message(struct arena *a, struct str from, const char *id, int64_t at_ms,
                        const struct mail *m)
{
    struct buf b, crlf;
    char date[30];
    clock_http_date(at_ms, date);
    buf_init(&b, 64 * 1024);
    buf_init(&crlf, 2 * TEXT_MAX);
    for (size_t i = 0; i < m->text.n; i++) {
        if (m->text.p[i] == '\n')
            buf_add_char(&crlf, '\r');
        buf_add_char(&crlf, m->text.p[i]);
    }
    ptrdiff_t at = str_find_char(from, '@');
    struct str host = str_after(from, (size_t)(at + 1));
    buf_printf(&b,
               "Date: %.25s +0000\r\nFrom: <" STR_FMT ">\r\nTo: <" STR_FMT ">\r\nSubject: ", date,
               STR_ARG(from), STR_ARG(m->to));
    subject_add(&b, m->subject);
    buf_printf(&b,
               "\r\nMessage-ID: <%s@" STR_FMT ">\r\nMIME-Version: 1.0\r\n"
               "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
               "Auto-Submitted: auto-generated\r\n\r\n",
               id, STR_ARG(host));
    text_add(&b, buf_str(&crlf));
    struct str out = arena_dup(a, buf_str(&b));
    buf_free(&crlf);
    buf_free(&b);
    return out;
}

/* ---- delivery -----------------------------------------------------------------------------------
 */
struct waiting {
    const char *id;
    struct str owner, kind, data;
    int64_t tries, next_ms, created_ms, now_ms;
    const char *result; /* "sent", "failed", "given_up", "erased" */
};

static enum err take(struct db_conn *db, void *arg)
{
    const struct waiting *w = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed, "UPDATE mail SET next_at = $3 WHERE id = $1 AND next_at = $2",
                      "zii", w->id, w->next_ms, w->now_ms + HELD_MS);
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

static enum err settle(struct db_conn *db, void *arg)
{
    const struct waiting *w = arg;
    int64_t wait_ms = (int64_t)MINUTE_MS << w->tries;
    bool again = strcmp(w->result, "failed") == 0;
    enum err e = again ? db_exec(db, "UPDATE mail SET tries = $2, next_at = $3 WHERE id = $1",
                                 "zii", w->id, w->tries + 1, w->now_ms + wait_ms)
                       : db_exec(db, "DELETE FROM mail WHERE id = $1", "z", w->id);
    return e == ERR_OK
               ? db_exec(db,
                         "INSERT INTO mail_count(kind, result, n) VALUES($1, $2, 1) ON CONFLICT "
                         "(kind, result) DO UPDATE SET n = mail_count.n + 1",
                         "sz", w->kind, w->result)
               : e;
}

/* "login\npassword" of the file named by mail_login_file. */
static void login_read(struct str text, struct letter *l)
{
    struct str line;
    if (text.n && str_split(&text, '\n', &line))
        l->login = str_trim(line);
    if (text.n && str_split(&text, '\n', &line))
        l->password = str_trim(line);
}

static enum err send(struct ctx *c, const struct waiting *w)
{
    const struct settings *s = c->pf->settings;
    struct letter l = {.relay = str_from(s->mail_relay), .from = str_from(s->mail_from)};
    struct str plain;
    json_t *v;
    enum err e = vault_open(c, w->owner, CONTEXT, w->data, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    struct mail m = {.to = json_get_str(v, "to"),
                     .subject = json_get_str(v, "subject"),
                     .text = json_get_str(v, "text")};
    login_read(s->mail_login_text, &l);
    l.to = m.to;
    l.message = mail_message(c->arena, l.from, w->id, w->created_ms, &m);
    return letter_send(c->arena, &l);
}

static void deliver(struct ctx *c, struct waiting *w)
{
    if (db_write(c->pf->db, take, w) != ERR_OK)
        return; /* another node was quicker */
    enum err e = send(c, w);
    w->now_ms = clock_now_ms();
    bool last = w->tries + 1 >= TRIES_MAX;
    w->result = e == ERR_OK               ? "sent"
                : e == ERR_NOT_FOUND      ? "erased"
                : last || e == ERR_DENIED ? "given_up"
                                          : "failed";
    if (strcmp(w->result, "given_up") == 0)
        log_warn("mail_given_up", "mail", w->id, "kind", arena_dupz(c->arena, w->kind), "error",
                 err_name(e));
    if (db_write(c->pf->db, settle, w) != ERR_OK)
        log_warn("mail_not_settled", "mail", w->id);
}

static void batch(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    int64_t now_ms = clock_now_ms();
    if (!db)
        return;
    arena_init_secret(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = db_query(db, &a, &r,
                          "SELECT id, owner, kind, data, tries, next_at, created_at FROM mail "
                          "WHERE next_at <= $1 ORDER BY next_at LIMIT 20",
                          "i", now_ms);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows && !proc_stopping; i++) {
        struct waiting w = {.id = db_z(&r, i, 0),
                            .owner = db_str(&r, i, 1),
                            .kind = db_str(&r, i, 2),
                            .data = db_str(&r, i, 3),
                            .tries = db_i64(&r, i, 4),
                            .next_ms = db_i64(&r, i, 5),
                            .created_ms = db_i64(&r, i, 6),
                            .now_ms = clock_now_ms()};
        deliver(c, &w);
    }
    ctx_free(c);
    arena_free(&a);
}

static void *run(void *platform)
{
    while (!proc_stopping) {
        batch(platform);
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

void mail_tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    pthread_t thread;
    (void)now_ms;
    if (started || proc_stopping || !*pf->settings->mail_relay)
        return;
    started = pthread_create(&thread, NULL, run, pf) == 0;
    if (started)
        pthread_detach(thread);
}

/* ---- figures ------------------------------------------------------------------------------------
 */
void mail_metrics(struct ctx *c, struct buf *b)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return;
    buf_add_z(b, "# HELP socle_mail_waiting Mails still to be sent.\n"
                 "# TYPE socle_mail_waiting gauge\n");
    if (db_query(db, c->arena, &r, "SELECT count(*) FROM mail", "") == ERR_OK)
        buf_printf(b, "socle_mail_waiting %lld\n", (long long)db_i64(&r, 0, 0));
    buf_add_z(b, "# HELP socle_mail_total Tries to send a mail, by kind and result.\n"
                 "# TYPE socle_mail_total counter\n");
    if (db_query(db, c->arena, &r, "SELECT kind, result, n FROM mail_count ORDER BY kind, result",
                 "") != ERR_OK)
        return;
    for (size_t i = 0; i < r.n_rows; i++)
        buf_printf(b, "socle_mail_total{kind=\"%s\",result=\"%s\"} %lld\n", db_z(&r, i, 0),
                   db_z(&r, i, 1), (long long)db_i64(&r, i, 2));
}

/* ---- the command --------------------------------------------------------------------------------
 */
static const char help[] =
    "usage: socle mail test ADDRESS    queues a mail that says nothing but that mail works\n"
    "       socle mail list [--json]   what waits, and figures\n";

struct one {
    struct mail_sealed sealed;
    int64_t now_ms;
};

static enum err one_queue(struct db_conn *db, void *arg)
{
    const struct one *o = arg;
    return mail_queue(db, &o->sealed, o->now_ms);
}

static int cli_test(struct cli *r)
{
    struct ctx *c = r->c;
    struct one o = {.now_ms = clock_now_ms()};
    const struct mail m = {.owner = "operator",
                           .to = str_from(r->words[1]),
                           .subject = STR("Essai du courrier sortant"),
                           .text = STR("Ce message montre que le courrier sortant fonctionne.\n"),
                           .kind = "platform.test"};
    if (!*c->pf->settings->mail_relay) {
        fprintf(stderr, "socle mail test: no mail_relay in the settings\n");
        return 1;
    }
    enum err e = mail_seal(c, &m, &o.sealed);
    if (e == ERR_OK)
        e = db_write(c->pf->db, one_queue, &o);
    if (e != ERR_OK)
        return cli_failed(r, "not queued", e);
    printf("%s\n", o.sealed.id);
    return 0;
}

static int cli_list(struct cli *r)
{
    struct db_result rows;
    struct db_conn *db = db_read(r->c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, r->c->arena, &rows,
                                "SELECT id, kind, tries, next_at FROM mail ORDER BY next_at "
                                "LIMIT 1000",
                                "");
    if (e != ERR_OK)
        return cli_failed(r, "list", e);
    json_t *items = json_array();
    for (size_t i = 0; i < rows.n_rows; i++) {
        json_array_append_new(items,
                              json_pack("{s:s,s:s,s:I,s:I}", "id", db_z(&rows, i, 0), "kind",
                                        db_z(&rows, i, 1), "tries", (json_int_t)db_i64(&rows, i, 2),
                                        "next_at", (json_int_t)db_i64(&rows, i, 3)));
        if (!r->json)
            printf("%s %-28s tries %lld, next %s\n", db_z(&rows, i, 0), db_z(&rows, i, 1),
                   (long long)db_i64(&rows, i, 2),
                   clock_rfc3339(r->c->arena, db_i64(&rows, i, 3), false).p);
    }
    json_t *all = json_pack("{s:o}", "items", items);
    if (r->json)
        cli_print(r, all);
    else
        json_decref(all);
    return 0;
}

static int cli(struct cli *r)
{
    if (cli_is(r, "test", 2))
        return cli_test(r);
    if (cli_is(r, "list", 1))
        return cli_list(r);
    fprintf(stderr, "%s", help);
    return 2;
}

static int command_mail(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, NULL, 0, cli);
}

static const struct command commands[] = {
    {"mail", "try outgoing mail, list what waits", command_mail},
};

const struct service service_mail = {
    .name = "mail",
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .migrations = mail_migrations,
    .n_migrations = MAIL_MIGRATIONS,
    .tick = mail_tick,
};
