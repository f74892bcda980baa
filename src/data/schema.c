#include "data/schema.h"

#include <math.h>
#include <stdio.h>

enum { STEPS_MAX = 200000, LEVELS_MAX = 64, DEPARTURES_MAX = 1000, PATTERN_STEPS = 25 };

struct run {
    const struct schema_judge *j;
    size_t found;
    unsigned steps, steps_max, levels;
    bool silent; /* inside anyOf and its like: only the count matters */
    char path[SCHEMA_PATH_MAX];
};

static void departs(struct run *r, const char *keyword)
{
    if (++r->found <= DEPARTURES_MAX && !r->silent && r->j->departs)
        r->j->departs(r->j->departs_arg, r->path, keyword);
}

static void check(struct run *r, const json_t *schema, const json_t *v);

/* ---- one value ----------------------------------------------------------------------------------
 */
static bool is_type(struct str name, const json_t *v)
{
    if (str_eq_z(name, "number"))
        return json_is_number(v);
    if (str_eq_z(name, "integer"))
        return json_is_integer(v) || (json_is_real(v) && fmod(json_real_value(v), 1) == 0);
    return (str_eq_z(name, "string") && json_is_string(v)) ||
           (str_eq_z(name, "boolean") && json_is_boolean(v)) ||
           (str_eq_z(name, "object") && json_is_object(v)) ||
           (str_eq_z(name, "array") && json_is_array(v)) ||
           (str_eq_z(name, "null") && json_is_null(v));
}

static bool type_fits(const json_t *schema, const json_t *v)
{
    const json_t *type = json_get(schema, "type"), *one;
    size_t i;
    if (!type || (json_is_null(v) && json_get_bool(schema, "nullable", false)))
        return true;
    if (json_is_string(type))
        return is_type(json_get_str(schema, "type"), v);
    json_array_foreach(type, i, one)
    {
        if (json_is_string(one) && is_type(str_from(json_string_value(one)), v))
            return true;
    }
    return !json_is_array(type);
}

static bool is_among(const json_t *list, const json_t *v)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (json_equal((json_t *)one, (json_t *)v))
            return true;
    }
    return !json_is_array(list);
}

static bool bound(const json_t *schema, const char *name, double *out)
{
    const json_t *b = json_get(schema, name);
    *out = json_number_value(b);
    return json_is_number(b);
}

static void number_check(struct run *r, const json_t *s, const json_t *v)
{
    double n = json_number_value(v), b;
    bool strict_least = json_get_bool(s, "exclusiveMinimum", false); /* of OpenAPI 3.0 */
    bool strict_most = json_get_bool(s, "exclusiveMaximum", false);
    if (bound(s, "minimum", &b) && (n < b || (strict_least && n == b)))
        departs(r, "minimum");
    if (bound(s, "maximum", &b) && (n > b || (strict_most && n == b)))
        departs(r, "maximum");
    if (bound(s, "exclusiveMinimum", &b) && n <= b)
        departs(r, "exclusiveMinimum");
    if (bound(s, "exclusiveMaximum", &b) && n >= b)
        departs(r, "exclusiveMaximum");
}

static void size_check(struct run *r, const json_t *s, size_t n, const char *least,
                       const char *most)
{
    double b;
    if (bound(s, least, &b) && (double)n < b)
        departs(r, least);
    if (bound(s, most, &b) && (double)n > b)
        departs(r, most);
}

static size_t characters(const json_t *v)
{
    size_t n = 0;
    const char *p = json_string_value(v);
    for (size_t i = 0; i < json_string_length(v); i++)
        n += ((unsigned char)p[i] & 0xC0) != 0x80;
    return n;
}

static void text_check(struct run *r, const json_t *s, const json_t *v)
{
    struct str pattern = json_get_str(s, "pattern");
    size_check(r, s, characters(v), "minLength", "maxLength");
    if (!pattern.p || !r->j->pattern)
        return;
    r->steps += PATTERN_STEPS;
    if (!r->j->pattern(r->j->pattern_arg, pattern,
                       str_of(json_string_value(v), json_string_length(v))))
        departs(r, "pattern");
}

