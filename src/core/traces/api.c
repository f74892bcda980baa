/* What services call: events in, their own events out. */
#include "core/traces/traces.h"

#include <unistd.h>
#include "base/clock.h"

static const struct fault f_event = {"TRC-422-EVENT", 422, "traces", "Event Not Readable"};
static const struct fault f_many = {"TRC-413-EVENTS", 413, "traces", "Too Many Events"};
static const struct fault f_query = {"TRC-422-QUERY", 422, "traces", "Search Not Understood"};

/* The client's id; .n 0: it was refused and answered. */
static enum err caller(struct ctx *c, struct str *id)
{
    json_t *out;
    json_t *args = json_own(&c->pool, json_object());
    enum err e = platform_call(c, "identity.authenticate", args, &out);
    *id = e == ERR_OK ? json_get_str(out, "client_id") : STR("");
    return e;
}

static enum err wrong_event(struct ctx *c, size_t at, const char *rule)
{
    c->fault_extra =
        json_pack("{s:I,s:s}", "event", (json_int_t)at, "rule", rule); /* the context's */
    return ctx_fail(c, &f_event, ERR_INVALID, str_from(rule));
}

/* Bodies over 64 KB lie in a file; the platform's ceiling holds for both. */
static enum err body_get(struct ctx *c, struct str *body)
{
    *body = c->rq->body;
    if (c->rq->body_fd < 0)
        return ERR_OK;
    char *p = arena_alloc(c->arena, c->rq->body_size);
    ssize_t n = pread(c->rq->body_fd, p, c->rq->body_size, 0);
    *body = str_of(p, c->rq->body_size);
    return n == (ssize_t)c->rq->body_size ? ERR_OK : ERR_IO;
}

static enum err take(struct ctx *c, const json_t *v, struct trace_event *list, size_t *n)
{
    const char *rule;
    if (*n == TRACE_BATCH_MAX)
        return ctx_fail(c, &f_many, ERR_LIMIT, STR("5,000 events a request at most"));
    if (trace_event_from_json(c->arena, v, clock_now_ms(), &list[*n], &rule) != ERR_OK)
        return wrong_event(c, *n, rule);
    ++*n;
    return ERR_OK;
}

static enum err take_text(struct ctx *c, struct str text, struct trace_event *list, size_t *n)
{
    struct json_fault fault;
    json_t *v;
    if (json_read(text, &v, &fault) != ERR_OK)
        return wrong_event(c, *n, "one JSON object");
    json_own(&c->pool, v);
    if (!json_is_array(v))
        return take(c, v, list, n);
    enum err e = ERR_OK;
    for (size_t i = 0; i < json_array_size(v) && e == ERR_OK; i++)
        e = take(c, json_array_get(v, i), list, n);
    return e;
}

static enum err body_read(struct ctx *c, struct str body, struct trace_event *list, size_t *n)
{
    struct str type = ctx_header(c, "Content-Type"), rest = body, line;
    enum err e = ERR_OK;
    *n = 0;
    if (!str_starts(type, STR("application/x-ndjson")))
        return take_text(c, body, list, n);
    while (rest.n && e == ERR_OK && str_split(&rest, '\n', &line))
        if (str_trim(line).n)
            e = take_text(c, str_trim(line), list, n);
    return e;
}

enum err traces_api_add(struct ctx *c)
{
    struct str id, body;
    size_t n;
    enum err e = caller(c, &id);
    if (e != ERR_OK || !id.n)
        return e;
    e = body_get(c, &body);
    if (e != ERR_OK)
        return e;
    struct trace_event *list = arena_array(c->arena, struct trace_event, TRACE_BATCH_MAX);
    e = body_read(c, body, list, &n);
    if (e == ERR_OK)
        e = trace_store(c, id, list, n);
    return e == ERR_OK ? ctx_json(c, 202, json_pack("{s:I}", "accepted", (json_int_t)n)) : e;
}

enum err traces_query_read(struct ctx *c, struct trace_query *q)
{
    struct str severity = ctx_query(c, "severity"), from = ctx_query(c, "from"),
               to = ctx_query(c, "to"), limit = ctx_query(c, "limit");
    uint64_t n = 50, level = 7;
    *q = (struct trace_query){.words = ctx_query(c, "q"), .severity = 7};
    bool good = !limit.n || (str_to_u64(limit, &n) && n >= 1 && n <= TRACE_FOUND_MAX);
    if (severity.n && !str_to_u64(severity, &level))
        for (level = 0; level < 8 && !str_eq_z(severity, trace_severity_names[level]);)
            level++;
    good &= level < 8;
    good &= !from.n || clock_rfc3339_read(from, &q->from_ms) ||
            clock_rfc3339_read(arena_printf(c->arena, STR_FMT ":00Z", STR_ARG(from)), &q->from_ms);
    good &= !to.n || clock_rfc3339_read(to, &q->to_ms) ||
            clock_rfc3339_read(arena_printf(c->arena, STR_FMT ":00Z", STR_ARG(to)), &q->to_ms);
    q->severity = (int)level;
    q->limit = (size_t)n;
    return good ? ERR_OK
                : ctx_fail(c, &f_query, ERR_INVALID,
                           STR("severity: 0 to 7 or a name; from, to: RFC 3339; limit: 1 to 500"));
}

enum err traces_api_list(struct ctx *c)
{
    struct trace_query q;
    struct trace_found *found;
    size_t n;
    struct str id;
    enum err e = caller(c, &id);
    if (e != ERR_OK || !id.n)
        return e;
    e = traces_query_read(c, &q);
    q.source = id;
    if (e == ERR_OK)
        e = trace_search(c, &q, &found, &n);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, trace_found_json(c, &found[i]));
    return ctx_json(c, 200, json_pack("{s:o}", "items", items));
}
