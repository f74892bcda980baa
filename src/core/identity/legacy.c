#include "core/identity/legacy.h"

#include "base/codec.h"
#include "core/identity/schema.h"
#include "crypto/digest.h"

enum { ENTITY_MAX = 128, SUB_MAX = 255 };

/* A pivot's hash has no salt: who has it can try names. Only its blind is kept. */
static enum err blind(struct ctx *c, struct str identity_hash, struct str *out)
{
    return vault_blind(c, "identity.legacy_sub", identity_hash, out);
}

enum err legacy_sub_find(struct ctx *c, struct str entity_id, struct str identity_hash,
                         struct str *sub)
{
    struct db_result r;
    struct str name;
    struct db_conn *db = db_read(c->pf->db);
    *sub = STR("");
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = blind(c, identity_hash, &name);
    if (e == ERR_OK)
        e = db_query_one(db, c->arena, &r,
                         "SELECT sub FROM legacy_sub WHERE entity_id = $1 AND identity_blind = $2",
                         "ss", entity_id, name);
    if (e == ERR_OK)
        *sub = db_str(&r, 0, 0);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- bringing them in
 * -----------------------------------------------------------------------------
 */
struct line {
    struct str entity_id, hash, sub, blind;
};

static bool is_printable(struct str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127)
            return false;
    return s.n > 0 && s.n <= max;
}

static bool line_read(struct arena *a, struct str text, struct line *l)
{
    struct str hash;
    if (!str_split(&text, '\t', &l->entity_id) || !str_split(&text, '\t', &l->hash) ||
        !str_split(&text, '\t', &l->sub) || text.n)
        return false;
    return is_printable(l->entity_id, ENTITY_MAX) && is_printable(l->sub, SUB_MAX) &&
           codec_base64(a, l->hash, &hash) == ERR_OK && hash.n == SHA256_LEN;
}

struct import {
    struct line *lines;
    size_t n, at;
};

/* The same line again is no fault: an import that was cut is done again. */
static enum err line_write(struct db_conn *db, const struct line *l)
{
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "INSERT INTO legacy_sub(entity_id, identity_blind, sub) "
                               "VALUES($1, $2, $3) ON CONFLICT (entity_id, identity_blind) "
                               "DO UPDATE SET sub = $3 WHERE legacy_sub.sub = $3",
                               "sss", l->entity_id, l->blind, l->sub);
    return e == ERR_OK && changed != 1 ? ERR_EXISTS : e;
}

static enum err import_write(struct db_conn *db, void *arg)
{
    struct import *im = arg;
    for (im->at = 0; im->at < im->n; im->at++) {
        enum err e = line_write(db, &im->lines[im->at]);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static size_t count_lines(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

enum err legacy_subs_import(struct ctx *c, struct str text, size_t *line)
{
    struct act act;
    struct str one;
    struct import im = {.lines = arena_array(c->arena, struct line, count_lines(text))};
    *line = 0;
    while (text.n && str_split(&text, '\n', &one)) {
        struct line *l = &im.lines[im.n++];
        *line = im.n;
        if (!line_read(c->arena, one, l))
            return ERR_INVALID;
        enum err e = blind(c, l->hash, &l->blind);
        if (e != ERR_OK)
            return e;
    }
    struct act_info info = {.kind = "identity.subs_imported",
                            .actor = STR("operator"),
                            .object = arena_printf(c->arena, "%zu", im.n)};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, import_write, &im, &act, 1);
    *line = e == ERR_OK ? im.n : im.at + 1;
    return e;
}
