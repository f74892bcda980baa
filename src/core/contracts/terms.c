/* What a request says, what is missing in it, and the text that both sides sign. */

#include "core/contracts/contracts.h"
#include "crypto/digest.h"
#include "data/jsonfilter.h"

enum { TEXT_MAX = 2000, FIELDS_MAX = 64, AGREEMENT_MAX = 64 * 1024, SENSITIVE = 2, UNKNOWN = 2 };

static const char *const texts[] = {
    "client_id", "api", "version", "fields", "recipients", "impact_assessment", "officer_opinion"};
static const char *const pairs[] = {"purpose", "legal_basis"};
static const struct {
    const char *name;
    int64_t absent, most;
} numbers[] = {{"duration_days", 90, 3650},
               {"quota_per_minute", 0, 1000000},
               {"months", 12, 120},
               {"report_days", 0, 366},
               {"price_per_1000", 0, 10000000}}; /* cents of a euro; 0: free */
static const char *const flags[] = {"consent_needed", "purpose_needed", "for_clients"};

/* ---- reading ------------------------------------------------------------------------------------
 */
/* Words parted by single blanks, whatever was typed between them. */
static struct str words_of(struct arena *a, struct str s)
{
    struct buf b;
    buf_init(&b, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        bool blank = strchr(" \t\r\n,", s.p[i]) != NULL;
        if (!blank)
            buf_add_char(&b, s.p[i]);
        else if (b.n && b.p[b.n - 1] != ' ')
            buf_add_char(&b, ' ');
    }
    struct str out = arena_dup(a, str_trim(buf_str(&b)));
    buf_free(&b);
    return out;
}

static void set_text(struct ctx *c, json_t *t, const char *name, struct str v)
{
    bool list = strcmp(name, "fields") == 0 || strcmp(name, "recipients") == 0;
    json_object_set_new(t, name, json_str(list ? words_of(c->arena, v) : str_trim(v)));
}

static void set_pair(struct ctx *c, json_t *t, const char *name)
{
    struct str fr = ctx_form(c, arena_printf(c->arena, "%s.fr", name).p);
    struct str en = ctx_form(c, arena_printf(c->arena, "%s.en", name).p);
    if (!fr.p && !en.p)
        return;
    fr = str_trim(fr.p ? fr : STR(""));
    en = str_trim(en.p ? en : STR(""));
    json_object_set_new(t, name,
                        json_pack("{s:o,s:o}", "fr", json_str(fr), "en", json_str(en.n ? en : fr)));
}

json_t *terms_read(struct ctx *c, const json_t *before)
{
    json_t *t = json_own(&c->pool, before ? json_deep_copy(before) : json_object());
    bool page = ctx_form(c, "form").p != NULL; /* a box that is not ticked is not sent */
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct str v = ctx_form(c, texts[i]);
        if (v.p || !json_get(t, texts[i]))
            set_text(c, t, texts[i], v.p ? v : STR(""));
    }
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        set_pair(c, t, pairs[i]);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct str v = str_trim(ctx_form(c, numbers[i].name));
        int64_t n = numbers[i].absent;
        if (v.n && !str_to_i64(v, &n))
            n = -1; /* a fault of the terms, not of the form */
        if (v.p || !json_get(t, numbers[i].name))
            json_object_set_new(t, numbers[i].name, json_integer(n));
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        struct str v = ctx_form(c, flags[i]);
        if (v.p || page || !json_get(t, flags[i]))
            json_object_set_new(t, flags[i], json_boolean(v.n > 0));
    }
    /* "api/version" in one field of the page */
    struct str both = ctx_form(c, "api_version"), api;
    if (both.n && str_split(&both, '/', &api) && both.p) {
        set_text(c, t, "api", api);
        set_text(c, t, "version", both);
    }
    return t;
}

/* ---- what is wrong
 * -------------------------------------------------------------------------------- */
static const json_t *described(const json_t *api, struct str path)
{
    const json_t *list = json_get(api, "fields");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(json_get_str(json_array_get(list, i), "name"), path))
            return json_array_get(list, i);
    return NULL;
}

static struct str path_of(struct str field)
{
    struct str path;
    struct json_filter_ask ask;
    return json_filter_ask_read(field, &path, &ask) == ERR_OK ? path : field;
}

