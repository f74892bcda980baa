/* What the outside may check of this platform's journal, and what it checks of others': the public
 * log, its witnesses, the witness that this platform is. Formats: docs/formats/witness.md. */
#ifndef TRUST_TRUST_H
#define TRUST_TRUST_H

#include "journal/witness.h"
#include "platform/ctx.h"

extern struct journal_reader *trust_reader;

/* public.c */
enum err trust_answer(struct ctx *c, const char *type, const char *cache,
                      struct str body) MUST_CHECK; /* open to all */
route_handler trust_checkpoint, trust_key, trust_tile;
route_handler trust_logs, trust_log_checkpoint, trust_log_key, trust_log_tile;
/* receipts.c */
route_handler trust_receipt;
/* watch.c */
route_handler trust_add_checkpoint, trust_witness_key;
/* This platform's verifier key as a witness. */
enum err trust_witness_key_get(struct ctx *c, struct note_key *out) MUST_CHECK;

/* cosign.c: asks the witnesses of the setting. In jobs, every second, in a thread of its own. */
void trust_cosign(struct platform *pf, int64_t now_ms);
/* The newest checkpoint that may be shown as cosigned: with a quorum, one that reached it.
 * ERR_NOT_FOUND. */
enum err trust_published(struct db_conn *db, struct arena *a, struct str origin, int64_t quorum,
                         struct str *note) MUST_CHECK;
/* stamp.c: RFC 3161 timestamps of checkpoints, from the setting tsa_url. */
void trust_stamp(struct platform *pf, int64_t now_ms);
/* page.c */
route_handler trust_page, trust_api;
enum err trust_call_state(struct ctx *c, const json_t *args, json_t **out) MUST_CHECK;
/* search.c */
route_handler trust_search_page, trust_search_api;
/* nodes.c: follows the logs of the setting journal_nodes. */
void trust_follow(struct platform *pf, int64_t now_ms);
/* The newest checkpoint that witnesses were asked to sign, with what they signed. ERR_NOT_FOUND. */
enum err trust_cosigned(struct db_conn *db, struct arena *a, struct str origin,
                        struct str *note) MUST_CHECK;

/* One witness a line of the setting's file: key, URL. */
struct trust_witness {
    struct note_key key;
    struct str key_line, url;
};
/* Takes the next one; ERR_NOT_FOUND at the end, ERR_INVALID: a line is malformed. */
enum err trust_witness_next(struct arena *a, struct str *rest,
                            struct trust_witness *out) MUST_CHECK;
/* A line of the setting journal_nodes, as of witnesses but with the key of a log. */
enum err trust_node_next(struct arena *a, struct str *rest, struct trust_witness *out) MUST_CHECK;
/* The next line that says something, without blanks around it; false at the end. */
bool trust_line_next(struct str *rest, struct str *line);

/* Commands under `socle journal`: they need more than the journal's folder. Exit codes. */
int trust_cli_monitor(const struct settings *s, int argc, char **argv);
int trust_cli_export(const struct settings *s, int argc, char **argv);
int trust_cli_checkpoint(const struct settings *s, int argc, char **argv);
/* `socle verify`: receipts; all else as `socle journal verify`. */
int trust_cli_verify(const struct settings *s, int argc, char **argv);

#endif