/* ---- inside -------------------------------------------------------------------------------------
 */
static size_t path_push(struct run *r, const char *name)
{
    size_t n = strlen(r->path);
    snprintf(r->path + n, sizeof r->path - n, "%s%s", n ? "." : "", name);
    return n;
}

static void object_check(struct run *r, const json_t *s, const json_t *v)
{
    const json_t *properties = json_get(s, "properties"), *required = json_get(s, "required"),
                 *rest = json_get(s, "additionalProperties"), *name;
    const char *key;
    json_t *member;
    size_t i;
    json_array_foreach(required, i, name)
    {
        if (json_is_string(name) && !json_get(v, json_string_value(name))) {
            size_t back = path_push(r, json_string_value(name));
            departs(r, "required");
            r->path[back] = '\0';
        }
    }
    json_object_foreach((json_t *)v, key, member)
    {
        const json_t *of = json_get(properties, key);
        size_t back = path_push(r, key);
        if (of)
            check(r, of, member);
        else if (json_is_object(rest))
            check(r, rest, member);
        else if (json_is_false(rest))
            departs(r, "additionalProperties");
        r->path[back] = '\0';
    }
}

static void array_check(struct run *r, const json_t *s, const json_t *v)
{
    const json_t *items = json_get(s, "items"), *one;
    size_t i;
    size_check(r, s, json_array_size(v), "minItems", "maxItems");
    if (!json_is_object(items))
        return;
    json_array_foreach(v, i, one)
    {
        check(r, items, one);
    }
}

/* ---- together -----------------------------------------------------------------------------------
 */
static bool fits(struct run *r, const json_t *schema, const json_t *v)
{
    size_t before = r->found;
    bool was_silent = r->silent;
    r->silent = true;
    check(r, schema, v);
    bool good = r->found == before;
    r->found = before;
    r->silent = was_silent;
    return good;
}

static size_t fitting(struct run *r, const json_t *list, const json_t *v)
{
    const json_t *one;
    size_t i, n = 0;
    json_array_foreach(list, i, one)
    {
        n += fits(r, one, v);
    }
    return n;
}

static void combined_check(struct run *r, const json_t *s, const json_t *v)
{
    const json_t *all = json_get(s, "allOf"), *any = json_get(s, "anyOf"),
                 *only = json_get(s, "oneOf"), *no = json_get(s, "not"), *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        check(r, one, v);
    }
    if (json_array_size(any) && fitting(r, any, v) == 0)
        departs(r, "anyOf");
    if (json_array_size(only) && fitting(r, only, v) != 1)
        departs(r, "oneOf");
    if (json_is_object(no) && fits(r, no, v))
        departs(r, "not");
}

static void check(struct run *r, const json_t *schema, const json_t *v)
{
    const json_t *s = r->j->ref ? r->j->ref(r->j->ref_arg, schema) : schema;
    if (!json_is_object(s) || r->levels == LEVELS_MAX || ++r->steps > r->steps_max)
        return; /* true, nowhere, or too much of it: it says nothing */
    r->levels++;
    if (!type_fits(s, v))
        departs(r, "type");
    else if (json_is_number(v))
        number_check(r, s, v);
    else if (json_is_string(v))
        text_check(r, s, v);
    else if (json_is_object(v))
        object_check(r, s, v);
    else if (json_is_array(v))
        array_check(r, s, v);
    if (json_get(s, "enum") && !is_among(json_get(s, "enum"), v))
        departs(r, "enum");
    if (json_get(s, "const") && !json_equal((json_t *)json_get(s, "const"), (json_t *)v))
        departs(r, "const");
    combined_check(r, s, v);
    r->levels--;
}

size_t schema_check(const struct schema_judge *j, const json_t *schema, const json_t *value)
{
    struct run r = {.j = j, .steps_max = j->steps_max ? j->steps_max : STEPS_MAX};
    check(&r, schema, value);
    return r.found;
}
