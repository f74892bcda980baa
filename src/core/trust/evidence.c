/* `socle journal export` and `checkpoint`: what the journal's folder alone cannot say, for the
 * witnesses' signatures and the terms of contracts are kept in the database. Verifying needs
 * neither (src/journal/evidence.c).
 */
#include "core/trust/trust.h"

#include <stdio.h>
#include "base/codec.h"
#include "journal/evidence.h"

enum { USAGE = 2 };

struct cli {
    struct arena a;
    const struct settings *s;
    struct journal_reader *reader;
    struct db *db;       /* NULL: it does not answer */
    struct str cosigned; /* .n 0: none */
    struct str *stamp;   /* of the proof that is made; NULL: not wanted */
    const char *id;
    bool json;
};

/* Without a database that answers there are no witnesses' signatures and no terms. */
static void cosigned_read(struct cli *c, struct str origin)
{
    struct db_conn *conn = c->db ? db_read(c->db) : NULL;
    if (conn && trust_published(conn, &c->a, origin, c->s->witness_quorum, &c->cosigned) == ERR_OK)
        c->cosigned = arena_dup(&c->a, c->cosigned);
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

/* The oldest checkpoint with a timestamp that covers the entry says most. *answer: the timestamp.
 */
static bool stamped_note(struct cli *c, struct str origin, uint64_t index, struct str *note,
                         struct str *answer)
{
    struct db_result r;
    struct db_conn *conn = c->db ? db_read(c->db) : NULL;
    if (!conn || db_query_one(conn, &c->a, &r,
                              "SELECT note, answer FROM trust_stamp WHERE origin = $1 AND "
                              "size > $2 ORDER BY size LIMIT 1",
                              "si", origin, (int64_t)index) != ERR_OK)
        return false;
    *note = arena_dup(&c->a, db_str(&r, 0, 0));
    *answer = arena_dup(&c->a, db_str(&r, 0, 1));
    return true;
}

/* The proof under what witnesses signed, where that covers it; else under the log's own word. Of a
 * log that ended, under its last checkpoint: the next log names that one. */
static enum err proof_make(struct cli *c, struct journal_at at, struct str *proof)
{
    struct str note, key, stamp;
    struct checkpoint own, kept;
    enum err e = journal_checkpoint(c->reader, at.log, &c->a, &note, &key);
    if (e != ERR_OK)
        return e;
    c->cosigned = STR_NONE;
    bool read = checkpoint_read(&c->a, note, &own) == ERR_OK;
    if (read && at.log == 0 && c->stamp &&
        stamped_note(c, own.origin, at.index, &c->cosigned, &stamp))
        *c->stamp = stamp;
    else if (read)
        cosigned_read(c, own.origin);
    bool fits = c->cosigned.n && checkpoint_read(&c->a, c->cosigned, &kept) == ERR_OK &&
                (at.log == 0 || str_eq(kept.text, own.text));
    e = fits ? journal_prove_under(c->reader, at, c->cosigned, &c->a, proof) : ERR_AGAIN;
    if (e == ERR_AGAIN || e == ERR_INVALID) /* not under what witnesses signed, as yet */
        e = journal_prove(c->reader, at, &c->a, proof);
    return e;
}

/* {proof, chain} of an entry. */
static enum err sealed_make(struct cli *c, struct journal_at at, json_t *out)
{
    struct str proof;
    json_t *chain = json_array();
    enum err e = proof_make(c, at, &proof);
    if (e == ERR_OK)
        json_object_set_new(out, "proof", json_stringn(proof.p, proof.n));
    for (unsigned log = at.log; e == ERR_OK && log > 0; log--) {
        e = proof_make(c, (struct journal_at){log - 1, 0}, &proof);
        if (e == ERR_OK)
            json_array_append_new(chain, json_stringn(proof.p, proof.n));
    }
    if (json_array_size(chain))
        json_object_set(out, "chain", chain);
    json_decref(chain);
    return e;
}

/* What was in force under that identifier when the entry was made: the newest text not behind it.
 */
static enum err terms_add(struct cli *c, const char *of, const json_t *leaf, json_t *list)
{
    struct db_result r;
    struct journal_at at;
    struct str object = json_get_str(leaf, of), id = json_get_str(leaf, "id");
    struct db_conn *conn = c->db ? db_read(c->db) : NULL;
    if (!object.n || !conn ||
        db_query_one(conn, &c->a, &r,
                     "SELECT entry, text FROM act_text WHERE object = $1 AND entry <= $2 "
                     "ORDER BY entry DESC LIMIT 1",
                     "ss", object, id) != ERR_OK)
        return ERR_OK; /* older than this table: its entry says no more than its identifier */
    json_t *term = json_pack("{s:s, s:s}", "of", of, "text", db_z(&r, 0, 1));
    enum err e = journal_find(c->reader, db_str(&r, 0, 0), &at);
    if (e == ERR_OK)
        e = sealed_make(c, at, term);
    if (e == ERR_OK)
        json_array_append(list, term);
    json_decref(term);
    return e == ERR_NOT_FOUND ? ERR_AGAIN : e; /* a command's act waits for the jobs to send it */
}

static int export(struct cli *c)
{
    struct journal_at at;
    struct str leaf;
    json_t *entry = NULL, *j = json_pack("{s:s}", "format", EVIDENCE_FORMAT);
    json_t *terms = json_array();
    struct str stamp = STR_NONE;
    enum err e = journal_find(c->reader, str_from(c->id), &at);
    c->stamp = &stamp;
    if (e == ERR_OK)
        e = sealed_make(c, at, j);
    c->stamp = NULL;
    if (e == ERR_OK)
        e = journal_read(c->reader, at, &c->a, &leaf);
    if (e == ERR_OK)
        e = json_read(leaf, &entry, NULL);
    if (e == ERR_OK)
        e = terms_add(c, "contract", entry, terms);
    if (e == ERR_OK)
        e = terms_add(c, "consent", entry, terms);
    if (e == ERR_OK) {
        json_object_set_new(j, "witnesses", witness_lines(c));
        json_object_set(j, "terms", terms);
        if (stamp.n) {
            struct str text = codec_to_base64(&c->a, stamp.p, stamp.n);
            json_object_set_new(j, "timestamps", json_pack("[s#]", text.p, (int)text.n));
        }
        printf(STR_FMT "\n", STR_ARG(json_text(&c->a, j)));
    }
    json_decref(terms);
    json_decref(entry);
    json_decref(j);
    return e == ERR_OK ? 0 : failed("it cannot be exported", e);
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
    if (db_open(s->database, &c.db) != ERR_OK)
        c.db = NULL;
    enum err e = journal_reader_open(arena_printf(&c.a, "%s/journal", s->data).p, &c.reader);
    int code = e == ERR_OK ? fn(&c) : 1;
    journal_reader_close(c.reader);
    if (c.db)
        db_close(c.db);
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
