#include "core/identity/reply.h"

#include "platform/api.h"

struct reply {
    struct keys_task task;
    struct ctx *c;
    const char *typ; /* NULL: both tokens */
    struct reply_tokens t;
};

static void signed_now(struct keys_task *task, enum err e, struct str first, struct str second)
{
    struct reply *r = (struct reply *)((char *)task - offsetof(struct reply, task));
    struct buf *body = &r->c->rs->body;
    buf_add_str(body, r->t.around[0]);
    buf_add_str(body, first);
    buf_add_str(body, r->t.around[1]);
    if (!r->typ) {
        buf_add_str(body, second);
        buf_add_str(body, r->t.around[2]);
    }
    if (e == ERR_OK && r->t.identity)
        access_token_made(r->c, first, r->t.claims, r->t.identity);
    json_decref(r->t.claims);
    json_decref(r->t.identity);
    ctx_answered(r->c, e == ERR_OK ? body->err : e);
}

static void begin(struct ctx *c, void *arg)
{
    struct reply *r = arg;
    if (r->typ)
        keys_sign_jws_start(c->pf->keys, &r->task, "issuer", r->t.id_alg, r->typ, r->t.access);
    else
        keys_sign_tokens_start(c->pf->keys, &r->task, r->t.access, r->t.id_alg, r->t.id_open);
}

static struct reply *reply_new(struct ctx *c, const char *content_type)
{
    struct reply *r = arena_new(c->arena, struct reply);
    r->task.done = signed_now;
    r->c = c;
    c->rs->status = 200;
    web_header(c->rs, "Content-Type", str_from(content_type));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    ctx_await(c, begin, r);
    return r;
}

enum err reply_signed(struct ctx *c, const char *content_type, enum jose_alg alg, const char *typ,
                      struct str payload, const struct str around[2])
{
    if (payload.n > KEYS_DATA_MAX)
        return ERR_LIMIT;
    struct reply *r = reply_new(c, content_type);
    r->typ = typ;
    r->t =
        (struct reply_tokens){.access = payload, .id_alg = alg, .around = {around[0], around[1]}};
    return ERR_OK;
}

enum err reply_tokens(struct ctx *c, const struct reply_tokens *t)
{
    if (t->access.n + t->id_open.n > KEYS_DATA_MAX)
        return ERR_LIMIT;
    struct reply *r = reply_new(c, "application/json");
    r->t = *t;
    json_incref(r->t.claims);
    json_incref(r->t.identity);
    return ERR_OK;
}
