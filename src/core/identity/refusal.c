#include "core/identity/refusal.h"

#include "base/codec.h"
#include "base/log.h"
#include "core/identity/client.h"

/* The name before the colon of "Basic ...". */
static struct str basic_name(struct ctx *c, struct str header)
{
    struct str text, name;
    if (!str_eq_nocase(str_sub(header, 0, 6), STR("Basic ")) ||
        codec_base64(c->arena, str_trim(str_after(header, 6)), &text) != ERR_OK)
        return STR_NONE;
    ptrdiff_t colon = str_find_char(text, ':');
    struct str raw = str_sub(text, 0, colon < 0 ? 0 : (size_t)colon);
    return codec_url(c->arena, raw, true, &name) == ERR_OK ? name : raw;
}

/* A member of a JWT's payload. Nothing of it is believed: it only says where to write. */
static struct str payload_name(struct ctx *c, struct str compact, const char *member)
{
    struct str rest = compact, part, text;
    json_t *v;
    if (!str_split(&rest, '.', &part) || !rest.n || !str_split(&rest, '.', &part) ||
        codec_base64url(c->arena, part, &text) != ERR_OK || json_read(text, &v, NULL) != ERR_OK)
        return STR_NONE;
    struct str found = json_get_str(json_own(&c->pool, v), member);
    return found.n ? found : STR_NONE;
}

static struct str client_named(struct ctx *c)
{
    struct str header = ctx_header(c, "Authorization"), name = ctx_form(c, "client_id");
    if (!name.p)
        name = ctx_query(c, "client_id");
    if (!name.p && ctx_form(c, "client_assertion").p)
        name = payload_name(c, ctx_form(c, "client_assertion"), "sub");
    if (!name.p && header.p)
        name = basic_name(c, header);
    ptrdiff_t blank = header.p ? str_find_char(header, ' ') : -1;
    if (!name.p && blank > 0)
        name = payload_name(c, str_trim(str_after(header, (size_t)blank)), "client_id");
    return name;
}

static struct str without_query(struct str url)
{
    enum { SENT_MAX = 200 };
    size_t n = 0;
    while (n < url.n && n < SENT_MAX && url.p[n] != '?' && url.p[n] != '#')
        n++;
    struct str s = str_sub(url, 0, n);
    return str_is_utf8(s) ? s : STR("");
}

void refusal_note(struct ctx *c, struct str client_id, const char *code, const char *why,
                  struct str sent)
{
    json_t *out;
    struct client *known;
    struct str name = client_id.p ? client_id : client_named(c), url = without_query(sent);
    if (!name.n || name.n > 64 || !str_is_utf8(name) || client_get_any(c, name, &known) != ERR_OK)
        return;
    json_t *args =
        json_pack("{s:s%,s:s,s:s,s:s%,s:s}", "client_id", name.p, name.n, "code", code, "why",
                  why ? why : "", "sent", url.p ? url.p : "", url.n, "trace", c->trace_id);
    enum err e = args ? platform_call(c, "partners.refusal", args, &out) : ERR_OK;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        log_warn("refusal_not_noted", "trace", c->trace_id, "error", err_name(e));
    json_decref(args);
}
