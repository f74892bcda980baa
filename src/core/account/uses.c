/* Who used my data: read from the journal's side store, opened with the person's own key. What she
 * reads is what was sealed: the leaf commits to it. */
#include "core/account/account.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "data/fold.h"
#include "web/pages.h"

enum { SUBJECTS_MAX = 64, USES_MAX = 500, PER_PAGE = 25 };

const struct str account_use_kinds[ACCOUNT_USE_KINDS] = {{"exchange.decision", 17},
                                                         {"exchange.refused", 16},
                                                         {"identity.signin", 15},
                                                         {"dossier.read", 12}};

const char *account_text(const struct ctx *c, const json_t *v)
{
    if (json_is_string(v))
        return json_string_value(v);
    if (json_get(v, c->lang))
        return json_get_z(v, c->lang, "");
    return json_is_object(v) && json_get(v, "name") ? account_text(c, json_get(v, "name")) : "";
}

struct str account_fields(struct ctx *c, const json_t *fields)
{
    struct str out = STR("");
    size_t i;
    json_t *f;
    json_array_foreach(fields, i, f)
    {
        const char *label =
            json_get(f, "label") ? account_text(c, json_get(f, "label")) : account_text(c, f);
        out = arena_printf(c->arena, STR_FMT "%s%s", STR_ARG(out), out.n ? ", " : "", label);
    }
    return out;
}

enum err account_subjects(struct ctx *c, struct str **subjects, size_t *n)
{
    json_t *found, *item,
        *args = json_pack("{s:s#}", "person", c->session->subject.p, (int)c->session->subject.n);
    size_t i;
    *subjects = arena_array(c->arena, struct str, SUBJECTS_MAX);
    (*subjects)[0] = c->session->subject;
    *n = 1;
    enum err e = platform_call(c, "identity.subs", args, &found);
    json_decref(args);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    json_array_foreach(json_get(found, "items"), i, item)
    {
        if (*n < SUBJECTS_MAX)
            (*subjects)[(*n)++] =
                arena_printf(c->arena, "sub:%s/%s", json_get_z(item, "client_id", ""),
                             json_get_z(item, "sub", ""));
    }
    return ERR_OK;
}

static int newer_first(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    return x->at_ms < y->at_ms ? 1 : x->at_ms > y->at_ms ? -1 : 0;
}

static enum err uses_of(struct ctx *c, struct str subject, const struct str *kinds, size_t n_kinds,
                        size_t limit, struct use *out, size_t *n)
{
    struct journal_side_row *rows;
    size_t n_rows;
    struct journal_side_query q = {
        .subject = subject, .kinds = kinds, .n_kinds = n_kinds, .limit = limit};
    enum err e = journal_side_list(account_reader, &q, c->arena, &rows, &n_rows);
    for (size_t i = 0; e == ERR_OK && i < n_rows; i++) {
        struct str plain;
        json_t *told;
        if (vault_open(c, subject, "journal.side", rows[i].data, &plain) != ERR_OK ||
            json_read(plain, &told, NULL) != ERR_OK)
            continue; /* erased */
        out[(*n)++] = (struct use){str_from(rows[i].id), subject, rows[i].kind, rows[i].at_ms,
                                   json_own(&c->pool, told)};
    }
    return e;
}

enum err account_uses(struct ctx *c, const struct str *kinds, size_t n_kinds, size_t limit,
                      struct use **out, size_t *n)
{
    struct str *subjects;
    size_t n_subjects;
    *n = 0;
    enum err e = account_subjects(c, &subjects, &n_subjects);
    if (e != ERR_OK)
        return e;
    *out = arena_array(c->arena, struct use, limit * n_subjects + 1);
    for (size_t i = 0; i < n_subjects && e == ERR_OK; i++)
        e = uses_of(c, subjects[i], kinds, n_kinds, limit, *out, n);
    qsort(*out, *n, sizeof **out, newer_first);
    if (*n > limit)
        *n = limit;
    return e;
}

