#include "core/identity/pivot.h"

#include "base/codec.h"
#include "core/identity/request.h"
#include "crypto/digest.h"
#include "data/json.h"

enum { NAME_MAX_BYTES = 512, GIVEN_NAMES_MAX = 32 };

/* ---- claims and scopes --------------------------------------------------------------------------
 */
static const struct claim_def defs[] = {
    {"given_name", "profile identite_pivot", true},
    {"given_name_array", "profile identite_pivot", false},
    {"family_name", "profile identite_pivot", true},
    {"preferred_username", "profile", true},
    {"birthdate", "profile birth identite_pivot", true},
    {"gender", "profile identite_pivot", true},
    {"birthplace", "birth identite_pivot", true},
    {"birthcountry", "birth identite_pivot", true},
    {"email", "", true},
    {"usual_name", "", true},
    {"uid", "", true},
    {"siret", "", true},
    {"siren", "", true},
    {"organizational_unit", "", true},
    {"organization_label", "", true},
    {"belonging_population", "", true},
    {"phone", "", true},
    {"roles", "", true},
    {"idp_id", "", false},
    {"idp_acr", "", false},
    {"offline_access", "", true}, /* no value: access while she is away */
    {"account", "", true}, /* no value: what she is told when a program may read her account */
};

const struct claim_def *claim_at(size_t i)
{
    return i < COUNT_OF(defs) ? &defs[i] : NULL;
}

bool scope_is_known(struct str scope)
{
    static const char *const wide[] = {"openid", "profile", "birth", "identite_pivot", "amr"};
    for (size_t i = 0; i < COUNT_OF(wide); i++)
        if (str_eq_z(scope, wide[i]))
            return true;
    for (size_t i = 0; i < COUNT_OF(defs); i++)
        if (str_eq_z(scope, defs[i].name))
            return true;
    return false;
}

static bool lists_meet(struct str a, struct str b)
{
    struct str part;
    while (a.n && str_split(&a, ' ', &part))
        if (part.n && list_has(b, part))
            return true;
    return false;
}

struct str claims_of_scopes(struct arena *a, struct str scopes, struct str more_claims)
{
    struct str out = STR("");
    for (size_t i = 0; i < COUNT_OF(defs); i++) {
        struct str name = str_from(defs[i].name);
        if (list_has(scopes, name) || list_has(more_claims, name) ||
            lists_meet(str_from(defs[i].scopes), scopes))
            out = list_add(a, out, name);
    }
    return out;
}

json_t *claims_pick(const json_t *all, struct str names)
{
    json_t *out = json_object();
    for (size_t i = 0; i < COUNT_OF(defs); i++)
        if (list_has(names, str_from(defs[i].name)) && json_get(all, defs[i].name))
            json_object_set(out, defs[i].name, json_get(all, defs[i].name));
    return out;
}

/* ---- forms of values ----------------------------------------------------------------------------
 */
static bool digits(struct str s, size_t from, size_t n, int *out)
{
    int v = 0;
    for (size_t i = from; i < from + n; i++) {
        if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return true;
}

bool birthdate_is_valid(struct str s)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits(s, 0, 4, &y) ||
        !digits(s, 5, 2, &m) || !digits(s, 8, 2, &d) || y < 1850 || m > 12)
        return false;
    if (m == 0 || d == 0)
        return d == 0; /* a day without a month means nothing */
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= days[m - 1] && (m != 2 || d < 29 || leap);
}

/* The key of a SIRET is Luhn's; the post office's many sites have the sum of digits instead. */
bool siret_is_valid(struct str s)
{
    int luhn = 0, sum = 0;
    if (s.n != 14)
        return false;
    for (size_t i = 0; i < 14; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        int v = s.p[i] - '0', twice = v * 2;
        sum += v;
        luhn += i % 2 ? v : twice > 9 ? twice - 9 : twice;
    }
    return luhn % 10 == 0 || (str_starts(s, STR("356000000")) && sum % 5 == 0);
}

/* A name is words: letters of any script, and what stands between them. */
static bool name_is_valid(struct str s)
{
    if (s.n == 0 || s.n > NAME_MAX_BYTES || !str_is_utf8(s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c == 127 || strchr("<>\"\\{}|=@", c))
            return false;
    }
    return true;
}

static bool country_is_valid(struct str s)
{
    int v;
    return s.n == 5 && digits(s, 0, 5, &v) && v >= 99000;
}

/* The official code of a commune: 5 digits, or 2A, 2B and 3 digits. */
static bool commune_is_valid(struct str s)
{
    int v;
    if (s.n != 5 || !digits(s, 2, 3, &v))
        return false;
    return digits(s, 0, 2, &v) || (s.p[0] == '2' && (s.p[1] == 'A' || s.p[1] == 'B'));
}

static bool gender_is_valid(struct str s)
{
    return str_eq_z(s, "male") || str_eq_z(s, "female") || str_eq_z(s, "unspecified");
}

static bool email_is_valid(struct str s)
{
    ptrdiff_t at = str_find_char(s, '@');
    return at > 0 && (size_t)at + 1 < s.n && s.n <= 254 && str_find_char(s, ' ') < 0 &&
           str_is_utf8(s);
}

static bool text_is_valid(struct str s)
{
    return s.n <= NAME_MAX_BYTES && str_is_utf8(s);
}

/* ---- reading a provider's answer ----------------------------------------------------------------
 */
