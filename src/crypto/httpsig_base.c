/* The signature base (RFC 9421 2): one line a component, in the order the signature names them.
 * Signer and verifier both pass here, so that they cannot differ. */
#include "crypto/httpsig_inner.h"

#include <ctype.h>
#include "base/codec.h"

/* What the component's line is made from. */
struct place {
    struct arena *a;
    const struct sfv_item *id;
    const struct httpsig_message *m; /* the message, or the request with `req` */
    struct buf *out;
    struct str *why;
};

static enum err refuse(const struct place *p, const char *what)
{
    struct buf b;
    buf_init(&b, 1024);
    if (sfv_write_item(&b, p->id) != ERR_OK || b.err)
        buf_reset(&b);
    *p->why = arena_printf(p->a, "component " STR_FMT ": %s", STR_ARG(buf_str(&b)), what);
    buf_free(&b);
    return ERR_INVALID;
}

static bool has(const struct sfv_item *id, const char *flag)
{
    const struct sfv_value *v = sfv_param(&id->params, flag);
    return v && v->type == SFV_BOOLEAN && v->number;
}

/* --- derived components ----------------------------------------------------------------------- */

static enum err method_add(const struct place *p)
{
    buf_add_str(p->out, p->m->method);
    return ERR_OK;
}

static void lower_add(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i]);
}

/* Lower case, without the scheme's own port (RFC 9421 2.2.3, RFC 9110 4.2.3). */
static enum err authority_add(const struct place *p)
{
    struct str s = p->m->authority;
    bool plain = str_eq_z(p->m->scheme, "http");
    struct str port = plain ? STR(":80") : STR(":443");
    if (s.n == 0)
        return refuse(p, "the message has no authority");
    if (str_ends(s, port))
        s.n -= port.n;
    lower_add(p->out, s);
    return ERR_OK;
}

static enum err scheme_add(const struct place *p)
{
    lower_add(p->out, p->m->scheme);
    return ERR_OK;
}

static enum err path_add(const struct place *p)
{
    if (p->m->path.n)
        buf_add_str(p->out, p->m->path);
    else
        buf_add_char(p->out, '/');
    return ERR_OK;
}

static enum err query_add(const struct place *p)
{
    buf_add_char(p->out, '?');
    buf_add_str(p->out, p->m->query);
    return ERR_OK;
}

static enum err request_target_add(const struct place *p)
{
    enum err e = path_add(p);
    return e || !p->m->query.p ? e : query_add(p);
}

static enum err target_uri_add(const struct place *p)
{
    lower_add(p->out, p->m->scheme);
    buf_add_z(p->out, "://");
    enum err e = authority_add(p);
    return e ? e : request_target_add(p);
}

static enum err status_add(const struct place *p)
{
    if (!p->m->status)
        return refuse(p, "a request has no status");
    buf_printf(p->out, "%03d", p->m->status);
    return ERR_OK;
}

/* A name or value of a query, encoded as RFC 9421 2.2.8 asks: read as a form's, then everything but
 * letters, digits and *-._ in percent form. */
