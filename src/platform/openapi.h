/* The description of every operation, for programs. */
#ifndef PLATFORM_OPENAPI_H
#define PLATFORM_OPENAPI_H

#include "platform/ctx.h"

enum err openapi_page(struct ctx *c);

#endif
