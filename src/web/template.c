/* Mustache, compiled once to a flat list of nodes and rendered straight into a buffer.
 *
 * The list is flat because a page is read far more often than it is changed: a section knows where
 * it ends, so rendering is a walk with jumps and no tree. Templates are ours, data are not: what is
 * data is escaped unless the template says otherwise, and `make lint` lists where it does. Beyond
 * the required part of the specification there are parents and blocks (layouts), dynamic names, and
 * texts ({{@key}}). Blocks are not re-indented: HTML does not need it. */
#include "web/template.h"

#include "web/template_node.h"

#include <stdlib.h>

enum {
    DEPTH_MAX = 16,  /* partials, parents and texts inside each other */
    STACK_MAX = 128, /* contexts */
    SETS_MAX = 32,   /* parents whose blocks are in force */
    INDENT_MAX = 256,
    STEPS_MAX = 4000000 /* nodes visited: a template that includes itself must end */
};

/* The blocks given to a parent: nodes [from, to) of a template. */
struct override_set {
    const struct template *t;
    size_t from, to;
};

struct render {
    const struct template_env *env;
    struct buf *out;
    const json_t *stack[STACK_MAX];
    size_t n_stack;
    struct override_set sets[SETS_MAX];
    size_t n_sets;
    char indent[INDENT_MAX];
    size_t n_indent;
    bool line_start, in_text, plain;
    int depth;
    unsigned steps;
};

/* ---- looking up --------------------------------------------------------------------------------
 */

static const json_t *member(const json_t *obj, struct str key)
{
    return json_is_object(obj) ? json_object_getn(obj, key.p, key.n) : NULL;
}

/* Words in two languages stand for a string, not for a component's data. */
static bool is_words(const struct render *r, const json_t *v)
{
    return r->env && r->env->lang && json_is_string(json_object_get(v, r->env->lang));
}

/* "a.b.c": the first part anywhere on the stack, the others only inside what it gave. ".a" is
 * anchored: asked of the innermost object only, so that a component's optional value is never taken
 * from the page around it. */
static const json_t *lookup(const struct render *r, struct str name)
{
    if (name.n == 1 && name.p[0] == '.')
        return r->stack[r->n_stack - 1];
    bool anchored = name.p[0] == '.';
    struct str rest = anchored ? str_after(name, 1) : name, part;
    if (!str_split(&rest, '.', &part))
        return NULL;
    const json_t *v = NULL;
    for (size_t i = r->n_stack; i-- > 0 && !v;) {
        v = member(r->stack[i], part);
        if (anchored && json_is_object(r->stack[i]) && !is_words(r, r->stack[i]))
            break;
    }
    while (v && rest.n && str_split(&rest, '.', &part))
        v = member(v, part);
    return v;
}

static bool truthy(const json_t *v)
{
    if (!v)
        return false;
    switch (json_typeof(v)) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return json_string_length(v) > 0;
    case JSON_INTEGER:
        return json_integer_value(v) != 0;
    case JSON_ARRAY:
        return json_array_size(v) > 0;
    default:
        return true;
    }
}

