/* Timestamps of checkpoints by an outside service (docs/formats/timestamp.md): one for many
 * entries, kept beside the journal, never waited for. */
#include "core/trust/trust.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/tsp.h"
#include "web/client.h"

enum { ASK_MS = 10000, PAUSE_MS = 60000 };

struct stamp {
    struct platform *pf;
    struct arena a;
    struct str note, answer;
    struct checkpoint checkpoint;
};

static bool is_stamped(struct stamp *s)
{
    struct db_result r;
    struct db_conn *db = db_read(s->pf->db);
    return !db ||
           db_query_one(db, &s->a, &r, "SELECT 1 FROM trust_stamp WHERE origin = $1 AND size = $2",
                        "si", s->checkpoint.origin, (int64_t)s->checkpoint.size) != ERR_NOT_FOUND;
}

/* The newest that may be shown: with the witnesses' signatures where there are witnesses. */
static enum err note_get(struct stamp *s)
{
    struct str key, kept;
    struct db_conn *db = db_read(s->pf->db);
    enum err e = journal_checkpoint(trust_reader, 0, &s->a, &s->note, &key);
    if (e == ERR_OK)
        e = checkpoint_read(&s->a, s->note, &s->checkpoint);
    if (e != ERR_OK || !db || !s->pf->settings->witnesses_text.n)
        return e;
    e = trust_published(db, &s->a, s->checkpoint.origin, s->pf->settings->witness_quorum, &kept);
    if (e == ERR_OK)
        s->note = arena_dup(&s->a, kept);
    return e == ERR_OK ? checkpoint_read(&s->a, s->note, &s->checkpoint) : e;
}

static enum err ask(struct stamp *s)
{
    static const struct http_header headers[] = {
        {{"Content-Type", 12}, {"application/timestamp-query", 27}}};
    struct client_answer answer;
    struct client_call call = {.method = "POST",
                               .url = str_from(s->pf->settings->tsa_url),
                               .headers = headers,
                               .n_headers = 1,
                               .timeout_ms = ASK_MS,
                               .answer_max = TSP_ANSWER_MAX,
                               .allow_inside = s->pf->settings->allow_inside};
    uint8_t nonce[TSP_NONCE];
    int64_t at_ms;
    rand_bytes(nonce, sizeof nonce);
    nonce[0] = (nonce[0] & 0x7f) | 0x40; /* a positive number, in its shortest form */
    enum err e = tsp_request(&s->a, s->checkpoint.text, nonce, &call.body);
    if (e == ERR_OK)
        e = client_send(&s->a, &call, &answer);
    if (e == ERR_OK && answer.status != 200)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        e = tsp_response_read(answer.body, s->checkpoint.text, nonce, &at_ms);
    s->answer = e == ERR_OK ? answer.body : STR_NONE;
    return e;
}

static enum err keep(struct db_conn *db, void *arg)
{
    const struct stamp *s = arg;
    return db_exec(db,
                   "INSERT INTO trust_stamp(origin, size, note, answer, at) "
                   "VALUES($1, $2, $3, $4, $5) ON CONFLICT(origin, size) DO NOTHING",
                   "sisbi", s->checkpoint.origin, (int64_t)s->checkpoint.size, s->note, s->answer,
                   clock_now_ms());
}

void trust_stamp(struct platform *pf, int64_t now_ms)
{
    static int64_t next_ms; /* of this thread alone */
    struct stamp s = {.pf = pf};
    if (!*pf->settings->tsa_url || now_ms < next_ms)
        return;
    arena_init(&s.a);
    if (note_get(&s) == ERR_OK && s.checkpoint.size && !is_stamped(&s)) {
        enum err e = ask(&s);
        if (e == ERR_OK)
            e = db_write(pf->db, keep, &s);
        next_ms = now_ms + (e == ERR_OK ? pf->settings->tsa_seconds * 1000 : PAUSE_MS);
        if (e != ERR_OK)
            log_warn("checkpoint_not_timestamped", "error", err_name(e));
    }
    arena_free(&s.a);
}
