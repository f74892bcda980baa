/* The verifier. It believes nothing but the checkpoint's signature: entries are hashed again, every
 * tile is compared with what lies below it, and the root they lead to with the signed one. When two
 * files disagree, the signed root says which of them was altered: the level whose hashes alone lead
 * to it is genuine, so what differs from it below, or above, is not. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/codec.h"
#include "data/json.h"
#include "journal/disk.h"
#include "journal/journal.h"
#include "journal/leaf.h"
#include "journal/past.h"
#include "journal/proof.h"
#include "journal/state.h"
#include "journal/tiles.h"
#include "journal/wal.h"
#include "journal/wire.h"

enum { LIVE_TRIES = 50, LIVE_PAUSE_US = 10000 };

/* Where two levels disagree for the first time. */
struct mismatch {
    bool is;
    uint64_t tile;
    unsigned at;
};

struct check {
    int folder;
    const char *prefix; /* of file names: "" or "past/1/" */
    struct journal_verdict *out;
    struct arena work;
    struct checkpoint checkpoint;
    struct state state;
    uint64_t held;
    /* Hashes that the files below a level give for its tile under way. */
    struct {
        uint8_t hashes[TILE_BYTES];
        unsigned n;
        uint64_t tile;
        struct mismatch first;
    } levels[TILE_LEVELS];
};

static enum err say(struct check *c, enum err e, int64_t index, const char *file, const char *what)
{
    c->out->err = e;
    c->out->index = index;
    snprintf(c->out->file, sizeof c->out->file, "%s%s", c->prefix, file);
    snprintf(c->out->what, sizeof c->out->what, "%s", what);
    return e;
}

/* A tile or bundle that cannot be read. */
static enum err say_unreadable(struct check *c, int level, uint64_t n, unsigned width, enum err e)
{
    char path[TILE_PATH_MAX];
    tile_path(level, n, width, path);
    int64_t index = (int64_t)(n << 8 << (level > 0 ? 8 * level : 0));
    if (e == ERR_NOT_FOUND)
        return say(c, ERR_CORRUPT, index, path, "The file is missing.");
    if (e == ERR_CORRUPT)
        return say(c, ERR_CORRUPT, index, path, "The file was shortened, lengthened or altered.");
    return say(c, e, index, path, "The file cannot be read.");
}

/* ---- the tree, level by level -------------------------------------------------------------------
 */
/* Compares a tile's file with what the level below gives, and hands its root on to the level above.
 * The hashes of the file go up, so that one alteration shows on one level only. */
static enum err level_flush(struct check *c, int i)
{
    struct str tile;
    unsigned n = c->levels[i].n;
    if (n == 0)
        return ERR_OK;
    enum err e = tile_read(c->folder, i, c->levels[i].tile, n, &c->work, &tile);
    if (e != ERR_OK)
        return say_unreadable(c, i, c->levels[i].tile, n, e);
    for (unsigned k = 0; !c->levels[i].first.is && k < n; k++)
        if (memcmp(tile.p + k * HASH_LEN, c->levels[i].hashes + k * HASH_LEN, HASH_LEN) != 0)
            c->levels[i].first = (struct mismatch){true, c->levels[i].tile, k};
    c->levels[i].n = 0;
    c->levels[i].tile++;
    if (n < TILE_WIDTH || i + 1 == TILE_LEVELS)
        return ERR_OK;
    merkle_perfect((const uint8_t *)tile.p, TILE_WIDTH,
                   c->levels[i + 1].hashes + c->levels[i + 1].n++ * HASH_LEN);
    return c->levels[i + 1].n == TILE_WIDTH ? level_flush(c, i + 1) : ERR_OK;
}

static enum err bundle_hash(struct check *c, uint64_t n, unsigned width, uint8_t hashes[TILE_BYTES])
{
    struct str bundle, leaf;
    enum err e = tile_read(c->folder, TILE_ENTRIES, n, width, &c->work, &bundle);
    if (e != ERR_OK)
        return say_unreadable(c, TILE_ENTRIES, n, width, e);
    for (unsigned k = 0; k < width && bundle_next(&bundle, &leaf); k++)
        merkle_leaf(leaf, hashes + k * HASH_LEN);
    return ERR_OK;
}

