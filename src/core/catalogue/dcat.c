/* /catalogue.jsonld: the catalogue in DCAT-AP 3, for other catalogues to harvest. Each version of
 * an API is a data service that serves one dataset. Terms: https://www.w3.org/TR/vocab-dcat-3/. */
#include "core/catalogue/catalogue.h"

#include "base/clock.h"

static const char context[] =
    "{\"dcat\":\"http://www.w3.org/ns/dcat#\",\"dct\":\"http://purl.org/dc/terms/\","
    "\"foaf\":\"http://xmlns.com/foaf/0.1/\",\"vcard\":\"http://www.w3.org/2006/vcard/ns#\","
    "\"dcatap\":\"http://data.europa.eu/r5r/\",\"adms\":\"http://www.w3.org/ns/adms#\","
    "\"skos\":\"http://www.w3.org/2004/02/skos/core#\","
    "\"xsd\":\"http://www.w3.org/2001/XMLSchema#\",\"owl\":\"http://www.w3.org/2002/07/owl#\"}";

enum { KEYWORDS = 30 };

static json_t *id_of(struct str iri)
{
    return json_pack("{s:o}", "@id", jstr(iri));
}

/* Both languages, tagged. */
static json_t *texts(const json_t *two)
{
    static const char *const langs[] = {"fr", "en"};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(langs); i++)
        if (json_get_str(two, langs[i]).n)
            json_array_append_new(list, json_pack("{s:O, s:s}", "@value", json_get(two, langs[i]),
                                                  "@language", langs[i]));
    return list;
}

static json_t *time_of(struct arena *a, int64_t at_ms)
{
    return json_pack("{s:s, s:o}", "@type", "xsd:dateTime", "@value",
                     jstr(clock_rfc3339(a, at_ms, false)));
}

static json_t *publisher(struct ctx *c, const json_t *provider)
{
    return json_pack("{s:o, s:s, s:o}", "@id",
                     jstr(arena_printf(c->arena, "%s/organisations/%s", c->pf->settings->base_url,
                                       json_get_z(provider, "id", ""))),
                     "@type", "foaf:Agent", "foaf:name", texts(json_get(provider, "name")));
}

/* Members that only some entries have. */
static void about_add(struct ctx *c, json_t *v, const json_t *about)
{
    struct str contact = json_get_str(about, "contact"),
               licence = json_get_str(about, "licence_url");
    if (contact.n) {
        bool mail = str_find_char(contact, '@') > 0 && !str_starts(contact, STR("http"));
        struct str iri =
            mail ? arena_printf(c->arena, "mailto:" STR_FMT, STR_ARG(contact)) : contact;
        json_object_set_new(v, "dcat:contactPoint",
                            json_pack("{s:s, s:o}", "@type", "vcard:Kind",
                                      mail ? "vcard:hasEmail" : "vcard:hasURL", id_of(iri)));
    }
    if (str_starts(licence, STR("http")))
        json_object_set_new(v, "dct:license", id_of(licence));
}

static void keywords_add(struct ctx *c, json_t *v, const json_t *api)
{
    json_t *out, *f, *list = json_array();
    json_t *args =
        json_pack("{s:O, s:O}", "api", json_get(api, "id"), "version", json_get(api, "version"));
    size_t i;
    if (platform_call(c, "exchange.fields", args, &out) == ERR_OK) {
        json_array_foreach(json_get(out, "items"), i, f)
        {
            if (i < KEYWORDS)
                json_array_append_new(list, json_pack("{s:O, s:s}", "@value",
                                                      json_get(json_get(f, "label"), "fr"),
                                                      "@language", "fr"));
        }
    }
    json_decref(args);
    json_object_set_new(v, "dcat:keyword", list);
}