int terms_sensitivity(const json_t *terms, const json_t *api)
{
    struct str rest = json_get_str(terms, "fields"), part;
    const json_t *list = json_get(api, "fields");
    int most = 0;
    if (str_eq_z(rest, "*"))
        for (size_t i = 0; i < json_array_size(list); i++) {
            int s = (int)json_get_i64(json_array_get(list, i), "sensitivity", UNKNOWN);
            most = s > most ? s : most;
        }
    if (str_eq_z(rest, "*"))
        return json_array_size(list) ? most : UNKNOWN;
    while (rest.n && str_split(&rest, ' ', &part)) {
        /* A path above described ones takes them all; below one, it is part of it. */
        int s = described(api, path_of(part)) ? 0 : UNKNOWN;
        struct str path = path_of(part);
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct str name = json_get_str(json_array_get(list, i), "name");
            if (str_starts(name, path) && (name.n == path.n || name.p[path.n] == '.')) {
                int one = (int)json_get_i64(json_array_get(list, i), "sensitivity", UNKNOWN);
                s = one > s ? one : s;
            }
        }
        most = s > most ? s : most;
    }
    return most;
}

static bool fields_compile(struct str rest)
{
    struct str paths[FIELDS_MAX], part;
    struct json_filter *f;
    size_t n = 0;
    if (str_eq_z(rest, "*"))
        return true;
    while (rest.n && str_split(&rest, ' ', &part)) {
        if (n == FIELDS_MAX)
            return false;
        paths[n++] = part;
    }
    if (n == 0 || json_filter_new(paths, n, &f) != ERR_OK)
        return false;
    json_filter_free(f);
    return true;
}

static bool is_text(const json_t *pair, const char *lang)
{
    struct str s = json_get_str(pair, lang);
    return s.n > 0 && s.n <= TEXT_MAX;
}

static bool client_is_of(struct ctx *c, const json_t *terms)
{
    json_t *args = json_pack("{s:O?}", "client_id", json_get(terms, "client_id"));
    const json_t *k = args ? contracts_one(c, "identity.client", args) : NULL;
    return k && str_eq(json_get_str(k, "org_id"), json_get_str(terms, "consumer"));
}

size_t terms_faults(struct ctx *c, const json_t *terms, const json_t *api,
                    struct terms_fault out[TERMS_FAULTS_MAX])
{
    size_t n = 0;
#define WRONG(when, field, key) \
    if (when)                   \
    out[n++] = (struct terms_fault){field, key}
    WRONG(!api || strcmp(json_get_z(api, "state", ""), "active") != 0, "api", "api");
    WRONG(!client_is_of(c, terms), "client_id", "client_id");
    WRONG(!fields_compile(json_get_str(terms, "fields")), "fields", "fields");
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        WRONG(!is_text(json_get(terms, pairs[i]), "fr") ||
                  !is_text(json_get(terms, pairs[i]), "en"),
              pairs[i], pairs[i]);
    WRONG(json_get_str(terms, "recipients").n == 0 && !json_get_bool(terms, "for_clients", false),
          "recipients", "recipients"); /* a vendor's are its clients */
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t v = json_get_i64(terms, numbers[i].name, numbers[i].absent);
        WRONG(v < (numbers[i].absent > 0) || v > numbers[i].most, numbers[i].name, "number");
    }
    bool sensitive = terms_sensitivity(terms, api) >= SENSITIVE;
    WRONG(sensitive && json_get_str(terms, "impact_assessment").n < 3, "impact_assessment",
          "impact_assessment");
    WRONG(sensitive && json_get_str(terms, "officer_opinion").n < 3, "officer_opinion",
          "officer_opinion");
#undef WRONG
    return n;
}

/* ---- named to people
 * ------------------------------------------------------------------------------- */
