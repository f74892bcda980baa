#include "core/identity/presets.h"

#include <stddef.h>
#include <string.h>
#include "base/str.h"

/* FranceConnect refuses every parameter that it does not name, PKCE among them. */
static const struct preset presets[] = {
    {"franceconnect", "franceconnect", "citizens", "FranceConnect", "FranceConnect", "eidas1",
     "/api/v2",
     "{\"auth\": \"post\", \"pkce\": false, \"login_hint\": false, \"algs\": [\"ES256\", "
     "\"RS256\"],"
     " \"scope\": \"openid identite_pivot email preferred_username\"}"},
    {"franceconnect+", "franceconnect-plus", "citizens", "FranceConnect+", "FranceConnect+",
     "eidas2", "/api/v2",
     "{\"auth\": \"post\", \"pkce\": false, \"login_hint\": false, \"algs\": [\"ES256\"],"
     " \"encrypted\": true, \"scope\": \"openid identite_pivot email preferred_username\"}"},
    {"proconnect", "proconnect", "agents", "ProConnect", "ProConnect", "eidas1", "/api/v2",
     "{\"auth\": \"post\", \"pkce\": false, \"login_hint\": true, \"siret_hint\": true, "
     "\"ui_locales\": false,"
     " \"algs\": [\"ES256\", \"RS256\"],"
     " \"scope\": \"openid given_name usual_name email uid siret\"}"},
};

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
