/* socle node: machines of one platform. A new one is given what all must know by a code that the
 * operator carries from one machine to the other: the database holds it sealed under that code, so
 * that whoever reads the database learns nothing, and whoever writes to it brings nothing in. */
#include "platform/node_cli.h"

#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "platform/act.h"
#include "platform/boot.h"
#include "platform/change.h"
#include "platform/ctx.h"
#include "platform/node.h"
#include "sys/file.h"

enum { INVITE_LIFE_MS = 3600 * 1000, KNOWN_MS = 10 * 60 * 1000 };

static const char help[] =
    "usage: socle node list [--json]\n"
    "       socle node invite              on a machine of the platform: prints a code, good "
    "once,\n"
    "                                      for an hour\n"
    "       socle node join CODE           on the new machine, before its first start, with the\n"
    "                                      same --database\n"
    "       socle node rotate issuer|client [--now]\n"
    "                                      this node signs with its next key, while it runs;\n"
    "                                      --now: though it was published less than 10 minutes "
    "ago\n"
    "       socle node remove ID           its keys count no more, within a second\n"
    "       socle node take-over           a lost secret was replaced here on purpose: this\n"
    "                                      folder's secrets are the platform's from now on\n";

static int failed(const char *what, enum err e)
{
    fprintf(stderr, "socle node %s: %s\n", what, err_name(e));
    return 1;
}

static int refused(const char *what, const char *why)
{
    fprintf(stderr, "socle node %s: %s\n", what, why);
    return 1;
}

static enum err act_done(struct ctx *c, const char *kind, const char *object, db_closure *fn,
                         void *arg)
{
    struct act act;
    struct act_info info = {.kind = kind, .actor = STR("operator"), .object = str_from(object)};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, fn, arg, &act, 1) : e;
}

/* ---- list
 * -------------------------------------------------------------------------------------- */
static int list(struct ctx *c, bool as_json)
{
    struct db_result r;
    char own[NODE_ID_LEN + 1];
    struct db_conn *db = db_read(c->pf->db);
    enum err e = node_id(c->pf, own);
    if (e == ERR_OK)
        e = !db ? ERR_UNAVAILABLE
                : db_query(db, c->arena, &r,
                           "SELECT id, name, joined_at, seen_at, removed_at, (SELECT COUNT(*) "
                           "FROM node_key WHERE node_key.node = node.id) FROM node "
                           "ORDER BY joined_at, id",
                           "");
    if (e != ERR_OK)
        return failed("list", e);
    json_t *all = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++) {
        bool here = strcmp(db_z(&r, i, 0), own) == 0;
        struct str seen = clock_rfc3339(c->arena, db_i64(&r, i, 3), false);
        json_array_append_new(
            all, json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I}", "id", db_z(&r, i, 0), "name",
                           db_z(&r, i, 1), "here", here, "joined_at", (json_int_t)db_i64(&r, i, 2),
                           "seen_at", (json_int_t)db_i64(&r, i, 3), "removed_at",
                           (json_int_t)db_i64(&r, i, 4), "keys", (json_int_t)db_i64(&r, i, 5)));
        if (!as_json)
            printf("%s  %-24s seen %s  %2d keys%s%s\n", db_z(&r, i, 0), db_z(&r, i, 1), seen.p,
                   (int)db_i64(&r, i, 5), here ? "  (this one)" : "",
                   db_i64(&r, i, 4) ? "  removed" : "");
    }
    if (as_json)
        printf("%s\n", json_text(c->arena, all).p);
    return 0;
}

/* ---- invite and join
 * -------------------------------------------------------------------------------------- */
struct invite {
    struct str id, sealed;
    uint8_t key[32];
    int64_t until_ms, now_ms;
};

static void invite_of_code(struct arena *a, struct str code, struct invite *out)
{
    uint8_t id[16];
    hkdf_sha256(code, STR("socle/node/1"), STR("id"), id, sizeof id);
    hkdf_sha256(code, STR("socle/node/1"), STR("secrets"), out->key, sizeof out->key);
    out->id = codec_to_hex(a, id, sizeof id);
    out->now_ms = clock_now_ms();
    out->until_ms = out->now_ms + INVITE_LIFE_MS;
}

static enum err invite_write(struct db_conn *db, void *arg)
{
    const struct invite *v = arg;
    enum err e = db_exec(db, "DELETE FROM node_invite WHERE until_at < $1", "i", v->now_ms);
    return e == ERR_OK
               ? db_exec(db, "INSERT INTO node_invite(id, sealed, until_at) VALUES($1, $2, $3)",
                         "sbi", v->id, v->sealed, v->until_ms)
               : e;
}

