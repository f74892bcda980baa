/* [P5.2.3] Every action of a page has an operation of the API that does the same, let in by the
 * same role; or the table says why there is none. Read from the routes table itself, so that a new
 * page cannot forget it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/boot.h"
#include "platform/ctx.h"

/* A page that changes something, or that shows what is somebody's. What lives under /api/ is no
 * page, whatever browsers do with it (OpenID Connect's endpoints). */
static bool needs_twin(const struct route *r)
{
    if (str_starts(str_from(r->path), STR("/api/")))
        return false;
    bool personal = r->role == ROLE_USER || r->role == ROLE_AGENT || r->role == ROLE_ADMIN ||
                    r->role == ROLE_AUDITOR;
    return !(r->flags & ROUTE_API) && (strcmp(r->method, "GET") != 0 || personal);
}

static const struct route *operation(const struct route *page)
{
    const struct service *s;
    struct str rest = str_from(page->api), method;
    if (!str_split(&rest, ' ', &method))
        return NULL;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++)
        for (size_t k = 0; k < s->n_routes; k++)
            if (str_starts(str_from(s->routes[k].path), STR("/api/")) &&
                str_eq_z(method, s->routes[k].method) && str_eq_z(rest, s->routes[k].path) &&
                s->routes[k].site == page->site)
                return &s->routes[k];
    return NULL;
}

static const char *wrong_with(const struct route *page)
{
    if (!page->api)
        return "names no operation of the API and no reason";
    if (page->api[0] == '-')
        return strlen(page->api) > 15 ? NULL : "its reason says too little";
    const struct route *op = operation(page);
    if (!op)
        return "names an operation that is not in the table";
    if (page->role != ROLE_PUBLIC && op->role != page->role)
        return "is for another role than its operation";
    return NULL;
}

static void every_page_action_has_its_operation(void **state)
{
    const struct service *s;
    size_t n = 0, n_wrong = 0;
    (void)state;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++) {
        for (size_t k = 0; k < s->n_routes; k++) {
            const struct route *r = &s->routes[k];
            if (!needs_twin(r) && !r->api)
                continue;
            const char *wrong = wrong_with(r);
            fprintf(stderr, "%-4s %-40s %s%s%s\n", r->method, r->path, r->api ? r->api : "",
                    wrong ? "  <- " : "", wrong ? wrong : "");
            n++;
            n_wrong += wrong != NULL;
        }
    }
    assert_true(n > 20);
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {{.name = "[P5.2.3] every page action has its operation",
                                        .test_func = every_page_action_has_its_operation}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
