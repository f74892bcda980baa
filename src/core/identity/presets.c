#include "core/identity/presets.h"

#include <stddef.h>
#include <string.h>
#include "base/str.h"

/* What all three have: the secret by POST, and no parameter that they do not name, PKCE among them;
 * userinfo is always a JWT. HS256 under the client's secret is what the low level of FranceConnect
 * and ProConnect may be registered with; FranceConnect+ signs ES256 and encrypts. */
#define MANNERS "\"auth\": \"post\", \"pkce\": false, \"userinfo_signed\": true, "
#define LOW     "\"algs\": [\"ES256\", \"RS256\", \"HS256\"], "
#define PIVOT   "\"scope\": \"openid identite_pivot email preferred_username\""

static const struct preset presets[] = {
    {"franceconnect", "franceconnect", "citizens", "FranceConnect", "FranceConnect", "eidas1",
     "/api/v2", "{" MANNERS LOW PIVOT "}"},
    {"franceconnect+", "franceconnect-plus", "citizens", "FranceConnect+", "FranceConnect+",
     "eidas2", "/api/v2", "{" MANNERS "\"algs\": [\"ES256\"], \"encrypted\": true, " PIVOT "}"},
    {"proconnect", "proconnect", "agents", "ProConnect", "ProConnect", "eidas1", "/api/v2",
     "{" MANNERS LOW "\"login_hint\": true, \"siret_hint\": true, \"ui_locales\": false, "
     "\"scope\": \"openid given_name usual_name email uid siret\"}"},
};

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
