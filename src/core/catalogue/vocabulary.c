/* One vocabulary for all sources: what a concept means, which published vocabulary it is the same
 * as, and under which name each source holds it. A source's description says x-socle-concept, or
 * its words say it. SKOS for readers of vocabularies, a JSON-LD context for each API, and a way to
 * read any API under the common names. */
#include "core/catalogue/vocabulary.h"

#include "base/clock.h"
#include "core/catalogue/catalogue.h"
#include "web/client.h"
#include "base/codec.h"

enum { TEXT_MAX = 1000, CONCEPTS_MAX = 2000, ANSWER_MAX = 4 * 1024 * 1024, DEPTH = 32 };

/* Known from the start: the SEMIC Core Vocabularies' terms that public bodies exchange most. */
static const struct concept base[] = {
    {"nom", "Nom de famille", "Family name", "Le nom de famille d’une personne.",
     "The family name of a person.", "http://xmlns.com/foaf/0.1/familyName"},
    {"prenom", "Prénom", "Given name", "Le prénom d’une personne, ou ses prénoms.",
     "The given name of a person, or names.", "http://xmlns.com/foaf/0.1/givenName"},
    {"date-de-naissance", "Date de naissance", "Date of birth", "Le jour où une personne est née.",
     "The day a person was born.", "http://data.europa.eu/m8g/birthDate"},
    {"code-postal", "Code postal", "Postcode", "Le code postal d’une adresse.",
     "The postcode of an address.", "http://www.w3.org/ns/locn#postCode"},
    {"commune", "Commune", "Commune", "Le nom de la commune d’une adresse.",
     "The name of the commune of an address.", "http://www.w3.org/ns/locn#postName"},
    {"voie", "Voie", "Street", "Le numéro et le nom de la voie d’une adresse.",
     "The number and the street of an address.", "http://www.w3.org/ns/locn#thoroughfare"},
    {"adresse", "Adresse complète", "Full address", "Une adresse, écrite en entier.",
     "An address, written in full.", "http://www.w3.org/ns/locn#fullAddress"},
    {"siret", "SIRET", "SIRET", "L’identifiant d’un établissement, de 14 chiffres.",
     "The identifier of an establishment, 14 digits.", "http://www.w3.org/ns/regorg#registration"},
    {"raison-sociale", "Raison sociale", "Legal name", "Le nom sous lequel une entité est connue.",
     "The name under which an entity is known.", "http://www.w3.org/ns/regorg#legalName"},
    {"courriel", "Courriel", "Email", "Une adresse de courrier électronique.",
     "An electronic mail address.", "http://www.w3.org/2006/vcard/ns#hasEmail"},
    {"telephone", "Téléphone", "Telephone", "Un numéro de téléphone.", "A telephone number.",
     "http://www.w3.org/2006/vcard/ns#hasTelephone"},
};

/* ---- concepts -----------------------------------------------------------------------------------
 */
struct str concept_iri(struct ctx *c, struct str id)
{
    return arena_printf(c->arena, "%s/vocabulaire#" STR_FMT, c->pf->settings->base_url,
                        STR_ARG(id));
}

static bool from_base(struct str id, struct concept *out)
{
    for (size_t i = 0; i < COUNT_OF(base); i++)
        if (str_eq_z(id, base[i].id)) {
            *out = base[i];
            return true;
        }
    return false;
}

/* What a body's operator wrote comes before what is known from the start. */
enum err concept_get(struct ctx *c, struct str id, struct concept *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT id, label_fr, label_en, meaning_fr, meaning_en, same_as "
                                   "FROM catalogue_concept WHERE id = $1",
                                   "s", id)
                    : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        *out = (struct concept){db_z(&r, 0, 0), db_z(&r, 0, 1), db_z(&r, 0, 2),
                                db_z(&r, 0, 3), db_z(&r, 0, 4), db_z(&r, 0, 5)};
    return e == ERR_NOT_FOUND && from_base(id, out) ? ERR_OK : e;
}

static enum err concept_closure(struct db_conn *db, void *arg)
{
    const struct concept *k = arg;
    return db_exec(db,
                   "INSERT INTO catalogue_concept(id, label_fr, label_en, meaning_fr, meaning_en, "
                   "same_as) VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET "
                   "label_fr = $2, label_en = $3, meaning_fr = $4, meaning_en = $5, same_as = $6",
                   "zzzzzz", k->id, k->label_fr, k->label_en, k->meaning_fr, k->meaning_en,
                   k->same_as);
}

