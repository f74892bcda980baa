/* A request is believed when the consumer's registered key signed it for this address, less than a
 * minute ago, once; an answer is signed over what was asked, so that none can be put in the place
 * of another. The consumer's key is read from the snapshot: nothing here waits. The platform's is
 * in the keys process: the loop asks it and goes on. */
#include "core/exchange/signature.h"

#include "core/exchange/proof.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/exchange/stages.h"
#include "data/json.h"
#include "web/message.h"

enum { AGE_MAX_S = DPOP_PAST_MS / 1000, AHEAD_MAX_S = DPOP_AHEAD_MS / 1000, HEADERS_MAX = 24 };
#define REQUEST_TAG "socle-request"
#define ANSWER_TAG  "socle-answer"

void signature_start(struct gateway *g)
{
    struct arena a;
    struct str text;
    json_t *doc = NULL;
    arena_init(&a);
    if (g->pf->keys && keys_jwks(g->pf->keys, "message", &a, &text) == ERR_OK &&
        json_read(text, &doc, NULL) == ERR_OK)
        snprintf(g->message_kid, sizeof g->message_kid, "%s",
                 json_get_z(json_array_get(json_get(doc, "keys"), 0), "kid", ""));
    json_decref(doc);
    arena_free(&a);
}

/* ---- requests -----------------------------------------------------------------------------------
 */
/* The key it names; one that names none may be any of the consumer's that fits: the first. */
static const struct jwk *key_of(const struct jwks *keys, struct str keyid)
{
    for (size_t i = 0; keys && i < keys->n; i++)
        if (!keyid.p || str_eq(jwk_kid(keys->keys[i]), keyid))
            return keys->keys[i];
    return NULL;
}

/* The one with our tag; without one, a single signature. */
static const struct httpsig *ours(const struct httpsig_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i].tag, STR(REQUEST_TAG)))
            return &list->v[i];
    return list->n == 1 && !list->v[0].tag.p ? &list->v[0] : NULL;
}

static enum err digest_fits(struct arena *a, const struct httpsig_message *m, struct str body,
                            struct str *why)
{
    for (size_t i = 0; i < m->headers.n; i++)
        if (str_eq_nocase(m->headers.v[i].name, STR("Content-Digest")))
            return httpsig_digest_check(a, m->headers.v[i].value, body, why);
    return ERR_OK; /* none is covered, so there is no body */
}

static enum err request_holds(struct gw_call *c, struct arena *a, const struct httpsig_message *m,
                              const struct httpsig **out)
{
    static const char *const with_body[] = {"\"@method\"", "\"@target-uri\"", "\"authorization\"",
                                            "\"content-digest\"", NULL};
    static const char *const without[] = {"\"@method\"", "\"@target-uri\"", "\"authorization\"",
                                          NULL};
    struct httpsig_list list;
    struct httpsig_policy policy = {.required = c->body.n ? with_body : without,
                                    .now_s = c->at_ms / 1000,
                                    .max_age_s = AGE_MAX_S,
                                    .ahead_s = AHEAD_MAX_S};
    enum err e = httpsig_read(a, m, &list, &c->why);
    if (e)
        return e;
    const struct httpsig *s = ours(&list);
    c->why = STR("no signature has the tag " REQUEST_TAG);
    if (!s)
        return ERR_DENIED;
    struct httpsig_key key = {.jwk = key_of(c->k->signer_keys, s->keyid)};
    c->why = STR("the consumer has registered no such key");
    if (!key.jwk)
        return ERR_DENIED;
    e = httpsig_verify(a, s, m, &key, &policy, &c->why);
    if (!e)
        e = digest_fits(a, m, buf_str(&c->body), &c->why);
    if (e)
        return e;
    c->why = STR("the signature was sent before");
    *out = s;
    return proof_once(map_hash(s->signature), loop_now_ms(c->g->loop));
}

STAGE_AT(signature);
enum gw_code signature_check(struct gw_call *c)
{
    struct arena *a = fast_arena(c->x);
    struct httpsig_message m = message_of_head(a, fast_head(c->x), c->g->issuer);
    const struct httpsig *s;
    if (request_holds(c, a, &m, &s) != ERR_OK)
        return GW_SIGNATURE;
    c->signature_label = s->label;
    return GW_OK;
}

/* ---- answers ------------------------------------------------------------------------------------
 */
struct signing {
    struct keys_job job;
    struct gw_call *c;
    struct arena arena;
    struct http_header list[HEADERS_MAX];
    size_t n;
    char kid[44];
    bool again;
};