static const char *keys_folder(struct arena *a, const struct settings *s)
{
    return arena_printf(a, "%s/keys", s->data).p;
}

static int invite(struct ctx *c)
{
    char code[SECRET_LEN + 1];
    struct invite v = {0};
    if (db_engine(c->pf->db) != DB_POSTGRES)
        return refused("invite", "SQLite has one node; several share a PostgreSQL");
    secret_new(code);
    invite_of_code(c->arena, str_from(code), &v);
    enum err e = node_keys_make(c->pf);
    if (e == ERR_OK)
        e = node_publish(c->pf);
    if (e == ERR_OK)
        e = keys_share(keys_folder(c->arena, c->pf->settings), v.key, c->arena, &v.sealed);
    mem_wipe(v.key, sizeof v.key);
    if (e == ERR_OK)
        e = act_done(c, "node.invited", v.id.p, invite_write, &v);
    if (e == ERR_OK)
        printf("%s\n", code);
    mem_wipe(code, sizeof code);
    if (e == ERR_OK)
        fprintf(stderr, "On the new machine, within an hour: socle node join CODE --data FOLDER "
                        "--database URL\n");
    return e == ERR_OK ? 0 : failed("invite", e);
}

/* Once, whoever comes. */
static enum err invite_take(struct db_conn *db, void *arg)
{
    const struct invite *v = arg;
    int64_t n = 0;
    enum err e = db_exec_count(db, &n, "DELETE FROM node_invite WHERE id = $1", "s", v->id);
    return e == ERR_OK && n != 1 ? ERR_NOT_FOUND : e;
}

/* The secrets, into a folder without any. */
static enum err receive(const struct settings *s, struct arena *a, struct str code)
{
    struct db *db;
    struct db_result r;
    struct invite v = {0};
    if (access(arena_printf(a, "%s/inventory", keys_folder(a, s)).p, F_OK) == 0)
        return ERR_EXISTS; /* before the code is spent */
    enum err e = db_open(s->database, &db);
    if (e != ERR_OK)
        return e;
    invite_of_code(a, code, &v);
    struct db_conn *conn = db_read(db);
    e = !conn ? ERR_UNAVAILABLE
              : db_query_one(conn, a, &r,
                             "SELECT sealed FROM node_invite WHERE id = $1 AND until_at > $2", "si",
                             v.id, v.now_ms);
    if (e == ERR_OK)
        e = db_write(db, invite_take, &v);
    if (e == ERR_OK)
        e = keys_receive(keys_folder(a, s), v.key, db_str(&r, 0, 0));
    mem_wipe(v.key, sizeof v.key);
    db_close(db);
    return e;
}

static int join(const struct settings *s, const char *code)
{
    struct arena a;
    struct platform pf;
    char id[NODE_ID_LEN + 1];
    arena_init_secret(&a);
    if (strncmp(s->database, "sqlite:", 7) == 0)
        return refused("join", "SQLite has one node; give the platform's --database");
    enum err e = file_make_dirs(s->data, 0700);
    if (e == ERR_OK)
        e = receive(s, &a, str_from(code));
    arena_free(&a);
    if (e == ERR_NOT_FOUND)
        return refused("join", "the code is unknown, used or over an hour old");
    if (e == ERR_EXISTS)
        return refused("join", "this folder has keys of its own already: begin with an empty one");
    if (e != ERR_OK)
        return failed("join", e);
    e = boot_open_local(s, &pf); /* makes this node's own keys */
    if (e == ERR_OK)
        e = node_check(&pf);
    if (e == ERR_OK)
        e = node_keys_make(&pf);
    if (e == ERR_OK)
        e = node_publish(&pf);
    if (e == ERR_OK)
        e = node_id(&pf, id);
    if (e == ERR_OK) {
        struct arena work;
        arena_init(&work);
        struct ctx *c = ctx_make(&pf, &work);
        e = act_done(c, "node.joined", id, NULL, NULL);
        ctx_free(c);
        arena_free(&work);
    }
    boot_close(&pf);
    if (e == ERR_OK)
        printf("%s\n", id);
    return e == ERR_OK ? 0 : failed("join", e);
}

/* ---- rotate, remove, take over
 * -------------------------------------------------------------------------------------- */
