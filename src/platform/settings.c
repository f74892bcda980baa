/* The table of settings is the only list of them: reading, help and the packaged file all come from
 * it. A wrong setting stops the start with the line at fault: a half-configured State is worse than
 * a stopped one. */
#include "platform/settings.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/log.h"
#include "platform/retention.h"
#include "sys/file.h"

enum kind { TEXT, NUMBER, YES_NO };
struct setting {
    const char *name;
    enum kind kind;
    size_t at; /* offset in struct settings */
    const char *absent, *help;
};
#define S(field, kind, absent, help)                                 \
    {                                                                \
#field, kind, offsetof(struct settings, field), absent, help \
    }

static const struct setting table[] = {
    S(data, TEXT, "var", "Folder of everything that is kept: database, keys, journal, spool."),
    S(database, TEXT, "", "sqlite:FILE or postgresql://... ; empty: sqlite:<data>/db/socle.db"),
    S(listen, TEXT, "127.0.0.1,::1", "Addresses to listen on, at most 4, with commas between."),
    S(port, NUMBER, "8080", "Port to listen on."),
    S(tls_listen, TEXT, "", "Addresses to listen on with TLS; empty: as listen."),
    S(tls_port, NUMBER, "0", "Port for TLS; 0: none, TLS is ended by a proxy."),
    S(mtls_port, NUMBER, "0",
      "Port for TLS where each client shows a certificate (RFC 8705); 0: none."),
    S(tls_certificates, TEXT, "",
      "Folder of certificates, NAME.pem with its chain; empty: <data>/tls. Keys: socle tls --help"),
    S(mtls_authorities, TEXT, "",
      "File of the authorities of client certificates; empty: certificates that sign themselves."),
    S(base_url, TEXT, "",
      "Public address of the portal and the issuer; empty: http://localhost:PORT"),
    S(journal_origin, TEXT, "",
      "Name of this node's log in its checkpoints; empty: from base_url."),
    S(witness_name, TEXT, "", "Name under which it cosigns other logs; empty: from base_url."),
    S(witness_logs, TEXT, "", "File of the logs it watches and cosigns: a verifier key a line."),
    S(witnesses, TEXT, "", "File of the witnesses of its log: a verifier key and a URL a line."),
    S(witness_quorum, NUMBER, "0",
      "Witnesses that must have signed a checkpoint before it is published; at least one of "
      "another "
      "body; 0: none."),
    S(journal_nodes, TEXT, "",
      "File of the logs it follows, as those of its other nodes: a verifier key and a URL a line."),
    S(tsa_url, TEXT, "", "RFC 3161 service that timestamps checkpoints; empty: none."),
    S(tsa_seconds, NUMBER, "60", "Seconds between two timestamps, at least."),
    S(loops, NUMBER, "0", "Event loops; 0: one per core."),
    S(handlers, NUMBER, "32", "Threads that run handlers."),
    S(trusted_proxies, TEXT, "", "Addresses whose X-Forwarded-* and Forwarded headers count."),
    S(own_accounts, YES_NO, "no", "Citizens may open an account of this platform's own."),
    S(desk_orgs, TEXT, "",
      "Organisations whose agents check papers at a desk: ids, blanks between."),
    S(passkey_anchors, TEXT, "",
      "Folder of PEM certificates of makers of passkeys that count for the high level."),
    S(allow_inside, YES_NO, "no", "Outgoing calls may reach loopback and private addresses."),
    S(ping_seconds, NUMBER, "60", "Seconds between two looks at each provider; 0: none."),
    S(demo, YES_NO, "no", "Load the demonstration world and run its processes."),
    S(sandbox_providers, TEXT, "",
      "Identity providers whose people a sandbox client may meet, with blanks between; empty: all "
      "in the demonstration, none elsewhere."),
    S(brand_name, TEXT, "Socle", "Name shown on every page."),
    S(brand_note, TEXT, "",
      "Sentence shown on every page; used to say that this is a demonstration."),
    S(help_line, TEXT, "", "Whom people can call or write to."),
    S(publisher, TEXT, "", "Who publishes this site: legal mentions."),
    S(publication_director, TEXT, "", "Who answers for what it publishes: legal mentions."),
    S(site_host, TEXT, "", "Who hosts it, with an address: legal mentions."),
    S(security_contact, TEXT, "",
      "mailto: or https: address for who found a weakness; empty: /security."),
    S(retention, TEXT, "identity.signin=36",
      "Months that what makes the journal's entries readable is kept, KIND=MONTHS with blanks "
      "between; other kinds: as long as the account."),
    S(trace_days, NUMBER, "90", "Days that technical traces of services are kept."),
    S(trace_rules, TEXT, "",
      "Thresholds of alerts, RULE=AT_LEAST or RULE=AT_LEAST*TIMES, with commas between."),
    S(syslog_listen, TEXT, "",
      "ADDRESS:PORT for syslog in clear (RFC 5424); loopback only; empty: none."),
    S(syslog_tls_listen, TEXT, "", "ADDRESS:PORT for syslog over TLS (RFC 5425); empty: none."),
    S(syslog_senders, TEXT, "",
      "File of who may send syslog over TLS: NAME and its certificate's SHA-256 in hex a line."),
    S(alert_mail, TEXT, "", "Address that alerts are mailed to; empty: none."),
    S(alert_org, TEXT, "", "Organisation whose webhook is told of alerts; empty: none."),
    S(mail_relay, TEXT, "",
      "Relay of outgoing mail: smtp://HOST:PORT (STARTTLS, unless it is on this machine) or "
      "smtps://HOST:PORT; empty: no mail is sent."),
    S(mail_from, TEXT, "", "Address that mails come from; needed with mail_relay."),
    S(mail_login_file, TEXT, "",
      "File with the login on its first line and the password on its second; empty: none."),
    S(civil_register, TEXT, "",
      "Address of the civil register's adapter, asked at each citizen's sign-in; empty: none."),
    S(civil_register_down_pass, YES_NO, "no", "Who signs in while it is down passes unchecked."),
    S(throttle_address, NUMBER, "600",
      "Sign-in pages an address may ask for in a minute; the loopback is not counted; 0: no "
      "limit."),
    S(throttle_client, NUMBER, "0",
      "Sign-ins a client may begin in a minute on each node; 0: no limit."),
    S(log_level, TEXT, "info", "debug, info, warn or error."),
    S(session_idle_s, NUMBER, "1800", "Seconds without a request that end a session."),
    S(session_max_s, NUMBER, "43200", "Seconds after which a session ends in any case."),
    S(body_max, NUMBER, "10485760", "Largest request body in bytes."),
};

