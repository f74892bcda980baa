#ifndef PLATFORM_TLS_CLI_H
#define PLATFORM_TLS_CLI_H

#include "platform/platform.h"

int tls_cli(struct platform *pf, int argc, char **argv);

#endif
