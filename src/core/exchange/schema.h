/* The exchange's tables, and what its files share about them. */
#ifndef EXCHANGE_SCHEMA_H
#define EXCHANGE_SCHEMA_H

#include "data/jsonfilter.h"
#include "platform/ctx.h"

enum { EXCHANGE_MIGRATIONS = 4 };
extern const struct db_migration exchange_migrations[EXCHANGE_MIGRATIONS];

/* Which messages a contract wants signed: "none", "requests", "answers", "both"; -1: none of these.
 * The table message_signing is made by core/signatures. */
int exchange_signatures_read(const char *word);
const char *exchange_signatures_word(int64_t asks);

/* Calls (calls.c, publish.c), commands (cli.c, cli_put.c, cli_import.c). */
call_handler exchange_scopes, exchange_grants, exchange_apis;
call_handler exchange_call_api, exchange_call_contract_put, exchange_call_contract_state,
    exchange_call_delegate, exchange_call_contract_usage, exchange_call_contract_days,
    exchange_call_origins, exchange_call_consumers;
/* The label of a contract's field becomes that of its question: "Revenu : au moins 20000 ...". */
void exchange_field_label(struct arena *a, struct str name, const char *lang, struct str *label);
call_handler exchange_call_api_put, exchange_call_fields, exchange_call_contract;
call_handler exchange_call_status;
enum err exchange_api_status(struct ctx *c), exchange_api_status_one(struct ctx *c);
enum err exchange_page_status(struct ctx *c), exchange_page_status_one(struct ctx *c);
enum err exchange_api_federated(struct ctx *c);
/* A declaration out of a file, or "-": standard input. */
enum err exchange_cli_read(struct arena *a, const char *path, struct str *out) MUST_CHECK;
int exchange_cli_api_federate(struct ctx *c, const char *path);
int exchange_cli_api_status(struct ctx *c, int argc, char **argv, bool as_json);
int exchange_cli_api_secret(struct ctx *c, const char *api, const char *version);
call_handler exchange_call_subscribers, exchange_call_circle_set, exchange_call_usage;
enum err exchange_api_put_json(struct ctx *c, const json_t *declaration) MUST_CHECK;
int exchange_cli_api(struct platform *pf, int argc, char **argv);
int exchange_cli_contract(struct platform *pf, int argc, char **argv);
int exchange_cli_api_put(struct ctx *c, const char *path);
int exchange_cli_api_import(struct ctx *c, int argc, char **argv, bool as_json);
int exchange_cli_contract_put(struct ctx *c, const char *path);

#endif