/* catalogue.concept_put: {id, label{fr,en}, meaning{fr,en}, same_as}: the operator's. */
enum err concept_call_put(struct ctx *c, const json_t *args, json_t **out)
{
    const json_t *label = json_get(args, "label"), *meaning = json_get(args, "meaning");
    struct act act;
    struct concept k = {json_get_z(args, "id", ""),    json_get_z(label, "fr", ""),
                        json_get_z(label, "en", ""),   json_get_z(meaning, "fr", ""),
                        json_get_z(meaning, "en", ""), json_get_z(args, "same_as", "")};
    struct str id = str_from(k.id);
    bool iri = !*k.same_as || str_starts(str_from(k.same_as), STR("http"));
    if (!id.n || !str_eq(desc_slug(c->arena, id), id) || !*k.label_fr || !*k.label_en ||
        !*k.meaning_fr || !*k.meaning_en || strlen(k.meaning_fr) > TEXT_MAX ||
        strlen(k.meaning_en) > TEXT_MAX || !iri)
        return ERR_INVALID;
    struct act_info info = {.kind = "catalogue.concept", .actor = STR("operator"), .object = id};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, concept_closure, &k, &act, 1);
    if (e == ERR_OK)
        *out = json_pack("{s:s}", "id", k.id);
    return e;
}

/* ---- sources ------------------------------------------------------------------------------------
 */
/* Every datum of the catalogue, with its definition where it has one. */
enum err vocabulary_list(struct ctx *c, json_t **items)
{
    json_t *v;
    size_t i;
    enum err e = data_list(c, items);
    json_array_foreach(e == ERR_OK ? *items : NULL, i, v)
    {
        struct concept k;
        struct str id = json_get_str(v, "id");
        json_object_set_new(v, "iri", jstr(concept_iri(c, id)));
        if (concept_get(c, id, &k) != ERR_OK)
            continue;
        json_object_set_new(v, "label", json_pack("{s:s,s:s}", "fr", k.label_fr, "en", k.label_en));
        json_object_set_new(v, "meaning",
                            json_pack("{s:s,s:s}", "fr", k.meaning_fr, "en", k.meaning_en));
        if (*k.same_as)
            json_object_set_new(v, "same_as", json_string(k.same_as));
    }
    return e;
}

/* path -> concept of one API, leaves and those above. */
static enum err mapping_get(struct ctx *c, struct str api, struct str version, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT path, concept FROM catalogue_field WHERE api = $1 AND "
                               "version = $2 AND concept <> '' ORDER BY position",
                               "ss", api, version)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    if (!r.n_rows)
        return ERR_NOT_FOUND;
    *out = json_own(&c->pool, json_object());
    for (size_t i = 0; i < r.n_rows; i++)
        json_object_set_new(*out, db_z(&r, i, 0), json_string(db_z(&r, i, 1)));
    return ERR_OK;
}

/* ---- for readers of vocabularies ----------------------------------------------------------------
 */
static json_t *tagged(const json_t *two)
{
    static const char *const langs[] = {"fr", "en"};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(langs); i++)
        if (json_get_str(two, langs[i]).n)
            json_array_append_new(list, json_pack("{s:O,s:s}", "@value", json_get(two, langs[i]),
                                                  "@language", langs[i]));
    return list;
}

static void source_add(struct ctx *c, json_t *graph, const json_t *datum, const json_t *p)
{
    struct str name = codec_to_url(c->arena, json_get_str(p, "path"));
    struct str iri = arena_printf(c->arena, "%s%s#" STR_FMT, c->pf->settings->base_url,
                                  json_get_z(p, "url", ""), STR_ARG(name));
    json_array_append_new(
        graph, json_pack("{s:o,s:s,s:O,s:{s:o},s:{s:O}}", "@id", jstr(iri), "@type", "rdf:Property",
                         "rdfs:label", json_get(p, "path"), "rdfs:isDefinedBy", "@id",
                         jstr(arena_printf(c->arena, "%s%s", c->pf->settings->base_url,
                                           json_get_z(p, "url", ""))),
                         "skos:exactMatch", "@id", json_get(datum, "iri")));
}

static void concept_add(struct ctx *c, json_t *graph, const json_t *datum, const char *scheme)
{
    json_t *p,
        *v = json_pack("{s:O,s:s,s:O,s:o,s:{s:s}}", "@id", json_get(datum, "iri"), "@type",
                       "skos:Concept", "skos:notation", json_get(datum, "id"), "skos:prefLabel",
                       tagged(json_get(datum, "label")), "skos:inScheme", "@id", scheme);
    size_t i;
    if (json_get(datum, "meaning"))
        json_object_set_new(v, "skos:definition", tagged(json_get(datum, "meaning")));
    if (json_get(datum, "same_as"))
        json_object_set_new(v, "skos:exactMatch",
                            json_pack("{s:O}", "@id", json_get(datum, "same_as")));
    json_array_append_new(graph, v);
    json_array_foreach(json_get(datum, "producers"), i, p)
    {
        source_add(c, graph, datum, p);
    }
}

