/* The command `socle node`. */
#ifndef PLATFORM_NODE_CLI_H
#define PLATFORM_NODE_CLI_H

#include "platform/settings.h"

int node_cli(const struct settings *s, int argc, char **argv);

#endif
