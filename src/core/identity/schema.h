/* The tables of identity, and what its files declare to the platform: routes' handlers, calls,
 * commands. */
#ifndef IDENTITY_SCHEMA_H
#define IDENTITY_SCHEMA_H

#include "platform/ctx.h"

enum { IDENTITY_MIGRATIONS = 4 };
extern const struct db_migration identity_migrations[IDENTITY_MIGRATIONS];

/* Towards clients. */
route_handler identity_discovery, identity_jwks, identity_client_jwks, identity_authorize,
    identity_authorize_post, identity_token, identity_userinfo, identity_revoke,
    identity_session_end, identity_session_end_post, identity_push, identity_introspect,
    identity_checktoken;
/* Towards people. */
route_handler identity_sign_in, identity_choose, identity_go, identity_back, identity_agree,
    identity_agree_post, identity_cancel, identity_sign_out, identity_signed_out,
    identity_sign_out_back, identity_operator, identity_operator_post, identity_grants,
    identity_grant_end_post, identity_agreement_end_post, identity_api_agreement_end,
    identity_api_grants, identity_api_grant_end;
/* docs/CALLS.md */
call_handler identity_call_subs, identity_call_client, identity_call_grants,
    identity_call_grant_end, identity_call_authenticate, identity_call_person,
    identity_call_client_put, identity_call_client_get, identity_call_client_list,
    identity_call_client_rotate, identity_call_client_activate, identity_call_client_remove,
    identity_call_provider_put, identity_call_provider_get, identity_call_provider_state,
    identity_call_provider_look, identity_call_provider_try, identity_call_provider_tried,
    identity_call_sessions_ended, identity_call_cut, identity_call_access_end,
    identity_call_address, identity_call_providers, identity_call_own_flow,
    identity_call_own_person, identity_call_own_signed_in, identity_call_own_gone,
    identity_call_own_pivot, identity_call_spaces, identity_call_space, identity_call_space_open;

int identity_cli_client(struct platform *pf, int argc, char **argv);
int identity_cli_provider(struct platform *pf, int argc, char **argv);
int identity_cli_user(struct platform *pf, int argc, char **argv);
int identity_cli_person(struct platform *pf, int argc, char **argv);

void identity_tick(struct platform *pf, int64_t now_ms); /* sweeps; health of providers */

#endif
