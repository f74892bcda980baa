/* socle journal ...: reads a journal's folder; asks no process and needs no key. */
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/tsp.h"
#include "data/json.h"
#include "journal/evidence.h"
#include "journal/leaf.h"
#include "sys/file.h"

enum {
    USAGE = 2,
    PROOF_FILE_MAX = 512 * 1024,
    LIST_DEFAULT = 20,
    LIST_MAX = 100000,
    SEARCH_MAX = 1000
};

static const char usage[] =
    "usage: socle journal verify [FOLDER | PROOF_FILE | EVIDENCE_FILE] [--key KEY] [--tsa FILE]\n"
    "                            [--json]\n"
    "       socle journal prove ID                    a proof that `verify` accepts alone\n"
    "       socle journal show ID [--json]            one entry\n"
    "       socle journal list [--limit N] [--before INDEX] [--log N] [--json]\n"
    "       socle journal search [--party ID] [--purpose P] [--kind K] [--person SUBJECT]\n"
    "                            [--from TIME] [--to TIME] [--limit N] [--before INDEX] [--json]\n"
    "       socle journal checkpoint [--log N] [--json]\n"
    "       socle journal key [--log N] [--json]      the verifier key, to keep elsewhere\n"
    "       socle journal export ID > FILE            evidence, with the witnesses' signatures\n"
    "       socle journal open FILE --field NAME --value JSON (--salt SALT | --field-salt SALT)\n"
    "                                                 proves one value, and no other\n"
    "       socle journal monitor URL [--key KEY] [--state FILE] [--json]\n"
    "                                                 follows a log from outside\n\n"
    "The journal is that of --data. Log 0 is the one under way; 1, 2 ... are those before\n"
    "restores. KEY is a verifier key (the text, or a file that holds it): without it, `verify`\n"
    "takes the folder's own, which whoever rewrote the folder could have replaced too.\n";

struct cli {
    const char *folder;
    struct arena a;
    struct journal_reader *reader;
    bool json;
    struct str key;
    const char *tsa; /* file of the timestamping authorities; NULL: none */
    uint64_t limit, log;
    int64_t before;
    const char *argument; /* NULL: none */
    struct str field, value, salt;
    struct journal_search search;
    struct str person;
    bool is_entry_salt;
};

static void print_json(struct cli *c, json_t *v)
{
    printf(STR_FMT "\n", STR_ARG(json_text(&c->a, v)));
    json_decref(v);
}

static int failed(const struct cli *c, enum err e)
{
    static const char *const words[ERR_COUNT] = {
        [ERR_NOT_FOUND] = "there is no such entry, or no journal in this folder",
        [ERR_AGAIN] = "no checkpoint covers it yet; try again in a second",
        [ERR_DENIED] = "no right to read the folder",
        [ERR_CORRUPT] = "the files are damaged; `socle journal verify` says where",
    };
    fprintf(stderr, "socle journal: %s (%s)\n", words[e] ? words[e] : err_name(e), c->folder);
    return 1;
}

static int misused(const char *why, const char *what)
{
    fprintf(stderr, "socle journal: %s%s%s (see `socle journal --help`)\n", why, *what ? ": " : "",
            what);
    return USAGE;
}

/* ---- verify -----------------------------------------------------------------------------------
 */
static json_t *verdict_json(const struct journal_verdict *v)
{
    return json_pack("{s:b, s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "good", v->err == ERR_OK, "error",
                     v->err == ERR_OK ? "" : err_name(v->err), "entries", (json_int_t)v->entries,
                     "unsealed", (json_int_t)v->unsealed, "index", (json_int_t)v->index, "file",
                     v->file, "what", v->what, "origin", v->origin);
}

static void print_bad(const struct journal_verdict *v, const char *path)
{
    printf("NOT GOOD: %s\n", v->what);
    if (*v->file)
        printf("  file    %s/%s\n", path, v->file);
    if (v->index >= 0)
        printf("  entry   %lld\n", (long long)v->index);
    if (*v->origin)
        printf("  journal %s\n", v->origin);
}

static int verify_folder(struct cli *c, const char *path)
{
    struct journal_verdict v;
    journal_verify_folder(path, c->key, &v);
    if (c->json) {
        print_json(c, verdict_json(&v));
    } else if (v.err != ERR_OK) {
        print_bad(&v, path);
    } else {
        printf("good: %llu entries are under the signed checkpoint of %s\n",
               (unsigned long long)v.entries, v.origin);
        if (v.unsealed)
            printf("  %llu more wait for the next checkpoint\n", (unsigned long long)v.unsealed);
        if (!c->key.p)
            printf("  with the folder's own key: give --key to check against one kept elsewhere\n");
    }
    return v.err == ERR_OK ? 0 : 1;
}

