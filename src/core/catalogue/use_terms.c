/* The terms under which an API is used: what its description says (x-socle-terms), else the common
 * ones, filled with what it declares. Each text is kept under a number for good, since contracts
 * name the one they were made under. */
#include "core/catalogue/catalogue.h"

#include "base/clock.h"
#include "base/codec.h"
#include "crypto/digest.h"
#include "web/pages.h"

enum { TERMS_BYTES_MAX = 20000 };

/* ---- made at the import -------------------------------------------------------------------------
 */
static struct str common(struct ctx *c, const struct import_terms *in, const char *lang)
{
    struct str org = in->org_id;
    json_t *v = json_own(&c->pool, json_copy((json_t *)in->about));
    if (org_name(c, in->org_id, lang, &org) != ERR_OK)
        org = in->org_id;
    bool en = strcmp(lang, "en") == 0;
    json_object_set_new(v, "title", jstr(en ? in->title_en : in->title_fr));
    json_object_set_new(v, "version", jstr(in->version));
    json_object_set_new(v, "provider", jstr(org));
    struct str out = STR("");
    static const char *const parts[] = {"object", "access",  "use", "persons",
                                        "care",   "service", "end", "change"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const char *key = arena_printf(c->arena, "terms.common.%s", parts[i]).p;
        struct str part = pages_text(c->arena, "catalogue", key, lang, v);
        out = arena_printf(c->arena, STR_FMT "%s%d. " STR_FMT, STR_ARG(out), i ? "\n\n" : "",
                           (int)i + 1, STR_ARG(part));
    }
    return out;
}

enum err use_terms_make(struct ctx *c, struct import_terms *in, const json_t *said)
{
    uint8_t hash[SHA256_LEN];
    struct str fr = {json_string_value(said), json_string_length(said)}, en = fr;
    if (json_is_object(said)) {
        fr = json_get_str(said, "fr");
        en = json_get_str(said, "en").n ? json_get_str(said, "en") : fr;
    }
    fr = str_trim(fr.p ? fr : STR(""));
    en = str_trim(en.p ? en : STR(""));
    if ((said && !fr.n) || fr.n > TERMS_BYTES_MAX || en.n > TERMS_BYTES_MAX)
        return ERR_INVALID;
    in->fr = fr;
    in->en = en;
    if (!said) {
        enum err e = pages_load(); /* a command has not read the texts yet */
        if (e != ERR_OK)
            return e;
        in->fr = common(c, in, "fr");
        in->en = common(c, in, "en");
    }
    struct str parts[] = {in->fr, str_of("\0", 1), in->en};
    sha256_many(parts, COUNT_OF(parts), hash);
    in->digest = codec_to_hex(c->arena, hash, sizeof hash);
    return ERR_OK;
}

enum err use_terms_write(struct db_conn *db, const struct import_terms *in, struct str api,
                         int64_t now_ms, bool *fresh)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    enum err e = db_query(db, &a, &r,
                          "SELECT number, digest FROM catalogue_terms WHERE api = $1 AND version = "
                          "$2 ORDER BY number DESC LIMIT 1",
                          "ss", api, in->version);
    int64_t last = e == ERR_OK && r.n_rows ? db_i64(&r, 0, 0) : 0;
    *fresh = e == ERR_OK && (!last || !str_eq(db_str(&r, 0, 1), in->digest));
    if (*fresh)
        e = db_exec(db,
                    "INSERT INTO catalogue_terms(api, version, number, digest, body_fr, body_en, "
                    "at_ms) VALUES($1, $2, $3, $4, $5, $6, $7)",
                    "ssisssi", api, in->version, last + 1, in->digest, in->fr, in->en, now_ms);
    *fresh = *fresh && last;
    arena_free(&a);
    return e;
}

/* ---- reading ------------------------------------------------------------------------------------
 */
/* number 0: the newest. */
static enum err terms_get(struct ctx *c, struct str api, struct str version, int64_t number,
                          json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT number, digest, body_fr, body_en, at_ms FROM catalogue_terms "
                          "WHERE api = $1 AND version = $2 ORDER BY number DESC",
                          "ss", api, version);
    if (e != ERR_OK)
        return e;
    size_t i = 0;
    while (number && i < r.n_rows && db_i64(&r, i, 0) != number)
        i++;
    if (i >= r.n_rows)
        return ERR_NOT_FOUND;
    struct str url = arena_printf(
        c->arena, "%s/catalogue/" STR_FMT "/" STR_FMT "/conditions?numero=%lld",
        c->pf->settings->base_url, STR_ARG(api), STR_ARG(version), (long long)db_i64(&r, i, 0));
    *out = json_pack("{s:o,s:o,s:I,s:I,s:s,s:I,s:{s:s,s:s},s:o}", "api", jstr(api), "version",
                     jstr(version), "number", (json_int_t)db_i64(&r, i, 0), "newest",
                     (json_int_t)db_i64(&r, 0, 0), "digest", db_z(&r, i, 1), "published_at",
                     (json_int_t)db_i64(&r, i, 4), "text", "fr", db_z(&r, i, 2), "en",
                     db_z(&r, i, 3), "url", jstr(url));
    return ERR_OK;
}

