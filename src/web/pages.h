/* Templates and texts of every module, compiled at start from the assets:
 *   <module folder>/pages/<name>.html   page or partial, named "<module>/<name>"
 *   <module folder>/text/{fr,en}.json   flat object: key -> text (a template)
 * where <module> is the folder's last name ("account", "address-change"). Texts are looked up in
 * the page's own module, then in "platform" (the common one). */
#ifndef WEB_PAGES_H
#define WEB_PAGES_H

#include <jansson.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum err pages_load(void) MUST_CHECK; /* once per process; logs what is wrong */

/* Renders page "<module>/<name>" in a language ("fr" | "en"). */
enum err pages_render(const char *page, const char *lang, const json_t *data,
                      struct buf *out) MUST_CHECK;

/* One text, rendered; for titles, errors and mails. data may be NULL. */
struct str pages_text(struct arena *a, const char *module, const char *key, const char *lang,
                      const json_t *data);

/* For the test that none is missing: calls fn for each page/key missing in a language. */
size_t pages_check(void (*missing)(void *arg, const char *page, const char *lang, const char *key),
                   void *arg);

#endif
