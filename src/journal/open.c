/* Opening the journal's folder. A log is continued only when its files hold all that its last
 * checkpoint says and nothing else. In any other case (a restored backup, lost or altered files,
 * another key) it is put beside as it is, and a new log begins, whose first entry names what was
 * known of the old one: so nobody can be shown two different continuations of one log. */
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rand.h"
#include "journal/disk.h"
#include "journal/past.h"
#include "journal/writer.h"

enum { KEY_TRIES = 20, SMALL_MAX = 64 * 1024 };

static bool is_there(int folder, const char *path)
{
    return faccessat(folder, path, F_OK, 0) == 0;
}

/* ---- the key ----------------------------------------------------------------------------------
 */
static enum err key_ask(struct sealer *s, uint8_t out[32])
{
    enum err e = ERR_UNAVAILABLE;
    for (int i = 0; e != ERR_OK && i < KEY_TRIES && !proc_stopping; i++)
        e = keys_public_raw(s->keys, "journal", out); /* waits for the keys process by itself */
    return e;
}

static enum err key_write(struct sealer *s, struct str origin, const uint8_t public_key[32],
                          struct arena *a)
{
    note_key_make(arena_dup(a, origin), public_key, &s->key);
    return disk_replace(s->folder, "key",
                        arena_printf(a, STR_FMT "\n", STR_ARG(note_key_line(a, &s->key))), true);
}

/* ---- what is in the folder ----------------------------------------------------------------------
 */
/* `durable`; when it is lost, `state` may be as good. */
static enum err state_find(struct sealer *s, struct arena *a, struct state *out)
{
    enum err e = state_read(s->folder, "durable", a, out);
    if (e == ERR_OK)
        return e;
    bool fresh = e == ERR_NOT_FOUND && !is_there(s->folder, "key") &&
                 !is_there(s->folder, "tile") && !is_there(s->folder, "past");
    if (fresh) {
        *out = (struct state){.epoch = 1};
        return ERR_OK;
    }
    log_error("journal_state_lost", "error", err_name(e));
    enum err e2 = state_read(s->folder, "state", a, out);
    if (e2 != ERR_OK)
        *out = (struct state){.epoch = past_last(s->folder) + 1};
    return ERR_CORRUPT;
}

