/* Examples: what the description gives, else values made up from the schema, the same each time, so
 * that a sandbox answers alike tomorrow. */
#include "core/catalogue/description.h"

enum { EXAMPLE_NODES_MAX = 5000 };

struct maker {
    const struct description *d;
    size_t nodes;
};

static json_t *made(struct maker *m, const json_t *node, int level);

static const json_t *given(const json_t *schema)
{
    const json_t *v = json_get(schema, "example");
    if (!v)
        v = json_array_get(json_get(schema, "examples"), 0);
    if (!v)
        v = json_get(schema, "const");
    if (!v)
        v = json_get(schema, "default");
    return v ? v : json_array_get(json_get(schema, "enum"), 0);
}

static json_t *text(const json_t *schema)
{
    static const struct {
        const char *format, *value;
    } formats[] = {
        {"date", "2026-01-31"},
        {"date-time", "2026-01-31T10:00:00Z"},
        {"time", "10:00:00Z"},
        {"duration", "P1D"},
        {"email", "camille@exemple.fr"},
        {"uri", "https://exemple.fr/"},
        {"uri-reference", "/exemple"},
        {"url", "https://exemple.fr/"},
        {"uuid", "3f0f9a1e-6f2c-4a52-9d0e-5b7a1c2d3e4f"},
        {"hostname", "exemple.fr"},
        {"ipv4", "192.0.2.1"},
        {"ipv6", "2001:db8::1"},
        {"byte", "ZXhlbXBsZQ=="},
    };
    const char *format = json_get_z(schema, "format", "");
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (strcmp(format, formats[i].format) == 0)
            return json_string(formats[i].value);
    int64_t least = json_get_i64(schema, "minLength", 0),
            most = json_get_i64(schema, "maxLength", 7);
    char value[65] = "exemple";
    least = least > 64 ? 64 : least;
    for (size_t n = strlen(value); (int64_t)n < least; n++)
        value[n] = 'e';
    if (most >= 0 && most < (int64_t)strlen(value))
        value[most] = '\0';
    return json_string(value);
}

static json_t *whole_number(const json_t *schema)
{
    const json_t *least = json_get(schema, "minimum");
    return json_integer(json_is_number(least) ? (json_int_t)json_number_value(least) : 1);
}

static void members(struct maker *m, const json_t *schema, json_t *into, int level)
{
    const char *name;
    json_t *node;
    json_object_foreach(json_get(schema, "properties"), name, node)
    {
        const json_t *real = desc_ref(m->d, node);
        if (json_get_bool(real, "writeOnly", false))
            continue;
        json_t *v = made(m, node, level + 1);
        if (v)
            json_object_set_new(into, name, v);
    }
}

static json_t *object(struct maker *m, const json_t *schema, int level)
{
    json_t *v = json_object();
    const json_t *all = json_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *part = made(m, json_array_get(all, i), level + 1);
        if (json_is_object(part))
            json_object_update(v, part);
        json_decref(part);
    }
    members(m, schema, v, level);
    return v;
}

/* A new value; NULL: nothing to say (too deep, round in a circle, nothing known). */
static json_t *made(struct maker *m, const json_t *node, int level)
{
    const json_t *schema = desc_ref(m->d, node);
    if (!json_is_object(schema) || level > DESC_SCHEMA_LEVELS || ++m->nodes > EXAMPLE_NODES_MAX)
        return NULL;
    const json_t *own = given(schema);
    if (own)
        return json_deep_copy(own);
    const json_t *type = json_get(schema, "type");
    const char *z =
        json_is_array(type) ? json_string_value(json_array_get(type, 0)) : json_string_value(type);
    if (!z)
        z = json_get(schema, "properties") || json_get(schema, "allOf") ? "object"
            : json_get(schema, "items")                                 ? "array"
                                                                        : "";
    if (strcmp(z, "object") == 0)
        return object(m, schema, level);
    if (strcmp(z, "array") == 0) {
        json_t *list = json_array(), *one = made(m, json_get(schema, "items"), level + 1);
        if (one)
            json_array_append_new(list, one);
        return list;
    }
    if (strcmp(z, "integer") == 0)
        return whole_number(schema);
    if (strcmp(z, "number") == 0)
        return json_real(1.5);
    if (strcmp(z, "boolean") == 0)
        return json_true();
    if (strcmp(z, "string") == 0)
        return text(schema);
    for (int i = 0; i < 2; i++) {
        const json_t *choice = json_array_get(json_get(schema, i ? "anyOf" : "oneOf"), 0);
        if (choice)
            return made(m, choice, level + 1);
    }
    return NULL;
}

json_t *desc_example(const struct description *d, const json_t *media)
{
    struct maker m = {.d = d};
    const char *name;
    json_t *one;
    if (json_get(media, "example"))
        return json_deep_copy(json_get(media, "example"));
    json_object_foreach(json_get(media, "examples"), name, one)
    {
        const json_t *v = json_get(desc_ref(d, one), "value");
        if (v)
            return json_deep_copy(v);
    }
    json_t *v = made(&m, json_get(media, "schema"), 0);
    return v ? v : json_object();
}
