/* One step from a description to an API that is listed, documented, tried in the sandbox and open
 * to contracts. Nothing is written unless every rule that is an error holds. */
#include "core/catalogue/catalogue.h"

#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "platform/change.h"
#include "platform/hook.h"
#include "platform/org_mail.h"
#include "web/pages.h"
#include "sys/file.h"

enum { FIELDS_OF_CONTRACTS = 64 };

json_t *catalogue_check(struct ctx *c, struct str text)
{
    struct description d;
    struct json_fault fault = {0};
    const char *base = c->pf->settings->base_url;
    if (desc_read(text, &d, &fault) != ERR_OK)
        return json_own(&c->pool, report_fault_json(&fault, base));
    json_t *report = json_own(&c->pool, report_json(rules_run(c->arena, &d), base));
    json_object_set_new(report, "operations", json_integer((json_int_t)d.n_ops));
    json_object_set_new(report, "fields", json_integer((json_int_t)d.n_fields));
    desc_free(&d);
    return report;
}

enum err catalogue_body(struct ctx *c, struct str *out)
{
    const struct web_request *rq = c->rq;
    *out = rq->body;
    if (rq->body_fd < 0 || rq->body_size <= rq->body.n)
        return ERR_OK;
    if (rq->body_size > YAML_BYTES_MAX)
        return ERR_LIMIT;
    char *p = arena_alloc(c->arena, rq->body_size + 1);
    for (size_t at = 0; at < rq->body_size;) {
        ssize_t n = pread(rq->body_fd, p + at, rq->body_size - at, (off_t)at);
        if (n <= 0)
            return ERR_IO;
        at += (size_t)n;
    }
    *out = str_of(p, rq->body_size);
    return ERR_OK;
}

/* ---- what the description says of itself --------------------------------------------------------
 */
struct naming {
    struct str id, version, scope, origin, prefix, title_fr, title_en, summary_fr, summary_en;
    struct str adapter;
    const char *methods;
    int circle;
};

static struct str first_line(struct str s)
{
    ptrdiff_t end = str_find_char(s, '\n');
    s = end < 0 ? s : str_sub(s, 0, (size_t)end);
    size_t n = s.n > 500 ? 500 : s.n;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return str_trim(str_sub(s, 0, n));
}

/* "https://host:443/v1" into the gateway's origin and prefix. */
static void server_split(struct arena *a, struct str url, struct naming *n)
{
    ptrdiff_t at = str_find(url, STR("://"));
    if (at < 0) { /* "/v1": of wherever the origin is */
        n->prefix = url.n > 1 && url.p[0] == '/' ? url : STR("");
    } else {
        ptrdiff_t slash = str_find_char(str_after(url, (size_t)at + 3), '/');
        size_t end = slash < 0 ? url.n : (size_t)(at + 3 + slash);
        if (!n->origin.n)
            n->origin = arena_dup(a, str_sub(url, 0, end));
        n->prefix = str_after(url, end);
    }
    while (n->prefix.n && n->prefix.p[n->prefix.n - 1] == '/')
        n->prefix.n--;
    n->prefix = arena_dup(a, n->prefix);
}

