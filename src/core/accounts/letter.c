/* What is written to people. Only the address decides where a letter goes, and only its holder
 * learns whether she has an account: the pages say the same to everybody. */
#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "platform/mail.h"
#include "web/pages.h"

bool letters_go(const struct ctx *c)
{
    return *c->pf->settings->mail_relay || c->pf->settings->demo;
}

static enum err queue(struct db_conn *db, void *arg)
{
    return mail_queue(db, arg, clock_now_ms());
}

static struct str part(struct ctx *c, const char *kind, const char *what, const json_t *data)
{
    const char *key = arena_printf(c->arena, "letter.%s.%s", kind, what).p;
    return pages_text(c->arena, "accounts", key, c->lang, data);
}

enum err letter_write(struct ctx *c, const char *owner, struct str to, const char *kind,
                      const json_t *data, json_t **shown)
{
    struct mail_sealed sealed;
    json_t *all = json_own(&c->pool, json_copy((json_t *)data));
    json_object_set_new(all, "brand_name", json_string(c->pf->settings->brand_name));
    struct mail m = {.owner = owner,
                     .to = to,
                     .subject = part(c, kind, "subject", all),
                     .text = part(c, kind, "text", all),
                     .kind = arena_printf(c->arena, "accounts.%s", kind).p};
    m.text =
        arena_printf(c->arena, STR_FMT "\n\n%s\n", STR_ARG(m.text), c->pf->settings->brand_name);
    *shown = NULL;
    enum err e = mail_seal(c, &m, &sealed);
    if (e == ERR_OK && *c->pf->settings->mail_relay)
        return db_write(c->pf->db, queue, &sealed);
    if (e == ERR_OK && c->pf->settings->demo)
        *shown =
            json_own(&c->pool, json_pack("{s:s%,s:s%,s:s%}", "to", to.p, to.n, "subject",
                                         m.subject.p, m.subject.n, "text", m.text.p, m.text.n));
    return e;
}
