/* The account's security pages, the page a mail leads to, and the operators' list of reports. */
#include "core/safety/safety.h"

#include "base/clock.h"
#include "base/log.h"
#include "platform/throttle.h"

static const struct fault f_link = {"SAF-410-LINK", 410, "safety", "Link Expired"};
static const struct fault f_none = {"SAF-404", 404, "safety", "No Such Session Or Device"};
static const struct fault f_strong = {"SAF-403-STRONG", 403, "safety", "Stronger Sign-In Needed"};
static const struct fault f_report = {"SAF-400-REPORT", 400, "safety", "Report Not Complete"};

static enum err home(struct ctx *c)
{
    return ctx_redirect(c, portal_url(c, "/account/security"));
}

static void words_put(struct ctx *c, json_t *v, const char *name, const char *from)
{
    json_object_set_new(
        v, name, json_str(clock_in_words(c->arena, json_get_i64(v, from, 0), c->lang, true)));
}

static void network_put(struct ctx *c, json_t *v)
{
    struct str n = json_get_str(v, "network");
    if (!n.n || str_eq_z(n, "local"))
        json_object_set_new(v, "network", json_str(safety_text(c, "network.local", NULL)));
}

static void action_put(struct ctx *c, json_t *v, const char *format)
{
    json_object_set_new(v, "action",
                        json_str(arena_printf(c->arena, "%s/%s", format, json_get_z(v, "id", ""))));
}

/* {"items": [...]} or nothing: lists that are empty are left out of a page. */
static void list_put(json_t *d, const char *name, json_t *list)
{
    if (json_array_size(json_get(list, "items")))
        json_object_set(d, name, list);
}

static enum err providers(struct ctx *c, json_t **out)
{
    json_t *args = json_pack("{s:s}", "realm", "citizens");
    enum err e = platform_call(c, "identity.providers", args, out);
    json_decref(args);
    return e;
}

static const json_t *name_of(const json_t *providers, struct str id)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_get(providers, "items"), i, p)
    {
        if (str_eq(json_get_str(p, "id"), id))
            return json_get(p, "name");
    }
    return NULL;
}

static void blocks_put(struct ctx *c, json_t *d, json_t *blocks, const json_t *known)
{
    size_t i;
    json_t *b, *p, *open = json_array();
    json_array_foreach(json_get(blocks, "items"), i, b)
    {
        const json_t *name = name_of(known, json_get_str(b, "provider"));
        words_put(c, b, "since", "at");
        if (name)
            json_object_set(b, "name", (json_t *)name);
        else
            json_object_set(b, "name", json_get(b, "provider"));
    }
    list_put(d, "blocks", blocks);
    json_array_foreach(json_get(known, "items"), i, p)
    {
        bool blocked = false;
        size_t k;
        json_array_foreach(json_get(blocks, "items"), k, b)
        {
            blocked |= str_eq(json_get_str(b, "provider"), json_get_str(p, "id"));
        }
        if (!blocked)
            json_array_append(open, p);
    }
    if (json_array_size(open))
        json_object_set_new(d, "open", json_pack("{s:O}", "items", open));
    json_decref(open);
}

/* GET /account/security */
enum err safety_page(struct ctx *c)
{
    json_t *sessions = NULL, *devices = NULL, *blocks = NULL, *known = NULL, *v, *d = json_object();
    size_t i, others = 0;
    enum err e = safety_sessions(c, &sessions);
    if (e == ERR_OK)
        e = safety_devices(c, &devices);
    if (e == ERR_OK)
        e = safety_blocks(c, c->session->subject, &blocks);
    if (e == ERR_OK)
        e = providers(c, &known);
    if (e != ERR_OK) {
        json_decref(d);
        return e;
    }
    json_array_foreach(json_get(sessions, "items"), i, v)
    {
        words_put(c, v, "since", "at");
        words_put(c, v, "seen", "seen_at");
        network_put(c, v);
        action_put(c, v, "/account/sessions");
        others += !json_get_bool(v, "here", false);
    }
    json_array_foreach(json_get(devices, "items"), i, v)
    {
        words_put(c, v, "seen", "last_at");
        network_put(c, v);
        action_put(c, v, "/account/devices");
    }
    list_put(d, "sessions", sessions);
    list_put(d, "devices", devices);
    blocks_put(c, d, blocks, known);
    json_object_set_new(d, "others", json_boolean(others > 0));
    json_object_set_new(d, "own_account", json_boolean(c->pf->settings->own_accounts));
    if (str_eq_z(ctx_query(c, "done"), "unblock"))
        json_object_set_new(d, "unblocked", json_true());
    return ctx_page(c, "safety/security", d);
}

/* ---- sessions and devices -----------------------------------------------------------------------
 */
enum err safety_page_session_end(struct ctx *c)
{
    size_t n;
    enum err e = safety_session_end(c, ctx_path(c, "id"), ctx_form(c, "access").n > 0, &n);
    return e == ERR_OK || e == ERR_NOT_FOUND ? home(c) : e; /* it may have ended meanwhile */
}

