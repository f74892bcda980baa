/* What the State asks of an API beyond being readable. */
#include "core/catalogue/rules.h"

#include <ctype.h>

static const json_t *info(struct check *k)
{
    return json_get(k->d->root, "info");
}

static void wanted_in_info(struct check *k, const char *key, const char *what)
{
    const json_t *v = json_get(info(k), key);
    bool there = json_is_string(v) ? json_string_length(v) > 0 : json_object_size(v) > 0;
    if (!there && json_is_object(info(k)))
        found(k, v, info(k), STR("info"), "info.%s is missing: %s", key, what);
}

/* ---- technical ----------------------------------------------------------------------------------
 */
static void description_rule(struct check *k)
{
    wanted_in_info(k, "description", "what the API is for");
}

static void summary_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        if (!json_get_str(op->op, "summary").n && !json_get_str(op->op, "description").n)
            found(k, op->op, op->item, op_name(k, op),
                  "the operation says nothing of what it does");
    }
}

static void naming_path_rule(struct check *k)
{
    const char *last = "";
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        bool in_name = false, good = true;
        size_t n = strlen(op->path);
        if (op->path == last)
            continue;
        last = op->path;
        for (const char *p = op->path; *p; p++) {
            in_name = *p == '{' || (in_name && *p != '}');
            good &= in_name || !(isupper((unsigned char)*p) || *p == ' ' || *p == '_');
        }
        if (!good || (n > 1 && op->path[n - 1] == '/'))
            found(k, op->item, op->op, str_from(op->path),
                  "a path is in lower case, its words joined by '-', without a final '/'");
    }
}

static void naming_field_rule(struct check *k)
{
    size_t snake = 0, camel = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < k->d->n_fields; i++) {
            const struct desc_field *f = &k->d->fields[i];
            struct str name = f->path, part;
            while (name.n && str_split(&name, '.', &part))
                ;
            bool upper = false, under = str_find_char(part, '_') > 0;
            for (size_t n = 1; n < part.n; n++)
                upper |= isupper((unsigned char)part.p[n]) && islower((unsigned char)part.p[n - 1]);
            snake += !pass && under;
            camel += !pass && upper;
            bool odd = snake >= camel ? upper : under;
            if (pass && (odd || str_find_char(part, ' ') >= 0 || str_find_char(part, '-') >= 0))
                found(k, f->schema, NULL, f->path,
                      "names of fields are written in one way: here mostly %s",
                      snake >= camel ? "snake_case" : "camelCase");
        }
    }
}

static void meaning_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_fields; i++)
        if (!k->d->fields[i].label_fr.n)
            found(k, k->d->fields[i].schema, NULL, k->d->fields[i].path,
                  "the field has neither title nor description: nobody knows what it means");
}

static void json_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        const json_t *answer = desc_answer(k->d, op->op, 0, NULL);
        if (json_object_size(json_get(answer, "content")) && !desc_media(k->d, answer, NULL))
            found(k, json_get(answer, "content"), op->op, op_name(k, op),
                  "the answer is not to be had in JSON");
    }
}

static bool has_example(struct check *k, const json_t *node, int level, size_t *left)
{
    const json_t *schema = desc_ref(k->d, node);
    const char *name;
    json_t *part;
    if (!json_is_object(schema) || level > 4 || *left == 0 || --*left == 0)
        return false;
    if (json_get(schema, "example") || json_get(schema, "examples"))
        return true;
    json_object_foreach(json_get(schema, "properties"), name, part)
    {
        if (*left == 0 || has_example(k, part, level + 1, left))
            return true;
    }
    return json_get(schema, "items") && *left &&
           has_example(k, json_get(schema, "items"), level + 1, left);
}

static void example_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        const json_t *media = desc_media(k->d, desc_answer(k->d, op->op, 0, NULL), NULL);
        size_t left = 2000;
        if (media && !json_get(media, "example") && !json_get(media, "examples") &&
            !has_example(k, json_get(media, "schema"), 0, &left))
            found(k, media, op->op, op_name(k, op), "the answer has no example");
    }
}

static void problem_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        const json_t *all = json_get(op->op, "responses");
        bool some = false, right = true;
        const char *key, *type;
        json_t *v;
        json_object_foreach(json_is_object(all) ? (json_t *)all : NULL, key, v)
        {
            if (key[0] != '4' && key[0] != '5' && strcmp(key, "default") != 0)
                continue;
            type = "";
            some = true;
            right &= desc_media(k->d, desc_ref(k->d, v), &type) != NULL &&
                     strncmp(type, "application/problem+json", 24) == 0;
        }
        if (!some)
            found(k, all, op->op, op_name(k, op), "no error is described");
        else if (!right)
            found(k, all, op->op, op_name(k, op), "errors are not application/problem+json");
    }
}

