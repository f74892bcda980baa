/* What the issuer refuses is told to the partners' console, so that a team reads in plain words why
 * its client does not get through. */
#ifndef IDENTITY_REFUSAL_H
#define IDENTITY_REFUSAL_H

#include "platform/ctx.h"

/* client_id .p NULL: the one that the request names. code: an OAuth error or a fault's code; why:
 * static words, never a personal value; sent: the address the request came with, or STR_NONE (its
 * query is left out). Nothing is done when the console is left out, and nothing fails. */
void refusal_note(struct ctx *c, struct str client_id, const char *code, const char *why,
                  struct str sent);

#endif
