/* The command `socle org`. */
#ifndef PLATFORM_ORG_CLI_H
#define PLATFORM_ORG_CLI_H

#include "platform/platform.h"

int org_cli(struct platform *pf, int argc, char **argv);

#endif