static json_t *jstr(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

json_t *account_use_json(struct ctx *c, const struct use *u)
{
    const json_t *t = u->told;
    json_t *j = json_object();
    const char *who = account_text(c, json_get(t, "consumer"));
    if (!*who)
        who = account_text(c, json_get(t, "org"));
    if (!*who)
        who = account_text(c, json_get(t, "title"));
    struct str fields = account_fields(c, json_get(t, "fields"));
    const char *api = account_text(c, json_get(t, "api_title"));
    const char *colon = strcmp(c->lang, "en") == 0 ? ": " : "\u00a0: ";
    struct str what = *api && fields.n
                          ? arena_printf(c->arena, "%s%s" STR_FMT, api, colon, STR_ARG(fields))
                      : fields.n ? fields
                                 : str_from(api);
    const char *why = account_text(c, json_get(t, "purpose"));
    if (!what.n) /* an act of hers or on her dossier: its title says it all */
        what = str_from(account_text(c, json_get(t, "title")));
    if (!*why)
        why = account_text(c, json_get(t, "procedure"));
    json_object_set_new(j, "who", json_string(who));
    json_object_set_new(j, "what", jstr(what));
    json_object_set_new(j, "why", json_string(why));
    json_object_set_new(j, "basis", json_string(account_text(c, json_get(t, "legal_basis"))));
    json_object_set_new(j, "from", json_string(account_text(c, json_get(t, "provider"))));
    json_object_set_new(j, "when", jstr(clock_in_words(c->arena, u->at_ms, c->lang, true)));
    json_object_set_new(j, "datetime", jstr(clock_rfc3339(c->arena, u->at_ms, false)));
    if (strcmp(json_get_z(t, "decision", "allowed"), "refused") == 0) {
        json_object_set_new(j, "refused", json_true());
        json_object_set_new(j, "reason", json_string(account_text(c, json_get(t, "reason"))));
    }
    json_object_set_new(j, "proof_url",
                        jstr(arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(u->entry))));
    return j;
}

/* ---- the page ----------------------------------------------------------------------------------
 */

static bool matches(struct ctx *c, json_t *use, struct str q)
{
    static const char *const members[] = {"who", "what", "why", "from", "basis"};
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (str_find(text_fold(c->arena, json_get_str(use, members[i])), q) >= 0)
            return true;
    return false;
}

static void csv_cell(struct buf *b, struct str s, char end)
{
    /* A cell that starts like a formula gets a quote before it: spreadsheets would run it. */
    buf_add_char(b, '"');
    if (s.n && strchr("=+-@", s.p[0]))
        buf_add_char(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_add_char(b, '"');
        buf_add_char(b, s.p[i]);
    }
    buf_add_char(b, '"');
    buf_add_char(b, end);
}

static enum err export_csv(struct ctx *c, const json_t *list)
{
    static const char *const members[] = {"datetime", "who", "what", "why", "basis", "from"};
    struct buf *b = &c->rs->body;
    size_t i;
    json_t *u;
    buf_add_z(b, "date,who,what,why,legal_basis,from,refused,entry\n");
    json_array_foreach(list, i, u)
    {
        for (size_t k = 0; k < COUNT_OF(members); k++)
            csv_cell(b, json_get_str(u, members[k]), ',');
        csv_cell(b, json_get(u, "refused") ? STR("yes") : STR("no"), ',');
        csv_cell(b, str_after(json_get_str(u, "proof_url"), 14), '\n');
    }
    c->rs->status = 200;
    web_header(c->rs, "Content-Type", STR("text/csv; charset=utf-8"));
    web_header(c->rs, "Content-Disposition", STR("attachment; filename=\"utilisations.csv\""));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return b->err;
}

/* One page of the list, grouped by day. */
static json_t *by_day(struct ctx *c, const json_t *list, const struct use *uses, size_t from,
                      size_t n)
{
    json_t *days = json_array(), *day = NULL;
    struct str last = STR_NONE;
    for (size_t i = from; i < n; i++) {
        struct str words = clock_in_words(c->arena, uses[i].at_ms, c->lang, false);
        if (!day || !str_eq(words, last)) {
            day = json_pack("{s:o,s:[]}", "day", jstr(words), "uses");
            json_array_append_new(days, day);
            last = words;
        }
        json_array_append(json_get(day, "uses"), json_array_get(list, i));
    }
    return days;
}

static json_t *page_url(struct ctx *c, struct str q, const char *kind, size_t page)
{
    struct str url =
        url_with(c->arena, STR("/account/uses"), "page", arena_printf(c->arena, "%zu", page));
    if (q.n)
        url = url_with(c->arena, url, "q", q);
    return jstr(*kind ? url_with(c->arena, url, "kind", str_from(kind)) : url);
}

