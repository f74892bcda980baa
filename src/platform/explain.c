/* `socle explain METHOD PATH`: what a request passes, read from the same tables that serve it, so
 * the explanation cannot drift from the code. */
#include "platform/boot.h"

#include <stdio.h>
#include "platform/ctx.h"
#include "platform/explain.h"

static const char *role_name(enum role r)
{
    static const char *const names[ROLE_COUNT] = {"public", "user",   "agent",
                                                  "admin",  "client", "auditor"};
    return names[r];
}

static int usage(int code)
{
    fputs("usage: socle explain METHOD PATH [--site portal|org]\n\n"
          "Prints each stage the request passes, with file and line.\n",
          code ? stderr : stdout);
    return code;
}

int explain_main(const struct settings *s, int argc, char **argv)
{
    struct str values[8];
    bool other_method;
    struct arena a;
    (void)s;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (argc < 3 || argv[1][0] == '-')
        return usage(2);
    enum site_kind kind = SITE_PORTAL;
    bool chosen = argc > 4 && strcmp(argv[3], "--site") == 0;
    if (chosen && strcmp(argv[4], "org") == 0)
        kind = SITE_ORG;
    struct str method = str_from(argv[1]), path = str_from(argv[2]);
    const struct service *sv;
    for (size_t i = 0; (sv = boot_service(i)) != NULL; i++)
        if (sv->explain && sv->explain(method, path))
            return 0;
    arena_init(&a);
    if (route_table_start(&a) != ERR_OK)
        return 1;
    const struct route *r = route_find(kind, method, path, values, &other_method);
    if (!r && !chosen)
        r = route_find(SITE_ORG, method, path, values, &other_method);
    if (!r) {
        printf("%s %s: %s\n", argv[1], argv[2],
               other_method ? "405: the path exists with another method" : "404: no route");
        arena_free(&a);
        return 1;
    }
    printf("%s %s (%s): %s\n", r->method, r->path,
           r->site == SITE_ORG      ? "an organisation's site"
           : r->site == SITE_PORTAL ? "the portal"
                                    : "any site",
           r->help);
    const struct stage_row *row;
    for (size_t i = 0; (row = dispatch_stage(i)) != NULL; i++) {
        bool is_handler = strcmp(row->name, "HANDLER") == 0;
        printf("  %-8s %s:%d  %s%s%s\n", row->name, is_handler ? r->file : row->file,
               is_handler ? r->line : row->line, is_handler ? r->handler_name : row->what,
               strcmp(row->name, "POLICY") == 0 ? "; this route asks for: " : "",
               strcmp(row->name, "POLICY") == 0 ? role_name(r->role) : "");
    }
    arena_free(&a);
    return 0;
}
