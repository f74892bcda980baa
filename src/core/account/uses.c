/* Who used my data: read from the journal's side store, opened with the person's own key. What she
 * reads is what was sealed: the leaf commits to it. */
#include "core/account/account.h"

#include "base/clock.h"
#include "base/codec.h"
#include "data/fold.h"
#include "web/pages.h"

enum {
    SUBJECTS_MAX = JOURNAL_SIDE_SUBJECTS_MAX,
    SEARCHED_MAX = 2000,
    PER_PAGE = 25,
    EXPORT_PART = 5000
};

const struct str account_use_kinds[ACCOUNT_USE_KINDS] = {{"exchange.decision", 17},
                                                         {"exchange.refused", 16},
                                                         {"identity.signin", 15},
                                                         {"dossier.read", 12},
                                                         {"audit.read", 10}};

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

enum err account_use_list(struct ctx *c, const struct str *kinds, size_t n_kinds,
                          struct use_list *out)
{
    *out = (struct use_list){0};
    struct journal_side_keys q = {
        .kinds = kinds, .n_kinds = n_kinds, .limit = JOURNAL_SIDE_KEYS_MAX};
    enum err e = account_subjects(c, &out->subjects, &q.n_subjects);
    q.subjects = out->subjects;
    return e == ERR_OK ? journal_side_keys(account_reader, &q, c->arena, &out->keys, &out->n) : e;
}

enum err account_use_list_behind(struct ctx *c, const struct str *kinds, size_t n_kinds,
                                 const struct journal_at *before, size_t limit,
                                 struct use_list *out)
{
    *out = (struct use_list){0};
    struct journal_side_keys q = {
        .kinds = kinds, .n_kinds = n_kinds, .limit = limit, .by_place = true, .before = before};
    enum err e = account_subjects(c, &out->subjects, &q.n_subjects);
    q.subjects = out->subjects;
    return e == ERR_OK ? journal_side_keys(account_reader, &q, c->arena, &out->keys, &out->n) : e;
}

enum err account_uses_open(struct ctx *c, const struct use_list *list, size_t from, size_t to,
                           struct use **out, size_t *n)
{
    size_t wanted = to > list->n ? list->n - from : to - from;
    struct journal_side_row *rows = arena_array(c->arena, struct journal_side_row, wanted + 1);
    *out = arena_array(c->arena, struct use, wanted + 1);
    *n = 0;
    enum err e = journal_side_open(account_reader, list->subjects, list->keys + from, wanted,
                                   c->arena, rows);
    for (size_t i = 0; e == ERR_OK && i < wanted; i++) {
        struct str plain, subject = list->subjects[list->keys[from + i].subject];
        json_t *told;
        if (!rows[i].id[0] ||
            vault_open(c, subject, "journal.side", rows[i].data, &plain) != ERR_OK ||
            json_read(plain, &told, NULL) != ERR_OK)
            continue; /* erased */
        (*out)[(*n)++] = (struct use){str_from(rows[i].id), subject, rows[i].kind, rows[i].at_ms,
                                      json_own(&c->pool, told)};
    }
    return e;
}

enum err account_uses(struct ctx *c, const struct str *kinds, size_t n_kinds, size_t limit,
                      struct use **out, size_t *n)
{
    struct use_list list;
    *n = 0;
    enum err e = account_use_list(c, kinds, n_kinds, &list);
    return e == ERR_OK ? account_uses_open(c, &list, 0, limit < list.n ? limit : list.n, out, n)
                       : e;
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
    json_object_set_new(j, "what", json_str(what));
    json_object_set_new(j, "why", json_string(why));
    json_object_set_new(j, "basis", json_string(account_text(c, json_get(t, "legal_basis"))));
    json_object_set_new(j, "from", json_string(account_text(c, json_get(t, "provider"))));
    json_object_set_new(j, "when", json_str(clock_in_words(c->arena, u->at_ms, c->lang, true)));
    json_object_set_new(j, "datetime", json_str(clock_rfc3339(c->arena, u->at_ms, false)));
    if (strcmp(json_get_z(t, "decision", "allowed"), "refused") == 0) {
        json_object_set_new(j, "refused", json_true());
        json_object_set_new(j, "reason", json_string(account_text(c, json_get(t, "reason"))));
    }
    json_object_set_new(
        j, "proof_url",
        json_str(arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(u->entry))));
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

