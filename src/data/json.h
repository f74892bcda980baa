/* JSON: jansson at the boundary (reading), our own emitter (writing). */
#ifndef DATA_JSON_H
#define DATA_JSON_H

#include <jansson.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct json_fault {
    int line, column;
    char text[160]; /* what is wrong, in plain English */
};

/* Reads one document: UTF-8, no duplicate keys, depth 64 at most, nothing behind it. fault may be
 * NULL. The caller owns *out (json_decref). */
enum err json_read(struct str text, json_t **out, struct json_fault *fault) MUST_CHECK;

/* Members with a default where absent or of another type. Strings are borrowed from the object. */
struct str json_get_str(const json_t *obj, const char *key);
const char *json_get_z(const json_t *obj, const char *key, const char *absent);
int64_t json_get_i64(const json_t *obj, const char *key, int64_t absent);
bool json_get_bool(const json_t *obj, const char *key, bool absent);
json_t *json_get(const json_t *obj, const char *key); /* borrowed or NULL */

/* A new text; STR_NONE gives the empty one. NULL: not UTF-8. */
json_t *json_str(struct str s);

/* Compact text into a buffer or the arena. */
void json_write(struct buf *b, const json_t *v);
struct str json_text(struct arena *a, const json_t *v);
/* The same with members in the order of their names: for what is signed. */
struct str json_text_sorted(struct arena *a, const json_t *v);

/* A document that ends with the arena's owner: json_own registers the value on a list that
 * json_own_free releases. */
struct json_pool {
    json_t *list;
};
json_t *json_own(struct json_pool *p, json_t *v);
void json_pool_free(struct json_pool *p);

/* The emitter: commas and quotes by itself.
 *   struct jw w; jw_start(&w, &buf); jw_obj(&w); jw_key(&w,"a"); jw_i64(&w,1); jw_end(&w); */
struct jw {
    struct buf *b;
    uint8_t depth;
    bool comma, in_obj[32];
};
void jw_start(struct jw *w, struct buf *b);
void jw_obj(struct jw *w);
void jw_arr(struct jw *w);
void jw_end(struct jw *w);
void jw_key(struct jw *w, const char *key);
void jw_str(struct jw *w, struct str s);
void jw_z(struct jw *w, const char *z); /* NULL gives null */
void jw_i64(struct jw *w, int64_t v);
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, struct str json); /* already JSON */
/* key and value in one */
void jw_kstr(struct jw *w, const char *key, struct str s);
void jw_kz(struct jw *w, const char *key, const char *z);
void jw_ki64(struct jw *w, const char *key, int64_t v);
void jw_kbool(struct jw *w, const char *key, bool v);

#endif
