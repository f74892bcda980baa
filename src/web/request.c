/* What a head says, in the form handlers use: the decoded path, the host, the trace. */
#include "web/conn.h"

#include "base/codec.h"

/* A segment that means another folder, or nothing: servers behind us may disagree about it. */
static bool segment_ok(struct str s)
{
    return s.n > 0 && !str_eq_z(s, ".") && !str_eq_z(s, "..");
}

static bool has_encoded_slash(struct str raw)
{
    for (size_t i = 0; i + 2 < raw.n; i++)
        if (raw.p[i] == '%' && raw.p[i + 1] == '2' && (raw.p[i + 2] | 32) == 'f')
            return true;
    return false;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

enum err request_path(struct arena *a, struct str raw, struct str *out)
{
    struct str path = raw, rest, segment;
    if (str_eq_z(raw, "*")) { /* OPTIONS */
        *out = raw;
        return ERR_OK;
    }
    if (has_encoded_slash(raw))
        return ERR_INVALID;
    if (str_find_char(raw, '%') >= 0 && codec_url(a, raw, false, &path) != ERR_OK)
        return ERR_INVALID;
    if (path.n == 0 || path.p[0] != '/' || has_control(path) || !str_is_utf8(path))
        return ERR_INVALID;
    rest = str_after(path, 1);
    while (rest.n && str_split(&rest, '/', &segment)) /* an empty last one is a path's end "/" */
        if (!segment_ok(segment))
            return ERR_INVALID;
    *out = path;
    return ERR_OK;
}

struct str request_host(struct arena *a, struct str authority)
{
    size_t n = 0;
    bool bracket = authority.n && authority.p[0] == '[';
    while (n < authority.n && (bracket || authority.p[n] != ':'))
        if (authority.p[n++] == ']')
            bracket = false;
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++) {
        char b = authority.p[i];
        p[i] = b >= 'A' && b <= 'Z' ? (char)(b + 32) : b;
    }
    return str_of(p, n);
}

static bool all_hex(struct str s, bool *zero)
{
    *zero = true;
    for (size_t i = 0; i < s.n; i++) {
        char b = s.p[i];
        if (!((b >= '0' && b <= '9') || (b >= 'a' && b <= 'f')))
            return false;
        *zero &= b == '0';
    }
    return true;
}

/* W3C Trace Context 3.2: version "-" trace-id "-" parent-id "-" flags, lower-case hex; a later
 * version may go on after another "-". */
bool request_trace_id(const struct http_head *h, char out[33])
{
    static const struct {
        size_t at, n;
        bool may_be_zero;
    } parts[] = {{0, 2, true}, {3, 32, false}, {36, 16, false}, {53, 2, true}};
    struct str v = http_header_get(h, "traceparent");
    size_t n = parts[3].at + parts[3].n;
    if (v.n < n || v.p[2] != '-' || v.p[35] != '-' || v.p[52] != '-' || memcmp(v.p, "ff", 2) == 0 ||
        (v.n > n && (v.p[n] != '-' || memcmp(v.p, "00", 2) == 0)))
        return false;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bool zero;
        if (!all_hex(str_sub(v, parts[i].at, parts[i].n), &zero) || (zero && !parts[i].may_be_zero))
            return false;
    }
    memcpy(out, v.p + parts[1].at, parts[1].n);
    out[parts[1].n] = '\0';
    return true;
}