/* A client may keep the published keys for five minutes: the next one must be among them. */
static enum err next_is_known(struct ctx *c, const char *purpose, bool *known)
{
    struct db_result r;
    char id[NODE_ID_LEN + 1];
    struct db_conn *db = db_read(c->pf->db);
    enum err e = node_id(c->pf, id);
    if (e == ERR_OK)
        e = !db ? ERR_UNAVAILABLE
                : db_query_one(db, c->arena, &r,
                               "SELECT COALESCE(MAX(since), 0) FROM node_key WHERE node = $1 AND "
                               "purpose = $2",
                               "zz", id, purpose);
    if (e == ERR_OK)
        *known = db_i64(&r, 0, 0) > 0 && db_i64(&r, 0, 0) + KNOWN_MS < clock_now_ms();
    return e;
}

static int rotate(struct ctx *c, const char *purpose, bool now)
{
    char id[NODE_ID_LEN + 1];
    bool known = false;
    if (strcmp(purpose, "issuer") != 0 && strcmp(purpose, "client") != 0)
        return 2;
    enum err e = next_is_known(c, purpose, &known);
    if (e == ERR_OK && !known && !now)
        return refused("rotate", "the next key was published less than 10 minutes ago: services "
                                 "may not know it yet (--now does it all the same)");
    if (e == ERR_OK)
        e = keys_rotate(c->pf->keys, purpose);
    if (e == ERR_OK)
        e = node_publish(c->pf);
    if (e == ERR_OK)
        e = node_id(c->pf, id);
    if (e == ERR_OK)
        e = act_done(c, "node.keys_rotated", id, NULL, NULL);
    return e == ERR_OK ? 0 : failed("rotate", e);
}

struct removal {
    const char *id;
    int64_t now_ms;
};

static enum err removal_write(struct db_conn *db, void *arg)
{
    const struct removal *m = arg;
    int64_t n = 0;
    enum err e =
        db_exec_count(db, &n, "UPDATE node SET removed_at = $2 WHERE id = $1 AND removed_at = 0",
                      "zi", m->id, m->now_ms);
    if (e == ERR_OK && n != 1)
        return ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM node_key WHERE node = $1", "z", m->id);
    return e == ERR_OK ? change_add(db, "keys", str_from(m->id), 0) : e;
}

static int remove_node(struct ctx *c, const char *id)
{
    char own[NODE_ID_LEN + 1];
    struct removal m = {id, clock_now_ms()};
    enum err e = node_id(c->pf, own);
    if (e == ERR_OK && strcmp(own, id) == 0)
        return refused("remove", "that is this node: do it from another");
    if (e == ERR_OK)
        e = act_done(c, "node.removed", id, removal_write, &m);
    return e == ERR_OK ? 0 : failed("remove", e);
}

static int take_over(struct ctx *c)
{
    char id[NODE_ID_LEN + 1];
    enum err e = node_id(c->pf, id);
    if (e == ERR_OK)
        e = node_take_over(c->pf);
    if (e == ERR_OK)
        e = act_done(c, "node.secrets_replaced", id, NULL, NULL);
    return e == ERR_OK ? 0 : failed("take-over", e);
}

/* ---- the command
 * -------------------------------------------------------------------------------------- */
static int run(struct ctx *c, int argc, char **argv)
{
    const char *what = argv[1], *last = argv[argc - 1];
    if (strcmp(what, "take-over") == 0 && argc == 2)
        return take_over(c);
    enum err e = node_check(c->pf);
    if (e != ERR_OK)
        return failed(what, e);
    if (strcmp(what, "list") == 0 && argc <= 3)
        return argc == 3 && strcmp(last, "--json") != 0 ? 2 : list(c, argc == 3);
    if (strcmp(what, "invite") == 0 && argc == 2)
        return invite(c);
    if (strcmp(what, "rotate") == 0 && (argc == 3 || (argc == 4 && strcmp(last, "--now") == 0)))
        return rotate(c, argv[2], argc == 4);
    if (strcmp(what, "remove") == 0 && argc == 3)
        return remove_node(c, argv[2]);
    return 2;
}

int node_cli(const struct settings *s, int argc, char **argv)
{
    struct platform pf;
    struct arena a;
    int code = 1;
    if (!s->data) { /* --help */
        fputs(help, stdout);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "join") == 0)
        return join(s, argv[2]);
    if (argc < 2) {
        fputs(help, stderr);
        return 2;
    }
    enum err e = boot_open_local(s, &pf);
    if (e == ERR_OK)
        e = platform_migrate(&pf);
    if (e != ERR_OK) {
        failed(argv[1], e);
    } else {
        arena_init(&a);
        struct ctx *c = ctx_make(&pf, &a);
        code = run(c, argc, argv);
        ctx_free(c);
        arena_free(&a);
    }
    boot_close(&pf);
    if (code == 2)
        fputs(help, stderr);
    return code;
}