static const struct setting *find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (str_eq_z(name, table[i].name))
            return &table[i];
    return NULL;
}

static enum err set(struct arena *a, struct settings *out, const struct setting *s, struct str text)
{
    char *field = (char *)out + s->at;
    uint64_t number;
    switch (s->kind) {
    case TEXT:
        *(const char **)field = arena_dupz(a, text);
        return ERR_OK;
    case NUMBER:
        if (!str_to_u64(text, &number) || number > INT64_MAX)
            return ERR_INVALID;
        *(int64_t *)field = (int64_t)number;
        return ERR_OK;
    case YES_NO:
        if (!str_eq_z(text, "yes") && !str_eq_z(text, "no"))
            return ERR_INVALID;
        *(bool *)field = str_eq_z(text, "yes");
        return ERR_OK;
    }
    return ERR_INVALID;
}

static enum err refuse(const char *where, struct str name)
{
    fprintf(stderr, "socle: %s: bad setting \"" STR_FMT "\" (see `socle serve --help`)\n", where,
            STR_ARG(name));
    return ERR_INVALID;
}

static enum err read_file(struct arena *a, const char *path, bool wanted, struct settings *out)
{
    struct str text, line;
    enum err e = file_read(a, path, 64 * 1024, &text);
    if (e == ERR_NOT_FOUND && !wanted)
        return ERR_OK;
    if (e != ERR_OK) {
        fprintf(stderr, "socle: %s: cannot be read (%s)\n", path, err_name(e));
        return ERR_INVALID;
    }
    for (int no = 1; str_split(&text, '\n', &line); no++) {
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        ptrdiff_t eq = str_find_char(line, '=');
        struct str name = str_trim(str_sub(line, 0, eq < 0 ? line.n : (size_t)eq));
        const struct setting *s = find(name);
        if (eq < 0 || !s || set(a, out, s, str_trim(str_after(line, (size_t)eq + 1))) != ERR_OK)
            return refuse(arena_printf(a, "%s:%d", path, no).p, name);
    }
    return ERR_OK;
}

static enum err read_environment(struct arena *a, struct settings *out)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char name[64] = "SOCLE_";
        size_t n = 6;
        for (const char *p = table[i].name; *p && n < sizeof name - 1; p++)
            name[n++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
        const char *value = getenv(name);
        if (value && set(a, out, &table[i], str_from(value)) != ERR_OK)
            return refuse("environment", str_from(name));
    }
    return ERR_OK;
}

