#include "core/identity/register.h"

#include "base/log.h"
#include "core/identity/faults.h"
#include "web/client.h"

enum { TIMEOUT_MS = 3000, ANSWER_MAX = 16 * 1024 };

static const struct {
    int64_t code;
    enum idt fault; /* IDT_COUNT: she passes */
} codes[] = {
    {2, IDT_COUNT},      {3, IDT_COUNT},      {4, IDT_REGISTER_4}, {6, IDT_REGISTER_6},
    {7, IDT_REGISTER_7}, {8, IDT_REGISTER_8}, {9, IDT_REGISTER_9},
};

/* The provider's own register, else the platform's; "" of a provider: none for it. */
static struct str address_of(struct ctx *c, const struct provider *p)
{
    if (json_get(p->conf, "civil_register"))
        return json_get_str(p->conf, "civil_register");
    return str_from(c->pf->settings->civil_register);
}

static bool passes_when_down(struct ctx *c, const struct provider *p)
{
    return json_get_bool(p->conf, "civil_register_down_pass",
                         c->pf->settings->civil_register_down_pass);
}

static struct str question(struct ctx *c, const json_t *claims)
{
    static const char *const members[] = {"given_name",  "given_name_array", "family_name",
                                          "birthdate",   "gender",           "birthplace",
                                          "birthcountry"};
    json_t *q = json_pack("{s:i}", "v", 1);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (json_get(claims, members[i]))
            json_object_set(q, members[i], json_get(claims, members[i]));
    struct str text = json_text(c->arena, q);
    json_decref(q);
    return text;
}

static enum err ask(struct ctx *c, struct str url, const json_t *claims, json_t **out)
{
    static const struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct client_answer answer = {0};
    struct client_call call = {.method = "POST",
                               .url = url,
                               .headers = &type,
                               .n_headers = 1,
                               .body = question(c, claims),
                               .timeout_ms = TIMEOUT_MS,
                               .answer_max = ANSWER_MAX,
                               .allow_inside =
                                   c->pf->settings->allow_inside || c->pf->settings->demo};
    enum err e = client_send(c->arena, &call, &answer);
    if (e == ERR_OK && answer.status != 200)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        e = json_read(answer.body, out, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, *out);
    return e;
}

static enum idt verdict(const json_t *said)
{
    int64_t code = json_get_i64(said, "code", 0);
    if (json_get_bool(said, "deceased", false))
        return IDT_REGISTER_DECEASED;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].fault;
    return IDT_REGISTER_DOWN; /* no answer of a register */
}

enum err register_check(struct ctx *c, const struct provider *p, const struct flow *f,
                        const json_t *claims, bool *answered)
{
    json_t *said;
    struct str url = address_of(c, p);
    *answered = false;
    if (!url.n)
        return ERR_OK;
    enum idt fault = IDT_REGISTER_DOWN;
    if (ask(c, url, claims, &said) == ERR_OK)
        fault = verdict(said);
    if (fault == IDT_COUNT)
        return ERR_OK;
    if (fault == IDT_REGISTER_DOWN) {
        log_warn("civil_register_down", "trace", c->trace_id);
        if (passes_when_down(c, p))
            return ERR_OK;
    }
    *answered = true;
    return idt_fail(c, fault, f, "civil register");
}
