/* socle api import|check|circle|system: the catalogue's work, asked for by name, said in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exchange/schema.h"
#include "sys/file.h"

enum { DESCRIPTION_MAX = 6 * 1024 * 1024 };

struct options {
    const char *file, *org, *origin, *reason;
    int circle;
    bool refuse;
};

static int usage(void)
{
    fputs("usage: socle api check FILE [--json]\n"
          "       socle api import FILE --org ORG [--origin URL] [--circle 1|2|3] [--json]\n"
          "       socle api circle API 1|2|3 --reason TEXT [--refuse] [--json]\n"
          "       socle api system ORG NAME [API]   one system of a body, for the rate\n"
          "       socle api component FILE [--json]  licence, documentation, sandbox, version, "
          "tests\n"
          "       socle api once-only FILE [--json]  what a form asks that a body holds\n"
          "       socle api concept FILE            defines concepts of the vocabulary (JSON)\n",
          stderr);
    return 2;
}

static bool options_read(int argc, char **argv, struct options *o)
{
    for (int i = 0; i < argc; i++) {
        const struct {
            const char *name, **to;
        } texts[] = {{"--org", &o->org}, {"--origin", &o->origin}, {"--reason", &o->reason}};
        bool taken = false;
        for (size_t k = 0; k < COUNT_OF(texts) && !taken; k++) {
            if (strcmp(argv[i], texts[k].name) != 0)
                continue;
            if (++i == argc)
                return false;
            *texts[k].to = argv[i];
            taken = true;
        }
        if (taken)
            continue;
        if (strcmp(argv[i], "--refuse") == 0) {
            o->refuse = true;
        } else if (strcmp(argv[i], "--circle") == 0) {
            uint64_t n;
            if (++i == argc || !str_to_u64(str_from(argv[i]), &n) || n < 1 || n > 3)
                return false;
            o->circle = (int)n;
        } else if (argv[i][0] == '-' || o->file) {
            return false;
        } else {
            o->file = argv[i];
        }
    }
    return o->file != NULL;
}

static void findings_print(const char *file, const json_t *report)
{
    const json_t *list = json_get(report, "findings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const char *where = json_get_z(f, "where", "");
        printf("%s:%d: %s: %s: %s%s%s\n", file, (int)json_get_i64(f, "line", 1),
               json_get_z(f, "severity", ""), json_get_z(f, "rule", ""), where, *where ? ": " : "",
               json_get_z(f, "detail", ""));
    }
    printf("%s: %d errors, %d warnings\n", file, (int)json_get_i64(report, "errors", 0),
           (int)json_get_i64(report, "warnings", 0));
}

static void json_print(struct ctx *c, const json_t *v)
{
    printf(STR_FMT "\n", STR_ARG(json_text(c->arena, v)));
}

static int check(struct ctx *c, const struct options *o, struct str text, bool as_json)
{
    json_t *out, *args = json_own(&c->pool, json_pack("{s:s%}", "text", text.p, text.n));
    enum err e = args ? platform_call(c, "catalogue.check", args, &out) : ERR_INVALID;
    if (e != ERR_OK) {
        fprintf(stderr, "socle api check: %s\n", args ? err_name(e) : "the file is not UTF-8");
        return 1;
    }
    if (as_json)
        json_print(c, out);
    else
        findings_print(o->file, out);
    return json_get_bool(out, "valid", false) ? 0 : 1;
}

static void import_print(const struct options *o, const json_t *out)
{
    const json_t *refused = json_get(out, "refused");
    findings_print(o->file, json_get(out, "report"));
    if (json_get_bool(out, "published", false))
        printf("published %s/%s\n  page     %s\n  sandbox  %s\n  gateway  %s\n",
               json_get_z(out, "api", ""), json_get_z(out, "version", ""),
               json_get_z(out, "url", ""), json_get_z(out, "sandbox", ""),
               json_get_z(out, "gateway", ""));
    else if (refused)
        printf("refused: %s: %s\n", json_get_z(refused, "rule", ""),
               json_get_z(refused, "detail", ""));
    for (size_t i = 0; i < json_array_size(json_get(refused, "missing")); i++)
        printf("  missing: %s\n",
               json_string_value(json_array_get(json_get(refused, "missing"), i)));
}

static int import(struct ctx *c, const struct options *o, struct str text, bool as_json)
{
    json_t *out;
    json_t *args = json_own(&c->pool, json_pack("{s:s%, s:s, s:s, s:i}", "text", text.p, text.n,
                                                "org_id", o->org, "origin",
                                                o->origin ? o->origin : "", "circle", o->circle));
    enum err e = args ? platform_call(c, "catalogue.import", args, &out) : ERR_INVALID;
    if (e != ERR_OK) {
        fprintf(stderr, "socle api import: %s\n", args ? err_name(e) : "the file is not UTF-8");
        return 1;
    }
    if (as_json)
        json_print(c, out);
    else
        import_print(o, out);
    return json_get_bool(out, "published", false) ? 0 : 1;
}

static int with_file(struct ctx *c, int argc, char **argv, bool as_json)
{
    struct options o = {0};
    struct str text;
    bool importing = strcmp(argv[0], "import") == 0;
    if (!options_read(argc - 1, argv + 1, &o) || (importing && !o.org))
        return usage();
    enum err e = file_read(c->arena, o.file, DESCRIPTION_MAX, &text);
    if (e != ERR_OK) {
        fprintf(stderr, "socle api %s: %s cannot be read (%s)\n", argv[0], o.file, err_name(e));
        return 1;
    }
    return importing ? import(c, &o, text, as_json) : check(c, &o, text, as_json);
}

static int circle(struct ctx *c, int argc, char **argv, bool as_json)
{
    struct options o = {0};
    json_t *out;
    if (argc < 4 || strlen(argv[2]) != 1 || argv[2][0] < '1' || argv[2][0] > '3')
        return usage();
    char *rest[16] = {argv[1]};
    for (int i = 3; i < argc && i < 16; i++)
        rest[i - 2] = argv[i];
    if (argc > 15 || !options_read(argc - 2, rest, &o) || !o.reason)
        return usage();
    json_t *args =
        json_own(&c->pool, json_pack("{s:s, s:i, s:s, s:b}", "api", argv[1], "circle",
                                     argv[2][0] - '0', "reason", o.reason, "accept", !o.refuse));
    enum err e = platform_call(c, "catalogue.circle", args, &out);
    if (e != ERR_OK) {
        fprintf(stderr, "socle api circle: %s\n", err_name(e));
        return 1;
    }
    bool done = json_get_bool(out, "done", false);
    if (as_json) {
        json_print(c, out);
    } else if (done) {
        printf("%s: circle %s\n", argv[1], o.refuse ? "unchanged, refusal kept" : argv[2]);
    } else {
        printf("refused: %s\n", json_get_z(out, "refused", ""));
        for (size_t i = 0; i < json_array_size(json_get(out, "missing")); i++)
            printf("  missing: %s\n",
                   json_string_value(json_array_get(json_get(out, "missing"), i)));
    }
    return done ? 0 : 1;
}

static int system_put(struct ctx *c, int argc, char **argv)
{
    json_t *out;
    if (argc != 3 && argc != 4)
        return usage();
    json_t *args = json_own(&c->pool, json_pack("{s:s, s:s, s:s}", "org_id", argv[1], "name",
                                                argv[2], "api", argc == 4 ? argv[3] : ""));
    enum err e = platform_call(c, "catalogue.system_put", args, &out);
    if (e != ERR_OK) {
        fprintf(stderr, "socle api system: %s\n", err_name(e));
        return 1;
    }
    printf("%s %s\n", argv[1], argv[2]);
    return 0;
}

static int component(struct ctx *c, int argc, char **argv, bool as_json)
{
    struct str text;
    json_t *out, *v;
    size_t i;
    if (argc != 2)
        return usage();
    enum err e = file_read(c->arena, argv[1], DESCRIPTION_MAX, &text);
    json_t *args = e == ERR_OK ? json_pack("{s:s%}", "text", text.p, text.n) : NULL;
    if (args)
        e = platform_call(c, "catalogue.component", json_own(&c->pool, args), &out);
    if (!args || e != ERR_OK) {
        fprintf(stderr, "socle api component: %s: %s\n", argv[1], err_name(args ? e : ERR_INVALID));
        return 1;
    }
    if (as_json)
        json_print(c, out);
    const json_t *fault = json_get(out, "fault");
    if (!as_json && fault)
        printf("%s:%d: %s\n", argv[1], (int)json_get_i64(fault, "line", 0),
               json_get_z(fault, "text", ""));
    json_array_foreach(as_json ? NULL : json_get(out, "duties"), i, v)
    {
        printf("%-7s %-14s %s\n", json_get_bool(v, "holds", false) ? "holds" : "FAILS",
               json_get_z(v, "duty", ""), json_get_z(v, "found", ""));
    }
    return json_get_bool(out, "holds", false) ? 0 : 1;
}

static int once_only(struct ctx *c, int argc, char **argv, bool as_json)
{
    struct str text;
    json_t *out, *v;
    size_t i;
    if (argc != 2)
        return usage();
    enum err e = file_read(c->arena, argv[1], DESCRIPTION_MAX, &text);
    json_t *args = e == ERR_OK ? json_pack("{s:s%}", "text", text.p, text.n) : NULL;
    if (args)
        e = platform_call(c, "catalogue.once_only", json_own(&c->pool, args), &out);
    if (!args || e != ERR_OK) {
        fprintf(stderr, "socle api once-only: %s: %s\n", argv[1], err_name(args ? e : ERR_INVALID));
        return 1;
    }
    if (as_json)
        json_print(c, out);
    json_array_foreach(as_json ? NULL : json_get(out, "items"), i, v)
    {
        const json_t *first = json_array_get(json_get(v, "sources"), 0);
        printf("%s: held by %s as %s\n", json_get_z(v, "field", ""),
               json_get_z(json_get(json_get(first, "provider"), "name"), "en", ""),
               json_get_z(first, "path", ""));
    }
    return json_get_bool(out, "holds", false) ? 0 : 1;
}

/* One concept, or a list of them. */
static int concept(struct ctx *c, int argc, char **argv)
{
    struct str text;
    json_t *file, *v, *out;
    size_t i;
    if (argc != 2)
        return usage();
    enum err e = file_read(c->arena, argv[1], DESCRIPTION_MAX, &text);
    if (e == ERR_OK)
        e = json_read(text, &file, NULL);
    if (e != ERR_OK) {
        fprintf(stderr, "socle api concept: %s: %s\n", argv[1], err_name(e));
        return 1;
    }
    json_own(&c->pool, file);
    json_t *list = json_is_array(file) ? file : json_own(&c->pool, json_pack("[O]", file));
    json_array_foreach(list, i, v)
    {
        e = platform_call(c, "catalogue.concept_put", v, &out);
        if (e != ERR_OK) {
            fprintf(stderr, "socle api concept: %s: %s\n", json_get_z(v, "id", "?"), err_name(e));
            return 1;
        }
        printf("%s\n", json_get_z(v, "id", ""));
    }
    return 0;
}

int exchange_cli_api_import(struct ctx *c, int argc, char **argv, bool as_json)
{
    if (strcmp(argv[0], "import") == 0 || strcmp(argv[0], "check") == 0)
        return with_file(c, argc, argv, as_json);
    if (strcmp(argv[0], "circle") == 0)
        return circle(c, argc, argv, as_json);
    if (strcmp(argv[0], "system") == 0)
        return system_put(c, argc, argv);
    if (strcmp(argv[0], "component") == 0)
        return component(c, argc, argv, as_json);
    if (strcmp(argv[0], "once-only") == 0)
        return once_only(c, argc, argv, as_json);
    if (strcmp(argv[0], "concept") == 0)
    return concept(c, argc, argv);
    return -1;
}