static enum err tree_check(struct check *c)
{
    uint64_t size = c->checkpoint.size;
    enum err e = ERR_OK;
    for (uint64_t n = 0; n * TILE_WIDTH < size && e == ERR_OK; n++) {
        unsigned width = tile_width(TILE_ENTRIES, n, size);
        e = bundle_hash(c, n, width, c->levels[0].hashes);
        c->levels[0].n = width;
        if (e == ERR_OK)
            e = level_flush(c, 0);
        arena_reset(&c->work);
    }
    for (int i = 1; i < TILE_LEVELS && e == ERR_OK; i++)
        e = level_flush(c, i);
    return e;
}

/* ---- who is right -----------------------------------------------------------------------------
 */
/* A root out of perfect subtrees that come from left to right. */
struct fold {
    uint8_t hashes[64][HASH_LEN];
    unsigned heights[64], n;
};

static void fold_add(struct fold *f, const uint8_t hash[HASH_LEN], unsigned height)
{
    uint8_t h[HASH_LEN];
    memcpy(h, hash, HASH_LEN);
    while (f->n && f->heights[f->n - 1] == height) {
        merkle_node(f->hashes[--f->n], h, h);
        height++;
    }
    memcpy(f->hashes[f->n], h, HASH_LEN);
    f->heights[f->n++] = height;
}

static void fold_root(struct fold *f, uint8_t out[HASH_LEN])
{
    assert(f->n > 0);
    memcpy(out, f->hashes[f->n - 1], HASH_LEN);
    for (unsigned i = f->n - 1; i-- > 0;)
        merkle_node(f->hashes[i], out, out);
}

static enum err fold_tile(struct check *c, struct fold *f, int level, uint64_t n)
{
    uint8_t hashes[TILE_BYTES];
    struct str tile;
    unsigned width = tile_width(level, n, c->checkpoint.size);
    enum err e = level == TILE_ENTRIES ? bundle_hash(c, n, width, hashes)
                                       : tile_read(c->folder, level, n, width, &c->work, &tile);
    const uint8_t *p = level == TILE_ENTRIES ? hashes : (const uint8_t *)tile.p;
    for (unsigned k = 0; k < width && e == ERR_OK; k++)
        fold_add(f, p + k * HASH_LEN, level > 0 ? 8 * (unsigned)level : 0);
    arena_reset(&c->work);
    return e;
}

/* Do the hashes of one level lead to the signed root? Where its own tiles end, the partial tiles
 * below go on. */
static bool level_is_genuine(struct check *c, int level)
{
    struct fold f = {.n = 0};
    uint8_t root[HASH_LEN];
    uint64_t size = c->checkpoint.size;
    for (int i = level; i >= 0 || i == level; i--) {
        uint64_t all = i > 0 ? size >> (8 * i) : size;
        uint64_t from = i == level ? 0 : all / TILE_WIDTH; /* below: the partial one */
        for (uint64_t n = from; n * TILE_WIDTH < all; n++)
            if (fold_tile(c, &f, i, n) != ERR_OK)
                return false;
    }
    if (f.n == 0)
        return false;
    fold_root(&f, root);
    return memcmp(root, c->checkpoint.root, HASH_LEN) == 0;
}

static enum err say_tile(struct check *c, int level, uint64_t tile, unsigned at, const char *what)
{
    char path[TILE_PATH_MAX];
    unsigned width = tile_width(level, tile, c->checkpoint.size);
    uint64_t index = (tile * TILE_WIDTH + at) << (level > 0 ? 8 * level : 0);
    return say(c, ERR_CORRUPT, (int64_t)index, tile_path(level, tile, width, path), what);
}

/* The first disagreement from below: between level i and what lies under it. */
static enum err decide(struct check *c, int i)
{
    struct mismatch m = c->levels[i].first;
    if (level_is_genuine(c, TILE_ENTRIES))
        return say_tile(c, i, m.tile, m.at,
                        "The tile was altered; the entries under it are genuine.");
    for (int k = 0; k < TILE_LEVELS && c->checkpoint.size >> (8 * k); k++) {
        if (!level_is_genuine(c, k))
            continue;
        if (k < i) /* genuine up to there: the mismatch is above */
            return say_tile(c, i, m.tile, m.at, "The tile was altered.");
        uint64_t first = (m.tile * TILE_WIDTH + m.at) << (8 * i);
        return say_tile(c, TILE_ENTRIES, first / TILE_WIDTH, (unsigned)(first % TILE_WIDTH),
                        "The entry was altered, moved or replaced.");
    }
    uint64_t first = (m.tile * TILE_WIDTH + m.at) << (8 * i);
    return say_tile(
        c, TILE_ENTRIES, first / TILE_WIDTH, (unsigned)(first % TILE_WIDTH),
        "The entry and the tiles over it disagree, and neither leads to the signed root.");
}

