#include "core/identity/pid.h"

#include "core/identity/country.h"
#include "data/fold.h"

const char PID_CREDENTIAL[] = "pid";

/* ---- what is asked ------------------------------------------------------------------------------
 */
/* The name at birth is asked first: the pivot is of births. Wallets whose issuer does not say it
 * apart answer without. */
static const char *const asked[] = {"family_name",    "given_name", "birthdate",
                                    "place_of_birth", "sex",        "birth_family_name"};
enum { ASKED = COUNT_OF(asked), ALWAYS = ASKED - 1 };

static json_t *claim_set(size_t n)
{
    json_t *set = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(set, json_string(asked[i]));
    return set;
}

json_t *pid_query(struct str vcts)
{
    struct str part;
    json_t *types = json_array(), *claims = json_array();
    while (vcts.n && str_split(&vcts, ' ', &part))
        if (part.n)
            json_array_append_new(types, json_str(part));
    for (size_t i = 0; i < ASKED; i++)
        json_array_append_new(claims, json_pack("{s:s,s:[s]}", "id", asked[i], "path", asked[i]));
    return json_pack("{s:[{s:s,s:s,s:{s:o},s:o,s:[o,o]}]}", "credentials", "id", PID_CREDENTIAL,
                     "format", "dc+sd-jwt", "meta", "vct_values", types, "claims", claims,
                     "claim_sets", claim_set(ASKED), claim_set(ALWAYS));
}

/* ---- what is answered ---------------------------------------------------------------------------
 */
/* ISO/IEC 5218, as the PID has it. */
static const char *gender_of(const json_t *sex)
{
    if (!json_is_integer(sex))
        return NULL;
    json_int_t v = json_integer_value(sex);
    return v == 1 ? "male" : v == 2 ? "female" : "unspecified";
}

static bool is_commune_code(struct str s)
{
    if (s.n != 5)
        return false;
    for (size_t i = 2; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* Several communes have that name: the one of this department, said by its number or name. */
static bool in_region(struct ctx *c, const json_t *row, struct str region)
{
    static const char *const members[] = {"departement", "departement_nom"};
    for (size_t i = 0; i < COUNT_OF(members) && region.n; i++)
        if (str_eq(text_fold(c->arena, json_get_str(row, members[i])), text_fold(c->arena, region)))
            return true;
    return false;
}

/* The code of the one commune of that name; "" where there is none, or where it may be several. */
static struct str commune_of(struct ctx *c, struct str name, struct str region)
{
    enum { LIMIT = 20 };
    json_t *found;
    struct str code = STR("");
    size_t same = 0, here = 0;
    json_t *args = json_pack("{s:s,s:o,s:i}", "register", "communes", "q", json_str(name), "limit",
                             (int)LIMIT);
    enum err e = name.n ? platform_call(c, "registers.search", args, &found) : ERR_NOT_FOUND;
    json_decref(args);
    const json_t *items = e == ERR_OK ? json_get(found, "items") : NULL;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *row = json_array_get(items, i);
        if (!str_eq_z(json_get_str(row, "match"), "name"))
            continue;
        bool fits = in_region(c, row, region);
        same++;
        here += fits;
        if (fits || (here == 0 && same == 1))
            code = json_get_str(row, "key");
    }
    return here == 1 || (here == 0 && same == 1) ? code : STR("");
}

static void place_read(struct ctx *c, const json_t *place, json_t *out)
{
    struct str country = country_cog(c->arena, json_get_str(place, "country"));
    struct str locality = json_get_str(place, "locality"), code = STR("");
    if (!country.p)
        return;
    json_object_set_new(out, "birthcountry", json_str(country));
    if (str_eq_z(country, "99100"))
        code = is_commune_code(locality) ? locality
                                         : commune_of(c, locality, json_get_str(place, "region"));
    json_object_set_new(out, "birthplace", json_str(code));
}

json_t *pid_claims(struct ctx *c, const json_t *pid)
{
    static const char *const same[] = {"given_name", "birthdate", "email"};
    json_t *out = json_object();
    struct str now = json_get_str(pid, "family_name"),
               born = json_get_str(pid, "birth_family_name");
    const char *gender = gender_of(json_get(pid, "sex"));
    for (size_t i = 0; i < COUNT_OF(same); i++)
        if (json_get(pid, same[i]))
            json_object_set(out, same[i], json_get(pid, same[i]));
    json_object_set_new(out, "family_name", json_str(born.n ? born : now));
    if (born.n && now.n && !str_eq(born, now))
        json_object_set_new(out, "preferred_username", json_str(now));
    if (gender)
        json_object_set_new(out, "gender", json_string(gender));
    place_read(c, json_get(pid, "place_of_birth"), out);
    return out;
}
