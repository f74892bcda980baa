#include "platform/cli.h"

#include <stdio.h>

static const struct cli_option *option_find(const struct cli *r, const char *arg)
{
    for (size_t i = 0; i < r->n_options; i++)
        if (strcmp(r->options[i].name, arg) == 0)
            return &r->options[i];
    return NULL;
}

/* "--name value" and "--name=value". */
static bool option_take(struct cli *r, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *eq = strchr(arg, '=');
    const char *name = eq ? arena_dupz(&r->arena, str_of(arg, (size_t)(eq - arg))) : arg;
    const struct cli_option *o = option_find(r, name);
    if (!o || r->n_given == COUNT_OF(r->given) || (o->flag && eq))
        return false;
    const char *value = eq ? eq + 1 : "";
    if (!o->flag && !eq) {
        if (*i + 1 >= argc)
            return false;
        value = argv[++*i];
    }
    r->given[r->n_given].name = o->name;
    r->given[r->n_given++].value = value;
    return true;
}

static bool arguments_read(struct cli *r, int argc, char **argv, bool *help)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            *help = true;
        else if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (strncmp(argv[i], "--", 2) == 0) {
            if (!option_take(r, argc, argv, &i)) {
                fprintf(stderr, "socle %s: unknown or incomplete option %s\n", argv[0], argv[i]);
                return false;
            }
        } else if (r->n_words < COUNT_OF(r->words)) {
            r->words[r->n_words++] = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

int cli_run(struct platform *pf, int argc, char **argv, const char *help,
            const struct cli_option *options, size_t n_options, int (*fn)(struct cli *r))
{
    struct cli r = {.options = options, .n_options = n_options, .command = argv[0]};
    bool help_wanted = false;
    int code = 2;
    arena_init(&r.arena);
    r.c = ctx_make(pf, &r.arena);
    if (!arguments_read(&r, argc, argv, &help_wanted))
        fputs(help, stderr);
    else if (help_wanted) {
        fputs(help, stdout);
        code = 0;
    } else {
        code = fn(&r);
        if (code == 2)
            fputs(help, stderr);
    }
    ctx_free(r.c);
    arena_free(&r.arena);
    return code;
}

const char *cli_value(const struct cli *r, const char *name, const char *absent)
{
    for (size_t i = r->n_given; i > 0; i--)
        if (strcmp(r->given[i - 1].name, name) == 0)
            return r->given[i - 1].value;
    return absent;
}

bool cli_has(const struct cli *r, const char *name)
{
    return cli_value(r, name, NULL) != NULL;
}

size_t cli_values(const struct cli *r, const char *name, const char *out[CLI_VALUES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_given && n < CLI_VALUES_MAX; i++)
        if (strcmp(r->given[i].name, name) == 0)
            out[n++] = r->given[i].value;
    return n;
}

bool cli_is(const struct cli *r, const char *word, size_t n_words)
{
    return r->n_words == n_words && strcmp(r->words[0], word) == 0;
}

int cli_failed(const struct cli *r, const char *what, enum err e)
{
    fprintf(stderr, "socle %s: %s: %s\n", r->command, what, err_name(e));
    return 1;
}

void cli_print(struct cli *r, json_t *v)
{
    struct str text = json_text(&r->arena, v);
    printf(STR_FMT "\n", STR_ARG(text));
    json_decref(v);
}
