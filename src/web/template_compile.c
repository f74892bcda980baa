/* Reads a Mustache template into the flat list of nodes that template.c renders. The
 * specification's hard part is white space: a tag alone on its line takes the line with it, so
 * nodes are judged line by line, when a line is complete. */
#include "web/template.h"

#include "web/template_node.h"

#include <stdlib.h>

enum { NEST_MAX = 64, DELIMITER_MAX = 16, SOURCE_MAX = 1024 * 1024 };

struct reader {
    struct template *t;
    struct str src;
    size_t at;
    struct str open, close; /* delimiters */
    size_t line_node;       /* first node of the line under way */
    size_t nest[NEST_MAX];
    size_t n_nest;
};

static struct node *add(struct template *t, char kind, struct str s)
{
    if (t->n_nodes == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->nodes = realloc(t->nodes, t->cap * sizeof *t->nodes);
        if (!t->nodes)
            abort();
    }
    struct node *n = &t->nodes[t->n_nodes++];
    *n = (struct node){.kind = kind, .s = s};
    return n;
}

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
            return false;
    return true;
}

/* A line may vanish when it holds white space and one tag that writes nothing itself, or only the
 * parts of a parent ("{{<layout}}{{$title}}"). A lone empty block is a place, and stays. */
static bool stands_alone(const struct template *t, size_t from)
{
    size_t tags = 0, inherit = 0, parents = 0, opened = 0, closed_block = 0;
    for (size_t i = from; i < t->n_nodes; i++) {
        const struct node *n = &t->nodes[i];
        if (n->kind == 't') {
            if (!is_blank(n->s))
                return false;
            continue;
        }
        if (n->kind == '=' || n->kind == '&' || n->kind == '@')
            return false;
        tags++;
        char of = n->kind == '/' ? t->nodes[n->end].kind : n->kind;
        inherit += of == '<' || of == '$';
        parents += of == '<';
        opened += n->kind == '$';
        closed_block += n->kind == '/' && of == '$' && n->end >= from;
    }
    return tags == 1 || (tags > 1 && inherit == tags && (parents || !opened || !closed_block));
}

static void end_line(struct reader *r)
{
    struct template *t = r->t;
    size_t from = r->line_node;
    if (stands_alone(t, from)) {
        struct str indent = t->nodes[from].kind == 't' ? t->nodes[from].s : STR_NONE;
        for (size_t i = from; i < t->n_nodes; i++) {
            struct node *n = &t->nodes[i];
            if (n->kind == 't')
                n->s.n = 0;
            else if (n->kind == '>' || n->kind == '<')
                n->indent = indent;
        }
    } else if (t->n_nodes == from + 1 && from > 0 && t->nodes[from - 1].kind == 't' &&
               t->nodes[from].kind == 't' &&
               t->nodes[from - 1].s.p + t->nodes[from - 1].s.n == t->nodes[from].s.p) {
        t->nodes[from - 1].s.n += t->nodes[from].s.n; /* plain lines in a row are one literal */
        t->n_nodes--;
    }
    r->line_node = t->n_nodes;
}

static void add_literal(struct reader *r, struct str s)
{
    while (s.n) {
        ptrdiff_t nl = str_find_char(s, '\n');
        size_t n = nl < 0 ? s.n : (size_t)nl + 1;
        add(r->t, 't', str_sub(s, 0, n));
        if (nl >= 0)
            end_line(r);
        s = str_after(s, n);
    }
}

static bool has_space(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (is_blank(str_sub(s, i, 1)))
            return true;
    return false;
}

/* "{{=<% %>=}}" */
static enum err set_delimiters(struct reader *r, struct str body)
{
    if (body.n < 2 || body.p[body.n - 1] != '=')
        return ERR_INVALID;
    body = str_trim(str_sub(body, 0, body.n - 1));
    size_t i = 0;
    while (i < body.n && !is_blank(str_sub(body, i, 1)))
        i++;
    struct str open = str_sub(body, 0, i), close = str_trim(str_after(body, i));
    if (!open.n || !close.n || open.n > DELIMITER_MAX || close.n > DELIMITER_MAX ||
        has_space(close) || str_find_char(open, '=') >= 0 || str_find_char(close, '=') >= 0)
        return ERR_INVALID;
    r->open = open;
    r->close = close;
    add(r->t, '!', STR_NONE);
    return ERR_OK;
}