enum err vocabulary_jsonld(struct ctx *c)
{
    json_t *items, *v;
    size_t i;
    enum err e = vocabulary_list(c, &items);
    if (e != ERR_OK)
        return e;
    const char *scheme = arena_printf(c->arena, "%s/vocabulaire", c->pf->settings->base_url).p;
    json_t *graph = json_pack("[{s:s,s:s,s:[{s:s,s:s},{s:s,s:s}]}]", "@id", scheme, "@type",
                              "skos:ConceptScheme", "skos:prefLabel", "@value",
                              "Vocabulaire commun des données échangées", "@language", "fr",
                              "@value", "Common vocabulary of exchanged data", "@language", "en");
    json_array_foreach(items, i, v)
    {
        concept_add(c, graph, v, scheme);
    }
    json_t *doc = json_pack("{s:{s:s,s:s,s:s},s:o}", "@context", "skos",
                            "http://www.w3.org/2004/02/skos/core#", "rdf",
                            "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "rdfs",
                            "http://www.w3.org/2000/01/rdf-schema#", "@graph", graph);
    struct str text = json_text(c->arena, json_own(&c->pool, doc));
    return ctx_text(c, 200, "application/ld+json", text);
}

/* The last part of a path is the name as it stands in the answer. */
static struct str leaf_name(struct str path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '.')
            return str_after(path, i);
    return path;
}

/* JSON-LD 1.1: nested objects have a context of their own, so the same name may mean two things. */
static void context_add(struct ctx *c, json_t *context, const json_t *mapping, struct str under)
{
    const char *path;
    json_t *concept;
    json_object_foreach((json_t *)mapping, path, concept)
    {
        struct str p = str_from(path), name = leaf_name(p);
        struct str parent = str_sub(p, 0, p.n > name.n ? p.n - name.n - 1 : 0);
        if (!str_eq(parent, under))
            continue;
        struct str iri = concept_iri(c, str_from(json_string_value(concept)));
        json_t *inner = json_object();
        context_add(c, inner, mapping, p);
        json_t *term = json_pack("{s:o}", "@id", jstr(iri));
        if (json_object_size(inner))
            json_object_set(term, "@context", inner);
        json_decref(inner);
        json_object_set_new(context, arena_dupz(c->arena, name), term);
    }
}

enum err vocabulary_context(struct ctx *c)
{
    json_t *mapping, *context = json_own(&c->pool, json_object());
    enum err e = mapping_get(c, ctx_path(c, "api"), ctx_path(c, "version"), &mapping);
    if (e != ERR_OK)
        return e;
    context_add(c, context, mapping, STR(""));
    json_t *doc = json_own(&c->pool, json_pack("{s:O}", "@context", context));
    return ctx_text(c, 200, "application/ld+json", json_text(c->arena, doc));
}

/* ---- reading under the common names -------------------------------------------------------------
 */
struct reading {
    struct ctx *c;
    const json_t *mapping;
    json_t *others; /* path -> value: what the vocabulary has no name for */
};

static json_t *read_value(struct reading *r, const json_t *v, struct str path, json_t *into,
                          int depth);

/* Two values of one name stand side by side: none takes the other's place. */
static void put(json_t *into, const char *name, json_t *value)
{
    json_t *old = json_object_get(into, name);
    if (!old) {
        json_object_set_new(into, name, value);
    } else if (json_is_array(old)) {
        if (json_is_array(value))
            json_array_extend(old, value);
        else
            json_array_append(old, value);
        json_decref(value);
    } else {
        json_object_set_new(into, name, json_pack("[O,o]", old, value));
    }
}

/* Members of an object go up to the nearest list's item, or to the top: two sources that nest
 * otherwise read alike. */
static void read_object(struct reading *r, const json_t *v, struct str path, json_t *into,
                        int depth)
{
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)v, key, one)
    {
        struct str p =
            path.n ? arena_printf(r->c->arena, STR_FMT ".%s", STR_ARG(path), key) : str_from(key);
        const char *concept = json_get_z(r->mapping, arena_dupz(r->c->arena, p), NULL);
        if (json_is_object(one)) {
            read_object(r, one, p, into, depth + 1);
            continue;
        }
        json_t *read = read_value(r, one, p, into, depth + 1);
        if (concept)
            put(into, concept, read);
        else if (json_is_array(one))
            put(into, key, read);
        else
            json_object_set_new(r->others, arena_dupz(r->c->arena, p), read);
    }
}

