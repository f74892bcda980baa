#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/pattern.h"

#include <pcre2.h>
#include <stdlib.h>

enum { LENGTH_MAX = 1000, STEPS_MAX = 5000, DEPTH_MAX = 1000, HEAP_MAX_KB = 512 };

struct pattern {
    pcre2_code *code;
    pcre2_match_context *bounds;
};

struct pattern *pattern_new(struct str text)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY |
                                    PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_UNSET_BACKREF;
    int error;
    PCRE2_SIZE at;
    if (text.n > LENGTH_MAX)
        return NULL;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)(text.n ? text.p : ""), text.n, options, &error, &at, NULL);
    if (!code)
        return NULL;
    struct pattern *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->code = code;
    p->bounds = pcre2_match_context_create(NULL);
    if (!p->bounds)
        abort();
    pcre2_set_match_limit(p->bounds, STEPS_MAX);
    pcre2_set_depth_limit(p->bounds, DEPTH_MAX);
    pcre2_set_heap_limit(p->bounds, HEAP_MAX_KB);
    return p;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_match_context_free(p->bounds);
    pcre2_code_free(p->code);
    free(p);
}

bool pattern_fits(const struct pattern *p, struct str s)
{
    pcre2_match_data *found = pcre2_match_data_create(1, NULL);
    if (!found)
        abort();
    int rc = pcre2_match(p->code, (PCRE2_SPTR)(s.n ? s.p : ""), s.n, 0, 0, found, p->bounds);
    pcre2_match_data_free(found);
    return rc != PCRE2_ERROR_NOMATCH;
}