static json_t *witnesses_json(const struct evidence *ev)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ev->n_witnesses; i++)
        json_array_append_new(list, json_pack("{s:o, s:I}", "name", json_str(ev->witness[i].name),
                                              "signed_at", (json_int_t)ev->witness[i].at_s));
    return list;
}

static void print_evidence(struct cli *c, const struct evidence *ev)
{
    for (size_t i = 0; i < ev->n_terms; i++)
        printf("  " STR_FMT " as it stood: " STR_FMT "\n", STR_ARG(ev->terms[i].of),
               STR_ARG(ev->terms[i].text));
    for (size_t i = 0; i < ev->n_origins; i++)
        printf("  followed by the log " STR_FMT "\n", STR_ARG(ev->origins[i]));
    for (size_t i = 0; i < ev->n_witnesses; i++)
        if (ev->witness[i].at_s)
            printf("  witness " STR_FMT " signed at %llu\n", STR_ARG(ev->witness[i].name),
                   (unsigned long long)ev->witness[i].at_s);
    for (size_t i = 0; i < ev->n_timestamps; i++)
        if (ev->stamped_ms[i])
            printf("  timestamp of " STR_FMT "\n",
                   STR_ARG(clock_rfc3339(&c->a, ev->stamped_ms[i], false)));
        else
            printf("  a timestamp, not checked: give --tsa\n");
}

/* Each timestamp of the file, against the authorities that the caller named. */
static void timestamps_check(const struct cli *c, struct evidence *ev, struct journal_verdict *v)
{
    int64_t at_ms;
    for (size_t i = 0; v->err == ERR_OK && i < ev->n_timestamps; i++) {
        v->err = c->tsa ? tsp_response_verify(ev->timestamps[i], ev->note, c->tsa, &at_ms)
                        : tsp_response_read(ev->timestamps[i], ev->note, NULL, &at_ms);
        ev->stamped_ms[i] = c->tsa ? at_ms : 0;
        if (v->err != ERR_OK)
            snprintf(v->what, sizeof v->what, "%s",
                     "A timestamp is not of this checkpoint, or not by that authority.");
    }
    if (v->err == ERR_OK && c->tsa && ev->n_timestamps == 0) {
        v->err = ERR_NOT_FOUND;
        snprintf(v->what, sizeof v->what, "%s", "There is no timestamp in the file.");
    }
}

static int verify_proof(struct cli *c, const char *path)
{
    struct journal_verdict v;
    struct str text, leaf;
    enum err e = file_read(&c->a, path, PROOF_FILE_MAX, &text);
    if (e != ERR_OK) {
        fprintf(stderr, "socle journal: %s: cannot be read (%s)\n", path, err_name(e));
        return 1;
    }
    struct evidence ev = {0};
    if (evidence_is(text)) {
        evidence_verify(&c->a, text, c->key, &ev, &v);
        leaf = ev.leaf;
        timestamps_check(c, &ev, &v);
    } else {
        journal_verify_proof(&c->a, text, c->key, &leaf, &v);
    }
    if (c->json) {
        json_t *j = verdict_json(&v);
        json_object_set_new(j, "leaf", json_str(leaf));
        json_object_set_new(j, "witnesses", witnesses_json(&ev));
        print_json(c, j);
    } else if (v.err != ERR_OK) {
        printf("NOT GOOD: %s\n", v.what);
    } else {
        printf("good: entry %lld of %llu in %s\n" STR_FMT "\n", (long long)v.index,
               (unsigned long long)v.entries, v.origin, STR_ARG(leaf));
        print_evidence(c, &ev);
        if (!c->key.p)
            printf("  with the key that the proof names: give --key to check against one kept "
                   "elsewhere\n");
    }
    return v.err == ERR_OK ? 0 : 1;
}

static int verify(struct cli *c)
{
    struct stat st;
    const char *path = c->argument ? c->argument : c->folder;
    bool is_file = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
    return is_file ? verify_proof(c, path) : verify_folder(c, path);
}

/* ---- one field ----------------------------------------------------------------------------------
 */
