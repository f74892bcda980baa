/* The search of the journal, for operators and auditors: by party, purpose, kind, person, id and
 * time. Whoever looks is written down too: the journal holds each search, by the digest of what was
 * asked; its words are sealed beside, for those who look into the looking. A person whose entries
 * were read by her name is told so. */
#include "core/trust/trust.h"

#include "base/clock.h"
#include "base/codec.h"
#include "crypto/digest.h"

enum { SHOWN = 50, TEXT_MAX = 200 };

static const struct fault f_query = {"TRU-422-SEARCH", 422, "trust", "Search Not Understood"};

struct asked {
    struct str party, purpose, kind, person, id, from, to;
    int64_t from_ms, to_ms;
    struct journal_at before;
    bool has_before, any;
};

/* RFC 3339, or as a browser's field sends it, taken as UTC. */
static bool time_read(struct ctx *c, struct str text, int64_t *out_ms)
{
    return !text.n || clock_rfc3339_read(text, out_ms) ||
           clock_rfc3339_read(arena_printf(c->arena, STR_FMT ":00Z", STR_ARG(text)), out_ms);
}

/* "log.index" */
static bool before_read(struct str text, struct asked *q)
{
    struct str rest = text, word;
    uint64_t log;
    q->has_before = text.n > 0;
    if (!text.n)
        return true;
    if (!str_split(&rest, '.', &word) || !str_to_u64(word, &log) || log > UINT16_MAX)
        return false;
    q->before.log = (unsigned)log;
    return str_to_u64(rest, &q->before.index);
}

static enum err asked_read(struct ctx *c, struct asked *q)
{
    struct str *const words[] = {&q->party, &q->purpose, &q->kind, &q->person, &q->id};
    const char *const names[] = {"party", "purpose", "kind", "person", "id"};
    bool good = true;
    *q = (struct asked){.from = ctx_query(c, "from"), .to = ctx_query(c, "to")};
    q->any = q->from.n || q->to.n;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        *words[i] = str_trim(ctx_query(c, names[i]));
        good &= words[i]->n <= TEXT_MAX;
        q->any |= words[i]->n > 0;
    }
    good &= time_read(c, q->from, &q->from_ms) && time_read(c, q->to, &q->to_ms) &&
            before_read(ctx_query(c, "before"), q);
    return good ? ERR_OK : ctx_fail(c, &f_query, ERR_INVALID, STR_NONE);
}

static struct str asked_words(struct ctx *c, const struct asked *q)
{
    const struct {
        const char *name;
        struct str value;
    } parts[] = {{"party", q->party},   {"purpose", q->purpose}, {"kind", q->kind},
                 {"person", q->person}, {"id", q->id},           {"from", q->from},
                 {"to", q->to}};
    struct str out = STR("");
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (parts[i].value.n)
            out = arena_printf(c->arena, STR_FMT "%s%s=" STR_FMT, STR_ARG(out), out.n ? ", " : "",
                               parts[i].name, STR_ARG(parts[i].value));
    return out;
}

/* Written down before anything is shown. */
static enum err asked_note(struct ctx *c, const struct asked *q, struct str *entry)
{
    struct act act;
    uint8_t hash[SHA256_LEN];
    struct str text =
        arena_printf(c->arena,
                     "party=" STR_FMT "\npurpose=" STR_FMT "\nkind=" STR_FMT "\nperson=" STR_FMT
                     "\nid=" STR_FMT "\nfrom=%lld\nto=%lld\n",
                     STR_ARG(q->party), STR_ARG(q->purpose), STR_ARG(q->kind), STR_ARG(q->person),
                     STR_ARG(q->id), (long long)q->from_ms, (long long)q->to_ms);
    sha256(text.p, text.n, hash);
    struct act_info info = {.kind = "audit.search",
                            .actor = c->session->subject,
                            .object = codec_to_base64url(c->arena, hash, sizeof hash),
                            .person = c->session->subject,
                            .told = json_pack("{s:o}", "query", json_str(asked_words(c, q)))};
    enum err e = act_make(c, &info, &act);
    *entry = act.record.id;
    return e == ERR_OK ? act_write(c, NULL, NULL, &act, 1) : e;
}

