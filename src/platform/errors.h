/* What each code of a refusal means, for people: the pages that `type` of a problem (RFC 9457) and
 * `error_uri` of OAuth point to. The table is made from the sources at build (tools/faults.sh). */
#ifndef PLATFORM_ERRORS_H
#define PLATFORM_ERRORS_H

struct error_code {
    const char *code; /* "EXC-403-CONSENT"; NULL at the end */
    int status;
    const char *module; /* whose texts */
};
extern const struct error_code error_codes[];

#include "platform/ctx.h"
enum err error_page(struct ctx *c);
enum err error_list(struct ctx *c);

#endif
