/* The exchange's tables, and what its files share about them. */
#ifndef EXCHANGE_SCHEMA_H
#define EXCHANGE_SCHEMA_H

#include "data/jsonfilter.h"
#include "platform/ctx.h"

enum { EXCHANGE_MIGRATIONS = 1 };
extern const struct db_migration exchange_migrations[EXCHANGE_MIGRATIONS];

/* Calls (calls.c), pages (catalogue.c), commands (cli.c, cli_put.c). */
call_handler exchange_scopes, exchange_grants, exchange_apis;
call_handler exchange_call_api, exchange_call_contract_put, exchange_call_contract_state;
/* The label of a contract's field becomes that of its question: "Revenu : au moins 20000 ...". */
void exchange_field_label(struct arena *a, struct str name, const char *lang, struct str *label);
route_handler exchange_page_catalogue, exchange_page_api;
int exchange_cli_api(struct platform *pf, int argc, char **argv);
int exchange_cli_contract(struct platform *pf, int argc, char **argv);
int exchange_cli_api_put(struct ctx *c, const char *path);
int exchange_cli_contract_put(struct ctx *c, const char *path);

#endif
