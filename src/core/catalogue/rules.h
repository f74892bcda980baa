/* The doctrine's rules, each with a name that never changes: /doctrine/<id> explains it, the linter
 * and the contracts cite it. An error keeps an API from being published, a warning does not. */
#ifndef CATALOGUE_RULES_H
#define CATALOGUE_RULES_H

#include "core/catalogue/description.h"

enum rule_topic {
    TOPIC_TECHNICAL,
    TOPIC_OPERATION,
    TOPIC_LEGAL,
    TOPIC_RESPONSIBILITY,
    TOPIC_SECURITY,
    TOPIC_PRIVACY,
    TOPIC_COUNT
};
extern const char *const rule_topics[TOPIC_COUNT]; /* "technical" ... */

struct check;
struct rule {
    const char *id; /* texts: rule.<id>.title, .how */
    bool error;
    enum rule_topic topic;
    void (*check)(struct check *k);
};
const struct rule *rule_at(size_t i); /* NULL at the end */
const struct rule *rule_find(struct str id);

struct finding {
    const struct rule *rule;
    int line;
    struct str where;  /* "GET /foyer" */
    struct str detail; /* English, names what is at fault */
};

enum { FINDINGS_MAX = 500, FINDINGS_PER_RULE = 20 };
struct check {
    const struct description *d;
    struct arena *a;
    const struct rule *rule;
    struct finding list[FINDINGS_MAX];
    size_t n, of_rule;
    size_t errors, warnings; /* all, also those not listed */
};

/* Runs every rule; the result lives in the arena. */
struct check *rules_run(struct arena *a, const struct description *d);

/* For the rules: node is at fault (its line is shown), holder is asked where node has no line. */
void found(struct check *k, const json_t *node, const json_t *holder, struct str where,
           const char *fmt, ...) __attribute__((format(printf, 5, 6)));
struct str op_name(struct check *k, const struct desc_op *op); /* "GET /foyer" */

/* {valid, errors, warnings, findings: [{rule, severity, topic, line, where, detail, url}]}; the
 * caller owns it. */
json_t *report_json(const struct check *k, const char *base_url);
/* The report of a text that is no document at all: one finding of the rule "document". */
json_t *report_fault_json(const struct json_fault *fault, const char *base_url);

extern const struct rule rules_form[], rules_doctrine[]; /* end with .id NULL */

#endif
