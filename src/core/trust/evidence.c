/* `socle journal export` and `checkpoint`: what the journal's folder alone cannot say, for the
 * witnesses' signatures are kept in the database. Verifying needs neither (src/journal/evidence.c).
 */
#include "core/trust/trust.h"

#include <stdio.h>
#include "journal/evidence.h"

enum { USAGE = 2 };

struct cli {
    struct arena a;
    const struct settings *s;
    struct journal_reader *reader;
    struct str cosigned; /* .n 0: none */
    const char *id;
    bool json;
};

/* The settings' file may name witnesses; without a database that answers there are no signatures.
 */
static void cosigned_read(struct cli *c, struct str origin)
{
    struct db *db;
    if (!c->s->witnesses_text.n || db_open(c->s->database, &db) != ERR_OK)
        return;
    struct db_conn *conn = db_read(db);
    if (conn && trust_cosigned(conn, &c->a, origin, &c->cosigned) == ERR_OK)
        c->cosigned = arena_dup(&c->a, c->cosigned);
    db_close(db);
}

static int failed(const char *what, enum err e)
{
    fprintf(stderr, "socle journal: %s (%s)\n",
            e == ERR_NOT_FOUND ? "there is no such entry, or no journal"
            : e == ERR_AGAIN   ? "no checkpoint covers it yet; try again in a second"
                               : what,
            err_name(e));
    return 1;
}

static json_t *witness_lines(struct cli *c)
{
    struct str rest = c->s->witnesses_text;
    struct trust_witness w;
    json_t *list = json_array();
    enum err e;
    while ((e = trust_witness_next(&c->a, &rest, &w)) != ERR_NOT_FOUND)
        if (e == ERR_OK)
            json_array_append_new(list, json_stringn(w.key_line.p, w.key_line.n));
    return list;
}

static int export(struct cli *c)
{
    struct journal_at at;
    struct str proof, note, key;
    struct checkpoint cp;
    enum err e = journal_find(c->reader, str_from(c->id), &at);
    if (e == ERR_OK)
        e = journal_checkpoint(c->reader, at.log, &c->a, &note, &key);
    if (e == ERR_OK && checkpoint_read(&c->a, note, &cp) == ERR_OK)
        cosigned_read(c, cp.origin);
    if (e == ERR_OK)
        e = c->cosigned.n ? journal_prove_under(c->reader, at, c->cosigned, &c->a, &proof)
                          : ERR_AGAIN;
    if (e == ERR_AGAIN || e == ERR_INVALID) /* not under what witnesses signed, as yet */
        e = journal_prove(c->reader, at, &c->a, &proof);
    if (e != ERR_OK)
        return failed("it cannot be exported", e);
    json_t *j = json_pack("{s:s, s:s#, s:o}", "format", EVIDENCE_FORMAT, "proof", proof.p,
                          (int)proof.n, "witnesses", witness_lines(c));
    printf(STR_FMT "\n", STR_ARG(json_text(&c->a, j)));
    json_decref(j);
    return 0;
}

static int checkpoint(struct cli *c)
{
    struct str note, key;
    struct checkpoint own, kept;
    enum err e = journal_checkpoint(c->reader, 0, &c->a, &note, &key);
    if (e != ERR_OK)
        return failed("there is no checkpoint", e);
    if (checkpoint_read(&c->a, note, &own) == ERR_OK)
        cosigned_read(c, own.origin);
    if (c->cosigned.n && checkpoint_read(&c->a, c->cosigned, &kept) == ERR_OK &&
        str_eq(kept.text, own.text))
        note = c->cosigned;
    if (c->json) {
        json_t *j =
            json_pack("{s:s#, s:s#}", "checkpoint", note.p, (int)note.n, "key", key.p, (int)key.n);
        printf(STR_FMT "\n", STR_ARG(json_text(&c->a, j)));
        json_decref(j);
    } else {
        fwrite(note.p, 1, note.n, stdout);
    }
    return 0;
}

static int run(const struct settings *s, int (*fn)(struct cli *c), const char *id, bool json)
{
    struct cli c = {.s = s, .id = id, .json = json};
    arena_init(&c.a);
    enum err e = journal_reader_open(arena_printf(&c.a, "%s/journal", s->data).p, &c.reader);
    int code = e == ERR_OK ? fn(&c) : 1;
    journal_reader_close(c.reader);
    arena_free(&c.a);
    return code;
}

int trust_cli_export(const struct settings *s, int argc, char **argv)
{
    if (argc != 3 || argv[2][0] == '-') {
        fputs("usage: socle journal export ID > FILE\n", stderr);
        return USAGE;
    }
    return run(s, export, argv[2], true);
}

int trust_cli_checkpoint(const struct settings *s, int argc, char **argv)
{
    return run(s, checkpoint, NULL, argc > 2 && strcmp(argv[2], "--json") == 0);
}