struct asks {
    const struct description *d;
    bool page;
};

static void param_page(void *arg, const json_t *p)
{
    static const char *const names[] = {"page", "limit",    "offset",    "cursor",
                                        "size", "per_page", "page_size", "after"};
    struct asks *a = arg;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        a->page |= str_eq_nocase(json_get_str(p, "name"), str_from(names[i]));
}

static void pagination_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        const json_t *media = desc_media(k->d, desc_answer(k->d, op->op, 0, NULL), NULL);
        const json_t *schema = desc_ref(k->d, json_get(media, "schema"));
        struct asks a = {k->d, false};
        if (strcmp(op->method, "get") != 0 || !str_eq_z(json_get_str(schema, "type"), "array"))
            continue;
        desc_params(k->d, op, param_page, &a);
        if (!a.page)
            found(k, op->op, op->item, op_name(k, op), "a list without pages has no end");
    }
}

/* ---- operation ----------------------------------------------------------------------------------
 */
static void version_number_rule(struct check *k)
{
    struct str v = json_get_str(info(k), "version"), rest, part;
    size_t parts = 0;
    bool good = v.n > 0;
    rest = v.n && v.p[0] == 'v' ? str_after(v, 1) : v;
    while (good && rest.p && str_split(&rest, '.', &part)) {
        uint64_t n;
        struct str number = part;
        ptrdiff_t dash = str_find_char(part, '-');
        if (dash > 0 && ++parts)
            break; /* 1.0.0-beta */
        good = str_to_u64(number, &n);
        parts++;
    }
    if (v.n && (!good || parts < 2 || parts > 3))
        found(k, json_get(info(k), "version"), info(k), STR("info.version"),
              "\"" STR_FMT "\" is not a version number as 1.4 or 1.4.2", STR_ARG(v));
}

static void availability_rule(struct check *k)
{
    wanted_in_info(k, "x-socle-availability", "when it answers, and how surely");
}

static void deprecation_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        if (json_get_bool(op->op, "deprecated", false) && !json_get(op->op, "x-sunset") &&
            !json_get(info(k), "x-socle-sunset"))
            found(k, json_get(op->op, "deprecated"), op->op, op_name(k, op),
                  "deprecated, without the day it ends (x-sunset)");
    }
}

/* ---- legal, responsibility ----------------------------------------------------------------------
 */
static void licence_rule(struct check *k)
{
    if (json_is_object(info(k)) && !json_get_str(json_get(info(k), "license"), "name").n)
        found(k, json_get(info(k), "license"), info(k), STR("info.license"),
              "no licence says what may be done with the data");
}

static bool is_personal(const struct description *d)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].sensitivity > 0)
            return true;
    return false;
}

static void basis_rule(struct check *k)
{
    const json_t *basis = json_get(info(k), "x-socle-legal-basis");
    bool said = json_is_object(basis) ? json_object_size(basis) > 0 : json_string_length(basis) > 0;
    if (is_personal(k->d) && !said)
        found(k, info(k), k->d->root, STR("info"),
              "it holds personal data and no x-socle-legal-basis says which law lets it");
}

static void terms_rule(struct check *k)
{
    if (json_get(json_get(k->d->root, "info"), "x-socle-terms"))
        return;
    wanted_in_info(k, "termsOfService", "under which terms it is used");
}

static void contact_rule(struct check *k)
{
    const json_t *c = json_get(info(k), "contact");
    if (json_is_object(info(k)) && !json_get_str(c, "email").n && !json_get_str(c, "url").n)
        found(k, c, info(k), STR("info.contact"), "nobody can be asked: no email, no url");
}

static void responsible_rule(struct check *k)
{
    wanted_in_info(k, "x-socle-responsible", "which office answers for the data");
}

/* ---- security -----------------------------------------------------------------------------------
 */
static void security_rule(struct check *k)
{
    const json_t *all = json_get(k->d->root, "security");
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        if (!json_get(op->op, "security") && !all)
            found(k, op->op, op->item, op_name(k, op),
                  "nothing says who may call (security; [] says: everybody)");
    }
}

static void https_rule(struct check *k)
{
    const json_t *list = json_get(k->d->root, "servers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct str url = json_get_str(v, "url");
        bool here = str_find(url, STR("//localhost")) >= 0 || str_find(url, STR("//127.")) >= 0;
        if (str_starts(url, STR("http://")) && !here)
            found(k, v, list, url, "the server is called without TLS");
    }
}