enum err safety_page_others_end(struct ctx *c)
{
    size_t n;
    enum err e = safety_session_end(c, STR(""), true, &n);
    return e == ERR_OK ? home(c) : e;
}

/* trust, untrust, forget: 1, 0, -1; -2: none of them */
static int device_action(struct ctx *c)
{
    struct str a = ctx_form(c, "action");
    return str_eq_z(a, "trust") ? 1 : str_eq_z(a, "untrust") ? 0 : str_eq_z(a, "forget") ? -1 : -2;
}

static enum err device_change(struct ctx *c)
{
    int action = device_action(c);
    enum err e = action == -2 ? ERR_INVALID : safety_device_set(c, ctx_path(c, "id"), action);
    return e == ERR_NOT_FOUND ? ctx_fail(c, &f_none, e, STR_NONE) : e;
}

enum err safety_page_device(struct ctx *c)
{
    enum err e = device_change(c);
    return e == ERR_OK || e == ERR_NOT_FOUND ? home(c) : e;
}

/* ---- blocks -------------------------------------------------------------------------------------
 */
static bool provider_known(struct ctx *c, struct str id, const json_t **name)
{
    json_t *known;
    *name = providers(c, &known) == ERR_OK ? name_of(known, id) : NULL;
    return *name != NULL;
}

/* GET /account/security/block?provider= : asks before. */
enum err safety_page_block(struct ctx *c)
{
    const json_t *name = NULL;
    struct str provider = ctx_query(c, "provider");
    if (provider.n && !provider_known(c, provider, &name))
        return ERR_NOT_FOUND;
    json_t *d = json_pack("{s:s,s:s,s:o}", "action", "/account/security/block", "back_url",
                          "/account/security", "provider", json_str(provider));
    if (name)
        json_object_set(d, "name", (json_t *)name);
    return ctx_page(c, "safety/block", d);
}

static enum err block_asked(struct ctx *c)
{
    const json_t *name;
    struct str own = json_get_str(c->session->data, "provider");
    struct block b = {
        .person = c->session->subject, .provider = ctx_form(c, "provider"), .by = STR("self")};
    if (!b.provider.p)
        b.provider = STR("");
    if (b.provider.n && !provider_known(c, b.provider, &name))
        return ERR_NOT_FOUND;
    b.through = b.provider.n ? b.provider : own.p ? own : STR("");
    return safety_block(c, &b);
}

/* A whole account that is blocked ends this session too: the page that says so is public. */
enum err safety_page_block_post(struct ctx *c)
{
    bool all = !ctx_form(c, "provider").n;
    struct str provider = arena_dup(c->arena, json_get_str(c->session->data, "provider"));
    bool mine = all || str_eq(ctx_form(c, "provider"), provider);
    enum err e = block_asked(c);
    if (e != ERR_OK || !mine)
        return e == ERR_OK ? home(c) : e;
    c->session = NULL;
    return ctx_page(c, "safety/alert_done", json_pack("{s:b}", "all", all));
}

static enum err unblock_asked(struct ctx *c)
{
    struct str provider = ctx_form(c, "provider");
    enum err e = safety_unblock(c, c->session->subject, provider.p ? provider : STR(""),
                                STR("self"), json_get_str(c->session->data, "provider"),
                                json_get_str(c->session->data, "acr"));
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &f_none, e, STR_NONE);
    return e == ERR_DENIED ? ctx_fail(c, &f_strong, e, STR_NONE) : e;
}

enum err safety_page_unblocked(struct ctx *c)
{
    return ctx_redirect(c, portal_url(c, "/account/security?done=unblock"));
}

enum err safety_page_unblock_post(struct ctx *c)
{
    enum err e = unblock_asked(c);
    if (e == ERR_NOT_FOUND)
        return home(c);
    if (e != ERR_DENIED)
        return e == ERR_OK ? ctx_redirect(c, portal_url(c, "/account/security?done=unblock")) : e;
    c->rs->status = 403;
    return ctx_page(c, "safety/stronger",
                    json_pack("{s:s,s:s}", "back_url", "/account/security", "sign_in_url",
                              "/connexion?level=eidas2&again=1&return=/account/security"));
}

/* ---- reports ------------------------------------------------------------------------------------
 */
static enum err report_form(struct ctx *c, bool wrong)
{
    bool post = c->rq->method == HTTP_POST;
    json_t *d = json_pack("{s:s,s:s,s:b}", "action", "/account/security/report", "back_url",
                          "/account/security", "wrong", wrong);
    static const char *const kept[] = {"sign_in", "session", "service", "words"};
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        json_object_set_new(d, kept[i],
                            json_str(post ? ctx_form(c, kept[i]) : ctx_query(c, kept[i])));
    if (wrong) {
        struct str text = safety_text(c, "report.words.missing", NULL);
        json_object_set_new(
            d, "error_summary",
            json_pack("{s:[{s:s,s:o}]}", "items", "id", "words", "text", json_str(text)));
        c->rs->status = 422;
    }
    return ctx_page(c, "safety/report", d);
}

enum err safety_page_report(struct ctx *c)
{
    return report_form(c, false);
}

