/* The catalogue of APIs and data: what its files share. Others meet it by platform_call
 * (docs/CALLS.md). */
#ifndef CATALOGUE_CATALOGUE_H
#define CATALOGUE_CATALOGUE_H

#include "core/catalogue/description.h"
#include "core/catalogue/rules.h"
#include "platform/ctx.h"

enum { CATALOGUE_MIGRATIONS = 4 };
extern const struct db_migration catalogue_migrations[CATALOGUE_MIGRATIONS];

/* ---- import.c
 * ------------------------------------------------------------------------------------ */
struct import_in {
    struct str text;
    struct str org_id; /* whose API it becomes */
    struct str origin; /* where it answers; "" : servers[0] of the description says it */
    int circle;        /* 0: x-socle-circle, else 3 */
    bool anyones;      /* may replace another body's API: the operator alone */
};
/* Entry, documentation, data and sandbox in one step; *out is {published, api, version, url,
 * sandbox, gateway, report{...}, refused {rule, detail}}, owned by the context. ERR_INVALID: errors
 * in the report; ERR_DENIED: refused says why. */
enum err catalogue_import(struct ctx *c, const struct import_in *in, json_t **out) MUST_CHECK;
/* The report alone (rules.h), owned by the context. */
json_t *catalogue_check(struct ctx *c, struct str text);
/* A request's whole body, also one that was spooled. ERR_LIMIT over YAML_BYTES_MAX. */
enum err catalogue_body(struct ctx *c, struct str *out) MUST_CHECK;

/* ---- use_terms.c
 * --------------------------------------------------------------------------------- */
struct import_terms {
    struct str org_id, version, title_fr, title_en;
    const json_t *about;
    struct str fr, en, digest; /* made */
};
/* said: x-socle-terms, a text or {fr, en}; NULL: the common ones. ERR_INVALID: too long, or none.
 */
enum err use_terms_make(struct ctx *c, struct import_terms *in, const json_t *said) MUST_CHECK;
/* Inside a closure: kept under the next number where they are others than the last. *fresh: they
 * take the place of some. */
enum err use_terms_write(struct db_conn *db, const struct import_terms *in, struct str api,
                         int64_t now_ms, bool *fresh) MUST_CHECK;
/* use_terms {number, when, url} of the newest, for an API's page. */
void use_terms_show(struct ctx *c, json_t *page, struct str api, struct str version);
call_handler use_terms_call;
route_handler page_use_terms, api_use_terms;

/* ---- store.c
 * ------------------------------------------------------------------------------------- */
/* What the catalogue knows beside exchange.apis, of one API's version. */
struct catalogue_entry {
    struct str api, version, org_id, format, text, digest;
    json_t *about; /* {contact, licence, terms, availability, responsible, retention,
                      legal_basis{fr,en}}; the context's */
    int64_t imported_ms, deprecated_ms, sunset_ms;
    int errors, warnings;
};
enum err catalogue_entry_get(struct ctx *c, struct str api, struct str version, bool with_text,
                             struct catalogue_entry *out) MUST_CHECK;

/* A stored description, read once and shared by threads: give it back. */
struct held {
    struct description d;
    struct str digest;
    unsigned users;
    uint64_t used_at;
    struct arena arena;
};
enum err held_get(struct ctx *c, struct str api, struct str version, struct held **out) MUST_CHECK;
void held_give(struct held *h);

/* All of exchange.apis with what the catalogue knows added: documented (bool), deprecated_at,
 * sunset_at, availability, errors, warnings, circle_key, url ...; the context's. */
enum err catalogue_apis(struct ctx *c, json_t **items) MUST_CHECK;
/* Those that are documented: what nobody described is on the gateway at most, never public. */
enum err catalogue_public(struct ctx *c, json_t **items) MUST_CHECK;
/* And those that are not: for the operator. */
enum err catalogue_undocumented(struct ctx *c, json_t **items) MUST_CHECK;

/* ---- circles.c
 * ------------------------------------------------------------------------------------ */
/* May that body's API stand in that circle? *missing (the context's): names of the evidence that is
 * not there. ERR_DENIED: a private body is no provider of the core or the commons. */
enum err circle_evidence(struct ctx *c, struct str org_id, const json_t *about, bool documented,
                         int circle, json_t **missing) MUST_CHECK;
enum err circle_call_decide(struct ctx *c, const json_t *args, json_t **out);
enum err circle_call_proposals(struct ctx *c, const json_t *args, json_t **out);
enum err circle_history(struct ctx *c, struct str api, json_t **items) MUST_CHECK;
void circle_tick(struct platform *pf, int64_t now_ms);

/* ---- data.c, find.c, news.c
 * ------------------------------------------------------------------------ */
/* [{id, label{fr,en}, type, format, sensitivity, producers: [...], calls ...}]; the context's. */
enum err data_list(struct ctx *c, json_t **items) MUST_CHECK;
enum err find_all(struct ctx *c, struct str q, json_t **out) MUST_CHECK;

/* ---- what is answered
 * ------------------------------------------------------------------------------ */
call_handler catalogue_call_apis, catalogue_call_import, catalogue_call_conform,
    catalogue_call_check, catalogue_call_search, catalogue_call_digests, catalogue_call_operations,
    data_call_list;
call_handler news_call_follow, news_call_list, news_call_departed, rates_call, system_call_put;
route_handler page_catalogue, page_api, page_version, page_data, page_datum, page_rules, page_rule;
route_handler page_rates, page_publish, page_publish_post, page_operator;
route_handler page_rules_post;
route_handler api_publish, api_check, api_list, api_one, api_data, api_search, api_rules;
route_handler api_description, api_news, api_follow, api_rates, dcat_jsonld;
route_handler sandbox_answer;

/* ---- samples.c
 * -------------------------------------------------------------------------------------- */
/* [{name, language, code}] of an operation, against the sandbox; the caller owns it. */
json_t *samples_of(struct arena *a, const struct description *d, const struct desc_op *op,
                   const char *base_url);

/* ---- components.c
 * ----------------------------------------------------------------------------------- */
/* [{circle, name, components: [{id, name, what, state, url}]}]; the context's. */
enum err circles_all(struct ctx *c, json_t **out) MUST_CHECK;
/* Of publiccode.yml, or of an OpenAPI description: which duties hold. ERR_INVALID: it cannot be
 * read, *out says where. */
enum err component_check(struct ctx *c, struct str text, json_t **out) MUST_CHECK;
call_handler component_call_check;
route_handler page_circles, api_circles, page_component, page_component_post, api_component;

/* once_only.c: {holds, fields, items: [{field, label, datum, sources}]}; the context's.
 * ERR_INVALID: not JSON. */
enum err once_only_check(struct ctx *c, struct str text, json_t **out) MUST_CHECK;
call_handler once_only_call;
route_handler api_once_only, page_once_only, page_once_only_post;

json_t *type_key(const char *type); /* "type.string": a text */
json_t *jstr(struct str s);         /* of UTF-8; "" for anything else */

#endif