/* To the person, before anything of hers is shown. */
static enum err person_told(struct ctx *c, const struct asked *q, struct str entry)
{
    struct act act;
    json_t *told = json_pack(
        "{s:{s:s,s:s},s:{s:s,s:s},s:{s:s,s:s},s:[{s:{s:s,s:s}}]}", "title", "fr",
        "Lecture du journal", "en", "Reading of the journal", "consumer", "fr",
        c->session->role == ROLE_AUDITOR ? "Un auditeur de la plateforme"
                                         : "Un opérateur de la plateforme",
        "en",
        c->session->role == ROLE_AUDITOR ? "An auditor of the platform"
                                         : "An operator of the platform",
        "purpose", "fr", "Contrôler le journal", "en", "To check the journal", "fields", "label",
        "fr", "Les lignes du journal qui vous concernent", "en", "The journal’s lines about you");
    struct act_info info = {.kind = "audit.read",
                            .actor = c->session->subject,
                            .object = entry,
                            .person = q->person,
                            .told = told};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, NULL, NULL, &act, 1) : e;
}

/* ---- finding ----------------------------------------------------------------------------------
 */
static enum err find_id(struct ctx *c, const struct asked *q, struct journal_finds *out)
{
    out->list = arena_array(c->arena, struct journal_found, 1);
    enum err e = journal_find(trust_reader, q->id, &out->list[0].at);
    if (e == ERR_OK)
        e = journal_read(trust_reader, out->list[0].at, c->arena, &out->list[0].leaf);
    out->n = e == ERR_OK;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err find_person(struct ctx *c, const struct asked *q, struct journal_finds *out)
{
    struct journal_side_row *rows;
    struct journal_side_query side = {.subject = q->person,
                                      .kinds = q->kind.n ? &q->kind : NULL,
                                      .n_kinds = q->kind.n > 0,
                                      .from_ms = q->from_ms,
                                      .to_ms = q->to_ms,
                                      .before = q->has_before ? &q->before : NULL,
                                      .limit = SHOWN};
    enum err e = journal_side_list(trust_reader, &side, c->arena, &rows, &out->n);
    out->list = arena_array(c->arena, struct journal_found, out->n + 1);
    for (size_t i = 0; i < out->n && e == ERR_OK; i++) {
        out->list[i].at = out->next = rows[i].at;
        e = journal_read(trust_reader, rows[i].at, c->arena, &out->list[i].leaf);
    }
    out->more = out->n == SHOWN;
    return e;
}

static enum err find(struct ctx *c, const struct asked *q, struct journal_finds *out)
{
    *out = (struct journal_finds){0};
    if (q->id.n)
        return find_id(c, q, out);
    if (q->person.n)
        return find_person(c, q, out);
    struct journal_search s = {.party = q->party,
                               .purpose = q->purpose,
                               .kind = q->kind,
                               .from_ms = q->from_ms,
                               .to_ms = q->to_ms,
                               .before = q->has_before ? &q->before : NULL,
                               .limit = SHOWN};
    return journal_search(trust_reader, &s, c->arena, out);
}

/* ---- the page ---------------------------------------------------------------------------------
 */
static void fact_add(json_t *facts, const char *name, const char *value)
{
    if (*value)
        json_array_append_new(facts, json_pack("{s:o, s:s}", "label_key",
                                               json_sprintf("search.%s", name), "value", value));
}

/* What an earlier search asked for, out of its side row. */
static void query_add(struct ctx *c, const struct journal_found *f, struct str actor, json_t *facts)
{
    struct journal_side_row *rows;
    struct str plain;
    struct journal_at behind = {f->at.log, f->at.index + 1};
    struct journal_side_query q = {.subject = actor, .before = &behind, .limit = 1};
    json_t *told;
    size_t n;
    if (journal_side_list(trust_reader, &q, c->arena, &rows, &n) != ERR_OK || n == 0 ||
        rows[0].at.log != f->at.log || rows[0].at.index != f->at.index ||
        vault_open(c, actor, "journal.side", rows[0].data, &plain) != ERR_OK ||
        json_read(plain, &told, NULL) != ERR_OK)
        return; /* older than these rows, or erased */
    fact_add(facts, "query", json_get_z(told, "query", ""));
    json_decref(told);
}

static json_t *item_of(struct ctx *c, const struct journal_found *f)
{
    static const char *const shown[] = {"actor",  "client",  "contract", "consent",
                                        "object", "purpose", "decision"};
    json_t *leaf = NULL, *facts = json_array();
    if (json_read(f->leaf, &leaf, NULL) != ERR_OK)
        leaf = json_object();
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        fact_add(facts, shown[i], json_get_z(leaf, shown[i], ""));
    }
    if (strcmp(json_get_z(leaf, "kind", ""), "audit.search") == 0)
        query_add(c, f, json_get_str(leaf, "actor"), facts);
    int64_t at_ms = json_get_i64(leaf, "at", 0);
    json_t *item = json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "id", json_get_z(leaf, "id", ""),
                             "kind", json_get_z(leaf, "kind", ""), "time",
                             json_str(clock_rfc3339(c->arena, at_ms, false)), "when",
                             json_str(clock_in_words(c->arena, at_ms, c->lang, true)), "index",
                             (json_int_t)f->at.index, "facts", facts);
    json_decref(leaf);
    return item;
}