/* Applies the write-ahead log to its end. */
static enum err catch_up(struct sealer *s)
{
    enum err e = ERR_OK;
    while (e == ERR_OK) {
        e = sealer_apply(s, INT64_MAX / 2);
        enum err done = e == ERR_NOT_FOUND ? ERR_OK : e;
        if (done == ERR_OK)
            done = sealer_publish(s);
        if (done == ERR_OK)
            done = sealer_make_durable(s);
        e = done == ERR_OK ? e : done;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* The root that our files have at the size of a checkpoint. */
static enum err root_at(struct sealer *s, uint64_t size, uint8_t root[HASH_LEN])
{
    struct arena a;
    arena_init(&a);
    struct tile_source tiles = {.folder = s->folder, .size = s->tree.size, .a = &a};
    struct merkle_source source = {tile_source_node, &tiles};
    enum err e = merkle_root(&source, size, root);
    arena_free(&a);
    return e;
}

/* ERR_CORRUPT: the files do not hold what this checkpoint says. */
static enum err compare(struct sealer *s, uint64_t size, const uint8_t expected[HASH_LEN])
{
    uint8_t root[HASH_LEN];
    if (size > s->tree.size)
        return ERR_CORRUPT;
    enum err e = size ? root_at(s, size, root) : ERR_OK;
    if (e != ERR_OK)
        return e;
    return size == 0 || memcmp(root, expected, HASH_LEN) == 0 ? ERR_OK : ERR_CORRUPT;
}

/* Against the checkpoint, and what `durable` says of the last one: one of them may be lost in a
 * power cut, never both. */
static enum err check_sealed(struct sealer *s, struct arena *a)
{
    struct checkpoint c;
    struct str note;
    uint8_t root[HASH_LEN];
    uint64_t sealed = s->sealed;
    memcpy(root, s->root, HASH_LEN);
    if (disk_read(s->folder, "checkpoint", a, SMALL_MAX, &note) == ERR_OK &&
        checkpoint_read(a, note, &c) == ERR_OK && checkpoint_check(a, &c, &s->key) == ERR_OK) {
        enum err e = compare(s, c.size, c.root);
        if (e != ERR_OK)
            return e;
        if (c.size > s->sealed) {
            s->sealed = c.size;
            memcpy(s->root, c.root, HASH_LEN);
        }
    } else if (sealed) {
        log_error("journal_checkpoint_lost"); /* it is signed anew */
        s->sealed = 0;
    }
    return compare(s, sealed, root);
}

/* ---- opening ----------------------------------------------------------------------------------
 */
struct opening {
    const char *origin;
    uint8_t public_key[32];
    const char *why;  /* the log must not be continued; NULL: it may */
    bool wal_applied; /* else its files cannot be read */
};

/* A log that has just begun behind another one gets its key, and with it a name that no other
 * continuation has. */
static enum err key_of_log(struct sealer *s, struct opening *o, struct arena *a)
{
    struct str key;
    char id[ID_LEN + 1];
    enum err e = disk_read(s->folder, "key", a, NOTE_KEY_MAX, &key);
    if (e == ERR_NOT_FOUND && s->tree.size == 0) {
        id_new(id);
        struct str name =
            s->epoch == 1 ? str_from(o->origin) : arena_printf(a, "%s/%s", o->origin, id);
        return key_write(s, name, o->public_key, a);
    }
    if (e != ERR_OK || note_key_read(a, key, &s->key) != ERR_OK)
        o->why = "damaged";
    else if (memcmp(s->key.public_key, o->public_key, 32) != 0)
        o->why = "key_changed";
    return ERR_OK;
}

static enum err look_through(struct sealer *s, struct opening *o, struct arena *a)
{
    struct state st;
    enum err found = state_find(s, a, &st);
    enum err e = sealer_load(s, &st);
    o->why = is_there(s->folder, "restored") ? "restored" : found != ERR_OK ? "damaged" : NULL;
    if (e == ERR_OK)
        e = catch_up(s);
    o->wal_applied = e == ERR_OK;
    if (e == ERR_CORRUPT || e == ERR_NOT_FOUND)
        o->why = o->why ? o->why : "damaged";
    else if (e != ERR_OK)
        return e; /* nothing wrong with the log: a full disk, no rights */
    if (o->why)
        return ERR_OK;
    e = key_of_log(s, o, a);
    if (e == ERR_OK && !o->why && check_sealed(s, a) != ERR_OK)
        o->why = "damaged";
    return e;
}

static void reset(struct sealer *s)
{
    struct sealer fresh = {.folder = s->folder, .shared = s->shared, .keys = s->keys};
    sealer_free(s);
    *s = fresh;
}

static enum err open_log(struct sealer *s, struct opening *o, struct arena *a)
{
    enum err e = past_move_finish(s->folder);
    if (e == ERR_OK)
        e = look_through(s, o, a);
    if (e != ERR_OK || !o->why)
        return e;
    log_error("journal_new_log", "reason", o->why, "entries", LOG_NUM(s->tree.size));
    e = past_move(s->folder, s->epoch, o->why, !o->wal_applied);
    reset(s);
    if (e == ERR_OK)
        e = look_through(s, o, a);
    return e == ERR_OK && o->why ? ERR_CORRUPT : e;
}

static bool origin_is_good(struct arena *a, const struct opening *o)
{
    struct note_key k;
    note_key_make(str_from(o->origin), o->public_key, &k);
    if (strlen(o->origin) + ID_LEN + 1 <= NOTE_NAME_MAX &&
        note_key_read(a, note_key_line(a, &k), &k) == ERR_OK)
        return true;
    log_error("journal_origin_invalid", "origin", o->origin);
    return false;
}

enum err log_open(struct sealer *s, const char *origin, struct arena *a, struct opened *out)
{
    struct opening o = {.origin = origin};
    *out = (struct opened){0};
    enum err e = key_ask(s, o.public_key);
    if (e == ERR_OK && !origin_is_good(a, &o))
        e = ERR_INVALID;
    if (e == ERR_OK)
        e = open_log(s, &o, a);
    if (e != ERR_OK)
        return e;
    s->origin = s->key.name;
    if (!str_starts(s->origin, str_from(origin)))
        log_warn("journal_origin_kept", "setting", origin);
    out->end = s->log.position;
    out->last = s->log.last;
    if (s->epoch > 1 && s->tree.size == 0)
        e = past_opening(s->folder, s->epoch - 1, a, &out->opening);
    return e;
}

enum err log_apply(int folder)
{
    struct arena a;
    struct state st;
    struct shared shared;
    struct sealer s = {.folder = folder, .shared = &shared};
    arena_init(&a);
    shared_init(&shared);
    enum err e = state_read(folder, "durable", &a, &st);
    if (e == ERR_OK) {
        e = sealer_load(&s, &st);
        if (e == ERR_OK)
            e = catch_up(&s);
        sealer_free(&s);
    }
    shared_free(&shared);
    arena_free(&a);
    return e;
}
