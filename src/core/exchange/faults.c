#include "core/exchange/faults.h"

#include <assert.h>
#include "data/json.h"

static const struct gw_fault table[GW_CODE_COUNT] = {
    [GW_PATH] = {"EXC-400-PATH", 400, "The path is not acceptable",
                 "Behind the API's version, a path has no empty or dot segment and no encoded "
                 "slash, backslash, dot or NUL.",
                 NULL, 0},
    [GW_UPGRADE] = {"EXC-400-UPGRADE", 400, "The gateway changes to no other protocol",
                    "No contract opens one: send the request without the header Upgrade.", NULL, 0},
    [GW_PURPOSE] = {"EXC-400-PURPOSE", 400, "The purpose of the call is missing",
                    "This contract requires the parameters context, object and recipient (in the "
                    "query, or as headers Socle-Context, Socle-Object and Socle-Recipient).",
                    NULL, 0},
    [GW_TOKEN_MISSING] = {"EXC-401-TOKEN", 401, "An access token is needed",
                          "Send one in the header Authorization: Bearer.", "", 0},
    [GW_TOKEN_INVALID] = {"EXC-401-TOKEN", 401, "The access token is not valid",
                          "It was not issued here, not for this gateway, or was altered.",
                          "invalid_token", 0},
    [GW_TOKEN_EXPIRED] = {"EXC-401-EXPIRED", 401, "The access token has expired",
                          "Ask the issuer for a new one.", "invalid_token", 0},
    [GW_TOKEN_REVOKED] = {"EXC-401-REVOKED", 401, "The access token was revoked",
                          "Ask the issuer for a new one.", "invalid_token", 0},
    [GW_TOKEN_BOUND] =
        {"EXC-401-BOUND", 401, "The access token is bound to a key or a certificate",
         "Send it as Authorization: DPoP with a proof in the header DPoP (RFC 9449), "
         "or over TLS with the client certificate it was given to (RFC 8705).",
         "invalid_token", 0},
    [GW_PROOF] =
        {"EXC-401-PROOF", 401, "The DPoP proof does not hold",
         "A proof is signed by the key of the token, for this method and address, less than "
         "a minute ago, with the token's digest, and is sent once.",
         "invalid_dpop_proof", 0},
    [GW_SIGNATURE] = {"EXC-401-SIGNATURE", 401, "The request's signature does not hold",
                      "This contract asks for requests signed by the consumer's registered key "
                      "(RFC 9421); the header Accept-Signature says what a signature covers.",
                      "", 0},
    [GW_CLEAR] = {"EXC-403-CLEAR", 403, "This gateway answers over TLS only",
                  "The call, and the token in it, came in clear: have the token revoked, and call "
                  "the https address.",
                  NULL, 0},
    [GW_SCOPE] = {"EXC-403-SCOPE", 403, "The token does not cover this API",
                  "Ask the issuer for a token with this API's scope.", "insufficient_scope", 0},
    [GW_CONTRACT] = {"EXC-403-CONTRACT", 403, "No active contract covers this call",
                     "The contract is suspended, ended, not begun, or another client's.", NULL, 0},
    [GW_CONSENT] = {"EXC-403-CONSENT", 403, "The person's consent is missing",
                    "This contract works only while the person consents.", NULL, 0},
    [GW_RECIPIENT] = {"EXC-403-RECIPIENT", 403, "The recipient is not named in the contract",
                      "The parameter recipient must be one of the contract's recipients.", NULL, 0},
    [GW_ROUTE] = {"EXC-404-ROUTE", 404, "There is no such API or version here",
                  "The catalogue at /catalogue lists what there is.", NULL, 0},
    [GW_NO_DATA] = {"EXC-404-DATA", 404, "The provider has no such data",
                    "The provider answered that it does not know what was asked for.", NULL, 0},
    [GW_METHOD] = {"EXC-405-METHOD", 405, "The method is not open on this API",
                   "The header Allow lists the methods that are.", NULL, 0},
    [GW_BODY] = {"EXC-413-BODY", 413, "The request's body is too large",
                 "At most 1 MB is forwarded.", NULL, 0},
    [GW_FIELD] = {"EXC-422-FIELD", 422, "The request is not what the API's description says",
                  "The members in, field and rule name what of it breaks which rule; the provider "
                  "was not asked.",
                  NULL, 0},
    [GW_REQUEST] = {"EXC-422-REQUEST", 422, "The provider refuses the request",
                    "The provider answered that the request's content is not acceptable.", NULL, 0},
    [GW_QUOTA] = {"EXC-429-QUOTA", 429, "The contract's calls for this minute are used up",
                  "Wait as long as Retry-After says.", NULL, 0},
    [GW_SHARE] = {"EXC-429-SHARE", 429, "The contract's share of this provider is in use",
                  "Other bodies ask it too: under way at once is a part of what it takes. Wait as "
                  "long as Retry-After says.",
                  NULL, 1},
    [GW_TOKEN_FLOOD] = {"EXC-429-TOKEN", 429, "Too many invalid tokens from this address",
                        "Wait as long as Retry-After says.", NULL, 1},
    [GW_PROVIDER] = {"EXC-502-PROVIDER", 502, "The provider failed",
                     "Its answer was an error or could not be read. Nothing was delivered.", NULL,
                     0},
    [GW_PROVIDER_FORM] = {"EXC-502-FORM", 502, "The provider's answer is not what was agreed",
                          "It is not a document that the contract's fields can be taken "
                          "from. Nothing was delivered.",
                          NULL, 0},
    [GW_STALE] = {"EXC-503-STALE", 503, "The gateway could not confirm its configuration",
                  "Withdrawals might be unknown to it, so it refuses rather than deliver.", NULL,
                  1},
    [GW_JOURNAL] = {"EXC-503-JOURNAL", 503, "The journal does not answer",
                    "No data leaves without a durable entry. Nothing was delivered.", NULL, 1},
    [GW_PROVIDER_DOWN] = {"EXC-503-PROVIDER", 503, "The provider cannot be reached",
                          "No connection could be made. Nothing was delivered.", NULL, 5},
    [GW_BUSY] = {"EXC-503-BUSY", 503, "Too many calls at once",
                 "The gateway is at its limit. Try again shortly.", NULL, 1},
    [GW_BREAKER] = {"EXC-503-BREAKER", 503, "The provider is being spared",
                    "Too many of the last calls failed or were slow, so it is not asked for a "
                    "while. Wait as long as Retry-After says. Nothing was delivered.",
                    NULL, 5},
    [GW_LIMIT] = {"EXC-503-LIMIT", 503, "The provider asks for a pause",
                  "It said that it is asked too often. Wait as long as Retry-After says. Nothing "
                  "was delivered.",
                  NULL, 5},
    [GW_PROVIDER_SLOW] = {"EXC-504-PROVIDER", 504, "The provider did not answer in time",
                          "Nothing was delivered.", NULL, 0},
};

const struct gw_fault *gw_fault(enum gw_code code)
{
    assert(code > GW_OK && code < GW_CODE_COUNT);
    return &table[code];
}

void gw_problem_write(struct buf *out, const struct gw_problem *p)
{
    const struct gw_fault *f = gw_fault(p->code);
    struct jw w;
    jw_start(&w, out);
    jw_obj(&w);
    char type[300];
    snprintf(type, sizeof type, "%s/erreurs/%s", p->base_url, f->code);
    jw_kz(&w, "type", type);
    jw_kz(&w, "title", f->title);
    jw_ki64(&w, "status", f->status);
    jw_kstr(&w, "detail", p->detail.p ? p->detail : str_from(f->detail));
    jw_kz(&w, "code", f->code);
    if (p->rule) {
        jw_kz(&w, "in", p->in);
        jw_kz(&w, "field", p->field);
        jw_kz(&w, "rule", p->rule);
    }
    if (p->provider.n)
        jw_kstr(&w, "provider", p->provider);
    jw_kstr(&w, "trace", p->trace_id);
    jw_end(&w);
}