static void add_pages(struct ctx *c, json_t *d, struct str q, const char *kind, size_t page,
                      size_t of, size_t total)
{
    if (of < 2)
        return;
    json_t *p = json_pack("{s:i,s:i,s:i}", "page", (int)page, "of", (int)of, "total", (int)total);
    if (page > 1)
        json_object_set_new(p, "previous_url", page_url(c, q, kind, page - 1));
    if (page < of)
        json_object_set_new(p, "next_url", page_url(c, q, kind, page + 1));
    json_object_set_new(d, "pages", p);
}

static json_t *export_url(struct ctx *c, struct str q, const char *kind)
{
    struct str url = url_with(c->arena, STR("/account/uses"), "format", STR("csv"));
    if (q.n)
        url = url_with(c->arena, url, "q", q);
    return jstr(*kind ? url_with(c->arena, url, "kind", str_from(kind)) : url);
}

/* ---- by kind ------------------------------------------------------------------------------------
 */
static const struct filter {
    const char *name, *kind, *key;
} kinds[] = {{"", NULL, "uses.filter.all"},
             {"data", "exchange.decision", "uses.filter.data"},
             {"signin", "identity.signin", "uses.filter.signin"},
             {"agent", "dossier.read", "uses.filter.agent"},
             {"refused", "exchange.refused", "uses.filter.refused"}};

static bool is_kind(const struct use *u, const struct filter *f)
{
    return !f->kind || str_eq_z(u->kind, f->kind);
}

static const struct filter *filter_asked(struct ctx *c)
{
    for (size_t i = 1; i < COUNT_OF(kinds); i++)
        if (str_eq_z(ctx_query(c, "kind"), kinds[i].name))
            return &kinds[i];
    return &kinds[0];
}

/* Those that would show something, and the one that is chosen. */
static json_t *filters_json(struct ctx *c, const struct use *uses, size_t n,
                            const struct filter *chosen, struct str q)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t count = 0;
        for (size_t k = 0; k < n; k++)
            count += is_kind(&uses[k], &kinds[i]);
        if (count == 0 && &kinds[i] != chosen)
            continue;
        struct str url = url_with(c->arena, STR("/account/uses"), "kind", str_from(kinds[i].name));
        if (q.n)
            url = url_with(c->arena, url, "q", q);
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:b,s:o}", "label",
                            jstr(pages_text(c->arena, "account", kinds[i].key, c->lang, NULL)),
                            "url", jstr(url), "current", &kinds[i] == chosen, "count",
                            jstr(arena_printf(c->arena, "%zu", count))));
    }
    return list;
}

enum err account_page_uses(struct ctx *c)
{
    const struct filter *chosen = filter_asked(c);
    struct use *uses;
    size_t n, kept = 0;
    uint64_t page = 1;
    enum err e = account_uses(c, account_use_kinds, ACCOUNT_USE_KINDS, USES_MAX, &uses, &n);
    if (e != ERR_OK)
        return e;
    struct str q = ctx_query(c, "q"), folded = text_fold(c->arena, q);
    json_t *list = json_own(&c->pool, json_array());
    json_t *filters = json_own(&c->pool, filters_json(c, uses, n, chosen, q));
    for (size_t i = 0; i < n; i++) {
        json_t *u = account_use_json(c, &uses[i]);
        if (!is_kind(&uses[i], chosen) || (folded.n && !matches(c, u, folded))) {
            json_decref(u);
            continue;
        }
        json_array_append_new(list, u);
        uses[kept++] = uses[i];
    }
    if (str_eq_z(ctx_query(c, "format"), "csv"))
        return export_csv(c, list);
    if (!str_to_u64(ctx_query(c, "page"), &page) || page < 1)
        page = 1;
    size_t of = (kept + PER_PAGE - 1) / PER_PAGE;
    if (page > of)
        page = of ? of : 1;
    size_t from = (page - 1) * PER_PAGE, to = from + PER_PAGE < kept ? from + PER_PAGE : kept;
    json_t *d =
        json_pack("{s:o,s:b,s:i,s:b,s:o,s:o}", "q", jstr(q), "searched", q.n > 0 || chosen->kind,
                  "total", (int)kept, "one", kept == 1, "days", by_day(c, list, uses, from, to),
                  "export_url", export_url(c, q, chosen->name));
    json_object_set(d, "filters", filters);
    json_object_set_new(d, "filtered", json_boolean(n > 0));
    add_pages(c, d, q, chosen->name, page, of, kept);
    return ctx_page(c, "account/uses", d);
}