static enum err sealed_check(struct check *c)
{
    uint8_t root[HASH_LEN];
    enum err e = tree_check(c);
    if (e != ERR_OK)
        return e;
    for (int i = 0; i < TILE_LEVELS; i++)
        if (c->levels[i].first.is)
            return decide(c, i);
    struct tile_source tiles = {.folder = c->folder, .size = c->checkpoint.size, .a = &c->work};
    struct merkle_source source = {tile_source_node, &tiles};
    e = merkle_root(&source, c->checkpoint.size, root);
    if (e != ERR_OK)
        return say(c, e, -1, "tile", "The tiles cannot be read.");
    if (memcmp(root, c->checkpoint.root, HASH_LEN) != 0)
        return say(c, ERR_CORRUPT, -1, "checkpoint",
                   "The signed root is not that of the entries: they, or the checkpoint, were "
                   "replaced as a whole.");
    c->out->entries += c->checkpoint.size;
    return ERR_OK;
}

/* ---- behind the checkpoint ----------------------------------------------------------------------
 */
static enum err unsealed_check(struct check *c)
{
    uint8_t hashes[TILE_BYTES];
    struct str tile;
    enum err e = ERR_OK;
    for (uint64_t n = c->checkpoint.size / TILE_WIDTH; n * TILE_WIDTH < c->held && e == ERR_OK;
         n++) {
        unsigned width = tile_width(0, n, c->held);
        e = bundle_hash(c, n, width, hashes);
        if (e != ERR_OK)
            return e;
        e = tile_read(c->folder, 0, n, width, &c->work, &tile);
        if (e != ERR_OK)
            return say_unreadable(c, 0, n, width, e);
        for (unsigned k = 0; k < width && e == ERR_OK; k++)
            if (memcmp(tile.p + k * HASH_LEN, hashes + k * HASH_LEN, HASH_LEN) != 0) {
                char path[TILE_PATH_MAX];
                e = say(c, ERR_CORRUPT, (int64_t)(n * TILE_WIDTH + k),
                        tile_path(TILE_ENTRIES, n, width, path),
                        "An entry that no checkpoint covers yet disagrees with its tile.");
            }
        arena_reset(&c->work);
    }
    c->out->unsealed += c->held - c->checkpoint.size;
    return e;
}

/* Is this the entry that the files hold under that index? They are asked for one after the other:
 * `rest` is what is left of the bundle read last. */
static bool same_entry(struct check *c, uint64_t index, struct str leaf, struct str *rest)
{
    struct str there = STR_NONE;
    uint64_t n = index / TILE_WIDTH, skip = rest->n ? 0 : index % TILE_WIDTH;
    if (rest->n == 0) {
        arena_reset(&c->work);
        if (tile_read(c->folder, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, c->held), &c->work,
                      rest) != ERR_OK)
            return false;
    }
    for (; skip > 0; skip--)
        if (!bundle_next(rest, &there))
            return false;
    return bundle_next(rest, &there) && str_eq(there, leaf);
}

static enum err wal_batch_check(struct check *c, const struct wal_batch *b, uint64_t *next,
                                struct str *bundle)
{
    char name[32];
    struct str rest = b->records;
    struct wire_record r;
    wal_segment_name(b->position / WAL_SEGMENT, name);
    if (b->first_index != *next || b->epoch != c->state.epoch)
        return say(c, ERR_CORRUPT, (int64_t)*next, name, "A batch of another log or place.");
    for (uint32_t i = 0; i < b->n_records; i++) {
        if (wire_read(&rest, &r) != ERR_OK)
            return say(c, ERR_CORRUPT, (int64_t)*next, name, "A record is malformed.");
        if (r.type != WIRE_ENTRY)
            continue;
        if (*next < c->held && !same_entry(c, *next, r.leaf, bundle))
            return say(c, ERR_CORRUPT, (int64_t)*next, name,
                       "The write-ahead log and the entry's file disagree.");
        c->out->unsealed += *next >= c->held;
        ++*next;
    }
    return ERR_OK;
}

/* The next batch; *cut: there is none where there should be one. A journal that is being written
 * may get one between the look for it and the look behind it: then it is there now. */
