/* Asks the witnesses. A new checkpoint goes to each with the proof that it holds all the witness
 * has seen; what they sign is added. With a quorum in the settings, only a checkpoint that as many
 * of them signed is published. The log never waits for them: an act is durable and signed by its
 * own platform before anybody is asked, and all of this runs in a thread of `jobs` of its own. */
#include "core/trust/trust.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "web/client.h"

enum { WITNESSES_MAX = 16, ASK_MS = 2000, ANSWER_MAX = 8192, PAUSE_MS = 10000 };

bool trust_line_next(struct str *rest, struct str *line)
{
    while (rest->n && str_split(rest, '\n', line)) {
        *line = str_trim(*line);
        if (line->n && line->p[0] != '#')
            return true;
    }
    return false;
}

typedef enum err key_reader(struct arena *a, struct str text, struct note_key *out);

static enum err line_read(struct arena *a, struct str *rest, key_reader *read,
                          struct trust_witness *out)
{
    struct str line;
    if (!trust_line_next(rest, &line))
        return ERR_NOT_FOUND;
    if (!str_split(&line, ' ', &out->key_line) || !line.p)
        return ERR_INVALID;
    out->url = str_trim(line);
    while (out->url.n && out->url.p[out->url.n - 1] == '/')
        out->url.n--;
    bool is_http = str_starts(out->url, STR("http://")) || str_starts(out->url, STR("https://"));
    return is_http ? read(a, out->key_line, &out->key) : ERR_INVALID;
}

enum err trust_witness_next(struct arena *a, struct str *rest, struct trust_witness *out)
{
    return line_read(a, rest, note_cosigner_read, out);
}

enum err trust_node_next(struct arena *a, struct str *rest, struct trust_witness *out)
{
    return line_read(a, rest, note_key_read, out);
}

enum err trust_cosigned(struct db_conn *db, struct arena *a, struct str origin, struct str *note)
{
    struct db_result r;
    enum err e =
        db_query_one(db, a, &r, "SELECT note FROM trust_cosigned WHERE origin = $1", "s", origin);
    if (e == ERR_OK)
        *note = db_str(&r, 0, 0);
    return e;
}

enum err trust_published(struct db_conn *db, struct arena *a, struct str origin, int64_t quorum,
                         struct str *note)
{
    struct db_result r;
    if (quorum <= 0)
        return trust_cosigned(db, a, origin, note);
    enum err e =
        db_query_one(db, a, &r, "SELECT note FROM trust_quorum WHERE origin = $1", "s", origin);
    if (e == ERR_OK)
        *note = db_str(&r, 0, 0);
    return e;
}

/* What each witness has seen, as far as this process knows: a 409 says better. */
struct asked {
    uint64_t size;
    int64_t not_before_ms;
};
struct round {
    struct platform *pf;
    struct arena a;
    struct str text, origin;
    struct checkpoint checkpoint;
    struct buf note;
    size_t n_signed;
    bool is_kept; /* this checkpoint is in the table already */
};

/* One request. *known is corrected by a 409. ERR_AGAIN: ask again with that. */
static enum err ask_once(struct round *r, const struct trust_witness *w, uint64_t *known,
                         struct str *line)
{
    struct str proof = STR("");
    struct client_answer answer;
    struct checkpoint with;
    uint64_t at_s, size = r->checkpoint.size;
    enum err e = ERR_OK;
    if (*known > size)
        return ERR_CORRUPT; /* it has seen more of this log than there is */
    if (*known > 0 && *known < size)
        e = journal_consistency(trust_reader, 0, *known, size, &r->a, &proof);
    if (e != ERR_OK)
        return e;
    struct client_call call = {.method = "POST",
                               .timeout_ms = ASK_MS,
                               .answer_max = ANSWER_MAX,
                               .url =
                                   arena_printf(&r->a, STR_FMT "/add-checkpoint", STR_ARG(w->url)),
                               .body = witness_request_print(&r->a, *known, proof, r->text),
                               .allow_inside = r->pf->settings->allow_inside};
    e = client_send(&r->a, &call, &answer);
    if (e != ERR_OK)
        return e;
    if (answer.status == 409) {
        uint64_t said;
        bool is_new = str_to_u64(str_trim(answer.body), &said) && said != *known;
        *known = is_new ? said : *known;
        return is_new ? ERR_AGAIN : ERR_CONFLICT; /* the same size, another root: a fork */
    }
    if (answer.status != 200)
        return ERR_DENIED;
    struct str whole = arena_printf(&r->a, STR_FMT STR_FMT, STR_ARG(r->text), STR_ARG(answer.body));
    e = checkpoint_read(&r->a, whole, &with);
    if (e == ERR_OK && !str_eq(with.text, r->checkpoint.text))
        e = ERR_INVALID;
    return e == ERR_OK ? checkpoint_cosigned(&r->a, &with, &w->key, &at_s, line) : e;
}

