/* The names by which services knew people before they came here (docs/formats/legacy-subs.md). */
#ifndef IDENTITY_LEGACY_H
#define IDENTITY_LEGACY_H

#include "platform/ctx.h"

/* The name this entity had for who has that pivot; .n 0: none was brought in. */
enum err legacy_sub_find(struct ctx *c, struct str entity_id, struct str identity_hash,
                         struct str *sub) MUST_CHECK;

/* All lines of `text` or none. *line: the one at fault (ERR_INVALID: its form; ERR_EXISTS: its
 * person or its name was brought in before, as another), else how many there are. Journalled. */
enum { LEGACY_TEXT_MAX = 32 * 1024 * 1024 };
enum err legacy_subs_import(struct ctx *c, struct str text, size_t *line) MUST_CHECK;

#endif
