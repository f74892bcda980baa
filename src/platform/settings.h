/* Every setting of the platform: one table in settings.c gives each its name, default and help, and
 * `socle serve --help` and packaging/socle.conf are printed from it. Read once at start from
 * `<data>/socle.conf` or --config, then from the environment (SOCLE_<NAME>), then from options. */
#ifndef PLATFORM_SETTINGS_H
#define PLATFORM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct settings {
    const char *data;             /* folder of everything that is kept */
    const char *database;         /* "sqlite:<data>/db/socle.db" or "postgresql://..." */
    const char *listen;           /* "127.0.0.1,::1" */
    int64_t port;                 /* 8080 */
    const char *tls_listen;       /* "" : as `listen` */
    int64_t tls_port;             /* 0: no TLS here */
    int64_t mtls_port;            /* 0: no listener for client certificates */
    const char *tls_certificates; /* folder: "<data>/tls" */
    const char *mtls_authorities; /* file; read once: see mtls_authorities_text */
    struct str mtls_authorities_text;
    const char *base_url; /* "http://localhost:8080": the portal and the issuer; no final '/' */
    const char *journal_origin; /* "localhost/socle-journal": the log's name in its checkpoints */
    const char *witness_name;   /* this platform's name as a witness: "localhost/witness" */
    const char *witness_logs;   /* file of the logs it cosigns; read once: see witness_logs_text */
    const char *witnesses;      /* file of the witnesses of its own log */
    struct str witness_logs_text, witnesses_text; /* what is in them: docs/formats/witness.md */
    int64_t witness_quorum;                       /* 0: none */
    const char *journal_nodes;     /* file of the logs it follows: see journal_nodes_text */
    struct str journal_nodes_text; /* docs/formats/witness.md */
    const char *tsa_url;           /* RFC 3161 service; "" none */
    int64_t tsa_seconds;
    int64_t loops;    /* 0: one per core */
    int64_t handlers; /* 16 */
    const char *trusted_proxies;
    bool own_accounts;           /* citizens may have an account of ours */
    const char *desk_orgs;       /* whose agents check papers; blank-separated ids */
    const char *passkey_anchors; /* folder of makers' certificates; read once: */
    struct str passkey_anchors_text;
    int64_t ping_seconds;
    bool allow_inside;             /* outgoing calls to loopback and private addresses */
    bool demo;                     /* the demonstration world is loaded and its processes run */
    const char *sandbox_providers; /* "" all in the demonstration, none elsewhere */
    const char *brand_name;
    const char *brand_note;                                   /* shown on every page; "" none */
    const char *help_line;                                    /* whom to call */
    const char *publisher, *publication_director, *site_host; /* legal mentions; "" not set */
    const char *security_contact;                             /* an address; "" none */
    const char *retention;                                    /* months by kind: retention.h */
    int64_t trace_days;        /* technical traces are kept so long */
    const char *trace_rules;   /* thresholds: src/core/traces/rules.c */
    const char *syslog_listen; /* "127.0.0.1:1514"; "" none */
    const char *syslog_tls_listen;
    const char *syslog_senders; /* file: "NAME sha256-hex" a line */
    struct str syslog_senders_text;
    const char *alert_mail, *alert_org;                   /* "" none */
    const char *mail_relay, *mail_from, *mail_login_file; /* relay "": no mail is sent */
    struct str mail_login_text;                           /* what is in the file */
    const char *civil_register; /* adapter of the civil register; "" none */
    bool civil_register_down_pass;
    int64_t throttle_address, throttle_client; /* requests a minute; 0: no limit */
    const char *log_level;
    int64_t session_idle_s, session_max_s;
    int64_t body_max;
};

/* Fills every field; texts live in `a`. argc/argv: "--name=value" or "--name value" for any setting
 * of the table; the ones it took are removed from argv. ERR_INVALID logs which line or option. */
enum err settings_load(struct arena *a, int *argc, char **argv, struct settings *out) MUST_CHECK;
/* Keeps base_url in the data folder: commands that are not given one find the platform's there. */
enum err settings_note_served(struct arena *a, const struct settings *s) MUST_CHECK;
/* The documented file with every default, for packaging; the same as options, for --help. */
void settings_print(void);
void settings_print_options(void);

#endif