static enum err query_part(struct arena *a, struct str raw, struct buf *out)
{
    struct str s;
    enum err e = codec_url(a, raw, true, &s);
    for (size_t i = 0; !e && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (isalnum(c) || (c && strchr("*-._", c)))
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
    return e;
}

static enum err query_param_add(const struct place *p)
{
    const struct sfv_value *name = sfv_param(&p->id->params, "name");
    struct str rest = p->m->query, pair;
    size_t found = 0;
    enum err e = ERR_OK;
    struct buf b;
    if (!name || name->type != SFV_STRING)
        return refuse(p, "it needs a name");
    buf_init(&b, HTTPSIG_BASE_MAX);
    while (!e && rest.n && str_split(&rest, '&', &pair)) {
        ptrdiff_t eq = str_find_char(pair, '=');
        buf_reset(&b);
        e = query_part(p->a, eq < 0 ? pair : str_sub(pair, 0, (size_t)eq), &b);
        if (e || !str_eq(buf_str(&b), name->text))
            continue;
        if (found++ == 0)
            e = query_part(p->a, eq < 0 ? STR("") : str_after(pair, (size_t)eq + 1), p->out);
    }
    buf_free(&b);
    if (e)
        return refuse(p, "the query is not well encoded");
    return found == 1 ? ERR_OK
                      : refuse(p, found ? "the parameter is there twice" : "no such parameter");
}

static const struct {
    const char *name;
    enum err (*add)(const struct place *p);
    bool of_response, named;
} derived[] = {
    {"@method", method_add, false, false},
    {"@target-uri", target_uri_add, false, false},
    {"@authority", authority_add, false, false},
    {"@scheme", scheme_add, false, false},
    {"@request-target", request_target_add, false, false},
    {"@path", path_add, false, false},
    {"@query", query_add, false, false},
    {"@query-param", query_param_add, false, true},
    {"@status", status_add, true, false},
};

static enum err derived_add(const struct place *p)
{
    const struct sfv_params *params = &p->id->params;
    for (size_t i = 0; i < COUNT_OF(derived); i++) {
        if (!str_eq_z(p->id->value.text, derived[i].name))
            continue;
        for (size_t k = 0; k < params->n; k++)
            if (!str_eq_z(params->v[k].key, "req") &&
                !(derived[i].named && str_eq_z(params->v[k].key, "name")))
                return refuse(p, "a parameter it cannot have");
        if (derived[i].of_response != (p->m->status != 0))
            return refuse(p, derived[i].of_response ? "a request has none"
                                                    : "a response has none: say ;req");
        return derived[i].add(p);
    }
    return refuse(p, "no such component");
}

/* --- fields ----------------------------------------------------------------------------------- */

/* The types of the fields whose strict form (sf) we know. */
static const struct {
    const char *name;
    enum sfv_kind kind;
} known[] = {
    {"content-digest", SFV_DICTIONARY},
    {"repr-digest", SFV_DICTIONARY},
    {"want-content-digest", SFV_DICTIONARY},
    {"want-repr-digest", SFV_DICTIONARY},
    {"signature", SFV_DICTIONARY},
    {"signature-input", SFV_DICTIONARY},
    {"accept-signature", SFV_DICTIONARY},
    {"priority", SFV_DICTIONARY},
    {"cache-status", SFV_LIST},
    {"proxy-status", SFV_LIST},
    {"client-cert-chain", SFV_LIST},
    {"client-cert", SFV_ITEM},
    {"deprecation", SFV_ITEM},
};

/* Without white space around it; obs-fold never gets this far (the parser refuses it). */
static struct str value_of(const struct httpsig_field *f)
{
    return str_trim(f->value);
}

static size_t lines_add(const struct place *p, struct buf *out)
{
    const struct httpsig_fields *set = has(p->id, "tr") ? &p->m->trailers : &p->m->headers;
    bool bytes = has(p->id, "bs");
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (!str_eq_nocase(set->v[i].name, p->id->value.text))
            continue;
        struct str v = value_of(&set->v[i]);
        if (n++)
            buf_add_z(out, ", ");
        if (bytes) {
            buf_add_char(out, ':');
            buf_add_base64(out, v.p, v.n);
            buf_add_char(out, ':');
        } else {
            buf_add_str(out, v);
        }
    }
    return n;
}

static enum err member_add(const struct place *p, struct str text, struct str key)
{
    struct sfv v;
    if (sfv_read(p->a, text, SFV_DICTIONARY, &v) != ERR_OK)
        return refuse(p, "the field is no dictionary");
    const struct sfv_member *m = sfv_member(&v, key);
    if (!m)
        return refuse(p, "the field has no such member");
    return sfv_write_member(p->out, m);
}

static enum err strict_add(const struct place *p, struct str text)
{
    struct sfv v;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_eq_z(p->id->value.text, known[i].name)) {
            if (sfv_read(p->a, text, known[i].kind, &v) != ERR_OK)
                return refuse(p, "the field is not well formed");
            return sfv_write(p->out, &v);
        }
    return refuse(p, "the type of this field is not known");
}

static const char *field_fault(const struct sfv_item *id)
{
    bool key = false;
    for (size_t i = 0; i < id->value.text.n; i++)
        if (id->value.text.p[i] >= 'A' && id->value.text.p[i] <= 'Z')
            return "its name must be in lower case";
    for (size_t i = 0; i < id->params.n; i++) {
        const struct sfv_param *one = &id->params.v[i];
        bool flag = str_eq_z(one->key, "sf") || str_eq_z(one->key, "bs") ||
                    str_eq_z(one->key, "tr") || str_eq_z(one->key, "req");
        bool is_key = str_eq_z(one->key, "key");
        if (!flag && !is_key)
            return "a parameter it cannot have";
        if (flag ? one->value.type != SFV_BOOLEAN : one->value.type != SFV_STRING)
            return "a parameter of another type";
        key = key || is_key;
    }
    return has(id, "bs") && (key || has(id, "sf")) ? "bs goes with neither sf nor key" : NULL;
}

