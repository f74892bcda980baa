/* Once only: what the State knows is fetched, not asked. The sources are reached as any service
 * reaches them: through the gateway, with the person's own short token, under the contract and the
 * consent it carries. */
#include "commons/procedures/procedures.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "web/client.h"

/* A member by a path of names joined by '.'; NULL when absent. */
static const json_t *at_path(const json_t *doc, struct str path)
{
    struct str part;
    while (doc && str_split(&path, '.', &part)) {
        char name[64];
        if (part.n >= sizeof name)
            return NULL;
        memcpy(name, part.p, part.n);
        name[part.n] = '\0';
        doc = json_object_get(doc, name);
    }
    return doc;
}

static struct str scalar(struct arena *a, const json_t *v)
{
    if (json_is_string(v))
        return arena_dup(a, str_of(json_string_value(v), json_string_length(v)));
    if (json_is_integer(v))
        return arena_printf(a, "%lld", (long long)json_integer_value(v));
    return STR("");
}

/* Several members joined by a blank: "14" and "rue des Capucins". */
static struct str joined(struct arena *a, const json_t *doc, const json_t *paths)
{
    struct str out = STR("");
    size_t i;
    json_t *p;
    json_array_foreach(paths, i, p)
    {
        struct str v = scalar(a, at_path(doc, str_from(json_string_value(p))));
        if (v.n)
            out = out.n ? arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(out), STR_ARG(v)) : v;
    }
    return out;
}

/* "2016-06-21" as "21/06/2016": read alike in both languages. */
static struct str day_first(struct arena *a, struct str v)
{
    bool iso = v.n == 10 && v.p[4] == '-' && v.p[7] == '-';
    return iso ? arena_printf(a, "%.2s/%.2s/%.4s", v.p + 8, v.p + 5, v.p) : v;
}

/* A list of things, one text each: "Inès (21/06/2016), Élie (08/02/2019)". */
static struct str each(struct arena *a, const json_t *list, const json_t *names)
{
    struct str out = STR("");
    size_t i;
    json_t *item;
    const char *first = json_string_value(json_array_get(names, 0));
    const char *second = json_string_value(json_array_get(names, 1));
    json_array_foreach((json_t *)list, i, item)
    {
        struct str v = scalar(a, json_object_get(item, first ? first : ""));
        struct str w = second ? day_first(a, scalar(a, json_object_get(item, second))) : STR("");
        if (w.n)
            v = arena_printf(a, STR_FMT " (" STR_FMT ")", STR_ARG(v), STR_ARG(w));
        out = out.n ? arena_printf(a, STR_FMT ", " STR_FMT, STR_ARG(out), STR_ARG(v)) : v;
    }
    return out;
}

static struct str from_document(struct arena *a, const json_t *doc, const json_t *from)
{
    const json_t *paths = json_get(from, "paths"), *names = json_get(from, "each");
    if (paths)
        return joined(a, doc, paths);
    const json_t *v = at_path(doc, json_get_str(from, "path"));
    return names ? each(a, v, names) : scalar(a, v);
}

/* A commune's code becomes its name, from the register. */
static json_t *value_of(struct ctx *c, const json_t *field, struct str text)
{
    json_t *row, *args, *value = json_object();
    json_object_set_new(value, "v", json_stringn(text.p, text.n));
    if (strcmp(json_get_z(field, "type", ""), "commune") != 0)
        return value;
    args = json_pack("{s:s,s:s#}", "register", "communes", "key", text.p, (int)text.n);
    if (platform_call(c, "registers.find", args, &row) == ERR_OK)
        json_object_set(value, "label", json_get(row, "label"));
    json_decref(args);
    return value;
}

struct source {
    const char *id;
    json_t *def, *doc; /* doc NULL: not to be had */
};

static void fetch(struct ctx *c, struct dossier *d, struct source *s)
{
    struct client_answer answer;
    struct str token = json_get_str(c->session->data, "access_token");
    struct http_header h[] = {
        {STR("Authorization"), arena_printf(c->arena, "Bearer " STR_FMT, STR_ARG(token))},
        {STR("Accept"), STR("application/json")},
        {STR("traceparent"), arena_printf(c->arena, "00-%s-%.16s-01", c->trace_id, c->trace_id)},
    };
    struct client_call call = {.url = portal_url(c, json_get_z(s->def, "path", "/")),
                               .headers = h,
                               .n_headers = COUNT_OF(h),
                               .timeout_ms = 5000,
                               .allow_inside = true};
    enum err e = client_send(c->arena, &call, &answer);
    json_t *note = json_object();
    json_object_set_new(note, "status", json_integer(e == ERR_OK ? answer.status : 0));
    if (e == ERR_OK && answer.status == 200 && json_read(answer.body, &s->doc, NULL) == ERR_OK) {
        json_own(&c->pool, s->doc);
        struct str entry = client_header(&answer, "Socle-Entry");
        json_object_set_new(note, "entry", json_stringn(entry.p ? entry.p : "", entry.n));
    } else {
        json_t *problem = NULL;
        if (e == ERR_OK && json_read(answer.body, &problem, NULL) == ERR_OK)
            json_object_set(note, "code", json_get(problem, "code"));
        json_decref(problem);
        log_info("source_not_had", "trace", c->trace_id, "source", s->id, "error", err_name(e),
                 "status", LOG_NUM(e == ERR_OK ? answer.status : 0));
    }
    json_object_set_new(note, "ok", json_boolean(s->doc != NULL));
    json_object_set_new(json_get(d->data, "sources"), s->id, note);
}

static void fill(struct ctx *c, struct dossier *d, const json_t *field,
                 const struct source *sources, size_t n)
{
    const json_t *from = json_get(field, "from");
    const char *name = json_get_z(field, "name", "");
    const char *claim = json_get_z(from, "claim", NULL), *source = json_get_z(from, "source", NULL);
    struct str text = STR("");
    json_t *value, *old = dossier_value(d, name);
    if (old && (!json_get(old, "source") || json_get_bool(old, "corrected", false)))
        return; /* hers */
    if (claim) {
        text = scalar(c->arena, json_get(json_get(c->session->data, "claims"), claim));
        if (!text.n)
            return;
        value = value_of(c, field, text);
        json_object_set_new(value, "source", json_string("identity"));
        json_object_set_new(value, "at", json_integer(c->session->created_ms));
        dossier_set(d, name, value);
        return;
    }
    for (size_t i = 0; source && i < n; i++) {
        if (strcmp(sources[i].id, source) != 0 || !sources[i].doc)
            continue;
        text = from_document(c->arena, sources[i].doc, from);
        if (!text.n)
            return;
        value = value_of(c, field, text);
        json_object_set_new(value, "source", json_string(source));
        json_object_set(value, "date",
                        json_get(sources[i].doc, json_get_z(sources[i].def, "date", "")));
        dossier_set(d, name, value);
    }
}

void prefill(struct ctx *c, struct dossier *d)
{
    struct source sources[8];
    size_t n = 0, i, k;
    json_t *def, *step, *field;
    json_array_foreach(json_get(d->procedure->def, "sources"), i, def)
    {
        if (n == COUNT_OF(sources))
            break;
        sources[n] = (struct source){json_get_z(def, "id", ""), def, NULL};
        fetch(c, d, &sources[n++]);
    }
    json_array_foreach(json_get(d->procedure->form, "steps"), i, step)
    {
        json_array_foreach(json_get(step, "fields"), k, field)
        {
            fill(c, d, field, sources, n);
        }
    }
}
