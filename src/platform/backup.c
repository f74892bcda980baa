/* Backup and restore of one node's folder. The order matters: the journal is copied before the
 * database, so that whatever the database copy says was confirmed to the outbox is in the journal
 * copy or still in the outbox. Keys go into the backup: keep it as you keep the keys. */
#include "platform/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "data/db.h"
#include "journal/journal.h"
#include "platform/boot.h"
#include "sys/file.h"

static enum err copy_file(const char *from, const char *to)
{
    char block[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum err e = out < 0 ? file_err_from_errno(errno) : ERR_OK;
    while (e == ERR_OK) {
        ssize_t n = read(in, block, sizeof block);
        if (n == 0)
            break;
        e = n < 0 ? ERR_IO : file_write_all(out, block, (size_t)n);
    }
    if (e == ERR_OK && fsync(out) != 0)
        e = file_err_from_errno(errno);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && e == ERR_OK)
        e = ERR_IO;
    return e;
}

/* A whole folder. `skip_ending` leaves out SQLite's side files: the main file is copied otherwise.
 */
static enum err copy_folder(struct arena *a, const char *from, const char *to)
{
    enum err e = file_make_dirs(to, 0700);
    DIR *d = e == ERR_OK ? opendir(from) : NULL;
    if (!d)
        return e == ERR_OK ? file_err_from_errno(errno) : e;
    for (struct dirent *f; e == ERR_OK && (f = readdir(d)) != NULL;) {
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        const char *src = arena_printf(a, "%s/%s", from, f->d_name).p;
        const char *dst = arena_printf(a, "%s/%s", to, f->d_name).p;
        if (stat(src, &st) != 0)
            continue; /* went away meanwhile: a partial tile replaced by a fuller one */
        e = S_ISDIR(st.st_mode) ? copy_folder(a, src, dst) : copy_file(src, dst);
        if (e == ERR_NOT_FOUND)
            e = ERR_OK;
    }
    closedir(d);
    return e;
}

static bool is_sqlite(const struct settings *s)
{
    return strncmp(s->database, "sqlite:", 7) == 0;
}

static enum err backup_all(struct arena *a, const struct settings *s, const char *to)
{
    enum err e = file_make_dirs(to, 0700);
    if (e == ERR_OK)
        e = journal_backup(arena_printf(a, "%s/journal", s->data).p,
                           arena_printf(a, "%s/journal", to).p);
    if (e == ERR_OK)
        e = copy_folder(a, arena_printf(a, "%s/keys", s->data).p, arena_printf(a, "%s/keys", to).p);
    if (e != ERR_OK || !is_sqlite(s))
        return e;
    struct db *db;
    e = db_open(s->database, &db);
    if (e == ERR_OK) {
        e = db_backup_file(db, arena_printf(a, "%s/socle.db", to).p);
        db_close(db);
    }
    return e;
}

static int usage(int argc, char **argv, const char *text)
{
    bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
    fputs(text, asked ? stdout : stderr);
    return asked ? 0 : 2;
}

int backup_main(const struct settings *s, int argc, char **argv)
{
    struct arena a;
    struct stat st;
    if (argc != 2 || argv[1][0] == '-')
        return usage(argc, argv,
                     "usage: socle backup FOLDER\n\nCopies keys, journal and (SQLite) "
                     "database of --data to a new FOLDER, while the\nplatform runs. "
                     "The copy holds private keys: protect it as you protect them.\n");
    if (stat(argv[1], &st) == 0) {
        fprintf(stderr, "socle: %s exists already\n", argv[1]);
        return 1;
    }
    arena_init(&a);
    enum err e = backup_all(&a, s, argv[1]);
    arena_free(&a);
    if (e != ERR_OK)
        fprintf(stderr, "socle: the backup failed (%s); %s is not complete\n", err_name(e),
                argv[1]);
    else
        printf("socle: backup complete in %s\n", argv[1]);
    return e == ERR_OK ? 0 : 1;
}

/* ---- withdrawals -------------------------------------------------------------------------------
 */
struct replay {
    struct platform pf;
    struct journal_reader *reader;
    struct arena arena;
    uint64_t n;
};

/* The kind stands near the start of a leaf, written without blanks: a look before any parsing. */
static bool is_of_kind(struct replay *r, struct str leaf, const char *kind)
{
    struct str want = arena_printf(&r->arena, "\"kind\":\"%s\"", kind);
    return str_find(str_sub(leaf, 0, 200), want) >= 0;
}

static bool is_wanted(struct replay *r, struct str leaf, const struct service *s)
{
    for (size_t i = 0; i < REPLAY_KINDS_MAX && s->replay_kinds[i]; i++)
        if (is_of_kind(r, leaf, s->replay_kinds[i]))
            return true;
    return false;
}

