/* An event: out of JSON, and what plain words of well-known programs tell. */
#include "core/traces/traces.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>
#include "data/fold.h"

const char *const trace_text_names[TRACE_TEXTS] = {"host",   "app",     "event", "actor",
                                                   "object", "address", "trace", "message"};
const char *const trace_severity_names[8] = {"emerg",   "alert",  "crit", "err",
                                             "warning", "notice", "info", "debug"};
static const char *const outcomes[] = {"", "ok", "failed", "refused"};

/* ---- JSON ---------------------------------------------------------------------------------------
 */
static bool time_of(const json_t *v, int64_t now_ms, int64_t *out)
{
    *out = now_ms;
    if (json_is_integer(v))
        *out = json_integer_value(v);
    else if (v && !(json_is_string(v) && clock_rfc3339_read(str_from(json_string_value(v)), out)))
        return false;
    if (*out > now_ms + 86400000)
        *out = now_ms; /* a clock that is wrong must not hide what it says */
    return *out >= 0;
}

static bool name_of(const json_t *v, const char *const *names, size_t n, uint8_t *out)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < (json_int_t)n)
        *out = (uint8_t)json_integer_value(v);
    else if (v) {
        size_t i = 0;
        const char *z = json_is_string(v) ? json_string_value(v) : "?";
        while (i < n && strcmp(z, names[i]) != 0)
            i++;
        if (i == n)
            return false;
        *out = (uint8_t)i;
    }
    return true;
}

static bool member_is_known(const char *key)
{
    for (size_t i = 0; i < TRACE_TEXTS; i++)
        if (strcmp(key, trace_text_names[i]) == 0)
            return true;
    return strcmp(key, "time") == 0 || strcmp(key, "severity") == 0 || strcmp(key, "outcome") == 0;
}

/* What has no place of its own is said in the message: nothing is dropped. */
static struct str message_with(struct arena *a, const json_t *v, struct str message)
{
    const char *key;
    json_t *m;
    json_object_foreach((json_t *)v, key, m)
    {
        if (member_is_known(key))
            continue;
        struct str text = json_is_string(m) ? json_get_str(v, key) : json_text(a, m);
        message = arena_printf(a, STR_FMT "%s%s=" STR_FMT, STR_ARG(message), message.n ? " " : "",
                               key, STR_ARG(text));
    }
    return str_sub(message, 0, TRACE_TEXT_MAX);
}

enum err trace_event_from_json(struct arena *a, const json_t *v, int64_t now_ms,
                               struct trace_event *out, const char **rule)
{
    *out = (struct trace_event){.severity = SEVERITY_INFO, .facility = 1};
    *rule = "an event is an object";
    if (!json_is_object(v))
        return ERR_INVALID;
    *rule = "time: RFC 3339 or milliseconds since 1970";
    if (!time_of(json_get(v, "time"), now_ms, &out->at_ms))
        return ERR_INVALID;
    *rule = "severity: 0 to 7, or emerg, alert, crit, err, warning, notice, info, debug";
    if (!name_of(json_get(v, "severity"), trace_severity_names, 8, &out->severity))
        return ERR_INVALID;
    *rule = "outcome: ok, failed or refused";
    if (!name_of(json_get(v, "outcome"), outcomes, COUNT_OF(outcomes), &out->outcome))
        return ERR_INVALID;
    for (size_t i = 0; i < TRACE_TEXTS; i++) {
        const json_t *m = json_get(v, trace_text_names[i]);
        *rule = "host, app, event, actor, object, address, trace and message are texts of 2,048 "
                "bytes at most";
        if (m && (!json_is_string(m) || json_string_length(m) > TRACE_TEXT_MAX))
            return ERR_INVALID;
        out->texts[i] = json_get_str(v, trace_text_names[i]);
    }
    out->texts[T_MESSAGE] = message_with(a, v, out->texts[T_MESSAGE]);
    trace_event_understand(a, out);
    return ERR_OK;
}

/* ---- plain words
 * ----------------------------------------------------------------------------------
 */
/* The word behind a phrase; STR_NONE: the phrase is not there. */
static struct str word_after(struct str text, struct str phrase)
{
    ptrdiff_t at = str_find(text, phrase);
    if (at < 0)
        return STR_NONE;
    struct str rest = str_after(text, (size_t)at + phrase.n), word = STR("");
    if (str_starts(rest, STR("invalid user ")))
        rest = str_after(rest, 13);
    size_t n = 0;
    while (n < rest.n && rest.p[n] > ' ' && rest.p[n] != ',' && rest.p[n] != ';')
        n++;
    word = str_sub(rest, 0, n);
    return word;
}

/* As sshd, PAM and most mail and web servers write it; more is what `outcome` is for. */
static const struct {
    struct str phrase, actor, address;
} failures[] = {
    {{"Failed password", 15}, {" for ", 5}, {" from ", 6}},
    {{"Invalid user", 12}, {"Invalid user ", 13}, {" from ", 6}},
    {{"authentication failure", 22}, {" user=", 6}, {"rhost=", 6}},
    {{"Login failed", 12}, {" for ", 5}, {" from ", 6}},
    {{"authentication failed", 21}, {" user=", 6}, {" from ", 6}},
};

void trace_event_understand(struct arena *a, struct trace_event *e)
{
    struct str text = e->texts[T_MESSAGE];
    (void)a;
    for (size_t i = 0; i < COUNT_OF(failures) && e->outcome == OUTCOME_UNKNOWN; i++) {
        if (str_find(text, failures[i].phrase) < 0)
            continue;
        e->outcome = OUTCOME_FAILED;
        if (!e->texts[T_EVENT].n)
            e->texts[T_EVENT] = STR("login");
        if (!e->texts[T_ACTOR].n)
            e->texts[T_ACTOR] = word_after(text, failures[i].actor);
        if (!e->texts[T_ADDRESS].n)
            e->texts[T_ADDRESS] = word_after(text, failures[i].address);
    }
}

struct str trace_event_words(struct arena *a, const struct trace_event *e)
{
    struct str all = STR("");
    size_t n = 0;
    for (size_t i = 0; i < TRACE_TEXTS; i++)
        n += e->texts[i].n + 1;
    char *p = arena_alloc(a, n), *at = p;
    for (size_t i = 0; i < TRACE_TEXTS; i++) {
        if (!e->texts[i].n)
            continue;
        memcpy(at, e->texts[i].p, e->texts[i].n);
        at += e->texts[i].n;
        *at++ = ' ';
    }
    all = str_of(p, (size_t)(at - p));
    return text_fold(a, all);
}