enum err use_terms_call(struct ctx *c, const json_t *args, json_t **out)
{
    return terms_get(c, json_get_str(args, "api"), json_get_str(args, "version"),
                     json_get_i64(args, "number", 0), out);
}

/* Of the address; what is not documented has no terms to read. */
static enum err terms_asked(struct ctx *c, const char *name, json_t **out)
{
    int64_t number = 0;
    struct str asked = ctx_query(c, name);
    if (asked.n && (!str_to_i64(asked, &number) || number < 1))
        return ERR_NOT_FOUND;
    return terms_get(c, ctx_path(c, "api"), ctx_path(c, "version"), number, out);
}

enum err api_use_terms(struct ctx *c)
{
    json_t *v;
    enum err e = terms_asked(c, "number", &v);
    return e == ERR_OK ? ctx_json(c, 200, v) : e;
}

static json_t *paragraphs(struct str text)
{
    json_t *list = json_array();
    while (text.n) {
        ptrdiff_t end = str_find(text, STR("\n\n"));
        struct str one = str_trim(end < 0 ? text : str_sub(text, 0, (size_t)end));
        if (one.n)
            json_array_append_new(list, jstr(one));
        text = end < 0 ? STR("") : str_after(text, (size_t)end + 2);
    }
    return list;
}

static json_t *numbers(struct ctx *c, const json_t *v)
{
    json_t *list = json_array();
    int64_t newest = json_get_i64(v, "newest", 1), shown = json_get_i64(v, "number", 1);
    for (int64_t n = newest; n > 0 && n > newest - 20; n--)
        json_array_append_new(list,
                              json_pack("{s:I,s:o,s:b}", "number", (json_int_t)n, "url",
                                        jstr(arena_printf(c->arena, "?numero=%lld", (long long)n)),
                                        "current", n == shown));
    return list;
}

void use_terms_show(struct ctx *c, json_t *page, struct str api, struct str version)
{
    json_t *v;
    if (terms_get(c, api, version, 0, &v) != ERR_OK)
        return;
    int64_t at_ms = json_get_i64(v, "published_at", 0);
    json_object_set_new(page, "use_terms",
                        json_pack("{s:O,s:O,s:o}", "number", json_get(v, "number"), "url",
                                  json_get(v, "url"), "when",
                                  jstr(clock_in_words(c->arena, at_ms, c->lang, false))));
    json_decref(v);
}

enum err page_use_terms(struct ctx *c)
{
    json_t *v, *apis, *one;
    size_t i;
    enum err e = terms_asked(c, "numero", &v);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    e = catalogue_public(c, &apis);
    if (e != ERR_OK)
        return e;
    bool old = json_get_i64(v, "number", 1) != json_get_i64(v, "newest", 1);
    int64_t at_ms = json_get_i64(v, "published_at", 0);
    json_t *d = json_pack(
        "{s:O,s:O,s:b,s:b,s:o,s:o,s:o,s:o,s:O}", "number", json_get(v, "number"), "digest",
        json_get(v, "digest"), "old", old, "several", json_get_i64(v, "newest", 1) > 1, "numbers",
        numbers(c, v), "paragraphs", paragraphs(json_get_str(json_get(v, "text"), c->lang)), "when",
        jstr(clock_in_words(c->arena, at_ms, c->lang, false)), "api_url",
        jstr(arena_printf(c->arena, "/catalogue/" STR_FMT "/" STR_FMT, STR_ARG(ctx_path(c, "api")),
                          STR_ARG(ctx_path(c, "version")))),
        "version", json_get(v, "version"));
    json_array_foreach(apis, i, one)
    {
        if (str_eq(json_get_str(one, "id"), ctx_path(c, "api")) &&
            str_eq(json_get_str(one, "version"), ctx_path(c, "version")))
            json_object_set(d, "title", json_get(one, "title"));
    }
    return ctx_page(c, "catalogue/use_terms", d);
}
