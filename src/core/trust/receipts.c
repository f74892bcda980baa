/* Receipts (docs/formats/receipt.md): each party keeps what its entry commits to, and asks for the
 * proof later. An entry that was promised and that no signed checkpoint covers was left out: that
 * is how omission shows, where alteration shows by the hashes alone. */
#include "core/trust/trust.h"

#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "sys/file.h"
#include "web/client.h"

enum {
    RECEIPTS_MAX_BYTES = 16 * 1024 * 1024,
    PROOF_MAX_BYTES = 256 * 1024,
    ASK_MS = 10000,
    PENDING_MS = 10000,
    ID_DIGITS = 26,
    TIME_DIGITS = 10, /* of a ULID: milliseconds */
};

enum err trust_receipt(struct ctx *c)
{
    struct journal_at at;
    struct str proof;
    enum err e = journal_find(trust_reader, ctx_path(c, "entry"), &at);
    if (e == ERR_OK)
        e = journal_prove(trust_reader, at, c->arena, &proof);
    if (e == ERR_OK)
        return trust_answer(c, "text/plain; charset=utf-8", "public, max-age=31536000, immutable",
                            proof);
    return e == ERR_AGAIN || e == ERR_INVALID ? ERR_NOT_FOUND : e;
}

/* ---- socle verify -------------------------------------------------------------------------------
 */
static const char usage[] =
    "usage: socle verify FILE [--log URL | --log FOLDER] [--key KEY] [--json]\n\n"
    "FILE holds receipts, a line each: the values of Socle-Entry and Socle-Commitment. Each must "
    "be\n"
    "under a signed checkpoint of the log that URL publishes (https://.../journal), or of a "
    "journal's\n"
    "folder; without --log, of --data. Any other FILE is checked as by `socle journal verify`.\n";

struct verify {
    struct arena a, work;
    const struct settings *s;
    const char *file, *log;
    struct str key; /* .p NULL: the log's own word */
    struct journal_reader *reader;
    bool json;
    json_t *list;
    uint64_t n, n_covered;
};

struct receipt {
    struct str id, commitment;
};

/* Crockford's base 32, as far as the time goes. -1: it is none. */
static int64_t id_time_ms(struct str id)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    int64_t ms = 0;
    for (size_t i = 0; i < ID_DIGITS; i++) {
        const char *at = id.n == ID_DIGITS && id.p[i] ? strchr(digits, id.p[i]) : NULL;
        if (!at)
            return -1;
        if (i < TIME_DIGITS)
            ms = ms * 32 + (at - digits);
    }
    return ms;
}

static bool receipt_read(struct str line, struct receipt *out)
{
    struct str rest = line;
    return str_split(&rest, ' ', &out->id) && rest.n && id_time_ms(out->id) >= 0 &&
           (out->commitment = str_trim(rest)).n == JOURNAL_COMMITMENT_LEN;
}

static enum err proof_from_url(struct verify *v, struct str id, struct str *proof)
{
    struct client_answer answer;
    struct client_call call = {
        .url = arena_printf(&v->work, "%s/receipts/" STR_FMT, v->log, STR_ARG(id)),
        .timeout_ms = ASK_MS,
        .answer_max = PROOF_MAX_BYTES,
        .allow_inside = true}; /* the caller's own address */
    enum err e = client_send(&v->work, &call, &answer);
    if (e != ERR_OK)
        return e;
    *proof = answer.body;
    return answer.status == 200 ? ERR_OK : answer.status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
}

static enum err proof_get(struct verify *v, struct str id, struct str *proof)
{
    struct journal_at at;
    if (!v->reader)
        return proof_from_url(v, id, proof);
    enum err e = journal_find(v->reader, id, &at);
    if (e == ERR_OK)
        e = journal_prove(v->reader, at, &v->work, proof);
    return e == ERR_AGAIN ? ERR_NOT_FOUND : e;
}

static const char *judge(struct verify *v, const struct receipt *r)
{
    struct journal_verdict verdict;
    struct str proof, leaf;
    char commitment[JOURNAL_COMMITMENT_LEN + 1];
    enum err e = proof_get(v, r->id, &proof);
    if (e == ERR_NOT_FOUND)
        return id_time_ms(r->id) + PENDING_MS > clock_now_ms() ? "pending" : "omitted";
    if (e != ERR_OK)
        return "unavailable";
    journal_verify_proof(&v->work, proof, v->key, &leaf, &verdict);
    if (verdict.err != ERR_OK)
        return "false";
    journal_leaf_commitment(leaf, commitment);
    return str_eq_z(r->commitment, commitment) ? "covered" : "altered";
}