struct rule {
    const char *claim;
    bool needed;
    bool (*valid)(struct str s);
};
static const struct rule citizen_rules[] = {
    {"given_name", true, name_is_valid},
    {"family_name", true, name_is_valid},
    {"birthdate", true, birthdate_is_valid},
    {"gender", true, gender_is_valid},
    {"birthcountry", true, country_is_valid},
    {"birthplace", false, NULL},
    {"preferred_username", false, text_is_valid},
    {"email", false, email_is_valid},
    {"phone", false, text_is_valid},
};
static const struct rule agent_rules[] = {
    {"given_name", true, name_is_valid},
    {"usual_name", true, name_is_valid},
    {"email", true, email_is_valid},
    {"uid", true, text_is_valid},
    {"siret", true, siret_is_valid},
    {"organizational_unit", false, text_is_valid},
    {"organization_label", false, text_is_valid},
    {"belonging_population", false, text_is_valid},
    {"phone", false, text_is_valid},
};

static enum err rules_apply(const json_t *claims, const struct rule *rules, size_t n, json_t *out,
                            const char **why)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_get(claims, rules[i].claim);
        struct str s = json_get_str(claims, rules[i].claim);
        if (!rules[i].valid)
            continue;
        if (s.n ? !rules[i].valid(s) : rules[i].needed || (v && !json_is_string(v))) {
            *why = rules[i].claim;
            return ERR_INVALID;
        }
        if (s.n)
            json_object_set_new(out, rules[i].claim, json_stringn(s.p, s.n));
    }
    return ERR_OK;
}

/* Given as a list, or taken apart at the blanks. */
static enum err given_names_read(const json_t *claims, json_t *out)
{
    const json_t *list = json_get(claims, "given_name_array");
    json_t *names = json_array();
    json_object_set_new(out, "given_name_array", names);
    if (json_is_array(list)) {
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *v = json_array_get(list, i);
            struct str s = {json_string_value(v), json_string_length(v)};
            if (!s.p || !name_is_valid(s) || i >= GIVEN_NAMES_MAX)
                return ERR_INVALID;
            json_array_append_new(names, json_stringn(s.p, s.n));
        }
        return json_array_size(names) ? ERR_OK : ERR_INVALID;
    }
    struct str rest = json_get_str(claims, "given_name"), part;
    while (rest.n && str_split(&rest, ' ', &part))
        if (part.n)
            json_array_append_new(names, json_stringn(part.p, part.n));
    return ERR_OK;
}

static enum err birthplace_read(const json_t *claims, json_t *out)
{
    struct str place = json_get_str(claims, "birthplace");
    bool france = str_eq_z(json_get_str(claims, "birthcountry"), "99100");
    if (place.n ? !commune_is_valid(place) : france)
        return ERR_INVALID;
    json_object_set_new(out, "birthplace", json_stringn(place.p, place.n));
    return ERR_OK;
}

enum err pivot_read(const json_t *claims, json_t **out, const char **why)
{
    json_t *v = json_object();
    enum err e = rules_apply(claims, citizen_rules, COUNT_OF(citizen_rules), v, why);
    if (e == ERR_OK && (e = given_names_read(claims, v)) != ERR_OK)
        *why = "given_name_array";
    if (e == ERR_OK && (e = birthplace_read(claims, v)) != ERR_OK)
        *why = "birthplace";
    if (e == ERR_OK)
        *out = v;
    else
        json_decref(v);
    return e;
}

static enum err roles_read(const json_t *claims, json_t *out)
{
    const json_t *list = json_get(claims, "roles");
    if (!list)
        return ERR_OK;
    if (!json_is_array(list) || json_array_size(list) > GIVEN_NAMES_MAX)
        return ERR_INVALID;
    json_t *roles = json_array();
    json_object_set_new(out, "roles", roles);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct str s = {json_string_value(v), json_string_length(v)};
        if (!s.p || !text_is_valid(s))
            return ERR_INVALID;
        json_array_append_new(roles, json_stringn(s.p, s.n));
    }
    return ERR_OK;
}

enum err agent_read(const json_t *claims, json_t **out, const char **why)
{
    json_t *v = json_object();
    enum err e = rules_apply(claims, agent_rules, COUNT_OF(agent_rules), v, why);
    if (e == ERR_OK && (e = roles_read(claims, v)) != ERR_OK)
        *why = "roles";
    if (e != ERR_OK) {
        json_decref(v);
        return e;
    }
    json_object_set_new(v, "siren", json_stringn(json_get_str(v, "siret").p, 9));
    *out = v;
    return ERR_OK;
}

/* ---- the pivot and what is computed from it -----------------------------------------------------
 */
json_t *pivot_only(const json_t *claims)
{
    static const char *const names[] = {"given_name",  "given_name_array", "family_name",
                                        "birthdate",   "gender",           "birthplace",
                                        "birthcountry"};
    json_t *out = json_object();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_get(claims, names[i]))
            json_object_set(out, names[i], json_get(claims, names[i]));
    return out;
}

struct str pivot_hash(struct arena *a, const json_t *claims)
{
    struct str country = json_get_str(claims, "birthcountry");
    bool france = str_eq_z(country, "99100");
    struct str parts[] = {json_get_str(claims, "given_name"),
                          json_get_str(claims, "family_name"),
                          json_get_str(claims, "birthdate"),
                          json_get_str(claims, "gender"),
                          france ? json_get_str(claims, "birthplace") : STR(""),
                          country};
    uint8_t hash[SHA256_LEN];
    sha256_many(parts, COUNT_OF(parts), hash);
    return codec_to_base64(a, hash, sizeof hash);
}
