/* The last stage: pages, and what is answered when a stage failed. */
#ifndef PLATFORM_RENDER_H
#define PLATFORM_RENDER_H

#include "platform/ctx.h"

/* ?lang= (kept in a cookie), then the cookie, then Accept-Language, else French. */
void render_language(struct ctx *c);
/* The navigation's entries of this site for everybody: {label, url}, without the role they need. */
void render_nav(struct ctx *c, json_t *list);
/* Draws the page ctx_page chose, with the common variables and the security headers. */
enum err render_page(struct ctx *c) MUST_CHECK;
/* An error page for people, problem+json (RFC 9457) for programs, from c->fault or from e alone. */
void render_fault(struct ctx *c, enum err e);

#endif
