/* Erasing people. */
#ifndef IDENTITY_ERASE_H
#define IDENTITY_ERASE_H

#include "platform/ctx.h"

#define IDENTITY_ERASED "identity.person.erased"

/* ERR_NOT_FOUND: nobody of that id, or erased already. */
enum err identity_person_erase(struct ctx *c, struct str person) MUST_CHECK;
/* After a restore: who was erased since the database's copy is erased in it too. */
enum err identity_erase_again(struct platform *pf, const json_t *leaf) MUST_CHECK;

#endif
