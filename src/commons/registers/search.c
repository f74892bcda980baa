/* Finding a row: by key, or in plain words. First what is written as it was typed; only when
 * nothing is, what differs by a slip of the finger. A row comes with how it was found ("match"), so
 * that callers take a row without asking only when it is the one that was named. */
#include "commons/registers/registers.h"

#include "data/fold.h"

enum { SEARCH_MAX = 50, SCAN_MAX = 200000, CLOSE_MIN = 4 };

struct str register_fold(struct arena *a, struct str label)
{
    ptrdiff_t paren = str_find_char(label, '(');
    return text_fold(a, paren > 0 ? str_sub(label, 0, (size_t)paren) : label);
}

static json_t *row_json(struct str key, struct str label, struct str data, const char *match)
{
    json_t *row = NULL;
    if (json_read(data, &row, NULL) != ERR_OK)
        row = json_object();
    json_object_set_new(row, "key", json_stringn(key.p, key.n));
    json_object_set_new(row, "label", json_stringn(label.p, label.n));
    if (match)
        json_object_set_new(row, "match", json_string(match));
    return row;
}

enum err registers_find(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT item, label, data FROM register_row WHERE register = $1 "
                              "AND item = $2",
                              "ss", json_get_str(args, "register"), json_get_str(args, "key"));
    if (e == ERR_OK)
        *out = row_json(db_str(&r, 0, 0), db_str(&r, 0, 1), db_str(&r, 0, 2), NULL);
    return e;
}

/* ---- as typed ----------------------------------------------------------------------------------
 */
/* French addresses shorten the saints. */
static struct str unshortened(struct arena *a, struct str folded)
{
    struct str out = STR(""), word;
    while (folded.n && str_split(&folded, ' ', &word)) {
        word = str_eq_z(word, "st") ? STR("saint") : str_eq_z(word, "ste") ? STR("sainte") : word;
        out = out.n ? arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(out), STR_ARG(word)) : word;
    }
    return out;
}

static bool has_word(struct str words, struct str word)
{
    struct str part;
    while (words.n && str_split(&words, ' ', &part))
        if (str_eq(part, word))
            return true;
    return false;
}

/* Names that are the words, then those that start with them, then those that have them inside.
 * LIKE's wildcards cannot come from the caller: folding leaves letters, digits and spaces. */
static enum err as_typed(struct ctx *c, struct db_conn *db, struct str id, struct str q,
                         int64_t limit, json_t *items)
{
    struct db_result r;
    struct str head = arena_printf(c->arena, STR_FMT "%%", STR_ARG(q));
    struct str inside = arena_printf(c->arena, "%% " STR_FMT "%%", STR_ARG(q));
    enum err e = db_query(db, c->arena, &r,
                          "SELECT item, label, data, folded, words FROM register_row "
                          "WHERE register = $1 AND "
                          "(folded LIKE $2 OR folded LIKE $3 OR words LIKE $3) "
                          "ORDER BY CASE WHEN folded = $4 THEN 0 WHEN folded LIKE $2 THEN 1 "
                          "ELSE 2 END, weight DESC, folded LIMIT $5",
                          "ssssi", id, head, inside, q, limit);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        const char *match = str_eq(db_str(&r, i, 3), q)     ? "name"
                            : has_word(db_str(&r, i, 4), q) ? "word"
                                                            : "part";
        json_array_append_new(
            items, row_json(db_str(&r, i, 0), db_str(&r, i, 1), db_str(&r, i, 2), match));
    }
    return e;
}

/* ---- with a slip of the finger ------------------------------------------------------------------
 */
struct near_row {
    int distance;
    int64_t weight;
    struct str key, label, data;
};
struct scan {
    struct arena *arena;
    struct str q;
    int most;
    size_t limit, n, seen;
    struct near_row best[SEARCH_MAX + 1];
};

static bool is_better(const struct near_row *a, const struct near_row *b)
{
    return a->distance != b->distance ? a->distance < b->distance : a->weight > b->weight;
}

static int scan_row(void *arg, const struct db_value *v, size_t n_cols)
{
    struct scan *s = arg;
    (void)n_cols;
    int d = text_distance(s->q, v[3].s, s->most);
    if (d <= s->most) {
        struct near_row row = {d, v[4].i, arena_dup(s->arena, v[0].s), arena_dup(s->arena, v[1].s),
                               arena_dup(s->arena, v[2].s)};
        size_t at = s->n;
        while (at > 0 && is_better(&row, &s->best[at - 1])) {
            s->best[at] = s->best[at - 1];
            at--;
        }
        s->best[at] = row;
        s->n = s->n < s->limit ? s->n + 1 : s->limit;
    }
    return ++s->seen == SCAN_MAX;
}

/* All names are looked at: some 10 ms for the communes, and only when nothing was found as typed.
 */
static enum err nearly(struct ctx *c, struct db_conn *db, struct str id, struct str q,
                       int64_t limit, json_t *items)
{
    struct scan *s = arena_new(c->arena, struct scan);
    *s = (struct scan){.arena = c->arena, .q = q, .most = q.n >= 8 ? 2 : 1, .limit = (size_t)limit};
    enum err e = db_each(db, scan_row, s,
                         "SELECT item, label, data, folded, weight FROM register_row "
                         "WHERE register = $1",
                         "s", id);
    for (size_t i = 0; e == ERR_OK && i < s->n; i++)
        json_array_append_new(items,
                              row_json(s->best[i].key, s->best[i].label, s->best[i].data, "near"));
    return e;
}

enum err registers_search(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    struct str id = json_get_str(args, "register");
    struct str q = unshortened(c->arena, register_fold(c->arena, json_get_str(args, "q")));
    int64_t limit = json_get_i64(args, "limit", 10);
    if (limit < 1 || limit > SEARCH_MAX)
        limit = SEARCH_MAX;
    *out = json_pack("{s:[]}", "items");
    json_t *items = json_get(*out, "items");
    if (q.n == 0)
        return ERR_OK;
    bool number = q.p[0] >= '0' && q.p[0] <= '9';
    enum err e = as_typed(c, db, id, q, limit, items);
    if (e == ERR_OK && json_array_size(items) == 0 && q.n >= CLOSE_MIN && !number)
        e = nearly(c, db, id, q, limit, items);
    return e;
}
