/* The parser works in two steps over the same bytes. The first finds the lines with memchr, which
 * is so quick that a head sent byte by byte costs little more than its packets; it stops at a bare
 * LF or a ceiling. Only a whole head is then read, once, each byte by a table of classes. */
#include "web/http.h"

#include "base/err.h"

enum { METHOD_LONGEST = 32, LINE_EXTRA = sizeof "OPTIONS  HTTP/1.1" - 1, AUTHORITY_MAX = 262 };

/* ---- classes of bytes ------------------------------------------------------------------------ */
enum {
    TCHAR = 1, /* RFC 9110 5.6.2 */
    PATH = 2,  /* RFC 3986 pchar and "/", without "%" */
    QUERY = 4, /* the same, "?", and what browsers leave as it is in a query: [ ] { } | \ ^ ` */
    VALUE = 8, /* RFC 9110 5.5, with SP and HTAB inside */
    NAME = 16, /* of a host: letters, digits, "-", ".", "_", "~" */
    HEX = 32,
};
enum { ALL = TCHAR | PATH | QUERY | VALUE, PQV = PATH | QUERY | VALUE };

/* clang-format off */
static const unsigned char class_of[256] = {
    ['\t'] = VALUE, [' '] = VALUE, ['!'] = ALL, ['"'] = VALUE, ['#'] = TCHAR | VALUE, ['$'] = ALL,
    ['%'] = TCHAR | VALUE, ['&'] = ALL, ['\''] = ALL, ['('] = PQV, [')'] = PQV, ['*'] = ALL,
    ['+'] = ALL, [','] = PQV, ['-'] = ALL | NAME, ['.'] = ALL | NAME, ['/'] = PQV,
    ['0' ... '9'] = ALL | NAME | HEX, [':'] = PQV, [';'] = PQV, ['<'] = VALUE, ['='] = PQV,
    ['>'] = VALUE, ['?'] = QUERY | VALUE, ['@'] = PQV, ['A' ... 'F'] = ALL | NAME | HEX,
    ['G' ... 'Z'] = ALL | NAME, ['['] = QUERY | VALUE, ['\\'] = QUERY | VALUE,
    [']'] = QUERY | VALUE, ['^'] = TCHAR | QUERY | VALUE, ['_'] = ALL | NAME,
    ['`'] = TCHAR | QUERY | VALUE, ['a' ... 'f'] = ALL | NAME | HEX, ['g' ... 'z'] = ALL | NAME,
    ['{'] = QUERY | VALUE, ['|'] = TCHAR | QUERY | VALUE, ['}'] = QUERY | VALUE,
    ['~'] = ALL | NAME, [0x80 ... 0xff] = VALUE,
};
/* clang-format on */

static bool is(char c, unsigned classes)
{
    return class_of[(unsigned char)c] & classes;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static unsigned hex_value(char c)
{
    return is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a') + 10;
}

/* Where the run of bytes of these classes ends. */
static const char *run(const char *p, const char *end, unsigned classes)
{
    while (p < end && is(*p, classes))
        p++;
    return p;
}

/* Eight bytes at a time while none is a control character: values are most of a head. */
static bool value_ok(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (; end - p >= 8; p += 8) {
        uint64_t w, del;
        memcpy(&w, p, 8);
        del = w ^ (ones * 0x7f);
        if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & tops)
            break; /* one of them may be a tab */
    }
    return run(p, end, VALUE) == end;
}

/* ---- tables ---------------------------------------------------------------------------------- */
/* clang-format off */
static const struct str methods[] = {
    [HTTP_GET] = STR("GET"),       [HTTP_HEAD] = STR("HEAD"),       [HTTP_POST] = STR("POST"),
    [HTTP_PUT] = STR("PUT"),       [HTTP_PATCH] = STR("PATCH"),     [HTTP_DELETE] = STR("DELETE"),
    [HTTP_OPTIONS] = STR("OPTIONS"),
};
/* clang-format on */

const char *http_method_name(enum http_method m)
{
    return (unsigned)m < HTTP_METHOD_COUNT ? methods[m].p : "";
}