/* The exchange names questions; here it is asked by the same words. */
static json_t *label_of(struct ctx *c, struct str field, const json_t *known)
{
    struct str path;
    struct json_filter_ask ask;
    if (json_filter_ask_read(field, &path, &ask) != ERR_OK)
        path = field;
    struct str fr = known ? json_get_str(json_get(known, "label"), "fr") : path;
    struct str en = known ? json_get_str(json_get(known, "label"), "en") : path;
    if (ask.op == JSON_ASK_IS) {
        fr = arena_printf(c->arena, STR_FMT " : oui ou non seulement", STR_ARG(fr));
        en = arena_printf(c->arena, STR_FMT ": yes or no only", STR_ARG(en));
    } else if (ask.op != JSON_ASK_VALUE) {
        bool least = ask.op == JSON_ASK_LEAST;
        fr = arena_printf(c->arena, STR_FMT " : %s " STR_FMT ", oui ou non seulement", STR_ARG(fr),
                          least ? "au moins" : "au plus", STR_ARG(ask.bound_text));
        en = arena_printf(c->arena, STR_FMT ": %s " STR_FMT ", yes or no only", STR_ARG(en),
                          least ? "at least" : "at most", STR_ARG(ask.bound_text));
    }
    return json_pack("{s:o,s:o}", "fr", json_str(fr), "en", json_str(en));
}

json_t *terms_fields(struct ctx *c, const json_t *terms, const json_t *api)
{
    struct str rest = json_get_str(terms, "fields"), part;
    json_t *list = json_array();
    if (str_eq_z(rest, "*")) {
        json_array_extend(list, json_get(api, "fields"));
        return list;
    }
    while (rest.n && str_split(&rest, ' ', &part)) {
        const json_t *known = described(api, path_of(part));
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:I}", "name", json_str(part), "label",
                                        label_of(c, part, known), "sensitivity",
                                        (json_int_t)json_get_i64(known, "sensitivity", UNKNOWN)));
    }
    return list;
}

/* ---- the API's terms of use ---------------------------------------------------------------------
 */
const json_t *terms_of_use(struct ctx *c, const struct contract_request *r, int64_t number)
{
    json_t *args = json_pack("{s:o,s:o,s:I}", "api", json_str(r->api), "version",
                             json_str(r->version), "number", (json_int_t)number);
    return contracts_one(c, "catalogue.terms", args);
}

/* ---- the agreement
 * ---------------------------------------------------------------------------------- */
static json_t *org_json(struct ctx *c, struct str id)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r,
                          "SELECT siret, name_fr, name_en FROM organisation WHERE id = $1", "s", id)
           : ERR_UNAVAILABLE;
    json_t *v = json_pack("{s:o}", "id", json_str(id));
    if (e == ERR_OK) {
        json_object_set_new(v, "siret", json_string(db_z(&r, 0, 0)));
        json_object_set_new(v, "name",
                            json_pack("{s:s,s:s}", "fr", db_z(&r, 0, 1), "en", db_z(&r, 0, 2)));
    }
    return v;
}

/* Members sorted, no blanks: the same terms are the same bytes (RFC 8785 for what is in here: texts
 * and whole numbers). */
enum err agreement_text(struct ctx *c, const struct contract_request *r, const json_t *api,
                        struct str *text, struct str *digest)
{
    uint8_t hash[SHA256_LEN];
    struct buf hex;
    json_t *v = json_deep_copy(r->terms);
    json_object_set_new(v, "v", json_integer(1));
    json_object_set_new(v, "type", json_string("socle.agreement"));
    json_object_set_new(v, "request", json_str(r->id));
    json_object_set_new(v, "contract", json_str(r->contract_id));
    json_object_set_new(v, "replaces", json_str(r->replaces));
    json_object_set_new(v, "stage", json_str(r->stage));
    json_object_set_new(v, "revision", json_integer(r->revision));
    json_object_set_new(v, "consumer", org_json(c, r->consumer));
    json_object_set_new(v, "provider", org_json(c, r->provider));
    json_object_set_new(v, "api_title", json_incref(json_get(api, "title")));
    json_object_set_new(v, "scope", json_incref(json_get(api, "scope")));
    json_object_set_new(v, "fields", terms_fields(c, r->terms, api));
    const json_t *use = terms_of_use(c, r, 0);
    if (use) /* what the consumer accepts by submitting */
        json_object_set_new(v, "terms_of_use",
                            json_pack("{s:O,s:O}", "number", json_get(use, "number"), "digest",
                                      json_get(use, "digest")));
    *text = json_text_sorted(c->arena, v);
    json_decref(v);
    if (text->n > AGREEMENT_MAX)
        return ERR_LIMIT;
    sha256(text->p, text->n, hash);
    buf_init(&hex, 2 * sizeof hash + 1);
    buf_add_hex(&hex, hash, sizeof hash);
    *digest = arena_dup(c->arena, buf_str(&hex));
    buf_free(&hex);
    return ERR_OK;
}
