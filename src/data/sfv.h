/* Structured Field Values for HTTP (RFC 9651, which replaces RFC 8941): items, lists and
 * dictionaries, read strictly and written canonically. Lines of one field are joined with ", " by
 * the caller (RFC 9110 5.2). */
#ifndef DATA_SFV_H
#define DATA_SFV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    SFV_MEMBERS_MAX = 1024, /* of a list or a dictionary; RFC 9651 asks for as many at least */
    SFV_INNER_MAX = 256,
    SFV_PARAMS_MAX = 256,
};

enum sfv_type {
    SFV_INTEGER,
    SFV_DECIMAL,
    SFV_STRING,
    SFV_TOKEN,
    SFV_BYTES,
    SFV_BOOLEAN,
    SFV_DATE,
    SFV_DISPLAY, /* UTF-8 */
};
struct sfv_value {
    enum sfv_type type;
    int64_t number;  /* integer; decimal in thousandths; boolean 0 or 1; date in seconds */
    struct str text; /* string, token, bytes, display string: decoded */
};
struct sfv_param {
    struct str key;
    struct sfv_value value;
};
struct sfv_params {
    struct sfv_param *v;
    size_t n;
};
struct sfv_item {
    struct sfv_value value;
    struct sfv_params params;
};
struct sfv_member {
    struct str key; /* dictionaries */
    bool is_list;   /* an inner list, else `value` */
    struct sfv_value value;
    struct sfv_item *items;
    size_t n_items;
    struct sfv_params params;
};

enum sfv_kind { SFV_ITEM, SFV_LIST, SFV_DICTIONARY };
struct sfv {
    enum sfv_kind kind;
    struct sfv_member *members; /* an item is one member */
    size_t n;
};

/* ERR_INVALID, or ERR_LIMIT over the counts above. Slices point into `text` or the arena. */
enum err sfv_read(struct arena *a, struct str text, enum sfv_kind kind, struct sfv *out) MUST_CHECK;

/* Canonical text, appended; an empty list or dictionary is no text. ERR_INVALID: a value has no
 * textual form (RFC 9651 4.1); what was appended is then to be dropped. */
enum err sfv_write(struct buf *b, const struct sfv *v) MUST_CHECK;
enum err sfv_write_member(struct buf *b, const struct sfv_member *m) MUST_CHECK; /* no key */
enum err sfv_write_item(struct buf *b, const struct sfv_item *i) MUST_CHECK;

/* NULL when there is none. */
const struct sfv_member *sfv_member(const struct sfv *v, struct str key);
const struct sfv_value *sfv_param(const struct sfv_params *p, const char *key);

#endif