static void header(struct signing *s, const char *name, struct str value)
{
    if (s->n < HEADERS_MAX)
        s->list[s->n++] = (struct http_header){str_from(name), value};
}

static bool has_field(const struct httpsig_message *m, const char *name)
{
    for (size_t i = 0; i < m->headers.n; i++)
        if (str_eq_nocase(m->headers.v[i].name, str_from(name)))
            return true;
    return false;
}

/* Ends it: the answer with its signature, or a refusal. The outcome was recorded as delivered: of
 * the two ways to be wrong when the keys process fails here, it is the one that hides nothing. */
static void finish(struct signing *s, bool good)
{
    struct gw_call *c = s->c;
    c->signing = false;
    if (!c->x)
        call_release(c);
    else if (!good)
        call_fail(c, GW_BUSY);
    else
        fast_answer(c->x, c->status, s->list, s->n, buf_str(&c->content));
    arena_free(&s->arena);
    free(s);
}

static bool ask(struct signing *s);

static void signed_now(struct keys_job *job)
{
    struct signing *s = (struct signing *)job;
    struct gateway *g = s->c->g;
    bool good = job->err == ERR_OK;
    if (!good)
        log_warn("answer_not_signed", "error", err_name(job->err));
    if (good && s->c->x && strcmp(job->kid, s->kid) != 0 && !s->again) {
        /* The key was rotated: its name is part of what is signed. */
        memcpy(g->message_kid, job->kid, sizeof g->message_kid);
        s->again = true;
        s->n--; /* Signature-Input */
        if (ask(s))
            return;
        good = false;
    }
    if (good)
        header(s, "Signature", httpsig_value(&s->arena, "sig", str_of(job->sig, job->sig_n)));
    finish(s, good);
}

static size_t covered(struct signing *s, const struct httpsig_message *asked,
                      const struct httpsig_message *m, const char *out[12])
{
    size_t n = 0;
    out[n++] = "\"@status\"";
    out[n++] = "\"content-digest\"";
    if (has_field(m, "Content-Type"))
        out[n++] = "\"content-type\"";
    if (has_field(m, "Socle-Entry"))
        out[n++] = "\"socle-entry\"";
    if (has_field(m, "Socle-Commitment")) /* so the receipt itself is signed */
        out[n++] = "\"socle-commitment\"";
    out[n++] = "\"@method\";req";
    out[n++] = "\"@target-uri\";req";
    if (has_field(asked, "Content-Digest"))
        out[n++] = "\"content-digest\";req";
    if (s->c->signature_label.n)
        out[n++] = arena_printf(&s->arena, "\"signature\";req;key=\"" STR_FMT "\"",
                                STR_ARG(s->c->signature_label))
                       .p;
    out[n] = NULL;
    return n;
}

/* Makes the text to sign and asks for the signature; false: it cannot be made. */
static bool ask(struct signing *s)
{
    struct gw_call *c = s->c;
    struct http_head head = {.is_response = true, .status = c->status, .n_headers = s->n};
    const char *components[12];
    struct str base, input, why;
    memcpy(head.headers, s->list, s->n * sizeof *s->list);
    struct httpsig_message asked = message_of_head(&s->arena, fast_head(c->x), c->g->issuer);
    struct httpsig_message m = message_of_head(&s->arena, &head, c->g->issuer);
    m.request = &asked;
    covered(s, &asked, &m, components);
    memcpy(s->kid, c->g->message_kid, sizeof s->kid);
    struct httpsig_wanted w = {.label = "sig",
                               .components = components,
                               .created_s = clock_now_ms() / 1000,
                               .keyid = str_from(s->kid),
                               .tag = STR(ANSWER_TAG)};
    if (httpsig_make(&s->arena, &w, &m, &base, &input, &why) != ERR_OK) {
        log_warn("answer_not_signed", "why", why.p);
        return false;
    }
    header(s, "Signature-Input", input);
    keys_sign_start(c->g->pf->keys, &s->job, c->g->loop, "message", JOSE_ES256, base);
    return true;
}

void signature_answer(struct gw_call *c, const struct http_header *h, size_t n, struct str body)
{
    struct signing *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    arena_init(&s->arena);
    s->c = c;
    s->job.done = signed_now;
    c->signing = true;
    for (size_t i = 0; i < n; i++)
        header(s, arena_dup(&s->arena, h[i].name).p, arena_dup(&s->arena, h[i].value));
    header(s, "Content-Digest", httpsig_digest_of(&s->arena, HTTPSIG_SHA256, body));
    if (body.p != c->content.p) {
        buf_reset(&c->content);
        buf_add_str(&c->content, body);
    }
    if (c->content.err || !ask(s))
        finish(s, false);
}
