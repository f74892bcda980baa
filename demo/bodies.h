/* The demonstration's other bodies, each a process with its own HTTP server: what a real family
 * fund and a real tax office would run on their side. They know nothing of Socle but the headers
 * the gateway sends. */
#ifndef DEMO_BODIES_H
#define DEMO_BODIES_H

#include "platform/settings.h"
#include "sys/proc.h"
#include "web/server.h"

enum { DEMO_PORT_IDP = 1, DEMO_PORT_FAMILY = 2, DEMO_PORT_TAX_XML = 3, DEMO_PORT_TAX = 4 };

/* proc_spec.main; arg is struct settings. */
int demo_idp_main(struct proc *self, void *settings);
int demo_family_main(struct proc *self, void *settings);
int demo_tax_xml_main(struct proc *self, void *settings);
int demo_tax_main(struct proc *self, void *settings);

/* Confines itself, then serves until asked to stop: one loop, four handlers, on the loopback at
 * settings.port + plus. What it reads from files it has read before. */
int demo_serve(struct proc *self, const struct settings *s, unsigned plus, web_handler *handler,
               void *arg);

/* Answers for demonstration servers. */
void demo_json(struct web_response *rs, int status, struct str body);

#endif