static enum err wal_next(struct check *c, struct wal_reader *r, struct wal_batch *b, bool *cut)
{
    enum err e = wal_reader_next(r, b);
    *cut = e == ERR_NOT_FOUND && (r->position < c->state.wal || wal_reader_looks_cut(r));
    if (*cut)
        e = wal_reader_next(r, b);
    *cut = *cut && e == ERR_NOT_FOUND;
    return e;
}

/* From the last durable point on; what is before it is no part of the journal any more. *again:
 * what was wrong may be so only because the writer went on. */
static enum err wal_check(struct check *c, const struct state *durable, bool *again)
{
    struct wal_reader r;
    struct wal_batch b;
    struct str bundle = STR_NONE;
    char name[32];
    uint64_t next = durable->size, unsealed = c->out->unsealed;
    bool cut;
    wal_reader_init(&r, c->folder, durable->wal);
    enum err e = wal_next(c, &r, &b, &cut);
    while (e == ERR_OK) {
        e = wal_batch_check(c, &b, &next, &bundle);
        if (e == ERR_OK)
            e = wal_next(c, &r, &b, &cut);
    }
    *again = cut || (e != ERR_OK && e != ERR_NOT_FOUND);
    if (cut)
        e = say(c, ERR_CORRUPT, (int64_t)next, wal_segment_name(r.position / WAL_SEGMENT, name),
                "The write-ahead log was altered or cut.");
    if (*again)
        c->out->unsealed = unsealed;
    wal_reader_free(&r);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* A journal that is being written may release what we were about to read: then `durable` has
 * changed. */
static enum err wal_check_live(struct check *c)
{
    struct arena a;
    struct state durable;
    uint64_t seen = UINT64_MAX;
    enum err e = ERR_OK;
    bool again = true;
    arena_init(&a);
    for (int i = 0; again && i < LIVE_TRIES; i++) {
        if (state_read(c->folder, "durable", &a, &durable) != ERR_OK) {
            e = say(c, ERR_CORRUPT, -1, "durable", "The file is missing or was altered.");
            break;
        }
        if (durable.wal == seen)
            break; /* what was said stays said */
        seen = durable.wal;
        c->out->err = ERR_OK;
        c->out->index = -1;
        c->out->file[0] = c->out->what[0] = '\0';
        e = wal_check(c, &durable, &again);
    }
    arena_free(&a);
    return e;
}

/* ---- one log ----------------------------------------------------------------------------------
 */
static enum err key_find(struct check *c, struct str given, struct arena *a, struct note_key *key)
{
    struct str text = given;
    if (!given.p && disk_read(c->folder, "key", a, NOTE_KEY_MAX, &text) != ERR_OK)
        return say(c, ERR_CORRUPT, -1, "key", "The file is missing.");
    if (note_key_read(a, text, key) == ERR_OK)
        return ERR_OK;
    return given.p ? say(c, ERR_INVALID, -1, "", "The key given is no verifier key.")
                   : say(c, ERR_CORRUPT, -1, "key", "The file was altered.");
}

static enum err checkpoint_get(struct check *c, const struct note_key *key, struct arena *a)
{
    struct str note;
    enum err e = disk_read(c->folder, "checkpoint", a, NOTE_MAX, &note);
    if (e == ERR_NOT_FOUND) {
        c->checkpoint = (struct checkpoint){.origin = key->name};
        return ERR_OK; /* none was signed yet, unless `state` says otherwise */
    }
    if (e != ERR_OK || checkpoint_read(a, note, &c->checkpoint) != ERR_OK)
        return say(c, ERR_CORRUPT, -1, "checkpoint", "The checkpoint is malformed.");
    if (!str_eq(c->checkpoint.origin, key->name))
        return say(c, ERR_DENIED, -1, "checkpoint",
                   "The checkpoint is of another log than the key.");
    if (checkpoint_check(a, &c->checkpoint, key) != ERR_OK)
        return say(c, ERR_DENIED, -1, "checkpoint",
                   "The checkpoint was altered, or signed with another key.");
    return ERR_OK;
}

/* `state`, or `durable` in its place; each may know of a later checkpoint than the other. */
static enum err states_read(struct check *c, bool past, struct arena *a)
{
    struct state durable;
    enum err e = state_read(c->folder, "state", a, &c->state);
    enum err e2 = past ? ERR_NOT_FOUND : state_read(c->folder, "durable", a, &durable);
    if (e != ERR_OK && e2 != ERR_OK)
        return say(c, ERR_CORRUPT, -1, "state", "The file is missing or was altered.");
    if (e != ERR_OK)
        c->state = durable;
    if (e2 == ERR_OK && durable.sealed > c->state.sealed)
        c->state.sealed = durable.sealed;
    return ERR_OK;
}

/* The checkpoint, then `state`, which is at least as new; a log that is being written may sign in
 * between. */
static enum err heads_get(struct check *c, struct str given_key, bool past, struct arena *a)
{
    struct note_key key;
    enum err e = key_find(c, given_key, a, &key);
    for (int i = 0; e == ERR_OK && i < LIVE_TRIES; i++) {
        e = checkpoint_get(c, &key, a);
        if (e != ERR_OK)
            return e;
        enum err read = states_read(c, past, a);
        if (read != ERR_OK)
            return read;
        if (c->state.sealed <= c->checkpoint.size)
            break;
        usleep(LIVE_PAUSE_US);
    }
    if (e != ERR_OK)
        return e;
    if (c->state.sealed > c->checkpoint.size)
        return say(c, ERR_CORRUPT, -1, "checkpoint",
                   "The checkpoint is missing or an older one was put in its place.");
    if (c->state.size < c->checkpoint.size)
        return say(c, ERR_CORRUPT, (int64_t)c->state.size, "state",
                   "Entries that the checkpoint covers are missing, or an older state was put in "
                   "place.");
    c->held = c->state.size;
    return ERR_OK;
}

/* origin_out: of this log, copied. */
static enum err log_check(int folder, const char *prefix, struct str key, bool past,
                          struct journal_verdict *out, struct checkpoint *signed_out,
                          struct arena *a)
{
    struct check *c = arena_new(a, struct check);
    *c = (struct check){.folder = folder, .prefix = prefix, .out = out};
    arena_init(&c->work);
    enum err e = heads_get(c, key, past, a);
    if (!*out->origin) /* the newest log's */
        snprintf(out->origin, sizeof out->origin, STR_FMT, STR_ARG(c->checkpoint.origin));
    if (e == ERR_OK && c->checkpoint.size)
        e = sealed_check(c);
    if (e == ERR_OK)
        e = unsealed_check(c);
    if (e == ERR_OK && !past)
        e = wal_check_live(c);
    *signed_out = c->checkpoint;
    arena_free(&c->work);
    return e;
}

/* ---- past logs --------------------------------------------------------------------------------
 */
/* What the first entry of a log says of the one before it. */
struct link {
    bool there; /* else not written yet; a log without a first entry was found out before */
    struct str origin, root;
    uint64_t size, held;
};

static void link_read(int folder, struct arena *a, struct link *out)
{
    struct str bundle, leaf;
    json_t *entry = NULL;
    *out = (struct link){.there = false};
    if (tile_read(folder, TILE_ENTRIES, 0, 1, a, &bundle) != ERR_OK ||
        !bundle_next(&bundle, &leaf) || json_read(leaf, &entry, NULL) != ERR_OK)
        return;
    const json_t *previous = json_get(entry, "previous");
    out->there = previous != NULL;
    out->origin = arena_dup(a, json_get_str(previous, "origin"));
    out->root = arena_dup(a, json_get_str(previous, "root"));
    out->size = (uint64_t)json_get_i64(previous, "size", -1);
    out->held = (uint64_t)json_get_i64(json_get(entry, "held"), "size", 0);
    json_decref(entry);
}

static enum err link_check(const struct link *l, const struct checkpoint *past, const char *file,
                           struct journal_verdict *out, struct arena *a)
{
    struct check c = {.prefix = "", .out = out};
    bool same = !l->there ||
                (l->size == past->size &&
                 (past->size == 0 || (str_eq(past->origin, l->origin) &&
                                      str_eq(codec_to_base64(a, past->root, HASH_LEN), l->root))));
    return same ? ERR_OK
                : say(&c, ERR_CORRUPT, -1, file,
                      "The past log is not the one that the next log's first entry names.");
}

/* next_folder: of the log behind it. *fd_out: of this one, -1 when it cannot be read. */
static enum err past_check(int folder, int next_folder, uint32_t epoch, struct journal_verdict *out,
                           int *fd_out, struct arena *a)
{
    char path[64];
    struct checkpoint signed_past;
    struct link link;
    struct state st;
    struct check c = {.folder = folder, .prefix = "", .out = out};
    const char *prefix = arena_printf(a, "past/%u/", epoch).p;
    link_read(next_folder, a, &link);
    *fd_out = openat(folder, past_path(epoch, "", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd_out < 0 || state_read(*fd_out, "state", a, &st) != ERR_OK)
        return link.held == 0 /* its files could not be read when it ended: kept, not more */
                   ? ERR_OK
                   : say(&c, ERR_CORRUPT, -1, path, "A past log is missing.");
    enum err e = log_check(*fd_out, prefix, STR_NONE, true, out, &signed_past, a);
    return e == ERR_OK
               ? link_check(&link, &signed_past, past_path(epoch, "checkpoint", path), out, a)
               : e;
}

/* From the newest to the oldest: each is named by the one behind it. */
static void past_checks(int folder, struct journal_verdict *out, struct arena *a)
{
    struct state st;
    int next = folder, fd = -1;
    if (state_read(folder, "state", a, &st) != ERR_OK &&
        state_read(folder, "durable", a, &st) != ERR_OK)
        return;
    for (uint32_t epoch = st.epoch - 1; epoch > 0 && out->err == ERR_OK; epoch--) {
        enum err e = past_check(folder, next, epoch, out, &fd, a);
        if (next != folder)
            close(next);
        next = fd;
        if (e != ERR_OK || fd < 0)
            break;
    }
    if (next != folder && next >= 0)
        close(next);
}

/* `durable` alone is that of a log that has just begun: nothing was ever signed. */
static bool is_journal(int folder)
{
    static const char *const names[] = {"key", "tile", "checkpoint", "past"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (faccessat(folder, names[i], F_OK, 0) == 0)
            return true;
    return false;
}

void journal_verify_folder(const char *folder, struct str key, struct journal_verdict *out)
{
    struct arena a;
    struct checkpoint last;
    *out = (struct journal_verdict){.index = -1};
    struct check c = {.prefix = "", .out = out};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !is_journal(fd)) {
        enum err e = say(&c, ERR_NOT_FOUND, -1, "", "There is no journal in this folder.");
        (void)e;
    } else {
        arena_init(&a);
        /* A past log by itself has neither a write-ahead log nor logs before it. */
        bool past = faccessat(fd, "durable", F_OK, 0) != 0 && faccessat(fd, "ended", F_OK, 0) == 0;
        if (log_check(fd, "", key, past, out, &last, &a) == ERR_OK && !past)
            past_checks(fd, out, &a);
        arena_free(&a);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- a proof alone ------------------------------------------------------------------------------
 */
static enum err proof_check(struct arena *a, struct str text, struct str given, struct check *c,
                            struct proof *p)
{
    struct note_key key;
    uint8_t hash[HASH_LEN];
    if (proof_read(a, text, p) != ERR_OK)
        return say(c, ERR_INVALID, -1, "", "This is no proof file, or it is cut.");
    if (note_key_read(a, given.p ? given : p->key_line, &key) != ERR_OK)
        return say(c, ERR_INVALID, -1, "", "The verifier key is malformed.");
    if (checkpoint_read(a, p->note, &c->checkpoint) != ERR_OK)
        return say(c, ERR_INVALID, -1, "", "The checkpoint is malformed.");
    snprintf(c->out->origin, sizeof c->out->origin, STR_FMT, STR_ARG(c->checkpoint.origin));
    if (!str_eq(c->checkpoint.origin, key.name))
        return say(c, ERR_DENIED, -1, "", "The checkpoint is of another log than the key.");
    if (checkpoint_check(a, &c->checkpoint, &key) != ERR_OK)
        return say(c, ERR_DENIED, -1, "",
                   "The checkpoint was altered, or signed with another key.");
    merkle_leaf(p->leaf, hash);
    if (!merkle_check_inclusion(p->index, c->checkpoint.size, hash, p->hashes, c->checkpoint.root))
        return say(c, ERR_CORRUPT, (int64_t)p->index, "",
                   "The entry does not lead to the signed root: it, or the proof, was altered.");
    return ERR_OK;
}

void journal_verify_proof(struct arena *a, struct str proof, struct str key, struct str *leaf,
                          struct journal_verdict *out)
{
    struct proof p = {0};
    struct check *c = arena_new(a, struct check);
    *out = (struct journal_verdict){.index = -1};
    *c = (struct check){.prefix = "", .out = out};
    *leaf = STR_NONE;
    if (proof_check(a, proof, key, c, &p) != ERR_OK)
        return;
    *leaf = p.leaf;
    out->index = (int64_t)p.index;
    out->entries = c->checkpoint.size;
}
