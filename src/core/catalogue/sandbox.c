/* /sandbox/{api}/{version}/...: what the API would answer, from its description alone. Where a
 * contract is named, the same filter as the gateway's cuts the answer down; refusals have the
 * gateway's codes. No token is asked for: nothing here is anybody's. */
#include "core/catalogue/catalogue.h"

#include "data/jsonfilter.h"

static const struct fault f_route = {"EXC-404-ROUTE", 404, "catalogue",
                                     "There is no such API or version here"};
static const struct fault f_path = {"CAT-404-PATH", 404, "catalogue",
                                    "The description has no such path"};
static const struct fault f_method = {"EXC-405-METHOD", 405, "catalogue",
                                      "The method is not open on this API"};
static const struct fault f_contract = {"EXC-403-CONTRACT", 403, "catalogue",
                                        "No active contract covers this call"};
static const struct fault f_request = {"EXC-422-REQUEST", 422, "catalogue",
                                       "The provider refuses the request"};

struct wanted {
    struct ctx *c;
    struct str missing;
};

static void param_there(void *arg, const json_t *p)
{
    struct wanted *w = arg;
    struct str name = json_get_str(p, "name"), in = json_get_str(p, "in");
    if (!json_get_bool(p, "required", false) || w->missing.n || !name.n)
        return;
    char *z = arena_dupz(w->c->arena, name);
    if ((str_eq_z(in, "query") && !ctx_query(w->c, z).p) ||
        (str_eq_z(in, "header") && !ctx_header(w->c, z).p))
        w->missing = name;
}

/* "Prefer: code=404" asks for that status. */
static int status_asked(struct ctx *c)
{
    struct str prefer = ctx_header(c, "Prefer");
    ptrdiff_t at = prefer.p ? str_find(prefer, STR("code=")) : -1;
    uint64_t n;
    return at >= 0 && str_to_u64(str_sub(prefer, (size_t)at + 5, 3), &n) ? (int)n : 0;
}

/* The contract's fields, as the gateway would let them through. */
static enum err filtered(struct ctx *c, struct str contract, struct str *body)
{
    struct str paths[JSON_FILTER_PATHS], part;
    size_t n = 0;
    json_t *k, *args = json_pack("{s:o}", "id", jstr(contract));
    struct json_filter *filter;
    struct buf out;
    enum err e = platform_call(c, "exchange.contract", args, &k);
    json_decref(args);
    const char *state = e == ERR_OK ? json_get_z(k, "state", "") : "";
    bool fits = e == ERR_OK && str_eq(json_get_str(k, "api"), ctx_path(c, "api")) &&
                str_eq(json_get_str(k, "version"), ctx_path(c, "version")) &&
                (strcmp(state, "active") == 0 || strcmp(state, "sandbox") == 0);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && !fits))
        return ctx_fail(c, &f_contract, ERR_DENIED, contract);
    struct str rest = json_get_str(k, "fields");
    if (e != ERR_OK || str_eq_z(rest, "*"))
        return e;
    while (rest.n && n < JSON_FILTER_PATHS && str_split(&rest, ' ', &part))
        if (part.n)
            paths[n++] = part;
    e = json_filter_new(paths, n, &filter);
    if (e != ERR_OK)
        return e;
    buf_init(&out, 4 << 20);
    e = json_filter_run(filter, *body, &out, NULL, NULL);
    if (e == ERR_OK)
        *body = arena_dup(c->arena, buf_str(&out));
    buf_free(&out);
    json_filter_free(filter);
    return e;
}

static enum err answer(struct ctx *c, const struct description *d, const struct desc_op *op)
{
    int status = status_asked(c), real;
    const char *type = "application/json";
    struct wanted w = {c, STR("")};
    desc_params(d, op, param_there, &w);
    if (w.missing.n && !status)
        return ctx_fail(c, &f_request, ERR_INVALID,
                        arena_printf(c->arena, "the parameter \"" STR_FMT "\" is required",
                                     STR_ARG(w.missing)));
    const json_t *found = desc_answer(d, op->op, status, &real);
    if (!found) {
        found = desc_ref(d, json_get(json_get(op->op, "responses"), "default"));
        real = status ? status : 200;
    }
    const json_t *media = desc_media(d, found, &type);
    web_header(c->rs, "Socle-Sandbox", STR("true"));
    if (!media)
        return ctx_text(c, real < 200 || real > 599 ? 204 : real, "text/plain; charset=utf-8",
                        STR(""));
    json_t *v = desc_example(d, media);
    struct str body = json_text(c->arena, v);
    json_decref(v);
    struct str contract = ctx_header(c, "Socle-Contract");
    if (!contract.p)
        contract = ctx_query(c, "contract");
    enum err e = contract.p && real < 300 ? filtered(c, contract, &body) : ERR_OK;
    return e == ERR_OK ? ctx_text(c, real < 200 || real > 599 ? 200 : real,
                                  arena_dupz(c->arena, str_from(type)), body)
                       : e;
}

enum err sandbox_answer(struct ctx *c)
{
    struct held *h;
    bool other;
    enum err e = held_get(c, ctx_path(c, "api"), ctx_path(c, "version"), &h);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &f_route, e, STR("the API has no description here"));
    if (e != ERR_OK)
        return e;
    struct str rest = ctx_path(c, "rest");
    struct str path = arena_printf(c->arena, "/" STR_FMT, STR_ARG(rest));
    const char *method = c->rq->method == HTTP_HEAD ? "GET" : http_method_name(c->rq->method);
    const struct desc_op *op = desc_match(&h->d, method, path, &other);
    if (op)
        e = answer(c, &h->d, op);
    else
        e = ctx_fail(c, other ? &f_method : &f_path, ERR_NOT_FOUND, path);
    held_give(h);
    return e;
}