static void csv_line(struct ctx *c, struct buf *b, const struct use *use)
{
    static const char *const members[] = {"datetime", "who", "what", "why", "basis", "from"};
    json_t *u = account_use_json(c, use);
    for (size_t k = 0; k < COUNT_OF(members); k++)
        csv_cell(b, json_get_str(u, members[k]), ',');
    csv_cell(b, json_get(u, "refused") ? STR("yes") : STR("no"), ',');
    csv_cell(b, use->entry, '\n');
    json_decref(u);
}

/* One page of the list, grouped by day. */
static json_t *by_day(struct ctx *c, const struct use *uses, size_t n)
{
    json_t *days = json_array(), *day = NULL;
    struct str last = STR_NONE;
    for (size_t i = 0; i < n; i++) {
        struct str words = clock_in_words(c->arena, uses[i].at_ms, c->lang, false);
        if (!day || !str_eq(words, last)) {
            day = json_pack("{s:o,s:[]}", "day", json_str(words), "uses");
            json_array_append_new(days, day);
            last = words;
        }
        json_array_append_new(json_get(day, "uses"), account_use_json(c, &uses[i]));
    }
    return days;
}

static json_t *page_url(struct ctx *c, struct str q, const char *kind, size_t page)
{
    struct str url =
        url_with(c->arena, STR("/account/uses"), "page", arena_printf(c->arena, "%zu", page));
    if (q.n)
        url = url_with(c->arena, url, "q", q);
    return json_str(*kind ? url_with(c->arena, url, "kind", str_from(kind)) : url);
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
    return json_str(*kind ? url_with(c->arena, url, "kind", str_from(kind)) : url);
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

static bool is_kind(const struct journal_side_key *k, const struct filter *f)
{
    return !f->kind || k->kind == journal_side_kind(str_from(f->kind));
}

static const struct filter *filter_asked(struct ctx *c)
{
    for (size_t i = 1; i < COUNT_OF(kinds); i++)
        if (str_eq_z(ctx_query(c, "kind"), kinds[i].name))
            return &kinds[i];
    return &kinds[0];
}

/* Those that would show something, and the one that is chosen. */
static json_t *filters_json(struct ctx *c, const struct use_list *uses, const struct filter *chosen,
                            struct str q)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t count = 0;
        for (size_t k = 0; k < uses->n; k++)
            count += is_kind(&uses->keys[k], &kinds[i]);
        if (count == 0 && &kinds[i] != chosen)
            continue;
        struct str url = url_with(c->arena, STR("/account/uses"), "kind", str_from(kinds[i].name));
        if (q.n)
            url = url_with(c->arena, url, "q", q);
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:b,s:o}", "label",
                            json_str(pages_text(c->arena, "account", kinds[i].key, c->lang, NULL)),
                            "url", json_str(url), "current", &kinds[i] == chosen, "count",
                            json_str(arena_printf(c->arena, "%zu", count))));
    }
    return list;
}

/* What is searched is opened, the newest SEARCHED_MAX: only those whose words match stay. */
static enum err search_list(struct ctx *c, struct use_list *list, struct str q)
{
    struct use *uses;
    size_t n, kept = 0, of = list->n < SEARCHED_MAX ? list->n : SEARCHED_MAX;
    struct str folded = text_fold(c->arena, q);
    for (size_t i = 0; i < of; i++) {
        enum err e = account_uses_open(c, list, i, i + 1, &uses, &n);
        if (e != ERR_OK)
            return e;
        json_t *u = n ? json_own(&c->pool, account_use_json(c, &uses[0])) : NULL;
        if (u && matches(c, u, folded))
            list->keys[kept++] = list->keys[i];
    }
    list->n = kept;
    return ERR_OK;
}

