/* Programs to copy: each operation as curl, C, Python and Node would call it in the sandbox. They
 * run as they stand. */
#include "core/catalogue/catalogue.h"

#include <ctype.h>
#include <stdlib.h>

struct request {
    struct arena *a;
    const struct description *d;
    struct buf url; /* path filled in, then the query's required parameters */
    bool query;
};

/* A value of a parameter, as text. */
static struct str value_of(struct request *r, const json_t *param)
{
    json_t *v = desc_example(r->d, param);
    struct str out = STR("1");
    if (json_is_string(v))
        out = arena_dup(r->a, str_of(json_string_value(v), json_string_length(v)));
    else if (json_is_number(v) || json_is_boolean(v))
        out = json_text(r->a, v);
    json_decref(v);
    return out.n && out.n < 200 ? out : STR("1");
}

struct named {
    struct request *r;
    struct str name, value;
};

static void path_param(void *arg, const json_t *p)
{
    struct named *n = arg;
    if (str_eq_z(json_get_str(p, "in"), "path") && str_eq(json_get_str(p, "name"), n->name))
        n->value = value_of(n->r, p);
}

static void query_param(void *arg, const json_t *p)
{
    struct request *r = arg;
    if (!str_eq_z(json_get_str(p, "in"), "query") || !json_get_bool(p, "required", false))
        return;
    buf_add_char(&r->url, r->query ? '&' : '?');
    buf_add_url(&r->url, json_get_str(p, "name"));
    buf_add_char(&r->url, '=');
    buf_add_url(&r->url, value_of(r, p));
    r->query = true;
}

static void url_make(struct request *r, const struct desc_op *op)
{
    const char *p = op->path;
    while (*p) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            buf_add(&r->url, p++, 1);
            continue;
        }
        struct named n = {r, str_of(p + 1, (size_t)(end - p - 1)), STR("1")};
        desc_params(r->d, op, path_param, &n);
        buf_add_url(&r->url, n.value);
        p = end + 1;
    }
    desc_params(r->d, op, query_param, r);
}

/* Inside single quotes of a shell. */
static void add_shell(struct buf *b, struct str s)
{
    buf_add_char(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_add_z(b, "'\\''");
        else
            buf_add_char(b, s.p[i]);
    }
    buf_add_char(b, '\'');
}

struct call_text {
    struct str method, url, body; /* body.p NULL: none */
};

static void write_curl(struct buf *b, const struct call_text *t)
{
    buf_add_z(b, "curl --fail-with-body");
    if (!str_eq_z(t->method, "GET"))
        buf_printf(b, " -X " STR_FMT, STR_ARG(t->method));
    if (t->body.p) {
        buf_add_z(b, " -H 'Content-Type: application/json' -d ");
        add_shell(b, t->body);
    }
    buf_add_char(b, ' ');
    add_shell(b, t->url);
    buf_add_char(b, '\n');
}

static void write_c(struct buf *b, const struct call_text *t)
{
    buf_add_z(b, "#include <curl/curl.h>\n\n"
                 "int main(void)\n{\n"
                 "    CURL *h = curl_easy_init();\n"
                 "    curl_easy_setopt(h, CURLOPT_URL, ");
    buf_add_json(b, t->url);
    buf_add_z(b, ");\n");
    if (!str_eq_z(t->method, "GET"))
        buf_printf(b, "    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, \"" STR_FMT "\");\n",
                   STR_ARG(t->method));
    if (t->body.p) {
        buf_add_z(b, "    struct curl_slist *headers =\n"
                     "        curl_slist_append(NULL, \"Content-Type: application/json\");\n"
                     "    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);\n"
                     "    curl_easy_setopt(h, CURLOPT_POSTFIELDS, ");
        buf_add_json(b, t->body);
        buf_add_z(b, ");\n");
    }
    buf_add_z(b, "    curl_easy_setopt(h, CURLOPT_FAILONERROR, 1L);\n"
                 "    CURLcode failed = curl_easy_perform(h);\n");
    if (t->body.p)
        buf_add_z(b, "    curl_slist_free_all(headers);\n");
    buf_add_z(b, "    curl_easy_cleanup(h);\n"
                 "    return failed ? 1 : 0;\n}\n"
                 "/* cc call.c -lcurl */\n");
}

static void write_python(struct buf *b, const struct call_text *t)
{
    buf_add_z(b, "import urllib.request\n\nrequest = urllib.request.Request(\n    ");
    buf_add_json(b, t->url);
    buf_printf(b, ",\n    method=\"" STR_FMT "\"", STR_ARG(t->method));
    if (t->body.p) {
        buf_add_z(b, ",\n    headers={\"Content-Type\": \"application/json\"},\n    data=");
        buf_add_json(b, t->body);
        buf_add_z(b, ".encode()");
    }
    buf_add_z(b, ",\n)\nwith urllib.request.urlopen(request) as answer:\n"
                 "    print(answer.read().decode())\n");
}

static void write_node(struct buf *b, const struct call_text *t)
{
    buf_add_z(b, "const answer = await fetch(");
    buf_add_json(b, t->url);
    buf_printf(b, ", {\n  method: '" STR_FMT "',\n", STR_ARG(t->method));
    if (t->body.p) {
        buf_add_z(b, "  headers: { 'Content-Type': 'application/json' },\n  body: ");
        buf_add_json(b, t->body);
        buf_add_z(b, ",\n");
    }
    buf_add_z(b, "});\nif (!answer.ok) process.exitCode = 1;\nconsole.log(await answer.text());\n");
}

json_t *samples_of(struct arena *a, const struct description *d, const struct desc_op *op,
                   const char *base_url)
{
    static const struct {
        const char *language, *name;
        void (*write)(struct buf *b, const struct call_text *t);
    } all[] = {{"curl", "curl", write_curl},
               {"c", "C (libcurl)", write_c},
               {"python", "Python", write_python},
               {"node", "Node.js", write_node}};
    struct request r = {.a = a, .d = d};
    struct call_text t = {0};
    struct buf b;
    json_t *list = json_array();
    buf_init(&r.url, 16 * 1024);
    buf_add_z(&r.url, base_url);
    url_make(&r, op);
    t.url = buf_str(&r.url);
    char *method = arena_dupz(a, str_from(op->method));
    for (char *p = method; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    t.method = str_from(method);
    const json_t *media = desc_media(d, desc_ref(d, json_get(op->op, "requestBody")), NULL);
    if (media) {
        json_t *v = desc_example(d, media);
        t.body = json_text(a, v);
        json_decref(v);
    }
    for (size_t i = 0; i < COUNT_OF(all) && t.body.n < 8 * 1024; i++) {
        buf_init(&b, 64 * 1024);
        all[i].write(&b, &t);
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "language", all[i].language,
                                              "name", all[i].name, "code", jstr(buf_str(&b))));
        buf_free(&b);
    }
    buf_free(&r.url);
    return list;
}