const char *http_status_text(int status)
{
    /* clang-format off */
    static const char *const text[600] = {
        [100] = "Continue", [101] = "Switching Protocols", [102] = "Processing",
        [103] = "Early Hints",
        [200] = "OK", [201] = "Created", [202] = "Accepted",
        [203] = "Non-Authoritative Information", [204] = "No Content", [205] = "Reset Content",
        [206] = "Partial Content", [207] = "Multi-Status",
        [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found",
        [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
        [308] = "Permanent Redirect",
        [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
        [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
        [406] = "Not Acceptable", [407] = "Proxy Authentication Required",
        [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone", [411] = "Length Required",
        [412] = "Precondition Failed", [413] = "Content Too Large", [414] = "URI Too Long",
        [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
        [417] = "Expectation Failed", [421] = "Misdirected Request",
        [422] = "Unprocessable Content", [423] = "Locked", [424] = "Failed Dependency",
        [425] = "Too Early", [426] = "Upgrade Required", [428] = "Precondition Required",
        [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
        [451] = "Unavailable For Legal Reasons",
        [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
        [503] = "Service Unavailable", [504] = "Gateway Timeout",
        [505] = "HTTP Version Not Supported", [507] = "Insufficient Storage",
        [511] = "Network Authentication Required",
    };
    /* clang-format on */
    return status >= 0 && status < 600 && text[status] ? text[status] : "Unknown";
}

struct str http_header_get(const struct http_head *h, const char *name)
{
    struct str want = str_from(name);
    for (size_t i = 0; i < h->n_headers; i++)
        if (h->headers[i].name.n == want.n && str_eq_nocase(h->headers[i].name, want))
            return h->headers[i].value;
    return STR_NONE;
}

bool http_field_ok(struct str name, struct str value)
{
    return name.n > 0 && run(name.p, name.p + name.n, TCHAR) == name.p + name.n &&
           (value.n == 0 || value_ok(value.p, value.p + value.n));
}

/* ---- lines ----------------------------------------------------------------------------------- */
struct lines {
    const char *end[HTTP_HEADERS_MAX + 1]; /* at their CR; the first is the start line's */
    size_t n, used;
};

/* Gives 0, a status, or -1 when the head is not whole. Every prefix of a head gives -1 or what the
 * whole gives. */
static int lines_find(struct str in, size_t first_max, struct lines *l)
{
    const char *p = in.p, *all_end = in.p + in.n;
    const char *end = in.n > HTTP_HEAD_MAX ? in.p + HTTP_HEAD_MAX : all_end;
    for (l->n = 0;; l->n++) {
        const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        if (l->n == 0 && (size_t)((lf ? lf + 1 : end) - p) > first_max)
            return 414;
        if (!lf)
            return end - in.p == HTTP_HEAD_MAX ? 431 : -1;
        if (lf == in.p || lf[-1] != '\r')
            return 400;
        if (lf - 1 == p && l->n > 0) {
            l->used = (size_t)(lf + 1 - in.p);
            return 0;
        }
        if (l->n == COUNT_OF(l->end))
            return 431;
        l->end[l->n] = lf - 1;
        p = lf + 1;
    }
}

/* ---- fields ---------------------------------------------------------------------------------- */
enum {
    HAS_HOST = 1,
    HAS_LENGTH = 2,
    HAS_CODING = 4,
    HAS_UPGRADE = 8,
    SAYS_CLOSE = 16,
    SAYS_KEEP = 32,
    SAYS_UPGRADE = 64,
    HAS_AUTHORIZATION = 128
};

/* Each returns 0 or the status that refuses the message. */
typedef int field_fn(struct http_head *h, unsigned *seen, struct str v);

static bool authority_ok(struct str v)
{
    const char *p = v.p, *end = v.p + v.n;
    if (v.n == 0 || v.n > AUTHORITY_MAX)
        return false;
    if (*p == '[') { /* IPv6 */
        p++;
        while (p < end && (is(*p, HEX) || *p == ':' || *p == '.'))
            p++;
        if (p == v.p + 1 || p == end || *p != ']')
            return false;
        p++;
    } else {
        p = run(p, end, NAME);
        if (p == v.p)
            return false;
    }
    if (p == end)
        return true;
    if (*p != ':' || end - p > 6) /* at most five digits; none is what RFC 3986 allows too */
        return false;
    p++;
    while (p < end && is_digit(*p))
        p++;
    return p == end;
}

static int on_host(struct http_head *h, unsigned *seen, struct str v)
{
    if (h->is_response)
        return 0;
    if ((*seen & HAS_HOST) || !authority_ok(v))
        return 400;
    *seen |= HAS_HOST;
    h->host = v;
    return 0;
}

static int on_length(struct http_head *h, unsigned *seen, struct str v)
{
    uint64_t n;
    if ((*seen & HAS_LENGTH) || !str_to_u64(v, &n) || n > INT64_MAX)
        return 400;
    *seen |= HAS_LENGTH;
    h->content_length = (int64_t)n;
    return 0;
}

/* RFC 9112 6.3: "chunked" must be the last coding (400); before it, one we do not know is a 501. */
static int on_coding(struct http_head *h, unsigned *seen, struct str v)
{
    struct str part;
    bool known_last = false;
    if ((*seen & HAS_CODING) || h->minor == 0)
        return 400;
    *seen |= HAS_CODING;
    h->chunked = str_eq_nocase(v, STR("chunked"));
    if (h->chunked || v.n == 0)
        return h->chunked ? 0 : 400;
    while (str_split(&v, ',', &part)) {
        part = str_trim(part);
        if (known_last || part.n == 0) /* chunked twice, or followed */
            return 400;
        known_last = str_eq_nocase(part, STR("chunked"));
    }
    return known_last ? 501 : 400;
}

static int on_connection(struct http_head *h, unsigned *seen, struct str v)
{
    struct str part;
    (void)h;
    while (v.n && str_split(&v, ',', &part)) {
        part = str_trim(part);
        if (str_eq_nocase(part, STR("close")))
            *seen |= SAYS_CLOSE;
        else if (str_eq_nocase(part, STR("keep-alive")))
            *seen |= SAYS_KEEP;
        else if (str_eq_nocase(part, STR("upgrade")))
            *seen |= SAYS_UPGRADE;
    }
    return 0;
}

static int on_expect(struct http_head *h, unsigned *seen, struct str v)
{
    (void)seen;
    if (h->is_response)
        return 0;
    if (!str_eq_nocase(v, STR("100-continue")))
        return 417;
    h->expect_continue = h->minor > 0; /* RFC 9110 10.1.1: from a 1.0 client it is ignored */
    return 0;
}

static int on_upgrade(struct http_head *h, unsigned *seen, struct str v)
{
    (void)h, (void)v;
    *seen |= HAS_UPGRADE;
    return 0;
}

/* A proxy may believe one of two, we the other. */
static int on_authorization(struct http_head *h, unsigned *seen, struct str v)
{
    (void)v;
    if (!h->is_response && (*seen & HAS_AUTHORIZATION))
        return 400;
    *seen |= HAS_AUTHORIZATION;
    return 0;
}

/* By the length of their names, which all differ. */
static const struct {
    const char *name;
    field_fn *fn;
} fields[] = {
    [4] = {"host", on_host},
    [6] = {"expect", on_expect},
    [7] = {"upgrade", on_upgrade},
    [10] = {"connection", on_connection},
    [13] = {"authorization", on_authorization},
    [14] = {"content-length", on_length},
    [17] = {"transfer-encoding", on_coding},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A line that begins with white space (obs-fold) has no name, so it is refused like any other. */
static int field_read(const char *p, const char *end, struct http_head *h, unsigned *seen)
{
    const char *colon = run(p, end, TCHAR);
    if (colon == p || colon == end || *colon != ':')
        return 400;
    struct str name = str_of(p, (size_t)(colon - p));
    p = colon + 1;
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    if (!value_ok(p, end))
        return 400;
    struct str value = str_of(p, (size_t)(end - p));
    h->headers[h->n_headers++] = (struct http_header){name, value};
    if (name.n < COUNT_OF(fields) && fields[name.n].fn &&
        str_eq_nocase(name, str_of(fields[name.n].name, name.n)))
        return fields[name.n].fn(h, seen, value);
    return 0;
}

static int fields_read(const struct lines *l, struct http_head *h, unsigned *seen)
{
    for (size_t i = 1; i < l->n; i++) {
        int status = field_read(l->end[i - 1] + 2, l->end[i], h, seen);
        if (status)
            return status;
    }
    if ((*seen & HAS_LENGTH) && (*seen & HAS_CODING))
        return 400;
    h->keep_alive = !(*seen & SAYS_CLOSE) && (h->minor > 0 || (*seen & SAYS_KEEP));
    h->upgrade = h->minor > 0 && (*seen & HAS_UPGRADE) && (*seen & SAYS_UPGRADE);
    return 0;
}

/* The headers themselves are not cleared: n_headers says which are there. */
static void head_clear(struct http_head *h, bool is_response)
{
    h->is_response = is_response;
    h->method = HTTP_GET;
    h->target = h->path = h->query = h->host = STR_NONE;
    h->status = h->minor = 0;
    h->n_headers = 0;
    h->content_length = -1;
    h->chunked = h->keep_alive = h->expect_continue = h->upgrade = false;
}

/* "HTTP/1.0" or "HTTP/1.1": 0; another version: 505; not a version: 400. */
static int version_read(const char *p, int *minor)
{
    if (memcmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' || !is_digit(p[7]))
        return 400;
    *minor = p[7] - '0';
    return p[5] == '1' && *minor <= 1 ? 0 : 505;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Looked at before the rest, so that what is not HTTP at all is refused at its first bytes. */
static int method_read(struct str in, enum http_method *m)
{
    const char *end = in.p + (in.n < METHOD_LONGEST ? in.n : METHOD_LONGEST);
    const char *p = run(in.p, end, TCHAR);
    struct str name = str_of(in.p, (size_t)(p - in.p));
    if (p == end)
        return in.n < METHOD_LONGEST ? -1 : 501;
    if (*p != ' ' || name.n == 0)
        return 400;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (str_eq(name, methods[i])) {
            *m = (enum http_method)i;
            return 0;
        }
    return str_eq(name, STR("CONNECT")) || str_eq(name, STR("TRACE")) ? 405 : 501;
}

/* A run where "%" stands before two hexadecimal digits only. */
static const char *run_escaped(const char *p, const char *end, unsigned classes)
{
    for (;;) {
        p = run(p, end, classes);
        if (end - p < 3 || p[0] != '%' || !is(p[1], HEX) || !is(p[2], HEX))
            return p;
        p += 3;
    }
}

static bool path_and_query_read(const char *p, const char *end, struct http_head *h)
{
    const char *q = run_escaped(p, end, PATH);
    h->path = q > p ? str_of(p, (size_t)(q - p)) : STR("/");
    if (q == end)
        return true;
    if (*q++ != '?')
        return false;
    h->query = str_of(q, (size_t)(end - q));
    return run_escaped(q, end, QUERY) == end;
}

bool http_target_ok(struct str t)
{
    struct http_head h;
    return t.n > 0 && t.n <= HTTP_TARGET_MAX && t.p[0] == '/' &&
           path_and_query_read(t.p, t.p + t.n, &h);
}

static int target_read(struct http_head *h, struct str *authority)
{
    const char *p = h->target.p, *end = p + h->target.n;
    if (*p == '/')
        return path_and_query_read(p, end, h) ? 0 : 400;
    if (h->target.n == 1 && *p == '*' && h->method == HTTP_OPTIONS) {
        h->path = h->target;
        return 0;
    }
    size_t scheme = h->target.n > 7 && str_eq_nocase(str_of(p, 7), STR("http://"))    ? 7
                    : h->target.n > 8 && str_eq_nocase(str_of(p, 8), STR("https://")) ? 8
                                                                                      : 0;
    if (!scheme)
        return 400;
    p += scheme;
    const char *slash = p;
    while (slash < end && *slash != '/' && *slash != '?')
        slash++;
    *authority = str_of(p, (size_t)(slash - p));
    return authority_ok(*authority) && path_and_query_read(slash, end, h) ? 0 : 400;
}

static int request_line_read(struct str line, struct http_head *h, struct str *authority)
{
    size_t before = methods[h->method].n + 1, after = sizeof " HTTP/1.1" - 1;
    if (line.n < before + 1 + after || line.p[line.n - after] != ' ')
        return 400;
    int status = version_read(line.p + line.n - after + 1, &h->minor);
    if (status)
        return status;
    h->target = str_of(line.p + before, line.n - before - after);
    return h->target.n > HTTP_TARGET_MAX ? 414 : target_read(h, authority);
}

static int request_read(struct str in, struct http_head *h, struct lines *l)
{
    struct str authority = STR_NONE;
    unsigned seen = 0;
    head_clear(h, false);
    int status = method_read(in, &h->method);
    if (!status)
        status = lines_find(in, HTTP_TARGET_MAX + LINE_EXTRA + 2, l);
    if (!status)
        status = request_line_read(str_of(in.p, (size_t)(l->end[0] - in.p)), h, &authority);
    if (!status)
        status = fields_read(l, h, &seen);
    if (status)
        return status;
    if (!(seen & HAS_HOST) && h->minor > 0)
        return 400;
    if (authority.p && (seen & HAS_HOST) && !str_eq_nocase(authority, h->host))
        return 400;
    if (authority.p)
        h->host = authority;
    return 0;
}

enum err http_read_request(struct str in, struct http_head *out, size_t *used, int *status)
{
    struct lines l;
    *used = 0;
    *status = request_read(in, out, &l);
    if (*status < 0) {
        *status = 0;
        return ERR_AGAIN;
    }
    if (*status)
        return *status == 414 || *status == 431 ? ERR_LIMIT : ERR_INVALID;
    *used = l.used;
    return ERR_OK;
}

/* ---- responses ------------------------------------------------------------------------------- */
static bool status_line_read(struct str line, struct http_head *h)
{
    if (line.n < sizeof "HTTP/1.1 200 " - 1 || version_read(line.p, &h->minor) != 0 ||
        line.p[8] != ' ' || line.p[12] != ' ' || line.p[9] < '1' || line.p[9] > '5' ||
        !is_digit(line.p[10]) || !is_digit(line.p[11]))
        return false;
    h->status = (line.p[9] - '0') * 100 + (line.p[10] - '0') * 10 + (line.p[11] - '0');
    return value_ok(line.p + 13, line.p + line.n);
}

/* RFC 9112 6.3: how long the body is, whatever the fields say about another one. */
static bool response_frame(struct http_head *h, bool to_head_request)
{
    bool never = h->status < 200 || h->status == 204;
    if (never && (h->chunked || h->content_length > 0))
        return false; /* somebody else might take the next bytes for its body */
    if (never || to_head_request || h->status == 304) {
        h->content_length = 0;
        h->chunked = false;
    } else if (!h->chunked && h->content_length < 0) {
        h->keep_alive = false; /* until close */
    }
    return true;
}

enum err http_read_response(struct str in, bool to_head_request, struct http_head *out,
                            size_t *used)
{
    static const char begin[] = "HTTP/1.";
    size_t n = in.n < sizeof begin - 1 ? in.n : sizeof begin - 1;
    struct lines l;
    unsigned seen = 0;
    *used = 0;
    head_clear(out, true);
    if (n && memcmp(in.p, begin, n) != 0)
        return ERR_INVALID;
    int status = lines_find(in, HTTP_HEAD_MAX, &l);
    if (status)
        return status < 0 ? ERR_AGAIN : status == 400 ? ERR_INVALID : ERR_LIMIT;
    if (!status_line_read(str_of(in.p, (size_t)(l.end[0] - in.p)), out) ||
        fields_read(&l, out, &seen) != 0 || !response_frame(out, to_head_request))
        return ERR_INVALID;
    *used = l.used;
    return ERR_OK;
}

/* ---- chunked bodies -------------------------------------------------------------------------- */
enum { EXTENSION_MAX = 256, SIZE_DIGITS_MAX = 16, TRAILERS_MAX = 8 * 1024 };
enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_END,
    CHUNK_BROKEN
};

static int chunk_size(struct http_chunked *c, char b)
{
    if (is(b, HEX)) {
        if (c->line++ == SIZE_DIGITS_MAX || c->left >> 59)
            return CHUNK_BROKEN; /* the top bits stay free: nobody's sums overflow */
        c->left = c->left << 4 | hex_value(b);
        return CHUNK_SIZE;
    }
    if (c->line == 0 || (b != '\r' && b != ';'))
        return CHUNK_BROKEN;
    c->line = 0;
    return b == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
}

static int chunk_size_lf(struct http_chunked *c, char b)
{
    c->line = 0;
    return b != '\n' ? CHUNK_BROKEN : c->left ? CHUNK_DATA : CHUNK_TRAILER;
}

static int chunk_extension(struct http_chunked *c, char b)
{
    if (b == '\r')
        return CHUNK_SIZE_LF;
    return ++c->line > EXTENSION_MAX || !is(b, VALUE) ? CHUNK_BROKEN : CHUNK_EXTENSION;
}

static int chunk_trailer(struct http_chunked *c, char b)
{
    bool first = c->state == CHUNK_TRAILER, name = first || c->state == CHUNK_TRAILER_NAME;
    if (++c->line > TRAILERS_MAX)
        return CHUNK_BROKEN;
    if (b == '\r')
        return first ? CHUNK_END_LF : name ? CHUNK_BROKEN : CHUNK_TRAILER_LF;
    if (name && b == ':' && !first)
        return CHUNK_TRAILER_VALUE;
    if (!is(b, name ? TCHAR : VALUE))
        return CHUNK_BROKEN;
    return name ? CHUNK_TRAILER_NAME : CHUNK_TRAILER_VALUE;
}

/* The state after a byte that is not content. */
static int chunk_step(struct http_chunked *c, char b)
{
    /* clang-format off */
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE: return chunk_size(c, b);
    case CHUNK_EXTENSION: return chunk_extension(c, b);
    case CHUNK_SIZE_LF: return chunk_size_lf(c, b);
    case CHUNK_DATA_CR: return b == '\r' ? CHUNK_DATA_LF : CHUNK_BROKEN;
    case CHUNK_DATA_LF: return b == '\n' ? CHUNK_SIZE : CHUNK_BROKEN;
    case CHUNK_TRAILER_LF: return b == '\n' ? CHUNK_TRAILER : CHUNK_BROKEN;
    case CHUNK_END_LF: return b == '\n' ? CHUNK_END : CHUNK_BROKEN;
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE: return chunk_trailer(c, b);
    case CHUNK_DATA:
    case CHUNK_END:
    case CHUNK_BROKEN: break;
    }
    /* clang-format on */
    return CHUNK_BROKEN;
}

enum err http_chunked_read(struct http_chunked *c, struct str *in, struct str *data, bool *last)
{
    *data = STR_NONE;
    *last = c->state == CHUNK_END;
    while (in->n && c->state != CHUNK_DATA && c->state < CHUNK_END) {
        c->state = chunk_step(c, *in->p);
        in->p++, in->n--;
    }
    if (c->state == CHUNK_BROKEN)
        return ERR_INVALID;
    *last = c->state == CHUNK_END;
    if (*last || in->n == 0)
        return *last ? ERR_OK : ERR_AGAIN;
    size_t n = c->left < in->n ? (size_t)c->left : in->n;
    *data = str_of(in->p, n);
    in->p += n, in->n -= n;
    c->left -= n;
    if (c->left == 0)
        c->state = CHUNK_DATA_CR;
    return ERR_OK;
}
