/* The journal's own page: what it holds, who cosigns it, how the other nodes' logs are. */
#include "core/trust/trust.h"

#include "base/clock.h"

enum { LATE_MS = 60000, WITNESSES_SHOWN = 16, NODES_SHOWN = 100 };

/* Each witness of the settings, and when it signed this note; 0: it has not. */
static json_t *witnesses_json(struct ctx *c, const struct checkpoint *cp, size_t *n_signed)
{
    struct str rest = c->pf->settings->witnesses_text, line;
    json_t *list = json_array();
    struct trust_witness w;
    enum err e;
    *n_signed = 0;
    while ((e = trust_witness_next(c->arena, &rest, &w)) != ERR_NOT_FOUND &&
           json_array_size(list) < WITNESSES_SHOWN) {
        uint64_t at_s = 0;
        if (e != ERR_OK)
            continue;
        bool has = checkpoint_cosigned(c->arena, cp, &w.key, &at_s, &line) == ERR_OK;
        *n_signed += has;
        json_array_append_new(list, json_pack("{s:o, s:I}", "name", json_str(w.key.name),
                                              "signed_at", has ? (json_int_t)at_s * 1000 : 0));
    }
    return list;
}

static json_t *nodes_json(struct ctx *c)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    json_t *list = json_array();
    if (!db || db_query(db, c->arena, &r,
                        "SELECT url, origin, state, size, file, what, at FROM trust_node "
                        "ORDER BY origin, url LIMIT 100",
                        "") != ERR_OK)
        return list;
    for (size_t i = 0; i < r.n_rows && i < NODES_SHOWN; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:I}", "url", db_z(&r, i, 0), "origin",
                            db_z(&r, i, 1), "state", db_z(&r, i, 2), "entries",
                            (json_int_t)db_i64(&r, i, 3), "file", db_z(&r, i, 4), "what",
                            db_z(&r, i, 5), "at", (json_int_t)db_i64(&r, i, 6)));
    return list;
}

/* With a quorum, the published checkpoint may stay behind for a minute while witnesses are asked;
 * then somebody must know. */
static bool is_late(const struct ctx *c, const struct checkpoint *own,
                    const struct checkpoint *shown, int64_t kept_ms)
{
    return c->pf->settings->witness_quorum > 0 && shown->size < own->size &&
           clock_now_ms() - kept_ms > LATE_MS;
}

static enum err state_json(struct ctx *c, json_t **out)
{
    struct str note, key, shown_note;
    struct checkpoint own, shown;
    struct db_result r;
    size_t n_signed;
    int64_t kept_ms = 0, quorum = c->pf->settings->witness_quorum;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = journal_checkpoint(trust_reader, 0, c->arena, &note, &key);
    if (e == ERR_OK)
        e = checkpoint_read(c->arena, note, &own);
    if (e == ERR_NOT_FOUND) { /* nothing was done yet */
        own = (struct checkpoint){.origin = str_from(c->pf->settings->journal_origin)};
        key = STR("");
    } else if (e != ERR_OK) {
        return e;
    }
    shown = (struct checkpoint){.origin = own.origin, .text = STR(""), .signatures = STR("")};
    if (!db || trust_published(db, c->arena, own.origin, quorum, &shown_note) != ERR_OK ||
        checkpoint_read(c->arena, shown_note, &shown) != ERR_OK)
        shown = quorum > 0 ? shown : own;
    if (db && db_query_one(db, c->arena, &r, "SELECT at FROM trust_quorum WHERE origin = $1", "s",
                           own.origin) == ERR_OK)
        kept_ms = db_i64(&r, 0, 0);
    json_t *witnesses = witnesses_json(c, &shown, &n_signed);
    *out = json_pack("{s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:b, s:o}", "origin",
                     json_str(own.origin), "entries", (json_int_t)own.size, "published",
                     (json_int_t)shown.size, "key", json_str(key), "witnesses", witnesses, "quorum",
                     (json_int_t)quorum, "signed", (json_int_t)n_signed, "late",
                     is_late(c, &own, &shown, kept_ms), "nodes", nodes_json(c));
    return ERR_OK;
}

enum err trust_call_state(struct ctx *c, const json_t *args, json_t **out)
{
    (void)args;
    return state_json(c, out);
}

enum err trust_api(struct ctx *c)
{
    json_t *j;
    enum err e = state_json(c, &j);
    return e == ERR_OK ? ctx_json(c, 200, j) : e;
}

/* Times in words, and a flag for each state that the template asks for. */
static void in_words(struct ctx *c, json_t *d)
{
    json_t *one;
    size_t i;
    json_array_foreach(json_get(d, "witnesses"), i, one)
    {
        int64_t at_ms = json_get_i64(one, "signed_at", 0);
        if (at_ms)
            json_object_set_new(one, "when",
                                json_str(clock_in_words(c->arena, at_ms, c->lang, true)));
    }
    json_array_foreach(json_get(d, "nodes"), i, one)
    {
        const char *state = json_get_z(one, "state", "");
        json_object_set_new(one, "good", json_boolean(strcmp(state, "good") == 0));
        json_object_set_new(one, "state_key", json_str(arena_printf(c->arena, "node.%s", state)));
        json_object_set_new(
            one, "when",
            json_str(clock_in_words(c->arena, json_get_i64(one, "at", 0), c->lang, true)));
    }
}

enum err trust_page(struct ctx *c)
{
    json_t *d;
    enum err e = state_json(c, &d);
    if (e != ERR_OK)
        return e;
    in_words(c, d);
    json_object_set_new(d, "has_witnesses",
                        json_boolean(json_array_size(json_get(d, "witnesses"))));
    json_object_set_new(d, "has_nodes", json_boolean(json_array_size(json_get(d, "nodes"))));
    return ctx_page(c, "trust/journal", d);
}