static enum err close_section(struct reader *r, struct str name)
{
    if (r->n_nest == 0)
        return ERR_INVALID;
    size_t from = r->nest[--r->n_nest];
    if (!str_eq(r->t->nodes[from].s, name))
        return ERR_INVALID;
    r->t->nodes[from].end = r->t->n_nodes;
    add(r->t, '/', name)->end = from; /* its opener, for stands_alone; dropped afterwards */
    return ERR_OK;
}

static enum err add_tag(struct reader *r, char kind, struct str body)
{
    if (kind == '!') {
        add(r->t, '!', body);
        return ERR_OK;
    }
    struct str name = str_trim(body);
    bool dynamic = name.n > 1 && name.p[0] == '*' &&
                   (kind == '>' || kind == '<' || kind == '@' || kind == '/');
    if (dynamic && kind != '/')
        name = str_trim(str_after(name, 1));
    if (!name.n || has_space(name))
        return ERR_INVALID;
    if (kind == '/') {
        if (dynamic)
            name = str_trim(str_after(name, 1));
        return close_section(r, name);
    }
    if (kind == '#' || kind == '^' || kind == '<' || kind == '$') {
        if (r->n_nest == NEST_MAX)
            return ERR_LIMIT;
        r->nest[r->n_nest++] = r->t->n_nodes;
    }
    add(r->t, kind, name)->dynamic = dynamic;
    return ERR_OK;
}

/* One tag, r->at just behind its opening delimiter. */
static enum err read_tag(struct reader *r)
{
    struct str rest = str_after(r->src, r->at);
    bool triple = rest.n && rest.p[0] == '{' && str_eq(r->open, STR("{{"));
    struct str close = triple ? STR("}}}") : r->close;
    ptrdiff_t n = str_find(rest, close);
    if (n < 0)
        return ERR_INVALID;
    struct str body = str_sub(rest, 0, (size_t)n);
    r->at += (size_t)n + close.n;
    if (triple)
        return add_tag(r, '&', str_after(body, 1));
    if (body.n && body.p[0] == '=')
        return set_delimiters(r, str_after(body, 1));
    struct str sigil = str_trim(body);
    if (sigil.n && memchr("#^/>&@!<$", sigil.p[0], 9))
        return add_tag(r, sigil.p[0], str_after(sigil, 1));
    return add_tag(r, '=', body);
}

static enum err read_all(struct reader *r)
{
    while (r->at < r->src.n) {
        struct str rest = str_after(r->src, r->at);
        ptrdiff_t n = str_find(rest, r->open);
        add_literal(r, n < 0 ? rest : str_sub(rest, 0, (size_t)n));
        if (n < 0)
            break;
        r->at += (size_t)n;
        size_t open_at = r->at;
        r->at += r->open.n;
        enum err e = read_tag(r);
        if (e != ERR_OK) {
            r->at = open_at;
            return e;
        }
    }
    if (r->n_nest) { /* name the line where what is still open began */
        r->at = (size_t)(r->t->nodes[r->nest[r->n_nest - 1]].s.p - r->src.p);
        return ERR_INVALID;
    }
    end_line(r);
    for (size_t i = 0; i < r->t->n_nodes; i++)
        if (r->t->nodes[i].kind == '/')
            r->t->nodes[i].end = 0;
    return ERR_OK;
}

enum err template_compile(struct str text, const char *name, struct template **out, int *line)
{
    (void)name;
    *out = NULL;
    if (line)
        *line = 1;
    if (text.n > SOURCE_MAX)
        return ERR_LIMIT;
    struct template *t = calloc(1, sizeof *t);
    if (!t || !(t->source = malloc(text.n + 1)))
        abort();
    memcpy(t->source, text.n ? text.p : "", text.n);
    struct reader r = {.t = t, .src = {t->source, text.n}, .open = STR("{{"), .close = STR("}}")};
    enum err e = read_all(&r);
    if (e != ERR_OK) {
        for (size_t i = 0; line && i < r.at && i < text.n; i++)
            *line += text.p[i] == '\n';
        template_free(t);
        return e;
    }
    *out = t;
    return ERR_OK;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    free(t->nodes);
    free(t->source);
    free(t);
}