static void tell(struct verify *v, const struct receipt *r, const char *state)
{
    struct str at = clock_rfc3339(&v->work, id_time_ms(r->id), false);
    bool good = strcmp(state, "covered") == 0;
    v->n++;
    v->n_covered += good;
    if (v->json)
        json_array_append_new(v->list, json_pack("{s:s#,s:s,s:s#}", "entry", r->id.p, (int)r->id.n,
                                                 "state", state, "at", at.p, (int)at.n));
    else if (!good)
        printf("NOT GOOD: %s: entry " STR_FMT " of " STR_FMT "\n", state, STR_ARG(r->id),
               STR_ARG(at));
}

static int receipts(struct verify *v, struct str text)
{
    struct str rest = text, line;
    struct receipt r;
    while (trust_line_next(&rest, &line)) {
        arena_reset(&v->work);
        if (!receipt_read(line, &r)) {
            printf("NOT GOOD: a line is no receipt: " STR_FMT "\n", STR_ARG(line));
            return 1;
        }
        tell(v, &r, judge(v, &r));
    }
    if (v->json)
        printf(STR_FMT "\n", STR_ARG(json_text(&v->a, v->list)));
    else
        printf("%s: signed checkpoints cover %llu of %llu receipts\n",
               v->n == v->n_covered ? "good" : "NOT GOOD", (unsigned long long)v->n_covered,
               (unsigned long long)v->n);
    return v->n == v->n_covered ? 0 : 1;
}

/* The log of --data, or of a folder, or of an address. */
static enum err log_open(struct verify *v)
{
    if (v->log && strstr(v->log, "://")) {
        client_global_start();
        return ERR_OK;
    }
    const char *folder = v->log ? v->log : arena_printf(&v->a, "%s/journal", v->s->data).p;
    return journal_reader_open(folder, &v->reader);
}

static bool options_read(struct verify *v, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            v->json = true;
        else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
            v->log = argv[++i];
        else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc)
            v->key = str_from(argv[++i]);
        else if (argv[i][0] != '-' && !v->file)
            v->file = argv[i];
        else
            return false;
    }
    if (v->key.p && str_find_char(v->key, '+') < 0 &&
        file_read(&v->a, v->key.p, NOTE_KEY_MAX, &v->key) != ERR_OK)
        return false;
    v->key = v->key.p ? str_trim(v->key) : v->key;
    return true;
}

/* The first line that says something is a receipt. */
static bool is_receipts(struct verify *v, struct str *text)
{
    struct str line, rest;
    struct stat st;
    struct receipt r;
    if (!v->file || stat(v->file, &st) != 0 || S_ISDIR(st.st_mode) ||
        file_read(&v->a, v->file, RECEIPTS_MAX_BYTES, text) != ERR_OK)
        return false;
    rest = *text;
    return trust_line_next(&rest, &line) && receipt_read(line, &r);
}

static int verify_run(struct verify *v, int argc, char **argv)
{
    char folder[4096];
    struct str text;
    bool mine = options_read(v, argc, argv) && is_receipts(v, &text);
    if (!mine && (v->log || argc == 1)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!mine) { /* as one of the commands of `socle journal` */
        char *words[16] = {(char *)"journal"};
        for (int i = 0; i < argc && i < 14; i++)
            words[i + 1] = argv[i];
        snprintf(folder, sizeof folder, "%s/journal", v->s->data ? v->s->data : "");
        return journal_cli(folder, argc < 14 ? argc + 1 : 15, words);
    }
    enum err e = log_open(v);
    if (e != ERR_OK) {
        fprintf(stderr, "socle verify: there is no journal to ask (%s)\n", err_name(e));
        return 1;
    }
    v->list = json_array();
    int code = receipts(v, text);
    json_decref(v->list);
    journal_reader_close(v->reader);
    return code;
}

int trust_cli_verify(const struct settings *s, int argc, char **argv)
{
    struct verify v = {.s = s};
    if (!s->data) {
        fputs(usage, stdout);
        return 0;
    }
    arena_init(&v.a);
    arena_init(&v.work);
    int code = verify_run(&v, argc, argv);
    arena_free(&v.work);
    arena_free(&v.a);
    return code;
}