static enum err report_asked(struct ctx *c, struct str *id)
{
    struct report r = {.person = c->session->subject,
                       .session = ctx_form(c, "session"),
                       .sign_in = ctx_form(c, "sign_in"),
                       .service = ctx_form(c, "service"),
                       .words = str_trim(ctx_form(c, "words"))};
    return safety_report(c, &r, id);
}

enum err safety_page_report_post(struct ctx *c)
{
    struct str id;
    enum err e = report_asked(c, &id);
    if (e == ERR_INVALID)
        return report_form(c, true);
    return e == ERR_OK
               ? ctx_page(c, "safety/reported", json_pack("{s:o}", "reference", json_str(id)))
               : e;
}

/* ---- the link of a mail: no sign-in, since hers may be the one that was stolen ------------------
 */
static enum err link_asked(struct ctx *c, struct str link, json_t **out)
{
    enum err e = safety_link_read(c, link, out);
    return e == ERR_NOT_FOUND ? ctx_fail(c, &f_link, e, STR_NONE) : e;
}

enum err safety_page_link(struct ctx *c)
{
    json_t *link;
    const json_t *name;
    struct str j = ctx_query(c, "j");
    enum err e = link_asked(c, j, &link);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:s,s:o}", "action", "/securite/alerte", "j", json_str(j));
    if (provider_known(c, json_get_str(link, "provider"), &name))
        json_object_set(d, "name", (json_t *)name);
    return ctx_page(c, "safety/alert", d);
}

enum err safety_page_link_post(struct ctx *c)
{
    json_t *link;
    enum err e = link_asked(c, ctx_form(c, "j"), &link);
    if (e != ERR_OK)
        return e;
    bool all = str_eq_z(ctx_form(c, "what"), "account");
    struct str through = json_get_str(link, "provider");
    struct block b = {.person = json_get_str(link, "person"),
                      .provider = all ? STR("") : through,
                      .through = through,
                      .by = STR("mail")};
    e = safety_block(c, &b);
    return e == ERR_OK ? ctx_page(c, "safety/alert_done", json_pack("{s:b}", "all", all)) : e;
}

/* ---- operators ----------------------------------------------------------------------------------
 */
enum err safety_page_reports(struct ctx *c)
{
    json_t *list, *v, *d = json_object();
    size_t i;
    enum err e = safety_reports(c, STR(""), &list);
    json_array_foreach(e == ERR_OK ? json_get(list, "items") : NULL, i, v)
    {
        words_put(c, v, "when", "at");
        action_put(c, v, "/operateur/signalements");
        json_object_set_new(v, "open", json_boolean(!strcmp(json_get_z(v, "state", ""), "open")));
    }
    if (e != ERR_OK) {
        json_decref(d);
        return e;
    }
    list_put(d, "reports", list);
    return ctx_page(c, "safety/reports", d);
}

enum err safety_page_report_close(struct ctx *c)
{
    enum err e = safety_report_close(c, ctx_path(c, "id"), str_trim(ctx_form(c, "answer")));
    return e == ERR_OK || e == ERR_NOT_FOUND
               ? ctx_redirect(c, portal_url(c, "/operateur/signalements"))
               : e;
}

/* ---- the same for programs ----------------------------------------------------------------------
 */
enum err safety_api(struct ctx *c)
{
    json_t *sessions = NULL, *devices = NULL, *blocks = NULL, *reports = NULL;
    enum err e = safety_sessions(c, &sessions);
    if (e == ERR_OK)
        e = safety_devices(c, &devices);
    if (e == ERR_OK)
        e = safety_blocks(c, c->session->subject, &blocks);
    if (e == ERR_OK)
        e = safety_reports(c, c->session->subject, &reports);
    return e == ERR_OK
               ? ctx_json(c, 200,
                          json_pack("{s:O,s:O,s:O,s:O}", "sessions", json_get(sessions, "items"),
                                    "devices", json_get(devices, "items"), "blocks",
                                    json_get(blocks, "items"), "reports",
                                    json_get(reports, "items")))
               : e;
}

static enum err ended(struct ctx *c, struct str id)
{
    size_t n;
    enum err e = safety_session_end(c, id, id.n == 0 || ctx_form(c, "access").n > 0, &n);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &f_none, e, STR_NONE);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:i}", "ended", (int)n)) : e;
}

enum err safety_api_session_end(struct ctx *c)
{
    return ended(c, ctx_path(c, "id"));
}

enum err safety_api_others_end(struct ctx *c)
{
    return ended(c, STR(""));
}

enum err safety_api_device(struct ctx *c)
{
    enum err e = device_change(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}

enum err safety_api_block(struct ctx *c)
{
    enum err e = block_asked(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}

enum err safety_api_unblock(struct ctx *c)
{
    enum err e = unblock_asked(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}

enum err safety_api_report(struct ctx *c)
{
    struct str id;
    enum err e = report_asked(c, &id);
    if (e == ERR_INVALID)
        return ctx_fail(c, &f_report, e, STR("words (4,000 bytes at most) is needed"));
    return e == ERR_OK ? ctx_json(c, 201, json_pack("{s:o}", "id", json_str(id))) : e;
}