static int open_field(struct cli *c)
{
    struct journal_verdict v;
    struct evidence ev = {0};
    struct str text, salt;
    uint8_t field_salt[JOURNAL_SALT_LEN];
    if (!c->field.p || !c->value.p || codec_base64url(&c->a, c->salt, &salt) != ERR_OK)
        return misused("--field, --value and one salt are needed", "open");
    if (file_read(&c->a, c->argument, PROOF_FILE_MAX, &text) != ERR_OK) {
        fprintf(stderr, "socle journal: %s: cannot be read\n", c->argument);
        return 1;
    }
    if (evidence_is(text))
        evidence_verify(&c->a, text, c->key, &ev, &v);
    else
        journal_verify_proof(&c->a, text, c->key, &ev.leaf, &v);
    if (v.err != ERR_OK) {
        print_bad(&v, c->argument);
        return 1;
    }
    enum err e = evidence_open(ev.leaf, c->field, c->value, salt, c->is_entry_salt, field_salt);
    if (e != ERR_OK) {
        printf("NOT GOOD: %s\n", e == ERR_NOT_FOUND ? "The entry has no such field."
                                 : e == ERR_DENIED
                                     ? "Another value or salt stands behind this field."
                                     : "The salt is malformed.");
        return 1;
    }
    printf("good: in entry %lld of %s, " STR_FMT " is " STR_FMT
           "\n  field salt, which opens this field "
           "alone: " STR_FMT "\n",
           (long long)v.index, v.origin, STR_ARG(c->field), STR_ARG(c->value),
           STR_ARG(codec_to_base64url(&c->a, field_salt, sizeof field_salt)));
    return 0;
}

/* ---- entries ----------------------------------------------------------------------------------
 */
static enum err find(struct cli *c, struct journal_at *at)
{
    return journal_find(c->reader, str_from(c->argument), at);
}

static int prove(struct cli *c)
{
    struct journal_at at;
    struct str proof;
    enum err e = find(c, &at);
    if (e == ERR_OK)
        e = journal_prove(c->reader, at, &c->a, &proof);
    if (e != ERR_OK)
        return failed(c, e);
    if (c->json)
        print_json(c, json_pack("{s:I, s:I, s:o}", "log", (json_int_t)at.log, "index",
                                (json_int_t)at.index, "proof", json_str(proof)));
    else
        fwrite(proof.p, 1, proof.n, stdout);
    return 0;
}

static json_t *entry_json(struct cli *c, struct journal_at at, struct str leaf)
{
    json_t *entry = NULL;
    uint8_t hash[SHA256_LEN];
    struct str parts[2] = {str_of("\0", 1), leaf};
    sha256_many(parts, 2, hash);
    json_t *j =
        json_pack("{s:I, s:I, s:o}", "log", (json_int_t)at.log, "index", (json_int_t)at.index,
                  "leaf_hash", json_str(codec_to_hex(&c->a, hash, sizeof hash)));
    if (json_read(leaf, &entry, NULL) == ERR_OK)
        json_object_set_new(j, "entry", entry);
    return j;
}

static int show(struct cli *c)
{
    struct journal_at at;
    struct str leaf;
    enum err e = find(c, &at);
    if (e == ERR_OK)
        e = journal_read(c->reader, at, &c->a, &leaf);
    if (e != ERR_OK)
        return failed(c, e);
    if (c->json)
        print_json(c, entry_json(c, at, leaf));
    else
        printf("log %u, index %llu\n" STR_FMT "\n", at.log, (unsigned long long)at.index,
               STR_ARG(leaf));
    return 0;
}

static void print_line(struct cli *c, struct journal_at at, struct str leaf)
{
    struct leaf_head h;
    if (leaf_head_read(leaf, &h) == ERR_OK)
        printf("%10llu  " STR_FMT "  " STR_FMT "  " STR_FMT "\n", (unsigned long long)at.index,
               STR_ARG(clock_rfc3339(&c->a, h.at_ms, true)), STR_ARG(h.id_text), STR_ARG(h.kind));
}

