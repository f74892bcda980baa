#include "core/catalogue/rules.h"

#include <ctype.h>

const char *const rule_topics[TOPIC_COUNT] = {"technical",      "operation", "legal",
                                              "responsibility", "security",  "privacy"};

static const struct rule document = {"document", true, TOPIC_TECHNICAL, NULL};
static const struct rule *const tables[] = {rules_form, rules_doctrine};

const struct rule *rule_at(size_t i)
{
    if (i-- == 0)
        return &document;
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct rule *r = tables[t]; r->id; r++)
            if (i-- == 0)
                return r;
    return NULL;
}

const struct rule *rule_find(struct str id)
{
    const struct rule *r;
    for (size_t i = 0; (r = rule_at(i)) != NULL; i++)
        if (str_eq_z(id, r->id))
            return r;
    return NULL;
}

struct check *rules_run(struct arena *a, const struct description *d)
{
    struct check *k = arena_new(a, struct check);
    k->d = d;
    k->a = a;
    for (size_t i = 0; (k->rule = rule_at(i)) != NULL; i++) {
        k->of_rule = 0;
        if (k->rule->check)
            k->rule->check(k);
    }
    return k;
}

void found(struct check *k, const json_t *node, const json_t *holder, struct str where,
           const char *fmt, ...)
{
    va_list ap;
    if (k->rule->error)
        k->errors++;
    else
        k->warnings++;
    if (k->n == FINDINGS_MAX || k->of_rule++ >= FINDINGS_PER_RULE)
        return;
    struct finding *f = &k->list[k->n++];
    va_start(ap, fmt);
    *f = (struct finding){k->rule, desc_line(k->d, node, holder), where,
                          arena_vprintf(k->a, fmt, ap)};
    va_end(ap);
    if (!f->line)
        f->line = 1;
}

struct str op_name(struct check *k, const struct desc_op *op)
{
    struct str name = arena_printf(k->a, "%s %s", op->method, op->path);
    for (char *p = (char *)name.p; *p && *p != ' '; p++)
        *p = (char)toupper((unsigned char)*p);
    return name;
}

/* ---- reports ------------------------------------------------------------------------------------
 */
static json_t *finding_json(const struct finding *f, const char *base_url)
{
    char url[300];
    snprintf(url, sizeof url, "%s/doctrine/%s", base_url, f->rule->id);
    return json_pack("{s:s, s:s, s:s, s:i, s:s%, s:s%, s:s}", "rule", f->rule->id, "severity",
                     f->rule->error ? "error" : "warning", "topic", rule_topics[f->rule->topic],
                     "line", f->line, "where", f->where.p ? f->where.p : "", f->where.n, "detail",
                     f->detail.p, f->detail.n, "url", url);
}

json_t *report_json(const struct check *k, const char *base_url)
{
    json_t *list = json_array();
    for (int pass = 0; pass < 2; pass++) /* errors first */
        for (size_t i = 0; i < k->n; i++)
            if (k->list[i].rule->error == (pass == 0))
                json_array_append_new(list, finding_json(&k->list[i], base_url));
    return json_pack("{s:b, s:I, s:I, s:o}", "valid", k->errors == 0, "errors",
                     (json_int_t)k->errors, "warnings", (json_int_t)k->warnings, "findings", list);
}

json_t *report_fault_json(const struct json_fault *fault, const char *base_url)
{
    struct finding f = {&document, fault->line > 0 ? fault->line : 1, STR(""),
                        str_from(fault->text)};
    json_t *one = finding_json(&f, base_url);
    if (!one) /* a fault that quotes bytes that are no text */
        one = json_pack("{s:s, s:s, s:i, s:s}", "rule", document.id, "severity", "error", "line",
                        f.line, "detail", "not readable");
    return json_pack("{s:b, s:i, s:i, s:[o]}", "valid", 0, "errors", 1, "warnings", 0, "findings",
                     one);
}
