/* RFC 5424 messages and their frames (RFC 6587, RFC 5425). What is sent by strangers' programs is
 * read leniently: a message that is wrong somewhere is kept whole, because losing it would hide
 * what went wrong. */
#include "core/traces/traces.h"

#include "base/clock.h"

enum { FRAME_MAX = 16 * 1024, COUNT_DIGITS = 6 };

bool trace_frame_next(struct str *rest, struct str *frame, enum err *err)
{
    uint64_t length;
    *err = ERR_OK;
    if (rest->n == 0)
        return false;
    if (rest->p[0] >= '1' && rest->p[0] <= '9') { /* octet counting */
        ptrdiff_t blank = str_find_char(str_sub(*rest, 0, COUNT_DIGITS + 1), ' ');
        if (blank < 0) {
            *err = rest->n > COUNT_DIGITS ? ERR_INVALID : ERR_OK;
            return false;
        }
        if (!str_to_u64(str_sub(*rest, 0, (size_t)blank), &length)) {
            *err = ERR_INVALID;
            return false;
        }
        if (length > FRAME_MAX) {
            *err = ERR_LIMIT;
            return false;
        }
        if (rest->n < (size_t)blank + 1 + length)
            return false;
        *frame = str_sub(*rest, (size_t)blank + 1, (size_t)length);
        *rest = str_after(*rest, (size_t)blank + 1 + (size_t)length);
        return true;
    }
    if (rest->p[0] != '<') {
        *err = ERR_INVALID;
        return false;
    }
    ptrdiff_t end = str_find_char(str_sub(*rest, 0, FRAME_MAX + 1), '\n');
    if (end < 0) {
        *err = rest->n > FRAME_MAX ? ERR_LIMIT : ERR_OK;
        return false;
    }
    *frame = str_trim(str_sub(*rest, 0, (size_t)end));
    *rest = str_after(*rest, (size_t)end + 1);
    return true;
}

/* ---- one message
 * ---------------------------------------------------------------------------------
 */
static bool word(struct str *rest, struct str *out)
{
    ptrdiff_t blank = str_find_char(*rest, ' ');
    if (blank <= 0)
        return false;
    *out = str_sub(*rest, 0, (size_t)blank);
    *rest = str_after(*rest, (size_t)blank + 1);
    if (str_eq_z(*out, "-"))
        *out = STR("");
    return true;
}

static bool priority(struct str *rest, struct trace_event *e)
{
    uint64_t v;
    ptrdiff_t end = str_find_char(str_sub(*rest, 0, 5), '>');
    if (end < 2 || rest->p[0] != '<' || !str_to_u64(str_sub(*rest, 1, (size_t)end - 1), &v) ||
        v > 191)
        return false;
    e->severity = (uint8_t)(v & 7);
    e->facility = (uint8_t)(v >> 3);
    *rest = str_after(*rest, (size_t)end + 1);
    return true;
}

static void param_take(struct trace_event *e, struct str name, struct str value)
{
    static const char *const named[] = {"", "ok", "failed", "refused"};
    if (str_eq_z(name, "outcome"))
        for (size_t i = 1; i < COUNT_OF(named); i++)
            if (str_eq_z(value, named[i]))
                e->outcome = (uint8_t)i;
    for (size_t i = T_EVENT; i < T_MESSAGE; i++)
        if (str_eq_z(name, trace_text_names[i]))
            e->texts[i] = str_sub(value, 0, TRACE_TEXT_MAX);
}

/* name="value" with \" \\ \] escaped (RFC 5424 6.3.3). */
static bool param(struct arena *a, struct str *rest, struct trace_event *e)
{
    ptrdiff_t eq = str_find(*rest, STR("=\""));
    if (eq <= 0)
        return false;
    struct str name = str_sub(*rest, 0, (size_t)eq);
    char *value = arena_alloc(a, rest->n);
    size_t n = 0, i = (size_t)eq + 2;
    for (; i < rest->n && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n && strchr("\"\\]", rest->p[i + 1]))
            i++;
        value[n++] = rest->p[i];
    }
    if (i == rest->n)
        return false;
    *rest = str_after(*rest, i + 1);
    param_take(e, name, str_of(value, n));
    return true;
}

static bool structured(struct arena *a, struct str *rest, struct trace_event *e)
{
    if (rest->n && rest->p[0] == '-') {
        *rest = str_after(*rest, 1);
        return true;
    }
    if (!rest->n || rest->p[0] != '[')
        return false;
    while (rest->n && rest->p[0] == '[') {
        size_t id = 1;
        while (id < rest->n && rest->p[id] != ' ' && rest->p[id] != ']')
            id++;
        *rest = str_after(*rest, id);
        while (rest->n && rest->p[0] == ' ') {
            *rest = str_after(*rest, 1);
            if (!param(a, rest, e))
                return false;
        }
        if (!rest->n || rest->p[0] != ']')
            return false;
        *rest = str_after(*rest, 1);
    }
    return true;
}

static bool rfc5424(struct arena *a, struct str line, int64_t now_ms, struct trace_event *e)
{
    struct str rest = line, version, time, process, id;
    if (!priority(&rest, e) || !word(&rest, &version) || !str_eq_z(version, "1") ||
        !word(&rest, &time) || !word(&rest, &e->texts[T_HOST]) || !word(&rest, &e->texts[T_APP]) ||
        !word(&rest, &process) || !word(&rest, &id))
        return false;
    if (time.n && !clock_rfc3339_read(time, &e->at_ms))
        return false;
    if (e->at_ms > now_ms + 86400000)
        e->at_ms = now_ms;
    if (!structured(a, &rest, e))
        return false;
    if (!e->texts[T_EVENT].n)
        e->texts[T_EVENT] = id;
    if (rest.n && rest.p[0] == ' ')
        rest = str_after(rest, 1);
    if (str_starts(rest, STR("\xEF\xBB\xBF")))
        rest = str_after(rest, 3);
    e->texts[T_MESSAGE] = rest;
    return true;
}

/* Bytes that are no UTF-8 become '?': the rest of the message still says something. */
static struct str as_utf8(struct arena *a, struct str s)
{
    s = str_sub(s, 0, TRACE_TEXT_MAX);
    char *p = arena_alloc(a, s.n);
    for (size_t i = 0; i < s.n;) {
        size_t n = str_utf8_len(s.p + i, s.n - i);
        bool good = n && s.p[i] != '\0';
        memcpy(p + i, good ? s.p + i : "?", good ? n : 1);
        i += good ? n : 1;
    }
    return str_of(p, s.n);
}

void trace_event_from_syslog(struct arena *a, struct str line, int64_t now_ms,
                             struct trace_event *out)
{
    struct trace_event fresh = {
        .at_ms = now_ms, .severity = SEVERITY_INFO, .facility = 1, .texts[T_MESSAGE] = line};
    *out = fresh;
    out->texts[T_MESSAGE] = STR("");
    if (!rfc5424(a, line, now_ms, out)) {
        struct trace_event e = fresh;
        struct str rest = line;
        if (priority(&rest, &e))
            e.texts[T_MESSAGE] = rest;
        *out = e;
    }
    for (size_t i = 0; i < TRACE_TEXTS; i++)
        out->texts[i] = as_utf8(a, out->texts[i]);
    trace_event_understand(a, out);
}
