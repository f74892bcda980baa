/* The public log: what any mirror, monitor or witness reads (C2SP tlog-tiles). It holds identifiers
 * of acts and salted commitments, nothing about a person (docs/formats/journal-entry.md), so it is
 * open to all and any cache may carry it. */
#include "core/trust/trust.h"

enum { GROUPS_MAX = 6, TILE_FULL = 256 };

enum err trust_answer(struct ctx *c, const char *type, const char *cache, struct str body)
{
    web_header(c->rs, "Cache-Control", str_from(cache));
    web_header(c->rs, "Access-Control-Allow-Origin", STR("*"));
    return ctx_text(c, 200, type, body);
}

static const struct fault f_quorum = {"TRU-503-QUORUM", 503, "trust", "Not Cosigned Yet"};

enum err trust_checkpoint(struct ctx *c)
{
    struct str note, key, cosigned;
    struct checkpoint own, kept;
    int64_t quorum = c->pf->settings->witness_quorum;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = journal_checkpoint(trust_reader, 0, c->arena, &note, &key);
    if (e != ERR_OK)
        return e;
    /* Of this log, and not of the one before a restore, which may have had the same size. */
    bool there = db && checkpoint_read(c->arena, note, &own) == ERR_OK &&
                 trust_published(db, c->arena, own.origin, quorum, &cosigned) == ERR_OK &&
                 checkpoint_read(c->arena, cosigned, &kept) == ERR_OK && kept.size <= own.size;
    if (!there && quorum > 0)
        return ctx_fail(c, &f_quorum, ERR_UNAVAILABLE, STR_NONE);
    return trust_answer(c, "text/plain; charset=utf-8", "no-cache", there ? cosigned : note);
}

enum err trust_key(struct ctx *c)
{
    struct str note, key;
    enum err e = journal_checkpoint(trust_reader, 0, c->arena, &note, &key);
    return e == ERR_OK ? trust_answer(c, "text/plain; charset=utf-8", "max-age=3600",
                                      arena_printf(c->arena, STR_FMT "\n", STR_ARG(key)))
                       : e;
}

struct tile_name {
    int level;
    uint64_t n;
    unsigned width;
};

/* "x001", "067": three digits, all but the last group with an x. */
static bool group_read(struct str part, bool last, uint64_t *n)
{
    uint64_t v;
    if (!last && !str_starts(part, STR("x")))
        return false;
    struct str digits = str_after(part, last ? 0 : 1);
    if (digits.n != 3 || !str_to_u64(digits, &v))
        return false;
    *n = *n * 1000 + v;
    return true;
}

/* Behind /journal/tile/: "<L>/<N>" or "<L>/<N>.p/<W>", the one way to write each. */
static bool tile_name_read(struct str path, struct tile_name *out)
{
    struct str rest = path, part, groups[GROUPS_MAX];
    uint64_t v = TILE_FULL;
    size_t n = 0;
    if (!rest.n || !str_split(&rest, '/', &part))
        return false;
    out->level = JOURNAL_ENTRIES;
    if (!str_eq_z(part, "entries")) {
        if (!str_to_u64(part, &v) || v > 63 || (part.n > 1 && part.p[0] == '0'))
            return false;
        out->level = (int)v;
    }
    while (str_split(&rest, '/', &part) && n < GROUPS_MAX)
        groups[n++] = part;
    if (n == 0 || rest.n)
        return false;
    out->width = TILE_FULL;
    if (n >= 2 && str_ends(groups[n - 2], STR(".p"))) {
        struct str w = groups[--n];
        if (!str_to_u64(w, &v) || v == 0 || v >= TILE_FULL || w.p[0] == '0')
            return false;
        out->width = (unsigned)v;
        groups[n - 1].n -= 2;
    }
    out->n = 0;
    for (size_t i = 0; i < n; i++)
        if (!group_read(groups[i], i + 1 == n, &out->n))
            return false;
    return n == 1 || !str_eq_z(groups[0], "x000");
}

static enum err tile_answer(struct ctx *c, unsigned log, struct str name)
{
    struct tile_name t;
    struct str bytes;
    if (!tile_name_read(name, &t))
        return ERR_NOT_FOUND;
    enum err e = journal_tile(trust_reader, log, t.level, t.n, t.width, c->arena, &bytes);
    return e == ERR_OK ? trust_answer(c, "application/octet-stream",
                                      t.width == TILE_FULL ? "public, max-age=31536000, immutable"
                                                           : "public, max-age=3600",
                                      bytes)
                       : e;
}

enum err trust_tile(struct ctx *c)
{
    return tile_answer(c, 0, str_after(c->rq->path, sizeof "/journal/tile/" - 1));
}

/* ---- each log at an address of its own ----------------------------------------------------------
 * A log keeps it when another one follows: what was published stays, byte for byte. */
static enum err log_asked(struct ctx *c, unsigned *log)
{
    struct str epoch = ctx_path(c, "epoch");
    uint64_t v;
    if (!str_to_u64(epoch, &v) || epoch.p[0] == '0')
        return ERR_NOT_FOUND;
    return journal_log_of(trust_reader, v, log);
}

enum err trust_log_tile(struct ctx *c)
{
    unsigned log;
    struct str rest = c->rq->path;
    enum err e = log_asked(c, &log);
    return e == ERR_OK ? tile_answer(c, log, str_after(rest, str_find(rest, STR("/tile/")) + 6))
                       : e;
}

enum err trust_log_checkpoint(struct ctx *c)
{
    struct str note, key;
    unsigned log;
    enum err e = log_asked(c, &log);
    if (e == ERR_OK && log == 0)
        return trust_checkpoint(c);
    if (e == ERR_OK)
        e = journal_checkpoint(trust_reader, log, c->arena, &note, &key);
    return e == ERR_OK ? trust_answer(c, "text/plain; charset=utf-8", "max-age=3600", note) : e;
}

enum err trust_log_key(struct ctx *c)
{
    struct str note, key;
    unsigned log;
    enum err e = log_asked(c, &log);
    if (e == ERR_OK)
        e = journal_checkpoint(trust_reader, log, c->arena, &note, &key);
    return e == ERR_OK ? trust_answer(c, "text/plain; charset=utf-8", "max-age=3600",
                                      arena_printf(c->arena, STR_FMT "\n", STR_ARG(key)))
                       : e;
}

/* A line a log, oldest first: its number, its origin. */
enum err trust_logs(struct ctx *c)
{
    uint32_t last;
    struct buf b;
    enum err e = journal_epoch(trust_reader, &last);
    if (e != ERR_OK)
        return e;
    buf_init(&b, 1024 * 1024);
    for (uint32_t epoch = 1; epoch <= last; epoch++) {
        struct str note, key;
        struct checkpoint cp;
        if (journal_checkpoint(trust_reader, last - epoch, c->arena, &note, &key) == ERR_OK &&
            checkpoint_read(c->arena, note, &cp) == ERR_OK) /* else its files cannot be read */
            buf_printf(&b, "%u " STR_FMT "\n", epoch, STR_ARG(cp.origin));
    }
    struct str list = arena_dup(c->arena, buf_str(&b));
    buf_free(&b);
    return trust_answer(c, "text/plain; charset=utf-8", "no-cache", list);
}