static enum err replay_one(struct replay *r, struct str leaf)
{
    const struct service *s;
    json_t *v;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && (s = boot_service(i)) != NULL; i++) {
        if (!s->replay || !is_wanted(r, leaf, s))
            continue;
        e = json_read(leaf, &v, NULL);
        if (e == ERR_OK) {
            e = s->replay(&r->pf, v);
            json_decref(v);
            r->n++;
        }
    }
    return e;
}

static enum err replay_log(struct replay *r, unsigned log, uint64_t size)
{
    enum err e = ERR_OK;
    for (uint64_t i = 0; i < size && e == ERR_OK; i++) {
        struct str leaf;
        e = journal_read(r->reader, (struct journal_at){log, i}, &r->arena, &leaf);
        if (e == ERR_OK)
            e = replay_one(r, leaf);
        arena_reset(&r->arena);
    }
    return e;
}

/* Oldest log first: the one under way is 0. */
static enum err replay_logs(struct replay *r)
{
    uint64_t size, sealed;
    unsigned n = 0;
    enum err e;
    while ((e = journal_size(r->reader, n, &size, &sealed)) == ERR_OK)
        n++;
    e = e == ERR_NOT_FOUND ? ERR_OK : e;
    while (e == ERR_OK && n-- > 0) {
        e = journal_size(r->reader, n, &size, &sealed);
        if (e == ERR_OK)
            e = replay_log(r, n, size);
    }
    return e;
}

/* What was withdrawn stays withdrawn, and what was blocked blocked, whatever the age of the
 * database that is restored. */
static enum err replay_journal(struct arena *a, const struct settings *s, uint64_t *n)
{
    struct replay r = {.n = 0};
    enum err e = boot_open_local(s, &r.pf);
    if (e == ERR_OK)
        e = platform_migrate(&r.pf);
    if (e == ERR_OK)
        e = journal_reader_open(arena_printf(a, "%s/journal", s->data).p, &r.reader);
    if (e == ERR_OK) {
        arena_init(&r.arena);
        e = replay_logs(&r);
        arena_free(&r.arena);
        journal_reader_close(r.reader);
    }
    boot_close(&r.pf);
    *n = r.n;
    return e;
}

/* A restored node never continues its log: what came after the backup is unknown here, and a log
 * that grew twice from one point is what witnesses call a fork. The old log is kept beside,
 * readable and verifiable, under its own origin. */
static enum err restore_all(struct arena *a, const struct settings *s, const char *from,
                            uint64_t *replayed)
{
    enum err e =
        copy_folder(a, arena_printf(a, "%s/keys", from).p, arena_printf(a, "%s/keys", s->data).p);
    if (e == ERR_OK)
        e = copy_folder(a, arena_printf(a, "%s/journal", from).p,
                        arena_printf(a, "%s/journal", s->data).p);
    if (e == ERR_OK && is_sqlite(s))
        e = file_make_dirs(arena_printf(a, "%s/db", s->data).p, 0700);
    if (e == ERR_OK && is_sqlite(s))
        e = copy_file(arena_printf(a, "%s/socle.db", from).p, s->database + 7);
    if (e == ERR_OK)
        e = replay_journal(a, s, replayed);
    return e == ERR_OK ? journal_restored(arena_printf(a, "%s/journal", s->data).p) : e;
}

int restore_main(const struct settings *s, int argc, char **argv)
{
    struct arena a;
    struct stat st;
    if (argc != 2 || argv[1][0] == '-')
        return usage(argc, argv,
                     "usage: socle restore FOLDER --data NEW_FOLDER\n\nMakes a platform "
                     "from a backup. The journal opens a new origin whose first entry\n"
                     "names the last checkpoint of the old one; withdrawals and blocks "
                     "it holds are obeyed anew.\n");
    arena_init(&a);
    if (stat(arena_printf(&a, "%s/keys", s->data).p, &st) == 0) {
        fprintf(stderr, "socle: %s already holds a platform; choose an empty folder\n", s->data);
        arena_free(&a);
        return 1;
    }
    uint64_t replayed = 0;
    enum err e = restore_all(&a, s, argv[1], &replayed);
    arena_free(&a);
    if (e != ERR_OK)
        fprintf(stderr, "socle: the restore failed (%s)\n", err_name(e));
    else
        printf("socle: restored into %s, %llu withdrawals, blocks and erasures obeyed anew; start "
               "it with "
               "`socle serve "
               "--data %s`\n",
               s->data, (unsigned long long)replayed, s->data);
    return e == ERR_OK ? 0 : 1;
}