static void ask(struct round *r, const struct trust_witness *w, struct asked *known, int64_t now_ms)
{
    struct str line;
    enum err e = ERR_AGAIN;
    if (now_ms < known->not_before_ms)
        return;
    for (int i = 0; i < 3 && e == ERR_AGAIN; i++)
        e = ask_once(r, w, &known->size, &line);
    if (e != ERR_OK) {
        known->not_before_ms = now_ms + PAUSE_MS;
        log_warn("witness_did_not_sign", "witness", arena_dupz(&r->a, w->key.name), "error",
                 err_name(e));
        return;
    }
    known->size = r->checkpoint.size;
    r->n_signed++;
    buf_add_str(&r->note, line);
}

static enum err keep_in(struct db_conn *db, const struct round *r, const char *sql)
{
    return db_exec(db, sql, "sisi", r->checkpoint.origin, (int64_t)r->checkpoint.size,
                   buf_str(&r->note), clock_now_ms());
}

static enum err keep(struct db_conn *db, void *arg)
{
    struct round *r = arg;
    enum err e = keep_in(db, r,
                         "INSERT INTO trust_cosigned(origin, size, note, at) VALUES($1, $2, $3, $4)"
                         " ON CONFLICT(origin) DO UPDATE SET size = excluded.size, "
                         "note = excluded.note, at = excluded.at");
    if (e == ERR_OK && r->n_signed >= (size_t)r->pf->settings->witness_quorum)
        e = keep_in(db, r,
                    "INSERT INTO trust_quorum(origin, size, note, at) VALUES($1, $2, $3, $4) "
                    "ON CONFLICT(origin) DO UPDATE SET size = excluded.size, note = excluded.note, "
                    "at = excluded.at");
    return e;
}

/* Nothing to do when all of them signed this very checkpoint. */
static bool is_complete(struct round *r, const struct trust_witness *w, size_t n)
{
    struct db_conn *db = db_read(r->pf->db);
    struct checkpoint c;
    struct str note, line;
    uint64_t at_s;
    if (!db || trust_cosigned(db, &r->a, r->checkpoint.origin, &note) != ERR_OK ||
        checkpoint_read(&r->a, note, &c) != ERR_OK || !str_eq(c.text, r->checkpoint.text))
        return false;
    bool all = true;
    r->is_kept = true;
    for (size_t i = 0; i < n; i++) {
        bool has = checkpoint_cosigned(&r->a, &c, &w[i].key, &at_s, &line) == ERR_OK;
        if (has) { /* it is not asked again */
            buf_add_str(&r->note, line);
            r->n_signed++;
        }
        all = all && has;
    }
    return all;
}

static bool has_signed(struct round *r, const struct trust_witness *w)
{
    struct str own = str_after(buf_str(&r->note), r->text.n);
    struct str start = arena_printf(&r->a, "\xe2\x80\x94 " STR_FMT " ", STR_ARG(w->key.name));
    return str_find(own, start) >= 0;
}

static size_t witnesses_read(struct round *r, struct trust_witness w[WITNESSES_MAX])
{
    struct str rest = r->pf->settings->witnesses_text;
    size_t n = 0;
    while (n < WITNESSES_MAX) {
        enum err e = trust_witness_next(&r->a, &rest, &w[n]);
        if (e == ERR_NOT_FOUND)
            break;
        if (e == ERR_OK)
            n++;
        else
            log_error("witnesses_line_malformed");
    }
    return n;
}

static void ask_all(struct round *r, const struct trust_witness *w, size_t n, int64_t now_ms)
{
    static struct asked asked[WITNESSES_MAX]; /* of this process, by place in the file */
    buf_add_str(&r->note, r->text);
    if (is_complete(r, w, n))
        return;
    size_t before = r->note.n;
    for (size_t i = 0; i < n; i++)
        if (!has_signed(r, &w[i]))
            ask(r, &w[i], &asked[i], now_ms);
    if ((r->note.n > before || !r->is_kept) && r->note.err == ERR_OK &&
        db_write(r->pf->db, keep, r) != ERR_OK)
        log_warn("cosigned_checkpoint_not_kept");
}

void trust_cosign(struct platform *pf, int64_t now_ms)
{
    struct trust_witness w[WITNESSES_MAX];
    struct round r = {.pf = pf};
    struct str key;
    if (!pf->settings->witnesses_text.n)
        return;
    arena_init(&r.a);
    buf_init(&r.note, NOTE_MAX);
    size_t n = witnesses_read(&r, w);
    if (journal_checkpoint(trust_reader, 0, &r.a, &r.text, &key) == ERR_OK &&
        checkpoint_read(&r.a, r.text, &r.checkpoint) == ERR_OK)
        ask_all(&r, w, n, now_ms);
    buf_free(&r.note);
    arena_free(&r.a);
}