static struct str next_url(struct ctx *c, const struct asked *q, struct journal_at next)
{
    const struct {
        const char *name;
        struct str value;
    } parts[] = {{"party", q->party},   {"purpose", q->purpose}, {"kind", q->kind},
                 {"person", q->person}, {"from", q->from},       {"to", q->to}};
    struct str url = STR("/operateur/journal");
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (parts[i].value.n)
            url = url_with(c->arena, url, parts[i].name, parts[i].value);
    return url_with(c->arena, url, "before",
                    arena_printf(c->arena, "%u.%llu", next.log, (unsigned long long)next.index));
}

/* Found, and written down. */
static enum err answer(struct ctx *c, struct asked *q, struct journal_finds *f)
{
    struct str entry = STR_NONE;
    enum err e = asked_read(c, q);
    if (e != ERR_OK || !q->any)
        return e;
    e = asked_note(c, q, &entry);
    if (e == ERR_OK)
        e = find(c, q, f);
    return e == ERR_OK && q->person.n && f->n ? person_told(c, q, entry) : e;
}

/* The entries as they are: leaves are public. */
enum err trust_search_api(struct ctx *c)
{
    struct asked q;
    struct journal_finds f = {0};
    enum err e = answer(c, &q, &f);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array(), *out = json_pack("{s:o}", "items", items), *leaf;
    for (size_t i = 0; i < f.n; i++)
        if (json_read(f.list[i].leaf, &leaf, NULL) == ERR_OK)
            json_array_append_new(items, json_pack("{s:I,s:I,s:o}", "log",
                                                   (json_int_t)f.list[i].at.log, "index",
                                                   (json_int_t)f.list[i].at.index, "entry", leaf));
    if (f.more)
        json_object_set_new(out, "next",
                            json_sprintf("%u.%llu", f.next.log, (unsigned long long)f.next.index));
    return ctx_json(c, 200, out);
}

enum err trust_search_page(struct ctx *c)
{
    struct asked q;
    struct journal_finds f = {0};
    enum err e = answer(c, &q, &f);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < f.n; i++)
        json_array_append_new(items, item_of(c, &f.list[i]));
    json_t *d = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b}", "party", json_str(q.party),
                          "purpose", json_str(q.purpose), "kind", json_str(q.kind), "person",
                          json_str(q.person), "id", json_str(q.id), "from", json_str(q.from), "to",
                          json_str(q.to), "items", items, "some", f.n > 0, "searched", q.any);
    if (f.more)
        json_object_set_new(d, "next_url", json_str(next_url(c, &q, f.next)));
    return ctx_page(c, "trust/search", d);
}