/* Calls set for each --name[=value] of the table; removes what it took. */
static enum err read_options(struct arena *a, int *argc, char **argv, struct settings *out,
                             const char **config)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        struct str arg = str_from(argv[i]);
        if (!str_starts(arg, STR("--"))) {
            argv[kept++] = argv[i];
            continue;
        }
        ptrdiff_t eq = str_find_char(arg, '=');
        char name[64];
        struct str raw = str_sub(arg, 2, (eq < 0 ? arg.n : (size_t)eq) - 2);
        size_t n = raw.n < sizeof name ? raw.n : sizeof name;
        for (size_t k = 0; k < n; k++)
            name[k] = raw.p[k] == '-' ? '_' : raw.p[k];
        const struct setting *s = find(str_of(name, n));
        bool is_config = str_eq_z(raw, "config");
        if (!s && !is_config) {
            argv[kept++] = argv[i];
            continue;
        }
        struct str value = eq >= 0                  ? str_after(arg, (size_t)eq + 1)
                           : s && s->kind == YES_NO ? STR("yes")
                           : i + 1 < *argc          ? str_from(argv[++i])
                                                    : STR("");
        if (is_config)
            *config = value.p;
        else if (set(a, out, s, value) != ERR_OK)
            return refuse("command line", raw);
    }
    argv[kept] = NULL;
    *argc = kept;
    return ERR_OK;
}

static struct str host_of(struct str url)
{
    ptrdiff_t at = str_find(url, STR("://"));
    struct str host = str_after(url, at < 0 ? 0 : (size_t)at + 3);
    ptrdiff_t end = str_find_char(host, ':');
    return end < 0 ? host : str_sub(host, 0, (size_t)end);
}

/* A file that a setting names is read here: no process may open it once it is confined. */
static enum err read_named(struct arena *a, const char *path, struct str *out)
{
    enum { NAMED_MAX = 64 * 1024 };
    *out = STR("");
    enum err e = *path ? file_read(a, path, NAMED_MAX, out) : ERR_OK;
    if (e != ERR_OK)
        fprintf(stderr, "socle: %s: cannot be read (%s)\n", path, err_name(e));
    return e == ERR_OK ? ERR_OK : ERR_INVALID;
}

/* Where the platform of this folder was last served: a command that was not told asks here, so that
 * the addresses it prints are those of the running platform. */
static const char *served_path(struct arena *a, const struct settings *s)
{
    return arena_printf(a, "%s/served", s->data).p;
}

enum err settings_note_served(struct arena *a, const struct settings *s)
{
    return file_write_atomic(served_path(a, s), arena_printf(a, "%s\n", s->base_url), 0600);
}

static const char *served_base_url(struct arena *a, const struct settings *s)
{
    enum { URL_MAX = 2048 };
    struct str text;
    if (file_read(a, served_path(a, s), URL_MAX, &text) != ERR_OK)
        return "";
    text = str_trim(text);
    bool web = str_starts(text, STR("http://")) || str_starts(text, STR("https://"));
    return web && str_is_utf8(text) ? arena_dupz(a, text) : "";
}

/* All the .pem files of a folder, one behind the other. */
static enum err read_folder(struct arena *a, const char *path, struct str *out)
{
    enum { FILE_MAX = 64 * 1024, ALL_MAX = 1024 * 1024 };
    struct str text;
    struct buf all;
    *out = STR("");
    if (!*path)
        return ERR_OK;
    DIR *d = opendir(path);
    enum err e = d ? ERR_OK : ERR_IO;
    buf_init(&all, ALL_MAX);
    for (struct dirent *f; e == ERR_OK && (f = readdir(d)) != NULL;) {
        if (!str_ends(str_from(f->d_name), STR(".pem")))
            continue;
        e = file_read(a, arena_printf(a, "%s/%s", path, f->d_name).p, FILE_MAX, &text);
        if (e == ERR_OK) {
            buf_add_str(&all, text);
            buf_add_char(&all, '\n');
        }
    }
    if (d)
        closedir(d);
    e = e == ERR_OK ? all.err : e;
    *out = arena_dup(a, buf_str(&all));
    buf_free(&all);
    if (e != ERR_OK)
        fprintf(stderr, "socle: %s: cannot be read (%s)\n", path, err_name(e));
    return e == ERR_OK ? ERR_OK : ERR_INVALID;
}