static const char *methods_of(struct arena *a, const struct description *d)
{
    static const char *const all[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    struct str out = STR("");
    for (size_t m = 0; m < COUNT_OF(all); m++) {
        bool used = false;
        for (size_t i = 0; i < d->n_ops; i++)
            used |= strcasecmp(d->ops[i].method, all[m]) == 0;
        if (used)
            out = arena_printf(a, STR_FMT "%s%s", STR_ARG(out), out.n ? " " : "", all[m]);
    }
    return out.n ? out.p : "GET";
}

static struct str said(const json_t *info, const char *two, const char *lang, struct str otherwise)
{
    struct str s = json_get_str(json_get(info, two), lang);
    return s.n ? s : otherwise;
}

static void naming_read(struct arena *a, const struct description *d, const struct import_in *in,
                        struct naming *n)
{
    const json_t *info = json_get(d->root, "info");
    struct str title = first_line(json_get_str(info, "title"));
    struct str about =
        first_line(json_get_str(info, "summary").n ? json_get_str(info, "summary")
                                                   : json_get_str(info, "description"));
    struct str number = json_get_str(info, "version");
    *n = (struct naming){
        .id = json_get_str(info, "x-socle-id"), .origin = in->origin, .prefix = STR("")};
    if (!n->id.n)
        n->id = desc_slug(a, title);
    n->version = json_get_str(info, "x-socle-version");
    if (!n->version.n) { /* v and the major number */
        number = number.n && number.p[0] == 'v' ? str_after(number, 1) : number;
        ptrdiff_t dot = str_find_char(number, '.');
        n->version = arena_printf(a, "v" STR_FMT,
                                  STR_ARG(dot < 0 ? number : str_sub(number, 0, (size_t)dot)));
    }
    n->scope = json_get_str(info, "x-socle-scope");
    if (!n->scope.n) {
        char *p = arena_dupz(a, n->id);
        for (char *q = p; *q; q++)
            *q = *q == '-' ? '_' : *q;
        n->scope = str_from(p);
    }
    n->title_fr = said(info, "x-socle-title", "fr", title);
    n->title_en = said(info, "x-socle-title", "en", title);
    n->summary_fr = said(info, "x-socle-summary", "fr", about);
    n->summary_en = said(info, "x-socle-summary", "en", about);
    n->adapter = json_get_str(info, "x-socle-adapter");
    if (!n->adapter.n)
        n->adapter = STR("json");
    server_split(a, json_get_str(json_array_get(json_get(d->root, "servers"), 0), "url"), n);
    n->methods = methods_of(a, d);
    n->circle = in->circle ? in->circle : (int)json_get_i64(info, "x-socle-circle", 3);
}

static json_t *about_json(const struct description *d)
{
    static const char *const kept[][2] = {{"availability", "x-socle-availability"},
                                          {"responsible", "x-socle-responsible"},
                                          {"retention", "x-socle-retention"},
                                          {"support", "x-socle-support"},
                                          {"terms", "termsOfService"},
                                          {"topic", "x-socle-topic"},
                                          {"health", "x-socle-health"},
                                          {"reference", "x-socle-reference"},
                                          {"number", "version"}};
    const json_t *info = json_get(d->root, "info"), *contact = json_get(info, "contact");
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (json_get(info, kept[i][1]))
            json_object_set(v, kept[i][0], json_get(info, kept[i][1]));
    const json_t *basis = json_get(info, "x-socle-legal-basis");
    if (basis)
        json_object_set(v, "legal_basis", (json_t *)basis);
    const char *who = json_get_z(contact, "email", json_get_z(contact, "url", NULL));
    if (who)
        json_object_set_new(v, "contact", json_string(who));
    const char *licence = json_get_z(json_get(info, "license"), "name", NULL);
    if (licence)
        json_object_set_new(v, "licence", json_string(licence));
    const char *licence_url = json_get_z(json_get(info, "license"), "url", NULL);
    if (licence_url)
        json_object_set_new(v, "licence_url", json_string(licence_url));
    return v;
}

/* ---- writing ------------------------------------------------------------------------------------
 */
struct import_job {
    const struct import_in *in;
    const struct description *d;
    const struct naming *n;
    struct str about, digest, topic;
    const char *format;
    struct str *concepts;
    int warnings;
    int64_t now_ms, sunset_ms;
    bool deprecated;
    struct str told;         /* members of the webhooks' events */
    const json_t *consumers; /* organisations with a contract on it */
    struct import_terms *terms;
    struct mail_sealed *mails; /* one for each of them, where a version ends */
};

static enum err fields_write(struct db_conn *db, const struct import_job *job)
{
    enum err e = db_exec(db, "DELETE FROM catalogue_field WHERE api = $1 AND version = $2", "ss",
                         job->n->id, job->n->version);
    for (size_t i = 0; i < job->d->n_fields && e == ERR_OK; i++) {
        const struct desc_field *f = &job->d->fields[i];
        e = db_exec(db,
                    "INSERT INTO catalogue_field(api, version, position, path, type, format, "
                    "label_fr, label_en, concept, sensitivity, leaf, readable, writable) "
                    "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                    "ssiszzsssiiii", job->n->id, job->n->version, (int64_t)i, f->path, f->type,
                    f->format, f->label_fr, f->label_en, job->concepts[i],
                    (int64_t)(f->sensitivity < 0 ? 0 : f->sensitivity), (int64_t)f->leaf,
                    (int64_t)f->read, (int64_t)f->written);
    }
    return e;
}

/* One body is told once: in its list of news, and at its address. */
static enum err news_one(struct db_conn *db, const struct import_job *job, struct str org,
                         const struct mail_sealed *mail)
{
    int64_t changed;
    const char *kind = job->deprecated ? "deprecated" : "published";
    enum err e = db_exec_count(
        db, &changed,
        "INSERT INTO catalogue_news(org_id, api, version, kind, topic, at_ms) VALUES($1, $2, $3, "
        "$4, $5, $6) ON CONFLICT (org_id, api, version, kind) DO NOTHING",
        "ssszsi", org, job->n->id, job->n->version, kind, job->topic, job->now_ms);
    if (e != ERR_OK || !changed)
        return e;
    if (mail)
        e = mail_queue(db, mail, job->now_ms);
    return e == ERR_OK
               ? hook_queue(db, org,
                            job->deprecated ? "catalogue.deprecated" : "catalogue.published",
                            job->told, job->now_ms)
               : e;
}

/* Those who asked to be told of new sources on this topic, or on all; and of a version that ends,
 * those who have a contract on it. */
static enum err news_write(struct db_conn *db, const struct import_job *job)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    enum err e = db_query(db, &a, &r,
                          "SELECT DISTINCT org_id FROM catalogue_follower WHERE topic = '' OR "
                          "topic = $1",
                          "s", job->topic);
    for (size_t i = 0; e == ERR_OK && job->deprecated && i < json_array_size(job->consumers); i++)
        e = news_one(db, job, str_from(json_string_value(json_array_get(job->consumers, i))),
                     &job->mails[i]);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        e = news_one(db, job, db_str(&r, i, 0), NULL);
    arena_free(&a);
    return e;
}