static void keep_kind(struct use_list *list, const struct filter *chosen)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++)
        if (is_kind(&list->keys[i], chosen))
            list->keys[kept++] = list->keys[i];
    list->n = kept;
}

static enum err csv_lines(struct ctx *c, const struct use_list *list, struct str folded)
{
    struct use *uses;
    size_t n;
    enum err e = ERR_OK;
    for (size_t at = 0; e == ERR_OK && at < list->n; at += PER_PAGE) {
        e = account_uses_open(c, list, at, at + PER_PAGE, &uses, &n);
        for (size_t i = 0; e == ERR_OK && i < n; i++)
            if (!folded.n || matches(c, json_own(&c->pool, account_use_json(c, &uses[i])), folded))
                csv_line(c, &c->rs->body, &uses[i]);
    }
    return e;
}

/* The whole list, however long: part by part, each behind the one before. */
static enum err export_csv(struct ctx *c, const struct filter *chosen, struct str q)
{
    struct buf *b = &c->rs->body;
    struct use_list part = {.n = EXPORT_PART};
    struct journal_at last;
    const struct journal_at *before = NULL;
    struct str folded = q.n ? text_fold(c->arena, q) : STR_NONE;
    enum err e = ERR_OK;
    buf_add_z(b, "date,who,what,why,legal_basis,from,refused,entry\n");
    for (bool full = true; e == ERR_OK && full;) {
        e = account_use_list_behind(c, account_use_kinds, ACCOUNT_USE_KINDS, before, EXPORT_PART,
                                    &part);
        full = e == ERR_OK && part.n == EXPORT_PART;
        if (e == ERR_OK && part.n) {
            last = part.keys[part.n - 1].at;
            before = &last;
            keep_kind(&part, chosen);
            e = csv_lines(c, &part, folded);
        }
    }
    if (e != ERR_OK)
        return e;
    c->rs->status = 200;
    web_header(c->rs, "Content-Type", STR("text/csv; charset=utf-8"));
    web_header(c->rs, "Content-Disposition", STR("attachment; filename=\"utilisations.csv\""));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return b->err;
}

enum err account_page_uses(struct ctx *c)
{
    const struct filter *chosen = filter_asked(c);
    struct use_list all;
    struct use *uses;
    size_t n;
    uint64_t page = 1;
    struct str q = ctx_query(c, "q");
    enum err e = account_use_list(c, account_use_kinds, ACCOUNT_USE_KINDS, &all);
    if (e != ERR_OK)
        return e;
    bool any = all.n > 0;
    json_t *filters = json_own(&c->pool, filters_json(c, &all, chosen, q));
    keep_kind(&all, chosen);
    if (str_eq_z(ctx_query(c, "format"), "csv"))
        return export_csv(c, chosen, q);
    if (q.n)
        e = search_list(c, &all, q);
    if (e != ERR_OK)
        return e;
    if (!str_to_u64(ctx_query(c, "page"), &page) || page < 1)
        page = 1;
    size_t of = (all.n + PER_PAGE - 1) / PER_PAGE;
    if (page > of)
        page = of ? of : 1;
    size_t from = (page - 1) * PER_PAGE, to = from + PER_PAGE;
    e = account_uses_open(c, &all, from < all.n ? from : all.n, to, &uses, &n);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:o,s:b,s:i,s:b,s:o,s:o}", "q", json_str(q), "searched",
                          q.n > 0 || chosen->kind, "total", (int)all.n, "one", all.n == 1, "days",
                          by_day(c, uses, n), "export_url", export_url(c, q, chosen->name));
    json_object_set(d, "filters", filters);
    json_object_set_new(d, "filtered", json_boolean(any));
    add_pages(c, d, q, chosen->name, page, of, all.n);
    return ctx_page(c, "account/uses", d);
}