/* The name itself, or for "*name" the string found under it. */
static struct str resolve_name(const struct render *r, const struct node *n)
{
    if (!n->dynamic)
        return n->s;
    const json_t *v = lookup(r, n->s);
    if (!json_is_string(v))
        return STR_NONE;
    return str_of(json_string_value(v), json_string_length(v));
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static void put(struct render *r, struct str s, bool escape)
{
    if (escape && !r->plain)
        buf_add_html(r->out, s);
    else
        buf_add_str(r->out, s);
}

static void start_line(struct render *r)
{
    if (r->line_start && r->n_indent)
        buf_add(r->out, r->indent, r->n_indent);
    r->line_start = false;
}

/* The template's own characters. Those of a text are words, not markup, and so are escaped. */
static void put_literal(struct render *r, struct str s)
{
    if (r->n_indent == 0) {
        put(r, s, r->in_text);
        if (s.n)
            r->line_start = s.p[s.n - 1] == '\n';
        return;
    }
    while (s.n) {
        ptrdiff_t nl = str_find_char(s, '\n');
        size_t n = nl < 0 ? s.n : (size_t)nl + 1;
        start_line(r);
        put(r, str_sub(s, 0, n), r->in_text);
        r->line_start = nl >= 0;
        s = str_after(s, n);
    }
}

static void put_value(struct render *r, const json_t *v, bool escape)
{
    char num[40];
    start_line(r);
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING:
        put(r, str_of(json_string_value(v), json_string_length(v)), escape);
        break;
    case JSON_INTEGER:
        buf_printf(r->out, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        snprintf(num, sizeof num, "%.15g", json_real_value(v));
        buf_add_z(r->out, num);
        break;
    case JSON_TRUE:
        buf_add_z(r->out, "true");
        break;
    case JSON_FALSE:
        buf_add_z(r->out, "false");
        break;
    case JSON_OBJECT: /* {"fr": ..., "en": ...}: words in two languages */
        v = r->env && r->env->lang ? json_object_get(v, r->env->lang) : NULL;
        if (json_is_string(v))
            put(r, str_of(json_string_value(v), json_string_length(v)), escape);
        break;
    default:
        break;
    }
}

/* ---- walking -----------------------------------------------------------------------------------
 */

static enum err run(struct render *r, const struct template *t, size_t from, size_t to);

static enum err run_with(struct render *r, const struct template *t, size_t from, size_t to,
                         const json_t *context)
{
    if (r->n_stack == STACK_MAX)
        return ERR_LIMIT;
    r->stack[r->n_stack++] = context;
    enum err e = run(r, t, from, to);
    r->n_stack--;
    return e;
}

static enum err run_section(struct render *r, const struct template *t, size_t at)
{
    const struct node *n = &t->nodes[at];
    const json_t *v = lookup(r, n->s);
    if (n->kind == '^')
        return truthy(v) ? ERR_OK : run(r, t, at + 1, n->end);
    if (!truthy(v))
        return ERR_OK;
    if (!json_is_array(v))
        return run_with(r, t, at + 1, n->end, v);
    enum err e = ERR_OK;
    for (size_t i = 0; i < json_array_size(v) && e == ERR_OK; i++)
        e = run_with(r, t, at + 1, n->end, json_array_get(v, i));
    return e;
}

/* A whole template inside another one; its lines are indented as its tag was. */
static enum err run_template(struct render *r, const struct template *t, struct str indent)
{
    if (r->depth == DEPTH_MAX || r->n_indent + indent.n > INDENT_MAX)
        return ERR_LIMIT;
    size_t kept = r->n_indent;
    memcpy(r->indent + kept, indent.n ? indent.p : "", indent.n);
    r->n_indent += indent.n;
    r->depth++;
    enum err e = run(r, t, 0, t->n_nodes);
    r->depth--;
    r->n_indent = kept;
    return e;
}

/* A partial is a component: it does not see the blocks given to the page around it. */
static enum err run_partial(struct render *r, const struct node *n)
{
    struct str name = resolve_name(r, n);
    const struct template *p =
        r->env && r->env->partial && name.n ? r->env->partial(r->env->arg, name) : NULL;
    if (!p)
        return ERR_OK;
    struct override_set kept[SETS_MAX];
    size_t n_kept = r->n_sets;
    memcpy(kept, r->sets, n_kept * sizeof kept[0]);
    r->n_sets = 0;
    enum err e = run_template(r, p, n->indent);
    memcpy(r->sets, kept, n_kept * sizeof kept[0]);
    r->n_sets = n_kept;
    return e;
}

static enum err run_parent(struct render *r, const struct template *t, size_t at)
{
    const struct node *n = &t->nodes[at];
    struct str name = resolve_name(r, n);
    const struct template *p =
        r->env && r->env->partial && name.n ? r->env->partial(r->env->arg, name) : NULL;
    if (!p)
        return ERR_OK;
    if (r->n_sets == SETS_MAX)
        return ERR_LIMIT;
    r->sets[r->n_sets++] = (struct override_set){t, at + 1, n->end};
    enum err e = run_template(r, p, n->indent);
    r->n_sets--;
    return e;
}

/* The block's content as the outermost template gives it, or its own. */
static enum err run_block(struct render *r, const struct template *t, size_t at)
{
    struct str name = t->nodes[at].s;
    for (size_t i = 0; i < r->n_sets; i++) {
        const struct override_set *s = &r->sets[i];
        for (size_t k = s->from; k < s->to; k++) {
            const struct node *n = &s->t->nodes[k];
            if (n->kind == '$' && str_eq(n->s, name)) {
                if (r->depth == DEPTH_MAX)
                    return ERR_LIMIT;
                r->depth++;
                enum err e = run(r, s->t, k + 1, n->end);
                r->depth--;
                return e;
            }
            if (n->end)
                k = n->end;
        }
    }
    return run(r, t, at + 1, t->nodes[at].end);
}

static enum err run_text(struct render *r, const struct node *n)
{
    struct str key = resolve_name(r, n);
    const struct template *p =
        r->env && r->env->text && key.n ? r->env->text(r->env->arg, key) : NULL;
    start_line(r);
    if (!p) {
        if (key.n || !n->dynamic) {
            buf_add_char(r->out, '[');
            put(r, key, true);
            buf_add_char(r->out, ']');
        }
        return ERR_OK;
    }
    bool kept = r->in_text;
    r->in_text = true;
    enum err e = run_template(r, p, STR_NONE);
    r->in_text = kept;
    return e;
}

static enum err run_node(struct render *r, const struct template *t, size_t i)
{
    const struct node *n = &t->nodes[i];
    switch (n->kind) {
    case 't':
        put_literal(r, n->s);
        return ERR_OK;
    case '=':
    case '&':
        put_value(r, lookup(r, n->s), n->kind == '=');
        return ERR_OK;
    case '#':
    case '^':
        return run_section(r, t, i);
    case '>':
        return run_partial(r, n);
    case '<':
        return run_parent(r, t, i);
    case '$':
        return run_block(r, t, i);
    case '@':
        return run_text(r, n);
    default: /* comments, ends */
        return ERR_OK;
    }
}

static enum err run(struct render *r, const struct template *t, size_t from, size_t to)
{
    enum err e = ERR_OK;
    for (size_t i = from; i < to && e == ERR_OK; i++) {
        if (++r->steps > STEPS_MAX)
            return ERR_LIMIT;
        e = run_node(r, t, i);
        if (t->nodes[i].end)
            i = t->nodes[i].end;
    }
    return e == ERR_OK ? r->out->err : e;
}

enum err template_render(const struct template *t, const json_t *data,
                         const struct template_env *env, struct buf *out)
{
    struct render r = {.env = env, .out = out, .line_start = true};
    r.plain = env && env->plain;
    r.in_text = env && env->is_text;
    r.stack[r.n_stack++] = data;
    return run(&r, t, 0, t->n_nodes);
}

void template_walk(const struct template *t, void (*fn)(void *arg, char kind, struct str name),
                   void *arg)
{
    for (size_t i = 0; i < t->n_nodes; i++) {
        const struct node *n = &t->nodes[i];
        if (n->kind == 't' || n->kind == '/')
            continue;
        /* the star of a dynamic name is in the source just before it */
        fn(arg, n->kind, n->dynamic ? STR("*") : n->s);
    }
}