static void entry_add(struct ctx *c, json_t *graph, json_t *datasets, json_t *offers,
                      const json_t *api)
{
    const char *base = c->pf->settings->base_url;
    const char *id = json_get_z(api, "id", ""), *version = json_get_z(api, "version", "");
    const json_t *about = json_get(api, "about"), *summary = json_get(api, "summary");
    struct str page = arena_printf(c->arena, "%s/catalogue/%s/%s", base, id, version);
    struct str set = arena_printf(c->arena, STR_FMT "#dataset", STR_ARG(page));
    struct str service = arena_printf(c->arena, STR_FMT "#service", STR_ARG(page));
    struct str gateway = arena_printf(c->arena, "%s/gw/%s/%s", base, id, version);
    struct str rights = STR("http://publications.europa.eu/resource/authority/access-right/"
                            "RESTRICTED"); /* everything behind the gateway needs a contract */
    json_t *said = json_get_str(summary, "fr").n ? texts(summary) : texts(json_get(api, "title"));
    json_t *v = json_pack(
        "{s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:[{s:s, s:o, s:o, s:s}]}", "@id",
        jstr(set), "@type", "dcat:Dataset", "dct:title", texts(json_get(api, "title")),
        "dct:description", said, "dct:identifier", arena_printf(c->arena, "%s/%s", id, version).p,
        "dct:publisher", publisher(c, json_get(api, "provider")), "dcat:landingPage", id_of(page),
        "dct:accessRights", id_of(rights), "dct:modified",
        time_of(c->arena, json_get_i64(api, "updated_at", 0)), "dcat:version", json_string(version),
        "dcat:distribution", "@type", "dcat:Distribution", "dcat:accessURL", id_of(gateway),
        "dcat:accessService", id_of(service), "dct:format", "application/json");
    about_add(c, v, about);
    keywords_add(c, v, api);
    json_array_append_new(graph, v);
    json_array_append_new(datasets, id_of(set));
    v = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "@id", jstr(service), "@type",
                  "dcat:DataService", "dct:title", texts(json_get(api, "title")),
                  "dcat:endpointURL", id_of(gateway), "dcat:servesDataset", id_of(set),
                  "dct:publisher", publisher(c, json_get(api, "provider")), "dct:accessRights",
                  id_of(rights), "dcat:landingPage", id_of(page));
    if (json_get_bool(api, "documented", false))
        json_object_set_new(v, "dcat:endpointDescription",
                            id_of(arena_printf(c->arena, STR_FMT "/description", STR_ARG(page))));
    about_add(c, v, about);
    json_array_append_new(graph, v);
    json_array_append_new(offers, id_of(service));
}

enum err dcat_jsonld(struct ctx *c)
{
    json_t *apis, *api, *ctx_v, *graph = json_own(&c->pool, json_array());
    json_t *datasets = json_own(&c->pool, json_array());
    json_t *offers = json_own(&c->pool, json_array());
    size_t i;
    enum err e = catalogue_public(c, &apis);
    if (e == ERR_OK)
        e = json_read(str_from(context), &ctx_v, NULL);
    if (e != ERR_OK)
        return e;
    json_array_foreach(apis, i, api)
    {
        entry_add(c, graph, datasets, offers, api);
    }
    const char *base = c->pf->settings->base_url, *name = c->pf->settings->brand_name;
    json_t *all = json_pack(
        "{s:o, s:s, s:[{s:s, s:s}, {s:s, s:s}], s:[{s:s, s:s}, {s:s, s:s}], s:{s:o, s:s, s:s}, "
        "s:O, s:O}",
        "@id", jstr(arena_printf(c->arena, "%s/catalogue", base)), "@type", "dcat:Catalog",
        "dct:title", "@value", arena_printf(c->arena, "%s : catalogue des données", name).p,
        "@language", "fr", "@value", arena_printf(c->arena, "%s: catalogue of data", name).p,
        "@language", "en", "dct:description", "@value",
        "Les données que les administrations s’échangent, et les interfaces qui les servent.",
        "@language", "fr", "@value",
        "The data that public bodies exchange, and the APIs that serve them.", "@language", "en",
        "dct:publisher", "@id", jstr(str_from(base)), "@type", "foaf:Agent", "foaf:name", name,
        "dcat:dataset", datasets, "dcat:service", offers);
    json_array_insert_new(graph, 0, all);
    json_t *doc = json_pack("{s:o, s:O}", "@context", ctx_v, "@graph", graph);
    struct str text = json_text(c->arena, json_own(&c->pool, doc));
    return ctx_text(c, 200, "application/ld+json", text);
}
