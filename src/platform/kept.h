/* Forms kept over a sign-in (session_ask_again in ctx.h). */
#ifndef PLATFORM_KEPT_H
#define PLATFORM_KEPT_H

#include "platform/ctx.h"

/* GET /reprendre/{id}: what was typed, to be sent again with one button. */
enum err kept_page(struct ctx *c);

#endif