static enum err import_closure(struct db_conn *db, void *arg)
{
    const struct import_job *job = arg;
    bool fresh = false;
    enum err e = db_exec(
        db,
        "INSERT INTO catalogue_api(api, version, org_id, format, body, digest, about, imported_at, "
        "deprecated_at, sunset_at, errors, warnings) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) "
        "ON CONFLICT (api, version) DO UPDATE SET org_id = $3, format = $4, body = $5, digest = "
        "$6, "
        "about = $7, imported_at = $8, deprecated_at = $9, sunset_at = $10, warnings = $11",
        "ssszbssiiii", job->n->id, job->n->version, job->in->org_id, job->format, job->in->text,
        job->digest, job->about, job->now_ms, job->deprecated ? job->now_ms : (int64_t)0,
        job->sunset_ms, (int64_t)job->warnings);
    if (e == ERR_OK)
        e = fields_write(db, job);
    if (e == ERR_OK)
        e = use_terms_write(db, job->terms, job->n->id, job->now_ms, &fresh);
    for (size_t i = 0; e == ERR_OK && fresh && i < json_array_size(job->consumers); i++)
        e = hook_queue(db, str_from(json_string_value(json_array_get(job->consumers, i))),
                       "catalogue.terms", job->told, job->now_ms);
    if (e == ERR_OK)
        e = news_write(db, job);
    /* The gateway holds requests against it. */
    return e == ERR_OK ? change_add(db, "config", job->n->id, 0) : e;
}

/* A datum's name in the vocabulary: said by the description, else its meaning, so that the same
 * words of two sources are one datum. */