/* Settings whose default depends on others. */
static enum err complete(struct arena *a, struct settings *out, bool serves)
{
    if (!*out->database) /* in a folder of its own: processes are let into it, not into the keys */
        out->database = arena_printf(a, "sqlite:%s/db/socle.db", out->data).p;
    if (out->demo) {
        out->allow_inside = true; /* its bodies live on the loopback */
        out->own_accounts = true;
        if (!*out->desk_orgs)
            out->desk_orgs = "ville-de-nantes-demo";
    }
    if (!*out->base_url && !serves)
        out->base_url = served_base_url(a, out);
    if (!*out->base_url)
        out->base_url = arena_printf(a, "http://localhost:%d", (int)out->port).p;
    if (!*out->tls_certificates)
        out->tls_certificates = arena_printf(a, "%s/tls", out->data).p;
    if (!*out->tls_listen)
        out->tls_listen = out->listen;
    struct str host = host_of(str_from(out->base_url));
    if (!*out->journal_origin)
        out->journal_origin = arena_printf(a, STR_FMT "/journal", STR_ARG(host)).p;
    if (!*out->witness_name)
        out->witness_name = arena_printf(a, STR_FMT "/witness", STR_ARG(host)).p;
    enum err e = read_named(a, out->mtls_authorities, &out->mtls_authorities_text);
    if (e == ERR_OK)
        e = read_named(a, out->witness_logs, &out->witness_logs_text);
    if (e == ERR_OK)
        e = read_named(a, out->witnesses, &out->witnesses_text);
    if (e == ERR_OK)
        e = read_named(a, out->syslog_senders, &out->syslog_senders_text);
    if (e == ERR_OK)
        e = read_folder(a, out->passkey_anchors, &out->passkey_anchors_text);
    if (e == ERR_OK)
        e = read_named(a, out->journal_nodes, &out->journal_nodes_text);
    if (e == ERR_OK)
        e = read_named(a, out->mail_login_file, &out->mail_login_text);
    if (e == ERR_OK && retention_check(out->retention) != ERR_OK) {
        fprintf(stderr, "socle: retention is KIND=MONTHS, with blanks between\n");
        return ERR_INVALID;
    }
    bool relay = str_starts(str_from(out->mail_relay), STR("smtp://")) ||
                 str_starts(str_from(out->mail_relay), STR("smtps://"));
    bool from = str_find_char(str_from(out->mail_from), '@') > 0;
    if (e == ERR_OK && *out->mail_relay && (!relay || !from)) {
        fprintf(stderr, "socle: mail_relay is smtp://HOST:PORT or smtps://HOST:PORT, with "
                        "mail_from an address\n");
        return ERR_INVALID;
    }
    return e;
}

enum err settings_load(struct arena *a, int *argc, char **argv, struct settings *out)
{
    const char *config = NULL;
    *out = (struct settings){0};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (set(a, out, &table[i], str_from(table[i].absent)) != ERR_OK)
            abort();
    /* Options are read twice: first for --data and --config, that say where the file is, then
     * again so that they win over it. */
    char **copy = arena_array(a, char *, (size_t)*argc + 1);
    int copy_n = *argc;
    for (int i = 0; i < *argc; i++)
        copy[i] = argv[i];
    enum err e = read_environment(a, out);
    if (e == ERR_OK)
        e = read_options(a, &copy_n, copy, out, &config);
    if (e == ERR_OK) {
        const char *path = config ? config : arena_printf(a, "%s/socle.conf", out->data).p;
        e = read_file(a, path, config != NULL, out);
    }
    if (e == ERR_OK)
        e = read_environment(a, out);
    if (e == ERR_OK)
        e = read_options(a, argc, argv, out, &config);
    if (e == ERR_OK)
        e = complete(a, out, strcmp(argv[0], "serve") == 0);
    return e;
}

void settings_print(void)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        printf("# %s\n#%s = %s\n\n", table[i].help, table[i].name, table[i].absent);
}

void settings_print_options(void)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char option[64];
        size_t n = 0;
        for (const char *p = table[i].name; *p && n < sizeof option - 1; p++)
            option[n++] = *p == '_' ? '-' : *p;
        option[n] = '\0';
        printf("  --%-18s %s%s%s%s\n", option, table[i].help, *table[i].absent ? " Default: " : "",
               table[i].absent, *table[i].absent ? "." : "");
    }
    printf("  --%-18s %s\n", "config", "File of settings. Default: <data>/socle.conf.");
}