/* Newest first. */
static int list(struct cli *c)
{
    uint64_t size, sealed;
    enum err e = journal_size(c->reader, (unsigned)c->log, &size, &sealed);
    if (e != ERR_OK)
        return failed(c, e);
    uint64_t from = c->before >= 0 && (uint64_t)c->before < size ? (uint64_t)c->before : size;
    json_t *all = json_array();
    for (uint64_t i = from; i > 0 && from - i < c->limit; i--) {
        struct journal_at at = {(unsigned)c->log, i - 1};
        struct str leaf;
        e = journal_read(c->reader, at, &c->a, &leaf);
        if (e != ERR_OK)
            break;
        if (c->json)
            json_array_append_new(all, entry_json(c, at, leaf));
        else
            print_line(c, at, leaf);
        arena_reset(&c->a);
    }
    if (c->json && e == ERR_OK)
        print_json(c, json_pack("{s:I, s:I, s:O}", "size", (json_int_t)size, "sealed",
                                (json_int_t)sealed, "items", all));
    json_decref(all);
    return e == ERR_OK ? 0 : failed(c, e);
}

/* ---- searching --------------------------------------------------------------------------------
 */
/* Her entries, by the side rows that are kept for her. */
static enum err search_person(struct cli *c, const struct journal_at *before,
                              struct journal_finds *out)
{
    struct journal_side_row *rows;
    struct journal_side_query q = {.subject = c->person,
                                   .kinds = c->search.kind.n ? &c->search.kind : NULL,
                                   .n_kinds = 1,
                                   .from_ms = c->search.from_ms,
                                   .to_ms = c->search.to_ms,
                                   .before = before,
                                   .limit = c->search.limit};
    enum err e = journal_side_list(c->reader, &q, &c->a, &rows, &out->n);
    out->list = arena_array(&c->a, struct journal_found, out->n + 1);
    for (size_t i = 0; i < out->n && e == ERR_OK; i++) {
        out->list[i].at = rows[i].at;
        e = journal_read(c->reader, rows[i].at, &c->a, &out->list[i].leaf);
    }
    out->more = out->n == q.limit;
    if (out->n)
        out->next = out->list[out->n - 1].at;
    return e;
}

static int search(struct cli *c)
{
    struct journal_finds f = {0};
    struct journal_at before = {(unsigned)c->log, (uint64_t)c->before};
    struct journal_search *q = &c->search;
    q->limit = c->limit < SEARCH_MAX ? c->limit : SEARCH_MAX;
    q->before = c->before >= 0 ? &before : NULL;
    if (c->person.n && (q->party.n || q->purpose.n))
        return misused("goes with --kind, --from and --to alone", "--person");
    enum err e =
        c->person.n ? search_person(c, q->before, &f) : journal_search(c->reader, q, &c->a, &f);
    if (e != ERR_OK)
        return failed(c, e);
    json_t *items = json_array();
    for (size_t i = 0; i < f.n; i++)
        if (c->json)
            json_array_append_new(items, entry_json(c, f.list[i].at, f.list[i].leaf));
        else
            print_line(c, f.list[i].at, f.list[i].leaf);
    json_t *next = f.more ? json_pack("{s:I, s:I}", "log", (json_int_t)f.next.log, "before",
                                      (json_int_t)f.next.index)
                          : json_null();
    if (c->json)
        print_json(c, json_pack("{s:O, s:O}", "items", items, "next", next));
    else if (f.more)
        printf("more: --log %u --before %llu\n", f.next.log, (unsigned long long)f.next.index);
    json_decref(items);
    json_decref(next);
    return 0;
}

/* ---- what others keep ---------------------------------------------------------------------------
 */
static int checkpoint(struct cli *c)
{
    struct str note, key;
    enum err e = journal_checkpoint(c->reader, (unsigned)c->log, &c->a, &note, &key);
    if (e != ERR_OK)
        return failed(c, e);
    if (c->json)
        print_json(c, json_pack("{s:o, s:o}", "checkpoint", json_str(note), "key", json_str(key)));
    else
        fwrite(note.p, 1, note.n, stdout);
    return 0;
}

static int key(struct cli *c)
{
    struct str note, text;
    enum err e = journal_checkpoint(c->reader, (unsigned)c->log, &c->a, &note, &text);
    if (e != ERR_OK)
        return failed(c, e);
    if (c->json)
        print_json(c, json_pack("{s:o}", "key", json_str(text)));
    else
        printf(STR_FMT "\n", STR_ARG(text));
    return 0;
}

/* ---- the command line ---------------------------------------------------------------------------
 */
static const struct action {
    const char *name;
    int (*fn)(struct cli *c);
    enum { NO_ARGUMENT, MAY_HAVE, MUST_HAVE } argument;
} actions[] = {
    {"verify", verify, MAY_HAVE},    {"prove", prove, MUST_HAVE},
    {"show", show, MUST_HAVE},       {"list", list, NO_ARGUMENT},
    {"search", search, NO_ARGUMENT}, {"checkpoint", checkpoint, NO_ARGUMENT},
    {"key", key, NO_ARGUMENT},       {"open", open_field, MUST_HAVE},
};

