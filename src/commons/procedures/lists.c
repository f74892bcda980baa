/* Lists of dossiers: from the columns alone, so that nothing sealed is opened for a list but the
 * applicants' names of the one page an agent looks at. */
#include "commons/procedures/procedures.h"

#include "base/clock.h"
#include "data/fold.h"

enum { MINE_MAX = 500, QUERY_WORDS = 3 };

static enum dossier_state state_of(struct str name)
{
    for (int s = DOSSIER_DRAFT; s <= DOSSIER_REFUSED; s++)
        if (str_eq_z(name, dossier_state_name((enum dossier_state)s)))
            return (enum dossier_state)s;
    return DOSSIER_DRAFT;
}

/* Rows of a procedure that is no longer installed are left out. */
static size_t rows_take(struct ctx *c, const struct db_result *r, struct dossier_row **out)
{
    size_t n = 0;
    *out = arena_array(c->arena, struct dossier_row, r->n_rows + 1);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct procedure *p = procedure_find(db_str(r, i, 2));
        if (p)
            (*out)[n++] = (struct dossier_row){
                db_str(r, i, 0), db_str(r, i, 1), p, state_of(db_str(r, i, 3)), db_i64(r, i, 4),
                db_i64(r, i, 5), db_i64(r, i, 6)};
    }
    return n;
}

enum err dossiers_mine(struct ctx *c, struct str host, struct str sub, struct dossier_row **out,
                       size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, number, procedure, state, submitted_at, updated_at, "
                          "deadline_at FROM dossier WHERE host = $1 AND sub = $2 "
                          "ORDER BY updated_at DESC, id LIMIT $3",
                          "ssi", host, sub, (int64_t)MINE_MAX);
    *n = e == ERR_OK ? rows_take(c, &r, out) : 0;
    return e;
}

/* ---- the agents' list --------------------------------------------------------------------------
 */
/* $1 host, $2 state, $3 now, $4 number's beginning, $5-$7 blind words of a name; '' leaves one out.
 */
#define FOUND                                                                                      \
    " FROM dossier WHERE host = $1 AND state <> 'draft'"                                           \
    " AND ($2 = '' OR state = $2 OR ($2 = 'done' AND state <> 'submitted')"                        \
    "  OR ($2 = 'late' AND state = 'submitted' AND deadline_at > 0 AND deadline_at < $3))"         \
    " AND ($4 = '' OR number LIKE $4 OR ($5 <> ''"                                                 \
    "  AND id IN (SELECT dossier_id FROM dossier_word WHERE host = $1 AND word = $5)"              \
    "  AND ($6 = '' OR id IN (SELECT dossier_id FROM dossier_word WHERE host = $1 AND word = $6))" \
    "  AND ($7 = '' OR id IN (SELECT dossier_id FROM dossier_word WHERE host = $1 AND word = "     \
    "$7))))"
#define ROW "SELECT id, number, procedure, state, submitted_at, updated_at, deadline_at" FOUND
static const char newest_first[] = ROW " ORDER BY submitted_at DESC, id DESC LIMIT $8 OFFSET $9";
static const char oldest_first[] = ROW " ORDER BY submitted_at, id LIMIT $8 OFFSET $9";
static const char by_deadline[] = ROW " ORDER BY deadline_at, id LIMIT $8 OFFSET $9";

struct terms {
    struct str number, word[QUERY_WORDS];
};

/* What was typed is the beginning of a number, or words of a name. */
static enum err terms_of(struct ctx *c, struct str q, struct terms *t)
{
    struct str folded = text_fold(c->arena, q), rest = folded, word;
    size_t n = 0;
    enum err e = ERR_OK;
    *t = (struct terms){.number = STR(""), .word = {STR(""), STR(""), STR("")}};
    if (folded.n == 0)
        return ERR_OK;
    char *number = arena_alloc(c->arena, folded.n + 2);
    for (size_t i = 0; i < folded.n; i++) {
        char ch = folded.p[i];
        number[i] = ch == ' ' ? '-' : ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
    }
    number[folded.n] = '%';
    t->number = str_from(number);
    while (e == ERR_OK && rest.n && n < QUERY_WORDS && str_split(&rest, ' ', &word))
        e = vault_blind(c, "dossier.applicant", word, &t->word[n++]);
    return e;
}

static const char *sql_for(struct str sort)
{
    return str_eq_z(sort, "oldest")     ? oldest_first
           : str_eq_z(sort, "deadline") ? by_deadline
                                        : newest_first;
}

enum err dossiers_of_site(struct ctx *c, const struct dossier_query *q, struct dossier_row **out,
                          size_t *n, int64_t *total)
{
    struct db_result r;
    struct terms t;
    int64_t now_ms = clock_now_ms();
    struct str state = q->state.p ? q->state : STR("");
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = terms_of(c, q->q, &t);
    if (e == ERR_OK)
        e = db_query_one(db, c->arena, &r, "SELECT COUNT(*)" FOUND, "ssissss", c->site->host, state,
                         now_ms, t.number, t.word[0], t.word[1], t.word[2]);
    if (e != ERR_OK)
        return e;
    *total = db_i64(&r, 0, 0);
    e = db_query(db, c->arena, &r, sql_for(q->sort), "ssissssii", c->site->host, state, now_ms,
                 t.number, t.word[0], t.word[1], t.word[2], (int64_t)q->per_page,
                 (int64_t)((q->page - 1) * q->per_page));
    *n = e == ERR_OK ? rows_take(c, &r, out) : 0;
    return e;
}

enum err dossiers_count(struct ctx *c, struct dossier_counts *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *out = (struct dossier_counts){0};
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT state, COUNT(*), "
                          "SUM(CASE WHEN deadline_at > 0 AND deadline_at < $2 THEN 1 ELSE 0 END) "
                          "FROM dossier WHERE host = $1 AND state <> 'draft' GROUP BY state",
                          "si", c->site->host, clock_now_ms());
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        int64_t n = db_i64(&r, i, 1);
        out->all += n;
        if (state_of(db_str(&r, i, 0)) == DOSSIER_SUBMITTED) {
            out->submitted += n;
            out->late += db_i64(&r, i, 2);
        } else {
            out->done += n;
        }
    }
    return e;
}

enum err dossier_neighbours(struct ctx *c, const struct dossier *d, struct str *previous,
                            struct str *next)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    *previous = *next = STR("");
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id FROM dossier WHERE host = $1 AND state = 'submitted' AND "
                          "submitted_at < $2 ORDER BY submitted_at DESC LIMIT 1",
                          "si", c->site->host, d->submitted_ms);
    if (e == ERR_OK && r.n_rows)
        *previous = db_str(&r, 0, 0);
    if (e == ERR_OK)
        e = db_query(db, c->arena, &r,
                     "SELECT id FROM dossier WHERE host = $1 AND state = 'submitted' AND "
                     "submitted_at > $2 ORDER BY submitted_at LIMIT 1",
                     "si", c->site->host, d->submitted_ms);
    if (e == ERR_OK && r.n_rows)
        *next = db_str(&r, 0, 0);
    return e;
}
