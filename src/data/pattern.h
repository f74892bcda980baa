/* A regular expression out of a description (ECMA-262's, as JSON Schema has it), by PCRE2. Bounded
 * in length when compiled and in steps when matched, since both sides come from outside. */
#ifndef DATA_PATTERN_H
#define DATA_PATTERN_H

#include "base/str.h"

struct pattern;
/* NULL: it does not compile, or is too long. It may then be shared by threads. */
struct pattern *pattern_new(struct str text);
void pattern_free(struct pattern *p);
/* Is it found in s? s is UTF-8. Also true when that could not be said within the bounds. */
bool pattern_fits(const struct pattern *p, struct str s);

#endif