static const struct action *action_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

/* --key takes the text or a file that holds it. */
static bool key_take(struct cli *c, const char *value)
{
    struct str text = str_from(value);
    if (strchr(value, '+') == NULL && file_read(&c->a, value, 4096, &text) != ERR_OK)
        return false;
    c->key = arena_dup(&c->a, str_trim(text));
    return true;
}

static bool option_take(struct cli *c, const char *name, const char *value)
{
    uint64_t v;
    if (strcmp(name, "key") == 0)
        return key_take(c, value);
    const struct {
        const char *name;
        struct str *to;
    } words[] = {{"party", &c->search.party},
                 {"purpose", &c->search.purpose},
                 {"kind", &c->search.kind},
                 {"person", &c->person}};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(name, words[i].name) == 0) {
            *words[i].to = str_from(value);
            return value[0] != '\0';
        }
    if (strcmp(name, "from") == 0 || strcmp(name, "to") == 0)
        return clock_rfc3339_read(str_from(value),
                                  name[0] == 'f' ? &c->search.from_ms : &c->search.to_ms);
    if (strcmp(name, "tsa") == 0) {
        c->tsa = value;
        return true;
    }
    if (strcmp(name, "field") == 0 || strcmp(name, "value") == 0) {
        *(name[0] == 'f' ? &c->field : &c->value) = str_from(value);
        return true;
    }
    if (strcmp(name, "salt") == 0 || strcmp(name, "field-salt") == 0) {
        c->salt = str_from(value);
        c->is_entry_salt = name[0] == 's';
        return true;
    }
    if (!str_to_u64(str_from(value), &v))
        return false;
    if (strcmp(name, "limit") == 0 && v > 0 && v <= LIST_MAX)
        c->limit = v;
    else if (strcmp(name, "log") == 0 && v < 65536)
        c->log = v;
    else if (strcmp(name, "before") == 0 && v < INT64_MAX)
        c->before = (int64_t)v;
    else
        return false;
    return true;
}

/* "--name value" or "--name=value". Returns how many arguments it took; 0: it is wrong. */
static int option_read(struct cli *c, int argc, char **argv)
{
    char name[16];
    const char *arg = argv[0] + 2, *eq = strchr(arg, '=');
    if (strcmp(arg, "json") == 0) {
        c->json = true;
        return 1;
    }
    snprintf(name, sizeof name, "%.*s", (int)(eq ? eq - arg : (ptrdiff_t)strlen(arg)), arg);
    if (!eq && argc < 2)
        return 0;
    return option_take(c, name, eq ? eq + 1 : argv[1]) ? (eq ? 1 : 2) : 0;
}

/* The first word is the action, the second its argument. */
static int words_read(struct cli *c, int argc, char **argv, const struct action **action)
{
    for (int i = 1, took; i < argc; i += took) {
        took = 1;
        if (strncmp(argv[i], "--", 2) == 0) {
            took = option_read(c, argc - i, argv + i);
            if (took == 0)
                return misused("an option is unknown, or its value is not good", argv[i]);
        } else if (!*action) {
            *action = action_find(argv[i]);
            if (!*action)
                return misused("unknown command", argv[i]);
        } else if (c->argument || (*action)->argument == NO_ARGUMENT) {
            return misused("not expected", argv[i]);
        } else {
            c->argument = argv[i];
        }
    }
    if (!*action)
        return misused("which command?", "");
    if ((*action)->argument == MUST_HAVE && !c->argument)
        return misused("the id of an entry is needed", (*action)->name);
    return 0;
}

static int run(struct cli *c, int argc, char **argv)
{
    const struct action *action = NULL;
    int code = words_read(c, argc, argv, &action);
    if (code != 0)
        return code;
    if (journal_reader_open(c->folder, &c->reader) != ERR_OK)
        return 1;
    code = action->fn(c);
    journal_reader_close(c->reader);
    return code;
}

int journal_cli(const char *folder, int argc, char **argv)
{
    struct cli c = {.folder = folder, .limit = LIST_DEFAULT, .before = -1};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    if (argc < 2) {
        fputs(usage, stderr);
        return USAGE;
    }
    arena_init(&c.a);
    int code = run(&c, argc, argv);
    arena_free(&c.a);
    return code;
}