static json_t *read_value(struct reading *r, const json_t *v, struct str path, json_t *into,
                          int depth)
{
    json_t *one, *list;
    size_t i;
    (void)into;
    if (depth > DEPTH || !json_is_array(v))
        return json_deep_copy(v);
    list = json_array();
    json_array_foreach((json_t *)v, i, one)
    {
        json_t *item = json_object();
        if (json_is_object(one)) {
            read_object(r, one, path, item, depth + 1);
            json_array_append_new(list, item);
        } else {
            json_decref(item);
            json_array_append_new(list, read_value(r, one, path, NULL, depth + 1));
        }
    }
    return list;
}

/* The gateway's own answer, contract, filter and all: the caller's token goes with it. */
static enum err gateway_ask(struct ctx *c, struct client_answer *answer)
{
    static const char *const kept[] = {"Authorization", "DPoP", "Socle-Context", "Socle-Object",
                                       "Socle-Recipient"};
    struct http_header h[COUNT_OF(kept) + 2] = {{STR("Accept"), STR("application/json")}};
    size_t n = 1;
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (ctx_header(c, kept[i]).n)
            h[n++] = (struct http_header){str_from(kept[i]), ctx_header(c, kept[i])};
    h[n++] = (struct http_header){
        STR("traceparent"), arena_printf(c->arena, "00-%s-%.16s-01", c->trace_id, c->trace_id)};
    struct str query = c->rq->query;
    struct str path =
        arena_printf(c->arena, "/gw/" STR_FMT "/" STR_FMT "/" STR_FMT "%s" STR_FMT,
                     STR_ARG(ctx_path(c, "api")), STR_ARG(ctx_path(c, "version")),
                     STR_ARG(ctx_path(c, "rest")), query.n ? "?" : "", STR_ARG(query));
    struct client_call call = {.url = portal_url(c, path.p),
                               .headers = h,
                               .n_headers = n,
                               .timeout_ms = 10000,
                               .answer_max = ANSWER_MAX,
                               .allow_inside = true};
    return client_send(c->arena, &call, answer);
}

enum err vocabulary_read(struct ctx *c)
{
    struct client_answer answer;
    json_t *mapping, *doc, *top = json_own(&c->pool, json_object());
    enum err e = mapping_get(c, ctx_path(c, "api"), ctx_path(c, "version"), &mapping);
    if (e == ERR_OK)
        e = gateway_ask(c, &answer);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? e : ERR_UNAVAILABLE;
    if (answer.status != 200 || json_read(answer.body, &doc, NULL) != ERR_OK) {
        struct str type = client_header(&answer, "Content-Type");
        return ctx_text(c, answer.status, type.n ? arena_dupz(c->arena, type) : "text/plain",
                        answer.body);
    }
    struct reading r = {c, mapping, json_own(&c->pool, json_object())};
    json_own(&c->pool, doc);
    if (json_is_object(doc))
        read_object(&r, doc, STR(""), top, 0);
    else
        json_object_set_new(top, "@graph", read_value(&r, doc, STR(""), NULL, 0));
    json_object_set_new(top, "@context",
                        json_pack("{s:o}", "@vocab", jstr(concept_iri(c, STR("")))));
    if (json_object_size(r.others))
        json_object_set_new(top, "@included",
                            json_pack("[{s:o}]", "source", json_incref(r.others)));
    struct str entry = client_header(&answer, "Socle-Entry");
    if (entry.n)
        web_header(c->rs, "Socle-Entry", arena_dup(c->arena, entry));
    return ctx_text(c, 200, "application/ld+json", json_text(c->arena, top));
}

/* ---- the page -----------------------------------------------------------------------------------
 */
static bool shown(const json_t *v, struct str q)
{
    json_t *p;
    size_t i;
    if (!q.n)
        return true;
    json_array_foreach(json_get(v, "producers"), i, p)
    {
        if (str_eq_nocase(leaf_name(json_get_str(p, "path")), q) ||
            str_eq_nocase(json_get_str(p, "path"), q))
            return true;
    }
    return str_eq_nocase(json_get_str(v, "id"), q);
}

/* ?champ= finds by the name a source uses. */
enum err vocabulary_page(struct ctx *c)
{
    json_t *items, *v, *list = json_array();
    struct str q = str_trim(ctx_query(c, "champ"));
    size_t i;
    enum err e = vocabulary_list(c, &items);
    json_array_foreach(e == ERR_OK ? items : NULL, i, v)
    {
        if (shown(v, q))
            json_array_append(list, v);
    }
    json_t *d = json_pack("{s:o,s:b,s:o,s:b}", "items", list, "some", json_array_size(list) > 0,
                          "q", jstr(q), "asked", q.n > 0);
    return e == ERR_OK ? ctx_page(c, "catalogue/vocabulary", d) : (json_decref(d), e);
}

enum err vocabulary_api(struct ctx *c)
{
    json_t *items;
    enum err e = vocabulary_list(c, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", items)) : e;
}
