/* The demonstration world: bodies, people, providers and their data, a town with its procedure; and
 * the processes that play the bodies. Nothing of it is in a platform whose `demo` setting is off.
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include "platform/platform.h"
#include "sys/proc.h"

/* Creates what is missing (organisations, site, providers, clients, APIs, contracts, registers);
 * safe to run at every start. Fast when all is there. */
enum err demo_load(struct platform *pf) MUST_CHECK;

/* The processes of the other bodies: identity provider, family data (JSON), tax data (XML) and the
 * adapter before it. Ports: settings.port + 1 ... + 4. Returns how many. */
size_t demo_procs(const struct settings *s, struct proc_spec *out, size_t max);

/* Accounts and the steps of the story, for `make run`. */
void demo_print_story(const struct settings *s);

/* socle demo describe [--json] */
int demo_cli(const struct settings *s, int argc, char **argv);

#endif
