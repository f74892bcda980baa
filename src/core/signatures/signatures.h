#ifndef SIGNATURES_SIGNATURES_H
#define SIGNATURES_SIGNATURES_H

#include "platform/ctx.h"
#include "platform/node.h"

int signatures_cli_verify(struct platform *pf, int argc, char **argv);

#endif