static struct str *concepts_of(struct arena *a, const struct description *d)
{
    struct str *list = arena_array(a, struct str, d->n_fields + 1);
    for (size_t i = 0; i < d->n_fields; i++) {
        const struct desc_field *f = &d->fields[i];
        list[i] = *f->concept ? desc_slug(a, str_from(f->concept))
                              : desc_slug(a, f->label_fr.n ? f->label_fr : f->path);
    }
    return list;
}

static int64_t day_ms(struct str day)
{
    struct tm tm = {0};
    char z[11] = {0};
    if (day.n < 10)
        return 0;
    memcpy(z, day.p, 10);
    return strptime(z, "%Y-%m-%d", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static json_t *declaration(const struct import_job *job)
{
    const struct naming *n = job->n;
    json_t *fields = json_array();
    for (size_t i = 0; i < job->d->n_fields; i++) {
        const struct desc_field *f = &job->d->fields[i];
        if (!f->leaf || !f->read || json_array_size(fields) == FIELDS_OF_CONTRACTS)
            continue;
        struct str fr = f->label_fr.n ? f->label_fr : f->path;
        struct str en = f->label_en.n ? f->label_en : f->path;
        json_array_append_new(fields,
                              json_pack("{s:s%, s:{s:s%, s:s%}, s:i}", "path", f->path.p, f->path.n,
                                        "label", "fr", fr.p, fr.n, "en", en.p, en.n, "sensitivity",
                                        f->sensitivity < 0 ? 0 : f->sensitivity));
    }
    return json_pack(
        "{s:o, s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:s, s:i, s:o, s:I, s:I}",
        "id", jstr(n->id), "version", jstr(n->version), "org_id", jstr(job->in->org_id), "title",
        "fr", jstr(n->title_fr), "en", jstr(n->title_en), "summary", "fr", jstr(n->summary_fr),
        "en", jstr(n->summary_en), "scope", jstr(n->scope), "origin", jstr(n->origin), "prefix",
        jstr(n->prefix), "adapter", jstr(n->adapter), "methods", n->methods, "circle", n->circle,
        "fields", fields, "deprecated_at", (json_int_t)(job->deprecated ? job->now_ms : 0),
        "sunset_at", (json_int_t)job->sunset_ms);
}

static enum err refuse(json_t *out, const char *rule, const char *detail, enum err e)
{
    json_object_set_new(out, "refused", json_pack("{s:s, s:s}", "rule", rule, "detail", detail));
    return e;
}

/* To each consumer of a version that ends. A command has not read the texts yet. */
static void mails_make(struct ctx *c, struct import_job *job, const json_t *v)
{
    size_t n = json_array_size(job->consumers);
    job->mails = arena_array(c->arena, struct mail_sealed, n);
    if (pages_load() != ERR_OK)
        return;
    struct str subject = pages_text(c->arena, "catalogue", "mail.deprecated.subject", "fr", v);
    struct str text = pages_text(c->arena, "catalogue", "mail.deprecated", "fr", v);
    text = arena_printf(c->arena, STR_FMT "\n\n%s\n", STR_ARG(text), json_get_z(v, "url", ""));
    for (size_t i = 0; i < n; i++) {
        struct str org = str_from(json_string_value(json_array_get(job->consumers, i)));
        enum err e = org_mail_seal(c, org, "catalogue.deprecated", subject, text, &job->mails[i]);
        if (e != ERR_OK) { /* it is told all the same, by the other ways */
            log_warn("catalogue_mail", "error", err_name(e));
            job->mails[i].data = STR("");
        }
    }
}

/* Whom an end concerns, and what they are told. */
static void told_fill(struct ctx *c, struct import_job *job)
{
    json_t *out,
        *args = json_pack("{s:o,s:o}", "api", jstr(job->n->id), "version", jstr(job->n->version));
    if (platform_call(c, "exchange.consumers", json_own(&c->pool, args), &out) == ERR_OK)
        job->consumers = json_get(out, "items");
    json_t *v = json_pack(
        "{s:o,s:o,s:o,s:{s:o,s:o},s:o}", "api", jstr(job->n->id), "version", jstr(job->n->version),
        "topic", jstr(job->topic), "title", "fr", jstr(job->n->title_fr), "en",
        jstr(job->n->title_en), "url",
        jstr(arena_printf(c->arena, "%s/catalogue/" STR_FMT "/" STR_FMT, c->pf->settings->base_url,
                          STR_ARG(job->n->id), STR_ARG(job->n->version))));
    if (job->sunset_ms)
        json_object_set_new(v, "sunset_at", json_integer(job->sunset_ms));
    if (job->sunset_ms)
        json_object_set_new(v, "sunset",
                            jstr(clock_in_words(c->arena, job->sunset_ms, "fr", false)));
    job->told = json_text(c->arena, json_own(&c->pool, v));
    if (job->deprecated && json_array_size(job->consumers))
        mails_make(c, job, v);
}

/* Another body's API keeps its name; a circle asks for its evidence. */
static enum err allowed(struct ctx *c, const struct import_in *in, const struct naming *n,
                        const json_t *about, json_t *out)
{
    struct catalogue_entry entry;
    json_t *missing, *apis, *v;
    size_t i;
    if (!n->id.n)
        return refuse(out, "info", "the title gives no name: say x-socle-id", ERR_DENIED);
    if (!str_starts(n->origin, STR("http://")) && !str_starts(n->origin, STR("https://")))
        return refuse(out, "origin", "servers[0].url is not a whole address: give the origin",
                      ERR_DENIED);
    enum err e = platform_call(c, "exchange.apis", NULL, &apis);
    if (e != ERR_OK)
        return e;
    json_array_foreach(json_get(apis, "items"), i, v)
    {
        bool mine = str_eq(json_get_str(json_get(v, "provider"), "id"), in->org_id);
        if (str_eq(json_get_str(v, "id"), n->id) && !mine && !in->anyones)
            return refuse(out, "owner", "this name is another body's API", ERR_DENIED);
    }
    e = catalogue_entry_get(c, n->id, n->version, false, &entry);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    e = circle_evidence(c, in->org_id, about, true, n->circle, &missing);
    if (e == ERR_DENIED)
        return refuse(out, "circle", "a private body provides in the third circle only", e);
    if (e != ERR_OK)
        return refuse(out, "circle", "a circle is 1, 2 or 3", ERR_DENIED);
    if (json_array_size(missing)) {
        refuse(out, "circle", "evidence for this circle is missing", ERR_DENIED);
        json_object_set(json_get(out, "refused"), "missing", missing);
        return ERR_DENIED;
    }
    return ERR_OK;
}

/* The gateway first: between the two writes, or when the first is refused, an API is one that
 * nobody documented, which is never public; the other way round it would be public without a route.
 */
static enum err publish(struct ctx *c, struct import_job *job)
{
    struct act act;
    json_t *out, *v = declaration(job);
    struct act_info info = {.kind = "catalogue.api.imported",
                            .actor = c->session ? c->session->subject : STR("operator"),
                            .object = arena_printf(c->arena, STR_FMT "/" STR_FMT,
                                                   STR_ARG(job->n->id), STR_ARG(job->n->version))};
    enum err e = platform_call(c, "exchange.api_put", v, &out);
    json_decref(v);
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, import_closure, job, &act, 1) : e;
}

static enum err import_read(struct ctx *c, const struct import_in *in, const struct description *d,
                            int warnings, json_t *out)
{
    struct naming n;
    uint8_t digest[SHA256_LEN];
    const json_t *info = json_get(d->root, "info");
    naming_read(c->arena, d, in, &n);
    json_t *about = json_own(&c->pool, about_json(d));
    enum err e = allowed(c, in, &n, about, out);
    if (e != ERR_OK)
        return e;
    sha256(in->text.p, in->text.n, digest);
    struct str head = str_trim(in->text);
    struct import_job job = {.in = in,
                             .d = d,
                             .n = &n,
                             .about = json_text(c->arena, about),
                             .now_ms = clock_now_ms(),
                             .digest = codec_to_hex(c->arena, digest, sizeof digest),
                             .format = head.n && head.p[0] == '{' ? "json" : "yaml",
                             .warnings = warnings,
                             .concepts = concepts_of(c->arena, d),
                             .topic = json_get_str(info, "x-socle-topic"),
                             .deprecated = json_get_bool(info, "x-socle-deprecated", false),
                             .sunset_ms = day_ms(json_get_str(info, "x-socle-sunset"))};
    if (!job.topic.p)
        job.topic = STR("");
    struct import_terms terms = {.org_id = in->org_id,
                                 .version = n.version,
                                 .title_fr = n.title_fr,
                                 .title_en = n.title_en,
                                 .about = about};
    job.terms = &terms;
    e = use_terms_make(c, &terms, json_get(info, "x-socle-terms"));
    if (e == ERR_INVALID)
        return refuse(out, "terms", "x-socle-terms is a text, or {fr, en}, of 20,000 bytes at most",
                      ERR_DENIED);
    if (e != ERR_OK)
        return e;
    told_fill(c, &job);
    e = publish(c, &job);
    if (e != ERR_OK)
        return e == ERR_INVALID
                   ? refuse(out, "declaration",
                            "a name, the origin or the prefix is not acceptable", ERR_DENIED)
                   : e;
    const char *base = c->pf->settings->base_url;
    json_object_set_new(out, "published", json_true());
    json_object_set_new(out, "api", jstr(n.id));
    json_object_set_new(out, "version", jstr(n.version));
    json_object_set_new(out, "scope", jstr(n.scope));
    static const char *const places[][2] = {
        {"url", "catalogue"}, {"sandbox", "sandbox"}, {"gateway", "gw"}};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        json_object_set_new(out, places[i][0],
                            jstr(arena_printf(c->arena, "%s/%s/" STR_FMT "/" STR_FMT, base,
                                              places[i][1], STR_ARG(n.id), STR_ARG(n.version))));
    return ERR_OK;
}

enum err catalogue_import(struct ctx *c, const struct import_in *in, json_t **out)
{
    struct description d;
    struct json_fault fault = {0};
    const char *base = c->pf->settings->base_url;
    *out = json_own(&c->pool, json_pack("{s:b}", "published", 0));
    if (desc_read(in->text, &d, &fault) != ERR_OK) {
        json_object_set_new(*out, "report", report_fault_json(&fault, base));
        return ERR_INVALID;
    }
    const struct check *k = rules_run(c->arena, &d);
    json_object_set_new(*out, "report", report_json(k, base));
    enum err e = k->errors ? ERR_INVALID : import_read(c, in, &d, (int)k->warnings, *out);
    json_object_set_new(*out, "operations", json_integer((json_int_t)d.n_ops));
    json_object_set_new(*out, "fields", json_integer((json_int_t)d.n_fields));
    desc_free(&d);
    return e;
}

/* ---- calls --------------------------------------------------------------------------------------
 */
/* catalogue.import: {text, org_id, origin, circle}: the operator's; the outcome is in the result.
 */
enum err catalogue_call_import(struct ctx *c, const json_t *args, json_t **out)
{
    struct import_in in = {.text = json_get_str(args, "text"),
                           .org_id = json_get_str(args, "org_id"),
                           .origin = json_get_str(args, "origin"),
                           .circle = (int)json_get_i64(args, "circle", 0),
                           .anyones = true};
    enum err e = catalogue_import(c, &in, out);
    json_incref(*out); /* the caller's pool takes it once more */
    return e == ERR_INVALID || e == ERR_DENIED ? ERR_OK : e;
}

enum err catalogue_call_check(struct ctx *c, const json_t *args, json_t **out)
{
    *out = json_incref(catalogue_check(c, json_get_str(args, "text")));
    return ERR_OK;
}