static enum err field_add(const struct place *p)
{
    const char *fault = field_fault(p->id);
    const struct sfv_value *key = sfv_param(&p->id->params, "key");
    enum err e = ERR_OK;
    struct buf b;
    if (fault)
        return refuse(p, fault);
    buf_init(&b, HTTPSIG_BASE_MAX);
    size_t n = lines_add(p, &b);
    if (n == 0)
        e = refuse(p, has(p->id, "tr") ? "the message has no such trailer"
                                       : "the message has no such field");
    else if (b.err || (b.n && memchr(b.p, '\n', b.n)))
        e = refuse(p, "the field cannot be signed");
    else if (key)
        e = member_add(p, buf_str(&b), key->text);
    else if (has(p->id, "sf"))
        e = strict_add(p, buf_str(&b));
    else
        buf_add_str(p->out, buf_str(&b));
    buf_free(&b);
    return e;
}

/* --- the base --------------------------------------------------------------------------------- */

static enum err line_add(struct arena *a, const struct sfv_item *id,
                         const struct httpsig_message *m, struct buf *out, struct str *why)
{
    struct place p = {a, id, m, out, why};
    if (id->value.type != SFV_STRING || id->value.text.n == 0)
        return refuse(&p, "no name of a component");
    if (str_eq_z(id->value.text, "@signature-params"))
        return refuse(&p, "covered always, named never");
    if (has(id, "req")) {
        if (!m->status)
            return refuse(&p, "req is for responses");
        if (!m->request)
            return refuse(&p, "the request is not at hand");
        p.m = m->request;
    }
    enum err e = sfv_write_item(out, id);
    if (e)
        return refuse(&p, "no name of a component");
    buf_add_z(out, ": ");
    e = id->value.text.p[0] == '@' ? derived_add(&p) : field_add(&p);
    buf_add_char(out, '\n');
    return e;
}

/* Parameters in another order are the same parameters. */
bool httpsig_same_component(const struct sfv_item *x, const struct sfv_item *y)
{
    if (!str_eq(x->value.text, y->value.text) || x->params.n != y->params.n)
        return false;
    for (size_t i = 0; i < x->params.n; i++) {
        const struct sfv_param *one = &x->params.v[i];
        size_t k = 0;
        while (k < y->params.n && !str_eq(one->key, y->params.v[k].key))
            k++;
        if (k == y->params.n || one->value.type != y->params.v[k].value.type ||
            one->value.number != y->params.v[k].value.number ||
            !str_eq(one->value.text, y->params.v[k].value.text))
            return false;
    }
    return true;
}

static bool is_named_twice(const struct httpsig *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = i + 1; k < s->n; k++)
            if (httpsig_same_component(&s->components[i], &s->components[k]))
                return true;
    return false;
}

enum err httpsig_names_write(struct buf *b, const struct httpsig *s)
{
    struct sfv_member list = {
        .is_list = true, .items = s->components, .n_items = s->n, .params = s->params};
    return sfv_write_member(b, &list);
}

enum err httpsig_base(struct arena *a, const struct httpsig *s, const struct httpsig_message *m,
                      struct str *base, struct str *why)
{
    enum err e = ERR_OK;
    struct buf b;
    if (s->n > HTTPSIG_COMPONENTS_MAX) {
        *why = STR("too many components");
        return ERR_LIMIT;
    }
    if (is_named_twice(s)) {
        *why = STR("a component is named twice");
        return ERR_INVALID;
    }
    buf_init(&b, HTTPSIG_BASE_MAX);
    for (size_t i = 0; !e && i < s->n; i++)
        e = line_add(a, &s->components[i], m, &b, why);
    if (!e) {
        buf_add_z(&b, "\"@signature-params\": ");
        e = httpsig_names_write(&b, s);
    }
    if (!e && b.err) {
        *why = STR("what is signed is too long");
        e = b.err;
    }
    if (!e)
        *base = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return e;
}
