/* Query strings and application/x-www-form-urlencoded bodies, multipart later; cookies. */
#ifndef WEB_FORM_H
#define WEB_FORM_H

#include "base/arena.h"
#include "base/err.h"

struct form_field {
    struct str name, value;
};
struct form {
    struct form_field *fields;
    size_t n;
};
/* At most 1,200 fields. ERR_INVALID: bad escape or not UTF-8 or a NUL; ERR_LIMIT. */
enum err form_read(struct arena *a, struct str text, struct form *out) MUST_CHECK;
struct str form_get(const struct form *f, const char *name); /* first; .p NULL when absent */
size_t form_count(const struct form *f, const char *name);

/* Cookie header (RFC 6265 4.2.1): .p NULL when absent, or there twice with two values: a neighbour
 * tossed one of them, and nothing says which. */
struct str cookie_get(struct str header, const char *name);
/* A Set-Cookie value: Path=/; HttpOnly; SameSite=Lax; Secure when secure. max_age_s < 0: session
 * cookie; 0: delete. The name gets "__Host-" in front when secure. */
struct str cookie_make(struct arena *a, const char *name, struct str value, bool secure,
                       int64_t max_age_s);
const char *cookie_name(struct arena *a, const char *name, bool secure);

/* "a=b&c=d" appended to a URL with '?' or '&' as needed; fragments are kept behind. */
struct str url_with(struct arena *a, struct str url, const char *name, struct str value);

#endif