static bool word_in(struct str name, const char *const *words, size_t n)
{
    char lower[128];
    size_t len = name.n < sizeof lower - 1 ? name.n : sizeof lower - 1;
    for (size_t i = 0; i < len; i++)
        lower[i] = name.p[i] == '-' ? '_' : (char)tolower((unsigned char)name.p[i]);
    lower[len] = '\0';
    for (size_t i = 0; i < n; i++)
        if (strcmp(lower, words[i]) == 0)
            return true;
    return false;
}

struct secret {
    struct check *k;
    const struct desc_op *op;
};

static void param_secret(void *arg, const json_t *p)
{
    static const char *const words[] = {"password",     "mot_de_passe", "token",
                                        "access_token", "api_key",      "apikey",
                                        "secret",       "nir",          "numero_securite_sociale"};
    struct secret *s = arg;
    bool url = str_eq_z(json_get_str(p, "in"), "query") || str_eq_z(json_get_str(p, "in"), "path");
    if (url && word_in(json_get_str(p, "name"), words, COUNT_OF(words)))
        found(s->k, p, s->op->op, op_name(s->k, s->op),
              "\"" STR_FMT "\" in an address is written in every log on the way",
              STR_ARG(json_get_str(p, "name")));
}

static void secret_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        struct secret s = {k, &k->d->ops[i]};
        desc_params(k->d, s.op, param_secret, &s);
    }
}

/* ---- privacy ------------------------------------------------------------------------------------
 */
static void marked_rule(struct check *k)
{
    static const char *const words[] = {"nom",
                                        "prenom",
                                        "prenoms",
                                        "nom_naissance",
                                        "nom_usage",
                                        "date_naissance",
                                        "lieu_naissance",
                                        "birthdate",
                                        "birth_date",
                                        "birthplace",
                                        "family_name",
                                        "given_name",
                                        "first_name",
                                        "last_name",
                                        "firstname",
                                        "lastname",
                                        "surname",
                                        "email",
                                        "courriel",
                                        "telephone",
                                        "phone",
                                        "phone_number",
                                        "nir",
                                        "iban",
                                        "revenu",
                                        "revenus",
                                        "income",
                                        "salaire",
                                        "salary",
                                        "adresse",
                                        "address",
                                        "sexe",
                                        "gender",
                                        "nationalite",
                                        "nationality",
                                        "numero_fiscal",
                                        "matricule",
                                        "quotient_familial"};
    for (size_t i = 0; i < k->d->n_fields; i++) {
        const struct desc_field *f = &k->d->fields[i];
        struct str rest = f->path, name = STR("");
        while (rest.n && str_split(&rest, '.', &name))
            ;
        if (f->leaf && f->sensitivity < 0 && word_in(name, words, COUNT_OF(words)))
            found(k, f->schema, NULL, f->path,
                  "this looks like a person's datum: x-socle-sensitivity says whether it is one");
    }
}

static void retention_rule(struct check *k)
{
    if (is_personal(k->d))
        wanted_in_info(k, "x-socle-retention", "how long those who read it may keep it");
}

const struct rule rules_doctrine[] = {
    {"description", false, TOPIC_TECHNICAL, description_rule},
    {"summary", false, TOPIC_TECHNICAL, summary_rule},
    {"naming-path", false, TOPIC_TECHNICAL, naming_path_rule},
    {"naming-field", false, TOPIC_TECHNICAL, naming_field_rule},
    {"meaning", false, TOPIC_TECHNICAL, meaning_rule},
    {"json", false, TOPIC_TECHNICAL, json_rule},
    {"examples", false, TOPIC_TECHNICAL, example_rule},
    {"errors", false, TOPIC_TECHNICAL, problem_rule},
    {"pagination", false, TOPIC_TECHNICAL, pagination_rule},
    {"version-number", true, TOPIC_OPERATION, version_number_rule},
    {"availability", false, TOPIC_OPERATION, availability_rule},
    {"deprecation", false, TOPIC_OPERATION, deprecation_rule},
    {"licence", true, TOPIC_LEGAL, licence_rule},
    {"legal-basis", true, TOPIC_LEGAL, basis_rule},
    {"terms", false, TOPIC_LEGAL, terms_rule},
    {"contact", true, TOPIC_RESPONSIBILITY, contact_rule},
    {"responsible", false, TOPIC_RESPONSIBILITY, responsible_rule},
    {"security-stated", true, TOPIC_SECURITY, security_rule},
    {"https", true, TOPIC_SECURITY, https_rule},
    {"no-secret-in-address", true, TOPIC_SECURITY, secret_rule},
    {"personal-data-marked", true, TOPIC_PRIVACY, marked_rule},
    {"retention", false, TOPIC_PRIVACY, retention_rule},
    {NULL, false, 0, NULL},
};
